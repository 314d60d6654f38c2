/* Grading a run: every grader of hone.yaml over the answers in the store, and what comes of it.
 *
 *     json_t *graders;
 *     HN_TRY(hn_grade_run(&grading, run->id, &predictions, &graders, &err));     // scores are kept; what is there is not made again
 *     ... goes into the run's summary as "graders" ...
 *     hn_grade_lines lines;
 *     HN_TRY(hn_grade_lines_read(summary, &lines, &err));                        // for showing them
 *     hn_grade_lines_free(&lines);
 *
 * Grades are added in short transactions as they come, so a run that was killed goes on where it was. A case of which a grader has nothing
 * to say counts for nothing but `n_missing`. The mean's interval: of values that are all 0 or 1 the proportion's (Wilson, related
 * cases allowed for), else a BCa bootstrap over groups (past 2,000 groups: Student's t with the clustered variance, the same to three digits).
 * Ownership: as said. Threading: one thread. */
#ifndef HN_LIFECYCLE_GRADE_RUN_H
#define HN_LIFECYCLE_GRADE_RUN_H

#include "lifecycle/eval/grader.h"
#include "stats/interval.h"

/* [{"name","kind","value","low","high","n","missing","failed","corpus","corpus_name","lower_is_better","range","unit",...remarks}] in
 * hone.yaml's order; empty without graders. New reference. Errors: what graders fail with; HN_ERR_INTERRUPTED (what was graded is kept). */
hn_status hn_grade_run(const hn_grading *grading, int64_t run_id, const hn_prediction_list *rows, json_t **graders,
                       hn_error *err) HN_MUST_CHECK;

/* The same as "graders" of `summary`, at the end of an evaluation: nothing without graders; where grading fails the run is left stopped, so that the
 * same command goes on from there. */
hn_status hn_grade_into(const hn_grading *grading, int64_t run_id, const hn_prediction_list *rows, json_t *summary,
                        hn_error *err) HN_MUST_CHECK;

/* Mean and 95 % interval of values (n), NaN ones left out; `groups` (n) ids or NULL. `geometric`: of their logarithms, and back. */
hn_status hn_grade_mean(const double *values, const uint32_t *groups, size_t n, bool geometric, hn_estimate *mean,
                        hn_error *err) HN_MUST_CHECK;

/* A grader's result, as a summary has it. */
typedef struct hn_grade_line {
    const char *name, *kind;
    hn_estimate mean;
    size_t n, n_missing, n_failed;
    double corpus; /* NaN: there is none */
    const char *corpus_name;
    hn_grader_traits traits;
    const json_t *json; /* all of it, remarks too */
} hn_grade_line;

typedef struct hn_grade_lines {
    hn_grade_line *lines;
    size_t n;
    json_t *json; /* keeps the texts */
} hn_grade_lines;

/* Of a run's summary as it is stored (NULL: none); n 0 where it has no graders. */
hn_status hn_grade_lines_read(const char *summary_json, hn_grade_lines *out, hn_error *err) HN_MUST_CHECK;
void hn_grade_lines_free(hn_grade_lines *lines);
const hn_grade_line *hn_grade_lines_find(const hn_grade_lines *lines, const char *name); /* NULL: none */
/* The grader's values for `rows` from the store, by position: (rows->n), NaN where there is none. Free with hn_free. */
hn_status hn_grade_values(hn_store *store, int64_t run_id, const char *grader, const hn_prediction_list *rows,
                          double **values, hn_error *err) HN_MUST_CHECK;

/* "0.713 [0.650, 0.771]", with the unit. Returns `out`. */
char *hn_grade_text(const hn_grade_line *line, char out[80]);

#endif
