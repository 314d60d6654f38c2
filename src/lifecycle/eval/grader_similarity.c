/* similarity: how near an answer is to the target by a representation of texts that is fitted on the train split. `by: tfidf`: cosine of TF-IDF
 * rows; `by: hidden`: cosine of a local model's whitened hidden states (grader_hidden.h). What such a number is worth shows in its AUC: how often two train texts with one target are nearer than two with different ones. */
#include "lifecycle/eval/grader_hidden.h"
#include "lifecycle/eval/grader_parts.h"
#include "stats/ranking.h"
#include "text/tfidf.h"

#include <math.h>
#include <string.h>

enum { AUC_CASES_MAX = 400, HIDDEN_CASES_MAX = 500 };

typedef struct similarity {
    hn_tfidf *tfidf;   /* by tfidf */
    hn_hidden *hidden; /* by hidden */
    size_t n_train;
    double auc; /* NaN: targets do not repeat */
} similarity;

static void close_similarity(hn_grader *g) {
    similarity *s = g->state;
    if (!s) return;
    hn_tfidf_free(s->tfidf);
    hn_hidden_close(s->hidden);
    hn_free(s);
}

static double dot(const hn_sparse *rows, size_t a, size_t b) {
    double sum = 0;
    size_t i = rows->start[a], k = rows->start[b];
    while (i < rows->start[a + 1] && k < rows->start[b + 1]) {
        if (rows->index[i] == rows->index[k])
            sum += (double)rows->value[i++] * (double)rows->value[k++];
        else if (rows->index[i] < rows->index[k])
            i++;
        else
            k++;
    }
    return sum;
}

/* The AUC of "same target" by similarity, over all pairs of up to AUC_CASES_MAX train cases' inputs. */
static hn_status measure_auc(similarity *s, const hn_str *texts, const char *const *targets, size_t n, hn_error *err) {
    size_t used = n < AUC_CASES_MAX ? n : AUC_CASES_MAX, n_pairs = used * (used ? used - 1 : 0) / 2, at = 0;
    hn_sparse rows;
    hn_ranking ranking;
    s->auc = (double)NAN;
    if (n_pairs == 0) return HN_OK;
    HN_TRY(hn_tfidf_transform(s->tfidf, texts, used, &rows, err));
    double *scores = hn_alloc(n_pairs * sizeof *scores);
    unsigned char *same = hn_alloc(n_pairs);
    hn_status st = scores && same ? HN_OK : hn_fail_memory(err, n_pairs * sizeof *scores);
    for (size_t i = 0; st == HN_OK && i < used; i++) {
        for (size_t k = 0; k < i; k++, at++) {
            scores[at] = dot(&rows, i, k);
            same[at] = strcmp(targets[i], targets[k]) == 0;
        }
    }
    if (st == HN_OK) st = hn_ranking_measure(scores, same, n_pairs, &ranking, err);
    if (st == HN_OK) s->auc = ranking.roc_auc;
    hn_free(scores);
    hn_free(same);
    hn_sparse_free(&rows);
    return st;
}

/* The train split's inputs and targets as texts: 2 n of them, inputs first; `targets` (n) the latter again. */
typedef struct corpus {
    hn_buf *inputs; /* (n) */
    hn_str *texts;  /* (2 n) */
    const char **targets;
    size_t n;
} corpus;

static void free_corpus(corpus *c) {
    for (size_t i = 0; i < c->n && c->inputs; i++) hn_buf_free(&c->inputs[i]);
    hn_free(c->inputs);
    hn_free(c->texts);
    hn_free(c->targets);
}

static hn_status read_corpus(const hn_dataset *d, size_t most, corpus *c, hn_error *err) {
    uint32_t *cases;
    size_t n, kept = 0;
    *c = (corpus){0};
    HN_TRY(hn_dataset_select(d, HN_SPLIT_TRAIN, &cases, &n, err));
    for (size_t i = 0; i < n && kept < most; i++)
        if (d->cases[cases[i]].target) cases[kept++] = cases[i];
    c->inputs = hn_calloc(kept ? kept : 1, sizeof *c->inputs);
    c->texts = hn_calloc(2 * kept + 1, sizeof *c->texts);
    c->targets = hn_calloc(kept ? kept : 1, sizeof *c->targets);
    hn_status st = c->inputs && c->texts && c->targets ? HN_OK : hn_fail_memory(err, kept * sizeof *c->texts);
    if (st == HN_OK) c->n = kept;
    for (size_t i = 0; i < c->n && st == HN_OK; i++) {
        hn_buf_init(&c->inputs[i], 0);
        st = hn_case_text(&d->cases[cases[i]], &c->inputs[i], err);
        c->targets[i] = d->cases[cases[i]].target;
    }
    for (size_t i = 0; i < c->n && st == HN_OK; i++) {
        c->texts[i] = (hn_str){hn_buf_str(&c->inputs[i]), c->inputs[i].len};
        c->texts[c->n + i] = hn_str_of(c->targets[i]);
    }
    hn_free(cases);
    return st;
}

/* Equal targets get one number. */
static hn_status fit_hidden(const hn_grader *g, similarity *s, const corpus *c, hn_error *err) {
    int32_t *labels = hn_alloc(c->n * sizeof *labels);
    if (!labels) return hn_fail_memory(err, c->n * sizeof *labels);
    for (size_t i = 0; i < c->n; i++) {
        size_t k = 0;
        while (strcmp(c->targets[k], c->targets[i]) != 0) k++;
        labels[i] = (int32_t)k;
    }
    hn_status st = hn_hidden_open(g, c->texts, 2 * c->n, labels, c->n, &s->hidden, &s->auc, err);
    hn_free(labels);
    return st;
}

static hn_status fit_tfidf(similarity *s, const corpus *c, hn_error *err) {
    HN_TRY(hn_tfidf_fit(c->texts, 2 * c->n, NULL, &s->tfidf, err));
    return measure_auc(s, c->texts, c->targets, c->n, err);
}

static hn_status open_similarity(hn_grader *g, hn_error *err) {
    corpus c;
    bool hidden = hn_grader_is(g, "by", "hidden");
    if (!g->grading.dataset)
        return hn_fail(err, HN_ERR_INPUT, g->config->place, NULL, "grader %s: there is no data to fit it on",
                       g->config->name);
    similarity *s = g->state = hn_calloc(1, sizeof *s);
    if (!s) return hn_fail_memory(err, sizeof *s);
    hn_status st = read_corpus(g->grading.dataset, hidden ? HIDDEN_CASES_MAX : SIZE_MAX, &c, err);
    if (st == HN_OK && c.n == 0)
        st = hn_fail(err, HN_ERR_INPUT, g->config->place, "give train a share under `split:` in hone.yaml",
                     "grader %s is fitted on the train split, and that is empty", g->config->name);
    if (st == HN_OK) st = hidden ? fit_hidden(g, s, &c, err) : fit_tfidf(s, &c, err);
    s->n_train = c.n;
    free_corpus(&c);
    return st;
}

static hn_status grade_similarity(hn_grader *g, const hn_graded *item, hn_grade *out, hn_error *err) {
    similarity *s = g->state;
    hn_str texts[] = {hn_grader_answer(item), hn_str_trim(hn_str_of(item->row->target))};
    hn_sparse rows;
    if (s->hidden) return hn_hidden_similarities(s->hidden, &texts[0], &texts[1], 1, &out->value, err);
    HN_TRY(hn_tfidf_transform(s->tfidf, texts, 2, &rows, err));
    bool same = hn_str_equal(texts[0], texts[1]);
    out->value = same ? 1 : fmin(1, dot(&rows, 0, 1)); /* equal texts of unseen words have empty rows */
    hn_sparse_free(&rows);
    return HN_OK;
}

/* Hidden states are computed many at a time. */
static hn_status grade_all(hn_grader *g, const hn_graded *items, size_t n, hn_grade_keep *keep, void *user,
                           hn_error *err) {
    similarity *s = g->state;
    hn_str *texts = hn_alloc((n ? n : 1) * 2 * sizeof *texts);
    double *values = hn_alloc((n ? n : 1) * sizeof *values);
    hn_status st = texts && values ? HN_OK : hn_fail_memory(err, n * 2 * sizeof *texts);
    for (size_t i = 0; st == HN_OK && i < n; i++) {
        texts[i] = hn_grader_answer(&items[i]);
        texts[n + i] = hn_str_trim(hn_str_of(items[i].row->target));
    }
    if (st == HN_OK && s->hidden && n) st = hn_hidden_similarities(s->hidden, texts, texts + n, n, values, err);
    for (size_t i = 0; st == HN_OK && i < n; i++) {
        hn_grade grade = {.value = s->hidden && items[i].row->target ? values[i] : (double)NAN};
        if (!s->hidden && items[i].row->target) st = grade_similarity(g, &items[i], &grade, err);
        if (st == HN_OK) st = keep(user, i, &grade, err);
    }
    hn_free(texts);
    hn_free(values);
    return st;
}

static hn_status similarity_remarks(hn_grader *g, const hn_graded *items, const double *values,
                                    const char *const *details, const uint32_t *groups, size_t n, json_t **remarks,
                                    hn_error *err) {
    similarity *s = g->state;
    (void)items, (void)values, (void)details, (void)groups, (void)n;
    *remarks = json_pack("{s:o, s:I}", "auc_same_target", isfinite(s->auc) ? json_real(s->auc) : json_null(),
                         "train_cases", (json_int_t)s->n_train);
    return *remarks ? HN_OK : hn_fail_memory(err, 0);
}

const hn_grader_kind hn_grader_similarity = {"similarity",
                                             .open = open_similarity,
                                             .grade = grade_similarity,
                                             .grade_all = grade_all,
                                             .remarks = similarity_remarks,
                                             .close = close_similarity,
                                             .range = 1,
                                             .needs_target = true};
