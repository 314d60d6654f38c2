/* A state's tokens above the stack: one walk over the trie; see grammar_match_parts.h. */
#include "engine/grammar_match_parts.h"

#include "base/alloc.h"

#include <string.h>

typedef struct found_token {
    int32_t id;
    uint32_t need;
} found_token;

enum { MEMO_ROWS = 8 };

/* What a byte does to a single thread that stands on the walk's own stack: most steps of a walk are such, and repeat. */
typedef enum memo_kind { NOT_TRIED, SIMPLE, NOT_SIMPLE } memo_kind;

typedef struct memo_step {
    uint8_t kind, exits;      /* exits: whether the step leaves the procedure */
    uint16_t more, exit_more; /* rounds that end */
    int32_t target;           /* -1: nowhere */
} memo_step;

typedef struct walk {
    hn_stepper *s;
    const hn_grammar_vocab *v;
    size_t *levels; /* where each depth's threads begin; (max_depth + 2) */
    found_token *tokens;
    hn_exit *exits;
    size_t n_tokens, n_exits, token_capacity, exit_capacity;
    uint32_t most;
    int32_t frame; /* the walk's own stack */
    int32_t memo_state[MEMO_ROWS];
    memo_step (*memo)[256]; /* (MEMO_ROWS, 256) */
    int n_rows;
} walk;

static hn_status note_tokens(walk *w, uint32_t node, size_t first) {
    const hn_grammar_vocab *v = w->v;
    uint32_t n = v->node_first[node + 1] - v->node_first[node], need = UINT32_MAX;
    if (n == 0) return HN_OK;
    for (size_t i = first; i < w->s->n_threads; i++)
        if ((uint32_t)w->s->threads[i].rounds < need) need = (uint32_t)w->s->threads[i].rounds;
    for (size_t i = 0; i < w->s->n_exits; i++) { /* ends with a round: the round after it need not begin */
        uint32_t rounds = w->s->exits[i] > 0 ? w->s->exits[i] - 1 : 0;
        if (rounds < need) need = rounds;
    }
    if (!hn_grow((void **)&w->tokens, &w->token_capacity, w->n_tokens + n, sizeof *w->tokens)) return HN_ERR_MEMORY;
    for (uint32_t i = 0; i < n; i++) w->tokens[w->n_tokens++] = (found_token){v->ids[v->node_first[node] + i], need};
    if (need > w->most) w->most = need;
    return HN_OK;
}

/* The bytes after the procedure's end are the children's. */
static hn_status note_exits(walk *w, uint32_t node) {
    const hn_grammar_vocab *v = w->v;
    if (w->s->n_exits == 0) return HN_OK;
    for (uint32_t child = node + 1; child < v->node_skip[node]; child = v->node_skip[child]) {
        if (!hn_grow((void **)&w->exits, &w->exit_capacity, w->n_exits + w->s->n_exits, sizeof *w->exits))
            return HN_ERR_MEMORY;
        for (size_t i = 0; i < w->s->n_exits; i++) w->exits[w->n_exits++] = (hn_exit){child, w->s->exits[i]};
    }
    return HN_OK;
}

/* The row of a state; NULL: there are too many. */
static memo_step *memo_row(walk *w, int32_t state) {
    for (int i = 0; i < w->n_rows; i++)
        if (w->memo_state[i] == state) return w->memo[i];
    if (w->n_rows == MEMO_ROWS) return NULL;
    w->memo_state[w->n_rows] = state;
    return w->memo[w->n_rows++];
}

static void memoize(const walk *w, memo_step *step, hn_gthread from, size_t first) {
    const hn_stepper *s = w->s;
    size_t n = s->n_threads - first;
    bool simple = n <= 1 && s->n_exits <= 1 && (n == 0 || s->threads[first].frame == w->frame);
    *step = (memo_step){.kind = simple ? SIMPLE : NOT_SIMPLE, .exits = s->n_exits > 0, .target = -1};
    if (simple && n > 0) {
        step->target = s->threads[first].state;
        step->more = (uint16_t)(s->threads[first].rounds - from.rounds);
    }
    if (simple && s->n_exits > 0) step->exit_more = (uint16_t)(s->exits[0] - (uint32_t)from.rounds);
}

/* One byte on from the threads [from, first). */
static hn_status walk_step(walk *w, size_t from, size_t first, uint8_t byte) {
    hn_stepper *s = w->s;
    memo_step *step = NULL;
    hn_gthread t = s->threads[from];
    s->n_threads = first;
    if (first - from == 1 && t.frame == w->frame) {
        memo_step *row = memo_row(w, t.state);
        if (row) step = &row[byte];
    }
    if (step && step->kind == SIMPLE && s->exit_capacity > 0) {
        s->n_exits = step->exits;
        if (step->exits) s->exits[0] = (uint32_t)t.rounds + step->exit_more;
        if (step->target < 0) return HN_OK;
        if (!hn_grow((void **)&s->threads, &s->thread_capacity, first + 1, sizeof *s->threads)) return HN_ERR_MEMORY;
        s->threads[s->n_threads++] = (hn_gthread){step->target, t.frame, t.rounds + step->more};
        return HN_OK;
    }
    HN_TRY(hn_stepper_step(s, from, first, byte));
    if (step && step->kind == NOT_TRIED) memoize(w, step, t, first);
    return HN_OK;
}

static hn_status walk_trie(walk *w, int32_t state, uint32_t top) {
    hn_stepper *s = w->s;
    const hn_grammar_vocab *v = w->v;
    size_t top_depth = v->node_depth[top];
    if (!hn_grow((void **)&s->threads, &s->thread_capacity, 1, sizeof *s->threads) ||
        !hn_grow((void **)&s->exits, &s->exit_capacity, 1, sizeof *s->exits))
        return HN_ERR_MEMORY;
    s->threads[0] = (hn_gthread){state, w->frame, 0};
    w->levels[0] = 0;
    w->levels[1] = 1;
    for (uint32_t node = top + 1; node < v->node_skip[top];) {
        size_t depth = v->node_depth[node] - top_depth, first = w->levels[depth];
        HN_TRY(walk_step(w, w->levels[depth - 1], first, v->node_byte[node]));
        w->levels[depth + 1] = s->n_threads;
        if (s->n_threads > first || s->n_exits > 0) {
            HN_TRY(note_tokens(w, node, first));
            HN_TRY(note_exits(w, node));
        }
        node = s->n_threads > first ? node + 1 : v->node_skip[node];
    }
    return HN_OK;
}

/* Sorts what was found by need and by byte into the local part. */
static hn_status keep(const walk *w, hn_local *l) {
    l->n_needs = w->most + 1;
    l->first_token = hn_calloc((size_t)l->n_needs + 2, sizeof *l->first_token);
    l->tokens = hn_calloc(w->n_tokens + 1, sizeof *l->tokens);
    l->masks = hn_calloc(l->n_needs, sizeof *l->masks);
    l->exits = hn_calloc(w->n_exits + 1, sizeof *l->exits);
    if (!l->first_token || !l->tokens || !l->masks || !l->exits) return HN_ERR_MEMORY;
    for (size_t i = 0; i < w->n_tokens; i++) l->first_token[w->tokens[i].need + 2]++;
    for (uint32_t k = 0; k < l->n_needs; k++) l->first_token[k + 2] += l->first_token[k + 1];
    for (size_t i = 0; i < w->n_tokens; i++) l->tokens[l->first_token[w->tokens[i].need + 1]++] = w->tokens[i].id;
    uint32_t cursor[258] = {0};
    for (size_t i = 0; i < w->n_exits; i++) cursor[w->v->node_byte[w->exits[i].node] + 2]++;
    for (int b = 0; b < 256; b++) cursor[b + 2] += cursor[b + 1];
    for (size_t i = 0; i < w->n_exits; i++) l->exits[cursor[w->v->node_byte[w->exits[i].node] + 1]++] = w->exits[i];
    memcpy(l->first_exit, cursor, sizeof l->first_exit);
    l->size_bytes = sizeof *l + w->n_tokens * sizeof *l->tokens + w->n_exits * sizeof *l->exits +
                    l->n_needs * (sizeof *l->masks + sizeof *l->first_token);
    return HN_OK;
}

hn_status hn_local_create(hn_stepper *s, const hn_grammar_vocab *v, int32_t state, int32_t loop_procedure, uint32_t top,
                          hn_local **local, hn_error *err) {
    walk w = {.s = s,
              .v = v,
              .levels = hn_calloc((size_t)v->max_depth + 3, sizeof *w.levels),
              .memo = hn_calloc(MEMO_ROWS, sizeof *w.memo),
              .frame = loop_procedure < 0 ? HN_GFRAME_UNKNOWN : HN_GFRAME_UNKNOWN_LOOP};
    hn_local *l = hn_calloc(1, sizeof *l);
    hn_status st = w.levels && w.memo && l ? HN_OK : HN_ERR_MEMORY;
    s->loop_procedure = loop_procedure;
    if (st == HN_OK) st = walk_trie(&w, state, top);
    if (st == HN_OK) st = keep(&w, l);
    s->loop_procedure = -1;
    s->n_threads = 0;
    hn_free(w.levels);
    hn_free(w.memo);
    hn_free(w.tokens);
    hn_free(w.exits);
    if (st != HN_OK) {
        hn_local_free(l);
        l = NULL;
    } else {
        l->state = state;
        l->loop_procedure = loop_procedure;
        l->top = top;
    }
    *local = l;
    if (st == HN_ERR_MEMORY) return hn_fail_memory(err, sizeof *l + v->n_nodes * sizeof(hn_exit));
    return st;
}

void hn_local_free(hn_local *l) {
    if (!l) return;
    for (uint32_t i = 0; l->masks && i < l->n_needs; i++) hn_free(l->masks[i]);
    hn_free(l->masks);
    hn_free(l->first_token);
    hn_free(l->tokens);
    hn_free(l->exits);
    hn_free(l);
}

/* The mask with `k` more rounds, made from the nearest smaller one. */
static hn_status mask_for(hn_local *l, size_t n_words, uint32_t k) {
    uint32_t from = k;
    uint64_t *made = hn_calloc(n_words + 1, sizeof *made);
    if (!made) return HN_ERR_MEMORY;
    while (from > 0 && !l->masks[from - 1]) from--;
    if (from > 0) memcpy(made, l->masks[from - 1], n_words * sizeof *made);
    for (uint32_t i = l->first_token[from]; i < l->first_token[k + 1]; i++)
        made[l->tokens[i] >> 6] |= UINT64_C(1) << (l->tokens[i] & 63);
    l->masks[k] = made;
    return HN_OK;
}

hn_status hn_local_allow(hn_local *l, size_t n_words, int64_t more, uint64_t *mask) {
    uint32_t k = more >= (int64_t)l->n_needs ? l->n_needs - 1 : (uint32_t)more;
    if (l->first_token[k + 1] < n_words / 2) { /* few: one by one is cheaper */
        for (uint32_t i = 0; i < l->first_token[k + 1]; i++)
            mask[l->tokens[i] >> 6] |= UINT64_C(1) << (l->tokens[i] & 63);
        return HN_OK;
    }
    if (!l->masks[k]) HN_TRY(mask_for(l, n_words, k));
    for (size_t i = 0; i < n_words; i++) mask[i] |= l->masks[k][i];
    return HN_OK;
}
