/* The loss mask as an overlay: what `hone tokens --loss` shows of a prompt's case, and `hone tokens --data FILE` of training data.
 *
 *     HN_TRY(hn_cli_tokens_loss_prompt(cli, &project, prompt, model, &err));
 *     HN_TRY(hn_cli_tokens_loss_data(cli, model, &err));            // --data, --row, --max-tokens
 *
 * Learned tokens stand in colour, or between [[ and ]] where colours are off. Threading: main thread. */
#ifndef HN_CLI_TOKENS_LOSS_H
#define HN_CLI_TOKENS_LOSS_H

#include "cli/project_cli.h"
#include "model/model.h"
#include "project/prompt.h"

/* The case that --case names with its target as the answer. HN_ERR_INPUT: it has no target. */
hn_status hn_cli_tokens_loss_prompt(hn_cli *cli, const hn_cli_project *p, const hn_prompt *prompt,
                                    const hn_model *model, hn_error *err) HN_MUST_CHECK;
/* A row of --data (default: the first); where --row is not given, all rows are checked too and what training must not see is refused. */
hn_status hn_cli_tokens_loss_data(hn_cli *cli, const hn_model *model, hn_error *err) HN_MUST_CHECK;

#endif
