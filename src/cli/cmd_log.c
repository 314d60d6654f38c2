/* hone log: the project's runs, newest first. */
#include "base/clock.h"
#include "cli/commands.h"
#include "cli/project_cli.h"
#include "format/json.h"

#include <math.h>
#include <string.h>

/* {"value","low","high"} of a run's summary; NaN where it has none. */
static hn_estimate accuracy_of(const hn_run *run, json_t **summary) {
    hn_estimate e = {(double)NAN, (double)NAN, (double)NAN};
    hn_error unused;
    *summary = NULL;
    if (!run->summary_json ||
        hn_json_parse(run->summary_json, strlen(run->summary_json), "summary", 0, summary, &unused) != HN_OK)
        return e;
    json_t *accuracy = json_object_get(json_object_get(*summary, "metrics"), "accuracy");
    hn_estimate found = e;
    bool fine =
        json_unpack(accuracy, "{s:F, s:F, s:F}", "value", &found.value, "low", &found.low, "high", &found.high) == 0;
    return fine ? found : e;
}

static hn_status print_table(hn_cli *cli, hn_run *const *runs, size_t n, hn_error *err) {
    static const char *const heads[] = {"run",   "when",     "prompt", "model", "split",
                                        "cases", "accuracy", "state",  "tags"};
    hn_table *t = hn_table_create(cli->out);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        hn_table_column(t, heads[i], i == 5 || i == 6 ? HN_ALIGN_RIGHT : HN_ALIGN_LEFT);
    for (size_t i = 0; i < n; i++) {
        const hn_run *r = runs[i];
        char when[32], text[48];
        json_t *summary;
        hn_estimate accuracy = accuracy_of(r, &summary);
        json_decref(summary);
        bool done = strcmp(r->state, "done") == 0;
        hn_table_row(t);
        hn_table_cell(t, "r%lld", (long long)r->id);
        hn_table_cell(t, "%s", hn_clock_format(r->started_ms, true, when));
        hn_table_cell(t, "%s", r->spec.prompt_name ? r->spec.prompt_name : "");
        hn_table_cell(t, "%s", r->spec.model_name ? r->spec.model_name : "");
        hn_table_cell(t, "%s", r->spec.split ? r->spec.split : "");
        hn_table_cell(t, "%lld", (long long)r->spec.n_cases);
        hn_table_cell(t, "%s", hn_cli_percent(accuracy, text));
        if (done || strcmp(r->state, "failed") == 0)
            hn_table_cell(t, "%s", r->state);
        else
            hn_table_cell(t, "%lld of %lld", (long long)r->n_done, (long long)r->spec.n_cases);
        hn_table_cell(t, "%s", r->tags);
        if (!done) hn_table_row_style(t, HN_STYLE_WARN);
    }
    return hn_table_print(t, err);
}

static hn_status print_json(hn_cli *cli, hn_run *const *runs, size_t n, hn_error *err) {
    json_t *list = json_array();
    bool fine = list != NULL;
    for (size_t i = 0; fine && i < n; i++) {
        const hn_run *r = runs[i];
        char name[32], when[32];
        json_t *summary;
        accuracy_of(r, &summary);
        snprintf(name, sizeof name, "r%lld", (long long)r->id);
        json_t *row = json_pack("{s:s, s:s, s:s, s:s, s:s?, s:s?, s:s?, s:I, s:I, s:s, s:O?, s:s?}", "run", name, "id",
                                r->content_id, "when", hn_clock_format(r->started_ms, false, when), "state", r->state,
                                "prompt", r->spec.prompt_name, "model", r->spec.model_name, "split", r->spec.split, "n",
                                (json_int_t)r->spec.n_cases, "n_done", (json_int_t)r->n_done, "tags", r->tags,
                                "metrics", json_object_get(summary, "metrics"), "reason", r->reason);
        json_decref(summary);
        fine = json_array_append_new(list, row) == 0;
    }
    json_t *result = fine ? json_pack("{s:O}", "runs", list) : NULL;
    json_decref(list);
    return hn_cli_result(cli, result, err);
}

static hn_status run(hn_cli *cli, hn_error *err) {
    hn_cli_project p;
    hn_run **runs;
    size_t n;
    HN_TRY(hn_cli_project_open(HN_CLI_STORE, &p, err));
    hn_status st = hn_run_list(p.store, (size_t)hn_cli_int(cli, "limit"), &runs, &n, err);
    if (st == HN_OK) {
        if (cli->out->json)
            st = print_json(cli, runs, n, err);
        else if (n == 0)
            hn_output_print(cli->out, "nothing was run yet: start with hone eval\n");
        else
            st = print_table(cli, runs, n, err);
        hn_run_list_free(runs, n);
    }
    hn_cli_project_close(&p);
    return st;
}

static const hn_option options[] = {{.name = "limit",
                                     .letter = 'n',
                                     .kind = HN_OPTION_INT,
                                     .value = "N",
                                     .otherwise = "30",
                                     .low = 0,
                                     .high = 1e9,
                                     .help = "the newest N runs; 0: all"},
                                    {0}};

const hn_command hn_cmd_log = {
    .name = "log",
    .summary = "the project's runs, newest first",
    .usage = "[-n N]",
    .options = options,
    .run = run,
};
