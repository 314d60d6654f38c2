/* The bootstrap; see interval.h. Whole groups are drawn, so cases of one group never look like independent evidence.
 * Surprise: a resample may hold more or fewer cases than the run where groups differ in size. */
#include "stats/interval.h"

#include "base/alloc.h"
#include "base/interrupt.h"
#include "base/rng.h"
#include "stats/distribution.h"
#include "stats/groups.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { ACCELERATION_MAX = 20000 };

typedef struct resampler {
    hn_statistic_fn statistic;
    void *user;
    hn_groups groups;
    uint32_t *cases; /* the cases of one resample */
    size_t capacity;
    double *values; /* n_resamples, later sorted; the jackknife's n_groups share it */
} resampler;

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Appends group g's cases at *n. False when memory is used up. */
static bool take_group(resampler *r, size_t g, size_t *n) {
    uint32_t size = r->groups.start[g + 1] - r->groups.start[g];
    if (!hn_grow((void **)&r->cases, &r->capacity, *n + size, sizeof *r->cases)) return false;
    memcpy(r->cases + *n, r->groups.cases + r->groups.start[g], size * sizeof *r->cases);
    *n += size;
    return true;
}

static hn_status draw_values(resampler *r, uint32_t n_resamples, uint64_t seed, size_t *n_values, hn_error *err) {
    hn_rng rng;
    hn_rng_seed(&rng, seed, 0xB007);
    *n_values = 0;
    for (uint32_t i = 0; i < n_resamples; i++) {
        size_t n = 0;
        if (hn_interrupted()) return hn_interrupt_check(err);
        for (size_t k = 0; k < r->groups.n_groups; k++)
            if (!take_group(r, (size_t)hn_rng_below(&rng, r->groups.n_groups), &n))
                return hn_fail_memory(err, n * sizeof *r->cases);
        double value = r->statistic(r->cases, n, r->user);
        if (!isnan(value)) r->values[(*n_values)++] = value;
    }
    return HN_OK;
}

/* The acceleration: a sixth of the skewness of the statistic with one group left out (Efron 1987, 7.3). Uses room for
 * n_groups doubles. */
static hn_status find_acceleration(resampler *r, double *left_out, double *acceleration, hn_error *err) {
    size_t n_groups = r->groups.n_groups, n_used = 0;
    double mean = 0, squares = 0, cubes = 0;
    *acceleration = 0;
    if (n_groups < 2) return HN_OK;
    for (size_t g = 0; g < n_groups; g++) {
        size_t n = 0;
        for (size_t k = 0; k < n_groups; k++)
            if (k != g && !take_group(r, k, &n)) return hn_fail_memory(err, n * sizeof *r->cases);
        double value = r->statistic(r->cases, n, r->user);
        if (isnan(value)) continue;
        left_out[n_used++] = value;
        mean += value;
    }
    mean /= n_used ? (double)n_used : 1;
    for (size_t i = 0; i < n_used; i++) {
        double d = mean - left_out[i];
        squares += d * d;
        cubes += d * d * d;
    }
    if (squares > 0) *acceleration = cubes / (6 * squares * sqrt(squares));
    return HN_OK;
}

/* The sorted values' quantile by linear interpolation. */
static double quantile(const double *sorted, size_t n, double p) {
    double at = p * (double)(n - 1);
    size_t i = (size_t)at;
    return i + 1 < n ? sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}

/* Where BCa puts the quantile that the plain percentile method puts at p; z0: the bias correction. */
static double shifted(double p, double z0, double acceleration) {
    double z = z0 + hn_normal_quantile(p), shrink = 1 - acceleration * z;
    if (shrink <= 0) return z < 0 ? 0 : 1; /* past the pole of the correction: the extreme resample */
    return hn_normal_cdf(z0 + z / shrink);
}

static void find_limits(const double *sorted, size_t n, double alpha, hn_bootstrap_method method, double acceleration,
                        hn_estimate *out) {
    double low = alpha / 2, high = 1 - alpha / 2;
    if (method == HN_BOOTSTRAP_BCA) {
        size_t below = 0, equal = 0;
        for (size_t i = 0; i < n; i++) below += sorted[i] < out->value, equal += sorted[i] == out->value;
        double share = ((double)below + (double)equal / 2) / (double)n;
        if (share > 0 &&
            share < 1) { /* otherwise the value is beyond all resamples: the percentiles are what there is */
            double z0 = hn_normal_quantile(share);
            low = shifted(low, z0, acceleration);
            high = shifted(high, z0, acceleration);
        }
    }
    out->low = quantile(sorted, n, low);
    out->high = quantile(sorted, n, high);
}

hn_status hn_bootstrap(hn_statistic_fn statistic, void *user, size_t n, const uint32_t *group,
                       const hn_bootstrap_options *options, hn_estimate *out, hn_error *err) {
    hn_bootstrap_options o = options ? *options : (hn_bootstrap_options){0};
    if (o.n_resamples == 0) o.n_resamples = 2000;
    if (o.alpha == 0) o.alpha = 0.05;
    *out = (hn_estimate){NAN, NAN, NAN};
    if (n == 0) return HN_OK;
    resampler r = {.statistic = statistic, .user = user};
    double *left_out = NULL, acceleration = 0;
    size_t n_values, n_taken = 0;
    hn_status st = hn_groups_build(group, n, &r.groups, err);
    if (st != HN_OK) return st;
    r.values = hn_calloc(o.n_resamples, sizeof *r.values);
    left_out = hn_calloc(r.groups.n_groups, sizeof *left_out);
    if (!r.values || !left_out) {
        st = hn_fail_memory(err, (o.n_resamples + n) * sizeof *r.values);
        goto done;
    }
    for (size_t g = 0; g < r.groups.n_groups; g++)
        if (!take_group(&r, g, &n_taken)) {
            st = hn_fail_memory(err, n * sizeof *r.cases);
            goto done;
        }
    out->value = statistic(r.cases, n_taken, user);
    HN_GOTO(draw_values(&r, o.n_resamples, o.seed, &n_values, err), done);
    if (isnan(out->value) || n_values * 2 < o.n_resamples) goto done;
    /* It shrinks with the root of the number of groups, while its price grows with the square: of many it is left out. */
    if (o.method == HN_BOOTSTRAP_BCA && r.groups.n_groups <= ACCELERATION_MAX)
        HN_GOTO(find_acceleration(&r, left_out, &acceleration, err), done);
    qsort(r.values, n_values, sizeof *r.values, by_value);
    find_limits(r.values, n_values, o.alpha, o.method, acceleration, out);
done:
    hn_free(left_out);
    hn_free(r.values);
    hn_free(r.cases);
    hn_groups_free(&r.groups);
    return st;
}
