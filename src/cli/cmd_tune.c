/* hone tune: trains an adapter on the project's train split and scores it on dev as it goes. */
#include "base/clock.h"
#include "cli/commands.h"
#include "cli/inference.h"
#include "cli/project_cli.h"
#include "cli/scope_audit.h"
#include "lifecycle/tune/tune.h"
#include "lifecycle/tune/tune_examples.h"
#include "model/catalogue.h"
#include "train/network.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CURVE_COLUMNS = 40, SAID_COLUMNS = 40 };

typedef struct tuning {
    hn_cli *cli;
    hn_cli_project p;
    hn_prompt *prompt;
    hn_provider *base;
    const char *base_name; /* NULL: the project's */
    hn_tune_setup setup;
    hn_progress progress;
    bool shown;
    char source[HN_PATH_MAX];
} tuning;

/* ---- hooks ---- */

static hn_status open_model(void *user, const char *model, const char *adapter, hn_provider **provider, hn_error *err) {
    tuning *t = user;
    hn_local_options o = hn_cli_local_options(t->cli);
    o.adapter = adapter;
    return hn_cli_project_model(&t->p, model ? model : t->base_name, &o, provider, err);
}

static void on_step(void *user, int64_t step, int64_t n_steps, double loss, double rate) {
    tuning *t = user;
    char what[96];
    snprintf(what, sizeof what, "training, loss %.3f, %.0f tokens/s", loss, rate);
    if (!t->shown) {
        hn_progress_begin(&t->progress, t->cli->out, what, (uint64_t)n_steps, HN_PROGRESS_COUNT, "steps");
        hn_progress_base(&t->progress, (uint64_t)(step - 1));
    }
    t->shown = true;
    hn_progress_rename(&t->progress, what, (uint64_t)n_steps);
    hn_progress_update(&t->progress, (uint64_t)step);
}

static void on_epoch(void *user, const hn_tune_epoch *e, size_t n_dev, const hn_tune_sample *sample) {
    tuning *t = user;
    char text[48], took[32], loss[48] = "before training";
    hn_interval i = hn_interval_wilson(e->n_correct, (int64_t)n_dev, 0.05);
    double share = (double)e->n_correct / (double)n_dev;
    hn_buf answer;
    if (t->shown) hn_progress_end(&t->progress);
    t->shown = false;
    hn_buf_init(&answer, 0);
    if (*sample->name) hn_cli_excerpt(sample->said ? sample->said : "(no valid answer)", SAID_COLUMNS, &answer);
    if (e->epoch) snprintf(loss, sizeof loss, "loss %.3f nats a token", e->train_loss);
    hn_output_print(t->cli->out, "epoch %-2d %s  dev %s  after %s", e->epoch, loss,
                    hn_cli_percent((hn_estimate){share, i.low, i.high}, text), hn_format_duration(e->seconds, took));
    if (*sample->name)
        hn_output_print(t->cli->out, "; still wrong: case %.20s is %.30s, said: %s", sample->name, sample->wanted,
                        hn_buf_str(&answer));
    hn_output_print(t->cli->out, "\n");
    hn_buf_free(&answer);
}

/* ---- opening ---- */

static unsigned targets_named(const char *name) {
    if (strcmp(name, "attention") == 0) return HN_LORA_Q | HN_LORA_K | HN_LORA_V | HN_LORA_O;
    if (strcmp(name, "qv") == 0) return HN_LORA_Q | HN_LORA_V;
    return HN_LORA_ALL;
}

static hn_tune_options read_options(hn_cli *cli, size_t n_train) {
    size_t limit = (size_t)hn_cli_int(cli, "limit");
    hn_tune_options o = hn_tune_defaults(limit && limit < n_train ? limit : n_train, hn_cli_string(cli, "method"));
    o.rank = (int)hn_cli_int(cli, "rank");
    o.alpha = hn_cli_given(cli, "alpha") ? hn_cli_real(cli, "alpha") : 2.0 * o.rank;
    o.rank_stabilised = hn_cli_flag(cli, "rank-stabilised");
    o.targets = targets_named(hn_cli_string(cli, "targets"));
    if (hn_cli_given(cli, "learning-rate")) o.learning_rate = hn_cli_real(cli, "learning-rate");
    o.weight_decay = hn_cli_real(cli, "weight-decay");
    o.clip = hn_cli_real(cli, "clip");
    o.warmup = hn_cli_real(cli, "warmup");
    if (hn_cli_given(cli, "epochs")) o.epochs = (int)hn_cli_int(cli, "epochs");
    if (hn_cli_given(cli, "batch")) o.batch = (int)hn_cli_int(cli, "batch");
    o.max_length = (int)hn_cli_int(cli, "max-length");
    o.limit = limit;
    o.dev_limit = (size_t)hn_cli_int(cli, "dev-limit");
    o.seed = (uint64_t)hn_cli_int(cli, "seed");
    o.n_threads = (int)hn_cli_int(cli, "threads");
    return o;
}

static hn_status check_data(tuning *t, hn_error *err) {
    uint32_t *train;
    size_t n, n_labelled = 0, n_leaks;
    hn_cli *cli = t->cli;
    HN_TRY(hn_cli_leaks_check(cli, &t->p, hn_cli_flag(cli, "allow-leakage"), &n_leaks, err));
    HN_TRY(hn_dataset_select(t->p.dataset, HN_SPLIT_TRAIN, &train, &n, err));
    for (size_t i = 0; i < n; i++)
        if (t->p.dataset->cases[train[i]].target) train[n_labelled++] = train[i];
    t->setup.options = read_options(cli, n_labelled);
    if (t->setup.options.limit && n_labelled > t->setup.options.limit) n_labelled = t->setup.options.limit;
    hn_status st = HN_OK;
    if (n_labelled && !hn_cli_flag(cli, "allow-unseen-labels"))
        st = hn_tune_check_labels(t->p.scope, t->p.dataset, train, n_labelled, err);
    hn_free(train);
    return st;
}

/* A path is kept as a whole one: the model is opened again from other folders. */
static hn_status name_source(tuning *t, hn_error *err) {
    const char *name = t->base_name ? t->base_name : t->p.scope->model ? t->p.scope->model : "smollm2";
    if (hn_catalogue_find(name) || !hn_file_exists(name))
        snprintf(t->source, sizeof t->source, "%s", name);
    else if (!realpath(name, t->source))
        return hn_fail(err, HN_ERR_IO, name, NULL, "its place cannot be told");
    return HN_OK;
}

static hn_status open_all(tuning *t, hn_error *err) {
    hn_cli *cli = t->cli;
    char path[HN_PATH_MAX];
    const char *prompt = hn_cli_string(cli, "prompt");
    hn_local_options o = hn_cli_local_options(cli);
    if (!prompt) return hn_cli_usage(cli, err, "--prompt is missing: what the model will be asked when it is served");
    HN_TRY(hn_cli_project_open(HN_CLI_DATA | HN_CLI_STORE, &t->p, err));
    HN_TRY(hn_cli_prompt_path(&t->p, prompt, path, err));
    HN_TRY(hn_prompt_load(path, t->p.scope, t->p.dataset, &t->prompt, err));
    HN_TRY(check_data(t, err));
    t->base_name = hn_cli_given(cli, "base") ? hn_cli_string(cli, "base") : hn_cli_string(cli, "model");
    HN_TRY(hn_cli_project_model(&t->p, t->base_name, &o, &t->base, err));
    HN_TRY(name_source(t, err));
    t->setup.base_source = t->source;
    t->setup.project = t->p.project;
    t->setup.dataset = t->p.dataset;
    t->setup.store = t->p.store;
    t->setup.store_dir = hn_project_store_dir(t->p.project);
    t->setup.base = t->base;
    t->setup.prompt = t->prompt;
    t->setup.fresh = hn_cli_flag(cli, "fresh");
    return HN_OK;
}

static void close_all(tuning *t) {
    if (t->shown) hn_progress_end(&t->progress);
    hn_provider_close(t->base);
    hn_prompt_free(t->prompt);
    hn_cli_project_close(&t->p);
}

/* ---- showing ---- */

static void print_settings(tuning *t) {
    const hn_tune_options *o = &t->setup.options;
    hn_output_print(t->cli->out,
                    "LoRA rank %d, alpha %g%s; learning rate %g, %d epochs, %d cases a step, seed %llu; the base's "
                    "weights stay as they are\n",
                    o->rank, o->alpha, o->rank_stabilised ? " over the rank's root" : "", o->learning_rate, o->epochs,
                    o->batch, (unsigned long long)o->seed);
}

static hn_status print_curve(tuning *t, const hn_tune_result *r, hn_error *err) {
    hn_table *table = hn_table_create(t->cli->out);
    hn_table_column(table, "epoch", HN_ALIGN_RIGHT);
    hn_table_column(table, "train loss", HN_ALIGN_RIGHT);
    hn_table_column(table, "dev accuracy", HN_ALIGN_RIGHT);
    hn_table_column(table, " ", HN_ALIGN_LEFT);
    for (size_t k = 0; k < r->n_epochs; k++) {
        const hn_tune_epoch *e = &r->epochs[k];
        char bar[CURVE_COLUMNS + 1] = "", text[48];
        double share = (double)e->n_correct / (double)r->n_dev;
        hn_interval i = hn_interval_wilson(e->n_correct, (int64_t)r->n_dev, 0.05);
        memset(bar, '#', (size_t)lround(share * CURVE_COLUMNS));
        hn_table_row(table);
        hn_table_cell(table, "%d", e->epoch);
        if (isfinite(e->train_loss))
            hn_table_cell(table, "%.3f", e->train_loss);
        else
            hn_table_cell(table, "-");
        hn_table_cell(table, "%s", hn_cli_percent((hn_estimate){share, i.low, i.high}, text));
        hn_table_cell(table, "%s%s", bar, k == r->best ? " kept" : "");
        if (k == r->best) hn_table_row_style(table, HN_STYLE_GOOD);
    }
    return hn_table_print(table, err);
}

static hn_status print_people(tuning *t, const hn_tune_result *r, hn_error *err) {
    hn_cli *cli = t->cli;
    char took[32], text[48];
    const char *prompt = t->prompt->name;
    hn_output_print(cli->out, "\nr%lld  %s trained on %zu cases (%zu tokens, %zu of them answers) in %s%s\n\n",
                    (long long)r->run->id, r->run->spec.model_name, r->n_train, r->n_tokens, r->n_supervised,
                    hn_format_duration(r->seconds, took), r->start == HN_RUN_DONE ? ", earlier" : "");
    HN_TRY(print_curve(t, r, err));
    hn_output_print(cli->out, "\n");
    if (r->stopped_early)
        hn_output_print(cli->out, "Stopped early: the paired interval left no room for a gain of %.0f points.\n",
                        100 * t->p.scope->smallest_difference);
    hn_output_print(cli->out,
                    "Best: epoch %d, %s of %zu dev cases. It was chosen by these cases: what it is worth, the test "
                    "split says.\nThe adapter, as PEFT has them: %s\n",
                    r->epochs[r->best].epoch, hn_cli_percent(r->accuracy, text), r->n_dev,
                    hn_cli_path_shown(r->folder));
    hn_output_print(cli->out, "\nNext:\n  hone eval %s -m tune:r%lld\n  hone eval %s -m tune:r%lld --split test\n",
                    prompt, (long long)r->run->id, prompt, (long long)r->run->id);
    return HN_OK;
}

static json_t *estimate_json(hn_estimate e) {
    return json_pack("{s:f, s:f, s:f}", "value", e.value, "low", e.low, "high", e.high);
}

static hn_status print_json(hn_cli *cli, const hn_tune_result *r, hn_error *err) {
    char name[32], model[40];
    snprintf(name, sizeof name, "r%lld", (long long)r->run->id);
    snprintf(model, sizeof model, "tune:%s", name);
    json_t *result = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:i, s:o, s:b, s:f}", "run", name,
                               "model", model, "base", r->run->spec.model_name, "prompt", r->run->spec.prompt_name,
                               "adapter", r->folder, "train_cases", (json_int_t)r->n_train, "dev_cases",
                               (json_int_t)r->n_dev, "train_tokens", (json_int_t)r->n_tokens, "supervised_tokens",
                               (json_int_t)r->n_supervised, "accuracy", estimate_json(r->accuracy), "best_epoch",
                               r->epochs[r->best].epoch, "epochs", hn_tune_epochs_json(r->epochs, r->n_epochs, r->best),
                               "stopped_early", r->stopped_early, "seconds", r->seconds);
    return hn_cli_result(cli, result, err);
}

static hn_status run(hn_cli *cli, hn_error *err) {
    tuning t = {.cli = cli};
    hn_tune_result r = {0};
    hn_status st = open_all(&t, err);
    if (st == HN_OK) {
        hn_tune_hooks hooks = {open_model, on_step, on_epoch, &t};
        print_settings(&t);
        st = hn_tune_run(&t.setup, &hooks, &r, err);
    }
    if (st == HN_OK && t.shown) hn_progress_end(&t.progress), t.shown = false;
    if (st == HN_OK) st = cli->out->json ? print_json(cli, &r, err) : print_people(&t, &r, err);
    hn_tune_result_free(&r);
    close_all(&t);
    return st;
}

static const hn_option options[] = {
    {.name = "prompt",
     .letter = 'p',
     .kind = HN_OPTION_STRING,
     .value = "PROMPT",
     .help = "the prompt that it is trained with, and served with"},
    {.name = "base",
     .kind = HN_OPTION_STRING,
     .value = "MODEL",
     .help = "the model to train beside: a catalogue name or a path (the same as -m)"},
    {.name = "method",
     .kind = HN_OPTION_STRING,
     .value = "lora|full",
     .help = "what learns: an adapter beside the base's weights, or all weights (default: lora)"},
    {.name = "rank",
     .kind = HN_OPTION_INT,
     .value = "N",
     .otherwise = "16",
     .low = 1,
     .high = 1024,
     .help = "rank of the adapter's matrices"},
    {.name = "alpha",
     .kind = HN_OPTION_REAL,
     .value = "X",
     .low = 1e-6,
     .high = 1e6,
     .help = "the adapter counts alpha / rank (default: twice the rank)"},
    {.name = "rank-stabilised", .kind = HN_OPTION_FLAG, .help = "alpha over the root of the rank instead"},
    {.name = "targets",
     .kind = HN_OPTION_CHOICE,
     .value = "all|attention|qv",
     .otherwise = "all",
     .help = "which linear layers get an adapter"},
    {.name = "learning-rate",
     .kind = HN_OPTION_REAL,
     .value = "X",
     .otherwise = "5e-4",
     .low = 1e-9,
     .high = 1,
     .help = "the highest one: it warms up, then falls to a tenth"},
    {.name = "epochs",
     .kind = HN_OPTION_INT,
     .value = "N",
     .low = 1,
     .high = HN_TUNE_EPOCHS_MAX,
     .help = "times that each case is seen (default: 3 to 10, more for small data)"},
    {.name = "batch",
     .kind = HN_OPTION_INT,
     .value = "N",
     .low = 1,
     .high = 4096,
     .help = "cases a step (default: 8 to 32, by the number of cases)"},
    {.name = "warmup",
     .kind = HN_OPTION_REAL,
     .value = "SHARE",
     .otherwise = "0.05",
     .low = 0,
     .high = 1,
     .help = "share of the steps in which the learning rate rises"},
    {.name = "weight-decay",
     .kind = HN_OPTION_REAL,
     .value = "X",
     .otherwise = "0",
     .low = 0,
     .high = 10,
     .help = "AdamW's"},
    {.name = "clip",
     .kind = HN_OPTION_REAL,
     .value = "X",
     .otherwise = "1",
     .low = 0,
     .high = 1e9,
     .help = "limit of the gradient's norm; 0: none"},
    {.name = "max-length",
     .kind = HN_OPTION_INT,
     .value = "N",
     .otherwise = "0",
     .low = 0,
     .high = 1 << 20,
     .help = "tokens of a case at most; longer ones are refused, not cut (0: the model's context)"},
    {.name = "limit",
     .kind = HN_OPTION_INT,
     .value = "N",
     .otherwise = "0",
     .low = 0,
     .high = 1e9,
     .help = "only the first N training cases of the fixed order (0: all)"},
    {.name = "dev-limit",
     .kind = HN_OPTION_INT,
     .value = "N",
     .otherwise = "0",
     .low = 0,
     .high = 1e9,
     .help = "score on the first N dev cases (0: all)"},
    {.name = "seed",
     .kind = HN_OPTION_INT,
     .value = "N",
     .otherwise = "1",
     .low = 0,
     .high = 1e15,
     .help = "of the order and the first weights: the same seed gives the same bits"},
    {.name = "fresh", .kind = HN_OPTION_FLAG, .help = "train again, as a new run, where the same training is done"},
    {.name = "allow-leakage",
     .kind = HN_OPTION_FLAG,
     .help = "train although evaluation cases stand among the training cases"},
    {.name = "allow-unseen-labels", .kind = HN_OPTION_FLAG, .help = "train although labels have no training case"},
    HN_MODEL_OPTIONS,
    {0}};

const hn_command hn_cmd_tune = {
    .name = "tune",
    .summary = "train an adapter on the train split, scored on dev as it goes",
    .usage = "--prompt PROMPT [--base MODEL] [OPTIONS]",
    .description =
        "LoRA on the model's linear layers; the base's weights stay as they are, quantised or not. What is learned is "
        "the answer behind the\nprompt, its end token included: the very tokens that `hone eval` scores. Each epoch "
        "ends "
        "with the dev cases, answered as they will be\nserved; the best epoch is kept. Ctrl-C or a kill loses nothing: "
        "the same command goes on, with the same bits. The result is a model:\n-m tune:r12, for eval, complete, score "
        "and the rest.",
    .options = options,
    .min_args = 0,
    .max_args = 0,
    .examples = "  hone tune --prompt v1\n  hone tune --prompt v1 --rank 8 --epochs 5\n  hone eval v1 -m tune:r12",
    .run = run,
};
