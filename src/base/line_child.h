/* A child process that answers lines: one line in, one line out, with a time limit each. For programs and code of the user's that run beside hone
 * and must not be able to hang it, flood it or outlive it.
 *
 *     const char *argv[] = {"python3", "grade.py", NULL};
 *     hn_line_child *c; hn_str reply; hn_error err;
 *     HN_TRY(hn_line_child_spawn(argv, folder, &c, &err));
 *     st = hn_line_child_ask(c, "{\"answer\": 1}", 13, 10000, &reply, &err);        // after an error the child is gone: close it
 *     hn_line_child_close(c);
 *
 * The child has its own process group, which is ended with it. Its standard error is kept (the last 8 KiB) and stands in errors. Ownership: a reply is
 * the child's until the next call. Threading: one child, one thread. */
#ifndef HN_BASE_LINE_CHILD_H
#define HN_BASE_LINE_CHILD_H

#include "base/buf.h"
#include "base/str.h"

enum { HN_LINE_REPLY_MAX = 1 << 20 }; /* bytes of a reply */

typedef struct hn_line_child hn_line_child;

/* Starts a program (looked up in PATH, never through a shell) in `directory` (NULL: ours). HN_ERR_NOT_FOUND: there is no such program. */
hn_status hn_line_child_spawn(const char *const *argv, const char *directory, hn_line_child **child,
                              hn_error *err) HN_MUST_CHECK;
/* Forks, and runs `body` in the child with nothing open but standard input, output and error; its result is the exit status. The body must not
 * touch threads or locks of the parent. `name` is what errors call it. */
typedef int hn_line_body(void *user);
hn_status hn_line_child_fork(const char *name, hn_line_body *body, void *user, hn_line_child **child,
                             hn_error *err) HN_MUST_CHECK;

/* Sends a line (n bytes without a line break; one is added) and waits for one. Errors, all of which end the child: HN_ERR_TIMEOUT; HN_ERR_LIMIT: a
 * reply past HN_LINE_REPLY_MAX; HN_ERR_INPUT: it ended, or said more than one line to the question before; HN_ERR_INTERRUPTED. */
hn_status hn_line_child_ask(hn_line_child *child, const char *line, size_t n, int timeout_ms, hn_str *reply,
                            hn_error *err) HN_MUST_CHECK;
/* The end of what it wrote to standard error, on one line, at most `size` - 1 bytes. */
void hn_line_child_errors(const hn_line_child *child, char *out, size_t size);
/* Ends the child, politely (its input ends) where it still runs, then for sure. */
void hn_line_child_close(hn_line_child *child);

#endif
