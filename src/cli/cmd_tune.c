/* hone tune: trains a model on the project's train split, or on a file of conversations, and scores it as it goes. */
#include "base/str.h"
#include "cli/commands.h"
#include "cli/inference.h"
#include "cli/scope_audit.h"
#include "cli/tune_cli.h"
#include "cli/tune_show.h"
#include "cli/tune_trials.h"
#include "lifecycle/tune/tune_examples.h"
#include "lifecycle/tune/tune_method.h"
#include "model/catalogue.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is trained ---- */

/* A path is kept as a whole one: the model is opened again from other folders. */
static hn_status name_source(hn_cli_tuning *t, hn_error *err) {
    char path[HN_PATH_MAX], adapter[HN_PATH_MAX];
    const char *name = t->base_name;
    if (hn_starts_with(name, "tune:")) {
        HN_TRY(hn_cli_resolve_model(name, path, adapter, err));
        name = path;
    }
    if (hn_catalogue_find(name) || !hn_file_exists(name))
        snprintf(t->source, sizeof t->source, "%s", name);
    else if (!realpath(name, t->source))
        return hn_fail(err, HN_ERR_IO, name, NULL, "its place cannot be told");
    return HN_OK;
}

static bool is_scratch(const hn_cli_tuning *t) {
    return t->setup.options.method && strcmp(t->setup.options.method, "scratch") == 0;
}

/* From scratch: a new model is made and takes the base's place. */
static hn_status make_base(hn_cli_tuning *t, hn_error *err) {
    hn_cli_scratch *s = &t->scratch;
    if (hn_cli_given(t->cli, "base") || hn_cli_given(t->cli, "model"))
        return hn_cli_usage(t->cli, err,
                            "--method scratch starts from a new model: leave --base out, or take --method full");
    s->tokenizer = hn_cli_tune_text(&t->settings, "tokenizer", NULL, "default");
    s->shape = hn_cli_tune_text(&t->settings, "shape", NULL, "the data");
    s->n_vocab = hn_cli_tune_int(&t->settings, "vocab", 0, "the data");
    s->seed = t->setup.options.seed;
    t->setup.store_dir = t->store_dir;
    HN_TRY(t->data ? hn_cli_scratch_data(&t->setup, s, err) : hn_cli_scratch_cases(&t->p, t->prompt, s, err));
    hn_cli_scratch_print(t->cli, s);
    return HN_OK;
}

static hn_status open_base(hn_cli_tuning *t, hn_error *err) {
    hn_cli *cli = t->cli;
    if (is_scratch(t)) HN_TRY(make_base(t, err));
    const char *own = hn_cli_string(cli, "model"), *project = t->p.scope ? t->p.scope->model : NULL;
    const char *otherwise = own ? own : project ? project : "smollm2";
    hn_local_options o = hn_cli_local_options(cli);
    if (is_scratch(t))
        t->base_name = t->scratch.base.folder;
    else
        t->base_name = hn_cli_tune_text(&t->settings, "base", otherwise,
                                        own       ? "command line"
                                        : project ? "hone.yaml"
                                                  : "default");
    if (t->p.project)
        HN_TRY(hn_cli_project_model(&t->p, t->base_name, &o, &t->base, err));
    else
        HN_TRY(hn_cli_open_named(NULL, t->base_name, &o, &t->base, err));
    return name_source(t, err);
}

static hn_status check_cases(hn_cli_tuning *t, hn_error *err) {
    uint32_t *train;
    size_t n, n_labelled = 0, n_leaks;
    hn_cli *cli = t->cli;
    HN_TRY(hn_cli_leaks_check(cli, &t->p, hn_cli_flag(cli, "allow-leakage"), &n_leaks, err));
    HN_TRY(hn_dataset_select(t->p.dataset, HN_SPLIT_TRAIN, &train, &n, err));
    for (size_t i = 0; i < n; i++)
        if (t->p.dataset->cases[train[i]].target) train[n_labelled++] = train[i];
    bool distills = strcmp(hn_cli_tune_text(&t->settings, "method", "lora", "default"), "distill") == 0;
    t->setup.options = hn_cli_tune_options(&t->settings, distills ? n : n_labelled);
    const hn_tune_options *o = &t->setup.options;
    if (o->limit && n_labelled > o->limit) n_labelled = o->limit;
    t->n_train = n_labelled;
    hn_status st = HN_OK;
    if (n_labelled && !distills && !hn_cli_flag(cli, "allow-unseen-labels"))
        st = hn_tune_check_labels(t->p.scope, t->p.dataset, train, n_labelled, err);
    hn_free(train);
    if (st == HN_OK && o->balanced && t->p.scope->contract.kind != HN_CONTRACT_CHOICE)
        return hn_cli_usage(cli, err, "--class-weights balanced is about labels: it needs `output: {choice: [...]}`");
    return st;
}

static hn_status open_project(hn_cli_tuning *t, hn_error *err) {
    char path[HN_PATH_MAX];
    HN_TRY(hn_cli_project_open(HN_CLI_DATA | HN_CLI_STORE, &t->p, err));
    t->settings.config = &t->p.scope->tune;
    const char *prompt = hn_cli_tune_text(&t->settings, "prompt", NULL, "default");
    if (!prompt)
        return hn_cli_usage(t->cli, err, "--prompt is missing: what the model will be asked when it is served");
    HN_TRY(hn_cli_prompt_path(&t->p, prompt, path, err));
    HN_TRY(hn_prompt_load(path, t->p.scope, t->p.dataset, &t->prompt, err));
    HN_TRY(check_cases(t, err));
    t->setup.project = t->p.project;
    t->setup.dataset = t->p.dataset;
    t->setup.prompt = t->prompt;
    t->setup.store = t->p.store;
    snprintf(t->store_dir, sizeof t->store_dir, "%s", hn_project_store_dir(t->p.project));
    return HN_OK;
}

/* A distillation's teacher: its prompt, and its model where that is not the base. */
static hn_status open_teacher(hn_cli_tuning *t, hn_error *err) {
    char path[HN_PATH_MAX];
    hn_provider_info info;
    hn_local_options o = hn_cli_local_options(t->cli);
    const char *prompt = hn_cli_tune_text(&t->settings, "teacher_prompt", NULL, "default"),
               *model = hn_cli_tune_text(&t->settings, "teacher", NULL, "default");
    if (!t->p.project || !t->setup.options.method || strcmp(t->setup.options.method, "distill") != 0) {
        if (!hn_cli_given(t->cli, "teacher-prompt") && !hn_cli_given(t->cli, "teacher")) return HN_OK;
        return hn_cli_usage(t->cli, err, "a teacher is for --method distill on the project's cases");
    }
    if (prompt) {
        HN_TRY(hn_cli_prompt_path(&t->p, prompt, path, err));
        HN_TRY(hn_prompt_load(path, t->p.scope, t->p.dataset, &t->teacher_prompt, err));
    }
    if (model) HN_TRY(hn_cli_project_model(&t->p, model, &o, &t->teacher, err));
    t->setup.teacher_prompt = t->teacher_prompt;
    t->setup.teacher = t->teacher;
    if (!t->teacher || !t->teacher_prompt) return HN_OK;
    HN_TRY(hn_provider_info_get(t->teacher, &info, err));
    return info.generates_only ? hn_prompt_generate(t->teacher_prompt, info.name, err) : HN_OK;
}

/* The project that the folder belongs to lends its store; without one it is here. */
static hn_status open_data(hn_cli_tuning *t, hn_error *err) {
    hn_cli *cli = t->cli;
    if (hn_cli_given(cli, "prompt"))
        return hn_cli_usage(cli, err, "--data has its conversations: --prompt is for the project's cases");
    size_t n_fields;
    const char *const *fields = hn_cli_list(cli, "field", &n_fields);
    HN_TRY(hn_cli_train_data(hn_cli_string(cli, "data"), fields, n_fields, &t->data, err));
    HN_TRY(hn_cli_tune_store(hn_cli_string(cli, "store"), t->store_dir, err));
    HN_TRY(hn_store_open(t->store_dir, &t->store, err));
    t->setup.held_out = hn_cli_tune_real(&t->settings, "held_out", 0.1, "default");
    t->n_train = t->data->n_rows - (size_t)ceil(t->setup.held_out * (double)t->data->n_rows);
    t->setup.options = hn_cli_tune_options(&t->settings, t->n_train);
    if (t->setup.options.balanced)
        return hn_cli_usage(cli, err, "--class-weights balanced is about labels: --data has none");
    t->setup.data = t->data;
    t->setup.store = t->store;
    return HN_OK;
}

static hn_status open_all(hn_cli_tuning *t, hn_error *err) {
    HN_TRY(hn_cli_given(t->cli, "data") ? open_data(t, err) : open_project(t, err));
    HN_TRY(open_base(t, err));
    HN_TRY(open_teacher(t, err));
    t->setup.store_dir = t->store_dir;
    t->setup.base_source = t->source;
    t->setup.base = t->base;
    t->setup.fresh = hn_cli_flag(t->cli, "fresh");
    return HN_OK;
}

static void close_all(hn_cli_tuning *t) {
    hn_cli_tune_progress_end(t);
    hn_provider_close(t->teacher);
    hn_provider_close(t->base);
    hn_train_data_free(t->data);
    hn_store_close(t->store);
    hn_prompt_free(t->teacher_prompt);
    hn_prompt_free(t->prompt);
    hn_cli_project_close(&t->p);
}

/* ---- the command ---- */

static hn_status train(hn_cli_tuning *t, hn_error *err) {
    hn_tune_hooks hooks = hn_cli_tune_hooks(t);
    hn_tune_result *r = hn_calloc(1, sizeof *r);
    if (!r) return hn_fail_memory(err, sizeof *r);
    hn_status st = hn_cli_tune_settings_print(&t->settings, err);
    if (st == HN_OK) st = hn_tune_run(&t->setup, &hooks, r, err);
    hn_cli_tune_progress_end(t);
    if (st == HN_OK && t->cli->out->json)
        st = hn_cli_result(t->cli, hn_cli_tune_json(t, r), err);
    else if (st == HN_OK)
        st = hn_cli_tune_print(t, r, err);
    hn_tune_result_free(r);
    hn_free(r);
    return st;
}

static hn_status run(hn_cli *cli, hn_error *err) {
    hn_cli_tuning t = {.cli = cli, .settings = {.cli = cli}, .dev = (double)NAN};
    hn_status st = open_all(&t, err);
    if (st == HN_OK) st = hn_cli_tune_settings_check(&t.settings, err);
    bool curve = hn_cli_given(cli, "curve"), sweep = hn_cli_given(cli, "sweep");
    if (st == HN_OK && curve && sweep) st = hn_cli_usage(cli, err, "--curve and --sweep are two things: one at a time");
    if (st == HN_OK)
        st = curve   ? hn_cli_tune_curve(&t, t.n_train, err)
             : sweep ? hn_cli_tune_sweep(&t, t.n_train, err)
                     : train(&t, err);
    close_all(&t);
    return st;
}

static const hn_option options[] = {
    {.name = "prompt",
     .letter = 'p',
     .kind = HN_OPTION_STRING,
     .value = "PROMPT",
     .help = "the prompt that it is trained with, and served with"},
    {.name = "data",
     .kind = HN_OPTION_STRING,
     .value = "FILE",
     .help = "train on a file instead of the project's cases: OpenAI chat JSONL, ShareGPT, Alpaca, preference pairs, "
             "plain text"},
    {.name = "store",
     .kind = HN_OPTION_STRING,
     .value = "FOLDER",
     .help = "with --data: where the result goes (default: the project's .hone, else $HONE_STORE, else .hone here)"},
    {.name = "base",
     .kind = HN_OPTION_STRING,
     .value = "MODEL",
     .help = "the model to train: a catalogue name or a path (the same as -m)"},
    {.name = "teacher-prompt",
     .kind = HN_OPTION_STRING,
     .value = "PROMPT",
     .help = "with --method distill: the prompt that the teacher answers with"},
    {.name = "teacher",
     .kind = HN_OPTION_STRING,
     .value = "MODEL",
     .help = "with --method distill: the teacher, such as a larger model (default: the base)"},
    HN_TUNE_SETTING_OPTIONS,
    {.name = "curve",
     .kind = HN_OPTION_STRING,
     .value = "N,N,...",
     .help = "train on the first 50,100,200,all cases, one run each: how good more labels make it"},
    {.name = "sweep",
     .kind = HN_OPTION_LIST,
     .value = "SETTING=A,B,...",
     .help = "try settings side by side, the better half going on with twice the steps; may be repeated"},
    HN_TUNE_SCRATCH_OPTIONS,
    {.name = "fresh", .kind = HN_OPTION_FLAG, .help = "train again, as a new run, where the same training is done"},
    {.name = "allow-leakage",
     .kind = HN_OPTION_FLAG,
     .help = "train although evaluation cases stand among the training cases"},
    {.name = "allow-unseen-labels", .kind = HN_OPTION_FLAG, .help = "train although labels have no training case"},
    HN_MODEL_OPTIONS,
    {0}};

const hn_command hn_cmd_tune = {
    .name = "tune",
    .summary = "train a model on the train split, scored on dev as it goes",
    .usage = "--prompt PROMPT|--data FILE [--base MODEL] [OPTIONS]",
    .description =
        "What is learned is the answer behind the prompt, its end token included: the very tokens that `hone eval` "
        "scores. Each epoch ends with\nthe dev cases, answered as they will be served; the best epoch is kept. With "
        "--data a share of the rows is held out, and its loss\ndecides. Ctrl-C or a kill loses nothing: the same "
        "command goes on, with the same bits. The result is a model: -m tune:r12, for eval,\ncomplete, score and the "
        "rest. Each setting may stand under `tune:` in hone.yaml, with underscores for dashes; flags win.",
    .options = options,
    .min_args = 0,
    .max_args = 0,
    .examples = "  hone tune --prompt v1\n  hone tune --prompt v1 --rank 8 --epochs 5\n"
                "  hone tune --prompt v1 --method full\n  hone tune --prompt v1 --curve 50,100,200,all\n"
                "  hone tune --prompt v1 --sweep learning_rate=1e-4,3e-4,1e-3 --sweep rank=8,16\n  hone tune --data "
                "chat.jsonl --base smollm2\n  hone tune --method scratch --data corpus.txt\n"
                "  hone eval v1 -m tune:r12",
    .run = run,
};
