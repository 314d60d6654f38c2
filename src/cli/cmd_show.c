/* hone show: everything about one run. */
#include "base/clock.h"
#include "base/str.h"
#include "cli/class_report_cli.h"
#include "cli/commands.h"
#include "cli/diff_cli.h"
#include "cli/grades_cli.h"
#include "cli/guards_cli.h"
#include "cli/project_cli.h"
#include "lifecycle/iterate/goals.h"
#include "lifecycle/iterate/predecessor.h"
#include "lifecycle/iterate/run_detail.h"
#include "lifecycle/iterate/run_diff.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { EXCERPT = 160, CONFUSIONS_SHOWN = 8, CLASSES_SHOWN = 100 };

static void line(hn_cli *cli, const char *name, const char *value) {
    if (value && *value) hn_output_print(cli->out, "%-10s %s\n", name, value);
}

static void hash_line(hn_cli *cli, const char *name, const char *text, const char *hash) {
    hn_output_print(cli->out, "%-10s %s  (%.12s)\n", name, text ? text : "", hash ? hash : "");
}

static void print_identity(hn_cli *cli, const hn_run_detail *d) {
    const hn_run *r = d->run;
    char when[32], took[32];
    hn_output_print(cli->out, "%sr%lld%s  %s", hn_output_style(cli->out, HN_STYLE_BOLD), (long long)r->id,
                    hn_output_style(cli->out, HN_STYLE_NONE), hn_clock_format(r->started_ms, true, when));
    if (strcmp(r->state, "done") == 0)
        hn_output_print(cli->out, ", took %s",
                        hn_format_duration((double)(r->finished_ms - r->started_ms) / 1000, took));
    else if (strcmp(r->state, "failed") == 0)
        hn_output_print(cli->out, ", failed: %s", r->reason ? r->reason : "no case could be answered");
    else
        hn_output_print(cli->out,
                        ", not finished: %lld of %lld cases; the `hone eval` that began it goes on from there",
                        (long long)r->n_done, (long long)r->spec.n_cases);
    hn_output_print(cli->out, "%s%s\n\n", *r->tags ? ", tags " : "", r->tags);
    line(cli, "id", r->content_id);
    hash_line(cli, "prompt", r->spec.prompt_name, r->spec.prompt_hash);
    hash_line(cli, "model", r->spec.model_name, r->spec.model_hash);
    line(cli, "computed", r->spec.numeric_path);
    hn_output_print(cli->out, "%-10s %lld %s cases  (data %.12s)\n", "cases", (long long)r->spec.n_cases, r->spec.split,
                    r->spec.dataset_hash ? r->spec.dataset_hash : "");
    line(cli, "how", r->spec.parameters_json);
    hn_output_print(cli->out, "%-10s %s\n", "hone", r->spec.code_version ? r->spec.code_version : "");
}

/* What the answers cost: money by the provider's prices, or none. */
static void print_cost(hn_cli *cli, const hn_run_detail *d) {
    const hn_report *r = &d->report;
    bool local = json_is_number(json_object_get(d->summary, "one_case_bytes"));
    char prompt[32], completion[32];
    hn_output_print(cli->out, "%-10s ", "cost");
    if (isfinite(r->cost) && r->cost > 0)
        hn_output_print(cli->out, "$%.4g; 1,000 answers cost $%.4g", r->cost, r->cost_per_1000);
    else if (local)
        hn_output_print(cli->out, "local: no price");
    else
        hn_output_print(cli->out, "%s", isfinite(r->cost) ? "$0" : "not known: no `price:` in hone.yaml");
    hn_output_print(cli->out, "; %s tokens read, %s written\n", hn_format_count(r->prompt_tokens, prompt),
                    hn_format_count(r->completion_tokens, completion));
}

static void print_metrics(hn_cli *cli, const hn_run_detail *d) {
    const hn_report *r = &d->report;
    char text[48];
    hn_output_print(cli->out, "\n%-10s %s  (%zu of %zu right%s)\n", "accuracy", hn_cli_percent(r->accuracy, text),
                    r->n_correct, r->n, r->grouped ? "; the interval allows for related cases" : "");
    if (d->n_labels) hn_output_print(cli->out, "%-10s %s\n", "macro F1", hn_cli_percent(r->macro_f1, text));
    if (r->n_invalid)
        hn_output_print(cli->out, "%-10s %zu answers were nothing that the output allows\n", "invalid", r->n_invalid);
    if (r->n_failed) hn_output_print(cli->out, "%-10s %zu cases were not answered\n", "failed", r->n_failed);
    if (isfinite(r->latency_median_ms))
        hn_output_print(cli->out, "%-10s half within %.0f ms, 95 %% within %.0f ms; %zu of %zu came from the cache\n",
                        "time", r->latency_median_ms, r->latency_p95_ms, r->n_cached, r->n);
    print_cost(cli, d);
}

static hn_status print_classes(hn_cli *cli, const hn_run_detail *d, hn_error *err) {
    static const char *const heads[] = {"label", "cases", "answers", "precision", "recall", "F1"};
    if (d->n_labels == 0) return HN_OK;
    hn_output_print(cli->out, "\n");
    hn_table *t = hn_table_create(cli->out);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        hn_table_column(t, heads[i], i ? HN_ALIGN_RIGHT : HN_ALIGN_LEFT);
    for (size_t l = 0; l < d->n_labels && l < CLASSES_SHOWN; l++) {
        hn_class_metrics m = hn_confusion_class(&d->report.confusion, l);
        hn_table_row(t);
        hn_table_cell(t, "%s", d->labels[l]);
        hn_table_cell(t, "%llu", (unsigned long long)m.support);
        hn_table_cell(t, "%llu", (unsigned long long)m.predicted);
        hn_table_cell(t, m.predicted ? "%.1f %%" : "-", 100 * m.precision);
        hn_table_cell(t, m.support ? "%.1f %%" : "-", 100 * m.recall);
        hn_table_cell(t, "%.1f %%", 100 * m.f1);
    }
    return hn_table_print(t, err);
}

static void print_confusions(hn_cli *cli, const hn_run_detail *d) {
    hn_confused pairs[CONFUSIONS_SHOWN];
    size_t n = hn_report_confused(&d->report, pairs, CONFUSIONS_SHOWN);
    if (n) hn_output_print(cli->out, "\nTaken for another, most often first:\n");
    for (size_t i = 0; i < n; i++)
        hn_output_print(cli->out, "  %4llu  %s -> %s\n", (unsigned long long)pairs[i].n, d->labels[pairs[i].truth],
                        pairs[i].answer < d->n_labels ? d->labels[pairs[i].answer] : "(no valid answer)");
}

static hn_status print_case(hn_cli *cli, const hn_cli_project *p, const hn_prediction *row, hn_error *err) {
    const hn_case *found = hn_dataset_find(p->dataset, row->case_id);
    hn_buf text, excerpt;
    hn_buf_init(&text, 0);
    hn_buf_init(&excerpt, 0);
    hn_status st = found ? hn_case_text(found, &text, err) : HN_OK;
    if (st == HN_OK) hn_cli_excerpt(hn_buf_str(&text), EXCERPT, &excerpt);
    if (st == HN_OK) st = hn_buf_check(&excerpt, "a case's text", err);
    double confidence = hn_run_detail_confidence(row);
    if (st == HN_OK) {
        hn_output_print(cli->out, "  %s  %s\n    ", row->case_id, hn_buf_str(&excerpt));
        if (!row->correct && row->target) hn_output_print(cli->out, "target %s, ", row->target);
        hn_output_print(cli->out, "answered %s", row->error ? row->error : row->value ? row->value : "(nothing valid)");
        if (isfinite(confidence)) hn_output_print(cli->out, " (%.0f %%)", 100 * confidence);
        if (row->correct) hn_output_print(cli->out, ", right");
        hn_output_print(cli->out, ", %.0f ms\n", row->prefill_ms + row->decode_ms);
    }
    hn_buf_free(&text);
    hn_buf_free(&excerpt);
    return st;
}

static hn_status print_cases(hn_cli *cli, const hn_cli_project *p, const char *title, const hn_prediction *const *rows,
                             size_t n, hn_error *err) {
    if (n) hn_output_print(cli->out, "\n%s:\n", title);
    for (size_t i = 0; i < n; i++) HN_TRY(print_case(cli, p, rows[i], err));
    return HN_OK;
}

static hn_status print_notes(hn_cli *cli, hn_store *store, const hn_run *run, hn_error *err) {
    hn_note_list list;
    char when[32];
    if (run->n_notes == 0) return HN_OK;
    HN_TRY(hn_note_list_load(store, run->id, &list, err));
    for (size_t i = 0; i < list.n; i++)
        hn_output_print(cli->out, "%-10s %s  %s\n", i ? "" : "notes", hn_clock_format(list.rows[i].at_ms, true, when),
                        list.rows[i].text);
    hn_note_list_free(&list);
    return HN_OK;
}

/* "lineage    r12 replay of this", "regrade of r3". */
static hn_status print_lineage(hn_cli *cli, hn_store *store, const hn_run *run, hn_error *err) {
    hn_run_links links;
    HN_TRY(hn_run_links_load(store, run->id, &links, err));
    for (size_t i = 0; i < links.n; i++) {
        const hn_run_link *l = &links.rows[i];
        hn_output_print(cli->out, "%-10s ", i ? "" : "lineage");
        if (l->run_id == run->id)
            hn_output_print(cli->out, "%s of r%lld\n", l->role, (long long)l->parent_id);
        else
            hn_output_print(cli->out, "r%lld is a %s of this run\n", (long long)l->run_id, l->role);
    }
    hn_run_links_free(&links);
    return HN_OK;
}

static hn_status lineage_json(hn_store *store, const hn_run *run, json_t *value, hn_error *err) {
    hn_run_links links;
    HN_TRY(hn_run_links_load(store, run->id, &links, err));
    json_t *list = json_array();
    bool fine = list != NULL;
    for (size_t i = 0; fine && i < links.n; i++) {
        char child[32], parent[32];
        snprintf(child, sizeof child, "r%lld", (long long)links.rows[i].run_id);
        snprintf(parent, sizeof parent, "r%lld", (long long)links.rows[i].parent_id);
        fine = json_array_append_new(
                   list, json_pack("{s:s, s:s, s:s}", "run", child, "parent", parent, "role", links.rows[i].role)) == 0;
    }
    hn_run_links_free(&links);
    if (list && json_object_set_new(value, "lineage", list) != 0) fine = false;
    return fine ? HN_OK : hn_fail_memory(err, 0);
}

/* What changed since the run before; *diff NULL: it is the first of its kind. Without tokens: those need the model's file. */
static hn_status diff_before(const hn_cli_project *p, const hn_run *run, json_t **diff, hn_error *err) {
    char a[32], b[32];
    int64_t before;
    *diff = NULL;
    HN_TRY(hn_predecessor_find(p->store, run, &before, err));
    if (!before) return HN_OK;
    snprintf(a, sizeof a, "r%lld", (long long)before);
    snprintf(b, sizeof b, "r%lld", (long long)run->id);
    hn_diff_setup setup = {p->store, a, b, p->dataset, hn_project_scope_hash(p->project), NULL};
    return hn_run_diff(&setup, diff, err);
}

static hn_status print_before(hn_cli *cli, const hn_cli_project *p, const hn_run *run, hn_error *err) {
    json_t *diff;
    HN_TRY(diff_before(p, run, &diff, err));
    if (!diff) return HN_OK;
    hn_output_print(cli->out, "\nSince the run before: ");
    hn_cli_print_diff(cli, diff, 0, false);
    const char *before = json_string_value(json_object_get(json_object_get(diff, "a"), "run"));
    hn_output_print(cli->out, "  (the cases: hone diff %s r%lld; whether it is better: hone compare)\n",
                    before ? before : "", (long long)run->id);
    json_decref(diff);
    return HN_OK;
}

/* The cases that differ are left to `hone diff --json`: they are many. */
static hn_status before_json(const hn_cli_project *p, const hn_run *run, json_t *value, hn_error *err) {
    json_t *diff;
    HN_TRY(diff_before(p, run, &diff, err));
    if (!diff) return json_object_set_new(value, "before", json_null()) == 0 ? HN_OK : hn_fail_memory(err, 0);
    json_object_del(json_object_get(diff, "answers"), "cases");
    json_object_del(json_object_get(diff, "data"), "cases");
    return json_object_set_new(value, "before", diff) == 0 ? HN_OK : hn_fail_memory(err, 0);
}

static hn_status report_json(const hn_run_detail *d, json_t *value, hn_error *err) {
    hn_class_report classes;
    json_t *report;
    HN_TRY(hn_class_report_make(&d->report, &d->list, &classes, err));
    HN_TRY(hn_class_report_json(&d->report, &classes, &report, err));
    return json_object_set_new(value, "report", report) == 0 ? HN_OK : hn_fail_memory(err, 0);
}

/* Everything, as JSON. */
static hn_status detail_json(hn_cli *cli, const hn_cli_project *p, const hn_run_detail *d, const hn_goals *goals,
                             json_t **out, hn_error *err) {
    json_t *value, *goals_json;
    HN_TRY(hn_run_detail_json(d, hn_cli_flag(cli, "predictions"), &value, err));
    hn_status st = hn_cli_prediction_grades_json(p->store, d->run, value, err);
    if (st == HN_OK) st = hn_goals_json(goals, &goals_json, err);
    if (st == HN_OK && json_object_set_new(value, "goals", goals_json) != 0) st = hn_fail_memory(err, 0);
    if (st == HN_OK) st = lineage_json(p->store, d->run, value, err);
    if (st == HN_OK) st = hn_cli_guards_add_json(p->scope, &d->list, value, err);
    if (st == HN_OK) st = before_json(p, d->run, value, err);
    if (st == HN_OK && hn_cli_flag(cli, "report")) st = report_json(d, value, err);
    if (st == HN_OK)
        *out = value;
    else
        json_decref(value);
    return st;
}

static hn_status check_goals(const hn_cli_project *p, const hn_run_detail *d, hn_goals *goals, hn_error *err) {
    hn_baselines baselines;
    *goals = (hn_goals){0};
    if (strcmp(d->run->state, "done") != 0) return HN_OK;
    HN_TRY(hn_baselines_of_rows(p->dataset, &p->scope->contract, &d->list, p->store, &baselines, err));
    hn_goal_facts facts = {p->scope, p->store, d->run, &d->list, &d->report, &baselines};
    hn_status st = hn_goals_check(&facts, goals, err);
    hn_baselines_free(&baselines);
    return st;
}

static hn_status print_detail(hn_cli *cli, const hn_cli_project *p, const hn_run_detail *d, const hn_goals *goals,
                              hn_error *err) {
    print_identity(cli, d);
    HN_TRY(print_notes(cli, p->store, d->run, err));
    HN_TRY(print_lineage(cli, p->store, d->run, err));
    if (d->report.n == 0) return HN_OK;
    char name[32];
    snprintf(name, sizeof name, "r%lld", (long long)d->run->id);
    print_metrics(cli, d);
    HN_TRY(hn_cli_grade_lines(cli, d->run, err));
    if (goals->n) hn_output_print(cli->out, "\n");
    hn_cli_print_goals(cli, goals);
    HN_TRY(hn_cli_print_guards(cli, p->scope, name, &d->list, err));
    if (hn_cli_flag(cli, "report"))
        HN_TRY(hn_cli_print_class_report(cli, name, &d->report, &d->list, err));
    else
        HN_TRY(print_classes(cli, d, err));
    print_confusions(cli, d);
    HN_TRY(print_cases(cli, p, "Most certain mistakes", d->wrong, d->n_wrong, err));
    HN_TRY(print_cases(cli, p, "Closest calls", d->unsure, d->n_unsure, err));
    HN_TRY(print_cases(cli, p, "Slowest", d->slow, d->n_slow, err));
    HN_TRY(print_before(cli, p, d->run, err));
    if (d->prompt_text) hn_output_print(cli->out, "\nThe prompt as it was:\n%s", d->prompt_text);
    return HN_OK;
}

static hn_status run(hn_cli *cli, hn_error *err) {
    hn_cli_project p;
    hn_run_detail detail;
    HN_TRY(hn_cli_project_open(HN_CLI_DATA | HN_CLI_STORE, &p, err));
    hn_status st = hn_run_detail_load(p.store, cli->positional[0], p.scope, &detail, err);
    if (st == HN_OK) {
        json_t *value = NULL;
        hn_goals goals;
        st = check_goals(&p, &detail, &goals, err);
        if (st == HN_OK && cli->out->json) st = detail_json(cli, &p, &detail, &goals, &value, err);
        if (st == HN_OK)
            st = cli->out->json ? hn_cli_result(cli, value, err) : print_detail(cli, &p, &detail, &goals, err);
        hn_run_detail_free(&detail);
    }
    hn_cli_project_close(&p);
    return st;
}

static const hn_option options[] = {
    {.name = "report",
     .kind = HN_OPTION_FLAG,
     .help = "the whole classification report: every label, averages, agreement, loss, time"},
    {.name = "predictions", .kind = HN_OPTION_FLAG, .help = "with --json: every answer with its probabilities too"},
    {0}};

const hn_command hn_cmd_show = {
    .name = "show",
    .summary = "everything about one run: metrics, cost, classes, cases to read, what changed since the run before",
    .usage = "RUN [--report]",
    .description = "RUN is r7, a tag, `last`, or the first digits of an id.",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .examples = "  hone show last\n  hone show r3 --json --predictions",
    .run = run,
};
