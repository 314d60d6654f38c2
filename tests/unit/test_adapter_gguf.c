/* GGUF adapters against the one that llama.cpp's converter made of PEFT's folder: what is written from the folder is that file's tensors bit for bit, and
 * back; and what is refused: models, other families, other shapes, tensors of nothing, and files that are damaged anywhere. */
#include "engine_support.h"
#include "support.h"

#include "base/alloc.h"
#include "format/gguf_write.h"
#include "format/safetensors.h"
#include "model/adapter_export.h"

#include <stdio.h>
#include <string.h>

static char peft[HN_PATH_MAX], golden[HN_PATH_MAX], base[HN_PATH_MAX], folder[HN_PATH_MAX], out[HN_PATH_MAX];
static bool here;

static int enter(void **state) {
    (void)state;
    here = hn_test_shared("goldens/train/lora_final", peft) &&
           hn_test_shared("goldens/train/lora_final.gguf", golden) &&
           hn_test_shared("goldens/tiny/llama/model.gguf", base);
    hn_test_folder(folder);
    return hn_path_join(out, folder, "out.gguf", NULL) == HN_OK ? 0 : -1;
}

static int leave(void **state) {
    (void)state;
    hn_test_folder_remove(folder);
    return 0;
}

static void the_folder_becomes_the_converters_file(void **state) {
    (void)state;
    hn_error err;
    hn_adapter a;
    hn_gguf *want, *have;
    if (!here) skip();
    hn_model *m = hn_test_model_open(base, HN_MODEL_IDS_ONLY);
    hn_arena *arena = hn_arena_create(0);
    hn_test_ok(hn_adapter_read(peft, hn_model_shape(m), arena, &a, &err), &err);
    assert_int_equal(a.n_parts, 14);
    assert_int_equal(a.rank, 4);
    hn_test_ok(hn_adapter_export_gguf(&a, hn_model_shape(m), "x", out, &err), &err);
    hn_test_ok(hn_gguf_open(golden, &want, &err), &err);
    hn_test_ok(hn_gguf_open(out, &have, &err), &err);
    assert_int_equal(hn_gguf_tensor_count(have), hn_gguf_tensor_count(want));
    for (size_t i = 0; i < hn_gguf_tensor_count(have); i++) {
        const hn_gguf_tensor *t = hn_gguf_tensor_at(have, i), *w = NULL;
        for (size_t k = 0; k < hn_gguf_tensor_count(want); k++)
            if (hn_str_equal(hn_gguf_tensor_at(want, k)->name, t->name)) w = hn_gguf_tensor_at(want, k);
        assert_non_null(w);
        assert_true(w->dtype == t->dtype);
        assert_memory_equal(t->dims, w->dims, sizeof t->dims);
        assert_memory_equal(t->data, w->data, w->size_bytes);
    }
    static const char *const texts[] = {"general.architecture", "general.type", "adapter.type"};
    for (int i = 0; i < 3; i++) assert_true(hn_str_equal(hn_gguf_str(have, texts[i]), hn_gguf_str(want, texts[i])));
    assert_true(hn_gguf_f64(have, "adapter.lora.alpha", 0) == hn_gguf_f64(want, "adapter.lora.alpha", 1));
    hn_gguf_close(want), hn_gguf_close(have);
    hn_arena_free(arena);
    hn_model_close(m);
}

static void and_back(void **state) {
    (void)state;
    hn_error err;
    hn_adapter a;
    char path[HN_PATH_MAX], made[HN_PATH_MAX];
    hn_safetensors *want, *have;
    if (!here) skip();
    hn_model *m = hn_test_model_open(base, HN_MODEL_IDS_ONLY);
    hn_arena *arena = hn_arena_create(0);
    hn_test_ok(hn_adapter_read(golden, hn_model_shape(m), arena, &a, &err), &err);
    hn_test_ok(hn_path_join(made, folder, "peft", &err), &err);
    hn_test_ok(hn_adapter_export_peft(&a, hn_model_shape(m), "some/base", made, &err), &err);
    hn_test_ok(hn_path_join(path, peft, "adapter_model.safetensors", &err), &err);
    hn_test_ok(hn_safetensors_open(path, &want, &err), &err);
    hn_test_ok(hn_path_join(path, made, "adapter_model.safetensors", &err), &err);
    hn_test_ok(hn_safetensors_open(path, &have, &err), &err);
    assert_int_equal(hn_safetensors_count(have), hn_safetensors_count(want));
    for (size_t i = 0; i < hn_safetensors_count(have); i++) {
        const hn_safetensor *x = hn_safetensors_at(want, i), *y = hn_safetensors_at(have, i);
        assert_string_equal(x->name, y->name);
        assert_int_equal(x->size_bytes, y->size_bytes);
        assert_memory_equal(x->data, y->data, x->size_bytes);
    }
    hn_safetensors_close(want), hn_safetensors_close(have);
    hn_test_ok(hn_adapter_read(made, hn_model_shape(m), arena, &a, &err), &err);
    assert_string_equal(a.base_name, "some/base");
    assert_true(a.alpha == 8);
    hn_arena_free(arena);
    hn_model_close(m);
}

/* ---- what is refused ---- */

static hn_status read_adapter(const hn_model *m, const char *path, hn_error *err) {
    hn_adapter a;
    hn_arena *arena = hn_arena_create(0);
    hn_status st = hn_adapter_read(path, hn_model_shape(m), arena, &a, err);
    hn_arena_free(arena);
    return st;
}

typedef struct made_adapter {
    const char *general, *type, *family, *tensor, *extra; /* NULL: as it should be, or none */
    int64_t k, n, r_a, r_b;
    hn_dtype dtype;
    bool no_alpha, lonely; /* lonely: A without B */
    hn_status status;
    const char *says;
} made_adapter;

static void make_adapter(const made_adapter *a) {
    hn_gguf_writer *w;
    hn_error err;
    char name[100];
    static const unsigned char bytes[1 << 16];
    hn_dtype dtype = a->dtype ? a->dtype : HN_DTYPE_F32;
    hn_test_ok(hn_gguf_writer_create(out, &w, &err), &err);
    hn_test_ok(hn_gguf_writer_set_str(w, "general.type", a->general ? a->general : "adapter", &err), &err);
    hn_test_ok(hn_gguf_writer_set_str(w, "adapter.type", a->type ? a->type : "lora", &err), &err);
    hn_test_ok(hn_gguf_writer_set_str(w, "general.architecture", a->family ? a->family : "llama", &err), &err);
    if (!a->no_alpha) hn_test_ok(hn_gguf_writer_set_f32(w, "adapter.lora.alpha", 8, &err), &err);
    if (a->extra) hn_test_ok(hn_gguf_writer_set_u32(w, a->extra, 1, &err), &err);
    for (int side = 0; side < (a->lonely ? 1 : 2); side++) {
        int64_t dims[2] = {side ? a->r_b : a->k, side ? a->n : a->r_a};
        snprintf(name, sizeof name, "%s.lora_%c", a->tensor ? a->tensor : "blk.1.attn_v.weight", "ab"[side]);
        hn_test_ok(hn_gguf_writer_declare(w, hn_str_of(name), dtype, 2, dims, &err), &err);
    }
    hn_test_ok(hn_gguf_writer_begin(w, &err), &err);
    for (int side = 0; side < (a->lonely ? 1 : 2); side++) {
        size_t n;
        assert_true(hn_dtype_bytes(dtype, (uint64_t)(side ? a->r_b * a->n : a->k * a->r_a), &n));
        hn_test_ok(hn_gguf_writer_data(w, bytes, n, &err), &err);
    }
    hn_test_ok(hn_gguf_writer_finish(w, &err), &err);
    hn_gguf_writer_free(w);
}

static void what_does_not_fit_is_named(void **state) {
    (void)state;
    static const made_adapter cases[] = {
        {.k = 64, .n = 32, .r_a = 4, .r_b = 4, .status = HN_OK, .says = ""},
        {.k = 64, .n = 32, .r_a = 4, .r_b = 4, .dtype = HN_DTYPE_F16, .status = HN_OK, .says = ""},
        {.k = 64, .n = 32, .r_a = 4, .r_b = 4, .dtype = HN_DTYPE_BF16, .status = HN_OK, .says = ""},
        {.k = 64, .n = 32, .r_a = 32, .r_b = 32, .dtype = HN_DTYPE_Q8_0, .status = HN_OK, .says = ""},
        {.k = 64, .n = 32, .r_a = 32, .r_b = 32, .dtype = HN_DTYPE_Q4_0, .status = HN_ERR_UNSUPPORTED, .says = "Q4_0"},
        {.general = "model", .k = 64, .n = 32, .r_a = 4, .r_b = 4, .status = HN_ERR_INPUT, .says = "\"model\""},
        {.type = "control_vector",
         .k = 64,
         .n = 32,
         .r_a = 4,
         .r_b = 4,
         .status = HN_ERR_UNSUPPORTED,
         .says = "control_vector"},
        {.family = "qwen2", .k = 64, .n = 32, .r_a = 4, .r_b = 4, .status = HN_ERR_INPUT, .says = "family"},
        {.extra = "adapter.alora.invocation_tokens",
         .k = 64,
         .n = 32,
         .r_a = 4,
         .r_b = 4,
         .status = HN_ERR_UNSUPPORTED,
         .says = "alora"},
        {.no_alpha = true, .k = 64, .n = 32, .r_a = 4, .r_b = 4, .status = HN_ERR_INPUT, .says = "lora.alpha"},
        {.k = 128, .n = 32, .r_a = 4, .r_b = 4, .status = HN_ERR_INPUT, .says = "32 by 128, the model's is 32 by 64"},
        {.k = 64, .n = 64, .r_a = 4, .r_b = 4, .status = HN_ERR_INPUT, .says = "64 by 64, the model's is 32 by 64"},
        {.k = 64, .n = 32, .r_a = 4, .r_b = 5, .status = HN_ERR_INPUT, .says = "does not fit"},
        {.lonely = true, .k = 64, .n = 32, .r_a = 4, .r_b = 4, .status = HN_ERR_INPUT, .says = "not whole"},
        {.tensor = "blk.2.attn_v.weight",
         .k = 64,
         .n = 32,
         .r_a = 4,
         .r_b = 4,
         .status = HN_ERR_UNSUPPORTED,
         .says = "blk.2.attn_v.weight.lora_a belongs to no linear part of this model of 2 layers"},
        {.tensor = "blk.99999999999.attn_v.weight",
         .k = 64,
         .n = 32,
         .r_a = 4,
         .r_b = 4,
         .status = HN_ERR_UNSUPPORTED,
         .says = "blk.99999999999"},
        {.tensor = "token_embd.weight",
         .k = 64,
         .n = 512,
         .r_a = 4,
         .r_b = 4,
         .status = HN_ERR_UNSUPPORTED,
         .says = "token_embd.weight.lora_a"},
    };
    if (!here) skip();
    hn_model *m = hn_test_model_open(base, HN_MODEL_IDS_ONLY);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hn_error err = {0};
        make_adapter(&cases[i]);
        hn_status st = read_adapter(m, out, &err);
        if (st != cases[i].status || !strstr(err.message, cases[i].says))
            fail_msg("case %zu: %d, %s", i, (int)st, err.message);
    }
    hn_model_close(m);
}

static void damaged_files_are_errors(void **state) {
    (void)state;
    size_t n;
    hn_error err;
    if (!here) skip();
    hn_model *m = hn_test_model_open(base, HN_MODEL_IDS_ONLY);
    char *bytes = hn_test_read(golden, &n);
    for (size_t cut = 0; cut < n; cut += cut < 2400 ? 97 : 2011) {
        hn_test_ok(hn_file_write_atomic(out, bytes, cut, &err), &err);
        assert_int_not_equal(read_adapter(m, out, &err), HN_OK);
    }
    for (size_t at = 4; at < 2400; at += 7) { /* any byte of the head may be wrong: an answer, never a fault */
        char kept = bytes[at];
        bytes[at] = (char)(kept ^ (at % 3 ? 0x80 : 0x01));
        hn_test_ok(hn_file_write_atomic(out, bytes, n, &err), &err);
        hn_status st = read_adapter(m, out, &err);
        assert_true(st == HN_OK || err.message[0]);
        bytes[at] = kept;
    }
    hn_free(bytes);
    hn_model_close(m);
}

static void memory_may_end_anywhere(void **state) {
    (void)state;
    if (!here) skip();
    hn_model *m = hn_test_model_open(base, HN_MODEL_IDS_ONLY);
    hn_status st = HN_ERR_MEMORY;
    for (size_t k = 1; st == HN_ERR_MEMORY && k < 2000; k++) {
        hn_error err = {0};
        hn_adapter a;
        hn_arena *arena = hn_arena_create(0);
        hn_alloc_fail_at(k, true);
        st = hn_adapter_read(golden, hn_model_shape(m), arena, &a, &err);
        if (st == HN_OK) st = hn_adapter_export_gguf(&a, hn_model_shape(m), "x", out, &err);
        hn_alloc_fail_at(0, false);
        hn_arena_free(arena);
    }
    assert_int_equal(st, HN_OK);
    hn_model_close(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_folder_becomes_the_converters_file, enter, leave),
        cmocka_unit_test_setup_teardown(and_back, enter, leave),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_named, enter, leave),
        cmocka_unit_test_setup_teardown(damaged_files_are_errors, enter, leave),
        cmocka_unit_test_setup_teardown(memory_may_end_anywhere, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
