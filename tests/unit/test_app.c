/* The App with a scripted provider: how answers are read, calibrated, cached, cancelled, and that memory running out is a status. */
#include "fake_provider.h"
#include "support.h"
#include "test_project.h"

#include "app/answer_parse.h"
#include "app/app.h"
#include "app/calibrate.h"
#include "base/alloc.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char folder[HN_PATH_MAX];
static hn_test_project project;

static int make_project(void **state) {
    (void)state;
    return hn_test_project_begin(&project, folder);
}

static int remove_project(void **state) {
    (void)state;
    return hn_test_project_end(&project, folder);
}

/* ---- reading answers ---- */

static void choices_are_read_as_documented(void **state) {
    (void)state;
    char *labels[] = {"billing", "login", "login page", "data"},
         *wordings[] = {"money matters", "login", "login page", " Über daten "};
    hn_contract contract = {.kind = HN_CONTRACT_CHOICE, .labels = labels, .n_labels = 4};
    const struct {
        const char *text;
        int label;
    } cases[] = {{"billing", 0},
                 {"  BILLING\n", 0},
                 {"**Billing**.", 0},
                 {"Money   Matters", 0},
                 {"The team is: billing.", 0},
                 {"It is about the login page, I think", 2},
                 {"login", 1},
                 {"catalogin", -1},
                 {"login or billing", -1},
                 {"billing billing", 0},
                 {"ÜBER DATEN", 3},
                 {"it is über  daten!", 3},
                 {"database", -1},
                 {"da\xCC\x81ta", -1},
                 {"", -1},
                 {"\xFF\xFE", -1},
                 {"\"data\"", 3},
                 {"I cannot say", -1}};
    hn_answer_parser *p;
    hn_error err;
    hn_test_ok(hn_answer_parser_create(&contract, wordings, &p, &err), &err);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hn_parsed value;
        hn_test_ok(hn_answer_parse(p, cases[i].text, strlen(cases[i].text), &value, &err), &err);
        if (value.label != cases[i].label)
            fail_msg("`%s` gave %d instead of %d", cases[i].text, value.label, cases[i].label);
        assert_int_equal(value.valid, cases[i].label >= 0);
        if (value.valid) assert_string_equal(value.text, labels[value.label]);
        hn_parsed_free(&value);
    }
    hn_answer_parser_free(p);
}

static void numbers_are_read_as_documented(void **state) {
    (void)state;
    hn_contract contract = {.kind = HN_CONTRACT_NUMBER, .low = -100, .high = 1e6};
    const struct {
        const char *text;
        double value; /* NaN: no valid answer */
    } cases[] = {{"42", 42},
                 {" -3.5 ", -3.5},
                 {"about 1,250 euros", 1250},
                 {"1,250.75", 1250.75},
                 {"it is 7.", 7},
                 {"2e3", 2000},
                 {"3 or 4", (double)NAN},
                 {"none", (double)NAN},
                 {"A4 paper", (double)NAN},
                 {"", (double)NAN},
                 {"-101", (double)NAN},
                 {"2000000", (double)NAN},
                 {"1,2", (double)NAN},
                 {"+5", 5},
                 {"1e999", (double)NAN},
                 {"1111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111"
                  "11111111111111111111111111111111111",
                  (double)NAN}};
    hn_answer_parser *p;
    hn_error err;
    hn_test_ok(hn_answer_parser_create(&contract, NULL, &p, &err), &err);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hn_parsed value;
        hn_test_ok(hn_answer_parse(p, cases[i].text, strlen(cases[i].text), &value, &err), &err);
        if (value.valid == isnan(cases[i].value)) fail_msg("`%s`: valid is %d", cases[i].text, value.valid);
        if (value.valid) assert_true(value.number == cases[i].value);
        hn_parsed_free(&value);
    }
    hn_answer_parser_free(p);
}

static void patterns_match_the_whole_answer_in_bounded_time(void **state) {
    (void)state;
    hn_contract contract = {.kind = HN_CONTRACT_REGEX, .regex = "[A-Z]{2}-\\d+"};
    hn_answer_parser *p;
    hn_parsed value;
    hn_error err;
    hn_test_ok(hn_answer_parser_create(&contract, NULL, &p, &err), &err);
    const char *const texts[] = {" AB-12\n", "AB-12 is it", "ab-12", "\xFF"};
    for (int i = 0; i < 4; i++) {
        hn_test_ok(hn_answer_parse(p, texts[i], strlen(texts[i]), &value, &err), &err);
        assert_int_equal(value.valid, i == 0);
        if (i == 0) assert_string_equal(value.text, "AB-12");
        hn_parsed_free(&value);
    }
    hn_answer_parser_free(p);
    contract.regex = "(a";
    assert_int_equal(hn_answer_parser_create(&contract, NULL, &p, &err), HN_ERR_INPUT);
    contract.regex = "(a*)*(b*)*(a*)*c";
    hn_test_ok(hn_answer_parser_create(&contract, NULL, &p, &err), &err);
    char slow[4000];
    memset(slow, 'a', sizeof slow);
    hn_status st = hn_answer_parse(p, slow, sizeof slow, &value, &err);
    assert_true(st == HN_ERR_LIMIT || (st == HN_OK && !value.valid));
    hn_parsed_free(&value);
    hn_answer_parser_free(p);
}

/* ---- calibration ---- */

static void the_prior_is_the_mean_taken_away(void **state) {
    (void)state;
    const double a[] = {-1, -5, -9}, b[] = {-3, -5, -7}, raw[] = {-2, -4, -8.5};
    double out[3];
    hn_prior prior;
    hn_error err;
    assert_int_equal(hn_label_probabilities(raw, NULL, 3, out), 0);
    double z = exp(-2) + exp(-4) + exp(-8.5);
    assert_true(fabs(out[0] - exp(-2) / z) < 1e-12 && fabs(out[2] - exp(-8.5) / z) < 1e-12);
    hn_test_ok(hn_prior_init(&prior, 3, &err), &err);
    hn_prior_add(&prior, a);
    hn_prior_add(&prior, b);
    /* means -2, -5, -8: what is left is 0, 1, -0.5 */
    assert_int_equal(hn_label_probabilities(raw, &prior, 3, out), 1);
    z = 1 + exp(1) + exp(-0.5);
    assert_true(fabs(out[1] - exp(1) / z) < 1e-12);
    hn_prior_free(&prior);
    const double impossible[] = {-(double)INFINITY, -(double)INFINITY}, half[] = {-(double)INFINITY, -700},
                 tie[] = {-1, -1};
    assert_int_equal(hn_label_probabilities(impossible, NULL, 2, out), -1);
    assert_true(out[0] == 0 && out[1] == 0);
    assert_int_equal(hn_label_probabilities(half, NULL, 2, out), 1);
    assert_true(out[1] == 1);
    assert_int_equal(hn_label_probabilities(tie, NULL, 2, out), 0);
}

/* ---- the queue ---- */

typedef struct seen {
    int n;
    hn_status status;
    char value[32], text[64], reasoning[64];
    double probabilities[3], raw[3];
    size_t n_examples;
    bool from_cache, example_is_self_or_group, has_probabilities;
} seen;

static void note(void *user, uint64_t ticket, const hn_answer *a) {
    seen *s = user;
    (void)ticket;
    s->n++;
    s->status = a->status;
    snprintf(s->value, sizeof s->value, "%s", a->value ? a->value : "");
    snprintf(s->text, sizeof s->text, "%s", a->text ? a->text : "");
    snprintf(s->reasoning, sizeof s->reasoning, "%s", a->reasoning ? a->reasoning : "");
    for (size_t i = 0; a->probabilities && i < 3; i++)
        s->probabilities[i] = a->probabilities[i], s->raw[i] = a->raw_logprobs[i];
    s->n_examples = a->n_examples;
    s->has_probabilities = a->probabilities && a->raw_logprobs;
    s->from_cache = a->from_cache;
}

static void load(const char *name, const char *yaml, hn_prompt **prompt) {
    hn_test_project_prompt(&project, name, yaml, prompt);
}

/* Answers the first `n` cases of the dataset. */
static hn_status answer(hn_prompt *prompt, hn_fake_script *script, hn_store *store, seen *out, size_t n,
                        hn_error *err) {
    hn_app *app = NULL;
    hn_provider *provider = hn_fake_provider(script);
    hn_app_parts parts = {project.scope, project.dataset, prompt, provider, store, NULL};
    hn_status st = provider ? hn_app_create(&parts, &app, err) : hn_fail_memory(err, 0);
    for (size_t i = 0; st == HN_OK && i < n; i++)
        st = hn_app_submit(app, &project.dataset->cases[i], 0, note, &out[i], NULL, err);
    for (size_t pending = 1; st == HN_OK && pending;) st = hn_app_step(app, 10, &pending, err);
    if (st == HN_OK) st = hn_app_flush(app, err);
    hn_app_free(app);
    hn_provider_close(provider);
    return st;
}

static void answers_do_not_depend_on_order_or_batch(void **state) {
    (void)state;
    hn_prompt *prompt;
    hn_error err;
    load("plain", "messages: [{user: \"{{ text }}\"}]\nanswer: likelihood\n", &prompt);
    seen one[20] = {{0}}, many[20] = {{0}};
    hn_fake_script slow = {.per_step = 1}, fast = {.per_step = 7};
    hn_test_ok(answer(prompt, &slow, NULL, one, 20, &err), &err);
    hn_test_ok(answer(prompt, &fast, NULL, many, 20, &err), &err);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(one[i].n, 1);
        assert_memory_equal(one[i].probabilities, many[i].probabilities, sizeof one[i].probabilities);
        assert_string_equal(one[i].value, many[i].value);
        double sum = one[i].probabilities[0] + one[i].probabilities[1] + one[i].probabilities[2];
        assert_true(fabs(sum - 1) < 1e-12);
    }
    hn_prompt_free(prompt);
}

static void the_cache_gives_the_same_bits_for_nothing(void **state) {
    (void)state;
    hn_prompt *prompt, *calibrated;
    hn_error err;
    load("c1", "messages: [{user: \"cached {{ text }}\"}]\nanswer: likelihood\n", &prompt);
    load("c2", "messages: [{user: \"cached {{ text }}\"}]\nanswer: likelihood\ncalibrate: prior\n", &calibrated);
    seen first[12] = {{0}}, again[12] = {{0}}, prior[12] = {{0}}, prior_again[12] = {{0}};
    hn_fake_script script = {.per_step = 5};
    hn_test_ok(answer(prompt, &script, project.store, first, 12, &err), &err);
    assert_int_equal(script.n_submitted, 12);
    assert_false(first[0].from_cache);
    hn_test_ok(answer(prompt, &script, project.store, again, 12, &err), &err);
    assert_int_equal(script.n_submitted, 12);
    for (int i = 0; i < 12; i++) {
        assert_true(again[i].from_cache);
        assert_memory_equal(first[i].probabilities, again[i].probabilities, sizeof first[i].probabilities);
        assert_memory_equal(first[i].raw, again[i].raw, sizeof first[i].raw);
    }
    /* calibrating asks the model only for training inputs that it has not seen; the cases' own answers are there */
    size_t n_train = 0, n_known = 0;
    for (size_t i = 0; i < project.dataset->n_cases; i++) {
        n_train += project.dataset->cases[i].split == HN_SPLIT_TRAIN;
        n_known += i < 12 && project.dataset->cases[i].split == HN_SPLIT_TRAIN;
    }
    hn_test_ok(answer(calibrated, &script, project.store, prior, 12, &err), &err);
    assert_int_equal(script.n_submitted, 12 + n_train - n_known);
    hn_test_ok(answer(calibrated, &script, project.store, prior_again, 12, &err), &err);
    assert_int_equal(script.n_submitted, 12 + n_train - n_known);
    assert_memory_equal(prior[3].probabilities, prior_again[3].probabilities, sizeof prior[3].probabilities);
    assert_memory_equal(prior[3].raw, first[3].raw, sizeof first[3].raw);

    /* the oracle: mean over the training inputs, by hand */
    static const char *const labels[] = {"apple", "pear", "plum"};
    double mean[3] = {0}, expected[3], z = 0;
    uint32_t *train;
    size_t n;
    hn_test_ok(hn_dataset_select(project.dataset, HN_SPLIT_TRAIN, &train, &n, &err), &err);
    hn_fake_script plain = {0};
    seen *rows = calloc(project.dataset->n_cases, sizeof *rows);
    assert_non_null(rows);
    hn_test_ok(answer(prompt, &plain, NULL, rows, project.dataset->n_cases, &err), &err);
    for (size_t i = 0; i < n; i++)
        for (int l = 0; l < 3; l++) mean[l] += rows[train[i]].raw[l] / (double)n;
    for (int l = 0; l < 3; l++) z += expected[l] = exp(first[3].raw[l] - mean[l]);
    int best = 0;
    for (int l = 0; l < 3; l++) {
        assert_true(fabs(prior[3].probabilities[l] - expected[l] / z) < 1e-9);
        if (expected[l] > expected[best]) best = l;
    }
    assert_string_equal(prior[3].value, labels[best]);
    free(rows);
    hn_free(train);
    hn_prompt_free(prompt);
    hn_prompt_free(calibrated);
}

/* A search that leaves labels out gives the same values, with the prior inside it, and says what it does not know. */
static void searched_labels_give_the_same_values(void **state) {
    (void)state;
    static const char *const ways[] = {"exact", "bounded", "best"}, *const calibrations[] = {"none", "prior"};
    hn_prompt *prompt;
    hn_error err;
    for (int c = 0; c < 2; c++) {
        seen out[3][20] = {{{0}}};
        for (int w = 0; w < 3; w++) {
            char name[16], yaml[160];
            snprintf(name, sizeof name, "s%d%d", c, w);
            snprintf(
                yaml, sizeof yaml,
                "messages: [{user: \"sought {{ text }}\"}]\nanswer: likelihood\ncalibrate: %s\nprobabilities: %s\n",
                calibrations[c], ways[w]);
            load(name, yaml, &prompt);
            hn_fake_script script = {.per_step = 5}, again = {.per_step = 3};
            hn_test_ok(answer(prompt, &script, project.store, out[w], 20, &err), &err);
            seen cached[20] = {{0}};
            hn_test_ok(answer(prompt, &again, project.store, cached, 20, &err), &err);
            assert_int_equal(again.n_submitted, 0);
            for (int i = 0; i < 20; i++) {
                assert_true(cached[i].from_cache);
                assert_int_equal(out[w][i].n, 1);
                assert_string_equal(cached[i].value, out[w][i].value);
                assert_memory_equal(cached[i].probabilities, out[w][i].probabilities, sizeof cached[i].probabilities);
                assert_string_equal(out[w][i].value, out[0][i].value);
                for (int l = 0; l < 3 && w == 1; l++) {
                    assert_true(fabs(out[1][i].probabilities[l] - out[0][i].probabilities[l]) < 1e-4);
                    assert_true(isnan(out[1][i].raw[l]) || out[1][i].raw[l] == out[0][i].raw[l]);
                }
                assert_int_equal(out[w][i].has_probabilities, w != 2);
            }
            hn_prompt_free(prompt);
        }
    }
}

static void write_apple(const char *prompt, const hn_request *r, char out[256]) {
    (void)prompt;
    snprintf(out, 256, "%s", r->max_tokens == 9 ? "It is red." : "I say: Apple.");
}

static double score_reasoned(const char *prompt, const char *label) {
    bool reasoned = strstr(prompt, "It is red.\n\nAnswer:\n") != NULL;
    return strcmp(label, reasoned ? "plum" : "pear") == 0 ? -0.1 : -3;
}

static void reasoning_stands_in_front_of_the_answer(void **state) {
    (void)state;
    hn_prompt *prompt, *generate;
    hn_error err;
    load("think", "messages: [{user: \"{{ text }}\"}]\nreasoning: {max_tokens: 9}\nanswer: likelihood\n", &prompt);
    load("write", "messages: [{user: \"{{ text }}\"}]\nanswer: generate\nparameters: {max_tokens: 20}\n", &generate);
    seen s[4] = {{0}}, g[4] = {{0}};
    hn_fake_script script = {.write = write_apple, .score = score_reasoned};
    hn_test_ok(answer(prompt, &script, project.store, s, 4, &err), &err);
    assert_int_equal(script.n_submitted, 8);
    assert_string_equal(s[0].reasoning, "It is red.");
    assert_string_equal(s[0].value, "plum");
    hn_test_ok(answer(prompt, &script, project.store, s, 4, &err), &err); /* both stages from the cache */
    assert_int_equal(script.n_submitted, 8);
    assert_true(s[3].from_cache);
    hn_test_ok(answer(generate, &script, NULL, g, 4, &err), &err);
    assert_string_equal(g[0].value, "apple");
    assert_string_equal(g[0].text, "I say: Apple.");
    hn_prompt_free(prompt);
    hn_prompt_free(generate);
}

static void note_examples(void *user, uint64_t ticket, const hn_answer *a) {
    size_t *n = user;
    (void)ticket;
    *n = a->n_examples;
    for (size_t i = 0; i < a->n_examples; i++) assert_int_equal(a->examples[i]->split, HN_SPLIT_TRAIN);
}

static void examples_come_from_the_training_cases(void **state) {
    (void)state;
    hn_prompt *prompt;
    hn_error err;
    load("near", "messages: [{user: \"{{ text }}\"}]\nexamples: {pick: nearest, n: 4}\nanswer: likelihood\n", &prompt);
    hn_fake_script script = {.per_step = 4};
    hn_provider *provider = hn_fake_provider(&script);
    hn_app_parts parts = {project.scope, project.dataset, prompt, provider, NULL, NULL};
    hn_app *app;
    size_t n = 0, pending = 1;
    hn_test_ok(hn_app_create(&parts, &app, &err), &err);
    hn_test_ok(hn_app_submit(app, &project.dataset->cases[5], 0, note_examples, &n, NULL, &err), &err);
    while (pending) hn_test_ok(hn_app_step(app, 10, &pending, &err), &err);
    assert_int_equal(n, 4);
    hn_app_free(app);
    hn_provider_close(provider);
    parts.dataset = NULL;
    assert_int_equal(hn_app_create(&parts, &app, &err), HN_ERR_INPUT);
    hn_prompt_free(prompt);
}

static hn_status fail_some(const char *prompt) {
    if (strstr(prompt, "case 3:")) return HN_ERR_CONTEXT;
    return strstr(prompt, "case 4:") ? HN_ERR_TIMEOUT : HN_OK;
}

/* Every training input is too long. */
static hn_status fail_training(const char *prompt) {
    for (size_t i = 0; i < project.dataset->n_cases; i++) {
        const hn_case *c = &project.dataset->cases[i];
        const char *text = json_string_value(json_object_get(c->inputs, "text"));
        if (c->split == HN_SPLIT_TRAIN && text && strstr(prompt, text)) return HN_ERR_CONTEXT;
    }
    return HN_OK;
}

static void one_bad_case_does_not_stop_the_others(void **state) {
    (void)state;
    hn_prompt *prompt, *calibrated;
    hn_error err;
    load("f1", "messages: [{user: \"{{ text }}\"}]\nanswer: likelihood\n", &prompt);
    load("f2", "messages: [{user: \"{{ text }}\"}]\nanswer: likelihood\ncalibrate: prior\n", &calibrated);
    seen s[8] = {{0}};
    hn_fake_script script = {.fail = fail_some}, none = {.fail = fail_training};
    hn_test_ok(answer(prompt, &script, NULL, s, 8, &err), &err);
    for (int i = 0; i < 8; i++)
        assert_int_equal(s[i].status, i == 3 ? HN_ERR_CONTEXT : i == 4 ? HN_ERR_TIMEOUT : HN_OK);
    hn_test_ok(answer(calibrated, &script, NULL, s, 8, &err), &err);
    assert_int_equal(s[3].status, HN_ERR_CONTEXT);
    assert_int_equal(s[2].status, HN_OK);
    assert_int_equal(answer(calibrated, &none, NULL, s, 8, &err), HN_ERR_INPUT);
    assert_non_null(strstr(err.message, "calibrate"));
    hn_prompt_free(prompt);
    hn_prompt_free(calibrated);
}

static void cancelled_cases_say_so_at_once(void **state) {
    (void)state;
    hn_prompt *prompt;
    hn_error err;
    load("x", "messages: [{user: \"{{ text }}\"}]\nanswer: likelihood\ncalibrate: prior\n", &prompt);
    hn_fake_script script = {0};
    hn_provider *provider = hn_fake_provider(&script);
    hn_app_parts parts = {project.scope, project.dataset, prompt, provider, NULL, NULL};
    hn_app *app;
    seen s[3] = {{0}};
    uint64_t tickets[3];
    hn_test_ok(hn_app_create(&parts, &app, &err), &err);
    for (int i = 0; i < 3; i++)
        hn_test_ok(hn_app_submit(app, &project.dataset->cases[i], 0, note, &s[i], &tickets[i], &err), &err);
    hn_app_cancel(app, tickets[1]);
    assert_int_equal(s[1].n, 1);
    assert_int_equal(s[1].status, HN_ERR_INTERRUPTED);
    hn_app_cancel(app, tickets[1]); /* unknown now */
    hn_app_cancel(app, 12345);
    size_t pending = 1;
    while (pending) hn_test_ok(hn_app_step(app, 10, &pending, &err), &err);
    assert_int_equal(s[0].status, HN_OK);
    assert_int_equal(s[1].n, 1);
    hn_test_ok(hn_app_submit(app, &project.dataset->cases[0], 0, note, &s[2], NULL, &err), &err);
    int before = s[2].n;
    hn_app_free(app); /* pending cases are dropped without a callback */
    assert_int_equal(s[2].n, before);
    hn_provider_close(provider);
    hn_prompt_free(prompt);
}

static void memory_that_runs_out_is_a_status(void **state) {
    (void)state;
    hn_prompt *prompt;
    hn_error err;
    load("oom",
         "messages: [{user: \"oom {{ text }}\"}]\nexamples: {pick: random, n: 2}\nreasoning: {max_tokens: 9}\nanswer: "
         "likelihood\ncalibrate: prior\n",
         &prompt);
    seen s[2];
    hn_fake_script script = {.write = write_apple, .per_step = 50};
    hn_test_ok(answer(prompt, &script, NULL, s, 2, &err), &err);
    size_t failures = 0;
    for (size_t n = 1;; n += 1 + n / 40) {
        memset(s, 0, sizeof s);
        hn_alloc_fail_at(n, n % 2 == 0);
        hn_status st = answer(prompt, &script, NULL, s, 2, &err);
        size_t tried = hn_alloc_count();
        hn_alloc_fail_at(0, false);
        failures += st != HN_OK || s[0].status != HN_OK || s[1].status != HN_OK;
        if (tried < n) break;
    }
    assert_true(failures > 20);
    hn_prompt_free(prompt);
}

int main(void) {
    hn_json_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(choices_are_read_as_documented),
        cmocka_unit_test(numbers_are_read_as_documented),
        cmocka_unit_test(patterns_match_the_whole_answer_in_bounded_time),
        cmocka_unit_test(the_prior_is_the_mean_taken_away),
        cmocka_unit_test(answers_do_not_depend_on_order_or_batch),
        cmocka_unit_test(the_cache_gives_the_same_bits_for_nothing),
        cmocka_unit_test(searched_labels_give_the_same_values),
        cmocka_unit_test(reasoning_stands_in_front_of_the_answer),
        cmocka_unit_test(examples_come_from_the_training_cases),
        cmocka_unit_test(one_bad_case_does_not_stop_the_others),
        cmocka_unit_test(cancelled_cases_say_so_at_once),
        cmocka_unit_test(memory_that_runs_out_is_a_status),
    };
    return cmocka_run_group_tests(tests, make_project, remove_project);
}
