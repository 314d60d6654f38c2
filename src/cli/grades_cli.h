/* Graders' results for people: a table beside `hone eval`'s, lines in `hone show`, verdicts in `hone compare`.
 *
 *     HN_TRY(hn_cli_grade_table(cli, names, runs, n, &err));           // prompts down, graders across
 *     HN_TRY(hn_cli_grade_lines(cli, run, &err));
 *
 * Nothing is printed for runs without graders, or with --json. Threading: main thread. */
#ifndef HN_CLI_GRADES_CLI_H
#define HN_CLI_GRADES_CLI_H

#include "cli/command.h"
#include "lifecycle/eval/grade_run.h"
#include "lifecycle/iterate/compare.h"

/* `names` (n): what the rows are called, beside the runs. */
hn_status hn_cli_grade_table(hn_cli *cli, const char *const *names, const hn_run *const *runs, size_t n,
                             hn_error *err) HN_MUST_CHECK;
hn_status hn_cli_grade_lines(hn_cli *cli, const hn_run *run, hn_error *err) HN_MUST_CHECK;
hn_status hn_cli_grade_verdicts(hn_cli *cli, hn_store *store, const hn_comparison *c, hn_error *err) HN_MUST_CHECK;
/* Where hone.yaml's metric is neither accuracy nor macro F1: each run's verdict by it against `reference`, one of them (SIZE_MAX: the first), Holm applied.
 * `runs` (n) beside their names. */
typedef struct hn_cli_metric_runs {
    hn_store *store;
    const hn_scope *scope;
    const char *const *names;
    const hn_metric_run *runs;
    size_t n, reference;
} hn_cli_metric_runs;
hn_status hn_cli_metric_verdicts(hn_cli *cli, const hn_cli_metric_runs *m, hn_error *err) HN_MUST_CHECK;
/* The same as "metric_comparisons" of a command's JSON. */
hn_status hn_cli_metric_verdicts_json(const hn_cli_metric_runs *m, json_t *value, hn_error *err) HN_MUST_CHECK;
/* Gives each of value's "predictions" its "grades": {"exact": {"value": 1.0, "details": {..}}}; nothing where there are no predictions. */
hn_status hn_cli_prediction_grades_json(hn_store *store, const hn_run *run, json_t *value, hn_error *err) HN_MUST_CHECK;
/* Adds "graders" to a command's JSON: of a run, and of a comparison. Nothing where there are none. */
hn_status hn_cli_grades_json(const hn_run *run, json_t *value, hn_error *err) HN_MUST_CHECK;
hn_status hn_cli_grade_verdicts_json(hn_store *store, const hn_comparison *c, json_t *value,
                                     hn_error *err) HN_MUST_CHECK;

#endif
