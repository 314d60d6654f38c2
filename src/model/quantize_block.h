/* Inside quantisation: one block of values into the bytes of one format. quantize.c checks what goes in and what came
 * out; here every float is finite, and every conversion to an integer is clamped, so none is undefined.
 *
 *     hn_quantize_block *write = hn_quantize_block_q4_k;
 *     write(bytes, values);                                  // 256 values into 144 bytes
 *
 * The layouts are drawn at the top of kernel/ref/dequantize.c. Threading: pure functions. */
#ifndef HN_MODEL_QUANTIZE_BLOCK_H
#define HN_MODEL_QUANTIZE_BLOCK_H

#include "base/dtype.h"

#include <math.h>

typedef void hn_quantize_block(unsigned char *block, const float *x);

hn_quantize_block hn_quantize_block_f16, hn_quantize_block_bf16;                          /* 1 value */
hn_quantize_block hn_quantize_block_q8_0, hn_quantize_block_q4_0, hn_quantize_block_q4_1; /* 32 values */
hn_quantize_block hn_quantize_block_q5_0, hn_quantize_block_q5_1;
hn_quantize_block hn_quantize_block_q4_k, hn_quantize_block_q5_k, hn_quantize_block_q6_k; /* 256 values */

/* Within low..high, which are integers; NaN (0 times an overflowed reciprocal) gives `low`. */
static inline float hn_quantize_clamp(float v, int low, int high) {
    float at_least = v > (float)low ? v : (float)low;
    return at_least < (float)high ? at_least : (float)high;
}

/* To the nearest integer, ties to even, within low..high. Adding 1.5 * 2^23 pushes the fraction out of the sum: unlike rintf
 * this is no call on any CPU, and loops of it become vector code. */
static inline int hn_quantize_nearest(float v, int low, int high) {
    const float shift = 12582912.0f;
    return (int)((hn_quantize_clamp(v, low, high) + shift) - shift);
}

/* Stores a scale as f16 and gives what a reader will find there. */
static inline float hn_quantize_put_f16(unsigned char *at, float v) {
    uint16_t half = hn_f32_to_f16(v);
    at[0] = (unsigned char)half;
    at[1] = (unsigned char)(half >> 8);
    return hn_f16_to_f32(half);
}

#endif
