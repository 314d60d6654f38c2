/* Agreement; see agreement.h. */
#include "stats/agreement.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

typedef struct rating_table {
    const int32_t *ratings; /* (n_raters, n_units) */
    size_t n_raters, n_units, n_values;
    double *totals; /* (n_values), for kappa (2, n_values): counts, zeroed by each use */
} rating_table;

static hn_status check_ratings(const int32_t *ratings, size_t n_raters, size_t n_units, size_t n_values,
                               hn_error *err) {
    for (size_t r = 0; r < n_raters; r++)
        for (size_t u = 0; u < n_units; u++)
            if (ratings[r * n_units + u] >= 0 && (size_t)ratings[r * n_units + u] >= n_values)
                return hn_fail(err, HN_ERR_INPUT, "ratings", "number the values from 0",
                               "rater %zu gave unit %zu the value %d, and there are %zu values", r, u,
                               (int)ratings[r * n_units + u], n_values);
    return HN_OK;
}

/* The equal ordered pairs of a unit's ratings over (their number - 1), and their number; adds to the totals. */
static double unit_agreement(const rating_table *t, size_t unit, size_t *n_given) {
    size_t given = 0, equal = 0;
    for (size_t r = 0; r < t->n_raters; r++) given += t->ratings[r * t->n_units + unit] >= 0;
    *n_given = given;
    if (given < 2) return 0;
    for (size_t r = 0; r < t->n_raters; r++) {
        int32_t value = t->ratings[r * t->n_units + unit];
        if (value < 0) continue;
        t->totals[value]++;
        for (size_t s = r + 1; s < t->n_raters; s++) equal += 2 * (t->ratings[s * t->n_units + unit] == value);
    }
    return (double)equal / (double)(given - 1);
}

/* 1 - (n - 1) (n - sum of equal) / (n^2 - sum of squared totals), n the number of pairable ratings. */
static double alpha_of(const uint32_t *units, size_t n_units, void *user) {
    const rating_table *t = user;
    double n = 0, equal = 0, squares = 0;
    memset(t->totals, 0, t->n_values * sizeof *t->totals);
    for (size_t i = 0; i < n_units; i++) {
        size_t given;
        equal += unit_agreement(t, units[i], &given);
        if (given >= 2) n += (double)given;
    }
    for (size_t v = 0; v < t->n_values; v++) squares += t->totals[v] * t->totals[v];
    double expected = n * n - squares;
    return expected > 0 ? 1 - (n - 1) * (n - equal) / expected : NAN;
}

hn_status hn_agreement_alpha(const int32_t *ratings, size_t n_raters, size_t n_units, size_t n_values,
                             const uint32_t *group, const hn_bootstrap_options *options, hn_estimate *out,
                             hn_error *err) {
    *out = (hn_estimate){NAN, NAN, NAN};
    HN_TRY(check_ratings(ratings, n_raters, n_units, n_values, err));
    rating_table t = {ratings, n_raters, n_units, n_values, hn_calloc(n_values + 1, sizeof(double))};
    if (!t.totals) return hn_fail_memory(err, n_values * sizeof(double));
    hn_status st = hn_bootstrap(alpha_of, &t, n_units, group, options, out, err);
    hn_free(t.totals);
    return st;
}

static double kappa_of(const uint32_t *units, size_t n_units, void *user) {
    const rating_table *t = user;
    double n = 0, equal = 0, chance = 0, *of_a = t->totals, *of_b = t->totals + t->n_values;
    memset(t->totals, 0, 2 * t->n_values * sizeof *t->totals);
    for (size_t i = 0; i < n_units; i++) {
        int32_t a = t->ratings[units[i]], b = t->ratings[t->n_units + units[i]];
        if (a < 0 || b < 0) continue;
        n++;
        equal += a == b;
        of_a[a]++;
        of_b[b]++;
    }
    for (size_t v = 0; v < t->n_values; v++) chance += of_a[v] * of_b[v];
    return n * n > chance ? (equal * n - chance) / (n * n - chance) : NAN;
}

hn_status hn_agreement_kappa(const int32_t *a, const int32_t *b, size_t n_units, size_t n_values, const uint32_t *group,
                             const hn_bootstrap_options *options, hn_estimate *out, hn_error *err) {
    *out = (hn_estimate){NAN, NAN, NAN};
    if (n_units == 0) return HN_OK;
    HN_TRY(check_ratings(a, 1, n_units, n_values, err));
    HN_TRY(check_ratings(b, 1, n_units, n_values, err));
    size_t n_ratings, n_totals;
    if (!hn_mul_size(n_units, 2, &n_ratings) || !hn_mul_size(n_values + 1, 2, &n_totals))
        return hn_fail_memory(err, SIZE_MAX);
    int32_t *both = hn_calloc(n_ratings, sizeof *both);
    double *totals = hn_calloc(n_totals, sizeof *totals);
    hn_status st = HN_OK;
    if (both && totals) {
        memcpy(both, a, n_units * sizeof *both);
        memcpy(both + n_units, b, n_units * sizeof *both);
        rating_table t = {both, 2, n_units, n_values, totals};
        st = hn_bootstrap(kappa_of, &t, n_units, group, options, out, err);
    } else {
        st = hn_fail_memory(err, n_ratings * sizeof *both);
    }
    hn_free(both);
    hn_free(totals);
    return st;
}

double hn_pass_at_k(size_t n, size_t n_right, size_t k) {
    if (k == 0 || k > n || n_right > n) return NAN;
    if (n - n_right < k) return 1;
    double none = 1;
    for (size_t i = n - n_right + 1; i <= n; i++) none *= 1 - (double)k / (double)i;
    return 1 - none;
}

static double mean_of(const uint32_t *cases, size_t n, void *user) {
    const double *values = user;
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += values[cases[i]];
    return n ? sum / (double)n : NAN;
}

hn_status hn_pass_at_k_mean(const size_t *n, const size_t *n_right, size_t n_cases, size_t k, const uint32_t *group,
                            const hn_bootstrap_options *options, hn_estimate *out, hn_error *err) {
    *out = (hn_estimate){NAN, NAN, NAN};
    if (n_cases == 0) return HN_OK;
    double *values = hn_calloc(n_cases, sizeof *values);
    if (!values) return hn_fail_memory(err, n_cases * sizeof *values);
    for (size_t i = 0; i < n_cases; i++) values[i] = hn_pass_at_k(n[i], n_right[i], k);
    hn_status st = hn_bootstrap(mean_of, values, n_cases, group, options, out, err);
    hn_free(values);
    return st;
}

hn_repeat_agreement hn_agreement_repeats(const int32_t *answers, size_t n) {
    hn_repeat_agreement a = {NAN, n ? 0 : NAN, -1, 0};
    size_t equal = 0, most = 0;
    for (size_t i = 0; i < n; i++) {
        if (answers[i] < 0) continue;
        size_t count = 1, before = 0;
        for (size_t j = 0; j < i; j++) before += answers[j] == answers[i];
        equal += before;
        if (before) continue;
        a.n_distinct++;
        for (size_t j = i + 1; j < n; j++) count += answers[j] == answers[i];
        if (count > most) {
            most = count;
            a.majority = answers[i];
        }
    }
    if (n) a.majority_share = (double)most / (double)n;
    if (n > 1) a.pairs = 2 * (double)equal / ((double)n * (double)(n - 1));
    return a;
}
