/* The head of an HTTP/1.1 request and its chunked body, read strictly: what one reader could take for another request than the next one does is
 * refused, never guessed (RFC 9112, with less patience).
 *
 *     size_t n = hn_http_head_end(bytes, n_bytes);                       // 0: more is needed; HN_HTTP_HEAD_BROKEN: it will never be one
 *     hn_http_head head;
 *     int status = hn_http_head_parse(bytes, n, &head, &err);            // 0, or the HTTP status to refuse with
 *     const char *type = hn_http_field_get(&head, "content-type");
 *     hn_http_head_free(&head);
 *
 * Refused are: line ends other than CRLF, NUL and control characters, white space around a field's name, folded lines, a Content-Length that is
 * repeated, signed or a list, both framings at once, any Transfer-Encoding but `chunked`, a missing or repeated Host, dot segments and encoded
 * slashes in a path. Ownership: a head owns its text. Threading: pure functions. */
#ifndef HN_SERVE_HTTP_REQUEST_H
#define HN_SERVE_HTTP_REQUEST_H

#include "base/buf.h"

#include <stdbool.h>

enum { HN_HTTP_FIELDS_MAX = 64, HN_HTTP_TARGET_MAX = 4096, HN_HTTP_HEAD_MAX = 16 * 1024 };
#define HN_HTTP_HEAD_BROKEN SIZE_MAX

typedef struct hn_http_field {
    const char *name;  /* lower case */
    const char *value; /* without white space around it */
} hn_http_field;

typedef struct hn_http_head {
    const char *method;
    const char *path;  /* decoded, without the query */
    const char *query; /* as it came, without the '?'; "" where there is none */
    int minor;         /* HTTP/1.minor */
    hn_http_field fields[HN_HTTP_FIELDS_MAX];
    size_t n_fields;
    bool keep_alive, expects_continue, chunked;
    int64_t content_length; /* 0 where there is none */
    char *text;             /* all of the above point into it */
} hn_http_head;

/* Bytes up to and including the empty line, at most `n`. A line feed without its carriage return, a NUL, or a first byte that begins no method is
 * HN_HTTP_HEAD_BROKEN at once: nobody waits for the rest. */
size_t hn_http_head_end(const char *bytes, size_t n);
/* `n` as hn_http_head_end said. On refusal `err` says why in words that a client may see, and there is nothing to free. */
int hn_http_head_parse(const char *bytes, size_t n, hn_http_head *head, hn_error *err);
/* The value of a field by its lower-case name, or NULL. Of repeated ones the first. */
const char *hn_http_field_get(const hn_http_head *head, const char *name);
void hn_http_head_free(hn_http_head *head);
/* A name of this machine as `Host` has it: localhost, 127.x.y.z or [::1], with or without a port. */
bool hn_http_host_is_loopback(const char *host);

/* A chunked body in whatever pieces it comes. Extensions and trailers are refused. */
typedef struct hn_http_chunks {
    int state;
    uint64_t left; /* bytes of the chunk that are still to come */
    int n_digits;
    bool over; /* the last chunk and its empty line were read */
} hn_http_chunks;

/* Reads up to `n` bytes into `body`; *used says how many were part of it. 0, or the HTTP status to refuse with (413: past `max_bytes`). */
int hn_http_chunks_read(hn_http_chunks *c, const char *bytes, size_t n, size_t *used, hn_buf *body, size_t max_bytes,
                        hn_error *err);

/* "Not Found" of 404, ... */
const char *hn_http_reason(int status);

#endif
