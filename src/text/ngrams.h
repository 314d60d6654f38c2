/* The n-grams of one text as 64-bit hashes: what tfidf.c counts. Not for use outside src/text.
 *
 *     hn_ngrams g = {0};
 *     HN_TRY(hn_ngrams_take(&g, text, &options, err));     // g.hashes[0 .. n_words) words, [n_words .. n) characters
 *     hn_ngrams_free(&g);
 *
 * Ownership: the buffers belong to the struct and are reused by the next call. Threading: one struct, one thread. */
#ifndef HN_TEXT_NGRAMS_H
#define HN_TEXT_NGRAMS_H

#include "text/tfidf.h"

typedef struct hn_ngrams {
    uint64_t *hashes; /* each occurrence on its own, in text order */
    size_t n, n_words;
    size_t capacity;
    uint32_t *letters; /* the text in lower case: " word word ", single spaces */
    size_t n_letters, letters_capacity;
    uint64_t *words; /* a hash per word */
    size_t words_capacity;
} hn_ngrams;

/* Errors: HN_ERR_LIMIT for a text past 16 MiB, HN_ERR_MEMORY. */
hn_status hn_ngrams_take(hn_ngrams *g, hn_str text, const hn_tfidf_options *options, hn_error *err) HN_MUST_CHECK;
void hn_ngrams_free(hn_ngrams *g);

#endif
