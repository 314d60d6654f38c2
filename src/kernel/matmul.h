/* Inside the kernels: what matmul.c asks of an instruction set for y (M,N) = x (M,K) W^T.
 *
 * The N outputs are cut into panels of `panel_columns`. A panel's weights can be packed (its K weights of each output
 * laid out as the inner loop reads them); HN_PACK_KEEP keeps all panels one after another, HN_PACK_LOW packs one panel
 * at a time into a thread's scratch. Threads divide the panels, never the sum over K, so each output is one chain of
 * additions in one order whatever M and the number of threads are.
 *
 *     const hn_matmul_ops *ops = k->matmul;
 *     size_t bytes = ops->panel_bytes(w->dtype, w->n_in);   // 0: this table reads the file's bytes as they are
 *
 * Threading: the functions are pure; matmul.c runs them on the pool. */
#ifndef HN_KERNEL_MATMUL_H
#define HN_KERNEL_MATMUL_H

#include "kernel/kernel.h"

/* One product, as one thread sees it. */
typedef struct hn_product {
    float *y;
    const float *x;
    int64_t y_stride, x_stride, M;
    const hn_matrix *w;
    const void *input; /* the rows as `convert` left them; NULL where input_bytes is 0 */
    void *scratch;     /* this thread's own: thread_bytes, aligned to 64 */
} hn_product;

struct hn_matmul_ops {
    int panel_columns;
    /* Bytes of one packed panel (a multiple of 64); 0: the table packs nothing. */
    size_t (*panel_bytes)(hn_dtype dtype, int64_t K);
    /* Packs outputs first .. first + panel_columns - 1; outputs past N are zeros. */
    void (*pack_panel)(void *panel, const hn_matrix *w, int64_t first);
    /* A shorter form of some panels, with the same bits in less memory; NULL: the table has none. Bytes of a panel (0:
     * not for this format), and packing, which returns how many of `short_blocks` blocks the form does not hold well. */
    size_t (*short_panel_bytes)(hn_dtype dtype, int64_t K);
    size_t (*short_blocks)(int64_t K);
    size_t (*pack_short_panel)(void *panel, const hn_matrix *w, int64_t first);
    /* Bytes of M rows of x in the form that `multiply` reads (a multiple of 64); 0: x itself. */
    size_t (*input_bytes)(hn_dtype dtype, int64_t K, int64_t M);
    /* Converts rows from .. to-1 into their places in `input`. */
    void (*convert)(void *input, const float *x, int64_t x_stride, hn_dtype dtype, int64_t K, int64_t from, int64_t to);
    size_t (*thread_bytes)(hn_dtype dtype, int64_t K, hn_pack mode);
    /* Writes the outputs of panels from .. to-1. */
    void (*multiply)(const hn_product *p, size_t panel_from, size_t panel_to);
};

typedef struct hn_matmul_ops hn_matmul_ops;

#endif
