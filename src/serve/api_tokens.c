/* POST /tokenize, /detokenize, /apply-template: the prompt as the model sees it. The template belongs to the engine thread, so these are calls. */
#include "base/alloc.h"
#include "model/chat.h"
#include "serve/generate_call.h"
#include "serve/server_parts.h"

#include <string.h>

typedef enum tokens_kind { TOKENIZE, DETOKENIZE, TEMPLATE } tokens_kind;

typedef struct tokens_call {
    hn_call base;
    hn_served_model *model;
    tokens_kind kind;
    json_t *messages, *tools, *variables;
    char *text;
    hn_tokens ids;
    bool pieces, special;
} tokens_call;

static json_t *ids_json(const hn_tokens *ids) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < ids->n; i++)
        if (json_array_append_new(list, json_integer(ids->ids[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *pieces_json(const tokens_call *t) {
    json_t *list = json_array();
    for (size_t i = 0; list && t->model->tokenizer && i < t->ids.n; i++) {
        hn_str piece = hn_tokenizer_piece(t->model->tokenizer, t->ids.ids[i]);
        if (json_array_append_new(list, json_stringn_nocheck(piece.data, piece.len)) == 0) continue;
        json_decref(list);
        return NULL;
    }
    return list;
}

static hn_status text_json(const tokens_call *t, json_t **value, hn_error *err) {
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_status st = hn_tokenizer_decode(t->model->tokenizer, t->ids.ids, t->ids.n, true, true, &text, err);
    if (st == HN_OK) *value = json_pack("{s:o}", "prompt", json_stringn_nocheck(hn_buf_str(&text), text.len));
    hn_buf_free(&text);
    return st;
}

static hn_status answer(tokens_call *t, json_t **value, hn_error *err) {
    *value = NULL;
    if (!t->model->tokenizer)
        return hn_fail(err, HN_ERR_UNSUPPORTED, "model", "use a local model with a tokenizer",
                       "the tokens of %s are not known here", t->model->id);
    if (t->kind == DETOKENIZE) return text_json(t, value, err);
    hn_request r = {.messages = t->messages,
                    .raw = t->messages ? NULL : t->text,
                    .tools = t->tools,
                    .template_variables = t->variables,
                    .allow_special = t->special};
    HN_TRY(hn_provider_prompt_ids(t->model->provider, &r, &t->ids, err));
    if (t->kind == TEMPLATE) return text_json(t, value, err);
    *value = json_pack("{s:o, s:I, s:i}", "tokens", ids_json(&t->ids), "count", (json_int_t)t->ids.n, "max_model_len",
                       t->model->info.context);
    if (*value && t->pieces && json_object_set_new(*value, "pieces", pieces_json(t)) != 0) {
        json_decref(*value);
        *value = NULL;
    }
    return HN_OK;
}

static void start(hn_call *call) {
    tokens_call *t = (tokens_call *)call;
    json_t *value;
    hn_error err;
    hn_api_error e = {0};
    if (answer(t, &value, &err) == HN_OK) {
        hn_api_send_json(call->reply, 200, value);
    } else {
        hn_api_fail_error(&e, &err);
        hn_api_error_send(call->reply, &e);
    }
    call->done = true;
}

static void cancel(hn_call *call) { call->done = true; }

static void free_call(hn_call *call) {
    tokens_call *t = (tokens_call *)call;
    json_decref(t->messages);
    json_decref(t->tools);
    json_decref(t->variables);
    hn_tokens_free(&t->ids);
    hn_free(t->text);
    hn_reply_release(call->reply);
    hn_free(t);
}

static void read_ids(tokens_call *t, const json_t *body, hn_api_error *e) {
    const json_t *list = json_object_get(body, "tokens");
    int32_t n_vocab = t->model && t->model->tokenizer ? hn_tokenizer_vocab_size(t->model->tokenizer) : 0;
    if (!json_is_array(list)) hn_field_type(e, "tokens", "an array of integers", list);
    for (size_t i = 0; !e->status && i < json_array_size(list); i++) {
        const json_t *id = json_array_get(list, i);
        if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= n_vocab)
            hn_api_fail(e, 400, "tokens", "invalid_value", "token %zu is not an id of the vocabulary, 0 to %d", i,
                        n_vocab - 1);
        else if (hn_tokens_push(&t->ids, (int32_t)json_integer_value(id)) != HN_OK)
            hn_api_fail(e, 503, NULL, "out_of_memory", "memory is used up");
    }
}

static void read_text(tokens_call *t, const json_t *body, hn_api_error *e) {
    const char *text = NULL;
    const json_t *messages = json_object_get(body, "messages"), *tools = json_object_get(body, "tools");
    hn_field_bool(e, body, "with_pieces", &t->pieces);
    hn_field_bool(e, body, "allow_special", &t->special);
    hn_field_object(e, body, "chat_template_kwargs", &t->variables);
    json_incref(t->variables);
    if (messages && !json_is_null(messages)) {
        t->messages = hn_api_messages(messages, e);
        if (tools && !json_is_null(tools)) t->tools = hn_api_tools(tools, e);
        return;
    }
    if (t->kind == TEMPLATE) hn_field_needed(e, body, "messages");
    hn_field_string(e, body, "prompt", &text);
    if (!text) hn_field_string(e, body, "content", &text);
    if (!text)
        hn_api_fail(e, 400, "prompt", "missing_required_parameter",
                    "Missing required parameter: 'prompt' (a text) or 'messages'.");
    if (text && !(t->text = hn_strdup(text))) hn_api_fail(e, 503, NULL, "out_of_memory", "memory is used up");
}

static void handle(hn_api_context *c, tokens_kind kind) {
    static const char *const known[] = {"model",       "prompt",        "content", "messages",
                                        "with_pieces", "allow_special", "tools",   "chat_template_kwargs",
                                        "tokens",      "add_special"};
    hn_api_error e = {0};
    tokens_call *t = hn_calloc(1, sizeof *t);
    if (!t) {
        hn_api_send_json(c->reply, 503, NULL);
        return;
    }
    *t = (tokens_call){.base = {.reply = c->reply, .start = start, .cancel = cancel, .free = free_call}, .kind = kind};
    hn_field_known(&e, c->body, known, sizeof known / sizeof *known);
    t->model = json_object_get(c->body, "model") || c->server->n_models == 0 ? hn_api_model(c->server, c->body, &e)
                                                                             : &c->server->models[0];
    if (!e.status && kind == DETOKENIZE) read_ids(t, c->body, &e);
    if (!e.status && kind != DETOKENIZE) read_text(t, c->body, &e);
    if (!e.status) {
        hn_api_hand_over(c, &t->base);
        return;
    }
    hn_api_error_send(c->reply, &e);
    c->handed_over = true; /* free_call releases it */
    free_call(&t->base);
}

void hn_api_tokenize(hn_api_context *c) { handle(c, TOKENIZE); }
void hn_api_detokenize(hn_api_context *c) { handle(c, DETOKENIZE); }
void hn_api_apply_template(hn_api_context *c) { handle(c, TEMPLATE); }
