/* Inside avx512/: panels of 32 outputs that stay quantised; see quant_bf16.c for the layout.
 *
 *     if (hn_avx512_quant_has(w->dtype)) hn_avx512_quant_pack(panel, w, 32 * i);
 *
 * All memory is aligned to 64. Threading: pure functions. */
#ifndef HN_KERNEL_AVX512_QUANT_BF16_H
#define HN_KERNEL_AVX512_QUANT_BF16_H

#include "kernel/kernel.h"

bool hn_avx512_quant_has(hn_dtype dtype);
size_t hn_avx512_quant_panel_bytes(hn_dtype dtype, int64_t K);
/* Outputs first .. first+31 of `w`. */
void hn_avx512_quant_pack(void *panel, const hn_matrix *w, int64_t first);
/* `n` inputs of the same panel, a multiple of 32, as bf16 pairs (n/2, 32, 2). Returns where the next ones begin. */
const void *hn_avx512_quant_unpack(uint16_t *to, const void *at, hn_dtype dtype, int64_t n);
/* y = up to HN_QUANT_ROWS rows of x (K bf16 each) times one panel. */
enum { HN_QUANT_ROWS = 8 };
typedef struct hn_quant_product {
    float *y;
    const uint16_t *x;
    int64_t y_stride, x_stride; /* floats and bf16 between rows */
    const void *panel;
    int64_t K, columns; /* outputs that exist from the panel's first on */
} hn_quant_product;
void hn_avx512_quant_multiply(const hn_quant_product *p, hn_dtype dtype, int rows);

#endif
