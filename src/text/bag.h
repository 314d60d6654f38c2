/* Bags: sorted lists of 64-bit hashes with repetition; how the text metrics count what two texts share.
 *
 *     hn_bag a = {0}, b = {0};
 *     HN_TRY(hn_bag_ngrams(&a, words.hashes, words.n, 2, err));           // all bigrams
 *     size_t shared = hn_bag_overlap(&a, &b);                             // sum of the smaller counts
 *     hn_bag_free(&a);
 *
 * Two different n-grams are taken for equal with probability 2^-64. Ownership: a bag owns its memory and reuses it.
 * Threading: one bag, one thread. */
#ifndef HN_TEXT_BAG_H
#define HN_TEXT_BAG_H

#include "base/status.h"

#include <stdint.h>

typedef struct hn_bag {
    uint64_t *items; /* n, not falling */
    size_t n;
    uint64_t *scratch;
    size_t items_capacity, scratch_capacity;
} hn_bag;

/* The n-grams of `length` >= 1 units each (hashes of words, or characters); fewer units: an empty bag. HN_ERR_MEMORY. */
hn_status hn_bag_ngrams(hn_bag *bag, const uint64_t *units, size_t n_units, size_t length, hn_error *err) HN_MUST_CHECK;
/* The values as they are, sorted. */
hn_status hn_bag_fill(hn_bag *bag, const uint64_t *values, size_t n, hn_error *err) HN_MUST_CHECK;
void hn_bag_to_set(hn_bag *bag); /* each value once */
size_t hn_bag_overlap(const hn_bag *a, const hn_bag *b);
/* a gets the larger of both counts of each value. HN_ERR_MEMORY. */
hn_status hn_bag_raise(hn_bag *a, const hn_bag *b, hn_error *err) HN_MUST_CHECK;
void hn_bag_free(hn_bag *bag);

/* Sorts n values with room for n more in `scratch`: radix sort, linear in n. */
void hn_bag_sort(uint64_t *values, size_t n, uint64_t *scratch);

#endif
