/* TF-IDF; see tfidf.h. A table maps the hash of an n-gram to its entry; entries stand in the order of first occurrence,
 * which also orders the features, so nothing depends on the hash's values. */
#include "text/tfidf.h"

#include "base/alloc.h"
#include "base/interrupt.h"
#include "text/ngrams.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    uint64_t hash;
    uint32_t df, last_text; /* while fitting; last_text counts from 1 */
    uint32_t feature;       /* NONE: too rare or too common */
    float idf;
} entry;

#define NONE UINT32_MAX
enum { INTERRUPT_EVERY = 512 }; /* texts */

struct hn_tfidf {
    hn_tfidf_options options;
    entry *entries;
    size_t n_entries, entries_capacity;
    uint32_t *slots; /* n_slots, a power of two: index of an entry, or NONE */
    size_t n_slots;
    float *idf; /* by feature */
    size_t n_features;
};

hn_tfidf_options hn_tfidf_defaults(void) {
    return (hn_tfidf_options){.word_min = 1, .word_max = 2, .char_min = 2, .char_max = 5, .min_df = 1};
}

size_t hn_tfidf_n_features(const hn_tfidf *t) { return t->n_features; }

size_t hn_tfidf_bytes(const hn_tfidf *t) {
    return sizeof *t + t->entries_capacity * sizeof *t->entries + t->n_slots * sizeof *t->slots +
           t->n_features * sizeof *t->idf;
}

void hn_sparse_free(hn_sparse *rows) {
    hn_free(rows->start);
    hn_free(rows->index);
    hn_free(rows->value);
    memset(rows, 0, sizeof *rows);
}

void hn_tfidf_free(hn_tfidf *t) {
    if (!t) return;
    hn_free(t->entries);
    hn_free(t->slots);
    hn_free(t->idf);
    hn_free(t);
}

/* The slot that holds `hash`, or the free one where it belongs. The table is never more than half full. */
static size_t find_slot(const hn_tfidf *t, uint64_t hash) {
    size_t at = (size_t)hash & (t->n_slots - 1);
    while (t->slots[at] != NONE && t->entries[t->slots[at]].hash != hash) at = (at + 1) & (t->n_slots - 1);
    return at;
}

static hn_status grow_slots(hn_tfidf *t, hn_error *err) {
    size_t n_slots = t->n_slots ? t->n_slots * 2 : 1024;
    uint32_t *slots = hn_calloc(n_slots, sizeof *slots);
    if (!slots) return hn_fail_memory(err, n_slots * sizeof *slots);
    memset(slots, 0xFF, n_slots * sizeof *slots);
    hn_free(t->slots);
    t->slots = slots;
    t->n_slots = n_slots;
    for (size_t i = 0; i < t->n_entries; i++) slots[find_slot(t, t->entries[i].hash)] = (uint32_t)i;
    return HN_OK;
}

static hn_status count_gram(hn_tfidf *t, uint64_t hash, uint32_t text, hn_error *err) {
    if (t->n_entries * 2 >= t->n_slots) HN_TRY(grow_slots(t, err));
    size_t slot = find_slot(t, hash);
    if (t->slots[slot] == NONE) {
        if (t->n_entries >= INT32_MAX)
            return hn_fail(err, HN_ERR_LIMIT, NULL, "use fewer or shorter texts", "more than %d different n-grams",
                           INT32_MAX);
        if (!hn_grow((void **)&t->entries, &t->entries_capacity, t->n_entries + 1, sizeof *t->entries))
            return hn_fail_memory(err, t->n_entries * sizeof *t->entries);
        t->slots[slot] = (uint32_t)t->n_entries;
        t->entries[t->n_entries++] = (entry){.hash = hash, .feature = NONE};
    }
    entry *e = &t->entries[t->slots[slot]];
    if (e->last_text != text) e->df++;
    e->last_text = text;
    return HN_OK;
}

/* Numbers the entries that are neither too rare nor too common, and weighs them. */
static hn_status choose_features(hn_tfidf *t, size_t n_texts, hn_error *err) {
    const hn_tfidf_options *o = &t->options;
    double most = o->max_df > 0 && n_texts >= 20 ? o->max_df * (double)n_texts : (double)n_texts;
    t->idf = hn_calloc(t->n_entries, sizeof *t->idf);
    if (!t->idf) return hn_fail_memory(err, t->n_entries * sizeof *t->idf);
    for (size_t i = 0; i < t->n_entries; i++) {
        entry *e = &t->entries[i];
        if (e->df < o->min_df || (double)e->df > most) continue;
        e->feature = (uint32_t)t->n_features++;
        t->idf[e->feature] = (float)(log((1 + (double)n_texts) / (1 + (double)e->df)) + 1);
    }
    return HN_OK;
}

static hn_status check_options(const hn_tfidf_options *o, hn_error *err) {
    bool words =
        o->word_max == 0 ? o->word_min == 0 : o->word_min >= 1 && o->word_min <= o->word_max && o->word_max <= 8;
    bool chars =
        o->char_max == 0 ? o->char_min == 0 : o->char_min >= 1 && o->char_min <= o->char_max && o->char_max <= 16;
    if (words && chars && (o->word_max || o->char_max) && o->max_df >= 0 && o->max_df <= 1) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, "tfidf options", "words 1 to 8, characters 1 to 16, max_df 0 to 1",
                   "words %u to %u, characters %u to %u, max_df %g", o->word_min, o->word_max, o->char_min, o->char_max,
                   o->max_df);
}

static hn_status fit(hn_tfidf *t, const hn_str *texts, size_t n, hn_error *err) {
    hn_ngrams grams = {0};
    hn_status st = HN_OK;
    for (size_t i = 0; i < n; i++) {
        if (i % INTERRUPT_EVERY == 0) HN_GOTO(hn_interrupt_check(err), done);
        HN_GOTO(hn_ngrams_take(&grams, texts[i], &t->options, err), done);
        for (size_t k = 0; k < grams.n; k++) HN_GOTO(count_gram(t, grams.hashes[k], (uint32_t)i + 1, err), done);
    }
    st = choose_features(t, n, err);
done:
    hn_ngrams_free(&grams);
    return st;
}

hn_status hn_tfidf_fit(const hn_str *texts, size_t n, const hn_tfidf_options *options, hn_tfidf **out, hn_error *err) {
    *out = NULL;
    hn_tfidf_options o = options ? *options : hn_tfidf_defaults();
    HN_TRY(check_options(&o, err));
    if (n > INT32_MAX) return hn_fail(err, HN_ERR_LIMIT, NULL, NULL, "%zu texts, the limit is %d", n, INT32_MAX);
    hn_tfidf *t = hn_calloc(1, sizeof *t);
    if (!t) return hn_fail_memory(err, sizeof *t);
    t->options = o;
    hn_status st = fit(t, texts, n, err);
    if (st == HN_OK)
        *out = t;
    else
        hn_tfidf_free(t);
    return st;
}

static int by_number(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* One row while it is made: the features of both blocks; arrays are reused from text to text. */
typedef struct row_maker {
    hn_ngrams grams;
    uint32_t *features; /* every occurrence */
    size_t features_capacity;
    float *values; /* of a row whose blocks are being joined */
    size_t values_capacity;
    size_t index_capacity, value_capacity; /* of the rows being filled */
} row_maker;

/* Appends the block of grams.hashes[from .. to) to `rows` at *n, brought to length 1. */
static hn_status add_block(const hn_tfidf *t, row_maker *m, size_t from, size_t to, hn_sparse *rows, size_t *n,
                           hn_error *err) {
    size_t n_found = 0, first = *n;
    if (!hn_grow((void **)&m->features, &m->features_capacity, to - from, sizeof *m->features))
        return hn_fail_memory(err, (to - from) * sizeof *m->features);
    for (size_t i = from; i < to && t->n_slots; i++) {
        uint32_t entry_index = t->slots[find_slot(t, m->grams.hashes[i])];
        if (entry_index == NONE || t->entries[entry_index].feature == NONE) continue;
        m->features[n_found++] = t->entries[entry_index].feature;
    }
    if (!hn_grow((void **)&rows->index, &m->index_capacity, first + n_found, sizeof *rows->index) ||
        !hn_grow((void **)&rows->value, &m->value_capacity, first + n_found, sizeof *rows->value))
        return hn_fail_memory(err, (first + n_found) * sizeof *rows->value);
    if (n_found) qsort(m->features, n_found, sizeof *m->features, by_number);
    double squares = 0;
    for (size_t i = 0, end; i < n_found; i = end) {
        for (end = i; end < n_found && m->features[end] == m->features[i];) end++;
        double weight = (1 + log((double)(end - i))) * t->idf[m->features[i]];
        squares += weight * weight;
        rows->index[*n] = m->features[i];
        rows->value[(*n)++] = (float)weight;
    }
    for (size_t i = first; i < *n; i++) rows->value[i] = (float)(rows->value[i] / sqrt(squares));
    return HN_OK;
}

/* Joins the two blocks [first, middle) and [middle, end), each rising, into one rising row. `index`, `value`: room for
 * the row. */
static void merge_blocks(hn_sparse *rows, size_t first, size_t middle, size_t end, uint32_t *index, float *value) {
    size_t a = first, b = middle, n = 0;
    while (a < middle || b < end) {
        bool from_a = b == end || (a < middle && rows->index[a] < rows->index[b]);
        size_t from = from_a ? a++ : b++;
        index[n] = rows->index[from];
        value[n++] = (float)(rows->value[from] * M_SQRT1_2);
    }
    memcpy(rows->index + first, index, n * sizeof *index);
    memcpy(rows->value + first, value, n * sizeof *value);
}

static hn_status add_row(const hn_tfidf *t, row_maker *m, hn_str text, hn_sparse *rows, size_t *n, hn_error *err) {
    size_t first = *n;
    HN_TRY(hn_ngrams_take(&m->grams, text, &t->options, err));
    HN_TRY(add_block(t, m, 0, m->grams.n_words, rows, n, err));
    size_t middle = *n;
    HN_TRY(add_block(t, m, m->grams.n_words, m->grams.n, rows, n, err));
    if (middle == first || middle == *n) return HN_OK;
    size_t size = *n - first;
    if (!hn_grow((void **)&m->features, &m->features_capacity, size, sizeof *m->features) ||
        !hn_grow((void **)&m->values, &m->values_capacity, size, sizeof *m->values))
        return hn_fail_memory(err, size * sizeof *m->features);
    merge_blocks(rows, first, middle, *n, m->features, m->values);
    return HN_OK;
}

hn_status hn_tfidf_transform(const hn_tfidf *t, const hn_str *texts, size_t n, hn_sparse *out, hn_error *err) {
    memset(out, 0, sizeof *out);
    row_maker m = {0};
    hn_status st = HN_OK;
    size_t n_values = 0;
    hn_sparse rows = {
        .n_rows = n, .n_columns = t->n_features, .start = n < SIZE_MAX ? hn_calloc(n + 1, sizeof *rows.start) : NULL};
    if (!rows.start) return hn_fail_memory(err, n * sizeof *rows.start);
    for (size_t i = 0; i < n; i++) {
        if (i % INTERRUPT_EVERY == INTERRUPT_EVERY - 1) HN_GOTO(hn_interrupt_check(err), done);
        HN_GOTO(add_row(t, &m, texts[i], &rows, &n_values, err), done);
        rows.start[i + 1] = n_values;
    }
done:
    hn_ngrams_free(&m.grams);
    hn_free(m.features);
    hn_free(m.values);
    if (st == HN_OK)
        *out = rows;
    else
        hn_sparse_free(&rows);
    return st;
}
