/* Tokens as a picture; see token_picture.h. Which message a token belongs to follows from its place in the rendered text: the pieces,
 * one after another, are that text (but for the one space that SentencePiece puts in front). */
#include "cli/token_picture.h"

#include "base/alloc.h"
#include "base/utf8.h"
#include "cli/inference.h"

#include <stdio.h>
#include <string.h>

enum { N_COLOURS = 5 };

static hn_status start(hn_token_picture *p, const hn_model *model, hn_error *err) {
    *p = (hn_token_picture){.tokenizer = hn_model_tokenizer(model), .context = hn_model_shape(model)->n_context};
    if (p->tokenizer) return HN_OK;
    return hn_fail(err, HN_ERR_UNSUPPORTED, hn_model_path(model), "use a model with a tokenizer",
                   "the model has no tokenizer");
}

hn_status hn_token_picture_text(hn_token_picture *p, const hn_model *model, const char *text, size_t n, unsigned flags,
                                hn_error *err) {
    HN_TRY(start(p, model, err));
    return hn_tokenizer_encode(p->tokenizer, text, n, flags, &p->ids, err);
}

static hn_status count_messages(hn_token_picture *p, const hn_buf *text, const hn_chat_spans *spans, json_t *messages,
                                hn_error *err) {
    size_t total = 0, at = 0, span = 0;
    p->n_messages = json_array_size(messages);
    p->messages = hn_calloc(p->n_messages + 1, sizeof *p->messages);
    p->message = hn_calloc(p->ids.n + 1, sizeof *p->message);
    if (!p->messages || !p->message) return hn_fail_memory(err, p->ids.n * sizeof *p->message);
    for (size_t i = 0; i < p->n_messages; i++) {
        const char *role = json_string_value(json_object_get(json_array_get(messages, i), "role"));
        snprintf(p->messages[i].role, sizeof p->messages[i].role, "%s", role ? role : "");
    }
    for (size_t i = 0; i < p->ids.n; i++) total += hn_tokenizer_piece(p->tokenizer, p->ids.ids[i]).len;
    size_t extra = total > text->len ? total - text->len : 0;
    for (size_t i = 0; i < p->ids.n; i++) {
        size_t place = at > extra ? at - extra : 0;
        while (span + 1 < spans->n && spans->items[span].end <= place) span++;
        int owner = spans->n ? spans->items[span].message : -1;
        if (owner < 0 || (size_t)owner >= p->n_messages) owner = -1;
        p->message[i] = owner;
        if (owner >= 0)
            p->messages[owner].n_tokens++;
        else
            p->n_template++;
        at += hn_tokenizer_piece(p->tokenizer, p->ids.ids[i]).len;
    }
    return HN_OK;
}

hn_status hn_token_picture_messages(hn_token_picture *p, const hn_model *model, json_t *messages,
                                    const hn_chat_options *options, hn_error *err) {
    hn_jinja *jinja = NULL;
    hn_buf text;
    hn_chat_spans spans = {0};
    HN_TRY(start(p, model, err));
    hn_buf_init(&text, 0);
    hn_status st = hn_chat_template(hn_model_chat_template(model), hn_model_path(model), &jinja, err);
    if (st == HN_OK) st = hn_chat_render(jinja, messages, options, &text, &spans, err);
    if (st == HN_OK) st = hn_chat_tokenize(p->tokenizer, &text, &spans, &p->ids, err);
    if (st == HN_OK) st = count_messages(p, &text, &spans, messages, err);
    hn_chat_spans_free(&spans);
    hn_buf_free(&text);
    hn_jinja_free(jinja);
    return st;
}

void hn_token_picture_free(hn_token_picture *p) {
    hn_tokens_free(&p->ids);
    hn_free(p->message);
    hn_free(p->messages);
    *p = (hn_token_picture){0};
}

static double share_of(const hn_token_picture *p) { return p->context > 0 ? (double)p->ids.n / p->context : 0; }

void hn_token_piece_show(hn_str piece, const char *line_end, hn_buf *out) {
    for (size_t i = 0; i < piece.len;) {
        uint32_t cp;
        size_t used;
        unsigned char c = (unsigned char)piece.data[i];
        if (c == '\n')
            hn_buf_append_str(out, line_end);
        else if (c == '\t')
            hn_buf_append_str(out, "\xE2\x87\xA5");
        else if (!hn_utf8_decode_strict(piece.data + i, piece.len - i, &cp, &used) || c < 0x20 || c == 0x7F)
            hn_buf_appendf(out, "<%02X>", c);
        else {
            hn_buf_append(out, piece.data + i, used);
            i += used;
            continue;
        }
        i++;
    }
}

static void print_chunks(const hn_token_picture *p, const hn_output *out, hn_buf *text) {
    static const int colours[N_COLOURS] = {153, 157, 222, 218, 189};
    for (size_t i = 0; i < p->ids.n; i++) {
        bool control = hn_tokenizer_kind(p->tokenizer, p->ids.ids[i]) == HN_TOKEN_CONTROL;
        hn_str piece = hn_tokenizer_piece(p->tokenizer, p->ids.ids[i]);
        if (out->colour && control)
            hn_buf_append_str(text, "\033[1;7m");
        else if (out->colour)
            hn_buf_appendf(text, "\033[30;48;5;%dm", colours[i % N_COLOURS]);
        else if (i && text->len && text->data[text->len - 1] != '\n')
            hn_buf_append_char(text, '|');
        hn_token_piece_show(piece, out->colour ? "\xE2\x8F\x8E\033[0m\n" : "\xE2\x8F\x8E\n", text);
        if (out->colour) hn_buf_append_str(text, "\033[0m");
    }
    if (text->len && text->data[text->len - 1] != '\n') hn_buf_append_char(text, '\n');
}

hn_status hn_token_picture_print(const hn_token_picture *p, hn_output *out, hn_error *err) {
    hn_buf text;
    hn_buf_init(&text, 0);
    print_chunks(p, out, &text);
    hn_status st = hn_buf_check(&text, "the picture", err);
    if (st == HN_OK) (void)hn_output_stream(text.data ? text.data : "", text.len);
    hn_buf_free(&text);
    if (st != HN_OK) return st;
    hn_output_print(out, "\n");
    if (p->message) {
        hn_table *table = hn_table_create(out);
        hn_table_column(table, "MESSAGE", HN_ALIGN_LEFT);
        hn_table_column(table, "TOKENS", HN_ALIGN_RIGHT);
        for (size_t i = 0; i < p->n_messages; i++) {
            hn_table_row(table);
            hn_table_cell(table, "%zu %s", i + 1, p->messages[i].role);
            hn_table_cell(table, "%zu", p->messages[i].n_tokens);
        }
        if (p->n_template) {
            hn_table_row(table);
            hn_table_cell(table, "the template's own");
            hn_table_cell(table, "%zu", p->n_template);
        }
        HN_TRY(hn_table_print(table, err));
    }
    hn_output_print(out, "%s%zu tokens%s", hn_output_style(out, HN_STYLE_BOLD), p->ids.n,
                    hn_output_style(out, HN_STYLE_NONE));
    if (p->context > 0)
        hn_output_print(out, ", %.1f %% of the context window of %d; %lld are left", 100 * share_of(p), p->context,
                        (long long)p->context - (long long)p->ids.n);
    hn_output_print(out, "\n");
    return HN_OK;
}

json_t *hn_token_picture_json(const hn_token_picture *p) {
    json_t *ids = json_array(), *messages = json_array();
    for (size_t i = 0; i < p->ids.n; i++) json_array_append_new(ids, json_integer(p->ids.ids[i]));
    for (size_t i = 0; i < p->n_messages; i++)
        json_array_append_new(messages, json_pack("{s:s,s:I}", "role", p->messages[i].role, "n_tokens",
                                                  (json_int_t)p->messages[i].n_tokens));
    return json_pack("{s:o,s:o,s:I,s:i,s:f,s:o,s:I}", "ids", ids, "pieces",
                     hn_cli_pieces_json(p->tokenizer, p->ids.ids, p->ids.n), "n_tokens", (json_int_t)p->ids.n,
                     "context", p->context, "share", share_of(p), "messages", messages, "template_tokens",
                     (json_int_t)p->n_template);
}

/* ---- the page ---- */

static const char page_style[] =
    "<style>\n"
    ":root{color-scheme:light dark;--c0:#b3d7ff;--c1:#b8f0c0;--c2:#ffe0a3;--c3:#ffc2dc;--c4:#d9d2ff;--ink:#111}\n"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\n"
    "pre{font:14px/1.9 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere}\n"
    "pre span{color:var(--ink);border-radius:3px;padding:2px 0}\n"
    ".c0{background:var(--c0)}.c1{background:var(--c1)}.c2{background:var(--c2)}.c3{background:var(--c3)}.c4{"
    "background:var(--c4)}\n"
    "pre .x{background:#333;color:#fff}\n"
    "table{border-collapse:collapse}td,th{padding:.2rem 1rem .2rem 0;text-align:left}td.n,th.n{text-align:right}\n"
    "</style>\n";

static void escape_html(const char *text, size_t n, hn_buf *out) {
    for (size_t i = 0; i < n; i++) {
        switch (text[i]) {
        case '&': hn_buf_append_str(out, "&amp;"); break;
        case '<': hn_buf_append_str(out, "&lt;"); break;
        case '>': hn_buf_append_str(out, "&gt;"); break;
        case '"': hn_buf_append_str(out, "&quot;"); break;
        default: hn_buf_append_char(out, text[i]);
        }
    }
}

void hn_token_picture_html(const hn_token_picture *p, const char *title, hn_buf *out) {
    hn_buf piece;
    hn_buf_init(&piece, 0);
    hn_buf_append_str(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
                           "content=\"width=device-width\">\n<title>");
    escape_html(title, strlen(title), out);
    hn_buf_appendf(out, "</title>\n%s</head><body>\n<h1>", page_style);
    escape_html(title, strlen(title), out);
    hn_buf_appendf(out, "</h1>\n<p><b>%zu tokens</b>", p->ids.n);
    if (p->context > 0) hn_buf_appendf(out, ", %.1f %% of the context window of %d", 100 * share_of(p), p->context);
    hn_buf_append_str(out, ". Point at a chunk to see its id.</p>\n<pre>");
    for (size_t i = 0; i < p->ids.n; i++) {
        bool control = hn_tokenizer_kind(p->tokenizer, p->ids.ids[i]) == HN_TOKEN_CONTROL;
        hn_str bytes = hn_tokenizer_piece(p->tokenizer, p->ids.ids[i]);
        hn_buf_clear(&piece);
        hn_token_piece_show(bytes, "\xE2\x8F\x8E\n", &piece);
        hn_buf_appendf(out, "<span class=\"%s\" title=\"%d\">",
                       control ? "x" : (const char *[]){"c0", "c1", "c2", "c3", "c4"}[i % N_COLOURS], p->ids.ids[i]);
        escape_html(hn_buf_str(&piece), piece.len, out);
        hn_buf_append_str(out, "</span>");
    }
    hn_buf_append_str(out, "</pre>\n");
    if (p->n_messages) hn_buf_append_str(out, "<table><tr><th>message</th><th class=\"n\">tokens</th></tr>\n");
    for (size_t i = 0; i < p->n_messages; i++) {
        hn_buf_append_str(out, "<tr><td>");
        escape_html(p->messages[i].role, strlen(p->messages[i].role), out);
        hn_buf_appendf(out, "</td><td class=\"n\">%zu</td></tr>\n", p->messages[i].n_tokens);
    }
    if (p->n_messages && p->n_template)
        hn_buf_appendf(out, "<tr><td>the template's own</td><td class=\"n\">%zu</td></tr>\n", p->n_template);
    if (p->n_messages) hn_buf_append_str(out, "</table>\n");
    hn_buf_append_str(out, "</body></html>\n");
    hn_buf_free(&piece);
}
