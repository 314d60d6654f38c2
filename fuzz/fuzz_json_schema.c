/* A schema and a value, as two lines of JSON: compiled or refused, validated or past a limit; a refusal comes with errors, an
 * acceptance with none, and the same twice. */
#include "format/json_schema.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void validate(const hn_json_schema *schema, const json_t *value) {
    hn_json_schema_result first, second;
    hn_error err = {0};
    hn_status st = hn_json_schema_validate(schema, value, &first, &err);
    if (st == HN_OK ? first.valid != (first.n_errors == 0) : !err.message[0]) abort();
    if (hn_json_schema_validate(schema, value, &second, &err) != st || memcmp(&first, &second, sizeof first) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_t *json, *value;
    hn_json_schema *schema;
    hn_error err = {0};
    hn_json_init();
    const char *text = (const char *)data, *newline = memchr(data, '\n', size);
    if (!newline) return 0;
    size_t n = (size_t)(newline - text);
    if (hn_json_parse(text, n, "schema", HN_JSON_ANY, &json, &err) != HN_OK) return 0;
    hn_json_schema_options options = {.assert_formats = true};
    hn_status st = hn_json_schema_create(json, &options, &schema, &err);
    json_decref(json);
    if (st != HN_OK) {
        if (!err.message[0] || err.code != st) abort();
        return 0;
    }
    if (hn_json_parse(newline + 1, size - n - 1, "value", HN_JSON_ANY | HN_JSON_NUL, &value, &err) == HN_OK) {
        validate(schema, value);
        json_decref(value);
    }
    hn_json_schema_free(schema);
    return 0;
}
