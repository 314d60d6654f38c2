/* One step: check every item, secure all memory, then compute in chunks and commit; see engine.h. Nothing fails once
 * computing began. */
#include "base/alloc.h"
#include "engine/engine_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static size_t min_size(size_t a, size_t b) { return a < b ? a : b; }

/* What a step needs in all; sums cannot overflow, as each part is limited by memory that exists. */
typedef struct step_needs {
    size_t rows, wanted, hidden_wanted, pointers, doubles, floats;
    hn_label_needs labels;
} step_needs;

static hn_status check_ids(const hn_engine *e, const char *what, const int32_t *ids, int n, int32_t low,
                           hn_error *err) {
    for (int i = 0; i < n; i++)
        if (ids[i] < low || ids[i] >= e->shape->n_vocab)
            return hn_fail(err, HN_ERR_INPUT, what, NULL, "id %d at place %d is not in the vocabulary of %d", ids[i], i,
                           e->shape->n_vocab);
    return HN_OK;
}

static hn_status check_labels(const hn_step_item *item, hn_error *err) {
    bool all = item->label_mode == HN_LABELS_ALL;
    bool known = all || item->label_mode == HN_LABELS_BOUNDED || item->label_mode == HN_LABELS_BEST;
    if (!known || !item->labels || !item->label_logprobs || (!all && !item->label_is_bound))
        return hn_fail(err, HN_ERR_USAGE, "step", NULL,
                       "labels need a known mode, a trie, and places for their values");
    for (int i = 0; !all && item->label_log_priors && i < item->labels->n_labels; i++)
        if (!isfinite(item->label_log_priors[i]))
            return hn_fail(err, HN_ERR_INPUT, "label priors", "leave the prior out, or give finite numbers",
                           "the log-prior of label %d is %g", i, item->label_log_priors[i]);
    return HN_OK;
}

static hn_status check_outputs(const hn_engine *e, const hn_step_item *item, hn_error *err) {
    bool is_set = true;
    switch (item->want) {
    case HN_WANT_NOTHING: break;
    case HN_WANT_LOGITS: is_set = item->logits != NULL; break;
    case HN_WANT_LOGPROBS:
        is_set = (!item->targets || item->target_logprobs) && (item->n_top == 0 || item->top);
        if (item->n_top < 0 || item->n_top > e->shape->n_vocab)
            return hn_fail(err, HN_ERR_USAGE, "top", NULL, "%d tokens of a vocabulary of %d", item->n_top,
                           e->shape->n_vocab);
        if (item->targets) HN_TRY(check_ids(e, "targets", item->targets, item->n_tokens, -1, err));
        break;
    case HN_WANT_LABELS: return check_labels(item, err);
    case HN_WANT_POOLED: is_set = item->pooled != NULL; break;
    default: is_set = false;
    }
    return is_set ? HN_OK
                  : hn_fail(err, HN_ERR_USAGE, "step", NULL,
                            "what is wanted is not known, or there is no place to put it");
}

/* Which tokens are computed, and where they stand. */
static hn_status plan_tokens(const hn_engine *e, hn_entry *entry, hn_error *err) {
    const hn_step_item *item = entry->item;
    const hn_sequence *s = item->sequence;
    int room = e->context - s->length;
    if (item->n_tokens > room)
        return hn_fail(err, HN_ERR_CONTEXT, "tokens",
                       "shorten the text, or use a longer context where the model has one",
                       "%d tokens do not fit: the context holds %d, %d are taken, %d more fit", item->n_tokens,
                       e->context, s->length, room);
    entry->start = s->length;
    entry->n_tokens = item->n_tokens;
    if (item->n_tokens > 0)
        return item->tokens ? check_ids(e, "tokens", item->tokens, item->n_tokens, 0, err)
                            : hn_fail(err, HN_ERR_USAGE, "tokens", NULL, "there are none");
    bool may = item->n_tokens == 0 && s->length > 0 && (item->want == HN_WANT_LABELS || item->want == HN_WANT_LOGITS);
    if (!may)
        return hn_fail(err, HN_ERR_USAGE, "tokens", "give at least one token", "%d tokens cannot give what is wanted",
                       item->n_tokens);
    if (!s->has_hidden) { /* the last token once more: the same bits */
        entry->start = s->length - 1;
        entry->n_tokens = 1;
    }
    return HN_OK;
}

static hn_status plan_entry(hn_engine *e, hn_entry *entry, step_needs *needs, hn_error *err) {
    hn_step_item *item = entry->item;
    hn_sequence *s = item->sequence;
    if (!s || s->engine != e)
        return hn_fail(err, HN_ERR_USAGE, "sequence", NULL, "the sequence is not one of this engine");
    if (s->in_step)
        return hn_fail(err, HN_ERR_USAGE, "sequence", "join its tokens into one item",
                       "a sequence is twice in one step");
    HN_TRY(check_outputs(e, item, err));
    HN_TRY(plan_tokens(e, entry, err));
    s->in_step = true;
    entry->blocks_before = s->n_blocks;
    int end = entry->start + entry->n_tokens;
    needs->rows += (size_t)entry->n_tokens;
    needs->pointers += (size_t)end / HN_KV_BLOCK + 1;
    needs->wanted += item->want == HN_WANT_LOGPROBS ? (size_t)entry->n_tokens : 1;
    needs->hidden_wanted++;
    if (item->want == HN_WANT_POOLED) needs->doubles += (size_t)e->shape->n_embd;
    if (item->want != HN_WANT_LABELS) return HN_OK;
    HN_TRY(hn_labels_check(e, entry, end, &needs->labels, err));
    needs->doubles += (size_t)item->labels->n_nodes;
    if (!item->label_token_logprobs) needs->floats += (size_t)item->labels->n_nodes;
    return HN_OK;
}

static hn_status plan(hn_engine *e, hn_step_item *items, size_t n_items, step_needs *needs, hn_error *err) {
    if (!hn_grow((void **)&e->entries, &e->entries_capacity, n_items, sizeof *e->entries))
        return hn_fail_memory(err, n_items * sizeof *e->entries);
    for (size_t i = 0; i < n_items; i++) {
        e->entries[i] = (hn_entry){.item = &items[i]};
        hn_status st = plan_entry(e, &e->entries[i], needs, err);
        if (st == HN_OK) continue;
        char where[32];
        snprintf(where, sizeof where, "item %zu", i);
        if (n_items > 1) hn_error_prefix(err, where);
        return st;
    }
    return HN_OK;
}

/* Hands each entry its part of the step's sums. */
static void give_sums(hn_engine *e, size_t n_items) {
    double *doubles = e->doubles;
    float *floats = e->floats;
    for (size_t i = 0; i < n_items; i++) {
        hn_entry *entry = &e->entries[i];
        if (entry->item->want == HN_WANT_POOLED) {
            entry->pooled_sum = doubles;
            doubles += e->shape->n_embd;
            memset(entry->pooled_sum, 0, (size_t)e->shape->n_embd * sizeof *doubles);
        }
        if (entry->item->want != HN_WANT_LABELS) continue;
        entry->node_sums = doubles;
        doubles += entry->item->labels->n_nodes;
        entry->node_logprobs = entry->item->label_token_logprobs ? entry->item->label_token_logprobs : floats;
        if (!entry->item->label_token_logprobs) floats += entry->item->labels->n_nodes;
    }
}

static hn_status reserve(hn_engine *e, size_t n_items, const step_needs *needs, hn_error *err) {
    size_t V = (size_t)e->shape->n_vocab, chunk = HN_CHUNK_ROWS;
    size_t tree_rows = min_size(needs->labels.rows, chunk), rows = min_size(needs->rows, chunk);
    if (tree_rows > rows) rows = tree_rows;
    if (min_size(needs->hidden_wanted, chunk) > rows) rows = min_size(needs->hidden_wanted, chunk);
    size_t tile =
        min_size(min_size(needs->wanted + needs->labels.rows, HN_LOGITS_ROWS), HN_LOGITS_BYTES / (V * sizeof(float)));
    HN_TRY(hn_scratch_reserve(e, (int)rows, tile ? (int)tile : 1, needs->pointers, tree_rows * needs->labels.deepest,
                              err));
    if (!hn_grow((void **)&e->doubles, &e->doubles_capacity, needs->doubles, sizeof *e->doubles) ||
        !hn_grow((void **)&e->floats, &e->floats_capacity, needs->floats, sizeof *e->floats) ||
        !hn_grow((void **)&e->node_slot, &e->node_slot_capacity, needs->labels.largest, sizeof *e->node_slot))
        return hn_fail_memory(err, needs->doubles * sizeof *e->doubles + needs->floats * sizeof *e->floats);
    HN_TRY(hn_searches_reserve(e, n_items, &needs->labels, err));
    give_sums(e, n_items);
    for (size_t i = 0; i < n_items; i++) {
        hn_entry *entry = &e->entries[i];
        hn_sequence *s = entry->item->sequence;
        if (entry->n_tokens == 0) continue;
        HN_TRY(hn_sequence_reserve(s, entry->start, entry->n_tokens, err));
        if (entry->item->n_tokens)
            memcpy(s->tokens + entry->start, entry->item->tokens, (size_t)entry->n_tokens * sizeof *s->tokens);
        entry->tokens = s->tokens + entry->start;
    }
    return HN_OK;
}

static void run_chunk(hn_engine *e) {
    e->chunk.is_tree = false;
    hn_forward(e);
    hn_outputs_of_chunk(e);
    e->chunk.n_rows = e->chunk.n_runs = 0;
}

/* All items' tokens, one after another, in chunks of at most HN_CHUNK_ROWS rows. */
static void run_chunks(hn_engine *e, size_t n_items) {
    hn_chunk *c = &e->chunk;
    c->n_rows = c->n_runs = 0;
    for (size_t i = 0; i < n_items; i++) {
        hn_entry *entry = &e->entries[i];
        for (int done = 0; done < entry->n_tokens;) {
            int n = (int)min_size((size_t)(entry->n_tokens - done), (size_t)(HN_CHUNK_ROWS - c->n_rows));
            bool wants_all = entry->item->want == HN_WANT_LOGPROBS || entry->item->want == HN_WANT_POOLED;
            bool ends = done + n == entry->n_tokens; /* each item's last state is kept */
            e->entry_of_run[c->n_runs] = entry;
            c->runs[c->n_runs++] = (hn_run){.sequence = entry->item->sequence,
                                            .row = c->n_rows,
                                            .n_rows = n,
                                            .n_unwanted = wants_all ? 0 : n - ends,
                                            .first = entry->start + done};
            for (int t = 0; t < n; t++) {
                c->ids[c->n_rows] = entry->tokens[done + t];
                c->positions[c->n_rows++] = entry->start + done + t;
            }
            done += n;
            if (c->n_rows == HN_CHUNK_ROWS) run_chunk(e);
        }
    }
    if (c->n_rows) run_chunk(e);
}

/* Logits of sequences whose last state was kept: no token is computed. */
static void run_kept(hn_engine *e, size_t n_items) {
    for (size_t i = 0; i < n_items; i++) {
        hn_entry *entry = &e->entries[i];
        if (entry->n_tokens == 0 && entry->item->want == HN_WANT_LOGITS)
            hn_outputs_want_hidden(e, entry, entry->item->sequence->hidden, 0);
    }
    hn_outputs_flush(e);
}

static void commit(hn_engine *e, size_t n_items) {
    for (size_t i = 0; i < n_items; i++) {
        hn_entry *entry = &e->entries[i];
        hn_sequence *s = entry->item->sequence;
        if (entry->n_tokens) {
            s->length = entry->start + entry->n_tokens;
            s->has_hidden = true;
        }
        for (int c = 0; entry->pooled_sum && c < e->shape->n_embd; c++)
            entry->item->pooled[c] = (float)(entry->pooled_sum[c] / entry->n_tokens);
    }
}

hn_status hn_engine_step(hn_engine *e, hn_step_item *items, size_t n_items, hn_error *err) {
    step_needs needs = {0};
    if (n_items == 0) return HN_OK;
    for (size_t i = 0; i < n_items; i++) /* so that a mark left by nobody is found twice only where it is twice */
        if (items[i].sequence) items[i].sequence->in_step = false;
    hn_status st = plan(e, items, n_items, &needs, err);
    if (st == HN_OK) {
        st = reserve(e, n_items, &needs, err);
        if (st != HN_OK)
            for (size_t i = 0; i < n_items; i++)
                hn_sequence_drop_blocks(items[i].sequence, e->entries[i].blocks_before);
    }
    if (st != HN_OK) return st;
    e->n_wanted = 0;
    run_chunks(e, n_items);
    run_kept(e, n_items);
    if (needs.labels.largest) hn_labels_run(e, n_items);
    commit(e, n_items);
    return HN_OK;
}
