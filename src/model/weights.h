/* Loading weights: each tensor that an architecture is made of, found in a file, checked against the shape, and put
 * in its place.
 *
 *     hn_tensor_source source = hn_tensor_source_gguf(gguf);
 *     hn_weight_store store;
 *     HN_TRY(hn_weight_store_load(&source, architecture, &shape, &store, &err));   // also shape.n_parameters,
 * main_dtype
 *     hn_weight_store_free(&store);
 *
 * Matrices point into the mapped file; norms (and matrices that are not aligned there) are copied.
 * Ownership: the store borrows the file, which must outlive it. Threading: one thread. */
#ifndef HN_MODEL_WEIGHTS_H
#define HN_MODEL_WEIGHTS_H

#include "base/alloc.h"
#include "format/safetensors.h"
#include "model/architecture.h"

/* One tensor of either kind of file: sizes slowest first. */
typedef struct hn_tensor_view {
    hn_dtype dtype; /* HN_DTYPE_NONE: not a weight format */
    const char *dtype_name;
    int n_dims;
    int64_t dims[HN_SAFETENSORS_DIMS];
    const void *data;
    size_t size_bytes;
} hn_tensor_view;

typedef struct hn_tensor_source {
    const void *file;
    bool gguf;
    bool (*find)(const void *file, const char *name, hn_tensor_view *view);
    hn_str (*name_at)(const void *file, size_t i); /* data NULL past the last */
} hn_tensor_source;

/* Several safetensors files as one: model.safetensors, or the parts that model.safetensors.index.json names. */
typedef struct hn_tensor_folder hn_tensor_folder;
hn_status hn_tensor_folder_open(const char *folder, hn_tensor_folder **out, hn_error *err) HN_MUST_CHECK;
void hn_tensor_folder_close(hn_tensor_folder *folder);
size_t hn_tensor_folder_count(const hn_tensor_folder *folder);               /* files */
const char *hn_tensor_folder_path(const hn_tensor_folder *folder, size_t i); /* the i-th file's path */

hn_tensor_source hn_tensor_source_gguf(const hn_gguf *gguf);
hn_tensor_source hn_tensor_source_folder(const hn_tensor_folder *folder);

typedef struct hn_weight_store {
    hn_weights weights;
    hn_arena *arena; /* layers and copies */
} hn_weight_store;

/* HN_ERR_INPUT: a tensor is missing or has another shape than the metadata says (both are named); HN_ERR_UNSUPPORTED:
 * a type that is no weight format, or a tensor that this family does not have. On failure nothing is left to free. */
hn_status hn_weight_store_load(const hn_tensor_source *source, const hn_architecture *a, hn_shape *shape,
                               hn_weight_store *store, hn_error *err) HN_MUST_CHECK;
void hn_weight_store_free(hn_weight_store *store);

/* The optional one-dimensional tensor of a role as f32 (n values, free with hn_free); NULL where the file has none. */
hn_status hn_weights_read_vector(const hn_tensor_source *source, const hn_architecture *a, hn_tensor_role role,
                                 const hn_shape *shape, float **values, hn_error *err) HN_MUST_CHECK;

#endif
