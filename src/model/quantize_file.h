/* A GGUF file in another number format: every matrix is read, quantised and written, everything else is copied.
 *
 *     hn_quantize_report report;
 *     hn_quantize_options options = {.format = HN_DTYPE_Q8_0, .pool = pool};
 *     HN_TRY(hn_quantize_file(gguf, "out.gguf", &options, &report, &err));
 *     printf("%.2f %% error\n", 100 * report.relative_error);
 *     hn_quantize_report_free(&report);
 *
 * One format for all matrices, the embedding and output included; vectors (norms, biases), and the matrices that
 * llama.cpp leaves alone (positions, token types, expert gates), keep the format that they have. A matrix whose rows are no
 * whole blocks takes hn_quantize_fallback, and the report names it. A matrix that has the format already is copied as it is.
 * Ownership: the report's names belong to the source file. Threading: one thread, work goes to the pool. */
#ifndef HN_MODEL_QUANTIZE_FILE_H
#define HN_MODEL_QUANTIZE_FILE_H

#include "base/thread.h"
#include "model/weight_feed.h"

typedef struct hn_quantize_options {
    hn_dtype format;
    hn_pool *pool;
    /* After each piece: values done and in all; may be NULL. */
    void (*on_progress)(void *user, uint64_t done, uint64_t total);
    void *user;
} hn_quantize_options;

/* What was written in one format. */
typedef struct hn_quantize_count {
    hn_dtype format;
    size_t n_tensors;
    uint64_t bytes;
} hn_quantize_count;

typedef struct hn_quantize_exception {
    hn_str name;
    hn_dtype format; /* what it got */
    int64_t columns; /* values in a row */
} hn_quantize_exception;

typedef struct hn_quantize_report {
    uint64_t bytes_before, bytes_after;
    hn_dtype source_format; /* of most values in matrices */
    bool requantized;       /* a matrix came from a format that had lost something already, and was changed again */
    hn_quantize_count counts[16];
    size_t n_counts;
    hn_quantize_exception *fallbacks; /* (n_fallbacks), in file order */
    size_t n_fallbacks, n_converted, n_matrices;
    /* Root mean square of what the conversion changed, and the same as a share of the weights' root mean square; over the
     * matrices that were converted. Against the source, whatever that had lost before. 0 where nothing was converted. */
    double rms_error, relative_error;
    hn_str worst; /* the matrix that changed most for its size; empty: none */
    double worst_relative_error;
} hn_quantize_report;

/* Writes `path` (an existing file is replaced when all is done). HN_ERR_INPUT: a weight that is not finite or too large for
 * the format (tensor, row and column are named); HN_ERR_UNSUPPORTED: a format that cannot be written; HN_ERR_INTERRUPTED:
 * Ctrl-C. On failure nothing is left under `path` that was not there, and nothing is to be freed. */
hn_status hn_quantize_file(const hn_gguf *source, const char *path, const hn_quantize_options *options,
                           hn_quantize_report *report, hn_error *err) HN_MUST_CHECK;
/* The same from any weights: a folder's, or a model's with its adapter. The report's names belong to the feed. */
hn_status hn_quantize_feed(const hn_weight_feed *source, const char *path, const hn_quantize_options *options,
                           hn_quantize_report *report, hn_error *err) HN_MUST_CHECK;
void hn_quantize_report_free(hn_quantize_report *report);

#endif
