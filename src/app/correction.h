/* What was learnt on the dev split about an app's own probabilities, and is applied to every answer that it gives afterwards: recalibrated
 * probabilities, a threshold below which a person answers, and the size of label sets.
 *
 *     hn_correction c;
 *     HN_TRY(hn_correction_parse(stored, &c, &err));
 *     bool abstained = hn_correction_abstains(&c, p, n);   // p (n): softmax after the prior
 *     size_t size = hn_correction_set(&c, p, n, in);
 *     HN_TRY(hn_correction_apply(&c, p, n, &err));         // p is now what the user sees
 *     hn_correction_free(&c);
 *
 * The threshold and the sets look at the probabilities as they are before recalibration: those do not depend on the cases that the threshold
 * is chosen on, so its promise holds (stats/abstain.h). Recalibration never changes which label is the most likely.
 * lifecycle/eval/correction_fit.h makes one. Ownership: the curve belongs to the correction. Threading: read-only once made. */
#ifndef HN_APP_CORRECTION_H
#define HN_APP_CORRECTION_H

#include "format/json.h"
#include "project/prompt.h"
#include "stats/recalibrate.h"

typedef struct hn_correction {
    hn_recalibrate method;
    double temperature;   /* TEMPERATURE: p^(1/T), normalised */
    hn_isotonic curve;    /* ISOTONIC: for every label's probability alike, then normalised */
    hn_abstention wanted; /* what the two below were chosen for */
    double threshold;     /* answer where the largest p is above it; -inf: always, +inf: never */
    double miss_limit;    /* labels with 1 - p up to it make the set; NaN: no sets */
    int64_t n_cases;      /* dev cases that it was fitted on */
    char run_id[65];      /* content id of their run */
} hn_correction;

/* Answers everything, changes nothing. */
hn_correction hn_correction_none(void);
void hn_correction_free(hn_correction *c);

bool hn_correction_abstains(const hn_correction *c, const double *p, size_t n);
/* in[k]: whether label k is in the set; returns how many are. Without sets: 0, all false. */
size_t hn_correction_set(const hn_correction *c, const double *p, size_t n, bool *in);
/* p (n): recalibrated in place; a row without any probability stays as it is. HN_ERR_MEMORY. */
hn_status hn_correction_apply(const hn_correction *c, double *p, size_t n, hn_error *err) HN_MUST_CHECK;

/* {"method","temperature"|"curve":[[x,y],..],"threshold","miss_limit","target_error","confidence","sets","n_cases","run"}, absent parts null; new
 * reference. Numbers come back with the same bits. */
hn_status hn_correction_json(const hn_correction *c, json_t **value, hn_error *err) HN_MUST_CHECK;
/* HN_ERR_INPUT naming the field. Free with hn_correction_free. */
hn_status hn_correction_parse(const json_t *value, hn_correction *c, hn_error *err) HN_MUST_CHECK;
const char *hn_recalibrate_name(hn_recalibrate method); /* "none", "temperature", "isotonic" */

#endif
