/* CSV; see csv.h. Own code instead of libcsv: that one cannot say where a quote was opened. The reader keeps one buffer that holds the
 * cells of the current row, each ended by NUL, and offsets into it. */
#include "format/csv.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const char byte_order_mark[] = "\xEF\xBB\xBF";

struct hn_csv {
    const char *name;
    const char *text, *end, *at;
    const char *line_start;
    int line;
    char delimiter;
    size_t width, n_rows; /* cells a row; rows read so far */
    hn_buf row;
    size_t *starts; /* of cells in `row` */
    const char **cells;
    size_t capacity, cells_capacity, n_cells;
};

void hn_text_place(const char *text, size_t offset, int *line, int *column) {
    size_t start = 0;
    *line = 1;
    for (const char *newline; (newline = memchr(text + start, '\n', offset - start));) {
        start = (size_t)(newline - text) + 1;
        if (*line < INT_MAX) ++*line;
    }
    size_t characters = hn_utf8_count(text + start, offset - start) + 1;
    *column = characters < INT_MAX ? (int)characters : INT_MAX;
}

hn_status hn_text_check(const char *name, const char *text, size_t n, hn_error *err) {
    if (n == 0) return HN_OK;
    size_t bad = n;
    const char *nul = memchr(text, 0, n);
    bool valid = hn_utf8_valid(text, n, &bad);
    if (valid && !nul) return HN_OK;
    if (nul && (valid || (size_t)(nul - text) < bad)) bad = (size_t)(nul - text);
    bool utf16 = n >= 2 && (memcmp(text, "\xFF\xFE", 2) == 0 || memcmp(text, "\xFE\xFF", 2) == 0);
    char where[384];
    int line, column;
    hn_text_place(text, bad, &line, &column);
    snprintf(where, sizeof where, "%s:%d:%d", name, line, column);
    if (utf16)
        return hn_fail(err, HN_ERR_INPUT, where, "save it as UTF-8, or: iconv -f UTF-16 -t UTF-8 FILE",
                       "the file looks like UTF-16");
    if (text[bad] == 0)
        return hn_fail(err, HN_ERR_INPUT, where, "remove the NUL bytes; is this a text file?",
                       "a NUL byte stands here");
    return hn_fail(err, HN_ERR_INPUT, where, "save the file as UTF-8; if it is Latin-1: iconv -f LATIN1 -t UTF-8 FILE",
                   "the byte 0x%02X here is not valid UTF-8", (unsigned char)text[bad]);
}

/* The delimiter that the header line has most of, outside quotes; comma where it has none. */
static char guess_delimiter(const char *text, const char *end) {
    static const char candidates[] = {',', ';', '\t'};
    size_t counts[3] = {0}, best = 0;
    bool quoted = false;
    for (; text < end && (quoted || *text != '\n'); text++) {
        if (*text == '"') quoted = !quoted;
        for (size_t i = 0; !quoted && i < 3; i++) counts[i] += *text == candidates[i];
    }
    for (size_t i = 1; i < 3; i++)
        if (counts[i] > counts[best]) best = i;
    return candidates[best];
}

hn_status hn_csv_open(const char *name, const char *bytes, size_t n, char delimiter, hn_csv **csv, hn_error *err) {
    *csv = NULL;
    HN_TRY(hn_text_check(name, bytes, n, err));
    if (n >= 3 && memcmp(bytes, byte_order_mark, 3) == 0) bytes += 3, n -= 3;
    hn_csv *made = hn_calloc(1, sizeof *made);
    char *name_copy = hn_strdup(name);
    if (!made || !name_copy) {
        hn_free(made);
        hn_free(name_copy);
        return hn_fail_memory(err, sizeof *made);
    }
    made->name = name_copy;
    made->text = made->at = made->line_start = bytes;
    made->end = n ? bytes + n : bytes;
    made->line = 1;
    made->delimiter = delimiter ? delimiter : guess_delimiter(bytes, made->end);
    hn_buf_init(&made->row, (size_t)HN_CSV_MAX_ROW_BYTES + HN_CSV_MAX_COLUMNS);
    *csv = made;
    return HN_OK;
}

char hn_csv_delimiter(const hn_csv *csv) { return csv->delimiter; }

void hn_csv_close(hn_csv *csv) {
    if (!csv) return;
    hn_buf_free(&csv->row);
    hn_free((char *)csv->name);
    hn_free(csv->starts);
    hn_free(csv->cells);
    hn_free(csv);
}

static hn_status fail_at(const hn_csv *csv, int line, const char *line_start, const char *place, hn_status code,
                         const char *hint, const char *message, hn_error *err) {
    char where[384];
    size_t column = hn_utf8_count(line_start, (size_t)(place - line_start)) + 1;
    snprintf(where, sizeof where, "%s:%d:%zu", csv->name, line, column);
    return hn_fail(err, code, where, hint, "%s", message);
}

static hn_status fail_here(const hn_csv *csv, hn_status code, const char *hint, const char *message, hn_error *err) {
    return fail_at(csv, csv->line, csv->line_start, csv->at, code, hint, message, err);
}

static bool at_line_end(const hn_csv *csv) {
    return csv->at == csv->end || *csv->at == '\n' ||
           (*csv->at == '\r' && csv->at + 1 < csv->end && csv->at[1] == '\n');
}

static void skip_line_end(hn_csv *csv) {
    if (csv->at == csv->end) return;
    csv->at += *csv->at == '\r' ? 2 : 1;
    csv->line_start = csv->at;
    csv->line++;
}

static hn_status read_quoted(hn_csv *csv, hn_error *err) {
    int open_line = csv->line;
    const char *open_start = csv->line_start, *open = csv->at++;
    for (;;) {
        const char *quote = memchr(csv->at, '"', (size_t)(csv->end - csv->at));
        const char *stop = quote ? quote : csv->end;
        if (csv->row.len + (size_t)(stop - csv->at) > HN_CSV_MAX_ROW_BYTES || !quote) {
            csv->at = open;
            return fail_at(csv, open_line, open_start, open, quote ? HN_ERR_LIMIT : HN_ERR_INPUT,
                           "close the quote; a \" inside a quoted cell is written twice (\"\")",
                           quote ? "the quote opened here runs on for more than 16 MiB"
                                 : "the quote opened here is never closed",
                           err);
        }
        for (const char *newline = csv->at; (newline = memchr(newline, '\n', (size_t)(stop - newline)));)
            csv->line_start = ++newline, csv->line++;
        hn_buf_append(&csv->row, csv->at, (size_t)(stop - csv->at));
        csv->at = stop + 1;
        if (csv->at == csv->end || *csv->at != '"') break;
        hn_buf_append_char(&csv->row, '"');
        csv->at++;
    }
    if (at_line_end(csv) || *csv->at == csv->delimiter) return HN_OK;
    char message[160];
    snprintf(message, sizeof message, "text follows the closing quote of a cell that was opened in line %d", open_line);
    return fail_here(csv, HN_ERR_INPUT, "a \" inside a quoted cell is written twice (\"\")", message, err);
}

static hn_status read_bare(hn_csv *csv, hn_error *err) {
    const char *start = csv->at;
    for (; !at_line_end(csv) && *csv->at != csv->delimiter; csv->at++) {
        if (*csv->at == '"')
            return fail_here(csv, HN_ERR_INPUT, "put the whole cell in quotes and write the \" inside twice (\"\")",
                             "a quote stands inside a cell that does not begin with one", err);
        if (*csv->at == '\r')
            return fail_here(csv, HN_ERR_INPUT, "put the cell in quotes, or save the file with LF or CRLF line ends",
                             "a carriage return stands here without a line feed", err);
    }
    if (csv->row.len + (size_t)(csv->at - start) > HN_CSV_MAX_ROW_BYTES) {
        csv->at = start;
        return fail_here(csv, HN_ERR_LIMIT, "split the text", "the row is longer than 16 MiB from this cell on", err);
    }
    hn_buf_append(&csv->row, start, (size_t)(csv->at - start));
    return HN_OK;
}

static hn_status read_cell(hn_csv *csv, hn_error *err) {
    if (csv->n_cells >= HN_CSV_MAX_COLUMNS)
        return fail_here(csv, HN_ERR_LIMIT, NULL, "the row has more than 4,096 cells", err);
    if (!hn_grow((void **)&csv->starts, &csv->capacity, csv->n_cells + 1, sizeof *csv->starts))
        return hn_fail_memory(err, csv->n_cells * sizeof *csv->starts);
    csv->starts[csv->n_cells++] = csv->row.len;
    HN_TRY(csv->at < csv->end && *csv->at == '"' ? read_quoted(csv, err) : read_bare(csv, err));
    if (csv->row.len > HN_CSV_MAX_ROW_BYTES)
        return fail_here(csv, HN_ERR_LIMIT, "split the text", "the row is longer than 16 MiB", err);
    hn_buf_append_char(&csv->row, 0);
    return hn_buf_check(&csv->row, csv->name, err);
}

static hn_status check_width(hn_csv *csv, int line, hn_error *err) {
    if (csv->n_rows++ == 0) csv->width = csv->n_cells;
    char where[384];
    snprintf(where, sizeof where, "%s:%d:1", csv->name, line);
    if (csv->n_rows > HN_CSV_MAX_ROWS + (size_t)1)
        return hn_fail(err, HN_ERR_LIMIT, where, "split the file", "the file has more than 1,000,000 rows");
    if (csv->n_cells == csv->width) return HN_OK;
    const char *shown = csv->delimiter == '\t' ? "tab" : csv->delimiter == ';' ? "semicolon" : "comma";
    char hint[200];
    snprintf(hint, sizeof hint, "a cell with a %s or a line break in it needs quotes around it", shown);
    return hn_fail(err, HN_ERR_INPUT, where, hint, "the row has %zu cells, the header has %zu", csv->n_cells,
                   csv->width);
}

hn_status hn_csv_next(hn_csv *csv, hn_csv_row *row, hn_error *err) {
    *row = (hn_csv_row){0};
    while (csv->at < csv->end && at_line_end(csv)) skip_line_end(csv);
    if (csv->at == csv->end) return HN_OK;
    int line = csv->line;
    hn_buf_clear(&csv->row);
    csv->n_cells = 0;
    for (;;) {
        HN_TRY(read_cell(csv, err));
        if (at_line_end(csv)) break;
        csv->at++; /* the delimiter */
    }
    skip_line_end(csv);
    HN_TRY(check_width(csv, line, err));
    if (!hn_grow((void **)&csv->cells, &csv->cells_capacity, csv->n_cells, sizeof *csv->cells))
        return hn_fail_memory(err, csv->n_cells * sizeof *csv->cells);
    for (size_t i = 0; i < csv->n_cells; i++) csv->cells[i] = csv->row.data + csv->starts[i];
    *row = (hn_csv_row){csv->cells, csv->n_cells, line};
    return HN_OK;
}

void hn_csv_append_cell(hn_buf *out, const char *text, char delimiter) {
    const char special[] = {'"', '\n', '\r', delimiter, 0};
    size_t n = strlen(text);
    bool mark = n >= 3 && memcmp(text, byte_order_mark, 3) == 0; /* it would vanish at the start of a file */
    if (n && !strpbrk(text, special) && text[0] != ' ' && text[n - 1] != ' ' && !mark) {
        hn_buf_append(out, text, n);
        return;
    }
    hn_buf_append_char(out, '"');
    for (const char *quote; (quote = strchr(text, '"')); text = quote + 1) {
        hn_buf_append(out, text, (size_t)(quote - text) + 1);
        hn_buf_append_char(out, '"');
    }
    hn_buf_append_str(out, text);
    hn_buf_append_char(out, '"');
}

void hn_csv_append_row(hn_buf *out, const char *const *cells, size_t n, char delimiter) {
    for (size_t i = 0; i < n; i++) {
        if (i) hn_buf_append_char(out, delimiter);
        hn_csv_append_cell(out, cells[i], delimiter);
    }
    hn_buf_append_str(out, "\r\n");
}
