/* Learning curves against laws that are known, the narrower start on planted answers, and every branch of the recommendation. */
#include "support.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "lifecycle/scope/learning_curve.h"
#include "lifecycle/scope/narrower_start.h"
#include "lifecycle/scope/recommendation.h"

#include <math.h>
#include <string.h>

/* ---- the law ---- */

static void sizes_halve(void **state) {
    (void)state;
    size_t sizes[HN_CURVE_SIZES];
    assert_int_equal(hn_curve_sizes(450, 8, sizes), 5);
    static const size_t expected[] = {29, 57, 113, 225, 450};
    for (int i = 0; i < 5; i++) assert_int_equal(sizes[i], expected[i]);
    assert_int_equal(hn_curve_sizes(8000, 77, sizes), 6);
    assert_int_equal(sizes[0], 250);
    assert_int_equal(hn_curve_sizes(5, 2, sizes), 0);
    assert_int_equal(hn_curve_sizes(0, 0, sizes), 0);
    assert_int_equal(hn_curve_sizes(12, 1, sizes), 1);
}

static void a_law_is_found_again(void **state) {
    (void)state;
    static const hn_power_law laws[] = {{0.05, 0.8, 0.5}, {0, 2.0, 0.35}, {0.2, 5, 1.2}, {0.1, 0, 1}};
    double sizes[6], errors[6];
    for (size_t k = 0; k < 4; k++) {
        for (int i = 0; i < 6; i++) {
            sizes[i] = 25 << i;
            errors[i] = hn_power_law_at(laws[k], sizes[i]);
        }
        hn_power_law found = hn_power_law_fit(sizes, errors, NULL, 6);
        for (double n = 800; n < 4000; n *= 2)
            if (fabs(hn_power_law_at(found, n) - hn_power_law_at(laws[k], n)) > 1e-4)
                fail_msg("law %zu at %g: %.6f instead of %.6f", k, n, hn_power_law_at(found, n),
                         hn_power_law_at(laws[k], n));
    }
    /* errors that rise are no law: level, never a negative gain */
    for (int i = 0; i < 6; i++) errors[i] = 0.1 + 0.01 * i;
    hn_power_law level = hn_power_law_fit(sizes, errors, NULL, 6);
    assert_true(level.scale >= 0 && hn_power_law_at(level, 1000) <= hn_power_law_at(level, 800));
}

enum { CASES = 400, DRAWS = 4, SIZES = 6, ROWS = (SIZES - 1) * DRAWS + 1 };

/* Rows of right answers whose chance of being wrong follows the law: each case has a difficulty that all rows share, as real ones do. */
static void simulate(hn_power_law law, uint64_t seed, size_t sizes[ROWS], unsigned char *right) {
    hn_rng rng;
    double difficulty[CASES];
    hn_rng_seed(&rng, seed, 0);
    for (int i = 0; i < CASES; i++) difficulty[i] = hn_rng_uniform(&rng);
    for (int r = 0; r < ROWS; r++) {
        sizes[r] = (size_t)25 << (r / DRAWS);
        for (int i = 0; i < CASES; i++) {
            double u = difficulty[i] + 0.3 * (hn_rng_uniform(&rng) - 0.5);
            u -= floor(u); /* still uniform */
            right[r * CASES + i] = u >= hn_power_law_at(law, (double)sizes[r]);
        }
    }
}

static void the_interval_holds_the_gain(void **state) {
    (void)state;
    static const hn_power_law law = {0.04, 3, 0.5};
    size_t sizes[ROWS], held = 0, held_target = 0;
    enum { TRIALS = 60 };
    unsigned char *right = hn_calloc(ROWS, CASES);
    double gain = hn_power_law_at(law, 800) - hn_power_law_at(law, 900);
    for (uint64_t t = 0; t < TRIALS; t++) {
        hn_curve curve;
        hn_error err = {0};
        simulate(law, 100 + t, sizes, right);
        hn_curve_measured m = {sizes, right, ROWS, CASES, NULL};
        hn_curve_options o = {.target = 0.9, .seed = t, .n_resamples = 200};
        hn_test_ok(hn_curve_build(&m, &o, &curve, &err), &err);
        assert_int_equal(curve.n_points, SIZES);
        assert_int_equal(curve.points[SIZES - 1].n, 800);
        held += curve.gain.low <= gain && gain <= curve.gain.high;
        /* 0.1 = 0.04 + 3 n^-0.5 at n = 2500 */
        held_target += curve.labels_interval.low <= 2500 && 2500 <= curve.labels_interval.high;
    }
    hn_free(right);
    print_message("gain held in %zu, labels for the target in %zu of %d\n", held, held_target, TRIALS);
    assert_true(held >= TRIALS * 85 / 100 && held_target >= TRIALS * 85 / 100);
}

static void subsets_are_stratified(void **state) {
    (void)state;
    enum { N = 1000, L = 4 };
    int32_t labels[N];
    uint32_t order[N], again[N];
    bool seen[N] = {false};
    hn_error err = {0};
    for (int i = 0; i < N; i++) labels[i] = i < 500 ? 0 : i < 800 ? 1 : i < 950 ? 2 : 3;
    hn_test_ok(hn_curve_order(labels, N, L, 3, order, &err), &err);
    for (size_t size = 100; size <= N; size += 100) {
        size_t counts[L] = {0};
        for (size_t i = 0; i < size; i++) counts[labels[order[i]]]++;
        for (int l = 0; l < L; l++) {
            static const double shares[L] = {0.5, 0.3, 0.15, 0.05};
            if (fabs((double)counts[l] - shares[l] * (double)size) > 2)
                fail_msg("%zu of label %d in the first %zu", counts[l], l, size);
        }
    }
    for (int i = 0; i < N; i++) {
        assert_false(seen[order[i]]);
        seen[order[i]] = true;
    }
    hn_test_ok(hn_curve_order(labels, N, L, 4, again, &err), &err);
    assert_true(memcmp(order, again, sizeof order) != 0);
}

static void wrong_rows_are_refused(void **state) {
    (void)state;
    hn_curve curve;
    hn_error err = {0};
    size_t falling[] = {10, 5};
    unsigned char right[2] = {0, 1};
    hn_curve_options o = {.target = NAN};
    hn_curve_measured none = {falling, right, 0, 1, NULL}, down = {falling, right, 2, 1, NULL};
    assert_int_equal(hn_curve_build(&none, &o, &curve, &err), HN_ERR_INPUT);
    assert_int_equal(hn_curve_build(&down, &o, &curve, &err), HN_ERR_INPUT);
}

/* ---- the narrower start ---- */

/* Label 0 is right in 99 %, label 1 in 80 %, label 2 in 95 % but seldom answered, label 3 never. */
static void plant(hn_rng *rng, int32_t *truth, int32_t *answers, size_t n) {
    for (size_t i = 0; i < n; i++) {
        double u = hn_rng_uniform(rng);
        int32_t a = u < 0.5 ? 0 : u < 0.97 ? 1 : 2;
        static const double right[] = {0.99, 0.8, 0.95};
        answers[i] = a;
        truth[i] = hn_rng_uniform(rng) < right[a] ? a : (a + 1) % 4;
    }
}

static void planted_labels_are_found(void **state) {
    (void)state;
    enum { N = 800 };
    int32_t truth[N], answers[N], truth_dev[N], answers_dev[N];
    hn_rng rng;
    hn_error err = {0};
    hn_narrow narrow;
    hn_rng_seed(&rng, 5, 0);
    plant(&rng, truth, answers, N);
    plant(&rng, truth_dev, answers_dev, N);
    hn_narrow_answers choosing = {truth, answers, NULL, N}, checking = {truth_dev, answers_dev, NULL, N};
    hn_test_ok(hn_narrow_find(&choosing, &checking, 4, 0.9, &narrow, &err), &err);
    assert_int_equal(narrow.n_chosen, 1);
    assert_true(narrow.labels[0].chosen && !narrow.labels[1].chosen);
    assert_false(narrow.labels[2].chosen); /* right in 95 %, but too few answers to be sure */
    assert_int_equal(narrow.labels[3].n_choosing, 0);
    assert_true(isnan(narrow.labels[3].precision));
    size_t taken = 0, right = 0;
    for (int i = 0; i < N; i++) taken += answers_dev[i] == 0, right += answers_dev[i] == 0 && truth_dev[i] == 0;
    assert_true(fabs(narrow.share.value - (double)taken / N) < 1e-12);
    assert_true(fabs(narrow.precision.value - (double)right / (double)taken) < 1e-12);
    assert_true(narrow.precision.low > 0.95 && narrow.share.low < 0.5 && narrow.share.high > 0.5);
    hn_narrow_free(&narrow);
    answers[3] = 4;
    assert_int_equal(hn_narrow_find(&choosing, &checking, 4, 0.9, &narrow, &err), HN_ERR_INPUT);
    answers[3] = -1; /* no answer is fine */
    hn_test_ok(hn_narrow_find(&choosing, &checking, 4, 1.5, &narrow, &err), &err);
    assert_int_equal(narrow.n_chosen, 0);
    assert_true(isnan(narrow.precision.value) && narrow.share.value == 0);
    hn_narrow_free(&narrow);
}

static void memory_may_run_out(void **state) {
    (void)state;
    hn_status st = HN_ERR_MEMORY;
    int32_t labels[] = {0, 1, 0, 1};
    uint32_t order[4];
    size_t sizes[] = {2, 4};
    unsigned char right[8] = {1, 0, 1, 0, 1, 1, 1, 1};
    for (size_t n = 1; st != HN_OK; n++) {
        hn_error err = {0};
        hn_narrow narrow = {0};
        hn_curve curve;
        hn_narrow_answers a = {labels, labels, NULL, 4};
        hn_curve_measured m = {sizes, right, 2, 4, NULL};
        hn_curve_options o = {.target = 0.9, .n_resamples = 10};
        hn_alloc_fail_at(n, false);
        st = hn_narrow_find(&a, &a, 2, 0.5, &narrow, &err);
        if (st == HN_OK) st = hn_curve_order(labels, 4, 2, 1, order, &err);
        if (st == HN_OK) st = hn_curve_build(&m, &o, &curve, &err);
        hn_alloc_fail_at(0, false);
        hn_narrow_free(&narrow);
        if (st != HN_OK) assert_int_equal(st, HN_ERR_MEMORY);
        assert_true(n < 100);
    }
}

/* ---- the recommendation ---- */

static hn_recommend_rung rung(const char *name, double value) {
    return (hn_recommend_rung){name, {value, value - 0.04, value + 0.04}};
}

static hn_verdict verdict(hn_verdict_kind kind, double difference) {
    double half = kind == HN_VERDICT_CANNOT_TELL  ? 0.05 + fabs(difference)
                  : kind == HN_VERDICT_EQUIVALENT ? 0.015
                                                  : 0.03;
    return (hn_verdict){.kind = kind, .difference = {difference, difference - half, difference + half}};
}

/* 500 cases of 8 labels, target 0.9; a bag of words at `plain`, a probe and prompts where not 0. */
static hn_recommend_facts facts(double plain, double probe, double prompted) {
    hn_recommend_facts f = {.target = 0.9,
                            .smallest_difference = 0.02,
                            .metric = "accuracy",
                            .n_train = 500,
                            .n_labels = 8,
                            .plain = rung("bag of words", plain)};
    double best_model = fmax(probe, prompted);
    if (probe > 0) f.probe = rung("linear probe", probe);
    if (prompted > 0) f.prompted = rung("nearest examples", prompted);
    f.marked = f.plain;
    if (best_model > plain + 0.03) {
        f.marked = prompted >= probe ? f.prompted : f.probe;
        f.marked_takes_model = true;
        f.marked_is_prompt = prompted >= probe;
    }
    if (best_model > 0)
        f.model_against_plain = verdict(best_model > plain + 0.03   ? HN_VERDICT_BETTER
                                        : best_model < plain - 0.03 ? HN_VERDICT_WORSE
                                                                    : HN_VERDICT_EQUIVALENT,
                                        best_model - plain);
    if (probe > 0 && prompted > 0)
        f.probe_against_prompt = verdict(probe > prompted + 0.03   ? HN_VERDICT_BETTER
                                         : probe < prompted - 0.03 ? HN_VERDICT_WORSE
                                                                   : HN_VERDICT_EQUIVALENT,
                                         probe - prompted);
    return f;
}

static void recommends(const hn_recommend_facts *f, hn_action first, hn_action about, bool worth, const char *words) {
    hn_recommendation r;
    hn_recommend(f, &r);
    assert_true(r.known);
    if (r.first != first) fail_msg("%s first, because %s", hn_action_name(r.first), r.items[r.first].reason);
    if (r.items[about].worth != worth || !strstr(r.items[about].reason, words))
        fail_msg("%s: %d, %s", hn_action_name(about), r.items[about].worth, r.items[about].reason);
    for (int a = 0; a < HN_ACTION_COUNT; a++) assert_true(strlen(r.items[a].reason) > 20);
}

static void each_action_has_its_numbers(void **state) {
    (void)state;
    hn_recommend_facts f = facts(0.95, 0, 0); /* certain without a model: at least 91 % */
    recommends(&f, HN_ACTION_DROP_MODEL, HN_ACTION_PROMPT, false, "none is needed");
    f = facts(0.92, 0.93, 0.80); /* reached, and the model adds less than matters */
    recommends(&f, HN_ACTION_DROP_MODEL, HN_ACTION_DROP_MODEL, true, "takes no model");
    f = facts(0.70, 0, 0); /* nothing measured with a model */
    recommends(&f, HN_ACTION_PROMPT, HN_ACTION_DROP_MODEL, false, "no model was measured");
    f = facts(0.70, 0.80, 0.91); /* a prompt reaches the target */
    recommends(&f, HN_ACTION_PROMPT, HN_ACTION_PROMPT, true, "reaches the target");
    f = facts(0.70, 0.85, 0.60); /* the states know what prompts do not say */
    recommends(&f, HN_ACTION_FINE_TUNE, HN_ACTION_FINE_TUNE, true, "25.0 points");
    recommends(&f, HN_ACTION_FINE_TUNE, HN_ACTION_PROMPT, false, "words do not bring it out");
    f = facts(0.80, 0.79, 0.50); /* as good without a model, but below the target */
    recommends(&f, HN_ACTION_FINE_TUNE, HN_ACTION_FINE_TUNE, true, "no rung reaches the target");
    f.n_train = 60; /* 7.5 a label */
    recommends(&f, HN_ACTION_DROP_MODEL, HN_ACTION_FINE_TUNE, false, "too few");
}

static void labels_and_scratch(void **state) {
    (void)state;
    hn_curve curve = {.name = "bag of words", .gain = {0.03, 0.02, 0.04}, .labels_for_target = 900};
    hn_recommend_facts f = facts(0.80, 0.60, 0.50);
    f.curve = &curve;
    recommends(&f, HN_ACTION_LABEL_MORE, HN_ACTION_LABEL_MORE, true, "about 400 more labels");
    curve.gain = (hn_estimate){0.001, 0, 0.004};
    curve.labels_for_target = INFINITY;
    recommends(&f, HN_ACTION_DROP_MODEL, HN_ACTION_LABEL_MORE, false, "ends below the target");
    f.n_train = 8000; /* many cases, nothing gained by this model, target open */
    recommends(&f, HN_ACTION_FROM_SCRATCH, HN_ACTION_FROM_SCRATCH, true, "8000 training cases");
    curve.labels_for_target = 1e6;
    recommends(&f, HN_ACTION_FROM_SCRATCH, HN_ACTION_LABEL_MORE, false, "would take about 992000");
    f = facts(0.30, 0, 0); /* hardly anything to learn from */
    f.n_train = 12;
    recommends(&f, HN_ACTION_PROMPT, HN_ACTION_LABEL_MORE, true, "12 training cases are too few");
    f = facts(0.95, 0.6, 0.5);
    f.curve = &curve;
    recommends(&f, HN_ACTION_DROP_MODEL, HN_ACTION_LABEL_MORE, false, "reaches the target for certain");
    f.target = NAN; /* no target: what is as good without a model is enough */
    recommends(&f, HN_ACTION_DROP_MODEL, HN_ACTION_DROP_MODEL, true, "takes no model");
    hn_recommendation r;
    hn_recommend(&(hn_recommend_facts){.target = 0.9}, &r);
    assert_false(r.known);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(sizes_halve),
                                       cmocka_unit_test(a_law_is_found_again),
                                       cmocka_unit_test(the_interval_holds_the_gain),
                                       cmocka_unit_test(subsets_are_stratified),
                                       cmocka_unit_test(wrong_rows_are_refused),
                                       cmocka_unit_test(planted_labels_are_found),
                                       cmocka_unit_test(memory_may_run_out),
                                       cmocka_unit_test(each_action_has_its_numbers),
                                       cmocka_unit_test(labels_and_scratch)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
