/* hone log: the project's runs, newest first. */
#include "base/clock.h"
#include "cli/commands.h"
#include "cli/project_cli.h"
#include "format/json.h"

#include <math.h>
#include <stdlib.h>
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
        hn_table_cell(t, "r%lld%s", (long long)r->id, r->starred ? " *" : "");
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
        if (r->n_notes)
            hn_table_cell(t, "%s%s%zu note%s", r->tags, *r->tags ? ", " : "", r->n_notes, r->n_notes == 1 ? "" : "s");
        else
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
        json_t *row = json_pack("{s:s, s:s, s:s, s:s, s:s?, s:s?, s:s?, s:I, s:I, s:s, s:O?, s:s?, s:b, s:I}", "run",
                                name, "id", r->content_id, "when", hn_clock_format(r->started_ms, false, when), "state",
                                r->state, "prompt", r->spec.prompt_name, "model", r->spec.model_name, "split",
                                r->spec.split, "n", (json_int_t)r->spec.n_cases, "n_done", (json_int_t)r->n_done,
                                "tags", r->tags, "metrics", json_object_get(summary, "metrics"), "reason", r->reason,
                                "starred", r->starred, "notes", (json_int_t)r->n_notes);
        json_decref(summary);
        fine = json_array_append_new(list, row) == 0;
    }
    json_t *result = fine ? json_pack("{s:O}", "runs", list) : NULL;
    json_decref(list);
    return hn_cli_result(cli, result, err);
}

static bool contains(const char *text, const char *part) { return !part || (text && strstr(text, part)); }

static bool is_wanted(const hn_cli *cli, const hn_run *r) {
    const char *split = hn_cli_string(cli, "split"), *state = hn_cli_string(cli, "state"),
               *tag = hn_cli_string(cli, "tag");
    return (!hn_cli_flag(cli, "starred") || r->starred) &&
           contains(r->spec.prompt_name, hn_cli_string(cli, "prompt")) &&
           contains(r->spec.model_name, hn_cli_string(cli, "in-model")) && contains(r->tags, tag) &&
           (!split || (r->spec.split && strcmp(r->spec.split, split) == 0)) && (!state || strcmp(r->state, state) == 0);
}

typedef struct ranked {
    hn_run *run;
    double accuracy;
} ranked;

/* Runs without a figure come last. */
static int by_accuracy(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (isnan(x->accuracy) || isnan(y->accuracy)) return isnan(x->accuracy) - isnan(y->accuracy);
    if (x->accuracy != y->accuracy) return x->accuracy > y->accuracy ? -1 : 1;
    return x->run->id > y->run->id ? -1 : 1;
}

static hn_status sort_runs(hn_run **runs, size_t n, hn_error *err) {
    ranked *all = hn_alloc(n * sizeof *all);
    if (!all) return hn_fail_memory(err, n * sizeof *all);
    for (size_t i = 0; i < n; i++) {
        json_t *summary;
        all[i] = (ranked){runs[i], accuracy_of(runs[i], &summary).value};
        json_decref(summary);
    }
    qsort(all, n, sizeof *all, by_accuracy);
    for (size_t i = 0; i < n; i++) runs[i] = all[i].run;
    hn_free(all);
    return HN_OK;
}

/* Drops the runs that are not asked for; *n: how many are left. */
static void filter(const hn_cli *cli, hn_run **runs, size_t *n, size_t limit) {
    size_t kept = 0;
    for (size_t i = 0; i < *n; i++) {
        if (is_wanted(cli, runs[i]) && (limit == 0 || kept < limit))
            runs[kept++] = runs[i];
        else
            hn_run_free(runs[i]);
    }
    *n = kept;
}

static bool is_filtered(const hn_cli *cli) {
    static const char *const names[] = {"prompt", "in-model", "split", "state", "tag"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (hn_cli_given(cli, names[i])) return true;
    return hn_cli_flag(cli, "starred");
}

static hn_status load_runs(hn_cli *cli, hn_store *store, hn_run ***runs, size_t *n, hn_error *err) {
    bool sorted = strcmp(hn_cli_string(cli, "sort"), "accuracy") == 0;
    size_t limit = (size_t)hn_cli_int(cli, "limit");
    HN_TRY(hn_run_list(store, sorted || is_filtered(cli) ? 0 : limit, runs, n, err));
    hn_status st = sorted && *n ? sort_runs(*runs, *n, err) : HN_OK;
    filter(cli, *runs, n, limit);
    if (st != HN_OK) hn_run_list_free(*runs, *n);
    return st;
}

static hn_status run(hn_cli *cli, hn_error *err) {
    hn_cli_project p;
    hn_run **runs;
    size_t n;
    HN_TRY(hn_cli_project_open(HN_CLI_STORE, &p, err));
    hn_status st = load_runs(cli, p.store, &runs, &n, err);
    if (st == HN_OK) {
        if (cli->out->json)
            st = print_json(cli, runs, n, err);
        else if (n == 0 && is_filtered(cli))
            hn_output_print(cli->out, "no run is like that; `hone log` shows all\n");
        else if (n == 0)
            hn_output_print(cli->out, "nothing was run yet: start with hone eval\n");
        else
            st = print_table(cli, runs, n, err);
        hn_run_list_free(runs, n);
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
    {.name = "tag", .kind = HN_OPTION_STRING, .value = "TEXT", .help = "only runs with a tag that holds this"},
    {0}};

const hn_command hn_cmd_log = {
    .name = "log",
    .summary = "the project's runs, newest first",
    .usage = "[-n N] [--sort accuracy] [--starred] [--prompt TEXT] [--split S]",
    .options = options,
    .run = run,
};
