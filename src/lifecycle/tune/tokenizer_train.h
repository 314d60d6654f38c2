/* A tokenizer learned from a corpus: byte-level BPE on its words, measured on the texts that were held out.
 *
 *     hn_tokenizer_options o = {.n_vocab = 4096, .specials = specials, .n_specials = 3, .cut = HN_CUT_SMOLLM, .min_count = 2};
 *     hn_tokenizer_result r;
 *     HN_TRY(hn_tokenizer_train(corpus, &o, &r, &err));
 *     HN_TRY(hn_file_write_atomic("tokenizer.json", r.json.data, r.json.len, &err));
 *     hn_tokenizer_result_free(&r);
 *
 * What was written is read again by hone's own reader, and every held-out text must come back from its tokens byte for byte.
 * Ownership: the result owns its buffers. Threading: one thread. */
#ifndef HN_LIFECYCLE_TOKENIZER_TRAIN_H
#define HN_LIFECYCLE_TOKENIZER_TRAIN_H

#include "model/tokenizer_write.h"
#include "project/text_corpus.h"
#include "stats/interval.h"

typedef struct hn_tokenizer_options {
    uint32_t n_vocab; /* at most so many tokens, control tokens and the 256 bytes among them */
    const char *const *specials;
    size_t n_specials;
    hn_word_cut cut;
    int64_t min_count;
    void (*on_token)(void *user, uint32_t n, uint32_t of); /* may be NULL */
    void *user;
} hn_tokenizer_options;

typedef struct hn_tokenizer_result {
    hn_buf json, config; /* tokenizer.json, tokenizer_config.json */
    size_t n_vocab, n_merges, n_words;
    uint64_t n_bytes, n_tokens; /* of the texts learned from */
    hn_estimate
        bytes_per_token; /* on held-out texts, with the bootstrap's interval over them; NaN where there are none */
    uint64_t n_held_bytes, n_held_tokens;
    double seconds; /* of learning */
} hn_tokenizer_result;

/* HN_ERR_USAGE: sizes or control tokens that cannot be; HN_ERR_INPUT: no word; HN_ERR_INTERRUPTED. */
hn_status hn_tokenizer_train(const hn_text_corpus *corpus, const hn_tokenizer_options *options,
                             hn_tokenizer_result *result, hn_error *err) HN_MUST_CHECK;
void hn_tokenizer_result_free(hn_tokenizer_result *result);

#endif
