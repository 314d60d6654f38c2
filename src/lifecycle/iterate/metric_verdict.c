/* Verdicts about any metric; see metric_verdict.h. */
#include "lifecycle/iterate/metric_verdict.h"

#include "base/rng.h"
#include "stats/groups.h"
#include "stats/multiple.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_EXCHANGES = 2000 };

/* ---- a grader's mean ---- */

static int by_position(const void *a, const void *b) {
    const hn_prediction *const *x = a, *const *y = b;
    return ((*x)->position > (*y)->position) - ((*x)->position < (*y)->position);
}

/* Values in the order of `rows`, whose positions may be in any order. */
static hn_status values_of(hn_store *store, int64_t run_id, const char *grader, const hn_prediction_list *rows,
                           double *values, hn_error *err) {
    size_t n = rows->n;
    const hn_prediction **order = hn_alloc((n ? n : 1) * sizeof *order);
    hn_prediction_list sorted = {.rows = hn_alloc((n ? n : 1) * sizeof *sorted.rows), .n = n};
    double *found = NULL;
    hn_status st = order && sorted.rows ? HN_OK : hn_fail_memory(err, n * sizeof *order);
    for (size_t i = 0; st == HN_OK && i < n; i++) order[i] = &rows->rows[i];
    if (st == HN_OK) {
        qsort(order, n, sizeof *order, by_position);
        for (size_t i = 0; i < n; i++) sorted.rows[i] = *order[i];
        st = hn_grade_values(store, run_id, grader, &sorted, &found, err);
    }
    for (size_t i = 0; st == HN_OK && i < n; i++) values[order[i] - rows->rows] = found[i];
    hn_free(found);
    hn_free(sorted.rows);
    hn_free(order);
    return st;
}

/* "better" means better, also where less is. */
static void turn(hn_verdict *v) {
    if (v->kind == HN_VERDICT_BETTER)
        v->kind = HN_VERDICT_WORSE;
    else if (v->kind == HN_VERDICT_WORSE)
        v->kind = HN_VERDICT_BETTER;
}

typedef struct pairs {
    double *a, *b; /* (n) */
    uint32_t *groups;
    size_t n;
    bool several;
} pairs;

static void free_pairs(pairs *p) {
    hn_free(p->a);
    hn_free(p->b);
    hn_free(p->groups);
}

static hn_status open_pairs(const hn_prediction_list *rows, pairs *p, hn_error *err) {
    size_t n = rows->n ? rows->n : 1, n_groups;
    *p = (pairs){hn_alloc(n * sizeof *p->a), hn_alloc(n * sizeof *p->b), hn_alloc(n * sizeof *p->groups), rows->n,
                 false};
    if (!p->a || !p->b || !p->groups) return hn_fail_memory(err, n * sizeof *p->a);
    return hn_report_groups(rows->rows, rows->n, p->groups, &n_groups, &p->several, err);
}

/* Only cases that both have a value for. */
static size_t keep_graded(pairs *p) {
    size_t n = 0, all = p->n;
    for (size_t i = 0; i < all; i++) {
        if (isnan(p->a[i]) || isnan(p->b[i])) continue;
        p->a[n] = p->a[i];
        p->b[n] = p->b[i];
        p->groups[n++] = p->groups[i];
    }
    p->n = n;
    return all - n;
}

/* Perplexities are compared by their logarithms: differences are then of nats. */
static void take_logarithms(pairs *p, hn_metric_verdict *out) {
    for (size_t i = 0; i < p->n; i++) {
        p->a[i] = log(p->a[i]);
        p->b[i] = log(p->b[i]);
    }
    snprintf(out->a.unit, sizeof out->a.unit, "nats");
    snprintf(out->b.unit, sizeof out->b.unit, "nats");
}

static hn_status read_traits(const hn_run *a, const hn_run *b, const char *metric, hn_metric_verdict *out,
                             hn_error *err) {
    const hn_report none = {0};
    const hn_prediction_list empty = {0};
    HN_TRY(hn_run_metric(metric, &none, &empty, a->summary_json, &out->a, err));
    HN_TRY(hn_run_metric(metric, &none, &empty, b->summary_json, &out->b, err));
    out->known = out->a.known && out->b.known;
    return HN_OK;
}

static hn_status judge_grader(hn_store *store, const hn_run *run_a, const hn_run *run_b,
                              const hn_prediction_list *rows_a, const hn_prediction_list *rows_b, const char *metric,
                              double smallest_difference, hn_metric_verdict *out, hn_error *err) {
    pairs p;
    HN_TRY(read_traits(run_a, run_b, metric, out, err));
    if (!out->known) return HN_OK;
    double widest = 0;
    hn_status st = open_pairs(rows_b, &p, err);
    if (st == HN_OK) st = values_of(store, run_a->id, metric, rows_a, p.a, err);
    if (st == HN_OK) st = values_of(store, run_b->id, metric, rows_b, p.b, err);
    if (st == HN_OK) out->n_left_out = keep_graded(&p);
    if (st == HN_OK && out->b.geometric) take_logarithms(&p, out);
    for (size_t i = 0; st == HN_OK && i < p.n; i++) widest = fmax(widest, fabs(p.b[i] - p.a[i]));
    const uint32_t *groups = p.several ? p.groups : NULL;
    /* Without a largest possible difference, the largest seen bounds what too few groups cannot. */
    hn_verdict_options options = {.smallest_difference = smallest_difference,
                                  .seed = HN_REPORT_SEED,
                                  .range = isfinite(out->b.range) ? out->b.range
                                           : widest > 0           ? widest
                                                                  : 1};
    if (st == HN_OK) st = hn_verdict_judge(p.a, p.b, groups, p.n, &options, &out->verdict, err);
    if (st == HN_OK) st = hn_grade_mean(p.a, groups, p.n, false, &out->a.estimate, err);
    if (st == HN_OK) st = hn_grade_mean(p.b, groups, p.n, false, &out->b.estimate, err);
    if (st == HN_OK && out->b.lower_is_better) turn(&out->verdict);
    out->known = st == HN_OK && p.n > 0;
    free_pairs(&p);
    return st;
}

/* ---- a metric of classes ---- */

typedef struct classes {
    const char *metric;
    int32_t *truth, *a, *b; /* (n) */
    size_t n, n_labels;
} classes;

static double difference_of(const uint32_t *cases, size_t n, void *user) {
    const classes *c = user;
    return hn_class_metric(c->metric, c->truth, c->b, cases, n, c->n_labels) -
           hn_class_metric(c->metric, c->truth, c->a, cases, n, c->n_labels);
}

static void exchange(classes *c, const hn_groups *groups, size_t g) {
    for (uint32_t i = groups->start[g]; i < groups->start[g + 1]; i++) {
        uint32_t at = groups->cases[i];
        int32_t kept = c->a[at];
        c->a[at] = c->b[at];
        c->b[at] = kept;
    }
}

/* p of "the two runs' answers could as well be exchanged", whole groups at a time. Exchanges pile up on c, which does not matter: each
 * draw gives every group either order with equal chance. */
static hn_status exchange_p(classes *c, const uint32_t *group, double observed, double *p, hn_error *err) {
    hn_groups groups;
    hn_rng rng;
    size_t n_as_far = 0;
    uint32_t *all = hn_alloc((c->n ? c->n : 1) * sizeof *all);
    if (!all) return hn_fail_memory(err, c->n * sizeof *all);
    hn_status st = hn_groups_build(group, c->n, &groups, err);
    if (st != HN_OK) {
        hn_free(all);
        return st;
    }
    for (size_t i = 0; i < c->n; i++) all[i] = (uint32_t)i;
    hn_rng_seed(&rng, HN_REPORT_SEED, 0xE7C4);
    for (int draw = 0; draw < N_EXCHANGES; draw++) {
        for (size_t g = 0; g < groups.n_groups; g++)
            if (hn_rng_below(&rng, 2)) exchange(c, &groups, g);
        n_as_far += fabs(difference_of(all, c->n, c)) >= fabs(observed) - 1e-12;
    }
    *p = (1 + (double)n_as_far) / (1 + N_EXCHANGES);
    hn_groups_free(&groups);
    hn_free(all);
    return HN_OK;
}

static hn_verdict_kind decide(const hn_verdict *v) {
    const hn_estimate *d = &v->difference;
    if (!isfinite(d->low) || !isfinite(d->high)) return HN_VERDICT_CANNOT_TELL;
    if (v->p <= 0.05 && d->low > 0) return HN_VERDICT_BETTER;
    if (v->p <= 0.05 && d->high < 0) return HN_VERDICT_WORSE;
    bool inside = d->low >= -v->smallest_difference && d->high <= v->smallest_difference;
    return v->p > 0.05 && d->low <= 0 && d->high >= 0 && inside ? HN_VERDICT_EQUIVALENT : HN_VERDICT_CANNOT_TELL;
}

static void count_sides(const hn_prediction_list *a, const hn_prediction_list *b, hn_verdict *v) {
    for (size_t i = 0; i < b->n; i++) {
        v->only_a_right += a->rows[i].correct && !b->rows[i].correct;
        v->only_b_right += b->rows[i].correct && !a->rows[i].correct;
    }
}

static hn_status judge_classes(const hn_prediction_list *rows_a, const hn_prediction_list *rows_b,
                               const char *const *labels, size_t n_labels, const char *metric,
                               double smallest_difference, hn_metric_verdict *out, hn_error *err) {
    size_t n = rows_b->n, n_groups;
    bool several;
    hn_verdict *v = &out->verdict;
    int32_t *indices = hn_alloc((n ? n : 1) * 3 * sizeof *indices);
    uint32_t *groups = hn_alloc((n ? n : 1) * sizeof *groups);
    classes c = {metric, indices, indices + n, indices + 2 * n, n, n_labels};
    hn_report report_a = {.labels = labels, .n_labels = n_labels}, report_b = report_a;
    hn_status st = indices && groups ? HN_OK : hn_fail_memory(err, n * 3 * sizeof *indices);
    if (st == HN_OK) st = hn_report_groups(rows_b->rows, n, groups, &n_groups, &several, err);
    if (st == HN_OK) {
        hn_class_indices(rows_a, labels, n_labels, c.truth, c.a);
        hn_class_indices(rows_b, labels, n_labels, c.truth, c.b);
        *v = (hn_verdict){.test = several ? "exchange permutation over groups" : "exchange permutation",
                          .n = n,
                          .n_groups = n_groups,
                          .smallest_difference = smallest_difference,
                          .detectable = (double)NAN,
                          .cases_needed = -1,
                          .design_effect = 1};
        st = hn_bootstrap(difference_of, &c, n, several ? groups : NULL,
                          &(hn_bootstrap_options){.seed = HN_REPORT_SEED}, &v->difference, err);
    }
    if (st == HN_OK) st = exchange_p(&c, several ? groups : NULL, v->difference.value, &v->p, err);
    if (st == HN_OK) st = hn_report_build(rows_a, labels, n_labels, &report_a, err);
    if (st == HN_OK) st = hn_run_metric(metric, &report_a, rows_a, NULL, &out->a, err);
    hn_report_free(&report_a);
    if (st == HN_OK) st = hn_report_build(rows_b, labels, n_labels, &report_b, err);
    if (st == HN_OK) st = hn_run_metric(metric, &report_b, rows_b, NULL, &out->b, err);
    hn_report_free(&report_b);
    hn_free(indices);
    hn_free(groups);
    HN_TRY(st);
    v->value_a = out->a.estimate.value;
    v->value_b = out->b.estimate.value;
    v->matters = v->difference.high >= smallest_difference || v->difference.low <= -smallest_difference;
    v->kind = decide(v);
    count_sides(rows_a, rows_b, v);
    out->known = isfinite(v->difference.value);
    return HN_OK;
}

hn_status hn_metric_judge(hn_store *store, const hn_run *run_a, const hn_run *run_b, const hn_prediction_list *rows_a,
                          const hn_prediction_list *rows_b, const char *const *labels, size_t n_labels,
                          const char *metric, double smallest_difference, hn_metric_verdict *out, hn_error *err) {
    *out = (hn_metric_verdict){0};
    if (!hn_scope_metric_is_run(metric))
        return judge_grader(store, run_a, run_b, rows_a, rows_b, metric, smallest_difference, out, err);
    if (n_labels == 0) return HN_OK;
    return judge_classes(rows_a, rows_b, labels, n_labels, metric, smallest_difference, out, err);
}

hn_status hn_metric_judge_all(hn_store *store, const hn_metric_run *runs, size_t n, size_t reference,
                              const char *const *labels, size_t n_labels, const char *metric,
                              double smallest_difference, hn_metric_verdict *verdicts, double *p_adjusted,
                              hn_error *err) {
    const hn_metric_run *a = &runs[reference];
    size_t n_known = 0;
    double *p = hn_alloc((n ? n : 1) * sizeof *p);
    if (!p) return hn_fail_memory(err, n * sizeof *p);
    hn_status st = HN_OK;
    for (size_t i = 0; i < n && st == HN_OK; i++) {
        verdicts[i] = (hn_metric_verdict){0};
        p_adjusted[i] = 1;
        if (i == reference) continue;
        st = hn_metric_judge(store, a->run, runs[i].run, a->rows, runs[i].rows, labels, n_labels, metric,
                             smallest_difference, &verdicts[i], err);
        if (st == HN_OK && verdicts[i].known) p[n_known++] = verdicts[i].verdict.p;
    }
    if (st == HN_OK && n_known) st = hn_holm(p, n_known, p, err);
    for (size_t i = 0, k = 0; st == HN_OK && i < n; i++) {
        if (!verdicts[i].known) continue;
        hn_verdict_kind *kind = &verdicts[i].verdict.kind;
        p_adjusted[i] = p[k++];
        if ((*kind == HN_VERDICT_BETTER || *kind == HN_VERDICT_WORSE) && p_adjusted[i] > 0.05)
            *kind = HN_VERDICT_CANNOT_TELL;
    }
    hn_free(p);
    return st;
}

json_t *hn_metric_verdict_json(const char *metric, const hn_metric_verdict *v) {
    return json_pack("{s:s, s:s, s:o, s:o, s:s, s:o, s:o, s:I, s:I, s:b, s:s}", "metric", metric, "verdict",
                     hn_verdict_name(v->verdict.kind), "difference", hn_report_estimate_json(v->verdict.difference),
                     "p", isfinite(v->verdict.p) ? json_real(v->verdict.p) : json_null(), "test", v->verdict.test, "a",
                     hn_report_estimate_json(v->a.estimate), "b", hn_report_estimate_json(v->b.estimate), "n",
                     (json_int_t)v->verdict.n, "left_out", (json_int_t)v->n_left_out, "lower_is_better",
                     v->b.lower_is_better, "unit", v->b.unit);
}
