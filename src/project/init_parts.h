/* Inside init: guessing columns (init_guess.c) and writing the files' texts (init_text.c).
 *
 *     HN_TRY(hn_init_guess(tables, n_tables, options, result, err));
 *     hn_init_scope_text(result, "data/tickets.csv", NULL, &buf);
 *
 * Ownership and threading: as init.h. */
#ifndef HN_PROJECT_INIT_PARTS_H
#define HN_PROJECT_INIT_PARTS_H

#include "project/init.h"

/* Fills the roles, kind and labels of `result` (whose arena is made) from the tables, of which the second may be the test file's. */
hn_status hn_init_guess(hn_data_table *const *tables, size_t n_tables, const hn_init_options *options,
                        hn_init_result *result, hn_error *err) HN_MUST_CHECK;

/* hone.yaml, for data paths as they stand in it (`test` may be NULL). */
void hn_init_scope_text(const hn_init_result *r, const char *data, const char *test, hn_buf *out);

typedef struct hn_init_prompt {
    const char *file;
    void (*write)(const hn_init_result *r, hn_buf *out);
    bool choice_only; /* for `output: choice` alone */
} hn_init_prompt;

extern const hn_init_prompt hn_init_prompts[]; /* ended by a NULL file */

#endif
