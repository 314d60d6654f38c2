/* Training of byte-level BPE: from counted words to the list of merges.
 *
 * The rule: of all pairs of neighbours, the one with the highest count becomes a token; of equal counts the one with
 * the smaller left id, then the smaller right id. It is Hugging Face's rule, with the same order of ids (bytes in the
 * order of GPT-2's alphabet, then tokens as they are made), so the merges are the same ones.
 *
 *     hn_bpe_words words = {0};
 *     HN_TRY(hn_bpe_words_add(&words, " the", 4, 1, NULL, &err));              // for each word of the corpus
 *     hn_bpe bpe;
 *     HN_TRY(hn_bpe_train(&words, &(hn_bpe_options){.n_tokens = 4096, .min_count = 2}, &bpe, &err));
 *     hn_bpe_free(&bpe); hn_bpe_words_free(&words);
 *
 * Ownership: the caller's; both structs are plain values that start as zeros. Threading: one thread. */
#ifndef HN_MODEL_BPE_TRAIN_H
#define HN_MODEL_BPE_TRAIN_H

#include "base/status.h"
#include "base/str.h"

#include <stdint.h>

/* Longest token, in bytes: a line of a million dashes must not become tokens of a megabyte. */
enum { HN_BPE_TOKEN_BYTES_MAX = 256, HN_BPE_TOKENS_MAX = 1 << 20 };

typedef struct hn_bpe_word {
    size_t start; /* in bytes */
    uint32_t len, hash;
    int64_t count;
} hn_bpe_word;

/* Different texts with their counts, in the order in which they came. */
typedef struct hn_bpe_words {
    char *bytes;
    size_t n_bytes, bytes_capacity;
    hn_bpe_word *words;
    size_t n, capacity;
    uint32_t *slots; /* (n_slots) index + 1; 0: free */
    size_t n_slots;
} hn_bpe_words;

/* Adds `count` (0 is fine) to a text of any bytes; *index (may be NULL) is its place. HN_ERR_LIMIT past 2^31 texts or a
 * text of 2^31 bytes. */
hn_status hn_bpe_words_add(hn_bpe_words *words, const char *text, size_t n, int64_t count, uint32_t *index,
                           hn_error *err) HN_MUST_CHECK;
hn_str hn_bpe_words_text(const hn_bpe_words *words, size_t index);
void hn_bpe_words_free(hn_bpe_words *words);

typedef struct hn_bpe_options {
    uint32_t n_tokens; /* at most so many, the 256 bytes among them: 256 to HN_BPE_TOKENS_MAX */
    int64_t min_count; /* a pair that is rarer is not merged; at least 1 */
    void (*progress)(void *user, uint32_t n_tokens); /* may be NULL; after each merge */
    void *user;
} hn_bpe_options;

typedef struct hn_bpe_pair {
    uint32_t left, right; /* ids: indices into `tokens` */
} hn_bpe_pair;

typedef struct hn_bpe {
    hn_bpe_words tokens; /* the bytes of each token; counts: how often it stands in the encoded words */
    hn_bpe_pair *merges; /* (n_merges) first merged first; two may make the same token */
    size_t n_merges, merges_capacity;
    int64_t n_corpus_tokens, n_corpus_bytes; /* of all words, encoded */
} hn_bpe;

/* HN_ERR_INPUT: no words; HN_ERR_USAGE: options out of range; HN_ERR_INTERRUPTED. Fewer tokens than asked for is no
 * error: no pair was frequent enough. On failure `bpe` is empty. */
hn_status hn_bpe_train(const hn_bpe_words *words, const hn_bpe_options *options, hn_bpe *bpe,
                       hn_error *err) HN_MUST_CHECK;
void hn_bpe_free(hn_bpe *bpe);

/* The byte that is token `id` < 256. */
unsigned char hn_bpe_byte(uint32_t id);

#endif
