/* docs/project.md: every YAML example in it is loaded, prompts within the scope above them; and every key that the parsers know is in it. */
#include "support.h"

#include "base/alloc.h"
#include "project/init.h"
#include "project/prompt.h"

#include <stdio.h>
#include <string.h>

static char folder[HN_PATH_MAX], *text, *graders_text;
static hn_project *project;

static void write_file(const char *name, const void *bytes, size_t n) {
    char dir[HN_PATH_MAX];
    hn_error err = {0};
    hn_path_dir(name, dir);
    hn_test_ok(hn_dir_create(dir, &err), &err);
    hn_test_ok(hn_file_write_atomic(name, bytes, n, &err), &err);
}

static void open_scope(const char *block) {
    const hn_dataset *d;
    hn_error err = {0};
    hn_project_close(project);
    project = NULL;
    hn_status st = hn_project_open(".", &project, &err);
    if (st == HN_OK) st = hn_project_dataset(project, &d, &err);
    if (st != HN_OK) fail_msg("%s: %s (%s)\n%s", err.where, err.message, err.hint, block);
}

static void load_prompt(const char *name, const char *block) {
    const hn_dataset *d;
    hn_prompt *p;
    hn_error err = {0};
    hn_test_ok(hn_project_dataset(project, &d, &err), &err);
    if (hn_prompt_load(name, hn_project_scope(project), d, &p, &err) != HN_OK)
        fail_msg("%s: %s (%s)\n%s", err.where, err.message, err.hint, block);
    hn_prompt_free(p);
}

static void examples_load(void **state) {
    (void)state;
    static const char fence[] = "```yaml\n# ";
    size_t n_blocks = 0;
    for (char *at = strstr(text, fence); at; at = strstr(at, fence)) {
        char *name = at + strlen(fence), *body = name - 2, *end = strstr(body, "\n```");
        char file[200];
        assert_non_null(end);
        snprintf(file, sizeof file, "%.*s", (int)strcspn(name, "\n"), name);
        write_file(file, body, (size_t)(end + 1 - body));
        *end = 0;
        if (strcmp(file, "hone.yaml") == 0)
            open_scope(body);
        else
            load_prompt(file, body);
        *end = '\n';
        at = end;
        n_blocks++;
    }
    assert_true(n_blocks >= 12);
}

static void graders_examples_load(void **state) {
    (void)state;
    for (char *at = strstr(graders_text, "```yaml\n# hone.yaml\n"); at; at = strstr(at + 1, "```yaml\n# hone.yaml\n")) {
        char *body = strchr(at, '\n') + 1, *end = strstr(body, "\n```");
        assert_non_null(end);
        write_file("hone.yaml", body, (size_t)(end + 1 - body));
        *end = 0;
        open_scope(body);
        assert_true(hn_project_scope(project)->n_graders > 0);
        *end = '\n';
    }
}

static void every_key_is_described(void **state) {
    (void)state;
    static const char *const keys[] = {"goal",         "data",
                                       "split",        "output",
                                       "metric",       "graders",
                                       "target_value", "smallest_difference",
                                       "limits",       "model",
                                       "baseline",     "file",
                                       "train",        "dev",
                                       "test",         "input",
                                       "target",       "group",
                                       "id",           "seed",
                                       "stratify",     "latency_ms",
                                       "memory_mb",    "cost_per_1000",
                                       "messages",     "template",
                                       "examples",     "labels",
                                       "answer",       "constrain",
                                       "reasoning",    "calibrate",
                                       "parameters",   "insert",
                                       "pick",         "n",
                                       "ids",          "temperature",
                                       "top_k",        "top_p",
                                       "min_p",        "repetition_penalty",
                                       "max_tokens",   "stop"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char quoted[64];
        snprintf(quoted, sizeof quoted, "`%s`", keys[i]);
        if (!strstr(text, quoted) && !(snprintf(quoted, sizeof quoted, "{%s:", keys[i]) && strstr(text, quoted)))
            fail_msg("docs/project.md does not describe `%s`", keys[i]);
    }
}

static int enter(void **state) {
    (void)state;
    static const char data[] = "text,category\nwhere is my card,card_arrival\nhow old must I "
                               "be,age_limit\ncard?,card_arrival\nmy age,age_limit\n";
    static const char ratings[] = "review,stars\ngood,5\nbad,1\nso so,3\nnice,4\n";
    static const char orders[] =
        "message,order\na,\"{\"\"product\"\":\"\"cable\"\",\"\"count\"\":2}\"\nb,\"{\"\"count\"\":1.0,"
        "\"\"product\"\":\"\"phone\"\"}\"\nc,\"{\"\"product\"\":\"\"router\"\",\"\"count\"\":99}\"\n"
        "d,\"{\"\"product\"\":\"\"phone\"\",\"\"count\"\":1}\"\n";
    static const char codes[] = "text,code\na,A1\nb,B2\nc,C3\nd,D4\n";
    static const char chats[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"resolved\":\"yes\"}\n"
                                "{\"messages\":[{\"role\":\"user\",\"content\":\"b\"}],\"resolved\":\"no\"}\n"
                                "{\"messages\":[{\"role\":\"user\",\"content\":\"c\"}],\"resolved\":\"yes\"}\n"
                                "{\"messages\":[{\"role\":\"user\",\"content\":\"d\"}],\"resolved\":\"no\"}\n";
    size_t n;
    hn_json_init();
    text = hn_test_read("docs/project.md", &n);
    graders_text = hn_test_read("docs/graders.md", &n);
    if (hn_test_enter(folder) != 0) return -1;
    write_file("data/train.csv", data, sizeof data - 1);
    write_file("data/test.csv", data, sizeof data - 1);
    write_file("data/orders.csv", orders, sizeof orders - 1);
    write_file("data/ratings.csv", ratings, sizeof ratings - 1);
    write_file("graders/helpful.txt", "Is it?", 6);
    write_file("graders/human.csv", "case,grade\n", 11);
    write_file("data/codes.csv", codes, sizeof codes - 1);
    write_file("data/chats.jsonl", chats, sizeof chats - 1);
    for (const hn_example_file *f = hn_example_tickets; f->name; f++)
        if (strcmp(f->name, "data/tickets.csv") == 0) write_file(f->name, f->bytes, f->n);
    return 0;
}

static int leave(void **state) {
    (void)state;
    hn_project_close(project);
    hn_free(text);
    hn_free(graders_text);
    return hn_test_leave(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(examples_load), cmocka_unit_test(graders_examples_load),
                                       cmocka_unit_test(every_key_is_described)};
    return cmocka_run_group_tests(tests, enter, leave);
}
