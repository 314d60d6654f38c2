/* Inside avx2/: the layout of a quantised panel's blocks, 16 outputs by 32 inputs each.
 *
 *     4 bits: two halves of 8 outputs, 128 bytes each: 4 registers of 16 words of 16 bits; nibble j of word l of
 *             register z is input 8z + 2j + l%2 of output l/2
 *     8 bits: for each of 16 pairs of inputs, 16 outputs with 2 bytes each: 512 bytes
 *     then, in f16, the scales of the 16 outputs, and where they are stored their minima: 32 bytes each
 *
 *     panel_kind kind = kind_of(HN_DTYPE_Q4_1);            // 4 bits, minima stored
 *
 * Threading: pure functions. */
#ifndef HN_KERNEL_AVX2_QUANT_PANEL_H
#define HN_KERNEL_AVX2_QUANT_PANEL_H

#include "base/dtype.h"

enum { Q4_HALF_BYTES = 128, Q4_QUANTS_BYTES = 256, Q8_QUANTS_BYTES = 512 };

typedef unsigned char byte;

/* MINIMUM_EIGHT: quants stand for q - 8, so the minimum is -8 scales. */
typedef enum panel_minimum { MINIMUM_NONE, MINIMUM_STORED, MINIMUM_EIGHT } panel_minimum;

typedef struct panel_kind {
    bool four_bits;
    panel_minimum minimum;
} panel_kind;

static inline panel_kind kind_of(hn_dtype dtype) {
    bool stored = dtype == HN_DTYPE_Q4_1 || dtype == HN_DTYPE_Q5_1;
    return (panel_kind){.four_bits = dtype == HN_DTYPE_Q4_0 || dtype == HN_DTYPE_Q4_1,
                        .minimum = stored                   ? MINIMUM_STORED
                                   : dtype == HN_DTYPE_Q4_0 ? MINIMUM_EIGHT
                                                            : MINIMUM_NONE};
}

static inline size_t quant_bytes(panel_kind kind) { return kind.four_bits ? Q4_QUANTS_BYTES : Q8_QUANTS_BYTES; }
static inline size_t block_bytes(panel_kind kind) {
    return quant_bytes(kind) + (kind.minimum == MINIMUM_STORED ? 64 : 32);
}

#endif
