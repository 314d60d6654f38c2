/* The data audit on the command line; see scope_audit.h. */
#include "cli/scope_audit.h"

#include "base/str.h"
#include "format/csv.h"
#include "lifecycle/scope/audit_room.h"
#include "model/catalogue.h"
#include "model/context_length.h"
#include "project/excluded.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_SHOWN = 4, PROMPTS_MAX = 200 };

/* ---- running ---- */

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* The files under prompts/; none where there is no such folder. */
static hn_status find_prompts(hn_cli *cli, const hn_cli_project *p, const char **paths, size_t *n, hn_error *err) {
    char dir[HN_PATH_MAX], path[HN_PATH_MAX];
    *n = 0;
    HN_TRY(hn_path_join(dir, hn_project_root(p->project), "prompts", err));
    DIR *folder = opendir(dir);
    if (!folder) return HN_OK;
    hn_status st = HN_OK;
    for (struct dirent *entry; st == HN_OK && *n < PROMPTS_MAX && (entry = readdir(folder));) {
        if (entry->d_name[0] == '.' || !hn_ends_with(entry->d_name, ".yaml")) continue;
        st = hn_path_join(path, dir, entry->d_name, err);
        if (st == HN_OK && !(paths[*n] = hn_arena_strdup(cli->arena, path))) st = hn_fail_memory(err, strlen(path));
        *n += st == HN_OK;
    }
    closedir(folder);
    if (*n) qsort(paths, *n, sizeof *paths, by_text);
    return st;
}

/* Lengths in tokens only where the model is here already: the scope must work without one. */
static hn_status measure_room(hn_cli *cli, const hn_cli_project *p, hn_audit_room *room, hn_error *err) {
    char path[HN_PATH_MAX];
    hn_model *model;
    hn_error unused;
    const char *prompts[PROMPTS_MAX];
    size_t n;
    *room = (hn_audit_room){0};
    if (!p->scope->model || hn_model_resolve(p->scope->model, path, &unused) != HN_OK) return HN_OK;
    if (hn_model_open(path, HN_MODEL_VOCAB_ONLY, &model, &unused) != HN_OK) return HN_OK;
    hn_status st = find_prompts(cli, p, prompts, &n, err);
    if (st == HN_OK && hn_model_tokenizer(model))
        st = hn_audit_room_make(p->scope, p->dataset, model, hn_model_context_of(path), prompts, n, room, err);
    hn_model_close(model);
    return st;
}

hn_status hn_cli_audit_run(hn_cli *cli, const hn_cli_project *p, hn_audit *audit, hn_error *err) {
    hn_audit_room room;
    *audit = (hn_audit){0};
    HN_TRY(measure_room(cli, p, &room, err));
    hn_audit_setup setup = {.scope = p->scope,
                            .dataset = p->dataset,
                            .store = p->store,
                            .tokens = room.tokens,
                            .context = room.context,
                            .prompts = room.prompts,
                            .n_prompts = room.n_prompts,
                            .quick = hn_cli_flag(cli, "no-label-check")};
    hn_status st = hn_audit_run(&setup, audit, err);
    hn_audit_room_free(&room);
    return st;
}

/* ---- showing ---- */

static void print_finding(hn_cli *cli, const hn_audit_finding *f) {
    static const char *const levels[] = {"stop", "warning", "note"};
    static const hn_style styles[] = {HN_STYLE_BAD, HN_STYLE_WARN, HN_STYLE_DIM};
    char n[32], of[32];
    hn_output_print(cli->out, "%s%s%s: %s of %s (%.1f %%): %s\n", hn_output_style(cli->out, styles[f->level]),
                    levels[f->level], hn_output_style(cli->out, HN_STYLE_NONE), hn_format_count((int64_t)f->n, n),
                    hn_format_count((int64_t)f->of, of), f->of ? 100.0 * (double)f->n / (double)f->of : 0.0, f->title);
    for (size_t i = 0; i < f->n_rows && i < ROWS_SHOWN; i++) {
        const hn_audit_row *r = &f->rows[i];
        if (r->c)
            hn_output_print(cli->out, "    %s:%d: %s\n", r->c->file, r->c->line, r->what);
        else
            hn_output_print(cli->out, "    %s\n", r->what);
    }
    if (f->n > ROWS_SHOWN) hn_output_print(cli->out, "    ... %zu more: hone scope --json\n", f->n - ROWS_SHOWN);
    hn_output_print(cli->out, "  why: %s\n  do:  %s\n", f->why, f->fix);
}

void hn_cli_audit_print(hn_cli *cli, const hn_cli_project *p, const hn_audit *audit) {
    char n[32], took[32];
    size_t n_excluded = hn_project_n_excluded(p->project);
    if (n_excluded)
        hn_output_print(cli->out, "\n%s leaves out %zu case%s.\n", HN_EXCLUDED_FILE, n_excluded,
                        n_excluded == 1 ? "" : "s");
    hn_output_print(cli->out, "\nData audit of %s cases (%s):", hn_format_count((int64_t)audit->n_cases, n),
                    hn_format_duration(audit->seconds, took));
    hn_output_print(cli->out, audit->n ? "\n" : " nothing to complain of.\n");
    for (size_t i = 0; i < audit->n; i++) print_finding(cli, &audit->findings[i]);
    for (size_t i = 0; i < audit->n_limits; i++) hn_output_print(cli->out, "not checked: %s\n", audit->limits[i]);
}

hn_status hn_cli_audit_add_json(const hn_cli_project *p, const hn_audit *audit, json_t *report, hn_error *err) {
    json_t *value;
    const hn_audit_finding *repeats = hn_audit_find(audit, HN_AUDIT_DUPLICATE);
    HN_TRY(hn_audit_json(audit, &value, err));
    json_t *fields = json_pack("{s:I, s:I, s:I, s:o}", "excluded", (json_int_t)hn_project_n_excluded(p->project),
                               "leaks_across_splits", (json_int_t)audit->leaks.n, "repeats",
                               (json_int_t)(repeats ? repeats->n : 0), "audit", value);
    bool fine = fields && json_object_update(report, fields) == 0;
    json_decref(fields);
    return fine ? HN_OK : hn_fail_memory(err, 0);
}

/* ---- the remedy ---- */

typedef struct remedy {
    const hn_dataset *d;
    unsigned char *left_out; /* (n_cases) 1: listed by hand; 2: because it leaks */
    const char **reasons;    /* (n_cases) of those listed by hand */
    hn_leak *why;
    size_t n_by_hand, n_leaks, n_of_split[HN_SPLIT_COUNT];
} remedy;

/* What somebody listed by hand (its reason is no leak) stays; what is no longer in the data goes. */
static hn_status take_by_hand(hn_cli *cli, const char *path, remedy *r, hn_error *err) {
    hn_data_table *t;
    if (!hn_file_exists(path)) return HN_OK;
    HN_TRY(hn_data_table_load(path, HN_EXCLUDED_FILE, &t, err));
    int id = hn_data_table_column(t, "id"), reason = hn_data_table_column(t, "reason");
    hn_status st = HN_OK;
    for (size_t i = 0; i < t->n_rows && id >= 0 && st == HN_OK; i++) {
        const char *why = reason >= 0 && t->rows[i].cells[reason] ? t->rows[i].cells[reason] : "";
        const hn_case *c =
            hn_starts_with(why, "leak") || !t->rows[i].cells[id] ? NULL : hn_dataset_find(r->d, t->rows[i].cells[id]);
        if (!c) continue;
        r->left_out[c - r->d->cases] = 1;
        r->reasons[c - r->d->cases] = hn_arena_strdup(cli->arena, why);
        if (!r->reasons[c - r->d->cases]) st = hn_fail_memory(err, strlen(why));
        r->n_by_hand++;
    }
    hn_data_table_free(t);
    return st;
}

static void append_row(const remedy *r, size_t i, hn_buf *out) {
    static const char *const reasons[] = {"leak_exact", "leak_near", "leak_group"};
    const hn_case *c = &r->d->cases[i], *copy = r->why[i].c ? r->why[i].other : NULL;
    char own[400], other[400] = "";
    snprintf(own, sizeof own, "%.360s:%d (%s)", c->file, c->line, hn_split_name(c->split));
    if (copy) snprintf(other, sizeof other, "%.360s:%d (%s)", copy->file, copy->line, hn_split_name(copy->split));
    const char *const cells[] = {c->id,
                                 r->left_out[i] == 1 ? r->reasons[i]
                                 : copy              ? reasons[r->why[i].kind]
                                                     : "leak_exact",
                                 own, other};
    for (int k = 0; k < 4; k++) { /* lines end as in a file that people keep in Git */
        if (k) hn_buf_append_char(out, ',');
        hn_csv_append_cell(out, cells[k], ',');
    }
    hn_buf_append_char(out, '\n');
}

static hn_status write_list(const remedy *r, const char *path, hn_error *err) {
    hn_buf out;
    if (r->n_by_hand + r->n_leaks == 0) {
        if (hn_file_exists(path) && remove(path) != 0)
            return hn_fail(err, HN_ERR_IO, path, "delete it", "it lists nothing and cannot be deleted");
        return HN_OK;
    }
    hn_buf_init(&out, 0);
    hn_buf_append_str(&out, "id,reason,case,copy\n");
    for (size_t i = 0; i < r->d->n_cases; i++)
        if (r->left_out[i]) append_row(r, i, &out);
    hn_status st = hn_buf_check(&out, HN_EXCLUDED_FILE, err);
    if (st == HN_OK) st = hn_file_write_atomic(path, out.data, out.len, err);
    hn_buf_free(&out);
    return st;
}

static hn_status find_remedy(hn_cli *cli, const char *path, remedy *r, hn_error *err) {
    size_t n = r->d->n_cases;
    r->left_out = hn_arena_calloc(cli->arena, n + 1, 1);
    r->reasons = hn_arena_calloc(cli->arena, n + 1, sizeof *r->reasons);
    r->why = hn_arena_calloc(cli->arena, n + 1, sizeof *r->why);
    if (!r->left_out || !r->reasons || !r->why) return hn_fail_memory(err, n * sizeof *r->why);
    HN_TRY(take_by_hand(cli, path, r, err));
    HN_TRY(hn_leaks_fix(r->d, r->left_out, r->why, &r->n_leaks, err));
    for (size_t i = 0; i < n; i++) {
        if (!r->left_out[i] || r->reasons[i]) continue;
        r->left_out[i] = 2;
        r->n_of_split[r->d->cases[i].split]++;
    }
    return HN_OK;
}

static void print_remedy(hn_cli *cli, const remedy *r) {
    size_t shown = 0;
    if (r->n_leaks == 0) {
        hn_output_print(cli->out, "Nothing leaks: there is nothing to leave out.\n\n");
        return;
    }
    hn_output_print(cli->out, "%s leaves out %zu case%s from now on (%zu of train, %zu of dev)", HN_EXCLUDED_FILE,
                    r->n_leaks, r->n_leaks == 1 ? "" : "s", r->n_of_split[HN_SPLIT_TRAIN], r->n_of_split[HN_SPLIT_DEV]);
    if (r->n_by_hand) hn_output_print(cli->out, ", and %zu that somebody listed there", r->n_by_hand);
    hn_output_print(cli->out, ":\n");
    for (size_t i = 0; i < r->d->n_cases && shown < ROWS_SHOWN; i++) {
        const hn_case *c = &r->d->cases[i];
        if (r->left_out[i] != 2) continue;
        shown++;
        hn_output_print(cli->out, "    %s:%d (%s)", c->file, c->line, hn_split_name(c->split));
        if (r->why[i].c)
            hn_output_print(cli->out, ", as in %s:%d (%s)", r->why[i].other->file, r->why[i].other->line,
                            hn_split_name(r->why[i].other->split));
        hn_output_print(cli->out, "\n");
    }
    if (r->n_leaks > shown) hn_output_print(cli->out, "    ... %zu more in %s\n", r->n_leaks - shown, HN_EXCLUDED_FILE);
    hn_output_print(cli->out,
                    "The data files are as they were, and no other case changed its split. To undo it: delete %s.\n\n",
                    HN_EXCLUDED_FILE);
}

hn_status hn_cli_audit_fix(hn_cli *cli, hn_error *err) {
    char path[HN_PATH_MAX];
    hn_cli_project p;
    remedy r = {0};
    HN_TRY(hn_cli_project_open(0, &p, err));
    hn_project_ignore_excluded(p.project);
    hn_status st = hn_project_dataset(p.project, &r.d, err);
    if (st == HN_OK) st = hn_path_join(path, hn_project_root(p.project), HN_EXCLUDED_FILE, err);
    if (st == HN_OK) st = find_remedy(cli, path, &r, err);
    if (st == HN_OK) st = write_list(&r, path, err);
    if (st == HN_OK) print_remedy(cli, &r);
    hn_cli_project_close(&p);
    return st;
}

hn_status hn_cli_leaks_check(hn_cli *cli, const hn_cli_project *p, bool allowed, size_t *n_leaks, hn_error *err) {
    hn_error said = {0};
    hn_status st = hn_leaks_check(p->dataset, p->store, n_leaks, &said);
    if (st == HN_OK && *n_leaks == 0) return HN_OK;
    if (st == HN_OK && allowed) {
        hn_output_note(cli->out, "leakage allowed: %s", said.message);
        return HN_OK;
    }
    if (err) *err = said;
    return st == HN_OK ? HN_ERR_INPUT : st;
}
