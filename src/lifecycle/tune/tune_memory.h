/* How much memory a training will take, before it takes any.
 *
 *     hn_tune_memory m = hn_tune_memory_estimate(shape, &network_options, packs, rows, n_learned);
 *     if (m.weights + m.learning + m.activations > limit) ...
 *
 * Sizes follow from the shapes alone; tests hold them against what the network then has. Threading: pure. */
#ifndef HN_LIFECYCLE_TUNE_MEMORY_H
#define HN_LIFECYCLE_TUNE_MEMORY_H

#include "lifecycle/tune/tune_training.h"

typedef struct hn_tune_memory {
    uint64_t weights;     /* frozen ones (packed for both directions) or f32 ones */
    uint64_t learning;    /* gradients and the optimizer's two moments */
    uint64_t activations; /* of a piece of `rows` rows, with logits */
    uint64_t serving;     /* the model that answers dev, beside it */
} hn_tune_memory;

/* `packs`: frozen matrices are kept as bf16 for both directions. */
hn_tune_memory hn_tune_memory_estimate(const hn_shape *shape, const hn_network_options *options, bool packs,
                                       uint64_t rows);
uint64_t hn_tune_memory_sum(const hn_tune_memory *m);
/* Chooses t->max_rows, and what else saves memory, so that it fits options.memory_bytes. HN_ERR_LIMIT with the numbers where nothing does. */
hn_status hn_tune_memory_fit(hn_training *t, hn_network_options *options, const hn_kernels *kernels,
                             hn_error *err) HN_MUST_CHECK;

#endif
