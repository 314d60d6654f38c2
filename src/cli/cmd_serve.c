/* hone serve: models behind HTTP. */
#include "serve/server.h"

#include "cli/commands.h"
#include "cli/inference.h"
#include "cli/project_cli.h"
#include "cli/release_cli.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The line that scripts wait for. With --json: {"url", "port", "models": [...], "pid"}. */
static hn_status announce(hn_cli *cli, const hn_server *server, const char *host, hn_error *err) {
    char url[300];
    const char *model = hn_server_model_id(server, 0);
    bool v6 = strchr(host, ':') != NULL;
    snprintf(url, sizeof url, "http://%s%.200s%s:%d", v6 ? "[" : "", host, v6 ? "]" : "", hn_server_port(server));
    if (cli->out->json)
        HN_TRY(hn_cli_result(cli,
                             json_pack("{s:s, s:i, s:[s], s:I}", "url", url, "port", hn_server_port(server), "models",
                                       model, "pid", (json_int_t)getpid()),
                             err));
    hn_output_print(cli->out, "serving %s at %s\n", model, url);
    return hn_output_finish(err);
}

static hn_status check_network(const hn_cli *cli, const hn_server *server, hn_error *err) {
    if (hn_server_is_loopback(server)) return HN_OK;
    return hn_fail(err, HN_ERR_USAGE, "--host", "leave --host away, or put a proxy that checks who asks in front",
                   "%s can be reached from other machines, and anybody there could use the model",
                   hn_cli_string(cli, "host"));
}

static hn_status serve(hn_cli *cli, hn_provider *provider, hn_frozen_app *app, const char *name, hn_error *err) {
    hn_server *server;
    hn_server_options options = {.host = hn_cli_string(cli, "host"),
                                 .port = (int)hn_cli_int(cli, "port"),
                                 .body_max = hn_cli_size(cli, "max-body"),
                                 .connections_max = (int)hn_cli_int(cli, "max-connections"),
                                 .queue_max = (int)hn_cli_int(cli, "max-queue"),
                                 .timeout_seconds = hn_cli_real(cli, "timeout"),
                                 .drain_seconds = hn_cli_real(cli, "drain"),
                                 .signals = true};
    HN_TRY(hn_server_open(&options, &server, err));
    hn_status st = check_network(cli, server, err);
    if (st == HN_OK) st = hn_server_add_model(server, hn_cli_string(cli, "model"), provider, err);
    if (st == HN_OK && app) st = hn_server_add_app(server, name, app, err);
    if (st == HN_OK) st = announce(cli, server, options.host, err);
    if (st == HN_OK) st = hn_server_run(server, err);
    hn_server_close(server);
    return st;
}

static hn_status serve_app(hn_cli *cli, const hn_cli_project *p, hn_error *err) {
    hn_cli_served s;
    HN_TRY(hn_cli_served_open(cli, p, cli->positional[0], &s, err));
    if (s.release.n)
        hn_output_note(cli->out, "release %s@%lld (r%lld), measured on %s", s.name, (long long)s.release.rows[0].number,
                       (long long)s.run->id, s.run->spec.numeric_path ? s.run->spec.numeric_path : "?");
    hn_status st = serve(cli, s.provider, s.app, hn_cli_given(cli, "name") ? hn_cli_string(cli, "name") : s.name, err);
    hn_cli_served_close(&s);
    return st;
}

static hn_status run(hn_cli *cli, hn_error *err) {
    hn_provider *provider;
    hn_status st;
    if (cli->n_positional == 0) {
        HN_TRY(hn_cli_open_model(cli, &provider, err));
        st = serve(cli, provider, NULL, NULL, err);
        hn_cli_note_prefix_cache(cli, provider);
        hn_provider_close(provider);
        return st;
    }
    hn_cli_project p;
    HN_TRY(hn_cli_project_open(HN_CLI_STORE, &p, err));
    st = serve_app(cli, &p, err);
    hn_cli_project_close(&p);
    return st;
}

static const hn_option options[] = {
    HN_MODEL_OPTIONS,
    {.name = "name",
     .kind = HN_OPTION_STRING,
     .value = "NAME",
     .help = "the app is /v1/apps/NAME (default: the release's name, or the run's, such as r7)"},
    {.name = "other-path",
     .kind = HN_OPTION_FLAG,
     .help = "also where the numeric path is another than it was measured on"},
    {.name = "host",
     .kind = HN_OPTION_STRING,
     .value = "ADDRESS",
     .otherwise = "127.0.0.1",
     .help = "where to listen; other addresses than this machine's own are refused"},
    {.name = "port",
     .kind = HN_OPTION_INT,
     .value = "N",
     .otherwise = "8080",
     .low = 0,
     .high = 65535,
     .help = "0 takes a free one"},
    {.name = "max-body",
     .kind = HN_OPTION_SIZE,
     .value = "BYTES",
     .otherwise = "16M",
     .help = "largest body of a request"},
    {.name = "max-connections",
     .kind = HN_OPTION_INT,
     .value = "N",
     .otherwise = "4096",
     .low = 1,
     .high = 1e6,
     .help = "open connections; further ones wait"},
    {.name = "max-queue",
     .kind = HN_OPTION_INT,
     .value = "N",
     .otherwise = "256",
     .low = 1,
     .high = 1e6,
     .help = "requests waiting and under way; further ones get 503 with Retry-After"},
    {.name = "timeout",
     .kind = HN_OPTION_REAL,
     .value = "SECONDS",
     .otherwise = "600",
     .low = 0.001,
     .high = 1e6,
     .help = "a request's time until its answer is whole"},
    {.name = "drain",
     .kind = HN_OPTION_REAL,
     .value = "SECONDS",
     .otherwise = "30",
     .low = 0.001,
     .high = 1e6,
     .help = "after SIGTERM: time to answer what was accepted"},
    {0}};

const hn_command hn_cmd_serve = {
    .name = "serve",
    .summary = "answer over HTTP, with the OpenAI API's endpoints",
    .usage = "[RELEASE|RUN] [-m MODEL] [--port N] [OPTIONS]",
    .description =
        "Prints where it listens, then serves until Ctrl-C or SIGTERM; what was accepted by then is answered.\n"
        "With a release (`hone deploy`) or RUN its app answers, too, as it was measured: prompt, examples, calibration "
        "and data are those kept with "
        "the run.\n"
        "docs/serving.md has the endpoints.",
    .options = options,
    .max_args = 1,
    .examples =
        "  hone serve -m smollm2\n  hone serve router\n  hone serve r7 --name router\n  hone serve --port 0 --json",
    .run = run};
