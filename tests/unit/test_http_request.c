/* Reading HTTP requests: what RFC 9112 says of each form is the oracle. The whole server is tested with bytes in tests/cli/serve.sh. */
#include "support.h"

#include "base/alloc.h"
#include "serve/http_request.h"

#include <stdio.h>
#include <string.h>

static int parse(const char *text, hn_http_head *head) {
    hn_error err = {0};
    size_t n = hn_http_head_end(text, strlen(text));
    if (n == HN_HTTP_HEAD_BROKEN || n == 0) return n == 0 ? -1 : 400;
    int status = hn_http_head_parse(text, n, head, &err);
    if (status) assert_true(err.message[0]);
    return status;
}

static void test_fields(void **state) {
    hn_http_head h;
    (void)state;
    assert_int_equal(
        parse("POST /v1/a%20b/%C3%A9?x=1%20&y HTTP/1.1\r\nHost: localhost:80\r\nX-Name: \t some value \t\r\n"
              "Content-Length: 0042\r\nConnection: Keep-Alive, Close\r\nExpect: 100-Continue\r\n\r\nbody",
              &h),
        0);
    assert_string_equal(h.method, "POST");
    assert_string_equal(h.path, "/v1/a b/\xC3\xA9");
    assert_string_equal(h.query, "x=1%20&y");
    assert_string_equal(hn_http_field_get(&h, "x-name"), "some value");
    assert_null(hn_http_field_get(&h, "x-other"));
    assert_int_equal(h.content_length, 42);
    assert_true(h.expects_continue && !h.keep_alive && !h.chunked && h.minor == 1);
    hn_http_head_free(&h);
    assert_int_equal(parse("GET http://example.org/a HTTP/1.0\r\n\r\n", &h), 0);
    assert_string_equal(h.path, "/a");
    assert_false(h.keep_alive);
    hn_http_head_free(&h);
    assert_int_equal(parse("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", &h), 0);
    hn_http_head_free(&h);
}

static void test_ends(void **state) {
    const char *text = "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET";
    (void)state;
    for (size_t n = 0; n < strlen(text) - 3; n++) assert_int_equal(hn_http_head_end(text, n), 0);
    assert_int_equal(hn_http_head_end(text, strlen(text)), strlen(text) - 3);
    assert_true(hn_http_head_end("GET / HTTP/1.1\n", 15) == HN_HTTP_HEAD_BROKEN);
    assert_true(hn_http_head_end("\x16\x03", 2) == HN_HTTP_HEAD_BROKEN);
    assert_true(hn_http_head_end("GET /\0 ", 7) == HN_HTTP_HEAD_BROKEN);
}

static void test_refused(void **state) {
    static const struct {
        int status;
        const char *line, *fields;
    } cases[] = {
        {400, "POST / HTTP/1.1", "Host: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n"},
        {400, "POST / HTTP/1.1", "Host: a\r\nContent-Length: +3\r\n"},
        {400, "POST / HTTP/1.1", "Host: a\r\nContent-Length: 3 3\r\n"},
        {400, "POST / HTTP/1.1", "Host: a\r\nContent-Length: 3,3\r\n"},
        {413, "POST / HTTP/1.1", "Host: a\r\nContent-Length: 9999999999999999999\r\n"},
        {400, "POST / HTTP/1.1", "Host: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n"},
        {501, "POST / HTTP/1.1", "Host: a\r\nTransfer-Encoding: chunked, chunked\r\n"},
        {400, "POST / HTTP/1.1", ""},
        {400, "POST / HTTP/1.1", "Host:\r\n"},
        {400, "POST / HTTP/1.1", "Host: a\r\nHost: a\r\n"},
        {400, "POST / HTTP/1.1", "Host: a/b\r\n"},
        {400, "POST / HTTP/1.1", "Host: a\r\nA : b\r\n"},
        {400, "POST / HTTP/1.1", "Host: a\r\nno colon\r\n"},
        {400, "POST / HTTP/1.1", "Host: a\r\n folded: b\r\n"},
        {400, "POST / HTTP/1.1", "Host: a\r\nX: a\x7f\r\n"},
        {400, "POST /a%zz HTTP/1.1", "Host: a\r\n"},
        {400, "POST /a/../b HTTP/1.1", "Host: a\r\n"},
        {400, "POST /a/%2E%2e HTTP/1.1", "Host: a\r\n"},
        {400, "POST //a HTTP/1.1", "Host: a\r\n"},
        {400, "POST /a%5cb HTTP/1.1", "Host: a\r\n"},
        {400, "POST /a%252fb HTTP/1.1", "Host: a\r\n"},
        {400, "POST a HTTP/1.1", "Host: a\r\n"},
        {400, "POST /\xff HTTP/1.1", "Host: a\r\n"},
        {400, "POST /a HTTP/1.1 ", "Host: a\r\n"},
        {400, "POST /a http/1.1", "Host: a\r\n"},
        {505, "POST /a HTTP/3.0", "Host: a\r\n"},
        {501, "post /a HTTP/1.1", "Host: a\r\n"},
        {417, "POST /a HTTP/1.1", "Host: a\r\nExpect: x\r\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        hn_http_head h;
        snprintf(text, sizeof text, "%s\r\n%s\r\n", cases[i].line, cases[i].fields);
        int status = parse(text, &h);
        if (status != cases[i].status) fail_msg("%s gave %d, not %d", text, status, cases[i].status);
        assert_null(h.text);
    }
}

static void test_chunks(void **state) {
    static const char text[] = "5\r\nhello\r\n00A\r\n, world \r\n\r\n0\r\n\r\nGET /";
    size_t body_end = strlen(text) - 5;
    (void)state;
    for (size_t piece = 1; piece < sizeof text; piece++) {
        hn_http_chunks c = {0};
        hn_buf body;
        hn_error err;
        size_t at = 0, used;
        hn_buf_init(&body, 0);
        while (!c.over) {
            size_t left = strlen(text) - at;
            assert_int_equal(hn_http_chunks_read(&c, text + at, left < piece ? left : piece, &used, &body, 15, &err),
                             0);
            at += used;
        }
        assert_int_equal(at, body_end);
        assert_string_equal(hn_buf_str(&body), "hello, world \r\n");
        hn_buf_free(&body);
    }
    static const struct {
        int status;
        const char *text;
    } bad[] = {{400, "\r\n"},
               {400, "x"},
               {400, "5 \r\n"},
               {400, "5\n"},
               {400, "1\r\nab"},
               {413, "10\r\n"},
               {413, "a\r\n0123456789\r\n6\r\n"},
               {413, "fffffffffffffffffff"},
               {400, "0\r\nX: y\r\n\r\n"},
               {400, "-1\r\n"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hn_http_chunks c = {0};
        hn_buf body;
        hn_error err;
        size_t used;
        hn_buf_init(&body, 0);
        assert_int_equal(hn_http_chunks_read(&c, bad[i].text, strlen(bad[i].text), &used, &body, 15, &err),
                         bad[i].status);
        assert_false(c.over);
        hn_buf_free(&body);
    }
}

static void test_hosts(void **state) {
    static const char *const own[] = {"localhost", "LOCALHOST:80", "127.0.0.1", "127.9.9.9:8080", "[::1]", "[::1]:80"};
    static const char *const others[] = {"example.org",
                                         "localhost.example.org",
                                         "127.0.0.1.example.org",
                                         "127.0.0.256",
                                         "[::2]",
                                         "128.0.0.1",
                                         "localhost:80x",
                                         "[::1",
                                         "",
                                         "127.1"};
    (void)state;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) assert_true(hn_http_host_is_loopback(own[i]));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) assert_false(hn_http_host_is_loopback(others[i]));
}

static void test_memory(void **state) {
    hn_http_head h;
    hn_error err;
    const char *text = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    (void)state;
    hn_alloc_fail_at(1, true);
    assert_int_equal(hn_http_head_parse(text, strlen(text), &h, &err), 503);
    hn_alloc_fail_at(0, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fields),  cmocka_unit_test(test_ends),
                                       cmocka_unit_test(test_refused), cmocka_unit_test(test_chunks),
                                       cmocka_unit_test(test_hosts),   cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
