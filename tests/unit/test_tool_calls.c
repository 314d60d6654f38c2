/* Tool calls: what each published chat template writes for an assistant's calls reads back as those calls; frames for constrained calls read
 * back too; text that only looks like a call stays text. The oracle is the template itself (../shared/suites/chat-templates). */
#include "support.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "model/chat.h"
#include "model/tool_calls.h"

#include <stdio.h>
#include <string.h>

typedef struct published {
    const char *name;
    hn_tool_format format;
    size_t n_calls; /* that the template can write in one message; 0: it writes none */
    bool keeps_id, keeps_content;
} published;

static const published templates[] = {
    {"Mistral-Small-3.2-24B-Instruct-2506", HN_TOOL_FORMAT_MISTRAL_ARGS, 2, true, false},
    {"NousResearch-Hermes-3-Llama-3.1-8B-tool_use", HN_TOOL_FORMAT_HERMES, 2, false, false},
    {"Qwen-Qwen2.5-7B-Instruct", HN_TOOL_FORMAT_HERMES, 2, false, true},
    {"Qwen-Qwen3-0.6B", HN_TOOL_FORMAT_HERMES, 2, false, true},
    {"deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", HN_TOOL_FORMAT_DEEPSEEK, 2, false, false},
    {"google-gemma-2-2b-it", HN_TOOL_FORMAT_NONE, 0, false, false},
    {"ibm-granite-granite-3.3-2B-Instruct", HN_TOOL_FORMAT_GRANITE, 0, false, false},
    {"meta-llama-Llama-3.1-8B-Instruct", HN_TOOL_FORMAT_LLAMA, 1, false, false},
    {"meta-llama-Llama-3.2-3B-Instruct", HN_TOOL_FORMAT_LLAMA, 1, false, false},
    {"microsoft-Phi-3.5-mini-instruct", HN_TOOL_FORMAT_NONE, 0, false, false},
    {"mistralai-Mistral-Nemo-Instruct-2407", HN_TOOL_FORMAT_MISTRAL_LIST, 2, true, false},
    {"moonshotai-Kimi-K2", HN_TOOL_FORMAT_KIMI, 2, false, true},
};
enum { N_TEMPLATES = sizeof templates / sizeof *templates };

static const char tools_text[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"description\":\"Weather of a "
    "city\",\"parameters\":"
    "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\",\"description\":\"name\"},"
    "\"days\":{\"type\":\"integer\",\"description\":\"how many\"}},\"required\":[\"city\"]}}}]";
static const char *const arguments[] = {"{\"city\":\"Z\\u00fcrich \\\"old\\\" {town}\",\"days\":3}",
                                        "{\"city\":\"</tool_call>[ARGS]\",\"deep\":{\"list\":[1,2.5,null,true]}}"};

static json_t *parse(const char *text) {
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    return value;
}

/* [user, assistant with calls]; arguments as the OpenAI API has them: text. */
static json_t *conversation(const published *p, const char *content) {
    json_t *calls = json_array();
    for (size_t i = 0; i < p->n_calls; i++) {
        char id[16];
        snprintf(id, sizeof id, "abc%06zu", i);
        json_array_append_new(calls, json_pack("{s:s,s:s,s:{s:s,s:s}}", "id", id, "type", "function", "function",
                                               "name", i ? "f-2.b" : "get_weather", "arguments", arguments[i]));
    }
    json_t *assistant = json_pack("{s:s,s:o}", "role", "assistant", "tool_calls", calls);
    json_object_set_new(assistant, "content", content ? json_string(content) : json_null());
    return json_pack("[{s:s,s:s},o]", "role", "user", "content", "What is the weather? @@", assistant);
}

static void check_calls(const published *p, const json_t *calls) {
    assert_int_equal(json_array_size(calls), p->n_calls);
    for (size_t i = 0; i < p->n_calls; i++) {
        const json_t *call = json_array_get(calls, i), *function = json_object_get(call, "function");
        const char *id = json_string_value(json_object_get(call, "id"));
        assert_string_equal(json_string_value(json_object_get(call, "type")), "function");
        assert_string_equal(json_string_value(json_object_get(function, "name")), i ? "f-2.b" : "get_weather");
        assert_non_null(id);
        if (p->keeps_id) assert_memory_equal(id, "abc00000", 8);
        json_t *given = parse(json_string_value(json_object_get(function, "arguments"))), *wanted = parse(arguments[i]);
        assert_true(json_equal(given, wanted));
        json_decref(given);
        json_decref(wanted);
    }
}

static hn_jinja *compile(const published *p, hn_tool_format *format) {
    char file[256], path[HN_PATH_MAX];
    hn_error err = {0};
    hn_jinja *t;
    size_t n;
    snprintf(file, sizeof file, "suites/chat-templates/%s.jinja", p->name);
    assert_true(hn_test_shared(file, path));
    char *text = hn_test_read(path, &n);
    *format = hn_tool_format_of(text);
    hn_test_ok(hn_jinja_compile(text, n, p->name, &t, &err), &err);
    hn_free(text);
    return t;
}

static void round_trip(const published *p) {
    hn_error err = {0};
    hn_tool_format format;
    hn_jinja *t = compile(p, &format);
    assert_string_equal(hn_tool_format_name(format), hn_tool_format_name(p->format));
    const char *content = p->keeps_content ? "Let me see." : format == HN_TOOL_FORMAT_HERMES ? "" : NULL;
    json_t *tools = parse(tools_text), *messages = conversation(p, content), *converted, *calls;
    hn_chat_options options = {.eos = "</s>", .tools = tools, .has_now = true};
    hn_buf out;
    size_t content_bytes;
    hn_buf_init(&out, 0);
    hn_test_ok(hn_tool_calls_for_template(format, messages, &converted, &err), &err);
    if (p->n_calls > 0) {
        hn_test_ok(hn_chat_render(t, converted, &options, &out, NULL, &err), &err);
        char *answer = strstr(hn_buf_str(&out), "@@");
        assert_non_null(answer);
        answer += 2;
        if (format == HN_TOOL_FORMAT_LLAMA) { /* where the model's turn starts and ends matters there */
            answer = strstr(answer, "assistant<|end_header_id|>") + strlen("assistant<|end_header_id|>");
            *strstr(answer, "<|eot_id|>") = 0;
        }
        hn_test_ok(hn_tool_calls_parse(format, answer, strlen(answer), &calls, &content_bytes, &err), &err);
        assert_non_null(calls);
        check_calls(p, calls);
        if (p->keeps_content) assert_memory_equal(answer + content_bytes - 11, "Let me see.", 11);
        json_decref(calls);
    }
    hn_buf_free(&out);
    hn_jinja_free(t);
    json_decref(tools);
    json_decref(messages);
    json_decref(converted);
}

static void templates_write_what_is_read(void **state) {
    (void)state;
    for (size_t i = 0; i < N_TEMPLATES; i++) round_trip(&templates[i]);
}

static void frames_are_calls(void **state) {
    (void)state;
    hn_error err = {0};
    for (int f = HN_TOOL_FORMAT_HERMES; f <= HN_TOOL_FORMAT_DEEPSEEK; f++) {
        hn_buf text, after;
        json_t *calls;
        size_t n;
        const published p = {.n_calls = 1};
        hn_buf_init(&text, 0);
        hn_buf_init(&after, 0);
        hn_test_ok(hn_tool_call_frame((hn_tool_format)f, "get_weather", &text, &after, &err), &err);
        hn_buf_append_str(&text, arguments[0]);
        hn_buf_append_str(&text, hn_buf_str(&after));
        hn_test_ok(hn_tool_calls_parse((hn_tool_format)f, text.data, text.len, &calls, &n, &err), &err);
        assert_int_equal(n, 0);
        check_calls(&p, calls);
        json_decref(calls);
        hn_buf_free(&text);
        hn_buf_free(&after);
    }
    hn_buf none;
    hn_buf_init(&none, 0);
    assert_int_equal(hn_tool_call_frame(HN_TOOL_FORMAT_NONE, "f", &none, &none, &err), HN_ERR_UNSUPPORTED);
}

static size_t count(hn_tool_format format, const char *text, size_t *content_bytes) {
    json_t *calls;
    size_t n;
    hn_error err = {0};
    hn_test_ok(hn_tool_calls_parse(format, text, strlen(text), &calls, &n, &err), &err);
    size_t found = json_array_size(calls);
    json_decref(calls);
    if (content_bytes) *content_bytes = n;
    return found;
}

static void text_stays_text(void **state) {
    (void)state;
    size_t n;
    assert_int_equal(count(HN_TOOL_FORMAT_HERMES, "Just words.", &n), 0);
    assert_int_equal(n, 11);
    assert_int_equal(count(HN_TOOL_FORMAT_HERMES, "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1", NULL), 0);
    assert_int_equal(
        count(HN_TOOL_FORMAT_HERMES, "<tool_call>{\"name\": \"f f\", \"arguments\": {}}</tool_call>", NULL), 0);
    assert_int_equal(count(HN_TOOL_FORMAT_HERMES, "<tool_call>{\"name\": \"f\", \"arguments\": [1]}</tool_call>", NULL),
                     0);
    assert_int_equal(count(HN_TOOL_FORMAT_HERMES, "Well:\n <tool_call>{\"name\": \"f\", \"arguments\": {}}", &n), 1);
    assert_int_equal(n, 5);
    /* the second is broken: the first counts */
    assert_int_equal(
        count(HN_TOOL_FORMAT_HERMES, "<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call><tool_call>{]", NULL),
        1);
    assert_int_equal(count(HN_TOOL_FORMAT_LLAMA, "{\"name\": \"Ann\", \"age\": 3}", NULL), 0);
    assert_int_equal(count(HN_TOOL_FORMAT_LLAMA, "{\"name\": \"f\", \"parameters\": {}} and more", NULL), 0);
    assert_int_equal(count(HN_TOOL_FORMAT_LLAMA, " {\"name\": \"f\", \"parameters\": {}}", NULL), 1);
    assert_int_equal(count(HN_TOOL_FORMAT_LLAMA, "<|python_tag|>search.call(query=\"a b\", top=\"3\")", NULL), 1);
    assert_int_equal(count(HN_TOOL_FORMAT_LLAMA, "<|python_tag|>search.call(query=\"a b", NULL), 0);
    assert_int_equal(count(HN_TOOL_FORMAT_GRANITE,
                           "<|tool_call|>[{\"name\": \"f\", \"arguments\": {}}, {\"name\": \"g\", "
                           "\"arguments\": \"{}\"}]",
                           NULL),
                     2);
    assert_int_equal(count(HN_TOOL_FORMAT_NONE, "<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>", NULL),
                     0);
}

/* Marks and JSON in any order, cut anywhere: never a crash, every call found is whole. */
static void any_bytes_are_read(void **state) {
    (void)state;
    static const char *const pieces[] = {"<tool_call>",
                                         "</tool_call>",
                                         "{\"name\": \"f\", \"arguments\": {}}",
                                         "[TOOL_CALLS]",
                                         "[ARGS]",
                                         "[CALL_ID]",
                                         "{",
                                         "}",
                                         "[",
                                         "]",
                                         "<|tool_call|>",
                                         "<|python_tag|>",
                                         "f.call(a=\"",
                                         "\"",
                                         "<|tool_call_begin|>",
                                         "<|tool_call_argument_begin|>",
                                         "functions.f:0",
                                         "```json",
                                         "\xef\xbd\x9c",
                                         "\xff",
                                         " ",
                                         "\n",
                                         "f"};
    hn_rng rng;
    hn_rng_seed(&rng, 7, 0);
    for (int round = 0; round < 3000; round++) {
        hn_buf text;
        hn_error err = {0};
        hn_buf_init(&text, 0);
        for (uint64_t k = hn_rng_below(&rng, 12); k > 0; k--)
            hn_buf_append_str(&text, pieces[hn_rng_below(&rng, sizeof pieces / sizeof *pieces)]);
        size_t n = text.len ? hn_rng_below(&rng, (uint32_t)text.len + 1) : 0, content;
        char *exact = hn_strndup(hn_buf_str(&text), n); /* so that a read behind the end is seen */
        for (int f = 0; f <= HN_TOOL_FORMAT_DEEPSEEK; f++) {
            json_t *calls;
            hn_test_ok(hn_tool_calls_parse((hn_tool_format)f, exact, n, &calls, &content, &err), &err);
            assert_true(content <= n);
            json_decref(calls);
        }
        hn_free(exact);
        hn_buf_free(&text);
    }
}

static void lists_of_tools_are_checked(void **state) {
    (void)state;
    static const char *const bad[] = {"{}",
                                      "[]",
                                      "[1]",
                                      "[{\"function\":{}}]",
                                      "[{\"name\":\"a b\"}]",
                                      "[{\"name\":\"f\"},{\"function\":{\"name\":\"f\"}}]",
                                      "[{\"name\":\"f\",\"parameters\":[]}]"};
    hn_error err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *tools = parse(bad[i]);
        assert_int_equal(hn_tools_check(tools, "tools.json", &err), HN_ERR_INPUT);
        assert_true(strncmp(err.where, "tools.json", 10) == 0);
        json_decref(tools);
    }
    json_t *tools = parse("[{\"name\":\"f\"},{\"type\":\"function\",\"function\":{\"name\":\"g\",\"parameters\":{}}}]");
    hn_test_ok(hn_tools_check(tools, "tools.json", &err), &err);
    assert_int_equal(hn_tools_find(tools, "g"), 1);
    assert_int_equal(hn_tools_find(tools, "h"), -1);
    json_decref(tools);
}

static void memory_that_runs_out_is_a_status(void **state) {
    (void)state;
    static const char text[] = "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"b\"}}</tool_call>";
    bool finished = false;
    for (size_t n = 1; !finished && n < 200; n++) {
        json_t *calls;
        size_t content;
        hn_error err = {0};
        hn_alloc_fail_at(n, false);
        hn_status st = hn_tool_calls_parse(HN_TOOL_FORMAT_HERMES, text, strlen(text), &calls, &content, &err);
        finished = hn_alloc_count() < n;
        hn_alloc_fail_at(0, false);
        if (finished) assert_int_equal(json_array_size(calls), 1);
        assert_true(st == HN_OK || st == HN_ERR_MEMORY);
        json_decref(calls);
    }
    assert_true(finished);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates_write_what_is_read),
        cmocka_unit_test(frames_are_calls),
        cmocka_unit_test(text_stays_text),
        cmocka_unit_test(any_bytes_are_read),
        cmocka_unit_test(lists_of_tools_are_checked),
        cmocka_unit_test(memory_that_runs_out_is_a_status),
    };
    char path[HN_PATH_MAX];
    hn_json_init();
    if (!hn_test_shared("suites/chat-templates/Qwen-Qwen3-0.6B.jinja", path)) return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
