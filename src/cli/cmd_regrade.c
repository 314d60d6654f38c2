/* hone regrade: a run's answers judged again, without the model. */
#include "cli/commands.h"
#include "cli/grades_cli.h"
#include "cli/project_cli.h"
#include "lifecycle/iterate/regrade.h"

#include <stdio.h>
#include <string.h>

static void print_change(hn_cli *cli, const hn_prediction *before, const hn_prediction *after) {
    const char *value = after->error ? "(not answered)" : after->value ? after->value : "(nothing valid)";
    hn_output_print(cli->out, "  %-10s %s, was %s: answered %s", after->case_id, after->correct ? "right" : "wrong",
                    before->correct ? "right" : "wrong", value);
    if (before->value && after->value && strcmp(before->value, after->value) != 0)
        hn_output_print(cli->out, " (read as %s before)", before->value);
    if (before->target && strcmp(before->target, after->target) != 0)
        hn_output_print(cli->out, ", target %s, was %s\n", after->target, before->target);
    else
        hn_output_print(cli->out, ", target %s\n", after->target);
}

static hn_status print_people(hn_cli *cli, const hn_regrade *r, hn_error *err) {
    char before[48], after[48], a[32], b[32];
    size_t shown = 0, limit = (size_t)hn_cli_int(cli, "cases");
    snprintf(a, sizeof a, "r%lld", (long long)r->parent->id);
    snprintf(b, sizeof b, "r%lld", (long long)r->run->id);
    hn_output_print(cli->out, "%s%s%s: %zu answers of %s judged again%s\n\n", hn_output_style(cli->out, HN_STYLE_BOLD),
                    b, hn_output_style(cli->out, HN_STYLE_NONE), r->after.n, a,
                    r->start == HN_RUN_DONE ? " (nothing has changed since it was made)" : "");
    hn_output_print(cli->out, "accuracy   %s, was %s\n", hn_cli_percent(r->report.accuracy, after),
                    hn_cli_percent(r->report_before.accuracy, before));
    HN_TRY(hn_cli_grade_lines(cli, r->run, err));
    if (r->n_gone) hn_output_print(cli->out, "%zu cases are no longer in the data and were left out\n", r->n_gone);
    if (r->n_targets) hn_output_print(cli->out, "%zu cases have another target\n", r->n_targets);
    if (r->n_changed)
        hn_output_print(cli->out, "\n%zu of %zu marks changed:\n", r->n_changed, r->after.n);
    else
        hn_output_print(cli->out, "\nno mark changed\n");
    for (size_t i = 0; i < r->after.n && shown < limit; i++) {
        if (r->after.rows[i].correct == r->before.rows[i].correct) continue;
        print_change(cli, &r->before.rows[i], &r->after.rows[i]);
        shown++;
    }
    if (r->n_changed > shown) hn_output_print(cli->out, "  ... (--cases N shows more)\n");
    hn_output_print(cli->out, "\nNext:\n  hone compare %s %s\n", a, b);
    return HN_OK;
}

/* Of judges among the graders. */
static hn_status open_model(void *user, const char *name, hn_provider **provider, hn_error *err) {
    return hn_cli_project_model(user, name, &(hn_local_options){0}, provider, err);
}

static hn_status run(hn_cli *cli, hn_error *err) {
    hn_cli_project p;
    hn_regrade r;
    HN_TRY(hn_cli_project_open(HN_CLI_DATA | HN_CLI_STORE, &p, err));
    hn_grading grading = {
        .scope = p.scope, .dataset = p.dataset, .store = p.store, .open_model = open_model, .user = &p};
    hn_status st = hn_regrade_run(&grading, p.project, cli->positional[0], &r, err);
    if (st == HN_OK) {
        json_t *value = NULL;
        if (cli->out->json) st = hn_regrade_json(&r, &value, err);
        if (st == HN_OK) st = cli->out->json ? hn_cli_result(cli, value, err) : print_people(cli, &r, err);
        hn_regrade_free(&r);
    }
    hn_cli_project_close(&p);
    return st;
}

static const hn_option options[] = {{.name = "cases",
                                     .kind = HN_OPTION_INT,
                                     .value = "N",
                                     .otherwise = "10",
                                     .low = 0,
                                     .high = 1e6,
                                     .help = "how many of the cases whose mark changed to show"},
                                    {0}};

const hn_command hn_cmd_regrade = {
    .name = "regrade",
    .summary = "judge a run's answers again by today's contract, targets and graders, without the model",
    .usage = "RUN",
    .description = "RUN is r7, a tag, `last`, or the first digits of an id. What comes of it is a run of its own that "
                   "`hone compare` takes; the "
                   "answers stay\n"
                   "as they were. (A judge among the graders does call its own model.)",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .examples = "  hone regrade last\n  hone regrade r7 --cases 50",
    .run = run,
};
