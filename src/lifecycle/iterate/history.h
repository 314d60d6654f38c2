/* The project's story: one line a lesson, from the runs in order. Each new prompt is held against the earlier one it is most like, with the verdict in
 * words and what changed between the two; notes, data that changed, targets reached and looks at the test split stand where they happened.
 *
 *     json_t *history;
 *     HN_TRY(hn_history_make(&(hn_history_setup){store, scope, dataset, 0}, &history, &err));
 *     hn_buf text; hn_buf_init(&text, 0); hn_history_markdown(history, &text);
 *
 * The result is JSON (docs/json.md); text for people is made from it. Ownership: a new reference. Threading: one thread. */
#ifndef HN_LIFECYCLE_HISTORY_H
#define HN_LIFECYCLE_HISTORY_H

#include "format/json.h"
#include "project/project.h"
#include "store/store.h"

typedef struct hn_history_setup {
    hn_store *store;
    const hn_scope *scope;
    const hn_dataset *dataset; /* for the baselines; may be NULL */
    size_t n_last;             /* only the newest runs; 0: all */
} hn_history_setup;

hn_status hn_history_make(const hn_history_setup *setup, json_t **history, hn_error *err) HN_MUST_CHECK;
/* The story as a Markdown document. */
void hn_history_markdown(const json_t *history, hn_buf *out);
/* "system message reworded, prior correction added" of an entry's `changed`; appended. */
void hn_history_changes(const json_t *entry, hn_buf *out);

#endif
