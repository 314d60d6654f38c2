/* Any bytes as a GBNF grammar: read, or refused with a place. What was read is followed for a while along its own masks, and every
 * token that a mask allows is accepted. */
#include "base/alloc.h"
#include "engine/grammar_match_parts.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static hn_grammar_vocab *vocab;

static void open_vocab(void) {
    static const char *const texts[] = {"a",  "b",  "0",  "\"",   "{",    "}",   "[",   "]", " ",
                                        "\n", "ab", "aa", "\xC3", "\xA9", "a\"", "\":", "x", ","};
    hn_str pieces[sizeof texts / sizeof *texts];
    hn_error err;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) pieces[i] = hn_str_of(texts[i]);
    if (hn_grammar_vocab_from_pieces(pieces, sizeof texts / sizeof *texts, &vocab, &err) != HN_OK) abort();
}

static void follow(const hn_grammar *g) {
    hn_grammar_match *m;
    hn_error err;
    hn_status st = hn_grammar_match_create(g, vocab, &m, &err);
    if (st != HN_OK && st != HN_ERR_LIMIT) abort();
    if (st != HN_OK) return;
    for (int step = 0; step < 30; step++) {
        const uint64_t *mask;
        int32_t id = step % vocab->n_tokens;
        st = hn_grammar_match_mask(m, &mask, &err);
        if (st == HN_ERR_LIMIT) break;
        if (st != HN_OK) abort();
        if (mask[0] == 0) break;
        while (!(mask[0] >> id & 1)) id = (id + 1) % vocab->n_tokens;
        st = hn_grammar_match_accept(m, id, &err);
        if (st == HN_ERR_LIMIT) break;
        if (st != HN_OK) abort();
    }
    hn_grammar_match_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hn_grammar *g;
    hn_error err = {0};
    if (!vocab) open_vocab();
    char *text = hn_alloc(size + 1);
    if (!text) return 0;
    memcpy(text, data, size);
    text[size] = 0;
    if (hn_grammar_from_gbnf(text, "fuzz.gbnf", &g, &err) == HN_OK) {
        follow(g);
        hn_grammar_free(g);
    } else if (!err.message[0] || (!err.where[0] && err.code != HN_ERR_MEMORY)) {
        abort();
    }
    hn_free(text);
    return 0;
}
