/* The Anthropic dialect: the messages API. Differences that matter here: the system text stands apart; max_tokens is required; tools and their results
 * are blocks of a message's content; a schema is asked for as a tool that must be called, whose input is the answer; prompt tokens are counted
 * without those that come from, or go to, the endpoint's cache; there are no log-probabilities. */
#include "base/str.h"
#include "provider/remote_parts.h"

#include <float.h>
#include <stdio.h>
#include <string.h>

static const char *path(const hn_remote_plan *plan) {
    (void)plan;
    return "/messages";
}

/* ---- messages ---- */

static json_t *text_block(const char *text) { return json_pack("{s:s, s:s}", "type", "text", "text", text); }

/* An earlier call, from the OpenAI form: its arguments are text there, an object here. */
static json_t *call_block(const json_t *call) {
    const json_t *function = json_object_get(call, "function"), *id = json_object_get(call, "id"),
                 *name = json_object_get(function, "name"), *arguments = json_object_get(function, "arguments");
    json_t *input = NULL;
    if (json_is_string(arguments) && hn_json_parse(json_string_value(arguments), json_string_length(arguments),
                                                   "arguments", 0, &input, NULL) != HN_OK)
        input = NULL;
    if (json_is_object(arguments)) input = json_incref((json_t *)(uintptr_t)arguments);
    if (!input) input = json_object();
    return json_pack("{s:s, s:s, s:s, s:o}", "type", "tool_use", "id",
                     json_is_string(id) ? json_string_value(id) : "call", "name",
                     json_is_string(name) ? json_string_value(name) : "", "input", input);
}

static json_t *assistant_content(const json_t *message) {
    const json_t *content = json_object_get(message, "content"), *calls = json_object_get(message, "tool_calls");
    if (json_array_size(calls) == 0) return json_incref((json_t *)(uintptr_t)content);
    json_t *blocks = json_array();
    bool fine = blocks != NULL;
    if (json_is_string(content) && json_string_length(content))
        fine = json_array_append_new(blocks, text_block(json_string_value(content))) == 0;
    for (size_t i = 0; fine && i < json_array_size(calls); i++)
        fine = json_array_append_new(blocks, call_block(json_array_get(calls, i))) == 0;
    if (fine) return blocks;
    json_decref(blocks);
    return NULL;
}

/* A tool's result is a user's block here; several in a row share a message. */
static bool add_result(json_t *list, const json_t *message) {
    json_t *last = json_array_get(list, json_array_size(list) - 1), *content = json_object_get(last, "content");
    const json_t *text = json_object_get(message, "content"), *id = json_object_get(message, "tool_call_id");
    json_t *block = json_pack("{s:s, s:s, s:s}", "type", "tool_result", "tool_use_id",
                              json_is_string(id) ? json_string_value(id) : "call", "content",
                              json_is_string(text) ? json_string_value(text) : "");
    const char *role = json_string_value(json_object_get(last, "role"));
    bool joins = role && strcmp(role, "user") == 0 && json_is_array(content);
    if (joins) return json_array_append_new(content, block) == 0;
    return json_array_append_new(list, json_pack("{s:s, s:[o]}", "role", "user", "content", block)) == 0;
}

static bool add_message(json_t *list, hn_buf *system, const json_t *message) {
    const char *role = json_string_value(json_object_get(message, "role"));
    const json_t *content = json_object_get(message, "content");
    if (!role) return true;
    if (strcmp(role, "system") == 0 || strcmp(role, "developer") == 0) {
        if (system->len) hn_buf_append_str(system, "\n\n");
        if (json_is_string(content)) hn_buf_append(system, json_string_value(content), json_string_length(content));
        return true;
    }
    if (strcmp(role, "tool") == 0) return add_result(list, message);
    json_t *given = assistant_content(message);
    return json_array_append_new(list, json_pack("{s:s, s:o}", "role", role, "content", given)) == 0;
}

/* What the answer starts with goes last, without blanks at its end, which the API refuses. */
static bool add_prefix(json_t *list, const char *prefix) {
    size_t n = prefix ? strlen(prefix) : 0;
    while (n > 0 && strchr(" \t\r\n", prefix[n - 1])) n--;
    if (n == 0) return true;
    return json_array_append_new(list, json_pack("{s:s, s:s%}", "role", "assistant", "content", prefix, n)) == 0;
}

static hn_status write_messages(const hn_request *r, json_t *body, hn_error *err) {
    json_t *list = json_array();
    hn_buf system;
    hn_buf_init(&system, 0);
    bool fine = list != NULL;
    for (size_t i = 0; fine && i < json_array_size(r->messages); i++)
        fine = add_message(list, &system, json_array_get(r->messages, i));
    fine = fine && add_prefix(list, r->assistant_prefix) && json_object_set(body, "messages", list) == 0;
    if (fine && system.len)
        fine = json_object_set_new(body, "system", json_stringn(hn_buf_str(&system), system.len)) == 0;
    fine = fine && hn_buf_status(&system) == HN_OK;
    hn_buf_free(&system);
    json_decref(list);
    return fine ? HN_OK : hn_fail_memory(err, 0);
}

/* ---- parameters ---- */

static hn_status check_request(const hn_remote_model *m, const hn_request *r, hn_error *err) {
    const hn_sampling *s = &r->sampling;
    bool penalty = s->repetition_penalty > 0 && (s->repetition_penalty < 1 || s->repetition_penalty > 1);
    const char *what = r->kind == HN_REQUEST_POOLED              ? "embeddings"
                       : s->min_p > 0                            ? "min_p"
                       : penalty                                 ? "repetition_penalty"
                       : s->n_bias                               ? "logit bias"
                       : r->n_top > 0 || r->want_logprobs        ? "log-probabilities"
                       : r->raw                                  ? "raw text: it takes messages"
                       : s->temperature > 1                      ? "temperature above 1"
                       : r->constraint.kind == HN_CONSTRAIN_GBNF ? "grammars"
                                                                 : NULL;
    if (!what) return HN_OK;
    return hn_fail(err, HN_ERR_UNSUPPORTED, m->name, "take it out, or use another model", "the messages API has no %s",
                   what);
}

static json_t *real_json(float value) {
    char text[32];
    double exact;
    snprintf(text, sizeof text, "%.*g", FLT_DIG, (double)value);
    return json_real(hn_parse_double(text, &exact) ? exact : (double)value);
}

static hn_status write_sampling(const hn_remote_model *m, const hn_request *r, json_t *body, hn_error *err) {
    const hn_sampling *s = &r->sampling;
    HN_TRY(hn_remote_set(m, body, "max_tokens", json_integer(hn_remote_max_tokens(m, r)), err));
    HN_TRY(hn_remote_set(m, body, "temperature", real_json(s->temperature), err));
    if (s->top_p > 0 && s->top_p < 1) HN_TRY(hn_remote_set(m, body, "top_p", real_json(s->top_p), err));
    if (s->top_k > 0) HN_TRY(hn_remote_set(m, body, "top_k", json_integer(s->top_k), err));
    json_t *stop = json_array();
    for (size_t i = 0; stop && i < r->n_stop; i++) {
        bool blank = r->stop[i][strspn(r->stop[i], " \t\r\n")] ==
                     0; /* refused by the API; an answer's line ends are trimmed when it is read */
        if (!blank && json_array_append_new(stop, json_string(r->stop[i])) != 0) {
            json_decref(stop);
            return hn_fail_memory(err, 0);
        }
    }
    if (json_array_size(stop)) return hn_remote_set(m, body, "stop_sequences", stop, err);
    json_decref(stop);
    return HN_OK;
}

/* ---- tools and shapes ---- */

static json_t *tool_json(const char *name, const char *description, json_t *schema) {
    json_t *tool = json_pack("{s:s, s:O}", "name", name, "input_schema", schema);
    if (tool && description) json_object_set_new(tool, "description", json_string(description));
    return tool;
}

static json_t *tools_json(const json_t *tools) {
    json_t *list = json_array(), *nothing = json_pack("{s:s}", "type", "object");
    bool fine = list && nothing;
    for (size_t i = 0; fine && i < json_array_size(tools); i++) {
        json_t *tool = json_array_get(tools, i), *function = json_object_get(tool, "function");
        if (!json_is_object(function)) function = tool;
        json_t *parameters = json_object_get(function, "parameters");
        const char *name = json_string_value(json_object_get(function, "name"));
        fine = json_array_append_new(list, tool_json(name ? name : "",
                                                     json_string_value(json_object_get(function, "description")),
                                                     json_is_object(parameters) ? parameters : nothing)) == 0;
    }
    json_decref(nothing);
    if (fine) return list;
    json_decref(list);
    return NULL;
}

static json_t *choice_json(const char *choice) {
    if (strcmp(choice, "auto") == 0 || strcmp(choice, "none") == 0) return json_pack("{s:s}", "type", choice);
    if (strcmp(choice, "required") == 0) return json_pack("{s:s}", "type", "any");
    return json_pack("{s:s, s:s}", "type", "tool", "name", choice);
}

static hn_status write_tools(const hn_request *r, json_t *body, hn_error *err) {
    if (!r->tools || json_array_size(r->tools) == 0) return HN_OK;
    bool fine = json_object_set_new(body, "tools", tools_json(r->tools)) == 0;
    if (fine && r->tool_choice) fine = json_object_set_new(body, "tool_choice", choice_json(r->tool_choice)) == 0;
    return fine ? HN_OK : hn_fail_memory(err, 0);
}

/* The shape of the answer as a tool of ours, beside no others. */
static hn_status write_constraint(const hn_remote_model *m, const hn_request *r, hn_remote_plan *plan, json_t *body,
                                  hn_error *err) {
    json_t *schema;
    if (r->constraint.kind == HN_CONSTRAIN_NONE || m->structured == HN_STRUCTURED_NONE) return HN_OK;
    if (r->tools)
        return hn_fail(err, HN_ERR_UNSUPPORTED, m->name, "leave one of them out",
                       "the messages API cannot be given tools and the shape of the answer together");
    HN_TRY(hn_remote_shape(&r->constraint, plan, &schema, err));
    if (!schema) return HN_OK;
    plan->by_tool = true;
    json_t *tool = tool_json(HN_REMOTE_FIELD, "Gives the answer.", schema);
    json_decref(schema);
    hn_status st =
        hn_remote_set(m, body, "max_tokens", json_integer(hn_remote_max_tokens(m, r) + HN_REMOTE_FRAME_TOKENS), err);
    if (st != HN_OK) {
        json_decref(tool);
        return st;
    }
    bool fine = json_object_set_new(body, "tools", json_pack("[o]", tool)) == 0 &&
                json_object_set_new(body, "tool_choice", choice_json(HN_REMOTE_FIELD)) == 0;
    return fine ? HN_OK : hn_fail_memory(err, 0);
}

static hn_status write_request(const hn_remote_model *m, const hn_request *r, hn_remote_plan *plan, json_t **out,
                               hn_error *err) {
    *out = NULL;
    HN_TRY(check_request(m, r, err));
    json_t *body = json_pack("{s:s}", "model", m->model);
    hn_status st = body ? write_messages(r, body, err) : hn_fail_memory(err, 0);
    if (st == HN_OK) st = write_sampling(m, r, body, err);
    if (st == HN_OK) st = write_tools(r, body, err);
    if (st == HN_OK) st = write_constraint(m, r, plan, body, err);
    if (st == HN_OK)
        *out = body;
    else
        json_decref(body);
    return st;
}

/* ---- the answer ---- */

static void read_usage(const json_t *usage, hn_remote_reply *reply) {
    if (!json_is_object(usage)) return;
    if (json_object_get(usage, "input_tokens")) {
        reply->usage.cached_prompt_tokens = hn_remote_count(usage, "cache_read_input_tokens");
        reply->cache_write_tokens = hn_remote_count(usage, "cache_creation_input_tokens");
        long long all = (long long)hn_remote_count(usage, "input_tokens") + reply->usage.cached_prompt_tokens +
                        reply->cache_write_tokens;
        reply->usage.prompt_tokens = all > 1 << 30 ? 1 << 30 : (int)all;
    }
    if (json_object_get(usage, "output_tokens"))
        reply->usage.completion_tokens = hn_remote_count(usage, "output_tokens");
}

static void read_version(const json_t *message, hn_remote_reply *reply) {
    const char *model = json_string_value(json_object_get(message, "model"));
    if (model) snprintf(reply->version, sizeof reply->version, "%s", model);
}

static void read_stop(const char *reason, hn_remote_reply *reply) {
    if (!reason) return;
    reply->ended = true;
    reply->finish = strcmp(reason, "max_tokens") == 0 ? HN_FINISH_LENGTH : HN_FINISH_STOP;
    reply->filtered = strcmp(reason, "refusal") == 0;
}

/* A call's input becomes the answer where it is the tool that stands for the shape, else a call in the OpenAI form. */
static hn_status take_call(const hn_remote_plan *plan, const json_t *block, const char *arguments, size_t n,
                           hn_remote_reply *reply, hn_error *err) {
    const char *name = json_string_value(json_object_get(block, "name"));
    if (plan->by_tool && name && strcmp(name, HN_REMOTE_FIELD) == 0) {
        hn_buf_clear(&reply->text);
        hn_buf_append(&reply->text, arguments, n);
        return HN_OK;
    }
    return hn_remote_reply_call(reply, json_string_value(json_object_get(block, "id")), name, n ? arguments : "{}",
                                err);
}

static hn_status read_block(const hn_remote_plan *plan, const json_t *block, hn_remote_reply *reply, hn_error *err) {
    const char *type = json_string_value(json_object_get(block, "type"));
    if (type && strcmp(type, "text") == 0 && !(plan->by_tool && reply->text.len))
        hn_remote_reply_text(reply, json_object_get(block, "text"));
    if (!type || strcmp(type, "tool_use") != 0) return HN_OK;
    hn_buf text;
    hn_buf_init(&text, HN_REMOTE_TEXT_MAX);
    hn_json_write(json_object_get(block, "input"), NULL, &text);
    hn_status st = hn_buf_check(&text, "a tool's input", err);
    if (st == HN_OK) st = take_call(plan, block, hn_buf_str(&text), text.len, reply, err);
    hn_buf_free(&text);
    return st;
}

static hn_status read_answer(const hn_remote_plan *plan, const json_t *value, hn_remote_reply *reply, hn_error *err) {
    const json_t *content = json_object_get(value, "content");
    if (!json_is_array(content))
        return hn_fail(err, HN_ERR_NETWORK, "content", "check the address: it should end before /messages",
                       "the answer has no `content`");
    read_version(value, reply);
    read_usage(json_object_get(value, "usage"), reply);
    read_stop(json_string_value(json_object_get(value, "stop_reason")), reply);
    reply->ended = true;
    for (size_t i = 0; i < json_array_size(content); i++)
        HN_TRY(read_block(plan, json_array_get(content, i), reply, err));
    return HN_OK;
}

/* ---- the stream ---- */

/* A tool call comes as its start, pieces of its input's JSON, and a stop. The call is kept, open, as the last of reply->calls. */
static hn_status start_block(const json_t *block, hn_remote_reply *reply, hn_error *err) {
    const char *type = json_string_value(json_object_get(block, "type"));
    if (!type || strcmp(type, "tool_use") != 0) return HN_OK;
    hn_buf_clear(&reply->input);
    return hn_remote_reply_call(reply, json_string_value(json_object_get(block, "id")),
                                json_string_value(json_object_get(block, "name")), "", err);
}

static hn_status add_delta(const json_t *delta, hn_remote_reply *reply, hn_error *err) {
    const json_t *piece = json_object_get(delta, "partial_json");
    hn_remote_reply_text(reply, json_object_get(delta, "text"));
    if (!json_is_string(piece)) return HN_OK;
    hn_buf_append(&reply->input, json_string_value(piece), json_string_length(piece));
    return hn_buf_check(&reply->input, "a tool's input", err);
}

static hn_status stop_block(hn_remote_reply *reply, hn_error *err) {
    json_t *last = json_array_get(reply->calls, json_array_size(reply->calls) - 1),
           *function = json_object_get(last, "function");
    const json_t *arguments = json_object_get(function, "arguments");
    if (!function || json_string_length(arguments) > 0) return HN_OK;
    const char *text = reply->input.len ? reply->input.data : "{}";
    bool fine = json_object_set_new(function, "arguments", json_string(text)) == 0;
    hn_buf_clear(&reply->input);
    return fine ? HN_OK : hn_fail_memory(err, 64);
}

static hn_status read_event(const hn_remote_plan *plan, const char *event, const json_t *value, hn_remote_reply *reply,
                            hn_error *err) {
    const char *type = json_string_value(json_object_get(value, "type"));
    (void)plan;
    if (!type) type = event;
    if (strcmp(type, "message_start") == 0) {
        const json_t *message = json_object_get(value, "message");
        read_version(message, reply);
        read_usage(json_object_get(message, "usage"), reply);
    } else if (strcmp(type, "content_block_start") == 0) {
        return start_block(json_object_get(value, "content_block"), reply, err);
    } else if (strcmp(type, "content_block_delta") == 0) {
        return add_delta(json_object_get(value, "delta"), reply, err);
    } else if (strcmp(type, "content_block_stop") == 0) {
        return stop_block(reply, err);
    } else if (strcmp(type, "message_delta") == 0) {
        read_usage(json_object_get(value, "usage"), reply);
        read_stop(json_string_value(json_object_get(json_object_get(value, "delta"), "stop_reason")), reply);
    }
    return HN_OK; /* ping, message_stop, and what later versions add */
}

const hn_remote_dialect hn_anthropic_dialect = {
    .name = "anthropic", .write = write_request, .read = read_answer, .read_event = read_event, .path = path};
