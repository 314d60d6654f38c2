/* Repetitions; see repeat.h. */
#include "lifecycle/eval/repeat.h"

#include "stats/agreement.h"

#include <math.h>
#include <string.h>

/* What each case contributes. */
typedef struct tally {
    size_t n_repeats, n_cases;
    const hn_prediction_list *const *lists;
    uint32_t *groups; /* (n_cases), or not used */
    bool grouped;
    size_t *n, *n_right;  /* (n_cases) answers, right ones */
    double *agree, *most; /* (n_cases) share of agreeing pairs; 1 where the answer most given is right */
    int32_t *ids;         /* (n_repeats) of one case's answers: equal ones share a number */
} tally;

static bool same_cases(const hn_prediction_list *a, const hn_prediction_list *b) {
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->rows[i].case_id, b->rows[i].case_id) != 0) return false;
    return true;
}

static void number_answers(tally *t, size_t i) {
    for (size_t k = 0; k < t->n_repeats; k++) {
        const char *value = t->lists[k]->rows[i].value;
        t->ids[k] = value ? (int32_t)k : -1;
        for (size_t j = 0; value && j < k; j++) {
            const char *other = t->lists[j]->rows[i].value;
            if (!other || strcmp(other, value) != 0) continue;
            t->ids[k] = t->ids[j];
            break;
        }
    }
}

static void count_case(tally *t, size_t i, hn_spread *s) {
    number_answers(t, i);
    hn_repeat_agreement a = hn_agreement_repeats(t->ids, t->n_repeats);
    t->n[i] = t->n_repeats;
    t->agree[i] = a.pairs;
    t->most[i] = a.majority >= 0 && t->lists[a.majority]->rows[i].correct;
    s->n_unanimous += a.n_distinct == 1 && a.majority_share == 1;
    for (size_t k = 0; k < t->n_repeats; k++) t->n_right[i] += t->lists[k]->rows[i].correct;
}

/* A bootstrap statistic: the mean of an array over the cases drawn. */
static double mean_of(const uint32_t *cases, size_t n, void *user) {
    const double *values = user;
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += values[cases[i]];
    return n ? sum / (double)n : (double)NAN;
}

static void spread_accuracies(const tally *t, hn_spread *s) {
    double sum = 0, squares = 0;
    s->lowest = 1;
    for (size_t k = 0; k < t->n_repeats; k++) {
        size_t right = 0;
        for (size_t i = 0; i < t->n_cases; i++) right += t->lists[k]->rows[i].correct;
        double accuracy = (double)right / (double)t->n_cases;
        s->lowest = fmin(s->lowest, accuracy);
        s->highest = fmax(s->highest, accuracy);
        sum += accuracy;
        squares += accuracy * accuracy;
    }
    double n = (double)t->n_repeats, mean = sum / n;
    s->deviation = n > 1 ? sqrt(fmax(0, (squares - n * mean * mean) / (n - 1))) : (double)NAN;
}

static hn_status estimate_all(const tally *t, hn_spread *s, hn_error *err) {
    hn_bootstrap_options options = {.seed = HN_REPORT_SEED, .method = HN_BOOTSTRAP_BCA};
    const uint32_t *groups = t->grouped ? t->groups : NULL;
    for (size_t k = 1; s->n_pass < HN_SPREAD_PASS_MAX;) {
        hn_pass *pass = &s->pass[s->n_pass++];
        pass->k = k;
        HN_TRY(hn_pass_at_k_mean(t->n, t->n_right, t->n_cases, k, groups, &options, &pass->value, err));
        if (k == t->n_repeats) break;
        k = 2 * k < t->n_repeats && s->n_pass < HN_SPREAD_PASS_MAX - 1 ? 2 * k : t->n_repeats;
    }
    s->accuracy = s->pass[0].value;
    HN_TRY(hn_bootstrap(mean_of, t->most, t->n_cases, groups, &options, &s->majority, err));
    if (t->n_repeats < 2) {
        s->agreement = (hn_estimate){(double)NAN, (double)NAN, (double)NAN};
        return HN_OK;
    }
    return hn_bootstrap(mean_of, t->agree, t->n_cases, groups, &options, &s->agreement, err);
}

static hn_status measure(tally *t, hn_spread *s, hn_error *err) {
    size_t n = t->n_cases, n_groups;
    t->groups = hn_calloc(n, sizeof *t->groups);
    t->n = hn_calloc(n, sizeof *t->n);
    t->n_right = hn_calloc(n, sizeof *t->n_right);
    t->agree = hn_calloc(n, sizeof *t->agree);
    t->most = hn_calloc(n, sizeof *t->most);
    t->ids = hn_calloc(t->n_repeats, sizeof *t->ids);
    if (!t->groups || !t->n || !t->n_right || !t->agree || !t->most || !t->ids)
        return hn_fail_memory(err, n * sizeof *t->agree);
    HN_TRY(hn_report_groups(t->lists[0]->rows, n, t->groups, &n_groups, &t->grouped, err));
    for (size_t i = 0; i < n; i++) count_case(t, i, s);
    spread_accuracies(t, s);
    return estimate_all(t, s, err);
}

hn_status hn_spread_measure(const hn_prediction_list *const *lists, size_t n_repeats, hn_spread *out, hn_error *err) {
    *out = (hn_spread){.n_repeats = n_repeats, .n_cases = n_repeats ? lists[0]->n : 0};
    if (out->n_cases == 0) return hn_fail(err, HN_ERR_INPUT, "repetitions", NULL, "there are no answers");
    for (size_t k = 1; k < n_repeats; k++)
        if (!same_cases(lists[0], lists[k]))
            return hn_fail(err, HN_ERR_INPUT, "repetitions", "evaluate them with one command",
                           "repetition %zu is not of the same cases as the first", k + 1);
    tally t = {.n_repeats = n_repeats, .n_cases = out->n_cases, .lists = lists};
    hn_status st = measure(&t, out, err);
    hn_free(t.groups);
    hn_free(t.n);
    hn_free(t.n_right);
    hn_free(t.agree);
    hn_free(t.most);
    hn_free(t.ids);
    return st;
}

hn_status hn_spread_json(const hn_spread *s, json_t **value, hn_error *err) {
    json_t *pass = json_array();
    bool fine = pass != NULL;
    for (size_t i = 0; fine && i < s->n_pass; i++)
        fine = json_array_append_new(pass, json_pack("{s:I, s:o}", "k", (json_int_t)s->pass[i].k, "value",
                                                     hn_report_estimate_json(s->pass[i].value))) == 0;
    json_t *made =
        fine ? json_pack("{s:I, s:o, s:f, s:f, s:o, s:O, s:o, s:o, s:I}", "repeats", (json_int_t)s->n_repeats,
                         "accuracy", hn_report_estimate_json(s->accuracy), "lowest", s->lowest, "highest", s->highest,
                         "deviation", isfinite(s->deviation) ? json_real(s->deviation) : json_null(), "pass", pass,
                         "agreement", hn_report_estimate_json(s->agreement), "majority",
                         hn_report_estimate_json(s->majority), "unanimous", (json_int_t)s->n_unanimous)
             : NULL;
    json_decref(pass);
    if (!made) return hn_fail_memory(err, 0);
    *value = made;
    return HN_OK;
}
