/* Exchanges with an endpoint, written down and played back: tests and demonstrations without a network.
 *
 *     hn_exchange *e;
 *     HN_TRY(hn_exchange_open(record_dir, replay_dir, &e, &err));
 *     HN_TRY(hn_exchange_find(e, "/chat/completions", body, n, &answer, &err));  // replay: the answer to this very request
 *     HN_TRY(hn_exchange_add(e, "/chat/completions", body, n, &answer, &err));   // record
 *     hn_exchange_close(e);
 *
 * A folder holds one JSON file for each request, named by the hash of its path and body: {"path", "request", "answers": [{"status",
 * "retry_after_s", "body"}]}. Neither the host nor any header is written, so no key is; what an answer repeats of one is overwritten by the
 * caller. The k-th time that a request is made, its k-th answer is found, and then the last one again. Ownership: a found answer's body is the
 * caller's (hn_free). Threading: one thread. */
#ifndef HN_PROVIDER_EXCHANGE_RECORD_H
#define HN_PROVIDER_EXCHANGE_RECORD_H

#include "base/status.h"

#include <stdbool.h>

typedef struct hn_exchange hn_exchange;

typedef struct hn_exchange_answer {
    long status;
    double retry_after_s; /* < 0: none */
    char *body;
    size_t n;
} hn_exchange_answer;

/* Either folder may be NULL; with a replay folder nothing is recorded. HN_ERR_NOT_FOUND: there is no folder to replay. */
hn_status hn_exchange_open(const char *record_dir, const char *replay_dir, hn_exchange **e,
                           hn_error *err) HN_MUST_CHECK;
void hn_exchange_close(hn_exchange *e);
bool hn_exchange_replays(const hn_exchange *e); /* NULL: false */
hn_status hn_exchange_find(hn_exchange *e, const char *path, const char *body, size_t n, hn_exchange_answer *answer,
                           hn_error *err) HN_MUST_CHECK;
hn_status hn_exchange_add(hn_exchange *e, const char *path, const char *body, size_t n,
                          const hn_exchange_answer *answer, hn_error *err) HN_MUST_CHECK;

#endif
