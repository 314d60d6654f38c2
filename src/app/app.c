/* The App's queue: cases in, answers out, the prior measured once in between; see app.h. */
#include "app/app_internal.h"

#include "base/clock.h"
#include "base/str.h"

#include <math.h>
#include <string.h>

/* ---- creation ---- */

static hn_status create_prior(hn_app *app, hn_error *err) {
    const hn_prompt *prompt = app->parts.prompt;
    if (prompt->calibrate != HN_CALIBRATE_PRIOR || !hn_app_scores_labels(app)) return HN_OK;
    size_t n = 0;
    for (size_t i = 0; app->parts.dataset && i < app->parts.dataset->n_cases; i++)
        n += app->parts.dataset->cases[i].split == HN_SPLIT_TRAIN;
    if (n == 0)
        return hn_fail(
            err, HN_ERR_INPUT, prompt->path, "give the train split a share in hone.yaml, or take `calibrate` away",
            "`calibrate: prior` measures the labels' popularity on inputs of the train split, and there are none");
    app->n_prior = n < HN_APP_PRIOR_CASES ? n : HN_APP_PRIOR_CASES;
    app->prior_rows = hn_calloc(app->n_prior, prompt->n_labels * sizeof(double));
    if (!app->prior_rows) return hn_fail_memory(err, app->n_prior * prompt->n_labels * sizeof(double));
    app->prior_state = HN_PRIOR_WANTED;
    return hn_prior_init(&app->prior, prompt->n_labels, err);
}

static hn_status create_parts(hn_app *app, hn_error *err) {
    const hn_app_parts *p = &app->parts;
    hn_provider_info info;
    if (p->prompt->pick != HN_PICK_NONE) {
        if (!p->dataset)
            return hn_fail(err, HN_ERR_INPUT, p->prompt->path, "run it in its project",
                           "the prompt shows examples and there is no dataset");
        HN_TRY(hn_example_pool_create(p->dataset, &p->scope->contract, &app->pool, err));
    }
    HN_TRY(hn_answer_parser_create(&p->scope->contract, p->prompt->wordings, &app->parser, err));
    HN_TRY(hn_app_constraint_make(app, err));
    HN_TRY(hn_answer_cache_create(p->store, &app->cache, err));
    HN_TRY(hn_provider_info_get(p->provider, &info, err));
    if (info.generates_only && hn_app_scores_labels(app))
        return hn_fail(err, HN_ERR_INPUT, p->prompt->path, "use `answer: generate`, or a local model",
                       "`answer: likelihood` needs the labels' likelihoods, which %s, a remote model, does not give",
                       info.name);
    app->is_remote = info.generates_only;
    HN_TRY(hn_guard_create(p->scope, &app->guard, err));
    app->numeric_path = hn_strdup(info.numeric_path ? info.numeric_path : "");
    if (!app->numeric_path) return hn_fail_memory(err, 0);
    return create_prior(app, err);
}

hn_status hn_app_create(const hn_app_parts *parts, hn_app **out, hn_error *err) {
    *out = NULL;
    hn_app *app = hn_calloc(1, sizeof *app);
    if (!app) return hn_fail_memory(err, sizeof *app);
    app->parts = *parts;
    hn_status st = create_parts(app, err);
    if (st == HN_OK)
        *out = app;
    else
        hn_app_free(app);
    return st;
}

static void append_job(hn_app *app, hn_app_job *job) {
    if (app->last)
        app->last->next = job;
    else
        app->first = job;
    app->last = job;
}

static void remove_job(hn_app *app, hn_app_job *job) {
    hn_app_job *before = NULL;
    for (hn_app_job *j = app->first; j && j != job; j = j->next) before = j;
    if (before)
        before->next = job->next;
    else
        app->first = job->next;
    if (app->last == job) app->last = before;
    job->next = NULL;
}

void hn_app_free(hn_app *app) {
    if (!app) return;
    app->closing = true;
    while (app->first) {
        hn_app_job *job = app->first;
        if (job->in_provider) hn_provider_cancel(app->parts.provider, job->provider_ticket);
        remove_job(app, job);
        hn_app_job_free(job);
    }
    hn_example_pool_free(app->pool);
    hn_answer_parser_free(app->parser);
    hn_guard_free(app->guard);
    hn_answer_cache_free(app->cache);
    hn_prior_free(&app->prior);
    hn_free(app->prior_rows);
    hn_free(app->log_priors);
    hn_free(app->numeric_path);
    json_decref(app->number_schema);
    hn_free(app);
}

/* ---- the prior ---- */

static hn_status start_prior(hn_app *app, hn_error *err) {
    uint32_t *indices;
    size_t n, n_labels = app->parts.prompt->n_labels;
    HN_TRY(hn_dataset_select(app->parts.dataset, HN_SPLIT_TRAIN, &indices, &n, err));
    hn_status st = HN_OK;
    if (n < app->n_prior) app->n_prior = n;
    for (size_t i = 0; i < app->n_prior && st == HN_OK; i++) {
        hn_app_job *job;
        st =
            hn_app_job_start(app, &app->parts.dataset->cases[indices[i]], 0, app->prior_rows + i * n_labels, &job, err);
        if (st != HN_OK) break;
        append_job(app, job);
    }
    hn_free(indices);
    if (st == HN_OK) app->prior_state = HN_PRIOR_RUNNING;
    return st;
}

/* Cases that are searched start now: what is left out of a search depends on the prior. */
static hn_status release_held(hn_app *app, hn_error *err) {
    size_t n = app->parts.prompt->n_labels;
    if (app->parts.prompt->probabilities == HN_PROBABILITIES_EXACT) return HN_OK;
    app->log_priors = hn_alloc(n * sizeof *app->log_priors);
    if (!app->log_priors) return hn_fail_memory(err, n * sizeof *app->log_priors);
    for (size_t l = 0; l < n; l++) app->log_priors[l] = app->prior.sum[l] / (double)app->prior.n_added;
    for (hn_app_job *job = app->first; job; job = job->next)
        if (job->held) HN_TRY(hn_app_job_release(job, err));
    return HN_OK;
}

/* Rows are added in the sample's order, so that the mean has the same bits whichever answer came first. */
static hn_status finish_prior(hn_app *app, hn_error *err) {
    size_t n_labels = app->parts.prompt->n_labels;
    for (size_t i = 0; i < app->n_prior; i++) {
        const double *row = app->prior_rows + i * n_labels;
        bool finite = true;
        for (size_t l = 0; l < n_labels; l++) finite = finite && isfinite(row[l]);
        if (finite) hn_prior_add(&app->prior, row);
    }
    app->prior_state = HN_PRIOR_READY;
    if (app->prior.n_added > 0) return release_held(app, err);
    return hn_fail(err, HN_ERR_INPUT, app->parts.prompt->path, "shorten the prompt, or take `calibrate` away",
                   "`calibrate: prior` needs answers to training inputs, and none of %zu could be computed",
                   app->n_prior);
}

static void take_prior_row(hn_app *app, const hn_app_job *job) {
    size_t n_labels = app->parts.prompt->n_labels;
    if (job->status == HN_OK && job->raw_logprobs)
        memcpy(job->prior_row, job->raw_logprobs, n_labels * sizeof(double));
    else
        job->prior_row[0] = (double)NAN;
    app->n_prior_done++;
    if (job->status != HN_OK && !hn_app_is_case_error(job->status) && app->failed == HN_OK) {
        app->failed = job->status;
        app->failure = job->error;
    }
}

void hn_app_calibration(const hn_app *app, size_t *n_done, size_t *n_all) {
    *n_done = app->n_prior_done;
    *n_all = app->n_prior;
}

/* ---- answers ---- */

/* What a person is to check is decided before the probabilities change; see correction.h. `a->label_set` has its room behind them. */
static hn_status correct_answer(const hn_app *app, double *probabilities, hn_answer *a, hn_error *err) {
    const hn_correction *c = app->parts.correction;
    if (!c) return HN_OK;
    bool *set = (bool *)(probabilities + a->n_labels);
    a->abstained = hn_correction_abstains(c, probabilities, a->n_labels);
    hn_correction_set(c, probabilities, a->n_labels, set);
    if (!isnan(c->miss_limit)) a->label_set = set;
    return hn_correction_apply(c, probabilities, a->n_labels, err);
}

/* probabilities: room for (n_labels) numbers and, behind them, as many flags. */
static hn_status fill_answer(hn_app *app, hn_app_job *job, double *probabilities, hn_parsed *parsed, hn_answer *a,
                             hn_error *err) {
    const hn_scope *scope = app->parts.scope;
    if (job->raw_logprobs) {
        size_t n = app->parts.prompt->n_labels;
        a->label = hn_label_probabilities(job->raw_logprobs, &app->prior, n, probabilities);
        a->value = a->label >= 0 ? scope->contract.labels[a->label] : NULL;
        if (app->parts.prompt->probabilities == HN_PROBABILITIES_BEST) return HN_OK; /* the rest was not computed */
        a->probabilities = probabilities;
        a->raw_logprobs = job->raw_logprobs;
        a->n_labels = n;
        return correct_answer(app, probabilities, a, err);
    }
    a->text = job->text;
    a->text_bytes = job->text_bytes;
    /* cut before it was whole: what it looks like so far is not what the model says */
    bool whole_counts = app->parts.prompt->constrain || scope->contract.kind == HN_CONTRACT_JSON;
    if (whole_counts && job->finish == HN_FINISH_LENGTH) return HN_OK;
    HN_TRY(hn_answer_parse(app->parser, job->text, job->text_bytes, parsed, err));
    a->label = parsed->label;
    a->value = parsed->text;
    a->number = parsed->number;
    return HN_OK;
}

/* A guard refuses: the fallback stands in the answer's place, or nobody answers. What the model wrote is kept for who reads. */
static void fall_back(const hn_app *app, const char *guard, hn_answer *a) {
    a->guard = guard;
    a->value = hn_guard_fallback(app->guard, &a->label);
    a->number = (double)NAN;
    if (a->value && app->parts.scope->contract.kind == HN_CONTRACT_NUMBER && !hn_parse_double(a->value, &a->number))
        a->number = (double)NAN;
    a->abstained = !a->value;
}

static hn_status guard_answer(hn_app *app, const hn_app_job *job, hn_answer *a, hn_error *err) {
    const char *fired = job->guard;
    if (!app->guard) return HN_OK;
    if (!fired && a->value) HN_TRY(hn_guard_output(app->guard, job->c, hn_str_of(a->value), &fired, &a->support, err));
    if (fired) fall_back(app, fired, a);
    return HN_OK;
}

/* Takes the job out of the queue, tells its user, frees it. */
static void deliver(hn_app *app, hn_app_job *job) {
    size_t n_labels = app->parts.prompt->n_labels;
    hn_parsed parsed = {.label = -1};
    hn_answer a = {.status = job->status,
                   .error = job->error,
                   .label = -1,
                   .number = (double)NAN,
                   .support = (double)NAN,
                   .reasoning = job->reasoning,
                   .examples = job->request.examples,
                   .n_examples = job->request.n_examples,
                   .usage = job->usage,
                   .timing = job->timing,
                   .finish = job->finish,
                   .from_cache = job->from_cache && job->status == HN_OK,
                   .cache_key = *job->key ? job->key : NULL,
                   .numeric_path = app->numeric_path};
    double *probabilities =
        job->status == HN_OK && job->raw_logprobs ? hn_calloc(n_labels, sizeof *probabilities + sizeof(bool)) : NULL;
    remove_job(app, job);
    app->n_jobs--;
    if (job->status == HN_OK && job->raw_logprobs && !probabilities)
        a.status = hn_fail_memory(&a.error, n_labels * sizeof(double));
    else if (job->status == HN_OK)
        a.status = job->guard ? HN_OK : fill_answer(app, job, probabilities, &parsed, &a, &a.error);
    if (a.status == HN_OK) a.status = guard_answer(app, job, &a, &a.error);
    job->on_answer(job->user, job->ticket, &a);
    hn_parsed_free(&parsed);
    hn_free(probabilities);
    hn_app_job_free(job);
}

static bool is_due(const hn_app *app, const hn_app_job *job) {
    if (!job->finished || job->prior_row) return false;
    return job->status != HN_OK || app->prior_state == HN_PRIOR_NONE || app->prior_state == HN_PRIOR_READY;
}

static void collect_prior(hn_app *app) {
    for (hn_app_job *job = app->first, *next; job; job = next) {
        next = job->next;
        if (!job->prior_row || !job->finished) continue;
        take_prior_row(app, job);
        remove_job(app, job);
        hn_app_job_free(job);
    }
}

/* Delivers what is due among the cases that were there at the start: a callback that submits again must not keep us here. The search
 * starts anew each time since a callback may also cancel. */
static hn_status deliver_due(hn_app *app, uint64_t up_to, size_t *n_delivered, hn_error *err) {
    for (;;) {
        if (app->prior_state == HN_PRIOR_RUNNING) {
            collect_prior(app);
            if (app->failed == HN_OK && app->n_prior_done == app->n_prior) HN_TRY(finish_prior(app, err));
        }
        if (app->failed != HN_OK) {
            if (err) *err = app->failure;
            return app->failed;
        }
        hn_app_job *job = app->first;
        while (job && (job->ticket > up_to || !is_due(app, job))) job = job->next;
        if (!job) return HN_OK;
        deliver(app, job);
        ++*n_delivered;
    }
}

hn_status hn_app_submit(hn_app *app, const hn_case *c, double deadline, hn_on_answer *on_answer, void *user,
                        uint64_t *ticket, hn_error *err) {
    hn_app_job *job;
    if (app->prior_state == HN_PRIOR_WANTED) HN_TRY(start_prior(app, err));
    HN_TRY(hn_app_job_start(app, c, deadline, NULL, &job, err));
    job->ticket = ++app->last_ticket;
    job->on_answer = on_answer;
    job->user = user;
    append_job(app, job);
    app->n_jobs++;
    if (ticket) *ticket = job->ticket;
    return HN_OK;
}

hn_status hn_app_step(hn_app *app, int timeout_ms, size_t *pending, hn_error *err) {
    uint64_t up_to = app->last_ticket;
    size_t n_delivered = 0;
    hn_status st = deliver_due(app, up_to, &n_delivered, err);
    if (st == HN_OK && app->n_in_provider > 0 && n_delivered == 0) {
        st = hn_provider_step(app->parts.provider, timeout_ms, NULL, err);
        if (st == HN_OK) st = deliver_due(app, up_to, &n_delivered, err);
    }
    if (st == HN_OK) st = hn_answer_cache_flush(app->cache, true, err);
    if (pending) *pending = app->n_jobs;
    return st;
}

void hn_app_cancel(hn_app *app, uint64_t ticket) {
    hn_app_job *job = app->first;
    while (job && (job->prior_row || job->ticket != ticket)) job = job->next;
    if (!job) return;
    if (job->in_provider) hn_provider_cancel(app->parts.provider, job->provider_ticket);
    hn_error err;
    hn_fail(&err, HN_ERR_INTERRUPTED, NULL, NULL, "cancelled");
    hn_app_job_fail(job, HN_ERR_INTERRUPTED, &err);
    deliver(app, job);
}

hn_status hn_app_flush(hn_app *app, hn_error *err) { return hn_answer_cache_flush(app->cache, false, err); }

/* ---- what it is ---- */

hn_status hn_app_parameters(const hn_app *app, json_t **parameters, hn_error *err) {
    static const char *const picks[] = {"none", "fixed", "random", "balanced", "nearest"};
    const hn_prompt *p = app->parts.prompt;
    static const char *const exactness[] = {"exact", "bounded", "best"};
    bool prior = app->prior_state != HN_PRIOR_NONE;
    json_t *made =
        json_pack("{s:s, s:s, s:i, s:{s:s, s:i}, s:i, s:s}", "answer",
                  p->answer == HN_ANSWER_LIKELIHOOD ? "likelihood" : "generate", "calibrate", prior ? "prior" : "none",
                  "calibration_cases", (int)app->n_prior, "examples", "pick", picks[p->pick], "n", p->n_examples,
                  "reasoning_max_tokens", p->reasoning_max_tokens, "template", p->raw ? "raw" : "chat");
    bool fine = made != NULL;
    if (fine && p->probabilities != HN_PROBABILITIES_EXACT)
        fine = json_object_set_new(made, "probabilities", json_string(exactness[p->probabilities])) == 0;
    if (fine && p->probabilities == HN_PROBABILITIES_BOUNDED)
        fine = json_object_set_new(made, "probabilities_within", json_real(HN_LABEL_TOLERANCE)) == 0;
    if (fine && !hn_app_scores_labels(app))
        fine = json_object_set_new(made, "max_tokens", json_integer(p->max_tokens)) == 0 &&
               json_object_set_new(made, "constrain", json_boolean(p->constrain)) == 0;
    if (fine && (!hn_app_scores_labels(app) || p->reasoning_max_tokens > 0))
        fine = json_object_set_new(made, "temperature", json_real(p->temperature)) == 0 &&
               json_object_set_new(made, "seed", json_integer((json_int_t)p->seed)) == 0;
    if (fine && app->parts.scope->guard.given)
        fine = json_object_set_new(made, "guard", hn_guard_rules_json(&app->parts.scope->guard)) == 0;
    if (fine && app->parts.scope->context_column)
        fine = json_object_set_new(made, "context", json_string(app->parts.scope->context_column)) == 0;
    if (fine && p->recalibrate != HN_RECALIBRATE_NONE)
        fine = json_object_set_new(made, "recalibrate", json_string(hn_recalibrate_name(p->recalibrate))) == 0;
    json_t *correction = NULL;
    if (fine && app->parts.correction)
        fine = hn_correction_json(app->parts.correction, &correction, err) == HN_OK &&
               json_object_set_new(made, "correction", correction) == 0;
    if (!fine) {
        json_decref(made);
        return hn_fail_memory(err, 0);
    }
    *parameters = made;
    return HN_OK;
}
