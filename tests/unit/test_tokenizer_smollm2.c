/* SmolLM2's tokenizer, from its model file, against ids of Hugging Face and llama.cpp (../shared/goldens/smollm2). */
#include "token_goldens.h"

#include <string.h>

static hn_tokenizer *open_smollm2(void) {
    char path[HN_PATH_MAX];
    hn_gguf *g;
    hn_tokenizer *t;
    hn_error err = {0};
    if (!hn_test_model(path)) return NULL;
    hn_test_ok(hn_gguf_open(path, &g, &err), &err);
    hn_test_ok(hn_tokenizer_from_gguf(g, &t, &err), &err);
    hn_gguf_close(g);
    return t;
}

static void tokens_are_exact(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    hn_tokenizer *t = open_smollm2();
    if (!t || !hn_test_shared("goldens/smollm2/tokens.jsonl", path)) {
        hn_tokenizer_free(t);
        skip();
    }
    assert_true(hn_test_token_goldens(t, path) > 50);
    hn_tokenizer_free(t);
}

static void facts(void **state) {
    (void)state;
    hn_tokenizer *t = open_smollm2();
    if (!t) skip();
    assert_int_equal(hn_tokenizer_vocab_size(t), 49152);
    assert_string_equal(hn_tokenizer_describe(t), "byte-level BPE (smollm)");
    assert_int_equal(hn_tokenizer_find_special(t, "<|im_start|>"), 1);
    assert_int_equal(hn_tokenizer_find_special(t, "<|im_end|>"), 2);
    assert_int_equal(hn_tokenizer_find_special(t, "Hello"), -1);
    assert_int_equal(hn_tokenizer_eos(t), 2);
    assert_false(hn_tokenizer_adds_bos(t));
    assert_true(hn_tokenizer_is_end(t, 2) && hn_tokenizer_is_end(t, 0) && !hn_tokenizer_is_end(t, 1) &&
                !hn_tokenizer_is_end(t, -1));
    assert_int_equal(hn_tokenizer_kind(t, 2), HN_TOKEN_CONTROL);
    assert_int_equal(hn_tokenizer_kind(t, 19556), HN_TOKEN_NORMAL);
    hn_str piece = hn_tokenizer_piece(t, 19556);
    assert_true(hn_str_equal(piece, hn_str_of("Hello")));
    assert_true(hn_str_equal(hn_tokenizer_piece(t, 2), hn_str_of("<|im_end|>")));
    hn_tokenizer_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(tokens_are_exact), cmocka_unit_test(facts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
