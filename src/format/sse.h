/* Server-sent events: the lines of a streamed answer, in whatever pieces they come.
 *
 *     hn_sse sse;
 *     hn_sse_init(&sse, 1 << 20);
 *     HN_TRY(hn_sse_feed(&sse, bytes, n, on_event, user, &err));   // calls on_event for each whole event
 *     hn_sse_free(&sse);
 *
 * As the HTML standard has it: lines end with \n, \r or \r\n, "data:" lines of one event are joined by \n, comments and other fields are
 * skipped, an event without data is none, what is not ended by an empty line is dropped. Ownership: an event's texts are valid during its
 * call. Threading: one thread. */
#ifndef HN_FORMAT_SSE_H
#define HN_FORMAT_SSE_H

#include "base/buf.h"

typedef struct hn_sse {
    hn_buf line, data;
    char event[64]; /* "" where the event has no name */
    bool after_cr, started;
    size_t max_bytes;
} hn_sse;

/* `event`: its name or ""; false: no more is wanted. */
typedef bool hn_sse_on_event(void *user, const char *event, const char *data, size_t n);

void hn_sse_init(hn_sse *s, size_t max_event_bytes);
/* HN_ERR_LIMIT: an event past the maximum. HN_ERR_INTERRUPTED: on_event said false. */
hn_status hn_sse_feed(hn_sse *s, const char *bytes, size_t n, hn_sse_on_event *on_event, void *user,
                      hn_error *err) HN_MUST_CHECK;
void hn_sse_free(hn_sse *s);

#endif
