/* Status codes and errors; see status.h. Everything derives from HN_STATUS_LIST. */
#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct status_row {
    const char *name, *text;
    int exit_status, http_status;
} status_row;

#define STATUS_ROW(code, name, text, exit_status, http_status) {name, text, exit_status, http_status},
static const status_row rows[HN_STATUS_COUNT] = {HN_STATUS_LIST(STATUS_ROW)};

static const status_row *row_of(hn_status code) {
    return &rows[(unsigned)code < HN_STATUS_COUNT ? code : HN_ERR_INTERNAL];
}

const char *hn_status_name(hn_status code) { return row_of(code)->name; }
const char *hn_status_text(hn_status code) { return row_of(code)->text; }
int hn_status_exit(hn_status code) { return row_of(code)->exit_status; }
int hn_status_http(hn_status code) { return row_of(code)->http_status; }

/* A text that was cut at `size` must not end in half a character: drop trailing continuation bytes and their head. */
static void trim_utf8(char *text, size_t size) {
    size_t n = strlen(text);
    if (n + 1 < size) return;
    size_t head = n;
    while (head > 0 && ((unsigned char)text[head - 1] & 0xC0) == 0x80) head--;
    if (head > 0 && ((unsigned char)text[head - 1] & 0x80)) text[head - 1] = 0;
}

static void copy_text(char *to, size_t size, const char *from) {
    snprintf(to, size, "%s", from ? from : "");
    trim_utf8(to, size);
}

hn_status hn_fail(hn_error *err, hn_status code, const char *where, const char *hint, const char *fmt, ...) {
    if (!err) return code;
    hn_error made = {.code = code};
    va_list args;
    va_start(args, fmt);
    vsnprintf(made.message, sizeof made.message, fmt, args);
    va_end(args);
    trim_utf8(made.message, sizeof made.message);
    copy_text(made.where, sizeof made.where, where);
    copy_text(made.hint, sizeof made.hint, hint);
    *err = made; /* last: the arguments may point into the old error */
    return code;
}

hn_status hn_fail_errno(hn_error *err, int errno_value, const char *where, const char *doing) {
    char text[128] = "";
    const char *shown = strerror_r(errno_value, text, sizeof text); /* the GNU form returns the text */
    switch (errno_value) {
    case ENOSPC:
    case EDQUOT:
        return hn_fail(err, HN_ERR_DISK_FULL, where, "free some space and run the same command again", "%s: %s", doing,
                       shown);
    case ENOENT: return hn_fail(err, HN_ERR_NOT_FOUND, where, "check the path", "%s: %s", doing, shown);
    case EISDIR: return hn_fail(err, HN_ERR_INPUT, where, "name a file in it", "%s: this is a folder", doing);
    case EACCES:
    case EPERM:
    case EROFS:
        return hn_fail(err, HN_ERR_IO, where, "check who owns it and its permissions (ls -l)", "%s: %s", doing, shown);
    case ENOMEM: return hn_fail(err, HN_ERR_MEMORY, where, NULL, "%s: %s", doing, shown);
    case EINTR: return hn_fail(err, HN_ERR_INTERRUPTED, where, NULL, "%s: %s", doing, shown);
    default: return hn_fail(err, HN_ERR_IO, where, NULL, "%s: %s", doing, shown);
    }
}

hn_status hn_fail_memory(hn_error *err, size_t size_bytes) {
    return hn_fail(err, HN_ERR_MEMORY, NULL, "close other programs, or use a smaller model or context",
                   "out of memory: %zu more bytes cannot be had", size_bytes);
}

void hn_error_prefix(hn_error *err, const char *where) {
    if (!err || !where || !*where) return;
    char joined[sizeof err->where * 2];
    snprintf(joined, sizeof joined, "%s%s%s", where, *err->where ? ":" : "", err->where);
    copy_text(err->where, sizeof err->where, joined);
}
