/* Texts that say the same; see same_text.h. Text in ASCII takes a short way; anything else goes through utf8proc. */
#include "text/same_text.h"

#include "base/alloc.h"
#include "base/utf8.h"
#include "text/unicode_form.h"

#include <string.h>
#include <utf8proc.h>

static bool is_ascii(hn_str text) {
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.data[i] >= 0x80) return false;
    return true;
}

static bool is_invisible(uint32_t cp) {
    utf8proc_category_t kind = utf8proc_category((utf8proc_int32_t)cp);
    return kind == UTF8PROC_CATEGORY_CC || kind == UTF8PROC_CATEGORY_CF;
}

static bool is_digit(uint32_t cp) { return cp >= '0' && cp <= '9'; }

/* Whether punctuation between two characters (0: none) may carry meaning. */
static bool is_meant(uint32_t cp, uint32_t before, uint32_t after) {
    bool alone = (before == 0 || hn_unicode_is_space(before)) && after != 0 && hn_unicode_is_space(after);
    if (cp > 0x7F) return false;
    if (is_digit(after) && strchr(".,:/-", (int)cp)) return true;
    return alone && before != 0 && strchr("-/*&%#@", (int)cp);
}

/* Appends the folded characters; `start`: where this text begins in `out`. */
static void append(const int32_t *letters, size_t n, hn_buf *out) {
    size_t start = out->len;
    bool gap = false;
    for (size_t i = 0; i < n; i++) {
        uint32_t cp = (uint32_t)letters[i], before = i ? (uint32_t)letters[i - 1] : 0,
                 after = i + 1 < n ? (uint32_t)letters[i + 1] : 0;
        if (hn_unicode_is_space(cp) || (hn_unicode_is_punctuation(cp) && !is_meant(cp, before, after))) {
            gap = true;
            continue;
        }
        if (is_invisible(cp)) continue;
        if (gap && out->len > start) hn_buf_append_char(out, ' ');
        gap = false;
        hn_buf_append_codepoint(out, cp);
    }
}

static void append_ascii(hn_str text, hn_buf *out) {
    size_t start = out->len;
    bool gap = false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c >= 'A' && c <= 'Z') c = (unsigned char)(c + 32);
        bool plain = (c >= 'a' && c <= 'z') || is_digit(c) || strchr("$+<=>^`|~", c);
        if (!plain || c == 0) {
            uint32_t before = i ? (unsigned char)text.data[i - 1] : 0,
                     after = i + 1 < text.len ? (unsigned char)text.data[i + 1] : 0;
            if (hn_unicode_is_space(c) || (c > 0x20 && c < 0x7F && !is_meant(c, before, after))) gap = true;
            if (c <= 0x20 || c == 0x7F || !is_meant(c, before, after)) continue;
        }
        if (gap && out->len > start) hn_buf_append_char(out, ' ');
        gap = false;
        hn_buf_append_char(out, (char)c);
    }
}

static void append_folded(hn_str text, hn_buf *out) {
    size_t n;
    bool memory;
    int32_t *letters =
        hn_unicode_form(text, UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD, &n, &memory);
    if (memory && out->error == HN_OK) out->error = HN_ERR_MEMORY;
    if (letters) append(letters, n, out);
    hn_free(letters);
}

void hn_same_text(hn_str text, hn_buf *out) {
    size_t start = out->len;
    if (is_ascii(text))
        append_ascii(text, out);
    else
        append_folded(text, out);
    if (out->len > start || out->error != HN_OK) return;
    hn_str rest = hn_str_trim(text); /* nothing but punctuation, or no UTF-8 */
    hn_buf_append(out, rest.data, rest.len);
}
