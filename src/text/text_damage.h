/* What a text's way through wrong encodings leaves behind: for the data audit.
 *
 *     size_t at[HN_DAMAGE_COUNT];
 *     unsigned found = hn_text_damage(hn_str_of("CafÃ©"), at);
 *     if (found & 1u << HN_DAMAGE_MOJIBAKE) printf("from byte %zu on", at[HN_DAMAGE_MOJIBAKE]);
 *
 * Mojibake is UTF-8 that was read as Latin-1 or Windows-1252: characters that make valid UTF-8 when each is taken as one
 * byte of that code page. Single pairs count where the first is U+00C2 or U+00C3 (letters of western Europe), others
 * where two follow each other, so that words in capitals before a closing quotation mark stay out.
 * Ownership: plain values. Threading: a pure function. */
#ifndef HN_TEXT_TEXT_DAMAGE_H
#define HN_TEXT_TEXT_DAMAGE_H

#include "base/str.h"

typedef enum hn_damage {
    HN_DAMAGE_REPLACEMENT, /* U+FFFD, or a byte that is no UTF-8: characters are lost */
    HN_DAMAGE_MOJIBAKE,    /* "Ã©" for "é" */
    HN_DAMAGE_CONTROL,     /* control characters other than tab and line ends */
    HN_DAMAGE_DECOMPOSED,  /* letters and accents apart, where a joined character exists (not NFC) */
    HN_DAMAGE_COUNT
} hn_damage;

/* Bits 1 << kind; `first` (may be NULL): the byte of each kind's first place (0 for DECOMPOSED). */
unsigned hn_text_damage(hn_str text, size_t first[HN_DAMAGE_COUNT]);
/* Whether a joined accented character is in the text: beside decomposed texts, forms are mixed. */
bool hn_text_is_composed(hn_str text);

#endif
