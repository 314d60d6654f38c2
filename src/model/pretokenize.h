/* Pre-tokenizers: where a text is cut into words before BPE merges inside each word.
 *
 * A pre-tokenizer is a list of steps, each applied to the words of the one before. The steps of the well-known
 * vocabularies are
 * one hand-written scanner (hn_scan) or a few regular expressions; a tokenizer.json may combine steps freely.
 *
 *     hn_pretokenizer p = {0};
 *     HN_TRY(hn_pretokenizer_named("smollm", &p, &traits, &err));
 *     hn_words words = {0};
 *     HN_TRY(hn_pretokenize(&p, text, n, true, &words, &err));
 *     for (size_t i = 0; i < words.n; i++) ... words.text + words.spans[i].start ... words.spans[i].end
 *     hn_words_free(&words); hn_pretokenizer_free(&p);
 *
 * Any bytes are text: a byte that is not UTF-8 counts as a symbol in scanners and matches nothing in regular
 * expressions.
 * Ownership: the caller's. Threading: a pre-tokenizer is read-only once made; hn_words belong to one thread. */
#ifndef HN_MODEL_PRETOKENIZE_H
#define HN_MODEL_PRETOKENIZE_H

#include "base/buf.h"
#include "base/regex.h"
#include "base/str.h"

/* The end of the word that starts at `at` < n; always after `at`. */
typedef size_t hn_scan(const char *text, size_t n, size_t at);

/* Scanners, by the family that has the pattern. */
hn_scan hn_scan_gpt2;   /* 's|'t|...| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
hn_scan hn_scan_smollm; /* each \p{N} alone, then gpt2 on what is between */
hn_scan
    hn_scan_llama3; /* (?i:'s|...)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
hn_scan hn_scan_qwen2;    /* llama3 with \p{N} */
hn_scan hn_scan_qwen35;   /* qwen2 with [\p{L}\p{M}] for letters */
hn_scan hn_scan_newlines; /* [^\n]+|\n+ */

/* What becomes of the matches of a split: dropped, words of their own, joined to a neighbour, or joined while they
 * touch. */
typedef enum hn_split {
    HN_SPLIT_REMOVED,
    HN_SPLIT_ISOLATED,
    HN_SPLIT_PREVIOUS,
    HN_SPLIT_NEXT,
    HN_SPLIT_CONTIGUOUS
} hn_split;

typedef enum hn_step_kind {
    HN_STEP_SCAN,
    HN_STEP_REGEX,        /* pattern, how, invert */
    HN_STEP_LITERAL,      /* text, how, invert */
    HN_STEP_DIGITS,       /* \p{N}: each alone, or runs (how = CONTIGUOUS) */
    HN_STEP_PUNCTUATION,  /* ASCII punctuation and \p{P}; how */
    HN_STEP_PREFIX_SPACE, /* a space in front of each word that has none */
    HN_STEP_ALPHABET,     /* bytes into GPT-2's byte alphabet */
    HN_STEP_METASPACE,    /* spaces into U+2581, one in front by `prefix`, cut before each where `cut` */
} hn_step_kind;

typedef enum hn_prefix { HN_PREFIX_NEVER, HN_PREFIX_FIRST, HN_PREFIX_ALWAYS } hn_prefix;

typedef struct hn_step {
    hn_step_kind kind;
    hn_split how;
    hn_prefix prefix;
    bool invert, cut;
    hn_scan *scan;
    hn_regex *regex; /* owned */
    char *text;      /* owned: a literal's text, or a pattern's source */
    size_t text_len;
} hn_step;

enum { HN_STEPS_MAX = 16 };

typedef struct hn_pretokenizer {
    hn_step steps[HN_STEPS_MAX];
    size_t n_steps;
} hn_pretokenizer;

typedef struct hn_span {
    uint32_t start, end;
} hn_span;

/* The words of one text. `text` is the given one, or `own` where a step changed it. */
typedef struct hn_words {
    const char *text;
    size_t text_len;
    hn_span *spans;
    size_t n, capacity;
    hn_span *spare; /* what the next step writes to */
    size_t spare_capacity, n_spare;
    hn_buf own;
    hn_regex_scratch *scratch;
} hn_words;

/* What llama.cpp-made files mean by a name beside the pattern. */
typedef struct hn_pretokenizer_traits {
    bool whole_words; /* a word that is a token is not merged ("ignore_merges") */
    bool adds_bos;    /* where the file does not say */

} hn_pretokenizer_traits;

/* By the name in a GGUF file (tokenizer.ggml.pre). An unknown name: HN_ERR_UNSUPPORTED with the known ones. */
hn_status hn_pretokenizer_named(hn_str name, hn_pretokenizer *p, hn_pretokenizer_traits *traits,
                                hn_error *err) HN_MUST_CHECK;
/* The reverse: a name whose pattern and treatment of whole words are these; NULL: none has them. */
const char *hn_pretokenizer_name(const hn_pretokenizer *p, bool whole_words);
/* Adds a step for a pattern: the scanner that does the same where there is one, else the compiled pattern. */
hn_status hn_pretokenizer_add_regex(hn_pretokenizer *p, hn_str pattern, hn_split how, bool invert,
                                    hn_error *err) HN_MUST_CHECK;
hn_status hn_pretokenizer_add_literal(hn_pretokenizer *p, hn_str text, hn_split how, bool invert,
                                      hn_error *err) HN_MUST_CHECK;
/* Any other step. */
hn_status hn_pretokenizer_add(hn_pretokenizer *p, hn_step step, hn_error *err) HN_MUST_CHECK;
void hn_pretokenizer_free(hn_pretokenizer *p);
/* The scanner, where it is the only step; else NULL. */
hn_scan *hn_pretokenizer_scanner(const hn_pretokenizer *p);

/* Cuts a text of less than 2^31 bytes; `first`: it stands at the start of what is tokenized. `words` may be reused. */
hn_status hn_pretokenize(const hn_pretokenizer *p, const char *text, size_t n, bool first, hn_words *words,
                         hn_error *err) HN_MUST_CHECK;
void hn_words_free(hn_words *words);

/* GPT-2's byte alphabet: each byte as one printable character. Decoding gives -1 for a character that is not in it. */
size_t hn_alphabet_encode(unsigned char byte, char out[4]);
int hn_alphabet_decode(uint32_t codepoint);

#endif
