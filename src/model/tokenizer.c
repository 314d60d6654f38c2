/* Tokenizers: what all kinds have in common; see tokenizer.h, and tokenizer_parts.h for how the parts fit together. */
#include "model/tokenizer_parts.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <stdio.h>
#include <string.h>

static const char meta[] = "\xE2\x96\x81"; /* U+2581, which stands for a space in SentencePiece vocabularies */

enum { CACHE_FROM = 8192 }; /* bytes of text from which remembering words pays */

/* --- making and freeing --- */

hn_tokenizer *hn_tokenizer_alloc(void) {
    hn_tokenizer *t = hn_calloc(1, sizeof *t);
    if (!t) return NULL;
    t->bos = t->eos = t->unknown = -1;
    for (int i = 0; i < 256; i++) t->bytes[i] = -1;
    return t;
}

void hn_tokenizer_free(hn_tokenizer *t) {
    if (!t) return;
    hn_vocab_free(&t->match);
    if (t->own_pieces) hn_vocab_free(&t->pieces);
    hn_free(t->kinds);
    hn_free(t->scores);
    hn_free(t->merges.slots);
    hn_free((void *)t->whole);
    hn_added_free(&t->raw);
    hn_added_free(&t->normalized);
    hn_normalizer_free(&t->normalizer);
    hn_pretokenizer_free(&t->pretokenizer);
    hn_free(t);
}

int hn_byte_token(hn_str text) {
    if (text.len != 6 || memcmp(text.data, "<0x", 3) != 0 || text.data[5] != '>') return -1;
    int value = 0;
    for (int i = 3; i < 5; i++) {
        char c = text.data[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                           : -1;
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

void hn_tokenizer_add_end(hn_tokenizer *t, int32_t id) {
    if (id < 0 || hn_tokenizer_is_end(t, id) || t->n_ends == HN_ENDS_MAX) return;
    t->ends[t->n_ends++] = id;
}

/* Texts that end a turn or a document wherever they are control tokens. */
static const char *const end_texts[] = {
    "<|im_end|>",      "<|eot_id|>",
    "<|eom_id|>",      "<|end|>",
    "<|return|>",      "<|call|>",
    "<end_of_turn>",   "<|endoftext|>",
    "<|end_of_text|>", "</s>",
    "<eos>",           "<EOT>",
    "_<EOT>",          "[EOT]",
    "[EOS]",           "<end_of_utterance>",
    "<turn|>",         "<｜end▁of▁sentence｜>",
};

static void find_ends(hn_tokenizer *t) {
    hn_tokenizer_add_end(t, t->eos);
    /* Where <|return|> and <|call|> end a turn, <|end|> only ends a message. */
    bool messages = hn_tokenizer_find_special(t, "<|return|>") >= 0 && hn_tokenizer_find_special(t, "<|call|>") >= 0;
    for (size_t i = 0; i < sizeof end_texts / sizeof *end_texts; i++)
        if (!messages || strcmp(end_texts[i], "<|end|>") != 0)
            hn_tokenizer_add_end(t, hn_tokenizer_find_special(t, end_texts[i]));
}

/* Whether a token's text has U+2581 after something else, so that merges may cross a space. */
static bool crosses_space(hn_str text) {
    for (size_t i = 0; i + 3 <= text.len; i++)
        if (memcmp(text.data + i, meta, 3) == 0) {
            if (i > 0 && (i < 3 || memcmp(text.data + i - 3, meta, 3) != 0)) return true;
            i += 2;
        }
    return false;
}

static bool words_end_at_spaces(const hn_tokenizer *t) {
    for (uint32_t id = 0; id < t->match.n; id++) {
        bool merges =
            t->kinds[id] != HN_TOKEN_CONTROL && t->kinds[id] != HN_TOKEN_UNKNOWN && t->kinds[id] != HN_TOKEN_BYTE;
        if (merges && crosses_space(hn_vocab_text(&t->match, id))) return false;
    }
    return true;
}

hn_status hn_tokenizer_finish(hn_tokenizer *t, const char *family, hn_error *err) {
    if (!t->own_pieces) t->pieces = t->match;
    if (t->kind == HN_MODEL_BYTE_BPE)
        for (int i = 0; i < 256; i++) {
            char byte = (char)i;
            t->bytes[i] = hn_vocab_find(&t->match, &byte, 1);
        }
    else
        t->words_at_spaces = words_end_at_spaces(t);
    t->whole = hn_calloc(t->match.n, sizeof *t->whole);
    if (!t->whole) return hn_fail_memory(err, t->match.n);
    find_ends(t);
    static const char *const names[] = {"byte-level BPE", "character BPE", "SentencePiece BPE"};
    snprintf(t->description, sizeof t->description, "%s (%s)", names[t->kind], family);
    return HN_OK;
}

/* --- token lists --- */

hn_status hn_tokens_push(hn_tokens *tokens, int32_t id) { return hn_tokens_append(tokens, &id, 1); }

hn_status hn_tokens_append(hn_tokens *tokens, const int32_t *ids, size_t n) {
    size_t need;
    if (!hn_add_size(tokens->n, n, &need) || !hn_grow((void **)&tokens->ids, &tokens->capacity, need, sizeof *ids))
        return HN_ERR_MEMORY;
    if (n) memcpy(tokens->ids + tokens->n, ids, n * sizeof *ids);
    tokens->n = need;
    return HN_OK;
}

void hn_tokens_free(hn_tokens *tokens) {
    hn_free(tokens->ids);
    *tokens = (hn_tokens){0};
}

/* --- encoding --- */

static hn_status push(hn_work *w, int32_t id) {
    hn_status st = hn_tokens_push(w->out, id);
    return st == HN_OK ? st : hn_fail_memory(w->err, w->out->n * sizeof id);
}

static hn_status encode_word(hn_work *w, const char *word, size_t n) {
    return w->t->kind == HN_MODEL_BYTE_BPE ? hn_tokenize_word(w, word, n) : hn_word_by_word(w, word, n);
}

/* A word whose bytes are written in GPT-2's byte alphabet. */
static hn_status encode_alphabet_word(hn_work *w, const char *word, size_t n) {
    hn_buf_clear(&w->raw);
    for (size_t i = 0; i < n;) {
        unsigned char c = (unsigned char)word[i]; /* the steps wrote it: characters of one or two bytes */
        uint32_t cp = c < 0x80 || i + 1 == n ? c : (c & 0x1Fu) << 6 | ((unsigned char)word[i + 1] & 0x3Fu);
        hn_buf_append_char(&w->raw, (char)hn_alphabet_decode(cp));
        i += c < 0x80 ? 1 : 2;
    }
    HN_TRY(hn_buf_check(&w->raw, "a word", w->err));
    return encode_word(w, hn_buf_str(&w->raw), w->raw.len);
}

static hn_status encode_words(hn_work *w, const char *text, size_t n, bool first) {
    const hn_tokenizer *t = w->t;
    hn_scan *scan = hn_pretokenizer_scanner(&t->pretokenizer);
    if (t->pretokenizer.n_steps == 0) return encode_word(w, text, n);
    if (scan && t->kind == HN_MODEL_BYTE_BPE) {
        for (size_t at = 0, end; at < n; at = end) {
            end = scan(text, n, at);
            HN_TRY(hn_tokenize_word(w, text + at, end - at));
        }
        return HN_OK;
    }
    HN_TRY(hn_pretokenize(&t->pretokenizer, text, n, first, &w->words, w->err));
    for (size_t i = 0; i < w->words.n; i++) {
        hn_span s = w->words.spans[i];
        const char *word = w->words.text + s.start;
        HN_TRY(t->alphabet ? encode_alphabet_word(w, word, s.end - s.start) : encode_word(w, word, s.end - s.start));
    }
    return HN_OK;
}

/* Spaces into U+2581 with one in front, and runs of spaces into one where the file asks for it. */
static hn_status encode_spm(hn_work *w, const char *text, size_t n) {
    const hn_tokenizer *t = w->t;
    hn_buf_clear(&w->text);
    if (t->prefix != HN_PREFIX_NEVER) hn_buf_append(&w->text, meta, 3);
    for (size_t at = 0; at < n;) {
        const char *space = memchr(text + at, ' ', n - at);
        size_t end = space ? (size_t)(space - text) : n;
        hn_buf_append(&w->text, text + at, end - at);
        bool dropped = t->collapse_spaces && (end == 0 || text[end - 1] == ' ');
        if (space && !dropped) hn_buf_append(&w->text, meta, 3);
        at = end + 1;
    }
    if (t->collapse_spaces && n && text[n - 1] == ' ' && w->text.len >= 3) hn_buf_truncate(&w->text, w->text.len - 3);
    HN_TRY(hn_buf_check(&w->text, "the text with its spaces marked", w->err));
    return hn_word_by_word(w, hn_buf_str(&w->text), w->text.len);
}

/* Text between added tokens: normalized, cut at the added tokens that are looked for after that, and the rest into
 * words. */
static hn_status encode_text(hn_work *w, const char *text, size_t n, bool first, const hn_trust *trust) {
    const hn_tokenizer *t = w->t;
    hn_trust normalized = {.everywhere = trust->everywhere};
    if (n == 0) return HN_OK;
    if (t->kind == HN_MODEL_SPM) return encode_spm(w, text, n);
    if (t->normalizer.n_steps) {
        trust = &normalized; /* ranges of the text say nothing about the normalized one */
        HN_TRY(hn_normalize(&t->normalizer, text, n, &w->text, w->err));
        text = hn_buf_str(&w->text);
        n = w->text.len;
    }
    for (size_t at = 0; at < n;) {
        hn_added_match m = hn_added_next(&t->normalized, text, n, at, trust);
        size_t end = m.added ? m.start : n;
        if (end > at) HN_TRY(encode_words(w, text + at, end - at, first && at == 0));
        if (!m.added) break;
        HN_TRY(push(w, m.added->id));
        at = m.end;
    }
    return HN_OK;
}

static hn_status encode(hn_work *w, const char *text, size_t n, unsigned flags, const hn_trust *trust) {
    const hn_tokenizer *t = w->t;
    if (flags & HN_TOKENIZE_BOS)
        for (size_t i = 0; i < t->n_starts; i++) HN_TRY(push(w, t->starts[i]));
    for (size_t at = 0; at < n;) {
        hn_added_match m = hn_added_next(&t->raw, text, n, at, trust);
        hn_trust rest = *trust;
        rest.offset += at;
        HN_TRY(encode_text(w, text + at, (m.added ? m.start : n) - at, at == 0, &rest));
        if (!m.added) break;
        HN_TRY(push(w, m.added->id));
        at = m.end;
    }
    return HN_OK;
}

hn_status hn_tokenizer_encode(const hn_tokenizer *t, const char *text, size_t n, unsigned flags, hn_tokens *out,
                              hn_error *err) {
    hn_text_range all = {0, n};
    return hn_tokenizer_encode_trusted(t, text, n, &all, flags & HN_TOKENIZE_SPECIAL ? 1 : 0, flags, out, err);
}

hn_status hn_tokenizer_encode_trusted(const hn_tokenizer *t, const char *text, size_t n, const hn_text_range *trusted,
                                      size_t n_trusted, unsigned flags, hn_tokens *out, hn_error *err) {
    bool everywhere = n_trusted == 1 && trusted[0].start == 0 && trusted[0].end >= n;
    hn_trust trust = {.everywhere = everywhere, .ranges = trusted, .n = n_trusted};
    if (n > HN_TEXT_MAX)
        return hn_fail(err, HN_ERR_LIMIT, "text", "split the text", "it has %zu bytes, the limit is %d", n,
                       HN_TEXT_MAX);
    hn_work w = {.t = t, .out = out, .err = err};
    if (n >= CACHE_FROM) {
        w.cache_mask = n >= CACHE_FROM * 16 ? 16383 : 1023;
        w.cache = hn_calloc(w.cache_mask + 1, sizeof *w.cache);
        if (!w.cache) return hn_fail_memory(err, (w.cache_mask + 1) * sizeof *w.cache);
    }
    hn_buf_init(&w.text, (size_t)HN_TEXT_MAX * 3 + 16);
    hn_buf_init(&w.raw, HN_TEXT_MAX);
    size_t before = out->n;
    hn_status st = encode(&w, text ? text : "", n, flags, &trust);
    if (st != HN_OK) out->n = before;
    hn_words_free(&w.words);
    hn_buf_free(&w.text);
    hn_buf_free(&w.raw);
    hn_free(w.symbols);
    hn_free(w.heap);
    hn_free(w.cache);
    return st;
}

/* --- decoding --- */

hn_status hn_tokenizer_decode(const hn_tokenizer *t, const int32_t *ids, size_t n, bool special, bool strip_prefix,
                              hn_buf *out, hn_error *err) {
    bool strip = strip_prefix && t->prefix != HN_PREFIX_NEVER;
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || (uint32_t)ids[i] >= t->pieces.n)
            return hn_fail(err, HN_ERR_INPUT, "ids", NULL, "token %d is not in the vocabulary of %u", ids[i],
                           t->pieces.n);
        hn_str piece = hn_vocab_text(&t->pieces, (uint32_t)ids[i]);
        hn_token_kind kind = hn_tokenizer_kind(t, ids[i]);
        bool control = kind == HN_TOKEN_CONTROL || kind == HN_TOKEN_UNKNOWN;
        if (control && !special)
            piece.len = 0;
        else if (!control && kind != HN_TOKEN_USER_DEFINED && strip && piece.len && piece.data[0] == ' ') {
            piece.data++;
            piece.len--;
        }
        hn_buf_append(out, piece.data, piece.len);
        /* Encoding puts a space at the start, and (always) after each added token too; the unknown token stands for
         * text. */
        bool added = (control || kind == HN_TOKEN_USER_DEFINED) && ids[i] != t->unknown;
        if (added)
            strip = strip_prefix && (t->prefix == HN_PREFIX_ALWAYS || (strip && control && !special));
        else
            strip = false;
    }
    return hn_buf_check(out, "the decoded text", err);
}

static bool in_range(const hn_tokenizer *t, int32_t id) { return id >= 0 && (uint32_t)id < t->pieces.n; }

hn_str hn_tokenizer_piece(const hn_tokenizer *t, int32_t id) {
    return in_range(t, id) ? hn_vocab_text(&t->pieces, (uint32_t)id) : (hn_str){"", 0};
}

hn_token_kind hn_tokenizer_kind(const hn_tokenizer *t, int32_t id) {
    return in_range(t, id) ? (hn_token_kind)t->kinds[id] : HN_TOKEN_UNUSED;
}

/* --- what it is --- */

int32_t hn_tokenizer_find_special(const hn_tokenizer *t, const char *text) {
    bool control = false;
    int32_t id = hn_added_find(&t->raw, hn_str_of(text), &control);
    if (id < 0 || !control) id = hn_added_find(&t->normalized, hn_str_of(text), &control);
    return id >= 0 && control ? id : -1;
}

int32_t hn_tokenizer_vocab_size(const hn_tokenizer *t) { return (int32_t)t->pieces.n; }
int32_t hn_tokenizer_bos(const hn_tokenizer *t) { return t->bos; }
int32_t hn_tokenizer_eos(const hn_tokenizer *t) { return t->eos; }
bool hn_tokenizer_adds_bos(const hn_tokenizer *t) { return t->adds_bos; }
const char *hn_tokenizer_describe(const hn_tokenizer *t) { return t->description; }

bool hn_tokenizer_is_end(const hn_tokenizer *t, int32_t id) {
    for (size_t i = 0; i < t->n_ends; i++)
        if (t->ends[i] == id) return true;
    return false;
}

/* --- content hash --- */

static void hash_added(hn_sha256 *h, const hn_added_set *set) {
    hn_sha256_field_i64(h, (int64_t)set->n_added);
    for (size_t i = 0; i < set->n_added; i++) {
        const hn_added *a = &set->added[i];
        hn_sha256_field_i64(h,
                            (int64_t)a->id << 8 | a->control << 3 | a->lstrip << 2 | a->rstrip << 1 | a->single_word);
    }
}

static void hash_steps(hn_sha256 *h, const hn_tokenizer *t) {
    for (size_t i = 0; i < t->normalizer.n_steps; i++) {
        const hn_normal *s = &t->normalizer.steps[i];
        hn_sha256_field_i64(h, s->kind * 4 + s->left * 2 + s->right);
        hn_sha256_field(h, s->from, s->from_len);
        hn_sha256_field(h, s->to, s->to_len);
    }
    for (size_t i = 0; i < t->pretokenizer.n_steps; i++) {
        const hn_step *s = &t->pretokenizer.steps[i];
        static hn_scan *const scans[] = {hn_scan_gpt2,  hn_scan_smollm, hn_scan_llama3,
                                         hn_scan_qwen2, hn_scan_qwen35, hn_scan_newlines};
        int scan = 0;
        for (int k = 0; k < 6; k++)
            if (s->scan == scans[k]) scan = k + 1;
        hn_sha256_field_i64(h, (((s->kind * 8 + s->how) * 4 + s->prefix) * 4 + s->invert * 2 + s->cut) * 8 + scan);
        hn_sha256_field(h, s->text, s->text_len);
    }
}

/* Merges by rank: their place in the table says nothing. */
static hn_status hash_merges(hn_sha256 *h, const hn_merges *m, hn_error *err) {
    if (!m->n) return HN_OK;
    size_t n_ranks = 0;
    for (size_t i = 0; i <= m->mask; i++)
        if (m->slots[i].pair != HN_NO_PAIR && m->slots[i].rank >= n_ranks) n_ranks = (size_t)m->slots[i].rank + 1;
    uint64_t *pairs = hn_calloc(n_ranks, sizeof *pairs);
    if (!pairs) return hn_fail_memory(err, n_ranks * sizeof *pairs);
    for (size_t i = 0; i <= m->mask; i++)
        if (m->slots[i].pair != HN_NO_PAIR) pairs[m->slots[i].rank] = m->slots[i].pair;
    hn_sha256_field(h, pairs, n_ranks * sizeof *pairs);
    hn_free(pairs);
    return HN_OK;
}

hn_status hn_tokenizer_hash(const hn_tokenizer *t, char hex[65], hn_error *err) {
    hn_sha256 *h = hn_sha256_create();
    if (!h) return hn_fail_memory(err, 0);
    hn_sha256_field_str(h, t->description);
    hn_sha256_field_i64(h, t->whole_words * 64 + t->byte_fallback * 32 + t->fuse_unknown * 16 + t->prefix * 4 +
                               t->collapse_spaces * 2 + t->alphabet);
    hn_sha256_field(h, t->match.bytes, t->match.offsets[t->match.n]);
    hn_sha256_field(h, t->match.offsets, ((size_t)t->match.n + 1) * sizeof *t->match.offsets);
    hn_sha256_field(h, t->kinds, t->match.n);
    hn_sha256_field(h, t->scores, t->scores ? t->match.n * sizeof *t->scores : 0);
    hn_sha256_field(h, t->starts, t->n_starts * sizeof *t->starts);
    hn_sha256_field(h, t->ends, t->n_ends * sizeof *t->ends);
    hn_sha256_field_i64(h, t->unknown);
    hash_added(h, &t->raw);
    hash_added(h, &t->normalized);
    hash_steps(h, t);
    hn_status st = hash_merges(h, &t->merges, err);
    char unused[HN_SHA256_HEX];
    hn_sha256_finish(h, st == HN_OK ? hex : unused);
    return st;
}
