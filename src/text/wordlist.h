/* A text cut into words, in the ways that the published text metrics do it; used by the metrics of this folder.
 *
 *     hn_wordlist w = {0};
 *     HN_TRY(hn_wordlist_13a(&w, hn_str_of("It's 3.14 (approx.)"), err));        // It's | 3.14 | ( | approx | . | )
 *     for (size_t i = 0; i < w.n; i++) use(w.items[i], w.hashes[i]);
 *     hn_wordlist_free(&w);
 *
 * White space is Unicode's White_Space and U+001C to U+001F, as Python's str.split takes it. Invalid UTF-8 and NUL are
 * ordinary letters. Equal hashes are taken as equal words (64 bits: XXH3).
 * Ownership: the arrays belong to the struct and are reused by the next call; items point into the given text after
 * hn_wordlist_split and hn_wordlist_plain, else into the struct. Threading: one struct, one thread. */
#ifndef HN_TEXT_WORDLIST_H
#define HN_TEXT_WORDLIST_H

#include "base/buf.h"
#include "base/status.h"
#include "base/str.h"

enum { HN_WORDLIST_TEXT_MAX = 16 << 20 }; /* bytes; longer texts are HN_ERR_LIMIT in all text metrics */

typedef struct hn_wordlist {
    hn_str *items;
    uint64_t *hashes;
    size_t n;
    size_t items_capacity, hashes_capacity;
    hn_buf text; /* what items point into where the words are not pieces of the text itself */
} hn_wordlist;

/* At white space alone. All: HN_ERR_LIMIT, HN_ERR_MEMORY. */
hn_status hn_wordlist_split(hn_wordlist *w, hn_str text, hn_error *err) HN_MUST_CHECK;
/* The same in lower case. */
hn_status hn_wordlist_split_lower(hn_wordlist *w, hn_str text, hn_error *err) HN_MUST_CHECK;
/* mteval-v13a, what BLEU figures are compared by (NIST 2009): entities read, punctuation apart, "." and "," not between
 * digits, "-" after digits. */
hn_status hn_wordlist_13a(hn_wordlist *w, hn_str text, hn_error *err) HN_MUST_CHECK;
/* Lower-case runs of a-z and 0-9; words of more than 3 letters to their Porter stem where `stem`. */
hn_status hn_wordlist_rouge(hn_wordlist *w, hn_str text, bool stem, hn_error *err) HN_MUST_CHECK;
/* Runs of letters, marks and numbers as they stand in the text; hashes are of the lower case. */
hn_status hn_wordlist_plain(hn_wordlist *w, hn_str text, hn_error *err) HN_MUST_CHECK;
void hn_wordlist_free(hn_wordlist *w);

/* Appends the text in lower case, character by character (U+0130 gives two); invalid bytes stay. */
void hn_wordlist_lower(hn_buf *out, hn_str text);
bool hn_wordlist_is_gap(uint32_t cp); /* white space as above */
/* HN_ERR_LIMIT where the text is too long for the metrics. */
hn_status hn_wordlist_check(hn_str text, hn_error *err) HN_MUST_CHECK;

#endif
