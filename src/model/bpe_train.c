/* Training of byte-level BPE, with counts of pairs that are kept up to date and a heap of candidates.
 *
 * Surprise: the heap is lazy. An entry is a pair with a count it once had; one whose count has fallen is put back with
 * the new count when it comes up. A count that rises is entered anew, so the true top is always there.
 * Surprise: a pair that was merged can come up again, when its left or right token is made a second way; the merge is
 * then applied and not listed twice. */
#include "model/bpe_train.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "model/pretokenize.h"

#include <limits.h>
#include <string.h>

/* ---- texts with counts ---- */

static bool grow_slots(hn_bpe_words *w) {
    if (w->n * 2 < w->n_slots) return true;
    size_t n = w->n_slots ? w->n_slots * 2 : 1024;
    uint32_t *slots = hn_calloc(n, sizeof *slots);
    if (!slots) return false;
    for (size_t i = 0; i < w->n; i++) {
        size_t at = w->words[i].hash & (n - 1);
        while (slots[at]) at = (at + 1) & (n - 1);
        slots[at] = (uint32_t)i + 1;
    }
    hn_free(w->slots);
    w->slots = slots;
    w->n_slots = n;
    return true;
}

hn_status hn_bpe_words_add(hn_bpe_words *w, const char *text, size_t n, int64_t count, uint32_t *index, hn_error *err) {
    if (n > INT_MAX || w->n >= INT_MAX)
        return hn_fail(err, HN_ERR_LIMIT, NULL, "train on a part of the corpus", "%s, the limit is %d",
                       n > INT_MAX ? "a word is too long" : "there are too many different words", INT_MAX);
    if (!grow_slots(w)) return hn_fail_memory(err, w->n_slots * 2 * sizeof *w->slots);
    uint32_t hash = (uint32_t)hn_hash64(text, n, 0);
    size_t at = hash & (w->n_slots - 1);
    for (; w->slots[at]; at = (at + 1) & (w->n_slots - 1)) {
        hn_bpe_word *word = &w->words[w->slots[at] - 1];
        if (word->hash != hash || word->len != n || memcmp(w->bytes + word->start, text, n) != 0) continue;
        word->count += count;
        if (index) *index = w->slots[at] - 1;
        return HN_OK;
    }
    if (!hn_grow((void **)&w->bytes, &w->bytes_capacity, w->n_bytes + n, 1) ||
        !hn_grow((void **)&w->words, &w->capacity, w->n + 1, sizeof *w->words))
        return hn_fail_memory(err, w->n_bytes + n);
    if (n) memcpy(w->bytes + w->n_bytes, text, n);
    w->words[w->n] = (hn_bpe_word){w->n_bytes, (uint32_t)n, hash, count};
    w->n_bytes += n;
    if (index) *index = (uint32_t)w->n;
    w->slots[at] = (uint32_t)++w->n;
    return HN_OK;
}

hn_str hn_bpe_words_text(const hn_bpe_words *w, size_t i) {
    return (hn_str){w->bytes + w->words[i].start, w->words[i].len};
}

void hn_bpe_words_free(hn_bpe_words *w) {
    hn_free(w->bytes);
    hn_free(w->words);
    hn_free(w->slots);
    *w = (hn_bpe_words){0};
}

/* ---- bytes as ids, in the order of GPT-2's alphabet: printable ones first ---- */

unsigned char hn_bpe_byte(uint32_t id) {
    uint32_t n = 0;
    for (int moved = 0; moved < 2; moved++)
        for (unsigned byte = 0; byte < 256; byte++) {
            char character[4];
            (void)hn_alphabet_encode((unsigned char)byte, character);
            bool is_moved = (unsigned char)character[0] >= 0xC4; /* U+0100 on: not a byte's own character */
            if (is_moved == (bool)moved && n++ == id) return (unsigned char)byte;
        }
    return 0;
}

/* ---- the work: words as ids, pairs with counts and places, candidates ---- */

typedef struct pair {
    uint64_t key;
    int64_t count;
    uint32_t *places; /* words that (may) have it */
    size_t n_places, capacity;
    bool touched, merged;
    uint32_t made; /* the token, where merged */
} pair;

typedef struct candidate {
    int64_t count;
    uint64_t key;
    uint32_t index;
} candidate;

typedef struct place {
    size_t start;
    uint32_t n;
    int64_t count;
} place;

typedef struct trainer {
    const hn_bpe_options *options;
    hn_bpe *bpe;
    uint32_t *symbols; /* of all words, one after the other */
    place *words;
    size_t n_words;
    pair *pairs;
    size_t n_pairs, pairs_capacity;
    uint32_t *slots; /* pair index + 1 */
    size_t n_slots;
    candidate *heap;
    size_t n_heap, heap_capacity;
    uint32_t *touched; /* pairs whose count rose in this merge */
    size_t n_touched, touched_capacity;
    hn_error *err;
} trainer;

static uint64_t key_of(uint32_t left, uint32_t right) { return (uint64_t)left << 32 | right; }

static size_t slot_of(const trainer *t, uint64_t key) {
    uint64_t h = key * 0x9E3779B97F4A7C15u;
    size_t at = (size_t)(h >> 20) & (t->n_slots - 1);
    while (t->slots[at] && t->pairs[t->slots[at] - 1].key != key) at = (at + 1) & (t->n_slots - 1);
    return at;
}

static hn_status grow_pairs(trainer *t) {
    if (t->n_pairs >= INT_MAX || !hn_grow((void **)&t->pairs, &t->pairs_capacity, t->n_pairs + 1, sizeof *t->pairs))
        return hn_fail_memory(t->err, t->n_pairs * sizeof *t->pairs);
    if (t->n_pairs * 2 < t->n_slots) return HN_OK;
    size_t n = t->n_slots ? t->n_slots * 2 : 4096;
    uint32_t *slots = hn_calloc(n, sizeof *slots);
    if (!slots) return hn_fail_memory(t->err, n * sizeof *slots);
    hn_free(t->slots);
    t->slots = slots;
    t->n_slots = n;
    for (size_t i = 0; i < t->n_pairs; i++) t->slots[slot_of(t, t->pairs[i].key)] = (uint32_t)i + 1;
    return HN_OK;
}

/* One more (times the word's count) of a pair, in a word. */
static hn_status add_pair(trainer *t, uint32_t left, uint32_t right, uint32_t word) {
    HN_TRY(grow_pairs(t));
    uint64_t key = key_of(left, right);
    size_t at = slot_of(t, key);
    if (!t->slots[at]) {
        t->pairs[t->n_pairs] = (pair){.key = key};
        t->slots[at] = (uint32_t)++t->n_pairs;
    }
    uint32_t index = t->slots[at] - 1;
    pair *p = &t->pairs[index];
    if (!p->n_places || p->places[p->n_places - 1] != word) {
        if (!hn_grow((void **)&p->places, &p->capacity, p->n_places + 1, sizeof *p->places))
            return hn_fail_memory(t->err, p->n_places * sizeof *p->places);
        p->places[p->n_places++] = word;
    }
    p->count += t->words[word].count;
    if (p->touched) return HN_OK;
    if (!hn_grow((void **)&t->touched, &t->touched_capacity, t->n_touched + 1, sizeof *t->touched))
        return hn_fail_memory(t->err, t->n_touched * sizeof *t->touched);
    t->touched[t->n_touched++] = index;
    p->touched = true;
    return HN_OK;
}

static void take_pair(trainer *t, uint32_t left, uint32_t right, int64_t count) {
    t->pairs[t->slots[slot_of(t, key_of(left, right))] - 1].count -= count; /* a pair that is there was added */
}

/* ---- candidates: a binary heap, highest count first, then the smallest pair ---- */

static bool before(const candidate *a, const candidate *b) {
    return a->count != b->count ? a->count > b->count : a->key < b->key;
}

static hn_status push(trainer *t, uint32_t index) {
    const pair *p = &t->pairs[index];
    if (p->count < t->options->min_count) return HN_OK;
    if (!hn_grow((void **)&t->heap, &t->heap_capacity, t->n_heap + 1, sizeof *t->heap))
        return hn_fail_memory(t->err, t->n_heap * sizeof *t->heap);
    candidate c = {p->count, p->key, index};
    size_t i = t->n_heap++;
    for (; i > 0 && before(&c, &t->heap[(i - 1) / 2]); i = (i - 1) / 2) t->heap[i] = t->heap[(i - 1) / 2];
    t->heap[i] = c;
    return HN_OK;
}

static candidate pop(trainer *t) {
    candidate top = t->heap[0], last = t->heap[--t->n_heap];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < t->n_heap; i = child) {
        if (child + 1 < t->n_heap && before(&t->heap[child + 1], &t->heap[child])) child++;
        if (!before(&t->heap[child], &last)) break;
        t->heap[i] = t->heap[child];
    }
    t->heap[i] = last;
    return top;
}

static hn_status push_touched(trainer *t) {
    for (size_t i = 0; i < t->n_touched; i++) {
        t->pairs[t->touched[i]].touched = false;
        HN_TRY(push(t, t->touched[i]));
    }
    t->n_touched = 0;
    return HN_OK;
}

/* ---- steps ---- */

static hn_status start(trainer *t, const hn_bpe_words *words) {
    uint32_t ids[256];
    for (uint32_t id = 0; id < 256; id++) {
        unsigned char byte = hn_bpe_byte(id);
        ids[byte] = id;
        HN_TRY(hn_bpe_words_add(&t->bpe->tokens, (const char *)&byte, 1, 0, NULL, t->err));
    }
    t->symbols = hn_realloc_array(NULL, words->n_bytes + 1, sizeof *t->symbols);
    t->words = hn_realloc_array(NULL, words->n, sizeof *t->words);
    if (!t->symbols || !t->words) return hn_fail_memory(t->err, words->n_bytes * sizeof *t->symbols);
    for (size_t i = 0; i < words->n_bytes; i++) t->symbols[i] = ids[(unsigned char)words->bytes[i]];
    t->n_words = words->n;
    for (size_t i = 0; i < words->n; i++) {
        const hn_bpe_word *w = &words->words[i];
        t->words[i] = (place){w->start, w->len, w->count};
        const uint32_t *s = t->symbols + w->start;
        for (size_t k = 0; k + 1 < w->len; k++) HN_TRY(add_pair(t, s[k], s[k + 1], (uint32_t)i));
        if (i % 4096 == 0) HN_TRY(hn_interrupt_check(t->err));
    }
    return push_touched(t);
}

/* Merges a pair everywhere in one word, from left to right. */
static hn_status merge_word(trainer *t, uint32_t word, hn_bpe_pair p, uint32_t made) {
    place *w = &t->words[word];
    uint32_t *s = t->symbols + w->start, n = w->n, to = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i + 1 == n || s[i] != p.left || s[i + 1] != p.right) {
            s[to++] = s[i];
            continue;
        }
        take_pair(t, p.left, p.right, w->count);
        if (to > 0) {
            take_pair(t, s[to - 1], p.left, w->count);
            HN_TRY(add_pair(t, s[to - 1], made, word));
        }
        if (i + 2 < n) {
            take_pair(t, p.right, s[i + 2], w->count);
            HN_TRY(add_pair(t, made, s[i + 2], word));
        }
        s[to++] = made;
        i++;
    }
    w->n = to;
    return HN_OK;
}

/* The token that a pair makes, and its line in the list; *fits false: it would be too long. */
static hn_status make_token(trainer *t, pair *p, hn_bpe_pair ids, bool *fits) {
    hn_bpe *b = t->bpe;
    char text[HN_BPE_TOKEN_BYTES_MAX];
    hn_str left = hn_bpe_words_text(&b->tokens, ids.left), right = hn_bpe_words_text(&b->tokens, ids.right);
    *fits = left.len + right.len <= sizeof text;
    if (!*fits || p->merged) return HN_OK;
    memcpy(text, left.data, left.len);
    memcpy(text + left.len, right.data, right.len);
    HN_TRY(hn_bpe_words_add(&b->tokens, text, left.len + right.len, 0, &p->made, t->err));
    if (!hn_grow((void **)&b->merges, &b->merges_capacity, b->n_merges + 1, sizeof *b->merges))
        return hn_fail_memory(t->err, b->n_merges * sizeof *b->merges);
    b->merges[b->n_merges++] = ids;
    p->merged = true;
    return HN_OK;
}

static hn_status merge_everywhere(trainer *t, uint32_t index) {
    pair *p = &t->pairs[index];
    hn_bpe_pair ids = {(uint32_t)(p->key >> 32), (uint32_t)p->key};
    bool fits;
    HN_TRY(make_token(t, p, ids, &fits));
    if (!fits) return HN_OK;
    uint32_t made = p->made, *places = p->places;
    size_t n = p->n_places;
    p->places = NULL; /* from here on p may move */
    p->n_places = p->capacity = 0;
    hn_status st = HN_OK;
    for (size_t i = 0; st == HN_OK && i < n; i++) st = merge_word(t, places[i], ids, made);
    hn_free(places);
    return st == HN_OK ? push_touched(t) : st;
}

static hn_status train(trainer *t, const hn_bpe_words *words) {
    HN_TRY(start(t, words));
    while (t->n_heap > 0 && t->bpe->tokens.n < t->options->n_tokens) {
        candidate c = pop(t);
        int64_t now = t->pairs[c.index].count;
        if (now < c.count) HN_TRY(push(t, c.index));
        if (now != c.count) continue; /* higher: it is in the heap a second time */
        HN_TRY(hn_interrupt_check(t->err));
        HN_TRY(merge_everywhere(t, c.index));
        if (t->options->progress) t->options->progress(t->options->user, (uint32_t)t->bpe->tokens.n);
    }
    for (size_t i = 0; i < t->n_words; i++) {
        const place *w = &t->words[i];
        for (uint32_t k = 0; k < w->n; k++) t->bpe->tokens.words[t->symbols[w->start + k]].count += w->count;
        t->bpe->n_corpus_tokens += w->count * w->n;
        t->bpe->n_corpus_bytes += w->count * words->words[i].len;
    }
    return HN_OK;
}

hn_status hn_bpe_train(const hn_bpe_words *words, const hn_bpe_options *options, hn_bpe *bpe, hn_error *err) {
    *bpe = (hn_bpe){0};
    if (words->n_bytes == 0) return hn_fail(err, HN_ERR_INPUT, NULL, "give texts to learn from", "the corpus is empty");
    if (options->n_tokens < 256 || options->n_tokens > HN_BPE_TOKENS_MAX || options->min_count < 1)
        return hn_fail(err, HN_ERR_USAGE, NULL, NULL,
                       "%u tokens with a smallest count of %lld: the tokens must be 256 to %d, the count at least 1",
                       options->n_tokens, (long long)options->min_count, HN_BPE_TOKENS_MAX);
    trainer t = {.options = options, .bpe = bpe, .err = err};
    hn_status st = train(&t, words);
    for (size_t i = 0; i < t.n_pairs; i++) hn_free(t.pairs[i].places);
    hn_free(t.pairs);
    hn_free(t.slots);
    hn_free(t.heap);
    hn_free(t.touched);
    hn_free(t.symbols);
    hn_free(t.words);
    if (st != HN_OK) hn_bpe_free(bpe);
    return st;
}

void hn_bpe_free(hn_bpe *bpe) {
    hn_bpe_words_free(&bpe->tokens);
    hn_free(bpe->merges);
    *bpe = (hn_bpe){0};
}
