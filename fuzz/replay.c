/* Runs a fuzz target over files: the corpus in `make test`, or one input that a fuzzer found.
 *
 *     fuzz_gguf fuzz/corpus/gguf crash-1234
 *
 * Each input is handed over in a block of its exact size, so that a sanitizer sees a read of one byte too many. */
#include "base/alloc.h"
#include "base/file.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t n_inputs;

static bool run_file(const char *path) {
    char *bytes;
    size_t n;
    hn_error err = {0};
    if (hn_file_read(path, (size_t)64 << 20, &bytes, &n, &err) != HN_OK) {
        fprintf(stderr, "%s: %s\n", path, err.message);
        return false;
    }
    uint8_t *exact = hn_alloc(n);
    if (exact) {
        memcpy(exact, bytes, n);
        (void)LLVMFuzzerTestOneInput(exact, n);
        n_inputs++;
    }
    hn_free(exact);
    hn_free(bytes);
    return exact != NULL;
}

static bool run_folder(const char *path) {
    DIR *folder = opendir(path);
    if (!folder) return run_file(path);
    bool fine = true;
    for (struct dirent *e; fine && (e = readdir(folder));) {
        char file[HN_PATH_MAX];
        if (e->d_name[0] == '.') continue;
        fine = snprintf(file, sizeof file, "%s/%s", path, e->d_name) < (int)sizeof file && run_file(file);
    }
    closedir(folder);
    return fine;
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (!run_folder(argv[i])) return 1;
    if (n_inputs == 0) fprintf(stderr, "no inputs: give files or folders\n");
    return n_inputs == 0;
}
