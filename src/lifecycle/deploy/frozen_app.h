/* A run's app as it was: prompt, scope, data and example pool out of the store, with its calibration, over the model that it ran on.
 *
 *     hn_frozen_app *f;
 *     HN_TRY(hn_frozen_open(&(hn_frozen_setup){.store = store, .run = run, .provider = provider}, &f, &err));
 *     HN_TRY(hn_app_submit(f->app, c, 0, on_answer, user, &ticket, &err));
 *     hn_frozen_close(f);
 *
 * What hone.yaml and the prompt's file say today does not matter. Nothing is read from or written to the answer cache, so that every answer is computed.
 * Ownership: the app owns its parts but run, store and provider. Threading: one thread. */
#ifndef HN_LIFECYCLE_FROZEN_APP_H
#define HN_LIFECYCLE_FROZEN_APP_H

#include "app/app.h"
#include "lifecycle/iterate/kept_project.h"

typedef struct hn_frozen_setup {
    hn_store *store;
    const hn_run *run; /* a finished evaluation */
    hn_provider *provider;
    const json_t
        *correction; /* as a release has it; NULL: as the run's dev answers give it, where the prompt wants one */
    bool other_path; /* the model may run on another numeric path than the run did */
} hn_frozen_setup;

typedef struct hn_frozen_app {
    hn_kept_project kept;
    const hn_scope *scope;
    const hn_dataset *dataset;
    hn_prompt *prompt;
    json_t *set; /* what the prompt was given beside its file; NULL: nothing */
    hn_correction correction;
    bool corrected; /* `correction` is applied */
    hn_app *app;
} hn_frozen_app;

/* HN_ERR_INPUT: the run is not finished, or the model or its numeric path is another; HN_ERR_NOT_FOUND: what it was made from is not kept. */
hn_status hn_frozen_open(const hn_frozen_setup *setup, hn_frozen_app **frozen, hn_error *err) HN_MUST_CHECK;
/* Makes the app anew, after one whose steps failed. */
hn_status hn_frozen_restart(hn_frozen_app *frozen, hn_provider *provider, hn_error *err) HN_MUST_CHECK;
/* Answers one case so that what is computed once (calibration, the prompt's beginning) is there for the first request. */
hn_status hn_frozen_warm(hn_frozen_app *frozen, hn_error *err) HN_MUST_CHECK;
void hn_frozen_close(hn_frozen_app *frozen);

#endif
