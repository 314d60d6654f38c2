/* Matching: threads moved by tokens, and masks put together from local parts; see grammar_match_parts.h. */
#include "engine/grammar_match.h"

#include "base/alloc.h"
#include "engine/grammar_match_parts.h"

#include <stdlib.h>
#include <string.h>

static hn_status explain(hn_status st, hn_error *err) {
    if (st == HN_ERR_MEMORY) return hn_fail_memory(err, sizeof(hn_gthread) * HN_GTHREADS_MAX);
    if (st == HN_ERR_LIMIT)
        return hn_fail(err, st, "grammar", "write the grammar so that fewer branches can begin with the same text",
                       "it is too ambiguous here: the text so far can be read in more than %d ways", HN_GTHREADS_MAX);
    return st;
}

static int by_thread(const void *a, const void *b) {
    const hn_gthread *x = a, *y = b;
    if (x->state != y->state) return x->state < y->state ? -1 : 1;
    return (x->frame > y->frame) - (x->frame < y->frame);
}

static bool takes_bytes(const hn_grammar_match *m, hn_gthread t) { return m->g->states[t.state].n_ranges > 0; }

/* Makes the stepper's threads from `first` on the match's own. */
static hn_status settle(hn_grammar_match *m, size_t first) {
    const hn_stepper *s = &m->a->stepper;
    if (!hn_grow((void **)&m->threads, &m->capacity, s->n_threads - first + 1, sizeof *m->threads))
        return HN_ERR_MEMORY;
    m->n_threads = 0;
    for (size_t i = first; i < s->n_threads; i++)
        if (takes_bytes(m, s->threads[i])) m->threads[m->n_threads++] = s->threads[i];
    if (m->n_threads > 1) qsort(m->threads, m->n_threads, sizeof *m->threads, by_thread);
    m->can_end = s->ends;
    return HN_OK;
}

static hn_stepper *stepper_of(hn_grammar_match *m) {
    hn_stepper *s = &m->a->stepper;
    s->g = m->g;
    s->frames = &m->a->frames;
    s->n_threads = 0;
    return s;
}

static hn_status start(hn_grammar_match *m) {
    hn_stepper *s = stepper_of(m);
    hn_stepper_level(s);
    HN_TRY(hn_stepper_add(s, 0, (hn_gthread){m->g->starts[0], HN_GFRAME_BOTTOM, 0}));
    HN_TRY(settle(m, 0));
    m->can_end = m->g->matches_empty;
    return HN_OK;
}

hn_status hn_grammar_match_create(const hn_grammar *grammar, hn_grammar_vocab *vocab, hn_grammar_match **match,
                                  hn_error *err) {
    *match = NULL;
    hn_grammar_match *m = hn_calloc(1, sizeof *m);
    if (!m) return hn_fail_memory(err, sizeof *m);
    m->g = grammar;
    m->v = vocab;
    hn_status st = hn_automaton_take(vocab, grammar, &m->a, err);
    if (st != HN_OK) {
        hn_free(m);
        return st;
    }
    m->next = m->a->matches;
    if (m->next) m->next->previous = m;
    m->a->matches = m;
    m->mask = hn_calloc(vocab->n_words + 1, sizeof *m->mask);
    st = m->mask ? start(m) : HN_ERR_MEMORY;
    if (st != HN_OK) {
        hn_grammar_match_free(m);
        return explain(st, err);
    }
    *match = m;
    return HN_OK;
}

void hn_grammar_match_free(hn_grammar_match *m) {
    if (!m) return;
    if (m->previous)
        m->previous->next = m->next;
    else
        m->a->matches = m->next;
    if (m->next) m->next->previous = m->previous;
    hn_automaton_give_back(m->v, m->a);
    hn_free(m->threads);
    hn_free(m->mask);
    hn_free(m->pending);
    hn_free(m);
}

/* --- masks --- */

static inline void allow(hn_grammar_match *m, uint32_t node) {
    const hn_grammar_vocab *v = m->v;
    for (uint32_t i = v->node_first[node]; i < v->node_first[node + 1]; i++)
        m->mask[v->ids[i] >> 6] |= UINT64_C(1) << (v->ids[i] & 63);
}

enum {
    BIG_SUBTREE = 128, /* nodes; from here on what is found is worth keeping */
    PENDING_MAX = 1 << 16,
    LOOK_BACK = 64 /* pending threads that are compared with a new one */
};

/* What comes after an exit, followed through the subtree of `top`; `levels[0]`: the threads after top's own byte. */
static hn_status walk_subtree(hn_grammar_match *m, uint32_t top, size_t *levels) {
    hn_stepper *s = &m->a->stepper;
    const hn_grammar_vocab *v = m->v;
    for (uint32_t node = top + 1; node < v->node_skip[top];) {
        size_t depth = (size_t)(v->node_depth[node] - v->node_depth[top]), first = levels[depth];
        s->n_threads = first;
        HN_TRY(hn_stepper_step(s, levels[depth - 1], first, v->node_byte[node]));
        levels[depth + 1] = s->n_threads;
        if (s->n_threads > first || s->ends) allow(m, node);
        node = s->n_threads > first ? node + 1 : v->node_skip[node];
    }
    return HN_OK;
}

static hn_status put_pending(hn_grammar_match *m, hn_gthread thread, uint32_t top) {
    size_t from = m->n_pending > LOOK_BACK ? m->n_pending - LOOK_BACK : 0;
    if (!takes_bytes(m, thread)) return HN_OK;
    for (size_t i = from; i < m->n_pending; i++)
        if (m->pending[i].top == top && by_thread(&m->pending[i].thread, &thread) == 0) return HN_OK;
    if (m->n_pending >= PENDING_MAX) return HN_ERR_LIMIT;
    if (!hn_grow((void **)&m->pending, &m->pending_capacity, m->n_pending + 1, sizeof *m->pending))
        return HN_ERR_MEMORY;
    m->pending[m->n_pending++] = (hn_gpending){thread, top};
    return HN_OK;
}

/* The text got to `node`, and the stepper's threads [levels[0], levels[1]) go on from there. */
static hn_status go_on(hn_grammar_match *m, uint32_t node, size_t *levels) {
    const hn_stepper *s = &m->a->stepper;
    allow(m, node);
    if (levels[1] == levels[0]) return HN_OK; /* the text is complete there */
    if (m->v->node_skip[node] - node <= BIG_SUBTREE) return walk_subtree(m, node, levels);
    for (size_t i = levels[0]; i < levels[1]; i++) HN_TRY(put_pending(m, s->threads[i], node));
    return HN_OK;
}

/* Which of a local part's exits can be taken: rounds from `least` to `most`. */
typedef struct exit_rule {
    int64_t least, most;
} exit_rule;

/* The exits whose byte is `byte`: the threads after the exit are [0, n) of the stepper. */
static hn_status follow_exits(hn_grammar_match *m, const hn_local *l, exit_rule rule, size_t n, uint8_t byte,
                              size_t *levels) {
    hn_stepper *s = &m->a->stepper;
    bool is_stepped = false, is_alive = false;
    uint32_t last = 0; /* exits of one node, after different numbers of rounds, are neighbours */
    for (uint32_t i = l->first_exit[byte]; i < l->first_exit[byte + 1]; i++) {
        if (l->exits[i].rounds < rule.least || l->exits[i].rounds > rule.most || l->exits[i].node == last) continue;
        last = l->exits[i].node;
        if (!is_stepped) {
            s->n_threads = n;
            HN_TRY(hn_stepper_step(s, 0, n, byte));
            is_alive = s->n_threads > n || s->ends;
            levels[0] = n;
            levels[1] = s->n_threads;
            is_stepped = true;
        }
        if (!is_alive) return HN_OK;
        HN_TRY(go_on(m, l->exits[i].node, levels));
    }
    return HN_OK;
}

static hn_status follow_all_exits(hn_grammar_match *m, const hn_local *l, exit_rule rule, hn_gthread after,
                                  size_t *levels) {
    hn_stepper *s = stepper_of(m);
    bool wanted[256] = {false};
    hn_stepper_level(s);
    HN_TRY(hn_stepper_add(s, 0, after));
    size_t n = s->n_threads;
    for (size_t i = 0; i < n; i++) {
        const hn_gstate *state = &m->g->states[s->threads[i].state];
        for (uint32_t k = 0; k < state->n_ranges; k++) {
            const hn_grange *r = &m->g->ranges[state->first_range + k];
            for (int byte = r->first; byte <= r->last; byte++) wanted[byte] = true;
        }
    }
    for (int byte = 0; byte < 256; byte++)
        if (wanted[byte] && l->first_exit[byte] < l->first_exit[byte + 1])
            HN_TRY(follow_exits(m, l, rule, n, (uint8_t)byte, levels));
    return HN_OK;
}

/* Allows the thread's tokens below the node `top`; exits into big subtrees become pending. */
static hn_status add_thread(hn_grammar_match *m, hn_gpending p, size_t *levels, hn_error *err) {
    hn_local *l;
    const hn_gcall *call = NULL;
    hn_gframe frame = {0};
    if (p.thread.frame >= 0) {
        frame = m->a->frames.items[p.thread.frame];
        call = &m->g->calls[frame.call];
    }
    bool is_loop = call && call->max > 1;
    (void)stepper_of(m);
    HN_TRY(hn_automaton_local(m->a, m->v, p.thread.state, is_loop ? call->procedure : -1, p.top, &l, err));
    int64_t more = is_loop ? (int64_t)call->max - frame.round : 0;
    HN_TRY(hn_local_allow(l, m->v->n_words, more, m->mask));
    if (!call) return HN_OK;
    exit_rule rule = {0, INT64_MAX};
    if (is_loop) rule = (exit_rule){(int64_t)call->min - frame.round + 1, more + 1};
    return follow_all_exits(m, l, rule, (hn_gthread){call->next, frame.parent, 0}, levels);
}

static hn_status make_mask(hn_grammar_match *m, hn_error *err) {
    size_t *levels = hn_calloc((size_t)m->v->max_depth + 3, sizeof *levels);
    if (!levels) return hn_fail_memory(err, m->v->max_depth * sizeof *levels);
    memset(m->mask, 0, m->v->n_words * sizeof *m->mask);
    hn_status st = HN_OK;
    m->n_pending = 0;
    for (size_t i = 0; i < m->n_threads && st == HN_OK; i++) st = put_pending(m, m->threads[i], 0);
    for (size_t i = 0; i < m->n_pending && st == HN_OK; i++) st = add_thread(m, m->pending[i], levels, err);
    hn_free(levels);
    return st;
}

hn_status hn_grammar_match_mask(hn_grammar_match *m, const uint64_t **mask, hn_error *err) {
    *mask = NULL;
    HN_TRY(explain(hn_automaton_tidy(m->a), err));
    const uint64_t *kept = hn_automaton_find(m->a, m->threads, m->n_threads);
    if (kept) {
        memcpy(m->mask, kept, m->v->n_words * sizeof *kept);
    } else {
        HN_TRY(explain(make_mask(m, err), err));
        hn_automaton_keep(m->a, m->threads, m->n_threads, m->mask);
    }
    *mask = m->mask;
    return HN_OK;
}

/* --- moving on --- */

/* Puts the match's threads at the stepper's start and moves them as far as the bytes allow; *level: where the last threads are. */
static hn_status advance(hn_grammar_match *m, const char *text, size_t n, size_t *accepted, size_t *level) {
    hn_stepper *s = stepper_of(m);
    size_t first = 0;
    if (!hn_grow((void **)&s->threads, &s->thread_capacity, m->n_threads + 1, sizeof *s->threads)) return HN_ERR_MEMORY;
    if (m->n_threads > 0) memcpy(s->threads, m->threads, m->n_threads * sizeof *m->threads);
    s->n_threads = m->n_threads;
    s->ends = m->can_end;
    *accepted = 0;
    for (size_t i = 0; i < n; i++) {
        size_t end = s->n_threads;
        bool ended = s->ends;
        HN_TRY(hn_stepper_step(s, first, end, (uint8_t)text[i]));
        if (s->n_threads == end && !s->ends) {
            s->ends = ended;
            break;
        }
        if (first > 0 || i > 0) { /* only the last level is needed: keeps long texts short in memory */
            memmove(s->threads, s->threads + end, (s->n_threads - end) * sizeof *s->threads);
            s->n_threads -= end;
            first = 0;
        } else {
            first = end;
        }
        *accepted = i + 1;
    }
    *level = first;
    return HN_OK;
}

hn_status hn_grammar_match_bytes(hn_grammar_match *m, const char *text, size_t n_bytes, size_t *accepted,
                                 hn_error *err) {
    *accepted = 0;
    for (size_t from = 0, done = 1; from < n_bytes && done > 0; from += done) {
        size_t level, piece = n_bytes - from < 4096 ? n_bytes - from : 4096;
        HN_TRY(explain(hn_automaton_tidy(m->a), err));
        HN_TRY(explain(advance(m, text + from, piece, &done, &level), err));
        HN_TRY(explain(settle(m, level), err));
        *accepted += done;
        if (done < piece) break;
    }
    return HN_OK;
}

hn_status hn_grammar_match_accept(hn_grammar_match *m, int32_t id, hn_error *err) {
    const hn_grammar_vocab *v = m->v;
    size_t accepted, level, n = 0;
    if (id >= 0 && id < v->n_tokens) n = v->offsets[id + 1] - v->offsets[id];
    if (n == 0)
        return hn_fail(err, HN_ERR_INPUT, "grammar", NULL,
                       "token %d is not text of the vocabulary (%d tokens): it is never allowed", (int)id,
                       (int)v->n_tokens);
    HN_TRY(explain(hn_automaton_tidy(m->a), err));
    HN_TRY(explain(advance(m, v->bytes + v->offsets[id], n, &accepted, &level), err));
    if (accepted < n)
        return hn_fail(err, HN_ERR_INPUT, "grammar", "take a token that the mask allows",
                       "token %d leaves the language at byte %zu of %zu", (int)id, accepted + 1, n);
    return explain(settle(m, level), err);
}

bool hn_grammar_match_can_end(const hn_grammar_match *m) { return m->can_end; }

bool hn_grammar_match_must_end(const hn_grammar_match *m) { return m->can_end && m->n_threads == 0; }
