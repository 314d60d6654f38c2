/* Plain text as rows, and bits per byte; see tune_text.h. */
#include "lifecycle/tune/tune_text.h"

#include "base/alloc.h"
#include "base/interrupt.h"
#include "lifecycle/tune/tune_method.h"

#include <math.h>
#include <string.h>

enum { BCA_ROWS_MAX = 2000 };

bool hn_tune_is_text(const hn_training *t) {
    const hn_train_data *d = t->setup->data;
    return d && (d->format == HN_TRAIN_TEXT || d->format == HN_TRAIN_TEXT_ROWS);
}

/* ---- rows ---- */

typedef struct maker {
    hn_training *t;
    hn_tune_examples *e;
    const hn_tokenizer *tokenizer;
    int32_t before, end;    /* what stands in front of a text, and behind it */
    size_t row;             /* tokens of a row at most */
    hn_tokens ids;          /* of the document at hand */
    unsigned char *learned; /* (row) ones, but for the first */
    hn_error *err;
} maker;

static hn_status find_ends(maker *m) {
    m->end = hn_tokenizer_find_special(m->tokenizer, "<|endoftext|>");
    if (m->end < 0) m->end = hn_tokenizer_eos(m->tokenizer);
    m->before = hn_tokenizer_adds_bos(m->tokenizer) ? hn_tokenizer_bos(m->tokenizer) : m->end;
    if (m->end >= 0 && m->before >= 0) return HN_OK;
    return hn_fail(m->err, HN_ERR_UNSUPPORTED, m->t->base.name, "take a base whose tokenizer has one, or train one",
                   "the vocabulary has no token that ends a text");
}

static hn_status add_row(maker *m, size_t from, size_t n, uint32_t row) {
    hn_loss_mask mask = {.ids = {.ids = m->ids.ids + from, .n = n}, .learned = m->learned, .n_learned = n - 1};
    return hn_tune_examples_add_mask(m->e, &mask, row, m->t->setup->data->rows[row].line, m->err);
}

static hn_status add_document(maker *m, uint32_t row) {
    const hn_train_row *d = &m->t->setup->data->rows[row];
    m->ids.n = 0;
    if (hn_tokens_push(&m->ids, m->before) != HN_OK) return hn_fail_memory(m->err, 0);
    HN_TRY(hn_tokenizer_encode(m->tokenizer, d->text, d->n_text, 0, &m->ids, m->err));
    if (hn_tokens_push(&m->ids, m->end) != HN_OK) return hn_fail_memory(m->err, 0);
    for (size_t at = 0; at + 1 < m->ids.n; at += m->row - 1) {
        size_t left = m->ids.n - at;
        HN_TRY(add_row(m, at, left < m->row ? left : m->row, row));
    }
    return HN_OK;
}

static hn_status make_side(maker *m, hn_tune_examples *e, const uint32_t *rows, size_t n) {
    m->e = e;
    HN_TRY(hn_tune_examples_begin(e, (int)m->row, m->err));
    e->check.is_text = true;
    for (size_t i = 0; i < n; i++) {
        if (i % 64 == 0) HN_TRY(hn_interrupt_check(m->err));
        HN_TRY(add_document(m, rows[i]));
    }
    return hn_tune_examples_check(e, m->t->setup->data->name, m->err);
}

hn_status hn_tune_text_rows(hn_training *t, hn_error *err) {
    int most = t->setup->options.max_length ? t->setup->options.max_length : HN_TUNE_TEXT_ROW;
    maker m = {.t = t, .tokenizer = hn_model_tokenizer(t->base.model), .err = err};
    m.row = (size_t)(most < t->base.context ? most : t->base.context);
    HN_TRY(find_ends(&m));
    if (m.row < 2) return hn_fail(err, HN_ERR_USAGE, "--max-length", NULL, "a row needs at least two tokens");
    m.learned = hn_alloc(m.row);
    if (!m.learned) return hn_fail_memory(err, m.row);
    memset(m.learned, 1, m.row);
    m.learned[0] = 0;
    hn_status st = make_side(&m, &t->examples, t->train, t->result->n_train);
    if (st == HN_OK) st = make_side(&m, &t->held, t->dev, t->result->n_dev);
    hn_tokens_free(&m.ids);
    hn_free(m.learned);
    return st;
}

/* ---- bits per byte ---- */

typedef struct sums {
    const hn_training *t;
    double *nats, *tokens, *bytes; /* (n_dev) of each document */
} sums;

static double bits_per_byte(const uint32_t *documents, size_t n, void *user) {
    const sums *s = user;
    double nats = 0, bytes = 0;
    for (size_t i = 0; i < n; i++) nats += s->nats[documents[i]], bytes += s->bytes[documents[i]];
    return bytes > 0 ? nats / log(2) / bytes : (double)NAN;
}

static double nats_per_token(const uint32_t *documents, size_t n, void *user) {
    const sums *s = user;
    double nats = 0, tokens = 0;
    for (size_t i = 0; i < n; i++) nats += s->nats[documents[i]], tokens += s->tokens[documents[i]];
    return tokens > 0 ? nats / tokens : (double)NAN;
}

/* Rows of one document stand one behind the other, in the order of t->dev. */
static hn_status add_up(hn_training *t, const double *losses, sums *s) {
    size_t document = 0;
    for (size_t i = 0; i < t->held.n; i++) {
        const hn_tune_example *x = &t->held.items[i];
        while (document + 1 < t->result->n_dev && t->dev[document] != x->row) document++;
        s->nats[document] += losses[i];
        s->tokens[document] += x->n_learned;
        s->bytes[document] = (double)t->setup->data->rows[x->row].n_text;
    }
    for (size_t i = 0; i < t->result->n_dev; i++) t->scores[i] = -s->nats[i];
    return HN_OK;
}

static hn_status measure(hn_training *t, const hn_tune_example **rows, double *losses, sums *s, hn_tune_epoch *e,
                         hn_error *err) {
    size_t n = t->result->n_dev;
    for (size_t i = 0; i < t->held.n; i++) rows[i] = &t->held.items[i];
    HN_TRY(hn_tune_answer_losses(t, rows, t->held.n, losses, err));
    HN_TRY(add_up(t, losses, s));
    hn_bootstrap_options o = {.seed = 7, .method = n > BCA_ROWS_MAX ? HN_BOOTSTRAP_PERCENTILE : HN_BOOTSTRAP_BCA};
    HN_TRY(hn_bootstrap(nats_per_token, s, n, NULL, &o, &e->loss, err));
    return hn_bootstrap(bits_per_byte, s, n, NULL, &o, &e->bits_per_byte, err);
}

hn_status hn_tune_text_score(hn_training *t, hn_tune_epoch *e, hn_error *err) {
    size_t n = t->result->n_dev;
    const hn_tune_example **rows = hn_calloc(t->held.n, sizeof *rows);
    double *losses = hn_calloc(t->held.n, sizeof *losses);
    sums s = {t, hn_calloc(n, sizeof *s.nats), hn_calloc(n, sizeof *s.tokens), hn_calloc(n, sizeof *s.bytes)};
    bool fine = rows && losses && s.nats && s.tokens && s.bytes;
    hn_status st = fine ? measure(t, rows, losses, &s, e, err) : hn_fail_memory(err, n * sizeof *losses);
    hn_free(rows);
    hn_free(losses);
    hn_free(s.nats);
    hn_free(s.tokens);
    hn_free(s.bytes);
    e->n_correct = -1;
    return st;
}
