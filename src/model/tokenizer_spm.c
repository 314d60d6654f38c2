/* SentencePiece-style BPE as llama has it: of all neighbours whose joined text is a token, the one with the highest
 * score is joined
 * first. Characters that end up as no token are written as their bytes, <0xNN>.
 * Spaces are U+2581 inside; merges never make a control token, whatever the text says. */
#include "model/tokenizer_parts.h"

#include "base/utf8.h"

#include <string.h>

static const char meta[] = "\xE2\x96\x81";

static hn_status put_symbol(hn_work *w, const char *word, const hn_symbol *s) {
    const hn_tokenizer *t = w->t;
    int32_t id = s->id >= 0 ? s->id : hn_vocab_find(&t->match, word + s->start, s->len);
    if (id >= 0) return hn_put_id(w, id);
    for (size_t i = 0; i < s->len; i++) {
        id = t->bytes[(unsigned char)word[s->start + i]];
        if (id < 0)
            return t->unknown < 0 ? HN_OK : hn_put_id(w, t->unknown); /* no bytes: one unknown for the character */
        HN_TRY(hn_put_id(w, id));
    }
    return HN_OK;
}

hn_status hn_spm_word(hn_work *w, const char *word, size_t n) {
    HN_TRY(hn_symbols_start(w, n));
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        size_t len = hn_utf8_decode(word + i, n - i, &cp);
        hn_symbol_add(w, i, len, -1);
        i += len;
    }
    HN_TRY(hn_merge_symbols(w, word));
    for (size_t i = 0; i < w->n_symbols; i++) HN_TRY(put_symbol(w, word, &w->symbols[i]));
    return HN_OK;
}

static bool is_meta(const char *text, size_t n, size_t at) {
    return text[at] == meta[0] && n - at >= 3 && text[at + 1] == meta[1] && text[at + 2] == meta[2];
}

hn_status hn_word_by_word(hn_work *w, const char *text, size_t n) {
    if (!w->t->words_at_spaces) return n ? hn_tokenize_word(w, text, n) : HN_OK;
    for (size_t start = 0; start < n;) {
        size_t end = start;
        while (end < n && is_meta(text, n, end)) end += 3;
        while (end < n && !is_meta(text, n, end)) end++;
        HN_TRY(hn_tokenize_word(w, text + start, end - start));
        start = end;
    }
    return HN_OK;
}
