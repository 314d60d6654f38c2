/* Edit distance and subsequences against the plain table, MinHash against exact Jaccard, near-duplicates among planted
 * ones, support by a context; and hostile texts and failing memory for everything in src/text that compares texts. */
#include "support.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/rng.h"
#include "text/bag.h"
#include "text/bleu.h"
#include "text/chrf.h"
#include "text/edit_distance.h"
#include "text/grounding.h"
#include "text/minhash.h"
#include "text/overlap.h"
#include "text/rouge.h"
#include "text/ter.h"
#include "text/wordlist.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static hn_rng rng;
static hn_error err;

static int seed_all(void **state) {
    (void)state;
    hn_rng_seed(&rng, 11, 2);
    return 0;
}

enum { LONG = 600 };

static size_t plain_distance(const uint64_t *a, size_t n_a, const uint64_t *b, size_t n_b) {
    static size_t t[LONG + 1][LONG + 1];
    for (size_t i = 0; i <= n_a; i++)
        for (size_t j = 0; j <= n_b; j++) {
            if (i == 0 || j == 0) {
                t[i][j] = i + j;
                continue;
            }
            size_t best = t[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (t[i - 1][j] + 1 < best) best = t[i - 1][j] + 1;
            if (t[i][j - 1] + 1 < best) best = t[i][j - 1] + 1;
            t[i][j] = best;
        }
    return t[n_a][n_b];
}

static size_t plain_common(const uint64_t *a, size_t n_a, const uint64_t *b, size_t n_b) {
    static size_t t[LONG + 1][LONG + 1];
    for (size_t i = 1; i <= n_a; i++)
        for (size_t j = 1; j <= n_b; j++) {
            t[i][j] = t[i - 1][j] > t[i][j - 1] ? t[i - 1][j] : t[i][j - 1];
            if (a[i - 1] == b[j - 1]) t[i][j] = t[i - 1][j - 1] + 1;
        }
    return n_a && n_b ? t[n_a][n_b] : 0;
}

/* Two lists: random, or one made from the other by edits and a move, so that all sizes of distance occur. */
static void make_lists(uint64_t *a, size_t *n_a, uint64_t *b, size_t *n_b) {
    static const size_t sizes[] = {0, 1, 2, 31, 63, 64, 65, 127, 128, 129, 200, 333, 500};
    uint64_t n_units = 2 + hn_rng_below(&rng, 30);
    *n_a = sizes[hn_rng_below(&rng, sizeof sizes / sizeof *sizes)];
    for (size_t i = 0; i < *n_a; i++) a[i] = hn_rng_below(&rng, n_units);
    if (hn_rng_below(&rng, 3) == 0) {
        *n_b = sizes[hn_rng_below(&rng, sizeof sizes / sizeof *sizes)];
        for (size_t i = 0; i < *n_b; i++) b[i] = hn_rng_below(&rng, n_units);
        return;
    }
    size_t turn = *n_a && hn_rng_below(&rng, 4) == 0 ? (size_t)hn_rng_below(&rng, *n_a) : 0, share = 2;
    share += (size_t)hn_rng_below(&rng, 60);
    *n_b = 0;
    for (size_t i = 0; i < *n_a && *n_b + 2 < LONG; i++) {
        uint64_t unit = a[(i + turn) % *n_a];
        switch (hn_rng_below(&rng, share)) {
        case 0: break;
        case 1:
            b[(*n_b)++] = hn_rng_below(&rng, n_units);
            b[(*n_b)++] = unit;
            break;
        default: b[(*n_b)++] = unit;
        }
    }
}

static void distances_are_those_of_the_table(void **state) {
    (void)state;
    uint64_t a[LONG], b[LONG];
    for (int t = 0; t < 250; t++) {
        size_t n_a, n_b, d, limited;
        make_lists(a, &n_a, b, &n_b);
        size_t want = plain_distance(a, n_a, b, n_b);
        hn_test_ok(hn_edit_units(a, n_a, b, n_b, HN_EDIT_NO_LIMIT, &d, &err), &err);
        assert_int_equal(d, want);
        hn_test_ok(hn_edit_units(b, n_b, a, n_a, HN_EDIT_NO_LIMIT, &d, &err), &err);
        assert_int_equal(d, want);
        size_t limit = (size_t)hn_rng_below(&rng, want + 20);
        hn_test_ok(hn_edit_units(a, n_a, b, n_b, limit, &limited, &err), &err);
        assert_int_equal(limited, want <= limit ? want : limit + 1);
        hn_test_ok(hn_edit_common(a, n_a, b, n_b, &d, &err), &err);
        assert_int_equal(d, plain_common(a, n_a, b, n_b));
    }
}

static void long_texts_have_their_limits(void **state) {
    (void)state;
    enum { N = 1 << 21 };
    uint64_t *a = hn_calloc(N, sizeof *a), *b = hn_calloc(N, sizeof *b);
    size_t d;
    for (size_t i = 0; i < N; i++) a[i] = b[i] = hn_rng_below(&rng, 50);
    for (size_t i = 0; i < 40; i++) b[i * 50000 + 7] = 77;
    memmove(b + 1000, b + 1001, (N - 1001) * sizeof *b);
    hn_test_ok(hn_edit_units(a, N, b, N - 1, HN_EDIT_NO_LIMIT, &d, &err), &err);
    assert_int_equal(d, 41); /* 2 million units, quickly, as they are alike */
    for (size_t i = 0; i < N; i++) b[i] = 100 + a[i];
    hn_test_ok(hn_edit_units(a, N, b, N, 10, &d, &err), &err);
    assert_int_equal(d, 11);
    assert_int_equal(hn_edit_units(a, N, b, N, HN_EDIT_NO_LIMIT, &d, &err), HN_ERR_LIMIT);
    assert_int_equal(hn_edit_common(a, N, b, N, &d, &err), HN_ERR_LIMIT);
    hn_free(a);
    hn_free(b);
}

static void error_rates_without_a_reference(void **state) {
    (void)state;
    double rate;
    hn_test_ok(hn_edit_error_rate_chars(hn_str_of(""), hn_str_of(""), &rate, &err), &err);
    assert_true(rate == 0);
    hn_test_ok(hn_edit_error_rate_words(hn_str_of("a b"), hn_str_of(" "), &rate, &err), &err);
    assert_true(rate == 1);
    hn_test_ok(hn_edit_error_rate_words(hn_str_of("a b c d"), hn_str_of("x"), &rate, &err), &err);
    assert_true(rate == 4);
}

static void sorting(void **state) {
    (void)state;
    for (size_t n = 0; n < 300; n += 1 + n / 7) {
        hn_bag bag = {0};
        uint64_t values[300] = {0};
        for (size_t i = 0; i < n; i++) values[i] = hn_rng_next(&rng) >> hn_rng_below(&rng, 64);
        hn_test_ok(hn_bag_fill(&bag, values, n, &err), &err);
        uint64_t sum = 0;
        for (size_t i = 0; i < n; i++) {
            assert_true(i == 0 || bag.items[i - 1] <= bag.items[i]);
            sum += values[i] - bag.items[i];
        }
        assert_true(sum == 0 && bag.n == n);
        hn_bag_free(&bag);
    }
}

/* `n` words of a small or large vocabulary. */
static void make_text(hn_buf *out, size_t n, uint64_t n_words) {
    for (size_t i = 0; i < n; i++) hn_buf_appendf(out, "w%llu ", (unsigned long long)hn_rng_below(&rng, n_words));
}

static void signatures_estimate_jaccard(void **state) {
    (void)state;
    hn_minhash_options o = {.as_is = true, .n_bands = 64, .n_rows = 4};
    uint32_t a[256], b[256];
    double bias = 0, worst = 0;
    enum { TRIALS = 120 };
    for (int t = 0; t < TRIALS; t++) {
        hn_buf x, y;
        bool empty;
        hn_buf_init(&x, 0);
        hn_buf_init(&y, 0);
        make_text(&x, t % 3 == 0 ? 8 : 150, 1000); /* fewer shingles than bins, or more */
        hn_buf_append(&y, x.data, (size_t)hn_rng_below(&rng, x.len));
        make_text(&y, (size_t)hn_rng_below(&rng, t % 3 == 0 ? 8 : 150), 1000);
        hn_str text_a = {x.data, x.len}, text_b = {hn_buf_str(&y), y.len};
        double exact;
        o.seed = (uint64_t)t;
        hn_test_ok(hn_minhash_signature(text_a, &o, a, &empty, &err), &err);
        assert_false(empty);
        hn_test_ok(hn_minhash_signature(text_b, &o, b, &empty, &err), &err);
        hn_test_ok(hn_jaccard_chars(text_a, text_b, 5, &exact, &err), &err);
        double off = empty || text_b.len < 5 ? 0 : hn_minhash_similarity(a, b, 256) - exact;
        bias += off / TRIALS;
        worst = fmax(worst, t % 3 ? fabs(off) : 0);
        hn_buf_free(&x);
        hn_buf_free(&y);
    }
    assert_true(fabs(bias) < 0.02 && worst < 0.15); /* 0.03 is one standard deviation */
}

static void planted_duplicates_are_found(void **state) {
    (void)state;
    enum { N = 3000, PLANTED = 300 };
    hn_buf texts[N];
    hn_str rows[N];
    for (size_t i = 0; i < N; i++) {
        hn_buf_init(&texts[i], 0);
        if (i >= N - PLANTED) { /* row i - (N - PLANTED) again: other case and spaces, and a word more */
            const hn_buf *from = &texts[i - (N - PLANTED)];
            for (size_t k = 0; k < from->len; k++) {
                hn_buf_append_char(&texts[i], from->data[k] == 'w' ? 'W' : from->data[k]);
                if (from->data[k] == ' ') hn_buf_append_char(&texts[i], '\t');
            }
            hn_buf_append_str(&texts[i], "more");
        } else {
            make_text(&texts[i], 25, 5000);
        }
    }
    for (size_t i = 0; i < N; i++) rows[i] = (hn_str){texts[i].data, texts[i].len};
    hn_near_duplicates d;
    hn_test_ok(hn_minhash_find(rows, N, NULL, &d, &err), &err);
    assert_int_equal(d.n_pairs, PLANTED);
    for (size_t i = 0; i < PLANTED; i++) {
        assert_true(d.pairs[i].a == i && d.pairs[i].b == i + N - PLANTED && d.pairs[i].similarity >= 0.8);
        assert_int_equal(d.cluster[i + N - PLANTED], i);
        assert_int_equal(d.cluster[i], i);
    }
    hn_near_duplicates_free(&d);
    for (size_t i = 0; i < N; i++) hn_buf_free(&texts[i]);
}

static void near_duplicates_at_their_edges(void **state) {
    (void)state;
    enum { N = 5000 };
    static hn_str rows[N];
    hn_near_duplicates d;
    for (size_t i = 0; i < N; i++) rows[i] = hn_str_of(i % 10 ? "the very same text in every row" : " \n");
    hn_test_ok(hn_minhash_find(rows, N, NULL, &d, &err), &err);
    assert_int_equal(d.n_pairs, N - N / 10 - 1); /* as many as join them */
    for (size_t i = 0; i < N; i++) assert_int_equal(d.cluster[i], i % 10 ? 1 : i);
    hn_near_duplicates_free(&d);
    hn_str short_ones[] = {hn_str_of("ok"), hn_str_of("OK"), hn_str_of("no"), {NULL, 0}};
    hn_test_ok(hn_minhash_find(short_ones, 4, NULL, &d, &err), &err);
    assert_true(d.n_pairs == 1 && d.pairs[0].a == 0 && d.pairs[0].b == 1 && d.pairs[0].similarity == 1);
    hn_near_duplicates_free(&d);
    hn_test_ok(hn_minhash_find(NULL, 0, NULL, &d, &err), &err);
    assert_int_equal(d.n_pairs, 0);
    hn_near_duplicates_free(&d);
    hn_minhash_options o = {.words = true, .shingle = 1, .threshold = 0.5};
    hn_str words[] = {hn_str_of("red green blue"), hn_str_of("Blue, green; yellow"), hn_str_of("one two")};
    hn_test_ok(hn_minhash_find(words, 3, &o, &d, &err), &err);
    assert_true(d.n_pairs == 1 && d.pairs[0].similarity == 0.5);
    hn_near_duplicates_free(&d);
    o.n_bands = 1025;
    o.n_rows = 1;
    assert_int_equal(hn_minhash_find(words, 3, &o, &d, &err), HN_ERR_USAGE);
}

static void answers_are_supported_by_their_context(void **state) {
    (void)state;
    hn_str contexts[] = {hn_str_of("The parcel left Lyon on Monday."), hn_str_of("Refunds take five days.")};
    hn_str answer = hn_str_of("Your parcel left Lyon on Monday; you will get 20 \xE2\x82\xAC. Refunds take five days!");
    hn_grounding g;
    hn_test_ok(hn_grounding_check(answer, contexts, 2, 3, &g, &err), &err);
    assert_int_equal(g.n_words, 14);
    assert_int_equal(g.n_grams, 12);
    assert_int_equal(g.n_supported,
                     5); /* parcel left lyon, left lyon on, lyon on monday; refunds take five, take five days */
    assert_true(fabs(g.support - 5 / 12.0) < 1e-12);
    assert_int_equal(g.span_words, 4);
    assert_memory_equal(answer.data + g.span_from, "you will get 20", g.span_to - g.span_from);
    hn_test_ok(hn_grounding_check(hn_str_of("Lyon"), contexts, 2, 3, &g, &err), &err);
    assert_true(g.support == 1 && g.span_words == 0);
    hn_test_ok(hn_grounding_check(hn_str_of("Monday refunds"), contexts, 2, 2, &g, &err), &err);
    assert_true(g.support == 0 && g.span_words == 2); /* no n-gram runs over the end of a context */
    hn_test_ok(hn_grounding_check(hn_str_of("?!"), contexts, 2, 3, &g, &err), &err);
    assert_true(isnan(g.support) && g.n_grams == 0);
    hn_test_ok(hn_grounding_check(hn_str_of("a b"), NULL, 0, 3, &g, &err), &err);
    assert_true(g.support == 0);
    assert_int_equal(hn_grounding_check(answer, contexts, 2, 0, &g, &err), HN_ERR_USAGE);
}

static void lists_overlap(void **state) {
    (void)state;
    hn_str given[] = {hn_str_of("a"), hn_str_of("b"), hn_str_of("b")}, wanted[] = {hn_str_of("b"), hn_str_of("a")};
    hn_overlap o;
    hn_test_ok(hn_overlap_lists(given, 3, wanted, 2, &o, &err), &err);
    assert_true(fabs(o.precision - 2 / 3.0) < 1e-12 && o.recall == 1 && fabs(o.f1 - 0.8) < 1e-12);
    assert_true(o.jaccard == 1 && o.same_set && !o.same_list);
    hn_test_ok(hn_overlap_lists(given, 2, given, 2, &o, &err), &err);
    assert_true(o.same_list && o.f1 == 1);
    hn_test_ok(hn_overlap_lists(NULL, 0, NULL, 0, &o, &err), &err);
    assert_true(o.precision == 1 && o.recall == 1 && o.f1 == 1 && o.jaccard == 1 && o.same_set && o.same_list);
    hn_test_ok(hn_overlap_lists(NULL, 0, wanted, 2, &o, &err), &err);
    assert_true(o.precision == 0 && o.recall == 0 && o.f1 == 0 && o.jaccard == 0 && !o.same_set);
}

/* Everything that takes two texts. The first failure's status. */
static hn_status compare_all(hn_str a, hn_str b, hn_error *e) {
    hn_str both[] = {b, a};
    double x;
    size_t d;
    hn_rouge rouge;
    hn_squad squad;
    hn_gleu_counts gleu = {0, 0};
    hn_grounding g;
    hn_overlap o;
    hn_near_duplicates near;
    HN_TRY(hn_bleu_sentence(a, both, 2, HN_BLEU_13A, &x, e));
    assert_true(x >= 0 && x < 100.001);
    HN_TRY(hn_chrf_sentence(a, both, 2, 2, &x, e));
    assert_true(x >= 0 && x < 100.001);
    HN_TRY(hn_rouge_score(a, b, true, &rouge, e));
    HN_TRY(hn_gleu_add(&gleu, a, both, 2, e));
    HN_TRY(hn_edit_chars(a, b, 500, &d, e));
    HN_TRY(hn_edit_words(a, b, 500, &d, e));
    HN_TRY(hn_squad_score(a, b, &squad, e));
    assert_true(squad.f1 >= 0 && squad.f1 <= 1);
    HN_TRY(hn_jaccard_chars(a, b, 5, &x, e));
    HN_TRY(hn_jaccard_words(a, b, 2, &x, e));
    HN_TRY(hn_grounding_check(a, &b, 1, 3, &g, e));
    HN_TRY(hn_overlap_lists(&a, 1, &b, 1, &o, e));
    HN_TRY(hn_minhash_find(both, 2, NULL, &near, e));
    hn_near_duplicates_free(&near);
    return HN_OK;
}

static void hostile_texts(void **state) {
    (void)state;
    static const hn_str texts[] = {
        {NULL, 0},
        {"", 0},
        {"\0\0a\0b", 5},
        {"\xFF\xFE\x80 \xC3", 5},
        {"\xE2\x82", 2},
        {"a\xF0\x9F\x98\x80z \xED\xA0\x80", 9},
        {" \t\n", 3},
        {"\xC4\xB0\xC4\xB0", 4},
        {".,.,.,-1-1.", 11},
        {"&amp;amp;quot; <skipped><skipped> -\n", 36},
        {"yyyyyyyyying", 12},
        {"the the a an", 12},
        {"\xCC\x81\xCC\x81", 4},
    };
    size_t n = sizeof texts / sizeof *texts;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++) {
            double ter;
            hn_test_ok(compare_all(texts[i], texts[k], &err), &err);
            hn_test_ok(hn_ter_sentence(texts[i], &texts[k], 1, &ter, &err), &err);
            assert_true(ter >= 0);
        }
}

static void large_texts(void **state) {
    (void)state;
    enum { N = 1 << 20 };
    char *same = hn_alloc(N), *mixed = hn_alloc(N);
    memset(same, 'y', N);
    for (size_t i = 0; i < N; i++) mixed[i] = (char)hn_rng_below(&rng, 256);
    hn_str a = {same, N}, b = {mixed, N};
    hn_test_ok(compare_all(a, b, &err), &err);
    double x;
    for (size_t i = 0; i < N; i += 2) mixed[i] = ' ';
    assert_int_equal(hn_ter_sentence(b, &a, 1, &x, &err), HN_ERR_LIMIT);
    hn_str words = {mixed, 4000}; /* some 2,000 words that repeat: as many moves as will be tried */
    for (size_t i = 1; i < 4000; i += 2) mixed[i] = (char)('a' + i * 7 % 5);
    hn_str moved = {mixed + 1000, 2900};
    hn_test_ok(hn_ter_sentence(moved, &words, 1, &x, &err), &err);
    assert_true(x > 0 && x < 100);
    hn_free(same);
    hn_free(mixed);
    char *huge = hn_calloc(HN_WORDLIST_TEXT_MAX + 1, 1);
    hn_str too_long = {huge, HN_WORDLIST_TEXT_MAX + 1};
    size_t d;
    assert_int_equal(hn_bleu_sentence(too_long, &a, 1, HN_BLEU_13A, &x, &err), HN_ERR_LIMIT);
    assert_int_equal(hn_edit_chars(too_long, too_long, 5, &d, &err), HN_ERR_LIMIT);
    assert_int_equal(hn_jaccard_chars(too_long, too_long, 5, &x, &err), HN_ERR_LIMIT);
    hn_free(huge);
    assert_int_equal(hn_bleu_sentence(words, NULL, 0, HN_BLEU_13A, &x, &err), HN_ERR_USAGE);
    assert_int_equal(hn_chrf_sentence(words, &words, 1, 3, &x, &err), HN_ERR_USAGE);
    assert_int_equal(hn_ter_sentence(words, NULL, 0, &x, &err), HN_ERR_USAGE);
}

static void memory_that_runs_out(void **state) {
    (void)state;
    size_t n_all = 1;
    for (size_t n = 0; n <= n_all; n++) { /* the first time none fails, to count them */
        double ter;
        hn_str a = hn_str_of("It's the first, of 3.5 texts"), b = hn_str_of("the second: of 3.5 short texts");
        hn_alloc_fail_at(n, false);
        hn_status st = compare_all(a, b, &err);
        if (st == HN_OK) st = hn_ter_sentence(a, &b, 1, &ter, &err);
        if (n == 0) n_all = hn_alloc_count();
        hn_alloc_fail_at(0, false);
        if (st != (n ? HN_ERR_MEMORY : HN_OK))
            fail_msg("allocation %zu of %zu fails: %s", n, n_all, hn_status_name(st));
    }
    assert_true(n_all > 60);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances_are_those_of_the_table),
        cmocka_unit_test(long_texts_have_their_limits),
        cmocka_unit_test(error_rates_without_a_reference),
        cmocka_unit_test(sorting),
        cmocka_unit_test(signatures_estimate_jaccard),
        cmocka_unit_test(planted_duplicates_are_found),
        cmocka_unit_test(near_duplicates_at_their_edges),
        cmocka_unit_test(answers_are_supported_by_their_context),
        cmocka_unit_test(lists_overlap),
        cmocka_unit_test(hostile_texts),
        cmocka_unit_test(large_texts),
        cmocka_unit_test(memory_that_runs_out),
    };
    return cmocka_run_group_tests(tests, seed_all, NULL);
}
