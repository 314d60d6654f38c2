/* Intervals in closed form; see interval.h. The bootstrap is in bootstrap.c. */
#include "stats/interval.h"

#include "stats/distribution.h"
#include "stats/groups.h"

#include <math.h>
#include <stdbool.h>

static const hn_interval undefined = {NAN, NAN};

static double clip(double x) { return x < 0 ? 0 : x > 1 ? 1 : x; }

hn_interval hn_interval_wilson_share(double share, double n, double alpha) {
    if (!(n > 0 && share >= 0 && share <= 1)) return undefined;
    double z = hn_normal_quantile(1 - alpha / 2), z2 = z * z;
    double centre = (share + z2 / (2 * n)) / (1 + z2 / n);
    double half = z / (1 + z2 / n) * sqrt(share * (1 - share) / n + z2 / (4 * n * n));
    return (hn_interval){share == 0 ? 0 : clip(centre - half), share == 1 ? 1 : clip(centre + half)};
}

hn_interval hn_interval_wilson(int64_t k, int64_t n, double alpha) {
    if (n <= 0 || k < 0 || k > n) return undefined;
    return hn_interval_wilson_share((double)k / (double)n, (double)n, alpha);
}

hn_interval hn_interval_clopper_pearson(int64_t k, int64_t n, double alpha) {
    if (n <= 0 || k < 0 || k > n) return undefined;
    double low = k == 0 ? 0 : hn_beta_quantile((double)k, (double)(n - k) + 1, alpha / 2);
    double high = k == n ? 1 : hn_beta_quantile((double)k + 1, (double)(n - k), 1 - alpha / 2);
    return (hn_interval){low, high};
}

hn_interval hn_interval_newcombe(int64_t k1, int64_t n1, int64_t k2, int64_t n2, double alpha) {
    hn_interval w1 = hn_interval_wilson(k1, n1, alpha), w2 = hn_interval_wilson(k2, n2, alpha);
    if (isnan(w1.low) || isnan(w2.low)) return undefined;
    double p1 = (double)k1 / (double)n1, p2 = (double)k2 / (double)n2, d = p2 - p1;
    return (hn_interval){d - hypot(p2 - w2.low, w1.high - p1), d + hypot(w2.high - p2, p1 - w1.low)};
}

/* Sum over groups of the squared sum of residuals, and the plain sum of squares into *naive. */
static double squared_group_sums(const double *values, const hn_groups *groups, double mean, double *naive) {
    double total = 0;
    *naive = 0;
    for (size_t g = 0; g < groups->n_groups; g++) {
        double sum = 0;
        for (uint32_t i = groups->start[g]; i < groups->start[g + 1]; i++) {
            double residual = values[groups->cases[i]] - mean;
            sum += residual;
            *naive += residual * residual;
        }
        total += sum * sum;
    }
    return total;
}

hn_status hn_interval_clustered_mean(const double *values, const uint32_t *group, size_t n, double alpha,
                                     hn_clustered_mean *out, hn_error *err) {
    *out = (hn_clustered_mean){NAN, NAN, NAN, NAN, undefined, 0};
    if (n == 0) return HN_OK;
    hn_groups groups;
    HN_TRY(hn_groups_build(group, n, &groups, err));
    double sum = 0, naive, count = (double)n, n_groups = (double)groups.n_groups;
    for (size_t i = 0; i < n; i++) sum += values[i];
    out->mean = sum / count;
    double clustered = squared_group_sums(values, &groups, out->mean, &naive);
    out->n_groups = groups.n_groups;
    hn_groups_free(&groups);
    if (n > 1) out->se_naive = sqrt(naive / (count - 1) / count);
    if (n_groups < 2) return HN_OK;
    out->se_cr0 = sqrt(clustered) / count;
    out->se_cr1 = out->se_cr0 * sqrt(n_groups / (n_groups - 1));
    double half = out->se_cr1 * hn_t_quantile(1 - alpha / 2, n_groups - 1);
    out->interval = (hn_interval){out->mean - half, out->mean + half};
    return HN_OK;
}

/* How many independent cases the n are worth; see the header. `share` is neither 0 nor 1, groups are at least 2. */
static double effective_cases(const unsigned char *correct, const hn_groups *groups, double share, double alpha) {
    double n = (double)groups->n, n_groups = (double)groups->n_groups, clustered = 0;
    for (size_t g = 0; g < groups->n_groups; g++) {
        double sum = 0;
        for (uint32_t i = groups->start[g]; i < groups->start[g + 1]; i++)
            sum += (correct[groups->cases[i]] != 0) - share;
        clustered += sum * sum;
    }
    clustered *= n_groups / (n_groups - 1);
    double naive = n * share * (1 - share) * n / (n - 1), deff = clustered / naive;
    double t = hn_t_quantile(1 - alpha / 2, n - 1) / hn_t_quantile(1 - alpha / 2, n_groups - 1);
    return n / (deff > 1 ? deff : 1) * t * t;
}

hn_status hn_interval_proportion(const unsigned char *correct, const uint32_t *group, size_t n, double alpha,
                                 hn_interval *out, hn_error *err) {
    *out = undefined;
    if (n == 0) return HN_OK;
    size_t k = 0;
    for (size_t i = 0; i < n; i++) k += correct[i] != 0;
    hn_groups groups;
    HN_TRY(hn_groups_build(group, n, &groups, err));
    double share = (double)k / (double)n;
    if (groups.n_groups == n)
        *out = hn_interval_wilson((int64_t)k, (int64_t)n, alpha);
    else if (groups.n_groups == 1)
        *out = (hn_interval){0, 1};
    else if (k == 0 || k == n)
        *out = hn_interval_wilson_share(share, (double)groups.n_groups, alpha);
    else
        *out = hn_interval_wilson_share(share, effective_cases(correct, &groups, share, alpha), alpha);
    hn_groups_free(&groups);
    return HN_OK;
}
