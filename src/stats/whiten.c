/* Centring and whitening; see whiten.h. The covariance and its Cholesky factor are in double; L^-1 x by forward substitution. */
#include "stats/whiten.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "stats/ranking.h"

#include <math.h>
#include <string.h>

enum { PAIRS_MAX = 200000 };

struct hn_whitening {
    size_t n_dims;
    double *mean;   /* (n_dims) */
    double *factor; /* (n_dims, n_dims) L, the upper part unused */
    double *room;   /* (n_dims) while fitting */
    double shrinkage;
};

void hn_whitening_free(hn_whitening *w) {
    if (!w) return;
    hn_free(w->mean);
    hn_free(w->factor);
    hn_free(w->room);
    hn_free(w);
}

double hn_whitening_shrinkage(const hn_whitening *w) { return w->shrinkage; }

static hn_status find_mean(hn_whitening *w, const float *rows, size_t n, hn_error *err) {
    for (size_t i = 0; i < n; i++)
        for (size_t d = 0; d < w->n_dims; d++) w->mean[d] += (double)rows[i * w->n_dims + d] / (double)n;
    for (size_t d = 0; d < w->n_dims; d++)
        if (!isfinite(w->mean[d]))
            return hn_fail(err, HN_ERR_INPUT, "vectors", NULL, "column %zu holds a number that is not finite", d);
    return HN_OK;
}

/* The covariance (lower part) into factor; gives the sum over rows of |x|^4, which the shrinkage needs. */
static double find_covariance(hn_whitening *w, const float *rows, size_t n) {
    double fourth = 0, *x = w->room;
    for (size_t i = 0; i < n; i++) {
        double squares = 0;
        for (size_t d = 0; d < w->n_dims; d++) {
            x[d] = (double)rows[i * w->n_dims + d] - w->mean[d];
            squares += x[d] * x[d];
        }
        fourth += squares * squares;
        for (size_t r = 0; r < w->n_dims; r++) {
            double scale = x[r] / (double)n, *row = w->factor + r * w->n_dims;
            for (size_t c = 0; c <= r; c++) row[c] += scale * x[c];
        }
    }
    return fourth;
}

/* Ledoit and Wolf's lemma 3.2 to 3.4, in sums over dimensions: m = tr S / p, d2 = |S - m I|^2, b2 = min(mean |x x^T - S|^2 / n, d2);
 * the share is b2 / d2. */
static void shrink(hn_whitening *w, size_t n, double fourth) {
    size_t p = w->n_dims;
    double trace = 0, squares = 0;
    for (size_t r = 0; r < p; r++) {
        trace += w->factor[r * p + r];
        for (size_t c = 0; c <= r; c++) squares += (c < r ? 2 : 1) * w->factor[r * p + c] * w->factor[r * p + c];
    }
    double mean = trace / (double)p, d2 = squares - mean * trace;
    double b2 = (fourth / (double)n - squares) / (double)n;
    w->shrinkage = d2 > 0 ? fmin(fmax(b2, 0), d2) / d2 : 1;
    for (size_t r = 0; r < p; r++) {
        for (size_t c = 0; c <= r; c++) w->factor[r * p + c] *= 1 - w->shrinkage;
        /* a little is always added, so that a column that never varies can be divided by */
        w->factor[r * p + r] += (w->shrinkage + 1e-9) * (mean > 0 ? mean : 1);
    }
}

static void factorise(double *a, size_t p) {
    for (size_t r = 0; r < p; r++) {
        for (size_t c = 0; c <= r; c++) {
            double sum = a[r * p + c];
            for (size_t k = 0; k < c; k++) sum -= a[r * p + k] * a[c * p + k];
            a[r * p + c] = c < r ? sum / a[c * p + c] : sqrt(fmax(sum, 1e-300));
        }
    }
}

hn_status hn_whitening_fit(const float *rows, size_t n, size_t n_dims, hn_whitening **out, hn_error *err) {
    size_t n_factor;
    *out = NULL;
    if (n < 2 || n_dims == 0)
        return hn_fail(err, HN_ERR_INPUT, "vectors", "give more of them", "%zu vectors of %zu numbers", n, n_dims);
    if (!hn_mul_size(n_dims, n_dims, &n_factor)) return hn_fail_memory(err, SIZE_MAX);
    hn_whitening *w = hn_calloc(1, sizeof *w);
    if (!w) return hn_fail_memory(err, sizeof *w);
    w->n_dims = n_dims;
    w->mean = hn_calloc(n_dims, sizeof *w->mean);
    w->factor = hn_calloc(n_factor, sizeof *w->factor);
    w->room = hn_calloc(n_dims, sizeof *w->room);
    hn_status st = w->mean && w->factor && w->room ? HN_OK : hn_fail_memory(err, n_factor * sizeof *w->factor);
    if (st == HN_OK) st = find_mean(w, rows, n, err);
    if (st != HN_OK) {
        hn_whitening_free(w);
        return st;
    }
    shrink(w, n, find_covariance(w, rows, n));
    factorise(w->factor, n_dims);
    *out = w;
    return HN_OK;
}

void hn_whitening_apply(const hn_whitening *w, const float *vector, float *out) {
    double squares = 0;
    for (size_t r = 0; r < w->n_dims; r++) {
        const double *row = w->factor + r * w->n_dims;
        double sum = (double)vector[r] - w->mean[r];
        for (size_t c = 0; c < r; c++) sum -= row[c] * (double)out[c];
        sum /= row[r];
        squares += sum * sum;
        out[r] = (float)sum;
    }
    double scale = squares > 0 ? 1 / sqrt(squares) : 0;
    for (size_t r = 0; r < w->n_dims; r++) out[r] = (float)((double)out[r] * scale);
}

double hn_cosine(const float *a, const float *b, size_t n_dims) {
    double ab = 0, aa = 0, bb = 0;
    for (size_t d = 0; d < n_dims; d++) {
        ab += (double)a[d] * (double)b[d];
        aa += (double)a[d] * (double)a[d];
        bb += (double)b[d] * (double)b[d];
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

typedef struct pairs {
    double *scores;
    unsigned char *same;
    size_t n;
} pairs;

static void take_pair(pairs *p, const float *vectors, size_t n_dims, const int32_t *labels, size_t i, size_t k) {
    p->scores[p->n] = hn_cosine(vectors + i * n_dims, vectors + k * n_dims, n_dims);
    p->same[p->n++] = labels[i] == labels[k];
}

hn_status hn_pair_auc(const float *vectors, size_t n_dims, const int32_t *labels, size_t n, uint64_t seed, double *auc,
                      hn_error *err) {
    double n_all = 0.5 * (double)n * ((double)n - 1);
    bool all = n_all <= PAIRS_MAX;
    size_t most = all ? (size_t)(n_all > 0 ? n_all : 0) : PAIRS_MAX;
    hn_ranking r;
    *auc = NAN;
    if (most == 0) return HN_OK;
    pairs p = {.scores = hn_calloc(most, sizeof *p.scores), .same = hn_calloc(most, 1)};
    hn_status st = p.scores && p.same ? HN_OK : hn_fail_memory(err, most * sizeof *p.scores);
    if (st == HN_OK && all)
        for (size_t i = 0; i < n; i++)
            for (size_t k = i + 1; k < n; k++) take_pair(&p, vectors, n_dims, labels, i, k);
    hn_rng rng;
    hn_rng_seed(&rng, seed, 0);
    while (st == HN_OK && !all && p.n < most) {
        size_t i = hn_rng_below(&rng, n), k = hn_rng_below(&rng, n - 1);
        take_pair(&p, vectors, n_dims, labels, i, k + (k >= i));
    }
    if (st == HN_OK) st = hn_ranking_measure(p.scores, p.same, p.n, &r, err);
    if (st == HN_OK) *auc = r.roc_auc;
    hn_free(p.scores);
    hn_free(p.same);
    return st;
}
