/* Ranking measures; see ranking.h. One walk down the sorted scores, a step for each different score. */
#include "stats/ranking.h"

#include "base/alloc.h"

#include <math.h>
#include <stdlib.h>

typedef struct scored {
    double score;
    int positive;
} scored;

static int by_falling_score(const void *a, const void *b) {
    double x = ((const scored *)a)->score, y = ((const scored *)b)->score;
    return x > y ? -1 : x < y;
}

static void walk(const scored *cases, size_t n, hn_ranking *out) {
    double positives = 0, negatives = 0, ordered = 0, precision = 1, recall = 0, ap = 0, area = 0;
    double all = (double)out->n_positive, others = (double)out->n_negative;
    for (size_t i = 0, end; i < n; i = end) {
        double step_positives = 0, step_negatives = 0;
        for (end = i; end < n && cases[end].score == cases[i].score; end++) {
            step_positives += cases[end].positive;
            step_negatives += !cases[end].positive;
        }
        ordered += step_negatives * (positives + step_positives / 2);
        positives += step_positives;
        negatives += step_negatives;
        double next_precision = positives / (positives + negatives), next_recall = all > 0 ? positives / all : NAN;
        ap += (next_recall - recall) * next_precision;
        area += (next_recall - recall) * (precision + next_precision) / 2;
        precision = next_precision;
        recall = next_recall;
    }
    if (all > 0 && others > 0) out->roc_auc = ordered / (all * others);
    if (all > 0) {
        out->average_precision = ap;
        out->pr_auc = area;
    }
}

hn_status hn_ranking_measure(const double *scores, const unsigned char *positive, size_t n, hn_ranking *out,
                             hn_error *err) {
    *out = (hn_ranking){NAN, NAN, NAN, 0, 0};
    if (n == 0) return HN_OK;
    for (size_t i = 0; i < n; i++)
        if (isnan(scores[i]))
            return hn_fail(err, HN_ERR_INPUT, "ranking", "leave the case out", "the score of case %zu is NaN", i);
    scored *cases = hn_calloc(n, sizeof *cases);
    if (!cases) return hn_fail_memory(err, n * sizeof *cases);
    for (size_t i = 0; i < n; i++) {
        cases[i] = (scored){scores[i], positive[i] != 0};
        out->n_positive += positive[i] != 0;
    }
    out->n_negative = n - out->n_positive;
    qsort(cases, n, sizeof *cases, by_falling_score);
    walk(cases, n, out);
    hn_free(cases);
    return HN_OK;
}
