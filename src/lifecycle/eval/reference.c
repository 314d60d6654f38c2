/* References; see reference.h. */
#include "lifecycle/eval/reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static hn_status take_right(const unsigned char *right, hn_reference *ref, hn_error *err) {
    ref->scores = hn_alloc(ref->n * sizeof *ref->scores);
    if (!ref->scores) return hn_fail_memory(err, ref->n * sizeof *ref->scores);
    for (size_t i = 0; i < ref->n; i++) ref->scores[i] = right[i];
    return HN_OK;
}

static hn_status load_simple(const hn_reference_source *s, bool majority, hn_reference *ref, hn_error *err) {
    const hn_baselines *b = s->baselines;
    if (!b || !b->known || b->n != s->n)
        return hn_fail(err, HN_ERR_INPUT, majority ? "majority" : "bag_of_words", "compare with a run instead",
                       "this baseline needs labels and cases in the train split");
    if (majority)
        snprintf(ref->name, sizeof ref->name, "always %.200s", b->majority_label);
    else
        snprintf(ref->name, sizeof ref->name, "a bag of words");
    return take_right(majority ? b->majority.right : b->bag_of_words.right, ref, err);
}

static int by_case(const void *a, const void *b) {
    const hn_prediction *const *x = a, *const *y = b;
    return strcmp((*x)->case_id, (*y)->case_id);
}

static hn_status match(const hn_reference_source *s, const hn_prediction_list *list, hn_reference *ref, hn_error *err) {
    const hn_prediction **index = hn_alloc(list->n * sizeof *index);
    ref->scores = hn_alloc(s->n * sizeof *ref->scores);
    hn_status st = index && ref->scores ? HN_OK : hn_fail_memory(err, s->n * sizeof *ref->scores);
    for (size_t i = 0; st == HN_OK && i < list->n; i++) index[i] = &list->rows[i];
    if (st == HN_OK) qsort(index, list->n, sizeof *index, by_case);
    size_t missing = 0;
    for (size_t i = 0; st == HN_OK && i < s->n; i++) {
        hn_prediction wanted = {.case_id = s->dataset->cases[s->cases[i]].id}, *key = &wanted;
        const hn_prediction **found = bsearch(&key, index, list->n, sizeof *index, by_case);
        missing += !found;
        ref->scores[i] = found && (*found)->correct;
    }
    if (st == HN_OK && missing)
        st = hn_fail(err, HN_ERR_INPUT, ref->run, "evaluate it on the same split, without a smaller --limit",
                     "it did not answer %zu of the %zu cases", missing, s->n);
    hn_free(index);
    return st;
}

static hn_status check_run(const hn_reference_source *s, const hn_run *run, const hn_reference *ref, hn_error *err) {
    const char *data = run->spec.dataset_hash ? run->spec.dataset_hash : "";
    if (strcmp(data, s->dataset->hash) == 0) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, ref->run, "evaluate its prompt again on the data as it is now",
                   "it was on other data (%.8s) than there is now (%.8s)", data, s->dataset->hash);
}

static hn_status load_run(const hn_reference_source *s, const char *name, hn_reference *ref, hn_error *err) {
    hn_run *run;
    hn_prediction_list list;
    HN_TRY(hn_run_find(s->store, name, &run, err));
    snprintf(ref->run, sizeof ref->run, "r%lld", (long long)run->id);
    snprintf(ref->name, sizeof ref->name, "%s (%.200s)", ref->run, run->spec.prompt_name ? run->spec.prompt_name : "");
    snprintf(ref->content_id, sizeof ref->content_id, "%s", run->content_id);
    hn_status st = check_run(s, run, ref, err);
    if (st == HN_OK && (st = hn_prediction_load(s->store, run->id, &list, err)) == HN_OK) {
        st = match(s, &list, ref, err);
        hn_prediction_list_free(&list);
    }
    hn_run_free(run);
    return st;
}

hn_status hn_reference_load(const hn_reference_source *s, const char *name, hn_reference *ref, hn_error *err) {
    *ref = (hn_reference){.n = s->n};
    if (strcmp(name, "baseline") == 0) name = s->scope->baseline ? s->scope->baseline : "majority";
    bool majority = strcmp(name, "majority") == 0;
    hn_status st = majority || strcmp(name, "bag_of_words") == 0 ? load_simple(s, majority, ref, err)
                                                                 : load_run(s, name, ref, err);
    if (st != HN_OK) hn_reference_free(ref);
    return st;
}

void hn_reference_free(hn_reference *ref) {
    hn_free(ref->scores);
    *ref = (hn_reference){0};
}
