/* hone version: which program this is, and with which arithmetic it would compute here. */
#include "cli/commands.h"
#include "kernel/kernel.h"

#include <stdio.h>

static hn_status run(hn_cli *cli, hn_error *err) {
    const hn_kernels *kernels;
    char path[64];
    HN_TRY(hn_kernels_choose(NULL, &kernels, err));
    snprintf(path, sizeof path, "k%d/%s", HN_KERNEL_VERSION, kernels->name);
    if (cli->out->json)
        return hn_cli_result(
            cli, json_pack("{s:s,s:s,s:s}", "name", "hone", "version", HONE_VERSION, "numeric_path", path), err);
    hn_output_print(cli->out, "hone %s (computes as %s: %s)\n", HONE_VERSION, path, kernels->arithmetic);
    return HN_OK;
}

const hn_command hn_cmd_version = {
    .name = "version", .summary = "the program's version, and how it computes here", .usage = "", .run = run};
