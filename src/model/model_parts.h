/* Inside the model: what model.c and adapter.c share. model.h is the interface.
 *
 *     HN_TRY(hn_adapter_load(path, &m->shape, &m->store.weights, m->store.arena, &low, err));
 *
 * Threading: one thread. */
#ifndef HN_MODEL_MODEL_PARTS_H
#define HN_MODEL_MODEL_PARTS_H

#include "base/alloc.h"
#include "model/model.h"

/* Reads an adapter into *out (n_layers * HN_LINEARS_OF_LAYER, rank 0 where a matrix has no adapter), all in the arena. Errors as for
 * hn_model_add_adapter. */
hn_status hn_adapter_load(const char *path, const hn_shape *shape, const hn_weights *weights, hn_arena *arena,
                          hn_low_rank **out, hn_error *err) HN_MUST_CHECK;

#endif
