/* Merging the symbols of one word: the best pair first, leftmost of equals, until no pair merges.
 * A short word is searched again after each merge; a long one keeps its candidates in a heap, so a megabyte without a
 * space
 * costs n log n. Both give the same ids. For BPE the best pair has the lowest rank; for SentencePiece the highest
 * score of the
 * joined text, turned into a number whose order is the other way round. */
#include "model/tokenizer_parts.h"

#include "base/alloc.h"

#include <string.h>

enum { SHORT_WORD = 48 }; /* symbols */

#define NO_MERGE UINT32_MAX

typedef struct joined {
    uint32_t order; /* NO_MERGE: the pair stays apart */
    int32_t id;
} joined;

/* Descending scores as ascending numbers; NO_MERGE is never one, since scores are finite. */
static uint32_t score_order(float score) {
    uint32_t bits;
    score += 0.0f; /* -0 and 0 are equal */
    memcpy(&bits, &score, sizeof bits);
    return bits & 0x80000000u ? bits : ~bits & 0x7FFFFFFFu;
}

static inline joined join(const hn_tokenizer *t, const char *word, const hn_symbol *left, const hn_symbol *right) {
    if (t->kind == HN_MODEL_SPM) {
        int32_t id = hn_vocab_find(&t->match, word + left->start, left->len + right->len);
        return id < 0 ? (joined){NO_MERGE, -1} : (joined){score_order(t->scores[id]), id};
    }
    const hn_merge *m = hn_merges_find(&t->merges, left->id, right->id);
    return m ? (joined){m->rank, m->id} : (joined){NO_MERGE, -1};
}

static void merge_short(hn_work *w, const char *word) {
    hn_symbol *s = w->symbols;
    joined next[SHORT_WORD]; /* of symbols i and i + 1 */
    size_t n = w->n_symbols;
    for (size_t i = 0; i + 1 < n; i++) next[i] = join(w->t, word, &s[i], &s[i + 1]);
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (next[i].order < next[best].order) best = i;
        if (next[best].order == NO_MERGE) break;
        s[best].id = next[best].id;
        s[best].len += s[best + 1].len;
        n--;
        memmove(&s[best + 1], &s[best + 2], (n - best - 1) * sizeof *s);
        if (best + 1 < n) {
            memmove(&next[best], &next[best + 1], (n - best - 1) * sizeof *next);
            next[best] = join(w->t, word, &s[best], &s[best + 1]);
        }
        if (best > 0) next[best - 1] = join(w->t, word, &s[best - 1], &s[best]);
    }
    w->n_symbols = n;
}

/* --- long words --- */

static hn_status heap_push(hn_work *w, hn_candidate c) {
    if (!hn_grow((void **)&w->heap, &w->heap_capacity, w->n_heap + 1, sizeof *w->heap))
        return hn_fail_memory(w->err, w->n_heap * sizeof *w->heap);
    size_t at = w->n_heap++;
    while (at > 0 && c.order < w->heap[(at - 1) / 2].order) {
        w->heap[at] = w->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    w->heap[at] = c;
    return HN_OK;
}

static hn_candidate heap_pop(hn_work *w) {
    hn_candidate top = w->heap[0], last = w->heap[--w->n_heap];
    size_t at = 0, n = w->n_heap;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= n) break;
        if (child + 1 < n && w->heap[child + 1].order < w->heap[child].order) child++;
        if (last.order <= w->heap[child].order) break;
        w->heap[at] = w->heap[child];
        at = child;
    }
    w->heap[at] = last;
    return top;
}

static hn_status push_pair(hn_work *w, const char *word, uint32_t left) {
    const hn_symbol *s = &w->symbols[left];
    if (s->next == UINT32_MAX) return HN_OK;
    joined j = join(w->t, word, s, &w->symbols[s->next]);
    if (j.order == NO_MERGE) return HN_OK;
    return heap_push(w, (hn_candidate){(uint64_t)j.order << 32 | left, left, j.id, s->len + w->symbols[s->next].len});
}

/* Whether the pair that a candidate stood for is still there: a merge on either side changes the length of the two
 * together. */
static bool is_current(const hn_work *w, hn_candidate c) {
    const hn_symbol *s = &w->symbols[c.left];
    return s->len && s->next != UINT32_MAX && s->len + w->symbols[s->next].len == c.len;
}

static hn_status merge_long(hn_work *w, const char *word) {
    hn_symbol *s = w->symbols;
    w->n_heap = 0;
    for (size_t i = 0; i < w->n_symbols; i++) {
        s[i].previous = i ? (uint32_t)i - 1 : UINT32_MAX;
        s[i].next = i + 1 < w->n_symbols ? (uint32_t)i + 1 : UINT32_MAX;
    }
    for (size_t i = 0; i + 1 < w->n_symbols; i++) HN_TRY(push_pair(w, word, (uint32_t)i));
    while (w->n_heap) {
        hn_candidate c = heap_pop(w);
        if (!is_current(w, c)) continue;
        hn_symbol *left = &s[c.left], *right = &s[left->next];
        left->id = c.id;
        left->len += right->len;
        left->next = right->next;
        right->len = 0;
        if (left->next != UINT32_MAX) s[left->next].previous = c.left;
        if (left->previous != UINT32_MAX) HN_TRY(push_pair(w, word, left->previous));
        HN_TRY(push_pair(w, word, c.left));
    }
    size_t n = 0;
    for (size_t i = 0; i < w->n_symbols; i++)
        if (s[i].len) s[n++] = s[i];
    w->n_symbols = n;
    return HN_OK;
}

hn_status hn_merge_symbols(hn_work *w, const char *word) {
    if (w->n_symbols > SHORT_WORD) return merge_long(w, word);
    merge_short(w, word);
    return HN_OK;
}

hn_status hn_symbols_start(hn_work *w, size_t n) {
    w->n_symbols = 0;
    if (hn_grow((void **)&w->symbols, &w->symbol_capacity, n, sizeof *w->symbols)) return HN_OK;
    return hn_fail_memory(w->err, n * sizeof *w->symbols);
}
