/* Packing weights into the quantised panels of quant_int16.c, which describes them. The quants are the file's own: only
 * their order changes, and those of five bits get eight. */
#include "kernel/avx2/quant_int16.h"
#include "kernel/avx2/quant_panel.h"

#include <string.h>

static uint64_t u64_at(const byte *p) {
    uint64_t bits;
    memcpy(&bits, p, sizeof bits);
    return bits;
}

/* The lowest four bits of each 16-bit word, side by side. */
static uint32_t low_nibbles(uint64_t q) {
    q &= 0x000F000F000F000Full;
    q = (q | q >> 12) & 0x000000FF000000FFull;
    return (uint32_t)((q | q >> 24) & 0xFFFF);
}

/* Output `o`'s 16 bytes of two nibbles each (inputs 0..15 low, 16..31 high). */
static void pack_nibbles(byte *block, int o, const byte *qs) {
    byte *half = block + o / 8 * Q4_HALF_BYTES + o % 8 * 4;
    for (int z = 0; z < 4; z++) {
        uint64_t q = u64_at(qs + z % 2 * 8) >> z / 2 * 4;
        uint32_t lane = low_nibbles(q) | low_nibbles(q >> 8) << 16;
        memcpy(half + 32 * z, &lane, sizeof lane);
    }
}

/* Output `o`'s 32 quants of a byte each. */
static void pack_bytes(byte *block, int o, const byte *quants) {
    for (int pair = 0; pair < 16; pair++) memcpy(block + 32 * pair + 2 * o, quants + 2 * pair, 2);
}

/* Quants of five bits: nibbles and 32 high bits; less `offset`. */
static void five_bits(byte *quants, const byte *qs, const byte *high, int offset) {
    uint32_t bits;
    memcpy(&bits, high, sizeof bits);
    for (int i = 0; i < 16; i++) {
        quants[i] = (byte)(((qs[i] & 15u) | (bits >> i & 1) << 4) - (unsigned)offset);
        quants[i + 16] = (byte)((qs[i] >> 4 | (bits >> (i + 16) & 1) << 4) - (unsigned)offset);
    }
}

static void pack_output(byte *block, int o, const byte *from, hn_dtype dtype) {
    byte quants[32];
    switch (dtype) {
    case HN_DTYPE_Q4_0: pack_nibbles(block, o, from + 2); break;
    case HN_DTYPE_Q4_1: pack_nibbles(block, o, from + 4); break;
    case HN_DTYPE_Q5_0:
        five_bits(quants, from + 6, from + 2, 16);
        pack_bytes(block, o, quants);
        break;
    case HN_DTYPE_Q5_1:
        five_bits(quants, from + 8, from + 4, 0);
        pack_bytes(block, o, quants);
        break;
    default: pack_bytes(block, o, from + 2); break;
    }
    panel_kind kind = kind_of(dtype);
    byte *scales = block + quant_bytes(kind);
    memcpy(scales + 2 * o, from, 2);
    if (kind.minimum == MINIMUM_STORED) memcpy(scales + 32 + 2 * o, from + 2, 2);
}

void hn_avx2_quant_pack(void *panel, const hn_matrix *w, int64_t first) {
    static const byte zeros[64];
    hn_dtype_info info = hn_dtype_of(w->dtype);
    size_t n_blocks = (size_t)w->n_in / 32, size = block_bytes(kind_of(w->dtype));
    for (int o = 0; o < HN_AVX2_COLUMNS; o++) {
        const byte *from =
            first + o < w->n_out ? (const byte *)w->data + (size_t)(first + o) * n_blocks * info.block_bytes : NULL;
        for (size_t b = 0; b < n_blocks; b++)
            pack_output((byte *)panel + b * size, o, from ? from + b * info.block_bytes : zeros, w->dtype);
    }
}

bool hn_avx2_quant_has(hn_dtype dtype) {
    switch (dtype) {
    case HN_DTYPE_Q4_0:
    case HN_DTYPE_Q4_1:
    case HN_DTYPE_Q5_0:
    case HN_DTYPE_Q5_1:
    case HN_DTYPE_Q8_0: return true;
    default: return false;
    }
}

size_t hn_avx2_quant_panel_bytes(hn_dtype dtype, int64_t K) {
    return ((size_t)(K / 32) * block_bytes(kind_of(dtype)) + 63) / 64 * 64;
}
