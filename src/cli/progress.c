/* The progress line; see output.h. It is written straight to standard error, and only where a person looks at it. */
#include "base/clock.h"
#include "base/str.h"
#include "base/utf8.h"
#include "cli/output.h"

#include <stdio.h>
#include <string.h>

static const double quiet_s = 0.5, redraw_s = 0.1, line_every_s = 10;

void hn_progress_begin(hn_progress *p, hn_output *out, const char *what, uint64_t total, hn_progress_unit unit,
                       const char *unit_name) {
    *p = (hn_progress){.out = out, .unit = unit, .unit_name = unit_name ? unit_name : "", .total = total};
    p->started = p->shown = hn_clock_seconds();
    snprintf(p->what, sizeof p->what, "%s", what);
}

void hn_progress_base(hn_progress *p, uint64_t done) { p->base = p->done = done; }

void hn_progress_rename(hn_progress *p, const char *what, uint64_t total) {
    snprintf(p->what, sizeof p->what, "%s", what);
    p->total = total;
}

static void format_amount(const hn_progress *p, double amount, char out[40]) {
    char text[32];
    if (p->unit == HN_PROGRESS_BYTES)
        hn_format_bytes((uint64_t)(amount < 0 ? 0 : amount), text);
    else if (amount < 100 && amount != (double)(int64_t)amount)
        snprintf(text, sizeof text, "%.1f", amount);
    else
        hn_format_count((int64_t)amount, text);
    snprintf(out, 40, "%s", text);
}

static void compose(const hn_progress *p, double now, char line[320]) {
    char done[40], total[40], rate_text[40], left[32];
    double took = now - p->started, rate = took > 0 && p->done > p->base ? (double)(p->done - p->base) / took : 0;
    format_amount(p, (double)p->done, done);
    format_amount(p, (double)p->total, total);
    format_amount(p, rate, rate_text);
    int n = snprintf(line, 320, "%s: %s", p->what, done);
    if (p->total) n += snprintf(line + n, 320 - (size_t)n, " of %s", total);
    if (p->unit == HN_PROGRESS_COUNT && *p->unit_name) n += snprintf(line + n, 320 - (size_t)n, " %s", p->unit_name);
    if (p->total) n += snprintf(line + n, 320 - (size_t)n, " (%.0f %%)", 100.0 * (double)p->done / (double)p->total);
    if (rate > 0) n += snprintf(line + n, 320 - (size_t)n, ", %s/s", rate_text);
    if (rate > 0 && p->total > p->done)
        snprintf(line + n, 320 - (size_t)n, ", %s left", hn_format_duration((double)(p->total - p->done) / rate, left));
}

void hn_progress_update(hn_progress *p, uint64_t done) {
    double now = hn_clock_seconds();
    p->done = done;
    if (now - p->started < quiet_s || now - p->shown < (p->out->stderr_terminal ? redraw_s : line_every_s)) return;
    char line[320];
    compose(p, now, line);
    p->shown = now;
    p->visible = true;
    if (!p->out->stderr_terminal) {
        fprintf(stderr, "%s\n", line);
        return;
    }
    size_t fits = hn_utf8_prefix(line, strlen(line), (size_t)p->out->width - 1);
    fprintf(stderr, "\r\033[K%.*s", (int)fits, line);
    fflush(stderr);
}

void hn_progress_end(hn_progress *p) {
    if (p->out && p->visible && p->out->stderr_terminal) fputs("\r\033[K", stderr);
    p->visible = false;
}
