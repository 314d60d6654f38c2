/* Fitting corrections of label probabilities on a run's answers; see correction_fit.h. */
#include "lifecycle/eval/correction_fit.h"

#include "base/alloc.h"
#include "lifecycle/eval/run_report.h"

#include <math.h>
#include <string.h>

/* ---- the table ---- */

static int32_t label_index(const char *const *labels, size_t n, const char *name) {
    for (size_t i = 0; name && i < n; i++)
        if (strcmp(labels[i], name) == 0) return (int32_t)i;
    return -1;
}

static bool usable(const hn_prediction *row, size_t n_labels) {
    return row->probabilities && row->n_probabilities == n_labels && row->target;
}

static hn_status allocate(hn_correction_fit *f, size_t n, hn_error *err) {
    f->p = hn_calloc(n, f->n_labels * sizeof *f->p);
    f->truth = hn_calloc(n, sizeof *f->truth);
    f->right = hn_calloc(n, 1);
    f->confidence = hn_calloc(n, sizeof *f->confidence);
    f->group = hn_calloc(n, sizeof *f->group);
    f->risk = hn_calloc(n, sizeof *f->risk);
    bool fine = f->p && f->truth && f->right && f->confidence && f->group && f->risk;
    return fine ? HN_OK : hn_fail_memory(err, n * f->n_labels * sizeof *f->p);
}

static hn_status fill_table(const hn_prediction_list *list, const char *const *labels, hn_correction_fit *f,
                            hn_error *err) {
    uint32_t *ids = hn_calloc(list->n ? list->n : 1, sizeof *ids);
    size_t n_groups;
    bool several;
    if (!ids) return hn_fail_memory(err, list->n * sizeof *ids);
    hn_status st = hn_report_groups(list->rows, list->n, ids, &n_groups, &several, err);
    for (size_t i = 0; st == HN_OK && i < list->n; i++) {
        const hn_prediction *row = &list->rows[i];
        int32_t truth = usable(row, f->n_labels) ? label_index(labels, f->n_labels, row->target) : -1;
        if (truth < 0) continue;
        double *p = f->p + f->n * f->n_labels;
        memcpy(p, row->probabilities, f->n_labels * sizeof *p);
        size_t best = hn_arg_max(p, f->n_labels);
        f->truth[f->n] = truth;
        f->right[f->n] = best == (size_t)truth;
        f->confidence[f->n] = p[best];
        f->group[f->n++] = ids[i];
    }
    hn_free(ids);
    return st;
}

/* ---- recalibration ---- */

static hn_status fit_temperature(const hn_correction_fit *f, const unsigned char *use, hn_correction *c,
                                 hn_error *err) {
    size_t n = 0, L = f->n_labels;
    double *logs = hn_alloc(f->n * L * sizeof *logs);
    int32_t *truth = hn_alloc(f->n * sizeof *truth);
    for (size_t i = 0; logs && truth && i < f->n; i++) {
        if (!use[i]) continue;
        for (size_t k = 0; k < L; k++) {
            double p = f->p[i * L + k];
            logs[n * L + k] = log(p > HN_LOG_LOSS_FLOOR ? p : HN_LOG_LOSS_FLOOR);
        }
        truth[n++] = f->truth[i];
    }
    hn_status st = logs && truth ? HN_OK : hn_fail_memory(err, f->n * L * sizeof *logs);
    if (st == HN_OK) c->temperature = hn_temperature_fit(logs, truth, n, L).temperature;
    hn_free(logs);
    hn_free(truth);
    if (st != HN_OK || isfinite(c->temperature)) return st;
    return hn_fail(err, HN_ERR_INPUT, "calibrate", "take `temperature` out, or label more dev cases",
                   "no temperature fits %zu dev cases: their answers are all right, or no better than chance", n);
}

/* One curve for all labels: each (case, label) is a point, 1 where the label is the truth. */
static hn_status fit_curve(const hn_correction_fit *f, const unsigned char *use, hn_correction *c, hn_error *err) {
    size_t n = 0, L = f->n_labels;
    double *x = hn_alloc(f->n * L * sizeof *x), *y = hn_alloc(f->n * L * sizeof *y);
    for (size_t i = 0; x && y && i < f->n; i++)
        for (size_t k = 0; use[i] && k < L; k++, n++) {
            x[n] = f->p[i * L + k];
            y[n] = (size_t)f->truth[i] == k;
        }
    hn_status st = x && y ? HN_OK : hn_fail_memory(err, f->n * L * sizeof *x);
    if (st == HN_OK) st = hn_isotonic_fit(x, y, NULL, n, &c->curve, err);
    hn_free(x);
    hn_free(y);
    return st;
}

static hn_status fit_method(const hn_correction_fit *f, const unsigned char *use, hn_recalibrate method,
                            hn_correction *c, hn_error *err) {
    c->method = method;
    if (method == HN_RECALIBRATE_TEMPERATURE) return fit_temperature(f, use, c, err);
    return method == HN_RECALIBRATE_ISOTONIC ? fit_curve(f, use, c, err) : HN_OK;
}

static void measure(const hn_correction_fit *f, const double *p, hn_quality *q) {
    q->ece = hn_calibration_measure(p, f->truth, f->n, f->n_labels, HN_CALIBRATION_BINS, q->bins).ece;
    q->brier = hn_brier(p, f->truth, f->n, f->n_labels);
    q->log_loss = hn_log_loss(p, f->truth, f->n, f->n_labels, HN_LOG_LOSS_FLOOR);
}

/* Groups are numbered by their first case, cases come in the run's seeded order: the fold of a group is its number's remainder. */
static hn_status correct_fold(const hn_correction_fit *f, uint32_t fold, unsigned char *use, double *p, hn_error *err) {
    hn_correction c = hn_correction_none();
    for (size_t i = 0; i < f->n; i++) use[i] = f->group[i] % HN_CORRECTION_FOLDS != fold;
    hn_status st = fit_method(f, use, f->correction.method, &c, err);
    for (size_t i = 0; i < f->n && st == HN_OK; i++)
        if (!use[i]) st = hn_correction_apply(&c, p + i * f->n_labels, f->n_labels, err);
    hn_correction_free(&c);
    return st;
}

static hn_status cross_fit(hn_correction_fit *f, hn_error *err) {
    size_t n_bytes = f->n * f->n_labels * sizeof *f->p;
    double *p = hn_alloc(n_bytes);
    unsigned char *use = hn_alloc(f->n);
    hn_status st = p && use ? HN_OK : hn_fail_memory(err, n_bytes);
    if (st == HN_OK) memcpy(p, f->p, n_bytes);
    for (uint32_t fold = 0; fold < HN_CORRECTION_FOLDS && st == HN_OK; fold++) st = correct_fold(f, fold, use, p, err);
    if (st == HN_OK) measure(f, p, &f->after);
    hn_free(p);
    hn_free(use);
    return st;
}

static hn_status recalibrate(hn_correction_fit *f, hn_recalibrate method, hn_error *err) {
    measure(f, f->p, &f->before);
    f->after = f->before;
    if (method == HN_RECALIBRATE_NONE) return HN_OK;
    unsigned char *all = hn_alloc(f->n);
    if (!all) return hn_fail_memory(err, f->n);
    memset(all, 1, f->n);
    hn_status st = fit_method(f, all, method, &f->correction, err);
    hn_free(all);
    return st == HN_OK ? cross_fit(f, err) : st;
}

/* ---- whom to leave to a person ---- */

/* The first case of each group: rows of the table, as many as there are groups. */
static hn_status independent_cases(const hn_correction_fit *f, size_t **rows, size_t *n, hn_error *err) {
    uint32_t top = 0;
    for (size_t i = 0; i < f->n; i++) top = f->group[i] > top ? f->group[i] : top;
    unsigned char *seen = hn_calloc((size_t)top + 1, 1);
    *rows = hn_alloc(f->n * sizeof **rows);
    *n = 0;
    for (size_t i = 0; seen && *rows && i < f->n; i++) {
        if (!seen[f->group[i]]) (*rows)[(*n)++] = i;
        seen[f->group[i]] = 1;
    }
    bool fine = seen && *rows;
    hn_free(seen);
    if (fine) return HN_OK;
    hn_free(*rows);
    return hn_fail_memory(err, f->n * sizeof **rows);
}

hn_status hn_correction_fit_rule(const hn_correction_fit *f, double target_error, double confidence,
                                 hn_abstain_rule *rule, hn_error *err) {
    size_t *rows, n;
    HN_TRY(independent_cases(f, &rows, &n, err));
    double *sure = hn_alloc(n * sizeof *sure);
    unsigned char *right = hn_alloc(n);
    for (size_t i = 0; sure && right && i < n; i++) {
        sure[i] = f->confidence[rows[i]];
        right[i] = f->right[rows[i]];
    }
    hn_status st = sure && right ? hn_abstain_choose(sure, right, n, target_error, 1 - confidence, rule, err)
                                 : hn_fail_memory(err, n * sizeof *sure);
    hn_free(sure);
    hn_free(right);
    hn_free(rows);
    return st;
}

/* Over all cases, related ones too: the promise rests on the independent ones, the description need not. */
static hn_status describe_sets(const hn_correction_fit *f, double limit, double *size, double *coverage,
                               hn_error *err) {
    size_t total = 0, held = 0;
    bool *in = hn_calloc(f->n_labels, sizeof *in);
    if (!in) return hn_fail_memory(err, f->n_labels);
    for (size_t i = 0; i < f->n; i++) {
        total += hn_conformal_set(f->p + i * f->n_labels, f->n_labels, limit, in);
        held += in[f->truth[i]];
    }
    hn_free(in);
    *size = (double)total / (double)f->n;
    *coverage = (double)held / (double)f->n;
    return HN_OK;
}

hn_status hn_correction_fit_sets(const hn_correction_fit *f, double share, hn_conformal *conformal, double *size,
                                 double *coverage, hn_error *err) {
    size_t *rows, n;
    HN_TRY(independent_cases(f, &rows, &n, err));
    double *miss = hn_alloc(n * sizeof *miss);
    for (size_t i = 0; miss && i < n; i++) miss[i] = 1 - f->p[rows[i] * f->n_labels + (size_t)f->truth[rows[i]]];
    hn_status st =
        miss ? hn_conformal_threshold(miss, n, 1 - share, conformal, err) : hn_fail_memory(err, n * sizeof *miss);
    hn_free(miss);
    hn_free(rows);
    return st == HN_OK ? describe_sets(f, conformal->threshold, size, coverage, err) : st;
}

static hn_status choose_rules(hn_correction_fit *f, const hn_abstention *wanted, hn_error *err) {
    hn_correction *c = &f->correction;
    hn_conformal conformal;
    size_t *rows;
    c->wanted = *wanted;
    HN_TRY(independent_cases(f, &rows, &f->n_independent, err));
    hn_free(rows);
    HN_TRY(hn_risk_coverage(f->confidence, f->right, f->n, f->risk, &f->risk_summary, err));
    if (!isnan(wanted->target_error)) {
        HN_TRY(hn_correction_fit_rule(f, wanted->target_error, wanted->confidence, &f->rule, err));
        c->threshold = f->rule.threshold;
    }
    if (isnan(wanted->set_share)) return HN_OK;
    HN_TRY(hn_correction_fit_sets(f, wanted->set_share, &conformal, &f->set_size, &f->set_coverage, err));
    c->miss_limit = conformal.threshold;
    return HN_OK;
}

/* ---- all of it ---- */

static hn_status make(const hn_prediction_list *list, const char *const *labels, hn_recalibrate method,
                      const hn_abstention *wanted, hn_correction_fit *f, hn_error *err) {
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++) n += usable(&list->rows[i], f->n_labels);
    if (n == 0 || f->n_labels == 0)
        return hn_fail(err, HN_ERR_INPUT, NULL, "use `output: {choice: [...]}` and `answer: likelihood`",
                       "the run's answers have no probabilities of labels: there is nothing to calibrate");
    HN_TRY(allocate(f, n, err));
    HN_TRY(fill_table(list, labels, f, err));
    f->correction.n_cases = (int64_t)f->n;
    HN_TRY(recalibrate(f, method, err));
    return choose_rules(f, wanted, err);
}

hn_status hn_correction_fit_make(const hn_prediction_list *list, const char *const *labels, size_t n_labels,
                                 hn_recalibrate method, const hn_abstention *wanted, hn_correction_fit *out,
                                 hn_error *err) {
    *out = (hn_correction_fit){.correction = hn_correction_none(),
                               .n_labels = n_labels,
                               .set_size = (double)NAN,
                               .set_coverage = (double)NAN,
                               .rule = {.threshold = -(double)INFINITY}};
    hn_status st = make(list, labels, method, wanted, out, err);
    if (st != HN_OK) hn_correction_fit_free(out);
    return st;
}

void hn_correction_fit_free(hn_correction_fit *f) {
    hn_correction_free(&f->correction);
    hn_free(f->p);
    hn_free(f->truth);
    hn_free(f->right);
    hn_free(f->confidence);
    hn_free(f->group);
    hn_free(f->risk);
    *f = (hn_correction_fit){.correction = hn_correction_none()};
}

static json_t *number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static json_t *quality_json(const hn_quality *q) {
    json_t *bins = json_array();
    for (int i = 0; bins && i < HN_CALIBRATION_BINS; i++) {
        const hn_calibration_bin *b = &q->bins[i];
        json_array_append_new(bins, json_pack("{s:I, s:o, s:o}", "n", (json_int_t)b->count, "confidence",
                                              number(b->mean_confidence), "accuracy", number(b->accuracy)));
    }
    return json_pack("{s:o, s:o, s:o, s:o}", "ece", number(q->ece), "brier", number(q->brier), "log_loss",
                     number(q->log_loss), "bins", bins);
}

hn_status hn_correction_fit_json(const hn_correction_fit *f, json_t **value, hn_error *err) {
    json_t *correction, *rule = json_null(), *sets = json_null();
    const hn_abstention *w = &f->correction.wanted;
    HN_TRY(hn_correction_json(&f->correction, &correction, err));
    if (!isnan(w->target_error))
        rule = json_pack("{s:f, s:f, s:b, s:f, s:o, s:f, s:I, s:I}", "target_error", w->target_error, "confidence",
                         w->confidence, "found", f->rule.found, "coverage", f->rule.coverage, "error",
                         number(f->rule.error), "error_bound", f->rule.error_bound, "n_answered",
                         (json_int_t)f->rule.n_answered, "n_wrong", (json_int_t)f->rule.n_wrong);
    if (!isnan(w->set_share))
        sets = json_pack("{s:f, s:o, s:o}", "share", w->set_share, "mean_size", number(f->set_size), "coverage",
                         number(f->set_coverage));
    *value =
        json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "n", (json_int_t)f->n, "n_independent",
                  (json_int_t)f->n_independent, "correction", correction, "before", quality_json(&f->before), "after",
                  quality_json(&f->after), "abstain", rule, "sets", sets, "aurc", number(f->risk_summary.aurc));
    return *value ? HN_OK : hn_fail_memory(err, 0);
}
