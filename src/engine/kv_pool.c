/* The KV cache's blocks; see kv_pool.h. */
#include "engine/kv_pool.h"

#include "base/alloc.h"

enum { SLAB_BYTES = 8 << 20, ALIGN = 64 };

void hn_kv_pool_init(hn_kv_pool *pool, size_t block_bytes, size_t max_bytes) {
    *pool = (hn_kv_pool){
        .block_bytes = block_bytes, .max_blocks = max_bytes / block_bytes, .per_slab = SLAB_BYTES / block_bytes};
    if (pool->per_slab == 0) pool->per_slab = 1;
    if (pool->max_blocks > INT32_MAX) pool->max_blocks = INT32_MAX;
    if (pool->per_slab > pool->max_blocks && pool->max_blocks) pool->per_slab = pool->max_blocks;
}

void hn_kv_pool_free(hn_kv_pool *pool) {
    for (size_t i = 0; i < pool->n_slabs; i++) hn_free_aligned(pool->slabs[i], pool->per_slab * pool->block_bytes);
    hn_free(pool->slabs);
    hn_free(pool->references);
    hn_free(pool->unused);
    *pool = (hn_kv_pool){0};
}

static int add_slab(hn_kv_pool *pool) {
    size_t n = pool->per_slab, more = pool->n_blocks + n;
    if (pool->n_blocks >= pool->max_blocks) return 0;
    if (!hn_grow((void **)&pool->slabs, &pool->slabs_capacity, pool->n_slabs + 1, sizeof *pool->slabs)) return 0;
    int32_t *references = hn_realloc_array(pool->references, more, sizeof *references);
    if (references) pool->references = references;
    int32_t *unused = references ? hn_realloc_array(pool->unused, more, sizeof *unused) : NULL;
    if (unused) pool->unused = unused;
    unsigned char *slab = unused ? hn_alloc_aligned_unset(n * pool->block_bytes, ALIGN) : NULL;
    if (!slab) return 0;
    pool->slabs[pool->n_slabs++] = slab;
    if (more > pool->max_blocks) more = pool->max_blocks; /* the last slab may be used in part */
    for (size_t b = more; b-- > pool->n_blocks;) {
        pool->references[b] = 0;
        pool->unused[pool->n_unused++] = (int32_t)b;
    }
    pool->n_blocks = more;
    return 1;
}

int32_t hn_kv_pool_take(hn_kv_pool *pool) {
    if (pool->n_unused == 0 && !add_slab(pool)) return -1;
    int32_t block = pool->unused[--pool->n_unused];
    pool->references[block] = 1;
    return block;
}

void hn_kv_pool_hold(hn_kv_pool *pool, int32_t block) { pool->references[block]++; }

void hn_kv_pool_release(hn_kv_pool *pool, int32_t block) {
    if (--pool->references[block] == 0) pool->unused[pool->n_unused++] = block;
}

size_t hn_kv_pool_left(const hn_kv_pool *pool) { return pool->max_blocks - pool->n_blocks + pool->n_unused; }
size_t hn_kv_pool_used(const hn_kv_pool *pool) { return pool->n_blocks - pool->n_unused; }
