/* Cases from tables; see dataset.h. Inputs are JSON objects that cases own by reference count; all other text is in the arena. */
#include "project/dataset.h"

#include "base/hash.h"
#include "base/str.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A row's hashes while a dataset is being built: of its inputs (for ids) and of all its cells (for the content id). */
typedef struct row_hash {
    char inputs[HN_SHA256_HEX], cells[HN_SHA256_HEX];
} row_hash;

typedef struct build {
    hn_dataset *d;
    const hn_columns *columns;
    const char *const *inputs; /* names of the input columns */
    size_t n_inputs;
    row_hash *hashes; /* (n_cases) */
    hn_buf text;
    hn_error *err;
} build;

hn_status hn_case_fail(const hn_case *c, const char *hint, const char *message, hn_error *err) {
    char where[384];
    snprintf(where, sizeof where, "%s:%d", c->file, c->line);
    return hn_fail(err, HN_ERR_INPUT, where, hint, "%s", message);
}

static hn_status check_column(const build *b, const hn_data_table *t, const char *name) {
    if (!name || hn_data_table_column(t, name) >= 0) return HN_OK;
    char where[384], hint[384];
    snprintf(where, sizeof where, "%s:%d", t->name, t->header_line);
    hn_data_table_suggest(t, name, hint, sizeof hint);
    return hn_fail(b->err, HN_ERR_INPUT, where, hint, "the file has no column `%s`", name);
}

/* The input columns where none are named: all that have no other role, in the first file's order. */
static hn_status choose_inputs(build *b, const hn_data_table *first) {
    const hn_columns *given = b->columns;
    b->inputs = given->inputs;
    b->n_inputs = given->n_inputs;
    if (b->inputs) return HN_OK;
    const char **names = hn_arena_calloc(b->d->arena, first->n_columns, sizeof *names);
    if (!names) return hn_fail_memory(b->err, first->n_columns * sizeof *names);
    b->n_inputs = 0;
    for (size_t i = 0; i < first->n_columns; i++) {
        const char *name = b->d->columns[i], *const taken[] = {given->target, given->group, given->id};
        bool unused = true;
        for (size_t k = 0; k < 3; k++) unused = unused && !(taken[k] && strcmp(taken[k], name) == 0);
        if (unused) names[b->n_inputs++] = name;
    }
    b->inputs = names;
    if (b->n_inputs) return HN_OK;
    return hn_fail(b->err, HN_ERR_INPUT, first->name, "add a column with the text to be judged",
                   "no column is left to be an input");
}

static hn_status check_messages(const build *b, const hn_case *c, const json_t *messages) {
    static const char hint[] =
        "messages are [{\"role\": \"user\", \"content\": \"...\"}]; roles are system, user and assistant";
    size_t i;
    json_t *message;
    if (json_array_size(messages) == 0) return hn_case_fail(c, hint, "`messages` is an empty list", b->err);
    json_array_foreach(messages, i, message) {
        const char *role = json_string_value(json_object_get(message, "role"));
        bool known =
            role && (strcmp(role, "system") == 0 || strcmp(role, "user") == 0 || strcmp(role, "assistant") == 0);
        if (known && json_is_string(json_object_get(message, "content"))) continue;
        char text[120];
        snprintf(text, sizeof text, "message %zu has no %s", i + 1, known ? "content that is text" : "known role");
        return hn_case_fail(c, hint, text, b->err);
    }
    return HN_OK;
}

static hn_status take_inputs(build *b, hn_case *c, const hn_data_table *t, const hn_data_table_row *row) {
    c->inputs = json_object();
    if (!c->inputs) return hn_fail_memory(b->err, sizeof(json_t));
    for (size_t i = 0; i < b->n_inputs; i++) {
        const char *name = b->inputs[i];
        json_t *value = row->object ? json_object_get(row->object, name) : NULL;
        if (row->object && !value) {
            char message[200];
            snprintf(message, sizeof message, "the row has no `%.120s`", name);
            return hn_case_fail(c, "give every row all input keys; \"\" stands for nothing", message, b->err);
        }
        if (value) {
            if (strcmp(name, "messages") == 0 && json_is_array(value)) HN_TRY(check_messages(b, c, value));
            json_incref(value);
        } else {
            value = json_string(row->cells[hn_data_table_column(t, name)]);
        }
        if (json_object_set_new(c->inputs, name, value) != 0) return hn_fail_memory(b->err, sizeof(json_t));
    }
    return HN_OK;
}

/* A cell's text in the dataset's arena; NULL where the column is none, or the cell is empty or absent. */
static hn_status take_cell(const build *b, const hn_data_table *t, const hn_data_table_row *row, const char *column,
                           const char **text) {
    *text = NULL;
    const char *cell = column ? row->cells[hn_data_table_column(t, column)] : NULL;
    if (!cell || !*cell) return HN_OK;
    *text = hn_arena_strdup(b->d->arena, cell);
    return *text ? HN_OK : hn_fail_memory(b->err, strlen(cell));
}

static hn_status hash_text(const json_t *inputs, hn_buf *text, const char *where, char hex[HN_SHA256_HEX],
                           uint64_t *hash, hn_error *err) {
    hn_buf_clear(text);
    hn_json_write(inputs, &(hn_json_style){.sort_keys = true}, text);
    HN_TRY(hn_buf_check(text, where, err));
    if (hn_sha256_bytes(text->data, text->len, hex) != HN_OK) return hn_fail_memory(err, 64);
    *hash = hn_hash64(hex, HN_SHA256_HEX - 1, 0);
    return HN_OK;
}

static hn_status hash_inputs(build *b, hn_case *c, char hex[HN_SHA256_HEX]) {
    return hash_text(c->inputs, &b->text, c->file, hex, &c->input_hash, b->err);
}

hn_status hn_case_hash_inputs(hn_case *c, hn_error *err) {
    char hex[HN_SHA256_HEX];
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_status st = hash_text(c->inputs, &text, "inputs", hex, &c->input_hash, err);
    hn_buf_free(&text);
    return st;
}

static hn_status hash_cells(const build *b, const hn_data_table *t, const hn_data_table_row *row,
                            char hex[HN_SHA256_HEX]) {
    hn_sha256 *h = hn_sha256_create();
    if (!h) return hn_fail_memory(b->err, 64);
    for (size_t i = 0; i < t->n_columns; i++) {
        hn_sha256_field_str(h, t->columns[i]);
        hn_sha256_field_str(h, row->cells[i]);
    }
    hn_sha256_finish(h, hex);
    return HN_OK;
}

static hn_status take_row(build *b, const hn_data_table *t, const hn_data_table_row *row, const char *file,
                          hn_split split) {
    row_hash *hashes = &b->hashes[b->d->n_cases];
    hn_case *c = &b->d->cases[b->d->n_cases++];
    c->file = file;
    c->line = row->line;
    c->label = -1;
    c->split_fixed = split != HN_SPLIT_COUNT;
    c->split = c->split_fixed ? split : HN_SPLIT_TRAIN;
    HN_TRY(take_inputs(b, c, t, row));
    HN_TRY(take_cell(b, t, row, b->columns->target, &c->target));
    HN_TRY(take_cell(b, t, row, b->columns->group, &c->group));
    HN_TRY(take_cell(b, t, row, b->columns->id, &c->id));
    if (b->columns->id && !c->id) {
        char message[200];
        snprintf(message, sizeof message, "the row has no id in column `%.120s`", b->columns->id);
        return hn_case_fail(c, "give every row an id of its own, or take the id column out of the scope", message,
                            b->err);
    }
    HN_TRY(hash_inputs(b, c, hashes->inputs));
    return hash_cells(b, t, row, hashes->cells);
}

/* ---- ids and the content id ---- */

typedef struct sort_row {
    const char *key; /* id, or hash of the inputs */
    const hn_case *c;
    const row_hash *hashes;
} sort_row;

static int compare_text(const char *a, const char *b) { return a && b ? strcmp(a, b) : (a != NULL) - (b != NULL); }

/* By key; equal keys by what else is known of the rows, so that the file's order never matters. */
static int compare_rows(const void *a, const void *b) {
    const sort_row *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    if (!order) order = compare_text(x->c->target, y->c->target);
    if (!order) order = compare_text(x->c->group, y->c->group);
    return order ? order : strcmp(x->hashes->cells, y->hashes->cells);
}

static hn_status check_unique(const build *b, const sort_row *rows) {
    for (size_t i = 1; i < b->d->n_cases; i++) {
        const hn_case *x = rows[i - 1].c, *y = rows[i].c;
        if (strcmp(rows[i].key, rows[i - 1].key) != 0) continue;
        if (x > y) x = rows[i].c, y = rows[i - 1].c;
        char message[500];
        snprintf(message, sizeof message, "the id %.120s is here a second time; the first is at %.200s:%d", y->id,
                 x->file, x->line);
        return hn_case_fail(y, "give every row an id of its own, or take the id column out of the scope", message,
                            b->err);
    }
    return HN_OK;
}

enum { ID_DIGITS = 12 };

/* Ids from the inputs' hashes; where the first digits are the same again, a number behind them. */
static hn_status make_ids(const build *b, sort_row *rows) {
    size_t again = 1;
    for (size_t i = 0; i < b->d->n_cases; i++) {
        again = i && strncmp(rows[i].key, rows[i - 1].key, ID_DIGITS) == 0 ? again + 1 : 1;
        char id[64];
        if (again == 1)
            snprintf(id, sizeof id, "%.*s", ID_DIGITS, rows[i].key);
        else
            snprintf(id, sizeof id, "%.*s-%zu", ID_DIGITS, rows[i].key, again);
        hn_case *c = (hn_case *)rows[i].c; /* our own case */
        if (!(c->id = hn_arena_strdup(b->d->arena, id))) return hn_fail_memory(b->err, sizeof id);
    }
    return HN_OK;
}

static hn_status finish(const build *b) {
    hn_dataset *d = b->d;
    sort_row *rows = hn_calloc(d->n_cases, sizeof *rows);
    if (!rows) return hn_fail_memory(b->err, d->n_cases * sizeof *rows);
    for (size_t i = 0; i < d->n_cases; i++)
        rows[i] = (sort_row){d->cases[i].id ? d->cases[i].id : b->hashes[i].inputs, &d->cases[i], &b->hashes[i]};
    qsort(rows, d->n_cases, sizeof *rows, compare_rows);
    hn_status st = b->columns->id ? check_unique(b, rows) : make_ids(b, rows);
    hn_sha256 *h = st == HN_OK ? hn_sha256_create() : NULL;
    if (st == HN_OK && !h) st = hn_fail_memory(b->err, 64);
    if (h) {
        hn_sha256_field_i64(h, (int64_t)d->n_columns);
        for (size_t i = 0; i < d->n_columns; i++) hn_sha256_field_str(h, d->columns[i]);
        for (size_t i = 0; i < d->n_cases; i++)
            hn_sha256_field_str(h, rows[i].c->id), hn_sha256_field_str(h, rows[i].hashes->cells);
        hn_sha256_finish(h, d->hash);
    }
    hn_free(rows);
    return st;
}

/* ---- putting it together ---- */

static hn_status start(build *b, const hn_dataset_source *sources, size_t n_sources) {
    hn_dataset *d = b->d;
    size_t n_rows = 0;
    for (size_t i = 0; i < n_sources; i++) n_rows += sources[i].table->n_rows;
    if (n_rows >= INT32_MAX)
        return hn_fail(b->err, HN_ERR_LIMIT, sources[0].table->name, "use fewer rows", "the files have %zu rows",
                       n_rows);
    const hn_data_table *first = sources[0].table;
    d->cases = hn_calloc(n_rows, sizeof *d->cases);
    b->hashes = hn_calloc(n_rows, sizeof *b->hashes);
    d->columns = hn_arena_calloc(d->arena, first->n_columns, sizeof *d->columns);
    if (!d->cases || !b->hashes || !d->columns) return hn_fail_memory(b->err, n_rows * sizeof *d->cases);
    for (; d->n_columns < first->n_columns; d->n_columns++)
        if (!(d->columns[d->n_columns] = hn_arena_strdup(d->arena, first->columns[d->n_columns])))
            return hn_fail_memory(b->err, 64);
    return choose_inputs(b, first);
}

static hn_status take_source(build *b, const hn_dataset_source *source) {
    const hn_data_table *t = source->table;
    for (size_t i = 0; i < b->n_inputs; i++) HN_TRY(check_column(b, t, b->inputs[i]));
    HN_TRY(check_column(b, t, b->columns->target));
    HN_TRY(check_column(b, t, b->columns->group));
    HN_TRY(check_column(b, t, b->columns->id));
    if (t->n_rows == 0)
        return hn_fail(b->err, HN_ERR_INPUT, t->name, "add rows below the header", "the file has no rows");
    const char *file = hn_arena_strdup(b->d->arena, t->name);
    if (!file) return hn_fail_memory(b->err, strlen(t->name));
    for (size_t i = 0; i < t->n_rows; i++) HN_TRY(take_row(b, t, &t->rows[i], file, source->split));
    return HN_OK;
}

hn_status hn_dataset_build(const hn_dataset_source *sources, size_t n_sources, const hn_columns *columns,
                           hn_dataset **dataset, hn_error *err) {
    *dataset = NULL;
    build b = {.columns = columns, .err = err};
    hn_buf_init(&b.text, 0);
    b.d = hn_calloc(1, sizeof *b.d);
    if (!b.d) return hn_fail_memory(err, sizeof *b.d);
    b.d->arena = hn_arena_create(0);
    hn_status st = b.d->arena ? start(&b, sources, n_sources) : hn_fail_memory(err, 64);
    for (size_t i = 0; i < n_sources && st == HN_OK; i++) st = take_source(&b, &sources[i]);
    if (st == HN_OK) st = finish(&b);
    hn_buf_free(&b.text);
    hn_free(b.hashes);
    if (st == HN_OK)
        *dataset = b.d;
    else
        hn_dataset_free(b.d);
    return st;
}

hn_status hn_dataset_load(const char *path, const hn_columns *columns, hn_dataset **dataset, hn_error *err) {
    hn_data_table *table;
    *dataset = NULL;
    HN_TRY(hn_data_table_load(path, path, &table, err));
    hn_status st = hn_dataset_build(&(hn_dataset_source){table, HN_SPLIT_COUNT}, 1, columns, dataset, err);
    hn_data_table_free(table);
    return st;
}

void hn_dataset_free(hn_dataset *dataset) {
    if (!dataset) return;
    for (size_t i = 0; i < dataset->n_cases; i++) json_decref(dataset->cases[i].inputs);
    hn_free(dataset->cases);
    hn_arena_free(dataset->arena);
    hn_free(dataset);
}

const hn_case *hn_dataset_find(const hn_dataset *dataset, const char *id) {
    for (size_t i = 0; i < dataset->n_cases; i++)
        if (strcmp(dataset->cases[i].id, id) == 0) return &dataset->cases[i];
    return NULL;
}

/* Text of a value: strings as they are, a list of messages as its contents, anything else as JSON. */
static void append_text(const json_t *value, hn_buf *out) {
    size_t i;
    json_t *item;
    if (json_is_string(value)) {
        hn_buf_append(out, json_string_value(value), json_string_length(value));
    } else if (json_is_array(value) && json_is_string(json_object_get(json_array_get(value, 0), "content"))) {
        json_array_foreach(value, i, item) {
            if (i) hn_buf_append_char(out, '\n');
            append_text(json_object_get(item, "content"), out);
        }
    } else if (value && !json_is_null(value)) {
        hn_json_write(value, &(hn_json_style){.sort_keys = true}, out);
    }
}

hn_status hn_case_text(const hn_case *c, hn_buf *out, hn_error *err) {
    const char *key;
    json_t *value;
    bool first = true;
    json_object_foreach(c->inputs, key, value) {
        if (!first) hn_buf_append_char(out, '\n');
        first = false;
        append_text(value, out);
    }
    return hn_buf_check(out, c->file, err);
}
