/* `output: json` from hone.yaml to the grade: targets checked by the schema, prompts that constrain or not, values compared and not texts, answers
 * that are no JSON, cut ones without a value, what the request carries. */
#include "fake_provider.h"
#include "support.h"

#include "app/answer_parse.h"
#include "app/app.h"
#include "base/alloc.h"
#include "lifecycle/eval/grade.h"
#include "project/prompt.h"

#include <stdio.h>
#include <string.h>

static char folder[HN_PATH_MAX];
static const char scope_text[] = "data: {file: t.csv, input: text, target: order}\n"
                                 "split: {train: 0, dev: 1}\n"
                                 "output:\n"
                                 "  json: {type: object, properties: {count: {type: integer, minimum: 1}, big: {type: "
                                 "boolean}}, required: [count]}\n";
static const char data_text[] =
    "text,order\none,\"{\"\"count\"\": 1, \"\"big\"\": false}\"\ntwo,\"{\"\"count\"\": 2}\"\n";

static void write_file(const char *name, const char *text) {
    char path[HN_PATH_MAX];
    hn_error err = {0};
    hn_test_ok(hn_path_join(path, folder, name, &err), &err);
    hn_test_ok(hn_file_write_atomic(path, text, strlen(text), &err), &err);
}

static hn_status open_project(const char *scope, const char *data, hn_project **p, const hn_dataset **d,
                              hn_error *err) {
    write_file("hone.yaml", scope);
    write_file("t.csv", data);
    HN_TRY(hn_project_open(folder, p, err));
    hn_status st = hn_project_dataset(*p, d, err);
    if (st != HN_OK) hn_project_close(*p);
    return st;
}

static void targets_fit_the_schema(void **state) {
    (void)state;
    hn_project *p;
    const hn_dataset *d;
    hn_error err = {0};
    hn_test_ok(open_project(scope_text, data_text, &p, &d, &err), &err);
    assert_int_equal(hn_project_scope(p)->contract.kind, HN_CONTRACT_JSON);
    hn_project_close(p);
    assert_int_equal(open_project(scope_text, "text,order\none,{}\ntwo,3\n", &p, &d, &err), HN_ERR_INPUT);
    assert_non_null(strstr(err.where, "t.csv:2"));
    assert_non_null(strstr(err.message, "does not fit the schema"));
    assert_int_equal(open_project(scope_text, "text,order\none,{count\n", &p, &d, &err), HN_ERR_INPUT);
    assert_non_null(strstr(err.message, "no JSON"));
    /* any JSON, and a schema from a file: the content decides, not the file's name */
    char hashes[2][65];
    hn_test_ok(open_project("data: {file: t.csv, input: text, target: order}\noutput: json\n", data_text, &p, &d, &err),
               &err);
    snprintf(hashes[0], 65, "%s", hn_project_scope_hash(p));
    hn_project_close(p);
    write_file("any.json", "true");
    hn_test_ok(open_project("data: {file: t.csv, input: text, target: order}\noutput: {json: any.json}\n", data_text,
                            &p, &d, &err),
               &err);
    assert_string_equal(hashes[0], hn_project_scope_hash(p));
    hn_project_close(p);
    write_file("any.json", "{}");
    hn_test_ok(hn_project_open(folder, &p, &err), &err);
    assert_string_not_equal(hashes[0], hn_project_scope_hash(p));
    hn_project_close(p);
}

static void values_are_compared(void **state) {
    (void)state;
    const hn_contract json = {.kind = HN_CONTRACT_JSON};
    assert_true(hn_grade_answer(&json, "{\"a\": 1, \"b\": [true, null]}", "{\"b\":[true,null],\"a\":1.0}"));
    assert_true(hn_grade_answer(&json, "\"x\"", "\"\\u0078\""));
    assert_false(hn_grade_answer(&json, "[1, 2]", "[2, 1]"));
    assert_false(hn_grade_answer(&json, "1", "\"1\""));
    assert_false(hn_grade_answer(&json, "{\"a\": 1}", "{\"a\": 1, \"b\": 2}"));
    assert_false(hn_grade_answer(&json, "1", NULL));
    assert_false(hn_grade_answer(&json, "1", "no json"));
}

static void answers_are_read(void **state) {
    (void)state;
    static const struct {
        const char *text, *value;
    } cases[] = {{"{\"count\": 3}", "{\"count\":3}"},
                 {"  {\"count\": 3, \"big\": true}\n", "{\"count\":3,\"big\":true}"},
                 {"```json\n{\"count\": 3}\n```", "{\"count\":3}"},
                 {"{\"count\": 0}", NULL},
                 {"{\"count\": 3", NULL},
                 {"It is {\"count\": 3}", NULL},
                 {"", NULL},
                 {"``````", NULL}};
    hn_project *p;
    const hn_dataset *d;
    hn_answer_parser *parser;
    hn_error err = {0};
    hn_test_ok(open_project(scope_text, data_text, &p, &d, &err), &err);
    hn_test_ok(hn_answer_parser_create(&hn_project_scope(p)->contract, NULL, &parser, &err), &err);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hn_parsed value;
        hn_test_ok(hn_answer_parse(parser, cases[i].text, strlen(cases[i].text), &value, &err), &err);
        assert_int_equal(value.valid, cases[i].value != NULL);
        if (cases[i].value) assert_string_equal(value.text, cases[i].value);
        hn_parsed_free(&value);
    }
    hn_answer_parser_free(parser);
    hn_project_close(p);
}

static hn_constraint_kind seen_kind;
static bool saw_free_reasoning;

static void write_order(const char *prompt, const hn_request *r, char out[256]) {
    (void)prompt;
    seen_kind = r->constraint.kind;
    if (r->max_tokens == 9) saw_free_reasoning = seen_kind == HN_CONSTRAIN_NONE;
    snprintf(out, 256, "{\"count\": 2}");
}

typedef struct seen {
    char value[64];
    bool has_value;
} seen;

static void on_answer(void *user, uint64_t ticket, const hn_answer *a) {
    seen *s = user;
    (void)ticket;
    assert_int_equal(a->status, HN_OK);
    s->has_value = a->value != NULL;
    if (a->value) snprintf(s->value, sizeof s->value, "%s", a->value);
}

/* The answer to the first case, what the request carried, and the parameter that is recorded. */
static seen ask(const char *scope, const char *prompt_text, hn_constraint_kind *kind, bool *recorded) {
    hn_project *p;
    const hn_dataset *d;
    hn_prompt *prompt;
    hn_app *app;
    json_t *parameters;
    hn_error err = {0};
    seen s = {{0}, false};
    char path[HN_PATH_MAX];
    hn_fake_script script = {.write = write_order};
    hn_provider *provider = hn_fake_provider(&script);
    hn_test_ok(open_project(scope, scope == scope_text ? data_text : "text,order\na,2\nb,3\n", &p, &d, &err), &err);
    write_file("p.yaml", prompt_text);
    hn_test_ok(hn_path_join(path, folder, "p.yaml", &err), &err);
    hn_test_ok(hn_prompt_load(path, hn_project_scope(p), d, &prompt, &err), &err);
    hn_test_ok(hn_app_create(&(hn_app_parts){hn_project_scope(p), d, prompt, provider, NULL, NULL}, &app, &err), &err);
    hn_test_ok(hn_app_parameters(app, &parameters, &err), &err);
    assert_true(json_is_boolean(json_object_get(parameters, "constrain")));
    *recorded = json_is_true(json_object_get(parameters, "constrain"));
    json_decref(parameters);
    hn_test_ok(hn_app_submit(app, &d->cases[0], 0, on_answer, &s, NULL, &err), &err);
    for (size_t pending = 1; pending;) hn_test_ok(hn_app_step(app, 100, &pending, &err), &err);
    *kind = seen_kind;
    hn_app_free(app);
    hn_prompt_free(prompt);
    hn_provider_close(provider);
    hn_project_close(p);
    return s;
}

static void prompts_constrain_unless_told(void **state) {
    (void)state;
    static const char plain[] = "messages: [{user: \"{{ text }}\"}]\n",
                      freely[] = "messages: [{user: \"{{ text }}\"}]\nconstrain: false\n";
    hn_constraint_kind kind;
    bool recorded;
    seen s = ask(scope_text, plain, &kind, &recorded);
    assert_string_equal(s.value, "{\"count\":2}");
    assert_int_equal(kind, HN_CONSTRAIN_SCHEMA);
    assert_true(recorded);
    s = ask(scope_text, freely, &kind, &recorded);
    assert_string_equal(s.value, "{\"count\":2}");
    assert_int_equal(kind, HN_CONSTRAIN_NONE);
    assert_false(recorded);
    s = ask(scope_text, "messages: [{user: \"{{ text }}\"}]\nreasoning: {max_tokens: 9}\n", &kind, &recorded);
    assert_true(saw_free_reasoning);
    assert_int_equal(kind, HN_CONSTRAIN_SCHEMA); /* the answer behind it */
    static const char number[] =
        "data: {file: t.csv, input: text, target: order}\noutput: {number: {min: 1, max: 5}}\n",
                      regex[] = "data: {file: t.csv, input: text, target: order}\noutput: {regex: '[0-9]'}\n",
                      words[] = "data: {file: t.csv, input: text, target: order}\noutput: text\n";
    ask(number, plain, &kind, &recorded);
    assert_int_equal(kind, HN_CONSTRAIN_SCHEMA);
    ask(regex, plain, &kind, &recorded);
    assert_int_equal(kind, HN_CONSTRAIN_REGEX);
    ask(words, plain, &kind, &recorded);
    assert_int_equal(kind, HN_CONSTRAIN_NONE);
    assert_false(recorded);
}

static void mistakes_are_named(void **state) {
    (void)state;
    hn_project *p;
    const hn_dataset *d;
    hn_prompt *prompt;
    hn_app *app;
    hn_error err = {0};
    char path[HN_PATH_MAX];
    hn_fake_script script = {.write = write_order};
    hn_test_ok(hn_path_join(path, folder, "p.yaml", &err), &err);
    hn_test_ok(open_project("data: {file: t.csv, input: text, target: order}\noutput: text\n", data_text, &p, &d, &err),
               &err);
    write_file("p.yaml", "messages: [{user: \"{{ text }}\"}]\nconstrain: true\n");
    assert_int_equal(hn_prompt_load(path, hn_project_scope(p), d, &prompt, &err), HN_ERR_INPUT);
    assert_non_null(strstr(err.where, "p.yaml:2:12"));
    hn_project_close(p);
    /* a pattern that PCRE2 knows and that is no regular language */
    hn_test_ok(open_project("data: {file: t.csv, input: text, target: order}\noutput: {regex: '(?=a)[a-z]+'}\n",
                            "text,order\nx,ab\ny,ac\n", &p, &d, &err),
               &err);
    write_file("p.yaml", "messages: [{user: \"{{ text }}\"}]\n");
    hn_test_ok(hn_prompt_load(path, hn_project_scope(p), d, &prompt, &err), &err);
    hn_provider *provider = hn_fake_provider(&script);
    assert_int_not_equal(
        hn_app_create(&(hn_app_parts){hn_project_scope(p), d, prompt, provider, NULL, NULL}, &app, &err), HN_OK);
    assert_non_null(strstr(err.where, "output: regex"));
    assert_non_null(strstr(err.hint, "`constrain: false` in"));
    hn_provider_close(provider);
    hn_prompt_free(prompt);
    hn_project_close(p);
}

static int enter(void **state) {
    (void)state;
    hn_test_folder(folder);
    return 0;
}

static int leave(void **state) {
    (void)state;
    hn_test_folder_remove(folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_fit_the_schema), cmocka_unit_test(values_are_compared),
        cmocka_unit_test(answers_are_read),       cmocka_unit_test(prompts_constrain_unless_told),
        cmocka_unit_test(mistakes_are_named),
    };
    hn_json_init();
    return cmocka_run_group_tests(tests, enter, leave);
}
