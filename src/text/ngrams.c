/* N-grams of a text; see ngrams.h and the definition of the two kinds in tfidf.h. */
#include "text/ngrams.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/utf8.h"

#include <string.h>

enum { TEXT_MAX = 16 << 20, WORD_SEED = 1, CHAR_SEED = 0 };

/* Lower-cased letters with a space before, between and after the words. */
static hn_status take_letters(hn_ngrams *g, hn_str text, hn_error *err) {
    if (text.len > TEXT_MAX)
        return hn_fail(err, HN_ERR_LIMIT, NULL, "shorten the text", "a text has %zu bytes, the limit is %d", text.len,
                       TEXT_MAX);
    if (!hn_grow((void **)&g->letters, &g->letters_capacity, text.len + 2, sizeof *g->letters))
        return hn_fail_memory(err, (text.len + 2) * sizeof *g->letters);
    g->n_letters = 0;
    g->letters[g->n_letters++] = ' ';
    for (size_t i = 0; i < text.len;) {
        uint32_t cp;
        i += hn_utf8_decode(text.data + i, text.len - i, &cp);
        if (!hn_unicode_is_space(cp))
            g->letters[g->n_letters++] = hn_unicode_lower(cp);
        else if (g->letters[g->n_letters - 1] != ' ')
            g->letters[g->n_letters++] = ' ';
    }
    if (g->letters[g->n_letters - 1] != ' ') g->letters[g->n_letters++] = ' ';
    return HN_OK;
}

static bool in_word(uint32_t cp) {
    if (cp < 128) return (cp >= 'a' && cp <= 'z') || (cp >= '0' && cp <= '9') || cp == '_';
    return hn_unicode_is_letter(cp) || hn_unicode_is_mark(cp) || hn_unicode_is_number(cp);
}

static hn_status add(hn_ngrams *g, uint64_t hash, hn_error *err) {
    if (!hn_grow((void **)&g->hashes, &g->capacity, g->n + 1, sizeof *g->hashes))
        return hn_fail_memory(err, g->n * sizeof *g->hashes);
    g->hashes[g->n++] = hash;
    return HN_OK;
}

static hn_status add_words(hn_ngrams *g, const hn_tfidf_options *o, hn_error *err) {
    size_t n_words = 0;
    for (size_t i = 0, end; i < g->n_letters; i = end + 1) {
        for (end = i; end < g->n_letters && in_word(g->letters[end]);) end++;
        if (end - i < 2) continue;
        if (!hn_grow((void **)&g->words, &g->words_capacity, n_words + 1, sizeof *g->words))
            return hn_fail_memory(err, n_words * sizeof *g->words);
        g->words[n_words++] = hn_hash64(g->letters + i, (end - i) * sizeof *g->letters, WORD_SEED);
    }
    for (size_t length = o->word_min; length <= o->word_max; length++)
        for (size_t i = 0; i + length <= n_words; i++)
            HN_TRY(add(g, hn_hash64(g->words + i, length * sizeof *g->words, WORD_SEED), err));
    return HN_OK;
}

/* The n-grams of letters[from .. to), a word with its two spaces. */
static hn_status add_chars_of_word(hn_ngrams *g, size_t from, size_t to, const hn_tfidf_options *o, hn_error *err) {
    for (size_t length = o->char_min; length <= o->char_max; length++) {
        if (length >= to - from) /* the whole word, once: longer n-grams would only repeat it */
            return add(g, hn_hash64(g->letters + from, (to - from) * sizeof *g->letters, CHAR_SEED), err);
        for (size_t i = from; i + length <= to; i++)
            HN_TRY(add(g, hn_hash64(g->letters + i, length * sizeof *g->letters, CHAR_SEED), err));
    }
    return HN_OK;
}

static hn_status add_chars(hn_ngrams *g, const hn_tfidf_options *o, hn_error *err) {
    for (size_t space = 0, end; space + 1 < g->n_letters; space = end) {
        for (end = space + 1; g->letters[end] != ' ';) end++;
        HN_TRY(add_chars_of_word(g, space, end + 1, o, err));
    }
    return HN_OK;
}

hn_status hn_ngrams_take(hn_ngrams *g, hn_str text, const hn_tfidf_options *options, hn_error *err) {
    g->n = g->n_words = 0;
    HN_TRY(take_letters(g, text, err));
    if (options->word_max) HN_TRY(add_words(g, options, err));
    g->n_words = g->n;
    return options->char_max ? add_chars(g, options, err) : HN_OK;
}

void hn_ngrams_free(hn_ngrams *g) {
    hn_free(g->hashes);
    hn_free(g->letters);
    hn_free(g->words);
    memset(g, 0, sizeof *g);
}
