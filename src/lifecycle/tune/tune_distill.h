/* What a distillation came to: teacher and student on the same dev cases.
 *
 *     json_t *o;
 *     HN_TRY(hn_tune_distill_compare(t, teacher, &o, &err));
 *     HN_TRY(hn_tune_distillation_read(summary, &d, &err));        // for showing: d.verdict, d.agreement
 *
 * The verdict is of the student against the teacher, by the paired test of stats/verdict.h: "equivalent" where the interval of the difference in
 * accuracy lies within the scope's smallest difference, "worse", "better" or "cannot tell". Beside it how often the two say the same, right or not,
 * and what the short prompt saves. The kept epoch was chosen by these cases, which flatters the student a little; the test split decides.
 * Ownership: the json is a new reference. Threading: one thread. */
#ifndef HN_LIFECYCLE_TUNE_DISTILL_H
#define HN_LIFECYCLE_TUNE_DISTILL_H

#include "lifecycle/tune/tune_training.h"

hn_status hn_tune_distill_compare(const hn_training *t, hn_provider *teacher, json_t **value,
                                  hn_error *err) HN_MUST_CHECK;

typedef struct hn_tune_distillation {
    char teacher[128], teacher_prompt[128];
    char verdict[16]; /* "equivalent", "better", "worse", "cannot_tell" */
    int64_t n, cases_needed;
    double teacher_accuracy, student_accuracy, p, smallest_difference;
    hn_estimate difference, agreement;     /* student minus teacher; share of cases with the same answer */
    double teacher_tokens, student_tokens; /* of a prompt, mean */
    int64_t left_out;                      /* training cases without a valid answer of the teacher */
} hn_tune_distillation;
/* Of a run's summary. *found false: the run is no distillation. HN_ERR_INPUT: it is no JSON. */
hn_status hn_tune_distillation_read(const char *summary, hn_tune_distillation *out, bool *found,
                                    hn_error *err) HN_MUST_CHECK;

#endif
