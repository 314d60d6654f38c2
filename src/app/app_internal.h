/* What the App's files share: the App itself and its jobs.
 *
 * app.c: creation and the queue's public face; app_job.c: one case's way through its stages; app_request.c: prompts into requests.
 * Ownership: see app.h. Threading: one thread. */
#ifndef HN_APP_APP_INTERNAL_H
#define HN_APP_APP_INTERNAL_H

#include "app/answer_cache.h"
#include "app/answer_parse.h"
#include "app/app.h"
#include "app/calibrate.h"
#include "app/guard.h"

typedef enum hn_app_stage { HN_STAGE_REASONING, HN_STAGE_ANSWER } hn_app_stage;

/* A case on its way, or one of the inputs that the prior is measured on (on_answer NULL). */
typedef struct hn_app_job {
    struct hn_app_job *next;
    hn_app *app;
    uint64_t ticket;
    const hn_case *c;
    double deadline;
    hn_on_answer *on_answer;
    void *user;
    double *prior_row; /* (n_labels) where a calibration input's log-likelihoods go; NULL: a user's case */
    const char *guard; /* refused before the model was asked; NULL: not */
    bool held;         /* not started: its search of labels needs the prior */
    hn_app_stage stage;
    hn_app_request request;
    bool in_provider, finished;
    uint64_t provider_ticket;
    char key[65];
    /* the outcome */
    hn_status status;
    hn_error error;
    char *text, *reasoning;
    size_t text_bytes;
    double *raw_logprobs;
    hn_usage usage;
    hn_timing timing;
    hn_finish finish;
    bool from_cache;
} hn_app_job;

typedef enum hn_prior_state { HN_PRIOR_NONE, HN_PRIOR_WANTED, HN_PRIOR_RUNNING, HN_PRIOR_READY } hn_prior_state;

struct hn_app {
    hn_app_parts parts;
    hn_example_pool *pool;
    hn_answer_parser *parser;
    hn_answer_cache *cache;
    char *numeric_path;
    hn_guard *guard;          /* NULL: none */
    hn_constraint constraint; /* what generated answers are held to */
    json_t *number_schema;    /* NUMBER: what the constraint points to */
    hn_app_job *first, *last; /* in the order of submission */
    size_t n_jobs;            /* users' cases only */
    size_t n_in_provider;
    uint64_t last_ticket;
    bool closing;
    bool is_remote; /* what answers may change its version while we ask */
    hn_prior_state prior_state;
    hn_prior prior;
    double *prior_rows; /* (n_prior, n_labels); NaN first: that input has no answer */
    double *log_priors; /* (n_labels) the prior's means, once it is ready and labels are searched; else NULL */
    size_t n_prior, n_prior_done;
    hn_status failed; /* an error of a job that concerns every case */
    hn_error failure;
};

bool hn_app_scores_labels(const hn_app *app);
/* Fills app->constraint by contract and prompt; a regular expression that no answer can be held to is an error here. */
hn_status hn_app_constraint_make(hn_app *app, hn_error *err) HN_MUST_CHECK;
/* Creates a job and starts its first stage; a user's job that needs the prior waits for it (held). */
hn_status hn_app_job_start(hn_app *app, const hn_case *c, double deadline, double *prior_row, hn_app_job **job,
                           hn_error *err) HN_MUST_CHECK;
/* Starts a job that was held. An error concerns every case; the job's own is in it. */
hn_status hn_app_job_release(hn_app_job *job, hn_error *err) HN_MUST_CHECK;
void hn_app_job_free(hn_app_job *job);
/* Marks a job as finished with an error. */
void hn_app_job_fail(hn_app_job *job, hn_status status, const hn_error *error);
/* Rewrites the request for the answer stage, with the reasoning that was generated in front of it. */
hn_status hn_app_request_answer(const hn_app *app, hn_app_request *request, const char *reasoning,
                                hn_error *err) HN_MUST_CHECK;
/* Whether an error lies in the one case (too long, too late) and not in what all cases share. */
bool hn_app_is_case_error(hn_status status);

#endif
