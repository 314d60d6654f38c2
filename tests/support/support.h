/* What tests share: where the shared reference data and the real model are, and cmocka's includes in their required order.
 *
 *     char path[HN_PATH_MAX];
 *     if (!hn_test_shared("goldens/tiny/llama/model.gguf", path)) skip();
 *
 * Threading: one thread. */
#ifndef HN_TESTS_SUPPORT_H
#define HN_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"

/* The path of a file under ../shared (HONE_SHARED overrides the folder). False, with a message on stderr, where it is absent. */
bool hn_test_shared(const char *name, char path[HN_PATH_MAX]);
/* The SmolLM2 Q4_1 file: $HONE_TEST_MODEL, else in the model cache. False, with a message on stderr, where it is absent. */
bool hn_test_model(char path[HN_PATH_MAX]);
/* A fresh empty folder under the temporary folder, and its removal with all in it. */
void hn_test_folder(char path[HN_PATH_MAX]);
void hn_test_folder_remove(const char *path);
/* The same, with the process standing in the folder; 0, as a group's setup and teardown return it. */
int hn_test_enter(char path[HN_PATH_MAX]);
int hn_test_leave(const char *path);
/* Whole file, NUL-terminated; fails the test where it cannot be read. Free with hn_free. */
char *hn_test_read(const char *path, size_t *n);
/* Fails the test with the error's text unless `st` is HN_OK. */
void hn_test_ok(hn_status st, const hn_error *err);

#endif
