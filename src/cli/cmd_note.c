/* hone note and hone star: what people say of runs, kept with them. */
#include "base/clock.h"
#include "cli/commands.h"
#include "cli/project_cli.h"

#include <stdio.h>
#include <string.h>

/* "r7", or "project" for what belongs to no run. */
static void owner_of(int64_t run_id, char out[32]) {
    if (run_id)
        snprintf(out, 32, "r%lld", (long long)run_id);
    else
        snprintf(out, 32, "project");
}

static hn_status find_owner(hn_store *store, const char *name, int64_t *run_id, hn_error *err) {
    hn_run *run;
    *run_id = 0;
    if (strcmp(name, "project") == 0) return HN_OK;
    HN_TRY(hn_run_find(store, name, &run, err));
    *run_id = run->id;
    hn_run_free(run);
    return HN_OK;
}

static hn_status notes_json(hn_cli *cli, const hn_note_list *list, hn_error *err) {
    json_t *notes = json_array();
    bool fine = notes != NULL;
    for (size_t i = 0; fine && i < list->n; i++) {
        char owner[32], when[32];
        owner_of(list->rows[i].run_id, owner);
        fine =
            json_array_append_new(notes, json_pack("{s:s, s:s, s:o}", "of", owner, "when",
                                                   hn_clock_format(list->rows[i].at_ms, false, when), "text",
                                                   hn_cli_text(list->rows[i].text, strlen(list->rows[i].text)))) == 0;
    }
    json_t *result = fine ? json_pack("{s:O}", "notes", notes) : NULL;
    json_decref(notes);
    return hn_cli_result(cli, result, err);
}

static hn_status show_notes(hn_cli *cli, hn_store *store, int64_t run_id, hn_error *err) {
    hn_note_list list;
    HN_TRY(hn_note_list_load(store, run_id, &list, err));
    hn_status st = HN_OK;
    if (cli->out->json) st = notes_json(cli, &list, err);
    if (!cli->out->json && list.n == 0)
        hn_output_print(cli->out, "no notes yet: hone note RUN \"what is worth remembering\"\n");
    for (size_t i = 0; !cli->out->json && i < list.n; i++) {
        char owner[32], when[32];
        owner_of(list.rows[i].run_id, owner);
        hn_output_print(cli->out, "%s  %s  %s\n", hn_clock_format(list.rows[i].at_ms, true, when), owner,
                        list.rows[i].text);
    }
    hn_note_list_free(&list);
    return st;
}

static hn_status note(hn_cli *cli, hn_store *store, hn_error *err) {
    int64_t run_id = HN_NOTES_ALL;
    char owner[32];
    if (cli->n_positional > 0) HN_TRY(find_owner(store, cli->positional[0], &run_id, err));
    if (cli->n_positional < 2) return show_notes(cli, store, run_id, err);
    HN_TRY(hn_note_add(store, run_id, cli->positional[1], err));
    owner_of(run_id, owner);
    if (cli->out->json)
        return hn_cli_result(cli, json_pack("{s:s, s:s}", "of", owner, "text", cli->positional[1]), err);
    hn_output_print(cli->out, "noted for %s\n", owner);
    return HN_OK;
}

static hn_status run_note(hn_cli *cli, hn_error *err) {
    hn_cli_project p;
    HN_TRY(hn_cli_project_open(HN_CLI_STORE, &p, err));
    hn_status st = note(cli, p.store, err);
    hn_cli_project_close(&p);
    return st;
}

static hn_status star_all(hn_cli *cli, hn_store *store, hn_error *err) {
    bool starred = !hn_cli_flag(cli, "off");
    json_t *names = json_array();
    hn_status st = names ? HN_OK : hn_fail_memory(err, 0);
    for (int i = 0; st == HN_OK && i < cli->n_positional; i++) {
        hn_run *run;
        char name[32];
        st = hn_run_find(store, cli->positional[i], &run, err);
        if (st != HN_OK) break;
        st = hn_run_star(store, run->id, starred, err);
        snprintf(name, sizeof name, "r%lld", (long long)run->id);
        hn_run_free(run);
        if (st == HN_OK && json_array_append_new(names, json_string(name)) != 0) st = hn_fail_memory(err, 0);
        if (st == HN_OK && !cli->out->json)
            hn_output_print(cli->out, "%s is %s\n", name, starred ? "starred" : "no longer starred");
    }
    if (st == HN_OK && cli->out->json)
        st = hn_cli_result(cli, json_pack("{s:O, s:b}", "runs", names, "starred", starred), err);
    json_decref(names);
    return st;
}

static hn_status run_star(hn_cli *cli, hn_error *err) {
    hn_cli_project p;
    HN_TRY(hn_cli_project_open(HN_CLI_STORE, &p, err));
    hn_status st = star_all(cli, p.store, err);
    hn_cli_project_close(&p);
    return st;
}

const hn_command hn_cmd_note = {
    .name = "note",
    .summary = "write down what a run taught, or read it again",
    .usage = "[RUN|project [TEXT]]",
    .description = "With TEXT: adds a note to the run, or to the project. Without: shows the notes of the run, or all. "
                   "Notes are only "
                   "ever added.",
    .min_args = 0,
    .max_args = 2,
    .examples =
        "  hone note r6 \"nearest examples help where tickets quote each other\"\n  hone note project \"label guide "
        "changed in May\"\n  hone note",
    .run = run_note,
};

static const hn_option star_options[] = {{.name = "off", .kind = HN_OPTION_FLAG, .help = "take the star away"}, {0}};

const hn_command hn_cmd_star = {
    .name = "star",
    .summary = "mark runs that are worth finding again (hone log --starred)",
    .usage = "RUN...",
    .options = star_options,
    .min_args = 1,
    .max_args = -1,
    .examples = "  hone star r6 best\n  hone star r6 --off",
    .run = run_star,
};
