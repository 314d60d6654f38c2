/* Non-inferiority: p says at every level what the interval of that level says; at the margin itself no more than 2.5 % of all possible outcomes pass,
 * summed exactly; and clear cases come out as they must. */
#include "support.h"

#include "stats/noninferior.h"
#include "stats/paired.h"

#include <math.h>
#include <string.h>

enum { N_MAX = 400 };

static double p_of(int only_a, int only_b, int n, double margin) {
    double a[N_MAX], b[N_MAX], p = -1;
    hn_error err;
    for (int i = 0; i < n; i++) {
        a[i] = i < only_a || i >= only_a + only_b;
        b[i] = i >= only_a;
    }
    hn_test_ok(hn_noninferiority_p(a, b, NULL, (size_t)n, margin, 7, &p, &err), &err);
    return p;
}

static void p_is_the_intervals_word_at_every_level(void **state) {
    (void)state;
    static const double alphas[] = {0.002, 0.01, 0.05, 0.1, 0.4};
    static const int sizes[] = {12, 40, 160, 400};
    size_t n_shown = 0;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int only_a = 0; only_a <= 10; only_a += 2)
            for (int only_b = 0; only_b + only_a <= 12; only_b += 3)
                for (double margin = 0.02; margin < 0.3; margin *= 2) {
                    double p = p_of(only_a, only_b, sizes[s], margin);
                    for (size_t i = 0; i < sizeof alphas / sizeof *alphas; i++) {
                        double low = hn_paired_proportion_interval(only_a, only_b, sizes[s], alphas[i]).low;
                        if (fabs(low + margin) < 1e-3) continue; /* on the edge: bisection has three digits */
                        if ((p <= alphas[i] / 2) != (low > -margin))
                            fail_msg("%d and %d of %d, margin %g: p = %g, at alpha %g the interval begins at %g",
                                     only_a, only_b, sizes[s], margin, p, alphas[i], low);
                        n_shown += low > -margin;
                    }
                }
    assert_true(n_shown > 100);
}

/* The probability of only_a and only_b among n where each case is one of these with pa and pb. */
static double chance(int only_a, int only_b, int n, double pa, double pb) {
    double log_p = lgamma(n + 1.0) - lgamma(only_a + 1.0) - lgamma(only_b + 1.0) - lgamma(n - only_a - only_b + 1.0);
    log_p += only_a * log(pa) + only_b * log(pb) + (n - only_a - only_b) * log(1 - pa - pb);
    return exp(log_p);
}

static void what_is_worse_by_the_margin_seldom_passes(void **state) {
    (void)state;
    static const double worse[][2] = {{0.16, 0.06}, {0.25, 0.15}, {0.101, 0.001}};
    enum { N = 60 };
    for (size_t k = 0; k < 3; k++) {
        double passes = 0, all = 0;
        for (int a = 0; a <= N; a++)
            for (int b = 0; a + b <= N; b++) {
                double c = chance(a, b, N, worse[k][0], worse[k][1]);
                all += c;
                if (c > 1e-7 && hn_paired_proportion_interval(a, b, N, 0.05).low > -0.11 && p_of(a, b, N, 0.1) <= 0.025)
                    passes += c;
            }
        assert_true(fabs(all - 1) < 1e-9);
        if (passes > 0.025) fail_msg("truth %zu: %g pass", k, passes);
    }
}

static void clear_cases(void **state) {
    (void)state;
    assert_true(p_of(0, 0, 400, 0.1) < 1e-4);
    assert_true(p_of(80, 0, 400, 0.02) == 1);
    assert_true(p_of(0, 80, 400, 0.02) < 1e-4);
    assert_true(p_of(4, 4, 12, 0.02) > 0.025);
}

static void groups_count_as_one(void **state) {
    (void)state;
    double a[N_MAX], b[N_MAX], alone, grouped;
    uint32_t group[N_MAX];
    hn_error err;
    for (int i = 0; i < 200; i++) { /* ten related cases are right or wrong together */
        a[i] = 1;
        b[i] = i / 10 != 3;
        group[i] = (uint32_t)i / 10;
    }
    hn_test_ok(hn_noninferiority_p(a, b, NULL, 200, 0.12, 7, &alone, &err), &err);
    hn_test_ok(hn_noninferiority_p(a, b, group, 200, 0.12, 7, &grouped, &err), &err);
    assert_true(alone <= 0.025 && grouped > alone && grouped > 0.025);
}

static void nonsense_is_refused(void **state) {
    (void)state;
    double a[2] = {1, 0}, p;
    hn_error err;
    assert_int_equal(hn_noninferiority_p(a, a, NULL, 2, 0, 7, &p, &err), HN_ERR_INPUT);
    assert_int_equal(hn_noninferiority_p(a, a, NULL, 2, (double)NAN, 7, &p, &err), HN_ERR_INPUT);
    assert_int_equal(hn_noninferiority_p(a, a, NULL, 0, 0.1, 7, &p, &err), HN_ERR_INPUT);
    a[0] = (double)INFINITY;
    assert_int_equal(hn_noninferiority_p(a, a, NULL, 2, 0.1, 7, &p, &err), HN_ERR_INPUT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(p_is_the_intervals_word_at_every_level),
        cmocka_unit_test(what_is_worse_by_the_margin_seldom_passes),
        cmocka_unit_test(clear_cases),
        cmocka_unit_test(groups_count_as_one),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
