/* Tokens against goldens; see token_goldens.h. */
#include "token_goldens.h"

#include "base/alloc.h"

#include <jansson.h>
#include <string.h>

static void check_row(const hn_tokenizer *t, json_t *row) {
    json_t *text = json_object_get(row, "text"), *expected = json_object_get(row, "ids");
    const char *bytes = json_string_value(text), *name = json_string_value(json_object_get(row, "name"));
    size_t n = json_string_length(text);
    unsigned flags = json_is_true(json_object_get(row, "special")) ? HN_TOKENIZE_SPECIAL : 0;
    hn_tokens ids = {0};
    hn_error err = {0};
    hn_test_ok(hn_tokenizer_encode(t, bytes, n, flags, &ids, &err), &err);
    for (size_t i = 0; i < json_array_size(expected); i++) {
        int id = (int)json_integer_value(json_array_get(expected, i));
        if (i >= ids.n || ids.ids[i] != id)
            fail_msg("%s: token %zu is %d instead of %d", name ? name : bytes, i, i < ids.n ? ids.ids[i] : -1, id);
    }
    assert_int_equal(ids.n, json_array_size(expected));
    json_t *roundtrip = json_object_get(row, "roundtrip");
    if (!roundtrip || json_is_true(roundtrip)) {
        hn_buf back;
        hn_buf_init(&back, 0);
        hn_test_ok(hn_tokenizer_decode(t, ids.ids, ids.n, true, true, &back, &err), &err);
        if (back.len != n || memcmp(hn_buf_str(&back), bytes, n) != 0)
            fail_msg("%s comes back different", name ? name : bytes);
        hn_buf_free(&back);
    }
    hn_tokens_free(&ids);
}

int hn_test_token_goldens(const hn_tokenizer *t, const char *path) {
    size_t n;
    char *lines = hn_test_read(path, &n);
    int count = 0;
    for (char *line = lines, *end; *line; line = end, count++) {
        end = strchr(line, '\n');
        size_t len = end ? (size_t)(end - line) : strlen(line);
        json_t *row = json_loadb(line, len, JSON_ALLOW_NUL, NULL);
        if (!row) fail_msg("%s:%d is not JSON", path, count + 1);
        check_row(t, row);
        json_decref(row);
        end = line + len + (end != NULL);
    }
    hn_free(lines);
    return count;
}
