/* Random numbers that are the same everywhere: xoshiro256** seeded by splitmix64 (Blackman and Vigna, 2018).
 *
 *     hn_rng rng;
 *     hn_rng_seed(&rng, 7, 0);                             // seed, stream: two streams of one seed are independent
 *     size_t i = hn_rng_below(&rng, n);                    // unbiased
 *
 * Not for secrets. Threading: one generator, one thread. */
#ifndef HN_BASE_RNG_H
#define HN_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

typedef struct hn_rng {
    uint64_t state[4];
} hn_rng;

void hn_rng_seed(hn_rng *rng, uint64_t seed, uint64_t stream);
uint64_t hn_rng_next(hn_rng *rng);
double hn_rng_uniform(hn_rng *rng);             /* [0, 1), 53 bits */
uint64_t hn_rng_below(hn_rng *rng, uint64_t n); /* 0 .. n-1, unbiased (Lemire); n >= 1 */
void hn_rng_shuffle_u32(hn_rng *rng, uint32_t *values, size_t n);

#endif
