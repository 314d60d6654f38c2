/* Sequences: a table of cache blocks, shared with forks until one of them writes; see engine.h. */
#include "base/alloc.h"
#include "engine/engine_parts.h"

#include <stdio.h>
#include <string.h>

static size_t blocks_for(int n_tokens) { return ((size_t)n_tokens + HN_KV_BLOCK - 1) / HN_KV_BLOCK; }

hn_status hn_sequence_create(hn_engine *engine, hn_sequence **sequence, hn_error *err) {
    *sequence = NULL;
    hn_sequence *s = hn_calloc(1, sizeof *s);
    size_t bytes = (size_t)engine->shape->n_embd * sizeof *s->hidden;
    if (s) s->hidden = hn_alloc(bytes);
    if (!s || !s->hidden) {
        hn_free(s);
        return hn_fail_memory(err, sizeof *s + bytes);
    }
    s->engine = engine;
    *sequence = s;
    return HN_OK;
}

hn_status hn_sequence_fork(const hn_sequence *from, int n_tokens, hn_sequence **sequence, hn_error *err) {
    *sequence = NULL;
    if (n_tokens < 0 || n_tokens > from->length)
        return hn_fail(err, HN_ERR_USAGE, "fork", NULL, "%d tokens of a sequence of %d cannot be shared", n_tokens,
                       from->length);
    hn_sequence *s;
    size_t n_blocks = blocks_for(n_tokens);
    HN_TRY(hn_sequence_create(from->engine, &s, err));
    if (!hn_grow((void **)&s->blocks, &s->blocks_capacity, n_blocks, sizeof *s->blocks) ||
        !hn_grow((void **)&s->tokens, &s->tokens_capacity, (size_t)n_tokens, sizeof *s->tokens)) {
        hn_sequence_free(s);
        return hn_fail_memory(err, n_blocks * sizeof *s->blocks + (size_t)n_tokens * sizeof *s->tokens);
    }
    for (size_t i = 0; i < n_blocks; i++) {
        s->blocks[i] = from->blocks[i];
        hn_kv_pool_hold(&s->engine->kv, s->blocks[i]);
    }
    s->n_blocks = n_blocks;
    if (n_tokens) memcpy(s->tokens, from->tokens, (size_t)n_tokens * sizeof *s->tokens);
    s->length = n_tokens;
    s->has_hidden = from->has_hidden && n_tokens == from->length;
    if (s->has_hidden) memcpy(s->hidden, from->hidden, (size_t)s->engine->shape->n_embd * sizeof *s->hidden);
    *sequence = s;
    return HN_OK;
}

void hn_sequence_drop_blocks(hn_sequence *s, size_t n_blocks) {
    while (s->n_blocks > n_blocks) hn_kv_pool_release(&s->engine->kv, s->blocks[--s->n_blocks]);
}

void hn_sequence_truncate(hn_sequence *s, int n_tokens) {
    if (n_tokens < 0) n_tokens = 0;
    if (n_tokens >= s->length) return;
    hn_sequence_drop_blocks(s, blocks_for(n_tokens));
    s->length = n_tokens;
    s->has_hidden = false;
}

int hn_sequence_length(const hn_sequence *s) { return s->length; }
const int32_t *hn_sequence_tokens(const hn_sequence *s) { return s->tokens; }

void hn_sequence_free(hn_sequence *s) {
    if (!s) return;
    hn_sequence_drop_blocks(s, 0);
    hn_free(s->blocks);
    hn_free(s->tokens);
    hn_free(s->hidden);
    hn_free(s);
}

static hn_status fail_full(const hn_sequence *s, int n, hn_error *err) {
    const hn_kv_pool *kv = &s->engine->kv;
    size_t slack = s->n_blocks * HN_KV_BLOCK - (size_t)s->length;
    size_t fit = hn_kv_pool_left(kv) * HN_KV_BLOCK + slack;
    size_t limit_mib = s->engine->kv_max_bytes >> 20;
    if (fit >= (size_t)n) return hn_fail_memory(err, kv->per_slab * kv->block_bytes);
    const char *hint =
        s->engine->attention.kv_type == HN_KV_Q8_0
            ? "raise the cache's limit, or run fewer or shorter sequences at once"
            : "raise the cache's limit, store it as q8_0 (--kv q8_0), or run fewer or shorter sequences at "
              "once";
    return hn_fail(err, HN_ERR_MEMORY, "KV cache", hint,
                   "the cache of %zu MiB is full: %zu more tokens fit this sequence, %d are wanted", limit_mib, fit, n);
}

/* Makes block `i` the sequence's own: a copy where others share it. */
static hn_status own_block(hn_sequence *s, size_t i, int n, hn_error *err) {
    hn_kv_pool *kv = &s->engine->kv;
    int32_t shared = s->blocks[i];
    if (kv->references[shared] == 1) return HN_OK;
    int32_t copy = hn_kv_pool_take(kv);
    if (copy < 0) return fail_full(s, n, err);
    memcpy(hn_kv_pool_data(kv, copy), hn_kv_pool_data(kv, shared), kv->block_bytes);
    hn_kv_pool_release(kv, shared);
    s->blocks[i] = copy;
    return HN_OK;
}

hn_status hn_sequence_reserve(hn_sequence *s, int start, int n, hn_error *err) {
    size_t n_blocks = blocks_for(start + n);
    if (!hn_grow((void **)&s->blocks, &s->blocks_capacity, n_blocks, sizeof *s->blocks) ||
        !hn_grow((void **)&s->tokens, &s->tokens_capacity, (size_t)(start + n), sizeof *s->tokens))
        return hn_fail_memory(err, (size_t)(start + n) * sizeof *s->tokens);
    for (size_t i = (size_t)start / HN_KV_BLOCK; i < s->n_blocks && i < n_blocks; i++) HN_TRY(own_block(s, i, n, err));
    while (s->n_blocks < n_blocks) {
        int32_t block = hn_kv_pool_take(&s->engine->kv);
        if (block < 0) return fail_full(s, n, err);
        s->blocks[s->n_blocks++] = block;
    }
    return HN_OK;
}

size_t hn_engine_block_bytes(const hn_engine *engine) { return engine->kv.block_bytes; }

const void *hn_sequence_block(const hn_sequence *s, size_t i) { return hn_kv_pool_data(&s->engine->kv, s->blocks[i]); }

hn_status hn_sequence_restore(hn_sequence *s, const int32_t *tokens, size_t n_tokens, hn_block_fill *fill, void *user,
                              hn_error *err) {
    if (s->length > 0 || n_tokens > (size_t)s->engine->context)
        return hn_fail(err, HN_ERR_USAGE, "restore", NULL, "%zu tokens do not fit the sequence", n_tokens);
    int n = (int)n_tokens;
    hn_status st = hn_sequence_reserve(s, 0, n, err);
    for (size_t i = 0; i < blocks_for(n) && st == HN_OK; i++)
        st = fill(user, i, hn_kv_pool_data(&s->engine->kv, s->blocks[i]), err);
    if (st != HN_OK) {
        hn_sequence_drop_blocks(s, 0);
        return st;
    }
    if (n) memcpy(s->tokens, tokens, (size_t)n * sizeof *s->tokens);
    s->length = n;
    s->has_hidden = false;
    return HN_OK;
}
