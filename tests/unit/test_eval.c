/* Evaluation and comparison with a scripted provider: killed, stopped and resumed runs come to the same result as one that was left
 * alone; metrics and verdicts against counts made by hand. */
#include "fake_provider.h"
#include "support.h"
#include "test_project.h"

#include "base/alloc.h"
#include "base/interrupt.h"
#include "lifecycle/eval/eval.h"
#include "lifecycle/iterate/advice.h"
#include "lifecycle/iterate/compare.h"
#include "lifecycle/iterate/run_detail.h"
#include "lifecycle/scope/scope_report.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[HN_PATH_MAX];
static hn_test_project project;
static const char good_yaml[] = "messages: [{user: \"good {{ text }}\"}]\nanswer: likelihood\n";
static const char bad_yaml[] = "messages: [{user: \"bad {{ text }}\"}]\nanswer: likelihood\n";

static int make_project(void **state) {
    (void)state;
    return hn_test_project_begin(&project, folder);
}

static int remove_project(void **state) {
    (void)state;
    return hn_test_project_end(&project, folder);
}

/* The good prompt finds the label that stands in the text; the bad one always says pear. Without one in the text: apple. */
static double score(const char *prompt, const char *label) {
    if (strncmp(prompt, "bad", 3) == 0) return strcmp(label, "pear") == 0 ? -0.5 : -2;
    bool named = strstr(prompt, label) != NULL;
    return named ? -0.25 : strcmp(label, "apple") == 0 ? -1 : -4;
}

static hn_eval_setup setup_with(hn_provider *provider, hn_split split) {
    return (hn_eval_setup){.project = project.project,
                           .dataset = project.dataset,
                           .store = project.store,
                           .provider = provider,
                           .split = split};
}

static void evaluate(hn_prompt *prompt, hn_fake_script *script, hn_split split, size_t limit, bool no_cache,
                     hn_eval_result *result) {
    hn_provider *provider = hn_fake_provider(script);
    hn_eval_setup setup = setup_with(provider, split);
    hn_error err;
    setup.limit = limit;
    setup.no_cache = no_cache;
    hn_test_ok(hn_eval_run(&setup, prompt, NULL, NULL, result, &err), &err);
    hn_provider_close(provider);
}

/* How many cases of a split name their label in the text, or are apples. */
static size_t count_right(hn_split split, size_t *n) {
    size_t right = 0;
    *n = 0;
    for (size_t i = 0; i < project.dataset->n_cases; i++) {
        const hn_case *c = &project.dataset->cases[i];
        if (c->split != split) continue;
        ++*n;
        const char *text = json_string_value(json_object_get(c->inputs, "text"));
        right += strstr(text, c->target) != NULL || strcmp(c->target, "apple") == 0;
    }
    return right;
}

static void a_run_is_measured_and_kept(void **state) {
    (void)state;
    hn_prompt *prompt;
    hn_fake_script script = {.score = score, .per_step = 5};
    hn_eval_result r, again;
    hn_error err;
    size_t n, right = count_right(HN_SPLIT_DEV, &n);
    hn_test_project_prompt(&project, "kept", good_yaml, &prompt);
    evaluate(prompt, &script, HN_SPLIT_DEV, 0, false, &r);
    assert_int_equal(r.start, HN_RUN_NEW);
    assert_int_equal(r.report.n, n);
    assert_int_equal(r.report.n_correct, right);
    assert_true(r.report.grouped);
    assert_true(r.report.accuracy.low < r.report.accuracy.value && r.report.accuracy.value < r.report.accuracy.high);
    assert_int_equal(r.n_cached, 0);
    assert_int_equal(script.n_submitted, n);
    /* macro F1 by hand from the confusion counts */
    double sum = 0;
    for (size_t l = 0; l < 3; l++) {
        double tp = (double)hn_confusion_at(&r.report.confusion, l, l), truth = 0, given = 0;
        for (size_t k = 0; k < 3; k++) {
            truth += (double)hn_confusion_at(&r.report.confusion, l, k);
            given += (double)hn_confusion_at(&r.report.confusion, k, l);
        }
        sum += 2 * tp / (truth + given);
    }
    assert_true(fabs(r.report.macro_f1.value - sum / 3) < 1e-12);
    /* the same again: nothing is computed, the run is the same one */
    evaluate(prompt, &script, HN_SPLIT_DEV, 0, false, &again);
    assert_int_equal(again.start, HN_RUN_DONE);
    assert_int_equal(again.run->id, r.run->id);
    assert_int_equal(again.n_cached, n);
    assert_int_equal(script.n_submitted, n);
    assert_true(again.report.accuracy.value == r.report.accuracy.value &&
                again.report.macro_f1.low == r.report.macro_f1.low);
    hn_eval_result_free(&again);
    /* fewer cases: another run, all from the cache */
    evaluate(prompt, &script, HN_SPLIT_DEV, 7, false, &again);
    assert_int_equal(again.report.n, 7);
    assert_int_equal(again.n_cached, 7);
    assert_true(again.run->id != r.run->id);
    hn_eval_result_free(&again);
    assert_int_equal(script.n_submitted, n);
    evaluate(prompt, &script, HN_SPLIT_DEV, 0, true, &again); /* without the cache: a new run */
    assert_int_equal(script.n_submitted, 2 * n);
    assert_true(again.run->id != r.run->id);
    assert_string_equal(again.run->content_id, r.run->content_id);

    json_t *value, *baselines = json_object();
    hn_test_ok(hn_eval_json(&again, baselines, &value, &err), &err);
    assert_true(json_integer_value(json_object_get(value, "n")) == (json_int_t)n);
    assert_true(json_is_real(json_object_get(json_object_get(json_object_get(value, "metrics"), "accuracy"), "low")));
    assert_true(json_is_integer(json_object_get(value, "tokens")) && json_is_real(json_object_get(value, "seconds")));
    json_decref(value);
    json_decref(baselines);
    hn_eval_result_free(&again);
    hn_eval_result_free(&r);
    hn_prompt_free(prompt);
}

static void stop_after_some(void *user, const hn_eval_progress *p) {
    size_t *most = user;
    *most = p->n_saved;
    if (p->n_saved >= 1) hn_interrupt_request();
}

static void an_interrupted_run_goes_on(void **state) {
    (void)state;
    hn_prompt *prompt;
    hn_error err;
    hn_eval_result r;
    size_t n, right = count_right(HN_SPLIT_DEV, &n), saved = 0;
    hn_test_project_prompt(&project, "stop", "messages: [{user: \"stop good {{ text }}\"}]\nanswer: likelihood\n",
                           &prompt);
    hn_fake_script slow = {.score = score, .step_ms = 60};
    hn_provider *provider = hn_fake_provider(&slow);
    hn_eval_setup setup = setup_with(provider, HN_SPLIT_DEV);
    assert_int_equal(hn_eval_run(&setup, prompt, stop_after_some, &saved, &r, &err), HN_ERR_INTERRUPTED);
    assert_non_null(strstr(err.message, "saved as r"));
    hn_provider_close(provider);
    hn_interrupt_clear();
    hn_run *run;
    hn_test_ok(hn_run_find(project.store, "last", &run, &err), &err);
    assert_string_equal(run->state, "stopped");
    assert_true(run->n_done >= (int64_t)saved && run->n_done < (int64_t)n && saved > 0);
    assert_int_equal(slow.n_cancelled, slow.n_submitted - slow.n_completed);
    int64_t id = run->id, done = run->n_done;
    hn_run_free(run);
    assert_int_equal(hn_compare_runs(project.store, "last", "last", project.scope, &(hn_comparison){0}, &err),
                     HN_ERR_INPUT); /* unfinished */

    hn_fake_script fast = {.score = score, .per_step = 9};
    evaluate(prompt, &fast, HN_SPLIT_DEV, 0, false, &r);
    assert_int_equal(r.start, HN_RUN_RESUMED);
    assert_int_equal(r.run->id, id);
    assert_int_equal(r.n_resumed, done);
    assert_int_equal(fast.n_submitted, n - (size_t)done);
    assert_int_equal(r.report.n, n);
    assert_int_equal(r.report.n_correct, right);
    hn_eval_result_free(&r);
    hn_prompt_free(prompt);
}

static void report_saved(void *user, const hn_eval_progress *p) {
    int64_t n = (int64_t)p->n_saved;
    if (write(*(int *)user, &n, sizeof n) != sizeof n) _exit(3);
}

/* A child evaluates and is killed at once after it reports something new; the next goes on; in the end nothing is missing. */
static void a_killed_run_loses_nothing_that_was_reported(void **state) {
    (void)state;
    hn_prompt *prompt;
    hn_error err;
    size_t n, right = count_right(HN_SPLIT_DEV, &n);
    char inside[HN_PATH_MAX];
    snprintf(inside, sizeof inside, "%s", project.folder);
    hn_test_project_prompt(&project, "killed", "messages: [{user: \"killed good {{ text }}\"}]\nanswer: likelihood\n",
                           &prompt);
    hn_prompt_free(prompt);
    hn_test_project_close(&project); /* SQLite connections must not cross a fork */
    int64_t reported = 0;
    for (int round = 0; round < 3; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            char path[HN_PATH_MAX + 32];
            hn_eval_result r;
            close(ends[0]);
            hn_test_project_open(&project, inside);
            snprintf(path, sizeof path, "%s/prompts/killed.yaml", inside);
            if (hn_prompt_load(path, project.scope, project.dataset, &prompt, &err) != HN_OK) _exit(1);
            hn_fake_script slow = {.score = score, .step_ms = 90};
            hn_provider *provider = hn_fake_provider(&slow);
            hn_eval_setup setup = setup_with(provider, HN_SPLIT_DEV);
            _exit(hn_eval_run(&setup, prompt, report_saved, &ends[1], &r, &err) == HN_OK ? 0 : 2);
        }
        close(ends[1]);
        int64_t before = reported;
        while (reported <= before && read(ends[0], &reported, sizeof reported) == sizeof reported) {
        }
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        while (read(ends[0], &reported, sizeof reported) == sizeof reported) {
        }
        close(ends[0]);
        assert_true(reported > before);
    }
    hn_test_project_open(&project, inside);
    char path[HN_PATH_MAX + 32];
    hn_run *run;
    snprintf(path, sizeof path, "%s/prompts/killed.yaml", inside);
    hn_test_ok(hn_run_find(project.store, "last", &run, &err), &err);
    assert_true(run->n_done >= reported);
    hn_run_free(run);
    hn_test_ok(hn_prompt_load(path, project.scope, project.dataset, &prompt, &err), &err);
    hn_fake_script fast = {.score = score, .per_step = 9};
    hn_eval_result r;
    evaluate(prompt, &fast, HN_SPLIT_DEV, 0, false, &r);
    assert_int_equal(r.start, HN_RUN_RESUMED);
    assert_true((int64_t)r.n_resumed >= reported);
    assert_int_equal(r.report.n, n);
    assert_int_equal(r.report.n_correct, right);
    hn_eval_result_free(&r);
    hn_prompt_free(prompt);
}

static hn_status too_long(const char *prompt) {
    (void)prompt;
    return HN_ERR_CONTEXT;
}

static hn_status one_too_long(const char *prompt) { return strstr(prompt, "case 1") ? HN_ERR_CONTEXT : HN_OK; }
static hn_status broken(const char *prompt) { return strstr(prompt, "case 1") ? HN_ERR_TEMPLATE : HN_OK; }

static void failures_are_said(void **state) {
    (void)state;
    hn_prompt *prompt;
    hn_error err;
    hn_eval_result r;
    size_t n, n_long = 0;
    count_right(HN_SPLIT_DEV, &n);
    hn_test_project_prompt(&project, "long", "messages: [{user: \"long good {{ text }}\"}]\nanswer: likelihood\n",
                           &prompt);
    hn_fake_script some = {.score = score, .fail = one_too_long, .per_step = 3};
    evaluate(prompt, &some, HN_SPLIT_DEV, 0, false, &r);
    for (size_t i = 0; i < r.predictions.n; i++) n_long += r.predictions.rows[i].error != NULL;
    assert_true(n_long > 0 && n_long < n);
    assert_int_equal(r.report.n_failed, n_long);
    assert_int_equal(r.report.n, n); /* they count, as wrong */
    hn_eval_result_free(&r);
    hn_prompt_free(prompt);

    hn_test_project_prompt(&project, "longer", "messages: [{user: \"longer good {{ text }}\"}]\nanswer: likelihood\n",
                           &prompt);
    hn_fake_script all = {.fail = too_long}, defect = {.fail = broken, .score = score};
    hn_provider *provider = hn_fake_provider(&all);
    hn_eval_setup setup = setup_with(provider, HN_SPLIT_DEV);
    assert_int_equal(hn_eval_run(&setup, prompt, NULL, NULL, &r, &err), HN_ERR_CONTEXT);
    assert_true(strlen(err.hint) > 0);
    hn_provider_close(provider);
    hn_prompt_free(prompt);

    hn_test_project_prompt(&project, "defect", "messages: [{user: \"defect good {{ text }}\"}]\nanswer: likelihood\n",
                           &prompt);
    provider = hn_fake_provider(&defect);
    setup = setup_with(provider, HN_SPLIT_DEV);
    assert_int_equal(hn_eval_run(&setup, prompt, NULL, NULL, &r, &err), HN_ERR_TEMPLATE);
    hn_provider_close(provider);
    hn_prompt_free(prompt);
}

static void runs_are_compared_on_what_they_share(void **state) {
    (void)state;
    hn_prompt *good, *bad;
    hn_eval_result a, b, part, test;
    hn_comparison c;
    hn_error err;
    char name_a[32], name_b[32], name_part[32], name_test[32];
    hn_fake_script script = {.score = score, .per_step = 9};
    hn_test_project_prompt(&project, "good", good_yaml, &good);
    hn_test_project_prompt(&project, "bad", bad_yaml, &bad);
    evaluate(bad, &script, HN_SPLIT_DEV, 0, false, &a);
    evaluate(good, &script, HN_SPLIT_DEV, 0, false, &b);
    evaluate(bad, &script, HN_SPLIT_DEV, 5, false, &part);
    evaluate(bad, &script, HN_SPLIT_TEST, 0, false, &test);
    snprintf(name_a, sizeof name_a, "r%lld", (long long)a.run->id);
    snprintf(name_b, sizeof name_b, "r%lld", (long long)b.run->id);
    snprintf(name_part, sizeof name_part, "r%lld", (long long)part.run->id);
    snprintf(name_test, sizeof name_test, "r%lld", (long long)test.run->id);
    hn_test_ok(hn_compare_runs(project.store, name_a, name_b, project.scope, &c, &err), &err);
    size_t only_a = 0, only_b = 0;
    for (size_t i = 0; i < a.predictions.n; i++) {
        assert_string_equal(a.predictions.rows[i].case_id, b.predictions.rows[i].case_id);
        only_a += a.predictions.rows[i].correct && !b.predictions.rows[i].correct;
        only_b += !a.predictions.rows[i].correct && b.predictions.rows[i].correct;
    }
    assert_int_equal(c.verdict.only_a_right, only_a);
    assert_int_equal(c.verdict.only_b_right, only_b);
    assert_int_equal(c.n_flips, only_a + only_b);
    assert_true(fabs(c.verdict.difference.value - (b.report.accuracy.value - a.report.accuracy.value)) < 1e-12);
    assert_int_equal(c.verdict.kind, HN_VERDICT_BETTER);
    assert_false(c.paths_differ);
    json_t *value;
    hn_test_ok(hn_comparison_json(&c, &value, &err), &err);
    assert_string_equal(json_string_value(json_object_get(value, "verdict")), "better");
    static const char *const fields[] = {"metric",     "difference",          "p",
                                         "test",       "only_a_right",        "only_b_right",
                                         "detectable", "smallest_difference", "cases_needed"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) assert_non_null(json_object_get(value, fields[i]));
    json_decref(value);
    hn_baselines baselines = {0};
    hn_buf advice;
    hn_buf_init(&advice, 0);
    hn_advice_on_comparison(&c, &baselines, project.scope, &advice);
    assert_true(advice.len > 0);
    hn_buf_free(&advice);
    hn_comparison_free(&c);

    hn_test_ok(hn_compare_runs(project.store, name_part, name_b, project.scope, &c, &err), &err);
    assert_int_equal(c.shared_b.n, 5);
    hn_comparison_free(&c);
    hn_test_ok(hn_compare_runs(project.store, name_b, name_b, project.scope, &c, &err), &err);
    assert_int_equal(c.n_flips, 0);
    assert_true(c.verdict.difference.value == 0 && c.verdict.p == 1);
    hn_comparison_free(&c);
    assert_int_equal(hn_compare_runs(project.store, name_test, name_b, project.scope, &c, &err), HN_ERR_INPUT);
    assert_non_null(strstr(err.hint, "--split"));
    assert_int_equal(hn_compare_runs(project.store, "r999", name_b, project.scope, &c, &err), HN_ERR_NOT_FOUND);

    hn_run_detail d;
    hn_test_ok(hn_run_detail_load(project.store, name_a, project.scope, &d, &err), &err);
    assert_int_equal(d.n_wrong, HN_DETAIL_SAMPLE);
    assert_non_null(strstr(d.prompt_text, "bad {{ text }}"));
    assert_int_equal(d.n_labels, 3);
    hn_test_ok(hn_run_detail_json(&d, true, &value, &err), &err);
    assert_int_equal(json_array_size(json_object_get(value, "predictions")), a.report.n);
    assert_int_equal(json_array_size(json_object_get(value, "classes")), 3);
    json_decref(value);
    hn_run_detail_free(&d);
    hn_eval_result_free(&a);
    hn_eval_result_free(&b);
    hn_eval_result_free(&part);
    hn_eval_result_free(&test);
    hn_prompt_free(good);
    hn_prompt_free(bad);
}

static void another_numeric_path_is_another_run_and_is_said(void **state) {
    (void)state;
    hn_prompt *prompt;
    hn_eval_result a, b;
    hn_comparison c;
    hn_error err;
    char name_a[32], name_b[32];
    hn_test_project_prompt(&project, "path", "messages: [{user: \"path good {{ text }}\"}]\nanswer: likelihood\n",
                           &prompt);
    hn_fake_script one = {.score = score, .per_step = 9, .numeric_path = "k1/avx2"},
                   two = {.score = score, .per_step = 9, .numeric_path = "k1/ref"};
    evaluate(prompt, &one, HN_SPLIT_DEV, 0, false, &a);
    evaluate(prompt, &two, HN_SPLIT_DEV, 0, false, &b);
    assert_true(a.run->id != b.run->id);
    assert_int_equal(b.n_cached, 0);
    snprintf(name_a, sizeof name_a, "r%lld", (long long)a.run->id);
    snprintf(name_b, sizeof name_b, "r%lld", (long long)b.run->id);
    hn_test_ok(hn_compare_runs(project.store, name_a, name_b, project.scope, &c, &err), &err);
    assert_true(c.paths_differ);
    hn_comparison_free(&c);
    hn_eval_result_free(&a);
    hn_eval_result_free(&b);
    hn_prompt_free(prompt);
}

static void looks_at_test_are_counted(void **state) {
    (void)state;
    hn_prompt *prompt;
    hn_eval_result r;
    hn_error err;
    int64_t before, after;
    hn_fake_script script = {.score = score, .per_step = 9};
    hn_test_project_prompt(&project, "look", "messages: [{user: \"look good {{ text }}\"}]\nanswer: likelihood\n",
                           &prompt);
    hn_test_ok(hn_test_looks(project.store, project.dataset->hash, &before, &err), &err);
    evaluate(prompt, &script, HN_SPLIT_TEST, 0, false, &r);
    hn_eval_result_free(&r);
    evaluate(prompt, &script, HN_SPLIT_TEST, 0, false, &r);
    hn_eval_result_free(&r);
    evaluate(prompt, &script, HN_SPLIT_DEV, 0, false, &r);
    hn_eval_result_free(&r);
    hn_test_ok(hn_test_looks(project.store, project.dataset->hash, &after, &err), &err);
    assert_int_equal(after, before + 2);
    hn_prompt_free(prompt);
}

static void the_scope_counts_what_is_there(void **state) {
    (void)state;
    hn_scope_report r;
    hn_error err;
    size_t total = 0, apples = 0, n_dev;
    count_right(HN_SPLIT_DEV, &n_dev);
    hn_test_ok(hn_scope_report_make(project.scope, project.dataset, project.store, NULL, &r, &err), &err);
    for (int s = 0; s < HN_SPLIT_COUNT; s++) total += r.splits[s].n_cases, apples += r.splits[s].labels[0];
    assert_int_equal(total, HN_TEST_CASES);
    size_t expected = 0;
    for (int i = 0; i < HN_TEST_CASES; i++) expected += i % 7 % 3 == 0;
    assert_int_equal(apples, expected);
    assert_true(r.grouped);
    assert_int_equal(r.words.max, 7);
    assert_true(r.baselines.known);
    /* the majority's accuracy on dev, by hand */
    size_t majority = 0;
    for (size_t i = 0; i < project.dataset->n_cases; i++) {
        const hn_case *c = &project.dataset->cases[i];
        majority += c->split == HN_SPLIT_DEV && strcmp(c->target, r.baselines.majority_label) == 0;
    }
    assert_true(fabs(r.baselines.majority.accuracy.value - (double)majority / (double)n_dev) < 1e-12);
    assert_true(r.baselines.bag_of_words.accuracy.value > r.baselines.majority.accuracy.value);
    /* Connor 1987 at psi 0.2: n = (1.96 sqrt(psi) + 0.8416 sqrt(psi - d^2))^2 / d^2; even d = psi needs 37 cases */
    double z = 1.959964 * sqrt(0.2) + 0.8416212 * sqrt(0.2 - 0.05 * 0.05);
    assert_true(fabs(r.cases_needed - z * z / (0.05 * 0.05)) < 0.1);
    assert_true(n_dev < 36 && isnan(r.detectable));
    hn_baselines again;
    uint32_t *dev;
    size_t n;
    hn_test_ok(hn_dataset_select(project.dataset, HN_SPLIT_DEV, &dev, &n, &err), &err);
    hn_test_ok(hn_baselines_measure(project.dataset, &project.scope->contract, dev, n, project.store, &again, &err),
               &err); /* kept ones */
    assert_true(again.bag_of_words.accuracy.low == r.baselines.bag_of_words.accuracy.low);
    assert_string_equal(again.majority_label, r.baselines.majority_label);
    assert_int_equal(again.n, n);
    assert_memory_equal(again.bag_of_words.right, r.baselines.bag_of_words.right, n);
    hn_baselines_free(&again);
    hn_free(dev);
    json_t *value;
    hn_test_ok(hn_scope_report_json(&r, &value, &err), &err);
    assert_int_equal(json_integer_value(json_object_get(value, "cases")), HN_TEST_CASES);
    json_decref(value);
    hn_scope_report_free(&r);
}

static void memory_that_runs_out_is_a_status(void **state) {
    (void)state;
    hn_prompt *prompt;
    hn_eval_result r;
    hn_error err;
    hn_test_project_prompt(&project, "oom", "messages: [{user: \"oom good {{ text }}\"}]\nanswer: likelihood\n",
                           &prompt);
    size_t failures = 0;
    for (size_t n = 1;; n += 1 + n / 30) {
        hn_fake_script script = {.score = score, .per_step = 9};
        hn_provider *provider = hn_fake_provider(&script);
        hn_eval_setup setup = setup_with(provider, HN_SPLIT_DEV);
        setup.no_cache = true;
        setup.limit = 6;
        hn_alloc_fail_at(n, n % 2 == 0);
        hn_status st = hn_eval_run(&setup, prompt, NULL, NULL, &r, &err);
        size_t tried = hn_alloc_count();
        hn_alloc_fail_at(0, false);
        hn_provider_close(provider);
        if (st == HN_OK)
            hn_eval_result_free(&r);
        else
            assert_true(++failures && err.code != HN_OK);
        if (st == HN_OK && tried < n) break;
        assert_true(n < 1000000);
    }
    assert_true(failures > 10);
    hn_prompt_free(prompt);
}

int main(void) {
    hn_json_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_measured_and_kept),
        cmocka_unit_test(an_interrupted_run_goes_on),
        cmocka_unit_test(a_killed_run_loses_nothing_that_was_reported),
        cmocka_unit_test(failures_are_said),
        cmocka_unit_test(runs_are_compared_on_what_they_share),
        cmocka_unit_test(another_numeric_path_is_another_run_and_is_said),
        cmocka_unit_test(looks_at_test_are_counted),
        cmocka_unit_test(the_scope_counts_what_is_there),
        cmocka_unit_test(memory_that_runs_out_is_a_status),
    };
    return cmocka_run_group_tests(tests, make_project, remove_project);
}
