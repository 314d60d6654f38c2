/* project/scope, target and project: hone.yaml read whole, and every mistake a user can make with its exact place, finding and remedy. */
#include "support.h"

#include "base/alloc.h"
#include "project/project.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static char folder[HN_PATH_MAX];

static void write_file(const char *name, const char *text) {
    char path[HN_PATH_MAX];
    hn_error err = {0};
    hn_test_ok(hn_path_join(path, folder, name, &err), &err);
    hn_test_ok(hn_file_write_atomic(path, text, strlen(text), &err), &err);
}

static const char good_data[] =
    "id,who,subject,body,team\n1,a,s,b,billing\n2,b,s2,b2,login\n3,c,s3,b3,login\n4,d,s4,b4,billing\n";
static const char good_scope[] = "goal: Route tickets\n"
                                 "data:\n"
                                 "  file: t.csv\n"
                                 "  input: [subject, body]\n"
                                 "  target: team\n"
                                 "  group: who\n"
                                 "  id: id\n"
                                 "split: {train: 0.5, dev: 0.25, test: 0.25, seed: 3, stratify: false}\n"
                                 "output:\n"
                                 "  choice: [billing, login]\n"
                                 "metric: macro_f1\n"
                                 "target_value: 0.9\n"
                                 "smallest_difference: 0.05\n"
                                 "limits: {latency_ms: 200, memory_mb: 600, cost_per_1000: 1.5}\n"
                                 "model: smollm2\n"
                                 "baseline: r7\n";

/* Opens the project and its data; the status of whichever fails. */
static hn_status open_all(hn_project **p, hn_error *err) {
    const hn_dataset *d;
    HN_TRY(hn_project_open(folder, p, err));
    hn_status st = hn_project_dataset(*p, &d, err);
    if (st != HN_OK) {
        hn_project_close(*p);
        *p = NULL;
    }
    return st;
}

static hn_project *open_good(const char *scope, const char *data) {
    hn_project *p;
    hn_error err = {0};
    write_file("hone.yaml", scope);
    write_file("t.csv", data);
    hn_test_ok(open_all(&p, &err), &err);
    return p;
}

static void refuses(const char *scope, const char *data, hn_status code, const char *where, const char *message,
                    const char *hint) {
    hn_project *p = NULL;
    hn_error err = {0};
    write_file("hone.yaml", scope);
    if (data) write_file("t.csv", data);
    hn_status st = open_all(&p, &err);
    if (st != code) fail_msg("%s\n%s (%s) instead of %s", scope, hn_status_name(st), err.message, hn_status_name(code));
    if (strcmp(err.where, where) != 0) fail_msg("%s\nat %s instead of %s: %s", scope, err.where, where, err.message);
    if (strcmp(err.message, message) != 0) fail_msg("message \"%s\" instead of \"%s\"", err.message, message);
    if (!strstr(err.hint, hint)) fail_msg("hint \"%s\" lacks \"%s\"", err.hint, hint);
}

/* good_scope with one line (from 1) replaced. */
static const char *with(int line, const char *text) {
    static char out[2000];
    const char *at = good_scope;
    for (int i = 1; i < line; i++) at = strchr(at, '\n') + 1;
    snprintf(out, sizeof out, "%.*s%s%s", (int)(at - good_scope), good_scope, text, strchr(at, '\n'));
    return out;
}

static void whole_scope(void **state) {
    (void)state;
    hn_project *p = open_good(good_scope, good_data);
    const hn_scope *s = hn_project_scope(p);
    const hn_dataset *d;
    char path[HN_PATH_MAX];
    hn_error err = {0};
    hn_test_ok(hn_path_join(path, hn_project_root(p), "t.csv", &err), &err);
    assert_string_equal(s->goal, "Route tickets");
    assert_string_equal(s->file, path);
    assert_null(s->train_file);
    assert_int_equal(s->n_inputs, 2);
    assert_string_equal(s->input_columns[1], "body");
    assert_string_equal(s->group_column, "who");
    assert_true(s->split_train == 0.5 && s->split_dev == 0.25 && s->split_test == 0.25 && s->split_seed == 3 &&
                !s->stratify);
    assert_int_equal(s->contract.kind, HN_CONTRACT_CHOICE);
    assert_string_equal(s->contract.labels[1], "login");
    assert_string_equal(s->metric, "macro_f1");
    assert_true(s->target_value == 0.9 && s->smallest_difference == 0.05);
    assert_true(s->limit_latency_ms == 200 && s->limit_memory_mb == 600 && s->limit_cost_per_1000 == 1.5);
    assert_string_equal(s->model, "smollm2");
    assert_string_equal(s->baseline, "r7");
    hn_test_ok(hn_project_dataset(p, &d, &err), &err);
    assert_int_equal(d->cases[0].label, 0);
    assert_int_equal(d->cases[2].label, 1);
    hn_test_ok(hn_path_join(path, hn_project_root(p), ".hone", &err), &err);
    assert_string_equal(hn_project_store_dir(p), path);
    hn_project_close(p);
}

static void defaults(void **state) {
    (void)state;
    hn_project *p = open_good("data: {file: t.csv, target: team}\noutput: {choice: [billing, login]}\n", good_data);
    const hn_scope *s = hn_project_scope(p);
    assert_string_equal(s->goal, "");
    assert_null(s->input_columns);
    assert_true(s->split_train == 0.5 && s->split_dev == 0.25 && s->split_test == 0.25 && s->split_seed == 7 &&
                s->stratify);
    assert_string_equal(s->metric, "accuracy");
    assert_true(isnan(s->target_value) && isnan(s->limit_latency_ms) && s->smallest_difference == 0.02);
    assert_null(s->model);
    assert_string_equal(s->baseline, "majority");
    hn_project_close(p);
}

static void other_contracts(void **state) {
    (void)state;
    hn_project *p = open_good("data: {file: t.csv, target: y}\noutput: text\n", "x,y\n1,a\n2,b\n3,c\n4,d\n");
    assert_int_equal(hn_project_scope(p)->contract.kind, HN_CONTRACT_TEXT);
    assert_false(hn_project_scope(p)->stratify);
    hn_project_close(p);
    p = open_good("data: {file: t.csv, target: y}\noutput: {number: {min: -1, max: 5}}\n",
                  "x,y\n1,-1\n2,2\n3,4.5\n4,5\n");
    assert_true(hn_project_scope(p)->contract.low == -1 && hn_project_scope(p)->contract.high == 5);
    hn_project_close(p);
    p = open_good("data: {file: t.csv, target: y}\noutput: number\n", "x,y\n1,-1\n2,2\n3,4.5\n4,5\n");
    assert_true(isinf(hn_project_scope(p)->contract.low) && isinf(hn_project_scope(p)->contract.high));
    hn_project_close(p);
    p = open_good("data: {file: t.csv, target: y}\noutput: {regex: '[A-Z]\\d+'}\n", "x,y\n1,A1\n2,B22\n3,C3\n4,D4\n");
    assert_string_equal(hn_project_scope(p)->contract.regex, "[A-Z]\\d+");
    hn_project_close(p);
}

static void files_for_splits(void **state) {
    (void)state;
    const hn_dataset *d;
    hn_error err = {0};
    write_file("test.csv", "team,x\nlogin,9\n");
    hn_project *p =
        open_good("data: {file: t.csv, test: test.csv, input: x, target: team}\noutput: {choice: [billing, login]}\n",
                  "x,team\n1,billing\n2,login\n3,login\n4,login\n5,billing\n");
    hn_test_ok(hn_project_dataset(p, &d, &err), &err);
    assert_int_equal(d->n_cases, 6);
    for (size_t i = 0; i < 6; i++) assert_true((d->cases[i].split == HN_SPLIT_TEST) == (i == 5));
    hn_project_close(p);
    p = open_good("data: {train: t.csv, dev: test.csv, target: team}\noutput: {choice: [billing, login]}\n",
                  "x,team\n1,billing\n");
    hn_test_ok(hn_project_dataset(p, &d, &err), &err);
    assert_int_equal(d->cases[0].split, HN_SPLIT_TRAIN);
    assert_int_equal(d->cases[1].split, HN_SPLIT_DEV);
    hn_project_close(p);
}

static void mistakes_in_the_scope(void **state) {
    (void)state;
    static const hn_status bad = HN_ERR_INPUT, later = HN_ERR_UNSUPPORTED;
    write_file("t.csv", good_data);
    refuses("", NULL, bad, "hone.yaml:1:1", "the file says nothing", "hone init");
    refuses("- a\n", NULL, bad, "hone.yaml:1:1", "the file must be a map, but a list is here", "key: value");
    refuses(with(1, "gaol: x"), NULL, bad, "hone.yaml:1:1", "unknown key `gaol` in the file", "did you mean `goal`?");
    refuses(with(1, "judge: {}"), NULL, later, "hone.yaml:1:8", "`judge` belongs to a later version of hone",
            "take it out");
    refuses("goal: x\n", NULL, bad, "hone.yaml:1:1", "the file has no `data`", "data: {file:");
    refuses(with(3, "  flie: t.csv"), NULL, bad, "hone.yaml:3:3", "unknown key `flie` in `data`",
            "did you mean `file`?");
    refuses(with(3, "  file: nowhere.csv"), NULL, HN_ERR_NOT_FOUND, "hone.yaml:3:9", "there is no file nowhere.csv",
            "relative to the folder");
    refuses(with(3, "  train: t.csv"), NULL, bad, "hone.yaml:3:3", "`data` has a `train` file and no `dev` file",
            "`dev`");
    refuses(with(3, "  {file: t.csv, train: t.csv}\nx:"), NULL, bad, "hone.yaml:4:1", "unknown key `x` in the file",
            "allowed");
    refuses(with(4, "  input: []"), NULL, bad, "hone.yaml:4:10", "the list is empty", "columns");
    refuses(with(4, "  input: [subject, subject]"), NULL, bad, "hone.yaml:4:20", "`subject` is in the list twice",
            "keep one");
    refuses(with(4, "  input: [subject, team]"), NULL, bad, "hone.yaml:4:10", "`team` is the target",
            "the answer must not be in the question");
    refuses(with(4, "  input: [subject, boby]"), NULL, bad, "hone.yaml:4:20",
            "`data.input[2]`: t.csv has no column `boby`", "did you mean `body`?");
    refuses(with(5, "  target: taem"), NULL, bad, "hone.yaml:5:11", "`data.target`: t.csv has no column `taem`",
            "did you mean `team`? columns: id, who");
    refuses(with(5, "  target: {a: b}"), NULL, bad, "hone.yaml:5:11", "`data.target` must be text, but a map is here",
            "quotes");
    refuses(with(6, "  group: team"), NULL, bad, "hone.yaml:6:10", "`team` is the target already", "one role");
    refuses(with(8, "split: {train: 0.5, dev: 0.3}"), NULL, bad, "hone.yaml:8:8",
            "the shares add up to 0.8 instead of 1", "test: 0.25");
    refuses(with(8, "split: {train: 1}"), NULL, bad, "hone.yaml:8:8", "the dev split would be empty", "dev");
    refuses(with(8, "split: {train: 50}"), NULL, bad, "hone.yaml:8:16",
            "`split.train` must be a number from 0 to 1, but 50 is here", "");
    refuses(with(8, "split: {seed: x}"), NULL, bad, "hone.yaml:8:15",
            "`split.seed` must be a whole number from 0 on, but the text \"x\" is here", "");
    refuses(with(10, "  choise: [a]"), NULL, bad, "hone.yaml:10:3", "unknown key `choise` in `output`",
            "did you mean `choice`?");
    refuses(with(10, "  choice: [billing]"), NULL, bad, "hone.yaml:10:11", "a choice needs at least two labels",
            "all labels");
    refuses(with(10, "  choice: billing"), NULL, bad, "hone.yaml:10:11",
            "`output.choice` must be a list, but the text \"billing\" is here", "[a, b]");
    refuses(with(10, "  {choice: [a, b], text: }"), NULL, bad, "hone.yaml:10:3",
            "`output` names 2 kinds of answer instead of one", "such as");
    refuses(with(10, "  json: schema.json"), NULL, HN_ERR_NOT_FOUND, "hone.yaml:10:9", "there is no file schema.json",
            "relative");
    refuses(with(10, "  json: [a]"), NULL, bad, "hone.yaml:10:9", "`json` must name a file or hold a JSON Schema",
            "schema.json");
    refuses(with(10, "  json: {properties: {x: {not: {type: string}}}}"), NULL, later,
            "hone.yaml:10:9:/properties/x/not", "`not` cannot be enforced while text is generated", "");
    refuses(with(10, "  json: {type: objekt}"), NULL, bad, "hone.yaml:10:9:/type",
            "\"objekt\" is no type: null, boolean, object, array, number, string, integer are", "");
    write_file("schema.json", "{\n  \"type\": \"object\",\n  \"minimum\" 3}");
    refuses(with(10, "  json: schema.json"), NULL, bad, "schema.json:3:13", "not valid JSON: ':' expected near '3'",
            "");
    write_file("schema.json", "{\"properties\": {\"a\": {\"minimum\": \"x\"}}}");
    refuses(with(10, "  json: schema.json"), NULL, bad, "schema.json:/properties/a/minimum",
            "`minimum` must be a number, it is a string", "");
    refuses(with(10, "  number: {min: 3, max: 2}"), NULL, bad, "hone.yaml:10:25", "`max` is 2, below `min`, which is 3",
            "exchange");
    refuses(
        with(11, "metric: acuracy"), NULL, bad, "hone.yaml:11:9",
        "`metric` must be accuracy, macro_f1, micro_f1, weighted_f1, mcc or kappa, but the text \"acuracy\" is here",
        "did you mean `accuracy`?");
    refuses(with(10, "  text:"), NULL, bad, "hone.yaml:11:9",
            "macro_f1 is about classes: it needs `output: {choice: [...]}`", "accuracy");
    refuses(with(12, "target_value: 90"), NULL, bad, "hone.yaml:12:15",
            "`target_value` must be a number from 0 to 1, but 90 is here", "");
    refuses(with(13, "smallest_difference: 0"), NULL, bad, "hone.yaml:13:22",
            "`smallest_difference` must be more than 0", "0.02");
    refuses(with(14, "limits: {latency: 3}"), NULL, bad, "hone.yaml:14:10", "unknown key `latency` in `limits`",
            "did you mean `latency_ms`?");
    refuses(with(15, "model: [a]"), NULL, bad, "hone.yaml:15:8", "`model` must be text, but a list is here", "");
    refuses(with(15, "goal: again"), NULL, bad, "hone.yaml:15:1",
            "`goal` is here a second time; the first is in line 1", "keep one");
}

static void patterns_are_checked(void **state) {
    (void)state;
    hn_project *p = NULL;
    hn_error err = {0};
    write_file("hone.yaml", "data: {file: t.csv, target: team}\noutput: {regex: '(a'}\n");
    assert_int_equal(open_all(&p, &err), HN_ERR_INPUT);
    assert_string_equal(err.where, "hone.yaml:2:17");
}

static void mistakes_in_the_data(void **state) {
    (void)state;
    static const hn_status bad = HN_ERR_INPUT;
    static const char head[] = "id,who,subject,body,team\n";
    char data[300];
    snprintf(data, sizeof data, "%s1,a,\"x\ny\",b,billing\n2,a,s,b,logn\n", head);
    refuses(good_scope, data, bad, "t.csv:4", "\"logn\" is none of the labels in `output.choice`",
            "did you mean `login`? correct the row, or add the label in hone.yaml:10");
    snprintf(data, sizeof data, "%s1,a,s,b,\n", head);
    refuses(good_scope, data, bad, "t.csv:2", "the row has no target in column `team`", "label the row");
    snprintf(data, sizeof data, "%s1,a,s,b,billing\n2,b,s,b,billing\n", head);
    refuses(good_scope, data, bad, "hone.yaml:10:21",
            "the label `login` is not in the data: none of the 2 cases has it", "take it out");
    snprintf(data, sizeof data, "%s1,a,s,\"b,billing\n2,b,s,b,billing\n", head);
    refuses(good_scope, data, bad, "t.csv:2:7", "the quote opened here is never closed", "close the quote");
    snprintf(data, sizeof data, "%s1,a,s,b,billing\n2,a,s,b,login\n", head);
    refuses(good_scope, data, bad, "hone.yaml", "2 cases are too few: no case is in the dev split", "add cases");
    refuses("data: {file: t.csv, target: y}\noutput: {number: {max: 5}}\n", "x,y\n1,2\n2,6\n", bad, "t.csv:3",
            "the target 6 is outside of `output.number`, which goes from -inf to 5", "widen");
    refuses("data: {file: t.csv, target: y}\noutput: number\n", "x,y\n1,2\n2,six\n", bad, "t.csv:3",
            "the target \"six\" is no number", "0.25");
    refuses("data: {file: t.csv, target: y}\noutput: {regex: '\\d+'}\n", "x,y\n1,2\n2,6a\n", bad, "t.csv:3",
            "the target \"6a\" does not match `output.regex` as a whole", "pattern");
}

static void found_from_below(void **state) {
    (void)state;
    hn_project *p = open_good(good_scope, good_data), *q;
    char inner[HN_PATH_MAX];
    hn_error err = {0};
    hn_test_ok(hn_path_join(inner, folder, "prompts/old", &err), &err);
    hn_test_ok(hn_dir_create(inner, &err), &err);
    hn_test_ok(hn_project_open(inner, &q, &err), &err);
    assert_string_equal(hn_project_root(p), hn_project_root(q));
    hn_project_close(p);
    hn_project_close(q);
    assert_int_equal(hn_project_open("/", &p, &err), HN_ERR_NOT_FOUND);
    assert_null(p);
    assert_non_null(strstr(err.hint, "hone init"));
    assert_int_equal(hn_project_open("/no/such/folder", &p, &err), HN_ERR_NOT_FOUND);
}

static void hash_is_of_the_meaning(void **state) {
    (void)state;
    char first[65];
    hn_project *p = open_good(good_scope, good_data);
    snprintf(first, sizeof first, "%s", hn_project_scope_hash(p));
    hn_project_close(p);
    p = open_good(with(1, "# a comment\ngoal: other words"), good_data);
    assert_string_equal(hn_project_scope_hash(p), first);
    hn_project_close(p);
    p = open_good(with(8, "split: {train: 0.5, dev: 0.25, test: 0.25, seed: 4, stratify: false}"), good_data);
    assert_string_not_equal(hn_project_scope_hash(p), first);
    hn_project_close(p);
}

static void out_of_memory_is_a_status(void **state) {
    (void)state;
    write_file("hone.yaml", good_scope);
    write_file("t.csv", good_data);
    for (size_t n = 1;; n++) {
        hn_project *p = NULL;
        hn_error err = {0};
        hn_alloc_fail_at(n, true);
        hn_status st = open_all(&p, &err);
        hn_alloc_fail_at(0, false);
        hn_project_close(p);
        if (st == HN_OK) return;
        if (st != HN_ERR_MEMORY) fail_msg("allocation %zu: %s: %s", n, hn_status_name(st), err.message);
    }
}

/* Errors show paths as seen from the current folder: the tests stand in the project's. */
static int enter(void **state) {
    (void)state;
    hn_json_init();
    return hn_test_enter(folder);
}

static int leave(void **state) {
    (void)state;
    return hn_test_leave(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_scope),
        cmocka_unit_test(defaults),
        cmocka_unit_test(other_contracts),
        cmocka_unit_test(files_for_splits),
        cmocka_unit_test(mistakes_in_the_scope),
        cmocka_unit_test(patterns_are_checked),
        cmocka_unit_test(mistakes_in_the_data),
        cmocka_unit_test(found_from_below),
        cmocka_unit_test(hash_is_of_the_meaning),
        cmocka_unit_test(out_of_memory_is_a_status),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
