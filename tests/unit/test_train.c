/* The trainable network against PyTorch's and PEFT's losses, gradients and optimizer steps (../shared/goldens/train), against finite differences,
 * and against itself with another number of threads. */
#include "engine_support.h"
#include "support.h"

#include "base/alloc.h"
#include "format/safetensors.h"
#include "train/adamw.h"
#include "train/network.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROWS = 64 };

typedef struct golden_batch {
    int32_t ids[MAX_ROWS], targets[MAX_ROWS], starts[4];
    float weights[MAX_ROWS];
    hn_train_batch batch;
} golden_batch;

static hn_pool *pool;
static const hn_kernels *kernels;

static int start(void **state) {
    (void)state;
    hn_error err;
    hn_test_ok(hn_pool_create(2, &pool, &err), &err);
    hn_test_ok(hn_kernels_choose("ref", &kernels, &err), &err);
    return 0;
}

static int stop(void **state) {
    (void)state;
    hn_pool_free(pool);
    return 0;
}

static hn_model *tiny(void) {
    char path[HN_PATH_MAX];
    if (!hn_test_shared("goldens/tiny/llama", path)) return NULL;
    return hn_test_model_open(path, HN_MODEL_IDS_ONLY);
}

static hn_network *network_of(hn_model *model, int rank, float alpha, hn_pool *with) {
    hn_network *n;
    hn_error err;
    hn_network_options o = {.lora_rank = rank, .lora_alpha = alpha, .seed = 3};
    hn_test_ok(hn_network_create(model, &o, kernels, with, &n, &err), &err);
    return n;
}

/* A sequence behind those that are there. Label t is scored by the logits of t - 1. */
static void add_sequence(golden_batch *g, const json_t *ids, const json_t *labels) {
    int n = (int)json_array_size(ids), from = g->batch.n_rows;
    g->starts[g->batch.n_sequences++] = from;
    for (int i = 0; i < n; i++) {
        g->ids[from + i] = (int32_t)json_integer_value(json_array_get(ids, (size_t)i));
        json_int_t next = i + 1 < n ? json_integer_value(json_array_get(labels, (size_t)i + 1)) : -100;
        g->targets[from + i] = next < 0 ? HN_NO_TARGET : (int32_t)next;
    }
    g->batch.n_rows += n;
}

static void begin(golden_batch *g) {
    *g = (golden_batch){0};
    g->batch = (hn_train_batch){.ids = g->ids, .targets = g->targets, .starts = g->starts};
}

static golden_batch batch_of(const json_t *batches, size_t k) {
    golden_batch g;
    const json_t *b = json_array_get(json_object_get(batches, "batches"), k), *ids = json_object_get(b, "input_ids"),
                 *labels = json_object_get(b, "labels");
    begin(&g);
    for (size_t i = 0; i < json_array_size(ids); i++)
        add_sequence(&g, json_array_get(ids, i), json_array_get(labels, i));
    return g;
}

/* The copy that a function returned points into the old one. */
static void settle(golden_batch *g) {
    g->batch.ids = g->ids;
    g->batch.targets = g->targets;
    g->batch.starts = g->starts;
}

static double mean_loss(hn_network *n, const hn_train_batch *b) {
    double losses[MAX_ROWS], sum = 0;
    int count = 0;
    hn_error err;
    hn_test_ok(hn_network_forward(n, b, losses, &err), &err);
    for (int t = 0; t < b->n_rows; t++) sum += losses[t], count += b->targets[t] != HN_NO_TARGET;
    return sum / count;
}

static hn_safetensors *open_tensors(const char *name) {
    char path[HN_PATH_MAX];
    hn_safetensors *s;
    hn_error err;
    assert_true(hn_test_shared(name, path));
    hn_test_ok(hn_safetensors_open(path, &s, &err), &err);
    return s;
}

static double relative_l2(const float *have, const float *want, size_t n) {
    double difference = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)have[i] - want[i];
        difference += d * d;
        size += (double)want[i] * want[i];
    }
    return size > 0 ? sqrt(difference / size) : sqrt(difference);
}

static void compare_gradients(hn_network *n, const char *file) {
    hn_safetensors *s = open_tensors(file);
    for (size_t i = 0; i < hn_safetensors_count(s); i++) {
        const hn_safetensor *want = hn_safetensors_at(s, i);
        const hn_tensor *have = hn_network_find(n, want->name);
        if (!have || !have->dw) fail_msg("no gradient of %s", want->name);
        assert_int_equal(want->size_bytes, (size_t)(have->rows * have->columns) * sizeof(float));
        double error = relative_l2(have->dw, want->data, want->size_bytes / sizeof(float));
        if (!(error <= 1e-4)) fail_msg("%s is off by %g", want->name, error);
    }
    hn_safetensors_close(s);
}

static void load_adapter(hn_network *n, const char *file) {
    static const char prefix[] = "base_model.model.";
    hn_safetensors *s = open_tensors(file);
    for (size_t i = 0; i < hn_safetensors_count(s); i++) {
        const hn_safetensor *t = hn_safetensors_at(s, i);
        assert_true(strncmp(t->name, prefix, sizeof prefix - 1) == 0);
        hn_tensor *to = hn_network_find(n, t->name + sizeof prefix - 1);
        assert_non_null(to);
        assert_int_equal(t->size_bytes, (size_t)(to->rows * to->columns) * sizeof(float));
        memcpy(to->w, t->data, t->size_bytes);
    }
    hn_safetensors_close(s);
}

static double golden_number(const json_t *o, const char *key, size_t i) {
    return json_number_value(json_array_get(json_object_get(o, key), i));
}

/* ---- ten steps ---- */

/* Steps as the golden did them; losses, norms and the gradients of the first steps are compared on the way. */
static void ten_steps(hn_network *n, const json_t *batches, const json_t *golden, const char *const *gradients) {
    const json_t *optimizer = json_object_get(golden, "optimizer");
    hn_adamw adam = {.learning_rate = (float)hn_test_number(optimizer, "lr"),
                     .beta1 = 0.9f,
                     .beta2 = 0.999f,
                     .eps = 1e-8f,
                     .weight_decay = (float)hn_test_number(optimizer, "weight_decay")};
    hn_error err;
    for (size_t step = 0; step < 10; step++) {
        golden_batch g = batch_of(batches, (size_t)golden_number(batches, "step_batch", step));
        double losses[MAX_ROWS], sum = 0;
        size_t count, supervised = 0;
        settle(&g);
        double loss = mean_loss(n, &g.batch), want = golden_number(golden, "loss_before_each_step", step);
        if (!(fabs(loss - want) <= 1e-5)) fail_msg("loss %.9g instead of %.9g at step %zu", loss, want, step + 1);
        hn_network_clear_gradients(n);
        hn_test_ok(hn_network_backward(n, &g.batch, losses, &err), &err);
        for (int t = 0; t < g.batch.n_rows; t++) sum += losses[t], supervised += g.targets[t] != HN_NO_TARGET;
        assert_true(fabs(sum / (double)supervised - loss) <= 1e-6 * loss);
        const hn_tensor *tensors = hn_network_tensors(n, &count);
        double norm = hn_gradient_norm(tensors, count),
               norm_want = golden_number(golden, "grad_norm_before_each_step", step);
        if (!(fabs(norm - norm_want) <= 1e-4 * norm_want))
            fail_msg("norm %.9g, not %.9g, at %zu", norm, norm_want, step + 1);
        if (step < 2 && gradients[step]) compare_gradients(n, gradients[step]);
        hn_test_ok(hn_adamw_step(&adam, tensors, count, &err), &err);
    }
    golden_batch first = batch_of(batches, 0);
    settle(&first);
    assert_true(fabs(mean_loss(n, &first.batch) - hn_test_number(golden, "loss_batch0_after_10_steps")) <= 1e-5);
    hn_adamw_free(&adam);
}

static void all_weights_learn_as_in_pytorch(void **state) {
    (void)state;
    static const char *const gradients[] = {"goldens/train/full_grad_step1.safetensors", NULL};
    hn_model *model = tiny();
    if (!model) skip();
    json_t *batches = hn_test_json("goldens/train/batches.json"), *golden = hn_test_json("goldens/train/full.json");
    hn_network *n = network_of(model, 0, 0, pool);
    ten_steps(n, batches, golden, gradients);
    hn_safetensors *s = open_tensors("goldens/train/full_final_selected.safetensors");
    assert_true(hn_safetensors_count(s) > 9);
    for (size_t i = 0; i < hn_safetensors_count(s); i++) { /* the first rows of each tensor */
        const hn_safetensor *want = hn_safetensors_at(s, i);
        char name[112];
        snprintf(name, sizeof name, "%s", want->name);
        char *cut = strstr(name, "[");
        if (cut) *cut = 0;
        const hn_tensor *have = hn_network_find(n, name);
        if (!have) fail_msg("there is no %s", name);
        double error = relative_l2(have->w, want->data, want->size_bytes / sizeof(float));
        if (!(error <= 1e-4)) fail_msg("%s is off by %g", want->name, error);
    }
    hn_safetensors_close(s);
    hn_network_free(n);
    json_decref(batches), json_decref(golden);
    hn_model_close(model);
}

static void an_adapter_learns_as_in_peft(void **state) {
    (void)state;
    static const char *const gradients[] = {"goldens/train/lora_grad_step1.safetensors",
                                            "goldens/train/lora_grad_step2.safetensors"};
    hn_model *model = tiny();
    if (!model) skip();
    json_t *batches = hn_test_json("goldens/train/batches.json"), *golden = hn_test_json("goldens/train/lora.json");
    hn_network *n = network_of(model, 4, 8, pool);
    load_adapter(n, "goldens/train/lora_init/adapter_model.safetensors");
    ten_steps(n, batches, golden, gradients);
    hn_safetensors *s = open_tensors("goldens/train/lora_final/adapter_model.safetensors");
    for (size_t i = 0; i < hn_safetensors_count(s); i++) {
        const hn_safetensor *want = hn_safetensors_at(s, i);
        const hn_tensor *have = hn_network_find(n, want->name + strlen("base_model.model."));
        for (size_t k = 0; k < want->size_bytes / sizeof(float); k++)
            assert_true(fabsf(have->w[k] - ((const float *)want->data)[k]) <= 1e-5f);
    }
    hn_safetensors_close(s);
    hn_network_free(n);
    json_decref(batches), json_decref(golden);
    hn_model_close(model);
}

static void a_trained_adapter_gives_its_logits(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    hn_model *model = tiny();
    if (!model) skip();
    json_t *batches = hn_test_json("goldens/train/batches.json");
    hn_network *n = network_of(model, 4, 8, pool);
    hn_error err;
    golden_batch g = batch_of(batches, 0);
    settle(&g);
    load_adapter(n, "goldens/train/lora_final/adapter_model.safetensors");
    size_t count = (size_t)g.batch.n_rows * 512;
    float *have = hn_alloc(count * sizeof *have), *want = hn_alloc(count * sizeof *want);
    hn_test_ok(hn_network_forward(n, &g.batch, NULL, &err), &err);
    hn_test_ok(hn_network_logits(n, have, &err), &err);
    assert_true(hn_test_shared("goldens/train/lora_final_logits.bin", path));
    FILE *f = fopen(path, "rb");
    assert_int_equal(fread(want, sizeof *want, count, f), count);
    fclose(f);
    for (size_t i = 0; i < count; i++) assert_true(fabsf(have[i] - want[i]) <= 1e-4f);
    hn_free(have), hn_free(want);
    hn_network_free(n);
    json_decref(batches);
    hn_model_close(model);
}

/* ---- preferences ---- */

static void add_pair_side(golden_batch *g, const json_t *prompt, const json_t *answer) {
    json_t *ids = json_array(), *labels = json_array(), *v;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)prompt, i, v) json_array_append(ids, v),
        json_array_append_new(labels, json_integer(-100));
    json_array_foreach((json_t *)(uintptr_t)answer, i, v) json_array_append(ids, v), json_array_append(labels, v);
    add_sequence(g, ids, labels);
    json_decref(ids), json_decref(labels);
}

/* ln p of each sequence's supervised tokens. */
static void sequence_logps(hn_network *n, const hn_train_batch *b, double *logp) {
    double losses[MAX_ROWS];
    hn_error err;
    hn_test_ok(hn_network_forward(n, b, losses, &err), &err);
    for (int s = 0; s < b->n_sequences; s++) {
        logp[s] = 0;
        int end = s + 1 < b->n_sequences ? b->starts[s + 1] : b->n_rows;
        for (int t = b->starts[s]; t < end; t++) logp[s] -= losses[t];
    }
}

static void preferences_have_the_gradients_of_dpo(void **state) {
    (void)state;
    hn_model *model = tiny();
    if (!model) skip();
    json_t *golden = hn_test_json("goldens/train/dpo.json");
    const json_t *pairs = json_object_get(golden, "pairs"), *pair;
    hn_network *policy = network_of(model, 4, 8, pool), *reference = network_of(model, 4, 8, pool); /* its B is 0 */
    hn_error err;
    double beta = hn_test_number(golden, "beta"), total = 0;
    size_t i, n = json_array_size(pairs);
    load_adapter(policy, "goldens/train/lora_final/adapter_model.safetensors");
    hn_network_clear_gradients(policy);
    json_array_foreach((json_t *)(uintptr_t)pairs, i, pair) {
        golden_batch g;
        double mine[2], theirs[2];
        begin(&g);
        add_pair_side(&g, json_object_get(pair, "prompt_ids"), json_object_get(pair, "chosen_ids"));
        add_pair_side(&g, json_object_get(pair, "prompt_ids"), json_object_get(pair, "rejected_ids"));
        g.batch.weights = g.weights;
        sequence_logps(reference, &g.batch, theirs);
        sequence_logps(policy, &g.batch, mine);
        assert_true(fabs(mine[0] - hn_test_number(pair, "policy_chosen_logp")) <= 1e-3);
        assert_true(fabs(theirs[1] - hn_test_number(pair, "ref_rejected_logp")) <= 1e-3);
        double margin = beta * ((mine[0] - theirs[0]) - (mine[1] - theirs[1])), loss = log1p(exp(-margin));
        assert_true(fabs(loss - hn_test_number(pair, "loss")) <= 1e-5);
        total += loss / (double)n;
        double pull = beta / (1 + exp(margin)) / (double)n; /* -dloss/dmargin, beta included */
        for (int t = 0; t < g.batch.n_rows; t++) g.weights[t] = (float)(t < g.starts[1] ? pull : -pull);
        hn_test_ok(hn_network_backward(policy, &g.batch, NULL, &err), &err);
    }
    assert_true(fabs(total - hn_test_number(golden, "loss_mean")) <= 1e-5);
    compare_gradients(policy, "goldens/train/dpo_grad.safetensors");
    hn_network_free(policy), hn_network_free(reference);
    json_decref(golden);
    hn_model_close(model);
}

/* ---- packing, threads, finite differences ---- */

static void packed_sequences_do_not_see_each_other(void **state) {
    (void)state;
    hn_model *model = tiny();
    if (!model) skip();
    json_t *golden = hn_test_json("goldens/train/packing.json");
    hn_network *n = network_of(model, 0, 0, pool);
    golden_batch g;
    double losses[MAX_ROWS], a = 0, b = 0;
    hn_error err;
    begin(&g);
    add_sequence(&g, json_object_get(golden, "ids_a"), json_object_get(golden, "labels_a"));
    add_sequence(&g, json_object_get(golden, "ids_b"), json_object_get(golden, "labels_b"));
    hn_test_ok(hn_network_forward(n, &g.batch, losses, &err), &err);
    for (int t = 0; t < g.batch.n_rows; t++) *(t < g.starts[1] ? &a : &b) += losses[t];
    assert_true(fabs(a - hn_test_number(golden, "loss_sum_a")) <= 1e-3);
    assert_true(fabs(b - hn_test_number(golden, "loss_sum_b")) <= 1e-3);
    hn_network_free(n);
    json_decref(golden);
    hn_model_close(model);
}

static void gradients_have_the_same_bits_for_any_threads(void **state) {
    (void)state;
    hn_model *model = tiny();
    if (!model) skip();
    json_t *batches = hn_test_json("goldens/train/batches.json");
    const hn_kernels *best;
    hn_error err;
    hn_test_ok(hn_kernels_choose(NULL, &best, &err), &err);
    hn_network *nets[2];
    size_t count;
    for (int i = 0; i < 2; i++) {
        hn_network_options o = {.lora_rank = 4, .lora_alpha = 8, .seed = 3};
        golden_batch g = batch_of(batches, 1);
        settle(&g);
        hn_test_ok(hn_network_create(model, &o, best, i ? pool : NULL, &nets[i], &err), &err);
        hn_network_clear_gradients(nets[i]);
        hn_test_ok(hn_network_forward(nets[i], &g.batch, NULL, &err), &err);
        hn_test_ok(hn_network_backward(nets[i], &g.batch, NULL, &err), &err);
    }
    const hn_tensor *a = hn_network_tensors(nets[0], &count), *b = hn_network_tensors(nets[1], &count);
    for (size_t i = 0; i < count; i++)
        if (a[i].dw) assert_memory_equal(a[i].dw, b[i].dw, (size_t)(a[i].rows * a[i].columns) * sizeof(float));
    hn_network_free(nets[0]), hn_network_free(nets[1]);
    json_decref(batches);
    hn_model_close(model);
}

/* Moving each tensor a little along its own gradient must change the loss by the gradient's square: central differences. */
static void gradients_agree_with_finite_differences(void **state) {
    (void)state;
    hn_model *model = tiny();
    if (!model) skip();
    json_t *batches = hn_test_json("goldens/train/batches.json");
    hn_network *n = network_of(model, 0, 0, pool);
    golden_batch g = batch_of(batches, 2);
    hn_error err;
    size_t count;
    settle(&g);
    mean_loss(n, &g.batch);
    hn_network_clear_gradients(n);
    hn_test_ok(hn_network_backward(n, &g.batch, NULL, &err), &err);
    const hn_tensor *tensors = hn_network_tensors(n, &count);
    for (size_t i = 0; i < count; i++) {
        const hn_tensor *t = &tensors[i];
        size_t size = (size_t)(t->rows * t->columns);
        double squares = 0, sides[2];
        for (size_t k = 0; k < size; k++) squares += (double)t->dw[k] * t->dw[k];
        float step = (float)(2e-2 / sqrt(squares)), *kept = hn_alloc(size * sizeof *kept);
        memcpy(kept, t->w, size * sizeof *kept);
        for (int side = 0; side < 2; side++) {
            for (size_t k = 0; k < size; k++) t->w[k] = kept[k] + (side ? step : -step) * t->dw[k];
            sides[side] = mean_loss(n, &g.batch);
        }
        memcpy(t->w, kept, size * sizeof *kept);
        hn_free(kept);
        double slope = (sides[1] - sides[0]) / (2 * (double)step);
        if (!(fabs(slope - squares) <= 5e-3 * squares)) fail_msg("%s: %g instead of %g", t->name, slope, squares);
    }
    hn_network_free(n);
    json_decref(batches);
    hn_model_close(model);
}

/* With bf16 products (where this CPU has them) gradients are near those in f32: rounding to 8 bits moves each product by up to 2^-8. */
static void bf16_gradients_are_near(void **state) {
    (void)state;
    hn_model *model = tiny();
    if (!model) skip();
    json_t *batches = hn_test_json("goldens/train/batches.json");
    const hn_kernels *best;
    hn_error err;
    hn_test_ok(hn_kernels_choose(NULL, &best, &err), &err);
    hn_network *nets[2];
    size_t count;
    double losses[2][MAX_ROWS];
    golden_batch g = batch_of(batches, 1);
    settle(&g);
    for (int i = 0; i < 2; i++) {
        hn_network_options o = {.lora_rank = 4, .lora_alpha = 8, .f32 = i == 0};
        hn_test_ok(hn_network_create(model, &o, best, pool, &nets[i], &err), &err);
        load_adapter(nets[i], "goldens/train/lora_final/adapter_model.safetensors");
        hn_network_clear_gradients(nets[i]);
        hn_test_ok(hn_network_forward(nets[i], &g.batch, NULL, &err), &err);
        hn_test_ok(hn_network_backward(nets[i], &g.batch, losses[i], &err), &err);
    }
    for (int t = 0; t < g.batch.n_rows; t++) assert_true(fabs(losses[0][t] - losses[1][t]) < 0.15);
    const hn_tensor *a = hn_network_tensors(nets[0], &count), *b = hn_network_tensors(nets[1], &count);
    for (size_t i = 0; i < count; i++) {
        if (!a[i].dw) continue;
        double error = relative_l2(b[i].dw, a[i].dw, (size_t)(a[i].rows * a[i].columns));
        if (!(error < 0.05)) fail_msg("%s is off by %g", a[i].name, error);
    }
    hn_network_free(nets[0]), hn_network_free(nets[1]);
    json_decref(batches);
    hn_model_close(model);
}

static void wrong_batches_are_refused(void **state) {
    (void)state;
    hn_model *model = tiny();
    if (!model) skip();
    hn_network *n = network_of(model, 2, 4, NULL);
    hn_error err;
    int32_t ids[] = {1, 5, 600}, targets[] = {5, HN_NO_TARGET, HN_NO_TARGET}, starts[] = {0, 3};
    hn_train_batch b = {.ids = ids, .targets = targets, .starts = starts, .n_rows = 3, .n_sequences = 1};
    assert_int_equal(hn_network_backward(n, &b, NULL, &err), HN_ERR_USAGE);
    assert_int_equal(hn_network_forward(n, &b, NULL, &err), HN_ERR_INPUT);
    ids[2] = 6;
    targets[0] = HN_NO_TARGET;
    assert_int_equal(hn_network_forward(n, &b, NULL, &err), HN_ERR_INPUT);
    assert_non_null(strstr(err.message, "supervised"));
    targets[0] = 512;
    assert_int_equal(hn_network_forward(n, &b, NULL, &err), HN_ERR_INPUT);
    targets[0] = 5;
    b.n_sequences = 2;
    assert_int_equal(hn_network_forward(n, &b, NULL, &err), HN_ERR_INPUT);
    b.n_sequences = 0;
    assert_int_equal(hn_network_forward(n, &b, NULL, &err), HN_ERR_INPUT);
    b.n_sequences = 1;
    hn_test_ok(hn_network_forward(n, &b, NULL, &err), &err);
    hn_network_free(n);
    hn_model_close(model);
}

static void memory_running_out_is_a_status(void **state) {
    (void)state;
    hn_model *model = tiny();
    if (!model) skip();
    int32_t ids[] = {1, 5, 6}, targets[] = {5, 6, HN_NO_TARGET}, starts[] = {0};
    hn_train_batch b = {.ids = ids, .targets = targets, .starts = starts, .n_rows = 3, .n_sequences = 1};
    hn_network_options o = {.lora_rank = 2, .lora_alpha = 4};
    hn_status st = HN_ERR_MEMORY;
    for (size_t k = 1; st == HN_ERR_MEMORY; k++) {
        hn_network *n = NULL;
        hn_adamw adam = {.learning_rate = 1e-3f, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f};
        hn_error err;
        size_t count;
        hn_alloc_fail_at(k, true);
        st = hn_network_create(model, &o, kernels, NULL, &n, &err);
        if (st == HN_OK) st = hn_network_forward(n, &b, NULL, &err);
        if (st == HN_OK) st = hn_network_backward(n, &b, NULL, &err);
        const hn_tensor *tensors = n ? hn_network_tensors(n, &count) : NULL;
        if (st == HN_OK) st = hn_adamw_step(&adam, tensors, count, &err);
        hn_alloc_fail_at(0, false);
        hn_adamw_free(&adam);
        hn_network_free(n);
    }
    assert_int_equal(st, HN_OK);
    hn_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_weights_learn_as_in_pytorch),
                                       cmocka_unit_test(an_adapter_learns_as_in_peft),
                                       cmocka_unit_test(a_trained_adapter_gives_its_logits),
                                       cmocka_unit_test(preferences_have_the_gradients_of_dpo),
                                       cmocka_unit_test(packed_sequences_do_not_see_each_other),
                                       cmocka_unit_test(gradients_have_the_same_bits_for_any_threads),
                                       cmocka_unit_test(gradients_agree_with_finite_differences),
                                       cmocka_unit_test(bf16_gradients_are_near),
                                       cmocka_unit_test(wrong_batches_are_refused),
                                       cmocka_unit_test(memory_running_out_is_a_status)};
    return cmocka_run_group_tests(tests, start, stop);
}
