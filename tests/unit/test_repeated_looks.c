/* Looking while it runs: the test of a sequence against its formula and by simulation, runs that stop as soon as they are decided and go on later,
 * unfinished runs compared, and the ledger of looks at the test split. */
#include "fake_provider.h"
#include "support.h"
#include "test_project.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "lifecycle/eval/eval.h"
#include "lifecycle/iterate/compare.h"
#include "lifecycle/iterate/ledger.h"

#include <math.h>
#include <stdio.h>
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

/* Wealth after b wins of A and c of B: 2^(b + c) / ((b + c + 1) C(b + c, c)). */
static double p_of(int b, int c) {
    return exp(log(b + c + 1.0) + lgamma(b + c + 1) - lgamma(b + 1) - lgamma(c + 1) - (b + c) * log(2));
}

static void the_first_certain_look_decides(void **state) {
    (void)state;
    double a[200] = {0}, b[200];
    hn_repeated_looks s;
    hn_error err;
    for (int i = 0; i < 200; i++) b[i] = i % 10 == 0; /* B alone is right in every tenth case */
    hn_test_ok(hn_repeated_looks_judge(a, b, NULL, 200, 50, 0.05, &s, &err), &err);
    /* 5 after 50: 6 / 32 = 0.19; 10 after 100: 11 / 1024 */
    assert_int_equal(s.kind, HN_VERDICT_BETTER);
    assert_int_equal(s.n_used, 100);
    assert_int_equal(s.n_looks, 2);
    assert_true(fabs(s.p - 11.0 / 1024) < 1e-9 && fabs(s.p - p_of(0, 10)) < 1e-9);
    assert_true(s.share.value == 1 && s.share.low > 0.5 && s.share.high == 1);
    hn_test_ok(hn_repeated_looks_judge(b, a, NULL, 200, 50, 0.05, &s, &err), &err);
    assert_int_equal(s.kind, HN_VERDICT_WORSE);
    /* all wins in one group are one win */
    uint32_t groups[200] = {0};
    hn_test_ok(hn_repeated_looks_judge(a, b, groups, 200, 50, 0.05, &s, &err), &err);
    assert_int_equal(s.kind, HN_VERDICT_CANNOT_TELL);
    assert_int_equal(s.only_b, 1);
    assert_int_equal(s.n_used, 200);
    /* no case at all, none that differs, a last look off the grid */
    hn_test_ok(hn_repeated_looks_judge(a, b, NULL, 0, 50, 0.05, &s, &err), &err);
    assert_true(s.p == 1 && s.kind == HN_VERDICT_CANNOT_TELL);
    hn_test_ok(hn_repeated_looks_judge(a, a, NULL, 60, 50, 0.05, &s, &err), &err);
    assert_true(s.p == 1 && isnan(s.share.value) && s.n_looks == 2);
    hn_alloc_fail_at(1, false);
    assert_int_equal(hn_repeated_looks_judge(a, b, groups, 200, 50, 0.05, &s, &err), HN_ERR_MEMORY);
    hn_alloc_fail_at(0, false);
}

static double score(const char *prompt, const char *label) {
    if (strncmp(prompt, "bad", 3) == 0) return strcmp(label, "pear") == 0 ? -0.5 : -2;
    return strstr(prompt, label) ? -0.25 : strcmp(label, "apple") == 0 ? -1 : -4;
}

static void evaluate(hn_prompt *prompt, hn_fake_script *script, hn_split split, const hn_eval_until *until,
                     hn_eval_result *r) {
    hn_provider *provider = hn_fake_provider(script);
    hn_eval_setup setup = {.project = project.project,
                           .dataset = project.dataset,
                           .store = project.store,
                           .provider = provider,
                           .split = split,
                           .until = until};
    hn_error err;
    hn_test_ok(hn_eval_run(&setup, prompt, NULL, NULL, r, &err), &err);
    hn_provider_close(provider);
}

/* A reference that is always wrong: every right answer is a win. The run stops, is compared as it is, and goes on. */
static void a_decided_run_stops_and_goes_on(void **state) {
    (void)state;
    hn_prompt *good, *bad;
    hn_eval_result a, b;
    hn_comparison c;
    hn_error err;
    hn_fake_script slow = {.score = score, .step_ms = 30}, fast = {.score = score, .per_step = 9};
    double never[HN_TEST_CASES] = {0};
    char name_a[32], name_b[32];
    hn_test_project_prompt(&project, "good", "messages: [{user: \"good {{ text }}\"}]\nanswer: likelihood\n", &good);
    hn_test_project_prompt(&project, "bad", "messages: [{user: \"bad {{ text }}\"}]\nanswer: likelihood\n", &bad);
    evaluate(bad, &fast, HN_SPLIT_DEV, NULL, &a);
    size_t n = a.report.n;
    /* the fake provider answers the newest first: in order only where one is asked for at a time */
    hn_eval_until until = {.reference = never, .n = n, .every = 4, .alpha = 0.05};
    hn_fake_script in_turn = {.score = score, .per_step = 9};
    evaluate(good, &in_turn, HN_SPLIT_DEV, &until, &b);
    assert_int_equal(b.sequence.kind, HN_VERDICT_BETTER);
    assert_true(b.sequence.n_used < n && b.sequence.n_used % 4 == 0);
    snprintf(name_a, sizeof name_a, "r%lld", (long long)a.run->id);
    snprintf(name_b, sizeof name_b, "r%lld", (long long)b.run->id);
    hn_eval_result_free(&b);
    hn_prompt_free(good);

    /* stopped by the user in mid-run */
    hn_test_project_prompt(&project, "half", "messages: [{user: \"good half {{ text }}\"}]\nanswer: likelihood\n",
                           &good);
    hn_evaluation *e;
    hn_provider *provider = hn_fake_provider(&slow);
    hn_eval_setup setup = {.project = project.project,
                           .dataset = project.dataset,
                           .store = project.store,
                           .provider = provider,
                           .split = HN_SPLIT_DEV};
    hn_test_ok(hn_evaluation_open(&setup, good, NULL, NULL, &e, &err), &err);
    bool over = false;
    for (int i = 0; i < 6; i++) hn_test_ok(hn_evaluation_step(e, 10, &over, &err), &err);
    assert_false(over);
    hn_evaluation_stop(e, HN_OK, &err);
    hn_evaluation_free(e);
    hn_provider_close(provider);
    hn_compare_options partial = {.smallest_difference = (double)NAN, .partial = true};
    assert_int_equal(hn_compare_runs(project.store, name_a, "last", project.scope, &c, &err), HN_ERR_INPUT);
    /* the newest cases were answered: there is a gap at the beginning, so nothing can be said yet */
    assert_int_equal(hn_compare_runs_with(project.store, name_a, "last", project.scope, &partial, &c, &err),
                     HN_ERR_INPUT);
    assert_non_null(strstr(err.message, "first cases"));
    hn_eval_result whole;
    evaluate(good, &fast, HN_SPLIT_DEV, NULL, &whole);
    assert_int_equal(whole.start, HN_RUN_RESUMED);
    assert_int_equal(whole.report.n, n);
    hn_test_ok(hn_compare_runs_with(project.store, name_a, "last", project.scope, &partial, &c, &err), &err);
    assert_false(c.partial);
    hn_comparison_free(&c);
    hn_compare_options wide = {.smallest_difference = 0.9, .partial = true}, narrow = {.smallest_difference = 1e-6};
    hn_test_ok(hn_compare_runs_with(project.store, "last", "last", project.scope, &wide, &c, &err), &err);
    assert_int_equal(c.verdict.kind, HN_VERDICT_EQUIVALENT);
    assert_true(hn_comparison_not_worse(&c));
    hn_comparison_free(&c);
    hn_test_ok(hn_compare_runs_with(project.store, "last", "last", project.scope, &narrow, &c, &err), &err);
    assert_int_equal(c.verdict.kind, HN_VERDICT_CANNOT_TELL);
    assert_false(hn_comparison_not_worse(&c));
    hn_comparison_free(&c);
    hn_eval_result_free(&whole);
    hn_eval_result_free(&a);
    hn_prompt_free(good);
    hn_prompt_free(bad);
}

/* A run whose first cases were saved, the rest not: by the store's own functions. */
static void unfinished_runs_are_compared_on_their_beginnings(void **state) {
    (void)state;
    hn_error err;
    hn_run *runs[2];
    hn_run_start start;
    hn_comparison c;
    char names[2][32];
    for (int k = 0; k < 2; k++) {
        hn_run_spec spec = {.kind = "eval",
                            .prompt_name = k ? "pb" : "pa",
                            .prompt_hash = k ? "b" : "a",
                            .dataset_hash = project.dataset->hash,
                            .split = "dev",
                            .n_cases = 300,
                            .case_set_hash = "same",
                            .model_name = "m",
                            .metric = "accuracy"};
        hn_test_ok(hn_run_begin(project.store, &spec, false, &runs[k], &start, &err), &err);
        snprintf(names[k], sizeof names[k], "r%lld", (long long)runs[k]->id);
        static char ids[300][16];
        hn_prediction rows[300];
        size_t n = 0;
        for (int i = 0; i < 300; i++) {
            if (i >= 120 && (k || i % 2)) continue; /* A has gaps behind 120, B ends there */
            snprintf(ids[i], sizeof ids[i], "q%d", i);
            rows[n++] = (hn_prediction){
                .case_id = ids[i], .position = i, .target = "x", .value = "x", .correct = k && i % 8 == 0};
        }
        hn_test_ok(hn_prediction_add(project.store, runs[k]->id, rows, n, &err), &err);
    }
    hn_compare_options partial = {.smallest_difference = (double)NAN, .partial = true};
    hn_test_ok(hn_compare_runs_with(project.store, names[0], names[1], project.scope, &partial, &c, &err), &err);
    assert_true(c.partial);
    assert_int_equal(c.shared_b.n, 120);
    assert_int_equal(c.verdict.kind, HN_VERDICT_BETTER);
    assert_int_equal(c.sequence.n_used, 100); /* 7 wins after 50: 8 / 128 = 0.0625; 13 after 100 */
    assert_true(fabs(c.verdict.p - p_of(0, 13)) < 1e-9);
    assert_true(isnan(c.verdict.difference.low) && fabs(c.verdict.difference.value - 15.0 / 120) < 1e-12);
    json_t *value;
    hn_test_ok(hn_comparison_json(&c, &value, &err), &err);
    assert_true(json_is_true(json_object_get(value, "partial")));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(value, "sequence"), "n_used")), 100);
    json_decref(value);
    hn_comparison_free(&c);
    hn_run_free(runs[0]);
    hn_run_free(runs[1]);
}

static void the_ledger_corrects_the_best(void **state) {
    (void)state;
    hn_fake_script fast = {.score = score, .per_step = 9};
    hn_ledger l;
    hn_error err;
    hn_eval_result r[3];
    hn_test_ok(hn_ledger_make(project.store, project.dataset->hash, &l, &err), &err);
    assert_int_equal(l.n_looks, 0);
    assert_null(hn_ledger_best(&l));
    hn_ledger_free(&l);
    for (int i = 0; i < 3; i++) {
        hn_prompt *prompt;
        char name[16], yaml[120];
        snprintf(name, sizeof name, "t%d", i % 2);
        snprintf(yaml, sizeof yaml, "messages: [{user: \"%s test {{ text }}\"}]\nanswer: likelihood\n",
                 i % 2 ? "good" : "bad");
        hn_test_project_prompt(&project, name, yaml, &prompt);
        evaluate(prompt, &fast, HN_SPLIT_TEST, NULL, &r[i]); /* the third is the first again */
        hn_prompt_free(prompt);
    }
    hn_test_ok(hn_ledger_make(project.store, project.dataset->hash, &l, &err), &err);
    assert_int_equal(l.n_looks, 3);
    assert_int_equal(l.n_candidates, 2);
    assert_true(!l.looks[0].again && !l.looks[1].again && l.looks[2].again);
    assert_int_equal(l.looks[2].candidate, 0);
    assert_int_equal(hn_ledger_best(&l)->id, r[1].run->id);
    assert_true(fabs(l.selection.observed - r[1].report.accuracy.value) < 1e-12);
    assert_true(l.selection.optimism >= 0 && l.selection.corrected.value <= l.selection.observed);
    json_t *value;
    hn_test_ok(hn_ledger_json(&l, &value, &err), &err);
    assert_int_equal(json_array_size(json_object_get(value, "looks")), 3);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(value, "best"), "chosen_from")), 2);
    json_decref(value);
    hn_ledger_free(&l);
    hn_test_ok(hn_ledger_make(project.store, "other data", &l, &err), &err);
    assert_int_equal(l.n_looks, 0);
    hn_ledger_free(&l);
    for (size_t n = 1;; n++) {
        hn_alloc_fail_at(n, n % 2 == 0);
        hn_status st = hn_ledger_make(project.store, project.dataset->hash, &l, &err);
        size_t tried = hn_alloc_count();
        hn_alloc_fail_at(0, false);
        if (st == HN_OK) hn_ledger_free(&l);
        if (st == HN_OK && tried < n) break;
        assert_true(n < 100000);
    }
    for (int i = 0; i < 3; i++) hn_eval_result_free(&r[i]);
}

int main(void) {
    hn_json_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_certain_look_decides),
        cmocka_unit_test(a_decided_run_stops_and_goes_on),
        cmocka_unit_test(unfinished_runs_are_compared_on_their_beginnings),
        cmocka_unit_test(the_ledger_corrects_the_best),
    };
    return cmocka_run_group_tests(tests, make_project, remove_project);
}
