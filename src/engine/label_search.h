/* Which nodes of a label trie need computing: every one, those that decide the labels' probabilities to within 1e-4,
 * or those that decide the best label.
 *
 *     hn_label_search_init(&s, trie, mode, log_priors, logprobs, memory);   // hn_label_search_bytes(trie) bytes
 *     hn_label_search_start(&s);                       // logprobs of the root's children are there
 *     while (!hn_label_search_advance(&s)) {
 *         int n = hn_label_search_pick(&s, 1, 4, nodes);  // compute these: fill logprobs of their children,
 *         for (i < n) hn_label_search_computed(&s, nodes[i]);
 *     }
 *     hn_label_search_result(&s, label_logprobs, label_is_bound);
 *
 * The outcome is that of a search which computes one node at a time, the one with the largest bound first: nodes that
 * were computed ahead of their turn save rounds and change nothing, so an answer does not depend on its company.
 * Ownership: everything is the caller's. Threading: one search, one thread. */
#ifndef HN_ENGINE_LABEL_SEARCH_H
#define HN_ENGINE_LABEL_SEARCH_H

#include "engine/label_trie.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum hn_label_mode {
    HN_LABELS_ALL = 0, /* every label's log-likelihood */
    HN_LABELS_BOUNDED, /* every label's probability among the labels to within HN_LABEL_TOLERANCE */
    HN_LABELS_BEST,    /* the most likely label, ties to the lower index */
} hn_label_mode;

#define HN_LABEL_TOLERANCE 1e-4

typedef struct hn_label_search {
    const hn_label_trie *trie;
    hn_label_mode mode;
    const double *log_priors; /* (n_labels) subtracted from the labels' log-likelihoods; NULL: none */
    const float *logprobs;    /* (n_nodes) of each node given its path; the caller fills them in */
    double *sum;              /* (n_nodes) of logprobs along the path, where the node is known */
    double *reach;            /* (n_nodes) what the labels below can add to the node's sum at most */
    double *bound;            /* (n_nodes) of open nodes */
    int32_t *height;          /* (n_nodes) tokens of the longest way down to a label */
    int32_t *heap;            /* (n_heap) open nodes, largest bound first, ties to the lower node */
    unsigned char *state;     /* (n_nodes) */
    int n_heap, n_expanded, best_label;
    double best_score;            /* of best_label, prior taken off; -inf: none yet */
    double known_top, known_mass; /* labels known so far: sum of exp(score) = known_mass * exp(known_top) */
} hn_label_search;

size_t hn_label_search_bytes(const hn_label_trie *trie);
/* memory: aligned to 8. log_priors are finite. mode is BOUNDED or BEST. */
void hn_label_search_init(hn_label_search *s, const hn_label_trie *trie, hn_label_mode mode, const double *log_priors,
                          const float *logprobs, void *memory);
void hn_label_search_start(hn_label_search *s);
/* Goes as far as the computed nodes allow; true: the search is over. */
bool hn_label_search_advance(hn_label_search *s);
/* Up to `most` nodes that are not computed: the one that is needed, then those that will likely be, by falling bound;
 * at least `least` (1 <= least <= most) where so many may matter at all. The search is not over. */
int hn_label_search_pick(const hn_label_search *s, int least, int most, int32_t *nodes);
void hn_label_search_computed(hn_label_search *s, int node);
/* After the end. logprobs (n_labels): the exact log-likelihood, or where is_bound says so an upper bound of it. Returns
 * the largest share of all labels' probability that the labels with is_bound can have together. */
double hn_label_search_result(const hn_label_search *s, double *logprobs, bool *is_bound);
/* Whether the outcome knows this node's log-probability. */
bool hn_label_search_knows(const hn_label_search *s, int node);

#endif
