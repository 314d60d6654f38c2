/* Finding models that were trained here; see tune_cli.h. */
#include "cli/tune_cli.h"

#include "cli/project_cli.h"
#include "lifecycle/tune/tune.h"

hn_status hn_cli_tuned_path(const char *name, char base[HN_PATH_MAX], char folder[HN_PATH_MAX], hn_error *err) {
    hn_cli_project p;
    HN_TRY(hn_cli_project_open(HN_CLI_STORE, &p, err));
    hn_status st = hn_tune_find(p.store, hn_project_store_dir(p.project), name, folder, base, err);
    hn_cli_project_close(&p);
    return st;
}
