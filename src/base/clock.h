/* Time: a monotonic clock for durations and deadlines, the wall clock for records.
 *
 *     double started = hn_clock_seconds();
 *     ...
 *     double took_s = hn_clock_seconds() - started;
 *
 * Threading: safe. */
#ifndef HN_BASE_CLOCK_H
#define HN_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

double hn_clock_seconds(void);  /* monotonic, from an arbitrary start */
int64_t hn_clock_unix_ms(void); /* wall clock, milliseconds since 1970 UTC */
/* "2026-11-23T21:04:05Z"; `local`: "2026-11-23 22:04" in the user's zone, for people. Returns `out`. */
char *hn_clock_format(int64_t unix_ms, bool local, char out[32]);
void hn_clock_sleep_ms(int64_t ms);

#endif
