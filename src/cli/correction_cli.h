/* What an evaluation says of corrected probabilities and of cases left to a person, a line or two for each run.
 *
 *     HN_TRY(hn_cli_print_correction(cli, scope, prompt, run, &predictions, &report, &err));
 *
 * Nothing is printed where neither prompt nor scope asks for it. Threading: main thread. */
#ifndef HN_CLI_CORRECTION_CLI_H
#define HN_CLI_CORRECTION_CLI_H

#include "cli/command.h"
#include "lifecycle/eval/correction_run.h"

hn_status hn_cli_print_correction(hn_cli *cli, const hn_scope *scope, const hn_prompt *prompt, const hn_run *run,
                                  const hn_prediction_list *list, const hn_report *report, hn_error *err) HN_MUST_CHECK;

#endif
