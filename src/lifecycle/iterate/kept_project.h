/* The project as it was when a run was made: every file that hone.yaml names is kept with the run, and can be laid out again.
 *
 *     HN_TRY(hn_kept_put(store, run->id, scope, &err));                  // when the run is made
 *     hn_kept_project kept;
 *     HN_TRY(hn_kept_open(store, run, &kept, &err));                     // much later
 *     const hn_dataset *data; HN_TRY(hn_project_dataset(kept.project, &data, &err));
 *     hn_kept_close(&kept);
 *
 * Kept are files, not what was read from them, so that today's reader can be held against yesterday's data. Models are not kept: a run has
 * their hash. Ownership: the kept project owns its folder (temporary) and its project. Threading: one thread. */
#ifndef HN_LIFECYCLE_KEPT_PROJECT_H
#define HN_LIFECYCLE_KEPT_PROJECT_H

#include "base/file.h"
#include "project/prompt.h"
#include "store/store.h"

typedef struct hn_kept_project {
    char folder[HN_PATH_MAX];      /* "" where there is none */
    char prompt_path[HN_PATH_MAX]; /* the prompt's file there; "" where it is not kept */
    hn_project *project;
} hn_kept_project;

/* Keeps what hone.yaml names: each text in it (but `model`) that is the path of a file of at most 1 GiB. A file that is gone in the meantime is left out. */
hn_status hn_kept_put(hn_store *store, int64_t run_id, const hn_scope *scope, hn_error *err) HN_MUST_CHECK;

/* HN_ERR_NOT_FOUND: the run is from before its files were kept (*kept is empty then, nothing to close); errors of reading the project name
 * the kept files. */
hn_status hn_kept_open(hn_store *store, const hn_run *run, hn_kept_project *kept, hn_error *err) HN_MUST_CHECK;
/* Removes the folder. */
void hn_kept_close(hn_kept_project *kept);

/* The data of a run: today's where it is still the same (`today` may be NULL), else the kept one, whose project is then in *kept (close it after
 * use; closing an empty one is fine). NULL in *dataset: neither is there. */
hn_status hn_kept_dataset(hn_store *store, const hn_run *run, const hn_dataset *today, const char *today_scope_hash,
                          hn_kept_project *kept, const hn_dataset **dataset, hn_error *err) HN_MUST_CHECK;

#endif
