/* TF-IDF: texts as sparse rows of weighted words and character n-grams, each row of length 1.
 *
 *     hn_tfidf *t;  hn_sparse rows;
 *     HN_TRY(hn_tfidf_fit(texts, n, NULL, &t, err));         // learns which n-grams there are, and how rare they are
 *     HN_TRY(hn_tfidf_transform(t, texts, n, &rows, err));             // any texts, not only those
 *     hn_sparse_free(&rows);  hn_tfidf_free(t);
 *
 * Text is taken as UTF-8 in lower case; an invalid byte counts as U+FFFD. Two kinds of features (a block each):
 *   words   runs of letters, marks, numbers and '_' of at least 2 characters; word_min to word_max of them in a row
 *   chars   the char_min to char_max character n-grams of each white-space-delimited word, a space put at both its ends; a word
 *           shorter than the n-gram counts once, whole ("char_wb" elsewhere)
 * Weight: (1 + ln tf) (ln((1 + n) / (1 + df)) + 1), n texts, df of them with the feature (Salton and Buckley 1988,
 * smoothed). Each block is brought to length 1, then the row. Features seen in no training text are left out; a text
 * without any gives an empty row.
 * Surprise: features are known by a 64-bit hash alone; two that collide (once in 2^64 pairs) count as one.
 * Ownership: created objects are freed by the caller. Threading: a fitted hn_tfidf is read-only and may be shared. */
#ifndef HN_TEXT_TFIDF_H
#define HN_TEXT_TFIDF_H

#include "base/status.h"
#include "base/str.h"

#include <stdint.h>

typedef struct hn_tfidf_options {
    uint32_t word_min, word_max; /* words in a feature; both 0: no words. At most 8 */
    uint32_t char_min, char_max; /* characters in a feature; both 0: none. At most 16 */
    uint32_t min_df;             /* texts a feature must occur in; 0 as 1 */
    double max_df; /* share of the texts it may at most occur in (where there are 20 texts or more); 0: any */
} hn_tfidf_options;

/* Words 1 to 2, characters 2 to 5, min_df 1: what hn_bow_train uses. */
hn_tfidf_options hn_tfidf_defaults(void);

/* Rows of a sparse matrix: row r holds index[i], value[i] for start[r] <= i < start[r + 1], indices rising. */
typedef struct hn_sparse {
    size_t n_rows, n_columns;
    size_t *start;
    uint32_t *index;
    float *value;
} hn_sparse;
void hn_sparse_free(hn_sparse *rows);

typedef struct hn_tfidf hn_tfidf;

/* `options` NULL: the defaults. Errors: HN_ERR_INPUT for options out of range, HN_ERR_LIMIT past 2^31 features or a
 * text past 16 MiB, HN_ERR_MEMORY. No texts are fine: every row is empty then. */
hn_status hn_tfidf_fit(const hn_str *texts, size_t n, const hn_tfidf_options *options, hn_tfidf **out,
                       hn_error *err) HN_MUST_CHECK;
hn_status hn_tfidf_transform(const hn_tfidf *t, const hn_str *texts, size_t n, hn_sparse *out,
                             hn_error *err) HN_MUST_CHECK;
size_t hn_tfidf_n_features(const hn_tfidf *t);
/* Memory that it takes, in bytes. */
size_t hn_tfidf_bytes(const hn_tfidf *t);
void hn_tfidf_free(hn_tfidf *t);

#endif
