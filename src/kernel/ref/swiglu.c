/* The gated unit silu(gate) * up, silu(x) = x / (1 + exp(-x)), and the residual addition; see kernel.h. */
#include "kernel/ref/ref.h"

#include <math.h>

void hn_ref_swiglu(float *y, const float *gate, const float *up, int T, int F, int stride) {
    for (int t = 0; t < T; t++) {
        const float *g = gate + (size_t)t * (size_t)stride, *u = up + (size_t)t * (size_t)stride;
        float *out = y + (size_t)t * (size_t)F;
        for (int i = 0; i < F; i++) out[i] = g[i] / (1.0f + expf(-g[i])) * u[i];
    }
}

void hn_ref_add(float *y, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] += x[i];
}
