/* JSON answers and tool calls under constraints. On the real model: sampled hot under several schemas, every answer that ends by itself is accepted
 * by the validator (which the grammar does not use), with the same bits alone and batched. On a tiny random model with each published chat
 * template that knows tools: an answer that must be a call is one, of the right tool, with arguments that its schema accepts. */
#include "engine_support.h"

#include "base/alloc.h"
#include "format/json_schema.h"
#include "provider/provider.h"

#include <stdio.h>
#include <string.h>

enum { N_SAMPLES = 200, TOKENS = 64 };

typedef struct answer {
    hn_status status;
    hn_error error;
    hn_finish finish;
    int n_tokens;
    int32_t ids[512];
    char text[4096];
    json_t *calls;
    size_t content_bytes;
} answer;

static const char *const schemas[] = {
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":12},\"age\":{"
    "\"type\":\"integer\","
    "\"minimum\":0,\"maximum\":120}},\"required\":[\"name\",\"age\"],\"additionalProperties\":false}",
    "{\"enum\":[\"low\",\"high\",3,null,{\"a\":[1,2]}]}",
    "{\"type\":\"array\",\"items\":{\"type\":\"number\",\"minimum\":-1,\"maximum\":1},\"minItems\":1,\"maxItems\":3}",
    "{\"type\":\"object\",\"properties\":{\"team\":{\"enum\":[\"billing\",\"login\"]},\"urgent\":{\"type\":\"boolean\"}"
    ",\"when\":{\"type\":"
    "\"string\",\"pattern\":\"^[0-9]{4}-[0-9]{2}$\"}},\"required\":[\"team\",\"urgent\"],\"additionalProperties\":"
    "false}",
    "{\"$ref\":\"#/$defs/"
    "node\",\"$defs\":{\"node\":{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"integer\"},\"next\":{\"anyOf\":"
    "[{\"type\":\"null\"},{\"$ref\":\"#/$defs/"
    "node\"}]}},\"required\":[\"v\",\"next\"],\"additionalProperties\":false}}}",
};
enum { N_SCHEMAS = sizeof schemas / sizeof *schemas };

static char model_path[HN_PATH_MAX];
static bool has_model;

static void on_done(void *user, uint64_t ticket, const hn_completion *c) {
    answer *a = user;
    (void)ticket;
    a->status = c->status;
    a->error = c->error;
    a->finish = c->finish;
    a->n_tokens = (int)c->n_tokens;
    for (size_t i = 0; i < c->n_tokens && i < 512; i++) a->ids[i] = c->tokens[i].id;
    snprintf(a->text, sizeof a->text, "%.*s", (int)c->text_bytes, c->text);
    a->calls = json_incref(c->tool_calls);
    a->content_bytes = c->content_bytes;
}

static hn_provider *open_provider(const char *path, int max_batch) {
    hn_error err = {0};
    hn_provider *p;
    hn_test_ok(hn_provider_local_open(path, &(hn_local_options){.n_threads = 2, .max_batch = max_batch}, &p, &err),
               &err);
    return p;
}

static void run_all(hn_provider *p) {
    hn_error err = {0};
    size_t pending = 1;
    while (pending) hn_test_ok(hn_provider_step(p, 1000, &pending, &err), &err);
}

static json_t *parse(const char *text) {
    json_t *value = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    assert_non_null(value);
    return value;
}

static void check_valid(const json_t *schema, const char *text) {
    hn_error err = {0};
    hn_json_schema *compiled;
    json_t *value;
    hn_test_ok(hn_json_parse(text, strlen(text), "answer", HN_JSON_ANY | HN_JSON_NUL, &value, &err), &err);
    hn_test_ok(hn_json_schema_create(schema, NULL, &compiled, &err), &err);
    hn_test_ok(hn_json_schema_check(compiled, value, text, &err), &err);
    hn_json_schema_free(compiled);
    json_decref(value);
}

static hn_request sampled(int i, json_t *parsed[N_SCHEMAS]) {
    return (hn_request){.raw = i % 2 ? "As JSON:\n" : "The record of the customer is ",
                        .max_tokens = TOKENS,
                        .sampling = {.temperature = 1.5f, .seed = (uint64_t)i},
                        .constraint = {.kind = HN_CONSTRAIN_SCHEMA, .schema = parsed[i % N_SCHEMAS]}};
}

static answer together[N_SAMPLES];

static void sampled_json_is_valid_in_any_company(void **state) {
    (void)state;
    hn_error err = {0};
    json_t *parsed[N_SCHEMAS];
    int ended = 0;
    if (!has_model) skip();
    for (int i = 0; i < N_SCHEMAS; i++) parsed[i] = parse(schemas[i]);
    hn_provider *p = open_provider(model_path, 32);
    for (int i = 0; i < N_SAMPLES; i++) {
        hn_request r = sampled(i, parsed);
        hn_test_ok(hn_provider_submit(p, &r, 0, on_done, &together[i], NULL, &err), &err);
    }
    run_all(p);
    for (int i = 0; i < N_SAMPLES; i++) {
        hn_test_ok(together[i].status, &together[i].error);
        if (together[i].finish == HN_FINISH_LENGTH) {
            assert_int_equal(together[i].n_tokens, TOKENS);
            continue;
        }
        assert_int_equal(together[i].finish, HN_FINISH_STOP);
        check_valid(parsed[i % N_SCHEMAS], together[i].text);
        ended++;
    }
    assert_true(ended > N_SAMPLES / 2);
    hn_provider_close(p);
    p = open_provider(model_path, 1);
    for (int i = 0; i < N_SAMPLES; i += 13) {
        answer alone = {0};
        hn_request r = sampled(i, parsed);
        hn_test_ok(hn_provider_submit(p, &r, 0, on_done, &alone, NULL, &err), &err);
        run_all(p);
        assert_int_equal(alone.n_tokens, together[i].n_tokens);
        assert_memory_equal(alone.ids, together[i].ids, (size_t)alone.n_tokens * sizeof(int32_t));
        assert_string_equal(alone.text, together[i].text);
    }
    hn_provider_close(p);
    for (int i = 0; i < N_SCHEMAS; i++) json_decref(parsed[i]);
}

/* ---- tool calls ---- */

static const char *const templates[] = {"Mistral-Small-3.2-24B-Instruct-2506",
                                        "NousResearch-Hermes-3-Llama-3.1-8B-tool_use",
                                        "Qwen-Qwen2.5-7B-Instruct",
                                        "Qwen-Qwen3-0.6B",
                                        "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B",
                                        "ibm-granite-granite-3.3-2B-Instruct",
                                        "meta-llama-Llama-3.1-8B-Instruct",
                                        "meta-llama-Llama-3.2-3B-Instruct",
                                        "mistralai-Mistral-Nemo-Instruct-2407",
                                        "moonshotai-Kimi-K2"};
enum { N_TEMPLATES = sizeof templates / sizeof *templates };

static const char tools_text[] = "[{\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"description\":"
                                 "\"Weather\",\"parameters\":{\"type\":\"object\","
                                 "\"properties\":{\"city\":{\"enum\":[\"Bern\",\"Rome\"],\"type\":\"string\","
                                 "\"description\":\"town\"},\"days\":{\"type\":\"integer\","
                                 "\"minimum\":1,\"maximum\":9,\"description\":\"how "
                                 "many\"}},\"required\":[\"city\",\"days\"],\"additionalProperties\":false}}},"
                                 "{\"type\":\"function\",\"function\":{\"name\":\"get\",\"description\":\"Ask\","
                                 "\"parameters\":{\"type\":\"object\",\"properties\":{"
                                 "\"yes\":{\"type\":\"boolean\",\"description\":\"it is "
                                 "so\"}},\"required\":[\"yes\"],\"additionalProperties\":false}}}]";

static void copy(const char *from, const char *folder, const char *name) {
    char path[HN_PATH_MAX];
    hn_error err = {0};
    size_t n;
    char *bytes = hn_test_read(from, &n);
    hn_test_ok(hn_path_join(path, folder, name, &err), &err);
    hn_test_ok(hn_file_write_atomic(path, bytes, n, &err), &err);
    hn_free(bytes);
}

/* The tiny model with a published template and a longer window. */
static void make_model(const char *folder, const char *template) {
    char path[HN_PATH_MAX], name[160];
    hn_error err = {0};
    json_t *config = hn_test_json("goldens/tiny/llama/config.json");
    json_object_set_new(config, "max_position_embeddings", json_integer(8192));
    hn_test_ok(hn_path_join(path, folder, "config.json", &err), &err);
    hn_test_ok(hn_json_save(path, config, NULL, &err), &err);
    json_decref(config);
    assert_true(hn_test_shared("goldens/tiny/llama/model.safetensors", path));
    copy(path, folder, "model.safetensors");
    assert_true(hn_test_shared("goldens/tiny/tokenizer.json", path));
    copy(path, folder, "tokenizer.json");
    snprintf(name, sizeof name, "suites/chat-templates/%s.jinja", template);
    assert_true(hn_test_shared(name, path));
    copy(path, folder, "chat_template.jinja");
}

static void check_call(const json_t *tools, const char *choice, const answer *a) {
    hn_test_ok(a->status, &a->error);
    if (json_array_size(a->calls) != 1) fprintf(stderr, "no call: %s\n", a->text);
    assert_int_equal(a->finish, HN_FINISH_STOP);
    assert_int_equal(json_array_size(a->calls), 1);
    assert_int_equal(a->content_bytes, 0);
    const json_t *function = json_object_get(json_array_get(a->calls, 0), "function");
    const char *name = json_string_value(json_object_get(function, "name"));
    int index = strcmp(name, "get") == 0;
    if (strcmp(choice, "required") != 0) assert_string_equal(name, choice);
    const json_t *own = json_object_get(json_array_get(tools, (size_t)index), "function");
    assert_string_equal(json_string_value(json_object_get(own, "name")), name);
    check_valid(json_object_get(own, "parameters"), json_string_value(json_object_get(function, "arguments")));
}

static void a_demanded_call_is_a_call(void **state) {
    (void)state;
    static const char *const choices[] = {"required", "get_weather", "get"};
    hn_error err = {0};
    json_t *tools = parse(tools_text);
    json_t *messages = parse("[{\"role\":\"user\",\"content\":\"What is the weather?\"}]");
    for (int t = 0; t < N_TEMPLATES; t++) {
        char folder[HN_PATH_MAX];
        hn_test_folder(folder);
        make_model(folder, templates[t]);
        hn_provider *p = open_provider(folder, 4);
        answer a[12] = {{0}};
        for (int i = 0; i < 12; i++) {
            hn_request r = {.messages = messages,
                            .tools = tools,
                            .tool_choice = choices[i % 3],
                            .max_tokens = 400,
                            .sampling = {.temperature = 1.5f, .seed = (uint64_t)i}};
            hn_test_ok(hn_provider_submit(p, &r, 0, on_done, &a[i], NULL, &err), &err);
        }
        run_all(p);
        for (int i = 0; i < 12; i++) {
            check_call(tools, choices[i % 3], &a[i]);
            json_decref(a[i].calls);
        }
        hn_provider_close(p);
        hn_test_folder_remove(folder);
    }
    json_decref(tools);
    json_decref(messages);
}

static void choices_of_tools(void **state) {
    (void)state;
    hn_error err = {0};
    char folder[HN_PATH_MAX], keys[4][65];
    json_t *tools = parse(tools_text);
    json_t *messages = parse("[{\"role\":\"user\",\"content\":\"Hi\"}]");
    hn_test_folder(folder);
    make_model(folder, "Qwen-Qwen3-0.6B");
    hn_provider *p = open_provider(folder, 4);
    hn_request r = {.messages = messages, .tools = tools, .max_tokens = 8};
    hn_test_ok(hn_provider_cache_key(p, &r, keys[0], &err), &err);
    r.tool_choice = "none";
    hn_test_ok(hn_provider_cache_key(p, &r, keys[1], &err), &err);
    r.tool_choice = "required";
    hn_test_ok(hn_provider_cache_key(p, &r, keys[2], &err), &err);
    r.tool_choice = "get";
    hn_test_ok(hn_provider_cache_key(p, &r, keys[3], &err), &err);
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < i; k++) assert_string_not_equal(keys[i], keys[k]);
    r.tool_choice = "got";
    assert_int_equal(hn_provider_submit(p, &r, 0, on_done, NULL, NULL, &err), HN_ERR_INPUT);
    r.tool_choice = "get";
    r.constraint = (hn_constraint){.kind = HN_CONSTRAIN_JSON};
    assert_int_equal(hn_provider_submit(p, &r, 0, on_done, NULL, NULL, &err), HN_ERR_USAGE);
    /* a constraint without its source, tools without messages */
    r.tools = NULL;
    r.constraint = (hn_constraint){.kind = HN_CONSTRAIN_SCHEMA};
    assert_int_equal(hn_provider_submit(p, &r, 0, on_done, NULL, NULL, &err), HN_ERR_USAGE);
    r.constraint = (hn_constraint){.kind = HN_CONSTRAIN_CHOICES};
    assert_int_equal(hn_provider_submit(p, &r, 0, on_done, NULL, NULL, &err), HN_ERR_USAGE);
    r.constraint = (hn_constraint){0};
    hn_request raw = {.raw = "x", .tools = tools, .max_tokens = 8};
    assert_int_equal(hn_provider_submit(p, &raw, 0, on_done, NULL, NULL, &err), HN_ERR_USAGE);
    r.tools = tools;
    /* cut inside: no call */
    answer a = {0};
    hn_test_ok(hn_provider_submit(p, &r, 0, on_done, &a, NULL, &err), &err);
    run_all(p);
    assert_int_equal(a.finish, HN_FINISH_LENGTH);
    assert_null(a.calls);
    hn_provider_close(p);
    hn_test_folder_remove(folder);
    json_decref(tools);
    json_decref(messages);
}

/* A request whose constraint was never seen before, of each kind. */
static hn_request fresh(int kind, size_t n, json_t *messages, char text[64], json_t **made) {
    hn_request r = {.messages = messages, .max_tokens = 80};
    *made = NULL;
    snprintf(text, 64, kind == 0 ? "[a-c]{1,%zu}" : "root ::= \"n%zu\" [a-z]?", n);
    if (kind == 0) r.constraint = (hn_constraint){.kind = HN_CONSTRAIN_REGEX, .text = text};
    if (kind == 1) r.constraint = (hn_constraint){.kind = HN_CONSTRAIN_GBNF, .text = text};
    if (kind == 2) {
        *made = json_pack("{s:[i,s]}", "enum", (int)n, "either");
        r.constraint = (hn_constraint){.kind = HN_CONSTRAIN_SCHEMA, .schema = *made};
    }
    if (kind == 3) {
        snprintf(text, 64, "f%zu", n);
        *made = json_pack("[{s:s,s:{s:s,s:s,s:{s:s,s:{s:{s:s,s:s}}}}}]", "type", "function", "function", "name", text,
                          "description", "d", "parameters", "type", "object", "properties", "a", "type", "boolean",
                          "description", "d");
        r.tools = *made;
        r.tool_choice = text;
    }
    return r;
}

static void memory_that_runs_out_is_a_status(void **state) {
    (void)state;
    char folder[HN_PATH_MAX];
    json_t *messages = parse("[{\"role\":\"user\",\"content\":\"Hi\"}]");
    hn_test_folder(folder);
    make_model(folder, "Qwen-Qwen2.5-7B-Instruct");
    hn_provider *p = open_provider(folder, 4);
    for (int kind = 0; kind < 4; kind++) {
        bool finished = false;
        for (size_t n = 1; !finished && n < 5000; n++) {
            char text[64];
            json_t *made;
            answer a = {.status = HN_STATUS_COUNT};
            hn_error err = {0};
            size_t pending = 1;
            hn_request r = fresh(kind, n, messages, text, &made);
            hn_alloc_fail_at(n, false);
            hn_status st = hn_provider_submit(p, &r, 0, on_done, &a, NULL, &err);
            for (int step = 0; st == HN_OK && pending && step < 200; step++)
                (void)!hn_provider_step(p, 1000, &pending, &err);
            finished = hn_alloc_count() < n;
            hn_alloc_fail_at(0, false);
            if (st == HN_OK) assert_int_not_equal(a.status, HN_STATUS_COUNT);
            if (finished) hn_test_ok(a.status, &a.error);
            if (finished && kind == 3 && a.finish == HN_FINISH_STOP) assert_int_equal(json_array_size(a.calls), 1);
            json_decref(a.calls);
            json_decref(made);
        }
        assert_true(finished);
    }
    hn_provider_close(p);
    hn_test_folder_remove(folder);
    json_decref(messages);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sampled_json_is_valid_in_any_company),
        cmocka_unit_test(a_demanded_call_is_a_call),
        cmocka_unit_test(choices_of_tools),
        cmocka_unit_test(memory_that_runs_out_is_a_status),
    };
    char path[HN_PATH_MAX];
    hn_json_init();
    if (!hn_test_shared("goldens/tiny/llama/model.safetensors", path)) return 77;
    has_model = hn_test_big_model(model_path);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
