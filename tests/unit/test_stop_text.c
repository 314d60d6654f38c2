/* Stop texts across token borders and characters: whatever the cuts, the text given out is the text up to the stop, in whole characters. */
#include "base/alloc.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "provider/stop_text.h"
#include "support.h"

#include <string.h>

/* Feeds `text` cut at the set bits of `cuts` and checks everything that must hold after each token. */
static void feed(const char *text, uint64_t cuts, const char *const *stops, size_t n_stops, const char *expected,
                 bool stops_there) {
    hn_error err = {0};
    hn_stop_text t;
    hn_buf given;
    hn_str part;
    bool stopped = false;
    size_t n = strlen(text);
    hn_buf_init(&given, 0);
    hn_test_ok(hn_stop_text_init(&t, stops, n_stops, &err), &err);
    for (size_t at = 0; at < n && !stopped;) {
        size_t end = at + 1;
        while (end < n && !(cuts >> (end % 64) & 1)) end++;
        hn_test_ok(hn_stop_text_add(&t, text + at, end - at, &part, &stopped, &err), &err);
        assert_true(hn_utf8_valid(part.data ? part.data : "", part.len, NULL));
        hn_buf_append(&given, part.data, part.len);
        assert_true(given.len <= strlen(expected) && memcmp(hn_buf_str(&given), expected, given.len) == 0);
        at = end;
    }
    assert_int_equal(stopped, stops_there);
    hn_test_ok(hn_stop_text_end(&t, &part, &err), &err);
    hn_buf_append(&given, part.data, part.len);
    assert_string_equal(hn_buf_str(&given), expected);
    assert_int_equal(t.text.len, strlen(expected));
    hn_buf_free(&given);
    hn_stop_text_free(&t);
}

static void every_cut_gives_the_same_text(void **state) {
    (void)state;
    static const char *const stops[] = {"\n\n", "END", "\xE7\x8C\xAB!", "ENDING"};
    for (uint64_t cuts = 0; cuts < 1 << 12; cuts++) {
        feed("one\n\ntwo", cuts, stops, 4, "one", true);
        feed("a ENxENDx", cuts, stops, 4, "a ENx", true);
        feed("x \xE7\x8C\xAB?\xE7\x8C\xAB!", cuts, stops, 4, "x \xE7\x8C\xAB?", true);
        feed("EN\xC3\xA9 EN", cuts, stops, 4, "EN\xC3\xA9 EN", false);
        feed("END", cuts, stops, 4, "", true);
        feed("caf\xC3\xA9 \xF0\x9F\x98\x80", cuts, NULL, 0, "caf\xC3\xA9 \xF0\x9F\x98\x80", false);
    }
}

static void random_texts_against_a_plain_search(void **state) {
    (void)state;
    hn_rng rng;
    hn_rng_seed(&rng, 7, 0);
    for (int round = 0; round < 20000; round++) {
        char text[40], expected[40], first[4] = {0}, second[5] = {0};
        size_t n = 1 + hn_rng_below(&rng, 30);
        for (size_t i = 0; i < n; i++) text[i] = (char)('a' + hn_rng_below(&rng, 2));
        text[n] = 0;
        for (int i = 0; i < 3; i++) first[i] = (char)('a' + hn_rng_below(&rng, 2));
        for (int i = 0; i < 4; i++) second[i] = (char)('a' + hn_rng_below(&rng, 2));
        const char *stops[] = {first, second}, *a = strstr(text, first), *b = strstr(text, second);
        const char *hit = a && (!b || a <= b) ? a : b;
        memcpy(expected, text, n + 1);
        /* A longer stop text that begins earlier may still be growing when a shorter one inside it is complete: the first complete one
         * ends the answer, so compare only where that cannot differ. */
        if (a && b && a != b && (a < b ? a + 3 : b + 4) > (a < b ? b + 4 : a + 3)) continue;
        if (hit) expected[hit - text] = 0;
        feed(text, hn_rng_next(&rng), stops, 2, expected, hit != NULL);
    }
}

static void half_a_character_at_the_end_is_replaced(void **state) {
    (void)state;
    hn_error err = {0};
    hn_stop_text t;
    hn_str part;
    bool stopped;
    hn_test_ok(hn_stop_text_init(&t, NULL, 0, &err), &err);
    hn_test_ok(hn_stop_text_add(&t, "a\xF0\x9F", 3, &part, &stopped, &err), &err);
    assert_int_equal(part.len, 1);
    hn_test_ok(hn_stop_text_end(&t, &part, &err), &err);
    assert_int_equal(part.len, 3);
    assert_memory_equal(part.data, "\xEF\xBF\xBD", 3);
    assert_string_equal(hn_buf_str(&t.text), "a\xEF\xBF\xBD");
    hn_stop_text_free(&t);
}

static void bad_stop_texts_and_no_memory(void **state) {
    (void)state;
    hn_error err = {0};
    hn_stop_text t;
    const char *stops[] = {"x", "yy", ""};
    assert_int_equal(hn_stop_text_init(&t, stops, 3, &err), HN_ERR_INPUT);
    assert_int_equal(hn_stop_text_init(&t, stops, 1000, &err), HN_ERR_LIMIT);
    hn_status st = HN_ERR_MEMORY;
    size_t n = 1;
    for (; st == HN_ERR_MEMORY && n < 50; n++) {
        hn_str part;
        bool stopped;
        hn_alloc_fail_at(n, true);
        st = hn_stop_text_init(&t, stops, 2, &err);
        if (st == HN_OK) {
            st = hn_stop_text_add(&t, "abc", 3, &part, &stopped, &err);
            hn_stop_text_free(&t);
        }
        hn_alloc_fail_at(0, false);
    }
    assert_int_equal(st, HN_OK);
    assert_true(n > 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_gives_the_same_text),
        cmocka_unit_test(random_texts_against_a_plain_search),
        cmocka_unit_test(half_a_character_at_the_end_is_replaced),
        cmocka_unit_test(bad_stop_texts_and_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
