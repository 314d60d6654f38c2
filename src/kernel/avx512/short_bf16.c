/* bf16 panels with 12 bits a weight, for the products of matmul_bf16.c. Not one bit of a weight is lost.
 *
 * Decoding reads every weight once per token and is bound by memory, and the eight bits of a bf16's exponent say little:
 * among some thousand weights nearly all lie in 16 neighbouring powers of two. So a block, 64 inputs by 32 outputs
 * (the last of a panel may have 32 inputs), has a table of 16 exponents, and a weight is its sign and mantissa (a byte)
 * and the number of its exponent (four bits). The few weights whose exponent is not in the table stand in a list; a
 * block with more of them than the list holds is marked and read from the file's bytes: matmul.c keeps plain panels
 * where that would happen often.
 *
 *     block: a head of 64 bytes, then for each two pairs of inputs 192 bytes: sign and mantissa of the first pair's
 *     weights, of the second pair's, and 64 bytes of two numbers each, the first pair's in the lower half.
 *
 * Within a pair's 64 bytes, byte 16 l + i is number 8 l + i of the plain panel's first register where i < 8, else
 * number 8 l + i - 8 of its second: so that joining low and high bytes (UNPCKLBW, UNPCKHBW) gives both registers. */
#include "kernel/avx512/short_bf16.h"
#include "kernel/avx512/avx512.h"

#include <immintrin.h>
#include <string.h>

enum {
    COLUMNS = 32,
    BLOCK_INPUTS = 64,
    ODD_MAX = 11,
    ODD_TOO_MANY = 255,
    TWO_PAIRS_BYTES = 192,
    AHEAD_BYTES = 4096, /* how far before its use memory is asked for */
    CODES = 16,
};

typedef uint16_t bf16;
typedef unsigned char byte;

/* A weight that is not as the table has it: number `place` of the block's plain form. */
typedef struct odd_weight {
    uint16_t place, value;
} odd_weight;

typedef struct head {
    byte exponents[CODES];
    byte n_odd, unused[3];
    odd_weight odd[ODD_MAX];
} head;
_Static_assert(sizeof(head) == 64, "a head is one cache line");

static int64_t padded(int64_t K) { return (K + 31) / 32 * 32; }
static int64_t inputs_at(int64_t Kp, int64_t k) { return Kp - k < BLOCK_INPUTS ? Kp - k : BLOCK_INPUTS; }
static size_t block_bytes(int64_t n_inputs) { return sizeof(head) + (size_t)n_inputs / 4 * TWO_PAIRS_BYTES; }

size_t hn_avx512_short_panel_bytes(int64_t K) {
    int64_t Kp = padded(K), whole = Kp / BLOCK_INPUTS, rest = Kp % BLOCK_INPUTS;
    return (size_t)whole * block_bytes(BLOCK_INPUTS) + (rest ? block_bytes(rest) : 0);
}

size_t hn_avx512_short_blocks(int64_t K) { return (size_t)((padded(K) + BLOCK_INPUTS - 1) / BLOCK_INPUTS); }

/* ---- packing ---- */

/* Words' exponents, as words. */
static __m512i exponents_of(__m512i weights) {
    return _mm512_and_si512(_mm512_srli_epi16(weights, 7), _mm512_set1_epi16(0xFF));
}

/* How many of n registers' weights have an exponent that a table from `top` downwards does not hold. */
static int count_odd(const bf16 *plain, int n, int top, bool has_zero) {
    int odd = 0, last = has_zero ? CODES - 2 : CODES - 1;
    for (int i = 0; i < n; i++) {
        __m512i e = exponents_of(_mm512_load_si512(plain + 32 * i));
        __m512i below = _mm512_sub_epi16(_mm512_set1_epi16((short)top), e);
        __mmask32 out = _mm512_cmpgt_epu16_mask(below, _mm512_set1_epi16((short)last));
        if (has_zero) out &= _mm512_test_epi16_mask(e, e);
        odd += __builtin_popcount(out);
    }
    return odd;
}

/* The table's largest exponent: the block's own, or a lower one where that leaves fewer weights out. */
static int choose_top(const bf16 *plain, int n, bool *has_zero) {
    __m512i most = _mm512_setzero_si512();
    __mmask32 zeros = 0;
    for (int i = 0; i < n; i++) {
        __m512i e = exponents_of(_mm512_load_si512(plain + 32 * i));
        most = _mm512_max_epu16(most, e);
        zeros |= _mm512_testn_epi16_mask(e, e);
    }
    _Alignas(64) uint16_t largest[32];
    _mm512_store_si512(largest, most);
    int top = 0;
    for (int i = 0; i < 32; i++) top = largest[i] > top ? largest[i] : top;
    *has_zero = zeros != 0;
    int best = top, least = count_odd(plain, n, top, *has_zero);
    for (int lower = top - 1; least > ODD_MAX && lower > top - 24 && lower > 0; lower--) {
        int odd = count_odd(plain, n, lower, *has_zero);
        if (odd < least) least = odd, best = lower;
    }
    return best;
}

/* The table's number for each weight of a register, as words; `odd` gets those that have none (and number 0). */
static __m512i codes_of(__m512i weights, int top, bool has_zero, __mmask32 *odd) {
    __m512i e = exponents_of(weights), code = _mm512_sub_epi16(_mm512_set1_epi16((short)top), e);
    if (has_zero) code = _mm512_mask_blend_epi16(_mm512_testn_epi16_mask(e, e), code, _mm512_set1_epi16(CODES - 1));
    *odd = _mm512_cmpgt_epu16_mask(code, _mm512_set1_epi16(CODES - 1));
    if (has_zero) *odd |= _mm512_cmpeq_epi16_mask(code, _mm512_set1_epi16(CODES - 1)) & _mm512_test_epi16_mask(e, e);
    return _mm512_maskz_mov_epi16((__mmask32) ~*odd, code);
}

static void list_odd(head *h, const bf16 *weights, int first_place, __mmask32 odd) {
    for (; odd; odd &= odd - 1) {
        if (h->n_odd >= ODD_MAX) {
            h->n_odd = ODD_TOO_MANY;
            return;
        }
        int i = __builtin_ctz(odd);
        h->odd[h->n_odd++] = (odd_weight){(uint16_t)(first_place + i), weights[i]};
    }
}

/* Lower bytes of two registers of words, in the order described above. */
static __m512i join(__m512i first, __m512i second) { return _mm512_packus_epi16(first, second); }

static void pack_pair(byte *mantissas, __m512i *codes, head *h, const bf16 *weights, int place, int top,
                      bool has_zero) {
    __m512i low_bits = _mm512_set1_epi16(0x7F), w[2], c[2], m[2];
    for (int i = 0; i < 2; i++) {
        __mmask32 odd;
        w[i] = _mm512_load_si512(weights + 32 * i);
        c[i] = codes_of(w[i], top, has_zero, &odd);
        m[i] = _mm512_or_si512(_mm512_and_si512(w[i], low_bits),
                               _mm512_and_si512(_mm512_srli_epi16(w[i], 8), _mm512_set1_epi16(0x80)));
        list_odd(h, weights + 32 * i, place + 32 * i, odd);
    }
    _mm512_store_si512(mantissas, join(m[0], m[1]));
    *codes = join(c[0], c[1]);
}

/* `plain`: (n_inputs/2, 32, 2). False: the block is too varied. */
static bool pack_block(byte *block, const bf16 *plain, int n_inputs) {
    head *h = (head *)block;
    bool has_zero;
    int top = choose_top(plain, n_inputs, &has_zero);
    memset(h, 0, sizeof *h);
    for (int i = 0; i < CODES; i++) h->exponents[i] = (byte)(top > i ? top - i : 0);
    if (has_zero) h->exponents[CODES - 1] = 0;
    byte *to = block + sizeof *h;
    for (int pair = 0; pair < n_inputs / 2; pair += 2, to += TWO_PAIRS_BYTES) {
        __m512i low, high;
        pack_pair(to, &low, h, plain + 64 * pair, 64 * pair, top, has_zero);
        pack_pair(to + 64, &high, h, plain + 64 * (pair + 1), 64 * (pair + 1), top, has_zero);
        _mm512_store_si512(to + 128, _mm512_or_si512(low, _mm512_slli_epi16(high, 4)));
    }
    return h->n_odd != ODD_TOO_MANY;
}

size_t hn_avx512_short_pack(void *panel, const hn_matrix *w, int64_t first) {
    enum { PART = 256 };
    _Alignas(64) bf16 plain[PART * COLUMNS];
    byte *to = panel;
    size_t varied = 0;
    int64_t Kp = padded(w->n_in);
    for (int64_t k = 0; k < Kp; k += PART) {
        int64_t n = Kp - k < PART ? Kp - k : PART;
        hn_avx512_pack_bf16_part(plain, w, first, k, n);
        for (int64_t i = 0; i < n; i += BLOCK_INPUTS) {
            int64_t inputs = inputs_at(n, i);
            varied += !pack_block(to, plain + i * COLUMNS, (int)inputs);
            to += block_bytes(inputs);
        }
    }
    return varied;
}

/* ---- in registers ---- */

typedef struct table {
    __m512i high, low; /* for each number: an exponent's upper seven bits, and its lowest as a byte's highest */
} table;

__attribute__((always_inline)) static inline table table_of(const byte *block) {
    __m512i exponents = _mm512_broadcast_i32x4(_mm_load_si128((const __m128i *)block));
    return (table){_mm512_and_si512(_mm512_srli_epi16(exponents, 1), _mm512_set1_epi8(0x7F)),
                   _mm512_and_si512(_mm512_slli_epi16(exponents, 7), _mm512_set1_epi8((char)0x80))};
}

/* A pair's two registers of weights. */
__attribute__((always_inline)) static inline void weights_of(__m512i w[2], __m512i mantissas, __m512i codes,
                                                             const table *t) {
    enum { PICK_AND_OR = 0xEA, PICK_ANDNOT_OR = 0xBA }; /* (a & b) | c, (a & ~b) | c */
    const __m512i sign = _mm512_set1_epi8((char)0x80);
    __m512i high = _mm512_ternarylogic_epi32(mantissas, sign, _mm512_shuffle_epi8(t->high, codes), PICK_AND_OR);
    __m512i low = _mm512_ternarylogic_epi32(mantissas, sign, _mm512_shuffle_epi8(t->low, codes), PICK_ANDNOT_OR);
    w[0] = _mm512_unpacklo_epi8(low, high);
    w[1] = _mm512_unpackhi_epi8(low, high);
}

/* Calls use(pair, weights) for all pairs of a block whose list of odd weights is empty or does not matter yet. */
#define FOR_PAIRS(block, n_inputs, use)                                                                                \
    do {                                                                                                               \
        const table t = table_of(block);                                                                               \
        const __m512i low4 = _mm512_set1_epi8(15);                                                                     \
        const byte *at = (block) + sizeof(head);                                                                       \
        for (int pair = 0; pair < (n_inputs) / 2; pair += 2, at += TWO_PAIRS_BYTES) {                                  \
            for (int line = 0; line < TWO_PAIRS_BYTES; line += 64)                                                     \
                _mm_prefetch((const char *)at + AHEAD_BYTES + line, _MM_HINT_T0);                                      \
            __m512i codes = _mm512_load_si512(at + 128), both[2];                                                      \
            weights_of(both, _mm512_load_si512(at), _mm512_and_si512(codes, low4), &t);                                \
            use(pair, both);                                                                                           \
            weights_of(both, _mm512_load_si512(at + 64), _mm512_and_si512(_mm512_srli_epi16(codes, 4), low4), &t);     \
            use(pair + 1, both);                                                                                       \
        }                                                                                                              \
    } while (0)

#define STORE_PAIR(pair, w)                                                                                            \
    do {                                                                                                               \
        _mm512_store_si512(to + 64 * (pair), (w)[0]);                                                                  \
        _mm512_store_si512(to + 64 * (pair) + 32, (w)[1]);                                                             \
    } while (0)

/* A block as the plain panel has it: (n_inputs/2, 32, 2). `k`: its first input. */
static void unpack_block(bf16 *to, const byte *block, int n_inputs, const hn_matrix *w, int64_t first, int64_t k) {
    const head *h = (const head *)block;
    if (h->n_odd == ODD_TOO_MANY) {
        hn_avx512_pack_bf16_part(to, w, first, k, n_inputs);
        return;
    }
    FOR_PAIRS(block, n_inputs, STORE_PAIR);
    for (int i = 0; i < h->n_odd; i++) to[h->odd[i].place] = h->odd[i].value;
}

const void *hn_avx512_short_unpack(bf16 *to, const void *at, const hn_matrix *w, int64_t first, int64_t from,
                                   int64_t n) {
    const byte *block = at;
    for (int64_t k = 0, inputs; k < n; k += inputs) {
        inputs = inputs_at(n, k);
        unpack_block(to + k * COLUMNS, block, (int)inputs, w, first, from + k);
        block += block_bytes(inputs);
    }
    return block;
}

/* Adds a pair's products to the sums of `rows` rows. */
__attribute__((always_inline)) static inline void add_pair(__m512 (*sum)[2], const bf16 *x, int64_t x_stride,
                                                           const __m512i w[2], int rows) {
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
        int both;
        memcpy(&both, x + r * x_stride, sizeof both);
        __m512bh inputs = (__m512bh)_mm512_set1_epi32(both);
        sum[r][0] = _mm512_dpbf16_ps(sum[r][0], inputs, (__m512bh)w[0]);
        sum[r][1] = _mm512_dpbf16_ps(sum[r][1], inputs, (__m512bh)w[1]);
    }
}

/* `rows` rows (a constant after inlining) times one panel: the chains of matmul_bf16.c's tiles. */
__attribute__((always_inline)) static inline void rows_by_panel(const hn_short_product *p, int rows) {
    __m512 sum[HN_SHORT_ROWS][2];
    for (int r = 0; r < rows; r++) sum[r][0] = sum[r][1] = _mm512_setzero_ps();
    const byte *block = p->panel;
    int64_t Kp = padded(p->w->n_in);
    for (int64_t k = 0, n; k < Kp; k += n) {
        n = inputs_at(Kp, k);
        const bf16 *x = p->x + k;
        if (((const head *)block)->n_odd == 0) {
#define ADD_PAIR(pair, w) add_pair(sum, x + 2 * (pair), p->x_stride, w, rows)
            FOR_PAIRS(block, n, ADD_PAIR);
        } else {
            _Alignas(64) bf16 plain[BLOCK_INPUTS * COLUMNS];
            unpack_block(plain, block, (int)n, p->w, p->first, k);
            for (int pair = 0; pair < n / 2; pair++) {
                const __m512i w[2] = {_mm512_load_si512(plain + 64 * pair), _mm512_load_si512(plain + 64 * pair + 32)};
                add_pair(sum, x + 2 * pair, p->x_stride, w, rows);
            }
        }
        block += block_bytes(n);
    }
    for (int half = 0; half < 2; half++) {
        int64_t left = p->w->n_out - p->first - 16 * half;
        __mmask16 mask = left >= 16 ? 0xFFFF : left <= 0 ? 0 : (__mmask16)((1u << left) - 1);
        for (int r = 0; r < rows; r++) _mm512_mask_storeu_ps(p->y + r * p->y_stride + 16 * half, mask, sum[r][half]);
    }
}

void hn_avx512_short_multiply(const hn_short_product *p, int rows) {
    switch (rows) {
    case 1: rows_by_panel(p, 1); break;
    case 2: rows_by_panel(p, 2); break;
    case 3: rows_by_panel(p, 3); break;
    case 4: rows_by_panel(p, 4); break;
    case 5: rows_by_panel(p, 5); break;
    case 6: rows_by_panel(p, 6); break;
    case 7: rows_by_panel(p, 7); break;
    case 8: rows_by_panel(p, 8); break;
    default: break;
    }
}
