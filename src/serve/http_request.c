/* Strict reading of HTTP/1.1 requests; see http_request.h. The head is copied once and cut into strings in place. */
#include "serve/http_request.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static int refuse(hn_error *err, int status, const char *message) {
    hn_status code = status == 413 || status == 414 || status == 431 ? HN_ERR_LIMIT : HN_ERR_INPUT;
    hn_status st = hn_fail(err, code, NULL, NULL, "%s", message);
    (void)st;
    return status;
}

static bool is_token_char(unsigned char c) { return isalnum(c) || (c && strchr("!#$%&'*+-.^_`|~", c)); }

size_t hn_http_head_end(const char *bytes, size_t n) {
    if (n && !isalpha((unsigned char)bytes[0])) return HN_HTTP_HEAD_BROKEN;
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == 0) return HN_HTTP_HEAD_BROKEN;
        if (bytes[i] != '\n') continue;
        if (i == 0 || bytes[i - 1] != '\r') return HN_HTTP_HEAD_BROKEN;
        if (i >= 3 && bytes[i - 2] == '\n') return i + 1;
    }
    return 0;
}

/* ---- the request line ---- */

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static bool has_dot_segment(const char *path) {
    for (const char *part = strchr(path, '/'); part; part = strchr(part, '/')) {
        part++;
        size_t n = strcspn(part, "/");
        if ((n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.')) return true;
        if (n == 0 && *part) return true; /* "//" */
    }
    return false;
}

/* In place. An encoded slash or backslash would mean one path here and another to whoever forwarded it. */
static int decode_path(char *path, hn_error *err) {
    char *out = path;
    for (const char *in = path; *in; in++) {
        int high, low, c = (unsigned char)*in;
        if (*in == '%') {
            high = hex_digit(in[1]);
            low = high < 0 ? -1 : hex_digit(in[2]);
            if (low < 0) return refuse(err, 400, "the path has a % that is not followed by two hexadecimal digits");
            c = high * 16 + low;
            if (c < 0x20 || c == 0x7F || c == '/' || c == '%')
                return refuse(err, 400, "the path has an encoded control character, slash or percent sign");
            in += 2;
        }
        if (c == '\\') return refuse(err, 400, "the path has a backslash");
        *out++ = (char)c;
    }
    *out = 0;
    if (!hn_utf8_valid(path, strlen(path), NULL)) return refuse(err, 400, "the path is not UTF-8");
    return has_dot_segment(path) ? refuse(err, 400, "the path has an empty or a dot segment") : 0;
}

static int read_target(hn_http_head *head, char *target, hn_error *err) {
    if (strlen(target) > HN_HTTP_TARGET_MAX) return refuse(err, 414, "the request's address is too long");
    for (const char *c = target; *c; c++)
        if (*c <= 0x20 || *c == 0x7F || *c == '#')
            return refuse(err, 400, "the request's address has a character that may not stand there");
    if (strncasecmp(target, "http://", 7) == 0) { /* the absolute form, as to a proxy */
        target += 7 + strcspn(target + 7, "/?");
        if (*target != '/') return refuse(err, 400, "the request's address has no path");
    }
    bool whole_server = strcmp(target, "*") == 0 && strcmp(head->method, "OPTIONS") == 0;
    if (target[0] != '/' && !whole_server) return refuse(err, 400, "the request's address does not begin with /");
    char *query = strchr(target, '?');
    head->query = query ? query + 1 : "";
    if (query) *query = 0;
    head->path = target;
    return decode_path(target, err);
}

static int read_request_line(hn_http_head *head, char *line, hn_error *err) {
    static const char *const known[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"};
    char *target = strchr(line, ' '), *version = target ? strchr(target + 1, ' ') : NULL;
    bool method = false;
    if (!version || strchr(version + 1, ' ')) return refuse(err, 400, "the request line is not METHOD ADDRESS VERSION");
    *target++ = 0;
    *version++ = 0;
    if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0) {
        bool http = strncmp(version, "HTTP/", 5) == 0 && isdigit((unsigned char)version[5]);
        return http ? refuse(err, 505, "this server speaks HTTP/1.1")
                    : refuse(err, 400, "the request line has no HTTP version");
    }
    head->minor = version[7] - '0';
    for (const char *c = line; *c; c++)
        if (!is_token_char((unsigned char)*c))
            return refuse(err, 400, "the method has a character that is not allowed");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) method = method || strcmp(line, known[i]) == 0;
    if (!method) return refuse(err, 501, "the request's method is not known");
    head->method = line;
    return read_target(head, target, err);
}

/* ---- fields ---- */

static int read_field(hn_http_head *head, char *line, hn_error *err) {
    char *colon = strchr(line, ':');
    if (line[0] == ' ' || line[0] == '\t') return refuse(err, 400, "a header field is folded over several lines");
    if (!colon || colon == line) return refuse(err, 400, "a header field has no name");
    for (char *c = line; c < colon; c++) {
        if (!is_token_char((unsigned char)*c))
            return refuse(err, 400, "a header field's name has a character that is not allowed");
        *c = (char)tolower((unsigned char)*c);
    }
    *colon = 0;
    char *value = colon + 1, *end = value + strlen(value);
    while (*value == ' ' || *value == '\t') value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t')) *--end = 0;
    for (const char *c = value; *c; c++)
        if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7F)
            return refuse(err, 400, "a header field's value has a control character");
    if (head->n_fields == HN_HTTP_FIELDS_MAX) return refuse(err, 431, "the request has too many header fields");
    head->fields[head->n_fields++] = (hn_http_field){line, value};
    return 0;
}

static size_t count_fields(const hn_http_head *head, const char *name) {
    size_t n = 0;
    for (size_t i = 0; i < head->n_fields; i++) n += strcmp(head->fields[i].name, name) == 0;
    return n;
}

const char *hn_http_field_get(const hn_http_head *head, const char *name) {
    for (size_t i = 0; i < head->n_fields; i++)
        if (strcmp(head->fields[i].name, name) == 0) return head->fields[i].value;
    return NULL;
}

/* ---- what the fields mean ---- */

static int read_length(hn_http_head *head, const char *text, hn_error *err) {
    size_t n = strlen(text);
    if (n == 0) return refuse(err, 400, "Content-Length is empty");
    for (const char *c = text; *c; c++)
        if (!isdigit((unsigned char)*c)) return refuse(err, 400, "Content-Length is not a number of digits alone");
    if (n > 18) return refuse(err, 413, "the request's body is too large");
    for (const char *c = text; *c; c++) head->content_length = head->content_length * 10 + (*c - '0');
    return 0;
}

static int read_framing(hn_http_head *head, hn_error *err) {
    size_t n_lengths = count_fields(head, "content-length"), n_codings = count_fields(head, "transfer-encoding");
    if (n_lengths > 1) return refuse(err, 400, "Content-Length is repeated");
    if (n_lengths && n_codings) return refuse(err, 400, "Content-Length stands beside Transfer-Encoding");
    if (n_codings > 1) return refuse(err, 400, "Transfer-Encoding is repeated");
    if (n_codings) {
        if (head->minor == 0) return refuse(err, 400, "HTTP/1.0 has no Transfer-Encoding");
        if (strcasecmp(hn_http_field_get(head, "transfer-encoding"), "chunked") != 0)
            return refuse(err, 501, "the only Transfer-Encoding that is understood is chunked");
        head->chunked = true;
    }
    return n_lengths ? read_length(head, hn_http_field_get(head, "content-length"), err) : 0;
}

static int read_host(const hn_http_head *head, hn_error *err) {
    size_t n = count_fields(head, "host");
    const char *host = hn_http_field_get(head, "host");
    if (n > 1) return refuse(err, 400, "Host is repeated");
    if (!host) return head->minor == 0 ? 0 : refuse(err, 400, "Host is missing");
    if (!*host && head->minor > 0) return refuse(err, 400, "Host is empty");
    for (const char *c = host; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr(".-_:[]%~", *c))
            return refuse(err, 400, "Host has a character that is not allowed");
    return 0;
}

/* Whether the comma-separated list has the word. */
static bool lists(const char *value, const char *word) {
    size_t n = strlen(word);
    for (const char *at = value; at && *at;) {
        at += strspn(at, " \t,");
        size_t length = strcspn(at, ",");
        size_t used = length;
        while (used && (at[used - 1] == ' ' || at[used - 1] == '\t')) used--;
        if (used == n && strncasecmp(at, word, n) == 0) return true;
        at += length;
    }
    return false;
}

static int read_meaning(hn_http_head *head, hn_error *err) {
    int status = read_framing(head, err);
    if (status == 0) status = read_host(head, err);
    if (status) return status;
    const char *expect = hn_http_field_get(head, "expect");
    head->keep_alive = head->minor == 1;
    for (size_t i = 0; i < head->n_fields; i++) {
        if (strcmp(head->fields[i].name, "connection") != 0) continue;
        if (lists(head->fields[i].value, "close")) head->keep_alive = false;
    }
    if (expect && strcasecmp(expect, "100-continue") != 0) return refuse(err, 417, "Expect asks for what is not known");
    head->expects_continue = expect && head->minor == 1;
    return 0;
}

static int parse(hn_http_head *head, size_t n, hn_error *err) {
    char *line = head->text, *end = head->text + n - 2; /* the empty line's CRLF is left out */
    bool first = true;
    while (line < end) {
        char *stop = memchr(line, '\n', (size_t)(end - line));
        if (!stop || stop == line || stop[-1] != '\r') return refuse(err, 400, "a line does not end with CRLF");
        stop[-1] = 0;
        if (strlen(line) != (size_t)(stop - 1 - line)) return refuse(err, 400, "the head has a NUL byte");
        if (strchr(line, '\r')) return refuse(err, 400, "a line has a carriage return inside");
        int status = first ? read_request_line(head, line, err) : read_field(head, line, err);
        if (status) return status;
        first = false;
        line = stop + 1;
    }
    return first ? refuse(err, 400, "there is no request line") : read_meaning(head, err);
}

int hn_http_head_parse(const char *bytes, size_t n, hn_http_head *head, hn_error *err) {
    *head = (hn_http_head){0};
    if (n < 4 || n > HN_HTTP_HEAD_MAX) return refuse(err, 431, "the request's head is too large");
    head->text = hn_strndup(bytes, n);
    if (!head->text) return refuse(err, 503, "memory is used up");
    int status = 0;
    if (strlen(head->text) != n) status = refuse(err, 400, "the head has a NUL byte");
    if (status == 0) status = parse(head, n, err);
    if (status) hn_http_head_free(head);
    return status;
}

void hn_http_head_free(hn_http_head *head) {
    hn_free(head->text);
    *head = (hn_http_head){0};
}

bool hn_http_host_is_loopback(const char *host) {
    size_t n = host[0] == '[' ? strcspn(host, "]") + (strchr(host, ']') != NULL) : strcspn(host, ":");
    if (host[n] && host[n] != ':') return false;
    for (const char *c = host[n] ? host + n + 1 : ""; *c; c++)
        if (!isdigit((unsigned char)*c)) return false;
    if (n == 9 && strncasecmp(host, "localhost", 9) == 0) return true;
    if (n == 5 && strncmp(host, "[::1]", 5) == 0) return true;
    unsigned a, b, c, d;
    char rest, name[16];
    if (n >= sizeof name) return false;
    snprintf(name, sizeof name, "%.*s", (int)n, host);
    if (sscanf(name, "%3u.%3u.%3u.%3u%c", &a, &b, &c, &d, &rest) != 4) return false;
    return a == 127 && b < 256 && c < 256 && d < 256;
}

/* ---- chunks ---- */

enum { SIZE, SIZE_LF, DATA, DATA_CR, DATA_LF, LAST_CR, LAST_LF };

static int read_size(hn_http_chunks *c, char byte, size_t have, size_t max_bytes, hn_error *err) {
    int digit = hex_digit(byte);
    if (byte == '\r' && c->n_digits) {
        c->state = SIZE_LF;
        return 0;
    }
    if (digit < 0) return refuse(err, 400, "a chunk's size is not hexadecimal digits alone");
    if (++c->n_digits > 12) return refuse(err, 413, "a chunk is too large");
    c->left = c->left * 16 + (uint64_t)digit;
    if (c->left > max_bytes || have > max_bytes - (size_t)c->left)
        return refuse(err, 413, "the request's body is too large");
    return 0;
}

static int read_mark(hn_http_chunks *c, char byte, hn_error *err) {
    bool cr = c->state == DATA_CR || c->state == LAST_CR;
    if (byte != (cr ? '\r' : '\n'))
        return refuse(err, 400,
                      c->state == LAST_CR ? "the chunked body has trailers" : "a chunk does not end with CRLF");
    switch (c->state) {
    case SIZE_LF: c->state = c->left ? DATA : LAST_CR; break;
    case DATA_CR: c->state = DATA_LF; break;
    case DATA_LF:
        c->state = SIZE;
        c->n_digits = 0;
        c->left = 0;
        break;
    case LAST_CR: c->state = LAST_LF; break;
    default: c->over = true; break;
    }
    return 0;
}

int hn_http_chunks_read(hn_http_chunks *c, const char *bytes, size_t n, size_t *used, hn_buf *body, size_t max_bytes,
                        hn_error *err) {
    int status = 0;
    size_t i = 0;
    while (i < n && !c->over && status == 0) {
        if (c->state == DATA) {
            size_t take = n - i < c->left ? n - i : (size_t)c->left;
            hn_buf_append(body, bytes + i, take);
            i += take;
            c->left -= take;
            if (c->left == 0) c->state = DATA_CR;
            continue;
        }
        status = c->state == SIZE ? read_size(c, bytes[i], body->len, max_bytes, err) : read_mark(c, bytes[i], err);
        i++;
    }
    *used = i;
    return status;
}

const char *hn_http_reason(int status) {
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {{200, "OK"},
                   {204, "No Content"},
                   {400, "Bad Request"},
                   {401, "Unauthorized"},
                   {402, "Payment Required"},
                   {403, "Forbidden"},
                   {404, "Not Found"},
                   {405, "Method Not Allowed"},
                   {408, "Request Timeout"},
                   {409, "Conflict"},
                   {411, "Length Required"},
                   {413, "Content Too Large"},
                   {414, "URI Too Long"},
                   {415, "Unsupported Media Type"},
                   {417, "Expectation Failed"},
                   {421, "Misdirected Request"},
                   {422, "Unprocessable Content"},
                   {429, "Too Many Requests"},
                   {431, "Request Header Fields Too Large"},
                   {500, "Internal Server Error"},
                   {501, "Not Implemented"},
                   {502, "Bad Gateway"},
                   {503, "Service Unavailable"},
                   {504, "Gateway Timeout"},
                   {505, "HTTP Version Not Supported"},
                   {507, "Insufficient Storage"}};
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == status) return reasons[i].reason;
    return status < 400 ? "OK" : status < 500 ? "Bad Request" : "Internal Server Error";
}
