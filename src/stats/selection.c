/* The winner's curse; see selection.h. The noise of each resample is kept, (n_resamples, n_candidates), since how far
 * the means are drawn together depends on all of it. */
#include "stats/selection.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "stats/groups.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct contest {
    const double *scores; /* (K, n) */
    size_t K, n, n_resamples;
    hn_groups groups;
    double *by_case; /* (n, K): the scores turned, so that one case's scores lie together */
    double *means;   /* (K), later drawn together */
    double *noise;   /* (n_resamples, K): resampled minus observed mean */
    double *excess;  /* (n_resamples): of the winner of each repetition */
} contest;

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static size_t first_best(const double *x, size_t n) {
    size_t best = 0;
    for (size_t k = 1; k < n; k++)
        if (x[k] > x[best]) best = k;
    return best;
}

static double variance(const double *x, size_t n) {
    double mean = 0, sum = 0;
    for (size_t k = 0; k < n; k++) mean += x[k] / (double)n;
    for (size_t k = 0; k < n; k++) sum += (x[k] - mean) * (x[k] - mean);
    return n > 1 ? sum / (double)(n - 1) : 0;
}

static hn_status turn_scores(contest *c, hn_error *err) {
    for (size_t k = 0; k < c->K; k++)
        for (size_t i = 0; i < c->n; i++) {
            double score = c->scores[k * c->n + i];
            if (!isfinite(score))
                return hn_fail(err, HN_ERR_INPUT, "selection", "leave the case out",
                               "the score of candidate %zu on case %zu is %g", k, i, score);
            c->by_case[i * c->K + k] = score;
            c->means[k] += score / (double)c->n;
        }
    return HN_OK;
}

static void draw_noise(contest *c, uint64_t seed) {
    hn_rng rng;
    hn_rng_seed(&rng, seed, 0x5E1E);
    for (size_t r = 0; r < c->n_resamples; r++) {
        double *sums = c->noise + r * c->K;
        size_t n_drawn = 0;
        for (size_t g = 0; g < c->groups.n_groups; g++) {
            size_t drawn = (size_t)hn_rng_below(&rng, c->groups.n_groups);
            for (uint32_t i = c->groups.start[drawn]; i < c->groups.start[drawn + 1]; i++, n_drawn++) {
                const double *row = c->by_case + (size_t)c->groups.cases[i] * c->K;
                for (size_t k = 0; k < c->K; k++) sums[k] += row[k];
            }
        }
        for (size_t k = 0; k < c->K; k++) sums[k] = sums[k] / (double)n_drawn - c->means[k];
    }
}

/* Draws the means together; returns the share of their spread that is kept. */
static double draw_together(contest *c) {
    double noise = 0, spread = variance(c->means, c->K), middle = 0;
    for (size_t r = 0; r < c->n_resamples; r++) noise += variance(c->noise + r * c->K, c->K) / (double)c->n_resamples;
    if (c->groups.n_groups > 1) /* a resample's variance is too small by (G - 1) / G */
        noise *= (double)c->groups.n_groups / ((double)c->groups.n_groups - 1);
    double kept = spread > 0 ? fmax(0, 1 - noise / spread) : noise > 0 ? 0 : 1;
    for (size_t k = 0; k < c->K; k++) middle += c->means[k] / (double)c->K;
    for (size_t k = 0; k < c->K; k++) c->means[k] = middle + kept * (c->means[k] - middle);
    return kept;
}

static void repeat_selection(contest *c, double alpha, hn_selection *out) {
    double sum = 0;
    for (size_t r = 0; r < c->n_resamples; r++) {
        double *noise = c->noise + r * c->K, *seen = c->by_case; /* no longer needed: n >= 1 rows of K */
        for (size_t k = 0; k < c->K; k++) seen[k] = c->means[k] + noise[k];
        c->excess[r] = noise[first_best(seen, c->K)];
        sum += c->excess[r];
    }
    out->optimism = c->K > 1 ? fmax(0, sum / (double)c->n_resamples) : 0;
    out->corrected.value = out->observed - out->optimism;
    if (c->groups.n_groups < 2) return;
    qsort(c->excess, c->n_resamples, sizeof *c->excess, by_value);
    double last = (double)(c->n_resamples - 1);
    out->corrected.low = out->observed - c->excess[(size_t)ceil((1 - alpha / 2) * last)];
    out->corrected.high = out->observed - c->excess[(size_t)floor(alpha / 2 * last)];
}

static hn_status allocate(contest *c, const uint32_t *group, hn_error *err) {
    size_t n_scores, n_noise;
    if (!hn_mul_size(c->n, c->K, &n_scores) || !hn_mul_size(c->n_resamples, c->K, &n_noise))
        return hn_fail_memory(err, SIZE_MAX);
    HN_TRY(hn_groups_build(group, c->n, &c->groups, err));
    c->by_case = hn_calloc(n_scores, sizeof *c->by_case);
    c->means = hn_calloc(c->K, sizeof *c->means);
    c->noise = hn_calloc(n_noise, sizeof *c->noise);
    c->excess = hn_calloc(c->n_resamples, sizeof *c->excess);
    if (!c->by_case || !c->means || !c->noise || !c->excess) return hn_fail_memory(err, n_noise * sizeof *c->noise);
    return HN_OK;
}

hn_status hn_selection_correct(const double *scores, size_t n_candidates, size_t n_cases, const uint32_t *group,
                               const hn_bootstrap_options *options, hn_selection *out, hn_error *err) {
    *out = (hn_selection){.observed = NAN, .optimism = NAN, .corrected = {NAN, NAN, NAN}, .kept = NAN};
    if (n_candidates == 0)
        return hn_fail(err, HN_ERR_USAGE, "selection", "give at least one candidate", "there are no candidates");
    if (n_cases == 0) return HN_OK;
    contest c = {.scores = scores, .K = n_candidates, .n = n_cases};
    c.n_resamples = options && options->n_resamples ? options->n_resamples : 2000;
    hn_status st = allocate(&c, group, err);
    if (st == HN_OK) st = turn_scores(&c, err);
    if (st == HN_OK) {
        out->best = first_best(c.means, c.K);
        out->observed = c.means[out->best];
        draw_noise(&c, options ? options->seed : 0);
        out->kept = draw_together(&c);
        repeat_selection(&c, options && options->alpha > 0 ? options->alpha : 0.05, out);
    }
    hn_free(c.by_case);
    hn_free(c.means);
    hn_free(c.noise);
    hn_free(c.excess);
    hn_groups_free(&c.groups);
    return st;
}
