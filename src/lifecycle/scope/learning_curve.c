/* Learning curves; see learning_curve.h. For a given exponent the law is linear in floor and scale, so only the exponent is searched: a grid,
 * then golden sections around its best. */
#include "lifecycle/scope/learning_curve.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "stats/groups.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double EXPONENT_LOW = 0.05, EXPONENT_HIGH = 2.0, EXPONENT_STEP = 0.05;

size_t hn_curve_sizes(size_t n, size_t n_labels, size_t sizes[HN_CURVE_SIZES]) {
    size_t least = 2 * n_labels > 10 ? 2 * n_labels : 10, count = 0, found[HN_CURVE_SIZES];
    for (size_t size = n; size >= least && count < HN_CURVE_SIZES; size = (size + 1) / 2) {
        found[count++] = size;
        if (size == 1) break;
    }
    for (size_t i = 0; i < count; i++) sizes[i] = found[count - 1 - i];
    return count;
}

/* ---- subsets ---- */

typedef struct placed {
    double key; /* when the case's turn comes, 0 to 1 */
    uint32_t item;
} placed;

static int by_key(const void *a, const void *b) {
    const placed *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return (x->item > y->item) - (x->item < y->item);
}

/* Each label's cases, shuffled, take their turns evenly over [0, 1), each within its own slot. */
hn_status hn_curve_order(const int32_t *labels, size_t n, size_t n_labels, uint64_t seed, uint32_t *order,
                         hn_error *err) {
    placed *turns = hn_calloc(n, sizeof *turns);
    uint32_t *of_label = hn_calloc(n, sizeof *of_label);
    if (!turns || !of_label) {
        hn_free(turns);
        hn_free(of_label);
        return hn_fail_memory(err, n * sizeof *turns);
    }
    size_t at = 0;
    for (size_t l = 0; l < n_labels; l++) {
        size_t count = 0;
        hn_rng rng;
        for (size_t i = 0; i < n; i++)
            if (labels[i] == (int32_t)l) of_label[count++] = (uint32_t)i;
        hn_rng_seed(&rng, seed, l + 1);
        hn_rng_shuffle_u32(&rng, of_label, count);
        for (size_t i = 0; i < count; i++)
            turns[at++] = (placed){((double)i + hn_rng_uniform(&rng)) / (double)count, of_label[i]};
    }
    qsort(turns, at, sizeof *turns, by_key);
    for (size_t i = 0; i < at; i++) order[i] = turns[i].item;
    hn_free(turns);
    hn_free(of_label);
    return HN_OK;
}

/* ---- the law ---- */

double hn_power_law_at(hn_power_law law, double n) { return law.floor + law.scale * pow(n, -law.exponent); }

/* The best floor and scale for an exponent, neither below 0; the weighted sum of squares left goes to *left. */
static hn_power_law fit_linear(const double *sizes, const double *errors, const double *weights, size_t n,
                               double exponent, double *left) {
    double sw = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
    for (size_t i = 0; i < n; i++) {
        double w = weights ? weights[i] : 1, x = pow(sizes[i], -exponent);
        sw += w, sx += w * x, sy += w * errors[i], sxx += w * x * x, sxy += w * x * errors[i];
    }
    double spread = sw * sxx - sx * sx;
    hn_power_law law = {.exponent = exponent};
    law.scale = spread > 0 ? (sw * sxy - sx * sy) / spread : 0;
    law.floor = sw > 0 ? (sy - law.scale * sx) / sw : 0;
    if (law.floor < 0) law.floor = 0, law.scale = sxx > 0 ? sxy / sxx : 0;
    if (law.scale < 0) law.scale = 0, law.floor = sw > 0 ? sy / sw : 0;
    *left = 0;
    for (size_t i = 0; i < n; i++) {
        double off = errors[i] - hn_power_law_at(law, sizes[i]);
        *left += (weights ? weights[i] : 1) * off * off;
    }
    return law;
}

hn_power_law hn_power_law_fit(const double *sizes, const double *errors, const double *weights, size_t n) {
    double best = INFINITY, left, at = EXPONENT_LOW;
    for (double c = EXPONENT_LOW; c <= EXPONENT_HIGH + 1e-9; c += EXPONENT_STEP) {
        fit_linear(sizes, errors, weights, n, c, &left);
        if (left < best) best = left, at = c;
    }
    double low = fmax(at - EXPONENT_STEP, EXPONENT_LOW), high = fmin(at + EXPONENT_STEP, EXPONENT_HIGH);
    const double golden = 0.6180339887498949;
    for (int i = 0; i < 40; i++) {
        double a = high - golden * (high - low), b = low + golden * (high - low), left_a, left_b;
        fit_linear(sizes, errors, weights, n, a, &left_a);
        fit_linear(sizes, errors, weights, n, b, &left_b);
        if (left_a <= left_b)
            high = b;
        else
            low = a;
    }
    return fit_linear(sizes, errors, weights, n, (low + high) / 2, &left);
}

/* Labels at which the law reaches `error`; inf: its floor lies above. */
static double labels_for(hn_power_law law, double error) {
    if (law.floor + 1e-12 >= error && !(law.scale == 0 && law.floor <= error)) return INFINITY;
    if (law.scale == 0) return 0;
    return pow(law.scale / (error - law.floor), 1 / law.exponent);
}

/* ---- the curve of what was measured ---- */

/* Rows [start[s], start[s + 1]) are the draws of size s. */
typedef struct rows_by_size {
    size_t start[HN_CURVE_SIZES + 1], n;
    double sizes[HN_CURVE_SIZES], weights[HN_CURVE_SIZES];
} rows_by_size;

static hn_status sort_rows(const hn_curve_measured *m, rows_by_size *s, hn_error *err) {
    *s = (rows_by_size){0};
    if (m->n_rows == 0 || m->n_cases == 0)
        return hn_fail(err, HN_ERR_INPUT, "learning curve", NULL, "%zu rows of %zu cases", m->n_rows, m->n_cases);
    for (size_t r = 0; r < m->n_rows; r++) {
        if (r > 0 && m->sizes[r] == m->sizes[r - 1]) continue;
        if (s->n == HN_CURVE_SIZES || (r > 0 && m->sizes[r] < m->sizes[r - 1]))
            return hn_fail(err, HN_ERR_INPUT, "learning curve", NULL, "sizes must rise, at most %d of them",
                           HN_CURVE_SIZES);
        s->sizes[s->n] = (double)m->sizes[r];
        s->start[s->n++] = r;
    }
    s->start[s->n] = m->n_rows;
    for (size_t i = 0; i < s->n; i++) s->weights[i] = s->sizes[i] * s->sizes[i];
    return HN_OK;
}

/* What one resample draws: how often each case, and which rows for each size. */
typedef struct resample {
    uint32_t *times; /* (n_cases) */
    double n;        /* cases drawn */
    double *errors;  /* (n_rows) error of each row on the drawn cases */
} resample;

static void measure_rows(const hn_curve_measured *m, resample *r) {
    for (size_t row = 0; row < m->n_rows; row++) {
        const unsigned char *right = m->right + row * m->n_cases;
        uint64_t wrong = 0;
        for (size_t i = 0; i < m->n_cases; i++) wrong += right[i] ? 0 : r->times[i];
        r->errors[row] = (double)wrong / r->n;
    }
}

/* Mean errors by size; `rng` NULL: of all draws, else of as many drawn with replacement. */
static void mean_errors(const rows_by_size *s, const resample *r, hn_rng *rng, double errors[HN_CURVE_SIZES]) {
    for (size_t i = 0; i < s->n; i++) {
        size_t n = s->start[i + 1] - s->start[i];
        errors[i] = 0;
        for (size_t k = 0; k < n; k++)
            errors[i] += r->errors[s->start[i] + (rng ? hn_rng_below(rng, n) : k)] / (double)n;
    }
}

static void draw_cases(const hn_groups *g, hn_rng *rng, resample *r) {
    memset(r->times, 0, g->n * sizeof *r->times);
    r->n = 0;
    for (size_t i = 0; i < g->n_groups; i++) {
        size_t k = hn_rng_below(rng, g->n_groups);
        for (uint32_t c = g->start[k]; c < g->start[k + 1]; c++) r->times[g->cases[c]]++, r->n++;
    }
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static hn_interval quantiles(double *values, size_t n) {
    qsort(values, n, sizeof *values, by_value);
    size_t low = (size_t)(0.025 * (double)n), high = (size_t)(0.975 * (double)n);
    return (hn_interval){values[low], values[high < n ? high : n - 1]};
}

/* Columns of the bootstrap: gain, labels for the target, and the accuracy at each size. */
enum { GAIN, LABELS, ACCURACY, COLUMNS = ACCURACY + HN_CURVE_SIZES };

static double gain_of(hn_power_law law, double n, double more) {
    return hn_power_law_at(law, n) - hn_power_law_at(law, n + more);
}

static void run_bootstrap(const hn_curve_measured *m, const rows_by_size *s, const hn_groups *groups,
                          const hn_curve_options *o, size_t n_resamples, resample *r, double *columns, hn_curve *out) {
    double largest = s->sizes[s->n - 1], errors[HN_CURVE_SIZES];
    hn_rng rng;
    hn_rng_seed(&rng, o->seed, 0);
    for (size_t b = 0; b < n_resamples; b++) {
        draw_cases(groups, &rng, r);
        measure_rows(m, r);
        mean_errors(s, r, &rng, errors);
        /* From which size on the law holds is not known either: each resample leaves out some of the small ones. */
        size_t from = s->n > 3 ? hn_rng_below(&rng, s->n - 2) : 0;
        hn_power_law law = hn_power_law_fit(s->sizes + from, errors + from, s->weights + from, s->n - from);
        columns[GAIN * n_resamples + b] = gain_of(law, largest, (double)out->n_more);
        columns[LABELS * n_resamples + b] = isfinite(o->target) ? labels_for(law, 1 - o->target) : (double)NAN;
        for (size_t i = 0; i < s->n; i++) columns[(ACCURACY + i) * n_resamples + b] = 1 - errors[i];
    }
    hn_interval gain = quantiles(columns + GAIN * n_resamples, n_resamples);
    out->gain.low = gain.low, out->gain.high = gain.high;
    if (isfinite(o->target)) out->labels_interval = quantiles(columns + LABELS * n_resamples, n_resamples);
    for (size_t i = 0; i < s->n; i++) {
        hn_interval at = quantiles(columns + (ACCURACY + i) * n_resamples, n_resamples);
        out->points[i].low = at.low, out->points[i].high = at.high;
    }
}

static void fit_all(const hn_curve_measured *m, const rows_by_size *s, const hn_curve_options *o, resample *r,
                    hn_curve *out) {
    double errors[HN_CURVE_SIZES];
    for (size_t i = 0; i < m->n_cases; i++) r->times[i] = 1;
    r->n = (double)m->n_cases;
    measure_rows(m, r);
    mean_errors(s, r, NULL, errors);
    out->n_points = s->n;
    out->n_more = HN_CURVE_MORE;
    for (size_t i = 0; i < s->n; i++)
        out->points[i] = (hn_curve_point){
            .n = (size_t)s->sizes[i], .n_draws = s->start[i + 1] - s->start[i], .accuracy = 1 - errors[i]};
    out->law = hn_power_law_fit(s->sizes, errors, s->weights, s->n);
    out->gain.value = gain_of(out->law, s->sizes[s->n - 1], (double)out->n_more);
    out->labels_for_target = isfinite(o->target) ? labels_for(out->law, 1 - o->target) : (double)NAN;
    out->labels_interval = (hn_interval){NAN, NAN};
}

hn_status hn_curve_build(const hn_curve_measured *m, const hn_curve_options *options, hn_curve *out, hn_error *err) {
    rows_by_size s;
    hn_groups groups;
    *out = (hn_curve){0};
    size_t n_resamples = options->n_resamples ? options->n_resamples : 500;
    HN_TRY(sort_rows(m, &s, err));
    HN_TRY(hn_groups_build(m->groups, m->n_cases, &groups, err));
    resample r = {.times = hn_calloc(m->n_cases, sizeof *r.times), .errors = hn_calloc(m->n_rows, sizeof *r.errors)};
    double *columns = hn_calloc(n_resamples, COLUMNS * sizeof *columns);
    bool room = r.times && r.errors && columns;
    if (room) {
        fit_all(m, &s, options, &r, out);
        run_bootstrap(m, &s, &groups, options, n_resamples, &r, columns, out);
    }
    hn_free(r.times);
    hn_free(r.errors);
    hn_free(columns);
    hn_groups_free(&groups);
    return room ? HN_OK : hn_fail_memory(err, n_resamples * COLUMNS * sizeof *columns);
}
