/* The command framework: one table entry and one file cmd_<verb>.c for each command; parsing, help and suggestions come
 * from the option table.
 *
 *     static const hn_option options[] = {
 *         {.name = "model", .letter = 'm', .kind = HN_OPTION_STRING, .value = "MODEL", .help = "catalogue name or path"},
 *         {.name = "max-tokens", .kind = HN_OPTION_INT, .value = "N", .otherwise = "128", .low = 0, .high = 1e6, .help = "..."},
 *         {0}};
 *     const hn_command hn_cmd_complete = {.name = "complete", .summary = "...", .usage = "[OPTIONS]", .options = options, .run = run};
 *
 * In run: hn_cli_string(cli, "model"), hn_cli_int(cli, "max-tokens"), cli->positional[0]. Every command has --json and --help
 * without listing them. `run` prints its result (hn_cli_result for JSON) or returns a status with `err` filled: main prints it and
 * exits with its status. Ownership: all texts belong to the hn_cli and live as long as the command runs. Threading: main thread. */
#ifndef HN_CLI_COMMAND_H
#define HN_CLI_COMMAND_H

#include "base/alloc.h"
#include "base/status.h"
#include "cli/output.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum hn_option_kind {
    HN_OPTION_FLAG = 1, /* --echo; takes no value */
    HN_OPTION_STRING,
    HN_OPTION_INT,
    HN_OPTION_REAL,
    HN_OPTION_SIZE,   /* "512", "64k", "1.5G" */
    HN_OPTION_CHOICE, /* `value` lists what is allowed: "low|full" */
    HN_OPTION_LIST,   /* may be repeated; the values in order */
} hn_option_kind;

typedef struct hn_option {
    const char *name; /* "max-tokens", without dashes; NULL ends a table */
    char letter;      /* 'm' for -m; 0: none */
    hn_option_kind kind;
    const char *value;     /* how help calls the value: "N", "FILE", "low|full" */
    const char *help;      /* one or a few sentences, without a final full stop */
    const char *otherwise; /* default, as it would be typed; shown in help; NULL: none */
    double low, high;      /* INT and REAL: allowed range where low < high */
} hn_option;

typedef struct hn_cli hn_cli;

typedef struct hn_command {
    const char *name;         /* "complete" */
    const char *summary;      /* one line for the overview */
    const char *usage;        /* what follows `hone complete`: "[OPTIONS] PROMPT..." */
    const char *description;  /* paragraphs for --help; lines are printed as they are; may be NULL */
    const hn_option *options; /* ended by {0}; may be NULL */
    int min_args, max_args;   /* positional arguments; max_args -1: any number */
    const char *examples;     /* lines for --help, each a command; may be NULL */
    hn_status (*run)(hn_cli *cli, hn_error *err);
} hn_command;

/* What main hands to a command. */
struct hn_cli {
    const hn_command *command;
    hn_output *out;
    const char *const *positional; /* (n_positional) */
    int n_positional;
    struct hn_option_value *values;         /* beside command->options; through the functions below */
    hn_arena *arena;                        /* for what lives as long as the command */
    const struct hn_command_entry *entries; /* all commands, for help */
    bool help;                              /* --help was given */
    bool reported; /* the result is printed and tells of the failure itself: with --json the status alone follows */
};

/* One line of main's table; a heading starts a group in the overview. */
typedef struct hn_command_entry {
    const char *heading;       /* NULL: same group as the line before */
    const hn_command *command; /* NULL ends the table */
} hn_command_entry;

/* What every command takes without listing it: --json, --help. Ended by {0}. */
extern const hn_option hn_cli_common_options[];

/* Parses `argv` (what follows the command's name) by the command's table into `cli`. `cli` must have command, out and arena set. */
hn_status hn_cli_parse(hn_cli *cli, int argc, const char *const *argv, hn_error *err) HN_MUST_CHECK;

/* Values of options. A name that is not in the command's table is a defect (assert). Without a default: false, NULL, 0, 0.0. */
bool hn_cli_flag(const hn_cli *cli, const char *name);
bool hn_cli_given(const hn_cli *cli, const char *name);         /* it stood on the command line */
const char *hn_cli_string(const hn_cli *cli, const char *name); /* STRING and CHOICE */
int64_t hn_cli_int(const hn_cli *cli, const char *name);
double hn_cli_real(const hn_cli *cli, const char *name);
size_t hn_cli_size(const hn_cli *cli, const char *name);
const char *const *hn_cli_list(const hn_cli *cli, const char *name, size_t *n);

/* HN_ERR_USAGE in the common form, with `hone help COMMAND` as the remedy. */
hn_status hn_cli_usage(const hn_cli *cli, hn_error *err, const char *fmt, ...) HN_PRINTF(3, 4);
/* HN_ERR_USAGE unless exactly (or, where not `required`, at most) one of the options, a NULL-ended list of names, was given. */
hn_status hn_cli_one_of(const hn_cli *cli, const char *const *names, bool required, hn_error *err) HN_MUST_CHECK;

/* Prints a command's result as JSON on standard output, with a newline; takes over the reference. NULL `value` (a json_pack that
 * failed) is HN_ERR_MEMORY. */
hn_status hn_cli_result(hn_cli *cli, json_t *value, hn_error *err) HN_MUST_CHECK;
/* A JSON string of any bytes: invalid UTF-8 is shown as U+FFFD when it is written. */
json_t *hn_cli_text(const char *bytes, size_t n);

/* Help text: of one command, and the overview (cli/help.c). */
hn_status hn_help_command(hn_cli *cli, const hn_command *command, hn_error *err) HN_MUST_CHECK;
hn_status hn_help_overview(hn_cli *cli, hn_error *err) HN_MUST_CHECK;
/* HN_ERR_USAGE for an unknown command, with the nearest names. */
hn_status hn_help_unknown(const hn_command_entry *entries, const char *name, hn_error *err);
const hn_command *hn_help_find(const hn_command_entry *entries, const char *name);

#endif
