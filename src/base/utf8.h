/* UTF-8: decoding that never reads past the end and never accepts what Unicode forbids; character classes by utf8proc.
 *
 *     for (size_t i = 0; i < n;) {
 *         uint32_t cp;
 *         i += hn_utf8_decode(text + i, n - i, &cp);       // an invalid byte gives U+FFFD and advances by 1
 *     }
 *
 * Threading: pure functions. */
#ifndef HN_BASE_UTF8_H
#define HN_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HN_UTF8_REPLACEMENT 0xFFFDu

/* Decodes one character of the `n` >= 1 bytes at `text`; returns the bytes used (1 to 4). An invalid byte: U+FFFD, 1 byte. */
size_t hn_utf8_decode(const char *text, size_t n, uint32_t *codepoint);
/* As above, but says whether the sequence was valid. */
bool hn_utf8_decode_strict(const char *text, size_t n, uint32_t *codepoint, size_t *used);
/* Writes 1 to 4 bytes; surrogates and values past U+10FFFF are written as U+FFFD. Returns the bytes written. */
size_t hn_utf8_encode(uint32_t codepoint, char out[4]);
/* Whether all `n` bytes are valid UTF-8; `bad_offset` (may be NULL) gets the first bad byte. */
bool hn_utf8_valid(const char *text, size_t n, size_t *bad_offset);
size_t hn_utf8_count(const char *text, size_t n); /* characters; an invalid byte counts as one */
size_t hn_utf8_prefix(const char *text, size_t n,
                      size_t max_bytes);       /* the longest whole-character prefix of at most max_bytes */
int hn_utf8_width(const char *text, size_t n); /* columns on a terminal */

bool hn_unicode_is_letter(uint32_t cp);      /* \p{L} */
bool hn_unicode_is_mark(uint32_t cp);        /* \p{M} */
bool hn_unicode_is_number(uint32_t cp);      /* \p{N} */
bool hn_unicode_is_punctuation(uint32_t cp); /* \p{P} */
bool hn_unicode_is_symbol(uint32_t cp);      /* \p{S} */
bool hn_unicode_is_space(uint32_t cp);       /* \s with Unicode: White_Space */
uint32_t hn_unicode_lower(uint32_t cp);
uint32_t hn_unicode_upper(uint32_t cp);

#endif
