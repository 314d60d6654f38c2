/* CSV as RFC 4180 has it: read strictly, so that a broken quote is an error at its own line and not a cell of half the file; and written.
 *
 *     hn_csv *csv; hn_csv_row row;
 *     HN_TRY(hn_csv_open("tickets.csv", bytes, n, 0, &csv, &err));     // `bytes` must stay until hn_csv_close
 *     while ((st = hn_csv_next(csv, &row, &err)) == HN_OK && row.n) use(row.cells[0], row.line);
 *     hn_csv_close(csv);
 *
 * Lines end in LF or CRLF; a byte order mark is skipped, and so are blank lines. All rows have as many cells as the first one. UTF-8 only, no NUL.
 * Ownership: a row's cells are the reader's, valid until the next call. Threading: one thread. */
#ifndef HN_FORMAT_CSV_H
#define HN_FORMAT_CSV_H

#include "base/buf.h"
#include "base/status.h"

enum { HN_CSV_MAX_ROW_BYTES = 16 << 20, HN_CSV_MAX_ROWS = 1000000, HN_CSV_MAX_COLUMNS = 4096 };

typedef struct hn_csv hn_csv;

typedef struct hn_csv_row {
    const char *const *cells; /* (n), NUL-terminated UTF-8 */
    size_t n;                 /* 0: the file is at its end */
    int line;                 /* the row's first line, from 1 */
} hn_csv_row;

/* `delimiter` 0: the one of comma, semicolon and tab that the header line has most of. `name` is what errors call the file.
 * HN_ERR_INPUT with file:line:column for bytes that are not UTF-8 and for NUL. */
hn_status hn_csv_open(const char *name, const char *bytes, size_t n, char delimiter, hn_csv **csv,
                      hn_error *err) HN_MUST_CHECK;
/* The next row. HN_ERR_INPUT: quotes or the number of cells are wrong; HN_ERR_LIMIT: a row past 16 MiB, more than 1,000,000 rows or 4,096 columns. */
hn_status hn_csv_next(hn_csv *csv, hn_csv_row *row, hn_error *err) HN_MUST_CHECK;
char hn_csv_delimiter(const hn_csv *csv);
void hn_csv_close(hn_csv *csv);

/* Appends one cell, quoted where its content asks for it, and one row with its end of line. Check the buffer's status at the end. */
void hn_csv_append_cell(hn_buf *out, const char *text, char delimiter);
void hn_csv_append_row(hn_buf *out, const char *const *cells, size_t n, char delimiter);

/* The place of byte `offset` as line and column (in characters), both from 1. */
void hn_text_place(const char *text, size_t offset, int *line, int *column);
/* Text must be UTF-8 without NUL; the error names the place, the kind of encoding it looks like, and how to save it. */
hn_status hn_text_check(const char *name, const char *text, size_t n, hn_error *err) HN_MUST_CHECK;

#endif
