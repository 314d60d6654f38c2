/* Retries; see retry.h. */
#include "provider/retry.h"

static const double longest_s = 30;

double hn_retry_pause(int n_failed, int base_ms, double retry_after_s, hn_rng *rng) {
    double pause = base_ms / 1e3;
    double share = hn_rng_uniform(rng);
    for (int i = 1; i < n_failed && pause < longest_s; i++) pause *= 2;
    if (pause > longest_s) pause = longest_s;
    if (retry_after_s >= 0) return retry_after_s + share * (0.02 + 0.05 * retry_after_s);
    return pause * (0.5 + 0.5 * share);
}

bool hn_retry_status(long s) {
    if (s == 408 || s == 409 || s == 425 || s == 429) return true;
    return s >= 500 && s != 501 && s != 505;
}
