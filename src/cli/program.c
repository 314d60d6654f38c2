/* What every program of hone does around its commands: finds the command, parses its options, runs it, prints its error and turns its
 * status into an exit status. */
#include "base/interrupt.h"
#include "cli/commands.h"
#include "format/json.h"

#include <string.h>

/* An error in the command line itself must already be JSON where --json stands anywhere in it. */
static bool asks_for_json(int argc, const char *const *argv) {
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--json") == 0) return true;
    return false;
}

static hn_status run_command(hn_cli *cli, int argc, const char *const *argv, hn_error *err) {
    HN_TRY(hn_cli_parse(cli, argc, argv, err));
    if (cli->help) return hn_help_command(cli, cli->command, err);
    return cli->command->run(cli, err);
}

static hn_status dispatch(hn_cli *cli, int argc, const char *const *argv, hn_error *err) {
    const hn_command_entry *entries = cli->entries;
    const char *name = argc > 1 ? argv[1] : "help";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "--json") == 0)
        name = "help";
    else if (strcmp(name, "--version") == 0)
        name = "version";
    cli->command = hn_help_find(entries, name);
    if (!cli->command) return hn_help_unknown(entries, name, err);
    bool named = argc > 1 && strcmp(argv[1], "--json") != 0;
    return run_command(cli, argc > 1 ? argc - 1 - named : 0, argv + 1 + named, err);
}

int hn_program_run(int argc, char **argv, const hn_command_entry *entries) {
    hn_output out;
    hn_error err = {0}, late = {0};
    hn_interrupt_install();
    hn_json_init();
    hn_output_init(&out);
    const char *const *arguments = (const char *const *)argv;
    out.json = asks_for_json(argc, arguments);
    hn_cli cli = {.out = &out, .entries = entries, .arena = hn_arena_create(0)};
    hn_status st = cli.arena ? dispatch(&cli, argc, arguments, &err) : hn_fail_memory(&err, 0);
    bool told = st == HN_ERR_GATE && out.json; /* the result on standard output says so */
    if (st != HN_OK && !told) {
        err.code = st;
        if (!(cli.reported && out.json)) hn_output_error(&out, &err);
    }
    hn_status finished = hn_output_finish(&late);
    if (finished != HN_OK && st == HN_OK) {
        out.json = false; /* standard output is what failed */
        hn_output_error(&out, &late);
        st = finished;
    }
    hn_arena_free(cli.arena);
    return hn_status_exit(st);
}
