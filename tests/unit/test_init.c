/* project/init: guessed roles on tables of many shapes, files that open again, nothing ever overwritten, the example inside the program. */
#include "support.h"

#include "base/alloc.h"
#include "project/init.h"
#include "project/prompt.h"

#include <stdio.h>
#include <string.h>

static char folder[HN_PATH_MAX];

static void write_file(const char *name, const char *text) {
    hn_error err = {0};
    hn_test_ok(hn_file_write_atomic(name, text, strlen(text), &err), &err);
}

/* A table of `n` rows by a format with the row's number (three times). */
static void write_rows(const char *name, const char *header, const char *row, int n) {
    hn_buf b;
    hn_error err = {0};
    hn_buf_init(&b, 0);
    hn_buf_append_str(&b, header);
    for (int i = 0; i < n; i++) hn_buf_appendf(&b, row, i, i % 7, i % 3);
    hn_test_ok(hn_file_write_atomic(name, b.data, b.len, &err), &err);
    hn_buf_free(&b);
}

static void make(const char *dir, const hn_init_options *options, hn_init_result *r) {
    hn_error err = {0};
    hn_test_ok(hn_init_from_data(dir, options, r, &err), &err);
}

/* Every prompt that was written loads in its project. */
static void prompts_load(const char *dir, const hn_init_result *r) {
    hn_project *project;
    const hn_dataset *d;
    hn_error err = {0};
    hn_test_ok(hn_project_open(dir, &project, &err), &err);
    hn_test_ok(hn_project_dataset(project, &d, &err), &err);
    for (size_t i = 0; i < r->n_files; i++) {
        char path[HN_PATH_MAX];
        hn_prompt *p;
        if (strncmp(r->files[i], "prompts/", 8) != 0) continue;
        hn_test_ok(hn_path_join(path, dir, r->files[i], &err), &err);
        hn_test_ok(hn_prompt_load(path, hn_project_scope(project), d, &p, &err), &err);
        hn_prompt_free(p);
    }
    hn_project_close(project);
}

static void columns_are_guessed(void **state) {
    (void)state;
    hn_init_result r;
    write_rows("a.csv", "ticket_id,customer,when,subject,body,team,also\n",
               "T%1$d,C%2$d,2024,subject of %1$d,\"a longer text, number %1$d, that says much\",team %3$d,\n", 40);
    make("a", &(hn_init_options){.data = "a.csv"}, &r);
    assert_string_equal(r.id, "ticket_id");
    assert_string_equal(r.group, "customer");
    assert_string_equal(r.target, "team");
    assert_int_equal(r.n_inputs, 2);
    assert_string_equal(r.inputs[0], "subject");
    assert_string_equal(r.inputs[1], "body");
    assert_true(r.guessed_inputs && r.guessed_target && r.guessed_group);
    assert_int_equal(r.kind, HN_CONTRACT_CHOICE);
    assert_int_equal(r.n_labels, 3);
    assert_string_equal(r.labels[0], "team 0"); /* 14 of 40: the most frequent */
    assert_int_equal(r.n_cases, 40);
    assert_int_equal(r.n_split[0] + r.n_split[1] + r.n_split[2], 40);
    assert_true(hn_file_exists("a/data/a.csv") && hn_file_exists("a/.gitignore") &&
                hn_file_exists("a/prompts/plain.yaml"));
    prompts_load("a", &r);
    hn_init_result_free(&r);
}

static void columns_can_be_named(void **state) {
    (void)state;
    hn_init_result r;
    const char *inputs[] = {"when it was", "a \"b\" {{ c"};
    write_rows("b.csv", "when it was,\"a \"\"b\"\" {{ c\",kind_of,x_y\n", "day %1$d,text %1$d,g%2$d,v_%3$d\n", 30);
    make("b", &(hn_init_options){.data = "b.csv", .inputs = inputs, .n_inputs = 2, .target = "x_y", .group = "kind_of"},
         &r);
    assert_string_equal(r.target, "x_y");
    assert_false(r.guessed_inputs || r.guessed_target || r.guessed_group);
    hn_init_result_free(&r);
}

static void odd_names_make_valid_files(void **state) {
    (void)state;
    hn_init_result r;
    write_rows("c.csv", "when it was,\"a \"\"b\"\" {{ c\",labels,class\n",
               "day %1$d,some text %1$d,other text %1$d,\"%3$d: yes, \"\"no\"\"\"\n", 30);
    make("c", &(hn_init_options){.data = "c.csv"}, &r);
    assert_string_equal(r.target, "class");
    assert_int_equal(r.n_inputs, 3);
    prompts_load("c", &r);
    hn_init_result_free(&r);
    write_rows("c2.csv", "x,y\n", "text %1$d,a_%3$d\ntext b %1$d,a %3$d\ntext c %1$d,no\ntext d %1$d,null\n", 30);
    make("c2", &(hn_init_options){.data = "c2.csv"}, &r); /* a_1 and "a 1" keep wordings that differ */
    assert_int_equal(r.n_labels, 8);
    prompts_load("c2", &r);
    hn_init_result_free(&r);
}

static void other_outputs(void **state) {
    (void)state;
    hn_init_result r;
    write_rows("d.csv", "text,score\n", "the text %1$d,%1$d.5\n", 30);
    make("d", &(hn_init_options){.data = "d.csv", .target = "score"}, &r);
    assert_int_equal(r.kind, HN_CONTRACT_NUMBER);
    prompts_load("d", &r);
    hn_init_result_free(&r);
    write_rows("e.jsonl", "",
               "{\"messages\": [{\"role\": \"user\", \"content\": \"q %1$d\"}], \"answer\": \"reply %1$d\"}\n", 30);
    make("e", &(hn_init_options){.data = "e.jsonl", .target = "answer"}, &r);
    assert_int_equal(r.kind, HN_CONTRACT_TEXT);
    assert_string_equal(r.inputs[0], "messages");
    hn_init_result_free(&r);
}

static void a_test_file_of_its_own(void **state) {
    (void)state;
    hn_init_result r;
    hn_error err = {0};
    hn_test_ok(hn_dir_create("f/data", &err), &err);
    write_rows("f/data/train.csv", "x,label\n", "text %1$d,l%3$d\n", 30);
    write_rows("test.csv", "label,x\n", "l%2$d,other %1$d\n", 20); /* l3 to l6 are in the test file only */
    make("f", &(hn_init_options){.data = "f/data/train.csv", .test = "test.csv"}, &r);
    assert_int_equal(r.n_labels, 7);
    assert_int_equal(r.n_split[HN_SPLIT_TEST], 20);
    assert_int_equal(r.n_split[HN_SPLIT_DEV], 6);
    assert_true(hn_file_exists("f/data/test.csv"));
    hn_init_result_free(&r);
}

static void refuses(const char *dir, const hn_init_options *options, hn_status code, const char *where,
                    const char *message, const char *hint) {
    hn_init_result r;
    hn_error err = {0};
    assert_int_equal(hn_init_from_data(dir, options, &r, &err), code);
    assert_null(r.arena);
    assert_string_equal(err.where, where);
    if (!strstr(err.message, message)) fail_msg("\"%s\" lacks \"%s\"", err.message, message);
    if (!strstr(err.hint, hint)) fail_msg("\"%s\" lacks \"%s\"", err.hint, hint);
}

static void refused(void **state) {
    (void)state;
    write_rows("g.csv", "x,label\n", "text %1$d,l%3$d\n", 30);
    hn_init_options g = {.data = "g.csv"};
    write_file("file", "x");
    refuses("file", &g, HN_ERR_EXISTS, "file", "this is a file", "folder");
    hn_error err = {0};
    hn_test_ok(hn_dir_create("g/prompts", &err), &err);
    write_file("g/prompts/nearest.yaml", "mine");
    refuses("g", &g, HN_ERR_EXISTS, "g/prompts/nearest.yaml", "there already", "nothing was written");
    assert_false(hn_file_exists("g/hone.yaml") || hn_file_exists("g/data"));
    refuses("h", &(hn_init_options){.data = "g.csv", .target = "lable"}, HN_ERR_INPUT, "g.csv",
            "--target: the file has no column `lable`", "did you mean `label`?");
    refuses("h", &(hn_init_options){.data = "nowhere.csv"}, HN_ERR_NOT_FOUND, "nowhere.csv", "", "");
    write_rows("i.csv", "x,y\n", "text %1$d,other %1$d\n", 30);
    refuses("h", &(hn_init_options){.data = "i.csv"}, HN_ERR_INPUT, "i.csv", "no column looks like the right answers",
            "--target COLUMN");
    write_file("j.csv", "x,y\na,1\nb,\nc,1\nd,1\ne,2\nf,2\n");
    refuses("h", &(hn_init_options){.data = "j.csv", .target = "y"}, HN_ERR_INPUT, "j.csv:3", "the row has no target",
            "label the row");
    write_file("k.csv", "x,y\n\"a,1\n");
    refuses("h", &(hn_init_options){.data = "k.csv"}, HN_ERR_INPUT, "k.csv:2:1", "never closed", "close the quote");
    write_file("l.csv", "");
    refuses("h", &(hn_init_options){.data = "l.csv"}, HN_ERR_INPUT, "l.csv:1:1", "empty", "columns");
    assert_false(hn_file_exists("h"));
}

static void the_example(void **state) {
    (void)state;
    hn_init_result r;
    hn_error err = {0};
    if (!hn_example_tickets[0].name) skip();
    hn_test_ok(hn_init_example("tickets", "tickets", &r, &err), &err);
    assert_string_equal(r.target, "team");
    assert_true(r.n_cases >= 800 && r.n_split[HN_SPLIT_TEST] >= 200);
    for (const hn_example_file *f = hn_example_tickets; f->name; f++) {
        char path[HN_PATH_MAX];
        size_t n;
        hn_test_ok(hn_path_join(path, "tickets", f->name, &err), &err);
        char *bytes = hn_test_read(path, &n);
        assert_int_equal(n, f->n);
        assert_memory_equal(bytes, f->bytes, n);
        hn_free(bytes);
    }
    prompts_load("tickets", &r);
    hn_init_result_free(&r);
    assert_int_equal(hn_init_example("tickets", "tickets", &r, &err), HN_ERR_EXISTS);
    assert_int_equal(hn_init_example("other", "nothing", &r, &err), HN_ERR_NOT_FOUND);
}

static void out_of_memory_is_a_status(void **state) {
    (void)state;
    write_rows("m.csv", "x,label\n", "text %1$d,l%3$d\n", 12);
    char dir[32];
    for (size_t n = 1;; n++) {
        hn_init_result r;
        hn_error err = {0};
        snprintf(dir, sizeof dir, "m%zu", n);
        hn_alloc_fail_at(n, true);
        hn_status st = hn_init_from_data(dir, &(hn_init_options){.data = "m.csv"}, &r, &err);
        hn_alloc_fail_at(0, false);
        if (st == HN_OK) {
            hn_init_result_free(&r);
            return;
        }
        if (st != HN_ERR_MEMORY) fail_msg("allocation %zu: %s: %s", n, hn_status_name(st), err.message);
    }
}

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
        cmocka_unit_test(columns_are_guessed),
        cmocka_unit_test(columns_can_be_named),
        cmocka_unit_test(odd_names_make_valid_files),
        cmocka_unit_test(other_outputs),
        cmocka_unit_test(a_test_file_of_its_own),
        cmocka_unit_test(refused),
        cmocka_unit_test(the_example),
        cmocka_unit_test(out_of_memory_is_a_status),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
