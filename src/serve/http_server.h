/* An HTTP/1.1 server: one event thread accepts, reads whole requests within limits, hands them to a handler, and writes what any thread answers.
 *
 *     hn_http_server *s;
 *     HN_TRY(hn_http_server_open(&(hn_http_options){.host = "127.0.0.1", .on_request = handle, .user = me}, &s, &err));
 *     printf("%d\n", hn_http_server_port(s));
 *     HN_TRY(hn_http_server_run(s, &err));                 // until hn_http_server_drain or SIGTERM, and all is answered
 *     hn_http_server_free(s);
 *
 *     static void handle(void *user, const hn_http_message *m, hn_reply *reply) {
 *         hn_buf body; ...; hn_reply_send(reply, 200, "application/json", &body);   // now, or later from another thread
 *         hn_reply_release(reply);
 *     }
 *
 * Requests of one connection are answered one after the other. A client that goes away while its answer is being made marks the reply as gone. A
 * reader that is slower than its answer is dropped once `output_max` bytes wait for it. Draining: no new connections, what was begun is answered,
 * idle connections are closed; the deadline after that is the caller's (hn_http_server_stop).
 * Ownership: a reply is the handler's until it releases it; a message is valid during the handler alone. Threading: open, run and free on one thread; the hn_reply
 * functions, drain and stop from any. */
#ifndef HN_SERVE_HTTP_SERVER_H
#define HN_SERVE_HTTP_SERVER_H

#include "serve/http_request.h"

#include <stdint.h>

typedef struct hn_http_server hn_http_server;
typedef struct hn_reply hn_reply;

typedef struct hn_http_message {
    const hn_http_head *head;
    const char *body; /* NUL behind it */
    size_t body_bytes;
    const char *peer; /* the client's address */
} hn_http_message;

/* For the access log, once a request is answered or given up. */
typedef struct hn_http_record {
    const char *peer, *method, *path; /* method, path: "" where the head could not be read */
    const char *id, *who;
    int status; /* 499: the client went away before the answer was whole */
    uint64_t request_bytes, answer_bytes;
    double seconds;
} hn_http_record;

typedef void hn_http_handler(void *user, const hn_http_message *message, hn_reply *reply);

typedef struct hn_http_options {
    const char *host;            /* NULL: 127.0.0.1 */
    int port;                    /* 0: a free one */
    size_t body_max, output_max; /* bytes; 0: 16 MiB, 4 MiB */
    int connections_max;         /* 0: 4096; further ones wait in the system's queue */
    double head_seconds, body_seconds, idle_seconds, write_seconds; /* 0: 10, 60, 75, 30 */
    bool signals; /* SIGTERM and SIGINT drain; the second stops at once */
    hn_http_handler *on_request;
    void (*on_record)(void *user, const hn_http_record *record); /* on the event thread; may be NULL */
    void (*on_tick)(void *user, bool draining);                  /* about ten times a second; may be NULL */
    /* The body of an answer that the server itself gives (a request that cannot be read); appended to `body`. */
    void (*on_refusal)(int status, const char *message, hn_buf *body);
    void *user;
} hn_http_options;

/* Binds and listens. HN_ERR_INPUT: no such address; HN_ERR_EXISTS: the port is taken. */
hn_status hn_http_server_open(const hn_http_options *options, hn_http_server **server, hn_error *err) HN_MUST_CHECK;
int hn_http_server_port(const hn_http_server *server);
/* Whether it can be reached from this machine alone. */
bool hn_http_server_is_loopback(const hn_http_server *server);
hn_status hn_http_server_run(hn_http_server *server, hn_error *err) HN_MUST_CHECK;
void hn_http_server_drain(hn_http_server *server);
/* Ends run at once, whatever is unanswered. */
void hn_http_server_stop(hn_http_server *server);
int hn_http_server_connections(const hn_http_server *server); /* of the event thread */
/* After run: closes every connection, so that what is still held of replies is gone. */
void hn_http_server_hang_up(hn_http_server *server);
/* All replies must have been released. */
void hn_http_server_free(hn_http_server *server);

/* A header line for the answer, before it begins. Values with control characters are dropped. */
void hn_reply_field(hn_reply *reply, const char *name, const char *value);
/* Who asks, for the access log. Event thread. */
void hn_reply_who(hn_reply *reply, const char *who);
const char *hn_reply_id(const hn_reply *reply); /* "req_..." */
/* A whole answer; the buffer is taken over. `type` must be a constant. */
void hn_reply_send(hn_reply *reply, int status, const char *type, hn_buf *body);
/* An answer in pieces. */
void hn_reply_begin(hn_reply *reply, int status, const char *type);
void hn_reply_write(hn_reply *reply, const char *bytes, size_t n);
void hn_reply_end(hn_reply *reply);
/* The client has left: what is being computed for it can stop. */
bool hn_reply_is_gone(const hn_reply *reply);
/* Gives the handle back. A reply that was never answered closes its connection. */
void hn_reply_release(hn_reply *reply);

#endif
