/* Memory of a training; see tune_memory.h. */
#include "lifecycle/tune/tune_memory.h"

#include "base/str.h"

#include <string.h>

enum { PIECE_ROWS = 1024, LOSS_ROWS = 192 };

typedef struct sizes {
    uint64_t matrices, embedding, norms, adapters; /* numbers */
} sizes;

static sizes count(const hn_shape *s, const hn_network_options *o) {
    const uint64_t C = (uint64_t)s->n_embd, F = (uint64_t)s->n_ff, Q = (uint64_t)s->n_heads * (uint64_t)s->head_size,
                   KV = (uint64_t)s->n_kv_heads * (uint64_t)s->head_size, r = (uint64_t)o->lora_rank;
    const uint64_t out[] = {Q, KV, KV, C, F, F, C}, in[] = {C, C, C, Q, C, C, F};
    sizes n = {.embedding = (uint64_t)s->n_vocab * C, .norms = C};
    for (int l = 0; l < s->n_layers; l++) {
        n.norms += 2 * C;
        for (int i = 0; i < 7; i++) {
            n.matrices += out[i] * in[i];
            if (!o->lora_targets || o->lora_targets & 1u << i)
                n.adapters += r * (out[i] + in[i]) + (o->dora ? out[i] : 0);
        }
    }
    return n;
}

/* What network_parts.h keeps of each row: a layer's memory, then what all layers share. */
static uint64_t row_floats(const hn_shape *s, const hn_network_options *o, bool packs) {
    const uint64_t C = (uint64_t)s->n_embd, F = (uint64_t)s->n_ff, Q = (uint64_t)s->n_heads * (uint64_t)s->head_size,
                   KV = (uint64_t)s->n_kv_heads * (uint64_t)s->head_size, r = (uint64_t)o->lora_rank;
    uint64_t wide = C + 2 * Q + 2 * KV + 2 * F, low = (uint64_t)s->n_heads + 7 * r; /* kept_activations.c */
    uint64_t layer = C + (o->checkpoint ? 0 : low + (packs ? wide / 2 : wide));
    uint64_t shared = 4 * C + 2 * Q + 2 * KV + 4 * F + 3 * (uint64_t)s->head_size / 2 + r;
    uint64_t widest = F > Q ? F : Q; /* masked inputs, and DoRA's directions */
    if (widest < C) widest = C;
    shared += widest * ((o->dropout > 0) + (uint64_t)o->dora);
    if (o->checkpoint || packs) shared += wide + low;
    return layer * (uint64_t)s->n_layers + shared;
}

hn_tune_memory hn_tune_memory_estimate(const hn_shape *s, const hn_network_options *o, bool packs, uint64_t rows) {
    sizes n = count(s, o);
    uint64_t frozen = n.matrices + (s->tied ? 1 : 2) * n.embedding,
             learns = o->lora_rank ? n.adapters : frozen + n.norms;
    hn_tune_memory m = {.serving = 2 * frozen};
    if (o->lora_rank) m.weights = packs ? 4 * (n.matrices + n.embedding) + 4 * n.norms : 4 * (frozen + n.norms);
    m.weights += 4 * learns;
    m.learning = 12 * learns;
    m.activations = 4 * (rows * row_floats(s, o, packs) + LOSS_ROWS * ((uint64_t)s->n_vocab + 2 * (uint64_t)s->n_embd));
    return m;
}

uint64_t hn_tune_memory_sum(const hn_tune_memory *m) { return m->weights + m->learning + m->activations + m->serving; }

static hn_status refuse(const hn_training *t, const hn_tune_memory *m, int rows, hn_error *err) {
    char all[32], limit[32], weights[32], learning[32], activations[32], serving[32];
    hn_format_bytes(hn_tune_memory_sum(m), all);
    hn_format_bytes(t->setup->options.memory_bytes, limit);
    hn_format_bytes(m->weights, weights);
    hn_format_bytes(m->learning, learning);
    hn_format_bytes(m->activations, activations);
    hn_format_bytes(m->serving, serving);
    return hn_fail(err, HN_ERR_LIMIT, "--memory-limit",
                   "raise it, take a smaller model, a lower --rank or a smaller --max-length, or --method lora",
                   "training would take %s and may take %s: weights %s, gradients and moments %s, activations of %d "
                   "tokens at once %s, the model that answers dev %s",
                   all, limit, weights, learning, rows, activations, serving);
}

hn_status hn_tune_memory_fit(hn_training *t, hn_network_options *o, const hn_kernels *kernels, hn_error *err) {
    int longest = t->held.longest > t->examples.longest ? t->held.longest : t->examples.longest;
    longest *= (int)t->examples.unit; /* what belongs together stands in one piece */
    bool packs = o->lora_rank > 0 && !o->f32 && strstr(kernels->name, "bf16");
    const hn_shape *shape = hn_model_shape(t->base.model);
    t->max_rows = longest > PIECE_ROWS ? longest : PIECE_ROWS;
    uint64_t limit = t->setup->options.memory_bytes;
    if (!limit) return HN_OK;
    const hn_tune_options *options = &t->setup->options;
    uint64_t step = (uint64_t)options->batch * (uint64_t)options->accumulate * (uint64_t)longest;
    if (step < (uint64_t)t->max_rows) t->max_rows = step > (uint64_t)longest ? (int)step : longest;
    for (;; t->max_rows = t->max_rows / 2 > longest ? t->max_rows / 2 : longest) {
        hn_tune_memory m = hn_tune_memory_estimate(shape, o, packs, (uint64_t)t->max_rows);
        if (hn_tune_memory_sum(&m) <= limit) return HN_OK;
        if (t->max_rows == longest && !o->checkpoint) {
            o->checkpoint = true; /* the same bits, slower */
            continue;
        }
        if (t->max_rows == longest) return refuse(t, &m, longest, err);
    }
}
