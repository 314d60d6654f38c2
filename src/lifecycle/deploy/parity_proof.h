/* The parity proof: the cases of an evaluation asked again over HTTP, and each answer held against the run's, bit for bit.
 *
 *     hn_parity p;
 *     HN_TRY(hn_parity_run(&(hn_parity_setup){.store = store, .run = run, .url = "http://127.0.0.1:8080", .app = "router"}, &p, &err));
 *     printf("%zu of %zu equal\n", p.n_equal, p.n);
 *     hn_parity_free(&p);
 *
 * It knows the server by its address alone: whatever answers there is what is proven. Cases go several to a request. Equal means: the same value, the same
 * doubles for probabilities and log-likelihoods (JSON carries them whole), the same text of what was written.
 * Ownership: the proof owns its changes. Threading: one thread; make the pool before other threads start (net/http_pool.h): hand it in. */
#ifndef HN_LIFECYCLE_PARITY_PROOF_H
#define HN_LIFECYCLE_PARITY_PROOF_H

#include "format/json.h"
#include "net/http_pool.h"
#include "store/store.h"

typedef void hn_parity_on_progress(void *user, size_t n_done, size_t n_all);

typedef struct hn_parity_setup {
    hn_store *store;
    const hn_run *run; /* the evidence */
    hn_http_pool *pool;
    const char *url, *app;    /* http://127.0.0.1:8080, router */
    const json_t *correction; /* as the release has it; NULL: none */
    size_t limit;             /* at most so many, evenly over the run; 0: all */
    hn_parity_on_progress *on_progress;
    void *user;
} hn_parity_setup;

typedef struct hn_parity_change {
    char case_id[96];
    const char *what; /* "answer", "text", "likelihoods", "probabilities", "error" */
} hn_parity_change;

typedef struct hn_parity {
    size_t n, n_equal;
    hn_parity_change *changes; /* (n_changes) */
    size_t n_changes;
    char numeric_path[128]; /* as the server says; "" where it does not */
    double seconds;
} hn_parity;

/* HN_ERR_NETWORK: the server cannot be reached or refuses; HN_ERR_NOT_FOUND: what the run was made from is not kept. Cases that differ are no error. */
hn_status hn_parity_run(const hn_parity_setup *setup, hn_parity *out, hn_error *err) HN_MUST_CHECK;
void hn_parity_free(hn_parity *parity);
/* {"url","passed","n","n_equal","seconds","numeric_path","changes":[{"case","what"}]} */
hn_status hn_parity_json(const hn_parity *parity, const char *url, json_t **value, hn_error *err) HN_MUST_CHECK;

#endif
