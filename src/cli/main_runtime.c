/* hone-runtime: inference alone, as one file that needs nothing else on the machine (linked statically, without libcurl). Its commands are
 * hone's own; those that fetch, or that keep a project's memory, are left out. */
#include "cli/commands.h"

/* clang-format off */
static const hn_command_entry entries[] = {
    {"Models and inference", &hn_cmd_complete},
    {NULL, &hn_cmd_score},
    {NULL, &hn_cmd_chat},
    {NULL, &hn_cmd_tokens},
    {NULL, &hn_cmd_render},
    {NULL, &hn_cmd_models},
    {NULL, &hn_cmd_bench},
    {"Help", &hn_cmd_help},
    {NULL, &hn_cmd_version},
    {NULL, NULL}};
/* clang-format on */

int main(int argc, char **argv) { return hn_program_run(argc, argv, entries); }
