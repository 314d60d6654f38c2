/* The program: its commands, in the order of a project's life. Each lives in cmd_<verb>.c; program.c runs them. */
#include "cli/commands.h"
#include "cli/inference.h"
#include "cli/tune_cli.h"

/* One command a line. */
/* clang-format off */
static const hn_command_entry entries[] = {
    {"A project, from its data on", &hn_cmd_init},
    {NULL, &hn_cmd_scope},
    {NULL, &hn_cmd_tokens},
    {NULL, &hn_cmd_eval},
    {NULL, &hn_cmd_compare},
    {NULL, &hn_cmd_tune},
    {NULL, &hn_cmd_regrade},
    {NULL, &hn_cmd_judge},
    {NULL, &hn_cmd_calibrate},
    {NULL, &hn_cmd_ledger},
    {NULL, &hn_cmd_log},
    {NULL, &hn_cmd_show},
    {NULL, &hn_cmd_diff},
    {NULL, &hn_cmd_history},
    {NULL, &hn_cmd_replay},
    {NULL, &hn_cmd_export},
    {NULL, &hn_cmd_deploy},
    {NULL, &hn_cmd_releases},
    {NULL, &hn_cmd_rollback},
    {NULL, &hn_cmd_gc},
    {NULL, &hn_cmd_tag},
    {NULL, &hn_cmd_star},
    {NULL, &hn_cmd_note},
    {"Models and inference, with or without a project", &hn_cmd_complete},
    {NULL, &hn_cmd_score},
    {NULL, &hn_cmd_embed},
    {NULL, &hn_cmd_chat},
    {NULL, &hn_cmd_serve},
    {NULL, &hn_cmd_render},
    {NULL, &hn_cmd_pull},
    {NULL, &hn_cmd_quantize},
    {NULL, &hn_cmd_train_tokenizer},
    {NULL, &hn_cmd_models},
    {NULL, &hn_cmd_bench},
    {"Help", &hn_cmd_help},
    {NULL, &hn_cmd_version},
    {NULL, NULL}};
/* clang-format on */

int main(int argc, char **argv) {
    hn_cli_remote = hn_cli_remote_open;
    hn_cli_tuned = hn_cli_tuned_path;
    return hn_program_run(argc, argv, entries);
}
