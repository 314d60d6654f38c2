/* A new llama with random weights: a folder as Hugging Face has them, which everything else (engine, training, export, quantisation) opens as any model.
 *
 *     hn_model_plan plan = hn_model_plan_default(n_tokens_of_the_corpus, n_vocab);
 *     HN_TRY(hn_model_plan_parse("layers: 4, width: 256", &plan, &err));
 *     hn_model_texts texts = {tokenizer_json, n, config_json, m};
 *     HN_TRY(hn_model_create("new-model", &plan, &texts, 1, &err));
 *
 * Weights are normal with deviation 0.02 (GPT-2's), those of the two projections back into the residual stream 0.02 / sqrt(2 layers), norms are 1. Each
 * is the sum of twelve uniform numbers less six, times the deviation: near enough to normal, and the same bits on every machine, as a math library's
 * logarithm would not be. Files: config.json (last, so that a folder that was not finished holds no model), model.safetensors (F32), tokenizer.json,
 * tokenizer_config.json. Ownership: nothing is kept. Threading: one thread. */
#ifndef HN_MODEL_MODEL_CREATE_H
#define HN_MODEL_MODEL_CREATE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hn_model_plan {
    int n_layers, n_embd, n_heads, n_kv_heads, n_ff, n_context; /* L, C, NH, KV, F, context; heads are C / NH wide */
    int n_vocab;                                                /* the tokenizer's */
    bool tied;                                                  /* output matrix = token embedding */
} hn_model_plan;

/* What suits a corpus of so many tokens: no more weights than it can fill, no fewer than what learns anything of it. */
hn_model_plan hn_model_plan_default(uint64_t n_tokens, int n_vocab);
/* Reads "layers: 4, width: 256, heads: 4, key_heads: 2, feed_forward: 704, context: 512, tied: true" over what `plan` has; braces around it may be there.
 * What is not named follows from the width where that is: heads of 32 (from a width of 512 on: 64), half as many key heads, a feed-forward of 8/3 of it.
 * HN_ERR_USAGE with the key and what it may be. */
hn_status hn_model_plan_parse(const char *text, hn_model_plan *plan, hn_error *err) HN_MUST_CHECK;
/* HN_ERR_USAGE: sizes that do not fit each other, or past what is made here. */
hn_status hn_model_plan_check(const hn_model_plan *plan, hn_error *err) HN_MUST_CHECK;
int64_t hn_model_plan_parameters(const hn_model_plan *plan);
/* Bytes that training takes: weights, gradients and AdamW's two moments in f32, and the activations of `n_rows` tokens. */
uint64_t hn_model_plan_training_bytes(const hn_model_plan *plan, int n_rows);
/* "4 layers of width 256, 4 heads (2 of keys), feed-forward 704, context 512" into `out`; returns it. */
char *hn_model_plan_text(const hn_model_plan *plan, char out[160]);

typedef struct hn_model_texts {
    const char *tokenizer; /* tokenizer.json */
    size_t n_tokenizer;
    const char *config; /* tokenizer_config.json; NULL: none */
    size_t n_config;
} hn_model_texts;

/* plan->n_vocab must be the tokenizer's. What was written is opened again before it counts as done. HN_ERR_EXISTS: the folder holds a model already. */
hn_status hn_model_create(const char *folder, const hn_model_plan *plan, const hn_model_texts *texts, uint64_t seed,
                          hn_error *err) HN_MUST_CHECK;

#endif
