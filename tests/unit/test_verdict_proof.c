/* What verdicts promise, by simulation with fixed seeds: two runs of one system are called different in at most 5 % of 1,000 trials, also when
 * they are looked at after every 50 cases; a true difference of 8 points at 400 cases is called better as often as the power says. Beside
 * it the rule "the higher number wins", and looking again and again with a test made for one look. */
#include "support.h"

#include "base/rng.h"
#include "lifecycle/eval/repeated_looks.h"
#include "stats/interval.h"
#include "stats/paired.h"
#include "stats/power.h"
#include "stats/verdict.h"

#include <math.h>
#include <stdio.h>

enum { POOL = 2000, N = 400, TRIALS = 1000, POWER_TRIALS = 4000 };
static double pool[POOL]; /* each case's chance of a right answer */

/* Most cases are easy, some are hopeless, the rest anything: the correctness of sampled answers of one system. */
static int make_pool(void **state) {
    (void)state;
    hn_rng rng;
    hn_rng_seed(&rng, 20261124, 1);
    for (int i = 0; i < POOL; i++) {
        double kind = hn_rng_uniform(&rng), u = hn_rng_uniform(&rng);
        pool[i] = kind < 0.5 ? 0.9 + 0.1 * u : kind < 0.6 ? 0.05 * u : u;
    }
    return 0;
}

/* Cases drawn from the pool, each answered twice by the same system. */
static void draw_same(hn_rng *rng, double *a, double *b) {
    for (int i = 0; i < N; i++) {
        double p = pool[hn_rng_below(rng, POOL)];
        a[i] = hn_rng_uniform(rng) < p;
        b[i] = hn_rng_uniform(rng) < p;
    }
}

static void counts(const double *a, const double *b, int n, int64_t *only_a, int64_t *only_b) {
    *only_a = *only_b = 0;
    for (int i = 0; i < n; i++) {
        *only_a += a[i] > b[i];
        *only_b += b[i] > a[i];
    }
}

static void assert_rare(const char *what, int n) {
    double bound = hn_interval_clopper_pearson(n, TRIALS, 0.02).high; /* one-sided 99 % */
    printf("%s: %d of %d (at most %.3f)\n", what, n, TRIALS, bound);
    assert_true(n <= TRIALS / 20);
    assert_true(bound <= 0.067);
}

static void a_system_is_seldom_called_different_from_itself(void **state) {
    (void)state;
    int called = 0, sequential = 0, peeking = 0, naive = 0;
    hn_error err;
    for (int t = 0; t < TRIALS; t++) {
        double a[N], b[N];
        hn_rng rng;
        hn_verdict v;
        hn_repeated_looks s;
        int64_t only_a, only_b;
        hn_rng_seed(&rng, 7, (uint64_t)t);
        draw_same(&rng, a, b);
        hn_verdict_options options = {.smallest_difference = 0.02, .seed = 7};
        hn_test_ok(hn_verdict_judge(a, b, NULL, N, &options, &v, &err), &err);
        called += v.kind == HN_VERDICT_BETTER || v.kind == HN_VERDICT_WORSE;
        hn_test_ok(hn_repeated_looks_judge(a, b, NULL, N, HN_REPEATED_LOOKS_EVERY, 0.05, &s, &err), &err);
        sequential += s.kind != HN_VERDICT_CANNOT_TELL;
        bool fooled = false;
        for (int n = HN_REPEATED_LOOKS_EVERY; n <= N; n += HN_REPEATED_LOOKS_EVERY) {
            counts(a, b, n, &only_a, &only_b);
            fooled = fooled || hn_mcnemar(only_a, only_b).exact_p <= 0.05;
        }
        peeking += fooled;
        naive += only_a != only_b;
    }
    assert_rare("called different", called);
    assert_rare("called different, looked at after every 50 cases", sequential);
    printf("a test for one look, looked at after every 50: %d; the higher number wins: %d\n", peeking, naive);
    assert_true(peeking > called && naive > 900);
}

static void a_difference_is_called_as_often_as_the_power_says(void **state) {
    (void)state;
    static const double discordances[] = {0.15, 0.2, 0.25, 0.3};
    const double difference = 0.08;
    hn_error err;
    for (size_t k = 0; k < sizeof discordances / sizeof *discordances; k++) {
        double psi = discordances[k], announced = hn_power_mcnemar_at(psi, difference, N, 0.05);
        double exact = hn_power_mcnemar_exact((psi - difference) / 2, (psi + difference) / 2, N, 0.05, false);
        int better = 0, worse = 0, higher = 0;
        for (int t = 0; t < POWER_TRIALS; t++) {
            double a[N], b[N];
            hn_rng rng;
            hn_verdict v;
            hn_rng_seed(&rng, 100 + k, (uint64_t)t);
            for (int i = 0; i < N; i++) {
                double u = hn_rng_uniform(&rng);
                a[i] = u < (psi - difference) / 2 || u >= psi; /* where neither wins both are right */
                b[i] = u >= (psi - difference) / 2;
            }
            hn_test_ok(hn_verdict_judge(a, b, NULL, N, NULL, &v, &err), &err);
            better += v.kind == HN_VERDICT_BETTER;
            worse += v.kind == HN_VERDICT_WORSE;
            higher += v.only_b_right > v.only_a_right;
        }
        double share = (double)better / POWER_TRIALS;
        printf("discordance %.2f: announced %.3f, exact %.3f, better in %.3f; the higher number wins: %.3f\n", psi,
               announced, exact, share, (double)higher / POWER_TRIALS);
        assert_true(fabs(share - announced) <= 0.03);
        assert_true(fabs(share - exact) <= 0.02);
        assert_int_equal(worse, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_system_is_seldom_called_different_from_itself),
        cmocka_unit_test(a_difference_is_called_as_often_as_the_power_says),
    };
    return cmocka_run_group_tests(tests, make_pool, NULL);
}
