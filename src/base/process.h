/* Child processes: run one by its argument list (never through a shell), with limits on time and output.
 *
 *     const char *argv[] = {"python3", "-m", "pip", "--version", NULL};
 *     hn_process_result result;
 *     HN_TRY(hn_process_run(&(hn_process){.argv = argv, .timeout_ms = 10000}, &result, &err));
 *     if (result.exit_status != 0) puts(hn_buf_str(&result.errors));
 *     hn_process_result_free(&result);
 *
 * The child gets its own process group, empty input and default signals; Ctrl-C and the time limit end the whole group. A child that
 * fails is not an error here: look at exit_status. Threading: safe (SIGCHLD is not used). */
#ifndef HN_BASE_PROCESS_H
#define HN_BASE_PROCESS_H

#include "base/buf.h"

typedef struct hn_process {
    const char *const *argv;        /* ended by NULL; argv[0] is looked up in PATH */
    const char *const *environment; /* "NAME=value" entries added to ours or replacing; ended by NULL; may be NULL */
    const char *directory;          /* working folder; NULL: ours */
    int timeout_ms;                 /* 0: none */
    size_t max_output_bytes;        /* of each of output and errors; 0: 1 MiB. The rest is read and dropped */
    void (*on_wait)(void *user);    /* called about every 200 ms while the child runs; may be NULL */
    void *user;
} hn_process;

typedef struct hn_process_result {
    int exit_status; /* 128 + signal where a signal ended it */
    hn_buf output, errors;
    bool output_cut; /* output or errors passed max_output_bytes */
} hn_process_result;

/* HN_ERR_NOT_FOUND: there is no such program; HN_ERR_TIMEOUT; HN_ERR_INTERRUPTED: Ctrl-C (the child was ended in both cases). The
 * result is to be freed only on HN_OK. */
hn_status hn_process_run(const hn_process *process, hn_process_result *result, hn_error *err) HN_MUST_CHECK;
void hn_process_result_free(hn_process_result *result);

#endif
