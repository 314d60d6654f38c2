/* hone pull: brings a model into the model cache. */
#include "base/str.h"
#include "cli/commands.h"
#include "model/fetch.h"

#include <string.h>

typedef struct view {
    hn_cli *cli;
    hn_progress progress;
    char what[96];
} view;

static void on_progress(void *user, const char *what, uint64_t done, uint64_t total, uint64_t resumed) {
    view *v = user;
    if (strncmp(v->what, what, sizeof v->what - 1) != 0) {
        hn_progress_end(&v->progress);
        snprintf(v->what, sizeof v->what, "%s", what);
        hn_progress_begin(&v->progress, v->cli->out, what, total, HN_PROGRESS_BYTES, "");
        hn_progress_base(&v->progress, resumed);
    }
    hn_progress_rename(&v->progress, what, total);
    hn_progress_update(&v->progress, done);
}

static void on_note(void *user, const char *text) {
    view *v = user;
    hn_progress_end(&v->progress);
    if (!v->cli->out->json) hn_output_note(v->cli->out, "%s", text);
}

static hn_status fetch(hn_cli *cli, const char *name, const char *sha256, const hn_fetch_events *events,
                       char path[HN_PATH_MAX], hn_error *err) {
    const hn_catalogue_entry *entry = hn_catalogue_find(name);
    if (entry && sha256 && strcmp(entry->sha256, sha256) != 0)
        return hn_cli_usage(cli, err, "--sha256 is for a path or an address; the hash of %s is in the catalogue", name);
    if (entry) return hn_model_fetch(entry, events, path, err);
    if (strstr(name, "://")) {
        if (!sha256)
            return hn_cli_usage(cli, err,
                                "an address needs --sha256 HEX, so that the file is known to be the right one");
        return hn_model_fetch_url(name, sha256, events, path, err);
    }
    if (hn_file_exists(name)) return hn_model_fetch_file(name, sha256, events, path, err);
    return hn_model_resolve(name, path, err); /* in the cache already, or an error that names what is near */
}

static hn_status run(hn_cli *cli, hn_error *err) {
    char path[HN_PATH_MAX], size[32];
    view v = {.cli = cli};
    hn_fetch_events events = {.on_progress = on_progress, .on_note = on_note, .user = &v};
    hn_status st = fetch(cli, cli->positional[0], hn_cli_string(cli, "sha256"), &events, path, err);
    hn_progress_end(&v.progress);
    if (st != HN_OK) return st;
    int64_t bytes = hn_file_size(path);
    if (cli->out->json)
        return hn_cli_result(
            cli, json_pack("{s:o,s:I}", "path", hn_cli_text(path, strlen(path)), "bytes", (json_int_t)bytes), err);
    hn_output_print(cli->out, "%s (%s)\n", path, hn_format_bytes((uint64_t)(bytes > 0 ? bytes : 0), size));
    return HN_OK;
}

static const hn_option options[] = {{.name = "sha256",
                                     .kind = HN_OPTION_STRING,
                                     .value = "HEX",
                                     .help = "the file's SHA-256; needed for an address, checked for a path"},
                                    {0}};

const hn_command hn_cmd_pull = {
    .name = "pull",
    .summary = "fetch a model into the model cache",
    .usage = "NAME | PATH | URL [--sha256 HEX]",
    .description = "The file goes to HONE_MODELS, else to the XDG cache folder, and appears there only when it is "
                   "whole and its hash is right.\n"
                   "An interrupted download goes on where it stopped when the same command runs again.",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .examples = "  hone pull smollm2\n  hone pull ~/Downloads/model.gguf\n  hone pull https://example.org/model.gguf "
                "--sha256 b179c952...",
    .run = run};
