/* A small project for tests; see test_project.h. */
#include "test_project.h"
#include "base/interrupt.h"

#include "base/buf.h"

#include <stdio.h>
#include <string.h>

static const char scope_yaml[] = "goal: Tell fruit apart\n"
                                 "data: {file: cases.csv, input: [text], target: kind, group: owner, id: id}\n"
                                 "split: {train: 0.4, dev: 0.4, test: 0.2, seed: 7, stratify: true}\n"
                                 "output: {choice: [apple, pear, plum]}\n"
                                 "metric: accuracy\n"
                                 "target_value: 0.9\n"
                                 "smallest_difference: 0.05\n";

static void write_file(const char *folder, const char *name, const char *text) {
    char path[HN_PATH_MAX];
    hn_error err;
    hn_test_ok(hn_path_join(path, folder, name, &err), &err);
    hn_test_ok(hn_file_write_atomic(path, text, strlen(text), &err), &err);
}

void hn_test_project_make(hn_test_project *p, const char *folder) {
    static const char *const kinds[] = {"apple", "pear", "plum"};
    hn_buf csv;
    hn_error err;
    char prompts[HN_PATH_MAX];
    hn_buf_init(&csv, 0);
    hn_buf_append_str(&csv, "id,text,kind,owner\n");
    for (int i = 0; i < HN_TEST_CASES; i++)
        hn_buf_appendf(&csv, "c%d,\"case %d: it is round and %s!\",%s,o%d\n", i, i, i % 3 ? kinds[i % 7 % 3] : "ripe",
                       kinds[i % 7 % 3], i / 2);
    hn_test_ok(hn_dir_create(folder, &err), &err);
    write_file(folder, "hone.yaml", scope_yaml);
    write_file(folder, "cases.csv", hn_buf_str(&csv));
    hn_test_ok(hn_path_join(prompts, folder, "prompts", &err), &err);
    hn_test_ok(hn_dir_create(prompts, &err), &err);
    hn_buf_free(&csv);
    hn_test_project_open(p, folder);
}

void hn_test_project_open(hn_test_project *p, const char *folder) {
    hn_error err;
    snprintf(p->folder, sizeof p->folder, "%s", folder);
    hn_test_ok(hn_project_open(folder, &p->project, &err), &err);
    p->scope = hn_project_scope(p->project);
    hn_test_ok(hn_project_dataset(p->project, &p->dataset, &err), &err);
    hn_test_ok(hn_store_open(hn_project_store_dir(p->project), &p->store, &err), &err);
}

void hn_test_project_prompt(hn_test_project *p, const char *name, const char *yaml, hn_prompt **prompt) {
    char file[256], path[HN_PATH_MAX];
    hn_error err;
    snprintf(file, sizeof file, "prompts/%s.yaml", name);
    write_file(p->folder, file, yaml);
    hn_test_ok(hn_path_join(path, p->folder, file, &err), &err);
    hn_test_ok(hn_prompt_load(path, p->scope, p->dataset, prompt, &err), &err);
}

void hn_test_project_close(hn_test_project *p) {
    hn_store_close(p->store);
    hn_project_close(p->project);
    *p = (hn_test_project){0};
}

int hn_test_project_begin(hn_test_project *p, char folder[HN_PATH_MAX]) {
    char inside[HN_PATH_MAX];
    hn_error err;
    hn_test_folder(folder);
    hn_test_ok(hn_path_join(inside, folder, "p", &err), &err);
    hn_test_project_make(p, inside);
    return 0;
}

int hn_test_project_end(hn_test_project *p, const char *folder) {
    hn_interrupt_clear();
    hn_test_project_close(p);
    hn_test_folder_remove(folder);
    return 0;
}
