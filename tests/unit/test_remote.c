/* The parts of the remote provider: server-sent events in any pieces, pauses, rates, prices and budget against numbers computed by hand, shapes,
 * keys, descriptions of models; and the whole of it on recorded exchanges, also when memory runs out. */
#include "support.h"

#include "base/alloc.h"
#include "format/sse.h"
#include "net/http_pool.h"
#include "provider/exchange_record.h"
#include "provider/price.h"
#include "provider/rate_limit.h"
#include "provider/remote.h"
#include "provider/remote_key.h"
#include "provider/remote_parts.h"
#include "provider/retry.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char folder[HN_PATH_MAX];

/* ---- server-sent events ---- */

static bool note_event(void *user, const char *event, const char *data, size_t n) {
    hn_buf_appendf(user, "[%s|%.*s]", event, (int)n, data);
    return true;
}

static void events_come_in_any_pieces(void **state) {
    (void)state;
    static const char text[] =
        "\xEF\xBB\xBF: comment\n\ndata: one\n\nevent: x\r\ndata: a\r\ndata:b\r\n\r\ndata\n\nid: 3\nfoo: bar\n\n"
        "data:  two\r\rdata: never ended";
    for (size_t piece = 1; piece < sizeof text; piece++) {
        hn_sse sse;
        hn_buf out;
        hn_error err;
        hn_sse_init(&sse, 1000);
        hn_buf_init(&out, 0);
        for (size_t i = 0; i < sizeof text - 1; i += piece) {
            size_t n = sizeof text - 1 - i < piece ? sizeof text - 1 - i : piece;
            hn_test_ok(hn_sse_feed(&sse, text + i, n, note_event, &out, &err), &err);
        }
        assert_string_equal(hn_buf_str(&out), "[|one][x|a\nb][|][| two]");
        hn_buf_free(&out);
        hn_sse_free(&sse);
    }
}

static bool refuse(void *user, const char *event, const char *data, size_t n) {
    (void)user, (void)event, (void)data, (void)n;
    return false;
}

static void events_are_limited(void **state) {
    (void)state;
    hn_sse sse;
    hn_error err;
    char long_line[600];
    memset(long_line, 'x', sizeof long_line);
    hn_sse_init(&sse, 500);
    assert_int_equal(hn_sse_feed(&sse, long_line, sizeof long_line, note_event, NULL, &err), HN_ERR_LIMIT);
    hn_sse_free(&sse);
    hn_sse_init(&sse, 500);
    for (int i = 0; i < 6; i++) {
        hn_status st = hn_sse_feed(
            &sse, "data: 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 1\n",
            98, note_event, NULL, &err);
        assert_int_equal(st, i < 5 ? HN_OK : HN_ERR_LIMIT);
    }
    hn_sse_free(&sse);
    hn_sse_init(&sse, 500);
    assert_int_equal(hn_sse_feed(&sse, "data: x\n\n", 9, refuse, NULL, &err), HN_ERR_INTERRUPTED);
    hn_sse_free(&sse);
}

/* ---- when, and for how much ---- */

static void pauses_grow_and_respect_the_server(void **state) {
    (void)state;
    hn_rng rng;
    hn_rng_seed(&rng, 7, 0);
    for (int n = 1; n < 20; n++) {
        double full = fmin(30, 0.5 * pow(2, n - 1)), low = INFINITY, high = 0;
        for (int k = 0; k < 200; k++) {
            double pause = hn_retry_pause(n, 500, -1, &rng);
            low = fmin(low, pause);
            high = fmax(high, pause);
            assert_true(pause >= full / 2 && pause <= full);
            double asked = hn_retry_pause(n, 500, 12, &rng);
            assert_true(asked >= 12 && asked <= 13);
        }
        assert_true(high - low > full / 4); /* they are spread */
    }
    static const long again[] = {408, 425, 429, 500, 502, 503, 504, 529},
                      final[] = {200, 301, 400, 401, 403, 404, 413, 422, 501};
    for (size_t i = 0; i < sizeof again / sizeof *again; i++) assert_true(hn_retry_status(again[i]));
    for (size_t i = 0; i < sizeof final / sizeof *final; i++) assert_false(hn_retry_status(final[i]));
}

static void rates_are_kept(void **state) {
    (void)state;
    hn_rate_limit l = hn_rate_limit_make(60, 0);
    int sent = 0;
    for (double now = 100; now < 160; now += 0.01)
        if (hn_rate_limit_wait(&l, now) <= 0) {
            hn_rate_limit_take(&l, now, 0);
            sent++;
        }
    assert_true(sent >= 59 && sent <= 60);
    l = hn_rate_limit_make(0, 6000); /* 100 a second, 1,000 in the bucket */
    double tokens = 0;
    for (double now = 100; now < 160; now += 0.01)
        if (hn_rate_limit_wait(&l, now) <= 0) {
            hn_rate_limit_take(&l, now, 300);
            hn_rate_limit_correct(&l, -100); /* 200 in fact */
            tokens += 200;
        }
    assert_true(tokens > 6500 && tokens <= 7400);
    l = hn_rate_limit_make(0, 0);
    assert_true(hn_rate_limit_wait(&l, 5) <= 0);
    hn_rate_limit_hold(&l, 9);
    assert_true(fabs(hn_rate_limit_wait(&l, 5) - 4) < 1e-9);
}

static void costs_are_what_the_table_says(void **state) {
    (void)state;
    const double nan = (double)NAN;
    hn_remote_price p = {2, 0.5, 3, 8};
    hn_usage u = {1000, 200, 50, 0};
    assert_true(fabs(hn_price_cost(&p, &u, 100) - (700 * 2 + 200 * 0.5 + 100 * 3 + 50 * 8) / 1e6) < 1e-15);
    p.cached_input = p.cache_write = nan;
    assert_true(fabs(hn_price_cost(&p, &u, 100) - (1000 * 2 + 50 * 8) / 1e6) < 1e-15);
    p.output = nan;
    assert_true(isnan(hn_price_cost(&p, &u, 0)));
    hn_budget b = {.limit = 1};
    assert_true(hn_budget_reserve(&b, 0.6));
    assert_false(hn_budget_reserve(&b, 0.5));
    hn_budget_settle(&b, 0.6, 0.1);
    assert_true(hn_budget_reserve(&b, 0.5) && fabs(b.spent - 0.1) < 1e-12);
    hn_budget none = {.limit = nan};
    assert_true(hn_budget_reserve(&none, 1e9));
}

/* ---- shapes ---- */

static void expect_shape(hn_constraint c, bool wrapped, bool as_text, const char *wanted) {
    hn_remote_plan plan = {0};
    json_t *schema;
    hn_error err;
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_test_ok(hn_remote_shape(&c, &plan, &schema, &err), &err);
    if (schema) hn_json_write(schema, &(hn_json_style){.sort_keys = true}, &text);
    assert_string_equal(hn_buf_str(&text), wanted);
    assert_int_equal(plan.wrapped, wrapped);
    assert_int_equal(plan.as_text, as_text);
    hn_buf_free(&text);
    json_decref(schema);
}

static void shapes_are_objects(void **state) {
    (void)state;
    const char *choices[] = {"a", "b \"c\""};
    hn_error err;
    json_t *number = json_pack("{s:s, s:{s:{s:s}}}", "$ref", "#/$defs/n", "$defs", "n", "type", "number");
    json_t *object = json_pack("{s:s}", "type", "object"),
           *root = json_pack("{s:s, s:{s:s}}", "type", "array", "items", "$ref", "#");
    expect_shape((hn_constraint){.kind = HN_CONSTRAIN_CHOICES, .choices = choices, .n_choices = 2}, true, true,
                 "{\"additionalProperties\":false,\"properties\":{\"answer\":{\"enum\":[\"a\",\"b "
                 "\\\"c\\\"\"],\"type\":\"string\"}},"
                 "\"required\":[\"answer\"],\"type\":\"object\"}");
    expect_shape(
        (hn_constraint){.kind = HN_CONSTRAIN_REGEX, .text = "a|b"}, true, true,
        "{\"additionalProperties\":false,\"properties\":{\"answer\":{\"pattern\":\"^(?:a|b)$\",\"type\":\"string\"}},"
        "\"required\":[\"answer\"],\"type\":\"object\"}");
    expect_shape((hn_constraint){.kind = HN_CONSTRAIN_SCHEMA, .schema = number}, true, false,
                 "{\"$defs\":{\"n\":{\"type\":\"number\"}},\"additionalProperties\":false,\"properties\":{\"answer\":{"
                 "\"$defs\":{\"n\":{\"type\":"
                 "\"number\"}},\"$ref\":\"#/$defs/n\"}},\"required\":[\"answer\"],\"type\":\"object\"}");
    expect_shape((hn_constraint){.kind = HN_CONSTRAIN_SCHEMA, .schema = object}, false, false, "{\"type\":\"object\"}");
    expect_shape((hn_constraint){.kind = HN_CONSTRAIN_SCHEMA, .schema = json_true()}, false, false, "");
    hn_remote_plan plan = {0};
    json_t *schema;
    hn_constraint c = {.kind = HN_CONSTRAIN_SCHEMA, .schema = root},
                  g = {.kind = HN_CONSTRAIN_GBNF, .text = "root ::= \"a\""};
    assert_int_equal(hn_remote_shape(&c, &plan, &schema, &err), HN_ERR_UNSUPPORTED);
    assert_int_equal(hn_remote_shape(&g, &plan, &schema, &err), HN_ERR_UNSUPPORTED);
    assert_false(hn_remote_shape_is_strict(object));
    json_object_set_new(object, "properties", json_pack("{s:{s:s}}", "x", "type", "number"));
    json_object_set_new(object, "additionalProperties", json_false());
    assert_false(hn_remote_shape_is_strict(object));
    json_object_set_new(object, "required", json_pack("[s]", "x"));
    assert_true(hn_remote_shape_is_strict(object));
    json_decref(number);
    json_decref(object);
    json_decref(root);
}

/* ---- keys and descriptions ---- */

static void write_text(const char *path, const char *text) {
    hn_error err;
    hn_test_ok(hn_file_write_atomic(path, text, strlen(text), &err), &err);
}

static void keys_are_checked_and_hidden(void **state) {
    (void)state;
    hn_remote_model m = {.name = "m", .key_env = "HONE_TEST_REMOTE_KEY"};
    hn_remote_key key;
    hn_error err;
    char shown[100];
    unsetenv("HONE_TEST_REMOTE_KEY");
    assert_int_equal(hn_remote_key_load(&m, &key, &err), HN_ERR_INPUT);
    hn_remote_key_describe(&m, shown, sizeof shown);
    assert_string_equal(shown, "$HONE_TEST_REMOTE_KEY, not set");
    setenv("HONE_TEST_REMOTE_KEY", "abc\r\nX-Other: 1", 1);
    assert_int_equal(hn_remote_key_load(&m, &key, &err), HN_ERR_INPUT);
    assert_null(strstr(err.message, "abc"));
    setenv("HONE_TEST_REMOTE_KEY", "sk-0123456789", 1);
    hn_test_ok(hn_remote_key_load(&m, &key, &err), &err);
    char text[] = "Incorrect: sk-0123456789, or sk-01234..., not sk-0123";
    hn_remote_key_redact(&key, text);
    assert_string_equal(text, "Incorrect: *************, or ********..., not sk-0123");
    hn_remote_key_free(&key);
    write_text("key", "  sk-from-file\n");
    m = (hn_remote_model){.name = "m", .key_file = "key"};
    hn_test_ok(hn_remote_key_load(&m, &key, &err), &err);
    assert_string_equal(key.text, "sk-from-file");
    hn_remote_key_free(&key);
    write_text("key", "\n");
    assert_int_equal(hn_remote_key_load(&m, &key, &err), HN_ERR_INPUT);
}

static hn_status load_models(const char *yaml, hn_arena *arena, hn_remote_model **models, size_t *n, hn_error *err) {
    hn_yaml *doc;
    *models = NULL;
    *n = 0;
    HN_TRY(hn_yaml_parse("m.yaml", yaml, strlen(yaml), &doc, err));
    hn_status st = hn_remote_models_load(hn_yaml_root(doc), "/p", arena, models, n, err);
    hn_yaml_free(doc);
    return st;
}

static void descriptions_are_checked(void **state) {
    (void)state;
    static const char *const bad[] = {"a: {api: openai, url: https://x/v1}",
                                      "a: {url: https://x/v1, model: m}",
                                      "a: {api: other, url: https://x/v1, model: m}",
                                      "a: {api: openai, url: x/v1, model: m}",
                                      "a: {api: openai, url: 'https://u:p@x/v1', model: m}",
                                      "a: {api: openai, url: 'https://x/v1?k=1', model: m}",
                                      "a: {api: openai, url: https://x/v1, model: m, key_env: 'sk-abc'}",
                                      "a: {api: openai, url: https://x/v1, model: m, key_env: A, key_file: b}",
                                      "a: {api: openai, url: https://x/v1, model: m, price: {input: 1}}",
                                      "a: {api: openai, url: https://x/v1, model: m, price: {input: -1, output: 1}}",
                                      "a: {api: openai, url: https://x/v1, model: m, concurrency: 0}",
                                      "a: {api: openai, url: https://x/v1, model: m, extra: {messages: []}}",
                                      "a: {api: openai, url: https://x/v1, model: m, key: sk-abc}",
                                      "'openai:x': {api: openai, url: https://x/v1, model: m}"};
    hn_arena *arena = hn_arena_create(0);
    hn_remote_model *models, one;
    size_t n;
    hn_error err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(load_models(bad[i], arena, &models, &n, &err), HN_ERR_INPUT);
        assert_null(strstr(err.message, "sk-abc"));
        hn_remote_models_free(models, n);
    }
    hn_test_ok(load_models("a: {api: anthropic, url: 'https://x/v1//', model: m, key_file: k, price: {input: 1, "
                           "output: 2}, extra: {a: [1]}}",
                           arena, &models, &n, &err),
               &err);
    assert_string_equal(models[0].url, "https://x/v1");
    assert_string_equal(models[0].key_file, "/p/k");
    assert_true(hn_remote_price_known(&models[0].price) && models[0].extra &&
                hn_remote_model_find(models, n, "a") == models);
    hn_remote_models_free(models, n);
    hn_test_ok(hn_remote_model_parse("openai:org/m@v2@http://127.0.0.1:80/v1/", arena, &one, &err), &err);
    assert_string_equal(one.model, "org/m@v2");
    assert_string_equal(one.url, "http://127.0.0.1:80/v1");
    assert_int_equal(hn_remote_model_parse("openai:m", arena, &one, &err), HN_ERR_USAGE);
    hn_arena_free(arena);
}

static void documented_models_load(void **state) {
    (void)state;
    size_t n, n_models;
    char path[HN_PATH_MAX + 32];
    hn_error err;
    snprintf(path, sizeof path, "%s/docs/remote.md", (const char *)*state);
    char *text = hn_test_read(path, &n), *at = strstr(text, "```yaml\n");
    hn_yaml *doc;
    hn_arena *arena = hn_arena_create(0);
    hn_remote_model *models;
    assert_non_null(at);
    at += 8;
    hn_test_ok(hn_yaml_parse("remote.md", at, (size_t)(strstr(at, "\n```") + 1 - at), &doc, &err), &err);
    hn_test_ok(hn_remote_models_load(hn_yaml_find(hn_yaml_root(doc), "models"), "/p", arena, &models, &n_models, &err),
               &err);
    assert_int_equal(n_models, 3);
    hn_remote_models_free(models, n_models);
    hn_arena_free(arena);
    hn_yaml_free(doc);
    hn_free(text);
}

/* ---- the whole, on recorded exchanges ---- */

typedef struct outcome {
    int n_done, n_calls;
    hn_status status;
    char text[256], message[640];
    hn_usage usage;
    float pooled[4];
    size_t n_pooled;
} outcome;

static void take(void *user, uint64_t ticket, const hn_completion *c) {
    outcome *o = user;
    (void)ticket;
    o->n_done++;
    o->status = c->status;
    o->usage = c->usage;
    o->n_calls = (int)json_array_size(c->tool_calls);
    o->n_pooled = c->n_pooled;
    for (size_t i = 0; i < c->n_pooled && i < 4; i++) o->pooled[i] = c->pooled[i];
    snprintf(o->text, sizeof o->text, "%.*s", (int)c->text_bytes, c->text ? c->text : "");
    snprintf(o->message, sizeof o->message, "%s", c->error.message);
}

static const char model_yaml[] =
    "a: {api: openai, url: http://127.0.0.1:9/v1, model: m, price: {input: 1, output: 2}, retries: 2}\n"
    "b: {api: anthropic, url: http://127.0.0.1:9/v1, model: m, retries: 0}\n";

typedef struct bench {
    hn_arena *arena;
    hn_remote_model *models;
    size_t n;
    hn_provider *p;
} bench;

static hn_status open_bench(bench *b, size_t which, hn_error *err) {
    *b = (bench){.arena = hn_arena_create(0)};
    if (!b->arena) return hn_fail_memory(err, 0);
    HN_TRY(load_models(model_yaml, b->arena, &b->models, &b->n, err));
    return hn_provider_remote_open(&b->models[which], &(hn_remote_options){.replay_dir = "replay", .retry_base_ms = 1},
                                   &b->p, err);
}

static void close_bench(bench *b) {
    hn_provider_close(b->p);
    hn_remote_models_free(b->models, b->n);
    if (b->arena) hn_arena_free(b->arena);
}

/* Writes what the endpoint shall answer to this very request. */
static void script(hn_provider *p, const hn_request *r, bool stream, long status, const char *body) {
    hn_remote_plan plan;
    hn_buf text;
    hn_error err;
    hn_exchange *e;
    hn_buf_init(&text, 0);
    hn_test_ok(hn_remote_request_text((hn_remote *)p, r, &plan, &text, &err), &err);
    hn_test_ok(hn_exchange_open("replay", NULL, &e, &err), &err);
    (void)stream;
    hn_exchange_answer a = {status, 0, (char *)(uintptr_t)body, strlen(body)};
    const char *path = ((hn_remote *)p)->dialect->path(&plan);
    hn_test_ok(hn_exchange_add(e, path, hn_buf_str(&text), text.len, &a, &err), &err);
    hn_exchange_close(e);
    hn_buf_free(&text);
}

static hn_status ask(hn_provider *p, const hn_request *r, outcome *o, hn_error *err) {
    size_t pending = 1;
    uint64_t ticket;
    *o = (outcome){0};
    HN_TRY(hn_provider_submit(p, r, 0, take, o, &ticket, err));
    while (pending) HN_TRY(hn_provider_step(p, 50, &pending, err));
    assert_int_equal(o->n_done, 1);
    return o->status;
}

static hn_request chat(json_t *messages) {
    return (hn_request){.kind = HN_REQUEST_GENERATE, .messages = messages, .max_tokens = 9};
}

/* An endpoint's answers, of which each is read, retried or explained; what no server should say, too. */
static void answers_are_read_or_explained(void **state) {
    (void)state;
    static const struct {
        size_t model;
        long status;
        const char *body, *text;
        hn_status wanted;
    } cases[] = {
        {0, 200,
         "{\"model\":\"v\",\"choices\":[{\"message\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}],\"usage\":{"
         "\"prompt_tokens\":3,\"completion_tokens\":2}}",
         "hi", HN_OK},
        {0, 200, "{\"choices\":[{\"message\":{\"content\":null,\"refusal\":\"no\"}}]}", "no", HN_OK},
        {0, 200, "{\"choices\":[]}", "", HN_ERR_NETWORK},
        {0, 200, "[]", "", HN_ERR_NETWORK},
        {0, 200, "", "", HN_ERR_NETWORK},
        {0, 200, "{\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":\"content_filter\"}]}", "",
         HN_ERR_LIMIT},
        {0, 200, "{\"error\":{\"message\":\"overloaded\",\"type\":\"overloaded_error\"}}", "", HN_ERR_NETWORK},
        {0, 200,
         "{\"choices\":[{\"message\":{\"content\":5,\"tool_calls\":[{\"function\":{}},7,{\"function\":{\"name\":\"f\","
         "\"arguments\":{}}}]}}],\"usage\":{\"prompt_tokens\":-4,\"completion_tokens\":1e99}}",
         "", HN_OK},
        {0, 400, "{\"error\":{\"message\":\"maximum context length is 5\"}}", "", HN_ERR_CONTEXT},
        {0, 404, "not here", "", HN_ERR_NOT_FOUND},
        {0, 500, "\xff\xfe", "", HN_ERR_NETWORK},
        {1, 200,
         "{\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"odd\"},3,{\"type\":\"tool_use\",\"name\":\"f\","
         "\"input\":{\"x\":1}}],\"stop_reason\":\"end_turn\"}",
         "a", HN_OK},
        {1, 200, "{\"content\":{}}", "", HN_ERR_NETWORK},
        {1, 529, "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}", "",
         HN_ERR_NETWORK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bench b;
        hn_error err;
        outcome o;
        char question[32];
        snprintf(question, sizeof question, "question %zu", i);
        json_t *messages = json_pack("[{s:s,s:s}]", "role", "user", "content", question);
        hn_request r = chat(messages);
        hn_test_ok(open_bench(&b, cases[i].model, &err), &err);
        script(b.p, &r, false, cases[i].status, cases[i].body);
        assert_int_equal(ask(b.p, &r, &o, &err), cases[i].wanted);
        if (o.status == HN_OK) assert_string_equal(o.text, cases[i].text);
        if (o.status != HN_OK) assert_true(strlen(o.message) > 10);
        if (i == 0) assert_true(fabs(o.usage.cost - 7e-6) < 1e-15);
        close_bench(&b);
        json_decref(messages);
    }
}

static void the_key_of_an_answer_has_the_version(void **state) {
    (void)state;
    bench b;
    hn_error err;
    outcome o;
    char before[65], after[65], other[65];
    json_t *messages = json_pack("[{s:s,s:s}]", "role", "user", "content", "question 0"),
           *more = json_pack("[{s:s,s:s}]", "role", "user", "content", "x");
    hn_request r = chat(messages), r2 = chat(more);
    hn_test_ok(open_bench(&b, 0, &err), &err);
    hn_test_ok(hn_provider_cache_key(b.p, &r, before, &err), &err);
    hn_test_ok(hn_provider_cache_key(b.p, &r2, other, &err), &err);
    assert_string_not_equal(before, other);
    hn_test_ok(ask(b.p, &r, &o, &err), &err);
    hn_test_ok(hn_provider_cache_key(b.p, &r, after, &err), &err);
    assert_string_not_equal(before, after);
    hn_provider_info info;
    hn_test_ok(hn_provider_info_get(b.p, &info, &err), &err);
    assert_string_equal(info.version, "v");
    assert_true(info.generates_only && !info.reproducible);
    close_bench(&b);
    json_decref(messages);
    json_decref(more);
}

static void embeddings_come_as_pooled(void **state) {
    (void)state;
    bench b;
    hn_error err;
    outcome o;
    hn_request r = {.kind = HN_REQUEST_POOLED, .raw = "some text"};
    hn_test_ok(open_bench(&b, 0, &err), &err);
    script(b.p, &r, false, 200,
           "{\"data\":[{\"embedding\":[0.5,-1,2e3]}],\"model\":\"e\",\"usage\":{\"prompt_tokens\":4}}");
    hn_test_ok(ask(b.p, &r, &o, &err), &err);
    assert_int_equal(o.n_pooled, 3);
    assert_true(o.pooled[0] == 0.5f && o.pooled[1] == -1 && o.pooled[2] == 2000);
    r.raw = "other";
    script(b.p, &r, false, 200, "{\"data\":[{\"embedding\":[1,\"x\"]}]}");
    assert_int_equal(ask(b.p, &r, &o, &err), HN_ERR_NETWORK);
    close_bench(&b);
    hn_test_ok(open_bench(&b, 1, &err), &err);
    assert_int_equal(ask(b.p, &r, &o, &err), HN_ERR_UNSUPPORTED);
    close_bench(&b);
}

static void memory_that_runs_out_is_a_status(void **state) {
    (void)state;
    for (size_t model = 0; model < 2; model++) {
        const char *question = model ? "question 11" : "question 0";
        for (size_t n = 1;; n++) {
            bench b;
            hn_error err;
            outcome o = {0};
            assert_true(n < 100000);
            hn_alloc_fail_at(n, true);
            hn_status st = open_bench(&b, model, &err);
            json_t *messages = st == HN_OK ? json_pack("[{s:s,s:s}]", "role", "user", "content", question) : NULL;
            hn_request r = chat(messages);
            if (st == HN_OK && !messages) st = HN_ERR_MEMORY;
            if (st == HN_OK) st = ask(b.p, &r, &o, &err);
            hn_alloc_fail_at(0, false);
            close_bench(&b);
            json_decref(messages);
            if (st == HN_OK) break;
        }
    }
}

static int enter(void **state) {
    static char root[HN_PATH_MAX];
    hn_json_init();
    if (!realpath(".", root)) return -1;
    *state = root;
    return hn_test_enter(folder) == 0 ? mkdir("replay", 0700) : -1;
}

static int leave(void **state) {
    (void)state;
    return hn_test_leave(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(events_come_in_any_pieces),
                                       cmocka_unit_test(events_are_limited),
                                       cmocka_unit_test(pauses_grow_and_respect_the_server),
                                       cmocka_unit_test(rates_are_kept),
                                       cmocka_unit_test(costs_are_what_the_table_says),
                                       cmocka_unit_test(shapes_are_objects),
                                       cmocka_unit_test(keys_are_checked_and_hidden),
                                       cmocka_unit_test(descriptions_are_checked),
                                       cmocka_unit_test(documented_models_load),
                                       cmocka_unit_test(answers_are_read_or_explained),
                                       cmocka_unit_test(the_key_of_an_answer_has_the_version),
                                       cmocka_unit_test(embeddings_come_as_pooled),
                                       cmocka_unit_test(memory_that_runs_out_is_a_status)};
    return cmocka_run_group_tests(tests, enter, leave);
}
