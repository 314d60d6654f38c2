/* The search over a label trie; see label_search.h.
 *
 * Notation: L(x) is the log-likelihood of the path to node x as it is computed (the sum, in double precision, of the
 * nodes' log-probabilities, each rounded to float); a label l that ends at x has score(l) = L(x) - prior(l).
 *
 * Bound on one label. A log-probability is never above 0, so a label's likelihood never exceeds that of its prefix.
 * Computed ones may exceed 0 by rounding; SLACK for each further token is more than that (a float's rounding of
 * logit - ln sum exp, and the sum's own, are below 1e-6). So for every label l below x, which is at most height(x)
 * tokens further:  score(l) <= (L(x) + SLACK height(x)) + max over such l of -prior(l).  Floating-point addition is
 * monotone, so this also holds for the numbers as they are rounded, however large the priors are.
 *
 * BEST. Open nodes are expanded by falling bound. The search ends when the largest bound of an open node is below the
 * best score found: no label below any open node can reach it, nor tie with it. Equal is not enough, since the lower
 * index wins a tie.
 *
 * Bound on a subtree. Children of x hold at most the whole of x: sum over c of P(c|x) <= 1. Let w(l) = exp(-prior(l))
 * and B(x) bound the weight of all labels at or below x given x, sum of w(l) P(l|x). A label that ends at x itself has
 * P = 1; the others lie below the children:  B(x) = w(x) + max over c of B(c), as sum of P(c|x) B(c) <= max of B(c). (A
 * label may be the prefix of another: then both count, and their masses may exceed the prefix's.) `reach` is ln of
 * max B(c), the labels strictly below x: those at x are known exactly once x is open. Rounding is again in SLACK.
 *
 * BOUNDED. Let K be the mass (sum of exp(score)) of the known labels, O the sum of the open nodes' bounds; the mass of
 * the labels not known is some M <= O. Known labels are given p' = a/K, the others 0; the exact ones are a/(K + M), and
 * m/(K + M) with m <= the bound U of their subtree. So the errors are at most  p' M/(K + M) <= p' O/(K + O)  and
 * m/(K + m + ..) <= U/(K + U).  The search ends when both are within the tolerance for the largest p' and the largest
 * U. With every node expanded O = 0. */
#include "engine/label_search.h"

#include <math.h>
#include <string.h>

#define SLACK 1e-5                             /* nat a token */
#define USUAL_LOSS 0.4                         /* nat a token further: what a guess takes off a node's bound */
#define TOLERANCE (HN_LABEL_TOLERANCE * 0.999) /* the sums' own rounding */

enum { STATE_KNOWN = 1, STATE_OPEN = 2, STATE_COMPUTED = 4 };

size_t hn_label_search_bytes(const hn_label_trie *t) {
    size_t n = (size_t)t->n_nodes;
    return (3 * n * sizeof(double) + 2 * n * sizeof(int32_t) + n + 7) / 8 * 8;
}

static double log_add(double a, double b) {
    double high = a > b ? a : b, low = a > b ? b : a;
    return low == -(double)INFINITY ? high : high + log1p(exp(low - high));
}

static double prior_of(const hn_label_search *s, int label) { return s->log_priors ? s->log_priors[label] : 0; }

/* reach and height from the leaves up: in preorder a node comes before all below it. */
static void measure_subtrees(hn_label_search *s) {
    const hn_label_trie *t = s->trie;
    for (int i = 0; i < t->n_nodes; i++) {
        s->reach[i] = -(double)INFINITY;
        s->height[i] = 0;
    }
    for (int i = t->n_nodes; i-- > 0;) {
        int parent = t->parent[i];
        if (parent < 0) continue;
        double here = s->reach[i];
        if (t->label[i] >= 0) {
            double own = -prior_of(s, t->label[i]);
            here = s->mode == HN_LABELS_BEST ? fmax(here, own) : log_add(here, own);
        }
        if (here > s->reach[parent]) s->reach[parent] = here;
        if (s->height[i] + 1 > s->height[parent]) s->height[parent] = s->height[i] + 1;
    }
}

void hn_label_search_init(hn_label_search *s, const hn_label_trie *trie, hn_label_mode mode, const double *log_priors,
                          const float *logprobs, void *memory) {
    size_t n = (size_t)trie->n_nodes;
    *s = (hn_label_search){.trie = trie,
                           .mode = mode,
                           .log_priors = log_priors,
                           .logprobs = logprobs,
                           .best_label = -1,
                           .best_score = -(double)INFINITY,
                           .known_top = -(double)INFINITY};
    s->sum = memory;
    s->reach = s->sum + n;
    s->bound = s->reach + n;
    s->height = (int32_t *)(s->bound + n);
    s->heap = s->height + n;
    s->state = (unsigned char *)(s->heap + n);
    memset(s->state, 0, n);
    measure_subtrees(s);
}

/* ---- the open nodes ---- */

static bool comes_before(const hn_label_search *s, int32_t a, int32_t b) {
    return s->bound[a] > s->bound[b] || (s->bound[a] == s->bound[b] && a < b);
}

static void push(hn_label_search *s, int32_t node) {
    int i = s->n_heap++;
    for (; i > 0 && comes_before(s, node, s->heap[(i - 1) / 2]); i = (i - 1) / 2) s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = node;
}

static int32_t pop(hn_label_search *s) {
    int32_t top = s->heap[0], moved = s->heap[--s->n_heap];
    int i = 0;
    for (int child; (child = 2 * i + 1) < s->n_heap; i = child) {
        if (child + 1 < s->n_heap && comes_before(s, s->heap[child + 1], s->heap[child])) child++;
        if (!comes_before(s, s->heap[child], moved)) break;
        s->heap[i] = s->heap[child];
    }
    if (s->n_heap) s->heap[i] = moved;
    return top;
}

/* ---- one step ---- */

static void learn_label(hn_label_search *s, int label, double sum) {
    double score = sum - prior_of(s, label);
    if (!isfinite(score)) return; /* as hn_label_probabilities: no such label is ever the best, nor has it a mass */
    if (score > s->best_score || s->best_label < 0 || (score == s->best_score && label < s->best_label)) {
        s->best_score = score;
        s->best_label = label;
    }
    if (score > s->known_top) {
        s->known_mass *= exp(s->known_top - score);
        s->known_top = score;
    }
    s->known_mass += exp(score - s->known_top);
}

static void expand(hn_label_search *s, int node) {
    const hn_label_trie *t = s->trie;
    double base = node < 0 ? 0 : s->sum[node];
    s->n_expanded += node >= 0;
    for (int i = t->child_start[node + 1]; i < t->child_start[node + 2]; i++) {
        int32_t child = t->child[i];
        s->sum[child] = base + (double)s->logprobs[child];
        s->state[child] |= STATE_KNOWN;
        if (t->label[child] >= 0) learn_label(s, t->label[child], s->sum[child]);
        if (!t->has_child[child]) continue;
        double bound = (s->sum[child] + SLACK * (double)s->height[child]) + s->reach[child];
        s->bound[child] = isnan(bound) ? -(double)INFINITY : bound;
        s->state[child] |= STATE_OPEN;
        push(s, child);
    }
}

void hn_label_search_start(hn_label_search *s) { expand(s, -1); }

/* Of the open nodes' bounds, as a multiple of exp(known_top). */
static double open_mass(const hn_label_search *s) {
    double mass = 0;
    for (int i = 0; i < s->n_heap; i++) mass += exp(s->bound[s->heap[i]] - s->known_top);
    return mass;
}

static bool is_over(const hn_label_search *s) {
    if (s->n_heap == 0) return true;
    double largest = s->bound[s->heap[0]];
    if (largest == -(double)INFINITY) return true; /* nothing below has any likelihood */
    if (s->mode == HN_LABELS_BEST) return s->best_label >= 0 && largest < s->best_score;
    if (s->best_label < 0) return false;
    double known = s->known_mass, one = exp(largest - s->known_top);
    if (!isfinite(one) || one > TOLERANCE * (known + one)) return false; /* cheap, and as a rule decisive */
    double open = open_mass(s);
    return isfinite(open) && open <= TOLERANCE * (known + open) * known; /* the largest p' is 1/known */
}

bool hn_label_search_advance(hn_label_search *s) {
    while (!is_over(s)) {
        if (!(s->state[s->heap[0]] & STATE_COMPUTED)) return false;
        int32_t node = pop(s);
        s->state[node] &= (unsigned char)~STATE_OPEN;
        expand(s, node);
    }
    return true;
}

void hn_label_search_computed(hn_label_search *s, int node) { s->state[node] |= STATE_COMPUTED; }

/* BEST: nodes with a lower bound are not needed. BOUNDED: nodes with a higher one are, whatever else is found: all
 * labels together can weigh no more than the known ones and the open nodes' bounds. */
static double worth_computing(const hn_label_search *s) {
    if (s->mode == HN_LABELS_BEST) return s->best_score;
    double all = s->best_label < 0 ? -(double)INFINITY : s->known_top + log(s->known_mass);
    for (int i = 0; i < s->n_heap; i++) all = log_add(all, s->bound[s->heap[i]]);
    return all + log(HN_LABEL_TOLERANCE);
}

/* BEST: what the best score will be at the end, by guess: every node above it will be needed. */
static double expected_best(const hn_label_search *s) {
    double best = s->best_score;
    for (int i = 0; i < s->n_heap; i++)
        best = fmax(best, s->bound[s->heap[i]] - USUAL_LOSS * (double)s->height[s->heap[i]]);
    return best;
}

int hn_label_search_pick(const hn_label_search *s, int least, int most, int32_t *nodes) {
    int n = 0, n_likely = 1;
    double matters = worth_computing(s), likely = s->mode == HN_LABELS_BEST ? expected_best(s) : matters;
    nodes[n++] = s->heap[0];
    for (int i = 1; i < s->n_heap && most > 1; i++) {
        int32_t node = s->heap[i];
        if (s->state[node] & STATE_COMPUTED || !(s->bound[node] >= matters)) continue;
        n_likely += s->bound[node] >= likely;
        if (n == most && !comes_before(s, node, nodes[n - 1])) continue;
        int at = n < most ? n++ : n - 1; /* sorted by insertion; the one that is needed stays first */
        for (; at > 1 && comes_before(s, node, nodes[at - 1]); at--) nodes[at] = nodes[at - 1];
        nodes[at] = node;
    }
    int wanted = n_likely > least ? n_likely : least;
    return n < wanted ? n : wanted;
}

bool hn_label_search_knows(const hn_label_search *s, int node) { return s->state[node] & STATE_KNOWN; }

double hn_label_search_result(const hn_label_search *s, double *logprobs, bool *is_bound) {
    const hn_label_trie *t = s->trie;
    for (int l = 0; l < t->n_labels; l++) {
        int node = t->end_node[l];
        while (!(s->state[node] & STATE_KNOWN)) node = t->parent[node]; /* the root's children are known */
        is_bound[l] = node != t->end_node[l];
        logprobs[l] = s->sum[node] + (is_bound[l] ? SLACK * (double)s->height[node] : 0);
    }
    if (s->n_heap == 0) return 0;
    if (s->best_label < 0) return s->bound[s->heap[0]] == -(double)INFINITY ? 0 : 1;
    double open = open_mass(s);
    return isfinite(open) ? open / (s->known_mass + open) : 1;
}
