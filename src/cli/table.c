/* Tables for people, by libsmartcols; see output.h. Surprise: without a terminal nothing is cut or wrapped, so that a table in a
 * file or a pipe keeps every word. */
#include "base/alloc.h"
#include "base/utf8.h"
#include "cli/output.h"

#include <libsmartcols/libsmartcols.h>
#include <stdarg.h>
#include <stdio.h>

struct hn_table {
    hn_output *out;
    struct libscols_table *inner;
    struct libscols_line *line;
    size_t column;
    bool failed;
};

hn_table *hn_table_create(hn_output *out) {
    hn_table *t = hn_calloc(1, sizeof *t);
    if (!t) return NULL; /* every function below takes NULL; printing then reports it */
    t->out = out;
    t->inner = scols_new_table();
    t->failed = !t->inner;
    if (t->failed) return t;
    scols_table_enable_colors(t->inner, out->colour);
    scols_table_enable_noencoding(t->inner, 1);
    scols_table_set_termforce(t->inner, out->stdout_terminal ? SCOLS_TERMFORCE_ALWAYS : SCOLS_TERMFORCE_NEVER);
    scols_table_set_column_separator(t->inner, "  ");
    scols_table_set_termwidth(t->inner, (size_t)out->width);
    return t;
}

void hn_table_column(hn_table *t, const char *name, hn_align align) {
    if (!t || t->failed) return;
    int flags = align == HN_ALIGN_RIGHT ? SCOLS_FL_RIGHT : align == HN_ALIGN_WRAP ? SCOLS_FL_WRAP : 0;
    if (!scols_table_new_column(t->inner, name, 0, flags)) t->failed = true;
}

void hn_table_row(hn_table *t) {
    if (!t || t->failed) return;
    t->column = 0;
    t->line = scols_table_new_line(t->inner, NULL);
    if (!t->line) t->failed = true;
}

/* A control character in a name must not steer the terminal, and a line break must not break the table. */
static void replace_controls(char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7F) *text = ' ';
}

void hn_table_cell(hn_table *t, const char *fmt, ...) {
    if (!t || t->failed) return;
    hn_buf text;
    hn_buf_init(&text, 1 << 20);
    va_list args;
    va_start(args, fmt);
    hn_buf_appendv(&text, fmt, args);
    va_end(args);
    if (text.data) replace_controls(text.data);
    if (hn_buf_status(&text) != HN_OK || !t->line || scols_line_set_data(t->line, t->column++, hn_buf_str(&text)) != 0)
        t->failed = true;
    hn_buf_free(&text);
}

void hn_table_row_style(hn_table *t, hn_style style) {
    const char *name = style == HN_STYLE_GOOD     ? "green"
                       : style == HN_STYLE_BAD    ? "red"
                       : style == HN_STYLE_WARN   ? "brown"
                       : style == HN_STYLE_ACCENT ? "cyan"
                                                  : NULL;
    if (!t || t->failed || !name || !t->line) return;
    if (scols_line_set_color(t->line, name) != 0) t->failed = true;
}

/* smartcols pads the last column of each line with blanks in a file; people compare and copy, so they go. */
static void print_trimmed(hn_output *out, const char *text) {
    while (*text) {
        const char *end = text;
        while (*end && *end != '\n') end++;
        const char *last = end;
        while (last > text && last[-1] == ' ') last--;
        hn_output_print(out, "%.*s\n", (int)(last - text), text);
        text = *end ? end + 1 : end;
    }
}

hn_status hn_table_print(hn_table *t, hn_error *err) {
    char *text = NULL;
    hn_status st = HN_OK;
    if (!t || t->failed)
        st = hn_fail_memory(err, 0);
    else if (!t->out->json && scols_table_get_nlines(t->inner) > 0) {
        if (scols_print_table_to_string(t->inner, &text) != 0)
            st = hn_fail_memory(err, 0);
        else
            print_trimmed(t->out, text);
    }
    hn_free(text); /* malloc's, as hn_free's */
    hn_table_free(t);
    return st;
}

void hn_table_free(hn_table *t) {
    if (!t) return;
    scols_unref_table(t->inner);
    hn_free(t);
}
