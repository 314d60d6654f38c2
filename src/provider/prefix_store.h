/* Computed beginnings of prompts kept on disk, so that the next process need not compute them again. Opt-in.
 *
 *     hn_prefix_store *s;
 *     HN_TRY(hn_prefix_store_open(&(hn_prefix_store_options){.max_bytes = 1 << 30, .identity = hex}, engine, &s, &err));
 *     if (hn_prefix_store_common(s, ids, n) >= 64) st = hn_prefix_store_read(s, ids, n, sequence, &err);
 *     st = hn_prefix_store_write(s, sequence, n_tokens, &err);
 *     hn_prefix_store_close(s);
 *
 * A file holds the cache blocks of some tokens as the engine has them, and the tokens. It serves every prompt that begins like
 * them, as far as it does. `identity` names what decides the bytes (weights, numeric path): another identity's files are never
 * looked at, so an answer has the same bits with and without the store.
 * What is read is not trusted: header, sizes and each block's checksum are checked; a file that fails is left aside with a
 * warning, and computed again. Files are written under another name and renamed, so several processes may share the folder;
 * the ones used longest ago go when max_bytes is reached. They hold prompts in the clear: only their owner may read them.
 * Ownership: borrows the engine. Threading: one thread at a time. */
#ifndef HN_PROVIDER_PREFIX_STORE_H
#define HN_PROVIDER_PREFIX_STORE_H

#include "base/hash.h"
#include "engine/engine.h"

typedef struct hn_prefix_store hn_prefix_store;

typedef struct hn_prefix_store_options {
    const char *folder;   /* NULL: $XDG_CACHE_HOME/hone/prefixes, else ~/.cache/hone/prefixes */
    size_t max_bytes;     /* of all files in the folder together */
    const char *identity; /* 64 hex digits */
} hn_prefix_store_options;

/* Makes the folder and lists what is there. */
hn_status hn_prefix_store_open(const hn_prefix_store_options *options, hn_engine *engine, hn_prefix_store **store,
                               hn_error *err) HN_MUST_CHECK;
void hn_prefix_store_close(hn_prefix_store *store);
/* Tokens at the beginning of ids that a file holds. */
size_t hn_prefix_store_common(const hn_prefix_store *store, const int32_t *ids, size_t n);
/* Appends those of the best file to an empty sequence. On error the sequence is as it was, and the file is left aside. */
hn_status hn_prefix_store_read(hn_prefix_store *store, const int32_t *ids, size_t n, hn_sequence *sequence,
                               hn_error *err) HN_MUST_CHECK;
/* Writes what the sequence's first n_tokens have in the cache. Files that were used longest ago make room. */
hn_status hn_prefix_store_write(hn_prefix_store *store, const hn_sequence *sequence, size_t n_tokens,
                                hn_error *err) HN_MUST_CHECK;

#endif
