/* Loading models: shapes and weights from both kinds of file, rotary scaling against numbers worked out here, and
 * files that are damaged in every place of their header: an error that names the field, or a model, never a crash. */
#include "engine_support.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/rng.h"
#include "model/shape.h"
#include "model/weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void check_tiny(const hn_model *m) {
    const hn_shape *s = hn_model_shape(m);
    assert_string_equal(s->architecture, "llama");
    assert_int_equal(s->n_layers, 2);
    assert_int_equal(s->n_embd, 64);
    assert_int_equal(s->n_heads, 4);
    assert_int_equal(s->n_kv_heads, 2);
    assert_int_equal(s->head_size, 16);
    assert_int_equal(s->n_ff, 160);
    assert_int_equal(s->n_vocab, 512);
    assert_int_equal(s->n_context, 128);
    assert_int_equal(s->n_context_max, 128);
    assert_true(s->tied);
    assert_int_equal(s->main_dtype, HN_DTYPE_F32);
    assert_int_equal(s->n_parameters, 512 * 64 + 64 + 2 * (2 * 64 + 2 * 64 * 64 + 2 * 32 * 64 + 3 * 160 * 64));
    for (int i = 0; i < 8; i++) assert_true(fabs((double)s->rope_frequencies[i] - pow(10000, -i / 8.0)) < 1e-7);
    const hn_weights *w = hn_model_weights(m);
    assert_ptr_equal(w->output.data, w->embedding.data);
    assert_int_equal(w->layers[1].down.n_in, 160);
}

static void gguf_and_safetensors_agree(void **state) {
    (void)state;
    char gguf[HN_PATH_MAX], folder[HN_PATH_MAX];
    if (!hn_test_shared("goldens/tiny/llama/model.gguf", gguf) || !hn_test_shared("goldens/tiny/llama", folder)) skip();
    hn_model *a = hn_test_model_open(gguf, 0), *b = hn_test_model_open(folder, HN_MODEL_IDS_ONLY);
    check_tiny(a);
    check_tiny(b);
    assert_true(hn_model_shape(a)->rope_interleaved && !hn_model_shape(b)->rope_interleaved);
    assert_null(hn_model_tokenizer(b));
    assert_memory_equal(hn_model_weights(a)->embedding.data, hn_model_weights(b)->embedding.data, 512 * 64 * 4);
    assert_memory_equal(hn_model_weights(a)->layers[1].ffn_norm, hn_model_weights(b)->layers[1].ffn_norm, 64 * 4);
    hn_model_close(a);
    hn_model_close(b);
    hn_error err = {0};
    assert_int_equal(hn_model_open(folder, 0, &b, &err), HN_ERR_NOT_FOUND); /* no tokenizer.json there */
    assert_non_null(strstr(err.where, "tokenizer.json"));
}

static void hash_is_the_files_and_is_remembered(void **state) {
    (void)state;
    char from[HN_PATH_MAX], cache[HN_PATH_MAX], expected[65], hex[65];
    hn_error err = {0};
    if (!hn_test_shared("goldens/tiny/llama/model.gguf", from)) skip();
    hn_test_folder(cache);
    const char *old = getenv("HONE_MODELS");
    char kept[HN_PATH_MAX];
    if (old) snprintf(kept, sizeof kept, "%s", old);
    setenv("HONE_MODELS", cache, 1);
    hn_test_ok(hn_sha256_file(from, expected, &err), &err);
    for (int i = 0; i < 3; i++) {
        hn_model *m = hn_test_model_open(from, 0);
        hn_test_ok(hn_model_hash(m, hex, &err), &err);
        assert_string_equal(hex, expected);
        hn_model_close(m);
    }
    char notes[HN_PATH_MAX];
    hn_test_ok(hn_path_join(notes, cache, ".hashes", &err), &err);
    assert_true(hn_file_is_dir(notes));
    if (old)
        setenv("HONE_MODELS", kept, 1);
    else
        unsetenv("HONE_MODELS");
    hn_test_folder_remove(cache);
}

static void rope_kinds_follow_their_papers(void **state) {
    (void)state;
    hn_error err = {0};
    float freq[32], magnitude;
    hn_rope_scaling linear = {.kind = HN_ROPE_LINEAR, .base = 10000, .factor = 4};
    hn_test_ok(hn_rope_frequencies(&linear, 64, freq, &magnitude, &err), &err);
    for (int i = 0; i < 32; i++) assert_true(fabs((double)freq[i] / (pow(10000, -i / 32.0) / 4) - 1) < 1e-6);
    assert_true(magnitude == 1);

    hn_rope_scaling llama3 = {.kind = HN_ROPE_LLAMA3,
                              .base = 500000,
                              .factor = 8,
                              .n_context_original = 8192,
                              .low_freq_factor = 1,
                              .high_freq_factor = 4};
    hn_test_ok(hn_rope_frequencies(&llama3, 64, freq, &magnitude, &err), &err);
    for (int i = 0; i < 32; i++) {
        double plain = pow(500000, -i / 32.0), wave = 2 * 3.14159265358979 / plain, expected;
        double smooth = (8192 / wave - 1) / 3;
        if (wave > 8192)
            expected = plain / 8;
        else if (wave < 2048)
            expected = plain;
        else
            expected = (1 - smooth) * plain / 8 + smooth * plain;
        assert_true(fabs((double)freq[i] / expected - 1) < 1e-6);
    }

    /* yarn: the fastest pairs are untouched, the slowest divided, in between a straight line; cos and sin grow by 1 +
     * ln(4)/10 */
    hn_rope_scaling yarn = {.kind = HN_ROPE_YARN, .base = 10000, .factor = 4, .n_context_original = 2048};
    hn_test_ok(hn_rope_frequencies(&yarn, 64, freq, &magnitude, &err), &err);
    double low = floor(64 * log(2048 / (32 * 2 * 3.14159265358979)) / (2 * log(10000)));
    double high = ceil(64 * log(2048 / (2 * 3.14159265358979)) / (2 * log(10000)));
    for (int i = 0; i < 32; i++) {
        double plain = pow(10000, -i / 32.0), share = fmin(fmax((i - low) / (high - low), 0), 1);
        assert_true(fabs((double)freq[i] / (plain * (1 - share) + plain / 4 * share) - 1) < 1e-6);
    }
    assert_true(fabs((double)magnitude - (1 + 0.1 * log(4))) < 1e-6);

    float factors[32];
    for (int i = 0; i < 32; i++) factors[i] = 1 + (float)i;
    hn_rope_scaling longrope = {
        .kind = HN_ROPE_LONGROPE, .base = 10000, .factor = 1, .factors = factors, .attention_factor = 1.19};
    hn_test_ok(hn_rope_frequencies(&longrope, 64, freq, &magnitude, &err), &err);
    for (int i = 0; i < 32; i++) assert_true(fabs((double)freq[i] * (1 + i) / pow(10000, -i / 32.0) - 1) < 1e-6);
    assert_true(magnitude == 1.19f);
    assert_true(fabs(hn_rope_longrope_magnitude(32, 4096) - sqrt(1 + log(32) / log(4096))) < 1e-12);
    factors[3] = 0;
    assert_int_equal(hn_rope_frequencies(&longrope, 64, freq, &magnitude, &err), HN_ERR_INPUT);
}

#define CONFIG_HEAD                                                                                                    \
    "{\"model_type\":\"llama\",\"hidden_size\":64,\"intermediate_size\":160,\"num_attention_heads\":4,\"num_hidden_"   \
    "layers\":2,"                                                                                                      \
    "\"vocab_size\":512,\"max_position_embeddings\":128"

static hn_status from_config(const char *more, hn_shape *s, hn_error *err) {
    char text[1024];
    hn_rope_source rope;
    snprintf(text, sizeof text, "%s%s}", CONFIG_HEAD, more);
    hn_status st = hn_shape_from_config(text, strlen(text), s, &rope, err);
    if (st != HN_OK) return st;
    st = hn_shape_set_rope(s, &rope, err);
    hn_rope_source_free(&rope);
    if (st != HN_OK) hn_shape_free(s);
    return st;
}

static void config_json_in_its_spellings(void **state) {
    (void)state;
    hn_shape s;
    hn_error err = {0};
    hn_test_ok(
        from_config(",\"rope_theta\":500000,\"num_key_value_heads\":null,\"head_dim\":null,\"rope_scaling\":null", &s,
                    &err),
        &err);
    assert_int_equal(s.n_kv_heads, 4);
    assert_int_equal(s.head_size, 16);
    assert_true(fabs((double)s.rope_frequencies[1] - pow(500000, -1 / 8.0)) < 1e-7);
    hn_shape_free(&s);
    hn_test_ok(from_config(",\"rope_scaling\":{\"type\":\"linear\",\"factor\":4.0}", &s, &err), &err);
    assert_int_equal(s.n_context_max, 512);
    assert_true(fabs((double)s.rope_frequencies[0] - 0.25) < 1e-7);
    hn_shape_free(&s);
    hn_test_ok(
        from_config(
            ",\"rope_parameters\":{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":1,\"high_freq_factor\":4,"
            "\"original_max_position_embeddings\":64,\"rope_theta\":10000}",
            &s, &err),
        &err);
    assert_int_equal(s.n_context_original, 64);
    assert_int_equal(s.n_context_max, 512);
    hn_shape_free(&s);
    hn_test_ok(from_config(",\"rope_scaling\":{\"type\":\"yarn\",\"factor\":2,\"original_max_position_embeddings\":64}",
                           &s, &err),
               &err);
    assert_true(fabs((double)s.rope_magnitude - (1 + 0.1 * log(2))) < 1e-6);
    hn_shape_free(&s);
    hn_test_ok(from_config(",\"rope_scaling\":{\"type\":\"longrope\",\"original_max_position_embeddings\":32,\"long_"
                           "factor\":[2,2,2,2,2,2,2,2],"
                           "\"short_factor\":[1,1,1,1,1,1,1,1]}",
                           &s, &err),
               &err);
    assert_true(s.rope_frequencies[0] == 0.5f && s.rope_frequencies_short[0] == 1);
    assert_true(fabs((double)s.rope_magnitude - sqrt(1 + log(4) / log(32))) < 1e-6);
    hn_shape_free(&s);
}

static void bad_configs_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *more;
        hn_status status;
    } cases[] = {
        {",\"hidden_act\":\"gelu\"", HN_ERR_UNSUPPORTED},
        {",\"attention_bias\":true", HN_ERR_UNSUPPORTED},
        {",\"num_key_value_heads\":3", HN_ERR_INPUT},
        {",\"num_key_value_heads\":0", HN_ERR_INPUT},
        {",\"head_dim\":15", HN_ERR_INPUT},
        {",\"head_dim\":1e9", HN_ERR_INPUT},
        {",\"head_dim\":1000000000", HN_ERR_INPUT},
        {",\"rms_norm_eps\":-1", HN_ERR_INPUT},
        {",\"rope_theta\":\"x\"", HN_ERR_INPUT},
        {",\"rope_theta\":0", HN_ERR_INPUT},
        {",\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2}", HN_ERR_UNSUPPORTED},
        {",\"rope_scaling\":{\"type\":\"linear\",\"factor\":-2}", HN_ERR_INPUT},
        {",\"rope_scaling\":{\"type\":\"longrope\",\"long_factor\":[1],\"short_factor\":[1]}", HN_ERR_INPUT},
        {",\"rope_scaling\":{\"type\":\"yarn\",\"factor\":2,\"original_max_position_embeddings\":0}", HN_ERR_INPUT},
        {",\"rope_scaling\":7", HN_ERR_INPUT},
        {",\"quantization_config\":{}", HN_ERR_UNSUPPORTED},
        {",\"vocab_size\":1", HN_ERR_INPUT}, /* twice the same key */
        {",", HN_ERR_INPUT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hn_shape s;
        hn_error err = {0};
        hn_status st = from_config(cases[i].more, &s, &err);
        if (st != cases[i].status) fail_msg("%s: %s", cases[i].more, hn_status_name(st));
        assert_true(err.message[0]);
    }
}

static void other_families_name_what_is_supported(void **state) {
    (void)state;
    static const char *const families[] = {"qwen2", "qwen3", "gemma3", "gpt2"};
    for (int i = 0; i < 4; i++) {
        char name[64], path[HN_PATH_MAX];
        hn_model *m;
        hn_error err = {0};
        snprintf(name, sizeof name, "goldens/tiny/%s/model.gguf", families[i]);
        if (!hn_test_shared(name, path)) skip();
        assert_int_equal(hn_model_open(path, 0, &m, &err), HN_ERR_UNSUPPORTED);
        assert_true(strstr(err.message, families[i]) && strstr(err.message, "llama"));
    }
}

/* Opens the bytes as a file, and where that works, takes one step. */
static hn_status try_bytes(const char *path, const char *bytes, size_t n, hn_error *err) {
    hn_model *m;
    hn_engine *e;
    hn_sequence *s;
    float logits[512];
    hn_test_ok(hn_file_write_atomic(path, bytes, n, err), err);
    hn_status st = hn_model_open(path, 0, &m, err);
    if (st != HN_OK) return st;
    hn_engine_options options = {.n_threads = 1, .isa = "ref", .kv_max_bytes = 64 << 20};
    st = hn_model_shape(m)->n_vocab <= 512 ? hn_engine_create(m, &options, &e, err) : HN_ERR_LIMIT;
    if (st == HN_OK) {
        hn_test_ok(hn_sequence_create(e, &s, err), err);
        int32_t ids[3] = {0, 1, 2};
        hn_step_item item = {.sequence = s, .tokens = ids, .n_tokens = 3, .want = HN_WANT_LOGITS, .logits = logits};
        st = hn_engine_step(e, &item, 1, err);
        hn_sequence_free(s);
        hn_engine_free(e);
    }
    hn_model_close(m);
    return st;
}

/* Offset of the first tensor's data: the header region ends there. */
static size_t header_bytes(const char *path) {
    hn_error err = {0};
    hn_gguf *g;
    hn_test_ok(hn_gguf_open(path, &g, &err), &err);
    size_t total = (size_t)hn_gguf_file_bytes(g), data = 0;
    for (size_t i = 0; i < hn_gguf_tensor_count(g); i++) data += (hn_gguf_tensor_at(g, i)->size_bytes + 31) / 32 * 32;
    hn_gguf_close(g);
    return total > data ? total - data : total;
}

static void damaged_gguf_files_never_crash(void **state) {
    (void)state;
    char from[HN_PATH_MAX], folder[HN_PATH_MAX], path[HN_PATH_MAX];
    hn_error err = {0};
    size_t n;
    if (!hn_test_shared("goldens/tiny/llama/model.gguf", from)) skip();
    char *bytes = hn_test_read(from, &n), *copy = hn_alloc(n);
    size_t header = header_bytes(from);
    hn_rng rng;
    hn_test_folder(folder);
    hn_test_ok(hn_path_join(path, folder, "damaged.gguf", &err), &err);
    bool full = getenv("HONE_TEST_FULL") != NULL;
    for (size_t cut = 0; cut < header; cut += full ? 1 : 37)
        assert_int_not_equal(try_bytes(path, bytes, cut, &err), HN_OK);
    assert_int_not_equal(try_bytes(path, bytes, n - 40, &err), HN_OK);
    hn_rng_seed(&rng, 4, 0);
    int n_working = 0, n_flips = full ? 4000 : 250;
    for (int i = 0; i < n_flips; i++) {
        size_t at = (size_t)hn_rng_below(&rng, header);
        memcpy(copy, bytes, n);
        copy[at] = (char)hn_rng_next(&rng);
        n_working += try_bytes(path, copy, n, &err) == HN_OK;
    }
    print_message("%d of %d files with a changed byte still work\n", n_working, n_flips);
    hn_free(bytes);
    hn_free(copy);
    hn_test_folder_remove(folder);
}

/* Header texts in which one thing is wrong; each must be refused, and the message must name the tensor. */
static void damaged_safetensors_are_refused(void **state) {
    (void)state;
    static const char *const headers[] = {
        "{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}",  /* too few bytes */
        "{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,16]}}", /* past the end */
        "{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}",
        "{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}",
        "{\"t\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}",
        "{\"t\":{\"dtype\":\"F32\",\"shape\":[9223372036854775807,4],\"data_offsets\":[0,8]}}",
        "{\"t\":{\"dtype\":\"F32\",\"shape\":[2,4611686018427387905],\"data_offsets\":[0,8]}}",
        "{\"t\":{\"dtype\":\"X7\",\"shape\":[2],\"data_offsets\":[0,8]}}",
        "{\"t\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}",
        "{\"t\":{\"dtype\":\"F32\",\"shape\":[2]}}",
        "{\"t\":{\"shape\":[2],\"data_offsets\":[0,8]}}",
        "{\"t\":7}",
        "{\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", /* bytes that belong to none */
        ("{\"t\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]},\"t2\":{\"dtype\":\"U8\",\"shape\":[4],\"data_"
         "offsets\":[4,8]}}"),
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        unsigned char bytes[512] = {0};
        hn_safetensors *s;
        hn_error err = {0};
        size_t n = strlen(headers[i]);
        bytes[0] = (unsigned char)n;
        memcpy(bytes + 8, headers[i], n);
        hn_status st = hn_safetensors_open_memory(bytes, 8 + n + 8, "f", &s, &err);
        if (st == HN_OK) fail_msg("accepted: %s", headers[i]);
        if (i != 12) assert_non_null(strstr(err.where, "f:t"));
    }
    char path[HN_PATH_MAX];
    if (!hn_test_shared("goldens/tiny/llama/model.safetensors", path)) return;
    size_t n;
    char *bytes = hn_test_read(path, &n);
    for (size_t cut = 0; cut < n; cut += cut < 3000 ? 1 : 997) {
        hn_safetensors *s;
        hn_error err = {0};
        assert_int_not_equal(hn_safetensors_open_memory(bytes, cut, "f", &s, &err), HN_OK);
    }
    hn_free(bytes);
}

/* A tensor that is missing or has another shape is named, with both shapes. */
static void wrong_tensors_are_named(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    if (!hn_test_shared("goldens/tiny/llama/model.gguf", path)) skip();
    hn_error err = {0};
    hn_gguf *g;
    hn_test_ok(hn_gguf_open(path, &g, &err), &err);
    hn_tensor_source source = hn_tensor_source_gguf(g);
    hn_shape s;
    hn_rope_source rope;
    hn_weight_store store;
    hn_test_ok(hn_shape_from_gguf(g, &s, &rope, &err), &err);
    s.n_ff = 192;
    assert_int_equal(hn_weight_store_load(&source, hn_architecture_find("llama"), &s, &store, &err), HN_ERR_INPUT);
    assert_string_equal(err.where, "blk.0.ffn_gate.weight");
    assert_true(strstr(err.message, "(160,64)") && strstr(err.message, "(192,64)"));
    s.n_ff = 160;
    s.n_layers = 3;
    assert_int_equal(hn_weight_store_load(&source, hn_architecture_find("llama"), &s, &store, &err), HN_ERR_INPUT);
    assert_string_equal(err.where, "blk.2.attn_norm.weight");
    s.n_layers = 1; /* then layer 1's tensors belong to nothing */
    assert_int_equal(hn_weight_store_load(&source, hn_architecture_find("llama"), &s, &store, &err),
                     HN_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.where, "blk.1."));
    hn_gguf_close(g);
}

static void another_tiny_llama_works(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    if (!hn_test_shared("models/llama-2-tiny-random.gguf", path)) skip();
    hn_model *m = hn_test_model_open(path, 0);
    hn_engine *e = hn_test_engine(m, NULL, 2);
    int32_t ids[5] = {1, 100, 200, 300, 400};
    float *logits = hn_test_logits(e, ids, 5);
    for (int i = 0; i < hn_model_shape(m)->n_vocab; i++) assert_true(isfinite(logits[i]));
    hn_free(logits);
    hn_engine_free(e);
    hn_model_close(m);
}

static void paths_that_are_no_model(void **state) {
    (void)state;
    char folder[HN_PATH_MAX];
    hn_model *m;
    hn_error err = {0};
    hn_test_folder(folder);
    assert_int_equal(hn_model_open("/nowhere/model.gguf", 0, &m, &err), HN_ERR_NOT_FOUND);
    assert_int_equal(hn_model_open(folder, 0, &m, &err), HN_ERR_NOT_FOUND);
    assert_non_null(strstr(err.where, "config.json"));
    hn_test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gguf_and_safetensors_agree),     cmocka_unit_test(hash_is_the_files_and_is_remembered),
        cmocka_unit_test(rope_kinds_follow_their_papers), cmocka_unit_test(config_json_in_its_spellings),
        cmocka_unit_test(bad_configs_are_refused),        cmocka_unit_test(other_families_name_what_is_supported),
        cmocka_unit_test(damaged_gguf_files_never_crash), cmocka_unit_test(damaged_safetensors_are_refused),
        cmocka_unit_test(wrong_tensors_are_named),        cmocka_unit_test(another_tiny_llama_works),
        cmocka_unit_test(paths_that_are_no_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
