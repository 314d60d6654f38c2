/* `hone models`: what hone.yaml lists under `models:`.
 *
 *     HN_TRY(hn_cli_remote_list(cli, scope, list, &err));  // a table for people, entries for --json
 *
 * Ownership: `list` is borrowed and gets new entries. Threading: main thread. */
#ifndef HN_CLI_REMOTE_LIST_H
#define HN_CLI_REMOTE_LIST_H

#include "cli/command.h"
#include "project/project.h"

hn_status hn_cli_remote_list(hn_cli *cli, const hn_scope *scope, json_t *list, hn_error *err) HN_MUST_CHECK;

#endif
