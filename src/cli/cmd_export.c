/* hone export: runs as Markdown, CSV, JSON Lines, or a page that stands alone; with --model a model instead (export_model.c). */
#include "cli/commands.h"
#include "cli/export_model.h"
#include "cli/project_cli.h"
#include "lifecycle/iterate/history.h"
#include "lifecycle/iterate/report_run.h"

#include <stdio.h>
#include <string.h>

enum { DETAILED_MAX = 12, GRADERS_MAX = 256 };

typedef struct export {
    hn_cli *cli;
    hn_cli_project p;
    hn_report_source source;
    hn_run_lines lines; /* what is exported, newest first */
    hn_report_run *runs;
    size_t n_runs;
    hn_buf out;
}
export;

static bool is_all(const export *e) { return strcmp(e->cli->positional[0], "all") == 0; }

/* The one run, or all that are finished. */
static hn_status choose_runs(export *e, hn_error *err) {
    hn_run *run;
    hn_run_filter filter = {.state = is_all(e) ? "done" : NULL};
    int64_t id = 0;
    if (!is_all(e)) {
        HN_TRY(hn_run_find(e->p.store, e->cli->positional[0], &run, err));
        id = run->id;
        hn_run_free(run);
    }
    HN_TRY(hn_run_lines_load(e->p.store, &filter, &e->lines, err));
    if (!is_all(e)) {
        size_t kept = 0;
        for (size_t i = 0; i < e->lines.n; i++)
            if (e->lines.rows[i].id == id) e->lines.rows[kept++] = e->lines.rows[i];
        e->lines.n = kept;
    }
    if (e->lines.n > 0) return HN_OK;
    return hn_fail(err, HN_ERR_NOT_FOUND, "all", "start with `hone eval`", "no run is finished yet");
}

static hn_status load_run(export *e, size_t i, hn_report_run *r, hn_error *err) {
    char name[32];
    snprintf(name, sizeof name, "r%lld", (long long)e->lines.rows[i].id);
    return hn_report_run_load(&e->source, name, r, err);
}

/* ---- rows ---- */

/* The graders of all runs, each once: the columns must be known before the first row. */
static hn_status all_graders(export *e, const char **graders, size_t *n, hn_error *err) {
    for (size_t i = 0; i < e->lines.n; i++) {
        hn_score_list scores;
        HN_TRY(hn_score_load(e->p.store, e->lines.rows[i].id, NULL, &scores, err));
        for (size_t k = 0; k < scores.n && *n < GRADERS_MAX; k++) {
            bool known = k > 0 && strcmp(scores.rows[k].grader, scores.rows[k - 1].grader) == 0;
            for (size_t g = 0; g < *n && !known; g++) known = strcmp(graders[g], scores.rows[k].grader) == 0;
            if (known) continue;
            graders[*n] = hn_arena_strdup(e->cli->arena, scores.rows[k].grader);
            if (!graders[*n]) {
                hn_score_list_free(&scores);
                return hn_fail_memory(err, 64);
            }
            ++*n;
        }
        hn_score_list_free(&scores);
    }
    return HN_OK;
}

static hn_status write_rows(export *e, bool csv, hn_error *err) {
    const char *graders[GRADERS_MAX];
    size_t n_graders = 0;
    if (csv) HN_TRY(all_graders(e, graders, &n_graders, err));
    if (csv) hn_report_csv_header(graders, n_graders, &e->out);
    hn_status st = HN_OK;
    for (size_t i = e->lines.n; st == HN_OK && i-- > 0;) {
        hn_report_run r;
        HN_TRY(load_run(e, i, &r, err));
        st = csv ? hn_report_csv(&r, graders, n_graders, hn_cli_flag(e->cli, "verbatim"), &e->out, err)
                 : hn_report_jsonl(&r, &e->out, err);
        hn_report_run_free(&r);
    }
    return st;
}

/* ---- documents ---- */

static hn_status load_history(export *e, json_t **history, hn_error *err) {
    hn_history_setup setup = {e->p.store, e->p.scope, e->source.today, 0};
    return hn_history_make(&setup, history, err);
}

static hn_status write_markdown(export *e, hn_error *err) {
    if (!is_all(e)) return hn_report_markdown(&e->runs[0], &e->out, err);
    json_t *history;
    HN_TRY(load_history(e, &history, err));
    hn_history_markdown(history, &e->out);
    json_decref(history);
    hn_buf_append_str(&e->out, "\n## Runs\n\n");
    hn_report_markdown_runs(&e->lines, &e->out);
    return hn_buf_check(&e->out, "the report", err);
}

static hn_status write_page(export *e, hn_error *err) {
    json_t *history;
    char title[200];
    HN_TRY(load_history(e, &history, err));
    snprintf(title, sizeof title, "%s", e->p.scope->goal && is_all(e) ? "All runs" : "");
    const hn_run *run = e->runs[0].detail.run;
    if (!is_all(e))
        snprintf(title, sizeof title, "r%lld %.150s", (long long)run->id,
                 run->spec.prompt_name ? run->spec.prompt_name : "");
    else
        snprintf(title, sizeof title, "Runs of this project");
    hn_report_page page = {title, e->runs, e->n_runs, &e->lines, history};
    hn_status st = hn_report_html(&page, &e->out, err);
    json_decref(history);
    return st;
}

/* Those shown in full: the one; or of all the best, then the newest. */
static hn_status load_detailed(export *e, hn_error *err) {
    size_t n = e->lines.n < DETAILED_MAX ? e->lines.n : DETAILED_MAX, best = 0;
    e->runs = hn_calloc(n, sizeof *e->runs);
    if (!e->runs) return hn_fail_memory(err, n * sizeof *e->runs);
    for (size_t i = 1; i < e->lines.n; i++)
        if (e->lines.rows[i].accuracy > e->lines.rows[best].accuracy) best = i;
    HN_TRY(load_run(e, best, &e->runs[0], err));
    e->n_runs = 1;
    for (size_t i = 0; i < e->lines.n && e->n_runs < n; i++) {
        if (i == best) continue;
        HN_TRY(load_run(e, i, &e->runs[e->n_runs], err));
        e->n_runs++;
    }
    return HN_OK;
}

/* ---- where it goes ---- */

static hn_status write_out(export *e, hn_error *err) {
    const char *path = hn_cli_string(e->cli, "out");
    if (!path || strcmp(path, "-") == 0) {
        if (e->cli->out->json)
            return hn_cli_result(e->cli, json_pack("{s:o}", "text", hn_cli_text(hn_buf_str(&e->out), e->out.len)), err);
        (void)hn_output_stream(hn_buf_str(&e->out), e->out.len);
        return HN_OK;
    }
    HN_TRY(hn_file_write_atomic(path, hn_buf_str(&e->out), e->out.len, err));
    if (e->cli->out->json)
        return hn_cli_result(
            e->cli,
            json_pack("{s:s, s:I, s:I}", "file", path, "bytes", (json_int_t)e->out.len, "runs", (json_int_t)e->lines.n),
            err);
    hn_output_print(e->cli->out, "wrote %s: %zu run%s, %zu bytes\n", path, e->lines.n, e->lines.n == 1 ? "" : "s",
                    e->out.len);
    return HN_OK;
}

/* The format that the file's name asks for, unless --format does. */
static const char *format_of(const hn_cli *cli) {
    const char *path = hn_cli_string(cli, "out"), *dot = path ? strrchr(path, '.') : NULL;
    static const char *const known[] = {"md", "csv", "jsonl", "html"};
    if (hn_cli_given(cli, "format") || !dot) return hn_cli_string(cli, "format");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(dot + 1, known[i]) == 0) return known[i];
    return hn_cli_string(cli, "format");
}

static hn_status make(export *e, hn_error *err) {
    const char *format = format_of(e->cli);
    bool csv = strcmp(format, "csv") == 0, rows = csv || strcmp(format, "jsonl") == 0,
         html = strcmp(format, "html") == 0;
    HN_TRY(choose_runs(e, err));
    if (!rows && (html || !is_all(e))) HN_TRY(load_detailed(e, err));
    if (rows)
        HN_TRY(write_rows(e, csv, err));
    else if (html)
        HN_TRY(write_page(e, err));
    else
        HN_TRY(write_markdown(e, err));
    HN_TRY(hn_buf_check(&e->out, "the export", err));
    return write_out(e, err);
}

static hn_status run(hn_cli *cli, hn_error *err) {
    export e = {.cli = cli};
    hn_error unused;
    if (hn_cli_given(cli, "model")) return hn_cli_export_model(cli, err);
    if (cli->n_positional != 1) return hn_cli_usage(cli, err, "a run, `all`, or --model is needed");
    HN_TRY(hn_cli_project_open(HN_CLI_STORE, &e.p, err));
    hn_buf_init(&e.out, 0);
    e.source = (hn_report_source){e.p.store, e.p.scope, NULL, hn_project_scope_hash(e.p.project)};
    if (hn_project_dataset(e.p.project, &e.source.today, &unused) != HN_OK) e.source.today = NULL;
    hn_status st = make(&e, err);
    for (size_t i = 0; i < e.n_runs; i++) hn_report_run_free(&e.runs[i]);
    hn_free(e.runs);
    hn_run_lines_free(&e.lines);
    hn_buf_free(&e.out);
    hn_cli_project_close(&e.p);
    return st;
}

static const hn_option options[] = {
    {.name = "format",
     .kind = HN_OPTION_CHOICE,
     .value = "md|csv|jsonl|html",
     .otherwise = "md",
     .help = "Markdown summary, answers as CSV or JSON Lines, or a page with charts; else by the ending of --out"},
    {.name = "out",
     .letter = 'o',
     .kind = HN_OPTION_STRING,
     .value = "FILE",
     .help = "where to; - or nothing: standard output; with --model: the folder or file to make"},
    {.name = "model",
     .letter = 'm',
     .kind = HN_OPTION_STRING,
     .value = "MODEL",
     .help =
         "export a model instead of runs: a catalogue name or path; MODEL+ADAPTER merges a LoRA adapter (a folder or "
         "a GGUF file) into it, tune:r9 what that run trained"},
    {.name = "to",
     .kind = HN_OPTION_CHOICE,
     .value = "safetensors|ollama|gguf|gguf-adapter|peft",
     .otherwise = "safetensors",
     .help =
         "with --model: a Hugging Face folder, one with an Ollama Modelfile in it, one GGUF file, or the adapter alone "
         "(a GGUF file, or a folder as PEFT saves it)"},
    {.name = "type",
     .kind = HN_OPTION_CHOICE,
     .value = "bf16|f16|f32",
     .otherwise = "bf16",
     .help = "with --model: how its numbers are stored"},
    {.name = "base-name",
     .kind = HN_OPTION_STRING,
     .value = "NAME",
     .help =
         "with --to peft or gguf-adapter: what the adapter calls the model it belongs to, such as a Hugging Face name "
         "(default: what it says now)"},
    {.name = "force", .kind = HN_OPTION_FLAG, .help = "with --to gguf or gguf-adapter: replace FILE where it is there"},
    {.name = "verbatim",
     .kind = HN_OPTION_FLAG,
     .help = "with csv: leave cells that a spreadsheet takes for formulas (=, +, -, @ in front) as they are"},
    {0}};

const hn_command hn_cmd_export = {
    .name = "export",
    .summary = "a run, or all of them, as Markdown, CSV, JSON Lines or an HTML report; or a model with its adapter",
    .usage = "RUN|all [--format md|csv|jsonl|html] [-o FILE] | --model MODEL[+ADAPTER] [--to FORM] -o FILE|FOLDER",
    .description =
        "Texts of cases are those of the data as it was for the run. The HTML report loads nothing from anywhere.\n"
        "With --model a folder is made that Hugging Face's libraries, hone and Ollama read, or a GGUF file for hone "
        "and\n"
        "llama.cpp: W + alpha/r B A, rounded once. The adapter alone, in either form, is --to peft or gguf-adapter.",
    .options = options,
    .min_args = 0,
    .max_args = 1,
    .examples = "  hone export r7\n  hone export last -o report.html\n  hone export all --format csv -o answers.csv\n"
                "  hone export --model smollm2+adapter -o merged\n"
                "  hone export --model smollm2+adapter --to ollama -o merged\n"
                "  hone export --model tune:r9 --to gguf -o merged.gguf\n"
                "  hone export --model tune:r9 --to gguf-adapter -o adapter.gguf",
    .run = run,
};
