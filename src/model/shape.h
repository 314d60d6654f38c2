/* A model's shape from a file's metadata: GGUF keys, or config.json.
 *
 *     hn_shape shape; hn_rope_source rope;
 *     HN_TRY(hn_shape_from_gguf(gguf, &shape, &rope, &err));
 *     ... rope.factors from the tensors, where the file has some ...
 *     HN_TRY(hn_shape_set_rope(&shape, &rope, &err));     // shape.rope_frequencies
 *     hn_rope_source_free(&rope); hn_shape_free(&shape);
 *
 * Every number is checked against limits, so that later products cannot overflow. Ownership: the caller's structs own
 * their arrays. Threading: pure functions. */
#ifndef HN_MODEL_SHAPE_H
#define HN_MODEL_SHAPE_H

#include "model/architecture.h"
#include "model/rope_scaling.h"

/* What decides the rotary frequencies, before they are computed. */
typedef struct hn_rope_source {
    hn_rope_scaling scaling;                       /* its `factors` is not used here: below */
    float *factors, *long_factors, *short_factors; /* (rope_dims/2) each, owned; NULL: none */
} hn_rope_source;

/* Fill everything but the rotary frequencies, n_parameters and main_dtype. HN_ERR_UNSUPPORTED: another architecture,
 * or a feature of it that is not computed here; HN_ERR_INPUT: a number that is missing or cannot be. On failure
 * nothing is left to free. */
hn_status hn_shape_from_gguf(const hn_gguf *gguf, hn_shape *shape, hn_rope_source *rope, hn_error *err) HN_MUST_CHECK;
hn_status hn_shape_from_config(const char *json, size_t n, hn_shape *shape, hn_rope_source *rope,
                               hn_error *err) HN_MUST_CHECK;
/* Computes the frequencies and the longest context that they cover. */
hn_status hn_shape_set_rope(hn_shape *shape, const hn_rope_source *rope, hn_error *err) HN_MUST_CHECK;
/* The check that both readers end with; for tests. */
hn_status hn_shape_check(const hn_shape *shape, hn_error *err) HN_MUST_CHECK;

void hn_shape_free(hn_shape *shape);
void hn_rope_source_free(hn_rope_source *rope);

#endif
