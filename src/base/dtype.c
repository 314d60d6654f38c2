/* Number formats; see dtype.h. */
#include "base/dtype.h"

#include <string.h>

hn_dtype_info hn_dtype_of(hn_dtype dtype) {
    switch (dtype) {
#define DTYPE_CASE(name, number, values, bytes)                                                                        \
    case HN_DTYPE_##name: return (hn_dtype_info){#name, values, bytes};
        HN_DTYPE_LIST(DTYPE_CASE)
    case HN_DTYPE_NONE: break;
    }
    return (hn_dtype_info){0};
}

bool hn_dtype_bytes(hn_dtype dtype, uint64_t n, size_t *size_bytes) {
    hn_dtype_info info = hn_dtype_of(dtype);
    if (!info.name || n % info.block_values) return false;
    return !__builtin_mul_overflow(n / info.block_values, info.block_bytes, size_bytes);
}

static uint32_t bits_of(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

float hn_f16_to_f32(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 1023;
    if (exponent == 31) return float_of(sign | 0x7F800000 | mantissa << 13);
    if (exponent) return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
    return float_of(sign | bits_of((float)mantissa * 0x1.0p-24f)); /* subnormal or zero */
}

uint16_t hn_f32_to_f16(float f) {
    uint32_t bits = bits_of(f), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7FFFFFFF;
    if (magnitude > 0x7F800000) return (uint16_t)(sign | 0x7E00 | (magnitude >> 13 & 0x1FF)); /* NaN stays NaN */
    if (magnitude >= 0x477FF000) return (uint16_t)(sign | 0x7C00);                            /* rounds to infinity */
    if (magnitude < 0x38800000) { /* subnormal in f16: adding 0.5 lines the mantissa up, rounding to even on the way */
        float shifted = float_of(magnitude) + 0.5f;
        return (uint16_t)(sign | (bits_of(shifted) - bits_of(0.5f)));
    }
    uint32_t rounded = magnitude + 0xFFF + (magnitude >> 13 & 1);
    return (uint16_t)(sign | ((rounded - 0x38000000) >> 13));
}

float hn_bf16_to_f32(uint16_t h) { return float_of((uint32_t)h << 16); }

uint16_t hn_f32_to_bf16(float f) {
    uint32_t bits = bits_of(f);
    if ((bits & 0x7FFFFFFF) > 0x7F800000) return (uint16_t)(bits >> 16 | 64);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}
