/* Writing safetensors: the bytes that the format's description and its own library's files demand, what is read back, values made row by row,
 * what is refused, and an old file that stays whole when writing fails. */
#include "support.h"

#include "base/alloc.h"
#include "format/json.h"
#include "format/safetensors_write.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static char folder[HN_PATH_MAX], file[HN_PATH_MAX];

static int setup(void **state) {
    (void)state;
    hn_json_init();
    hn_test_folder(folder);
    return hn_path_join(file, folder, "x.safetensors", NULL) == HN_OK ? 0 : 1;
}

static int teardown(void **state) {
    (void)state;
    hn_test_folder_remove(folder);
    return 0;
}

static void the_bytes_are_the_formats(void **state) {
    (void)state;
    static const float one[] = {1, -2}, half[] = {0.5F};
    static const char *const metadata[] = {"format", "pt", NULL};
    hn_safetensors_out out[] = {{"b", HN_DTYPE_BF16, 1, {2}, one}, {"a\"", HN_DTYPE_F32, 2, {1, 1}, half}};
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"},\"a\\\"\":{\"dtype\":\"F32\",\"shape\":[1,1],"
        "\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[4,8]}}";
    static const unsigned char data[] = {0, 0, 0, 0x3f, 0x80, 0x3f, 0x00, 0xc0}; /* 0.5; 1, -2 */
    hn_error err;
    size_t n, padded = (sizeof header - 1 + 7) / 8 * 8;
    hn_test_ok(hn_safetensors_write(file, out, 2, metadata, NULL, NULL, &err), &err);
    char *bytes = hn_test_read(file, &n);
    assert_int_equal(n, 8 + padded + sizeof data);
    assert_int_equal((unsigned char)bytes[0], padded);
    for (int i = 1; i < 8; i++) assert_int_equal(bytes[i], 0);
    assert_memory_equal(bytes + 8, header, sizeof header - 1);
    for (size_t i = sizeof header - 1; i < padded; i++) assert_int_equal(bytes[8 + i], ' ');
    assert_memory_equal(bytes + 8 + padded, data, sizeof data);
    hn_free(bytes);
}

/* A file of the format's own library, read and written again, in any order of tensors: the same bytes. */
static void a_file_of_the_library_comes_out_as_it_was(void **state) {
    (void)state;
    char golden[HN_PATH_MAX];
    static const char *const metadata[] = {"format", "pt", NULL};
    hn_safetensors_out out[512];
    hn_safetensors *s;
    hn_error err;
    size_t n = 0, n_want, n_have;
    if (!hn_test_shared("goldens/tiny/llama/model.safetensors", golden)) skip();
    hn_test_ok(hn_safetensors_open(golden, &s, &err), &err);
    for (size_t i = hn_safetensors_count(s); i-- > 0; n++) {
        const hn_safetensor *t = hn_safetensors_at(s, i);
        assert_int_equal(t->dtype, HN_DTYPE_F32);
        float *values = hn_alloc(t->size_bytes);
        memcpy(values, t->data, t->size_bytes);
        out[n] = (hn_safetensors_out){.name = t->name, .dtype = t->dtype, .n_dims = t->n_dims, .values = values};
        memcpy(out[n].dims, t->dims, sizeof t->dims);
    }
    hn_test_ok(hn_safetensors_write(file, out, n, metadata, NULL, NULL, &err), &err);
    char *want = hn_test_read(golden, &n_want), *have = hn_test_read(file, &n_have);
    assert_int_equal(n_have, n_want);
    assert_memory_equal(have, want, n_want);
    for (size_t i = 0; i < n; i++) hn_free((void *)(uintptr_t)out[i].values);
    hn_free(want), hn_free(have);
    hn_safetensors_close(s);
}

static hn_status count_up(void *user, size_t index, int64_t first_row, int64_t n_rows, float *values, hn_error *err) {
    int64_t columns = ((const int64_t *)user)[index];
    (void)err;
    for (int64_t i = 0; i < n_rows * columns; i++) values[i] = (float)((first_row * columns + i) % 251);
    return HN_OK;
}

static hn_status give_up(void *user, size_t index, int64_t first_row, int64_t n_rows, float *values, hn_error *err) {
    (void)user, (void)index, (void)n_rows, (void)values;
    if (first_row == 0) return count_up(user, index, 0, n_rows, values, err);
    return hn_fail(err, HN_ERR_INTERRUPTED, NULL, NULL, "enough");
}

/* More rows than one chunk, rows wider than one, and nothing at all. */
static void values_can_come_row_by_row(void **state) {
    (void)state;
    int64_t columns[] = {7, 200000, 3, 1};
    hn_safetensors_out out[] = {{"many", HN_DTYPE_F16, 3, {100, 300, 7}, NULL},
                                {"wide", HN_DTYPE_BF16, 2, {2, 200000}, NULL},
                                {"none", HN_DTYPE_F32, 2, {0, 3}, NULL},
                                {"single", HN_DTYPE_F32, 0, {0}, NULL}};
    hn_error err;
    hn_safetensors *s;
    hn_test_ok(hn_safetensors_write(file, out, 4, NULL, count_up, columns, &err), &err);
    hn_test_ok(hn_safetensors_open(file, &s, &err), &err);
    assert_int_equal(hn_safetensors_count(s), 4);
    const hn_safetensor *many = hn_safetensors_find(s, "many"), *wide = hn_safetensors_find(s, "wide");
    assert_int_equal(many->size_bytes, 420000);
    for (size_t i = 0; i < 400000; i++) {
        const unsigned char *m = (const unsigned char *)many->data + 2 * (i % 210000),
                            *w = (const unsigned char *)wide->data + 2 * i;
        if (hn_f16_to_f32((uint16_t)(m[0] | m[1] << 8)) != (float)(i % 210000 % 251) ||
            hn_bf16_to_f32((uint16_t)(w[0] | w[1] << 8)) != (float)(i % 251))
            fail_msg("value %zu is another", i);
    }
    assert_int_equal(hn_safetensors_find(s, "none")->size_bytes, 0);
    assert_int_equal(hn_safetensors_find(s, "single")->n_dims, 0);
    hn_safetensors_close(s);
}

static void what_cannot_be_is_refused_and_the_old_file_stays(void **state) {
    (void)state;
    static const float big[] = {70000, 1}, odd[] = {INFINITY, NAN};
    static const struct {
        hn_safetensors_out out[2];
        size_t n;
        hn_status status;
        const char *says;
    } cases[] = {
        {{{"x", HN_DTYPE_F16, 1, {2}, big}}, 1, HN_ERR_INPUT, "70000"},
        {{{"x", HN_DTYPE_Q8_0, 1, {2}, big}}, 1, HN_ERR_UNSUPPORTED, "type"},
        {{{"x", HN_DTYPE_F32, 1, {2}, big}, {"x", HN_DTYPE_BF16, 1, {2}, big}}, 2, HN_ERR_INPUT, "two tensors"},
        {{{"__metadata__", HN_DTYPE_F32, 1, {2}, big}}, 1, HN_ERR_INPUT, "name"},
        {{{"", HN_DTYPE_F32, 1, {2}, big}}, 1, HN_ERR_INPUT, "name"},
        {{{"\xff", HN_DTYPE_F32, 1, {2}, big}}, 1, HN_ERR_INPUT, "UTF-8"},
        {{{"x", HN_DTYPE_F32, 1, {-1}, big}}, 1, HN_ERR_LIMIT, "-1"},
        {{{"x", HN_DTYPE_F32, 3, {INT64_MAX, INT64_MAX, 2}, big}}, 1, HN_ERR_LIMIT, "dimension 1"},
        {{{"x", HN_DTYPE_F32, 2, {1, INT64_C(1) << 40}, big}}, 1, HN_ERR_LIMIT, "in a row"},
        {{{"x", HN_DTYPE_F32, 9, {1}, big}}, 1, HN_ERR_LIMIT, "dimensions"},
    };
    hn_error err;
    size_t n;
    hn_safetensors_out old = {"old", HN_DTYPE_F16, 1, {2}, odd}; /* infinity and NaN are values like others */
    int64_t columns[] = {40000};
    hn_safetensors_out long_one = {"x", HN_DTYPE_F32, 2, {9, 40000}, NULL};
    hn_test_ok(hn_safetensors_write(file, &old, 1, NULL, NULL, NULL, &err), &err);
    char *before = hn_test_read(file, &n), missing[HN_PATH_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hn_status st = hn_safetensors_write(file, cases[i].out, cases[i].n, NULL, NULL, NULL, &err);
        if (st != cases[i].status || !strstr(err.message, cases[i].says))
            fail_msg("case %zu: %d, %s", i, (int)st, err.message);
    }
    assert_int_equal(hn_safetensors_write(file, &long_one, 1, NULL, give_up, columns, &err), HN_ERR_INTERRUPTED);
    size_t n_after;
    char *after = hn_test_read(file, &n_after);
    assert_int_equal(n, n_after);
    assert_memory_equal(before, after, n);
    hn_free(before), hn_free(after);
    hn_test_ok(hn_path_join(missing, folder, "no/such/x.safetensors", &err), &err);
    assert_int_equal(hn_safetensors_write(missing, &old, 1, NULL, NULL, NULL, &err), HN_ERR_NOT_FOUND);
}

static void memory_running_out_is_a_status(void **state) {
    (void)state;
    static const float one[] = {1, -2};
    static const char *const metadata[] = {"format", "pt", NULL};
    hn_safetensors_out out = {"b", HN_DTYPE_BF16, 1, {2}, one};
    hn_status st = HN_ERR_MEMORY;
    for (size_t k = 1; st == HN_ERR_MEMORY; k++) {
        hn_error err;
        hn_alloc_fail_at(k, true);
        st = hn_safetensors_write(file, &out, 1, metadata, NULL, NULL, &err);
        hn_alloc_fail_at(0, false);
    }
    assert_int_equal(st, HN_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_bytes_are_the_formats),
                                       cmocka_unit_test(a_file_of_the_library_comes_out_as_it_was),
                                       cmocka_unit_test(values_can_come_row_by_row),
                                       cmocka_unit_test(what_cannot_be_is_refused_and_the_old_file_stays),
                                       cmocka_unit_test(memory_running_out_is_a_status)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
