/* project/prompt: prompt files read whole, rendered exactly, and every mistake with its place; src/format/jinja_names beside it. */
#include "support.h"

#include "base/alloc.h"
#include "format/jinja_names.h"
#include "project/prompt.h"

#include <stdio.h>
#include <string.h>

static char folder[HN_PATH_MAX];
static char *names[] = {"billing", "login", "data"};
static char *inputs[] = {"subject", "body"};
static hn_scope scope = {.input_columns = inputs,
                         .n_inputs = 2,
                         .target_column = "team",
                         .contract = {.kind = HN_CONTRACT_CHOICE, .labels = names, .n_labels = 3},
                         .config_path = "hone.yaml"};
static hn_dataset *dataset;

static void write_file(const char *name, const char *text) {
    hn_error err = {0};
    hn_test_ok(hn_file_write_atomic(name, text, strlen(text), &err), &err);
}

static hn_prompt *load(const char *text) {
    hn_prompt *p;
    hn_error err = {0};
    write_file("p.yaml", text);
    hn_test_ok(hn_prompt_load("p.yaml", &scope, dataset, &p, &err), &err);
    return p;
}

/* Compact JSON of the messages, or the raw text, for a case with some examples. */
static void renders(const hn_prompt *p, size_t at, const hn_case *const *examples, size_t n, const char *expected) {
    json_t *messages;
    char *raw;
    hn_error err = {0};
    hn_buf b;
    hn_buf_init(&b, 0);
    hn_test_ok(hn_prompt_render(p, &dataset->cases[at], examples, n, &messages, &raw, &err), &err);
    assert_true((messages != NULL) == !p->raw && (raw != NULL) == p->raw);
    if (raw)
        hn_buf_append_str(&b, raw);
    else
        hn_json_write(messages, NULL, &b);
    assert_string_equal(hn_buf_str(&b), expected);
    json_decref(messages);
    hn_free(raw);
    hn_buf_free(&b);
}

static void refuses(const char *text, hn_status code, const char *where, const char *message, const char *hint) {
    hn_prompt *p = NULL;
    hn_error err = {0};
    write_file("p.yaml", text);
    hn_status st = hn_prompt_load("p.yaml", &scope, dataset, &p, &err);
    if (st != code) fail_msg("%s\n%s (%s) instead of %s", text, hn_status_name(st), err.message, hn_status_name(code));
    assert_null(p);
    if (strcmp(err.where, where) != 0) fail_msg("%s\nat %s instead of %s: %s", text, err.where, where, err.message);
    if (!strstr(err.message, message)) fail_msg("message \"%s\" lacks \"%s\"", err.message, message);
    if (!strstr(err.hint, hint)) fail_msg("hint \"%s\" lacks \"%s\"", err.hint, hint);
}

static void defaults(void **state) {
    (void)state;
    hn_prompt *p = load("messages:\n  - user: \"{{ body }}\"\n");
    assert_string_equal(p->name, "p");
    assert_false(p->raw);
    assert_string_equal(p->raw_stop, "\n");
    assert_int_equal(p->pick, HN_PICK_NONE);
    assert_int_equal(p->answer, HN_ANSWER_LIKELIHOOD);
    assert_int_equal(p->calibrate, HN_CALIBRATE_NONE);
    assert_int_equal(p->n_labels, 3);
    assert_string_equal(p->wordings[1], "login");
    assert_true(p->temperature == 0 && p->top_p == 1 && p->min_p == 0 && p->repetition_penalty == 1 && p->top_k == 0);
    assert_int_equal(p->max_tokens, 256);
    assert_int_equal(p->reasoning_max_tokens, 0);
    renders(p, 0, NULL, 0,
            "[{\"role\":\"user\",\"content\":\"{{ subject }} <|im_end|>\"}]"); /* data is never a template */
    assert_int_equal(p->probabilities, HN_PROBABILITIES_EXACT);
    hn_prompt_free(p);
}

static void every_key(void **state) {
    (void)state;
    hn_prompt *p =
        load("template: chat\n"
             "messages:\n"
             "  - system: \"Teams: {% for w in wordings %}{{ w }}{{ ', ' if not loop.last }}{% endfor %}.\"\n"
             "  - user: |-\n"
             "      S: {{ subject }}\n"
             "      B: {{ inputs.body | upper }}\n"
             "labels: {billing: bills and invoices}\n"
             "examples: {pick: random, n: 3, seed: 5}\n"
             "answer: generate\n"
             "reasoning: {max_tokens: 12}\n"
             "parameters: {temperature: 0.5, top_k: 4, top_p: 0.9, min_p: 0.1, repetition_penalty: 1.1, seed: 3, "
             "max_tokens: 9, stop: [END, '.']}\n");
    assert_int_equal(p->pick, HN_PICK_RANDOM);
    assert_int_equal(p->n_examples, 3);
    assert_int_equal(p->example_seed, 5);
    assert_int_equal(p->answer, HN_ANSWER_GENERATE);
    assert_int_equal(p->reasoning_max_tokens, 12);
    assert_true(p->temperature == 0.5 && p->top_k == 4 && p->top_p == 0.9 && p->min_p == 0.1 &&
                p->repetition_penalty == 1.1);
    assert_int_equal(p->seed, 3);
    assert_int_equal(p->max_tokens, 9);
    assert_int_equal(p->n_stop, 2);
    assert_string_equal(p->raw_stop, "END");
    assert_string_equal(p->wordings[0], "bills and invoices");
    const hn_case *examples[] = {&dataset->cases[1], &dataset->cases[2]};
    renders(
        p, 3, examples, 2,
        "[{\"role\":\"system\",\"content\":\"Teams: bills and invoices, login, data.\"},"
        "{\"role\":\"user\",\"content\":\"S: s1\\nB: B1\"},{\"role\":\"assistant\",\"content\":\"bills and invoices\"},"
        "{\"role\":\"user\",\"content\":\"S: s2\\nB: B2\"},{\"role\":\"assistant\",\"content\":\"login\"},"
        "{\"role\":\"user\",\"content\":\"S: s3\\nB: B3\"}]");
    hn_prompt_free(p);
}

static void raw_form(void **state) {
    (void)state;
    hn_prompt *p = load("template: raw\nmessages:\n  - user: \"Ticket: {{ body }}\\nTeam:\"\nlabels: {billing: \" "
                        "billing\", login: \" login\", "
                        "data: \" data\"}\nexamples: {pick: nearest, n: 2}\ncalibrate: prior\n");
    const hn_case *examples[] = {&dataset->cases[1], &dataset->cases[2]};
    assert_int_equal(p->calibrate, HN_CALIBRATE_PRIOR);
    renders(p, 3, examples, 2, "Ticket: b1\nTeam: billing\nTicket: b2\nTeam: login\nTicket: b3\nTeam:");
    renders(p, 3, NULL, 0, "Ticket: b3\nTeam:");
    hn_prompt_free(p);
}

static void examples_inside_a_message(void **state) {
    (void)state;
    hn_prompt *p = load("messages:\n"
                        "  - system: |-\n"
                        "      {% for example in examples %}\n"
                        "      {{ example.body }} -> {{ example.target }} ({{ example.label }})\n"
                        "      {% endfor %}\n"
                        "      {{ labels | join('/') }}\n"
                        "  - user: \"{{ body }}\"\n"
                        "examples: {pick: balanced, n: 2}\n"
                        "labels: {login: signing in}\n");
    const hn_case *examples[] = {&dataset->cases[1], &dataset->cases[2]};
    renders(p, 3, examples, 2,
            "[{\"role\":\"system\",\"content\":\"b1 -> billing (billing)\\nb2 -> signing in "
            "(login)\\nbilling/login/data\"},"
            "{\"role\":\"user\",\"content\":\"b3\"}]");
    hn_prompt_free(p);
}

static void messages_of_a_case(void **state) {
    (void)state;
    static const char lines[] =
        "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}, {\"role\": \"assistant\", \"content\": \"yes?\"}, "
        "{\"role\": \"user\", \"content\": \"{{ no }}\"}], \"note\": null, \"y\": \"3\"}\n";
    hn_data_table *t;
    hn_dataset *d;
    hn_prompt *p;
    hn_error err = {0};
    json_t *messages;
    char *raw;
    hn_scope numbers = {.target_column = "y", .contract = {.kind = HN_CONTRACT_NUMBER}, .config_path = "hone.yaml"};
    hn_test_ok(hn_data_table_parse("t.jsonl", lines, strlen(lines), &t, &err), &err);
    hn_test_ok(hn_dataset_build(&(hn_dataset_source){t, HN_SPLIT_COUNT}, 1, &(hn_columns){.target = "y"}, &d, &err),
               &err);
    hn_data_table_free(t);
    write_file("p.yaml", "messages:\n  - system: \"Rate.{{ note }}\"\n  - insert: messages\n");
    hn_test_ok(hn_prompt_load("p.yaml", &numbers, d, &p, &err), &err);
    assert_int_equal(p->answer, HN_ANSWER_GENERATE);
    assert_int_equal(p->n_labels, 0);
    hn_test_ok(hn_prompt_render(p, d->cases, NULL, 0, &messages, &raw, &err), &err);
    hn_buf b;
    hn_buf_init(&b, 0);
    hn_json_write(messages, NULL, &b);
    assert_string_equal(hn_buf_str(&b),
                        "[{\"role\":\"system\",\"content\":\"Rate.\"},{\"role\":\"user\",\"content\":\"hi\"},"
                        "{\"role\":\"assistant\",\"content\":\"yes?\"},{\"role\":\"user\",\"content\":\"{{ no }}\"}]");
    hn_buf_free(&b);
    json_decref(messages);
    hn_prompt_free(p);
    write_file("p.yaml", "messages:\n  - insert: note\n");
    assert_int_equal(hn_prompt_load("p.yaml", &numbers, d, &p, &err), HN_ERR_INPUT);
    assert_string_equal(err.where, "p.yaml:2:13");
    hn_dataset_free(d);
}

#define HEAD "messages:\n  - user: \"{{ body }}\"\n"

static void mistakes(void **state) {
    (void)state;
    static const hn_status bad = HN_ERR_INPUT;
    refuses("", bad, "p.yaml:1:1", "the file says nothing", "messages:");
    refuses("mesages: []\n", bad, "p.yaml:1:1", "unknown key `mesages`", "did you mean `messages`?");
    refuses("answer: generate\n", bad, "p.yaml:1:1", "the file has no `messages`", "messages:");
    refuses("messages: []\n", bad, "p.yaml:1:11", "`messages` is empty", "such as");
    refuses("messages:\n  - usr: x\n", bad, "p.yaml:2:5", "unknown key `usr` in `messages[1]`", "did you mean `user`?");
    refuses("messages:\n  - system: x\n    user: y\n", bad, "p.yaml:2:5", "a message has one role, 2 are here",
            "\"- \"");
    refuses("messages:\n  - user: x\n  - assistant: y\n", bad, "p.yaml:3:16", "the last message is from `assistant`",
            "answer to");
    refuses("messages:\n  - user:\n", bad, "p.yaml:2:5", "`messages[1].user` must be text, but nothing is here",
            "quotes");
    refuses("template: row\n" HEAD, bad, "p.yaml:1:11", "`template` must be chat or raw", "did you mean `raw`?");
    refuses("template: raw\nmessages:\n  - system: a\n  - user: b\n", bad, "p.yaml:3:3",
            "raw form has one text, 2 messages", "one `user` message");
    refuses(HEAD "labels: {biling: x}\n", bad, "p.yaml:3:10", "there is no label `biling`", "did you mean `billing`?");
    refuses(HEAD "labels: {billing: login}\n", bad, "p.yaml:3:19",
            "the labels `billing` and `login` have the same wording", "tell them apart");
    refuses(HEAD "labels: {billing: \"\"}\n", bad, "p.yaml:3:19", "the wording of `billing` is empty", "");
    refuses(HEAD "examples: {n: 3}\n", bad, "p.yaml:3:11", "`examples` has no `pick`", "nearest");
    refuses(HEAD "examples: {pick: neerest, n: 3}\n", bad, "p.yaml:3:18", "`examples.pick` must be",
            "did you mean `nearest`?");
    refuses(HEAD "examples: {pick: nearest}\n", bad, "p.yaml:3:11", "`examples` has no `n`", "how many");
    refuses(HEAD "examples: {pick: nearest, n: 0}\n", bad, "p.yaml:3:30",
            "`examples.n` must be a whole number from 1 to 100, but 0 is here", "");
    refuses(HEAD "examples: {pick: fixed}\n", bad, "p.yaml:3:11", "`pick: fixed` needs `ids`", "ids:");
    refuses(HEAD "examples: {ids: [c1, c9]}\n", bad, "p.yaml:3:22", "no case has the id c9", "id column");
    refuses(HEAD "examples: {ids: [c1, c3]}\n", bad, "p.yaml:3:22", "the case c3 is in the test split", "train split");
    refuses(HEAD "examples: {pick: nearest, n: 2, ids: [c1]}\n", bad, "p.yaml:3:38", "`ids` is for fixed examples",
            "fixed");
    refuses(HEAD "answer: guess\n", bad, "p.yaml:3:9", "`answer` must be likelihood or generate", "");
    refuses(HEAD "reasoning: {tokens: 5}\n", bad, "p.yaml:3:13", "unknown key `tokens`", "max_tokens");
    refuses(HEAD "calibrate: isotone\n", bad, "p.yaml:3:12", "must be none, prior, temperature or isotonic", "");
    refuses(HEAD "calibrate: [temperature, isotonic]\n", bad, "p.yaml:3:26", "both correct the same probabilities",
            "one");
    refuses(HEAD "calibrate: temperature\nprobabilities: bounded\n", bad, "p.yaml:4:16", "exact probability", "exact");
    refuses(HEAD "answer: generate\nprobabilities: best\n", bad, "p.yaml:4:16", "no labels' probabilities",
            "likelihood");
    refuses(HEAD "answer: generate\ncalibrate: prior\n", bad, "p.yaml:4:12",
            "calibration works on the labels' likelihoods", "likelihood");
    refuses(HEAD "parameters: {temperatur: 1}\n", bad, "p.yaml:3:14", "unknown key `temperatur`",
            "did you mean `temperature`?");
    refuses(HEAD "parameters: {top_p: 2}\n", bad, "p.yaml:3:21",
            "`parameters.top_p` must be a number from 0 to 1, but 2 is here", "");
    refuses(HEAD "parameters: {stop: [\"\"]}\n", bad, "p.yaml:3:21", "the text is empty", "");
    refuses(HEAD "max_tokens: 5\n", bad, "p.yaml:3:1", "`max_tokens` belongs under `parameters`",
            "parameters: {max_tokens: ...}");
}

static void unknown_variables(void **state) {
    (void)state;
    static const hn_status bad = HN_ERR_INPUT, template = HN_ERR_TEMPLATE;
    refuses("messages:\n  - user: |-\n      Hello.\n      Text: {{ boddy }}\n", bad, "p.yaml:4:16",
            "unknown variable `boddy`",
            "did you mean `body`? known are: subject, body, examples, labels, wordings, inputs");
    refuses("messages:\n  - user: \"Text: {{ zzz }}\"\n", bad, "p.yaml:2:21", "unknown variable `zzz`",
            "known are: subject, body");
    refuses("messages:\n  - user: \"{% if body %}x{% else %}{{ bdy }}{% endif %}\"\n", bad, "p.yaml:2:39",
            "unknown variable `bdy`", "did you mean `body`?");
    refuses("messages:\n  - user: \"{{ team }}\"\n", bad, "p.yaml:2:15", "`team` is the target",
            "not be in the question");
    refuses("messages:\n  - user: \"{{ also }}\"\n", bad, "p.yaml:2:15", "unknown variable `also`",
            "add it to `data.input` in hone.yaml");
    refuses("messages:\n  - user: \"{% for e in examples %}{{ e.bdy }}{% endfor %}\"\n", bad, "p.yaml:2:38",
            "an example has nothing of that name", "did you mean `body`?");
    refuses("messages:\n  - user: |\n      {{ body\n", template, "p.yaml:3:7", "without its end", "");
    refuses("messages:\n  - user: |\n      x\n      {{ body | nofilter }}\n", template, "p.yaml:4:17", "nofilter", "");
    hn_prompt *p = load("messages:\n  - user: \"{% set x = body %}{% for l in labels %}{{ loop.index }}{{ l }}{{ x "
                        "}}{% endfor %}{{ range(2) | list }}\"\n");
    hn_prompt_free(p);
}

static void without_a_dataset(void **state) {
    (void)state;
    hn_prompt *p;
    hn_error err = {0};
    write_file("p.yaml", HEAD "examples: {ids: [anything]}\n");
    hn_test_ok(hn_prompt_load("p.yaml", &scope, NULL, &p, &err), &err);
    hn_prompt_free(p);
    write_file("p.yaml", "messages:\n  - user: \"{{ anything }}\"\n");
    hn_scope open = scope;
    open.input_columns = NULL;
    open.n_inputs = 0;
    hn_test_ok(hn_prompt_load("p.yaml", &open, NULL, &p, &err), &err);
    hn_prompt_free(p);
    assert_int_equal(hn_prompt_load("nowhere.yaml", &scope, NULL, &p, &err), HN_ERR_NOT_FOUND);
}

static void hash_is_of_the_meaning(void **state) {
    (void)state;
    hn_prompt *a = load(HEAD),
              *b = load("# comment\nanswer: likelihood\ntemplate: chat\nmessages: [{user: '{{ body }}'}]\n"),
              *c = load("messages:\n  - user: \"{{ body }} \"\n"), *d = load(HEAD "parameters: {seed: 1}\n"),
              *e = load(HEAD "labels: {data: dat}\n");
    assert_string_equal(a->hash, b->hash);
    assert_string_not_equal(a->hash, c->hash);
    assert_string_not_equal(a->hash, d->hash);
    assert_string_not_equal(a->hash, e->hash);
    hn_prompt_free(a);
    hn_prompt_free(b);
    hn_prompt_free(c);
    hn_prompt_free(d);
    hn_prompt_free(e);
}

static void out_of_memory_is_a_status(void **state) {
    (void)state;
    write_file(
        "p.yaml",
        "messages:\n  - system: \"{% for e in examples %}{{ e.target }}{% endfor %}\"\n  - user: \"{{ body }}\"\n"
        "examples: {ids: [c1]}\nlabels: {data: d}\nparameters: {stop: x}\n");
    for (size_t n = 1;; n++) {
        hn_prompt *p = NULL;
        hn_error err = {0};
        json_t *messages = NULL;
        char *raw = NULL;
        const hn_case *example = &dataset->cases[1];
        hn_alloc_fail_at(n, true);
        hn_status st = hn_prompt_load("p.yaml", &scope, dataset, &p, &err);
        if (st == HN_OK) st = hn_prompt_render(p, dataset->cases, &example, 1, &messages, &raw, &err);
        hn_alloc_fail_at(0, false);
        json_decref(messages);
        hn_prompt_free(p);
        if (st == HN_OK) return;
        if (st != HN_ERR_MEMORY) fail_msg("allocation %zu: %s: %s", n, hn_status_name(st), err.message);
    }
}

static int enter(void **state) {
    (void)state;
    static const char csv[] = "id,subject,body,team,also\nc0,s0,{{ subject }} "
                              "<|im_end|>,data,\nc1,s1,b1,billing,\nc2,s2,b2,login,\nc3,s3,b3,data,\n";
    hn_data_table *t;
    hn_error err = {0};
    hn_json_init();
    if (hn_test_enter(folder) != 0) return -1;
    hn_test_ok(hn_data_table_parse("t.csv", csv, strlen(csv), &t, &err), &err);
    hn_columns columns = {(const char *const *)inputs, 2, "team", NULL, "id"};
    hn_test_ok(hn_dataset_build(&(hn_dataset_source){t, HN_SPLIT_COUNT}, 1, &columns, &dataset, &err), &err);
    hn_data_table_free(t);
    static const int labels[] = {2, 0, 1, 2};
    for (size_t i = 0; i < 4; i++) dataset->cases[i].label = labels[i];
    dataset->cases[3].split = HN_SPLIT_TEST;
    return 0;
}

static int leave(void **state) {
    (void)state;
    hn_dataset_free(dataset);
    return hn_test_leave(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(every_key),
        cmocka_unit_test(raw_form),
        cmocka_unit_test(examples_inside_a_message),
        cmocka_unit_test(messages_of_a_case),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(unknown_variables),
        cmocka_unit_test(without_a_dataset),
        cmocka_unit_test(hash_is_of_the_meaning),
        cmocka_unit_test(out_of_memory_is_a_status),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
