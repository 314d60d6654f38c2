/* The classification report for people; see class_report_cli.h. */
#include "cli/class_report_cli.h"

#include <math.h>

static void average_row(hn_table *t, const char *name, size_t n, hn_class_averages a) {
    hn_table_row(t);
    hn_table_cell(t, "%s", name);
    hn_table_cell(t, "%zu", n);
    hn_table_cell(t, " ");
    hn_table_cell(t, "%.1f %%", 100 * a.precision);
    hn_table_cell(t, "%.1f %%", 100 * a.recall);
    hn_table_cell(t, "%.1f %%", 100 * a.f1);
    hn_table_row_style(t, HN_STYLE_DIM);
}

static hn_status print_table(hn_cli *cli, const hn_report *r, const hn_class_report *c, hn_error *err) {
    static const char *const heads[] = {"label", "cases", "answers", "precision", "recall", "F1"};
    hn_table *t = hn_table_create(cli->out);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        hn_table_column(t, heads[i], i ? HN_ALIGN_RIGHT : HN_ALIGN_LEFT);
    for (size_t l = 0; l < r->n_labels; l++) {
        hn_class_metrics m = hn_confusion_class(&r->confusion, l);
        hn_table_row(t);
        hn_table_cell(t, "%s", r->labels[l]);
        hn_table_cell(t, "%llu", (unsigned long long)m.support);
        hn_table_cell(t, "%llu", (unsigned long long)m.predicted);
        hn_table_cell(t, m.predicted ? "%.1f %%" : "-", 100 * m.precision);
        hn_table_cell(t, m.support ? "%.1f %%" : "-", 100 * m.recall);
        hn_table_cell(t, "%.1f %%", 100 * m.f1);
    }
    average_row(t, "(macro: labels alike)", r->n, c->all.macro);
    average_row(t, "(weighted by cases)", r->n, c->all.weighted);
    average_row(t, "(micro: cases alike)", r->n, c->all.micro);
    return hn_table_print(t, err);
}

hn_status hn_cli_print_class_report(hn_cli *cli, const char *title, const hn_report *r, const hn_prediction_list *list,
                                    hn_error *err) {
    hn_class_report c;
    if (cli->out->json) return HN_OK;
    HN_TRY(hn_class_report_make(r, list, &c, err));
    hn_output_print(cli->out, "\n%s: classification report\n\n", title);
    if (c.known) {
        HN_TRY(print_table(cli, r, &c, err));
        hn_output_print(cli->out, "\nbalanced accuracy %.1f %%, Matthews correlation %.3f, kappa %.3f\n",
                        100 * c.all.balanced_accuracy, c.all.mcc, c.all.kappa);
    } else {
        hn_output_print(cli->out, "the output is no choice of labels\n");
    }
    if (c.n_probabilities)
        hn_output_print(cli->out, "log loss %.3f nats a case: as unsure as between %.1f equally likely labels\n",
                        c.log_loss, c.label_perplexity);
    if (isfinite(r->latency_median_ms))
        hn_output_print(cli->out, "half of the answers within %.0f ms, 95 %% within %.0f ms\n", r->latency_median_ms,
                        r->latency_p95_ms);
    return HN_OK;
}
