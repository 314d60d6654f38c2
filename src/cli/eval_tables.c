/* Tables of an evaluation; see eval_tables.h. */
#include "cli/eval_tables.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Which columns there is something to show in. */
typedef struct columns {
    bool choice, models, parameters, verdicts, costs;
} columns;

static columns choose_columns(const hn_cli_eval *e) {
    const hn_eval_matrix *m = e->matrix;
    columns c = {.choice = e->p.scope->contract.kind == HN_CONTRACT_CHOICE, .models = m->n_models > 1};
    for (size_t i = 0; i < m->n_candidates; i++) c.parameters = c.parameters || *m->candidates[i].parameters;
    c.verdicts = e->reported && e->report.n_compared > 0;
    for (size_t i = 0; i < m->n_candidates; i++)
        c.costs = c.costs || (hn_eval_matrix_is_done(m, i) && hn_eval_matrix_result(m, i)->report.cost > 0);
    return c;
}

static void baseline_row(hn_table *t, const columns *c, const char *name, const hn_baseline *b) {
    char text[48];
    hn_table_row(t);
    hn_table_cell(t, "%s", name);
    for (int i = 0; i < 1 + c->models + c->parameters; i++) hn_table_cell(t, " ");
    hn_table_cell(t, "%s", hn_cli_percent(b->accuracy, text));
    hn_table_cell(t, "%s", hn_cli_percent(b->macro_f1, text));
    hn_table_row_style(t, HN_STYLE_DIM);
}

static void verdict_cell(hn_table *t, const hn_eval_matrix_report *r, size_t i) {
    static const char *const words[] = {"cannot tell", "better", "worse", "equivalent"};
    const hn_eval_matrix_row *row = &r->rows[i];
    if (i == r->reference_row)
        hn_table_cell(t, "(reference)");
    else
        hn_table_cell(t, "%+.1f [%+.1f, %+.1f] %s", 100 * row->verdict.difference.value,
                      100 * row->verdict.difference.low, 100 * row->verdict.difference.high, words[row->kind]);
}

static void runs_cell(hn_table *t, const hn_eval_matrix *m, const hn_candidate *c) {
    long long first = (long long)m->cells[c->first].result.run->id;
    if (c->n_cells == 1)
        hn_table_cell(t, "r%lld", first);
    else
        hn_table_cell(t, "r%lld ... r%lld", first, (long long)m->cells[c->first + c->n_cells - 1].result.run->id);
}

static void candidate_row(hn_table *t, const hn_cli_eval *e, const columns *shown, size_t i) {
    const hn_eval_matrix *m = e->matrix;
    const hn_candidate *c = &m->candidates[i];
    const hn_eval_result *r = hn_eval_matrix_result(m, i);
    bool best = e->reported && m->n_candidates > 1 && i == e->report.best;
    hn_estimate accuracy = e->reported ? e->report.rows[i].accuracy : r->report.accuracy;
    char text[48];
    size_t n_cached = 0, n = 0;
    double seconds = 0;
    for (size_t k = 0; k < c->n_cells; k++) {
        const hn_eval_result *one = &m->cells[c->first + k].result;
        n_cached += one->n_cached;
        n += one->report.n;
        seconds += one->seconds;
    }
    hn_table_row(t);
    hn_table_cell(t, "%s", m->cells[c->first].loaded->name);
    if (shown->models) hn_table_cell(t, "%s", r->run->spec.model_name);
    if (shown->parameters) hn_table_cell(t, "%s", *c->parameters ? c->parameters : " ");
    runs_cell(t, m, c);
    hn_table_cell(t, "%s", hn_cli_percent(accuracy, text));
    if (shown->choice) hn_table_cell(t, "%s", hn_cli_percent(r->report.macro_f1, text));
    if (shown->verdicts) verdict_cell(t, &e->report, i);
    hn_table_cell(t, "%s", hn_format_duration(seconds, text));
    hn_table_cell(t, "%zu of %zu", n_cached, n);
    if (shown->costs && isfinite(r->report.cost_per_1000))
        hn_table_cell(t, "$%.4g", r->report.cost_per_1000);
    else if (shown->costs)
        hn_table_cell(t, "-");
    hn_table_cell(t, "%s", best ? "best" : r->start == HN_RUN_DONE ? "unchanged" : r->n_resumed ? "resumed" : "");
    if (best) hn_table_row_style(t, HN_STYLE_GOOD);
}

hn_status hn_cli_eval_table(const hn_cli_eval *e, hn_error *err) {
    hn_table *t = hn_table_create(e->cli->out);
    columns c = choose_columns(e);
    char text[280];
    hn_table_column(t, "prompt", HN_ALIGN_LEFT);
    if (c.models) hn_table_column(t, "model", HN_ALIGN_LEFT);
    if (c.parameters) hn_table_column(t, "parameters", HN_ALIGN_LEFT);
    hn_table_column(t, "run", HN_ALIGN_LEFT);
    hn_table_column(t, "accuracy", HN_ALIGN_RIGHT);
    if (c.choice) hn_table_column(t, "macro F1", HN_ALIGN_RIGHT);
    snprintf(text, sizeof text, "against %.40s", e->report.reference);
    if (c.verdicts) hn_table_column(t, text, HN_ALIGN_LEFT);
    hn_table_column(t, "time", HN_ALIGN_RIGHT);
    hn_table_column(t, "cached", HN_ALIGN_RIGHT);
    if (c.costs) hn_table_column(t, "per 1,000", HN_ALIGN_RIGHT);
    hn_table_column(t, " ", HN_ALIGN_LEFT);
    if (e->baselines.known) {
        snprintf(text, sizeof text, "(always %.200s)", e->baselines.majority_label);
        baseline_row(t, &c, text, &e->baselines.majority);
        baseline_row(t, &c, "(bag of words)", &e->baselines.bag_of_words);
    }
    for (size_t i = 0; i < e->matrix->n_candidates; i++)
        if (hn_eval_matrix_is_done(e->matrix, i)) candidate_row(t, e, &c, i);
    return hn_table_print(t, err);
}

/* ---- below the table ---- */

static void print_spread(const hn_cli_eval *e, size_t i) {
    const hn_spread *s = &e->report.rows[i].spread;
    const char *name = e->matrix->candidates[i].name;
    char text[48];
    if (e->matrix->candidates[i].identical)
        hn_output_print(
            e->cli->out,
            "%s: no repetitions: nothing is drawn at random here (labels compared, or temperature 0), so they "
            "would be the same by construction\n",
            name);
    if (s->n_repeats < 2) return;
    hn_output_print(e->cli->out, "%s: %zu times: %.1f to %.1f %% right (standard deviation %.1f points)\n", name,
                    s->n_repeats, 100 * s->lowest, 100 * s->highest, 100 * s->deviation);
    hn_output_print(e->cli->out, "  two answers to a case agree in %s", hn_cli_percent(s->agreement, text));
    hn_output_print(e->cli->out, "; all %zu in %zu of %zu cases\n", s->n_repeats, s->n_unanimous, s->n_cases);
    hn_output_print(e->cli->out, "  the answer most given is right in %s\n", hn_cli_percent(s->majority, text));
    for (size_t k = 1; k < s->n_pass; k++)
        hn_output_print(e->cli->out, "  one of %zu answers is right in %s (pass@%zu)\n", s->pass[k].k,
                        hn_cli_percent(s->pass[k].value, text), s->pass[k].k);
}

static void print_verdicts(const hn_cli_eval *e) {
    const hn_eval_matrix_report *r = &e->report;
    if (r->n_compared < 2) return;
    hn_output_print(e->cli->out,
                    "Verdicts against %s: %zu comparisons, so p is adjusted (Holm) and equivalence is judged "
                    "more strictly",
                    r->reference, r->n_compared);
    size_t lost = 0;
    for (size_t i = 0; i < r->n; i++) lost += r->rows[i].compared && r->rows[i].kind != r->rows[i].verdict.kind;
    if (lost) hn_output_print(e->cli->out, "; %zu that would count alone %s not here", lost, lost == 1 ? "does" : "do");
    hn_output_print(e->cli->out, "\n");
}

static void print_selection(const hn_cli_eval *e) {
    const hn_eval_matrix_report *r = &e->report;
    const hn_selection *s = &r->selection;
    if (!r->selected || s->best != r->best || !isfinite(s->optimism) || s->optimism < 0.002) return;
    char text[48];
    hn_output_print(e->cli->out, "The best of %zu looks better than it is: its %.1f %% is rather %s\n", r->n,
                    100 * s->observed, hn_cli_percent(s->corrected, text));
}

/* What of a remote model's answers cannot be had again, and what they cost when they were made. */
static void print_remote(const hn_cli_eval *e) {
    double cost = 0;
    size_t n = 0;
    for (size_t i = 0; i < e->matrix->n_cells; i++) {
        const hn_cell *cell = &e->matrix->cells[i];
        if (!cell->done || !e->matrix->models[cell->model].generates_only) continue;
        n++;
        cost += cell->result.report.cost;
    }
    if (n == 0) return;
    hn_output_print(e->cli->out, "not reproducible: remote (the endpoint may answer otherwise another time)");
    if (isfinite(cost) && cost > 0) hn_output_print(e->cli->out, "; these answers cost $%.4g", cost);
    if (!isfinite(cost)) hn_output_print(e->cli->out, "; cost not known: no `price:` in hone.yaml");
    hn_output_print(e->cli->out, "\n");
}

static void print_troubles(const hn_cli_eval *e, const hn_cell *cell, const char *name) {
    const char *warn = hn_output_style(e->cli->out, HN_STYLE_WARN), *off = hn_output_style(e->cli->out, HN_STYLE_NONE);
    const hn_eval_result *r = &cell->result;
    if (r->report.n_invalid)
        hn_output_print(e->cli->out,
                        "%s%s%s: %zu of %zu answers were nothing that the output allows; they count as wrong\n", warn,
                        name, off, r->report.n_invalid, r->report.n);
    if (r->report.n_cut)
        hn_output_print(e->cli->out, "%s%s%s: %zu answers cut by max_tokens, before they were whole\n", warn, name, off,
                        r->report.n_cut);
    const char *why = NULL;
    for (size_t k = 0; k < r->predictions.n && !why; k++) why = r->predictions.rows[k].error;
    if (why)
        hn_output_print(e->cli->out, "%s%s%s: %zu of %zu cases were not answered and count as wrong: %s\n", warn, name,
                        off, r->report.n_failed, r->report.n, why);
}

void hn_cli_eval_remarks(const hn_cli_eval *e) {
    for (size_t i = 0; i < e->matrix->n_candidates; i++) print_spread(e, i);
    print_verdicts(e);
    print_selection(e);
    print_remote(e);
    for (size_t i = 0; i < e->matrix->n_candidates; i++)
        print_troubles(e, &e->matrix->cells[e->matrix->candidates[i].first], e->matrix->candidates[i].name);
}
