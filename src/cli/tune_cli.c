/* Finding models that were trained here; see tune_cli.h. */
#include "cli/tune_cli.h"

#include "cli/project_cli.h"
#include "lifecycle/tune/tune.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

hn_status hn_cli_tune_store(const char *given, char out[HN_PATH_MAX], hn_error *err) {
    char here[HN_PATH_MAX];
    const char *named = getenv("HONE_STORE");
    hn_project *project;
    hn_error none;
    if (!given && hn_project_open(".", &project, &none) == HN_OK) {
        snprintf(out, HN_PATH_MAX, "%s", hn_project_store_dir(project));
        hn_project_close(project);
        return HN_OK;
    }
    if (!given) given = named && *named ? named : ".hone";
    if (!getcwd(here, sizeof here)) return hn_fail_errno(err, errno, ".", "reading");
    return hn_path_join(out, here, given, err);
}

hn_status hn_cli_tuned_path(const char *name, char base[HN_PATH_MAX], char folder[HN_PATH_MAX], hn_error *err) {
    char dir[HN_PATH_MAX];
    hn_store *store;
    hn_tuned_model found;
    HN_TRY(hn_cli_tune_store(NULL, dir, err));
    if (!hn_file_is_dir(dir))
        return hn_fail(err, HN_ERR_NOT_FOUND, name,
                       "go into the project's folder, or name the store that `hone tune --store` was given: HONE_STORE",
                       "there is no store here: %s", dir);
    HN_TRY(hn_store_open(dir, &store, err));
    hn_status st = hn_tune_find(store, dir, name, &found, err);
    hn_store_close(store);
    snprintf(base, HN_PATH_MAX, "%s", found.model);
    snprintf(folder, HN_PATH_MAX, "%s", found.adapter);
    return st;
}
