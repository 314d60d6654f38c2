/* Grading whole runs: scores in the store, what a killed grading leaves, means against numbers worked out by hand, verdicts about metrics, and
 * judging a run again after contract, targets or graders changed. */
#include "fake_provider.h"
#include "support.h"
#include "test_project.h"

#include "base/alloc.h"
#include "lifecycle/eval/eval.h"
#include "lifecycle/eval/grade_run.h"
#include "lifecycle/iterate/compare.h"
#include "lifecycle/iterate/regrade.h"
#include "store/score.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static char folder[HN_PATH_MAX], inside[HN_PATH_MAX];
static hn_test_project project;
static hn_error err;
static const char good_yaml[] = "messages: [{user: \"good {{ text }}\"}]\nanswer: likelihood\n";
static const char bad_yaml[] = "messages: [{user: \"bad {{ text }}\"}]\nanswer: likelihood\n";
static const char scope_head[] = "goal: Tell fruit apart\n"
                                 "data: {file: cases.csv, input: [text], target: kind, group: owner, id: id}\n"
                                 "split: {train: 0.4, dev: 0.4, test: 0.2, seed: 7, stratify: true}\n"
                                 "output: {choice: [apple, pear, plum]}\n";

static int make_project(void **state) {
    (void)state;
    hn_test_project_begin(&project, folder);
    hn_test_ok(hn_path_join(inside, folder, "p", &err), &err);
    return 0;
}

static int remove_project(void **state) {
    (void)state;
    return hn_test_project_end(&project, folder);
}

static void write_file(const char *name, const char *text) {
    char path[HN_PATH_MAX];
    hn_test_ok(hn_path_join(path, inside, name, &err), &err);
    hn_test_ok(hn_file_write_atomic(path, text, strlen(text), &err), &err);
}

/* Another hone.yaml: what stands in front of it, and `rest`. */
static void set_scope(const char *rest) {
    char text[4096];
    hn_test_project_close(&project);
    snprintf(text, sizeof text, "%s%s", scope_head, rest);
    write_file("hone.yaml", text);
    hn_test_project_open(&project, inside);
}

static double score(const char *prompt, const char *label) {
    if (strncmp(prompt, "bad", 3) == 0) return strcmp(label, "pear") == 0 ? -0.5 : -2;
    bool named = strstr(prompt, label) != NULL;
    return named ? -0.25 : strcmp(label, "apple") == 0 ? -1 : -4;
}

static hn_status try_eval(const char *name, const char *yaml, hn_eval_result *r) {
    hn_prompt *prompt;
    hn_fake_script script = {.score = score, .per_step = 9};
    hn_test_project_prompt(&project, name, yaml, &prompt);
    hn_provider *provider = hn_fake_provider(&script);
    hn_eval_setup setup = {.project = project.project,
                           .dataset = project.dataset,
                           .store = project.store,
                           .provider = provider,
                           .split = HN_SPLIT_DEV};
    hn_status st = hn_eval_run(&setup, prompt, NULL, NULL, r, &err);
    hn_provider_close(provider);
    hn_prompt_free(prompt);
    return st;
}

static void eval(const char *name, const char *yaml, hn_eval_result *r) { hn_test_ok(try_eval(name, yaml, r), &err); }

static void a_run_is_graded(void **state) {
    (void)state;
    hn_eval_result r;
    hn_grade_lines lines;
    hn_score_list scores;
    set_scope("graders:\n  - exact\n  - log_loss\n  - contains: ear\n  - similarity: tfidf\n  - cost\n");
    eval("graded", good_yaml, &r);
    hn_test_ok(hn_grade_lines_read(r.run->summary_json, &lines, &err), &err);
    assert_int_equal(lines.n, 5);
    const hn_grade_line *exact = hn_grade_lines_find(&lines, "exact"), *loss = hn_grade_lines_find(&lines, "log_loss");
    /* exact on labels is accuracy, with the same interval */
    assert_true(exact->mean.value == r.report.accuracy.value && exact->mean.low == r.report.accuracy.low &&
                exact->mean.high == r.report.accuracy.high);
    double sum = 0;
    size_t with_ear = 0;
    for (size_t i = 0; i < r.predictions.n; i++) {
        const hn_prediction *p = &r.predictions.rows[i];
        size_t label = strcmp(p->target, "apple") == 0 ? 0 : strcmp(p->target, "pear") == 0 ? 1 : 2;
        sum -= log(p->probabilities[label]);
        with_ear += strstr(p->value, "ear") != NULL;
    }
    assert_true(fabs(loss->mean.value - sum / (double)r.predictions.n) < 1e-12);
    assert_true(loss->traits.lower_is_better && loss->mean.low < loss->mean.value &&
                loss->mean.value < loss->mean.high);
    assert_true(fabs(hn_grade_lines_find(&lines, "contains")->mean.value - (double)with_ear / (double)r.predictions.n) <
                1e-12);
    const hn_grade_line *similarity = hn_grade_lines_find(&lines, "similarity");
    assert_true(similarity->mean.value >= exact->mean.value - 1e-9); /* equal texts have 1 */
    assert_true(json_is_number(json_object_get(similarity->json, "auc_same_target")));
    assert_true(hn_grade_lines_find(&lines, "cost")->mean.value == 0);
    hn_test_ok(hn_score_load(project.store, r.run->id, NULL, &scores, &err), &err);
    assert_int_equal(scores.n, 5 * r.predictions.n);
    hn_score_list_free(&scores);
    hn_grade_lines_free(&lines);
    hn_eval_result_free(&r);
}

/* Scores that are there stay: a grading that was killed goes on. */
static void what_is_graded_is_kept(void **state) {
    (void)state;
    hn_eval_result r;
    json_t *graders;
    set_scope("graders: [exact, tokens]\n");
    eval("kept", good_yaml, &r);
    hn_grading grading = {.scope = project.scope, .dataset = project.dataset, .store = project.store};
    hn_run *other;
    hn_run_start start;
    hn_run_spec spec = r.run->spec;
    spec.parameters_json = "{}";
    hn_test_ok(hn_run_begin(project.store, &spec, true, &other, &start, &err), &err);
    const hn_score left[] = {{0, "exact", 0.5, NULL}, {2, "exact", (double)NAN, NULL}};
    hn_test_ok(hn_score_add(project.store, other->id, left, 2, &err), &err);
    hn_test_ok(hn_grade_run(&grading, other->id, &r.predictions, &graders, &err), &err);
    double *values;
    hn_test_ok(hn_grade_values(project.store, other->id, "exact", &r.predictions, &values, &err), &err);
    assert_true(values[0] == 0.5 && isnan(values[2]));
    for (size_t i = 1; i < r.predictions.n; i++)
        if (i != 2) assert_true(values[i] == r.predictions.rows[i].correct);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(graders, 0), "missing")), 1);
    hn_free(values);
    json_decref(graders);
    hn_run_free(other);
    hn_eval_result_free(&r);
}

static void means_and_their_intervals(void **state) {
    (void)state;
    hn_estimate e, whole;
    double values[3000];
    uint32_t groups[3000];
    for (size_t i = 0; i < 3000; i++) {
        values[i] = (double)(i % 5) / 4;
        groups[i] = (uint32_t)(i / 2);
    }
    hn_test_ok(hn_grade_mean(values, NULL, 40, false, &e, &err), &err);
    assert_true(fabs(e.value - 0.5) < 1e-12 && e.low > 0.35 && e.high < 0.65 && e.low < 0.45);
    hn_test_ok(hn_grade_mean(values, NULL, 3000, false, &whole, &err), &err); /* past the bootstrap's limit */
    double se = sqrt(0.125 / 3000);
    assert_true(fabs(whole.low - (0.5 - 1.96 * se)) < 1e-4 && fabs(whole.high - (0.5 + 1.96 * se)) < 1e-4);
    values[3] = (double)NAN;
    hn_test_ok(hn_grade_mean(values, groups, 5, false, &e, &err), &err);
    assert_true(fabs(e.value - (0 + 0.25 + 0.5 + 1) / 4) < 1e-12);
    hn_test_ok(hn_grade_mean((double[]){1, 2, 4, 8}, NULL, 4, true, &e, &err), &err);
    assert_true(fabs(e.value - pow(64, 0.25)) < 1e-9);
    hn_test_ok(hn_grade_mean(values + 3, NULL, 1, false, &e, &err), &err);
    assert_true(isnan(e.value) && isnan(e.low));
}

static void verdicts_are_about_the_metric(void **state) {
    (void)state;
    static const struct {
        const char *rest, *metric;
        hn_verdict_kind kind;
    } kinds[] = {{"graders: [log_loss]\nmetric: log_loss\n", "log_loss", HN_VERDICT_BETTER}, /* less, so better */
                 {"graders: [exact]\nmetric: exact\n", "exact", HN_VERDICT_BETTER},
                 {"graders: [perplexity]\nmetric: perplexity\n", "perplexity", HN_VERDICT_BETTER},
                 {"metric: mcc\n", "mcc", HN_VERDICT_BETTER},
                 {"metric: macro_f1\n", "macro_f1", HN_VERDICT_BETTER},
                 {"metric: weighted_f1\n", "weighted_f1", HN_VERDICT_BETTER}};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        hn_eval_result a, b;
        hn_comparison c;
        char name_a[32], name_b[32];
        set_scope(kinds[k].rest);
        eval("bad", bad_yaml, &a);
        eval("good", good_yaml, &b);
        snprintf(name_a, sizeof name_a, "r%lld", (long long)a.run->id);
        snprintf(name_b, sizeof name_b, "r%lld", (long long)b.run->id);
        hn_test_ok(hn_compare_runs(project.store, name_a, name_b, project.scope, &c, &err), &err);
        assert_string_equal(c.metric, kinds[k].metric);
        if (c.verdict.kind != kinds[k].kind) fail_msg("%s: %s", c.metric, hn_verdict_name(c.verdict.kind));
        double difference = c.metric_b.estimate.value - c.metric_a.estimate.value;
        if (!c.metric_b.geometric) assert_true(fabs(c.verdict.difference.value - difference) < 1e-12);
        assert_true(c.metric_b.lower_is_better == (c.verdict.difference.value < 0));
        /* all at once, against the first: the same verdict, p doubled for two comparisons that are equal */
        const hn_metric_run runs[] = {{a.run, &a.predictions}, {b.run, &b.predictions}, {b.run, &b.predictions}};
        hn_metric_verdict all[3];
        double p[3];
        hn_test_ok(hn_metric_judge_all(project.store, runs, 3, 0, (const char *const *)project.scope->contract.labels,
                                       3, c.metric, project.scope->smallest_difference, all, p, &err),
                   &err);
        assert_false(all[0].known);
        assert_int_equal(all[1].verdict.kind, p[1] <= 0.05 ? c.verdict.kind : HN_VERDICT_CANNOT_TELL);
        assert_true(all[2].verdict.p == c.verdict.p && fabs(p[1] - fmin(1, 2 * c.verdict.p)) < 1e-12);
        hn_comparison_free(&c);
        hn_test_ok(hn_compare_runs(project.store, name_b, name_a, project.scope, &c, &err), &err);
        assert_int_equal(c.verdict.kind, HN_VERDICT_WORSE);
        hn_comparison_free(&c);
        hn_test_ok(hn_compare_runs(project.store, name_b, name_b, project.scope, &c, &err), &err);
        assert_true(c.verdict.difference.value == 0 && c.verdict.p > 0.9);
        hn_comparison_free(&c);
        hn_eval_result_free(&a);
        hn_eval_result_free(&b);
    }
}

static void judged_again(void **state) {
    (void)state;
    hn_eval_result r;
    hn_regrade again;
    hn_comparison c;
    char name[32], name_again[32];
    json_t *value;
    set_scope("");
    eval("again", good_yaml, &r);
    snprintf(name, sizeof name, "r%lld", (long long)r.run->id);
    /* other graders: a new run with the same marks */
    set_scope("graders: [exact]\n");
    hn_grading grading = {.scope = project.scope, .dataset = project.dataset, .store = project.store};
    hn_test_ok(hn_regrade_run(&grading, project.project, name, &again, &err), &err);
    assert_true(again.run->id != r.run->id && again.n_changed == 0 && again.start == HN_RUN_NEW);
    assert_string_equal(again.run->kind, "regrade");
    int64_t first = again.run->id;
    hn_regrade_free(&again);
    hn_test_ok(hn_regrade_run(&grading, project.project, name, &again, &err), &err);
    assert_true(again.run->id == first && again.start == HN_RUN_DONE);
    hn_regrade_free(&again);
    /* another target for one case of the run */
    const hn_prediction *one = NULL;
    for (size_t i = 0; i < r.predictions.n && !one; i++)
        if (r.predictions.rows[i].correct) one = &r.predictions.rows[i];
    char path[HN_PATH_MAX], line[64], other[64];
    size_t n;
    hn_test_ok(hn_path_join(path, inside, "cases.csv", &err), &err);
    char *csv = hn_test_read(path, &n);
    snprintf(line, sizeof line, "\n%s,", one->case_id);
    char *at = strstr(csv, line), *end = strchr(at + 1, '\n');
    char *comma = strstr(at, "!\",");
    assert_true(comma && comma < end);
    hn_buf changed;
    hn_buf_init(&changed, 0);
    snprintf(other, sizeof other, "%s", strcmp(one->target, "plum") == 0 ? "apple" : "plum");
    hn_buf_append(&changed, csv, (size_t)(comma + 3 - csv));
    hn_buf_append_str(&changed, other);
    hn_buf_append_str(&changed, strrchr(comma, ',') ? strchr(comma + 3, ',') : "");
    char *kept = hn_strdup(csv);
    write_file("cases.csv", hn_buf_str(&changed));
    set_scope("graders: [exact]\n");
    grading = (hn_grading){.scope = project.scope, .dataset = project.dataset, .store = project.store};
    snprintf(name_again, sizeof name_again, "r%lld",
             (long long)first); /* a regrade of a regrade goes back to the answers */
    hn_test_ok(hn_regrade_run(&grading, project.project, name_again, &again, &err), &err);
    assert_int_equal(again.parent->id, r.run->id);
    assert_int_equal(again.n_targets, 1);
    assert_int_equal(again.n_changed, 1);
    assert_int_equal(again.report.n_correct + 1, r.report.n_correct);
    hn_test_ok(hn_regrade_json(&again, &value, &err), &err);
    json_t *change = json_array_get(json_object_get(value, "changed"), 0);
    assert_string_equal(json_string_value(json_object_get(change, "case")), one->case_id);
    assert_string_equal(json_string_value(json_object_get(change, "target")), other);
    assert_true(json_is_false(json_object_get(change, "right")));
    json_decref(value);
    snprintf(name_again, sizeof name_again, "r%lld", (long long)again.run->id);
    hn_test_ok(hn_compare_runs(project.store, name, name_again, project.scope, &c, &err), &err);
    assert_int_equal(c.n_flips, 1);
    hn_comparison_free(&c);
    hn_regrade_free(&again);
    write_file("cases.csv", kept);
    hn_free(kept);
    hn_free(csv);
    hn_buf_free(&changed);
    hn_eval_result_free(&r);
    set_scope("");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_graded),
        cmocka_unit_test(what_is_graded_is_kept),
        cmocka_unit_test(means_and_their_intervals),
        cmocka_unit_test(verdicts_are_about_the_metric),
        cmocka_unit_test(judged_again),
    };
    hn_json_init();
    return cmocka_run_group_tests(tests, make_project, remove_project);
}
