/* Which prompts a command means; see eval_prompts.h. */
#include "cli/eval_prompts.h"

#include "base/str.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { PROMPTS_MAX = 1000 };

typedef struct prompt_list {
    hn_cli *cli;
    const hn_cli_project *p;
    const char **paths; /* (n) in the command's arena */
    size_t n;
} prompt_list;

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static hn_status add_path(prompt_list *l, const char *path, hn_error *err) {
    for (size_t i = 0; i < l->n; i++)
        if (hn_file_is_same(l->paths[i], path)) return HN_OK;
    if (l->n == PROMPTS_MAX)
        return hn_fail(err, HN_ERR_LIMIT, path, "name fewer prompts", "more than %d prompts", PROMPTS_MAX);
    l->paths[l->n] = hn_arena_strdup(l->cli->arena, path);
    return l->paths[l->n++] ? HN_OK : hn_fail_memory(err, strlen(path));
}

static hn_status add_folder(prompt_list *l, const char *dir, hn_error *err) {
    DIR *folder = opendir(dir);
    if (!folder)
        return hn_fail(err, HN_ERR_NOT_FOUND, dir, "write a prompt there, or name one: hone eval PROMPT.yaml",
                       "the folder of prompts is not there");
    hn_status st = HN_OK;
    size_t before = l->n;
    for (struct dirent *entry; st == HN_OK && (entry = readdir(folder));) {
        char path[HN_PATH_MAX];
        if (entry->d_name[0] == '.' || (!hn_ends_with(entry->d_name, ".yaml") && !hn_ends_with(entry->d_name, ".yml")))
            continue;
        st = hn_path_join(path, dir, entry->d_name, err);
        if (st == HN_OK) st = add_path(l, path, err);
    }
    closedir(folder);
    if (st == HN_OK && l->n == before)
        st = hn_fail(err, HN_ERR_NOT_FOUND, dir, "write a prompt there", "there is no prompt (NAME.yaml) in it");
    if (st == HN_OK) qsort(l->paths + before, l->n - before, sizeof *l->paths, by_text);
    return st;
}

static hn_status add_named(prompt_list *l, const char *name, hn_error *err) {
    char path[HN_PATH_MAX];
    if (hn_file_is_dir(name)) return add_folder(l, name, err);
    HN_TRY(hn_cli_prompt_path(l->p, name, path, err));
    return add_path(l, path, err);
}

hn_status hn_cli_prompt_list(hn_cli *cli, const hn_cli_project *p, const char *const **paths, size_t *n,
                             hn_error *err) {
    char dir[HN_PATH_MAX];
    prompt_list l = {.cli = cli, .p = p, .paths = hn_arena_calloc(cli->arena, PROMPTS_MAX, sizeof *l.paths)};
    if (!l.paths) return hn_fail_memory(err, PROMPTS_MAX * sizeof *l.paths);
    for (int i = 0; i < cli->n_positional; i++) HN_TRY(add_named(&l, cli->positional[i], err));
    if (l.n == 0) {
        HN_TRY(hn_path_join(dir, hn_project_root(p->project), "prompts", err));
        HN_TRY(add_folder(&l, dir, err));
    }
    *paths = l.paths;
    *n = l.n;
    return HN_OK;
}
