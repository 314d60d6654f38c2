/* Dense classifiers and geometry: logistic regression and whitening against scikit-learn 1.9.1 on rows made by integer arithmetic, the same bits
 * on any number of threads, and memory running out. */
#include "support.h"

#include "base/alloc.h"
#include "stats/whiten.h"
#include "text/softmax.h"

#include <math.h>
#include <string.h>

enum { N = 60, D = 8, K = 3 };

static float rows[N * D], correlated[N * D];
static int32_t labels[N];
static uint32_t all[N];

static int make_rows(void **state) {
    (void)state;
    for (int i = 0; i < N; i++) {
        double x[D], sum = 0;
        labels[i] = (i * 7 + i / 5) % K;
        all[i] = (uint32_t)i;
        for (int d = 0; d < D; d++) {
            x[d] = (i * 37 + d * 101 + i * i * 7 + d * d * 13 + i * d * 29) % 97 / 48.0 - 1;
            if (d == labels[i]) x[d] += 0.6;
        }
        for (int d = 0; d < D; d++) {
            rows[i * D + d] = (float)x[d];
            sum += x[d];
            correlated[i * D + d] = (float)(sum / 2);
        }
    }
    return 0;
}

static hn_softmax *train(double penalty, hn_pool *pool) {
    hn_softmax *model;
    hn_error err = {0};
    hn_softmax_options o = {.penalty = penalty, .tolerance = 1e-7, .n_iterations = 1000, .pool = pool};
    hn_test_ok(hn_softmax_train(rows, D, all, labels, N, K, &o, &model, &err), &err);
    return model;
}

/* LogisticRegression(C = 1 / penalty) on the standardised rows: its loss and its answers. */
static void logistic_regression_is_scikit_learns(void **state) {
    (void)state;
    static const struct {
        double penalty, loss;
        const char *answers;
    } known[] = {{0.5, 31.32659343153526, "012020110101101011100120201011211210100101201011010100201200"},
                 {10, 45.02597715964715, "012010110101101011100120101011011210100001201011010100101200"}};
    for (size_t k = 0; k < 2; k++) {
        int32_t answers[N];
        hn_error err = {0};
        hn_softmax *model = train(known[k].penalty, NULL);
        if (fabs(hn_softmax_loss(model) - known[k].loss) > 1e-4 * known[k].loss)
            fail_msg("loss %.8f, scikit-learn has %.8f", hn_softmax_loss(model), known[k].loss);
        hn_test_ok(hn_softmax_predict(model, rows, all, N, answers, &err), &err);
        for (int i = 0; i < N; i++) assert_int_equal(answers[i], known[k].answers[i] - '0');
        hn_softmax_free(model);
    }
}

static void threads_change_no_bit(void **state) {
    (void)state;
    hn_pool *pool;
    hn_error err = {0};
    hn_test_ok(hn_pool_create(3, &pool, &err), &err);
    hn_softmax *one = train(0.5, NULL), *three = train(0.5, pool);
    assert_true(hn_softmax_loss(one) == hn_softmax_loss(three));
    hn_softmax_free(one);
    hn_softmax_free(three);
    hn_pool_free(pool);
}

static void odd_inputs(void **state) {
    (void)state;
    hn_softmax *model;
    hn_error err = {0};
    hn_softmax_options o = {.penalty = 1};
    int32_t one_label[N] = {0}, answers[N], wrong[N];
    /* a class without examples is never the answer; a constant column does no harm */
    float constant[N * 2];
    for (int i = 0; i < N; i++) constant[2 * i] = 3, constant[2 * i + 1] = rows[i * D];
    hn_test_ok(hn_softmax_train(constant, 2, all, one_label, N, K, &o, &model, &err), &err);
    hn_test_ok(hn_softmax_predict(model, constant, all, N, answers, &err), &err);
    for (int i = 0; i < N; i++) assert_int_equal(answers[i], 0);
    hn_softmax_free(model);
    memcpy(wrong, labels, sizeof wrong);
    wrong[7] = K;
    assert_int_equal(hn_softmax_train(rows, D, all, wrong, N, K, &o, &model, &err), HN_ERR_INPUT);
    assert_int_equal(hn_softmax_train(rows, D, all, labels, 0, K, &o, &model, &err), HN_ERR_INPUT);
    o.penalty = 0;
    assert_int_equal(hn_softmax_train(rows, D, all, labels, N, K, &o, &model, &err), HN_ERR_INPUT);
    o.penalty = 1;
    float broken[N * D];
    memcpy(broken, rows, sizeof broken);
    broken[5] = NAN;
    assert_int_equal(hn_softmax_train(broken, D, all, labels, N, K, &o, &model, &err), HN_ERR_INPUT);
    assert_null(model);
}

static void whitening_is_ledoit_and_wolfs(void **state) {
    (void)state;
    static const double first[D] = {-0.3733843163711781,  -0.5185633175220422, -0.03564232562199866,
                                    -0.17924810471825736, -0.353652972727871,  0.041370040605219656,
                                    -0.6254969243482814,  0.2006182240964968},
                        last[D] = {0.08383083345955807, 0.2992259997559312,   0.18050091283684752, 0.6177395146445992,
                                   0.09734393733146667, -0.08459713989011926, 0.16378057027854928, -0.6676802464725996};
    hn_whitening *w;
    hn_error err = {0};
    float out[N * D];
    double auc;
    hn_test_ok(hn_whitening_fit(correlated, N, D, &w, &err), &err);
    assert_true(fabs(hn_whitening_shrinkage(w) - 0.03910621818542812) < 1e-9);
    for (int i = 0; i < N; i++) hn_whitening_apply(w, correlated + i * D, out + i * D);
    for (int d = 0; d < D; d++) {
        assert_true(fabs((double)out[d] - first[d]) < 1e-5);
        assert_true(fabs((double)out[(N - 1) * D + d] - last[d]) < 1e-5);
    }
    hn_test_ok(hn_pair_auc(correlated, D, labels, N, 1, &auc, &err), &err);
    assert_true(fabs(auc - 0.5097269979323984) < 1e-9);
    hn_test_ok(hn_pair_auc(out, D, labels, N, 1, &auc, &err), &err);
    assert_true(fabs(auc - 0.5789481076950738) < 1e-6);
    hn_whitening_free(w);
    hn_test_ok(hn_pair_auc(out, D, labels, 1, 1, &auc, &err), &err);
    assert_true(isnan(auc));
    assert_int_equal(hn_whitening_fit(correlated, 1, D, &w, &err), HN_ERR_INPUT);
    /* fewer vectors than dimensions can be inverted too */
    hn_test_ok(hn_whitening_fit(correlated, 4, D, &w, &err), &err);
    hn_whitening_apply(w, correlated, out);
    for (int d = 0; d < D; d++) assert_true(isfinite(out[d]));
    hn_whitening_free(w);
}

static hn_status use_everything(hn_error *err) {
    hn_softmax *model = NULL;
    hn_whitening *w = NULL;
    int32_t answers[N];
    double auc;
    hn_softmax_options o = {.penalty = 1, .n_iterations = 3};
    hn_status st = hn_softmax_train(rows, D, all, labels, N, K, &o, &model, err);
    if (st == HN_OK) st = hn_softmax_predict(model, rows, all, N, answers, err);
    if (st == HN_OK) st = hn_whitening_fit(rows, N, D, &w, err);
    if (st == HN_OK) st = hn_pair_auc(rows, D, labels, N, 1, &auc, err);
    hn_whitening_free(w);
    hn_softmax_free(model);
    return st;
}

static void memory_may_run_out_anywhere(void **state) {
    (void)state;
    hn_status st = HN_ERR_MEMORY;
    for (size_t n = 1; st != HN_OK; n++) {
        hn_error err = {0};
        hn_alloc_fail_at(n, false);
        st = use_everything(&err);
        hn_alloc_fail_at(0, false);
        if (st != HN_OK) assert_int_equal(st, HN_ERR_MEMORY);
        assert_true(n < 1000);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(logistic_regression_is_scikit_learns),
                                       cmocka_unit_test(threads_change_no_bit), cmocka_unit_test(odd_inputs),
                                       cmocka_unit_test(whitening_is_ledoit_and_wolfs),
                                       cmocka_unit_test(memory_may_run_out_anywhere)};
    return cmocka_run_group_tests(tests, make_rows, NULL);
}
