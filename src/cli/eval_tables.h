/* What `hone eval` prints: the table of cells with verdicts, the spread of repetitions, troubles, the best and what is left of its lead.
 *
 *     hn_cli_eval e = {...};                                // filled by cmd_eval.c
 *     HN_TRY(hn_cli_eval_print(&e, &err));
 *
 * Ownership: everything is borrowed from cmd_eval.c. Threading: main thread. */
#ifndef HN_CLI_EVAL_TABLES_H
#define HN_CLI_EVAL_TABLES_H

#include "cli/project_cli.h"
#include "lifecycle/eval/matrix_report.h"

typedef struct hn_cli_eval {
    hn_cli *cli;
    hn_cli_project p;
    hn_eval_matrix *matrix;
    hn_baselines baselines; /* on the same cases */
    hn_eval_matrix_report report;
    bool reported; /* all cells are done and `report` is there */
    hn_progress progress;
} hn_cli_eval;

/* The table alone; also of a matrix that was stopped (candidates that are done, without verdicts). */
hn_status hn_cli_eval_table(const hn_cli_eval *e, hn_error *err) HN_MUST_CHECK;
/* Everything that stands below it about the matrix itself: spread, verdicts' basis, the best, troubles. */
void hn_cli_eval_remarks(const hn_cli_eval *e);

#endif
