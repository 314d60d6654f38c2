/* Loss masks with the tiny tokenizer: against ids put together by hand from ChatML's own definition, against what serving asks with, with
 * published chat templates, with templates that change earlier text; the refusals; memory that runs out anywhere. */
#include "support.h"

#include "base/alloc.h"
#include "model/loss_check.h"
#include "project/train_mask.h"

#include <stdio.h>
#include <string.h>

static hn_tokenizer *tokenizer;

static const char CHATML[] = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
                             "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

static int setup(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    hn_error err = {0};
    size_t n;
    if (!hn_test_shared("goldens/tiny/tokenizer.json", path)) return 0;
    char *json = hn_test_read(path, &n);
    hn_test_ok(hn_tokenizer_from_json(json, n, path, &tokenizer, &err), &err);
    hn_free(json);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    hn_tokenizer_free(tokenizer);
    return 0;
}

static hn_loss_masker *masker_of(const char *template_text) {
    hn_loss_masker *m;
    hn_error err = {0};
    hn_test_ok(hn_loss_masker_create(tokenizer, template_text, "tiny", &m, &err), &err);
    return m;
}

static json_t *json_of(const char *text) {
    json_t *value;
    hn_error err = {0};
    hn_test_ok(hn_json_parse(text, strlen(text), "test", 0, &value, &err), &err);
    return value;
}

static json_t *two_turns(void) {
    return json_of(
        "[{\"role\": \"user\", \"content\": \"one plus one\"}, {\"role\": \"assistant\", \"content\": \"two\"},"
        " {\"role\": \"user\", \"content\": \"and one\"}, {\"role\": \"assistant\", \"content\": \"three\"}]");
}

/* Pieces of text, those that are learned at odd places: encoded one by one (control tokens from their texts) and joined. ChatML's turns begin
 * and end with control tokens, so no token can reach over the borders used here. */
static void expect_pieces(const hn_loss_mask *mask, const char *const *pieces, size_t n) {
    hn_tokens ids = {0};
    hn_error err = {0};
    size_t learned = 0;
    for (size_t i = 0; i < n; i++) {
        size_t from = ids.n;
        hn_test_ok(hn_tokenizer_encode(tokenizer, pieces[i], strlen(pieces[i]), HN_TOKENIZE_SPECIAL, &ids, &err), &err);
        assert_true(ids.n <= mask->ids.n);
        for (size_t t = from; t < ids.n; t++) {
            assert_int_equal(mask->ids.ids[t], ids.ids[t]);
            assert_int_equal(mask->learned[t], i % 2);
            learned += i % 2;
        }
    }
    assert_int_equal(ids.n, mask->ids.n);
    assert_int_equal(learned, mask->n_learned);
    hn_tokens_free(&ids);
}

static void answers_and_their_ends(void **state) {
    (void)state;
    if (!tokenizer) skip();
    hn_loss_masker *m = masker_of(CHATML);
    json_t *messages = two_turns();
    hn_loss_mask mask;
    hn_error err = {0};
    static const char *const all[] = {"<|im_start|>user\none plus one<|im_end|>\n<|im_start|>assistant\n",
                                      "two<|im_end|>", "\n<|im_start|>user\nand one<|im_end|>\n<|im_start|>assistant\n",
                                      "three<|im_end|>", "\n"};
    hn_test_ok(hn_loss_mask_chat(m, messages, NULL, NULL, "c:1", &mask, &err), &err);
    expect_pieces(&mask, all, 5);
    assert_int_equal(mask.n_answers, 2);
    assert_int_equal(mask.answers[0].message, 1);
    assert_int_equal(mask.answers[1].message, 3);
    assert_true(mask.answers[0].has_end && mask.answers[1].has_end);
    hn_loss_mask_free(&mask);
    static const char read_only[] = "<|im_start|>user\none plus one<|im_end|>\n<|im_start|>assistant\ntwo<|im_end|>\n"
                                    "<|im_start|>user\nand one<|im_end|>\n<|im_start|>assistant\n";
    static const char *const last[] = {read_only, "three<|im_end|>", "\n"};
    hn_test_ok(hn_loss_mask_chat(m, messages, (const unsigned char *)"\0\0\0\1", NULL, "c:1", &mask, &err), &err);
    expect_pieces(&mask, last, 3);
    hn_loss_mask_free(&mask);
    hn_test_ok(hn_loss_mask_chat(m, messages, (const unsigned char *)"\1\0\1\0", NULL, "c:1", &mask, &err), &err);
    assert_int_equal(mask.n_learned, 0); /* a user's weight teaches nothing */
    hn_loss_mask_free(&mask);
    json_decref(messages);
    hn_loss_masker_free(m);
}

/* An end that somebody wrote in an answer is text: the answer goes on behind it. */
static void a_written_end_is_text(void **state) {
    (void)state;
    if (!tokenizer) skip();
    hn_loss_masker *m = masker_of(CHATML);
    json_t *messages =
        json_of("[{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", \"content\": \"a<|im_end|>b\"}]");
    hn_loss_mask mask;
    hn_error err = {0};
    int32_t end = hn_tokenizer_find_special(tokenizer, "<|im_end|>");
    hn_test_ok(hn_loss_mask_chat(m, messages, NULL, NULL, "c:1", &mask, &err), &err);
    size_t n_ends = 0;
    for (size_t t = 0; t < mask.ids.n; t++) n_ends += mask.learned[t] && mask.ids.ids[t] == end;
    assert_int_equal(n_ends, 1);
    assert_int_equal(mask.ids.ids[mask.answers[0].end - 1], end);
    assert_int_equal(mask.answers[0].end + 1, mask.ids.n); /* the template's line end */
    hn_loss_mask_free(&mask);
    json_decref(messages);
    hn_loss_masker_free(m);
}

static void answers_as_serving_scores_them(void **state) {
    (void)state;
    if (!tokenizer) skip();
    hn_loss_masker *m = masker_of(CHATML);
    json_t *messages = json_of("[{\"role\": \"user\", \"content\": \"q\"}]");
    hn_loss_mask mask;
    hn_error err = {0};
    static const char *const chat[] = {"<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n", "yes<|im_end|>"};
    hn_test_ok(hn_loss_mask_answer(m, messages, NULL, "yes", "case 1", &mask, &err), &err);
    expect_pieces(&mask, chat, 2);
    hn_loss_mask_free(&mask);
    static const char *const raw[] = {"q:", " yes\n"};
    hn_test_ok(hn_loss_mask_raw(m, "q:", " yes", "\n", "case 1", &mask, &err), &err);
    expect_pieces(&mask, raw, 2);
    assert_true(mask.answers[0].has_end);
    hn_loss_mask_free(&mask);
    hn_test_ok(hn_loss_mask_text(m, "once upon", 9, &mask, &err), &err);
    assert_int_equal(mask.learned[0], 0);
    assert_int_equal(mask.n_learned, mask.ids.n - 1);
    assert_int_equal(mask.ids.ids[mask.ids.n - 1],
                     hn_tokenizer_eos(tokenizer) >= 0 ? hn_tokenizer_eos(tokenizer) : mask.ids.ids[mask.ids.n - 1]);
    hn_loss_mask_free(&mask);
    json_decref(messages);
    hn_loss_masker_free(m);
}

static void refused(const char *template_text, json_t *messages, const unsigned char *weight, hn_status wanted,
                    const char *where, const char *part) {
    hn_loss_masker *m = masker_of(template_text);
    hn_loss_mask mask;
    hn_error err = {0};
    hn_status st = hn_loss_mask_chat(m, messages, weight, NULL, "c.jsonl:7", &mask, &err);
    if (st != wanted) fail_msg("%s: %s (%s)", hn_status_name(st), err.message, part);
    if (strncmp(err.where, where, strlen(where)) != 0) fail_msg("where is `%s`, wanted `%s`", err.where, where);
    if (!strstr(err.message, part)) fail_msg("`%s` lacks `%s`", err.message, part);
    assert_true(*err.hint != 0);
    assert_null(mask.ids.ids);
    hn_loss_masker_free(m);
}

static void templates_that_change_earlier_text(void **state) {
    (void)state;
    if (!tokenizer) skip();
    static const char forgets[] = "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role != 'assistant' or "
                                  "loop.last %}{{ m.content }}{% endif %}<|im_end|>\n{% endfor %}{% if "
                                  "add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    static const char thinks[] =
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}";
    static const char refuses[] =
        "{% if messages[-1].role == 'user' %}{{ raise_exception('no question last') }}{% endif %}x";
    json_t *messages = two_turns();
    refused(forgets, messages, NULL, HN_ERR_TEMPLATE, "c.jsonl:7: messages[1]", "changes earlier text");
    refused(thinks, messages, NULL, HN_ERR_TEMPLATE, "c.jsonl:7: messages[1]", "<think>");
    hn_loss_masker *m = masker_of(refuses);
    hn_loss_mask mask;
    hn_error err = {0};
    assert_int_equal(hn_loss_mask_chat(m, messages, NULL, NULL, "c.jsonl:7", &mask, &err), HN_ERR_TEMPLATE);
    assert_non_null(strstr(err.where, "c.jsonl:7"));
    hn_loss_masker_free(m);
    m = masker_of(forgets); /* the last answer alone is asked for as serving does */
    hn_test_ok(hn_loss_mask_chat(m, messages, (const unsigned char *)"\0\0\0\1", NULL, "c:1", &mask, &err), &err);
    assert_int_equal(mask.n_answers, 1);
    hn_loss_mask_free(&mask);
    hn_loss_masker_free(m);
    refused(NULL, messages, NULL, HN_ERR_TEMPLATE, "tiny", "no chat template");
    json_decref(messages);
    messages = json_of("[{\"role\": \"assistant\", \"content\": \"hello\"}]");
    refused(CHATML, messages, NULL, HN_ERR_INPUT, "c.jsonl:7", "begins with");
    json_decref(messages);
}

/* Published templates, whose control tokens the tiny vocabulary has in part: what is taken holds each answer's text within its span. */
static void published_templates(void **state) {
    (void)state;
    static const char *const names[] = {"Qwen-Qwen2.5-7B-Instruct",
                                        "Qwen-Qwen3-0.6B",
                                        "meta-llama-Llama-3.1-8B-Instruct",
                                        "google-gemma-2-2b-it",
                                        "microsoft-Phi-3.5-mini-instruct",
                                        "mistralai-Mistral-Nemo-Instruct-2407",
                                        "ibm-granite-granite-3.3-2B-Instruct",
                                        "moonshotai-Kimi-K2"};
    size_t n_taken = 0;
    for (size_t i = 0; tokenizer && i < sizeof names / sizeof *names; i++) {
        char path[HN_PATH_MAX], file[256];
        size_t n;
        snprintf(file, sizeof file, "suites/chat-templates/%s.jinja", names[i]);
        if (!hn_test_shared(file, path)) skip();
        char *source = hn_test_read(path, &n);
        hn_loss_masker *m = masker_of(source);
        json_t *messages = two_turns();
        hn_loss_mask mask;
        hn_error err = {0};
        hn_status st = hn_loss_mask_chat(m, messages, NULL, NULL, "c:1", &mask, &err);
        if (st == HN_OK) {
            static const char *const answers[] = {"two", "three"};
            assert_int_equal(mask.n_answers, 2);
            for (size_t a = 0; a < 2; a++) {
                hn_buf text;
                hn_buf_init(&text, 0);
                const hn_loss_answer *at = &mask.answers[a];
                hn_test_ok(hn_tokenizer_decode(tokenizer, mask.ids.ids + at->start, at->end - at->start, true, false,
                                               &text, &err),
                           &err);
                assert_non_null(strstr(hn_buf_str(&text), answers[a]));
                assert_null(strstr(hn_buf_str(&text), "plus"));
                if (strstr(names[i], "Qwen2.5")) {
                    assert_true(at->has_end);
                    assert_int_equal(hn_buf_str(&text)[0], answers[a][0]);
                }
                hn_buf_free(&text);
            }
            n_taken++;
        } else if (st != HN_ERR_TEMPLATE && st != HN_ERR_INPUT) {
            fail_msg("%s: %s", names[i], err.message);
        }
        if (strstr(names[i], "Qwen3"))
            assert_int_equal(st, HN_ERR_TEMPLATE); /* it takes thoughts out of earlier turns */
        hn_loss_mask_free(&mask);
        json_decref(messages);
        hn_loss_masker_free(m);
        hn_free(source);
    }
    if (tokenizer) assert_true(n_taken >= 4);
}

/* A turn that calls a tool is learned with its call; the tool's result is only read; a template without tools refuses them. */
static void tool_calls_are_learned(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    size_t n;
    if (!tokenizer || !hn_test_shared("suites/chat-templates/Qwen-Qwen2.5-7B-Instruct.jinja", path)) skip();
    char *source = hn_test_read(path, &n);
    hn_train_data *d;
    hn_error err = {0};
    static const char row[] =
        "{\"messages\": [{\"role\": \"user\", \"content\": \"Weather?\"}, {\"role\": \"assistant\", \"content\": null, "
        "\"tool_calls\": [{\"id\": \"c1\", \"type\": \"function\", \"function\": {\"name\": \"look\", \"arguments\": "
        "\"{\\\"at\\\": 3}\"}}]}, {\"role\": \"tool\", \"tool_call_id\": \"c1\", \"content\": \"sunny\"}, {\"role\": "
        "\"assistant\", \"content\": \"Fine.\"}], \"tools\": [{\"type\": \"function\", \"function\": {\"name\": "
        "\"look\", "
        "\"parameters\": {\"type\": \"object\"}}}]}";
    hn_test_ok(hn_train_data_parse(row, strlen(row), "t.jsonl", &d, &err), &err);
    hn_loss_masker *m = masker_of(source), *plain = masker_of(CHATML);
    hn_loss_mask mask;
    hn_test_ok(hn_train_mask_row(m, d, 0, HN_TRAIN_CHOSEN, &mask, &err), &err);
    static const char *const learned[] = {
        "<tool_call>\n{\"name\": \"look\", \"arguments\": {\"at\": 3}}\n</tool_call><|im_end|>", "Fine.<|im_end|>"};
    assert_int_equal(mask.n_answers, 2);
    for (size_t a = 0; a < 2; a++) {
        hn_buf text;
        hn_buf_init(&text, 0);
        const hn_loss_answer *at = &mask.answers[a];
        hn_test_ok(
            hn_tokenizer_decode(tokenizer, mask.ids.ids + at->start, at->end - at->start, true, false, &text, &err),
            &err);
        assert_string_equal(hn_buf_str(&text), learned[a]);
        hn_buf_free(&text);
    }
    hn_loss_mask_free(&mask);
    assert_int_equal(hn_train_mask_row(plain, d, 0, HN_TRAIN_CHOSEN, &mask, &err), HN_ERR_TEMPLATE);
    assert_string_equal(err.where, "t.jsonl:1");
    hn_loss_masker_free(plain);
    hn_loss_masker_free(m);
    hn_train_data_free(d);
    hn_free(source);
}

static hn_train_data *data_of(const char *text) {
    hn_train_data *d;
    hn_error err = {0};
    hn_test_ok(hn_train_data_parse(text, strlen(text), "c.jsonl", &d, &err), &err);
    return d;
}

static void check_refused(const char *template_text, const char *rows, size_t max_tokens, hn_status wanted,
                          const char *part) {
    hn_loss_masker *m = masker_of(template_text);
    hn_train_data *d = data_of(rows);
    hn_loss_check check = {.max_tokens = max_tokens};
    hn_error err = {0};
    hn_status st = hn_train_mask_check(m, d, &check, &err);
    if (st != wanted || !strstr(err.message, part))
        fail_msg("%s: `%s` lacks `%s`", hn_status_name(st), err.message, part);
    if (wanted != HN_OK) {
        assert_string_equal(err.where, "c.jsonl");
        assert_true(*err.hint != 0);
    }
    hn_train_data_free(d);
    hn_loss_masker_free(m);
}

#define ROW(answer)                                                                                                    \
    "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", \"content\": \"" answer       \
    "\"}]}\n"
#define EMPTY                                                                                                          \
    "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", \"content\": \"a\", "         \
    "\"weight\": 0}]}\n"

static void refusals(void **state) {
    (void)state;
    if (!tokenizer) skip();
    static const char endless[] = "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}{% if "
                                  "add_generation_prompt %}[assistant]{% endif %}";
    check_refused(CHATML, ROW("a") ROW("b"), 0, HN_OK, "");
    check_refused(CHATML, ROW("a") "\n" EMPTY ROW("a"), 0, HN_ERR_INPUT, "row 2 (line 3)");
    check_refused(CHATML, EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY EMPTY, 0, HN_ERR_INPUT,
                  "rows 1, 2, 3, 4, 5 and 2 more (lines 1, 2, 3, 4, 5, ...)");
    check_refused(CHATML, ROW("a") ROW("one two three four five six seven eight nine ten eleven twelve thirteen"), 30,
                  HN_ERR_LIMIT, "row 2 (line 2)");
    check_refused(endless, ROW("a") ROW("b"), 0, HN_ERR_INPUT, "never trained");
    check_refused(CHATML, "{\"prompt\": \"q\", \"chosen\": \"a\", \"rejected\": \"b\"}", 0, HN_OK, "");
    check_refused(CHATML, "{\"text\": \"once upon a time there was\"}", 3, HN_OK, "");
}

/* The limit is exact: the template's line end behind the last answer needs no room. */
static void limit_is_exact(void **state) {
    (void)state;
    if (!tokenizer) skip();
    hn_loss_masker *m = masker_of(CHATML);
    hn_train_data *d = data_of(ROW("a"));
    hn_loss_mask mask;
    hn_error err = {0};
    hn_test_ok(hn_train_mask_row(m, d, 0, HN_TRAIN_CHOSEN, &mask, &err), &err);
    for (size_t less = 0; less < 2; less++) {
        hn_loss_check check = {.max_tokens = mask.answers[0].end - less};
        hn_loss_check_add(&check, &mask, 1, 1);
        assert_int_equal(hn_loss_check_refuse(&check, "c.jsonl", &err), less ? HN_ERR_LIMIT : HN_OK);
    }
    hn_loss_mask_free(&mask);
    hn_train_data_free(d);
    hn_loss_masker_free(m);
}

static void pairs_learn_their_own_side(void **state) {
    (void)state;
    if (!tokenizer) skip();
    hn_loss_masker *m = masker_of(CHATML);
    hn_train_data *d =
        data_of("{\"prompt\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", \"content\": "
                "\"early\"}, {\"role\": \"user\", \"content\": \"r\"}], \"chosen\": \"good\", \"rejected\": \"bad\"}");
    static const char *const ends[] = {"good<|im_end|>", "bad<|im_end|>"};
    for (int side = 0; side < 2; side++) {
        const char *const pieces[] = {"<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\nearly<|im_end|>\n"
                                      "<|im_start|>user\nr<|im_end|>\n<|im_start|>assistant\n",
                                      ends[side], "\n"};
        hn_loss_mask mask;
        hn_error err = {0};
        hn_test_ok(hn_train_mask_row(m, d, 0, (hn_train_side)side, &mask, &err), &err);
        expect_pieces(&mask, pieces, 3);
        hn_loss_mask_free(&mask);
    }
    hn_train_data_free(d);
    hn_loss_masker_free(m);
}

static void memory_runs_out(void **state) {
    (void)state;
    if (!tokenizer) skip();
    json_t *messages = two_turns();
    for (size_t n = 1; n < 20000; n++) {
        hn_loss_masker *m = NULL;
        hn_loss_mask mask = {0};
        hn_error err = {0};
        hn_alloc_fail_at(n, true);
        hn_status st = hn_loss_masker_create(tokenizer, CHATML, "tiny", &m, &err);
        if (st == HN_OK) st = hn_loss_mask_chat(m, messages, NULL, NULL, "c:1", &mask, &err);
        hn_alloc_fail_at(0, false);
        if (st != HN_OK) assert_null(mask.ids.ids);
        hn_loss_mask_free(&mask);
        hn_loss_masker_free(m);
        if (st == HN_OK) break;
        if (st != HN_ERR_MEMORY) fail_msg("allocation %zu: %s", n, err.message);
    }
    json_decref(messages);
}

int main(void) {
    hn_json_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_and_their_ends),
        cmocka_unit_test(a_written_end_is_text),
        cmocka_unit_test(answers_as_serving_scores_them),
        cmocka_unit_test(templates_that_change_earlier_text),
        cmocka_unit_test(published_templates),
        cmocka_unit_test(tool_calls_are_learned),
        cmocka_unit_test(refusals),
        cmocka_unit_test(limit_is_exact),
        cmocka_unit_test(pairs_learn_their_own_side),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
