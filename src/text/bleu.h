/* BLEU and GLEU: how many of an answer's word n-grams a reference has.
 *
 *     double b;                                            // 0 .. 100
 *     HN_TRY(hn_bleu_sentence(answer, references, n_references, HN_BLEU_13A, &b, err));
 *     hn_bleu_counts c = {0};                              // a corpus: counts add up, scores do not
 *     for each case: HN_TRY(hn_bleu_add(&c, answer, references, n_references, HN_BLEU_13A, err));
 *     double corpus = hn_bleu_score(&c, false, true);
 *
 * BLEU = 100 BP exp(mean of ln p_n), n = 1 .. 4; p_n the share of the answer's n-grams that are in a reference, each at
 * most as often as in the one reference that has it most; BP = exp(1 - r / c) where the answers' c words are fewer than
 * the references' r, of several references the nearest in length, then the shorter (Papineni et al. 2002). Words by 13a,
 * case kept (Post 2018). Ownership: counts are plain values. Threading: pure functions. */
#ifndef HN_TEXT_BLEU_H
#define HN_TEXT_BLEU_H

#include "base/status.h"
#include "base/str.h"

enum { HN_BLEU_ORDER = 4 };

typedef enum hn_bleu_words {
    HN_BLEU_13A,
    HN_BLEU_SPLIT, /* at white space: already tokenised */
} hn_bleu_words;

typedef struct hn_bleu_counts {
    uint64_t matched[HN_BLEU_ORDER], total[HN_BLEU_ORDER]; /* n-grams of the answers */
    uint64_t n_words, n_reference_words;
} hn_bleu_counts;

/* Errors of all: HN_ERR_USAGE without a reference, HN_ERR_LIMIT for a text past 16 MiB, HN_ERR_MEMORY. */
hn_status hn_bleu_add(hn_bleu_counts *counts, hn_str answer, const hn_str *references, size_t n_references,
                      hn_bleu_words words, hn_error *err) HN_MUST_CHECK;
/* 0 .. 100. `effective`: the mean over the orders that the answer is long enough for (for single sentences). `smooth`:
 * the i-th order without a match counts as 1 / 2^i matches (Lin and Och 2004; Chen and Cherry 2014, no. 3); without it
 * such an order makes the score 0. No match at all: 0. */
double hn_bleu_score(const hn_bleu_counts *counts, bool effective, bool smooth);
/* One answer: effective and smoothed. */
hn_status hn_bleu_sentence(hn_str answer, const hn_str *references, size_t n_references, hn_bleu_words words,
                           double *score, hn_error *err) HN_MUST_CHECK;

/* GLEU (Wu et al. 2016): matched n-grams of 1 to 4 words, split at white space, over those of the answer or of the
 * reference, whichever are more; 0 .. 1, of several references the best. A corpus: sums over sentences. */
typedef struct hn_gleu_counts {
    uint64_t matched, total;
} hn_gleu_counts;
hn_status hn_gleu_add(hn_gleu_counts *counts, hn_str answer, const hn_str *references, size_t n_references,
                      hn_error *err) HN_MUST_CHECK;
double hn_gleu_score(const hn_gleu_counts *counts); /* 0 where nothing was counted */

#endif
