/* Matrix products: shapes, packs, scratch memory and the division of work; see kernel.h and matmul.h. The arithmetic
 * itself is in ref/, avx2/, avx512/ and neon/. Surprise: with few rows every thread converts all of x for itself, since
 * converting 8 rows costs less than meeting twice. */
#include "kernel/matmul.h"

#include "base/alloc.h"

#include <stdatomic.h>
#include <string.h>

enum {
    ALIGN = 64,
    ROWS_CONVERTED_ALONE = 8,
    ROWS_MADE_AT_ONCE = 4,   /* they stay in the nearest caches until they are converted */
    ROWS_SHARED = 4,         /* fewer rows are made on one thread */
    AHEAD_BYTES = 16 << 10,  /* of the next matrix, for each thread */
    SHORT_SHARE = 64,        /* a short pack is kept where at most one block in so many does not suit it */
    ROOM_PADDING = 64 << 10, /* behind a room's packs: memory is asked for ahead of its use */
};

static size_t round_to_line(size_t n) { return (n + ALIGN - 1) / ALIGN * ALIGN; }
static void *line_of(void *memory) { return (void *)(((uintptr_t)memory + ALIGN - 1) / ALIGN * ALIGN); }

static size_t panel_count(const hn_matmul_ops *ops, const hn_matrix *w) {
    return ((size_t)w->n_out + (size_t)ops->panel_columns - 1) / (size_t)ops->panel_columns;
}

static void run(hn_pool *pool, hn_pool_fn *fn, void *arg) {
    if (pool)
        hn_pool_run(pool, fn, arg);
    else
        fn(arg, 0, 1);
}

static hn_status check_shape(const hn_matrix *w, hn_error *err) {
    hn_dtype_info info = hn_dtype_of(w->dtype);
    size_t row_bytes, all_bytes;
    if (!info.name)
        return hn_fail(err, HN_ERR_UNSUPPORTED, "matrix", "convert the file to a format such as Q8_0",
                       "number format %d is not known", (int)w->dtype);
    if (!w->data || w->n_out < 1 || w->n_in < 1 || w->n_out > INT32_MAX || w->n_in > INT32_MAX)
        return hn_fail(err, HN_ERR_INPUT, "matrix", "the model file is damaged or not supported",
                       "a weight matrix of %lld x %lld cannot be used", (long long)w->n_out, (long long)w->n_in);
    if (!hn_dtype_bytes(w->dtype, (uint64_t)w->n_in, &row_bytes))
        return hn_fail(err, HN_ERR_INPUT, "matrix", "use a format with smaller blocks, such as Q8_0 or F16",
                       "rows of %lld values are not whole %s blocks of %zu", (long long)w->n_in, info.name,
                       info.block_values);
    if (!hn_mul_size(row_bytes, (size_t)w->n_out, &all_bytes))
        return hn_fail(err, HN_ERR_LIMIT, "matrix", NULL, "a weight matrix of %lld x %lld is too large",
                       (long long)w->n_out, (long long)w->n_in);
    return HN_OK;
}

typedef struct pack_job {
    const hn_matmul_ops *ops;
    hn_matrix *w;
    size_t panel_bytes;
    atomic_size_t unsuited;
} pack_job;

static void pack_share(void *arg, int thread, int n_threads) {
    pack_job *job = arg;
    size_t from, to, unsuited = 0;
    hn_share(panel_count(job->ops, job->w), 1, thread, n_threads, &from, &to);
    for (size_t i = from; i < to; i++) {
        void *panel = (char *)job->w->pack + i * job->panel_bytes;
        int64_t first = (int64_t)i * job->ops->panel_columns;
        if (job->w->short_pack)
            unsuited += job->ops->pack_short_panel(panel, job->w, first);
        else
            job->ops->pack_panel(panel, job->w, first);
    }
    atomic_fetch_add(&job->unsuited, unsuited);
}

/* Packs w at its place in the form that w->short_pack says; returns how many blocks do not suit it. */
static size_t pack(hn_matrix *w, const hn_matmul_ops *ops, size_t panel_bytes, hn_pool *pool) {
    pack_job job = {.ops = ops, .w = w, .panel_bytes = panel_bytes};
    w->pack_bytes = panel_bytes * panel_count(ops, w);
    run(pool, pack_share, &job);
    return atomic_load(&job.unsuited);
}

static size_t short_bytes_of(const hn_matmul_ops *ops, const hn_matrix *w) {
    return ops->short_panel_bytes ? ops->short_panel_bytes(w->dtype, w->n_in) : 0;
}

/* Packs w behind what is in the room. */
static void pack_in_room(hn_matrix *w, const hn_matmul_ops *ops, hn_pool *pool, hn_pack_room *room) {
    size_t panel_bytes = ops->panel_bytes(w->dtype, w->n_in), short_bytes = short_bytes_of(ops, w);
    if (panel_bytes == 0) return;
    w->pack = room->memory + room->used;
    w->in_room = true;
    w->short_pack = short_bytes > 0;
    if (short_bytes)
        w->short_pack =
            pack(w, ops, short_bytes, pool) * SHORT_SHARE <= ops->short_blocks(w->n_in) * panel_count(ops, w);
    if (!w->short_pack) pack(w, ops, panel_bytes, pool);
    room->used += w->pack_bytes;
}

/* Bytes that the packs take at most: a short form that does not suit gives way to the plain one. */
static hn_status room_bytes(hn_matrix *const *w, size_t n, const hn_matmul_ops *ops, size_t *total, hn_error *err) {
    *total = 0;
    for (size_t i = 0; i < n; i++) {
        size_t bytes = ops->panel_bytes(w[i]->dtype, w[i]->n_in), short_bytes = short_bytes_of(ops, w[i]);
        if (!hn_mul_size(bytes > short_bytes ? bytes : short_bytes, panel_count(ops, w[i]), &bytes) ||
            !hn_add_size(*total, bytes, total))
            return hn_fail_memory(err, SIZE_MAX);
    }
    return HN_OK;
}

hn_status hn_matrices_prepare(hn_matrix *const *w, size_t n, const hn_kernels *k, hn_pack mode, hn_pool *pool,
                              hn_pack_room *room, hn_error *err) {
    *room = (hn_pack_room){0};
    for (size_t i = 0; i < n; i++) {
        HN_TRY(check_shape(w[i], err));
        w[i]->mode = mode;
        w[i]->pack = NULL;
        w[i]->pack_bytes = 0;
        w[i]->short_pack = w[i]->in_room = false;
    }
    if (mode == HN_PACK_LOW) return HN_OK;
    HN_TRY(room_bytes(w, n, k->matmul, &room->bytes, err));
    if (room->bytes == 0) return HN_OK;
    if (!hn_add_size(room->bytes, ROOM_PADDING, &room->bytes)) return hn_fail_memory(err, SIZE_MAX);
    room->memory = hn_alloc_aligned(room->bytes, ALIGN); /* only what is written takes memory */
    if (!room->memory) return hn_fail_memory(err, room->bytes);
    for (size_t i = 0; i < n; i++) pack_in_room(w[i], k->matmul, pool, room);
    return HN_OK;
}

void hn_pack_room_free(hn_pack_room *room) {
    if (room->memory) hn_free_aligned(room->memory, room->bytes);
    *room = (hn_pack_room){0};
}

hn_status hn_matrix_prepare(hn_matrix *w, const hn_kernels *k, hn_pack mode, hn_pool *pool, hn_error *err) {
    hn_pack_room room;
    HN_TRY(hn_matrices_prepare(&w, 1, k, mode, pool, &room, err));
    w->in_room = false; /* all of the room is this matrix's */
    w->room_bytes = room.bytes;
    return HN_OK;
}

void hn_matrix_release(hn_matrix *w) {
    if (w->pack && !w->in_room) hn_free_aligned(w->pack, w->room_bytes);
    w->pack = NULL;
    w->pack_bytes = 0;
    w->short_pack = w->in_room = false;
}

/* Scratch: the converted rows that all threads share, then for each thread its own scratch and room for few rows. */
typedef struct scratch_layout {
    size_t shared, thread, alone;
} scratch_layout;

static scratch_layout layout_of(const hn_kernels *k, const hn_matrix *w, int64_t M) {
    const hn_matmul_ops *ops = k->matmul;
    bool alone = M <= ROWS_CONVERTED_ALONE;
    return (scratch_layout){
        .shared = alone ? 0 : round_to_line(ops->input_bytes(w->dtype, w->n_in, M)),
        .thread = round_to_line(ops->thread_bytes(w->dtype, w->n_in, w->mode)),
        .alone = alone ? round_to_line(ops->input_bytes(w->dtype, w->n_in, M)) : 0,
    };
}

size_t hn_matmul_scratch_bytes(const hn_kernels *k, const hn_matrix *w, int64_t max_M, int n_threads) {
    /* A step of few rows must fit the scratch that was sized for many. */
    scratch_layout many = layout_of(k, w, max_M);
    scratch_layout few = layout_of(k, w, max_M < ROWS_CONVERTED_ALONE ? max_M : ROWS_CONVERTED_ALONE);
    return many.shared + (size_t)n_threads * (few.thread + few.alone) + ALIGN;
}

typedef struct product_job {
    const hn_matmul_ops *ops;
    const hn_matmul_part *parts;
    int n_parts;
    const hn_matrix *next;
    hn_product product; /* of the first part */
    hn_rows_fn *make;   /* makes rows of x before they are read; NULL: they are there */
    void *make_arg;
    scratch_layout layout;
    char *threads_scratch;
    void *shared_input;
} product_job;

/* Makes rows where that is asked for, and converts them while they are in the cache. */
static void convert_share(void *arg, int thread, int n_threads) {
    product_job *job = arg;
    const hn_product *p = &job->product;
    size_t from, to, n = job->make ? ROWS_MADE_AT_ONCE : (size_t)p->M;
    hn_share((size_t)p->M, 1, thread, n_threads, &from, &to);
    for (size_t next; from < to; from = next) {
        next = to - from < n ? to : from + n;
        if (job->make) job->make(job->make_arg, (int64_t)from, (int64_t)next);
        if (job->shared_input)
            job->ops->convert(job->shared_input, p->x, p->x_stride, p->w->dtype, p->w->n_in, (int64_t)from,
                              (int64_t)next);
    }
}

/* Asks for the first bytes that this thread will read of the next matrix: they arrive while the threads meet and small
 * work is done. */
static void fetch_next(const product_job *job, int thread, int n_threads) {
    const hn_matrix *w = job->next;
    if (!w || !w->pack || job->product.M > ROWS_CONVERTED_ALONE) return;
    size_t n_panels = panel_count(job->ops, w), panel_bytes = w->pack_bytes / n_panels, from, to;
    hn_share(n_panels, 1, thread, n_threads, &from, &to);
    size_t bytes = (to - from) * panel_bytes < AHEAD_BYTES ? (to - from) * panel_bytes : AHEAD_BYTES;
    for (size_t at = 0; at < bytes; at += ALIGN)
        __builtin_prefetch((const char *)w->pack + from * panel_bytes + at, 0, 2);
}

static void multiply_share(void *arg, int thread, int n_threads) {
    product_job *job = arg;
    hn_product p = job->product;
    char *own = job->threads_scratch + (size_t)thread * (job->layout.thread + job->layout.alone);
    p.scratch = own;
    p.input = job->shared_input;
    if (job->layout.alone) {
        void *input = own + job->layout.thread;
        job->ops->convert(input, p.x, p.x_stride, p.w->dtype, p.w->n_in, 0, p.M);
        p.input = input;
    }
    for (int i = 0; i < job->n_parts; i++) {
        size_t from, to;
        if (i > 0) {
            p.w = job->parts[i].w;
            p.y = job->parts[i].y;
            p.y_stride = p.w->n_out;
        }
        hn_share(panel_count(job->ops, p.w), 1, thread, n_threads, &from, &to);
        if (from < to) job->ops->multiply(&p, from, to);
    }
    fetch_next(job, thread, n_threads);
}

static void run_product(hn_pool *pool, product_job *job, void *scratch) {
    char *memory = line_of(scratch);
    job->threads_scratch = memory + job->layout.shared;
    if (job->layout.shared) job->shared_input = memory;
    if (job->shared_input || job->make) run(job->product.M < ROWS_SHARED ? NULL : pool, convert_share, job);
    run(pool, multiply_share, job);
}

void hn_matmul_made(const hn_kernels *k, hn_pool *pool, const hn_matmul_part *parts, int n_parts, const float *x,
                    int64_t M, hn_rows_fn *make, void *arg, const hn_matrix *next, void *scratch) {
    if (M <= 0) return;
    for (int i = 0, n; i < n_parts; i += n) { /* those of one format and mode go together: they read rows in one form */
        const hn_matrix *w = parts[i].w;
        for (n = 1; i + n < n_parts && parts[i + n].w->dtype == w->dtype && parts[i + n].w->mode == w->mode;) n++;
        product_job job = {
            .ops = k->matmul,
            .parts = parts + i,
            .n_parts = n,
            .next = i + n < n_parts ? parts[i + n].w : next,
            .product = {.y = parts[i].y, .x = x, .y_stride = w->n_out, .x_stride = w->n_in, .M = M, .w = w},
            .make = i == 0 ? make : NULL,
            .make_arg = arg,
            .layout = layout_of(k, w, M),
        };
        run_product(pool, &job, scratch);
    }
}

void hn_matmul_parts(const hn_kernels *k, hn_pool *pool, const hn_matmul_part *parts, int n_parts, const float *x,
                     int64_t M, const hn_matrix *next, void *scratch) {
    hn_matmul_made(k, pool, parts, n_parts, x, M, NULL, NULL, next, scratch);
}

void hn_matmul(const hn_kernels *k, hn_pool *pool, float *y, int64_t y_stride, const float *x, int64_t x_stride,
               const hn_matrix *w, int64_t M, void *scratch) {
    if (M <= 0) return;
    product_job job = {
        .ops = k->matmul,
        .n_parts = 1,
        .product = {.y = y,
                    .x = x,
                    .y_stride = y_stride ? y_stride : w->n_out,
                    .x_stride = x_stride ? x_stride : w->n_in,
                    .M = M,
                    .w = w},
        .layout = layout_of(k, w, M),
    };
    run_product(pool, &job, scratch);
}

typedef struct attention_job {
    const hn_kernels *k;
    const hn_attention_run *runs;
    int n_runs;
    const hn_attention_shape *shape;
    char *scratch;
    size_t thread_bytes;
} attention_job;

static void attention_share(void *arg, int thread, int n_threads) {
    attention_job *job = arg;
    job->k->attention(job->runs, job->n_runs, job->shape, job->scratch + (size_t)thread * job->thread_bytes, thread,
                      n_threads);
}

size_t hn_attention_scratch_bytes(const hn_kernels *k, const hn_attention_shape *shape, int n_threads) {
    return round_to_line(k->attention_thread_bytes(shape)) * (size_t)n_threads + ALIGN;
}

void hn_attention(const hn_kernels *k, hn_pool *pool, const hn_attention_run *runs, int n_runs,
                  const hn_attention_shape *shape, void *scratch) {
    attention_job job = {k, runs, n_runs, shape, line_of(scratch), round_to_line(k->attention_thread_bytes(shape))};
    run(pool, attention_share, &job);
}

void hn_matrix_row(const hn_kernels *k, float *dst, const hn_matrix *w, int64_t id) {
    size_t row_bytes;
    if (id < 0 || id >= w->n_out || !hn_dtype_bytes(w->dtype, (uint64_t)w->n_in, &row_bytes)) {
        memset(dst, 0, (size_t)w->n_in * sizeof *dst);
        return;
    }
    k->dequantize(dst, (const char *)w->data + (size_t)id * row_bytes, w->dtype, (size_t)w->n_in);
}
