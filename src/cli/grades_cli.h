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
/* Adds "graders" to a command's JSON: of a run, and of a comparison. Nothing where there are none. */
hn_status hn_cli_grades_json(const hn_run *run, json_t *value, hn_error *err) HN_MUST_CHECK;
hn_status hn_cli_grade_verdicts_json(hn_store *store, const hn_comparison *c, json_t *value,
                                     hn_error *err) HN_MUST_CHECK;

#endif
