/* Matrix products of every table: close to an f64 oracle on the same rounded inputs, nothing read or written outside,
 * and a row's bits independent of the number of rows, of chunks, of threads and of the pack mode. */
#include "kernel/kernel.h"

#include "base/alloc.h"
#include "kernel_cases.h"
#include "support.h"

#include <math.h>
#include <string.h>

static const int many_M[] = {1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 33, 64, 100};
enum { N_MANY_M = sizeof many_M / sizeof *many_M };

typedef struct shape {
    hn_dtype dtype;
    int N, K;
} shape;

static const shape shapes[] = {
    {HN_DTYPE_F32, 1, 1},     {HN_DTYPE_F32, 33, 3},     {HN_DTYPE_F32, 17, 65},   {HN_DTYPE_F32, 100, 192},
    {HN_DTYPE_F16, 5, 17},    {HN_DTYPE_F16, 64, 100},   {HN_DTYPE_BF16, 31, 33},  {HN_DTYPE_BF16, 48, 576},
    {HN_DTYPE_BF16, 16, 1},   {HN_DTYPE_Q4_1, 192, 576}, {HN_DTYPE_Q4_1, 37, 96},  {HN_DTYPE_Q4_1, 129, 1536},
    {HN_DTYPE_Q4_0, 65, 160}, {HN_DTYPE_Q5_0, 33, 64},   {HN_DTYPE_Q5_1, 15, 32},  {HN_DTYPE_Q8_0, 100, 224},
    {HN_DTYPE_Q8_0, 32, 576}, {HN_DTYPE_Q2_K, 17, 256},  {HN_DTYPE_Q3_K, 33, 512}, {HN_DTYPE_Q4_K, 40, 768},
    {HN_DTYPE_Q5_K, 31, 256}, {HN_DTYPE_Q6_K, 16, 256},
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

static hn_matrix matrix_of(const shape *s, const void *data) {
    return (hn_matrix){.dtype = s->dtype, .n_out = s->N, .n_in = s->K, .data = data};
}

/* x (M,K) of a guarded buffer times w, in a fresh guarded buffer (M,N) with checked borders. */
static guarded multiply(const hn_kernels *k, hn_pool *pool, const hn_matrix *w, const float *x, int64_t M) {
    guarded y = guarded_create((size_t)(M * w->n_out));
    int n_threads = pool ? hn_pool_size(pool) : 1;
    size_t scratch_bytes = hn_matmul_scratch_bytes(k, w, M, n_threads);
    void *scratch = hn_alloc(scratch_bytes);
    memset(scratch, 0xFF, scratch_bytes); /* NaN: nothing may be read before it is written */
    hn_matmul(k, pool, y.data, 0, x, 0, w, M, scratch);
    hn_free(scratch);
    guarded_check(&y);
    return y;
}

static bool has_bf16_products(const hn_kernels *k) { return strcmp(k->name, "avx512bf16") == 0; }

static bool has_integer_products(const hn_kernels *k, hn_dtype dtype) {
    bool quantised = dtype == HN_DTYPE_Q4_0 || dtype == HN_DTYPE_Q4_1 || dtype == HN_DTYPE_Q5_0 ||
                     dtype == HN_DTYPE_Q5_1 || dtype == HN_DTYPE_Q8_0;
    return (strcmp(k->name, "avx2") == 0 || strcmp(k->name, "avx512vnni") == 0) && quantised;
}

/* x (n) as 16-bit integers with a scale for each 32. */
static void as_int16(double *to, const float *x, int n) {
    for (int from = 0; from < n; from += 32) {
        float most = 0;
        for (int i = from; i < from + 32; i++) most = fmaxf(most, fabsf(x[i]));
        for (int i = from; i < from + 32; i++)
            to[i] = most > 0 ? (double)rintf(x[i] * (32767.0f / most)) * (double)(most / 32767.0f) : 0;
    }
}

/* x (n) as the table multiplies it. */
static void rounded_row(double *to, const hn_kernels *k, hn_dtype dtype, const float *x, int n) {
    bool round_x = has_bf16_products(k) && dtype != HN_DTYPE_F32;
    if (has_integer_products(k, dtype))
        as_int16(to, x, n);
    else
        for (int i = 0; i < n; i++) to[i] = (double)(round_x ? as_bf16(x[i]) : x[i]);
}

/* What the table multiplies with: weights other than F32 may be rounded to bf16, except where they stay quantised and
 * rows are integers. */
static void check_against_f64(const hn_kernels *k, const shape *s, const void *data, const float *x, const float *y,
                              int M) {
    bool round_w = strcmp(k->name, "ref") != 0 && s->dtype != HN_DTYPE_F32 && !has_integer_products(k, s->dtype);
    const hn_kernels *ref = hn_kernels_available(0);
    double *rows = hn_alloc((size_t)(M * s->K) * sizeof *rows);
    for (int m = 0; m < M; m++) rounded_row(rows + m * s->K, k, s->dtype, x + m * s->K, s->K);
    hn_matrix w = matrix_of(s, data);
    float *row = hn_alloc((size_t)s->K * sizeof *row);
    for (int n = 0; n < s->N; n++) {
        hn_matrix_row(ref, row, &w, n);
        for (int m = 0; m < M; m++) {
            double sum = 0, size = 0;
            for (int i = 0; i < s->K; i++) {
                double product = rows[m * s->K + i] * (double)(round_w ? as_bf16(row[i]) : row[i]);
                sum += product;
                size += fabs(product);
            }
            double difference = fabs(sum - (double)y[m * s->N + n]);
            if (!(difference <= size * 0x1.0p-21 + 1e-30))
                fail_msg("%s %s N %d K %d row %d column %d: %g is not %g", k->name, hn_dtype_of(s->dtype).name, s->N,
                         s->K, m, n, (double)y[m * s->N + n], sum);
        }
    }
    hn_free(row);
    hn_free(rows);
}

/* Rows of zeros, of numbers too small to invert, and with a NaN or an infinity in one place: what is finite stays so,
 * what is not is NaN, other rows do not notice. */
static void rows_that_are_hard_to_scale(void **state) {
    const shape s = {HN_DTYPE_Q4_1, 20, 64};
    enum { M = 9 };
    hn_error err = {0};
    const hn_kernels *k;
    unsigned char *data = random_weights(s.dtype, (size_t)s.N, (size_t)s.K, 3);
    for (int t = 0; (k = hn_kernels_available(t)); t++) {
        hn_matrix w = matrix_of(&s, data);
        hn_test_ok(hn_matrix_prepare(&w, k, HN_PACK_KEEP, *state, &err), &err);
        guarded x = guarded_create((size_t)(M * s.K));
        random_fill(x.data, x.n, 9);
        for (int i = 0; i < s.K; i++) x.data[2 * s.K + i] = 0, x.data[4 * s.K + i] *= 0x1p-140f;
        x.data[5 * s.K + 40] = NAN;
        x.data[6 * s.K + 3] = INFINITY;
        guarded y = multiply(k, *state, &w, x.data, M), one = multiply(k, NULL, &w, x.data + 5 * s.K, 1);
        for (int n = 0; n < s.N; n++) {
            assert_true(y.data[2 * s.N + n] == 0 && fabsf(y.data[4 * s.N + n]) < 1e-30f);
            assert_true(isnan(y.data[5 * s.N + n]) && isnan(one.data[n]));
            assert_true(!isfinite(y.data[6 * s.N + n]));
            assert_true(isfinite(y.data[3 * s.N + n]) && isfinite(y.data[7 * s.N + n]));
        }
        guarded_free(&x), guarded_free(&y), guarded_free(&one);
        hn_matrix_release(&w);
    }
    hn_free(data);
}

static void check_shape_on_table(const hn_kernels *k, const shape *s, hn_pool *two) {
    hn_error err = {0};
    int most = many_M[N_MANY_M - 1];
    unsigned char *data = random_weights(s->dtype, (size_t)s->N, (size_t)s->K, 7);
    hn_matrix keep = matrix_of(s, data), low = keep;
    hn_test_ok(hn_matrix_prepare(&keep, k, HN_PACK_KEEP, two, &err), &err);
    hn_test_ok(hn_matrix_prepare(&low, k, HN_PACK_LOW, NULL, &err), &err);
    assert_null(low.pack);
    guarded x = guarded_create((size_t)(most * s->K));
    random_fill(x.data, x.n, 11);
    guarded all = multiply(k, two, &keep, x.data, most);
    check_against_f64(k, s, data, x.data, all.data, most);
    for (int i = 0; i < N_MANY_M; i++) {
        int M = many_M[i], from = most - M; /* the first rows, and the last as a chunk of their own */
        guarded first = multiply(k, NULL, &keep, x.data, M), last = multiply(k, two, &low, x.data + from * s->K, M);
        assert_true(bits_equal(first.data, all.data, first.n));
        assert_true(bits_equal(last.data, all.data + from * s->N, last.n));
        guarded_free(&first);
        guarded_free(&last);
    }
    guarded_free(&all);
    guarded_free(&x);
    hn_matrix_release(&keep);
    hn_matrix_release(&low);
    hn_free(data);
}

static void every_shape_on_every_table(void **state) {
    const hn_kernels *k;
    for (int i = 0; (k = hn_kernels_available(i)); i++)
        for (int s = 0; s < N_SHAPES; s++) check_shape_on_table(k, &shapes[s], *state);
}

/* VNNI adds the same exact integers as AVX2, so the outputs are the same bits. */
static void vnni_has_the_bits_of_avx2(void **state) {
    static const hn_dtype dtypes[] = {HN_DTYPE_Q4_0, HN_DTYPE_Q4_1, HN_DTYPE_Q8_0};
    const hn_kernels *avx2, *vnni;
    hn_error err = {0};
    if (hn_kernels_choose("avx2", &avx2, &err) != HN_OK || hn_kernels_choose("avx512vnni", &vnni, &err) != HN_OK)
        skip();
    for (size_t d = 0; d < sizeof dtypes / sizeof *dtypes; d++) {
        const shape s = {dtypes[d], 50, 96};
        enum { M = 21 };
        unsigned char *data = random_weights(s.dtype, (size_t)s.N, (size_t)s.K, 3);
        hn_matrix a = matrix_of(&s, data), b = a;
        hn_test_ok(hn_matrix_prepare(&a, avx2, HN_PACK_KEEP, *state, &err), &err);
        hn_test_ok(hn_matrix_prepare(&b, vnni, HN_PACK_KEEP, *state, &err), &err);
        guarded x = guarded_create(M * 96);
        random_fill(x.data, x.n, 9);
        for (int rows = 1; rows <= M; rows += 4) {
            guarded one = multiply(avx2, *state, &a, x.data, rows), other = multiply(vnni, *state, &b, x.data, rows);
            assert_true(bits_equal(one.data, other.data, one.n));
            guarded_free(&one), guarded_free(&other);
        }
        guarded_free(&x);
        hn_matrix_release(&a);
        hn_matrix_release(&b);
        hn_free(data);
    }
}

/* Rows further apart than they are long: what lies between is neither read (NaN) nor written. */
static void strides_leave_the_gaps_alone(void **state) {
    const shape s = {HN_DTYPE_Q8_0, 50, 96};
    enum { M = 21, X_STRIDE = 103, Y_STRIDE = 57 };
    hn_error err = {0};
    const hn_kernels *k;
    for (int t = 0; (k = hn_kernels_available(t)); t++) {
        unsigned char *data = random_weights(s.dtype, (size_t)s.N, (size_t)s.K, 3);
        hn_matrix w = matrix_of(&s, data);
        hn_test_ok(hn_matrix_prepare(&w, k, HN_PACK_KEEP, *state, &err), &err);
        guarded x = guarded_create(M * X_STRIDE), y = guarded_create(M * Y_STRIDE),
                dense = guarded_create((size_t)(M * s.K));
        random_fill(dense.data, dense.n, 9);
        for (int m = 0; m < M; m++) memcpy(x.data + m * X_STRIDE, dense.data + m * s.K, (size_t)s.K * sizeof(float));
        void *scratch = hn_alloc(hn_matmul_scratch_bytes(k, &w, M, 2));
        hn_matmul(k, *state, y.data, Y_STRIDE, x.data, X_STRIDE, &w, M, scratch);
        guarded plain = multiply(k, *state, &w, dense.data, M);
        for (int m = 0; m < M; m++) {
            assert_true(bits_equal(y.data + m * Y_STRIDE, plain.data + m * s.N, (size_t)s.N));
            for (int n = s.N; n < Y_STRIDE; n++) assert_true(isnan(y.data[m * Y_STRIDE + n]));
        }
        hn_free(scratch);
        guarded_check(&y);
        guarded_free(&x), guarded_free(&y), guarded_free(&dense), guarded_free(&plain);
        hn_matrix_release(&w);
        hn_free(data);
    }
}

static void a_vocabulary_of_outputs_and_512_rows(void **state) {
    const shape s[] = {{HN_DTYPE_Q4_1, 49152, 64}, {HN_DTYPE_Q4_1, 192, 576}};
    const int M[] = {9, 512};
    hn_error err = {0};
    const hn_kernels *k;
    for (int t = 0; (k = hn_kernels_available(t)); t++) {
        for (int i = 0; i < 2; i++) {
            unsigned char *data = random_weights(s[i].dtype, (size_t)s[i].N, (size_t)s[i].K, 13);
            hn_matrix w = matrix_of(&s[i], data);
            hn_test_ok(hn_matrix_prepare(&w, k, HN_PACK_KEEP, *state, &err), &err);
            guarded x = guarded_create((size_t)(M[i] * s[i].K));
            random_fill(x.data, x.n, 2);
            guarded all = multiply(k, *state, &w, x.data, M[i]), one = multiply(k, *state, &w, x.data + 8 * s[i].K, 1);
            assert_true(bits_equal(one.data, all.data + 8 * (size_t)s[i].N, one.n));
            check_against_f64(k, &(shape){s[i].dtype, s[i].N < 2000 ? s[i].N : 2000, s[i].K}, data, x.data, all.data,
                              1);
            guarded_free(&x), guarded_free(&all), guarded_free(&one);
            hn_matrix_release(&w);
            hn_free(data);
        }
    }
}

static void rows_are_looked_up_exactly(void **state) {
    (void)state;
    unsigned char *data = random_weights(HN_DTYPE_Q4_1, 10, 96, 4);
    hn_matrix w = {.dtype = HN_DTYPE_Q4_1, .n_out = 10, .n_in = 96, .data = data};
    const hn_kernels *k;
    for (int t = 0; (k = hn_kernels_available(t)); t++) {
        for (int id = 0; id < 10; id++) {
            guarded row = guarded_create(96);
            float expected[96];
            k->dequantize(expected, data + id * 60, HN_DTYPE_Q4_1, 96);
            hn_matrix_row(k, row.data, &w, id);
            guarded_check(&row);
            assert_true(bits_equal(row.data, expected, 96));
            guarded_free(&row);
        }
        float zeros[96] = {0}, out[96];
        hn_matrix_row(k, out, &w, 10);
        assert_true(bits_equal(out, zeros, 96));
        hn_matrix_row(k, out, &w, -1);
        assert_true(bits_equal(out, zeros, 96));
    }
    hn_free(data);
}

static void impossible_matrices_are_errors(void **state) {
    (void)state;
    static const float data[64];
    static const hn_matrix bad[] = {
        {.dtype = HN_DTYPE_NONE, .n_out = 1, .n_in = 1, .data = data},
        {.dtype = (hn_dtype)4, .n_out = 1, .n_in = 32, .data = data},
        {.dtype = HN_DTYPE_F32, .n_out = 0, .n_in = 1, .data = data},
        {.dtype = HN_DTYPE_F32, .n_out = 1, .n_in = -1, .data = data},
        {.dtype = HN_DTYPE_F32, .n_out = 1, .n_in = 1},
        {.dtype = HN_DTYPE_Q8_0, .n_out = 1, .n_in = 33, .data = data},
        {.dtype = HN_DTYPE_Q4_K, .n_out = 1, .n_in = 32, .data = data},
        {.dtype = HN_DTYPE_F32, .n_out = INT64_MAX, .n_in = 2, .data = data},
    };
    hn_error err = {0};
    const hn_kernels *k;
    for (int t = 0; (k = hn_kernels_available(t)); t++) {
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            hn_matrix w = bad[i];
            assert_int_not_equal(hn_matrix_prepare(&w, k, HN_PACK_KEEP, NULL, &err), HN_OK);
            assert_null(w.pack);
        }
        hn_matrix w = {.dtype = HN_DTYPE_F32, .n_out = 4, .n_in = 16, .data = data};
        hn_alloc_fail_at(1, true);
        hn_status st = hn_matrix_prepare(&w, k, HN_PACK_KEEP, NULL, &err);
        hn_alloc_fail_at(0, false);
        assert_true(st == HN_ERR_MEMORY || k->matmul == hn_kernels_available(0)->matmul);
        hn_matrix_release(&w);
        hn_matrix_release(&w);
    }
}

static void the_environment_chooses_a_table(void **state) {
    (void)state;
    const hn_kernels *k, *last = NULL, *table;
    hn_error err = {0};
    assert_string_equal(hn_kernels_available(0)->name, "ref");
    for (int i = 0; (table = hn_kernels_available(i)); i++) last = table;
    hn_test_ok(hn_kernels_choose("ref", &k, &err), &err);
    assert_ptr_equal(k, hn_kernels_available(0));
    hn_test_ok(hn_kernels_choose("", &k, &err), &err);
    assert_ptr_equal(k, last);
    assert_int_equal(hn_kernels_choose("sse9", &k, &err), HN_ERR_UNSUPPORTED);
    assert_null(k);
    assert_non_null(strstr(err.message, "ref"));
}

/* Products in one go have the bits of products one by one, also where formats differ. */
static void parts_are_as_single_products(void **state) {
    static const shape some[] = {{HN_DTYPE_Q4_1, 70, 96}, {HN_DTYPE_Q4_1, 33, 96}, {HN_DTYPE_BF16, 20, 96},
                                 {HN_DTYPE_F32, 40, 96},  {HN_DTYPE_Q8_0, 1, 96},  {HN_DTYPE_F32, 7, 96}};
    hn_error err = {0};
    const hn_kernels *k;
    for (int t = 0; (k = hn_kernels_available(t)); t++) {
        for (int first = 0; first <= 3; first++) {
            hn_matrix w[3];
            unsigned char *data[3];
            size_t scratch_bytes = 0;
            for (int i = 0; i < 3; i++) {
                const shape *s = &some[first + i];
                data[i] = random_weights(s->dtype, (size_t)s->N, (size_t)s->K, 3);
                w[i] = matrix_of(s, data[i]);
                hn_test_ok(hn_matrix_prepare(&w[i], k, i == 1 ? HN_PACK_LOW : HN_PACK_KEEP, *state, &err), &err);
            }
            for (int M = 1; M <= 17; M += 8) {
                guarded x = guarded_create((size_t)(M * 96)), y[3];
                random_fill(x.data, x.n, 8);
                hn_matmul_part parts[3];
                for (int i = 0; i < 3; i++) {
                    size_t bytes = hn_matmul_scratch_bytes(k, &w[i], M, 2);
                    scratch_bytes = bytes > scratch_bytes ? bytes : scratch_bytes;
                    y[i] = guarded_create((size_t)(M * w[i].n_out));
                    parts[i] = (hn_matmul_part){y[i].data, &w[i]};
                }
                void *scratch = hn_alloc(scratch_bytes);
                hn_matmul_parts(k, *state, parts, 3, x.data, M, M == 1 ? &w[0] : NULL, scratch);
                hn_free(scratch);
                for (int i = 0; i < 3; i++) {
                    guarded one = multiply(k, *state, &w[i], x.data, M);
                    guarded_check(&y[i]);
                    assert_true(bits_equal(one.data, y[i].data, one.n));
                    guarded_free(&one), guarded_free(&y[i]);
                }
                guarded_free(&x);
            }
            for (int i = 0; i < 3; i++) hn_matrix_release(&w[i]), hn_free(data[i]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_on_every_table),      cmocka_unit_test(vnni_has_the_bits_of_avx2),
        cmocka_unit_test(strides_leave_the_gaps_alone),    cmocka_unit_test(a_vocabulary_of_outputs_and_512_rows),
        cmocka_unit_test(rows_are_looked_up_exactly),      cmocka_unit_test(impossible_matrices_are_errors),
        cmocka_unit_test(the_environment_chooses_a_table), cmocka_unit_test(rows_that_are_hard_to_scale),
        cmocka_unit_test(parts_are_as_single_products),
    };
    return cmocka_run_group_tests(tests, start_pool, stop_pool);
}
