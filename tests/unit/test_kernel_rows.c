/* Row operations of every table (rmsnorm, RoPE, SwiGLU, addition, logsumexp) against f64, at odd sizes, inside NaN
 * borders; a row alone has the bits that it has among others. */
#include "kernel/kernel.h"

#include "kernel_cases.h"
#include "support.h"

#include <math.h>
#include <string.h>

static const int widths[] = {1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 64, 100, 576, 1536};
enum { N_WIDTHS = sizeof widths / sizeof *widths, ROWS = 5 };

static void check_close(double value, double expected, double relative, double absolute) {
    if (!(fabs(value - expected) <= fabs(expected) * relative + absolute))
        fail_msg("%.9g is not %.9g", value, expected);
}

static void rmsnorm_matches(void **state) {
    (void)state;
    const hn_kernels *k;
    for (int t = 0; (k = hn_kernels_available(t)); t++) {
        for (int i = 0; i < N_WIDTHS; i++) {
            int C = widths[i];
            size_t n = (size_t)(ROWS * C);
            guarded x = guarded_create(n), y = guarded_create(n), one = guarded_create((size_t)C),
                    weight = guarded_create((size_t)C);
            random_fill(x.data, n, 1);
            random_fill(weight.data, (size_t)C, 2);
            k->rmsnorm(y.data, x.data, weight.data, ROWS, C, 1e-5f);
            for (int r = 0; r < ROWS; r++) {
                double sum = 0;
                for (int c = 0; c < C; c++) sum += (double)x.data[r * C + c] * x.data[r * C + c];
                double scale = 1 / sqrt(sum / C + (double)1e-5f);
                for (int c = 0; c < C; c++)
                    check_close(y.data[r * C + c], x.data[r * C + c] * scale * weight.data[c], 1e-6, 1e-12);
                k->rmsnorm(one.data, x.data + r * C, weight.data, 1, C, 1e-5f);
                assert_true(bits_equal(one.data, y.data + r * C, (size_t)C));
            }
            k->rmsnorm(x.data, x.data, weight.data, ROWS, C, 1e-5f); /* in place */
            assert_true(bits_equal(x.data, y.data, n));
            guarded_check(&y), guarded_check(&one), guarded_check(&x);
            guarded_free(&x), guarded_free(&y), guarded_free(&one), guarded_free(&weight);
        }
    }
}

static void rope_matches(void **state) {
    (void)state;
    static const int sizes[] = {2, 4, 6, 16, 24, 30, 64, 80, 128};
    enum { HEADS = 3, GAP = 5 };
    const hn_kernels *k;
    for (int t = 0; (k = hn_kernels_available(t)); t++) {
        for (int i = 0; i < (int)(sizeof sizes / sizeof *sizes) * 2; i++) {
            int HS = sizes[i / 2], half = HS / 2, stride = HEADS * HS + GAP;
            bool interleaved = i % 2;
            size_t n = (size_t)(ROWS * stride);
            guarded x = guarded_create(n), before = guarded_create(n), cs = guarded_create((size_t)(ROWS * half)),
                    sn = guarded_create(cs.n);
            random_fill(cs.data, cs.n, 3);
            random_fill(sn.data, sn.n, 4);
            for (int r = 0; r < ROWS; r++) random_fill(x.data + r * stride, (size_t)(HEADS * HS), (uint32_t)r);
            memcpy(before.data, x.data, n * sizeof(float));
            k->rope(x.data, stride, cs.data, sn.data, ROWS, HEADS, HS, interleaved);
            for (int r = 0; r < ROWS; r++) {
                for (int j = 0; j < HEADS * half; j++) {
                    int h = j / half, p = j % half;
                    int a = r * stride + h * HS + (interleaved ? 2 * p : p), b = a + (interleaved ? 1 : half);
                    double c = cs.data[r * half + p], s = sn.data[r * half + p], u = before.data[a], v = before.data[b];
                    check_close(x.data[a], u * c - v * s, 0, 3e-7);
                    check_close(x.data[b], u * s + v * c, 0, 3e-7);
                }
                for (int g = 0; g < GAP; g++) assert_true(isnan(x.data[r * stride + HEADS * HS + g]));
                k->rope(before.data + r * stride, stride, cs.data + r * half, sn.data + r * half, 1, HEADS, HS,
                        interleaved);
                assert_true(bits_equal(before.data + r * stride, x.data + r * stride, (size_t)(HEADS * HS)));
            }
            guarded_check(&x);
            guarded_free(&x), guarded_free(&before), guarded_free(&cs), guarded_free(&sn);
        }
    }
}

static double silu(double x) { return x / (1 + exp(-x)); }

static void swiglu_matches(void **state) {
    (void)state;
    enum { GAP = 3 };
    const hn_kernels *k;
    for (int t = 0; (k = hn_kernels_available(t)); t++) {
        for (int i = 0; i < N_WIDTHS; i++) {
            int F = widths[i], stride = 2 * F + GAP;
            guarded in = guarded_create((size_t)(ROWS * stride)), y = guarded_create((size_t)(ROWS * F)),
                    one = guarded_create((size_t)F);
            for (int r = 0; r < ROWS; r++) random_fill(in.data + r * stride, (size_t)(2 * F), (uint32_t)(r + 1));
            for (int r = 0; r < ROWS; r++)
                for (int f = 0; f < F; f++)
                    in.data[r * stride + f] *= r == 4 ? 200 : 10; /* far past where exp overflows */
            k->swiglu(y.data, in.data, in.data + F, ROWS, F, stride);
            for (int r = 0; r < ROWS; r++) {
                const float *row = in.data + r * stride;
                for (int f = 0; f < F; f++) check_close(y.data[r * F + f], silu(row[f]) * row[F + f], 1e-6, 1e-30);
                k->swiglu(one.data, row, row + F, 1, F, stride);
                assert_true(bits_equal(one.data, y.data + r * F, (size_t)F));
            }
            guarded_check(&y), guarded_check(&one);
            guarded_free(&in), guarded_free(&y), guarded_free(&one);
        }
    }
}

static void addition_is_exact(void **state) {
    (void)state;
    const hn_kernels *k;
    for (int t = 0; (k = hn_kernels_available(t)); t++) {
        for (int i = 0; i < N_WIDTHS; i++) {
            size_t n = (size_t)widths[i];
            guarded x = guarded_create(n), y = guarded_create(n), before = guarded_create(n);
            random_fill(x.data, n, 5);
            random_fill(y.data, n, 6);
            memcpy(before.data, y.data, n * sizeof(float));
            k->add(y.data, x.data, n);
            for (size_t j = 0; j < n; j++) assert_true(y.data[j] == before.data[j] + x.data[j]);
            guarded_check(&y);
            guarded_free(&x), guarded_free(&y), guarded_free(&before);
        }
    }
}

static void logsumexp_matches(void **state) {
    (void)state;
    static const size_t ns[] = {1, 2, 3, 15, 16, 17, 31, 100, 1000, 49152};
    const hn_kernels *k;
    for (int t = 0; (k = hn_kernels_available(t)); t++) {
        for (size_t i = 0; i < sizeof ns / sizeof *ns; i++) {
            for (int scale = 1; scale <= 10000; scale *= 100) {
                guarded x = guarded_create(ns[i]);
                random_fill(x.data, ns[i], (uint32_t)(i + 1));
                double sum = 0;
                float largest = -INFINITY, max;
                for (size_t j = 0; j < ns[i]; j++) {
                    x.data[j] *= (float)scale;
                    largest = fmaxf(largest, x.data[j]);
                }
                for (size_t j = 0; j < ns[i]; j++) sum += exp((double)x.data[j] - (double)largest);
                double value = k->logsumexp(x.data, ns[i], &max);
                assert_true(max == largest);
                check_close(value, largest + log(sum), 1e-12, 3e-7);
                assert_true(k->logsumexp(x.data, ns[i], NULL) == value);
                guarded_free(&x);
            }
        }
        float none[3] = {-INFINITY, -INFINITY, -INFINITY}, some[3] = {-INFINITY, 2, -INFINITY}, max;
        assert_true(k->logsumexp(none, 3, &max) == -INFINITY);
        assert_true(max == -INFINITY);
        check_close(k->logsumexp(some, 3, &max), 2, 0, 1e-7);
        assert_true(k->logsumexp(NULL, 0, &max) == -INFINITY);
    }
}

/* exp as the kernels have it, seen through logsumexp of two logits a distance apart and through silu. */
static void exp_is_accurate_everywhere(void **state) {
    (void)state;
    const hn_kernels *k;
    for (int t = 0; (k = hn_kernels_available(t)); t++) {
        for (float x = -86.5f; x < 86.5f; x += 0.0137f) {
            float gate = -x, up = 1, y;
            k->swiglu(&y, &gate, &up, 1, 1, 1);
            /* y = -x / (1 + e^x); for large e^x its relative error is exp's own */
            check_close(y, -(double)x / (1 + exp((double)x)), 4e-7, 1e-38);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rmsnorm_matches),   cmocka_unit_test(rope_matches),
        cmocka_unit_test(swiglu_matches),    cmocka_unit_test(addition_is_exact),
        cmocka_unit_test(logsumexp_matches), cmocka_unit_test(exp_is_accurate_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
