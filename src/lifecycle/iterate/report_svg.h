/* Charts as SVG text for pages that stand alone: colours come from the page's CSS classes, so they follow light, dark and print.
 *
 *     hn_svg_interval rows[] = {{"r1 vague", 0.2, 0.12, 0.32, false}, {"bag of words", 0.79, 0.73, 0.84, true}};
 *     hn_svg_intervals(rows, 2, "Accuracy", &out);
 *     hn_svg_confusion(labels, n_labels, &report.confusion, &out);
 *
 * Every text is escaped; every chart has a title for screen readers, and marks have tool tips. Classes used: axis, grid, mark, line, quiet, base, cell,
 * good, text. Threading: pure, but for the buffer. */
#ifndef HN_LIFECYCLE_REPORT_SVG_H
#define HN_LIFECYCLE_REPORT_SVG_H

#include "base/buf.h"
#include "stats/metrics.h"
#include "stats/probability.h"

typedef struct hn_svg_interval {
    const char *name;
    double value, low, high; /* shares; NaN: no mark, no whisker */
    bool is_baseline;
} hn_svg_interval;

/* A dot with its interval for each row, from 0 to 100 %. */
void hn_svg_intervals(const hn_svg_interval *rows, size_t n, const char *title, hn_buf *out);

/* Targets down, answers across (the last: no valid answer); the share of a target's cases is its colour. */
void hn_svg_confusion(const char *const *labels, size_t n_labels, const hn_confusion *confusion, hn_buf *out);

/* Confidence against how often it was right, in `n` bins, with how many cases each holds. */
void hn_svg_reliability(const hn_calibration_bin *bins, size_t n, double ece, hn_buf *out);

/* Lines of points joined, such as a training's loss by step. x rises; points that are no number are left out. */
typedef struct hn_svg_curve {
    const char *name;
    const double *x, *y; /* (n) */
    size_t n;
} hn_svg_curve;
/* Up to two curves; `percent`: y is a share. Nothing for fewer than two points. */
void hn_svg_curves(const hn_svg_curve *curves, size_t n, bool percent, const char *x_name, const char *title,
                   hn_buf *out);

/* Two bars for each name, such as precision and recall: shares; NaN: no bar. */
typedef struct hn_svg_bar {
    const char *name;
    double first, second;
} hn_svg_bar;
void hn_svg_bars(const hn_svg_bar *bars, size_t n, const char *first, const char *second, const char *title,
                 hn_buf *out);

#endif
