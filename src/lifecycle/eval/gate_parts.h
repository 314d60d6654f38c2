/* What the gate's two files share: gate_parse.c makes nodes from text, gate.c works them out.
 *
 *     gate->nodes[gate->root]: HN_GATE_AND, HN_GATE_OR have two children; the others are clauses.
 *
 * Ownership: see gate.h. Threading: one thread. */
#ifndef HN_LIFECYCLE_GATE_PARTS_H
#define HN_LIFECYCLE_GATE_PARTS_H

#include "lifecycle/eval/gate.h"

enum { HN_GATE_NODES_MAX = 200, HN_GATE_DEPTH_MAX = 50, HN_GATE_NAME_MAX = 80 };

typedef enum hn_gate_kind { HN_GATE_AND, HN_GATE_OR, HN_GATE_COMPARE, HN_GATE_VERDICT } hn_gate_kind;
typedef enum hn_gate_end { HN_GATE_VALUE, HN_GATE_LOWER, HN_GATE_UPPER } hn_gate_end;
typedef enum hn_gate_operator { HN_GATE_AT_LEAST, HN_GATE_ABOVE, HN_GATE_AT_MOST, HN_GATE_BELOW } hn_gate_operator;
typedef enum hn_gate_relation { HN_GATE_BETTER, HN_GATE_NOT_WORSE, HN_GATE_SAME } hn_gate_relation;

typedef struct hn_gate_node {
    hn_gate_kind kind;
    int left, right;             /* AND, OR */
    char name[HN_GATE_NAME_MAX]; /* COMPARE: the metric; VERDICT: the reference */
    hn_gate_end end;
    hn_gate_operator comparison;
    double number;
    bool percent; /* the number was written with % */
    hn_gate_relation relation;
    char *text;    /* of a clause, as written */
    size_t column; /* from 1 */
} hn_gate_node;

struct hn_gate {
    char *text;
    hn_gate_node nodes[HN_GATE_NODES_MAX]; /* clauses in the order of the text */
    int n_nodes, root;
};

#endif
