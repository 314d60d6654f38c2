/* Completions on the engine thread: submitting, streaming, and the answer in the OpenAI API's form; see generate_call.h. */
#include "serve/generate_call.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- texts and log-probabilities ---- */

static json_t *text_json(const char *text, size_t n) { return json_stringn_nocheck(text ? text : "", text ? n : 0); }

/* The logarithm of 0 has no JSON. */
static json_t *logprob_json(float logprob) {
    return isnan(logprob) ? json_null() : json_real(isinf(logprob) ? -9999.0 : (double)logprob);
}

static hn_str piece_of(const hn_generate *g, int32_t id) {
    return g->model->tokenizer && id >= 0 ? hn_tokenizer_piece(g->model->tokenizer, id) : (hn_str){"", 0};
}

static bool is_end(const hn_generate *g, int32_t id) {
    return g->model->tokenizer && id >= 0 && hn_tokenizer_is_end(g->model->tokenizer, id);
}

static json_t *token_json(hn_str text, float logprob) {
    json_t *bytes = json_array();
    for (size_t i = 0; i < text.len; i++) json_array_append_new(bytes, json_integer((unsigned char)text.data[i]));
    return json_pack("{s:o, s:o, s:o}", "token", text_json(text.data, text.len), "logprob", logprob_json(logprob),
                     "bytes", bytes);
}

static hn_str top_text(const hn_generate *g, const hn_output_token *t, int i) {
    return t->top_texts ? hn_str_of(t->top_texts[i]) : piece_of(g, t->top[i].id);
}

/* An entry of a chat's logprobs.content. */
static json_t *chat_token(const hn_generate *g, const hn_output_token *t) {
    hn_str own = g->model->tokenizer ? piece_of(g, t->id) : (hn_str){t->text, t->n_bytes};
    json_t *entry = token_json(own, t->logprob), *top = json_array();
    for (int i = 0; t->top && i < g->request.n_top && !isnan(t->top[i].logprob); i++)
        json_array_append_new(top, token_json(top_text(g, t, i), t->top[i].logprob));
    if (json_object_set_new(entry, "top_logprobs", top) == 0) return entry;
    json_decref(entry);
    return NULL;
}

static json_t *chat_logprobs(const hn_generate *g, const hn_output_token *tokens, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++)
        if (tokens[i].id != -1 && !is_end(g, tokens[i].id)) json_array_append_new(list, chat_token(g, &tokens[i]));
    return json_pack("{s:o, s:n}", "content", list, "refusal");
}

/* A completion's: {"tokens", "token_logprobs", "top_logprobs", "text_offset"}. */
static json_t *text_logprobs(const hn_generate *g, const hn_output_token *tokens, size_t n, size_t *offset) {
    json_t *texts = json_array(), *logprobs = json_array(), *tops = json_array(), *offsets = json_array();
    for (size_t i = 0; i < n; i++) {
        const hn_output_token *t = &tokens[i];
        if (t->id == -1 || (is_end(g, t->id) && i + 1 == n)) continue;
        hn_str own = g->model->tokenizer ? piece_of(g, t->id) : (hn_str){t->text, t->n_bytes};
        json_t *top = t->top ? json_object() : json_null();
        for (int k = 0; t->top && k < g->request.n_top && !isnan(t->top[k].logprob); k++) {
            hn_str text = top_text(g, t, k);
            hn_buf key;
            hn_buf_init(&key, 0);
            hn_buf_append(&key, text.data, text.len);
            json_object_set_new_nocheck(top, hn_buf_str(&key), logprob_json(t->top[k].logprob));
            hn_buf_free(&key);
        }
        json_array_append_new(texts, text_json(own.data, own.len));
        json_array_append_new(logprobs, logprob_json(t->logprob));
        json_array_append_new(tops, top);
        json_array_append_new(offsets, json_integer((json_int_t)*offset));
        *offset += own.len;
    }
    return json_pack("{s:o, s:o, s:o, s:o}", "tokens", texts, "token_logprobs", logprobs, "top_logprobs", tops,
                     "text_offset", offsets);
}

static json_t *logprobs_json(hn_generate_choice *ch, const hn_output_token *tokens, size_t n) {
    const hn_generate *g = ch->call;
    if (!g->logprobs) return json_null();
    return g->chat ? chat_logprobs(g, tokens, n) : text_logprobs(g, tokens, n, &ch->offset);
}

/* ---- the answer as a whole ---- */

static const char *finish_of(const hn_completion *c) {
    if (c->tool_calls && c->finish == HN_FINISH_STOP) return "tool_calls";
    return c->finish == HN_FINISH_STOP ? "stop" : "length";
}

static json_t *usage_json(const hn_generate *g) {
    const hn_usage *u = &g->usage;
    return json_pack("{s:i, s:i, s:i, s:{s:i}, s:{s:i}}", "prompt_tokens", u->prompt_tokens, "completion_tokens",
                     u->completion_tokens, "total_tokens", u->prompt_tokens + u->completion_tokens,
                     "prompt_tokens_details", "cached_tokens", u->cached_prompt_tokens, "completion_tokens_details",
                     "reasoning_tokens", 0);
}

static json_t *envelope(const hn_generate *g, json_t *choices) {
    char id[64], print[32];
    snprintf(id, sizeof id, "%s-%s", g->chat ? "chatcmpl" : "cmpl", hn_reply_id(g->base.reply) + 4);
    snprintf(print, sizeof print, "fp_%.12s", g->model->info.model_hash);
    const char *object = g->chat ? (g->stream ? "chat.completion.chunk" : "chat.completion") : "text_completion";
    return json_pack("{s:s, s:s, s:I, s:s, s:s, s:o}", "id", id, "object", object, "created", (json_int_t)g->created,
                     "model", g->model->id, "system_fingerprint", print, "choices", choices);
}

static json_t *message_json(const hn_completion *c) {
    json_t *content = c->tool_calls && c->content_bytes == 0 ? json_null() : text_json(c->text, c->content_bytes);
    if (!c->tool_calls && c->content_bytes < c->text_bytes) {
        json_decref(content);
        content = text_json(c->text, c->text_bytes);
    }
    return json_pack("{s:s, s:o, s:n, s:O*}", "role", "assistant", "content", content, "refusal", "tool_calls",
                     c->tool_calls);
}

/* The prompt's text in front of a completion's. */
static json_t *echoed_text(const hn_generate *g, const hn_completion *c) {
    hn_buf text;
    hn_buf_init(&text, 0);
    for (size_t i = 0; g->echo && i + (size_t)c->usage.completion_tokens < c->n_tokens; i++) {
        hn_str piece = piece_of(g, c->tokens[i].id);
        hn_buf_append(&text, piece.data, piece.len);
    }
    hn_buf_append(&text, c->text, c->text_bytes);
    json_t *value = hn_buf_status(&text) == HN_OK ? text_json(hn_buf_str(&text), text.len) : NULL;
    hn_buf_free(&text);
    return value;
}

static json_t *choice_json(hn_generate_choice *ch, const hn_completion *c) {
    const hn_generate *g = ch->call;
    json_t *logprobs = logprobs_json(ch, c->tokens, c->n_tokens);
    if (g->chat)
        return json_pack("{s:i, s:o, s:o, s:s}", "index", ch->index, "message", message_json(c), "logprobs", logprobs,
                         "finish_reason", finish_of(c));
    return json_pack("{s:i, s:o, s:o, s:s}", "index", ch->index, "text", echoed_text(g, c), "logprobs", logprobs,
                     "finish_reason", finish_of(c));
}

static void send_whole(hn_generate *g) {
    json_t *list = json_array();
    bool fine = list != NULL;
    for (size_t i = 0; fine && i < g->n_choices; i++) fine = json_array_append(list, g->choices[i].json) == 0;
    json_t *value = envelope(g, list);
    if (value && json_object_set_new(value, "usage", usage_json(g)) != 0) fine = false;
    if (!fine) {
        json_decref(value);
        value = NULL;
    }
    hn_api_send_json(g->base.reply, 200, value);
}

/* ---- streams ---- */

static void send_event(const hn_generate *g, json_t *value) {
    hn_buf line;
    hn_buf_init(&line, 0);
    hn_buf_append_str(&line, "data: ");
    if (value) hn_json_write(value, NULL, &line);
    hn_buf_append_str(&line, "\n\n");
    if (value && hn_buf_status(&line) == HN_OK) hn_reply_write(g->base.reply, line.data, line.len);
    hn_buf_free(&line);
    json_decref(value);
}

static void send_choice(const hn_generate *g, json_t *choice) {
    json_t *list = json_array();
    if (json_array_append_new(list, choice) != 0) {
        json_decref(list);
        return;
    }
    json_t *value = envelope(g, list);
    if (value && g->want_usage) json_object_set_new(value, "usage", json_null());
    send_event(g, value);
}

/* `delta` (chat) and `text` (completions): one of them is NULL. */
static void send_piece(hn_generate_choice *ch, json_t *delta, json_t *text, json_t *logprobs, const char *finish) {
    const hn_generate *g = ch->call;
    send_choice(g, json_pack("{s:i, s:o, s:o, s:s?}", "index", ch->index, g->chat ? "delta" : "text",
                             g->chat ? delta : text, "logprobs", logprobs ? logprobs : json_null(), "finish_reason",
                             finish));
}

/* The head of the answer, and of each choice its first piece. */
static void begin_stream(hn_generate_choice *ch) {
    hn_generate *g = ch->call;
    hn_reply_begin(g->base.reply, 200, "text/event-stream; charset=utf-8");
    if (ch->said) return;
    ch->said = true;
    if (g->chat)
        send_piece(ch, json_pack("{s:s, s:s, s:n}", "role", "assistant", "content", "", "refusal"), NULL, NULL, NULL);
    else if (g->echo) {
        const hn_generate_prompt *p = &g->prompts[ch->index / g->n];
        hn_buf text;
        hn_buf_init(&text, 0);
        if (p->text) hn_buf_append_str(&text, p->text);
        for (size_t i = 0; i < p->ids.n; i++) {
            hn_str piece = piece_of(g, p->ids.ids[i]);
            hn_buf_append(&text, piece.data, piece.len);
        }
        send_piece(ch, NULL, text_json(hn_buf_str(&text), text.len), NULL, NULL);
        hn_buf_free(&text);
    }
}

static bool on_token(void *user, const hn_output_token *t) {
    hn_generate_choice *ch = user;
    hn_generate *g = ch->call;
    if (hn_reply_is_gone(g->base.reply)) return false;
    begin_stream(ch);
    if (t->n_bytes == 0 && (!g->logprobs || t->id == -1 || is_end(g, t->id))) return true;
    json_t *text = text_json(t->text, t->n_bytes);
    json_t *logprobs = logprobs_json(ch, t, 1);
    send_piece(ch, g->chat ? json_pack("{s:o}", "content", text) : NULL, text, logprobs, NULL);
    return true;
}

/* A text that was held back since it might have been a call of tools, and the calls. */
static void send_calls(hn_generate_choice *ch, const hn_completion *c) {
    size_t n = c->tool_calls ? c->content_bytes : c->text_bytes, i;
    json_t *call, *list = json_array();
    if (n || !c->tool_calls)
        send_piece(ch, json_pack("{s:o}", "content", text_json(c->text, n)), NULL,
                   logprobs_json(ch, c->tokens, c->n_tokens), NULL);
    json_array_foreach(c->tool_calls, i, call) {
        json_t *copy = json_copy(call);
        json_object_set_new(copy, "index", json_integer((json_int_t)i));
        json_array_append_new(list, copy);
    }
    if (c->tool_calls)
        send_piece(ch, json_pack("{s:o}", "tool_calls", list), NULL, NULL, NULL);
    else
        json_decref(list);
}

static void end_choice(hn_generate_choice *ch, const hn_completion *c) {
    const hn_generate *g = ch->call;
    begin_stream(ch);
    if (g->request.on_token == NULL && g->chat) send_calls(ch, c);
    send_piece(ch, g->chat ? json_object() : NULL, g->chat ? NULL : json_string(""), NULL, finish_of(c));
}

static void end_stream(hn_generate *g) {
    if (g->want_usage) {
        json_t *value = envelope(g, json_array());
        if (value) json_object_set_new(value, "usage", usage_json(g));
        send_event(g, value);
    }
    hn_reply_write(g->base.reply, "data: [DONE]\n\n", 14);
    hn_reply_end(g->base.reply);
}

/* ---- from start to end ---- */

static void cancel_rest(hn_generate *g) {
    for (size_t i = 0; i < g->n_choices; i++)
        if (g->choices[i].in_provider) hn_provider_cancel(g->model->provider, g->choices[i].ticket);
}

/* All answers are there, or one failed and the others are cancelled. */
static void finish(hn_generate *g) {
    bool began = g->stream;
    for (size_t i = 0; began && i < g->n_choices && !g->choices[i].said; i++) began = i + 1 < g->n_choices;
    g->base.done = true;
    if (!g->failure.status) {
        if (g->stream)
            end_stream(g);
        else
            send_whole(g);
    } else if (began) { /* too late for a status */
        send_event(g, hn_api_error_json(&g->failure));
        hn_reply_end(g->base.reply);
    } else {
        hn_api_error_send(g->base.reply, &g->failure);
    }
}

static void on_done(void *user, uint64_t ticket, const hn_completion *c) {
    hn_generate_choice *ch = user;
    hn_generate *g = ch->call;
    (void)ticket;
    ch->in_provider = false;
    g->n_done++;
    g->usage.completion_tokens += c->usage.completion_tokens;
    if (ch->index % g->n == 0) {
        g->usage.prompt_tokens += c->usage.prompt_tokens;
        g->usage.cached_prompt_tokens += c->usage.cached_prompt_tokens;
    }
    if (c->status != HN_OK) {
        hn_api_fail_error(&g->failure, &c->error);
    } else if (!g->failure.status && g->stream) {
        end_choice(ch, c);
    } else if (!g->failure.status) {
        ch->json = choice_json(ch, c);
        if (!ch->json) hn_api_fail(&g->failure, 503, NULL, "out_of_memory", "memory is used up");
    }
}

/* Looked at between steps, since a callback must not finish what it is called for. */
static void settle(hn_generate *g) {
    if (g->base.done) return;
    if (g->failure.status) cancel_rest(g);
    if (g->n_done == g->n_choices) finish(g);
}

static void context_words(const hn_generate *g, hn_api_error *e) {
    if (!e->status || !e->code || strcmp(e->code, "context_length_exceeded") != 0) return;
    snprintf(e->param, sizeof e->param, "%s", g->chat ? "messages" : "prompt");
}

static void start(hn_call *call) {
    hn_generate *g = (hn_generate *)call;
    bool holds_back = g->chat && g->tools && !(g->tool_choice && strcmp(g->tool_choice, "none") == 0);
    if (g->stream && !holds_back) g->request.on_token = on_token;
    for (size_t i = 0; i < g->n_choices && !g->failure.status; i++) {
        hn_generate_choice *ch = &g->choices[i];
        hn_request r = g->request;
        hn_error err;
        r.sampling.seed = g->request.sampling.seed + i % (size_t)g->n;
        r.token_user = ch;
        if (!g->chat) {
            const hn_generate_prompt *p = &g->prompts[i / (size_t)g->n];
            r.raw = p->text;
            r.ids = p->text ? NULL : p->ids.ids;
            r.n_ids = p->text ? 0 : p->ids.n;
        }
        hn_status st = hn_provider_submit(g->model->provider, &r, g->deadline, on_done, ch, &ch->ticket, &err);
        if (st != HN_OK) {
            hn_api_fail_error(&g->failure, &err);
            context_words(g, &g->failure);
            g->n_done += g->n_choices - i; /* those that were not submitted will not come */
            break;
        }
        ch->in_provider = true;
        g->model->pending++;
    }
    settle(g);
}

static void cancel(hn_call *call) {
    hn_generate *g = (hn_generate *)call;
    cancel_rest(g);
    call->done = true;
}

static void look(hn_call *call) { settle((hn_generate *)call); }

void hn_generate_init(hn_generate *g, hn_api_context *c, bool chat) {
    *g = (hn_generate){
        .base = {.reply = c->reply, .start = start, .look = look, .cancel = cancel, .free = hn_generate_free},
        .server = c->server,
        .body = json_incref(c->body),
        .chat = chat,
        .created = hn_clock_unix_ms() / 1000,
        .deadline = hn_clock_seconds() + c->server->options.timeout_seconds};
}

void hn_generate_free(hn_call *call) {
    hn_generate *g = (hn_generate *)call;
    for (size_t i = 0; i < g->n_choices; i++) json_decref(g->choices[i].json);
    for (size_t i = 0; i < g->n_prompts && g->prompts; i++) hn_tokens_free(&g->prompts[i].ids);
    hn_free(g->choices);
    hn_free(g->prompts);
    hn_free(g->biases);
    json_decref(g->messages);
    json_decref(g->tools);
    json_decref(g->schema);
    json_decref(g->variables);
    json_decref(g->body);
    hn_reply_release(call->reply);
    hn_free(g);
}
