/* How fast a network learns, and in how much memory.
 *
 *     build/bench_train MODEL.gguf [RANK] [SHAPE...] [--steps N] [--threads N] [--ids FILE] [--checkpoint] [--json]
 *
 * RANK 0: all weights learn (default 16). SHAPE such as 8x128 (default 8x128 4x512): 8 sequences of 128 tokens, each but the last supervising; or
 * 460+32x35: 32 cases of 35 tokens, the last 5 supervised, behind 460 that all share.
 *
 * Each line: forward, backward and an AdamW step over such a batch; the median of the steps after one that does not count. The ids are random with a
 * fixed seed, or those of FILE (numbers between blanks, exactly as many as the shape has). GFLOP/s counts the matrix products that the mathematics asks
 * for: forward, gradients of inputs, gradients of the weights that learn, and attention. HONE_ISA chooses the kernels. With --json a line is an
 * object that bench/train reads; peak memory is the process's, so take one shape a process. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/rng.h"
#include "kernel/machine.h"
#include "train/adamw.h"
#include "train/network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { MAX_STEPS = 100, MAX_SEQUENCES = 512, MAX_SHAPES = 16, ANSWER_TOKENS = 5 };

typedef struct settings {
    int steps, rank, threads; /* threads 0: as many as there are CPUs */
    const char *ids;          /* a file, or NULL */
    bool json, checkpoint;
    double peak; /* floating point operations a second that the machine has; 0: not measured */
} settings;

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

/* Ids of the batch, from the file or random. */
static hn_status fill_ids(const settings *o, int32_t *ids, int rows, int vocabulary, hn_error *err) {
    hn_rng rng;
    int n = 0, id;
    hn_rng_seed(&rng, 5, 0);
    if (!o->ids) {
        for (int i = 0; i < rows; i++) ids[i] = (int32_t)hn_rng_below(&rng, (uint64_t)vocabulary);
        return HN_OK;
    }
    FILE *file = fopen(o->ids, "r");
    if (!file) return hn_fail(err, HN_ERR_INPUT, o->ids, NULL, "it cannot be opened");
    while (n <= rows && fscanf(file, "%d", &id) == 1) {
        if (n < rows) ids[n] = id;
        n++;
    }
    bool whole = feof(file) && n == rows;
    fclose(file);
    return whole ? HN_OK : hn_fail(err, HN_ERR_INPUT, o->ids, NULL, "it does not hold %d ids and nothing else", rows);
}

/* A row's target is the next token of its own sequence. */
static void fill_targets(const work *w, const int32_t *ids, int32_t *targets, int rows) {
    int learned = w->prefix ? ANSWER_TOKENS : w->length - 1;
    for (int i = 0; i < rows; i++) {
        int at = i < w->prefix ? -1 : (i - w->prefix) % w->length;
        bool is_learned = at >= w->length - 1 - learned && at + 1 < w->length;
        targets[i] = at >= 0 && is_learned ? ids[i + 1] : HN_NO_TARGET;
    }
}

typedef struct result {
    double times[MAX_STEPS + 1], first_loss, last_loss;
    double cases[MAX_SEQUENCES]; /* mean loss of each sequence's supervised tokens in the first step */
} result;

static hn_status step(hn_network *n, hn_adamw *adam, const hn_train_batch *b, double *losses, hn_error *err) {
    size_t count;
    hn_network_clear_gradients(n);
    HN_TRY(hn_network_forward(n, b, NULL, err));
    HN_TRY(hn_network_backward(n, b, losses, err));
    const hn_tensor *tensors = hn_network_tensors(n, &count);
    return hn_adamw_step(adam, tensors, count, err);
}

static hn_status take_steps(hn_network *n, const settings *o, const work *w, const hn_train_batch *b, double *losses,
                            result *r, hn_error *err) {
    hn_adamw adam = {.learning_rate = 1e-4f, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f};
    hn_status st = HN_OK;
    for (int k = 0; k <= o->steps && st == HN_OK; k++) {
        double from = hn_clock_seconds();
        st = step(n, &adam, b, losses, err);
        r->times[k] = hn_clock_seconds() - from;
        r->last_loss = 0;
        for (int i = 0; i < b->n_rows; i++) {
            double share = losses[i] / supervised_of(w);
            r->last_loss += share;
            if (k == 0 && i >= w->prefix) r->cases[(i - w->prefix) / w->length] += share * w->sequences;
        }
        if (k == 0) r->first_loss = r->last_loss;
    }
    hn_adamw_free(&adam);
    return st;
}

static void print_result(const settings *o, const work *w, const hn_shape *shape, result *r) {
    struct rusage usage;
    int rows = w->prefix + w->sequences * w->length;
    qsort(r->times + 1, (size_t)o->steps, sizeof r->times[0], by_value);
    double median = r->times[1 + o->steps / 2], operations = flops(shape, o->rank, w);
    getrusage(RUSAGE_SELF, &usage); /* the most that was resident, as VmHWM */
    if (!o->json) {
        printf("%d+%dx%d rank %d: %.0f tokens/s, %.1f cases/s (%.2f to %.2f s a step), %.0f GFLOP/s, %.2f GB at most, "
               "first loss %.4f, last %.4f\n",
               w->prefix, w->sequences, w->length, o->rank, rows / median, w->sequences / median, r->times[1],
               r->times[o->steps], operations / median / 1e9, (double)usage.ru_maxrss * 1024 / 1e9, r->first_loss,
               r->last_loss);
        return;
    }
    printf("{\"rows\": %d, \"cases\": %d, \"steps\": %d, \"median_s\": %.6f, \"lowest_s\": %.6f, \"highest_s\": %.6f, "
           "\"flops\": %.0f, \"peak_flops_per_s\": %.0f, \"memory_bytes\": %.0f, \"first_loss\": %.6f, "
           "\"last_loss\": %.6f, \"case_losses\": [",
           rows, w->sequences, o->steps, median, r->times[1], r->times[o->steps], operations, o->peak,
           (double)usage.ru_maxrss * 1024, r->first_loss, r->last_loss);
    for (int s = 0; s < w->sequences; s++) printf("%s%.6f", s ? ", " : "", r->cases[s]);
    printf("]}\n");
}

static int measure(hn_network *n, const hn_shape *shape, const settings *o, const work *w) {
    int rows = w->prefix + w->sequences * w->length;
    int32_t *ids = hn_calloc((size_t)rows, sizeof *ids), *targets = hn_calloc((size_t)rows, sizeof *targets),
            starts[MAX_SEQUENCES];
    double *losses = hn_calloc((size_t)rows, sizeof *losses);
    result r = {0};
    hn_error err;
    hn_status st = ids && targets && losses ? HN_OK : hn_fail_memory(&err, 0);
    if (st == HN_OK) st = fill_ids(o, ids, rows, shape->n_vocab, &err);
    if (st == HN_OK) fill_targets(w, ids, targets, rows);
    for (int s = 0; s < w->sequences; s++) starts[s] = w->prefix + s * w->length;
    hn_train_batch b = {.ids = ids,
                        .targets = targets,
                        .starts = starts,
                        .n_rows = rows,
                        .n_sequences = w->sequences,
                        .prefix_rows = w->prefix};
    if (st == HN_OK) st = take_steps(n, o, w, &b, losses, &r, &err);
    if (st == HN_OK) print_result(o, w, shape, &r);
    hn_free(ids), hn_free(targets), hn_free(losses);
    return st == HN_OK ? 0 : fail(&err);
}

static bool read_shape(const char *text, work *w) {
    *w = (work){0};
    bool fine = sscanf(text, "%d+%dx%d", &w->prefix, &w->sequences, &w->length) == 3;
    if (!fine) w->prefix = 0, fine = sscanf(text, "%dx%d", &w->sequences, &w->length) == 2;
    return fine && w->prefix >= 0 && w->prefix < 1 << 20 && w->sequences >= 1 && w->sequences <= MAX_SEQUENCES &&
           w->length > ANSWER_TOKENS && w->length < 1 << 20;
}

/* Flags into *o, what is left into `plain`; false for what is not understood. */
static bool read_arguments(int argc, char **argv, settings *o, const char **plain, int *n_plain) {
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--json") == 0)
            o->json = true;
        else if (strcmp(argv[i], "--checkpoint") == 0)
            o->checkpoint = true;
        else if (strcmp(argv[i], "--steps") == 0 && has_value)
            o->steps = (int)strtol(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--threads") == 0 && has_value)
            o->threads = (int)strtol(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--ids") == 0 && has_value)
            o->ids = argv[++i];
        else if (argv[i][0] != '-' && *n_plain < MAX_SHAPES + 2)
            plain[(*n_plain)++] = argv[i];
        else
            return false;
    }
    if (*n_plain > 1) o->rank = (int)strtol(plain[1], NULL, 10);
    return *n_plain > 0 && o->steps >= 1 && o->steps <= MAX_STEPS && o->threads >= 0;
}

int main(int argc, char **argv) {
    const char *plain[MAX_SHAPES + 2] = {NULL}, *usual[] = {"8x128", "4x512"};
    settings o = {.steps = 5, .rank = 16};
    int n_plain = 0, status = 0;
    hn_machine machine;
    hn_error err;
    hn_model *model;
    hn_pool *pool;
    const hn_kernels *kernels;
    hn_network *n;
    if (!read_arguments(argc, argv, &o, plain, &n_plain))
        return fprintf(stderr, "usage: bench_train MODEL.gguf [RANK] [SHAPE...] [--steps N] [--threads N] [--ids FILE] "
                               "[--checkpoint] [--json]\n"),
               2;
    hn_network_options options = {.lora_rank = o.rank, .lora_alpha = 32, .checkpoint = o.checkpoint, .seed = 1};
    if (hn_model_open(plain[0], 0, &model, &err) != HN_OK || hn_pool_create(o.threads, &pool, &err) != HN_OK ||
        hn_kernels_choose(NULL, &kernels, &err) != HN_OK ||
        hn_machine_measure(kernels, pool, 0.3, &machine, &err) != HN_OK ||
        hn_network_create(model, &options, kernels, pool, &n, &err) != HN_OK)
        return fail(&err);
    o.peak = machine.flops_per_s;
    if (!o.json)
        printf("%s, %d threads, %.0f GFLOP/s at most\n", kernels->arithmetic, hn_pool_size(pool), o.peak / 1e9);
    int n_shapes = n_plain > 2 ? n_plain - 2 : 2;
    for (int i = 0; i < n_shapes && status == 0; i++) {
        const char *shape = n_plain > 2 ? plain[2 + i] : usual[i];
        work w;
        if (!read_shape(shape, &w)) return fprintf(stderr, "%s is no shape such as 8x128 or 460+32x35\n", shape), 2;
        status = measure(n, hn_model_shape(model), &o, &w);
    }
    hn_network_free(n);
    hn_pool_free(pool);
    hn_model_close(model);
    return status;
}
