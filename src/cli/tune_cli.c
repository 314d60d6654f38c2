/* Finding models that were trained here; see tune_cli.h. */
#include "cli/tune_cli.h"

#include "cli/project_cli.h"
#include "lifecycle/tune/tune.h"

#include <stdio.h>

hn_status hn_cli_tuned_path(const char *name, char base[HN_PATH_MAX], char folder[HN_PATH_MAX], hn_error *err) {
    hn_cli_project p;
    hn_tuned_model found;
    HN_TRY(hn_cli_project_open(HN_CLI_STORE, &p, err));
    hn_status st = hn_tune_find(p.store, hn_project_store_dir(p.project), name, &found, err);
    hn_cli_project_close(&p);
    snprintf(base, HN_PATH_MAX, "%s", found.model);
    snprintf(folder, HN_PATH_MAX, "%s", found.adapter);
    return st;
}
