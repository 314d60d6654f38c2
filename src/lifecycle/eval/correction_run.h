/* Which correction (app/correction.h) an evaluation applies: the one that its own dev run gives.
 *
 *     if (hn_correction_wanted(scope, prompt) && split != HN_SPLIT_DEV)
 *         HN_TRY(hn_correction_find(store, scope, prompt, &like, &correction, &err));
 *
 * On the dev split answers stay as they are, since they are what the correction is fitted on; what it is worth there is cross-fitted
 * (correction_fit.h). Every other split needs a finished dev run of the same prompt, model, data and numeric path.
 * Ownership: the caller frees the correction. Threading: one thread. */
#ifndef HN_LIFECYCLE_CORRECTION_RUN_H
#define HN_LIFECYCLE_CORRECTION_RUN_H

#include "lifecycle/eval/correction_fit.h"
#include "lifecycle/eval/run_report.h"

/* Whether the prompt asks for recalibration or the scope for abstention, and the answers have probabilities for it. */
bool hn_correction_wanted(const hn_scope *scope, const hn_prompt *prompt);

/* Fits on the dev run with the most cases (the newest of those) whose prompt, template, model, numeric path, data and scope are `like`'s.
 * HN_ERR_NOT_FOUND with the command to run where there is none. Free with hn_correction_free. */
hn_status hn_correction_find(hn_store *store, const hn_scope *scope, const hn_prompt *prompt, const hn_run_spec *like,
                             hn_correction *out, hn_error *err) HN_MUST_CHECK;

/* The same fit with what it is worth, of a finished dev run's predictions. Free with hn_correction_fit_free. */
hn_status hn_correction_of_run(const hn_scope *scope, hn_recalibrate method, const hn_run *run,
                               const hn_prediction_list *list, hn_correction_fit *fit, hn_error *err) HN_MUST_CHECK;

/* What there is to say of a run under a prompt that wants correction: on dev {"fit":{...}}, elsewhere {"given":{...}[,"sets":{...}]}; *value NULL
 * where it does not want any or has no answers. New reference. */
hn_status hn_correction_report_json(const hn_scope *scope, const hn_prompt *prompt, const hn_run *run,
                                    const hn_prediction_list *list, const hn_report *report, json_t **value,
                                    hn_error *err) HN_MUST_CHECK;

#endif
