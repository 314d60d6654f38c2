/* A procedure's automaton made deterministic: states become sets of states, as in the usual subset construction, with
 * calls as letters beside the bytes. Where that needs too many sets (the classic (a|b)*a(a|b)(a|b)...), the sets are not
 * joined: each move keeps its own target, and matching follows several states at once. */
#include "engine/grammar_parts.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

enum { TABLES_MAX = 1 << 14, TABLE_RANGES = 6, MEMBERS_MAX = 1 << 24 };

typedef struct set {
    uint32_t first, n; /* members */
} set;

typedef struct subsets {
    const hn_nfa *nfa;
    const hn_call_symbol *symbols;
    hn_grammar *g;
    int32_t procedure;
    bool is_split; /* sets are not joined */
    size_t sets_max;
    uint8_t *useful; /* per state: the end can be reached */
    uint32_t *seen;  /* per state: stamp of the closure that met it last */
    uint32_t stamp;
    int32_t *stack;   /* per state */
    int32_t *members; /* of all sets */
    set *sets;        /* set i is state base + i */
    int32_t *slots;
    const hn_nfa_edge **moves, **calls; /* of the set in work */
    size_t n_members, n_sets, member_capacity, set_capacity, slot_mask, base;
    size_t n_moves, n_calls, move_capacity, call_capacity;
    int32_t *targets;
    size_t target_capacity;
} subsets;

/* --- which states lead to the end --- */

static hn_status find_useful(subsets *s) {
    const hn_nfa *nfa = s->nfa;
    size_t n = nfa->n_states, top = 0;
    uint32_t *first = hn_calloc(n + 2, sizeof *first);
    int32_t *from = hn_calloc(nfa->n_edges, sizeof *from);
    if (!first || !from) {
        hn_free(first);
        hn_free(from);
        return HN_ERR_MEMORY;
    }
    for (size_t i = 1; i < nfa->n_edges; i++) first[nfa->edges[i].target + 2]++;
    for (size_t i = 0; i < n; i++) first[i + 2] += first[i + 1];
    for (size_t i = 0; i < n; i++)
        for (uint32_t e = nfa->first_edge[i]; e; e = nfa->edges[e].next)
            from[first[nfa->edges[e].target + 1]++] = (int32_t)i;
    s->useful[nfa->end] = 1;
    s->stack[top++] = nfa->end;
    while (top > 0) {
        int32_t state = s->stack[--top];
        for (uint32_t k = first[state]; k < first[state + 1]; k++) {
            if (s->useful[from[k]]) continue;
            s->useful[from[k]] = 1;
            s->stack[top++] = from[k];
        }
    }
    hn_free(first);
    hn_free(from);
    return HN_OK;
}

/* --- sets --- */

static int by_number(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Writes the states that empty moves lead to, those that matter (with a byte, a call, or the end), behind the members. */
static hn_status close_set(subsets *s, const int32_t *seeds, size_t n_seeds, size_t *n_out) {
    size_t top = 0, n = 0;
    s->stamp++;
    for (size_t i = 0; i < n_seeds; i++)
        if (s->useful[seeds[i]] && s->seen[seeds[i]] != s->stamp) {
            s->seen[seeds[i]] = s->stamp;
            s->stack[top++] = seeds[i];
        }
    while (top > 0) {
        int32_t state = s->stack[--top];
        bool matters = state == s->nfa->end;
        for (uint32_t e = s->nfa->first_edge[state]; e; e = s->nfa->edges[e].next) {
            const hn_nfa_edge *edge = &s->nfa->edges[e];
            if (!s->useful[edge->target]) continue;
            if (edge->call != HN_NFA_EMPTY) {
                matters = true;
            } else if (s->seen[edge->target] != s->stamp) {
                s->seen[edge->target] = s->stamp;
                s->stack[top++] = edge->target;
            }
        }
        if (!matters) continue;
        if (!hn_grow((void **)&s->members, &s->member_capacity, s->n_members + n + 1, sizeof *s->members))
            return HN_ERR_MEMORY;
        s->members[s->n_members + n++] = state;
    }
    int32_t *found = s->members + s->n_members;
    if (n > 1) qsort(found, n, sizeof *found, by_number);
    *n_out = n;
    return HN_OK;
}

static hn_status grow_slots(subsets *s) {
    size_t mask = s->slot_mask * 2 + 1;
    int32_t *slots = hn_alloc((mask + 1) * sizeof *slots);
    if (!slots) return HN_ERR_MEMORY;
    memset(slots, 0xFF, (mask + 1) * sizeof *slots);
    for (size_t i = 1; i < s->n_sets; i++) { /* the start has no way in: it is never looked up */
        size_t at = hn_hash64(s->members + s->sets[i].first, s->sets[i].n * sizeof *s->members, 0) & mask;
        while (slots[at] >= 0) at = (at + 1) & mask;
        slots[at] = (int32_t)i;
    }
    hn_free(s->slots);
    s->slots = slots;
    s->slot_mask = mask;
    return HN_OK;
}

static hn_status new_set(subsets *s, size_t n, int32_t *index) {
    bool returns = false;
    if (s->n_sets >= s->sets_max || s->n_members + n > MEMBERS_MAX) return HN_ERR_LIMIT;
    if (!hn_grow((void **)&s->sets, &s->set_capacity, s->n_sets + 1, sizeof *s->sets) ||
        !hn_grow((void **)&s->g->states, &s->g->state_capacity, s->g->n_states + 1, sizeof *s->g->states))
        return HN_ERR_MEMORY;
    for (size_t i = 0; i < n; i++) returns |= s->members[s->n_members + i] == s->nfa->end;
    *index = (int32_t)s->n_sets;
    s->sets[s->n_sets++] = (set){(uint32_t)s->n_members, (uint32_t)n};
    s->n_members += n;
    s->g->states[s->g->n_states++] =
        (hn_gstate){.table = -1,
                    .procedure = s->procedure,
                    .flags = (returns && *index > 0 ? HN_GSTATE_RETURNS : 0u) | (s->is_split ? HN_GSTATE_MANY : 0u)};
    return HN_OK;
}

/* The state for where these lead; *state -1: nowhere. */
static hn_status state_for(subsets *s, const int32_t *seeds, size_t n_seeds, int32_t *state) {
    size_t n;
    int32_t index;
    *state = -1;
    HN_TRY(close_set(s, seeds, n_seeds, &n));
    if (n == 0) return HN_OK;
    const int32_t *found = s->members + s->n_members;
    size_t at = hn_hash64(found, n * sizeof *found, 0) & s->slot_mask;
    for (; s->slots[at] >= 0; at = (at + 1) & s->slot_mask) {
        const set *have = &s->sets[s->slots[at]];
        if (have->n == n && memcmp(s->members + have->first, found, n * sizeof *found) == 0) {
            *state = (int32_t)s->base + s->slots[at];
            return HN_OK;
        }
    }
    HN_TRY(new_set(s, n, &index));
    s->slots[at] = index;
    *state = (int32_t)s->base + index;
    return s->n_sets * 2 > s->slot_mask ? grow_slots(s) : HN_OK;
}

/* --- a set's moves --- */

static hn_status add_range(subsets *s, uint32_t from, uint8_t first, uint8_t last, int32_t target) {
    hn_grammar *g = s->g;
    if (target < 0) return HN_OK;
    if (!s->is_split && g->n_ranges > from) {
        hn_grange *before = &g->ranges[g->n_ranges - 1];
        if (before->target == target && before->last + 1 == first) {
            before->last = last;
            return HN_OK;
        }
    }
    if (g->n_ranges >= 4 * (size_t)HN_GRAMMAR_STATES_MAX) return HN_ERR_LIMIT;
    if (!hn_grow((void **)&g->ranges, &g->range_capacity, g->n_ranges + 1, sizeof *g->ranges)) return HN_ERR_MEMORY;
    g->ranges[g->n_ranges++] = (hn_grange){first, last, target};
    return HN_OK;
}

static int by_first_byte(const void *a, const void *b) {
    const hn_grange *x = a, *y = b;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    if (x->last != y->last) return x->last < y->last ? -1 : 1;
    return (x->target > y->target) - (x->target < y->target);
}

static hn_status add_split_moves(subsets *s, uint32_t from) {
    hn_grammar *g = s->g;
    for (size_t i = 0; i < s->n_moves; i++) {
        int32_t target;
        HN_TRY(state_for(s, &s->moves[i]->target, 1, &target));
        HN_TRY(add_range(s, from, s->moves[i]->first, s->moves[i]->last, target));
    }
    if (g->n_ranges == from) return HN_OK;
    qsort(g->ranges + from, g->n_ranges - from, sizeof *g->ranges, by_first_byte);
    size_t n = from + 1;
    for (size_t i = n; i < g->n_ranges; i++)
        if (by_first_byte(&g->ranges[i], &g->ranges[n - 1]) != 0) g->ranges[n++] = g->ranges[i];
    g->n_ranges = n;
    return HN_OK;
}

/* The bytes cut where a range begins or ends; for each piece (by its first byte) the targets of all ranges over it. */
static hn_status sort_targets(subsets *s, bool cut[257], uint32_t first[257]) {
    size_t n = 0;
    uint32_t counts[257] = {0};
    for (size_t i = 0; i < s->n_moves; i++) cut[s->moves[i]->first] = cut[s->moves[i]->last + 1] = true;
    for (size_t i = 0; i < s->n_moves; i++)
        for (int byte = s->moves[i]->first; byte <= s->moves[i]->last; byte++) counts[byte] += cut[byte];
    for (int byte = 0; byte < 256; byte++) {
        first[byte] = (uint32_t)n;
        n += counts[byte];
        counts[byte] = first[byte];
    }
    first[256] = (uint32_t)n;
    if (n > UINT32_MAX / 2) return HN_ERR_LIMIT;
    if (!hn_grow((void **)&s->targets, &s->target_capacity, n + 1, sizeof *s->targets)) return HN_ERR_MEMORY;
    for (size_t i = 0; i < s->n_moves; i++)
        for (int byte = s->moves[i]->first; byte <= s->moves[i]->last; byte++)
            if (cut[byte]) s->targets[counts[byte]++] = s->moves[i]->target;
    return HN_OK;
}

static hn_status add_moves(subsets *s, uint32_t from) {
    bool cut[257] = {false};
    uint32_t first[257];
    HN_TRY(sort_targets(s, cut, first));
    for (int byte = 0; byte < 256;) {
        int end = byte + 1;
        int32_t target;
        while (end < 256 && !cut[end]) end++;
        if (first[byte + 1] > first[byte]) {
            HN_TRY(state_for(s, s->targets + first[byte], first[byte + 1] - first[byte], &target));
            HN_TRY(add_range(s, from, (uint8_t)byte, (uint8_t)(end - 1), target));
        }
        byte = end;
    }
    return HN_OK;
}

static int by_symbol(const void *a, const void *b) {
    const hn_nfa_edge *x = *(const hn_nfa_edge *const *)a, *y = *(const hn_nfa_edge *const *)b;
    return x->call != y->call ? (x->call < y->call ? -1 : 1) : (x->target > y->target) - (x->target < y->target);
}

static hn_status add_calls(subsets *s) {
    hn_grammar *g = s->g;
    if (s->n_calls > 1) qsort(s->calls, s->n_calls, sizeof *s->calls, by_symbol);
    if (!hn_grow((void **)&s->targets, &s->target_capacity, s->n_calls + 1, sizeof *s->targets)) return HN_ERR_MEMORY;
    for (size_t i = 0; i < s->n_calls;) {
        const hn_call_symbol *symbol = &s->symbols[s->calls[i]->call];
        size_t n = 0, end = i;
        int32_t target;
        for (; end < s->n_calls && s->calls[end]->call == s->calls[i]->call && (n == 0 || !s->is_split); end++)
            s->targets[n++] = s->calls[end]->target;
        HN_TRY(state_for(s, s->targets, n, &target));
        i = end;
        if (target < 0) continue;
        if (!hn_grow((void **)&g->calls, &g->call_capacity, g->n_calls + 1, sizeof *g->calls)) return HN_ERR_MEMORY;
        g->calls[g->n_calls++] =
            (hn_gcall){.procedure = symbol->procedure, .next = target, .min = symbol->min, .max = symbol->max};
    }
    return HN_OK;
}

static hn_status gather(subsets *s, const set *which) {
    s->n_moves = s->n_calls = 0;
    for (uint32_t i = 0; i < which->n; i++) {
        for (uint32_t e = s->nfa->first_edge[s->members[which->first + i]]; e; e = s->nfa->edges[e].next) {
            const hn_nfa_edge *edge = &s->nfa->edges[e];
            if (edge->call == HN_NFA_EMPTY || !s->useful[edge->target]) continue;
            if (edge->call == HN_NFA_BYTES) {
                if (!hn_grow((void **)&s->moves, &s->move_capacity, s->n_moves + 1, sizeof *s->moves))
                    return HN_ERR_MEMORY;
                s->moves[s->n_moves++] = edge;
            } else {
                if (!hn_grow((void **)&s->calls, &s->call_capacity, s->n_calls + 1, sizeof *s->calls))
                    return HN_ERR_MEMORY;
                s->calls[s->n_calls++] = edge;
            }
        }
    }
    return HN_OK;
}

static hn_status add_table(hn_grammar *g, hn_gstate *state) {
    if (state->n_ranges <= TABLE_RANGES || (state->flags & HN_GSTATE_MANY) || g->n_tables >= TABLES_MAX) return HN_OK;
    if (!hn_grow((void **)&g->tables, &g->table_capacity, (g->n_tables + 1) * 256, sizeof *g->tables))
        return HN_ERR_MEMORY;
    int32_t *table = g->tables + g->n_tables * 256;
    memset(table, 0xFF, 256 * sizeof *table);
    for (uint32_t i = 0; i < state->n_ranges; i++) {
        const hn_grange *r = &g->ranges[state->first_range + i];
        for (int byte = r->first; byte <= r->last; byte++) table[byte] = r->target;
    }
    state->table = (int32_t)g->n_tables++;
    return HN_OK;
}

static hn_status build(subsets *s) {
    hn_grammar *g = s->g;
    size_t n;
    int32_t index;
    memset(s->slots, 0xFF, (s->slot_mask + 1) * sizeof *s->slots);
    HN_TRY(close_set(s, &s->nfa->start, 1, &n));
    HN_TRY(new_set(s, n, &index));
    for (size_t i = 0; i < s->n_sets; i++) {
        uint32_t first_range = (uint32_t)g->n_ranges, first_call = (uint32_t)g->n_calls;
        HN_TRY(gather(s, &s->sets[i]));
        HN_TRY(s->is_split ? add_split_moves(s, first_range) : add_moves(s, first_range));
        HN_TRY(add_calls(s));
        hn_gstate *state = &g->states[s->base + i];
        state->first_range = first_range;
        state->n_ranges = (uint32_t)g->n_ranges - first_range;
        state->first_call = first_call;
        state->n_calls = (uint32_t)g->n_calls - first_call;
        HN_TRY(add_table(g, state));
    }
    return HN_OK;
}

static hn_status build_either_way(subsets *s) {
    hn_grammar *g = s->g;
    size_t n = s->nfa->n_states, n_ranges = g->n_ranges, n_calls = g->n_calls, n_tables = g->n_tables;
    s->useful = hn_calloc(n, 1);
    s->seen = hn_calloc(n, sizeof *s->seen);
    s->stack = hn_calloc(n, sizeof *s->stack);
    s->slot_mask = 63;
    s->slots = hn_alloc((s->slot_mask + 1) * sizeof *s->slots);
    if (!s->useful || !s->seen || !s->stack || !s->slots) return HN_ERR_MEMORY;
    HN_TRY(find_useful(s));
    s->sets_max = 1000 + 4 * n;
    hn_status st = build(s);
    if (st != HN_ERR_LIMIT) return st;
    g->n_states = s->base;
    g->n_ranges = n_ranges;
    g->n_calls = n_calls;
    g->n_tables = n_tables;
    s->n_sets = s->n_members = 0;
    s->is_split = true;
    s->sets_max = HN_GRAMMAR_STATES_MAX;
    return build(s);
}

hn_status hn_nfa_to_states(const hn_nfa *nfa, const hn_call_symbol *symbols, int32_t procedure, hn_grammar *g,
                           int32_t *start, hn_error *err) {
    subsets s = {.nfa = nfa, .symbols = symbols, .g = g, .procedure = procedure, .base = g->n_states};
    hn_status st = build_either_way(&s);
    *start = (int32_t)s.base;
    if (st == HN_OK && g->n_states > HN_GRAMMAR_STATES_MAX)
        st = hn_fail(err, HN_ERR_LIMIT, "grammar", "make the grammar smaller", "it needs %zu states, the limit is %d",
                     g->n_states, HN_GRAMMAR_STATES_MAX);
    hn_free(s.useful);
    hn_free(s.seen);
    hn_free(s.stack);
    hn_free(s.members);
    hn_free(s.sets);
    hn_free(s.slots);
    hn_free(s.moves);
    hn_free(s.calls);
    hn_free(s.targets);
    return st;
}
