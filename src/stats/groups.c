/* Groups; see groups.h. */
#include "stats/groups.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

typedef struct keyed {
    uint32_t id, first; /* in the end: the group's first case */
    uint32_t index;
} keyed;

static int by_id(const void *a, const void *b) {
    const keyed *x = a, *y = b;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static int by_first(const void *a, const void *b) {
    const keyed *x = a, *y = b;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static void fill_singles(hn_groups *out) {
    for (size_t i = 0; i < out->n; i++) out->start[i] = out->cases[i] = (uint32_t)i;
    out->start[out->n] = (uint32_t)out->n;
    out->n_groups = out->n;
}

static void fill_from_keys(hn_groups *out, keyed *keys) {
    size_t n = out->n;
    qsort(keys, n, sizeof *keys, by_id);
    for (size_t i = 0; i < n; i++)
        keys[i].first = i > 0 && keys[i].id == keys[i - 1].id ? keys[i - 1].first : keys[i].index;
    qsort(keys, n, sizeof *keys, by_first);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || keys[i].first != keys[i - 1].first) out->start[out->n_groups++] = (uint32_t)i;
        out->cases[i] = keys[i].index;
    }
    out->start[out->n_groups] = (uint32_t)n;
}

hn_status hn_groups_build(const uint32_t *ids, size_t n, hn_groups *out, hn_error *err) {
    memset(out, 0, sizeof *out);
    if (n > INT32_MAX)
        return hn_fail(err, HN_ERR_LIMIT, NULL, "split the cases", "%zu cases, the limit is %d", n, INT32_MAX);
    out->n = n;
    out->start = hn_calloc(n + 1, sizeof *out->start);
    out->cases = hn_calloc(n, sizeof *out->cases);
    keyed *keys = ids ? hn_calloc(n, sizeof *keys) : NULL;
    if (!out->start || !out->cases || (ids && !keys)) {
        hn_free(keys);
        hn_groups_free(out);
        return hn_fail_memory(err, n * sizeof(keyed));
    }
    if (!ids) {
        fill_singles(out);
        return HN_OK;
    }
    for (size_t i = 0; i < n; i++) keys[i] = (keyed){.id = ids[i], .index = (uint32_t)i};
    fill_from_keys(out, keys);
    hn_free(keys);
    return HN_OK;
}

void hn_groups_free(hn_groups *groups) {
    hn_free(groups->start);
    hn_free(groups->cases);
    memset(groups, 0, sizeof *groups);
}
