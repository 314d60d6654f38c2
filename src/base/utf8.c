/* UTF-8; see utf8.h. Accepts exactly the well-formed sequences of the Unicode standard, table 3-7. */
#include "base/utf8.h"

#include <utf8proc.h>

bool hn_utf8_decode_strict(const char *text, size_t n, uint32_t *codepoint, size_t *used) {
    const unsigned char *s = (const unsigned char *)text;
    *used = 1;
    if (s[0] < 0x80) {
        *codepoint = s[0];
        return true;
    }
    *codepoint = HN_UTF8_REPLACEMENT;
    size_t more = s[0] >= 0xC2 && s[0] <= 0xDF ? 1 : (s[0] & 0xF0) == 0xE0 ? 2 : s[0] >= 0xF0 && s[0] <= 0xF4 ? 3 : 0;
    if (more == 0 || n < more + 1) return false;
    unsigned low = 0x80, high = 0xBF; /* the second byte's range shuts out overlong forms, surrogates, and > U+10FFFF */
    if (s[0] == 0xE0) low = 0xA0;
    if (s[0] == 0xED) high = 0x9F;
    if (s[0] == 0xF0) low = 0x90;
    if (s[0] == 0xF4) high = 0x8F;
    if (s[1] < low || s[1] > high) return false;
    uint32_t cp = s[0] & (0x3Fu >> more);
    for (size_t i = 1; i <= more; i++) {
        if ((s[i] & 0xC0) != 0x80) return false;
        cp = cp << 6 | (s[i] & 0x3Fu);
    }
    *codepoint = cp;
    *used = more + 1;
    return true;
}

size_t hn_utf8_decode(const char *text, size_t n, uint32_t *codepoint) {
    size_t used;
    (void)hn_utf8_decode_strict(text, n, codepoint, &used);
    return used;
}

size_t hn_utf8_encode(uint32_t cp, char out[4]) {
    if (cp > 0x10FFFF || (cp >= 0xD800 && cp <= 0xDFFF)) cp = HN_UTF8_REPLACEMENT;
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    size_t more = cp < 0x800 ? 1 : cp < 0x10000 ? 2 : 3;
    static const unsigned char heads[] = {0, 0xC0, 0xE0, 0xF0};
    for (size_t i = more; i > 0; i--, cp >>= 6) out[i] = (char)(0x80 | (cp & 0x3F));
    out[0] = (char)(heads[more] | cp);
    return more + 1;
}

bool hn_utf8_valid(const char *text, size_t n, size_t *bad_offset) {
    for (size_t i = 0, used; i < n; i += used) {
        uint32_t cp;
        if (hn_utf8_decode_strict(text + i, n - i, &cp, &used)) continue;
        if (bad_offset) *bad_offset = i;
        return false;
    }
    return true;
}

size_t hn_utf8_count(const char *text, size_t n) {
    size_t count = 0;
    uint32_t cp;
    for (size_t i = 0; i < n; count++) i += hn_utf8_decode(text + i, n - i, &cp);
    return count;
}

size_t hn_utf8_prefix(const char *text, size_t n, size_t max_bytes) {
    size_t i = 0;
    uint32_t cp;
    while (i < n) {
        size_t used = hn_utf8_decode(text + i, n - i, &cp);
        if (i + used > max_bytes) break;
        i += used;
    }
    return i;
}

int hn_utf8_width(const char *text, size_t n) {
    int width = 0;
    uint32_t cp;
    for (size_t i = 0; i < n;) {
        i += hn_utf8_decode(text + i, n - i, &cp);
        width += utf8proc_charwidth((utf8proc_int32_t)cp);
    }
    return width;
}

static utf8proc_category_t category(uint32_t cp) {
    return cp > 0x10FFFF ? UTF8PROC_CATEGORY_CN : utf8proc_category((utf8proc_int32_t)cp);
}

static bool in_range(uint32_t cp, int from, int to) {
    int c = (int)category(cp);
    return c >= from && c <= to;
}

bool hn_unicode_is_letter(uint32_t cp) { return in_range(cp, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LO); }
bool hn_unicode_is_mark(uint32_t cp) { return in_range(cp, UTF8PROC_CATEGORY_MN, UTF8PROC_CATEGORY_ME); }
bool hn_unicode_is_number(uint32_t cp) { return in_range(cp, UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NO); }
bool hn_unicode_is_punctuation(uint32_t cp) { return in_range(cp, UTF8PROC_CATEGORY_PC, UTF8PROC_CATEGORY_PO); }
bool hn_unicode_is_symbol(uint32_t cp) { return in_range(cp, UTF8PROC_CATEGORY_SM, UTF8PROC_CATEGORY_SO); }

bool hn_unicode_is_space(uint32_t cp) {
    return (cp >= 9 && cp <= 13) || cp == 0x85 || in_range(cp, UTF8PROC_CATEGORY_ZS, UTF8PROC_CATEGORY_ZP);
}

uint32_t hn_unicode_lower(uint32_t cp) { return cp > 0x10FFFF ? cp : (uint32_t)utf8proc_tolower((utf8proc_int32_t)cp); }
uint32_t hn_unicode_upper(uint32_t cp) { return cp > 0x10FFFF ? cp : (uint32_t)utf8proc_toupper((utf8proc_int32_t)cp); }
