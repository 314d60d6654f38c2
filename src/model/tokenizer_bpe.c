/* BPE by ranked pairs: the table of merges, and one word into ids. */
#include "model/tokenizer_parts.h"

#include "base/alloc.h"
#include "base/utf8.h"

/* --- merges --- */

static inline size_t hash_pair(uint64_t pair) {
    pair *= 0x9E3779B97F4A7C15u;
    return (size_t)(pair ^ pair >> 29);
}

hn_status hn_merges_create(hn_merges *m, size_t n, hn_error *err) {
    size_t slots = 16;
    while (slots < n + n / 2) slots *= 2;
    *m = (hn_merges){.mask = slots - 1};
    m->slots = hn_alloc(slots * sizeof *m->slots);
    if (!m->slots) return hn_fail_memory(err, slots * sizeof *m->slots);
    for (size_t i = 0; i < slots; i++) m->slots[i].pair = HN_NO_PAIR;
    return HN_OK;
}

static inline uint64_t pair_of(int32_t left, int32_t right) { return (uint64_t)(uint32_t)left << 32 | (uint32_t)right; }

void hn_merges_add(hn_merges *m, int32_t left, int32_t right, uint32_t rank, int32_t id) {
    uint64_t pair = pair_of(left, right);
    for (size_t at = hash_pair(pair);; at++) {
        hn_merge *slot = &m->slots[at & m->mask];
        if (slot->pair == pair) return;
        if (slot->pair != HN_NO_PAIR) continue;
        *slot = (hn_merge){pair, rank, id};
        m->n++;
        return;
    }
}

const hn_merge *hn_merges_find(const hn_merges *m, int32_t left, int32_t right) {
    uint64_t pair = pair_of(left, right);
    for (size_t at = hash_pair(pair);; at++) {
        const hn_merge *slot = &m->slots[at & m->mask];
        if (slot->pair == HN_NO_PAIR) return NULL;
        if (slot->pair == pair) return slot;
    }
}

/* --- words --- */

/* A byte that the vocabulary lacks is its unknown token. Where that is a control token (SmolLM2's is <|endoftext|>), the byte is left
 * out, as llama.cpp does: text must not become a control token. */
static void byte_symbols(hn_work *w, const char *word, size_t n) {
    int32_t unknown = w->t->unknown;
    if (unknown >= 0 && w->t->kinds[unknown] == HN_TOKEN_CONTROL) unknown = -1;
    for (size_t i = 0; i < n; i++) {
        int32_t id = w->t->bytes[(unsigned char)word[i]];
        hn_symbol_add(w, i, 1, id < 0 ? unknown : id);
    }
}

/* A character that is no token: its bytes, where all are tokens, else the unknown token (one for several in a row
 * where fused). */
static void strange_character(hn_work *w, const char *word, size_t at, size_t len) {
    const hn_tokenizer *t = w->t;
    bool all = t->byte_fallback;
    for (size_t i = 0; all && i < len; i++) all = t->bytes[(unsigned char)word[at + i]] >= 0;
    for (size_t i = 0; all && i < len; i++) hn_symbol_add(w, at + i, 1, t->bytes[(unsigned char)word[at + i]]);
    if (all) return;
    hn_symbol *last = w->n_symbols ? &w->symbols[w->n_symbols - 1] : NULL;
    if (t->fuse_unknown && last && last->id == t->unknown && last->start + last->len == at)
        last->len += (uint32_t)len;
    else
        hn_symbol_add(w, at, len, t->unknown);
}

static void character_symbols(hn_work *w, const char *word, size_t n) {
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        size_t len = hn_utf8_decode(word + i, n - i, &cp);
        int32_t id = hn_vocab_find(&w->t->match, word + i, len);
        if (id >= 0)
            hn_symbol_add(w, i, len, id);
        else
            strange_character(w, word, i, len);
        i += len;
    }
}

hn_status hn_bpe_word(hn_work *w, const char *word, size_t n) {
    HN_TRY(hn_symbols_start(w, n));
    if (w->t->kind == HN_MODEL_BYTE_BPE)
        byte_symbols(w, word, n);
    else
        character_symbols(w, word, n);
    HN_TRY(hn_merge_symbols(w, word));
    for (size_t i = 0; i < w->n_symbols; i++) HN_TRY(hn_put_id(w, w->symbols[i].id));
    return HN_OK;
}
