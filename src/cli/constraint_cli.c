/* The answer's shape by options; see constraint_cli.h. A schema is compiled by the validator before the model is asked, so what is wrong
 * with it is told with its place in the file. */
#include "cli/constraint_cli.h"

#include "base/file.h"
#include "base/str.h"
#include "model/tool_calls.h"

#include <string.h>

enum { SHAPE_BYTES_MAX = 16 << 20, CHOICES_MAX = 100000 };

static hn_status read_schema(hn_cli *cli, hn_cli_constraint *shape, hn_request *request, hn_error *err) {
    const char *path = hn_cli_string(cli, "json-schema");
    if (path) {
        HN_TRY(hn_json_read(path, SHAPE_BYTES_MAX, HN_JSON_ANY, &shape->schema, err));
    } else {
        shape->schema = json_pack("{s:s}", "type", "object");
        if (!shape->schema) return hn_fail_memory(err, 0);
    }
    hn_status st = hn_json_schema_create(shape->schema, NULL, &shape->validator, err);
    if (st != HN_OK && st != HN_ERR_MEMORY && path) hn_error_prefix(err, path);
    request->constraint.schema = shape->schema;
    request->constraint.name = path ? path : "--json-object";
    return st;
}

static hn_status read_grammar(hn_cli *cli, hn_cli_constraint *shape, hn_request *request, hn_error *err) {
    const char *path = hn_cli_string(cli, "grammar");
    size_t n;
    HN_TRY(hn_file_read(path, SHAPE_BYTES_MAX, &shape->text, &n, err));
    if (strlen(shape->text) != n)
        return hn_fail(err, HN_ERR_INPUT, path, "take the NUL bytes out", "the grammar has a NUL byte");
    request->constraint.text = shape->text;
    request->constraint.name = path;
    return HN_OK;
}

/* "a, b,c" into three texts. */
static hn_status read_choices(hn_cli *cli, hn_request *request, hn_error *err) {
    const char *text = hn_cli_string(cli, "choices");
    size_t n = 1, i = 0;
    for (const char *at = text; *at; at++) n += *at == ',';
    if (n > CHOICES_MAX)
        return hn_fail(err, HN_ERR_LIMIT, "--choices", NULL, "there are %zu choices, the limit is %d", n, CHOICES_MAX);
    const char **choices = hn_arena_calloc(cli->arena, n, sizeof *choices);
    if (!choices) return hn_fail_memory(err, n * sizeof *choices);
    for (; i < n; i++) {
        size_t length = strcspn(text, ",");
        hn_str part = hn_str_trim((hn_str){text, length});
        if (part.len == 0) return hn_cli_usage(cli, err, "--choices has an empty choice: write them as a,b,c");
        char *copy = hn_arena_calloc(cli->arena, part.len + 1, 1);
        if (!copy) return hn_fail_memory(err, part.len);
        memcpy(copy, part.data, part.len);
        choices[i] = copy;
        text += length + 1;
    }
    request->constraint.choices = choices;
    request->constraint.n_choices = n;
    request->constraint.name = "--choices";
    return HN_OK;
}

static hn_status read_tools(hn_cli *cli, hn_cli_constraint *shape, hn_request *request, hn_error *err) {
    const char *path = hn_cli_string(cli, "tools"), *choice = hn_cli_string(cli, "tool-choice");
    if (choice && !path) return hn_cli_usage(cli, err, "--tool-choice stands beside --tools");
    if (!path) return HN_OK;
    HN_TRY(hn_json_read(path, SHAPE_BYTES_MAX, 0, &shape->tools, err));
    HN_TRY(hn_tools_check(shape->tools, path, err));
    request->tools = shape->tools;
    request->tool_choice = choice;
    bool known = !choice || strcmp(choice, "auto") == 0 || strcmp(choice, "none") == 0;
    bool demands = !known;
    known = known || strcmp(choice, "required") == 0 || hn_tools_find(shape->tools, choice) >= 0;
    if (!known)
        return hn_fail(err, HN_ERR_USAGE, "--tool-choice", "auto, none, required, or the name of one of the tools",
                       "there is no tool `%.100s` in %s", choice, path);
    if (demands && shape->kind != HN_CONSTRAIN_NONE)
        return hn_cli_usage(cli, err, "--tool-choice %.100s says what the answer is: it excludes --%s", choice,
                            "json-schema, --json-object, --regex, --grammar and --choices");
    return HN_OK;
}

hn_status hn_cli_read_constraint(hn_cli *cli, hn_cli_constraint *shape, hn_request *request, hn_error *err) {
    static const char *const names[] = {"json-schema", "json-object", "regex", "grammar", "choices", NULL};
    static const hn_constraint_kind kinds[] = {HN_CONSTRAIN_SCHEMA, HN_CONSTRAIN_SCHEMA, HN_CONSTRAIN_REGEX,
                                               HN_CONSTRAIN_GBNF, HN_CONSTRAIN_CHOICES};
    hn_status st = HN_OK;
    *shape = (hn_cli_constraint){0};
    HN_TRY(hn_cli_one_of(cli, names, false, err));
    for (size_t i = 0; names[i]; i++)
        if (hn_cli_given(cli, names[i])) shape->kind = kinds[i];
    request->constraint.kind = shape->kind;
    switch (shape->kind) {
    case HN_CONSTRAIN_NONE:
    case HN_CONSTRAIN_JSON: break;
    case HN_CONSTRAIN_SCHEMA: st = read_schema(cli, shape, request, err); break;
    case HN_CONSTRAIN_REGEX:
        request->constraint.text = hn_cli_string(cli, "regex");
        request->constraint.name = "--regex";
        break;
    case HN_CONSTRAIN_GBNF: st = read_grammar(cli, shape, request, err); break;
    case HN_CONSTRAIN_CHOICES: st = read_choices(cli, request, err); break;
    }
    if (st == HN_OK) st = read_tools(cli, shape, request, err);
    if (st != HN_OK) hn_cli_constraint_free(shape);
    return st;
}

json_t *hn_cli_parsed(const hn_cli_constraint *shape, const hn_completion *c) {
    json_t *value = NULL;
    hn_json_schema_result result;
    if (shape->kind == HN_CONSTRAIN_NONE) return NULL;
    if (c->status != HN_OK || c->finish != HN_FINISH_STOP) return json_null();
    if (shape->kind != HN_CONSTRAIN_SCHEMA) return hn_cli_text(c->text, c->text_bytes);
    if (hn_json_parse(c->text, c->text_bytes, "answer", HN_JSON_ANY | HN_JSON_NUL, &value, NULL) != HN_OK)
        return json_null();
    if (hn_json_schema_validate(shape->validator, value, &result, NULL) == HN_OK && result.valid) return value;
    json_decref(value);
    return json_null();
}

void hn_cli_constraint_free(hn_cli_constraint *shape) {
    json_decref(shape->schema);
    json_decref(shape->tools);
    hn_json_schema_free(shape->validator);
    hn_free(shape->text);
    *shape = (hn_cli_constraint){0};
}
