/* What to take out of one list and put in to get another: the shortest such edit (Myers 1986), for words, tokens or lines.
 *
 *     hn_diff_runs pieces;
 *     HN_TRY(hn_diff_words(before, after, &pieces, err));
 *     for (size_t i = 0; i < pieces.n; i++) printf("%d %.*s\n", pieces.rows[i].kind, ...);
 *     hn_free(pieces.rows);
 *
 * Lists that differ in more than HN_DIFF_STEPS_MAX units (after their common beginning and end) come out as one removal and one addition: a
 * shortest edit of two texts that have nothing in common says nothing. Ownership: pieces hold offsets into the caller's texts. Threading: pure. */
#ifndef HN_TEXT_SEQUENCE_DIFF_H
#define HN_TEXT_SEQUENCE_DIFF_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum { HN_DIFF_STEPS_MAX = 2000 };

typedef enum hn_diff_kind { HN_DIFF_SAME, HN_DIFF_REMOVED, HN_DIFF_ADDED } hn_diff_kind;

/* SAME: units [a, a + n) and [b, b + n); REMOVED: of the first list; ADDED: of the second. */
typedef struct hn_diff_run {
    hn_diff_kind kind;
    size_t a, b, n;
} hn_diff_run;
typedef struct hn_diff_runs {
    hn_diff_run *rows; /* hn_free */
    size_t n;
} hn_diff_runs;

/* `weak` (n_a; may be NULL): units of the first list that do not part two changes by themselves (blanks). HN_ERR_MEMORY. */
hn_status hn_diff_units(const uint64_t *a, size_t n_a, const uint64_t *b, size_t n_b, const bool *weak,
                        hn_diff_runs *out, hn_error *err) HN_MUST_CHECK;

/* The same with offsets in bytes: SAME and REMOVED lie in the first text at `a`, ADDED in the second at `b`. Words, blanks and single marks are
 * units. HN_ERR_LIMIT: a text past 16 MiB. */
hn_status hn_diff_words(const char *a, const char *b, hn_diff_runs *out, hn_error *err) HN_MUST_CHECK;

#endif
