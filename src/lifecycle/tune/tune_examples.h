/* Training examples: a project's cases as the token rows that the model learns from, made by the very path that serves them.
 *
 *     hn_tune_examples examples;
 *     HN_TRY(hn_tune_examples_make(app, provider, scope, dataset, cases, n, &limits, &examples, &err));
 *     ... examples.items[i].ids, .n_prompt ...
 *     hn_tune_examples_free(&examples);
 *
 * A case's prompt is the app's own first request for it, its chat template included; what is learned is the answer behind it, down to the token
 * that ends it: exactly the ids whose likelihood `answer: likelihood` scores. So no template can differ between training and serving, the end of
 * the turn is always learned, and a prompt's tokens never are.
 * Ownership: the examples own their ids; cases are the dataset's. Threading: one thread. */
#ifndef HN_LIFECYCLE_TUNE_EXAMPLES_H
#define HN_LIFECYCLE_TUNE_EXAMPLES_H

#include "app/app.h"

typedef struct hn_tune_example {
    const hn_case *c;
    int32_t *ids; /* (n) prompt and answer */
    int n, n_prompt;
} hn_tune_example;

typedef struct hn_tune_examples {
    hn_tune_example *items;
    size_t n;
    size_t n_tokens, n_supervised; /* over all */
    int longest;                   /* tokens */
    hn_arena *arena;
} hn_tune_examples;

/* `cases` (n): indices of the dataset's cases, all with a target; `max_tokens`: no example may be longer. HN_ERR_INPUT with the first rows and the
 * remedy where answers would be cut off or a case has nothing to learn; HN_ERR_INTERRUPTED. */
hn_status hn_tune_examples_make(const hn_app *app, hn_provider *provider, const hn_prompt *prompt,
                                const hn_dataset *dataset, const uint32_t *cases, size_t n, int max_tokens,
                                hn_tune_examples *examples, hn_error *err) HN_MUST_CHECK;
void hn_tune_examples_free(hn_tune_examples *examples);

/* HN_ERR_INPUT naming the labels that no case of `cases` has: the model would never hear of them. */
hn_status hn_tune_check_labels(const hn_scope *scope, const hn_dataset *dataset, const uint32_t *cases, size_t n,
                               hn_error *err) HN_MUST_CHECK;

#endif
