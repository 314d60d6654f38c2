/* The KV cache's memory: blocks of HN_KV_BLOCK positions, counted by reference, from slabs that grow up to a limit.
 *
 *     hn_kv_pool pool;
 *     hn_kv_pool_init(&pool, block_bytes, max_bytes);
 *     int32_t b = hn_kv_pool_take(&pool);                  // -1: full, or memory is used up
 *     hn_kv_pool_hold(&pool, b); hn_kv_pool_release(&pool, b);
 *     hn_kv_pool_free(&pool);
 *
 * A block holds K and V of all layers: layer l's K at l * layer_bytes, its V half a layer_bytes on. A block's bytes
 * are not cleared when it is taken again. Ownership: the pool owns the slabs. Threading: one thread at a time. */
#ifndef HN_ENGINE_KV_POOL_H
#define HN_ENGINE_KV_POOL_H

#include <stddef.h>
#include <stdint.h>

typedef struct hn_kv_pool {
    size_t block_bytes, max_blocks, per_slab;
    unsigned char **slabs;
    size_t n_slabs, slabs_capacity;
    int32_t *references; /* (n_blocks) */
    int32_t *unused;     /* stack of block numbers */
    size_t n_blocks, n_unused;
} hn_kv_pool;

/* Allocates nothing yet. block_bytes > 0, a multiple of 64. */
void hn_kv_pool_init(hn_kv_pool *pool, size_t block_bytes, size_t max_bytes);
void hn_kv_pool_free(hn_kv_pool *pool);
/* A block with one reference, or -1. */
int32_t hn_kv_pool_take(hn_kv_pool *pool);
void hn_kv_pool_hold(hn_kv_pool *pool, int32_t block);
void hn_kv_pool_release(hn_kv_pool *pool, int32_t block);
/* Blocks that could still be taken within the limit. */
size_t hn_kv_pool_left(const hn_kv_pool *pool);
size_t hn_kv_pool_used(const hn_kv_pool *pool);

static inline unsigned char *hn_kv_pool_data(const hn_kv_pool *pool, int32_t block) {
    size_t b = (size_t)block;
    return pool->slabs[b / pool->per_slab] + b % pool->per_slab * pool->block_bytes;
}

#endif
