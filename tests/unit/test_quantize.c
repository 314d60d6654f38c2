/* Quantisation: the bytes that ggml's quantiser wrote for the same rows, what stands in for a format that does not fit, and
 * rows that no honest model has. */
#include "support.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "kernel/kernel.h"
#include "model/quantize.h"

#include <math.h>
#include <string.h>

enum { ROWS = 256, COLUMNS = 512 };

/* sha256 of the input's bytes in each format, and the root mean square error: quant.json */
static const struct {
    hn_dtype dtype;
    const char *sha256;
    double rmse;
} known[] = {
    {HN_DTYPE_F16, "d5f1a29be89a1cc6725d43633196f59cef531924f831d36598ffffaba614bda3", 0.007024127},
    {HN_DTYPE_BF16, "a0ddbd5546cc51f2490ed59d6f441e0ea95e4f89edea1733cbdf04207c40e6cb", 0.05894478},
    {HN_DTYPE_Q8_0, "f34df88ecf566474a6427e1bb979cf4d8554cfd40062daa9172d51129018688d", 0.4855662},
    {HN_DTYPE_Q4_0, "45aee2c605c31ba2390789b07eddb01e98353ac0fc12f1c5197141bca42c51c3", 7.667514},
    {HN_DTYPE_Q4_1, "f780b9682b40550977ce6ecf289548e05d377ca60d34724862e6d2a772e5e634", 5.224665},
    {HN_DTYPE_Q5_0, "9193f58251831283749d2eca05f6d11f05be3cdc297b9f7aebdd3b6bef96e4f8", 3.837187},
    {HN_DTYPE_Q5_1, "fb2a04f80ffe1a830532730b19a3d0338a06e029dc3d283e91af3d72ad880f65", 2.230451},
    {HN_DTYPE_Q4_K, "317ff2b5b844b87a2b229f98b22a6868747ff9e10d105a7ef2df97067ebde965", 4.281743},
    {HN_DTYPE_Q5_K, "e03e53c384cbfaa3d8a23911e3ec19e05c336b6d019046914fe104e38220baa2", 2.279624},
    {HN_DTYPE_Q6_K, "8541b9a23c8267cba4f9704dc097cd0603d822b999c73bf0aa48b097bc67ed9f", 1.359874},
};
enum { N_KNOWN = sizeof known / sizeof *known };

static void dequantize(float *out, const void *bytes, hn_dtype dtype, size_t n) {
    hn_kernels_available(0)->dequantize(out, bytes, dtype, n);
}

static unsigned char *quantize_rows(const float *x, hn_dtype dtype, size_t *n_bytes) {
    size_t row_bytes;
    hn_error err = {0};
    assert_true(hn_dtype_bytes(dtype, COLUMNS, &row_bytes));
    unsigned char *bytes = hn_alloc(ROWS * row_bytes);
    for (size_t r = 0; r < ROWS; r++)
        hn_test_ok(hn_quantize_row(bytes + r * row_bytes, x + r * COLUMNS, dtype, COLUMNS, &err), &err);
    *n_bytes = ROWS * row_bytes;
    return bytes;
}

static void bytes_are_the_reference(void **state) {
    (void)state;
    char path[HN_PATH_MAX], hex[HN_SHA256_HEX];
    size_t n;
    if (!hn_test_shared("goldens/quant/input.bin", path)) skip();
    char *input = hn_test_read(path, &n);
    assert_int_equal(n, ROWS * COLUMNS * sizeof(float));
    float *x = hn_alloc(n), *back = hn_alloc(n);
    memcpy(x, input, n);
    for (size_t k = 0; k < N_KNOWN; k++) {
        unsigned char *bytes = quantize_rows(x, known[k].dtype, &n);
        assert_int_equal(hn_sha256_bytes(bytes, n, hex), HN_OK);
        if (strcmp(hex, known[k].sha256) != 0) fail_msg("%s: other bytes", hn_dtype_of(known[k].dtype).name);
        dequantize(back, bytes, known[k].dtype, ROWS * COLUMNS);
        double sum = 0;
        for (size_t i = 0; i < ROWS * COLUMNS; i++) sum += ((double)x[i] - back[i]) * ((double)x[i] - back[i]);
        double rmse = sqrt(sum / (ROWS * COLUMNS));
        if (fabs(rmse - known[k].rmse) > 1e-5 * known[k].rmse)
            fail_msg("%s: error %g", hn_dtype_of(known[k].dtype).name, rmse);
        hn_free(bytes);
    }
    hn_free(x);
    hn_free(back);
    hn_free(input);
}

static void f32_is_copied(void **state) {
    (void)state;
    float x[3] = {1.5f, -2e30f, 0}, y[3];
    hn_error err = {0};
    hn_test_ok(hn_quantize_row(y, x, HN_DTYPE_F32, 3, &err), &err);
    assert_memory_equal(x, y, sizeof x);
}

static void names_and_fallbacks(void **state) {
    (void)state;
    hn_dtype d;
    assert_true(hn_quantize_format("q4_k", &d) && d == HN_DTYPE_Q4_K);
    assert_true(hn_quantize_format("BF16", &d) && d == HN_DTYPE_BF16);
    assert_false(hn_quantize_format("q2_k", &d) || hn_quantize_format("", &d) || hn_quantize_format("q4", &d));
    /* 576 is SmolLM2's width; llama-quantize takes the same */
    assert_int_equal(hn_quantize_fallback(HN_DTYPE_Q4_K, 1536), HN_DTYPE_Q4_K);
    assert_int_equal(hn_quantize_fallback(HN_DTYPE_Q4_K, 576), HN_DTYPE_Q5_0);
    assert_int_equal(hn_quantize_fallback(HN_DTYPE_Q5_K, 576), HN_DTYPE_Q5_1);
    assert_int_equal(hn_quantize_fallback(HN_DTYPE_Q6_K, 576), HN_DTYPE_Q8_0);
    assert_int_equal(hn_quantize_fallback(HN_DTYPE_Q6_K, 48), HN_DTYPE_F16);
    assert_int_equal(hn_quantize_fallback(HN_DTYPE_Q4_0, 33), HN_DTYPE_F16);
    assert_int_equal(hn_quantize_fallback(HN_DTYPE_BF16, 7), HN_DTYPE_BF16);
    assert_int_equal(hn_quantize_fallback(HN_DTYPE_Q2_K, 256), HN_DTYPE_NONE);
    for (size_t i = 1; hn_quantize_format_at(i) != HN_DTYPE_NONE; i++) { /* largest first */
        hn_dtype_info a = hn_dtype_of(hn_quantize_format_at(i - 1)), b = hn_dtype_of(hn_quantize_format_at(i));
        assert_true(a.block_bytes * b.block_values >= b.block_bytes * a.block_values);
    }
}

/* Rows at the edges of what floats can be: whatever is accepted comes back finite and near. */
static void check_row(const float *x, hn_dtype dtype, const char *what) {
    unsigned char bytes[256 * 4];
    float back[256], size = 0;
    hn_error err = {0};
    memset(bytes, 0xA5, sizeof bytes);
    if (hn_quantize_row(bytes, x, dtype, 256, &err) != HN_OK) {
        if (err.code != HN_ERR_INPUT || !strstr(err.message, "too large")) fail_msg("%s: %s", what, err.message);
        return;
    }
    dequantize(back, bytes, dtype, 256);
    for (int i = 0; i < 256; i++) size = fmaxf(size, fabsf(x[i]));
    for (int i = 0; i < 256; i++)
        if (!(fabsf(back[i] - x[i]) <= 0.15f * size + 1e-4f))
            fail_msg("%s as %s: %g became %g", what, hn_dtype_of(dtype).name, (double)x[i], (double)back[i]);
}

static void rows_at_the_edges(void **state) {
    (void)state;
    static const float sizes[] = {0,     -0.0f, 1e-45f, 1e-40f, 1e-38f, 1e-30f, 1e-20f, 1e-15f,
                                  1e-8f, 1,     6e4f,   1e6f,   6e7f,   9e8f,   2e12f,  3e38f};
    for (size_t k = 0; k < N_KNOWN; k++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            float x[256];
            for (int i = 0; i < 256; i++) x[i] = sizes[s];
            check_row(x, known[k].dtype, "one value");
            for (int i = 0; i < 256; i++) x[i] = (i % 3 ? 1.0f : -1.0f) * sizes[s] * ((float)(i % 31) / 31);
            check_row(x, known[k].dtype, "both signs");
            memset(x, 0, sizeof x);
            x[77] = -sizes[s];
            check_row(x, known[k].dtype, "one of 256");
            x[3] = 1e-44f;
            check_row(x, known[k].dtype, "beside a subnormal");
        }
}

static void zeros_stay_zeros(void **state) {
    (void)state;
    float x[256] = {0}, back[256];
    unsigned char bytes[1024];
    for (size_t k = 0; k < N_KNOWN; k++) {
        hn_error err = {0};
        hn_test_ok(hn_quantize_row(bytes, x, known[k].dtype, 256, &err), &err);
        dequantize(back, bytes, known[k].dtype, 256);
        for (int i = 0; i < 256; i++) assert_true(back[i] == 0);
    }
}

static void refused(const float *x, hn_dtype dtype, hn_status code, const char *message, const char *where) {
    unsigned char bytes[1024];
    hn_error err = {0};
    assert_int_equal(hn_quantize_row(bytes, x, dtype, 256, &err), code);
    if (!strstr(err.message, message) || !strstr(err.where, where)) fail_msg("%s: %s", err.where, err.message);
}

static void bad_values_are_named(void **state) {
    (void)state;
    for (size_t k = 0; k < N_KNOWN; k++) {
        float x[256] = {0};
        x[200] = NAN;
        refused(x, known[k].dtype, HN_ERR_INPUT, "not a finite number", "column 200");
        x[200] = -INFINITY;
        refused(x, known[k].dtype, HN_ERR_INPUT, "not a finite number", "column 200");
        x[200] = 3.4028e38f; /* would round to infinity even in bf16 */
        refused(x, known[k].dtype, HN_ERR_INPUT, "too large", "column 200");
        x[200] = -5e8f;
        if (known[k].dtype != HN_DTYPE_BF16) refused(x, known[k].dtype, HN_ERR_INPUT, "too large", "column 200");
    }
    float x[256] = {0}, y[8];
    hn_error err = {0};
    refused(x, HN_DTYPE_Q2_K, HN_ERR_UNSUPPORTED, "not written", "");
    refused(x, HN_DTYPE_NONE, HN_ERR_UNSUPPORTED, "not written", "");
    assert_int_equal(hn_quantize_row(y, x, HN_DTYPE_Q4_0, 31, &err), HN_ERR_USAGE);
    assert_int_equal(hn_quantize_row(y, x, HN_DTYPE_Q4_0, 0, &err), HN_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_the_reference), cmocka_unit_test(f32_is_copied),
        cmocka_unit_test(names_and_fallbacks),     cmocka_unit_test(rows_at_the_edges),
        cmocka_unit_test(zeros_stay_zeros),        cmocka_unit_test(bad_values_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
