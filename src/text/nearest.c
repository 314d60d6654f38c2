/* The nearest texts; see nearest.h. A search adds up, feature by feature of the query, the weights of the texts that
 * have it; the best k are kept in a heap whose root is the worst of them. */
#include "text/nearest.h"

#include "base/alloc.h"

#include <string.h>

typedef struct posting {
    uint32_t text;
    float weight;
} posting;

struct hn_nearest {
    hn_tfidf *features;
    size_t n_texts;
    size_t *start;     /* (n_features + 1) offsets into `postings` */
    posting *postings; /* by feature, texts rising */
};

hn_tfidf_options hn_nearest_defaults(void) {
    return (hn_tfidf_options){.word_min = 1, .word_max = 2, .char_min = 3, .char_max = 4, .min_df = 1, .max_df = 0.25};
}

size_t hn_nearest_n_texts(const hn_nearest *index) { return index->n_texts; }

size_t hn_nearest_bytes(const hn_nearest *index) {
    size_t n_features = hn_tfidf_n_features(index->features);
    return sizeof *index + hn_tfidf_bytes(index->features) + (n_features + 2) * sizeof *index->start +
           index->start[n_features] * sizeof *index->postings;
}

void hn_nearest_free(hn_nearest *index) {
    if (!index) return;
    hn_tfidf_free(index->features);
    hn_free(index->start);
    hn_free(index->postings);
    hn_free(index);
}

/* Turns rows of texts into lists by feature: count, sum up, place. */
static hn_status invert(hn_nearest *index, const hn_sparse *rows, hn_error *err) {
    size_t n_values = rows->start[rows->n_rows];
    index->start = hn_calloc(rows->n_columns + 2, sizeof *index->start);
    index->postings = hn_calloc(n_values, sizeof *index->postings);
    if (!index->start || !index->postings) return hn_fail_memory(err, n_values * sizeof *index->postings);
    size_t *next = index->start + 1; /* next[f]: where feature f's next posting goes; in the end, where f + 1 starts */
    for (size_t i = 0; i < n_values; i++) next[rows->index[i] + 1]++;
    for (size_t f = 1; f <= rows->n_columns; f++) next[f] += next[f - 1];
    for (size_t r = 0; r < rows->n_rows; r++)
        for (size_t i = rows->start[r]; i < rows->start[r + 1]; i++)
            index->postings[next[rows->index[i]]++] = (posting){(uint32_t)r, rows->value[i]};
    return HN_OK;
}

hn_status hn_nearest_create(const hn_str *texts, size_t n, const hn_tfidf_options *options, hn_nearest **out,
                            hn_error *err) {
    *out = NULL;
    hn_tfidf_options o = options ? *options : hn_nearest_defaults();
    hn_sparse rows = {0};
    hn_nearest *index = hn_calloc(1, sizeof *index);
    if (!index) return hn_fail_memory(err, sizeof *index);
    index->n_texts = n;
    hn_status st = hn_tfidf_fit(texts, n, &o, &index->features, err);
    if (st == HN_OK) st = hn_tfidf_transform(index->features, texts, n, &rows, err);
    if (st == HN_OK) st = invert(index, &rows, err);
    hn_sparse_free(&rows);
    if (st == HN_OK)
        *out = index;
    else
        hn_nearest_free(index);
    return st;
}

/* The best so far: a binary heap, the worst at the root. */
typedef struct best {
    uint32_t *ids;
    const float *scores; /* (n_texts) */
    size_t n, k;
} best;

static bool is_worse(const best *b, uint32_t x, uint32_t y) {
    return b->scores[x] != b->scores[y] ? b->scores[x] < b->scores[y] : x > y;
}

static void sift_down(best *b, size_t at, size_t n) {
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && is_worse(b, b->ids[child + 1], b->ids[child])) child++;
        if (is_worse(b, b->ids[at], b->ids[child])) return;
        uint32_t kept = b->ids[at];
        b->ids[at] = b->ids[child];
        b->ids[child] = kept;
    }
}

static void offer(best *b, uint32_t id, hn_nearest_accept_fn accept, void *user) {
    if (b->n == b->k && is_worse(b, id, b->ids[0])) return;
    if (accept && !accept(user, id)) return;
    if (b->n == b->k) {
        b->ids[0] = id;
        sift_down(b, 0, b->n);
        return;
    }
    size_t at = b->n++;
    for (b->ids[at] = id; at > 0 && is_worse(b, b->ids[at], b->ids[(at - 1) / 2]); at = (at - 1) / 2) {
        b->ids[at] = b->ids[(at - 1) / 2];
        b->ids[(at - 1) / 2] = id;
    }
}

/* Heap to order: the worst of what remains goes to its end. */
static void order(best *b) {
    for (size_t n = b->n; n > 1; n--) {
        uint32_t worst = b->ids[0];
        b->ids[0] = b->ids[n - 1];
        b->ids[n - 1] = worst;
        sift_down(b, 0, n - 1);
    }
}

hn_status hn_nearest_find(const hn_nearest *index, hn_str text, size_t k, hn_nearest_accept_fn accept, void *user,
                          uint32_t *ids, float *similarities, size_t *n_found, hn_error *err) {
    *n_found = 0;
    if (k > index->n_texts) k = index->n_texts;
    if (k == 0) return HN_OK;
    hn_sparse row;
    HN_TRY(hn_tfidf_transform(index->features, &text, 1, &row, err));
    float *scores = hn_calloc(index->n_texts, sizeof *scores);
    if (!scores) {
        hn_sparse_free(&row);
        return hn_fail_memory(err, index->n_texts * sizeof *scores);
    }
    for (size_t i = 0; i < row.start[1]; i++)
        for (size_t p = index->start[row.index[i]]; p < index->start[row.index[i] + 1]; p++)
            scores[index->postings[p].text] += row.value[i] * index->postings[p].weight;
    best b = {.ids = ids, .scores = scores, .k = k};
    for (uint32_t id = 0; id < index->n_texts; id++) offer(&b, id, accept, user);
    order(&b);
    for (size_t i = 0; i < b.n && similarities; i++) similarities[i] = scores[ids[i]] < 1 ? scores[ids[i]] : 1;
    *n_found = b.n;
    hn_free(scores);
    hn_sparse_free(&row);
    return HN_OK;
}
