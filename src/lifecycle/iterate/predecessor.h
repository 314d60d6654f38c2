/* The run that came before a run: what it is read against.
 *
 *     int64_t before;
 *     HN_TRY(hn_predecessor_find(store, run, &before, &err));
 *     if (before) ... hn_run_diff ...
 *
 * A run that was made from another (replay, regrade) comes after that one. Else it is the newest earlier run of the same prompt file on the same split, of
 * another content (a repetition or the same again is no step); where the prompt is new, the newest earlier run on that split. Only finished
 * runs count. Ownership: plain values. Threading: one thread. */
#ifndef HN_LIFECYCLE_PREDECESSOR_H
#define HN_LIFECYCLE_PREDECESSOR_H

#include "store/store.h"

/* *before 0: there is none. */
hn_status hn_predecessor_find(hn_store *store, const hn_run *run, int64_t *before, hn_error *err) HN_MUST_CHECK;

#endif
