/* hone log: the project's runs, newest first. */
#include "base/clock.h"
#include "cli/commands.h"
#include "cli/project_cli.h"
#include "format/json.h"

#include <stdio.h>
#include <string.h>

/* The run's own column: what kind of run it is unless an evaluation, tags, how many notes. */
static void remarks_of(const hn_run_line *r, hn_buf *out) {
    bool plain = strcmp(r->kind, "eval") == 0;
    hn_buf_clear(out);
    if (!plain) hn_buf_append_str(out, r->kind);
    if (*r->tags) hn_buf_appendf(out, "%s%s", out->len ? ", " : "", r->tags);
    if (r->n_notes) hn_buf_appendf(out, "%s%zu note%s", out->len ? ", " : "", r->n_notes, r->n_notes == 1 ? "" : "s");
}

static void fill_row(hn_table *t, const hn_run_line *r, hn_buf *remarks) {
    char when[32], text[48];
    bool done = strcmp(r->state, "done") == 0;
    hn_table_row(t);
    hn_table_cell(t, "r%lld%s", (long long)r->id, r->starred ? " *" : "");
    hn_table_cell(t, "%s", hn_clock_format(r->started_ms, true, when));
    hn_table_cell(t, "%s", r->prompt_name ? r->prompt_name : "");
    hn_table_cell(t, "%s", r->model_name ? r->model_name : "");
    hn_table_cell(t, "%s", r->split ? r->split : "");
    hn_table_cell(t, "%lld", (long long)r->n_cases);
    hn_table_cell(t, "%s", hn_cli_percent((hn_estimate){r->accuracy, r->low, r->high}, text));
    if (done || strcmp(r->state, "failed") == 0)
        hn_table_cell(t, "%s", r->state);
    else
        hn_table_cell(t, "%lld of %lld", (long long)r->n_done, (long long)r->n_cases);
    remarks_of(r, remarks);
    hn_table_cell(t, "%s", hn_buf_str(remarks));
    if (!done) hn_table_row_style(t, HN_STYLE_WARN);
}

static hn_status print_table(hn_cli *cli, const hn_run_lines *runs, hn_error *err) {
    static const char *const heads[] = {"run",   "when",     "prompt", "model", "split",
                                        "cases", "accuracy", "state",  "tags"};
    hn_buf remarks;
    hn_buf_init(&remarks, 1 << 16);
    hn_table *t = hn_table_create(cli->out);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        hn_table_column(t, heads[i], i == 5 || i == 6 ? HN_ALIGN_RIGHT : HN_ALIGN_LEFT);
    for (size_t i = 0; i < runs->n; i++) fill_row(t, &runs->rows[i], &remarks);
    hn_buf_free(&remarks);
    return hn_table_print(t, err);
}

static json_t *line_json(const hn_run_line *r) {
    char name[32], when[32];
    hn_error unused;
    json_t *metrics = NULL;
    if (r->metrics_json &&
        hn_json_parse(r->metrics_json, strlen(r->metrics_json), "metrics", 0, &metrics, &unused) != HN_OK)
        metrics = NULL;
    snprintf(name, sizeof name, "r%lld", (long long)r->id);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s?, s:s?, s:s?, s:I, s:I, s:s, s:o?, s:s?, s:b, s:I}", "run", name,
                     "id", r->content_id, "kind", r->kind, "when", hn_clock_format(r->started_ms, false, when), "state",
                     r->state, "prompt", r->prompt_name, "model", r->model_name, "split", r->split, "n",
                     (json_int_t)r->n_cases, "n_done", (json_int_t)r->n_done, "tags", r->tags, "metrics", metrics,
                     "reason", r->reason, "starred", r->starred, "notes", (json_int_t)r->n_notes);
}

static hn_status print_json(hn_cli *cli, const hn_run_lines *runs, hn_error *err) {
    json_t *list = json_array();
    bool fine = list != NULL;
    for (size_t i = 0; fine && i < runs->n; i++) fine = json_array_append_new(list, line_json(&runs->rows[i])) == 0;
    json_t *result = fine ? json_pack("{s:O}", "runs", list) : NULL;
    json_decref(list);
    return hn_cli_result(cli, result, err);
}

static bool is_filtered(const hn_cli *cli) {
    static const char *const names[] = {"prompt", "in-model", "split", "state", "tag", "kind"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (hn_cli_given(cli, names[i])) return true;
    return hn_cli_flag(cli, "starred");
}

static hn_status run(hn_cli *cli, hn_error *err) {
    hn_cli_project p;
    hn_run_lines runs;
    hn_run_filter filter = {.prompt = hn_cli_string(cli, "prompt"),
                            .model = hn_cli_string(cli, "in-model"),
                            .tag = hn_cli_string(cli, "tag"),
                            .split = hn_cli_string(cli, "split"),
                            .state = hn_cli_string(cli, "state"),
                            .kind = hn_cli_string(cli, "kind"),
                            .starred = hn_cli_flag(cli, "starred"),
                            .by_accuracy = strcmp(hn_cli_string(cli, "sort"), "accuracy") == 0,
                            .limit = (size_t)hn_cli_int(cli, "limit")};
    HN_TRY(hn_cli_project_open(HN_CLI_STORE, &p, err));
    hn_status st = hn_run_lines_load(p.store, &filter, &runs, err);
    if (st == HN_OK) {
        if (cli->out->json)
            st = print_json(cli, &runs, err);
        else if (runs.n == 0 && is_filtered(cli))
            hn_output_print(cli->out, "no run is like that; `hone log` shows all\n");
        else if (runs.n == 0)
            hn_output_print(cli->out, "nothing was run yet: start with hone eval\n");
        else
            st = print_table(cli, &runs, err);
        hn_run_lines_free(&runs);
    }
    hn_cli_project_close(&p);
    return st;
}

static const hn_option options[] = {
    {.name = "limit",
     .letter = 'n',
     .kind = HN_OPTION_INT,
     .value = "N",
     .otherwise = "30",
     .low = 0,
     .high = 1e9,
     .help = "the first N runs; 0: all"},
    {.name = "sort",
     .kind = HN_OPTION_CHOICE,
     .value = "newest|accuracy",
     .otherwise = "newest",
     .help = "what comes first"},
    {.name = "starred", .kind = HN_OPTION_FLAG, .help = "only starred runs"},
    {.name = "prompt", .kind = HN_OPTION_STRING, .value = "TEXT", .help = "only runs whose prompt's name holds this"},
    {.name = "in-model", .kind = HN_OPTION_STRING, .value = "TEXT", .help = "only runs whose model's name holds this"},
    {.name = "split", .kind = HN_OPTION_CHOICE, .value = "dev|test|train", .help = "only runs on this split"},
    {.name = "state",
     .kind = HN_OPTION_CHOICE,
     .value = "done|running|stopped|failed",
     .help = "only runs in this state"},
    {.name = "kind",
     .kind = HN_OPTION_STRING,
     .value = "KIND",
     .help = "only runs of this kind: eval, replay, regrade"},
    {.name = "tag", .kind = HN_OPTION_STRING, .value = "TEXT", .help = "only runs with a tag that holds this"},
    {0}};

const hn_command hn_cmd_log = {
    .name = "log",
    .summary = "the project's runs, newest first",
    .usage = "[-n N] [--sort accuracy] [--starred] [--prompt TEXT] [--split S]",
    .options = options,
    .run = run,
};
