/* format/json: errors with their place, limits, JSON Lines, the writer and the getters. */
#include "support.h"

#include "base/alloc.h"
#include "format/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static json_t *parse_ok(const char *text, unsigned flags) {
    json_t *value;
    hn_error err = {0};
    hn_test_ok(hn_json_parse(text, strlen(text), "t", flags, &value, &err), &err);
    return value;
}

static void expect_error(const char *text, size_t n, unsigned flags, const char *where, const char *message) {
    json_t *value = (json_t *)1;
    hn_error err = {0};
    assert_int_equal(hn_json_parse(text, n, "a.json", flags, &value, &err), HN_ERR_INPUT);
    assert_null(value);
    assert_string_equal(err.where, where);
    if (!strstr(err.message, message)) fail_msg("\"%s\" does not hold \"%s\"", err.message, message);
    assert_true(err.hint[0] != 0);
}

static void errors_have_a_place_and_a_remedy(void **state) {
    (void)state;
#define BAD(text, flags, where, message) expect_error(text, sizeof(text) - 1, flags, where, message)
    BAD("{\"a\": 1,\n \"b\" 2}", 0, "a.json:2:6", "':' expected");
    BAD("{\"a\": 1,\n \"a\": 2}", 0, "a.json:2:4", "duplicate");
    BAD("[1, 2", 0, "a.json:1:5", "end of file");
    BAD("", 0, "a.json:1:1", "");
    BAD("3", 0, "a.json:1:1", "must be an object or an array");
    BAD("[1] [2]", 0, "a.json:1:5", "end of file expected");
    BAD("[123456789012345678901]", 0, "a.json:1:22", "too big integer");
    BAD("[1e999]", 0, "a.json:1:6", "overflow");
    BAD("[\"\xff\"]", 0, "a.json:1:2", "0xff");
    BAD("[\"\\u0000\"]", 0, "a.json:1:9", "NUL");
    BAD("{\"a\\u0000b\": 1}", HN_JSON_NUL, "a.json:1:11", "");
    BAD("[NaN]", 0, "a.json:1:4", "");
    BAD("[01]", 0, "a.json:1:2", "");
    BAD("[1]\0", 0, "a.json:1:4", "");
#undef BAD
}

static void depth_is_limited_but_not_inside_strings(void **state) {
    (void)state;
    enum { DEEP = 100000 };
    char *text = hn_alloc(DEEP + 8);
    memset(text, '[', DEEP);
    expect_error(text, DEEP, 0, "a.json:1:513", "deeper than 512");
    text[0] = '[', text[1] = '"', text[DEEP] = '"', text[DEEP + 1] = ']';
    json_t *value;
    hn_error err = {0};
    hn_test_ok(hn_json_parse(text, DEEP + 2, "t", 0, &value, &err), &err);
    json_decref(value);
    memset(text, '[', HN_JSON_DEPTH_MAX);
    memset(text + HN_JSON_DEPTH_MAX, ']', HN_JSON_DEPTH_MAX);
    hn_test_ok(hn_json_parse(text, 2 * HN_JSON_DEPTH_MAX, "t", 0, &value, &err), &err);
    hn_buf out;
    hn_buf_init(&out, 0);
    hn_json_write(value, NULL, &out);
    assert_int_equal(hn_buf_status(&out), HN_OK);
    assert_int_equal(out.len, 2 * HN_JSON_DEPTH_MAX);
    hn_buf_free(&out);
    json_decref(value);
    hn_free(text);
}

static void lines_end_at_newline_only(void **state) {
    (void)state;
    const char text[] = "{\"a\":\"x\xe2\x80\xa8y\xc2\x85z\"}\r\n\n  \n{\"a\":\"\"}\n{\"a\" 3}\n[4]";
    hn_jsonl lines = {.text = text, .n = sizeof text - 1, .name = "d.jsonl"};
    json_t *row;
    hn_error err = {0};
    hn_test_ok(hn_jsonl_next(&lines, &row, &err), &err);
    assert_int_equal(json_string_length(json_object_get(row, "a")), 8);
    assert_int_equal(lines.line, 1);
    json_decref(row);
    hn_test_ok(hn_jsonl_next(&lines, &row, &err), &err);
    assert_int_equal(lines.line, 4);
    json_decref(row);
    assert_int_equal(hn_jsonl_next(&lines, &row, &err), HN_ERR_INPUT);
    assert_string_equal(err.where, "d.jsonl:5:6");
    hn_test_ok(hn_jsonl_next(&lines, &row, &err), &err);
    assert_true(json_is_array(row));
    json_decref(row);
    hn_test_ok(hn_jsonl_next(&lines, &row, &err), &err);
    assert_null(row);
}

static void expect_written(const char *text, const hn_json_style *style, const char *expected) {
    json_t *value = parse_ok(text, HN_JSON_ANY | HN_JSON_NUL);
    hn_buf out;
    hn_buf_init(&out, 0);
    hn_json_write(value, style, &out);
    assert_int_equal(hn_buf_status(&out), HN_OK);
    assert_string_equal(hn_buf_str(&out), expected);
    hn_buf_free(&out);
    json_decref(value);
}

static void writing_keeps_order_and_escapes(void **state) {
    (void)state;
    const char *text = "{\"z\":[1,{}, []],\"a\":{\"k\":null},\"m\":[true,false]}";
    expect_written(text, NULL, "{\"z\":[1,{},[]],\"a\":{\"k\":null},\"m\":[true,false]}");
    expect_written(text, &(hn_json_style){.spaced = true},
                   "{\"z\": [1, {}, []], \"a\": {\"k\": null}, \"m\": [true, false]}");
    expect_written(text, &(hn_json_style){.sort_keys = true},
                   "{\"a\":{\"k\":null},\"m\":[true,false],\"z\":[1,{},[]]}");
    expect_written("{\"z\":[1,{}],\"a\":{\"k\":2}}", &(hn_json_style){.indent = 2},
                   "{\n  \"z\": [\n    1,\n    {}\n  ],\n  \"a\": {\n    \"k\": 2\n  }\n}");
    const char *odd = "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f\\u007f/\xc3\xa9\xf0\x9f\x98\x80\xe2\x80\xa8\"";
    expect_written(odd, NULL, "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f\x7f/\xc3\xa9\xf0\x9f\x98\x80\xe2\x80\xa8\"");
    expect_written(odd, &(hn_json_style){.ascii = true},
                   "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f\\u007f/\\u00e9\\ud83d\\ude00\\u2028\"");
}

/* Expected texts: Python 3's repr, which is the shortest text that reads back. */
static void reals_are_short_and_exact(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {1.0, "1.0"},
        {0.1, "0.1"},
        {-2.5, "-2.5"},
        {1.0 / 3, "0.3333333333333333"},
        {1e15, "1000000000000000.0"},
        {1e16, "1e+16"},
        {1.5e16, "1.5e+16"},
        {123456789012345680.0, "1.2345678901234568e+17"},
        {0.0001, "0.0001"},
        {0.00001, "1e-05"},
        {1.25e-7, "1.25e-07"},
        {5e-324, "5e-324"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {9007199254740993.0, "9007199254740992.0"},
        {100.0, "100.0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hn_buf out;
        hn_buf_init(&out, 0);
        hn_json_write_real(cases[i].value, &out);
        assert_string_equal(hn_buf_str(&out), cases[i].text);
        hn_buf_free(&out);
    }
}

static void getters_say_what_is_wrong(void **state) {
    (void)state;
    json_t *o = parse_ok("{\"name\":\"x\",\"n\":3,\"f\":0.5,\"on\":true,\"list\":[],\"map\":{},\"nil\":null}", 0);
    hn_error err = {0};
    const char *text = NULL;
    int64_t n = 7;
    double f = 1;
    bool on = false;
    json_t *tree = NULL;
    hn_test_ok(hn_json_get_string(o, "w", "name", &text, &err), &err);
    assert_string_equal(text, "x");
    hn_test_ok(hn_json_get_integer(o, "w", "n", 0, 10, &n, &err), &err);
    assert_int_equal(n, 3);
    hn_test_ok(hn_json_get_number(o, "w", "n", &f, &err), &err);
    assert_true(f == 3.0);
    hn_test_ok(hn_json_get_number(o, "w", "f", &f, &err), &err);
    assert_true(f == 0.5);
    hn_test_ok(hn_json_get_bool(o, "w", "on", &on, &err), &err);
    assert_true(on);
    hn_test_ok(hn_json_get_array(o, "w", "list", &tree, &err), &err);
    hn_test_ok(hn_json_get_object(o, "w", "map", &tree, &err), &err);
    hn_test_ok(hn_json_opt_integer(o, "w", "nil", 0, 1, &n, &err), &err);
    hn_test_ok(hn_json_opt_integer(o, "w", "absent", 0, 1, &n, &err), &err);
    assert_int_equal(n, 3);
    assert_int_equal(hn_json_get_number(o, "w", "name", &f, &err), HN_ERR_INPUT);
    assert_string_equal(err.message, "field `name` must be a number, it is a string");
    assert_string_equal(err.where, "w");
    assert_int_equal(hn_json_get_integer(o, "w", "n", 4, 10, &n, &err), HN_ERR_INPUT);
    assert_string_equal(err.message, "field `n` must be from 4 to 10, it is 3");
    assert_int_equal(hn_json_get_string(o, "w", "nmae", &text, &err), HN_ERR_INPUT);
    assert_string_equal(err.message, "field `nmae` is missing");
    assert_int_equal(hn_json_get_bool(json_object_get(o, "list"), "w", "x", &on, &err), HN_ERR_INPUT);
    assert_string_equal(err.message, "must be an object with the field `x`, it is an array");
    static const char *const names[] = {"name", "n", "f", "on", "listing", "map", "nil"};
    assert_int_equal(hn_json_check_fields(o, "w", names, 7, &err), HN_ERR_INPUT);
    assert_string_equal(err.message, "unknown field `list`");
    json_decref(o);
}

static void memory_may_run_out_anywhere(void **state) {
    (void)state;
    const char text[] =
        "{\"a long key that needs its own "
        "block\":[1,2.5,\"text\",{\"b\":[null,true,\"\\u00e9\\n\"]}],\"c\":\"0123456789012345678901234567890123\"}";
    for (int sticky = 0; sticky < 2; sticky++) {
        size_t n = 1;
        for (;; n++) {
            hn_alloc_fail_at(n, sticky);
            json_t *value;
            hn_error err = {0};
            hn_status st = hn_json_parse(text, sizeof text - 1, "t", 0, &value, &err);
            bool reached = hn_alloc_count() >= n;
            hn_alloc_fail_at(0, false);
            if (st == HN_OK) {
                assert_false(reached);
                json_decref(value);
                break;
            }
            assert_int_equal(st, HN_ERR_MEMORY);
        }
        assert_true(n > 10);
    }
}

static void files_are_read_and_saved(void **state) {
    (void)state;
    char folder[HN_PATH_MAX], path[HN_PATH_MAX];
    hn_error err = {0};
    hn_test_folder(folder);
    hn_test_ok(hn_path_join(path, folder, "v.json", &err), &err);
    json_t *value = parse_ok("{\"b\":[0.1],\"a\":2}", 0), *back;
    hn_test_ok(hn_json_save(path, value, NULL, &err), &err);
    hn_test_ok(hn_json_read(path, HN_JSON_FILE_MAX, 0, &back, &err), &err);
    assert_true(json_equal(value, back));
    json_decref(back);
    assert_int_equal(hn_json_read(path, 4, 0, &back, &err), HN_ERR_LIMIT);
    assert_int_equal(hn_json_read("no-such-file.json", 4, 0, &back, &err), HN_ERR_NOT_FOUND);
    json_decref(value);
    hn_test_folder_remove(folder);
}

int main(void) {
    hn_json_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_have_a_place_and_a_remedy), cmocka_unit_test(depth_is_limited_but_not_inside_strings),
        cmocka_unit_test(lines_end_at_newline_only),        cmocka_unit_test(writing_keeps_order_and_escapes),
        cmocka_unit_test(reals_are_short_and_exact),        cmocka_unit_test(getters_say_what_is_wrong),
        cmocka_unit_test(memory_may_run_out_anywhere),      cmocka_unit_test(files_are_read_and_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
