/* Exported folders: the merged model's logits are those of PEFT's base and adapter, from the safetensors and from the GGUF form of the model; an
 * unmerged F32 export is the source's tensors bit for bit; what stands there already stays. */
#include "engine_support.h"
#include "support.h"

#include "base/alloc.h"
#include "format/json.h"
#include "format/safetensors.h"
#include "model/export_folder.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { V = 512, ROWS = 24 };

static hn_model *open_source(const char *name, bool adapted) {
    char path[HN_PATH_MAX], folder[HN_PATH_MAX];
    hn_error err;
    if (!hn_test_shared(name, path) || !hn_test_shared("goldens/train/lora_final", folder)) return NULL;
    hn_model *m = hn_test_model_open(path, HN_MODEL_IDS_ONLY);
    if (adapted) hn_test_ok(hn_model_add_adapter(m, folder, &err), &err);
    return m;
}

static hn_export_result export_to(const char *name, bool adapted, hn_dtype dtype, const char *folder) {
    hn_export_result r;
    hn_error err;
    hn_model *m = open_source(name, adapted);
    hn_test_ok(hn_export_folder(m, dtype, folder, &r, &err), &err);
    hn_model_close(m);
    return r;
}

/* PEFT's logits of base and adapter, against those of the folder alone. */
static void check_logits(const char *folder, double tolerance) {
    char path[HN_PATH_MAX];
    assert_true(hn_test_shared("goldens/train/lora_final_logits.bin", path));
    json_t *batches = hn_test_json("goldens/train/batches.json");
    const json_t *rows = json_object_get(json_array_get(json_object_get(batches, "batches"), 0), "input_ids");
    hn_test_ids ids = hn_test_id_list(json_array_get(rows, 0));
    hn_model *model = hn_test_model_open(folder, HN_MODEL_IDS_ONLY);
    hn_engine *engine = hn_test_engine(model, "ref", 2);
    float want[ROWS * V];
    FILE *f = fopen(path, "rb");
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
    static const struct {
        const char *source;
        hn_dtype dtype;
        double tolerance;
    } cases[] = {{"goldens/tiny/llama", HN_DTYPE_F32, 1e-4},
                 {"goldens/tiny/llama/model.gguf", HN_DTYPE_F32, 1e-4},
                 {"goldens/tiny/llama", HN_DTYPE_BF16, 0.1},
                 {"goldens/tiny/llama/model.gguf", HN_DTYPE_F16, 0.025}}; /* two to three bits finer than BF16 */
    char probe[HN_PATH_MAX];
    if (!hn_test_shared("goldens/train/lora_final_logits.bin", probe)) skip();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char folder[HN_PATH_MAX];
        hn_test_folder(folder);
        hn_export_result r = export_to(cases[i].source, true, cases[i].dtype, folder);
        assert_int_equal(r.n_merged, 14);
        check_logits(folder, cases[i].tolerance);
        hn_test_folder_remove(folder);
    }
}

static void without_an_adapter_the_tensors_are_the_same(void **state) {
    (void)state;
    static const char *const sources[] = {"goldens/tiny/llama", "goldens/tiny/llama/model.gguf"};
    char golden[HN_PATH_MAX], path[HN_PATH_MAX], folder[HN_PATH_MAX];
    hn_error err;
    if (!hn_test_shared("goldens/tiny/llama/model.safetensors", golden)) skip();
    for (int k = 0; k < 2; k++) {
        hn_safetensors *want, *have;
        hn_test_folder(folder);
        hn_export_result r = export_to(sources[k], false, HN_DTYPE_F32, folder);
        hn_test_ok(hn_path_join(path, folder, "model.safetensors", &err), &err);
        hn_test_ok(hn_safetensors_open(golden, &want, &err), &err);
        hn_test_ok(hn_safetensors_open(path, &have, &err), &err);
        assert_int_equal(hn_safetensors_count(have), hn_safetensors_count(want));
        assert_int_equal(r.n_tensors, hn_safetensors_count(want));
        assert_int_equal(r.n_merged, 0);
        for (size_t i = 0; i < hn_safetensors_count(want); i++) {
            const hn_safetensor *a = hn_safetensors_at(want, i), *b = hn_safetensors_at(have, i);
            assert_string_equal(a->name, b->name);
            assert_int_equal(a->size_bytes, b->size_bytes);
            assert_memory_equal(a->data, b->data, a->size_bytes);
        }
        hn_safetensors_close(want), hn_safetensors_close(have);
        hn_test_folder_remove(folder);
    }
}

static void halves_are_rounded_once(void **state) {
    (void)state;
    char probe[HN_PATH_MAX], folders[2][HN_PATH_MAX], path[HN_PATH_MAX];
    hn_safetensors *wide, *half;
    hn_error err;
    if (!hn_test_shared("goldens/train/lora_final", probe)) skip();
    for (int i = 0; i < 2; i++) {
        hn_test_folder(folders[i]);
        export_to("goldens/tiny/llama/model.gguf", true, i ? HN_DTYPE_F16 : HN_DTYPE_F32, folders[i]);
        hn_test_ok(hn_path_join(path, folders[i], "model.safetensors", &err), &err);
        hn_test_ok(hn_safetensors_open(path, i ? &half : &wide, &err), &err);
    }
    for (size_t i = 0; i < hn_safetensors_count(wide); i++) {
        const hn_safetensor *a = hn_safetensors_at(wide, i), *b = hn_safetensors_at(half, i);
        for (size_t k = 0; k < a->size_bytes / 4; k++) {
            float value;
            uint16_t bits;
            memcpy(&value, (const char *)a->data + 4 * k, 4);
            memcpy(&bits, (const char *)b->data + 2 * k, 2);
            if (hn_f32_to_f16(value) != bits) fail_msg("%s: value %zu", a->name, k);
        }
    }
    hn_safetensors_close(wide), hn_safetensors_close(half);
    hn_test_folder_remove(folders[0]), hn_test_folder_remove(folders[1]);
}

static void a_model_that_is_there_stays(void **state) {
    (void)state;
    char probe[HN_PATH_MAX], folder[HN_PATH_MAX];
    hn_export_result r;
    hn_error err;
    if (!hn_test_shared("goldens/train/lora_final", probe)) skip();
    hn_test_folder(folder);
    export_to("goldens/tiny/llama", false, HN_DTYPE_F32, folder);
    hn_model *m = hn_test_model_open(folder, HN_MODEL_IDS_ONLY);
    assert_int_equal(hn_export_folder(m, HN_DTYPE_F32, folder, &r, &err), HN_ERR_EXISTS);
    hn_model_close(m);
    hn_test_folder_remove(folder);
}

static void memory_running_out_is_a_status(void **state) {
    (void)state;
    char probe[HN_PATH_MAX];
    hn_status st = HN_ERR_MEMORY;
    if (!hn_test_shared("goldens/train/lora_final", probe)) skip();
    hn_model *m = open_source("goldens/tiny/llama/model.gguf", true);
    for (size_t k = 1; st != HN_OK && k < 100000; k += k < 40 ? 1 : 131) { /* readers of JSON call it a poor file */
        char folder[HN_PATH_MAX];
        hn_export_result r;
        hn_error err;
        hn_test_folder(folder);
        hn_alloc_fail_at(k, true);
        st = hn_export_folder(m, HN_DTYPE_BF16, folder, &r, &err);
        hn_alloc_fail_at(0, false);
        if (st != HN_OK && st != HN_ERR_MEMORY && st != HN_ERR_INPUT)
            fail_msg("allocation %zu: %s: %s", k, err.where, err.message);
        hn_test_folder_remove(folder);
    }
    assert_int_equal(st, HN_OK);
    hn_model_close(m);
}

int main(void) {
    hn_json_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merged_logits_are_those_of_peft),
        cmocka_unit_test(without_an_adapter_the_tensors_are_the_same), cmocka_unit_test(halves_are_rounded_once),
        cmocka_unit_test(a_model_that_is_there_stays), cmocka_unit_test(memory_running_out_is_a_status)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
