/* What both kinds of file share when a shape is read: limits and rotary frequencies; see shape.h. */
#include "model/shape.h"

#include "base/alloc.h"

#include <math.h>

/* No trained model comes near these; with them every product of two sizes fits 63 bits. */
enum {
    LAYERS_MAX = 4096,
    WIDTH_MAX = 1 << 20,
    HEADS_MAX = 4096,
    HEAD_SIZE_MAX = 1024,
    VOCAB_MAX = 1 << 24,
    CONTEXT_MAX = 1 << 24
};

static hn_status in_range(const char *what, int64_t value, int64_t low, int64_t high, hn_error *err) {
    if (value >= low && value <= high) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, what, "the file is damaged, or not a model of this kind",
                   "it is %lld, it must be from %lld to %lld", (long long)value, (long long)low, (long long)high);
}

hn_status hn_shape_check(const hn_shape *s, hn_error *err) {
    HN_TRY(in_range("number of layers", s->n_layers, 1, LAYERS_MAX, err));
    HN_TRY(in_range("embedding length", s->n_embd, 1, WIDTH_MAX, err));
    HN_TRY(in_range("feed-forward length", s->n_ff, 1, WIDTH_MAX, err));
    HN_TRY(in_range("number of heads", s->n_heads, 1, HEADS_MAX, err));
    HN_TRY(in_range("number of key-value heads", s->n_kv_heads, 1, s->n_heads, err));
    HN_TRY(in_range("head size", s->head_size, 2, HEAD_SIZE_MAX, err));
    HN_TRY(in_range("rotated dimensions", s->rope_dims, 2, s->head_size, err));
    HN_TRY(in_range("vocabulary size", s->n_vocab, 1, VOCAB_MAX, err));
    HN_TRY(in_range("context length", s->n_context, 1, CONTEXT_MAX, err));
    HN_TRY(in_range("heads times head size", (int64_t)s->n_heads * s->head_size, 1, WIDTH_MAX, err));
    if (s->n_heads % s->n_kv_heads)
        return hn_fail(err, HN_ERR_INPUT, "number of key-value heads", NULL,
                       "%d heads cannot share %d key-value heads evenly", s->n_heads, s->n_kv_heads);
    if (s->head_size % 2 || s->rope_dims % 2)
        return hn_fail(err, HN_ERR_INPUT, "head size", NULL, "head size %d and rotated dimensions %d must be even",
                       s->head_size, s->rope_dims);
    if (!s->rope_interleaved && s->rope_dims != s->head_size)
        return hn_fail(err, HN_ERR_UNSUPPORTED, "rotated dimensions", NULL,
                       "only %d of a head's %d dimensions are rotated, which is not supported in this pair order",
                       s->rope_dims, s->head_size);
    if (!(isfinite(s->norm_eps) && s->norm_eps > 0 && s->norm_eps < 1))
        return hn_fail(err, HN_ERR_INPUT, "norm epsilon", NULL, "it is %g, it must be between 0 and 1",
                       (double)s->norm_eps);
    return HN_OK;
}

static hn_status frequencies(const hn_shape *s, hn_rope_scaling scaling, const float *factors, float **freq,
                             float *magnitude, hn_error *err) {
    scaling.factors = factors;
    *freq = hn_calloc((size_t)s->rope_dims / 2, sizeof **freq);
    if (!*freq) return hn_fail_memory(err, (size_t)s->rope_dims / 2 * sizeof **freq);
    return hn_rope_frequencies(&scaling, s->rope_dims, *freq, magnitude, err);
}

hn_status hn_shape_set_rope(hn_shape *s, const hn_rope_source *rope, hn_error *err) {
    const hn_rope_scaling *scaling = &rope->scaling;
    bool longrope = scaling->kind == HN_ROPE_LONGROPE;
    HN_TRY(frequencies(s, *scaling, longrope ? rope->long_factors : rope->factors, &s->rope_frequencies,
                       &s->rope_magnitude, err));
    if (longrope && rope->short_factors) {
        float same;
        HN_TRY(frequencies(s, *scaling, rope->short_factors, &s->rope_frequencies_short, &same, err));
    }
    s->n_context_original = scaling->n_context_original > 0 && scaling->n_context_original < s->n_context
                                ? scaling->n_context_original
                                : s->n_context;
    s->n_context_max = s->n_context;
    if (scaling->kind == HN_ROPE_LINEAR || scaling->kind == HN_ROPE_YARN || scaling->kind == HN_ROPE_LLAMA3) {
        double covered = floor(s->n_context_original * scaling->factor);
        if (covered > s->n_context) s->n_context_max = covered > CONTEXT_MAX ? CONTEXT_MAX : (int)covered;
    }
    return HN_OK;
}

void hn_shape_free(hn_shape *s) {
    hn_free(s->rope_frequencies);
    hn_free(s->rope_frequencies_short);
    s->rope_frequencies = s->rope_frequencies_short = NULL;
}

void hn_rope_source_free(hn_rope_source *rope) {
    hn_free(rope->factors);
    hn_free(rope->long_factors);
    hn_free(rope->short_factors);
    rope->factors = rope->long_factors = rope->short_factors = NULL;
}
