/* Verifying a release over HTTP; see deploy_verify.h. The HTTP client's pool is made before the server's threads begin (net/http_pool.h). */
#include "cli/deploy_verify.h"

#include "base/str.h"
#include "cli/release_cli.h"
#include "lifecycle/deploy/parity_proof.h"
#include "serve/server.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { CHANGES_SHOWN = 10 };

typedef struct own_server {
    hn_server *server;
    pthread_t thread;
    bool running;
    hn_status status;
    hn_error error;
    char url[64];
} own_server;

static void *serve(void *arg) {
    own_server *o = arg;
    o->status = hn_server_run(o->server, &o->error);
    return NULL;
}

static hn_status begin(own_server *o, hn_cli_served *s, hn_error *err) {
    HN_TRY(hn_server_open(&(hn_server_options){.port = 0}, &o->server, err));
    HN_TRY(hn_server_add_model(o->server, NULL, s->provider, err));
    HN_TRY(hn_server_add_app(o->server, s->name, s->app, err));
    snprintf(o->url, sizeof o->url, "http://127.0.0.1:%d", hn_server_port(o->server));
    int failed = pthread_create(&o->thread, NULL, serve, o);
    if (failed) return hn_fail_errno(err, failed, "server", "starting a thread for");
    o->running = true;
    return HN_OK;
}

static hn_status end(own_server *o, hn_status st, hn_error *err) {
    if (o->running) {
        hn_server_drain(o->server);
        pthread_join(o->thread, NULL);
        if (st == HN_OK && o->status != HN_OK) {
            st = o->status;
            if (err) *err = o->error;
        }
    }
    hn_server_close(o->server);
    return st;
}

static void on_progress(void *user, size_t n_done, size_t n_all) {
    hn_progress *p = user;
    p->total = n_all;
    hn_progress_update(p, n_done);
}

static hn_status ask(hn_cli *cli, const hn_cli_project *p, const hn_cli_served *s, hn_http_pool *pool, const char *url,
                     hn_parity *out, hn_error *err) {
    hn_progress progress;
    hn_parity_setup setup = {.store = p->store,
                             .run = s->run,
                             .pool = pool,
                             .url = url,
                             .app = s->name,
                             .correction = s->correction,
                             .limit = hn_cli_flag(cli, "all") ? 0 : (size_t)hn_cli_int(cli, "cases"),
                             .on_progress = on_progress,
                             .user = &progress};
    hn_progress_begin(&progress, cli->out, "verifying", 0, HN_PROGRESS_COUNT, "cases");
    hn_status st = hn_parity_run(&setup, out, err);
    hn_progress_end(&progress);
    return st;
}

static void print(hn_cli *cli, const hn_cli_served *s, const hn_parity *r) {
    char time[32];
    bool passed = r->n_equal == r->n;
    const char *path = s->run->spec.numeric_path ? s->run->spec.numeric_path : "?";
    hn_output_print(cli->out, "%s%zu of %zu answers equal%s, value and probabilities bit for bit, in %s\n",
                    hn_output_style(cli->out, passed ? HN_STYLE_GOOD : HN_STYLE_BAD), r->n_equal, r->n,
                    hn_output_style(cli->out, HN_STYLE_NONE), hn_format_duration(r->seconds, time));
    hn_output_print(cli->out, "%s@%lld against r%lld; numeric path %s\n", s->name, (long long)s->release.rows[0].number,
                    (long long)s->run->id, r->numeric_path);
    if (*r->numeric_path && strcmp(r->numeric_path, path) != 0)
        hn_output_print(cli->out, "it was measured on another one: %s\n", path);
    for (size_t i = 0; i < r->n_changes && i < CHANGES_SHOWN; i++)
        hn_output_print(cli->out, "  %s: other %s\n", r->changes[i].case_id, r->changes[i].what);
    if (r->n_changes > CHANGES_SHOWN)
        hn_output_print(cli->out, "  and %zu more (--json lists all)\n", r->n_changes - CHANGES_SHOWN);
}

/* Keeps the result, shows it, and fails where an answer differs. */
static hn_status conclude(hn_cli *cli, const hn_cli_project *p, const hn_cli_served *s, const hn_parity *r,
                          const char *url, hn_error *err) {
    json_t *value;
    hn_buf text;
    char name[128];
    bool passed = r->n_equal == r->n;
    HN_TRY(hn_parity_json(r, url, &value, err));
    hn_buf_init(&text, 0);
    hn_json_write(value, NULL, &text);
    hn_status st = hn_buf_check(&text, "a result", err);
    if (st == HN_OK) st = hn_release_check_add(p->store, s->release.rows[0].id, passed, hn_buf_str(&text), err);
    hn_buf_free(&text);
    snprintf(name, sizeof name, "%.63s@%lld", s->name, (long long)s->release.rows[0].number);
    if (st == HN_OK && cli->out->json) {
        if (json_object_set_new(value, "release", json_string(name)) != 0) st = hn_fail_memory(err, 0);
        if (st == HN_OK) st = hn_cli_result(cli, json_incref(value), err);
    }
    json_decref(value);
    HN_TRY(st);
    print(cli, s, r);
    if (passed) return HN_OK;
    cli->reported = true;
    return hn_fail(err, HN_ERR_GATE, name, "serve it on the machine, and with the hone, that measured it",
                   "%zu of %zu answers are not those that were measured", r->n_changes, r->n);
}

static hn_status verify(hn_cli *cli, const hn_cli_project *p, hn_cli_served *s, hn_error *err) {
    own_server own = {0};
    hn_http_pool *pool;
    hn_parity result;
    const char *url = hn_cli_string(cli, "url");
    char given[300];
    if (url) { /* a slash at its end is fine */
        snprintf(given, sizeof given, "%s", url);
        for (size_t n = strlen(given); n && given[n - 1] == '/';) given[--n] = 0;
    }
    HN_TRY(hn_http_pool_create(&pool, err));
    hn_status st = url ? HN_OK : begin(&own, s, err);
    if (st == HN_OK) st = ask(cli, p, s, pool, url ? given : own.url, &result, err);
    hn_http_pool_free(pool);
    bool asked = st == HN_OK;
    st = end(&own, st, err);
    if (st == HN_OK) st = conclude(cli, p, s, &result, url ? given : NULL, err);
    if (asked) hn_parity_free(&result);
    return st;
}

hn_status hn_cli_deploy_verify(hn_cli *cli, hn_error *err) {
    hn_cli_project p;
    hn_cli_served s;
    HN_TRY(hn_cli_project_open(HN_CLI_STORE, &p, err));
    const char *name = cli->positional[0];
    hn_status st =
        hn_cli_given(cli, "url") ? hn_cli_served_find(&p, name, &s, err) : hn_cli_served_open(cli, &p, name, &s, err);
    if (st == HN_OK) {
        if (s.release.n == 0)
            st = hn_fail(err, HN_ERR_NOT_FOUND, name,
                         "`hone deploy RUN --name NAME` makes one, `hone releases` lists them",
                         "it is a run and no release");
        else
            st = verify(cli, &p, &s, err);
        hn_cli_served_close(&s);
    }
    hn_cli_project_close(&p);
    return st;
}
