/* Attention straight from the cache's blocks, and writing into them; see kernel.h.
 *
 * One row and one head at a time, with an online softmax over blocks of 32 absolute positions: for each block the
 * largest score so far replaces the old one, and what was summed before is scaled by exp(old - new). A tree row reads
 * positions from `first` on through its path; the block arithmetic is the same, hence so are the bits. */
#include "kernel/kv_q8.h"
#include "kernel/ref/ref.h"

#include <math.h>
#include <string.h>

enum { BLOCK = HN_KV_BLOCK };

/* Number `at` of a head's part of a block (or tree row), whose scale is number `scale_at` behind its n_quants quants. */
static float load(const void *head, size_t at, size_t scale_at, size_t n_quants, hn_kv_type type) {
    if (type == HN_KV_F32) return ((const float *)head)[at];
    if (type == HN_KV_F16) return hn_f16_to_f32(((const uint16_t *)head)[at]);
    uint16_t scale;
    memcpy(&scale, (const char *)head + n_quants + 2 * scale_at, sizeof scale);
    return (float)((const int8_t *)head)[at] * hn_f16_to_f32(scale);
}

static void store(void *numbers, size_t i, float x, hn_kv_type type) {
    if (type == HN_KV_F32)
        ((float *)numbers)[i] = x;
    else
        ((uint16_t *)numbers)[i] = hn_f32_to_f16(x);
}

void hn_ref_kv_store(void *k_block, void *v_block, const float *k, const float *v, int slot, int n_kv_heads, int HS,
                     hn_kv_type type) {
    if (type == HN_KV_Q8_0) {
        hn_kv_q8_store(k_block, v_block, k, v, slot, n_kv_heads, HS);
        return;
    }
    for (int h = 0; h < n_kv_heads; h++) {
        for (int i = 0; i < HS; i++) {
            size_t from = (size_t)h * (size_t)HS + (size_t)i;
            store(k_block, from * BLOCK + (size_t)slot, k[from], type);
            store(v_block, ((size_t)h * BLOCK + (size_t)slot) * (size_t)HS + (size_t)i, v[from], type);
        }
    }
}

void hn_ref_kv_store_tail(void *tail, const float *x, int row, int n_kv_heads, int HS, hn_kv_type type) {
    size_t n = (size_t)n_kv_heads * (size_t)HS;
    if (type == HN_KV_Q8_0)
        hn_kv_q8_store_tail(tail, x, row, n_kv_heads, HS);
    else
        for (size_t i = 0; i < n; i++) store(tail, (size_t)row * n + i, x[i], type);
}

static const char *head_of(const void *memory, size_t head, const hn_attention_shape *s, size_t positions) {
    return (const char *)memory + head * positions * hn_kv_head_bytes(s->kv_type, s->head_size);
}

/* The keys (HS,32) and values (32,HS) of one kv head in block `b` as f32, for row `t` that sees `n_seen` positions. */
static void gather(float *k, float *v, const hn_attention_run *run, const hn_attention_shape *s, int t, int kv_head,
                   int b, int n_seen) {
    size_t HS = (size_t)s->head_size, KV = (size_t)s->n_kv_heads, head = (size_t)kv_head,
           groups = (size_t)hn_kv_groups(s->head_size);
    for (int slot = 0; slot < BLOCK && b * BLOCK + slot < n_seen; slot++) {
        int position = b * BLOCK + slot;
        size_t j = (size_t)slot;
        bool own = run->slots && position >= run->first;
        size_t row = own ? (size_t)run->slots[run->slot_start[t] + position - run->first] : 0;
        const char *keys =
            own ? head_of(run->tail_k, row * KV + head, s, 1) : head_of(run->k_blocks[b], head, s, BLOCK);
        const char *values =
            own ? head_of(run->tail_v, row * KV + head, s, 1) : head_of(run->v_blocks[b], head, s, BLOCK);
        for (size_t i = 0; i < HS; i++) {
            size_t g = i / HN_KV_GROUP;
            k[i * BLOCK + j] = own ? load(keys, i, g, HS, s->kv_type)
                                   : load(keys, i * BLOCK + j, g * BLOCK + j, HS * BLOCK, s->kv_type);
            v[j * HS + i] = own ? load(values, i, g, HS, s->kv_type)
                                : load(values, j * HS + i, j * groups + g, HS * BLOCK, s->kv_type);
        }
    }
}

/* The same without a copy where the block lies in the cache as f32. */
static void find_block(const float **k, const float **v, float *scratch, const hn_attention_run *run,
                       const hn_attention_shape *s, int t, int kv_head, int b, int n_seen) {
    size_t block_values = BLOCK * (size_t)s->head_size;
    bool in_cache = !run->slots || (b + 1) * BLOCK <= run->first;
    if (in_cache && s->kv_type == HN_KV_F32) {
        *k = (const float *)run->k_blocks[b] + (size_t)kv_head * block_values;
        *v = (const float *)run->v_blocks[b] + (size_t)kv_head * block_values;
        return;
    }
    gather(scratch, scratch + block_values, run, s, t, kv_head, b, n_seen);
    *k = scratch;
    *v = scratch + block_values;
}

/* out (HS) for one row and head. */
static void attend(float *out, const float *q, const hn_attention_run *run, const hn_attention_shape *s, int t,
                   int head, float *scratch) {
    int HS = s->head_size, kv_head = head / (s->n_heads / s->n_kv_heads);
    int n_seen = run->slots ? run->first + run->slot_start[t + 1] - run->slot_start[t] : run->first + t + 1;
    float largest = -INFINITY, sum = 0;
    memset(out, 0, (size_t)HS * sizeof *out);
    if (s->kv_type == HN_KV_Q8_0) {
        float *turned = scratch + 2 * BLOCK * (size_t)HS;
        memcpy(turned, q, (size_t)HS * sizeof *q);
        hn_kv_turn_query(turned, HS);
        q = turned;
    }
    for (int b = 0; b * BLOCK < n_seen; b++) {
        float score[BLOCK] = {0};
        int n = n_seen - b * BLOCK < BLOCK ? n_seen - b * BLOCK : BLOCK;
        const float *k, *v;
        find_block(&k, &v, scratch, run, s, t, kv_head, b, n_seen);
        for (int i = 0; i < HS; i++)
            for (int j = 0; j < n; j++) score[j] += q[i] * k[i * BLOCK + j];
        float old = largest;
        for (int j = 0; j < n; j++) {
            score[j] *= s->scale;
            if (score[j] > largest) largest = score[j];
        }
        float shrink = expf(old - largest);
        sum *= shrink;
        for (int i = 0; i < HS; i++) out[i] *= shrink;
        for (int j = 0; j < n; j++) {
            float p = expf(score[j] - largest);
            sum += p;
            for (int i = 0; i < HS; i++) out[i] += p * v[j * HS + i];
        }
    }
    for (int i = 0; i < HS; i++) out[i] /= sum;
    if (s->kv_type == HN_KV_Q8_0) hn_kv_turn_back(out, HS);
}

size_t hn_ref_attention_thread_bytes(const hn_attention_shape *shape) {
    return (2 * BLOCK + 1) * (size_t)shape->head_size * sizeof(float);
}

void hn_ref_attention(const hn_attention_run *runs, int n_runs, const hn_attention_shape *shape, void *scratch,
                      int thread, int n_threads) {
    size_t NH = (size_t)shape->n_heads, HS = (size_t)shape->head_size, item = 0;
    for (int r = 0; r < n_runs; r++) {
        const hn_attention_run *run = &runs[r];
        size_t q_stride = run->q_stride ? (size_t)run->q_stride : NH * HS,
               out_stride = run->out_stride ? (size_t)run->out_stride : NH * HS;
        for (int t = 0; t < run->n_rows; t++) {
            for (size_t h = 0; h < NH; h++) {
                if (item++ % (size_t)n_threads != (size_t)thread) continue;
                attend(run->out + (size_t)t * out_stride + h * HS, run->q + (size_t)t * q_stride + h * HS, run, shape,
                       t, (int)h, scratch);
            }
        }
    }
}
