/* Status codes and errors: how every fallible function in hone reports what went wrong.
 *
 * A function that can fail returns `hn_status` and takes an optional `hn_error *` as its last argument. The error says
 * what happened, where (file:line:column, or the name of a field), and what to do about it. One list gives each code
 * its name, the process exit status and the HTTP status; docs/errors.md is checked against it by a test.
 *
 *     hn_error err = {0};
 *     hn_status st = hn_file_read(path, HN_FILE_MAX, &bytes, &err);
 *     if (st != HN_OK) return st;                          // or HN_TRY(hn_file_read(...));
 *     if (n > limit)
 *         return hn_fail(&err, HN_ERR_LIMIT, path, "split the file", "it has %zu rows, the limit is %zu", n, limit);
 *
 * Ownership: an `hn_error` is a plain value with its text inside; nothing to free. Threading: no shared state. */
#ifndef HN_BASE_STATUS_H
#define HN_BASE_STATUS_H

#include <stddef.h>

/* code, name in JSON, what it means, process exit status, HTTP status */
#define HN_STATUS_LIST(X)                                                                                              \
    X(HN_OK, "ok", "success", 0, 200)                                                                                  \
    X(HN_ERR_GATE, "gate_failed", "a gate or a test of the user's failed", 1, 200)                                     \
    X(HN_ERR_USAGE, "usage", "the command line or the call is not understood", 2, 400)                                 \
    X(HN_ERR_INPUT, "bad_input", "a file, a row or a request has content that cannot be used", 2, 400)                 \
    X(HN_ERR_NOT_FOUND, "not_found", "a file, run, label or model does not exist", 2, 404)                             \
    X(HN_ERR_EXISTS, "exists", "something is already there and would be overwritten", 2, 409)                          \
    X(HN_ERR_TEMPLATE, "template", "a template cannot be run or refuses its input", 2, 400)                            \
    X(HN_ERR_UNSUPPORTED, "unsupported", "a feature, format or architecture is not supported", 3, 501)                 \
    X(HN_ERR_LIMIT, "limit", "a size or count is past its limit", 4, 413)                                              \
    X(HN_ERR_CONTEXT, "context_full", "the tokens do not fit the model's context window", 4, 400)                      \
    X(HN_ERR_BUDGET, "budget", "the budget for remote models is used up", 4, 402)                                      \
    X(HN_ERR_IO, "io", "reading or writing failed", 5, 500)                                                            \
    X(HN_ERR_DISK_FULL, "disk_full", "the disk is full", 5, 507)                                                       \
    X(HN_ERR_MEMORY, "out_of_memory", "memory is used up", 6, 503)                                                     \
    X(HN_ERR_NETWORK, "network", "a server cannot be reached or answers with an error", 7, 502)                        \
    X(HN_ERR_HASH, "hash_mismatch", "the bytes do not have the expected hash", 8, 500)                                 \
    X(HN_ERR_BUSY, "busy", "another process holds what is needed", 9, 503)                                             \
    X(HN_ERR_TIMEOUT, "timeout", "the time limit passed", 9, 504)                                                      \
    X(HN_ERR_INTERNAL, "internal", "a defect in hone", 70, 500)                                                        \
    X(HN_ERR_INTERRUPTED, "interrupted", "stopped by the user", 130, 499)

#define HN_STATUS_ENUM(code, name, text, exit_status, http_status) code,
typedef enum hn_status { HN_STATUS_LIST(HN_STATUS_ENUM) HN_STATUS_COUNT } hn_status;
#undef HN_STATUS_ENUM

#define HN_MUST_CHECK __attribute__((warn_unused_result))
#define HN_PRINTF(fmt_index, first_arg) __attribute__((format(printf, fmt_index, first_arg)))

typedef struct hn_error {
    hn_status code;
    char message[640]; /* what happened, with the value and the limit */
    char where[384];   /* file:line:column, or the field; may be empty */
    char hint[384];    /* what to do; may be empty */
} hn_error;

/* Name of a code as it appears in JSON ("bad_input"), its one-line meaning, exit status and HTTP status. */
const char *hn_status_name(hn_status code);
const char *hn_status_text(hn_status code);
int hn_status_exit(hn_status code);
int hn_status_http(hn_status code);

/* Fills `err` (may be NULL) and returns `code`, so that a failure is one `return` statement.
 * `where` and `hint` may be NULL. The texts are cut at the fields' sizes, never in the middle of a UTF-8 character. */
hn_status hn_fail(hn_error *err, hn_status code, const char *where, const char *hint, const char *fmt, ...)
    HN_PRINTF(5, 6);

/* Like hn_fail for a failed system call: chooses the code from `errno_value` (ENOSPC and EDQUOT: HN_ERR_DISK_FULL, ENOENT:
 * HN_ERR_NOT_FOUND, ENOMEM: HN_ERR_MEMORY, else HN_ERR_IO) and appends its text; `doing` is such as "writing". */
hn_status hn_fail_errno(hn_error *err, int errno_value, const char *where, const char *doing);

/* The status for memory that ran out while getting `size_bytes`. */
hn_status hn_fail_memory(hn_error *err, size_t size_bytes);

/* Puts `where` in front of an error's place: for callers that know the file a lower layer only had as text. */
void hn_error_prefix(hn_error *err, const char *where);

#define HN_TRY(expression)                                                                                             \
    do {                                                                                                               \
        hn_status hn_try_status = (expression);                                                                        \
        if (hn_try_status != HN_OK) return hn_try_status;                                                              \
    } while (0)

/* For functions with cleanup: sets `st` (an hn_status in scope) and jumps to `label` when the expression fails. */
#define HN_GOTO(expression, label)                                                                                     \
    do {                                                                                                               \
        st = (expression);                                                                                             \
        if (st != HN_OK) goto label;                                                                                   \
    } while (0)

#endif
