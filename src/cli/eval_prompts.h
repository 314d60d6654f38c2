/* The prompt files that a command names: files, names under prompts/, whole folders; without a name all of prompts/.
 *
 *     const char **paths; size_t n;
 *     HN_TRY(hn_cli_prompt_list(cli, &p, &paths, &n, &err));        // from cli->positional
 *
 * Ownership: paths lie in the command's arena. Threading: main thread. */
#ifndef HN_CLI_EVAL_PROMPTS_H
#define HN_CLI_EVAL_PROMPTS_H

#include "cli/project_cli.h"

/* A prompt that is named twice (1-vague, prompts/1-vague.yaml, its folder) is listed once. HN_ERR_NOT_FOUND, HN_ERR_LIMIT past 1,000. */
hn_status hn_cli_prompt_list(hn_cli *cli, const hn_cli_project *p, const char *const **paths, size_t *n,
                             hn_error *err) HN_MUST_CHECK;

#endif
