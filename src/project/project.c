/* The project's folder: finding it, its scope, its data; see project.h. Paths in messages are shown as seen from the current folder. */
#include "project/project.h"

#include "base/file.h"
#include "base/str.h"
#include "project/excluded.h"
#include "project/scope.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct hn_project {
    hn_arena *arena;
    char root[HN_PATH_MAX], store_dir[HN_PATH_MAX];
    hn_yaml *doc;
    hn_scope scope;
    char scope_hash[65];
    hn_dataset *dataset; /* NULL until first asked for */
    bool ignore_excluded;
    size_t n_excluded;
};

enum { MAX_TABLES = 3 };

/* The files of a dataset while it is loaded. */
typedef struct loading {
    hn_data_table *tables[MAX_TABLES];
    hn_dataset_source sources[MAX_TABLES];
    size_t n;
} loading;

/* An absolute path as seen from the current folder, where it lies below it. */
static const char *shown_path(const char *path) {
    char cwd[HN_PATH_MAX];
    if (!getcwd(cwd, sizeof cwd)) return path;
    size_t n = strlen(cwd);
    return n > 1 && strncmp(path, cwd, n) == 0 && path[n] == '/' ? path + n + 1 : path;
}

/* `dir` or the nearest folder above it with a hone.yaml, as an absolute path into `root`. */
static hn_status find_root(const char *dir, char root[HN_PATH_MAX], hn_error *err) {
    char path[HN_PATH_MAX];
    if (!realpath(dir, root)) return hn_fail_errno(err, errno, dir, "opening the folder");
    if (strlen(root) >= HN_PATH_MAX - 16) return hn_fail(err, HN_ERR_LIMIT, dir, NULL, "the path is too long");
    for (;;) {
        HN_TRY(hn_path_join(path, root, "hone.yaml", err));
        if (hn_file_exists(path)) return HN_OK;
        if (strcmp(root, "/") == 0) break;
        char *slash = strrchr(root, '/');
        slash[slash == root] = 0; /* the folder above; "/" stays */
    }
    return hn_fail(err, HN_ERR_NOT_FOUND, dir,
                   "make a project: `hone init --data FILE.csv`, or `hone init --example tickets` to look at one",
                   "there is no hone.yaml here or in a folder above");
}

static hn_status load_scope(hn_project *p, hn_error *err) {
    char path[HN_PATH_MAX];
    HN_TRY(hn_path_join(path, p->root, "hone.yaml", err));
    HN_TRY(hn_path_join(p->store_dir, p->root, ".hone", err));
    HN_TRY(hn_yaml_load(shown_path(path), &p->doc, err));
    HN_TRY(hn_scope_parse(p->doc, p->root, p->arena, &p->scope, err));
    return hn_scope_hash(&p->scope, p->scope_hash, err);
}

hn_status hn_project_open(const char *dir, hn_project **project, hn_error *err) {
    *project = NULL;
    hn_project *p = hn_calloc(1, sizeof *p);
    if (!p) return hn_fail_memory(err, sizeof *p);
    hn_status st = find_root(dir, p->root, err);
    if (st == HN_OK && !(p->arena = hn_arena_create(0))) st = hn_fail_memory(err, 64);
    if (st == HN_OK) st = load_scope(p, err);
    if (st == HN_OK)
        *project = p;
    else
        hn_project_close(p);
    return st;
}

void hn_project_close(hn_project *project) {
    if (!project) return;
    hn_dataset_free(project->dataset);
    hn_yaml_free(project->doc);
    hn_contract_free(&project->scope.contract);
    hn_grader_configs_free(project->scope.graders, project->scope.n_graders);
    hn_remote_models_free(project->scope.models, project->scope.n_models);
    hn_arena_free(project->arena);
    hn_free(project);
}

const char *hn_project_root(const hn_project *project) { return project->root; }
const char *hn_project_store_dir(const hn_project *project) { return project->store_dir; }
const hn_scope *hn_project_scope(const hn_project *project) { return &project->scope; }
const char *hn_project_scope_hash(const hn_project *project) { return project->scope_hash; }

/* ---- data ---- */

/* A column that hone.yaml names must be in the file: the place of the mistake is hone.yaml's, not the file's. */
static hn_status check_column(const hn_yaml_node *node, const hn_data_table *t, const char *name, hn_error *err) {
    char hint[384], path[100];
    if (!node || hn_data_table_column(t, name) >= 0) return HN_OK;
    hn_data_table_suggest(t, name, hint, sizeof hint);
    hn_yaml_path(node, path, sizeof path);
    return hn_yaml_fail(node, HN_ERR_INPUT, hint, err, "`%s`: %s has no column `%s`", path, t->name, name);
}

static hn_status check_columns(const hn_project *p, const hn_data_table *t, hn_error *err) {
    const hn_scope *s = &p->scope;
    const hn_yaml_node *data = hn_yaml_find(hn_yaml_root(p->doc), "data"), *input = hn_yaml_find(data, "input");
    const hn_yaml_node *item = input && input->kind == HN_YAML_LIST ? input->first : input;
    for (size_t i = 0; i < s->n_inputs; i++, item = item->next) HN_TRY(check_column(item, t, s->input_columns[i], err));
    HN_TRY(check_column(hn_yaml_find(data, "target"), t, s->target_column, err));
    HN_TRY(check_column(hn_yaml_find(data, "group"), t, s->group_column, err));
    HN_TRY(check_column(hn_yaml_find(data, "context"), t, s->context_column, err));
    return check_column(hn_yaml_find(data, "id"), t, s->id_column, err);
}

static hn_status load_file(const hn_project *p, loading *l, const char *path, hn_split split, hn_error *err) {
    if (!path) return HN_OK;
    hn_data_table **table = &l->tables[l->n];
    HN_TRY(hn_data_table_load(path, shown_path(path), table, err));
    l->sources[l->n++] = (hn_dataset_source){*table, split};
    return check_columns(p, *table, err);
}

static hn_status load_files(const hn_project *p, loading *l, hn_error *err) {
    const hn_scope *s = &p->scope;
    HN_TRY(load_file(p, l, s->file, HN_SPLIT_COUNT, err));
    HN_TRY(load_file(p, l, s->train_file, HN_SPLIT_TRAIN, err));
    HN_TRY(load_file(p, l, s->dev_file, HN_SPLIT_DEV, err));
    return load_file(p, l, s->test_file, HN_SPLIT_TEST, err);
}

static hn_status make_dataset(const hn_project *p, const loading *l, hn_dataset **dataset, hn_error *err) {
    const hn_scope *s = &p->scope;
    hn_columns columns = {(const char *const *)s->input_columns, s->n_inputs, s->target_column, s->group_column,
                          s->id_column};
    HN_TRY(hn_dataset_build(l->sources, l->n, &columns, dataset, err));
    HN_TRY(hn_scope_check_targets(s, p->doc, *dataset, err));
    if (!s->file) return HN_OK;
    HN_TRY(hn_dataset_split(*dataset, s->split_train, s->split_dev, s->split_test, s->split_seed, s->stratify, err));
    for (size_t i = 0; i < (*dataset)->n_cases; i++)
        if ((*dataset)->cases[i].split == HN_SPLIT_DEV) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, s->config_path,
                   s->group_column ? "add cases, or take out `group`: cases of one group stay in one split"
                                   : "add cases, or give dev a larger share in `split`",
                   "%zu cases are too few: no case is in the dev split", (*dataset)->n_cases);
}

hn_status hn_project_dataset(hn_project *project, const hn_dataset **dataset, hn_error *err) {
    *dataset = project->dataset;
    if (project->dataset) return HN_OK;
    loading l = {.n = 0};
    hn_dataset *made = NULL;
    hn_status st = load_files(project, &l, err);
    if (st == HN_OK) st = make_dataset(project, &l, &made, err);
    if (st == HN_OK && !project->ignore_excluded)
        st = hn_excluded_apply(project->root, made, &project->n_excluded, err);
    for (size_t i = 0; i < l.n; i++) hn_data_table_free(l.tables[i]);
    if (st != HN_OK) {
        hn_dataset_free(made);
        return st;
    }
    *dataset = project->dataset = made;
    return HN_OK;
}

size_t hn_project_n_excluded(const hn_project *project) { return project->n_excluded; }
void hn_project_ignore_excluded(hn_project *project) { project->ignore_excluded = true; }
