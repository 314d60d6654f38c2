/* Tokenizers at their edges: no text, any bytes, a megabyte of one letter, text that looks like control tokens,
 * threads, memory that
 * runs out, files that contradict themselves; and the hand-written scanners against their patterns under PCRE2. */
#include "support.h"

#include "base/alloc.h"
#include "base/regex.h"
#include "base/rng.h"
#include "model/pretokenize.h"
#include "model/tokenizer.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static const char *const fixtures[] = {"gpt2",      "llama3", "smollm",  "falcon",
                                       "deepseek3", "llama2", "mistral", "metaspace"};
enum { N_FIXTURES = 8, N_ROUND_TRIP = 7, N_BYTE_LEVEL = 5 };

static hn_tokenizer *open_fixture(const char *name) {
    char path[128];
    size_t n;
    hn_tokenizer *t;
    hn_error err = {0};
    snprintf(path, sizeof path, "tests/fixtures/tokenizers/%s.json", name);
    char *text = hn_test_read(path, &n);
    hn_test_ok(hn_tokenizer_from_json(text, n, path, &t, &err), &err);
    hn_free(text);
    return t;
}

static hn_tokenizer *open_suite(const char *name) {
    char file[128], path[HN_PATH_MAX];
    hn_gguf *g;
    hn_tokenizer *t;
    hn_error err = {0};
    snprintf(file, sizeof file, "suites/vocab/%s.gguf", name);
    if (!hn_test_shared(file, path)) return NULL;
    hn_test_ok(hn_gguf_open(path, &g, &err), &err);
    hn_test_ok(hn_tokenizer_from_gguf(g, &t, &err), &err);
    hn_gguf_close(g);
    return t;
}

static void check_round_trip(const hn_tokenizer *t, const char *text, size_t n, unsigned flags, bool strip) {
    hn_tokens ids = {0};
    hn_buf back;
    hn_error err = {0};
    hn_buf_init(&back, 0);
    hn_test_ok(hn_tokenizer_encode(t, text, n, flags, &ids, &err), &err);
    hn_test_ok(hn_tokenizer_decode(t, ids.ids, ids.n, true, strip, &back, &err), &err);
    if (back.len != n || memcmp(hn_buf_str(&back), text, n) != 0)
        fail_msg("%zu bytes came back as %zu: %.60s", n, back.len, text);
    hn_buf_free(&back);
    hn_tokens_free(&ids);
}

static void empty_texts(void **state) {
    (void)state;
    for (int i = 0; i < N_FIXTURES; i++) {
        hn_tokenizer *t = open_fixture(fixtures[i]);
        hn_tokens ids = {0};
        hn_error err = {0};
        hn_test_ok(hn_tokenizer_encode(t, "", 0, HN_TOKENIZE_SPECIAL, &ids, &err), &err);
        hn_test_ok(hn_tokenizer_encode(t, NULL, 0, 0, &ids, &err), &err);
        assert_int_equal(ids.n, 0);
        assert_int_equal(hn_tokenizer_piece(t, -1).len + hn_tokenizer_piece(t, 1 << 30).len, 0);
        assert_int_equal(hn_tokenizer_kind(t, -1), HN_TOKEN_UNUSED);
        int32_t beyond = hn_tokenizer_vocab_size(t);
        hn_buf out;
        hn_buf_init(&out, 0);
        assert_int_equal(hn_tokenizer_decode(t, &beyond, 1, true, false, &out, &err), HN_ERR_INPUT);
        hn_buf_free(&out);
        hn_tokenizer_free(t);
    }
}

/* Every byte, alone and in pairs, and truncated characters: what goes in comes out. */
static void any_bytes_come_back(void **state) {
    (void)state;
    static const char *const odd[] = {"\xFF",         "a\x80z",     "\xE2\x96",     "\xE2\x96 \xE2",
                                      "\xF0\x9F\x9A", "\xC3 \xC3(", "\xED\xA0\x80", "x\xF4\x90\x80\x80y"};
    for (int i = 0; i < N_ROUND_TRIP - 1; i++) { /* all but the last two, which drop or change spaces */
        hn_tokenizer *t = open_fixture(fixtures[i]);
        char all[512];
        for (int c = 0; c < 256; c++) all[2 * c] = (char)c, all[2 * c + 1] = (char)(c ^ 0x55);
        for (int c = 0; c < 256; c++) check_round_trip(t, &all[2 * c], 1, 0, true);
        check_round_trip(t, all, sizeof all, 0, true);
        check_round_trip(t, "a\0b\0\0c", 6, 0, true);
        for (size_t k = 0; k < sizeof odd / sizeof *odd; k++) check_round_trip(t, odd[k], strlen(odd[k]), 0, true);
        hn_tokenizer_free(t);
    }
}

static void a_megabyte_without_a_space(void **state) {
    (void)state;
    enum { N = 1 << 20 };
    static const char letters[] = {'a', ' ', '<', '7', '\n', (char)0xFF};
    char *text = hn_alloc(N);
    assert_non_null(text);
    for (int i = 0; i < N_ROUND_TRIP - 1; i++) {
        hn_tokenizer *t = open_fixture(fixtures[i]);
        /* All of it for one of each kind; the others share their code. */
        size_t n = i == 0 || strcmp(fixtures[i], "llama2") == 0 ? N : N / 32;
        for (size_t k = 0; k < sizeof letters; k++) {
            memset(text, letters[k], n);
            check_round_trip(t, text, n, HN_TOKENIZE_SPECIAL, true);
        }
        for (size_t k = 0; k < n; k++) text[k] = "abcdefgh"[k * 2654435761u >> 20 & 7];
        check_round_trip(t, text, n, 0, true);
        hn_tokenizer_free(t);
    }
    hn_tokenizer *spm = open_suite("llama-spm");
    if (spm) {
        memset(text, 'e', N);
        check_round_trip(spm, text, N, 0, true);
        memset(text, ' ', N);
        check_round_trip(spm, text, N, 0, true);
    }
    hn_tokenizer_free(spm);
    hn_free(text);
}

/* Texts put together from pieces of control tokens never give one unasked. */
static void control_texts_stay_text(void **state) {
    (void)state;
    static const char *const parts[] = {"<",
                                        "s",
                                        ">",
                                        "</",
                                        "</s>",
                                        "<s>",
                                        "<unk>",
                                        "<|",
                                        "|>",
                                        "end",
                                        "<|end|>",
                                        "<|im_end|>",
                                        "<|endoftext|>",
                                        "<|eot_id|>",
                                        "<|begin_of_text|>",
                                        " ",
                                        "\n",
                                        "<0x0A>",
                                        "unk",
                                        "\xE2\x96\x81",
                                        "[PAD151646]"};
    static const char *const suites[] = {"llama-spm", "phi-3", "llama-bpe", "qwen2", "gpt-2", "deepseek-llm"};
    hn_rng rng;
    hn_rng_seed(&rng, 7, 0);
    for (int i = 0; i < N_FIXTURES + 6; i++) {
        hn_tokenizer *t = i < N_FIXTURES ? open_fixture(fixtures[i]) : open_suite(suites[i - N_FIXTURES]);
        for (int round = 0; t && round < 300; round++) {
            char text[256] = "";
            hn_tokens ids = {0};
            hn_error err = {0};
            for (int k = 0; k < 12; k++)
                snprintf(text + strlen(text), sizeof text - strlen(text), "%s",
                         parts[hn_rng_below(&rng, sizeof parts / sizeof *parts)]);
            hn_test_ok(hn_tokenizer_encode(t, text, strlen(text), 0, &ids, &err), &err);
            for (size_t k = 0; k < ids.n; k++)
                if (hn_tokenizer_kind(t, ids.ids[k]) == HN_TOKEN_CONTROL ||
                    hn_tokenizer_kind(t, ids.ids[k]) == HN_TOKEN_UNUSED) {
                    hn_str piece = hn_tokenizer_piece(t, ids.ids[k]);
                    /* the unknown token is what "metaspace", which has no bytes, gives for a strange character */
                    if (!hn_str_equal(piece, hn_str_of("<unk>")))
                        fail_msg("token %d (%.*s) from: %s", ids.ids[k], (int)piece.len, piece.data, text);
                }
            hn_tokens_free(&ids);
        }
        hn_tokenizer_free(t);
    }
}

/* A long text, whose repeated words are copied from where they were merged first, gives the ids of its parts one by one: lines for
 * byte-level vocabularies, words for those that put a space in front. */
static void long_texts_are_their_parts(void **state) {
    (void)state;
    static const char *const lines[] = {"Transferring the quick brown fox",
                                        "Zebra xylophone 1234567 qwertz!",
                                        ("Gr\xC3\xB6\xC3\x9F"
                                         "e na\xC3\xAFve"),
                                        "I'll don't",
                                        "brown",
                                        "antidisestablishmentarianism antidisestablishmentarianisms",
                                        "qxzjv",
                                        "a"};
    for (int i = 0; i < N_BYTE_LEVEL + 2; i++) {
        bool words = i >= N_BYTE_LEVEL;
        hn_tokenizer *t =
            i == N_BYTE_LEVEL + 1 ? open_suite("llama-spm") : open_fixture(words ? "metaspace" : fixtures[i]);
        if (!t) continue;
        hn_tokens parts = {0}, whole = {0};
        hn_buf text;
        hn_error err = {0};
        hn_rng rng;
        hn_rng_seed(&rng, 17, 0);
        hn_buf_init(&text, 0);
        while (text.len < 200000) {
            const char *line = lines[hn_rng_below(&rng, sizeof lines / sizeof *lines)];
            char part[128];
            int n = snprintf(part, sizeof part, words ? "%s" : "%s\n", line);
            if (words && text.len) hn_buf_append_char(&text, ' ');
            hn_buf_append(&text, part, (size_t)n);
            hn_test_ok(hn_tokenizer_encode(t, part, (size_t)n, 0, &parts, &err), &err);
        }
        hn_test_ok(hn_tokenizer_encode(t, text.data, text.len, 0, &whole, &err), &err);
        assert_int_equal(whole.n, parts.n);
        assert_memory_equal(whole.ids, parts.ids, parts.n * sizeof *parts.ids);
        hn_buf_free(&text);
        hn_tokens_free(&parts);
        hn_tokens_free(&whole);
        hn_tokenizer_free(t);
    }
}

/* --- scanners against PCRE2 --- */

#define WHITE "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

static const struct {
    hn_scan *scan;
    const char *pattern;
} scanners[] = {
    {hn_scan_gpt2, GPT2},
    {hn_scan_llama3,
     "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" WHITE},
    {hn_scan_qwen2,
     "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" WHITE},
    {hn_scan_qwen35, "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| "
                     "?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" WHITE},
    {hn_scan_newlines, "[^\\n]+|[\\n]+"},
};

static size_t random_text(hn_rng *rng, char *text, size_t max) {
    static const char *const parts[] = {"a",
                                        "B",
                                        "z",
                                        "'",
                                        "'s",
                                        "'LL",
                                        "'ve",
                                        "'Re",
                                        "'\xC5\xBF",
                                        "0",
                                        "7",
                                        "42",
                                        " ",
                                        "  ",
                                        "\t",
                                        "\n",
                                        "\r\n",
                                        "!",
                                        "?",
                                        "_",
                                        "\xC3\xA9",
                                        "\xC2\xBD",
                                        "\xC2\xA0",
                                        "\xE3\x80\x80",
                                        "\xCC\x81",
                                        "\xE4\xBD\xA0",
                                        "\xF0\x9F\x9A\x80",
                                        "\xE2\x80\x8B",
                                        "\xE2\x80\xA8",
                                        "\xD9\xA3",
                                        "\xE0\xA4\xBE",
                                        "\x01",
                                        "\xC2\x85",
                                        "\xE2\x85\xA7"};
    size_t n = 0, count = hn_rng_below(rng, 24);
    for (size_t i = 0; i < count; i++) {
        const char *part = parts[hn_rng_below(rng, sizeof parts / sizeof *parts)];
        if (n + strlen(part) > max) break;
        memcpy(text + n, part, strlen(part));
        n += strlen(part);
    }
    return n;
}

/* The words of text[from..to) by `re` from `*at` on must end where the scanner says. */
static void scanners_do_what_patterns_do(void **state) {
    (void)state;
    hn_regex_scratch *scratch = hn_regex_scratch_create();
    hn_rng rng;
    hn_rng_seed(&rng, 11, 0);
    for (size_t i = 0; i < sizeof scanners / sizeof *scanners; i++) {
        hn_regex *re;
        hn_error err = {0};
        hn_test_ok(hn_regex_compile(scanners[i].pattern, strlen(scanners[i].pattern), &re, &err), &err);
        for (int round = 0; round < 20000; round++) {
            char text[256];
            size_t n = random_text(&rng, text, sizeof text);
            for (size_t at = 0; at < n;) {
                hn_regex_match m;
                hn_test_ok(hn_regex_find(re, scratch, text, n, at, &m, &err), &err);
                size_t end = scanners[i].scan(text, n, at);
                if (!m.found || m.start != at || m.end != end)
                    fail_msg("scanner %zu in '%.*s': %zu to %zu, the pattern says %zu to %zu", i, (int)n, text, at, end,
                             m.start, m.end);
                at = end;
            }
        }
        hn_regex_free(re);
    }
    hn_regex_scratch_free(scratch);
}

/* SmolLM2's: each number alone, then GPT-2's pattern on what is between, as two steps of the general machinery. */
static void smollm_scanner_does_both_steps(void **state) {
    (void)state;
    hn_pretokenizer p = {0};
    hn_words words = {0};
    hn_rng rng;
    hn_error err = {0};
    hn_rng_seed(&rng, 13, 0);
    hn_test_ok(hn_pretokenizer_add_regex(&p, hn_str_of("\\p{N}"), HN_SPLIT_ISOLATED, false, &err), &err);
    hn_test_ok(hn_pretokenizer_add_regex(&p, hn_str_of("(?:" GPT2 ")"), HN_SPLIT_ISOLATED, false, &err), &err);
    for (int round = 0; round < 20000; round++) {
        char text[256];
        size_t n = random_text(&rng, text, sizeof text), at = 0;
        hn_test_ok(hn_pretokenize(&p, text, n, true, &words, &err), &err);
        for (size_t i = 0; i < words.n; i++) {
            size_t end = hn_scan_smollm(text, n, at);
            if (words.spans[i].start != at || words.spans[i].end != end)
                fail_msg("'%.*s': %zu to %zu", (int)n, text, at, end);
            at = end;
        }
        assert_int_equal(at, n);
    }
    hn_words_free(&words);
    hn_pretokenizer_free(&p);
}

static void byte_alphabet_is_a_bijection(void **state) {
    (void)state;
    int seen = 0;
    for (uint32_t cp = 0; cp < 0x400; cp++) seen += hn_alphabet_decode(cp) >= 0;
    assert_int_equal(seen, 256);
    assert_int_equal(hn_alphabet_decode(0x120), ' ');
    assert_int_equal(hn_alphabet_decode(0x10A), '\n');
    assert_int_equal(hn_alphabet_decode(0x143), 0xAD);
    for (int c = 0; c < 256; c++) {
        char out[4];
        size_t n = hn_alphabet_encode((unsigned char)c, out);
        uint32_t cp = n == 1 ? (uint32_t)out[0] : ((uint32_t)out[0] & 0x1F) << 6 | ((uint32_t)out[1] & 0x3F);
        assert_int_equal(hn_alphabet_decode(cp), c);
    }
}

/* --- GGUF metadata that contradicts itself --- */

static void put(hn_buf *b, uint64_t value, size_t n) {
    for (size_t i = 0; i < n; i++) hn_buf_append_char(b, (char)(value >> (8 * i)));
}

static void put_str(hn_buf *b, const char *text) {
    put(b, strlen(text), 8);
    hn_buf_append_str(b, text);
}

static void put_text(hn_buf *b, const char *key, const char *text) {
    put_str(b, key), put(b, HN_GGUF_STRING, 4), put_str(b, text);
}

/* `list` is separated by commas. */
static void put_list(hn_buf *b, const char *key, const char *list) {
    size_t n = 1;
    for (const char *p = list; *p; p++) n += *p == ',';
    put_str(b, key), put(b, HN_GGUF_ARRAY, 4), put(b, HN_GGUF_STRING, 4), put(b, n, 8);
    for (const char *p = list;; p++) {
        size_t len = strcspn(p, ",");
        put(b, len, 8), hn_buf_append(b, p, len);
        if (!p[len]) break;
        p += len;
    }
}

static void put_numbers(hn_buf *b, const char *key, int type, const uint32_t *values, size_t n) {
    put_str(b, key), put(b, HN_GGUF_ARRAY, 4), put(b, (uint64_t)type, 4), put(b, n, 8);
    for (size_t i = 0; i < n; i++) put(b, values[i], 4);
}

static void start_file(hn_buf *b, uint64_t n_kv) {
    hn_buf_init(b, 0);
    hn_buf_append_str(b, "GGUF");
    put(b, 3, 4), put(b, 0, 8), put(b, n_kv, 8);
}

static hn_tokenizer *load(hn_buf *b, hn_status code, const char *word) {
    hn_gguf *g;
    hn_tokenizer *t;
    hn_error err = {0};
    hn_test_ok(hn_gguf_open_memory(b->data, b->len, "test", &g, &err), &err);
    hn_status st = hn_tokenizer_from_gguf(g, &t, &err);
    hn_gguf_close(g);
    hn_buf_free(b);
    if (st != code)
        fail_msg("%s instead of %s: %s %s", hn_status_name(st), hn_status_name(code), err.where, err.message);
    if (st != HN_OK && !strstr(err.message, word) && !strstr(err.where, word) && !strstr(err.hint, word))
        fail_msg("no '%s' in %s: %s (%s)", word, err.where, err.message, err.hint);
    return t;
}

static void bad_metadata(void **state) {
    (void)state;
    static const uint32_t zeros[8] = {0}, nan[3] = {0, 0x7FC00000, 0};
    hn_buf b;
    start_file(&b, 0), (void)load(&b, HN_ERR_INPUT, "tokenizer.ggml.tokens");
    start_file(&b, 1), put_text(&b, "tokenizer.ggml.tokens", "a"),
        (void)load(&b, HN_ERR_INPUT, "tokenizer.ggml.tokens");
    start_file(&b, 2), put_text(&b, "tokenizer.ggml.model", "bert"), put_list(&b, "tokenizer.ggml.tokens", "a,b");
    (void)load(&b, HN_ERR_UNSUPPORTED, "bert");
    for (int i = 0; i < 2; i++) {
        start_file(&b, 4), put_text(&b, "tokenizer.ggml.model", "gpt2"), put_list(&b, "tokenizer.ggml.tokens", "a,b");
        put_list(&b, "tokenizer.ggml.merges", "a b"), put_text(&b, "tokenizer.ggml.pre", "no-such-thing");
        (void)load(&b, HN_ERR_UNSUPPORTED, i ? "no-such-thing" : "smollm"); /* the name, and the known ones */
    }
    start_file(&b, 2), put_text(&b, "tokenizer.ggml.model", "gpt2"), put_list(&b, "tokenizer.ggml.tokens", "a,b");
    (void)load(&b, HN_ERR_INPUT, "tokenizer.ggml.merges");
    start_file(&b, 3), put_text(&b, "tokenizer.ggml.model", "gpt2"), put_list(&b, "tokenizer.ggml.tokens", "a,b,ab");
    put_list(&b, "tokenizer.ggml.merges", "ab"), (void)load(&b, HN_ERR_INPUT, "tokenizer.ggml.merges");
    start_file(&b, 3), put_text(&b, "tokenizer.ggml.model", "gpt2"), put_list(&b, "tokenizer.ggml.tokens", "a,b,ab");
    put_numbers(&b, "tokenizer.ggml.token_type", HN_GGUF_I32, zeros, 2), (void)load(&b, HN_ERR_INPUT, "token_type");
    start_file(&b, 2), put_text(&b, "tokenizer.ggml.model", "llama"), put_list(&b, "tokenizer.ggml.tokens", "a,b,ab");
    (void)load(&b, HN_ERR_INPUT, "scores");
    start_file(&b, 3), put_text(&b, "tokenizer.ggml.model", "llama"), put_list(&b, "tokenizer.ggml.tokens", "a,b,ab");
    put_numbers(&b, "tokenizer.ggml.scores", HN_GGUF_F32, nan, 3), (void)load(&b, HN_ERR_INPUT, "scores");
}

/* Ids of BOS and EOS outside the vocabulary, merges of tokens that are not there, bytes that are not there. */
static void odd_metadata_loads(void **state) {
    (void)state;
    hn_buf b;
    start_file(&b, 6), put_text(&b, "tokenizer.ggml.model", "gpt2"), put_text(&b, "tokenizer.ggml.pre", "gpt-2");
    put_list(&b, "tokenizer.ggml.tokens", "a,b,ab,,a"), put_list(&b, "tokenizer.ggml.merges", "a b,x y,a x,b a");
    put_str(&b, "tokenizer.ggml.bos_token_id"), put(&b, HN_GGUF_U32, 4), put(&b, 99, 4);
    put_str(&b, "tokenizer.ggml.add_bos_token"), put(&b, HN_GGUF_BOOL, 4), put(&b, 1, 1);
    hn_tokenizer *t = load(&b, HN_OK, "");
    hn_tokens ids = {0};
    hn_error err = {0};
    assert_true(hn_tokenizer_bos(t) == -1 && hn_tokenizer_eos(t) == -1 && !hn_tokenizer_adds_bos(t));
    hn_test_ok(hn_tokenizer_encode(t, "abz ba", 6, HN_TOKENIZE_BOS, &ids, &err), &err);
    assert_int_equal(ids.n, 3); /* ab, b, a: what is no token leaves nothing */
    assert_true(ids.ids[0] == 2 && ids.ids[1] == 1 && ids.ids[2] == 0);
    hn_tokens_free(&ids);
    hn_tokenizer_free(t);
}

static void spaces_collapse_where_asked(void **state) {
    (void)state;
    static const uint32_t scores[6] = {0}, types[6] = {2, 3, 1, 1, 1, 1};
    for (int collapse = 0; collapse < 2; collapse++) {
        hn_buf b;
        start_file(&b, 5), put_text(&b, "tokenizer.ggml.model", "llama");
        put_list(&b, "tokenizer.ggml.tokens",
                 "<unk>,<s>,\xE2\x96\x81,a,b,\xE2\x96\x81"
                 "a"),
            put_numbers(&b, "tokenizer.ggml.scores", HN_GGUF_F32, scores, 6);
        put_numbers(&b, "tokenizer.ggml.token_type", HN_GGUF_I32, types, 6);
        put_str(&b, "tokenizer.ggml.remove_extra_whitespaces"), put(&b, HN_GGUF_BOOL, 4),
            put(&b, (uint64_t)collapse, 1);
        hn_tokenizer *t = load(&b, HN_OK, "");
        hn_tokens ids = {0};
        hn_error err = {0};
        hn_test_ok(hn_tokenizer_encode(t, "  a  b ", 7, HN_TOKENIZE_BOS, &ids, &err), &err);
        static const int32_t kept[] = {1, 2, 2, 5, 2, 2, 4, 2}, collapsed[] = {1, 5, 2, 4};
        assert_int_equal(ids.n, collapse ? 4 : 8);
        assert_memory_equal(ids.ids, collapse ? collapsed : kept, ids.n * sizeof *ids.ids);
        hn_tokens_free(&ids);
        hn_tokenizer_free(t);
    }
}

/* --- hash, threads, memory --- */

static void hashes_tell_tokenizers_apart(void **state) {
    (void)state;
    char seen[N_FIXTURES][65], again[65];
    hn_error err = {0};
    for (int i = 0; i < N_FIXTURES; i++) {
        hn_tokenizer *a = open_fixture(fixtures[i]), *b = open_fixture(fixtures[i]);
        hn_test_ok(hn_tokenizer_hash(a, seen[i], &err), &err);
        hn_test_ok(hn_tokenizer_hash(b, again, &err), &err);
        assert_string_equal(seen[i], again);
        assert_int_equal(strlen(again), 64);
        for (int k = 0; k < i; k++) assert_string_not_equal(seen[i], seen[k]);
        hn_tokenizer_free(a);
        hn_tokenizer_free(b);
    }
}

static const char sample[] = "Hello world, it's 12 past 3; Gr\xC3\xB6\xC3\x9F"
                             "e \xE4\xBD\xA0\xE5\xA5\xBD <s> transferring the quick brown fox.\n\n  end  ";

static void *encode_often(void *arg) {
    hn_tokens *out = hn_calloc(1, sizeof *out);
    for (int i = 0; out && i < 50; i++) {
        hn_error err = {0};
        out->n = 0;
        if (hn_tokenizer_encode(arg, sample, sizeof sample - 1, HN_TOKENIZE_SPECIAL, out, &err) != HN_OK) return NULL;
    }
    return out;
}

static void threads_share_a_tokenizer(void **state) {
    (void)state;
    for (int i = 0; i < N_FIXTURES; i++) {
        hn_tokenizer *t = open_fixture(fixtures[i]);
        pthread_t threads[4];
        hn_tokens *results[4];
        for (int k = 0; k < 4; k++) assert_int_equal(pthread_create(&threads[k], NULL, encode_often, t), 0);
        for (int k = 0; k < 4; k++) pthread_join(threads[k], (void **)&results[k]);
        for (int k = 0; k < 4; k++) {
            assert_non_null(results[k]);
            assert_int_equal(results[k]->n, results[0]->n);
            assert_memory_equal(results[k]->ids, results[0]->ids, results[0]->n * sizeof(int32_t));
        }
        for (int k = 0; k < 4; k++) hn_tokens_free(results[k]), hn_free(results[k]);
        hn_tokenizer_free(t);
    }
}

static void encoding_without_memory(void **state) {
    (void)state;
    for (int i = 0; i < N_FIXTURES; i++) {
        hn_tokenizer *t = open_fixture(fixtures[i]);
        for (size_t n = 1;; n++) {
            hn_tokens ids = {0};
            hn_error err = {0};
            assert_int_equal(hn_tokens_push(&ids, 7), HN_OK);
            hn_alloc_fail_at(n, true);
            hn_status st = hn_tokenizer_encode(t, sample, sizeof sample - 1, HN_TOKENIZE_SPECIAL, &ids, &err);
            hn_alloc_fail_at(0, false);
            bool done = st == HN_OK;
            if (!done && st != HN_ERR_MEMORY) fail_msg("%s: %s", hn_status_name(st), err.message);
            assert_true(done || ids.n == 1); /* on failure the list is as before */
            hn_tokens_free(&ids);
            if (done) break;
        }
        hn_tokenizer_free(t);
    }
}

static void loading_without_memory(void **state) {
    (void)state;
    static const char *const suites[] = {"llama-spm", "deepseek-llm"};
    for (int i = 0; i < 2; i++) {
        char file[64], path[HN_PATH_MAX];
        hn_gguf *g;
        hn_error err = {0};
        snprintf(file, sizeof file, "suites/vocab/%s.gguf", suites[i]);
        if (!hn_test_shared(file, path)) skip();
        hn_test_ok(hn_gguf_open(path, &g, &err), &err);
        for (size_t n = 1;; n++) {
            hn_tokenizer *t;
            hn_alloc_fail_at(n, true);
            hn_status st = hn_tokenizer_from_gguf(g, &t, &err);
            hn_alloc_fail_at(0, false);
            hn_tokenizer_free(t);
            if (st == HN_OK) break;
            assert_int_equal(st, HN_ERR_MEMORY);
        }
        hn_gguf_close(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_texts),
        cmocka_unit_test(any_bytes_come_back),
        cmocka_unit_test(a_megabyte_without_a_space),
        cmocka_unit_test(control_texts_stay_text),
        cmocka_unit_test(long_texts_are_their_parts),
        cmocka_unit_test(scanners_do_what_patterns_do),
        cmocka_unit_test(smollm_scanner_does_both_steps),
        cmocka_unit_test(byte_alphabet_is_a_bijection),
        cmocka_unit_test(bad_metadata),
        cmocka_unit_test(odd_metadata_loads),
        cmocka_unit_test(spaces_collapse_where_asked),
        cmocka_unit_test(hashes_tell_tokenizers_apart),
        cmocka_unit_test(threads_share_a_tokenizer),
        cmocka_unit_test(encoding_without_memory),
        cmocka_unit_test(loading_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
