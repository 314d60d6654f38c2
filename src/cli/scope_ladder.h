/* The ladder as `hone scope` shows it: climbing with progress, the table, learning curves, the narrower start and what to do next.
 *
 *     static const hn_option options[] = {HN_LADDER_OPTIONS, {0}};
 *     HN_TRY(hn_cli_scope_ladder(cli, &project, NULL, &err));            // prints
 *     HN_TRY(hn_cli_scope_ladder(cli, &project, value, &err));           // adds "ladder" to the JSON object
 *
 * Threading: main thread. */
#ifndef HN_CLI_SCOPE_LADDER_H
#define HN_CLI_SCOPE_LADDER_H

#include "cli/project_cli.h"

#define HN_LADDER_OPTIONS                                                                                              \
    {.name = "model",                                                                                                  \
     .letter = 'm',                                                                                                    \
     .kind = HN_OPTION_LIST,                                                                                           \
     .value = "MODEL",                                                                                                 \
     .help = "a model whose rungs are measured; may be repeated (default: the project's, where it is on this "         \
             "machine)"},                                                                                              \
        {.name = "quick", .kind = HN_OPTION_FLAG, .help = "only what takes no model: seconds"},                        \
        {.name = "limit",                                                                                              \
         .kind = HN_OPTION_INT,                                                                                        \
         .value = "N",                                                                                                 \
         .otherwise = "0",                                                                                             \
         .low = 0,                                                                                                     \
         .high = 1e9,                                                                                                  \
         .help = "the first N dev cases of their fixed random order; 0: all, and 400 for prompts"},                    \
        {.name = "no-cache", .kind = HN_OPTION_FLAG, .help = "measure again what is kept"}, {                          \
        .name = "threads", .letter = 't', .kind = HN_OPTION_INT, .value = "N", .low = 1, .high = 1024,                 \
        .help = "threads (default: one per CPU)"                                                                       \
    }

/* The command must have HN_LADDER_OPTIONS. `value`: NULL prints for people. */
hn_status hn_cli_scope_ladder(hn_cli *cli, const hn_cli_project *p, json_t *value, hn_error *err) HN_MUST_CHECK;

#endif
