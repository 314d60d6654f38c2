/* safetensors writing; see safetensors_write.h. The header is known before the first value, so the values stream through one buffer and a model
 * need never be in memory as a whole. */
#include "format/safetensors_write.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/part_file.h"
#include "base/utf8.h"
#include "format/json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEADER_BYTES_MAX = 100 << 20, CHUNK_VALUES = 1 << 16, ROW_VALUES_MAX = 1 << 28 };

/* One tensor in the file's order. */
typedef struct place {
    const hn_safetensors_out *tensor;
    size_t index, begin, size_bytes;
    int64_t n_rows, n_columns;
} place;

typedef struct writer {
    const char *path;
    place *places;
    size_t n;
    hn_safetensors_rows *rows;
    void *user;
    int fd;
    float *values; /* (chunk) */
    unsigned char *bytes;
    hn_error *err;
} writer;

static const char *type_name(hn_dtype dtype) {
    return dtype == HN_DTYPE_F32 ? "F32" : dtype == HN_DTYPE_F16 ? "F16" : dtype == HN_DTYPE_BF16 ? "BF16" : NULL;
}

static hn_status measure(place *p, hn_error *err) {
    const hn_safetensors_out *t = p->tensor;
    size_t n_values = 1, rows = 1;
    if (!t->name || !t->name[0] || strcmp(t->name, "__metadata__") == 0)
        return hn_fail(err, HN_ERR_INPUT, t->name, NULL, "a tensor cannot have this name");
    if (!type_name(t->dtype))
        return hn_fail(err, HN_ERR_UNSUPPORTED, t->name, "write F32, F16 or BF16", "the type %d cannot be written",
                       (int)t->dtype);
    if (t->n_dims < 0 || t->n_dims > HN_SAFETENSORS_DIMS)
        return hn_fail(err, HN_ERR_LIMIT, t->name, NULL, "%d dimensions, the limit is %d", t->n_dims,
                       HN_SAFETENSORS_DIMS);
    p->n_columns = t->n_dims ? t->dims[t->n_dims - 1] : 1;
    for (int i = 0; i < t->n_dims; i++) {
        bool fine = t->dims[i] >= 0 && hn_mul_size(n_values, (size_t)t->dims[i], &n_values);
        if (fine && i < t->n_dims - 1) fine = hn_mul_size(rows, (size_t)t->dims[i], &rows);
        if (!fine || rows > INT64_MAX)
            return hn_fail(err, HN_ERR_LIMIT, t->name, NULL, "dimension %d of %lld values cannot be", i,
                           (long long)t->dims[i]);
    }
    p->n_rows = n_values ? (int64_t)rows : 0;
    if (p->n_columns > ROW_VALUES_MAX || !hn_dtype_bytes(t->dtype, n_values, &p->size_bytes))
        return hn_fail(err, HN_ERR_LIMIT, t->name, NULL, "%lld values in a row, the limit is %d",
                       (long long)p->n_columns, ROW_VALUES_MAX);
    return HN_OK;
}

/* As the format's own library orders them: the widest type first, so that all stay aligned, then by name. */
static int by_width_and_name(const void *a, const void *b) {
    const hn_safetensors_out *x = ((const place *)a)->tensor, *y = ((const place *)b)->tensor;
    size_t wide = hn_dtype_of(x->dtype).block_bytes, other = hn_dtype_of(y->dtype).block_bytes;
    if (wide != other) return wide > other ? -1 : 1;
    if (x->dtype != y->dtype) return x->dtype > y->dtype ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(const place *const *)a)->tensor->name, (*(const place *const *)b)->tensor->name);
}

static hn_status check_names(const writer *w) {
    const place **sorted = hn_calloc(w->n + 1, sizeof *sorted);
    hn_status st = HN_OK;
    if (!sorted) return hn_fail_memory(w->err, (w->n + 1) * sizeof *sorted);
    for (size_t i = 0; i < w->n; i++) sorted[i] = &w->places[i];
    qsort(sorted, w->n, sizeof *sorted, by_name);
    for (size_t i = 1; i < w->n && st == HN_OK; i++)
        if (by_name(&sorted[i - 1], &sorted[i]) == 0)
            st = hn_fail(w->err, HN_ERR_INPUT, sorted[i]->tensor->name, NULL, "two tensors have this name");
    hn_free(sorted);
    return st;
}

static hn_status lay_out(writer *w, const hn_safetensors_out *out) {
    size_t at = 0;
    for (size_t i = 0; i < w->n; i++) {
        w->places[i] = (place){.tensor = &out[i], .index = i};
        HN_TRY(measure(&w->places[i], w->err));
    }
    HN_TRY(check_names(w));
    qsort(w->places, w->n, sizeof *w->places, by_width_and_name);
    for (size_t i = 0; i < w->n; i++) {
        w->places[i].begin = at;
        if (!hn_add_size(at, w->places[i].size_bytes, &at) || at > INT64_MAX / 2)
            return hn_fail(w->err, HN_ERR_LIMIT, w->path, NULL, "the tensors are larger than a file can be");
    }
    return HN_OK;
}

/* ---- the header ---- */

static hn_status append_text(hn_buf *b, const char *text, hn_error *err) {
    size_t n = strlen(text);
    if (!hn_utf8_valid(text, n, NULL)) return hn_fail(err, HN_ERR_INPUT, text, NULL, "the name is not UTF-8");
    hn_json_write_string(text, n, false, b);
    return HN_OK;
}

static hn_status append_metadata(hn_buf *b, const char *const *metadata, hn_error *err) {
    if (!metadata || !metadata[0]) return HN_OK;
    hn_buf_append_str(b, "\"__metadata__\":{");
    for (size_t i = 0; metadata[i] && metadata[i + 1]; i += 2) {
        if (i) hn_buf_append_char(b, ',');
        HN_TRY(append_text(b, metadata[i], err));
        hn_buf_append_char(b, ':');
        HN_TRY(append_text(b, metadata[i + 1], err));
    }
    hn_buf_append_char(b, '}');
    return HN_OK;
}

static hn_status make_header(const writer *w, const char *const *metadata, hn_buf *b) {
    hn_buf_append_char(b, '{');
    HN_TRY(append_metadata(b, metadata, w->err));
    for (size_t i = 0; i < w->n; i++) {
        const place *p = &w->places[i];
        if (b->len > 1) hn_buf_append_char(b, ',');
        HN_TRY(append_text(b, p->tensor->name, w->err));
        hn_buf_appendf(b, ":{\"dtype\":\"%s\",\"shape\":[", type_name(p->tensor->dtype));
        for (int d = 0; d < p->tensor->n_dims; d++)
            hn_buf_appendf(b, d ? ",%lld" : "%lld", (long long)p->tensor->dims[d]);
        hn_buf_appendf(b, "],\"data_offsets\":[%zu,%zu]}", p->begin, p->begin + p->size_bytes);
    }
    hn_buf_append_char(b, '}');
    while (b->len % 8 && hn_buf_status(b) == HN_OK) hn_buf_append_char(b, ' '); /* the data begins aligned */
    return hn_buf_check(b, "the header", w->err);
}

/* ---- the file ---- */

static hn_status put(const writer *w, const void *bytes, size_t n) {
    for (const char *at = bytes; n > 0;) {
        ssize_t done = write(w->fd, at, n < 1 << 30 ? n : 1 << 30);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return hn_fail_errno(w->err, done < 0 ? errno : EIO, w->path, "writing");
        at += done, n -= (size_t)done;
    }
    return HN_OK;
}

/* Little-endian, as the format demands. False at a finite value that its type cannot hold: *bad is its place. */
static bool encode(unsigned char *bytes, const float *values, size_t n, hn_dtype dtype, size_t *bad) {
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        if (dtype == HN_DTYPE_F32) {
            memcpy(&bits, &values[i], sizeof bits);
            for (size_t k = 0; k < 4; k++) bytes[4 * i + k] = (unsigned char)(bits >> 8 * k);
            continue;
        }
        bool half = dtype == HN_DTYPE_F16;
        bits = half ? hn_f32_to_f16(values[i]) : hn_f32_to_bf16(values[i]);
        *bad = i;
        if (isfinite(values[i]) && !isfinite(half ? hn_f16_to_f32((uint16_t)bits) : hn_bf16_to_f32((uint16_t)bits)))
            return false;
        bytes[2 * i] = (unsigned char)bits;
        bytes[2 * i + 1] = (unsigned char)(bits >> 8);
    }
    return true;
}

static hn_status put_tensor(writer *w, const place *p) {
    int64_t step = p->n_columns < CHUNK_VALUES && p->n_columns > 0 ? CHUNK_VALUES / p->n_columns : 1;
    size_t width = hn_dtype_of(p->tensor->dtype).block_bytes, bad = 0;
    for (int64_t row = 0; row < p->n_rows; row += step) {
        int64_t n_rows = p->n_rows - row < step ? p->n_rows - row : step;
        size_t n = (size_t)(n_rows * p->n_columns);
        const float *values = w->values;
        HN_TRY(hn_interrupt_check(w->err));
        if (w->rows)
            HN_TRY(w->rows(w->user, p->index, row, n_rows, w->values, w->err));
        else
            values = p->tensor->values + row * p->n_columns;
        if (!encode(w->bytes, values, n, p->tensor->dtype, &bad))
            return hn_fail(w->err, HN_ERR_INPUT, p->tensor->name, "write BF16 or F32", "the value %g does not fit %s",
                           (double)values[bad], type_name(p->tensor->dtype));
        HN_TRY(put(w, w->bytes, n * width));
    }
    return HN_OK;
}

static hn_status put_all(writer *w, const hn_buf *header) {
    unsigned char length[8];
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)header->len >> 8 * i);
    HN_TRY(put(w, length, sizeof length));
    HN_TRY(put(w, header->data, header->len));
    for (size_t i = 0; i < w->n; i++) HN_TRY(put_tensor(w, &w->places[i]));
    return HN_OK;
}

/* Under another name first; the old file stays whole until the new one is. */
static hn_status put_file(writer *w, const hn_buf *header) {
    hn_part_file part;
    HN_TRY(hn_part_create(w->path, &part, w->err));
    w->fd = part.fd;
    hn_status st = put_all(w, header);
    if (st == HN_OK) st = hn_part_finish(&part, w->err);
    hn_part_drop(&part);
    return st;
}

static hn_status write_with(writer *w, const hn_safetensors_out *out, const char *const *metadata, hn_buf *header) {
    size_t chunk = CHUNK_VALUES;
    HN_TRY(lay_out(w, out));
    HN_TRY(make_header(w, metadata, header));
    for (size_t i = 0; i < w->n; i++)
        if ((size_t)w->places[i].n_columns > chunk) chunk = (size_t)w->places[i].n_columns;
    w->values = hn_alloc(chunk * sizeof *w->values);
    w->bytes = hn_alloc(chunk * sizeof *w->values);
    if (!w->values || !w->bytes) return hn_fail_memory(w->err, chunk * sizeof *w->values);
    return put_file(w, header);
}

hn_status hn_safetensors_write(const char *path, const hn_safetensors_out *out, size_t n, const char *const *metadata,
                               hn_safetensors_rows *rows, void *user, hn_error *err) {
    writer w = {.path = path, .n = n, .rows = rows, .user = user, .err = err};
    hn_buf header;
    w.places = hn_calloc(n + 1, sizeof *w.places);
    if (!w.places) return hn_fail_memory(err, (n + 1) * sizeof *w.places);
    hn_buf_init(&header, HEADER_BYTES_MAX);
    hn_status st = write_with(&w, out, metadata, &header);
    hn_buf_free(&header);
    hn_free(w.bytes);
    hn_free(w.values);
    hn_free(w.places);
    return st;
}
