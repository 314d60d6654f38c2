/* The anytime-valid test; see sequential.h. */
#include "stats/sequential.h"

#include <math.h>

/* ln B(c + 1, b + 1) = ln of b! c! / (b + c + 1)!. lgamma_r: lgamma writes a global. */
static double log_beta(int64_t b, int64_t c) {
    int sign;
    double x = (double)b, y = (double)c;
    return lgamma_r(x + 1, &sign) + lgamma_r(y + 1, &sign) - lgamma_r(x + y + 2, &sign);
}

hn_sequential hn_sequential_start(void) { return (hn_sequential){.p = 1}; }

void hn_sequential_look(hn_sequential *s, int64_t only_a, int64_t only_b) {
    if (only_a < s->only_a || only_b < s->only_b) return;
    s->only_a = only_a;
    s->only_b = only_b;
    s->n_looks++;
    s->log_wealth = log_beta(only_a, only_b) + ((double)only_a + (double)only_b) * log(2);
    if (s->log_wealth > s->log_wealth_max) s->log_wealth_max = s->log_wealth;
    s->p = exp(-s->log_wealth_max);
}

/* ln of q^c (1 - q)^b, 0 ln 0 being 0. */
static double log_likelihood(int64_t b, int64_t c, double q) {
    return (c ? (double)c * log(q) : 0) + (b ? (double)b * log1p(-q) : 0);
}

hn_interval hn_sequential_share(int64_t only_a, int64_t only_b, double alpha) {
    if (only_a < 0 || only_b < 0 || !(alpha > 0 && alpha < 1)) return (hn_interval){NAN, NAN};
    if (only_a == 0 && only_b == 0) return (hn_interval){0, 1};
    double level = log_beta(only_a, only_b) + log(alpha); /* inside: the likelihood is above this */
    double peak = (double)only_b / ((double)only_a + (double)only_b);
    hn_interval limits = {0, 1};
    if (only_b > 0) {
        double out = 0, in = peak;
        for (int i = 0; i < 100; i++) {
            double q = (out + in) / 2;
            *(log_likelihood(only_a, only_b, q) > level ? &in : &out) = q;
        }
        limits.low = out;
    }
    if (only_a > 0) {
        double in = peak, out = 1;
        for (int i = 0; i < 100; i++) {
            double q = (out + in) / 2;
            *(log_likelihood(only_a, only_b, q) > level ? &in : &out) = q;
        }
        limits.high = out;
    }
    return limits;
}
