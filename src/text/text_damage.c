/* Damage by wrong encodings; see text_damage.h. */
#include "text/text_damage.h"

#include "base/alloc.h"
#include "base/utf8.h"
#include "text/unicode_form.h"

#include <string.h>
#include <utf8proc.h>

/* The byte of Windows-1252 (or Latin-1, for its control characters) that a character stands for; -1: none. */
static int byte_of(uint32_t cp) {
    static const uint16_t table[32] = {0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
                                       0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0,      0x017D, 0,
                                       0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
                                       0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178};
    if (cp <= 0xFF) return (int)cp;
    for (int i = 0; i < 32; i++)
        if (table[i] == cp) return 0x80 + i;
    return -1;
}

/* Bytes of `text` that are one character read in the wrong code page; *lead gets its first byte there. 0: it is none. */
static size_t misread(hn_str text, size_t at, int *lead) {
    char bytes[4];
    size_t n = 0, wanted = 1, i = at;
    while (n < wanted && i < text.len) {
        uint32_t cp;
        i += hn_utf8_decode(text.data + i, text.len - i, &cp);
        int byte = byte_of(cp);
        if (byte < 0x80) return 0;
        if (n == 0) {
            wanted = byte >= 0xC2 && byte <= 0xDF   ? 2
                     : byte >= 0xE0 && byte <= 0xEF ? 3
                     : byte >= 0xF0 && byte <= 0xF4 ? 4
                                                    : 0;
            *lead = byte;
            if (wanted == 0) return 0;
        }
        bytes[n++] = (char)byte;
    }
    uint32_t cp;
    size_t used;
    if (n < wanted || !hn_utf8_decode_strict(bytes, n, &cp, &used) || used != n) return 0;
    return i - at;
}

/* Three bytes and more do not come together by chance; pairs do, behind capitals ("CAFÉ»"). */
static bool is_mojibake(hn_str text, size_t at) {
    int lead, next;
    size_t n = misread(text, at, &lead);
    if (n == 0) return false;
    if (lead >= 0xE0) return true;
    bool closing = n == 4 && memcmp(text.data + at + 2, "\xC2\xBB", 2) == 0; /* a quotation mark */
    if (lead <= 0xC3 && !closing) return true;
    return at + n < text.len && misread(text, at + n, &next) > 0;
}

/* Where memory is used up or the text is no UTF-8 nothing is claimed. */
static bool is_decomposed(hn_str text) {
    size_t n, i = 0, k = 0;
    bool memory;
    int32_t *form = hn_unicode_form(text, UTF8PROC_STABLE | UTF8PROC_COMPOSE, &n, &memory);
    if (!form) return false;
    for (uint32_t cp; i < text.len && k < n && form[k] >= 0; k++) {
        i += hn_utf8_decode(text.data + i, text.len - i, &cp);
        if (cp != (uint32_t)form[k]) break;
    }
    hn_free(form);
    return i < text.len || k < n;
}

static void note(unsigned *found, size_t *first, hn_damage kind, size_t at) {
    if (!(*found & 1u << kind) && first) first[kind] = at;
    *found |= 1u << kind;
}

unsigned hn_text_damage(hn_str text, size_t first[HN_DAMAGE_COUNT]) {
    unsigned found = 0;
    bool marks = false;
    for (size_t i = 0, used; i < text.len; i += used) {
        unsigned char c = (unsigned char)text.data[i];
        uint32_t cp = c;
        bool valid = true;
        used = 1;
        if (c >= 0x80) valid = hn_utf8_decode_strict(text.data + i, text.len - i, &cp, &used);
        if (!valid || cp == 0xFFFD)
            note(&found, first, HN_DAMAGE_REPLACEMENT, i);
        else if (c >= 0x80 && cp <= 0xF4 && cp >= 0xC2 && is_mojibake(text, i))
            note(&found, first, HN_DAMAGE_MOJIBAKE, i);
        else if ((cp < 0x20 && cp != '\t' && cp != '\n' && cp != '\r') || cp == 0x7F)
            note(&found, first, HN_DAMAGE_CONTROL, i);
        else if (cp >= 0x80 && cp < 0xA0 && cp != 0x85 && !(found & 1u << HN_DAMAGE_MOJIBAKE))
            note(&found, first, HN_DAMAGE_CONTROL, i);
        else if (cp >= 0x300 && hn_unicode_is_mark(cp))
            marks = true;
    }
    if (marks && is_decomposed(text)) note(&found, first, HN_DAMAGE_DECOMPOSED, 0);
    return found;
}

bool hn_text_is_composed(hn_str text) {
    for (size_t i = 0; i < text.len;) {
        uint32_t cp;
        utf8proc_int32_t parts[8];
        int boundary = 0;
        i += hn_utf8_decode(text.data + i, text.len - i, &cp);
        if (cp < 0xC0 || cp > 0x1EFF) continue;
        if (utf8proc_decompose_char((utf8proc_int32_t)cp, parts, 8, UTF8PROC_DECOMPOSE, &boundary) > 1) return true;
    }
    return false;
}
