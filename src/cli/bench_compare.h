/* `hone bench --compare PATH`: hone beside llama.cpp on the same files, in turns; see bench_compare.c and bench/README.md.
 *
 *     if (hn_cli_given(cli, "compare")) return hn_bench_compare(cli, &options, err);
 *
 * Reads the options compare, rows, turns, model and prints the table or its JSON. Threading: main thread. */
#ifndef HN_CLI_BENCH_COMPARE_H
#define HN_CLI_BENCH_COMPARE_H

#include "cli/command.h"
#include "engine/engine.h"

#define HN_COMPARE_ROWS "prefill,decode,streams,long,start"

/* HN_ERR_NOT_FOUND: a tool or every model file is missing; HN_ERR_INPUT: a tool failed, its output is not understood, or the two programs'
 * greedy texts disagree. */
hn_status hn_bench_compare(hn_cli *cli, const hn_engine_options *options, hn_error *err) HN_MUST_CHECK;

#endif
