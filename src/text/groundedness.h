/* Whether the claims of an answer stand in a context, sentence by sentence: built on grounding.h, and as far from a judge of meaning.
 *
 *     hn_groundedness g;
 *     HN_TRY(hn_groundedness_check(answer, context, 0.5, &g, err));
 *     for (size_t i = 0; i < g.n; i++) if (g.items[i].support < 0.5) show(g.items[i].from, g.items[i].to);
 *     hn_groundedness_free(&g);
 *
 * A sentence's support is the larger of two: the share of its runs of 3 words that stand in the context, and the cosine of its words with
 * those of the most similar sentence of the context (0 to 1 both). A sentence with a number that the context does not have has no support:
 * invented figures are the commonest harm. The answer's support is the mean over its words. Paraphrases count as less supported than they are,
 * a negated copy as supported.
 * Ownership: free the items. Threading: a pure function. */
#ifndef HN_TEXT_GROUNDEDNESS_H
#define HN_TEXT_GROUNDEDNESS_H

#include "base/status.h"
#include "base/str.h"

typedef struct hn_grounded_sentence {
    size_t from, to; /* its bytes in the answer */
    size_t n_words;
    double support;
} hn_grounded_sentence;

typedef struct hn_groundedness {
    double support;              /* NaN: an answer without words */
    hn_grounded_sentence *items; /* (n) sentences with words */
    size_t n, capacity;
    size_t n_unsupported; /* below the threshold */
} hn_groundedness;

/* HN_ERR_LIMIT for a text past 16 MiB, HN_ERR_MEMORY. Of a context its first 1 MiB counts. */
hn_status hn_groundedness_check(hn_str answer, hn_str context, double threshold, hn_groundedness *out,
                                hn_error *err) HN_MUST_CHECK;
void hn_groundedness_free(hn_groundedness *g);
/* The end of the sentence that begins at `from`: behind . ! ? or a line break that a blank or the end follows. */
size_t hn_sentence_end(hn_str text, size_t from);

#endif
