/* `hone bench --kernels`: each fast kernel's rate and its share of the machine's limit (kernel/rates.h).
 *
 *     if (hn_cli_given(cli, "kernels")) return hn_bench_rates(cli, n_threads, &err);
 *
 * Without a model the shapes are SmolLM2-135M's; with --model they are that model's. Threading: main thread. */
#ifndef HN_CLI_BENCH_RATES_H
#define HN_CLI_BENCH_RATES_H

#include "cli/command.h"

/* What is measured unless --formats says otherwise. */
#define HN_RATES_FORMATS "Q4_1,Q8_0,BF16,F32"

/* Reads --formats, --seconds and --model; prints a table, or JSON. */
hn_status hn_bench_rates(hn_cli *cli, int n_threads, hn_error *err) HN_MUST_CHECK;

#endif
