/* How attention's work is cut into parts, and rows with a target taken out of all rows and put back; see network_parts.h.
 *
 * Without a prefix a part is one sequence and one key head. Behind a prefix, sequences go in HN_PREFIX_SHARES parts for each key head, so that each
 * part adds to gradients of the prefix's keys that are its own; the shares are summed afterwards, in one order. The prefix's own rows are a part more. */
#include "train/network_parts.h"

#include <string.h>

static int shares_of(const hn_network *n) {
    const hn_train_batch *b = n->batch;
    return b->prefix_rows && b->n_sequences > HN_PREFIX_SHARES ? HN_PREFIX_SHARES : b->n_sequences;
}

int hn_attention_parts(const hn_network *n) {
    return n->shape.n_kv_heads * (shares_of(n) + (n->batch->prefix_rows > 0));
}

hn_attention_part hn_attention_part_at(const hn_network *n, int i) {
    int KV = n->shape.n_kv_heads, shares = shares_of(n), share = i / KV;
    if (share == shares) return (hn_attention_part){.kv = i % KV, .from = -1, .to = 0};
    int64_t count = n->batch->n_sequences;
    return (hn_attention_part){.kv = i % KV,
                               .share = n->batch->prefix_rows ? share : 0,
                               .from = (int)(count * share / shares),
                               .to = (int)(count * (share + 1) / shares)};
}

hn_learn_sequence hn_attention_sequence(const hn_network *n, const hn_layer_memory *m, int s, size_t *first) {
    const hn_train_batch *b = n->batch;
    size_t Q = (size_t)(n->shape.n_heads * n->shape.head_size), KV = (size_t)(n->shape.n_kv_heads * n->shape.head_size),
           from = *first = s < 0 ? 0 : (size_t)b->starts[s];
    bool behind = s >= 0 && b->prefix_rows > 0;
    return (hn_learn_sequence){.q = m->q + from * Q,
                               .k = m->k + from * KV,
                               .v = m->v + from * KV,
                               .prefix_k = behind ? m->k : NULL,
                               .prefix_v = behind ? m->v : NULL,
                               .n = s < 0 ? b->prefix_rows : hn_sequence_rows(b, s),
                               .n_prefix = behind ? b->prefix_rows : 0};
}

int hn_network_batch_row(const hn_network *n, size_t i) {
    return n->active < n->batch->n_rows ? n->supervised[i] : (int)i;
}

void hn_network_gather(const hn_network *n, float *to, const float *from, size_t width) {
    for (int i = 0; i < n->n_supervised; i++)
        memcpy(to + (size_t)i * width, from + (size_t)n->supervised[i] * width, width * sizeof(float));
}

void hn_network_scatter(const hn_network *n, float *to, const float *from, size_t width) {
    memset(to, 0, (size_t)n->batch->n_rows * width * sizeof(float));
    for (int i = 0; i < n->n_supervised; i++)
        memcpy(to + (size_t)n->supervised[i] * width, from + (size_t)i * width, width * sizeof(float));
}
