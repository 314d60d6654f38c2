/* Estimates of a run; see estimate.h. Macro F1 is counted anew per resample without building a confusion matrix: three
 * counts per class. */
#include "stats/estimate.h"

#include "base/alloc.h"
#include "stats/metrics.h"

#include <math.h>
#include <string.h>

hn_status hn_estimate_accuracy(const int32_t *truth, const int32_t *predicted, size_t n, const uint32_t *group,
                               hn_estimate *out, hn_error *err) {
    *out = (hn_estimate){NAN, NAN, NAN};
    if (n == 0) return HN_OK;
    unsigned char *correct = hn_calloc(n, sizeof *correct);
    if (!correct) return hn_fail_memory(err, n);
    size_t n_correct = 0;
    for (size_t i = 0; i < n; i++) n_correct += correct[i] = truth[i] == predicted[i];
    hn_interval interval;
    hn_status st = hn_interval_proportion(correct, group, n, 0.05, &interval, err);
    hn_free(correct);
    if (st == HN_OK) *out = (hn_estimate){(double)n_correct / (double)n, interval.low, interval.high};
    return st;
}

typedef struct f1_run {
    const int32_t *truth, *predicted;
    size_t n_classes;
    bool all_classes;
    uint32_t (*counts)[2]; /* (n_classes) per class: right answers; cases plus answers */
} f1_run;

static double macro_f1(const uint32_t *cases, size_t n, void *user) {
    f1_run *run = user;
    memset(run->counts, 0, run->n_classes * sizeof *run->counts);
    for (size_t i = 0; i < n; i++) {
        int32_t truth = run->truth[cases[i]], predicted = run->predicted[cases[i]];
        run->counts[truth][1]++;
        if (predicted == HN_NO_LABEL) continue;
        run->counts[predicted][1]++;
        run->counts[predicted][0] += truth == predicted;
    }
    double sum = 0;
    size_t n_used = 0;
    for (size_t k = 0; k < run->n_classes; k++) {
        if (run->counts[k][1]) sum += 2.0 * run->counts[k][0] / run->counts[k][1];
        n_used += run->all_classes || run->counts[k][1];
    }
    return n_used ? sum / (double)n_used : NAN;
}

hn_status hn_estimate_macro_f1(const int32_t *truth, const int32_t *predicted, size_t n, size_t n_classes,
                               bool all_classes, const uint32_t *group, uint64_t seed, hn_estimate *out,
                               hn_error *err) {
    *out = (hn_estimate){NAN, NAN, NAN};
    for (size_t i = 0; i < n; i++) {
        bool fits = truth[i] >= 0 && (size_t)truth[i] < n_classes &&
                    (predicted[i] == HN_NO_LABEL || (predicted[i] >= 0 && (size_t)predicted[i] < n_classes));
        if (!fits)
            return hn_fail(err, HN_ERR_INPUT, NULL, NULL,
                           "case %zu: truth %d, prediction %d, but there are %zu classes", i, (int)truth[i],
                           (int)predicted[i], n_classes);
    }
    f1_run run = {.truth = truth, .predicted = predicted, .n_classes = n_classes, .all_classes = all_classes};
    run.counts = hn_calloc(n_classes, sizeof *run.counts);
    if (!run.counts) return hn_fail_memory(err, n_classes * sizeof *run.counts);
    hn_bootstrap_options o = {.seed = seed};
    hn_status st = hn_bootstrap(macro_f1, &run, n, group, &o, out, err);
    hn_free(run.counts);
    return st;
}
