/* What every run of a prompt on a project's cases is known by, whatever is done with them: measured or learned from.
 *
 *     hn_run_identity id;
 *     HN_TRY(hn_run_identify(project, store, dataset, prompt, provider, &id, &err));
 *     id.spec.kind = "eval"; id.spec.split = "dev"; ...                 // what is the run's own
 *     HN_TRY(hn_run_begin(store, &id.spec, false, &run, &start, &err));
 *
 * The prompt's file and hone.yaml are put into the store. Ownership: `spec` points into the identity and the arguments. Threading: one thread. */
#ifndef HN_LIFECYCLE_RUN_IDENTITY_H
#define HN_LIFECYCLE_RUN_IDENTITY_H

#include "project/prompt.h"
#include "provider/provider.h"
#include "store/store.h"

typedef struct hn_run_identity {
    char prompt_object[65], scope_object[65];
    hn_provider_info info;
    hn_run_spec spec; /* without kind, split, n_cases, case_set_hash and parameters_json */
} hn_run_identity;

hn_status hn_run_identify(hn_project *project, hn_store *store, const hn_dataset *dataset, const hn_prompt *prompt,
                          hn_provider *provider, hn_run_identity *id, hn_error *err) HN_MUST_CHECK;

#endif
