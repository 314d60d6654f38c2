/* What the commands about a project share: opening it with its data and store, opening its model, and showing estimates and texts.
 *
 *     hn_cli_project p;
 *     HN_TRY(hn_cli_project_open(HN_CLI_DATA | HN_CLI_STORE, &p, &err));
 *     ... p.scope, p.dataset, p.store ...
 *     hn_cli_project_close(&p);                             // also fine after a failed open
 *
 * Ownership: hn_cli_project owns all it points to. Threading: main thread. */
#ifndef HN_CLI_PROJECT_CLI_H
#define HN_CLI_PROJECT_CLI_H

#include "base/file.h"
#include "cli/command.h"
#include "lifecycle/iterate/goals.h"
#include "project/project.h"
#include "provider/provider.h"
#include "stats/interval.h"
#include "store/store.h"

enum { HN_CLI_DATA = 1, HN_CLI_STORE = 2 };

typedef struct hn_cli_project {
    hn_project *project;
    const hn_scope *scope;
    const hn_dataset *dataset; /* HN_CLI_DATA, else NULL */
    hn_store *store;           /* HN_CLI_STORE, else NULL */
} hn_cli_project;

/* The project of the working folder or the nearest above it. */
hn_status hn_cli_project_open(unsigned parts, hn_cli_project *p, hn_error *err) HN_MUST_CHECK;
void hn_cli_project_close(hn_cli_project *p);

/* The model called `name` (a catalogue name or path), or where NULL the one that hone.yaml names, or smollm2. */
hn_status hn_cli_project_model(const hn_cli_project *p, const char *name, const hn_local_options *options,
                               hn_provider **provider, hn_error *err) HN_MUST_CHECK;

/* The prompt file that `name` means: a file as it is, else NAME.yaml under the project's prompts/. HN_ERR_NOT_FOUND. */
hn_status hn_cli_prompt_path(const hn_cli_project *p, const char *name, char out[HN_PATH_MAX],
                             hn_error *err) HN_MUST_CHECK;

/* "68.5 % [61.8, 74.5]"; "-" where there is no value. Returns `out`. */
char *hn_cli_percent(hn_estimate e, char out[48]);
/* One line a goal, marked where it is missed or not certain. */
void hn_cli_print_goals(hn_cli *cli, const hn_goals *goals);
/* Appends `text` on one line, white space collapsed, control characters left out, cut after `max_columns` with "...". */
void hn_cli_excerpt(const char *text, size_t max_columns, hn_buf *out);
/* `path` as it is seen from the working folder where it lies below it, else as it is. */
const char *hn_cli_path_shown(const char *path);

#endif
