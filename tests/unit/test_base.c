/* base/: the parts that everything stands on, at their edges. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/dtype.h"
#include "base/hash.h"
#include "base/rng.h"
#include "base/str.h"
#include "base/utf8.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void error_text_is_cut_between_characters(void **state) {
    (void)state;
    hn_error err = {0};
    char text[2000];
    for (size_t i = 0; i + 2 < sizeof text; i += 2) memcpy(text + i, "\xC3\xA9", 2);
    text[sizeof text - 2] = 0;
    assert_int_equal(hn_fail(&err, HN_ERR_INPUT, text, NULL, "x%s", text), HN_ERR_INPUT);
    assert_true(hn_utf8_valid(err.message, strlen(err.message), NULL));
    assert_true(hn_utf8_valid(err.where, strlen(err.where), NULL));
    assert_int_equal(hn_status_exit(err.code), 2);
}

static void buffer_keeps_its_first_error(void **state) {
    (void)state;
    hn_buf b;
    hn_buf_init(&b, 4);
    hn_buf_append_str(&b, "abcd");
    assert_int_equal(hn_buf_status(&b), HN_OK);
    hn_buf_append_char(&b, 'e');
    assert_int_equal(hn_buf_status(&b), HN_ERR_LIMIT);
    hn_buf_append_str(&b, "");
    assert_int_equal(hn_buf_status(&b), HN_ERR_LIMIT);
    assert_string_equal(hn_buf_str(&b), "abcd");
    hn_buf_free(&b);
    hn_buf_init(&b, 0);
    hn_alloc_fail_at(1, true);
    hn_buf_appendf(&b, "%d", 42);
    hn_alloc_fail_at(0, false);
    assert_int_equal(hn_buf_status(&b), HN_ERR_MEMORY);
    hn_buf_free(&b);
}

static void arena_aligns_and_zeroes(void **state) {
    (void)state;
    hn_arena *arena = hn_arena_create(64);
    for (size_t n = 0; n < 300; n += 7) {
        unsigned char *memory = hn_arena_alloc(arena, n);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 16, 0);
        for (size_t i = 0; i < n; i++) assert_int_equal(memory[i], 0);
        memset(memory, 255, n);
    }
    assert_null(hn_arena_alloc(arena, SIZE_MAX));
    assert_null(hn_arena_calloc(arena, SIZE_MAX / 2, 3));
    hn_arena_free(arena);
}

static void numbers_parse_strictly(void **state) {
    (void)state;
    double d;
    int64_t i;
    size_t n;
    assert_true(hn_parse_double("0.90", &d) && d == 0.90);
    assert_true(hn_parse_double("-1e-3", &d) && d == -1e-3);
    assert_false(hn_parse_double("1 ", &d) || hn_parse_double(" 1", &d) || hn_parse_double("", &d) ||
                 hn_parse_double("nan", &d));
    assert_false(hn_parse_double("1e999", &d));
    assert_true(hn_parse_int64("-9223372036854775808", &i) && i == INT64_MIN);
    assert_false(hn_parse_int64("9223372036854775808", &i) || hn_parse_int64("1.0", &i));
    assert_true(hn_parse_size("1.5k", &n) && n == 1536);
    assert_false(hn_parse_size("k", &n) || hn_parse_size("-1", &n));
}

static void suggestions_are_near(void **state) {
    (void)state;
    const char *names[] = {"accuracy", "macro_f1", "log_loss"};
    assert_string_equal(hn_closest("acuracy", names, 3), "accuracy");
    assert_null(hn_closest("zebra", names, 3));
}

static void utf8_follows_the_standard(void **state) {
    (void)state;
    static const char *bad[] = {"\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",    "\xE0\x80\x80",
                                "\x80",     "\xE2\x82",     "\xF8\x88\x80\x80\x80"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(hn_utf8_valid(bad[i], strlen(bad[i]), NULL));
    for (uint32_t cp = 0; cp <= 0x10FFFF; cp++) {
        if (cp >= 0xD800 && cp <= 0xDFFF) continue;
        char bytes[4];
        uint32_t back;
        size_t n = hn_utf8_encode(cp, bytes), used;
        assert_true(hn_utf8_decode_strict(bytes, n, &back, &used));
        if (back != cp || used != n) fail_msg("U+%X came back as U+%X", cp, back);
    }
}

static void sha256_matches_fips_180_4(void **state) {
    (void)state;
    char hex[HN_SHA256_HEX];
    assert_int_equal(hn_sha256_bytes("abc", 3, hex), HN_OK);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void half_floats_round_trip(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float f = hn_f16_to_f32((uint16_t)h), b = hn_bf16_to_f32((uint16_t)h);
        if (!isnan(f) && hn_f32_to_f16(f) != h) fail_msg("f16 %04x came back as %04x", h, hn_f32_to_f16(f));
        if (!isnan(b) && hn_f32_to_bf16(b) != h) fail_msg("bf16 %04x came back as %04x", h, hn_f32_to_bf16(b));
    }
    assert_int_equal(hn_f32_to_f16(65519.0f), 0x7BFF);
    assert_int_equal(hn_f32_to_f16(65520.0f), 0x7C00);
    assert_int_equal(hn_f32_to_f16(1.0f + 0x1.0p-11f), 0x3C00); /* a tie goes to even */
    assert_int_equal(hn_f32_to_bf16(1.0f + 0x1.0p-8f), 0x3F80);
}

static void random_numbers_are_even_and_repeatable(void **state) {
    (void)state;
    hn_rng a, b;
    hn_rng_seed(&a, 7, 0);
    hn_rng_seed(&b, 7, 0);
    int counts[6] = {0};
    for (int i = 0; i < 60000; i++) {
        uint64_t x = hn_rng_below(&a, 6);
        assert_true(x == hn_rng_below(&b, 6));
        counts[x]++;
    }
    for (int i = 0; i < 6; i++) assert_in_range(counts[i], 9600, 10400); /* more than 4 sigma */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_text_is_cut_between_characters),
        cmocka_unit_test(buffer_keeps_its_first_error),
        cmocka_unit_test(arena_aligns_and_zeroes),
        cmocka_unit_test(numbers_parse_strictly),
        cmocka_unit_test(suggestions_are_near),
        cmocka_unit_test(utf8_follows_the_standard),
        cmocka_unit_test(sha256_matches_fips_180_4),
        cmocka_unit_test(half_floats_round_trip),
        cmocka_unit_test(random_numbers_are_even_and_repeatable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
