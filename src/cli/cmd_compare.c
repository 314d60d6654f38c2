/* hone compare: the verdict of one run against another, and the cases that changed. */
#include "cli/commands.h"
#include "cli/grades_cli.h"
#include "cli/ledger_cli.h"
#include "cli/project_cli.h"
#include "lifecycle/iterate/advice.h"
#include "lifecycle/iterate/compare.h"
#include "lifecycle/iterate/goals.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXCERPT = 240 };

/* Of runs that are not finished: by the test that may be looked at again and again. */
static void print_partial(hn_cli *cli, const hn_comparison *c) {
    static const char *const texts[] = {"cannot tell yet whether r%lld differs", "r%lld is better", "r%lld is worse",
                                        ""};
    static const hn_style styles[] = {HN_STYLE_WARN, HN_STYLE_GOOD, HN_STYLE_BAD, HN_STYLE_NONE};
    const hn_repeated_looks *s = &c->sequence;
    char said[64], share[48];
    snprintf(said, sizeof said, texts[s->kind], (long long)c->run_b->id);
    hn_output_print(cli->out, "\n%s%s%s: %+.1f points on the first %zu cases, p = %.2g\n",
                    hn_output_style(cli->out, styles[s->kind]), said, hn_output_style(cli->out, HN_STYLE_NONE),
                    100 * c->verdict.difference.value, c->shared_b.n, s->p);
    if (isfinite(s->share.value))
        hn_output_print(cli->out, "r%lld wins %s of the cases that one alone gets right\n", (long long)c->run_b->id,
                        hn_cli_percent(s->share, share));
    hn_output_print(
        cli->out,
        "not all cases are answered yet; this test (after every %d cases) may be looked at again as they come\n",
        HN_REPEATED_LOOKS_EVERY);
}

/* --equivalence E: the question is not "better?" but "not worse by E?". */
static void print_margin(hn_cli *cli, const hn_comparison *c) {
    const hn_verdict *v = &c->verdict;
    double f = c->metric_b.factor;
    int d = f == 100 ? 1 : 3;
    bool shown = hn_comparison_not_worse(c);
    if (!hn_cli_given(cli, "equivalence")) return;
    hn_output_print(cli->out, "%s%s%s: it is %sshown that r%lld is not worse than r%lld by %.*f%s%s or more\n",
                    hn_output_style(cli->out, shown ? HN_STYLE_GOOD : HN_STYLE_WARN),
                    shown ? "not worse" : "cannot tell", hn_output_style(cli->out, HN_STYLE_NONE), shown ? "" : "not ",
                    (long long)c->run_b->id, (long long)c->run_a->id, d, f * v->smallest_difference,
                    *c->metric_b.unit ? " " : "", c->metric_b.unit);
}

/* Both are on the test split: how often it was looked at, and the best there corrected for the choice. */
static hn_status print_ledger(hn_cli *cli, const hn_cli_project *p, const hn_comparison *c, hn_error *err) {
    hn_ledger ledger;
    if (!c->run_b->spec.split || strcmp(c->run_b->spec.split, "test") != 0) return HN_OK;
    HN_TRY(hn_ledger_make(p->store, c->run_b->spec.dataset_hash, &ledger, err));
    hn_output_print(cli->out, "test split: looked at %zu times (hone ledger)\n", ledger.n_looks);
    hn_cli_print_correction_of_best(cli, &ledger);
    hn_ledger_free(&ledger);
    return HN_OK;
}

static void print_verdict(hn_cli *cli, const hn_comparison *c) {
    const hn_verdict *v = &c->verdict;
    const hn_style styles[] = {HN_STYLE_WARN, HN_STYLE_GOOD, HN_STYLE_BAD, HN_STYLE_ACCENT};
    const char *const texts[] = {"cannot tell yet whether r%lld differs", "r%lld is better", "r%lld is worse",
                                 "r%lld is equivalent"};
    char said[64];
    snprintf(said, sizeof said, texts[v->kind], (long long)c->run_b->id);
    char needed[32];
    double f = c->metric_b.factor;
    const char *unit = c->metric_b.unit;
    int d = f == 100 ? 1 : 3;
    bool own = strcmp(c->metric, "accuracy") != 0;
    hn_output_print(cli->out, "\n%s%s%s%s%s: %+.*f%s%s [%+.*f, %+.*f], p = %.2g\n",
                    hn_output_style(cli->out, styles[v->kind]), said, hn_output_style(cli->out, HN_STYLE_NONE),
                    own ? " by " : "", own ? c->metric : "", d, f * v->difference.value, *unit ? " " : "", unit, d,
                    f * v->difference.low, d, f * v->difference.high, v->p);
    hn_output_print(cli->out, "%zu cases %s only in r%lld, %zu only in r%lld (%s%s)\n", v->only_b_right,
                    own && !hn_scope_metric_is_run(c->metric) ? "higher" : "right", (long long)c->run_b->id,
                    v->only_a_right, (long long)c->run_a->id, v->test,
                    v->n_groups < v->n ? ", related cases together" : "");
    bool open = v->kind == HN_VERDICT_CANNOT_TELL || v->kind == HN_VERDICT_EQUIVALENT;
    if (open && isfinite(v->detectable))
        hn_output_print(cli->out, "%zu cases show a difference of about %.*f%s%s or more", v->n, d, f * v->detectable,
                        *unit ? " " : "", unit);
    if (v->kind == HN_VERDICT_CANNOT_TELL && v->cases_needed > 0)
        hn_output_print(cli->out, "; for %.*f%s%s it takes about %s cases", d, f * v->smallest_difference,
                        *unit ? " " : "", unit, hn_format_count(v->cases_needed, needed));
    if ((open && isfinite(v->detectable)) || (v->kind == HN_VERDICT_CANNOT_TELL && v->cases_needed > 0))
        hn_output_print(cli->out, "\n");
    if (!v->matters && (v->kind == HN_VERDICT_BETTER || v->kind == HN_VERDICT_WORSE))
        hn_output_print(cli->out, "the difference is real but smaller than the %.*f%s%s that matter here\n", d,
                        f * v->smallest_difference, *unit ? " " : "", unit);
    if (c->paths_differ)
        hn_output_print(
            cli->out, "note: computed on different numeric paths (%s, %s): part of the difference may be arithmetic\n",
            c->run_a->spec.numeric_path, c->run_b->spec.numeric_path);
    if (c->report_a.cost > 0 || c->report_b.cost > 0)
        hn_output_print(cli->out, "1,000 answers of A cost $%.4g, of B $%.4g\n", c->report_a.cost_per_1000,
                        c->report_b.cost_per_1000);
}

static hn_status print_runs(hn_cli *cli, const hn_comparison *c, hn_error *err) {
    hn_table *t = hn_table_create(cli->out);
    const char *heads[] = {"", "run", "prompt", "model", "accuracy", "macro F1"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        hn_table_column(t, i ? heads[i] : " ", i > 3 ? HN_ALIGN_RIGHT : HN_ALIGN_LEFT);
    const hn_run *runs[] = {c->run_a, c->run_b};
    const hn_report *reports[] = {&c->report_a, &c->report_b};
    char text[48];
    for (int i = 0; i < 2; i++) {
        hn_table_row(t);
        hn_table_cell(t, "%c", "AB"[i]);
        hn_table_cell(t, "r%lld", (long long)runs[i]->id);
        hn_table_cell(t, "%s", runs[i]->spec.prompt_name);
        hn_table_cell(t, "%s", runs[i]->spec.model_name);
        hn_table_cell(t, "%s", hn_cli_percent(reports[i]->accuracy, text));
        hn_table_cell(t, "%s", hn_cli_percent(reports[i]->macro_f1, text));
    }
    hn_output_print(cli->out, "%zu shared %s cases\n\n", c->shared_b.n, c->run_b->spec.split);
    return hn_table_print(t, err);
}

static void print_answer(hn_cli *cli, const hn_comparison *c, const char *run, const hn_prediction *p) {
    double confidence = (double)NAN;
    for (size_t l = 0; p->probabilities && l < c->n_labels && l < p->n_probabilities; l++)
        if (p->value && strcmp(c->labels[l], p->value) == 0) confidence = p->probabilities[l];
    hn_output_print(cli->out, "    %-6s %s", run,
                    p->error   ? "(not answered)"
                    : p->value ? p->value
                               : "(no valid answer)");
    if (isfinite(confidence)) hn_output_print(cli->out, " (%.0f %%)", 100 * confidence);
    hn_output_print(cli->out, "%s\n", p->correct ? ", right" : "");
}

static hn_status print_flip(hn_cli *cli, const hn_cli_project *p, const hn_comparison *c, const hn_flip *f,
                            hn_error *err) {
    const hn_case *found = hn_dataset_find(p->dataset, f->b->case_id);
    hn_buf text, excerpt;
    char name[32];
    hn_buf_init(&text, 0);
    hn_buf_init(&excerpt, 0);
    hn_status st = found ? hn_case_text(found, &text, err) : HN_OK;
    if (st == HN_OK) hn_cli_excerpt(hn_buf_str(&text), EXCERPT, &excerpt);
    if (st == HN_OK) st = hn_buf_check(&excerpt, "a case's text", err);
    if (st == HN_OK) {
        hn_output_print(cli->out, "  %s%s%s  %s\n", hn_output_style(cli->out, HN_STYLE_BOLD), f->b->case_id,
                        hn_output_style(cli->out, HN_STYLE_NONE), hn_buf_str(&excerpt));
        hn_output_print(cli->out, "    target %s\n", f->b->target ? f->b->target : "");
        snprintf(name, sizeof name, "r%lld", (long long)c->run_a->id);
        print_answer(cli, c, name, f->a);
        snprintf(name, sizeof name, "r%lld", (long long)c->run_b->id);
        print_answer(cli, c, name, f->b);
    }
    hn_buf_free(&text);
    hn_buf_free(&excerpt);
    return st;
}

/* One case that was won and one that was lost where there are both, else two of one kind. */
static hn_status print_flips(hn_cli *cli, const hn_cli_project *p, const hn_comparison *c, size_t n_shown,
                             hn_error *err) {
    if (c->n_flips == 0) {
        hn_output_print(cli->out, "\nno case changed sides\n");
        return HN_OK;
    }
    hn_output_print(cli->out, "\n%zu of %zu cases changed sides%s:\n", c->n_flips, c->shared_b.n,
                    c->n_flips > n_shown ? ", among them" : "");
    size_t shown = 0;
    bool *used = hn_calloc(c->n_flips, sizeof *used);
    if (!used) return hn_fail_memory(err, c->n_flips);
    hn_status st = HN_OK;
    bool want_won = true;
    for (; st == HN_OK && shown < n_shown && shown < c->n_flips; shown++, want_won = !want_won) {
        size_t pick = c->n_flips, any = c->n_flips;
        for (size_t i = 0; i < c->n_flips && pick == c->n_flips; i++) {
            if (used[i]) continue;
            if (any == c->n_flips) any = i;
            if (c->flips[i].b->correct == want_won) pick = i;
        }
        if (pick == c->n_flips) pick = any;
        used[pick] = true;
        st = print_flip(cli, p, c, &c->flips[pick], err);
    }
    hn_free(used);
    return st;
}

static hn_status print_next(hn_cli *cli, const hn_cli_project *p, const hn_comparison *c, hn_error *err) {
    hn_baselines baselines;
    hn_buf text;
    hn_status st = HN_OK;
    HN_TRY(hn_baselines_of_rows(p->dataset, &p->scope->contract, &c->shared_b, p->store, &baselines, err));
    hn_buf_init(&text, 1 << 16);
    hn_advice_worst_pair(&c->report_b, &text);
    if (text.len)
        hn_output_print(cli->out, "\nmost confused in r%lld: %s\n", (long long)c->run_b->id, hn_buf_str(&text));
    hn_buf_clear(&text);
    hn_advice_on_comparison(c, &baselines, p->scope, &text);
    hn_output_print(cli->out, "\nNext:\n");
    for (const char *line = hn_buf_str(&text); *line;) {
        size_t length = strcspn(line, "\n");
        hn_output_print(cli->out, "  %.*s\n", (int)length, line);
        line += length + (line[length] == '\n');
    }
    hn_buf_free(&text);
    if (st == HN_OK) {
        hn_goals goals;
        hn_goal_facts facts = {p->scope, p->store, c->run_b, &c->shared_b, &c->report_b, &baselines};
        st = hn_goals_check(&facts, &goals, err);
        if (st == HN_OK && goals.n)
            hn_output_print(cli->out, "\nr%lld and what hone.yaml asks for:\n", (long long)c->run_b->id);
        if (st == HN_OK) hn_cli_print_goals(cli, &goals);
    }
    hn_baselines_free(&baselines);
    return st;
}

static hn_status print_json(hn_cli *cli, hn_store *store, const hn_comparison *c, hn_error *err) {
    json_t *value = NULL, *changed = json_array();
    hn_status st = hn_comparison_json(c, &value, err);
    if (st == HN_OK && !c->partial && (st = hn_cli_grade_verdicts_json(store, c, value, err)) != HN_OK)
        json_decref(value);
    if (st != HN_OK) {
        json_decref(changed);
        return st;
    }
    bool fine = changed != NULL;
    for (size_t i = 0; fine && i < c->n_flips; i++) {
        const hn_flip *f = &c->flips[i];
        json_t *flip = json_pack("{s:s, s:s?, s:s?, s:s?, s:b}", "case", f->b->case_id, "target", f->b->target, "a",
                                 f->a->value, "b", f->b->value, "b_right", f->b->correct);
        fine = json_array_append_new(changed, flip) == 0;
    }
    double a = c->report_a.cost_per_1000, b = c->report_b.cost_per_1000;
    fine = fine && json_object_set(value, "changed", changed) == 0 &&
           json_object_set_new(value, "cost_per_1000",
                               json_pack("{s:o, s:o}", "a", isfinite(a) ? json_real(a) : json_null(), "b",
                                         isfinite(b) ? json_real(b) : json_null())) == 0;
    json_decref(changed);
    if (fine) return hn_cli_result(cli, value, err);
    json_decref(value);
    return hn_fail_memory(err, 0);
}

static hn_status print_comparison(hn_cli *cli, const hn_cli_project *p, const hn_comparison *c, hn_error *err) {
    HN_TRY(print_runs(cli, c, err));
    if (c->partial)
        print_partial(cli, c);
    else
        print_verdict(cli, c);
    print_margin(cli, c);
    HN_TRY(print_ledger(cli, p, c, err));
    if (c->partial) return print_flips(cli, p, c, (size_t)hn_cli_int(cli, "cases"), err);
    HN_TRY(hn_cli_grade_verdicts(cli, p->store, c, err));
    HN_TRY(print_flips(cli, p, c, (size_t)hn_cli_int(cli, "cases"), err));
    return print_next(cli, p, c, err);
}

static hn_status run(hn_cli *cli, hn_error *err) {
    hn_cli_project p;
    hn_comparison c;
    HN_TRY(hn_cli_project_open(HN_CLI_DATA | HN_CLI_STORE, &p, err));
    hn_compare_options given = {.smallest_difference = (double)NAN, .partial = true};
    if (hn_cli_given(cli, "equivalence")) given.smallest_difference = hn_cli_real(cli, "equivalence");
    hn_status st = hn_compare_runs_with(p.store, cli->positional[0], cli->positional[1], p.scope, &given, &c, err);
    if (st == HN_OK) {
        st = cli->out->json ? print_json(cli, p.store, &c, err) : print_comparison(cli, &p, &c, err);
        hn_comparison_free(&c);
    }
    hn_cli_project_close(&p);
    return st;
}

static const hn_option options[] = {{.name = "cases",
                                     .kind = HN_OPTION_INT,
                                     .value = "N",
                                     .otherwise = "2",
                                     .low = 0,
                                     .high = 1e6,
                                     .help = "how many of the cases that changed sides to show"},
                                    {.name = "equivalence",
                                     .kind = HN_OPTION_REAL,
                                     .value = "E",
                                     .low = 1e-9,
                                     .high = 1e9,
                                     .help = "is B not worse than A by E or more? In place of smallest_difference of "
                                             "hone.yaml, such as 0.02 for two points"},
                                    {0}};

const hn_command hn_cmd_compare = {
    .name = "compare",
    .summary = "the verdict of run B against run A: better, worse, equivalent, or cannot tell yet",
    .usage = "A B [--equivalence E] [--cases N]",
    .description =
        "A and B are runs: r7, a tag, `last`, or the first digits of an id. Both must have answered the "
        "same cases; the test is\n"
        "paired, and what it cannot tell it does not claim. Runs that are not finished are compared on the cases "
        "at their beginning, with a\n"
        "test that may be looked at again while they go on.",
    .options = options,
    .min_args = 2,
    .max_args = 2,
    .examples = "  hone compare r1 r6\n  hone compare best last --cases 10",
    .run = run,
};
