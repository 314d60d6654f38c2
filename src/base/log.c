/* Log lines; see log.h. */
#include "base/log.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static int chosen_level(void) {
    static atomic_int level = -1; /* two threads may read the environment at first; they find the same */
    int known = atomic_load_explicit(&level, memory_order_relaxed);
    if (known >= 0) return known;
    const char *text = getenv("HONE_LOG");
    known = HN_LOG_WARN;
    for (int i = 0; text && i <= HN_LOG_DEBUG; i++)
        if (strcmp(text, level_names[i]) == 0) known = i;
    atomic_store_explicit(&level, known, memory_order_relaxed);
    return known;
}

bool hn_log_enabled(hn_log_level level) { return (int)level <= chosen_level(); }

void hn_log(hn_log_level level, const char *part, const char *fmt, ...) {
    if (!hn_log_enabled(level)) return;
    char message[1024], line[1200], at[32];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    for (char *c = message; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F) *c = ' '; /* text from outside must not forge a line */
    int64_t now = hn_clock_unix_ms();
    hn_clock_format(now, false, at);
    snprintf(line, sizeof line, "%.8s.%03d %s %s: %s\n", strlen(at) > 11 ? at + 11 : at, (int)(now % 1000),
             level_names[level], part, message);
    fputs(line, stderr);
}
