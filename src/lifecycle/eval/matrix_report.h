/* What a matrix says: each candidate's estimate and spread, its verdict against the reference with p adjusted for their number, the best,
 * and what is left of the best's lead when choosing it is taken into account.
 *
 *     hn_eval_matrix_report r;
 *     HN_TRY(hn_eval_matrix_report_make(m, &reference, SIZE_MAX, &r, &err));
 *     printf("%s: p = %.3f", hn_verdict_name(r.rows[i].kind), r.rows[i].p_adjusted);
 *     hn_eval_matrix_report_free(&r);
 *
 * Verdicts are paired, over the cases' scores (a candidate with repetitions: the mean of its repetitions' scores), groups kept
 * together. Holm over all comparisons: "better" and "worse" need an adjusted p of at most 0.05, else they become "cannot tell";
 * "equivalent" must hold at 0.05 over the number of comparisons.
 * Ownership: plain values and one array. Threading: pure. */
#ifndef HN_LIFECYCLE_MATRIX_REPORT_H
#define HN_LIFECYCLE_MATRIX_REPORT_H

#include "lifecycle/eval/eval_matrix.h"
#include "lifecycle/eval/reference.h"
#include "lifecycle/eval/repeat.h"
#include "stats/selection.h"
#include "stats/verdict.h"

typedef struct hn_eval_matrix_row {
    hn_estimate accuracy; /* of one answer: over the repetitions where there are several */
    hn_estimate macro_f1; /* of the first run; NaN unless there are labels */
    hn_spread spread;     /* n_repeats 0: there is one run */
    bool compared;
    hn_verdict verdict; /* by itself */
    double p_adjusted;
    hn_verdict_kind kind; /* adjusted */
} hn_eval_matrix_row;

typedef struct hn_eval_matrix_report {
    hn_eval_matrix_row *rows; /* (n_candidates) as the matrix's candidates */
    size_t n, n_compared;
    char reference[256];  /* its name; "": there is nothing to compare with */
    size_t reference_row; /* where it is a candidate; SIZE_MAX: it is not */
    size_t best;          /* by the scope's metric */
    bool selected;        /* `selection` is there: more than one candidate */
    hn_selection selection;
} hn_eval_matrix_report;

/* `reference` with scores of the matrix's cases; or NULL and the `candidate` that it is, SIZE_MAX: no comparison. All cells must be done. */
hn_status hn_eval_matrix_report_make(const hn_eval_matrix *m, const hn_reference *reference, size_t candidate,
                                     hn_eval_matrix_report *out, hn_error *err) HN_MUST_CHECK;
void hn_eval_matrix_report_free(hn_eval_matrix_report *r);
/* {"reference","comparisons":[{"candidate","run","verdict","verdict_alone","difference","p","p_holm",...}],"best":{...}} */
hn_status hn_eval_matrix_report_json(const hn_eval_matrix *m, const hn_eval_matrix_report *r, json_t **value,
                                     hn_error *err) HN_MUST_CHECK;

/* p-values adjusted by Holm and verdicts that stand after it, for `n` comparisons judged with `judge`: see above. For others who compare
 * several with one. `kinds` (n) in and out, `p` (n), `adjusted` (n) out. Equivalences are for the caller: HN_VERDICT_EQUIVALENT stays. */
hn_status hn_verdicts_adjust(const double *p, hn_verdict_kind *kinds, double *adjusted, size_t n,
                             hn_error *err) HN_MUST_CHECK;

#endif
