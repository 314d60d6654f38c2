/* Chat templates in use; see chat.h.
 * Surprise: `tools` and `documents` are always defined (none where absent), and a message's reasoning_content is
 * visible as `thinking` too: transformers does both, and published templates rely on it. */
#include "model/chat.h"

#include "base/alloc.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

void hn_chat_spans_free(hn_chat_spans *spans) {
    hn_free(spans->items);
    *spans = (hn_chat_spans){0};
}

static hn_str token_text(const hn_tokenizer *t, int32_t id) {
    return id < 0 ? hn_str_of("") : hn_tokenizer_piece(t, id);
}

/* A piece points into the tokenizer's texts, which stand without a NUL between them. */
void hn_chat_options_init(hn_chat_options *options, const hn_tokenizer *t) {
    hn_str bos = token_text(t, hn_tokenizer_bos(t)), eos = token_text(t, hn_tokenizer_eos(t));
    *options = (hn_chat_options){
        .bos = bos.len ? bos.data : NULL, .eos = eos.len ? eos.data : NULL, .bos_bytes = bos.len, .eos_bytes = eos.len};
}

/* A token's text need not be valid UTF-8; nothing behind it relies on that. */
static json_t *token_value(const char *text, size_t n) {
    return text ? json_stringn_nocheck(text, n ? n : strlen(text)) : json_string("");
}

hn_status hn_chat_template(const char *source, const char *name, hn_jinja **t, hn_error *err) {
    *t = NULL;
    if (!source || !*source)
        return hn_fail(err, HN_ERR_TEMPLATE, name,
                       "write `template: raw` in the prompt file, or use --raw, to give it plain text",
                       "the model has no chat template");
    char where[384];
    snprintf(where, sizeof where, "%.300s (chat template)", name);
    return hn_jinja_compile(source, strlen(source), where, t, err);
}

/* ---- rendering ---- */

/* A role that is nearly a usual one is a slip; others may be what the model's template wants. */
static hn_status check_role(const char *role, const char *where, hn_error *err) {
    static const char *const usual[] = {"system", "developer", "user", "assistant", "tool", "function"};
    char hint[64];
    size_t n = sizeof usual / sizeof *usual;
    for (size_t i = 0; i < n; i++)
        if (strcmp(role, usual[i]) == 0) return HN_OK;
    const char *near = hn_closest(role, usual, n);
    if (!near) return HN_OK;
    snprintf(hint, sizeof hint, "did you mean `%s`?", near);
    return hn_fail(err, HN_ERR_INPUT, where, hint, "the role `%.40s` is none that chat templates know", role);
}

/* Text, a list of parts, or null (an assistant's turn that only calls tools). */
static hn_status check_content(const json_t *message, const char *where, const char *role, hn_error *err) {
    static const char hint[] = "write {\"role\": \"user\", \"content\": \"...\"}";
    json_t *content = json_object_get(message, "content");
    if (json_is_string(content) || json_is_array(content)) return HN_OK;
    bool calls = strcmp(role, "assistant") == 0 && json_object_size(message) > (content ? 2u : 1u);
    if (calls && (!content || json_is_null(content))) return HN_OK;
    if (!content) return hn_fail(err, HN_ERR_INPUT, where, hint, "the message has no `content`");
    return hn_fail(err, HN_ERR_INPUT, where, hint, "`content` must be a text, it is %s", hn_json_type_text(content));
}

/* What rendering itself needs; a template may do without the rest. */
static hn_status check_roles(const json_t *messages, hn_error *err) {
    if (!json_is_array(messages))
        return hn_fail(err, HN_ERR_INPUT, "messages", "write [{\"role\": \"user\", \"content\": \"...\"}]",
                       "messages must be an array, not %s", hn_json_type_text(messages));
    for (size_t i = 0; i < json_array_size(messages); i++) {
        char where[48];
        const char *role;
        snprintf(where, sizeof where, "messages[%zu]", i);
        HN_TRY(hn_json_get_string(json_array_get(messages, i), where, "role", &role, err));
    }
    return HN_OK;
}

hn_status hn_chat_check_messages(const json_t *messages, const char *name, hn_error *err) {
    if (!json_is_array(messages) || json_array_size(messages) == 0)
        return hn_fail(err, HN_ERR_INPUT, name ? name : "messages",
                       "write [{\"role\": \"user\", \"content\": \"...\"}]",
                       "it must hold an array of messages, it is %s",
                       json_is_array(messages) ? "empty" : hn_json_type_text(messages));
    for (size_t i = 0; i < json_array_size(messages); i++) {
        char where[384];
        const char *role;
        const json_t *message = json_array_get(messages, i);
        snprintf(where, sizeof where, "%.300s: messages[%zu]", name, i);
        if (!json_is_object(message))
            return hn_fail(err, HN_ERR_INPUT, where, "write {\"role\": ..., \"content\": ...}",
                           "a message must be an object, it is %s", hn_json_type_text(message));
        HN_TRY(hn_json_get_string(message, where, "role", &role, err));
        HN_TRY(check_role(role, where, err));
        HN_TRY(check_content(message, where, role, err));
    }
    return HN_OK;
}

/* 0, or -1 where memory is used up: the convention of jansson, whose calls these are. */
static int set_thinking(json_t *messages) {
    for (size_t i = 0; i < json_array_size(messages); i++) {
        json_t *message = json_array_get(messages, i), *reasoning = json_object_get(message, "reasoning_content");
        if (!reasoning || json_object_get(message, "thinking")) continue;
        json_t *copy = json_copy(message);
        if (!copy || json_object_set(copy, "thinking", reasoning) != 0 || json_array_set(messages, i, copy) != 0) {
            json_decref(copy);
            return -1;
        }
        json_decref(copy);
    }
    return 0;
}

/* All variables of the template; NULL: memory is used up. */
static json_t *make_variables(json_t *messages, const hn_chat_options *o) {
    json_t *v = json_object(), *own = json_copy(messages);
    int failed = !v || !own || set_thinking(own);
    failed = failed || json_object_set(v, "messages", own) ||
             json_object_set_new(v, "tools", o->tools ? json_incref(o->tools) : json_null());
    failed = failed || json_object_set_new(v, "documents", json_null()) ||
             json_object_set_new(v, "add_generation_prompt", json_boolean(o->add_generation_prompt));
    failed = failed || json_object_set_new(v, "bos_token", token_value(o->bos, o->bos_bytes)) ||
             json_object_set_new(v, "eos_token", token_value(o->eos, o->eos_bytes));
    failed = failed || (o->extra && json_object_update(v, o->extra));
    json_decref(own);
    if (!failed) return v;
    json_decref(v);
    return NULL;
}

static const char *role_of(const json_t *messages, size_t i) {
    return json_string_value(json_object_get(json_array_get(messages, i), "role"));
}

/* The field's name as it stands in the caller's message, since the variables are gone after rendering. */
static const char *field_of(const json_t *messages, const hn_jinja_span *s) {
    if (!s->field) return NULL;
    void *it = json_object_iter_at(json_array_get(messages, s->element), s->field);
    return it ? json_object_iter_key(it) : strcmp(s->field, "thinking") == 0 ? "reasoning_content" : NULL;
}

/* Names that live as long as the program or the caller's objects. */
static const char *variable_of(const hn_chat_options *o, const char *variable) {
    static const char *const known[] = {"tools", "documents", "messages"};
    void *it = o->extra ? json_object_iter_at(o->extra, variable) : NULL;
    if (it) return json_object_iter_key(it);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(variable, known[i]) == 0) return known[i];
    return NULL;
}

static hn_chat_span to_chat_span(const hn_jinja_span *s, const json_t *messages, const hn_chat_options *o) {
    hn_chat_span span = {.start = s->start, .end = s->end, .is_data = s->is_data, .message = -1};
    if (!s->variable) return span;
    bool given = o->extra && json_object_get(o->extra, s->variable);
    if (strcmp(s->variable, "messages") == 0 && !given && s->element < json_array_size(messages)) {
        span.message = (int)s->element;
        span.role = role_of(messages, s->element);
        span.field = s->is_data ? field_of(messages, s) : NULL;
    } else if (s->is_data) {
        span.is_data = given || (strcmp(s->variable, "bos_token") != 0 && strcmp(s->variable, "eos_token") != 0);
        span.field = span.is_data ? variable_of(o, s->variable) : NULL;
    }
    return span;
}

static bool push_span(hn_chat_spans *spans, hn_chat_span span) {
    hn_chat_span *last = spans->n ? &spans->items[spans->n - 1] : NULL;
    if (last && last->end == span.start && last->is_data == span.is_data && last->message == span.message &&
        last->field == span.field) {
        last->end = span.end;
        return true;
    }
    if (!hn_grow((void **)&spans->items, &spans->capacity, spans->n + 1, sizeof *spans->items)) return false;
    spans->items[spans->n++] = span;
    return true;
}

hn_status hn_chat_render(const hn_jinja *t, json_t *messages, const hn_chat_options *options, hn_buf *out,
                         hn_chat_spans *spans, hn_error *err) {
    HN_TRY(check_roles(messages, err));
    json_t *variables = make_variables(messages, options);
    if (!variables) return hn_fail_memory(err, 0);
    hn_jinja_spans found = {0};
    hn_jinja_options jinja = {.has_now = options->has_now, .now = options->now};
    size_t before = out->len;
    hn_status st = hn_jinja_render(t, variables, &jinja, out, spans ? &found : NULL, err);
    if (spans) spans->n = 0;
    for (size_t i = 0; spans && st == HN_OK && i < found.n; i++)
        if (!push_span(spans, to_chat_span(&found.items[i], messages, options))) {
            hn_buf_truncate(out, before);
            spans->n = 0;
            st = hn_fail_memory(err, spans->n * sizeof *spans->items);
        }
    hn_jinja_spans_free(&found);
    json_decref(variables);
    return st;
}

/* ---- tokens ---- */

hn_status hn_chat_tokenize(const hn_tokenizer *t, const hn_buf *text, const hn_chat_spans *spans, hn_tokens *ids,
                           hn_error *err) {
    hn_text_range *trusted = hn_calloc(spans->n + 1, sizeof *trusted);
    size_t n = 0;
    if (!trusted) return hn_fail_memory(err, (spans->n + 1) * sizeof *trusted);
    for (size_t i = 0; i < spans->n; i++) {
        const hn_chat_span *s = &spans->items[i];
        if (s->is_data) continue;
        if (n && trusted[n - 1].end == s->start)
            trusted[n - 1].end = s->end; /* two spans of the template's are one text */
        else
            trusted[n++] = (hn_text_range){s->start, s->end};
    }
    hn_status st = hn_tokenizer_encode_trusted(t, hn_buf_str(text), text->len, trusted, n, 0, ids, err);
    hn_free(trusted);
    return st;
}

int32_t hn_chat_end_of_turn(const hn_jinja *t, const hn_tokenizer *tokenizer) {
    static const char mark[] = "hone-end-of-turn";
    hn_chat_options options = {0};
    hn_tokens ids = {0};
    hn_buf text, rest;
    int32_t found = hn_tokenizer_eos(tokenizer);
    json_t *messages =
        json_pack("[{s:s,s:s},{s:s,s:s}]", "role", "user", "content", "x", "role", "assistant", "content", mark);
    hn_chat_options_init(&options, tokenizer);
    hn_buf_init(&text, 0);
    hn_buf_init(&rest, 0);
    const char *at = messages && hn_chat_render(t, messages, &options, &text, NULL, NULL) == HN_OK
                         ? strstr(hn_buf_str(&text), mark)
                         : NULL;
    if (at) hn_buf_append_str(&rest, at + strlen(mark));
    if (rest.len && hn_tokenizer_encode(tokenizer, rest.data, rest.len, HN_TOKENIZE_SPECIAL, &ids, NULL) == HN_OK)
        for (size_t i = ids.n; i-- > 0;)
            if (hn_tokenizer_kind(tokenizer, ids.ids[i]) == HN_TOKEN_CONTROL) found = ids.ids[i];
    json_decref(messages);
    hn_tokens_free(&ids);
    hn_buf_free(&text);
    hn_buf_free(&rest);
    return found;
}
