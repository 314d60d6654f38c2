/* What the program prints: result and error objects for programs; colours, tables and a progress line for people.
 *
 *     hn_table *t = hn_table_create(cli->out);
 *     hn_table_column(t, "run", HN_ALIGN_LEFT);
 *     hn_table_column(t, "accuracy", HN_ALIGN_RIGHT);
 *     hn_table_row(t);
 *     hn_table_cell(t, "r%d", 3); hn_table_cell(t, "%.3f", 0.913);
 *     HN_TRY(hn_table_print(t, &err));                      // and frees it
 *
 * Results go to standard output, everything said on the way to standard error. Threading: main thread. */
#ifndef HN_CLI_OUTPUT_H
#define HN_CLI_OUTPUT_H

#include "base/buf.h"
#include "base/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct hn_output {
    bool json; /* --json: the result is one JSON value */
    bool stdout_terminal, stderr_terminal;
    bool colour; /* standard output may carry colours (terminal, NO_COLOR unset; CLICOLOR_FORCE=1 forces) */
    bool stderr_colour;
    int width; /* columns of the terminal; 100 where there is none */
} hn_output;

/* Looks at the terminal and the environment; sets the locale so that UTF-8 has its widths. */
void hn_output_init(hn_output *out);

typedef enum hn_style {
    HN_STYLE_NONE,
    HN_STYLE_BOLD,
    HN_STYLE_DIM,
    HN_STYLE_GOOD,
    HN_STYLE_BAD,
    HN_STYLE_WARN,
    HN_STYLE_ACCENT
} hn_style;
/* The escape sequence that starts a style on standard output, or "" where colours are off; HN_STYLE_NONE ends it. */
const char *hn_output_style(const hn_output *out, hn_style style);

/* printf to standard output; nothing with --json, so a command may print for people without asking. */
void hn_output_print(hn_output *out, const char *fmt, ...) HN_PRINTF(2, 3);
/* A line on standard error for people: what is being done, what to know. Clears the progress line first. */
void hn_output_note(hn_output *out, const char *fmt, ...) HN_PRINTF(2, 3);
/* Bytes to standard output, flushed at once: for streamed text. False once standard output is closed or full. */
bool hn_output_stream(const char *bytes, size_t n);
/* Prints an error: {"error":{...}} on standard output with --json, else three lines on standard error. */
void hn_output_error(hn_output *out, const hn_error *err);
/* Flushes standard output; a full disk is an error, a reader that went away is not. */
hn_status hn_output_finish(hn_error *err) HN_MUST_CHECK;

typedef enum hn_align {
    HN_ALIGN_LEFT,
    HN_ALIGN_RIGHT,
    HN_ALIGN_WRAP /* left, broken over lines where the terminal is narrow */
} hn_align;
typedef struct hn_table hn_table;
/* A table never fails before it is printed (sticky error, as hn_buf). Cells fill a row from left to right. */
hn_table *hn_table_create(hn_output *out);
void hn_table_column(hn_table *t, const char *name, hn_align align);
void hn_table_row(hn_table *t);
void hn_table_cell(hn_table *t, const char *fmt, ...) HN_PRINTF(2, 3);
/* Colours the newest row. */
void hn_table_row_style(hn_table *t, hn_style style);
/* Prints to standard output (nothing with --json) and frees. */
hn_status hn_table_print(hn_table *t, hn_error *err) HN_MUST_CHECK;
void hn_table_free(hn_table *t);

/* Progress: one line on a terminal, rewritten at most ten times a second, with rate and time left; elsewhere a line about every ten
 * seconds. Nothing is shown for work that takes less than half a second.
 *
 *     hn_progress p;
 *     hn_progress_begin(&p, cli->out, "evaluating v1", n_cases, HN_PROGRESS_COUNT, "cases");
 *     hn_progress_update(&p, n_done);
 *     hn_progress_end(&p);                                  // clears the line; also fine after an error */
typedef enum hn_progress_unit { HN_PROGRESS_COUNT, HN_PROGRESS_BYTES } hn_progress_unit;
typedef struct hn_progress {
    hn_output *out;
    char what[96];
    const char *unit_name;
    hn_progress_unit unit;
    uint64_t total, done,
        base; /* total 0: unknown; base: what was there at the first update that is not counted in the rate */
    double started, shown;
    bool visible;
} hn_progress;
void hn_progress_begin(hn_progress *p, hn_output *out, const char *what, uint64_t total, hn_progress_unit unit,
                       const char *unit_name);
/* What was done by an earlier, interrupted run: not counted in the rate. */
void hn_progress_base(hn_progress *p, uint64_t done);
void hn_progress_update(hn_progress *p, uint64_t done);
/* Replaces the text before the numbers, and the total. */
void hn_progress_rename(hn_progress *p, const char *what, uint64_t total);
void hn_progress_end(hn_progress *p);

#endif
