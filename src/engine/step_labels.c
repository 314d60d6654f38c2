/* Label tries of many cases, scored together; see engine_parts.h.
 *
 * Only nodes with children are computed: a leaf's own output is never needed. Nodes come in preorder, so a chunk that
 * is cut anywhere needs only the path to its first node again; that path is recomputed, with the same bits, instead
 * of being kept for all layers. */
#include "engine/engine_parts.h"

#include <stdio.h>
#include <string.h>

hn_status hn_labels_check(const hn_engine *e, hn_entry *entry, int first, hn_label_needs *needs, hn_error *err) {
    const hn_label_trie *t = entry->item->labels;
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
        entry->n_inner++;
        if ((size_t)t->depth[i] + 1 > needs->deepest) needs->deepest = (size_t)t->depth[i] + 1;
    }
    if ((size_t)t->n_nodes > needs->largest) needs->largest = (size_t)t->n_nodes;
    size_t kept = (size_t)entry->n_inner;
    /* A trie too large to keep is computed as a whole: decided by the case alone, as all that an answer depends on. */
    entry->searches = entry->item->label_mode != HN_LABELS_ALL && kept <= HN_SEARCH_BYTES / hn_search_node_bytes(e);
    if (!entry->searches) return HN_OK;
    needs->search_bytes += hn_label_search_bytes(t) + ((size_t)t->n_nodes + 1) / 2 * 2 * sizeof(int32_t);
    needs->kept_rows += kept;
    return HN_OK;
}

static int first_position(const hn_entry *entry) {
    return entry->item->sequence->length + (entry->item->n_tokens > 0 ? entry->item->n_tokens : 0);
}

void hn_tree_run_chunk(hn_tree_builder *b) {
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

void hn_tree_open_run(hn_tree_builder *b, const hn_entry *entry) {
    hn_engine *e = b->e;
    int32_t *starts = e->scratch.slot_start + b->n_starts;
    starts[0] = (int32_t)b->n_slots;
    b->n_starts++;
    e->chunk.runs[e->chunk.n_runs++] = (hn_run){.sequence = entry->item->sequence,
                                                .row = e->chunk.n_rows,
                                                .first = first_position(entry),
                                                .slots = e->scratch.slots,
                                                .slot_start = starts,
                                                .is_kept = entry->searches,
                                                .first_slot = entry->searches ? (int)e->kept_used : 0};
}

void hn_tree_append(hn_tree_builder *b, const hn_label_trie *trie, int node, int32_t *slot_of) {
    hn_engine *e = b->e;
    hn_run *run = &e->chunk.runs[e->chunk.n_runs - 1];
    int32_t *slots = e->scratch.slots + b->n_slots;
    int slot = run->first_slot + run->n_rows++, depth = trie->depth[node];
    slots[depth] = slot;
    for (int at = trie->parent[node], d = depth; at >= 0; at = trie->parent[at]) slots[--d] = slot_of[at];
    b->n_slots += (size_t)depth + 1;
    e->scratch.slot_start[b->n_starts++] = (int32_t)b->n_slots;
    slot_of[node] = slot;
    e->chunk.ids[e->chunk.n_rows] = trie->token[node];
    e->chunk.positions[e->chunk.n_rows++] = run->first + depth;
}

static bool run_is_open(const hn_engine *e, const hn_entry *entry) {
    return e->chunk.n_runs > 0 && e->chunk.runs[e->chunk.n_runs - 1].sequence == entry->item->sequence;
}

static void add_node(hn_tree_builder *b, hn_entry *entry, int node) {
    hn_engine *e = b->e;
    const hn_label_trie *trie = entry->item->labels;
    int path[HN_LABEL_DEPTH_MAX], n = 0;
    if (e->chunk.n_rows == HN_CHUNK_ROWS) hn_tree_run_chunk(b);
    if (!run_is_open(e, entry)) {
        hn_tree_open_run(b, entry);
        memset(e->node_slot, 0xFF, (size_t)trie->n_nodes * sizeof *e->node_slot); /* -1 */
    }
    /* Longer than one only at a chunk's start, where the depth limit makes it fit. */
    for (int at = node; at >= 0 && e->node_slot[at] < 0; at = trie->parent[at]) path[n++] = at;
    while (n > 0) hn_tree_append(b, trie, path[--n], e->node_slot);
    hn_outputs_want(e, entry, e->chunk.n_rows - 1, node);
}

static void sum_labels(const hn_entry *entry) {
    const hn_label_trie *t = entry->item->labels;
    for (int i = 0; i < t->n_nodes; i++)
        entry->node_sums[i] = (t->parent[i] < 0 ? 0 : entry->node_sums[t->parent[i]]) + (double)entry->node_logprobs[i];
    for (int i = 0; i < t->n_labels; i++) entry->item->label_logprobs[i] = entry->node_sums[t->end_node[i]];
    if (entry->item->label_mode == HN_LABELS_ALL) return;
    memset(entry->item->label_is_bound, 0, (size_t)t->n_labels * sizeof *entry->item->label_is_bound);
    entry->item->label_open_share = 0;
    entry->item->label_n_computed = entry->n_inner;
}

void hn_labels_run(hn_engine *e, size_t n_entries) {
    hn_tree_builder b = {.e = e};
    for (size_t i = 0; i < n_entries; i++)
        if (e->entries[i].item->want == HN_WANT_LABELS)
            hn_outputs_want_hidden(e, &e->entries[i], e->entries[i].item->sequence->hidden, -1);
    hn_outputs_flush(e);
    e->chunk.n_rows = e->chunk.n_runs = 0;
    for (size_t i = 0; i < n_entries; i++) {
        hn_entry *entry = &e->entries[i];
        if (entry->item->want != HN_WANT_LABELS || entry->searches) continue;
        for (int node = 0; node < entry->item->labels->n_nodes; node++)
            if (entry->item->labels->has_child[node]) add_node(&b, entry, node);
    }
    hn_tree_run_chunk(&b);
    for (size_t i = 0; i < n_entries; i++)
        if (e->entries[i].item->want == HN_WANT_LABELS && !e->entries[i].searches) sum_labels(&e->entries[i]);
    hn_searches_run(e, n_entries);
}
