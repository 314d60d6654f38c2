/* What candidates are compared with: a run, a baseline, or one of the candidates - as a score for each case, in a run's order.
 *
 *     hn_reference ref;
 *     HN_TRY(hn_reference_load(&(hn_reference_source){scope, dataset, store, baselines, cases, n}, "r7", &ref, &err));
 *     ref.scores[i] ... hn_reference_free(&ref);
 *
 * Ownership: the reference owns its scores. Threading: one thread. */
#ifndef HN_LIFECYCLE_REFERENCE_H
#define HN_LIFECYCLE_REFERENCE_H

#include "lifecycle/scope/baseline.h"
#include "project/project.h"
#include "store/store.h"

typedef struct hn_reference_source {
    const hn_scope *scope;
    const hn_dataset *dataset;
    hn_store *store;
    const hn_baselines *baselines; /* on the same cases in the same order; may be NULL */
    const uint32_t *cases;         /* (n) indices into the dataset */
    size_t n;
} hn_reference_source;

typedef struct hn_reference {
    char name[256];      /* for people: "always billing", "a bag of words", "r7 (1-vague)" */
    char run[32];        /* "r7", or "" */
    char content_id[65]; /* of the run, or "" */
    double *scores;      /* (n) 1 where it was right */
    size_t n;
} hn_reference;

/* `name`: "majority", "bag_of_words", "baseline" (what hone.yaml says), or a run. HN_ERR_NOT_FOUND: no such run; HN_ERR_INPUT: it was on
 * other data, or did not answer all of the cases (`hint` says how to get there). */
hn_status hn_reference_load(const hn_reference_source *source, const char *name, hn_reference *ref,
                            hn_error *err) HN_MUST_CHECK;
void hn_reference_free(hn_reference *ref);

#endif
