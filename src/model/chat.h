/* Chat: messages through a model's chat template into text, and that text into token ids, such that a control token (a
 * turn's start or end) can only come from the template, never from what somebody wrote in a message.
 *
 *     hn_chat_options o = {.bos = "<s>", .eos = "</s>", .add_generation_prompt = true};
 *     hn_buf text; hn_chat_spans spans = {0}; hn_tokens ids = {0};
 *     HN_TRY(hn_chat_render(template, messages, &o, &text, &spans, &err)); // [{"role": "user", "content": "Hi"}]
 *     HN_TRY(hn_chat_tokenize(tokenizer, &text, &spans, &ids, &err));
 *     hn_chat_spans_free(&spans); ...
 *
 * Messages are a JSON array as in the OpenAI API: role, content, and
 * name, tool_calls, tool_call_id, reasoning_content where the template knows them.
 * Ownership: everything is the caller's; spans borrow names from the messages and options. Threading: no shared state.
 * */
#ifndef HN_MODEL_CHAT_H
#define HN_MODEL_CHAT_H

#include "format/jinja.h"
#include "model/tokenizer.h"

typedef struct hn_chat_options {
    const char *bos, *eos;       /* texts of the tokens; NULL: "" */
    size_t bos_bytes, eos_bytes; /* their lengths; 0: they end with a NUL */
    json_t *tools;               /* array, or NULL; borrowed as all here */
    json_t *extra; /* further variables, such as enable_thinking, as an object, or NULL; they come last and win */
    bool add_generation_prompt; /* ends with the start of the assistant's turn */
    bool has_now; /* whether `now` (seconds since 1970, shown as UTC) is what strftime_now tells; else the local time */
    int64_t now;
} hn_chat_options;

/* Bytes [start, end) of a rendered chat: all by the template, or all from one place of the data. */
typedef struct hn_chat_span {
    size_t start, end;
    bool is_data;      /* from the messages, tools or extra variables; false: the template's (also bos and eos) */
    int message;       /* the message it belongs to (template text: that it was written for); -1: none */
    const char *role;  /* that message's role, or NULL */
    const char *field; /* the message's field it came from, such as "content"; of other data the variable; or NULL */
} hn_chat_span;

typedef struct hn_chat_spans {
    hn_chat_span *items; /* in order and without gaps: they cover the whole text */
    size_t n, capacity;
} hn_chat_spans;

/* Messages as templates expect them: an array of objects with a role (one that is nearly a usual one is taken for a slip) and content. `name`
 * is what errors call the whole, such as a file. HN_ERR_INPUT naming the message. */
hn_status hn_chat_check_messages(const json_t *messages, const char *name, hn_error *err) HN_MUST_CHECK;
/* Appends the rendered chat to `out` and, where `spans` is not NULL, what each byte is (offsets count from the first
 * byte appended).
 * HN_ERR_INPUT: `messages` is not an array of objects with a role; HN_ERR_TEMPLATE: the template refuses them or cannot
 * be run. */
hn_status hn_chat_render(const hn_jinja *t, json_t *messages, const hn_chat_options *options, hn_buf *out,
                         hn_chat_spans *spans, hn_error *err) HN_MUST_CHECK;
/* Appends the ids of a rendered chat. Control tokens are matched only where all their bytes are the template's; all
 * else is ordinary text, encoded together across spans as the model was trained on it. */
hn_status hn_chat_tokenize(const hn_tokenizer *t, const hn_buf *text, const hn_chat_spans *spans, hn_tokens *ids,
                           hn_error *err) HN_MUST_CHECK;
/* The compiled template of a model (its text `source`, may be NULL; `name` is the model's file for errors): free with
 * hn_jinja_free.
 * No template is HN_ERR_TEMPLATE with the remedy. */
hn_status hn_chat_template(const char *source, const char *name, hn_jinja **t, hn_error *err) HN_MUST_CHECK;
/* The token that ends an assistant's turn: the first control token that the template writes behind its content; the
 * end-of-sequence token (-1: none) where there is no such token. */
int32_t hn_chat_end_of_turn(const hn_jinja *t, const hn_tokenizer *tokenizer);
/* Fills bos and eos from the tokenizer. */
void hn_chat_options_init(hn_chat_options *options, const hn_tokenizer *t);
void hn_chat_spans_free(hn_chat_spans *spans);

#endif
