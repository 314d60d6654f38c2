/* Rows of training data in their formats; see train_rows.h. All conversations become the OpenAI API's messages, which is what chat templates
 * take. A message's weight leaves the message: templates must not see it. */
#include "project/train_rows.h"

#include "base/alloc.h"
#include "base/str.h"
#include "model/chat.h"
#include "model/tool_calls.h"

#include <stdio.h>
#include <string.h>

enum { MESSAGES_MAX = 1024 }; /* of a row: each answer is rendered with all that stands before it */

static const char HINT_FORMATS[] =
    "write {\"messages\": [...]}, {\"conversations\": [...]}, {\"instruction\", \"output\"}, "
    "{\"prompt\", \"chosen\", \"rejected\"} or {\"text\"}";

static bool has(const json_t *value, const char *key) { return json_object_get(value, key) != NULL; }

static bool is_format(hn_train_format f, const json_t *v) {
    switch (f) {
    case HN_TRAIN_CHAT: return has(v, "messages");
    case HN_TRAIN_SHAREGPT: return has(v, "conversations");
    case HN_TRAIN_ALPACA: return has(v, "instruction");
    case HN_TRAIN_PREFERENCE:
        return (has(v, "prompt") && (has(v, "chosen") || has(v, "rejected"))) ||
               (has(v, "input") && has(v, "preferred_output"));
    case HN_TRAIN_TEXT_ROWS: return has(v, "text");
    case HN_TRAIN_TEXT: return false;
    }
    return false;
}

static hn_status need_object(const json_t *value, const char *where, hn_error *err) {
    if (json_is_object(value)) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, where, HINT_FORMATS, "a row must be an object, it is %s",
                   hn_json_type_text(value));
}

hn_status hn_train_rows_recognise(const json_t *value, const char *where, hn_train_format *format, hn_error *err) {
    /* Preference rows may carry `messages` beside; a plain `text` beside a conversation is its rendering. */
    static const hn_train_format order[] = {HN_TRAIN_PREFERENCE, HN_TRAIN_CHAT, HN_TRAIN_SHAREGPT, HN_TRAIN_ALPACA,
                                            HN_TRAIN_TEXT_ROWS};
    HN_TRY(need_object(value, where, err));
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        *format = order[i];
        if (is_format(order[i], value)) return HN_OK;
    }
    hn_buf fields;
    hn_buf_init(&fields, 300);
    void *it = json_object_iter((json_t *)value);
    for (; it; it = json_object_iter_next((json_t *)value, it))
        hn_buf_appendf(&fields, "%s`%.40s`", fields.len ? ", " : "", json_object_iter_key(it));
    hn_status st = hn_fail(err, HN_ERR_INPUT, where, HINT_FORMATS,
                           "the row's fields (%.250s) are of no format of training data that is known",
                           fields.len ? hn_buf_str(&fields) : "none");
    hn_buf_free(&fields);
    return st;
}

/* ---- messages ---- */

/* A message's `weight`, taken out of a copy where it is there. */
static hn_status take_weight(json_t *messages, size_t i, const char *where, unsigned char *weight, hn_error *err) {
    json_t *message = json_array_get(messages, i), *given = json_object_get(message, "weight");
    const char *role = json_string_value(json_object_get(message, "role"));
    bool assistant = role && strcmp(role, "assistant") == 0;
    char field[384];
    *weight = assistant;
    if (!given) return HN_OK;
    snprintf(field, sizeof field, "%.320s: messages[%zu].weight", where, i);
    if (!assistant && !json_is_null(given))
        return hn_fail(err, HN_ERR_INPUT, field, "leave it out: only an assistant's messages are learned",
                       "a weight stands at a message of the role `%.40s`", role ? role : "");
    if (!json_is_null(given)) {
        double value = json_is_number(given) ? json_number_value(given) : -1;
        if (!(value == 0 || value == 1)) {
            char found[48] = "";
            if (json_is_number(given)) snprintf(found, sizeof found, "%g", value);
            return hn_fail(err, HN_ERR_INPUT, field, "write 1 (learned, the default) or 0 (only read)",
                           "a weight must be 0 or 1, it is %s", *found ? found : hn_json_type_text(given));
        }
        *weight = value == 1;
    }
    json_t *copy = json_copy(message);
    if (!copy || json_object_del(copy, "weight") != 0 || json_array_set(messages, i, copy) != 0) {
        json_decref(copy);
        return hn_fail_memory(err, sizeof *copy);
    }
    json_decref(copy);
    return HN_OK;
}

/* Checks a list of messages and copies it (*out, a new reference) without weights; weight (messages) is the caller's, NULL: not wanted. */
static hn_status take_messages(const json_t *list, const char *where, const char *field, json_t **out,
                               unsigned char **weight, hn_error *err) {
    char place[384];
    snprintf(place, sizeof place, "%.320s: %s", where, field);
    HN_TRY(hn_chat_check_messages(list, place, err));
    size_t n = json_array_size(list);
    if (n > MESSAGES_MAX)
        return hn_fail(err, HN_ERR_LIMIT, place, "split the conversation over several rows",
                       "it has %zu messages, the limit is %d", n, MESSAGES_MAX);
    unsigned char *found = hn_calloc(n, 1);
    *out = json_copy((json_t *)list);
    hn_status st = found && *out ? HN_OK : hn_fail_memory(err, n);
    for (size_t i = 0; st == HN_OK && i < n; i++) st = take_weight(*out, i, where, &found[i], err);
    if (weight && st == HN_OK)
        *weight = found;
    else
        hn_free(found);
    return st;
}

static hn_status take_tools(const json_t *holder, const char *where, hn_train_row *row, hn_error *err) {
    char field[384];
    json_t *tools = json_object_get(holder, "tools");
    if (has(holder, "functions"))
        return hn_fail(err, HN_ERR_INPUT, where, "write them as `tools`, and calls as `tool_calls`",
                       "`functions` is the older form of tools, which is not read");
    if (!tools || json_is_null(tools)) return HN_OK;
    snprintf(field, sizeof field, "%.320s: tools", where);
    HN_TRY(hn_tools_check(tools, field, err));
    if (json_array_size(tools)) row->tools = json_incref(tools);
    return HN_OK;
}

static hn_status fill_chat(json_t *value, const char *where, hn_train_row *row, hn_error *err) {
    HN_TRY(take_messages(json_object_get(value, "messages"), where, "messages", &row->messages, &row->weight, err));
    return take_tools(value, where, row, err);
}

/* Appends {role, content}. */
static hn_status add_message(json_t *messages, const char *role, const char *content, hn_error *err) {
    json_t *message = json_pack("{s:s,s:s}", "role", role, "content", content);
    if (message && json_array_append_new(messages, message) == 0) return HN_OK;
    return hn_fail_memory(err, strlen(content));
}

/* An optional text `system` as the first message. */
static hn_status add_system(const json_t *value, const char *where, json_t *messages, hn_error *err) {
    const char *system = NULL;
    HN_TRY(hn_json_opt_string(value, where, "system", &system, err));
    return system && *system ? add_message(messages, "system", system, err) : HN_OK;
}

/* ---- ShareGPT ---- */

static const char *role_of_sharegpt(const char *from) {
    static const char *const known[][2] = {{"human", "user"},
                                           {"user", "user"},
                                           {"gpt", "assistant"},
                                           {"assistant", "assistant"},
                                           {"chatgpt", "assistant"},
                                           {"bing", "assistant"},
                                           {"bard", "assistant"},
                                           {"model", "assistant"},
                                           {"bot", "assistant"},
                                           {"system", "system"},
                                           {"tool", "tool"},
                                           {"observation", "tool"},
                                           {"function_response", "tool"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i][0], from) == 0) return known[i][1];
    return NULL;
}

static hn_status add_turn(const json_t *turn, const char *where, json_t *messages, hn_error *err) {
    const char *from, *value;
    HN_TRY(need_object(turn, where, err));
    HN_TRY(hn_json_get_string(turn, where, "from", &from, err));
    HN_TRY(hn_json_get_string(turn, where, "value", &value, err));
    const char *role = role_of_sharegpt(from);
    if (!role)
        return hn_fail(err, HN_ERR_INPUT, where,
                       strcmp(from, "function_call") == 0 ? "write the row as OpenAI messages with `tool_calls`"
                                                          : "use human, gpt, system or tool",
                       "`from` is `%.40s`, which is no speaker that is known", from);
    json_t *weight = json_object_get(turn, "weight");
    HN_TRY(add_message(messages, role, value, err));
    json_t *made = json_array_get(messages, json_array_size(messages) - 1);
    return !weight || json_object_set(made, "weight", weight) == 0 ? HN_OK : hn_fail_memory(err, 0);
}

static hn_status fill_sharegpt(json_t *value, const char *where, hn_train_row *row, hn_error *err) {
    json_t *turns, *messages;
    HN_TRY(hn_json_get_array(value, where, "conversations", &turns, err));
    messages = json_array();
    hn_status st = messages ? add_system(value, where, messages, err) : hn_fail_memory(err, 0);
    for (size_t i = 0; st == HN_OK && i < json_array_size(turns); i++) {
        char place[384];
        snprintf(place, sizeof place, "%.320s: conversations[%zu]", where, i);
        st = add_turn(json_array_get(turns, i), place, messages, err);
    }
    if (st == HN_OK) st = take_messages(messages, where, "conversations", &row->messages, &row->weight, err);
    json_decref(messages);
    return st == HN_OK ? take_tools(value, where, row, err) : st;
}

/* ---- Alpaca ---- */

static hn_status fill_alpaca(json_t *value, const char *where, hn_train_row *row, hn_error *err) {
    const char *instruction, *input = NULL, *output;
    hn_buf question;
    HN_TRY(hn_json_get_string(value, where, "instruction", &instruction, err));
    HN_TRY(hn_json_opt_string(value, where, "input", &input, err));
    HN_TRY(hn_json_get_string(value, where, "output", &output, err));
    if (json_array_size(json_object_get(value, "history")))
        return hn_fail(err, HN_ERR_INPUT, where, "write the row as OpenAI messages, with the earlier turns in them",
                       "`history` of an Alpaca row is not read");
    hn_buf_init(&question, 0);
    hn_buf_append_str(&question, instruction);
    if (input && *input) hn_buf_appendf(&question, "\n\n%s", input);
    hn_status st = hn_buf_check(&question, "an instruction", err);
    row->messages = json_array();
    if (st == HN_OK && !row->messages) st = hn_fail_memory(err, 0);
    if (st == HN_OK) st = add_system(value, where, row->messages, err);
    if (st == HN_OK) st = add_message(row->messages, "user", hn_buf_str(&question), err);
    if (st == HN_OK) st = add_message(row->messages, "assistant", output, err);
    hn_buf_free(&question);
    HN_TRY(st);
    size_t n = json_array_size(row->messages);
    row->weight = hn_calloc(n, 1);
    if (!row->weight) return hn_fail_memory(err, n);
    row->weight[n - 1] = 1;
    return HN_OK;
}

/* ---- preferences ---- */

/* A side or a prompt: a text that becomes one message of `role`, or messages. */
static hn_status take_side(const json_t *value, const char *where, const char *field, const char *role, json_t **out,
                           hn_error *err) {
    char place[384];
    snprintf(place, sizeof place, "%.320s: %s", where, field);
    if (!value) return hn_fail(err, HN_ERR_INPUT, place, "give a text or an array of messages", "the field is missing");
    if (json_is_array(value)) return take_messages(value, where, field, out, NULL, err);
    if (!json_is_string(value))
        return hn_fail(err, HN_ERR_INPUT, place, "give a text or an array of messages",
                       "it must be a text or messages, it is %s", hn_json_type_text(value));
    *out = json_array();
    if (!*out) return hn_fail_memory(err, 0);
    return add_message(*out, role, json_string_value(value), err);
}

static hn_status check_sides(const hn_train_row *row, const char *where, const char *chosen, const char *rejected,
                             hn_error *err) {
    const json_t *sides[] = {row->chosen, row->rejected};
    const char *names[] = {chosen, rejected};
    for (int s = 0; s < 2; s++) {
        const char *role = json_string_value(json_object_get(json_array_get(sides[s], 0), "role"));
        char place[384];
        snprintf(place, sizeof place, "%.320s: %s[0]", where, names[s]);
        if (!role || strcmp(role, "assistant") != 0)
            return hn_fail(err, HN_ERR_INPUT, place, "leave the prompt's messages out of the two answers",
                           "an answer must begin with the assistant's message, its role is `%.40s`", role ? role : "");
    }
    if (json_equal(row->chosen, row->rejected))
        return hn_fail(err, HN_ERR_INPUT, where, "leave the row out",
                       "`%s` and `%s` are the same: there is no preference to learn", chosen, rejected);
    return HN_OK;
}

static hn_status fill_preference(json_t *value, const char *where, hn_train_row *row, hn_error *err) {
    bool openai = has(value, "preferred_output") || has(value, "non_preferred_output");
    const char *chosen = openai ? "preferred_output" : "chosen";
    const char *rejected = openai ? "non_preferred_output" : "rejected";
    json_t *prompt = json_object_get(value, openai ? "input" : "prompt");
    const json_t *tools = openai && json_is_object(prompt) ? prompt : value;
    const char *field = openai && json_is_object(prompt) ? "input.messages" : openai ? "input" : "prompt";
    if (openai && json_is_object(prompt)) prompt = json_object_get(prompt, "messages");
    HN_TRY(take_side(prompt, where, field, "user", &row->messages, err));
    HN_TRY(take_side(json_object_get(value, chosen), where, chosen, "assistant", &row->chosen, err));
    HN_TRY(take_side(json_object_get(value, rejected), where, rejected, "assistant", &row->rejected, err));
    HN_TRY(take_tools(tools, where, row, err));
    return check_sides(row, where, chosen, rejected, err);
}

static hn_status fill_text(json_t *value, const char *where, hn_train_row *row, hn_error *err) {
    HN_TRY(hn_json_get_string(value, where, "text", &row->text, err));
    row->n_text = strlen(row->text);
    if (row->n_text) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, where, "leave the row out", "`text` is empty");
}

hn_status hn_train_rows_fill(hn_train_format format, json_t *value, const char *where, hn_train_row *row,
                             hn_error *err) {
    HN_TRY(need_object(value, where, err));
    row->source = json_incref(value);
    if (!is_format(format, value))
        return hn_fail(err, HN_ERR_INPUT, where, "write all rows of a file in one format",
                       "the row is not of the first row's format (%s)", hn_train_format_text(format));
    switch (format) {
    case HN_TRAIN_CHAT: return fill_chat(value, where, row, err);
    case HN_TRAIN_SHAREGPT: return fill_sharegpt(value, where, row, err);
    case HN_TRAIN_ALPACA: return fill_alpaca(value, where, row, err);
    case HN_TRAIN_PREFERENCE: return fill_preference(value, where, row, err);
    case HN_TRAIN_TEXT_ROWS: return fill_text(value, where, row, err);
    case HN_TRAIN_TEXT: break;
    }
    return hn_fail(err, HN_ERR_INTERNAL, where, NULL, "a row of plain text");
}
