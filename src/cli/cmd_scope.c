/* hone scope: what the project is about and what its data can carry. */
#include "base/interrupt.h"
#include "cli/commands.h"
#include "cli/project_cli.h"
#include "cli/scope_audit.h"
#include "cli/scope_ladder.h"
#include "lifecycle/scope/scope_report.h"
#include "model/catalogue.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { LABELS_SHOWN = 24, LABELS_AT_ENDS = 5 };

static void print_source(hn_cli *cli, const hn_scope *s) {
    const char *files[] = {s->file, s->train_file, s->dev_file, s->test_file};
    char seed[24];
    hn_output_print(cli->out, "data      ");
    for (size_t i = 0, n = 0; i < sizeof files / sizeof *files; i++)
        if (files[i]) hn_output_print(cli->out, "%s%s", n++ ? ", " : "", hn_cli_path_shown(files[i]));
    hn_output_print(cli->out, "\ninput     ");
    for (size_t i = 0; i < s->n_inputs; i++) hn_output_print(cli->out, "%s%s", i ? ", " : "", s->input_columns[i]);
    hn_output_print(cli->out, "\ntarget    %s", s->target_column ? s->target_column : "none");
    if (s->group_column) hn_output_print(cli->out, ", grouped by %s", s->group_column);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)s->split_seed);
    if (s->file) hn_output_print(cli->out, ", split with seed %s%s", seed, s->stratify ? ", stratified" : "");
    hn_output_print(cli->out, "\n");
}

static void print_contract(hn_cli *cli, const hn_scope *s) {
    const hn_contract *c = &s->contract;
    hn_output_print(cli->out, "output    ");
    if (c->kind == HN_CONTRACT_CHOICE)
        hn_output_print(cli->out, "one of %zu labels\n", c->n_labels);
    else if (c->kind == HN_CONTRACT_REGEX)
        hn_output_print(cli->out, "text that matches %s\n", c->regex);
    else if (c->kind == HN_CONTRACT_NUMBER)
        hn_output_print(cli->out, "a number from %g to %g\n", c->low, c->high);
    else if (c->kind == HN_CONTRACT_JSON)
        hn_output_print(cli->out, "JSON%s\n", json_is_true(c->schema) ? "" : " that fits the schema");
    else
        hn_output_print(cli->out, "text\n");
    hn_output_print(cli->out, "goal      %s", s->metric);
    if (isfinite(s->target_value)) hn_output_print(cli->out, " of %.0f %%", 100 * s->target_value);
    hn_output_print(cli->out, "; less than %.1f points make no difference\n", 100 * s->smallest_difference);
    if (isfinite(s->limit_latency_ms) || isfinite(s->limit_memory_mb) || isfinite(s->limit_cost_per_1000)) {
        const char *between = " ";
        hn_output_print(cli->out, "limits   ");
        if (isfinite(s->limit_latency_ms))
            hn_output_print(cli->out, "%s%.0f ms an answer", between, s->limit_latency_ms), between = ", ";
        if (isfinite(s->limit_memory_mb))
            hn_output_print(cli->out, "%s%.0f MB of memory", between, s->limit_memory_mb), between = ", ";
        if (isfinite(s->limit_cost_per_1000))
            hn_output_print(cli->out, "%s%.2f per 1,000 answers", between, s->limit_cost_per_1000);
        hn_output_print(cli->out, "\n");
    }
}

static void print_lengths(hn_cli *cli, const hn_scope_report *r) {
    hn_output_print(cli->out, "length    half up to %d words, 95 %% up to %d, longest %d", r->words.median,
                    r->words.p95, r->words.max);
    if (r->tokens.n)
        hn_output_print(cli->out, "; in tokens %d, %d, %d", r->tokens.median, r->tokens.p95, r->tokens.max);
    hn_output_print(cli->out, "\n");
}

/* ---- the table of counts ---- */

typedef struct row_order {
    size_t label, n;
} row_order;

static int by_size(const void *a, const void *b) {
    const row_order *x = a, *y = b;
    if (x->n != y->n) return x->n < y->n ? 1 : -1;
    return (x->label > y->label) - (x->label < y->label);
}

static void count_row(hn_table *t, const char *name, const size_t counts[HN_SPLIT_COUNT]) {
    size_t total = 0;
    hn_table_row(t);
    hn_table_cell(t, "%s", name);
    for (int s = 0; s < HN_SPLIT_COUNT; s++) {
        hn_table_cell(t, "%zu", counts[s]);
        total += counts[s];
    }
    hn_table_cell(t, "%zu", total);
}

static hn_status label_rows(hn_cli *cli, const hn_scope_report *r, hn_table *t, hn_error *err) {
    const hn_contract *c = &r->scope->contract;
    if (c->kind != HN_CONTRACT_CHOICE) return HN_OK;
    row_order *order = hn_calloc(c->n_labels, sizeof *order);
    if (!order) return hn_fail_memory(err, c->n_labels * sizeof *order);
    for (size_t l = 0; l < c->n_labels; l++) {
        order[l].label = l;
        for (int s = 0; s < HN_SPLIT_COUNT; s++) order[l].n += r->splits[s].labels[l];
    }
    qsort(order, c->n_labels, sizeof *order, by_size);
    bool cut = c->n_labels > LABELS_SHOWN;
    for (size_t i = 0; i < c->n_labels; i++) {
        if (cut && i == LABELS_AT_ENDS) {
            hn_table_row(t);
            hn_table_cell(t, "... %zu more labels (all with --json)", c->n_labels - 2 * LABELS_AT_ENDS);
        }
        if (cut && i >= LABELS_AT_ENDS && i < c->n_labels - LABELS_AT_ENDS) continue;
        size_t counts[HN_SPLIT_COUNT];
        for (int s = 0; s < HN_SPLIT_COUNT; s++) counts[s] = r->splits[s].labels[order[i].label];
        count_row(t, c->labels[order[i].label], counts);
    }
    hn_free(order);
    (void)cli;
    return HN_OK;
}

static hn_status print_counts(hn_cli *cli, const hn_scope_report *r, hn_error *err) {
    hn_table *t = hn_table_create(cli->out);
    const char *heads[] = {r->scope->target_column ? r->scope->target_column : "cases", "train", "dev", "test", "all"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        hn_table_column(t, heads[i], i ? HN_ALIGN_RIGHT : HN_ALIGN_LEFT);
    hn_status st = label_rows(cli, r, t, err);
    if (st != HN_OK) {
        hn_table_free(t);
        return st;
    }
    size_t cases[HN_SPLIT_COUNT], groups[HN_SPLIT_COUNT];
    for (int s = 0; s < HN_SPLIT_COUNT; s++) cases[s] = r->splits[s].n_cases, groups[s] = r->splits[s].n_groups;
    count_row(t, "cases", cases);
    hn_table_row_style(t, HN_STYLE_ACCENT);
    if (r->grouped) count_row(t, "groups", groups);
    return hn_table_print(t, err);
}

/* ---- what dev can show ---- */

static void print_power(hn_cli *cli, const hn_scope_report *r) {
    size_t n = r->splits[HN_SPLIT_DEV].n_cases;
    char count[32];
    if (n == 0) return;
    hn_output_print(cli->out, "\nWith %zu dev cases an accuracy is known to about +-%.0f points.\n", n,
                    100 * r->interval_half_width);
    if (isfinite(r->detectable))
        hn_output_print(
            cli->out,
            "Two prompts that disagree on %.0f %% of the cases can be told apart from about %.0f points on;\n",
            100 * HN_SCOPE_DISCORDANCE, 100 * r->detectable);
    else
        hn_output_print(cli->out, "They are too few to tell two prompts apart that disagree on %.0f %% of them;\n",
                        100 * HN_SCOPE_DISCORDANCE);
    if (isfinite(r->cases_needed))
        hn_output_print(cli->out, "for the %.1f points that matter here it would take about %s dev cases.\n",
                        100 * r->scope->smallest_difference, hn_format_count((int64_t)ceil(r->cases_needed), count));
}

static void print_start(hn_cli *cli) {
    hn_output_print(cli->out, "\nNext:\n");
    hn_output_print(cli->out, "  hone tokens prompts/NAME.yaml   one prompt as the model sees it\n");
    hn_output_print(cli->out, "  hone eval                       all prompts on dev, beside these baselines\n");
}

/* Where cases leak, the ladder would measure what is not so: it is left out. */
static hn_status print_report(hn_cli *cli, const hn_cli_project *p, const hn_scope_report *r, const hn_audit *audit,
                              hn_error *err) {
    hn_output_print(cli->out, "%s%s%s\n\n", hn_output_style(cli->out, HN_STYLE_BOLD),
                    r->scope->goal ? r->scope->goal : "(no goal is written down)",
                    hn_output_style(cli->out, HN_STYLE_NONE));
    print_source(cli, r->scope);
    print_contract(cli, r->scope);
    print_lengths(cli, r);
    hn_output_print(cli->out, "\n");
    HN_TRY(print_counts(cli, r, err));
    print_power(cli, r);
    hn_cli_audit_print(cli, p, audit);
    if (audit->stops) return HN_OK;
    HN_TRY(hn_cli_scope_ladder(cli, p, NULL, err));
    print_start(cli);
    return HN_OK;
}

/* Lengths in tokens only where the model is here already: the scope must work without one. */
static hn_model *open_vocabulary(const hn_scope *scope) {
    char path[HN_PATH_MAX];
    hn_model *model = NULL;
    hn_error unused;
    if (!scope->model || hn_model_resolve(scope->model, path, &unused) != HN_OK) return NULL;
    return hn_model_open(path, HN_MODEL_VOCAB_ONLY, &model, &unused) == HN_OK ? model : NULL;
}

static hn_status report_json(const hn_cli_project *p, const hn_scope_report *r, const hn_audit *audit, hn_cli *cli,
                             hn_error *err) {
    json_t *value;
    HN_TRY(hn_scope_report_json(r, &value, err));
    hn_status st = hn_cli_audit_add_json(p, audit, value, err);
    if (st == HN_OK && !audit->stops) st = hn_cli_scope_ladder(cli, p, value, err);
    if (st == HN_OK) return hn_cli_result(cli, value, err);
    json_decref(value);
    return st;
}

static hn_status show(hn_cli *cli, const hn_cli_project *p, const hn_scope_report *r, const hn_audit *audit,
                      hn_error *err) {
    HN_TRY(cli->out->json ? report_json(p, r, audit, cli, err) : print_report(cli, p, r, audit, err));
    if (!audit->stops) return HN_OK;
    cli->reported = true;
    return hn_leaks_fail(&audit->leaks, HN_ERR_GATE, err);
}

static hn_status run(hn_cli *cli, hn_error *err) {
    hn_cli_project p;
    hn_scope_report report;
    hn_audit audit;
    hn_interrupt_grace(1);
    if (hn_cli_flag(cli, "fix")) HN_TRY(hn_cli_audit_fix(cli, err));
    HN_TRY(hn_cli_project_open(HN_CLI_DATA | HN_CLI_STORE, &p, err));
    hn_model *model = open_vocabulary(p.scope);
    hn_status st =
        hn_scope_report_make(p.scope, p.dataset, p.store, model ? hn_model_tokenizer(model) : NULL, &report, err);
    if (st == HN_OK) {
        st = hn_cli_audit_run(cli, &p, &audit, err);
        if (st == HN_OK) {
            st = show(cli, &p, &report, &audit, err);
            hn_audit_free(&audit);
        }
        hn_scope_report_free(&report);
    }
    if (model) hn_model_close(model);
    hn_cli_project_close(&p);
    return st;
}

static const hn_option options[] = {
    {.name = "fix",
     .kind = HN_OPTION_FLAG,
     .help = "list in excluded.csv what must be left out so that nothing leaks; data files stay as they are"},
    {.name = "no-label-check", .kind = HN_OPTION_FLAG, .help = "without the search for likely wrong targets"},
    HN_LADDER_OPTIONS,
    {0}};

const hn_command hn_cmd_scope = {
    .name = "scope",
    .summary = "what the project is about and what its data can carry",
    .usage = "[--fix] [-m MODEL]... [--quick] [--limit N]",
    .options = options,
    .description =
        "Shows hone.yaml's goal, the cases by split and label, how long inputs are, what costs nothing "
        "(baselines), and the\n"
        "smallest difference between two prompts that the dev split can show. Then what is wrong with the data: where\n"
        "cases of dev or test stand in an earlier split, too, that is a hard stop (exit status 1), and `hone eval` "
        "refuses.\n\n"
        "Then the ladder: the commonest answer, a bag of words, the nearest training case, a linear probe on "
        "the model's hidden states,\n"
        "a plain prompt and one with the nearest examples, each with accuracy, time, memory and cost; learning "
        "curves; the labels that\n"
        "can be trusted already; and what to do next. What was measured is kept: the second time takes no time.",
    .examples = "  hone scope --fix\n  hone scope --quick\n  hone scope -m smollm2 --limit 100",
    .run = run,
};
