/* How fast an endpoint may be asked: requests and tokens a minute, and a pause after it said "too many".
 *
 *     hn_rate_limit limit = hn_rate_limit_make(60, 90000);
 *     double wait_s = hn_rate_limit_wait(&limit, now_s);    // 0: now
 *     hn_rate_limit_take(&limit, now_s, estimated_tokens);
 *     hn_rate_limit_correct(&limit, actual_tokens - estimated_tokens);
 *
 * Requests are spaced evenly. Tokens fill a bucket of ten seconds' worth; one large request may overdraw it, and the next waits. Times are
 * seconds of hn_clock_seconds. Threading: plain values. */
#ifndef HN_PROVIDER_RATE_LIMIT_H
#define HN_PROVIDER_RATE_LIMIT_H

typedef struct hn_rate_limit {
    double requests_per_s, tokens_per_s; /* 0: no limit */
    double next_request_s;               /* not before */
    double tokens, tokens_at_s;          /* in the bucket, when last counted */
} hn_rate_limit;

hn_rate_limit hn_rate_limit_make(double requests_per_minute, double tokens_per_minute);
double hn_rate_limit_wait(hn_rate_limit *l, double now_s);
void hn_rate_limit_take(hn_rate_limit *l, double now_s, double tokens);
void hn_rate_limit_correct(hn_rate_limit *l, double tokens);
/* Nothing before `until_s`. */
void hn_rate_limit_hold(hn_rate_limit *l, double until_s);

#endif
