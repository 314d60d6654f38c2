/* The text of an answer as it grows token by token: whole characters only, nothing that may yet become a stop text.
 *
 *     hn_stop_text t;
 *     HN_TRY(hn_stop_text_init(&t, stops, n_stops, &err));
 *     HN_TRY(hn_stop_text_add(&t, piece, n, &given, &stopped, &err));   // `given`: what may be shown now
 *     HN_TRY(hn_stop_text_end(&t, &given, &err));                       // the rest, once no more comes
 *     hn_stop_text_free(&t);
 *
 * A stop text may begin and end inside tokens and inside characters. Ownership: slices point into `text` and are valid until the next
 * call. Threading: one thread. */
#ifndef HN_PROVIDER_STOP_TEXT_H
#define HN_PROVIDER_STOP_TEXT_H

#include "base/buf.h"
#include "base/str.h"

typedef struct hn_stop_text {
    hn_buf text;  /* all of the answer so far; ends before the stop text once `stopped` */
    size_t given; /* bytes of it that were given out */
    char **stops; /* owned copies */
    size_t *stop_bytes, n_stops, longest;
    bool stopped;
} hn_stop_text;

/* Copies the stop texts; an empty one is HN_ERR_INPUT. */
hn_status hn_stop_text_init(hn_stop_text *t, const char *const *stops, size_t n_stops, hn_error *err) HN_MUST_CHECK;
/* Appends a token's bytes. *stopped: a stop text is complete; of several the one that begins first counts. */
hn_status hn_stop_text_add(hn_stop_text *t, const char *bytes, size_t n, hn_str *given, bool *stopped,
                           hn_error *err) HN_MUST_CHECK;
/* What was held back; half a character at the end of an answer is given as U+FFFD. */
hn_status hn_stop_text_end(hn_stop_text *t, hn_str *given, hn_error *err) HN_MUST_CHECK;
void hn_stop_text_free(hn_stop_text *t);

#endif
