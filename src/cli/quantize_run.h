/* hone quantize RUN --formats: the formats tried on the run's task, and the smallest that is not worse.
 *
 *     if (hn_cli_given(cli, "formats")) return hn_cli_quantize_run(cli, err);
 *
 * Reads --formats, --margin, --model, --threads, --out and --force. Threading: main thread. */
#ifndef HN_CLI_QUANTIZE_RUN_H
#define HN_CLI_QUANTIZE_RUN_H

#include "cli/command.h"

hn_status hn_cli_quantize_run(hn_cli *cli, hn_error *err) HN_MUST_CHECK;

#endif
