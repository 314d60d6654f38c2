/* Judges against people; see judge_human.h. */
#include "lifecycle/eval/judge_human.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/str.h"
#include "lifecycle/eval/run_report.h"
#include "project/data_table.h"
#include "stats/agreement.h"
#include "stats/prediction_powered.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the file ---- */

typedef struct columns {
    int id, grade, answer; /* answer -1: there is none */
} columns;

static hn_status need_column(const hn_data_table *t, const char *name, int *column, hn_error *err) {
    char hint[384];
    *column = hn_data_table_column(t, name);
    if (*column >= 0) return HN_OK;
    hn_data_table_suggest(t, name, hint, sizeof hint);
    return hn_fail(err, HN_ERR_INPUT, t->name, hint, "there is no column `%s`", name);
}

static hn_status word_index(const hn_data_table *t, const hn_data_table_row *row, const char *text,
                            const char *const *words, size_t n_words, int32_t *index, hn_error *err) {
    char where[384];
    const char *near = hn_closest(text, words, n_words);
    *index = -1;
    if (!*text) return HN_OK;
    for (size_t i = 0; i < n_words; i++)
        if (strcmp(words[i], text) == 0) *index = (int32_t)i;
    if (*index >= 0) return HN_OK;
    snprintf(where, sizeof where, "%.300s:%d", t->name, row->line);
    return hn_fail(err, HN_ERR_INPUT, where, near ? near : "use the grades of hone.yaml", "`%.60s` is no grade", text);
}

static bool is_of(const hn_data_table_row *row, const columns *c, const hn_graded *item) {
    const char *id = row->cells[c->id], *answer = c->answer >= 0 ? row->cells[c->answer] : NULL;
    if (!id || strcmp(id, item->row->case_id) != 0) return false;
    const char *given = item->row->text ? item->row->text : item->row->value;
    return !answer || hn_str_equal(hn_str_trim(hn_str_of(answer)), hn_str_trim(hn_str_of(given)));
}

typedef struct named_item {
    const hn_graded *item;
    size_t index;
} named_item;

static int by_case(const void *a, const void *b) {
    const named_item *x = a, *y = b;
    return strcmp(x->item->row->case_id, y->item->row->case_id);
}

static hn_status match_rows(const hn_data_table *t, const columns *c, const char *const *words, size_t n_words,
                            const hn_graded *items, size_t n, int32_t *human, hn_error *err) {
    named_item *index = hn_alloc((n ? n : 1) * sizeof *index);
    if (!index) return hn_fail_memory(err, n * sizeof *index);
    for (size_t i = 0; i < n; i++) {
        index[i] = (named_item){&items[i], i};
        human[i] = -1;
    }
    qsort(index, n, sizeof *index, by_case);
    hn_status st = HN_OK;
    for (size_t r = 0; r < t->n_rows && st == HN_OK; r++) {
        const hn_data_table_row *row = &t->rows[r];
        int32_t word;
        const char *grade = row->cells[c->grade];
        st = word_index(t, row, grade ? grade : "", words, n_words, &word, err);
        if (st != HN_OK || word < 0 || !row->cells[c->id]) continue;
        const hn_prediction wanted = {.case_id = row->cells[c->id]};
        const hn_graded as_item = {&wanted, NULL};
        named_item key = {&as_item, 0}, *found = bsearch(&key, index, n, sizeof *index, by_case);
        if (found && is_of(row, c, found->item)) human[found->index] = word;
    }
    hn_free(index);
    return st;
}

hn_status hn_judge_human_load(const char *path, const char *case_column, const char *grade_column,
                              const char *const *words, size_t n_words, const hn_graded *items, size_t n,
                              int32_t *human, hn_error *err) {
    hn_data_table *t;
    columns c;
    HN_TRY(hn_data_table_load(path, path, &t, err));
    hn_status st = need_column(t, case_column, &c.id, err);
    if (st == HN_OK) st = need_column(t, grade_column, &c.grade, err);
    c.answer = st == HN_OK ? hn_data_table_column(t, "answer") : -1;
    if (st == HN_OK) st = match_rows(t, &c, words, n_words, items, n, human, err);
    hn_data_table_free(t);
    return st;
}

/* ---- agreement ---- */

typedef struct agreement {
    size_t n, n_same;
    hn_estimate kappa, alpha;
} agreement;

static hn_status measure(const hn_judge_human_data *d, agreement *a, hn_error *err) {
    hn_bootstrap_options options = {.seed = HN_REPORT_SEED};
    int32_t *ratings = hn_alloc((d->n ? d->n : 1) * 2 * sizeof *ratings);
    if (!ratings) return hn_fail_memory(err, d->n * 2 * sizeof *ratings);
    for (size_t i = 0; i < d->n; i++) {
        bool both = d->human[i] >= 0 && d->judge[i] >= 0;
        a->n += both;
        a->n_same += both && d->human[i] == d->judge[i];
        ratings[i] = both ? d->human[i] : -1;
        ratings[d->n + i] = both ? d->judge[i] : -1;
    }
    hn_status st = hn_agreement_kappa(ratings, ratings + d->n, d->n, d->n_words, d->groups, &options, &a->kappa, err);
    if (st == HN_OK) st = hn_agreement_alpha(ratings, 2, d->n, d->n_words, d->groups, &options, &a->alpha, err);
    hn_free(ratings);
    return st;
}

/* Whether a group has a case that people graded: then the rest of it tells nothing new. */
static bool *groups_with_people(const hn_judge_human_data *d) {
    uint32_t most = 0;
    for (size_t i = 0; i < d->n; i++)
        if (d->groups && d->groups[i] > most) most = d->groups[i];
    bool *with = hn_calloc((size_t)most + 1, sizeof *with);
    for (size_t i = 0; with && d->groups && i < d->n; i++)
        if (d->human[i] >= 0) with[d->groups[i]] = true;
    return with;
}

static hn_status estimate(const hn_judge_human_data *d, hn_ppi_estimate *out, hn_error *err) {
    size_t n = 0, n_rest = 0;
    double *human = hn_alloc((d->n ? d->n : 1) * 3 * sizeof *human);
    uint32_t *groups = hn_alloc((d->n ? d->n : 1) * 2 * sizeof *groups);
    bool *with = groups_with_people(d);
    hn_status st = human && groups && with ? HN_OK : hn_fail_memory(err, d->n * 3 * sizeof *human);
    for (size_t i = 0; st == HN_OK && i < d->n; i++) {
        if (isnan(d->judge_values[i])) continue;
        if (d->human[i] >= 0) {
            human[n] = d->word_values[d->human[i]];
            human[d->n + n] = d->judge_values[i];
            groups[n++] = d->groups ? d->groups[i] : (uint32_t)i;
        } else if (!d->groups || !with[d->groups[i]]) {
            human[2 * d->n + n_rest] = d->judge_values[i];
            groups[d->n + n_rest++] = d->groups ? d->groups[i] : (uint32_t)i;
        }
    }
    hn_ppi_data data = {
        .human = human, .judge = human + d->n, .judge_rest = human + 2 * d->n, .n = n, .n_rest = n_rest};
    if (st == HN_OK && d->groups) {
        data.group = groups;
        data.group_rest = groups + d->n;
    }
    if (st == HN_OK) st = hn_ppi_mean(&data, NULL, out, err);
    hn_free(human);
    hn_free(groups);
    hn_free(with);
    return st;
}

/* ---- words and JSON ---- */

static json_t *sentence(const char *fmt, ...) HN_PRINTF(1, 2);
static json_t *sentence(const char *fmt, ...) {
    char text[400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return json_string(text);
}

static void estimate_text(hn_estimate e, char out[64]) {
    if (!isfinite(e.value))
        snprintf(out, 64, "not defined");
    else if (!isfinite(e.low) || !isfinite(e.high))
        snprintf(out, 64, "%.2f", e.value);
    else
        snprintf(out, 64, "%.2f [%.2f, %.2f]", e.value, e.low, e.high);
}

static json_t *agreement_sentence(const agreement *a) {
    char kappa[64], alpha[64];
    estimate_text(a->kappa, kappa);
    estimate_text(a->alpha, alpha);
    return sentence("agrees with people in %zu of %zu cases, kappa %s, alpha %s%s", a->n_same, a->n, kappa, alpha,
                    a->n < 30 ? " (few cases)" : "");
}

static json_t *estimate_sentence(const hn_ppi_estimate *e, size_t n_human) {
    char mean[64], human[64];
    estimate_text(e->mean, mean);
    estimate_text(e->human_only, human);
    return sentence("with people's grades: %s (prediction-powered, worth %.0f human grades; the %zu human grades alone "
                    "%s, the judge "
                    "alone %.2f)",
                    mean, e->worth, n_human, human, e->judge_only);
}

static json_t *figures_json(const agreement *a, const hn_ppi_estimate *e, size_t n_human, json_t *sentences) {
    json_t *powered = hn_report_estimate_json(e->mean);
    if (!powered || json_object_set_new(powered, "human_only", hn_report_estimate_json(e->human_only)) != 0 ||
        json_object_set_new(powered, "judge_only", isfinite(e->judge_only) ? json_real(e->judge_only) : json_null()) !=
            0 ||
        json_object_set_new(powered, "worth", isfinite(e->worth) ? json_real(e->worth) : json_null()) != 0) {
        json_decref(powered);
        return NULL;
    }
    return json_pack("{s:I, s:{s:I, s:I, s:o, s:o}, s:o, s:O}", "human_grades", (json_int_t)n_human, "agreement", "n",
                     (json_int_t)a->n, "same", (json_int_t)a->n_same, "kappa", hn_report_estimate_json(a->kappa),
                     "alpha", hn_report_estimate_json(a->alpha), "prediction_powered", powered, "sentences", sentences);
}

static hn_status without_people(json_t **remarks, hn_error *err) {
    *remarks = json_pack(
        "{s:i, s:n, s:[s]}", "human_grades", 0, "agreement", "sentences",
        "no human grades: how far this judge agrees with people is not known (`human: FILE` names a table of them)");
    return *remarks ? HN_OK : hn_fail_memory(err, 0);
}

hn_status hn_judge_human_compare(const hn_judge_human_data *d, json_t **remarks, hn_error *err) {
    agreement a = {0};
    hn_ppi_estimate e;
    size_t n_human = 0;
    *remarks = NULL;
    for (size_t i = 0; i < d->n; i++) n_human += d->human[i] >= 0;
    if (n_human == 0) return without_people(remarks, err);
    HN_TRY(measure(d, &a, err));
    HN_TRY(estimate(d, &e, err));
    json_t *sentences = json_array();
    bool fine = sentences && json_array_append_new(sentences, agreement_sentence(&a)) == 0 &&
                json_array_append_new(sentences, estimate_sentence(&e, n_human)) == 0;
    *remarks = fine ? figures_json(&a, &e, n_human, sentences) : NULL;
    json_decref(sentences);
    return *remarks ? HN_OK : hn_fail_memory(err, 0);
}
