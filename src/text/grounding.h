/* Whether what an answer says stands in a given context, by n-grams of words: a cheap, explainable fail-safe, not a
 * judge of meaning. A paraphrase counts as unsupported, a negated copy as supported.
 *
 *     hn_grounding g;
 *     HN_TRY(hn_grounding_check(answer, passages, n_passages, 3, &g, err));
 *     if (g.support < 0.5) flag(answer.data + g.span_from, g.span_to - g.span_from);      // the longest unsupported part
 *
 * Words are runs of letters, marks and numbers, compared in lower case. Ownership: a plain value. Threading: a pure
 * function. */
#ifndef HN_TEXT_GROUNDING_H
#define HN_TEXT_GROUNDING_H

#include "base/status.h"
#include "base/str.h"

typedef struct hn_grounding {
    double support; /* n_supported / n_grams; NaN for an answer without words */
    size_t n_words, n_grams, n_supported;
    size_t span_words;         /* the longest run of words that are in no supported n-gram; 0: there is none */
    size_t span_from, span_to; /* its bytes in the answer */
} hn_grounding;

/* n: words an n-gram has, at least 1; an answer with fewer is taken as one n-gram. An n-gram must lie within one of the
 * contexts. Errors: HN_ERR_USAGE for n = 0, HN_ERR_LIMIT for a text past 16 MiB, HN_ERR_MEMORY. */
hn_status hn_grounding_check(hn_str answer, const hn_str *contexts, size_t n_contexts, size_t n, hn_grounding *out,
                             hn_error *err) HN_MUST_CHECK;

#endif
