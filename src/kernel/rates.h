/* How fast each kernel of a table is, and how near the machine's limit: what `hone bench --kernels`
 * prints.
 *
 *     hn_rates_options o = {.kernels = k, .pool = pool, .shape = hn_rates_smollm2, .seconds = 0.05,
 *                           .formats = {HN_DTYPE_Q4_1}, .n_formats = 1};
 *     HN_TRY(hn_rates_measure(&o, &machine, print_rate, NULL, &err));     // print_rate(user, &rate, &err) for each
 *
 * A rate's limit is the longer of doing its multiply-adds at the peak rate and of reading and writing its bytes once at
 * the memory's rate, both measured in the same call. Each figure is the best of its rounds. Data stand in enough copies
 * that they come from memory, except where one copy is all there is (rows of few hundred tokens). Threading: one thread
 * calls; the pool does the work. */
#ifndef HN_KERNEL_RATES_H
#define HN_KERNEL_RATES_H

#include "kernel/machine.h"

/* Sizes of a model: channels, feed-forward, vocabulary, heads, kv heads, head size. */
typedef struct hn_rates_shape {
    int C, F, V, n_heads, n_kv_heads, head_size;
} hn_rates_shape;

extern const hn_rates_shape hn_rates_smollm2; /* SmolLM2-135M */

enum { HN_RATES_FORMATS_MAX = 16 };

typedef struct hn_rates_options {
    const hn_kernels *kernels;
    hn_pool *pool;
    hn_rates_shape shape;
    hn_dtype formats[HN_RATES_FORMATS_MAX]; /* weight formats; F32 uses the f32 peak as its limit */
    int n_formats;
    double seconds; /* for each figure, about */
} hn_rates_options;

typedef struct hn_rate {
    const char *kernel;  /* "matmul", "attention", "rmsnorm", "rope", "swiglu", "add", "kv_store", "logsumexp",
                           "dequantize" */
    const char *part;    /* matmul: "q", "k", "gate", "down", "logits"; else "" */
    const char *format;  /* of weights or of the cache; "f32" else */
    int rows, first;     /* rows in the call; attention: positions before them */
    int n_out, n_in;     /* matmul: N and K; else values of a row, and 0 */
    double seconds;      /* one call */
    double flops, bytes; /* of one call; flops 0: bound by memory alone */
    double limit_share;  /* the limit's time divided by `seconds` */
} hn_rate;

/* The machine's limits for the table's products, and for products in f32 (the same where the table has no others). */
typedef struct hn_rates_machine {
    hn_machine best, f32;
} hn_rates_machine;

typedef hn_status hn_rate_fn(void *user, const hn_rate *rate, hn_error *err);

/* Measures the machine into *machine (0.6 s), then calls `fn` for each figure; stops at the first error of `fn`. */
hn_status hn_rates_measure(const hn_rates_options *o, hn_rates_machine *machine, hn_rate_fn *fn, void *user,
                           hn_error *err) HN_MUST_CHECK;
/* How many figures hn_rates_measure will give. */
int hn_rates_count(const hn_rates_options *o);

#endif
