/* Overlap of short answers: SQuAD's normalised exact match and F1, Jaccard similarity of shingles, lists and sets.
 *
 *     hn_squad s;
 *     HN_TRY(hn_squad_score(hn_str_of("The Answer!"), hn_str_of("answer"), &s, err));     // exact, F1 1
 *     double j;
 *     HN_TRY(hn_jaccard_chars(a, b, 5, &j, err));                          // 0 .. 1
 *     HN_TRY(hn_overlap_lists(given, 3, wanted, 2, &o, err));              // multi-label: o.f1, o.same_set
 *
 * Ownership: nothing is kept. Threading: pure functions. Errors of all: HN_ERR_LIMIT for a text past 16 MiB,
 * HN_ERR_MEMORY. */
#ifndef HN_TEXT_OVERLAP_H
#define HN_TEXT_OVERLAP_H

#include "base/buf.h"
#include "base/status.h"
#include "base/str.h"

/* Rajpurkar et al. 2016: lower case, without ASCII punctuation, then without the words a, an, the, single spaces. */
hn_status hn_squad_normalize(hn_str text, hn_buf *out, hn_error *err) HN_MUST_CHECK; /* appends */
typedef struct hn_squad {
    double f1;  /* of the normalised words with their counts; where a side has none: 1 if both have none, else 0 */
    bool exact; /* the normalised texts are equal */
} hn_squad;
hn_status hn_squad_score(hn_str answer, hn_str reference, hn_squad *out, hn_error *err) HN_MUST_CHECK;

/* Shared over all different runs of k code points, or k words split at white space, of the texts as they are. NaN where
 * both texts are too short to have any, or k is 0. */
hn_status hn_jaccard_chars(hn_str a, hn_str b, size_t k, double *out, hn_error *err) HN_MUST_CHECK;
hn_status hn_jaccard_words(hn_str a, hn_str b, size_t k, double *out, hn_error *err) HN_MUST_CHECK;

/* Of two lists of items compared byte by byte; precision and recall count repetitions. Both empty: all 1, all same. One
 * empty: 0. */
typedef struct hn_overlap {
    double precision, recall, f1; /* shared over given, over wanted, and their harmonic mean */
    double jaccard;               /* of the sets */
    bool same_set, same_list;     /* the latter: the same items in the same order */
} hn_overlap;
hn_status hn_overlap_lists(const hn_str *given, size_t n_given, const hn_str *wanted, size_t n_wanted, hn_overlap *out,
                           hn_error *err) HN_MUST_CHECK;

#endif
