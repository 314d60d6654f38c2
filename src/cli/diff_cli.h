/* What differs between two runs, for people: what `hone diff` prints, and the part of it that `hone show` says of a run and the one before.
 *
 *     HN_TRY(hn_run_diff(&setup, &diff, err));
 *     hn_cli_print_diff(cli, diff, 5, false);
 *
 * Ownership: nothing is kept. Threading: main thread. */
#ifndef HN_CLI_DIFF_CLI_H
#define HN_CLI_DIFF_CLI_H

#include "cli/command.h"
#include "format/json.h"

/* `n_cases`: how many of the cases that differ; by_token: texts token by token instead of word by word, where the diff has tokens. */
void hn_cli_print_diff(hn_cli *cli, const json_t *diff, size_t n_cases, bool by_token);

#endif
