/* Cases and rows of data, chosen and made into tokens; see tune_rows.h. */
#include "lifecycle/tune/tune_rows.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "lifecycle/tune/tune_method.h"
#include "lifecycle/tune/tune_text.h"
#include "project/train_mask.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- which ---- */

static hn_status choose_cases(const hn_dataset *d, hn_split split, size_t limit, bool unlabelled, uint32_t **cases,
                              size_t *n, hn_error *err) {
    size_t all;
    HN_TRY(hn_dataset_select(d, split, cases, &all, err));
    *n = 0;
    for (size_t i = 0; i < all; i++)
        if (unlabelled || d->cases[(*cases)[i]].target) (*cases)[(*n)++] = (*cases)[i];
    if (limit && *n > limit) *n = limit;
    if (*n) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, "split", "give it a share under `split:` in hone.yaml",
                   "the %s split has no cases with a target", hn_split_name(split));
}

/* Of what the row says, wherever it stands. */
static hn_status row_hash(const hn_train_row *row, uint64_t *hash, hn_error *err) {
    hn_buf text;
    if (!row->source) {
        *hash = hn_hash64(row->text, row->n_text, 0);
        return HN_OK;
    }
    hn_buf_init(&text, 0);
    hn_json_write(row->source, &(hn_json_style){.sort_keys = true}, &text);
    hn_status st = hn_buf_check(&text, "a row", err);
    if (st == HN_OK) *hash = hn_hash64(hn_buf_str(&text), text.len, 0);
    hn_buf_free(&text);
    return st;
}

typedef struct hashed {
    uint64_t hash;
    uint32_t row;
} hashed;

static int by_hash(const void *a, const void *b) {
    const hashed *x = a, *y = b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static hn_status take_rows(const hashed *rows, size_t n, size_t limit, uint32_t **out, size_t *n_out, hn_error *err) {
    *n_out = limit && limit < n ? limit : n;
    *out = hn_calloc(*n_out ? *n_out : 1, sizeof **out);
    if (!*out) return hn_fail_memory(err, n * sizeof **out);
    for (size_t i = 0; i < *n_out; i++) (*out)[i] = rows[i].row;
    return HN_OK;
}

/* Rows by their hash: the first share is held out; equal rows stay together. */
static hn_status select_data(hn_training *t, hashed *rows, hn_error *err) {
    const hn_train_data *d = t->setup->data;
    const hn_tune_options *o = &t->setup->options;
    size_t n = d->n_rows, held = (size_t)lround(t->setup->held_out * (double)n);
    for (size_t i = 0; i < n; i++) {
        rows[i].row = (uint32_t)i;
        HN_TRY(row_hash(&d->rows[i], &rows[i].hash, err));
    }
    qsort(rows, n, sizeof *rows, by_hash);
    if (held < 1) held = 1;
    while (held < n && rows[held].hash == rows[held - 1].hash) held++;
    if (held >= n)
        return hn_fail(err, HN_ERR_INPUT, d->name, "give more rows that differ, or a smaller --held-out",
                       "of %zu rows none is left to train on when %zu are held out to be scored", n, held);
    HN_TRY(take_rows(rows, held, o->dev_limit, &t->dev, &t->result->n_dev, err));
    return take_rows(rows + held, n - held, o->limit, &t->train, &t->result->n_train, err);
}

static hn_status check_format(const hn_training *t, hn_error *err) {
    const hn_train_data *d = t->setup->data;
    bool pairs = d->format == HN_TRAIN_PREFERENCE, text = d->format == HN_TRAIN_TEXT || d->format == HN_TRAIN_TEXT_ROWS;
    if ((!pairs || t->method->takes_pairs) && (!text || t->method->takes_text)) return HN_OK;
    return hn_fail(err, HN_ERR_UNSUPPORTED, d->name,
                   pairs ? "choose a --method that learns from pairs" : "choose a --method that learns from text",
                   "--method %s does not learn from %s", t->method->name, hn_train_format_text(d->format));
}

hn_status hn_tune_rows_select(hn_training *t, hn_error *err) {
    const hn_tune_setup *s = t->setup;
    if (!s->data) {
        HN_TRY(choose_cases(s->dataset, HN_SPLIT_TRAIN, s->options.limit, t->method->takes_unlabelled, &t->train,
                            &t->result->n_train, err));
        return choose_cases(s->dataset, HN_SPLIT_DEV, s->options.dev_limit, false, &t->dev, &t->result->n_dev, err);
    }
    HN_TRY(check_format(t, err));
    hashed *rows = hn_calloc(s->data->n_rows, sizeof *rows);
    if (!rows) return hn_fail_memory(err, s->data->n_rows * sizeof *rows);
    hn_status st = select_data(t, rows, err);
    hn_free(rows);
    return st;
}

static void hash_row(const hn_training *t, hn_sha256 *h, uint32_t row) {
    if (t->setup->data)
        hn_sha256_field_i64(h, row);
    else
        hn_sha256_field_str(h, t->setup->dataset->cases[row].id);
}

hn_status hn_tune_rows_hash(const hn_training *t, char hex[HN_SHA256_HEX], hn_error *err) {
    hn_sha256 *h = hn_sha256_create();
    if (!h) return hn_fail_memory(err, 0);
    for (size_t i = 0; i < t->result->n_train; i++) hash_row(t, h, t->train[i]);
    hn_sha256_field_str(h, "dev");
    for (size_t i = 0; i < t->result->n_dev; i++) hash_row(t, h, t->dev[i]);
    hn_sha256_finish(h, hex);
    return HN_OK;
}

/* ---- tokens ---- */

static int most_tokens(const hn_training *t) {
    int most = t->setup->options.max_length, context = t->base.context;
    return most > 0 && most < context ? most : context;
}

static hn_status make_cases(hn_training *t, hn_error *err) {
    const hn_tune_setup *s = t->setup;
    hn_app *app;
    HN_TRY(hn_tune_examples_begin(&t->examples, most_tokens(t), err));
    HN_TRY(hn_app_create(
        &(hn_app_parts){
            .scope = hn_project_scope(s->project), .dataset = s->dataset, .prompt = s->prompt, .provider = s->base},
        &app, err));
    hn_status st = HN_OK;
    for (size_t i = 0; i < t->result->n_train && st == HN_OK; i++) {
        st = hn_interrupt_check(err);
        if (st == HN_OK)
            st = hn_tune_examples_add_case(&t->examples, app, s->base, s->prompt, &s->dataset->cases[t->train[i]],
                                           t->train[i], err);
    }
    hn_app_free(app);
    return st == HN_OK ? hn_tune_examples_check(&t->examples, s->dataset->cases[t->train[0]].file, err) : st;
}

static hn_status add_data_row(hn_tune_examples *e, const hn_loss_masker *masker, const hn_train_data *d, uint32_t row,
                              hn_error *err) {
    size_t n_sides = e->unit;
    for (size_t side = 0; side < n_sides; side++) {
        hn_loss_mask mask;
        HN_TRY(hn_train_mask_row(masker, d, row, (hn_train_side)side, &mask, err));
        hn_status st = hn_tune_examples_add_mask(e, &mask, row, d->rows[row].line, err);
        hn_loss_mask_free(&mask);
        HN_TRY(st);
    }
    return HN_OK;
}

static hn_status make_side(hn_training *t, const hn_loss_masker *masker, hn_tune_examples *e, const uint32_t *rows,
                           size_t n, hn_error *err) {
    const hn_train_data *d = t->setup->data;
    HN_TRY(hn_tune_examples_begin(e, most_tokens(t), err));
    e->unit = d->format == HN_TRAIN_PREFERENCE ? 2 : 1;
    e->check.is_text = d->format == HN_TRAIN_TEXT || d->format == HN_TRAIN_TEXT_ROWS;
    for (size_t i = 0; i < n; i++) {
        HN_TRY(hn_interrupt_check(err));
        HN_TRY(add_data_row(e, masker, d, rows[i], err));
    }
    return hn_tune_examples_check(e, d->name, err);
}

static hn_status make_data(hn_training *t, hn_error *err) {
    const hn_model *m = t->base.model;
    hn_loss_masker *masker;
    HN_TRY(hn_loss_masker_create(hn_model_tokenizer(m), hn_model_chat_template(m), t->base.name, &masker, err));
    hn_status st = make_side(t, masker, &t->examples, t->train, t->result->n_train, err);
    if (st == HN_OK) st = make_side(t, masker, &t->held, t->dev, t->result->n_dev, err);
    hn_loss_masker_free(masker);
    return st;
}

/* n / (labels * n of this label): each label has the same part in the loss, the mean over all cases is 1. */
static hn_status balance(hn_training *t, hn_error *err) {
    const hn_contract *c = &hn_project_scope(t->setup->project)->contract;
    size_t *count = hn_calloc(c->n_labels + 1, sizeof *count), n_seen = 0;
    if (!count) return hn_fail_memory(err, c->n_labels * sizeof *count);
    for (size_t i = 0; i < t->examples.n; i++) {
        int label = t->examples.items[i].c->label;
        if (label >= 0) n_seen += count[label]++ == 0;
    }
    for (size_t i = 0; i < t->examples.n; i++) {
        int label = t->examples.items[i].c->label;
        if (label >= 0)
            t->examples.items[i].weight = (float)((double)t->examples.n / ((double)n_seen * (double)count[label]));
    }
    hn_free(count);
    return HN_OK;
}

hn_status hn_tune_rows_make(hn_training *t, hn_error *err) {
    if (hn_tune_is_text(t)) return hn_tune_text_rows(t, err);
    if (t->setup->data) return make_data(t, err);
    HN_TRY(make_cases(t, err));
    return t->setup->options.balanced ? balance(t, err) : HN_OK;
}
