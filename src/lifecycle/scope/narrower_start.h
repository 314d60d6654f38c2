/* A narrower start: the labels whose answers can be trusted already. Where a case gets one of these, the answer is used; the rest goes to a
 * person.
 *
 *     HN_TRY(hn_narrow_find(&choosing, &checking, n_labels, 0.9, &narrow, &err));
 *     printf("%zu labels, %.0f %% of cases at a precision of %.1f %%", narrow.n_chosen, 100 * narrow.share.value, ...);
 *     hn_narrow_free(&narrow);
 *
 * A label is chosen on answers to cases that the rung did not learn from (out-of-fold on train) and checked on others (dev), so what is
 * said of it is not what it was picked by. Chosen: the lower 95 % limit (one-sided, Wilson) of its precision, the share of right ones
 * among the answers with it, reaches the target. The checks are plain intervals on the other cases.
 * Ownership: free with hn_narrow_free. Threading: pure functions. */
#ifndef HN_LIFECYCLE_NARROWER_START_H
#define HN_LIFECYCLE_NARROWER_START_H

#include "stats/interval.h"

#include <stdbool.h>

typedef struct hn_narrow_answers {
    const int32_t *truth, *answers; /* (n) labels; an answer of -1 is none */
    const uint32_t *groups;         /* (n) ids; NULL: none are related */
    size_t n;
} hn_narrow_answers;

typedef struct hn_narrow_label {
    bool chosen;
    size_t n_choosing, n_checking; /* answers with this label */
    double precision, lower;       /* where it was chosen: value and one-sided lower limit; NaN without answers */
    hn_estimate checked;           /* precision where it was checked */
} hn_narrow_label;

typedef struct hn_narrow {
    bool known;     /* false: not looked for */
    char rung[120]; /* whose answers */
    double target;
    bool target_assumed;     /* hone.yaml names none: 0.9 was taken */
    hn_narrow_label *labels; /* (n_labels) */
    size_t n_labels, n_chosen;
    hn_estimate precision; /* of all answers with a chosen label, where it was checked; NaN without any */
    hn_estimate share;     /* of the checked cases that get one; the rest goes to a person */
    size_t n_checked;      /* cases */
} hn_narrow;

hn_status hn_narrow_find(const hn_narrow_answers *choosing, const hn_narrow_answers *checking, size_t n_labels,
                         double target, hn_narrow *out, hn_error *err) HN_MUST_CHECK;
void hn_narrow_free(hn_narrow *narrow);

#endif
