/* Writing GGUF, version 3: metadata, then the tensors' descriptions, then their bytes, one after the other; gguf.h draws the
 * file. Tensors are declared before the first byte of any is written, since their places stand in front.
 *
 *     hn_gguf_writer *w;
 *     HN_TRY(hn_gguf_writer_create("out.gguf", &w, &err));
 *     HN_GOTO(hn_gguf_writer_copy(w, source, NULL, &err), done);           // all of an open file's metadata
 *     HN_GOTO(hn_gguf_writer_set_u32(w, "general.file_type", 7, &err), done);
 *     HN_GOTO(hn_gguf_writer_declare(w, t->name, HN_DTYPE_Q8_0, t->n_dims, t->dims, &err), done);
 *     HN_GOTO(hn_gguf_writer_begin(w, &err), done);
 *     HN_GOTO(hn_gguf_writer_data(w, bytes, n, &err), done);               // each tensor's bytes, in pieces or whole
 *     HN_GOTO(hn_gguf_writer_finish(w, &err), done);                       // now, and not before, out.gguf is there
 *     done: hn_gguf_writer_free(w);
 *
 * The bytes go to a file beside it (base/part_file.h), which is forced to the disk and then renamed: a full disk, an error or a
 * kill leaves what was under PATH before. hn_gguf_writer_free removes the part of a file that was not finished.
 * Data are aligned to 32 bytes. Ownership: values and names are copied when they are given. Threading: one thread. */
#ifndef HN_FORMAT_GGUF_WRITE_H
#define HN_FORMAT_GGUF_WRITE_H

#include "format/gguf.h"

typedef struct hn_gguf_writer hn_gguf_writer;

/* Nothing is created on the disk yet. HN_ERR_INPUT: the path is there and no plain file; HN_ERR_LIMIT: it is too long. */
hn_status hn_gguf_writer_create(const char *path, hn_gguf_writer **writer, hn_error *err) HN_MUST_CHECK;
void hn_gguf_writer_free(hn_gguf_writer *writer); /* NULL is fine */

/* All metadata of an open file but its alignment, in its order, nested arrays included. A key that was set before, or
 * stands in `except` (NULL-ended, may be NULL), is left out. */
hn_status hn_gguf_writer_copy(hn_gguf_writer *writer, const hn_gguf *source, const char *const *except,
                              hn_error *err) HN_MUST_CHECK;
/* One value more. HN_ERR_EXISTS: the key was written before, by these or by hn_gguf_writer_copy. */
hn_status hn_gguf_writer_set_u32(hn_gguf_writer *writer, const char *key, uint32_t value, hn_error *err) HN_MUST_CHECK;
hn_status hn_gguf_writer_set_str(hn_gguf_writer *writer, const char *key, const char *value,
                                 hn_error *err) HN_MUST_CHECK;
hn_status hn_gguf_writer_set_f32(hn_gguf_writer *writer, const char *key, float value, hn_error *err) HN_MUST_CHECK;
hn_status hn_gguf_writer_set_bool(hn_gguf_writer *writer, const char *key, bool value, hn_error *err) HN_MUST_CHECK;
hn_status hn_gguf_writer_set_i32s(hn_gguf_writer *writer, const char *key, const int32_t *values, size_t n,
                                  hn_error *err) HN_MUST_CHECK;
hn_status hn_gguf_writer_set_strs(hn_gguf_writer *writer, const char *key, const hn_str *values, size_t n,
                                  hn_error *err) HN_MUST_CHECK;

/* The next tensor: dims fastest first, as hn_gguf_tensor has them. HN_ERR_USAGE: rows that are not whole blocks, or sizes
 * that no file can have. */
hn_status hn_gguf_writer_declare(hn_gguf_writer *writer, hn_str name, hn_dtype dtype, int n_dims, const int64_t *dims,
                                 hn_error *err) HN_MUST_CHECK;
/* Creates the part file and writes what stands before the data. HN_ERR_DISK_FULL also where the room is known to be too
 * little already now. */
hn_status hn_gguf_writer_begin(hn_gguf_writer *writer, hn_error *err) HN_MUST_CHECK;
/* The next `n` bytes of the tensor at hand; a full tensor is padded and the next one is at hand. HN_ERR_USAGE: more bytes
 * than the tensor has. */
hn_status hn_gguf_writer_data(hn_gguf_writer *writer, const void *bytes, size_t n, hn_error *err) HN_MUST_CHECK;
/* To the disk, and under its name. HN_ERR_USAGE: bytes of a tensor are missing. */
hn_status hn_gguf_writer_finish(hn_gguf_writer *writer, hn_error *err) HN_MUST_CHECK;

/* How large the whole file is or will be; known after hn_gguf_writer_begin. */
uint64_t hn_gguf_writer_bytes(const hn_gguf_writer *writer);

#endif
