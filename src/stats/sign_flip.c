/* The sign-flip permutation test; see paired.h. Test and interval come from one array: the mean difference of each set
 * of groups whose signs are flipped. Exact for up to EXACT_GROUPS groups (Gray code: one group joins or leaves per
 * step). */
#include "stats/paired.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "stats/groups.h"

#include <math.h>
#include <stdlib.h>

enum { EXACT_GROUPS = 14 };

typedef struct flips {
    double *sums;  /* (n_groups) sum of a group's differences */
    double *sizes; /* (n_groups) its number of cases */
    double *means; /* (n_sets) mean difference of the cases in each flipped set, empty set left out */
    size_t n_groups, n_sets;
    double rounding; /* sums nearer to 0 than this are 0: they are told apart by rounding only */
} flips;

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double set_mean(const flips *f, double sum, double size) { return fabs(sum) <= f->rounding ? 0 : sum / size; }

static void go_through_all(flips *f) {
    uint32_t in = 0;
    f->n_sets = ((size_t)1 << f->n_groups) - 1;
    for (uint32_t i = 1; i <= f->n_sets; i++) {
        in ^= i & -i;
        double sum = 0, size = 0;
        for (size_t g = 0; g < f->n_groups; g++)
            if (in >> g & 1) sum += f->sums[g], size += f->sizes[g];
        f->means[i - 1] = set_mean(f, sum, size);
    }
}

static void draw_sets(flips *f, uint64_t seed) {
    hn_rng rng;
    hn_rng_seed(&rng, seed, 0xF11B);
    for (size_t i = 0; i < f->n_sets;) {
        double sum = 0, size = 0;
        uint64_t bits = 0;
        for (size_t g = 0; g < f->n_groups; g++, bits >>= 1) {
            if (g % 64 == 0) bits = hn_rng_next(&rng);
            double in = (double)(bits & 1);
            sum += in * f->sums[g];
            size += in * f->sizes[g];
        }
        if (size > 0) f->means[i++] = set_mean(f, sum, size);
    }
}

/* p and the interval from the sets' means. */
static void judge(flips *f, double alpha, hn_sign_flip_result *out) {
    size_t at_most = 1, at_least = 1; /* the observed signs count */
    for (size_t i = 0; i < f->n_sets; i++) at_most += f->means[i] <= 0, at_least += f->means[i] >= 0;
    double patterns = (double)f->n_sets + 1;
    out->p = fmin(1, 2 * (double)(at_most < at_least ? at_most : at_least) / patterns);
    qsort(f->means, f->n_sets, sizeof *f->means, by_value);
    size_t k = (size_t)(alpha / 2 * patterns); /* patterns a tail may hold */
    if (k > 0) out->interval = (hn_interval){f->means[k - 1], f->means[f->n_sets - k]};
}

/* Few differing groups say little about how many differ; see the header. */
static void widen(double alpha, double range, hn_sign_flip_result *out) {
    if (out->n_positive + out->n_negative >= 6) return;
    hn_interval signs = hn_paired_proportion_interval((int64_t)out->n_negative, (int64_t)out->n_positive,
                                                      (int64_t)out->n_groups, alpha);
    out->interval.low = fmin(out->interval.low, range * signs.low);
    out->interval.high = fmax(out->interval.high, range * signs.high);
}

static hn_status sum_groups(const double *differences, const uint32_t *group, size_t n, flips *f,
                            hn_sign_flip_result *out, hn_error *err) {
    hn_groups groups;
    HN_TRY(hn_groups_build(group, n, &groups, err));
    f->n_groups = out->n_groups = groups.n_groups;
    f->sums = hn_calloc(f->n_groups, sizeof *f->sums);
    f->sizes = hn_calloc(f->n_groups, sizeof *f->sizes);
    if (!f->sums || !f->sizes) {
        hn_groups_free(&groups);
        return hn_fail_memory(err, f->n_groups * sizeof *f->sums);
    }
    double total = 0, absolute = 0;
    for (size_t i = 0; i < n; i++) absolute += fabs(differences[i]);
    f->rounding = 1e-12 * absolute;
    for (size_t g = 0; g < f->n_groups; g++) {
        for (uint32_t i = groups.start[g]; i < groups.start[g + 1]; i++) f->sums[g] += differences[groups.cases[i]];
        f->sizes[g] = (double)(groups.start[g + 1] - groups.start[g]);
        total += f->sums[g];
        out->n_positive += f->sums[g] > f->rounding;
        out->n_negative += f->sums[g] < -f->rounding;
    }
    out->mean = total / (double)n;
    hn_groups_free(&groups);
    return HN_OK;
}

hn_status hn_sign_flip(const double *differences, const uint32_t *group, size_t n, const hn_sign_flip_options *options,
                       hn_sign_flip_result *out, hn_error *err) {
    hn_sign_flip_options o = options ? *options : (hn_sign_flip_options){0};
    if (o.n_draws == 0) o.n_draws = 9999;
    if (o.alpha == 0) o.alpha = 0.05;
    if (o.range == 0) o.range = 1;
    *out = (hn_sign_flip_result){.mean = NAN, .p = NAN, .interval = {-o.range, o.range}};
    if (n == 0) return HN_OK;
    flips f = {0};
    hn_status st = sum_groups(differences, group, n, &f, out, err);
    if (st != HN_OK) goto done;
    out->exact = f.n_groups <= EXACT_GROUPS;
    f.n_sets = out->exact ? (size_t)1 << f.n_groups : o.n_draws;
    f.means = hn_calloc(f.n_sets, sizeof *f.means);
    if (!f.means) {
        st = hn_fail_memory(err, f.n_sets * sizeof *f.means);
        goto done;
    }
    if (out->exact)
        go_through_all(&f);
    else
        draw_sets(&f, o.seed);
    judge(&f, o.alpha, out);
    widen(o.alpha, o.range, out);
done:
    hn_free(f.sums);
    hn_free(f.sizes);
    hn_free(f.means);
    return st;
}
