/* Adjusted p-values; see multiple.h. */
#include "stats/multiple.h"

#include "base/alloc.h"

#include <stdlib.h>

typedef struct ranked {
    double p;
    size_t index;
} ranked;

static int by_p(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->p != y->p) return x->p < y->p ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

static ranked *rank(const double *p, size_t n) {
    ranked *r = hn_calloc(n, sizeof *r);
    if (!r) return NULL;
    for (size_t i = 0; i < n; i++) r[i] = (ranked){p[i], i};
    qsort(r, n, sizeof *r, by_p);
    return r;
}

hn_status hn_holm(const double *p, size_t n, double *adjusted, hn_error *err) {
    ranked *r = rank(p, n);
    if (!r) return hn_fail_memory(err, n * sizeof *r);
    double running = 0;
    for (size_t i = 0; i < n; i++) {
        double value = r[i].p * (double)(n - i);
        if (value > running) running = value;
        adjusted[r[i].index] = running < 1 ? running : 1;
    }
    hn_free(r);
    return HN_OK;
}

hn_status hn_benjamini_hochberg(const double *p, size_t n, double *adjusted, hn_error *err) {
    ranked *r = rank(p, n);
    if (!r) return hn_fail_memory(err, n * sizeof *r);
    double running = 1;
    for (size_t i = n; i-- > 0;) {
        double value = r[i].p * (double)n / (double)(i + 1);
        if (value < running) running = value;
        adjusted[r[i].index] = running;
    }
    hn_free(r);
    return HN_OK;
}
