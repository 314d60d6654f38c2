/* The verdict; see verdict.h for the rule and the formulas. */
#include "stats/verdict.h"

#include "base/alloc.h"
#include "stats/groups.h"
#include "stats/paired.h"
#include "stats/power.h"

#include <math.h>

const char *hn_verdict_name(hn_verdict_kind kind) {
    static const char *const names[] = {"cannot_tell", "better", "worse", "equivalent"};
    return (size_t)kind < sizeof names / sizeof *names ? names[kind] : "cannot_tell";
}

static hn_status take_options(const hn_verdict_options *given, hn_verdict_options *o, hn_error *err) {
    *o = given ? *given : (hn_verdict_options){0};
    if (o->alpha == 0) o->alpha = 0.05;
    if (o->power == 0) o->power = 0.8;
    if (o->range == 0) o->range = 1;
    if (!(o->smallest_difference >= 0 && isfinite(o->smallest_difference)))
        return hn_fail(err, HN_ERR_INPUT, "smallest_difference", "give a positive number, such as 0.02", "it is %g",
                       o->smallest_difference);
    if (!(o->alpha > 0 && o->alpha < 1))
        return hn_fail(err, HN_ERR_INPUT, "alpha", "0.05 is usual", "it is %g", o->alpha);
    if (!(o->power > 0 && o->power < 1))
        return hn_fail(err, HN_ERR_INPUT, "power", "0.8 is usual", "it is %g", o->power);
    if (!(o->range > 0 && isfinite(o->range))) return hn_fail(err, HN_ERR_INPUT, "range", NULL, "it is %g", o->range);
    return HN_OK;
}

/* Differences into `d` (n), means and counts into `out`; *binary: all scores are 0 or 1. */
static hn_status take_scores(const double *a, const double *b, size_t n, double *d, hn_verdict *out, bool *binary,
                             hn_error *err) {
    double sum_a = 0, sum_b = 0;
    *binary = true;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(a[i]) || !isfinite(b[i]))
            return hn_fail(err, HN_ERR_INPUT, NULL, NULL,
                           "case %zu has the scores %g and %g; both must be finite numbers", i, a[i], b[i]);
        if ((a[i] != 0 && a[i] != 1) || (b[i] != 0 && b[i] != 1)) *binary = false;
        d[i] = b[i] - a[i];
        sum_a += a[i];
        sum_b += b[i];
        out->only_a_right += d[i] < 0;
        out->only_b_right += d[i] > 0;
    }
    out->value_a = sum_a / (double)n;
    out->value_b = sum_b / (double)n;
    return HN_OK;
}

/* How much less n related cases are worth than n separate ones, for the differences at hand. */
static hn_status find_design_effect(const double *d, const uint32_t *group, size_t n, hn_verdict *out, hn_error *err) {
    hn_groups groups;
    HN_TRY(hn_groups_build(group, n, &groups, err));
    double clustered = 0, plain = 0;
    for (size_t g = 0; g < groups.n_groups; g++) {
        double sum = 0;
        for (uint32_t i = groups.start[g]; i < groups.start[g + 1]; i++) {
            sum += d[groups.cases[i]];
            plain += d[groups.cases[i]] * d[groups.cases[i]];
        }
        clustered += sum * sum;
    }
    out->n_groups = groups.n_groups;
    out->design_effect = plain > 0 && clustered > plain ? clustered / plain : 1;
    hn_groups_free(&groups);
    return HN_OK;
}

static hn_status run_test(const double *d, const uint32_t *group, bool binary, const hn_verdict_options *o,
                          hn_verdict *out, hn_error *err) {
    bool related = out->n_groups < out->n;
    if (binary && !related) {
        int64_t only_a = (int64_t)out->only_a_right, only_b = (int64_t)out->only_b_right;
        hn_interval i = hn_paired_proportion_interval(only_a, only_b, (int64_t)out->n, o->alpha);
        out->test = "exact McNemar";
        out->p = hn_mcnemar(only_a, only_b).exact_p;
        out->difference = (hn_estimate){(double)(only_b - only_a) / (double)out->n, i.low, i.high};
        return HN_OK;
    }
    hn_sign_flip_options flip = {.n_draws = o->n_draws, .seed = o->seed, .alpha = o->alpha, .range = o->range};
    hn_sign_flip_result r;
    HN_TRY(hn_sign_flip(d, related ? group : NULL, out->n, &flip, &r, err));
    out->test = related ? "sign-flip permutation over groups" : "paired permutation";
    out->p = r.p;
    out->difference = (hn_estimate){r.mean, r.interval.low, r.interval.high};
    return HN_OK;
}

/* Cases for the difference `d` at discordance `psi`, which is at least d. */
static double pairs_needed(double psi, double d, const hn_verdict_options *o) {
    return hn_power_mcnemar_pairs(fmax(psi, d), d, o->alpha, o->power);
}

/* The smallest d with pairs_needed(d) <= n, by halving: the need falls as d grows. NaN: not even d = 1. */
static double detectable_proportion(double psi, double n, const hn_verdict_options *o) {
    if (pairs_needed(1, 1, o) > n) return NAN;
    double low = 0, high = 1;
    for (int i = 0; i < 100; i++) {
        double middle = low + (high - low) / 2;
        if (pairs_needed(psi, middle, o) > n)
            low = middle;
        else
            high = middle;
    }
    return high;
}

static void find_power(const double *d, bool binary, const hn_verdict_options *o, hn_verdict *out) {
    double n = (double)out->n, independent = n / out->design_effect, squares = 0, needed = NAN;
    for (size_t i = 0; i < out->n; i++) squares += d[i] * d[i];
    double deviation = sqrt(squares / n), psi = squares / n;
    bool as_counts = binary || squares == 0; /* scores that never differed: bounded by their range alone */
    double unit = binary ? 1 : o->range, margin = o->smallest_difference / unit;
    if (as_counts)
        out->detectable = unit * detectable_proportion(psi, independent, o);
    else
        out->detectable = hn_power_mean_detectable(deviation, independent, o->alpha, o->power);
    if (margin == 0) return;
    if (as_counts && margin <= 1)
        needed = pairs_needed(psi, margin, o);
    else if (!as_counts)
        needed = hn_power_mean_cases(deviation, o->smallest_difference, o->alpha, o->power);
    needed = ceil(needed * out->design_effect);
    if (needed < 1e15) out->cases_needed = (int64_t)fmax(needed, 1);
}

static void decide(const hn_verdict_options *o, hn_verdict *out) {
    double low = out->difference.low, high = out->difference.high, margin = o->smallest_difference;
    bool significant = out->p <= o->alpha;
    out->matters = margin == 0 || high >= margin || low <= -margin;
    if (low > 0 && significant)
        out->kind = HN_VERDICT_BETTER;
    else if (high < 0 && significant)
        out->kind = HN_VERDICT_WORSE;
    else if (low <= 0 && high >= 0 && !significant && low > -margin && high < margin)
        out->kind = HN_VERDICT_EQUIVALENT;
}

hn_status hn_verdict_judge(const double *a, const double *b, const uint32_t *group, size_t n,
                           const hn_verdict_options *options, hn_verdict *out, hn_error *err) {
    hn_verdict_options o;
    HN_TRY(take_options(options, &o, err));
    *out = (hn_verdict){.kind = HN_VERDICT_CANNOT_TELL,
                        .difference = {NAN, -o.range, o.range},
                        .p = 1,
                        .test = "none: there are no cases",
                        .value_a = NAN,
                        .value_b = NAN,
                        .n = n,
                        .smallest_difference = o.smallest_difference,
                        .matters = true,
                        .detectable = NAN,
                        .cases_needed = -1,
                        .design_effect = 1};
    if (n == 0) return HN_OK;
    bool binary;
    double *d = hn_calloc(n, sizeof *d);
    if (!d) return hn_fail_memory(err, n * sizeof *d);
    hn_status st;
    HN_GOTO(take_scores(a, b, n, d, out, &binary, err), done);
    HN_GOTO(find_design_effect(d, group, n, out, err), done);
    HN_GOTO(run_test(d, group, binary, &o, out, err), done);
    find_power(d, binary, &o, out);
    decide(&o, out);
done:
    hn_free(d);
    return st;
}
