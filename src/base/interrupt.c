/* Ctrl-C; see interrupt.h. Surprise: system calls are not restarted (no SA_RESTART), so that a blocking read or poll comes
 * back with EINTR and the caller gets to look at the flag. */
#include "base/interrupt.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static atomic_int requests; /* lock-free on every target, hence safe in a handler */

static void on_signal(int number) {
    (void)number;
    if (atomic_fetch_add(&requests, 1) > 0) _exit(130);
}

void hn_interrupt_install(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_handler = on_signal;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}

bool hn_interrupted(void) { return atomic_load_explicit(&requests, memory_order_relaxed) > 0; }
void hn_interrupt_clear(void) { atomic_store(&requests, 0); }
void hn_interrupt_request(void) { atomic_store(&requests, 1); }

hn_status hn_interrupt_check(hn_error *err) {
    if (!hn_interrupted()) return HN_OK;
    return hn_fail(err, HN_ERR_INTERRUPTED, NULL, NULL, "stopped");
}
