/* Memory: the only door to the heap, and arenas for things that live and die together.
 *
 * All allocation in hone goes through here, so that a test can make the n-th one fail and so that a huge request is a
 * status, never an abort. `hn_free(NULL)` is fine.
 *
 *     hn_case *cases = hn_calloc(n, sizeof *cases);       // NULL when memory is used up or n * size overflows
 *     hn_arena *arena = hn_arena_create(0);
 *     char *name = hn_arena_strdup(arena, "billing");     // freed with the arena
 *     hn_arena_free(arena);
 *
 * Threading: the heap functions are thread-safe; an arena belongs to one thread at a time. */
#ifndef HN_BASE_ALLOC_H
#define HN_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* As malloc, calloc (overflow-checked), realloc, strdup, strndup, free. NULL: memory is used up. */
void *hn_alloc(size_t size_bytes);
void *hn_calloc(size_t n, size_t size_bytes);
void *hn_realloc(void *memory, size_t size_bytes);
/* realloc to n * size_bytes, overflow-checked; on NULL the old block is still there. */
void *hn_realloc_array(void *memory, size_t n, size_t size_bytes);
char *hn_strdup(const char *text);
char *hn_strndup(const char *text, size_t n);
void hn_free(void *memory);

/* `size_bytes` of zeroed pages aligned to `align` (a power of two; 64 for kernels); blocks from 4 MiB on are mapped with huge pages where the
 * system grants them. Free with hn_free_aligned, with the same size. */
void *hn_alloc_aligned(size_t size_bytes, size_t align);
/* The same with any contents: pages that are never touched are never taken from the system. */
void *hn_alloc_aligned_unset(size_t size_bytes, size_t align);
void hn_free_aligned(void *memory, size_t size_bytes);

/* Grows an array for at least `need` elements: doubles *capacity. False when memory is used up (nothing changed). */
bool hn_grow(void **memory, size_t *capacity, size_t need, size_t size_bytes);

/* For tests: the n-th allocation from now on (1 = the next) and all after it fail, where `sticky`; only it, where not. 0 switches off.
 * hn_alloc_count says how many allocations were tried since the last call of hn_alloc_fail_at. */
void hn_alloc_fail_at(size_t n, bool sticky);
size_t hn_alloc_count(void);

/* a * b and a + b into *out; false on overflow. */
bool hn_mul_size(size_t a, size_t b, size_t *out);
bool hn_add_size(size_t a, size_t b, size_t *out);

typedef struct hn_arena hn_arena;

/* An arena grows in blocks of at least `block_bytes` (0: 64 KiB). NULL: memory is used up. */
hn_arena *hn_arena_create(size_t block_bytes);
/* Zeroed memory, aligned to 16. NULL: memory is used up. */
void *hn_arena_alloc(hn_arena *arena, size_t size_bytes);
void *hn_arena_calloc(hn_arena *arena, size_t n, size_t size_bytes);
char *hn_arena_strdup(hn_arena *arena, const char *text);
char *hn_arena_strndup(hn_arena *arena, const char *text, size_t n);
/* Bytes handed out so far. */
size_t hn_arena_used(const hn_arena *arena);
void hn_arena_free(hn_arena *arena);

#endif
