/* What the scope and its data can carry: counts, lengths, baselines, and the smallest difference that the dev split
 * can show.
 *
 *     hn_scope_report r;
 *     HN_TRY(hn_scope_report_make(scope, dataset, store, tokenizer, &r, &err));
 *     printf("with %zu dev cases you can see about %.0f points", r.splits[HN_SPLIT_DEV].n_cases, 100 * r.detectable);
 *     hn_scope_report_free(&r);
 *
 * Ownership: the report owns its counts, and borrows scope and dataset. Threading: one thread. */
#ifndef HN_LIFECYCLE_SCOPE_REPORT_H
#define HN_LIFECYCLE_SCOPE_REPORT_H

#include "lifecycle/scope/baseline.h"
#include "model/tokenizer.h"

/* Two versions of a prompt typically disagree (one right, one wrong) on about this share of cases; what can be seen depends on it. */
#define HN_SCOPE_DISCORDANCE 0.20

typedef struct hn_scope_split {
    size_t n_cases, n_groups, n_unlabelled;
    size_t *labels; /* (n_labels) cases of each label; NULL unless the contract is a choice */
} hn_scope_split;

typedef struct hn_lengths {
    size_t n;
    int median, p95, max; /* 0 of each where n is 0 */
} hn_lengths;

typedef struct hn_scope_report {
    const hn_scope *scope;
    const hn_dataset *dataset;
    hn_scope_split splits[HN_SPLIT_COUNT];
    bool grouped;               /* some group has several cases */
    hn_lengths words, tokens;   /* of all inputs of a case; tokens.n 0: no tokenizer */
    hn_baselines baselines;     /* on dev */
    double interval_half_width; /* of a dev accuracy of 0.8: how exact one number is; NaN without dev cases */
    double detectable;          /* between two prompts on dev, at 80 % power and HN_SCOPE_DISCORDANCE; NaN: none */
    double cases_needed;        /* dev cases for smallest_difference at the same discordance; NaN */
} hn_scope_report;

/* `store`: baselines are kept there; may be NULL. `tokenizer`: NULL: lengths in words only. */
hn_status hn_scope_report_make(const hn_scope *scope, const hn_dataset *dataset, hn_store *store,
                               const hn_tokenizer *tokenizer, hn_scope_report *out, hn_error *err) HN_MUST_CHECK;
void hn_scope_report_free(hn_scope_report *r);
hn_status hn_scope_report_json(const hn_scope_report *r, json_t **value, hn_error *err) HN_MUST_CHECK;

#endif
