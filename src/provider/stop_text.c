/* An answer's text and its stop texts; see stop_text.h. Surprise: text that is the beginning of a stop text is held back even when a
 * whole token lies in it, so a token may give nothing and a later one several tokens' text. */
#include "provider/stop_text.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <string.h>

enum { STOPS_MAX = 64, STOP_BYTES_MAX = 4096 };

hn_status hn_stop_text_init(hn_stop_text *t, const char *const *stops, size_t n_stops, hn_error *err) {
    *t = (hn_stop_text){0};
    hn_buf_init(&t->text, 0);
    if (n_stops > STOPS_MAX)
        return hn_fail(err, HN_ERR_LIMIT, "stop", NULL, "there are %zu stop texts, the limit is %d", n_stops,
                       STOPS_MAX);
    if (n_stops == 0) return HN_OK;
    t->stops = hn_calloc(n_stops, sizeof *t->stops);
    t->stop_bytes = hn_calloc(n_stops, sizeof *t->stop_bytes);
    bool enough = t->stops && t->stop_bytes;
    for (size_t i = 0; enough && i < n_stops; i++) {
        size_t n = strlen(stops[i]);
        if (n == 0 || n > STOP_BYTES_MAX) {
            hn_stop_text_free(t);
            return hn_fail(err, HN_ERR_INPUT, "stop", "leave it out",
                           n ? "a stop text has %zu bytes, the limit is %d" : "a stop text is empty (%zu of %d bytes)",
                           n, STOP_BYTES_MAX);
        }
        t->stops[i] = hn_strndup(stops[i], n);
        t->stop_bytes[i] = n;
        t->n_stops = i + 1;
        if (n > t->longest) t->longest = n;
        enough = t->stops[i] != NULL;
    }
    if (enough) return HN_OK;
    hn_stop_text_free(t);
    return hn_fail_memory(err, n_stops * sizeof *t->stops);
}

void hn_stop_text_free(hn_stop_text *t) {
    for (size_t i = 0; i < t->n_stops; i++) hn_free(t->stops[i]);
    hn_free(t->stops);
    hn_free(t->stop_bytes);
    hn_buf_free(&t->text);
    *t = (hn_stop_text){0};
}

/* The earliest complete stop text that the bytes from `from` on can hold; SIZE_MAX: none. */
static size_t find_stop(const hn_stop_text *t, size_t from) {
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < t->n_stops; i++) {
        const char *hit = memmem(t->text.data + from, t->text.len - from, t->stops[i], t->stop_bytes[i]);
        if (hit && (size_t)(hit - t->text.data) < best) best = (size_t)(hit - t->text.data);
    }
    return best;
}

/* Where the longest end of the text that begins some stop text starts. */
static size_t hold_from(const hn_stop_text *t) {
    size_t most = t->longest ? t->longest - 1 : 0;
    if (most > t->text.len) most = t->text.len;
    for (size_t n = most; n > 0; n--)
        for (size_t i = 0; i < t->n_stops; i++)
            if (n < t->stop_bytes[i] && memcmp(t->text.data + t->text.len - n, t->stops[i], n) == 0)
                return t->text.len - n;
    return t->text.len;
}

/* Of the bytes from `from` to `to`, the end of the last whole character; an invalid byte counts as one. */
static size_t whole_characters(const char *text, size_t from, size_t to) {
    size_t back = 1;
    while (back < 4 && back < to - from && ((unsigned char)text[to - back] & 0xC0) == 0x80) back++;
    if (to == from) return to;
    unsigned char head = (unsigned char)text[to - back];
    size_t length = head >= 0xF0 && head < 0xF8 ? 4 : head >= 0xE0 ? 3 : head >= 0xC2 ? 2 : 1;
    if (head >= 0xF8 || (head & 0xC0) == 0x80) length = 1;
    return length > back ? to - back : to;
}

hn_status hn_stop_text_add(hn_stop_text *t, const char *bytes, size_t n, hn_str *given, bool *stopped, hn_error *err) {
    size_t before = t->text.len;
    *given = (hn_str){NULL, 0};
    *stopped = false;
    if (n == 0 || t->stopped) return HN_OK;
    hn_buf_append(&t->text, bytes, n);
    HN_TRY(hn_buf_check(&t->text, "an answer", err));
    size_t from = before + 1 > t->longest ? before + 1 - t->longest : 0;
    size_t stop = t->n_stops ? find_stop(t, from) : SIZE_MAX, to;
    if (stop != SIZE_MAX) {
        *stopped = t->stopped = true;
        hn_buf_truncate(&t->text, stop);
        to = stop;
    } else {
        to = hold_from(t);
    }
    if (to > t->given) to = whole_characters(t->text.data, t->given, to);
    if (to <= t->given) return HN_OK;
    *given = (hn_str){t->text.data + t->given, to - t->given};
    t->given = to;
    return HN_OK;
}

hn_status hn_stop_text_end(hn_stop_text *t, hn_str *given, hn_error *err) {
    *given = (hn_str){NULL, 0};
    size_t whole = t->text.len > t->given ? whole_characters(t->text.data, t->given, t->text.len) : t->text.len;
    if (whole < t->text.len) { /* half a character: nothing will complete it */
        hn_buf_truncate(&t->text, whole);
        hn_buf_append_codepoint(&t->text, HN_UTF8_REPLACEMENT);
        HN_TRY(hn_buf_check(&t->text, "an answer", err));
    }
    if (t->text.len > t->given) *given = (hn_str){t->text.data + t->given, t->text.len - t->given};
    t->given = t->text.len;
    return HN_OK;
}
