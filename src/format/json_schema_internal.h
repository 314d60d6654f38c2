/* How a compiled JSON Schema looks inside: shared by json_schema_compile.c, json_schema_refs.c and json_schema_validate.c.
 *
 * A schema is a set of documents; a document holds resources (subschemas with an $id of their own); a resource holds
 * nodes, one for each subschema, with its keywords parsed into fields. References are pointers between nodes, so nothing
 * is looked up while validating but dynamic anchors.
 *
 *     node = hn_schema_index(c, json, parent, "properties", key, 0, resource, depth);   // and all subschemas below it
 *
 * Ownership: everything is in the schema's arena, but patterns and the copies of the documents (lists below). */
#ifndef HN_FORMAT_JSON_SCHEMA_INTERNAL_H
#define HN_FORMAT_JSON_SCHEMA_INTERNAL_H

#include "format/json_schema.h"

#include "base/alloc.h"

typedef struct hn_schema_node hn_schema_node;
typedef struct hn_schema_pattern hn_schema_pattern;
typedef struct hn_schema_scratch hn_schema_scratch;

enum { HN_SCHEMA_DEPTH_MAX = 256, HN_SCHEMA_NODES_MAX = 1 << 20 };

/* Types as bits; HN_TYPE_NUMBER includes integers. */
enum {
    HN_TYPE_NULL = 1,
    HN_TYPE_BOOLEAN = 2,
    HN_TYPE_OBJECT = 4,
    HN_TYPE_ARRAY = 8,
    HN_TYPE_NUMBER = 16,
    HN_TYPE_STRING = 32,
    HN_TYPE_INTEGER = 64,
};

/* Vocabularies as bits. */
enum {
    HN_VOCAB_CORE = 1,
    HN_VOCAB_APPLICATOR = 2,
    HN_VOCAB_UNEVALUATED = 4,
    HN_VOCAB_VALIDATION = 8,
    HN_VOCAB_FORMAT = 16,
    HN_VOCAB_FORMAT_ASSERTION = 32,
    HN_VOCAB_STANDARD = 31,
};

typedef struct hn_schema_anchor {
    const char *name;
    hn_schema_node *node;
    bool dynamic;
    struct hn_schema_anchor *next;
} hn_schema_anchor;

typedef struct hn_schema_resource {
    const char *uri; /* absolute where a base is known, without fragment */
    hn_schema_node *root;
    hn_schema_anchor *anchors;
    unsigned vocabularies;
    bool foreign; /* of another document than the one that was compiled */
    bool older;   /* $schema names a draft before 2019-09 */
    struct hn_schema_resource *next;
} hn_schema_resource;

typedef struct hn_schema_list {
    hn_schema_node **nodes;
    size_t n;
} hn_schema_list;

typedef struct
    hn_schema_member { /* `properties`, `dependentSchemas`: sorted by key; `patternProperties`: with a pattern */
    const char *key;
    size_t len;
    hn_schema_pattern *pattern;
    hn_schema_node *node;
} hn_schema_member;

typedef struct hn_schema_members {
    hn_schema_member *at;
    size_t n;
} hn_schema_members;

struct hn_schema_node {
    const json_t *json;
    hn_schema_node *parent; /* with keyword, key or index: the place, rendered when an error needs it */
    const char *keyword, *key;
    size_t index;
    bool keyed; /* the place is keyword/key or keyword/index, not keyword alone */
    bool indexed;
    hn_schema_resource *resource;
    bool never;  /* the schema `false` */
    bool tracks; /* has unevaluatedItems or unevaluatedProperties */
    /* references */
    const char *ref_text, *dynamic_text, *dynamic_name;
    hn_schema_node *ref, *dynamic_ref;
    hn_schema_node *next_pending;
    /* in place */
    hn_schema_list all_of, any_of, one_of;
    hn_schema_node *not_, *if_, *then_, *else_;
    /* objects */
    hn_schema_members properties, patterns, dependent_schemas;
    hn_schema_node *additional, *property_names, *unevaluated_properties;
    const json_t *required, *dependent_required;
    int64_t min_properties, max_properties; /* -1: no limit, also below */
    /* arrays */
    hn_schema_list prefix;
    hn_schema_node *items, *contains, *unevaluated_items;
    int64_t min_items, max_items, min_contains, max_contains;
    bool unique;
    /* values */
    unsigned types; /* 0: any */
    const json_t *enum_, *const_, *minimum, *maximum, *exclusive_minimum, *exclusive_maximum, *multiple_of;
    int64_t min_length, max_length;
    hn_schema_pattern *pattern;
    const char *format; /* only where it is asserted */
};

typedef struct hn_schema_document {
    json_t *json; /* owned copy */
    const char *uri;
    hn_schema_resource *resource;
    struct hn_schema_document *next;
} hn_schema_document;

struct hn_schema_pattern {
    void *code; /* pcre2_code */
    const char *source;
    hn_schema_pattern *next;
};

struct hn_json_schema_registry {
    struct hn_schema_registered {
        char *uri;
        json_t *json;
    } * at;
    size_t n, capacity;
};

struct hn_json_schema {
    hn_arena *arena;
    hn_schema_node *root;
    hn_schema_document *documents;
    hn_schema_resource *resources;
    hn_schema_pattern *patterns;
};

/* Only while compiling. */
typedef struct hn_schema_compiler {
    hn_json_schema *schema;
    const hn_json_schema_registry *registry;
    bool assert_formats;
    bool foreign;
    hn_schema_node *pending; /* nodes whose references are not resolved yet */
    struct hn_schema_slot {
        const json_t *json;
        hn_schema_node *node;
    } * map; /* open addressing */
    size_t n_map, map_capacity, n_nodes;
    hn_error *err;
} hn_schema_compiler;

/* json_schema_compile.c. Makes the node of a subschema and of all below it; NULL: c->err says why. */
hn_schema_node *hn_schema_index(hn_schema_compiler *c, const json_t *json, hn_schema_node *parent, const char *keyword,
                                const char *key, size_t index, bool keyed, hn_schema_resource *resource, int depth);
hn_schema_node *hn_schema_find_node(const hn_schema_compiler *c, const json_t *json);
/* The place of a node ("/properties/x", "URI#/..." in other documents), with `keyword` behind it (may be NULL). */
void hn_schema_node_path(const hn_schema_node *node, const char *keyword, char *out, size_t size);
hn_status hn_schema_fail(hn_schema_compiler *c, hn_status code, const hn_schema_node *node, const char *keyword,
                         const char *hint, const char *fmt, ...) HN_PRINTF(6, 7);

/* json_schema_refs.c. Adds a document (copied) and indexes it under `uri`. */
hn_status hn_schema_add_document(hn_schema_compiler *c, const json_t *json, const char *uri, hn_schema_node **root);
hn_status hn_schema_resolve_pending(hn_schema_compiler *c);
/* The vocabularies that $schema asks for. */
hn_status hn_schema_vocabularies(hn_schema_compiler *c, const hn_schema_node *node, const char *uri, unsigned *bits,
                                 bool *older);
/* Looks the anchor up in one resource. */
hn_schema_anchor *hn_schema_find_anchor(const hn_schema_resource *resource, const char *name);

/* json_schema_uri.c. RFC 3986: `reference` against `base`, without the fragment; *fragment (may be NULL) gets what is behind '#', percent-decoded, or
 * NULL. Texts are in the arena; NULL: memory is used up. */
char *hn_schema_uri_resolve(hn_arena *arena, const char *base, const char *reference, char **fragment);

/* json_schema_meta.c. The text of an embedded metaschema; NULL: none has that URI. */
const char *hn_schema_metaschema(const char *uri);

/* json_schema_pattern.c. ECMA-262 (with /u) patterns on PCRE2. */
hn_status hn_schema_pattern_compile(const char *source, size_t n, void **code, const char **problem, char message[200]);
void hn_schema_pattern_free(void *code);
hn_schema_scratch *hn_schema_scratch_create(void); /* one a thread; NULL: memory is used up */
void hn_schema_scratch_free(hn_schema_scratch *scratch);
/* Whether it matches anywhere; HN_ERR_LIMIT: the search gave up. */
hn_status hn_schema_pattern_search(const void *code, hn_schema_scratch *scratch, const char *text, size_t n,
                                   bool *found);

#endif
