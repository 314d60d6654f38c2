/* McNemar's test, its interval, the sign test; see paired.h. The permutation test is in sign_flip.c. */
#include "stats/paired.h"

#include "stats/distribution.h"

#include <math.h>

hn_mcnemar_result hn_mcnemar(int64_t b, int64_t c) {
    int64_t n = b + c, m = b < c ? b : c;
    if (n <= 0) return (hn_mcnemar_result){1, 1, NAN, NAN, NAN, NAN};
    double apart = fabs((double)b - (double)c), total = (double)n;
    double chi2 = apart * apart / total, chi2_cc = (apart - 1) * (apart - 1) / total;
    return (hn_mcnemar_result){
        .exact_p = fmin(1, 2 * hn_binomial_cdf(m, n, 0.5)),
        .mid_p = fmin(1, 2 * hn_binomial_cdf(m - 1, n, 0.5) + hn_binomial_pmf(m, n, 0.5)),
        .chi2 = chi2,
        .chi2_p = hn_chi2_1_sf(chi2),
        .chi2_cc = chi2_cc,
        .chi2_cc_p = hn_chi2_1_sf(chi2_cc),
    };
}

/* The lower limit; the upper one is its mirror image. */
static double paired_low(int64_t only_a, int64_t only_b, int64_t n, double alpha) {
    int64_t k = only_a + only_b;
    double psi = (double)k / (double)n, theta = k ? (double)(only_b - only_a) / (double)k : 0;
    double theta_low = k ? 2 * hn_interval_clopper_pearson(only_b, k, alpha).low - 1 : -1;
    hn_interval psi_limits = hn_interval_clopper_pearson(k, n, alpha);
    double e = theta > 0 ? psi - psi_limits.low : psi_limits.high - psi;
    double f = theta_low > 0 ? psi - psi_limits.low : psi_limits.high - psi;
    double drop = theta - theta_low;
    double low = psi * theta - sqrt(psi * psi * drop * drop + theta * theta * e * e + drop * drop * f * f);
    return fmax(low, theta_low * (theta_low > 0 ? psi_limits.low : psi_limits.high));
}

hn_interval hn_paired_proportion_interval(int64_t only_a, int64_t only_b, int64_t n, double alpha) {
    if (n <= 0 || only_a < 0 || only_b < 0 || only_a > n - only_b) return (hn_interval){NAN, NAN};
    return (hn_interval){paired_low(only_a, only_b, n, alpha), -paired_low(only_b, only_a, n, alpha)};
}

double hn_sign_test(const double *differences, size_t n) {
    int64_t positive = 0, negative = 0;
    for (size_t i = 0; i < n; i++) positive += differences[i] > 0, negative += differences[i] < 0;
    return hn_mcnemar(negative, positive).exact_p;
}
