/* What differs between two runs: prompts word by word and token by token, settings, data, and the cases whose answers changed.
 *
 *     json_t *diff;
 *     HN_TRY(hn_run_diff(&(hn_diff_setup){store, "r3", "r7", today, scope_hash, NULL}, &diff, &err));
 *     hn_cli_result(cli, diff, err);                        // docs/json.md has its fields
 *
 * The result is JSON because programs and the terminal show the very same. Runs need not be finished, and need not share cases: what cannot be set
 * side by side is left out and said. Ownership: a new reference. Threading: one thread. */
#ifndef HN_LIFECYCLE_RUN_DIFF_H
#define HN_LIFECYCLE_RUN_DIFF_H

#include "lifecycle/iterate/flat_values.h"
#include "model/tokenizer.h"
#include "project/project.h"
#include "store/store.h"

typedef struct hn_diff_setup {
    hn_store *store;
    const char *a, *b;             /* names of runs */
    const hn_dataset *today;       /* the data as it is now; may be NULL */
    const char *today_scope_hash;  /* beside `today` */
    const hn_tokenizer *tokenizer; /* NULL: no diff of tokens */
} hn_diff_setup;

hn_status hn_run_diff(const hn_diff_setup *setup, json_t **diff, hn_error *err) HN_MUST_CHECK;

/* Two texts as [{"op":"same|removed|added","text"}], by words. New reference. */
hn_status hn_diff_words_json(const char *a, const char *b, json_t **pieces, hn_error *err) HN_MUST_CHECK;
/* The same by tokens; {"a":n,"b":n,"pieces":[...]}. */
hn_status hn_diff_tokens_json(const hn_tokenizer *t, const char *a, const char *b, json_t **tokens,
                              hn_error *err) HN_MUST_CHECK;

/* The prompt file of a run as it was, flat; empty where it is not kept. */
hn_status hn_run_prompt_flat(hn_store *store, const hn_run *run, hn_flat *out, hn_error *err) HN_MUST_CHECK;
/* hone.yaml of a run as it was. */
hn_status hn_run_scope_flat(hn_store *store, const hn_run *run, hn_flat *out, hn_error *err) HN_MUST_CHECK;

#endif
