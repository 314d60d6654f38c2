/* A comment for a pull request; see eval_output.h. Names and labels come from files: what Markdown or HTML would read as markup is escaped, and
 * an @ names nobody. */
#include "lifecycle/eval/eval_output.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static void md_text(const char *text, hn_buf *out) {
    for (const char *at = text ? text : ""; *at; at++) {
        if (*at == '\n' || *at == '\r' || *at == '\t')
            hn_buf_append_char(out, ' ');
        else if (*at == '@')
            hn_buf_append_str(out, "&#64;");
        else if (*at == '<')
            hn_buf_append_str(out, "&lt;");
        else if (*at == '&')
            hn_buf_append_str(out, "&amp;");
        else if (strchr("\\`*_[]|#~>", *at))
            hn_buf_appendf(out, "\\%c", *at);
        else if ((unsigned char)*at >= 0x20)
            hn_buf_append_char(out, *at);
    }
}

static void percent(hn_estimate e, hn_buf *out) {
    if (!isfinite(e.value))
        hn_buf_append_str(out, "-");
    else if (!isfinite(e.low))
        hn_buf_appendf(out, "%.1f %%", 100 * e.value);
    else
        hn_buf_appendf(out, "%.1f %% (%.1f to %.1f)", 100 * e.value, 100 * e.low, 100 * e.high);
}

static bool gates_passed(const hn_eval_output *f) {
    for (size_t i = 0; i < f->matrix->n_cells; i++)
        if (!f->gates[i].passed) return false;
    return true;
}

static void write_head(const hn_eval_output *f, hn_buf *out) {
    const hn_eval_result *first = hn_eval_matrix_result(f->matrix, 0);
    hn_buf_append_str(out, "### hone eval");
    if (f->gate) hn_buf_append_str(out, gates_passed(f) ? ": the gate is passed" : ": **the gate is not passed**");
    hn_buf_appendf(out, "\n\n%zu %s cases", first->report.n, first->run->spec.split);
    if (first->report.grouped) hn_buf_append_str(out, ", related ones counted together");
    if (f->matrix->n_models == 1) {
        hn_buf_append_str(out, ", ");
        md_text(first->run->spec.model_name, out);
    }
    hn_buf_append_str(out, ". Intervals are 95 %.\n\n");
}

static void write_baseline(const hn_eval_output *f, bool verdicts, const char *name, const hn_baseline *b,
                           hn_buf *out) {
    (void)f;
    hn_buf_append_str(out, "| *");
    md_text(name, out);
    hn_buf_append_str(out, "* | | ");
    percent(b->accuracy, out);
    hn_buf_append_str(out, " | ");
    percent(b->macro_f1, out);
    hn_buf_append_str(out, verdicts ? " | | |\n" : " | |\n");
}

static void write_verdict(const hn_eval_matrix_report *r, size_t i, hn_buf *out) {
    static const char *const words[] = {"cannot tell", "better", "worse", "equivalent"};
    const hn_eval_matrix_row *row = &r->rows[i];
    if (i == r->reference_row)
        hn_buf_append_str(out, " | the reference");
    else
        hn_buf_appendf(out, " | %+.1f (%+.1f to %+.1f): %s", 100 * row->verdict.difference.value,
                       100 * row->verdict.difference.low, 100 * row->verdict.difference.high, words[row->kind]);
}

static void write_row(const hn_eval_output *f, bool verdicts, size_t i, hn_buf *out) {
    const hn_eval_matrix *m = f->matrix;
    const hn_candidate *c = &m->candidates[i];
    const hn_report *report = &hn_eval_matrix_result(m, i)->report;
    bool best = m->n_candidates > 1 && i == f->report->best;
    hn_buf_append_str(out, best ? "| **" : "| ");
    md_text(c->name, out);
    hn_buf_appendf(out, "%s | r%lld", best ? "**" : "", (long long)m->cells[c->first].result.run->id);
    if (c->n_cells > 1) hn_buf_appendf(out, " to r%lld", (long long)m->cells[c->first + c->n_cells - 1].result.run->id);
    hn_buf_append_str(out, " | ");
    percent(f->report->rows[i].accuracy, out);
    hn_buf_append_str(out, " | ");
    percent(f->report->rows[i].macro_f1, out);
    if (verdicts) write_verdict(f->report, i, out);
    if (isfinite(report->latency_p95_ms))
        hn_buf_appendf(out, " | %.0f ms |\n", report->latency_p95_ms);
    else
        hn_buf_append_str(out, " | - |\n");
}

static void write_table(const hn_eval_output *f, hn_buf *out) {
    bool verdicts = f->report->n_compared > 0;
    hn_buf_append_str(out, "| prompt | run | accuracy | macro F1 |");
    if (verdicts) {
        hn_buf_append_str(out, " points against ");
        md_text(f->report->reference, out);
        hn_buf_append_str(out, " |");
    }
    hn_buf_append_str(out, " 95 % within |\n|---|---|---|---|---|");
    hn_buf_append_str(out, verdicts ? "---|\n" : "\n");
    if (f->baselines && f->baselines->known) {
        char name[220];
        snprintf(name, sizeof name, "always %.200s", f->baselines->majority_label);
        write_baseline(f, verdicts, name, &f->baselines->majority, out);
        write_baseline(f, verdicts, "bag of words", &f->baselines->bag_of_words, out);
    }
    for (size_t i = 0; i < f->matrix->n_candidates; i++) write_row(f, verdicts, i, out);
}

/* A row for each candidate, a column for each grader. */
static void write_grades(const hn_eval_output *f, hn_buf *out) {
    const hn_output_grades *g = f->grades;
    char text[80];
    if (!g || g->n == 0) return;
    hn_buf_append_str(out, "\n#### Grades\n\n| prompt | run |");
    for (size_t k = 0; k < g->n; k++) {
        hn_buf_append_char(out, ' ');
        md_text(g->names[k], out);
        hn_buf_append_str(out, " |");
    }
    hn_buf_append_str(out, "\n|---|---|");
    for (size_t k = 0; k < g->n; k++) hn_buf_append_str(out, "---|");
    hn_buf_append_char(out, '\n');
    for (size_t i = 0; i < f->matrix->n_candidates; i++) {
        size_t cell = f->matrix->candidates[i].first;
        hn_buf_append_str(out, "| ");
        md_text(f->matrix->candidates[i].name, out);
        hn_buf_appendf(out, " | r%lld |", (long long)f->matrix->cells[cell].result.run->id);
        for (size_t k = 0; k < g->n; k++) {
            const hn_grade_line *line = g->lines[cell * g->n + k];
            hn_buf_append_char(out, ' ');
            md_text(line ? hn_grade_text(line, text) : "-", out);
            hn_buf_append_str(out, " |");
        }
        hn_buf_append_char(out, '\n');
    }
}

static void write_remarks(const hn_eval_output *f, hn_buf *out) {
    const hn_eval_matrix_report *r = f->report;
    if (r->n_compared > 1)
        hn_buf_appendf(out, "\n%zu comparisons: verdicts are adjusted for their number (Holm).\n", r->n_compared);
    if (r->selected && r->selection.best == r->best && r->selection.optimism >= 0.002) {
        hn_buf_appendf(out, "\nThe best of %zu looks better than it is: ", r->n);
        percent(r->selection.corrected, out);
        hn_buf_append_str(out, " is what is left after correcting for the choice.\n");
    }
}

static void write_gate(const hn_eval_output *f, hn_buf *out) {
    hn_buf_append_str(out, "\n#### Gate\n\n");
    md_text(hn_gate_text(f->gate), out);
    hn_buf_append_str(out, "\n\n| | run | condition | outcome |\n|---|---|---|---|\n");
    for (size_t i = 0; i < f->matrix->n_cells; i++)
        for (size_t k = 0; k < f->gates[i].n; k++) {
            const hn_gate_clause *clause = &f->gates[i].clauses[k];
            hn_buf_appendf(out, "| %s | r%lld | ", clause->holds ? "holds" : "**fails**",
                           (long long)f->matrix->cells[i].result.run->id);
            md_text(clause->text, out);
            hn_buf_append_str(out, " | ");
            md_text(clause->outcome, out);
            hn_buf_append_str(out, " |\n");
        }
}

hn_status hn_eval_output_markdown(const hn_eval_output *f, hn_buf *out, hn_error *err) {
    write_head(f, out);
    write_table(f, out);
    write_grades(f, out);
    write_remarks(f, out);
    if (f->gate) write_gate(f, out);
    return hn_buf_check(out, "the comment", err);
}
