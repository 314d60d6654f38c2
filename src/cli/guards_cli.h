/* What guards and groundedness have to say of a run, on the command line.
 *
 *     HN_TRY(hn_cli_print_guards(cli, scope, prompt->name, &predictions, err));
 *     HN_TRY(hn_cli_guards_add_json(scope, &predictions, value, err));          // "guards", "groundedness"
 *
 * Nothing is printed or added where no answer met a guard or a context. Threading: main thread. */
#ifndef HN_CLI_GUARDS_CLI_H
#define HN_CLI_GUARDS_CLI_H

#include "cli/command.h"
#include "project/project.h"
#include "store/store.h"

hn_status hn_cli_print_guards(hn_cli *cli, const hn_scope *scope, const char *name, const hn_prediction_list *list,
                              hn_error *err) HN_MUST_CHECK;
/* On an error `value` stays the caller's. */
hn_status hn_cli_guards_add_json(const hn_scope *scope, const hn_prediction_list *list, json_t *value,
                                 hn_error *err) HN_MUST_CHECK;

#endif
