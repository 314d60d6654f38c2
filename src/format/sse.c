/* Server-sent events; see sse.h. */
#include "format/sse.h"

#include <stdio.h>
#include <string.h>

void hn_sse_init(hn_sse *s, size_t max_event_bytes) {
    *s = (hn_sse){.max_bytes = max_event_bytes};
    hn_buf_init(&s->line, max_event_bytes);
    hn_buf_init(&s->data, max_event_bytes);
}

void hn_sse_free(hn_sse *s) {
    hn_buf_free(&s->line);
    hn_buf_free(&s->data);
}

/* "field: value" of a whole line: one blank behind the colon is not part of the value. */
static void take_field(hn_sse *s) {
    const char *line = hn_buf_str(&s->line), *colon = memchr(line, ':', s->line.len);
    size_t n_name = colon ? (size_t)(colon - line) : s->line.len, n = 0;
    const char *value = "";
    if (colon) {
        value = colon + 1;
        n = s->line.len - n_name - 1;
        if (n && *value == ' ') value++, n--;
    }
    if (n_name == 4 && memcmp(line, "data", 4) == 0) {
        hn_buf_append(&s->data, value, n);
        hn_buf_append_char(&s->data, '\n');
    } else if (n_name == 5 && memcmp(line, "event", 5) == 0) {
        snprintf(s->event, sizeof s->event, "%.*s", (int)(n < sizeof s->event ? n : sizeof s->event - 1), value);
    }
}

static bool end_line(hn_sse *s, hn_sse_on_event *on_event, void *user) {
    bool goes_on = true;
    if (s->line.len > 0) {
        take_field(s);
    } else {
        if (s->data.len > 0) goes_on = on_event(user, s->event, hn_buf_str(&s->data), s->data.len - 1);
        hn_buf_clear(&s->data);
        s->event[0] = 0;
    }
    hn_buf_clear(&s->line);
    return goes_on;
}

hn_status hn_sse_feed(hn_sse *s, const char *bytes, size_t n, hn_sse_on_event *on_event, void *user, hn_error *err) {
    static const char mark[] = "\xEF\xBB\xBF";
    for (size_t i = 0; i < n;) {
        size_t length = 0;
        if (s->after_cr && bytes[i] == '\n') {
            s->after_cr = false;
            i++;
            continue;
        }
        s->after_cr = false;
        while (i + length < n && bytes[i + length] != '\n' && bytes[i + length] != '\r') length++;
        hn_buf_append(&s->line, bytes + i, length);
        HN_TRY(hn_buf_check(&s->line, "an event of the stream", err));
        i += length;
        if (i == n) break;
        s->after_cr = bytes[i++] == '\r';
        if (!s->started && s->line.len >= 3 && memcmp(s->line.data, mark, 3) == 0) {
            memmove(s->line.data, s->line.data + 3, s->line.len - 3);
            hn_buf_truncate(&s->line, s->line.len - 3);
        }
        s->started = true;
        bool goes_on = end_line(s, on_event, user);
        HN_TRY(hn_buf_check(&s->data, "an event of the stream", err));
        if (!goes_on) return hn_fail(err, HN_ERR_INTERRUPTED, NULL, NULL, "no more of the stream is wanted");
    }
    return HN_OK;
}
