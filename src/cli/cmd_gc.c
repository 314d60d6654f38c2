/* hone gc: frees the room of what nothing refers to. */
#include "base/str.h"
#include "cli/commands.h"
#include "cli/project_cli.h"

static hn_status collect(hn_cli *cli, hn_store *store, hn_error *err) {
    hn_gc_result r;
    char files[32], answers[32];
    hn_gc_options options = {.dry_run = hn_cli_flag(cli, "dry-run"),
                             .min_age_ms = hn_cli_int(cli, "min-age") * 60000,
                             .answers_age_ms = hn_cli_int(cli, "answers-age") * 86400000};
    HN_TRY(hn_store_gc(store, &options, &r, err));
    if (cli->out->json)
        return hn_cli_result(cli,
                             json_pack("{s:b, s:I, s:I, s:I, s:I, s:I}", "dry_run", options.dry_run, "objects",
                                       (json_int_t)r.n_objects, "unfinished", (json_int_t)r.n_unfinished, "file_bytes",
                                       (json_int_t)r.file_bytes, "answers", (json_int_t)r.n_answers, "answer_bytes",
                                       (json_int_t)r.answer_bytes),
                             err);
    const char *verb = options.dry_run ? "would remove" : "removed";
    hn_output_print(cli->out, "%s %llu objects and %llu unfinished files (%s)\n", verb, (unsigned long long)r.n_objects,
                    (unsigned long long)r.n_unfinished, hn_format_bytes(r.file_bytes, files));
    hn_output_print(cli->out, "%s %llu cached answers that no run has (%s)\n", verb, (unsigned long long)r.n_answers,
                    hn_format_bytes(r.answer_bytes, answers));
    return HN_OK;
}

static hn_status run(hn_cli *cli, hn_error *err) {
    hn_cli_project p;
    HN_TRY(hn_cli_project_open(HN_CLI_STORE, &p, err));
    hn_status st = collect(cli, p.store, err);
    hn_cli_project_close(&p);
    return st;
}

static const hn_option options[] = {
    {.name = "dry-run", .kind = HN_OPTION_FLAG, .help = "say what would go, and remove nothing"},
    {.name = "min-age",
     .kind = HN_OPTION_INT,
     .value = "MINUTES",
     .otherwise = "60",
     .low = 0,
     .high = 1e7,
     .help = "files younger than this stay: an evaluation at work may need them"},
    {.name = "answers-age",
     .kind = HN_OPTION_INT,
     .value = "DAYS",
     .otherwise = "7",
     .low = 0,
     .high = 1e5,
     .help = "cached answers younger than this stay"},
    {0}};

const hn_command hn_cmd_gc = {
    .name = "gc",
    .summary = "free the room of objects and cached answers that no run needs",
    .usage = "[--dry-run]",
    .description = "Never removes runs, their answers, prompts and data, notes, tags. Answers of calibration inputs "
                   "and of thinking belong "
                   "to no\ncase; once they are old they go, too, and are computed again where they are needed. Safe "
                   "beside other commands.",
    .options = options,
    .examples = "  hone gc --dry-run\n  hone gc",
    .run = run,
};
