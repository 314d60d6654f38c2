/* MinHash and near-duplicate search; see minhash.h. */
#include "text/minhash.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/utf8.h"
#include "text/bag.h"
#include "text/wordlist.h"

#include <stdlib.h>
#include <string.h>

enum { LIKE_MAX = 16, EXACT_MAX = 8 }; /* rows of a bucket compared with; exact comparisons that a row may fail */

/* Buffers of one text's shingles, reused from text to text. */
typedef struct shingler {
    hn_minhash_options o;
    uint32_t *letters;
    size_t letters_capacity;
    hn_wordlist words;
    uint64_t *hashes;
    size_t n, hashes_capacity;
} shingler;

static void shingler_free(shingler *s) {
    hn_free(s->letters);
    hn_free(s->hashes);
    hn_wordlist_free(&s->words);
}

static hn_status settle(const hn_minhash_options *options, hn_minhash_options *o, hn_error *err) {
    *o = options ? *options : (hn_minhash_options){0};
    if (o->shingle == 0) o->shingle = o->words ? 3 : 5;
    if (o->n_bands == 0 && o->n_rows == 0) {
        o->n_bands = 32;
        o->n_rows = 4;
    }
    if (o->threshold == 0) o->threshold = 0.8;
    if (o->n_bands == 0 || o->n_rows == 0 || (uint64_t)o->n_bands * o->n_rows > HN_MINHASH_BINS_MAX)
        return hn_fail(err, HN_ERR_USAGE, "minhash", "32 bands of 4 rows are usual",
                       "%u bands of %u rows make a signature of 0 or more than %d values", o->n_bands, o->n_rows,
                       HN_MINHASH_BINS_MAX);
    return HN_OK;
}

/* Code points, folded unless as_is; returns their number. Room for text.len is there. */
static size_t take_letters(shingler *s, hn_str text) {
    size_t n = 0;
    bool gap = false;
    for (size_t i = 0, used; i < text.len; i += used) {
        uint32_t cp;
        bool valid = hn_utf8_decode_strict(text.data + i, text.len - i, &cp, &used);
        if (!valid) cp = 0x110000u + (unsigned char)text.data[i];
        if (!s->o.as_is && valid && hn_wordlist_is_gap(cp)) {
            gap = true;
            continue;
        }
        if (gap && n > 0) s->letters[n++] = ' ';
        gap = false;
        s->letters[n++] = valid && !s->o.as_is ? hn_unicode_lower(cp) : cp;
    }
    return n;
}

/* The hash of every shingle, with repetition. */
static hn_status take(shingler *s, hn_str text, hn_error *err) {
    s->n = 0;
    HN_TRY(hn_wordlist_check(text, err));
    const char *units;
    size_t n_units, unit_bytes;
    if (s->o.words) {
        HN_TRY(hn_wordlist_plain(&s->words, text, err));
        units = (const char *)s->words.hashes;
        n_units = s->words.n;
        unit_bytes = sizeof *s->words.hashes;
    } else {
        if (!hn_grow((void **)&s->letters, &s->letters_capacity, text.len + 1, sizeof *s->letters))
            return hn_fail_memory(err, text.len * sizeof *s->letters);
        units = (const char *)s->letters;
        n_units = take_letters(s, text);
        unit_bytes = sizeof *s->letters;
    }
    if (n_units == 0) return HN_OK;
    size_t length = n_units < s->o.shingle ? n_units : s->o.shingle, n = n_units - length + 1;
    if (!hn_grow((void **)&s->hashes, &s->hashes_capacity, n, sizeof *s->hashes))
        return hn_fail_memory(err, n * sizeof *s->hashes);
    for (size_t i = 0; i < n; i++) s->hashes[i] = hn_hash64(units + i * unit_bytes, length * unit_bytes, s->o.seed);
    s->n = n;
    return HN_OK;
}

/* One step of splitmix64: which bin an empty one asks next. */
static uint64_t mixed(uint64_t x) {
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

static void sign(const shingler *s, uint32_t *signature, bool *empty) {
    uint32_t n_bins = s->o.n_bands * s->o.n_rows;
    bool filled[HN_MINHASH_BINS_MAX] = {false};
    *empty = s->n == 0;
    for (size_t i = 0; i < s->n; i++) {
        uint32_t bin = (uint32_t)((s->hashes[i] >> 32) * n_bins >> 32), value = (uint32_t)s->hashes[i];
        if (!filled[bin] || value < signature[bin]) signature[bin] = value;
        filled[bin] = true;
    }
    if (*empty) memset(signature, 0, n_bins * sizeof *signature);
    for (uint32_t bin = 0; bin < n_bins && !*empty; bin++) {
        uint32_t from = bin;
        for (uint64_t ask = 0; !filled[from]; ask++)
            from = (uint32_t)((mixed(s->o.seed ^ (ask << 32 | (bin + 1))) >> 32) * n_bins >> 32);
        signature[bin] = signature[from];
    }
}

hn_status hn_minhash_signature(hn_str text, const hn_minhash_options *options, uint32_t *signature, bool *empty,
                               hn_error *err) {
    shingler s;
    memset(&s, 0, sizeof s);
    HN_TRY(settle(options, &s.o, err));
    hn_status st = take(&s, text, err);
    if (st == HN_OK) sign(&s, signature, empty);
    shingler_free(&s);
    return st;
}

hn_status hn_minhash_shingles(hn_str text, const hn_minhash_options *options, hn_bag *set, hn_error *err) {
    shingler s;
    memset(&s, 0, sizeof s);
    HN_TRY(settle(options, &s.o, err));
    hn_status st = take(&s, text, err);
    if (st == HN_OK) st = hn_bag_fill(set, s.hashes, s.n, err);
    if (st == HN_OK) hn_bag_to_set(set);
    shingler_free(&s);
    return st;
}

double hn_minhash_similarity(const uint32_t *a, const uint32_t *b, size_t n) {
    size_t equal = 0;
    for (size_t i = 0; i < n; i++) equal += a[i] == b[i];
    return n ? (double)equal / (double)n : 0;
}

typedef struct near_search {
    shingler s;
    const hn_str *texts;
    size_t n, n_bins;
    uint32_t *signatures;            /* (n, n_bins) */
    unsigned char *empty, *n_failed; /* (n) */
    uint64_t *keys, *scratch;        /* (n): a band's bucket in the upper bits, the row in the lower ones */
    int row_bits;
    hn_bag a, b;
    hn_near_duplicates *out;
} near_search;

static uint32_t root(uint32_t *cluster, uint32_t row) {
    while (cluster[row] != row) {
        cluster[row] = cluster[cluster[row]];
        row = cluster[row];
    }
    return row;
}

static hn_status exact(near_search *f, uint32_t a, uint32_t b, double *similarity, hn_error *err) {
    HN_TRY(take(&f->s, f->texts[a], err));
    HN_TRY(hn_bag_fill(&f->a, f->s.hashes, f->s.n, err));
    HN_TRY(take(&f->s, f->texts[b], err));
    HN_TRY(hn_bag_fill(&f->b, f->s.hashes, f->s.n, err));
    hn_bag_to_set(&f->a);
    hn_bag_to_set(&f->b);
    size_t shared = hn_bag_overlap(&f->a, &f->b);
    *similarity = (double)shared / (double)(f->a.n + f->b.n - shared);
    return HN_OK;
}

/* Joins the clusters of two rows, a < b, where they are alike. */
static hn_status compare(near_search *f, uint32_t a, uint32_t b, hn_error *err) {
    double estimate = hn_minhash_similarity(f->signatures + a * f->n_bins, f->signatures + b * f->n_bins, f->n_bins);
    if (estimate < f->s.o.threshold - 0.1 || f->n_failed[b] >= EXACT_MAX) return HN_OK;
    double similarity;
    HN_TRY(exact(f, a, b, &similarity, err));
    if (!(similarity >= f->s.o.threshold)) {
        f->n_failed[b]++;
        return HN_OK;
    }
    uint32_t first = root(f->out->cluster, a), second = root(f->out->cluster, b);
    f->out->cluster[first > second ? first : second] = first < second ? first : second;
    f->out->pairs[f->out->n_pairs++] = (hn_near_pair){a, b, similarity};
    return HN_OK;
}

/* The rows of one bucket, rising: each is compared with one row of every cluster met before in the bucket. */
static hn_status go_through(near_search *f, const uint64_t *keys, size_t n, hn_error *err) {
    uint32_t like[LIKE_MAX], *cluster = f->out->cluster;
    size_t n_like = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t row = (uint32_t)(keys[i] & (((uint64_t)1 << f->row_bits) - 1));
        bool met = false;
        for (size_t k = 0; k < n_like; k++) {
            if (root(cluster, row) != root(cluster, like[k])) HN_TRY(compare(f, like[k], row, err));
            met |= root(cluster, row) == root(cluster, like[k]);
        }
        if (!met && n_like < LIKE_MAX) like[n_like++] = row;
    }
    return HN_OK;
}

static hn_status search_band(near_search *f, uint32_t band, hn_error *err) {
    size_t n = 0, n_checked = 0, n_rows = f->s.o.n_rows;
    uint64_t row_mask = ((uint64_t)1 << f->row_bits) - 1;
    for (size_t i = 0; i < f->n; i++) {
        if (f->empty[i]) continue;
        const uint32_t *rows = f->signatures + i * f->n_bins + band * n_rows;
        f->keys[n++] = (hn_hash64(rows, n_rows * sizeof *rows, band) & ~row_mask) | i;
    }
    hn_bag_sort(f->keys, n, f->scratch);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && (f->keys[end] | row_mask) == (f->keys[i] | row_mask);) end++;
        if (n_checked++ % 64 == 0) HN_TRY(hn_interrupt_check(err));
        if (end - i > 1) HN_TRY(go_through(f, f->keys + i, end - i, err));
    }
    return HN_OK;
}

static hn_status make_room(near_search *f, hn_error *err) {
    size_t n_values;
    if (f->n > HN_MINHASH_ROWS_MAX)
        return hn_fail(err, HN_ERR_LIMIT, NULL, "search in parts", "%zu rows, the limit is %d", f->n,
                       HN_MINHASH_ROWS_MAX);
    if (!hn_mul_size(f->n + 1, f->n_bins, &n_values)) return hn_fail_memory(err, SIZE_MAX);
    f->signatures = hn_calloc(n_values, sizeof *f->signatures);
    f->empty = hn_calloc(f->n + 1, 1);
    f->n_failed = hn_calloc(f->n + 1, 1);
    f->keys = hn_calloc(f->n + 1, sizeof *f->keys);
    f->scratch = hn_calloc(f->n + 1, sizeof *f->scratch);
    f->out->cluster = hn_calloc(f->n + 1, sizeof *f->out->cluster);
    f->out->pairs = hn_calloc(f->n + 1, sizeof *f->out->pairs);
    if (!f->signatures || !f->empty || !f->n_failed || !f->keys || !f->scratch || !f->out->cluster || !f->out->pairs)
        return hn_fail_memory(err, n_values * sizeof *f->signatures);
    return HN_OK;
}

static int by_rows(const void *a, const void *b) {
    const hn_near_pair *x = a, *y = b;
    if (x->a != y->a) return x->a < y->a ? -1 : 1;
    return x->b < y->b ? -1 : x->b > y->b;
}

static hn_status run_search(near_search *f, hn_error *err) {
    HN_TRY(make_room(f, err));
    while ((size_t)1 << f->row_bits < f->n) f->row_bits++;
    for (size_t i = 0; i < f->n; i++) {
        bool empty;
        if (i % 512 == 0) HN_TRY(hn_interrupt_check(err));
        HN_TRY(take(&f->s, f->texts[i], err));
        sign(&f->s, f->signatures + i * f->n_bins, &empty);
        f->empty[i] = empty;
        f->out->cluster[i] = (uint32_t)i;
    }
    for (uint32_t band = 0; band < f->s.o.n_bands; band++) HN_TRY(search_band(f, band, err));
    for (size_t i = 0; i < f->n; i++) f->out->cluster[i] = root(f->out->cluster, (uint32_t)i);
    qsort(f->out->pairs, f->out->n_pairs, sizeof *f->out->pairs, by_rows);
    return HN_OK;
}

hn_status hn_minhash_find(const hn_str *texts, size_t n, const hn_minhash_options *options, hn_near_duplicates *out,
                          hn_error *err) {
    near_search f;
    memset(&f, 0, sizeof f);
    memset(out, 0, sizeof *out);
    HN_TRY(settle(options, &f.s.o, err));
    f.texts = texts;
    f.n = out->n = n;
    f.n_bins = (size_t)f.s.o.n_bands * f.s.o.n_rows;
    f.out = out;
    hn_status st = run_search(&f, err);
    if (st != HN_OK) hn_near_duplicates_free(out);
    hn_free(f.signatures);
    hn_free(f.empty);
    hn_free(f.n_failed);
    hn_free(f.keys);
    hn_free(f.scratch);
    hn_bag_free(&f.a);
    hn_bag_free(&f.b);
    shingler_free(&f.s);
    return st;
}

void hn_near_duplicates_free(hn_near_duplicates *duplicates) {
    hn_free(duplicates->pairs);
    hn_free(duplicates->cluster);
    memset(duplicates, 0, sizeof *duplicates);
}
