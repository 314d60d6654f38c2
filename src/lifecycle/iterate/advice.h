/* What to try next: one to three lines that follow from numbers, never from taste.
 *
 *     hn_buf text; hn_buf_init(&text, 0);
 *     hn_advice_on_comparison(&comparison, &baselines, scope, &text);
 *     fputs(hn_buf_str(&text), stdout);                    // each line ends with \n and holds a command or a reason
 *
 * Ownership: the caller's buffer. Threading: pure. */
#ifndef HN_LIFECYCLE_ADVICE_H
#define HN_LIFECYCLE_ADVICE_H

#include "lifecycle/eval/eval.h"
#include "lifecycle/iterate/compare.h"
#include "lifecycle/scope/baseline.h"

void hn_advice_on_comparison(const hn_comparison *c, const hn_baselines *b, const hn_scope *scope, hn_buf *out);
/* After an evaluation of several prompts: results (n), `best` among them. */
void hn_advice_on_results(const hn_eval_result *results, size_t n, size_t best, const hn_baselines *b,
                          const hn_scope *scope, hn_buf *out);
/* The two labels most often taken for each other; "" where none is. */
void hn_advice_worst_pair(const hn_report *report, hn_buf *out);

#endif
