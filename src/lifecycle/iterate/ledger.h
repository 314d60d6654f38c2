/* The ledger: every look at the test split, and what is left of the best result when it was chosen among several on that same split.
 *
 *     hn_ledger l;
 *     HN_TRY(hn_ledger_make(store, dataset_hash, &l, &err));
 *     printf("%zu looks at %zu candidates", l.n_looks, l.n_candidates);
 *     if (l.selected) printf("%.1f %% is rather %.1f %%", 100 * l.selection.observed, 100 * l.selection.corrected.value);
 *     hn_ledger_free(&l);
 *
 * A candidate is a run's content: looking at the same result twice is two looks at one candidate. Corrected are the candidates
 * that answered the same cases (of several such sets the one with the most candidates), by repeating the choice itself on resampled
 * cases, whole groups kept together (stats/selection.h).
 * Ownership: free with hn_ledger_free. Threading: one thread. */
#ifndef HN_LIFECYCLE_LEDGER_H
#define HN_LIFECYCLE_LEDGER_H

#include "lifecycle/eval/run_report.h"
#include "stats/selection.h"

typedef struct hn_ledger_look {
    int64_t at_ms;
    size_t candidate; /* index into `candidates` */
    bool again;       /* it had been looked at before */
} hn_ledger_look;

typedef struct hn_ledger {
    hn_ledger_look *looks; /* (n_looks) oldest first */
    size_t n_looks;
    hn_run **candidates; /* (n_candidates) in the order of the first look; the first run with that content */
    size_t n_candidates;
    bool selected;    /* two candidates or more on the same cases */
    size_t *compared; /* (n_compared) the candidates that `selection` is about */
    size_t n_compared;
    hn_selection selection; /* best: index into `compared` */
} hn_ledger;

hn_status hn_ledger_make(hn_store *store, const char *dataset_hash, hn_ledger *out, hn_error *err) HN_MUST_CHECK;
void hn_ledger_free(hn_ledger *l);
/* The best of the compared candidates; NULL: there are fewer than two. */
const hn_run *hn_ledger_best(const hn_ledger *l);
/* {"looks":[{"run","when","again"}],"candidates","best":{"run","observed","optimism","corrected":{...},"chosen_from"} or null} */
hn_status hn_ledger_json(const hn_ledger *l, json_t **value, hn_error *err) HN_MUST_CHECK;

#endif
