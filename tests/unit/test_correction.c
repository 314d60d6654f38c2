/* Corrections of label probabilities: what is planted is found, promises hold on fresh cases, stored forms come back with the same bits, and
 * an evaluation applies on test what was fitted on dev. */
#include "fake_provider.h"
#include "support.h"
#include "test_project.h"

#include "app/calibrate.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "lifecycle/eval/correction_run.h"
#include "lifecycle/eval/eval.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { L = 4 };
static const char *const labels[L] = {"a", "b", "c", "d"};

/* Cases whose truth is drawn from softmax(scores), while the run says softmax(sharpness * scores). */
typedef struct sample {
    hn_prediction *rows;
    double *p;
    char (*ids)[24];
    size_t n;
} sample;

static double gaussian(hn_rng *rng) {
    double sum = 0;
    for (int i = 0; i < 12; i++) sum += hn_rng_uniform(rng);
    return sum - 6;
}

static sample make_sample(size_t n, double sharpness, uint64_t seed) {
    sample s = {hn_calloc(n, sizeof *s.rows), hn_calloc(n * L, sizeof *s.p), hn_calloc(n, sizeof *s.ids), n};
    hn_rng rng;
    hn_rng_seed(&rng, seed, 0);
    for (size_t i = 0; i < n; i++) {
        double scores[L], honest[L];
        for (int k = 0; k < L; k++) scores[k] = 1.5 * gaussian(&rng);
        hn_softmax(scores, L, honest);
        for (int k = 0; k < L; k++) scores[k] *= sharpness;
        hn_softmax(scores, L, s.p + i * L);
        double u = hn_rng_uniform(&rng);
        int truth = 0;
        while (truth < L - 1 && u >= honest[truth]) u -= honest[truth++];
        snprintf(s.ids[i], sizeof s.ids[i], "c%zu", i);
        s.rows[i] = (hn_prediction){.case_id = s.ids[i],
                                    .position = (int64_t)i,
                                    .target = labels[truth],
                                    .value = labels[hn_arg_max(s.p + i * L, L)],
                                    .probabilities = s.p + i * L,
                                    .n_probabilities = L};
    }
    return s;
}

static void free_sample(sample *s) {
    hn_free(s->rows);
    hn_free(s->p);
    hn_free(s->ids);
}

static hn_correction_fit fit_on(const sample *s, hn_recalibrate method, hn_abstention wanted) {
    hn_prediction_list list = {s->rows, s->n, NULL};
    hn_correction_fit fit;
    hn_error err;
    hn_test_ok(hn_correction_fit_make(&list, labels, L, method, &wanted, &fit, &err), &err);
    return fit;
}

static const hn_abstention nothing = {(double)NAN, 0.95, (double)NAN};

/* ---- fitting ---- */

static void the_planted_temperature_is_found(void **state) {
    (void)state;
    sample s = make_sample(4000, 2.5, 1);
    hn_correction_fit fit = fit_on(&s, HN_RECALIBRATE_TEMPERATURE, nothing);
    /* the standard error of 1/T at this size is about 0.01 */
    assert_true(fabs(fit.correction.temperature - 2.5) < 0.15);
    assert_true(fit.before.ece > 0.10 && fit.after.ece < 0.03);
    assert_true(fit.after.log_loss < fit.before.log_loss && fit.after.brier < fit.before.brier);
    assert_int_equal(fit.n, 4000);
    hn_correction_fit_free(&fit);
    fit = fit_on(&s, HN_RECALIBRATE_ISOTONIC, nothing);
    assert_true(fit.after.ece < 0.03 && fit.after.log_loss < fit.before.log_loss);
    hn_correction_fit_free(&fit);
    free_sample(&s);
}

static void the_likeliest_label_stays(void **state) {
    (void)state;
    sample s = make_sample(500, 2, 2);
    hn_error err;
    for (int m = HN_RECALIBRATE_TEMPERATURE; m <= HN_RECALIBRATE_ISOTONIC; m++) {
        hn_correction_fit fit = fit_on(&s, (hn_recalibrate)m, nothing);
        for (size_t i = 0; i < s.n; i++) {
            double p[L], sum = 0;
            size_t before = hn_arg_max(s.p + i * L, L);
            memcpy(p, s.p + i * L, sizeof p);
            hn_test_ok(hn_correction_apply(&fit.correction, p, L, &err), &err);
            for (int k = 0; k < L; k++) sum += p[k], assert_true(p[k] >= 0 && p[k] <= p[before]);
            assert_true(fabs(sum - 1) < 1e-12);
        }
        hn_correction_fit_free(&fit);
    }
    double none[L] = {0};
    hn_correction c = {.method = HN_RECALIBRATE_TEMPERATURE, .temperature = 2};
    hn_test_ok(hn_correction_apply(&c, none, L, &err), &err);
    for (int k = 0; k < L; k++) assert_true(none[k] == 0);
    free_sample(&s);
}

/* The promise is about new cases: over 200 samples the rule's true error (measured on 20,000 fresh cases) may pass the target in 5 % at
 * most, up to chance: at most 20 of 200 has probability over 0.998 where the true rate is 0.05. */
static void a_threshold_keeps_its_promise(void **state) {
    (void)state;
    sample fresh = make_sample(20000, 2, 999);
    size_t broken = 0, found = 0;
    for (uint64_t trial = 0; trial < 200; trial++) {
        sample s = make_sample(300, 2, 1000 + trial);
        hn_correction_fit fit = fit_on(&s, HN_RECALIBRATE_NONE, (hn_abstention){0.3, 0.95, (double)NAN});
        size_t given = 0, wrong = 0;
        for (size_t i = 0; i < fresh.n; i++) {
            if (hn_correction_abstains(&fit.correction, fresh.p + i * L, L)) continue;
            given++;
            wrong += strcmp(fresh.rows[i].value, fresh.rows[i].target) != 0;
        }
        found += fit.rule.found;
        broken += given && (double)wrong > 0.3 * (double)given;
        hn_correction_fit_free(&fit);
        free_sample(&s);
    }
    assert_true(found > 100);
    assert_true(broken <= 20);
    free_sample(&fresh);
}

static void sets_hold_the_truth_as_often_as_asked(void **state) {
    (void)state;
    sample s = make_sample(1000, 2, 5), fresh = make_sample(20000, 2, 6);
    hn_correction_fit fit = fit_on(&s, HN_RECALIBRATE_NONE, (hn_abstention){(double)NAN, 0.95, 0.9});
    size_t held = 0;
    bool in[L];
    for (size_t i = 0; i < fresh.n; i++) {
        hn_correction_set(&fit.correction, fresh.p + i * L, L, in);
        for (int k = 0; k < L; k++) held += in[k] && strcmp(labels[k], fresh.rows[i].target) == 0;
    }
    double share = (double)held / (double)fresh.n; /* its standard deviation over samples of 1,000: 0.0095 */
    assert_true(share > 0.9 - 0.035 && share < 0.9 + 0.035);
    assert_true(fit.set_size > 1 && fit.set_size < L);
    assert_true(!hn_correction_abstains(&fit.correction, fresh.p, L));
    hn_correction_fit_free(&fit);
    free_sample(&s);
    free_sample(&fresh);
}

static void related_cases_count_once(void **state) {
    (void)state;
    sample s = make_sample(400, 2, 7);
    static char groups[100][8];
    for (size_t i = 0; i < s.n; i++) {
        snprintf(groups[i / 4], sizeof groups[0], "g%zu", i / 4);
        s.rows[i].group = groups[i / 4];
    }
    hn_correction_fit fit = fit_on(&s, HN_RECALIBRATE_NONE, (hn_abstention){0.3, 0.95, (double)NAN});
    assert_int_equal(fit.n, 400);
    assert_int_equal(fit.n_independent, 100);
    assert_true(fit.rule.n_answered <= 100);
    hn_correction_fit_free(&fit);
    free_sample(&s);
}

static void too_little_is_said(void **state) {
    (void)state;
    sample s = make_sample(20, 2, 8);
    hn_correction_fit fit = fit_on(&s, HN_RECALIBRATE_NONE, (hn_abstention){0.01, 0.95, 0.99});
    assert_false(fit.rule.found); /* 20 cases cannot promise 1 %: (1 - 0.01)^20 > 0.05 */
    assert_true(hn_correction_abstains(&fit.correction, s.p, L));
    assert_true(isinf(fit.correction.miss_limit) && fit.set_size == L); /* 99 % of 20: every label */
    hn_correction_fit_free(&fit);
    hn_error err;
    for (size_t i = 0; i < s.n; i++) s.rows[i].target = s.rows[i].value; /* all right: no temperature */
    hn_prediction_list list = {s.rows, s.n, NULL};
    assert_int_equal(hn_correction_fit_make(&list, labels, L, HN_RECALIBRATE_TEMPERATURE, &nothing, &fit, &err),
                     HN_ERR_INPUT);
    for (size_t i = 0; i < s.n; i++) s.rows[i].probabilities = NULL;
    assert_int_equal(hn_correction_fit_make(&list, labels, L, HN_RECALIBRATE_NONE, &nothing, &fit, &err), HN_ERR_INPUT);
    list.n = 0;
    assert_int_equal(hn_correction_fit_make(&list, labels, L, HN_RECALIBRATE_NONE, &nothing, &fit, &err), HN_ERR_INPUT);
    free_sample(&s);
}

static void memory_running_out_is_a_status(void **state) {
    (void)state;
    sample s = make_sample(40, 2, 9);
    hn_prediction_list list = {s.rows, s.n, NULL};
    hn_abstention wanted = {0.3, 0.95, 0.8};
    hn_status st = HN_ERR_MEMORY;
    for (size_t n = 1; st == HN_ERR_MEMORY; n++) {
        hn_correction_fit fit;
        hn_error err;
        hn_alloc_fail_at(n, false);
        st = hn_correction_fit_make(&list, labels, L, HN_RECALIBRATE_ISOTONIC, &wanted, &fit, &err);
        hn_alloc_fail_at(0, false);
        if (st == HN_OK) hn_correction_fit_free(&fit);
    }
    assert_int_equal(st, HN_OK);
    free_sample(&s);
}

/* ---- stored forms ---- */

static void stored_corrections_come_back(void **state) {
    (void)state;
    sample s = make_sample(300, 2, 10);
    hn_error err;
    for (int m = HN_RECALIBRATE_NONE; m <= HN_RECALIBRATE_ISOTONIC; m++) {
        hn_correction_fit fit =
            fit_on(&s, (hn_recalibrate)m, (hn_abstention){m ? 0.2 : 0.0001, 0.9, m ? 0.9 : (double)NAN});
        json_t *value;
        hn_correction back;
        hn_test_ok(hn_correction_json(&fit.correction, &value, &err), &err);
        char *text = json_dumps(value, 0);
        json_decref(value);
        value = json_loads(text, 0, NULL);
        hn_test_ok(hn_correction_parse(value, &back, &err), &err);
        for (size_t i = 0; i < s.n; i++) {
            double a[L], b[L];
            memcpy(a, s.p + i * L, sizeof a);
            memcpy(b, a, sizeof b);
            assert_int_equal(hn_correction_abstains(&fit.correction, a, L), hn_correction_abstains(&back, b, L));
            hn_test_ok(hn_correction_apply(&fit.correction, a, L, &err), &err);
            hn_test_ok(hn_correction_apply(&back, b, L, &err), &err);
            assert_memory_equal(a, b, sizeof a);
        }
        hn_correction_free(&back);
        json_decref(value);
        free(text);
        hn_correction_fit_free(&fit);
    }
    free_sample(&s);
}

static void damaged_corrections_are_refused(void **state) {
    (void)state;
    static const char rest[] =
        "\"miss_limit\":null,\"target_error\":null,\"confidence\":0.95,\"sets\":null,\"run\":\"x\"";
    static const char *const starts[] = {
        "\"method\":\"none\",\"temperature\":null",
        "\"method\":\"other\",\"temperature\":null,\"threshold\":\"always\"",
        "\"method\":\"temperature\",\"temperature\":-1,\"threshold\":\"always\"",
        "\"method\":\"temperature\",\"temperature\":null,\"threshold\":\"always\"",
        "\"method\":\"isotonic\",\"temperature\":null,\"threshold\":\"always\"",
        "\"method\":\"isotonic\",\"temperature\":null,\"threshold\":\"always\",\"curve\":[[0,0.5],[1,0.4]]",
        "\"method\":\"isotonic\",\"temperature\":null,\"threshold\":\"always\",\"curve\":[[0,0],[0,1]]",
        "\"method\":\"isotonic\",\"temperature\":null,\"threshold\":\"always\",\"curve\":[[0,0],3]",
        "\"method\":\"isotonic\",\"temperature\":null,\"threshold\":\"always\",\"curve\":[[0,0],[1,7]]",
        "\"method\":\"none\",\"temperature\":null,\"threshold\":null",
        "\"method\":\"none\",\"temperature\":null,\"threshold\":\"sometimes\""};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        char text[400];
        hn_correction c;
        hn_error err;
        snprintf(text, sizeof text, "{%s,%s}", starts[i], rest);
        json_t *value = json_loads(text, 0, NULL);
        assert_non_null(value);
        if (hn_correction_parse(value, &c, &err) != HN_ERR_INPUT) fail_msg("%s was taken", text);
        json_decref(value);
    }
}

/* ---- through an evaluation ---- */

/* Sure and right where the text names the label, unsure between the first two where it does not. */
static double score(const char *prompt, const char *label) {
    if (strstr(prompt, label)) return -0.05;
    return strcmp(label, "apple") == 0 ? -1.0 : strcmp(label, "pear") == 0 ? -1.1 : -3;
}

static void test_applies_what_dev_fitted(void **state) {
    (void)state;
    char folder[HN_PATH_MAX], inside[HN_PATH_MAX + 8];
    hn_test_project project;
    hn_fake_script script = {.score = score, .per_step = 7};
    hn_prompt *prompt;
    hn_eval_result r;
    hn_error err;
    hn_test_folder(folder);
    snprintf(inside, sizeof inside, "%s/p", folder);
    hn_test_project_make(&project, inside);
    hn_scope *scope = (hn_scope *)(uintptr_t)project.scope;
    scope->abstain = (hn_abstention){0.45, 0.5, 0.8}; /* loose: the project has few cases */
    hn_test_project_prompt(&project, "cal",
                           "messages: [{user: \"{{ text }}\"}]\nanswer: likelihood\ncalibrate: isotonic\n", &prompt);
    assert_int_equal(prompt->recalibrate, HN_RECALIBRATE_ISOTONIC);
    assert_int_equal(prompt->calibrate, HN_CALIBRATE_NONE);
    hn_provider *provider = hn_fake_provider(&script);
    hn_eval_setup setup = {.project = project.project,
                           .dataset = project.dataset,
                           .store = project.store,
                           .provider = provider,
                           .split = HN_SPLIT_TEST};
    assert_int_equal(hn_eval_run(&setup, prompt, NULL, NULL, &r, &err), HN_ERR_NOT_FOUND);
    assert_non_null(strstr(err.hint, "dev split first"));
    assert_int_equal(script.n_submitted, 0);
    setup.split = HN_SPLIT_DEV;
    hn_test_ok(hn_eval_run(&setup, prompt, NULL, NULL, &r, &err), &err);
    assert_int_equal(r.report.n_abstained, 0); /* on dev nothing is applied */
    hn_correction_fit fit;
    hn_test_ok(hn_correction_of_run(project.scope, prompt->recalibrate, r.run, &r.predictions, &fit, &err), &err);
    assert_true(fit.rule.found);
    hn_eval_result_free(&r);
    setup.split = HN_SPLIT_TEST;
    hn_test_ok(hn_eval_run(&setup, prompt, NULL, NULL, &r, &err), &err);
    assert_non_null(strstr(r.run->spec.parameters_json, fit.correction.run_id));
    size_t abstained = 0;
    for (size_t i = 0; i < r.predictions.n; i++) {
        const hn_prediction *row = &r.predictions.rows[i];
        double p[3];
        hn_label_probabilities(row->raw_logprobs, NULL, 3, p);
        abstained += hn_correction_abstains(&fit.correction, p, 3);
        hn_test_ok(hn_correction_apply(&fit.correction, p, 3, &err), &err);
        assert_memory_equal(p, row->probabilities, sizeof p);
    }
    assert_int_equal(r.report.n_abstained, abstained);
    assert_int_equal(r.report.n_sets, r.report.n);
    assert_true(r.report.given.value == 1 - (double)abstained / (double)r.report.n);
    hn_eval_result_free(&r);
    hn_correction_fit_free(&fit);
    hn_provider_close(provider);
    hn_prompt_free(prompt);
    hn_test_project_close(&project);
    hn_test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_planted_temperature_is_found), cmocka_unit_test(the_likeliest_label_stays),
        cmocka_unit_test(a_threshold_keeps_its_promise),    cmocka_unit_test(sets_hold_the_truth_as_often_as_asked),
        cmocka_unit_test(related_cases_count_once),         cmocka_unit_test(too_little_is_said),
        cmocka_unit_test(memory_running_out_is_a_status),   cmocka_unit_test(stored_corrections_come_back),
        cmocka_unit_test(damaged_corrections_are_refused),  cmocka_unit_test(test_applies_what_dev_fitted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
