/* Applying, writing and reading what was fitted on the dev split; see correction.h. */
#include "app/correction.h"

#include "base/alloc.h"
#include "stats/abstain.h"
#include "stats/probability.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_KNOTS = 1000000 };
static const char *const method_names[] = {"none", "temperature", "isotonic"};

const char *hn_recalibrate_name(hn_recalibrate method) { return method_names[method]; }

hn_correction hn_correction_none(void) {
    return (hn_correction){.temperature = (double)NAN,
                           .threshold = -(double)INFINITY,
                           .miss_limit = (double)NAN,
                           .wanted = {(double)NAN, 0.95, (double)NAN}};
}

void hn_correction_free(hn_correction *c) {
    hn_isotonic_free(&c->curve);
    *c = hn_correction_none();
}

/* ---- applying ---- */

bool hn_correction_abstains(const hn_correction *c, const double *p, size_t n) {
    return n > 0 && !(p[hn_arg_max(p, n)] > c->threshold);
}

size_t hn_correction_set(const hn_correction *c, const double *p, size_t n, bool *in) {
    if (!isnan(c->miss_limit)) return hn_conformal_set(p, n, c->miss_limit, in);
    for (size_t k = 0; k < n; k++) in[k] = false;
    return 0;
}

static void apply_temperature(double temperature, double *p, size_t n) {
    for (size_t k = 0; k < n; k++) p[k] = p[k] > 0 ? log(p[k]) : -(double)INFINITY;
    hn_temperature_apply(p, n, temperature, p);
}

/* A row that the curve would bring to nothing says nothing that it has learnt about: it stays. */
static hn_status apply_curve(const hn_isotonic *curve, double *p, size_t n, hn_error *err) {
    double *to = hn_alloc(n * sizeof *to), total = 0;
    if (!to) return hn_fail_memory(err, n * sizeof *to);
    for (size_t k = 0; k < n; k++) total += to[k] = hn_isotonic_at(curve, p[k]);
    for (size_t k = 0; k < n && total > 0; k++) p[k] = to[k] / total;
    hn_free(to);
    return HN_OK;
}

hn_status hn_correction_apply(const hn_correction *c, double *p, size_t n, hn_error *err) {
    double total = 0;
    for (size_t k = 0; k < n; k++) total += p[k];
    if (!(total > 0)) return HN_OK;
    if (c->method == HN_RECALIBRATE_TEMPERATURE) apply_temperature(c->temperature, p, n);
    return c->method == HN_RECALIBRATE_ISOTONIC ? apply_curve(&c->curve, p, n, err) : HN_OK;
}

/* ---- as JSON ---- */

/* JSON has no infinity: the two thresholds that are infinite are words. */
static json_t *number_json(double x) {
    if (isnan(x)) return json_null();
    if (isinf(x)) return json_string(x < 0 ? "always" : "never");
    return json_real(x);
}

hn_status hn_correction_json(const hn_correction *c, json_t **value, hn_error *err) {
    json_t *curve = json_array();
    bool fine = curve != NULL;
    for (size_t i = 0; fine && i < c->curve.n_knots; i++)
        fine = json_array_append_new(curve, json_pack("[f, f]", c->curve.x[i], c->curve.y[i])) == 0;
    bool temperature = c->method == HN_RECALIBRATE_TEMPERATURE, isotonic = c->method == HN_RECALIBRATE_ISOTONIC;
    *value = !fine ? NULL
                   : json_pack("{s:s, s:o, s:O, s:o, s:o, s:o, s:o, s:o, s:I, s:s}", "method", method_names[c->method],
                               "temperature", temperature ? number_json(c->temperature) : json_null(), "curve",
                               isotonic ? curve : json_null(), "threshold", number_json(c->threshold), "miss_limit",
                               number_json(c->miss_limit), "target_error", number_json(c->wanted.target_error),
                               "confidence", number_json(c->wanted.confidence), "sets",
                               number_json(c->wanted.set_share), "n_cases", (json_int_t)c->n_cases, "run", c->run_id);
    json_decref(curve);
    return *value ? HN_OK : hn_fail_memory(err, 0);
}

static hn_status bad(const char *field, hn_error *err) {
    return hn_fail(err, HN_ERR_INPUT, field, "`hone eval` on the dev split fits it again",
                   "the stored correction of probabilities is damaged");
}

static hn_status read_number(const json_t *value, const char *field, double *out, hn_error *err) {
    const json_t *v = json_object_get(value, field);
    const char *word = json_string_value(v);
    if (!v) return bad(field, err);
    if (json_is_number(v))
        *out = json_number_value(v);
    else if (json_is_null(v))
        *out = (double)NAN;
    else if (word && strcmp(word, "always") == 0)
        *out = -(double)INFINITY;
    else if (word && strcmp(word, "never") == 0)
        *out = (double)INFINITY;
    else
        return bad(field, err);
    return HN_OK;
}

static hn_status read_curve(const json_t *list, hn_isotonic *curve, hn_error *err) {
    size_t n = json_array_size(list);
    if (n == 0 || n > MAX_KNOTS) return bad("curve", err);
    curve->x = hn_calloc(n, sizeof *curve->x);
    curve->y = hn_calloc(n, sizeof *curve->y);
    if (!curve->x || !curve->y) return hn_fail_memory(err, n * sizeof *curve->x);
    curve->n_knots = n;
    for (size_t i = 0; i < n; i++) {
        const json_t *knot = json_array_get(list, i), *x = json_array_get(knot, 0), *y = json_array_get(knot, 1);
        if (!json_is_number(x) || !json_is_number(y)) return bad("curve", err);
        curve->x[i] = json_number_value(x);
        curve->y[i] = json_number_value(y);
        bool rises = i == 0 || (curve->x[i] > curve->x[i - 1] && curve->y[i] >= curve->y[i - 1]);
        if (!rises || curve->y[i] < 0 || curve->y[i] > 1) return bad("curve", err);
    }
    return HN_OK;
}

static hn_status read_all(const json_t *value, hn_correction *c, hn_error *err) {
    const char *method = json_string_value(json_object_get(value, "method")),
               *run = json_string_value(json_object_get(value, "run"));
    int m = 2;
    while (m >= 0 && (!method || strcmp(method, method_names[m]) != 0)) m--;
    if (m < 0) return bad("method", err);
    c->method = (hn_recalibrate)m;
    HN_TRY(read_number(value, "temperature", &c->temperature, err));
    HN_TRY(read_number(value, "threshold", &c->threshold, err));
    HN_TRY(read_number(value, "miss_limit", &c->miss_limit, err));
    HN_TRY(read_number(value, "target_error", &c->wanted.target_error, err));
    HN_TRY(read_number(value, "confidence", &c->wanted.confidence, err));
    HN_TRY(read_number(value, "sets", &c->wanted.set_share, err));
    if (isnan(c->threshold)) return bad("threshold", err);
    if (c->method == HN_RECALIBRATE_TEMPERATURE && !(c->temperature > 0 && isfinite(c->temperature)))
        return bad("temperature", err);
    c->n_cases = (int64_t)json_integer_value(json_object_get(value, "n_cases"));
    if (!run || strlen(run) >= sizeof c->run_id) return bad("run", err);
    snprintf(c->run_id, sizeof c->run_id, "%s", run);
    return c->method == HN_RECALIBRATE_ISOTONIC ? read_curve(json_object_get(value, "curve"), &c->curve, err) : HN_OK;
}

hn_status hn_correction_parse(const json_t *value, hn_correction *c, hn_error *err) {
    *c = hn_correction_none();
    hn_status st = read_all(value, c, err);
    if (st != HN_OK) hn_correction_free(c);
    return st;
}
