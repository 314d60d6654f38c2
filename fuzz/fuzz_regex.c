/* A pattern on the first line and a text after it: the pattern is read, or refused with its column. Where the whole text matches the
 * pattern it is also found by searching; and each byte more only follows what was accepted before. */
#include "base/alloc.h"
#include "engine/grammar_match_parts.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static hn_grammar_vocab *vocab;

/* 1: the whole text is in the language, 0: it is not, -1: the pattern is refused, or too ambiguous. */
static int matches(const char *pattern, const char *text, bool searched) {
    hn_grammar_builder *b;
    hn_grammar *g;
    hn_grammar_match *m;
    hn_error err = {0};
    size_t accepted, n = strlen(text);
    int result = -1;
    if (hn_grammar_builder_create(&b, &err) != HN_OK) return -1;
    if (hn_grammar_finish(b, hn_grammar_regex(b, pattern, searched), &g, &err) != HN_OK) {
        if (!err.message[0] || (!err.where[0] && err.code != HN_ERR_MEMORY)) abort();
        return -1;
    }
    if (hn_grammar_match_create(g, vocab, &m, &err) == HN_OK) {
        if (hn_grammar_match_bytes(m, text, n, &accepted, &err) == HN_OK)
            result = accepted == n && hn_grammar_match_can_end(m);
        hn_grammar_match_free(m);
    }
    hn_grammar_free(g);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const hn_str pieces[] = {{"a", 1}, {"b", 1}};
    hn_error err;
    if (!vocab && hn_grammar_vocab_from_pieces(pieces, 2, &vocab, &err) != HN_OK) abort();
    char *pattern = hn_alloc(size + 1);
    if (!pattern) return 0;
    memcpy(pattern, data, size);
    pattern[size] = 0;
    char *text = strchr(pattern, '\n');
    if (text) *text++ = 0;
    if (matches(pattern, text ? text : "", false) == 1 && matches(pattern, text ? text : "", true) == 0) abort();
    hn_free(pattern);
    return 0;
}
