/* One case's way: (reasoning, then) the answer, each stage from the cache or the provider. Nothing here calls the user: a finished job
 * waits in the App's list until hn_app_step delivers it. */
#include "app/app_internal.h"

#include <math.h>
#include <string.h>

bool hn_app_is_case_error(hn_status status) {
    return status == HN_ERR_CONTEXT || status == HN_ERR_LIMIT || status == HN_ERR_TIMEOUT ||
           status == HN_ERR_INTERRUPTED;
}

void hn_app_job_fail(hn_app_job *job, hn_status status, const hn_error *error) {
    job->finished = true;
    job->status = status;
    job->error = *error;
    job->finish = status == HN_ERR_INTERRUPTED ? HN_FINISH_CANCELLED : HN_FINISH_ERROR;
}

static hn_status copy_outcome(hn_app_job *job, const hn_completion *c, hn_error *err) {
    job->finish = c->finish;
    if (c->label_logprobs) {
        size_t n_bytes = c->n_labels * sizeof(double);
        if (c->n_labels != job->app->parts.prompt->n_labels)
            return hn_fail(err, HN_ERR_INTERNAL, "provider", NULL, "it scored %zu labels instead of %zu", c->n_labels,
                           job->app->parts.prompt->n_labels);
        job->raw_logprobs = hn_alloc(n_bytes);
        if (!job->raw_logprobs) return hn_fail_memory(err, n_bytes);
        memcpy(job->raw_logprobs, c->label_logprobs, n_bytes);
        for (size_t i = 0; c->label_is_bound && i < c->n_labels; i++)
            if (c->label_is_bound[i]) job->raw_logprobs[i] = (double)NAN; /* left out: a bound is no likelihood */
    } else {
        job->text = hn_strndup(c->text ? c->text : "", c->text ? c->text_bytes : 0);
        if (!job->text) return hn_fail_memory(err, c->text_bytes);
        job->text_bytes = c->text ? c->text_bytes : 0;
    }
    job->finished = true;
    return HN_OK;
}

static hn_status start_stage(hn_app_job *job, hn_error *err);

static hn_status stage_done(hn_app_job *job, const hn_completion *c, bool cached, hn_error *err) {
    job->usage.prompt_tokens += c->usage.prompt_tokens;
    job->usage.cached_prompt_tokens += c->usage.cached_prompt_tokens;
    job->usage.completion_tokens += c->usage.completion_tokens;
    job->usage.cost += c->usage.cost;
    job->timing.queue_ms += c->timing.queue_ms;
    job->timing.prefill_ms += c->timing.prefill_ms;
    job->timing.decode_ms += c->timing.decode_ms;
    job->from_cache = job->from_cache && cached;
    if (job->stage == HN_STAGE_ANSWER) return copy_outcome(job, c, err);
    job->reasoning = hn_strndup(c->text ? c->text : "", c->text ? c->text_bytes : 0);
    if (!job->reasoning) return hn_fail_memory(err, c->text_bytes);
    job->stage = HN_STAGE_ANSWER;
    HN_TRY(hn_app_request_answer(job->app, &job->request, job->reasoning, err));
    return start_stage(job, err);
}

/* Under the key that the request had, and, where a remote model has said meanwhile which version it is, under the key with that version. So an
 * answer of another version is never taken for one of this, and what nothing was asked about yet is found without asking. */
static void keep(hn_app_job *job, const hn_completion *c) {
    hn_app *app = job->app;
    char now[65];
    hn_answer_cache_put(app->cache, job->key, c);
    if (!app->is_remote || hn_provider_cache_key(app->parts.provider, &job->request.request, now, NULL) != HN_OK)
        return;
    if (strcmp(now, job->key) == 0) return;
    hn_answer_cache_put(app->cache, now, c);
    memcpy(job->key, now, sizeof now);
}

static void on_completion(void *user, uint64_t ticket, const hn_completion *c) {
    hn_app_job *job = user;
    hn_error err = {0};
    (void)ticket;
    job->in_provider = false;
    job->app->n_in_provider--;
    if (job->app->closing) return;
    hn_status st = c->status;
    if (st != HN_OK)
        err = c->error;
    else {
        keep(job, c);
        st = stage_done(job, c, false, &err);
    }
    if (st != HN_OK) hn_app_job_fail(job, st, &err);
}

/* The prior is measured on exact likelihoods; users' cases are searched with it. */
static void set_search(hn_app_job *job) {
    static const hn_label_mode modes[] = {HN_LABELS_ALL, HN_LABELS_BOUNDED, HN_LABELS_BEST};
    hn_request *r = &job->request.request;
    if (r->kind != HN_REQUEST_LABELS || job->prior_row) return;
    r->label_mode = modes[job->app->parts.prompt->probabilities];
    r->label_log_priors = r->label_mode == HN_LABELS_ALL ? NULL : job->app->log_priors;
}

static hn_status start_stage(hn_app_job *job, hn_error *err) {
    hn_app *app = job->app;
    set_search(job);
    hn_completion found;
    bool is_cached;
    HN_TRY(hn_provider_cache_key(app->parts.provider, &job->request.request, job->key, err));
    HN_TRY(hn_answer_cache_get(app->cache, job->key, &is_cached, &found, err));
    bool fits = is_cached && (found.label_logprobs != NULL) == (job->request.request.kind == HN_REQUEST_LABELS) &&
                (!found.label_logprobs || found.n_labels == job->request.request.n_labels);
    if (fits) return stage_done(job, &found, true, err);
    /* Counted before, since the callback could come from within. */
    job->in_provider = true;
    app->n_in_provider++;
    hn_status st = hn_provider_submit(app->parts.provider, &job->request.request, job->deadline, on_completion, job,
                                      &job->provider_ticket, err);
    if (st == HN_OK) return HN_OK;
    job->in_provider = false;
    app->n_in_provider--;
    return st;
}

hn_status hn_app_job_release(hn_app_job *job, hn_error *err) {
    hn_error local = {0};
    job->held = false;
    if (job->finished) return HN_OK;
    hn_status st = start_stage(job, &local);
    if (st == HN_OK) return HN_OK;
    hn_app_job_fail(job, st, &local);
    if (hn_app_is_case_error(st)) return HN_OK;
    if (err) *err = local;
    return st;
}

hn_status hn_app_job_start(hn_app *app, const hn_case *c, double deadline, double *prior_row, hn_app_job **out,
                           hn_error *err) {
    hn_error local = {0};
    *out = NULL;
    hn_app_job *job = hn_calloc(1, sizeof *job);
    if (!job) return hn_fail_memory(err, sizeof *job);
    job->app = app;
    job->c = c;
    job->deadline = deadline;
    job->from_cache = true;
    job->prior_row = prior_row;
    job->held = !prior_row && app->prior_state == HN_PRIOR_RUNNING &&
                app->parts.prompt->probabilities != HN_PROBABILITIES_EXACT;
    job->stage = app->parts.prompt->reasoning_max_tokens > 0 ? HN_STAGE_REASONING : HN_STAGE_ANSWER;
    hn_status st = prior_row ? HN_OK : hn_guard_input(app->guard, c, &job->guard, &local);
    if (st == HN_OK && job->guard) {
        job->finished = true;
        job->from_cache = false;
        *out = job;
        return HN_OK;
    }
    if (st == HN_OK) st = hn_app_request_make(app, c, &job->request, &local);
    if (st == HN_OK && !job->held) st = start_stage(job, &local);
    if (st != HN_OK && !hn_app_is_case_error(st)) {
        hn_app_job_free(job);
        if (err) *err = local;
        return st;
    }
    if (st != HN_OK) hn_app_job_fail(job, st, &local);
    *out = job;
    return HN_OK;
}

void hn_app_job_free(hn_app_job *job) {
    if (!job) return;
    hn_app_request_free(&job->request);
    hn_free(job->text);
    hn_free(job->reasoning);
    hn_free(job->raw_logprobs);
    hn_free(job);
}
