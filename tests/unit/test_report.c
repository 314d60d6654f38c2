/* Reports of hostile text: nothing of the data becomes markup, a formula or a second cell, and the page's policy names its own script. */
#include "support.h"

#include "base/hash.h"
#include "format/csv.h"
#include "format/markdown.h"
#include "lifecycle/iterate/report_page.h"
#include "lifecycle/iterate/report_run.h"
#include "lifecycle/iterate/report_svg.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char evil[] =
    "</title><script>alert(1)</script><img src=x onerror='a' title=\"b\">|`*_ \n# x \xFF \xE2\x80\xAE";

static void markup_stays_text(void **state) {
    (void)state;
    hn_buf out;
    hn_buf_init(&out, 0);
    hn_html_append(&out, evil);
    assert_null(strpbrk(hn_buf_str(&out), "<>\"'"));
    assert_null(strstr(hn_buf_str(&out), "\xE2\x80\xAE"));
    assert_non_null(strstr(hn_buf_str(&out), "&lt;script&gt;"));
    assert_non_null(strstr(hn_buf_str(&out), "\xEF\xBF\xBD")); /* the invalid byte */
    hn_buf_clear(&out);
    hn_md_append_cell(&out, evil);
    assert_null(strchr(hn_buf_str(&out), '<'));
    assert_null(strchr(hn_buf_str(&out), '\n'));
    assert_non_null(strstr(hn_buf_str(&out), "\\|\\`\\*\\_"));
    hn_buf_clear(&out);
    hn_md_append(&out, "- a\n- b\n=");
    assert_string_equal(hn_buf_str(&out), "\\- a\n\\- b\n\\=");
    hn_buf_clear(&out);
    hn_md_append_code(&out, "yaml", "a\n````\nb");
    assert_string_equal(hn_buf_str(&out), "`````yaml\na\n````\nb\n`````\n");
    hn_buf_clear(&out);
    hn_md_append_line(&out, "one  two\nthree", 7);
    assert_string_equal(hn_buf_str(&out), "one two ...");
    hn_buf_free(&out);
}

static hn_prediction row_of(const char *value, const char *text) {
    return (hn_prediction){.case_id = "c\"1", .target = "=1+1", .value = value, .text = text, .finish = "stop"};
}

/* Reads the table back: one row, and no cell that a spreadsheet would run. */
static void formulas_are_defused(void **state) {
    (void)state;
    const char *values[] = {"=cmd|'/c calc'!A1",
                            "+1 555",
                            "-5",
                            "@SUM(A1)",
                            "\tx",
                            " =1",
                            "\xEF\xBC\x9D"
                            "1",
                            "fine",
                            "-1e3"};
    const char *expected[] = {"'=cmd|'/c calc'!A1",
                              "'+1 555",
                              "-5",
                              "'@SUM(A1)",
                              "'\tx",
                              "' =1",
                              "'\xEF\xBC\x9D"
                              "1",
                              "fine",
                              "-1e3"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        hn_run run = {.id = 3, .spec = {.prompt_name = "-p", .model_name = "m", .split = "dev"}};
        hn_prediction p = row_of(values[i], evil);
        hn_report_run r = {.detail = {.run = &run, .list = {.rows = &p, .n = 1}}};
        hn_buf out;
        hn_error err;
        hn_csv *csv;
        hn_csv_row row;
        hn_buf_init(&out, 0);
        p.text = "a\nb,\"c\"";
        hn_report_csv_header(NULL, 0, &out);
        hn_test_ok(hn_report_csv(&r, NULL, 0, false, &out, &err), &err);
        hn_test_ok(hn_csv_open("x.csv", out.data, out.len, ',', &csv, &err), &err);
        hn_test_ok(hn_csv_next(csv, &row, &err), &err);
        assert_int_equal(row.n, 20);
        hn_test_ok(hn_csv_next(csv, &row, &err), &err);
        assert_string_equal(row.cells[1], "'-p");
        assert_string_equal(row.cells[5], "c\"1");
        assert_string_equal(row.cells[8], "'=1+1");
        assert_string_equal(row.cells[9], expected[i]);
        assert_string_equal(row.cells[13], "a\nb,\"c\"");
        hn_csv_close(csv);
        hn_buf_clear(&out);
        hn_test_ok(hn_report_csv(&r, NULL, 0, true, &out, &err), &err);
        assert_non_null(strstr(hn_buf_str(&out), ",=1+1,"));
        hn_buf_free(&out);
    }
}

static size_t count(const char *text, const char *part) {
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part)) n++;
    return n;
}

static void a_page_holds_hostile_text(void **state) {
    (void)state;
    char prompt[sizeof evil];
    memcpy(prompt, evil, sizeof evil);
    const char *labels[] = {evil, "b"};
    uint64_t counts[] = {1, 2, 0, 0, 3, 0};
    double probabilities[] = {0.9, 0.1};
    hn_run run = {.id = 3,
                  .content_id = "aa",
                  .state = (char[]){"done"},
                  .tags = prompt,
                  .spec = {.prompt_name = evil, .model_name = evil, .split = evil, .parameters_json = evil}};
    hn_prediction rows[] = {row_of(evil, evil), row_of("b", NULL)};
    rows[0].probabilities = probabilities;
    rows[0].n_probabilities = 2;
    rows[0].target = rows[1].target = evil;
    hn_note note = {3, 1, evil};
    hn_report_run r = {.detail = {.run = &run,
                                  .list = {.rows = rows, .n = 2},
                                  .report = {.n = 2, .confusion = {.counts = counts}},
                                  .labels = labels,
                                  .n_labels = 2,
                                  .prompt_text = prompt},
                       .notes = {.rows = &note, .n = 1}};
    r.detail.report.confusion.n_classes = 2;
    hn_run_line line = {.id = 3,
                        .prompt_name = evil,
                        .model_name = evil,
                        .split = evil,
                        .tags = evil,
                        .accuracy = 0.5,
                        .low = 0.1,
                        .high = 0.9};
    hn_run_line twice[] = {line, line};
    hn_run_lines lines = {.rows = twice, .n = 2};
    json_t *history = json_pack("{s:o}", "goal", json_stringn_nocheck(evil, strlen(evil)));
    hn_report_page page = {evil, &r, 1, &lines, history};
    hn_buf out;
    hn_error err;
    hn_buf_init(&out, 0);
    hn_test_ok(hn_report_html(&page, &out, &err), &err);
    const char *text = hn_buf_str(&out);
    assert_int_equal(count(text, "<script"), 1); /* the page's own */
    assert_int_equal(count(text, "<img"), 0);
    assert_int_equal(count(text, "</title>"), 1 + count(text, "<title>") - 1);
    assert_null(strstr(text, "http://"));
    assert_null(strstr(text, "https://"));
    assert_null(strstr(text, "onerror='"));
    hn_buf_clear(&out);
    hn_test_ok(hn_report_markdown(&r, &out, &err), &err);
    const char *fence = strstr(hn_buf_str(&out), "```yaml");
    assert_non_null(fence);
    const char *tag = strstr(hn_buf_str(&out), "<script");
    assert_true(!tag || tag > fence); /* inside the code block alone */
    hn_buf_free(&out);
    json_decref(history);
}

/* The policy lets exactly this script run. */
static void the_policy_names_the_script(void **state) {
    (void)state;
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char hex[HN_SHA256_HEX], base64[48], *at = base64;
    unsigned char bytes[33] = {0};
    assert_int_equal(hn_sha256_bytes(hn_report_page_script, strlen(hn_report_page_script), hex), HN_OK);
    for (size_t i = 0; i < 32; i++) {
        unsigned value;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &value), 1);
        bytes[i] = (unsigned char)value;
    }
    for (size_t i = 0; i < 33; i += 3) {
        unsigned long group = (unsigned long)bytes[i] << 16 | (unsigned long)bytes[i + 1] << 8 | bytes[i + 2];
        for (int k = 3; k >= 0; k--) *at++ = digits[group >> 6 * k & 63];
    }
    base64[43] = '=';
    base64[44] = 0;
    hn_buf out;
    hn_buf_init(&out, 0);
    hn_report_page_begin("x", &out);
    assert_non_null(strstr(hn_buf_str(&out), base64));
    hn_buf_free(&out);
}

int main(void) {
    hn_json_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(markup_stays_text),
        cmocka_unit_test(formulas_are_defused),
        cmocka_unit_test(a_page_holds_hostile_text),
        cmocka_unit_test(the_policy_names_the_script),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
