/* Log lines on standard error, for what a person who looks for a fault wants to know. Off (only warnings) unless HONE_LOG says so.
 *
 *     HONE_LOG=debug hone eval ...
 *     hn_log(HN_LOG_DEBUG, "http", "206 from byte %llu", offset);       // 12:04:05.123 debug http: 206 from byte 512
 *
 * Never log a secret, a prompt or an answer. Results and errors for the user do not go through here. Threading: safe; a line is
 * written by one call. */
#ifndef HN_BASE_LOG_H
#define HN_BASE_LOG_H

#include "base/status.h"

#include <stdbool.h>

typedef enum hn_log_level { HN_LOG_ERROR, HN_LOG_WARN, HN_LOG_INFO, HN_LOG_DEBUG } hn_log_level;

/* Whether lines of this level are written: HONE_LOG is error, warn (default), info or debug; read once. */
bool hn_log_enabled(hn_log_level level);
void hn_log(hn_log_level level, const char *part, const char *fmt, ...) HN_PRINTF(3, 4);

#endif
