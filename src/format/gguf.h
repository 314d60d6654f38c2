/* GGUF, version 3 (and 2): key-value metadata and tensors, mapped read-only from the file.
 *
 *     file  = magic "GGUF", version u32, n_tensors u64, n_kv u64, kv..., tensor info..., padding, tensor data
 *     kv    = key (u64 length, bytes), type u32, value      tensor = name, n_dims u32, dims u64 (fastest first), type
 * u32, offset u64
 *     (specification: ggml's docs/gguf.md)
 *
 *     hn_gguf *g;
 *     HN_TRY(hn_gguf_open("model.gguf", &g, &err));
 *     uint32_t layers = hn_gguf_u32(g, "llama.block_count", 0);
 *     const hn_gguf_tensor *t = hn_gguf_tensor_find(g, "token_embd.weight");
 *     hn_gguf_close(g);
 *
 * The file is hostile input: each length is checked against what is left, each product for overflow; errors name the
 * field.
 * Strings are any bytes: neither UTF-8 nor printable unless the reader checks. Two tensors may share bytes.
 * Ownership: all pointers belong to the hn_gguf and point into the map. Strings are NOT NUL-terminated: use their
 * length.
 * Threading: read-only after opening. */
#ifndef HN_FORMAT_GGUF_H
#define HN_FORMAT_GGUF_H

#include "base/dtype.h"
#include "base/status.h"
#include "base/str.h"

typedef enum hn_gguf_type {
    HN_GGUF_U8,
    HN_GGUF_I8,
    HN_GGUF_U16,
    HN_GGUF_I16,
    HN_GGUF_U32,
    HN_GGUF_I32,
    HN_GGUF_F32,
    HN_GGUF_BOOL,
    HN_GGUF_STRING,
    HN_GGUF_ARRAY,
    HN_GGUF_U64,
    HN_GGUF_I64,
    HN_GGUF_F64
} hn_gguf_type;

typedef struct hn_gguf_value {
    hn_str key;
    hn_gguf_type type,
        item_type;    /* item_type for arrays; an array of arrays is kept (ARRAY of ARRAY) but has no accessor */
    uint64_t n_items; /* 1 for scalars */
    const unsigned char *data; /* little-endian values, not aligned: read them with hn_gguf_item_*; strings: below */
    const hn_str *strings;     /* STRING: one; ARRAY of STRING: n_items; else NULL */
} hn_gguf_value;

typedef struct hn_gguf_tensor {
    hn_str name;
    hn_dtype dtype;
    int n_dims;
    int64_t dims[4]; /* dims[0] is the fastest: a weight (N,K) has dims {K, N}; unused ones are 1 */
    const void *data;
    size_t size_bytes;
} hn_gguf_tensor;

typedef struct hn_gguf hn_gguf;

/* Maps and checks a file. HN_ERR_INPUT: not GGUF, truncated, or fields that contradict each other;
 * HN_ERR_UNSUPPORTED: another
 * version, byte order or tensor type (the error names the tensor and the type's number). The first of several files
 * that make one model (NAME-00001-of-0000N.gguf, split.count) opens them all: its metadata, everybody's tensors. */
hn_status hn_gguf_open(const char *path, hn_gguf **gguf, hn_error *err) HN_MUST_CHECK;
/* From memory (aligned to 8) that the caller keeps alive; for tests and fuzzing. `name` stands for the path in
 * errors. */
hn_status hn_gguf_open_memory(const void *bytes, size_t n, const char *name, hn_gguf **gguf,
                              hn_error *err) HN_MUST_CHECK;
void hn_gguf_close(hn_gguf *g);

/* Metadata in file order; hn_gguf_find: NULL where the file has no such key. */
size_t hn_gguf_value_count(const hn_gguf *g);
const hn_gguf_value *hn_gguf_value_at(const hn_gguf *g, size_t i);
const hn_gguf_value *hn_gguf_find(const hn_gguf *g, const char *key);
/* Scalars with a default for "absent or of another type"; integer types convert where the value fits. */
uint32_t hn_gguf_u32(const hn_gguf *g, const char *key, uint32_t otherwise);
double hn_gguf_f64(const hn_gguf *g, const char *key, double otherwise);
bool hn_gguf_bool(const hn_gguf *g, const char *key, bool otherwise);
hn_str hn_gguf_str(const hn_gguf *g, const char *key); /* data NULL where absent or not a string */
/* Item `i` of a scalar or array of numbers; false where it is out of range, of another type, or does not fit. */
bool hn_gguf_item_i64(const hn_gguf_value *v, uint64_t i, int64_t *out);
bool hn_gguf_item_f64(const hn_gguf_value *v, uint64_t i, double *out);

/* Tensors in file order; their data is aligned to at least 8 bytes. hn_gguf_tensor_find: NULL where absent. */
size_t hn_gguf_tensor_count(const hn_gguf *g);
const hn_gguf_tensor *hn_gguf_tensor_at(const hn_gguf *g, size_t i);
const hn_gguf_tensor *hn_gguf_tensor_find(const hn_gguf *g, const char *name);
const char *hn_gguf_path(const hn_gguf *g);
uint64_t hn_gguf_file_bytes(const hn_gguf *g); /* of all its files */
size_t hn_gguf_part_count(const hn_gguf *g);   /* 1 as a rule */
const char *hn_gguf_part_path(const hn_gguf *g, size_t i);

#endif
