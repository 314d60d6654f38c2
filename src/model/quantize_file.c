/* Quantisation of whole files; see quantize_file.h. Two passes: what becomes of each tensor (the file's head needs it all),
 * then the tensors one after the other in pieces of some rows, each piece shared out among the threads.
 *
 * What would surprise: the error is measured on what was written, read back by the kernel that inference uses, and its sums
 * are per row, added in file order: the figures do not depend on the number of threads. */
#include "model/quantize_file.h"

#include "base/alloc.h"
#include "base/interrupt.h"
#include "format/gguf_write.h"
#include "kernel/kernel.h"
#include "model/quantize.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PIECE_VALUES = 1 << 21, QUANTIZATION_VERSION = 2 };

/* The numbers of general.file_type: ggml's, for files of mostly one format. */
static const struct {
    hn_dtype format;
    uint32_t number;
} file_types[] = {{HN_DTYPE_F32, 0},   {HN_DTYPE_F16, 1},   {HN_DTYPE_Q4_0, 2}, {HN_DTYPE_Q4_1, 3},
                  {HN_DTYPE_Q8_0, 7},  {HN_DTYPE_Q5_0, 8},  {HN_DTYPE_Q5_1, 9}, {HN_DTYPE_Q4_K, 14},
                  {HN_DTYPE_Q5_K, 16}, {HN_DTYPE_Q6_K, 18}, {HN_DTYPE_BF16, 32}};

/* Replaced, or true of the source only. */
static const char *const replaced_keys[] = {"general.file_type",
                                            "general.quantization_version",
                                            "quantize.imatrix.file",
                                            "quantize.imatrix.dataset",
                                            "quantize.imatrix.entries_count",
                                            "quantize.imatrix.chunks_count",
                                            NULL};

/* Sums over values: of squares of what changed, and of squares. */
typedef struct error_sums {
    double changed, size;
    uint64_t n;
} error_sums;

typedef struct piece {
    const hn_kernels *kernels;
    const hn_weight_feed_tensor *tensor;
    unsigned char *dst;
    float *rows;  /* (n_threads, 3, columns): a row as it was, read back, and scratch */
    double *sums; /* (n_rows, 2) */
    size_t first_row, n_rows, columns, dst_row_bytes;
    hn_dtype to;
    struct failure {
        hn_status status;
        size_t row;
        hn_error error;
    } * failures; /* (n_threads) */
} piece;

typedef struct work {
    const hn_weight_feed *source;
    const hn_quantize_options *options;
    hn_quantize_report *report;
    hn_gguf_writer *writer;
    const hn_kernels *kernels;
    hn_dtype *formats; /* (n_tensors) what each becomes */
    uint64_t n_done, n_values;
    error_sums total;
} work;

/* ---- what becomes of each tensor ---- */

static bool name_ends(hn_str name, const char *end) {
    size_t n = strlen(end);
    return name.len >= n && memcmp(name.data + name.len - n, end, n) == 0;
}

static bool is_matrix(const hn_weight_feed_tensor *t) {
    static const char *const kept[] = {"_norm.weight", "ffn_gate_inp.weight", "position_embd.weight",
                                       "token_types.weight"};
    if (t->n_dims < 2 || !name_ends(t->name, "weight")) return false;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (name_ends(t->name, kept[i])) return false;
    return true;
}

static uint64_t values_of(const hn_weight_feed_tensor *t) {
    uint64_t n = 1;
    for (int i = 0; i < t->n_dims; i++) n *= (uint64_t)t->dims[i]; /* the reader has checked the product */
    return n;
}

static hn_status add_fallback(hn_quantize_report *r, size_t *capacity, const hn_weight_feed_tensor *t, hn_dtype format,
                              hn_error *err) {
    if (!hn_grow((void **)&r->fallbacks, capacity, r->n_fallbacks + 1, sizeof *r->fallbacks))
        return hn_fail_memory(err, (r->n_fallbacks + 1) * sizeof *r->fallbacks);
    r->fallbacks[r->n_fallbacks++] = (hn_quantize_exception){t->name, format, t->dims[0]};
    return HN_OK;
}

static void count(hn_quantize_report *r, hn_dtype format, uint64_t bytes) {
    size_t i = 0;
    while (i < r->n_counts && r->counts[i].format != format) i++;
    if (i == r->n_counts) r->counts[r->n_counts++] = (hn_quantize_count){.format = format};
    r->counts[i].n_tensors++;
    r->counts[i].bytes += bytes;
}

static hn_status plan(work *w, hn_error *err) {
    size_t n = w->source->n, capacity = 0;
    uint64_t values[256] = {0};
    w->formats = hn_calloc(n, sizeof *w->formats);
    if (!w->formats && n) return hn_fail_memory(err, n * sizeof *w->formats);
    for (size_t i = 0; i < n; i++) {
        const hn_weight_feed_tensor *t = &w->source->tensors[i];
        size_t bytes = 0;
        w->formats[i] = t->dtype;
        if (is_matrix(t)) {
            w->formats[i] = hn_quantize_fallback(w->options->format, (uint64_t)t->dims[0]);
            w->report->n_matrices++;
            values[t->dtype & 255] += values_of(t);
            if (w->formats[i] != w->options->format) HN_TRY(add_fallback(w->report, &capacity, t, w->formats[i], err));
        }
        if (w->formats[i] != t->dtype || t->added) {
            w->report->n_converted++;
            w->report->requantized |= hn_dtype_of(t->dtype).block_values > 1;
        }
        if (w->formats[i] != t->dtype || !hn_weight_feed_is_plain(t)) w->n_values += values_of(t);
        HN_TRY(hn_gguf_writer_declare(w->writer, t->name, w->formats[i], t->n_dims, t->dims, err));
        (void)hn_dtype_bytes(w->formats[i], values_of(t), &bytes);
        count(w->report, w->formats[i], bytes);
    }
    w->report->source_format = HN_DTYPE_F32;
    for (int d = 0; d < 256; d++)
        if (values[d] > values[w->report->source_format]) w->report->source_format = (hn_dtype)d;
    return HN_OK;
}

/* ---- the tensors' values ---- */

static void quantize_share(void *arg, int thread, int n_threads) {
    piece *p = arg;
    struct failure *f = &p->failures[thread];
    float *row = p->rows + (size_t)thread * 3 * p->columns, *back = row + p->columns, *scratch = back + p->columns;
    size_t from, to;
    hn_share(p->n_rows, 1, thread, n_threads, &from, &to);
    for (size_t r = from; r < to && f->status == HN_OK; r++) {
        unsigned char *dst = p->dst + r * p->dst_row_bytes;
        double changed = 0, size = 0;
        hn_weight_feed_row(p->kernels, p->tensor, p->first_row + r, row, scratch);
        f->status = hn_quantize_row(dst, row, p->to, p->columns, &f->error);
        f->row = r;
        if (f->status != HN_OK) return;
        p->kernels->dequantize(back, dst, p->to, p->columns);
        for (size_t i = 0; i < p->columns; i++) {
            double d = (double)back[i] - (double)row[i];
            changed += d * d;
            size += (double)row[i] * (double)row[i];
        }
        p->sums[2 * r] = changed;
        p->sums[2 * r + 1] = size;
    }
}

static hn_status piece_failure(const piece *p, int n_threads, const hn_weight_feed_tensor *t, hn_error *err) {
    for (int i = 0; i < n_threads;
         i++) { /* shares are in the order of rows: the first failure is that of the first row */
        if (p->failures[i].status == HN_OK) continue;
        char where[300];
        snprintf(where, sizeof where, "%.*s, row %zu, %s", t->name.len < 200 ? (int)t->name.len : 200, t->name.data,
                 p->first_row + p->failures[i].row, p->failures[i].error.where);
        return hn_fail(err, p->failures[i].status, where, p->failures[i].error.hint, "%s",
                       p->failures[i].error.message);
    }
    return HN_OK;
}

static hn_status convert_rows(work *w, piece *p, error_sums *sums, hn_error *err) {
    int n_threads = hn_pool_size(w->options->pool);
    HN_TRY(hn_interrupt_check(err));
    hn_pool_run(w->options->pool, quantize_share, p);
    HN_TRY(piece_failure(p, n_threads, p->tensor, err));
    for (size_t r = 0; r < p->n_rows; r++) {
        sums->changed += p->sums[2 * r];
        sums->size += p->sums[2 * r + 1];
    }
    sums->n += p->n_rows * p->columns;
    HN_TRY(hn_gguf_writer_data(w->writer, p->dst, p->n_rows * p->dst_row_bytes, err));
    w->n_done += p->n_rows * p->columns;
    if (w->options->on_progress) w->options->on_progress(w->options->user, w->n_done, w->n_values);
    return HN_OK;
}

static void add_sums(work *w, const hn_weight_feed_tensor *t, const error_sums *sums) {
    double relative = sums->size > 0 ? sqrt(sums->changed / sums->size) : 0;
    if (relative > w->report->worst_relative_error) {
        w->report->worst = t->name;
        w->report->worst_relative_error = relative;
    }
    w->total.changed += sums->changed;
    w->total.size += sums->size;
    w->total.n += sums->n;
}

static hn_status convert_tensor(work *w, const hn_weight_feed_tensor *t, hn_dtype to, hn_error *err) {
    size_t columns = (size_t)t->dims[0], n_threads = (size_t)hn_pool_size(w->options->pool);
    size_t n_rows = (size_t)(values_of(t) / columns), at_once = PIECE_VALUES / columns + 1, dst_bytes, row_values;
    error_sums sums = {0};
    hn_status st = HN_OK;
    piece p = {.kernels = w->kernels, .tensor = t, .columns = columns, .to = to};
    if (at_once > n_rows) at_once = n_rows;
    if (!hn_dtype_bytes(to, columns, &p.dst_row_bytes) || !hn_mul_size(at_once, p.dst_row_bytes, &dst_bytes) ||
        !hn_mul_size(columns, 3 * n_threads, &row_values))
        return hn_fail(err, HN_ERR_LIMIT, w->source->path, NULL, "a tensor has rows of %zu values", columns);
    p.dst = hn_alloc(dst_bytes);
    p.rows = hn_calloc(row_values, sizeof *p.rows);
    p.sums = hn_calloc(at_once, 2 * sizeof *p.sums);
    p.failures = hn_calloc(n_threads, sizeof *p.failures);
    if (!p.dst || !p.rows || !p.sums || !p.failures) st = hn_fail_memory(err, dst_bytes);
    for (size_t row = 0; row < n_rows && st == HN_OK; row += p.n_rows) {
        p.first_row = row;
        p.n_rows = n_rows - row < at_once ? n_rows - row : at_once;
        st = convert_rows(w, &p, &sums, err);
    }
    if (st == HN_OK && (to != t->dtype || t->added)) add_sums(w, t, &sums); /* else rows in another order, no more */
    hn_free(p.dst);
    hn_free(p.rows);
    hn_free(p.sums);
    hn_free(p.failures);
    return st;
}

/* ---- the file ---- */

static hn_status write_metadata(work *w, hn_error *err) {
    uint32_t file_type = 0;
    for (size_t i = 0; i < sizeof file_types / sizeof *file_types; i++)
        if (file_types[i].format == w->options->format) file_type = file_types[i].number;
    HN_TRY(hn_weight_feed_metadata(w->source, replaced_keys, w->writer, err));
    HN_TRY(hn_gguf_writer_set_u32(w->writer, "general.file_type", file_type, err));
    return hn_gguf_writer_set_u32(w->writer, "general.quantization_version", QUANTIZATION_VERSION, err);
}

static hn_status write_file(work *w, hn_error *err) {
    HN_TRY(write_metadata(w, err));
    HN_TRY(plan(w, err));
    HN_TRY(hn_gguf_writer_begin(w->writer, err));
    for (size_t i = 0; i < w->source->n; i++) {
        const hn_weight_feed_tensor *t = &w->source->tensors[i];
        HN_TRY(hn_interrupt_check(err));
        if (w->formats[i] == t->dtype && hn_weight_feed_is_plain(t))
            HN_TRY(hn_gguf_writer_data(w->writer, t->data, t->size_bytes, err));
        else
            HN_TRY(convert_tensor(w, t, w->formats[i], err));
    }
    HN_TRY(hn_gguf_writer_finish(w->writer, err));
    hn_quantize_report *r = w->report;
    r->bytes_before = w->source->size_bytes;
    r->bytes_after = hn_gguf_writer_bytes(w->writer);
    r->rms_error = w->total.n ? sqrt(w->total.changed / (double)w->total.n) : 0;
    r->relative_error = w->total.size > 0 ? sqrt(w->total.changed / w->total.size) : 0;
    return HN_OK;
}

static hn_status check_source(const hn_weight_feed *source, const hn_quantize_options *options, hn_error *err) {
    if (hn_quantize_fallback(options->format, 256) != options->format)
        return hn_fail(err, HN_ERR_UNSUPPORTED, source->path, "use q4_k or q4_0", "%s can be read but not written",
                       hn_dtype_of(options->format).name ? hn_dtype_of(options->format).name : "the format");
    for (size_t i = 0; i < source->n; i++)
        if (is_matrix(&source->tensors[i])) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, source->path, "give a file with the model's weights",
                   "it has no matrices to convert");
}

hn_status hn_quantize_feed(const hn_weight_feed *source, const char *path, const hn_quantize_options *options,
                           hn_quantize_report *report, hn_error *err) {
    work w = {.source = source, .options = options, .report = report};
    *report = (hn_quantize_report){0};
    HN_TRY(check_source(source, options, err));
    HN_TRY(hn_kernels_choose(NULL, &w.kernels, err));
    HN_TRY(hn_gguf_writer_create(path, &w.writer, err));
    hn_status st = write_file(&w, err);
    hn_gguf_writer_free(w.writer);
    hn_free(w.formats);
    if (st != HN_OK) hn_quantize_report_free(report);
    return st;
}

hn_status hn_quantize_file(const hn_gguf *source, const char *path, const hn_quantize_options *options,
                           hn_quantize_report *report, hn_error *err) {
    hn_weight_feed feed;
    HN_TRY(hn_weight_feed_gguf(source, &feed, err));
    hn_status st = hn_quantize_feed(&feed, path, options, report, err);
    hn_weight_feed_free(&feed);
    return st;
}

void hn_quantize_report_free(hn_quantize_report *report) {
    hn_free(report->fallbacks);
    *report = (hn_quantize_report){0};
}
