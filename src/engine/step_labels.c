/* Label tries of many cases, scored together; see engine_parts.h.
 *
 * Only nodes with children are computed: a leaf's own output is never needed. Nodes come in preorder, so a chunk that
 * is cut anywhere needs only the path to its first node again; that path is recomputed, with the same bits, instead
 * of being kept for all layers. */
#include "engine/engine_parts.h"

#include <stdio.h>
#include <string.h>

hn_status hn_labels_check(const hn_engine *e, const hn_step_item *item, int first, hn_label_needs *needs,
                          hn_error *err) {
    const hn_label_trie *t = item->labels;
    for (int i = 0; i < t->n_nodes; i++)
        if (t->token[i] >= e->shape->n_vocab)
            return hn_fail(err, HN_ERR_INPUT, "labels", NULL, "token id %d is not in the vocabulary of %d", t->token[i],
                           e->shape->n_vocab);
    if (t->max_depth > HN_LABEL_DEPTH_MAX)
        return hn_fail(err, HN_ERR_LIMIT, "labels", "give shorter wordings", "a label has %d tokens, the limit is %d",
                       t->max_depth, HN_LABEL_DEPTH_MAX);
    if (t->max_depth - 1 > e->context - first)
        return hn_fail(err, HN_ERR_CONTEXT, "labels", "shorten the prompt",
                       "a label of %d tokens does not fit after %d tokens in a context of %d", t->max_depth, first,
                       e->context);
    for (int i = 0; i < t->n_nodes; i++) {
        if (!t->has_child[i]) continue;
        needs->rows++;
        if ((size_t)t->depth[i] + 1 > needs->deepest) needs->deepest = (size_t)t->depth[i] + 1;
    }
    if ((size_t)t->n_nodes > needs->largest) needs->largest = (size_t)t->n_nodes;
    return HN_OK;
}

/* The chunk in the making, beyond what engine->chunk holds. */
typedef struct tree_builder {
    hn_engine *e;
    size_t n_slots, n_starts;
} tree_builder;

static int first_position(const hn_entry *entry) {
    return entry->item->sequence->length + (entry->item->n_tokens > 0 ? entry->item->n_tokens : 0);
}

static void run_tree_chunk(tree_builder *b) {
    hn_engine *e = b->e;
    if (e->chunk.n_rows) {
        e->chunk.is_tree = true;
        hn_forward(e);
        hn_outputs_gather(e);
        hn_outputs_flush(e);
    }
    e->chunk.n_rows = e->chunk.n_runs = 0;
    b->n_slots = b->n_starts = 0;
}

/* Opens a run for the case in the chunk, with no node in it yet. */
static void open_run(tree_builder *b, const hn_entry *entry) {
    hn_engine *e = b->e;
    int32_t *starts = e->scratch.slot_start + b->n_starts;
    memset(e->node_slot, 0xFF, (size_t)entry->item->labels->n_nodes * sizeof *e->node_slot); /* -1 */
    starts[0] = (int32_t)b->n_slots;
    b->n_starts++;
    e->chunk.runs[e->chunk.n_runs++] = (hn_run){.sequence = entry->item->sequence,
                                                .row = e->chunk.n_rows,
                                                .first = first_position(entry),
                                                .slots = e->scratch.slots,
                                                .slot_start = starts};
}

/* Appends a row for `node`, whose parent is in the run (or is the root). */
static void append_node(tree_builder *b, const hn_label_trie *trie, int node) {
    hn_engine *e = b->e;
    hn_run *run = &e->chunk.runs[e->chunk.n_runs - 1];
    int32_t *slots = e->scratch.slots;
    int slot = run->n_rows++, parent = trie->parent[node], depth = trie->depth[node];
    if (parent >= 0)
        memcpy(slots + b->n_slots, slots + run->slot_start[e->node_slot[parent]], (size_t)depth * sizeof *slots);
    slots[b->n_slots + (size_t)depth] = slot;
    b->n_slots += (size_t)depth + 1;
    e->scratch.slot_start[b->n_starts++] = (int32_t)b->n_slots;
    e->node_slot[node] = slot;
    e->chunk.ids[e->chunk.n_rows] = trie->token[node];
    e->chunk.positions[e->chunk.n_rows++] = run->first + depth;
}

static bool run_is_open(const hn_engine *e, const hn_entry *entry) {
    return e->chunk.n_runs > 0 && e->chunk.runs[e->chunk.n_runs - 1].sequence == entry->item->sequence;
}

static void add_node(tree_builder *b, hn_entry *entry, int node) {
    hn_engine *e = b->e;
    const hn_label_trie *trie = entry->item->labels;
    int path[HN_LABEL_DEPTH_MAX], n = 0;
    if (e->chunk.n_rows == HN_CHUNK_ROWS) run_tree_chunk(b);
    if (!run_is_open(e, entry)) open_run(b, entry);
    /* Longer than one only at a chunk's start, where the depth limit makes it fit. */
    for (int at = node; at >= 0 && e->node_slot[at] < 0; at = trie->parent[at]) path[n++] = at;
    while (n > 0) append_node(b, trie, path[--n]);
    hn_outputs_want(e, entry, e->chunk.n_rows - 1, node);
}

static void sum_labels(const hn_entry *entry) {
    const hn_label_trie *t = entry->item->labels;
    for (int i = 0; i < t->n_nodes; i++)
        entry->node_sums[i] = (t->parent[i] < 0 ? 0 : entry->node_sums[t->parent[i]]) + (double)entry->node_logprobs[i];
    for (int i = 0; i < t->n_labels; i++) entry->item->label_logprobs[i] = entry->node_sums[t->end_node[i]];
}

void hn_labels_run(hn_engine *e, size_t n_entries) {
    tree_builder b = {.e = e};
    for (size_t i = 0; i < n_entries; i++)
        if (e->entries[i].item->want == HN_WANT_LABELS)
            hn_outputs_want_hidden(e, &e->entries[i], e->entries[i].item->sequence->hidden, -1);
    hn_outputs_flush(e);
    e->chunk.n_rows = e->chunk.n_runs = 0;
    for (size_t i = 0; i < n_entries; i++) {
        hn_entry *entry = &e->entries[i];
        if (entry->item->want != HN_WANT_LABELS) continue;
        for (int node = 0; node < entry->item->labels->n_nodes; node++)
            if (entry->item->labels->has_child[node]) add_node(&b, entry, node);
    }
    run_tree_chunk(&b);
    for (size_t i = 0; i < n_entries; i++)
        if (e->entries[i].item->want == HN_WANT_LABELS) sum_labels(&e->entries[i]);
}
