/* Graders' values of all cells of a matrix, for files of results.
 *
 *     hn_output_grades g;
 *     HN_TRY(hn_output_grades_load(matrix, &g, &err));
 *     for (size_t k = 0; k < g.n; k++) ... g.names[k], hn_output_grade(&g, cell, k, row) ...
 *     hn_output_grades_free(&g);
 *
 * Ownership: free it. Threading: one thread. */
#ifndef HN_LIFECYCLE_EVAL_OUTPUT_GRADES_H
#define HN_LIFECYCLE_EVAL_OUTPUT_GRADES_H

#include "lifecycle/eval/eval_matrix.h"
#include "lifecycle/eval/grade_run.h"

typedef struct hn_output_grades {
    size_t n, n_cells;
    const char **names;    /* (n) of all cells together, in the order in which they first occur */
    hn_grade_line **lines; /* (n_cells, n) a cell's mean and what it is worth; NULL: that run has no such grader */
    double **values;       /* (n_cells, n) of its answers in their order; NULL as above */
    hn_grade_lines *kept;  /* (n_cells) */
} hn_output_grades;

hn_status hn_output_grades_load(const hn_eval_matrix *m, hn_output_grades *out, hn_error *err) HN_MUST_CHECK;
void hn_output_grades_free(hn_output_grades *g);
/* Of the cell's answer `row`; NaN where there is none. */
double hn_output_grade(const hn_output_grades *g, size_t cell, size_t grader, size_t row);

#endif
