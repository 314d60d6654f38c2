/* Models elsewhere on the command line: opening one, and what the environment says about recording.
 *
 *     hn_cli_remote = hn_cli_remote_open;                  // main.c; hone-runtime has no HTTP client and leaves it NULL
 *
 * HONE_RECORD=DIR writes each exchange with an endpoint there, HONE_REPLAY=DIR answers from there and sends nothing. Threading: main thread. */
#ifndef HN_CLI_REMOTE_CLI_H
#define HN_CLI_REMOTE_CLI_H

#include "project/models.h"
#include "provider/provider.h"

typedef hn_status hn_cli_remote_opener(const hn_remote_model *model, double budget, hn_provider **provider,
                                       hn_error *err);

hn_cli_remote_opener hn_cli_remote_open;

#endif
