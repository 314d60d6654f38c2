/* Line charts for people: points joined by characters, in as many columns as the terminal has.
 *
 *     hn_chart_series s[] = {{"training loss", x, y, n, '.'}, {"held-out loss", ex, ey, n_epochs, 'o'}};
 *     hn_chart_print(cli->out, &(hn_chart){.title = "loss", .unit = "nats a token", .x_name = "steps", .series = s, .n = 2});
 *
 * Nothing is printed with --json, or for fewer than two points. Threading: main thread. */
#ifndef HN_CLI_CHART_H
#define HN_CLI_CHART_H

#include "cli/output.h"

typedef struct hn_chart_series {
    const char *name;
    const double *x, *y; /* (n) rising x; points that are no number are left out */
    size_t n;
    char mark;
} hn_chart_series;

typedef struct hn_chart {
    const char *title, *x_name;
    bool percent; /* y is a share */
    const hn_chart_series *series;
    size_t n;
} hn_chart;

void hn_chart_print(hn_output *out, const hn_chart *chart);

#endif
