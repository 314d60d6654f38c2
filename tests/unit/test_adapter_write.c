/* Saving adapters: PEFT's own folder, read and written again, has PEFT's bytes and PEFT's configuration; what is written loads beside the model
 * bit for bit; poor descriptions are refused. */
#include "support.h"

#include "base/alloc.h"
#include "format/json.h"
#include "format/safetensors.h"
#include "model/adapter_write.h"
#include "model/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TENSORS_MAX = 64 };

static char folder[HN_PATH_MAX];

static int setup(void **state) {
    (void)state;
    hn_json_init();
    hn_test_folder(folder);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    hn_test_folder_remove(folder);
    return 0;
}

static const char *const targets[] = {"v_proj", "q_proj", "k_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};
static const hn_adapter_description what = {
    .rank = 4, .alpha = 8, .base_name = "../../tiny/llama", .targets = targets, .n_targets = 7};

/* PEFT's tensors under the names that training gives them, last first. */
static size_t golden_tensors(hn_safetensors **file, hn_adapter_tensor tensors[TENSORS_MAX]) {
    static const char prefix[] = "base_model.model.";
    char path[HN_PATH_MAX];
    hn_error err;
    size_t n = 0;
    assert_true(hn_test_shared("goldens/train/lora_final/adapter_model.safetensors", path));
    hn_test_ok(hn_safetensors_open(path, file, &err), &err);
    for (size_t i = hn_safetensors_count(*file); i-- > 0 && n < TENSORS_MAX; n++) {
        const hn_safetensor *t = hn_safetensors_at(*file, i);
        float *values = hn_alloc(t->size_bytes);
        memcpy(values, t->data, t->size_bytes);
        assert_memory_equal(t->name, prefix, sizeof prefix - 1);
        tensors[n] = (hn_adapter_tensor){t->name + sizeof prefix - 1, t->dims[0], t->dims[1], values};
    }
    return n;
}

static void free_tensors(hn_safetensors *file, hn_adapter_tensor *tensors, size_t n) {
    for (size_t i = 0; i < n; i++) hn_free((void *)(uintptr_t)tensors[i].w);
    hn_safetensors_close(file);
}

static hn_status write_again(const hn_adapter_description *description, hn_error *err) {
    hn_adapter_tensor tensors[TENSORS_MAX];
    hn_safetensors *file;
    size_t n = golden_tensors(&file, tensors);
    hn_status st = hn_adapter_write(folder, description, tensors, n, err);
    free_tensors(file, tensors, n);
    return st;
}

static json_t *read_config(const char *path) {
    json_t *config;
    hn_error err;
    hn_test_ok(hn_json_read(path, 1 << 20, 0, &config, &err), &err);
    return config;
}

static void the_folder_is_pefts(void **state) {
    (void)state;
    char golden[HN_PATH_MAX], path[HN_PATH_MAX];
    hn_error err;
    size_t n_want, n_have;
    if (!hn_test_shared("goldens/train/lora_final/adapter_model.safetensors", golden)) skip();
    hn_test_ok(write_again(&what, &err), &err);
    hn_test_ok(hn_path_join(path, folder, "adapter_model.safetensors", &err), &err);
    char *want = hn_test_read(golden, &n_want), *have = hn_test_read(path, &n_have);
    assert_int_equal(n_have, n_want);
    assert_memory_equal(have, want, n_want);
    hn_free(want), hn_free(have);
    assert_true(hn_test_shared("goldens/train/lora_final/adapter_config.json", golden));
    hn_test_ok(hn_path_join(path, folder, "adapter_config.json", &err), &err);
    json_t *theirs = read_config(golden), *ours = read_config(path);
    assert_int_equal(strncmp(json_string_value(json_object_get(ours, "peft_version")), "0.21", 4), 0);
    json_object_del(theirs, "peft_version"), json_object_del(ours, "peft_version");
    assert_true(json_equal(theirs, ours));
    json_decref(theirs), json_decref(ours);
}

static hn_model *adapted(const char *adapter) {
    char path[HN_PATH_MAX];
    hn_error err;
    hn_model *m;
    assert_true(hn_test_shared("goldens/tiny/llama/model.gguf", path));
    hn_test_ok(hn_model_open(path, HN_MODEL_IDS_ONLY, &m, &err), &err);
    hn_test_ok(hn_model_add_adapter(m, adapter, &err), &err);
    return m;
}

static void what_is_written_loads_bit_for_bit(void **state) {
    (void)state;
    char golden[HN_PATH_MAX];
    hn_error err;
    if (!hn_test_shared("goldens/train/lora_final", golden)) skip();
    hn_test_ok(write_again(&what, &err), &err);
    hn_model *theirs = adapted(golden), *ours = adapted(folder);
    int n_low = 0;
    for (int l = 0; l < hn_model_shape(ours)->n_layers; l++) {
        const hn_layer *x = &hn_model_weights(theirs)->layers[l], *y = &hn_model_weights(ours)->layers[l];
        const hn_matrix *const m[] = {&x->q, &x->k, &x->v, &x->o, &x->gate, &x->up, &x->down};
        for (int k = 0; k < HN_LINEARS_OF_LAYER; k++, n_low++) {
            const hn_low_rank *p = &x->low_rank[k], *q = &y->low_rank[k];
            assert_int_equal(p->rank, 4);
            assert_int_equal(q->rank, 4);
            assert_memory_equal(p->a, q->a, (size_t)(4 * m[k]->n_in) * sizeof(float));
            assert_memory_equal(p->b, q->b, (size_t)(4 * m[k]->n_out) * sizeof(float));
        }
    }
    assert_int_equal(n_low, 14);
    hn_model_close(theirs), hn_model_close(ours);
}

static void scaling_is_kept(void **state) {
    (void)state;
    char golden[HN_PATH_MAX];
    hn_error err;
    hn_adapter_description stable = what;
    if (!hn_test_shared("goldens/train/lora_final", golden)) skip();
    stable.rank_stabilised = true, stable.alpha = 5.5F, stable.base_name = NULL; /* 5.5 / sqrt 4 against 8 / 4 */
    hn_test_ok(write_again(&stable, &err), &err);
    hn_model *theirs = adapted(golden), *ours = adapted(folder);
    const float *p = hn_model_weights(theirs)->layers[1].low_rank[6].b,
                *q = hn_model_weights(ours)->layers[1].low_rank[6].b;
    for (int i = 0; i < 4 * 64; i++) assert_true(fabsf(q[i] - p[i] * 1.375F) <= 1e-6F * fabsf(q[i]));
    hn_model_close(theirs), hn_model_close(ours);
}

static void poor_descriptions_are_refused(void **state) {
    (void)state;
    static const float w[16] = {1};
    static const char a[] = "model.layers.0.mlp.up_proj.lora_A.weight",
                      b[] = "model.layers.0.mlp.up_proj.lora_B.weight";
    hn_adapter_tensor fine = {a, 4, 2, w}, cases[] = {{a, 3, 2, w}, {b, 4, 2, w},    {"model.norm.weight", 4, 4, w},
                                                      {a, 4, 0, w}, {a, 4, 2, NULL}, {NULL, 4, 2, w}};
    hn_adapter_description poor[] = {what, what, what};
    hn_error err;
    poor[0].rank = 0, poor[1].alpha = NAN, poor[2].n_targets = 0;
    for (size_t i = 0; i < 3; i++) assert_int_equal(hn_adapter_write(folder, &poor[i], &fine, 1, &err), HN_ERR_USAGE);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(hn_adapter_write(folder, &what, &cases[i], 1, &err), HN_ERR_USAGE);
    assert_int_equal(hn_adapter_write(folder, &what, NULL, 0, &err), HN_ERR_USAGE);
    hn_adapter_tensor twice[] = {fine, fine};
    assert_int_equal(hn_adapter_write(folder, &what, twice, 2, &err), HN_ERR_INPUT);
}

static void memory_running_out_is_a_status(void **state) {
    (void)state;
    static const float w[16] = {1};
    hn_adapter_tensor fine = {"model.layers.0.mlp.up_proj.lora_A.weight", 4, 2, w};
    hn_status st = HN_ERR_MEMORY;
    for (size_t k = 1; st == HN_ERR_MEMORY; k++) {
        hn_error err;
        hn_alloc_fail_at(k, true);
        st = hn_adapter_write(folder, &what, &fine, 1, &err);
        hn_alloc_fail_at(0, false);
    }
    assert_int_equal(st, HN_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_folder_is_pefts), cmocka_unit_test(what_is_written_loads_bit_for_bit),
        cmocka_unit_test(scaling_is_kept), cmocka_unit_test(poor_descriptions_are_refused),
        cmocka_unit_test(memory_running_out_is_a_status)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
