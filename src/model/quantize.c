/* Quantisation of rows; see quantize.h. What is here: which formats there are, what stands in for one that does not fit,
 * and the checks around the blocks' arithmetic (quantize_blocks.c, quantize_k.c).
 *
 * What would surprise: a value can be too large for every format but F32, since each block's scale is an f16 number. That is
 * seen after the fact, by a scale that became infinite; only what would overflow on the way there is refused before. */
#include "model/quantize.h"

#include "model/quantize_block.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Above every format's largest number (Q6_K's is 65,504 * 128 * 32), and far below where sums of cubes overflow. */
static const float too_large = 1e9f;

typedef struct format {
    hn_dtype dtype, fallback;
    hn_quantize_block *block;
    int scales[2]; /* where a block's f16 numbers are; -1: none */
} format;

/* From the largest to the smallest. F32 is copied. */
static const format formats[] = {
    {HN_DTYPE_F32, HN_DTYPE_F32, NULL, {-1, -1}},
    {HN_DTYPE_BF16, HN_DTYPE_BF16, hn_quantize_block_bf16, {-1, -1}},
    {HN_DTYPE_F16, HN_DTYPE_F16, hn_quantize_block_f16, {0, -1}},
    {HN_DTYPE_Q8_0, HN_DTYPE_F16, hn_quantize_block_q8_0, {0, -1}},
    {HN_DTYPE_Q6_K, HN_DTYPE_Q8_0, hn_quantize_block_q6_k, {208, -1}},
    {HN_DTYPE_Q5_1, HN_DTYPE_F16, hn_quantize_block_q5_1, {0, 2}},
    {HN_DTYPE_Q5_K, HN_DTYPE_Q5_1, hn_quantize_block_q5_k, {0, 2}},
    {HN_DTYPE_Q5_0, HN_DTYPE_F16, hn_quantize_block_q5_0, {0, -1}},
    {HN_DTYPE_Q4_1, HN_DTYPE_F16, hn_quantize_block_q4_1, {0, 2}},
    {HN_DTYPE_Q4_K, HN_DTYPE_Q5_0, hn_quantize_block_q4_k, {0, 2}},
    {HN_DTYPE_Q4_0, HN_DTYPE_F16, hn_quantize_block_q4_0, {0, -1}},
};
enum { N_FORMATS = sizeof formats / sizeof *formats };

static const format *find(hn_dtype dtype) {
    for (size_t i = 0; i < N_FORMATS; i++)
        if (formats[i].dtype == dtype) return &formats[i];
    return NULL;
}

bool hn_quantize_format(const char *name, hn_dtype *dtype) {
    for (size_t i = 0; i < N_FORMATS; i++) {
        if (strcasecmp(hn_dtype_of(formats[i].dtype).name, name) != 0) continue;
        *dtype = formats[i].dtype;
        return true;
    }
    return false;
}

hn_dtype hn_quantize_format_at(size_t i) { return i < N_FORMATS ? formats[i].dtype : HN_DTYPE_NONE; }

hn_dtype hn_quantize_fallback(hn_dtype wanted, uint64_t n) {
    const format *f = find(wanted);
    while (f && n % hn_dtype_of(f->dtype).block_values) f = find(f->fallback);
    return f ? f->dtype : HN_DTYPE_NONE;
}

static hn_status refuse_value(hn_error *err, const char *name, const float *x, size_t i) {
    char where[40];
    snprintf(where, sizeof where, "column %zu", i);
    if (!isfinite(x[i]))
        return hn_fail(err, HN_ERR_INPUT, where, "the weights are damaged: get or train them again",
                       "a weight is not a finite number (%g)", (double)x[i]);
    return hn_fail(err, HN_ERR_INPUT, where, "use bf16 or f32", "the weight %g is too large for %s", (double)x[i],
                   name);
}

/* Of the values of one block, that which is largest in size. */
static size_t largest_of(const float *x, size_t n) {
    size_t at = 0;
    for (size_t i = 1; i < n; i++)
        if (fabsf(x[i]) > fabsf(x[at])) at = i;
    return at;
}

static bool is_finite_f16(const unsigned char *at) { return (at[1] & 0x7c) != 0x7c; }

hn_status hn_quantize_row(void *dst, const float *src, hn_dtype dtype, size_t n, hn_error *err) {
    const format *f = find(dtype);
    hn_dtype_info info = hn_dtype_of(dtype);
    if (!f)
        return hn_fail(err, HN_ERR_UNSUPPORTED, NULL, "use q4_0 or q4_k", "%s can be read but not written",
                       info.name ? info.name : "this format");
    if (n % info.block_values)
        return hn_fail(err, HN_ERR_USAGE, NULL, NULL, "a row of %zu values is not whole blocks of %zu", n,
                       info.block_values);
    float limit = info.block_values > 1 ? too_large : 3.402823466e38f;
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(src[i]) <= limit)) return refuse_value(err, info.name, src, i);
    if (!f->block) {
        memcpy(dst, src, n * sizeof *src);
        return HN_OK;
    }
    unsigned char *block = dst;
    for (size_t i = 0; i < n; i += info.block_values, block += info.block_bytes) {
        f->block(block, src + i);
        bool fits = dtype != HN_DTYPE_BF16 || isfinite(hn_bf16_to_f32((uint16_t)(block[0] | block[1] << 8)));
        for (int s = 0; s < 2 && f->scales[s] >= 0; s++) fits &= is_finite_f16(block + f->scales[s]);
        if (!fits) return refuse_value(err, info.name, src, i + largest_of(src + i, info.block_values));
    }
    return HN_OK;
}
