/* The engine on the tiny llama model against transformers' f32 logits and greedy tokens, from GGUF and from
 * safetensors, with every instruction set's own tolerance. */
#include "engine_support.h"

#include "base/alloc.h"
#include "kernel/kernel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A folder with the files of the safetensors form, as a user has them: the tokenizer lies elsewhere in the goldens. */
static void make_folder(char folder[HN_PATH_MAX]) {
    static const char *const files[][2] = {{"goldens/tiny/llama/config.json", "config.json"},
                                           {"goldens/tiny/llama/model.safetensors", "model.safetensors"},
                                           {"goldens/tiny/tokenizer.json", "tokenizer.json"}};
    hn_test_folder(folder);
    for (int i = 0; i < 3; i++) {
        char from[HN_PATH_MAX], to[HN_PATH_MAX];
        hn_error err = {0};
        size_t n;
        assert_true(hn_test_shared(files[i][0], from));
        hn_test_ok(hn_path_join(to, folder, files[i][1], &err), &err);
        char *bytes = hn_test_read(from, &n);
        hn_test_ok(hn_file_write_atomic(to, bytes, n, &err), &err);
        hn_free(bytes);
    }
}

/* Largest difference of any logit at any position; every position through HN_WANT_LOGITS of its own prefix. */
static double logits_error(hn_engine *e, const json_t *forward, const char *logits_bytes) {
    int V = hn_model_shape(hn_engine_model(e))->n_vocab;
    double worst = 0;
    const json_t *sequences = json_object_get(forward, "sequences");
    for (size_t i = 0; i < json_array_size(sequences); i++) {
        const json_t *one = json_array_get(sequences, i);
        hn_test_ids ids = hn_test_id_list(json_object_get(one, "ids"));
        const float *expected =
            (const float *)(const void *)(logits_bytes + json_integer_value(json_object_get(one, "byte_offset")));
        for (int t = 0; t < ids.n; t++) {
            float *logits = hn_test_logits(e, ids.ids, t + 1);
            for (int v = 0; v < V; v++) {
                double error = fabs((double)logits[v] - (double)expected[(size_t)t * (size_t)V + (size_t)v]);
                if (!(error <= worst)) worst = error;
            }
            hn_free(logits);
        }
        hn_free(ids.ids);
    }
    return worst;
}

static void check_greedy(hn_engine *e, const json_t *greedy) {
    int V = hn_model_shape(hn_engine_model(e))->n_vocab;
    hn_error err = {0};
    hn_sequence *s;
    float logits[512];
    assert_int_equal(V, 512);
    hn_test_ids prompt = hn_test_id_list(json_object_get(greedy, "prompt_ids")),
                tokens = hn_test_id_list(json_object_get(greedy, "tokens"));
    hn_test_ok(hn_sequence_create(e, &s, &err), &err);
    hn_step_item item = {
        .sequence = s, .tokens = prompt.ids, .n_tokens = prompt.n, .want = HN_WANT_LOGITS, .logits = logits};
    for (int i = 0; i < tokens.n; i++) {
        hn_test_ok(hn_engine_step(e, &item, 1, &err), &err);
        assert_int_equal(hn_test_argmax(logits, V), tokens.ids[i]);
        item.tokens = &tokens.ids[i];
        item.n_tokens = 1;
    }
    assert_int_equal(hn_sequence_length(s), prompt.n + tokens.n - 1);
    hn_sequence_free(s);
    hn_free(prompt.ids);
    hn_free(tokens.ids);
}

/* f32 kernels with an f32 cache meet the reference's tolerance; an f16 cache rounds to 11 bits, bf16 products to 8. */
static double tolerance_of(const char *isa, hn_kv_type kv) {
    if (strcmp(isa, "avx512bf16") == 0) return 0.25;
    return kv == HN_KV_F16 && strcmp(isa, "ref") != 0 ? 0.02 : 1e-4;
}

static void check_isa(const hn_model *m, const char *isa, hn_kv_type kv, const json_t *forward, const char *expected) {
    hn_error err = {0};
    hn_engine *e;
    hn_engine_options options = {.n_threads = 2, .isa = hn_test_isa(isa), .kv_type = kv};
    hn_test_ok(hn_engine_create(m, &options, &e, &err), &err);
    double error = logits_error(e, forward, expected);
    print_message("%s: largest logit difference %.2g\n", hn_engine_numeric_path(e), error);
    if (!(error <= tolerance_of(isa, kv))) fail_msg("%s: logits differ by %g", hn_engine_numeric_path(e), error);
    if (strcmp(isa, "ref") == 0) check_greedy(e, json_object_get(forward, "greedy"));
    hn_engine_free(e);
}

static void check_model(const char *path) {
    char logits_path[HN_PATH_MAX];
    size_t n;
    json_t *forward = hn_test_json("goldens/tiny/llama/forward.json");
    assert_non_null(forward);
    assert_true(hn_test_shared("goldens/tiny/llama/logits.bin", logits_path));
    char *expected = hn_test_read(logits_path, &n);
    hn_model *m = hn_test_model_open(path, 0);
    for (int i = 0; hn_kernels_available(i); i++) {
        const char *isa = hn_kernels_available(i)->name;
        check_isa(m, isa, HN_KV_F32, forward, expected);
        check_isa(m, isa, HN_KV_F16, forward, expected);
    }
    hn_model_close(m);
    hn_free(expected);
    json_decref(forward);
}

static void gguf_gives_the_reference_logits(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    if (!hn_test_shared("goldens/tiny/llama/model.gguf", path)) skip();
    check_model(path);
}

static void safetensors_give_the_reference_logits(void **state) {
    (void)state;
    char folder[HN_PATH_MAX];
    if (!hn_test_shared("goldens/tiny/llama/model.safetensors", folder)) skip();
    make_folder(folder);
    check_model(folder);
    hn_test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gguf_gives_the_reference_logits),
        cmocka_unit_test(safetensors_give_the_reference_logits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
