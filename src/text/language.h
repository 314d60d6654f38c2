/* Which language a text is in, by script and by its commonest words: a small and honest guess for guards, not a linguist.
 *
 *     const char *code = hn_language_of(hn_str_of("Where is my invoice?"));       // "en"; NULL: cannot tell
 *
 * Scripts of one language decide by themselves (Greek, Hebrew, Thai, Hangul, kana, ...); Han without kana is "zh". For Latin and Cyrillic the
 * language is the one most of whose function words occur; at least two must, and at least a tenth of all words, and half as many again as of
 * the next language: short texts, names and logs give NULL. Known codes: hn_language_is_known.
 * Ownership: the code is static text. Threading: a pure function. */
#ifndef HN_TEXT_LANGUAGE_H
#define HN_TEXT_LANGUAGE_H

#include "base/str.h"

const char *hn_language_of(hn_str text);
bool hn_language_is_known(const char *code);
/* "ar, de, el, ...": for messages. */
const char *hn_language_codes(void);

#endif
