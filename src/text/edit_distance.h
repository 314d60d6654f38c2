/* Edit distance of long texts (Levenshtein: insertions, deletions, replacements of one unit), error rates from it, and
 * the longest common subsequence.
 *
 *     size_t d;
 *     HN_TRY(hn_edit_chars(a, b, 100, &d, err));           // d = 101: more than 100, found out early
 *     double wer;
 *     HN_TRY(hn_edit_error_rate_words(answer, reference, &wer, err));
 *
 * Characters are code points (an invalid byte is a character of its own), words what white space separates. 64 rows of
 * the table at a time as bits of one word (Myers 1999; Hyyro 2003), in a band around the diagonal that doubles until the
 * distance lies within it (Ukkonen 1985): time grows with length times distance / 64, memory with length alone.
 * For command-line suggestions see hn_edit_distance_short in base/str.h. Threading: pure functions. */
#ifndef HN_TEXT_EDIT_DISTANCE_H
#define HN_TEXT_EDIT_DISTANCE_H

#include "base/status.h"
#include "base/str.h"

#define HN_EDIT_NO_LIMIT SIZE_MAX

/* Between two lists of units (hashes, code points). A distance above `limit`: limit + 1. Errors of all: HN_ERR_LIMIT for
 * a text past 16 MiB, or where the lists are so long and so different that over 2^32 steps (some 10 s) would be needed:
 * give a limit; HN_ERR_MEMORY. */
hn_status hn_edit_units(const uint64_t *a, size_t n_a, const uint64_t *b, size_t n_b, size_t limit, size_t *distance,
                        hn_error *err) HN_MUST_CHECK;
hn_status hn_edit_chars(hn_str a, hn_str b, size_t limit, size_t *distance, hn_error *err) HN_MUST_CHECK;
hn_status hn_edit_words(hn_str a, hn_str b, size_t limit, size_t *distance, hn_error *err) HN_MUST_CHECK;

/* The distance over the reference's length (CER and WER; may exceed 1). Empty reference: 0 where the answer is empty
 * too, else 1. */
hn_status hn_edit_error_rate_chars(hn_str answer, hn_str reference, double *rate, hn_error *err) HN_MUST_CHECK;
hn_status hn_edit_error_rate_words(hn_str answer, hn_str reference, double *rate, hn_error *err) HN_MUST_CHECK;

/* Length of the longest common subsequence (Crochemore et al. 2001, bit-parallel). Past 2^32 steps: HN_ERR_LIMIT. */
hn_status hn_edit_common(const uint64_t *a, size_t n_a, const uint64_t *b, size_t n_b, size_t *length,
                         hn_error *err) HN_MUST_CHECK;

#endif
