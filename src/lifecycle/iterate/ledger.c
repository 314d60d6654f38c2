/* The ledger; see ledger.h. */
#include "lifecycle/iterate/ledger.h"

#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static hn_status load_run(hn_store *store, int64_t id, hn_run **run, hn_error *err) {
    char name[32];
    snprintf(name, sizeof name, "r%lld", (long long)id);
    return hn_run_find(store, name, run, err);
}

/* The candidate with the run's content; a new one where it is the first. */
static hn_status find_candidate(hn_store *store, hn_ledger *l, int64_t run_id, size_t *candidate, bool *again,
                                hn_error *err) {
    hn_run *run;
    HN_TRY(load_run(store, run_id, &run, err));
    *again = true;
    for (*candidate = 0; *candidate < l->n_candidates; ++*candidate) {
        if (strcmp(l->candidates[*candidate]->content_id, run->content_id) != 0) continue;
        hn_run_free(run);
        return HN_OK;
    }
    *again = false;
    l->candidates[l->n_candidates++] = run;
    return HN_OK;
}

static hn_status take_looks(hn_store *store, const char *dataset_hash, hn_ledger *l, hn_error *err) {
    hn_look_list list;
    HN_TRY(hn_look_list_load(store, dataset_hash, &list, err));
    l->looks = hn_calloc(list.n + 1, sizeof *l->looks);
    l->candidates = hn_calloc(list.n + 1, sizeof *l->candidates);
    hn_status st = l->looks && l->candidates ? HN_OK : hn_fail_memory(err, list.n * sizeof *l->looks);
    for (size_t i = 0; st == HN_OK && i < list.n; i++) {
        hn_ledger_look *look = &l->looks[l->n_looks];
        look->at_ms = list.rows[i].at_ms;
        st = find_candidate(store, l, list.rows[i].run_id, &look->candidate, &look->again, err);
        if (st == HN_OK) l->n_looks++;
    }
    hn_look_list_free(&list);
    return st;
}

static bool same_cases(const hn_run *a, const hn_run *b) {
    const char *x = a->spec.case_set_hash, *y = b->spec.case_set_hash;
    return x && y && strcmp(x, y) == 0;
}

/* The largest set of finished candidates that share their cases. */
static hn_status choose_compared(hn_ledger *l, hn_error *err) {
    size_t first = 0, most = 0;
    l->compared = hn_calloc(l->n_candidates + 1, sizeof *l->compared);
    if (!l->compared) return hn_fail_memory(err, l->n_candidates * sizeof *l->compared);
    for (size_t i = 0; i < l->n_candidates; i++) {
        size_t n = 0;
        for (size_t k = 0; k < l->n_candidates; k++) n += same_cases(l->candidates[i], l->candidates[k]);
        if (n > most) {
            most = n;
            first = i;
        }
    }
    for (size_t k = 0; k < l->n_candidates; k++)
        if (same_cases(l->candidates[first], l->candidates[k]) && strcmp(l->candidates[k]->state, "done") == 0)
            l->compared[l->n_compared++] = k;
    return HN_OK;
}

static hn_status take_scores(hn_store *store, const hn_ledger *l, double *scores, uint32_t *groups, bool *several,
                             size_t n_cases, hn_error *err) {
    for (size_t i = 0; i < l->n_compared; i++) {
        const hn_run *run = l->candidates[l->compared[i]];
        hn_prediction_list list;
        size_t n_groups;
        HN_TRY(hn_prediction_load(store, run->id, &list, err));
        hn_status st = HN_OK;
        if (list.n != n_cases)
            st = hn_fail(err, HN_ERR_INPUT, "ledger", "run `hone eval` again: it adds what is missing",
                         "r%lld has %zu answers of %zu", (long long)run->id, list.n, n_cases);
        for (size_t k = 0; st == HN_OK && k < n_cases; k++) scores[i * n_cases + k] = list.rows[k].correct;
        if (st == HN_OK && i == 0) st = hn_report_groups(list.rows, n_cases, groups, &n_groups, several, err);
        hn_prediction_list_free(&list);
        HN_TRY(st);
    }
    return HN_OK;
}

static hn_status correct(hn_store *store, hn_ledger *l, hn_error *err) {
    HN_TRY(choose_compared(l, err));
    if (l->n_compared < 2) return HN_OK;
    size_t n_cases = (size_t)l->candidates[l->compared[0]]->spec.n_cases, n_scores;
    if (!hn_mul_size(l->n_compared, n_cases, &n_scores)) return hn_fail_memory(err, SIZE_MAX);
    double *scores = hn_calloc(n_scores, sizeof *scores);
    uint32_t *groups = hn_calloc(n_cases, sizeof *groups);
    bool several = false;
    hn_bootstrap_options options = {.seed = HN_REPORT_SEED};
    hn_status st = scores && groups ? HN_OK : hn_fail_memory(err, n_scores * sizeof *scores);
    if (st == HN_OK) st = take_scores(store, l, scores, groups, &several, n_cases, err);
    if (st == HN_OK)
        st =
            hn_selection_correct(scores, l->n_compared, n_cases, several ? groups : NULL, &options, &l->selection, err);
    l->selected = st == HN_OK;
    hn_free(scores);
    hn_free(groups);
    return st;
}

hn_status hn_ledger_make(hn_store *store, const char *dataset_hash, hn_ledger *out, hn_error *err) {
    *out = (hn_ledger){0};
    hn_status st = take_looks(store, dataset_hash, out, err);
    if (st == HN_OK) st = correct(store, out, err);
    if (st != HN_OK) hn_ledger_free(out);
    return st;
}

void hn_ledger_free(hn_ledger *l) {
    for (size_t i = 0; i < l->n_candidates; i++) hn_run_free(l->candidates[i]);
    hn_free(l->candidates);
    hn_free(l->looks);
    hn_free(l->compared);
    *l = (hn_ledger){0};
}

const hn_run *hn_ledger_best(const hn_ledger *l) {
    return l->selected ? l->candidates[l->compared[l->selection.best]] : NULL;
}

static json_t *best_json(const hn_ledger *l) {
    char name[32];
    const hn_run *best = hn_ledger_best(l);
    if (!best) return json_null();
    snprintf(name, sizeof name, "r%lld", (long long)best->id);
    return json_pack("{s:s, s:f, s:f, s:o, s:I}", "run", name, "observed", l->selection.observed, "optimism",
                     l->selection.optimism, "corrected", hn_report_estimate_json(l->selection.corrected), "chosen_from",
                     (json_int_t)l->n_compared);
}

hn_status hn_ledger_json(const hn_ledger *l, json_t **value, hn_error *err) {
    json_t *looks = json_array();
    bool fine = looks != NULL;
    for (size_t i = 0; fine && i < l->n_looks; i++) {
        char name[32], when[32];
        const hn_run *run = l->candidates[l->looks[i].candidate];
        snprintf(name, sizeof name, "r%lld", (long long)run->id);
        fine = json_array_append_new(looks, json_pack("{s:s, s:s, s:s?, s:s?, s:b}", "run", name, "when",
                                                      hn_clock_format(l->looks[i].at_ms, false, when), "prompt",
                                                      run->spec.prompt_name, "model", run->spec.model_name, "again",
                                                      l->looks[i].again)) == 0;
    }
    json_t *made = fine ? json_pack("{s:O, s:I, s:o}", "looks", looks, "candidates", (json_int_t)l->n_candidates,
                                    "best", best_json(l))
                        : NULL;
    json_decref(looks);
    if (!made) return hn_fail_memory(err, 0);
    *value = made;
    return HN_OK;
}
