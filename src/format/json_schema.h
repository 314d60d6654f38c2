/* JSON Schema, draft 2020-12: a full validator. A schema is compiled once and validates any number of values.
 *
 *     hn_json_schema *schema;
 *     hn_json_schema_result result;
 *     HN_TRY(hn_json_schema_create(schema_json, NULL, &schema, &err));       // /properties/x/minimum: must be a number
 *     HN_TRY(hn_json_schema_validate(schema, value, &result, &err));         // result.valid, else result.errors[0] ...
 *     HN_TRY(hn_json_schema_check(schema, value, "answer", &err));           // or: the errors as one hn_error
 *     hn_json_schema_free(schema);
 *
 * Nothing is ever fetched: a $ref to another document finds it in the registry or among the embedded draft 2020-12
 * metaschemas, or is an error. `format` is an annotation unless assert_formats is set (or the metaschema says so).
 * Numbers are compared exactly, as the decimals that their JSON text has (reals as doubles print shortest): 1.0 is an
 * integer and equals 1; 0.0075 is a multiple of 0.0001.
 * Schemas and values are hostile input: nesting, work and pattern searches are limited (HN_ERR_LIMIT).
 * Ownership: a schema copies what it is made from; registries own copies too. Threading: a compiled schema is
 * read-only and may be shared. */
#ifndef HN_FORMAT_JSON_SCHEMA_H
#define HN_FORMAT_JSON_SCHEMA_H

#include "format/json.h"

typedef struct hn_json_schema hn_json_schema;
typedef struct hn_json_schema_registry hn_json_schema_registry;

enum { HN_JSON_SCHEMA_ERRORS_MAX = 8 };

typedef struct hn_json_schema_options {
    const hn_json_schema_registry *registry; /* other documents that $ref may name; may be NULL */
    const char *base_uri;                    /* what relative $refs start from; NULL: the schema's own $id */
    bool assert_formats; /* date, date-time, time, email, uuid, uri, ipv4, ipv6, hostname are checked */
} hn_json_schema_options;

typedef struct hn_json_schema_error {
    char instance_path[256]; /* JSON pointer into the value; "" is the value itself; long ones are cut in front */
    char schema_path[256];   /* JSON pointer into the schema, behind "URI#" where it is another document's */
    char message[320];       /* "-2 is below the minimum 0" */
} hn_json_schema_error;

typedef struct hn_json_schema_result {
    bool valid;
    size_t n_errors; /* kept, at most HN_JSON_SCHEMA_ERRORS_MAX; there may be more */
    hn_json_schema_error errors[HN_JSON_SCHEMA_ERRORS_MAX];
} hn_json_schema_result;

/* NULL: memory is used up. */
hn_json_schema_registry *hn_json_schema_registry_create(void);
/* Copies `schema`; `uri` is what $ref calls it. HN_ERR_EXISTS: the URI is there already. */
hn_status hn_json_schema_registry_add(hn_json_schema_registry *registry, const char *uri, const json_t *schema,
                                      hn_error *err) HN_MUST_CHECK;
void hn_json_schema_registry_free(hn_json_schema_registry *registry);

/* Compiles. HN_ERR_INPUT: a keyword has a value it cannot have, a pattern or a $ref is wrong (where: its place in the
 * schema); HN_ERR_NOT_FOUND: a $ref names a document or place that is not there; HN_ERR_UNSUPPORTED: an older draft's
 * keyword that draft 2020-12 would ignore. `options` may be NULL. */
hn_status hn_json_schema_create(const json_t *schema, const hn_json_schema_options *options, hn_json_schema **compiled,
                                hn_error *err) HN_MUST_CHECK;
void hn_json_schema_free(hn_json_schema *schema);
/* Fills `result`; a value that the schema refuses is HN_OK with valid = false. HN_ERR_LIMIT: nesting, work or a pattern
 * search is past its limit (also a schema that refers to itself without end). */
hn_status hn_json_schema_validate(const hn_json_schema *schema, const json_t *value, hn_json_schema_result *result,
                                  hn_error *err) HN_MUST_CHECK;
/* HN_ERR_INPUT where the schema refuses the value: the first errors as sentences, where = `where` and the first place. */
hn_status hn_json_schema_check(const hn_json_schema *schema, const json_t *value, const char *where,
                               hn_error *err) HN_MUST_CHECK;
/* "/items/3/price: -2 is below the minimum 0", for people. */
void hn_json_schema_error_text(const hn_json_schema_error *error, hn_buf *out);

/* Whether `text` has that format: 1 yes, 0 no, -1 a format that is not checked. */
int hn_json_schema_format(const char *format, const char *text, size_t n);

#endif
