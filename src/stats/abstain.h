/* When to answer and when to leave a case to a person: risk against coverage, a threshold with a guarantee, label sets.
 *
 *     HN_TRY(hn_risk_coverage(confidence, right, n, risk, &summary, err));     // risk[k]: error rate of the k + 1 surest
 *     HN_TRY(hn_abstain_choose(confidence, right, n, 0.05, 0.05, &rule, err));
 *     if (rule.found && confidence_of_new_case > rule.threshold) answer(); else leave_to_a_person();
 *     HN_TRY(hn_conformal_threshold(miss, n, 0.1, &conformal, err));           // miss = 1 - p(truth) on dev
 *     size_t size = hn_conformal_set(p, n_classes, conformal.threshold, in);
 *
 * Confidence: any number, higher = surer; right: 0 or 1. Risk: share of wrong answers among those given.
 * Ownership: nothing is kept. Threading: pure functions. */
#ifndef HN_STATS_ABSTAIN_H
#define HN_STATS_ABSTAIN_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

/* Area under the risk-coverage curve: the mean of risk[k] (El-Yaniv and Wiener 2010); e_aurc: minus that of the ideal
 * order, right answers first (Geifman, Uziel and El-Yaniv 2019). NaN without cases. */
typedef struct hn_risk_summary {
    double aurc, e_aurc;
} hn_risk_summary;

/* Cases by falling confidence, ties in their given order. `risk`: room for n, or NULL.
 * Errors: HN_ERR_INPUT for a confidence that is NaN, HN_ERR_MEMORY. */
hn_status hn_risk_coverage(const double *confidence, const unsigned char *right, size_t n, double *risk,
                           hn_risk_summary *out, hn_error *err) HN_MUST_CHECK;
/* The risk of the ceil(coverage * n) surest, at least one; from hn_risk_coverage's `risk`. NaN where n is 0. */
double hn_risk_at_coverage(const double *risk, size_t n, double coverage);

/* The rule "answer where confidence > threshold" with the most answers such that, with probability 1 - delta over the
 * choice of the n cases, its error rate on new cases of the same kind is at most target_error.
 *
 * The argument. (1) The grid is fixed before any answer is looked at: answer the k_j = floor(j n / 20) surest,
 * j = 1 .. 20, without those k_j at which not even zero errors could do: (1 - target)^k > delta. (2) t_j is the
 * (k_j + 1)-th largest confidence, -inf for all; the rule answers the m_j <= k_j cases strictly above it. Given t_j and
 * m_j, these are m_j independent draws from the cases with confidence above t_j, ties or not, so their errors are
 * Binomial(m_j, R_j), R_j being the rule's true error rate. (3) So the upper Clopper-Pearson limit at level delta / J, J
 * the grid's size, lies below R_j with probability at most delta / J, (4) and one of all J with at most delta
 * (Bonferroni). Any choice among the rules whose limit is at most target_error is therefore safe; this takes the one
 * with the most answers. Related cases (several tickets of one customer) break (2): give one case of each group. */
typedef struct hn_abstain_rule {
    bool found;                          /* false: no rule can be promised; answer nothing, or label more */
    double threshold;                    /* +inf where not found */
    double coverage;                     /* share of the n cases that it answers */
    double error;                        /* their observed error rate; NaN where it answers none */
    double error_bound;                  /* the upper limit; 1 where not found */
    size_t n_answered, n_wrong, n_tried; /* n_tried: J */
} hn_abstain_rule;
/* Errors: HN_ERR_INPUT for a confidence that is NaN or target_error or delta outside (0, 1), HN_ERR_MEMORY. */
hn_status hn_abstain_choose(const double *confidence, const unsigned char *right, size_t n, double target_error,
                            double delta, hn_abstain_rule *out, hn_error *err) HN_MUST_CHECK;

/* Split conformal prediction (Papadopoulos et al. 2002; Vovk, Gammerman and Shafer 2005): the sets {labels whose miss
 * score <= threshold} hold the truth with probability at least 1 - alpha for a new case exchangeable with the n. The
 * threshold is the k-th smallest score of the truths, k = ceil((n + 1)(1 - alpha)); +inf (every label) where k > n. */
typedef struct hn_conformal {
    double threshold;
    size_t k;
} hn_conformal;
/* `scores`: (n) 1 - p(truth) or any other measure of miss. Errors: HN_ERR_INPUT for a NaN or alpha outside (0, 1),
 * HN_ERR_MEMORY. */
hn_status hn_conformal_threshold(const double *scores, size_t n, double alpha, hn_conformal *out,
                                 hn_error *err) HN_MUST_CHECK;
/* in[k]: whether 1 - p[k] <= threshold; returns how many labels are in the set. */
size_t hn_conformal_set(const double *p, size_t n_classes, double threshold, bool *in);

#endif
