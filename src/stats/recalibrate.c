/* Temperature and isotonic regression; see recalibrate.h. */
#include "stats/recalibrate.h"

#include "base/alloc.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The loss at beta = scale/T with its first two derivatives in beta: the mean of ln(sum exp(beta z)) - beta z_truth, of
 * E[z] - z_truth, of Var[z], z being score / scale. Everything is relative to the largest score of the case, so nothing
 * overflows. */
typedef struct slope {
    double loss, first, second;
} slope;

static slope slope_at(const double *z, const int32_t *truth, size_t n, size_t n_classes, double scale, double beta) {
    slope s = {0, 0, 0};
    for (size_t i = 0; i < n; i++) {
        const double *row = z + i * n_classes;
        double top = -INFINITY, total = 0, mean = 0, squares = 0;
        for (size_t k = 0; k < n_classes; k++) top = fmax(top, row[k]);
        for (size_t k = 0; k < n_classes; k++) {
            if (row[k] == -INFINITY) continue; /* 0 * inf at beta = 0 */
            double d = (row[k] - top) / scale, p = exp(beta * d);
            total += p;
            mean += p * d;
            squares += p * d * d;
        }
        mean /= total;
        double own = (row[truth[i]] - top) / scale;
        s.loss += log(total) - beta * own;
        s.first += mean - own;
        s.second += squares / total - mean * mean;
    }
    return (slope){s.loss / (double)n, s.first / (double)n, s.second / (double)n};
}

/* Whether there is anything to fit; *scale: the mean distance from a case's largest to its smallest score. */
static int fittable(const double *z, const int32_t *truth, size_t n, size_t n_classes, double *scale) {
    *scale = 0;
    for (size_t i = 0; i < n; i++) {
        const double *row = z + i * n_classes;
        double top = -INFINITY, low = INFINITY;
        if (truth[i] < 0 || (size_t)truth[i] >= n_classes || row[truth[i]] == -INFINITY) return 0;
        for (size_t k = 0; k < n_classes; k++) {
            if (isnan(row[k]) || row[k] == INFINITY) return 0;
            if (row[k] == -INFINITY) continue;
            top = fmax(top, row[k]);
            low = fmin(low, row[k]);
        }
        *scale += (top - low) / (double)n;
    }
    return n > 0 && *scale < INFINITY;
}

/* Every truth has its case's largest score: the loss falls for ever as T goes to 0. */
static int all_first(const double *z, const int32_t *truth, size_t n, size_t n_classes) {
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n_classes; k++)
            if (z[i * n_classes + k] > z[i * n_classes + (size_t)truth[i]]) return 0;
    return 1;
}

hn_temperature hn_temperature_fit(const double *log_scores, const int32_t *truth, size_t n, size_t n_classes) {
    hn_temperature t = {NAN, NAN, NAN};
    double scale;
    if (!fittable(log_scores, truth, n, n_classes, &scale)) return t;
    bool level = scale == 0; /* every T is as good */
    if (level) scale = 1;
    t.loss_before = slope_at(log_scores, truth, n, n_classes, scale, scale).loss;
    if (level || all_first(log_scores, truth, n, n_classes)) return t;
    if (slope_at(log_scores, truth, n, n_classes, scale, 0).first >= -1e-13) return t;
    /* first(low) < 0 < first(high): Newton's steps, or the middle where one leaves the bracket. */
    double low = 0, high = 1, beta = 1;
    slope s = {0, 0, 0};
    while (slope_at(log_scores, truth, n, n_classes, scale, high).first < 0) {
        low = high;
        high *= 2;
        if (high > 1e15) return t;
    }
    beta = low > 0 ? low : high;
    for (int step = 0; step < 200; step++) {
        s = slope_at(log_scores, truth, n, n_classes, scale, beta);
        if (s.first == 0 || high - low <= 1e-15 * high) break;
        if (s.first < 0)
            low = beta;
        else
            high = beta;
        double next = s.second > 0 ? beta - s.first / s.second : -1;
        if (!(next > low && next < high)) next = low + (high - low) / 2;
        if (fabs(next - beta) <= 1e-15 * beta) break;
        beta = next;
    }
    if (!(beta > 0)) return t;
    t.temperature = scale / beta;
    t.loss_after = s.loss;
    return t;
}

void hn_temperature_apply(const double *log_scores, size_t n_classes, double temperature, double *probabilities) {
    double top = -INFINITY, total = 0;
    for (size_t k = 0; k < n_classes; k++) top = fmax(top, log_scores[k]);
    for (size_t k = 0; k < n_classes; k++) total += probabilities[k] = exp((log_scores[k] - top) / temperature);
    for (size_t k = 0; k < n_classes; k++) probabilities[k] /= total;
}

typedef struct point {
    double x, y, weight;
    size_t index; /* so that equal x add up in the same order everywhere */
} point;

static int by_x(const void *a, const void *b) {
    const point *p = a, *q = b;
    if (p->x != q->x) return p->x < q->x ? -1 : 1;
    return p->index < q->index ? -1 : 1;
}

/* Reads, sorts and merges; returns how many different x there are through *n_points. */
static hn_status take_points(const double *x, const double *y, const double *weights, size_t n, point *points,
                             size_t *n_points, hn_error *err) {
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        double weight = weights ? weights[i] : 1;
        if (!isfinite(x[i]) || !isfinite(y[i]) || !isfinite(weight) || weight < 0)
            return hn_fail(err, HN_ERR_INPUT, "isotonic regression", "leave the case out",
                           "case %zu has x = %g, y = %g, weight = %g: all must be finite, the weight 0 or more", i,
                           x[i], y[i], weight);
        if (weight > 0) points[used++] = (point){x[i], y[i], weight, i};
    }
    qsort(points, used, sizeof *points, by_x);
    *n_points = 0;
    for (size_t i = 0, end; i < used; i = end) {
        double weight = 0, sum = 0;
        for (end = i; end < used && points[end].x == points[i].x; end++) {
            weight += points[end].weight;
            sum += points[end].weight * points[end].y;
        }
        points[(*n_points)++] = (point){points[i].x, sum / weight, weight, i};
    }
    return HN_OK;
}

/* Pools adjacent violators in place: blocks[b] gets the pooled mean and weight, ends[b] the first point after it. */
static size_t pool(const point *points, size_t n, point *blocks, size_t *ends) {
    size_t n_blocks = 0;
    for (size_t i = 0; i < n; i++) {
        blocks[n_blocks] = points[i];
        ends[n_blocks++] = i + 1;
        while (n_blocks > 1 && blocks[n_blocks - 2].y >= blocks[n_blocks - 1].y) {
            point *a = &blocks[n_blocks - 2], *b = &blocks[n_blocks - 1];
            double weight = a->weight + b->weight;
            a->y = (a->y * a->weight + b->y * b->weight) / weight;
            a->weight = weight;
            ends[n_blocks - 2] = ends[n_blocks - 1];
            n_blocks--;
        }
    }
    return n_blocks;
}

hn_status hn_isotonic_fit(const double *x, const double *y, const double *weights, size_t n, hn_isotonic *out,
                          hn_error *err) {
    memset(out, 0, sizeof *out);
    if (n == 0) return HN_OK;
    hn_status st = HN_OK;
    size_t n_points = 0;
    point *points = hn_calloc(n, sizeof *points), *blocks = hn_calloc(n, sizeof *blocks);
    size_t *ends = hn_calloc(n, sizeof *ends);
    if (!points || !blocks || !ends) {
        st = hn_fail_memory(err, n * sizeof *points);
        goto done;
    }
    HN_GOTO(take_points(x, y, weights, n, points, &n_points, err), done);
    out->x = hn_calloc(n_points + 1, sizeof *out->x);
    out->y = hn_calloc(n_points + 1, sizeof *out->y);
    if (!out->x || !out->y) {
        hn_isotonic_free(out);
        st = hn_fail_memory(err, n_points * sizeof *out->x);
        goto done;
    }
    size_t n_blocks = pool(points, n_points, blocks, ends);
    for (size_t b = 0, from = 0; b < n_blocks; from = ends[b++]) {
        out->x[out->n_knots] = points[from].x;
        out->y[out->n_knots++] = blocks[b].y;
        if (ends[b] - from == 1) continue;
        out->x[out->n_knots] = points[ends[b] - 1].x;
        out->y[out->n_knots++] = blocks[b].y;
    }
done:
    hn_free(points);
    hn_free(blocks);
    hn_free(ends);
    return st;
}

double hn_isotonic_at(const hn_isotonic *curve, double x) {
    size_t n = curve->n_knots;
    if (n == 0 || isnan(x)) return NAN;
    if (x <= curve->x[0]) return curve->y[0];
    if (x >= curve->x[n - 1]) return curve->y[n - 1];
    size_t low = 0, high = n - 1; /* x[low] < x <= x[high] */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (curve->x[middle] < x)
            low = middle;
        else
            high = middle;
    }
    double share = (x - curve->x[low]) / (curve->x[high] - curve->x[low]);
    return curve->y[low] + share * (curve->y[high] - curve->y[low]);
}

void hn_isotonic_free(hn_isotonic *curve) {
    hn_free(curve->x);
    hn_free(curve->y);
    memset(curve, 0, sizeof *curve);
}
