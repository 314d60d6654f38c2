/* Rotary position embedding; see kernel.h. */
#include "kernel/ref/ref.h"

static void rotate(float *a, float *b, float c, float s) {
    float x = *a, y = *b;
    *a = x * c - y * s;
    *b = x * s + y * c;
}

void hn_ref_rope(float *x, int stride, const float *cos, const float *sin, int T, int n_heads, int HS,
                 bool interleaved) {
    int half = HS / 2;
    for (int t = 0; t < T; t++) {
        const float *c = cos + (size_t)t * (size_t)half, *s = sin + (size_t)t * (size_t)half;
        for (int h = 0; h < n_heads; h++) {
            float *head = x + (size_t)t * (size_t)stride + (size_t)h * (size_t)HS;
            for (int i = 0; i < half; i++) {
                if (interleaved)
                    rotate(head + 2 * i, head + 2 * i + 1, c[i], s[i]);
                else
                    rotate(head + i, head + i + half, c[i], s[i]);
            }
        }
    }
}
