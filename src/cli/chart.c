/* Line charts in the terminal; see chart.h. A grid of characters: marks at points, dots on the straight lines between them. */
#include "cli/chart.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 10, COLUMNS_MAX = 72, LABEL = 9, COLUMNS_MIN = 20 };

typedef struct canvas {
    char cells[ROWS][COLUMNS_MAX + 1];
    int columns;
    double x_low, x_high, y_low, y_high;
} canvas;

static bool measure(const hn_chart *c, canvas *v) {
    size_t points = 0;
    v->x_low = v->y_low = INFINITY;
    v->x_high = v->y_high = -INFINITY;
    for (size_t s = 0; s < c->n; s++)
        for (size_t i = 0; i < c->series[s].n; i++) {
            double x = c->series[s].x[i], y = c->series[s].y[i];
            if (!isfinite(x) || !isfinite(y)) continue;
            points++;
            v->x_low = fmin(v->x_low, x), v->x_high = fmax(v->x_high, x);
            v->y_low = fmin(v->y_low, y), v->y_high = fmax(v->y_high, y);
        }
    if (points < 2 || v->x_high <= v->x_low) return false;
    if (v->y_high - v->y_low < 1e-9) v->y_high = v->y_low + fmax(fabs(v->y_low), 1) * 0.1;
    return true;
}

static int column_of(const canvas *v, double x) {
    return (int)lround((x - v->x_low) / (v->x_high - v->x_low) * (v->columns - 1));
}
static int row_of(const canvas *v, double y) {
    return (int)lround((v->y_high - y) / (v->y_high - v->y_low) * (ROWS - 1));
}

static void put(canvas *v, int row, int column, char mark, bool over) {
    if (row < 0 || row >= ROWS || column < 0 || column >= v->columns) return;
    if (over || v->cells[row][column] == ' ') v->cells[row][column] = mark;
}

static void draw(canvas *v, const hn_chart_series *s) {
    double last_x = (double)NAN, last_y = (double)NAN;
    for (size_t i = 0; i < s->n; i++) {
        if (!isfinite(s->x[i]) || !isfinite(s->y[i])) continue;
        int from = isfinite(last_x) ? column_of(v, last_x) : 0, to = column_of(v, s->x[i]);
        for (int k = from + 1; isfinite(last_x) && k < to; k++)
            put(v, row_of(v, last_y + (s->y[i] - last_y) * (k - from) / (to - from)), k, '.', false);
        put(v, row_of(v, s->y[i]), to, s->mark, true);
        last_x = s->x[i], last_y = s->y[i];
    }
}

static void label(const hn_chart *c, double y, char out[16]) {
    if (c->percent)
        snprintf(out, 16, "%.1f %%", 100 * y);
    else
        snprintf(out, 16, "%.3g", y);
}

void hn_chart_print(hn_output *out, const hn_chart *c) {
    canvas v = {.columns = out->width - LABEL - 3};
    char text[16], low[24], high[24];
    if (v.columns > COLUMNS_MAX) v.columns = COLUMNS_MAX;
    if (v.columns < COLUMNS_MIN) v.columns = COLUMNS_MIN;
    if (!measure(c, &v)) return;
    memset(v.cells, ' ', sizeof v.cells);
    for (size_t s = 0; s < c->n; s++) draw(&v, &c->series[s]);
    hn_output_print(out, "%s", c->title);
    for (size_t s = 0; s < c->n && c->n > 1; s++)
        hn_output_print(out, "%s %c %s", s ? "," : ":", c->series[s].mark, c->series[s].name);
    hn_output_print(out, "\n");
    for (int r = 0; r < ROWS; r++) {
        *text = 0;
        if (r % 3 == 0) label(c, v.y_high - (v.y_high - v.y_low) * r / (ROWS - 1), text);
        int used = v.columns;
        while (used > 0 && v.cells[r][used - 1] == ' ') used--;
        hn_output_print(out, "%*s |%.*s\n", LABEL, text, used, v.cells[r]);
    }
    char line[COLUMNS_MAX + 1];
    memset(line, '-', sizeof line);
    hn_output_print(out, "%*s +%.*s\n", LABEL, "", v.columns, line);
    snprintf(low, sizeof low, "%g", v.x_low);
    snprintf(high, sizeof high, "%g %.12s", v.x_high, c->x_name);
    hn_output_print(out, "%*s  %s%*s\n", LABEL, "", low, v.columns - (int)strlen(low), high);
}
