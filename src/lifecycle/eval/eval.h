/* Evaluation: one prompt on one split, its answers kept in the store as they come.
 *
 *     hn_eval_setup setup = {project, dataset, store, provider, .split = HN_SPLIT_DEV};
 *     hn_eval_result result;
 *     HN_TRY(hn_eval_run(&setup, prompt, on_progress, user, &result, &err));
 *     printf("r%lld %.3f", (long long)result.run->id, result.report.accuracy.value);
 *     hn_eval_result_free(&result);
 *
 * A run is found again by its content id (prompt, scope, data, cases, model, parameters, numeric path): where it was stopped or killed it
 * goes on with the cases that are missing, where it is finished it is handed out as it is. Answers are added in transactions of at
 * most about a second's work; progress reports only what has been added. Ctrl-C: HN_ERR_INTERRUPTED, with what was done kept.
 * Ownership: the setup's parts are borrowed. Threading: one thread. */
#ifndef HN_LIFECYCLE_EVAL_H
#define HN_LIFECYCLE_EVAL_H

#include "lifecycle/eval/grader.h"
#include "lifecycle/eval/repeated_looks.h"
#include "lifecycle/eval/run_report.h"
#include "project/prompt.h"
#include "provider/provider.h"

/* Stopping as soon as the run is certainly better or worse than a reference (lifecycle/eval/repeated_looks.h). */
typedef struct hn_eval_until {
    const double *reference; /* (n) its scores, 0 or 1, of the run's cases in their order */
    const uint32_t *groups;  /* (n) of related cases, or NULL */
    size_t n, every;         /* looked at after every so many cases */
    double alpha;            /* 0.05 over the number of candidates */
} hn_eval_until;

typedef struct hn_eval_setup {
    hn_project *project; /* its scope; hone.yaml is kept with the run */
    const hn_dataset *dataset;
    hn_store *store;
    hn_provider *provider;
    hn_split split;
    const char *kind; /* NULL: "eval"; part of the run's identity */
    size_t limit;     /* the first cases of the split's fixed order only; 0: all */
    bool no_cache;    /* compute every answer again, as a new run */
    json_t *
        set; /* parameters that the prompt was given from outside its file (hn_prompt_set): part of the run's identity; NULL: none */
    size_t n_leaks; /* cases known to stand in an earlier split, too, and allowed: the run's parameters say so */
    int repeat; /* up to 1: the run itself; k: its k-th repetition, a run of its own that neither reads nor fills the cache */
    hn_open_model *open_model; /* of judges among the graders; NULL: local models alone */
    void *open_user;
    const hn_eval_until *until; /* NULL: answer all cases. Borrowed */
} hn_eval_setup;

typedef struct hn_eval_progress {
    int64_t run_id;
    size_t n_saved, n_cases;       /* answers in the store, of all */
    size_t n_correct;              /* of those saved */
    size_t n_prior, n_prior_cases; /* prior correction: inputs measured, of all; 0 of 0: none */
} hn_eval_progress;
typedef void hn_eval_on_progress(void *user, const hn_eval_progress *progress);

typedef struct hn_eval_result {
    hn_run *run;
    hn_run_start start; /* DONE: nothing had to be computed */
    size_t n_resumed;   /* answers that an interrupted run had left */
    hn_prediction_list predictions;
    hn_report report;
    bool stopped_early;         /* `until` was decided: the run is left unfinished, the same setup without it goes on */
    hn_repeated_looks sequence; /* with `until` */
    double seconds;             /* of this call */
    size_t n_cached;            /* answers that took no model time in this call */
} hn_eval_result;

hn_status hn_eval_run(const hn_eval_setup *setup, const hn_prompt *prompt, hn_eval_on_progress *on_progress, void *user,
                      hn_eval_result *result, hn_error *err) HN_MUST_CHECK;
void hn_eval_result_free(hn_eval_result *result);

/* The same in steps, so that several evaluations can share a thread: open, step until `over`, then finish; after an error of step, or to
 * leave early, stop in place of finish (what was answered is kept, and the same setup goes on from there). Free in any case.
 * The setup is copied; its parts and the prompt must outlive the evaluation. */
typedef struct hn_evaluation hn_evaluation;
hn_status hn_evaluation_open(const hn_eval_setup *setup, const hn_prompt *prompt, hn_eval_on_progress *on_progress,
                             void *user, hn_evaluation **e, hn_error *err) HN_MUST_CHECK;
/* Works for up to about `timeout_ms`. */
hn_status hn_evaluation_step(hn_evaluation *e, int timeout_ms, bool *over, hn_error *err) HN_MUST_CHECK;
hn_status hn_evaluation_finish(hn_evaluation *e, hn_eval_result *result, hn_error *err) HN_MUST_CHECK;
/* HN_ERR_INTERRUPTED as `why`: `err` says how many answers are saved. */
void hn_evaluation_stop(hn_evaluation *e, hn_status why, hn_error *err);
void hn_evaluation_free(hn_evaluation *e);

/* The cases that a run with this setup answers: indices of the split's labelled cases, `limit` applied. Free with hn_free. HN_ERR_INPUT where
 * there are none. */
hn_status hn_eval_cases(const hn_eval_setup *setup, uint32_t **cases, size_t *n, hn_error *err) HN_MUST_CHECK;

/* One entry of {"runs":[...]}; `baselines` borrowed. */
hn_status hn_eval_json(const hn_eval_result *result, const json_t *baselines, json_t **value,
                       hn_error *err) HN_MUST_CHECK;

#endif
