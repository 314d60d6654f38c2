/* HTTP client: downloads that go on where they stopped.
 *
 *     hn_download d = {.url = "https://example.org/model.gguf", .path = "model.gguf.part", .on_progress = show, .user = &progress};
 *     HN_TRY(hn_http_download(&d, &err));                   // model.gguf.part is whole; the caller checks its hash and renames it
 *
 * https only, certificates verified; http is allowed to this machine (127.0.0.0/8, ::1, localhost). A cut connection is taken up again a
 * few times with growing pauses; what was received stays in `path`, with the server's validator (ETag or date) in `path`.from, and
 * the next call asks only for the rest, provided that the server still has the same file. Nothing but the address is sent.
 * Errors name the address without user, password and query. Ctrl-C: HN_ERR_INTERRUPTED, and the next call goes on.
 * Threading: one download of one path at a time; call it once before other threads start. */
#ifndef HN_NET_HTTP_H
#define HN_NET_HTTP_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct hn_download {
    const char *url, *path;
    uint64_t max_bytes;   /* more is HN_ERR_LIMIT; 0: 64 GiB */
    int attempts;         /* tries in a row without any progress; 0: 3 */
    int stall_timeout_ms; /* give up a try when nothing came for this long; 0: 30 s */
    /* Called several times a second. `total` 0: unknown. `resumed`: bytes that an earlier call brought. */
    void (*on_progress)(void *user, uint64_t done, uint64_t total, uint64_t resumed);
    void *user;
} hn_download;

hn_status hn_http_download(const hn_download *download, hn_error *err) HN_MUST_CHECK;
/* HN_ERR_USAGE unless `url` is https, or http to this machine. */
hn_status hn_http_check_url(const char *url, hn_error *err) HN_MUST_CHECK;
/* The address without user, password and query, for messages. Returns `out`. */
char *hn_http_shown_url(const char *url, char out[256]);

#endif
