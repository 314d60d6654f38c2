/* Distributions in double precision: normal, binomial, beta, Student's t, chi-square with one degree of freedom.
 *
 *     double p = 2 * hn_binomial_cdf(2, 12, 0.5);          // P(X <= 2) of 12 fair coins, doubled
 *     double z = hn_normal_quantile(0.975);                // 1.959963984540054
 *     double low = hn_beta_quantile(7, 4, 0.025);          // lower Clopper-Pearson limit of 7 of 10
 *
 * Both tails have their own function (cdf, sf), so that a tiny probability is exact to about 12 digits instead of
 * being 1 minus something. Arguments outside a function's domain give NaN. Threading: pure functions. */
#ifndef HN_STATS_DISTRIBUTION_H
#define HN_STATS_DISTRIBUTION_H

#include <stdint.h>

double hn_normal_cdf(double x);
double hn_normal_sf(double x);       /* 1 - cdf */
double hn_normal_quantile(double p); /* p in [0, 1]; 0 and 1 give -inf and inf */

/* The regularised incomplete beta function I_x(a, b) for a, b > 0, its complement, and its inverse in x. */
double hn_beta_cdf(double a, double b, double x);
double hn_beta_sf(double a, double b, double x);
double hn_beta_quantile(double a, double b, double p);

/* X successes of n trials with probability p each: P(X = k), P(X <= k), P(X >= k). */
double hn_binomial_pmf(int64_t k, int64_t n, double p);
double hn_binomial_cdf(int64_t k, int64_t n, double p);
double hn_binomial_sf(int64_t k, int64_t n, double p); /* P(X >= k): k itself is included */

double hn_t_quantile(double p, double degrees); /* p in (0, 1), degrees > 0 */
double hn_chi2_1_sf(double x);                  /* P(chi-square with one degree of freedom >= x) */

#endif
