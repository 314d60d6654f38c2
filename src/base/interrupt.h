/* Ctrl-C: one flag that a signal sets and that long loops look at.
 *
 * The first SIGINT or SIGTERM asks the program to stop cleanly: whatever runs finishes its step, keeps what was done and
 * returns HN_ERR_INTERRUPTED. The second ends the process at once with status 130.
 *
 *     hn_interrupt_install();                              // main, once
 *     for (i = 0; i < n_cases; i++) {
 *         HN_TRY(hn_interrupt_check(&err));
 *         ...
 *     }
 *
 * Threading: any thread may look; the handler only touches one atomic flag. */
#ifndef HN_BASE_INTERRUPT_H
#define HN_BASE_INTERRUPT_H

#include "base/status.h"

#include <stdbool.h>

/* Installs the handlers and ignores SIGPIPE, so that a closed pipe is a failed write and not a silent death. */
void hn_interrupt_install(void);
/* From here on a program that was asked to stop and has not ended so many seconds later ends at once with status 130: for commands that have
 * nothing to lose, since what they measured is in the store already. 0, as at the start: never. */
void hn_interrupt_grace(int seconds);
/* Whether a stop was asked for since the start or the last hn_interrupt_clear. */
bool hn_interrupted(void);
/* Forgets it: for a prompt that goes on after one answer was stopped. */
void hn_interrupt_clear(void);
/* As if the signal had come; for tests. */
void hn_interrupt_request(void);
/* HN_ERR_INTERRUPTED, with a message, once a stop was asked for; else HN_OK. */
hn_status hn_interrupt_check(hn_error *err) HN_MUST_CHECK;

#endif
