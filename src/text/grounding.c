/* Support of an answer by its context; see grounding.h. */
#include "text/grounding.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "text/bag.h"
#include "text/wordlist.h"

#include <math.h>
#include <string.h>

static uint64_t gram_hash(const uint64_t *words, size_t n) { return hn_hash64(words, n * sizeof *words, n); }

/* The different n-grams of all contexts. */
static hn_status take_contexts(const hn_str *contexts, size_t n_contexts, size_t n, hn_bag *out, hn_error *err) {
    hn_wordlist words = {0};
    uint64_t *grams = NULL;
    size_t n_grams = 0, capacity = 0;
    hn_status st = HN_OK;
    for (size_t c = 0; c < n_contexts; c++) {
        HN_GOTO(hn_wordlist_plain(&words, contexts[c], err), done);
        if (!hn_grow((void **)&grams, &capacity, n_grams + words.n + 1, sizeof *grams)) {
            st = hn_fail_memory(err, (n_grams + words.n) * sizeof *grams);
            goto done;
        }
        for (size_t i = 0; i + n <= words.n; i++) grams[n_grams++] = gram_hash(words.hashes + i, n);
    }
    HN_GOTO(hn_bag_fill(out, grams, n_grams, err), done);
    hn_bag_to_set(out);
done:
    hn_free(grams);
    hn_wordlist_free(&words);
    return st;
}

static bool has(const hn_bag *set, uint64_t value) {
    size_t low = 0, high = set->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set->items[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low < set->n && set->items[low] == value;
}

static void measure(hn_str answer, const hn_wordlist *words, const hn_bag *set, size_t n, hn_grounding *out) {
    size_t covered_to = 0, run = 0; /* words before covered_to lie in a supported n-gram */
    out->n_words = words->n;
    out->n_grams = words->n - n + 1;
    for (size_t i = 0; i < words->n; i++) {
        if (i + n <= words->n && has(set, gram_hash(words->hashes + i, n))) {
            out->n_supported++;
            covered_to = i + n;
        }
        run = i < covered_to ? 0 : run + 1;
        if (run <= out->span_words) continue;
        out->span_words = run;
        out->span_from = (size_t)(words->items[i + 1 - run].data - answer.data);
        out->span_to = (size_t)(words->items[i].data - answer.data) + words->items[i].len;
    }
    out->support = (double)out->n_supported / (double)out->n_grams;
}

hn_status hn_grounding_check(hn_str answer, const hn_str *contexts, size_t n_contexts, size_t n, hn_grounding *out,
                             hn_error *err) {
    memset(out, 0, sizeof *out);
    out->support = NAN;
    if (n == 0) return hn_fail(err, HN_ERR_USAGE, "n", "3 is usual", "n-grams need at least one word");
    hn_wordlist words = {0};
    hn_bag set = {0};
    hn_status st = hn_wordlist_plain(&words, answer, err);
    if (st == HN_OK && words.n > 0) {
        if (n > words.n) n = words.n;
        st = take_contexts(contexts, n_contexts, n, &set, err);
        if (st == HN_OK) measure(answer, &words, &set, n, out);
    }
    hn_wordlist_free(&words);
    hn_bag_free(&set);
    return st;
}
