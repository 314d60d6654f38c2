/* Follows a grammar while a model writes: which tokens may come next, and whether the text may end here.
 *
 * A vocabulary is prepared once per tokenizer (its tokens as a byte trie), an automaton once per grammar and vocabulary.
 * States that were met before keep their masks, so a typical token costs a look-up. Control tokens are never allowed;
 * the end of the answer is: hn_grammar_match_can_end.
 *
 *     hn_grammar_vocab *v; hn_grammar_match *m; const uint64_t *mask;
 *     HN_TRY(hn_grammar_vocab_create(tokenizer, &v, &err));
 *     HN_TRY(hn_grammar_match_create(grammar, v, &m, &err));
 *     HN_TRY(hn_grammar_match_mask(m, &mask, &err));       // (ceil(V/64)) bit i: token i keeps the text in the language
 *     HN_TRY(hn_grammar_match_accept(m, id, &err));
 *
 * Ownership: the match borrows grammar and vocabulary; the mask is valid until the next call on that match. Threading:
 * one thread for each vocabulary with its matches. */
#ifndef HN_ENGINE_GRAMMAR_MATCH_H
#define HN_ENGINE_GRAMMAR_MATCH_H

#include "engine/grammar.h"
#include "model/tokenizer.h"

typedef struct hn_grammar_vocab hn_grammar_vocab;
typedef struct hn_grammar_match hn_grammar_match;

hn_status hn_grammar_vocab_create(const hn_tokenizer *tokenizer, hn_grammar_vocab **vocab, hn_error *err) HN_MUST_CHECK;
void hn_grammar_vocab_free(hn_grammar_vocab *vocab);
hn_status hn_grammar_match_create(const hn_grammar *grammar, hn_grammar_vocab *vocab, hn_grammar_match **match,
                                  hn_error *err) HN_MUST_CHECK;
void hn_grammar_match_free(hn_grammar_match *match);
/* HN_ERR_LIMIT where the grammar is so ambiguous here that too many states would be open at once. */
hn_status hn_grammar_match_mask(hn_grammar_match *match, const uint64_t **mask, hn_error *err) HN_MUST_CHECK;
/* HN_ERR_INPUT where the token is not in the mask; nothing has changed then. */
hn_status hn_grammar_match_accept(hn_grammar_match *match, int32_t id, hn_error *err) HN_MUST_CHECK;
/* Bytes instead of a token; *accepted: how many were (all, or up to the first that leaves the language). For tests and for text that is given. */
hn_status hn_grammar_match_bytes(hn_grammar_match *match, const char *text, size_t n_bytes, size_t *accepted,
                                 hn_error *err) HN_MUST_CHECK;
/* The text so far is in the language. */
bool hn_grammar_match_can_end(const hn_grammar_match *match);
/* It is, and no byte may follow: the answer is complete. */
bool hn_grammar_match_must_end(const hn_grammar_match *match);

#endif
