/* Estimates of a run; see estimate.h. Macro F1 is counted anew per resample without building a confusion matrix: three
 * counts per class. */
#include "stats/estimate.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "stats/groups.h"
#include "stats/metrics.h"

#include <math.h>
#include <string.h>

hn_status hn_estimate_accuracy(const int32_t *truth, const int32_t *predicted, size_t n, const uint32_t *group,
                               hn_estimate *out, hn_error *err) {
    *out = (hn_estimate){NAN, NAN, NAN};
    if (n == 0) return HN_OK;
    unsigned char *correct = hn_calloc(n, sizeof *correct);
    if (!correct) return hn_fail_memory(err, n);
    size_t n_correct = 0;
    for (size_t i = 0; i < n; i++) n_correct += correct[i] = truth[i] == predicted[i];
    hn_interval interval;
    hn_status st = hn_interval_proportion(correct, group, n, 0.05, &interval, err);
    hn_free(correct);
    if (st == HN_OK) *out = (hn_estimate){(double)n_correct / (double)n, interval.low, interval.high};
    return st;
}

typedef struct f1_run {
    const int32_t *truth, *predicted;
    size_t n_classes;
    bool all_classes;
    uint32_t (*counts)[2]; /* (n_classes) per class: right answers; cases plus answers */
} f1_run;

static double macro_f1(const uint32_t *cases, size_t n, void *user) {
    f1_run *run = user;
    memset(run->counts, 0, run->n_classes * sizeof *run->counts);
    for (size_t i = 0; i < n; i++) {
        int32_t truth = run->truth[cases[i]], predicted = run->predicted[cases[i]];
        run->counts[truth][1]++;
        if (predicted == HN_NO_LABEL) continue;
        run->counts[predicted][1]++;
        run->counts[predicted][0] += truth == predicted;
    }
    double sum = 0;
    size_t n_used = 0;
    for (size_t k = 0; k < run->n_classes; k++) {
        if (run->counts[k][1]) sum += 2.0 * run->counts[k][0] / run->counts[k][1];
        n_used += run->all_classes || run->counts[k][1];
    }
    return n_used ? sum / (double)n_used : NAN;
}

/* ---- many cases: blocks ---- */

enum { BLOCKS = 2000 };

/* What macro F1 needs of each block: three counts per class, as two. */
typedef struct blocks {
    uint32_t *counts; /* (BLOCKS, n_classes, 2) right answers; cases plus answers */
    uint64_t *sums;   /* (n_classes, 2) of those drawn */
    size_t n_classes;
    bool all_classes;
} blocks;

static double blocks_macro_f1(const uint32_t *drawn, size_t n, void *user) {
    blocks *b = user;
    size_t width = 2 * b->n_classes, n_used = 0;
    double sum = 0;
    memset(b->sums, 0, width * sizeof *b->sums);
    for (size_t i = 0; i < n; i++) {
        const uint32_t *counts = b->counts + drawn[i] * width;
        for (size_t k = 0; k < width; k++) b->sums[k] += counts[k];
    }
    for (size_t k = 0; k < b->n_classes; k++) {
        uint64_t hits = b->sums[2 * k], all = b->sums[2 * k + 1];
        if (all) sum += 2.0 * (double)hits / (double)all;
        n_used += b->all_classes || all;
    }
    return n_used ? sum / (double)n_used : NAN;
}

static void add_case(blocks *b, uint32_t block, int32_t truth, int32_t predicted) {
    uint32_t *counts = b->counts + (size_t)block * 2 * b->n_classes;
    counts[2 * truth + 1]++;
    if (predicted == HN_NO_LABEL) return;
    counts[2 * predicted + 1]++;
    counts[2 * predicted] += truth == predicted;
}

/* Groups stay whole; which go together is drawn at random, so that an order in the data makes no block unlike another. */
static hn_status deal(const f1_run *run, const hn_groups *groups, uint64_t seed, blocks *b, hn_error *err) {
    hn_rng rng;
    uint32_t *order = hn_alloc(groups->n_groups * sizeof *order);
    if (!order) return hn_fail_memory(err, groups->n_groups * sizeof *order);
    hn_rng_seed(&rng, seed, 0xB10C);
    for (size_t g = 0; g < groups->n_groups; g++) order[g] = (uint32_t)g;
    hn_rng_shuffle_u32(&rng, order, groups->n_groups);
    for (size_t g = 0; g < groups->n_groups; g++)
        for (uint32_t i = groups->start[order[g]]; i < groups->start[order[g] + 1]; i++)
            add_case(b, (uint32_t)(g % BLOCKS), run->truth[groups->cases[i]], run->predicted[groups->cases[i]]);
    hn_free(order);
    return HN_OK;
}

static hn_status estimate_by_blocks(const f1_run *run, const hn_groups *groups, uint64_t seed, hn_estimate *out,
                                    hn_error *err) {
    blocks b = {.n_classes = run->n_classes, .all_classes = run->all_classes};
    size_t n_counts;
    if (!hn_mul_size(BLOCKS, 2 * run->n_classes, &n_counts)) return hn_fail_memory(err, SIZE_MAX);
    b.counts = hn_calloc(n_counts, sizeof *b.counts);
    b.sums = hn_calloc(2 * run->n_classes, sizeof *b.sums);
    hn_status st =
        b.counts && b.sums ? deal(run, groups, seed, &b, err) : hn_fail_memory(err, n_counts * sizeof *b.counts);
    hn_bootstrap_options o = {.seed = seed};
    if (st == HN_OK) st = hn_bootstrap(blocks_macro_f1, &b, BLOCKS, NULL, &o, out, err);
    hn_free(b.counts);
    hn_free(b.sums);
    return st;
}

hn_status hn_estimate_macro_f1(const int32_t *truth, const int32_t *predicted, size_t n, size_t n_classes,
                               bool all_classes, const uint32_t *group, uint64_t seed, hn_estimate *out,
                               hn_error *err) {
    *out = (hn_estimate){NAN, NAN, NAN};
    for (size_t i = 0; i < n; i++) {
        bool fits = truth[i] >= 0 && (size_t)truth[i] < n_classes &&
                    (predicted[i] == HN_NO_LABEL || (predicted[i] >= 0 && (size_t)predicted[i] < n_classes));
        if (!fits)
            return hn_fail(err, HN_ERR_INPUT, NULL, NULL,
                           "case %zu: truth %d, prediction %d, but there are %zu classes", i, (int)truth[i],
                           (int)predicted[i], n_classes);
    }
    f1_run run = {.truth = truth, .predicted = predicted, .n_classes = n_classes, .all_classes = all_classes};
    if (n > HN_BLOCKS_FROM) {
        hn_groups groups;
        HN_TRY(hn_groups_build(group, n, &groups, err));
        bool many = groups.n_groups > HN_BLOCKS_FROM;
        hn_status st = many ? estimate_by_blocks(&run, &groups, seed, out, err) : HN_OK;
        hn_groups_free(&groups);
        if (many || st != HN_OK) return st;
    }
    run.counts = hn_calloc(n_classes, sizeof *run.counts);
    if (!run.counts) return hn_fail_memory(err, n_classes * sizeof *run.counts);
    hn_bootstrap_options o = {.seed = seed};
    hn_status st = hn_bootstrap(macro_f1, &run, n, group, &o, out, err);
    hn_free(run.counts);
    return st;
}
