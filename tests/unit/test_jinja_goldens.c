/* Chat templates of published models against what transformers renders (../shared/goldens/chat, its README says how
 * they were made). */
#include "support.h"

#include "base/alloc.h"
#include "format/jinja.h"
#include "model/chat.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *const names[] = {
    "Mistral-Small-3.2-24B-Instruct-2506",
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use",
    "Qwen-Qwen2.5-7B-Instruct",
    "Qwen-Qwen3-0.6B",
    "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B",
    "google-gemma-2-2b-it",
    "ibm-granite-granite-3.3-2B-Instruct",
    "meta-llama-Llama-3.1-8B-Instruct",
    "meta-llama-Llama-3.2-3B-Instruct",
    "microsoft-Phi-3.5-mini-instruct",
    "mistralai-Mistral-Nemo-Instruct-2407",
    "moonshotai-Kimi-K2",
};

static int64_t seconds_of(const char *iso) {
    struct tm tm = {0};
    assert_non_null(strptime(iso, "%Y-%m-%dT%H:%M:%S", &tm));
    return (int64_t)timegm(&tm);
}

/* Every byte of the output belongs to exactly one span, and no template byte stands in a span of data. */
static void check_spans(const hn_chat_spans *spans, const hn_buf *out) {
    size_t at = 0;
    for (size_t i = 0; i < spans->n; i++) {
        assert_int_equal(spans->items[i].start, at);
        assert_true(spans->items[i].end > at);
        at = spans->items[i].end;
    }
    assert_int_equal(at, out->len);
}

static bool check_case(const hn_jinja *t, const json_t *file, const json_t *c) {
    json_t *expected = json_object_get(c, "output"), *error = json_object_get(c, "error"),
           *tools = json_object_get(c, "tools");
    hn_chat_options options = {
        .bos = json_string_value(json_object_get(file, "bos_token")),
        .eos = json_string_value(json_object_get(file, "eos_token")),
        .tools = json_is_null(tools) ? NULL : tools,
        .extra = json_object_get(c, "extra"),
        .add_generation_prompt = json_is_true(json_object_get(c, "add_generation_prompt")),
        .has_now = true,
        .now = seconds_of(json_string_value(json_object_get(file, "now"))),
    };
    hn_buf out;
    hn_chat_spans spans = {0};
    hn_error err = {0};
    hn_buf_init(&out, 0);
    hn_status st = hn_chat_render(t, json_object_get(c, "messages"), &options, &out, &spans, &err);
    bool good = false;
    if (expected) {
        good = st == HN_OK && strcmp(hn_buf_str(&out), json_string_value(expected)) == 0;
        if (good)
            check_spans(&spans, &out);
        else
            fprintf(stderr, "case %s\n--- expected\n%s\n--- got (%s %s)\n%s\n",
                    json_string_value(json_object_get(c, "name")), json_string_value(expected), err.where, err.message,
                    hn_buf_str(&out));
    } else {
        bool own = json_is_true(json_object_get(error, "raised_by_template"));
        const char *message = json_string_value(json_object_get(error, "message"));
        good = st == HN_ERR_TEMPLATE && (!own || strcmp(err.message, message) == 0) && err.where[0];
        if (!good)
            fprintf(stderr, "case %s: expected the error \"%s\", got %s \"%s\"\n",
                    json_string_value(json_object_get(c, "name")), message, hn_status_name(st), err.message);
    }
    hn_buf_free(&out);
    hn_chat_spans_free(&spans);
    return good;
}

static void goldens(void **state) {
    (void)state;
    size_t n_cases = 0, n_good = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[HN_PATH_MAX], name[256];
        hn_error err = {0};
        json_t *file;
        hn_jinja *t;
        size_t n;
        snprintf(name, sizeof name, "goldens/chat/%s.json", names[i]);
        if (!hn_test_shared(name, path)) skip();
        hn_test_ok(hn_json_read(path, HN_JSON_FILE_MAX, HN_JSON_NUL, &file, &err), &err);
        snprintf(name, sizeof name, "suites/chat-templates/%s.jinja", names[i]);
        if (!hn_test_shared(name, path)) skip();
        char *text = hn_test_read(path, &n);
        hn_test_ok(hn_jinja_compile(text, n, names[i], &t, &err), &err);
        hn_free(text);
        json_t *cases = json_object_get(file, "cases"), *c;
        size_t k;
        json_array_foreach(cases, k, c) {
            n_cases++;
            n_good += check_case(t, file, c);
        }
        hn_jinja_free(t);
        json_decref(file);
    }
    assert_int_equal(n_good, n_cases);
    assert_true(n_cases >= 300);
}

int main(void) {
    hn_json_init();
    const struct CMUnitTest tests[] = {cmocka_unit_test(goldens)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
