/* Number formats of tensors: GGUF's type numbers, with how many values and bytes a block has.
 *
 *     hn_dtype_info info = hn_dtype_of(HN_DTYPE_Q4_1);     // 32 values in 20 bytes
 *     size_t row_bytes = n_columns / info.block_values * info.block_bytes;
 *
 * The numbers are ggml's (they stand in GGUF files). Threading: constants only. */
#ifndef HN_BASE_DTYPE_H
#define HN_BASE_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* name, number in GGUF, values in a block, bytes in a block */
#define HN_DTYPE_LIST(X)                                                                                               \
    X(F32, 0, 1, 4)                                                                                                    \
    X(F16, 1, 1, 2)                                                                                                    \
    X(Q4_0, 2, 32, 18)                                                                                                 \
    X(Q4_1, 3, 32, 20)                                                                                                 \
    X(Q5_0, 6, 32, 22)                                                                                                 \
    X(Q5_1, 7, 32, 24)                                                                                                 \
    X(Q8_0, 8, 32, 34)                                                                                                 \
    X(Q2_K, 10, 256, 84)                                                                                               \
    X(Q3_K, 11, 256, 110)                                                                                              \
    X(Q4_K, 12, 256, 144)                                                                                              \
    X(Q5_K, 13, 256, 176)                                                                                              \
    X(Q6_K, 14, 256, 210)                                                                                              \
    X(BF16, 30, 1, 2)

#define HN_DTYPE_ENUM(name, number, values, bytes) HN_DTYPE_##name = number,
typedef enum hn_dtype { HN_DTYPE_LIST(HN_DTYPE_ENUM) HN_DTYPE_NONE = 255 } hn_dtype;
#undef HN_DTYPE_ENUM

typedef struct hn_dtype_info {
    const char *name; /* "Q4_1"; NULL: not a format of this list */
    size_t block_values, block_bytes;
} hn_dtype_info;

hn_dtype_info hn_dtype_of(hn_dtype dtype);
/* Bytes of `n` values; false where n is not whole blocks, the format is unknown, or the product overflows. */
bool hn_dtype_bytes(hn_dtype dtype, uint64_t n, size_t *size_bytes);

/* Scalar conversions, round to nearest even; exact for what fits. */
float hn_f16_to_f32(uint16_t h);
uint16_t hn_f32_to_f16(float f);
float hn_bf16_to_f32(uint16_t h);
uint16_t hn_f32_to_bf16(float f);

#endif
