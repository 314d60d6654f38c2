/* chrF and chrF++: an F-score over character n-grams, kind to word forms and to languages without spaces.
 *
 *     double score;                                        // 0 .. 100
 *     HN_TRY(hn_chrf_sentence(answer, references, n_references, 0, &score, err));     // chrF2; 2: chrF++
 *     hn_chrf_counts c = {0};                              // a corpus
 *     for each case: HN_TRY(hn_chrf_add(&c, answer, references, n_references, 0, err));
 *     double corpus = hn_chrf_score(&c);
 *
 * chrF = 100 (1 + beta^2) P R / (beta^2 P + R), beta = 2; P and R are the means of precision and recall over n-grams of
 * 1 to 6 characters without white space (Popovic 2015), in chrF++ also of 1 and 2 words (Popovic 2017). Orders that one
 * side is too short for do not count. A word's first or last punctuation mark is a word of its own. Case is kept. Of
 * several references, the one with the best score counts. Ownership: plain values. Threading: pure functions. */
#ifndef HN_TEXT_CHRF_H
#define HN_TEXT_CHRF_H

#include "base/status.h"
#include "base/str.h"

enum { HN_CHRF_CHARS = 6, HN_CHRF_WORDS_MAX = 2 };

typedef struct hn_chrf_counts {
    uint64_t of_answer[HN_CHRF_CHARS + HN_CHRF_WORDS_MAX], of_reference[HN_CHRF_CHARS + HN_CHRF_WORDS_MAX],
        matched[HN_CHRF_CHARS + HN_CHRF_WORDS_MAX]; /* characters' orders, then words' */
} hn_chrf_counts;

/* word_order: 0 to 2. Errors: HN_ERR_USAGE for another, or without a reference; HN_ERR_LIMIT for a text past 16 MiB;
 * HN_ERR_MEMORY. */
hn_status hn_chrf_add(hn_chrf_counts *counts, hn_str answer, const hn_str *references, size_t n_references,
                      size_t word_order, hn_error *err) HN_MUST_CHECK;
double hn_chrf_score(const hn_chrf_counts *counts); /* 0 where nothing is shared */
hn_status hn_chrf_sentence(hn_str answer, const hn_str *references, size_t n_references, size_t word_order,
                           double *score, hn_error *err) HN_MUST_CHECK;

#endif
