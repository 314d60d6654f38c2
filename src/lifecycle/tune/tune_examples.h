/* Training examples: token rows with what is learned in them, from a project's cases or from conversations. One kind of row for both, and one check.
 *
 *     hn_tune_examples e;
 *     HN_TRY(hn_tune_examples_begin(&e, max_tokens, &err));
 *     HN_TRY(hn_tune_examples_add_case(&e, app, provider, prompt, c, &err));        // or _add_mask, of a conversation's loss mask
 *     HN_TRY(hn_tune_examples_check(&e, "cases.csv", &err));
 *     ... e.items[i].ids, .learned ...
 *     hn_tune_examples_free(&e);
 *
 * A case's prompt is the app's own first request for it, its chat template included; what is learned is the answer behind it, down to the token
 * that ends it: exactly the ids whose likelihood `answer: likelihood` scores. A conversation's rows are those of model/loss_mask.h, with the same
 * promise. So no template can differ between training and serving, the end of the turn is always learned, and a prompt's tokens never are.
 * Ownership: the examples own their ids; cases are the dataset's. Threading: one thread. */
#ifndef HN_LIFECYCLE_TUNE_EXAMPLES_H
#define HN_LIFECYCLE_TUNE_EXAMPLES_H

#include "app/app.h"
#include "model/loss_check.h"

typedef struct hn_tune_example {
    const hn_case *c;       /* NULL: a row of data */
    uint32_t row;           /* of the dataset or data, from 0 */
    int32_t *ids;           /* (n) prompt and answer, or a conversation */
    unsigned char *learned; /* (n) 1: learned from the tokens before it */
    int n, n_prompt;        /* n_prompt: tokens before the first learned one */
    int n_learned;
    float weight; /* of each learned token's loss, 1 as a rule */
} hn_tune_example;

typedef struct hn_tune_examples {
    hn_tune_example *items; /* (n) */
    size_t n, capacity;
    size_t unit;                   /* rows that belong together and are trained on in one step: 1; a pair: 2 */
    size_t n_tokens, n_supervised; /* over all */
    int longest;                   /* tokens */
    hn_loss_check check;
    hn_arena *arena;
} hn_tune_examples;

/* `max_tokens`: no answer may end behind it. */
hn_status hn_tune_examples_begin(hn_tune_examples *examples, int max_tokens, hn_error *err) HN_MUST_CHECK;
/* HN_ERR_INPUT: the target or the prompt is empty. */
hn_status hn_tune_examples_add_case(hn_tune_examples *examples, const hn_app *app, hn_provider *provider,
                                    const hn_prompt *prompt, const hn_case *c, uint32_t row,
                                    hn_error *err) HN_MUST_CHECK;
/* Copies what it needs. A mask's first token has nothing before it and is never learned. `line` of its file, 0: none. */
hn_status hn_tune_examples_add_mask(hn_tune_examples *examples, const hn_loss_mask *mask, uint32_t row, int line,
                                    hn_error *err) HN_MUST_CHECK;
/* Refuses, with rows and remedy, what would teach nonsense; see loss_check.h. `name` stands for the data. */
hn_status hn_tune_examples_check(const hn_tune_examples *examples, const char *name, hn_error *err) HN_MUST_CHECK;
void hn_tune_examples_free(hn_tune_examples *examples);

/* HN_ERR_INPUT naming the labels that no case of `cases` has: the model would never hear of them. */
hn_status hn_tune_check_labels(const hn_scope *scope, const hn_dataset *dataset, const uint32_t *cases, size_t n,
                               hn_error *err) HN_MUST_CHECK;

#endif
