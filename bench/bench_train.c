/* How fast a network learns, and in how much memory.
 *
 *     build/bench_train MODEL.gguf [RANK] [SHAPE...]       RANK 0: all weights (default 16); SHAPE such as 8x128 (default 8x128 4x512),
 *                                                          or 460+32x35: 32 cases of 35 tokens, the last 5 supervised, behind 460 that all share
 *
 * Each line: forward, backward and an AdamW step over a batch of that many sequences of that many tokens, every token supervised, random ids with a
 * fixed seed; the median of the repetitions after one that does not count. GFLOP/s counts the matrix products that the mathematics asks for: forward,
 * gradients of inputs, gradients of the weights that learn, and attention. HONE_ISA chooses the kernels. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/rng.h"
#include "train/adamw.h"
#include "train/network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { REPEATS = 5, MAX_SEQUENCES = 512, ANSWER_TOKENS = 5 };

typedef struct work {
    int prefix, sequences, length;
} work;

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int supervised_of(const work *w) { return w->sequences * (w->prefix ? ANSWER_TOKENS : w->length - 1); }

static double flops(const hn_shape *s, int rank, const work *w) {
    double C = s->n_embd, Q = s->n_heads * s->head_size, KV = s->n_kv_heads * s->head_size, F = s->n_ff,
           own = (double)w->sequences * w->length, P = w->prefix, T = P + own;
    double linear = 2 * C * Q + 2 * C * KV + 3 * C * F, low = rank * (4 * C + 2 * Q + 2 * KV + 3 * C + 3 * F) * 1.0;
    double layer = rank ? 2 * linear + 3 * low : 3 * linear;
    double output = (rank ? 2 : 3) * C * (double)s->n_vocab;
    double seen = P * (P + 1) / 2 + own * (P + (w->length + 1) / 2.0),
           attention = 3.5 * 2 * Q * seen; /* 2 products, 5 back */
    return 2 * (s->n_layers * (T * layer + attention) + supervised_of(w) * output);
}

static int fail(const hn_error *err) {
    fprintf(stderr, "%s: %s\n", err->where, err->message);
    return 1;
}

static int measure(hn_network *n, const hn_shape *shape, int rank, const work *w) {
    int rows = w->prefix + w->sequences * w->length, learned = w->prefix ? ANSWER_TOKENS : w->length;
    int32_t *ids = hn_calloc((size_t)rows, sizeof *ids), *targets = hn_calloc((size_t)rows, sizeof *targets),
            starts[MAX_SEQUENCES];
    double times[REPEATS + 1], loss = 0, *losses = hn_calloc((size_t)rows, sizeof *losses);
    hn_adamw adam = {.learning_rate = 1e-4f, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f};
    hn_error err;
    hn_rng rng;
    hn_status st = ids && targets && losses ? HN_OK : hn_fail_memory(&err, 0);
    hn_rng_seed(&rng, 5, 0);
    for (int i = 0; i < rows && st == HN_OK; i++) ids[i] = (int32_t)hn_rng_below(&rng, (uint64_t)shape->n_vocab);
    for (int i = 0; i < rows && st == HN_OK; i++) { /* without a prefix a sequence's last token has no target */
        int at = (i - w->prefix) % w->length;
        bool is_learned = i >= w->prefix && at >= w->length - learned && (w->prefix || at + 1 < w->length);
        targets[i] = is_learned ? ids[(i + 1) % rows] : HN_NO_TARGET;
    }
    for (int s = 0; s < w->sequences; s++) starts[s] = w->prefix + s * w->length;
    hn_train_batch b = {.ids = ids,
                        .targets = targets,
                        .starts = starts,
                        .n_rows = rows,
                        .n_sequences = w->sequences,
                        .prefix_rows = w->prefix};
    for (int k = 0; k <= REPEATS && st == HN_OK; k++) {
        size_t count;
        double from = hn_clock_seconds();
        hn_network_clear_gradients(n);
        st = hn_network_forward(n, &b, NULL, &err);
        if (st == HN_OK) st = hn_network_backward(n, &b, losses, &err);
        const hn_tensor *tensors = hn_network_tensors(n, &count);
        if (st == HN_OK) st = hn_adamw_step(&adam, tensors, count, &err);
        times[k] = hn_clock_seconds() - from;
        loss = 0;
        for (int i = 0; i < rows; i++) loss += losses[i] / supervised_of(w);
    }
    if (st == HN_OK) {
        struct rusage usage;
        qsort(times + 1, REPEATS, sizeof *times, by_value);
        double median = times[1 + REPEATS / 2];
        getrusage(RUSAGE_SELF, &usage);
        printf("%d+%dx%d rank %d: %.0f tokens/s, %.1f cases/s (%.2f to %.2f s a step), %.0f GFLOP/s, %.2f GB at most, "
               "last loss %.3f\n",
               w->prefix, w->sequences, w->length, rank, rows / median, w->sequences / median, times[1], times[REPEATS],
               flops(shape, rank, w) / median / 1e9, (double)usage.ru_maxrss * 1024 / 1e9, loss);
    }
    hn_adamw_free(&adam);
    hn_free(ids), hn_free(targets), hn_free(losses);
    return st == HN_OK ? 0 : fail(&err);
}

int main(int argc, char **argv) {
    static const char *const usual[] = {"8x128", "4x512"};
    hn_error err;
    hn_model *model;
    hn_pool *pool;
    const hn_kernels *kernels;
    hn_network *n;
    if (argc < 2) return fprintf(stderr, "usage: bench_train MODEL.gguf [RANK] [SHAPE...]\n"), 2;
    hn_network_options o = {.lora_rank = argc > 2 ? atoi(argv[2]) : 16, .lora_alpha = 32, .seed = 1};
    if (hn_model_open(argv[1], 0, &model, &err) != HN_OK || hn_pool_create(0, &pool, &err) != HN_OK ||
        hn_kernels_choose(NULL, &kernels, &err) != HN_OK ||
        hn_network_create(model, &o, kernels, pool, &n, &err) != HN_OK)
        return fail(&err);
    printf("%s, %d threads\n", kernels->arithmetic, hn_pool_size(pool));
    int status = 0, n_shapes = argc > 3 ? argc - 3 : 2;
    for (int i = 0; i < n_shapes && status == 0; i++) {
        work w = {0};
        const char *shape = argc > 3 ? argv[3 + i] : usual[i];
        bool fine = sscanf(shape, "%d+%dx%d", &w.prefix, &w.sequences, &w.length) == 3;
        if (!fine) w.prefix = 0, fine = sscanf(shape, "%dx%d", &w.sequences, &w.length) == 2;
        if (!fine || w.prefix < 0 || w.sequences < 1 || w.sequences > MAX_SEQUENCES || w.length <= ANSWER_TOKENS)
            return fprintf(stderr, "%s is no shape such as 8x128 or 460+32x35\n", shape), 2;
        status = measure(n, hn_model_shape(model), o.lora_rank, &w);
    }
    hn_network_free(n);
    hn_pool_free(pool);
    hn_model_close(model);
    return status;
}
