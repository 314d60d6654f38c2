/* Output for people and programs; see output.h. Tables are in table.c, the progress line in progress.c.
 * Surprise: a reader that closes the pipe (`hone log | head`) is no error: writing stops and the status stays what it was. */
#include "cli/output.h"

#include "format/json.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int write_errno; /* of the first write to standard output that failed */

static bool wants_colour(bool terminal) {
    const char *no = getenv("NO_COLOR"), *force = getenv("CLICOLOR_FORCE"), *term = getenv("TERM");
    if (no && *no) return false;
    if (force && *force && strcmp(force, "0") != 0) return true;
    return terminal && term && strcmp(term, "dumb") != 0;
}

static void use_utf8(void) {
    if (setlocale(LC_CTYPE, "") && strcmp(nl_langinfo(CODESET), "UTF-8") == 0) return;
    if (!setlocale(LC_CTYPE, "C.UTF-8")) setlocale(LC_CTYPE, "C"); /* only widths suffer */
}

void hn_output_init(hn_output *out) {
    struct winsize size = {0};
    *out =
        (hn_output){.stdout_terminal = isatty(STDOUT_FILENO), .stderr_terminal = isatty(STDERR_FILENO), .width = 100};
    int fd = out->stdout_terminal ? STDOUT_FILENO : STDERR_FILENO;
    if (isatty(fd) && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20) out->width = size.ws_col;
    out->colour = wants_colour(out->stdout_terminal);
    out->stderr_colour = wants_colour(out->stderr_terminal);
    use_utf8();
}

static const char *escape_of(hn_style style) {
    switch (style) {
    case HN_STYLE_BOLD: return "\033[1m";
    case HN_STYLE_DIM: return "\033[2m";
    case HN_STYLE_GOOD: return "\033[32m";
    case HN_STYLE_BAD: return "\033[31m";
    case HN_STYLE_WARN: return "\033[33m";
    case HN_STYLE_ACCENT: return "\033[36m";
    case HN_STYLE_NONE: break;
    }
    return "\033[0m";
}

const char *hn_output_style(const hn_output *out, hn_style style) { return out->colour ? escape_of(style) : ""; }

static void remember_failure(bool failed) {
    if (failed && !write_errno) write_errno = errno ? errno : EIO;
}

void hn_output_print(hn_output *out, const char *fmt, ...) {
    if (out->json || write_errno) return;
    va_list args;
    va_start(args, fmt);
    errno = 0;
    remember_failure(vprintf(fmt, args) < 0);
    va_end(args);
}

void hn_output_note(hn_output *out, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    if (out->stderr_terminal) fputs("\r\033[K", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
}

bool hn_output_stream(const char *bytes, size_t n) {
    if (write_errno) return false;
    errno = 0;
    remember_failure(fwrite(bytes, 1, n, stdout) != n || fflush(stdout) != 0);
    return write_errno == 0;
}

static json_t *text_or_empty(const char *text) { return json_stringn_nocheck(text, strlen(text)); }

static void print_error_json(const hn_error *err) {
    json_t *value =
        json_pack("{s:{s:s,s:o,s:o,s:o}}", "error", "code", hn_status_name(err->code), "message",
                  text_or_empty(err->message), "where", text_or_empty(err->where), "hint", text_or_empty(err->hint));
    hn_buf text;
    hn_buf_init(&text, 0);
    if (value) hn_json_write(value, NULL, &text);
    if (value && hn_buf_status(&text) == HN_OK)
        printf("%s\n", hn_buf_str(&text));
    else
        printf("{\"error\":{\"code\":\"%s\",\"message\":\"\",\"where\":\"\",\"hint\":\"\"}}\n",
               hn_status_name(err->code));
    hn_buf_free(&text);
    json_decref(value);
}

void hn_output_error(hn_output *out, const hn_error *err) {
    if (out->json) {
        print_error_json(err);
        return;
    }
    const char *red = out->stderr_colour ? "\033[1;31m" : "", *off = out->stderr_colour ? "\033[0m" : "";
    fflush(stdout);
    if (out->stderr_terminal) fputs("\r\033[K", stderr);
    fprintf(stderr, "%serror%s: %s\n", red, off, *err->message ? err->message : hn_status_text(err->code));
    if (*err->where) fprintf(stderr, "  at: %s\n", err->where);
    if (*err->hint) fprintf(stderr, "  do: %s\n", err->hint);
}

hn_status hn_output_finish(hn_error *err) {
    errno = 0;
    bool failed = fflush(stdout) != 0;
    remember_failure(failed || ferror(stdout));
    if (!write_errno || write_errno == EPIPE) return HN_OK;
    return hn_fail_errno(err, write_errno, "standard output", "writing the result");
}
