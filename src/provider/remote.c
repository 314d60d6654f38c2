/* The remote provider: a queue of requests in front of an endpoint; see remote.h and remote_parts.h.
 *
 * A request waits until it is due, there is a free place among `concurrency`, the rates allow it and the budget has room for what it may cost; then it
 * is sent. When its call is over it is finished, or waits again with a later due time.
 * Surprise: callbacks run inside step and may submit and cancel; requests that are done stay in the list until the outermost call sweeps them.
 * Requests that the budget has no room for fail only once nothing is in flight, so that the answers that were paid for come first. */
#include "provider/remote.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "net/http.h"
#include "provider/remote_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { DEFAULT_RETRY_BASE_MS = 500, HEADERS_MAX = 3, URL_MAX = 1200 };

static hn_remote *remote_of(hn_provider *base) { return (hn_remote *)base; }

static void sweep(hn_remote *p) {
    size_t kept = 0;
    if (p->depth > 0) return;
    for (size_t i = 0; i < p->n_requests; i++) {
        if (p->requests[i]->state == HN_REMOTE_DONE)
            hn_remote_request_free(p->requests[i]);
        else
            p->requests[kept++] = p->requests[i];
    }
    p->n_requests = kept;
}

/* ---- finishing ---- */

static hn_timing timing_of(const hn_remote_request *r) {
    double all = 1e3 * (hn_clock_seconds() - r->submitted), took = r->result.total_ms, first = r->result.first_byte_ms;
    return (hn_timing){all > took ? all - took : 0, first, took > first ? took - first : 0};
}

/* Text that no token of a stream gave out goes out under id -1. */
static void give_rest(hn_remote_request *r) {
    const hn_buf *text = &r->reply.text;
    if (!r->on_token || r->streamed || r->stopped || text->len == 0) return;
    hn_output_token token = {.id = -1, .text = text->data, .n_bytes = text->len, .logprob = (float)NAN};
    (void)r->on_token(r->token_user, &token);
}

/* What leaves the wire: its place in flight, and its part of the budget. `cost` NaN: what was set aside counts as spent. */
static void leave_flight(hn_remote_request *r, double cost) {
    if (r->state != HN_REMOTE_SENT) return;
    r->p->n_sent--;
    hn_budget_settle(r->p->budget, r->reserved, isfinite(cost) ? cost : r->reserved);
    r->reserved = 0;
    r->state = HN_REMOTE_WAITING;
}

void hn_remote_finish(hn_remote_request *r, hn_status st, const hn_error *err) {
    hn_remote *p = r->p;
    hn_remote_reply *reply = &r->reply;
    if (r->state == HN_REMOTE_DONE) return;
    bool counted = reply->usage.prompt_tokens > 0;
    reply->usage.cost =
        counted ? hn_price_cost(&p->model->price, &reply->usage, reply->cache_write_tokens) : (double)NAN;
    leave_flight(r, st == HN_OK ? reply->usage.cost : 0);
    r->state = HN_REMOTE_DONE;
    p->n_finished++;
    if (st == HN_OK) give_rest(r);
    hn_completion c = {.status = st,
                       .finish = st == HN_OK                ? reply->finish
                                 : st == HN_ERR_INTERRUPTED ? HN_FINISH_CANCELLED
                                                            : HN_FINISH_ERROR,
                       .text = hn_buf_str(&reply->text),
                       .text_bytes = reply->text.len,
                       .content_bytes = reply->text.len,
                       .tokens = reply->tokens,
                       .n_tokens = reply->n_tokens,
                       .tool_calls = reply->calls,
                       .pooled = st == HN_OK ? reply->vector : NULL,
                       .n_pooled = st == HN_OK ? reply->n_vector : 0,
                       .usage = reply->usage,
                       .timing = timing_of(r)};
    if (st != HN_OK && err) c.error = *err;
    c.error.code = st;
    p->depth++;
    r->on_done(r->user, r->ticket, &c);
    p->depth--;
}

/* ---- submit and cancel ---- */

hn_status hn_remote_submit(hn_remote *p, hn_remote_request *r, uint64_t *ticket, hn_error *err) {
    if (!hn_grow((void **)&p->requests, &p->requests_capacity, p->n_requests + 1, sizeof(hn_remote_request *)))
        return hn_fail_memory(err, p->n_requests * sizeof(hn_remote_request *));
    r->ticket = ++p->last_ticket;
    if (ticket) *ticket = r->ticket;
    p->requests[p->n_requests++] = r;
    return HN_OK;
}

static hn_status submit(hn_provider *base, const hn_request *request, double deadline, hn_on_completion *on_done,
                        void *user, uint64_t *ticket, hn_error *err) {
    hn_remote *p = remote_of(base);
    hn_remote_request *r;
    HN_TRY(hn_remote_request_create(p, request, &r, err));
    r->deadline = deadline;
    r->on_done = on_done;
    r->user = user;
    hn_status st = hn_remote_submit(p, r, ticket, err);
    if (st != HN_OK) hn_remote_request_free(r);
    return st;
}

static void abandon(hn_remote_request *r, hn_status st, const hn_error *err) {
    if (r->state == HN_REMOTE_SENT && r->call) hn_http_pool_cancel(r->p->pool, r->call);
    hn_remote_finish(r, st, err);
}

static void cancel(hn_provider *base, uint64_t ticket) {
    hn_remote *p = remote_of(base);
    for (size_t i = 0; i < p->n_requests; i++) {
        hn_error err = {0};
        if (p->requests[i]->ticket != ticket || p->requests[i]->state == HN_REMOTE_DONE) continue;
        abandon(p->requests[i], hn_fail(&err, HN_ERR_INTERRUPTED, NULL, NULL, "the request was cancelled"), &err);
        break;
    }
    sweep(p);
}

/* ---- sending ---- */

static bool on_bytes(void *user, long http_status, const char *bytes, size_t n) {
    hn_remote_request *r = user;
    r->result.http_status = http_status;
    hn_buf_append(&r->received, bytes, n);
    if (hn_buf_status(&r->received) != HN_OK) return false;
    return !r->plan.stream || http_status != 200 || hn_remote_reply_stream(r, bytes, n);
}

static void on_done(void *user, const hn_http_result *result) {
    hn_remote_request *r = user;
    r->result = *result;
    r->arrived = true;
}

/* Forgets what an earlier try brought. */
static hn_status start_over(hn_remote_request *r, hn_error *err) {
    hn_buf_clear(&r->received);
    hn_sse_free(&r->sse);
    hn_sse_init(&r->sse, HN_REMOTE_EVENT_MAX);
    hn_remote_reply_free(&r->reply);
    r->result = (hn_http_result){0};
    r->event_status = HN_OK;
    r->arrived = false;
    r->call = 0;
    return hn_remote_reply_init(&r->reply, err);
}

/* The answer of a recorded exchange, in pieces as a network would bring them. */
static hn_status replay(hn_remote_request *r, hn_error *err) {
    enum { PIECE = 61 };
    hn_exchange_answer a;
    HN_TRY(hn_exchange_find(r->p->exchange, r->p->dialect->path(&r->plan), r->body, r->body_bytes, &a, err));
    bool goes_on = true;
    for (size_t i = 0; i < a.n && goes_on; i += PIECE)
        goes_on = on_bytes(r, a.status, a.body + i, a.n - i < PIECE ? a.n - i : PIECE);
    hn_free(a.body);
    r->result = (hn_http_result){
        .fault = goes_on ? HN_HTTP_FINE : HN_HTTP_STOPPED, .http_status = a.status, .retry_after_s = a.retry_after_s};
    r->arrived = true;
    return HN_OK;
}

/* The key goes into a header line that is wiped as soon as libcurl has its copy. */
static hn_status start_call(hn_remote_request *r, hn_error *err) {
    hn_remote *p = r->p;
    bool anthropic = p->model->api == HN_REMOTE_ANTHROPIC;
    char url[URL_MAX], *line = NULL;
    const char *headers[HEADERS_MAX];
    size_t n = 0, size = p->key.n + 64;
    snprintf(url, sizeof url, "%s%s", p->model->url, p->dialect->path(&r->plan));
    if (r->plan.stream) headers[n++] = "Accept: text/event-stream";
    if (anthropic) headers[n++] = "anthropic-version: 2023-06-01";
    if (p->key.text) {
        line = hn_alloc(size);
        if (!line) return hn_fail_memory(err, size);
        snprintf(line, size, anthropic ? "x-api-key: %s" : "Authorization: Bearer %s", p->key.text);
        headers[n++] = line;
    }
    hn_http_call call = {.url = url,
                         .body = r->body,
                         .body_bytes = r->body_bytes,
                         .headers = headers,
                         .n_headers = n,
                         .plain_http = p->model->plain_http,
                         .timeout_ms = (int)(p->model->timeout_s * 1e3),
                         .max_body_bytes = HN_REMOTE_TEXT_MAX,
                         .on_bytes = on_bytes,
                         .on_done = on_done,
                         .user = r};
    hn_status st = hn_http_pool_start(p->pool, &call, &r->call, err);
    if (line) explicit_bzero(line, size);
    hn_free(line);
    return st;
}

static hn_status send_request(hn_remote_request *r, double now, hn_error *err) {
    hn_remote *p = r->p;
    hn_rate_limit_take(&p->rate, now, hn_price_prompt_tokens(r->body_bytes) + r->max_tokens);
    HN_TRY(start_over(r, err));
    r->state = HN_REMOTE_SENT;
    p->n_sent++;
    return hn_exchange_replays(p->exchange) ? replay(r, err) : start_call(r, err);
}

/* Starts what may start now. *wait_s gets the time until more may, at most. */
static void start_waiting(hn_remote *p, double *wait_s) {
    for (size_t i = 0; i < p->n_requests; i++) {
        hn_remote_request *r = p->requests[i];
        hn_error err = {0};
        double now = hn_clock_seconds(), wait;
        if (r->state != HN_REMOTE_WAITING) continue;
        if (p->n_sent >= (size_t)p->model->concurrency) return;
        if (r->due > now) {
            if (r->due - now < *wait_s) *wait_s = r->due - now;
            continue;
        }
        if ((wait = hn_rate_limit_wait(&p->rate, now)) > 0) {
            if (wait < *wait_s) *wait_s = wait;
            return;
        }
        r->reserved = hn_price_most(&p->model->price, r->body_bytes, r->max_tokens);
        if (!hn_budget_reserve(p->budget, r->reserved)) {
            r->reserved = 0;
            p->over_budget = true;
            return;
        }
        hn_status st = send_request(r, now, &err);
        if (st != HN_OK) hn_remote_finish(r, st, &err);
    }
}

/* Nothing that is in flight anywhere may give back part of what it set aside: the budget may be shared with other endpoints. */
static bool budget_is_final(const hn_remote *p) { return p->over_budget && p->n_sent == 0 && p->budget->reserved <= 0; }

static void fail_over_budget(hn_remote *p) {
    size_t n = p->n_requests;
    for (size_t i = 0; i < n; i++) {
        hn_remote_request *r = p->requests[i];
        hn_error err = {0};
        if (r->state != HN_REMOTE_WAITING) continue;
        double most = hn_price_most(&p->model->price, r->body_bytes, r->max_tokens);
        hn_status st =
            hn_fail(&err, HN_ERR_BUDGET, "budget", "run the same command again to go on with a new budget, or raise it",
                    "the budget of $%.4g is used up: $%.4g was spent, and the next request may cost $%.2g",
                    p->budget->limit, p->budget->spent, most);
        hn_remote_finish(r, st, &err);
    }
}

/* ---- what has arrived ---- */

static void record(hn_remote_request *r) {
    hn_remote *p = r->p;
    hn_error err;
    if (!p->exchange || hn_exchange_replays(p->exchange) || r->result.http_status == 0) return;
    char *text = hn_strndup(hn_buf_str(&r->received), r->received.len);
    if (!text) return;
    if (strlen(text) == r->received.len) hn_remote_key_redact(&p->key, text);
    hn_exchange_answer a = {r->result.http_status, r->result.retry_after_s, text, r->received.len};
    if (hn_exchange_add(p->exchange, p->dialect->path(&r->plan), r->body, r->body_bytes, &a, &err) != HN_OK)
        hn_log(HN_LOG_WARN, "record", "an exchange could not be written: %s", err.message);
    hn_free(text);
}

static void append_tries(const hn_remote_request *r, hn_error *err) {
    size_t n = strlen(err->message);
    if (r->n_failed > 1) snprintf(err->message + n, sizeof err->message - n, " (tried %d times)", r->n_failed);
}

/* Waits for another try, where that makes sense; false: `err` is final. */
static bool try_again(hn_remote_request *r, hn_error *err) {
    hn_remote *p = r->p;
    double asked = r->result.retry_after_s, now = hn_clock_seconds();
    if (r->n_failed > p->model->retries || r->stopped) return false;
    if (asked > HN_RETRY_AFTER_MAX_S) {
        size_t n = strlen(err->message);
        snprintf(err->message + n, sizeof err->message - n, "; it asks to wait for %.0f s", asked);
        return false;
    }
    double pause = hn_retry_pause(r->n_failed, p->retry_base_ms, asked, &p->rng);
    if (r->deadline > 0 && now + pause >= r->deadline) return false;
    leave_flight(r, r->result.fault == HN_HTTP_TIMEOUT ? (double)NAN : 0);
    r->due = now + pause;
    if (r->result.http_status == 429) hn_rate_limit_hold(&p->rate, r->due);
    hn_log(HN_LOG_INFO, "remote", "%s: %s; trying again in %.1f s", p->model->name, err->message, pause);
    return true;
}

static void take_arrived(hn_remote_request *r) {
    hn_remote *p = r->p;
    hn_error err = {0};
    bool again = false;
    hn_status st;
    bool fine = r->result.fault == HN_HTTP_FINE && r->result.http_status == 200;
    record(r);
    if (fine || r->stopped) {
        st = hn_remote_reply_finish(r, &again, &err);
    } else {
        st = hn_remote_explain(r, &again, &err);
        again = again && !r->streamed;
    }
    r->arrived = false;
    if (r->result.http_status > 0) p->has_answered = true;
    if (st == HN_OK) {
        const hn_usage *u = &r->reply.usage;
        if (*r->reply.version) snprintf(p->version, sizeof p->version, "%s", r->reply.version);
        hn_rate_limit_correct(&p->rate, u->prompt_tokens + u->completion_tokens -
                                            hn_price_prompt_tokens(r->body_bytes) - r->max_tokens);
    } else {
        r->n_failed++;
        if (again && try_again(r, &err)) return;
        append_tries(r, &err);
    }
    hn_remote_finish(r, st, &err);
}

static void take_all_arrived(hn_remote *p) {
    for (size_t i = 0; i < p->n_requests; i++)
        if (p->requests[i]->state == HN_REMOTE_SENT && p->requests[i]->arrived) take_arrived(p->requests[i]);
}

static void expire(hn_remote *p) {
    double now = hn_clock_seconds();
    for (size_t i = 0; i < p->n_requests; i++) {
        hn_error err = {0};
        hn_remote_request *r = p->requests[i];
        if (r->state == HN_REMOTE_DONE || r->deadline <= 0 || now < r->deadline) continue;
        hn_status st = hn_fail(&err, HN_ERR_TIMEOUT, "request", "allow more time, or ask for fewer tokens",
                               "the deadline passed after %.1f s", now - r->submitted);
        abandon(r, st, &err);
    }
}

/* ---- the step ---- */

static size_t count_pending(const hn_remote *p) {
    size_t n = 0;
    for (size_t i = 0; i < p->n_requests; i++) n += p->requests[i]->state != HN_REMOTE_DONE;
    return n;
}

/* Waits until something may happen: bytes, or the time for another try. */
static hn_status wait_for_more(hn_remote *p, double wait_s, hn_error *err) {
    int ms = wait_s <= 0 ? 0 : wait_s > 0.1 ? 100 : (int)(wait_s * 1e3) + 1;
    if (p->n_sent > 0 && p->pool) return hn_http_pool_step(p->pool, ms, err);
    hn_clock_sleep_ms(ms);
    return HN_OK;
}

static hn_status step(hn_provider *base, int timeout_ms, size_t *pending, hn_error *err) {
    hn_remote *p = remote_of(base);
    double until = hn_clock_seconds() + timeout_ms / 1e3;
    uint64_t before = p->n_finished;
    hn_status st = HN_OK;
    p->depth++;
    while (st == HN_OK) {
        double now = hn_clock_seconds(), wait = until > now ? until - now : 0;
        expire(p);
        if (budget_is_final(p)) fail_over_budget(p);
        p->over_budget = false;
        start_waiting(p, &wait);
        take_all_arrived(p); /* a replay has its answers at once */
        if (p->n_finished != before || count_pending(p) == 0 || hn_interrupted()) break;
        if (budget_is_final(p)) continue;
        st = wait_for_more(p, wait, err);
        take_all_arrived(p);
        if (p->n_finished != before || hn_clock_seconds() >= until) break;
    }
    p->depth--;
    sweep(p);
    *pending = count_pending(p);
    return st;
}

/* ---- opening and closing ---- */

static hn_status info(hn_provider *base, hn_provider_info *out, hn_error *err) {
    const hn_remote *p = remote_of(base);
    (void)err;
    *out = (hn_provider_info){.name = p->model->name,
                              .kind = p->dialect->name,
                              .numeric_path = "remote (not reproducible)",
                              .context = p->model->context,
                              .generates_only = true,
                              .version = *p->version ? p->version : NULL};
    memcpy(out->model_hash, p->model_hash, sizeof out->model_hash);
    return HN_OK;
}

static void close_provider(hn_provider *base) {
    hn_remote *p = remote_of(base);
    hn_error err = {0};
    hn_fail(&err, HN_ERR_INTERRUPTED, NULL, NULL, "the model was closed");
    p->depth++;
    for (size_t i = 0; i < p->n_requests; i++)
        if (p->requests[i]->state != HN_REMOTE_DONE) abandon(p->requests[i], HN_ERR_INTERRUPTED, &err);
    p->depth--;
    sweep(p);
    hn_http_pool_free(p->pool);
    hn_exchange_close(p->exchange);
    hn_remote_key_free(&p->key);
    hn_remote_models_free(&p->own, 1);
    if (p->arena) hn_arena_free(p->arena);
    hn_free(p->requests);
    hn_free(p);
}

static const hn_provider_table table = {.submit = submit,
                                        .step = step,
                                        .cancel = cancel,
                                        .info = info,
                                        .cache_key = hn_remote_cache_key,
                                        .close = close_provider};

/* Content id of what a model is, as far as it can be said: where, what, and what is added to each request. */
static hn_status hash_model(hn_remote *p, hn_error *err) {
    const hn_remote_model *m = p->model;
    hn_buf extra;
    hn_sha256 *h = hn_sha256_create();
    if (!h) return hn_fail_memory(err, 64);
    hn_buf_init(&extra, 0);
    if (m->extra) hn_json_write(m->extra, &(hn_json_style){.sort_keys = true}, &extra);
    hn_sha256_field_str(h, "hone remote model 1");
    hn_sha256_field_str(h, p->dialect->name);
    hn_sha256_field_str(h, m->url);
    hn_sha256_field_str(h, m->model);
    hn_sha256_field_i64(h, m->structured);
    hn_sha256_field_i64(h, m->max_tokens);
    hn_sha256_field_i64(h, (int64_t)m->n_omit);
    for (size_t i = 0; i < m->n_omit; i++) hn_sha256_field_str(h, m->omit[i]);
    hn_sha256_field(h, hn_buf_str(&extra), extra.len);
    hn_sha256_finish(h, p->model_hash);
    hn_buf_free(&extra);
    return HN_OK;
}

static hn_status check_address(const hn_remote_model *m, hn_error *err) {
    if (m->plain_http || hn_http_check_url(m->url, NULL) == HN_OK) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, m->name, "use https, or say `plain_http: true` under the model in hone.yaml",
                   "over plain http to another machine, the key and all texts could be read on the way");
}

static hn_status open_parts(hn_remote *p, const hn_remote_options *o, hn_error *err) {
    const hn_remote_model *m = p->model;
    HN_TRY(check_address(m, err));
    HN_TRY(hn_exchange_open(o->record_dir, o->replay_dir, &p->exchange, err));
    if (!hn_exchange_replays(p->exchange)) {
        HN_TRY(hn_remote_key_load(m, &p->key, err));
        HN_TRY(hn_http_pool_create(&p->pool, err));
    }
    p->budget = o->budget ? o->budget : &p->unlimited;
    if (isfinite(p->budget->limit) && p->budget->limit > 0 && !hn_remote_price_known(&m->price))
        return hn_fail(err, HN_ERR_INPUT, m->name,
                       "add price: {input: .., output: ..} (dollars a million tokens) to the model in hone.yaml",
                       "a budget needs the model's prices");
    p->rate = hn_rate_limit_make(m->requests_per_minute, m->tokens_per_minute);
    p->retry_base_ms = o->retry_base_ms > 0 ? o->retry_base_ms : DEFAULT_RETRY_BASE_MS;
    hn_rng_seed(&p->rng, (uint64_t)hn_clock_unix_ms(), (uint64_t)(uintptr_t)p);
    hn_http_shown_url(m->url, p->shown_url);
    return hash_model(p, err);
}

hn_status hn_provider_remote_open(const hn_remote_model *model, const hn_remote_options *options, hn_provider **out,
                                  hn_error *err) {
    *out = NULL;
    hn_remote *p = hn_calloc(1, sizeof *p);
    if (!p) return hn_fail_memory(err, sizeof *p);
    p->base.table = &table;
    p->model = &p->own;
    p->dialect = model->api == HN_REMOTE_ANTHROPIC ? &hn_anthropic_dialect : &hn_openai_dialect;
    p->arena = hn_arena_create(1024);
    hn_status st = p->arena ? hn_remote_model_copy(model, p->arena, &p->own, err) : hn_fail_memory(err, 1024);
    if (st == HN_OK) st = open_parts(p, options, err);
    if (st == HN_OK)
        *out = &p->base;
    else
        close_provider(&p->base);
    return st;
}
