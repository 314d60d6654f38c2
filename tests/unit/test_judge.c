/* Judges: expected grades from likelihoods, written grades of remote models, rubrics, agreement with people and prediction-powered means against the functions
 * of stats, pairs in both orders, and what is cached. The model is a script. */
#include "fake_provider.h"
#include "support.h"
#include "test_project.h"

#include "base/alloc.h"
#include "lifecycle/eval/eval.h"
#include "lifecycle/eval/grade_run.h"
#include "lifecycle/eval/judge_human.h"
#include "lifecycle/iterate/judge_pairs.h"
#include "stats/agreement.h"
#include "stats/prediction_powered.h"
#include "store/score.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static char folder[HN_PATH_MAX], inside[HN_PATH_MAX + 8];
static hn_test_project project;
static hn_error err;
static const char scope_head[] = "goal: Tell fruit apart\n"
                                 "data: {file: cases.csv, input: [text], target: kind, group: owner, id: id}\n"
                                 "split: {train: 0.4, dev: 0.4, test: 0.2, seed: 7, stratify: true}\n"
                                 "output: {choice: [apple, pear, plum]}\n";

static int make_project(void **state) {
    (void)state;
    hn_test_folder(folder);
    snprintf(inside, sizeof inside, "%s/p", folder);
    hn_test_project_make(&project, inside);
    return 0;
}

static int remove_project(void **state) {
    (void)state;
    hn_test_project_close(&project);
    hn_test_folder_remove(folder);
    return 0;
}

static void write_file(const char *name, const char *text) {
    char path[HN_PATH_MAX];
    hn_test_ok(hn_path_join(path, inside, name, &err), &err);
    hn_test_ok(hn_file_write_atomic(path, text, strlen(text), &err), &err);
}

static void set_scope(const char *rest) {
    char text[4096];
    hn_test_project_close(&project);
    snprintf(text, sizeof text, "%s%s", scope_head, rest);
    write_file("hone.yaml", text);
    hn_test_project_open(&project, inside);
}

static char last_question[4096];

/* Answers of the evaluation: pear. As a judge: good where the answer is the target that the rubric shows; A is liked a little whatever it says. */
static double score(const char *prompt, const char *label) {
    if (strncmp(prompt, "good ", 5) == 0) return strstr(prompt, label) ? -0.25 : -3;
    if (strncmp(prompt, "pear ", 5) == 0) return strcmp(label, "pear") == 0 ? -0.5 : -2;
    snprintf(last_question, sizeof last_question, "%s", prompt);
    if (strcmp(label, "A") == 0 || strcmp(label, "B") == 0) {
        const char *a = strstr(prompt, "Answer A:\n"), *b = strstr(prompt, "Answer B:\n"),
                   *t = strstr(prompt, "A right answer:\n");
        char target[16] = "";
        if (t) sscanf(t + 16, "%15s", target);
        bool a_right = a && strncmp(a + 10, target, strlen(target)) == 0,
             b_right = b && strncmp(b + 10, target, strlen(target)) == 0;
        double liking = (label[0] == 'A' ? a_right : b_right) ? 0.9 : 0.1;
        return log(liking) + (label[0] == 'A' ? 0.5 : 0);
    }
    const char *answer = strstr(prompt, "grade: "), *target = strstr(prompt, "target: ");
    bool right = answer && target && strncmp(answer + 7, target + 8, 4) == 0;
    if (strcmp(label, "good") == 0) return log(right ? 0.6 : 0.1);
    if (strcmp(label, "ok") == 0) return log(0.3);
    return log(right ? 0.1 : 0.6);
}

static hn_status eval(const char *name, const char *yaml, hn_fake_script *script, hn_eval_result *r) {
    hn_prompt *prompt;
    hn_test_project_prompt(&project, name, yaml, &prompt);
    hn_provider *provider = hn_fake_provider(script);
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

static const char rubric[] = "{{ text }} grade: {{ answer }} target: {{ target }} of {{ grades | join('/') }}\n";
static const char good_yaml[] = "messages: [{user: \"good {{ text }}\"}]\nanswer: likelihood\n";
static const char pear_yaml[] = "messages: [{user: \"pear {{ text }}\"}]\nanswer: likelihood\n";

static void answers_are_graded(void **state) {
    (void)state;
    hn_eval_result r;
    hn_grade_lines lines;
    hn_fake_script script = {.score = score, .per_step = 7};
    write_file("rubric.txt", rubric);
    set_scope("graders:\n  - judge: {rubric: rubric.txt, grades: [bad, ok, good]}\n");
    hn_test_ok(eval("judged", pear_yaml, &script, &r), &err);
    hn_test_ok(hn_grade_lines_read(r.run->summary_json, &lines, &err), &err);
    assert_int_equal(lines.n, 1);
    assert_string_equal(lines.lines[0].name, "rubric");
    double sum = 0;
    for (size_t i = 0; i < r.predictions.n; i++)
        sum += strcmp(r.predictions.rows[i].target, "pear") == 0 ? 0.6 + 0.15 : 0.1 + 0.15; /* 0.3 times one half */
    assert_true(fabs(lines.lines[0].mean.value - sum / (double)r.predictions.n) < 1e-9);
    /* nobody graded by hand, and that is said */
    assert_non_null(strstr(json_string_value(json_array_get(json_object_get(lines.lines[0].json, "sentences"), 0)),
                           "no human grades"));
    hn_score_list scores;
    hn_test_ok(hn_score_load(project.store, r.run->id, "rubric", &scores, &err), &err);
    assert_non_null(strstr(scores.rows[0].details_json, "\"probabilities\":{\"bad\":"));
    hn_score_list_free(&scores);
    hn_grade_lines_free(&lines);
    size_t asked = script.n_submitted;
    hn_eval_result_free(&r);
    /* again, as a new run with another grader beside: the judge's answers come from the cache */
    set_scope("graders:\n  - judge: {rubric: rubric.txt, grades: [bad, ok, good]}\n  - exact\n");
    hn_test_ok(eval("judged", pear_yaml, &script, &r), &err);
    assert_int_equal(script.n_submitted, asked);
    hn_eval_result_free(&r);
}

static void plain_rubrics_get_the_case(void **state) {
    (void)state;
    hn_eval_result r;
    hn_fake_script script = {.score = score, .per_step = 7};
    write_file("plain.txt", "Is the answer polite?\n");
    set_scope("graders:\n  - judge: {rubric: plain.txt, grades: {no: 0, 'yes': 1}}\n");
    hn_test_ok(eval("plain", pear_yaml, &script, &r), &err);
    assert_non_null(strstr(last_question, "Is the answer polite?\n\nInput:\ncase"));
    assert_non_null(strstr(last_question, "Answer to grade:\npear\n"));
    assert_non_null(strstr(last_question, "one of: no, yes."));
    hn_eval_result_free(&r);
}

static void people_are_asked_too(void **state) {
    (void)state;
    hn_eval_result r;
    hn_fake_script script = {.score = score, .per_step = 7};
    hn_buf csv;
    write_file("rubric.txt", rubric);
    set_scope("");
    hn_test_ok(eval("people", pear_yaml, &script, &r), &err);
    /* every second case graded by hand: as the judge does, but for each fifth of them */
    int32_t human[64], judge[64];
    double human_values[64], judge_values[64], rest[64];
    uint32_t groups[64], ids[64], rest_ids[64];
    size_t n = 0, n_rest = 0, n_groups;
    bool several;
    hn_test_ok(hn_report_groups(r.predictions.rows, r.predictions.n, groups, &n_groups, &several, &err), &err);
    hn_buf_init(&csv, 0);
    hn_buf_append_str(&csv, "case,grade,answer\n");
    bool with[64] = {false};
    for (size_t i = 0; i < r.predictions.n; i += 2) with[groups[i]] = true;
    for (size_t i = 0; i < r.predictions.n; i++) {
        bool right = strcmp(r.predictions.rows[i].target, "pear") == 0;
        double value = right ? 0.75 : 0.25;
        if (i % 2) {
            if (!with[groups[i]]) rest_ids[n_rest] = groups[i], rest[n_rest++] = value;
            continue;
        }
        bool says_good = (i / 2) % 5 == 4 ? !right : right;
        human[n] = says_good ? 2 : 0;
        judge[n] = right ? 2 : 0;
        human_values[n] = says_good;
        judge_values[n] = value;
        ids[n++] = groups[i];
        hn_buf_appendf(&csv, "%s,%s,pear\n", r.predictions.rows[i].case_id, says_good ? "good" : "bad");
    }
    hn_buf_appendf(&csv, "%s,bad,an answer that was not given\nnosuch,good,pear\n", r.predictions.rows[1].case_id);
    write_file("human.csv", hn_buf_str(&csv));
    hn_buf_free(&csv);
    hn_eval_result_free(&r);
    set_scope("graders:\n  - judge: {rubric: rubric.txt, grades: [bad, ok, good], human: human.csv}\n");
    hn_test_ok(eval("people", pear_yaml, &script, &r), &err);
    hn_grade_lines lines;
    hn_test_ok(hn_grade_lines_read(r.run->summary_json, &lines, &err), &err);
    const json_t *line = lines.lines[0].json, *agreement = json_object_get(line, "agreement");
    hn_estimate kappa, alpha;
    hn_bootstrap_options o = {.seed = HN_REPORT_SEED};
    int32_t ratings[128];
    for (size_t i = 0; i < n; i++) ratings[i] = human[i], ratings[n + i] = judge[i];
    hn_test_ok(hn_agreement_kappa(human, judge, n, 3, ids, &o, &kappa, &err), &err);
    hn_test_ok(hn_agreement_alpha(ratings, 2, n, 3, ids, &o, &alpha, &err), &err);
    assert_int_equal(json_integer_value(json_object_get(agreement, "n")), n);
    assert_int_equal(json_integer_value(json_object_get(line, "human_grades")), n);
    assert_true(fabs(json_number_value(json_object_get(json_object_get(agreement, "kappa"), "value")) - kappa.value) <
                1e-12);
    assert_true(fabs(json_number_value(json_object_get(json_object_get(agreement, "alpha"), "value")) - alpha.value) <
                1e-12);
    hn_ppi_data data = {.human = human_values,
                        .judge = judge_values,
                        .judge_rest = rest,
                        .n = n,
                        .n_rest = n_rest,
                        .group = ids,
                        .group_rest = rest_ids};
    hn_ppi_estimate e;
    hn_test_ok(hn_ppi_mean(&data, NULL, &e, &err), &err);
    const json_t *powered = json_object_get(line, "prediction_powered");
    assert_true(fabs(json_number_value(json_object_get(powered, "value")) - e.mean.value) < 1e-9);
    assert_true(fabs(json_number_value(json_object_get(powered, "low")) - e.mean.low) < 1e-9);
    assert_true(fabs(json_number_value(json_object_get(powered, "worth")) - e.worth) < 1e-6);
    hn_grade_lines_free(&lines);
    hn_eval_result_free(&r);
    /* a grade that is none, and a column that is not there */
    write_file("human.csv", "case,grade\nc1,god\n");
    set_scope("graders:\n  - judge: {rubric: rubric.txt, grades: [bad, ok, good], human: human.csv}\n");
    assert_int_equal(eval("people", pear_yaml, &script, &r), HN_ERR_INPUT);
    assert_non_null(strstr(err.message, "`god` is no grade"));
    assert_non_null(strstr(err.where, ":2"));
    write_file("human.csv", "case,mark\nc1,good\n");
    set_scope("graders:\n  - judge: {rubric: rubric.txt, grades: [bad, ok, good], human: human.csv}\n");
    assert_int_equal(eval("people", pear_yaml, &script, &r), HN_ERR_INPUT);
    assert_non_null(strstr(err.message, "no column `grade`"));
}

static void pairs_are_asked_in_both_orders(void **state) {
    (void)state;
    hn_eval_result a, b;
    char name_a[32], name_b[32];
    hn_fake_script script = {.score = score, .per_step = 7};
    set_scope("");
    hn_test_ok(eval("a", pear_yaml, &script, &a), &err);
    hn_test_ok(eval("b", good_yaml, &script, &b), &err);
    snprintf(name_a, sizeof name_a, "r%lld", (long long)a.run->id);
    snprintf(name_b, sizeof name_b, "r%lld", (long long)b.run->id);
    hn_provider *provider = hn_fake_provider(&script);
    hn_grading grading = {
        .scope = project.scope, .dataset = project.dataset, .store = project.store, .provider = provider};
    hn_judge_pairs_setup setup = {.grading = &grading, .a = name_a, .b = name_b};
    hn_judge_pairs p;
    json_t *value;
    size_t before = script.n_submitted, n_same = 0;
    hn_test_ok(hn_judge_pairs_run(&setup, &p, &err), &err);
    for (size_t i = 0; i < p.n; i++) {
        const hn_prediction *ra = &a.predictions.rows[i], *rb = &b.predictions.rows[i];
        if (strcmp(ra->value, rb->value) == 0) {
            n_same++;
            assert_true(p.b_better[i] == 0.5);
            continue;
        }
        /* P(first) when the first is right, wrong, or neither is: odds 9, 1/9, 1, times e^0.5 */
        double lift = exp(0.5), odds = rb->correct ? 9 : ra->correct ? 1.0 / 9 : 1;
        double b_first = odds * lift / (1 + odds * lift), a_first = lift / (lift + odds);
        assert_true(fabs(p.b_better[i] - (b_first + 1 - a_first) / 2) < 1e-9);
        assert_true(fabs(p.first[i] - (b_first + a_first) / 2) < 1e-9);
    }
    assert_int_equal(p.n_same, n_same);
    assert_int_equal(script.n_submitted - before, 2 * (p.n - n_same));
    assert_true(p.first_share > 0.5 && p.preferred.value > 0.5);
    assert_int_equal(p.verdict.kind, HN_VERDICT_BETTER);
    hn_test_ok(hn_judge_pairs_json(&p, &value, &err), &err);
    assert_string_equal(json_string_value(json_object_get(value, "verdict")), "better");
    assert_int_equal(json_array_size(json_object_get(value, "pairs")), p.n);
    json_decref(value);
    hn_judge_pairs_free(&p);
    before = script.n_submitted;
    setup.a = name_b;
    setup.b = name_a;
    hn_test_ok(hn_judge_pairs_run(&setup, &p, &err), &err); /* the other way round: the same questions */
    assert_int_equal(script.n_submitted, before);
    assert_int_equal(p.verdict.kind, HN_VERDICT_WORSE);
    hn_judge_pairs_free(&p);
    hn_provider_close(provider);
    hn_eval_result_free(&a);
    hn_eval_result_free(&b);
}

static hn_status too_long(const char *prompt) {
    return strstr(prompt, "case 2") && strstr(prompt, "grade:") ? HN_ERR_CONTEXT : HN_OK;
}
static hn_status broken(const char *prompt) { return strstr(prompt, "grade:") ? HN_ERR_NETWORK : HN_OK; }

static void failures_are_counted_or_end_it(void **state) {
    (void)state;
    hn_eval_result r;
    hn_grade_lines lines;
    hn_run *run;
    hn_fake_script script = {.score = score, .per_step = 7, .fail = too_long}, dead = {.score = score, .fail = broken};
    write_file("failing.txt", "failing {{ text }} grade: {{ answer }} target: {{ target }}");
    set_scope("graders:\n  - judge: {rubric: failing.txt, grades: [bad, ok, good]}\n");
    hn_test_ok(eval("failing", pear_yaml, &script, &r), &err);
    hn_test_ok(hn_grade_lines_read(r.run->summary_json, &lines, &err), &err);
    assert_true(lines.lines[0].n_missing > 0 && lines.lines[0].n_missing == lines.lines[0].n_failed);
    hn_grade_lines_free(&lines);
    hn_eval_result_free(&r);
    write_file("failing.txt", "dead {{ text }} grade: {{ answer }} target: {{ target }}");
    set_scope("graders:\n  - judge: {rubric: failing.txt, grades: [bad, ok, good]}\n");
    assert_int_equal(eval("failing", pear_yaml, &dead, &r), HN_ERR_NETWORK);
    hn_test_ok(hn_run_find(project.store, "last", &run, &err), &err);
    assert_string_equal(run->state, "stopped"); /* its answers are kept, and the same command goes on */
    assert_int_equal(run->n_done, run->spec.n_cases);
    hn_run_free(run);
    hn_fake_script well = {.score = score, .per_step = 7};
    hn_test_ok(eval("failing", pear_yaml, &well, &r), &err);
    assert_int_equal(r.start, HN_RUN_RESUMED);
    hn_eval_result_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_graded),
        cmocka_unit_test(plain_rubrics_get_the_case),
        cmocka_unit_test(people_are_asked_too),
        cmocka_unit_test(pairs_are_asked_in_both_orders),
        cmocka_unit_test(failures_are_counted_or_end_it),
    };
    hn_json_init();
    return cmocka_run_group_tests(tests, make_project, remove_project);
}
