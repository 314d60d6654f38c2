/* What the server's files share; server.h is the interface.
 *
 *     server.c           opening, the engine's steps, running and draining
 *     router.c           from a whole request to the function that answers it; who may ask
 *     api_models.c       what is served, health
 *     api_generate.c     chat completions and completions: reading the request
 *     generate_call.c    the same on the engine thread: submitting, streaming, the answer
 *     api_app.c          a run's app
 *     api_tokens.c       tokens of texts and chats
 *
 * Threading: handlers (hn_api_*) run on the event thread, calls on the engine thread; models do not change while the server runs. */
#ifndef HN_SERVE_SERVER_PARTS_H
#define HN_SERVE_SERVER_PARTS_H

#include "serve/api_error.h"
#include "serve/serve_worker.h"
#include "serve/server.h"

typedef struct hn_served_model {
    char id[256], alias[256]; /* both name it */
    hn_provider *provider;
    hn_provider_info info;         /* as it was when it was added: texts live as long as the provider */
    const hn_tokenizer *tokenizer; /* NULL: none, or remote */
    int64_t created;               /* seconds since 1970 */
    size_t pending;                /* engine thread: requests that its provider has */
} hn_served_model;

/* A run's app under a name. The engine thread's, but the name and what never changes. */
typedef struct hn_served_app {
    char name[64];
    hn_frozen_app *frozen;
    hn_served_model *model;
    size_t pending;
    hn_status failed; /* a step's error, which concerns every case */
    hn_error failure;
} hn_served_app;

enum { HN_SERVER_MODELS_MAX = 16, HN_SERVER_APPS_MAX = 16 };

struct hn_server {
    hn_server_options options;
    hn_http_server *http;
    hn_worker *worker;
    hn_served_model models[HN_SERVER_MODELS_MAX];
    size_t n_models;
    hn_served_app apps[HN_SERVER_APPS_MAX];
    size_t n_apps;
    double drain_since; /* event thread; 0: not draining */
    uint64_t seed;      /* event thread: for requests that name none */
};

typedef struct hn_api_context {
    hn_server *server;
    const hn_http_message *message;
    hn_reply *reply;  /* released by the router after the handler, unless it was given to a call */
    const char *rest; /* of the path, behind the route's */
    json_t *body;     /* POST: an object; borrowed */
    bool handed_over; /* the reply now belongs to a call */
} hn_api_context;

typedef void hn_api_handler(hn_api_context *c);

/* router.c */
hn_http_handler hn_router_handle;
void hn_router_refusal(int status, const char *message, hn_buf *body);
/* The model that a request names. NULL: an error is kept. */
hn_served_model *hn_api_model(hn_server *server, const json_t *body, hn_api_error *e);
/* Gives a call, with the context's reply in it, to the engine thread; where the queue is full, answers 503 and frees it. */
void hn_api_hand_over(hn_api_context *c, hn_call *call);

hn_api_handler hn_api_chat, hn_api_completions, hn_api_models, hn_api_health, hn_api_ready, hn_api_tokenize,
    hn_api_detokenize, hn_api_apply_template, hn_api_app;

#endif
