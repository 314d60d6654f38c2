/* The OpenAI dialect: chat completions (and text completions for raw prompts), as OpenAI and the many servers that speak like it have them.
 * Fields that an endpoint does not know are refused by it or ignored, so only what differs from the default is sent; what the API has no field
 * for (top_k, min_p, a repetition penalty) is an error here, never dropped.
 * Surprise: a text that the answer starts with is sent as the last message, from the assistant; llama.cpp's server goes on from it, others take it
 * as an earlier turn. */
#include "base/str.h"
#include "provider/remote_parts.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { VECTOR_MAX = 1 << 16 };

/* ---- the request ---- */

static const char *path(const hn_remote_plan *plan) {
    return plan->embeds ? "/embeddings" : plan->raw ? "/completions" : "/chat/completions";
}

static hn_status check_sampling(const hn_remote_model *m, const hn_sampling *s, hn_error *err) {
    bool penalty = s->repetition_penalty > 0 && (s->repetition_penalty < 1 || s->repetition_penalty > 1);
    const char *field = s->top_k > 0 ? "top_k" : s->min_p > 0 ? "min_p" : penalty ? "repetition_penalty" : NULL;
    if (!field) return HN_OK;
    return hn_fail(err, HN_ERR_UNSUPPORTED, m->name,
                   "take it out; where the endpoint has such a field, put it under the model's `extra:` in hone.yaml",
                   "the chat completions API has no `%s`", field);
}

static json_t *texts_json(const char *const *texts, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++)
        if (json_array_append_new(list, json_string(texts[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static hn_status write_biases(const hn_remote_model *m, const hn_sampling *s, json_t *body, hn_error *err) {
    if (s->n_bias == 0) return HN_OK;
    json_t *biases = json_object();
    bool fine = biases != NULL;
    for (size_t i = 0; fine && i < s->n_bias; i++) {
        char id[16];
        double bias = isfinite(s->bias[i].bias) ? (double)s->bias[i].bias : -100;
        snprintf(id, sizeof id, "%d", s->bias[i].id);
        fine = json_object_set_new(biases, id, json_real(bias)) == 0;
    }
    if (fine) return hn_remote_set(m, body, "logit_bias", biases, err);
    json_decref(biases);
    return hn_fail_memory(err, 0);
}

/* As many digits as a float has: 0.7f is sent as 0.7. */
static json_t *real_json(float value) {
    char text[32];
    snprintf(text, sizeof text, "%.*g", FLT_DIG, (double)value);
    double exact;
    return json_real(hn_parse_double(text, &exact) ? exact : (double)value);
}

static hn_status write_sampling(const hn_remote_model *m, const hn_request *r, json_t *body, hn_error *err) {
    const hn_sampling *s = &r->sampling;
    HN_TRY(check_sampling(m, s, err));
    HN_TRY(hn_remote_set(m, body, m->max_tokens_name, json_integer(hn_remote_max_tokens(m, r)), err));
    HN_TRY(hn_remote_set(m, body, "temperature", real_json(s->temperature), err));
    if (s->top_p > 0 && s->top_p < 1) HN_TRY(hn_remote_set(m, body, "top_p", real_json(s->top_p), err));
    if (s->temperature > 0)
        HN_TRY(hn_remote_set(m, body, "seed", json_integer((json_int_t)(s->seed & INT32_MAX)), err));
    if (r->n_stop) HN_TRY(hn_remote_set(m, body, "stop", texts_json(r->stop, r->n_stop), err));
    return write_biases(m, s, body, err);
}

static hn_status write_logprobs(const hn_remote_model *m, const hn_request *r, const hn_remote_plan *plan, json_t *body,
                                hn_error *err) {
    if (!r->want_logprobs && r->n_top == 0) return HN_OK;
    if (plan->raw) return hn_remote_set(m, body, "logprobs", json_integer(r->n_top), err);
    HN_TRY(hn_remote_set(m, body, "logprobs", json_true(), err));
    return r->n_top ? hn_remote_set(m, body, "top_logprobs", json_integer(r->n_top), err) : HN_OK;
}

static hn_status write_format(const hn_remote_model *m, json_t *schema, json_t *body, hn_error *err) {
    json_t *format;
    if (schema && m->structured != HN_STRUCTURED_JSON_OBJECT)
        format = json_pack("{s:s, s:{s:s, s:O, s:b}}", "type", "json_schema", "json_schema", "name", "answer", "schema",
                           schema, "strict", hn_remote_shape_is_strict(schema));
    else
        format = json_pack("{s:s}", "type", "json_object");
    return hn_remote_set(m, body, "response_format", format, err);
}

/* The choices as a grammar: the answer is one of them, with no object around it. */
static hn_status write_choices(const hn_remote_model *m, const hn_constraint *c, json_t *body, hn_error *err) {
    hn_buf text;
    hn_buf_init(&text, HN_REMOTE_TEXT_MAX);
    hn_buf_append_str(&text, "root ::=");
    for (size_t i = 0; i < c->n_choices; i++) {
        hn_buf_append_str(&text, i ? " | \"" : " \"");
        for (const char *at = c->choices[i]; *at; at++) {
            if (*at == '"' || *at == '\\') hn_buf_append_char(&text, '\\');
            if (*at == '\n')
                hn_buf_append_str(&text, "\\n");
            else
                hn_buf_append_char(&text, *at);
        }
        hn_buf_append_char(&text, '"');
    }
    hn_status st = hn_buf_check(&text, "the choices", err);
    if (st == HN_OK) st = hn_remote_set(m, body, "grammar", json_string(hn_buf_str(&text)), err);
    hn_buf_free(&text);
    return st;
}

static hn_status write_constraint(const hn_remote_model *m, const hn_request *r, hn_remote_plan *plan, json_t *body,
                                  hn_error *err) {
    json_t *schema = NULL;
    const hn_constraint *c = &r->constraint;
    if (c->kind == HN_CONSTRAIN_NONE || m->structured == HN_STRUCTURED_NONE) return HN_OK;
    if (c->kind == HN_CONSTRAIN_GBNF && m->structured == HN_STRUCTURED_GRAMMAR)
        return hn_remote_set(m, body, "grammar", json_string(c->text), err);
    if (c->kind == HN_CONSTRAIN_CHOICES && m->structured == HN_STRUCTURED_GRAMMAR)
        return write_choices(m, c, body, err);
    if (plan->raw)
        return hn_fail(err, HN_ERR_UNSUPPORTED, m->name, "use `template: chat` (without --raw), or `constrain: false`",
                       "the shape of an answer can be asked for in chats only");
    HN_TRY(hn_remote_shape(c, plan, &schema, err));
    hn_status st = write_format(m, schema, body, err);
    json_decref(schema);
    if (st != HN_OK || !plan->wrapped) return st;
    return hn_remote_set(m, body, m->max_tokens_name, json_integer(hn_remote_max_tokens(m, r) + HN_REMOTE_FRAME_TOKENS),
                         err);
}

/* Bare functions are wrapped, as the API wants them. */
static json_t *tools_json(const json_t *tools) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < json_array_size(tools); i++) {
        json_t *tool = json_array_get(tools, i);
        bool whole = json_is_object(json_object_get(tool, "function"));
        json_t *made = whole ? json_incref(tool) : json_pack("{s:s, s:O}", "type", "function", "function", tool);
        if (json_array_append_new(list, made) == 0) continue;
        json_decref(list);
        return NULL;
    }
    return list;
}

static hn_status write_tools(const hn_request *r, json_t *body, hn_error *err) {
    const char *choice = r->tool_choice;
    if (!r->tools || json_array_size(r->tools) == 0) return HN_OK;
    if (json_object_set_new(body, "tools", tools_json(r->tools)) != 0) return hn_fail_memory(err, 0);
    if (!choice) return HN_OK;
    bool word = strcmp(choice, "auto") == 0 || strcmp(choice, "none") == 0 || strcmp(choice, "required") == 0;
    json_t *value =
        word ? json_string(choice) : json_pack("{s:s, s:{s:s}}", "type", "function", "function", "name", choice);
    return json_object_set_new(body, "tool_choice", value) == 0 ? HN_OK : hn_fail_memory(err, 0);
}

static hn_status write_prompt(const hn_request *r, hn_remote_plan *plan, json_t *body, hn_error *err) {
    plan->raw = r->raw != NULL;
    if (plan->raw)
        return json_object_set_new(body, "prompt", json_string(r->raw)) == 0
                   ? HN_OK
                   : hn_fail(err, HN_ERR_INPUT, "prompt", "write UTF-8", "the prompt is no UTF-8 text");
    json_t *messages = json_copy(r->messages);
    bool fine = messages != NULL;
    if (fine && r->assistant_prefix)
        fine = json_array_append_new(messages,
                                     json_pack("{s:s, s:s}", "role", "assistant", "content", r->assistant_prefix)) == 0;
    if (fine) fine = json_object_set(body, "messages", messages) == 0;
    json_decref(messages);
    return fine ? HN_OK : hn_fail_memory(err, 0);
}

/* The text to embed: as it is, or the messages' contents, one a line. */
static hn_status write_input(const hn_request *r, json_t *body, hn_error *err) {
    hn_buf text;
    hn_buf_init(&text, HN_REMOTE_TEXT_MAX);
    if (r->raw) hn_buf_append_str(&text, r->raw);
    for (size_t i = 0; i < json_array_size(r->messages); i++) {
        const json_t *content = json_object_get(json_array_get(r->messages, i), "content");
        if (i) hn_buf_append_char(&text, '\n');
        if (json_is_string(content)) hn_buf_append(&text, json_string_value(content), json_string_length(content));
    }
    hn_status st = hn_buf_check(&text, "the text", err);
    if (st == HN_OK &&
        json_object_set_new(body, "input", json_pack("[o]", json_stringn(hn_buf_str(&text), text.len))) != 0)
        st = hn_fail(err, HN_ERR_INPUT, "text", "write UTF-8", "the text to embed is no UTF-8");
    hn_buf_free(&text);
    return st;
}

static hn_status fill_body(const hn_remote_model *m, const hn_request *r, hn_remote_plan *plan, json_t *body,
                           hn_error *err) {
    plan->embeds = r->kind == HN_REQUEST_POOLED;
    if (plan->embeds) return write_input(r, body, err);
    HN_TRY(write_prompt(r, plan, body, err));
    HN_TRY(write_sampling(m, r, body, err));
    HN_TRY(write_logprobs(m, r, plan, body, err));
    HN_TRY(write_constraint(m, r, plan, body, err));
    return write_tools(r, body, err);
}

static hn_status write_request(const hn_remote_model *m, const hn_request *r, hn_remote_plan *plan, json_t **out,
                               hn_error *err) {
    *out = NULL;
    json_t *body = json_pack("{s:s}", "model", m->model);
    hn_status st = body ? fill_body(m, r, plan, body, err) : hn_fail_memory(err, 0);
    if (st == HN_OK)
        *out = body;
    else
        json_decref(body);
    return st;
}

/* ---- log-probabilities ---- */

static hn_status add_tops(const json_t *list, hn_remote_reply *reply, hn_output_token *token, hn_error *err) {
    size_t n = json_array_size(list);
    if (n == 0) return HN_OK;
    if (n > 20) n = 20;
    hn_token_logprob *top = hn_arena_calloc(reply->arena, 20, sizeof *top);
    const char **texts = hn_arena_calloc(reply->arena, 20, sizeof *texts);
    if (!top || !texts) return hn_fail_memory(err, n * sizeof *top);
    for (size_t i = 0; i < 20; i++) {
        const json_t *entry = i < n ? json_array_get(list, i) : NULL, *value = json_object_get(entry, "logprob");
        const char *text = json_string_value(json_object_get(entry, "token"));
        top[i] = (hn_token_logprob){-1, json_is_number(value) ? (float)json_number_value(value) : (float)NAN};
        texts[i] = hn_arena_strdup(reply->arena, text ? text : "");
        if (!texts[i]) return hn_fail_memory(err, 16);
    }
    token->top = top;
    token->top_texts = texts;
    return HN_OK;
}

static hn_status add_token(const json_t *entry, hn_remote_reply *reply, hn_error *err) {
    const json_t *text = json_object_get(entry, "token"), *value = json_object_get(entry, "logprob");
    if (!json_is_string(text) || !json_is_number(value)) return HN_OK;
    if (!hn_grow((void **)&reply->tokens, &reply->tokens_capacity, reply->n_tokens + 1, sizeof *reply->tokens))
        return hn_fail_memory(err, reply->n_tokens * sizeof *reply->tokens);
    hn_output_token *t = &reply->tokens[reply->n_tokens];
    *t = (hn_output_token){.id = -1,
                           .text = hn_arena_strndup(reply->arena, json_string_value(text), json_string_length(text)),
                           .n_bytes = json_string_length(text),
                           .logprob = (float)json_number_value(value)};
    if (!t->text) return hn_fail_memory(err, t->n_bytes);
    reply->n_tokens++;
    return add_tops(json_object_get(entry, "top_logprobs"), reply, t, err);
}

static hn_status add_logprobs(const json_t *choice, hn_remote_reply *reply, hn_error *err) {
    const json_t *list = json_object_get(json_object_get(choice, "logprobs"), "content");
    for (size_t i = 0; i < json_array_size(list); i++) HN_TRY(add_token(json_array_get(list, i), reply, err));
    return HN_OK;
}

/* ---- the answer ---- */

static void read_usage(const json_t *value, hn_remote_reply *reply) {
    const json_t *usage = json_object_get(value, "usage");
    if (!json_is_object(usage)) return;
    reply->usage.prompt_tokens = hn_remote_count(usage, "prompt_tokens");
    reply->usage.completion_tokens = hn_remote_count(usage, "completion_tokens");
    reply->usage.cached_prompt_tokens =
        hn_remote_count(json_object_get(usage, "prompt_tokens_details"), "cached_tokens");
    if (reply->usage.cached_prompt_tokens > reply->usage.prompt_tokens)
        reply->usage.cached_prompt_tokens = reply->usage.prompt_tokens;
}

static void read_version(const json_t *value, hn_remote_reply *reply) {
    const char *model = json_string_value(json_object_get(value, "model"));
    if (model) snprintf(reply->version, sizeof reply->version, "%s", model);
}

static void read_finish(const json_t *choice, hn_remote_reply *reply) {
    const char *reason = json_string_value(json_object_get(choice, "finish_reason"));
    if (!reason) return;
    reply->ended = true;
    reply->finish = strcmp(reason, "length") == 0 ? HN_FINISH_LENGTH : HN_FINISH_STOP;
    reply->filtered = strcmp(reason, "content_filter") == 0;
}

static hn_status read_calls(const json_t *message, hn_remote_reply *reply, hn_error *err) {
    const json_t *calls = json_object_get(message, "tool_calls");
    for (size_t i = 0; i < json_array_size(calls); i++) {
        const json_t *call = json_array_get(calls, i), *function = json_object_get(call, "function");
        const char *arguments = json_string_value(json_object_get(function, "arguments"));
        HN_TRY(hn_remote_reply_call(reply, json_string_value(json_object_get(call, "id")),
                                    json_string_value(json_object_get(function, "name")), arguments, err));
    }
    return HN_OK;
}

static hn_status read_vector(const json_t *value, hn_remote_reply *reply, hn_error *err) {
    const json_t *list = json_object_get(json_array_get(json_object_get(value, "data"), 0), "embedding");
    size_t n = json_array_size(list);
    reply->ended = true;
    if (n == 0 || n > VECTOR_MAX)
        return hn_fail(err, HN_ERR_NETWORK, "data", "check `model`: is it one for embeddings?",
                       "the answer has no embedding of 1 to %d numbers", VECTOR_MAX);
    reply->vector = hn_calloc(n, sizeof *reply->vector);
    if (!reply->vector) return hn_fail_memory(err, n * sizeof *reply->vector);
    reply->n_vector = n;
    for (size_t i = 0; i < n; i++) {
        const json_t *x = json_array_get(list, i);
        double number = json_is_number(x) ? json_number_value(x) : (double)NAN;
        if (!(fabs(number) <= (double)FLT_MAX))
            return hn_fail(err, HN_ERR_NETWORK, "data", NULL, "entry %zu of the embedding is no number", i);
        reply->vector[i] = (float)number;
    }
    return HN_OK;
}

static hn_status read_answer(const hn_remote_plan *plan, const json_t *value, hn_remote_reply *reply, hn_error *err) {
    const json_t *choice = json_array_get(json_object_get(value, "choices"), 0);
    read_version(value, reply);
    read_usage(value, reply);
    if (plan->embeds) return read_vector(value, reply, err);
    const json_t *message = json_object_get(choice, "message");
    if (!json_is_object(choice) || (!plan->raw && !json_is_object(message)))
        return hn_fail(err, HN_ERR_NETWORK, "choices", "check the address: it should end before /chat/completions",
                       "the answer has no `choices` with a message");
    read_finish(choice, reply);
    reply->ended = true;
    if (plan->raw) {
        hn_remote_reply_text(reply, json_object_get(choice, "text"));
    } else {
        hn_remote_reply_text(reply, json_object_get(message, "content"));
        if (reply->text.len == 0) hn_remote_reply_text(reply, json_object_get(message, "refusal"));
        HN_TRY(read_calls(message, reply, err));
    }
    return add_logprobs(choice, reply, err);
}

/* ---- the stream ---- */

/* A piece of the call with this index: the first has id and name, all have a part of the arguments. */
static hn_status add_call_piece(const json_t *piece, hn_remote_reply *reply, hn_error *err) {
    const json_t *function = json_object_get(piece, "function"), *index = json_object_get(piece, "index");
    const char *name = json_string_value(json_object_get(function, "name"));
    const char *more = json_string_value(json_object_get(function, "arguments"));
    json_int_t at = json_is_integer(index) ? json_integer_value(index) : (json_int_t)json_array_size(reply->calls);
    if (at < 0 || at > (json_int_t)json_array_size(reply->calls)) return HN_OK;
    if (at == (json_int_t)json_array_size(reply->calls))
        return hn_remote_reply_call(reply, json_string_value(json_object_get(piece, "id")), name, more ? more : "",
                                    err);
    json_t *there = json_object_get(json_array_get(reply->calls, (size_t)at), "function");
    const json_t *old = json_object_get(there, "arguments");
    hn_buf text;
    hn_buf_init(&text, HN_REMOTE_TEXT_MAX);
    hn_buf_append(&text, json_string_value(old), json_string_length(old));
    hn_buf_append_str(&text, more ? more : "");
    bool fine = json_object_set_new(there, "arguments", json_stringn(hn_buf_str(&text), text.len)) == 0;
    hn_status st = hn_buf_check(&text, "the arguments of a call", err);
    hn_buf_free(&text);
    return st == HN_OK && !fine ? hn_fail_memory(err, 64) : st;
}

static hn_status read_event(const hn_remote_plan *plan, const char *event, const json_t *value, hn_remote_reply *reply,
                            hn_error *err) {
    const json_t *choice = json_array_get(json_object_get(value, "choices"), 0),
                 *delta = json_object_get(choice, "delta");
    (void)event;
    read_version(value, reply);
    read_usage(value, reply);
    if (!choice) return HN_OK; /* the last event has the usage alone */
    read_finish(choice, reply);
    hn_remote_reply_text(reply, plan->raw ? json_object_get(choice, "text") : json_object_get(delta, "content"));
    hn_remote_reply_text(reply, json_object_get(delta, "refusal"));
    const json_t *calls = json_object_get(delta, "tool_calls");
    for (size_t i = 0; i < json_array_size(calls); i++) HN_TRY(add_call_piece(json_array_get(calls, i), reply, err));
    return add_logprobs(choice, reply, err);
}

const hn_remote_dialect hn_openai_dialect = {
    .name = "openai", .write = write_request, .read = read_answer, .read_event = read_event, .path = path};
