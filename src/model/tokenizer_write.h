/* Writes a trained byte-level BPE as the files other programs know: tokenizer.json and tokenizer_config.json.
 *
 *     hn_tokenizer_spec spec = {&bpe, specials, n_specials, HN_CUT_SMOLLM};
 *     HN_TRY(hn_tokenizer_write_json(&spec, &json, &err));          // ids: specials, then bytes, then merged tokens
 *     HN_TRY(hn_tokenizer_write_config(&spec, &config, &err));
 *     HN_TRY(hn_tokenizer_from_json(json.data, json.len, "new", &t, &err));
 *
 * Texts are cut into words as GPT-2 cuts them, or as SmolLM2 does: the same, and each digit by itself.
 * Ownership: buffers are the caller's. Threading: pure functions. */
#ifndef HN_MODEL_TOKENIZER_WRITE_H
#define HN_MODEL_TOKENIZER_WRITE_H

#include "base/buf.h"
#include "model/bpe_count.h"

typedef struct hn_tokenizer_spec {
    const hn_bpe *bpe;
    const char *const *specials; /* (n_specials) control tokens, in the order of their ids from 0 */
    size_t n_specials;
    hn_word_cut cut;
} hn_tokenizer_spec;

/* Whether the texts can be control tokens: not empty, UTF-8, at most 256 bytes, each once, and none that is one word of
 * ordinary text, which could be learned too. HN_ERR_USAGE. */
hn_status hn_tokenizer_check_specials(const char *const *specials, size_t n, hn_word_cut cut,
                                      hn_error *err) HN_MUST_CHECK;
/* Appends tokenizer.json. */
hn_status hn_tokenizer_write_json(const hn_tokenizer_spec *spec, hn_buf *out, hn_error *err) HN_MUST_CHECK;
/* Appends tokenizer_config.json: which specials begin, end and pad a text, and a chat template where <|im_start|> and
 * <|im_end|> are among them. */
hn_status hn_tokenizer_write_config(const hn_tokenizer_spec *spec, hn_buf *out, hn_error *err) HN_MUST_CHECK;

#endif
