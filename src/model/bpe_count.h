/* Counting the words of texts, for the training of byte-level BPE.
 *
 *     hn_bpe_counter *counter;
 *     HN_TRY(hn_bpe_counter_create(HN_CUT_SMOLLM, &counter, &err));
 *     HN_TRY(hn_bpe_counter_add(counter, text, n, &err));                       // for each text
 *     HN_TRY(hn_bpe_train(hn_bpe_counter_words(counter), &options, &bpe, &err));
 *     hn_bpe_counter_free(counter);
 *
 * Ownership: the counter owns the words. Threading: one thread. */
#ifndef HN_MODEL_BPE_COUNT_H
#define HN_MODEL_BPE_COUNT_H

#include "model/bpe_train.h"

/* How texts are cut into words: as GPT-2 cuts them, or as SmolLM2 does: the same, and each digit by itself. */
typedef enum hn_word_cut { HN_CUT_SMOLLM, HN_CUT_GPT2 } hn_word_cut;
/* What hn_pretokenizer_named calls it: "smollm", "gpt-2". */
const char *hn_word_cut_name(hn_word_cut cut);

/* A word that is longer is counted in pieces of so many bytes: a megabyte without a space must not be walked at every merge. */
enum { HN_BPE_WORD_BYTES = 1024 };

typedef struct hn_bpe_counter hn_bpe_counter;

hn_status hn_bpe_counter_create(hn_word_cut cut, hn_bpe_counter **counter, hn_error *err) HN_MUST_CHECK;
/* Any bytes, at most 1 GiB. */
hn_status hn_bpe_counter_add(hn_bpe_counter *counter, const char *text, size_t n, hn_error *err) HN_MUST_CHECK;
const hn_bpe_words *hn_bpe_counter_words(const hn_bpe_counter *counter);
void hn_bpe_counter_free(hn_bpe_counter *counter);

#endif
