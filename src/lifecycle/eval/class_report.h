/* The classification report of a run: every label's precision, recall and F1, their averages, agreement beyond chance, and what the
 * probabilities are worth.
 *
 *     hn_class_report c;
 *     HN_TRY(hn_class_report_make(&report, &predictions, &c, &err));
 *     if (c.known) printf("%.3f %.3f", c.all.weighted.f1, c.all.mcc);
 *
 * Formulas and sources: stats/metrics.h, stats/probability.h. Labels without cases and answers count in the averages that say so there.
 * Ownership: a plain value. Threading: pure. */
#ifndef HN_LIFECYCLE_CLASS_REPORT_H
#define HN_LIFECYCLE_CLASS_REPORT_H

#include "lifecycle/eval/run_report.h"

typedef struct hn_class_report {
    bool known;              /* the contract is a choice and there are answers */
    hn_classification all;   /* NaN where not known */
    size_t n_probabilities;  /* cases whose answer has probabilities */
    double log_loss;         /* of these: mean -ln p(target), p at least 2^-52; NaN where there are none */
    double label_perplexity; /* exp(log_loss): between how many equally likely labels the model seems to choose */
} hn_class_report;

hn_status hn_class_report_make(const hn_report *report, const hn_prediction_list *list, hn_class_report *out,
                               hn_error *err) HN_MUST_CHECK;
/* {"accuracy","macro":{"precision","recall","f1"},"micro","weighted","balanced_accuracy","mcc","kappa","log_loss","label_perplexity",
 * "classes":[{"label","cases","answers","precision","recall","f1"}],"latency_ms":{"median","p95"}}; null where nothing is known. */
hn_status hn_class_report_json(const hn_report *report, const hn_class_report *c, json_t **value,
                               hn_error *err) HN_MUST_CHECK;

#endif
