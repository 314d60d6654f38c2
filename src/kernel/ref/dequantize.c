/* Dequantisation of GGUF's number formats: exact, so every step is one f32 operation in the order in which the formats
 * are defined (scale times quant, then minus or plus the minimum). Blocks are little-endian bytes without padding:
 *
 *     Q4_0  d:f16 qs[16]                  low nibbles are values 0..15, high nibbles 16..31; (q - 8) d
 *     Q4_1  d m:f16 qs[16]                q d + m
 *     Q5_0  d:f16 qh:u32 qs[16]           bit i of qh is bit 4 of value i; (q - 16) d
 *     Q5_1  d m:f16 qh:u32 qs[16]         q d + m
 *     Q8_0  d:f16 qs[32]:i8               q d
 *     Q2_K  scales[16] qs[64] d m:f16     16 groups of 16; scale in the low nibble, minimum in the high one
 *     Q3_K  hmask[32] qs[64] scales[12] d scales of 6 bits, less 32; a clear bit in hmask means 4 less
 *     Q4_K  d m:f16 scales[12] qs[128]    8 groups of 32 with scale and minimum of 6 bits
 *     Q5_K  d m:f16 scales[12] qh[32] qs[128]
 *     Q6_K  ql[128] qh[64] scales[16]:i8 d:f16   16 groups of 16; (q - 32) scale d */
#include "kernel/k_scales.h"
#include "kernel/ref/ref.h"

#include <string.h>

typedef unsigned char byte;

static uint16_t u16_at(const byte *p) { return (uint16_t)(p[0] | p[1] << 8); }
static float f16_at(const byte *p) { return hn_f16_to_f32(u16_at(p)); }
static uint32_t u32_at(const byte *p) {
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void q4_0(float *y, const byte *b) {
    float d = f16_at(b);
    for (int i = 0; i < 16; i++) {
        y[i] = (float)((b[2 + i] & 15) - 8) * d;
        y[i + 16] = (float)((b[2 + i] >> 4) - 8) * d;
    }
}

static void q4_1(float *y, const byte *b) {
    float d = f16_at(b), m = f16_at(b + 2);
    for (int i = 0; i < 16; i++) {
        y[i] = (float)(b[4 + i] & 15) * d + m;
        y[i + 16] = (float)(b[4 + i] >> 4) * d + m;
    }
}

static void q5_0(float *y, const byte *b) {
    float d = f16_at(b);
    uint32_t high = u32_at(b + 2);
    for (int i = 0; i < 16; i++) {
        y[i] = (float)((int)((b[6 + i] & 15u) | (high >> i & 1) << 4) - 16) * d;
        y[i + 16] = (float)((int)((b[6 + i] >> 4) | (high >> (i + 16) & 1) << 4) - 16) * d;
    }
}

static void q5_1(float *y, const byte *b) {
    float d = f16_at(b), m = f16_at(b + 2);
    uint32_t high = u32_at(b + 4);
    for (int i = 0; i < 16; i++) {
        y[i] = (float)((b[8 + i] & 15u) | (high >> i & 1) << 4) * d + m;
        y[i + 16] = (float)((b[8 + i] >> 4) | (high >> (i + 16) & 1) << 4) * d + m;
    }
}

static void q8_0(float *y, const byte *b) {
    float d = f16_at(b);
    for (int i = 0; i < 32; i++) y[i] = (float)(int8_t)b[2 + i] * d;
}

/* In the 2- and 3-bit formats, byte i of each 32 holds value i of four runs of 32, two bits each from the lowest. */
static void q2_k(float *y, const byte *b) {
    const byte *scales = b, *qs = b + 16;
    float d = f16_at(b + 80), dmin = f16_at(b + 82);
    for (int group = 0; group < 16; group++) {
        const byte *q = qs + group / 8 * 32 + group % 2 * 16;
        int shift = group / 2 % 4 * 2;
        float scale = d * (float)(scales[group] & 15), minimum = dmin * (float)(scales[group] >> 4);
        for (int i = 0; i < 16; i++) y[16 * group + i] = scale * (float)(q[i] >> shift & 3) - minimum;
    }
}

static void q3_k(float *y, const byte *b) {
    const byte *hmask = b, *qs = b + 32;
    float d = f16_at(b + 108);
    for (int group = 0; group < 16; group++) {
        const byte *q = qs + group / 8 * 32 + group % 2 * 16, *h = hmask + group % 2 * 16;
        int shift = group / 2 % 4 * 2, bit = group / 2;
        float scale = d * (float)hn_k_scale_q3(b + 96, group);
        for (int i = 0; i < 16; i++)
            y[16 * group + i] = scale * (float)((q[i] >> shift & 3) - (h[i] >> bit & 1 ? 0 : 4));
    }
}

static void q4_k(float *y, const byte *b) {
    float d = f16_at(b), dmin = f16_at(b + 2);
    for (int group = 0; group < 8; group++) {
        int scale, minimum, shift = group % 2 * 4;
        hn_k_scale_pair(b + 4, group, &scale, &minimum);
        const byte *q = b + 16 + group / 2 * 32;
        float ds = d * (float)scale, m = dmin * (float)minimum;
        for (int i = 0; i < 32; i++) y[32 * group + i] = ds * (float)(q[i] >> shift & 15) - m;
    }
}

static void q5_k(float *y, const byte *b) {
    const byte *high = b + 16;
    float d = f16_at(b), dmin = f16_at(b + 2);
    for (int group = 0; group < 8; group++) {
        int scale, minimum, shift = group % 2 * 4;
        hn_k_scale_pair(b + 4, group, &scale, &minimum);
        const byte *q = b + 48 + group / 2 * 32;
        float ds = d * (float)scale, m = dmin * (float)minimum;
        for (int i = 0; i < 32; i++)
            y[32 * group + i] = ds * (float)((q[i] >> shift & 15) + (high[i] >> group & 1) * 16) - m;
    }
}

static void q6_k(float *y, const byte *b) {
    float d = f16_at(b + 208);
    for (int half = 0; half < 2; half++) {
        const byte *low = b + 64 * half, *high = b + 128 + 32 * half, *scales = b + 192 + 8 * half;
        for (int quarter = 0; quarter < 4; quarter++) {
            for (int i = 0; i < 32; i++) {
                int q = (low[i + quarter % 2 * 32] >> quarter / 2 * 4 & 15) | (high[i] >> quarter * 2 & 3) << 4;
                float scale = d * (float)(int8_t)scales[2 * quarter + i / 16];
                y[128 * half + 32 * quarter + i] = scale * (float)(q - 32);
            }
        }
    }
}

static void plain(float *dst, const byte *src, hn_dtype dtype, size_t n) {
    if (dtype == HN_DTYPE_F32)
        memcpy(dst, src, n * sizeof *dst);
    else if (dtype == HN_DTYPE_F16)
        for (size_t i = 0; i < n; i++) dst[i] = f16_at(src + 2 * i);
    else
        for (size_t i = 0; i < n; i++) dst[i] = hn_bf16_to_f32(u16_at(src + 2 * i));
}

void hn_ref_dequantize(float *dst, const void *src, hn_dtype dtype, size_t n) {
    void (*block)(float *, const byte *) = NULL;
    switch (dtype) {
    case HN_DTYPE_F32:
    case HN_DTYPE_F16:
    case HN_DTYPE_BF16: plain(dst, src, dtype, n); return;
    case HN_DTYPE_Q4_0: block = q4_0; break;
    case HN_DTYPE_Q4_1: block = q4_1; break;
    case HN_DTYPE_Q5_0: block = q5_0; break;
    case HN_DTYPE_Q5_1: block = q5_1; break;
    case HN_DTYPE_Q8_0: block = q8_0; break;
    case HN_DTYPE_Q2_K: block = q2_k; break;
    case HN_DTYPE_Q3_K: block = q3_k; break;
    case HN_DTYPE_Q4_K: block = q4_k; break;
    case HN_DTYPE_Q5_K: block = q5_k; break;
    case HN_DTYPE_Q6_K: block = q6_k; break;
    case HN_DTYPE_NONE: return;
    }
    hn_dtype_info info = hn_dtype_of(dtype);
    for (size_t i = 0; i < n / info.block_values; i++)
        block(dst + i * info.block_values, (const byte *)src + i * info.block_bytes);
}
