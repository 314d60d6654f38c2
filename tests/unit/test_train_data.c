/* Training data of every format, against what the formats' own descriptions say; each kind of wrong row with its line and field; memory that
 * runs out anywhere. */
#include "support.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "project/train_data.h"

#include <string.h>

static hn_train_data *parse(const char *text, const char *name) {
    hn_error err = {0};
    hn_train_data *data;
    hn_test_ok(hn_train_data_parse(text, strlen(text), name, &data, &err), &err);
    return data;
}

static void expect_messages(const json_t *have, const char *wanted) {
    hn_error err = {0};
    json_t *value;
    hn_test_ok(hn_json_parse(wanted, strlen(wanted), "wanted", 0, &value, &err), &err);
    if (!json_equal(have, value)) {
        hn_buf text;
        hn_buf_init(&text, 0);
        hn_json_write(have, NULL, &text);
        fail_msg("%s instead of %s", hn_buf_str(&text), wanted);
    }
    json_decref(value);
}

/* The error must be at `where` and its message or hint must contain `part`. */
static void refused(const char *text, const char *name, const char *where, const char *part) {
    hn_error err = {0};
    hn_train_data *data = NULL;
    hn_status st = hn_train_data_parse(text, strlen(text), name, &data, &err);
    if (st == HN_OK) fail_msg("taken: %s", text);
    assert_null(data);
    if (strncmp(err.where, where, strlen(where)) != 0) fail_msg("where is `%s`, wanted `%s`", err.where, where);
    if (!strstr(err.message, part) && !strstr(err.hint, part)) fail_msg("`%s` lacks `%s`", err.message, part);
    assert_true(*err.hint != 0);
}

#define U "{\"role\": \"user\", \"content\": \"q\"}"
#define A "{\"role\": \"assistant\", \"content\": \"a\"}"

static void chat(void **state) {
    (void)state;
    hn_train_data *d = parse("{\"messages\": [" U ", " A "]}\n\n"
                             "{\"messages\": [" U ", {\"role\": \"assistant\", \"content\": \"x\", \"weight\": 0}, " U
                             ", {\"role\": \"assistant\", \"content\": \"y\", \"weight\": 1}], \"tools\": "
                             "[{\"type\": \"function\", \"function\": {\"name\": \"f\", \"parameters\": {}}}]}\n",
                             "c.jsonl");
    assert_int_equal(d->format, HN_TRAIN_CHAT);
    assert_string_equal(hn_train_format_text(d->format), "OpenAI chat messages");
    assert_int_equal(d->n_rows, 2);
    assert_int_equal(d->rows[0].line, 1);
    assert_int_equal(d->rows[1].line, 3);
    char place[384];
    assert_string_equal(hn_train_row_place(d, 1, place), "c.jsonl:3");
    assert_memory_equal(d->rows[0].weight, "\0\1", 2);
    assert_memory_equal(d->rows[1].weight, "\0\0\0\1", 4);
    assert_null(d->rows[0].tools);
    assert_int_equal(json_array_size(d->rows[1].tools), 1);
    expect_messages(d->rows[1].messages, "[" U ", {\"role\": \"assistant\", \"content\": \"x\"}, " U
                                         ", {\"role\": \"assistant\", \"content\": \"y\"}]");
    char hex[HN_SHA256_HEX];
    assert_int_equal(hn_sha256_bytes(d->bytes, strlen(d->bytes), hex), HN_OK);
    assert_string_equal(d->hash, hex);
    hn_train_data_free(d);
}

static void sharegpt(void **state) {
    (void)state;
    hn_train_data *d = parse(
        "[\n {\"id\": \"a]\\\"[\", \"conversations\": [{\"from\": \"system\", \"value\": \"s\"}, {\"from\": "
        "\"human\", \"value\": \"q\"}, {\"from\": \"gpt\", \"value\": \"a\"}]},\n\n {\n"
        "\"conversations\": [{\"from\": \"user\", \"value\": \"q\"},\n{\"from\": \"assistant\", "
        "\"value\": \"b\"}]}\n, {\"system\": \"t\", \"conversations\": [{\"from\": \"human\", \"value\": \"q\"}]}]",
        "s.json");
    assert_int_equal(d->format, HN_TRAIN_SHAREGPT);
    assert_int_equal(d->n_rows, 3);
    assert_int_equal(d->rows[0].line, 2);
    assert_int_equal(d->rows[1].line, 4);
    assert_int_equal(d->rows[2].line, 7);
    expect_messages(d->rows[0].messages, "[{\"role\": \"system\", \"content\": \"s\"}, " U ", " A "]");
    assert_memory_equal(d->rows[0].weight, "\0\0\1", 3);
    expect_messages(d->rows[2].messages, "[{\"role\": \"system\", \"content\": \"t\"}, " U "]");
    hn_train_data_free(d);
}

static void alpaca(void **state) {
    (void)state;
    hn_train_data *d = parse("{\"instruction\": \"i\", \"input\": \"\", \"output\": \"o\"}\n"
                             "{\"instruction\": \"i\", \"input\": \"in\", \"output\": \"o\", \"system\": \"s\"}\n",
                             "a.jsonl");
    assert_int_equal(d->format, HN_TRAIN_ALPACA);
    expect_messages(d->rows[0].messages,
                    "[{\"role\": \"user\", \"content\": \"i\"}, {\"role\": \"assistant\", \"content\": \"o\"}]");
    expect_messages(d->rows[1].messages,
                    "[{\"role\": \"system\", \"content\": \"s\"}, {\"role\": \"user\", \"content\": "
                    "\"i\\n\\nin\"}, {\"role\": \"assistant\", \"content\": \"o\"}]");
    assert_memory_equal(d->rows[1].weight, "\0\0\1", 3);
    hn_train_data_free(d);
}

static void preferences(void **state) {
    (void)state;
    hn_train_data *d =
        parse("{\"prompt\": \"q\", \"chosen\": \"a\", \"rejected\": \"b\"}\n"
              "{\"prompt\": [" U "], \"chosen\": [" A "], \"rejected\": \"b\"}\n"
              "{\"input\": {\"messages\": [" U "]}, \"preferred_output\": [" A "], \"non_preferred_output\": \"b\"}\n",
              "p.jsonl");
    assert_int_equal(d->format, HN_TRAIN_PREFERENCE);
    assert_int_equal(d->n_rows, 3);
    for (size_t i = 0; i < 3; i++) {
        expect_messages(d->rows[i].messages, "[" U "]");
        expect_messages(d->rows[i].chosen, "[" A "]");
        expect_messages(d->rows[i].rejected, "[{\"role\": \"assistant\", \"content\": \"b\"}]");
    }
    hn_train_data_free(d);
}

static void texts(void **state) {
    (void)state;
    hn_train_data *d = parse("{\"text\": \"one\"}\n{\"text\": \"two words\"}\n", "t.jsonl");
    assert_int_equal(d->format, HN_TRAIN_TEXT_ROWS);
    assert_int_equal(d->rows[1].n_text, 9);
    hn_train_data_free(d);
    d = parse("\xEF\xBB\xBF{ once upon\na time", "story.txt");
    assert_int_equal(d->format, HN_TRAIN_TEXT);
    assert_int_equal(d->n_rows, 1);
    assert_string_equal(d->rows[0].text, "{ once upon\na time");
    hn_train_data_free(d);
    d = parse("plain words", "no-ending");
    assert_int_equal(d->format, HN_TRAIN_TEXT);
    hn_train_data_free(d);
}

static void refusals(void **state) {
    (void)state;
    refused("", "e.jsonl", "e.jsonl", "nothing");
    refused(" \n\t\n", "e.txt", "e.txt", "nothing");
    refused("[]", "e.json", "e.json", "nothing");
    refused("a,b\n", "e.csv", "e.csv", "hone init");
    refused("ok\n\xFF", "bad.txt", "bad.txt:2", "UTF-8");
    refused("{\"question\": 1}", "q.jsonl", "q.jsonl:1", "`question`");
    refused("3\n", "q.jsonl", "q.jsonl:1", "must be an object");
    refused("{\"messages\": [" U ", " A "]}\n{\"text\": \"x\"}", "m.jsonl", "m.jsonl:2", "first row's format");
    refused("{\"messages\": [" U ", " A "]}\n{\"messages\": [" U, "m.jsonl", "m.jsonl:2", "");
    refused("{\"messages\": []}", "m.jsonl", "m.jsonl:1: messages", "empty");
    refused("{\"messages\": [{\"role\": \"user\"}]}", "m.jsonl", "m.jsonl:1: messages: messages[0]", "content");
    refused("{\"messages\": [{\"role\": \"asistant\", \"content\": \"\"}]}", "m.jsonl", "m.jsonl:1", "did you mean");
    refused("{\"messages\": [" U ", {\"role\": \"assistant\", \"content\": \"a\", \"weight\": 0.5}]}", "m.jsonl",
            "m.jsonl:1: messages[1].weight", "0 or 1");
    refused("{\"messages\": [{\"role\": \"user\", \"content\": \"a\", \"weight\": 1}]}", "m.jsonl",
            "m.jsonl:1: messages[0].weight", "assistant");
    refused("{\"messages\": [" U "], \"tools\": 3}", "m.jsonl", "m.jsonl:1: tools", "");
    refused("{\"messages\": [" U "], \"functions\": []}", "m.jsonl", "m.jsonl:1", "tools");
    refused("{\"conversations\": [{\"from\": \"martian\", \"value\": \"\"}]}", "s.jsonl", "s.jsonl:1: conversations[0]",
            "martian");
    refused("{\"conversations\": 1}", "s.jsonl", "s.jsonl:1", "array");
    refused("{\"conversations\": [1]}", "s.jsonl", "s.jsonl:1: conversations[0]", "object");
    refused("{\"instruction\": \"i\"}", "a.jsonl", "a.jsonl:1", "output");
    refused("{\"instruction\": \"i\", \"output\": \"o\", \"history\": [[\"a\", \"b\"]]}", "a.jsonl", "a.jsonl:1",
            "history");
    refused("{\"prompt\": \"q\", \"chosen\": \"a\"}", "p.jsonl", "p.jsonl:1: rejected", "missing");
    refused("{\"prompt\": \"q\", \"chosen\": \"a\", \"rejected\": \"a\"}", "p.jsonl", "p.jsonl:1", "same");
    refused("{\"prompt\": \"q\", \"chosen\": [" U ", " A "], \"rejected\": \"a\"}", "p.jsonl", "p.jsonl:1: chosen[0]",
            "user");
    refused("{\"text\": \"\"}", "t.jsonl", "t.jsonl:1", "empty");
    refused("{\"text\": \"x\"}\n{\"text\": 3}", "t.jsonl", "t.jsonl:2", "text");
}

static void too_many_messages(void **state) {
    (void)state;
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_buf_append_str(&text, "{\"messages\": [" U);
    for (int i = 0; i < 1024; i++) hn_buf_append_str(&text, ", " U);
    hn_buf_append_str(&text, "]}");
    refused(hn_buf_str(&text), "m.jsonl", "m.jsonl:1: messages", "limit");
    hn_buf_free(&text);
}

static void memory_runs_out(void **state) {
    (void)state;
    static const char *const rows[] = {
        "{\"messages\": [" U ", {\"role\": \"assistant\", \"content\": \"x\", \"weight\": 1}]}\n",
        "{\"conversations\": [{\"from\": \"human\", \"value\": \"q\", \"weight\": null}]}\n",
        "{\"instruction\": \"i\", \"input\": \"in\", \"output\": \"o\"}\n",
        "{\"prompt\": [" U "], \"chosen\": [" A "], \"rejected\": \"b\"}\n"};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (size_t n = 1; n < 5000; n++) {
            hn_train_data *data = NULL;
            hn_error err = {0};
            hn_alloc_fail_at(n, true);
            hn_status st = hn_train_data_parse(rows[r], strlen(rows[r]), "m.jsonl", &data, &err);
            hn_alloc_fail_at(0, false);
            if (st == HN_OK) {
                assert_int_equal(data->n_rows, 1);
                hn_train_data_free(data);
                break;
            }
            if (st != HN_ERR_MEMORY) fail_msg("row %zu, allocation %zu: %s", r, n, err.message);
            assert_null(data);
        }
}

int main(void) {
    hn_json_init();
    const struct CMUnitTest tests[] = {cmocka_unit_test(chat),
                                       cmocka_unit_test(sharegpt),
                                       cmocka_unit_test(alpaca),
                                       cmocka_unit_test(preferences),
                                       cmocka_unit_test(texts),
                                       cmocka_unit_test(refusals),
                                       cmocka_unit_test(too_many_messages),
                                       cmocka_unit_test(memory_runs_out)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
