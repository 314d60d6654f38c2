/* Whether a run may become a release, and what the release keeps: the evidence (goals, verdict against the release it takes the place of) and the manifest
 * (everything that decides its answers).
 *
 *     hn_release_draft d;
 *     HN_TRY(hn_release_judge(&(hn_release_setup){.store = store, .scope = scope, .run = run, .name = "router"}, &d, &err));
 *     if (d.n_against == 0 || reason) HN_TRY(hn_release_keep(&setup, &d, frozen, reason, &release, &err));
 *     hn_release_draft_free(&d);
 *
 * What speaks against a release: a goal of hone.yaml that the run misses (its number is not there), a verdict "worse", or a current release that it cannot be
 * held against. A goal that was not measured and a verdict that cannot tell do not. Ownership: the draft owns its parts. Threading: one thread. */
#ifndef HN_LIFECYCLE_RELEASE_EVIDENCE_H
#define HN_LIFECYCLE_RELEASE_EVIDENCE_H

#include "lifecycle/deploy/frozen_app.h"
#include "lifecycle/eval/run_metric.h"
#include "lifecycle/iterate/compare.h"
#include "lifecycle/iterate/goals.h"
#include "lifecycle/iterate/run_detail.h"
#include "store/release.h"

typedef struct hn_release_setup {
    hn_store *store;
    const hn_scope *scope;     /* today's: what is asked for now */
    const hn_dataset *dataset; /* for the baselines; NULL: a goal about them stays unknown */
    const hn_run *run;         /* a finished evaluation */
    const char *name;          /* letters, digits, . _ -; at most 63; nothing that means a run */
} hn_release_setup;

enum { HN_RELEASE_AGAINST_MAX = HN_GOALS_MAX + 1 };

typedef struct hn_release_draft {
    hn_run_detail detail; /* the evidence run */
    hn_metric_value metric;
    hn_goals goals;
    hn_release_list before; /* the current release of the name: one row, or none */
    bool compared;
    hn_comparison comparison;                  /* of the run (B) with the current release's (A); where compared */
    char against[HN_RELEASE_AGAINST_MAX][400]; /* (n_against) one sentence each */
    size_t n_against;
} hn_release_draft;

/* HN_ERR_USAGE: a name that cannot be; HN_ERR_INPUT: the run is no finished evaluation; HN_ERR_EXISTS: it is the current release already. */
hn_status hn_release_judge(const hn_release_setup *setup, hn_release_draft *draft, hn_error *err) HN_MUST_CHECK;
void hn_release_draft_free(hn_release_draft *draft);
/* {"run","split","n","metric","value","accuracy","goals","previous","verdict","against"}; new reference. */
hn_status hn_release_evidence_json(const hn_release_draft *draft, json_t **value, hn_error *err) HN_MUST_CHECK;
/* Adds it to the store as the current release of its name. `reason` (may be NULL) is kept where something speaks against it. Of *release, id, number, at_ms and
 * run_id are filled. */
hn_status hn_release_keep(const hn_release_setup *setup, const hn_release_draft *draft, const hn_frozen_app *frozen,
                          const char *reason, hn_release *release, hn_error *err) HN_MUST_CHECK;
/* Part of a release's manifest or evidence; the whole is parsed: new reference. */
hn_status hn_release_parse(const char *text, json_t **value, hn_error *err) HN_MUST_CHECK;

#endif
