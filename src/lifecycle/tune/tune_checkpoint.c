/* Checkpoints; see tune_checkpoint.h. magic, key, state, counts, weights, m, v, scores, SHA-256 in hex. */
#include "lifecycle/tune/tune_checkpoint.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/hash.h"

#include <string.h>

static const char magic[16] = "hone tuning 1";

typedef struct head {
    char magic[16], key[65];
    hn_tune_state state;
    int64_t adam_steps;
    uint64_t n_weights, n_scores;
} head;

static size_t count_weights(const hn_tensor *tensors, size_t n) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        if (tensors[i].dw) count += (size_t)(tensors[i].rows * tensors[i].columns);
    return count;
}

hn_status hn_tune_checkpoint_write(const char *path, const char *key, const hn_tune_state *state,
                                   const unsigned char *scores, size_t n, const hn_tensor *tensors, size_t n_tensors,
                                   const hn_adamw *adam, hn_error *err) {
    head h;
    size_t n_weights = count_weights(tensors, n_tensors);
    char hex[HN_SHA256_HEX];
    hn_buf b;
    memset(&h, 0, sizeof h); /* the gaps between fields, too */
    memcpy(h.magic, magic, sizeof magic);
    snprintf(h.key, sizeof h.key, "%s", key);
    h.state = *state;
    h.adam_steps = adam->n_steps;
    h.n_weights = n_weights;
    h.n_scores = n;
    hn_buf_init(&b, 0);
    hn_buf_append(&b, &h, sizeof h);
    for (size_t i = 0; i < n_tensors; i++)
        if (tensors[i].dw)
            hn_buf_append(&b, tensors[i].w, (size_t)(tensors[i].rows * tensors[i].columns) * sizeof(float));
    if (adam->m) hn_buf_append(&b, adam->m, n_weights * sizeof(float));
    if (adam->v) hn_buf_append(&b, adam->v, n_weights * sizeof(float));
    hn_buf_append(&b, scores, n);
    hn_status st = hn_buf_check(&b, "the checkpoint", err);
    if (st == HN_OK) st = hn_sha256_bytes(b.data, b.len, hex);
    if (st == HN_OK) {
        hn_buf_append(&b, hex, HN_SHA256_HEX);
        st = hn_buf_check(&b, "the checkpoint", err);
    }
    if (st == HN_OK) st = hn_file_write_atomic(path, b.data, b.len, err);
    hn_buf_free(&b);
    return st;
}

static bool whole(const char *bytes, size_t n, const head *h, const char *key, size_t n_weights, size_t n_scores) {
    char hex[HN_SHA256_HEX];
    bool moments = h->adam_steps > 0;
    size_t body = sizeof *h + n_weights * sizeof(float) * (moments ? 3 : 1) + n_scores;
    return memcmp(h->magic, magic, sizeof magic) == 0 && strncmp(h->key, key, sizeof h->key) == 0 &&
           h->n_weights == n_weights && h->n_scores == n_scores && n == body + HN_SHA256_HEX &&
           h->state.n_epochs >= 0 && h->state.n_epochs <= HN_TUNE_EPOCHS_MAX + 1 && h->state.best >= 0 &&
           h->state.best <= HN_TUNE_EPOCHS_MAX && hn_sha256_bytes(bytes, body, hex) == HN_OK &&
           memcmp(hex, bytes + body, HN_SHA256_HEX) == 0;
}

static hn_status take(const char *at, const head *h, hn_tensor *tensors, size_t n_tensors, hn_adamw *adam,
                      unsigned char *scores, hn_error *err) {
    size_t bytes = (size_t)h->n_weights * sizeof(float);
    if (h->adam_steps > 0) {
        hn_adamw_free(adam);
        adam->m = hn_alloc(bytes ? bytes : 1);
        adam->v = hn_alloc(bytes ? bytes : 1);
        adam->n = (size_t)h->n_weights;
        if (!adam->m || !adam->v) return hn_adamw_free(adam), hn_fail_memory(err, bytes);
    }
    for (size_t i = 0; i < n_tensors; i++) {
        if (!tensors[i].dw) continue;
        size_t size = (size_t)(tensors[i].rows * tensors[i].columns) * sizeof(float);
        memcpy(tensors[i].w, at, size);
        at += size;
    }
    if (h->adam_steps > 0) {
        memcpy(adam->m, at, bytes);
        memcpy(adam->v, at + bytes, bytes);
        at += 2 * bytes;
    }
    adam->n_steps = h->adam_steps;
    memcpy(scores, at, (size_t)h->n_scores);
    return HN_OK;
}

hn_status hn_tune_checkpoint_read(const char *path, const char *key, hn_tune_state *state, unsigned char *scores,
                                  size_t n, hn_tensor *tensors, size_t n_tensors, hn_adamw *adam, bool *found,
                                  hn_error *err) {
    char *bytes;
    size_t size;
    head h;
    *found = false;
    if (!hn_file_exists(path)) return HN_OK;
    HN_TRY(hn_file_read(path, SIZE_MAX, &bytes, &size, err));
    hn_status st = HN_OK;
    if (size > sizeof h) {
        memcpy(&h, bytes, sizeof h);
        *found = whole(bytes, size, &h, key, count_weights(tensors, n_tensors), n);
    }
    if (*found) st = take(bytes + sizeof h, &h, tensors, n_tensors, adam, scores, err);
    if (*found && st == HN_OK) *state = h.state;
    hn_free(bytes);
    return st;
}
