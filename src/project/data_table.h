/* A data file as a table of text: CSV, TSV and JSON Lines read into one shape, with each row's line for messages.
 *
 *     hn_data_table *t;
 *     HN_TRY(hn_data_table_load("data/tickets.csv", "data/tickets.csv", &t, &err));
 *     for (size_t i = 0; i < t->n_rows; i++) puts(t->rows[i].cells[0]);
 *     hn_data_table_free(t);
 *
 * The kind follows the name: .tsv has tabs, .jsonl and .ndjson one JSON object a line, anything else is CSV. Columns of JSON Lines are the keys of
 * all rows in the order they first appear. Ownership: the table owns all text. Threading: read-only after loading. */
#ifndef HN_PROJECT_DATA_TABLE_H
#define HN_PROJECT_DATA_TABLE_H

#include "base/alloc.h"
#include "format/json.h"

enum { HN_DATA_TABLE_MAX_BYTES = 1 << 30 };

typedef struct hn_data_table_row {
    const char *
        *cells; /* (n_columns) text; of JSON Lines: strings as they are, other values as JSON; NULL: absent or null */
    json_t *object; /* JSON Lines: the row; CSV: NULL */
    int line;       /* its first line, from 1 */
} hn_data_table_row;

typedef struct hn_data_table {
    const char *name; /* for messages */
    char **columns;
    size_t n_columns;
    hn_data_table_row *rows;
    size_t n_rows;
    int header_line; /* where the columns' names stand; JSON Lines: the first row */
    hn_arena *arena;
} hn_data_table;

/* `name` is what messages call the file. HN_ERR_INPUT with file:line:column for whatever cannot be read as a table. */
hn_status hn_data_table_load(const char *path, const char *name, hn_data_table **table, hn_error *err) HN_MUST_CHECK;
/* The same from bytes; the kind follows `name`. */
hn_status hn_data_table_parse(const char *name, const char *bytes, size_t n, hn_data_table **table,
                              hn_error *err) HN_MUST_CHECK;
void hn_data_table_free(hn_data_table *table);
/* Index of a column; -1: none has that name. */
int hn_data_table_column(const hn_data_table *table, const char *name);
/* A remedy for a column that is not there: "did you mean `team`? columns: id, team". */
void hn_data_table_suggest(const hn_data_table *table, const char *wrong, char *out, size_t size);

#endif
