/* safetensors: named tensors in one file, mapped read-only.
 *
 *     file = header length u64, header (JSON), data
 *     header = {"name": {"dtype": "F32", "shape": [N, K], "data_offsets": [begin, end]}, ..., "__metadata__": {...}}
 *
 *     hn_safetensors *s;
 *     HN_TRY(hn_safetensors_open("model.safetensors", &s, &err));
 *     const hn_safetensor *t = hn_safetensors_find(s, "model.norm.weight");
 *     hn_safetensors_close(s);
 *
 * The file is hostile input: each tensor's offsets must match its shape and type, lie inside the data, and together
 * cover it without overlap, as the format demands. Ownership: all pointers belong to the hn_safetensors. Threading:
 * read-only after opening. */
#ifndef HN_FORMAT_SAFETENSORS_H
#define HN_FORMAT_SAFETENSORS_H

#include "base/dtype.h"
#include "base/status.h"

enum { HN_SAFETENSORS_DIMS = 8 };

typedef struct hn_safetensor {
    const char *name;
    hn_dtype dtype; /* HN_DTYPE_NONE for a type that is no weight format here (integers, F64, F8): see dtype_name */
    char dtype_name[16];               /* as in the file */
    int n_dims;                        /* 0: a single value */
    int64_t dims[HN_SAFETENSORS_DIMS]; /* slowest first: a weight is {N, K} */
    const void *data;                  /* any alignment */
    size_t size_bytes;
} hn_safetensor;

typedef struct hn_safetensors hn_safetensors;

/* HN_ERR_INPUT: not safetensors, truncated, or fields that contradict each other; the error names the tensor. */
hn_status hn_safetensors_open(const char *path, hn_safetensors **file, hn_error *err) HN_MUST_CHECK;
/* From memory that the caller keeps alive; `name` stands for the path in errors. */
hn_status hn_safetensors_open_memory(const void *bytes, size_t n, const char *name, hn_safetensors **file,
                                     hn_error *err) HN_MUST_CHECK;
void hn_safetensors_close(hn_safetensors *file);

size_t hn_safetensors_count(const hn_safetensors *file);
const hn_safetensor *hn_safetensors_at(const hn_safetensors *file, size_t i);           /* in order of name */
const hn_safetensor *hn_safetensors_find(const hn_safetensors *file, const char *name); /* NULL: absent */

#endif
