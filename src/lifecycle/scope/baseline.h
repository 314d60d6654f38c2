/* Baselines: what costs nothing, measured on the same cases as every prompt: always answering the commonest label of the train split, and
 * a bag of words (TF-IDF of words and characters, linear model) trained on the train split.
 *
 *     hn_baselines b;
 *     HN_TRY(hn_baselines_measure(dataset, &scope->contract, cases, n, store, &b, &err));
 *     if (b.known) printf("%.1f %%", 100 * b.bag_of_words.accuracy.value);
 *     hn_baselines_free(&b);
 *
 * Kept in the store's cache by what decides them. Ownership: free with hn_baselines_free; majority_label points into the contract. Threading: one
 * thread. */
#ifndef HN_LIFECYCLE_BASELINE_H
#define HN_LIFECYCLE_BASELINE_H

#include "project/project.h"
#include "stats/interval.h"
#include "store/store.h"

typedef struct hn_baseline {
    hn_estimate accuracy, macro_f1;
    unsigned char *right; /* (n) of the cases that were given, in their order: 1 where the baseline is right */
} hn_baseline;

typedef struct hn_baselines {
    bool known;        /* false: no choice contract, no training cases, or nothing to measure on */
    size_t n_train, n; /* cases learnt from, cases measured on */
    const char *majority_label;
    hn_baseline majority, bag_of_words;
} hn_baselines;

/* A bag of words learns from at most so many cases: more would take minutes and bring little. */
enum { HN_BASELINE_TRAIN_MAX = 20000 };

/* The labelled training cases in the data's order; where there are more than HN_BASELINE_TRAIN_MAX, as many drawn at random, always the same. *n_all:
 * how many there are. Free with hn_free. */
hn_status hn_baseline_train_cases(const hn_dataset *dataset, bool choice, uint32_t **cases, size_t *n, size_t *n_all,
                                  hn_error *err) HN_MUST_CHECK;

/* `cases` (n): indices into the dataset. `store` NULL or read-only: computed each time. */
hn_status hn_baselines_measure(const hn_dataset *dataset, const hn_contract *contract, const uint32_t *cases, size_t n,
                               hn_store *store, hn_baselines *out, hn_error *err) HN_MUST_CHECK;
/* The same for the cases of a run's answers; not known where the dataset lacks one of them. */
hn_status hn_baselines_of_rows(const hn_dataset *dataset, const hn_contract *contract, const hn_prediction_list *rows,
                               hn_store *store, hn_baselines *out, hn_error *err) HN_MUST_CHECK;
void hn_baselines_free(hn_baselines *b);
/* {"majority":{"label","accuracy":{...},"macro_f1":{...}},"bag_of_words":{...}}; {} where not known. */
hn_status hn_baselines_json(const hn_baselines *b, json_t **value, hn_error *err) HN_MUST_CHECK;

#endif
