/* Classification metrics; see metrics.h. */
#include "stats/metrics.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

static double ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

static bool label_fits(int32_t label, size_t n_classes, bool none_allowed) {
    return (none_allowed && label == HN_NO_LABEL) || (label >= 0 && (size_t)label < n_classes);
}

hn_status hn_confusion_build(const int32_t *truth, const int32_t *predicted, size_t n, size_t n_classes,
                             hn_confusion *out, hn_error *err) {
    memset(out, 0, sizeof *out);
    size_t cells;
    if (n_classes > INT32_MAX || !hn_mul_size(n_classes, n_classes + 1, &cells))
        return hn_fail(err, HN_ERR_LIMIT, NULL, NULL, "%zu classes, the limit is %d", n_classes, INT32_MAX);
    out->counts = hn_calloc(cells, sizeof *out->counts);
    if (!out->counts) return hn_fail_memory(err, cells);
    out->n_classes = n_classes;
    out->n = n;
    for (size_t i = 0; i < n; i++) {
        if (!label_fits(truth[i], n_classes, false) || !label_fits(predicted[i], n_classes, true)) {
            hn_confusion_free(out);
            return hn_fail(err, HN_ERR_INPUT, NULL, NULL,
                           "case %zu: truth %d, prediction %d, but there are %zu classes", i, (int)truth[i],
                           (int)predicted[i], n_classes);
        }
        size_t column = predicted[i] == HN_NO_LABEL ? n_classes : (size_t)predicted[i];
        out->counts[(size_t)truth[i] * (n_classes + 1) + column]++;
        out->n_correct += truth[i] == predicted[i];
    }
    return HN_OK;
}

void hn_confusion_free(hn_confusion *c) {
    hn_free(c->counts);
    memset(c, 0, sizeof *c);
}

uint64_t hn_confusion_at(const hn_confusion *c, size_t truth, size_t predicted) {
    return c->counts[truth * (c->n_classes + 1) + predicted];
}

static uint64_t column_sum(const hn_confusion *c, size_t column) {
    uint64_t sum = 0;
    for (size_t t = 0; t < c->n_classes; t++) sum += hn_confusion_at(c, t, column);
    return sum;
}

hn_class_metrics hn_confusion_class(const hn_confusion *c, size_t label) {
    hn_class_metrics m = {.predicted = column_sum(c, label)};
    for (size_t p = 0; p <= c->n_classes; p++) m.support += hn_confusion_at(c, label, p);
    double right = (double)hn_confusion_at(c, label, label);
    m.precision = ratio(right, (double)m.predicted);
    m.recall = ratio(right, (double)m.support);
    m.f1 = ratio(2 * right, (double)m.predicted + (double)m.support);
    return m;
}

double hn_confusion_accuracy(const hn_confusion *c) { return c->n ? (double)c->n_correct / (double)c->n : NAN; }

double hn_confusion_macro_f1(const hn_confusion *c, bool all_classes) {
    double sum = 0;
    size_t n = 0;
    for (size_t k = 0; k < c->n_classes; k++) {
        hn_class_metrics m = hn_confusion_class(c, k);
        if (!all_classes && m.support + m.predicted == 0) continue;
        sum += m.f1;
        n++;
    }
    return n && c->n ? sum / (double)n : NAN;
}

static void add_class(hn_class_averages *to, const hn_class_metrics *m, double weight) {
    to->precision += weight * m->precision;
    to->recall += weight * m->recall;
    to->f1 += weight * m->f1;
}

/* Cohen's kappa with disagreement weights |i - j|^power (power 0: 1 for any disagreement). */
static double kappa(const hn_confusion *c, const hn_class_metrics *classes, int power) {
    double observed = 0, expected = 0, n = (double)c->n;
    for (size_t t = 0; t < c->n_classes; t++)
        for (size_t p = 0; p <= c->n_classes; p++) {
            double apart = fabs((double)t - (double)p);
            double weight = t == p ? 0 : power == 0 ? 1 : power == 1 ? apart : apart * apart;
            observed += weight * (double)hn_confusion_at(c, t, p);
            expected += weight * (double)classes[t].support * (double)classes[p].predicted / n;
        }
    return expected > 0 ? 1 - observed / expected : NAN;
}

static double matthews(const hn_confusion *c, const hn_class_metrics *classes) {
    double n = (double)c->n, both = 0, truth2 = 0, predicted2 = 0;
    for (size_t k = 0; k <= c->n_classes; k++) {
        double t = (double)classes[k].support, p = (double)classes[k].predicted;
        both += t * p;
        truth2 += t * t;
        predicted2 += p * p;
    }
    double scale = (n * n - predicted2) * (n * n - truth2);
    return scale > 0 ? ((double)c->n_correct * n - both) / sqrt(scale) : 0;
}

/* The sums over classes of `out`; fills `classes` (n_classes + 1; the last one is "no label"). */
static void average_classes(const hn_confusion *c, hn_class_metrics *classes, hn_classification *out) {
    double recall = 0, present = 0, n = (double)c->n;
    out->macro = out->weighted = (hn_class_averages){0, 0, 0};
    for (size_t k = 0; k < c->n_classes; k++) {
        classes[k] = hn_confusion_class(c, k);
        add_class(&out->macro, &classes[k], 1 / (double)c->n_classes);
        add_class(&out->weighted, &classes[k], (double)classes[k].support / n);
        if (classes[k].support) recall += classes[k].recall, present++;
    }
    out->balanced_accuracy = recall / present;
    classes[c->n_classes].predicted = column_sum(c, c->n_classes);
    double answered = n - (double)classes[c->n_classes].predicted;
    out->micro.precision = ratio((double)c->n_correct, answered);
    out->micro.recall = (double)c->n_correct / n;
    out->micro.f1 = ratio(2 * (double)c->n_correct, answered + n);
}

hn_status hn_confusion_summary(const hn_confusion *c, hn_classification *out, hn_error *err) {
    *out = (hn_classification){NAN, NAN, NAN, NAN, NAN, NAN, NAN, {NAN, NAN, NAN}, {NAN, NAN, NAN}, {NAN, NAN, NAN}};
    if (c->n == 0) return HN_OK;
    hn_class_metrics *classes = hn_calloc(c->n_classes + 1, sizeof *classes);
    if (!classes) return hn_fail_memory(err, (c->n_classes + 1) * sizeof *classes);
    average_classes(c, classes, out);
    out->accuracy = hn_confusion_accuracy(c);
    out->macro_f1_present = hn_confusion_macro_f1(c, false);
    out->mcc = matthews(c, classes);
    out->kappa = kappa(c, classes, 0);
    out->kappa_linear = kappa(c, classes, 1);
    out->kappa_quadratic = kappa(c, classes, 2);
    hn_free(classes);
    return HN_OK;
}

bool hn_confusion_worst_pair(const hn_confusion *c, hn_confused_pair *out) {
    uint64_t worst = 0;
    for (size_t a = 0; a < c->n_classes; a++)
        for (size_t b = a + 1; b < c->n_classes; b++) {
            uint64_t there = hn_confusion_at(c, a, b), back = hn_confusion_at(c, b, a);
            if (there + back <= worst) continue;
            worst = there + back;
            *out = (hn_confused_pair){a, b, there, back};
        }
    return worst > 0;
}
