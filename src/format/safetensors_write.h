/* Writing safetensors: f32 values as F32, F16 or BF16 tensors in one file, as the format's own library lays them out.
 *
 *     hn_safetensors_out out[] = {{.name = "model.norm.weight", .dtype = HN_DTYPE_BF16, .n_dims = 1, .dims = {576}, .values = norm}};
 *     const char *const metadata[] = {"format", "pt", NULL};
 *     HN_TRY(hn_safetensors_write("model.safetensors", out, 1, metadata, NULL, NULL, &err));
 *     // or with values made as they are written: hn_safetensors_write(path, out, n, metadata, make_rows, &merge, &err)
 *
 * A temporary file, fsync, rename: the file is whole or not there. Tensors stand by width of their type, widest first, then by name, so that
 * each is aligned; the same tensors give the same bytes in whatever order they are handed in. Ownership: nothing is kept. Threading: safe on
 * different files. */
#ifndef HN_FORMAT_SAFETENSORS_WRITE_H
#define HN_FORMAT_SAFETENSORS_WRITE_H

#include "format/safetensors.h"

typedef struct hn_safetensors_out {
    const char *name;
    hn_dtype dtype; /* F32, F16 or BF16: what the file holds */
    int n_dims;
    int64_t dims[HN_SAFETENSORS_DIMS]; /* slowest first */
    const float *values;               /* all of them, row after row; not read where there is a source */
} hn_safetensors_out;

/* Fills `values` (n_rows, last dimension) with rows first_row.. of the tensor out[index]; all dimensions before the last count as rows. Called
 * with rising rows, one tensor after the other. */
typedef hn_status hn_safetensors_rows(void *user, size_t index, int64_t first_row, int64_t n_rows, float *values,
                                      hn_error *err);

/* `metadata`: keys and values in turn, ended by NULL; may be NULL. `rows` NULL: each tensor's `values`. Errors: HN_ERR_INPUT for a name that is
 * empty, not UTF-8 or there twice, or a finite value that its type cannot hold (as F16 past 65,504), with the tensor's name; HN_ERR_UNSUPPORTED
 * for another type; HN_ERR_LIMIT for sizes past what a file can have; HN_ERR_IO, HN_ERR_DISK_FULL, HN_ERR_MEMORY; what `rows` returns. */
hn_status hn_safetensors_write(const char *path, const hn_safetensors_out *out, size_t n, const char *const *metadata,
                               hn_safetensors_rows *rows, void *user, hn_error *err) HN_MUST_CHECK;

#endif
