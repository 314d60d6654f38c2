/* Dequantisation (the reference's) and packing for arm64; the layout is described in simd/matmul_f32_simd.h. */
#include "kernel/neon/neon.h"

#include "kernel/ref/ref.h"

#include <string.h>

enum { COLUMNS = 8, CHUNK = 256 };

void hn_neon_dequantize(float *dst, const void *src, hn_dtype dtype, size_t n) {
    hn_ref_dequantize(dst, src, dtype, n);
}

void hn_neon_pack_bf16(void *panel, const hn_matrix *w, int64_t first) {
    hn_dtype_info info = hn_dtype_of(w->dtype);
    size_t row_bytes = (size_t)w->n_in / info.block_values * info.block_bytes;
    uint16_t *out = panel;
    for (int64_t c = 0; c < COLUMNS; c++) {
        for (int64_t from = 0; from < w->n_in; from += CHUNK) {
            float values[CHUNK] = {0};
            int64_t n = w->n_in - from < CHUNK ? w->n_in - from : CHUNK, padded = (n + 31) / 32 * 32;
            size_t offset = (size_t)from / info.block_values * info.block_bytes;
            if (first + c < w->n_out)
                hn_neon_dequantize(values, (const char *)w->data + (size_t)(first + c) * row_bytes + offset, w->dtype,
                                   (size_t)n);
            for (int64_t k = 0; k < padded; k++)
                out[((from + k) / 2 * COLUMNS + c) * 2 + k % 2] = hn_f32_to_bf16(values[k]);
        }
    }
}
