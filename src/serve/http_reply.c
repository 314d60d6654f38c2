/* Answers from any thread: they are put into the server's outbox, and a byte in a pipe wakes the event thread. See http_server.h. */
#include "base/alloc.h"
#include "base/clock.h"
#include "serve/http_parts.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

hn_reply *hn_reply_create(hn_http_server *server, hn_conn *conn) {
    hn_reply *r = hn_calloc(1, sizeof *r);
    if (!r) return NULL;
    atomic_init(&r->refs, 2); /* the connection's and the handler's */
    r->server = server;
    r->conn = conn;
    snprintf(r->id, sizeof r->id, "req_%llx%06llx", (unsigned long long)hn_clock_unix_ms(),
             (unsigned long long)(++server->next_id & 0xFFFFFF));
    return r;
}

void hn_reply_unref(hn_reply *r) {
    if (r && atomic_fetch_sub(&r->refs, 1) == 1) hn_free(r);
}

void hn_http_server_wake(hn_http_server *s) {
    ssize_t n = write(s->wake_pipe[1], "x", 1);
    (void)n; /* full: it is awake already */
}

static void post(hn_reply *r, hn_outgoing_kind kind, int status, const char *type, char *bytes, size_t n) {
    hn_http_server *s = r->server;
    hn_outgoing *m = hn_calloc(1, sizeof *m);
    if (!m) {
        hn_free(bytes);
        atomic_store(&r->lost, true); /* found by the next tick */
        return;
    }
    *m = (hn_outgoing){NULL, r, kind, status, type, bytes, n};
    atomic_fetch_add(&r->refs, 1);
    pthread_mutex_lock(&s->lock);
    bool first = !s->outbox;
    *s->outbox_end = m;
    s->outbox_end = &m->next;
    pthread_mutex_unlock(&s->lock);
    if (first) hn_http_server_wake(s);
}

hn_outgoing *hn_outbox_take(hn_http_server *s) {
    pthread_mutex_lock(&s->lock);
    hn_outgoing *first = s->outbox;
    s->outbox = NULL;
    s->outbox_end = &s->outbox;
    pthread_mutex_unlock(&s->lock);
    return first;
}

void hn_outgoing_free(hn_outgoing *m) {
    hn_reply_unref(m->reply);
    hn_free(m->bytes);
    hn_free(m);
}

void hn_reply_field(hn_reply *r, const char *name, const char *value) {
    for (const char *c = value; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F) return;
    int n = snprintf(r->fields + r->n_fields, sizeof r->fields - r->n_fields, "%s: %s\r\n", name, value);
    if (n > 0 && (size_t)n < sizeof r->fields - r->n_fields)
        r->n_fields += (size_t)n;
    else
        r->fields[r->n_fields] = 0;
}

void hn_reply_who(hn_reply *r, const char *who) { snprintf(r->who, sizeof r->who, "%s", who); }
const char *hn_reply_id(const hn_reply *r) { return r->id; }
bool hn_reply_is_gone(const hn_reply *r) { return atomic_load(&((hn_reply *)(uintptr_t)r)->gone); }

void hn_reply_send(hn_reply *r, int status, const char *type, hn_buf *body) {
    size_t n = body->len;
    char *bytes = n ? hn_buf_take(body) : NULL;
    if (n && !bytes) atomic_store(&r->lost, true);
    hn_buf_free(body);
    if (r->ended) {
        hn_free(bytes);
        return;
    }
    r->ended = r->begun = true;
    if (!n || bytes) post(r, HN_OUT_WHOLE, status, type, bytes, n);
}

void hn_reply_begin(hn_reply *r, int status, const char *type) {
    if (r->begun) return;
    r->begun = true;
    post(r, HN_OUT_BEGIN, status, type, NULL, 0);
}

void hn_reply_write(hn_reply *r, const char *bytes, size_t n) {
    if (!n || r->ended || atomic_load(&r->gone)) return;
    char *copy = hn_alloc(n);
    if (!copy) {
        atomic_store(&r->lost, true);
        return;
    }
    memcpy(copy, bytes, n);
    post(r, HN_OUT_DATA, 0, NULL, copy, n);
}

void hn_reply_end(hn_reply *r) {
    if (r->ended) return;
    r->ended = true;
    post(r, HN_OUT_END, 0, NULL, NULL, 0);
}

void hn_reply_release(hn_reply *r) {
    if (!r) return;
    if (!r->ended) post(r, HN_OUT_RELEASE, 0, NULL, NULL, 0);
    hn_reply_unref(r);
}
