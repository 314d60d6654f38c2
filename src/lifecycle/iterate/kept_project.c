/* Keeping a project's files with a run; see kept_project.h. The layout is the project's own, so that hone.yaml reads as it did; a path that leads out
 * of the project's folder is laid out under "outside/", and hone.yaml says so then. */
#include "lifecycle/iterate/kept_project.h"

#include "base/str.h"
#include "format/yaml.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILES_MAX = 64, OBJECT_BYTES_MAX = 1 << 30 };

/* ---- keeping ---- */

typedef struct keeper {
    hn_store *store;
    const char *root;
    hn_run_file files[FILES_MAX];
    size_t n;
    hn_arena *arena;
    hn_error *err;
} keeper;

static hn_status keep_file(keeper *k, const hn_yaml_node *node, const char *path) {
    char role[256], hash[65], *bytes;
    size_t n;
    hn_error gone;
    if (k->n == FILES_MAX || hn_file_read(path, OBJECT_BYTES_MAX, &bytes, &n, &gone) != HN_OK) return HN_OK;
    hn_status st = hn_object_put(k->store, bytes, n, hash, k->err);
    hn_free(bytes);
    HN_TRY(st);
    hn_yaml_path(node, role, sizeof role);
    hn_run_file *f = &k->files[k->n++];
    *f = (hn_run_file){hn_arena_strdup(k->arena, role), hn_arena_strdup(k->arena, node->text),
                       hn_arena_strdup(k->arena, hash)};
    return f->role && f->path && f->object ? HN_OK : hn_fail_memory(k->err, sizeof role);
}

static hn_status keep_named(keeper *k, const hn_yaml_node *node) {
    char path[HN_PATH_MAX];
    hn_error too_long;
    /* weights are not kept, and under `models:` stand files with keys, which must not be */
    if (node->key && (strcmp(node->key, "model") == 0 || strcmp(node->key, "models") == 0)) return HN_OK;
    for (const hn_yaml_node *child = node->first; child; child = child->next) HN_TRY(keep_named(k, child));
    if (node->kind != HN_YAML_STRING || node->length == 0 || node->length > 1024) return HN_OK;
    if (strchr(node->text, '\n') || hn_path_join(path, k->root, node->text, &too_long) != HN_OK) return HN_OK;
    int64_t size = hn_file_is_dir(path) ? -1 : hn_file_size(path);
    return size >= 0 && size <= OBJECT_BYTES_MAX ? keep_file(k, node, path) : HN_OK;
}

hn_status hn_kept_put(hn_store *store, int64_t run_id, const hn_scope *scope, hn_error *err) {
    char root[HN_PATH_MAX];
    hn_yaml *doc;
    hn_path_dir(scope->config_path, root);
    HN_TRY(hn_yaml_load(scope->config_path, &doc, err));
    keeper k = {.store = store, .root = root, .arena = hn_arena_create(0), .err = err};
    hn_status st = k.arena ? keep_named(&k, hn_yaml_root(doc)) : hn_fail_memory(err, 0);
    if (st == HN_OK) st = hn_run_file_add(store, run_id, k.files, k.n, err);
    hn_arena_free(k.arena);
    hn_yaml_free(doc);
    return st;
}

/* ---- laying out ---- */

static bool is_inside(const char *path) {
    if (path[0] == '/') return false;
    for (const char *part = path; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == 0)) return false;
    return true;
}

static hn_status write_object(hn_store *store, const char *object, const char *folder, const char *name,
                              hn_error *err) {
    char path[HN_PATH_MAX], dir[HN_PATH_MAX], *bytes;
    size_t n;
    HN_TRY(hn_path_join(path, folder, name, err));
    hn_path_dir(path, dir);
    HN_TRY(hn_dir_create(dir, err));
    HN_TRY(hn_object_get(store, object, &bytes, &n, err));
    hn_status st = hn_file_write_atomic(path, bytes, n, err);
    hn_free(bytes);
    return st;
}

/* Writes the kept files; what lies outside is renamed in `config`, the text of hone.yaml. */
static hn_status write_files(hn_store *store, const hn_run_files *files, const char *folder, hn_buf *config,
                             hn_error *err) {
    for (size_t i = 0; i < files->n; i++) {
        const hn_run_file *f = &files->rows[i];
        char name[HN_PATH_MAX];
        if (is_inside(f->path)) {
            HN_TRY(write_object(store, f->object, folder, f->path, err));
            continue;
        }
        snprintf(name, sizeof name, "outside/%zu-%.255s", i, hn_path_base(f->path));
        HN_TRY(write_object(store, f->object, folder, name, err));
        const char *at = strstr(hn_buf_str(config), f->path);
        if (!at) continue; /* written with escapes: reading the project will say what it misses */
        hn_buf renamed;
        hn_buf_init(&renamed, 0);
        hn_buf_append(&renamed, config->data, (size_t)(at - config->data));
        hn_buf_append_str(&renamed, name);
        hn_buf_append_str(&renamed, at + strlen(f->path));
        hn_buf_free(config);
        *config = renamed;
        HN_TRY(hn_buf_check(config, "hone.yaml", err));
    }
    return HN_OK;
}

static hn_status lay_out(hn_store *store, const hn_run *run, const hn_run_files *files, hn_kept_project *kept,
                         hn_error *err) {
    char *text, path[HN_PATH_MAX], name[300];
    size_t n;
    hn_buf config;
    HN_TRY(hn_object_get(store, run->spec.scope_object, &text, &n, err));
    hn_buf_init(&config, 0);
    hn_buf_append(&config, text, n);
    hn_free(text);
    hn_status st = hn_buf_check(&config, "hone.yaml", err);
    if (st == HN_OK) st = write_files(store, files, kept->folder, &config, err);
    if (st == HN_OK) st = hn_path_join(path, kept->folder, "hone.yaml", err);
    if (st == HN_OK) st = hn_file_write_atomic(path, hn_buf_str(&config), config.len, err);
    hn_buf_free(&config);
    HN_TRY(st);
    const char *prompt = run->spec.prompt_name;
    if (!run->spec.prompt_object || !*run->spec.prompt_object || !prompt || !*prompt || strchr(prompt, '/'))
        return HN_OK;
    snprintf(name, sizeof name, "prompts/%.200s.yaml", prompt);
    HN_TRY(hn_path_join(kept->prompt_path, kept->folder, name, err));
    return write_object(store, run->spec.prompt_object, kept->folder, name, err);
}

static hn_status make_folder(hn_kept_project *kept, hn_error *err) {
    const char *tmp = getenv("TMPDIR");
    HN_TRY(hn_path_join(kept->folder, tmp && *tmp ? tmp : "/tmp", "hone-kept-XXXXXX", err));
    if (mkdtemp(kept->folder)) return HN_OK;
    int why = errno;
    hn_status st = hn_fail_errno(err, why, kept->folder, "making a folder");
    kept->folder[0] = 0;
    return st;
}

hn_status hn_kept_open(hn_store *store, const hn_run *run, hn_kept_project *kept, hn_error *err) {
    hn_run_files files;
    *kept = (hn_kept_project){0};
    HN_TRY(hn_run_files_load(store, run->id, &files, err));
    bool there = files.n > 0 && run->spec.scope_object && *run->spec.scope_object;
    hn_status st = there ? make_folder(kept, err)
                         : hn_fail(err, HN_ERR_NOT_FOUND, "run", "evaluate the prompt again to have them kept",
                                   "r%lld was made before the files of a run were kept", (long long)run->id);
    if (st == HN_OK) st = lay_out(store, run, &files, kept, err);
    if (st == HN_OK) st = hn_project_open(kept->folder, &kept->project, err);
    hn_run_files_free(&files);
    if (st != HN_OK) hn_kept_close(kept);
    return st;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *at) {
    (void)info, (void)kind, (void)at;
    return remove(path);
}

void hn_kept_close(hn_kept_project *kept) {
    hn_project_close(kept->project);
    if (kept->folder[0]) (void)nftw(kept->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    *kept = (hn_kept_project){0};
}

hn_status hn_kept_dataset(hn_store *store, const hn_run *run, const hn_dataset *today, const char *today_scope_hash,
                          hn_kept_project *kept, const hn_dataset **dataset, hn_error *err) {
    const hn_run_spec *s = &run->spec;
    hn_error why;
    *kept = (hn_kept_project){0};
    *dataset = NULL;
    if (today && s->dataset_hash && strcmp(today->hash, s->dataset_hash) == 0 && s->scope_hash &&
        strcmp(today_scope_hash, s->scope_hash) == 0) {
        *dataset = today;
        return HN_OK;
    }
    hn_status st = hn_kept_open(store, run, kept, &why);
    if (st == HN_OK) st = hn_project_dataset(kept->project, dataset, &why);
    if (st == HN_OK) return HN_OK;
    hn_kept_close(kept);
    *dataset = NULL;
    if (st == HN_ERR_MEMORY || st == HN_ERR_DISK_FULL || st == HN_ERR_INTERRUPTED) {
        if (err) *err = why;
        return st;
    }
    return HN_OK;
}
