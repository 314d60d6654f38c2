/* Leakage: cases of dev or test that stand in an earlier split, too, so that a result there says less than it seems to.
 *
 *     hn_leaks leaks;
 *     HN_TRY(hn_leaks_find(dataset, NULL, &leaks, &err));
 *     if (leaks.n) return hn_leaks_fail(&leaks, HN_ERR_INPUT, &err);          // names the first rows and the remedy
 *     hn_leaks_free(&leaks);
 *
 * A copy is exact where both texts are the same after same_text.h (case, blanks, punctuation and Unicode form aside), and near where
 * the Jaccard similarity of their runs of 5 characters is at least HN_LEAK_SIMILARITY and their targets are the same: with another target
 * a small difference may be the point. A group whose cases stand in two splits leaks as a whole.
 * The remedy leaves out the copy in the earlier split (train before dev before test), so that what is measured stays as it is.
 * Ownership: the leaks own their arrays; cases are the dataset's. Threading: one thread. */
#ifndef HN_LIFECYCLE_AUDIT_LEAKS_H
#define HN_LIFECYCLE_AUDIT_LEAKS_H

#include "project/project.h"
#include "store/store.h"

#define HN_LEAK_SIMILARITY 0.9
enum { HN_LEAK_NEAR_MAX = 200000 }; /* cases; in more, near copies are not looked for */

typedef enum hn_leak_kind { HN_LEAK_EXACT, HN_LEAK_NEAR, HN_LEAK_GROUP, HN_LEAK_KINDS } hn_leak_kind;

typedef struct hn_leak {
    hn_leak_kind kind;
    const hn_case *c, *other; /* in dev or test; its (first) copy in an earlier split */
    double similarity;        /* NEAR; else 1 */
} hn_leak;

typedef struct hn_leaks {
    hn_leak *items; /* (n) one a case of dev or test, in the files' order */
    size_t n, count[HN_LEAK_KINDS];
    unsigned char *drop; /* (n_cases) 1: leaving it out, and all others so marked, ends what was found */
    bool near_searched;  /* false: too many cases */
} hn_leaks;

/* `left_out` (n_cases): cases that do not count; NULL: all do. */
hn_status hn_leaks_find(const hn_dataset *dataset, const unsigned char *left_out, hn_leaks *leaks,
                        hn_error *err) HN_MUST_CHECK;
void hn_leaks_free(hn_leaks *leaks);
/* Returns `code` with the first rows and the remedy in `err`. */
hn_status hn_leaks_fail(const hn_leaks *leaks, hn_status code, hn_error *err);

/* The same question for a command that is about to measure: *n cases leak, and `err` then says what hn_leaks_fail would (the status is still
 * HN_OK). Kept in the store by what decides it. */
hn_status hn_leaks_check(const hn_dataset *dataset, hn_store *store, size_t *n, hn_error *err) HN_MUST_CHECK;

/* Which cases to leave out so that nothing leaks: `left_out` (n_cases) holds what is left out already and gets the rest; `why` (n_cases, may
 * be NULL) the leak of each that was added. */
hn_status hn_leaks_fix(const hn_dataset *dataset, unsigned char *left_out, hn_leak *why, size_t *n_added,
                       hn_error *err) HN_MUST_CHECK;

#endif
