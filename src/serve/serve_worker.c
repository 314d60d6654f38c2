/* The engine thread; see serve_worker.h. */
#include "serve/serve_worker.h"

#include "base/alloc.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

struct hn_worker {
    hn_worker_options options;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    hn_call *inbox, **inbox_end; /* under the lock, as is stopping */
    bool stopping;
    atomic_int n_calls;
    hn_call *active; /* the engine thread's */
};

static void append(hn_call **list, hn_call *more) {
    while (*list) list = &(*list)->next;
    *list = more;
}

/* Waits until there is something to do. False: nothing is left and nothing will come. */
static bool take_inbox(hn_worker *w) {
    pthread_mutex_lock(&w->lock);
    while (!w->inbox && !w->active && !w->stopping) pthread_cond_wait(&w->wake, &w->lock);
    hn_call *taken = w->inbox;
    w->inbox = NULL;
    w->inbox_end = &w->inbox;
    pthread_mutex_unlock(&w->lock);
    append(&w->active, taken);
    for (hn_call *c = taken; c; c = c->next) c->start(c);
    return w->active != NULL;
}

static void sweep(hn_worker *w) {
    for (hn_call **at = &w->active; *at;) {
        hn_call *c = *at;
        if (!c->done && c->look) c->look(c);
        if (!c->done && c->reply && hn_reply_is_gone(c->reply)) c->cancel(c);
        if (!c->done) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        c->free(c);
        atomic_fetch_sub(&w->n_calls, 1);
    }
}

static void *run(void *arg) {
    hn_worker *w = arg;
    while (take_inbox(w)) {
        sweep(w);
        if (w->active) w->options.step(w->options.user);
        if (w->options.after) w->options.after(w->options.user);
        sweep(w);
    }
    return NULL;
}

hn_status hn_worker_start(const hn_worker_options *options, hn_worker **worker, hn_error *err) {
    sigset_t all, before;
    *worker = NULL;
    hn_worker *w = hn_calloc(1, sizeof *w);
    if (!w) return hn_fail_memory(err, sizeof *w);
    w->options = *options;
    w->inbox_end = &w->inbox;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    sigfillset(&all); /* signals are the event thread's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&w->thread, NULL, run, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        hn_free(w);
        return hn_fail_errno(err, failed, "thread", "starting");
    }
    *worker = w;
    return HN_OK;
}

bool hn_worker_add(hn_worker *w, hn_call *call) {
    if (atomic_fetch_add(&w->n_calls, 1) >= w->options.calls_max) {
        atomic_fetch_sub(&w->n_calls, 1);
        return false;
    }
    call->next = NULL;
    pthread_mutex_lock(&w->lock);
    *w->inbox_end = call;
    w->inbox_end = &call->next;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    return true;
}

int hn_worker_calls(const hn_worker *w) { return atomic_load(&((hn_worker *)(uintptr_t)w)->n_calls); }

void hn_worker_stop(hn_worker *w) {
    if (!w) return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->wake);
    hn_free(w);
}
