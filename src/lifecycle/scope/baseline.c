/* Baselines; see baseline.h. They are graded by the same code as a run: their answers become predictions, those a report. */
#include "lifecycle/scope/baseline.h"

#include "base/hash.h"
#include "base/rng.h"
#include "lifecycle/eval/run_report.h"
#include "text/bow.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Raised when the way baselines are computed changes, so that kept ones are not mixed with new ones. */
static const char BASELINE_VERSION[] = "baselines-2";

typedef struct work {
    const hn_dataset *dataset;
    const hn_contract *contract;
    const uint32_t *cases;
    size_t n;
    uint32_t *train; /* (n_train) indices of labelled training cases */
    size_t n_train;
    hn_prediction *rows; /* (n) */
    int32_t *answers;    /* (n) */
} work;

static hn_status measure(work *w, hn_baseline *out, hn_error *err) {
    for (size_t i = 0; i < w->n; i++) {
        const hn_case *c = &w->dataset->cases[w->cases[i]];
        const char *value = w->answers[i] >= 0 ? w->contract->labels[w->answers[i]] : NULL;
        w->rows[i] = (hn_prediction){.case_id = c->id,
                                     .target = c->target,
                                     .group = c->group,
                                     .value = value,
                                     .correct = w->answers[i] >= 0 && w->answers[i] == c->label};
    }
    hn_prediction_list list = {w->rows, w->n, NULL};
    hn_report report;
    HN_TRY(hn_report_build(&list, (const char *const *)w->contract->labels, w->contract->n_labels, &report, err));
    out->accuracy = report.accuracy;
    out->macro_f1 = report.macro_f1;
    hn_report_free(&report);
    for (size_t i = 0; i < w->n; i++) out->right[i] = w->rows[i].correct;
    return HN_OK;
}

/* Of all training cases, also where the bag of words learns from a part of them. */
static size_t commonest(const work *w, size_t *counts) {
    size_t best = 0;
    for (size_t i = 0; i < w->dataset->n_cases; i++) {
        const hn_case *c = &w->dataset->cases[i];
        if (c->split == HN_SPLIT_TRAIN && c->label >= 0) counts[c->label]++;
    }
    for (size_t l = 1; l < w->contract->n_labels; l++)
        if (counts[l] > counts[best]) best = l;
    return best;
}

static hn_status measure_majority(work *w, hn_baselines *out, hn_error *err) {
    size_t *counts = hn_calloc(w->contract->n_labels, sizeof *counts);
    if (!counts) return hn_fail_memory(err, w->contract->n_labels * sizeof *counts);
    size_t label = commonest(w, counts);
    hn_free(counts);
    out->majority_label = w->contract->labels[label];
    for (size_t i = 0; i < w->n; i++) w->answers[i] = (int32_t)label;
    return measure(w, &out->majority, err);
}

/* The texts of some cases, all in one buffer. */
static hn_status collect_texts(const hn_dataset *dataset, const uint32_t *cases, size_t n, hn_buf *buf, hn_str *texts,
                               hn_error *err) {
    for (size_t i = 0; i < n; i++) {
        size_t start = buf->len;
        HN_TRY(hn_case_text(&dataset->cases[cases[i]], buf, err));
        HN_TRY(hn_buf_check(buf, "the cases' texts", err));
        texts[i].len = buf->len - start;
    }
    size_t at = 0;
    for (size_t i = 0; i < n; at += texts[i++].len) texts[i].data = hn_buf_str(buf) + at;
    return HN_OK;
}

static hn_status measure_bag_of_words(work *w, hn_baselines *out, hn_error *err) {
    hn_buf train_buf, buf;
    hn_bow *bow = NULL;
    hn_str *texts = hn_calloc(w->n_train + w->n, sizeof *texts);
    int32_t *labels = hn_alloc(w->n_train * sizeof *labels);
    hn_buf_init(&train_buf, 0);
    hn_buf_init(&buf, 0);
    hn_status st = texts && labels ? HN_OK : hn_fail_memory(err, (w->n_train + w->n) * sizeof *texts);
    if (st != HN_OK) goto done;
    for (size_t i = 0; i < w->n_train; i++) labels[i] = w->dataset->cases[w->train[i]].label;
    HN_GOTO(collect_texts(w->dataset, w->train, w->n_train, &train_buf, texts, err), done);
    HN_GOTO(collect_texts(w->dataset, w->cases, w->n, &buf, texts + w->n_train, err), done);
    HN_GOTO(hn_bow_train(texts, labels, w->n_train, w->contract->n_labels, NULL, &bow, err), done);
    HN_GOTO(hn_bow_predict(bow, texts + w->n_train, w->n, w->answers, err), done);
    st = measure(w, &out->bag_of_words, err);
done:
    hn_bow_free(bow);
    hn_buf_free(&train_buf);
    hn_buf_free(&buf);
    hn_free(texts);
    hn_free(labels);
    return st;
}

/* ---- kept in the cache ---- */

static void add_cases(hn_sha256 *h, const hn_dataset *d, const uint32_t *cases, size_t n) {
    hn_sha256_field_i64(h, (int64_t)n);
    for (size_t i = 0; i < n; i++) hn_sha256_field_str(h, d->cases[cases[i]].id);
}

static hn_status make_key(const work *w, char key[HN_SHA256_HEX], hn_error *err) {
    hn_sha256 *h = hn_sha256_create();
    if (!h) return hn_fail_memory(err, 0);
    hn_sha256_field_str(h, BASELINE_VERSION);
    hn_sha256_field_str(h, w->dataset->hash);
    for (size_t l = 0; l < w->contract->n_labels; l++) hn_sha256_field_str(h, w->contract->labels[l]);
    add_cases(h, w->dataset, w->train, w->n_train);
    add_cases(h, w->dataset, w->cases, w->n);
    hn_sha256_finish(h, key);
    return HN_OK;
}

static bool read_estimate(const json_t *object, const char *name, hn_estimate *e) {
    json_t *value = json_object_get(object, name);
    return json_unpack(value, "{s:F, s:F, s:F}", "value", &e->value, "low", &e->low, "high", &e->high) == 0;
}

/* "0110...": one digit a case. */
static bool read_right(const json_t *object, size_t n, unsigned char *right) {
    const char *digits = json_string_value(json_object_get(object, "right"));
    if (!digits || strlen(digits) != n) return false;
    for (size_t i = 0; i < n; i++) right[i] = digits[i] == '1';
    return true;
}

static bool set_right(json_t *object, const hn_baseline *b, size_t n) {
    char *digits = hn_alloc(n + 1);
    if (!digits) return false;
    for (size_t i = 0; i < n; i++) digits[i] = b->right[i] ? '1' : '0';
    digits[n] = 0;
    bool fine = json_object_set_new(object, "right", json_string(digits)) == 0;
    hn_free(digits);
    return fine;
}

static bool read_kept(const json_t *kept, const hn_contract *contract, hn_baselines *out) {
    const json_t *majority = json_object_get(kept, "majority"), *bow = json_object_get(kept, "bag_of_words");
    const char *label = json_string_value(json_object_get(majority, "label"));
    for (size_t l = 0; label && l < contract->n_labels; l++)
        if (strcmp(contract->labels[l], label) == 0) out->majority_label = contract->labels[l];
    return out->majority_label && read_estimate(majority, "accuracy", &out->majority.accuracy) &&
           read_estimate(majority, "macro_f1", &out->majority.macro_f1) &&
           read_estimate(bow, "accuracy", &out->bag_of_words.accuracy) &&
           read_estimate(bow, "macro_f1", &out->bag_of_words.macro_f1) &&
           read_right(majority, out->n, out->majority.right) && read_right(bow, out->n, out->bag_of_words.right);
}

static hn_status keep(hn_store *store, const char *key, const hn_baselines *b, hn_error *err) {
    json_t *value;
    HN_TRY(hn_baselines_json(b, &value, err));
    bool fine = set_right(json_object_get(value, "majority"), &b->majority, b->n) &&
                set_right(json_object_get(value, "bag_of_words"), &b->bag_of_words, b->n);
    hn_status st = fine ? hn_cache_put(store, &key, &value, 1, err) : hn_fail_memory(err, b->n);
    json_decref(value);
    return st;
}

static hn_status measure_all(work *w, hn_store *store, hn_baselines *out, hn_error *err) {
    char key[HN_SHA256_HEX];
    json_t *kept = NULL;
    HN_TRY(make_key(w, key, err));
    if (store) HN_TRY(hn_cache_get(store, key, &kept, err));
    out->n_train = w->n_train;
    out->n = w->n;
    out->known = kept && read_kept(kept, w->contract, out);
    json_decref(kept);
    if (out->known) return HN_OK;
    HN_TRY(measure_majority(w, out, err));
    HN_TRY(measure_bag_of_words(w, out, err));
    out->known = true;
    return store && !hn_store_is_read_only(store) ? keep(store, key, out, err) : HN_OK;
}

static int by_index(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

hn_status hn_baseline_train_cases(const hn_dataset *d, bool choice, uint32_t **cases, size_t *n, size_t *n_all,
                                  hn_error *err) {
    uint32_t *all = hn_alloc((d->n_cases ? d->n_cases : 1) * sizeof *all);
    *cases = NULL;
    *n = *n_all = 0;
    if (!all) return hn_fail_memory(err, d->n_cases * sizeof *all);
    for (size_t i = 0; i < d->n_cases; i++) {
        const hn_case *c = &d->cases[i];
        if (c->split == HN_SPLIT_TRAIN && c->target && (!choice || c->label >= 0)) all[(*n_all)++] = (uint32_t)i;
    }
    *n = *n_all;
    if (*n > HN_BASELINE_TRAIN_MAX) {
        hn_rng rng;
        hn_rng_seed(&rng, HN_REPORT_SEED, 0x7247);
        hn_rng_shuffle_u32(&rng, all, *n);
        *n = HN_BASELINE_TRAIN_MAX;
        qsort(all, *n, sizeof *all, by_index);
    }
    *cases = all;
    return HN_OK;
}

hn_status hn_baselines_measure(const hn_dataset *dataset, const hn_contract *contract, const uint32_t *cases, size_t n,
                               hn_store *store, hn_baselines *out, hn_error *err) {
    *out = (hn_baselines){0};
    if (contract->kind != HN_CONTRACT_CHOICE || n == 0) return HN_OK;
    out->majority.right = hn_calloc(n, 1);
    out->bag_of_words.right = hn_calloc(n, 1);
    work w = {.dataset = dataset, .contract = contract, .cases = cases, .n = n};
    size_t n_all;
    w.rows = hn_calloc(n, sizeof *w.rows);
    w.answers = hn_calloc(n, sizeof *w.answers);
    bool room = w.rows && w.answers && out->majority.right && out->bag_of_words.right;
    hn_status st = room ? HN_OK : hn_fail_memory(err, n * sizeof *w.rows);
    if (st == HN_OK) st = hn_baseline_train_cases(dataset, true, &w.train, &w.n_train, &n_all, err);
    if (st == HN_OK && w.n_train > 0) st = measure_all(&w, store, out, err);
    hn_free(w.train);
    hn_free(w.rows);
    hn_free(w.answers);
    if (!out->known) hn_baselines_free(out);
    return st;
}

void hn_baselines_free(hn_baselines *b) {
    hn_free(b->majority.right);
    hn_free(b->bag_of_words.right);
    *b = (hn_baselines){0};
}

hn_status hn_baselines_of_rows(const hn_dataset *dataset, const hn_contract *contract, const hn_prediction_list *rows,
                               hn_store *store, hn_baselines *out, hn_error *err) {
    *out = (hn_baselines){0};
    uint32_t *cases = hn_alloc(rows->n * sizeof *cases);
    size_t n = 0;
    if (!cases) return hn_fail_memory(err, rows->n * sizeof *cases);
    for (size_t i = 0; i < rows->n; i++) {
        const hn_case *found = hn_dataset_find(dataset, rows->rows[i].case_id);
        if (found) cases[n++] = (uint32_t)(found - dataset->cases);
    }
    hn_status st = n == rows->n ? hn_baselines_measure(dataset, contract, cases, n, store, out, err) : HN_OK;
    hn_free(cases);
    return st;
}

hn_status hn_baselines_json(const hn_baselines *b, json_t **value, hn_error *err) {
    *value = !b->known ? json_object()
                       : json_pack("{s:{s:s, s:o, s:o}, s:{s:o, s:o}}", "majority", "label", b->majority_label,
                                   "accuracy", hn_report_estimate_json(b->majority.accuracy), "macro_f1",
                                   hn_report_estimate_json(b->majority.macro_f1), "bag_of_words", "accuracy",
                                   hn_report_estimate_json(b->bag_of_words.accuracy), "macro_f1",
                                   hn_report_estimate_json(b->bag_of_words.macro_f1));
    return *value ? HN_OK : hn_fail_memory(err, 0);
}
