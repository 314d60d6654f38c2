/* Graders' values of a matrix; see eval_output_grades.h. */
#include "lifecycle/eval/eval_output_grades.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

static hn_status read_lines(const hn_eval_matrix *m, hn_output_grades *g, hn_error *err) {
    size_t most = 0;
    g->kept = hn_calloc(m->n_cells ? m->n_cells : 1, sizeof *g->kept);
    if (!g->kept) return hn_fail_memory(err, m->n_cells * sizeof *g->kept);
    g->n_cells = m->n_cells;
    for (size_t i = 0; i < m->n_cells; i++) {
        HN_TRY(hn_grade_lines_read(m->cells[i].result.run->summary_json, &g->kept[i], err));
        most += g->kept[i].n;
    }
    g->names = hn_calloc(most ? most : 1, sizeof *g->names);
    if (!g->names) return hn_fail_memory(err, most * sizeof *g->names);
    for (size_t i = 0; i < m->n_cells; i++)
        for (size_t k = 0; k < g->kept[i].n; k++) {
            size_t at = 0;
            while (at < g->n && strcmp(g->names[at], g->kept[i].lines[k].name) != 0) at++;
            if (at == g->n) g->names[g->n++] = g->kept[i].lines[k].name;
        }
    return HN_OK;
}

static hn_status load(const hn_eval_matrix *m, hn_output_grades *g, hn_error *err) {
    size_t n;
    HN_TRY(read_lines(m, g, err));
    if (g->n == 0) return HN_OK;
    if (!hn_mul_size(g->n, g->n_cells, &n)) return hn_fail_memory(err, SIZE_MAX);
    g->lines = hn_calloc(n, sizeof *g->lines);
    g->values = hn_calloc(n, sizeof *g->values);
    if (!g->lines || !g->values) return hn_fail_memory(err, n * sizeof *g->values);
    for (size_t i = 0; i < g->n_cells; i++)
        for (size_t k = 0; k < g->n; k++) {
            const hn_eval_result *r = &m->cells[i].result;
            size_t at = 0;
            while (at < g->kept[i].n && strcmp(g->kept[i].lines[at].name, g->names[k]) != 0) at++;
            if (at == g->kept[i].n) continue;
            g->lines[i * g->n + k] = &g->kept[i].lines[at];
            HN_TRY(hn_grade_values(m->plan.setup.store, r->run->id, g->names[k], &r->predictions,
                                   &g->values[i * g->n + k], err));
        }
    return HN_OK;
}

hn_status hn_output_grades_load(const hn_eval_matrix *m, hn_output_grades *out, hn_error *err) {
    *out = (hn_output_grades){0};
    hn_status st = load(m, out, err);
    if (st != HN_OK) hn_output_grades_free(out);
    return st;
}

void hn_output_grades_free(hn_output_grades *g) {
    for (size_t i = 0; g->values && i < g->n_cells * g->n; i++) hn_free(g->values[i]);
    for (size_t i = 0; g->kept && i < g->n_cells; i++) hn_grade_lines_free(&g->kept[i]);
    hn_free(g->values);
    hn_free(g->lines);
    hn_free(g->names);
    hn_free(g->kept);
    *g = (hn_output_grades){0};
}

double hn_output_grade(const hn_output_grades *g, size_t cell, size_t grader, size_t row) {
    const double *values = g->values[cell * g->n + grader];
    return values ? values[row] : (double)NAN;
}
