/* A small project on disk for tests: 60 cases of three labels in 30 groups, in train, dev and test, and prompts written by the test.
 *
 *     hn_test_project p;
 *     hn_test_project_make(&p, folder);
 *     hn_test_project_prompt(&p, "v1", "messages: [{user: \"{{ text }}\"}]\nanswer: likelihood\n", &prompt);
 *     hn_test_project_close(&p);
 *
 * Case texts are "case <k>: <words> <label>!" where the label stands for two cases of three. Ownership: close frees all but prompts.
 * Threading: one thread. */
#ifndef HN_TESTS_TEST_PROJECT_H
#define HN_TESTS_TEST_PROJECT_H

#include "support.h"

#include "project/prompt.h"
#include "store/store.h"

enum { HN_TEST_CASES = 60 };

typedef struct hn_test_project {
    char folder[HN_PATH_MAX];
    hn_project *project;
    const hn_scope *scope;
    const hn_dataset *dataset;
    hn_store *store;
} hn_test_project;

void hn_test_project_make(hn_test_project *p, const char *folder);
/* Opens what hn_test_project_make wrote, again. */
void hn_test_project_open(hn_test_project *p, const char *folder);
void hn_test_project_prompt(hn_test_project *p, const char *name, const char *yaml, hn_prompt **prompt);
void hn_test_project_close(hn_test_project *p);
/* A test's set-up and its end: a fresh folder with the project in FOLDER/p; both return 0, as cmocka wants it. */
int hn_test_project_begin(hn_test_project *p, char folder[HN_PATH_MAX]);
int hn_test_project_end(hn_test_project *p, const char *folder);

#endif
