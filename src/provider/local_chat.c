/* Messages through the model's chat template; see local_parts.h. The template is compiled on first use: many commands never need it.
 * Control tokens come from the template alone: what a message says is ordinary text, whatever it looks like. */
#include "model/chat.h"
#include "provider/local_parts.h"

#include <string.h>

struct hn_chat_template {
    hn_jinja *jinja;
    int32_t end_of_turn;
};

static hn_status append_data(const char *text, hn_buf *out, hn_chat_spans *spans, hn_error *err) {
    size_t n = strlen(text), start = out->len;
    if (n == 0) return HN_OK;
    hn_buf_append(out, text, n);
    HN_TRY(hn_buf_check(out, "the prompt", err));
    if (!hn_grow((void **)&spans->items, &spans->capacity, spans->n + 1, sizeof *spans->items))
        return hn_fail_memory(err, sizeof *spans->items);
    spans->items[spans->n++] = (hn_chat_span){.start = start, .end = start + n, .is_data = true, .message = -1};
    return HN_OK;
}

static hn_status render(hn_local *p, json_t *messages, const hn_chat_options *options, const char *prefix,
                        hn_tokens *ids, hn_error *err) {
    const hn_tokenizer *tokenizer = hn_model_tokenizer(p->model);
    hn_buf text;
    hn_chat_spans spans = {0};
    hn_buf_init(&text, 0);
    hn_status st = hn_chat_render(p->chat->jinja, messages, options, &text, &spans, err);
    if (st == HN_OK && prefix) st = append_data(prefix, &text, &spans, err);
    if (st == HN_OK) st = hn_chat_tokenize(tokenizer, &text, &spans, ids, err);
    hn_chat_spans_free(&spans);
    hn_buf_free(&text);
    return st;
}

static hn_status need_chat(hn_local *p, hn_error *err) {
    if (p->chat) return HN_OK;
    struct hn_chat_template *chat = hn_calloc(1, sizeof *chat);
    if (!chat) return hn_fail_memory(err, sizeof *chat);
    hn_status st = hn_chat_template(hn_model_chat_template(p->model), hn_model_path(p->model), &chat->jinja, err);
    if (st != HN_OK) {
        hn_free(chat);
        return st;
    }
    p->chat = chat;
    chat->end_of_turn = hn_chat_end_of_turn(chat->jinja, hn_model_tokenizer(p->model));
    return HN_OK;
}

hn_tool_format hn_local_tool_format(const hn_local *p) { return hn_tool_format_of(hn_model_chat_template(p->model)); }

hn_status hn_local_messages_ids(hn_local *p, const hn_request *request, hn_tokens *ids, hn_error *err) {
    hn_chat_options options = {0};
    hn_tool_format format = hn_local_tool_format(p);
    json_t *messages;
    HN_TRY(need_chat(p, err));
    hn_chat_options_init(&options, hn_model_tokenizer(p->model));
    bool hidden = request->tool_choice && strcmp(request->tool_choice, "none") == 0;
    options.tools = hidden ? NULL : request->tools;
    options.extra = request->template_variables;
    options.add_generation_prompt = true;
    if (options.tools) HN_TRY(hn_tools_check(options.tools, "tools", err));
    if (options.tools && format == HN_TOOL_FORMAT_NONE)
        return hn_fail(err, HN_ERR_TEMPLATE, "tools", "use a model whose chat template knows tools, or leave them out",
                       "the model's chat template would not show the tools to the model");
    HN_TRY(hn_tool_calls_for_template(format, request->messages, &messages, err));
    hn_status st = render(p, messages, &options, request->assistant_prefix, ids, err);
    json_decref(messages);
    return st;
}

int32_t hn_local_end_of_turn(hn_local *p) {
    if (need_chat(p, NULL) == HN_OK) return p->chat->end_of_turn;
    return hn_tokenizer_eos(hn_model_tokenizer(p->model));
}

void hn_local_chat_close(hn_local *p) {
    if (!p->chat) return;
    hn_jinja_free(p->chat->jinja);
    hn_free(p->chat);
    p->chat = NULL;
}
