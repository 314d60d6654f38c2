/* How JSON Schemas become grammars; shared by the grammar_schema*.c files alone.
 *
 *     check      every keyword that is reachable can be enforced, or is an error with its place (grammar_schema_check.c)
 *     collect    $ref and allOf are merged into one object of keywords; anyOf and oneOf stay as groups (.._merge.c)
 *     lower      the merged keywords become nodes (grammar_schema.c, .._object.c, .._string.c, .._number.c)
 *
 * Schemas stay JSON on the way, so that a merged one is again a schema which the validator can be asked about. All
 * references are rewritten to start with HN_GSCHEMA_URI, under which the validator knows the whole schema.
 * Errors stick in the builder: a function that gives HN_GRAMMAR_BAD or false has recorded one. */
#ifndef HN_ENGINE_GRAMMAR_SCHEMA_PARTS_H
#define HN_ENGINE_GRAMMAR_SCHEMA_PARTS_H

#include "engine/grammar_parts.h"
#include "format/json_schema.h"
#include "format/json_schema_value.h"

#define HN_GSCHEMA_URI "hone:/schema"
/* Set by merging, never by users: no value is left; no properties beyond the declared ones may be written. */
#define HN_GSCHEMA_NEVER "\x01never"
#define HN_GSCHEMA_CLOSED "\x01closed"

enum {
    HN_GSCHEMA_REF_DEPTH_MAX = 64, /* $ref to $ref, allOf in allOf */
    HN_GSCHEMA_WORK_MAX = 50000,   /* schemas looked at, merged ones included */
    HN_GSCHEMA_PATH_MAX = 320,
    HN_GSCHEMA_ANY_DEPTH = 12, /* nesting of a value that the schema says nothing about */
};

enum {
    HN_GTYPE_NULL = 1,
    HN_GTYPE_BOOLEAN = 2,
    HN_GTYPE_OBJECT = 4,
    HN_GTYPE_ARRAY = 8,
    HN_GTYPE_NUMBER = 16,
    HN_GTYPE_STRING = 32,
    HN_GTYPE_INTEGER = 64,
    HN_GTYPE_ALL = 63, /* NUMBER stands for INTEGER, too */
};

/* A rule whose body is still to be lowered. */
typedef struct hn_gschema_job {
    char *rule, *path;
    json_t *schema; /* owned */
} hn_gschema_job;

typedef struct hn_gschema {
    hn_grammar_builder *b;
    json_t *root; /* owned copy with references rewritten */
    hn_json_schema_registry *registry;
    hn_gschema_job *jobs;
    size_t n_jobs, job_capacity;
    json_t *known;   /* names of rules that are defined or will be */
    json_t *checked; /* references whose targets were checked */
    size_t work, n_objects;
    hn_grammar_node blank, digit, character; /* made when first needed; HN_GRAMMAR_BAD before */
} hn_gschema;

/* anyOf or oneOf, left over when the rest is merged. */
typedef struct hn_gschema_group {
    const json_t *branches; /* borrowed */
    bool one;
    char path[HN_GSCHEMA_PATH_MAX];
} hn_gschema_group;

typedef struct hn_gschema_flat {
    json_t *base; /* owned: keywords without $ref, allOf, anyOf, oneOf */
    hn_gschema_group *groups;
    size_t n_groups, group_capacity;
} hn_gschema_flat;

/* --- grammar_schema.c --- */

hn_grammar_node hn_gschema_lower(hn_gschema *c, const json_t *schema, const char *path);
/* Any JSON value; nested at most `depth` deep. */
hn_grammar_node hn_gschema_any(hn_gschema *c, int depth);
/* Exactly this value, laid out freely. */
hn_grammar_node hn_gschema_literal(hn_gschema *c, const json_t *value);
/* An error at `path`/`keyword` (NULL: at `path`). */
hn_grammar_node hn_gschema_bad(hn_gschema *c, hn_status code, const char *path, const char *keyword, const char *hint,
                               const char *fmt, ...) HN_PRINTF(6, 7);
hn_grammar_node hn_gschema_no_memory(hn_gschema *c);
/* path + "/" + keyword + "/" + key, escaped, cut in front where it is too long. */
void hn_gschema_path(char out[HN_GSCHEMA_PATH_MAX], const char *path, const char *keyword, const char *key);
bool hn_gschema_failed(const hn_gschema *c);
/* Counts work; false, with an error, past the limit. */
bool hn_gschema_spend(hn_gschema *c, const char *path);

/* --- grammar_schema_check.c --- */

/* Walks what is reachable, refuses what cannot be enforced, and rewrites references in place. */
bool hn_gschema_check(hn_gschema *c);
/* What a rewritten reference leads to; NULL: nothing. */
const json_t *hn_gschema_target(const hn_gschema *c, const char *reference);
/* The place of it: the reference without the URI. */
const char *hn_gschema_target_path(const char *reference);
/* No keyword of this schema does anything but `keyword` (annotations aside). */
bool hn_gschema_only(const json_t *schema, const char *keyword);

/* --- grammar_schema_merge.c --- */

bool hn_gschema_collect(hn_gschema *c, const json_t *schema, const char *path, hn_gschema_flat *flat);
void hn_gschema_flat_free(hn_gschema_flat *flat);
/* Proven: no value fits both. */
bool hn_gschema_disjoint(hn_gschema *c, const json_t *a, const json_t *b, const char *path, int depth);
/* Types that are left, from `type`, or those of the values in `enum`. */
unsigned hn_gschema_types(const json_t *base);
/* What the validator says, asserting formats or not; errors are recorded and give false. */
bool hn_gschema_valid(hn_gschema *c, const json_t *schema, const json_t *value, bool formats);
/* {"allOf": [a, b]}, a new value; NULL with an error when memory is used up. Either may be NULL: no condition. */
json_t *hn_gschema_both(hn_gschema *c, const json_t *a, const json_t *b);

/* --- grammar_schema_number.c, .._string.c, .._object.c: one type of a merged schema each --- */

hn_grammar_node hn_gschema_number(hn_gschema *c, const json_t *base, bool integer, const char *path);
hn_grammar_node hn_gschema_string(hn_gschema *c, const json_t *base, const char *path);
hn_grammar_node hn_gschema_object(hn_gschema *c, const json_t *base, const char *path);
hn_grammar_node hn_gschema_array(hn_gschema *c, const json_t *base, const char *path);
/* A JSON string of any characters, min to max of them. */
hn_grammar_node hn_gschema_text(hn_gschema *c, int64_t min, int64_t max);
/* The same language inside a JSON string: what JSON cannot hold raw is escaped. */
hn_grammar_node hn_gschema_escaped(hn_gschema *c, hn_grammar_node node);
/* A count such as minLength; `otherwise` where it is absent. */
int64_t hn_gschema_count(const json_t *base, const char *keyword, int64_t otherwise);
/* Shorthands for the builder. */
hn_grammar_node hn_gschema_seq(hn_gschema *c, size_t n, ...);    /* of hn_grammar_node */
hn_grammar_node hn_gschema_either(hn_gschema *c, size_t n, ...); /* of hn_grammar_node */
hn_grammar_node hn_gschema_lit(hn_gschema *c, const char *text);
/* An optional blank, or line break with indentation, as it may stand around elements. */
hn_grammar_node hn_gschema_blank(hn_gschema *c);

#endif
