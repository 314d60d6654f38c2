/* Opening, running and draining the server, and what its engine thread does between requests; see server.h. */
#include "serve/server.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "serve/server_parts.h"

#include <stdio.h>
#include <string.h>

enum { REMOTE_STEP_MS = 10 };
#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

/* ---- the engine thread ---- */

/* One engine step for each model that has work: short, so that requests join and leave between them. */
static void step(void *user) {
    hn_server *s = user;
    hn_error err;
    bool worked = false;
    for (size_t i = 0; i < s->n_models; i++) {
        hn_served_model *m = &s->models[i];
        if (m->pending == 0) continue;
        worked = true;
        hn_status st = hn_provider_step(m->provider, m->info.generates_only ? REMOTE_STEP_MS : 0, &m->pending, &err);
        if (st == HN_OK) continue;
        hn_log(HN_LOG_ERROR, "serve", "a step of %s failed: %s", m->id, err.message);
        hn_clock_sleep_ms(10);
    }
    for (size_t i = 0; i < s->n_apps; i++) {
        hn_served_app *a = &s->apps[i];
        if (a->pending == 0) continue;
        worked = true;
        hn_status st =
            hn_app_step(a->frozen->app, a->model->info.generates_only ? REMOTE_STEP_MS : 0, &a->pending, &err);
        if (st == HN_OK) continue;
        a->failed = st; /* its calls find it and end; those to come meet it again */
        a->failure = err;
        a->failure.code = st;
        a->pending = 0;
    }
    if (!worked) hn_clock_sleep_ms(1);
}

/* ---- the event thread ---- */

static void on_tick(void *user, bool draining) {
    hn_server *s = user;
    double now = hn_clock_seconds();
    if (!draining) return;
    if (s->drain_since == 0) s->drain_since = now;
    if (now - s->drain_since > s->options.drain_seconds) hn_http_server_stop(s->http);
}

/* ---- opening ---- */

static void fill_defaults(hn_server_options *o) {
    if (o->queue_max <= 0) o->queue_max = 256;
    if (!(o->timeout_seconds > 0)) o->timeout_seconds = 600;
    if (!(o->drain_seconds > 0)) o->drain_seconds = 30;
}

hn_status hn_server_open(const hn_server_options *options, hn_server **server, hn_error *err) {
    *server = NULL;
    hn_server *s = hn_calloc(1, sizeof *s);
    if (!s) return hn_fail_memory(err, sizeof *s);
    s->options = *options;
    fill_defaults(&s->options);
    s->seed = (uint64_t)hn_clock_unix_ms();
    hn_http_options http = {.host = options->host,
                            .port = options->port,
                            .body_max = options->body_max,
                            .connections_max = options->connections_max,
                            .signals = options->signals,
                            .on_request = hn_router_handle,
                            .on_tick = on_tick,
                            .on_refusal = hn_router_refusal,
                            .user = s};
    hn_status st = hn_http_server_open(&http, &s->http, err);
    if (st == HN_OK)
        *server = s;
    else
        hn_server_close(s);
    return st;
}

hn_status hn_server_add_model(hn_server *s, const char *alias, hn_provider *provider, hn_error *err) {
    hn_served_model *m = &s->models[s->n_models];
    if (s->n_models == HN_SERVER_MODELS_MAX)
        return hn_fail(err, HN_ERR_LIMIT, "models", "start another server", "a server has at most %d models",
                       HN_SERVER_MODELS_MAX);
    *m = (hn_served_model){.provider = provider, .created = hn_clock_unix_ms() / 1000};
    HN_TRY(hn_provider_info_get(provider, &m->info, err));
    m->tokenizer = m->info.model ? hn_model_tokenizer(m->info.model) : NULL;
    snprintf(m->id, sizeof m->id, "%s", hn_path_base(m->info.name)); /* folders of this machine are nobody's business */
    snprintf(m->alias, sizeof m->alias, "%s", alias ? alias : m->info.name);
    for (size_t i = 0; i < s->n_models; i++)
        if (strcmp(s->models[i].id, m->id) == 0)
            return hn_fail(err, HN_ERR_EXISTS, "models", "serve it once", "two models are called %.200s", m->id);
    s->n_models++;
    return HN_OK;
}

hn_status hn_server_add_app(hn_server *s, const char *name, hn_frozen_app *app, hn_error *err) {
    size_t n = strlen(name);
    if (s->n_apps == HN_SERVER_APPS_MAX || s->n_models == 0)
        return hn_fail(err, HN_ERR_LIMIT, "apps", "start another server", "a server has at most %d apps",
                       HN_SERVER_APPS_MAX);
    if (n == 0 || n >= sizeof s->apps[0].name || strspn(name, NAME_LETTERS) != n)
        return hn_fail(err, HN_ERR_USAGE, "--name", "use letters, digits, . _ and -, at most 63",
                       "\"%.80s\" cannot be an app's name", name);
    if (app->dataset->n_cases == 0)
        return hn_fail(err, HN_ERR_INPUT, name, NULL, "the run's data has no cases to tell the app's inputs from");
    hn_served_app *a = &s->apps[s->n_apps++];
    *a = (hn_served_app){.frozen = app, .model = &s->models[s->n_models - 1]};
    snprintf(a->name, sizeof a->name, "%s", name);
    return HN_OK;
}

const char *hn_server_model_id(const hn_server *s, size_t i) { return i < s->n_models ? s->models[i].id : NULL; }
int hn_server_port(const hn_server *s) { return hn_http_server_port(s->http); }
bool hn_server_is_loopback(const hn_server *s) { return hn_http_server_is_loopback(s->http); }
void hn_server_drain(hn_server *s) { hn_http_server_drain(s->http); }

hn_status hn_server_run(hn_server *s, hn_error *err) {
    hn_worker_options worker = {.step = step, .user = s, .calls_max = s->options.queue_max};
    HN_TRY(hn_worker_start(&worker, &s->worker, err));
    hn_status st = hn_http_server_run(s->http, err);
    hn_http_server_hang_up(s->http); /* what is still under way has nobody to be told: it is cancelled */
    hn_worker_stop(s->worker);
    s->worker = NULL;
    return st;
}

void hn_server_close(hn_server *s) {
    if (!s) return;
    hn_http_server_free(s->http);
    hn_free(s);
}
