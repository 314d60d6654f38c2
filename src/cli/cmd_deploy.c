/* hone deploy: a run's app becomes a release, if the evidence is for it; and the proof that a server answers as was measured. */
#include "cli/commands.h"
#include "cli/deploy_verify.h"
#include "cli/inference.h"
#include "cli/release_cli.h"
#include "lifecycle/deploy/release_evidence.h"

#include <stdio.h>
#include <string.h>

static void print_change(hn_cli *cli, const hn_release_draft *d) {
    static const char *const said[] = {"cannot tell yet whether it differs from", "better than", "worse than",
                                       "equivalent to"};
    if (!d->compared) return;
    const hn_verdict *v = &d->comparison.verdict;
    const hn_release *before = &d->before.rows[0];
    double f = d->comparison.metric_b.factor;
    const char *unit = d->comparison.metric_b.unit;
    int digits = f == 100 ? 1 : 3;
    hn_output_print(cli->out, "%s %s@%lld (r%lld): %+.*f%s%s [%+.*f, %+.*f], p = %.2g, on %zu %s cases\n",
                    said[v->kind], before->name, (long long)before->number, (long long)before->run_id, digits,
                    f * v->difference.value, *unit ? " " : "", unit, digits, f * v->difference.low, digits,
                    f * v->difference.high, v->p, v->n, d->detail.run->spec.split);
    if (d->comparison.paths_differ)
        hn_output_print(cli->out, "note: the two were computed on different numeric paths\n");
}

static void print(hn_cli *cli, const hn_release_draft *d, const hn_release *r, const char *reason) {
    char text[80];
    const hn_run_spec *spec = &d->detail.run->spec;
    hn_output_print(cli->out, "%s%s@%lld%s: r%lld (%s, %s)\n", hn_output_style(cli->out, HN_STYLE_BOLD), r->name,
                    (long long)r->number, hn_output_style(cli->out, HN_STYLE_NONE), (long long)r->run_id,
                    spec->prompt_name, spec->model_name);
    if (d->metric.known)
        hn_output_print(cli->out, "%s %s on %zu %s cases\n", spec->metric, hn_metric_text(&d->metric, text),
                        d->detail.list.n, spec->split);
    hn_cli_print_goals(cli, &d->goals);
    print_change(cli, d);
    if (d->n_against) hn_output_print(cli->out, "released all the same: %s\n", reason);
    hn_output_print(cli->out, "numeric path %s: only there it has the measured bits\n", spec->numeric_path);
    hn_output_print(cli->out, "\nNext:\n  hone deploy --verify %s   # asks a server for the measured answers\n",
                    r->name);
    hn_output_print(cli->out, "  hone serve %s\n", r->name);
}

static hn_status show_json(hn_cli *cli, const hn_release_draft *d, const hn_release *r /* NULL: refused */,
                           const char *reason, hn_error *err) {
    char name[128];
    json_t *evidence;
    HN_TRY(hn_release_evidence_json(d, &evidence, err));
    if (r) snprintf(name, sizeof name, "%.63s@%lld", r->name, (long long)r->number);
    return hn_cli_result(cli,
                         json_pack("{s:b, s:s?, s:s?, s:s?, s:o}", "released", r != NULL, "release", r ? name : NULL,
                                   "forced", r && d->n_against ? reason : NULL, "numeric_path",
                                   d->detail.run->spec.numeric_path, "evidence", evidence),
                         err);
}

static hn_status refuse(hn_cli *cli, const hn_release_setup *s, const hn_release_draft *d, hn_error *err) {
    if (cli->out->json) HN_TRY(show_json(cli, d, NULL, NULL, err));
    hn_output_print(cli->out, "against releasing r%lld as %s:\n", (long long)s->run->id, s->name);
    for (size_t i = 0; i < d->n_against; i++) hn_output_print(cli->out, "  %s\n", d->against[i]);
    print_change(cli, d);
    cli->reported = true;
    return hn_fail(err, HN_ERR_GATE, s->name, "--force REASON releases it all the same, and keeps the reason",
                   "r%lld is not released", (long long)s->run->id);
}

/* The app is opened before anything is kept: what cannot be served is no release. Its numeric path may be another than this machine's. */
static hn_status keep(hn_cli *cli, const hn_cli_project *p, const hn_release_setup *s, const hn_release_draft *d,
                      const char *reason, hn_release *release, hn_error *err) {
    hn_provider *provider;
    hn_frozen_app *app = NULL;
    HN_TRY(hn_cli_open_run_model(cli, p, s->run, &provider, err));
    hn_frozen_setup setup = {.store = p->store, .run = s->run, .provider = provider, .other_path = true};
    hn_status st = hn_frozen_open(&setup, &app, err);
    if (st == HN_OK) st = hn_release_keep(s, d, app, reason, release, err);
    hn_frozen_close(app);
    hn_provider_close(provider);
    return st;
}

static hn_status deploy(hn_cli *cli, const hn_cli_project *p, const hn_run *run, hn_error *err) {
    hn_release_draft d;
    hn_release release;
    const char *reason = hn_cli_string(cli, "force");
    hn_release_setup setup = {p->store, p->scope, p->dataset, run, hn_cli_string(cli, "name")};
    HN_TRY(hn_release_judge(&setup, &d, err));
    hn_status st;
    if (d.n_against && !reason)
        st = refuse(cli, &setup, &d, err);
    else {
        st = keep(cli, p, &setup, &d, reason, &release, err);
        if (st == HN_OK && reason && !d.n_against)
            hn_output_note(cli->out, "nothing speaks against it: --force was not needed, and its reason is not kept");
        if (st == HN_OK && cli->out->json) st = show_json(cli, &d, &release, reason, err);
        if (st == HN_OK) print(cli, &d, &release, reason);
    }
    hn_release_draft_free(&d);
    return st;
}

static hn_status check_options(hn_cli *cli, hn_error *err) {
    static const char *const of_verify[] = {"url", "all", "cases", "other-path"}, *const of_deploy[] = {"name",
                                                                                                        "force"};
    const char *reason = hn_cli_string(cli, "force");
    bool verify = hn_cli_flag(cli, "verify");
    for (int i = 0; !verify && i < 4; i++)
        if (hn_cli_given(cli, of_verify[i])) return hn_cli_usage(cli, err, "--%s belongs to --verify", of_verify[i]);
    for (int i = 0; verify && i < 2; i++)
        if (hn_cli_given(cli, of_deploy[i]))
            return hn_cli_usage(cli, err, "--%s has no use with --verify", of_deploy[i]);
    if (!verify && !hn_cli_given(cli, "name")) return hn_cli_usage(cli, err, "--name NAME says what it is released as");
    if (reason && strspn(reason, " \t\r\n") == strlen(reason))
        return hn_cli_usage(cli, err, "--force takes the reason, in words");
    return HN_OK;
}

static hn_status run(hn_cli *cli, hn_error *err) {
    hn_cli_project p;
    hn_run *found;
    HN_TRY(check_options(cli, err));
    if (hn_cli_flag(cli, "verify")) return hn_cli_deploy_verify(cli, err);
    HN_TRY(hn_cli_project_open(HN_CLI_DATA | HN_CLI_STORE, &p, err));
    hn_status st = hn_run_find(p.store, cli->positional[0], &found, err);
    if (st == HN_OK) {
        st = deploy(cli, &p, found, err);
        hn_run_free(found);
    }
    hn_cli_project_close(&p);
    return st;
}

static const hn_option options[] = {
    {.name = "name", .kind = HN_OPTION_STRING, .value = "NAME", .help = "what it is released as: /v1/apps/NAME"},
    {.name = "force",
     .kind = HN_OPTION_STRING,
     .value = "REASON",
     .help = "release it against the evidence; the reason is kept with the release"},
    {.name = "verify",
     .kind = HN_OPTION_FLAG,
     .help = "ask a server for the release's measured answers, and hold them against each other bit for bit"},
    {.name = "url",
     .kind = HN_OPTION_STRING,
     .value = "URL",
     .help = "with --verify: the server that runs, such as http://127.0.0.1:8080 (default: one is begun and stopped)"},
    {.name = "cases",
     .kind = HN_OPTION_INT,
     .value = "N",
     .otherwise = "200",
     .low = 1,
     .high = 1e9,
     .help = "with --verify: ask at most so many, evenly over the run"},
    {.name = "all", .kind = HN_OPTION_FLAG, .help = "with --verify: every case of the run"},
    {.name = "other-path",
     .kind = HN_OPTION_FLAG,
     .help = "with --verify: also where the numeric path is another than it was measured on"},
    HN_MODEL_OPTIONS,
    {0}};

const hn_command hn_cmd_deploy = {
    .name = "deploy",
    .summary =
        "release a run's app under a name, if the evidence is for it; verify that a server answers as was measured",
    .usage = "(RUN --name NAME [--force REASON] | --verify NAME [--url URL] [--all | --cases N])",
    .description =
        "A release freezes prompt, examples, data, calibration, guards, model with adapter, numeric path and the "
        "evidence.\n"
        "Refused (exit status 1), unless forced: a run that misses a goal of hone.yaml, is worse than the current "
        "release of "
        "the name,\nor cannot be compared with it. `hone releases` lists, `hone rollback` goes back, `hone serve NAME` "
        "serves.\n--verify exits with 1 where one answer has other bits; its result is kept with the release.",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .examples = "  hone deploy r7 --name router\n  hone deploy --verify router\n  hone deploy --verify router --url "
                "http://127.0.0.1:8080 --all",
    .run = run,
};
