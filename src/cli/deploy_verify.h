/* hone deploy --verify: a release's cases asked through a running server.
 *
 *     HN_TRY(hn_cli_deploy_verify(cli, &err));              // cli->positional[0]: the release
 *
 * Without --url a server is begun in this process on a free port of this machine, and stopped afterwards. Threading: main thread. */
#ifndef HN_CLI_DEPLOY_VERIFY_H
#define HN_CLI_DEPLOY_VERIFY_H

#include "cli/command.h"

/* The result is printed, and kept with the release. HN_ERR_GATE where an answer differs. */
hn_status hn_cli_deploy_verify(hn_cli *cli, hn_error *err) HN_MUST_CHECK;

#endif
