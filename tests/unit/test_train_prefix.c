/* Sequences behind a shared prefix against the same sequences written out in full, from the plain way's losses and gradients; and the supervised rows
 * that alone go through the last layer's end. */
#include "engine_support.h"
#include "support.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "train/network.h"

#include <math.h>
#include <string.h>

enum { PREFIX = 21, SEQUENCES = 6, MAX_ROWS = 256, VOCAB = 512 };

static hn_pool *pool;

static int start(void **state) {
    (void)state;
    hn_error err;
    hn_test_ok(hn_pool_create(2, &pool, &err), &err);
    return 0;
}

static int stop(void **state) {
    (void)state;
    hn_pool_free(pool);
    return 0;
}

typedef struct rows {
    int32_t ids[MAX_ROWS], targets[MAX_ROWS], starts[SEQUENCES];
    float weights[MAX_ROWS];
    hn_train_batch batch;
} rows;

static void begin(rows *r, int prefix_rows) {
    memset(r, 0, sizeof *r);
    r->batch = (hn_train_batch){
        .ids = r->ids, .targets = r->targets, .starts = r->starts, .weights = r->weights, .prefix_rows = prefix_rows};
}

static void add(rows *r, const int32_t *ids, int n, int n_answer, float weight) {
    for (int i = 0; i + 1 < n; i++) {
        int at = r->batch.n_rows++;
        r->ids[at] = ids[i];
        r->targets[at] = i + 1 >= n - n_answer ? ids[i + 1] : HN_NO_TARGET;
        r->weights[at] = weight;
    }
}

/* Random cases of 2 to 14 tokens behind PREFIX common ones, each with an answer of 1 to 3 tokens: in full, and behind the prefix. */
static void make(rows *full, rows *shared, int n_sequences) {
    hn_rng rng;
    int32_t ids[PREFIX + 16];
    hn_rng_seed(&rng, 11, 0);
    begin(full, 0), begin(shared, PREFIX);
    for (int i = 0; i < PREFIX; i++) ids[i] = (int32_t)hn_rng_below(&rng, VOCAB);
    memcpy(shared->ids, ids, PREFIX * sizeof *ids);
    for (int i = 0; i < PREFIX; i++) shared->targets[i] = HN_NO_TARGET;
    shared->batch.n_rows = PREFIX;
    for (int s = 0; s < n_sequences; s++) {
        int own = 2 + (int)hn_rng_below(&rng, 13), answer = 1 + s % 3;
        if (answer >= own) answer = own - 1;
        for (int i = 0; i < own; i++) ids[PREFIX + i] = (int32_t)hn_rng_below(&rng, VOCAB);
        full->starts[full->batch.n_sequences++] = full->batch.n_rows;
        shared->starts[shared->batch.n_sequences++] = shared->batch.n_rows;
        add(full, ids, PREFIX + own, answer, 0.125f * (float)(1 + s));
        add(shared, ids + PREFIX, own, answer, 0.125f * (float)(1 + s));
    }
}

static hn_network *network_of(hn_model *model, const hn_kernels *kernels, int rank, bool f32, hn_pool *with) {
    hn_network *n;
    hn_error err;
    size_t count;
    hn_network_options o = {.lora_rank = rank, .lora_alpha = 8, .seed = 3, .f32 = f32};
    hn_test_ok(hn_network_create(model, &o, kernels, with, &n, &err), &err);
    hn_tensor *t = hn_network_tensors(n, &count);
    for (size_t i = 0; rank && i < count; i++) /* B begins as 0, which would leave A without a gradient */
        if (strstr(t[i].name, "lora_B"))
            for (int64_t k = 0; k < t[i].rows * t[i].columns; k++)
                t[i].w[k] = 0.02f * (float)((k * 7 + (int64_t)i) % 11 - 5);
    return n;
}

static void run(hn_network *n, const rows *r, double *losses) {
    hn_error err;
    hn_network_clear_gradients(n);
    hn_test_ok(hn_network_forward(n, &r->batch, NULL, &err), &err);
    hn_test_ok(hn_network_backward(n, &r->batch, losses, &err), &err);
}

static double relative_l2(const hn_tensor *have, const hn_tensor *want) {
    double difference = 0, size = 0;
    for (int64_t i = 0; i < have->rows * have->columns; i++) {
        double d = (double)have->dw[i] - want->dw[i];
        difference += d * d, size += (double)want->dw[i] * want->dw[i];
    }
    assert_true(size > 0);
    return sqrt(difference / size);
}

static void compare(hn_network *have, hn_network *want, double limit) {
    size_t count;
    const hn_tensor *a = hn_network_tensors(have, &count), *b = hn_network_tensors(want, &count);
    for (size_t i = 0; i < count; i++) {
        if (!a[i].dw) continue;
        double error = relative_l2(&a[i], &b[i]);
        if (!(error <= limit)) fail_msg("%s is off by %g", a[i].name, error);
    }
}

/* Losses of the supervised rows in their order: the same in both batches. */
static void compare_losses(const rows *a, const double *la, const rows *b, const double *lb, double limit) {
    int j = 0, n = 0;
    for (int i = 0; i < a->batch.n_rows; i++) {
        if (a->targets[i] == HN_NO_TARGET) continue;
        while (b->targets[j] == HN_NO_TARGET) j++;
        assert_true(fabs(la[i] - lb[j]) <= limit * (1 + fabs(lb[j])));
        j++, n++;
    }
    assert_true(n > SEQUENCES);
}

static hn_model *tiny(void) {
    char path[HN_PATH_MAX];
    if (!hn_test_shared("goldens/tiny/llama", path)) return NULL;
    return hn_test_model_open(path, HN_MODEL_IDS_ONLY);
}

static void a_shared_prefix_learns_as_in_full(void **state) {
    (void)state;
    hn_model *model = tiny();
    if (!model) skip();
    rows full, shared;
    double losses[2][MAX_ROWS];
    const hn_kernels *k;
    make(&full, &shared, SEQUENCES);
    for (int table = 0; (k = hn_kernels_available(table)); table++)
        for (int rank = 0; rank <= 4; rank += 4) {
            hn_network *plain = network_of(model, k, rank, true, pool), *n = network_of(model, k, rank, true, pool);
            run(plain, &full, losses[0]);
            run(n, &shared, losses[1]);
            compare_losses(&full, losses[0], &shared, losses[1], 1e-5);
            compare(n, plain, 2e-5);
            hn_network_free(plain), hn_network_free(n);
        }
    hn_model_close(model);
}

/* Products in bf16 round the same rows the same way; attention's sums in another order then flip single roundings. */
static void a_shared_prefix_is_near_in_bf16(void **state) {
    (void)state;
    hn_model *model = tiny();
    if (!model) skip();
    rows full, shared;
    double losses[2][MAX_ROWS];
    const hn_kernels *k;
    hn_error err;
    hn_test_ok(hn_kernels_choose(NULL, &k, &err), &err);
    make(&full, &shared, SEQUENCES);
    hn_network *plain = network_of(model, k, 4, false, pool), *n = network_of(model, k, 4, false, pool);
    run(plain, &full, losses[0]);
    run(n, &shared, losses[1]);
    compare_losses(&full, losses[0], &shared, losses[1], 5e-3);
    compare(n, plain, 2e-2);
    hn_network_free(plain), hn_network_free(n);
    hn_model_close(model);
}

static void a_shared_prefix_has_the_same_bits_for_any_threads(void **state) {
    (void)state;
    hn_model *model = tiny();
    if (!model) skip();
    rows full, shared;
    const hn_kernels *k;
    hn_error err;
    size_t count;
    hn_test_ok(hn_kernels_choose(NULL, &k, &err), &err);
    make(&full, &shared, SEQUENCES);
    hn_network *one = network_of(model, k, 4, false, NULL), *two = network_of(model, k, 4, false, pool);
    run(one, &shared, NULL);
    run(two, &full, NULL); /* what was there before does not matter */
    run(two, &shared, NULL);
    const hn_tensor *a = hn_network_tensors(one, &count), *b = hn_network_tensors(two, &count);
    for (size_t i = 0; i < count; i++)
        if (a[i].dw) assert_memory_equal(a[i].dw, b[i].dw, (size_t)(a[i].rows * a[i].columns) * sizeof(float));
    hn_network_free(one), hn_network_free(two);
    hn_model_close(model);
}

/* A prefix's own rows may be supervised, and one sequence is enough. */
static void a_supervised_prefix_is_one_sequence(void **state) {
    (void)state;
    hn_model *model = tiny();
    if (!model) skip();
    rows full, shared;
    double losses[2][MAX_ROWS];
    const hn_kernels *k = hn_kernels_available(0);
    make(&full, &shared, 1);
    for (int i = 0; i + 1 < PREFIX; i++) {
        full.targets[i] = shared.targets[i] = shared.ids[i + 1];
        full.weights[i] = shared.weights[i] = 0.5f;
    }
    hn_network *plain = network_of(model, k, 4, true, NULL), *n = network_of(model, k, 4, true, pool);
    run(plain, &full, losses[0]);
    run(n, &shared, losses[1]);
    compare_losses(&full, losses[0], &shared, losses[1], 1e-5);
    compare(n, plain, 2e-5);
    hn_network_free(plain), hn_network_free(n);
    hn_model_close(model);
}

/* Logits of all rows do not disturb the backward pass, and those of supervised rows give the losses. */
static void logits_of_all_rows_leave_the_pass_as_it_is(void **state) {
    (void)state;
    hn_model *model = tiny();
    if (!model) skip();
    rows full, shared;
    double losses[2][MAX_ROWS];
    const hn_kernels *k = hn_kernels_available(0);
    hn_error err;
    make(&full, &shared, SEQUENCES);
    hn_network *plain = network_of(model, k, 4, true, NULL), *n = network_of(model, k, 4, true, pool);
    float *logits = hn_alloc((size_t)shared.batch.n_rows * VOCAB * sizeof *logits);
    run(plain, &shared, losses[0]);
    hn_network_clear_gradients(n);
    hn_test_ok(hn_network_forward(n, &shared.batch, NULL, &err), &err);
    hn_test_ok(hn_network_logits(n, logits, &err), &err);
    hn_test_ok(hn_network_backward(n, &shared.batch, losses[1], &err), &err);
    compare(n, plain, 0);
    for (int t = 0; t < shared.batch.n_rows; t++) {
        if (shared.targets[t] == HN_NO_TARGET) continue;
        double sum = 0;
        for (int v = 0; v < VOCAB; v++) sum += exp((double)logits[t * VOCAB + v]);
        assert_true(fabs(log(sum) - (double)logits[t * VOCAB + shared.targets[t]] - losses[0][t]) <=
                    1e-5 * (1 + losses[0][t]));
    }
    hn_free(logits);
    hn_network_free(plain), hn_network_free(n);
    hn_model_close(model);
}

static void wrong_prefixes_are_refused(void **state) {
    (void)state;
    hn_model *model = tiny();
    if (!model) skip();
    rows full, shared;
    hn_error err;
    make(&full, &shared, 2);
    hn_network *n = network_of(model, hn_kernels_available(0), 2, true, NULL);
    shared.batch.prefix_rows = PREFIX - 1;
    assert_int_equal(hn_network_forward(n, &shared.batch, NULL, &err), HN_ERR_INPUT);
    assert_non_null(strstr(err.message, "prefix"));
    shared.batch.prefix_rows = -1;
    assert_int_equal(hn_network_forward(n, &shared.batch, NULL, &err), HN_ERR_INPUT);
    shared.batch.prefix_rows = PREFIX;
    hn_test_ok(hn_network_forward(n, &shared.batch, NULL, &err), &err);
    hn_network_free(n);
    hn_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_shared_prefix_learns_as_in_full),
                                       cmocka_unit_test(a_shared_prefix_is_near_in_bf16),
                                       cmocka_unit_test(a_shared_prefix_has_the_same_bits_for_any_threads),
                                       cmocka_unit_test(a_supervised_prefix_is_one_sequence),
                                       cmocka_unit_test(logits_of_all_rows_leave_the_pass_as_it_is),
                                       cmocka_unit_test(wrong_prefixes_are_refused)};
    return cmocka_run_group_tests(tests, start, stop);
}
