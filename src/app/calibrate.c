/* Calibration of label likelihoods; see calibrate.h. */
#include "app/calibrate.h"

#include "base/alloc.h"

#include <math.h>
#include <stdbool.h>

hn_status hn_prior_init(hn_prior *prior, size_t n_labels, hn_error *err) {
    *prior = (hn_prior){.sum = hn_calloc(n_labels, sizeof(double)), .n_labels = n_labels};
    return prior->sum ? HN_OK : hn_fail_memory(err, n_labels * sizeof(double));
}

void hn_prior_add(hn_prior *prior, const double *raw) {
    for (size_t i = 0; i < prior->n_labels; i++) prior->sum[i] += raw[i];
    prior->n_added++;
}

void hn_prior_free(hn_prior *prior) {
    hn_free(prior->sum);
    *prior = (hn_prior){0};
}

int hn_label_probabilities(const double *raw, const hn_prior *prior, size_t n_labels, double *probabilities) {
    bool corrected = prior && prior->n_added > 0;
    int best = -1;
    for (size_t i = 0; i < n_labels; i++) {
        double score = corrected ? raw[i] - prior->sum[i] / (double)prior->n_added : raw[i];
        probabilities[i] = isnan(score) ? -(double)INFINITY : score;
        if (isfinite(probabilities[i]) && (best < 0 || probabilities[i] > probabilities[best])) best = (int)i;
    }
    double top = best < 0 ? 0 : probabilities[best], total = 0;
    for (size_t i = 0; i < n_labels; i++) {
        probabilities[i] = best < 0 || !isfinite(probabilities[i]) ? 0 : exp(probabilities[i] - top);
        total += probabilities[i];
    }
    for (size_t i = 0; i < n_labels && total > 0; i++) probabilities[i] /= total;
    return best;
}
