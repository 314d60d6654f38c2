/* A set of labels as a tree of tokens, so that what labels share is computed once.
 *
 *     hn_label_trie *t;
 *     HN_TRY(hn_label_trie_create(labels, n_labels, &t, &err));  // labels[i] = ids, end token included by the caller
 *     ... hn_engine_step with HN_WANT_LABELS ...
 *     hn_label_trie_free(t);
 *
 * Node 0 .. n_nodes-1 in preorder (parents before children, a subtree's nodes together); the root (the prompt's end)
 * is not a node: parent -1. Two labels with the same ids are an error (HN_ERR_INPUT): they could not be told apart.
 * Threading: read-only after creation. */
#ifndef HN_ENGINE_LABEL_TRIE_H
#define HN_ENGINE_LABEL_TRIE_H

#include "base/status.h"

#include <stdint.h>

typedef struct hn_label_ids {
    const int32_t *ids;
    int n;
} hn_label_ids;

typedef struct hn_label_trie {
    int n_nodes, n_labels, max_depth; /* max_depth: tokens of the longest label */
    int32_t *token;                   /* (n_nodes) */
    int32_t *parent;                  /* (n_nodes); -1 is the root */
    int32_t *depth;                   /* (n_nodes); 0 right after the prompt */
    int32_t *has_child;               /* (n_nodes) whether the node's own output is needed: leaves need none */
    int32_t *end_node;                /* (n_labels) the node of each label's last token */
    int32_t *label;                   /* (n_nodes) the label that ends at the node; -1: none */
    int32_t *child,
        *child_start; /* children of p (-1: the root): child[child_start[p + 1]] .. child[child_start[p + 2] - 1] */
} hn_label_trie;

hn_status hn_label_trie_create(const hn_label_ids *labels, int n_labels, hn_label_trie **trie,
                               hn_error *err) HN_MUST_CHECK;
void hn_label_trie_free(hn_label_trie *trie);

#endif
