/* Fitting an app's correction (app/correction.h) on the answers of a dev run, and saying what it is worth.
 *
 *     hn_correction_fit fit;
 *     HN_TRY(hn_correction_fit_make(&predictions, labels, n_labels, HN_RECALIBRATE_TEMPERATURE, &scope->abstain, &fit, &err));
 *     printf("calibration error %.1f -> %.1f points", 100 * fit.before.ece, 100 * fit.after.ece);
 *     hn_correction_fit_free(&fit);
 *
 * The correction itself is fitted on all cases. What it is worth is cross-fitted: each case is corrected by a fit on the other four fifths
 * (whole groups), so no case judges a fit that has seen it. The threshold's promise and the sets' need cases that are independent: of related
 * cases only the first is taken.
 * Ownership: the fit owns its correction and arrays. Threading: pure. */
#ifndef HN_LIFECYCLE_CORRECTION_FIT_H
#define HN_LIFECYCLE_CORRECTION_FIT_H

#include "app/correction.h"
#include "stats/abstain.h"
#include "stats/interval.h"
#include "stats/probability.h"
#include "store/store.h"

enum { HN_CORRECTION_FOLDS = 5, HN_CALIBRATION_BINS = 10 };

/* Of probabilities against the truth. NaN without cases. */
typedef struct hn_quality {
    double ece, brier, log_loss; /* share, 0 .. 2, nats a case */
    hn_calibration_bin bins[HN_CALIBRATION_BINS];
} hn_quality;

typedef struct hn_correction_fit {
    hn_correction correction;
    size_t n;             /* cases with probabilities and a target */
    size_t n_independent; /* cases that the threshold and the sets rest on */
    hn_quality before;    /* of the probabilities as the run has them */
    hn_quality after;     /* of the cross-fitted correction; the same as before where there is no method */
    hn_abstain_rule rule; /* found false without a target error */
    double *risk;         /* (n) share of wrong answers among the k + 1 surest */
    hn_risk_summary risk_summary;
    double set_coverage, set_size; /* of the sets on the cases they were chosen on; NaN: no sets */
    /* the table that all of it is made from, one row for each of the n cases */
    double *p;            /* (n, n_labels) */
    int32_t *truth;       /* (n) */
    unsigned char *right; /* (n) whether the most likely label is the truth */
    double *confidence;   /* (n) its probability */
    uint32_t *group;      /* (n) */
    size_t n_labels;
} hn_correction_fit;

/* HN_ERR_INPUT: no answer has probabilities, or (temperature) no temperature can be fitted. */
hn_status hn_correction_fit_make(const hn_prediction_list *list, const char *const *labels, size_t n_labels,
                                 hn_recalibrate method, const hn_abstention *wanted, hn_correction_fit *out,
                                 hn_error *err) HN_MUST_CHECK;
void hn_correction_fit_free(hn_correction_fit *fit);
/* {"n","method","correction",before/after: {"ece","brier","log_loss"},"abstain":{...},"sets":{...}}; new reference. */
hn_status hn_correction_fit_json(const hn_correction_fit *fit, json_t **value, hn_error *err) HN_MUST_CHECK;

/* The rule for another target than the fit's, from the same cases. */
hn_status hn_correction_fit_rule(const hn_correction_fit *fit, double target_error, double confidence,
                                 hn_abstain_rule *rule, hn_error *err) HN_MUST_CHECK;
/* The label sets that hold the truth in `share` of cases: mean size and coverage on the fit's cases. */
hn_status hn_correction_fit_sets(const hn_correction_fit *fit, double share, hn_conformal *conformal, double *size,
                                 double *coverage, hn_error *err) HN_MUST_CHECK;

#endif
