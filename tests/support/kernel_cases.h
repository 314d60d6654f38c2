/* Shared by the kernel tests: seeded numbers, buffers with NaN around them, random weights in every number format.
 *
 *     guarded g = guarded_create(n);                       // g.data: n floats, NaN before and after
 *     guarded_check(&g);                                   // nothing was written outside
 *     guarded_free(&g);
 *
 * Threading: one thread. */
#ifndef HN_TESTS_KERNEL_CASES_H
#define HN_TESTS_KERNEL_CASES_H

#include "base/dtype.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct guarded {
    float *all, *data;
    size_t n;
} guarded;

/* `data` is set to NaN as well. */
guarded guarded_create(size_t n);
void guarded_check(const guarded *g);
void guarded_free(guarded *g);

/* Uniform in -1 .. 1 from a linear congruential generator. */
float random_float(uint32_t *state);
void random_fill(float *x, size_t n, uint32_t seed);
/* n_blocks blocks of `dtype` with every bit pattern in the quants and scales that are ordinary numbers. */
void random_blocks(unsigned char *bytes, size_t n_blocks, hn_dtype dtype, uint32_t seed);
/* A heap buffer of exactly the bytes that N rows of K values need, filled as above; hn_free. */
unsigned char *random_weights(hn_dtype dtype, size_t N, size_t K, uint32_t seed);

bool bits_equal(const float *a, const float *b, size_t n);
/* Group setup and teardown: *state is a pool of two threads. */
int start_pool(void **state);
int stop_pool(void **state);
/* Rounded to bf16 and back. */
float as_bf16(float x);

#endif
