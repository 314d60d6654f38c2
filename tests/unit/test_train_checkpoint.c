/* Activation checkpointing: gradients, losses and logits have the same bits whether activations are kept or computed again. The
 * model is the goldens' tiny llama. */
#include "engine_support.h"
#include "support.h"

#include "base/rng.h"
#include "train/network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 40, VOCAB_SHOWN = 200 };

static hn_pool *pool;
static const hn_kernels *best;

typedef struct rows {
    int32_t ids[ROWS], targets[ROWS], starts[3];
    uint64_t keys[3];
    hn_train_batch batch;
} rows;

static hn_model *tiny(void) {
    char path[HN_PATH_MAX];
    if (!hn_test_shared("goldens/tiny/llama", path)) return NULL;
    return hn_test_model_open(path, HN_MODEL_IDS_ONLY);
}

static void make(rows *r, int n_rows, int prefix, uint64_t seed) {
    hn_rng rng;
    hn_rng_seed(&rng, seed, 0);
    *r = (rows){.starts = {prefix, prefix + 7, prefix + 18}, .keys = {5, 6, 7}};
    for (int i = 0; i < n_rows; i++) {
        r->ids[i] = (int32_t)hn_rng_below(&rng, VOCAB_SHOWN);
        r->targets[i] = i >= prefix && i % 3 ? (int32_t)hn_rng_below(&rng, VOCAB_SHOWN) : HN_NO_TARGET;
    }
    r->batch = (hn_train_batch){.ids = r->ids,
                                .targets = r->targets,
                                .starts = r->starts,
                                .n_rows = n_rows,
                                .n_sequences = 3,
                                .prefix_rows = prefix};
}

static hn_network *network_of(const hn_model *model, hn_network_options o, const hn_kernels *kernels) {
    hn_network *n;
    hn_error err;
    size_t count;
    o.lora_alpha = 8, o.seed = 3;
    hn_test_ok(hn_network_create(model, &o, kernels, pool, &n, &err), &err);
    hn_tensor *t = hn_network_tensors(n, &count);
    for (size_t i = 0; i < count; i++) /* B begins as 0, which would leave A without a gradient */
        if (strstr(t[i].name, "lora_B"))
            for (int64_t k = 0; k < t[i].rows * t[i].columns; k++)
                t[i].w[k] = 0.02f * (float)((k * 7 + (int64_t)i) % 11 - 5);
    return n;
}

static void learn(hn_network *n, const rows *r, double *losses) {
    hn_error err;
    hn_network_clear_gradients(n);
    hn_test_ok(hn_network_forward(n, &r->batch, NULL, &err), &err);
    hn_test_ok(hn_network_backward(n, &r->batch, losses, &err), &err);
}

static void same_gradients(hn_network *a, hn_network *b) {
    size_t count, learns = 0;
    const hn_tensor *x = hn_network_tensors(a, &count), *y = hn_network_tensors(b, &count);
    for (size_t i = 0; i < count; i++) {
        if (!x[i].dw) continue;
        learns++;
        if (memcmp(x[i].dw, y[i].dw, (size_t)(x[i].rows * x[i].columns) * sizeof(float)) != 0)
            fail_msg("%s has other bits", x[i].name);
    }
    assert_true(learns > 0);
}

/* One way to train: with and without checkpoint, two batches one after the other, so that what the first left behind does not matter. */
static void compare(const hn_model *model, hn_network_options o, const hn_kernels *kernels, int prefix) {
    rows first, second;
    double losses[2][ROWS];
    make(&first, ROWS, prefix, 1), make(&second, 31, prefix, 2);
    if (o.dropout > 0) first.batch.dropout = first.keys, second.batch.dropout = second.keys;
    hn_network *plain = network_of(model, o, kernels);
    o.checkpoint = true;
    hn_network *again = network_of(model, o, kernels);
    learn(plain, &first, losses[0]), learn(again, &first, losses[1]);
    assert_memory_equal(losses[0], losses[1], sizeof losses[0]);
    same_gradients(plain, again);
    learn(plain, &second, losses[0]), learn(again, &second, losses[1]);
    assert_memory_equal(losses[0], losses[1], 31 * sizeof(double));
    same_gradients(plain, again);
    assert_true(hn_network_bytes(again) < hn_network_bytes(plain));
    hn_network_free(plain), hn_network_free(again);
}

static void a_checkpoint_changes_no_bit(void **state) {
    (void)state;
    hn_model *model = tiny();
    if (!model) skip();
    const hn_kernels *ref = hn_kernels_available(0);
    static const hn_network_options ways[] = {{.lora_rank = 0},
                                              {.lora_rank = 4},
                                              {.lora_rank = 4, .f32 = true},
                                              {.lora_rank = 4, .lora_targets = HN_LORA_Q | HN_LORA_DOWN},
                                              {.lora_rank = 4, .dora = true},
                                              {.lora_rank = 4, .dropout = 0.2f},
                                              {.lora_rank = 4, .dropout = 0.2f, .dora = true}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        compare(model, ways[i], best, 0), compare(model, ways[i], ref, 0);
        if (ways[i].dropout > 0) continue; /* not with a prefix */
        compare(model, ways[i], best, 8), compare(model, ways[i], ref, 8);
    }
    hn_model_close(model);
}

/* The backward pass leaves the first layer in the shared place: logits and a second backward pass find the last one again. */
static void what_comes_after_a_backward_pass_is_the_same(void **state) {
    (void)state;
    hn_model *model = tiny();
    if (!model) skip();
    rows r;
    hn_error err;
    make(&r, ROWS, 0, 3);
    size_t count = (size_t)ROWS * (size_t)hn_model_shape(model)->n_vocab;
    float *before = malloc(count * sizeof *before), *after = malloc(count * sizeof *after);
    assert_non_null(before), assert_non_null(after);
    for (int i = 0; i < 2; i++) {
        hn_network *n = network_of(model, (hn_network_options){.lora_rank = 4, .checkpoint = i == 1}, best);
        hn_network *once = network_of(model, (hn_network_options){.lora_rank = 4, .checkpoint = i == 1}, best);
        hn_test_ok(hn_network_forward(n, &r.batch, NULL, &err), &err);
        hn_test_ok(hn_network_logits(n, before, &err), &err);
        hn_test_ok(hn_network_backward(n, &r.batch, NULL, &err), &err);
        hn_test_ok(hn_network_logits(n, after, &err), &err);
        assert_memory_equal(before, after, count * sizeof *before);
        hn_network_clear_gradients(n);
        hn_test_ok(hn_network_backward(n, &r.batch, NULL, &err), &err);
        learn(once, &r, NULL);
        same_gradients(n, once);
        hn_network_free(n), hn_network_free(once);
    }
    free(before), free(after);
    hn_model_close(model);
}

static int begin(void **state) {
    hn_error err;
    (void)state;
    hn_test_ok(hn_pool_create(2, &pool, &err), &err);
    hn_test_ok(hn_kernels_choose(NULL, &best, &err), &err);
    return 0;
}

static int end(void **state) {
    (void)state;
    hn_pool_free(pool);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_checkpoint_changes_no_bit),
                                       cmocka_unit_test(what_comes_after_a_backward_pass_is_the_same)};
    return cmocka_run_group_tests(tests, begin, end);
}
