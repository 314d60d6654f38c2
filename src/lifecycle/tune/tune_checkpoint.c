/* Checkpoints; see tune_checkpoint.h. magic, key, state, counts, weights, m, v, scores, SHA-256 in hex. */
#include "lifecycle/tune/tune_checkpoint.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char magic[16] = "hone tuning 2";

typedef struct head {
    char magic[16], key[65];
    hn_tune_state state;
    int64_t adam_steps;
    uint64_t n_weights, n_scores;
} head;

static size_t tensor_bytes(const hn_tensor *t) { return t->dw ? (size_t)(t->rows * t->columns) * sizeof(float) : 0; }

static size_t count_weights(const hn_tensor *tensors, size_t n) {
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) bytes += tensor_bytes(&tensors[i]);
    return bytes / sizeof(float);
}

/* ---- writing ---- */

typedef struct writer {
    FILE *file;
    hn_sha256 *hash;
    int failed; /* errno of the first failure; 0: none */
} writer;

static void put(writer *w, const void *bytes, size_t n) {
    if (w->failed || n == 0) return;
    hn_sha256_update(w->hash, bytes, n);
    errno = 0;
    if (fwrite(bytes, 1, n, w->file) != n) w->failed = errno ? errno : EIO;
}

static void put_all(writer *w, const head *h, const double *scores, const hn_tensor *tensors, size_t n_tensors,
                    const hn_adamw *adam) {
    put(w, h, sizeof *h);
    for (size_t i = 0; i < n_tensors; i++) put(w, tensors[i].w, tensor_bytes(&tensors[i]));
    if (adam->m) put(w, adam->m, (size_t)h->n_weights * sizeof(float));
    if (adam->v) put(w, adam->v, (size_t)h->n_weights * sizeof(float));
    put(w, scores, (size_t)h->n_scores * sizeof *scores);
}

/* The hash behind all else, then down to the disk. */
static hn_status close_writer(writer *w, const char *path, hn_error *err) {
    char hex[HN_SHA256_HEX];
    hn_sha256_finish(w->hash, hex);
    if (!w->failed && fwrite(hex, 1, sizeof hex, w->file) != sizeof hex) w->failed = errno ? errno : EIO;
    if (!w->failed && (fflush(w->file) != 0 || fsync(fileno(w->file)) != 0)) w->failed = errno;
    if (fclose(w->file) != 0 && !w->failed) w->failed = errno;
    return w->failed ? hn_fail_errno(err, w->failed, path, "writing") : HN_OK;
}

static hn_status write_file(const char *path, const head *h, const double *scores, const hn_tensor *tensors,
                            size_t n_tensors, const hn_adamw *adam, hn_error *err) {
    writer w = {.hash = hn_sha256_create()};
    char unused[HN_SHA256_HEX];
    if (!w.hash) return hn_fail_memory(err, 0);
    w.file = fopen(path, "wb");
    if (!w.file) {
        int why = errno;
        hn_sha256_finish(w.hash, unused);
        return hn_fail_errno(err, why, path, "writing");
    }
    put_all(&w, h, scores, tensors, n_tensors, adam);
    return close_writer(&w, path, err);
}

hn_status hn_tune_checkpoint_write(const char *path, const char *key, const hn_tune_state *state, const double *scores,
                                   size_t n, const hn_tensor *tensors, size_t n_tensors, const hn_adamw *adam,
                                   hn_error *err) {
    head *h = hn_calloc(1, sizeof *h); /* also the gaps between fields are 0 */
    char beside[HN_PATH_MAX];
    if (!h) return hn_fail_memory(err, sizeof *h);
    memcpy(h->magic, magic, sizeof magic);
    snprintf(h->key, sizeof h->key, "%s", key);
    memcpy(&h->state, state, sizeof *state);
    h->adam_steps = adam->n_steps;
    h->n_weights = count_weights(tensors, n_tensors);
    h->n_scores = n;
    int length = snprintf(beside, sizeof beside, "%s.new", path);
    hn_status st = length >= 0 && length < HN_PATH_MAX
                       ? write_file(beside, h, scores, tensors, n_tensors, adam, err)
                       : hn_fail(err, HN_ERR_LIMIT, path, NULL, "the path is longer than %d bytes", HN_PATH_MAX - 1);
    if (st == HN_OK && rename(beside, path) != 0) st = hn_fail_errno(err, errno, path, "writing");
    if (st != HN_OK) (void)remove(beside);
    hn_free(h);
    return st;
}

/* ---- reading ---- */

static bool whole(const unsigned char *bytes, size_t n, const head *h, const char *key, size_t n_weights,
                  size_t n_scores) {
    char hex[HN_SHA256_HEX];
    bool moments = h->adam_steps > 0;
    size_t body = sizeof *h + n_weights * sizeof(float) * (moments ? 3 : 1) + n_scores * sizeof(double);
    return memcmp(h->magic, magic, sizeof magic) == 0 && strncmp(h->key, key, sizeof h->key) == 0 &&
           h->n_weights == n_weights && h->n_scores == n_scores && n == body + HN_SHA256_HEX &&
           h->state.n_epochs >= 0 && h->state.n_epochs <= HN_TUNE_EPOCHS_MAX + 1 && h->state.best >= 0 &&
           h->state.best <= HN_TUNE_EPOCHS_MAX && hn_sha256_bytes(bytes, body, hex) == HN_OK &&
           memcmp(hex, bytes + body, HN_SHA256_HEX) == 0;
}

static hn_status take(const unsigned char *at, const head *h, hn_tensor *tensors, size_t n_tensors, hn_adamw *adam,
                      double *scores, hn_error *err) {
    size_t bytes = (size_t)h->n_weights * sizeof(float);
    if (h->adam_steps > 0) {
        hn_adamw_free(adam);
        adam->m = hn_alloc(bytes ? bytes : 1);
        adam->v = hn_alloc(bytes ? bytes : 1);
        adam->n = (size_t)h->n_weights;
        if (!adam->m || !adam->v) return hn_adamw_free(adam), hn_fail_memory(err, bytes);
    }
    for (size_t i = 0; i < n_tensors; i++) {
        size_t size = tensor_bytes(&tensors[i]);
        if (size) memcpy(tensors[i].w, at, size);
        at += size;
    }
    if (h->adam_steps > 0) {
        memcpy(adam->m, at, bytes);
        memcpy(adam->v, at + bytes, bytes);
        at += 2 * bytes;
    }
    adam->n_steps = h->adam_steps;
    if (h->n_scores) memcpy(scores, at, (size_t)h->n_scores * sizeof *scores);
    return HN_OK;
}

hn_status hn_tune_checkpoint_read(const char *path, const char *key, hn_tune_state *state, double *scores, size_t n,
                                  hn_tensor *tensors, size_t n_tensors, hn_adamw *adam, bool *found, hn_error *err) {
    hn_map map;
    *found = false;
    if (!hn_file_exists(path)) return HN_OK;
    head *h = hn_calloc(1, sizeof *h);
    if (!h) return hn_fail_memory(err, sizeof *h);
    hn_status st = hn_map_open(path, &map, err);
    if (st == HN_OK) {
        if (map.size_bytes > sizeof *h) {
            memcpy(h, map.data, sizeof *h);
            *found = whole(map.data, map.size_bytes, h, key, count_weights(tensors, n_tensors), n);
        }
        if (*found) st = take(map.data + sizeof *h, h, tensors, n_tensors, adam, scores, err);
        if (*found && st == HN_OK) memcpy(state, &h->state, sizeof *state);
        hn_map_close(&map);
    }
    hn_free(h);
    return st;
}
