/* What a tokenizer is made of; shared by the tokenizer_*.c files alone.
 *
 * A text goes: added tokens cut out (tokenizer_added.c) -> normalizer (tokenizer_normalize.c) -> words
 * (pretokenize.c) -> merges inside each word (tokenizer_bpe.c by rank of pairs, tokenizer_spm.c by score of the joined
 * piece) -> ids. Threading: tables are read-only once hn_tokenizer_finish has returned; an hn_work belongs to one thread. */
#ifndef HN_MODEL_TOKENIZER_PARTS_H
#define HN_MODEL_TOKENIZER_PARTS_H

#include "format/json.h"
#include "model/pretokenize.h"
#include "model/tokenizer.h"

#include <stdatomic.h>

enum { HN_TEXT_MAX = 1 << 30 }; /* bytes of one encode call */

/* --- texts of tokens: one block, and a table from text to id (tokenizer_vocab.c) --- */

typedef struct hn_vocab {
    char *bytes;
    uint32_t *offsets; /* (n + 1) */
    uint32_t n, max_len;
    uint64_t *slots; /* open addressing: hash in the high half, id + 1 in the low one */
    size_t mask;
} hn_vocab;

hn_status hn_vocab_create(hn_vocab *v, uint32_t n, size_t n_bytes, hn_error *err) HN_MUST_CHECK;
void hn_vocab_free(hn_vocab *v);
/* Where the text of the next token, `id`, is written: at bytes + offsets[id]; hn_vocab_end says how long it was. */
void hn_vocab_end(hn_vocab *v, uint32_t id, size_t len);
/* Makes the token findable; the first of several with one text wins. */
void hn_vocab_index(hn_vocab *v, uint32_t id);
int32_t hn_vocab_find(const hn_vocab *v, const char *text, size_t n); /* -1: none */
int32_t hn_vocab_find_hashed(const hn_vocab *v, const char *text, size_t n, uint32_t hash);
uint32_t hn_vocab_hash(const char *text, size_t n);

static inline hn_str hn_vocab_text(const hn_vocab *v, uint32_t id) {
    return (hn_str){v->bytes + v->offsets[id], v->offsets[id + 1] - v->offsets[id]};
}

/* --- merges: (left id, right id) -> (rank, joined id) (tokenizer_bpe.c) --- */

typedef struct hn_merge {
    uint64_t pair; /* left << 32 | right; HN_NO_PAIR: a free slot */
    uint32_t rank;
    int32_t id;
} hn_merge;

#define HN_NO_PAIR UINT64_MAX

typedef struct hn_merges {
    hn_merge *slots;
    size_t mask, n;
} hn_merges;

hn_status hn_merges_create(hn_merges *m, size_t n, hn_error *err) HN_MUST_CHECK;
void hn_merges_add(hn_merges *m, int32_t left, int32_t right, uint32_t rank,
                   int32_t id);                                                  /* the first of a pair stays */
const hn_merge *hn_merges_find(const hn_merges *m, int32_t left, int32_t right); /* NULL: no merge */

/* --- added tokens: texts that become one token before anything else (tokenizer_added.c) --- */

typedef struct hn_added {
    int32_t id;
    bool control; /* matched only with HN_TOKENIZE_SPECIAL */
    bool lstrip, rstrip, single_word;
} hn_added;

typedef struct hn_trie_node {
    uint32_t child, sibling; /* 0: none (node 0 is the root) */
    int32_t added;           /* index into `added`, or -1 */
    unsigned char byte;
} hn_trie_node;

typedef struct hn_added_set {
    hn_added *added;
    hn_trie_node *nodes;
    size_t n_added, added_capacity, n_nodes, node_capacity;
    uint32_t first[256]; /* the root's child for a byte, or 0 */
} hn_added_set;

typedef struct hn_added_match {
    const hn_added *added; /* NULL: none */
    size_t start, end;     /* white space that lstrip and rstrip take is inside */
} hn_added_match;

hn_status hn_added_put(hn_added_set *set, hn_str text, hn_added added, hn_error *err) HN_MUST_CHECK;
void hn_added_free(hn_added_set *set);
/* Where control tokens may be: everywhere, or inside single ranges of a text that starts at `offset` of the text the
 * ranges are for. */
typedef struct hn_trust {
    bool everywhere;
    const hn_text_range *ranges;
    size_t n, offset;
} hn_trust;

/* The leftmost, then longest match from `from` on. */
hn_added_match hn_added_next(const hn_added_set *set, const char *text, size_t n, size_t from, const hn_trust *trust);
int32_t hn_added_find(const hn_added_set *set, hn_str text, bool *control); /* exact; -1: none */

/* --- normalizer (tokenizer_normalize.c) --- */

typedef enum hn_normal_kind {
    HN_NORMAL_NFC,
    HN_NORMAL_NFD,
    HN_NORMAL_NFKC,
    HN_NORMAL_NFKD,
    HN_NORMAL_LOWER,
    HN_NORMAL_STRIP_ACCENTS,
    HN_NORMAL_STRIP,
    HN_NORMAL_PREPEND,
    HN_NORMAL_REPLACE
} hn_normal_kind;

typedef struct hn_normal {
    hn_normal_kind kind;
    bool left, right; /* strip */
    char *from, *to;  /* owned; prepend: to; replace: from (or regex), to */
    size_t from_len, to_len;
    hn_regex *regex; /* owned */
} hn_normal;

enum { HN_NORMALS_MAX = 16 };

typedef struct hn_normalizer {
    hn_normal steps[HN_NORMALS_MAX];
    size_t n_steps;
} hn_normalizer;

hn_status hn_normalizer_add(hn_normalizer *z, hn_normal step,
                            hn_error *err) HN_MUST_CHECK; /* takes what `step` owns, also on failure */
void hn_normalizer_free(hn_normalizer *z);
/* Into `out` (cleared first). */
hn_status hn_normalize(const hn_normalizer *z, const char *text, size_t n, hn_buf *out, hn_error *err) HN_MUST_CHECK;

/* --- the tokenizer --- */

typedef enum hn_model_kind {
    HN_MODEL_BYTE_BPE, /* symbols are bytes */
    HN_MODEL_CHAR_BPE, /* symbols are characters; bytes as <0xNN> where a character is not in the vocabulary */
    HN_MODEL_SPM,      /* characters; the joined piece's score decides */
} hn_model_kind;

enum { HN_ENDS_MAX = 16 };

struct hn_tokenizer {
    hn_model_kind kind;
    hn_vocab match;  /* texts as merging sees them: raw bytes, or with U+2581 for spaces */
    hn_vocab pieces; /* texts as decoding gives them; shares `match` where they are the same */
    bool own_pieces;
    unsigned char *kinds; /* hn_token_kind of each id */
    float *scores;        /* SPM */
    hn_merges merges;
    int32_t bytes[256];  /* byte -> id, or -1 */
    atomic_uchar *whole; /* per id: 0 not tried, 1 its text merges into it, 2 it does not */
    bool whole_words, byte_fallback, fuse_unknown;
    bool words_at_spaces; /* no merge joins something and U+2581 after it: words can be cut there */
    hn_prefix prefix;     /* what SPM puts in front; for decoding, where a space may have to go */
    bool collapse_spaces;
    hn_added_set raw, normalized; /* matched before, and after the normalizer */
    hn_normalizer normalizer;
    hn_pretokenizer pretokenizer;
    bool alphabet; /* the steps leave text in the byte alphabet */
    int32_t bos, eos, unknown;
    bool adds_bos;
    int32_t starts[4]; /* what HN_TOKENIZE_BOS puts in front */
    size_t n_starts;
    int32_t ends[HN_ENDS_MAX];
    size_t n_ends;
    char description[96];
};

/* Scratch of one encode call. */
typedef struct hn_symbol {
    uint32_t start, len; /* in the word's text */
    int32_t id;
    uint32_t previous, next; /* indices; UINT32_MAX: none */
} hn_symbol;

typedef struct hn_candidate {
    uint64_t order; /* smaller first: rank or inverted score, then place */
    uint32_t left;  /* index of the left symbol */
    int32_t id;     /* of the joined token */
    uint32_t len;   /* of both symbols, to see whether the pair is still there */
} hn_candidate;

/* What a word of this call became, so that the next of its kind is a copy. */
typedef struct hn_cached {
    uint32_t first, n_ids; /* place in the call's ids */
    unsigned char len;     /* 0: free */
    char text[31];
} hn_cached;

typedef struct hn_work {
    const hn_tokenizer *t;
    hn_tokens *out;
    hn_error *err;
    hn_symbol *symbols;
    size_t n_symbols, symbol_capacity;
    hn_candidate *heap;
    size_t n_heap, heap_capacity;
    hn_cached *cache; /* NULL for short texts */
    size_t cache_mask;
    hn_words words;
    hn_buf text; /* normalized text */
    hn_buf raw;  /* a word out of the byte alphabet */
} hn_work;

/* No symbols, and room for n. */
hn_status hn_symbols_start(hn_work *w, size_t n) HN_MUST_CHECK;
static inline void hn_symbol_add(hn_work *w, size_t start, size_t len, int32_t id) {
    w->symbols[w->n_symbols++] = (hn_symbol){.start = (uint32_t)start, .len = (uint32_t)len, .id = id};
}
/* Merges w->symbols until nothing merges (tokenizer_merge.c). */
hn_status hn_merge_symbols(hn_work *w, const char *word) HN_MUST_CHECK;
/* A word's ids: known words at once (tokenizer_word.c), others by the next two. */
hn_status hn_tokenize_word(hn_work *w, const char *word, size_t n) HN_MUST_CHECK;
hn_status hn_bpe_word(hn_work *w, const char *word, size_t n) HN_MUST_CHECK; /* BYTE_BPE and CHAR_BPE */
hn_status hn_spm_word(hn_work *w, const char *word, size_t n) HN_MUST_CHECK;
/* -1: nothing, as the reference does where there is no unknown token either. */
hn_status hn_put_id(hn_work *w, int32_t id) HN_MUST_CHECK;
/* Cuts a text at the places that no merge crosses, and merges each word: for tokenizers without a pre-tokenizer. */
hn_status hn_word_by_word(hn_work *w, const char *text, size_t n) HN_MUST_CHECK;

/* Tables from a file (tokenizer_build.c); tokens in the order of ids, after kinds[id] is known. */
void hn_build_byte_token(hn_tokenizer *t, uint32_t id, hn_str text);
void hn_build_char_token(hn_tokenizer *t, uint32_t id, hn_str text,
                         bool unmark); /* unmark: U+2581 decodes to a space */
/* `text` has room for both; *last is the token that the merge before gave (-1 at first). */
void hn_build_merge(hn_tokenizer *t, hn_str left, hn_str right, uint32_t rank, char *text, int32_t *last);

/* Normalizer and pre-tokenizer of a tokenizer.json (tokenizer_json_steps.c); *byte_level: words are in GPT-2's byte
 * alphabet. */
hn_status hn_json_normalizer(const json_t *node, const char *where, hn_tokenizer *t, hn_error *err) HN_MUST_CHECK;
hn_status hn_json_pretokenizer(const json_t *node, const char *where, hn_tokenizer *t, bool *byte_level,
                               hn_error *err) HN_MUST_CHECK;

/* Called once everything is in place: first bytes, end tokens, whether words can be cut at spaces, the description. */
hn_status hn_tokenizer_finish(hn_tokenizer *t, const char *family, hn_error *err) HN_MUST_CHECK;
hn_tokenizer *hn_tokenizer_alloc(void);
void hn_tokenizer_add_end(hn_tokenizer *t, int32_t id); /* -1 and repeats are ignored */
int hn_byte_token(hn_str text);                         /* the byte of "<0xNN>", or -1 */

#endif
