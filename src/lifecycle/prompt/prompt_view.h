/* A prompt filled in for one case: what `hone tokens PROMPT` shows.
 *
 *     hn_prompt_view v;
 *     HN_TRY(hn_prompt_view_make(scope, dataset, prompt, NULL, &v, &err));  // the first dev case
 *     if (v.raw) puts(v.raw);
 *     hn_prompt_view_free(&v);
 *
 * Ownership: the view owns messages, raw and the list of examples; cases are the dataset's. Threading: one thread. */
#ifndef HN_LIFECYCLE_PROMPT_VIEW_H
#define HN_LIFECYCLE_PROMPT_VIEW_H

#include "project/prompt.h"

typedef struct hn_prompt_view {
    const hn_case *c;
    const hn_case **examples; /* (n_examples) in the order shown */
    size_t n_examples;
    json_t *messages; /* one of the two is NULL */
    char *raw;
} hn_prompt_view;

/* `case_id` NULL: the first case of dev, else of test, else of train. HN_ERR_NOT_FOUND for an unknown id. */
hn_status hn_prompt_view_make(const hn_scope *scope, const hn_dataset *dataset, const hn_prompt *prompt,
                              const char *case_id, hn_prompt_view *view, hn_error *err) HN_MUST_CHECK;
void hn_prompt_view_free(hn_prompt_view *view);

#endif
