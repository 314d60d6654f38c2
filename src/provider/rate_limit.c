/* Rates; see rate_limit.h. */
#include "provider/rate_limit.h"

static const double bucket_s = 10;

hn_rate_limit hn_rate_limit_make(double requests_per_minute, double tokens_per_minute) {
    hn_rate_limit l = {.requests_per_s = requests_per_minute / 60, .tokens_per_s = tokens_per_minute / 60};
    l.tokens = l.tokens_per_s * bucket_s;
    return l;
}

static void fill(hn_rate_limit *l, double now_s) {
    double most = l->tokens_per_s * bucket_s;
    if (l->tokens_at_s > 0 && now_s > l->tokens_at_s) l->tokens += (now_s - l->tokens_at_s) * l->tokens_per_s;
    if (l->tokens > most) l->tokens = most;
    l->tokens_at_s = now_s;
}

double hn_rate_limit_wait(hn_rate_limit *l, double now_s) {
    double wait = l->next_request_s > now_s ? l->next_request_s - now_s : 0;
    if (l->tokens_per_s <= 0) return wait;
    fill(l, now_s);
    double until_positive = l->tokens > 0 ? 0 : (1 - l->tokens) / l->tokens_per_s;
    return until_positive > wait ? until_positive : wait;
}

void hn_rate_limit_take(hn_rate_limit *l, double now_s, double tokens) {
    if (l->requests_per_s > 0) l->next_request_s = now_s + 1 / l->requests_per_s;
    if (l->tokens_per_s <= 0) return;
    fill(l, now_s);
    l->tokens -= tokens;
}

void hn_rate_limit_correct(hn_rate_limit *l, double tokens) {
    if (l->tokens_per_s > 0) l->tokens -= tokens;
}

void hn_rate_limit_hold(hn_rate_limit *l, double until_s) {
    if (until_s > l->next_request_s) l->next_request_s = until_s;
}
