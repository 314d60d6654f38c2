/* hone releases and hone rollback: what is released, and going back to the release before. */
#include "base/clock.h"
#include "cli/commands.h"
#include "cli/project_cli.h"
#include "lifecycle/deploy/release_evidence.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static hn_estimate accuracy_of(const json_t *evidence) {
    const json_t *a = json_object_get(evidence, "accuracy");
    const json_t *value = json_object_get(a, "value"), *low = json_object_get(a, "low"),
                 *high = json_object_get(a, "high");
    hn_estimate e = {.value = (double)NAN, .low = (double)NAN, .high = (double)NAN};
    if (json_is_number(value)) e.value = json_number_value(value);
    if (json_is_number(low)) e.low = json_number_value(low);
    if (json_is_number(high)) e.high = json_number_value(high);
    return e;
}

/* {"release","name","number","run","current","released_ms","content_id","forced","manifest","evidence","verified"} */
static json_t *release_json(const hn_release *r, const json_t *manifest, const json_t *evidence) {
    char name[128], run[32];
    json_t *check = NULL;
    hn_error unused;
    snprintf(name, sizeof name, "%.63s@%lld", r->name, (long long)r->number);
    snprintf(run, sizeof run, "r%lld", (long long)r->run_id);
    if (r->check_json && hn_release_parse(r->check_json, &check, &unused) == HN_OK)
        json_object_set_new(check, "at_ms", json_integer(r->checked_ms));
    return json_pack("{s:s, s:s, s:I, s:s, s:b, s:I, s:s, s:s?, s:O, s:O, s:o?}", "release", name, "name", r->name,
                     "number", (json_int_t)r->number, "run", run, "current", r->current, "released_ms",
                     (json_int_t)r->at_ms, "content_id", r->content_id, "forced", r->forced, "manifest", manifest,
                     "evidence", evidence, "verified", check);
}

static void check_text(const hn_release *r, char out[64]) {
    json_t *check = NULL;
    hn_error unused;
    snprintf(out, 64, "not yet");
    if (!r->check_json || hn_release_parse(r->check_json, &check, &unused) != HN_OK) return;
    snprintf(out, 64, "%s, %lld of %lld equal", r->passed ? "yes" : "FAILED",
             (long long)json_integer_value(json_object_get(check, "n_equal")),
             (long long)json_integer_value(json_object_get(check, "n")));
    json_decref(check);
}

static void print_row(hn_table *t, const hn_release *r, const json_t *manifest, const json_t *evidence) {
    char text[64], time[32];
    const char *model = json_string_value(json_object_get(manifest, "model"));
    const char *prompt = json_string_value(json_object_get(manifest, "prompt"));
    const char *split = json_string_value(json_object_get(evidence, "split"));
    hn_table_row(t);
    if (r->current) hn_table_row_style(t, HN_STYLE_BOLD);
    hn_table_cell(t, "%s@%lld", r->name, (long long)r->number);
    hn_table_cell(t, "%s", r->current ? "current" : "earlier");
    hn_table_cell(t, "r%lld", (long long)r->run_id);
    hn_table_cell(t, "%s", prompt ? prompt : "-");
    hn_table_cell(t, "%s", model ? model : "-");
    hn_table_cell(t, "%s %s", hn_cli_percent(accuracy_of(evidence), text), split ? split : "");
    check_text(r, text);
    hn_table_cell(t, "%s", text);
    hn_table_cell(t, "%s", hn_clock_format(r->at_ms, true, time));
    hn_table_cell(t, "%s", r->forced ? r->forced : "");
}

/* One release as a row or into `list`. */
static hn_status show_one(hn_table *t, json_t *list, const hn_release *r, hn_error *err) {
    json_t *manifest = NULL, *evidence = NULL;
    hn_status st = hn_release_parse(r->manifest_json, &manifest, err);
    if (st == HN_OK) st = hn_release_parse(r->evidence_json, &evidence, err);
    if (st == HN_OK) print_row(t, r, manifest, evidence);
    if (st == HN_OK && json_array_append_new(list, release_json(r, manifest, evidence)) != 0)
        st = hn_fail_memory(err, 0);
    json_decref(manifest);
    json_decref(evidence);
    return st;
}

static hn_status show_list(hn_cli *cli, const hn_release_list *list, hn_error *err) {
    const char *heads[] = {"release", "state", "run", "prompt", "model", "accuracy", "verified", "released", "forced"};
    json_t *rows = json_array();
    hn_table *t = hn_table_create(cli->out);
    hn_status st = rows ? HN_OK : hn_fail_memory(err, 0);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        hn_table_column(t, heads[i], i == 8 ? HN_ALIGN_WRAP : HN_ALIGN_LEFT);
    for (size_t i = 0; st == HN_OK && i < list->n; i++) st = show_one(t, rows, &list->rows[i], err);
    if (st != HN_OK || cli->out->json) {
        hn_table_free(t);
        if (st == HN_OK) return hn_cli_result(cli, json_pack("{s:o}", "releases", rows), err);
        json_decref(rows);
        return st;
    }
    json_decref(rows);
    if (list->n) return hn_table_print(t, err);
    hn_table_free(t);
    hn_output_print(cli->out, "nothing is released yet: `hone deploy RUN --name NAME`\n");
    return HN_OK;
}

static hn_status run_releases(hn_cli *cli, hn_error *err) {
    hn_cli_project p;
    hn_release_list list;
    HN_TRY(hn_cli_project_open(HN_CLI_STORE, &p, err));
    hn_status st = hn_release_load(p.store, cli->n_positional ? cli->positional[0] : NULL, &list, err);
    if (st == HN_OK && cli->n_positional && list.n == 0) {
        hn_release_list_free(&list);
        st = hn_release_find(p.store, cli->positional[0], &list, err); /* NAME@N, or what there is */
    }
    if (st == HN_OK) {
        st = show_list(cli, &list, err);
        hn_release_list_free(&list);
    }
    hn_cli_project_close(&p);
    return st;
}

/* ---- rollback ---- */

/* The release to go back to: NAME@N as it says, NAME the one with the next smaller number. */
static hn_status find_earlier(hn_store *store, const char *name, const hn_release *current, int64_t *id,
                              int64_t *number, hn_error *err) {
    hn_release_list all;
    *id = 0;
    HN_TRY(hn_release_load(store, current->name, &all, err));
    for (size_t i = 0; i < all.n && !*id; i++)
        if (all.rows[i].number < current->number) {
            *id = all.rows[i].id;
            *number = all.rows[i].number;
        }
    hn_release_list_free(&all);
    if (*id) return HN_OK;
    return hn_fail(err, HN_ERR_NOT_FOUND, name, "`hone releases` lists them; NAME@N goes to any of them",
                   "%s@%lld is the first: there is none before it", current->name, (long long)current->number);
}

static hn_status roll_back(hn_cli *cli, hn_store *store, hn_error *err) {
    const char *name = cli->positional[0];
    char from[128], to[128];
    int64_t id, number;
    hn_release_list found, current = {0};
    HN_TRY(hn_release_find(store, name, &found, err));
    hn_status st = hn_release_find(store, found.rows[0].name, &current, err);
    if (st == HN_OK) {
        const hn_release *now = &current.rows[0];
        id = found.rows[0].id;
        number = found.rows[0].number;
        if (!strchr(name, '@')) st = find_earlier(store, name, now, &id, &number, err);
        if (st == HN_OK && id == now->id)
            st = hn_fail(err, HN_ERR_EXISTS, name, NULL, "it is the current release already");
        snprintf(from, sizeof from, "%.63s@%lld", now->name, (long long)now->number);
        if (st == HN_OK) snprintf(to, sizeof to, "%.63s@%lld", now->name, (long long)number);
    }
    if (st == HN_OK) st = hn_release_make_current(store, id, err);
    hn_release_list_free(&current);
    hn_release_list_free(&found);
    HN_TRY(st);
    if (cli->out->json) return hn_cli_result(cli, json_pack("{s:s, s:s}", "current", to, "before", from), err);
    hn_output_print(cli->out, "%s is current again, in place of %s (which is kept)\n", to, from);
    hn_output_print(cli->out, "a server that runs goes on with what it began with: start it anew\n");
    return HN_OK;
}

static hn_status run_rollback(hn_cli *cli, hn_error *err) {
    hn_cli_project p;
    HN_TRY(hn_cli_project_open(HN_CLI_STORE, &p, err));
    hn_status st = roll_back(cli, p.store, err);
    hn_cli_project_close(&p);
    return st;
}

const hn_command hn_cmd_releases = {
    .name = "releases",
    .summary = "what was released under which name, which is current, and whether it was verified",
    .usage = "[NAME]",
    .description = "`hone deploy` adds one, `hone rollback` goes back to an earlier one; none is ever removed.",
    .max_args = 1,
    .examples = "  hone releases\n  hone releases router --json",
    .run = run_releases,
};

const hn_command hn_cmd_rollback = {
    .name = "rollback",
    .summary = "make the release before the current one current again",
    .usage = "NAME[@N]",
    .description = "NAME goes back to the release before, NAME@N to that one. The history is kept: nothing is removed.",
    .min_args = 1,
    .max_args = 1,
    .examples = "  hone rollback router\n  hone rollback router@3",
    .run = run_rollback,
};
