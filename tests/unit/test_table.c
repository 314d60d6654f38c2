/* Tables: alignment by the terminal's columns, wrapping on a narrow terminal, no memory. */
#include "base/alloc.h"
#include "cli/output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static hn_status print_sample(hn_output *out, hn_error *err) {
    hn_table *t = hn_table_create(out);
    hn_table_column(t, "NAME", HN_ALIGN_LEFT);
    hn_table_column(t, "N", HN_ALIGN_RIGHT);
    hn_table_column(t, "WHAT", HN_ALIGN_WRAP);
    hn_table_row(t);
    hn_table_cell(t, "%s", "a");
    hn_table_cell(t, "%d", 5);
    hn_table_cell(t, "%s", "one two three four five six");
    hn_table_row(t);
    hn_table_cell(t, "%s", "\xE4\xB8\xAD\xE6\x96\x87\tx"); /* two characters of two columns each, and a control */
    hn_table_cell(t, "%d", 123);
    hn_table_row(t);
    hn_table_row_style(t, HN_STYLE_GOOD);
    hn_table_cell(t, "%s", "e\xCC\x81");
    return hn_table_print(t, err);
}

/* What print_sample writes to standard output. */
static void captured(hn_output *out, char *text, size_t size) {
    FILE *file = tmpfile();
    hn_error err = {0};
    assert_non_null(file);
    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    dup2(fileno(file), STDOUT_FILENO);
    hn_status st = print_sample(out, &err);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    assert_int_equal(st, HN_OK);
    rewind(file);
    text[fread(text, 1, size - 1, file)] = 0;
    fclose(file);
}

static void test_in_a_file_nothing_wraps(void **state) {
    hn_output out = {.width = 20};
    char text[1000];
    (void)state;
    captured(&out, text, sizeof text);
    assert_string_equal(text, "NAME      N  WHAT\n"
                              "a         5  one two three four five six\n"
                              "\xE4\xB8\xAD\xE6\x96\x87 x  123\n"
                              "e\xCC\x81\n");
}

static void test_a_narrow_terminal_wraps(void **state) {
    hn_output out = {.width = 27, .stdout_terminal = true, .colour = true};
    char text[1000];
    (void)state;
    captured(&out, text, sizeof text);
    assert_string_equal(text, "NAME      N  WHAT\n"
                              "a         5  one two three\n"
                              "             four five six\n"
                              "\xE4\xB8\xAD\xE6\x96\x87 x  123\n"
                              "\033[32me\xCC\x81\033[0m\n");
}

static void test_without_memory(void **state) {
    hn_output out = {.width = 80, .json = true}; /* nothing is printed */
    (void)state;
    for (size_t n = 1;; n++) {
        hn_error err = {0};
        hn_alloc_fail_at(n, true);
        hn_status st = print_sample(&out, &err);
        hn_alloc_fail_at(0, false);
        if (st == HN_OK) break;
        assert_int_equal(st, HN_ERR_MEMORY);
        assert_true(n < 1000);
    }
}

static void test_too_many_cells(void **state) {
    hn_output out = {.width = 80, .json = true};
    hn_table *t = hn_table_create(&out);
    (void)state;
    hn_table_column(t, "A", HN_ALIGN_LEFT);
    hn_table_cell(t, "%s", "before any row");
    assert_int_equal(hn_table_print(t, NULL), HN_ERR_MEMORY);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_in_a_file_nothing_wraps),
                                       cmocka_unit_test(test_a_narrow_terminal_wraps),
                                       cmocka_unit_test(test_without_memory), cmocka_unit_test(test_too_many_cells)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
