/* Prediction-powered estimates; see prediction_powered.h. */
#include "stats/prediction_powered.h"

#include "base/alloc.h"
#include "stats/distribution.h"

#include <math.h>

static const hn_estimate nothing = {NAN, NAN, NAN};

static double mean(const double *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    return n ? sum / (double)n : NAN;
}

static hn_status check_finite(const double *x, size_t n, const char *what, hn_error *err) {
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return hn_fail(err, HN_ERR_INPUT, what, "leave the case out", "value %zu is %g", i, x[i]);
    return HN_OK;
}

/* The weight with the least variance; var(judge) from both parts, as PPI++ does. */
static double best_weight(const hn_ppi_data *d) {
    if (d->n < 2 || d->n_rest == 0) return 0;
    double human = mean(d->human, d->n), judge = mean(d->judge, d->n), rest = mean(d->judge_rest, d->n_rest);
    double together = 0, spread = 0;
    for (size_t i = 0; i < d->n; i++) {
        together += (d->human[i] - human) * (d->judge[i] - judge);
        spread += (d->judge[i] - judge) * (d->judge[i] - judge);
    }
    together /= (double)(d->n - 1);
    for (size_t i = 0; i < d->n_rest; i++) spread += (d->judge_rest[i] - rest) * (d->judge_rest[i] - rest);
    double degrees = (double)(d->n - 1) + (double)(d->n_rest - 1);
    if (!(spread > 0) || degrees <= 0) return 0;
    double w = together / (spread / degrees * (1 + (double)d->n / (double)d->n_rest));
    return fmin(1, fmax(0, w));
}

/* The t interval around out->mean.value from the two parts; see the header for errors that are all equal. */
static void set_interval(const hn_clustered_mean *errors, const hn_clustered_mean *rest, double w, size_t n,
                         const hn_ppi_options *o, hn_ppi_estimate *out) {
    double a = errors->se_cr1 * errors->se_cr1, b = w > 0 ? w * w * rest->se_cr1 * rest->se_cr1 : 0;
    if (isnan(a) || isnan(b)) return;
    double half = 0;
    if (a + b > 0) {
        double df_a = (double)errors->n_groups - 1, df_b = w > 0 ? (double)rest->n_groups - 1 : 1;
        double degrees = (a + b) * (a + b) / (a * a / df_a + b * b / df_b);
        half = sqrt(a + b) * hn_t_quantile(1 - o->alpha / 2, degrees);
    }
    if (a <= 0) half += (1 - pow(o->alpha, 1 / (double)errors->n_groups)) * o->error_range;
    out->mean.low = out->mean.value - half;
    out->mean.high = out->mean.value + half;
    double alone = (out->human_only.high - out->human_only.low) / 2;
    double one = alone / hn_t_quantile(1 - o->alpha / 2, (double)errors->n_groups - 1);
    out->worth = a + b > 0 && one > 0 ? (double)n * one * one / (a + b) : (double)n;
}

static hn_status measure(const hn_ppi_data *d, const hn_ppi_options *o, double *errors_of, hn_ppi_estimate *out,
                         hn_error *err) {
    hn_clustered_mean human, errors, rest = {.mean = 0, .se_cr1 = NAN};
    double w = d->n_rest == 0 ? 0 : o->plain ? 1 : best_weight(d);
    for (size_t i = 0; i < d->n; i++) errors_of[i] = d->human[i] - w * d->judge[i];
    HN_TRY(hn_interval_clustered_mean(d->human, d->group, d->n, o->alpha, &human, err));
    HN_TRY(hn_interval_clustered_mean(errors_of, d->group, d->n, o->alpha, &errors, err));
    if (d->n_rest) HN_TRY(hn_interval_clustered_mean(d->judge_rest, d->group_rest, d->n_rest, o->alpha, &rest, err));
    out->human_only = (hn_estimate){human.mean, human.interval.low, human.interval.high};
    double judged = mean(d->judge, d->n) * (double)d->n;
    if (d->n_rest) judged += mean(d->judge_rest, d->n_rest) * (double)d->n_rest;
    out->judge_only = judged / ((double)d->n + (double)d->n_rest);
    out->weight = w;
    out->mean.value = errors.mean + w * rest.mean;
    set_interval(&errors, &rest, w, d->n, o, out);
    return HN_OK;
}

hn_status hn_ppi_mean(const hn_ppi_data *data, const hn_ppi_options *options, hn_ppi_estimate *out, hn_error *err) {
    hn_ppi_options o = options ? *options : (hn_ppi_options){0};
    if (o.alpha == 0) o.alpha = 0.05;
    if (o.error_range == 0) o.error_range = 2;
    *out = (hn_ppi_estimate){nothing, nothing, NAN, NAN, NAN};
    if (data->n == 0) return HN_OK;
    HN_TRY(check_finite(data->human, data->n, "human labels", err));
    HN_TRY(check_finite(data->judge, data->n, "judge labels", err));
    HN_TRY(check_finite(data->judge_rest, data->n_rest, "judge labels of the rest", err));
    double *errors_of = hn_calloc(data->n, sizeof *errors_of);
    if (!errors_of) return hn_fail_memory(err, data->n * sizeof *errors_of);
    hn_status st = measure(data, &o, errors_of, out, err);
    hn_free(errors_of);
    return st;
}

hn_status hn_ppi_difference(const hn_ppi_data *a, const hn_ppi_data *b, const hn_ppi_options *options,
                            hn_ppi_estimate *out, hn_error *err) {
    hn_ppi_options o = options ? *options : (hn_ppi_options){0};
    if (o.error_range == 0) o.error_range = 4;
    *out = (hn_ppi_estimate){nothing, nothing, NAN, NAN, NAN};
    if (a->n != b->n || a->n_rest != b->n_rest)
        return hn_fail(err, HN_ERR_USAGE, "prediction-powered difference", "give both on the same cases",
                       "A has %zu and %zu cases, B %zu and %zu", a->n, a->n_rest, b->n, b->n_rest);
    size_t total, n = a->n, n_rest = a->n_rest;
    if (!hn_mul_size(n, 2, &total) || !hn_add_size(total, n_rest, &total)) return hn_fail_memory(err, SIZE_MAX);
    if (n == 0) return HN_OK;
    double *d = hn_calloc(total, sizeof *d);
    if (!d) return hn_fail_memory(err, total * sizeof *d);
    for (size_t i = 0; i < n; i++) {
        d[i] = b->human[i] - a->human[i];
        d[n + i] = b->judge[i] - a->judge[i];
    }
    for (size_t i = 0; i < n_rest; i++) d[2 * n + i] = b->judge_rest[i] - a->judge_rest[i];
    hn_ppi_data differences = {d, d + n, d + 2 * n, n, n_rest, a->group, a->group_rest};
    hn_status st = hn_ppi_mean(&differences, &o, out, err);
    hn_free(d);
    return st;
}
