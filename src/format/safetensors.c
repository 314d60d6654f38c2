/* safetensors reading; see safetensors.h. The header is JSON, read by jansson with duplicate keys refused. */
#include "format/safetensors.h"

#include "base/alloc.h"
#include "base/file.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_MAX = 100 << 20, TENSORS_MAX = 1 << 20 };

struct hn_safetensors {
    hn_map map;             /* empty where opened from memory */
    json_t *header;         /* owns the names */
    hn_safetensor *tensors; /* by name */
    size_t n_tensors;
};

static const struct {
    const char *name;
    hn_dtype dtype;
    size_t bits;
} types[] = {{"F32", HN_DTYPE_F32, 32},  {"F16", HN_DTYPE_F16, 16},     {"BF16", HN_DTYPE_BF16, 16},
             {"F64", HN_DTYPE_NONE, 64}, {"I64", HN_DTYPE_NONE, 64},    {"U64", HN_DTYPE_NONE, 64},
             {"I32", HN_DTYPE_NONE, 32}, {"U32", HN_DTYPE_NONE, 32},    {"I16", HN_DTYPE_NONE, 16},
             {"U16", HN_DTYPE_NONE, 16}, {"I8", HN_DTYPE_NONE, 8},      {"U8", HN_DTYPE_NONE, 8},
             {"BOOL", HN_DTYPE_NONE, 8}, {"F8_E4M3", HN_DTYPE_NONE, 8}, {"F8_E5M2", HN_DTYPE_NONE, 8}};

static hn_status read_type(const char *name, const json_t *info, hn_safetensor *t, size_t *bits, hn_error *err) {
    const char *text = json_string_value(json_object_get(info, "dtype"));
    if (!text) return hn_fail(err, HN_ERR_INPUT, name, NULL, "the tensor has no dtype");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(text, types[i].name) != 0) continue;
        t->dtype = types[i].dtype;
        memcpy(t->dtype_name, types[i].name, strlen(types[i].name) + 1);
        *bits = types[i].bits;
        return HN_OK;
    }
    return hn_fail(err, HN_ERR_UNSUPPORTED, name, NULL, "the tensor's dtype %.40s is not known", text);
}

static hn_status read_dims(const char *name, const json_t *info, hn_safetensor *t, size_t *n_values, hn_error *err) {
    const json_t *shape = json_object_get(info, "shape");
    if (!json_is_array(shape) || json_array_size(shape) > HN_SAFETENSORS_DIMS)
        return hn_fail(err, HN_ERR_INPUT, name, NULL, "the tensor's shape is not a list of at most %d sizes",
                       HN_SAFETENSORS_DIMS);
    t->n_dims = (int)json_array_size(shape);
    *n_values = 1;
    for (int i = 0; i < t->n_dims; i++) {
        const json_t *size = json_array_get(shape, (size_t)i);
        t->dims[i] = json_integer_value(size);
        if (!json_is_integer(size) || t->dims[i] < 0 || !hn_mul_size(*n_values, (size_t)t->dims[i], n_values))
            return hn_fail(err, HN_ERR_INPUT, name, NULL, "the tensor's shape has a size that cannot be, at place %d",
                           i);
    }
    return HN_OK;
}

static hn_status read_tensor(const char *name, const json_t *info, const unsigned char *data, size_t data_bytes,
                             hn_safetensor *t, hn_error *err) {
    size_t bits = 0, n_values = 0, need_bits = 0;
    *t = (hn_safetensor){.name = name};
    if (!json_is_object(info))
        return hn_fail(err, HN_ERR_INPUT, name, NULL, "the tensor's description is not an object");
    HN_TRY(read_type(name, info, t, &bits, err));
    HN_TRY(read_dims(name, info, t, &n_values, err));
    const json_t *offsets = json_object_get(info, "data_offsets");
    const json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(last))
        return hn_fail(err, HN_ERR_INPUT, name, NULL, "the tensor's data_offsets are not two integers");
    json_int_t begin = json_integer_value(first), end = json_integer_value(last);
    if (begin < 0 || end < begin || (uint64_t)end > data_bytes)
        return hn_fail(err, HN_ERR_INPUT, name, "fetch the file again",
                       "the tensor's data %lld..%lld does not lie in the file's %zu data bytes", (long long)begin,
                       (long long)end, data_bytes);
    t->size_bytes = (size_t)(end - begin);
    if (!hn_mul_size(n_values, bits, &need_bits) || t->size_bytes != need_bits / 8)
        return hn_fail(err, HN_ERR_INPUT, name, NULL, "the tensor has %zu bytes, its shape and dtype need %zu",
                       t->size_bytes, need_bits / 8);
    t->data = data + begin;
    return HN_OK;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const hn_safetensor *)a)->name, ((const hn_safetensor *)b)->name);
}

static int by_place(const void *a, const void *b) {
    const hn_safetensor *x = a, *y = b;
    if (x->data != y->data) return (const char *)x->data < (const char *)y->data ? -1 : 1;
    return x->size_bytes < y->size_bytes ? -1 : x->size_bytes > y->size_bytes;
}

/* The tensors must cover the data from its first byte to its last, each byte once. Sorts by place, then by name. */
static hn_status check_cover(hn_safetensors *file, const unsigned char *data, size_t data_bytes, hn_error *err) {
    const unsigned char *at = data;
    if (file->n_tensors) qsort(file->tensors, file->n_tensors, sizeof *file->tensors, by_place);
    for (size_t i = 0; i < file->n_tensors; i++) {
        const hn_safetensor *t = &file->tensors[i];
        if ((const unsigned char *)t->data != at)
            return hn_fail(err, HN_ERR_INPUT, t->name, NULL,
                           "the tensor's data overlaps another's, or leaves a gap before it");
        at += t->size_bytes;
    }
    if (at != data + data_bytes)
        return hn_fail(err, HN_ERR_INPUT, NULL, NULL, "%zu bytes after the last tensor belong to none",
                       (size_t)(data + data_bytes - at));
    if (file->n_tensors) qsort(file->tensors, file->n_tensors, sizeof *file->tensors, by_name);
    return HN_OK;
}

static hn_status read_header(hn_safetensors *file, const unsigned char *bytes, size_t n, hn_error *err) {
    uint64_t header_bytes = 0;
    if (n < 8) return hn_fail(err, HN_ERR_INPUT, NULL, NULL, "not a safetensors file: it has %zu bytes", n);
    for (int i = 7; i >= 0; i--) header_bytes = header_bytes << 8 | bytes[i];
    if (header_bytes > HEADER_MAX || header_bytes > n - 8)
        return hn_fail(err, HN_ERR_INPUT, "header", "fetch the file again",
                       "the header's length %llu is past the file's end or the limit of %d bytes",
                       (unsigned long long)header_bytes, HEADER_MAX);
    json_error_t bad;
    file->header = json_loadb((const char *)bytes + 8, (size_t)header_bytes, JSON_REJECT_DUPLICATES, &bad);
    if (!file->header)
        return hn_fail(err, HN_ERR_INPUT, "header", NULL, "line %d, column %d: %s", bad.line, bad.column, bad.text);
    size_t n_entries = json_object_size(file->header);
    if (!json_is_object(file->header) || n_entries > TENSORS_MAX)
        return hn_fail(err, HN_ERR_INPUT, "header", NULL, "it is not an object of at most %d tensors", TENSORS_MAX);
    file->tensors = hn_calloc(n_entries, sizeof *file->tensors);
    if (!file->tensors) return hn_fail_memory(err, n_entries * sizeof *file->tensors);
    const unsigned char *data = bytes + 8 + header_bytes;
    size_t data_bytes = n - 8 - (size_t)header_bytes;
    const char *name;
    json_t *info;
    json_object_foreach(file->header, name, info) {
        if (strcmp(name, "__metadata__") == 0) continue;
        HN_TRY(read_tensor(name, info, data, data_bytes, &file->tensors[file->n_tensors], err));
        file->n_tensors++;
    }
    return check_cover(file, data, data_bytes, err);
}

hn_status hn_safetensors_open_memory(const void *bytes, size_t n, const char *name, hn_safetensors **out,
                                     hn_error *err) {
    *out = NULL;
    hn_safetensors *file = hn_calloc(1, sizeof *file);
    if (!file) return hn_fail_memory(err, sizeof *file);
    hn_status st = read_header(file, bytes, n, err);
    if (st == HN_OK) {
        *out = file;
        return HN_OK;
    }
    hn_error_prefix(err, name);
    hn_safetensors_close(file);
    return st;
}

hn_status hn_safetensors_open(const char *path, hn_safetensors **out, hn_error *err) {
    hn_map map;
    *out = NULL;
    HN_TRY(hn_map_open(path, &map, err));
    hn_status st = hn_safetensors_open_memory(map.data, map.size_bytes, path, out, err);
    if (st == HN_OK)
        (*out)->map = map;
    else
        hn_map_close(&map);
    return st;
}

void hn_safetensors_close(hn_safetensors *file) {
    if (!file) return;
    json_decref(file->header);
    hn_free(file->tensors);
    hn_map_close(&file->map);
    hn_free(file);
}

size_t hn_safetensors_count(const hn_safetensors *file) { return file->n_tensors; }

const hn_safetensor *hn_safetensors_at(const hn_safetensors *file, size_t i) {
    return i < file->n_tensors ? &file->tensors[i] : NULL;
}

const hn_safetensor *hn_safetensors_find(const hn_safetensors *file, const char *name) {
    hn_safetensor key = {.name = name};
    return file->n_tensors ? bsearch(&key, file->tensors, file->n_tensors, sizeof key, by_name) : NULL;
}
