/* Finding the dev run that an app's correction is fitted on; see correction_run.h. */
#include "lifecycle/eval/correction_run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

bool hn_correction_wanted(const hn_scope *scope, const hn_prompt *prompt) {
    bool asked = prompt->recalibrate != HN_RECALIBRATE_NONE || !isnan(scope->abstain.target_error) ||
                 !isnan(scope->abstain.set_share);
    return asked && prompt->answer == HN_ANSWER_LIKELIHOOD && prompt->probabilities != HN_PROBABILITIES_BEST;
}

static bool same(const char *a, const char *b) { return a && b && strcmp(a, b) == 0; }

static bool fits(const hn_run *run, const hn_run_spec *like) {
    const hn_run_spec *s = &run->spec;
    return same(run->kind, "eval") && same(run->state, "done") && same(s->split, "dev") &&
           same(s->prompt_hash, like->prompt_hash) && same(s->model_hash, like->model_hash) &&
           same(s->template_hash, like->template_hash) && same(s->numeric_path, like->numeric_path) &&
           same(s->dataset_hash, like->dataset_hash) && same(s->scope_hash, like->scope_hash);
}

hn_status hn_correction_of_run(const hn_scope *scope, hn_recalibrate method, const hn_run *run,
                               const hn_prediction_list *list, hn_correction_fit *fit, hn_error *err) {
    HN_TRY(hn_correction_fit_make(list, (const char *const *)scope->contract.labels, scope->contract.n_labels, method,
                                  &scope->abstain, fit, err));
    snprintf(fit->correction.run_id, sizeof fit->correction.run_id, "%s", run->content_id);
    return HN_OK;
}

static hn_status fit_on(hn_store *store, const hn_scope *scope, const hn_prompt *prompt, const hn_run *run,
                        hn_correction *out, hn_error *err) {
    hn_prediction_list list;
    hn_correction_fit fit;
    HN_TRY(hn_prediction_load(store, run->id, &list, err));
    hn_status st = hn_correction_of_run(scope, prompt->recalibrate, run, &list, &fit, err);
    if (st == HN_OK) {
        *out = fit.correction;
        fit.correction = hn_correction_none(); /* the curve now belongs to the caller */
        hn_correction_fit_free(&fit);
    }
    hn_prediction_list_free(&list);
    return st;
}

hn_status hn_correction_find(hn_store *store, const hn_scope *scope, const hn_prompt *prompt, const hn_run_spec *like,
                             hn_correction *out, hn_error *err) {
    hn_run **runs;
    size_t n;
    const hn_run *found = NULL;
    HN_TRY(hn_run_list(store, 0, &runs, &n, err));
    for (size_t i = 0; i < n; i++)
        if (fits(runs[i], like) && (!found || runs[i]->spec.n_cases > found->spec.n_cases)) found = runs[i];
    char hint[300];
    snprintf(hint, sizeof hint, "run `hone eval %.200s` on the dev split first: it is fitted there", prompt->name);
    const char *what = prompt->recalibrate == HN_RECALIBRATE_NONE ? "`abstain` in hone.yaml" : "`calibrate`";
    hn_status st = found ? fit_on(store, scope, prompt, found, out, err)
                         : hn_fail(err, HN_ERR_NOT_FOUND, prompt->path, hint,
                                   "%s needs the dev answers of this prompt with this model, and there are none", what);
    hn_run_list_free(runs, n);
    return st;
}

static hn_status fit_json(const hn_scope *scope, const hn_prompt *prompt, const hn_run *run,
                          const hn_prediction_list *list, json_t **value, hn_error *err) {
    hn_correction_fit fit;
    json_t *made;
    HN_TRY(hn_correction_of_run(scope, prompt->recalibrate, run, list, &fit, err));
    hn_status st = hn_correction_fit_json(&fit, &made, err);
    hn_correction_fit_free(&fit);
    HN_TRY(st);
    *value = json_pack("{s:o}", "fit", made);
    return *value ? HN_OK : hn_fail_memory(err, 0);
}

hn_status hn_correction_report_json(const hn_scope *scope, const hn_prompt *prompt, const hn_run *run,
                                    const hn_prediction_list *list, const hn_report *r, json_t **value, hn_error *err) {
    *value = NULL;
    if (!hn_correction_wanted(scope, prompt) || r->n == r->n_failed) return HN_OK;
    if (same(run->spec.split, "dev")) return fit_json(scope, prompt, run, list, value, err);
    json_t *given = json_pack("{s:I, s:I, s:I, s:o, s:o}", "n", (json_int_t)(r->n - r->n_abstained), "n_abstained",
                              (json_int_t)r->n_abstained, "n_wrong", (json_int_t)r->n_wrong_given, "share",
                              hn_report_estimate_json(r->given), "error", hn_report_estimate_json(r->given_error));
    *value = json_pack("{s:o}", "given", given);
    if (*value && r->n_sets)
        json_object_set_new(*value, "sets",
                            json_pack("{s:I, s:I, s:f}", "n", (json_int_t)r->n_sets, "n_with_truth",
                                      (json_int_t)r->n_in_set, "mean_size",
                                      (double)r->n_set_labels / (double)r->n_sets));
    return *value ? HN_OK : hn_fail_memory(err, 0);
}
