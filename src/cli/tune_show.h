/* A training as its user sees it: the progress line, a line an epoch, curves and the result at the end; and what the command has open meanwhile.
 *
 *     hn_tune_hooks hooks = hn_cli_tune_hooks(&tuning);
 *     hn_status st = hn_tune_run(&tuning.setup, &hooks, &result, &err);
 *     hn_cli_tune_progress_end(&tuning);
 *     HN_TRY(hn_cli_tune_print(&tuning, &result, &err));              // or hn_cli_tune_json for programs
 *
 * Threading: main thread. */
#ifndef HN_CLI_TUNE_SHOW_H
#define HN_CLI_TUNE_SHOW_H

#include "cli/project_cli.h"
#include "cli/tune_scratch.h"
#include "cli/tune_settings.h"

typedef struct hn_cli_tuning {
    hn_cli *cli;
    hn_cli_project p; /* empty: --data without a project */
    hn_store *store;  /* of its own then, else NULL */
    char store_dir[HN_PATH_MAX], source[HN_PATH_MAX];
    hn_prompt *prompt;
    hn_train_data *data;
    hn_provider *base;
    hn_prompt *teacher_prompt; /* distill; else NULL */
    hn_provider *teacher;      /* distill: NULL: the base */
    const char *base_name;     /* NULL: the project's */
    hn_cli_tune_settings settings;
    hn_tune_setup setup;
    size_t n_train; /* cases or rows that there are to train on */
    hn_progress progress;
    bool shown, quiet; /* quiet: no line an epoch */
    const char *title; /* what the progress line begins with; NULL: "training" */
    double dev;        /* the newest score, to be shown beside the loss; NaN: none yet */
    bool dev_is_loss;
    hn_cli_scratch scratch; /* --method scratch: the new model */
} hn_cli_tuning;

hn_tune_hooks hn_cli_tune_hooks(hn_cli_tuning *t);
void hn_cli_tune_progress_end(hn_cli_tuning *t);
hn_status hn_cli_tune_print(hn_cli_tuning *t, const hn_tune_result *r, hn_error *err) HN_MUST_CHECK;
/* New reference; NULL when memory is used up. */
json_t *hn_cli_tune_json(const hn_cli_tuning *t, const hn_tune_result *r);
json_t *hn_cli_tune_estimate_json(const hn_estimate *e); /* null for no number */
/* "dev accuracy 85.0 % [80.1, 89.2]", "held-out loss 1.234 [1.1, 1.4] nats a token, perplexity 3.43". */
char *hn_cli_tune_score_text(const hn_tune_result *r, char out[128]);

#endif
