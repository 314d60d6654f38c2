/* The bag-of-words baseline; see bow.h. */
#include "text/bow.h"

#include "base/alloc.h"

#include <stdbool.h>

enum { CHUNK = 4096 };

struct hn_bow {
    hn_tfidf *features;
    hn_linear *model;
};

hn_status hn_bow_train(const hn_str *texts, const int32_t *labels, size_t n, size_t n_classes,
                       const hn_bow_options *options, hn_bow **out, hn_error *err) {
    *out = NULL;
    hn_bow_options o = options ? *options : (hn_bow_options){0};
    bool chosen = o.features.word_max || o.features.char_max;
    hn_sparse rows = {0};
    hn_bow *bow = hn_calloc(1, sizeof *bow);
    if (!bow) return hn_fail_memory(err, sizeof *bow);
    hn_status st = hn_tfidf_fit(texts, n, chosen ? &o.features : NULL, &bow->features, err);
    if (st == HN_OK) st = hn_tfidf_transform(bow->features, texts, n, &rows, err);
    if (st == HN_OK) st = hn_linear_train(&rows, labels, n_classes, &o.linear, &bow->model, err);
    hn_sparse_free(&rows);
    if (st == HN_OK)
        *out = bow;
    else
        hn_bow_free(bow);
    return st;
}

hn_status hn_bow_predict(const hn_bow *bow, const hn_str *texts, size_t n, int32_t *labels, hn_error *err) {
    for (size_t from = 0; from < n; from += CHUNK) { /* a million texts' features at once would fill the memory */
        size_t part = n - from < CHUNK ? n - from : CHUNK;
        hn_sparse rows;
        HN_TRY(hn_tfidf_transform(bow->features, texts + from, part, &rows, err));
        hn_status st = hn_linear_predict(bow->model, &rows, labels + from, err);
        hn_sparse_free(&rows);
        HN_TRY(st);
    }
    return HN_OK;
}

size_t hn_bow_bytes(const hn_bow *bow) {
    return sizeof *bow + hn_tfidf_bytes(bow->features) + hn_linear_bytes(bow->model);
}

void hn_bow_free(hn_bow *bow) {
    if (!bow) return;
    hn_tfidf_free(bow->features);
    hn_linear_free(bow->model);
    hn_free(bow);
}
