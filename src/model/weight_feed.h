/* Weights on their way into a GGUF file: the tensors of a GGUF file, or of a model (a folder's too, with its adapter), as GGUF names and orders them, each
 * readable row by row.
 *
 *     hn_weight_feed feed;
 *     HN_TRY(hn_weight_feed_model(model, &feed, &err));
 *     for (size_t i = 0; i < feed.n; i++) hn_weight_feed_row(kernels, &feed.tensors[i], 0, row, scratch);
 *     HN_TRY(hn_weight_feed_metadata(&feed, except, writer, &err));
 *     hn_weight_feed_free(&feed);
 *
 * From a folder (Hugging Face's form) rows of query and key matrices come in the order that GGUF files of the family have: rotary pairs side by side.
 * An adapter's part is added to each row in f32. Ownership: the feed borrows the file or model. Threading: read-only once made. */
#ifndef HN_MODEL_WEIGHT_FEED_H
#define HN_MODEL_WEIGHT_FEED_H

#include "base/alloc.h"
#include "format/gguf_write.h"
#include "model/model.h"

typedef struct hn_weight_feed_tensor {
    hn_str name;
    hn_dtype dtype; /* of `data` */
    int n_dims;
    int64_t dims[4]; /* fastest first */
    const void *data;
    size_t size_bytes;
    const hn_low_rank *added; /* NULL: none */
    int head_size;            /* above 0: rows of heads with the halves of each one after the other */
} hn_weight_feed_tensor;

typedef struct hn_weight_feed {
    const char *path;    /* for errors */
    uint64_t size_bytes; /* of the source's files */
    hn_weight_feed_tensor *tensors;
    size_t n, n_merged;     /* n_merged: those that an adapter changes */
    const hn_gguf *gguf;    /* whose metadata it is, or NULL: */
    const hn_model *folder; /* the model whose files tell it */
    hn_gguf *own;           /* to be closed */
    hn_arena *arena;
} hn_weight_feed;

hn_status hn_weight_feed_gguf(const hn_gguf *gguf, hn_weight_feed *feed, hn_error *err) HN_MUST_CHECK;
/* HN_ERR_UNSUPPORTED: what GGUF files cannot say or is not said here (a tokenizer, a rotary scaling), named. On failure nothing is left to free. */
hn_status hn_weight_feed_model(const hn_model *model, hn_weight_feed *feed, hn_error *err) HN_MUST_CHECK;
void hn_weight_feed_free(hn_weight_feed *feed);

/* True where rows are the source's bytes as they stand. */
bool hn_weight_feed_is_plain(const hn_weight_feed_tensor *t);
/* One row (dims[0] values); `scratch` has room for as many. */
void hn_weight_feed_row(const hn_kernels *kernels, const hn_weight_feed_tensor *t, size_t row, float *values,
                        float *scratch);
/* All of the metadata but the keys in `except` (NULL-ended) and what tells a split of the source. */
hn_status hn_weight_feed_metadata(const hn_weight_feed *feed, const char *const *except, hn_gguf_writer *writer,
                                  hn_error *err) HN_MUST_CHECK;

/* values (K) += row `row` of what the adapter adds to a matrix (N,K), then times its gain; `scratch` (K). */
void hn_low_rank_add_row(const hn_low_rank *low, int64_t n_out, int64_t n_in, int64_t row, float *values,
                         float *scratch);

#endif
