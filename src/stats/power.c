/* Power; see power.h. */
#include "stats/power.h"

#include "stats/distribution.h"
#include "stats/paired.h"

#include <math.h>

double hn_power_mcnemar_pairs(double psi, double d, double alpha, double power) {
    d = fabs(d);
    if (!(psi > 0 && psi <= 1 && d > 0 && d <= psi)) return NAN;
    double root = hn_normal_quantile(1 - alpha / 2) * sqrt(psi) + hn_normal_quantile(power) * sqrt(psi - d * d);
    return root * root / (d * d);
}

double hn_power_mcnemar_at(double psi, double d, double n, double alpha) {
    d = fabs(d);
    if (!(psi > 0 && psi <= 1 && d <= psi && n > 0)) return NAN;
    return hn_normal_cdf((d * sqrt(n) - hn_normal_quantile(1 - alpha / 2) * sqrt(psi)) / sqrt(psi - d * d));
}

/* The pairs needed fall as the difference grows: halve the bracket. */
double hn_power_mcnemar_detectable(double psi, double n, double alpha, double power) {
    if (!(psi > 0 && psi <= 1 && n > 0) || hn_power_mcnemar_pairs(psi, psi, alpha, power) > n) return NAN;
    double low = 0, high = psi;
    for (int i = 0; i < 200 && low < high; i++) {
        double middle = low + (high - low) / 2;
        if (middle <= low || middle >= high) break;
        if (hn_power_mcnemar_pairs(psi, middle, alpha, power) > n)
            low = middle;
        else
            high = middle;
    }
    return high;
}

double hn_power_mcnemar_exact(double p10, double p01, int64_t n, double alpha, bool mid) {
    double psi = p10 + p01, total = 0;
    if (!(p10 >= 0 && p01 >= 0 && psi > 0 && psi <= 1 && n > 0)) return NAN;
    for (int64_t k = 1; k <= n; k++) {
        double weight = hn_binomial_pmf(k, n, psi), rejected = 0;
        if (weight < 1e-18) continue;
        for (int64_t b = 0; b <= k; b++) {
            hn_mcnemar_result m = hn_mcnemar(b, k - b);
            if ((mid ? m.mid_p : m.exact_p) <= alpha + 1e-12) rejected += hn_binomial_pmf(b, k, p10 / psi);
        }
        total += weight * rejected;
    }
    return total;
}

/* z_(1-alpha/2) and z_power times the standard deviations under "no difference" and under the alternative. */
static void deviations(double p1, double p2, double *null, double *alternative) {
    double pooled = (p1 + p2) / 2;
    *null = sqrt(2 * pooled * (1 - pooled));
    *alternative = sqrt(p1 * (1 - p1) + p2 * (1 - p2));
}

static bool proportions(double p1, double p2) { return p1 >= 0 && p1 <= 1 && p2 >= 0 && p2 <= 1 && p1 != p2; }

double hn_power_proportions_cases(double p1, double p2, double alpha, double power) {
    if (!proportions(p1, p2)) return NAN;
    double null, alternative;
    deviations(p1, p2, &null, &alternative);
    double root = hn_normal_quantile(1 - alpha / 2) * null + hn_normal_quantile(power) * alternative;
    return root * root / ((p1 - p2) * (p1 - p2));
}

double hn_power_proportions_at(double p1, double p2, double n, double alpha, bool both_tails) {
    if (!proportions(p1, p2) || !(n > 0)) return NAN;
    double null, alternative, d = fabs(p1 - p2) * sqrt(n);
    deviations(p1, p2, &null, &alternative);
    double edge = hn_normal_quantile(1 - alpha / 2) * null;
    double near = hn_normal_cdf((d - edge) / alternative);
    return both_tails ? near + hn_normal_cdf((-d - edge) / alternative) : near;
}

double hn_power_proportions_detectable(double p1, double n, double alpha, double power) {
    if (!(p1 >= 0 && p1 < 1 && n > 0) || hn_power_proportions_cases(p1, 1, alpha, power) > n) return NAN;
    double low = p1, high = 1;
    for (int i = 0; i < 200; i++) {
        double middle = low + (high - low) / 2;
        if (middle <= low || middle >= high) break;
        if (hn_power_proportions_cases(p1, middle, alpha, power) > n)
            low = middle;
        else
            high = middle;
    }
    return high - p1;
}

double hn_power_mean_detectable(double sd, double n, double alpha, double power) {
    if (!(sd >= 0 && n > 0)) return NAN;
    return (hn_normal_quantile(1 - alpha / 2) + hn_normal_quantile(power)) * sd / sqrt(n);
}

double hn_power_mean_cases(double sd, double difference, double alpha, double power) {
    if (!(sd >= 0 && difference != 0)) return NAN;
    double z = hn_normal_quantile(1 - alpha / 2) + hn_normal_quantile(power);
    return z * z * sd * sd / (difference * difference);
}
