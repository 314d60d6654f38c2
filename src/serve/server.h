/* hone's server: models and apps behind OpenAI-compatible endpoints and hone's own.
 *
 *     hn_server *s;
 *     HN_TRY(hn_server_open(&(hn_server_options){.port = 8080}, &s, &err));
 *     HN_TRY(hn_server_add_model(s, "smollm2", provider, &err));
 *     HN_TRY(hn_server_run(s, &err));                      // until SIGTERM, then answers what it has accepted
 *     hn_server_close(s);
 *
 * One event thread (the caller of run) does all input and output, one engine thread all computing; see http_server.h and serve_worker.h. An answer has the
 * same bits however many requests run beside it.
 * Ownership: providers are borrowed and must outlive the server; from run on they belong to its engine thread. Threading: one thread, but hn_server_drain. */
#ifndef HN_SERVE_SERVER_H
#define HN_SERVE_SERVER_H

#include "lifecycle/deploy/frozen_app.h"
#include "serve/http_server.h"

typedef struct hn_server hn_server;

typedef struct hn_server_options {
    const char *host; /* NULL: 127.0.0.1 */
    int port;         /* 0: a free one */
    size_t body_max;
    int connections_max, queue_max; /* 0: 4096 connections, 256 requests waiting and under way */
    double timeout_seconds;         /* a request's time from acceptance to the end of its answer; 0: 600 */
    double drain_seconds;           /* after SIGTERM; 0: 30 */
    bool signals;
} hn_server_options;

/* Listens already; nothing is answered before run. */
hn_status hn_server_open(const hn_server_options *options, hn_server **server, hn_error *err) HN_MUST_CHECK;
/* Requests call it by the provider's name (of a path its last part) or by `alias` (may be NULL). HN_ERR_EXISTS: another one has that name. */
hn_status hn_server_add_model(hn_server *server, const char *alias, hn_provider *provider, hn_error *err) HN_MUST_CHECK;
/* An app under /v1/apps/NAME (letters, digits, . _ -), on the model that was added last; borrowed as providers are. */
hn_status hn_server_add_app(hn_server *server, const char *name, hn_frozen_app *app, hn_error *err) HN_MUST_CHECK;
const char *hn_server_model_id(const hn_server *server, size_t i); /* NULL: there are no more */
int hn_server_port(const hn_server *server);
bool hn_server_is_loopback(const hn_server *server);
hn_status hn_server_run(hn_server *server, hn_error *err) HN_MUST_CHECK;
void hn_server_drain(hn_server *server); /* any thread */
void hn_server_close(hn_server *server);

#endif
