/* Every command of the program, one line each; main.c and main_runtime.c order them into a program's overview.
 *
 *     extern const hn_command hn_cmd_eval;                 // defined in cmd_eval.c
 *     int main(int argc, char **argv) { return hn_program_run(argc, argv, entries); }
 *
 * Ownership: constants. Threading: none. */
#ifndef HN_CLI_COMMANDS_H
#define HN_CLI_COMMANDS_H

#include "cli/command.h"

extern const hn_command hn_cmd_bench;
extern const hn_command hn_cmd_calibrate;
extern const hn_command hn_cmd_chat;
extern const hn_command hn_cmd_complete;
extern const hn_command hn_cmd_compare;
extern const hn_command hn_cmd_deploy;
extern const hn_command hn_cmd_diff;
extern const hn_command hn_cmd_embed;
extern const hn_command hn_cmd_eval;
extern const hn_command hn_cmd_export;
extern const hn_command hn_cmd_gc;
extern const hn_command hn_cmd_help;
extern const hn_command hn_cmd_history;
extern const hn_command hn_cmd_init;
extern const hn_command hn_cmd_judge;
extern const hn_command hn_cmd_ledger;
extern const hn_command hn_cmd_log;
extern const hn_command hn_cmd_models;
extern const hn_command hn_cmd_pull;
extern const hn_command hn_cmd_quantize;
extern const hn_command hn_cmd_regrade;
extern const hn_command hn_cmd_releases;
extern const hn_command hn_cmd_render;
extern const hn_command hn_cmd_replay;
extern const hn_command hn_cmd_rollback;
extern const hn_command hn_cmd_scope;
extern const hn_command hn_cmd_score;
extern const hn_command hn_cmd_serve;
extern const hn_command hn_cmd_show;
extern const hn_command hn_cmd_note;
extern const hn_command hn_cmd_star;
extern const hn_command hn_cmd_tag;
extern const hn_command hn_cmd_tokens;
extern const hn_command hn_cmd_train_tokenizer;
extern const hn_command hn_cmd_tune;
extern const hn_command hn_cmd_version;

/* The whole of a program whose commands are `entries`: returns its exit status. */
int hn_program_run(int argc, char **argv, const hn_command_entry *entries);

#endif
