/* Inside avx512/: bf16 panels of 32 outputs in three quarters of their memory, without loss; see short_bf16.c.
 *
 *     size_t odd = hn_avx512_short_pack(panel, w, 32 * i);      // blocks that the form does not hold
 *     hn_avx512_short_unpack(bf16_panel, panel, w, 32 * i, 0, Kp);
 *
 * All memory is aligned to 64. Threading: pure functions. */
#ifndef HN_KERNEL_AVX512_SHORT_BF16_H
#define HN_KERNEL_AVX512_SHORT_BF16_H

#include "kernel/kernel.h"

size_t hn_avx512_short_panel_bytes(int64_t K);
size_t hn_avx512_short_blocks(int64_t K); /* of one panel */
/* Outputs first .. first+31 of `w`. Returns how many blocks are too varied: these are read from the file's bytes each
 * time, which is right but slow. */
size_t hn_avx512_short_pack(void *panel, const hn_matrix *w, int64_t first);
/* Inputs from .. from+n-1 of the same panel as bf16 pairs (n/2, 32, 2): `at` is where they begin, the panel or what
 * the call before returned; `from` is a multiple of 64, n too or up to the (padded) end. */
const void *hn_avx512_short_unpack(uint16_t *to, const void *at, const hn_matrix *w, int64_t first, int64_t from,
                                   int64_t n);
/* y = up to HN_SHORT_ROWS rows of x (Kp bf16 each) times one panel: outputs first .. first+31. */
enum { HN_SHORT_ROWS = 8 };
typedef struct hn_short_product {
    float *y;
    const uint16_t *x;
    int64_t y_stride, x_stride; /* floats and bf16 between rows */
    const void *panel;
    const hn_matrix *w;
    int64_t first;
} hn_short_product;
void hn_avx512_short_multiply(const hn_short_product *p, int rows);

#endif
