/* Child processes; see process.h. posix_spawn instead of fork, so that a large process starts one quickly and safely with threads.
 * Surprise: the pipes are read until both are closed, and only then is the child waited for: a grandchild that keeps them open counts
 * as part of the child until the time limit. */
#include "base/process.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { WAIT_MS = 200, GRACE_MS = 2000 };

typedef struct child {
    pid_t pid;
    int out, err; /* read ends; -1: closed */
} child;

/* Our environment with `added` in front: the first of two equal names counts for execve's users, so ours is filtered. */
static char **merge_environment(const char *const *added) {
    size_t n_ours = 0, n_added = 0, n = 0;
    while (environ[n_ours]) n_ours++;
    while (added && added[n_added]) n_added++;
    char **merged = hn_calloc(n_ours + n_added + 1, sizeof *merged);
    if (!merged) return NULL;
    for (size_t i = 0; i < n_added; i++) merged[n++] = (char *)(uintptr_t)added[i];
    for (size_t i = 0; i < n_ours; i++) {
        bool replaced = false;
        size_t n_name = strcspn(environ[i], "=") + 1;
        for (size_t j = 0; j < n_added; j++) replaced |= strncmp(environ[i], added[j], n_name) == 0;
        if (!replaced) merged[n++] = environ[i];
    }
    return merged;
}

static int prepare_actions(posix_spawn_file_actions_t *actions, const int out[2], const int err[2],
                           const char *directory) {
    int failed = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!failed) failed = posix_spawn_file_actions_adddup2(actions, out[1], STDOUT_FILENO);
    if (!failed) failed = posix_spawn_file_actions_adddup2(actions, err[1], STDERR_FILENO);
    if (!failed && directory) failed = posix_spawn_file_actions_addchdir_np(actions, directory);
    return failed;
}

static int prepare_attributes(posix_spawnattr_t *attributes) {
    sigset_t defaults, none;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGINT);
    sigaddset(&defaults, SIGTERM);
    sigaddset(&defaults, SIGPIPE);
    int failed =
        posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    if (!failed) failed = posix_spawnattr_setpgroup(attributes, 0);
    if (!failed) failed = posix_spawnattr_setsigdefault(attributes, &defaults);
    if (!failed) failed = posix_spawnattr_setsigmask(attributes, &none);
    return failed;
}

static int spawn(const hn_process *p, const int out[2], const int err[2], pid_t *pid) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char **environment = merge_environment(p->environment);
    if (!environment) return ENOMEM;
    int failed = posix_spawn_file_actions_init(&actions);
    if (!failed) {
        failed = posix_spawnattr_init(&attributes);
        if (!failed) {
            failed = prepare_actions(&actions, out, err, p->directory);
            if (!failed) failed = prepare_attributes(&attributes);
            if (!failed)
                failed = posix_spawnp(pid, p->argv[0], &actions, &attributes, (char *const *)(uintptr_t)p->argv,
                                      environment);
            posix_spawnattr_destroy(&attributes);
        }
        posix_spawn_file_actions_destroy(&actions);
    }
    hn_free(environment);
    return failed;
}

static void close_fd(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

static hn_status start(const hn_process *p, child *c, hn_error *err) {
    int out[2] = {-1, -1}, errors[2] = {-1, -1}, failed = 0;
    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(errors, O_CLOEXEC) != 0) failed = errno;
    if (!failed) failed = spawn(p, out, errors, &c->pid);
    close_fd(&out[1]);
    close_fd(&errors[1]);
    c->out = out[0];
    c->err = errors[0];
    if (!failed) return HN_OK;
    close_fd(&c->out);
    close_fd(&c->err);
    if (failed == ENOENT)
        return hn_fail(err, HN_ERR_NOT_FOUND, p->argv[0], "install it, or add its folder to PATH",
                       "the program %s is not there", p->argv[0]);
    return hn_fail_errno(err, failed, p->argv[0], "starting the program");
}

static void take_output(int *fd, hn_buf *into, size_t limit, bool *cut) {
    char bytes[16384];
    ssize_t got = read(*fd, bytes, sizeof bytes);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (got <= 0) {
        close_fd(fd);
        return;
    }
    size_t room = limit - into->len, take = (size_t)got < room ? (size_t)got : room;
    if (take < (size_t)got) *cut = true;
    hn_buf_append(into, bytes, take);
}

/* Ends the child's whole group: politely, then for sure. */
static int end_child(pid_t pid) {
    int status = 0;
    kill(-pid, SIGTERM);
    for (int waited = 0; waited < GRACE_MS; waited += 20) {
        if (waitpid(pid, &status, WNOHANG) == pid) {
            kill(-pid, SIGKILL); /* what the group has left */
            return status;
        }
        hn_clock_sleep_ms(20);
    }
    kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

static hn_status follow(const hn_process *p, child *c, hn_process_result *result, hn_error *err) {
    size_t limit = p->max_output_bytes ? p->max_output_bytes : 1 << 20;
    double deadline = p->timeout_ms ? hn_clock_seconds() + p->timeout_ms / 1e3 : 0;
    while (c->out >= 0 || c->err >= 0) {
        struct pollfd fds[2] = {{.fd = c->out, .events = POLLIN}, {.fd = c->err, .events = POLLIN}};
        (void)poll(fds, 2, WAIT_MS);
        if (fds[0].revents) take_output(&c->out, &result->output, limit, &result->output_cut);
        if (fds[1].revents) take_output(&c->err, &result->errors, limit, &result->output_cut);
        if (p->on_wait) p->on_wait(p->user);
        HN_TRY(hn_interrupt_check(err));
        if (deadline > 0 && hn_clock_seconds() > deadline)
            return hn_fail(err, HN_ERR_TIMEOUT, p->argv[0], NULL, "the program %s ran longer than %d s", p->argv[0],
                           p->timeout_ms / 1000);
    }
    if (hn_buf_status(&result->output) != HN_OK || hn_buf_status(&result->errors) != HN_OK)
        return hn_fail_memory(err, limit);
    return HN_OK;
}

hn_status hn_process_run(const hn_process *p, hn_process_result *result, hn_error *err) {
    child c = {.out = -1, .err = -1};
    int status = 0;
    *result = (hn_process_result){0};
    hn_buf_init(&result->output, 0);
    hn_buf_init(&result->errors, 0);
    HN_TRY(start(p, &c, err));
    hn_status st = follow(p, &c, result, err);
    close_fd(&c.out);
    close_fd(&c.err);
    if (st != HN_OK) {
        end_child(c.pid);
        hn_process_result_free(result);
        return st;
    }
    while (waitpid(c.pid, &status, 0) < 0 && errno == EINTR) {
        if (!hn_interrupted()) continue;
        status = end_child(c.pid);
        break;
    }
    result->exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + (WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    return HN_OK;
}

void hn_process_result_free(hn_process_result *result) {
    hn_buf_free(&result->output);
    hn_buf_free(&result->errors);
}
