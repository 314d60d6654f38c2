/* What trainings from preference pairs and from a teacher show beside the rest; see tune_show.h.
 *
 *     hn_cli_tune_rewards_print(out, epoch);                              // nothing where there are none
 *     HN_TRY(hn_cli_tune_distillation_print(&tuning, &result, &err));     // the same
 *
 * Threading: main thread. */
#ifndef HN_CLI_TUNE_SHOW_METHODS_H
#define HN_CLI_TUNE_SHOW_METHODS_H

#include "cli/tune_show.h"

/* "token", "pair", "case": what a method's loss is counted over. */
const char *hn_cli_tune_loss_unit(const char *method);
void hn_cli_tune_rewards_print(hn_output *out, const hn_tune_epoch *e);
/* Two cells: the share of pairs whose chosen answer is preferred, and the mean margin. */
void hn_cli_tune_rewards_cells(hn_table *table, const hn_tune_epoch *e);
hn_status hn_cli_tune_distillation_print(hn_cli_tuning *t, const hn_tune_result *r, hn_error *err) HN_MUST_CHECK;
/* As the run's summary has it; null where the run is no distillation. New reference. */
json_t *hn_cli_tune_distillation_json(const hn_tune_result *r);

#endif
