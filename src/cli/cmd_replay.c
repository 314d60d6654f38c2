/* hone replay: a finished run computed again and held against its answers, bit by bit. */
#include "base/str.h"
#include "cli/commands.h"
#include "cli/inference.h"
#include "cli/project_cli.h"
#include "lifecycle/iterate/run_replay.h"
#include "model/catalogue.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CHANGES_SHOWN = 20 };

static void on_progress(void *user, const hn_eval_progress *p) {
    hn_progress *progress = user;
    bool calibrating = p->n_prior < p->n_prior_cases;
    hn_progress_rename(progress, calibrating ? "calibrating" : "replaying",
                       calibrating ? p->n_prior_cases : p->n_cases);
    hn_progress_update(progress, calibrating ? p->n_prior : p->n_saved);
}

static void print_changes(hn_cli *cli, const hn_replay *r) {
    for (size_t i = 0; i < r->n_changes && i < CHANGES_SHOWN; i++) {
        const hn_replay_change *c = &r->changes[i];
        hn_output_print(cli->out, "  %s  %s: ", c->after->case_id, c->what);
        if (strcmp(c->what, "answer") == 0)
            hn_output_print(cli->out, "%.80s -> %.80s", c->before->value ? c->before->value : "(nothing valid)",
                            c->after->value ? c->after->value : "(nothing valid)");
        else
            hn_output_print(cli->out, "the answer is the same");
        if (isfinite(c->largest)) hn_output_print(cli->out, ", log-likelihoods differ by up to %.3g", c->largest);
        hn_output_print(cli->out, "\n");
    }
    if (r->n_changes > CHANGES_SHOWN)
        hn_output_print(cli->out, "  ... %zu more: --json\n", r->n_changes - CHANGES_SHOWN);
}

static void print_replay(hn_cli *cli, const hn_run *run, const hn_replay *r) {
    char took[32];
    bool all = r->n_same == r->n;
    const char *good = hn_output_style(cli->out, HN_STYLE_GOOD), *bad = hn_output_style(cli->out, HN_STYLE_BAD),
               *off = hn_output_style(cli->out, HN_STYLE_NONE);
    hn_output_print(cli->out, "r%lld (%s) computed again as r%lld: %zu cases, %s\n", (long long)run->id,
                    run->spec.prompt_name ? run->spec.prompt_name : "", (long long)r->after.run->id, r->n,
                    hn_format_duration(r->after.seconds, took));
    if (!r->same_path)
        hn_output_print(cli->out,
                        "note: the numeric path is another (%s, then %s), so bits may differ: values are compared\n",
                        r->after.run->spec.numeric_path, run->spec.numeric_path);
    if (!r->reproducible) hn_output_print(cli->out, "note: this model does not promise the same answer twice\n");
    if (all)
        hn_output_print(cli->out, "%sthe same bits in all %zu answers%s\n", good, r->n, off);
    else {
        hn_output_print(cli->out, "%s%zu of %zu answers have other bits%s; %zu (%.1f %%) have the same value\n", bad,
                        r->n_changes, r->n, off, r->n_agree, r->n ? 100 * (double)r->n_agree / (double)r->n : 0);
        if (isfinite(r->largest)) hn_output_print(cli->out, "log-likelihoods differ by up to %.3g\n", r->largest);
        print_changes(cli, r);
    }
}

/* Bits that differ on the same numeric path are a failed test. On another path they are expected to; answers that differ are the failure. */
static hn_status judge(const hn_run *run, const hn_replay *r, hn_error *err) {
    if (r->same_path && r->n_same < r->n)
        return hn_fail(err, HN_ERR_GATE, "replay", "another build of hone, or a defect: both are worth finding out",
                       "%zu of %zu answers of r%lld have other bits on the same numeric path", r->n_changes, r->n,
                       (long long)run->id);
    if (r->n_agree < r->n)
        return hn_fail(err, HN_ERR_GATE, "replay", "replay it on the machine, or with the HONE_ISA, that made it",
                       "%zu of %zu answers of r%lld are others on this numeric path", r->n - r->n_agree, r->n,
                       (long long)run->id);
    return HN_OK;
}

/* The KV type is part of the numeric path; where --kv does not say otherwise it is the run's. */
static hn_status open_model(hn_cli *cli, const hn_cli_project *p, const hn_run *run, hn_provider **provider,
                            hn_error *err) {
    hn_local_options options = hn_cli_local_options(cli);
    const char *name = hn_cli_string(cli, "model"), *path = run->spec.numeric_path ? run->spec.numeric_path : "";
    if (!hn_cli_given(cli, "kv") && strstr(path, "kv-q8_0")) options.kv_type = HN_KV_Q8_0;
    if (!name) {
        hn_error unknown;
        char file[HN_PATH_MAX];
        if (run->spec.model_name && hn_model_resolve(run->spec.model_name, file, &unknown) == HN_OK)
            name = run->spec.model_name; /* else the project's, whose hash is checked */
    }
    return hn_cli_project_model(p, name, &options, provider, err);
}

static hn_status replay(hn_cli *cli, const hn_cli_project *p, const hn_run *run, hn_error *err) {
    hn_provider *provider;
    hn_replay r;
    hn_progress progress;
    HN_TRY(open_model(cli, p, run, &provider, err));
    hn_replay_setup setup = {p->store, run, provider, (size_t)hn_cli_int(cli, "limit")};
    hn_progress_begin(&progress, cli->out, "replaying", 0, HN_PROGRESS_COUNT, "cases");
    hn_status st = hn_replay_run(&setup, on_progress, &progress, &r, err);
    hn_progress_end(&progress);
    if (st == HN_OK) {
        json_t *value = NULL;
        if (cli->out->json) st = hn_replay_json(&r, run, &value, err);
        if (value) st = hn_cli_result(cli, value, err);
        if (!cli->out->json) print_replay(cli, run, &r);
        if (st == HN_OK) st = judge(run, &r, err);
        hn_replay_free(&r);
    }
    hn_provider_close(provider);
    return st;
}

static hn_status run_command(hn_cli *cli, hn_error *err) {
    hn_cli_project p;
    hn_run *run;
    HN_TRY(hn_cli_project_open(HN_CLI_STORE, &p, err));
    hn_status st = hn_run_find(p.store, cli->positional[0], &run, err);
    if (st == HN_OK) {
        st = replay(cli, &p, run, err);
        hn_run_free(run);
    }
    hn_cli_project_close(&p);
    return st;
}

static const hn_option options[] = {HN_MODEL_OPTIONS,
                                    {.name = "limit",
                                     .kind = HN_OPTION_INT,
                                     .value = "N",
                                     .otherwise = "0",
                                     .low = 0,
                                     .high = 1e9,
                                     .help = "the run's first N cases; 0: all"},
                                    {0}};

const hn_command hn_cmd_replay = {
    .name = "replay",
    .summary = "compute a finished run again, without the cache, and compare its answers bit by bit",
    .usage = "RUN [--limit N]",
    .description =
        "Prompt, hone.yaml and data are those kept with the run, not today's. The replay is kept as a run, linked to "
        "this one.\nExit status 1 where answers have other bits. On another numeric path (`HONE_ISA`, another machine) "
        "values are compared, and\nthe exit status is 1 where one differs.",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .examples = "  hone replay r7\n  hone replay best --limit 50",
    .run = run_command,
};
