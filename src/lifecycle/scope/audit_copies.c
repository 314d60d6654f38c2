/* Texts that are equal, or nearly; see audit_parts.h. Near ones are found by MinHash and then compared exactly within their cluster. */
#include "lifecycle/scope/audit_parts.h"

#include "base/hash.h"
#include "base/utf8.h"
#include "text/same_text.h"

#include <stdlib.h>
#include <string.h>

/* What a text beyond this has is not looked at for near copies. */
enum { NEAR_BYTES_MAX = 100000, SMALL_CLUSTER = 48, FIRST_ROWS = 16 };

/* ---- texts and their keys ---- */

static hn_status make_keys(hn_audit_texts *t, hn_error *err) {
    hn_buf form;
    hn_buf_init(&form, 0);
    for (size_t i = 0; i < t->n; i++) {
        hn_buf_clear(&form);
        hn_same_text(t->texts[i], &form);
        hn_status st = hn_buf_check(&form, "a case's text", err);
        if (st != HN_OK) {
            hn_buf_free(&form);
            return st;
        }
        uint64_t key = hn_hash64(hn_buf_str(&form), form.len, 0);
        t->keys[i] = form.len == 0 ? 0 : key ? key : 1;
    }
    hn_buf_free(&form);
    return HN_OK;
}

hn_status hn_audit_texts_make(const hn_dataset *dataset, hn_audit_texts *t, hn_error *err) {
    *t = (hn_audit_texts){.dataset = dataset, .n = dataset->n_cases};
    hn_buf_init(&t->bytes, (size_t)4 << 30);
    t->texts = hn_calloc(t->n + 1, sizeof *t->texts);
    t->keys = hn_calloc(t->n + 1, sizeof *t->keys);
    hn_status st = t->texts && t->keys ? HN_OK : hn_fail_memory(err, t->n * sizeof *t->texts);
    for (size_t i = 0; i < t->n && st == HN_OK; i++) {
        size_t start = t->bytes.len;
        st = hn_case_text(&dataset->cases[i], &t->bytes, err);
        t->texts[i].len = t->bytes.len - start;
    }
    const char *at = hn_buf_str(&t->bytes);
    for (size_t i = 0; i < t->n && st == HN_OK; at += t->texts[i++].len) t->texts[i].data = at;
    if (st == HN_OK) st = make_keys(t, err);
    if (st != HN_OK) hn_audit_texts_free(t);
    return st;
}

void hn_audit_texts_free(hn_audit_texts *t) {
    hn_buf_free(&t->bytes);
    hn_free(t->texts);
    hn_free(t->keys);
    *t = (hn_audit_texts){0};
}

/* ---- exact ---- */

typedef struct keyed {
    uint64_t key;
    uint32_t row;
} keyed;

static int by_key(const void *a, const void *b) {
    const keyed *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* Keeps runs of two rows or more. */
static void keep_runs(const keyed *rows, size_t n, hn_copies *out) {
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && rows[end].key == rows[i].key;) end++;
        if (end - i < 2) continue;
        out->starts[out->n_runs++] = out->n_rows;
        for (size_t k = i; k < end; k++) out->rows[out->n_rows++] = rows[k].row;
    }
    out->starts[out->n_runs] = out->n_rows;
}

hn_status hn_copies_exact(const hn_audit_texts *texts, const unsigned char *left_out, hn_copies *out, hn_error *err) {
    keyed *rows = hn_calloc(texts->n + 1, sizeof *rows);
    size_t n = 0;
    *out = (hn_copies){hn_calloc(texts->n + 1, sizeof *out->rows), hn_calloc(texts->n + 1, sizeof *out->starts), 0, 0};
    if (!rows || !out->rows || !out->starts) {
        hn_free(rows);
        hn_copies_free(out);
        return hn_fail_memory(err, texts->n * sizeof *rows);
    }
    for (size_t i = 0; i < texts->n; i++)
        if (texts->keys[i] && !(left_out && left_out[i])) rows[n++] = (keyed){texts->keys[i], (uint32_t)i};
    qsort(rows, n, sizeof *rows, by_key);
    keep_runs(rows, n, out);
    hn_free(rows);
    return HN_OK;
}

void hn_copies_free(hn_copies *copies) {
    hn_free(copies->rows);
    hn_free(copies->starts);
    *copies = (hn_copies){0};
}

/* ---- near ---- */

typedef struct near_work {
    const hn_audit_texts *texts;
    double threshold;
    uint32_t *rows; /* (n) those that take part */
    hn_str *pieces; /* (n) their texts, cut */
    size_t n;
    hn_near_duplicates found;
    hn_bag sets[SMALL_CLUSTER + 1];
    hn_near_list *out;
    hn_error *err;
} near_work;

static hn_status add_pair(near_work *w, uint32_t a, uint32_t b, const hn_bag *x, const hn_bag *y) {
    if (w->texts->keys[a] == w->texts->keys[b]) return HN_OK;
    size_t shared = hn_bag_overlap(x, y), all = x->n + y->n - shared;
    double similarity = all ? (double)shared / (double)all : 0;
    if (similarity < w->threshold) return HN_OK;
    if (!hn_grow((void **)&w->out->pairs, &w->out->capacity, w->out->n + 1, sizeof *w->out->pairs))
        return hn_fail_memory(w->err, w->out->n * sizeof *w->out->pairs);
    w->out->pairs[w->out->n++] = (hn_near_pair){a < b ? a : b, a < b ? b : a, similarity};
    return HN_OK;
}

/* `members` (n): indices into rows, rising. */
static hn_status compare_small(near_work *w, const uint32_t *members, size_t n) {
    for (size_t i = 0; i < n; i++) {
        HN_TRY(hn_minhash_shingles(w->pieces[members[i]], NULL, &w->sets[i], w->err));
        for (size_t k = 0; k < i; k++)
            HN_TRY(add_pair(w, w->rows[members[k]], w->rows[members[i]], &w->sets[k], &w->sets[i]));
    }
    return HN_OK;
}

/* Each row with the first ones of every split: enough to see what crosses splits. */
static hn_status compare_large(near_work *w, const uint32_t *members, size_t n) {
    uint32_t first[SMALL_CLUSTER];
    size_t n_first = 0, taken[HN_SPLIT_COUNT] = {0};
    for (size_t i = 0; i < n; i++) {
        uint32_t row = w->rows[members[i]];
        hn_split split = w->texts->dataset->cases[row].split;
        hn_bag *set = &w->sets[SMALL_CLUSTER];
        HN_TRY(hn_minhash_shingles(w->pieces[members[i]], NULL, set, w->err));
        for (size_t k = 0; k < n_first; k++) HN_TRY(add_pair(w, first[k], row, &w->sets[k], set));
        if (taken[split] == FIRST_ROWS || n_first == SMALL_CLUSTER) continue;
        taken[split]++;
        HN_TRY(hn_minhash_shingles(w->pieces[members[i]], NULL, &w->sets[n_first], w->err));
        first[n_first++] = row;
    }
    return HN_OK;
}

static hn_status compare_clusters(near_work *w, keyed *members, uint32_t *run) {
    for (size_t i = 0; i < w->n; i++) members[i] = (keyed){w->found.cluster[i], (uint32_t)i};
    qsort(members, w->n, sizeof *members, by_key);
    for (size_t i = 0, end; i < w->n; i = end) {
        for (end = i + 1; end < w->n && members[end].key == members[i].key;) end++;
        if (end - i < 2) continue;
        for (size_t k = i; k < end; k++) run[k - i] = members[k].row;
        HN_TRY(end - i <= SMALL_CLUSTER ? compare_small(w, run, end - i) : compare_large(w, run, end - i));
    }
    return HN_OK;
}

static int by_pair(const void *a, const void *b) {
    const hn_near_pair *x = a, *y = b;
    if (x->a != y->a) return x->a < y->a ? -1 : 1;
    return (x->b > y->b) - (x->b < y->b);
}

static hn_status search(near_work *w, const unsigned char *left_out) {
    keyed *members = hn_calloc(w->texts->n + 1, sizeof *members);
    uint32_t *run = hn_calloc(w->texts->n + 1, sizeof *run);
    w->rows = hn_calloc(w->texts->n + 1, sizeof *w->rows);
    w->pieces = hn_calloc(w->texts->n + 1, sizeof *w->pieces);
    hn_status st =
        members && run && w->rows && w->pieces ? HN_OK : hn_fail_memory(w->err, w->texts->n * sizeof *w->pieces);
    for (size_t i = 0; st == HN_OK && i < w->texts->n; i++) {
        if (!w->texts->keys[i] || (left_out && left_out[i])) continue;
        hn_str text = w->texts->texts[i];
        w->pieces[w->n] = (hn_str){text.data, hn_utf8_prefix(text.data, text.len, NEAR_BYTES_MAX)};
        w->rows[w->n++] = (uint32_t)i;
    }
    hn_minhash_options options = {.threshold = w->threshold};
    if (st == HN_OK) st = hn_minhash_find(w->pieces, w->n, &options, &w->found, w->err);
    if (st == HN_OK) st = compare_clusters(w, members, run);
    if (st == HN_OK && w->out->n) qsort(w->out->pairs, w->out->n, sizeof *w->out->pairs, by_pair);
    hn_free(members);
    hn_free(run);
    return st;
}

hn_status hn_copies_near(const hn_audit_texts *texts, const unsigned char *left_out, double threshold,
                         hn_near_list *out, hn_error *err) {
    near_work w = {.texts = texts, .threshold = threshold, .out = out, .err = err};
    *out = (hn_near_list){0};
    hn_status st = search(&w, left_out);
    for (size_t i = 0; i <= SMALL_CLUSTER; i++) hn_bag_free(&w.sets[i]);
    hn_near_duplicates_free(&w.found);
    hn_free(w.rows);
    hn_free(w.pieces);
    if (st != HN_OK) hn_near_list_free(out);
    return st;
}

void hn_near_list_free(hn_near_list *list) {
    hn_free(list->pairs);
    *list = (hn_near_list){0};
}
