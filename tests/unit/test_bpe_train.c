/* The trainer of byte-level BPE against a plain one that counts all pairs anew at every merge; what it writes against the reader; corpora of each kind of
 * file; hostile texts; memory that runs out anywhere. */
#include "support.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "lifecycle/tune/tokenizer_train.h"
#include "model/bpe_train.h"
#include "model/tokenizer.h"
#include "model/tokenizer_write.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static char folder[HN_PATH_MAX];

/* ---- the oracle: words as lists of texts, all pairs counted at each step ---- */

enum { ORACLE_WORDS = 400, ORACLE_SYMBOLS = 64, ORACLE_TOKENS = 600 };

typedef struct oracle {
    char tokens[ORACLE_TOKENS][80];
    int lengths[ORACLE_TOKENS], n_tokens;
    int words[ORACLE_WORDS][ORACLE_SYMBOLS], sizes[ORACLE_WORDS], n_words;
    long counts[ORACLE_WORDS];
    int merges[ORACLE_TOKENS][2], n_merges;
} oracle;

static int oracle_token(oracle *o, const char *text, int n) {
    for (int i = 0; i < o->n_tokens; i++)
        if (o->lengths[i] == n && memcmp(o->tokens[i], text, (size_t)n) == 0) return i;
    assert_true(o->n_tokens < ORACLE_TOKENS && n <= 80);
    memcpy(o->tokens[o->n_tokens], text, (size_t)n);
    o->lengths[o->n_tokens] = n;
    return o->n_tokens++;
}

static void oracle_start(oracle *o, const hn_bpe_words *words) {
    memset(o, 0, sizeof *o);
    for (uint32_t id = 0; id < 256; id++) {
        char byte = (char)hn_bpe_byte(id);
        assert_int_equal(oracle_token(o, &byte, 1), (int)id);
    }
    for (size_t w = 0; w < words->n; w++) {
        hn_str text = hn_bpe_words_text(words, w);
        assert_true(w < ORACLE_WORDS && text.len <= ORACLE_SYMBOLS);
        for (size_t i = 0; i < text.len; i++) o->words[w][i] = oracle_token(o, text.data + i, 1);
        o->sizes[w] = (int)text.len;
        o->counts[w] = (long)words->words[w].count;
        o->n_words++;
    }
}

/* The pair that stands most often; ties to the smaller ids. */
static long oracle_best(const oracle *o, int best[2]) {
    static long counts[ORACLE_TOKENS][ORACLE_TOKENS];
    long most = 0;
    memset(counts, 0, sizeof counts);
    for (int w = 0; w < o->n_words; w++)
        for (int i = 0; i + 1 < o->sizes[w]; i++) counts[o->words[w][i]][o->words[w][i + 1]] += o->counts[w];
    for (int a = 0; a < o->n_tokens; a++)
        for (int b = 0; b < o->n_tokens; b++)
            if (counts[a][b] > most) most = counts[a][b], best[0] = a, best[1] = b;
    return most;
}

static void oracle_merge(oracle *o, const int pair[2], int made) {
    for (int w = 0; w < o->n_words; w++) {
        int *s = o->words[w], to = 0;
        for (int i = 0; i < o->sizes[w]; i++) {
            bool here = i + 1 < o->sizes[w] && s[i] == pair[0] && s[i + 1] == pair[1];
            s[to++] = here ? made : s[i];
            i += here;
        }
        o->sizes[w] = to;
    }
}

static void oracle_train(oracle *o, int n_tokens, long min_count) {
    int pair[2];
    while (o->n_tokens < n_tokens && oracle_best(o, pair) >= min_count) {
        char text[160];
        int a = o->lengths[pair[0]], b = o->lengths[pair[1]];
        memcpy(text, o->tokens[pair[0]], (size_t)a);
        memcpy(text + a, o->tokens[pair[1]], (size_t)b);
        int made = oracle_token(o, text, a + b);
        bool listed = false; /* a pair that came up again is applied and not listed twice */
        for (int i = 0; i < o->n_merges; i++)
            listed = listed || (o->merges[i][0] == pair[0] && o->merges[i][1] == pair[1]);
        if (!listed) memcpy(o->merges[o->n_merges++], pair, sizeof o->merges[0]);
        oracle_merge(o, pair, made);
    }
}

/* Trains both ways on the words, and compares everything. */
static void same_as_oracle(const hn_bpe_words *words, uint32_t n_tokens, int64_t min_count) {
    static oracle o;
    hn_error err = {0};
    hn_bpe bpe;
    long tokens = 0;
    oracle_start(&o, words);
    oracle_train(&o, (int)n_tokens, (long)min_count);
    hn_test_ok(hn_bpe_train(words, &(hn_bpe_options){.n_tokens = n_tokens, .min_count = min_count}, &bpe, &err), &err);
    assert_int_equal(bpe.n_merges, o.n_merges);
    for (int i = 0; i < o.n_merges; i++)
        if ((int)bpe.merges[i].left != o.merges[i][0] || (int)bpe.merges[i].right != o.merges[i][1])
            fail_msg("merge %d is (%u,%u), it should be (%d,%d)", i, bpe.merges[i].left, bpe.merges[i].right,
                     o.merges[i][0], o.merges[i][1]);
    assert_int_equal(bpe.tokens.n, o.n_tokens);
    for (int i = 0; i < o.n_tokens; i++) {
        hn_str text = hn_bpe_words_text(&bpe.tokens, (size_t)i);
        assert_int_equal(text.len, o.lengths[i]);
        assert_memory_equal(text.data, o.tokens[i], text.len);
    }
    for (int w = 0; w < o.n_words; w++) tokens += o.counts[w] * o.sizes[w];
    assert_int_equal(bpe.n_corpus_tokens, tokens);
    hn_bpe_free(&bpe);
}

static void add(hn_bpe_words *words, const char *text, int64_t count) {
    hn_error err = {0};
    hn_test_ok(hn_bpe_words_add(words, text, strlen(text), count, NULL, &err), &err);
}

static void known_words(void **state) {
    (void)state;
    hn_bpe_words words = {0};
    add(&words, "low", 5);
    add(&words, "lower", 2);
    add(&words, "newest", 6);
    add(&words, "widest", 3);
    add(&words, "aaaaa", 4);
    add(&words, "abcabc", 4);
    add(&words, "bcabca", 4);
    add(&words, "", 9);
    add(&words, "low", 1);
    assert_int_equal(words.n, 8);
    same_as_oracle(&words, 300, 1);
    same_as_oracle(&words, 300, 5);
    same_as_oracle(&words, 259, 1);
    same_as_oracle(&words, 256, 1);
    hn_bpe_words_free(&words);
}

/* Few letters, so that runs, overlaps, ties and tokens that are made two ways all happen. */
static void random_words(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 12; seed++) {
        hn_bpe_words words = {0};
        hn_error err = {0};
        hn_rng rng;
        hn_rng_seed(&rng, 7, seed);
        for (int w = 0; w < 60; w++) {
            char text[40];
            size_t n = 1 + hn_rng_below(&rng, sizeof text), letters = 2 + seed % 4;
            for (size_t i = 0; i < n; i++)
                text[i] = (char)(seed == 5 ? 250 + hn_rng_below(&rng, 6) : 'a' + hn_rng_below(&rng, letters));
            hn_test_ok(hn_bpe_words_add(&words, text, n, 1 + (int64_t)hn_rng_below(&rng, 3), NULL, &err), &err);
        }
        same_as_oracle(&words, 256 + 60, 1 + (int64_t)(seed % 3));
        hn_bpe_words_free(&words);
    }
}

static void bytes_in_the_alphabets_order(void **state) {
    (void)state;
    bool seen[256] = {false};
    for (uint32_t id = 0; id < 256; id++) seen[hn_bpe_byte(id)] = true;
    for (int i = 0; i < 256; i++) assert_true(seen[i]);
    assert_int_equal(hn_bpe_byte(0), '!'); /* GPT-2's vocabulary begins so */
    assert_int_equal(hn_bpe_byte(93), '~');
    assert_int_equal(hn_bpe_byte(94), 0xA1);
    assert_int_equal(hn_bpe_byte(188), 0);
    assert_int_equal(hn_bpe_byte(220), ' ');
    assert_int_equal(hn_bpe_byte(255), 0xAD);
}

static void refusals(void **state) {
    (void)state;
    hn_bpe_words words = {0};
    hn_error err = {0};
    hn_bpe bpe;
    hn_bpe_options o = {.n_tokens = 300, .min_count = 2};
    assert_int_equal(hn_bpe_train(&words, &o, &bpe, &err), HN_ERR_INPUT);
    add(&words, "xyzxyz", 1);
    o.n_tokens = 255;
    assert_int_equal(hn_bpe_train(&words, &o, &bpe, &err), HN_ERR_USAGE);
    o.n_tokens = HN_BPE_TOKENS_MAX + 1;
    assert_int_equal(hn_bpe_train(&words, &o, &bpe, &err), HN_ERR_USAGE);
    o = (hn_bpe_options){.n_tokens = 300, .min_count = 0};
    assert_int_equal(hn_bpe_train(&words, &o, &bpe, &err), HN_ERR_USAGE);
    o.min_count = 3; /* no pair repeats so often: the bytes alone */
    hn_test_ok(hn_bpe_train(&words, &o, &bpe, &err), &err);
    assert_int_equal(bpe.tokens.n, 256);
    assert_int_equal(bpe.n_merges, 0);
    hn_bpe_free(&bpe);
    hn_bpe_words_free(&words);
    hn_bpe_counter *counter;
    char line[5000];
    memset(line, 'x', sizeof line); /* one long word is counted in pieces */
    hn_test_ok(hn_bpe_counter_create(HN_CUT_GPT2, &counter, &err), &err);
    hn_test_ok(hn_bpe_counter_add(counter, line, sizeof line, &err), &err);
    assert_int_equal(hn_bpe_counter_words(counter)->n, 2);
    hn_test_ok(
        hn_bpe_train(hn_bpe_counter_words(counter), &(hn_bpe_options){.n_tokens = 400, .min_count = 1}, &bpe, &err),
        &err);
    for (size_t i = 0; i < bpe.tokens.n; i++) assert_true(bpe.tokens.words[i].len <= HN_BPE_TOKEN_BYTES_MAX);
    hn_bpe_free(&bpe);
    hn_bpe_counter_free(counter);
}

/* ---- files ---- */

static const char *path_of(const char *name) {
    static char path[HN_PATH_MAX];
    hn_error err;
    hn_test_ok(hn_path_join(path, folder, name, &err), &err);
    return path;
}

static hn_status read_as(const char *name, const char *text, size_t n, const char *field, hn_text_corpus **c,
                         hn_error *err) {
    const char *path = path_of(name);
    hn_test_ok(hn_file_write_atomic(path, text, n, err), err);
    return hn_text_corpus_read(&path, 1, &field, field != NULL, c, err);
}

static void documents_are(const char *name, const char *text, const char *field, const char *const *wanted, size_t n) {
    hn_error err = {0};
    hn_text_corpus *c;
    hn_test_ok(read_as(name, text, strlen(text), field, &c, &err), &err);
    assert_int_equal(c->n, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(c->documents[i].text.len, strlen(wanted[i]));
        assert_memory_equal(c->documents[i].text.data, wanted[i], strlen(wanted[i]));
    }
    hn_train_data *data; /* the same as rows of training data */
    hn_test_ok(hn_text_corpus_as_data(c, name, &data, &err), &err);
    assert_int_equal(data->n_rows, n);
    for (size_t i = 0; i < n; i++) {
        const char *at = strstr(text, wanted[i]); /* each document's first line, where it is written as it is */
        int line = 1;
        for (const char *k = text; at && k < at; k++) line += *k == '\n';
        if (at && !hn_ends_with(name, ".json") && !hn_ends_with(name, "l") && !hn_ends_with(name, "v"))
            assert_int_equal(data->rows[i].line, line);
        assert_int_equal(data->rows[i].n_text, strlen(wanted[i]));
        assert_memory_equal(data->rows[i].text, wanted[i], strlen(wanted[i]));
    }
    assert_string_equal(data->hash, c->hash);
    hn_train_data_free(data);
    hn_text_corpus_free(c);
}

static void corpora(void **state) {
    (void)state;
    documents_are("a.txt", "one\ntwo\r\n three\n", NULL, (const char *const[]){"one", "two", " three"}, 3);
    documents_are("b.txt", "\xEF\xBB\xBF\n\none\ntwo\n \n\nthree\n\n", NULL, (const char *const[]){"one\ntwo", "three"},
                  2);
    documents_are("c.txt", "one line, no end", NULL, (const char *const[]){"one line, no end"}, 1);
    documents_are("d.txt", "one\ntwo\n\n", NULL, (const char *const[]){"one", "two"}, 2);
    documents_are("e.csv", "id,text\n1,\"a\nb\"\n2,c\n3,\n", NULL, (const char *const[]){"a\nb", "c"}, 2);
    documents_are("f.jsonl", "{\"q\": \"x\"}\n\n{\"q\": \"y\\nz\"}\n", "q", (const char *const[]){"x", "y\nz"}, 2);
    documents_are("g.json", "[{\"text\": \"x\"}, {\"text\": \"y\"}]", NULL, (const char *const[]){"x", "y"}, 2);
}

static void refused(const char *name, const char *text, size_t n, const char *part) {
    hn_error err = {0};
    hn_text_corpus *c;
    assert_int_equal(read_as(name, text, n, NULL, &c, &err), HN_ERR_INPUT);
    assert_null(c);
    if (!strstr(err.message, part) && !strstr(err.hint, part))
        fail_msg("\"%s\" (%s) lacks \"%s\"", err.message, err.hint, part);
}

static void hostile_files(void **state) {
    (void)state;
    refused("empty.txt", "", 0, "no text");
    refused("blank.txt", " \n\t\n\n", 5, "no text");
    refused("nul.txt", "a\0b", 3, "NUL");
    refused("bytes.txt", "ok\n\xFF\xFE", 5, "UTF-8");
    refused("t.csv", "body\nx\n", 7, "--field");
    refused("near.csv", "texts\nx\n", 8, "texts");
    refused("t.jsonl", "{\"text\": 3}\n", 12, "string");
    refused("u.jsonl", "[1]\n", 4, "object");
    refused("t.json", "{\"text\": \"x\"}", 13, "array");
}

static void held_out(void **state) {
    (void)state;
    hn_error err = {0};
    hn_text_corpus *c;
    hn_buf text;
    hn_buf_init(&text, 0);
    for (int i = 0; i < 1000; i++) hn_buf_appendf(&text, "line %d\n", i % 500);
    hn_test_ok(read_as("h.txt", hn_buf_str(&text), text.len, NULL, &c, &err), &err);
    hn_test_ok(hn_text_corpus_hold_out(c, 0.1, 3, &err), &err);
    assert_in_range(c->n_held_out, 60, 140);
    for (size_t i = 0; i < 500; i++) assert_true(c->documents[i].held_out == c->documents[i + 500].held_out);
    hn_test_ok(hn_text_corpus_hold_out(c, 0, 3, &err), &err);
    assert_int_equal(c->n_held_out, 0);
    hn_test_ok(hn_text_corpus_hold_out(c, 1e-9, 3, &err), &err);
    assert_int_equal(c->n_held_out, 2); /* one text, twice */
    hn_text_corpus_free(c);
    hn_test_ok(read_as("i.txt", "same\nsame\n", 10, NULL, &c, &err), &err);
    assert_int_equal(hn_text_corpus_hold_out(c, 0.5, 1, &err), HN_ERR_INPUT);
    hn_text_corpus_free(c);
    hn_test_ok(read_as("j.txt", "this\nthat\n", 10, NULL, &c, &err), &err);
    hn_test_ok(hn_text_corpus_hold_out(c, 0.5, 1, &err), &err);
    assert_int_equal(c->n_held_out, 1);
    hn_text_corpus_free(c);
    hn_buf_free(&text);
}

/* ---- what is written ---- */

static const char *const specials[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};

static const char sample[] = "the cat sat on the mat, the cat's hat\n\nthe 12 caf\xC3\xA9s \xE2\x82\xAC"
                             "5 \xF0\x9F\x99\x82\n"
                             "the cat sat there, then the other cat sat, the end \"quoted\" \\ back\n";

static hn_tokenizer *written(hn_word_cut cut, uint32_t n_vocab, hn_tokenizer_result *r) {
    hn_error err = {0};
    hn_text_corpus *c;
    hn_tokenizer *t;
    hn_test_ok(read_as("w.txt", sample, sizeof sample - 1, NULL, &c, &err), &err);
    hn_tokenizer_options o = {.n_vocab = n_vocab, .specials = specials, .n_specials = 3, .cut = cut, .min_count = 2};
    hn_test_ok(hn_tokenizer_train(c, &o, r, &err), &err);
    hn_text_corpus_free(c);
    hn_test_ok(hn_tokenizer_from_json(hn_buf_str(&r->json), r->json.len, "t", &t, &err), &err);
    hn_test_ok(hn_tokenizer_apply_config(t, hn_buf_str(&r->config), r->config.len, "c", &err), &err);
    return t;
}

static void read_again(void **state) {
    (void)state;
    for (int cut = 0; cut < 2; cut++) {
        hn_error err = {0};
        hn_tokenizer_result r;
        hn_tokens ids = {0};
        hn_buf back;
        hn_buf_init(&back, 0);
        hn_tokenizer *t = written((hn_word_cut)cut, 300, &r);
        assert_int_equal(hn_tokenizer_vocab_size(t), (int)r.n_vocab);
        assert_int_equal(r.n_vocab, 256 + 3 + r.n_merges);
        for (int i = 0; i < 3; i++) assert_int_equal(hn_tokenizer_find_special(t, specials[i]), i);
        assert_int_equal(hn_tokenizer_eos(t), 2);
        assert_true(hn_tokenizer_is_end(t, 0) && hn_tokenizer_is_end(t, 2) && !hn_tokenizer_is_end(t, 1));
        assert_false(hn_tokenizer_adds_bos(t));
        for (int i = 0; i < 256; i++) { /* each byte is a token, in the alphabet's order */
            hn_str piece = hn_tokenizer_piece(t, 3 + i);
            assert_int_equal(piece.len, 1);
            assert_int_equal((unsigned char)piece.data[0], hn_bpe_byte((uint32_t)i));
        }
        hn_test_ok(hn_tokenizer_encode(t, sample, sizeof sample - 1, 0, &ids, &err), &err);
        assert_true(ids.n < sizeof sample - 1);
        hn_test_ok(hn_tokenizer_decode(t, ids.ids, ids.n, true, false, &back, &err), &err);
        assert_string_equal(hn_buf_str(&back), sample);
        ids.n = 0;
        hn_test_ok(hn_tokenizer_encode(t, "\xFF\x00<|im_end|>", 12, 0, &ids, &err),
                   &err); /* any bytes; no control token */
        for (size_t i = 0; i < ids.n; i++) assert_true(ids.ids[i] >= 3);
        ids.n = 0;
        hn_test_ok(hn_tokenizer_encode(t, "<|im_end|>", 10, HN_TOKENIZE_SPECIAL, &ids, &err), &err);
        assert_int_equal(ids.n, 1);
        hn_tokens_free(&ids);
        hn_buf_free(&back);
        hn_tokenizer_free(t);
        hn_tokenizer_result_free(&r);
    }
}

static void measured(void **state) {
    (void)state;
    hn_error err = {0};
    hn_text_corpus *c;
    hn_tokenizer_result r;
    hn_buf text;
    hn_buf_init(&text, 0);
    for (int i = 0; i < 200; i++) hn_buf_appendf(&text, "ticket %d about the card\n", i);
    hn_test_ok(read_as("m.txt", hn_buf_str(&text), text.len, NULL, &c, &err), &err);
    hn_test_ok(hn_text_corpus_hold_out(c, 0.2, 1, &err), &err);
    hn_tokenizer_options o = {.n_vocab = 300, .min_count = 2};
    hn_test_ok(hn_tokenizer_train(c, &o, &r, &err), &err);
    assert_int_equal(r.n_held_bytes, c->n_held_out_bytes);
    assert_true(fabs(r.bytes_per_token.value - (double)r.n_held_bytes / (double)r.n_held_tokens) < 1e-12);
    assert_true(r.bytes_per_token.low <= r.bytes_per_token.value && r.bytes_per_token.value <= r.bytes_per_token.high);
    assert_true(r.bytes_per_token.value > 3);
    assert_int_equal(r.n_vocab, 256 + r.n_merges);
    hn_tokenizer_result_free(&r);
    hn_text_corpus_free(c);
    hn_buf_free(&text);
}

static void poor_specials(void **state) {
    (void)state;
    hn_error err = {0};
    static const char *const poor[][2] = {{"word", "<a>"}, {"", "<a>"}, {"<a>", "<a>"}, {"\xFF<", "<a>"}, {"!", "<a>"}};
    for (size_t i = 0; i < sizeof poor / sizeof *poor; i++)
        assert_int_equal(hn_tokenizer_check_specials(poor[i], 2, HN_CUT_GPT2, &err), HN_ERR_USAGE);
    hn_test_ok(hn_tokenizer_check_specials(specials, 3, HN_CUT_SMOLLM, &err), &err);
    hn_text_corpus *c;
    hn_tokenizer_result r;
    hn_test_ok(read_as("p.txt", sample, sizeof sample - 1, NULL, &c, &err), &err);
    hn_tokenizer_options o = {.n_vocab = 258, .specials = specials, .n_specials = 3, .min_count = 2};
    assert_int_equal(hn_tokenizer_train(c, &o, &r, &err), HN_ERR_USAGE); /* 256 bytes and 3 do not fit */
    hn_text_corpus_free(c);
}

static void memory_runs_out(void **state) {
    (void)state;
    hn_error err = {0};
    const char *path = path_of("o.txt");
    bool done = false;
    hn_test_ok(hn_file_write_atomic(path, sample, sizeof sample - 1, &err), &err);
    for (size_t n = 1; !done && n < 20000; n++) {
        hn_text_corpus *c = NULL;
        hn_tokenizer_result r;
        hn_tokenizer_options o = {.n_vocab = 270, .specials = specials, .n_specials = 3, .min_count = 2};
        hn_alloc_fail_at(n, true);
        hn_status st = hn_text_corpus_read(&path, 1, NULL, 0, &c, &err);
        if (st == HN_OK) st = hn_text_corpus_hold_out(c, 0.3, 1, &err);
        if (st == HN_OK) st = hn_tokenizer_train(c, &o, &r, &err);
        hn_alloc_fail_at(0, false);
        done = st == HN_OK;
        if (done)
            hn_tokenizer_result_free(&r);
        else
            assert_int_equal(st, HN_ERR_MEMORY);
        hn_text_corpus_free(c);
    }
    assert_true(done);
}

static int setup(void **state) {
    (void)state;
    hn_json_init();
    hn_test_folder(folder);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    hn_test_folder_remove(folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(known_words),
                                       cmocka_unit_test(random_words),
                                       cmocka_unit_test(bytes_in_the_alphabets_order),
                                       cmocka_unit_test(refusals),
                                       cmocka_unit_test(corpora),
                                       cmocka_unit_test(hostile_files),
                                       cmocka_unit_test(held_out),
                                       cmocka_unit_test(read_again),
                                       cmocka_unit_test(measured),
                                       cmocka_unit_test(poor_specials),
                                       cmocka_unit_test(memory_runs_out)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
