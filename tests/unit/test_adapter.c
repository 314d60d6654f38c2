/* LoRA adapters at run time: PEFT's logits from PEFT's folder and from llama.cpp's GGUF adapter, on the safetensors and on the GGUF form of the model (whose rotary rows lie in another
 * order); the same bits in any batch; folders that are damaged or do more than is understood are refused by name. */
#include "engine_support.h"
#include "support.h"

#include "base/alloc.h"
#include "base/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { V = 512, ROWS = 24 };

static bool adapter_folder(char path[HN_PATH_MAX]) { return hn_test_shared("goldens/train/lora_final", path); }

static hn_model *adapted(const char *name, const char *adapter) {
    char path[HN_PATH_MAX], folder[HN_PATH_MAX];
    hn_error err;
    if (!hn_test_shared(name, path) || !hn_test_shared(adapter, folder)) return NULL;
    hn_model *m = hn_test_model_open(path, HN_MODEL_IDS_ONLY);
    hn_test_ok(hn_model_add_adapter(m, folder, &err), &err);
    return m;
}

static void check_logits(const char *model_name, const char *adapter, const char *isa, double tolerance) {
    char path[HN_PATH_MAX];
    hn_model *model = adapted(model_name, adapter);
    assert_true(hn_test_shared("goldens/train/lora_final_logits.bin", path));
    json_t *batches = hn_test_json("goldens/train/batches.json");
    const json_t *rows = json_object_get(json_array_get(json_object_get(batches, "batches"), 0), "input_ids");
    hn_test_ids ids = hn_test_id_list(json_array_get(rows, 0));
    hn_engine *engine = hn_test_engine(model, isa, 2);
    float want[ROWS * V];
    FILE *f = fopen(path, "rb");
    assert_int_equal(fread(want, sizeof(float), ROWS * V, f), ROWS * V);
    fclose(f);
    for (int n = 1; n <= ids.n; n += 5) { /* other chunks each time: the last row is what it was in training */
        float *have = hn_test_logits(engine, ids.ids, n);
        for (int v = 0; v < V; v++) {
            double error = fabs((double)have[v] - want[(size_t)(n - 1) * V + (size_t)v]);
            if (!(error <= tolerance)) fail_msg("%s, row %d: logit %d is off by %g", model_name, n, v, error);
        }
        hn_free(have);
    }
    hn_engine_free(engine);
    hn_free(ids.ids);
    json_decref(batches);
    hn_model_close(model);
}

static void logits_are_those_of_peft(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    if (!adapter_folder(path)) skip();
    static const char *const forms[] = {"goldens/train/lora_final", "goldens/train/lora_final.gguf"};
    for (int i = 0; i < 2; i++) {
        check_logits("goldens/tiny/llama", forms[i], "ref", 1e-4);
        check_logits("goldens/tiny/llama/model.gguf", forms[i], "ref", 1e-4);
        check_logits("goldens/tiny/llama/model.gguf", forms[i], NULL, 1e-2); /* the cache is f16 */
    }
}

static void an_adapter_is_part_of_the_models_identity(void **state) {
    (void)state;
    char path[HN_PATH_MAX], folder[HN_PATH_MAX], plain[65], with[65];
    hn_error err;
    if (!hn_test_shared("goldens/tiny/llama/model.gguf", path) || !adapter_folder(folder)) skip();
    hn_model *a = hn_test_model_open(path, HN_MODEL_IDS_ONLY),
             *b = adapted("goldens/tiny/llama/model.gguf", "goldens/train/lora_final");
    hn_test_ok(hn_model_hash(a, plain, &err), &err);
    hn_test_ok(hn_model_hash(b, with, &err), &err);
    assert_string_not_equal(plain, with);
    assert_int_equal(hn_model_add_adapter(b, folder, &err), HN_ERR_USAGE);
    hn_model_close(a), hn_model_close(b);
}

/* ---- what is refused ---- */

static void write_text(const char *folder, const char *name, const char *text, size_t n) {
    char path[HN_PATH_MAX];
    hn_error err;
    hn_test_ok(hn_path_join(path, folder, name, &err), &err);
    hn_test_ok(hn_file_write_atomic(path, text, n, &err), &err);
}

static char *read_golden(const char *name, size_t *n) {
    char path[HN_PATH_MAX], *bytes;
    hn_error err;
    assert_true(hn_test_shared(name, path));
    hn_test_ok(hn_file_read(path, 1 << 20, &bytes, n, &err), &err);
    return bytes;
}

static hn_status try_folder(const char *folder, hn_error *err) {
    char path[HN_PATH_MAX];
    assert_true(hn_test_shared("goldens/tiny/llama", path));
    hn_model *m = hn_test_model_open(path, HN_MODEL_IDS_ONLY);
    hn_status st = hn_model_add_adapter(m, folder, err);
    hn_model_close(m);
    return st;
}

static void poor_folders_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *config;
        hn_status status;
        const char *says;
    } cases[] = {
        {"{\"peft_type\":\"LORA\",\"r\":4}", HN_ERR_INPUT, "lora_alpha"},
        {"{\"peft_type\":\"IA3\",\"lora_alpha\":8}", HN_ERR_UNSUPPORTED, "IA3"},
        {"{\"peft_type\":\"LORA\",\"lora_alpha\":8,\"use_dora\":true}", HN_ERR_INPUT, "lora_magnitude_vector"},
        {"{\"peft_type\":\"LORA\",\"lora_alpha\":8,\"modules_to_save\":[\"lm_head\"]}", HN_ERR_UNSUPPORTED,
         "modules_to_save"},
        {"{\"peft_type\":\"LORA\",\"lora_alpha\":8,\"bias\":\"all\"}", HN_ERR_UNSUPPORTED, "biases"},
        {"{\"peft_type\":", HN_ERR_INPUT, ""},
        {"[]", HN_ERR_INPUT, ""},
    };
    char folder[HN_PATH_MAX], golden[HN_PATH_MAX];
    hn_error err;
    size_t n, n_config;
    if (!adapter_folder(golden)) skip();
    hn_test_folder(folder);
    assert_int_equal(try_folder(folder, &err), HN_ERR_NOT_FOUND);
    char *tensors = read_golden("goldens/train/lora_final/adapter_model.safetensors", &n),
         *config = read_golden("goldens/train/lora_final/adapter_config.json", &n_config);
    write_text(folder, "adapter_model.safetensors", tensors, n);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_text(folder, "adapter_config.json", cases[i].config, strlen(cases[i].config));
        hn_status st = try_folder(folder, &err);
        if (st != cases[i].status || !strstr(err.message, cases[i].says))
            fail_msg("%s: %d, %s", cases[i].config, (int)st, err.message);
    }
    write_text(folder, "adapter_config.json", config, n_config);
    hn_test_ok(try_folder(folder, &err), &err);
    for (size_t cut = 0; cut < n; cut += n / 7 + 1) { /* truncated */
        write_text(folder, "adapter_model.safetensors", tensors, cut);
        assert_int_equal(try_folder(folder, &err), HN_ERR_INPUT);
    }
    static const char b_name[] = "layers.1.mlp.up_proj.lora_B"; /* as of a layer that is not there: A alone is left */
    size_t at = 8;
    while (at + sizeof b_name < n && memcmp(tensors + at, b_name, sizeof b_name - 1) != 0) at++;
    assert_true(at + sizeof b_name < n);
    tensors[at + 7] = '7';
    write_text(folder, "adapter_model.safetensors", tensors, n);
    assert_int_equal(try_folder(folder, &err), HN_ERR_INPUT);
    assert_non_null(strstr(err.message, "not whole"));
    hn_free(tensors), hn_free(config);
    hn_test_folder_remove(folder);
}

static void memory_running_out_is_a_status(void **state) {
    (void)state;
    char path[HN_PATH_MAX], folder[HN_PATH_MAX];
    if (!hn_test_shared("goldens/tiny/llama", path) || !adapter_folder(folder)) skip();
    hn_status st = HN_ERR_MEMORY;
    for (size_t k = 1; st == HN_ERR_MEMORY; k++) {
        hn_model *m = hn_test_model_open(path, HN_MODEL_IDS_ONLY);
        hn_error err;
        hn_alloc_fail_at(k, true);
        st = hn_model_add_adapter(m, folder, &err);
        hn_alloc_fail_at(0, false);
        hn_model_close(m);
    }
    assert_int_equal(st, HN_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_are_those_of_peft), cmocka_unit_test(an_adapter_is_part_of_the_models_identity),
        cmocka_unit_test(poor_folders_are_refused), cmocka_unit_test(memory_running_out_is_a_status)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
