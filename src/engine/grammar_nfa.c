/* One procedure's automaton as it is made from nodes: byte ranges, calls and empty moves. Classes of characters share
 * the states behind their lead bytes, so \p{L} with its 800 byte sequences needs a few hundred states. */
#include "engine/grammar_parts.h"

#include "base/alloc.h"

#include <string.h>

hn_status hn_nfa_init(hn_nfa *nfa) {
    *nfa = (hn_nfa){.suffix_mask = 255};
    nfa->suffix_slots = hn_alloc((nfa->suffix_mask + 1) * sizeof *nfa->suffix_slots);
    return nfa->suffix_slots ? HN_OK : HN_ERR_MEMORY;
}

void hn_nfa_free(hn_nfa *nfa) {
    hn_free(nfa->first_edge);
    hn_free(nfa->edges);
    hn_free(nfa->suffix_slots);
}

hn_status hn_nfa_clear(hn_nfa *nfa) {
    nfa->n_states = 0;
    nfa->n_edges = 1;
    nfa->n_suffixes = 0;
    if (nfa->suffix_mask > 4095) { /* the last procedure's table would have to be wiped for each small one */
        hn_free(nfa->suffix_slots);
        nfa->suffix_mask = 255;
        nfa->suffix_slots = hn_alloc((nfa->suffix_mask + 1) * sizeof *nfa->suffix_slots);
        if (!nfa->suffix_slots) return HN_ERR_MEMORY;
    }
    memset(nfa->suffix_slots, 0xFF, (nfa->suffix_mask + 1) * sizeof *nfa->suffix_slots);
    HN_TRY(hn_nfa_state(nfa, &nfa->start));
    return hn_nfa_state(nfa, &nfa->end);
}

hn_status hn_nfa_state(hn_nfa *nfa, int32_t *state) {
    if (nfa->n_states >= HN_GRAMMAR_STATES_MAX) return HN_ERR_LIMIT;
    if (!hn_grow((void **)&nfa->first_edge, &nfa->state_capacity, nfa->n_states + 1, sizeof *nfa->first_edge))
        return HN_ERR_MEMORY;
    nfa->first_edge[nfa->n_states] = 0;
    *state = (int32_t)nfa->n_states++;
    return HN_OK;
}

hn_status hn_nfa_edge_add(hn_nfa *nfa, int32_t from, int32_t target, int32_t call, uint8_t first, uint8_t last) {
    if (nfa->n_edges >= 4 * (size_t)HN_GRAMMAR_STATES_MAX) return HN_ERR_LIMIT;
    if (!hn_grow((void **)&nfa->edges, &nfa->edge_capacity, nfa->n_edges + 1, sizeof *nfa->edges)) return HN_ERR_MEMORY;
    nfa->edges[nfa->n_edges] =
        (hn_nfa_edge){.target = target, .next = nfa->first_edge[from], .call = call, .first = first, .last = last};
    nfa->first_edge[from] = (uint32_t)nfa->n_edges++;
    return HN_OK;
}

static uint64_t suffix_hash(uint8_t first, uint8_t last, int32_t target) {
    uint64_t key = (uint64_t)(uint32_t)target << 16 | (uint64_t)first << 8 | last;
    return (key * 0x9E3779B97F4A7C15ull) >> 20;
}

static hn_status grow_suffixes(hn_nfa *nfa) {
    size_t mask = nfa->suffix_mask * 2 + 1;
    int32_t *slots = hn_alloc((mask + 1) * sizeof *slots);
    if (!slots) return HN_ERR_MEMORY;
    memset(slots, 0xFF, (mask + 1) * sizeof *slots);
    for (size_t i = 0; i <= nfa->suffix_mask; i++) {
        if (nfa->suffix_slots[i] < 0) continue;
        const hn_nfa_edge *e = &nfa->edges[nfa->first_edge[nfa->suffix_slots[i]]];
        size_t at = suffix_hash(e->first, e->last, e->target) & mask;
        while (slots[at] >= 0) at = (at + 1) & mask;
        slots[at] = nfa->suffix_slots[i];
    }
    hn_free(nfa->suffix_slots);
    nfa->suffix_slots = slots;
    nfa->suffix_mask = mask;
    return HN_OK;
}

/* A state that leads on to `target` by these bytes and nowhere else: one that is there, or a new one. */
static hn_status suffix_state(hn_nfa *nfa, uint8_t first, uint8_t last, int32_t target, int32_t *state) {
    size_t at = suffix_hash(first, last, target) & nfa->suffix_mask;
    for (; nfa->suffix_slots[at] >= 0; at = (at + 1) & nfa->suffix_mask) {
        const hn_nfa_edge *e = &nfa->edges[nfa->first_edge[nfa->suffix_slots[at]]];
        if (e->first == first && e->last == last && e->target == target) {
            *state = nfa->suffix_slots[at];
            return HN_OK;
        }
    }
    HN_TRY(hn_nfa_state(nfa, state));
    HN_TRY(hn_nfa_edge_add(nfa, *state, target, HN_NFA_BYTES, first, last));
    nfa->suffix_slots[at] = *state;
    return ++nfa->n_suffixes * 2 > nfa->suffix_mask ? grow_suffixes(nfa) : HN_OK;
}

typedef struct class_target {
    hn_nfa *nfa;
    int32_t from, to;
} class_target;

static hn_status add_sequence(void *context, const hn_byte_sequence *s) {
    class_target *c = context;
    int32_t target = c->to;
    for (int i = s->n - 1; i > 0; i--) HN_TRY(suffix_state(c->nfa, s->first[i], s->last[i], target, &target));
    return hn_nfa_edge_add(c->nfa, c->from, target, HN_NFA_BYTES, s->first[0], s->last[0]);
}

hn_status hn_nfa_class(hn_nfa *nfa, const hn_code_range *ranges, size_t n, int32_t from, int32_t to) {
    class_target target = {nfa, from, to};
    for (size_t i = 0; i < n; i++) HN_TRY(hn_code_range_bytes(ranges[i], add_sequence, &target));
    return HN_OK;
}
