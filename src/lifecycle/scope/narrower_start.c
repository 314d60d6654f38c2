/* A narrower start; see narrower_start.h. */
#include "lifecycle/scope/narrower_start.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

/* One-sided 95 %: the lower end of the two-sided 90 % interval. */
static const double ALPHA_ONE_SIDED = 0.10;

/* Precision of the answers for which `wanted` says so, into *e: value and two-sided interval, related cases allowed for. */
static hn_status measure_precision(const hn_narrow_answers *a, const hn_narrow_label *labels, int32_t only,
                                   unsigned char *right, uint32_t *groups, hn_estimate *e, size_t *n_answers,
                                   hn_error *err) {
    size_t n = 0, n_right = 0;
    hn_interval interval;
    for (size_t i = 0; i < a->n; i++) {
        if (a->answers[i] < 0 || (only >= 0 ? a->answers[i] != only : !labels[a->answers[i]].chosen)) continue;
        right[n] = a->answers[i] == a->truth[i];
        n_right += right[n];
        if (a->groups) groups[n] = a->groups[i];
        n++;
    }
    *n_answers = n;
    *e = (hn_estimate){NAN, NAN, NAN};
    if (n == 0) return HN_OK;
    HN_TRY(hn_interval_proportion(right, a->groups ? groups : NULL, n, 0.05, &interval, err));
    *e = (hn_estimate){(double)n_right / (double)n, interval.low, interval.high};
    return HN_OK;
}

static void choose(const hn_narrow_answers *a, double target, hn_narrow *out) {
    for (size_t l = 0; l < out->n_labels; l++) {
        int64_t n = 0, n_right = 0;
        for (size_t i = 0; i < a->n; i++) {
            n += a->answers[i] == (int32_t)l;
            n_right += a->answers[i] == (int32_t)l && a->truth[i] == (int32_t)l;
        }
        hn_narrow_label *label = &out->labels[l];
        label->n_choosing = (size_t)n;
        label->precision = n ? (double)n_right / (double)n : (double)NAN;
        label->lower = n ? hn_interval_wilson(n_right, n, ALPHA_ONE_SIDED).low : (double)NAN;
        label->chosen = n > 0 && label->lower >= target;
        out->n_chosen += label->chosen;
    }
}

static hn_status check(const hn_narrow_answers *a, unsigned char *flags, uint32_t *groups, hn_narrow *out,
                       hn_error *err) {
    size_t n_answered, n_taken = 0;
    hn_interval share;
    for (size_t l = 0; l < out->n_labels; l++)
        HN_TRY(measure_precision(a, out->labels, (int32_t)l, flags, groups, &out->labels[l].checked,
                                 &out->labels[l].n_checking, err));
    HN_TRY(measure_precision(a, out->labels, -1, flags, groups, &out->precision, &n_answered, err));
    for (size_t i = 0; i < a->n; i++) {
        flags[i] = a->answers[i] >= 0 && out->labels[a->answers[i]].chosen;
        n_taken += flags[i];
    }
    out->n_checked = a->n;
    HN_TRY(hn_interval_proportion(flags, a->groups, a->n, 0.05, &share, err));
    out->share = (hn_estimate){a->n ? (double)n_taken / (double)a->n : (double)NAN, share.low, share.high};
    return HN_OK;
}

static hn_status check_answers(const hn_narrow_answers *a, size_t n_labels, hn_error *err) {
    for (size_t i = 0; i < a->n; i++)
        if (a->answers[i] < -1 || a->answers[i] >= (int32_t)n_labels)
            return hn_fail(err, HN_ERR_INPUT, "narrower start", NULL, "answer %zu is label %d of %zu", i,
                           (int)a->answers[i], n_labels);
    return HN_OK;
}

hn_status hn_narrow_find(const hn_narrow_answers *choosing, const hn_narrow_answers *checking, size_t n_labels,
                         double target, hn_narrow *out, hn_error *err) {
    *out = (hn_narrow){.known = true, .target = target, .n_labels = n_labels};
    HN_TRY(check_answers(choosing, n_labels, err));
    HN_TRY(check_answers(checking, n_labels, err));
    unsigned char *flags = hn_calloc(checking->n, 1);
    uint32_t *groups = hn_calloc(checking->n, sizeof *groups);
    out->labels = hn_calloc(n_labels, sizeof *out->labels);
    hn_status st = flags && groups && out->labels ? HN_OK : hn_fail_memory(err, checking->n * sizeof *groups);
    if (st == HN_OK) {
        choose(choosing, target, out);
        st = check(checking, flags, groups, out, err);
    }
    hn_free(flags);
    hn_free(groups);
    if (st != HN_OK) hn_narrow_free(out);
    return st;
}

void hn_narrow_free(hn_narrow *narrow) {
    hn_free(narrow->labels);
    *narrow = (hn_narrow){0};
}
