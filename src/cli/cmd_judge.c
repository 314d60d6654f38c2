/* hone judge: two runs against each other, by a model that sees both answers. */
#include "cli/commands.h"
#include "cli/inference.h"
#include "cli/project_cli.h"
#include "lifecycle/iterate/judge_pairs.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct opener {
    hn_cli *cli;
    const hn_cli_project *p;
} opener;

static hn_status open_model(void *user, const char *name, hn_provider **provider, hn_error *err) {
    opener *o = user;
    hn_local_options options = hn_cli_local_options(o->cli);
    return hn_cli_project_model(o->p, name, &options, provider, err);
}

static void print_people(hn_cli *cli, const hn_judge_pairs *p) {
    static const char *const words[] = {"cannot tell yet which is better", "B is better", "B is worse", "equivalent"};
    static const hn_style styles[] = {HN_STYLE_WARN, HN_STYLE_GOOD, HN_STYLE_BAD, HN_STYLE_ACCENT};
    char share[48];
    hn_output_print(cli->out,
                    "A r%lld (%s) against B r%lld (%s), judged by %s\n%zu cases, each asked in both orders; %zu have "
                    "the same answer "
                    "in both and count one half\n",
                    (long long)p->c.run_a->id, p->c.run_a->spec.prompt_name, (long long)p->c.run_b->id,
                    p->c.run_b->spec.prompt_name, p->judge, p->n, p->n_same);
    hn_output_print(cli->out, "\n%s%s%s: B's answer is preferred in %s, p = %.2g (%s)\n",
                    hn_output_style(cli->out, styles[p->verdict.kind]), words[p->verdict.kind],
                    hn_output_style(cli->out, HN_STYLE_NONE), hn_cli_percent(p->preferred, share), p->verdict.p,
                    p->verdict.test);
    if (isfinite(p->first_share))
        hn_output_print(
            cli->out,
            "position: the answer shown first gets %.1f %% of the preference; in %zu of %zu pairs the order decides "
            "who wins\n",
            100 * p->first_share, p->n_turned, p->n - p->n_same - p->n_failed);
    if (p->n_failed) hn_output_print(cli->out, "%zu pairs could not be judged and are left out\n", p->n_failed);
    const json_t *sentences = json_object_get(p->remarks, "sentences");
    bool unknown = json_integer_value(json_object_get(p->remarks, "human_grades")) == 0;
    for (size_t i = 0; i < json_array_size(sentences); i++)
        hn_output_print(cli->out, "%sjudge: %s%s\n", unknown ? hn_output_style(cli->out, HN_STYLE_WARN) : "",
                        json_string_value(json_array_get(sentences, i)),
                        unknown ? hn_output_style(cli->out, HN_STYLE_NONE) : "");
}

static hn_status run(hn_cli *cli, hn_error *err) {
    hn_cli_project p;
    hn_judge_pairs pairs;
    opener o = {cli, &p};
    HN_TRY(hn_cli_project_open(HN_CLI_DATA | HN_CLI_STORE, &p, err));
    hn_grading grading = {
        .scope = p.scope, .dataset = p.dataset, .store = p.store, .open_model = open_model, .user = &o};
    hn_judge_pairs_setup setup = {.grading = &grading,
                                  .a = cli->positional[0],
                                  .b = cli->positional[1],
                                  .rubric = hn_cli_string(cli, "rubric"),
                                  .rubric_name = hn_cli_string(cli, "rubric"),
                                  .model = hn_cli_string(cli, "model"),
                                  .human = hn_cli_string(cli, "human")};
    hn_status st = hn_judge_pairs_run(&setup, &pairs, err);
    if (st == HN_OK) {
        json_t *value = NULL;
        if (cli->out->json)
            st = hn_judge_pairs_json(&pairs, &value, err);
        else
            print_people(cli, &pairs);
        if (st == HN_OK && value) st = hn_cli_result(cli, value, err);
        hn_judge_pairs_free(&pairs);
    }
    hn_cli_project_close(&p);
    return st;
}

static const hn_option options[] = {
    HN_MODEL_OPTIONS,
    {.name = "rubric",
     .kind = HN_OPTION_STRING,
     .value = "FILE",
     .help = "how to judge: plain instructions, or a template with {{ input }}, {{ target }}, {{ a }} and {{ b }}"},
    {.name = "human",
     .kind = HN_OPTION_STRING,
     .value = "FILE",
     .help = "what people prefer: a table with the columns case and better (A or B)"},
    {0}};

const hn_command hn_cmd_judge = {
    .name = "judge",
    .summary = "run B against run A by a model that sees both answers, in both orders",
    .usage = "A B [-m MODEL] [--rubric FILE] [--human FILE]",
    .description = "A and B are runs that answered the same cases. Each pair is asked twice, with the order exchanged, "
                   "and both are averaged;\n"
                   "how much the order matters is shown, and how far the judge agrees with people, where --human says "
                   "what they think.",
    .options = options,
    .min_args = 2,
    .max_args = 2,
    .examples = "  hone judge r1 r6\n  hone judge r1 r6 --rubric graders/better.txt --human data/preferences.csv",
    .run = run,
};
