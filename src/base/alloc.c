/* Memory; see alloc.h. The only file that may call malloc and its kin (`make lint` checks it).
 * Surprise: libraries (jansson, SQLite, pcre2) keep their own allocators unless a test routes them here. */
#include "base/alloc.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static atomic_size_t fail_at, tried;
static atomic_bool fail_sticky;

static bool may_allocate(void) {
    size_t n = atomic_fetch_add_explicit(&tried, 1, memory_order_relaxed) + 1;
    size_t at = atomic_load_explicit(&fail_at, memory_order_relaxed);
    if (at == 0) return true;
    return atomic_load_explicit(&fail_sticky, memory_order_relaxed) ? n < at : n != at;
}

void hn_alloc_fail_at(size_t n, bool sticky) {
    atomic_store(&tried, 0);
    atomic_store(&fail_sticky, sticky);
    atomic_store(&fail_at, n);
}

size_t hn_alloc_count(void) { return atomic_load(&tried); }

bool hn_mul_size(size_t a, size_t b, size_t *out) { return !__builtin_mul_overflow(a, b, out); }
bool hn_add_size(size_t a, size_t b, size_t *out) { return !__builtin_add_overflow(a, b, out); }

void *hn_alloc(size_t size_bytes) {
    if (size_bytes > PTRDIFF_MAX || !may_allocate()) return NULL;
    return malloc(size_bytes ? size_bytes : 1);
}

void *hn_calloc(size_t n, size_t size_bytes) {
    size_t total;
    if (!hn_mul_size(n, size_bytes, &total) || total > PTRDIFF_MAX || !may_allocate()) return NULL;
    return calloc(1, total ? total : 1);
}

void *hn_realloc(void *memory, size_t size_bytes) {
    if (size_bytes > PTRDIFF_MAX || !may_allocate()) return NULL;
    return realloc(memory, size_bytes ? size_bytes : 1);
}

void *hn_realloc_array(void *memory, size_t n, size_t size_bytes) {
    size_t total;
    return hn_mul_size(n, size_bytes, &total) ? hn_realloc(memory, total) : NULL;
}

char *hn_strndup(const char *text, size_t n) {
    char *copy = n < PTRDIFF_MAX ? hn_alloc(n + 1) : NULL;
    if (!copy) return NULL;
    if (n) memcpy(copy, text, n);
    copy[n] = 0;
    return copy;
}

char *hn_strdup(const char *text) { return hn_strndup(text, strlen(text)); }
void hn_free(void *memory) { free(memory); }

enum { HUGE_FROM = 4 << 20, HUGE_PAGE = 2 << 20 };

static size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

/* Zeroed pages from the system, which fills them when they are first written: by whichever thread does so, a huge page
 * at a time. */
static void *map_pages(size_t total) {
    size_t room = total + HUGE_PAGE;
    char *all = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED) return NULL;
    size_t before = (HUGE_PAGE - (uintptr_t)all % HUGE_PAGE) % HUGE_PAGE, after = room - before - total;
    if (before) munmap(all, before);
    if (after) munmap(all + before + total, after);
    (void)madvise(all + before, total, MADV_HUGEPAGE); /* a hint: without it everything still works */
    return all + before;
}

static void *alloc_aligned(size_t size_bytes, size_t align, bool zeroed) {
    if (size_bytes > PTRDIFF_MAX / 2 || !may_allocate()) return NULL;
    if (size_bytes >= HUGE_FROM && align <= HUGE_PAGE) return map_pages(round_up(size_bytes, HUGE_PAGE));
    if (align < sizeof(void *)) align = sizeof(void *);
    void *memory = NULL;
    size_t total = round_up(size_bytes ? size_bytes : 1, align);
    if (posix_memalign(&memory, align, total) != 0) return NULL;
    if (zeroed) memset(memory, 0, total);
    return memory;
}

void *hn_alloc_aligned(size_t size_bytes, size_t align) { return alloc_aligned(size_bytes, align, true); }
void *hn_alloc_aligned_unset(size_t size_bytes, size_t align) { return alloc_aligned(size_bytes, align, false); }

void hn_free_aligned(void *memory, size_t size_bytes) {
    if (memory && size_bytes >= HUGE_FROM)
        munmap(memory, round_up(size_bytes, HUGE_PAGE));
    else
        free(memory);
}

bool hn_grow(void **memory, size_t *capacity, size_t need, size_t size_bytes) {
    if (need <= *capacity) return true;
    size_t wanted = *capacity ? *capacity : 8;
    while (wanted < need) {
        if (wanted > SIZE_MAX / 2) return false;
        wanted *= 2;
    }
    void *grown = hn_realloc_array(*memory, wanted, size_bytes);
    if (!grown) return false;
    *memory = grown;
    *capacity = wanted;
    return true;
}

typedef struct arena_block {
    struct arena_block *next;
    size_t used, size;
    _Alignas(16) unsigned char bytes[];
} arena_block;

struct hn_arena {
    arena_block *head;
    size_t block_bytes, used;
};

hn_arena *hn_arena_create(size_t block_bytes) {
    hn_arena *arena = hn_calloc(1, sizeof *arena);
    if (arena) arena->block_bytes = block_bytes ? block_bytes : 64 << 10;
    return arena;
}

void *hn_arena_alloc(hn_arena *arena, size_t size_bytes) {
    if (size_bytes > PTRDIFF_MAX / 2) return NULL;
    size_t need = round_up(size_bytes ? size_bytes : 1, 16);
    arena_block *block = arena->head;
    if (!block || block->size - block->used < need) {
        size_t size = need > arena->block_bytes ? need : arena->block_bytes;
        block = hn_calloc(1, sizeof *block + size);
        if (!block) return NULL;
        block->size = size;
        block->next = arena->head;
        arena->head = block;
    }
    void *memory = block->bytes + block->used;
    block->used += need;
    arena->used += need;
    return memory;
}

void *hn_arena_calloc(hn_arena *arena, size_t n, size_t size_bytes) {
    size_t total;
    return hn_mul_size(n, size_bytes, &total) ? hn_arena_alloc(arena, total) : NULL;
}

char *hn_arena_strndup(hn_arena *arena, const char *text, size_t n) {
    char *copy = n < PTRDIFF_MAX / 2 ? hn_arena_alloc(arena, n + 1) : NULL;
    if (copy && n) memcpy(copy, text, n);
    return copy; /* zeroed memory ends it */
}

char *hn_arena_strdup(hn_arena *arena, const char *text) { return hn_arena_strndup(arena, text, strlen(text)); }
size_t hn_arena_used(const hn_arena *arena) { return arena->used; }

void hn_arena_free(hn_arena *arena) {
    if (!arena) return;
    for (arena_block *block = arena->head, *next; block; block = next) {
        next = block->next;
        hn_free(block);
    }
    hn_free(arena);
}
