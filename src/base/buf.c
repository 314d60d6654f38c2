/* Growing text; see buf.h. */
#include "base/buf.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

void hn_buf_init(hn_buf *b, size_t max_bytes) { *b = (hn_buf){.max = max_bytes ? max_bytes : (size_t)1 << 30}; }

void hn_buf_free(hn_buf *b) {
    hn_free(b->data);
    hn_buf_init(b, b->max);
}

void hn_buf_clear(hn_buf *b) {
    b->len = 0;
    b->error = HN_OK;
    if (b->data) b->data[0] = 0;
}

/* Room for `n` more bytes and the closing NUL; false leaves a sticky error. */
static bool reserve(hn_buf *b, size_t n) {
    if (b->error != HN_OK) return false;
    if (n > b->max || b->len > b->max - n) {
        b->error = HN_ERR_LIMIT;
        return false;
    }
    if (!hn_grow((void **)&b->data, &b->capacity, b->len + n + 1, 1)) {
        b->error = HN_ERR_MEMORY;
        return false;
    }
    return true;
}

void hn_buf_append(hn_buf *b, const void *bytes, size_t n) {
    if (!reserve(b, n)) return;
    if (n) memcpy(b->data + b->len, bytes, n);
    b->len += n;
    b->data[b->len] = 0;
}

void hn_buf_append_str(hn_buf *b, const char *text) { hn_buf_append(b, text, strlen(text)); }
void hn_buf_append_char(hn_buf *b, char c) { hn_buf_append(b, &c, 1); }

void hn_buf_append_codepoint(hn_buf *b, uint32_t codepoint) {
    char bytes[4];
    hn_buf_append(b, bytes, hn_utf8_encode(codepoint, bytes));
}

void hn_buf_appendv(hn_buf *b, const char *fmt, va_list args) {
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    if (n >= 0 && reserve(b, (size_t)n)) {
        vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

void hn_buf_appendf(hn_buf *b, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    hn_buf_appendv(b, fmt, args);
    va_end(args);
}

void hn_buf_append_repeat(hn_buf *b, char c, size_t n) {
    if (!reserve(b, n)) return;
    memset(b->data + b->len, c, n);
    b->len += n;
    b->data[b->len] = 0;
}

void hn_buf_truncate(hn_buf *b, size_t len) {
    if (len >= b->len) return;
    b->len = len;
    b->data[len] = 0;
}

const char *hn_buf_str(const hn_buf *b) { return b->data ? b->data : ""; }

char *hn_buf_take(hn_buf *b) {
    if (b->error != HN_OK || !reserve(b, 0)) return NULL;
    char *text = b->data;
    text[b->len] = 0;
    hn_buf_init(b, b->max);
    return text;
}

hn_status hn_buf_status(const hn_buf *b) { return b->error; }

hn_status hn_buf_check(const hn_buf *b, const char *what, hn_error *err) {
    if (b->error == HN_ERR_MEMORY) return hn_fail_memory(err, b->capacity * 2);
    if (b->error != HN_OK) return hn_fail(err, b->error, what, NULL, "the text passes the limit of %zu bytes", b->max);
    return HN_OK;
}
