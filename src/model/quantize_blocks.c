/* Blocks of 32 values with one scale (Q8_0, Q4_0, Q5_0) or a scale and a minimum (Q4_1, Q5_1), and the two 16-bit floats.
 *
 * What would surprise: Q4_0 and Q5_0 take the sign of the value that is largest in size into the scale, so that this value
 * lands exactly on the lowest step (-8 or -16), which has no positive partner. Hence a block of zeros has the scale -0.
 * The steps are found with the scale before it is rounded to f16: that is how the formats' reference does it. */
#include "model/quantize_block.h"

#include <string.h>

enum { BLOCK = 32, HALF = BLOCK / 2 };

void hn_quantize_block_f16(unsigned char *block, const float *x) { (void)hn_quantize_put_f16(block, *x); }

void hn_quantize_block_bf16(unsigned char *block, const float *x) {
    uint16_t h = hn_f32_to_bf16(*x);
    block[0] = (unsigned char)h;
    block[1] = (unsigned char)(h >> 8);
}

/* The first value that is largest in size, with its sign. */
static float extreme_of(const float *x) {
    float extreme = 0;
    for (int i = 0; i < BLOCK; i++)
        if (fabsf(x[i]) > fabsf(extreme)) extreme = x[i];
    return extreme;
}

static void range_of(const float *x, float *low, float *high) {
    *low = *high = x[0];
    for (int i = 1; i < BLOCK; i++) {
        if (x[i] < *low) *low = x[i];
        if (x[i] > *high) *high = x[i];
    }
}

static float reciprocal(float d) { return d != 0 ? 1.0f / d : 0.0f; }

/* Nibbles: value i below, value i + 16 above; the fifth bits, where there are any, as one little-endian word. */
static void put_steps(unsigned char *nibbles, unsigned char *high, const uint8_t *steps) {
    uint32_t bits = 0;
    for (int i = 0; i < HALF; i++) nibbles[i] = (unsigned char)((steps[i] & 15) | (steps[i + HALF] & 15) << 4);
    if (!high) return;
    for (int i = 0; i < BLOCK; i++) bits |= (uint32_t)(steps[i] >> 4 & 1) << i;
    for (int i = 0; i < 4; i++) high[i] = (unsigned char)(bits >> (8 * i));
}

void hn_quantize_block_q8_0(unsigned char *block, const float *x) {
    float d = fabsf(extreme_of(x)) / 127, inverse = reciprocal(d);
    hn_quantize_put_f16(block, d);
    for (int i = 0; i < BLOCK; i++) { /* ties away from zero, unlike the K formats */
        float v = hn_quantize_clamp(x[i] * inverse, -127, 127);
        int q = (int)v;
        float rest = v - (float)q;
        block[2 + i] = (unsigned char)(int8_t)(q + (rest >= 0.5f) - (rest <= -0.5f));
    }
}

/* Steps 0 .. 2 * middle - 1, of which `middle` stands for zero. */
static void signed_steps(const float *x, int middle, float *scale, uint8_t *steps) {
    float d = extreme_of(x) / (float)-middle, inverse = reciprocal(d);
    for (int i = 0; i < BLOCK; i++)
        steps[i] = (uint8_t)(int)hn_quantize_clamp(x[i] * inverse + ((float)middle + 0.5f), 0, 2 * middle - 1);
    *scale = d;
}

/* Steps 0 .. n_steps from the minimum up. */
static void ranged_steps(const float *x, int n_steps, float *scale, float *minimum, uint8_t *steps) {
    float high;
    range_of(x, minimum, &high);
    *scale = (high - *minimum) / (float)n_steps;
    float inverse = reciprocal(*scale);
    for (int i = 0; i < BLOCK; i++)
        steps[i] = (uint8_t)(int)hn_quantize_clamp((x[i] - *minimum) * inverse + 0.5f, 0, n_steps);
}

void hn_quantize_block_q4_0(unsigned char *block, const float *x) {
    uint8_t steps[BLOCK];
    float d;
    signed_steps(x, 8, &d, steps);
    hn_quantize_put_f16(block, d);
    put_steps(block + 2, NULL, steps);
}

void hn_quantize_block_q5_0(unsigned char *block, const float *x) {
    uint8_t steps[BLOCK];
    float d;
    signed_steps(x, 16, &d, steps);
    hn_quantize_put_f16(block, d);
    put_steps(block + 6, block + 2, steps);
}

void hn_quantize_block_q4_1(unsigned char *block, const float *x) {
    uint8_t steps[BLOCK];
    float d, m;
    ranged_steps(x, 15, &d, &m, steps);
    hn_quantize_put_f16(block, d);
    hn_quantize_put_f16(block + 2, m);
    put_steps(block + 4, NULL, steps);
}

void hn_quantize_block_q5_1(unsigned char *block, const float *x) {
    uint8_t steps[BLOCK];
    float d, m;
    ranged_steps(x, 31, &d, &m, steps);
    hn_quantize_put_f16(block, d);
    hn_quantize_put_f16(block + 2, m);
    put_steps(block + 8, block + 4, steps);
}
