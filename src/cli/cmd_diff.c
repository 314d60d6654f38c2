/* hone diff: two runs side by side - prompts word by word, settings, data, and the cases whose answers changed. */
#include "cli/commands.h"
#include "cli/diff_cli.h"
#include "cli/project_cli.h"
#include "lifecycle/iterate/run_diff.h"
#include "model/catalogue.h"
#include "model/model.h"

/* The model's tokenizer where its file is here: without it words are compared all the same. */
static hn_model *open_vocabulary(hn_cli *cli, hn_store *store, const hn_scope *scope) {
    char path[HN_PATH_MAX];
    hn_error unused;
    hn_model *model = NULL;
    hn_run *run = NULL;
    const char *name = hn_cli_string(cli, "model");
    if (!name && hn_run_find(store, cli->positional[1], &run, &unused) == HN_OK) name = run->spec.model_name;
    if (name && hn_model_resolve(name, path, &unused) == HN_OK)
        if (hn_model_open(path, HN_MODEL_VOCAB_ONLY, &model, &unused) != HN_OK) model = NULL;
    if (!model && !hn_cli_given(cli, "model") && scope->model && hn_model_resolve(scope->model, path, &unused) == HN_OK)
        if (hn_model_open(path, HN_MODEL_VOCAB_ONLY, &model, &unused) != HN_OK) model = NULL;
    hn_run_free(run);
    return model;
}

static hn_status diff_runs(hn_cli *cli, const hn_cli_project *p, const hn_dataset *today, hn_error *err) {
    json_t *diff;
    hn_model *model = open_vocabulary(cli, p->store, p->scope);
    hn_diff_setup setup = {p->store,
                           cli->positional[0],
                           cli->positional[1],
                           today,
                           hn_project_scope_hash(p->project),
                           model ? hn_model_tokenizer(model) : NULL};
    hn_status st = hn_run_diff(&setup, &diff, err);
    if (st == HN_OK && cli->out->json)
        st = hn_cli_result(cli, diff, err);
    else if (st == HN_OK) {
        hn_cli_print_diff(cli, diff, (size_t)hn_cli_int(cli, "cases"), hn_cli_flag(cli, "tokens"));
        json_decref(diff);
    }
    hn_model_close(model);
    return st;
}

static hn_status run(hn_cli *cli, hn_error *err) {
    hn_cli_project p;
    hn_error unused;
    const hn_dataset *today = NULL;
    HN_TRY(hn_cli_project_open(HN_CLI_STORE, &p, err));
    /* Data that is gone or broken by now does not keep old runs from being compared. */
    if (hn_project_dataset(p.project, &today, &unused) != HN_OK) today = NULL;
    hn_status st = diff_runs(cli, &p, today, err);
    hn_cli_project_close(&p);
    return st;
}

static const hn_option options[] = {
    {.name = "cases",
     .kind = HN_OPTION_INT,
     .value = "N",
     .otherwise = "5",
     .low = 0,
     .high = 1e6,
     .help = "how many of the cases that differ to show"},
    {.name = "tokens", .kind = HN_OPTION_FLAG, .help = "texts token by token instead of word by word"},
    {.name = "model",
     .letter = 'm',
     .kind = HN_OPTION_STRING,
     .value = "MODEL",
     .help = "whose tokens to count (default: that of run B)"},
    {0}};

const hn_command hn_cmd_diff = {
    .name = "diff",
    .summary = "two runs side by side: prompt word by word, settings, data, the cases whose answers changed",
    .usage = "A B [--tokens] [--cases N]",
    .description =
        "A and B are runs: r7, a tag, `last`, or the first digits of an id. [-removed-] {+added+}. For whether B is "
        "better, see\n`hone compare`.",
    .options = options,
    .min_args = 2,
    .max_args = 2,
    .examples = "  hone diff r3 r7\n  hone diff best last --tokens\n  hone diff r3 r7 --json",
    .run = run,
};
