/* One connection: bytes in, whole requests to the handler, answers out, time limits. See http_parts.h for its states. */
#include "base/alloc.h"
#include "base/clock.h"
#include "serve/http_parts.h"

#include <event2/buffer.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { INPUT_MAX = 256 * 1024 };
static const double LINGER_SECONDS = 1;

/* ---- the end of requests and connections ---- */

static void record(hn_conn *c, const hn_reply *r, int status) {
    hn_http_server *s = c->server;
    if (!s->options.on_record) return;
    hn_http_record rec = {.peer = c->peer,
                          .method = c->head.method ? c->head.method : "",
                          .path = c->head.path ? c->head.path : "",
                          .id = r ? r->id : "",
                          .who = r ? r->who : "",
                          .status = status,
                          .request_bytes = r ? r->request_bytes : c->body.len,
                          .answer_bytes = r ? r->answer_bytes : 0,
                          .seconds = hn_clock_seconds() - c->started};
    s->options.on_record(s->options.user, &rec);
}

static void forget_request(hn_conn *c) {
    hn_http_head_free(&c->head);
    hn_buf_free(&c->body);
    hn_buf_init(&c->body, 0);
    c->chunks = (hn_http_chunks){0};
}

static void drop_reply(hn_conn *c) {
    hn_reply *r = c->reply;
    if (!r) return;
    r->conn = NULL;
    c->reply = NULL;
    hn_reply_unref(r);
}

void hn_conn_close(hn_conn *c) {
    hn_http_server *s = c->server;
    if (c->reply) {
        atomic_store(&c->reply->gone, true);
        record(c, c->reply, 499);
        drop_reply(c);
    }
    if (c->prev)
        c->prev->next = c->next;
    else
        s->first = c->next;
    if (c->next) c->next->prev = c->prev;
    s->n_connections--;
    if (!s->accepting && s->listener && !s->draining) {
        evconnlistener_enable(s->listener);
        s->accepting = true;
    }
    bufferevent_free(c->bev);
    forget_request(c);
    hn_buf_free(&c->body);
    hn_free(c);
}

static void linger(hn_conn *c) {
    if (c->saw_eof) {
        hn_conn_close(c);
        return;
    }
    shutdown(bufferevent_getfd(c->bev), SHUT_WR);
    c->state = HN_CONN_LINGER;
    c->since = hn_clock_seconds();
}

static void close_when_flushed(hn_conn *c) {
    c->state = HN_CONN_FLUSH;
    if (evbuffer_get_length(bufferevent_get_output(c->bev)) == 0) linger(c);
}

/* ---- writing ---- */

static void write_head(hn_conn *c, int status, const char *type, const char *fields, int64_t n_body, bool chunked) {
    char date[64];
    struct tm now;
    time_t seconds = (time_t)(hn_clock_unix_ms() / 1000);
    gmtime_r(&seconds, &now);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &now);
    struct evbuffer *out = bufferevent_get_output(c->bev);
    evbuffer_add_printf(out, "HTTP/1.1 %d %s\r\nDate: %s\r\n%s", status, hn_http_reason(status), date, fields);
    if (type) evbuffer_add_printf(out, "Content-Type: %s\r\n", type);
    if (n_body >= 0 && status != 204) evbuffer_add_printf(out, "Content-Length: %lld\r\n", (long long)n_body);
    if (chunked) evbuffer_add_printf(out, "Transfer-Encoding: chunked\r\n");
    evbuffer_add_printf(out, "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n");
    evbuffer_add_printf(out, c->close_after ? "Connection: close\r\n\r\n" : "\r\n");
}

/* An answer that the server gives itself; what else the client sends cannot be understood, so the connection ends. */
static void refuse(hn_conn *c, int status, const char *message) {
    hn_buf body;
    hn_buf_init(&body, 64 * 1024);
    c->close_after = true;
    if (c->server->options.on_refusal) c->server->options.on_refusal(status, message, &body);
    write_head(c, status, "application/json", "", (int64_t)body.len, false);
    bufferevent_write(c->bev, hn_buf_str(&body), body.len);
    hn_buf_free(&body);
    record(c, NULL, status);
    forget_request(c);
    close_when_flushed(c);
}

static void finish_reply(hn_conn *c) {
    record(c, c->reply, c->reply->status);
    drop_reply(c);
    forget_request(c);
    if (c->close_after || c->server->draining) {
        close_when_flushed(c);
        return;
    }
    c->state = HN_CONN_HEAD;
    c->since = hn_clock_seconds();
}

static void begin_reply(hn_conn *c, const hn_outgoing *m, int64_t n_body) {
    hn_reply *r = c->reply;
    char fields[sizeof r->fields + 64];
    r->status = m->status;
    r->head_only = c->head.method && strcmp(c->head.method, "HEAD") == 0;
    r->chunked = n_body < 0 && c->head.minor == 1;
    if (!c->head.keep_alive || c->server->draining || (n_body < 0 && !r->chunked)) c->close_after = true;
    snprintf(fields, sizeof fields, "%.*sX-Request-Id: %s\r\n", (int)r->n_fields, r->fields, r->id);
    write_head(c, m->status, m->type, fields, n_body, r->chunked);
}

static void write_piece(hn_conn *c, const char *bytes, size_t n) {
    struct evbuffer *out = bufferevent_get_output(c->bev);
    hn_reply *r = c->reply;
    r->answer_bytes += n;
    if (r->head_only) return;
    if (r->chunked) evbuffer_add_printf(out, "%zx\r\n", n);
    evbuffer_add(out, bytes, n);
    if (r->chunked) evbuffer_add(out, "\r\n", 2);
}

void hn_conn_write(hn_conn *c, const hn_outgoing *m) {
    struct evbuffer *out = bufferevent_get_output(c->bev);
    if (evbuffer_get_length(out) == 0) c->written = hn_clock_seconds();
    switch (m->kind) {
    case HN_OUT_WHOLE:
        begin_reply(c, m, (int64_t)m->n);
        write_piece(c, m->n ? m->bytes : "", m->n);
        finish_reply(c);
        break;
    case HN_OUT_BEGIN: begin_reply(c, m, -1); break;
    case HN_OUT_DATA: write_piece(c, m->bytes, m->n); break;
    case HN_OUT_END:
        if (c->reply->chunked && !c->reply->head_only) evbuffer_add(out, "0\r\n\r\n", 5);
        finish_reply(c);
        break;
    case HN_OUT_RELEASE: hn_conn_close(c); return; /* nothing whole can be said: the client sees it end */
    }
    if (evbuffer_get_length(out) > c->server->options.output_max && c->state != HN_CONN_FLUSH) {
        hn_conn_close(c);
        return;
    }
    if (c->state == HN_CONN_HEAD) hn_conn_advance(c);
}

/* ---- reading ---- */

static void dispatch(hn_conn *c) {
    hn_http_server *s = c->server;
    hn_reply *r = hn_reply_create(s, c);
    if (!r) {
        refuse(c, 503, "memory is used up");
        return;
    }
    r->request_bytes = c->body.len;
    r->started = c->started;
    c->reply = r;
    c->state = HN_CONN_BUSY;
    c->since = c->written = hn_clock_seconds();
    c->used = true;
    hn_http_message m = {&c->head, hn_buf_str(&c->body), c->body.len, c->peer};
    s->options.on_request(s->options.user, &m, r);
}

static bool read_head(hn_conn *c) {
    struct evbuffer *in = bufferevent_get_input(c->bev);
    size_t n = evbuffer_get_length(in);
    hn_error err;
    if (n == 0) return false;
    if (n > HN_HTTP_HEAD_MAX) n = HN_HTTP_HEAD_MAX;
    const char *bytes = (const char *)evbuffer_pullup(in, (ev_ssize_t)n);
    size_t end = bytes ? hn_http_head_end(bytes, n) : 0;
    if (end == HN_HTTP_HEAD_BROKEN) {
        refuse(c, 400, "this is not an HTTP/1.1 request");
        return false;
    }
    if (end == 0) {
        if (n == HN_HTTP_HEAD_MAX) refuse(c, 431, "the request's head is too large");
        return false;
    }
    c->started = hn_clock_seconds();
    int status = hn_http_head_parse(bytes, end, &c->head, &err);
    if (status == 0 && c->head.content_length > (int64_t)c->server->options.body_max) {
        status = 413;
        snprintf(err.message, sizeof err.message, "the request's body has %lld bytes, the limit is %zu",
                 (long long)c->head.content_length, c->server->options.body_max);
    }
    if (status) {
        refuse(c, status, err.message);
        return false;
    }
    evbuffer_drain(in, end);
    c->state = HN_CONN_BODY;
    c->since = c->started;
    bool has_body = c->head.chunked || c->head.content_length > 0;
    if (has_body && c->head.expects_continue && evbuffer_get_length(in) == 0)
        bufferevent_write(c->bev, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    return true;
}

/* True: it is whole and handed over. */
static bool read_body(hn_conn *c) {
    struct evbuffer *in = bufferevent_get_input(c->bev);
    size_t max = c->server->options.body_max;
    hn_error err;
    for (size_t n; (n = evbuffer_get_contiguous_space(in)) > 0;) {
        size_t used = n;
        const char *bytes = (const char *)evbuffer_pullup(in, (ev_ssize_t)n);
        if (c->head.chunked) {
            int status = hn_http_chunks_read(&c->chunks, bytes, n, &used, &c->body, max, &err);
            if (status) {
                refuse(c, status, err.message);
                return false;
            }
        } else {
            size_t left = (size_t)c->head.content_length - c->body.len;
            if (used > left) used = left;
            hn_buf_append(&c->body, bytes, used);
        }
        evbuffer_drain(in, used);
        if (hn_buf_status(&c->body) != HN_OK) {
            refuse(c, 503, "memory is used up");
            return false;
        }
        if (used == 0) break;
    }
    if (c->head.chunked ? !c->chunks.over : (int64_t)c->body.len < c->head.content_length) return false;
    dispatch(c);
    return true;
}

void hn_conn_advance(hn_conn *c) {
    for (bool more = true; more;) {
        if (c->state == HN_CONN_HEAD)
            more = read_head(c);
        else if (c->state == HN_CONN_BODY)
            more = read_body(c);
        else
            more = false;
    }
}

static void on_read(struct bufferevent *bev, void *arg) {
    hn_conn *c = arg;
    struct evbuffer *in = bufferevent_get_input(bev);
    if (c->state == HN_CONN_FLUSH || c->state == HN_CONN_LINGER) {
        evbuffer_drain(in, evbuffer_get_length(in));
        return;
    }
    if (c->state == HN_CONN_HEAD && !c->head.text && c->started <= c->since) {
        c->started = hn_clock_seconds(); /* the first byte of a request: its time limit begins */
        c->since = c->started - 1e-9;
    }
    hn_conn_advance(c);
}

/* All that was to be written is with the system. */
static void on_write(struct bufferevent *bev, void *arg) {
    hn_conn *c = arg;
    (void)bev;
    c->written = hn_clock_seconds();
    if (c->state == HN_CONN_FLUSH) linger(c);
}

static void on_written(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg) {
    hn_conn *c = arg;
    (void)buffer;
    if (info->n_deleted) c->written = hn_clock_seconds();
}

static void on_event(struct bufferevent *bev, short what, void *arg) {
    hn_conn *c = arg;
    (void)bev;
    if ((what & BEV_EVENT_EOF) && c->state == HN_CONN_FLUSH) {
        c->saw_eof = true; /* it may still read what we have to say */
        return;
    }
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) hn_conn_close(c);
}

/* ---- opening, time limits ---- */

static void write_peer(const struct sockaddr *address, char out[64]) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
    const void *bytes = address->sa_family == AF_INET6 ? (const void *)&v6->sin6_addr : (const void *)&v4->sin_addr;
    if (!evutil_inet_ntop(address->sa_family, bytes, out, 64)) snprintf(out, 64, "?");
}

void hn_conn_open(hn_http_server *s, evutil_socket_t fd, const struct sockaddr *address) {
    int on = 1;
    hn_conn *c = hn_calloc(1, sizeof *c);
    struct bufferevent *bev = c ? bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE) : NULL;
    if (!bev) {
        hn_free(c);
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    *c = (hn_conn){.next = s->first, .server = s, .bev = bev, .since = hn_clock_seconds()};
    hn_buf_init(&c->body, 0);
    write_peer(address, c->peer);
    if (s->first) s->first->prev = c;
    s->first = c;
    s->n_connections++;
    if (s->n_connections >= s->options.connections_max && s->listener) {
        evconnlistener_disable(s->listener);
        s->accepting = false;
    }
    evbuffer_add_cb(bufferevent_get_output(bev), on_written, c);
    bufferevent_setcb(bev, on_read, on_write, on_event, c);
    bufferevent_setwatermark(bev, EV_READ, 0, INPUT_MAX);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static bool is_idle(const hn_conn *c) {
    return c->state == HN_CONN_HEAD && c->used && evbuffer_get_length(bufferevent_get_input(c->bev)) == 0;
}

void hn_conn_check(hn_conn *c, double now) {
    const hn_http_options *o = &c->server->options;
    double waited = now - c->since;
    bool unread = evbuffer_get_length(bufferevent_get_output(c->bev)) > 0;
    if (c->reply && atomic_load(&c->reply->lost)) {
        hn_conn_close(c);
        return;
    }
    if (unread && now - c->written > o->write_seconds) {
        hn_conn_close(c);
        return;
    }
    switch (c->state) {
    case HN_CONN_HEAD:
        if (is_idle(c) ? waited > o->idle_seconds : waited > o->head_seconds) {
            if (is_idle(c) || evbuffer_get_length(bufferevent_get_input(c->bev)) == 0)
                hn_conn_close(c);
            else
                refuse(c, 408, "the request's head did not come in time");
        }
        break;
    case HN_CONN_BODY:
        if (waited > o->body_seconds) refuse(c, 408, "the request's body did not come in time");
        break;
    case HN_CONN_LINGER:
        if (waited > LINGER_SECONDS) hn_conn_close(c);
        break;
    case HN_CONN_BUSY:
    case HN_CONN_FLUSH: break;
    }
}

void hn_conn_retire(hn_conn *c, double now) {
    bool fresh = !c->used && now - c->since < 1; /* its first request may be under way */
    if (c->state != HN_CONN_HEAD || fresh || evbuffer_get_length(bufferevent_get_input(c->bev)) > 0) return;
    if (evbuffer_get_length(bufferevent_get_output(c->bev)) > 0)
        close_when_flushed(c); /* its last answer is still on the way out */
    else
        hn_conn_close(c);
}
