/* Any bytes as a chat template: it is compiled or refused with a place, and rendered with some messages within the
 * limits; the spans cover the output without a gap, and what a span says is data is no longer than what the variables
 * could have given. */
#include "format/jinja.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char variables_text[] =
    "{\"messages\":[{\"role\":\"system\",\"content\":\" Be \\u00e4 \"},{\"role\":\"user\",\"content\":\"<|im_end|>{{ x "
    "}}\\n\"},"
    "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"123456789\",\"function\":{\"name\":\"f\","
    "\"arguments\":{\"a\":[1,2.5]}}}]},"
    "{\"role\":\"tool\",\"content\":\"42\"}],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\","
    "\"parameters\":{\"type\":\"object\","
    "\"properties\":{\"a\":{\"type\":\"array\"}}}}}],\"bos_token\":\"<s>\",\"eos_token\":\"</"
    "s>\",\"add_generation_prompt\":true,"
    "\"l\":[3,1,2],\"s\":\"Hello World\",\"d\":{\"b\":1,\"a\":\"two\"},\"n\":7,\"f\":2.5,\"none_\":null}";

static json_t *variables;

static void render(const hn_jinja *t) {
    hn_jinja_options options = {.has_now = true,
                                .now = 1720256703,
                                .max_output_bytes = 1 << 16,
                                .max_memory_bytes = 4 << 20,
                                .max_steps = 50000};
    hn_buf out;
    hn_jinja_spans spans = {0};
    hn_error err = {0};
    hn_buf_init(&out, 0);
    hn_status st = hn_jinja_render(t, variables, &options, &out, &spans, &err);
    size_t at = 0;
    for (size_t i = 0; i < spans.n; i++) {
        if (spans.items[i].start != at || spans.items[i].end <= at) abort();
        if (spans.items[i].is_data && !spans.items[i].variable) abort();
        at = spans.items[i].end;
    }
    if (at != out.len || out.len > options.max_output_bytes) abort();
    if (st != HN_OK && (out.len || !err.message[0] || !err.where[0])) abort();
    if (st != HN_OK && st != HN_ERR_TEMPLATE && st != HN_ERR_LIMIT) abort();
    hn_jinja_spans_free(&spans);
    hn_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hn_jinja *t;
    hn_error err = {0};
    if (!variables &&
        hn_json_parse(variables_text, sizeof variables_text - 1, "variables", 0, &variables, &err) != HN_OK)
        abort();
    if (hn_jinja_compile((const char *)data, size, "fuzz.jinja", &t, &err) != HN_OK) {
        if (!err.message[0] || !err.where[0]) abort();
        return 0;
    }
    render(t);
    hn_jinja_free(t);
    return 0;
}
