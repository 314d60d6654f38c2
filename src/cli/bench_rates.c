/* The report of `hone bench --kernels`; see bench_rates.h. */
#include "cli/bench_rates.h"

#include "base/interrupt.h"
#include "base/str.h"
#include "cli/inference.h"
#include "kernel/rates.h"
#include "model/model.h"

#include <string.h>

#define SECONDS 0.05

typedef struct report {
    hn_cli *cli;
    hn_progress progress;
    json_t *list; /* with --json */
    hn_table *table;
    uint64_t n_done;
} report;

/* ---- options ---- */

static bool dtype_named(const char *name, size_t n, hn_dtype *dtype) {
#define MATCH(label, number, values, bytes)                                                                            \
    if (strlen(#label) == n && strncmp(name, #label, n) == 0) {                                                        \
        *dtype = HN_DTYPE_##label;                                                                                     \
        return true;                                                                                                   \
    }
    HN_DTYPE_LIST(MATCH)
#undef MATCH
    return false;
}

/* "Q4_1,Q8_0" */
static hn_status parse_formats(hn_cli *cli, hn_rates_options *o, hn_error *err) {
    const char *at = hn_cli_string(cli, "formats");
    for (;; at++) {
        size_t n = strcspn(at, ",");
        if (o->n_formats == HN_RATES_FORMATS_MAX)
            return hn_cli_usage(cli, err, "--formats takes at most %d names", HN_RATES_FORMATS_MAX);
        if (!dtype_named(at, n, &o->formats[o->n_formats++]))
            return hn_cli_usage(cli, err, "--formats takes weight formats such as " HN_RATES_FORMATS ", not \"%.*s\"",
                                (int)(n < 40 ? n : 40), at);
        at += n;
        if (!*at) return HN_OK;
    }
}

static hn_status read_shape(hn_cli *cli, hn_rates_shape *shape, hn_error *err) {
    char path[HN_PATH_MAX];
    hn_model *model;
    *shape = hn_rates_smollm2;
    if (!hn_cli_given(cli, "model")) return HN_OK;
    HN_TRY(hn_cli_model_path(cli, path, err));
    HN_TRY(hn_model_open(path, HN_MODEL_IDS_ONLY, &model, err));
    const hn_shape *s = hn_model_shape(model);
    *shape = (hn_rates_shape){.C = s->n_embd,
                              .F = s->n_ff,
                              .V = s->n_vocab,
                              .n_heads = s->n_heads,
                              .n_kv_heads = s->n_kv_heads,
                              .head_size = s->head_size};
    hn_model_close(model);
    return HN_OK;
}

/* ---- printing ---- */

static json_t *rate_json(const hn_rate *r) {
    return json_pack("{s:s,s:s,s:s,s:i,s:i,s:i,s:i,s:f,s:f,s:f,s:f}", "kernel", r->kernel, "part", r->part, "format",
                     r->format, "rows", r->rows, "first", r->first, "n_out", r->n_out, "n_in", r->n_in, "seconds",
                     r->seconds, "flops_per_s", r->flops / r->seconds, "bytes_per_s", r->bytes / r->seconds,
                     "limit_share", r->limit_share);
}

static void print_row(hn_table *table, const hn_rate *r) {
    hn_table_row(table);
    hn_table_cell(table, "%s%s%s", r->kernel, *r->part ? " " : "", r->part);
    hn_table_cell(table, "%s", r->format);
    hn_table_cell(table, r->first ? "%d after %d" : "%d", r->rows, r->first);
    hn_table_cell(table, r->n_in ? "%d x %d" : "%d", r->n_out, r->n_in);
    hn_table_cell(table, "%.1f", r->seconds * 1e6);
    if (r->flops > 0)
        hn_table_cell(table, "%.0f", r->flops / r->seconds * 1e-9);
    else
        hn_table_cell(table, "%s", "");
    hn_table_cell(table, "%.1f", r->bytes / r->seconds * 1e-9);
    hn_table_cell(table, "%.0f %%", 100 * r->limit_share);
}

static hn_status add_rate(void *user, const hn_rate *rate, hn_error *err) {
    report *r = user;
    if (r->cli->out->json)
        json_array_append_new(r->list, rate_json(rate));
    else
        print_row(r->table, rate);
    hn_progress_update(&r->progress, ++r->n_done);
    return hn_interrupt_check(err);
}

static hn_table *create_table(hn_output *out) {
    static const char *const names[] = {"KERNEL", "FORMAT", "ROWS", "SIZE", "US", "GFLOP/S", "GB/S", "OF THE LIMIT"};
    hn_table *table = hn_table_create(out);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        hn_table_column(table, names[i], i < 2 ? HN_ALIGN_LEFT : HN_ALIGN_RIGHT);
    return table;
}

static json_t *machine_json(const hn_machine *m) {
    return json_pack("{s:f,s:f}", "bytes_per_s", m->bytes_per_s, "flops_per_s", m->flops_per_s);
}

static hn_status print_report(report *r, const hn_rates_options *o, const hn_rates_machine *m, hn_error *err) {
    int n_threads = hn_pool_size(o->pool);
    if (r->cli->out->json) {
        json_t *list = r->list;
        r->list = NULL;
        return hn_cli_result(r->cli,
                             json_pack("{s:s,s:i,s:o,s:o,s:o}", "isa", o->kernels->name, "threads", n_threads,
                                       "machine", machine_json(&m->best), "machine_f32", machine_json(&m->f32),
                                       "kernels", list),
                             err);
    }
    hn_output_print(r->cli->out, "%s, %d threads; memory %.0f GB/s, peak %.0f GFLOP/s, in f32 %.0f GFLOP/s\n\n",
                    o->kernels->name, n_threads, m->best.bytes_per_s / 1e9, m->best.flops_per_s / 1e9,
                    m->f32.flops_per_s / 1e9);
    hn_table *table = r->table;
    r->table = NULL;
    return hn_table_print(table, err);
}

static hn_status measure(report *r, hn_rates_options *o, hn_error *err) {
    hn_rates_machine machine;
    r->list = json_array();
    r->table = create_table(r->cli->out);
    hn_progress_begin(&r->progress, r->cli->out, "measuring", (uint64_t)hn_rates_count(o), HN_PROGRESS_COUNT,
                      "figures");
    hn_status st = hn_rates_measure(o, &machine, add_rate, r, err);
    hn_progress_end(&r->progress);
    if (st == HN_OK) st = print_report(r, o, &machine, err);
    json_decref(r->list);
    hn_table_free(r->table);
    return st;
}

hn_status hn_bench_rates(hn_cli *cli, int n_threads, hn_error *err) {
    report r = {.cli = cli};
    hn_rates_options o = {.seconds = hn_cli_given(cli, "seconds") ? hn_cli_real(cli, "seconds") : SECONDS};
    static const char *const others[] = {"compare", "prompts", "streams", "rows", "turns"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (hn_cli_given(cli, others[i]))
            return hn_cli_usage(cli, err, "--kernels has its own work: --%s does not go with it", others[i]);
    HN_TRY(parse_formats(cli, &o, err));
    HN_TRY(read_shape(cli, &o.shape, err));
    HN_TRY(hn_kernels_choose(NULL, &o.kernels, err));
    HN_TRY(hn_pool_create(n_threads, &o.pool, err));
    hn_status st = measure(&r, &o, err);
    hn_pool_free(o.pool);
    return st;
}
