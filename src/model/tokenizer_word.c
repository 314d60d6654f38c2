/* Words into ids, the quick ways first.
 * A word that is itself a token is nearly always what its merges lead to; whether it is, is tried once per token and
 * remembered in
 * `whole`, which threads may write at the same time: all write the same value. A word that was merged earlier in the
 * call is copied
 * from there. Neither changes an id: both only remember what merging gave. */
#include "model/tokenizer_parts.h"

#include "base/alloc.h"

#include <string.h>

hn_status hn_put_id(hn_work *w, int32_t id) {
    if (id < 0) return HN_OK;
    if (w->out->n < w->out->capacity) {
        w->out->ids[w->out->n++] = id;
        return HN_OK;
    }
    hn_status st = hn_tokens_push(w->out, id);
    return st == HN_OK ? st : hn_fail_memory(w->err, w->out->n * sizeof *w->out->ids);
}

static hn_status copy_ids(hn_work *w, size_t first, size_t n) {
    size_t need = w->out->n + n;
    if (!hn_grow((void **)&w->out->ids, &w->out->capacity, need, sizeof *w->out->ids))
        return hn_fail_memory(w->err, need * sizeof *w->out->ids);
    memcpy(w->out->ids + w->out->n, w->out->ids + first, n * sizeof *w->out->ids);
    w->out->n = need;
    return HN_OK;
}

static hn_status merge_word(hn_work *w, const char *word, size_t n) {
    return w->t->kind == HN_MODEL_SPM ? hn_spm_word(w, word, n) : hn_bpe_word(w, word, n);
}

static hn_status merge_cached(hn_work *w, const char *word, size_t n, uint32_t hash) {
    hn_cached *entry = w->cache && n <= sizeof entry->text ? &w->cache[hash & w->cache_mask] : NULL;
    if (!entry) return merge_word(w, word, n);
    if (entry->len == n && memcmp(entry->text, word, n) == 0) return copy_ids(w, entry->first, entry->n_ids);
    size_t first = w->out->n;
    HN_TRY(merge_word(w, word, n));
    if (w->out->n > UINT32_MAX) return HN_OK;
    *entry = (hn_cached){.first = (uint32_t)first, .n_ids = (uint32_t)(w->out->n - first), .len = (unsigned char)n};
    memcpy(entry->text, word, n);
    return HN_OK;
}

hn_status hn_tokenize_word(hn_work *w, const char *word, size_t n) {
    const hn_tokenizer *t = w->t;
    if (n > t->match.max_len && n > sizeof w->cache->text) return merge_word(w, word, n);
    uint32_t hash = hn_vocab_hash(word, n);
    int32_t whole = hn_vocab_find_hashed(&t->match, word, n, hash);
    if (whole < 0) return merge_cached(w, word, n, hash);
    unsigned char known = t->whole_words ? 1 : atomic_load_explicit(&t->whole[whole], memory_order_relaxed);
    if (known == 1) return hn_put_id(w, whole);
    if (known == 2) return merge_cached(w, word, n, hash);
    size_t first = w->out->n;
    HN_TRY(merge_word(w, word, n));
    bool is = w->out->n == first + 1 && w->out->ids[first] == whole;
    atomic_store_explicit(&t->whole[whole], is ? 1 : 2, memory_order_relaxed);
    return HN_OK;
}
