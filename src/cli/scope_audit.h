/* The data audit on the command line: `hone scope`'s part of it, its remedy, and the question that `hone eval` asks first.
 *
 *     HN_TRY(hn_cli_audit_run(cli, &p, &audit, err));
 *     hn_cli_audit_print(cli, &p, &audit);
 *     if (audit.stops) return hn_leaks_fail(&audit.leaks, HN_ERR_GATE, err);
 *     hn_audit_free(&audit);
 *
 * Ownership: the caller frees the audit. Threading: main thread. */
#ifndef HN_CLI_SCOPE_AUDIT_H
#define HN_CLI_SCOPE_AUDIT_H

#include "cli/project_cli.h"
#include "lifecycle/scope/audit.h"

/* Reads --no-label-check. Lengths in tokens where the project's model is here. */
hn_status hn_cli_audit_run(hn_cli *cli, const hn_cli_project *p, hn_audit *audit, hn_error *err) HN_MUST_CHECK;
void hn_cli_audit_print(hn_cli *cli, const hn_cli_project *p, const hn_audit *audit);
/* `scope --json`'s fields: "excluded", "leaks_across_splits", "repeats", "audit". */
hn_status hn_cli_audit_add_json(const hn_cli_project *p, const hn_audit *audit, json_t *report,
                                hn_error *err) HN_MUST_CHECK;
/* Writes excluded.csv anew so that nothing leaks, and says what changed. */
hn_status hn_cli_audit_fix(hn_cli *cli, hn_error *err) HN_MUST_CHECK;
/* For a command that measures: HN_ERR_INPUT where the data leak, unless `allowed`; *n_leaks then says how many cases do. */
hn_status hn_cli_leaks_check(hn_cli *cli, const hn_cli_project *p, bool allowed, size_t *n_leaks,
                             hn_error *err) HN_MUST_CHECK;

#endif
