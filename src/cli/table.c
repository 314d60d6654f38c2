/* Tables for people; see output.h. Column widths are measured in the terminal's columns, so that wide and combining characters line up.
 *
 * Where the terminal is too narrow, the columns that may wrap share what is left after the others. Surprise: without a terminal nothing
 * is wrapped, so that a table in a file or a pipe keeps each row on its line. */
#include "base/alloc.h"
#include "base/utf8.h"
#include "cli/output.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { COLUMNS_MAX = 32, GAP = 2, WRAP_LEAST = 12, CELL_MAX = 1 << 20 };

typedef struct column {
    char *name;
    hn_align align;
    size_t width;
} column;

typedef struct row {
    char *cells[COLUMNS_MAX]; /* NULL: empty */
    size_t n;
    hn_style style;
} row;

struct hn_table {
    hn_output *out;
    column columns[COLUMNS_MAX];
    size_t n_columns;
    row *rows;
    size_t n_rows, capacity;
    bool failed;
};

hn_table *hn_table_create(hn_output *out) {
    hn_table *t = hn_calloc(1, sizeof *t);
    if (t) t->out = out; /* every function below takes NULL; printing then reports it */
    return t;
}

void hn_table_column(hn_table *t, const char *name, hn_align align) {
    if (!t || t->failed) return;
    char *copy = t->n_columns < COLUMNS_MAX ? hn_strdup(name) : NULL;
    if (copy)
        t->columns[t->n_columns++] = (column){copy, align, 0};
    else
        t->failed = true;
}

void hn_table_row(hn_table *t) {
    if (!t || t->failed) return;
    if (hn_grow((void **)&t->rows, &t->capacity, t->n_rows + 1, sizeof *t->rows))
        t->rows[t->n_rows++] = (row){.style = HN_STYLE_NONE};
    else
        t->failed = true;
}

/* A control character in a name must not steer the terminal, and a line break must not break the table. */
static void replace_controls(char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7F) *text = ' ';
}

void hn_table_cell(hn_table *t, const char *fmt, ...) {
    if (!t || t->failed) return;
    row *r = t->n_rows ? &t->rows[t->n_rows - 1] : NULL;
    hn_buf text;
    hn_buf_init(&text, CELL_MAX);
    va_list args;
    va_start(args, fmt);
    hn_buf_appendv(&text, fmt, args);
    va_end(args);
    if (text.data) replace_controls(text.data);
    char *copy = hn_buf_status(&text) == HN_OK ? hn_strdup(hn_buf_str(&text)) : NULL;
    hn_buf_free(&text);
    if (copy && r && r->n < t->n_columns) {
        r->cells[r->n++] = copy;
        return;
    }
    hn_free(copy);
    t->failed = true;
}

void hn_table_row_style(hn_table *t, hn_style style) {
    if (t && !t->failed && t->n_rows) t->rows[t->n_rows - 1].style = style;
}

/* --- layout --- */

/* Plain ASCII, which nearly all cells are, needs no decoding: a list of 30,000 runs has half a million cells. */
static size_t columns_of(const char *text, size_t n) {
    size_t i = 0;
    while (i < n && (unsigned char)text[i] >= 0x20 && (unsigned char)text[i] < 0x7F) i++;
    return i == n ? n : (size_t)hn_utf8_width(text, n);
}

static size_t width_of(const char *text) { return columns_of(text, strlen(text)); }

static const char *cell_text(const row *r, size_t c) { return c < r->n ? r->cells[c] : ""; }

/* What one line takes of `text` in `width` columns: up to the last blank that fits, else as many characters as do. */
static size_t line_bytes(const char *text, size_t width) {
    size_t at = 0, used = 0, n = strlen(text), blank = 0;
    while (at < n) {
        uint32_t cp;
        size_t len = hn_utf8_decode(text + at, n - at, &cp), more = columns_of(text + at, len);
        if (used + more > width && at > 0) return text[at] != ' ' && blank ? blank : at;
        if (text[at] == ' ' && at > 0) blank = at;
        used += more;
        at += len;
    }
    return n;
}

/* Each column as wide as its widest cell; on a terminal the wrapping ones give way, the widest first. */
static void set_widths(hn_table *t) {
    size_t sum = 0;
    for (size_t c = 0; c < t->n_columns; c++) {
        t->columns[c].width = width_of(t->columns[c].name);
        for (size_t i = 0; i < t->n_rows; i++) {
            size_t width = width_of(cell_text(&t->rows[i], c));
            if (width > t->columns[c].width) t->columns[c].width = width;
        }
        sum += t->columns[c].width + (c ? GAP : 0);
    }
    while (t->out->stdout_terminal && sum > (size_t)t->out->width) {
        column *widest = NULL;
        for (size_t c = 0; c < t->n_columns; c++)
            if (t->columns[c].align == HN_ALIGN_WRAP && (!widest || t->columns[c].width > widest->width))
                widest = &t->columns[c];
        if (!widest || widest->width <= WRAP_LEAST) return;
        widest->width--;
        sum--;
    }
}

/* One line of the terminal: `rest` is what each cell still has to say, and is moved on. True where something is left. */
static bool append_line(const hn_table *t, const char *rest[COLUMNS_MAX], hn_buf *line) {
    bool more = false;
    size_t pending = 0; /* blanks that are written once something follows, so that no line ends in blanks */
    for (size_t c = 0; c < t->n_columns; c++) {
        const column *k = &t->columns[c];
        size_t n = k->align == HN_ALIGN_WRAP ? line_bytes(rest[c], k->width) : strlen(rest[c]);
        size_t used = columns_of(rest[c], n), blanks = k->width > used ? k->width - used : 0;
        if (c) pending += GAP;
        if (k->align == HN_ALIGN_RIGHT) pending += blanks;
        size_t visible = n;
        while (visible && rest[c][visible - 1] == ' ') visible--;
        if (visible) {
            hn_buf_append_repeat(line, ' ', pending);
            hn_buf_append(line, rest[c], visible);
            pending = n - visible;
        } else
            pending += used;
        if (k->align != HN_ALIGN_RIGHT) pending += blanks;
        rest[c] += n;
        if (k->align == HN_ALIGN_WRAP)
            while (*rest[c] == ' ') rest[c]++;
        more |= *rest[c] != 0;
    }
    return more;
}

static hn_status print_row(const hn_table *t, const char *rest[COLUMNS_MAX], hn_style style, hn_error *err) {
    bool plain = style == HN_STYLE_NONE;
    const char *on = plain ? "" : hn_output_style(t->out, style);
    const char *off = plain ? "" : hn_output_style(t->out, HN_STYLE_NONE);
    for (bool more = true; more;) {
        hn_buf line;
        hn_buf_init(&line, 0);
        more = append_line(t, rest, &line);
        hn_status st = hn_buf_check(&line, "a table's line", err);
        if (st == HN_OK) hn_output_print(t->out, "%s%s%s\n", on, hn_buf_str(&line), off);
        hn_buf_free(&line);
        HN_TRY(st);
    }
    return HN_OK;
}

static hn_status print_all(hn_table *t, hn_error *err) {
    const char *rest[COLUMNS_MAX];
    set_widths(t);
    for (size_t c = 0; c < t->n_columns; c++) rest[c] = t->columns[c].name;
    HN_TRY(print_row(t, rest, HN_STYLE_NONE, err));
    for (size_t i = 0; i < t->n_rows; i++) {
        for (size_t c = 0; c < t->n_columns; c++) rest[c] = cell_text(&t->rows[i], c);
        HN_TRY(print_row(t, rest, t->rows[i].style, err));
    }
    return HN_OK;
}

hn_status hn_table_print(hn_table *t, hn_error *err) {
    hn_status st = HN_OK;
    if (!t || t->failed)
        st = hn_fail_memory(err, 0);
    else if (!t->out->json && t->n_rows > 0)
        st = print_all(t, err);
    hn_table_free(t);
    return st;
}

void hn_table_free(hn_table *t) {
    if (!t) return;
    for (size_t c = 0; c < t->n_columns; c++) hn_free(t->columns[c].name);
    for (size_t i = 0; i < t->n_rows; i++)
        for (size_t c = 0; c < t->rows[i].n; c++) hn_free(t->rows[i].cells[c]);
    hn_free(t->rows);
    hn_free(t);
}
