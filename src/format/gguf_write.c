/* GGUF writing; see gguf_write.h. Metadata and tensor descriptions are gathered in memory (a vocabulary is a few megabytes),
 * the tensors' bytes pass straight through.
 *
 * What would surprise: keys already written are found by walking the gathered metadata's own list of slices, since a file has
 * some dozens; and a nested array is copied as the bytes that the reader has checked, without taking it apart. */
#include "format/gguf_write.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/part_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { ALIGNMENT = 32, VERSION = 3 };

typedef struct key_place {
    size_t at, len; /* in `metadata` */
} key_place;

struct hn_gguf_writer {
    char path[HN_PATH_MAX];
    hn_part_file part; /* fd -1: nothing on the disk */
    hn_buf metadata;   /* keys, types, values */
    key_place *keys;   /* (n_keys) */
    hn_buf tensors;    /* names, sizes, types, offsets */
    uint64_t *sizes;   /* (n_tensors) bytes of each */
    size_t n_keys, keys_capacity, n_tensors, sizes_capacity;
    uint64_t data_bytes; /* declared, padding included */
    uint64_t file_bytes;
    size_t current;   /* the tensor at hand */
    uint64_t written; /* bytes of it */
};

hn_status hn_gguf_writer_create(const char *path, hn_gguf_writer **writer, hn_error *err) {
    struct stat info;
    *writer = NULL;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return hn_fail(err, HN_ERR_INPUT, path, "give the name of a file", "it is there and not a plain file");
    hn_gguf_writer *w = hn_calloc(1, sizeof *w);
    if (!w) return hn_fail_memory(err, sizeof *w);
    w->part.fd = -1;
    hn_buf_init(&w->metadata, 0);
    hn_buf_init(&w->tensors, 0);
    if (snprintf(w->path, sizeof w->path, "%s", path) >= (int)sizeof w->path) {
        hn_gguf_writer_free(w);
        return hn_fail(err, HN_ERR_LIMIT, NULL, NULL, "the path is longer than %d bytes", HN_PATH_MAX);
    }
    *writer = w;
    return HN_OK;
}

void hn_gguf_writer_free(hn_gguf_writer *w) {
    if (!w) return;
    hn_part_drop(&w->part);
    hn_buf_free(&w->metadata);
    hn_buf_free(&w->tensors);
    hn_free(w->keys);
    hn_free(w->sizes);
    hn_free(w);
}

/* ---- metadata ---- */

static void put(hn_buf *b, uint64_t value, size_t n_bytes) {
    unsigned char bytes[8];
    for (size_t i = 0; i < n_bytes; i++) bytes[i] = (unsigned char)(value >> (8 * i));
    hn_buf_append(b, bytes, n_bytes);
}

static void put_str(hn_buf *b, hn_str s) {
    put(b, s.len, 8);
    hn_buf_append(b, s.data, s.len);
}

static bool has_key(const hn_gguf_writer *w, hn_str key) {
    for (size_t i = 0; i < w->n_keys; i++)
        if (hn_str_equal((hn_str){w->metadata.data + w->keys[i].at, w->keys[i].len}, key)) return true;
    return false;
}

static hn_status put_key(hn_gguf_writer *w, hn_str key, hn_gguf_type type, hn_error *err) {
    if (has_key(w, key))
        return hn_fail(err, HN_ERR_EXISTS, w->path, NULL, "the metadata key %.*s is written twice", (int)key.len,
                       key.data);
    if (!hn_grow((void **)&w->keys, &w->keys_capacity, w->n_keys + 1, sizeof *w->keys))
        return hn_fail_memory(err, (w->n_keys + 1) * sizeof *w->keys);
    w->keys[w->n_keys++] = (key_place){w->metadata.len + 8, key.len};
    put_str(&w->metadata, key);
    put(&w->metadata, type, 4);
    return hn_buf_check(&w->metadata, "GGUF metadata", err);
}

static size_t scalar_bytes(hn_gguf_type type) {
    switch (type) {
    case HN_GGUF_U8:
    case HN_GGUF_I8:
    case HN_GGUF_BOOL: return 1;
    case HN_GGUF_U16:
    case HN_GGUF_I16: return 2;
    case HN_GGUF_U32:
    case HN_GGUF_I32:
    case HN_GGUF_F32: return 4;
    case HN_GGUF_U64:
    case HN_GGUF_I64:
    case HN_GGUF_F64: return 8;
    case HN_GGUF_STRING:
    case HN_GGUF_ARRAY: break;
    }
    return 0;
}

static uint64_t number_at(const unsigned char *p, size_t n) {
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++) value |= (uint64_t)p[i] << (8 * i);
    return value;
}

/* Past `n` arrays that stand one after the other; the reader has checked lengths and depth (four at most). */
static const unsigned char *skip_arrays(const unsigned char *p, uint64_t n) {
    for (; n > 0; n--) {
        hn_gguf_type type = (hn_gguf_type)number_at(p, 4);
        uint64_t items = number_at(p + 4, 8);
        p += 12;
        if (type == HN_GGUF_ARRAY)
            p = skip_arrays(p, items);
        else if (type == HN_GGUF_STRING)
            for (; items > 0; items--) p += 8 + number_at(p, 8);
        else
            p += items * scalar_bytes(type);
    }
    return p;
}

static hn_status put_value(hn_gguf_writer *w, const hn_gguf_value *v, hn_error *err) {
    hn_buf *b = &w->metadata;
    HN_TRY(put_key(w, v->key, v->type, err));
    if (v->type == HN_GGUF_ARRAY) {
        put(b, v->item_type, 4);
        put(b, v->n_items, 8);
    }
    if (v->item_type == HN_GGUF_STRING)
        for (uint64_t i = 0; i < v->n_items; i++) put_str(b, v->strings[i]);
    else if (v->item_type == HN_GGUF_ARRAY)
        hn_buf_append(b, v->data, (size_t)(skip_arrays(v->data, v->n_items) - v->data));
    else
        hn_buf_append(b, v->data, (size_t)v->n_items * scalar_bytes(v->item_type));
    return hn_buf_check(b, "GGUF metadata", err);
}

hn_status hn_gguf_writer_copy(hn_gguf_writer *w, const hn_gguf *source, const char *const *except, hn_error *err) {
    for (size_t i = 0; i < hn_gguf_value_count(source); i++) {
        const hn_gguf_value *v = hn_gguf_value_at(source, i);
        bool skip = has_key(w, v->key) || hn_str_equal(v->key, hn_str_of("general.alignment"));
        for (const char *const *e = except; e && *e && !skip; e++) skip = hn_str_equal(v->key, hn_str_of(*e));
        if (!skip) HN_TRY(put_value(w, v, err));
    }
    return HN_OK;
}

hn_status hn_gguf_writer_set_u32(hn_gguf_writer *w, const char *key, uint32_t value, hn_error *err) {
    HN_TRY(put_key(w, hn_str_of(key), HN_GGUF_U32, err));
    put(&w->metadata, value, 4);
    return hn_buf_check(&w->metadata, "GGUF metadata", err);
}

hn_status hn_gguf_writer_set_f32(hn_gguf_writer *w, const char *key, float value, hn_error *err) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    HN_TRY(put_key(w, hn_str_of(key), HN_GGUF_F32, err));
    put(&w->metadata, bits, 4);
    return hn_buf_check(&w->metadata, "GGUF metadata", err);
}

hn_status hn_gguf_writer_set_bool(hn_gguf_writer *w, const char *key, bool value, hn_error *err) {
    HN_TRY(put_key(w, hn_str_of(key), HN_GGUF_BOOL, err));
    put(&w->metadata, value, 1);
    return hn_buf_check(&w->metadata, "GGUF metadata", err);
}

hn_status hn_gguf_writer_set_i32s(hn_gguf_writer *w, const char *key, const int32_t *values, size_t n, hn_error *err) {
    HN_TRY(put_key(w, hn_str_of(key), HN_GGUF_ARRAY, err));
    put(&w->metadata, HN_GGUF_I32, 4);
    put(&w->metadata, n, 8);
    for (size_t i = 0; i < n; i++) put(&w->metadata, (uint32_t)values[i], 4);
    return hn_buf_check(&w->metadata, "GGUF metadata", err);
}

hn_status hn_gguf_writer_set_strs(hn_gguf_writer *w, const char *key, const hn_str *values, size_t n, hn_error *err) {
    HN_TRY(put_key(w, hn_str_of(key), HN_GGUF_ARRAY, err));
    put(&w->metadata, HN_GGUF_STRING, 4);
    put(&w->metadata, n, 8);
    for (size_t i = 0; i < n; i++) put_str(&w->metadata, values[i]);
    return hn_buf_check(&w->metadata, "GGUF metadata", err);
}

hn_status hn_gguf_writer_set_str(hn_gguf_writer *w, const char *key, const char *value, hn_error *err) {
    HN_TRY(put_key(w, hn_str_of(key), HN_GGUF_STRING, err));
    put_str(&w->metadata, hn_str_of(value));
    return hn_buf_check(&w->metadata, "GGUF metadata", err);
}

/* ---- tensors ---- */

static uint64_t padded(uint64_t n) { return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

static hn_status tensor_bytes(hn_str name, hn_dtype dtype, int n_dims, const int64_t *dims, size_t *bytes,
                              hn_error *err) {
    uint64_t n_values = 1;
    size_t row;
    bool fits = n_dims >= 1 && n_dims <= 4;
    for (int i = 0; i < n_dims && fits; i++)
        fits = dims[i] > 0 && !__builtin_mul_overflow(n_values, (uint64_t)dims[i], &n_values);
    if (fits && hn_dtype_bytes(dtype, (uint64_t)dims[0], &row) && hn_dtype_bytes(dtype, n_values, bytes) &&
        *bytes < (size_t)1 << 62)
        return HN_OK;
    return hn_fail(err, HN_ERR_USAGE, NULL, NULL, "the tensor %.*s has sizes that %s cannot store", (int)name.len,
                   name.data, hn_dtype_of(dtype).name ? hn_dtype_of(dtype).name : "no format");
}

hn_status hn_gguf_writer_declare(hn_gguf_writer *w, hn_str name, hn_dtype dtype, int n_dims, const int64_t *dims,
                                 hn_error *err) {
    size_t bytes;
    HN_TRY(tensor_bytes(name, dtype, n_dims, dims, &bytes, err));
    if (w->part.fd >= 0) return hn_fail(err, HN_ERR_USAGE, w->path, NULL, "a tensor is declared after the data began");
    if (!hn_grow((void **)&w->sizes, &w->sizes_capacity, w->n_tensors + 1, sizeof *w->sizes))
        return hn_fail_memory(err, (w->n_tensors + 1) * sizeof *w->sizes);
    hn_buf *b = &w->tensors;
    put_str(b, name);
    put(b, (uint64_t)n_dims, 4);
    for (int i = 0; i < n_dims; i++) put(b, (uint64_t)dims[i], 8);
    put(b, (uint64_t)dtype, 4);
    put(b, w->data_bytes, 8);
    HN_TRY(hn_buf_check(b, "GGUF tensor descriptions", err));
    w->sizes[w->n_tensors++] = bytes;
    w->data_bytes += padded(bytes);
    return HN_OK;
}

static hn_status write_bytes(hn_gguf_writer *w, const void *bytes, size_t n, hn_error *err) {
    const char *at = bytes;
    while (n > 0) {
        ssize_t put_bytes = write(w->part.fd, at, n);
        if (put_bytes < 0 && errno == EINTR) continue;
        if (put_bytes < 0) return hn_fail_errno(err, errno, w->path, "writing");
        at += put_bytes;
        n -= (size_t)put_bytes;
    }
    return HN_OK;
}

static hn_status write_padding(hn_gguf_writer *w, uint64_t after, hn_error *err) {
    static const char zeros[ALIGNMENT];
    return write_bytes(w, zeros, (size_t)(padded(after) - after), err);
}

/* Better said at once than after minutes of work. A file system that does not tell how much is free is believed. */
static hn_status check_room(const hn_gguf_writer *w, hn_error *err) {
    struct statvfs disk;
    char needed[32], there[32];
    if (fstatvfs(w->part.fd, &disk) != 0 || disk.f_blocks == 0) return HN_OK;
    uint64_t left = (uint64_t)disk.f_bavail * (uint64_t)disk.f_frsize;
    if (left >= w->file_bytes) return HN_OK;
    return hn_fail(err, HN_ERR_DISK_FULL, w->path, "free some room, or write it to another disk",
                   "the file needs %s, the disk has %s left", hn_format_bytes(w->file_bytes, needed),
                   hn_format_bytes(left, there));
}

hn_status hn_gguf_writer_begin(hn_gguf_writer *w, hn_error *err) {
    hn_buf head;
    if (w->part.fd >= 0) return hn_fail(err, HN_ERR_USAGE, w->path, NULL, "the data began already");
    hn_buf_init(&head, 0);
    hn_buf_append(&head, "GGUF", 4);
    put(&head, VERSION, 4);
    put(&head, w->n_tensors, 8);
    put(&head, w->n_keys, 8);
    uint64_t before = head.len + w->metadata.len + w->tensors.len;
    w->file_bytes = padded(before) + w->data_bytes;
    hn_status st = hn_buf_check(&head, "a GGUF file's head", err);
    if (st != HN_OK) goto done;
    HN_GOTO(hn_part_create(w->path, &w->part, err), done);
    HN_GOTO(check_room(w, err), done);
    HN_GOTO(write_bytes(w, head.data, head.len, err), done);
    HN_GOTO(write_bytes(w, hn_buf_str(&w->metadata), w->metadata.len, err), done);
    HN_GOTO(write_bytes(w, hn_buf_str(&w->tensors), w->tensors.len, err), done);
    st = write_padding(w, before, err);
done:
    hn_buf_free(&head);
    return st;
}

hn_status hn_gguf_writer_data(hn_gguf_writer *w, const void *bytes, size_t n, hn_error *err) {
    if (w->part.fd < 0 || w->current >= w->n_tensors || n > w->sizes[w->current] - w->written)
        return hn_fail(err, HN_ERR_USAGE, w->path, NULL, "%zu bytes of data for which no tensor was declared", n);
    HN_TRY(write_bytes(w, bytes, n, err));
    w->written += n;
    if (w->written < w->sizes[w->current]) return HN_OK;
    HN_TRY(write_padding(w, w->written, err));
    w->current++;
    w->written = 0;
    return HN_OK;
}

hn_status hn_gguf_writer_finish(hn_gguf_writer *w, hn_error *err) {
    if (w->part.fd < 0 || w->current < w->n_tensors)
        return hn_fail(err, HN_ERR_USAGE, w->path, NULL, "the data of %zu tensors are missing",
                       w->n_tensors - w->current);
    return hn_part_finish(&w->part, err);
}

uint64_t hn_gguf_writer_bytes(const hn_gguf_writer *w) { return w->file_bytes; }
