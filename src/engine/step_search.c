/* Searches of label tries, many cases at once; see label_search.h for what is computed and why, engine_parts.h for the
 * rest.
 *
 * Each round asks every case that is not finished for the nodes that it needs next and computes them together, so that
 * products stay large. A node's keys and values of all layers stay until the wave ends: none is computed twice. Room for
 * every node is secured beforehand, as nothing fails once computing began; it is filled from its start on, and what is never
 * written is never really taken. Surprise: cases that do not fit HN_SEARCH_BYTES together run in waves, one after another. */
#include "base/alloc.h"
#include "engine/engine_parts.h"

#include <math.h>
#include <string.h>

enum {
    ROUND_ROWS = 16, /* with fewer rows in a round, nodes are computed ahead of their turn: they cost next to nothing */
    PICKS_MAX = 64,  /* nodes of one case in a round */
    ALIGN = 64,
};

size_t hn_search_node_bytes(const hn_engine *e) {
    return 2 * (size_t)e->shape->n_layers *
           hn_kv_row_bytes(e->attention.kv_type, e->shape->n_kv_heads, e->shape->head_size);
}

hn_status hn_searches_reserve(hn_engine *e, size_t n_entries, const hn_label_needs *needs, hn_error *err) {
    size_t node_bytes = hn_search_node_bytes(e), most = HN_SEARCH_BYTES / node_bytes;
    size_t rows = needs->kept_rows < most ? needs->kept_rows : most;
    if (needs->search_bytes == 0) return HN_OK;
    if (!hn_grow((void **)&e->searches, &e->searches_capacity, needs->search_bytes, 1))
        return hn_fail_memory(err, needs->search_bytes);
    if (rows > e->kept_rows) { /* small pages on purpose: most of it is never touched */
        void *memory = hn_alloc(rows * node_bytes + ALIGN);
        if (!memory) return hn_fail_memory(err, rows * node_bytes + ALIGN);
        hn_free(e->kept_memory);
        e->kept_memory = memory;
        e->kept = (unsigned char *)memory + (ALIGN - (uintptr_t)memory % ALIGN) % ALIGN;
        e->kept_rows = rows;
    }
    unsigned char *memory = e->searches;
    for (size_t i = 0; i < n_entries; i++) {
        hn_entry *entry = &e->entries[i];
        if (entry->item->want != HN_WANT_LABELS || !entry->searches) continue;
        const hn_label_trie *t = entry->item->labels;
        hn_label_search_init(&entry->search, t, entry->item->label_mode, entry->item->label_log_priors, NULL, memory);
        memory += hn_label_search_bytes(t);
        entry->slot_of = (int32_t *)(void *)memory;
        memory += ((size_t)t->n_nodes + 1) / 2 * 2 * sizeof(int32_t);
    }
    return HN_OK;
}

/* The cases from `first` on that fit the memory together; where the next wave begins. */
static size_t begin_wave(hn_engine *e, size_t first, size_t n_entries) {
    size_t rows = 0, i = first;
    e->kept_used = 0;
    for (; i < n_entries; i++) {
        hn_entry *entry = &e->entries[i];
        if (!entry->searches) continue;
        rows += (size_t)entry->n_inner;
        if (rows > e->kept_rows) break;
        entry->search.logprobs = entry->node_logprobs;
        hn_label_search_start(&entry->search);
    }
    return i;
}

static void finish(hn_entry *entry) {
    hn_step_item *item = entry->item;
    item->label_open_share = hn_label_search_result(&entry->search, item->label_logprobs, item->label_is_bound);
    item->label_n_computed = entry->search.n_expanded;
    entry->searches = false; /* out of the rounds */
    for (int i = 0; i < item->labels->n_nodes && item->label_token_logprobs; i++)
        if (!hn_label_search_knows(&entry->search, i)) item->label_token_logprobs[i] = NAN;
}

/* Puts the case's next nodes into the chunk. */
static void add_picks(hn_tree_builder *b, hn_entry *entry, int least) {
    hn_engine *e = b->e;
    int32_t nodes[PICKS_MAX];
    int n = hn_label_search_pick(&entry->search, least, PICKS_MAX, nodes);
    for (int i = 0; i < n; i++) {
        if (e->chunk.n_rows == HN_CHUNK_ROWS) hn_tree_run_chunk(b);
        if (i == 0 || e->chunk.n_rows == 0) hn_tree_open_run(b, entry);
        hn_tree_append(b, entry->item->labels, nodes[i], entry->slot_of);
        if (++e->kept_used > e->kept_most) e->kept_most = e->kept_used;
        hn_outputs_want(e, entry, e->chunk.n_rows - 1, nodes[i]);
        hn_label_search_computed(&entry->search, nodes[i]);
    }
}

/* Rounds until every case of the wave is finished. */
static void run_wave(hn_engine *e, size_t from, size_t to) {
    hn_tree_builder b = {.e = e};
    for (;;) {
        int n_open = 0;
        for (size_t i = from; i < to; i++) {
            hn_entry *entry = &e->entries[i];
            if (!entry->searches) continue;
            if (hn_label_search_advance(&entry->search))
                finish(entry);
            else
                n_open++;
        }
        if (n_open == 0) return;
        int few = (ROUND_ROWS + n_open - 1) / n_open;
        for (size_t i = from; i < to; i++) {
            hn_entry *entry = &e->entries[i];
            if (entry->searches) add_picks(&b, entry, few > PICKS_MAX ? PICKS_MAX : few);
        }
        hn_tree_run_chunk(&b);
    }
}

void hn_searches_run(hn_engine *e, size_t n_entries) {
    e->chunk.n_rows = e->chunk.n_runs = 0;
    for (size_t at = 0; at < n_entries;) {
        size_t end = begin_wave(e, at, n_entries);
        run_wave(e, at, end);
        at = end;
    }
}
