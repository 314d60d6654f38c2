/* Inside avx2/: panels of 16 outputs that stay quantised, times rows of 16-bit integers; see quant_int16.c.
 *
 *     if (hn_avx2_quant_has(w->dtype)) hn_avx2_quant_pack(panel, w, 16 * i);
 *
 * Threading: pure functions. */
#ifndef HN_KERNEL_AVX2_QUANT_INT16_H
#define HN_KERNEL_AVX2_QUANT_INT16_H

#include "kernel/kernel.h"

enum { HN_AVX2_COLUMNS = 16 };

/* Formats that have such panels. */
bool hn_avx2_quant_has(hn_dtype dtype);
size_t hn_avx2_quant_panel_bytes(hn_dtype dtype, int64_t K);
/* Packs outputs first .. first+15; those past the last are zeros. */
void hn_avx2_quant_pack(void *panel, const hn_matrix *w, int64_t first);

#endif
