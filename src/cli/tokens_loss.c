/* The loss mask as an overlay; see tokens_loss.h. */
#include "cli/tokens_loss.h"

#include "cli/inference.h"
#include "cli/token_picture.h"
#include "lifecycle/prompt/prompt_view.h"
#include "project/train_mask.h"

#include <stdio.h>
#include <string.h>

typedef struct overlay {
    const hn_tokenizer *tokenizer;
    hn_loss_mask mask;
    json_t *messages; /* that answers name, or NULL */
    bool is_text;     /* plain text: it is learned as a whole */
} overlay;

static void overlay_free(overlay *o) {
    hn_loss_mask_free(&o->mask);
    json_decref(o->messages);
    *o = (overlay){0};
}

/* Ends a learned stretch: before the line end that it shows itself. */
static void close_stretch(hn_buf *text) {
    bool line_end = text->len && text->data[text->len - 1] == '\n';
    if (line_end) hn_buf_truncate(text, text->len - 1);
    hn_buf_append_str(text, line_end ? "]]\n" : "]]");
}

static void append_tokens(const overlay *o, const hn_output *out, hn_buf *text) {
    bool inside = false;
    for (size_t i = 0; i < o->mask.ids.n; i++) {
        bool learned = o->mask.learned[i] != 0;
        if (out->colour) {
            hn_buf_append_str(text, learned ? "\033[30;48;5;157m" : "\033[2m");
        } else {
            bool line_start = text->len == 0 || text->data[text->len - 1] == '\n';
            if (learned && !inside)
                hn_buf_append_str(text, "[[");
            else if (inside && !learned)
                close_stretch(text);
            else if (!line_start)
                hn_buf_append_char(text, '|');
            inside = learned;
        }
        hn_token_piece_show(hn_tokenizer_piece(o->tokenizer, o->mask.ids.ids[i]),
                            out->colour ? "\xE2\x8F\x8E\033[0m\n" : "\xE2\x8F\x8E\n", text);
        if (out->colour) hn_buf_append_str(text, "\033[0m");
    }
    if (inside) close_stretch(text);
    if (text->len && text->data[text->len - 1] != '\n') hn_buf_append_char(text, '\n');
}

static const char *role_of(const overlay *o, int message) {
    const char *role = json_string_value(json_object_get(json_array_get(o->messages, (size_t)message), "role"));
    return role ? role : "";
}

/* One line an answer: how much of it is learned, and the token that ends it. */
static hn_status print_answers(const overlay *o, hn_output *out, hn_error *err) {
    hn_table *table = hn_table_create(out);
    hn_buf end;
    hn_buf_init(&end, 0);
    hn_table_column(table, "LEARNED", HN_ALIGN_LEFT);
    hn_table_column(table, "TOKENS", HN_ALIGN_RIGHT);
    hn_table_column(table, "ENDS WITH", HN_ALIGN_LEFT);
    for (size_t i = 0; i < o->mask.n_answers; i++) {
        const hn_loss_answer *a = &o->mask.answers[i];
        hn_table_row(table);
        if (a->message >= 0)
            hn_table_cell(table, "message %d, %s", a->message + 1, role_of(o, a->message));
        else
            hn_table_cell(table, o->is_text ? "the text" : "the answer");
        hn_table_cell(table, "%zu", a->end - a->start);
        hn_buf_clear(&end);
        if (a->has_end && a->end)
            hn_token_piece_show(hn_tokenizer_piece(o->tokenizer, o->mask.ids.ids[a->end - 1]), "\xE2\x8F\x8E", &end);
        hn_table_cell(table, "%s", a->has_end ? hn_buf_str(&end) : "no end: the model would not learn to stop");
        if (!a->has_end) hn_table_row_style(table, HN_STYLE_WARN);
    }
    hn_buf_free(&end);
    return hn_table_print(table, err);
}

static hn_status print_overlay(const overlay *o, hn_output *out, hn_error *err) {
    hn_buf text;
    hn_buf_init(&text, 0);
    append_tokens(o, out, &text);
    hn_status st = hn_buf_check(&text, "the picture", err);
    if (st == HN_OK) (void)hn_output_stream(hn_buf_str(&text), text.len);
    hn_buf_free(&text);
    HN_TRY(st);
    hn_output_print(out, "\n");
    if (o->mask.n_answers) HN_TRY(print_answers(o, out, err));
    double share = o->mask.ids.n ? 100.0 * (double)o->mask.n_learned / (double)o->mask.ids.n : 0;
    hn_output_print(out, "%s%zu of %zu tokens%s are learned (%.1f %%), the others only read\n",
                    hn_output_style(out, HN_STYLE_BOLD), o->mask.n_learned, o->mask.ids.n,
                    hn_output_style(out, HN_STYLE_NONE), share);
    return HN_OK;
}

/* {"ids","pieces","learned","n_tokens","n_learned","answers"}; NULL: memory is used up. */
static json_t *overlay_json(const overlay *o) {
    json_t *ids = json_array(), *learned = json_array(), *answers = json_array();
    for (size_t i = 0; i < o->mask.ids.n; i++) {
        json_array_append_new(ids, json_integer(o->mask.ids.ids[i]));
        json_array_append_new(learned, json_integer(o->mask.learned[i]));
    }
    for (size_t i = 0; i < o->mask.n_answers; i++) {
        const hn_loss_answer *a = &o->mask.answers[i];
        json_array_append_new(
            answers, json_pack("{s:o,s:I,s:I,s:b}", "message", a->message >= 0 ? json_integer(a->message) : json_null(),
                               "start", (json_int_t)a->start, "end", (json_int_t)a->end, "has_end", (int)a->has_end));
    }
    return json_pack("{s:o,s:o,s:o,s:I,s:I,s:o}", "ids", ids, "pieces",
                     hn_cli_pieces_json(o->tokenizer, o->mask.ids.ids, o->mask.ids.n), "learned", learned, "n_tokens",
                     (json_int_t)o->mask.ids.n, "n_learned", (json_int_t)o->mask.n_learned, "answers", answers);
}

static hn_status masker_of(const hn_model *model, hn_loss_masker **masker, hn_error *err) {
    return hn_loss_masker_create(hn_model_tokenizer(model), hn_model_chat_template(model), hn_model_path(model), masker,
                                 err);
}

/* ---- a case of the project ---- */

static hn_status mask_case(const hn_loss_masker *masker, const hn_prompt *prompt, const hn_prompt_view *view,
                           overlay *o, hn_error *err) {
    const hn_case *c = view->c;
    char where[384];
    snprintf(where, sizeof where, "%.200s, case %.100s", prompt->name, c->id);
    if (!c->target)
        return hn_fail(err, HN_ERR_INPUT, where, "take a case with a target (--case ID)",
                       "the case has no target, so there is no answer to learn");
    const char *answer = c->label >= 0 && (size_t)c->label < prompt->n_labels ? prompt->wordings[c->label] : c->target;
    o->messages = json_incref(view->messages);
    if (view->raw) return hn_loss_mask_raw(masker, view->raw, answer, prompt->raw_stop, where, &o->mask, err);
    return hn_loss_mask_answer(masker, view->messages, NULL, answer, where, &o->mask, err);
}

hn_status hn_cli_tokens_loss_prompt(hn_cli *cli, const hn_cli_project *p, const hn_prompt *prompt,
                                    const hn_model *model, hn_error *err) {
    hn_prompt_view view;
    hn_loss_masker *masker = NULL;
    overlay o = {.tokenizer = hn_model_tokenizer(model)};
    HN_TRY(hn_prompt_view_make(p->scope, p->dataset, prompt, hn_cli_string(cli, "case"), &view, err));
    hn_status st = masker_of(model, &masker, err);
    if (st == HN_OK) st = mask_case(masker, prompt, &view, &o, err);
    if (st == HN_OK && cli->out->json) {
        json_t *json = overlay_json(&o);
        if (json) json_object_set_new(json, "case", json_string(view.c->id));
        st = hn_cli_result(cli, json, err);
    } else if (st == HN_OK) {
        hn_output_print(cli->out, "%s, case %s of %s\n\n", prompt->name, view.c->id, hn_split_name(view.c->split));
        if (prompt->reasoning_max_tokens > 0)
            hn_output_print(cli->out,
                            "the reasoning that this prompt asks for is left out: the case has none to learn\n\n");
        st = print_overlay(&o, cli->out, err);
    }
    overlay_free(&o);
    hn_loss_masker_free(masker);
    hn_prompt_view_free(&view);
    return st;
}

/* ---- a file ---- */

static json_t *check_json(const hn_loss_check *c) {
    return json_pack("{s:I,s:I,s:I,s:I,s:I}", "rows", (json_int_t)c->n_rows, "n_tokens", (json_int_t)c->n_tokens,
                     "n_learned", (json_int_t)c->n_learned, "answers", (json_int_t)c->n_answers, "longest",
                     (json_int_t)c->longest);
}

static hn_status overlay_row(const hn_loss_masker *masker, const hn_train_data *data, size_t row, hn_train_side side,
                             overlay *o, hn_error *err) {
    o->tokenizer = hn_loss_masker_tokenizer(masker);
    o->is_text = data->rows[row].messages == NULL;
    HN_TRY(hn_train_mask_messages(data, row, side, &o->messages, err));
    return hn_train_mask_row(masker, data, row, side, &o->mask, err);
}

static hn_status print_row(hn_cli *cli, const hn_loss_masker *masker, const hn_train_data *data, size_t row,
                           hn_error *err) {
    bool pair = data->format == HN_TRAIN_PREFERENCE;
    hn_output_print(cli->out, "%s: %s, %zu row%s; this is row %zu, line %d\n", data->name,
                    hn_train_format_text(data->format), data->n_rows, data->n_rows == 1 ? "" : "s", row + 1,
                    data->rows[row].line);
    for (int side = 0; side < (pair ? 2 : 1); side++) {
        overlay o = {0};
        hn_output_print(cli->out, "%s", pair ? side ? "\nrejected\n\n" : "\nchosen\n\n" : "\n");
        hn_status st = overlay_row(masker, data, row, (hn_train_side)side, &o, err);
        if (st == HN_OK) st = print_overlay(&o, cli->out, err);
        overlay_free(&o);
        HN_TRY(st);
    }
    return HN_OK;
}

static void print_check(hn_output *out, const hn_loss_check *c) {
    char tokens[32], learned[32];
    hn_output_print(out, "\nall rows can be trained on: %s tokens, %s of them learned; the longest row has %zu\n",
                    hn_format_count((int64_t)c->n_tokens, tokens), hn_format_count((int64_t)c->n_learned, learned),
                    c->longest);
}

static hn_status json_row(hn_cli *cli, const hn_loss_masker *masker, const hn_train_data *data, size_t row,
                          const hn_loss_check *check, hn_error *err) {
    overlay o = {0}, rejected = {0};
    hn_status st = overlay_row(masker, data, row, HN_TRAIN_CHOSEN, &o, err);
    if (st == HN_OK && data->format == HN_TRAIN_PREFERENCE)
        st = overlay_row(masker, data, row, HN_TRAIN_REJECTED, &rejected, err);
    if (st == HN_OK) {
        json_t *json = overlay_json(&o);
        json_t *file =
            json_pack("{s:s,s:s,s:I,s:I,s:i,s:o,s:o}", "file", data->name, "format", hn_train_format_name(data->format),
                      "rows", (json_int_t)data->n_rows, "row", (json_int_t)row + 1, "line", data->rows[row].line, "all",
                      check ? check_json(check) : json_null(), "rejected",
                      rejected.tokenizer ? overlay_json(&rejected) : json_null());
        if (json) json_object_set_new(json, "data", file);
        st = hn_cli_result(cli, json, err);
    }
    overlay_free(&o);
    overlay_free(&rejected);
    return st;
}

static hn_status show_data(hn_cli *cli, const hn_loss_masker *masker, const hn_train_data *data, hn_error *err) {
    bool one = hn_cli_given(cli, "row");
    size_t row = one ? (size_t)hn_cli_int(cli, "row") - 1 : 0;
    hn_loss_check check = {.max_tokens = (size_t)hn_cli_int(cli, "max-tokens")};
    if (row >= data->n_rows)
        return hn_fail(err, HN_ERR_NOT_FOUND, "--row", "rows count from 1", "there is no row %zu: %s has %zu", row + 1,
                       data->name, data->n_rows);
    if (cli->out->json) {
        if (!one) HN_TRY(hn_train_mask_check(masker, data, &check, err));
        return json_row(cli, masker, data, row, one ? NULL : &check, err);
    }
    HN_TRY(print_row(cli, masker, data, row, err));
    if (one) return HN_OK;
    HN_TRY(hn_train_mask_check(masker, data, &check, err));
    print_check(cli->out, &check);
    return HN_OK;
}

hn_status hn_cli_tokens_loss_data(hn_cli *cli, const hn_model *model, hn_error *err) {
    hn_train_data *data;
    hn_loss_masker *masker = NULL;
    HN_TRY(hn_train_data_read(hn_cli_string(cli, "data"), &data, err));
    hn_status st = masker_of(model, &masker, err);
    if (st == HN_OK) st = show_data(cli, masker, data, err);
    hn_loss_masker_free(masker);
    hn_train_data_free(data);
    return st;
}
