/* The App: prompt + model + output contract + wordings + example pool + calibration. The one thing that answers; evaluation, chat and
 * server all go through it, so what was measured is what is served.
 *
 * It is a queue like the provider's: submit cases, call step until none is pending.
 *
 *     hn_app *app;
 *     HN_TRY(hn_app_create(&(hn_app_parts){scope, dataset, prompt, provider, store}, &app, &err));
 *     HN_TRY(hn_app_submit(app, c, 0, on_answer, user, &ticket, &err));
 *     for (size_t pending = 1; pending;) HN_TRY(hn_app_step(app, 100, &pending, &err));   // calls on_answer
 *     hn_app_free(app);
 *
 * How an answer is reached. `choice` by likelihood: every wording's exact log-likelihood after the prompt (its end token included, no length
 * normalisation), prior correction where the prompt says so, softmax; the most likely label is the value. Everything else by
 * generation: the text is read by answer_parse.h. Where the prompt asks for reasoning, that many tokens are generated first and
 * stand in front of the answer.
 * Prior correction needs the first HN_APP_PRIOR_CASES inputs of the train split (in hn_dataset_select's seeded order; their targets are
 * not looked at). They go through the same queue once, ahead of the first case; answers wait for them.
 * Ownership: the app borrows its parts, which must outlive it; a case must live until its answer. An answer is valid during its
 * callback. Threading: one thread; callbacks run inside hn_app_step or hn_app_cancel, and may submit and cancel. */
#ifndef HN_APP_APP_H
#define HN_APP_APP_H

#include "app/correction.h"
#include "project/prompt.h"
#include "provider/provider.h"
#include "store/store.h"

enum { HN_APP_PRIOR_CASES = 64 };

typedef struct hn_app_parts {
    const hn_scope *scope;     /* its contract */
    const hn_dataset *dataset; /* examples and calibration inputs; may be NULL where the prompt needs neither */
    const hn_prompt *prompt;
    hn_provider *provider;
    hn_store *store;                 /* cache of completions; NULL: none */
    const hn_correction *correction; /* fitted on dev; NULL: probabilities as they are, nothing is left to a person */
} hn_app_parts;

typedef struct hn_answer {
    hn_status status; /* HN_OK, or why there is no answer */
    hn_error error;
    const char *text; /* generation: what the model wrote; else NULL */
    size_t text_bytes;
    const char *value; /* the parsed answer: the label, the number as written, the text; NULL: no valid answer */
    int label;         /* choice: index; -1: none */
    double number;     /* number contract; else NaN */
    bool abstained;    /* too unsure: the value is for a person to check, not to be acted upon */
    const char *
        guard; /* the rule that refused: "input.language", "output.grounded"; NULL: none. `value` is the fallback then */
    double support;        /* by the case's context, 0 to 1; NaN: not measured */
    const bool *label_set; /* (n_labels) which labels the case may have, by the correction's share; NULL: no sets */
    /* NULL by generation, and where the prompt wants only the best label. `probabilities: bounded`: within 1e-4, and labels
     * that were left out have probability 0 and log-likelihood NaN. */
    const double *probabilities; /* (n_labels) after calibration */
    const double *raw_logprobs;  /* (n_labels) as the model has them */
    size_t n_labels;
    const char *reasoning;          /* NULL: none was asked for */
    const hn_case *const *examples; /* (n_examples) shown in the prompt, in order */
    size_t n_examples;
    hn_usage usage;   /* over all stages */
    hn_timing timing; /* what it took when it was computed, also for a cached answer */
    hn_finish finish;
    bool from_cache;       /* every stage was found */
    const char *cache_key; /* of the last stage; NULL: none */
    const char *numeric_path;
} hn_answer;

typedef struct hn_app hn_app;
typedef void hn_on_answer(void *user, uint64_t ticket, const hn_answer *answer);

/* HN_ERR_INPUT: the prompt wants examples or prior correction and there is no dataset, or its train split is empty. */
hn_status hn_app_create(const hn_app_parts *parts, hn_app **app, hn_error *err) HN_MUST_CHECK;
/* Queues a case. What is wrong with one case alone (too long for the context window, deadline) comes as its answer's status; an error
 * here, or from step, concerns every case (a template that cannot run, a label that merges with the prompt, memory, disk). */
hn_status hn_app_submit(hn_app *app, const hn_case *c, double deadline_seconds /* hn_clock_seconds; 0: none */,
                        hn_on_answer *on_answer, void *user, uint64_t *ticket, hn_error *err) HN_MUST_CHECK;
/* Works for up to about `timeout_ms` or until something is answered. *pending (may be NULL): cases not yet answered. */
hn_status hn_app_step(hn_app *app, int timeout_ms, size_t *pending, hn_error *err) HN_MUST_CHECK;
/* The answer comes with HN_ERR_INTERRUPTED before this returns; an unknown ticket is ignored. */
void hn_app_cancel(hn_app *app, uint64_t ticket);
/* Writes cached completions that still wait. */
hn_status hn_app_flush(hn_app *app, hn_error *err) HN_MUST_CHECK;
/* Pending cases are dropped without a callback. */
void hn_app_free(hn_app *app);

/* How far the calibration is: inputs done and in all; 0 of 0 where the prompt wants none. */
void hn_app_calibration(const hn_app *app, size_t *n_done, size_t *n_all);
/* What decides the answers beside the model: {"answer","calibrate","calibration_cases","examples":{...},...}. New reference. */
hn_status hn_app_parameters(const hn_app *app, json_t **parameters, hn_error *err) HN_MUST_CHECK;
/* The request that the app would make for a case (its first stage), for showing prompts: owned parts in `request` are freed by
 * hn_app_request_free. */
typedef struct hn_app_request {
    hn_request request;
    json_t *messages;
    char *raw, *prefix;
    const hn_case **examples;
    size_t n_examples;
    hn_request_label *labels;
} hn_app_request;
hn_status hn_app_request_make(const hn_app *app, const hn_case *c, hn_app_request *out, hn_error *err) HN_MUST_CHECK;
void hn_app_request_free(hn_app_request *request);

#endif
