/* Several trainings by one command: `--curve 50,100,200` (how good so many labels make it) and `--sweep SETTING=A,B` (which settings are best).
 *
 *     if (hn_cli_given(cli, "curve")) return hn_cli_tune_curve(&tuning, n_train, &err);
 *     if (hn_cli_given(cli, "sweep")) return hn_cli_tune_sweep(&tuning, n_train, &err);
 *
 * Each training is a run of its own: one that is done already is not done again, so that a command that was stopped goes on. Threading: main thread. */
#ifndef HN_CLI_TUNE_TRIALS_H
#define HN_CLI_TUNE_TRIALS_H

#include "cli/tune_show.h"

/* `n_train`: cases or rows that there are to train on. Both print their result. */
hn_status hn_cli_tune_curve(hn_cli_tuning *t, size_t n_train, hn_error *err) HN_MUST_CHECK;
hn_status hn_cli_tune_sweep(hn_cli_tuning *t, size_t n_train, hn_error *err) HN_MUST_CHECK;

#endif
