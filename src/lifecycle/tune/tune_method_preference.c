/* Learning from preference pairs, an adapter beside the base's weights: DPO (Rafailov et al. 2023), whose reference is the base, and ORPO (Hong et al.
 * 2024), which needs none. The loss itself is train/preference.h. What the reference says of each answer is computed once, before the first step (and
 * again, to the same bits, when a training goes on). Both answers of a pair stand in one piece, so that a step knows its margins before its weights.
 *
 * An epoch is scored by the held-out pairs: their mean loss, lower being better; beside it the share of pairs whose chosen answer has the higher
 * reward, and by how much. */
#include "base/alloc.h"
#include "lifecycle/tune/tune_method.h"
#include "lifecycle/tune/tune_score.h"
#include "stats/interval.h"
#include "train/preference.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN_MAX = 5, BCA_PAIRS_MAX = 2000 };

typedef struct preference {
    hn_preference_options options;
    double *reference, *held_reference; /* (examples.n) (held.n) sum of ln p by the base; NULL for ORPO */
} preference;

static bool is_dpo(const hn_training *t) { return strcmp(t->method->name, "dpo") == 0; }

/* ---- opening ---- */

static hn_status check(hn_training *t, hn_error *err) {
    const hn_train_data *d = t->setup->data;
    if (!d || d->format != HN_TRAIN_PREFERENCE)
        return hn_fail(err, HN_ERR_UNSUPPORTED, d ? d->name : "data",
                       "give rows of {\"prompt\", \"chosen\", \"rejected\"} with --data FILE.jsonl",
                       "--method %s learns from preference pairs, and %s%s", t->method->name,
                       d ? "these are: " : "none are given", d ? hn_train_format_text(d->format) : "");
    if (t->setup->options.label_smoothing < 0.5) return HN_OK;
    return hn_fail(err, HN_ERR_USAGE, "label smoothing", "below 0.5, such as 0.1",
                   "%g of the pairs labelled the wrong way round leaves nothing to learn",
                   t->setup->options.label_smoothing);
}

static double beta_of(const hn_training *t) { return t->setup->options.beta > 0 ? t->setup->options.beta : 0.1; }

static hn_status parameters(const hn_training *t, json_t *p, hn_error *err) {
    HN_TRY(hn_tune_parameters_lora(t, p, err));
    return json_object_set_new(p, "beta", json_real(beta_of(t))) == 0 ? HN_OK : hn_fail_memory(err, 0);
}

static bool same_tokens(const hn_tune_example *a, const hn_tune_example *b) {
    return a->n == b->n && memcmp(a->ids, b->ids, (size_t)a->n * sizeof *a->ids) == 0;
}

/* Texts that differ can be the same tokens, by what a template strips. */
static hn_status check_pairs(const hn_training *t, const hn_tune_examples *e, hn_error *err) {
    const hn_train_data *d = t->setup->data;
    char rows[256] = "";
    size_t n_same = 0;
    for (size_t i = 0; i + 1 < e->n; i += 2) {
        if (!same_tokens(&e->items[i], &e->items[i + 1])) continue;
        size_t at = strlen(rows);
        if (n_same++ < SHOWN_MAX)
            snprintf(rows + at, sizeof rows - at, "%s%d", at ? ", " : "", d->rows[e->items[i].row].line);
    }
    if (n_same == 0) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, d->name, "leave these rows out, or make their answers differ",
                   "in %zu pair%s chosen and rejected are the same tokens, so there is nothing to prefer: line %s%s",
                   n_same, n_same == 1 ? "" : "s", rows, n_same > SHOWN_MAX ? ", ..." : "");
}

static hn_status make_rows(hn_training *t, hn_error *err) {
    HN_TRY(hn_tune_rows_make(t, err));
    HN_TRY(check_pairs(t, &t->examples, err));
    return check_pairs(t, &t->held, err);
}

static hn_status refer(hn_training *t, const hn_tune_examples *e, double **out, hn_error *err) {
    const hn_tune_example **rows = hn_calloc(e->n + 1, sizeof *rows);
    *out = hn_calloc(e->n + 1, sizeof **out);
    hn_status st = rows && *out ? HN_OK : hn_fail_memory(err, e->n * sizeof *rows);
    for (size_t i = 0; st == HN_OK && i < e->n; i++) rows[i] = &e->items[i];
    if (st == HN_OK) st = hn_tune_answer_losses(t, rows, e->n, *out, err);
    for (size_t i = 0; st == HN_OK && i < e->n; i++) (*out)[i] = -(*out)[i];
    hn_free(rows);
    return st;
}

/* B is 0 at first, so the network as it was created is the base. */
static hn_status prepare(hn_training *t, hn_error *err) {
    preference *own = t->own = hn_calloc(1, sizeof *own);
    if (!own) return hn_fail_memory(err, sizeof *own);
    own->options = (hn_preference_options){is_dpo(t) ? HN_PREFERENCE_DPO : HN_PREFERENCE_ORPO, beta_of(t),
                                           t->setup->options.label_smoothing};
    if (!is_dpo(t)) return HN_OK;
    HN_TRY(refer(t, &t->examples, &own->reference, err));
    return refer(t, &t->held, &own->held_reference, err);
}

static void close_own(hn_training *t) {
    preference *own = t->own;
    if (!own) return;
    hn_free(own->reference), hn_free(own->held_reference);
    hn_free(own);
    t->own = NULL;
}

/* ---- a step ---- */

static hn_preference_side side_of(const hn_tune_example *x, const double *reference, size_t at, double loss) {
    return (hn_preference_side){.logp = -loss, .reference = reference ? reference[at] : 0, .n_tokens = x->n_learned};
}

/* Sum of a sequence's losses. */
static double sequence_loss(const hn_training *t, const hn_train_batch *b, int s) {
    double sum = 0;
    int end = s + 1 < b->n_sequences ? t->starts[s + 1] : b->n_rows;
    for (int i = t->starts[s]; i < end; i++)
        if (t->targets[i] != HN_NO_TARGET) sum += t->losses[i];
    return sum;
}

static void weigh(hn_training *t, const hn_train_batch *b, int s, double weight) {
    int end = s + 1 < b->n_sequences ? t->starts[s + 1] : b->n_rows;
    for (int i = t->starts[s]; i < end; i++) t->weights[i] = t->targets[i] != HN_NO_TARGET ? (float)weight : 0;
}

/* Pairs of one piece: their margins, then their gradients, of a mean over `all` pairs. */
static hn_status learn_piece(hn_training *t, hn_train_batch *b, const hn_tune_example *const *rows, double all,
                             double *loss, hn_error *err) {
    const preference *own = t->own;
    HN_TRY(hn_network_forward(t->network, b, t->losses, err));
    for (int s = 0; s + 1 < b->n_sequences; s += 2) {
        size_t at = (size_t)(rows[s] - t->examples.items);
        hn_preference_side chosen = side_of(rows[s], own->reference, at, sequence_loss(t, b, s)),
                           rejected = side_of(rows[s + 1], own->reference, at + 1, sequence_loss(t, b, s + 1));
        hn_preference_terms terms;
        hn_preference_loss(&own->options, &chosen, &rejected, &terms);
        weigh(t, b, s, terms.chosen_weight / all);
        weigh(t, b, s + 1, terms.rejected_weight / all);
        *loss += terms.loss;
    }
    HN_TRY(hn_network_backward(t->network, b, NULL, err));
    b->n_rows = b->n_sequences = 0;
    return HN_OK;
}

static hn_status gradient(hn_training *t, const hn_tune_example *const *rows, size_t n, double *loss,
                          int64_t *n_counted, hn_error *err) {
    hn_train_batch b = hn_tune_batch_learning(t);
    double all = (double)(n / 2);
    size_t first = 0;
    *loss = 0;
    *n_counted = (int64_t)(n / 2);
    for (size_t i = 0; i + 1 < n; i += 2) {
        if (b.n_rows && b.n_rows + rows[i]->n + rows[i + 1]->n - 2 > t->max_rows) {
            HN_TRY(learn_piece(t, &b, rows + first, all, loss, err));
            first = i;
        }
        hn_tune_batch_append(t, &b, rows[i], 1);
        hn_tune_batch_append(t, &b, rows[i + 1], 1);
    }
    return b.n_rows ? learn_piece(t, &b, rows + first, all, loss, err) : HN_OK;
}

/* ---- scoring ---- */

static double mean_loss(const uint32_t *pairs, size_t n, void *user) {
    const hn_training *t = user;
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum -= t->scores[pairs[i]];
    return n ? sum / (double)n : (double)NAN;
}

static hn_status judge_pairs(hn_training *t, const double *losses, hn_tune_epoch *e, hn_error *err) {
    const preference *own = t->own;
    size_t n = t->result->n_dev, n_right = 0;
    double *margins = hn_calloc(n, sizeof *margins);
    hn_clustered_mean mean;
    bool differ = false;
    if (!margins) return hn_fail_memory(err, n * sizeof *margins);
    for (size_t i = 0; i < n; i++) {
        hn_preference_side chosen = side_of(&t->held.items[2 * i], own->held_reference, 2 * i, losses[2 * i]),
                           rejected =
                               side_of(&t->held.items[2 * i + 1], own->held_reference, 2 * i + 1, losses[2 * i + 1]);
        hn_preference_terms terms;
        hn_preference_loss(&own->options, &chosen, &rejected, &terms);
        t->scores[i] = -terms.loss;
        margins[i] = terms.reward_chosen - terms.reward_rejected;
        n_right += margins[i] > 0;
        differ = differ || margins[i] != 0;
    }
    hn_status st = hn_interval_clustered_mean(margins, NULL, n, 0.05, &mean, err);
    hn_free(margins);
    HN_TRY(st);
    if (!differ) return HN_OK; /* the reference against itself */
    hn_interval share = hn_interval_wilson((int64_t)n_right, (int64_t)n, 0.05);
    e->reward_accuracy = (hn_estimate){(double)n_right / (double)n, share.low, share.high};
    e->reward_margin = (hn_estimate){mean.mean, mean.interval.low, mean.interval.high};
    return HN_OK;
}

static hn_status show_answer(hn_training *t, const char *folder, hn_tune_sample *sample, hn_error *err) {
    hn_provider *provider = NULL;
    HN_TRY(t->hooks->open(t->hooks->user, NULL, folder, &provider, err));
    hn_status st = hn_tune_sample_held(t, provider, t->state.n_epochs, sample, err);
    hn_provider_close(provider);
    return st;
}

static hn_status score(hn_training *t, const char *folder, hn_tune_epoch *e, hn_tune_sample *sample, hn_error *err) {
    size_t n = t->held.n;
    const hn_tune_example **rows = hn_calloc(n, sizeof *rows);
    double *losses = hn_calloc(n, sizeof *losses);
    hn_status st = rows && losses ? HN_OK : hn_fail_memory(err, n * sizeof *rows);
    for (size_t i = 0; st == HN_OK && i < n; i++) rows[i] = &t->held.items[i];
    if (st == HN_OK) st = hn_tune_answer_losses(t, rows, n, losses, err);
    if (st == HN_OK) st = judge_pairs(t, losses, e, err);
    hn_free(rows), hn_free(losses);
    HN_TRY(st);
    hn_bootstrap_options o = {.seed = 7,
                              .method = t->result->n_dev > BCA_PAIRS_MAX ? HN_BOOTSTRAP_PERCENTILE : HN_BOOTSTRAP_BCA};
    HN_TRY(hn_bootstrap(mean_loss, t, t->result->n_dev, NULL, &o, &e->loss, err));
    e->n_correct = -1;
    return show_answer(t, folder, sample, err);
}

const hn_tune_method hn_tune_method_dpo = {.name = "dpo",
                                           .summary = "an adapter, from preference pairs against the base",
                                           .result = "adapter",
                                           .takes_pairs = true,
                                           .learning_rate = 5e-5,
                                           .check = check,
                                           .parameters = parameters,
                                           .make_rows = make_rows,
                                           .network = hn_tune_network_lora,
                                           .prepare = prepare,
                                           .gradient = gradient,
                                           .write = hn_tune_write_adapter,
                                           .score = score,
                                           .close = close_own};

const hn_tune_method hn_tune_method_orpo = {.name = "orpo",
                                            .summary = "an adapter, from preference pairs and their chosen answers",
                                            .result = "adapter",
                                            .takes_pairs = true,
                                            .learning_rate = 1e-4,
                                            .check = check,
                                            .parameters = parameters,
                                            .make_rows = make_rows,
                                            .network = hn_tune_network_lora,
                                            .prepare = prepare,
                                            .gradient = gradient,
                                            .write = hn_tune_write_adapter,
                                            .score = score,
                                            .close = close_own};
