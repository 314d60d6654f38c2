/* Many HTTP requests on libcurl's multi interface; see http_pool.h. Surprise: a handle must not be removed from inside its own write callback,
 * so a call that is cancelled there is only marked, and swept before step returns. */
#include "net/http_pool.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/interrupt.h"
#include "base/str.h"
#include "net/http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { HEADER_BYTES_MAX = 64 * 1024, CONNECT_TIMEOUT_S = 20, SLICE_MS = 100 };
static const size_t default_max_body = (size_t)16 << 20;

typedef struct transfer {
    struct transfer *next;
    struct hn_http_pool *pool;
    uint64_t id;
    CURL *curl;
    struct curl_slist *headers;
    hn_http_call call; /* url, headers NULL: libcurl has its own copies */
    double started, first_byte;
    size_t header_bytes, body_bytes;
    double retry_after_ms; /* of the header retry-after-ms; < 0: none */
    char location_host[128], error_text[CURL_ERROR_SIZE];
    bool too_large, stopped, cancelled;
} transfer;

struct hn_http_pool {
    CURLM *multi;
    transfer *first;
    uint64_t last_id;
    int depth; /* > 0: inside step */
};

hn_status hn_http_pool_create(hn_http_pool **out, hn_error *err) {
    *out = NULL;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return hn_fail(err, HN_ERR_INTERNAL, NULL, NULL, "the HTTP library cannot start");
    hn_http_pool *pool = hn_calloc(1, sizeof *pool);
    if (!pool) return hn_fail_memory(err, sizeof *pool);
    pool->multi = curl_multi_init();
    if (!pool->multi) {
        hn_free(pool);
        return hn_fail_memory(err, 0);
    }
    *out = pool;
    return HN_OK;
}

static void free_transfer(transfer *t) {
    if (t->curl) {
        curl_multi_remove_handle(t->pool->multi, t->curl);
        curl_easy_cleanup(t->curl);
    }
    curl_slist_free_all(t->headers);
    hn_free(t);
}

static void sweep(hn_http_pool *pool) {
    for (transfer **at = &pool->first; *at;) {
        transfer *t = *at;
        if (!t->cancelled) {
            at = &t->next;
            continue;
        }
        *at = t->next;
        free_transfer(t);
    }
}

void hn_http_pool_free(hn_http_pool *pool) {
    if (!pool) return;
    for (transfer *t = pool->first; t; t = t->next) t->cancelled = true;
    sweep(pool);
    curl_multi_cleanup(pool->multi);
    hn_free(pool);
}

void hn_http_pool_cancel(hn_http_pool *pool, uint64_t id) {
    for (transfer *t = pool->first; t; t = t->next)
        if (t->id == id) t->cancelled = true;
    if (pool->depth == 0) sweep(pool);
}

/* ---- what comes in ---- */

/* The host of "Location: https://host/...", for messages. */
static void note_location(transfer *t, hn_str value) {
    char text[512];
    snprintf(text, sizeof text, "%.*s", (int)(value.len < 500 ? value.len : 500), value.data);
    const char *host = strstr(text, "://");
    host = host ? host + 3 : text;
    size_t n = strcspn(host, "/?#");
    const char *at = memchr(host, '@', n);
    if (at) n -= (size_t)(at + 1 - host), host = at + 1;
    snprintf(t->location_host, sizeof t->location_host, "%.*s", (int)n, host);
}

static size_t on_header(char *line, size_t size, size_t n, void *user) {
    static const char location[] = "location:", retry_ms[] = "retry-after-ms:";
    transfer *t = user;
    size_t length = size * n;
    if (t->cancelled) return 0;
    if (t->first_byte == 0) t->first_byte = hn_clock_seconds();
    t->header_bytes += length;
    if (t->header_bytes > HEADER_BYTES_MAX) {
        t->too_large = true;
        return 0;
    }
    if (length >= sizeof location && strncasecmp(line, location, sizeof location - 1) == 0)
        note_location(t, hn_str_trim((hn_str){line + sizeof location - 1, length - sizeof location + 1}));
    if (length >= sizeof retry_ms && strncasecmp(line, retry_ms, sizeof retry_ms - 1) == 0) {
        char text[32];
        double ms;
        hn_str value = hn_str_trim((hn_str){line + sizeof retry_ms - 1, length - sizeof retry_ms + 1});
        snprintf(text, sizeof text, "%.*s", (int)(value.len < 30 ? value.len : 30), value.data);
        if (hn_parse_double(text, &ms) && ms >= 0) t->retry_after_ms = ms;
    }
    return length;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *user) {
    transfer *t = user;
    long status = 0;
    size_t length = size * n, most = t->call.max_body_bytes ? t->call.max_body_bytes : default_max_body;
    if (t->cancelled) return 0;
    if (length > most - t->body_bytes) {
        t->too_large = true;
        return 0;
    }
    t->body_bytes += length;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (t->call.on_bytes && !t->call.on_bytes(t->call.user, status, bytes, length)) {
        t->stopped = true;
        return 0;
    }
    return t->cancelled ? 0 : length;
}

/* ---- starting ---- */

static bool add_header(transfer *t, const char *line) {
    struct curl_slist *longer = curl_slist_append(t->headers, line);
    if (longer) t->headers = longer;
    return longer != NULL;
}

static bool set_options(transfer *t, const hn_http_call *call) {
    CURL *c = t->curl;
    bool plain = strncasecmp(call->url, "http://", 7) == 0;
    bool fine = curl_easy_setopt(c, CURLOPT_URL, call->url) == CURLE_OK;
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, plain ? "http" : "https");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "hone/" HONE_VERSION);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    if (call->timeout_ms > 0) curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->error_text);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_PRIVATE, t);
    /* what runs on this machine is not reached through a proxy */
    fine = fine && curl_easy_setopt(c, CURLOPT_NOPROXY, "localhost,127.0.0.1,[::1],::1") == CURLE_OK;
    if (call->body) {
        curl_easy_setopt(c, CURLOPT_POST, 1L);
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, call->body);
        curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_bytes);
        fine = fine && add_header(t, "Content-Type: application/json") && add_header(t, "Expect:");
    }
    for (size_t i = 0; fine && i < call->n_headers; i++) fine = add_header(t, call->headers[i]);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, t->headers);
    return fine;
}

hn_status hn_http_pool_start(hn_http_pool *pool, const hn_http_call *call, uint64_t *id, hn_error *err) {
    if (!(call->plain_http && strncasecmp(call->url, "http://", 7) == 0)) HN_TRY(hn_http_check_url(call->url, err));
    transfer *t = hn_calloc(1, sizeof *t);
    if (!t) return hn_fail_memory(err, sizeof *t);
    t->pool = pool;
    t->call = *call;
    t->call.url = NULL;
    t->call.headers = NULL;
    t->retry_after_ms = -1;
    t->started = hn_clock_seconds();
    t->curl = curl_easy_init();
    if (!t->curl || !set_options(t, call) || curl_multi_add_handle(pool->multi, t->curl) != CURLM_OK) {
        if (t->curl) curl_easy_cleanup(t->curl);
        t->curl = NULL;
        free_transfer(t);
        return hn_fail_memory(err, call->body_bytes);
    }
    t->id = ++pool->last_id;
    t->next = pool->first;
    pool->first = t;
    if (id) *id = t->id;
    return HN_OK;
}

/* ---- stepping ---- */

static hn_http_fault fault_of(const transfer *t, CURLcode code) {
    if (t->too_large || code == CURLE_FILESIZE_EXCEEDED) return HN_HTTP_TOO_LARGE;
    if (t->stopped) return HN_HTTP_STOPPED;
    switch (code) {
    case CURLE_OK: return HN_HTTP_FINE;
    case CURLE_OPERATION_TIMEDOUT: return HN_HTTP_TIMEOUT;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT: return HN_HTTP_UNREACHABLE;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE: return HN_HTTP_CERTIFICATE;
    case CURLE_OUT_OF_MEMORY: return HN_HTTP_MEMORY;
    default: return HN_HTTP_BROKEN;
    }
}

static void fill_result(const transfer *t, CURLcode code, hn_http_result *r) {
    curl_off_t retry_after = 0;
    const char *type = NULL;
    double now = hn_clock_seconds();
    *r = (hn_http_result){.fault = fault_of(t, code), .retry_after_s = -1};
    if (code != CURLE_OK)
        snprintf(r->detail, sizeof r->detail, "%s", *t->error_text ? t->error_text : curl_easy_strerror(code));
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &r->http_status);
    if (curl_easy_getinfo(t->curl, CURLINFO_RETRY_AFTER, &retry_after) == CURLE_OK && retry_after > 0)
        r->retry_after_s = (double)retry_after;
    if (t->retry_after_ms >= 0) r->retry_after_s = t->retry_after_ms / 1e3;
    if (curl_easy_getinfo(t->curl, CURLINFO_CONTENT_TYPE, &type) == CURLE_OK && type)
        snprintf(r->content_type, sizeof r->content_type, "%s", type);
    snprintf(r->location_host, sizeof r->location_host, "%s", t->location_host);
    r->total_ms = 1e3 * (now - t->started);
    r->first_byte_ms = t->first_byte > 0 ? 1e3 * (t->first_byte - t->started) : r->total_ms;
}

static void take_finished(hn_http_pool *pool) {
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(pool->multi, &left));) {
        char *private = NULL;
        hn_http_result result;
        if (m->msg != CURLMSG_DONE) continue;
        CURLcode code = m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &private);
        transfer *t = (transfer *)(void *)private;
        if (t->cancelled) continue;
        fill_result(t, code, &result);
        t->cancelled = true; /* done: swept like a cancelled one */
        if (t->call.on_done) t->call.on_done(t->call.user, &result);
    }
}

static bool any_open(const hn_http_pool *pool) {
    for (const transfer *t = pool->first; t; t = t->next)
        if (!t->cancelled) return true;
    return false;
}

hn_status hn_http_pool_step(hn_http_pool *pool, int timeout_ms, hn_error *err) {
    int running, ready = 0;
    pool->depth++; /* callbacks run inside perform, too */
    CURLMcode code = curl_multi_perform(pool->multi, &running);
    if (code == CURLM_OK) take_finished(pool);
    for (int waited = 0; code == CURLM_OK && waited < timeout_ms && !ready && !hn_interrupted(); waited += SLICE_MS) {
        int n_ready = 0;
        if (!any_open(pool)) break;
        int slice = timeout_ms - waited < SLICE_MS ? timeout_ms - waited : SLICE_MS;
        code = curl_multi_poll(pool->multi, NULL, 0, slice, &n_ready);
        if (code == CURLM_OK) code = curl_multi_perform(pool->multi, &running);
        if (code == CURLM_OK) take_finished(pool);
        ready = n_ready;
    }
    pool->depth--;
    sweep(pool);
    return code == CURLM_OK ? HN_OK : hn_fail(err, HN_ERR_NETWORK, NULL, NULL, "HTTP: %s", curl_multi_strerror(code));
}
