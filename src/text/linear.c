/* The linear classifier; see linear.h for the method and its source.
 * Weights are kept feature by feature with the classes side by side, so that scoring a row walks memory in pieces of
 * n_classes. */
#include "text/linear.h"

#include "base/alloc.h"
#include "base/interrupt.h"
#include "base/rng.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

struct hn_linear {
    size_t n_classes, n_features;
    float *weights; /* (n_features + 1, n_classes); the last row is the bias */
    bool *seen;     /* (n_classes) whether the class had an example */
};

/* One class's dual problem; the arrays are reused from class to class. */
typedef struct solver {
    const hn_sparse *rows;
    hn_linear_options options;
    double diagonal;   /* 1 / (2 C), what the squared hinge adds to Q's diagonal */
    double *weights;   /* (n_features + 1) */
    double *alpha;     /* (n_rows) */
    double *curvature; /* (n_rows) Q_ii = x.x + 1 + diagonal */
    signed char *sign; /* (n_rows) y */
    uint32_t *order;   /* (n_rows) the first n_active are visited */
} solver;

void hn_linear_free(hn_linear *model) {
    if (!model) return;
    hn_free(model->weights);
    hn_free(model->seen);
    hn_free(model);
}

size_t hn_linear_bytes(const hn_linear *model) {
    return sizeof *model + model->n_classes * ((model->n_features + 1) * sizeof *model->weights + sizeof *model->seen);
}

static double dot_row(const hn_sparse *rows, size_t r, const double *weights) {
    double sum = weights[rows->n_columns];
    for (size_t i = rows->start[r]; i < rows->start[r + 1]; i++) sum += weights[rows->index[i]] * rows->value[i];
    return sum;
}

static void add_row(const hn_sparse *rows, size_t r, double factor, double *weights) {
    weights[rows->n_columns] += factor;
    for (size_t i = rows->start[r]; i < rows->start[r + 1]; i++) weights[rows->index[i]] += factor * rows->value[i];
}

/* One pass over the active examples. *most and *least: the largest and smallest projected gradient met; examples whose
 * alpha is 0 and whose gradient is above `shrink_above` leave the active set. */
static size_t run_pass(solver *s, hn_rng *rng, size_t n_active, double shrink_above, double *most, double *least) {
    *most = -INFINITY;
    *least = INFINITY;
    hn_rng_shuffle_u32(rng, s->order, n_active);
    for (size_t at = 0; at < n_active;) {
        uint32_t r = s->order[at];
        double gradient = s->sign[r] * dot_row(s->rows, r, s->weights) - 1 + s->alpha[r] * s->diagonal,
               projected = gradient;
        if (s->alpha[r] == 0) {
            if (gradient > shrink_above) {
                s->order[at] = s->order[--n_active];
                s->order[n_active] = r;
                continue;
            }
            if (gradient > 0) projected = 0;
        }
        if (projected > *most) *most = projected;
        if (projected < *least) *least = projected;
        if (fabs(projected) > 1e-12) {
            double before = s->alpha[r];
            s->alpha[r] = fmax(before - gradient / s->curvature[r], 0);
            add_row(s->rows, r, (s->alpha[r] - before) * s->sign[r], s->weights);
        }
        at++;
    }
    return n_active;
}

/* Passes until the projected gradients agree to the tolerance on the full set. */
static void solve(solver *s, uint64_t stream) {
    size_t n = s->rows->n_rows, n_active = n;
    double shrink_above = INFINITY, most, least;
    hn_rng rng;
    hn_rng_seed(&rng, s->options.seed, stream);
    memset(s->weights, 0, (s->rows->n_columns + 1) * sizeof *s->weights);
    memset(s->alpha, 0, n * sizeof *s->alpha);
    for (size_t i = 0; i < n; i++) s->order[i] = (uint32_t)i;
    for (uint32_t pass = 0; pass < s->options.n_passes && !hn_interrupted(); pass++) {
        n_active = run_pass(s, &rng, n_active, shrink_above, &most, &least);
        if (n_active == 0 || most - least <= s->options.tolerance) {
            if (n_active == n) break;
            n_active = n; /* solved on the active set: once more with all */
            shrink_above = INFINITY;
            continue;
        }
        shrink_above = most > 0 ? most : INFINITY;
    }
}

static void free_solver(solver *s) {
    hn_free(s->weights);
    hn_free(s->alpha);
    hn_free(s->curvature);
    hn_free(s->sign);
    hn_free(s->order);
}

static hn_status make_solver(const hn_sparse *rows, const hn_linear_options *o, solver *s, hn_error *err) {
    size_t n = rows->n_rows;
    *s = (solver){.rows = rows, .options = *o, .diagonal = 0.5 / o->c};
    s->weights = hn_calloc(rows->n_columns + 1, sizeof *s->weights);
    s->alpha = hn_calloc(n, sizeof *s->alpha);
    s->curvature = hn_calloc(n, sizeof *s->curvature);
    s->sign = hn_calloc(n, sizeof *s->sign);
    s->order = hn_calloc(n, sizeof *s->order);
    if (!s->weights || !s->alpha || !s->curvature || !s->sign || !s->order) {
        free_solver(s);
        return hn_fail_memory(err, (rows->n_columns + 1 + 3 * n) * sizeof(double));
    }
    for (size_t r = 0; r < n; r++) {
        s->curvature[r] = 1 + s->diagonal;
        for (size_t i = rows->start[r]; i < rows->start[r + 1]; i++)
            s->curvature[r] += (double)rows->value[i] * rows->value[i];
    }
    return HN_OK;
}

static hn_status make_model(const hn_sparse *rows, const int32_t *labels, size_t n_classes, hn_linear **out,
                            hn_error *err) {
    size_t n_weights;
    if (rows->n_rows == 0 || n_classes == 0)
        return hn_fail(err, HN_ERR_INPUT, NULL, "give labelled examples", "%zu examples of %zu classes", rows->n_rows,
                       n_classes);
    if (rows->n_rows > INT32_MAX || !hn_mul_size(rows->n_columns + 1, n_classes, &n_weights))
        return hn_fail(err, HN_ERR_LIMIT, NULL, NULL, "%zu rows, %zu columns, %zu classes", rows->n_rows,
                       rows->n_columns, n_classes);
    hn_linear *model = hn_calloc(1, sizeof *model);
    if (!model) return hn_fail_memory(err, sizeof *model);
    model->n_classes = n_classes;
    model->n_features = rows->n_columns;
    model->weights = hn_calloc(n_weights, sizeof *model->weights);
    model->seen = hn_calloc(n_classes, sizeof *model->seen);
    hn_status st = model->weights && model->seen ? HN_OK : hn_fail_memory(err, n_weights * sizeof *model->weights);
    for (size_t r = 0; r < rows->n_rows && st == HN_OK; r++) {
        if (labels[r] < 0 || (size_t)labels[r] >= n_classes)
            st = hn_fail(err, HN_ERR_INPUT, NULL, NULL, "example %zu has label %d of %zu classes", r, (int)labels[r],
                         n_classes);
        else
            model->seen[labels[r]] = true;
    }
    if (st == HN_OK)
        *out = model;
    else
        hn_linear_free(model);
    return st;
}

hn_status hn_linear_train(const hn_sparse *rows, const int32_t *labels, size_t n_classes,
                          const hn_linear_options *options, hn_linear **out, hn_error *err) {
    *out = NULL;
    hn_linear_options o = options ? *options : (hn_linear_options){0};
    if (o.c == 0) o.c = 1;
    if (o.tolerance == 0) o.tolerance = 0.1;
    if (o.n_passes == 0) o.n_passes = 200;
    if (!(o.c > 0 && isfinite(o.c) && o.tolerance > 0))
        return hn_fail(err, HN_ERR_INPUT, "linear options", "both above 0", "c %g, tolerance %g", o.c, o.tolerance);
    hn_linear *model = NULL;
    solver s;
    HN_TRY(make_model(rows, labels, n_classes, &model, err));
    hn_status st = make_solver(rows, &o, &s, err);
    if (st != HN_OK) {
        hn_linear_free(model);
        return st;
    }
    for (size_t k = 0; k < n_classes; k++) {
        if (!model->seen[k]) continue;
        for (size_t r = 0; r < rows->n_rows; r++) s.sign[r] = (size_t)labels[r] == k ? 1 : -1;
        solve(&s, k);
        if ((st = hn_interrupt_check(err)) != HN_OK) break;
        for (size_t f = 0; f <= rows->n_columns; f++) model->weights[f * n_classes + k] = (float)s.weights[f];
    }
    free_solver(&s);
    if (st == HN_OK)
        *out = model;
    else
        hn_linear_free(model);
    return st;
}

static void score_row(const hn_linear *model, const hn_sparse *rows, size_t r, double *scores) {
    size_t n_classes = model->n_classes;
    const float *bias = model->weights + model->n_features * n_classes;
    for (size_t k = 0; k < n_classes; k++) scores[k] = model->seen[k] ? bias[k] : -INFINITY;
    for (size_t i = rows->start[r]; i < rows->start[r + 1]; i++) {
        if (rows->index[i] >= model->n_features) continue;
        const float *weights = model->weights + rows->index[i] * n_classes;
        for (size_t k = 0; k < n_classes; k++) scores[k] += (double)weights[k] * rows->value[i];
    }
}

void hn_linear_scores(const hn_linear *model, const hn_sparse *rows, double *scores) {
    for (size_t r = 0; r < rows->n_rows; r++) score_row(model, rows, r, scores + r * model->n_classes);
}

hn_status hn_linear_predict(const hn_linear *model, const hn_sparse *rows, int32_t *labels, hn_error *err) {
    double *scores = hn_calloc(model->n_classes, sizeof *scores);
    if (!scores) return hn_fail_memory(err, model->n_classes * sizeof *scores);
    for (size_t r = 0; r < rows->n_rows; r++) {
        score_row(model, rows, r, scores);
        size_t best = 0;
        for (size_t k = 1; k < model->n_classes; k++)
            if (scores[k] > scores[best]) best = k;
        labels[r] = (int32_t)best;
    }
    hn_free(scores);
    return HN_OK;
}
