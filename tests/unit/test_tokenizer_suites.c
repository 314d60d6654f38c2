/* The eight vocabularies of ../shared/suites/vocab: each text's ids, exactly, and back to the text. */
#include "support.h"

#include "base/alloc.h"
#include "model/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char separator[] = "\n__ggml_vocab_test__\n";

static void check_text(const hn_tokenizer *t, const char *text, size_t n, const char *expected, const char *name,
                       int index) {
    hn_tokens ids = {0};
    hn_error err = {0};
    hn_test_ok(hn_tokenizer_encode(t, text, n, 0, &ids, &err), &err);
    size_t at = 0;
    for (const char *p = expected; *p && *p != '\n'; at++) {
        char *end;
        long id = strtol(p, &end, 10);
        if (end == p) break;
        if (at >= ids.n || ids.ids[at] != id)
            fail_msg("%s text %d, token %zu: %d instead of %ld\n%.*s", name, index, at, at < ids.n ? ids.ids[at] : -1,
                     id, (int)n, text);
        p = end + strspn(end, " ");
    }
    if (at != ids.n) fail_msg("%s text %d: %zu tokens instead of %zu", name, index, ids.n, at);
    hn_buf back;
    hn_buf_init(&back, 0);
    hn_test_ok(hn_tokenizer_decode(t, ids.ids, ids.n, false, true, &back, &err), &err);
    assert_int_equal(back.len, n);
    assert_memory_equal(hn_buf_str(&back), text, n);
    hn_buf_free(&back);
    hn_tokens_free(&ids);
}

static void check_suite(const char *name) {
    char file[128], path[HN_PATH_MAX], inp[HN_PATH_MAX], out[HN_PATH_MAX];
    size_t n, n_out;
    hn_gguf *g;
    hn_tokenizer *t;
    hn_error err = {0};
    snprintf(file, sizeof file, "suites/vocab/%s.gguf", name);
    if (!hn_test_shared(file, path)) skip();
    snprintf(inp, sizeof inp, "%s.inp", path);
    snprintf(out, sizeof out, "%s.out", path);
    char *texts = hn_test_read(inp, &n), *expected = hn_test_read(out, &n_out);
    hn_test_ok(hn_gguf_open(path, &g, &err), &err);
    hn_test_ok(hn_tokenizer_from_gguf(g, &t, &err), &err);
    hn_gguf_close(g); /* the tokenizer keeps nothing of the file */
    const char *line = expected, *text = texts;
    int count = 0;
    for (const char *next; (next = strstr(text, separator)); text = next + strlen(separator)) {
        check_text(t, text, (size_t)(next - text), line, name, count++);
        line = strchr(line, '\n');
        assert_non_null(line);
        line++;
    }
    assert_int_equal(count, 46);
    hn_tokenizer_free(t);
    hn_free(texts);
    hn_free(expected);
}

#define SUITE(function, name)                                                                                          \
    static void function(void **state) {                                                                               \
        (void)state;                                                                                                   \
        check_suite(name);                                                                                             \
    }
SUITE(deepseek_llm, "deepseek-llm")
SUITE(falcon, "falcon")
SUITE(gpt_2, "gpt-2")
SUITE(llama_bpe, "llama-bpe")
SUITE(llama_spm, "llama-spm")
SUITE(phi_3, "phi-3")
SUITE(qwen2, "qwen2")
SUITE(starcoder, "starcoder")

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deepseek_llm), cmocka_unit_test(falcon), cmocka_unit_test(gpt_2), cmocka_unit_test(llama_bpe),
        cmocka_unit_test(llama_spm),    cmocka_unit_test(phi_3),  cmocka_unit_test(qwen2), cmocka_unit_test(starcoder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
