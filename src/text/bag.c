/* Bags of hashes; see bag.h. */
#include "text/bag.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <string.h>

static void sort_few(uint64_t *v, size_t n) {
    for (size_t i = 1; i < n; i++) {
        uint64_t x = v[i];
        size_t k = i;
        for (; k > 0 && v[k - 1] > x; k--) v[k] = v[k - 1];
        v[k] = x;
    }
}

void hn_bag_sort(uint64_t *values, size_t n, uint64_t *scratch) {
    if (n < 64) {
        sort_few(values, n);
        return;
    }
    uint64_t *from = values, *to = scratch;
    for (int shift = 0; shift < 64; shift += 8) {
        size_t start[257] = {0};
        for (size_t i = 0; i < n; i++) start[1 + (from[i] >> shift & 255)]++;
        if (start[1 + (from[0] >> shift & 255)] == n) continue; /* all alike in this byte */
        for (int d = 0; d < 256; d++) start[d + 1] += start[d];
        for (size_t i = 0; i < n; i++) to[start[from[i] >> shift & 255]++] = from[i];
        uint64_t *t = from;
        from = to;
        to = t;
    }
    if (from != values) memcpy(values, from, n * sizeof *values);
}

static hn_status reserve(hn_bag *bag, size_t n, hn_error *err) {
    if (!hn_grow((void **)&bag->items, &bag->items_capacity, n + 1, sizeof *bag->items) ||
        !hn_grow((void **)&bag->scratch, &bag->scratch_capacity, n + 1, sizeof *bag->scratch))
        return hn_fail_memory(err, n * sizeof *bag->items);
    return HN_OK;
}

hn_status hn_bag_ngrams(hn_bag *bag, const uint64_t *units, size_t n_units, size_t length, hn_error *err) {
    bag->n = 0;
    size_t n = n_units >= length ? n_units - length + 1 : 0;
    HN_TRY(reserve(bag, n, err));
    for (size_t i = 0; i < n; i++) bag->items[i] = hn_hash64(units + i, length * sizeof *units, length);
    bag->n = n;
    hn_bag_sort(bag->items, n, bag->scratch);
    return HN_OK;
}

hn_status hn_bag_fill(hn_bag *bag, const uint64_t *values, size_t n, hn_error *err) {
    bag->n = 0;
    HN_TRY(reserve(bag, n, err));
    if (n) memcpy(bag->items, values, n * sizeof *values);
    bag->n = n;
    hn_bag_sort(bag->items, n, bag->scratch);
    return HN_OK;
}

void hn_bag_to_set(hn_bag *bag) {
    size_t n = 0;
    for (size_t i = 0; i < bag->n; i++)
        if (n == 0 || bag->items[n - 1] != bag->items[i]) bag->items[n++] = bag->items[i];
    bag->n = n;
}

size_t hn_bag_overlap(const hn_bag *a, const hn_bag *b) {
    size_t i = 0, k = 0, shared = 0;
    while (i < a->n && k < b->n) {
        uint64_t x = a->items[i], y = b->items[k];
        shared += x == y;
        i += x <= y;
        k += y <= x;
    }
    return shared;
}

hn_status hn_bag_raise(hn_bag *a, const hn_bag *b, hn_error *err) {
    HN_TRY(reserve(a, a->n + b->n, err));
    size_t i = 0, k = 0, n = 0;
    while (i < a->n || k < b->n) {
        if (k == b->n || (i < a->n && a->items[i] < b->items[k])) {
            a->scratch[n++] = a->items[i++];
        } else if (i == a->n || b->items[k] < a->items[i]) {
            a->scratch[n++] = b->items[k++];
        } else { /* one from each: the longer run goes on alone */
            a->scratch[n++] = a->items[i++];
            k++;
        }
    }
    memcpy(a->items, a->scratch, n * sizeof *a->items);
    a->n = n;
    return HN_OK;
}

void hn_bag_free(hn_bag *bag) {
    hn_free(bag->items);
    hn_free(bag->scratch);
    memset(bag, 0, sizeof *bag);
}
