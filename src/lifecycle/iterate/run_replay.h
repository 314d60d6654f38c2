/* Replay: a finished run computed again, without the cache, from the prompt, scope and data that are kept with it, and held against its answers bit
 * by bit. The replay is a run of its own (kind "replay", linked to the run it repeats).
 *
 *     hn_replay r;
 *     HN_TRY(hn_replay_run(&(hn_replay_setup){store, run, provider}, on_progress, user, &r, &err));
 *     if (r.same_path && r.n_same == r.n) puts("the same bits");
 *     hn_replay_free(&r);
 *
 * Bits are the same only on the same numeric path with the same model; on another path values are compared, and how often they agree is the
 * result. Ownership: the replay owns all it points to. Threading: one thread. */
#ifndef HN_LIFECYCLE_RUN_REPLAY_H
#define HN_LIFECYCLE_RUN_REPLAY_H

#include "lifecycle/eval/eval.h"

typedef struct hn_replay_setup {
    hn_store *store;
    const hn_run *run; /* finished */
    hn_provider *provider;
    size_t limit; /* the first cases only; 0: all */
} hn_replay_setup;

/* A case whose answer is not the same bit for bit. */
typedef struct hn_replay_change {
    const hn_prediction *before, *after;
    const char *
        what; /* the first that differs: "answer", "text", "likelihoods", "probabilities", "tokens", "finish", "error" */
    double largest; /* difference of a label's log-likelihood; NaN: none to compare */
} hn_replay_change;

typedef struct hn_replay {
    hn_prediction_list before; /* of the run that is repeated */
    hn_eval_result after;
    bool same_path;            /* numeric paths are equal: the bits must be, too */
    bool reproducible;         /* the provider says that it is; a remote one may not be */
    size_t n, n_same;          /* cases, and those whose answers are the same bits */
    size_t n_agree;            /* whose answer (value) is the same */
    double largest;            /* of all differences of log-likelihoods; NaN: none to compare */
    hn_replay_change *changes; /* (n_changes) */
    size_t n_changes;
} hn_replay;

/* HN_ERR_INPUT: the run is not finished, or the provider has another model than the run; HN_ERR_NOT_FOUND: prompt or data are not kept; as
 * hn_eval_run otherwise. */
hn_status hn_replay_run(const hn_replay_setup *setup, hn_eval_on_progress *on_progress, void *user, hn_replay *out,
                        hn_error *err) HN_MUST_CHECK;
/* The run's prompt, settings and cases, as they are kept with it, answered by another model: an ordinary evaluation (what was computed before comes from
 * the cache), linked to the run as `role`. Free the result with hn_eval_result_free. */
hn_status hn_rerun(const hn_replay_setup *setup, const char *role, hn_eval_on_progress *on_progress, void *user,
                   hn_eval_result *result, hn_error *err) HN_MUST_CHECK;
void hn_replay_free(hn_replay *replay);
/* Gives a prompt what a run's `parameters` (may be NULL) say that it was given beside its file; *set: the same as hn_eval_setup wants it, a new
 * reference, or NULL. */
hn_status hn_run_apply_set(const json_t *parameters, hn_prompt *prompt, json_t **set, hn_error *err) HN_MUST_CHECK;
/* {"run","replay","same_bits","numeric_path":{...},"n","n_same","n_agree","largest","changes":[...]} */
hn_status hn_replay_json(const hn_replay *r, const hn_run *run, json_t **value, hn_error *err) HN_MUST_CHECK;

#endif
