/* Ranges of characters as sequences of byte ranges. A range is cut where the number of bytes changes and where a lower
 * byte does not run through all its values, so that each piece is a product of byte ranges: U+0061-U+07FF is
 * 61-7F and C2-DF 80-BF. */
#include "engine/grammar_parts.h"

#include "base/utf8.h"

static hn_status whole_pieces(hn_code_range r, int n_bytes, hn_byte_sequence_fn each, void *context) {
    for (int i = 1; i < n_bytes; i++) {
        uint32_t low = (1u << (6 * i)) - 1;
        if ((r.first & ~low) == (r.last & ~low)) continue;
        if (r.first & low) {
            HN_TRY(whole_pieces((hn_code_range){r.first, r.first | low}, n_bytes, each, context));
            return whole_pieces((hn_code_range){(r.first | low) + 1, r.last}, n_bytes, each, context);
        }
        if ((r.last & low) != low) {
            HN_TRY(whole_pieces((hn_code_range){r.first, (r.last & ~low) - 1}, n_bytes, each, context));
            return whole_pieces((hn_code_range){r.last & ~low, r.last}, n_bytes, each, context);
        }
    }
    hn_byte_sequence s = {.n = n_bytes};
    char first[4], last[4];
    (void)hn_utf8_encode(r.first, first);
    (void)hn_utf8_encode(r.last, last);
    for (int i = 0; i < n_bytes; i++) {
        s.first[i] = (unsigned char)first[i];
        s.last[i] = (unsigned char)last[i];
    }
    return each(context, &s);
}

hn_status hn_code_range_bytes(hn_code_range range, hn_byte_sequence_fn each, void *context) {
    static const uint32_t ends[] = {0x7F, 0x7FF, 0xFFFF, 0x10FFFF};
    for (int i = 0; i < 4; i++) {
        uint32_t from = i == 0 ? 0 : ends[i - 1] + 1;
        hn_code_range r = {range.first > from ? range.first : from, range.last < ends[i] ? range.last : ends[i]};
        if (r.first <= r.last) HN_TRY(whole_pieces(r, i + 1, each, context));
    }
    return HN_OK;
}
