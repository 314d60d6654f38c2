/* Loss masks; see loss_mask.h.
 * Surprise: what a template writes behind the end of a turn (a line end, as a rule) is not learned: generation has stopped by then. And only
 * up to that end must an answer's rendering be the beginning of the whole: some templates close the last turn with more than the others. */
#include "model/loss_mask.h"

#include "base/alloc.h"
#include "base/utf8.h"
#include "model/tool_calls.h"

#include <stdio.h>
#include <string.h>

struct hn_loss_masker {
    const hn_tokenizer *tokenizer;
    hn_jinja *jinja; /* NULL: no template */
    char *name;
    hn_tool_format format;
    int32_t end_of_turn;
};

/* Messages as text and as ids. */
typedef struct rendering {
    hn_buf text;
    hn_chat_spans spans;
    hn_tokens ids;
} rendering;

hn_status hn_loss_masker_create(const hn_tokenizer *tokenizer, const char *template_text, const char *name,
                                hn_loss_masker **masker, hn_error *err) {
    *masker = NULL;
    if (!tokenizer)
        return hn_fail(err, HN_ERR_UNSUPPORTED, name, "use a model with a tokenizer", "the model has no tokenizer");
    hn_loss_masker *m = hn_calloc(1, sizeof *m);
    if (!m) return hn_fail_memory(err, sizeof *m);
    m->tokenizer = tokenizer;
    m->end_of_turn = hn_tokenizer_eos(tokenizer);
    m->format = hn_tool_format_of(template_text);
    m->name = hn_strdup(name ? name : "the model");
    hn_status st = m->name ? HN_OK : hn_fail_memory(err, 0);
    if (st == HN_OK && template_text && *template_text) st = hn_chat_template(template_text, name, &m->jinja, err);
    if (st == HN_OK && m->jinja) m->end_of_turn = hn_chat_end_of_turn(m->jinja, tokenizer);
    if (st == HN_OK)
        *masker = m;
    else
        hn_loss_masker_free(m);
    return st;
}

void hn_loss_masker_free(hn_loss_masker *m) {
    if (!m) return;
    hn_jinja_free(m->jinja);
    hn_free(m->name);
    hn_free(m);
}

const hn_tokenizer *hn_loss_masker_tokenizer(const hn_loss_masker *m) { return m->tokenizer; }

void hn_loss_mask_free(hn_loss_mask *mask) {
    hn_tokens_free(&mask->ids);
    hn_free(mask->learned);
    hn_free(mask->answers);
    *mask = (hn_loss_mask){0};
}

static void rendering_free(rendering *r) {
    hn_buf_free(&r->text);
    hn_chat_spans_free(&r->spans);
    hn_tokens_free(&r->ids);
}

/* The first `n` messages; `asks`: with the start of the assistant's turn behind them. `r` is to be freed in every case. */
static hn_status render(const hn_loss_masker *m, const json_t *messages, size_t n, json_t *tools, bool asks,
                        rendering *r, hn_error *err) {
    hn_chat_options options;
    json_t *part = json_array();
    *r = (rendering){0};
    hn_buf_init(&r->text, 0);
    hn_chat_options_init(&options, m->tokenizer);
    options.tools = tools;
    options.add_generation_prompt = asks;
    hn_status st = part ? HN_OK : hn_fail_memory(err, 0);
    for (size_t i = 0; st == HN_OK && i < n; i++)
        if (json_array_append(part, json_array_get(messages, i)) != 0) st = hn_fail_memory(err, 0);
    if (st == HN_OK) st = hn_chat_render(m->jinja, part, &options, &r->text, &r->spans, err);
    if (st == HN_OK) st = hn_chat_tokenize(m->tokenizer, &r->text, &r->spans, &r->ids, err);
    json_decref(part);
    return st;
}

/* ---- errors ---- */

/* Up to 32 bytes from `at` for a message, control characters made visible. */
static void excerpt(const hn_buf *text, size_t at, char out[160]) {
    size_t n = 0, used = 0;
    const char *from = at < text->len ? text->data + at : "";
    if (at < text->len) n = hn_utf8_prefix(from, text->len - at, 32);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)from[i];
        if (c == '\n')
            used += (size_t)snprintf(out + used, 160 - used, "\\n");
        else if (c < 0x20 || c == 0x7F)
            used += (size_t)snprintf(out + used, 160 - used, "\\x%02x", c);
        else
            out[used++] = (char)c;
    }
    out[used] = 0;
}

static size_t common_bytes(const hn_buf *a, const hn_buf *b) {
    size_t i = 0, j;
    while (i < a->len && i < b->len && a->data[i] == b->data[i]) i++;
    for (j = i; j > 0 && j < a->len && ((unsigned char)a->data[j] & 0xC0) == 0x80; j--) /* to a character's start */
        ;
    return j;
}

static bool is_text_prefix(const hn_buf *a, const hn_buf *b) {
    return a->len <= b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static hn_status fail_merge(const char *where, hn_error *err) {
    return hn_fail(err, HN_ERR_INPUT, where, "take the white space at the answer's start away",
                   "the answer's beginning merges with the prompt's end into one token: "
                   "what is learned would not be what serving asks for");
}

/* What serving gives the model is not how the template writes the turns before this answer once it is there. */
static hn_status fail_before(const char *where, size_t i, const rendering *before, const rendering *after,
                             hn_error *err) {
    char place[384], a[160], b[160];
    snprintf(place, sizeof place, "%.320s: messages[%zu]", where, i);
    if (is_text_prefix(&before->text, &after->text)) return fail_merge(place, err);
    size_t at = common_bytes(&before->text, &after->text);
    excerpt(&before->text, at, a);
    excerpt(&after->text, at, b);
    return hn_fail(
        err, HN_ERR_TEMPLATE, place,
        "train through another base's template, or turn the row into one that serving would ask the same way",
        "this template changes earlier text: where serving asks for the answer it has \"%s\", in front of the "
        "answer it has \"%s\"",
        a, b);
}

static hn_status fail_later(const char *where, size_t i, const rendering *after, const rendering *whole,
                            hn_error *err) {
    char place[384], a[160], b[160];
    size_t at = common_bytes(&after->text, &whole->text);
    snprintf(place, sizeof place, "%.320s: messages[%zu]", where, i);
    excerpt(&after->text, at, a);
    excerpt(&whole->text, at, b);
    return hn_fail(
        err, HN_ERR_TEMPLATE, place,
        "give this message \"weight\": 0, or make a row of its own of the conversation up to it",
        "this template changes earlier text: it writes \"%s\" when the message is the last, \"%s\" once others follow",
        a, b);
}

/* ---- masks ---- */

static bool starts_with(const hn_tokens *whole, const hn_tokens *part, size_t n) {
    return n <= whole->n && n <= part->n && (n == 0 || memcmp(whole->ids, part->ids, n * sizeof *part->ids) == 0);
}

static hn_status mask_start(hn_loss_mask *mask, hn_error *err) {
    mask->learned = hn_calloc(mask->ids.n + 1, 1);
    return mask->learned ? HN_OK : hn_fail_memory(err, mask->ids.n);
}

/* Marks an answer; the first token of all follows from nothing and is never learned. */
static hn_status mask_add(hn_loss_mask *mask, hn_loss_answer answer, hn_error *err) {
    hn_loss_answer *grown = hn_realloc_array(mask->answers, mask->n_answers + 1, sizeof *grown);
    if (!grown) return hn_fail_memory(err, sizeof *grown);
    mask->answers = grown;
    if (answer.start == 0) answer.start = 1;
    for (size_t t = answer.start; t < answer.end; t++) {
        mask->n_learned += !mask->learned[t];
        mask->learned[t] = 1;
    }
    grown[mask->n_answers++] = answer;
    return HN_OK;
}

static bool is_end(const hn_loss_masker *m, int32_t id) {
    return id == m->end_of_turn || hn_tokenizer_is_end(m->tokenizer, id);
}

/* One assistant's message; `whole` are all messages rendered. */
static hn_status mask_message(const hn_loss_masker *m, const json_t *messages, size_t i, json_t *tools,
                              const char *where, const rendering *whole, hn_loss_mask *mask, hn_error *err) {
    rendering before, own = {0};
    bool last = i + 1 == json_array_size(messages);
    const rendering *after = last ? whole : &own;
    hn_status st = render(m, messages, i, tools, true, &before, err);
    if (st == HN_OK && !last) st = render(m, messages, i + 1, tools, false, &own, err);
    if (st != HN_OK && err) hn_error_prefix(err, where);
    if (st == HN_OK && !starts_with(&after->ids, &before.ids, before.ids.n))
        st = fail_before(where, i, &before, after, err);
    hn_loss_answer answer = {.start = before.ids.n, .end = before.ids.n, .message = (int)i};
    if (st == HN_OK) {
        while (answer.end < after->ids.n && !answer.has_end) answer.has_end = is_end(m, after->ids.ids[answer.end++]);
        if (!starts_with(&whole->ids, &after->ids, answer.end)) st = fail_later(where, i, after, whole, err);
    }
    if (st == HN_OK) st = mask_add(mask, answer, err);
    rendering_free(&before);
    rendering_free(&own);
    return st;
}

static hn_status need_template(const hn_loss_masker *m, hn_error *err) {
    if (m->jinja) return HN_OK;
    return hn_fail(err, HN_ERR_TEMPLATE, m->name,
                   "use a base with a chat template, or train on plain text ({\"text\": ...} rows, or a .txt file)",
                   "the model has no chat template");
}

static hn_status check_tools(const hn_loss_masker *m, json_t *tools, const char *where, hn_error *err) {
    if (!tools) return HN_OK;
    HN_TRY(hn_tools_check(tools, where, err));
    if (m->format != HN_TOOL_FORMAT_NONE) return HN_OK;
    return hn_fail(err, HN_ERR_TEMPLATE, where, "use a base whose chat template knows tools, or leave them out",
                   "the model's chat template would not show the tools to the model");
}

static hn_status mask_messages(const hn_loss_masker *m, const json_t *messages, const unsigned char *weight,
                               json_t *tools, const char *where, hn_loss_mask *mask, hn_error *err) {
    rendering whole;
    hn_status st = render(m, messages, json_array_size(messages), tools, false, &whole, err);
    if (st != HN_OK && err) hn_error_prefix(err, where);
    if (st == HN_OK && hn_tokens_append(&mask->ids, whole.ids.ids, whole.ids.n) != HN_OK)
        st = hn_fail_memory(err, whole.ids.n * sizeof *whole.ids.ids);
    if (st == HN_OK) st = mask_start(mask, err);
    for (size_t i = 0; st == HN_OK && i < json_array_size(messages); i++) {
        const char *role = json_string_value(json_object_get(json_array_get(messages, i), "role"));
        if (!role || strcmp(role, "assistant") != 0 || (weight && !weight[i])) continue;
        if (i == 0)
            st = hn_fail(err, HN_ERR_INPUT, where, "give it \"weight\": 0, or put the question in front of it",
                         "the conversation begins with an assistant's message, which serving is never asked for");
        else
            st = mask_message(m, messages, i, tools, where, &whole, mask, err);
    }
    rendering_free(&whole);
    return st;
}

hn_status hn_loss_mask_chat(const hn_loss_masker *m, json_t *messages, const unsigned char *weight, json_t *tools,
                            const char *where, hn_loss_mask *mask, hn_error *err) {
    json_t *converted;
    *mask = (hn_loss_mask){0};
    HN_TRY(need_template(m, err));
    HN_TRY(check_tools(m, tools, where, err));
    HN_TRY(hn_tool_calls_for_template(m->format, messages, &converted, err));
    hn_status st = mask_messages(m, converted, weight, tools, where, mask, err);
    json_decref(converted);
    if (st != HN_OK) hn_loss_mask_free(mask);
    return st;
}

/* Puts the answer's bytes behind the text, as data. */
static hn_status append_answer(rendering *r, const char *answer, hn_error *err) {
    size_t start = r->text.len;
    hn_buf_append_str(&r->text, answer);
    HN_TRY(hn_buf_check(&r->text, "an answer", err));
    if (r->text.len == start) return HN_OK;
    if (!hn_grow((void **)&r->spans.items, &r->spans.capacity, r->spans.n + 1, sizeof *r->spans.items))
        return hn_fail_memory(err, sizeof *r->spans.items);
    r->spans.items[r->spans.n++] = (hn_chat_span){.start = start, .end = r->text.len, .is_data = true, .message = -1};
    return HN_OK;
}

hn_status hn_loss_mask_answer(const hn_loss_masker *m, json_t *messages, json_t *tools, const char *answer,
                              const char *where, hn_loss_mask *mask, hn_error *err) {
    json_t *converted;
    rendering r;
    *mask = (hn_loss_mask){0};
    HN_TRY(need_template(m, err));
    HN_TRY(check_tools(m, tools, where, err));
    HN_TRY(hn_tool_calls_for_template(m->format, messages, &converted, err));
    hn_status st = render(m, converted, json_array_size(converted), tools, true, &r, err);
    if (st != HN_OK && err) hn_error_prefix(err, where);
    if (st == HN_OK) st = append_answer(&r, answer, err);
    if (st == HN_OK) st = hn_chat_tokenize(m->tokenizer, &r.text, &r.spans, &mask->ids, err);
    if (st == HN_OK && !starts_with(&mask->ids, &r.ids, r.ids.n)) st = fail_merge(where, err);
    if (st == HN_OK && m->end_of_turn >= 0 && hn_tokens_push(&mask->ids, m->end_of_turn) != HN_OK)
        st = hn_fail_memory(err, sizeof *mask->ids.ids);
    if (st == HN_OK) st = mask_start(mask, err);
    if (st == HN_OK)
        st = mask_add(
            mask, (hn_loss_answer){.start = r.ids.n, .end = mask->ids.n, .message = -1, .has_end = m->end_of_turn >= 0},
            err);
    rendering_free(&r);
    json_decref(converted);
    if (st != HN_OK) hn_loss_mask_free(mask);
    return st;
}

hn_status hn_loss_mask_raw(const hn_loss_masker *m, const char *prompt, const char *answer, const char *stop,
                           const char *where, hn_loss_mask *mask, hn_error *err) {
    hn_buf text;
    hn_tokens before = {0};
    *mask = (hn_loss_mask){0};
    hn_buf_init(&text, 0);
    hn_buf_append_str(&text, prompt);
    size_t n_prompt = text.len;
    hn_buf_append_str(&text, answer);
    hn_buf_append_str(&text, stop ? stop : "");
    hn_status st = hn_buf_check(&text, "a prompt", err);
    if (st == HN_OK) st = hn_tokenizer_encode(m->tokenizer, hn_buf_str(&text), n_prompt, HN_TOKENIZE_BOS, &before, err);
    if (st == HN_OK)
        st = hn_tokenizer_encode(m->tokenizer, hn_buf_str(&text), text.len, HN_TOKENIZE_BOS, &mask->ids, err);
    if (st == HN_OK && !starts_with(&mask->ids, &before, before.n))
        st = hn_fail(err, HN_ERR_INPUT, where,
                     "start the answer with a space, or end the prompt with a newline (a prompt that ends with a "
                     "space: move the space to the answer)",
                     "the answer's beginning merges with the prompt's end into one token: "
                     "what is learned would not be what serving asks for");
    if (st == HN_OK) st = mask_start(mask, err);
    if (st == HN_OK)
        st = mask_add(mask,
                      (hn_loss_answer){.start = before.n, .end = mask->ids.n, .message = -1, .has_end = stop && *stop},
                      err);
    hn_tokens_free(&before);
    hn_buf_free(&text);
    if (st != HN_OK) hn_loss_mask_free(mask);
    return st;
}

hn_status hn_loss_mask_text(const hn_loss_masker *m, const char *text, size_t n, hn_loss_mask *mask, hn_error *err) {
    int32_t eos = hn_tokenizer_eos(m->tokenizer);
    *mask = (hn_loss_mask){0};
    hn_status st = hn_tokenizer_encode(m->tokenizer, text, n, HN_TOKENIZE_BOS, &mask->ids, err);
    if (st == HN_OK && eos >= 0 && hn_tokens_push(&mask->ids, eos) != HN_OK) st = hn_fail_memory(err, sizeof eos);
    if (st == HN_OK) st = mask_start(mask, err);
    if (st == HN_OK && mask->ids.n > 1)
        st = mask_add(mask, (hn_loss_answer){.start = 1, .end = mask->ids.n, .message = -1, .has_end = eos >= 0}, err);
    if (st != HN_OK) hn_loss_mask_free(mask);
    return st;
}
