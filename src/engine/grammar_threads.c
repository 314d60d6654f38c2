/* Stacks made once, and threads moving by a byte; see grammar_match_parts.h. */
#include "engine/grammar_match_parts.h"

#include "base/alloc.h"

#include <string.h>

enum { INDEX_SIZE = 8192, LINEAR_MAX = 24, WORK_MAX = 1 << 17 };

/* --- frames --- */

hn_status hn_frames_init(hn_frames *f) {
    *f = (hn_frames){.mask = 1023};
    f->slots = hn_alloc((f->mask + 1) * sizeof *f->slots);
    if (!f->slots) return HN_ERR_MEMORY;
    memset(f->slots, 0xFF, (f->mask + 1) * sizeof *f->slots);
    return HN_OK;
}

void hn_frames_free(hn_frames *f) {
    hn_free(f->items);
    hn_free(f->slots);
}

static inline size_t frame_hash(hn_gframe f) {
    uint64_t h = ((uint64_t)(uint32_t)f.parent << 32 | (uint32_t)f.call) * 0x9E3779B97F4A7C15ull;
    h = (h ^ h >> 29 ^ (uint32_t)f.round) * 0xBF58476D1CE4E5B9ull;
    return (size_t)(h >> 24);
}

static hn_status grow_frames(hn_frames *f) {
    size_t mask = f->mask * 2 + 1;
    int32_t *slots = hn_alloc((mask + 1) * sizeof *slots);
    if (!slots) return HN_ERR_MEMORY;
    memset(slots, 0xFF, (mask + 1) * sizeof *slots);
    for (size_t i = 0; i < f->n; i++) {
        size_t at = frame_hash(f->items[i]) & mask;
        while (slots[at] >= 0) at = (at + 1) & mask;
        slots[at] = (int32_t)i;
    }
    hn_free(f->slots);
    f->slots = slots;
    f->mask = mask;
    return HN_OK;
}

hn_status hn_frames_get(hn_frames *f, hn_gframe frame, int32_t *number) {
    size_t at = frame_hash(frame) & f->mask;
    for (; f->slots[at] >= 0; at = (at + 1) & f->mask) {
        const hn_gframe *have = &f->items[f->slots[at]];
        if (have->call == frame.call && have->round == frame.round && have->parent == frame.parent) {
            *number = f->slots[at];
            return HN_OK;
        }
    }
    if (f->n >= HN_GFRAMES_MAX) return HN_ERR_LIMIT;
    if (!hn_grow((void **)&f->items, &f->capacity, f->n + 1, sizeof *f->items)) return HN_ERR_MEMORY;
    if ((f->n + 1) * 2 > f->mask) {
        HN_TRY(grow_frames(f));
        at = frame_hash(frame) & f->mask;
        while (f->slots[at] >= 0) at = (at + 1) & f->mask;
    }
    f->items[f->n] = frame;
    f->slots[at] = (int32_t)f->n;
    *number = (int32_t)f->n++;
    return HN_OK;
}

/* --- threads --- */

hn_status hn_stepper_init(hn_stepper *s) {
    *s = (hn_stepper){.loop_procedure = -1};
    s->index = hn_alloc(INDEX_SIZE * sizeof *s->index);
    s->index_stamp = hn_calloc(INDEX_SIZE, sizeof *s->index_stamp);
    return s->index && s->index_stamp ? HN_OK : HN_ERR_MEMORY;
}

void hn_stepper_free(hn_stepper *s) {
    hn_free(s->threads);
    hn_free(s->work);
    hn_free(s->index);
    hn_free(s->index_stamp);
    hn_free(s->exits);
}

void hn_stepper_level(hn_stepper *s) {
    s->ends = false;
    s->is_indexed = false;
    s->n_exits = 0;
}

static inline bool same_thread(hn_gthread a, hn_gthread b) {
    return a.state == b.state && a.frame == b.frame && a.rounds == b.rounds;
}

/* True where the thread is in the index already; else puts it there as number `number`. */
static bool index_thread(hn_stepper *s, hn_gthread t, size_t number) {
    uint64_t h = ((uint64_t)(uint32_t)t.state << 32 | (uint32_t)t.frame) * 0x9E3779B97F4A7C15ull;
    size_t at = ((h >> 32) + (uint32_t)t.rounds * 2654435761u) & (INDEX_SIZE - 1);
    for (; s->index_stamp[at] == s->stamp; at = (at + 1) & (INDEX_SIZE - 1))
        if (same_thread(s->threads[s->index[at]], t)) return true;
    s->index_stamp[at] = s->stamp;
    s->index[at] = (uint32_t)number;
    return false;
}

/* Appends the thread to the level at `first` unless it is there; *is_new says which. */
static hn_status put_thread(hn_stepper *s, size_t first, hn_gthread t, bool *is_new) {
    size_t n = s->n_threads - first;
    *is_new = false;
    if (!s->is_indexed) {
        for (size_t i = first; i < s->n_threads; i++)
            if (same_thread(s->threads[i], t)) return HN_OK;
        if (n == LINEAR_MAX) {
            s->is_indexed = true;
            if (++s->stamp == 0) {
                memset(s->index_stamp, 0, INDEX_SIZE * sizeof *s->index_stamp);
                s->stamp = 1;
            }
            for (size_t i = first; i < s->n_threads; i++) (void)index_thread(s, s->threads[i], i);
        }
    }
    if (n >= HN_GTHREADS_MAX) return HN_ERR_LIMIT;
    if (!hn_grow((void **)&s->threads, &s->thread_capacity, s->n_threads + 1, sizeof *s->threads)) return HN_ERR_MEMORY;
    if (s->is_indexed && index_thread(s, t, s->n_threads)) return HN_OK;
    s->threads[s->n_threads++] = t;
    *is_new = true;
    return HN_OK;
}

static inline hn_status push(hn_stepper *s, hn_gthread t) {
    if (!hn_grow((void **)&s->work, &s->work_capacity, s->n_work + 1, sizeof *s->work)) return HN_ERR_MEMORY;
    s->work[s->n_work++] = t;
    return HN_OK;
}

static hn_status put_exit(hn_stepper *s, uint32_t rounds) {
    for (size_t i = 0; i < s->n_exits; i++)
        if (s->exits[i] == rounds) return HN_OK;
    if (!hn_grow((void **)&s->exits, &s->exit_capacity, s->n_exits + 1, sizeof *s->exits)) return HN_ERR_MEMORY;
    s->exits[s->n_exits++] = rounds;
    return HN_OK;
}

/* The thread's procedure is done: another round, and what comes after. */
static hn_status come_back(hn_stepper *s, hn_gthread t) {
    const hn_grammar *g = s->g;
    if (t.frame == HN_GFRAME_BOTTOM) {
        s->ends = true;
        return HN_OK;
    }
    if (t.frame == HN_GFRAME_UNKNOWN) return put_exit(s, 0);
    if (t.frame == HN_GFRAME_UNKNOWN_LOOP) {
        HN_TRY(put_exit(s, (uint32_t)t.rounds + 1));
        return push(s, (hn_gthread){g->starts[s->loop_procedure], t.frame, t.rounds + 1});
    }
    hn_gframe f = s->frames->items[t.frame];
    const hn_gcall *call = &g->calls[f.call];
    if (f.round < call->max) {
        hn_gthread again = {.state = g->starts[call->procedure], .rounds = t.rounds};
        HN_TRY(hn_frames_get(s->frames, (hn_gframe){f.call, f.round + 1, f.parent}, &again.frame));
        HN_TRY(push(s, again));
    }
    if (f.round >= call->min) HN_TRY(push(s, (hn_gthread){call->next, f.parent, t.rounds}));
    return HN_OK;
}

static hn_status call_all(hn_stepper *s, const hn_gstate *state, hn_gthread t) {
    for (uint32_t i = 0; i < state->n_calls; i++) {
        int32_t index = (int32_t)(state->first_call + i);
        const hn_gcall *call = &s->g->calls[index];
        hn_gthread inner = {.state = s->g->starts[call->procedure], .frame = t.frame, .rounds = t.rounds};
        if (!call->is_tail) HN_TRY(hn_frames_get(s->frames, (hn_gframe){index, 1, t.frame}, &inner.frame));
        HN_TRY(push(s, inner));
    }
    return HN_OK;
}

hn_status hn_stepper_add(hn_stepper *s, size_t first, hn_gthread thread) {
    size_t n_done = 0;
    s->n_work = 0;
    HN_TRY(push(s, thread));
    while (s->n_work > 0) {
        hn_gthread t = s->work[--s->n_work];
        const hn_gstate *state = &s->g->states[t.state];
        if (++n_done > WORK_MAX) return HN_ERR_LIMIT;
        if (state->n_ranges > 0 || state->n_calls > 0) {
            bool is_new;
            HN_TRY(put_thread(s, first, t, &is_new));
            if (!is_new) continue;
            if (state->n_calls > 0) HN_TRY(call_all(s, state, t));
        }
        if (state->flags & HN_GSTATE_RETURNS) HN_TRY(come_back(s, t));
    }
    return HN_OK;
}

hn_status hn_stepper_step(hn_stepper *s, size_t first, size_t end, uint8_t byte) {
    const hn_grammar *g = s->g;
    size_t level = s->n_threads;
    hn_stepper_level(s);
    for (size_t i = first; i < end; i++) {
        hn_gthread t = s->threads[i];
        const hn_gstate *state = &g->states[t.state];
        if (state->table >= 0) {
            int32_t target = g->tables[(size_t)state->table * 256 + byte];
            if (target >= 0) HN_TRY(hn_stepper_add(s, level, (hn_gthread){target, t.frame, t.rounds}));
            continue;
        }
        for (uint32_t k = 0; k < state->n_ranges; k++) {
            const hn_grange *r = &g->ranges[state->first_range + k];
            if (r->first > byte) break;
            if (r->last >= byte) HN_TRY(hn_stepper_add(s, level, (hn_gthread){r->target, t.frame, t.rounds}));
        }
    }
    return HN_OK;
}
