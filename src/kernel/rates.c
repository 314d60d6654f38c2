/* Timing of every kernel of a table; see rates.h. Surprise: weights are made up, numbers of ordinary size, since the
 * time of a product does not depend on them; but not all equal, as bf16 weights may be packed by their exponents. */
#include "kernel/rates.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <string.h>

enum {
    COPIES_BYTES = 96 << 20, /* more than the caches of a small machine hold */
    COPIES_MAX = 512,
    ROWS_BYTES = 32 << 20, /* one array of a row kernel */
    ALIGN = 64,
};

const hn_rates_shape hn_rates_smollm2 = {
    .C = 576, .F = 1536, .V = 49152, .n_heads = 9, .n_kv_heads = 3, .head_size = 64};

static const int product_rows[] = {1, 8, 32, 128, 512};
enum { N_PRODUCT_ROWS = sizeof product_rows / sizeof *product_rows, LOGITS_ROWS_MAX = 32, PRODUCT_ROWS_MAX = 512 };

static const struct {
    int rows, first;
} attention_cases[] = {{1, 100}, {1, 1000}, {1, 8000}, {32, 0}, {512, 0}, {512, 7680}};
enum { N_ATTENTION = sizeof attention_cases / sizeof *attention_cases, N_CACHES = 2 };

static const char *const row_kernels[] = {"rmsnorm", "rope", "swiglu", "add", "kv_store", "logsumexp"};
enum { RMSNORM, ROPE, SWIGLU, ADD, KV_STORE, LOGSUMEXP, N_ROW_KERNELS };

typedef struct rates {
    const hn_rates_options *o;
    hn_rates_machine machine;
    hn_rate_fn *fn;
    void *user;
} rates;

/* ---- timing ---- */

typedef void work_fn(void *arg, int round);

/* The best of the rounds that fit the time, three at least; the first warms up. */
static double best_seconds(const rates *m, work_fn *work, void *arg) {
    double best = 1e30, until = hn_clock_seconds() + m->o->seconds;
    for (int round = 0; round < 3 || hn_clock_seconds() < until; round++) {
        double start = hn_clock_seconds();
        work(arg, round);
        double took = hn_clock_seconds() - start;
        if (round > 0 && took < best) best = took;
    }
    return best > 1e-9 ? best : 1e-9;
}

static hn_status report(const rates *m, hn_rate *rate, bool f32, hn_error *err) {
    const hn_machine *machine = f32 ? &m->machine.f32 : &m->machine.best;
    double by_flops = rate->flops / machine->flops_per_s, by_bytes = rate->bytes / machine->bytes_per_s;
    rate->limit_share = (by_flops > by_bytes ? by_flops : by_bytes) / rate->seconds;
    return m->fn(m->user, rate, err);
}

static void fill(float *x, size_t n) {
    uint32_t state = 1;
    for (size_t i = 0; i < n; i++) x[i] = (float)(int32_t)(state = state * 1664525u + 1013904223u) * 0x1.0p-34f;
}

/* Made-up weights: every byte 0x1A is a small f16 scale as well as a quant. */
static void fill_weights(void *data, hn_dtype dtype, size_t n, size_t n_bytes) {
    memset(data, 0x1A, n_bytes);
    uint32_t state = 1;
    for (size_t i = 0; i < n; i++) {
        float x = (float)(int32_t)(state = state * 1664525u + 1013904223u) * 0x1.0p-34f;
        if (dtype == HN_DTYPE_F32) ((float *)data)[i] = x;
        if (dtype == HN_DTYPE_F16) ((uint16_t *)data)[i] = hn_f32_to_f16(x);
        if (dtype == HN_DTYPE_BF16) ((uint16_t *)data)[i] = hn_f32_to_bf16(x);
    }
}

/* ---- products ---- */

typedef struct part {
    const char *name;
    int n_out, n_in;
} part;
enum { N_PARTS = 5 };

static void parts_of(const hn_rates_shape *s, part parts[N_PARTS]) {
    int Q = s->n_heads * s->head_size, KV = s->n_kv_heads * s->head_size;
    const part all[N_PARTS] = {
        {"q", Q, s->C}, {"k", KV, s->C}, {"gate", s->F, s->C}, {"down", s->C, s->F}, {"logits", s->V, s->C}};
    memcpy(parts, all, sizeof all);
}

typedef struct product {
    const rates *m;
    hn_matrix w[COPIES_MAX];
    int n_copies;
    void *data; /* (n_copies) matrices */
    size_t matrix_bytes, n_scratch;
    float *x, *y;
    void *scratch;
    int rows, n_calls, next;
} product;

static void multiply(void *arg, int round) {
    product *p = arg;
    (void)round;
    for (int i = 0; i < p->n_calls; i++, p->next = (p->next + 1) % p->n_copies)
        hn_matmul(p->m->o->kernels, p->m->o->pool, p->y, 0, p->x, 0, &p->w[p->next], p->rows, p->scratch);
}

static hn_status prepare_product(product *p, hn_dtype dtype, const part *shape, hn_error *err) {
    const hn_rates_options *o = p->m->o;
    size_t n = (size_t)shape->n_out * (size_t)shape->n_in;
    if (!hn_dtype_bytes(dtype, n, &p->matrix_bytes))
        return hn_fail(err, HN_ERR_UNSUPPORTED, "format", "leave it out, or measure another model's shapes",
                       "%d x %d weights are not whole blocks of %s", shape->n_out, shape->n_in,
                       hn_dtype_of(dtype).name);
    size_t copies = COPIES_BYTES / p->matrix_bytes + 1;
    p->n_copies = copies > COPIES_MAX ? COPIES_MAX : (int)copies;
    p->data = hn_alloc_aligned(p->matrix_bytes * (size_t)p->n_copies, ALIGN);
    p->x = hn_calloc(PRODUCT_ROWS_MAX * (size_t)shape->n_in, sizeof *p->x);
    p->y = hn_calloc(PRODUCT_ROWS_MAX * (size_t)shape->n_out, sizeof *p->y);
    if (!p->data || !p->x || !p->y) return hn_fail_memory(err, p->matrix_bytes * (size_t)p->n_copies);
    fill(p->x, PRODUCT_ROWS_MAX * (size_t)shape->n_in);
    fill_weights(p->data, dtype, n, p->matrix_bytes);
    for (int i = 0; i < p->n_copies; i++) {
        char *copy = (char *)p->data + p->matrix_bytes * (size_t)i;
        if (i) memcpy(copy, p->data, p->matrix_bytes);
        p->w[i] = (hn_matrix){.dtype = dtype, .n_out = shape->n_out, .n_in = shape->n_in, .data = copy};
        HN_TRY(hn_matrix_prepare(&p->w[i], o->kernels, HN_PACK_KEEP, o->pool, err));
    }
    p->n_scratch = hn_matmul_scratch_bytes(o->kernels, &p->w[0], PRODUCT_ROWS_MAX, hn_pool_size(o->pool));
    p->scratch = hn_alloc_aligned(p->n_scratch, ALIGN);
    return p->scratch ? HN_OK : hn_fail_memory(err, p->n_scratch);
}

static void release_product(product *p) {
    for (int i = 0; i < p->n_copies; i++) hn_matrix_release(&p->w[i]);
    hn_free_aligned(p->data, p->matrix_bytes * (size_t)p->n_copies);
    hn_free_aligned(p->scratch, p->n_scratch);
    hn_free(p->x);
    hn_free(p->y);
    hn_free(p);
}

/* A few calls to a round, so that the clock does not count. */
static hn_status time_products(product *p, hn_dtype dtype, const part *shape, hn_error *err) {
    size_t read = p->w[0].pack_bytes && p->w[0].pack_bytes < p->matrix_bytes ? p->w[0].pack_bytes : p->matrix_bytes;
    for (int i = 0; i < N_PRODUCT_ROWS; i++) {
        int M = product_rows[i];
        if (shape->n_out == p->m->o->shape.V && M > LOGITS_ROWS_MAX) continue;
        double flops = 2.0 * M * shape->n_out * shape->n_in;
        p->rows = M;
        p->n_calls = flops > 1e8 ? 1 : 4;
        hn_rate rate = {.kernel = "matmul",
                        .part = shape->name,
                        .format = hn_dtype_of(dtype).name,
                        .rows = M,
                        .n_out = shape->n_out,
                        .n_in = shape->n_in,
                        .flops = flops,
                        .bytes = (double)read};
        rate.seconds = best_seconds(p->m, multiply, p) / p->n_calls;
        HN_TRY(report(p->m, &rate, dtype == HN_DTYPE_F32, err));
    }
    return HN_OK;
}

static hn_status measure_products(const rates *m, hn_dtype dtype, const part *shape, hn_error *err) {
    product *p = hn_calloc(1, sizeof *p);
    if (!p) return hn_fail_memory(err, sizeof *p);
    p->m = m;
    hn_status st = prepare_product(p, dtype, shape, err);
    if (st == HN_OK) st = time_products(p, dtype, shape, err);
    release_product(p);
    return st;
}

/* ---- attention ---- */

typedef struct attention {
    const rates *m;
    hn_attention_shape shape;
    hn_attention_run run;
    void **blocks; /* (copies, 2, n_blocks) */
    unsigned char *cache;
    float *q, *out;
    void *scratch;
    size_t n_cache, n_scratch;
    int n_blocks, n_copies;
} attention;

static void attend(void *arg, int round) {
    attention *a = arg;
    a->run.k_blocks = (const void *const *)(a->blocks + (size_t)(round % a->n_copies) * 2 * (size_t)a->n_blocks);
    a->run.v_blocks = a->run.k_blocks + a->n_blocks;
    hn_attention(a->m->o->kernels, a->m->o->pool, &a->run, 1, &a->shape, a->scratch);
}

static hn_status prepare_attention(attention *a, int rows, int first, hn_error *err) {
    const hn_rates_options *o = a->m->o;
    const hn_rates_shape *s = &o->shape;
    size_t block = HN_KV_BLOCK * hn_kv_row_bytes(a->shape.kv_type, s->n_kv_heads, s->head_size),
           q_values = (size_t)rows * (size_t)(s->n_heads * s->head_size);
    a->n_blocks = (first + rows + HN_KV_BLOCK - 1) / HN_KV_BLOCK;
    size_t cache = 2 * (size_t)a->n_blocks * block, copies = COPIES_BYTES / cache + 1;
    a->n_copies = copies > COPIES_MAX ? COPIES_MAX : (int)copies;
    a->n_cache = cache * (size_t)a->n_copies;
    a->n_scratch = hn_attention_scratch_bytes(o->kernels, &a->shape, hn_pool_size(o->pool));
    a->cache = hn_alloc_aligned(a->n_cache, ALIGN);
    a->blocks = hn_calloc(2 * (size_t)a->n_blocks * (size_t)a->n_copies, sizeof *a->blocks);
    a->q = hn_calloc(q_values, sizeof *a->q);
    a->out = hn_calloc(q_values, sizeof *a->out);
    a->scratch = hn_alloc_aligned(a->n_scratch, ALIGN);
    if (!a->cache || !a->blocks || !a->q || !a->out || !a->scratch) return hn_fail_memory(err, a->n_cache);
    memset(a->cache, 0x1A, a->n_cache);
    fill(a->q, q_values);
    for (size_t i = 0; i < 2 * (size_t)a->n_blocks * (size_t)a->n_copies; i++) a->blocks[i] = a->cache + i * block;
    a->run = (hn_attention_run){.q = a->q, .out = a->out, .n_rows = rows, .first = first};
    return HN_OK;
}

static hn_status measure_attention(const rates *m, hn_kv_type type, int rows, int first, hn_error *err) {
    const hn_rates_shape *s = &m->o->shape;
    attention a = {.m = m,
                   .shape = {.n_heads = s->n_heads,
                             .n_kv_heads = s->n_kv_heads,
                             .head_size = s->head_size,
                             .scale = 0.125f,
                             .kv_type = type}};
    double pairs = (double)rows * first + (double)rows * (rows + 1) / 2;
    hn_rate rate = {.kernel = "attention",
                    .part = "",
                    .format = hn_kv_type_name(type),
                    .rows = rows,
                    .first = first,
                    .n_out = s->n_heads * s->head_size,
                    .flops = pairs * s->n_heads * s->head_size * 4,
                    .bytes = 2.0 * (first + rows) * (double)hn_kv_row_bytes(type, s->n_kv_heads, s->head_size)};
    hn_status st = prepare_attention(&a, rows, first, err);
    if (st == HN_OK) {
        rate.seconds = best_seconds(m, attend, &a);
        st = report(m, &rate, false, err);
    }
    hn_free_aligned(a.cache, a.n_cache);
    hn_free_aligned(a.scratch, a.n_scratch);
    hn_free(a.blocks);
    hn_free(a.q);
    hn_free(a.out);
    return st;
}

/* ---- kernels on rows ---- */

/* `rows` rows of `width` values: what a row kernel reads, writes, and how many bytes that is for a row. */
typedef struct row_job {
    const rates *m;
    int which, width, rows;
    float *x, *y;
    unsigned char *cache;
    const void *quants;
    hn_dtype dtype;
    double row_bytes;
} row_job;

static void row_share(void *arg, int thread, int n_threads) {
    row_job *j = arg;
    const hn_rates_shape *s = &j->m->o->shape;
    const hn_kernels *k = j->m->o->kernels;
    size_t from, to, n = (size_t)j->width;
    hn_share((size_t)j->rows, HN_KV_BLOCK, thread, n_threads, &from, &to);
    int T = (int)(to - from);
    if (T == 0) return;
    const float *x = j->x + from * n;
    switch (j->which) {
    case RMSNORM: k->rmsnorm(j->y + from * n, x, j->x, T, j->width, 1e-5f); break;
    case ROPE:
        k->rope(j->y + from * n, j->width, j->x + from * n, j->x + from * n + s->head_size / 2, T, s->n_heads,
                s->head_size, true);
        break;
    case SWIGLU: k->swiglu(j->y + from * n / 2, x, x + s->F, T, s->F, j->width); break;
    case ADD: k->add(j->y + from * n, x, (size_t)T * n); break;
    case KV_STORE:
        for (size_t r = from; r < to; r++) {
            unsigned char *block = j->cache + r / HN_KV_BLOCK * HN_KV_BLOCK * n * 2;
            k->kv_store(block, block + HN_KV_BLOCK * n, j->x + r * n, j->x + r * n + n / 2, (int)(r % HN_KV_BLOCK),
                        s->n_kv_heads, s->head_size, HN_KV_F16);
        }
        break;
    case LOGSUMEXP:
        for (size_t r = from; r < to; r++) j->y[r] = (float)k->logsumexp(j->x + r * n, n, NULL);
        break;
    default: {
        size_t bytes = 0;
        if (hn_dtype_bytes(j->dtype, n, &bytes))
            k->dequantize(j->y + from * n, (const char *)j->quants + from * bytes, j->dtype, (size_t)T * n);
    }
    }
}

static void run_rows(void *arg, int round) {
    (void)round;
    row_job *j = arg;
    hn_pool_run(j->m->o->pool, row_share, j);
}

static hn_status report_rows(const rates *m, row_job *j, const char *kernel, const char *format, hn_error *err) {
    hn_rate rate = {.kernel = kernel,
                    .part = "",
                    .format = format,
                    .rows = j->rows,
                    .n_out = j->width,
                    .bytes = j->rows * j->row_bytes,
                    .seconds = best_seconds(m, run_rows, j)};
    return report(m, &rate, false, err);
}

/* Values of a row, and its bytes read and written. */
static row_job row_job_of(const rates *m, int which) {
    const hn_rates_shape *s = &m->o->shape;
    int Q = s->n_heads * s->head_size, KV = s->n_kv_heads * s->head_size;
    const struct {
        int width;
        double values; /* of 4 bytes, read or written */
    } sizes[N_ROW_KERNELS] = {
        [RMSNORM] = {s->C, 2.0 * s->C}, [ROPE] = {Q, 2.0 * Q + s->head_size}, [SWIGLU] = {2 * s->F, 3.0 * s->F},
        [ADD] = {s->C, 3.0 * s->C},     [KV_STORE] = {2 * KV, 3.0 * KV},      [LOGSUMEXP] = {s->V, s->V},
    };
    row_job j = {.m = m, .which = which, .width = sizes[which].width, .row_bytes = 4 * sizes[which].values};
    j.rows = ROWS_BYTES / (4 * j.width) / HN_KV_BLOCK * HN_KV_BLOCK;
    if (j.rows < HN_KV_BLOCK) j.rows = HN_KV_BLOCK;
    return j;
}

static hn_status measure_row_kernel(const rates *m, int which, hn_error *err) {
    row_job j = row_job_of(m, which);
    size_t n = (size_t)j.rows * (size_t)j.width;
    j.x = hn_calloc(n, sizeof *j.x);
    j.y = hn_calloc(n, sizeof *j.y);
    j.cache = (unsigned char *)j.y;
    hn_status st = j.x && j.y ? HN_OK : hn_fail_memory(err, n * sizeof *j.x);
    if (st == HN_OK) {
        fill(j.x, n);
        st = report_rows(m, &j, row_kernels[which], which == KV_STORE ? "f16" : "f32", err);
    }
    hn_free(j.x);
    hn_free(j.y);
    return st;
}

static hn_status measure_dequantize(const rates *m, hn_dtype dtype, hn_error *err) {
    enum { WIDTH = 256 };
    row_job j = {.m = m, .which = N_ROW_KERNELS, .width = WIDTH, .rows = ROWS_BYTES / (4 * WIDTH), .dtype = dtype};
    size_t n = (size_t)j.rows * WIDTH, bytes = 0;
    if (!hn_dtype_bytes(dtype, n, &bytes)) return HN_OK;
    void *quants = hn_alloc(bytes);
    j.y = hn_calloc(n, sizeof *j.y);
    hn_status st = quants && j.y ? HN_OK : hn_fail_memory(err, bytes);
    if (st == HN_OK) {
        fill_weights(quants, dtype, n, bytes);
        j.quants = quants;
        j.row_bytes = (double)bytes / j.rows + 4 * WIDTH;
        st = report_rows(m, &j, "dequantize", hn_dtype_of(dtype).name, err);
    }
    hn_free(quants);
    hn_free(j.y);
    return st;
}

/* ---- everything ---- */

#define FORMAT(name, number, values, bytes) HN_DTYPE_##name,
static const hn_dtype all_formats[] = {HN_DTYPE_LIST(FORMAT)};
#undef FORMAT
enum { N_FORMATS = sizeof all_formats / sizeof *all_formats };

static const hn_kv_type caches[N_CACHES] = {HN_KV_F16, HN_KV_Q8_0};

int hn_rates_count(const hn_rates_options *o) {
    int skipped = 0;
    for (int i = 0; i < N_PRODUCT_ROWS; i++) skipped += product_rows[i] > LOGITS_ROWS_MAX;
    return o->n_formats * (N_PARTS * N_PRODUCT_ROWS - skipped) + N_CACHES * N_ATTENTION + N_ROW_KERNELS + N_FORMATS;
}

static hn_status measure_machine(rates *m, hn_error *err) {
    const hn_kernels *k = m->o->kernels, *f32 = k;
    HN_TRY(hn_machine_measure(k, m->o->pool, 0.4, &m->machine.best, err));
    m->machine.f32 = m->machine.best;
    if (strcmp(k->name, "avx512bf16") != 0) return HN_OK;
    HN_TRY(hn_kernels_choose("avx512f32", &f32, err));
    hn_machine machine;
    HN_TRY(hn_machine_measure(f32, m->o->pool, 0.2, &machine, err));
    m->machine.f32.flops_per_s = machine.flops_per_s;
    return HN_OK;
}

hn_status hn_rates_measure(const hn_rates_options *o, hn_rates_machine *machine, hn_rate_fn *fn, void *user,
                           hn_error *err) {
    rates m = {.o = o, .fn = fn, .user = user};
    part parts[N_PARTS];
    HN_TRY(measure_machine(&m, err));
    *machine = m.machine;
    parts_of(&o->shape, parts);
    for (int f = 0; f < o->n_formats; f++)
        for (int i = 0; i < N_PARTS; i++) HN_TRY(measure_products(&m, o->formats[f], &parts[i], err));
    for (int c = 0; c < N_CACHES; c++)
        for (int i = 0; i < N_ATTENTION; i++)
            HN_TRY(measure_attention(&m, caches[c], attention_cases[i].rows, attention_cases[i].first, err));
    for (int i = 0; i < N_ROW_KERNELS; i++) HN_TRY(measure_row_kernel(&m, i, err));
    for (int f = 0; f < N_FORMATS; f++) HN_TRY(measure_dequantize(&m, all_formats[f], err));
    return HN_OK;
}
