/* Providers: who completes a request: the local engine (local.c), or an endpoint elsewhere (remote.h).
 *
 * A provider is a queue: submit any number of requests, call step until they are done. Requests in flight together are
 * batched; an answer's bits never depend on what it was batched with.
 *
 *     hn_provider *p;
 *     HN_TRY(hn_provider_local_open("model.gguf", &(hn_local_options){0}, &p, &err));
 *     HN_TRY(hn_provider_submit(p, &request, 0, on_done, user, &ticket, &err));
 *     size_t pending = 1;
 *     while (pending) HN_TRY(hn_provider_step(p, 100, &pending, &err));   // calls on_done
 *     hn_provider_close(p);
 *
 * Ownership: submit copies what it needs of a request (JSON by reference count); a completion is valid during its callback.
 * Threading: one thread; callbacks run inside step (or cancel). A callback may submit and cancel. */
#ifndef HN_PROVIDER_PROVIDER_H
#define HN_PROVIDER_PROVIDER_H

#include "engine/engine.h"
#include "engine/sampler.h"
#include "format/json.h"
#include "model/model.h"

/* POOLED: no answer, but the mean over the prompt's tokens of the last layer's normalised hidden state (local
 * models), or an endpoint's embedding of the text (remote ones). */
typedef enum hn_request_kind { HN_REQUEST_GENERATE, HN_REQUEST_LABELS, HN_REQUEST_POOLED } hn_request_kind;
typedef enum hn_finish { HN_FINISH_STOP, HN_FINISH_LENGTH, HN_FINISH_CANCELLED, HN_FINISH_ERROR } hn_finish;

/* One label to score: text (ended by the end-of-turn token in chat form, by `label_stop` in raw form), or ids taken as they are. */
typedef struct hn_request_label {
    const char *text;
    const int32_t *ids; /* instead of text where not NULL */
    size_t n_ids;
} hn_request_label;

typedef enum hn_constraint_kind {
    HN_CONSTRAIN_NONE,
    HN_CONSTRAIN_JSON,   /* any JSON value */
    HN_CONSTRAIN_SCHEMA, /* JSON that `schema` accepts */
    HN_CONSTRAIN_REGEX,  /* `text` is a pattern that the whole answer matches */
    HN_CONSTRAIN_GBNF,   /* `text` is a grammar in llama.cpp's notation */
    HN_CONSTRAIN_CHOICES /* the answer is one of `choices` */
} hn_constraint_kind;

/* What the text of an answer must be: its source, since remote providers send it on. Locally, each token is drawn among those alone that keep
 * the text in the language; the answer may end (by an end token, or a token that begins with a stop text) only where the text is whole, and ends
 * by itself where nothing may follow. So an answer with HN_FINISH_STOP is in the language; one that a stop text cut inside has
 * HN_FINISH_LENGTH. JSON nests at most HN_JSON_DEPTH_MAX deep, whatever a recursive schema allows. Log-probabilities
 * stay the model's own: those of tokens before the rest was forbidden. */
typedef struct hn_constraint {
    hn_constraint_kind kind;
    json_t *schema;
    const char *text;
    const char *name; /* what errors call the source ("file.gbnf", "output: regex"); NULL: its kind */
    const char *const *choices;
    size_t n_choices;
} hn_constraint;

typedef struct hn_output_token {
    int32_t id;
    const char *text; /* the token's bytes (may be part of a character) */
    size_t n_bytes;
    float logprob;                /* NaN for an echoed prompt's first token */
    const hn_token_logprob *top;  /* n_top entries, or NULL */
    const char *const *top_texts; /* (n_top) of remote models, whose ids (-1) say nothing; else NULL */
} hn_output_token;

typedef struct hn_request {
    /* what goes in: one of the three */
    json_t *messages;   /* array of {role, content, ...}: through the chat template, with the generation prompt */
    const char *raw;    /* plain text, no template; control tokens in it stay text */
    const int32_t *ids; /* token ids as they are */
    size_t n_ids;
    json_t *tools, *template_variables; /* with messages; may be NULL */
    const char *
        assistant_prefix; /* text that the assistant's turn already starts with (reasoning kept before scoring); may be NULL */
    /* With tools: NULL or "auto" (the model decides), "none" (they are not shown), "required" (the answer is a call of some tool) or a tool's name
     * (a call of that one); the last two constrain the answer to the template's format with the tool's parameters. */
    const char *tool_choice;
    bool allow_special; /* control tokens in `raw` are recognised */
    /* what comes out */
    hn_request_kind kind;
    int max_tokens; /* GENERATE; 0: score or echo only */
    hn_sampling sampling;
    const char *const *stop; /* GENERATE: the text ends before the first of these */
    size_t n_stop;
    hn_constraint constraint;       /* GENERATE; not together with a tool_choice that demands a call */
    bool echo;                      /* GENERATE: the prompt's tokens come first */
    bool want_logprobs;             /* tokens carry logprob */
    int n_top;                      /* and the K most likely, up to 20 */
    const hn_request_label *labels; /* LABELS */
    size_t n_labels;
    const char *label_stop;   /* LABELS in raw form: the stop text that ends a label, such as "\n" */
    hn_label_mode label_mode; /* LABELS: all exact, probabilities within 1e-4, or only the best label; see engine.h */
    const double *label_log_priors; /* LABELS, not ALL: (n_labels) taken off before labels are compared; may be NULL */
    /* Streaming: called for each generated token in order; false ends the answer (HN_FINISH_CANCELLED). Here `text` is what the token adds to
     * the text given out so far: whole characters, without what may yet become a stop text. What was held back at the end comes with id -1. */
    bool (*on_token)(void *user, const hn_output_token *token);
    void *token_user;
} hn_request;

typedef struct hn_usage {
    int prompt_tokens, cached_prompt_tokens, completion_tokens;
    double cost; /* US dollars, by the price table; 0: a local model; NaN: a remote one without prices */
} hn_usage;

/* A request's own part of the work: of a step that reads prompts its share by tokens, of one that writes the whole. queue_ms is all the other
 * time since it was submitted, so batching does not make an answer look slow. */
typedef struct hn_timing {
    double queue_ms, prefill_ms, decode_ms;
} hn_timing;

typedef struct hn_completion {
    hn_status status; /* HN_OK, or why there is no answer */
    hn_error error;
    const char *text; /* GENERATE: without the stop text and control tokens */
    size_t text_bytes;
    const hn_output_token
        *tokens; /* where want_logprobs, echo or n_top asked for them; else all generated ones without logprobs */
    size_t n_tokens;
    json_t *tool_calls;           /* with tools: the calls in `text`, as in the OpenAI API; NULL: none. Borrowed */
    size_t content_bytes;         /* of `text`, what stands before the calls; all of it where there are none */
    const double *label_logprobs; /* LABELS: (n_labels) natural logs of each label's total */
    size_t n_labels;
    const bool *label_is_bound; /* LABELS, not ALL: (n_labels) where label_logprobs is only an upper bound; else NULL */
    double label_open_share;    /* what those labels have of all labels' probability, together, at most */
    const float *pooled;        /* POOLED: (n_pooled) */
    size_t n_pooled;
    hn_finish finish;
    hn_usage usage;
    hn_timing timing;
} hn_completion;

typedef void hn_on_completion(void *user, uint64_t ticket, const hn_completion *completion);

typedef struct hn_provider_info {
    const char *name; /* "smollm2-135m", a path, a URL with a model */
    const char *kind; /* "local" */
    bool reproducible;
    const char *numeric_path; /* "k1/avx512bf16/kv-f16/Q4_1" */
    char model_hash[65], template_hash[65];
    int context;                                      /* tokens */
    size_t memory_bytes;                              /* weights, packs, cache now */
    size_t model_bytes;                               /* weights and packs alone */
    size_t kv_bytes_per_token;                        /* of the cache, for each token that is held; 0: remote */
    const hn_model *model;                            /* local only, else NULL */
    size_t prefix_tokens_read, prefix_tokens_written; /* of the prefix cache on disk, since it was opened */
    bool generates_only;                              /* labels cannot be scored: a remote model */
    const char *version; /* what a remote model last said that it is; NULL: local, or nothing was said yet */
} hn_provider_info;

typedef struct hn_provider hn_provider;

hn_status hn_provider_submit(hn_provider *p, const hn_request *request,
                             double deadline_seconds /* hn_clock_seconds; 0: none */, hn_on_completion *on_done,
                             void *user, uint64_t *ticket, hn_error *err) HN_MUST_CHECK;
/* Works for up to about `timeout_ms` or until something finished; *pending (may be NULL) gets the requests not yet done. */
hn_status hn_provider_step(hn_provider *p, int timeout_ms, size_t *pending, hn_error *err) HN_MUST_CHECK;
/* The callback comes with HN_ERR_INTERRUPTED before this returns; an unknown ticket is ignored. */
void hn_provider_cancel(hn_provider *p, uint64_t ticket);
hn_status hn_provider_info_get(hn_provider *p, hn_provider_info *info, hn_error *err) HN_MUST_CHECK;
/* Content id of an answer to this request: weights, tokenizer, template, rendered token ids, labels or generation parameters, numeric path. */
hn_status hn_provider_cache_key(hn_provider *p, const hn_request *request, char hex[65], hn_error *err) HN_MUST_CHECK;
/* The prompt as the model sees it: its token ids (local providers). Free with hn_tokens_free. */
hn_status hn_provider_prompt_ids(hn_provider *p, const hn_request *request, hn_tokens *ids,
                                 hn_error *err) HN_MUST_CHECK;
/* Each label's token ids as they are scored, end included (local providers): into ids (n_labels), zeroed; free each with hn_tokens_free, also
 * after an error. */
hn_status hn_provider_label_ids(hn_provider *p, const hn_request *request, hn_tokens *ids, hn_error *err) HN_MUST_CHECK;
void hn_provider_close(hn_provider *p);

typedef struct hn_local_options {
    int n_threads;             /* 0: one per CPU */
    bool low_memory;           /* --memory low */
    hn_kv_type kv_type;        /* --kv: HN_KV_F16 (the default) or HN_KV_Q8_0 */
    int context;               /* 0: the model's */
    size_t kv_max_bytes;       /* 0: a quarter of the machine's memory */
    int max_batch;             /* sequences in flight; 0: chosen */
    const char *name;          /* for people; NULL: the file's name */
    const char *adapter;       /* a LoRA adapter's folder (PEFT's form) to lay beside the weights; NULL: none */
    size_t prefix_cache_bytes; /* > 0: beginnings of prompts are kept on disk, up to so much; answers are the same */
    const char *prefix_cache_folder; /* NULL: the user's cache folder */
    double budget;                   /* US dollars, for where the name turns out to be a remote model's; 0: none */
} hn_local_options;

hn_status hn_provider_local_open(const char *path, const hn_local_options *options, hn_provider **p,
                                 hn_error *err) HN_MUST_CHECK;

#endif
