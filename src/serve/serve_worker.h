/* The engine thread: everything that touches models, apps and the store runs here, one call after the other between engine steps.
 *
 *     hn_worker *w;
 *     HN_TRY(hn_worker_start(&(hn_worker_options){.step = step, .user = me, .calls_max = 256}, &w, &err));
 *     if (!hn_worker_add(w, &call->base)) ...              // the queue is full: 503
 *     hn_worker_stop(w);                                    // waits until every call is done; frees
 *
 * A call is begun on the engine thread, lives until it sets `done`, and is then freed there. Between steps the worker looks whether a call's client has left and
 * cancels it. Ownership: an added call is the worker's. Threading: add from any thread, the rest of a call is the engine thread's. */
#ifndef HN_SERVE_WORKER_H
#define HN_SERVE_WORKER_H

#include "serve/http_server.h"

typedef struct hn_worker hn_worker;

typedef struct hn_call {
    struct hn_call *next;
    hn_reply *reply; /* NULL: nobody waits for it */
    void (*start)(struct hn_call *call);
    void (*look)(struct hn_call *call);   /* after each step: it may finish now; may be NULL */
    void (*cancel)(struct hn_call *call); /* the client has left: must set `done` */
    void (*free)(struct hn_call *call);
    bool done;
} hn_call;

typedef struct hn_worker_options {
    void (*step)(void *user);  /* some work for what is under way; called while there are calls */
    void (*after)(void *user); /* after each step, before done calls are freed; may be NULL */
    void *user;
    int calls_max; /* waiting and under way together */
} hn_worker_options;

hn_status hn_worker_start(const hn_worker_options *options, hn_worker **worker, hn_error *err) HN_MUST_CHECK;
/* False: as many calls as may be are there; the call is still the caller's. */
bool hn_worker_add(hn_worker *worker, hn_call *call);
int hn_worker_calls(const hn_worker *worker);
void hn_worker_stop(hn_worker *worker);

#endif
