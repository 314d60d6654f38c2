/* Charts; see report_svg.h. Coordinates are pixels of a drawing that scales to the page's width. */
#include "lifecycle/iterate/report_svg.h"

#include "base/utf8.h"
#include "format/markdown.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAME_CHARS = 28, CHAR_WIDTH = 7, ROW = 24, PLOT = 420, TOP = 26, CELL = 34, CELL_SMALL = 9, LABELS_NAMED = 40 };

/* At most NAME_CHARS characters. */
static void append_name(hn_buf *out, const char *name) {
    size_t n = strlen(name), chars = 0, i = 0;
    while (i < n && chars < NAME_CHARS) {
        uint32_t cp;
        i += hn_utf8_decode(name + i, n - i, &cp);
        chars++;
    }
    hn_html_append_n(out, name, i);
    if (i < n) hn_buf_append_str(out, "\xE2\x80\xA6");
}

static size_t name_width(const char *name) {
    size_t width = (size_t)hn_utf8_width(name, strlen(name));
    return CHAR_WIDTH * (width < NAME_CHARS ? width : NAME_CHARS + 1);
}

static void begin(hn_buf *out, size_t width, size_t height, const char *title) {
    hn_buf_appendf(out, "<svg viewBox=\"0 0 %zu %zu\" width=\"%zu\" height=\"%zu\" role=\"img\"><title>", width, height,
                   width, height);
    hn_html_append(out, title);
    hn_buf_append_str(out, "</title>\n");
}

static void append_text(hn_buf *out, double x, double y, const char *anchor, const char *extra, const char *text) {
    hn_buf_appendf(out, "<text class=\"text\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\"%s>", x, y, anchor, extra);
    append_name(out, text);
    hn_buf_append_str(out, "</text>\n");
}

static void append_line(hn_buf *out, const char *class, double x1, double y1, double x2, double y2) {
    hn_buf_appendf(out, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", class, x1, y1, x2,
                   y2);
}

/* 0, 20 ... 100 % across, from `left`. */
static void append_scale(hn_buf *out, double left, double top, double bottom) {
    char text[16];
    for (int i = 0; i <= 5; i++) {
        double x = left + PLOT * i / 5.0;
        append_line(out, "grid", x, top, x, bottom);
        snprintf(text, sizeof text, "%d %%", 20 * i);
        append_text(out, x, top - 8, "middle", "", text);
    }
}

void hn_svg_intervals(const hn_svg_interval *rows, size_t n, const char *title, hn_buf *out) {
    size_t left = 0;
    for (size_t i = 0; i < n; i++)
        if (name_width(rows[i].name) > left) left = name_width(rows[i].name);
    left += 16;
    size_t bottom = TOP + ROW * n;
    begin(out, left + PLOT + 150, bottom + 8, title);
    append_scale(out, (double)left, TOP, (double)bottom);
    for (size_t i = 0; i < n; i++) {
        const hn_svg_interval *r = &rows[i];
        double y = TOP + ROW * ((double)i + 0.5), x0 = (double)left;
        const char *kind = r->is_baseline ? "base" : "mark";
        append_text(out, x0 - 8, y + 4, "end", "", r->name);
        if (!isfinite(r->value)) continue;
        if (isfinite(r->low) && isfinite(r->high))
            append_line(out, r->is_baseline ? "line quiet" : "line", x0 + PLOT * r->low, y, x0 + PLOT * r->high, y);
        hn_buf_appendf(out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"5\"/>\n", kind, x0 + PLOT * r->value, y);
        hn_buf_appendf(out, "<text class=\"text\" x=\"%.1f\" y=\"%.1f\">%.1f %%", x0 + PLOT + 10, y + 4,
                       100 * r->value);
        if (isfinite(r->low) && isfinite(r->high)) hn_buf_appendf(out, " [%.1f, %.1f]", 100 * r->low, 100 * r->high);
        hn_buf_append_str(out, "</text>\n");
    }
    hn_buf_append_str(out, "</svg>\n");
}

static void append_cell(hn_buf *out, const char *const *labels, size_t n_labels, const hn_confusion *c, size_t t,
                        size_t p, double x, double y, double size, uint64_t support) {
    uint64_t count = hn_confusion_at(c, t, p);
    double share = support ? (double)count / (double)support : 0;
    hn_buf_appendf(out, "<g><title>");
    hn_html_append(out, labels[t]);
    hn_buf_append_str(out, " \xE2\x86\x92 ");
    hn_html_append(out, p < n_labels ? labels[p] : "no valid answer");
    hn_buf_appendf(
        out,
        ": %llu (%.0f %%)</title><rect class=\"cell%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
        "fill-opacity=\"%.3f\"/>",
        (unsigned long long)count, 100 * share, p == t ? " good" : "", x, y, size - 1, size - 1,
        count ? 0.12 + 0.88 * share : 0.03);
    if (count && size >= CELL)
        hn_buf_appendf(out, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%llu</text>",
                       share > 0.5 ? "over" : "text", x + size / 2, y + size / 2 + 4, (unsigned long long)count);
    hn_buf_append_str(out, "</g>\n");
}

void hn_svg_confusion(const char *const *labels, size_t n_labels, const hn_confusion *c, hn_buf *out) {
    size_t left = 0;
    bool small = n_labels > 16, named = n_labels <= LABELS_NAMED;
    for (size_t l = 0; l < n_labels && named; l++)
        if (name_width(labels[l]) > left) left = name_width(labels[l]);
    if (left < 90) left = 90; /* "(none)" and the heading fit */
    left += 16;
    size_t cell = small ? (named ? 16 : CELL_SMALL) : CELL, side = cell * (n_labels + 1);
    begin(out, left + side + 20, left + cell * n_labels + 8, "Confusion matrix: targets down, answers across");
    for (size_t t = 0; t < n_labels; t++) {
        double y = (double)left + (double)(cell * t);
        uint64_t support = 0;
        for (size_t p = 0; p <= n_labels; p++) support += hn_confusion_at(c, t, p);
        if (named) append_text(out, (double)left - 8, y + (double)cell / 2 + 4, "end", "", labels[t]);
        for (size_t p = 0; p <= n_labels; p++)
            append_cell(out, labels, n_labels, c, t, p, (double)left + (double)(cell * p), y, (double)cell, support);
    }
    for (size_t p = 0; p <= n_labels && named; p++) {
        char turn[80];
        double x = (double)left + (double)(cell * p) + (double)cell / 2 + 4, y = (double)left - 8;
        snprintf(turn, sizeof turn, " transform=\"rotate(-90 %.1f %.1f)\"", x, y);
        append_text(out, x, y, "start", turn, p < n_labels ? labels[p] : "(none)");
    }
    hn_buf_append_str(out, "</svg>\n");
}

void hn_svg_reliability(const hn_calibration_bin *bins, size_t n, double ece, hn_buf *out) {
    enum { SIDE = 300, LEFT = 56, ABOVE = 16 };
    uint64_t most = 1;
    char text[48];
    for (size_t i = 0; i < n; i++)
        if (bins[i].count > most) most = bins[i].count;
    begin(out, LEFT + SIDE + 30, ABOVE + SIDE + 56, "Reliability: how sure, and how often right");
    for (int i = 0; i <= 5; i++) {
        double at = SIDE * i / 5.0;
        snprintf(text, sizeof text, "%d", 20 * i);
        append_line(out, "grid", LEFT, ABOVE + SIDE - at, LEFT + SIDE, ABOVE + SIDE - at);
        append_text(out, LEFT - 8, ABOVE + SIDE - at + 4, "end", "", text);
        append_text(out, LEFT + at, ABOVE + SIDE + 18, "middle", "", text);
    }
    append_line(out, "axis", LEFT, ABOVE + SIDE, LEFT + SIDE, ABOVE);
    double width = (double)SIDE / (double)n;
    for (size_t i = 0; i < n; i++) {
        if (bins[i].count == 0) continue;
        double height = 40.0 * (double)bins[i].count / (double)most, x = LEFT + width * (double)i;
        hn_buf_appendf(out, "<rect class=\"quiet\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", x + 1,
                       ABOVE + SIDE - height, width - 2, height);
        hn_buf_appendf(out,
                       "<circle class=\"mark\" cx=\"%.1f\" cy=\"%.1f\" r=\"5\"><title>%llu cases: sure %.0f %%, right "
                       "%.0f %%</title></circle>\n",
                       LEFT + SIDE * bins[i].mean_confidence, ABOVE + SIDE - SIDE * bins[i].accuracy,
                       (unsigned long long)bins[i].count, 100 * bins[i].mean_confidence, 100 * bins[i].accuracy);
    }
    hn_buf_appendf(
        out, "<text class=\"text\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">probability of the answer, %%</text>\n",
        LEFT + SIDE / 2, ABOVE + SIDE + 36);
    hn_buf_appendf(out,
                   "<text class=\"text\" x=\"14\" y=\"%d\" text-anchor=\"middle\" transform=\"rotate(-90 14 "
                   "%d)\">right, %%</text>\n",
                   ABOVE + SIDE / 2, ABOVE + SIDE / 2);
    if (isfinite(ece))
        hn_buf_appendf(
            out, "<text class=\"text\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">calibration error %.1f points</text>\n",
            LEFT + SIDE / 2, ABOVE + SIDE + 52, 100 * ece);
    hn_buf_append_str(out, "</svg>\n");
}

static void append_bar(hn_buf *out, const char *class, double x, double y, double value, const char *what) {
    if (!isfinite(value)) return;
    hn_buf_appendf(out, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"8\"><title>", class, x, y,
                   PLOT * value);
    hn_html_append(out, what);
    hn_buf_appendf(out, " %.1f %%</title></rect>\n", 100 * value);
}

void hn_svg_bars(const hn_svg_bar *bars, size_t n, const char *first, const char *second, const char *title,
                 hn_buf *out) {
    size_t left = 0;
    for (size_t i = 0; i < n; i++)
        if (name_width(bars[i].name) > left) left = name_width(bars[i].name);
    left += 16;
    size_t bottom = TOP + ROW * n;
    begin(out, left + PLOT + 40, bottom + 30, title);
    append_scale(out, (double)left, TOP, (double)bottom);
    for (size_t i = 0; i < n; i++) {
        double y = TOP + ROW * (double)i;
        append_text(out, (double)left - 8, y + ROW / 2.0 + 4, "end", "", bars[i].name);
        append_bar(out, "mark", (double)left, y + 3, bars[i].first, first);
        append_bar(out, "base", (double)left, y + 12, bars[i].second, second);
    }
    double x = (double)left, y = (double)bottom + 12;
    hn_buf_appendf(out, "<rect class=\"mark\" x=\"%.1f\" y=\"%.1f\" width=\"10\" height=\"8\"/>", x, y);
    append_text(out, x + 16, y + 8, "start", "", first);
    hn_buf_appendf(out, "<rect class=\"base\" x=\"%.1f\" y=\"%.1f\" width=\"10\" height=\"8\"/>", x + 120, y);
    append_text(out, x + 136, y + 8, "start", "", second);
    hn_buf_append_str(out, "</svg>\n");
}

/* ---- curves ---- */

enum { CURVE_LEFT = 56, CURVE_HEIGHT = 180 };

typedef struct frame {
    double x_low, x_high, y_low, y_high;
} frame;

static bool frame_of(const hn_svg_curve *curves, size_t n, frame *f) {
    size_t points = 0;
    *f = (frame){INFINITY, -INFINITY, INFINITY, -INFINITY};
    for (size_t c = 0; c < n; c++)
        for (size_t i = 0; i < curves[c].n; i++) {
            double x = curves[c].x[i], y = curves[c].y[i];
            if (!isfinite(x) || !isfinite(y)) continue;
            points++;
            f->x_low = fmin(f->x_low, x), f->x_high = fmax(f->x_high, x);
            f->y_low = fmin(f->y_low, y), f->y_high = fmax(f->y_high, y);
        }
    if (points < 2 || f->x_high <= f->x_low) return false;
    if (f->y_high - f->y_low < 1e-9) f->y_high = f->y_low + 1;
    return true;
}

static double across(const frame *f, double x) { return CURVE_LEFT + PLOT * (x - f->x_low) / (f->x_high - f->x_low); }
static double down(const frame *f, double y) { return TOP + CURVE_HEIGHT * (f->y_high - y) / (f->y_high - f->y_low); }

static void append_curve(hn_buf *out, const frame *f, const hn_svg_curve *c, bool percent, bool second) {
    hn_buf_appendf(out, "<polyline class=\"%s\" fill=\"none\" points=\"", second ? "axis" : "line");
    for (size_t i = 0; i < c->n; i++)
        if (isfinite(c->x[i]) && isfinite(c->y[i]))
            hn_buf_appendf(out, "%.1f,%.1f ", across(f, c->x[i]), down(f, c->y[i]));
    hn_buf_append_str(out, "\"/>\n");
    for (size_t i = 0; i < c->n; i++) {
        if (!isfinite(c->x[i]) || !isfinite(c->y[i])) continue;
        hn_buf_appendf(out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%s\"><title>", second ? "base" : "mark",
                       across(f, c->x[i]), down(f, c->y[i]), second ? "4" : "2.5");
        hn_html_append(out, c->name);
        hn_buf_appendf(out, percent ? ": %.1f %% at %g" : ": %.4g at %g", percent ? 100 * c->y[i] : c->y[i], c->x[i]);
        hn_buf_append_str(out, "</title></circle>\n");
    }
}

void hn_svg_curves(const hn_svg_curve *curves, size_t n, bool percent, const char *x_name, const char *title,
                   hn_buf *out) {
    frame f;
    char text[48];
    if (!frame_of(curves, n, &f)) return;
    begin(out, CURVE_LEFT + PLOT + 40, TOP + CURVE_HEIGHT + 30, title);
    for (int i = 0; i <= 4; i++) {
        double y = f.y_high - (f.y_high - f.y_low) * i / 4, at = down(&f, y);
        append_line(out, "grid", CURVE_LEFT, at, CURVE_LEFT + PLOT, at);
        snprintf(text, sizeof text, percent ? "%.1f %%" : "%.3g", percent ? 100 * y : y);
        append_text(out, CURVE_LEFT - 6, at + 4, "end", "", text);
    }
    snprintf(text, sizeof text, "%g", f.x_low);
    append_text(out, CURVE_LEFT, TOP + CURVE_HEIGHT + 20, "start", "", text);
    snprintf(text, sizeof text, "%g %.20s", f.x_high, x_name);
    append_text(out, CURVE_LEFT + PLOT, TOP + CURVE_HEIGHT + 20, "end", "", text);
    for (size_t c = 0; c < n; c++) append_curve(out, &f, &curves[c], percent, c > 0);
    hn_buf_append_str(out, "</svg>\n");
}
