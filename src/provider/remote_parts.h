/* What the files of the remote provider share: the provider, its requests, what has come of an answer, and the table of an API's dialect.
 *
 * remote.c: the queue (concurrency, retries, limits); remote_request.c: from hn_request to bytes; remote_shape.c: what an answer must be, as JSON
 * Schema; openai.c and anthropic.c: the two dialects; remote_reply.c: from bytes to a completion; remote_error.c: what went wrong and what to do;
 * exchange_record.c: recording and replay.
 * Ownership: a request owns all it points to. Threading: one thread. */
#ifndef HN_PROVIDER_REMOTE_PARTS_H
#define HN_PROVIDER_REMOTE_PARTS_H

#include "format/sse.h"
#include "net/http_pool.h"
#include "provider/exchange_record.h"
#include "provider/price.h"
#include "provider/provider_table.h"
#include "provider/rate_limit.h"
#include "provider/remote.h"
#include "provider/remote_key.h"
#include "provider/retry.h"

enum { HN_REMOTE_EVENT_MAX = 4 << 20, HN_REMOTE_TEXT_MAX = 16 << 20, HN_REMOTE_CALLS_MAX = 128 };

/* Tokens that the object or call around an answer may take, beside those that the prompt allows the answer. */
enum { HN_REMOTE_FRAME_TOKENS = 32 };
/* The field that holds an answer which is no JSON object by itself, and the tool that stands for a schema. */
#define HN_REMOTE_FIELD "answer"

/* How a request was put, as far as reading its answer needs it. */
typedef struct hn_remote_plan {
    bool raw; /* OpenAI: a text completion instead of a chat */
    bool stream;
    bool
        wrapped; /* the answer is the field HN_REMOTE_FIELD of the object that comes; text where `as_text`, else JSON */
    bool as_text;
    bool by_tool; /* Anthropic: the answer is what the tool HN_REMOTE_FIELD is called with */
    bool embeds;  /* an embedding instead of a completion */
} hn_remote_plan;

/* What has come of an answer so far. */
typedef struct hn_remote_reply {
    hn_buf text;
    json_t *calls; /* in the OpenAI API's form; NULL: none */
    hn_buf input;  /* Anthropic: JSON of the call that is being streamed */
    hn_usage usage;
    int cache_write_tokens;
    hn_finish finish;
    bool ended;    /* the model is done */
    bool filtered; /* the endpoint's content filter ended it */
    char version[128];
    hn_output_token *tokens; /* with log-probabilities; texts in the arena */
    size_t n_tokens, tokens_capacity;
    hn_arena *arena;
    float *vector; /* (n_vector) of an embedding */
    size_t n_vector;
} hn_remote_reply;

typedef enum hn_remote_state { HN_REMOTE_WAITING, HN_REMOTE_SENT, HN_REMOTE_DONE } hn_remote_state;

typedef struct hn_remote hn_remote;

typedef struct hn_remote_request {
    hn_remote *p;
    uint64_t ticket, call;
    hn_remote_state state;
    hn_on_completion *on_done;
    void *user;
    bool (*on_token)(void *user, const hn_output_token *token);
    void *token_user;
    hn_remote_plan plan;
    int max_tokens;
    char *body;
    size_t body_bytes;
    double submitted, deadline, due; /* hn_clock_seconds; due: not sent before */
    double sent_ms, first_byte_ms;   /* of the last try */
    int n_failed;
    double reserved; /* of the budget, while it is sent */
    /* the answer */
    hn_buf received; /* the body of the answer (of a stream: only where it is an error) */
    hn_sse sse;
    hn_remote_reply reply;
    bool streamed; /* text was given out: no second try */
    bool stopped;  /* the receiver wants no more */
    bool arrived;  /* the call is over: `result` */
    hn_http_result result;
    hn_status event_status; /* what an event of the stream said or was */
    hn_error event_error;
} hn_remote_request;

/* One API. */
typedef struct hn_remote_dialect {
    const char *name;
    /* The request as JSON, without `stream`, into *body; fills the plan. */
    hn_status (*write)(const hn_remote_model *m, const hn_request *r, hn_remote_plan *plan, json_t **body,
                       hn_error *err);
    /* A whole answer. HN_ERR_NETWORK for what is none. */
    hn_status (*read)(const hn_remote_plan *plan, const json_t *value, hn_remote_reply *reply, hn_error *err);
    /* One event of a stream. Text that it adds is appended to reply->text. */
    hn_status (*read_event)(const hn_remote_plan *plan, const char *event, const json_t *value, hn_remote_reply *reply,
                            hn_error *err);
    const char *(*path)(const hn_remote_plan *plan); /* "/chat/completions" */
} hn_remote_dialect;

extern const hn_remote_dialect hn_openai_dialect, hn_anthropic_dialect;

struct hn_remote {
    hn_provider base;
    const hn_remote_model *model; /* &own */
    hn_remote_model own;
    hn_arena *arena; /* its texts */
    const hn_remote_dialect *dialect;
    hn_remote_key key;
    hn_http_pool *pool;
    hn_exchange *exchange; /* NULL: neither recorded nor replayed */
    hn_rate_limit rate;
    hn_budget *budget; /* &unlimited, or the caller's */
    hn_budget unlimited;
    hn_rng rng;
    int retry_base_ms;
    hn_remote_request **requests; /* (n_requests) in the order of submission */
    size_t n_requests, requests_capacity;
    size_t n_sent; /* in flight */
    uint64_t last_ticket, n_finished;
    bool has_answered; /* the endpoint was reached before */
    bool over_budget;  /* something waits that the budget has no room for */
    int depth;         /* > 0: inside step or a callback */
    char version[128], model_hash[65], shown_url[256];
};

/* remote_request.c */
hn_status hn_remote_request_create(hn_remote *p, const hn_request *r, hn_remote_request **out,
                                   hn_error *err) HN_MUST_CHECK;
void hn_remote_request_free(hn_remote_request *r);
/* The request as it would be sent, without what does not matter to the answer (streaming), keys sorted. */
hn_status hn_remote_request_text(const hn_remote *p, const hn_request *r, hn_remote_plan *plan, hn_buf *out,
                                 hn_error *err) HN_MUST_CHECK;
hn_status hn_remote_cache_key(hn_provider *base, const hn_request *r, char hex[65], hn_error *err);
/* Puts `value` (taken over) into `body` unless the model's `omit` names the field. HN_ERR_MEMORY only. */
hn_status hn_remote_set(const hn_remote_model *m, json_t *body, const char *field, json_t *value,
                        hn_error *err) HN_MUST_CHECK;
/* The largest number of tokens that the request asks for. */
int hn_remote_max_tokens(const hn_remote_model *m, const hn_request *r);

/* remote_shape.c */
/* A JSON Schema of an object for the request's constraint, and how the answer lies in it (plan->wrapped, as_text). *schema NULL: any JSON object,
 * or no constraint. HN_ERR_UNSUPPORTED: a grammar, or a schema that refers to its own root. */
hn_status hn_remote_shape(const hn_constraint *c, hn_remote_plan *plan, json_t **schema, hn_error *err) HN_MUST_CHECK;
/* Whether each object in a schema is closed and demands all its properties, as strict modes want it. */
bool hn_remote_shape_is_strict(const json_t *schema);

/* remote_reply.c */
hn_status hn_remote_reply_init(hn_remote_reply *reply, hn_error *err) HN_MUST_CHECK;
void hn_remote_reply_free(hn_remote_reply *reply);
/* Reads what arrived for a request whose call is over with an HTTP status of 200; true in *again: what came is no answer. */
hn_status hn_remote_reply_finish(hn_remote_request *r, bool *again, hn_error *err) HN_MUST_CHECK;
/* Bytes of a streamed answer. False: stop the call. */
bool hn_remote_reply_stream(hn_remote_request *r, const char *bytes, size_t n);
/* For dialects: text of a JSON string (anything else counts as none), a call, and a whole number within int. */
void hn_remote_reply_text(hn_remote_reply *reply, const json_t *text);
hn_status hn_remote_reply_call(hn_remote_reply *reply, const char *id, const char *name, const char *arguments,
                               hn_error *err) HN_MUST_CHECK;
int hn_remote_count(const json_t *object, const char *field);

/* remote_error.c */
/* Why a call that is over brought no answer; *again: it may pass by itself, r->result.retry_after_s says when. */
hn_status hn_remote_explain(const hn_remote_request *r, bool *again, hn_error *err);
/* An error object inside an answer or an event: {"error": {"message", "type", "code"}}. */
hn_status hn_remote_explain_json(const hn_remote *p, long http_status, const json_t *value, bool *again, hn_error *err);
hn_status hn_remote_not_json(const hn_remote *p, const char *what, hn_error *err);

/* remote.c */
/* Hands the completion out and marks the request done. `st` with `err`: why there is no answer. */
void hn_remote_finish(hn_remote_request *r, hn_status st, const hn_error *err);
hn_status hn_remote_submit(hn_remote *p, hn_remote_request *r, uint64_t *ticket, hn_error *err) HN_MUST_CHECK;

#endif
