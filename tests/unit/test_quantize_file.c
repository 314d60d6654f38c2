/* Whole files in another format: what becomes of each tensor, the error that is told against one computed here, and what is left
 * when memory ends or the user stops. */
#include "support.h"

#include "base/alloc.h"
#include "base/interrupt.h"
#include "kernel/kernel.h"
#include "model/quantize_file.h"

#include <math.h>
#include <string.h>

static char folder[HN_PATH_MAX], out[HN_PATH_MAX];
static hn_gguf *source;
static hn_pool *pool;

static int enter(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    hn_error err = {0};
    hn_test_folder(folder);
    if (hn_path_join(out, folder, "out.gguf", NULL) != HN_OK) return -1;
    hn_test_ok(hn_pool_create(2, &pool, &err), &err);
    source = NULL;
    if (hn_test_shared("goldens/tiny/llama/model.gguf", path)) hn_test_ok(hn_gguf_open(path, &source, &err), &err);
    return 0;
}

static int leave(void **state) {
    (void)state;
    hn_gguf_close(source);
    hn_pool_free(pool);
    hn_test_folder_remove(folder);
    return 0;
}

static double error_of(const hn_gguf_tensor *a, const hn_gguf_tensor *b, double *size, size_t *n) {
    *n = (size_t)(a->dims[0] * a->dims[1]);
    float *x = hn_alloc(*n * sizeof *x), *y = hn_alloc(*n * sizeof *y);
    double sum = 0;
    hn_kernels_available(0)->dequantize(x, a->data, a->dtype, *n);
    hn_kernels_available(0)->dequantize(y, b->data, b->dtype, *n);
    *size = 0;
    for (size_t i = 0; i < *n; i++) {
        sum += ((double)x[i] - y[i]) * ((double)x[i] - y[i]);
        *size += (double)x[i] * x[i];
    }
    hn_free(x);
    hn_free(y);
    return sum;
}

static void the_error_is_what_is_told(void **state) {
    (void)state;
    if (!source) skip();
    hn_quantize_options options = {.format = HN_DTYPE_Q4_1, .pool = pool};
    hn_quantize_report r;
    hn_error err = {0};
    hn_gguf *g;
    double changed = 0, size = 0;
    size_t values = 0;
    hn_test_ok(hn_quantize_file(source, out, &options, &r, &err), &err);
    hn_test_ok(hn_gguf_open(out, &g, &err), &err);
    assert_int_equal(r.bytes_after, hn_gguf_file_bytes(g));
    assert_int_equal(hn_gguf_u32(g, "general.file_type", 99), 3);
    assert_int_equal(hn_gguf_u32(g, "general.quantization_version", 99), 2);
    assert_true(hn_str_equal(hn_gguf_str(g, "general.architecture"), hn_str_of("llama")));
    assert_int_equal(hn_gguf_tensor_count(g), hn_gguf_tensor_count(source));
    for (size_t i = 0; i < hn_gguf_tensor_count(g); i++) {
        const hn_gguf_tensor *a = hn_gguf_tensor_at(source, i), *b = hn_gguf_tensor_at(g, i);
        assert_true(hn_str_equal(a->name, b->name));
        if (a->n_dims == 1) {
            assert_true(b->dtype == a->dtype);
            assert_memory_equal(a->data, b->data, a->size_bytes);
            continue;
        }
        double own_size;
        size_t n;
        assert_true(b->dtype == HN_DTYPE_Q4_1);
        changed += error_of(a, b, &own_size, &n);
        size += own_size;
        values += n;
    }
    assert_true(fabs(r.rms_error - sqrt(changed / (double)values)) < 1e-9);
    assert_true(fabs(r.relative_error - sqrt(changed / size)) < 1e-9);
    assert_true(r.worst.len > 0 && r.worst_relative_error >= r.relative_error);
    assert_true(r.n_counts == 2 && r.n_fallbacks == 0 && r.n_converted == 15 && r.n_matrices == 15 && !r.requantized);
    hn_gguf_close(g);
    hn_quantize_report_free(&r);
}

static void memory_may_end_anywhere(void **state) {
    (void)state;
    if (!source) skip();
    for (size_t n = 1;; n++) {
        hn_quantize_options options = {.format = HN_DTYPE_Q6_K, .pool = pool};
        hn_quantize_report r;
        hn_error err = {0};
        hn_alloc_fail_at(n, true);
        hn_status st = hn_quantize_file(source, out, &options, &r, &err);
        hn_alloc_fail_at(0, false);
        if (st == HN_OK) {
            assert_int_equal(r.n_fallbacks, 15);
            hn_quantize_report_free(&r);
            break;
        }
        assert_int_equal(st, HN_ERR_MEMORY);
        assert_false(hn_file_exists(out));
        assert_true(n < 1000);
    }
    assert_true(hn_file_exists(out));
}

static void stop_in_the_middle(void *user, uint64_t done, uint64_t total) {
    (void)user;
    if (done > total / 2) hn_interrupt_request();
}

static void a_stop_keeps_the_old_file(void **state) {
    (void)state;
    if (!source) skip();
    hn_quantize_options options = {.format = HN_DTYPE_Q8_0, .pool = pool, .on_progress = stop_in_the_middle};
    hn_quantize_report r;
    hn_error err = {0};
    hn_test_ok(hn_file_write_atomic(out, "old", 3, &err), &err);
    assert_int_equal(hn_quantize_file(source, out, &options, &r, &err), HN_ERR_INTERRUPTED);
    hn_interrupt_clear();
    assert_int_equal(hn_file_size(out), 3);
}

static void wrong_requests_are_refused(void **state) {
    (void)state;
    if (!source) skip();
    hn_quantize_options options = {.format = HN_DTYPE_Q3_K, .pool = pool};
    hn_quantize_report r;
    hn_error err = {0};
    assert_int_equal(hn_quantize_file(source, out, &options, &r, &err), HN_ERR_UNSUPPORTED);
    options.format = HN_DTYPE_Q8_0;
    assert_int_equal(hn_quantize_file(source, folder, &options, &r, &err), HN_ERR_INPUT);
    _Alignas(8) static const unsigned char empty[] = "GGUF\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    hn_gguf *none;
    hn_test_ok(hn_gguf_open_memory(empty, 24, "empty", &none, &err), &err);
    assert_int_equal(hn_quantize_file(none, out, &options, &r, &err), HN_ERR_INPUT);
    assert_non_null(strstr(err.message, "no matrices"));
    hn_gguf_close(none);
    assert_false(hn_file_exists(out));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_error_is_what_is_told, enter, leave),
        cmocka_unit_test_setup_teardown(memory_may_end_anywhere, enter, leave),
        cmocka_unit_test_setup_teardown(a_stop_keeps_the_old_file, enter, leave),
        cmocka_unit_test_setup_teardown(wrong_requests_are_refused, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
