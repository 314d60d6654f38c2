/* From label log-likelihoods to probabilities, with or without prior correction.
 *
 * A model likes some labels more than others whatever the input is. Prior correction measures that liking as the mean log-likelihood of
 * each label over a sample of unlabelled inputs, and subtracts it before the softmax. No target is looked at.
 *
 *     hn_prior prior = {0};
 *     HN_TRY(hn_prior_init(&prior, n_labels, &err));
 *     hn_prior_add(&prior, raw);                            // for each sampled input
 *     int best = hn_label_probabilities(raw, &prior, n_labels, probabilities);
 *     hn_prior_free(&prior);
 *
 * Sums are taken in the order of hn_prior_add, so the caller keeps that order fixed. Threading: plain values. */
#ifndef HN_APP_CALIBRATE_H
#define HN_APP_CALIBRATE_H

#include "base/status.h"

#include <stddef.h>

typedef struct hn_prior {
    double *sum; /* (n_labels) */
    size_t n_labels, n_added;
} hn_prior;

hn_status hn_prior_init(hn_prior *prior, size_t n_labels, hn_error *err) HN_MUST_CHECK;
void hn_prior_add(hn_prior *prior, const double *raw /* (n_labels) */);
void hn_prior_free(hn_prior *prior);

/* probabilities (n_labels) = softmax(raw - mean of the prior); a prior that is NULL or empty leaves raw as it is. Returns the most likely
 * label, ties to the lower index; -1 where no label has a finite likelihood (all probabilities are then 0). */
int hn_label_probabilities(const double *raw, const hn_prior *prior, size_t n_labels, double *probabilities);

#endif
