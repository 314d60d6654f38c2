/* GGUF reading; see gguf.h. One pass over the header: every string is a slice of the map, so a vocabulary of 150,000
 * strings
 * costs one allocation for its slices and no copy.
 * Surprise: tensor data is not touched here (weights come in page by page as they are used); only its place is
 * checked. */
#include "format/gguf.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/hash.h"

#include <stdio.h>
#include <string.h>

enum {
    MIN_KV_BYTES = 8 + 1 + 4 + 1,         /* key length, one byte of key, type, the smallest value */
    MIN_TENSOR_BYTES = 8 + 1 + 4 + 4 + 8, /* name length, one byte of name, n_dims, type, offset */
    DEFAULT_ALIGNMENT = 32,
    MAX_ALIGNMENT = 1 << 20,
    MAX_ARRAY_DEPTH = 4,
    NAME_SHOWN = 100, /* bytes of a name that an error repeats */
    PARTS_MAX = 1000,
};

/* A scalar string keeps its slice beside its value. */
typedef struct entry {
    hn_gguf_value value;
    hn_str string;
} entry;

/* Open addressing over entry numbers; 0 is free, else index + 1. The size is a power of two, at most half full. */
typedef struct name_index {
    uint32_t *slots;
    size_t mask;
} name_index;

struct hn_gguf {
    hn_map map; /* not mapped where the bytes are the caller's */
    const unsigned char *bytes;
    size_t size_bytes, n_entries, n_tensors;
    entry *entries;
    hn_gguf_tensor *tensors;
    name_index by_key, by_tensor;
    char *path;
    hn_gguf **others; /* (n_others) the second to last file of one model; their tensors stand in `tensors`, too */
    size_t n_others;
};

typedef struct reader {
    hn_gguf *g;
    size_t at;
    hn_error *err;
    char what[NAME_SHOWN + 64]; /* what is being read, for errors */
} reader;

static const char *const type_names[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                         "bool", "string", "array", "u64", "i64", "f64"};
static const unsigned char type_bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8}; /* 0: not of fixed size */

/* A name from a hostile file goes to a terminal: bytes outside printable ASCII become '?', long names are cut. */
static const char *shown(hn_str name, char out[NAME_SHOWN + 4]) {
    size_t n = name.len < NAME_SHOWN ? name.len : NAME_SHOWN;
    for (size_t i = 0; i < n; i++) out[i] = name.data[i] >= 32 && name.data[i] < 127 ? name.data[i] : '?';
    snprintf(out + n, 4, "%s", name.len > n ? "..." : "");
    return out;
}

static void reading(reader *r, const char *kind, hn_str name) {
    char text[NAME_SHOWN + 4];
    snprintf(r->what, sizeof r->what, "%s%s", kind, shown(name, text));
}

/* The place of an error is "path: what, byte N". */
static const char *place(const reader *r, char out[384]) {
    snprintf(out, 384, "%s: %s, byte %zu", r->g->path, r->what, r->at);
    return out;
}

#define FAIL(r, code, hint, ...) (hn_fail((r)->err, code, place(r, (char[384]){0}), hint, __VA_ARGS__), code)

static const char truncated_hint[] = "the file is truncated or damaged: get it again";

static hn_status take(reader *r, size_t n, const unsigned char **bytes) {
    size_t left = r->g->size_bytes - r->at;
    if (n > left) return FAIL(r, HN_ERR_INPUT, truncated_hint, "%zu bytes are needed, %zu are left", n, left);
    *bytes = r->g->bytes + r->at;
    r->at += n;
    return HN_OK;
}

static uint64_t load(const unsigned char *bytes, size_t n) {
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++) value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static hn_status take_u32(reader *r, uint32_t *value) {
    const unsigned char *bytes;
    HN_TRY(take(r, 4, &bytes));
    *value = (uint32_t)load(bytes, 4);
    return HN_OK;
}

static hn_status take_u64(reader *r, uint64_t *value) {
    const unsigned char *bytes;
    HN_TRY(take(r, 8, &bytes));
    *value = load(bytes, 8);
    return HN_OK;
}

static hn_status take_str(reader *r, hn_str *text) {
    uint64_t n;
    const unsigned char *bytes;
    HN_TRY(take_u64(r, &n));
    size_t left = r->g->size_bytes - r->at;
    if (n > left)
        return FAIL(r, HN_ERR_INPUT, truncated_hint, "a string has %llu bytes, %zu are left", (unsigned long long)n,
                    left);
    HN_TRY(take(r, (size_t)n, &bytes));
    *text = (hn_str){(const char *)bytes, (size_t)n};
    return HN_OK;
}

static hn_status take_type(reader *r, hn_gguf_type *type) {
    uint32_t number;
    HN_TRY(take_u32(r, &number));
    if (number > HN_GGUF_F64)
        return FAIL(r, HN_ERR_INPUT, truncated_hint, "the value type %u does not exist (0 to %d do)", number,
                    HN_GGUF_F64);
    *type = (hn_gguf_type)number;
    return HN_OK;
}

/* --- name index --- */

static bool index_create(name_index *index, size_t n) {
    size_t size = 16;
    while (size < 2 * n) size *= 2;
    index->slots = hn_calloc(size, sizeof *index->slots);
    index->mask = size - 1;
    return index->slots != NULL;
}

static hn_str name_of(const hn_gguf *g, const name_index *index, size_t i) {
    return index == &g->by_key ? g->entries[i].value.key : g->tensors[i].name;
}

/* The slot that holds `name`, or the free one where it would go. */
static uint32_t *index_slot(const hn_gguf *g, const name_index *index, hn_str name) {
    for (size_t at = hn_hash64(name.data, name.len, 0);; at++) {
        uint32_t *slot = &index->slots[at & index->mask];
        if (!*slot || hn_str_equal(name_of(g, index, *slot - 1), name)) return slot;
    }
}

static hn_status index_add(reader *r, name_index *index, size_t i) {
    uint32_t *slot = index_slot(r->g, index, name_of(r->g, index, i));
    if (*slot) return FAIL(r, HN_ERR_INPUT, NULL, "it appears twice");
    *slot = (uint32_t)(i + 1);
    return HN_OK;
}

/* --- metadata --- */

static hn_status array_head(reader *r, hn_gguf_type *item_type, uint64_t *n_items) {
    HN_TRY(take_type(r, item_type));
    HN_TRY(take_u64(r, n_items));
    size_t left = r->g->size_bytes - r->at;
    /* The smallest item: a number's bytes, a string's length, an array's type and length. */
    size_t least = *item_type == HN_GGUF_STRING ? 8 : *item_type == HN_GGUF_ARRAY ? 12 : type_bytes[*item_type];
    if (*n_items > left / least)
        return FAIL(r, HN_ERR_INPUT, truncated_hint, "an array has %llu items of %s, %zu bytes are left",
                    (unsigned long long)*n_items, type_names[*item_type], left);
    return HN_OK;
}

static hn_status skip_nested(reader *r, uint64_t n_arrays, int depth) {
    if (depth > MAX_ARRAY_DEPTH)
        return FAIL(r, HN_ERR_LIMIT, NULL, "arrays are nested deeper than %d levels", MAX_ARRAY_DEPTH);
    for (uint64_t i = 0; i < n_arrays; i++) {
        hn_gguf_type type;
        uint64_t n;
        hn_str text;
        const unsigned char *bytes;
        HN_TRY(array_head(r, &type, &n));
        if (type == HN_GGUF_ARRAY)
            HN_TRY(skip_nested(r, n, depth + 1));
        else if (type == HN_GGUF_STRING)
            for (uint64_t k = 0; k < n; k++) HN_TRY(take_str(r, &text));
        else
            HN_TRY(take(r, (size_t)n * type_bytes[type], &bytes));
    }
    return HN_OK;
}

static hn_status take_strings(reader *r, hn_gguf_value *v) {
    hn_str *strings = hn_alloc((size_t)v->n_items * sizeof *strings);
    if (!strings) return hn_fail_memory(r->err, (size_t)v->n_items * sizeof *strings);
    v->strings = strings;
    for (uint64_t i = 0; i < v->n_items; i++) HN_TRY(take_str(r, &strings[i]));
    return HN_OK;
}

static hn_status take_value(reader *r, entry *e) {
    hn_gguf_value *v = &e->value;
    HN_TRY(take_type(r, &v->type));
    v->n_items = 1;
    v->item_type = v->type;
    v->data = r->g->bytes + r->at;
    if (v->type == HN_GGUF_STRING) {
        HN_TRY(take_str(r, &e->string));
        v->strings = &e->string;
        return HN_OK;
    }
    if (v->type != HN_GGUF_ARRAY) return take(r, type_bytes[v->type], &v->data);
    HN_TRY(array_head(r, &v->item_type, &v->n_items));
    v->data = r->g->bytes + r->at;
    if (v->item_type == HN_GGUF_STRING) return take_strings(r, v);
    if (v->item_type == HN_GGUF_ARRAY) return skip_nested(r, v->n_items, 2);
    return take(r, (size_t)v->n_items * type_bytes[v->item_type], &v->data);
}

static hn_status take_metadata(reader *r) {
    hn_gguf *g = r->g;
    size_t wanted = g->n_entries;
    g->n_entries = 0;
    g->entries = hn_calloc(wanted, sizeof *g->entries);
    if (!g->entries || !index_create(&g->by_key, wanted)) return hn_fail_memory(r->err, wanted * sizeof *g->entries);
    for (size_t i = 0; i < wanted; i++) {
        entry *e = &g->entries[i];
        char number[32];
        snprintf(number, sizeof number, "%zu", i);
        reading(r, "metadata entry ", hn_str_of(number));
        HN_TRY(take_str(r, &e->value.key));
        if (!e->value.key.len) return FAIL(r, HN_ERR_INPUT, NULL, "its key is empty");
        reading(r, "metadata ", e->value.key);
        g->n_entries = i + 1; /* from here on the entry's strings are freed with the file */
        HN_TRY(take_value(r, e));
        HN_TRY(index_add(r, &g->by_key, i));
    }
    return HN_OK;
}

/* --- tensors --- */

static hn_status take_dims(reader *r, hn_gguf_tensor *t) {
    uint32_t n_dims;
    HN_TRY(take_u32(r, &n_dims));
    if (n_dims > 4) return FAIL(r, HN_ERR_UNSUPPORTED, NULL, "it has %u dimensions, the limit is 4", n_dims);
    t->n_dims = (int)n_dims;
    for (int i = 0; i < 4; i++) t->dims[i] = 1;
    for (uint32_t i = 0; i < n_dims; i++) {
        uint64_t n;
        HN_TRY(take_u64(r, &n));
        if (n == 0 || n > INT64_MAX)
            return FAIL(r, HN_ERR_INPUT, truncated_hint, "dimension %u is %llu", i, (unsigned long long)n);
        t->dims[i] = (int64_t)n;
    }
    return HN_OK;
}

static hn_status tensor_size(reader *r, hn_gguf_tensor *t, uint32_t type) {
    hn_dtype_info info = type < HN_DTYPE_NONE ? hn_dtype_of((hn_dtype)type) : (hn_dtype_info){0};
    if (!info.name)
        return FAIL(r, HN_ERR_UNSUPPORTED, "convert the model to another format, such as Q8_0",
                    "its type has the number %u, which is not one of the supported formats", type);
    t->dtype = (hn_dtype)type;
    if ((uint64_t)t->dims[0] % info.block_values)
        return FAIL(r, HN_ERR_INPUT, NULL, "its rows have %lld values, %s needs whole blocks of %zu",
                    (long long)t->dims[0], info.name, info.block_values);
    int64_t n = 1;
    bool overflow = false;
    for (int i = 0; i < 4; i++) overflow |= __builtin_mul_overflow(n, t->dims[i], &n);
    if (overflow || !hn_dtype_bytes(t->dtype, (uint64_t)n, &t->size_bytes))
        return FAIL(r, HN_ERR_INPUT, NULL, "its size overflows (%lld x %lld x %lld x %lld values)",
                    (long long)t->dims[0], (long long)t->dims[1], (long long)t->dims[2], (long long)t->dims[3]);
    return HN_OK;
}

/* Reads what the header says of each tensor; its place is checked once all are read. */
static hn_status take_tensor(reader *r, hn_gguf_tensor *t, size_t i, uint64_t *offset) {
    char number[32];
    uint32_t type;
    snprintf(number, sizeof number, "%zu", i);
    reading(r, "tensor ", hn_str_of(number));
    HN_TRY(take_str(r, &t->name));
    if (!t->name.len) return FAIL(r, HN_ERR_INPUT, NULL, "its name is empty");
    reading(r, "tensor ", t->name);
    HN_TRY(take_dims(r, t));
    HN_TRY(take_u32(r, &type));
    HN_TRY(tensor_size(r, t, type));
    HN_TRY(take_u64(r, offset));
    return index_add(r, &r->g->by_tensor, i);
}

static hn_status find_alignment(reader *r, uint32_t *alignment) {
    const hn_gguf_value *v = hn_gguf_find(r->g, "general.alignment");
    *alignment = hn_gguf_u32(r->g, "general.alignment", v ? 0 : DEFAULT_ALIGNMENT);
    if (*alignment >= 8 && *alignment <= MAX_ALIGNMENT && (*alignment & (*alignment - 1)) == 0) return HN_OK;
    reading(r, "metadata ", hn_str_of("general.alignment"));
    return FAIL(r, HN_ERR_INPUT, NULL, "the alignment must be a power of two from 8 to %d, it is %u", MAX_ALIGNMENT,
                *alignment);
}

static hn_status place_tensor(reader *r, hn_gguf_tensor *t, uint64_t start, uint64_t offset, uint32_t alignment) {
    reading(r, "tensor ", t->name);
    if (offset % alignment)
        return FAIL(r, HN_ERR_INPUT, NULL, "its offset %llu is not a multiple of the alignment %u",
                    (unsigned long long)offset, alignment);
    uint64_t size = r->g->size_bytes;
    if (start > size || offset > size - start || t->size_bytes > size - start - offset)
        return FAIL(r, HN_ERR_INPUT, truncated_hint, "its %zu bytes at offset %llu end after the file's %llu",
                    t->size_bytes, (unsigned long long)offset, (unsigned long long)size);
    t->data = r->g->bytes + start + offset;
    return HN_OK;
}

static hn_status take_tensors(reader *r, uint64_t *offsets) {
    hn_gguf *g = r->g;
    uint32_t alignment;
    HN_TRY(find_alignment(r, &alignment));
    for (size_t i = 0; i < g->n_tensors; i++) HN_TRY(take_tensor(r, &g->tensors[i], i, &offsets[i]));
    uint64_t start = ((uint64_t)r->at + alignment - 1) / alignment * alignment;
    for (size_t i = 0; i < g->n_tensors; i++) HN_TRY(place_tensor(r, &g->tensors[i], start, offsets[i], alignment));
    return HN_OK;
}

static hn_status take_tensor_table(reader *r) {
    hn_gguf *g = r->g;
    g->tensors = hn_calloc(g->n_tensors, sizeof *g->tensors);
    uint64_t *offsets = hn_calloc(g->n_tensors, sizeof *offsets);
    hn_status st = HN_OK;
    if (!g->tensors || !offsets || !index_create(&g->by_tensor, g->n_tensors))
        st = hn_fail_memory(r->err, g->n_tensors * sizeof *g->tensors);
    else
        st = take_tensors(r, offsets);
    hn_free(offsets);
    return st;
}

/* --- the file --- */

static hn_status take_count(reader *r, const char *what, size_t least_bytes, size_t *count) {
    uint64_t n;
    HN_TRY(take_u64(r, &n));
    size_t left = r->g->size_bytes - r->at;
    if (n > left / least_bytes || n >= UINT32_MAX / 2)
        return FAIL(r, HN_ERR_INPUT, truncated_hint, "the file claims %llu %s, %zu bytes are left",
                    (unsigned long long)n, what, left);
    *count = (size_t)n;
    return HN_OK;
}

static hn_status read_header(reader *r) {
    const unsigned char *magic;
    uint32_t version;
    reading(r, "header", (hn_str){0});
    HN_TRY(take(r, 4, &magic));
    if (memcmp(magic, "GGUF", 4) != 0) {
        r->at = 0;
        return FAIL(r, HN_ERR_INPUT, "give a .gguf file", "it is not a GGUF file: it starts with %02x %02x %02x %02x",
                    magic[0], magic[1], magic[2], magic[3]);
    }
    HN_TRY(take_u32(r, &version));
    if (version > 0xFFFF && (version & 0xFFFF) == 0)
        return FAIL(r, HN_ERR_UNSUPPORTED, "get the little-endian file", "it is a big-endian GGUF file");
    if (version != 2 && version != 3)
        return FAIL(r, HN_ERR_UNSUPPORTED, "convert the model again", "its version is %u, 2 and 3 are supported",
                    version);
    HN_TRY(take_count(r, "tensors", MIN_TENSOR_BYTES, &r->g->n_tensors));
    HN_TRY(take_count(r, "metadata entries", MIN_KV_BYTES, &r->g->n_entries));
    HN_TRY(take_metadata(r));
    return take_tensor_table(r);
}

static hn_status open_bytes(hn_map map, const void *bytes, size_t n, const char *name, hn_gguf **gguf, hn_error *err) {
    hn_gguf *g = hn_calloc(1, sizeof *g);
    if (g) *g = (hn_gguf){.map = map, .bytes = bytes, .size_bytes = n, .path = hn_strdup(name)};
    if (!g || !g->path) {
        if (g)
            hn_gguf_close(g);
        else
            hn_map_close(&map);
        return hn_fail_memory(err, sizeof *g);
    }
    reader r = {.g = g, .err = err};
    hn_status st = read_header(&r);
    if (st != HN_OK)
        hn_gguf_close(g);
    else
        *gguf = g;
    return st;
}

hn_status hn_gguf_open_memory(const void *bytes, size_t n, const char *name, hn_gguf **gguf, hn_error *err) {
    *gguf = NULL;
    if ((uintptr_t)bytes % 8) return hn_fail(err, HN_ERR_USAGE, name, NULL, "the bytes are not aligned to 8");
    return open_bytes((hn_map){0}, bytes, n, name, gguf, err);
}

static hn_status open_one(const char *path, hn_gguf **gguf, hn_error *err) {
    hn_map map;
    HN_TRY(hn_map_open(path, &map, err));
    return open_bytes(map, map.data, map.size_bytes, path, gguf, err);
}

/* --- a model of several files --- */

/* The name of part `i` (from 0) of `n`, after that of part `known`. */
static hn_status part_name(const hn_gguf *g, uint32_t known, uint32_t i, uint32_t n, char out[HN_PATH_MAX],
                           hn_error *err) {
    char end[40];
    size_t length = strlen(g->path), n_end;
    n_end = (size_t)snprintf(end, sizeof end, "-%05u-of-%05u.gguf", known + 1, n);
    if (length <= n_end || strcmp(g->path + length - n_end, end) != 0)
        return hn_fail(err, HN_ERR_INPUT, g->path, "give the files back the names that they were made with",
                       "it is part %u of %u of a model, so its name must end in %s", known + 1, n, end);
    snprintf(end, sizeof end, "-%05u-of-%05u.gguf", i + 1, n);
    if (snprintf(out, HN_PATH_MAX, "%.*s%s", (int)(length - n_end), g->path, end) >= HN_PATH_MAX)
        return hn_fail(err, HN_ERR_LIMIT, g->path, NULL, "the path is longer than %d bytes", HN_PATH_MAX);
    return HN_OK;
}

static hn_status check_part(const hn_gguf *g, uint32_t i, uint32_t n, hn_error *err) {
    uint32_t number = hn_gguf_u32(g, "split.no", UINT32_MAX), count = hn_gguf_u32(g, "split.count", 0);
    if (number == i && count == n) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, g->path, "fetch the model's files again",
                   "it says that it is part %u of %u, not %u of %u", number + 1, count, i + 1, n);
}

/* All files' tensors in one table. */
static hn_status join_tensors(hn_gguf *g, hn_error *err) {
    size_t n = g->n_tensors, at = 0;
    for (size_t i = 0; i < g->n_others; i++) n += g->others[i]->n_tensors;
    if (n >= UINT32_MAX / 2) return hn_fail(err, HN_ERR_LIMIT, g->path, NULL, "the model has %zu tensors", n);
    hn_gguf_tensor *all = hn_calloc(n, sizeof *all);
    if (!all) return hn_fail_memory(err, n * sizeof *all);
    if (g->n_tensors) memcpy(all, g->tensors, g->n_tensors * sizeof *all);
    at = g->n_tensors;
    for (size_t i = 0; i < g->n_others; i++) {
        if (g->others[i]->n_tensors) memcpy(all + at, g->others[i]->tensors, g->others[i]->n_tensors * sizeof *all);
        at += g->others[i]->n_tensors;
    }
    hn_free(g->tensors);
    hn_free(g->by_tensor.slots);
    g->by_tensor = (name_index){0};
    g->tensors = all;
    g->n_tensors = 0; /* until the index has them */
    if (!index_create(&g->by_tensor, n)) return hn_fail_memory(err, n * sizeof(uint32_t));
    reader r = {.g = g, .err = err};
    for (size_t i = 0; i < n; i++) {
        reading(&r, "tensor ", all[i].name);
        HN_TRY(index_add(&r, &g->by_tensor, i));
    }
    g->n_tensors = n;
    return HN_OK;
}

static hn_status open_others(hn_gguf *g, uint32_t n, hn_error *err) {
    char path[HN_PATH_MAX];
    uint32_t number = hn_gguf_u32(g, "split.no", 0);
    if (n > PARTS_MAX)
        return hn_fail(err, HN_ERR_LIMIT, g->path, NULL, "the model has %u files, the limit is %d", n, PARTS_MAX);
    if (number >= n) return check_part(g, 0, n, err);
    HN_TRY(part_name(g, number, 0, n, path, err));
    if (number > 0)
        return hn_fail(err, HN_ERR_INPUT, g->path, path, "it is part %u of %u of a model: name the first", number + 1,
                       n);
    g->others = hn_calloc(n, sizeof(hn_gguf *));
    if (!g->others) return hn_fail_memory(err, n * sizeof(hn_gguf *));
    for (uint32_t i = 1; i < n; i++) {
        HN_TRY(part_name(g, 0, i, n, path, err));
        HN_TRY(open_one(path, &g->others[g->n_others], err));
        g->n_others++;
        HN_TRY(check_part(g->others[g->n_others - 1], i, n, err));
    }
    return join_tensors(g, err);
}

hn_status hn_gguf_open(const char *path, hn_gguf **gguf, hn_error *err) {
    hn_gguf *g;
    *gguf = NULL;
    HN_TRY(open_one(path, &g, err));
    uint32_t n_parts = hn_gguf_u32(g, "split.count", 1);
    hn_status st = n_parts > 1 ? open_others(g, n_parts, err) : HN_OK;
    if (st != HN_OK)
        hn_gguf_close(g);
    else
        *gguf = g;
    return st;
}

void hn_gguf_close(hn_gguf *g) {
    if (!g) return;
    for (size_t i = 0; i < g->n_others; i++) hn_gguf_close(g->others[i]);
    hn_free(g->others);
    for (size_t i = 0; i < g->n_entries; i++)
        if (g->entries[i].value.type == HN_GGUF_ARRAY) hn_free((void *)(uintptr_t)g->entries[i].value.strings);
    hn_free(g->entries);
    hn_free(g->tensors);
    hn_free(g->by_key.slots);
    hn_free(g->by_tensor.slots);
    hn_free(g->path);
    hn_map_close(&g->map);
    hn_free(g);
}

/* --- access --- */

size_t hn_gguf_value_count(const hn_gguf *g) { return g->n_entries; }
const hn_gguf_value *hn_gguf_value_at(const hn_gguf *g, size_t i) {
    return i < g->n_entries ? &g->entries[i].value : NULL;
}
size_t hn_gguf_tensor_count(const hn_gguf *g) { return g->n_tensors; }
const hn_gguf_tensor *hn_gguf_tensor_at(const hn_gguf *g, size_t i) { return i < g->n_tensors ? &g->tensors[i] : NULL; }
const char *hn_gguf_path(const hn_gguf *g) { return g->path; }
size_t hn_gguf_part_count(const hn_gguf *g) { return 1 + g->n_others; }
const char *hn_gguf_part_path(const hn_gguf *g, size_t i) {
    return i == 0 ? g->path : i <= g->n_others ? g->others[i - 1]->path : NULL;
}

uint64_t hn_gguf_file_bytes(const hn_gguf *g) {
    uint64_t bytes = g->size_bytes;
    for (size_t i = 0; i < g->n_others; i++) bytes += g->others[i]->size_bytes;
    return bytes;
}

const hn_gguf_value *hn_gguf_find(const hn_gguf *g, const char *key) {
    uint32_t at = *index_slot(g, &g->by_key, hn_str_of(key));
    return at ? &g->entries[at - 1].value : NULL;
}

const hn_gguf_tensor *hn_gguf_tensor_find(const hn_gguf *g, const char *name) {
    uint32_t at = *index_slot(g, &g->by_tensor, hn_str_of(name));
    return at ? &g->tensors[at - 1] : NULL;
}

bool hn_gguf_item_i64(const hn_gguf_value *v, uint64_t i, int64_t *out) {
    if (i >= v->n_items) return false;
    size_t size = type_bytes[v->item_type];
    uint64_t bits = size ? load(v->data + i * size, size) : 0;
    switch (v->item_type) {
    case HN_GGUF_U8:
    case HN_GGUF_U16:
    case HN_GGUF_U32: *out = (int64_t)bits; return true;
    case HN_GGUF_I8: *out = (int8_t)bits; return true;
    case HN_GGUF_I16: *out = (int16_t)bits; return true;
    case HN_GGUF_I32: *out = (int32_t)bits; return true;
    case HN_GGUF_I64: *out = (int64_t)bits; return true;
    case HN_GGUF_U64: *out = (int64_t)bits; return bits <= INT64_MAX;
    default: return false;
    }
}

bool hn_gguf_item_f64(const hn_gguf_value *v, uint64_t i, double *out) {
    int64_t whole;
    if (hn_gguf_item_i64(v, i, &whole)) {
        *out = (double)whole;
        return true;
    }
    if (i >= v->n_items || (v->item_type != HN_GGUF_F32 && v->item_type != HN_GGUF_F64)) return false;
    if (v->item_type == HN_GGUF_F64)
        memcpy(out, v->data + i * 8, 8);
    else {
        float f;
        memcpy(&f, v->data + i * 4, 4);
        *out = f;
    }
    return true;
}

static const hn_gguf_value *scalar(const hn_gguf *g, const char *key) {
    const hn_gguf_value *v = hn_gguf_find(g, key);
    return v && v->type != HN_GGUF_ARRAY ? v : NULL;
}

uint32_t hn_gguf_u32(const hn_gguf *g, const char *key, uint32_t otherwise) {
    const hn_gguf_value *v = scalar(g, key);
    int64_t n;
    return v && hn_gguf_item_i64(v, 0, &n) && n >= 0 && n <= UINT32_MAX ? (uint32_t)n : otherwise;
}

double hn_gguf_f64(const hn_gguf *g, const char *key, double otherwise) {
    const hn_gguf_value *v = scalar(g, key);
    double d;
    return v && hn_gguf_item_f64(v, 0, &d) ? d : otherwise;
}

bool hn_gguf_bool(const hn_gguf *g, const char *key, bool otherwise) {
    const hn_gguf_value *v = scalar(g, key);
    return v && v->type == HN_GGUF_BOOL ? v->data[0] != 0 : otherwise;
}

hn_str hn_gguf_str(const hn_gguf *g, const char *key) {
    const hn_gguf_value *v = scalar(g, key);
    return v && v->type == HN_GGUF_STRING ? v->strings[0] : (hn_str){0};
}
