/* project/data_table and project/dataset: the three kinds of files, ids, content hashes, and what is refused where. */
#include "support.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "project/dataset.h"

#include <stdio.h>
#include <string.h>

static hn_status build(const char *name, const char *text, const hn_columns *columns, hn_dataset **d, hn_error *err) {
    hn_data_table *t;
    *d = NULL;
    HN_TRY(hn_data_table_parse(name, text, strlen(text), &t, err));
    hn_status st = hn_dataset_build(&(hn_dataset_source){t, HN_SPLIT_COUNT}, 1, columns, d, err);
    hn_data_table_free(t);
    return st;
}

static hn_dataset *load(const char *name, const char *text, const hn_columns *columns) {
    hn_dataset *d;
    hn_error err = {0};
    hn_test_ok(build(name, text, columns, &d, &err), &err);
    return d;
}

static void refuses(const char *name, const char *text, const hn_columns *columns, const char *where,
                    const char *message, const char *hint) {
    hn_dataset *d;
    hn_error err = {0};
    if (build(name, text, columns, &d, &err) != HN_ERR_INPUT) fail_msg("%s: not refused as bad input", text);
    assert_null(d);
    assert_string_equal(err.where, where);
    if (!strstr(err.message, message)) fail_msg("\"%s\" lacks \"%s\"", err.message, message);
    if (!strstr(err.hint, hint)) fail_msg("\"%s\" lacks \"%s\"", err.hint, hint);
}

static const char *input(const hn_case *c, const char *name) {
    return json_string_value(json_object_get(c->inputs, name));
}

static const char *const two_inputs[] = {"subject", "body"};
static const hn_columns all_columns = {two_inputs, 2, "team", "customer", "id"};

static void csv_rows_become_cases(void **state) {
    (void)state;
    hn_dataset *d =
        load("t.csv", "id,customer,subject,body,team,also\nT1,C1,Hi,\"a\nb\",billing,\nT2,,Yo,c,,x\n", &all_columns);
    assert_int_equal(d->n_cases, 2);
    assert_int_equal(d->n_columns, 6);
    assert_string_equal(d->columns[5], "also");
    const hn_case *c = d->cases;
    assert_string_equal(c[0].id, "T1");
    assert_string_equal(input(&c[0], "body"), "a\nb");
    assert_int_equal(json_object_size(c[0].inputs), 2);
    assert_string_equal(c[0].target, "billing");
    assert_string_equal(c[0].group, "C1");
    assert_int_equal(c[0].label, -1);
    assert_int_equal(c[1].line, 4);
    assert_string_equal(c[1].file, "t.csv");
    assert_null(c[1].target);
    assert_null(c[1].group);
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_error err = {0};
    hn_test_ok(hn_case_text(&c[0], &text, &err), &err);
    assert_string_equal(hn_buf_str(&text), "Hi\na\nb");
    hn_buf_free(&text);
    assert_ptr_equal(hn_dataset_find(d, "T2"), &c[1]);
    assert_null(hn_dataset_find(d, "T3"));
    hn_dataset_free(d);
}

static void inputs_are_guessed_by_what_is_left(void **state) {
    (void)state;
    hn_dataset *d = load("t.tsv", "text\tmore\tlabel\na,b\tc\tx\n", &(hn_columns){.target = "label"});
    assert_int_equal(json_object_size(d->cases[0].inputs), 2);
    assert_string_equal(input(&d->cases[0], "text"), "a,b");
    hn_dataset_free(d);
}

static void json_lines_keep_their_values(void **state) {
    (void)state;
    hn_columns columns = {.target = "score", .group = "who"};
    hn_dataset *d =
        load("t.jsonl",
             "{\"who\": 5, \"score\": 4.5, \"messages\": [{\"role\": \"user\", \"content\": \"hi\"}, "
             "{\"role\": \"assistant\", \"content\": \"yes?\"}], \"extra\": {\"b\": 1, \"a\": [true]}}\n\n"
             "{\"score\": true, \"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"extra\": null}\n",
             &columns);
    assert_int_equal(d->n_cases, 2);
    const hn_case *c = d->cases;
    assert_string_equal(c[0].target, "4.5");
    assert_string_equal(c[0].group, "5");
    assert_string_equal(c[1].target, "true");
    assert_null(c[1].group);
    assert_int_equal(c[1].line, 3);
    assert_int_equal(json_array_size(json_object_get(c[0].inputs, "messages")), 2);
    assert_true(json_is_null(json_object_get(c[1].inputs, "extra")));
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_error err = {0};
    hn_test_ok(hn_case_text(&c[0], &text, &err), &err);
    assert_string_equal(hn_buf_str(&text), "hi\nyes?\n{\"a\":[true],\"b\":1}");
    hn_buf_free(&text);
    hn_dataset_free(d);
}

static void ids_survive_reordering(void **state) {
    (void)state;
    hn_columns columns = {.target = "y"};
    hn_dataset *a = load("t.csv", "x,y\none,1\ntwo,2\none,3\none,1\n", &columns);
    hn_dataset *b = load("t.csv", "x,y\none,3\none,1\none,1\ntwo,2\n", &columns);
    hn_dataset *c = load("t.csv", "x,y\none,3\none,1\none,1\ntwo,9\n", &columns);
    char hex[HN_SHA256_HEX], id[20];
    assert_int_equal(hn_sha256_bytes("{\"x\":\"two\"}", 11, hex), HN_OK);
    assert_memory_equal(a->cases[1].id, hex, 12);
    assert_int_equal(strlen(a->cases[1].id), 12);
    assert_string_equal(a->cases[1].id, b->cases[3].id);
    snprintf(id, sizeof id, "%s-3", a->cases[0].id);
    assert_string_equal(a->cases[2].id, id); /* repeats are told apart by their target */
    assert_string_equal(b->cases[0].id, id);
    assert_true(a->cases[0].input_hash == a->cases[2].input_hash && a->cases[0].input_hash != a->cases[1].input_hash);
    assert_string_equal(a->hash, b->hash);
    assert_string_not_equal(a->hash, c->hash);
    hn_dataset_free(a);
    hn_dataset_free(b);
    hn_dataset_free(c);
}

static void several_files_make_one_dataset(void **state) {
    (void)state;
    hn_data_table *train, *test;
    hn_dataset *d;
    hn_error err = {0};
    hn_test_ok(hn_data_table_parse("a.csv", "x,y\n1,p\n2,q\n", 12, &train, &err), &err);
    hn_test_ok(hn_data_table_parse("b.csv", "y,x\np,3\n", 8, &test, &err), &err);
    hn_dataset_source sources[] = {{train, HN_SPLIT_COUNT}, {test, HN_SPLIT_TEST}};
    hn_test_ok(hn_dataset_build(sources, 2, &(hn_columns){.target = "y"}, &d, &err), &err);
    hn_data_table_free(train);
    hn_data_table_free(test);
    assert_int_equal(d->n_cases, 3);
    assert_string_equal(input(&d->cases[2], "x"), "3");
    hn_test_ok(hn_dataset_split(d, 0.5, 0.5, 0, 1, true, &err), &err);
    assert_int_equal(d->cases[2].split, HN_SPLIT_TEST);
    assert_true(d->cases[0].split != HN_SPLIT_TEST && d->cases[1].split != HN_SPLIT_TEST);
    hn_dataset_free(d);
}

static void refused(void **state) {
    (void)state;
    hn_columns y = {.target = "y"}, none = {0};
    refuses("t.csv", "", &y, "t.csv:1:1", "the file is empty", "name the columns");
    refuses("t.csv", "x,y\n", &y, "t.csv", "no rows", "below the header");
    refuses("t.csv", "x,,y\n1,2,3\n", &y, "t.csv:1:1", "column 2 has no name", "name the columns");
    refuses("t.csv", "x,y,x\n1,2,3\n", &y, "t.csv:1:1", "columns 1 and 3 are both called `x`", "a name of its own");
    refuses("t.csv", "text,laebl\n1,2\n", &(hn_columns){.target = "label"}, "t.csv:1", "no column `label`",
            "did you mean `laebl`?");
    refuses("t.csv", "y\n1\n", &y, "t.csv", "no column is left to be an input", "add a column");
    refuses("t.csv", "id,subject,body,team,customer\nA,1,2,3,4\nB,1,2,3,4\nA,1,2,3,4\n", &all_columns, "t.csv:4",
            "the id A is here a second time; the first is at t.csv:2", "id of its own");
    refuses("t.csv", "id,subject,body,team,customer\n,1,2,3,4\n", &all_columns, "t.csv:2", "no id in column `id`",
            "every row");
    refuses("t.csv", "x,y\n1,2\n3,\"4\n5,6\n", &y, "t.csv:3:3", "never closed", "close the quote");
    refuses("t.jsonl", "{\"x\": 1}\n{\"x\": }\n", &none, "t.jsonl:2:7", "", "");
    refuses("t.jsonl", "{\"x\": \"1\", \"y\": 2}\n\n{\"y\": 2}\n", &y, "t.jsonl:3", "the row has no `x`",
            "all input keys");
    refuses("t.jsonl", "\n", &y, "t.jsonl:1:1", "the file is empty", "one object a line");
    refuses("t.jsonl", "{\"messages\": []}\n", &none, "t.jsonl:1", "empty list", "role");
    refuses("t.jsonl", "{\"messages\": [{\"role\": \"uzer\", \"content\": \"x\"}]}\n", &none, "t.jsonl:1",
            "message 1 has no known role", "user");
    refuses("t.jsonl", "{\"messages\": [{\"role\": \"user\", \"content\": 1}]}\n", &none, "t.jsonl:1",
            "no content that is text", "content");
    hn_dataset *d;
    hn_error err = {0};
    assert_int_equal(build("t.jsonl", "[1]\n", &none, &d, &err), HN_ERR_INPUT);
    assert_int_equal(hn_dataset_load("no-such.csv", &none, &d, &err), HN_ERR_NOT_FOUND);
    assert_int_equal(hn_dataset_load("t.xlsx", &none, &d, &err), HN_ERR_UNSUPPORTED);
}

static void huge_cells(void **state) {
    (void)state;
    size_t n = 3 << 20;
    char *text = hn_alloc(n + 32);
    memset(text, 'z', n);
    memcpy(text, "x,y\n", 4);
    memcpy(text + n, ",label\n", 8);
    hn_dataset *d = load("t.csv", text, &(hn_columns){.target = "y"});
    assert_int_equal(strlen(input(&d->cases[0], "x")), n - 4);
    hn_dataset_free(d);
    hn_free(text);
}

static void out_of_memory_is_a_status(void **state) {
    (void)state;
    static const char *const texts[][2] = {
        {"t.csv", "x,y,g\n1,2,3\n4,5,6\n"},
        {"t.jsonl", "{\"x\": [1], \"y\": \"a\"}\n{\"x\": \"2\", \"y\": \"b\", \"g\": 1}\n"}};
    hn_columns columns = {.target = "y", .group = "g"};
    for (size_t i = 0; i < 2; i++) {
        for (size_t n = 1;; n++) {
            hn_dataset *d;
            hn_error err = {0};
            hn_alloc_fail_at(n, true);
            hn_status st = build(texts[i][0], texts[i][1], &columns, &d, &err);
            hn_alloc_fail_at(0, false);
            if (st == HN_OK) {
                hn_dataset_free(d);
                assert_true(n > 10);
                break;
            }
            if (st != HN_ERR_MEMORY) fail_msg("allocation %zu: %s: %s", n, hn_status_name(st), err.message);
        }
    }
}

int main(void) {
    hn_json_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_rows_become_cases),
        cmocka_unit_test(inputs_are_guessed_by_what_is_left),
        cmocka_unit_test(json_lines_keep_their_values),
        cmocka_unit_test(ids_survive_reordering),
        cmocka_unit_test(several_files_make_one_dataset),
        cmocka_unit_test(refused),
        cmocka_unit_test(huge_cells),
        cmocka_unit_test(out_of_memory_is_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
