/* Making a project's folder; see init.h. First everything is read and composed, then it is checked that nothing is in the way, then written. */
#include "project/init_parts.h"

#include "base/file.h"
#include "base/str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char ignore_text[] = "# hone's store: runs, predictions, caches\n.hone/\n";

/* A file to be written. */
typedef struct planned_file {
    const char *name; /* relative to the folder */
    const char *bytes;
    size_t n;
    bool may_exist; /* then it stays as it is */
} planned_file;

enum { MAX_FILES = 64 };

typedef struct plan {
    const char *dir;
    planned_file files[MAX_FILES];
    size_t n;
    hn_init_result *r;
    hn_error *err;
} plan;

static hn_status plan_file(plan *p, const char *name, const char *bytes, size_t n, bool may_exist) {
    if (p->n == MAX_FILES)
        return hn_fail(p->err, HN_ERR_LIMIT, p->dir, NULL, "a new project has up to %d files", MAX_FILES);
    p->files[p->n++] = (planned_file){name, bytes, n, may_exist};
    return HN_OK;
}

/* Takes a composed text over into the result's arena as a file of the plan. */
static hn_status plan_text(plan *p, const char *name, hn_buf *text, bool may_exist) {
    hn_status st = hn_buf_check(text, name, p->err);
    char *copy = st == HN_OK ? hn_arena_strndup(p->r->arena, hn_buf_str(text), text->len) : NULL;
    if (st == HN_OK) st = copy ? plan_file(p, name, copy, text->len, may_exist) : hn_fail_memory(p->err, text->len);
    hn_buf_clear(text);
    return st;
}

static hn_status check_free(const plan *p) {
    char path[HN_PATH_MAX];
    for (size_t i = 0; i < p->n; i++) {
        HN_TRY(hn_path_join(path, p->dir, p->files[i].name, p->err));
        if (!p->files[i].may_exist && hn_file_exists(path))
            return hn_fail(p->err, HN_ERR_EXISTS, path, "choose another folder, or move it away: nothing was written",
                           "the file is there already");
    }
    return HN_OK;
}

static hn_status write_all(plan *p) {
    hn_init_result *r = p->r;
    char path[HN_PATH_MAX], folder[HN_PATH_MAX];
    r->files = hn_arena_calloc(r->arena, p->n, sizeof *r->files);
    if (!r->files) return hn_fail_memory(p->err, p->n * sizeof *r->files);
    for (size_t i = 0; i < p->n; i++) {
        const planned_file *f = &p->files[i];
        HN_TRY(hn_path_join(path, p->dir, f->name, p->err));
        if (hn_file_exists(path)) continue; /* may_exist */
        hn_path_dir(path, folder);
        HN_TRY(hn_dir_create(folder, p->err));
        HN_TRY(hn_file_write_atomic(path, f->bytes, f->n, p->err));
        if (!(r->files[r->n_files++] = hn_arena_strdup(r->arena, f->name))) return hn_fail_memory(p->err, 64);
    }
    return HN_OK;
}

/* What was written must open: and the counts are shown to the user. */
static hn_status count_cases(const plan *p) {
    hn_project *project;
    const hn_dataset *d;
    HN_TRY(hn_project_open(p->dir, &project, p->err));
    hn_status st = hn_project_dataset(project, &d, p->err);
    if (st == HN_OK) {
        p->r->n_cases = d->n_cases;
        for (size_t i = 0; i < d->n_cases; i++) p->r->n_split[d->cases[i].split]++;
    }
    hn_project_close(project);
    return st;
}

/* After a refusal: takes away what was written, and folders of ours that are empty then, so that the corrected command finds nothing in the way. */
static void take_back(const plan *p, bool had_folder) {
    char path[HN_PATH_MAX], folder[HN_PATH_MAX];
    hn_error ignored;
    for (size_t i = 0; p->r->files && i < p->r->n_files; i++) {
        if (hn_path_join(path, p->dir, p->r->files[i], &ignored) != HN_OK) continue;
        unlink(path);
        hn_path_dir(path, folder);
        if (strcmp(folder, p->dir) != 0) rmdir(folder); /* refused where something is in it */
    }
    if (!had_folder) rmdir(p->dir);
}

static hn_status finish(plan *p) {
    bool had_folder = hn_file_is_dir(p->dir);
    HN_TRY(check_free(p));
    hn_status st = write_all(p);
    if (st == HN_OK) st = count_cases(p);
    if (st != HN_OK) take_back(p, had_folder);
    return st;
}

static hn_status start(const char *dir, hn_init_result *result, hn_error *err) {
    *result = (hn_init_result){0};
    if (hn_file_exists(dir) && !hn_file_is_dir(dir))
        return hn_fail(err, HN_ERR_EXISTS, dir, "name a folder", "this is a file");
    result->arena = hn_arena_create(0);
    return result->arena ? HN_OK : hn_fail_memory(err, 64);
}

void hn_init_result_free(hn_init_result *result) {
    hn_arena_free(result->arena);
    *result = (hn_init_result){0};
}

/* ---- from data ---- */

/* How hone.yaml names a data file: as it lies below the folder, else as data/NAME, where it is copied to. */
static hn_status place_file(plan *p, const char *path, const char **name) {
    char folder[HN_PATH_MAX], file[HN_PATH_MAX], inside[HN_PATH_MAX];
    *name = NULL;
    if (!path) return HN_OK;
    if (!realpath(path, file)) return hn_fail_errno(p->err, errno, path, "opening");
    size_t n = realpath(p->dir, folder) ? strlen(folder) : 0;
    bool below = n > 1 && strncmp(file, folder, n) == 0 && file[n] == '/';
    snprintf(inside, sizeof inside, "data/%s", hn_path_base(file));
    *name = hn_arena_strdup(p->r->arena, below ? file + n + 1 : inside);
    if (!*name) return hn_fail_memory(p->err, strlen(file));
    if (below) return HN_OK;
    char *bytes;
    size_t size;
    HN_TRY(hn_file_read(path, HN_DATA_TABLE_MAX_BYTES, &bytes, &size, p->err));
    char *copy = hn_arena_strndup(p->r->arena, bytes, size);
    hn_free(bytes);
    return copy ? plan_file(p, *name, copy, size, false) : hn_fail_memory(p->err, size);
}

static hn_status compose(plan *p, const hn_init_options *options) {
    const char *data, *test;
    hn_buf text;
    hn_buf_init(&text, 0);
    HN_TRY(place_file(p, options->data, &data));
    HN_TRY(place_file(p, options->test, &test));
    if (test && strcmp(data, test) == 0)
        return hn_fail(p->err, HN_ERR_INPUT, options->test, "give one of them another name", "both files are called %s",
                       hn_path_base(test));
    hn_init_scope_text(p->r, data, test, &text);
    hn_status st = plan_text(p, "hone.yaml", &text, false);
    for (const hn_init_prompt *prompt = hn_init_prompts; prompt->file && st == HN_OK; prompt++) {
        if (prompt->choice_only && p->r->kind != HN_CONTRACT_CHOICE) continue;
        prompt->write(p->r, &text);
        st = plan_text(p, prompt->file, &text, false);
    }
    hn_buf_free(&text);
    return st == HN_OK ? plan_file(p, ".gitignore", ignore_text, sizeof ignore_text - 1, true) : st;
}

static hn_status load_tables(const hn_init_options *options, hn_data_table *tables[2], size_t *n, hn_error *err) {
    HN_TRY(hn_data_table_load(options->data, options->data, &tables[0], err));
    *n = 1;
    if (!options->test) return HN_OK;
    HN_TRY(hn_data_table_load(options->test, options->test, &tables[1], err));
    *n = 2;
    return HN_OK;
}

hn_status hn_init_from_data(const char *dir, const hn_init_options *options, hn_init_result *result, hn_error *err) {
    HN_TRY(start(dir, result, err));
    plan p = {.dir = dir, .r = result, .err = err};
    hn_data_table *tables[2] = {0};
    size_t n = 0;
    hn_status st = load_tables(options, tables, &n, err);
    if (st == HN_OK) st = hn_init_guess(tables, n, options, result, err);
    for (size_t i = 0; i < 2; i++) hn_data_table_free(tables[i]);
    if (st == HN_OK) st = compose(&p, options);
    if (st == HN_OK) st = finish(&p);
    if (st != HN_OK) hn_init_result_free(result);
    return st;
}

/* ---- the example ---- */

static hn_status plan_example(plan *p, const char *name) {
    if (strcmp(name, "tickets") != 0 || !hn_example_tickets[0].name)
        return hn_fail(p->err, HN_ERR_NOT_FOUND, name, "there is one: `hone init --example tickets`",
                       "no example has this name");
    for (const hn_example_file *f = hn_example_tickets; f->name; f++)
        HN_TRY(plan_file(p, f->name, (const char *)f->bytes, f->n, false));
    return plan_file(p, ".gitignore", ignore_text, sizeof ignore_text - 1, true);
}

static hn_status copy_text(hn_arena *arena, const char *text, char **out, hn_error *err) {
    *out = text ? hn_arena_strdup(arena, text) : NULL;
    return *out || !text ? HN_OK : hn_fail_memory(err, strlen(text));
}

/* The roles as the example's own hone.yaml has them. */
static hn_status describe(const plan *p) {
    hn_init_result *r = p->r;
    hn_project *project;
    HN_TRY(hn_project_open(p->dir, &project, p->err));
    const hn_scope *s = hn_project_scope(project);
    r->kind = s->contract.kind;
    r->inputs = hn_arena_calloc(r->arena, s->n_inputs, sizeof *r->inputs);
    r->labels = hn_arena_calloc(r->arena, s->contract.n_labels, sizeof *r->labels);
    hn_status st = r->inputs && r->labels ? HN_OK : hn_fail_memory(p->err, 64);
    for (size_t i = 0; i < s->n_inputs && st == HN_OK; i++)
        st = copy_text(r->arena, s->input_columns[i], &r->inputs[r->n_inputs++], p->err);
    for (size_t i = 0; i < s->contract.n_labels && st == HN_OK; i++)
        st = copy_text(r->arena, s->contract.labels[i], &r->labels[r->n_labels++], p->err);
    if (st == HN_OK) st = copy_text(r->arena, s->target_column, &r->target, p->err);
    if (st == HN_OK) st = copy_text(r->arena, s->group_column, &r->group, p->err);
    if (st == HN_OK) st = copy_text(r->arena, s->id_column, &r->id, p->err);
    hn_project_close(project);
    return st;
}

hn_status hn_init_example(const char *dir, const char *name, hn_init_result *result, hn_error *err) {
    HN_TRY(start(dir, result, err));
    plan p = {.dir = dir, .r = result, .err = err};
    hn_status st = plan_example(&p, name);
    if (st == HN_OK) st = finish(&p);
    if (st == HN_OK) st = describe(&p);
    if (st != HN_OK) hn_init_result_free(result);
    return st;
}
