/* Helpers for tests; see support.h. */
#include "support.h"

#include "base/alloc.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char model_name[] = "SmolLM2-135M-Instruct.Q4_1.gguf";

bool hn_test_shared(const char *name, char path[HN_PATH_MAX]) {
    const char *root = getenv("HONE_SHARED");
    snprintf(path, HN_PATH_MAX, "%s/%s", root ? root : "../shared", name);
    if (hn_file_exists(path)) return true;
    fprintf(stderr, "skipped: %s is not here\n", path);
    return false;
}

bool hn_test_model(char path[HN_PATH_MAX]) {
    const char *given = getenv("HONE_TEST_MODEL");
    char folder[HN_PATH_MAX];
    hn_error err;
    if (given)
        snprintf(path, HN_PATH_MAX, "%s", given);
    else if (hn_path_models(folder, &err) != HN_OK || hn_path_join(path, folder, model_name, &err) != HN_OK)
        return false;
    if (hn_file_exists(path)) return true;
    fprintf(stderr, "skipped: %s is not here; `hone pull smollm2` fetches it\n", path);
    return false;
}

void hn_test_folder(char path[HN_PATH_MAX]) {
    const char *tmp = getenv("TMPDIR");
    snprintf(path, HN_PATH_MAX, "%s/hone-test-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(path));
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *at) {
    (void)info, (void)type, (void)at;
    return remove(path);
}

void hn_test_folder_remove(const char *path) { assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0); }

int hn_test_enter(char path[HN_PATH_MAX]) {
    hn_test_folder(path);
    return chdir(path);
}

int hn_test_leave(const char *path) {
    int left = chdir("/");
    hn_test_folder_remove(path);
    return left;
}

char *hn_test_read(const char *path, size_t *n) {
    char *bytes;
    hn_error err = {0};
    hn_test_ok(hn_file_read(path, (size_t)1 << 30, &bytes, n, &err), &err);
    return bytes;
}

void hn_test_ok(hn_status st, const hn_error *err) {
    if (st != HN_OK) fail_msg("%s: %s %s (%s)", hn_status_name(st), err->where, err->message, err->hint);
}
