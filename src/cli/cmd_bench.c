/* hone bench: how fast a model runs here, and how near that is to what the machine can do; with --compare beside llama.cpp
 * (bench_compare.c), with --kernels each kernel by itself (bench_rates.c).
 *
 * limit_share is the least time that the machine needs (hn_speed_limit) divided by the time taken. */
#include "base/clock.h"
#include "base/interrupt.h"
#include "cli/bench_compare.h"
#include "cli/bench_rates.h"
#include "cli/bench_speed.h"
#include "cli/commands.h"
#include "cli/inference.h"

#include <string.h>

enum { SIZES_MAX = 16, DECODE_PROMPT = 64, ROUNDS_MAX = 50, PROMPT_MAX = 8192 };

typedef struct figure {
    int n; /* tokens of a prompt, or streams */
    double tokens_per_s, limit_share;
} figure;

typedef struct bench {
    hn_cli *cli;
    hn_speed *speed;
    double seconds; /* for each figure */
    figure prefill[SIZES_MAX], decode[SIZES_MAX];
    int n_prefill, n_decode;
} bench;

/* The best round counts: whatever else runs on the machine only takes away. */
static hn_status bench_prefill(bench *b, int n, hn_error *err) {
    double best = 1e30, took, until = hn_clock_seconds() + b->seconds;
    HN_TRY(hn_speed_prefill(b->speed, n, &took, err)); /* warms up */
    for (int round = 0; round < 2 || (round < ROUNDS_MAX && hn_clock_seconds() < until); round++) {
        HN_TRY(hn_speed_prefill(b->speed, n, &took, err));
        if (took < best) best = took;
    }
    b->prefill[b->n_prefill++] = (figure){n, n / best, hn_speed_limit(b->speed, n, 1, n / 2.0, 1) / best};
    return HN_OK;
}

static hn_status decode_steps(bench *b, hn_step_item *items, int n, double *best, int *context, hn_error *err) {
    hn_engine *engine = b->speed->engine;
    double until = hn_clock_seconds() + b->seconds;
    for (int step = 0; step < 8 || hn_clock_seconds() < until; step++) {
        if (hn_sequence_length(items[0].sequence) + 1 >= hn_engine_context(engine)) break;
        double start = hn_clock_seconds();
        HN_TRY(hn_interrupt_check(err));
        HN_TRY(hn_engine_step(engine, items, (size_t)n, err));
        double took = hn_clock_seconds() - start;
        if (step < 2 || took >= *best) continue;
        *best = took;
        *context = hn_sequence_length(items[0].sequence);
    }
    return HN_OK;
}

static hn_status bench_decode(bench *b, int n, hn_error *err) {
    hn_speed *s = b->speed;
    hn_step_item items[HN_SPEED_STREAMS_MAX] = {0};
    double best = 1e30;
    int context = 0;
    size_t V = (size_t)hn_model_shape(s->model)->n_vocab;
    hn_status st = HN_OK;
    for (int i = 0; i < n && st == HN_OK; i++) {
        st = hn_sequence_create(s->engine, &items[i].sequence, err);
        items[i].tokens = s->ids + i;
        items[i].n_tokens = s->n_ids - n > DECODE_PROMPT ? DECODE_PROMPT : 1;
        items[i].want = HN_WANT_LOGITS;
        items[i].logits = s->logits + (size_t)i * V;
    }
    if (st == HN_OK) st = hn_engine_step(s->engine, items, (size_t)n, err);
    for (int i = 0; i < n; i++) items[i].n_tokens = 1;
    if (st == HN_OK) st = decode_steps(b, items, n, &best, &context, err);
    if (st == HN_OK && context > 0)
        b->decode[b->n_decode++] = (figure){n, n / best, hn_speed_limit(s, n, n, context, n) / best};
    for (int i = 0; i < n; i++) hn_sequence_free(items[i].sequence);
    return st;
}

static json_t *figures_json(const figure *f, int n, const char *count) {
    json_t *list = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:i,s:f,s:f}", count, f[i].n, "tokens_per_s", f[i].tokens_per_s,
                                              "limit_share", f[i].limit_share));
    return list;
}

static hn_status print_figures(bench *b, const char *name, const figure *f, int n, hn_error *err) {
    hn_table *table = hn_table_create(b->cli->out);
    hn_table_column(table, name, HN_ALIGN_RIGHT);
    hn_table_column(table, "TOKENS/S", HN_ALIGN_RIGHT);
    hn_table_column(table, "OF THE MACHINE'S LIMIT", HN_ALIGN_RIGHT);
    for (int i = 0; i < n; i++) {
        hn_table_row(table);
        hn_table_cell(table, "%d", f[i].n);
        hn_table_cell(table, "%.1f", f[i].tokens_per_s);
        hn_table_cell(table, "%.0f %%", 100 * f[i].limit_share);
    }
    return hn_table_print(table, err);
}

static hn_status report(bench *b, hn_error *err) {
    hn_speed *s = b->speed;
    hn_engine_memory memory = hn_engine_memory_now(s->engine);
    int threads = hn_engine_threads(s->engine);
    if (b->cli->out->json)
        return hn_cli_result(
            b->cli,
            json_pack("{s:s,s:i,s:o,s:o,s:s,s:{s:f,s:f},s:{s:I,s:I}}", "isa", s->kernels->name, "threads", threads,
                      "prefill", figures_json(b->prefill, b->n_prefill, "n_tokens"), "decode",
                      figures_json(b->decode, b->n_decode, "n_streams"), "numeric_path",
                      hn_engine_numeric_path(s->engine), "machine", "bytes_per_s", s->machine.bytes_per_s,
                      "flops_per_s", s->machine.flops_per_s, "memory", "file_bytes",
                      (json_int_t)hn_model_file_bytes(s->model), "pack_bytes", (json_int_t)memory.pack_bytes),
            err);
    hn_output_print(b->cli->out, "%s, %d threads, %s; memory %.0f GB/s, peak %.0f GFLOP/s\n\n", s->kernels->name,
                    threads, s->kernels->arithmetic, s->machine.bytes_per_s / 1e9, s->machine.flops_per_s / 1e9);
    HN_TRY(print_figures(b, "PROMPT TOKENS", b->prefill, b->n_prefill, err));
    hn_output_print(b->cli->out, "\n");
    return print_figures(b, "ANSWERS AT ONCE", b->decode, b->n_decode, err);
}

/* "32,128,512" */
static hn_status parse_sizes(hn_cli *cli, const char *option, int max, int sizes[SIZES_MAX], int *n, hn_error *err) {
    hn_tokens list = {0};
    char where[32];
    snprintf(where, sizeof where, "--%s", option);
    hn_status st = hn_cli_parse_ids(hn_cli_string(cli, option), where, &list, err);
    if (st == HN_OK && list.n > SIZES_MAX)
        st = hn_cli_usage(cli, err, "--%s takes at most %d numbers", option, SIZES_MAX);
    for (size_t i = 0; st == HN_OK && i < list.n; i++) {
        if (list.ids[i] < 1 || list.ids[i] > max)
            st = hn_cli_usage(cli, err, "--%s takes numbers from 1 to %d", option, max);
        sizes[i] = list.ids[i];
    }
    *n = (int)list.n;
    hn_tokens_free(&list);
    return st;
}

static hn_status measure(bench *b, const int *prompts, int n_prompts, const int *streams, int n_streams,
                         hn_error *err) {
    hn_progress progress;
    hn_status st = HN_OK;
    hn_progress_begin(&progress, b->cli->out, "measuring", (uint64_t)(n_prompts + n_streams), HN_PROGRESS_COUNT,
                      "figures");
    for (int i = 0; i < n_prompts && st == HN_OK; i++) {
        if (prompts[i] <= b->speed->n_ids) st = bench_prefill(b, prompts[i], err);
        hn_progress_update(&progress, (uint64_t)i + 1);
    }
    for (int i = 0; i < n_streams && st == HN_OK; i++) {
        st = bench_decode(b, streams[i], err);
        hn_progress_update(&progress, (uint64_t)(n_prompts + i) + 1);
    }
    hn_progress_end(&progress);
    return st == HN_OK ? report(b, err) : st;
}

static hn_status run(hn_cli *cli, hn_error *err) {
    char path[HN_PATH_MAX];
    int prompts[SIZES_MAX], streams[SIZES_MAX], n_prompts, n_streams;
    bench b = {.cli = cli, .seconds = hn_cli_real(cli, "seconds")};
    hn_local_options given = hn_cli_local_options(cli);
    hn_engine_options options = {.n_threads = given.n_threads,
                                 .pack = given.low_memory ? HN_PACK_LOW : HN_PACK_KEEP,
                                 .kv_type = given.kv_type,
                                 .context = given.context,
                                 .kv_max_bytes = given.kv_max_bytes};
    if (hn_cli_given(cli, "kernels")) return hn_bench_rates(cli, given.n_threads, err);
    if (hn_cli_given(cli, "compare")) return hn_bench_compare(cli, &options, err);
    HN_TRY(parse_sizes(cli, "prompts", PROMPT_MAX, prompts, &n_prompts, err));
    HN_TRY(parse_sizes(cli, "streams", HN_SPEED_STREAMS_MAX, streams, &n_streams, err));
    HN_TRY(hn_cli_model_path(cli, path, err));
    HN_TRY(hn_speed_open(path, &options, PROMPT_MAX, &b.speed, err));
    hn_status st = measure(&b, prompts, n_prompts, streams, n_streams, err);
    hn_speed_close(b.speed);
    return st;
}

static const hn_option options[] = {HN_MODEL_OPTIONS,
                                    {.name = "prompts",
                                     .kind = HN_OPTION_STRING,
                                     .value = "N,N",
                                     .otherwise = "32,128,512,2048",
                                     .help = "prompt lengths"},
                                    {.name = "streams",
                                     .kind = HN_OPTION_STRING,
                                     .value = "N,N",
                                     .otherwise = "1,4,32",
                                     .help = "how many answers at once"},
                                    {.name = "seconds",
                                     .kind = HN_OPTION_REAL,
                                     .value = "S",
                                     .otherwise = "0.8",
                                     .low = 0,
                                     .high = 3600,
                                     .help = "time for each figure (with --kernels 0.05)"},
                                    {.name = "kernels",
                                     .kind = HN_OPTION_FLAG,
                                     .help = "measure each kernel by itself, on the shapes of SmolLM2-135M or of -m"},
                                    {.name = "formats",
                                     .kind = HN_OPTION_STRING,
                                     .value = "NAME,NAME",
                                     .otherwise = HN_RATES_FORMATS,
                                     .help = "with --kernels: the weights' formats"},
                                    {.name = "compare",
                                     .kind = HN_OPTION_STRING,
                                     .value = "PATH",
                                     .help = "measure beside llama.cpp: a folder with its tools (or bin/ with them), "
                                             "and models/ or -m for the files"},
                                    {.name = "rows",
                                     .kind = HN_OPTION_STRING,
                                     .value = "NAME,NAME",
                                     .otherwise = HN_COMPARE_ROWS,
                                     .help = "with --compare: what is measured"},
                                    {.name = "turns",
                                     .kind = HN_OPTION_INT,
                                     .value = "N",
                                     .otherwise = "3",
                                     .low = 1,
                                     .high = 20,
                                     .help = "with --compare: how often the two programs take turns"},
                                    {0}};

const hn_command hn_cmd_bench = {
    .name = "bench",
    .summary = "how fast a model runs here, and how near the machine's limit that is",
    .usage = "[-m MODEL] [OPTIONS]",
    .description = "The limit is the longer of reading the weights once from memory and doing the multiply-adds at the "
                   "peak rate, both measured in\n"
                   "the same run; each figure is the best of its rounds.\n\n"
                   "--compare runs llama.cpp's tools and hone in turns on the same files with as many threads, after "
                   "checking that both give the same\n"
                   "greedy text; figures are medians over all rounds of all turns. bench/README.md says how each is "
                   "taken.",
    .options = options,
    .max_args = 0,
    .examples = "  hone bench\n  hone bench -m model.gguf --prompts 512 --streams 1 --seconds 3 --json\n"
                "  hone bench --compare build/peers --rows prefill,decode\n  hone bench --kernels --formats Q8_0 -t 1",
    .run = run};
