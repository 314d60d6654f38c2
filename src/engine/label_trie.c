/* Building a label trie; see label_trie.h. The labels are sorted by their ids, so that nodes come in preorder: a
 * node's whole subtree follows it, which lets the engine cut a big tree into pieces with short paths to recompute. */
#include "engine/label_trie.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LABELS_MAX = 1 << 20, NODES_MAX = 1 << 26 };

typedef struct sorted_label {
    const int32_t *ids;
    int n, index;
} sorted_label;

static int by_ids(const void *a, const void *b) {
    const sorted_label *x = a, *y = b;
    for (int i = 0; i < x->n && i < y->n; i++)
        if (x->ids[i] != y->ids[i]) return x->ids[i] < y->ids[i] ? -1 : 1;
    if (x->n != y->n) return x->n < y->n ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

static int shared_prefix(const sorted_label *a, const sorted_label *b) {
    int n = 0;
    while (n < a->n && n < b->n && a->ids[n] == b->ids[n]) n++;
    return n;
}

static hn_status check(const hn_label_ids *labels, int n_labels, size_t *n_tokens, int *longest, hn_error *err) {
    *n_tokens = 0;
    *longest = 0;
    if (n_labels < 1 || n_labels > LABELS_MAX)
        return hn_fail(err, HN_ERR_INPUT, "labels", NULL, "there must be from 1 to %d labels, there are %d", LABELS_MAX,
                       n_labels);
    for (int i = 0; i < n_labels; i++) {
        char where[32];
        snprintf(where, sizeof where, "label %d", i);
        if (labels[i].n < 1)
            return hn_fail(err, HN_ERR_INPUT, where, "give each label at least one token", "the label has no tokens");
        for (int k = 0; k < labels[i].n; k++)
            if (labels[i].ids[k] < 0)
                return hn_fail(err, HN_ERR_INPUT, where, NULL, "token id %d cannot be", labels[i].ids[k]);
        *n_tokens += (size_t)labels[i].n;
        if (labels[i].n > *longest) *longest = labels[i].n;
        if (*n_tokens > NODES_MAX)
            return hn_fail(err, HN_ERR_LIMIT, where, NULL, "the labels have more than %d tokens", NODES_MAX);
    }
    return HN_OK;
}

static hn_status allocate(hn_label_trie *t, size_t n_nodes, hn_error *err) {
    size_t total = 7 * n_nodes + 2 + (size_t)t->n_labels;
    int32_t *memory = hn_calloc(total, sizeof *memory);
    if (!memory) return hn_fail_memory(err, total * sizeof *memory);
    t->token = memory;
    t->parent = memory + n_nodes;
    t->depth = memory + 2 * n_nodes;
    t->has_child = memory + 3 * n_nodes;
    t->child = memory + 4 * n_nodes;
    t->child_start = memory + 5 * n_nodes; /* (n_nodes + 2) */
    t->label = memory + 6 * n_nodes + 2;
    t->end_node = memory + 7 * n_nodes + 2;
    return HN_OK;
}

/* Lists each node's children in order: child[child_start[p + 1] .. child_start[p + 2]), p = -1 being the root. */
static void index_children(hn_label_trie *t) {
    int32_t *start = t->child_start;
    for (int i = 0; i < t->n_nodes; i++) start[t->parent[i] + 2]++;
    for (int p = 1; p <= t->n_nodes + 1; p++) start[p] += start[p - 1];
    for (int i = 0; i < t->n_nodes; i++) t->child[start[t->parent[i] + 1]++] = i;
    for (int p = t->n_nodes + 1; p > 0; p--) start[p] = start[p - 1];
    start[0] = 0;
}

static hn_status add_nodes(hn_label_trie *t, const sorted_label *sorted, int32_t *path, hn_error *err) {
    for (int i = 0; i < t->n_labels; i++) {
        const sorted_label *label = &sorted[i];
        int from = i ? shared_prefix(&sorted[i - 1], label) : 0;
        if (from == label->n)
            return hn_fail(err, HN_ERR_INPUT, "labels", "give one of them another wording",
                           "labels %d and %d have the same tokens and could not be told apart", sorted[i - 1].index,
                           label->index);
        for (int d = from; d < label->n; d++) {
            int node = t->n_nodes++;
            t->token[node] = label->ids[d];
            t->parent[node] = d ? path[d - 1] : -1;
            t->depth[node] = d;
            t->label[node] = -1;
            if (d) t->has_child[path[d - 1]] = 1;
            path[d] = node;
        }
        t->end_node[label->index] = path[label->n - 1];
        t->label[path[label->n - 1]] = label->index;
    }
    return HN_OK;
}

static size_t count_nodes(const sorted_label *sorted, int n_labels) {
    size_t n = 0;
    for (int i = 0; i < n_labels; i++) n += (size_t)(sorted[i].n - (i ? shared_prefix(&sorted[i - 1], &sorted[i]) : 0));
    return n;
}

hn_status hn_label_trie_create(const hn_label_ids *labels, int n_labels, hn_label_trie **trie, hn_error *err) {
    size_t n_tokens;
    int longest;
    *trie = NULL;
    HN_TRY(check(labels, n_labels, &n_tokens, &longest, err));
    hn_label_trie *t = hn_calloc(1, sizeof *t);
    sorted_label *sorted = hn_calloc((size_t)n_labels, sizeof *sorted);
    int32_t *path = hn_calloc((size_t)longest, sizeof *path);
    hn_status st = t && sorted && path ? HN_OK : hn_fail_memory(err, (size_t)n_labels * sizeof *sorted);
    if (st == HN_OK) {
        for (int i = 0; i < n_labels; i++) sorted[i] = (sorted_label){labels[i].ids, labels[i].n, i};
        qsort(sorted, (size_t)n_labels, sizeof *sorted, by_ids);
        t->n_labels = n_labels;
        t->max_depth = longest;
        st = allocate(t, count_nodes(sorted, n_labels), err);
    }
    if (st == HN_OK) st = add_nodes(t, sorted, path, err);
    if (st == HN_OK) index_children(t);
    hn_free(sorted);
    hn_free(path);
    if (st != HN_OK)
        hn_label_trie_free(t);
    else
        *trie = t;
    return st;
}

void hn_label_trie_free(hn_label_trie *trie) {
    if (!trie) return;
    hn_free(trie->token); /* one block holds all arrays */
    hn_free(trie);
}
