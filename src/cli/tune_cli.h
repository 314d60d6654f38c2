/* Models that were trained here: "tune:r12" is the adapter of run r12 of the project at hand, beside the model that it was trained on.
 *
 *     hn_cli_tuned = hn_cli_tuned_path;                     // main, once
 *     HN_TRY(hn_cli_tuned(name, base, folder, &err));
 *
 * Outside a project the store is $HONE_STORE, or .hone here. A hook, since the inference program has no projects. Threading: main thread. */
#ifndef HN_CLI_TUNE_CLI_H
#define HN_CLI_TUNE_CLI_H

#include "base/file.h"

typedef hn_status hn_cli_tuned_finder(const char *name, char base[HN_PATH_MAX], char folder[HN_PATH_MAX],
                                      hn_error *err);
/* Set by main. NULL: this program has no projects. */
extern hn_cli_tuned_finder *hn_cli_tuned;
hn_cli_tuned_finder hn_cli_tuned_path;
/* The store that trainings go into: `given`, else the project's, else $HONE_STORE, else .hone here; as a whole path. */
hn_status hn_cli_tune_store(const char *given, char out[HN_PATH_MAX], hn_error *err) HN_MUST_CHECK;

#endif
