/* Likely label errors: confident learning (Northcutt, Jiang and Chuang 2021) on out-of-fold probabilities of the bag of words.
 *
 * Each case is judged by a linear model on TF-IDF that was trained without it, its group and its copies (FOLDS folds). Scores become
 * probabilities by one temperature, fitted on all out-of-fold scores. A label's threshold is the mean probability of its own cases; a case
 * whose probability for another label passes that label's threshold, by MARGIN over its own label's, is a likely error. Labels of fewer
 * than CASES_MIN cases are not judged. The result takes seconds and is kept in the store. */
#include "lifecycle/scope/audit_parts.h"

#include "base/hash.h"
#include "base/rng.h"
#include "base/thread.h"
#include "base/utf8.h"
#include "stats/recalibrate.h"
#include "text/linear.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char LABEL_ERRORS_VERSION[] = "label-errors-1";
enum { FOLDS = 4, CASES_MIN = 5, ROWS_MAX = 20000, ALONE_BELOW = 2000, TEXT_BYTES_MAX = 20000 };
static const size_t SCORES_MAX = (size_t)16 << 20, WEIGHTS_MAX = (size_t)64 << 20;
static const double MARGIN = 0.5;

typedef struct doubt {
    uint32_t row;  /* in the dataset */
    int32_t label; /* what it likely is */
    double own, other;
} doubt;

typedef struct doubts {
    const hn_dataset *d;
    size_t n_labels, n;
    uint32_t *rows;  /* (n) in the dataset */
    int32_t *labels; /* (n) */
    unsigned char *fold;
    size_t *counts; /* (n_labels) */
    hn_str *texts;
    hn_sparse features;
    double *scores; /* (n, n_labels) out of fold; then probabilities */
    hn_status status[FOLDS];
    hn_error errors[FOLDS];
    doubt *found; /* (n_found) the surest first */
    size_t n_found;
} doubts;

/* ---- cases ---- */

static hn_status choose_cases(doubts *w, const hn_audit_texts *texts, hn_error *err) {
    size_t n = w->d->n_cases;
    w->rows = hn_calloc(n + 1, sizeof *w->rows);
    w->labels = hn_calloc(n + 1, sizeof *w->labels);
    w->fold = hn_calloc(n + 1, 1);
    w->texts = hn_calloc(n + 1, sizeof *w->texts);
    w->counts = hn_calloc(w->n_labels + 1, sizeof *w->counts);
    w->found = hn_calloc((n < ROWS_MAX ? n : ROWS_MAX) + 1, sizeof *w->found);
    if (!w->rows || !w->labels || !w->fold || !w->texts || !w->counts || !w->found)
        return hn_fail_memory(err, n * sizeof *w->texts);
    for (size_t i = 0; i < n; i++)
        if (w->d->cases[i].label >= 0 && texts->keys[i]) w->rows[w->n++] = (uint32_t)i;
    if (w->n > ROWS_MAX) {
        hn_rng rng;
        hn_rng_seed(&rng, 7, 0);
        hn_rng_shuffle_u32(&rng, w->rows, w->n);
        w->n = ROWS_MAX;
    }
    for (size_t i = 0; i < w->n; i++) {
        const hn_case *c = &w->d->cases[w->rows[i]];
        uint64_t unit = c->group ? hn_hash64(c->group, strlen(c->group), 1) : hn_hash64(&texts->keys[w->rows[i]], 8, 2);
        hn_str text = texts->texts[w->rows[i]];
        w->texts[i] = (hn_str){text.data, hn_utf8_prefix(text.data, text.len, TEXT_BYTES_MAX)};
        w->labels[i] = c->label;
        w->fold[i] = (unsigned char)(unit % FOLDS);
        w->counts[c->label]++;
    }
    return HN_OK;
}

/* ---- out-of-fold scores ---- */

/* The rows of the fold (`inside`) or of all others, as a matrix of their own. */
static hn_status take_part(const doubts *w, int fold, bool inside, hn_sparse *out, int32_t *labels, hn_error *err) {
    size_t n = 0, n_values = 0, r = 0;
    for (size_t i = 0; i < w->n; i++) {
        if ((w->fold[i] == fold) != inside) continue;
        n++;
        n_values += w->features.start[i + 1] - w->features.start[i];
    }
    *out = (hn_sparse){.n_rows = n, .n_columns = w->features.n_columns};
    out->start = hn_calloc(n + 1, sizeof *out->start);
    out->index = hn_calloc(n_values + 1, sizeof *out->index);
    out->value = hn_calloc(n_values + 1, sizeof *out->value);
    if (!out->start || !out->index || !out->value) return hn_fail_memory(err, n_values * sizeof *out->value);
    for (size_t i = 0; i < w->n; i++) {
        if ((w->fold[i] == fold) != inside) continue;
        size_t from = w->features.start[i], length = w->features.start[i + 1] - from;
        memcpy(out->index + out->start[r], w->features.index + from, length * sizeof *out->index);
        memcpy(out->value + out->start[r], w->features.value + from, length * sizeof *out->value);
        if (labels) labels[r] = w->labels[i];
        out->start[r + 1] = out->start[r] + length;
        r++;
    }
    return HN_OK;
}

static hn_status run_fold(doubts *w, int fold, hn_error *err) {
    hn_sparse train = {0}, held = {0};
    hn_linear *model = NULL;
    int32_t *labels = hn_calloc(w->n + 1, sizeof *labels);
    double *scores = NULL;
    hn_status st = labels ? take_part(w, fold, false, &train, labels, err) : hn_fail_memory(err, w->n * sizeof *labels);
    if (st == HN_OK) st = take_part(w, fold, true, &held, NULL, err);
    if (st == HN_OK && held.n_rows && train.n_rows) {
        scores = hn_calloc(held.n_rows, w->n_labels * sizeof *scores);
        st = scores ? hn_linear_train(&train, labels, w->n_labels, NULL, &model, err)
                    : hn_fail_memory(err, held.n_rows * w->n_labels * sizeof *scores);
    }
    if (st == HN_OK && model) hn_linear_scores(model, &held, scores);
    for (size_t i = 0, r = 0; st == HN_OK && model && i < w->n; i++)
        if (w->fold[i] == fold)
            memcpy(w->scores + i * w->n_labels, scores + r++ * w->n_labels, w->n_labels * sizeof *scores);
    hn_linear_free(model);
    hn_sparse_free(&train);
    hn_sparse_free(&held);
    hn_free(labels);
    hn_free(scores);
    return st;
}

static void run_folds(void *arg, int thread, int n_threads) {
    doubts *w = arg;
    for (int f = thread; f < FOLDS; f += n_threads) w->status[f] = run_fold(w, f, &w->errors[f]);
}

/* Labels that a fold's training lacked have no score: less likely than any that has one. */
static void fill_gaps(double *scores, size_t n) {
    double least = INFINITY;
    for (size_t l = 0; l < n; l++)
        if (isfinite(scores[l]) && scores[l] < least) least = scores[l];
    for (size_t l = 0; l < n; l++)
        if (!isfinite(scores[l])) scores[l] = isfinite(least) ? least - 1 : 0;
}

static hn_status score_all(doubts *w, hn_error *err) {
    hn_pool *pool = NULL;
    w->scores = hn_calloc(w->n + 1, w->n_labels * sizeof *w->scores);
    if (!w->scores) return hn_fail_memory(err, w->n * w->n_labels * sizeof *w->scores);
    if (w->n < ALONE_BELOW)
        run_folds(w, 0, 1);
    else {
        HN_TRY(hn_pool_create(0, &pool, err));
        hn_pool_run(pool, run_folds, w);
        hn_pool_free(pool);
    }
    for (int f = 0; f < FOLDS; f++) {
        if (w->status[f] == HN_OK) continue;
        if (err) *err = w->errors[f];
        return w->status[f];
    }
    for (size_t i = 0; i < w->n; i++) fill_gaps(w->scores + i * w->n_labels, w->n_labels);
    double t = hn_temperature_fit(w->scores, w->labels, w->n, w->n_labels).temperature;
    if (!(t > 0.02)) t = 0.02; /* all right, or no fit: nearly a choice of the best */
    for (size_t i = 0; i < w->n; i++)
        hn_temperature_apply(w->scores + i * w->n_labels, w->n_labels, t, w->scores + i * w->n_labels);
    return HN_OK;
}

/* ---- doubts ---- */

static int by_sureness(const void *a, const void *b) {
    const doubt *x = a, *y = b;
    double p = x->other - x->own, q = y->other - y->own;
    if (p != q) return p < q ? 1 : -1;
    return (x->row > y->row) - (x->row < y->row);
}

static hn_status judge(doubts *w, hn_error *err) {
    double *threshold = hn_calloc(w->n_labels, sizeof *threshold);
    if (!threshold) return hn_fail_memory(err, w->n_labels * sizeof *threshold);
    for (size_t i = 0; i < w->n; i++) threshold[w->labels[i]] += w->scores[i * w->n_labels + (size_t)w->labels[i]];
    for (size_t l = 0; l < w->n_labels; l++) threshold[l] = w->counts[l] ? threshold[l] / (double)w->counts[l] : 2;
    for (size_t i = 0; i < w->n; i++) {
        const double *p = w->scores + i * w->n_labels;
        int32_t own = w->labels[i], best = -1;
        if (w->counts[own] < CASES_MIN) continue;
        for (size_t l = 0; l < w->n_labels; l++)
            if (w->counts[l] >= CASES_MIN && p[l] >= threshold[l] && (best < 0 || p[l] > p[best])) best = (int32_t)l;
        if (best >= 0 && best != own && p[best] - p[own] >= MARGIN)
            w->found[w->n_found++] = (doubt){w->rows[i], best, p[own], p[best]};
    }
    qsort(w->found, w->n_found, sizeof *w->found, by_sureness);
    hn_free(threshold);
    return HN_OK;
}

/* False: too large, which is said. */
static hn_status learn(doubts *w, hn_audit *audit, bool *fits, hn_error *err) {
    const hn_tfidf_options options = {1, 1, 3, 4, 2, 0};
    hn_tfidf *tfidf = NULL;
    *fits = w->n * w->n_labels <= SCORES_MAX;
    hn_status st = *fits ? hn_tfidf_fit(w->texts, w->n, &options, &tfidf, err) : HN_OK;
    if (st == HN_OK && *fits) *fits = hn_tfidf_n_features(tfidf) * w->n_labels <= WEIGHTS_MAX;
    if (st == HN_OK && *fits) st = hn_tfidf_transform(tfidf, w->texts, w->n, &w->features, err);
    hn_tfidf_free(tfidf);
    if (st == HN_OK && !*fits)
        return hn_audit_add_limit(audit, err,
                                  "likely label errors were not looked for: %zu cases of %zu labels are too many", w->n,
                                  w->n_labels);
    if (st == HN_OK) st = score_all(w, err);
    return st == HN_OK ? judge(w, err) : st;
}

/* ---- kept in the store ---- */

static hn_status make_key(const hn_audit_setup *setup, char key[HN_SHA256_HEX], hn_error *err) {
    const hn_contract *c = &setup->scope->contract;
    hn_sha256 *h = hn_sha256_create();
    if (!h) return hn_fail_memory(err, 0);
    hn_sha256_field_str(h, LABEL_ERRORS_VERSION);
    hn_sha256_field_str(h, setup->dataset->hash);
    for (size_t l = 0; l < c->n_labels; l++) hn_sha256_field_str(h, c->labels[l]);
    for (size_t i = 0; i < setup->dataset->n_cases; i++) {
        hn_sha256_field(h, &setup->dataset->cases[i].input_hash, sizeof(uint64_t));
        hn_sha256_field_str(h, setup->dataset->cases[i].id);
        hn_sha256_field_str(h, setup->dataset->cases[i].group);
    }
    hn_sha256_finish(h, key);
    return HN_OK;
}

static bool read_kept(doubts *w, const json_t *kept) {
    size_t i;
    json_t *entry, *rows = json_object_get(kept, "rows");
    if (!json_is_array(rows) || json_array_size(rows) > w->n) return false;
    json_array_foreach(rows, i, entry) {
        json_int_t row, label;
        doubt d;
        if (json_unpack(entry, "[I, I, F, F]", &row, &label, &d.own, &d.other) != 0) return false;
        if (row < 0 || (size_t)row >= w->d->n_cases || label < 0 || (size_t)label >= w->n_labels) return false;
        d.row = (uint32_t)row;
        d.label = (int32_t)label;
        w->found[w->n_found++] = d;
    }
    return true;
}

static hn_status keep(const doubts *w, hn_store *store, const char *key, hn_error *err) {
    json_t *rows = json_array(), *value;
    bool fine = rows != NULL;
    for (size_t i = 0; fine && i < w->n_found; i++)
        fine = json_array_append_new(rows,
                                     json_pack("[I, I, f, f]", (json_int_t)w->found[i].row,
                                               (json_int_t)w->found[i].label, w->found[i].own, w->found[i].other)) == 0;
    value = fine ? json_pack("{s:O}", "rows", rows) : NULL;
    json_decref(rows);
    hn_status st = value ? hn_cache_put(store, &key, &value, 1, err) : hn_fail_memory(err, 0);
    json_decref(value);
    return st;
}

static hn_status find(const hn_audit_setup *setup, doubts *w, hn_audit *audit, hn_error *err) {
    char key[HN_SHA256_HEX];
    json_t *kept = NULL;
    bool fits = true;
    HN_TRY(make_key(setup, key, err));
    if (setup->store) HN_TRY(hn_cache_get(setup->store, key, &kept, err));
    bool known = kept && read_kept(w, kept);
    json_decref(kept);
    if (known) return HN_OK;
    w->n_found = 0;
    HN_TRY(learn(w, audit, &fits, err));
    return fits && setup->store && !hn_store_is_read_only(setup->store) ? keep(w, setup->store, key, err) : HN_OK;
}

static hn_status report(const doubts *w, const hn_contract *c, hn_audit *audit, hn_error *err) {
    audit->findings[HN_AUDIT_LABEL_ERROR].of = w->n;
    for (size_t i = 0; i < w->n_found; i++) {
        const doubt *d = &w->found[i];
        const hn_case *at = &w->d->cases[d->row];
        HN_TRY(hn_audit_add(audit, HN_AUDIT_LABEL_ERROR, at, err,
                            "`%.60s`, but likely `%.60s` (%.0f %% against %.0f %%)", c->labels[at->label],
                            c->labels[d->label], 100 * d->other, 100 * d->own));
    }
    if (w->n == ROWS_MAX)
        return hn_audit_add_limit(audit, err, "likely label errors were looked for in a sample of %d cases", ROWS_MAX);
    return HN_OK;
}

hn_status hn_audit_label_errors(const hn_audit_setup *setup, const hn_audit_texts *texts, hn_audit *audit,
                                hn_error *err) {
    const hn_contract *c = &setup->scope->contract;
    doubts w = {.d = setup->dataset, .n_labels = c->n_labels};
    if (c->kind != HN_CONTRACT_CHOICE) return HN_OK;
    if (setup->quick)
        return hn_audit_add_limit(audit, err, "likely label errors were not looked for (--no-label-check)");
    hn_status st = choose_cases(&w, texts, err);
    if (st == HN_OK && w.n) st = find(setup, &w, audit, err);
    if (st == HN_OK) st = report(&w, c, audit, err);
    hn_sparse_free(&w.features);
    hn_free(w.rows);
    hn_free(w.labels);
    hn_free(w.fold);
    hn_free(w.texts);
    hn_free(w.counts);
    hn_free(w.found);
    hn_free(w.scores);
    return st;
}
