/* What commands say of the ledger of looks at the test split.
 *
 *     hn_cli_print_correction_of_best(cli, &ledger);
 *
 * Threading: main thread. */
#ifndef HN_CLI_LEDGER_CLI_H
#define HN_CLI_LEDGER_CLI_H

#include "cli/command.h"
#include "lifecycle/iterate/ledger.h"

/* One line; nothing where there are fewer than two candidates on the same cases. */
void hn_cli_print_correction_of_best(hn_cli *cli, const hn_ledger *l);

#endif
