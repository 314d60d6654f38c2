/* hone help [COMMAND]: the overview, one command, or a topic (`errors`). */
#include "cli/commands.h"

#include <string.h>

static hn_status print_errors(hn_cli *cli, hn_error *err) {
    hn_table *table = hn_table_create(cli->out);
    json_t *list = json_array();
    hn_table_column(table, "CODE", HN_ALIGN_LEFT);
    hn_table_column(table, "EXIT", HN_ALIGN_RIGHT);
    hn_table_column(table, "MEANING", HN_ALIGN_LEFT);
    for (int code = 0; code < HN_STATUS_COUNT; code++) {
        hn_status st = (hn_status)code;
        hn_table_row(table);
        hn_table_cell(table, "%s", hn_status_name(st));
        hn_table_cell(table, "%d", hn_status_exit(st));
        hn_table_cell(table, "%s", hn_status_text(st));
        json_array_append_new(list,
                              json_pack("{s:s,s:s,s:i,s:i}", "code", hn_status_name(st), "meaning", hn_status_text(st),
                                        "exit", hn_status_exit(st), "http", hn_status_http(st)));
    }
    hn_status st = hn_table_print(table, err);
    if (st == HN_OK && cli->out->json) return hn_cli_result(cli, json_pack("{s:o}", "errors", list), err);
    json_decref(list);
    return st;
}

static hn_status run(hn_cli *cli, hn_error *err) {
    if (cli->n_positional == 0) return hn_help_overview(cli, err);
    if (strcmp(cli->positional[0], "errors") == 0) return print_errors(cli, err);
    const hn_command *found = hn_help_find(cli->entries, cli->positional[0]);
    return found ? hn_help_command(cli, found, err) : hn_help_unknown(cli->entries, cli->positional[0], err);
}

const hn_command hn_cmd_help = {.name = "help",
                                .summary = "this overview, or one command explained",
                                .usage = "[COMMAND | errors]",
                                .description = "`hone help errors` lists the error codes and exit statuses.",
                                .max_args = 1,
                                .run = run};
