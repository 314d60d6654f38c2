/* Exported GGUF files: from the folder they are the tensors that llama.cpp's converter made, bit for bit, and quantised the same file as from the GGUF
 * form; merged they have PEFT's logits; the rotary scalings and the tokenizer come over; models of several files are one; what GGUF cannot say is
 * refused before anything is written. */
#include "engine_support.h"
#include "support.h"

#include "base/alloc.h"
#include "format/gguf_write.h"
#include "format/json.h"
#include "model/export_gguf.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { V = 512, ROWS = 24 };

static char golden[HN_PATH_MAX], source[HN_PATH_MAX], folder[HN_PATH_MAX], out[HN_PATH_MAX], other[HN_PATH_MAX];
static hn_pool *pool;
static bool here;

static void copy(const char *from, const char *name) {
    char path[HN_PATH_MAX], *bytes;
    size_t n;
    hn_error err;
    assert_true(hn_test_shared(from, path));
    bytes = hn_test_read(path, &n);
    hn_test_ok(hn_path_join(path, source, name, &err), &err);
    hn_test_ok(hn_file_write_atomic(path, bytes, n, &err), &err);
    hn_free(bytes);
}

/* The tiny model as a Hugging Face folder, tokenizer included. */
static int enter(void **state) {
    (void)state;
    hn_error err;
    hn_test_folder(folder);
    hn_test_ok(hn_pool_create(2, &pool, &err), &err);
    hn_test_ok(hn_path_join(out, folder, "out.gguf", &err), &err);
    hn_test_ok(hn_path_join(other, folder, "other.gguf", &err), &err);
    hn_test_ok(hn_path_join(source, folder, "source", &err), &err);
    here = hn_test_shared("goldens/tiny/llama/model.gguf", golden);
    if (!here) return 0;
    hn_test_ok(hn_dir_create(source, &err), &err);
    copy("goldens/tiny/llama/config.json", "config.json");
    copy("goldens/tiny/llama/model.safetensors", "model.safetensors");
    copy("goldens/tiny/tokenizer.json", "tokenizer.json");
    return 0;
}

static int leave(void **state) {
    (void)state;
    hn_pool_free(pool);
    hn_test_folder_remove(folder);
    return 0;
}

static void set_json(const char *name, const char *key, const char *value) {
    static const hn_json_style style = {.indent = 2};
    char path[HN_PATH_MAX];
    json_t *root;
    hn_error err;
    hn_test_ok(hn_path_join(path, source, name, &err), &err);
    hn_test_ok(hn_json_read(path, 1 << 20, HN_JSON_NUL, &root, &err), &err);
    assert_int_equal(json_object_set_new(root, key, json_loads(value, JSON_DECODE_ANY, NULL)), 0);
    hn_test_ok(hn_json_save(path, root, &style, &err), &err);
    json_decref(root);
}

static hn_status export(const char *from, const char *adapter, hn_dtype format, const char *to, hn_error *err) {
    char path[HN_PATH_MAX];
    hn_export_gguf_result r;
    hn_quantize_options options = {.format = format, .pool = pool};
    hn_model *m = hn_test_model_open(from, HN_MODEL_IDS_ONLY);
    if (adapter) {
        assert_true(hn_test_shared(adapter, path));
        hn_test_ok(hn_model_add_adapter(m, path, err), err);
    }
    hn_status st = hn_export_gguf(m, to, &options, &r, err);
    if (st == HN_OK) {
        assert_int_equal(r.n_merged, adapter ? 14 : 0);
        assert_int_equal(r.report.bytes_after, hn_file_size(to));
        assert_int_equal(r.report.n_converted, format == HN_DTYPE_F32 ? r.n_merged : 15);
        hn_export_gguf_result_free(&r);
    }
    hn_model_close(m);
    return st;
}

static void same_tensors(const char *a_path, const char *b_path) {
    hn_gguf *a, *b;
    hn_error err;
    char name[200];
    hn_test_ok(hn_gguf_open(a_path, &a, &err), &err);
    hn_test_ok(hn_gguf_open(b_path, &b, &err), &err);
    assert_int_equal(hn_gguf_tensor_count(a), hn_gguf_tensor_count(b));
    for (size_t i = 0; i < hn_gguf_tensor_count(a); i++) {
        const hn_gguf_tensor *x = hn_gguf_tensor_at(a, i);
        snprintf(name, sizeof name, "%.*s", (int)x->name.len, x->name.data);
        const hn_gguf_tensor *y = hn_gguf_tensor_find(b, name);
        if (!y || x->dtype != y->dtype || memcmp(x->dims, y->dims, sizeof x->dims) != 0 ||
            memcmp(x->data, y->data, x->size_bytes) != 0)
            fail_msg("%s is not the same", name);
    }
    hn_gguf_close(a), hn_gguf_close(b);
}

static void a_folder_becomes_the_converters_file(void **state) {
    (void)state;
    static const char *const numbers[] = {"llama.block_count",          "llama.context_length",
                                          "llama.embedding_length",     "llama.feed_forward_length",
                                          "llama.attention.head_count", "llama.attention.head_count_kv",
                                          "llama.rope.freq_base",       "llama.attention.layer_norm_rms_epsilon",
                                          "llama.attention.key_length", "llama.attention.value_length",
                                          "general.file_type",          "llama.vocab_size",
                                          "llama.rope.dimension_count", "tokenizer.ggml.eos_token_id"};
    static const char *const lists[] = {"tokenizer.ggml.tokens", "tokenizer.ggml.merges"};
    hn_error err;
    hn_gguf *a, *b;
    if (!here) skip();
    set_json("config.json", "_name_or_path", "\"somebody/tiny\"");
    hn_test_ok(export(source, NULL, HN_DTYPE_F32, out, &err), &err);
    same_tensors(golden, out);
    hn_test_ok(hn_gguf_open(golden, &a, &err), &err);
    hn_test_ok(hn_gguf_open(out, &b, &err), &err);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers - 1; i++)
        if (hn_gguf_f64(a, numbers[i], -1) != hn_gguf_f64(b, numbers[i], -2)) fail_msg("%s", numbers[i]);
    for (int i = 0; i < 2; i++) {
        const hn_gguf_value *x = hn_gguf_find(a, lists[i]), *y = hn_gguf_find(b, lists[i]);
        assert_non_null(y);
        assert_int_equal(x->n_items, y->n_items);
        for (uint64_t k = 0; k < x->n_items; k++) assert_true(hn_str_equal(x->strings[k], y->strings[k]));
    }
    assert_true(hn_str_equal(hn_gguf_str(b, "tokenizer.ggml.pre"), hn_str_of("gpt-2")));
    assert_true(hn_str_equal(hn_gguf_str(b, "general.name"), hn_str_of("tiny")));
    int64_t type;
    assert_true(hn_gguf_item_i64(hn_gguf_find(b, "tokenizer.ggml.token_type"), 1, &type) && type == 3);
    hn_gguf_close(a), hn_gguf_close(b);
}

static void quantised_it_is_the_same_as_from_gguf(void **state) {
    (void)state;
    static const hn_dtype formats[] = {HN_DTYPE_BF16, HN_DTYPE_Q8_0, HN_DTYPE_Q4_1, HN_DTYPE_Q6_K};
    hn_error err;
    if (!here) skip();
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        hn_gguf *g;
        hn_quantize_report r;
        hn_quantize_options options = {.format = formats[i], .pool = pool};
        hn_test_ok(export(source, NULL, formats[i], out, &err), &err);
        hn_test_ok(hn_gguf_open(golden, &g, &err), &err);
        hn_test_ok(hn_quantize_file(g, other, &options, &r, &err), &err);
        hn_quantize_report_free(&r);
        hn_gguf_close(g);
        same_tensors(other, out);
    }
}

/* PEFT's logits of base and adapter, against those of the file alone. */
static void check_logits(const char *path, double tolerance) {
    char want_path[HN_PATH_MAX];
    float want[ROWS * V];
    assert_true(hn_test_shared("goldens/train/lora_final_logits.bin", want_path));
    json_t *batches = hn_test_json("goldens/train/batches.json");
    const json_t *rows = json_object_get(json_array_get(json_object_get(batches, "batches"), 0), "input_ids");
    hn_test_ids ids = hn_test_id_list(json_array_get(rows, 0));
    hn_model *model = hn_test_model_open(path, HN_MODEL_IDS_ONLY);
    hn_engine *engine = hn_test_engine(model, "ref", 2);
    FILE *f = fopen(want_path, "rb");
    assert_non_null(f);
    assert_int_equal(fread(want, sizeof(float), ROWS * V, f), ROWS * V);
    fclose(f);
    for (int n = 1; n <= ids.n; n += 5) {
        float *have = hn_test_logits(engine, ids.ids, n);
        for (int v = 0; v < V; v++) {
            double error = fabs((double)have[v] - want[(size_t)(n - 1) * V + (size_t)v]);
            if (!(error <= tolerance)) fail_msg("row %d: logit %d is off by %g", n, v, error);
        }
        hn_free(have);
    }
    hn_engine_free(engine);
    hn_model_close(model);
    hn_free(ids.ids);
    json_decref(batches);
}

static void merged_logits_are_those_of_peft(void **state) {
    (void)state;
    hn_error err;
    if (!here) skip();
    hn_test_ok(export(source, "goldens/train/lora_final", HN_DTYPE_F32, out, &err), &err);
    check_logits(out, 1e-4);
    hn_test_ok(export(golden, "goldens/train/lora_final.gguf", HN_DTYPE_F32, other, &err), &err);
    check_logits(other, 1e-4);
    same_tensors(out, other);
    hn_test_ok(export(golden, "goldens/train/lora_final", HN_DTYPE_BF16, out, &err), &err);
    check_logits(out, 0.1);
}

static void rotary_scalings_come_over(void **state) {
    (void)state;
    static const char *const scalings[] = {
        "{\"rope_type\": \"linear\", \"factor\": 4.0, \"rope_theta\": 10000.0}",
        ("{\"rope_type\": \"yarn\", \"factor\": 4.0, \"original_max_position_embeddings\": 32, \"rope_theta\": "
         "5000.0}"),
        ("{\"rope_type\": \"yarn\", \"factor\": 4.0, \"original_max_position_embeddings\": 32, \"attention_factor\": "
         "1.5,"
         " \"beta_fast\": 16, \"beta_slow\": 2}"),
        ("{\"rope_type\": \"llama3\", \"factor\": 8.0, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, "
         "\"original_max_position_embeddings\": 64, \"rope_theta\": 500000.0}")};
    hn_error err;
    if (!here) skip();
    for (size_t i = 0; i < sizeof scalings / sizeof *scalings; i++) {
        set_json("config.json", "rope_parameters", scalings[i]);
        hn_test_ok(export(source, NULL, HN_DTYPE_F32, out, &err), &err); /* which compares the frequencies */
        hn_model *a = hn_test_model_open(source, 0), *b = hn_test_model_open(out, 0);
        const hn_shape *x = hn_model_shape(a), *y = hn_model_shape(b);
        for (int k = 0; k < x->rope_dims / 2; k++)
            assert_true(fabsf(x->rope_frequencies[k] - y->rope_frequencies[k]) <= 1e-6f * x->rope_frequencies[k]);
        assert_true(fabsf(x->rope_magnitude - y->rope_magnitude) < 1e-6f);
        hn_model_close(a), hn_model_close(b);
    }
    set_json("config.json", "rope_parameters",
             "{\"rope_type\": \"longrope\", \"long_factor\": [1,1,1,1,1,1,1,2], \"short_factor\": [1,1,1,1,1,1,1,1], "
             "\"original_max_position_embeddings\": 64}");
    assert_int_equal(export(source, NULL, HN_DTYPE_F32, other, &err), HN_ERR_UNSUPPORTED);
    assert_false(hn_file_exists(other));
}

static void tokenizers_that_gguf_cannot_say_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *key, *value, *says;
    } cases[] = {
        {"normalizer", "{\"type\": \"NFC\"}", "normalizer"},
        {"pre_tokenizer", "{\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"use_regex\": true}",
         "space in front"},
        {"pre_tokenizer",
         "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": {\"Regex\": \"[aeiou]\"}, "
         "\"behavior\": \"Isolated\", \"invert\": false}, {\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
         "\"use_regex\": false}]}",
         "no name"},
        {"added_tokens",
         "[{\"id\": 1, \"content\": \"<|im_start|>\", \"special\": true, \"lstrip\": true, \"rstrip\": false, "
         "\"single_word\": false, \"normalized\": false}]",
         "white space"}};
    hn_error err;
    if (!here) skip();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        copy("goldens/tiny/tokenizer.json", "tokenizer.json");
        set_json("tokenizer.json", cases[i].key, cases[i].value);
        hn_status st = export(source, NULL, HN_DTYPE_F32, out, &err);
        if (st != HN_ERR_UNSUPPORTED || !strstr(err.message, cases[i].says))
            fail_msg("%s: %d, %s", cases[i].value, (int)st, err.message);
        assert_false(hn_file_exists(out));
    }
    copy("goldens/tiny/tokenizer.json", "tokenizer.json"); /* a way of splitting that has another name */
    set_json("tokenizer.json", "pre_tokenizer",
             "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Digits\", \"individual_digits\": true}, "
             "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": true}]}");
    hn_test_ok(export(source, NULL, HN_DTYPE_F32, out, &err), &err);
    hn_gguf *g;
    hn_test_ok(hn_gguf_open(out, &g, &err), &err);
    assert_true(hn_str_equal(hn_gguf_str(g, "tokenizer.ggml.pre"), hn_str_of("smollm")));
    hn_gguf_close(g);
}

/* ---- several files ---- */

static void part_path(int i, int n, char path[HN_PATH_MAX]) {
    char name[64];
    hn_error err;
    snprintf(name, sizeof name, "model-%05d-of-%05d.gguf", i, n);
    hn_test_ok(hn_path_join(path, folder, name, &err), &err);
}

/* The golden's tensors in turn over `n` files, as llama.cpp's splitter does. */
static void write_parts(int n, int wrong_number) {
    hn_gguf *g;
    hn_error err;
    hn_test_ok(hn_gguf_open(golden, &g, &err), &err);
    for (int p = 0; p < n; p++) {
        char path[HN_PATH_MAX];
        hn_gguf_writer *w;
        part_path(p + 1, n, path);
        hn_test_ok(hn_gguf_writer_create(path, &w, &err), &err);
        if (p == 0) hn_test_ok(hn_gguf_writer_copy(w, g, NULL, &err), &err);
        hn_test_ok(hn_gguf_writer_set_u32(w, "split.no", (uint32_t)(p == wrong_number ? 0 : p), &err), &err);
        hn_test_ok(hn_gguf_writer_set_u32(w, "split.count", (uint32_t)n, &err), &err);
        for (int pass = 0; pass < 2; pass++) {
            for (size_t i = 0; i < hn_gguf_tensor_count(g); i++) {
                const hn_gguf_tensor *t = hn_gguf_tensor_at(g, i);
                if ((int)(i * (size_t)n / hn_gguf_tensor_count(g)) != p) continue;
                hn_test_ok(pass ? hn_gguf_writer_data(w, t->data, t->size_bytes, &err)
                                : hn_gguf_writer_declare(w, t->name, t->dtype, t->n_dims, t->dims, &err),
                           &err);
            }
            if (pass == 0) hn_test_ok(hn_gguf_writer_begin(w, &err), &err);
        }
        hn_test_ok(hn_gguf_writer_finish(w, &err), &err);
        hn_gguf_writer_free(w);
    }
    hn_gguf_close(g);
}

static void quantize(const char *from, const char *to) {
    hn_gguf *g;
    hn_error err;
    hn_quantize_report r;
    hn_quantize_options options = {.format = HN_DTYPE_Q5_1, .pool = pool};
    hn_test_ok(hn_gguf_open(from, &g, &err), &err);
    hn_test_ok(hn_quantize_file(g, to, &options, &r, &err), &err);
    hn_quantize_report_free(&r);
    hn_gguf_close(g);
}

static void several_files_are_one_model(void **state) {
    (void)state;
    char first[HN_PATH_MAX], path[HN_PATH_MAX], hash[65], single[65];
    hn_error err;
    hn_gguf *g;
    size_t n_a, n_b;
    if (!here) skip();
    write_parts(3, -1);
    part_path(1, 3, first);
    quantize(golden, out);
    quantize(first, other);
    char *a = hn_test_read(out, &n_a), *b = hn_test_read(other, &n_b);
    assert_int_equal(n_a, n_b);
    assert_memory_equal(a, b, n_a);
    hn_free(a), hn_free(b);
    hn_model *m = hn_test_model_open(first, 0), *whole = hn_test_model_open(golden, 0);
    hn_test_ok(hn_model_hash(m, hash, &err), &err);
    hn_test_ok(hn_model_hash(whole, single, &err), &err);
    assert_string_not_equal(hash, single);
    assert_int_equal(hn_model_shape(m)->n_parameters, hn_model_shape(whole)->n_parameters);
    hn_model_close(m), hn_model_close(whole);
    part_path(2, 3, path);
    assert_int_equal(hn_gguf_open(path, &g, &err), HN_ERR_INPUT);
    assert_non_null(strstr(err.hint, "model-00001-of-00003.gguf"));
    remove(path);
    assert_int_equal(hn_gguf_open(first, &g, &err), HN_ERR_NOT_FOUND);
    write_parts(3, 1);
    assert_int_equal(hn_gguf_open(first, &g, &err), HN_ERR_INPUT);
    assert_non_null(strstr(err.message, "part 1 of 3, not 2 of 3"));
    write_parts(3, -1);
    assert_int_equal(rename(first, out), 0);
    assert_int_equal(hn_gguf_open(out, &g, &err), HN_ERR_INPUT);
    assert_non_null(strstr(err.message, "-00001-of-00003.gguf"));
}

static void memory_may_end_anywhere(void **state) {
    (void)state;
    if (!here) skip();
    char first[HN_PATH_MAX];
    write_parts(2, -1);
    part_path(1, 2, first);
    const char *const from[] = {source, first};
    for (int i = 0; i < 2; i++) {
        hn_model *m = hn_test_model_open(from[i], 0);
        hn_status st = HN_ERR_MEMORY;
        for (size_t k = 1; st == HN_ERR_MEMORY && k < 4000; k++) {
            hn_export_gguf_result r;
            hn_quantize_options options = {.format = HN_DTYPE_Q8_0, .pool = pool};
            hn_error err = {0};
            hn_alloc_fail_at(k, true);
            st = hn_export_gguf(m, out, &options, &r, &err);
            hn_alloc_fail_at(0, false);
            if (st == HN_OK)
                hn_export_gguf_result_free(&r);
            else
                assert_false(hn_file_exists(out));
        }
        assert_int_equal(st, HN_OK);
        remove(out);
        hn_model_close(m);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_folder_becomes_the_converters_file, enter, leave),
        cmocka_unit_test_setup_teardown(quantised_it_is_the_same_as_from_gguf, enter, leave),
        cmocka_unit_test_setup_teardown(merged_logits_are_those_of_peft, enter, leave),
        cmocka_unit_test_setup_teardown(rotary_scalings_come_over, enter, leave),
        cmocka_unit_test_setup_teardown(tokenizers_that_gguf_cannot_say_are_refused, enter, leave),
        cmocka_unit_test_setup_teardown(several_files_are_one_model, enter, leave),
        cmocka_unit_test_setup_teardown(memory_may_end_anywhere, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
