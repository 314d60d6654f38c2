/* tokenizer.json: ids of the `tokenizers` package for small vocabularies with the pipelines of published families
 * (tests/fixtures/tokenizers, made by make.py there), the tiny golden, and files that must be refused. */
#include "token_goldens.h"

#include "base/alloc.h"

#include "format/json.h"

#include <stdio.h>
#include <string.h>

#define FOLDER "tests/fixtures/tokenizers/"

static hn_tokenizer *open_json(const char *path) {
    size_t n;
    hn_tokenizer *t;
    hn_error err = {0};
    char *text = hn_test_read(path, &n);
    hn_test_ok(hn_tokenizer_from_json(text, n, path, &t, &err), &err);
    hn_free(text);
    return t;
}

static void check_ids(const hn_tokenizer *t, json_t *row, const char *key, unsigned flags, const char *name, int line) {
    json_t *text = json_object_get(row, "text"), *expected = json_object_get(row, key);
    hn_tokens ids = {0};
    hn_error err = {0};
    hn_test_ok(hn_tokenizer_encode(t, json_string_value(text), json_string_length(text), flags, &ids, &err), &err);
    for (size_t i = 0; i < ids.n || i < json_array_size(expected); i++) {
        int want = i < json_array_size(expected) ? (int)json_integer_value(json_array_get(expected, i)) : -1;
        int got = i < ids.n ? ids.ids[i] : -1;
        if (got != want)
            fail_msg("%s line %d (%s) '%s': token %zu is %d instead of %d", name, line, key, json_string_value(text), i,
                     got, want);
    }
    hn_tokens_free(&ids);
}

static void check_text(const hn_tokenizer *t, json_t *row, const char *name, int line) {
    json_t *plain = json_object_get(row, "plain"), *decoded = json_object_get(row, "decoded");
    hn_tokens ids = {0};
    hn_buf back;
    hn_error err = {0};
    for (size_t i = 0; i < json_array_size(plain); i++)
        assert_int_equal(hn_tokens_push(&ids, (int32_t)json_integer_value(json_array_get(plain, i))), 0);
    hn_buf_init(&back, 0);
    bool strip = strcmp(name, "llama2") == 0 || strcmp(name, "mistral") == 0 || strcmp(name, "metaspace") == 0;
    hn_test_ok(hn_tokenizer_decode(t, ids.ids, ids.n, true, strip, &back, &err), &err);
    if (back.len != json_string_length(decoded) || memcmp(hn_buf_str(&back), json_string_value(decoded), back.len) != 0)
        fail_msg("%s line %d: '%s' instead of '%s'", name, line, hn_buf_str(&back), json_string_value(decoded));
    hn_buf_free(&back);
    hn_tokens_free(&ids);
}

/* Checks `t`, which it frees, against NAME.ids. */
static void check_all(hn_tokenizer *t, const char *name) {
    char path[256];
    size_t n;
    int line = 0;
    snprintf(path, sizeof path, FOLDER "%s.ids", name);
    char *lines = hn_test_read(path, &n);
    for (char *p = lines, *end; *p; p = end + 1) {
        end = strchr(p, '\n');
        assert_non_null(end);
        json_t *row = json_loadb(p, (size_t)(end - p), JSON_ALLOW_NUL, NULL);
        assert_non_null(row);
        line++;
        check_ids(t, row, "special", HN_TOKENIZE_SPECIAL, name, line);
        check_ids(t, row, "plain", 0, name, line);
        check_ids(t, row, "start", HN_TOKENIZE_SPECIAL | HN_TOKENIZE_BOS, name, line);
        /* The reference joins the words of "unknown" with spaces, and keeps the space that encoding puts after an
         * added token. */
        bool differs =
            strcmp(name, "unknown") == 0 || strstr(json_string_value(json_object_get(row, "decoded")), "<think> ");
        if (!differs) check_text(t, row, name, line);
        json_decref(row);
    }
    assert_true(line > 50);
    hn_free(lines);
    hn_tokenizer_free(t);
}

static void check_family(const char *name) {
    char path[256];
    snprintf(path, sizeof path, FOLDER "%s.json", name);
    check_all(open_json(path), name);
}

/* The same vocabulary with scores instead of ranks gives the same ids. */
static void sentencepiece(void **state) {
    (void)state;
    hn_gguf *g;
    hn_tokenizer *t;
    hn_error err = {0};
    hn_test_ok(hn_gguf_open(FOLDER "spm.gguf", &g, &err), &err);
    hn_test_ok(hn_tokenizer_from_gguf(g, &t, &err), &err);
    hn_gguf_close(g);
    check_all(t, "llama2");
}

static void family(void **state) { check_family(*state); }

static void tiny_golden(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    if (!hn_test_shared("goldens/tiny/tokenizer.json", path)) skip();
    hn_tokenizer *t = open_json(path);
    assert_int_equal(hn_tokenizer_vocab_size(t), 512);
    assert_int_equal(hn_tokenizer_eos(t), 2);
    assert_true(hn_tokenizer_is_end(t, 0) && hn_tokenizer_is_end(t, 2));
    assert_true(hn_test_shared("goldens/tiny/tokens.jsonl", path));
    assert_int_equal(hn_test_token_goldens(t, path), 8);
    hn_tokenizer_free(t);
}

static void config_names_the_ends(void **state) {
    (void)state;
    hn_tokenizer *t = open_json(FOLDER "gpt2.json");
    hn_error err = {0};
    int32_t end = hn_tokenizer_find_special(t, "<|end|>"), s = hn_tokenizer_find_special(t, "<s>");
    assert_true(end > 0 && s > 0 && !hn_tokenizer_adds_bos(t));
    static const char config[] =
        "{\"bos_token\": {\"content\": \"<s>\"}, \"eos_token\": \"<|end|>\", \"add_bos_token\": true}";
    hn_test_ok(hn_tokenizer_apply_config(t, config, strlen(config), "config", &err), &err);
    assert_int_equal(hn_tokenizer_eos(t), end);
    assert_int_equal(hn_tokenizer_bos(t), s);
    assert_true(hn_tokenizer_adds_bos(t) && hn_tokenizer_is_end(t, end));
    hn_tokens ids = {0};
    hn_test_ok(hn_tokenizer_encode(t, "", 0, HN_TOKENIZE_BOS, &ids, &err), &err);
    assert_true(ids.n == 1 && ids.ids[0] == s);
    hn_tokens_free(&ids);
    assert_int_equal(hn_tokenizer_apply_config(t, "[", 1, "config", &err), HN_ERR_INPUT);
    hn_tokenizer_free(t);
}

static void refused(const char *json, hn_status code, const char *word) {
    hn_tokenizer *t;
    hn_error err = {0};
    hn_status st = hn_tokenizer_from_json(json, strlen(json), "t.json", &t, &err);
    if (st != code) fail_msg("%s for %s: %s", hn_status_name(st), json, err.message);
    if (!strstr(err.message, word) && !strstr(err.where, word))
        fail_msg("no '%s' in %s: %s", word, err.where, err.message);
    assert_null(t);
}

#define MODEL "\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1, \"ab\": 2}, \"merges\": [\"a b\"]}"

static void bad_files(void **state) {
    (void)state;
    refused("", HN_ERR_INPUT, "t.json");
    refused("[]", HN_ERR_INPUT, "model");
    refused("{\"model\": {\"type\": \"Unigram\"}}", HN_ERR_UNSUPPORTED, "Unigram");
    refused("{\"model\": {\"type\": \"BPE\"}}", HN_ERR_INPUT, "model.vocab");
    refused("{\"model\": {\"vocab\": {}, \"merges\": []}}", HN_ERR_INPUT, "empty");
    refused("{\"model\": {\"vocab\": {\"a\": -1}, \"merges\": []}}", HN_ERR_INPUT, "id");
    refused("{\"model\": {\"vocab\": {\"a\": 1e3}, \"merges\": []}}", HN_ERR_INPUT, "id");
    refused("{\"model\": {\"vocab\": {\"a\": 4194303}, \"merges\": []}}", HN_ERR_INPUT, "holes");
    refused("{\"model\": {\"vocab\": {\"a\": 99999999999}, \"merges\": []}}", HN_ERR_INPUT, "id");
    refused("{\"model\": {\"vocab\": {\"a\": 0, \"b\": 0}, \"merges\": []}}", HN_ERR_INPUT, "one id");
    refused("{\"model\": {\"vocab\": {\"a\": 0}, \"merges\": [\"aa\"]}}", HN_ERR_INPUT, "merges");
    refused("{\"model\": {\"vocab\": {\"a\": 0}, \"merges\": [[\"a\"]]}}", HN_ERR_INPUT, "merges");
    refused("{\"model\": {\"vocab\": {\"a\": 0}, \"merges\": [7]}}", HN_ERR_INPUT, "merges");
    refused("{\"model\": {\"vocab\": {\"a\": 0}, \"merges\": [], \"dropout\": 0.1}}", HN_ERR_UNSUPPORTED, "dropout");
    refused("{\"model\": {\"vocab\": {\"a\": 0}, \"merges\": [], \"end_of_word_suffix\": \"</w>\"}}",
            HN_ERR_UNSUPPORTED, "end_of_word");
    refused("{\"normalizer\": {\"type\": \"Precompiled\"}, " MODEL "}", HN_ERR_UNSUPPORTED, "Precompiled");
    refused("{\"normalizer\": {\"type\": \"Replace\", \"pattern\": {\"Regex\": \"(\"}, \"content\": \"\"}, " MODEL "}",
            HN_ERR_INPUT, "pattern");
    refused("{\"pre_tokenizer\": {\"type\": \"UnicodeScripts\"}, " MODEL "}", HN_ERR_UNSUPPORTED, "UnicodeScripts");
    refused("{\"pre_tokenizer\": {}, " MODEL "}", HN_ERR_INPUT, "type");
    refused("{\"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": {\"Regex\": \"[a&&[b]]\"}}, " MODEL "}",
            HN_ERR_UNSUPPORTED, "set");
    refused("{\"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": {\"Regex\": \"a\"}, \"behavior\": \"Odd\"}, " MODEL
            "}",
            HN_ERR_UNSUPPORTED, "Odd");
    refused("{\"post_processor\": {\"type\": \"Odd\"}, " MODEL "}", HN_ERR_UNSUPPORTED, "Odd");
    refused("{\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": "
            "\"x\"}}], \"special_tokens\": "
            "{\"x\": {\"ids\": [7]}}}, " MODEL "}",
            HN_ERR_INPUT, "vocabulary");
    refused("{\"added_tokens\": [{\"id\": 3}], " MODEL "}", HN_ERR_INPUT, "content");
    refused("{\"added_tokens\": 7, " MODEL "}", HN_ERR_INPUT, "added_tokens");
    char deep[4096] = "{\"normalizer\": ";
    for (int i = 0; i < 20; i++)
        snprintf(deep + strlen(deep), sizeof deep - strlen(deep), "{\"type\": \"Sequence\", \"normalizers\": [");
    for (int i = 0; i < 20; i++) snprintf(deep + strlen(deep), sizeof deep - strlen(deep), "]}");
    snprintf(deep + strlen(deep), sizeof deep - strlen(deep), ", " MODEL "}");
    refused(deep, HN_ERR_LIMIT, "nested");
}

static void out_of_memory_is_a_status(void **state) {
    (void)state;
    static const char *const names[] = {"llama2", "deepseek3", "normal"};
    hn_json_init();
    for (int i = 0; i < 3; i++) {
        char path[64];
        size_t n, at = 1;
        snprintf(path, sizeof path, FOLDER "%s.json", names[i]);
        char *text = hn_test_read(path, &n);
        for (size_t step = 1;; at += step) { /* jansson allocates for each token: every one of the first, then fewer */
            hn_tokenizer *t;
            hn_error err = {0};
            hn_alloc_fail_at(at, true);
            hn_status st = hn_tokenizer_from_json(text, n, path, &t, &err);
            hn_alloc_fail_at(0, false);
            if (st == HN_OK) {
                hn_tokenizer_free(t);
                break;
            }
            assert_null(t);
            if (st != HN_ERR_MEMORY) fail_msg("%s at allocation %zu: %s %s", path, at, hn_status_name(st), err.message);
            step = at < 64 ? 1 : 7;
        }
        assert_true(at > 100);
        hn_free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(family, "gpt2"),
        cmocka_unit_test_prestate(family, "roberta"),
        cmocka_unit_test_prestate(family, "llama3"),
        cmocka_unit_test_prestate(family, "qwen2"),
        cmocka_unit_test_prestate(family, "smollm"),
        cmocka_unit_test_prestate(family, "falcon"),
        cmocka_unit_test_prestate(family, "tekken"),
        cmocka_unit_test_prestate(family, "deepseek3"),
        cmocka_unit_test_prestate(family, "llama2"),
        cmocka_unit_test_prestate(family, "mistral"),
        cmocka_unit_test_prestate(family, "gemma"),
        cmocka_unit_test_prestate(family, "metaspace"),
        cmocka_unit_test_prestate(family, "unknown"),
        cmocka_unit_test_prestate(family, "previous"),
        cmocka_unit_test_prestate(family, "contiguous"),
        cmocka_unit_test_prestate(family, "normal"),
        cmocka_unit_test(tiny_golden),
        cmocka_unit_test(config_names_the_ends),
        cmocka_unit_test(bad_files),
        cmocka_unit_test(sentencepiece),
        cmocka_unit_test(out_of_memory_is_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
