/* HTTP downloads on libcurl; see http.h. One easy handle a try; the validator file is written before the first byte, so that a part
 * without one is never continued. Surprise: If-Range lets the server decide: 206 is the rest of the same file, 200 a new one from its start. */
#include "net/http.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/str.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VALIDATOR_MAX = 512, REDIRECTS_MAX = 8, TRIES_MAX = 100, CONNECT_TIMEOUT_S = 20 };
static const uint64_t default_max_bytes = (uint64_t)64 << 30;

typedef struct transfer {
    const hn_download *download;
    CURL *curl;
    char shown[256], from_path[HN_PATH_MAX];
    char validator[VALIDATOR_MAX], etag[VALIDATOR_MAX], modified[VALIDATOR_MAX];
    int fd;
    uint64_t offset; /* where this try starts; 0 when the server sends all of it */
    uint64_t done, total, max_bytes;
    uint64_t resumed; /* for on_progress: there before this call */
    bool started;     /* the body's first byte was seen and the answer's status understood */
    int write_errno;
    uint64_t range_start; /* of Content-Range; UINT64_MAX: there was none */
    bool too_large, wrong_range;
} transfer;

char *hn_http_shown_url(const char *url, char out[256]) {
    const char *scheme = strstr(url, "://"), *rest = scheme ? scheme + 3 : url;
    size_t n_rest = strcspn(rest, "?#"), n_authority = strcspn(rest, "/?#");
    const char *at = NULL;
    for (size_t i = 0; i < n_authority; i++)
        if (rest[i] == '@') at = rest + i;
    size_t skipped = at ? (size_t)(at + 1 - rest) : 0;
    snprintf(out, 256, "%.*s%.*s", (int)(rest - url), url, (int)(n_rest - skipped), rest + skipped);
    return out;
}

static bool host_is_loopback(const char *url) {
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    size_t n = strcspn(host, "/?#");
    if (memchr(host, '@', n)) return false;
    if (n >= 5 && strncmp(host, "[::1]", 5) == 0) return n == 5 || host[5] == ':';
    size_t n_name = strcspn(host, ":/?#");
    if (n_name == 9 && strncasecmp(host, "localhost", 9) == 0) return true;
    unsigned a, b, c, d;
    char text[32], after;
    if (n_name >= sizeof text) return false;
    memcpy(text, host, n_name);
    text[n_name] = 0;
    return sscanf(text, "%3u.%3u.%3u.%3u%c", &a, &b, &c, &d, &after) == 4 && a == 127 && b < 256 && c < 256 && d < 256;
}

hn_status hn_http_check_url(const char *url, hn_error *err) {
    char shown[256];
    if (strncasecmp(url, "https://", 8) == 0 && url[8]) return HN_OK;
    if (strncasecmp(url, "http://", 7) == 0 && host_is_loopback(url)) return HN_OK;
    return hn_fail(err, HN_ERR_USAGE, hn_http_shown_url(url, shown), "give an address that starts with https://",
                   "only https addresses are fetched");
}

static void copy_header(char out[VALIDATOR_MAX], const char *line, size_t n, const char *name) {
    size_t n_name = strlen(name);
    if (n <= n_name || strncasecmp(line, name, n_name) != 0) return;
    hn_str value = hn_str_trim((hn_str){line + n_name, n - n_name});
    if (value.len >= VALIDATOR_MAX) return;
    memcpy(out, value.data, value.len);
    out[value.len] = 0;
}

static size_t on_header(char *line, size_t size, size_t n, void *user) {
    transfer *t = user;
    size_t length = size * n;
    char range[VALIDATOR_MAX] = "";
    if (length > 5 && strncmp(line, "HTTP/", 5) == 0) { /* a redirect's headers do not count */
        t->etag[0] = t->modified[0] = 0;
        t->range_start = UINT64_MAX;
    }
    copy_header(range, line, length, "content-range:");
    unsigned long long start;
    if (*range && sscanf(range, "bytes %llu-", &start) == 1) t->range_start = start;
    copy_header(t->etag, line, length, "etag:");
    copy_header(t->modified, line, length, "last-modified:");
    return length;
}

/* A weak ETag does not promise the same bytes. */
static const char *strong_validator(const transfer *t) {
    if (t->etag[0] == '"') return t->etag;
    return t->modified;
}

/* First body byte: says from where the bytes come, and writes down whose they are. */
static bool begin_body(transfer *t) {
    long code = 0;
    curl_off_t length = -1;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &code);
    curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    t->started = true;
    if (code == 200)
        t->offset = 0;
    else if (code != 206 || t->range_start != t->offset) {
        t->wrong_range = true;
        return false;
    }
    hn_log(HN_LOG_DEBUG, "http", "%ld for %s from byte %llu, %lld bytes", code, t->shown, (unsigned long long)t->offset,
           (long long)length);
    t->done = t->offset;
    t->total = length >= 0 ? t->offset + (uint64_t)length : 0;
    if (t->offset == 0) t->resumed = 0;
    if (code == 200) {
        char record[VALIDATOR_MAX + 80], hex[HN_SHA256_HEX];
        hn_error ignored;
        const char *validator = strong_validator(t);
        if (hn_sha256_bytes(t->download->url, strlen(t->download->url), hex) != HN_OK) return false;
        snprintf(record, sizeof record, "%s\n%s\n", hex, validator);
        unlink(t->from_path);
        if (*validator && hn_file_write_atomic(t->from_path, record, strlen(record), &ignored) != HN_OK) {
            t->write_errno = ignored.code == HN_ERR_DISK_FULL ? ENOSPC : EIO;
            return false;
        }
    }
    if (ftruncate(t->fd, (off_t)t->offset) == 0 && lseek(t->fd, (off_t)t->offset, SEEK_SET) >= 0) return true;
    t->write_errno = errno;
    return false;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *user) {
    transfer *t = user;
    size_t length = size * n, left = length;
    if (!t->started && !begin_body(t)) return 0;
    if (t->done + length > t->max_bytes) {
        t->too_large = true;
        return 0;
    }
    while (left) {
        ssize_t put = write(t->fd, bytes, left);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) {
            t->write_errno = errno;
            return 0;
        }
        bytes += put;
        left -= (size_t)put;
        t->done += (uint64_t)put;
    }
    return length;
}

static int on_tick(void *user, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now) {
    transfer *t = user;
    (void)total, (void)now, (void)up_total, (void)up_now;
    if (hn_interrupted()) return 1;
    if (t->started && t->download->on_progress)
        t->download->on_progress(t->download->user, t->done, t->total, t->resumed);
    return 0;
}

/* Where this try may start: the part's size where its validator is known and belongs to this address. */
static void find_offset(transfer *t) {
    struct stat info;
    char *record = NULL, hex[HN_SHA256_HEX];
    size_t n = 0;
    t->offset = 0;
    t->validator[0] = 0;
    if (fstat(t->fd, &info) != 0 || info.st_size <= 0) return;
    if (hn_file_read(t->from_path, VALIDATOR_MAX + 80, &record, &n, NULL) != HN_OK) return;
    if (hn_sha256_bytes(t->download->url, strlen(t->download->url), hex) == HN_OK && n > 66 &&
        strncmp(record, hex, 64) == 0 && record[64] == '\n') {
        size_t n_validator = strcspn(record + 65, "\n");
        if (n_validator > 0 && n_validator < VALIDATOR_MAX) {
            memcpy(t->validator, record + 65, n_validator);
            t->validator[n_validator] = 0;
            t->offset = (uint64_t)info.st_size;
        }
    }
    hn_free(record);
}

static void set_options(transfer *t, struct curl_slist *headers, char *error_text) {
    CURL *c = t->curl;
    bool plain = strncasecmp(t->download->url, "http://", 7) == 0;
    int stall_ms = t->download->stall_timeout_ms ? t->download->stall_timeout_ms : 30000;
    curl_easy_setopt(c, CURLOPT_URL, t->download->url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, plain ? "http" : "https");
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, plain ? "http,https" : "https");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "hone/" HONE_VERSION);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)(stall_ms + 999) / 1000);
    curl_easy_setopt(c, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)t->max_bytes);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, error_text);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_tick);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
}

static hn_status explain(const transfer *t, CURLcode code, long http, const char *detail, hn_error *err) {
    const char *text = *detail ? detail : curl_easy_strerror(code);
    if (hn_interrupted()) return hn_interrupt_check(err);
    if (t->write_errno) return hn_fail_errno(err, t->write_errno, t->download->path, "writing the download");
    if (t->too_large || code == CURLE_FILESIZE_EXCEEDED)
        return hn_fail(err, HN_ERR_LIMIT, t->shown, "check the address",
                       "the file is larger than expected (%llu bytes)", (unsigned long long)t->max_bytes);
    if (http == 404 || http == 410)
        return hn_fail(err, HN_ERR_NETWORK, t->shown, "check the address", "the server has no such file (HTTP %ld)",
                       http);
    if (http == 401 || http == 403)
        return hn_fail(err, HN_ERR_NETWORK, t->shown, "fetch the file by hand and give its path to `hone pull`",
                       "the server refuses (HTTP %ld)", http);
    if (http >= 400)
        return hn_fail(err, HN_ERR_NETWORK, t->shown, "try again later", "the server answers with an error (HTTP %ld)",
                       http);
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
        return hn_fail(err, HN_ERR_NETWORK, t->shown,
                       "check this machine's clock and its certificates (package ca-certificates)",
                       "the server's certificate is not valid: %s", text);
    if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_PROXY)
        return hn_fail(err, HN_ERR_NETWORK, t->shown,
                       "check the network connection (and https_proxy where you need one)",
                       "the server cannot be reached: %s", text);
    if (code == CURLE_OUT_OF_MEMORY) return hn_fail_memory(err, 0);
    return hn_fail(err, HN_ERR_NETWORK, t->shown, "run the same command again: it goes on where it stopped",
                   "the download broke off after %llu bytes: %s", (unsigned long long)t->done, text);
}

/* Our own headers: curl's resume option takes the 200 that If-Range may bring for a failure. */
static bool make_range_headers(const transfer *t, struct curl_slist **headers) {
    char line[VALIDATOR_MAX + 16];
    snprintf(line, sizeof line, "If-Range: %s", t->validator);
    *headers = curl_slist_append(NULL, line);
    snprintf(line, sizeof line, "Range: bytes=%llu-", (unsigned long long)t->offset);
    struct curl_slist *longer = *headers ? curl_slist_append(*headers, line) : NULL;
    if (!longer) curl_slist_free_all(*headers);
    *headers = longer;
    return longer != NULL;
}

/* One request. *again: the failure may pass by itself. */
static hn_status try_once(transfer *t, bool *again, hn_error *err) {
    char error_text[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = NULL;
    long http = 0;
    *again = false;
    t->started = t->wrong_range = false;
    t->range_start = UINT64_MAX;
    t->curl = curl_easy_init();
    if (!t->curl) return hn_fail_memory(err, 0);
    find_offset(t);
    t->done = t->offset;
    if (t->offset && !make_range_headers(t, &headers)) {
        curl_easy_cleanup(t->curl);
        return hn_fail_memory(err, 0);
    }
    set_options(t, headers, error_text);
    CURLcode code = curl_easy_perform(t->curl);
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &http);
    if (code == CURLE_OK && !t->started && !begin_body(t)) code = CURLE_WRITE_ERROR; /* an empty file */
    hn_status st = HN_OK;
    if (http == 416 ||
        t->wrong_range) { /* the part is as long as the file or longer, or not the bytes asked for: start anew */
        unlink(t->from_path);
        *again = true;
        st = hn_fail(err, HN_ERR_NETWORK, t->shown, "run the same command again",
                     "the server has no bytes from %llu on", (unsigned long long)t->offset);
    } else if (code != CURLE_OK) {
        st = explain(t, code, http, error_text, err);
        *again = st == HN_ERR_NETWORK && (http < 400 || http == 408 || http == 429 || http >= 500) &&
                 code != CURLE_PEER_FAILED_VERIFICATION && code != CURLE_UNSUPPORTED_PROTOCOL &&
                 code != CURLE_TOO_MANY_REDIRECTS;
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(t->curl);
    t->curl = NULL;
    return st;
}

static hn_status pause_before_retry(int failures, hn_error *err) {
    for (int waited = 0; waited < 250 << failures; waited += 100) {
        HN_TRY(hn_interrupt_check(err));
        hn_clock_sleep_ms(100);
    }
    return HN_OK;
}

static hn_status run_tries(transfer *t, hn_error *err) {
    int attempts = t->download->attempts ? t->download->attempts : 3, failures = 0;
    for (int tries = 1;; tries++) {
        bool again;
        hn_status st = try_once(t, &again, err);
        if (st == HN_OK || !again || tries == TRIES_MAX) return st;
        failures = t->started && t->done > t->offset ? 1 : failures + 1;
        if (failures >= attempts) return st;
        hn_log(HN_LOG_INFO, "http", "%s: %s; trying again", t->shown, err ? err->message : "");
        HN_TRY(pause_before_retry(failures, err));
    }
}

hn_status hn_http_download(const hn_download *d, hn_error *err) {
    transfer t = {.download = d, .max_bytes = d->max_bytes ? d->max_bytes : default_max_bytes};
    hn_error local;
    if (!err) err = &local;
    HN_TRY(hn_http_check_url(d->url, err));
    hn_http_shown_url(d->url, t.shown);
    if (snprintf(t.from_path, sizeof t.from_path, "%s.from", d->path) >= (int)sizeof t.from_path)
        return hn_fail(err, HN_ERR_LIMIT, d->path, NULL, "the path is longer than %d bytes", HN_PATH_MAX);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return hn_fail(err, HN_ERR_INTERNAL, NULL, NULL, "the HTTP library cannot start");
    t.fd = open(d->path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (t.fd < 0) return hn_fail_errno(err, errno, d->path, "creating");
    find_offset(&t);
    t.resumed = t.offset;
    hn_status st = run_tries(&t, err);
    if (st == HN_OK && fsync(t.fd) != 0 && errno != EINVAL)
        st = hn_fail_errno(err, errno, d->path, "writing the download");
    if (close(t.fd) != 0 && st == HN_OK) st = hn_fail_errno(err, errno, d->path, "writing the download");
    if (st == HN_OK) unlink(t.from_path);
    return st;
}
