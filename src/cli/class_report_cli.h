/* The classification report for people: a row for each label, their averages, agreement beyond chance, loss, time.
 *
 *     HN_TRY(hn_cli_print_class_report(cli, "r7", &report, &predictions, &err));
 *
 * Threading: main thread. */
#ifndef HN_CLI_CLASS_REPORT_CLI_H
#define HN_CLI_CLASS_REPORT_CLI_H

#include "cli/command.h"
#include "lifecycle/eval/class_report.h"

hn_status hn_cli_print_class_report(hn_cli *cli, const char *title, const hn_report *report,
                                    const hn_prediction_list *list, hn_error *err) HN_MUST_CHECK;

#endif
