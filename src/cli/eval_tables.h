/* What `hone eval` prints and writes: the table of cells with verdicts, the spread of repetitions, troubles, the best and what is left of its
 * lead (eval_tables.c); gate and files (eval_gate.c).
 *
 *     hn_cli_eval e = {...};                                // filled by cmd_eval.c
 *     HN_TRY(hn_cli_eval_print(&e, &err));
 *
 * Ownership: everything is borrowed from cmd_eval.c. Threading: main thread. */
#ifndef HN_CLI_EVAL_TABLES_H
#define HN_CLI_EVAL_TABLES_H

#include "cli/project_cli.h"
#include "lifecycle/eval/gate.h"
#include "lifecycle/eval/matrix_report.h"

typedef struct hn_cli_eval {
    hn_cli *cli;
    hn_cli_project p;
    hn_eval_matrix *matrix;
    hn_baselines baselines; /* on the same cases */
    hn_eval_matrix_report report;
    bool reported; /* all cells are done and `report` is there */
    hn_progress progress;
    hn_gate *gate;           /* --gate; NULL: none */
    hn_gate_result *gates;   /* (n_cells) once it was worked out */
    const char *const *outs; /* (n_outs) --out */
    size_t n_outs;
} hn_cli_eval;

/* The table alone; also of a matrix that was stopped (candidates that are done, without verdicts). */
hn_status hn_cli_eval_table(const hn_cli_eval *e, hn_error *err) HN_MUST_CHECK;
/* Everything that stands below it about the matrix itself: spread, verdicts' basis, the best, troubles. */
void hn_cli_eval_remarks(const hn_cli_eval *e);

/* --gate and --out, read and checked before any work: mistakes in them must not show after an hour. */
hn_status hn_cli_eval_gate_open(hn_cli_eval *e, const hn_reference_source *source, hn_error *err) HN_MUST_CHECK;
/* Works out the gate for every cell. */
hn_status hn_cli_eval_gate_check(hn_cli_eval *e, const hn_reference_source *source, hn_error *err) HN_MUST_CHECK;
void hn_cli_eval_gate_print(const hn_cli_eval *e);
/* Every cell passed, or there is no gate. */
bool hn_cli_eval_gate_passed(const hn_cli_eval *e);
/* HN_ERR_GATE unless it was passed. */
hn_status hn_cli_eval_gate_status(const hn_cli_eval *e, hn_error *err) HN_MUST_CHECK;
/* Writes the files; `json` is the result as --json prints it. */
hn_status hn_cli_eval_out_write(const hn_cli_eval *e, const json_t *json, hn_error *err) HN_MUST_CHECK;
void hn_cli_eval_gate_close(hn_cli_eval *e);

#endif
