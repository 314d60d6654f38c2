/* text/personal_data, text_damage, same_text: published test numbers, near misses, reserved examples, hostile bytes. */
#include "support.h"

#include "base/alloc.h"
#include "text/personal_data.h"
#include "text/same_text.h"
#include "text/text_damage.h"

#include <stdio.h>
#include <string.h>

typedef struct found {
    char kinds[32];
    size_t n, from, to;
} found;

static void note(void *user, hn_personal kind, size_t from, size_t to) {
    found *f = user;
    assert_true(from < to && from >= f->to);
    if (f->n < 31) f->kinds[f->n] = "epicn"[kind]; /* e-mail, phone, iban, card, network address */
    f->n++;
    f->from = from;
    f->to = to;
}

static void expect(const char *text, const char *kinds) {
    found f = {0};
    hn_personal_scan(hn_str_of(text), note, &f);
    if (strcmp(f.kinds, kinds) != 0) fail_msg("\"%s\": \"%s\" instead of \"%s\"", text, f.kinds, kinds);
}

static void what_is_personal(void **state) {
    (void)state;
    expect("write to jan.de-vries+x@mail.firma.nl, please", "e");
    expect("a.b@x.co.uk.", "e");
    expect("two: a@b.de and c@d.fr", "ee");
    /* IBANs of the registry's own examples */
    expect("GB29 NWBK 6016 1331 9268 19", "i");
    expect("DE89370400440532013000", "i");
    expect("pay to FR14 2004 1010 0505 0001 3M02 606, thanks", "i");
    expect("NL91ABNA0417164300; BE68 5390 0754 7034", "ii");
    /* the card networks' published test numbers */
    expect("4111 1111 1111 1111", "c");
    expect("card 5555555555554444 exp 10/29", "c");
    expect("378282246310005", "c");
    expect("6011-1111-1111-1117", "c");
    expect("30569309025904", "c");
    expect("call +49 30 901820 now", "p");
    expect("+1 (212) 736-5000", "p");
    expect("(212) 736-5000 or 212-736-5001", "pp");
    expect("06 12 34 56 78", "p");
    expect("030/9018200", "p");
    expect("0044 20 7946 1234", "p");
    expect("from 8.8.8.8 and 93.184.216.34:443.", "nn");
    expect("2606:4700:4700::1111", "n");
}

static void what_is_not(void **state) {
    (void)state;
    static const char *const texts[] = {"no at sign here",
                                        "@home",
                                        "a@b",
                                        "user@localhost",
                                        "x@example.com",
                                        "y@mail.example.org",
                                        "z@shop.test",
                                        "me @ home. ok",
                                        "GB30 NWBK 6016 1331 9268 19" /* check digits */,
                                        "DE8937040044053201300" /* too short */,
                                        "4111 1111 1111 1112" /* Luhn */,
                                        "order 1234567890123456",
                                        "0000 0000 0000 0000",
                                        "4111111111111111x",
                                        "2024-01-05",
                                        "01-02-2024 and 05/06/1999",
                                        "12:30:45",
                                        "version 1.2.3.4.5",
                                        "v8.8.8.8",
                                        "1.2.3",
                                        "192.168.0.1",
                                        "10.0.0.7, 127.0.0.1, 192.0.2.1, 203.0.113.9",
                                        "2001:db8::1",
                                        "std::vector<int> a::b",
                                        "fe80::1",
                                        "555-0142, 212-555-0142 and +1 212 555 0142",
                                        "ticket 0012345",
                                        "pi is 3.14159265358979",
                                        "10 20 30 40 50",
                                        "00:1A:2B:3C:4D:5E",
                                        "T0423",
                                        "23.00",
                                        "1,000,000",
                                        "ISBN 978-3-16-148410-0",
                                        "999.999.999.999"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) expect(texts[i], "");
}

static void places(void **state) {
    (void)state;
    found f = {0};
    hn_personal_scan(hn_str_of("see a@b.de!"), note, &f);
    assert_int_equal(f.from, 4);
    assert_int_equal(f.to, 10);
}

static void hostile_bytes(void **state) {
    (void)state;
    static const char piece[] = "4111 1111 +49(0)@.-DE89::1.2.3.4@a.b\0\xff\xfe(((+++999999999999999999999999999999999";
    enum { PIECES = 4000 };
    size_t n = sizeof piece * PIECES;
    char *text = hn_alloc(n);
    found f = {0};
    assert_non_null(text);
    for (size_t i = 0; i < PIECES; i++) memcpy(text + i * sizeof piece, piece, sizeof piece);
    hn_personal_scan((hn_str){text, n}, note, &f);
    for (size_t cut = 0; cut < sizeof piece; cut++) { /* every end: nothing behind it is read (ASan) */
        char *part = hn_alloc(cut ? cut : 1);
        assert_non_null(part);
        memcpy(part, piece, cut);
        f = (found){0};
        hn_personal_scan((hn_str){part, cut}, note, &f);
        (void)hn_text_damage((hn_str){part, cut}, NULL);
        hn_free(part);
    }
    memset(text, '9', n);
    hn_personal_scan((hn_str){text, n}, note, &(found){0});
    memset(text, '@', n);
    hn_personal_scan((hn_str){text, n}, note, &(found){0});
    hn_free(text);
}

static void damage_is(const char *text, unsigned wanted, size_t at) {
    size_t first[HN_DAMAGE_COUNT] = {0};
    unsigned got = hn_text_damage(hn_str_of(text), first);
    if (got != wanted) fail_msg("\"%s\": %u instead of %u", text, got, wanted);
    for (int d = 0; d < HN_DAMAGE_COUNT; d++)
        if (wanted == 1u << d) assert_int_equal(first[d], at);
}

static void damage(void **state) {
    (void)state;
    enum {
        R = 1 << HN_DAMAGE_REPLACEMENT,
        M = 1 << HN_DAMAGE_MOJIBAKE,
        C = 1 << HN_DAMAGE_CONTROL,
        D = 1 << HN_DAMAGE_DECOMPOSED
    };
    damage_is("plain text\twith\r\nlines", 0, 0);
    damage_is("Caf\u00e9 \u00c4pfel na\u00efve \u20ac 5 \u201cquoted\u201d", 0, 0);
    damage_is("ab\uFFFDc", R, 2);
    damage_is("ab\xFFz", R, 2);
    damage_is("Caf\u00c3\u00a9", M, 3);                      /* é */
    damage_is("it\u00e2\u20ac\u2122s", M, 2);                /* ’ through Windows-1252 */
    damage_is("\u00d0\u00bf\u00d1\u20ac\u00d0\u00b8", M, 0); /* при */
    damage_is("\u00abCAF\u00c9\u00bb and \u00abMA\u00c7\u00c3\u00bb", 0, 0);
    damage_is("\u00c2\u00b0", M, 0);
    damage_is("a\x01"
              "b",
              C, 1);
    damage_is("a\xC2\x85"
              "b\xC2\x90",
              C, 4); /* U+0085 is a line end */
    damage_is("re\u0301sume\u0301", D, 0);
    damage_is("\u0915\u094d\u0937", 0, 0); /* Devanagari marks have no joined form */
    assert_true(hn_text_is_composed(hn_str_of("r\u00e9sum\u00e9")));
    assert_false(hn_text_is_composed(hn_str_of("re\u0301sume\u0301 \u00d7 \u20ac")));
}

static void same(const char *a, const char *b, bool wanted) {
    hn_buf x, y;
    hn_buf_init(&x, 0);
    hn_buf_init(&y, 0);
    hn_same_text(hn_str_of(a), &x);
    hn_same_text(hn_str_of(b), &y);
    if ((strcmp(hn_buf_str(&x), hn_buf_str(&y)) == 0) != wanted)
        fail_msg("\"%s\" and \"%s\": \"%s\", \"%s\"", a, b, hn_buf_str(&x), hn_buf_str(&y));
    hn_buf_free(&x);
    hn_buf_free(&y);
}

static void what_says_the_same(void **state) {
    (void)state;
    same("Where's  my CARD?", "where's my card", true);
    same("Hello, world!", " hello\tworld ", true);
    same("Stra\u00dfe", "STRASSE", true);
    same("\uff28\uff45\uff4c\uff4c\uff4f", "hello", true); /* full width */
    same("re\u0301sume\u0301", "R\u00c9SUM\u00c9", true);
    same("a\u200bb", "ab", true); /* zero width */
    same("Bonjour !", "bonjour!", true);
    same("c++", "c", false);
    same("c++", "c#", false);
    same("1.5", "15", false);
    same("3-4", "3+4", false);
    same("3 - 4", "3 4", false);
    same("ok \U0001F44D", "ok \U0001F44E", false);
    same("???", "!!!", false);
    same("", " \n", true);
    same("?", "", false);
}

static void folding_without_memory(void **state) {
    (void)state;
    for (size_t n = 1;; n++) {
        hn_buf out;
        hn_buf_init(&out, 0);
        hn_alloc_fail_at(n, true);
        hn_same_text(hn_str_of("Caf\u00e9 au lait"), &out);
        hn_alloc_fail_at(0, false);
        hn_status st = hn_buf_status(&out);
        hn_buf_free(&out);
        if (st == HN_OK) return;
        assert_int_equal(st, HN_ERR_MEMORY);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_personal),       cmocka_unit_test(what_is_not), cmocka_unit_test(places),
        cmocka_unit_test(hostile_bytes),          cmocka_unit_test(damage),      cmocka_unit_test(what_says_the_same),
        cmocka_unit_test(folding_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
