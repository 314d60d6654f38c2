/* Quantisation: f32 rows into GGUF's number formats, byte for byte as ggml's reference quantiser does without an
 * importance matrix.
 *
 *     hn_dtype format;
 *     if (!hn_quantize_format("q4_k", &format)) ...          // HN_DTYPE_Q4_K
 *     hn_dtype fits = hn_quantize_fallback(format, 576);     // HN_DTYPE_Q5_0: 576 is not whole blocks of 256
 *     HN_TRY(hn_quantize_row(bytes, row, fits, 576, &err));  // bytes: hn_dtype_bytes(fits, 576)
 *     hn_kernels_best->dequantize(back, bytes, fits, 576);   // what is left of the row
 *
 * Formats: F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K. Q2_K and Q3_K can be read, not written.
 * Ownership: nothing is kept. Threading: pure functions. */
#ifndef HN_MODEL_QUANTIZE_H
#define HN_MODEL_QUANTIZE_H

#include "base/dtype.h"
#include "base/status.h"

/* The format of a name in any case ("q8_0", "BF16"); false: not one that can be written. */
bool hn_quantize_format(const char *name, hn_dtype *format);
/* Every format that can be written, from the largest to the smallest; HN_DTYPE_NONE past the last. */
hn_dtype hn_quantize_format_at(size_t i);

/* What a row of `n` values is stored as when `wanted` is asked for: the format itself where its blocks divide the row,
 * else the one that llama.cpp takes (Q4_K: Q5_0, Q5_K: Q5_1, Q6_K: Q8_0), and F16 where that does not fit either. */
hn_dtype hn_quantize_fallback(hn_dtype wanted, uint64_t n);

/* `n` values, whole blocks, into `dst` (hn_dtype_bytes of them, any alignment). HN_ERR_INPUT: a value is not finite, or
 * so large that the format has no number for it: the error says which one; `dst` holds nothing of use then.
 * HN_ERR_UNSUPPORTED: a format that cannot be written. HN_ERR_USAGE: n is not whole blocks. */
hn_status hn_quantize_row(void *dst, const float *src, hn_dtype format, size_t n, hn_error *err) HN_MUST_CHECK;

#endif
