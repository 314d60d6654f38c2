/* format/csv: RFC 4180's rules and examples, what real files bring, and what is refused where. */
#include "support.h"

#include "base/alloc.h"
#include "format/csv.h"

#include <stdio.h>
#include <string.h>

/* All rows as "a|b;c|d", lines left out. */
static hn_status read(const char *bytes, size_t n, char delimiter, char *out, size_t size, hn_error *err) {
    hn_csv *csv;
    hn_csv_row row;
    *out = 0;
    HN_TRY(hn_csv_open("t.csv", bytes, n, delimiter, &csv, err));
    hn_status st;
    size_t used = 0;
    while ((st = hn_csv_next(csv, &row, err)) == HN_OK && row.n) {
        for (size_t i = 0; i < row.n && used < size; i++)
            used += (size_t)snprintf(out + used, size - used, "%s%s", i ? "|" : used ? ";" : "", row.cells[i]);
    }
    hn_csv_close(csv);
    return st;
}

static void gives(const char *text, const char *expected) {
    char out[256];
    hn_error err = {0};
    hn_test_ok(read(text, strlen(text), 0, out, sizeof out, &err), &err);
    assert_string_equal(out, expected);
}

static void refuses(const char *text, size_t n, const char *where, const char *message, const char *hint) {
    char out[256];
    hn_error err = {0};
    assert_int_equal(read(text, n, 0, out, sizeof out, &err), HN_ERR_INPUT);
    assert_string_equal(err.where, where);
    if (!strstr(err.message, message)) fail_msg("\"%s\" lacks \"%s\"", err.message, message);
    if (!strstr(err.hint, hint)) fail_msg("\"%s\" lacks \"%s\"", err.hint, hint);
}

#define REFUSE(text, where, message, hint) refuses(text, sizeof(text) - 1, where, message, hint)

static void rfc_4180(void **state) {
    (void)state;
    gives("aaa,bbb,ccc\r\nzzz,yyy,xxx\r\n", "aaa|bbb|ccc;zzz|yyy|xxx");
    gives("aaa,bbb,ccc\r\nzzz,yyy,xxx", "aaa|bbb|ccc;zzz|yyy|xxx");
    gives("\"aaa\",\"bbb\",\"ccc\"\r\nzzz,yyy,xxx", "aaa|bbb|ccc;zzz|yyy|xxx");
    gives("\"aaa\",\"b\r\nbb\",\"ccc\"\r\nzzz,yyy,xxx", "aaa|b\r\nbb|ccc;zzz|yyy|xxx");
    gives("\"aaa\",\"b\"\"bb\",\"ccc\"", "aaa|b\"bb|ccc");
    gives(" a , b\n1,2\n", " a | b;1|2"); /* spaces are part of a cell */
}

static void real_files(void **state) {
    (void)state;
    gives("", "");
    gives("\n\r\n\n", "");
    gives("\xEF\xBB\xBF"
          "a,b\n1,2\n\n\n3,4\n",
          "a|b;1|2;3|4");
    gives("a;b,c;d\n1;2;3\n", "a|b,c|d;1|2|3");
    gives("a\tb\n1,5\t2\n", "a|b;1,5|2");
    gives("\"a;b;c\",d\n1,2\n", "a;b;c|d;1|2"); /* delimiters inside quotes do not count */
    gives("a,b\n,\n\"\",\n", "a|b;|;|");
    gives("text\n\"\"\nx\n", "text;;x");
    gives("a,b\n1,\"x\"\n", "a|b;1|x");
}

static void refused(void **state) {
    (void)state;
    REFUSE("a,b\n1,2\n3,\"four\nx,y\nz,w\n", "t.csv:3:3", "never closed", "close the quote");
    REFUSE("a,b\n1,\"x\"y\n", "t.csv:2:6", "text follows the closing quote of a cell that was opened in line 2",
           "twice");
    REFUSE("a,b\n1,\"x\n\"y\n", "t.csv:3:2", "opened in line 2", "twice");
    REFUSE("a,b\n1,5\" disk\n", "t.csv:2:4", "a quote stands inside a cell", "twice");
    REFUSE("a,b\n1,2\n\n3\n", "t.csv:4:1", "the row has 1 cells, the header has 2", "comma");
    REFUSE("a,b\n1,2,3\n", "t.csv:2:1", "the row has 3 cells, the header has 2", "quotes");
    REFUSE("a,b\n1,\"2\n2\"\n3\n", "t.csv:4:1", "the row has 1 cells", "quotes");
    REFUSE("a,b\nx\ry,2\n", "t.csv:2:2", "carriage return", "LF");
    REFUSE("a,b\n\xC3\xA9,\xE9\n", "t.csv:2:3", "0xE9", "LATIN1");
    REFUSE("a,b\nx\0y,2\n", "t.csv:2:2", "NUL", "NUL");
    REFUSE("\xFF\xFE"
           "a\0,\0",
           "t.csv:1:1", "UTF-16", "UTF-8");
}

static void limits(void **state) {
    (void)state;
    size_t n = HN_CSV_MAX_ROW_BYTES + 100;
    char *text = hn_alloc(n), out[8];
    hn_error err = {0};
    memset(text, 'x', n);
    memcpy(text, "a\n", 2);
    assert_int_equal(read(text, n, ',', out, sizeof out, &err), HN_ERR_LIMIT);
    text[2] = '"';
    text[n - 1] = '"';
    assert_int_equal(read(text, n, ',', out, sizeof out, &err), HN_ERR_LIMIT);
    assert_string_equal(err.where, "t.csv:2:1");
    memset(text, ',', HN_CSV_MAX_COLUMNS + 1);
    assert_int_equal(read(text, HN_CSV_MAX_COLUMNS + 1, ',', out, sizeof out, &err), HN_ERR_LIMIT);
    for (size_t i = 0; i < HN_CSV_MAX_ROWS + 2; i++) text[2 * i] = 'x', text[2 * i + 1] = '\n';
    assert_int_equal(read(text, 2 * (HN_CSV_MAX_ROWS + 2), ',', out, sizeof out, &err), HN_ERR_LIMIT);
    assert_string_equal(err.where, "t.csv:1000002:1");
    assert_int_equal(read(text, 2 * (HN_CSV_MAX_ROWS + 1), ',', out, sizeof out, &err), HN_OK);
    hn_free(text);
}

static void huge_cells_are_whole(void **state) {
    (void)state;
    size_t n = 8 << 20;
    char *text = hn_alloc(n + 10);
    memset(text, 'x', n);
    memcpy(text, "a\n\"", 3);
    for (size_t i = 1000; i + 1000 < n; i += 1000) text[i] = '\n';
    text[n] = '"';
    hn_csv *csv;
    hn_csv_row row;
    hn_error err = {0};
    hn_test_ok(hn_csv_open("t.csv", text, n + 1, 0, &csv, &err), &err);
    hn_test_ok(hn_csv_next(csv, &row, &err), &err);
    hn_test_ok(hn_csv_next(csv, &row, &err), &err);
    assert_int_equal(strlen(row.cells[0]), n - 3);
    assert_int_equal(row.line, 2);
    hn_csv_close(csv);
    hn_free(text);
}

static void written_rows_read_back(void **state) {
    (void)state;
    const char *cells[] = {"plain",  "a,b", "say \"hi\"", "two\nlines", "cr\rhere",
                           " edge ", "",    "\xC3\xA9",   "semi;colon", "tab\there"};
    const char delimiters[] = {',', ';', '\t'};
    for (size_t d = 0; d < 3; d++) {
        hn_buf b;
        hn_buf_init(&b, 0);
        for (int k = 0; k < 2; k++) hn_csv_append_row(&b, cells, 10, delimiters[d]);
        assert_int_equal(hn_buf_status(&b), HN_OK);
        hn_csv *csv;
        hn_csv_row row;
        hn_error err = {0};
        hn_test_ok(hn_csv_open("t.csv", b.data, b.len, delimiters[d], &csv, &err), &err);
        for (int k = 0; k < 2; k++) {
            hn_test_ok(hn_csv_next(csv, &row, &err), &err);
            assert_int_equal(row.n, 10);
            for (size_t i = 0; i < 10; i++) assert_string_equal(row.cells[i], cells[i]);
        }
        hn_csv_close(csv);
        hn_buf_free(&b);
    }
}

static void out_of_memory_is_a_status(void **state) {
    (void)state;
    for (size_t n = 1;; n++) {
        char out[64];
        hn_error err = {0};
        hn_alloc_fail_at(n, true);
        hn_status st = read("a,b\n\"x\",y\n", 10, 0, out, sizeof out, &err);
        hn_alloc_fail_at(0, false);
        if (st == HN_OK) {
            assert_true(n > 3);
            return;
        }
        assert_int_equal(st, HN_ERR_MEMORY);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_4180),
        cmocka_unit_test(real_files),
        cmocka_unit_test(refused),
        cmocka_unit_test(limits),
        cmocka_unit_test(huge_cells_are_whole),
        cmocka_unit_test(written_rows_read_back),
        cmocka_unit_test(out_of_memory_is_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
