/* Listening, the event loop, draining; see http_server.h. */
#include "base/alloc.h"
#include "base/clock.h"
#include "serve/http_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the loop's events ---- */

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *address, int n, void *arg) {
    (void)l, (void)n;
    hn_conn_open(arg, fd, address);
}

/* Usually no more file descriptors: the listener rests until the next tick. */
static void on_accept_error(struct evconnlistener *l, void *arg) {
    hn_http_server *s = arg;
    evconnlistener_disable(l);
    s->accepting = false;
}

static void deliver(hn_http_server *s) {
    for (hn_outgoing *m = hn_outbox_take(s), *next; m; m = next) {
        next = m->next;
        if (m->reply->conn) hn_conn_write(m->reply->conn, m);
        hn_outgoing_free(m);
    }
}

/* What the system has accepted for us is ours to answer: it is taken in before the listener closes. */
static void accept_rest(hn_http_server *s) {
    struct sockaddr_storage address;
    socklen_t n = sizeof address;
    for (int fd; (fd = accept(evconnlistener_get_fd(s->listener), (struct sockaddr *)&address, &n)) >= 0;) {
        evutil_make_socket_nonblocking(fd);
        evutil_make_socket_closeonexec(fd);
        hn_conn_open(s, fd, (const struct sockaddr *)&address);
        n = sizeof address;
    }
}

static void begin_drain(hn_http_server *s) {
    if (s->draining) return;
    if (s->listener) {
        accept_rest(s);
        evconnlistener_free(s->listener);
        s->listener = NULL;
    }
    s->draining = true;
    s->drain_since = hn_clock_seconds();
}

static void retire_idle(hn_http_server *s, double now) {
    for (hn_conn *c = s->first, *next; c; c = next) {
        next = c->next;
        hn_conn_retire(c, now);
    }
    if (s->n_connections == 0) event_base_loopbreak(s->base);
}

static void look_at_wishes(hn_http_server *s) {
    if (atomic_load(&s->wants_stop)) event_base_loopbreak(s->base);
    if (atomic_load(&s->wants_drain)) begin_drain(s);
    if (s->draining) retire_idle(s, hn_clock_seconds());
}

static void on_wake(evutil_socket_t fd, short what, void *arg) {
    char bytes[256];
    (void)what;
    while (read(fd, bytes, sizeof bytes) > 0) continue;
    deliver(arg);
    look_at_wishes(arg);
}

static void on_tick(evutil_socket_t fd, short what, void *arg) {
    hn_http_server *s = arg;
    double now = hn_clock_seconds();
    (void)fd, (void)what;
    for (hn_conn *c = s->first, *next; c; c = next) {
        next = c->next;
        hn_conn_check(c, now);
    }
    if (!s->accepting && s->listener && s->n_connections < s->options.connections_max) {
        evconnlistener_enable(s->listener);
        s->accepting = true;
    }
    if (s->options.on_tick) s->options.on_tick(s->options.user, s->draining);
    look_at_wishes(s);
}

static void on_signal(evutil_socket_t number, short what, void *arg) {
    hn_http_server *s = arg;
    (void)number, (void)what;
    if (s->draining)
        hn_http_server_stop(s);
    else
        hn_http_server_drain(s);
}

void hn_http_server_drain(hn_http_server *s) {
    atomic_store(&s->wants_drain, true);
    hn_http_server_wake(s);
}

void hn_http_server_stop(hn_http_server *s) {
    atomic_store(&s->wants_stop, true);
    hn_http_server_wake(s);
}

/* ---- opening ---- */

static bool address_is_loopback(const struct sockaddr *a) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)a;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)a;
    if (a->sa_family == AF_INET) return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    return a->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static int bound_port(evutil_socket_t fd) {
    struct sockaddr_storage a;
    socklen_t n = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &n) != 0) return 0;
    return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)(void *)&a)->sin6_port
                                         : ((struct sockaddr_in *)(void *)&a)->sin_port);
}

static hn_status listen_at(hn_http_server *s, hn_error *err) {
    char port[16];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list = NULL;
    snprintf(port, sizeof port, "%d", s->options.port);
    int failed = getaddrinfo(s->options.host, port, &hints, &list);
    if (failed)
        return hn_fail(err, HN_ERR_INPUT, "--host", "give an address of this machine, such as 127.0.0.1",
                       "\"%.100s\" is no address: %s", s->options.host, gai_strerror(failed));
    s->is_loopback = address_is_loopback(list->ai_addr);
    s->listener = evconnlistener_new_bind(s->base, on_accept, s,
                                          LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, 1024,
                                          list->ai_addr, (int)list->ai_addrlen);
    int why = errno;
    freeaddrinfo(list);
    if (!s->listener && why == EADDRINUSE)
        return hn_fail(err, HN_ERR_EXISTS, "--port", "choose another port; --port 0 takes a free one",
                       "port %d of %s is taken", s->options.port, s->options.host);
    if (!s->listener) return hn_fail_errno(err, why, s->options.host, "listening at");
    evconnlistener_set_error_cb(s->listener, on_accept_error);
    s->accepting = true;
    s->port = bound_port(evconnlistener_get_fd(s->listener));
    return HN_OK;
}

static hn_status open_pipe(hn_http_server *s, hn_error *err) {
    if (pipe(s->wake_pipe) != 0) {
        s->wake_pipe[0] = s->wake_pipe[1] = -1;
        return hn_fail_errno(err, errno, "pipe", "opening");
    }
    for (int i = 0; i < 2; i++) {
        evutil_make_socket_nonblocking(s->wake_pipe[i]);
        evutil_make_socket_closeonexec(s->wake_pipe[i]);
    }
    return HN_OK;
}

static hn_status open_events(hn_http_server *s, hn_error *err) {
    struct timeval often = {0, 100 * 1000};
    static const int numbers[2] = {SIGTERM, SIGINT};
    s->wake = event_new(s->base, s->wake_pipe[0], EV_READ | EV_PERSIST, on_wake, s);
    s->tick = event_new(s->base, -1, EV_PERSIST, on_tick, s);
    bool fine = s->wake && s->tick && event_add(s->wake, NULL) == 0 && event_add(s->tick, &often) == 0;
    for (int i = 0; fine && s->options.signals && i < 2; i++) {
        s->signals[i] = evsignal_new(s->base, numbers[i], on_signal, s);
        fine = s->signals[i] && event_add(s->signals[i], NULL) == 0;
    }
    return fine ? HN_OK : hn_fail_memory(err, 0);
}

static void fill_defaults(hn_http_options *o) {
    if (!o->host) o->host = "127.0.0.1";
    if (!o->body_max) o->body_max = 16 << 20;
    if (!o->output_max) o->output_max = 4 << 20;
    if (!o->connections_max) o->connections_max = 4096;
    if (!(o->head_seconds > 0)) o->head_seconds = 10;
    if (!(o->body_seconds > 0)) o->body_seconds = 60;
    if (!(o->idle_seconds > 0)) o->idle_seconds = 75;
    if (!(o->write_seconds > 0)) o->write_seconds = 30;
}

/* As many file descriptors as the system grants: the usual 1,024 are fewer than the connections that are allowed. */
static void raise_file_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

hn_status hn_http_server_open(const hn_http_options *options, hn_http_server **server, hn_error *err) {
    *server = NULL;
    hn_http_server *s = hn_calloc(1, sizeof *s);
    if (!s) return hn_fail_memory(err, sizeof *s);
    s->options = *options;
    s->wake_pipe[0] = s->wake_pipe[1] = -1;
    s->outbox_end = &s->outbox;
    pthread_mutex_init(&s->lock, NULL);
    fill_defaults(&s->options);
    raise_file_limit();
    s->base = event_base_new();
    hn_status st = s->base ? open_pipe(s, err) : hn_fail_memory(err, 0);
    if (st == HN_OK) st = listen_at(s, err);
    if (st == HN_OK) st = open_events(s, err);
    if (st == HN_OK)
        *server = s;
    else
        hn_http_server_free(s);
    return st;
}

int hn_http_server_port(const hn_http_server *s) { return s->port; }
bool hn_http_server_is_loopback(const hn_http_server *s) { return s->is_loopback; }
int hn_http_server_connections(const hn_http_server *s) { return s->n_connections; }

hn_status hn_http_server_run(hn_http_server *s, hn_error *err) {
    if (event_base_dispatch(s->base) >= 0) return HN_OK;
    return hn_fail(err, HN_ERR_IO, "server", NULL, "the event loop failed");
}

void hn_http_server_hang_up(hn_http_server *s) {
    while (s->first) hn_conn_close(s->first);
}

void hn_http_server_free(hn_http_server *s) {
    if (!s) return;
    hn_http_server_hang_up(s);
    for (hn_outgoing *m = hn_outbox_take(s), *next; m; m = next) {
        next = m->next;
        hn_outgoing_free(m);
    }
    if (s->listener) evconnlistener_free(s->listener);
    for (int i = 0; i < 2; i++)
        if (s->signals[i]) event_free(s->signals[i]);
    if (s->wake) event_free(s->wake);
    if (s->tick) event_free(s->tick);
    for (int i = 0; i < 2; i++)
        if (s->wake_pipe[i] >= 0) close(s->wake_pipe[i]);
    if (s->base) event_base_free(s->base);
    pthread_mutex_destroy(&s->lock);
    hn_free(s);
}
