/* Non-inferiority from paired scores; see noninferior.h. The lower end of the interval rises with alpha, so the alpha at which it passes -margin is found
 * by halving on a logarithmic scale. */
#include "stats/noninferior.h"

#include "stats/verdict.h"

#include <math.h>

enum { HALVINGS = 30 };

typedef struct question {
    const double *a, *b;
    const uint32_t *group;
    size_t n;
    double margin;
    uint64_t seed;
    hn_error *err;
} question;

static hn_status lies_above(const question *q, double alpha, bool *above) {
    hn_verdict v;
    hn_verdict_options o = {.smallest_difference = q->margin, .alpha = alpha, .seed = q->seed};
    HN_TRY(hn_verdict_judge(q->a, q->b, q->group, q->n, &o, &v, q->err));
    *above = v.difference.low > -q->margin;
    return HN_OK;
}

hn_status hn_noninferiority_p(const double *a, const double *b, const uint32_t *group, size_t n, double margin,
                              uint64_t seed, double *p, hn_error *err) {
    question q = {a, b, group, n, margin, seed, err};
    double low = group ? 2e-4 : 2e-6, high = 0.999;
    bool above;
    if (!(margin > 0) || n == 0)
        return hn_fail(err, HN_ERR_INPUT, "margin", "name a margin above 0, and cases", "it is %g, with %zu cases",
                       margin, n);
    *p = low / 2;
    HN_TRY(lies_above(&q, low, &above));
    if (above) return HN_OK;
    *p = 1;
    HN_TRY(lies_above(&q, high, &above));
    if (!above) return HN_OK;
    for (int i = 0; i < HALVINGS && high / low > 1.0005; i++) {
        double middle = sqrt(low * high);
        HN_TRY(lies_above(&q, middle, &above));
        *(above ? &high : &low) = middle;
    }
    *p = high / 2;
    return HN_OK;
}
