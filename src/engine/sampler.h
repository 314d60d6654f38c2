/* Sampling: from logits to the next token.
 *
 * Order of the filters: logit bias, repetition penalty, the mask of allowed tokens, temperature, top-k, top-p, min-p,
 * then a draw from what is left. Temperature 0 takes the largest logit (ties: the lowest id) after bias and penalty.
 *
 *     hn_sampler *s;
 *     HN_TRY(hn_sampler_create(&(hn_sampling){.temperature = 0.7f, .top_p = 0.9f, .seed = 7}, n_vocab, &s, &err));
 *     int32_t id = hn_sampler_pick(s, logits, history, n_history);
 *
 * The same seed and logits give the same token on every machine. Threading: one sampler, one thread. */
#ifndef HN_ENGINE_SAMPLER_H
#define HN_ENGINE_SAMPLER_H

#include "base/status.h"

#include <stdint.h>

typedef struct hn_logit_bias {
    int32_t id;
    float bias;
} hn_logit_bias;

typedef struct hn_sampling {
    float temperature;        /* 0: greedy */
    int top_k;                /* 0: off */
    float top_p;              /* 0 or 1: off */
    float min_p;              /* 0: off */
    float repetition_penalty; /* 0 or 1: off; over the last repetition_window tokens (0: 64) */
    int repetition_window;
    uint64_t seed;
    const hn_logit_bias *bias; /* copied */
    size_t n_bias;
} hn_sampling;

typedef struct hn_sampler hn_sampler;

hn_status hn_sampler_create(const hn_sampling *sampling, int32_t n_vocab, hn_sampler **sampler,
                            hn_error *err) HN_MUST_CHECK;
int32_t hn_sampler_pick(hn_sampler *sampler, const float *logits, const int32_t *history, size_t n_history);
/* The same among the tokens whose bit is set in `allowed` (ceil(V / 64)) alone; NULL: all. -1: none of them is possible (no
 * bit is set, or a bias of -inf forbids all that are). */
int32_t hn_sampler_pick_allowed(hn_sampler *sampler, const float *logits, const uint64_t *allowed,
                                const int32_t *history, size_t n_history);
void hn_sampler_free(hn_sampler *sampler);

#endif
