/* The engine: sequences with a paged KV cache, and one step that advances many of them at once.
 *
 * A step takes a list of (sequence, tokens, what is wanted). Sequences join and leave between steps; several share a
 * prefix by forking. The same tokens give the same bits whatever else is in the step, however many threads run,
 * whether the prefix was computed here or shared, and whether labels are scored as a tree or one by one.
 *
 *     hn_engine *e; hn_sequence *s;
 *     HN_TRY(hn_engine_create(model, &(hn_engine_options){.n_threads = 2}, &e, &err));
 *     HN_TRY(hn_sequence_create(e, &s, &err));
 *     hn_step_item item = {.sequence = s, .tokens = ids, .n_tokens = n, .want = HN_WANT_LOGITS, .logits = logits};
 *     HN_TRY(hn_engine_step(e, &item, 1, &err));           // logits (V) after the last token
 *
 * Ownership: the engine borrows the model; sequences must be freed before the engine. Threading: one thread at a
 * time. */
#ifndef HN_ENGINE_ENGINE_H
#define HN_ENGINE_ENGINE_H

#include "engine/label_search.h"
#include "model/model.h"

typedef struct hn_engine hn_engine;
typedef struct hn_sequence hn_sequence;

typedef struct hn_engine_options {
    int n_threads;      /* 0: one per CPU */
    const char *isa;    /* NULL: HONE_ISA, else the best */
    hn_pack pack;       /* HN_PACK_LOW for --memory low */
    hn_kv_type kv_type; /* HN_KV_F16 unless asked; the ref kernels use HN_KV_F32 in its place */
    int context;        /* tokens that one sequence may hold; 0: the model's trained context */
    size_t
        kv_max_bytes; /* KV cache memory in all; 0: a quarter of the machine's memory. Grown as needed, never past it */
} hn_engine_options;

typedef enum hn_want {
    HN_WANT_NOTHING,  /* only the cache */
    HN_WANT_LOGITS,   /* logits (V) after the last token */
    HN_WANT_LOGPROBS, /* per token: log-probability of a target, and the top K */
    HN_WANT_LABELS,   /* log-likelihood of each label of a trie after the last token; the cache keeps only the tokens */
    HN_WANT_POOLED,   /* mean over the step's tokens of the final normalised hidden state (C) */
} hn_want;

typedef struct hn_token_logprob {
    int32_t id;
    float logprob;
} hn_token_logprob;

typedef struct hn_step_item {
    hn_sequence *sequence; /* at most one item of a step for each sequence */
    const int32_t *tokens; /* (T) appended to the sequence; not the sequence's own array */
    int n_tokens; /* >= 1; LOGITS and LABELS take 0 too: what follows the tokens that are there (no token is computed where
                     the last hidden state is still kept, else the last token once more, with the same bits) */
    hn_want want;
    float *logits;               /* LOGITS: (V) */
    const int32_t *targets;      /* LOGPROBS: (T), the token wanted after tokens[t], or -1 */
    float *target_logprobs;      /* LOGPROBS: (T); NaN where the target is -1 */
    int n_top;                   /* LOGPROBS: K */
    hn_token_logprob *top;       /* LOGPROBS: (T,K), most likely first; ties to the lower id */
    const hn_label_trie *labels; /* LABELS */
    double *label_logprobs; /* LABELS: (n_labels) sums of natural logs, end token included, no length normalisation */
    float *label_token_logprobs;    /* LABELS, optional: (n_nodes) of each trie node given its path; NaN: left out */
    hn_label_mode label_mode;       /* LABELS: which labels must be exact; what is computed has the same bits in each */
    const double *label_log_priors; /* BOUNDED, BEST, optional: (n_labels), finite: the search is about
                                       label_logprobs - label_log_priors */
    bool *label_is_bound;           /* BOUNDED, BEST: (n_labels) where label_logprobs is an upper bound */
    double label_open_share; /* BOUNDED, BEST: out; the share of all labels' probability that those with a bound have
                                together at most */
    int label_n_computed;    /* BOUNDED, BEST: out; trie nodes that the outcome needed */
    float *pooled;           /* POOLED: (C) */
} hn_step_item;

/* HN_ERR_MEMORY where the context that was asked for does not fit kv_max_bytes, with the number of tokens that does. */
hn_status hn_engine_create(const hn_model *model, const hn_engine_options *options, hn_engine **engine,
                           hn_error *err) HN_MUST_CHECK;
void hn_engine_free(hn_engine *engine);
/* Advances all items. On error no sequence has changed. A step of many tokens is cut into chunks inside. */
hn_status hn_engine_step(hn_engine *engine, hn_step_item *items, size_t n_items, hn_error *err) HN_MUST_CHECK;

hn_status hn_sequence_create(hn_engine *engine, hn_sequence **sequence, hn_error *err) HN_MUST_CHECK;
/* A new sequence that starts with the first `n_tokens` of another, sharing its cache blocks (copy on write). */
hn_status hn_sequence_fork(const hn_sequence *from, int n_tokens, hn_sequence **sequence, hn_error *err) HN_MUST_CHECK;
void hn_sequence_truncate(hn_sequence *sequence, int n_tokens);
int hn_sequence_length(const hn_sequence *sequence);
const int32_t *hn_sequence_tokens(const hn_sequence *sequence);
void hn_sequence_free(hn_sequence *sequence);

/* Cache blocks as bytes, for prefixes that are kept elsewhere. They mean something to the same weights on the same numeric path alone.
 * A block holds HN_KV_BLOCK tokens. */
size_t hn_engine_block_bytes(const hn_engine *engine);
/* Block i, with anything at places past the sequence's end; valid until the sequence changes. */
const void *hn_sequence_block(const hn_sequence *sequence, size_t i);
typedef hn_status hn_block_fill(void *user, size_t i, void *bytes, hn_error *err);
/* Makes an empty sequence one of these tokens, with blocks that `fill` writes. On error it stays empty. */
hn_status hn_sequence_restore(hn_sequence *sequence, const int32_t *tokens, size_t n_tokens, hn_block_fill *fill,
                              void *user, hn_error *err) HN_MUST_CHECK;

const hn_model *hn_engine_model(const hn_engine *engine);
int hn_engine_context(const hn_engine *engine);
int hn_engine_threads(const hn_engine *engine);
/* "k1/avx512bf16/kv-f16/Q4_1": what decides the bits. */
const char *hn_engine_numeric_path(const hn_engine *engine);
/* Memory in bytes: packs, KV blocks now in use, and KV blocks' bytes per token. */
typedef struct hn_engine_memory {
    size_t pack_bytes, kv_bytes, kv_bytes_per_token, scratch_bytes;
} hn_engine_memory;
hn_engine_memory hn_engine_memory_now(const hn_engine *engine);

#endif
