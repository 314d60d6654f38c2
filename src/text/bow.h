/* The bag-of-words baseline: TF-IDF of words and character n-grams, then a linear classifier. What any prompt must
 * beat.
 *
 *     hn_bow *bow;
 *     HN_TRY(hn_bow_train(texts, labels, n, n_classes, NULL, &bow, err));   // seconds for 10,000 texts and 77 classes
 *     HN_TRY(hn_bow_predict(bow, test_texts, n_test, predicted, err));
 *     hn_bow_free(bow);
 *
 * For a case of several input columns, join them with a newline. Deterministic by the seed.
 * Ownership: the caller frees the model; texts are not kept.
 * Threading: a trained model is read-only and may be shared. */
#ifndef HN_TEXT_BOW_H
#define HN_TEXT_BOW_H

#include "text/linear.h"

typedef struct hn_bow_options {
    hn_tfidf_options features; /* all zero: hn_tfidf_defaults() */
    hn_linear_options linear;  /* all zero: its defaults */
} hn_bow_options;

typedef struct hn_bow hn_bow;

/* `labels` (n): 0 .. n_classes - 1. `options` NULL: the defaults. Errors: as hn_tfidf_fit and hn_linear_train. */
hn_status hn_bow_train(const hn_str *texts, const int32_t *labels, size_t n, size_t n_classes,
                       const hn_bow_options *options, hn_bow **out, hn_error *err) HN_MUST_CHECK;
/* `labels` (n). A text without a known feature gets the class that the biases favour. */
hn_status hn_bow_predict(const hn_bow *bow, const hn_str *texts, size_t n, int32_t *labels,
                         hn_error *err) HN_MUST_CHECK;
/* Memory that it takes, in bytes. */
size_t hn_bow_bytes(const hn_bow *bow);
void hn_bow_free(hn_bow *bow);

#endif
