/* Documents to learn from; see text_corpus.h. Text files are kept whole and their documents point into them; rows are copied. */
#include "project/text_corpus.h"

#include "base/file.h"
#include "format/csv.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static const size_t FILE_BYTES_MAX = (size_t)1 << 30;

typedef struct reading {
    hn_text_corpus *c;
    const char *const *fields;
    size_t n_fields;
    const char *name; /* of the file at hand */
    hn_buf text;      /* of the row at hand */
    hn_error *err;
} reading;

/* ---- documents ---- */

static hn_status add_document(hn_text_corpus *c, hn_str text, size_t line, hn_error *err) {
    if (hn_str_trim(text).len == 0) return HN_OK;
    if (!hn_grow((void **)&c->documents, &c->capacity, c->n + 1, sizeof *c->documents))
        return hn_fail_memory(err, c->n * sizeof *c->documents);
    c->documents[c->n++] = (hn_document){.line = line < INT_MAX ? (int)line : INT_MAX, .text = text};
    c->n_bytes += text.len;
    return HN_OK;
}

static hn_status add_copy(reading *r, size_t line) {
    HN_TRY(hn_buf_check(&r->text, "a row's text", r->err));
    char *copy = hn_arena_strndup(r->c->arena, hn_buf_str(&r->text), r->text.len);
    return copy ? add_document(r->c, (hn_str){copy, r->text.len}, line, r->err) : hn_fail_memory(r->err, r->text.len);
}

static hn_status keep_file(reading *r, const char *path, char **bytes, size_t *n) {
    hn_text_corpus *c = r->c;
    if (!hn_grow((void **)&c->files, &c->files_capacity, c->n_files + 1, sizeof *c->files))
        return hn_fail_memory(r->err, c->n_files * sizeof *c->files);
    HN_TRY(hn_file_read(path, FILE_BYTES_MAX, bytes, n, r->err));
    c->files[c->n_files++] = *bytes;
    if (*n >= 3 && memcmp(*bytes, "\xEF\xBB\xBF", 3) == 0) *bytes += 3, *n -= 3;
    return hn_text_check(path, *bytes, *n, r->err);
}

/* ---- text files ---- */

/* The end of the line that starts at `at`, behind its line end; *empty: it holds white space alone. */
static size_t next_line(hn_str text, size_t at, bool *empty) {
    const char *end = memchr(text.data + at, '\n', text.len - at);
    size_t to = end ? (size_t)(end - text.data) + 1 : text.len;
    *empty = hn_str_trim((hn_str){text.data + at, to - at}).len == 0;
    return to;
}

static bool has_paragraphs(hn_str text) {
    bool empty, seen = false;
    for (size_t at = 0; at < text.len;) {
        at = next_line(text, at, &empty);
        if (empty && seen && hn_str_trim((hn_str){text.data + at, text.len - at}).len) return true;
        seen = seen || !empty;
    }
    return false;
}

static hn_str without_line_end(hn_str text) {
    if (text.len && text.data[text.len - 1] == '\n') text.len--;
    if (text.len && text.data[text.len - 1] == '\r') text.len--;
    return text;
}

static hn_status cut_text(reading *r, hn_str text) {
    bool paragraphs = has_paragraphs(text), empty;
    size_t start = 0, number = 1, first = 1;
    for (size_t at = 0; at < text.len; number++) {
        size_t line = at;
        at = next_line(text, at, &empty);
        if (paragraphs && !empty) continue;
        size_t end = paragraphs ? line : at;
        HN_TRY(add_document(r->c, without_line_end((hn_str){text.data + start, end - start}), first, r->err));
        start = at;
        first = number + 1;
    }
    return add_document(r->c, without_line_end((hn_str){text.data + start, text.len - start}), first, r->err);
}

/* ---- rows ---- */

static hn_status find_columns(const reading *r, const hn_csv_row *head, size_t *columns) {
    for (size_t f = 0; f < r->n_fields; f++) {
        size_t k = 0;
        while (k < head->n && strcmp(head->cells[k], r->fields[f]) != 0) k++;
        if (k == head->n) {
            const char *near = hn_closest(r->fields[f], head->cells, head->n);
            char hint[200];
            snprintf(hint, sizeof hint, near ? "--field %.80s" : "name a column with --field, such as %.80s",
                     near ? near : head->cells[0]);
            return hn_fail(r->err, HN_ERR_INPUT, r->name, hint, "the file has no column `%.80s`", r->fields[f]);
        }
        columns[f] = k;
    }
    return HN_OK;
}

static hn_status read_csv_rows(reading *r, hn_csv *csv, size_t *columns) {
    hn_csv_row row;
    HN_TRY(hn_csv_next(csv, &row, r->err));
    if (row.n == 0) return HN_OK;
    HN_TRY(find_columns(r, &row, columns));
    for (;;) {
        HN_TRY(hn_csv_next(csv, &row, r->err));
        if (row.n == 0) return HN_OK;
        hn_buf_clear(&r->text);
        for (size_t f = 0; f < r->n_fields; f++) {
            if (f) hn_buf_append_char(&r->text, '\n');
            hn_buf_append_str(&r->text, row.cells[columns[f]]);
        }
        HN_TRY(add_copy(r, row.line > 0 ? (size_t)row.line : 0));
    }
}

static hn_status read_csv(reading *r, const char *bytes, size_t n) {
    hn_csv *csv;
    size_t *columns = hn_calloc(r->n_fields, sizeof *columns);
    if (!columns) return hn_fail_memory(r->err, r->n_fields * sizeof *columns);
    hn_status st = hn_csv_open(r->name, bytes, n, hn_ends_with(r->name, ".tsv") ? '\t' : 0, &csv, r->err);
    if (st == HN_OK) {
        st = read_csv_rows(r, csv, columns);
        hn_csv_close(csv);
    }
    hn_free(columns);
    return st;
}

static hn_status take_object(reading *r, const json_t *row, size_t line) {
    char where[384];
    snprintf(where, sizeof where, "%.300s:%zu", r->name, line);
    if (!json_is_object(row))
        return hn_fail(r->err, HN_ERR_INPUT, where, "write {\"text\": \"...\"}", "a row must be an object, it is %s",
                       hn_json_type_text(row));
    hn_buf_clear(&r->text);
    for (size_t f = 0; f < r->n_fields; f++) {
        const char *text;
        hn_status st = hn_json_get_string(row, where, r->fields[f], &text, r->err);
        if (st != HN_OK) return st;
        if (f) hn_buf_append_char(&r->text, '\n');
        hn_buf_append(&r->text, text, json_string_length(json_object_get(row, r->fields[f])));
    }
    return add_copy(r, line);
}

static hn_status read_jsonl(reading *r, const char *bytes, size_t n) {
    hn_jsonl lines = {.text = bytes, .n = n, .name = r->name};
    for (;;) {
        json_t *row;
        HN_TRY(hn_jsonl_next(&lines, &row, r->err));
        if (!row) return HN_OK;
        hn_status st = take_object(r, row, lines.line);
        json_decref(row);
        HN_TRY(st);
    }
}

static hn_status read_json(reading *r, const char *bytes, size_t n) {
    json_t *all;
    HN_TRY(hn_json_parse(bytes, n, r->name, 0, &all, r->err));
    hn_status st = json_is_array(all) ? HN_OK
                                      : hn_fail(r->err, HN_ERR_INPUT, r->name, "or JSON Lines in a .jsonl file",
                                                "it must be an array of rows");
    for (size_t i = 0; st == HN_OK && i < json_array_size(all); i++) st = take_object(r, json_array_get(all, i), i + 1);
    json_decref(all);
    return st;
}

static hn_status read_file(reading *r, const char *path) {
    char *bytes;
    size_t n;
    r->name = path;
    HN_TRY(keep_file(r, path, &bytes, &n));
    if (hn_ends_with(path, ".csv") || hn_ends_with(path, ".tsv")) return read_csv(r, bytes, n);
    if (hn_ends_with(path, ".jsonl") || hn_ends_with(path, ".ndjson")) return read_jsonl(r, bytes, n);
    if (hn_ends_with(path, ".json")) return read_json(r, bytes, n);
    return cut_text(r, (hn_str){bytes, n});
}

/* ---- the whole ---- */

static hn_status finish(hn_text_corpus *c, const char *name, hn_error *err) {
    if (c->n == 0) return hn_fail(err, HN_ERR_INPUT, name, "give texts to learn from", "there is no text in it");
    hn_sha256 *h = hn_sha256_create();
    if (!h) return hn_fail_memory(err, 256);
    for (size_t i = 0; i < c->n; i++) hn_sha256_field(h, c->documents[i].text.data, c->documents[i].text.len);
    hn_sha256_finish(h, c->hash);
    return HN_OK;
}

hn_text_corpus *hn_text_corpus_create(void) {
    hn_text_corpus *c = hn_calloc(1, sizeof *c);
    if (!c) return NULL;
    c->arena = hn_arena_create(1 << 20);
    if (c->arena) return c;
    hn_free(c);
    return NULL;
}

hn_status hn_text_corpus_add(hn_text_corpus *c, const char *text, size_t n, hn_error *err) {
    char *copy = hn_arena_strndup(c->arena, text, n);
    return copy ? add_document(c, (hn_str){copy, n}, 0, err) : hn_fail_memory(err, n);
}

hn_status hn_text_corpus_read(const char *const *paths, size_t n_paths, const char *const *fields, size_t n_fields,
                              hn_text_corpus **corpus, hn_error *err) {
    static const char *const usual[] = {"text"};
    reading r = {.c = hn_text_corpus_create(),
                 .fields = n_fields ? fields : usual,
                 .n_fields = n_fields ? n_fields : 1,
                 .err = err};
    *corpus = NULL;
    if (!r.c) return hn_fail_memory(err, sizeof *r.c);
    hn_buf_init(&r.text, 0);
    hn_status st = HN_OK;
    for (size_t i = 0; st == HN_OK && i < n_paths; i++) st = read_file(&r, paths[i]);
    if (st == HN_OK) st = finish(r.c, n_paths == 1 ? paths[0] : "the files", err);
    hn_buf_free(&r.text);
    if (st == HN_OK)
        *corpus = r.c;
    else
        hn_text_corpus_free(r.c);
    return st;
}

hn_status hn_text_corpus_of_cases(const hn_dataset *d, hn_split split, hn_text_corpus **corpus, hn_error *err) {
    reading r = {.c = hn_text_corpus_create(), .err = err};
    *corpus = NULL;
    if (!r.c) return hn_fail_memory(err, sizeof *r.c);
    hn_buf_init(&r.text, 0);
    hn_status st = HN_OK;
    for (size_t i = 0; st == HN_OK && i < d->n_cases; i++) {
        if (d->cases[i].split != split) continue;
        hn_buf_clear(&r.text);
        st = hn_case_text(&d->cases[i], &r.text, err);
        if (st == HN_OK) st = add_copy(&r, (size_t)d->cases[i].line);
    }
    if (st == HN_OK) st = finish(r.c, hn_split_name(split), err);
    hn_buf_free(&r.text);
    if (st == HN_OK)
        *corpus = r.c;
    else
        hn_text_corpus_free(r.c);
    return st;
}

hn_status hn_text_corpus_hold_out(hn_text_corpus *c, double share, uint64_t seed, hn_error *err) {
    uint64_t lowest = UINT64_MAX, highest = 0;
    c->n_held_out = 0;
    c->n_held_out_bytes = 0;
    for (size_t i = 0; i < c->n; i++) {
        uint64_t h = hn_hash64(c->documents[i].text.data, c->documents[i].text.len, seed);
        if (h < lowest) lowest = h;
        if (h > highest) highest = h;
    }
    if (share > 0 && lowest == highest)
        return hn_fail(err, HN_ERR_INPUT, "held-out texts", "give more texts, or --held-out 0",
                       "the corpus is one text only (in %zu documents), of which nothing can be held out", c->n);
    uint64_t limit = (uint64_t)(share * 0x1p63) * 2;
    for (size_t i = 0; i < c->n; i++) {
        hn_document *d = &c->documents[i];
        uint64_t h = hn_hash64(d->text.data, d->text.len, seed);
        d->held_out = share > 0 && (h == lowest || (h < limit && h != highest));
        c->n_held_out += d->held_out;
        c->n_held_out_bytes += d->held_out ? d->text.len : 0;
    }
    return HN_OK;
}

hn_status hn_text_corpus_as_data(const hn_text_corpus *c, const char *name, hn_train_data **data, hn_error *err) {
    hn_train_data *d = hn_calloc(1, sizeof *d);
    *data = NULL;
    if (!d) return hn_fail_memory(err, sizeof *d);
    d->name = hn_strdup(name);
    d->bytes = hn_alloc((size_t)c->n_bytes + 1);
    d->rows = hn_calloc(c->n, sizeof *d->rows);
    if (!d->name || !d->bytes || !d->rows) {
        hn_train_data_free(d);
        return hn_fail_memory(err, (size_t)c->n_bytes);
    }
    size_t at = 0;
    for (size_t i = 0; i < c->n; i++) {
        hn_str text = c->documents[i].text;
        memcpy(d->bytes + at, text.data, text.len);
        d->rows[i] = (hn_train_row){.line = c->documents[i].line, .text = d->bytes + at, .n_text = text.len};
        at += text.len;
    }
    d->n_rows = d->capacity = c->n;
    d->format = HN_TRAIN_TEXT_ROWS;
    memcpy(d->hash, c->hash, sizeof d->hash);
    *data = d;
    return HN_OK;
}

void hn_text_corpus_free(hn_text_corpus *c) {
    if (!c) return;
    for (size_t i = 0; i < c->n_files; i++) hn_free(c->files[i]);
    hn_free(c->files);
    hn_free(c->documents);
    hn_arena_free(c->arena);
    hn_free(c);
}
