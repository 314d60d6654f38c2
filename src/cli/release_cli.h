/* What the commands about releases share: the model that a run was made with, and a release ready to be served.
 *
 *     hn_cli_served s;
 *     HN_TRY(hn_cli_served_open(cli, &p, "router", &s, &err));          // or r7
 *     ... hn_server_add_app(server, s.name, s.app, &err) ...
 *     hn_cli_served_close(&s);                                          // also fine after a failed open
 *
 * Ownership: hn_cli_served owns all it points to. Threading: main thread. */
#ifndef HN_CLI_RELEASE_CLI_H
#define HN_CLI_RELEASE_CLI_H

#include "cli/project_cli.h"
#include "lifecycle/deploy/frozen_app.h"
#include "store/release.h"

typedef struct hn_cli_served {
    char name[64]; /* the release's, or the run's: r7 */
    hn_run *run;
    hn_release_list release;  /* one row, or none: a run was named */
    json_t *manifest;         /* of the release; else NULL */
    const json_t *correction; /* in it; NULL: none */
    hn_provider *provider;
    hn_frozen_app *app;
} hn_cli_served;

/* Opens the model that the run was made with, by the HN_MODEL_OPTIONS and what the run says where they do not. */
hn_status hn_cli_open_run_model(hn_cli *cli, const hn_cli_project *p, const hn_run *run, hn_provider **provider,
                                hn_error *err) HN_MUST_CHECK;
/* The release (NAME, NAME@N) or run that `name` means, without its model. */
hn_status hn_cli_served_find(const hn_cli_project *p, const char *name, hn_cli_served *out,
                             hn_error *err) HN_MUST_CHECK;
/* The same with model and app. The command has HN_MODEL_OPTIONS and --other-path. */
hn_status hn_cli_served_open(hn_cli *cli, const hn_cli_project *p, const char *name, hn_cli_served *out,
                             hn_error *err) HN_MUST_CHECK;
void hn_cli_served_close(hn_cli_served *served);

#endif
