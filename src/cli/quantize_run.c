/* hone quantize RUN --formats; see quantize_run.h. The work is lifecycle's (format_trials.h). */
#include "cli/quantize_run.h"

#include "base/file.h"
#include "base/part_file.h"
#include "base/str.h"
#include "cli/export_model.h"
#include "cli/inference.h"
#include "cli/project_cli.h"
#include "lifecycle/iterate/format_trials.h"
#include "model/quantize.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct trial_run {
    hn_cli *cli;
    hn_cli_project p;
    hn_run *run;
    hn_model *model;
    hn_dtype formats[HN_FORMAT_TRIALS_MAX];
    size_t n;
    double margin;
    hn_progress progress;
    hn_dtype shown; /* that the progress line is about */
    bool measuring;
} trial_run;

static const char *format_name(hn_dtype format) {
    const char *name = hn_dtype_of(format).name;
    return name ? name : "unknown";
}

/* ---- what is asked ---- */

static hn_status add_format(trial_run *t, hn_str name, hn_error *err) {
    char text[16];
    hn_dtype format;
    snprintf(text, sizeof text, "%.*s", (int)(name.len < sizeof text ? name.len : sizeof text - 1),
             name.len ? name.data : "");
    if (!hn_quantize_format(text, &format))
        return hn_cli_usage(t->cli, err,
                            "--formats: \"%s\" is not a format that can be written; these are q8_0, q6_k, q5_k, q5_1, "
                            "q5_0, q4_k, q4_1, q4_0, bf16, f16 and f32",
                            text);
    for (size_t i = 0; i < t->n; i++)
        if (t->formats[i] == format) return hn_cli_usage(t->cli, err, "--formats names %s twice", format_name(format));
    if (t->n == HN_FORMAT_TRIALS_MAX)
        return hn_cli_usage(t->cli, err, "--formats takes %d names", HN_FORMAT_TRIALS_MAX);
    t->formats[t->n++] = format;
    return HN_OK;
}

static hn_status read_formats(trial_run *t, hn_error *err) {
    const char *given = hn_cli_string(t->cli, "formats");
    for (const char *at = given ? given : "q8_0,q6_k,q5_k,q4_k,q4_0";;) {
        size_t n = strcspn(at, ",");
        HN_TRY(add_format(t, hn_str_trim((hn_str){at, n}), err));
        if (!at[n]) return HN_OK;
        at += n + 1;
    }
}

static hn_status read_margin(trial_run *t, hn_error *err) {
    t->margin = hn_cli_given(t->cli, "margin") ? hn_cli_real(t->cli, "margin") : t->p.scope->smallest_difference;
    if (t->margin > 0) return HN_OK;
    return hn_fail(err, HN_ERR_USAGE, "--margin",
                   "say smallest_difference in hone.yaml, or --margin 0.02: how much worse would matter",
                   "\"not worse\" needs a margin");
}

/* The run's model by its name, else the project's, whose hash is checked; --model names another place. */
static hn_status open_model(trial_run *t, hn_error *err) {
    char adapter[HN_PATH_MAX];
    const char *name = hn_cli_string(t->cli, "model"), *project = t->p.scope->model ? t->p.scope->model : "smollm2";
    hn_error unknown;
    if (name) return hn_cli_open_adapted(name, adapter, &t->model, err);
    name = t->run->spec.model_name;
    if (!name) return hn_cli_open_adapted(project, adapter, &t->model, err);
    hn_status st = hn_cli_open_adapted(name, adapter, &t->model, err);
    if (st == HN_OK || hn_cli_open_adapted(project, adapter, &t->model, &unknown) == HN_OK) return HN_OK;
    return st;
}

/* ---- progress ---- */

static void show(trial_run *t, hn_dtype format, bool measuring, uint64_t total) {
    char what[64];
    if (t->shown == format && t->measuring == measuring) return;
    t->shown = format;
    t->measuring = measuring;
    snprintf(what, sizeof what, measuring ? "%s: answering" : "%s: quantising", format_name(format));
    hn_progress_end(&t->progress);
    hn_progress_begin(&t->progress, t->cli->out, what, total, HN_PROGRESS_COUNT, measuring ? "cases" : "weights");
}

static void on_weights(void *user, hn_dtype format, uint64_t done, uint64_t total) {
    trial_run *t = user;
    show(t, format, false, total);
    hn_progress_update(&t->progress, done);
}

static void on_cases(void *user, hn_dtype format, const hn_eval_progress *progress) {
    trial_run *t = user;
    show(t, format, true, progress->n_cases);
    hn_progress_update(&t->progress, progress->n_saved);
}

/* The same KV type as the run's, which is part of its numeric path. */
static hn_status open_provider(void *user, const char *path, hn_provider **provider, hn_error *err) {
    trial_run *t = user;
    hn_local_options options = {.n_threads = (int)hn_cli_int(t->cli, "threads"), .name = hn_cli_path_shown(path)};
    const char *numbers = t->run->spec.numeric_path;
    options.kv_type = numbers && strstr(numbers, "kv-q8_0") ? HN_KV_Q8_0 : HN_KV_F16;
    return hn_provider_local_open(path, &options, provider, err);
}

/* ---- what came of it ---- */

static void print_row(trial_run *t, hn_table *table, const hn_format_trial *one, bool best) {
    static const char *const words[] = {"cannot tell", "not worse", "worse"};
    char size[32], accuracy[48], difference[48];
    const hn_estimate d = one->difference.difference;
    snprintf(difference, sizeof difference, "%+.1f [%+.1f, %+.1f]", 100 * d.value, 100 * d.low, 100 * d.high);
    hn_table_row(table);
    if (best) hn_table_row_style(table, HN_STYLE_GOOD);
    hn_table_cell(table, "%s", format_name(one->format));
    hn_table_cell(table, "r%lld", (long long)one->result.run->id);
    hn_table_cell(table, "%s", hn_format_bytes(one->bytes, size));
    hn_table_cell(table, "%s", hn_cli_percent(one->result.report.accuracy, accuracy));
    hn_table_cell(table, "%s", difference);
    hn_table_cell(table, "%.2g", one->p_adjusted);
    if (one->tokens_per_second > 0)
        hn_table_cell(table, "%.0f", one->tokens_per_second);
    else
        hn_table_cell(table, "-");
    hn_table_cell(table, "%s", words[one->kind]);
    (void)t;
}

static hn_status print_table(trial_run *t, const hn_format_trials *r, hn_error *err) {
    static const struct {
        const char *name;
        hn_align align;
    } columns[] = {{"FORMAT", HN_ALIGN_LEFT},    {"RUN", HN_ALIGN_LEFT},     {"SIZE", HN_ALIGN_RIGHT},
                   {"ACCURACY", HN_ALIGN_RIGHT}, {"POINTS", HN_ALIGN_RIGHT}, {"P", HN_ALIGN_RIGHT},
                   {"TOKENS/S", HN_ALIGN_RIGHT}, {"", HN_ALIGN_LEFT}};
    char size[32], accuracy[48];
    hn_table *table = hn_table_create(t->cli->out);
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        hn_table_column(table, columns[i].name, columns[i].align);
    hn_table_row(table);
    hn_table_cell(table, "%s", format_name(r->source_format));
    hn_table_cell(table, "r%lld", (long long)t->run->id);
    hn_table_cell(table, "%s", hn_format_bytes(hn_model_file_bytes(t->model), size));
    hn_table_cell(table, "%s", hn_cli_percent(r->accuracy, accuracy));
    hn_table_cell(table, "-");
    hn_table_cell(table, "-");
    hn_table_cell(table, r->tokens_per_second > 0 ? "%.0f" : "-", r->tokens_per_second);
    hn_table_cell(table, "the run");
    for (size_t i = 0; i < r->n; i++) print_row(t, table, &r->trials[i], i == r->best);
    return hn_table_print(table, err);
}

static void print_conclusion(trial_run *t, const hn_format_trials *r) {
    hn_output *out = t->cli->out;
    const hn_format_trial *best = r->best < r->n ? &r->trials[r->best] : NULL;
    char size[32];
    int64_t needed = -1;
    hn_output_print(
        out,
        "\nNot worse: the 95 %% interval of the difference to r%lld, on the same cases, lies above -%.1f points, "
        "with p for\nthat (one-sided, at most 0.025) adjusted for %zu format%s (Holm).\n",
        (long long)t->run->id, 100 * r->margin, r->n, r->n == 1 ? "" : "s");
    if (r->quantised)
        hn_output_print(
            out,
            "The run's weights are %s already: what that lost stays lost, errors add up, and \"not worse\" is against "
            "those weights,\nnot against the model's F32, BF16 or F16 ones.\n",
            format_name(r->source_format));
    if (best) {
        hn_output_print(out, "The smallest that is not worse: %s, %s, %s\n", format_name(best->format),
                        hn_format_bytes(best->bytes, size), hn_cli_path_shown(best->path));
        return;
    }
    for (size_t i = 0; i < r->n; i++)
        if (r->trials[i].kind == HN_FORMAT_CANNOT_TELL && r->trials[i].difference.cases_needed > needed)
            needed = r->trials[i].difference.cases_needed;
    hn_output_print(out, "No format is shown to be not worse.");
    if (needed > (int64_t)r->trials[0].difference.n)
        hn_output_print(out, " To tell, about %lld cases are needed; there are %zu.", (long long)needed,
                        r->trials[0].difference.n);
    hn_output_print(out, "\n");
}

/* ---- the file that was chosen ---- */

static hn_status copy_bytes(int from, const hn_part_file *to, hn_error *err) {
    static char piece[1 << 16];
    for (;;) {
        ssize_t n = read(from, piece, sizeof piece);
        if (n == 0) return HN_OK;
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return hn_fail_errno(err, errno, to->name, "reading what is copied to");
        for (ssize_t done = 0; done < n;) {
            ssize_t put = write(to->fd, piece + done, (size_t)(n - done));
            if (put < 0 && errno == EINTR) continue;
            if (put <= 0) return hn_fail_errno(err, put < 0 ? errno : EIO, to->name, "writing");
            done += put;
        }
    }
}

static hn_status copy_best(trial_run *t, const hn_format_trials *r, hn_error *err) {
    const char *out = hn_cli_string(t->cli, "out");
    hn_part_file part;
    if (!out || r->best == r->n) return HN_OK;
    int from = open(r->trials[r->best].path, O_RDONLY | O_CLOEXEC);
    if (from < 0) return hn_fail_errno(err, errno, r->trials[r->best].path, "opening");
    hn_status st = hn_part_create(out, &part, err);
    if (st == HN_OK) st = copy_bytes(from, &part, err);
    if (st == HN_OK) st = hn_part_finish(&part, err);
    hn_part_drop(&part);
    close(from);
    return st;
}

/* ---- the command ---- */

static hn_status try_formats(trial_run *t, hn_error *err) {
    char folder[HN_PATH_MAX];
    hn_format_trials r;
    json_t *value;
    HN_TRY(hn_path_join(folder, hn_project_store_dir(t->p.project), "quantized", err));
    hn_format_setup setup = {.store = t->p.store,
                             .run = t->run,
                             .scope = t->p.scope,
                             .model = t->model,
                             .folder = folder,
                             .formats = t->formats,
                             .n = t->n,
                             .margin = t->margin,
                             .n_threads = (int)hn_cli_int(t->cli, "threads"),
                             .hooks = {open_provider, on_weights, on_cases, t}};
    t->shown = HN_DTYPE_NONE;
    hn_status st = hn_format_trials_run(&setup, &r, err);
    hn_progress_end(&t->progress);
    HN_TRY(st);
    bool none = r.best == r.n;
    st = copy_best(t, &r, err);
    if (st == HN_OK && t->cli->out->json) {
        st = hn_format_trials_json(&r, t->run, &value, err);
        if (st == HN_OK) st = hn_cli_result(t->cli, value, err);
    } else if (st == HN_OK) {
        st = print_table(t, &r, err);
        if (st == HN_OK) print_conclusion(t, &r);
    }
    hn_format_trials_free(&r);
    if (st == HN_OK && none)
        st = hn_fail(err, HN_ERR_GATE, "--formats", "a larger format, more cases, or a larger --margin",
                     "no format is shown to be not worse than r%lld", (long long)t->run->id);
    return st;
}

hn_status hn_cli_quantize_run(hn_cli *cli, hn_error *err) {
    trial_run t = {.cli = cli};
    const char *out = hn_cli_string(cli, "out");
    HN_TRY(read_formats(&t, err));
    if (out && hn_file_exists(out) && !hn_cli_flag(cli, "force"))
        return hn_fail(err, HN_ERR_EXISTS, out, "give another name, or --force to replace it",
                       "the file is there already");
    HN_TRY(hn_cli_project_open(HN_CLI_STORE, &t.p, err));
    hn_status st = read_margin(&t, err);
    if (st == HN_OK) st = hn_run_find(t.p.store, cli->positional[0], &t.run, err);
    if (st == HN_OK) st = hn_format_trials_check(t.run, err);
    if (st == HN_OK) st = open_model(&t, err);
    if (st == HN_OK) st = try_formats(&t, err);
    hn_model_close(t.model);
    hn_run_free(t.run);
    hn_cli_project_close(&t.p);
    return st;
}
