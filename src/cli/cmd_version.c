/* hone version: which program this is. */
#include "cli/commands.h"

static hn_status run(hn_cli *cli, hn_error *err) {
    if (cli->out->json) return hn_cli_result(cli, json_pack("{s:s,s:s}", "name", "hone", "version", HONE_VERSION), err);
    hn_output_print(cli->out, "hone %s\n", HONE_VERSION);
    return HN_OK;
}

const hn_command hn_cmd_version = {.name = "version", .summary = "the program's version", .usage = "", .run = run};
