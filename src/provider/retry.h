/* When a request that failed is tried again.
 *
 *     double pause_s = hn_retry_pause(n_failed, 500, result.retry_after_s, &rng);
 *     if (hn_retry_status(503)) ...
 *
 * The pause doubles with each failure, up to 30 s, and is drawn from its upper half, so that many clients do not come back at once; what the
 * server asks for (Retry-After) is never undercut. Threading: pure, but for the caller's generator. */
#ifndef HN_PROVIDER_RETRY_H
#define HN_PROVIDER_RETRY_H

#include "base/rng.h"

#include <stdbool.h>

enum { HN_RETRY_AFTER_MAX_S = 600 }; /* a server that asks for more is not waited for */

/* Seconds; `n_failed` from 1; retry_after_s < 0: the server asks for nothing. */
double hn_retry_pause(int n_failed, int base_ms, double retry_after_s, hn_rng *rng);
/* Whether an HTTP status may pass by itself. */
bool hn_retry_status(long http_status);

#endif
