/* TF-IDF and the linear classifier on cases small enough to work out by hand. */
#include "support.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "text/linear.h"

#include <math.h>
#include <string.h>

static hn_sparse transform(const hn_tfidf_options *o, const hn_str *fitted, size_t n_fitted, const hn_str *texts,
                           size_t n) {
    hn_tfidf *t;
    hn_sparse rows;
    hn_error err = {0};
    hn_test_ok(hn_tfidf_fit(fitted, n_fitted, o, &t, &err), &err);
    hn_test_ok(hn_tfidf_transform(t, texts, n, &rows, &err), &err);
    assert_int_equal(rows.n_columns, hn_tfidf_n_features(t));
    hn_tfidf_free(t);
    return rows;
}

/* Texts "a1 a1 b2", "b2 c3": df a1 1, b2 2, c3 1; idf ln(3/2)+1 = 1.405465, 1, 1.405465; tf of a1 in the first 1 + ln
 * 2. */
static void words_are_weighted_by_hand(void **state) {
    (void)state;
    const hn_str texts[] = {hn_str_of("A1 a1, b2 x"), hn_str_of("b2 c3 unknown"), hn_str_of("nothing seen")};
    const hn_tfidf_options words = {.word_min = 1, .word_max = 1};
    const hn_str fitted[] = {hn_str_of("a1 a1 b2"), hn_str_of("b2 c3")};
    hn_sparse r = transform(&words, fitted, 2, texts, 3);
    assert_int_equal(r.n_columns, 3);
    double idf = log(1.5) + 1, a = (1 + log(2)) * idf, length = sqrt(a * a + 1);
    assert_int_equal(r.start[1], 2);
    assert_int_equal(r.index[0], 0);
    assert_int_equal(r.index[1], 1);
    assert_true(fabs(r.value[0] - a / length) < 1e-6 && fabs(r.value[1] - 1 / length) < 1e-6);
    length = sqrt(1 + idf * idf);
    assert_int_equal(r.start[2], 4);
    assert_true(fabs(r.value[2] - 1 / length) < 1e-6 && fabs(r.value[3] - idf / length) < 1e-6);
    assert_int_equal(r.start[3], 4); /* no known word: an empty row */
    hn_sparse_free(&r);
}

static size_t count_features(const char *text, hn_tfidf_options o) {
    const hn_str one = hn_str_of(text);
    hn_sparse r = transform(&o, &one, 1, &one, 1);
    size_t n = r.n_columns;
    assert_int_equal(r.start[1], n); /* every feature of the text is in its own row */
    hn_sparse_free(&r);
    return n;
}

/* " ab " has the 2-grams ' a','ab','b ', the 3-grams ' ab','ab ', the 4-gram ' ab ' and nothing new after that. */
static void character_ngrams_stay_within_words(void **state) {
    (void)state;
    assert_int_equal(count_features("ab", (hn_tfidf_options){.char_min = 2, .char_max = 2}), 3);
    assert_int_equal(count_features("ab", (hn_tfidf_options){.char_min = 2, .char_max = 5}), 6);
    assert_int_equal(count_features("  ab\t\nab ", (hn_tfidf_options){.char_min = 2, .char_max = 5}), 6);
    assert_int_equal(count_features("ab cd", (hn_tfidf_options){.char_min = 2, .char_max = 5}), 12);
    assert_int_equal(count_features("a", (hn_tfidf_options){.char_min = 4, .char_max = 5}), 1);
    assert_int_equal(count_features("", (hn_tfidf_options){.char_min = 1, .char_max = 5}), 0);
    assert_int_equal(count_features("one two three", (hn_tfidf_options){.word_min = 1, .word_max = 2}), 5);
    assert_int_equal(count_features("one two three", (hn_tfidf_options){.word_min = 3, .word_max = 5}), 1);
    assert_int_equal(count_features("a b c", (hn_tfidf_options){.word_min = 1, .word_max = 2}),
                     0); /* words have 2 characters */
}

static float similarity(const char *a, const char *b) {
    const hn_str texts[] = {hn_str_of(a), hn_str_of(b)};
    hn_tfidf_options o = hn_tfidf_defaults();
    hn_sparse r = transform(&o, texts, 2, texts, 2);
    float sum = 0;
    for (size_t i = r.start[0]; i < r.start[1]; i++)
        for (size_t j = r.start[1]; j < r.start[2]; j++)
            if (r.index[i] == r.index[j]) sum += r.value[i] * r.value[j];
    hn_sparse_free(&r);
    return sum;
}

static void case_is_folded_in_all_scripts(void **state) {
    (void)state;
    assert_true(fabsf(similarity("ÄRGER über RÜCKZAHLUNG", "ärger ÜBER rückzahlung") - 1) < 1e-5f);
    assert_true(fabsf(similarity("ПРИВЕТ Мир", "привет\xC2\xA0мир") - 1) < 1e-5f); /* a no-break space is white space */
    assert_true(similarity("请求退款", "退款 请求") > 0);
    assert_true(similarity("refund", "schedule") == 0);
    assert_true(similarity("\xFF\xFE bad", "\x80\x81 bad") > 0); /* invalid bytes are U+FFFD, both alike */
}

/* Rows have length 1, whatever the text; and indices rise. */
static void rows_have_length_one(void **state) {
    (void)state;
    enum { N = 60, LONGEST = 400 };
    static char bytes[N][LONGEST];
    hn_str texts[N];
    hn_rng rng;
    hn_rng_seed(&rng, 1, 0);
    for (size_t i = 0; i < N; i++) {
        texts[i] = (hn_str){bytes[i], hn_rng_below(&rng, LONGEST)};
        for (size_t k = 0; k < texts[i].len; k++) /* half of the texts are any bytes, half are words */
            bytes[i][k] = i % 2 ? (char)hn_rng_below(&rng, 256) : "abc \n\xC3\xA9"[hn_rng_below(&rng, 7)];
    }
    hn_sparse r = transform(NULL, texts, N / 2, texts, N);
    for (size_t i = 0; i < N; i++) {
        double squares = 0;
        for (size_t k = r.start[i]; k < r.start[i + 1]; k++) {
            squares += (double)r.value[k] * r.value[k];
            assert_true(r.index[k] < r.n_columns && (k == r.start[i] || r.index[k - 1] < r.index[k]));
        }
        if (r.start[i] == r.start[i + 1]) continue;
        if (fabs(squares - 1) > 1e-5) fail_msg("row %zu has length %g", i, sqrt(squares));
    }
    hn_sparse_free(&r);
}

static void rare_and_common_features_are_left_out(void **state) {
    (void)state;
    hn_str texts[20];
    for (size_t i = 0; i < 20; i++) texts[i] = hn_str_of(i == 0 ? "all once" : i < 6 ? "all some" : "all");
    hn_tfidf_options o = {.word_min = 1, .word_max = 1};
    hn_sparse r = transform(&o, texts, 20, texts, 20);
    assert_int_equal(r.n_columns, 3);
    hn_sparse_free(&r);
    o.min_df = 2;
    o.max_df = 0.25;
    r = transform(&o, texts, 20, texts, 20);
    assert_int_equal(r.n_columns, 1); /* "some", in 5 of 20 */
    hn_sparse_free(&r);
    hn_tfidf *t;
    hn_error err = {0};
    o.word_min = 0;
    assert_int_equal(hn_tfidf_fit(texts, 20, &o, &t, &err), HN_ERR_INPUT);
}

/* Two unit rows on their own axes, C = 1/2: the minimum of |w|^2/2 + C sum max(0, 1 - y w.x)^2 has a closed form. By
 * symmetry w = (v, -v), bias 0; d/dv (v^2 + 2 C (1 - v)^2) = 0 gives v = 2 C / (1 + 2 C) = 1/2. */
static void two_examples_meet_the_closed_form(void **state) {
    (void)state;
    size_t start[] = {0, 1, 2};
    uint32_t index[] = {0, 1};
    float value[] = {1, 1};
    int32_t labels[] = {0, 1};
    double scores[4];
    hn_sparse rows = {2, 2, start, index, value};
    hn_linear_options o = {.c = 0.5, .tolerance = 1e-10, .n_passes = 10000};
    hn_linear *model;
    hn_error err = {0};
    hn_test_ok(hn_linear_train(&rows, labels, 2, &o, &model, &err), &err);
    hn_linear_scores(model, &rows, scores);
    for (size_t i = 0; i < 4; i++) assert_true(fabs(scores[i] - (i % 3 == 0 ? 0.5 : -0.5)) < 1e-6);
    hn_linear_free(model);
}

/* The primal objective's gradient is 0 at the solution: w + 2 C sum over violators of -(1 - y w.x) y x = 0, also by
 * scores alone: objective no larger when any row's direction is followed a little. Checked through finite steps on
 * random rows. */
static void solution_is_a_minimum(void **state) {
    (void)state;
    enum { N = 40, M = 12, PER_ROW = 4 };
    size_t start[N + 1];
    uint32_t index[N * PER_ROW];
    float value[N * PER_ROW];
    int32_t labels[N];
    hn_rng rng;
    hn_rng_seed(&rng, 2, 0);
    for (size_t r = 0; r <= N; r++) start[r] = r * PER_ROW;
    for (size_t i = 0; i < N * PER_ROW; i++) {
        index[i] = (uint32_t)(i % PER_ROW * 3 + hn_rng_below(&rng, 3));
        value[i] = (float)hn_rng_uniform(&rng) - 0.3f;
    }
    for (size_t r = 0; r < N; r++) labels[r] = (int32_t)hn_rng_below(&rng, 2);
    hn_sparse rows = {N, M, start, index, value};
    hn_linear_options o = {.c = 3, .tolerance = 1e-9, .n_passes = 100000, .seed = 1};
    hn_linear *model;
    hn_error err = {0};
    hn_test_ok(hn_linear_train(&rows, labels, 2, &o, &model, &err), &err);
    double w[M + 1], scores[2 * (M + 1)]; /* the weights of class 1, read off the unit rows and the empty row */
    size_t unit_start[M + 2] = {0};
    uint32_t unit_index[M];
    float unit_value[M];
    for (size_t f = 0; f < M; f++) unit_start[f + 1] = f + 1, unit_index[f] = (uint32_t)f, unit_value[f] = 1;
    unit_start[M + 1] = M;
    hn_sparse units = {M + 1, M, unit_start, unit_index, unit_value};
    hn_linear_scores(model, &units, scores);
    w[M] = scores[2 * M + 1];
    for (size_t f = 0; f < M; f++) w[f] = scores[2 * f + 1] - w[M];
    double gradient[M + 1];
    for (size_t f = 0; f <= M; f++) gradient[f] = w[f];
    for (size_t r = 0; r < N; r++) {
        double y = labels[r] == 1 ? 1 : -1, score = w[M];
        for (size_t i = start[r]; i < start[r + 1]; i++) score += w[index[i]] * value[i];
        double slack = 1 - y * score;
        if (slack <= 0) continue;
        gradient[M] -= 2 * o.c * slack * y;
        for (size_t i = start[r]; i < start[r + 1]; i++) gradient[index[i]] -= 2 * o.c * slack * y * value[i];
    }
    for (size_t f = 0; f <= M; f++)
        if (fabs(gradient[f]) > 1e-4) fail_msg("gradient %zu is %g", f, gradient[f]);
    hn_linear_free(model);
}

static void odd_training_sets(void **state) {
    (void)state;
    size_t start[] = {0, 1, 1, 2};
    uint32_t index[] = {0, 1};
    float value[] = {1, 1};
    int32_t one_class[] = {0, 0, 0}, sparse_labels[] = {3, 3, 1}, bad[] = {0, 5, 0}, predicted[3];
    hn_sparse rows = {3, 2, start, index, value}, none = {0, 2, start, index, value};
    hn_linear *model;
    hn_error err = {0};
    hn_test_ok(hn_linear_train(&rows, one_class, 1, NULL, &model, &err), &err);
    hn_test_ok(hn_linear_predict(model, &rows, predicted, &err), &err);
    for (size_t i = 0; i < 3; i++) assert_int_equal(predicted[i], 0);
    hn_linear_free(model);
    hn_test_ok(hn_linear_train(&rows, sparse_labels, 5, NULL, &model, &err), &err);
    hn_test_ok(hn_linear_predict(model, &rows, predicted, &err), &err);
    for (size_t i = 0; i < 3; i++) assert_int_equal(predicted[i], sparse_labels[i]); /* 0, 2 and 4 have no examples */
    hn_linear_free(model);
    assert_int_equal(hn_linear_train(&rows, bad, 3, NULL, &model, &err), HN_ERR_INPUT);
    assert_int_equal(hn_linear_train(&none, bad, 3, NULL, &model, &err), HN_ERR_INPUT);
    assert_int_equal(hn_linear_train(&rows, one_class, 0, NULL, &model, &err), HN_ERR_INPUT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_weighted_by_hand),
        cmocka_unit_test(character_ngrams_stay_within_words),
        cmocka_unit_test(case_is_folded_in_all_scripts),
        cmocka_unit_test(rows_have_length_one),
        cmocka_unit_test(rare_and_common_features_are_left_out),
        cmocka_unit_test(two_examples_meet_the_closed_form),
        cmocka_unit_test(solution_is_a_minimum),
        cmocka_unit_test(odd_training_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
