/* Children that answer lines; see line_child.h. Input is a socket, not a pipe, so that writing to a child that is gone is a failed call and no
 * signal. Everything is read as it comes, also while a long line is still being sent: a child that writes before it reads cannot block us. */
#include "base/line_child.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { ERRORS_KEPT = 8 << 10, SLICE_MS = 200, POLITE_MS = 300 };

struct hn_line_child {
    char name[128];
    pid_t pid;        /* 0: ended */
    int in, out, err; /* -1: closed */
    hn_buf output;    /* read and not yet given out */
    size_t given;     /* of it, the reply given out last */
    char errors[ERRORS_KEPT];
    size_t n_errors;
    int status; /* of the ended child, as waitpid has it */
};

typedef struct ends {
    int in[2], out[2], err[2]; /* ours, the child's */
} ends;

static void close_fd(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

static void close_ends(ends *e) {
    for (int i = 0; i < 2; i++) {
        close_fd(&e->in[i]);
        close_fd(&e->out[i]);
        close_fd(&e->err[i]);
    }
}

static hn_status open_ends(ends *e, const char *name, hn_error *err) {
    *e = (ends){{-1, -1}, {-1, -1}, {-1, -1}};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, e->in) == 0 && pipe2(e->out, O_CLOEXEC) == 0 &&
        pipe2(e->err, O_CLOEXEC) == 0 && fcntl(e->in[0], F_SETFL, O_NONBLOCK) == 0 &&
        fcntl(e->out[0], F_SETFL, O_NONBLOCK) == 0 && fcntl(e->err[0], F_SETFL, O_NONBLOCK) == 0)
        return HN_OK;
    int failed = errno;
    close_ends(e);
    return hn_fail_errno(err, failed, name, "starting the program");
}

static hn_status wrap(const char *name, pid_t pid, ends *e, hn_line_child **child, hn_error *err) {
    hn_line_child *c = hn_calloc(1, sizeof *c);
    close_fd(&e->in[1]);
    close_fd(&e->out[1]);
    close_fd(&e->err[1]);
    if (!c) {
        kill(-pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
        close_ends(e);
        return hn_fail_memory(err, sizeof *c);
    }
    snprintf(c->name, sizeof c->name, "%s", name);
    c->pid = pid;
    c->in = e->in[0];
    c->out = e->out[0];
    c->err = e->err[0];
    hn_buf_init(&c->output, 2 * (size_t)HN_LINE_REPLY_MAX);
    *child = c;
    return HN_OK;
}

/* ---- starting ---- */

static int prepare_actions(posix_spawn_file_actions_t *actions, const ends *e, const char *directory) {
    int failed = posix_spawn_file_actions_adddup2(actions, e->in[1], STDIN_FILENO);
    if (!failed) failed = posix_spawn_file_actions_adddup2(actions, e->out[1], STDOUT_FILENO);
    if (!failed) failed = posix_spawn_file_actions_adddup2(actions, e->err[1], STDERR_FILENO);
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

static int spawn(const char *const *argv, const char *directory, const ends *e, pid_t *pid) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed) return failed;
    failed = posix_spawnattr_init(&attributes);
    if (!failed) {
        failed = prepare_actions(&actions, e, directory);
        if (!failed) failed = prepare_attributes(&attributes);
        if (!failed)
            failed = posix_spawnp(pid, argv[0], &actions, &attributes, (char *const *)(uintptr_t)argv, environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

hn_status hn_line_child_spawn(const char *const *argv, const char *directory, hn_line_child **child, hn_error *err) {
    ends e;
    pid_t pid;
    *child = NULL;
    HN_TRY(open_ends(&e, argv[0], err));
    int failed = spawn(argv, directory, &e, &pid);
    if (!failed) return wrap(argv[0], pid, &e, child, err);
    close_ends(&e);
    if (failed == ENOENT)
        return hn_fail(err, HN_ERR_NOT_FOUND, argv[0], "install it, or add its folder to PATH",
                       "the program %s is not there", argv[0]);
    return hn_fail_errno(err, failed, argv[0], "starting the program");
}

/* In the child: standard streams alone, default signals. */
static void become_child(const ends *e) {
    sigset_t none;
    struct sigaction action = {.sa_handler = SIG_DFL};
    static const int signals[] = {SIGINT, SIGTERM, SIGPIPE};
    setpgid(0, 0);
    dup2(e->in[1], STDIN_FILENO);
    dup2(e->out[1], STDOUT_FILENO);
    dup2(e->err[1], STDERR_FILENO);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
#ifdef SYS_close_range
    if (syscall(SYS_close_range, 3U, ~0U, 0U) == 0) return;
#endif
    for (int fd = 3; fd < 65536; fd++) close(fd); /* an old kernel */
}

hn_status hn_line_child_fork(const char *name, hn_line_body *body, void *user, hn_line_child **child, hn_error *err) {
    ends e;
    *child = NULL;
    HN_TRY(open_ends(&e, name, err));
    pid_t pid = fork();
    if (pid == 0) {
        become_child(&e);
        _exit(body(user));
    }
    if (pid < 0) {
        int failed = errno;
        close_ends(&e);
        return hn_fail_errno(err, failed, name, "starting the child process");
    }
    setpgid(pid, pid); /* whichever of the two comes first */
    return wrap(name, pid, &e, child, err);
}

/* ---- ending ---- */

static void take_errors(hn_line_child *c) {
    char bytes[4096];
    ssize_t got;
    while (c->err >= 0 && (got = read(c->err, bytes, sizeof bytes)) != 0) {
        if (got < 0) {
            if (errno == EINTR) continue;
            if (errno != EAGAIN) close_fd(&c->err);
            return;
        }
        size_t n = (size_t)got, keep = c->n_errors + n > ERRORS_KEPT ? ERRORS_KEPT - n : c->n_errors;
        memmove(c->errors, c->errors + (c->n_errors - keep), keep);
        memcpy(c->errors + keep, bytes, n);
        c->n_errors = keep + n;
    }
    close_fd(&c->err);
}

static void end_child(hn_line_child *c, int polite_ms) {
    if (c->pid == 0) return;
    close_fd(&c->in);
    for (int waited = 0; waited < polite_ms; waited += 10) {
        if (waitpid(c->pid, &c->status, WNOHANG) == c->pid) {
            kill(-c->pid, SIGKILL); /* what its group has left */
            c->pid = 0;
            break;
        }
        hn_clock_sleep_ms(10);
    }
    if (c->pid) {
        kill(-c->pid, SIGKILL);
        while (waitpid(c->pid, &c->status, 0) < 0 && errno == EINTR) continue;
        c->pid = 0;
    }
    take_errors(c);
    close_fd(&c->out);
    close_fd(&c->err);
}

void hn_line_child_close(hn_line_child *c) {
    if (!c) return;
    end_child(c, POLITE_MS);
    hn_buf_free(&c->output);
    hn_free(c);
}

void hn_line_child_errors(const hn_line_child *c, char *out, size_t size) {
    size_t n = 0, from = c->n_errors >= size ? c->n_errors - size + 1 : 0;
    for (size_t i = from; i < c->n_errors && n + 1 < size; i++) {
        char byte = c->errors[i];
        bool gap = (unsigned char)byte < 0x20 || byte == 0x7F;
        if (!gap)
            out[n++] = byte;
        else if (n && out[n - 1] != ' ')
            out[n++] = ' ';
    }
    while (n && out[n - 1] == ' ') n--;
    out[n] = 0;
}

/* ---- asking ---- */

static hn_status fail_child(hn_line_child *c, hn_status code, const char *hint, const char *what, hn_error *err) {
    char said[240];
    end_child(c, 0);
    hn_line_child_errors(c, said, sizeof said);
    return hn_fail(err, code, c->name, hint, "%s%s%s", what, *said ? "; it said: " : "", said);
}

/* Its output ended before the reply: how it died. */
static hn_status fail_ended(hn_line_child *c, hn_error *err) {
    char what[96];
    end_child(c, POLITE_MS);
    if (WIFSIGNALED(c->status))
        snprintf(what, sizeof what, "the program was ended by signal %d before it answered", WTERMSIG(c->status));
    else
        snprintf(what, sizeof what, "the program ended (status %d) before it answered",
                 WIFEXITED(c->status) ? WEXITSTATUS(c->status) : -1);
    return fail_child(c, HN_ERR_INPUT, "it must read a line, answer with a line and flush, until its input ends", what,
                      err);
}

/* False: the output ended. */
static bool take_output(hn_line_child *c) {
    char bytes[16384];
    ssize_t got = read(c->out, bytes, sizeof bytes);
    if (got < 0) return errno == EINTR || errno == EAGAIN;
    if (got == 0) return false;
    hn_buf_append(&c->output, bytes, (size_t)got);
    return true;
}

static void send_some(hn_line_child *c, const char *line, size_t n, size_t *sent) {
    while (*sent < n + 1) {
        const char *from = *sent < n ? line + *sent : "\n";
        ssize_t put = send(c->in, from, *sent < n ? n - *sent : 1, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        if (put < 0) { /* it reads no more; its answer may still come */
            *sent = n + 1;
            return;
        }
        *sent += (size_t)put;
    }
}

/* One round of waiting and reading. False: the output ended. */
static bool turn(hn_line_child *c, const char *line, size_t n, size_t *sent, int wait_ms) {
    struct pollfd fds[3] = {{.fd = c->out, .events = POLLIN},
                            {.fd = c->err, .events = POLLIN},
                            {.fd = *sent < n + 1 ? c->in : -1, .events = POLLOUT}};
    (void)poll(fds, 3, wait_ms);
    if (fds[1].revents) take_errors(c);
    if (fds[2].revents) send_some(c, line, n, sent);
    return !fds[0].revents || take_output(c);
}

hn_status hn_line_child_ask(hn_line_child *c, const char *line, size_t n, int timeout_ms, hn_str *reply,
                            hn_error *err) {
    double deadline = hn_clock_seconds() + timeout_ms / 1e3;
    size_t sent = 0, looked = 0;
    char what[96];
    if (c->pid == 0) return hn_fail(err, HN_ERR_INPUT, c->name, NULL, "the program has ended");
    (void)turn(c, "", 0, &(size_t){1}, 0); /* what came after the last reply */
    if (c->output.len > c->given)
        return fail_child(c, HN_ERR_INPUT, "print one line for each line read, and nothing else",
                          "the program said more than one line to one question", err);
    hn_buf_clear(&c->output);
    c->given = 0;
    for (;;) {
        bool open = turn(c, line, n, &sent, SLICE_MS);
        const char *end = c->output.len > looked ? memchr(c->output.data + looked, '\n', c->output.len - looked) : NULL;
        looked = c->output.len;
        if (end) {
            *reply = (hn_str){c->output.data, (size_t)(end - c->output.data)};
            c->given = reply->len + 1;
            return HN_OK;
        }
        if (c->output.len > HN_LINE_REPLY_MAX || hn_buf_status(&c->output) != HN_OK)
            return fail_child(c, HN_ERR_LIMIT, NULL, "the program's line is longer than 1 MiB", err);
        if (!open) return fail_ended(c, err);
        hn_status st = hn_interrupt_check(err);
        if (st != HN_OK) {
            end_child(c, 0);
            return st;
        }
        if (hn_clock_seconds() > deadline) {
            snprintf(what, sizeof what, "no answer within %.3g s; the program was ended", timeout_ms / 1e3);
            return fail_child(c, HN_ERR_TIMEOUT, "does it flush its output after each line?", what, err);
        }
    }
}
