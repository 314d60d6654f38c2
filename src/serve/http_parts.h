/* What the HTTP server's files share: http_server.c (listening, the loop, draining), http_conn.c (one connection), http_reply.c (answers from other
 * threads). Not for other modules; http_server.h is the interface. Everything here but a reply's atomics and the outbox belongs to the event
 * thread. */
#ifndef HN_SERVE_HTTP_PARTS_H
#define HN_SERVE_HTTP_PARTS_H

#include "serve/http_server.h"

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <pthread.h>
#include <stdatomic.h>

typedef enum hn_conn_state {
    HN_CONN_HEAD,  /* waits for a request, or reads its head */
    HN_CONN_BODY,  /* reads the body */
    HN_CONN_BUSY,  /* the handler has it */
    HN_CONN_FLUSH, /* the last answer is being written; then it closes */
    HN_CONN_LINGER /* said goodbye: what still comes is thrown away for a moment, so that the answer is not lost to a reset */
} hn_conn_state;

typedef struct hn_conn {
    struct hn_conn *prev, *next;
    hn_http_server *server;
    struct bufferevent *bev;
    hn_conn_state state;
    hn_http_head head;
    hn_buf body;
    hn_http_chunks chunks;
    hn_reply *reply; /* BUSY */
    double since;    /* when this state, or the request's first byte, began */
    double written;  /* when the client last took something */
    double started;  /* of the request that is read */
    bool close_after, saw_eof, used;
    char peer[64];
} hn_conn;

struct hn_reply {
    atomic_int refs;
    hn_http_server *server;
    hn_conn *conn; /* event thread; NULL once it is answered or gone */
    atomic_bool gone, lost;
    bool ended, begun; /* of whoever answers: one thread */
    char fields[1024];
    size_t n_fields;
    char id[40], who[64];
    /* event thread: */
    bool chunked, head_only;
    int status;
    uint64_t request_bytes, answer_bytes;
    double started;
};

typedef enum hn_outgoing_kind { HN_OUT_WHOLE, HN_OUT_BEGIN, HN_OUT_DATA, HN_OUT_END, HN_OUT_RELEASE } hn_outgoing_kind;

/* What another thread wants written. */
typedef struct hn_outgoing {
    struct hn_outgoing *next;
    hn_reply *reply; /* holds a reference */
    hn_outgoing_kind kind;
    int status;
    const char *type;
    char *bytes;
    size_t n;
} hn_outgoing;

struct hn_http_server {
    hn_http_options options;
    struct event_base *base;
    struct evconnlistener *listener;
    struct event *wake, *tick, *signals[2];
    int wake_pipe[2];
    int port;
    bool is_loopback, draining, accepting;
    double drain_since;
    hn_conn *first;
    int n_connections;
    uint64_t next_id;
    pthread_mutex_t lock; /* the outbox */
    hn_outgoing *outbox, **outbox_end;
    atomic_bool wants_drain, wants_stop;
};

/* http_conn.c */
void hn_conn_open(hn_http_server *server, evutil_socket_t fd, const struct sockaddr *address);
void hn_conn_close(hn_conn *conn);
/* Looks at its time limits. May close it. */
void hn_conn_check(hn_conn *conn, double now);
/* The next step of what was read. */
void hn_conn_advance(hn_conn *conn);
/* Closes it if it has nothing to do. */
void hn_conn_retire(hn_conn *conn, double now);
/* Writes what came out of the outbox for its reply. */
void hn_conn_write(hn_conn *conn, const hn_outgoing *message);

/* http_reply.c */
hn_reply *hn_reply_create(hn_http_server *server, hn_conn *conn);
void hn_reply_unref(hn_reply *reply);
/* Takes all that waits, in order. */
hn_outgoing *hn_outbox_take(hn_http_server *server);
void hn_outgoing_free(hn_outgoing *message);
void hn_http_server_wake(hn_http_server *server);

#endif
