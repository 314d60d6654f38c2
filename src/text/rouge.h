/* ROUGE: what an answer and a reference share in words, in pairs of words, and in words in the same order.
 *
 *     hn_rouge r;                                          // each 0 .. 1
 *     HN_TRY(hn_rouge_score(answer, reference, true, &r, err));
 *     printf("ROUGE-1 %.3f  ROUGE-2 %.3f  ROUGE-L %.3f\n", r.rouge_1.f1, r.rouge_2.f1, r.rouge_l.f1);
 *
 * ROUGE-N: shared n-grams, each counted at most as often as on the other side, over those of the answer (precision) and
 * of the reference (recall); ROUGE-L: the longest common subsequence of words, over the whole text (Lin 2004). Words are
 * lower-case runs of a-z and 0-9; with `stem` those of more than 3 letters are Porter stems. So it is for English.
 * Nothing to share: 0. Threading: pure functions. */
#ifndef HN_TEXT_ROUGE_H
#define HN_TEXT_ROUGE_H

#include "base/status.h"
#include "base/str.h"

typedef struct hn_rouge_part {
    double precision, recall, f1;
} hn_rouge_part;

typedef struct hn_rouge {
    hn_rouge_part rouge_1, rouge_2, rouge_l;
} hn_rouge;

/* Errors: HN_ERR_LIMIT for a text past 16 MiB or pairs of texts that are too long together (edit_distance.h),
 * HN_ERR_MEMORY. */
hn_status hn_rouge_score(hn_str answer, hn_str reference, bool stem, hn_rouge *out, hn_error *err) HN_MUST_CHECK;

#endif
