/* MinHash: near-duplicates among many texts without comparing all pairs, for the data audit.
 *
 *     hn_near_duplicates d;
 *     HN_TRY(hn_minhash_find(texts, n, NULL, &d, err));    // 100,000 rows: seconds
 *     for (size_t i = 0; i < d.n_pairs; i++) use(d.pairs[i].a, d.pairs[i].b, d.pairs[i].similarity);
 *     hn_near_duplicates_free(&d);
 *
 * Two texts are as similar as the Jaccard coefficient of their sets of shingles (runs of 5 characters of the text in
 * lower case, white space as one space). A signature holds, for each of K bins that the shingles' hashes fall into, the
 * smallest hash there; empty bins borrow from others ("one permutation hashing" with optimal densification: Li, Owen and
 * Zhang 2012; Shrivastava 2017). The share of equal bins estimates the similarity without bias (Broder 1997), with
 * standard deviation near sqrt(s (1 - s) / K). Candidates share one band of rows (locality-sensitive hashing: Indyk and
 * Motwani 1998): with 32 bands of 4 rows a pair of similarity s is met with probability 1 - (1 - s^4)^32: 0.8 surely,
 * 0.5 at 87 %. Every pair that is reported has been compared exactly.
 * Ownership: the arrays of the result belong to it. Threading: pure functions; the result depends on the seed alone. */
#ifndef HN_TEXT_MINHASH_H
#define HN_TEXT_MINHASH_H

#include "base/status.h"
#include "base/str.h"
#include "text/bag.h"

enum { HN_MINHASH_BINS_MAX = 1024, HN_MINHASH_ROWS_MAX = 1 << 24 };

typedef struct hn_minhash_options {
    size_t shingle;           /* characters, or words; 0: 5 (words: 3). A shorter text is one shingle */
    bool words;               /* shingles of words (runs of letters and numbers) */
    bool as_is;               /* do not fold case and white space (characters only) */
    uint32_t n_bands, n_rows; /* 0: 32 and 4 (where both are 0) */
    double threshold;         /* of the similarity that is reported; 0: 0.8 */
    uint64_t seed;
} hn_minhash_options;

/* `signature`: (n_bands * n_rows) values. *empty: the text has no shingle (nothing but white space), and no signature.
 * `options` NULL: the defaults. Errors: HN_ERR_USAGE for more than 1,024 values, HN_ERR_LIMIT for a text past 16 MiB,
 * HN_ERR_MEMORY. */
hn_status hn_minhash_signature(hn_str text, const hn_minhash_options *options, uint32_t *signature, bool *empty,
                               hn_error *err) HN_MUST_CHECK;
double hn_minhash_similarity(const uint32_t *a, const uint32_t *b, size_t n); /* the share of equal values */

/* The set of a text's shingles as sorted hashes, for comparing some texts exactly: shared / (a.n + b.n - shared), with hn_bag_overlap. */
hn_status hn_minhash_shingles(hn_str text, const hn_minhash_options *options, hn_bag *set, hn_error *err) HN_MUST_CHECK;

typedef struct hn_near_pair {
    uint32_t a, b;     /* rows, a < b */
    double similarity; /* exact, at least the threshold */
} hn_near_pair;

typedef struct hn_near_duplicates {
    hn_near_pair *pairs; /* enough of them to join every cluster, not all: n_pairs < n; sorted by a, then b */
    size_t n_pairs;
    uint32_t *cluster; /* (n): the first row of the cluster that the row is in: itself where it has no near-duplicate */
    size_t n;
} hn_near_duplicates;

/* Clusters are joined by single pairs, so their ends may be further apart than the threshold. In a bucket of many rows
 * that are not alike (template-like text) each is compared with 16 of them at most, so that hostile data cannot make
 * this slow; some pairs are then missed. Texts without shingles are nobody's duplicate. Memory: 512 bytes a row.
 * Errors: as above, HN_ERR_LIMIT past 16,777,216 rows. */
hn_status hn_minhash_find(const hn_str *texts, size_t n, const hn_minhash_options *options, hn_near_duplicates *out,
                          hn_error *err) HN_MUST_CHECK;
void hn_near_duplicates_free(hn_near_duplicates *duplicates);

#endif
