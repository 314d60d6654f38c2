/* Metrics of a classification run: confusion matrix, precision, recall, F1, what is most confused with what.
 *
 *     hn_confusion c;
 *     HN_TRY(hn_confusion_build(truth, predicted, n, n_classes, &c, err));
 *     double accuracy = hn_confusion_accuracy(&c), f1 = hn_confusion_macro_f1(&c, false);
 *     hn_confusion_free(&c);
 *
 * Labels are 0 .. n_classes - 1. A prediction may be HN_NO_LABEL (no valid answer, abstained): it counts as wrong, has
 * a column of its own, and lowers recall but no class's precision. A ratio 0/0 is 0. Ownership: the counts belong to
 * the struct. Threading: read-only once built. */
#ifndef HN_STATS_METRICS_H
#define HN_STATS_METRICS_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum { HN_NO_LABEL = -1 };

typedef struct hn_confusion {
    uint64_t *counts; /* (n_classes, n_classes + 1): rows the truth, columns the prediction, the last one HN_NO_LABEL */
    size_t n_classes;
    uint64_t n, n_correct;
} hn_confusion;

/* Errors: HN_ERR_INPUT for a label out of range (its index is named), HN_ERR_MEMORY. */
hn_status hn_confusion_build(const int32_t *truth, const int32_t *predicted, size_t n, size_t n_classes,
                             hn_confusion *out, hn_error *err) HN_MUST_CHECK;
void hn_confusion_free(hn_confusion *c);
uint64_t hn_confusion_at(const hn_confusion *c, size_t truth, size_t predicted); /* predicted = n_classes: no label */

typedef struct hn_class_metrics {
    double precision, recall, f1;
    uint64_t support, predicted; /* cases of this class, answers with it */
} hn_class_metrics;
hn_class_metrics hn_confusion_class(const hn_confusion *c, size_t label);

double hn_confusion_accuracy(const hn_confusion *c); /* NaN without cases */
/* Mean F1 over all classes, or over those that occur as truth or prediction. NaN without classes to average. */
double hn_confusion_macro_f1(const hn_confusion *c, bool all_classes);

/* All averages at once. macro and weighted run over all classes; balanced accuracy over those with cases. mcc: Gorodkin
 * 2004, 0 where undefined. kappa: Cohen 1960 unweighted, with |i - j| and with (i - j)^2; NaN where the expected
 * disagreement is 0. All NaN without cases. mcc and kappa treat "no label" as one more prediction that is never right.
 */
typedef struct hn_class_averages {
    double precision, recall, f1;
} hn_class_averages;
typedef struct hn_classification {
    double accuracy, macro_f1_present, mcc, balanced_accuracy, kappa, kappa_linear, kappa_quadratic;
    hn_class_averages macro, micro, weighted;
} hn_classification;
hn_status hn_confusion_summary(const hn_confusion *c, hn_classification *out, hn_error *err) HN_MUST_CHECK;

/* The unordered pair of labels that are taken for each other most often; ties to the lower labels. False: nothing is
 * confused. */
typedef struct hn_confused_pair {
    size_t a, b;             /* a < b */
    uint64_t a_as_b, b_as_a; /* cases of a answered b, and the reverse */
} hn_confused_pair;
bool hn_confusion_worst_pair(const hn_confusion *c, hn_confused_pair *out);

#endif
