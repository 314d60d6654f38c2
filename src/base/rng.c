/* Random numbers; see rng.h. */
#include "base/rng.h"

static uint64_t splitmix(uint64_t *x) {
    uint64_t z = (*x += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static uint64_t rotate(uint64_t x, int k) { return x << k | x >> (64 - k); }

void hn_rng_seed(hn_rng *rng, uint64_t seed, uint64_t stream) {
    uint64_t other = stream ^ 0xD1B54A32D192ED03u, x = seed ^ splitmix(&other);
    for (int i = 0; i < 4; i++) rng->state[i] = splitmix(&x);
}

uint64_t hn_rng_next(hn_rng *rng) {
    uint64_t *s = rng->state, result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

double hn_rng_uniform(hn_rng *rng) { return (double)(hn_rng_next(rng) >> 11) * 0x1.0p-53; }

uint64_t hn_rng_below(hn_rng *rng, uint64_t n) {
    __uint128_t product = (__uint128_t)hn_rng_next(rng) * n;
    if ((uint64_t)product < n) {
        uint64_t threshold = -n % n;
        while ((uint64_t)product < threshold) product = (__uint128_t)hn_rng_next(rng) * n;
    }
    return (uint64_t)(product >> 64);
}

void hn_rng_shuffle_u32(hn_rng *rng, uint32_t *values, size_t n) {
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)hn_rng_below(rng, i);
        uint32_t kept = values[i - 1];
        values[i - 1] = values[j];
        values[j] = kept;
    }
}
