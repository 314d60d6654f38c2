/* Ctrl-C; see interrupt.h. Surprise: system calls are not restarted (no SA_RESTART), so that a blocking read or poll comes
 * back with EINTR and the caller gets to look at the flag. */
#include "base/interrupt.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static atomic_int requests; /* lock-free on every target, hence safe in a handler */
static atomic_int grace_seconds;

static void on_signal(int number) {
    (void)number;
    if (atomic_fetch_add(&requests, 1) > 0) _exit(130);
    if (atomic_load(&grace_seconds) > 0) alarm((unsigned)atomic_load(&grace_seconds));
}

static void on_alarm(int number) {
    static const char text[] = "error: stopped\n";
    (void)number;
    if (atomic_load(&requests) == 0) return; /* the command came to its end in time */
    ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);
    (void)n;
    _exit(130);
}

void hn_interrupt_install(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_handler = on_signal;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = on_alarm;
    sigaction(SIGALRM, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}

bool hn_interrupted(void) { return atomic_load_explicit(&requests, memory_order_relaxed) > 0; }
void hn_interrupt_grace(int seconds) { atomic_store(&grace_seconds, seconds); }
void hn_interrupt_clear(void) { atomic_store(&requests, 0); }
void hn_interrupt_request(void) { atomic_store(&requests, 1); }

hn_status hn_interrupt_check(hn_error *err) {
    if (!hn_interrupted()) return HN_OK;
    return hn_fail(err, HN_ERR_INTERRUPTED, NULL, NULL, "stopped");
}
