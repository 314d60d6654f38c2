/* hn_buf: text that grows, with a maximum and a sticky error, so that a chain of appends needs one check at its end.
 *
 *     hn_buf b;
 *     hn_buf_init(&b, 1 << 20);
 *     hn_buf_appendf(&b, "%zu cases", n);
 *     if (hn_buf_status(&b) != HN_OK) ...                 // past the maximum, or out of memory
 *     puts(b.data); hn_buf_free(&b);
 *
 * `data` is always NUL-terminated once anything was appended ("" before: use hn_buf_str). It may hold NUL bytes: `len` counts.
 * Ownership: the buffer owns `data`; hn_buf_take hands it over. Threading: one thread at a time. */
#ifndef HN_BASE_BUF_H
#define HN_BASE_BUF_H

#include "base/status.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct hn_buf {
    char *data;
    size_t len, capacity, max;
    hn_status error; /* sticky: HN_ERR_LIMIT or HN_ERR_MEMORY; appends do nothing from then on */
} hn_buf;

/* `max_bytes` 0: 1 GiB. Allocates nothing yet. */
void hn_buf_init(hn_buf *b, size_t max_bytes);
void hn_buf_free(hn_buf *b);
void hn_buf_clear(hn_buf *b); /* length 0 and no error; keeps the memory */
void hn_buf_append(hn_buf *b, const void *bytes, size_t n);
void hn_buf_append_str(hn_buf *b, const char *text);
void hn_buf_append_char(hn_buf *b, char c);
void hn_buf_append_codepoint(hn_buf *b, uint32_t codepoint); /* as UTF-8 */
void hn_buf_appendf(hn_buf *b, const char *fmt, ...) HN_PRINTF(2, 3);
void hn_buf_appendv(hn_buf *b, const char *fmt, va_list args);
void hn_buf_append_repeat(hn_buf *b, char c, size_t n);
void hn_buf_truncate(hn_buf *b, size_t len); /* shortens; longer than now: nothing happens */
const char *hn_buf_str(const hn_buf *b);     /* "" for an empty buffer; valid until the next append */
/* The text as its own block (free with hn_free), leaving the buffer empty. NULL where the buffer has an error. */
char *hn_buf_take(hn_buf *b);
hn_status hn_buf_status(const hn_buf *b) HN_MUST_CHECK;
/* The status, with `err` filled ("the text for X passes N bytes"); `what` is X. */
hn_status hn_buf_check(const hn_buf *b, const char *what, hn_error *err) HN_MUST_CHECK;

#endif
