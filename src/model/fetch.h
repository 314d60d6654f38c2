/* Fetching models into the model cache: from the catalogue's sources, an https address, or a local file.
 *
 *     char path[HN_PATH_MAX];
 *     HN_TRY(hn_model_fetch(hn_catalogue_find("smollm2"), &events, path, &err));
 *
 * A file appears under its final name only when it is whole and its SHA-256 is the expected one. What was received before Ctrl-C, a
 * cut connection or a full disk stays beside it as NAME.part and is continued by the next call. Two processes do not fetch the
 * same file at once: the second gets HN_ERR_BUSY. A file that is already there is not fetched again.
 * Threading: one thread. */
#ifndef HN_MODEL_FETCH_H
#define HN_MODEL_FETCH_H

#include "model/catalogue.h"

typedef struct hn_fetch_events {
    /* `what` is such as "downloading x.gguf"; total 0: unknown; resumed: done by an earlier call. May be NULL. */
    void (*on_progress)(void *user, const char *what, uint64_t done, uint64_t total, uint64_t resumed);
    /* A line for people: which source is tried, why one failed. May be NULL. */
    void (*on_note)(void *user, const char *text);
    void *user;
} hn_fetch_events;

hn_status hn_model_fetch(const hn_catalogue_entry *entry, const hn_fetch_events *events, char path[HN_PATH_MAX],
                         hn_error *err) HN_MUST_CHECK;
/* `sha256`: 64 hex digits. The name is the address's last part, or the catalogue's where the hash is known there. */
hn_status hn_model_fetch_url(const char *url, const char *sha256, const hn_fetch_events *events, char path[HN_PATH_MAX],
                             hn_error *err) HN_MUST_CHECK;
/* Copies a local file; `sha256` may be NULL. */
hn_status hn_model_fetch_file(const char *from, const char *sha256, const hn_fetch_events *events,
                              char path[HN_PATH_MAX], hn_error *err) HN_MUST_CHECK;

#endif
