/* GGUF reader: real files against what their makers say of them, and every way a file can lie. */
#include "support.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "format/gguf.h"

#include <stdlib.h>
#include <string.h>

/* --- writing small files by hand, after the specification --- */

static void put(hn_buf *b, uint64_t value, size_t n) {
    for (size_t i = 0; i < n; i++) hn_buf_append_char(b, (char)(value >> (8 * i)));
}

static void put_str(hn_buf *b, const char *text) {
    put(b, strlen(text), 8);
    hn_buf_append_str(b, text);
}

static void put_head(hn_buf *b, uint64_t n_tensors, uint64_t n_kv) {
    hn_buf_init(b, 0);
    hn_buf_append_str(b, "GGUF");
    put(b, 3, 4);
    put(b, n_tensors, 8);
    put(b, n_kv, 8);
}

static void put_key(hn_buf *b, const char *key, uint32_t type) {
    put_str(b, key);
    put(b, type, 4);
}

static void put_array(hn_buf *b, uint32_t item_type, uint64_t n) {
    put(b, item_type, 4);
    put(b, n, 8);
}

static void put_tensor(hn_buf *b, const char *name, uint64_t d0, uint64_t d1, uint32_t type, uint64_t offset) {
    put_str(b, name);
    put(b, 2, 4);
    put(b, d0, 8);
    put(b, d1, 8);
    put(b, type, 4);
    put(b, offset, 8);
}

static void pad(hn_buf *b, size_t to) {
    while (b->len % to) hn_buf_append_char(b, 0);
}

static hn_status open_buf(hn_buf *b, hn_gguf **g, hn_error *err) {
    return hn_gguf_open_memory(b->data, b->len, "test", g, err);
}

/* The file must be refused with `code`, and the error must hold `word`. Frees the buffer. */
static void refused(hn_buf *b, hn_status code, const char *word) {
    hn_gguf *g;
    hn_error err = {0};
    hn_status st = open_buf(b, &g, &err);
    if (st != code)
        fail_msg("%s instead of %s for '%s': %s", hn_status_name(st), hn_status_name(code), word, err.message);
    if (!strstr(err.message, word) && !strstr(err.where, word))
        fail_msg("no '%s' in: %s: %s", word, err.where, err.message);
    assert_null(g);
    hn_buf_free(b);
}

/* One of everything: all scalar types, arrays, a nested array, two tensors at alignment 64. */
static void put_everything(hn_buf *b) {
    put_head(b, 2, 18);
    put_key(b, "general.alignment", HN_GGUF_U32), put(b, 64, 4);
    put_key(b, "u8", HN_GGUF_U8), put(b, 200, 1);
    put_key(b, "i8", HN_GGUF_I8), put(b, (uint8_t)-3, 1);
    put_key(b, "u16", HN_GGUF_U16), put(b, 65535, 2);
    put_key(b, "i16", HN_GGUF_I16), put(b, (uint16_t)-300, 2);
    put_key(b, "i32", HN_GGUF_I32), put(b, (uint32_t)-70000, 4);
    put_key(b, "f32", HN_GGUF_F32), put(b, 0x3FC00000, 4);
    put_key(b, "yes", HN_GGUF_BOOL), put(b, 1, 1);
    put_key(b, "text", HN_GGUF_STRING), put(b, 3, 8), hn_buf_append(b, "a\0b", 3);
    put_key(b, "u64", HN_GGUF_U64), put(b, UINT64_MAX, 8);
    put_key(b, "small64", HN_GGUF_U64), put(b, 4096, 8);
    put_key(b, "i64", HN_GGUF_I64), put(b, (uint64_t)-5, 8);
    put_key(b, "f64", HN_GGUF_F64), put(b, 0x3FF8000000000000u, 8);
    put_key(b, "ints", HN_GGUF_ARRAY), put_array(b, HN_GGUF_I32, 3), put(b, 1, 4), put(b, (uint32_t)-2, 4),
        put(b, 3, 4);
    put_key(b, "words", HN_GGUF_ARRAY), put_array(b, HN_GGUF_STRING, 2), put_str(b, "one"), put_str(b, "");
    put_key(b, "none", HN_GGUF_ARRAY), put_array(b, HN_GGUF_STRING, 0);
    put_key(b, "nested", HN_GGUF_ARRAY), put_array(b, HN_GGUF_ARRAY, 2);
    put_array(b, HN_GGUF_U8, 2), put(b, 0x0201, 2), put_array(b, HN_GGUF_STRING, 1), put_str(b, "deep");
    put_key(b, "last", HN_GGUF_U32), put(b, 7, 4);
    put_tensor(b, "a", 3, 2, HN_DTYPE_F32, 0);
    put_tensor(b, "b", 32, 2, HN_DTYPE_Q8_0, 64);
    pad(b, 64);
    for (int i = 0; i < 6; i++) put(b, 0x3F800000, 4);
    pad(b, 64);
    for (int i = 0; i < 68; i++) put(b, (uint64_t)i, 1);
}

static void every_type_is_read(void **state) {
    (void)state;
    hn_buf b;
    hn_gguf *g;
    hn_error err = {0};
    put_everything(&b);
    hn_test_ok(open_buf(&b, &g, &err), &err);
    assert_int_equal(hn_gguf_value_count(g), 18);
    assert_int_equal(hn_gguf_u32(g, "u8", 0), 200);
    assert_int_equal(hn_gguf_u32(g, "u16", 0), 65535);
    assert_int_equal(hn_gguf_u32(g, "small64", 0), 4096);
    assert_int_equal(hn_gguf_u32(g, "i8", 9), 9);  /* negative: does not fit */
    assert_int_equal(hn_gguf_u32(g, "u64", 9), 9); /* too big */
    assert_int_equal(hn_gguf_u32(g, "f32", 9), 9);
    assert_int_equal(hn_gguf_u32(g, "ints", 9), 9);
    assert_int_equal(hn_gguf_u32(g, "absent", 9), 9);
    assert_true(hn_gguf_f64(g, "i8", 0) == -3 && hn_gguf_f64(g, "i16", 0) == -300 &&
                hn_gguf_f64(g, "i32", 0) == -70000);
    assert_true(hn_gguf_f64(g, "i64", 0) == -5 && hn_gguf_f64(g, "f32", 0) == 1.5 && hn_gguf_f64(g, "f64", 0) == 1.5);
    assert_true(hn_gguf_bool(g, "yes", false) && hn_gguf_bool(g, "absent", true) && !hn_gguf_bool(g, "u8", false));
    hn_str text = hn_gguf_str(g, "text");
    assert_int_equal(text.len, 3);
    assert_memory_equal(text.data, "a\0b", 3);
    assert_null(hn_gguf_str(g, "u8").data);
    const hn_gguf_value *ints = hn_gguf_find(g, "ints"), *words = hn_gguf_find(g, "words");
    int64_t n;
    double d;
    assert_true(ints->n_items == 3 && hn_gguf_item_i64(ints, 1, &n) && n == -2);
    assert_true(hn_gguf_item_f64(ints, 2, &d) && d == 3);
    assert_false(hn_gguf_item_i64(ints, 3, &n) || hn_gguf_item_i64(words, 0, &n) || hn_gguf_item_f64(words, 0, &d));
    assert_true(words->n_items == 2 && hn_str_equal(words->strings[0], hn_str_of("one")) && words->strings[1].len == 0);
    assert_int_equal(hn_gguf_find(g, "none")->n_items, 0);
    assert_false(hn_gguf_item_i64(hn_gguf_find(g, "nested"), 0, &n));
    assert_int_equal(hn_gguf_u32(g, "last", 0), 7); /* what stands after the nested array is in its place */
    const hn_gguf_tensor *a = hn_gguf_tensor_find(g, "a"), *q = hn_gguf_tensor_find(g, "b");
    assert_true(a->dims[0] == 3 && a->dims[1] == 2 && a->dims[2] == 1 && a->dims[3] == 1 && a->n_dims == 2);
    assert_true(a->size_bytes == 24 && ((const float *)a->data)[5] == 1.0f);
    assert_true(q->size_bytes == 68 && ((const unsigned char *)q->data)[67] == 67 && q->dtype == HN_DTYPE_Q8_0);
    assert_null(hn_gguf_tensor_find(g, "c"));
    hn_gguf_close(g);
    hn_buf_free(&b);
}

static void empty_file_and_strangers(void **state) {
    (void)state;
    hn_buf b;
    hn_gguf *g;
    hn_error err = {0};
    put_head(&b, 0, 0);
    hn_test_ok(open_buf(&b, &g, &err), &err); /* no metadata and no tensors is a file, if a useless one */
    assert_int_equal(hn_gguf_value_count(g) + hn_gguf_tensor_count(g), 0);
    assert_null(hn_gguf_find(g, "x"));
    assert_null(hn_gguf_tensor_find(g, ""));
    hn_gguf_close(g);
    hn_buf_free(&b);
    assert_int_equal(hn_gguf_open_memory(NULL, 0, "test", &g, &err), HN_ERR_INPUT);
    assert_int_equal(hn_gguf_open("no/such/file.gguf", &g, &err), HN_ERR_NOT_FOUND);
    assert_int_equal(hn_gguf_open("/", &g, &err), HN_ERR_INPUT);
    hn_buf_init(&b, 0), hn_buf_append_str(&b, "PK\x03\x04 and so on"), refused(&b, HN_ERR_INPUT, "not a GGUF file");
    put_head(&b, 0, 0), b.data[4] = 1, refused(&b, HN_ERR_UNSUPPORTED, "version is 1");
    put_head(&b, 0, 0), memcpy(b.data + 4, "\0\0\0\3", 4), refused(&b, HN_ERR_UNSUPPORTED, "big-endian");
}

static void hostile_counts(void **state) {
    (void)state;
    hn_buf b;
    static const uint64_t counts[] = {1, 1000, UINT32_MAX, (uint64_t)1 << 40, (uint64_t)1 << 60, INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        put_head(&b, counts[i], 0), refused(&b, HN_ERR_INPUT, "tensors");
        put_head(&b, 0, counts[i]), refused(&b, HN_ERR_INPUT, "metadata entries");
        put_head(&b, 0, 1), put(&b, counts[i] | 512, 8), pad(&b, 64), refused(&b, HN_ERR_INPUT, "metadata entry 0");
        put_head(&b, 0, 1), put_key(&b, "s", HN_GGUF_STRING), put(&b, counts[i], 8),
            refused(&b, HN_ERR_INPUT, "metadata s");
        for (uint32_t type = 0; type <= HN_GGUF_F64; type++) {
            put_head(&b, 0, 1), put_key(&b, "many", HN_GGUF_ARRAY), put_array(&b, type, counts[i]);
            refused(&b, HN_ERR_INPUT, "metadata many");
        }
    }
    put_head(&b, 0, 1), put_key(&b, "k", 13), put(&b, 0, 8), refused(&b, HN_ERR_INPUT, "type 13");
    put_head(&b, 0, 1), put_key(&b, "k", HN_GGUF_ARRAY), put_array(&b, 99, 1), refused(&b, HN_ERR_INPUT, "type 99");
    put_head(&b, 0, 1), put_key(&b, "", HN_GGUF_U32), put(&b, 0, 4), refused(&b, HN_ERR_INPUT, "empty");
}

static void hostile_names(void **state) {
    (void)state;
    hn_buf b;
    put_head(&b, 0, 2);
    for (int i = 0; i < 2; i++) put_key(&b, "twice.key", HN_GGUF_U32), put(&b, 1, 4);
    refused(&b, HN_ERR_INPUT, "twice.key");
    put_head(&b, 2, 0);
    for (int i = 0; i < 2; i++) put_tensor(&b, "twin", 1, 1, HN_DTYPE_F32, 0);
    pad(&b, 32), put(&b, 0, 8), refused(&b, HN_ERR_INPUT, "twin");
    /* Control characters of a file's names never reach the terminal. */
    put_head(&b, 0, 1), put_key(&b, "\x1b]0;gotcha\x07", 77), refused(&b, HN_ERR_INPUT, "?]0;gotcha?");
}

static void nesting_is_limited(void **state) {
    (void)state;
    hn_buf b;
    put_head(&b, 0, 1), put_key(&b, "deep", HN_GGUF_ARRAY);
    for (int i = 0; i < 100000; i++) put_array(&b, HN_GGUF_ARRAY, 1);
    refused(&b, HN_ERR_LIMIT, "nested");
    put_head(&b, 0, 1), put_key(&b, "cut", HN_GGUF_ARRAY), put_array(&b, HN_GGUF_ARRAY, 1),
        put_array(&b, HN_GGUF_STRING, 1);
    put(&b, 1 << 20, 8), refused(&b, HN_ERR_INPUT, "metadata cut");
}

static void hostile_tensors(void **state) {
    (void)state;
    hn_buf b;
#define ONE(d0, d1, type, offset)                                                                                      \
    (put_head(&b, 1, 0), put_tensor(&b, "bad.weight", d0, d1, type, offset), pad(&b, 32), put(&b, 0, 8))
    ONE(1, 1, 4, 0), refused(&b, HN_ERR_UNSUPPORTED, "number 4");
    ONE(1, 1, 4, 0), refused(&b, HN_ERR_UNSUPPORTED, "bad.weight");
    ONE(1, 1, 255, 0), refused(&b, HN_ERR_UNSUPPORTED, "number 255");
    ONE(1, 1, UINT32_MAX, 0), refused(&b, HN_ERR_UNSUPPORTED, "number 4294967295");
    ONE(0, 1, 0, 0), refused(&b, HN_ERR_INPUT, "dimension 0");
    ONE(1, (uint64_t)1 << 63, 0, 0), refused(&b, HN_ERR_INPUT, "dimension 1");
    ONE((uint64_t)1 << 32, (uint64_t)1 << 32, 0, 0), refused(&b, HN_ERR_INPUT, "overflows");
    ONE((uint64_t)1 << 31, (uint64_t)1 << 31, HN_DTYPE_F32, 0), refused(&b, HN_ERR_INPUT, "overflows");
    ONE((uint64_t)1 << 31, (uint64_t)1 << 30, HN_DTYPE_F32, 0), refused(&b, HN_ERR_INPUT, "end after the file");
    ONE(INT64_MAX, 1, HN_DTYPE_F32, 0), refused(&b, HN_ERR_INPUT, "overflows");
    ONE(31, 1, HN_DTYPE_Q8_0, 0), refused(&b, HN_ERR_INPUT, "whole blocks");
    ONE(128, 2, HN_DTYPE_Q4_K, 0), refused(&b, HN_ERR_INPUT, "whole blocks"); /* 256 in all, but no row is whole */
    ONE(1, 1, 0, 16), refused(&b, HN_ERR_INPUT, "alignment");
    ONE(1, 1, 0, 32), refused(&b, HN_ERR_INPUT, "end after the file");
    ONE(1, 1, 0, (uint64_t)1 << 63), refused(&b, HN_ERR_INPUT, "end after the file");
    ONE(1, 1, 0, UINT64_MAX - 31), refused(&b, HN_ERR_INPUT, "end after the file");
    ONE(3, 1, 0, 0), refused(&b, HN_ERR_INPUT, "end after the file");
    put_head(&b, 1, 0), put_str(&b, "t"), put(&b, 5, 4), pad(&b, 128), refused(&b, HN_ERR_UNSUPPORTED, "5 dimensions");
    put_head(&b, 1, 0), put_str(&b, ""), pad(&b, 128), refused(&b, HN_ERR_INPUT, "empty");
}

static void alignment_key(void **state) {
    (void)state;
    hn_buf b;
    static const uint32_t bad[] = {0, 1, 4, 24, 33, 1u << 31, UINT32_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_head(&b, 0, 1), put_key(&b, "general.alignment", HN_GGUF_U32), put(&b, bad[i], 4);
        refused(&b, HN_ERR_INPUT, "general.alignment");
    }
    put_head(&b, 0, 1), put_key(&b, "general.alignment", HN_GGUF_STRING), put_str(&b, "32"),
        refused(&b, HN_ERR_INPUT, "alignment");
}

/* Every prefix of a file is refused: the last byte belongs to a tensor. */
static void truncated_everywhere(const char *bytes, size_t n, size_t n_header) {
    for (size_t cut = 0; cut < n; cut += cut < n_header ? 1 : 4099) {
        hn_gguf *g;
        hn_error err = {0};
        char *copy = malloc(cut ? cut : 1); /* of its exact size: a sanitizer sees one byte too many */
        assert_non_null(copy);
        memcpy(copy, bytes, cut);
        if (hn_gguf_open_memory(copy, cut, "cut", &g, &err) != HN_ERR_INPUT)
            fail_msg("cut at %zu: %s", cut, err.message);
        assert_true(err.where[0] && err.message[0]);
        free(copy);
    }
}

static void truncation_of_made_files(void **state) {
    (void)state;
    hn_buf b;
    put_everything(&b);
    truncated_everywhere(b.data, b.len, b.len);
    hn_buf_free(&b);
}

static void truncation_of_real_files(void **state) {
    (void)state;
    static const char *names[] = {"goldens/tiny/llama/model.gguf", "models/llama-2-tiny-random.gguf"};
    for (size_t i = 0; i < 2; i++) {
        char path[HN_PATH_MAX];
        size_t n;
        hn_gguf *g;
        hn_error err = {0};
        if (!hn_test_shared(names[i], path)) skip();
        char *bytes = hn_test_read(path, &n);
        hn_test_ok(hn_gguf_open_memory(bytes, n, path, &g, &err), &err);
        size_t header = n;
        for (size_t t = 0; t < hn_gguf_tensor_count(g); t++) {
            size_t at = (size_t)((const char *)hn_gguf_tensor_at(g, t)->data - bytes);
            if (at < header) header = at;
        }
        hn_gguf_close(g);
        /* All of the small header; of the big one (a vocabulary of 32,000) the ends, where the structure is. */
        if (i == 0)
            truncated_everywhere(bytes, n, header);
        else {
            truncated_everywhere(bytes, 4096, 4096);
            for (size_t cut = header - 2048; cut < header; cut++)
                assert_int_equal(hn_gguf_open_memory(bytes, cut, "cut", &g, &err), HN_ERR_INPUT);
        }
        hn_free(bytes);
    }
}

static void real_files_say_what_their_makers_say(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    hn_gguf *g;
    hn_error err = {0};
    if (!hn_test_shared("goldens/tiny/llama/model.gguf", path)) skip();
    hn_test_ok(hn_gguf_open(path, &g, &err), &err);
    /* shapes: goldens/README.md */
    assert_true(hn_str_equal(hn_gguf_str(g, "general.architecture"), hn_str_of("llama")));
    assert_int_equal(hn_gguf_u32(g, "llama.block_count", 0), 2);
    assert_int_equal(hn_gguf_u32(g, "llama.embedding_length", 0), 64);
    assert_int_equal(hn_gguf_u32(g, "llama.attention.head_count_kv", 0), 2);
    const hn_gguf_tensor *embedding = hn_gguf_tensor_find(g, "token_embd.weight");
    assert_true(embedding && embedding->dims[0] == 64 && embedding->dims[1] == 512 && embedding->dtype == HN_DTYPE_F32);
    assert_int_equal(embedding->size_bytes, 64 * 512 * 4);
    assert_null(hn_gguf_tensor_find(g, "output.weight")); /* tied */
    assert_true(hn_gguf_file_bytes(g) == (uint64_t)hn_file_size(path));
    hn_gguf_close(g);
}

static void vocabularies_open(void **state) {
    (void)state;
    static const struct {
        const char *name;
        uint64_t n_tokens;
    } files[] = {{"suites/vocab/llama-bpe.gguf", 128256},
                 {"suites/vocab/gpt-2.gguf", 50257},
                 {"suites/vocab/llama-spm.gguf", 32000}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[HN_PATH_MAX];
        hn_gguf *g;
        hn_error err = {0};
        if (!hn_test_shared(files[i].name, path)) skip();
        hn_alloc_fail_at(0, false);
        hn_test_ok(hn_gguf_open(path, &g, &err), &err);
        assert_in_range(hn_alloc_count(), 1, 20); /* none per string */
        assert_int_equal(hn_gguf_find(g, "tokenizer.ggml.tokens")->n_items, files[i].n_tokens);
        assert_int_equal(hn_gguf_tensor_count(g), 0);
        hn_gguf_close(g);
    }
}

static void out_of_memory_is_a_status(void **state) {
    (void)state;
    hn_buf b;
    put_everything(&b);
    size_t n = 1;
    for (;; n++) {
        hn_gguf *g;
        hn_error err = {0};
        hn_alloc_fail_at(n, true);
        hn_status st = open_buf(&b, &g, &err);
        hn_alloc_fail_at(0, false);
        if (st == HN_OK) {
            hn_gguf_close(g);
            break;
        }
        assert_int_equal(st, HN_ERR_MEMORY);
        assert_null(g);
    }
    assert_true(n > 5);
    hn_buf_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_read),
        cmocka_unit_test(empty_file_and_strangers),
        cmocka_unit_test(hostile_counts),
        cmocka_unit_test(hostile_names),
        cmocka_unit_test(nesting_is_limited),
        cmocka_unit_test(hostile_tensors),
        cmocka_unit_test(alignment_key),
        cmocka_unit_test(truncation_of_made_files),
        cmocka_unit_test(truncation_of_real_files),
        cmocka_unit_test(real_files_say_what_their_makers_say),
        cmocka_unit_test(vocabularies_open),
        cmocka_unit_test(out_of_memory_is_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
