/* HTTP requests, many in flight at once, from one thread.
 *
 *     hn_http_pool *pool;
 *     HN_TRY(hn_http_pool_create(&pool, &err));
 *     hn_http_call call = {.url = "https://host/v1/x", .body = json, .body_bytes = n, .headers = lines, .n_headers = 2,
 *                          .on_bytes = take, .on_done = finish, .user = job};
 *     HN_TRY(hn_http_pool_start(pool, &call, &id, &err));
 *     HN_TRY(hn_http_pool_step(pool, 100, &err));          // moves bytes; calls on_bytes and on_done
 *     hn_http_pool_free(pool);                             // what is in flight is dropped without a call
 *
 * Made for hostile servers: certificates are always verified, redirects are never followed (so that headers with keys go to no other host),
 * headers and body are limited, a try ends after timeout_ms however slowly bytes drip. Plain http goes to this machine only, unless allowed.
 * Ownership: a call's texts are copied, its body is borrowed until on_done or cancel. Threading: one thread; callbacks run inside step, and
 * may start and cancel. */
#ifndef HN_NET_HTTP_POOL_H
#define HN_NET_HTTP_POOL_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum hn_http_fault {
    HN_HTTP_FINE,        /* the server answered: `http_status` says what */
    HN_HTTP_UNREACHABLE, /* no connection, or no such host */
    HN_HTTP_BROKEN,      /* the connection broke off, or what came is no HTTP */
    HN_HTTP_TIMEOUT,
    HN_HTTP_TOO_LARGE,   /* headers or body past their limits */
    HN_HTTP_CERTIFICATE, /* the server's certificate is not valid */
    HN_HTTP_STOPPED,     /* on_bytes said so */
    HN_HTTP_MEMORY
} hn_http_fault;

typedef struct hn_http_result {
    hn_http_fault fault;
    char detail[256];        /* of a fault, in words */
    long http_status;        /* 0: none came */
    double retry_after_s;    /* what the server asks for; < 0: nothing */
    double first_byte_ms;    /* from the start of the try until the first byte of the answer */
    double total_ms;         /* of the try */
    char content_type[128];  /* "" where there is none */
    char location_host[128]; /* of a redirect: where it points; "" */
} hn_http_result;

typedef struct hn_http_call {
    const char *url;
    const void *body; /* POST; NULL: GET */
    size_t body_bytes;
    const char *const *headers; /* (n_headers) whole lines, "Name: value" */
    size_t n_headers;
    bool plain_http;       /* http:// to other machines, too */
    int timeout_ms;        /* of the whole try; 0: none */
    size_t max_body_bytes; /* 0: 16 MiB */
    /* Bytes of the body as they come; false stops the call. */
    bool (*on_bytes)(void *user, long http_status, const char *bytes, size_t n);
    void (*on_done)(void *user, const hn_http_result *result); /* once, from step; not after cancel */
    void *user;
} hn_http_call;

typedef struct hn_http_pool hn_http_pool;

hn_status hn_http_pool_create(hn_http_pool **pool, hn_error *err) HN_MUST_CHECK;
void hn_http_pool_free(hn_http_pool *pool);
/* HN_ERR_USAGE for an address that may not be used. */
hn_status hn_http_pool_start(hn_http_pool *pool, const hn_http_call *call, uint64_t *id, hn_error *err) HN_MUST_CHECK;
/* Waits up to `timeout_ms` for something to happen, and takes care of it. Returns early after an interrupt. */
hn_status hn_http_pool_step(hn_http_pool *pool, int timeout_ms, hn_error *err) HN_MUST_CHECK;
/* Drops a call without on_done; an unknown id is ignored. */
void hn_http_pool_cancel(hn_http_pool *pool, uint64_t id);

#endif
