/* Any bytes as HTTP requests: read or refused, and the same whether the bytes come at once or one at a time. */
#include "base/alloc.h"
#include "serve/http_request.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_chunks(const char *bytes, size_t n, size_t piece, hn_buf *body, size_t *used) {
    hn_http_chunks chunks = {0};
    hn_error err;
    int status = 0;
    *used = 0;
    while (*used < n && !chunks.over && status == 0) {
        size_t part, left = n - *used;
        status = hn_http_chunks_read(&chunks, bytes + *used, left < piece ? left : piece, &part, body, 4096, &err);
        *used += part;
    }
    if (body->len > 4096) abort();
    return chunks.over ? -1 : status;
}

static void check_chunks(const char *bytes, size_t n) {
    hn_buf whole, pieces;
    size_t used_whole, used_pieces;
    hn_buf_init(&whole, 0);
    hn_buf_init(&pieces, 0);
    int a = read_chunks(bytes, n, n + 1, &whole, &used_whole), b = read_chunks(bytes, n, 1, &pieces, &used_pieces);
    if (a != b || used_whole != used_pieces || whole.len != pieces.len) abort();
    hn_buf_free(&whole);
    hn_buf_free(&pieces);
}

static void check_head(const hn_http_head *h) {
    if (!h->method || !h->path || !h->query || h->content_length < 0 || h->n_fields > HN_HTTP_FIELDS_MAX) abort();
    if (h->chunked && hn_http_field_get(h, "content-length")) abort();
    if (h->minor == 1 && !hn_http_field_get(h, "host")) abort();
    if (strstr(h->path, "/../") || strchr(h->path, '\\')) abort();
    for (size_t i = 0; i < h->n_fields; i++)
        if (strpbrk(h->fields[i].value, "\r\n") || !*h->fields[i].name) abort();
    if (hn_http_field_get(h, "host")) (void)hn_http_host_is_loopback(hn_http_field_get(h, "host"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *bytes = (const char *)data;
    hn_http_head head;
    hn_error err = {0};
    size_t n = hn_http_head_end(bytes, size);
    if (n == HN_HTTP_HEAD_BROKEN || n == 0) {
        check_chunks(bytes, size);
        return 0;
    }
    if (n > size) abort();
    int status = hn_http_head_parse(bytes, n, &head, &err);
    if (status == 0) {
        check_head(&head);
        hn_http_head_free(&head);
    } else if (status < 400 || !err.message[0]) {
        abort();
    }
    check_chunks(bytes + n, size - n);
    return 0;
}
