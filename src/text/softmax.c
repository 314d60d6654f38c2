/* Logistic regression; see softmax.h. Rows are standardised into a copy of their own. Weights are (n_dims + 1, n_classes), the last row
 * the biases, so that both passes walk memory in pieces of n_classes. Sums of products run in f32 within a block of rows, in double
 * across blocks; threads share out rows (scores) and dimensions (gradient), never a sum. */
#include "text/softmax.h"

#include "base/alloc.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { HISTORY = 10, BLOCK = 128 };

struct hn_softmax {
    size_t n_dims, n_classes;
    float *mean, *scale; /* (n_dims) */
    float *weights;      /* (n_dims + 1, n_classes) */
    bool *seen;          /* (n_classes) */
    double loss;
};

typedef struct trainer {
    hn_softmax *model;
    const hn_softmax_options *options;
    const int32_t *labels; /* (n) */
    size_t n, n_dims, n_classes, n_weights;
    float *x;         /* (n, n_dims) standardised */
    float *wide;      /* (n_weights) the weights being tried, in f32 */
    float *errors;    /* (n, n_classes) probabilities minus the truth */
    double *row_loss; /* (n) */
    double *w, *g;    /* (n_weights) weights and gradient */
    double *next_w, *next_g, *direction;
    double *steps, *changes; /* (HISTORY, n_weights) of weights and of gradients */
    double rho[HISTORY];
    size_t n_history;
} trainer;

void hn_softmax_free(hn_softmax *model) {
    if (!model) return;
    hn_free(model->mean);
    hn_free(model->scale);
    hn_free(model->weights);
    hn_free(model->seen);
    hn_free(model);
}

double hn_softmax_loss(const hn_softmax *model) { return model->loss; }

size_t hn_softmax_bytes(const hn_softmax *m) {
    return sizeof *m + (2 * m->n_dims + (m->n_dims + 1) * m->n_classes) * sizeof(float) + m->n_classes;
}

/* ---- loss and gradient ---- */

static void run(trainer *t, hn_pool_fn *fn) {
    if (t->options->pool)
        hn_pool_run(t->options->pool, fn, t);
    else
        fn(t, 0, 1);
}

/* scores (n_classes) = b + W^T x; four dimensions at a time. */
static void score_row(const float *weights, size_t n_dims, size_t n_classes, const float *x, float *restrict scores) {
    memcpy(scores, weights + n_dims * n_classes, n_classes * sizeof *scores);
    size_t d = 0;
    for (; d + 4 <= n_dims; d += 4) {
        const float *a = weights + d * n_classes, *b = a + n_classes, *c = b + n_classes, *e = c + n_classes;
        float xa = x[d], xb = x[d + 1], xc = x[d + 2], xe = x[d + 3];
        for (size_t k = 0; k < n_classes; k++) scores[k] += (xa * a[k] + xb * b[k]) + (xc * c[k] + xe * e[k]);
    }
    for (; d < n_dims; d++)
        for (size_t k = 0; k < n_classes; k++) scores[k] += x[d] * weights[d * n_classes + k];
}

/* Scores to probabilities minus the truth; gives the row's loss. */
static double finish_row(const bool *seen, size_t n_classes, int32_t label, float *scores) {
    double most = -INFINITY, sum = 0;
    for (size_t k = 0; k < n_classes; k++)
        if (seen[k] && (double)scores[k] > most) most = (double)scores[k];
    double loss = most - (double)scores[label];
    for (size_t k = 0; k < n_classes; k++) {
        double p = seen[k] ? exp((double)scores[k] - most) : 0;
        sum += p;
        scores[k] = (float)p;
    }
    for (size_t k = 0; k < n_classes; k++) scores[k] = (float)((double)scores[k] / sum);
    scores[label] -= 1;
    return loss + log(sum);
}

static void score_rows(void *arg, int thread, int n_threads) {
    trainer *t = arg;
    size_t from, to;
    hn_share(t->n, 1, thread, n_threads, &from, &to);
    for (size_t r = from; r < to; r++) {
        float *scores = t->errors + r * t->n_classes;
        score_row(t->wide, t->n_dims, t->n_classes, t->x + r * t->n_dims, scores);
        t->row_loss[r] = finish_row(t->model->seen, t->n_classes, t->labels[r], scores);
    }
}

/* One dimension of the gradient (column n_dims: the bias), block of rows by block of rows. */
static void add_dimension(const trainer *t, size_t d, float *restrict block, double *gradient) {
    for (size_t k = 0; k < t->n_classes; k++) gradient[k] = 0;
    for (size_t first = 0; first < t->n; first += BLOCK) {
        size_t end = first + BLOCK < t->n ? first + BLOCK : t->n;
        memset(block, 0, t->n_classes * sizeof *block);
        for (size_t r = first; r < end; r++) {
            float x = d < t->n_dims ? t->x[r * t->n_dims + d] : 1;
            const float *e = t->errors + r * t->n_classes;
            for (size_t k = 0; k < t->n_classes; k++) block[k] += x * e[k];
        }
        for (size_t k = 0; k < t->n_classes; k++) gradient[k] += (double)block[k];
    }
}

static void add_dimensions(void *arg, int thread, int n_threads) {
    trainer *t = arg;
    size_t from, to;
    hn_share(t->n_dims + 1, 1, thread, n_threads, &from, &to);
    for (size_t d = from; d < to; d++) /* `wide` has the gradient's shape and is free by now */
        add_dimension(t, d, t->wide + d * t->n_classes, t->next_g + d * t->n_classes);
}

/* The loss at next_w, its gradient into next_g. */
static double evaluate(trainer *t) {
    double loss = 0, squares = 0;
    size_t n_penalised = t->n_dims * t->n_classes;
    for (size_t i = 0; i < t->n_weights; i++) t->wide[i] = (float)t->next_w[i];
    run(t, score_rows);
    run(t, add_dimensions);
    for (size_t r = 0; r < t->n; r++) loss += t->row_loss[r];
    for (size_t i = 0; i < n_penalised; i++) {
        squares += t->next_w[i] * t->next_w[i];
        t->next_g[i] += t->options->penalty * t->next_w[i];
    }
    return loss + 0.5 * t->options->penalty * squares;
}

/* ---- L-BFGS ---- */

static double dot(const double *a, const double *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* direction = - H g, by the two loops over the kept steps; the oldest stand first. */
static void find_direction(trainer *t) {
    size_t n = t->n_weights, first = t->n_history > HISTORY ? t->n_history - HISTORY : 0;
    double alpha[HISTORY];
    for (size_t i = 0; i < n; i++) t->direction[i] = -t->g[i];
    for (size_t j = t->n_history; j-- > first;) {
        size_t at = j % HISTORY;
        alpha[at] = t->rho[at] * dot(t->steps + at * n, t->direction, n);
        for (size_t i = 0; i < n; i++) t->direction[i] -= alpha[at] * t->changes[at * n + i];
    }
    if (t->n_history > first) {
        size_t at = (t->n_history - 1) % HISTORY;
        double scale = 1 / (t->rho[at] * dot(t->changes + at * n, t->changes + at * n, n));
        for (size_t i = 0; i < n; i++) t->direction[i] *= scale;
    }
    for (size_t j = first; j < t->n_history; j++) {
        size_t at = j % HISTORY;
        double beta = t->rho[at] * dot(t->changes + at * n, t->direction, n);
        for (size_t i = 0; i < n; i++) t->direction[i] += (alpha[at] - beta) * t->steps[at * n + i];
    }
}

static void remember_step(trainer *t) {
    size_t n = t->n_weights, at = t->n_history % HISTORY;
    double *s = t->steps + at * n, *y = t->changes + at * n;
    for (size_t i = 0; i < n; i++) s[i] = t->next_w[i] - t->w[i], y[i] = t->next_g[i] - t->g[i];
    double curvature = dot(s, y, n);
    if (curvature <= 1e-12 * dot(y, y, n)) return; /* f32 noise: no curvature to learn from */
    t->rho[at] = 1 / curvature;
    t->n_history++;
}

static double largest(const double *values, size_t n) {
    double most = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, fabs(values[i]));
    return most;
}

/* Halves the step until the loss falls enough (Armijo); false: it falls no more. */
static bool search_line(trainer *t, double *loss) {
    double slope = dot(t->g, t->direction, t->n_weights), step = 1;
    if (t->n_history == 0) step = fmin(1, 1 / fmax(largest(t->g, t->n_weights), 1e-300));
    for (int tries = 0; tries < 30 && slope < 0; tries++, step /= 2) {
        for (size_t i = 0; i < t->n_weights; i++) t->next_w[i] = t->w[i] + step * t->direction[i];
        double next = evaluate(t);
        if (!(next <= *loss + 1e-4 * step * slope)) continue;
        *loss = next;
        return true;
    }
    return false;
}

static void minimise(trainer *t) {
    double tolerance = (t->options->tolerance > 0 ? t->options->tolerance : 1e-5) * (double)t->n;
    uint32_t most = t->options->n_iterations ? t->options->n_iterations : 200;
    memcpy(t->next_w, t->w, t->n_weights * sizeof *t->w);
    double loss = evaluate(t);
    memcpy(t->g, t->next_g, t->n_weights * sizeof *t->g);
    for (uint32_t i = 0; i < most && largest(t->g, t->n_weights) > tolerance; i++) {
        find_direction(t);
        if (!search_line(t, &loss)) break;
        remember_step(t);
        memcpy(t->w, t->next_w, t->n_weights * sizeof *t->w);
        memcpy(t->g, t->next_g, t->n_weights * sizeof *t->g);
    }
    t->model->loss = loss;
    for (size_t i = 0; i < t->n_weights; i++) t->model->weights[i] = (float)t->w[i];
}

/* ---- setting up ---- */

static hn_status standardise(trainer *t, const float *rows, const uint32_t *which, hn_error *err) {
    hn_softmax *m = t->model;
    for (size_t d = 0; d < t->n_dims; d++) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < t->n; i++) sum += (double)rows[which[i] * t->n_dims + d];
        double mean = sum / (double)t->n;
        for (size_t i = 0; i < t->n; i++) {
            double off = (double)rows[which[i] * t->n_dims + d] - mean;
            squares += off * off;
        }
        if (!isfinite(squares))
            return hn_fail(err, HN_ERR_INPUT, "rows", NULL, "column %zu holds a number that is not finite", d);
        double deviation = sqrt(squares / (double)t->n);
        m->mean[d] = (float)mean;
        m->scale[d] = deviation > 1e-12 ? (float)(1 / deviation) : 0; /* a constant column says nothing */
    }
    for (size_t i = 0; i < t->n; i++)
        for (size_t d = 0; d < t->n_dims; d++)
            t->x[i * t->n_dims + d] = (rows[which[i] * t->n_dims + d] - m->mean[d]) * m->scale[d];
    return HN_OK;
}

static hn_status check_labels(trainer *t, hn_error *err) {
    for (size_t i = 0; i < t->n; i++) {
        if (t->labels[i] < 0 || (size_t)t->labels[i] >= t->n_classes)
            return hn_fail(err, HN_ERR_INPUT, "labels", NULL, "row %zu has label %d of %zu classes", i,
                           (int)t->labels[i], t->n_classes);
        t->model->seen[t->labels[i]] = true;
    }
    return HN_OK;
}

static bool make_model(trainer *t) {
    hn_softmax *m = t->model;
    m->n_dims = t->n_dims;
    m->n_classes = t->n_classes;
    m->mean = hn_calloc(t->n_dims, sizeof *m->mean);
    m->scale = hn_calloc(t->n_dims, sizeof *m->scale);
    m->weights = hn_calloc(t->n_weights, sizeof *m->weights);
    m->seen = hn_calloc(t->n_classes, sizeof *m->seen);
    return m->mean && m->scale && m->weights && m->seen;
}

static bool make_room(trainer *t) {
    size_t n_doubles = t->n_weights;
    t->x = hn_calloc(t->n, t->n_dims * sizeof *t->x);
    t->wide = hn_calloc(t->n_weights, sizeof *t->wide);
    t->errors = hn_calloc(t->n, t->n_classes * sizeof *t->errors);
    t->row_loss = hn_calloc(t->n, sizeof *t->row_loss);
    t->w = hn_calloc(n_doubles, sizeof *t->w);
    t->g = hn_calloc(n_doubles, sizeof *t->g);
    t->next_w = hn_calloc(n_doubles, sizeof *t->next_w);
    t->next_g = hn_calloc(n_doubles, sizeof *t->next_g);
    t->direction = hn_calloc(n_doubles, sizeof *t->direction);
    t->steps = hn_calloc(n_doubles, HISTORY * sizeof *t->steps);
    t->changes = hn_calloc(n_doubles, HISTORY * sizeof *t->changes);
    return t->x && t->wide && t->errors && t->row_loss && t->w && t->g && t->next_w && t->next_g && t->direction &&
           t->steps && t->changes;
}

static void release(trainer *t) {
    void *all[] = {t->x,      t->wide,   t->errors,    t->row_loss, t->w,      t->g,
                   t->next_w, t->next_g, t->direction, t->steps,    t->changes};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) hn_free(all[i]);
}

static hn_status check_sizes(size_t n_dims, size_t n, size_t n_classes, const hn_softmax_options *o, hn_error *err) {
    size_t unused;
    if (n == 0 || n_dims == 0 || n_classes == 0)
        return hn_fail(err, HN_ERR_INPUT, "rows", "give labelled rows", "%zu rows of %zu numbers, %zu classes", n,
                       n_dims, n_classes);
    if (!(o->penalty > 0 && isfinite(o->penalty)))
        return hn_fail(err, HN_ERR_INPUT, "penalty", "give a number above 0", "it is %g", o->penalty);
    if (n > INT32_MAX || !hn_mul_size(n_dims + 1, n_classes, &unused) ||
        !hn_mul_size(unused, HISTORY * sizeof(double), &unused) || !hn_mul_size(n, n_dims * sizeof(float), &unused))
        return hn_fail(err, HN_ERR_LIMIT, "rows", NULL, "%zu rows of %zu numbers, %zu classes", n, n_dims, n_classes);
    return HN_OK;
}

hn_status hn_softmax_train(const float *rows, size_t n_dims, const uint32_t *which, const int32_t *labels, size_t n,
                           size_t n_classes, const hn_softmax_options *o, hn_softmax **out, hn_error *err) {
    *out = NULL;
    HN_TRY(check_sizes(n_dims, n, n_classes, o, err));
    trainer t = {.options = o,
                 .labels = labels,
                 .n = n,
                 .n_dims = n_dims,
                 .n_classes = n_classes,
                 .n_weights = (n_dims + 1) * n_classes,
                 .model = hn_calloc(1, sizeof(hn_softmax))};
    bool room = t.model && make_model(&t) && make_room(&t);
    hn_status st = room ? check_labels(&t, err) : hn_fail_memory(err, n * n_dims * sizeof(float));
    if (st == HN_OK) st = standardise(&t, rows, which, err);
    if (st == HN_OK) {
        const hn_softmax *s = o->start;
        if (s && s->n_dims == n_dims && s->n_classes == n_classes)
            for (size_t i = 0; i < t.n_weights; i++) t.w[i] = (double)s->weights[i];
        minimise(&t);
        *out = t.model;
        t.model = NULL;
    }
    release(&t);
    hn_softmax_free(t.model);
    return st;
}

hn_status hn_softmax_predict(const hn_softmax *m, const float *rows, const uint32_t *which, size_t n, int32_t *labels,
                             hn_error *err) {
    float *room = hn_calloc(m->n_dims + m->n_classes, sizeof *room);
    if (!room) return hn_fail_memory(err, (m->n_dims + m->n_classes) * sizeof *room);
    float *x = room, *scores = room + m->n_dims;
    for (size_t i = 0; i < n; i++) {
        const float *row = rows + which[i] * m->n_dims;
        int32_t best = -1;
        for (size_t d = 0; d < m->n_dims; d++) x[d] = (row[d] - m->mean[d]) * m->scale[d];
        score_row(m->weights, m->n_dims, m->n_classes, x, scores);
        for (size_t k = 0; k < m->n_classes; k++)
            if (m->seen[k] && (best < 0 || scores[k] > scores[best])) best = (int32_t)k;
        labels[i] = best;
    }
    hn_free(room);
    return HN_OK;
}
