/* hone quantize: a model's file in a smaller (or larger) number format. */
#include "base/clock.h"
#include "base/file.h"
#include "base/str.h"
#include "base/thread.h"
#include "cli/commands.h"
#include "cli/export_model.h"
#include "cli/inference.h"
#include "cli/quantize_run.h"
#include "model/quantize.h"
#include "model/quantize_file.h"

#include <ctype.h>
#include <string.h>

enum { NAMES_MAX = 128, NAME_MAX_BYTES = 160 };

typedef struct quantize {
    hn_cli *cli;
    char path[HN_PATH_MAX]; /* of the source */
    const char *out;
    char adapter[HN_PATH_MAX]; /* "": none */
    hn_gguf *source;           /* a GGUF file as it is, or: */
    hn_model *model;           /* a folder, or a model with its adapter */
    hn_export_gguf_result exported;
    hn_quantize_options options;
    hn_quantize_report report;
    hn_progress progress;
    double seconds;
} quantize;

/* ---- what it did ---- */

static const char *format_name(hn_dtype format) {
    const char *name = hn_dtype_of(format).name;
    return name ? name : "unknown";
}

static json_t *counts_json(const hn_quantize_report *r) {
    json_t *list = json_array();
    for (size_t i = 0; i < r->n_counts; i++)
        json_array_append_new(list,
                              json_pack("{s:s,s:I,s:I}", "format", format_name(r->counts[i].format), "tensors",
                                        (json_int_t)r->counts[i].n_tensors, "bytes", (json_int_t)r->counts[i].bytes));
    return list;
}

static json_t *fallbacks_json(const hn_quantize_report *r) {
    json_t *list = json_array();
    for (size_t i = 0; i < r->n_fallbacks; i++) {
        const hn_quantize_exception *f = &r->fallbacks[i];
        json_array_append_new(list, json_pack("{s:o,s:s,s:I}", "tensor", hn_cli_text(f->name.data, f->name.len),
                                              "format", format_name(f->format), "columns", (json_int_t)f->columns));
    }
    return list;
}

static json_t *report_json(const quantize *q) {
    const hn_quantize_report *r = &q->report;
    json_t *worst = r->worst.data ? json_pack("{s:o,s:f}", "tensor", hn_cli_text(r->worst.data, r->worst.len),
                                              "relative_error", r->worst_relative_error)
                                  : json_null();
    return json_pack("{s:o,s:o,s:s,s:s,s:b,s:I,s:I,s:o,s:o,s:I,s:f,s:f,s:o,s:f}", "path",
                     hn_cli_text(q->out, strlen(q->out)), "source", hn_cli_text(q->path, strlen(q->path)), "format",
                     format_name(q->options.format), "source_format", format_name(r->source_format), "requantized",
                     (int)r->requantized, "bytes_before", (json_int_t)r->bytes_before, "bytes_after",
                     (json_int_t)r->bytes_after, "tensors", counts_json(r), "fallbacks", fallbacks_json(r), "converted",
                     (json_int_t)r->n_converted, "rms_error", r->rms_error, "relative_error", r->relative_error,
                     "worst", worst, "seconds", q->seconds);
}

/* "blk.12.attn_q.weight" and its like in the other layers are one line for people. */
static void layer_pattern(hn_str name, char out[NAME_MAX_BYTES]) {
    size_t n = 0;
    for (size_t i = 0; i < name.len && n + 1 < NAME_MAX_BYTES; i++) {
        bool digit = isdigit((unsigned char)name.data[i]), after_dot = i > 0 && name.data[i - 1] == '.';
        if (digit && after_dot) {
            while (i + 1 < name.len && isdigit((unsigned char)name.data[i + 1])) i++;
            out[n++] = '*';
        } else {
            out[n++] = isprint((unsigned char)name.data[i]) ? name.data[i] : '?';
        }
    }
    out[n] = 0;
}

typedef struct name_line {
    char name[NAME_MAX_BYTES];
    hn_dtype format;
    int64_t columns;
    size_t n;
} name_line;

static hn_status print_fallbacks(const quantize *q, hn_error *err) {
    const hn_quantize_report *r = &q->report;
    if (r->n_fallbacks == 0) return HN_OK;
    name_line *lines = hn_arena_calloc(q->cli->arena, NAMES_MAX, sizeof *lines);
    size_t n = 0, unnamed = 0;
    if (!lines) return hn_fail_memory(err, NAMES_MAX * sizeof *lines);
    for (size_t i = 0; i < r->n_fallbacks; i++) {
        const hn_quantize_exception *f = &r->fallbacks[i];
        char name[NAME_MAX_BYTES];
        size_t at = 0;
        layer_pattern(f->name, name);
        while (at < n && (strcmp(lines[at].name, name) != 0 || lines[at].format != f->format)) at++;
        if (at == NAMES_MAX) {
            unnamed++;
            continue;
        }
        if (at == n) {
            memcpy(lines[n].name, name, sizeof name);
            lines[n].format = f->format;
            lines[n++].columns = f->columns;
        }
        lines[at].n++;
    }
    hn_output_print(q->cli->out,
                    "\n%zu of %zu matrices fell back, since their rows are no whole blocks of %zu values:\n",
                    r->n_fallbacks, r->n_matrices, hn_dtype_of(q->options.format).block_values);
    for (size_t i = 0; i < n; i++)
        hn_output_print(q->cli->out, "  %-4s %s (%zu), rows of %lld\n", format_name(lines[i].format), lines[i].name,
                        lines[i].n, (long long)lines[i].columns);
    if (unnamed) hn_output_print(q->cli->out, "  and %zu more; --json names them all\n", unnamed);
    return HN_OK;
}

static hn_status print_report(const quantize *q, hn_error *err) {
    const hn_quantize_report *r = &q->report;
    hn_output *out = q->cli->out;
    char before[32], after[32], size[32];
    hn_output_print(out, "%s: %s, was %s (%.0f %%)\n\n", q->out, hn_format_bytes(r->bytes_after, after),
                    hn_format_bytes(r->bytes_before, before), 100.0 * (double)r->bytes_after / (double)r->bytes_before);
    hn_table *table = hn_table_create(out);
    hn_table_column(table, "FORMAT", HN_ALIGN_LEFT);
    hn_table_column(table, "TENSORS", HN_ALIGN_RIGHT);
    hn_table_column(table, "SIZE", HN_ALIGN_RIGHT);
    for (size_t i = 0; i < r->n_counts; i++) {
        hn_table_row(table);
        hn_table_cell(table, "%s", format_name(r->counts[i].format));
        hn_table_cell(table, "%zu", r->counts[i].n_tensors);
        hn_table_cell(table, "%s", hn_format_bytes(r->counts[i].bytes, size));
    }
    HN_TRY(hn_table_print(table, err));
    HN_TRY(print_fallbacks(q, err));
    if (r->n_converted == 0)
        hn_output_print(out, "\nEvery matrix had its format already: all were copied as they were.\n");
    else if (r->rms_error == 0)
        hn_output_print(out, "\nNo weight changed: the new format holds all that the old one held.\n");
    else
        hn_output_print(out,
                        "\nrms error of the weights %.3g, %.2f %% of their size; most in %.*s (%.2f %%).\n"
                        "What that does to answers, `hone eval -m %s` tells.\n",
                        r->rms_error, 100 * r->relative_error, (int)r->worst.len, r->worst.data,
                        100 * r->worst_relative_error, q->out);
    return HN_OK;
}

/* ---- the command ---- */

static hn_status choose_format(quantize *q, hn_error *err) {
    const char *name = hn_cli_string(q->cli, "format");
    if (!name) return hn_cli_usage(q->cli, err, "--format is needed, such as q8_0");
    if (hn_quantize_format(name, &q->options.format)) return HN_OK;
    char known[200] = "";
    size_t n = 0;
    for (size_t i = 0; hn_quantize_format_at(i) != HN_DTYPE_NONE && n < sizeof known; i++)
        n +=
            (size_t)snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "", format_name(hn_quantize_format_at(i)));
    return hn_cli_usage(q->cli, err, "%s is not a format that can be written; these are: %s", name, known);
}

static hn_status choose_files(quantize *q, hn_error *err) {
    q->out = hn_cli_string(q->cli, "out");
    if (!q->out) return hn_cli_usage(q->cli, err, "-o FILE is needed: where the new file goes");
    HN_TRY(hn_cli_resolve_model(q->cli->positional[0], q->path, q->adapter, err));
    if (hn_file_is_same(q->path, q->out))
        return hn_fail(err, HN_ERR_USAGE, q->out, "give another name to -o",
                       "the new file would replace the model that it is made from");
    if (hn_file_exists(q->out) && !hn_cli_flag(q->cli, "force"))
        return hn_fail(err, HN_ERR_EXISTS, q->out, "give another name, or --force to replace it",
                       "the file is there already");
    return HN_OK;
}

static void on_progress(void *user, uint64_t done, uint64_t total) {
    quantize *q = user;
    q->progress.total = total;
    hn_progress_update(&q->progress, done);
}

/* Said before the work, and so also where the work fails. */
static void note_source(const quantize *q, const hn_weight_feed *feed) {
    if (q->cli->out->json) return;
    uint64_t bytes[256] = {0}, largest = 0; /* of each lossy format that will be changed */
    hn_dtype from = HN_DTYPE_F32;
    for (size_t i = 0; i < feed->n; i++) {
        const hn_weight_feed_tensor *t = &feed->tensors[i];
        bool same = t->dtype == q->options.format && !t->added;
        if (t->n_dims < 2 || hn_dtype_of(t->dtype).block_values == 1 || same) continue;
        bytes[t->dtype & 255] += t->size_bytes;
        if (bytes[t->dtype & 255] <= largest) continue;
        largest = bytes[t->dtype & 255];
        from = t->dtype;
    }
    if (largest == 0) return;
    bool exact = hn_dtype_of(q->options.format).block_values == 1;
    hn_output_note(q->cli->out, "starting from %s: %s; the model's F32, BF16 or F16 file is the better source",
                   format_name(from), exact ? "what it lost stays lost" : "errors add up");
}

static hn_status note_and_write(quantize *q, const hn_weight_feed *feed, hn_error *err) {
    note_source(q, feed);
    return q->model ? hn_export_gguf(q->model, q->out, &q->options, &q->exported, err)
                    : hn_quantize_feed(feed, q->out, &q->options, &q->report, err);
}

static hn_status open_source(quantize *q, hn_weight_feed *feed, hn_error *err) {
    bool folder = hn_file_is_dir(q->path) || hn_ends_with(q->path, ".safetensors") || hn_ends_with(q->path, ".json");
    if (!folder && !*q->adapter) {
        HN_TRY(hn_gguf_open(q->path, &q->source, err));
        return hn_weight_feed_gguf(q->source, feed, err);
    }
    HN_TRY(hn_cli_open_adapted(q->cli->positional[0], q->adapter, &q->model, err));
    return hn_weight_feed_model(q->model, feed, err);
}

static hn_status convert(quantize *q, hn_error *err) {
    char what[64];
    hn_weight_feed feed;
    HN_TRY(open_source(q, &feed, err));
    snprintf(what, sizeof what, "quantising to %s", format_name(q->options.format));
    q->options.on_progress = on_progress;
    q->options.user = q;
    hn_status st = hn_pool_create((int)hn_cli_int(q->cli, "threads"), &q->options.pool, err);
    if (st == HN_OK) {
        hn_progress_begin(&q->progress, q->cli->out, what, 0, HN_PROGRESS_COUNT, "weights");
        double started = hn_clock_seconds();
        st = note_and_write(q, &feed, err);
        q->seconds = hn_clock_seconds() - started;
        hn_progress_end(&q->progress);
        hn_pool_free(q->options.pool);
    }
    if (st == HN_OK && q->model) {
        q->report = q->exported.report; /* whose list is freed there */
        q->exported.report = (hn_quantize_report){0};
    }
    hn_weight_feed_free(&feed);
    return st;
}

/* "r9" without a format: which one would do is the question. */
static bool asks_for_trial(hn_cli *cli) {
    const char *name = cli->positional[0];
    if (hn_cli_given(cli, "formats")) return true;
    if (hn_cli_given(cli, "format") || *name++ != 'r' || !*name) return false;
    while (isdigit((unsigned char)*name)) name++;
    return *name == 0 && !hn_file_exists(cli->positional[0]);
}

static hn_status run(hn_cli *cli, hn_error *err) {
    quantize q = {.cli = cli};
    if (asks_for_trial(cli)) {
        if (hn_cli_given(cli, "format")) return hn_cli_usage(cli, err, "--format writes one, --formats tries several");
        return hn_cli_quantize_run(cli, err);
    }
    HN_TRY(choose_format(&q, err));
    HN_TRY(choose_files(&q, err));
    hn_status st = convert(&q, err);
    if (st == HN_OK) st = cli->out->json ? hn_cli_result(cli, report_json(&q), err) : print_report(&q, err);
    hn_quantize_report_free(&q.report);
    hn_export_gguf_result_free(&q.exported);
    hn_gguf_close(q.source);
    hn_model_close(q.model);
    return st;
}

static const hn_option options[] = {
    {.name = "out", .letter = 'o', .kind = HN_OPTION_STRING, .value = "FILE", .help = "the GGUF file to write"},
    {.name = "format",
     .letter = 'f',
     .kind = HN_OPTION_STRING,
     .value = "FORMAT",
     .help = "q8_0, q6_k, q5_k, q5_1, q5_0, q4_k, q4_1, q4_0, or bf16, f16, f32"},
    {.name = "formats",
     .kind = HN_OPTION_STRING,
     .value = "F,F,..",
     .help = "try these formats on the task of a run: measure each on the run's cases with its prompt, and name the "
             "smallest that is not worse (default for a run: q8_0,q6_k,q5_k,q4_k,q4_0)"},
    {.name = "margin",
     .kind = HN_OPTION_REAL,
     .value = "E",
     .low = 1e-9,
     .high = 1,
     .help =
         "with --formats: how much worse would matter, 0.02 is two points (default: the scope's smallest_difference)"},
    {.name = "model",
     .letter = 'm',
     .kind = HN_OPTION_STRING,
     .value = "MODEL",
     .help = "with --formats: the run's model, where it is not found by its name"},
    {.name = "force", .kind = HN_OPTION_FLAG, .help = "replace FILE where it is there already"},
    {.name = "threads",
     .letter = 't',
     .kind = HN_OPTION_INT,
     .value = "N",
     .low = 1,
     .high = 1024,
     .help = "threads (default: one per CPU); the file is the same with any number"},
    {0}};

const hn_command hn_cmd_quantize = {
    .name = "quantize",
    .summary = "write a model's file in a smaller number format, or find the smallest that is not worse on a task",
    .usage = "MODEL -o FILE --format FORMAT [--force] | RUN [--formats F,F,..] [--margin E] [-o FILE]",
    .description =
        "MODEL is a catalogue name, a GGUF file (the first of several is fine), a Hugging Face folder, MODEL+ADAPTER "
        "or\n"
        "tune:RUN (the adapter is merged). All matrices get the one format, the embedding and the output too; norms "
        "and biases stay as they are. Where a matrix's rows are no whole blocks of the format, it\n"
        "takes the next one that fits (q4_k: q5_0, q5_k: q5_1, q6_k: q8_0) and is named. The bytes are those of\n"
        "llama.cpp's `llama-quantize --pure`, and the file runs there as well.\n"
        "The file appears under its name when it is whole: a full disk or Ctrl-C leaves nothing there.\n"
        "With --formats a run's model is written in each (under .hone/quantized) and measured on the run's cases: "
        "every\n"
        "measurement is a run. -o FILE gets the smallest that is shown to be not worse; exit status 1: none is.",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .examples = "  hone quantize model-bf16.gguf -o model-q8_0.gguf --format q8_0\n"
                "  hone quantize smollm2 -o smollm2-q4_0.gguf --format q4_0 --json\n"
                "  hone quantize r9 --formats q8_0,q6_k,q5_k,q4_k",
    .run = run,
};
