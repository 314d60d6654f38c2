/* Data files as tables; see data_table.h. Rows are gathered in a growing array and their text in an arena that the table keeps. */
#include "project/data_table.h"

#include "base/file.h"
#include "base/str.h"
#include "format/csv.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Column names found so far, with a table of hashes so that wide JSON rows stay cheap. */
typedef struct reader {
    hn_data_table *table;
    size_t columns_capacity, rows_capacity;
    hn_error *err;
} reader;

static hn_status fail_line(const reader *r, int line, hn_status code, const char *hint, const char *message) {
    char where[384];
    snprintf(where, sizeof where, "%s:%d:1", r->table->name, line);
    return hn_fail(r->err, code, where, hint, "%s", message);
}

int hn_data_table_column(const hn_data_table *table, const char *name) {
    for (size_t i = 0; i < table->n_columns; i++)
        if (strcmp(table->columns[i], name) == 0) return (int)i;
    return -1;
}

void hn_data_table_suggest(const hn_data_table *table, const char *wrong, char *out, size_t size) {
    const char *near = hn_closest(wrong, (const char *const *)table->columns, table->n_columns);
    size_t used = 0;
    int put = near ? snprintf(out, size, "did you mean `%s`? columns: ", near) : snprintf(out, size, "columns: ");
    used += put > 0 ? (size_t)put : 0;
    for (size_t i = 0; i < table->n_columns && used < size; i++) {
        put = snprintf(out + used, size - used, "%s%s", i ? ", " : "", table->columns[i]);
        used += put > 0 ? (size_t)put : 0;
    }
}

static hn_status add_column(reader *r, const char *name, size_t n) {
    hn_data_table *t = r->table;
    if (!hn_grow((void **)&t->columns, &r->columns_capacity, t->n_columns + 1, sizeof *t->columns))
        return hn_fail_memory(r->err, t->n_columns * sizeof *t->columns);
    char *copy = hn_arena_strndup(t->arena, name, n);
    if (!copy) return hn_fail_memory(r->err, n);
    t->columns[t->n_columns++] = copy;
    return HN_OK;
}

static hn_status add_row(reader *r, int line, hn_data_table_row **row) {
    hn_data_table *t = r->table;
    if (t->n_rows >= HN_CSV_MAX_ROWS)
        return fail_line(r, line, HN_ERR_LIMIT, "split the file", "the file has more than 1,000,000 rows");
    if (!hn_grow((void **)&t->rows, &r->rows_capacity, t->n_rows + 1, sizeof *t->rows))
        return hn_fail_memory(r->err, t->n_rows * sizeof *t->rows);
    *row = &t->rows[t->n_rows++];
    **row = (hn_data_table_row){.line = line};
    return HN_OK;
}

/* ---- CSV ---- */

static hn_status take_header(reader *r, const hn_csv_row *row) {
    hn_data_table *t = r->table;
    t->header_line = row->line;
    for (size_t i = 0; i < row->n; i++) {
        hn_str name = hn_str_trim(hn_str_of(row->cells[i]));
        char message[300];
        if (name.len == 0) {
            snprintf(message, sizeof message, "column %zu has no name", i + 1);
            return fail_line(r, row->line, HN_ERR_INPUT, "the first line must name the columns", message);
        }
        HN_TRY(add_column(r, name.data, name.len));
        int first = hn_data_table_column(t, t->columns[i]);
        if ((size_t)first == i) continue;
        snprintf(message, sizeof message, "columns %d and %zu are both called `%.200s`", first + 1, i + 1,
                 t->columns[i]);
        return fail_line(r, row->line, HN_ERR_INPUT, "give each column a name of its own", message);
    }
    return HN_OK;
}

static hn_status take_csv_row(reader *r, const hn_csv_row *from) {
    hn_data_table_row *row;
    HN_TRY(add_row(r, from->line, &row));
    row->cells = hn_arena_calloc(r->table->arena, from->n, sizeof *row->cells);
    if (!row->cells) return hn_fail_memory(r->err, from->n * sizeof *row->cells);
    for (size_t i = 0; i < from->n; i++)
        if (!(row->cells[i] = hn_arena_strdup(r->table->arena, from->cells[i])))
            return hn_fail_memory(r->err, strlen(from->cells[i]));
    return HN_OK;
}

static hn_status read_csv(reader *r, const char *bytes, size_t n) {
    hn_csv *csv;
    hn_csv_row row;
    HN_TRY(hn_csv_open(r->table->name, bytes, n, hn_ends_with(r->table->name, ".tsv") ? '\t' : 0, &csv, r->err));
    hn_status st = hn_csv_next(csv, &row, r->err);
    if (st == HN_OK && row.n == 0)
        st = fail_line(r, 1, HN_ERR_INPUT, "the first line must name the columns", "the file is empty");
    if (st == HN_OK) st = take_header(r, &row);
    while (st == HN_OK && (st = hn_csv_next(csv, &row, r->err)) == HN_OK && row.n) st = take_csv_row(r, &row);
    hn_csv_close(csv);
    return st;
}

/* ---- JSON Lines: first all rows, then the cells, because a later row may bring a new column ---- */

static hn_status take_object(reader *r, json_t *object, int line) {
    hn_data_table_row *row;
    hn_status st = add_row(r, line, &row);
    if (st != HN_OK) {
        json_decref(object);
        return st;
    }
    row->object = object;
    if (!json_is_object(object))
        return fail_line(r, line, HN_ERR_INPUT,
                         "write one object a line, such as {\"text\": \"...\", \"label\": \"...\"}",
                         "the line is no JSON object");
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        if (hn_data_table_column(r->table, key) >= 0) continue;
        if (r->table->n_columns >= HN_CSV_MAX_COLUMNS)
            return fail_line(r, line, HN_ERR_LIMIT, NULL, "the rows have more than 4,096 different keys");
        if (!*key) return fail_line(r, line, HN_ERR_INPUT, "give the key a name", "a key is empty");
        HN_TRY(add_column(r, key, strlen(key)));
    }
    return HN_OK;
}

static hn_status text_of(const reader *r, const json_t *value, const char **text) {
    *text = NULL;
    if (!value || json_is_null(value)) return HN_OK;
    if (json_is_string(value)) {
        *text = json_string_value(value);
        return HN_OK;
    }
    hn_buf b;
    hn_buf_init(&b, HN_CSV_MAX_ROW_BYTES);
    hn_json_write(value, &(hn_json_style){.sort_keys = true}, &b);
    hn_status st = hn_buf_check(&b, r->table->name, r->err);
    if (st == HN_OK && !(*text = hn_arena_strndup(r->table->arena, hn_buf_str(&b), b.len)))
        st = hn_fail_memory(r->err, b.len);
    hn_buf_free(&b);
    return st;
}

static hn_status fill_cells(reader *r) {
    hn_data_table *t = r->table;
    for (size_t i = 0; i < t->n_rows; i++) {
        hn_data_table_row *row = &t->rows[i];
        row->cells = hn_arena_calloc(t->arena, t->n_columns, sizeof *row->cells);
        if (!row->cells) return hn_fail_memory(r->err, t->n_columns * sizeof *row->cells);
        for (size_t c = 0; c < t->n_columns; c++)
            HN_TRY(text_of(r, json_object_get(row->object, t->columns[c]), &row->cells[c]));
    }
    return HN_OK;
}

static hn_status read_jsonl(reader *r, const char *bytes, size_t n) {
    if (n >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0) bytes += 3, n -= 3;
    hn_jsonl lines = {.text = bytes, .n = n, .name = r->table->name};
    json_t *object;
    hn_status st;
    HN_TRY(hn_text_check(r->table->name, bytes, n, r->err));
    while ((st = hn_jsonl_next(&lines, &object, r->err)) == HN_OK && object) {
        int line = lines.line < INT_MAX ? (int)lines.line : INT_MAX;
        if (r->table->n_rows == 0) r->table->header_line = line;
        HN_TRY(take_object(r, object, line));
    }
    HN_TRY(st);
    if (r->table->n_rows == 0) return fail_line(r, 1, HN_ERR_INPUT, "write one object a line", "the file is empty");
    return fill_cells(r);
}

static hn_status make_table(const char *name, hn_data_table **table, hn_error *err) {
    hn_data_table *t = hn_calloc(1, sizeof *t);
    hn_arena *arena = hn_arena_create(0);
    *table = NULL;
    if (t) t->arena = arena, t->header_line = 1;
    if (t && arena) t->name = hn_arena_strdup(arena, name);
    if (!t || !arena || !t->name) {
        hn_arena_free(arena);
        hn_free(t);
        return hn_fail_memory(err, sizeof *t);
    }
    *table = t;
    return HN_OK;
}

hn_status hn_data_table_parse(const char *name, const char *bytes, size_t n, hn_data_table **table, hn_error *err) {
    HN_TRY(make_table(name, table, err));
    reader r = {.table = *table, .err = err};
    bool json = hn_ends_with(name, ".jsonl") || hn_ends_with(name, ".ndjson");
    hn_status st = json ? read_jsonl(&r, bytes, n) : read_csv(&r, bytes, n);
    if (st != HN_OK) {
        hn_data_table_free(*table);
        *table = NULL;
    }
    return st;
}

hn_status hn_data_table_load(const char *path, const char *name, hn_data_table **table, hn_error *err) {
    char *bytes;
    size_t n;
    *table = NULL;
    if (hn_ends_with(path, ".json") || hn_ends_with(path, ".parquet") || hn_ends_with(path, ".xlsx"))
        return hn_fail(err, HN_ERR_UNSUPPORTED, name, "save it as CSV, or as JSON Lines (.jsonl): one object a line",
                       "data files are CSV, TSV or JSON Lines");
    hn_status st = hn_file_read(path, HN_DATA_TABLE_MAX_BYTES, &bytes, &n, err);
    if (st == HN_OK) {
        st = hn_data_table_parse(name, bytes, n, table, err);
        hn_free(bytes);
    }
    return st;
}

void hn_data_table_free(hn_data_table *table) {
    if (!table) return;
    for (size_t i = 0; i < table->n_rows; i++) json_decref(table->rows[i].object);
    hn_free(table->rows);
    hn_free(table->columns);
    hn_arena_free(table->arena);
    hn_free(table);
}
