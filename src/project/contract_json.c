/* `output: json` in hone.yaml: the schema from a file or written in place, compiled for checking values and tried as a grammar, so that what
 * cannot be enforced while an answer is generated is refused before anything runs; see scope.h. */
#include "project/scope.h"

#include "base/file.h"
#include "engine/grammar.h"

#include <stdio.h>
#include <string.h>

enum { SCHEMA_BYTES_MAX = 1 << 20 };

static hn_status read_file(const hn_yaml_node *node, const char *root, json_t **schema, hn_error *err) {
    char path[HN_PATH_MAX], *text;
    const char *name;
    size_t n;
    HN_TRY(hn_yaml_get_string(node, &name, err));
    HN_TRY(hn_path_join(path, root, name, err));
    if (!hn_file_exists(path) || hn_file_is_dir(path))
        return hn_yaml_fail(node, HN_ERR_NOT_FOUND, "paths are relative to the folder of hone.yaml", err,
                            "there is no file %s", name);
    HN_TRY(hn_file_read(path, SCHEMA_BYTES_MAX, &text, &n, err));
    hn_status st = hn_json_parse(text, n, name, HN_JSON_ANY, schema, err);
    hn_free(text);
    return st;
}

/* Puts the file's name, or the place in hone.yaml, in front of a place in the schema. */
static void name_place(const hn_yaml_node *node, hn_error *err) {
    char where[384];
    if (!err) return;
    if (node->kind == HN_YAML_STRING)
        snprintf(where, sizeof where, "%s", node->text);
    else
        hn_yaml_where(node, where, sizeof where);
    hn_error_prefix(err, where);
}

hn_status hn_contract_load_json(const hn_yaml_node *node, const char *root, hn_contract *c, hn_error *err) {
    hn_grammar *grammar = NULL;
    if (node && node->kind == HN_YAML_STRING)
        HN_TRY(read_file(node, root, &c->schema, err));
    else if (node && node->kind != HN_YAML_MAP)
        return hn_yaml_fail(node, HN_ERR_INPUT, "such as output: {json: schema.json}, or the schema itself", err,
                            "`json` must name a file or hold a JSON Schema");
    else
        c->schema = node ? hn_yaml_to_json(node) : json_true();
    if (!c->schema) return hn_fail_memory(err, 0);
    hn_status st = hn_json_schema_create(c->schema, NULL, &c->validator, err);
    if (st == HN_OK) st = hn_grammar_from_schema(c->schema, &grammar, err);
    hn_grammar_free(grammar);
    if (st != HN_OK && st != HN_ERR_MEMORY && node) name_place(node, err);
    return st;
}

void hn_contract_free(hn_contract *c) {
    json_decref(c->schema);
    hn_json_schema_free(c->validator);
    c->schema = NULL;
    c->validator = NULL;
}
