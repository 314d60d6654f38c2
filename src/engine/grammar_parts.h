/* What grammars are made of; shared by the grammar*.c files alone.
 *
 * A builder holds a tree of nodes, equal nodes once. Finishing turns it into procedures (a rule, or the body of a counted
 * repeat), each an automaton over bytes whose states may also call procedures:
 *
 *     state --byte range--> state        state --call p, min to max times--> state        state may be where p returns
 *
 * A procedure never matches the empty text: where its node can, the caller goes around it too. So each call and each
 * round of a repeat takes at least a byte, and following calls always ends. Within a state byte ranges do not overlap,
 * except where making them so would need too many states (HN_GSTATE_MANY).
 *
 * Threading: as grammar.h. */
#ifndef HN_ENGINE_GRAMMAR_PARTS_H
#define HN_ENGINE_GRAMMAR_PARTS_H

#include "base/hash.h"
#include "engine/grammar.h"

/* --- the builder's nodes (grammar.c) --- */

typedef enum hn_gnode_kind {
    HN_GNODE_EMPTY,
    HN_GNODE_NOTHING,
    HN_GNODE_BYTES,    /* first: offset in bytes */
    HN_GNODE_CLASS,    /* first: index in ranges; sorted, apart, no surrogates, at least one */
    HN_GNODE_SEQUENCE, /* first: index in children */
    HN_GNODE_CHOICE,
    HN_GNODE_REPEAT, /* first: the node; min <= max */
    HN_GNODE_RULE    /* first: index in rules */
} hn_gnode_kind;

typedef struct hn_gnode {
    hn_gnode_kind kind;
    uint32_t first, n;
    int32_t min, max; /* HN_GRAMMAR_NO_LIMIT: any number */
    int32_t depth;    /* of nodes below it; rules end it */
} hn_gnode;

typedef struct hn_grule {
    char *name;           /* owned */
    hn_grammar_node body; /* HN_GRAMMAR_BAD: not defined yet */
    hn_grammar_node node; /* the reference to it */
} hn_grule;

/* Neighbouring characters of one general category. */
typedef struct hn_category_run {
    uint32_t first, last;
    int32_t category; /* utf8proc's number */
} hn_category_run;

struct hn_grammar_builder {
    hn_error error;
    bool failed;
    hn_gnode *nodes;
    char *bytes;
    hn_code_range *ranges;
    int32_t *children;
    hn_grule *rules;
    size_t n_nodes, n_bytes, n_ranges, n_children, n_rules;
    size_t node_capacity, byte_capacity, range_capacity, child_capacity, rule_capacity;
    int32_t *node_slots, *rule_slots; /* open addressing; -1: free */
    size_t node_mask, rule_mask;
    hn_category_run *runs; /* of all of Unicode, once a pattern has asked for a category */
    size_t n_runs;
};

enum {
    HN_GRAMMAR_NODES_MAX = 4 << 20,
    HN_GRAMMAR_BYTES_MAX = 64 << 20,
    HN_GRAMMAR_DEPTH_MAX = 5000,
    HN_GRAMMAR_REPEAT_MAX = 1000000000,
    HN_GRAMMAR_STATES_MAX = 1 << 20,
};

/* Records the first error and gives HN_GRAMMAR_BAD. */
hn_grammar_node hn_grammar_bad(hn_grammar_builder *b, hn_status code, const char *where, const char *hint,
                               const char *fmt, ...) HN_PRINTF(5, 6);
/* Sorted, joined, without surrogates, inside Unicode; in place, gives the new number. */
size_t hn_code_ranges_normalize(hn_code_range *ranges, size_t n);
/* Those outside; `out` has room for n + 2. `ranges` must be normalized. */
size_t hn_code_ranges_negate(const hn_code_range *ranges, size_t n, hn_code_range *out);

/* --- characters as bytes (grammar_utf8.c) --- */

typedef struct hn_byte_sequence {
    unsigned char first[4], last[4];
    int n;
} hn_byte_sequence;

/* Calls `each` with the byte sequences whose products are the UTF-8 forms of the range. */
typedef hn_status (*hn_byte_sequence_fn)(void *context, const hn_byte_sequence *sequence);
hn_status hn_code_range_bytes(hn_code_range range, hn_byte_sequence_fn each, void *context) HN_MUST_CHECK;

/* --- a finished grammar --- */

enum {
    HN_GSTATE_RETURNS = 1, /* the procedure may end here */
    HN_GSTATE_MANY = 2,    /* byte ranges may overlap */
};

typedef struct hn_gstate {
    uint32_t first_range, n_ranges; /* sorted by first byte */
    uint32_t first_call, n_calls;
    int32_t table; /* index of 256 targets, or -1 */
    int32_t procedure;
    uint32_t flags;
} hn_gstate;

typedef struct hn_grange {
    uint8_t first, last;
    int32_t target;
} hn_grange;

typedef struct hn_gcall {
    int32_t procedure, next;
    int32_t min, max; /* 1 to max; a plain call is 1 to 1 */
    bool is_tail;     /* a plain call after which nothing is left to do here: no need to come back */
} hn_gcall;

struct hn_grammar {
    hn_gstate *states;
    hn_grange *ranges;
    hn_gcall *calls;
    int32_t *starts; /* of the procedures; 0 is the root's */
    int32_t *tables; /* (n_tables, 256): target or -1 */
    size_t n_states, n_ranges, n_calls, n_procedures, n_tables;
    size_t state_capacity, range_capacity, call_capacity, procedure_capacity, table_capacity;
    bool matches_empty;
    char hash[HN_SHA256_HEX];
};

/* Nodes to states (grammar_compile.c); the builder is complete and every rule defined. */
hn_status hn_grammar_compile(hn_grammar_builder *b, hn_grammar_node root, hn_grammar *g, hn_error *err) HN_MUST_CHECK;

/* --- one procedure's automaton while it is made (grammar_nfa.c), and its states made deterministic --- */

typedef struct hn_nfa_edge {
    int32_t target;
    uint32_t next; /* of the same state; 0: none (edge 0 is not used) */
    int32_t call;  /* index of a call symbol; HN_NFA_BYTES, HN_NFA_EMPTY */
    uint8_t first, last;
} hn_nfa_edge;

enum { HN_NFA_BYTES = -1, HN_NFA_EMPTY = -2 };

/* Which procedure, how many times: calls that agree are one symbol. */
typedef struct hn_call_symbol {
    int32_t procedure, min, max;
} hn_call_symbol;

typedef struct hn_nfa {
    uint32_t *first_edge; /* per state */
    hn_nfa_edge *edges;
    size_t n_states, n_edges, state_capacity, edge_capacity;
    int32_t *suffix_slots; /* states that only lead on by one range, by (range, target); -1: free */
    size_t suffix_mask, n_suffixes;
    int32_t start, end;
} hn_nfa;

hn_status hn_nfa_init(hn_nfa *nfa) HN_MUST_CHECK;
void hn_nfa_free(hn_nfa *nfa);
hn_status hn_nfa_clear(hn_nfa *nfa) HN_MUST_CHECK;
hn_status hn_nfa_state(hn_nfa *nfa, int32_t *state) HN_MUST_CHECK;
hn_status hn_nfa_edge_add(hn_nfa *nfa, int32_t from, int32_t target, int32_t call, uint8_t first,
                          uint8_t last) HN_MUST_CHECK;
/* Adds the characters of the ranges from `from` to `to`. */
hn_status hn_nfa_class(hn_nfa *nfa, const hn_code_range *ranges, size_t n, int32_t from, int32_t to) HN_MUST_CHECK;
/* Appends the procedure's states to the grammar (grammar_states.c); *start: the first of them. */
hn_status hn_nfa_to_states(const hn_nfa *nfa, const hn_call_symbol *symbols, int32_t procedure, hn_grammar *g,
                           int32_t *start, hn_error *err) HN_MUST_CHECK;

#endif
