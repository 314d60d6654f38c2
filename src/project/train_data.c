/* Files of training data; see train_data.h. Which line a row of a JSON array starts on is found by walking the text once more beside the
 * parsed value: the text is known to be JSON by then, so counting brackets outside of strings is enough. */
#include "project/train_data.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/str.h"
#include "base/utf8.h"
#include "project/train_rows.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static const size_t FILE_BYTES_MAX = (size_t)1 << 30;

const char *hn_train_format_name(hn_train_format format) {
    static const char *const names[] = {"chat", "sharegpt", "alpaca", "preference", "text_rows", "text"};
    return names[format];
}

const char *hn_train_format_text(hn_train_format format) {
    static const char *const texts[] = {"OpenAI chat messages", "ShareGPT conversations", "Alpaca instructions",
                                        "preference pairs",     "texts, one a row",       "plain text"};
    return texts[format];
}

char *hn_train_row_place(const hn_train_data *data, size_t row, char out[384]) {
    snprintf(out, 384, "%.340s:%d", data->name, row < data->n_rows ? data->rows[row].line : 0);
    return out;
}

static void free_row(hn_train_row *r) {
    json_decref(r->messages);
    json_decref(r->tools);
    json_decref(r->chosen);
    json_decref(r->rejected);
    json_decref(r->source);
    hn_free(r->weight);
}

void hn_train_data_free(hn_train_data *data) {
    if (!data) return;
    for (size_t i = 0; i < data->n_rows; i++) free_row(&data->rows[i]);
    hn_free(data->rows);
    hn_free(data->bytes);
    hn_free(data->name);
    hn_free(data);
}

static hn_status new_row(hn_train_data *data, int line, hn_train_row **row, hn_error *err) {
    if (!hn_grow((void **)&data->rows, &data->capacity, data->n_rows + 1, sizeof *data->rows))
        return hn_fail_memory(err, sizeof *data->rows);
    *row = &data->rows[data->n_rows++];
    **row = (hn_train_row){.line = line};
    return HN_OK;
}

/* How a row of the format is written. */
static const char *shape_of(hn_train_format format) {
    static const char *const shapes[] = {"write {\"messages\": [{\"role\": \"user\", \"content\": \"...\"}, {\"role\": "
                                         "\"assistant\", \"content\": \"...\"}]}",
                                         "write {\"conversations\": [{\"from\": \"human\", \"value\": \"...\"}, "
                                         "{\"from\": \"gpt\", \"value\": \"...\"}]}",
                                         "write {\"instruction\": \"...\", \"input\": \"...\", \"output\": \"...\"}",
                                         "write {\"prompt\": \"...\", \"chosen\": \"...\", \"rejected\": \"...\"}",
                                         "write {\"text\": \"...\"}",
                                         "write plain text"};
    return shapes[format];
}

/* Gives an error of the layers below, which know no remedy, this one. */
static hn_status with_hint(hn_status st, const char *hint, hn_error *err) {
    if (st == HN_ERR_INPUT && err && !*err->hint) snprintf(err->hint, sizeof err->hint, "%s", hint);
    return st;
}

static hn_status add_value(hn_train_data *data, json_t *value, int line, hn_error *err) {
    char where[384];
    hn_train_row *row = NULL;
    HN_TRY(new_row(data, line, &row, err));
    hn_train_row_place(data, data->n_rows - 1, where);
    if (data->n_rows == 1) HN_TRY(hn_train_rows_recognise(value, where, &data->format, err));
    return with_hint(hn_train_rows_fill(data->format, value, where, row, err), shape_of(data->format), err);
}

static hn_status read_lines(hn_train_data *data, const char *text, size_t n, hn_error *err) {
    hn_jsonl lines = {.text = text, .n = n, .name = data->name};
    for (;;) {
        json_t *value;
        HN_TRY(
            with_hint(hn_jsonl_next(&lines, &value, err), "write each row as one whole JSON value on one line", err));
        if (!value) return HN_OK;
        hn_status st = add_value(data, value, lines.line < INT_MAX ? (int)lines.line : INT_MAX, err);
        json_decref(value);
        HN_TRY(st);
    }
}

/* ---- one JSON array ---- */

typedef struct walker {
    const char *text;
    size_t n, at;
    int line;
    int depth;
    bool in_string;
} walker;

/* Goes past one byte, keeping the depth and the line. */
static void step(walker *w) {
    char c = w->text[w->at++];
    if (c == '\n') w->line++;
    if (w->in_string) {
        if (c == '\\' && w->at < w->n)
            w->at++;
        else if (c == '"')
            w->in_string = false;
    } else if (c == '"') {
        w->in_string = true;
    } else if (c == '{' || c == '[') {
        w->depth++;
    } else if (c == '}' || c == ']') {
        w->depth--;
    }
}

static bool is_between(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ','; }

/* The line of the next element of the top array; the walker goes behind the element. */
static int line_of_next(walker *w) {
    while (w->at < w->n && (w->depth == 0 || is_between(w->text[w->at]))) step(w);
    int line = w->line;
    do {
        if (w->at < w->n) step(w);
    } while (w->at < w->n && (w->in_string || w->depth > 1 || (w->text[w->at] != ',' && w->text[w->at] != ']')));
    return line;
}

static hn_status read_array(hn_train_data *data, const char *text, size_t n, hn_error *err) {
    json_t *array;
    walker w = {.text = text, .n = n, .line = 1};
    HN_TRY(with_hint(hn_json_parse(text, n, data->name, 0, &array, err), "write one JSON array of rows", err));
    hn_status st = HN_OK;
    if (!json_is_array(array))
        st = hn_fail(err, HN_ERR_INPUT, data->name, "write an array of rows, or one row a line (.jsonl)",
                     "the file holds %s, not rows", hn_json_type_text(array));
    for (size_t i = 0; st == HN_OK && i < json_array_size(array); i++)
        st = add_value(data, json_array_get(array, i), line_of_next(&w), err);
    json_decref(array);
    return st;
}

/* ---- which of them ---- */

static hn_status read_text(hn_train_data *data, const char *text, size_t n, hn_error *err) {
    size_t bad;
    hn_train_row *row = NULL;
    if (!hn_utf8_valid(text, n, &bad)) {
        char where[384];
        size_t line = 1;
        for (size_t i = 0; i < bad; i++) line += text[i] == '\n';
        snprintf(where, sizeof where, "%.340s:%zu", data->name, line);
        return hn_fail(err, HN_ERR_INPUT, where, "convert the file to UTF-8, for example with iconv",
                       "the text is not UTF-8");
    }
    if (hn_str_trim((hn_str){text, n}).len == 0) return HN_OK;
    data->format = HN_TRAIN_TEXT;
    HN_TRY(new_row(data, 1, &row, err));
    row->text = text;
    row->n_text = n;
    return HN_OK;
}

static hn_status read_all(hn_train_data *data, size_t n, hn_error *err) {
    const char *text = data->bytes, *name = data->name;
    if (n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) text += 3, n -= 3;
    hn_str body = hn_str_trim((hn_str){text, n});
    bool plain = hn_ends_with(name, ".txt") || hn_ends_with(name, ".md");
    bool json = hn_ends_with(name, ".jsonl") || hn_ends_with(name, ".json") || hn_ends_with(name, ".ndjson");
    if (hn_ends_with(name, ".csv") || hn_ends_with(name, ".tsv"))
        return hn_fail(err, HN_ERR_INPUT, name,
                       "make a project of it (`hone init --data FILE`): its cases are trained on through a prompt",
                       "a table is not training data by itself");
    if (!plain && !json) json = body.len && (body.data[0] == '{' || body.data[0] == '[');
    hn_status st;
    if (!json)
        st = read_text(data, text, n, err);
    else if (body.len && body.data[0] == '[')
        st = read_array(data, text, n, err);
    else
        st = read_lines(data, text, n, err);
    if (st != HN_OK || data->n_rows) return st;
    return hn_fail(err, HN_ERR_INPUT, name, "give a file with at least one row", "there is nothing in it to train on");
}

/* Takes over `bytes`. */
static hn_status make(char *bytes, size_t n, const char *name, hn_train_data **data, hn_error *err) {
    hn_train_data *d = hn_calloc(1, sizeof *d);
    *data = NULL;
    if (!d) {
        hn_free(bytes);
        return hn_fail_memory(err, sizeof *d);
    }
    d->bytes = bytes;
    d->name = hn_strdup(name);
    hn_status st = d->name ? hn_sha256_bytes(bytes, n, d->hash) : HN_ERR_MEMORY;
    if (st != HN_OK)
        st = hn_fail_memory(err, n);
    else
        st = read_all(d, n, err);
    if (st == HN_OK)
        *data = d;
    else
        hn_train_data_free(d);
    return st;
}

hn_status hn_train_data_parse(const char *bytes, size_t n, const char *name, hn_train_data **data, hn_error *err) {
    char *copy = hn_alloc(n + 1);
    *data = NULL;
    if (!copy) return hn_fail_memory(err, n);
    if (n) memcpy(copy, bytes, n);
    copy[n] = 0;
    return make(copy, n, name, data, err);
}

hn_status hn_train_data_read(const char *path, hn_train_data **data, hn_error *err) {
    char *bytes;
    size_t n;
    *data = NULL;
    HN_TRY(hn_file_read(path, FILE_BYTES_MAX, &bytes, &n, err));
    return make(bytes, n, path, data, err);
}
