/* Masks from counters; see dropout.h. */
#include "train/dropout.h"

#include <math.h>

enum { LANES = 4 }; /* 16 bits of one hash each */

/* splitmix64's finaliser (Steele, Lea and Flood 2014). */
static inline uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

static const uint64_t golden = 0x9E3779B97F4A7C15u;

uint64_t hn_dropout_key(uint64_t seed, uint64_t step, uint64_t example) {
    return mix(mix(mix(seed + golden) + step * golden) + example * golden);
}

bool hn_dropout_is_on(const hn_network *n) {
    return n->options.dropout > 0 && n->batch->dropout && !n->batch->base_only;
}

typedef struct mask_job {
    float *out;
    const float *x;
    size_t K;
    uint64_t linear;
    unsigned limit; /* of 65536: what falls below is dropped */
    float factor;
    bool adds;
} mask_job;

/* One row: `key` is the row's own. */
static void mask_row(const mask_job *j, float *out, const float *x, uint64_t key) {
    for (size_t c = 0; c < j->K; c += LANES) {
        uint64_t bits = mix(key + (c / LANES + 1) * golden);
        for (size_t k = c; k < c + LANES && k < j->K; k++, bits >>= 16) {
            float value = (bits & 0xFFFF) < j->limit ? 0 : x[k] * j->factor;
            out[k] = j->adds ? out[k] + value : value;
        }
    }
}

static void mask_rows(hn_network *n, void *arg, size_t from, size_t to) {
    const mask_job *j = arg;
    const hn_train_batch *b = n->batch;
    uint64_t key = 0;
    for (int s = -1, end = 0; from < to; from++) {
        int row = hn_network_batch_row(n, from);
        while (row >= end) {
            s++;
            end = b->starts[s] + hn_sequence_rows(b, s);
            key = mix(b->dropout[s] + (j->linear + 1) * golden);
        }
        uint64_t place = (uint64_t)(row - b->starts[s]) + 1;
        mask_row(j, j->out + from * j->K, j->x + from * j->K, mix(key + place * golden));
    }
}

static void mask_all(hn_network *n, const hn_linear *l, float *out, const float *x, bool adds) {
    double p = (double)n->options.dropout;
    mask_job job = {out, x, (size_t)l->w->columns, (uint64_t)l->index, (unsigned)lround(p * 65536), 0, adds};
    job.factor = (float)(65536.0 / (65536.0 - (double)job.limit));
    hn_network_rows(n, mask_rows, &job);
}

void hn_dropout_apply(hn_network *n, const hn_linear *l, float *out, const float *x) { mask_all(n, l, out, x, false); }

void hn_dropout_add(hn_network *n, const hn_linear *l, float *dx, const float *dout) { mask_all(n, l, dx, dout, true); }
