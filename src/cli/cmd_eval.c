/* hone eval: prompts x models x parameters on a split, with intervals, verdicts and baselines. */
#include "base/file.h"
#include "cli/class_report_cli.h"
#include "cli/commands.h"
#include "cli/correction_cli.h"
#include "cli/eval_prompts.h"
#include "cli/eval_tables.h"
#include "cli/grades_cli.h"
#include "cli/guards_cli.h"
#include "cli/inference.h"
#include "cli/ledger_cli.h"
#include "cli/scope_audit.h"
#include "lifecycle/iterate/advice.h"
#include "lifecycle/iterate/goals.h"
#include "lifecycle/scope/baseline.h"
#include "lifecycle/scope/scope_report.h"
#include "stats/power.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct evaluation {
    hn_cli_eval show;
    hn_eval_matrix_plan plan;
    uint32_t *cases; /* (n_cases) */
    size_t n_cases;
    hn_reference reference; /* where it is no candidate */
    bool has_reference;
    size_t reference_candidate; /* SIZE_MAX: none */
    hn_eval_until until;        /* --until-decided */
    uint32_t *groups;           /* (n_cases) of its cases */
    /* progress */
    const hn_cell *shown;
    size_t *saved; /* (n_cells) answers saved, for programs that read the progress */
    bool prior_shown, progress_json;
} evaluation;

/* ---- opening ---- */

static hn_status open_model(void *user, const char *name, hn_provider **provider, hn_error *err) {
    evaluation *e = user;
    hn_local_options options = hn_cli_local_options(e->show.cli);
    return hn_cli_project_model(&e->show.p, name, &options, provider, err);
}

static hn_status make_plan(evaluation *e, hn_error *err) {
    hn_cli *cli = e->show.cli;
    hn_split split;
    if (!hn_split_parse(hn_cli_string(cli, "split"), &split)) return hn_cli_usage(cli, err, "unknown split");
    e->plan = (hn_eval_matrix_plan){.setup = {.project = e->show.p.project,
                                              .dataset = e->show.p.dataset,
                                              .store = e->show.p.store,
                                              .split = split,
                                              .limit = (size_t)hn_cli_int(cli, "limit"),
                                              .no_cache = hn_cli_flag(cli, "no-cache")},
                                    .repeats = (int)hn_cli_int(cli, "repeat"),
                                    .open = open_model,
                                    .open_user = e};
    e->plan.models = hn_cli_list(cli, "model", &e->plan.n_models);
    e->plan.parameters = hn_cli_list(cli, "parameter", &e->plan.n_parameters);
    return hn_cli_prompt_list(cli, &e->show.p, &e->plan.prompts, &e->plan.n_prompts, err);
}

static hn_reference_source source_of(evaluation *e) {
    return (hn_reference_source){.scope = e->show.p.scope,
                                 .dataset = e->show.p.dataset,
                                 .store = e->show.p.store,
                                 .baselines = &e->show.baselines,
                                 .cases = e->cases,
                                 .n = e->n_cases};
}

/* --reference names a candidate, a baseline or a run. Without it: the run that hone.yaml pins as its baseline, else the first candidate. */
static hn_status find_reference(evaluation *e, hn_error *err) {
    const char *name = hn_cli_string(e->show.cli, "reference"), *pinned = e->show.p.scope->baseline;
    const hn_eval_matrix *m = e->show.matrix;
    hn_reference_source source = source_of(e);
    hn_error unused;
    e->reference_candidate = SIZE_MAX;
    for (size_t i = 0; name && i < m->n_candidates; i++) {
        bool same = strcmp(name, m->candidates[i].name) == 0 ||
                    strcmp(name, m->cells[m->candidates[i].first].loaded->name) == 0;
        if (!same) continue;
        e->reference_candidate = i;
        return HN_OK;
    }
    if (name) {
        HN_TRY(hn_reference_load(&source, name, &e->reference, err));
        e->has_reference = true;
        return HN_OK;
    }
    bool is_run = pinned && strcmp(pinned, "majority") != 0 && strcmp(pinned, "bag_of_words") != 0;
    e->has_reference = is_run && hn_reference_load(&source, pinned, &e->reference, &unused) == HN_OK;
    if (!e->has_reference && m->n_candidates > 1) e->reference_candidate = 0;
    return HN_OK;
}

/* Groups of the cases, as hn_report_groups would number them; *several: some has more than one. */
static hn_status number_groups(evaluation *e, bool *several, hn_error *err) {
    size_t n_groups;
    hn_prediction *rows = hn_calloc(e->n_cases, sizeof *rows);
    e->groups = hn_calloc(e->n_cases, sizeof *e->groups);
    if (!rows || !e->groups) {
        hn_free(rows);
        return hn_fail_memory(err, e->n_cases * sizeof *rows);
    }
    for (size_t i = 0; i < e->n_cases; i++) rows[i].group = e->show.p.dataset->cases[e->cases[i]].group;
    hn_status st = hn_report_groups(rows, e->n_cases, e->groups, &n_groups, several, err);
    hn_free(rows);
    return st;
}

/* --until-decided: against something that is there already; several candidates share the 5 %. */
static hn_status prepare_until(evaluation *e, hn_error *err) {
    static const char *const others[] = {"gate", "out", "report"};
    hn_cli *cli = e->show.cli;
    bool several;
    if (!hn_cli_flag(cli, "until-decided")) return HN_OK;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (hn_cli_given(cli, others[i]))
            return hn_cli_usage(cli, err, "--until-decided may leave runs unfinished, so it goes without --%s",
                                others[i]);
    if (e->plan.repeats > 1) return hn_cli_usage(cli, err, "--until-decided goes without --repeat");
    if (!e->has_reference && hn_cli_given(cli, "reference"))
        return hn_fail(err, HN_ERR_USAGE, "--reference", "evaluate it first, then name its run",
                       "--until-decided compares with answers that are there already");
    hn_reference_source source = source_of(e);
    if (!e->has_reference) HN_TRY(hn_reference_load(&source, "baseline", &e->reference, err));
    e->has_reference = true;
    HN_TRY(number_groups(e, &several, err));
    e->until = (hn_eval_until){.reference = e->reference.scores,
                               .groups = several ? e->groups : NULL,
                               .n = e->n_cases,
                               .every = HN_REPEATED_LOOKS_EVERY,
                               .alpha = 0.05 / (double)e->show.matrix->n_candidates};
    e->show.matrix->plan.setup.until = &e->until;
    return HN_OK;
}

static hn_status open_all(evaluation *e, hn_error *err) {
    HN_TRY(hn_cli_project_open(HN_CLI_DATA | HN_CLI_STORE, &e->show.p, err));
    HN_TRY(make_plan(e, err));
    HN_TRY(hn_cli_leaks_check(e->show.cli, &e->show.p, hn_cli_flag(e->show.cli, "allow-leakage"),
                              &e->plan.setup.n_leaks, err));
    HN_TRY(hn_eval_cases(&e->plan.setup, &e->cases, &e->n_cases, err));
    HN_TRY(hn_baselines_measure(e->show.p.dataset, &e->show.p.scope->contract, e->cases, e->n_cases, e->show.p.store,
                                &e->show.baselines, err));
    hn_reference_source source = source_of(e);
    HN_TRY(hn_cli_eval_gate_open(&e->show, &source, err));
    HN_TRY(hn_eval_matrix_create(&e->plan, &e->show.matrix, err));
    HN_TRY(find_reference(e, err));
    HN_TRY(prepare_until(e, err));
    e->saved = hn_calloc(e->show.matrix->n_cells, sizeof *e->saved);
    return e->saved ? HN_OK : hn_fail_memory(err, e->show.matrix->n_cells * sizeof *e->saved);
}

static void close_all(evaluation *e) {
    if (e->show.reported) hn_eval_matrix_report_free(&e->show.report);
    hn_reference_free(&e->reference);
    for (size_t i = 0; e->show.matrix && i < e->show.matrix->n_models; i++)
        if (e->show.matrix->models[i].provider)
            hn_cli_note_prefix_cache(e->show.cli, e->show.matrix->models[i].provider);
    hn_cli_eval_gate_close(&e->show);
    hn_eval_matrix_free(e->show.matrix);
    hn_baselines_free(&e->show.baselines);
    hn_free(e->cases);
    hn_free(e->saved);
    hn_free(e->groups);
    hn_cli_project_close(&e->show.p);
}

/* ---- progress ---- */

/* One JSON line on standard error for each news: what is saved is in the store, whatever happens next. */
static void write_progress(evaluation *e, const hn_eval_matrix_progress *p) {
    size_t cell = (size_t)(p->cell - p->matrix->cells);
    if (p->eval.n_saved == e->saved[cell]) return;
    e->saved[cell] = p->eval.n_saved;
    fprintf(stderr, "{\"run\":\"r%lld\",\"saved\":%zu,\"cases\":%zu,\"cells_done\":%zu,\"cells\":%zu}\n",
            (long long)p->eval.run_id, p->eval.n_saved, p->eval.n_cases, p->matrix->n_done, p->matrix->n_cells);
    fflush(stderr);
}

static void name_work(const hn_eval_matrix_progress *p, const char *doing, char what[160]) {
    const hn_eval_matrix *m = p->matrix;
    size_t cell = (size_t)(p->cell - m->cells), i = 0;
    int at = 0;
    while (i + 1 < m->n_candidates && m->candidates[i + 1].first <= cell) i++;
    if (m->n_cells > 1) at = snprintf(what, 160, "%zu of %zu: ", cell + 1, m->n_cells);
    at += snprintf(what + at, 160 - (size_t)at, "%.60s", m->candidates[i].name);
    if (p->cell->repeat > 1) at += snprintf(what + at, 160 - (size_t)at, ", again %d", p->cell->repeat);
    if (doing)
        snprintf(what + at, 160 - (size_t)at, ": %s", doing);
    else if (p->eval.n_saved)
        snprintf(what + at, 160 - (size_t)at, " (%.1f %% right)",
                 100.0 * (double)p->eval.n_correct / (double)p->eval.n_saved);
}

/* A line of its own for each cell and for its calibration, so that the rate is that of the cases. */
static void on_progress(void *user, const hn_eval_matrix_progress *p) {
    evaluation *e = user;
    hn_progress *line = &e->show.progress;
    char what[160];
    if (e->progress_json) {
        write_progress(e, p);
        return;
    }
    bool prior = p->eval.n_prior < p->eval.n_prior_cases;
    name_work(p, prior ? "calibrating" : NULL, what);
    size_t total = prior ? p->eval.n_prior_cases : p->eval.n_cases, done = prior ? p->eval.n_prior : p->eval.n_saved;
    if (e->shown != p->cell || prior != e->prior_shown) {
        hn_progress_end(line);
        hn_progress_begin(line, e->show.cli->out, what, total, HN_PROGRESS_COUNT, "cases");
        hn_progress_base(line, done);
        e->shown = p->cell;
        e->prior_shown = prior;
    }
    hn_progress_rename(line, what, total);
    hn_progress_update(line, done);
}

/* What these cases can show, before any work: two prompts are told apart from this difference on. */
static void note_power(evaluation *e) {
    double seen = hn_power_mcnemar_detectable(HN_SCOPE_DISCORDANCE, (double)e->n_cases, 0.05, 0.8);
    if (e->show.cli->out->json || e->progress_json) return;
    const char *split = hn_split_name(e->plan.setup.split);
    if (isfinite(seen))
        hn_output_note(
            e->show.cli->out,
            "with %zu %s cases you can see differences of about %.0f points or more (4 times of 5, where two "
            "prompts disagree on %.0f %% of cases)",
            e->n_cases, split, ceil(100 * seen), 100 * HN_SCOPE_DISCORDANCE);
    else
        hn_output_note(e->show.cli->out, "with %zu %s cases hardly any difference between two prompts can be seen",
                       e->n_cases, split);
}

/* ---- showing ---- */

static hn_status goals_of(evaluation *e, const hn_eval_result *r, hn_goals *goals, hn_error *err) {
    hn_goal_facts facts = {e->show.p.scope, e->show.p.store, r->run, &r->predictions, &r->report, &e->show.baselines};
    return hn_goals_check(&facts, goals, err);
}

static hn_status print_looks(evaluation *e, hn_error *err) {
    hn_ledger ledger;
    if (e->plan.setup.split != HN_SPLIT_TEST) return HN_OK;
    HN_TRY(hn_ledger_make(e->show.p.store, e->show.p.dataset->hash, &ledger, err));
    hn_output_print(e->show.cli->out,
                    "test split: looked at %zu time%s; each look makes it a little less honest, so choose on dev\n",
                    ledger.n_looks, ledger.n_looks == 1 ? "" : "s");
    hn_cli_print_correction_of_best(e->show.cli, &ledger);
    hn_ledger_free(&ledger);
    return HN_OK;
}

static hn_status print_next(evaluation *e, hn_error *err) {
    const hn_eval_matrix *m = e->show.matrix;
    hn_eval_result *results = hn_alloc(m->n_candidates * sizeof *results); /* borrowed contents */
    if (!results) return hn_fail_memory(err, m->n_candidates * sizeof *results);
    for (size_t i = 0; i < m->n_candidates; i++) results[i] = *hn_eval_matrix_result(m, i);
    hn_buf text;
    hn_buf_init(&text, 1 << 16);
    hn_advice_on_results(results, m->n_candidates, e->show.report.best, &e->show.baselines, e->show.p.scope, &text);
    hn_output_print(e->show.cli->out, "\nNext:\n");
    for (const char *line = hn_buf_str(&text); *line;) {
        size_t n = strcspn(line, "\n");
        hn_output_print(e->show.cli->out, "  %.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
    hn_buf_free(&text);
    hn_free(results);
    return HN_OK;
}

/* The candidates as runs beside their names, in the command's arena. */
static hn_status metric_runs(const evaluation *e, hn_cli_metric_runs *out, hn_error *err) {
    const hn_eval_matrix *m = e->show.matrix;
    const char **names = hn_arena_calloc(e->show.cli->arena, m->n_candidates, sizeof *names);
    hn_metric_run *runs = hn_arena_calloc(e->show.cli->arena, m->n_candidates, sizeof *runs);
    if (!names || !runs) return hn_fail_memory(err, m->n_candidates * sizeof *names);
    for (size_t i = 0; i < m->n_candidates; i++) {
        const hn_eval_result *r = hn_eval_matrix_result(m, i);
        names[i] = m->candidates[i].name;
        runs[i] = (hn_metric_run){r->run, &r->predictions};
    }
    *out = (hn_cli_metric_runs){
        e->show.p.store, e->show.p.scope, names, runs, m->n_candidates, e->show.report.reference_row};
    return HN_OK;
}

static hn_status print_grades(evaluation *e, hn_error *err) {
    hn_cli_metric_runs m;
    HN_TRY(metric_runs(e, &m, err));
    const hn_run **runs = hn_arena_calloc(e->show.cli->arena, m.n, sizeof *runs);
    if (!runs) return hn_fail_memory(err, m.n * sizeof *runs);
    for (size_t i = 0; i < m.n; i++) runs[i] = m.runs[i].run;
    HN_TRY(hn_cli_grade_table(e->show.cli, m.names, runs, m.n, err));
    return hn_cli_metric_verdicts(e->show.cli, &m, err);
}

static hn_status print_reports(evaluation *e, hn_error *err) {
    const hn_eval_matrix *m = e->show.matrix;
    if (!hn_cli_flag(e->show.cli, "report")) return HN_OK;
    for (size_t i = 0; i < m->n_candidates; i++) {
        const hn_eval_result *r = hn_eval_matrix_result(m, i);
        HN_TRY(hn_cli_print_class_report(e->show.cli, m->candidates[i].name, &r->report, &r->predictions, err));
    }
    return HN_OK;
}

static hn_status print_results(evaluation *e, hn_error *err) {
    const hn_eval_result *first = hn_eval_matrix_result(e->show.matrix, 0);
    hn_goals goals;
    hn_output_print(e->show.cli->out, "%zu %s cases%s%s%s\n\n", first->report.n, first->run->spec.split,
                    first->report.grouped ? " (related ones counted together)" : "",
                    e->show.matrix->n_models > 1 ? "" : ", ",
                    e->show.matrix->n_models > 1 ? "" : first->run->spec.model_name);
    HN_TRY(hn_cli_eval_table(&e->show, err));
    HN_TRY(print_grades(e, err));
    hn_output_print(e->show.cli->out, "\n");
    hn_cli_eval_remarks(&e->show);
    for (size_t i = 0; i < e->show.matrix->n_candidates; i++) {
        const hn_eval_result *r = hn_eval_matrix_result(e->show.matrix, i);
        const hn_prompt *prompt = e->show.matrix->cells[e->show.matrix->candidates[i].first].loaded;
        HN_TRY(hn_cli_print_correction(e->show.cli, e->show.p.scope, prompt, r->run, &r->predictions, &r->report, err));
        HN_TRY(hn_cli_print_guards(e->show.cli, e->show.p.scope, prompt->name, &r->predictions, err));
    }
    HN_TRY(goals_of(e, hn_eval_matrix_result(e->show.matrix, e->show.report.best), &goals, err));
    hn_cli_print_goals(e->show.cli, &goals);
    HN_TRY(print_looks(e, err));
    HN_TRY(print_reports(e, err));
    if (e->show.gate)
        hn_cli_eval_gate_print(&e->show);
    else
        HN_TRY(print_next(e, err));
    return HN_OK;
}

/* What else there is to say of a cell, into its JSON. */
static hn_status add_cell_json(evaluation *e, const hn_cell *cell, json_t *value, hn_error *err) {
    const hn_eval_result *r = &cell->result;
    hn_goals goals;
    json_t *part = NULL;
    HN_TRY(goals_of(e, r, &goals, err));
    HN_TRY(hn_goals_json(&goals, &part, err));
    bool fine = json_object_set_new(value, "goals", part) == 0 && json_object_set(value, "set", cell->set) == 0 &&
                json_object_set_new(value, "repeat", json_integer(cell->repeat)) == 0;
    part = NULL;
    HN_TRY(hn_correction_report_json(e->show.p.scope, cell->loaded, r->run, &r->predictions, &r->report, &part, err));
    if (fine && part) fine = json_object_set_new(value, "calibration", part) == 0;
    HN_TRY(hn_cli_grades_json(r->run, value, err));
    if (fine && hn_cli_flag(e->show.cli, "report")) {
        hn_class_report classes;
        HN_TRY(hn_class_report_make(&r->report, &r->predictions, &classes, err));
        HN_TRY(hn_class_report_json(&r->report, &classes, &part, err));
        fine = json_object_set_new(value, "report", part) == 0;
    }
    if (fine && e->show.gates) {
        HN_TRY(hn_gate_result_json(&e->show.gates[cell - e->show.matrix->cells], &part, err));
        fine = json_object_set_new(value, "gate", part) == 0;
    }
    return fine ? HN_OK : hn_fail_memory(err, 0);
}

static hn_status cell_json(evaluation *e, const hn_cell *cell, const json_t *baselines, json_t **value, hn_error *err) {
    HN_TRY(hn_eval_json(&cell->result, baselines, value, err));
    HN_TRY(hn_cli_guards_add_json(e->show.p.scope, &cell->result.predictions, *value, err));
    hn_status st = add_cell_json(e, cell, *value, err);
    if (st != HN_OK) json_decref(*value);
    return st;
}

static hn_status spreads_json(const evaluation *e, json_t **value, hn_error *err) {
    const hn_eval_matrix *m = e->show.matrix;
    *value = json_array();
    hn_status st = *value ? HN_OK : hn_fail_memory(err, 0);
    for (size_t i = 0; st == HN_OK && i < m->n_candidates; i++) {
        json_t *one;
        if (e->show.report.rows[i].spread.n_repeats < 2) continue;
        st = hn_spread_json(&e->show.report.rows[i].spread, &one, err);
        if (st == HN_OK && (json_object_set_new(one, "candidate", json_string(m->candidates[i].name)) != 0 ||
                            json_array_append(*value, one) != 0))
            st = hn_fail_memory(err, 0);
        if (st == HN_OK) json_decref(one);
    }
    if (st != HN_OK) json_decref(*value);
    return st;
}

/* The whole result; also what --out writes. */
static hn_status result_json(evaluation *e, json_t **out, hn_error *err) {
    json_t *runs = json_array(), *baselines = NULL, *report = NULL, *spreads = NULL;
    hn_status st = runs ? hn_baselines_json(&e->show.baselines, &baselines, err) : hn_fail_memory(err, 0);
    for (size_t i = 0; st == HN_OK && i < e->show.matrix->n_cells; i++) {
        json_t *value;
        st = cell_json(e, &e->show.matrix->cells[i], baselines, &value, err);
        if (st == HN_OK && json_array_append_new(runs, value) != 0) st = hn_fail_memory(err, 0);
    }
    if (st == HN_OK) st = hn_eval_matrix_report_json(e->show.matrix, &e->show.report, &report, err);
    if (st == HN_OK) st = spreads_json(e, &spreads, err);
    *out = st == HN_OK ? json_pack("{s:O, s:O}", "runs", runs, "repeats", spreads) : NULL;
    if (st == HN_OK && (!*out || json_object_update(*out, report) != 0)) st = hn_fail_memory(err, 0);
    hn_cli_metric_runs metric;
    if (st == HN_OK) st = metric_runs(e, &metric, err);
    if (st == HN_OK) st = hn_cli_metric_verdicts_json(&metric, *out, err);
    int64_t looks;
    if (st == HN_OK && e->plan.setup.split == HN_SPLIT_TEST &&
        hn_test_looks(e->show.p.store, e->show.p.dataset->hash, &looks, err) == HN_OK)
        json_object_set_new(*out, "test_looks", json_integer(looks));
    if (st == HN_OK && e->show.gate)
        json_object_set_new(
            *out, "gate",
            json_pack("{s:s, s:b}", "text", hn_gate_text(e->show.gate), "passed", hn_cli_eval_gate_passed(&e->show)));
    json_decref(runs);
    json_decref(baselines);
    json_decref(report);
    json_decref(spreads);
    return st;
}

/* What was decided of each candidate, and after how many cases. */
static hn_status print_decisions(evaluation *e, hn_error *err) {
    static const char *const words[] = {"cannot tell", "better", "worse", "equivalent"};
    const hn_eval_matrix *m = e->show.matrix;
    hn_output *out = e->show.cli->out;
    char text[48];
    HN_TRY(hn_cli_eval_table(&e->show, err));
    hn_output_print(out, "\nLooked at after every %d cases, against %s:\n", HN_REPEATED_LOOKS_EVERY, e->reference.name);
    for (size_t i = 0; i < m->n_candidates; i++) {
        const hn_eval_result *r = hn_eval_matrix_result(m, i);
        const hn_repeated_looks *s = &r->sequence;
        hn_output_print(out, "  %s: %s after %zu of %zu cases, p = %.2g (valid at every look)", m->candidates[i].name,
                        words[s->kind], s->n_used, e->n_cases, s->p);
        if (isfinite(s->share.value))
            hn_output_print(out, "; it wins %s of the cases that one alone gets right", hn_cli_percent(s->share, text));
        hn_output_print(out, "%s\n", r->stopped_early ? "; stopped there" : "");
    }
    hn_output_print(out, "A run that was stopped goes on with the same command without --until-decided\n");
    return print_looks(e, err);
}

static json_t *decision_json(const hn_eval_result *r) {
    char name[32];
    const hn_repeated_looks *s = &r->sequence;
    snprintf(name, sizeof name, "r%lld", (long long)r->run->id);
    return json_pack("{s:s, s:s?, s:s, s:f, s:I, s:I, s:I, s:b, s:I, s:o, s:o}", "run", name, "prompt",
                     r->run->spec.prompt_name, "verdict", hn_verdict_name(s->kind), "p", s->p, "n_used",
                     (json_int_t)s->n_used, "n_answered", (json_int_t)r->report.n, "looks", (json_int_t)s->n_looks,
                     "stopped_early", r->stopped_early, "n", (json_int_t)r->run->spec.n_cases, "share",
                     hn_report_estimate_json(s->share), "accuracy", hn_report_estimate_json(r->report.accuracy));
}

static hn_status show_decisions(evaluation *e, hn_error *err) {
    const hn_eval_matrix *m = e->show.matrix;
    if (!e->show.cli->out->json) return print_decisions(e, err);
    json_t *list = json_array();
    bool fine = list != NULL;
    for (size_t i = 0; fine && i < m->n_candidates; i++)
        fine = json_array_append_new(list, decision_json(hn_eval_matrix_result(m, i))) == 0;
    json_t *value = fine ? json_pack("{s:s, s:I, s:f, s:O}", "reference", e->reference.name, "every",
                                     (json_int_t)HN_REPEATED_LOOKS_EVERY, "alpha", e->until.alpha, "decisions", list)
                         : NULL;
    json_decref(list);
    return hn_cli_result(e->show.cli, value, err);
}

static hn_status show_results(evaluation *e, hn_error *err) {
    if (e->until.n) return show_decisions(e, err);
    json_t *value;
    hn_reference_source source = source_of(e);
    HN_TRY(hn_eval_matrix_report_make(e->show.matrix, e->has_reference ? &e->reference : NULL, e->reference_candidate,
                                      &e->show.report, err));
    e->show.reported = true;
    HN_TRY(hn_cli_eval_gate_check(&e->show, &source, err));
    if (!e->show.cli->out->json) HN_TRY(print_results(e, err));
    HN_TRY(result_json(e, &value, err));
    hn_status st = hn_cli_eval_out_write(&e->show, value, err);
    if (st == HN_OK && e->show.cli->out->json)
        st = hn_cli_result(e->show.cli, value, err);
    else
        json_decref(value);
    return st == HN_OK ? hn_cli_eval_gate_status(&e->show, err) : st;
}

static hn_status run(hn_cli *cli, hn_error *err) {
    evaluation e = {.show.cli = cli};
    hn_error ignored;
    e.progress_json = strcmp(hn_cli_string(cli, "progress"), "json") == 0;
    hn_status st = open_all(&e, err);
    if (st == HN_OK) {
        note_power(&e);
        st = hn_eval_matrix_run(e.show.matrix, on_progress, &e, err);
        hn_progress_end(&e.show.progress);
    }
    /* Stopped in the middle: what is finished is still worth showing to people; a program gets the error alone. */
    if (st == HN_OK)
        st = show_results(&e, err);
    else if (e.show.matrix && e.show.matrix->n_done > 0 && !cli->out->json &&
             hn_cli_eval_table(&e.show, &ignored) == HN_OK)
        hn_output_print(cli->out, "\n");
    close_all(&e);
    return st;
}

static const hn_option options[] = {
    {.name = "model",
     .letter = 'm',
     .kind = HN_OPTION_LIST,
     .value = "MODEL",
     .help =
         "a model, by catalogue name or path (default: the project's, else smollm2); several: each prompt with each"},
    {.name = "parameter",
     .letter = 'p',
     .kind = HN_OPTION_LIST,
     .value = "NAME=V,V",
     .help = "values to try of temperature, top_k, top_p, min_p, repetition_penalty, seed, max_tokens, examples or "
             "reasoning, in place of the prompt's; several: all combinations"},
    {.name = "repeat",
     .kind = HN_OPTION_INT,
     .value = "K",
     .otherwise = "1",
     .low = 1,
     .high = 100,
     .help = "answer each case K times with K seeds: how much sampled answers vary, and pass@k"},
    {.name = "reference",
     .kind = HN_OPTION_STRING,
     .value = "NAME",
     .help = "what the others are compared with: one of the prompts, a run, majority or bag_of_words (default: the "
             "baseline of hone.yaml where that is a run, else the first prompt)"},
    {.name = "until-decided",
     .kind = HN_OPTION_FLAG,
     .help = "look after every 50 cases and stop a run as soon as it is certainly better or worse than the reference "
             "(a run, "
             "or the baseline of hone.yaml), by a test that may be looked at as often"},
    {.name = "split",
     .kind = HN_OPTION_CHOICE,
     .value = "dev|test|train",
     .otherwise = "dev",
     .help = "the cases to answer; each look at test is counted"},
    {.name = "limit",
     .kind = HN_OPTION_INT,
     .value = "N",
     .otherwise = "0",
     .low = 0,
     .high = 1e9,
     .help = "the first N cases of the split's fixed random order; 0: all"},
    {.name = "no-cache", .kind = HN_OPTION_FLAG, .help = "compute every answer again, as a new run"},
    {.name = "gate",
     .kind = HN_OPTION_STRING,
     .value = "TEXT",
     .help =
         "what every run must reach, such as \"accuracy >= 0.9 and not worse than baseline\": exit status 1 where one "
         "does not"},
    {.name = "out",
     .kind = HN_OPTION_LIST,
     .value = "FILE",
     .help =
         "write the results, too: .json, .jsonl or .csv (answers), .md (a comment for a pull request), .xml (JUnit)"},
    {.name = "report",
     .kind = HN_OPTION_FLAG,
     .help = "the classification report of each run: every label, averages, agreement, loss, time"},
    {.name = "allow-leakage",
     .kind = HN_OPTION_FLAG,
     .help = "measure although cases stand in two splits; the run says so"},
    {.name = "progress",
     .kind = HN_OPTION_CHOICE,
     .value = "auto|json",
     .otherwise = "auto",
     .help = "json: a JSON line on standard error each time that answers were saved"},
    HN_ENGINE_OPTIONS,
    {0}};

const hn_command hn_cmd_eval = {
    .name = "eval",
    .summary = "run prompts on the dev split: accuracy and macro F1 with intervals, verdicts, baselines",
    .usage = "[PROMPT...] [-m MODEL]... [-p NAME=V,V]... [--repeat K] [--split dev|test|train] [--gate TEXT] [--out "
             "FILE]...",
    .description =
        "PROMPT is a file, or a name under prompts/; none: all of prompts/. Every answer is kept as it "
        "comes: Ctrl-C or a crash\n"
        "loses nothing that was reported, and the same command goes on from there. What was computed before "
        "comes from the cache.\n"
        "Several prompts, models and parameters make a matrix: every combination is a run, and each is compared "
        "with the reference,\n"
        "with p adjusted for their number.",
    .options = options,
    .min_args = 0,
    .max_args = -1,
    .examples =
        "  hone eval\n  hone eval 1-vague 6-nearest --limit 50\n  hone eval prompts/6-nearest.yaml --split test\n"
        "  hone eval 6-nearest -m smollm2 -m other.gguf -p examples=2,4,8\n"
        "  hone eval 7-think -p temperature=0.7 --repeat 5",
    .run = run,
};
