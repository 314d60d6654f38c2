/* The classification report; see class_report.h. */
#include "lifecycle/eval/class_report.h"

#include "stats/probability.h"

#include <math.h>
#include <string.h>

static int32_t label_index(const hn_report *r, const char *name) {
    for (size_t i = 0; name && i < r->n_labels; i++)
        if (strcmp(name, r->labels[i]) == 0) return (int32_t)i;
    return HN_NO_LABEL;
}

/* Mean loss over the answers that have a probability for each label. */
static void add_loss(const hn_report *r, const hn_prediction_list *list, hn_class_report *out) {
    double sum = 0;
    for (size_t i = 0; i < list->n; i++) {
        const hn_prediction *p = &list->rows[i];
        int32_t truth = label_index(r, p->target);
        if (!p->probabilities || p->n_probabilities != r->n_labels || truth < 0) continue;
        sum += hn_log_loss(p->probabilities, &truth, 1, r->n_labels, HN_LOG_LOSS_FLOOR);
        out->n_probabilities++;
    }
    if (out->n_probabilities == 0) return;
    out->log_loss = sum / (double)out->n_probabilities;
    out->label_perplexity = exp(out->log_loss);
}

hn_status hn_class_report_make(const hn_report *r, const hn_prediction_list *list, hn_class_report *out,
                               hn_error *err) {
    double nan = (double)NAN;
    hn_class_averages none = {nan, nan, nan};
    *out = (hn_class_report){.known = r->n_labels > 0 && r->n > 0,
                             .all = {nan, nan, nan, nan, nan, nan, nan, none, none, none},
                             .log_loss = nan,
                             .label_perplexity = nan};
    if (!out->known) return HN_OK;
    add_loss(r, list, out);
    return hn_confusion_summary(&r->confusion, &out->all, err);
}

static json_t *number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static json_t *averages_json(hn_class_averages a) {
    return json_pack("{s:o, s:o, s:o}", "precision", number(a.precision), "recall", number(a.recall), "f1",
                     number(a.f1));
}

static json_t *class_json(const hn_report *r, size_t label) {
    hn_class_metrics m = hn_confusion_class(&r->confusion, label);
    return json_pack("{s:s, s:I, s:I, s:o, s:o, s:o}", "label", r->labels[label], "cases", (json_int_t)m.support,
                     "answers", (json_int_t)m.predicted, "precision", number(m.precision), "recall", number(m.recall),
                     "f1", number(m.f1));
}

hn_status hn_class_report_json(const hn_report *r, const hn_class_report *c, json_t **value, hn_error *err) {
    json_t *classes = json_array();
    bool fine = classes != NULL;
    for (size_t l = 0; fine && c->known && l < r->n_labels; l++)
        fine = json_array_append_new(classes, class_json(r, l)) == 0;
    json_t *made = fine ? json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:O, s:{s:o, s:o}}", "accuracy",
                                    hn_report_estimate_json(r->accuracy), "macro", averages_json(c->all.macro), "micro",
                                    averages_json(c->all.micro), "weighted", averages_json(c->all.weighted),
                                    "balanced_accuracy", number(c->all.balanced_accuracy), "mcc", number(c->all.mcc),
                                    "kappa", number(c->all.kappa), "log_loss", number(c->log_loss), "label_perplexity",
                                    number(c->label_perplexity), "classes", classes, "latency_ms", "median",
                                    number(r->latency_median_ms), "p95", number(r->latency_p95_ms))
                        : NULL;
    json_decref(classes);
    if (!made) return hn_fail_memory(err, 0);
    *value = made;
    return HN_OK;
}
