/* What matches of one grammar over one vocabulary share: frames, local parts, masks. Kept by the grammar's hash, so that
 * the next request with the same schema finds everything made. Local parts go by least recent use, masks all at once;
 * both are only memory of work, never of meaning. */
#include "engine/grammar_match_parts.h"

#include "base/alloc.h"

#include <string.h>

enum {
    AUTOMATA_MAX = 16,            /* that no match uses */
    UNUSED_BYTES_MAX = 128 << 20, /* all of those together */
    LOCAL_BYTES_MAX = 96 << 20,
    CONFIG_BYTES_MAX = 32 << 20,
    TIDY_FRAMES = 1 << 20
};

/* --- local parts --- */

static size_t local_bucket(int32_t state, int32_t loop_procedure, uint32_t top) {
    uint64_t key = (uint64_t)(uint32_t)state << 32 | (uint32_t)loop_procedure;
    return ((key * 0x9E3779B97F4A7C15ull + top) * 0xBF58476D1CE4E5B9ull >> 40) % HN_GBUCKETS;
}

static void drop_oldest_local(hn_automaton *a, const hn_local *keep) {
    hn_local **oldest = NULL;
    for (size_t i = 0; i < HN_GBUCKETS; i++)
        for (hn_local **at = &a->locals[i]; *at; at = &(*at)->next)
            if (*at != keep && (!oldest || (*at)->used_at < (*oldest)->used_at)) oldest = at;
    if (!oldest) return;
    hn_local *l = *oldest;
    *oldest = l->next;
    a->local_bytes -= l->size_bytes;
    hn_local_free(l);
}

hn_status hn_automaton_local(hn_automaton *a, const hn_grammar_vocab *v, int32_t state, int32_t loop_procedure,
                             uint32_t top, hn_local **local, hn_error *err) {
    size_t bucket = local_bucket(state, loop_procedure, top);
    hn_local *l = a->locals[bucket];
    while (l && (l->state != state || l->loop_procedure != loop_procedure || l->top != top)) l = l->next;
    if (!l) {
        HN_TRY(hn_local_create(&a->stepper, v, state, loop_procedure, top, &l, err));
        l->next = a->locals[bucket];
        a->locals[bucket] = l;
        if (l->first_token[l->n_needs] >= a->n_words / 2) /* about what its masks will take */
            l->size_bytes += (l->n_needs < 8 ? l->n_needs : 8) * a->n_words * sizeof(uint64_t);
        a->local_bytes += l->size_bytes;
    }
    l->used_at = ++a->clock;
    for (size_t before = 0; a->local_bytes > LOCAL_BYTES_MAX && a->local_bytes != before;) {
        before = a->local_bytes;
        drop_oldest_local(a, l);
    }
    *local = l;
    return HN_OK;
}

/* --- masks of thread sets --- */

static uint64_t config_hash(const hn_gthread *threads, size_t n) { return hn_hash64(threads, n * sizeof *threads, 0); }

const uint64_t *hn_automaton_find(const hn_automaton *a, const hn_gthread *threads, size_t n) {
    uint64_t hash = config_hash(threads, n);
    for (const hn_config *c = a->configs[hash % HN_GBUCKETS]; c; c = c->next)
        if (c->hash == hash && c->n_threads == n && memcmp(c->threads, threads, n * sizeof *threads) == 0)
            return c->mask;
    return NULL;
}

static void drop_configs(hn_automaton *a) {
    for (size_t i = 0; i < HN_GBUCKETS && a->config_bytes > 0; i++)
        while (a->configs[i]) {
            hn_config *c = a->configs[i];
            a->configs[i] = c->next;
            hn_free(c->mask);
            hn_free(c);
        }
    a->config_bytes = 0;
}

void hn_automaton_keep(hn_automaton *a, const hn_gthread *threads, size_t n, const uint64_t *mask) {
    size_t mask_bytes = a->n_words * sizeof *mask, size_bytes = sizeof(hn_config) + n * sizeof *threads;
    if (a->config_bytes + mask_bytes + size_bytes > CONFIG_BYTES_MAX) drop_configs(a);
    hn_config *c = hn_alloc(size_bytes);
    uint64_t *copy = hn_alloc(mask_bytes + 1);
    if (!c || !copy) {
        hn_free(c);
        hn_free(copy);
        return;
    }
    memcpy(copy, mask, mask_bytes);
    c->hash = config_hash(threads, n);
    c->n_threads = (uint32_t)n;
    c->mask = copy;
    if (n > 0) memcpy(c->threads, threads, n * sizeof *threads);
    c->next = a->configs[c->hash % HN_GBUCKETS];
    a->configs[c->hash % HN_GBUCKETS] = c;
    a->config_bytes += mask_bytes + size_bytes;
}

/* --- frames --- */

enum { NOT_NEEDED = -4, NEEDED = -5 };

/* The needed frames among new ones; `moved`: their new numbers. A frame is always younger than the one below it. */
static hn_status move_frames(const hn_frames *old, hn_frames *fresh, int32_t *moved) {
    for (size_t i = 0; i < old->n; i++) {
        if (moved[i] != NEEDED) continue;
        hn_gframe f = old->items[i];
        if (f.parent >= 0) f.parent = moved[f.parent];
        HN_TRY(hn_frames_get(fresh, f, &moved[i]));
    }
    return HN_OK;
}

static void mark_needed(const hn_automaton *a, int32_t *moved) {
    for (size_t i = 0; i < a->frames.n; i++) moved[i] = NOT_NEEDED;
    for (const hn_grammar_match *m = a->matches; m; m = m->next)
        for (size_t i = 0; i < m->n_threads; i++)
            for (int32_t at = m->threads[i].frame; at >= 0 && moved[at] == NOT_NEEDED; at = a->frames.items[at].parent)
                moved[at] = NEEDED;
}

hn_status hn_automaton_tidy(hn_automaton *a) {
    if (a->frames.n < TIDY_FRAMES) return HN_OK;
    hn_frames fresh;
    int32_t *moved = hn_realloc_array(NULL, a->frames.n, sizeof *moved);
    hn_status st = hn_frames_init(&fresh);
    if (!moved) st = HN_ERR_MEMORY;
    if (st == HN_OK) {
        mark_needed(a, moved);
        st = move_frames(&a->frames, &fresh, moved);
    }
    if (st == HN_OK) {
        for (hn_grammar_match *m = a->matches; m; m = m->next)
            for (size_t i = 0; i < m->n_threads; i++)
                if (m->threads[i].frame >= 0) m->threads[i].frame = moved[m->threads[i].frame];
        hn_frames_free(&a->frames);
        a->frames = fresh;
        drop_configs(a);
    } else {
        hn_frames_free(&fresh);
    }
    hn_free(moved);
    return st;
}

/* --- automata --- */

static void automaton_free(hn_automaton *a) {
    drop_configs(a);
    for (size_t i = 0; i < HN_GBUCKETS; i++)
        while (a->locals[i]) {
            hn_local *l = a->locals[i];
            a->locals[i] = l->next;
            hn_local_free(l);
        }
    hn_frames_free(&a->frames);
    hn_stepper_free(&a->stepper);
    hn_free(a);
}

void hn_automaton_free_all(hn_grammar_vocab *v) {
    while (v->automata) {
        hn_automaton *a = v->automata;
        v->automata = a->next;
        automaton_free(a);
    }
}

hn_status hn_automaton_take(hn_grammar_vocab *v, const hn_grammar *g, hn_automaton **automaton, hn_error *err) {
    hn_automaton **at = &v->automata, *a;
    while (*at && strcmp((*at)->hash, g->hash) != 0) at = &(*at)->next;
    a = *at;
    if (a) {
        *at = a->next;
    } else {
        a = hn_calloc(1, sizeof *a);
        if (!a) return hn_fail_memory(err, sizeof *a);
        if (hn_frames_init(&a->frames) != HN_OK || hn_stepper_init(&a->stepper) != HN_OK) {
            automaton_free(a);
            return hn_fail_memory(err, sizeof *a);
        }
        memcpy(a->hash, g->hash, sizeof a->hash);
        a->n_words = v->n_words;
        v->n_automata++;
    }
    a->next = v->automata;
    v->automata = a;
    a->n_matches++;
    *automaton = a;
    return HN_OK;
}

/* The least recently used automaton without matches; *size_bytes: of all of those. */
static hn_automaton **oldest_unused(hn_grammar_vocab *v, size_t *size_bytes) {
    hn_automaton **oldest = NULL;
    *size_bytes = 0;
    for (hn_automaton **at = &v->automata; *at; at = &(*at)->next) {
        if ((*at)->n_matches > 0) continue;
        oldest = at;
        *size_bytes += sizeof **at + (*at)->local_bytes + (*at)->config_bytes +
                       (*at)->frames.capacity * sizeof *(*at)->frames.items;
    }
    return oldest;
}

void hn_automaton_give_back(hn_grammar_vocab *v, hn_automaton *a) {
    size_t size_bytes;
    a->n_matches--;
    for (hn_automaton **oldest = oldest_unused(v, &size_bytes);
         oldest && (v->n_automata > AUTOMATA_MAX || size_bytes > UNUSED_BYTES_MAX);
         oldest = oldest_unused(v, &size_bytes)) {
        hn_automaton *gone = *oldest;
        *oldest = gone->next;
        automaton_free(gone);
        v->n_automata--;
    }
}
