/* Any bytes as JSON and as JSON Lines: read or refused with a place; what was read is written, and reads back as the
 * same value. */
#include "format/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_and_read(const json_t *value) {
    static const hn_json_style styles[] = {{0}, {.indent = 2}, {.ascii = true, .spaced = true}, {.sort_keys = true}};
    for (size_t i = 0; i < sizeof styles / sizeof *styles; i++) {
        hn_buf text;
        json_t *back;
        hn_error err = {0};
        hn_buf_init(&text, 0);
        hn_json_write(value, &styles[i], &text);
        if (hn_buf_status(&text) != HN_OK) abort();
        if (hn_json_parse(hn_buf_str(&text), text.len, "back", HN_JSON_ANY | HN_JSON_NUL, &back, &err) != HN_OK)
            abort();
        if (!json_equal(value, back)) abort();
        json_decref(back);
        hn_buf_free(&text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_t *value;
    hn_error err = {0};
    hn_json_init();
    if (hn_json_parse((const char *)data, size, "fuzz.json", HN_JSON_ANY | HN_JSON_NUL, &value, &err) == HN_OK) {
        write_and_read(value);
        json_decref(value);
    } else if (!err.message[0] || !err.where[0]) {
        abort();
    }
    hn_jsonl lines = {.text = (const char *)data, .n = size, .name = "fuzz.jsonl"};
    while (lines.at < size) {
        size_t before = lines.at;
        if (hn_jsonl_next(&lines, &value, &err) == HN_OK) json_decref(value);
        if (lines.at <= before) abort();
    }
    return 0;
}
