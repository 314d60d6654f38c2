/* Putting tokens and merges into the tables, for GGUF and tokenizer.json alike: one pass, no allocation per token. */
#include "model/tokenizer_parts.h"

#include <string.h>

/* Text in the byte alphabet as bytes; text outside the alphabet stays as it is (and cannot come out of merges). */
static size_t alphabet_to_bytes(hn_str text, char *out, bool *in_alphabet) {
    size_t n = 0;
    *in_alphabet = true;
    for (size_t i = 0; i < text.len; n++) {
        unsigned char c = (unsigned char)text.data[i];
        bool two = (c & 0xE0) == 0xC0 && i + 1 < text.len && ((unsigned char)text.data[i + 1] & 0xC0) == 0x80;
        uint32_t cp = two ? (c & 0x1Fu) << 6 | ((unsigned char)text.data[i + 1] & 0x3Fu) : c;
        int byte = two || c < 0x80 ? hn_alphabet_decode(cp) : -1;
        if (byte < 0) {
            *in_alphabet = false;
            memcpy(out, text.data, text.len);
            return text.len;
        }
        out[n] = (char)byte;
        i += two ? 2 : 1;
    }
    return n;
}

static size_t unmark_spaces(hn_str text, char *out) {
    size_t n = 0;
    for (size_t i = 0; i < text.len; n++) {
        bool mark = text.len - i >= 3 && memcmp(text.data + i, "\xE2\x96\x81", 3) == 0;
        out[n] = mark ? ' ' : text.data[i];
        i += mark ? 3 : 1;
    }
    return n;
}

void hn_build_byte_token(hn_tokenizer *t, uint32_t id, hn_str text) {
    unsigned char kind = t->kinds[id];
    bool plain = kind == HN_TOKEN_NORMAL || kind == HN_TOKEN_BYTE, in_alphabet = false;
    char *to = t->match.bytes + t->match.offsets[id];
    size_t n = text.len;
    if (plain)
        n = alphabet_to_bytes(text, to, &in_alphabet);
    else if (n)
        memcpy(to, text.data, n);
    hn_vocab_end(&t->match, id, n);
    if (in_alphabet) hn_vocab_index(&t->match, id);
}

void hn_build_char_token(hn_tokenizer *t, uint32_t id, hn_str text, bool unmark) {
    unsigned char kind = t->kinds[id];
    char *to = t->pieces.bytes + t->pieces.offsets[id];
    int byte = kind == HN_TOKEN_BYTE ? hn_byte_token(text) : -1;
    size_t n = text.len;
    if (n) memcpy(t->match.bytes + t->match.offsets[id], text.data, n);
    hn_vocab_end(&t->match, id, n);
    if (kind == HN_TOKEN_NORMAL || kind == HN_TOKEN_USER_DEFINED) hn_vocab_index(&t->match, id);
    if (byte >= 0) {
        *to = (char)byte;
        n = 1;
        if (t->bytes[byte] < 0) t->bytes[byte] = (int32_t)id;
    } else if (kind == HN_TOKEN_NORMAL && unmark)
        n = unmark_spaces(text, to);
    else if (n)
        memcpy(to, text.data, n);
    hn_vocab_end(&t->pieces, id, n);
}

/* The token that `text` is; the guess, which is right for most vocabularies, saves a look-up. */
static int32_t find_joined(const hn_vocab *v, const char *text, size_t n, int32_t guess) {
    if (guess >= 0 && (uint32_t)guess < v->n) {
        hn_str other = hn_vocab_text(v, (uint32_t)guess);
        if (other.len == n && memcmp(other.data, text, n) == 0) return guess;
    }
    return hn_vocab_find(v, text, n);
}

void hn_build_merge(hn_tokenizer *t, hn_str left, hn_str right, uint32_t rank, char *text, int32_t *last) {
    size_t n_left = left.len, n_right = right.len;
    if (t->kind == HN_MODEL_BYTE_BPE) {
        bool unused;
        n_left = alphabet_to_bytes(left, text, &unused);
        n_right = alphabet_to_bytes(right, text + n_left, &unused);
    } else {
        memcpy(text, left.data, left.len);
        memcpy(text + left.len, right.data, right.len);
    }
    int32_t a = hn_vocab_find(&t->match, text, n_left), b = hn_vocab_find(&t->match, text + n_left, n_right);
    int32_t joined = find_joined(&t->match, text, n_left + n_right, *last + 1);
    /* A merge of or into something that is no token never happens: its symbols never stand side by side. */
    if (a < 0 || b < 0 || joined < 0) return;
    hn_merges_add(&t->merges, a, b, rank, joined);
    *last = joined;
}
