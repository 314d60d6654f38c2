/* Text metrics against ../shared/goldens/stats/text.json, made with sacrebleu, rouge_score, nltk and SQuAD's script. */
#include "support.h"

#include "base/alloc.h"
#include "text/bleu.h"
#include "text/chrf.h"
#include "text/edit_distance.h"
#include "text/overlap.h"
#include "text/porter.h"
#include "text/rouge.h"
#include "text/ter.h"
#include "text/wordlist.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static json_t *golden;
static double tolerance;
static hn_error err;

static int open_golden(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    if (!hn_test_shared("goldens/stats/text.json", path)) return 0;
    size_t n;
    char *text = hn_test_read(path, &n);
    golden = json_loadb(text, n, 0, NULL);
    hn_free(text);
    tolerance = json_number_value(json_object_get(golden, "tolerance_abs"));
    return golden && tolerance > 0 ? 0 : -1;
}

static int close_golden(void **state) {
    (void)state;
    json_decref(golden);
    return 0;
}

static hn_str str_of(const json_t *value) {
    assert_true(json_is_string(value));
    return (hn_str){json_string_value(value), json_string_length(value)};
}

static void match(const json_t *expected, double value, const char *name, const char *what) {
    assert_non_null(expected);
    double want = json_is_number(expected) ? json_number_value(expected) : NAN;
    if (isnan(want) ? !isnan(value) : !(fabs(value - want) <= tolerance * fmax(1, fabs(want))))
        fail_msg("%s: %s is %.17g, expected %.17g", name, what, value, want);
}

static void match_rouge(const json_t *expected, const hn_rouge *r, const char *name) {
    static const char *const keys[] = {"rouge1", "rouge2", "rougeL"};
    const hn_rouge_part *parts[] = {&r->rouge_1, &r->rouge_2, &r->rouge_l};
    for (int i = 0; i < 3; i++) {
        json_t *one = json_object_get(expected, keys[i]);
        match(json_array_get(one, 0), parts[i]->precision, name, keys[i]);
        match(json_array_get(one, 1), parts[i]->recall, name, keys[i]);
        match(json_array_get(one, 2), parts[i]->f1, name, keys[i]);
    }
}

static void check_ngram_metrics(const json_t *want, hn_str h, hn_str r, const char *name) {
    double score;
    hn_rouge rouge;
    hn_gleu_counts gleu = {0, 0};
    hn_test_ok(hn_bleu_sentence(h, &r, 1, HN_BLEU_13A, &score, &err), &err);
    match(json_object_get(want, "sentence_bleu"), score, name, "sentence_bleu");
    hn_test_ok(hn_chrf_sentence(h, &r, 1, 0, &score, &err), &err);
    match(json_object_get(want, "chrf"), score, name, "chrf");
    hn_test_ok(hn_chrf_sentence(h, &r, 1, 2, &score, &err), &err);
    match(json_object_get(want, "chrfpp"), score, name, "chrfpp");
    hn_test_ok(hn_ter_sentence(h, &r, 1, &score, &err), &err);
    match(json_object_get(want, "ter"), score, name, "ter");
    hn_test_ok(hn_rouge_score(h, r, false, &rouge, &err), &err);
    match_rouge(json_object_get(want, "rouge"), &rouge, name);
    hn_test_ok(hn_rouge_score(h, r, true, &rouge, &err), &err);
    match_rouge(json_object_get(want, "rouge_stemmed"), &rouge, name);
    hn_test_ok(hn_gleu_add(&gleu, h, &r, 1, &err), &err);
    match(json_object_get(want, "gleu"), hn_gleu_score(&gleu), name, "gleu");
}

static void check_distances(const json_t *want, hn_str h, hn_str r, const char *name) {
    size_t distance;
    double rate;
    hn_test_ok(hn_edit_chars(h, r, HN_EDIT_NO_LIMIT, &distance, &err), &err);
    match(json_object_get(want, "levenshtein_codepoints"), (double)distance, name, "levenshtein_codepoints");
    hn_test_ok(hn_edit_words(h, r, HN_EDIT_NO_LIMIT, &distance, &err), &err);
    match(json_object_get(want, "levenshtein_words"), (double)distance, name, "levenshtein_words");
    hn_test_ok(hn_edit_error_rate_chars(h, r, &rate, &err), &err);
    match(json_object_get(want, "cer"), rate, name, "cer");
    hn_test_ok(hn_edit_error_rate_words(h, r, &rate, &err), &err);
    match(json_object_get(want, "wer"), rate, name, "wer");
}

static void match_normalized(const json_t *expected, hn_str text) {
    hn_buf out;
    hn_buf_init(&out, 0);
    hn_test_ok(hn_squad_normalize(text, &out, &err), &err);
    assert_string_equal(hn_buf_str(&out), json_string_value(expected));
    hn_buf_free(&out);
}

static void check_overlap(const json_t *want, hn_str h, hn_str r, const char *name) {
    hn_squad squad;
    double j;
    match_normalized(json_array_get(json_object_get(want, "squad_normalized"), 0), h);
    match_normalized(json_array_get(json_object_get(want, "squad_normalized"), 1), r);
    hn_test_ok(hn_squad_score(h, r, &squad, &err), &err);
    match(json_object_get(want, "squad_f1"), squad.f1, name, "squad_f1");
    match(json_object_get(want, "squad_em"), squad.exact, name, "squad_em");
    hn_test_ok(hn_jaccard_chars(h, r, 5, &j, &err), &err);
    match(json_object_get(want, "jaccard_char5"), j, name, "jaccard_char5");
    hn_test_ok(hn_jaccard_chars(h, r, 3, &j, &err), &err);
    match(json_object_get(want, "jaccard_char3"), j, name, "jaccard_char3");
    hn_test_ok(hn_jaccard_words(h, r, 2, &j, &err), &err);
    match(json_object_get(want, "jaccard_word2"), j, name, "jaccard_word2");
}

static void sentences_agree(void **state) {
    (void)state;
    if (!golden) skip();
    json_t *cases = json_object_get(golden, "cases");
    assert_true(json_array_size(cases) >= 10);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        json_t *one = json_array_get(cases, i), *input = json_object_get(one, "input");
        json_t *want = json_object_get(one, "expected");
        const char *name = json_string_value(json_object_get(one, "name"));
        hn_str h = str_of(json_object_get(input, "hypothesis")), r = str_of(json_object_get(input, "reference"));
        check_ngram_metrics(want, h, r, name);
        check_distances(want, h, r, name);
        check_overlap(want, h, r, name);
    }
}

static void corpus_agrees(void **state) {
    (void)state;
    if (!golden) skip();
    json_t *c = json_object_get(golden, "corpus"), *answers = json_object_get(c, "hypotheses");
    hn_bleu_counts bleu = {0}, two = {0}, split = {0};
    hn_chrf_counts chrf = {0}, chrfpp = {0};
    hn_ter_counts ter = {0};
    hn_gleu_counts gleu = {0};
    for (size_t i = 0; i < json_array_size(answers); i++) {
        hn_str h = str_of(json_array_get(answers, i));
        hn_str refs[] = {str_of(json_array_get(json_object_get(c, "references"), i)),
                         str_of(json_array_get(json_object_get(c, "references2"), i))};
        hn_test_ok(hn_bleu_add(&bleu, h, refs, 1, HN_BLEU_13A, &err), &err);
        hn_test_ok(hn_bleu_add(&two, h, refs, 2, HN_BLEU_13A, &err), &err);
        hn_test_ok(hn_bleu_add(&split, h, refs, 1, HN_BLEU_SPLIT, &err), &err);
        hn_test_ok(hn_chrf_add(&chrf, h, refs, 1, 0, &err), &err);
        hn_test_ok(hn_chrf_add(&chrfpp, h, refs, 1, 2, &err), &err);
        hn_test_ok(hn_ter_add(&ter, h, refs, 1, &err), &err);
        hn_test_ok(hn_gleu_add(&gleu, h, refs, 1, &err), &err);
    }
    match(json_object_get(c, "bleu"), hn_bleu_score(&bleu, false, true), "corpus", "bleu");
    match(json_object_get(c, "bleu_smooth_none"), hn_bleu_score(&bleu, false, false), "corpus", "bleu_smooth_none");
    match(json_object_get(c, "bleu_two_refs"), hn_bleu_score(&two, false, true), "corpus", "bleu_two_refs");
    match(json_object_get(c, "bleu_tokenize_none"), hn_bleu_score(&split, false, true), "corpus", "tokenize_none");
    match(json_object_get(c, "sys_len"), (double)bleu.n_words, "corpus", "sys_len");
    match(json_object_get(c, "ref_len"), (double)bleu.n_reference_words, "corpus", "ref_len");
    double bp = exp(1 - (double)bleu.n_reference_words / (double)bleu.n_words);
    match(json_object_get(c, "bleu_bp"), bp, "corpus", "bleu_bp");
    for (size_t i = 0; i < HN_BLEU_ORDER; i++)
        match(json_array_get(json_object_get(c, "bleu_precisions"), i),
              100 * (double)bleu.matched[i] / (double)bleu.total[i], "corpus", "precision");
    match(json_object_get(c, "chrf"), hn_chrf_score(&chrf), "corpus", "chrf");
    match(json_object_get(c, "chrfpp"), hn_chrf_score(&chrfpp), "corpus", "chrfpp");
    match(json_object_get(c, "ter"), hn_ter_score(&ter), "corpus", "ter");
    match(json_object_get(c, "gleu"), hn_gleu_score(&gleu), "corpus", "gleu");
}

static void squad_agrees(void **state) {
    (void)state;
    if (!golden) skip();
    json_t *rows = json_object_get(golden, "squad");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *one = json_array_get(rows, i);
        const char *name = json_string_value(json_object_get(one, "name"));
        hn_str h = str_of(json_object_get(one, "prediction")), r = str_of(json_object_get(one, "gold"));
        hn_squad squad;
        match_normalized(json_array_get(json_object_get(one, "normalized"), 0), h);
        match_normalized(json_array_get(json_object_get(one, "normalized"), 1), r);
        hn_test_ok(hn_squad_score(h, r, &squad, &err), &err);
        match(json_object_get(one, "f1"), squad.f1, name, "f1");
        match(json_object_get(one, "em"), squad.exact, name, "em");
    }
}

static void match_words(const json_t *expected, const hn_wordlist *w, hn_str text) {
    if (json_array_size(expected) != w->n)
        fail_msg("%s: %zu words, expected %zu", text.data, w->n, json_array_size(expected));
    for (size_t i = 0; i < w->n; i++)
        if (!hn_str_equal(w->items[i], str_of(json_array_get(expected, i))))
            fail_msg("%s: word %zu is %.*s, expected %s", text.data, i, (int)w->items[i].len, w->items[i].data,
                     json_string_value(json_array_get(expected, i)));
}

static void words_agree(void **state) {
    (void)state;
    if (!golden) skip();
    hn_wordlist w = {0};
    json_t *rows = json_object_get(golden, "sacrebleu_13a");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        hn_str text = str_of(json_object_get(json_array_get(rows, i), "text"));
        hn_test_ok(hn_wordlist_13a(&w, text, &err), &err);
        match_words(json_object_get(json_array_get(rows, i), "tokens"), &w, text);
    }
    rows = json_object_get(golden, "rouge_tokens");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        hn_str text = str_of(json_object_get(json_array_get(rows, i), "text"));
        hn_test_ok(hn_wordlist_rouge(&w, text, false, &err), &err);
        match_words(json_object_get(json_array_get(rows, i), "tokens"), &w, text);
        hn_test_ok(hn_wordlist_rouge(&w, text, true, &err), &err);
        match_words(json_object_get(json_array_get(rows, i), "stemmed"), &w, text);
    }
    hn_wordlist_free(&w);
}

/* Examples of the paper, of its author's later changes and of NLTK's. */
static void stems(void **state) {
    (void)state;
    static const char *const words[][2] = {
        {"caresses", "caress"},
        {"ponies", "poni"},
        {"ties", "tie"},
        {"cats", "cat"},
        {"feed", "feed"},
        {"agreed", "agre"},
        {"plastered", "plaster"},
        {"bled", "bled"},
        {"motoring", "motor"},
        {"sing", "sing"},
        {"conflated", "conflat"},
        {"troubled", "troubl"},
        {"sized", "size"},
        {"hopping", "hop"},
        {"tanned", "tan"},
        {"falling", "fall"},
        {"hissing", "hiss"},
        {"fizzed", "fizz"},
        {"failing", "fail"},
        {"filing", "file"},
        {"happy", "happi"},
        {"relational", "relat"},
        {"conditional", "condit"},
        {"valenci", "valenc"},
        {"digitizer", "digit"},
        {"radically", "radic"},
        {"vietnamization", "vietnam"},
        {"operator", "oper"},
        {"feudalism", "feudal"},
        {"decisiveness", "decis"},
        {"callousness", "callous"},
        {"formaliti", "formal"},
        {"sensibiliti", "sensibl"},
        {"triplicate", "triplic"},
        {"formative", "form"},
        {"electrical", "electr"},
        {"goodness", "good"},
        {"revival", "reviv"},
        {"adjustment", "adjust"},
        {"adoption", "adopt"},
        {"probate", "probat"},
        {"rate", "rate"},
        {"cease", "ceas"},
        {"controll", "control"},
        {"roll", "roll"},
        {"geology", "geolog"},
        {"dying", "die"},
        {"news", "news"},
        {"enjoy", "enjoy"},
        {"spied", "spi"},
        {"died", "die"},
        {"skies", "sky"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char s[32];
        snprintf(s, sizeof s, "%s", words[i][0]);
        size_t n = hn_porter_stem(s, strlen(s));
        if (n != strlen(words[i][1]) || memcmp(s, words[i][1], n) != 0)
            fail_msg("%s gives %.*s, expected %s", words[i][0], (int)n, s, words[i][1]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentences_agree), cmocka_unit_test(corpus_agrees), cmocka_unit_test(squad_agrees),
        cmocka_unit_test(words_agree),     cmocka_unit_test(stems),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
