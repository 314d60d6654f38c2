/* Tokenizers: text to token ids and back, exactly as the model's authors had it.
 *
 * Byte-level BPE (GPT-2's byte alphabet, with the pre-tokenizer named in the file) and SentencePiece-style BPE
 * (llama), from a
 * GGUF file's metadata or a Hugging Face tokenizer.json.
 *
 *     hn_tokenizer *t;
 *     HN_TRY(hn_tokenizer_from_gguf(gguf, &t, &err));
 *     hn_tokens ids = {0};
 *     HN_TRY(hn_tokenizer_encode(t, text, n, 0, &ids, &err));           // control tokens in `text` stay ordinary text
 *     hn_tokens_free(&ids); hn_tokenizer_free(t);
 *
 * Text from a user never becomes a control token unless HN_TOKENIZE_SPECIAL is asked for: neither by its text nor
 * through merges.
 * User-defined tokens (added tokens that are not special, such as "<think>" of some models) are ordinary vocabulary:
 * their texts
 * are always matched, as the models' own tokenizers do.
 * Ownership: a tokenizer owns its tables (it copies from the file). Threading: read-only after creation. */
#ifndef HN_MODEL_TOKENIZER_H
#define HN_MODEL_TOKENIZER_H

#include "base/buf.h"
#include "format/gguf.h"

typedef struct hn_tokenizer hn_tokenizer;

typedef struct hn_tokens {
    int32_t *ids; /* owned: hn_tokens_free */
    size_t n, capacity;
} hn_tokens;

/* Bytes [start, end) of a text. */
typedef struct hn_text_range {
    size_t start, end;
} hn_text_range;

typedef enum hn_token_kind {
    HN_TOKEN_NORMAL,
    HN_TOKEN_UNKNOWN,
    HN_TOKEN_CONTROL,
    HN_TOKEN_USER_DEFINED,
    HN_TOKEN_UNUSED,
    HN_TOKEN_BYTE
} hn_token_kind;

enum {
    HN_TOKENIZE_SPECIAL = 1, /* control tokens' texts become control tokens */
    HN_TOKENIZE_BOS = 2,     /* add what the file says is added at the start (nothing where it says nothing) */
};

/* HN_ERR_INPUT: a needed key is missing or wrong; HN_ERR_UNSUPPORTED: a tokenizer model or pre-tokenizer that is not
 * known. */
hn_status hn_tokenizer_from_gguf(const hn_gguf *gguf, hn_tokenizer **t, hn_error *err) HN_MUST_CHECK;
/* A Hugging Face tokenizer.json (bytes in memory; `name` stands for it in errors): BPE models. What is not supported is
 * HN_ERR_UNSUPPORTED naming it. */
hn_status hn_tokenizer_from_json(const char *json, size_t n, const char *name, hn_tokenizer **t,
                                 hn_error *err) HN_MUST_CHECK;
/* The tokenizer_config.json beside it: which tokens are BOS and EOS, and whether BOS is added. Before the tokenizer
 * is shared. */
hn_status hn_tokenizer_apply_config(hn_tokenizer *t, const char *json, size_t n, const char *name,
                                    hn_error *err) HN_MUST_CHECK;
void hn_tokenizer_free(hn_tokenizer *t);

/* Appends the ids of `n` bytes (any bytes, also invalid UTF-8; at most 1 GiB) to `out`; on failure `out` is as
 * before. */
hn_status hn_tokenizer_encode(const hn_tokenizer *t, const char *text, size_t n, unsigned flags, hn_tokens *out,
                              hn_error *err) HN_MUST_CHECK;
/* The same, with control tokens matched only where all bytes of their text lie in one of the ranges (in order, apart
 * from each other);
 * HN_TOKENIZE_SPECIAL is not looked at. For chat text, where the template's bytes are trusted and a message's are
 * not. */
hn_status hn_tokenizer_encode_trusted(const hn_tokenizer *t, const char *text, size_t n, const hn_text_range *trusted,
                                      size_t n_trusted, unsigned flags, hn_tokens *out, hn_error *err) HN_MUST_CHECK;
/* Appends the bytes of the ids. Control tokens give their text where `special`, else nothing. SentencePiece: the
 * space that
 * encoding puts in front of a text is taken away again where `strip_prefix`. HN_ERR_INPUT: an id outside the
 * vocabulary. */
hn_status hn_tokenizer_decode(const hn_tokenizer *t, const int32_t *ids, size_t n, bool special, bool strip_prefix,
                              hn_buf *out, hn_error *err) HN_MUST_CHECK;
/* Bytes of one token (may be part of a character); control tokens: their text. Points into the tokenizer. */
hn_str hn_tokenizer_piece(const hn_tokenizer *t, int32_t id);
hn_token_kind hn_tokenizer_kind(const hn_tokenizer *t, int32_t id);
/* The id of a control token by its text, or -1. */
int32_t hn_tokenizer_find_special(const hn_tokenizer *t, const char *text);

int32_t hn_tokenizer_vocab_size(const hn_tokenizer *t);
int32_t hn_tokenizer_bos(const hn_tokenizer *t); /* -1: none */
int32_t hn_tokenizer_eos(const hn_tokenizer *t);
/* Whether generation ends at `id`: eos, end of turn, and the other end tokens that the file or its texts name. */
bool hn_tokenizer_is_end(const hn_tokenizer *t, int32_t id);
bool hn_tokenizer_adds_bos(const hn_tokenizer *t);
/* Content hash of everything that decides ids (64 hex digits and a NUL). Computed at each call (a few milliseconds):
 * keep it. */
hn_status hn_tokenizer_hash(const hn_tokenizer *t, char hex[65], hn_error *err) HN_MUST_CHECK;
/* What a GGUF file calls the way the tokenizer splits a text (tokenizer.ggml.pre). HN_ERR_UNSUPPORTED: such files cannot
 * say this tokenizer; the error says why. */
hn_status hn_tokenizer_gguf_name(const hn_tokenizer *t, const char **name, hn_error *err) HN_MUST_CHECK;
const char *hn_tokenizer_describe(const hn_tokenizer *t); /* "byte-level BPE (smollm)" */

hn_status hn_tokens_push(hn_tokens *tokens, int32_t id) HN_MUST_CHECK;
hn_status hn_tokens_append(hn_tokens *tokens, const int32_t *ids, size_t n) HN_MUST_CHECK;
void hn_tokens_free(hn_tokens *tokens);

#endif
