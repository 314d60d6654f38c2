/* hone tag: a name for a run. */
#include "cli/commands.h"
#include "cli/project_cli.h"

#include <stdio.h>

static hn_status tag_run(hn_cli *cli, hn_store *store, hn_error *err) {
    hn_run *found;
    char name[32];
    HN_TRY(hn_run_find(store, cli->positional[0], &found, err));
    int64_t id = found->id;
    hn_run_free(found);
    HN_TRY(hn_run_tag(store, id, cli->positional[1], err));
    snprintf(name, sizeof name, "r%lld", (long long)id);
    if (cli->out->json) return hn_cli_result(cli, json_pack("{s:s, s:s}", "run", name, "tag", cli->positional[1]), err);
    hn_output_print(cli->out, "%s is now %s\n", name, cli->positional[1]);
    return HN_OK;
}

static hn_status run(hn_cli *cli, hn_error *err) {
    hn_cli_project p;
    HN_TRY(hn_cli_project_open(HN_CLI_STORE, &p, err));
    hn_status st = tag_run(cli, p.store, err);
    hn_cli_project_close(&p);
    return st;
}

const hn_command hn_cmd_tag = {
    .name = "tag",
    .summary = "give a run a name",
    .usage = "RUN NAME",
    .description =
        "The name can then stand for the run: `hone compare best last`. A name that another run had moves to this one.",
    .min_args = 2,
    .max_args = 2,
    .examples = "  hone tag r6 best\n  hone tag last candidate",
    .run = run,
};
