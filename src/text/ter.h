/* TER, translation edit rate: the edits that turn an answer into a reference, moving a run of words being one edit.
 *
 *     double ter;                                          // percent of the reference's words; may exceed 100
 *     HN_TRY(hn_ter_sentence(answer, references, n_references, &ter, err));
 *     hn_ter_counts c = {0};                               // a corpus
 *     for each case: HN_TRY(hn_ter_add(&c, answer, references, n_references, err));
 *
 * Snover et al. 2006, with the search that its program tercom does: moves are made one after another, always the one
 * that lowers the edit distance most (then the longest, the first), of up to 10 words over up to 50 places, from where
 * words are wrong to where they are missing; the edit distance keeps to a band of 25 around the diagonal, and after
 * 1,000 moves tried no further ones are. Words are split at white space, in lower case. Of several references the
 * fewest edits count, over their mean length. Ownership: plain values. Threading: pure functions. */
#ifndef HN_TEXT_TER_H
#define HN_TEXT_TER_H

#include "base/status.h"
#include "base/str.h"

enum { HN_TER_WORDS_MAX = 10000 };

typedef struct hn_ter_counts {
    double edits, n_words; /* of the references */
} hn_ter_counts;

/* Errors: HN_ERR_USAGE without a reference, HN_ERR_LIMIT for a text of more than 10,000 words, HN_ERR_MEMORY. */
hn_status hn_ter_add(hn_ter_counts *counts, hn_str answer, const hn_str *references, size_t n_references,
                     hn_error *err) HN_MUST_CHECK;
double hn_ter_score(const hn_ter_counts *counts); /* percent; without reference words 0, or 100 where there are edits */
hn_status hn_ter_sentence(hn_str answer, const hn_str *references, size_t n_references, double *score,
                          hn_error *err) HN_MUST_CHECK;

#endif
