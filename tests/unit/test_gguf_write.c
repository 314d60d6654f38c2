/* The GGUF writer: what it writes, the reader (tested against its own specification) reads back; and what is left on the disk
 * when memory or room ends. */
#include "support.h"

#include "base/alloc.h"
#include "format/gguf_write.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static char folder[HN_PATH_MAX], out[HN_PATH_MAX];

static int enter(void **state) {
    (void)state;
    hn_test_folder(folder);
    return hn_path_join(out, folder, "out.gguf", NULL) == HN_OK ? 0 : -1;
}
static int leave(void **state) {
    (void)state;
    hn_test_folder_remove(folder);
    return 0;
}

static size_t count_files(void) {
    size_t n = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *d = readdir(dir); d; d = readdir(dir)) n += d->d_name[0] != '.';
    closedir(dir);
    return n;
}

/* A head as the specification draws it: one text, one nested array, an alignment of 64, no tensors. */
static const unsigned char nested_file[] = "GGUF\3\0\0\0"
                                           "\0\0\0\0\0\0\0\0"
                                           "\4\0\0\0\0\0\0\0"
                                           "\1\0\0\0\0\0\0\0t"
                                           "\10\0\0\0"
                                           "\2\0\0\0\0\0\0\0hi"
                                           "\1\0\0\0\0\0\0\0n"
                                           "\11\0\0\0"
                                           "\11\0\0\0"
                                           "\2\0\0\0\0\0\0\0"
                                           "\0\0\0\0"
                                           "\2\0\0\0\0\0\0\0\1\2"
                                           "\10\0\0\0"
                                           "\1\0\0\0\0\0\0\0"
                                           "\4\0\0\0\0\0\0\0deep"
                                           "\21\0\0\0\0\0\0\0general.alignment"
                                           "\4\0\0\0"
                                           "\100\0\0\0"
                                           "\1\0\0\0\0\0\0\0f"
                                           "\6\0\0\0"
                                           "\0\0\300\077";

static hn_status write_small(const hn_gguf *source, hn_error *err) {
    hn_gguf_writer *w = NULL;
    static const char *const except[] = {"t", NULL};
    int64_t a[2] = {3, 2}, b[1] = {32};
    float values[6] = {1, 2, 3, 4, 5, 6};
    unsigned char block[34] = {7};
    hn_status st = hn_gguf_writer_create(out, &w, err);
    if (st != HN_OK) return st;
    HN_GOTO(hn_gguf_writer_set_str(w, "first", "one", err), done);
    HN_GOTO(hn_gguf_writer_copy(w, source, except, err), done);
    HN_GOTO(hn_gguf_writer_set_u32(w, "last", 4000000000u, err), done);
    HN_GOTO(hn_gguf_writer_declare(w, hn_str_of("a"), HN_DTYPE_F32, 2, a, err), done);
    HN_GOTO(hn_gguf_writer_declare(w, hn_str_of("b"), HN_DTYPE_Q8_0, 1, b, err), done);
    HN_GOTO(hn_gguf_writer_begin(w, err), done);
    HN_GOTO(hn_gguf_writer_data(w, values, 8, err), done);
    HN_GOTO(hn_gguf_writer_data(w, values + 2, 16, err), done);
    HN_GOTO(hn_gguf_writer_data(w, block, 34, err), done);
    st = hn_gguf_writer_finish(w, err);
    if (st == HN_OK) assert_int_equal(hn_gguf_writer_bytes(w), hn_file_size(out));
done:
    hn_gguf_writer_free(w);
    return st;
}

static hn_gguf *open_nested(unsigned char *aligned) {
    hn_gguf *g;
    hn_error err = {0};
    memcpy(aligned, nested_file, sizeof nested_file - 1);
    hn_test_ok(hn_gguf_open_memory(aligned, sizeof nested_file - 1, "nested", &g, &err), &err);
    return g;
}

static void a_small_file_reads_back(void **state) {
    (void)state;
    _Alignas(8) unsigned char bytes[sizeof nested_file];
    hn_gguf *source = open_nested(bytes), *g;
    hn_error err = {0};
    hn_test_ok(write_small(source, &err), &err);
    hn_test_ok(hn_gguf_open(out, &g, &err), &err);
    assert_int_equal(hn_gguf_value_count(g), 4); /* first, n, f, last */
    assert_true(hn_str_equal(hn_gguf_value_at(g, 0)->key, hn_str_of("first")));
    assert_true(hn_str_equal(hn_gguf_str(g, "first"), hn_str_of("one")));
    assert_null(hn_gguf_find(g, "t"));
    assert_null(hn_gguf_find(g, "general.alignment"));
    const hn_gguf_value *n = hn_gguf_find(g, "n"), *was = hn_gguf_find(source, "n");
    assert_true(n->type == HN_GGUF_ARRAY && n->item_type == HN_GGUF_ARRAY && n->n_items == 2);
    assert_memory_equal(n->data, was->data, 14 + 24);
    assert_true(hn_gguf_f64(g, "f", 0) == 1.5);
    assert_int_equal(hn_gguf_u32(g, "last", 0), 4000000000u);
    const hn_gguf_tensor *a = hn_gguf_tensor_find(g, "a"), *b = hn_gguf_tensor_find(g, "b");
    assert_true(a->n_dims == 2 && a->dims[0] == 3 && a->dims[1] == 2 && a->dtype == HN_DTYPE_F32);
    for (int i = 0; i < 6; i++) assert_true(((const float *)a->data)[i] == (float)(i + 1));
    assert_true(b->dtype == HN_DTYPE_Q8_0 && b->size_bytes == 34 && *(const unsigned char *)b->data == 7);
    assert_int_equal(((const char *)b->data - (const char *)a->data) % 32, 0);
    hn_gguf_close(g);
    hn_gguf_close(source);
    assert_int_equal(count_files(), 1);
}

/* A model that another program wrote: all its values and tensors come back as they were. */
static void a_model_is_copied_whole(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    if (!hn_test_shared("goldens/tiny/llama/model.gguf", path)) skip();
    hn_gguf *source, *g;
    hn_gguf_writer *w;
    hn_error err = {0};
    hn_test_ok(hn_gguf_open(path, &source, &err), &err);
    hn_test_ok(hn_gguf_writer_create(out, &w, &err), &err);
    hn_test_ok(hn_gguf_writer_copy(w, source, NULL, &err), &err);
    for (size_t i = 0; i < hn_gguf_tensor_count(source); i++) {
        const hn_gguf_tensor *t = hn_gguf_tensor_at(source, i);
        hn_test_ok(hn_gguf_writer_declare(w, t->name, t->dtype, t->n_dims, t->dims, &err), &err);
    }
    hn_test_ok(hn_gguf_writer_begin(w, &err), &err);
    for (size_t i = 0; i < hn_gguf_tensor_count(source); i++) {
        const hn_gguf_tensor *t = hn_gguf_tensor_at(source, i);
        hn_test_ok(hn_gguf_writer_data(w, t->data, t->size_bytes, &err), &err);
    }
    hn_test_ok(hn_gguf_writer_finish(w, &err), &err);
    hn_gguf_writer_free(w);
    hn_test_ok(hn_gguf_open(out, &g, &err), &err);
    assert_int_equal(hn_gguf_value_count(g), hn_gguf_value_count(source));
    for (size_t i = 0; i < hn_gguf_value_count(g); i++) {
        const hn_gguf_value *a = hn_gguf_value_at(g, i), *b = hn_gguf_value_at(source, i);
        assert_true(hn_str_equal(a->key, b->key) && a->type == b->type && a->item_type == b->item_type);
        assert_int_equal(a->n_items, b->n_items);
        for (uint64_t k = 0; a->strings && k < a->n_items; k++) assert_true(hn_str_equal(a->strings[k], b->strings[k]));
    }
    assert_int_equal(hn_gguf_tensor_count(g), hn_gguf_tensor_count(source));
    for (size_t i = 0; i < hn_gguf_tensor_count(g); i++) {
        const hn_gguf_tensor *a = hn_gguf_tensor_at(g, i), *b = hn_gguf_tensor_at(source, i);
        assert_true(hn_str_equal(a->name, b->name) && a->size_bytes == b->size_bytes);
        assert_memory_equal(a->data, b->data, a->size_bytes);
    }
    hn_gguf_close(g);
    hn_gguf_close(source);
    assert_int_equal(count_files(), 1);
}

static void memory_may_end_anywhere(void **state) {
    (void)state;
    _Alignas(8) unsigned char bytes[sizeof nested_file];
    hn_gguf *source = open_nested(bytes);
    for (size_t n = 1;; n++) {
        hn_error err = {0};
        hn_alloc_fail_at(n, true);
        hn_status st = write_small(source, &err);
        hn_alloc_fail_at(0, false);
        if (st == HN_OK) break;
        assert_int_equal(st, HN_ERR_MEMORY);
        assert_int_equal(count_files(), 0);
        assert_true(n < 100);
    }
    assert_int_equal(count_files(), 1);
    hn_gguf_close(source);
}

/* A limit on the size of files stands for a full disk: the old file stays, no part is left. */
static void no_room_leaves_the_old_file(void **state) {
    (void)state;
    hn_gguf_writer *w;
    hn_error err = {0};
    int64_t dims[1] = {1 << 18};
    static float values[1 << 18];
    struct rlimit was, small;
    hn_test_ok(hn_file_write_atomic(out, "old", 3, &err), &err);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    small = was;
    small.rlim_cur = 100000;
    hn_test_ok(hn_gguf_writer_create(out, &w, &err), &err);
    hn_test_ok(hn_gguf_writer_declare(w, hn_str_of("a"), HN_DTYPE_F32, 1, dims, &err), &err);
    hn_test_ok(hn_gguf_writer_begin(w, &err), &err);
    assert_int_equal(count_files(), 2);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    hn_status st = hn_gguf_writer_data(w, values, sizeof values, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    assert_int_equal(st, HN_ERR_IO);
    assert_string_equal(err.where, out);
    hn_gguf_writer_free(w);
    assert_int_equal(count_files(), 1);
    assert_int_equal(hn_file_size(out), 3);
}

static void misuse_is_refused(void **state) {
    (void)state;
    hn_gguf_writer *w;
    hn_error err = {0};
    int64_t dims[2] = {32, 1}, odd[2] = {33, 32}, huge[4] = {INT64_MAX, INT64_MAX, 2, 2}, none[1] = {0};
    unsigned char block[34] = {0};
    assert_int_equal(hn_gguf_writer_create(folder, &w, &err), HN_ERR_INPUT);
    assert_null(w);
    hn_gguf_writer_free(NULL);
    hn_test_ok(hn_gguf_writer_create(out, &w, &err), &err);
    hn_test_ok(hn_gguf_writer_set_u32(w, "key", 1, &err), &err);
    assert_int_equal(hn_gguf_writer_set_str(w, "key", "again", &err), HN_ERR_EXISTS);
    assert_int_equal(hn_gguf_writer_declare(w, hn_str_of("a"), HN_DTYPE_Q8_0, 2, odd, &err), HN_ERR_USAGE);
    assert_int_equal(hn_gguf_writer_declare(w, hn_str_of("a"), HN_DTYPE_F32, 4, huge, &err), HN_ERR_USAGE);
    assert_int_equal(hn_gguf_writer_declare(w, hn_str_of("a"), HN_DTYPE_F32, 1, none, &err), HN_ERR_USAGE);
    assert_int_equal(hn_gguf_writer_declare(w, hn_str_of("a"), HN_DTYPE_F32, 5, huge, &err), HN_ERR_USAGE);
    assert_int_equal(hn_gguf_writer_declare(w, hn_str_of("a"), HN_DTYPE_NONE, 1, dims, &err), HN_ERR_USAGE);
    assert_int_equal(hn_gguf_writer_data(w, block, 34, &err), HN_ERR_USAGE); /* not begun */
    assert_int_equal(hn_gguf_writer_finish(w, &err), HN_ERR_USAGE);
    hn_test_ok(hn_gguf_writer_declare(w, hn_str_of("a"), HN_DTYPE_Q8_0, 2, dims, &err), &err);
    hn_test_ok(hn_gguf_writer_begin(w, &err), &err);
    assert_int_equal(hn_gguf_writer_begin(w, &err), HN_ERR_USAGE);
    assert_int_equal(hn_gguf_writer_declare(w, hn_str_of("b"), HN_DTYPE_Q8_0, 2, dims, &err), HN_ERR_USAGE);
    assert_int_equal(hn_gguf_writer_data(w, block, 35, &err), HN_ERR_USAGE);
    hn_test_ok(hn_gguf_writer_data(w, block, 33, &err), &err);
    assert_int_equal(hn_gguf_writer_finish(w, &err), HN_ERR_USAGE);
    assert_int_equal(hn_gguf_writer_data(w, block, 2, &err), HN_ERR_USAGE);
    hn_test_ok(hn_gguf_writer_data(w, block, 1, &err), &err);
    assert_int_equal(hn_gguf_writer_data(w, block, 1, &err), HN_ERR_USAGE);
    assert_false(hn_file_exists(out));
    hn_test_ok(hn_gguf_writer_finish(w, &err), &err);
    assert_true(hn_file_exists(out));
    hn_gguf_writer_free(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_small_file_reads_back, enter, leave),
        cmocka_unit_test_setup_teardown(a_model_is_copied_whole, enter, leave),
        cmocka_unit_test_setup_teardown(memory_may_end_anywhere, enter, leave),
        cmocka_unit_test_setup_teardown(no_room_leaves_the_old_file, enter, leave),
        cmocka_unit_test_setup_teardown(misuse_is_refused, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
