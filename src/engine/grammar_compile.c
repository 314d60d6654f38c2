/* Nodes to procedures; see grammar_parts.h. What is decided here: which nodes can match the empty text or any text at all,
 * which rules are small enough to be written out where they are used, which repeats are counted, and that no rule calls
 * itself before it has taken a byte. */
#include "engine/grammar_parts.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

enum {
    CAN_BE_EMPTY = 1,
    CAN_END = 2,
    INLINE_COST = 8,   /* rules up to this size are written out in place: blanks between tokens, one digit */
    UNROLL_NARROW = 64 /* repeats of a few characters are written out up to this many */
};

typedef struct procedure {
    hn_grammar_node node;
    int32_t rule;         /* the rule that it is, or is part of; -1: the root */
    int32_t first_symbol; /* calls of it; -1: none */
} procedure;

typedef struct compiler {
    const hn_grammar_builder *b;
    hn_grammar *g;
    hn_nfa nfa;
    uint8_t *facts;        /* per node */
    int32_t *procedure_of; /* per node; -1: none */
    procedure *procedures;
    size_t n_procedures, procedure_capacity;
    hn_call_symbol *symbols;
    int32_t *next_symbol; /* of the same procedure */
    size_t n_symbols, symbol_capacity, next_capacity;
    int32_t rule; /* of the procedure that is being made */
} compiler;

/* --- what is true of nodes: each becomes true once enough of its parts are, which is told to its parents --- */

typedef struct solver {
    uint32_t *missing; /* parts that must still become true */
    uint32_t *parents; /* of node i: parents[first[i]] ... */
    uint32_t *first;   /* (n + 1) */
    int32_t *queue;
} solver;

static void parts_of(const hn_grammar_builder *b, size_t i, const int32_t **parts, size_t *n, int32_t *one) {
    const hn_gnode *node = &b->nodes[i];
    *n = 0;
    *parts = one;
    if (node->kind == HN_GNODE_SEQUENCE || node->kind == HN_GNODE_CHOICE) {
        *parts = b->children + node->first;
        *n = node->n;
    } else if (node->kind == HN_GNODE_REPEAT || node->kind == HN_GNODE_RULE) {
        *one = node->kind == HN_GNODE_REPEAT ? (int32_t)node->first : b->rules[node->first].body;
        *n = 1;
    }
}

static bool link_parents(const hn_grammar_builder *b, solver *s) {
    size_t n_links = 0, n;
    const int32_t *parts;
    int32_t one;
    for (size_t i = 0; i < b->n_nodes; i++) {
        parts_of(b, i, &parts, &n, &one);
        for (size_t k = 0; k < n; k++) s->first[parts[k] + 1]++;
        n_links += n;
    }
    s->parents = hn_alloc((n_links + 1) * sizeof *s->parents);
    if (!s->parents) return false;
    for (size_t i = 0; i < b->n_nodes; i++) s->first[i + 1] += s->first[i];
    for (size_t i = b->n_nodes;
         i-- > 0;) { /* fills from the end of each list, so `first` is used as a cursor and put back */
        parts_of(b, i, &parts, &n, &one);
        for (size_t k = 0; k < n; k++) s->parents[--s->first[parts[k] + 1]] = (uint32_t)i;
    }
    memmove(s->first, s->first + 1, b->n_nodes * sizeof *s->first);
    s->first[b->n_nodes] = (uint32_t)n_links;
    return true;
}

static uint32_t parts_missing(const hn_gnode *node, unsigned fact) {
    switch (node->kind) {
    case HN_GNODE_EMPTY: return 0;
    case HN_GNODE_NOTHING: return UINT32_MAX;
    case HN_GNODE_BYTES:
    case HN_GNODE_CLASS: return fact == CAN_END ? 0 : UINT32_MAX;
    case HN_GNODE_SEQUENCE: return node->n;
    case HN_GNODE_REPEAT: return node->min == 0 ? 0 : 1;
    default: return 1;
    }
}

static void solve(compiler *c, solver *s, unsigned fact) {
    size_t head = 0, tail = 0;
    for (size_t i = 0; i < c->b->n_nodes; i++) {
        s->missing[i] = parts_missing(&c->b->nodes[i], fact);
        if (s->missing[i] == 0) s->queue[tail++] = (int32_t)i;
    }
    while (head < tail) {
        int32_t node = s->queue[head++];
        c->facts[node] |= (uint8_t)fact;
        for (uint32_t k = s->first[node]; k < s->first[node + 1]; k++) {
            uint32_t parent = s->parents[k];
            if (s->missing[parent] == 0 || s->missing[parent] == UINT32_MAX) continue;
            if (--s->missing[parent] == 0) s->queue[tail++] = (int32_t)parent;
        }
    }
}

static hn_status find_facts(compiler *c) {
    size_t n = c->b->n_nodes;
    solver s = {.missing = hn_calloc(n, sizeof *s.missing),
                .first = hn_calloc(n + 2, sizeof *s.first),
                .queue = hn_calloc(n, sizeof *s.queue)};
    bool fine = s.missing && s.first && s.queue && link_parents(c->b, &s);
    if (fine) {
        solve(c, &s, CAN_BE_EMPTY);
        solve(c, &s, CAN_END);
    }
    hn_free(s.missing);
    hn_free(s.first);
    hn_free(s.queue);
    hn_free(s.parents);
    return fine ? HN_OK : HN_ERR_MEMORY;
}

/* --- how a node is written out --- */

static bool is_narrow(const hn_grammar_builder *b, const hn_gnode *node) {
    uint32_t n = 0;
    if (node->kind != HN_GNODE_CLASS || node->n > 16) return false;
    for (uint32_t i = 0; i < node->n; i++) {
        n += b->ranges[node->first + i].last - b->ranges[node->first + i].first + 1;
        if (n > 16) return false;
    }
    return true;
}

static int cost(const hn_grammar_builder *b, hn_grammar_node id, int budget);

/* Written out `max` times; otherwise counted. The budget falls from a part to its parts, so that recursion ends. */
static bool is_unrolled(const hn_grammar_builder *b, const hn_gnode *repeat, int budget) {
    int32_t times = repeat->max == HN_GRAMMAR_NO_LIMIT ? repeat->min : repeat->max;
    if (times <= 1) return true;
    if (times > UNROLL_NARROW) return false;
    if (is_narrow(b, &b->nodes[repeat->first])) return true;
    if (budget < 1) return false;
    int each = cost(b, (hn_grammar_node)repeat->first, budget - 1);
    return each * times <= budget;
}

/* About how many states a node takes; past the budget: any number above it. Rules cost one more than their bodies, so recursion ends. */
static int cost(const hn_grammar_builder *b, hn_grammar_node id, int budget) {
    const hn_gnode *node = &b->nodes[id];
    int total = 0;
    switch (node->kind) {
    case HN_GNODE_EMPTY:
    case HN_GNODE_NOTHING: return 0;
    case HN_GNODE_BYTES: return node->n > (uint32_t)budget ? budget + 1 : (int)node->n;
    case HN_GNODE_CLASS: return node->n > 8 ? budget + 1 : 1;
    case HN_GNODE_SEQUENCE:
    case HN_GNODE_CHOICE:
        for (uint32_t i = 0; i < node->n && total <= budget; i++)
            total += cost(b, b->children[node->first + i], budget - total);
        return total;
    case HN_GNODE_REPEAT:
        if (!is_unrolled(b, node, budget)) return budget + 1;
        total = budget < 1 ? 1 : cost(b, (hn_grammar_node)node->first, budget - 1);
        return total > budget || node->max <= 1 ? total + 1 : total * node->max;
    case HN_GNODE_RULE: return budget < 1 ? budget + 1 : 1 + cost(b, b->rules[node->first].body, budget - 1);
    }
    return budget + 1;
}

static hn_status procedure_for(compiler *c, hn_grammar_node node, int32_t rule, int32_t *index) {
    *index = c->procedure_of[node];
    if (*index >= 0) return HN_OK;
    if (!hn_grow((void **)&c->procedures, &c->procedure_capacity, c->n_procedures + 1, sizeof *c->procedures))
        return HN_ERR_MEMORY;
    *index = c->procedure_of[node] = (int32_t)c->n_procedures;
    c->procedures[c->n_procedures++] = (procedure){.node = node, .rule = rule, .first_symbol = -1};
    return HN_OK;
}

static hn_status call_symbol(compiler *c, int32_t index, int32_t min, int32_t max, int32_t *symbol) {
    for (int32_t s = c->procedures[index].first_symbol; s >= 0; s = c->next_symbol[s])
        if (c->symbols[s].min == min && c->symbols[s].max == max) {
            *symbol = s;
            return HN_OK;
        }
    if (!hn_grow((void **)&c->symbols, &c->symbol_capacity, c->n_symbols + 1, sizeof *c->symbols) ||
        !hn_grow((void **)&c->next_symbol, &c->next_capacity, c->n_symbols + 1, sizeof *c->next_symbol))
        return HN_ERR_MEMORY;
    *symbol = (int32_t)c->n_symbols;
    c->symbols[c->n_symbols] = (hn_call_symbol){.procedure = index, .min = min, .max = max};
    c->next_symbol[c->n_symbols++] = c->procedures[index].first_symbol;
    c->procedures[index].first_symbol = *symbol;
    return HN_OK;
}

static hn_status add_empty(compiler *c, int32_t from, int32_t to) {
    return hn_nfa_edge_add(&c->nfa, from, to, HN_NFA_EMPTY, 0, 0);
}

static hn_status add_call(compiler *c, hn_grammar_node node, int32_t rule, int32_t min, int32_t max, int32_t from,
                          int32_t to) {
    int32_t index, symbol;
    if (c->facts[node] & CAN_BE_EMPTY) {
        min = 1;
        HN_TRY(add_empty(c, from, to));
    }
    HN_TRY(procedure_for(c, node, rule, &index));
    HN_TRY(call_symbol(c, index, min, max, &symbol));
    return hn_nfa_edge_add(&c->nfa, from, to, symbol, 0, 0);
}

static hn_status add_node(compiler *c, hn_grammar_node id, int32_t from, int32_t to);

static hn_status add_bytes(compiler *c, const hn_gnode *node, int32_t from, int32_t to) {
    for (uint32_t i = 0; i < node->n; i++) {
        uint8_t byte = (uint8_t)c->b->bytes[node->first + i];
        int32_t next = to;
        if (i + 1 < node->n) HN_TRY(hn_nfa_state(&c->nfa, &next));
        HN_TRY(hn_nfa_edge_add(&c->nfa, from, next, HN_NFA_BYTES, byte, byte));
        from = next;
    }
    return HN_OK;
}

static hn_status add_sequence(compiler *c, const hn_gnode *node, int32_t from, int32_t to) {
    for (uint32_t i = 0; i < node->n; i++) {
        int32_t next = to;
        if (i + 1 < node->n) HN_TRY(hn_nfa_state(&c->nfa, &next));
        HN_TRY(add_node(c, c->b->children[node->first + i], from, next));
        from = next;
    }
    return HN_OK;
}

/* Any number of times, zero among them. */
static hn_status add_loop(compiler *c, hn_grammar_node body, int32_t from, int32_t to) {
    int32_t again, done;
    HN_TRY(hn_nfa_state(&c->nfa, &again));
    HN_TRY(hn_nfa_state(&c->nfa, &done));
    HN_TRY(add_empty(c, from, again));
    HN_TRY(add_node(c, body, again, done));
    HN_TRY(add_empty(c, done, again));
    return add_empty(c, again, to);
}

static hn_status add_unrolled(compiler *c, hn_grammar_node body, int32_t min, int32_t max, int32_t from, int32_t to) {
    for (int32_t i = 0; i < max; i++) {
        int32_t next = to;
        if (i >= min) HN_TRY(add_empty(c, from, to));
        if (i + 1 < max) HN_TRY(hn_nfa_state(&c->nfa, &next));
        HN_TRY(add_node(c, body, from, next));
        from = next;
    }
    return HN_OK;
}

static hn_status add_repeat(compiler *c, const hn_gnode *node, int32_t from, int32_t to) {
    hn_grammar_node body = (hn_grammar_node)node->first;
    int32_t min = node->min, max = node->max;
    if (!(c->facts[body] & CAN_END)) return add_empty(c, from, to); /* min is 0, or this repeat could not end either */
    if (max == HN_GRAMMAR_NO_LIMIT) {
        if (min == 0) return add_loop(c, body, from, to);
        int32_t middle;
        HN_TRY(hn_nfa_state(&c->nfa, &middle));
        HN_TRY(add_loop(c, body, middle, to));
        max = min;
        to = middle;
    }
    if (is_unrolled(c->b, node, INLINE_COST)) return add_unrolled(c, body, min, max, from, to);
    if (min == 0) {
        HN_TRY(add_empty(c, from, to));
        min = 1;
    }
    if (c->b->nodes[body].kind == HN_GNODE_RULE) {
        uint32_t rule = c->b->nodes[body].first;
        return add_call(c, c->b->rules[rule].body, (int32_t)rule, min, max, from, to);
    }
    return add_call(c, body, c->rule, min, max, from, to);
}

static hn_status add_rule(compiler *c, const hn_gnode *node, int32_t from, int32_t to) {
    hn_grammar_node body = c->b->rules[node->first].body;
    if (cost(c->b, body, INLINE_COST) <= INLINE_COST) return add_node(c, body, from, to);
    return add_call(c, body, (int32_t)node->first, 1, 1, from, to);
}

static hn_status add_node(compiler *c, hn_grammar_node id, int32_t from, int32_t to) {
    const hn_gnode *node = &c->b->nodes[id];
    if (!(c->facts[id] & CAN_END)) return HN_OK;
    switch (node->kind) {
    case HN_GNODE_EMPTY: return add_empty(c, from, to);
    case HN_GNODE_NOTHING: return HN_OK;
    case HN_GNODE_BYTES: return add_bytes(c, node, from, to);
    case HN_GNODE_CLASS: return hn_nfa_class(&c->nfa, c->b->ranges + node->first, node->n, from, to);
    case HN_GNODE_SEQUENCE: return add_sequence(c, node, from, to);
    case HN_GNODE_CHOICE:
        for (uint32_t i = 0; i < node->n; i++) HN_TRY(add_node(c, c->b->children[node->first + i], from, to));
        return HN_OK;
    case HN_GNODE_REPEAT: return add_repeat(c, node, from, to);
    case HN_GNODE_RULE: return add_rule(c, node, from, to);
    }
    return HN_OK;
}

/* --- left recursion: a circle of calls from the procedures' first states --- */

static const char *name_of(const compiler *c, int32_t index) {
    int32_t rule = c->procedures[index].rule;
    return rule < 0 ? "root" : c->b->rules[rule].name;
}

static hn_status fail_left_recursion(const compiler *c, const int32_t *path, size_t n, hn_error *err) {
    char names[256];
    size_t used = 0;
    names[0] = 0;
    for (size_t i = 0; i < n && used < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i > 0 ? " > " : "", name_of(c, path[i]));
    return hn_fail(
        err, HN_ERR_INPUT, name_of(c, path[0]),
        "write what comes first in front: `sum ::= term (\"+\" term)*` instead of `sum ::= sum \"+\" term | term`",
        "the rule \"%s\" calls itself before any character (%s): left recursion cannot be followed",
        name_of(c, path[0]), names);
}

static hn_status check_recursion(const compiler *c, hn_error *err) {
    const hn_grammar *g = c->g;
    size_t n = g->n_procedures;
    int32_t *path = hn_calloc(n + 1, sizeof *path);
    uint32_t *next_call = hn_calloc(n, sizeof *next_call); /* 0: not met; else 1 + calls followed */
    uint8_t *is_open = hn_calloc(n, 1);
    hn_status st = path && next_call && is_open ? HN_OK : hn_fail_memory(err, n * sizeof *path);
    for (size_t first = 0; first < n && st == HN_OK; first++) {
        size_t depth = 0;
        if (next_call[first] > 0) continue;
        path[depth++] = (int32_t)first;
        next_call[first] = is_open[first] = 1;
        while (depth > 0 && st == HN_OK) {
            int32_t at = path[depth - 1];
            const hn_gstate *s = &g->states[g->starts[at]];
            if (next_call[at] > s->n_calls) {
                is_open[at] = 0;
                depth--;
                continue;
            }
            int32_t callee = g->calls[s->first_call + next_call[at]++ - 1].procedure;
            if (is_open[callee]) {
                size_t from = depth;
                while (path[from - 1] != callee) from--;
                path[depth++] = callee;
                st = fail_left_recursion(c, path + from - 1, depth - from + 1, err);
            } else if (next_call[callee] == 0) {
                next_call[callee] = is_open[callee] = 1;
                path[depth++] = callee;
            }
        }
    }
    hn_free(path);
    hn_free(next_call);
    hn_free(is_open);
    return st;
}

/* --- all together --- */

static hn_status make_procedures(compiler *c, hn_error *err) {
    for (size_t i = 0; i < c->n_procedures; i++) {
        int32_t start;
        c->rule = c->procedures[i].rule;
        HN_TRY(hn_nfa_clear(&c->nfa));
        HN_TRY(add_node(c, c->procedures[i].node, c->nfa.start, c->nfa.end));
        HN_TRY(hn_nfa_to_states(&c->nfa, c->symbols, (int32_t)i, c->g, &start, err));
        if (!hn_grow((void **)&c->g->starts, &c->g->procedure_capacity, i + 1, sizeof *c->g->starts))
            return HN_ERR_MEMORY;
        c->g->starts[c->g->n_procedures++] = start;
    }
    for (size_t i = 0; i < c->g->n_calls; i++) {
        hn_gcall *call = &c->g->calls[i];
        const hn_gstate *next = &c->g->states[call->next];
        call->is_tail =
            call->max == 1 && next->n_ranges == 0 && next->n_calls == 0 && (next->flags & HN_GSTATE_RETURNS);
    }
    return HN_OK;
}

static hn_status compile(compiler *c, hn_grammar_node root, hn_error *err) {
    int32_t index, rule = -1;
    size_t n = c->b->n_nodes;
    c->facts = hn_calloc(n, 1);
    c->procedure_of = hn_alloc(n * sizeof *c->procedure_of);
    if (!c->facts || !c->procedure_of) return HN_ERR_MEMORY;
    memset(c->procedure_of, 0xFF, n * sizeof *c->procedure_of);
    HN_TRY(find_facts(c));
    if (!(c->facts[root] & CAN_END))
        return hn_fail(
            err, HN_ERR_INPUT, "grammar", "give each rule a branch that comes to an end",
            "no text of finite length is in the language: every branch goes on for ever or can never be taken");
    c->g->matches_empty = (c->facts[root] & CAN_BE_EMPTY) != 0;
    for (size_t hops = 0; c->b->nodes[root].kind == HN_GNODE_RULE && hops <= c->b->n_rules; hops++) {
        rule = (int32_t)c->b->nodes[root].first;
        root = c->b->rules[rule].body;
    }
    HN_TRY(hn_nfa_init(&c->nfa));
    HN_TRY(procedure_for(c, root, rule, &index));
    HN_TRY(make_procedures(c, err));
    return check_recursion(c, err);
}

hn_status hn_grammar_compile(hn_grammar_builder *b, hn_grammar_node root, hn_grammar *g, hn_error *err) {
    compiler c = {.b = b, .g = g};
    hn_error why = {0};
    hn_status st = compile(&c, root, &why);
    if (st == HN_ERR_MEMORY) (void)hn_fail_memory(&why, g->state_capacity * sizeof *g->states);
    if (st == HN_ERR_LIMIT && !why.message[0])
        (void)hn_fail(&why, st, "grammar",
                      "make it smaller: fewer alternatives, shorter texts, or repeats with one body",
                      "the grammar needs more than %d states", HN_GRAMMAR_STATES_MAX);
    if (st != HN_OK && err) *err = why;
    hn_nfa_free(&c.nfa);
    hn_free(c.facts);
    hn_free(c.procedure_of);
    hn_free(c.procedures);
    hn_free(c.symbols);
    hn_free(c.next_symbol);
    return st;
}
