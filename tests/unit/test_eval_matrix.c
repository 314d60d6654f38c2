/* Matrices of evaluations with scripted providers: what is computed and what is not, repetitions, parameters, Holm's verdicts, the
 * spread of repeated answers against counts made by hand. */
#include "fake_provider.h"
#include "support.h"
#include "test_project.h"

#include "base/alloc.h"
#include "base/interrupt.h"
#include "lifecycle/eval/matrix_report.h"
#include "lifecycle/iterate/compare.h"

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

static double score(const char *prompt, const char *label) {
    if (strncmp(prompt, "bad", 3) == 0) return strcmp(label, "pear") == 0 ? -0.5 : -2;
    return strstr(prompt, label) ? -0.25 : strcmp(label, "apple") == 0 ? -1 : -4;
}

/* An answer drawn at random, by the request's seed and temperature. */
static void write_drawn(const char *prompt, const hn_request *r, char out[256]) {
    static const char *const labels[] = {"apple", "pear", "plum"};
    unsigned h = 2166136261u ^ (unsigned)r->sampling.seed * 2654435761u;
    if (r->sampling.temperature == 0) h = 1;
    for (const char *at = prompt; *at; at++) h = (h ^ (unsigned char)*at) * 16777619u;
    snprintf(out, 256, "%s", labels[(h >> 7) % 3]);
}

/* The models "one" and "two". */
static hn_fake_script scripts[2];
static hn_status open_fake(void *user, const char *name, hn_provider **provider, hn_error *err) {
    (void)user;
    hn_fake_script *s = &scripts[name && strcmp(name, "two") == 0];
    s->model_hash = s == scripts ? "0001" : "0002";
    *provider = hn_fake_provider(s);
    return *provider ? HN_OK : hn_fail_memory(err, 0);
}

static size_t n_submitted(void) { return scripts[0].n_submitted + scripts[1].n_submitted; }

static void reset_scripts(void) {
    for (int i = 0; i < 2; i++) scripts[i] = (hn_fake_script){.score = score, .write = write_drawn, .per_step = 3};
}

/* A prompt file; its path in `out`. */
static const char *write_prompt(const char *name, const char *yaml, char out[HN_PATH_MAX + 64]) {
    hn_prompt *prompt;
    hn_test_project_prompt(&project, name, yaml, &prompt);
    hn_prompt_free(prompt);
    snprintf(out, HN_PATH_MAX + 64, "%s/prompts/%s.yaml", project.folder, name);
    return out;
}

static hn_eval_matrix_plan plan_of(const char *const *prompts, size_t n_prompts, const char *const *models,
                                   size_t n_models) {
    return (hn_eval_matrix_plan){.setup = {.project = project.project,
                                           .dataset = project.dataset,
                                           .store = project.store,
                                           .split = HN_SPLIT_DEV},
                                 .prompts = prompts,
                                 .n_prompts = n_prompts,
                                 .models = models,
                                 .n_models = n_models,
                                 .open = open_fake};
}

static hn_eval_matrix *run_plan(const hn_eval_matrix_plan *plan, hn_eval_matrix_on_progress *on_progress, void *user) {
    hn_eval_matrix *m;
    hn_error err;
    hn_test_ok(hn_eval_matrix_create(plan, &m, &err), &err);
    hn_test_ok(hn_eval_matrix_run(m, on_progress, user, &err), &err);
    return m;
}

static const char *const two_models[] = {"one", "two"};

static void most_running(void *user, const hn_eval_matrix_progress *p) {
    size_t *most = user;
    if (p->n_running > *most) *most = p->n_running;
}

static void editing_one_prompt_costs_one_prompts_work(void **state) {
    (void)state;
    char paths[5][HN_PATH_MAX + 64];
    const char *prompts[5];
    size_t most = 0;
    for (int i = 0; i < 5; i++) {
        char name[16], yaml[128];
        snprintf(name, sizeof name, "p%d", i);
        snprintf(yaml, sizeof yaml, "messages: [{user: \"%s %d {{ text }}\"}]\nanswer: likelihood\n",
                 i % 2 ? "bad" : "good", i);
        prompts[i] = write_prompt(name, yaml, paths[i]);
    }
    reset_scripts();
    hn_eval_matrix_plan plan = plan_of(prompts, 5, two_models, 2);
    hn_eval_matrix *m = run_plan(&plan, most_running, &most);
    size_t n = m->cells[0].result.report.n;
    assert_int_equal(m->n_candidates, 10);
    assert_int_equal(m->n_done, 10);
    assert_int_equal(n_submitted(), 10 * n);
    assert_int_equal(most, 2); /* remote models work at the same time */
    hn_eval_matrix_free(m);

    m = run_plan(&plan, NULL, NULL);
    assert_int_equal(n_submitted(), 10 * n);
    for (size_t i = 0; i < m->n_cells; i++) assert_int_equal(m->cells[i].result.start, HN_RUN_DONE);
    hn_eval_matrix_free(m);

    write_prompt("p3", "messages: [{user: \"good edited {{ text }}\"}]\nanswer: likelihood\n", paths[3]);
    m = run_plan(&plan, NULL, NULL);
    assert_int_equal(n_submitted(), 10 * n + 2 * n); /* one prompt, two models */
    for (size_t i = 0; i < m->n_cells; i++)
        assert_int_equal(m->cells[i].result.start, m->cells[i].prompt == 3 ? HN_RUN_NEW : HN_RUN_DONE);
    hn_eval_matrix_free(m);
    /* layout and comments do not count */
    write_prompt("p3", "# nicer\nanswer: likelihood\nmessages:\n  - user: \"good edited {{ text }}\"\n", paths[3]);
    hn_eval_matrix_free(run_plan(&plan, NULL, NULL));
    assert_int_equal(n_submitted(), 12 * n);
}

static void stop_early(void *user, const hn_eval_matrix_progress *p) {
    (void)user;
    if (p->matrix->n_done >= 1 && p->eval.n_saved >= 1) hn_interrupt_request();
}

static void an_interrupted_matrix_goes_on(void **state) {
    (void)state;
    char a[HN_PATH_MAX + 64], b[HN_PATH_MAX + 64];
    const char *prompts[] = {write_prompt("ia", "messages: [{user: \"good ia {{ text }}\"}]\nanswer: likelihood\n", a),
                             write_prompt("ib", "messages: [{user: \"good ib {{ text }}\"}]\nanswer: likelihood\n", b)};
    hn_eval_matrix *m;
    hn_error err;
    reset_scripts();
    scripts[0].step_ms = 60;
    scripts[0].per_step = 1;
    hn_eval_matrix_plan plan = plan_of(prompts, 2, two_models, 1);
    plan.setup.limit = 12;
    hn_test_ok(hn_eval_matrix_create(&plan, &m, &err), &err);
    assert_int_equal(hn_eval_matrix_run(m, stop_early, NULL, &err), HN_ERR_INTERRUPTED);
    assert_non_null(strstr(err.message, "saved as r"));
    assert_int_equal(m->n_done, 1);
    hn_eval_matrix_free(m);
    hn_interrupt_clear();
    scripts[0].step_ms = 0;
    size_t before = scripts[0].n_completed;
    m = run_plan(&plan, NULL, NULL);
    assert_int_equal(m->cells[0].result.start, HN_RUN_DONE);
    assert_int_equal(m->cells[1].result.start, HN_RUN_RESUMED);
    assert_true(m->cells[1].result.n_resumed > 0);
    assert_int_equal(scripts[0].n_completed - before, 12 - m->cells[1].result.n_resumed);
    hn_eval_matrix_free(m);
}

static const char drawing_yaml[] = "messages: [{user: \"draw {{ text }}\"}]\nanswer: generate\nparameters: {seed: 5}\n";

static void repetitions_are_runs_of_their_own(void **state) {
    (void)state;
    char drawing[HN_PATH_MAX + 64], fixed[HN_PATH_MAX + 64];
    const char *prompts[] = {
        write_prompt("draw", drawing_yaml, drawing),
        write_prompt("fixed", "messages: [{user: \"good fixed {{ text }}\"}]\nanswer: likelihood\n", fixed)};
    const char *const hot[] = {"temperature=0,1"};
    reset_scripts();
    hn_eval_matrix_plan plan = plan_of(prompts, 2, two_models, 1);
    plan.parameters = hot;
    plan.n_parameters = 1;
    plan.repeats = 3;
    hn_eval_matrix *m = run_plan(&plan, NULL, NULL);
    size_t n = m->cells[0].result.report.n;
    /* draw at 0 (its file's value), draw at 1 three times, fixed once whatever the temperature */
    assert_int_equal(m->n_candidates, 3);
    assert_int_equal(m->n_cells, 5);
    assert_true(m->candidates[0].identical && !m->candidates[1].identical && m->candidates[2].identical);
    assert_string_equal(m->candidates[1].parameters, "temperature 1");
    assert_string_equal(m->candidates[0].parameters, "");
    assert_int_equal(n_submitted(), 5 * n);
    for (size_t i = 0; i < m->n_cells; i++) {
        assert_int_equal(m->cells[i].result.start, HN_RUN_NEW);
        assert_int_equal(m->cells[i].result.n_cached, 0);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(m->cells[i].result.run->content_id, m->cells[j].result.run->content_id);
    }
    assert_non_null(strstr(m->cells[3].result.run->spec.parameters_json, "\"repeat\":3"));
    assert_non_null(strstr(m->cells[3].result.run->spec.parameters_json, "\"seed\":7"));
    hn_eval_matrix_report r;
    hn_error err;
    hn_test_ok(hn_eval_matrix_report_make(m, NULL, 0, &r, &err), &err);
    assert_int_equal(r.rows[1].spread.n_repeats, 3);
    assert_int_equal(r.n_compared, 2);
    json_t *value;
    hn_test_ok(hn_eval_matrix_report_json(m, &r, &value, &err), &err);
    assert_int_equal(json_array_size(json_object_get(value, "comparisons")), 2);
    json_decref(value);
    hn_eval_matrix_report_free(&r);
    hn_eval_matrix_free(m);
    /* two more repetitions cost two */
    plan.repeats = 5;
    hn_eval_matrix_free(run_plan(&plan, NULL, NULL));
    assert_int_equal(n_submitted(), 7 * n);
    /* and the first is the run that an ordinary evaluation makes */
    plan.repeats = 1;
    hn_eval_matrix_free(run_plan(&plan, NULL, NULL));
    assert_int_equal(n_submitted(), 7 * n);
}

static hn_status parse_one(const char *text, hn_error *err) {
    hn_grid grid;
    hn_status st = hn_grid_parse(&text, 1, &grid, err);
    if (st == HN_OK) hn_grid_free(&grid);
    return st;
}

static void wrong_parameters_are_said(void **state) {
    (void)state;
    hn_error err;
    hn_grid grid;
    const char *const twice[] = {"top_k=1", "top_k=2"}, *const fine[] = {"temperature=0,0.7,0", "top_k=1,2,3"};
    assert_int_equal(parse_one("temperatur=1", &err), HN_ERR_USAGE);
    assert_non_null(strstr(err.hint, "temperature?"));
    const char *const wrong[] = {"temperature",
                                 "temperature=",
                                 "temperature=1,",
                                 "temperature=warm",
                                 "temperature=-1",
                                 "temperature=11",
                                 "top_k=1.5",
                                 "top_p=1.1",
                                 "=3",
                                 "",
                                 "seed=1e300",
                                 "max_tokens=0",
                                 "temperature=nan"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) assert_int_equal(parse_one(wrong[i], &err), HN_ERR_USAGE);
    assert_int_equal(hn_grid_parse(twice, 2, &grid, &err), HN_ERR_USAGE);
    hn_test_ok(hn_grid_parse(fine, 2, &grid, &err), &err);
    assert_int_equal(grid.n_points, 6);
    hn_grid_free(&grid);
    char path[HN_PATH_MAX + 64];
    const char *prompts[] = {
        write_prompt("fixed2", "messages: [{user: \"good fixed2 {{ text }}\"}]\nanswer: likelihood\n", path)};
    const char *const hot[] = {"temperature=0.5"};
    hn_eval_matrix_plan plan = plan_of(prompts, 1, two_models, 1);
    hn_eval_matrix *m;
    plan.parameters = hot;
    plan.n_parameters = 1;
    reset_scripts();
    assert_int_equal(hn_eval_matrix_create(&plan, &m, &err), HN_ERR_USAGE);
    assert_string_equal(err.where, "temperature");
}

/* Each candidate's verdict is that of `hone compare`, its adjusted p Holm's by hand. */
static void verdicts_are_adjusted_for_their_number(void **state) {
    (void)state;
    char paths[4][HN_PATH_MAX + 64];
    const char *prompts[4];
    for (int i = 0; i < 4; i++) {
        char name[16], yaml[128];
        snprintf(name, sizeof name, "h%d", i);
        snprintf(yaml, sizeof yaml, "messages: [{user: \"%s {{ text }}\"}]\nanswer: %s\nparameters: {seed: %d}\n",
                 i ? i == 3 ? "good h3" : "h" : "bad h0", i == 1 || i == 2 ? "generate" : "likelihood", i);
        prompts[i] = write_prompt(name, yaml, paths[i]);
    }
    reset_scripts();
    hn_eval_matrix_plan plan = plan_of(prompts, 4, two_models, 1);
    hn_eval_matrix *m = run_plan(&plan, NULL, NULL);
    hn_eval_matrix_report r;
    hn_error err;
    hn_test_ok(hn_eval_matrix_report_make(m, NULL, 0, &r, &err), &err);
    assert_int_equal(r.n_compared, 3);
    assert_int_equal(r.reference_row, 0);
    double p[3], largest = 0;
    char a[32], b[32];
    snprintf(a, sizeof a, "r%lld", (long long)m->cells[0].result.run->id);
    for (int i = 1; i < 4; i++) {
        hn_comparison c;
        snprintf(b, sizeof b, "r%lld", (long long)m->cells[i].result.run->id);
        hn_test_ok(hn_compare_runs(project.store, a, b, project.scope, &c, &err), &err);
        assert_true(c.verdict.p == r.rows[i].verdict.p);
        assert_int_equal(c.verdict.kind, r.rows[i].verdict.kind);
        p[i - 1] = c.verdict.p;
        hn_comparison_free(&c);
    }
    for (int rank = 0; rank < 3; rank++) { /* the rank-th smallest times the number of those not smaller */
        int at = -1;
        for (int i = 0; i < 3; i++) {
            int below = 0;
            for (int j = 0; j < 3; j++) below += p[j] < p[i] || (p[j] == p[i] && j < i);
            if (below == rank) at = i;
        }
        largest = fmax(largest, fmin(1, p[at] * (3 - rank)));
        assert_true(fabs(r.rows[at + 1].p_adjusted - largest) < 1e-12);
        if (largest > 0.05) assert_int_not_equal(r.rows[at + 1].kind, HN_VERDICT_BETTER);
    }
    assert_int_equal(r.best, 3);
    assert_true(r.selected && r.selection.optimism >= 0 && r.selection.best == 3);
    hn_eval_matrix_report_free(&r);

    /* against a run of the store, and against a baseline's answers */
    uint32_t *cases;
    size_t n;
    hn_reference ref;
    hn_test_ok(hn_eval_cases(&plan.setup, &cases, &n, &err), &err);
    hn_reference_source source = {project.scope, project.dataset, project.store, NULL, cases, n};
    hn_test_ok(hn_reference_load(&source, a, &ref, &err), &err);
    hn_test_ok(hn_eval_matrix_report_make(m, &ref, SIZE_MAX, &r, &err), &err);
    assert_int_equal(r.reference_row, 0);
    for (int i = 1; i < 4; i++) assert_true(r.rows[i].verdict.p == p[i - 1]);
    hn_eval_matrix_report_free(&r);
    hn_reference_free(&ref);
    assert_int_equal(hn_reference_load(&source, "majority", &ref, &err), HN_ERR_INPUT);
    assert_int_equal(hn_reference_load(&source, "r9999", &ref, &err), HN_ERR_NOT_FOUND);
    hn_eval_matrix_free(m);
    plan.setup.limit = 5;
    m = run_plan(&plan, NULL, NULL);
    snprintf(b, sizeof b, "r%lld", (long long)m->cells[0].result.run->id);
    assert_int_equal(hn_reference_load(&source, b, &ref, &err), HN_ERR_INPUT); /* it has five cases only */
    assert_non_null(strstr(err.message, "did not answer"));
    hn_eval_matrix_free(m);
    hn_free(cases);
}

/* Four cases, three repetitions, by hand. */
static void the_spread_is_what_counting_gives(void **state) {
    (void)state;
    static const char *const values[3][4] = {{"a", "b", "a", NULL}, {"a", "a", "b", NULL}, {"a", "b", "c", "a"}};
    static const char *const ids[] = {"c1", "c2", "c3", "c4"}, *const targets[] = {"a", "b", "c", "a"};
    hn_prediction rows[3][4] = {{{0}}};
    hn_prediction_list lists[3];
    const hn_prediction_list *all[3];
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < 4; i++)
            rows[k][i] = (hn_prediction){.case_id = ids[i],
                                         .position = i,
                                         .target = targets[i],
                                         .value = values[k][i],
                                         .correct = values[k][i] && strcmp(values[k][i], targets[i]) == 0};
        lists[k] = (hn_prediction_list){rows[k], 4, NULL};
        all[k] = &lists[k];
    }
    hn_spread s;
    hn_error err;
    hn_test_ok(hn_spread_measure(all, 3, &s, &err), &err);
    /* right: case 1 3 of 3, case 2 2, case 3 1, case 4 1; the repetitions 2, 1, 4 of 4 */
    assert_true(fabs(s.accuracy.value - 7.0 / 12) < 1e-12);
    assert_true(fabs(s.lowest - 0.25) < 1e-12 && fabs(s.highest - 1) < 1e-12);
    assert_true(fabs(s.deviation -
                     sqrt((pow(0.5 - 7.0 / 12, 2) + pow(0.25 - 7.0 / 12, 2) + pow(1 - 7.0 / 12, 2)) / 2)) < 1e-12);
    /* pairs that agree: 3, 1, 0, 0 of 3 each */
    assert_true(fabs(s.agreement.value - (1 + 1.0 / 3) / 4) < 1e-12);
    assert_int_equal(s.n_unanimous, 1);
    /* most given: a (right), b (right), a (wrong), nothing or a: only valid answers count */
    assert_int_equal(s.n_pass, 3);
    assert_int_equal(s.pass[1].k, 2);
    /* pass@2: 1, 1, 1 - C(2,2)/C(3,2) = 2/3 twice */
    assert_true(fabs(s.pass[1].value.value - (1 + 1 + 2.0 / 3 + 2.0 / 3) / 4) < 1e-12);
    assert_true(s.pass[2].value.value == 1);
    json_t *value;
    hn_test_ok(hn_spread_json(&s, &value, &err), &err);
    assert_int_equal(json_integer_value(json_object_get(value, "repeats")), 3);
    json_decref(value);
    rows[1][2].case_id = "other";
    assert_int_equal(hn_spread_measure(all, 3, &s, &err), HN_ERR_INPUT);
    assert_int_equal(hn_spread_measure(all, 0, &s, &err), HN_ERR_INPUT);
}

static hn_status whole(hn_error *err) {
    char path[HN_PATH_MAX + 64], other[HN_PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/prompts/draw.yaml", project.folder);
    snprintf(other, sizeof other, "%s/prompts/fixed.yaml", project.folder);
    const char *prompts[] = {path, other};
    const char *const hot[] = {"temperature=1"};
    hn_eval_matrix_plan plan = plan_of(prompts, 2, two_models, 2);
    plan.parameters = hot;
    plan.n_parameters = 1;
    plan.repeats = 2;
    plan.setup.limit = 4;
    hn_eval_matrix *m;
    HN_TRY(hn_eval_matrix_create(&plan, &m, err));
    hn_status st = hn_eval_matrix_run(m, NULL, NULL, err);
    hn_eval_matrix_report r;
    if (st == HN_OK && (st = hn_eval_matrix_report_make(m, NULL, 0, &r, err)) == HN_OK) {
        json_t *value;
        st = hn_eval_matrix_report_json(m, &r, &value, err);
        if (st == HN_OK) json_decref(value);
        hn_eval_matrix_report_free(&r);
    }
    hn_eval_matrix_free(m);
    return st;
}

static void memory_that_runs_out_is_a_status(void **state) {
    (void)state;
    hn_error err;
    size_t failures = 0;
    reset_scripts();
    for (size_t n = 1;; n += 1 + n / 25) {
        hn_alloc_fail_at(n, n % 2 == 0);
        hn_status st = whole(&err);
        size_t tried = hn_alloc_count();
        hn_alloc_fail_at(0, false);
        if (st != HN_OK) assert_true(++failures && err.code != HN_OK);
        if (st == HN_OK && tried < n) break;
        assert_true(n < 10000000);
    }
    assert_true(failures > 10);
}

int main(void) {
    hn_json_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(editing_one_prompt_costs_one_prompts_work),
        cmocka_unit_test(an_interrupted_matrix_goes_on),
        cmocka_unit_test(repetitions_are_runs_of_their_own),
        cmocka_unit_test(wrong_parameters_are_said),
        cmocka_unit_test(verdicts_are_adjusted_for_their_number),
        cmocka_unit_test(the_spread_is_what_counting_gives),
        cmocka_unit_test(memory_that_runs_out_is_a_status),
    };
    return cmocka_run_group_tests(tests, make_project, remove_project);
}
