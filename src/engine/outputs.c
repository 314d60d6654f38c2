/* From hidden states to what was asked for; see engine_parts.h. Logits exist for one tile of rows at a time, never
 * for all. */
#include "engine/engine_parts.h"

#include <math.h>
#include <string.h>

void hn_outputs_want(hn_engine *e, hn_entry *entry, int row, int index) {
    e->wanted[e->n_wanted++] = (hn_wanted){.entry = entry, .row = row, .index = index};
}

static float *hidden_at(const hn_engine *e, int place) {
    return e->scratch.h + (size_t)place * (size_t)e->shape->n_embd;
}

static void normalise(const hn_engine *e, float *out, int row) {
    const float *x = e->scratch.x + (size_t)row * (size_t)e->shape->n_embd;
    e->kernels->rmsnorm(out, x, e->weights.output_norm, 1, e->shape->n_embd, e->shape->norm_eps);
}

void hn_outputs_gather(hn_engine *e) {
    for (int i = 0; i < e->n_wanted; i++) normalise(e, hidden_at(e, i), e->wanted[i].row);
}

void hn_outputs_want_hidden(hn_engine *e, hn_entry *entry, const float *hidden, int index) {
    if (e->n_wanted == e->scratch.rows || e->n_wanted == HN_CHUNK_ROWS) hn_outputs_flush(e);
    memcpy(hidden_at(e, e->n_wanted), hidden, (size_t)e->shape->n_embd * sizeof *hidden);
    hn_outputs_want(e, entry, -1, index);
}

/* Order of the top list: larger first, ties to the lower id. */
static bool ranks_before(hn_token_logprob a, hn_token_logprob b) {
    return a.logprob > b.logprob || (a.logprob == b.logprob && a.id < b.id);
}

/* Sinks the item at i so that the root of the heap is the one that ranks last. */
static void sink(hn_token_logprob *heap, int n, int i) {
    hn_token_logprob moved = heap[i];
    for (int child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && ranks_before(heap[child], heap[child + 1])) child++;
        if (!ranks_before(moved, heap[child])) break;
        heap[i] = heap[child];
    }
    heap[i] = moved;
}

/* The n_top largest of the logits, as log-probabilities, most likely first. NaN ranks last of all. */
static void top_of(const float *logits, int n_vocab, double logsumexp, hn_token_logprob *top, int n_top) {
    for (int i = 0; i < n_top; i++) top[i] = (hn_token_logprob){i, isnan(logits[i]) ? -INFINITY : logits[i]};
    for (int i = n_top / 2; i-- > 0;) sink(top, n_top, i);
    for (int i = n_top; i < n_vocab; i++) {
        if (!(logits[i] > top[0].logprob)) continue; /* an equal one has the higher id */
        top[0] = (hn_token_logprob){i, logits[i]};
        sink(top, n_top, 0);
    }
    for (int n = n_top; n > 1; n--) {
        hn_token_logprob last = top[0];
        top[0] = top[n - 1];
        sink(top, n - 1, 0);
        top[n - 1] = last;
    }
    for (int i = 0; i < n_top; i++) top[i].logprob = (float)((double)top[i].logprob - logsumexp);
}

static void finish_logprobs(const hn_engine *e, const hn_step_item *item, int t, const float *logits) {
    double logsumexp = e->kernels->logsumexp(logits, (size_t)e->shape->n_vocab, NULL);
    if (item->targets) {
        int32_t target = item->targets[t];
        item->target_logprobs[t] = target < 0 ? NAN : (float)((double)logits[target] - logsumexp);
    }
    if (item->n_top > 0)
        top_of(logits, e->shape->n_vocab, logsumexp, item->top + (size_t)t * (size_t)item->n_top, item->n_top);
}

static void finish_labels(const hn_engine *e, const hn_entry *entry, int node, const float *logits) {
    const hn_label_trie *trie = entry->item->labels;
    double logsumexp = e->kernels->logsumexp(logits, (size_t)e->shape->n_vocab, NULL);
    for (int i = trie->child_start[node + 1]; i < trie->child_start[node + 2]; i++) {
        int child = trie->child[i];
        entry->node_logprobs[child] = (float)((double)logits[trie->token[child]] - logsumexp);
    }
}

typedef struct tile_job {
    hn_engine *e;
    int first, n_rows;
} tile_job;

static void finish_rows(void *arg, int thread, int n_threads) {
    tile_job *job = arg;
    const hn_engine *e = job->e;
    size_t from, to, V = (size_t)e->shape->n_vocab, stride = hn_logits_stride(e->shape);
    hn_share((size_t)job->n_rows, 1, thread, n_threads, &from, &to);
    for (size_t r = from; r < to; r++) {
        const hn_wanted *w = &e->wanted[(size_t)job->first + r];
        const float *logits = e->scratch.logits + r * stride;
        if (w->entry->item->want == HN_WANT_LOGITS)
            memcpy(w->entry->item->logits, logits, V * sizeof *logits);
        else if (w->entry->item->want == HN_WANT_LOGPROBS)
            finish_logprobs(e, w->entry->item, w->index, logits);
        else
            finish_labels(e, w->entry, w->index, logits);
    }
}

void hn_outputs_flush(hn_engine *e) {
    for (int first = 0; first < e->n_wanted; first += e->scratch.logits_rows) {
        int left = e->n_wanted - first;
        tile_job job = {e, first, left < e->scratch.logits_rows ? left : e->scratch.logits_rows};
        hn_matmul(e->kernels, e->pool, e->scratch.logits, (int64_t)hn_logits_stride(e->shape), hidden_at(e, first), 0,
                  &e->weights.output, job.n_rows, e->scratch.matmul);
        if (job.n_rows == 1)
            finish_rows(&job, 0, 1);
        else
            hn_pool_run(e->pool, finish_rows, &job);
    }
    e->n_wanted = 0;
}

/* Adds the run's rows, in order, to the item's sum; `h` past the listed rows is free, as pooled rows are not listed. */
static void add_pooled(hn_engine *e, hn_entry *entry, const hn_run *run) {
    float *state = hidden_at(e, e->n_wanted);
    for (int r = 0; r < run->n_rows; r++) {
        normalise(e, state, run->row + r);
        for (int i = 0; i < e->shape->n_embd; i++) entry->pooled_sum[i] += (double)state[i];
    }
}

void hn_outputs_of_chunk(hn_engine *e) {
    for (int r = 0; r < e->chunk.n_runs; r++) {
        const hn_run *run = &e->chunk.runs[r];
        hn_entry *entry = e->entry_of_run[r];
        const hn_step_item *item = entry->item;
        int t = run->first - entry->start, last = run->row + run->n_rows - 1;
        bool ends = t + run->n_rows == entry->n_tokens;
        if (item->want == HN_WANT_LOGPROBS && (item->targets || item->n_top > 0))
            for (int i = 0; i < run->n_rows; i++) hn_outputs_want(e, entry, run->row + i, t + i);
        if (item->want == HN_WANT_LOGITS && ends) hn_outputs_want(e, entry, last, entry->n_tokens - 1);
        if (ends) normalise(e, item->sequence->hidden, last);
    }
    hn_outputs_gather(e);
    for (int r = 0; r < e->chunk.n_runs; r++)
        if (e->entry_of_run[r]->item->want == HN_WANT_POOLED) add_pooled(e, e->entry_of_run[r], &e->chunk.runs[r]);
    hn_outputs_flush(e);
}
