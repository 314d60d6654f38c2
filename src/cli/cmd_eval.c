/* hone eval: prompts on a split, with intervals and baselines. */
#include "base/file.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/correction_cli.h"
#include "cli/inference.h"
#include "cli/project_cli.h"
#include "lifecycle/eval/eval.h"
#include "lifecycle/iterate/advice.h"
#include "lifecycle/iterate/goals.h"
#include "lifecycle/scope/baseline.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROMPTS_MAX = 1000 };

typedef struct evaluations {
    hn_cli *cli;
    hn_cli_project p;
    hn_provider *provider;
    const char **paths; /* (n) of the prompts, in the command's arena */
    hn_prompt **prompts;
    hn_eval_result *results; /* (n); the first n_done are there */
    size_t n, n_done;
    hn_baselines baselines;
    hn_eval_setup setup;
    hn_progress progress;
    bool prior_shown;
} evaluations;

/* ---- which prompts ---- */

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* A prompt that is named twice (1-vague, prompts/1-vague.yaml, its folder) is run once. */
static hn_status add_path(evaluations *e, const char *path, hn_error *err) {
    for (size_t i = 0; i < e->n; i++)
        if (hn_file_is_same(e->paths[i], path)) return HN_OK;
    if (e->n == PROMPTS_MAX)
        return hn_fail(err, HN_ERR_LIMIT, path, "name fewer prompts", "more than %d prompts", PROMPTS_MAX);
    e->paths[e->n] = hn_arena_strdup(e->cli->arena, path);
    return e->paths[e->n++] ? HN_OK : hn_fail_memory(err, strlen(path));
}

static hn_status add_folder(evaluations *e, const char *dir, hn_error *err) {
    DIR *folder = opendir(dir);
    if (!folder)
        return hn_fail(err, HN_ERR_NOT_FOUND, dir, "write a prompt there, or name one: hone eval PROMPT.yaml",
                       "the folder of prompts is not there");
    hn_status st = HN_OK;
    size_t before = e->n;
    for (struct dirent *entry; st == HN_OK && (entry = readdir(folder));) {
        char path[HN_PATH_MAX];
        if (entry->d_name[0] == '.' || (!hn_ends_with(entry->d_name, ".yaml") && !hn_ends_with(entry->d_name, ".yml")))
            continue;
        st = hn_path_join(path, dir, entry->d_name, err);
        if (st == HN_OK) st = add_path(e, path, err);
    }
    closedir(folder);
    if (st == HN_OK && e->n == before)
        st = hn_fail(err, HN_ERR_NOT_FOUND, dir, "write a prompt there", "there is no prompt (NAME.yaml) in it");
    if (st == HN_OK) qsort(e->paths + before, e->n - before, sizeof *e->paths, by_text);
    return st;
}

static hn_status add_named(evaluations *e, const char *name, hn_error *err) {
    char path[HN_PATH_MAX];
    if (hn_file_is_dir(name)) return add_folder(e, name, err);
    HN_TRY(hn_cli_prompt_path(&e->p, name, path, err));
    return add_path(e, path, err);
}

static hn_status find_prompts(evaluations *e, hn_error *err) {
    char dir[HN_PATH_MAX];
    e->paths = hn_arena_calloc(e->cli->arena, PROMPTS_MAX, sizeof *e->paths);
    if (!e->paths) return hn_fail_memory(err, PROMPTS_MAX * sizeof *e->paths);
    for (int i = 0; i < e->cli->n_positional; i++) HN_TRY(add_named(e, e->cli->positional[i], err));
    if (e->n > 0) return HN_OK;
    HN_TRY(hn_path_join(dir, hn_project_root(e->p.project), "prompts", err));
    return add_folder(e, dir, err);
}

/* All prompts are read and checked before the first is run: a typo in the last must not show after an hour. */
static hn_status load_prompts(evaluations *e, hn_error *err) {
    HN_TRY(find_prompts(e, err));
    e->prompts = hn_calloc(e->n, sizeof *e->prompts);
    e->results = hn_calloc(e->n, sizeof *e->results);
    if (!e->prompts || !e->results) return hn_fail_memory(err, e->n * sizeof *e->results);
    for (size_t i = 0; i < e->n; i++)
        HN_TRY(hn_prompt_load(e->paths[i], e->p.scope, e->p.dataset, &e->prompts[i], err));
    return HN_OK;
}

/* ---- running ---- */

static void on_progress(void *user, const hn_eval_progress *p) {
    evaluations *e = user;
    char what[160];
    const char *name = e->prompts[e->n_done]->name;
    if (p->n_prior < p->n_prior_cases) {
        snprintf(what, sizeof what, "%s: calibrating", name);
        hn_progress_rename(&e->progress, what, p->n_prior_cases);
        hn_progress_update(&e->progress, p->n_prior);
        e->prior_shown = true;
        return;
    }
    if (e->prior_shown) { /* a count of its own: start anew, so that the rate is the cases' */
        hn_progress_end(&e->progress);
        hn_progress_begin(&e->progress, e->cli->out, name, p->n_cases, HN_PROGRESS_COUNT, "cases");
        hn_progress_base(&e->progress, p->n_saved);
        e->prior_shown = false;
    }
    if (p->n_saved)
        snprintf(what, sizeof what, "%s (%.1f %% right)", name, 100.0 * (double)p->n_correct / (double)p->n_saved);
    else
        snprintf(what, sizeof what, "%s", name);
    hn_progress_rename(&e->progress, what, p->n_cases);
    hn_progress_update(&e->progress, p->n_saved);
}

static hn_status run_prompt(evaluations *e, hn_error *err) {
    hn_prompt *prompt = e->prompts[e->n_done];
    hn_eval_result *result = &e->results[e->n_done];
    e->prior_shown = false;
    hn_progress_begin(&e->progress, e->cli->out, prompt->name, 0, HN_PROGRESS_COUNT, "cases");
    hn_status st = hn_eval_run(&e->setup, prompt, on_progress, e, result, err);
    hn_progress_end(&e->progress);
    if (st == HN_OK) e->n_done++;
    return st;
}

static hn_status measure_baselines(evaluations *e, hn_error *err) {
    uint32_t *cases;
    size_t n;
    HN_TRY(hn_eval_cases(&e->setup, &cases, &n, err));
    hn_status st = hn_baselines_measure(e->p.dataset, &e->p.scope->contract, cases, n, e->p.store, &e->baselines, err);
    hn_free(cases);
    return st;
}

static hn_status open_all(evaluations *e, hn_error *err) {
    hn_cli *cli = e->cli;
    HN_TRY(hn_cli_project_open(HN_CLI_DATA | HN_CLI_STORE, &e->p, err));
    HN_TRY(load_prompts(e, err));
    hn_split split;
    if (!hn_split_parse(hn_cli_string(cli, "split"), &split)) return hn_cli_usage(cli, err, "unknown split");
    e->setup = (hn_eval_setup){.project = e->p.project,
                               .dataset = e->p.dataset,
                               .store = e->p.store,
                               .split = split,
                               .limit = (size_t)hn_cli_int(cli, "limit"),
                               .no_cache = hn_cli_flag(cli, "no-cache")};
    HN_TRY(measure_baselines(e, err));
    hn_local_options options = hn_cli_local_options(cli);
    HN_TRY(hn_cli_project_model(&e->p, hn_cli_string(cli, "model"), &options, &e->provider, err));
    e->setup.provider = e->provider;
    return HN_OK;
}

static void close_all(evaluations *e) {
    for (size_t i = 0; e->results && i < e->n_done; i++) hn_eval_result_free(&e->results[i]);
    for (size_t i = 0; e->prompts && i < e->n; i++) hn_prompt_free(e->prompts[i]);
    hn_free(e->results);
    hn_free(e->prompts);
    hn_baselines_free(&e->baselines);
    hn_provider_close(e->provider);
    hn_cli_project_close(&e->p);
}

/* ---- showing ---- */

static size_t best_of(const evaluations *e) {
    size_t best = 0;
    for (size_t i = 1; i < e->n_done; i++)
        if (e->results[i].report.accuracy.value > e->results[best].report.accuracy.value) best = i;
    return best;
}

static void baseline_row(hn_table *t, const char *name, const hn_baseline *b) {
    char text[48];
    hn_table_row(t);
    hn_table_cell(t, "%s", name);
    hn_table_cell(t, " ");
    hn_table_cell(t, "%s", hn_cli_percent(b->accuracy, text));
    hn_table_cell(t, "%s", hn_cli_percent(b->macro_f1, text));
    hn_table_row_style(t, HN_STYLE_DIM);
}

static hn_status print_table(evaluations *e, size_t best, hn_error *err) {
    hn_table *t = hn_table_create(e->cli->out);
    bool choice = e->p.scope->contract.kind == HN_CONTRACT_CHOICE;
    char text[48], label[200];
    hn_table_column(t, "prompt", HN_ALIGN_LEFT);
    hn_table_column(t, "run", HN_ALIGN_LEFT);
    hn_table_column(t, "accuracy", HN_ALIGN_RIGHT);
    if (choice) hn_table_column(t, "macro F1", HN_ALIGN_RIGHT);
    hn_table_column(t, "time", HN_ALIGN_RIGHT);
    hn_table_column(t, "cached", HN_ALIGN_RIGHT);
    hn_table_column(t, " ", HN_ALIGN_LEFT);
    if (e->baselines.known) {
        snprintf(label, sizeof label, "(always %s)", e->baselines.majority_label);
        baseline_row(t, label, &e->baselines.majority);
        baseline_row(t, "(bag of words)", &e->baselines.bag_of_words);
    }
    for (size_t i = 0; i < e->n_done; i++) {
        const hn_eval_result *r = &e->results[i];
        hn_table_row(t);
        hn_table_cell(t, "%s", e->prompts[i]->name);
        hn_table_cell(t, "r%lld", (long long)r->run->id);
        hn_table_cell(t, "%s", hn_cli_percent(r->report.accuracy, text));
        if (choice) hn_table_cell(t, "%s", hn_cli_percent(r->report.macro_f1, text));
        hn_table_cell(t, "%s", hn_format_duration(r->seconds, text));
        hn_table_cell(t, "%zu of %zu", r->n_cached, r->report.n);
        hn_table_cell(t, "%s",
                      e->n_done > 1 && i == best ? "best"
                      : r->start == HN_RUN_DONE  ? "unchanged"
                      : r->n_resumed             ? "resumed"
                                                 : "");
        if (e->n_done > 1 && i == best) hn_table_row_style(t, HN_STYLE_GOOD);
    }
    return hn_table_print(t, err);
}

static hn_status goals_of(evaluations *e, size_t i, hn_goals *goals, hn_error *err) {
    const hn_eval_result *r = &e->results[i];
    hn_goal_facts facts = {e->p.scope, e->p.store, r->run, &r->predictions, &r->report, &e->baselines};
    return hn_goals_check(&facts, goals, err);
}

static void print_troubles(evaluations *e) {
    const char *warn = hn_output_style(e->cli->out, HN_STYLE_WARN), *off = hn_output_style(e->cli->out, HN_STYLE_NONE);
    for (size_t i = 0; i < e->n_done; i++) {
        const hn_eval_result *r = &e->results[i];
        if (r->report.n_invalid)
            hn_output_print(e->cli->out,
                            "%s%s%s: %zu of %zu answers were nothing that the output allows; they count as wrong\n",
                            warn, e->prompts[i]->name, off, r->report.n_invalid, r->report.n);
        if (r->report.n_cut)
            hn_output_print(e->cli->out, "%s%s%s: %zu answers cut by max_tokens, before they were whole\n", warn,
                            e->prompts[i]->name, off, r->report.n_cut);
        const char *why = NULL;
        for (size_t k = 0; k < r->predictions.n && !why; k++) why = r->predictions.rows[k].error;
        if (why)
            hn_output_print(e->cli->out, "%s%s%s: %zu of %zu cases were not answered and count as wrong: %s\n", warn,
                            e->prompts[i]->name, off, r->report.n_failed, r->report.n, why);
    }
}

static hn_status print_looks(evaluations *e, hn_error *err) {
    int64_t looks;
    if (e->setup.split != HN_SPLIT_TEST) return HN_OK;
    HN_TRY(hn_test_looks(e->p.store, e->p.dataset->hash, &looks, err));
    hn_output_print(e->cli->out,
                    "test split: looked at %lld time%s; each look makes it a little less honest, so choose on dev\n",
                    (long long)looks, looks == 1 ? "" : "s");
    return HN_OK;
}

static void print_next(evaluations *e, size_t best) {
    hn_buf text;
    hn_buf_init(&text, 1 << 16);
    hn_advice_on_results(e->results, e->n_done, best, &e->baselines, e->p.scope, &text);
    hn_output_print(e->cli->out, "\nNext:\n");
    for (const char *line = hn_buf_str(&text); *line;) {
        size_t n = strcspn(line, "\n");
        hn_output_print(e->cli->out, "  %.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
    hn_buf_free(&text);
}

static hn_status print_results(evaluations *e, hn_error *err) {
    size_t best = best_of(e);
    const hn_eval_result *first = &e->results[0];
    hn_output_print(e->cli->out, "%zu %s cases%s, %s\n\n", first->report.n, first->run->spec.split,
                    first->report.grouped ? " (related ones counted together)" : "", first->run->spec.model_name);
    HN_TRY(print_table(e, best, err));
    hn_output_print(e->cli->out, "\n");
    print_troubles(e);
    for (size_t i = 0; i < e->n_done; i++) {
        const hn_eval_result *r = &e->results[i];
        HN_TRY(hn_cli_print_correction(e->cli, e->p.scope, e->prompts[i], r->run, &r->predictions, &r->report, err));
    }
    hn_goals goals;
    HN_TRY(goals_of(e, best, &goals, err));
    hn_cli_print_goals(e->cli, &goals);
    HN_TRY(print_looks(e, err));
    print_next(e, best);
    return HN_OK;
}

static hn_status print_json(evaluations *e, hn_error *err) {
    json_t *runs = json_array(), *baselines;
    HN_TRY(hn_baselines_json(&e->baselines, &baselines, err));
    hn_status st = runs ? HN_OK : hn_fail_memory(err, 0);
    for (size_t i = 0; st == HN_OK && i < e->n_done; i++) {
        json_t *value;
        hn_goals goals;
        json_t *goals_json = NULL;
        st = hn_eval_json(&e->results[i], baselines, &value, err);
        if (st != HN_OK) break;
        st = goals_of(e, i, &goals, err);
        if (st == HN_OK) st = hn_goals_json(&goals, &goals_json, err);
        if (st != HN_OK || json_object_set_new(value, "goals", goals_json) != 0) {
            json_decref(value);
            if (st == HN_OK) st = hn_fail_memory(err, 0);
            break;
        }
        json_t *correction = NULL;
        st = hn_correction_report_json(e->p.scope, e->prompts[i], e->results[i].run, &e->results[i].predictions,
                                       &e->results[i].report, &correction, err);
        if (correction) json_object_set_new(value, "calibration", correction);
        if (json_array_append_new(runs, value) != 0 && st == HN_OK) st = hn_fail_memory(err, 0);
    }
    json_decref(baselines);
    json_t *result = st == HN_OK ? json_pack("{s:O}", "runs", runs) : NULL;
    json_decref(runs);
    HN_TRY(st);
    int64_t looks;
    if (result && e->setup.split == HN_SPLIT_TEST &&
        hn_test_looks(e->p.store, e->p.dataset->hash, &looks, err) == HN_OK)
        json_object_set_new(result, "test_looks", json_integer(looks));
    return hn_cli_result(e->cli, result, err);
}

static hn_status run(hn_cli *cli, hn_error *err) {
    evaluations e = {.cli = cli};
    hn_error ignored;
    hn_status st = open_all(&e, err);
    while (st == HN_OK && e.n_done < e.n) st = run_prompt(&e, err);
    /* Stopped in the middle: what is finished is still worth showing to people; a program gets the error alone. */
    if (st == HN_OK && cli->out->json)
        st = print_json(&e, err);
    else if (st == HN_OK)
        st = print_results(&e, err);
    else if (e.n_done > 0 && !cli->out->json && print_table(&e, best_of(&e), &ignored) == HN_OK)
        hn_output_print(cli->out, "\n");
    close_all(&e);
    return st;
}

static const hn_option options[] = {
    HN_MODEL_OPTIONS,
    {.name = "split",
     .kind = HN_OPTION_CHOICE,
     .value = "dev|test|train",
     .otherwise = "dev",
     .help = "the cases to answer; each look at test is counted"},
    {.name = "limit",
     .kind = HN_OPTION_INT,
     .value = "N",
     .otherwise = "0",
     .low = 0,
     .high = 1e9,
     .help = "the first N cases of the split's fixed random order; 0: all"},
    {.name = "no-cache", .kind = HN_OPTION_FLAG, .help = "compute every answer again, as a new run"},
    {0}};

const hn_command hn_cmd_eval = {
    .name = "eval",
    .summary = "run prompts on the dev split: accuracy and macro F1 with intervals, beside the baselines",
    .usage = "[PROMPT...] [-m MODEL] [--split dev|test|train] [--limit N]",
    .description = "PROMPT is a file, or a name under prompts/; none: all of prompts/. Every answer is kept as it "
                   "comes: Ctrl-C or a crash\n"
                   "loses nothing that was reported, and the same command goes on from there. What was computed before "
                   "comes from the cache.",
    .options = options,
    .min_args = 0,
    .max_args = -1,
    .examples =
        "  hone eval\n  hone eval 1-vague 6-nearest --limit 50\n  hone eval prompts/6-nearest.yaml --split test",
    .run = run,
};
