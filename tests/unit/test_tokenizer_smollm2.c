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

/* Some bytes are no token of this vocabulary, whose unknown token is <|endoftext|>. */
static void no_byte_becomes_a_control_token(void **state) {
    (void)state;
    hn_tokenizer *t = open_smollm2();
    if (!t) skip();
    hn_error err = {0};
    for (unsigned first = 0; first < 256; first++)
        for (unsigned second = 0; second < 256; second++) {
            char text[4] = {'a', (char)first, (char)second, 'b'};
            hn_tokens ids = {0};
            hn_test_ok(hn_tokenizer_encode(t, text, sizeof text, 0, &ids, &err), &err);
            assert_true(ids.n >= 1);
            for (size_t i = 0; i < ids.n; i++)
                if (hn_tokenizer_kind(t, ids.ids[i]) == HN_TOKEN_CONTROL)
                    fail_msg("bytes %02x %02x became control token %d", first, second, (int)ids.ids[i]);
            hn_tokens_free(&ids);
        }
    hn_tokenizer_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(tokens_are_exact), cmocka_unit_test(facts),
                                       cmocka_unit_test(no_byte_becomes_a_control_token)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
