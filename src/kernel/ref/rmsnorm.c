/* Root-mean-square normalisation; see kernel.h. The sum of squares is in f64, so that C may be large. */
#include "kernel/ref/ref.h"

#include <math.h>

void hn_ref_rmsnorm(float *y, const float *x, const float *weight, int T, int C, float eps) {
    for (int t = 0; t < T; t++) {
        const float *row = x + (size_t)t * (size_t)C;
        float *out = y + (size_t)t * (size_t)C;
        double sum = 0;
        for (int c = 0; c < C; c++) sum += (double)row[c] * row[c];
        float scale = (float)(1.0 / sqrt(sum / C + (double)eps));
        for (int c = 0; c < C; c++) out[c] = row[c] * scale * weight[c];
    }
}
