/* Inside the local provider: what its files share. Not for other modules; provider.h is the interface.
 *
 *     local.c         opening, submit, cancel, step: the queue and what each engine step holds
 *     local_prompt.c  a request's prompt and labels as token ids, and its cache key
 *     local_chat.c    messages through the chat template
 *     local_constraint.c  what an answer must be: grammars kept, and which tokens may come next
 *     local_tools.c   the same for answers that must be a tool call
 *     local_prefix.c  finished prompts kept in the cache, so that the next with the same beginning starts behind it
 *     local_answer.c  one request's growing answer: sampling, log-probabilities, text, the completion handed out
 *
 * Threading: one thread. */
#ifndef HN_PROVIDER_LOCAL_PARTS_H
#define HN_PROVIDER_LOCAL_PARTS_H

#include "base/alloc.h"
#include "base/hash.h"
#include "engine/engine.h"
#include "engine/grammar_match.h"
#include "format/json_names.h"
#include "model/tool_calls.h"
#include "provider/prefix_store.h"
#include "provider/provider_table.h"
#include "provider/stop_text.h"

enum {
    HN_LOCAL_PREFIXES = 48,    /* finished prompts that are kept */
    HN_LOCAL_SHARE_MIN = 32,   /* a common beginning of fewer tokens is not worth waiting for */
    HN_LOCAL_STORE_MIN = 64,   /* a shorter beginning is not worth a file */
    HN_LOCAL_CONSTRAINTS = 32, /* compiled constraints that are kept, beyond those in use */
    HN_LOCAL_BATCH = 64,       /* sequences in flight, where not told otherwise */
    HN_LOCAL_ROWS = 2048,      /* prompt tokens and label nodes in one engine step */
    HN_LOCAL_NODES_BEST = 8,   /* label nodes of a case that a search counts for: few cases leave products small */
    HN_LOCAL_NODES_BOUNDED = 32,
    HN_LOCAL_ROWS_DECODING = 256, /* the same while answers are being generated: they wait for it */
};

typedef enum hn_local_state { HN_LOCAL_WAITING, HN_LOCAL_PREFILL, HN_LOCAL_DECODE, HN_LOCAL_DONE } hn_local_state;

/* A token of the answer, or of an echoed prompt. */
typedef struct hn_local_token {
    int32_t id;
    float logprob;
} hn_local_token;

/* A call of one tool: the tokens before and after its arguments, which are JSON of the grammar. */
typedef struct hn_local_frame {
    hn_tokens before, after;
    hn_grammar *grammar;
} hn_local_frame;

/* A compiled constraint, for all requests with this source and these stop texts. */
typedef struct hn_local_constraint {
    char hash[65];          /* of the source */
    hn_grammar *grammar;    /* NULL: a tool call, by its frames */
    hn_local_frame *frames; /* (n_frames) */
    size_t n_frames;
    uint64_t *ends;  /* (mask_words) tokens that end an answer, where it may end */
    uint64_t *never; /* (mask_words) tokens with a stop text inside */
    bool json;       /* what it writes is JSON: names of objects must not repeat */
    size_t n_users;  /* requests that match against it */
    uint64_t used;   /* the provider's clock of uses */
} hn_local_constraint;

typedef struct hn_local_request {
    uint64_t ticket;
    double deadline, submitted;             /* hn_clock_seconds; 0: none */
    double prefill_seconds, decode_seconds; /* its part of the engine's time */
    hn_on_completion *on_done;
    void *user;
    hn_local_state state;
    hn_request_kind kind;
    hn_tokens prompt;
    hn_sequence *sequence; /* NULL while waiting */
    int cached;            /* prompt tokens that were shared */
    size_t hold_at;        /* others wait for this many of its tokens: the next step ends there; 0: nobody waits */
    /* LABELS */
    hn_label_trie *labels;
    double *label_logprobs; /* (n_labels) */
    hn_label_mode label_mode;
    double *label_log_priors; /* (n_labels), or NULL */
    bool *label_is_bound;     /* (n_labels); NULL for ALL */
    double label_open_share;
    float *pooled; /* POOLED: (C) */
    /* GENERATE */
    hn_sampler *sampler;
    int max_tokens, n_top, n_echo; /* n_echo: prompt tokens that come first in `tokens` */
    bool echo, want_logprobs;
    bool (*on_token)(void *user, const hn_output_token *token);
    void *token_user;
    hn_stop_text text;
    hn_local_constraint *constraint; /* NULL: none */
    hn_grammar_match *match;         /* NULL: no constraint, or around a tool call's arguments */
    hn_json_names *names;            /* of a constraint that writes JSON */
    const hn_local_frame *frame;     /* of a tool call, once it is known which */
    size_t n_after;                  /* tokens of its `after` that are there */
    bool reads_calls;                /* with tools: control tokens are part of the text, calls are looked for */
    float *logits;                   /* (V) of the step that just ran */
    hn_local_token *tokens;          /* (n_tokens) */
    size_t n_tokens, tokens_capacity;
    hn_token_logprob *tops; /* (n_tokens, n_top) */
    size_t tops_capacity;
    float *echo_logprobs; /* (prompt.n - 1) of prompt tokens 1.. */
    int32_t *echo_targets;
    hn_finish finish;
} hn_local_request;

typedef struct hn_local_prefix {
    hn_sequence *sequence;
    uint64_t used; /* the provider's clock of uses */
} hn_local_prefix;

typedef struct hn_local {
    hn_provider base;
    hn_model *model;
    hn_engine *engine;
    struct hn_chat_template *chat; /* NULL: the model has no template, or was not asked for it yet */
    char *name;
    size_t kv_max_bytes, kv_bytes_per_token;
    int max_batch;
    hn_local_request **requests; /* (n_requests) in order of submission, done ones among them until they are swept */
    size_t n_requests, requests_capacity;
    uint64_t next_ticket;
    int depth;           /* > 0: inside step; done requests are swept later */
    hn_step_item *items; /* of one engine step, and the requests they belong to */
    hn_local_request **item_requests;
    size_t n_items, items_capacity, item_requests_capacity;
    hn_local_prefix prefixes[HN_LOCAL_PREFIXES];
    size_t n_prefixes;
    hn_prefix_store *store; /* NULL: prefixes are kept in memory alone */
    size_t store_read, store_written;
    uint64_t uses, n_finished;
    hn_grammar_vocab *vocab; /* NULL: no constraint yet */
    hn_local_constraint **constraints;
    size_t n_constraints, constraints_capacity;
    uint64_t *mask; /* (mask_words) of the token that is picked now */
    size_t mask_words;
    char template_hash[65], tokenizer_hash[65]; /* empty: none, or not needed yet */
} hn_local;

/* local_prompt.c: the prompt's ids (appended); labels as a trie, with their end tokens, checked against the prompt's end. */
hn_status hn_local_prompt_ids(hn_local *p, const hn_request *request, hn_tokens *ids, hn_error *err) HN_MUST_CHECK;
hn_status hn_local_labels(hn_local *p, const hn_request *request, const hn_tokens *prompt, hn_label_trie **trie,
                          hn_error *err) HN_MUST_CHECK;
hn_status hn_local_cache_key(hn_provider *base, const hn_request *request, char hex[65], hn_error *err) HN_MUST_CHECK;
hn_status hn_local_label_ids(hn_provider *base, const hn_request *request, hn_tokens *ids, hn_error *err) HN_MUST_CHECK;
/* local_chat.c: messages through the model's chat template, with the generation prompt; the token that ends a turn (-1: none). */
hn_status hn_local_messages_ids(hn_local *p, const hn_request *request, hn_tokens *ids, hn_error *err) HN_MUST_CHECK;
int32_t hn_local_end_of_turn(hn_local *p);
void hn_local_chat_close(hn_local *p);

/* How the model's template writes tool calls. */
hn_tool_format hn_local_tool_format(const hn_local *p);

/* local_constraint.c */
/* The request's constraint, compiled or found; NULL: it has none. Valid until the next request is looked at, unless in use. */
hn_status hn_local_constraint_get(hn_local *p, const hn_request *request, hn_local_constraint **c,
                                  hn_error *err) HN_MUST_CHECK;
hn_status hn_local_constraint_start(hn_local *p, hn_local_request *r, const hn_request *request,
                                    hn_error *err) HN_MUST_CHECK;
void hn_local_constraint_end(hn_local_request *r);
/* The tokens that may come next; valid until the next call. */
hn_status hn_local_constraint_mask(hn_local *p, hn_local_request *r, const uint64_t **mask,
                                   hn_error *err) HN_MUST_CHECK;
/* The sampler's token of those in the mask (NULL: of all); -1: none is possible. A token that would repeat a name of a JSON object is
 * passed over. */
hn_status hn_local_constraint_pick(hn_local *p, hn_local_request *r, const uint64_t *mask, int32_t *id,
                                   hn_error *err) HN_MUST_CHECK;
/* Takes a token of the mask. *complete: the answer ends here, nothing may follow. */
hn_status hn_local_constraint_accept(hn_local *p, hn_local_request *r, int32_t id, bool *complete,
                                     hn_error *err) HN_MUST_CHECK;
/* Whether the text as a stop text cut it is one that the constraint allows. */
hn_status hn_local_constraint_holds(hn_local *p, const hn_local_request *r, bool *holds, hn_error *err) HN_MUST_CHECK;
/* The compiled constraint's part of a cache key. */
void hn_local_constraint_hash(hn_sha256 *h, const hn_local_constraint *c);
/* The error that no token is possible. */
hn_status hn_local_constraint_fail(const hn_local_request *r, hn_error *err);
void hn_local_constraints_close(hn_local *p);

/* local_tools.c */
/* Whether the answer must be a tool call: tool_choice "required" or a name. */
bool hn_local_demands_call(const hn_request *r);
/* Fills c->frames, of every tool ("required") or of the named one; what was made stays there after an error. */
hn_status hn_local_frames_make(const hn_local *p, const hn_request *request, hn_local_constraint *c,
                               hn_error *err) HN_MUST_CHECK;
void hn_local_frames_free(hn_local_constraint *c);
void hn_local_frames_hash(hn_sha256 *h, const hn_local_constraint *c);
/* Into p->mask: the tokens that may come next before or after the arguments (r->match NULL). */
void hn_local_frames_mask(hn_local *p, const hn_local_request *r);
hn_status hn_local_frames_accept(hn_local *p, hn_local_request *r, int32_t id, bool *complete,
                                 hn_error *err) HN_MUST_CHECK;

/* local_prefix.c */
/* The sequence, kept or in flight, that shares most of the beginning of `ids` with its computed tokens; *shared: how many. */
const hn_sequence *hn_local_prefix_find(hn_local *p, const int32_t *ids, size_t n, size_t *shared);
/* Keeps a sequence (takes it over), dropping the one used longest ago where there is no room, and one that is a beginning of it. */
void hn_local_prefix_keep(hn_local *p, hn_sequence *sequence);
/* Frees the one used longest ago; false: there is none. */
bool hn_local_prefix_drop(hn_local *p);
/* Opens the prefix cache on disk, where the options ask for it. */
hn_status hn_local_store_open(hn_local *p, const hn_local_options *o, hn_error *err) HN_MUST_CHECK;
/* Takes from disk what begins like `ids` and is longer than the `shared` tokens that are there; true: there is more now. What fails is computed. */
bool hn_local_store_fetch(hn_local *p, const int32_t *ids, size_t n, size_t shared);
/* Keeps the first `n` tokens of a sequence, which others share, on disk. */
void hn_local_store_save(hn_local *p, const hn_sequence *sequence, size_t n);
/* A process that computed one prompt alone keeps that; then closes. */
void hn_local_store_close(hn_local *p);
size_t hn_local_common(const int32_t *a, size_t n_a, const int32_t *b, size_t n_b);

/* local_answer.c */
/* Makes room for what the request's answer needs before any token is there. */
hn_status hn_local_answer_prepare(hn_local *p, hn_local_request *r, const hn_request *request,
                                  hn_error *err) HN_MUST_CHECK;
/* The prompt's tokens with what the engine said of them go in front (echo). */
hn_status hn_local_answer_echo(hn_local *p, hn_local_request *r, hn_error *err) HN_MUST_CHECK;
/* Picks the next token from r->logits and appends it; *done: the answer ends here. */
hn_status hn_local_answer_next(hn_local *p, hn_local_request *r, bool *done, hn_error *err) HN_MUST_CHECK;
/* Hands the completion out and marks the request done. `st` with `err`: why there is no answer. */
void hn_local_finish(hn_local *p, hn_local_request *r, hn_status st, const hn_error *err);
void hn_local_request_free(hn_local_request *r);

#endif
