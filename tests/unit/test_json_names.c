/* format/json_names: repeated names are noticed in the object that is open, whatever pieces the text comes in. */
#include "support.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "format/json.h"
#include "format/json_names.h"

#include <string.h>

/* Bytes that are taken before a repeated name, in pieces of `piece` bytes. */
static size_t taken(const char *text, size_t piece) {
    hn_json_names *names = hn_json_names_create();
    size_t n = strlen(text), at = 0;
    bool repeated = false;
    hn_error err = {0};
    assert_non_null(names);
    while (at < n && !repeated) {
        size_t now = n - at < piece ? n - at : piece;
        hn_test_ok(hn_json_names_accept(names, text + at, now, &repeated, &err), &err);
        if (!repeated) at += now;
    }
    hn_json_names_free(names);
    return at;
}

static void repeats_are_noticed(void **state) {
    (void)state;
    static const char *const repeating[] = {
        "{\"a\":1,\"a\"",
        "{\"a\":{\"a\":[\"a\",\"a\"]},\"b\":{\"a\":1},\"a\"",
        "[{\"x\":1},{\"x\":1,\n  \"y\": {},\n  \"x\"",
        "{\"\":0,\"\"",
        "{\"\\u0061b\":1,\"a\\u0062\"",
        "{\"\\ud83d\\ude00\":1,\"\xF0\x9F\x98\x80\"",
        "{\"q\\\"\":1,\"q\\u0022\"",
        "{\"\\n\":1,\"\\u000a\"",
        "{\"a\":\"},{\\\"a\",\"a\"",
    };
    for (size_t i = 0; i < sizeof repeating / sizeof *repeating; i++) {
        size_t n = strlen(repeating[i]);
        for (size_t piece = 1; piece <= n; piece++) {
            size_t got = taken(repeating[i], piece);
            assert_true(got < n && n - got <= piece);
        }
    }
}

static void other_names_are_not(void **state) {
    (void)state;
    static const char text[] = "{\"a\":{\"a\":[{\"a\":\"a\"},{\"a\":\"\\\"a\\\"\"}],\"A\":\"a\"},\"aa\":[\"a\",\"a\"],"
                               "\"\":{},\"b\":\"{\\\"a\\\"\"}";
    for (size_t piece = 1; piece < sizeof text; piece++) assert_int_equal(taken(text, piece), sizeof text - 1);
}

/* After a refusal another name goes on. */
static void a_refusal_changes_nothing(void **state) {
    (void)state;
    hn_json_names *names = hn_json_names_create();
    bool repeated;
    hn_error err = {0};
    hn_test_ok(hn_json_names_accept(names, "{\"a\":{\"b\":1},\"", 14, &repeated, &err), &err);
    assert_false(repeated);
    hn_test_ok(hn_json_names_accept(names, "a\":{\"b\":2}}", 11, &repeated, &err), &err);
    assert_true(repeated);
    hn_test_ok(hn_json_names_accept(names, "b\":[1,", 6, &repeated, &err), &err);
    assert_false(repeated);
    hn_test_ok(hn_json_names_accept(names, "2],\"b\"", 6, &repeated, &err), &err);
    assert_true(repeated);
    hn_json_names_free(names);
}

/* Random JSON-like bytes: jansson's refusal of duplicates agrees. */
static void agrees_with_the_parser(void **state) {
    (void)state;
    static const char *const parts[] = {
        "{", "}", "[", "]", ",", "\"a\":", "\"b\":", "1", "\"a\"", "{}", "\"\\u0061\":"};
    hn_rng rng;
    size_t n_repeated = 0;
    hn_rng_seed(&rng, 3, 0);
    for (int i = 0; i < 200000; i++) {
        hn_buf text;
        json_t *value;
        hn_error err = {0};
        hn_buf_init(&text, 0);
        hn_buf_append_str(&text, "{\"a\":");
        for (size_t k = hn_rng_below(&rng, 7); k; k--) hn_buf_append_str(&text, parts[hn_rng_below(&rng, 11)]);
        hn_buf_append_str(&text, "}");
        hn_status st = hn_json_parse(text.data, text.len, "t", 0, &value, &err);
        bool repeated = st != HN_OK && strstr(err.message, "duplicate");
        if (st == HN_OK) assert_int_equal(taken(text.data, 3), text.len);
        if (repeated) assert_true(taken(text.data, 3) < text.len);
        n_repeated += repeated;
        if (st == HN_OK) json_decref(value);
        hn_buf_free(&text);
    }
    assert_true(n_repeated > 100);
}

static void limits_and_memory(void **state) {
    (void)state;
    hn_error err = {0};
    bool repeated;
    hn_status st = HN_OK;
    hn_json_names *names = hn_json_names_create();
    hn_buf text; /* the deepest text that is taken is the deepest that is read */
    hn_buf_init(&text, 0);
    for (bool refused = false; !refused && text.len < 20000;) {
        hn_test_ok(hn_json_names_accept(names, "[", 1, &refused, &err), &err);
        if (!refused) hn_buf_append_char(&text, '[');
    }
    assert_int_equal(text.len, HN_JSON_DEPTH_MAX);
    hn_test_ok(hn_json_names_accept(names, "]", 1, &repeated, &err), &err);
    hn_test_ok(hn_json_names_accept(names, ",[[", 3, &repeated, &err), &err);
    assert_true(repeated); /* as a whole: the first of both brackets was not taken */
    hn_test_ok(hn_json_names_accept(names, ",{\"a", 4, &repeated, &err), &err);
    assert_false(repeated);
    hn_json_names_free(names);
    for (size_t i = 0, n = text.len; i < n; i++) hn_buf_append_char(&text, ']');
    json_t *value = NULL;
    hn_test_ok(hn_json_parse(hn_buf_str(&text), text.len, "deep", 0, &value, &err), &err);
    json_decref(value);
    hn_buf_free(&text);
    for (size_t n = 1;; n++) {
        hn_alloc_fail_at(n, true);
        names = hn_json_names_create();
        st = names ? hn_json_names_accept(names, "{\"a\":1,\"b\":{\"", 13, &repeated, &err) : HN_ERR_MEMORY;
        if (st == HN_OK) st = hn_json_names_accept(names, "c\":2}", 5, &repeated, &err);
        hn_alloc_fail_at(0, false);
        hn_json_names_free(names);
        if (st == HN_OK) break;
        assert_int_equal(st, HN_ERR_MEMORY);
    }
}

int main(void) {
    hn_json_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repeats_are_noticed),       cmocka_unit_test(other_names_are_not),
        cmocka_unit_test(a_refusal_changes_nothing), cmocka_unit_test(agrees_with_the_parser),
        cmocka_unit_test(limits_and_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
