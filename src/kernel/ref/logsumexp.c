/* ln(sum(exp(x))), shifted by the largest value so that nothing overflows; see kernel.h. */
#include "kernel/ref/ref.h"

#include <math.h>

double hn_ref_logsumexp(const float *x, size_t n, float *max) {
    float largest = -INFINITY;
    for (size_t i = 0; i < n; i++)
        if (x[i] > largest) largest = x[i];
    if (max) *max = largest;
    if (largest == -INFINITY) return -INFINITY;
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)expf(x[i] - largest);
    return (double)largest + log(sum);
}
