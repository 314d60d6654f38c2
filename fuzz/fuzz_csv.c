/* Any bytes as a CSV file: it is read or refused; rows that were read, written again and read again are the same. */
#include "base/alloc.h"
#include "format/csv.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whether `again` gives exactly this row next. */
static void expect_row(hn_csv *again, const hn_csv_row *row) {
    hn_csv_row other;
    if (hn_csv_next(again, &other, NULL) != HN_OK || other.n != row->n) abort();
    for (size_t i = 0; i < row->n; i++)
        if (strcmp(row->cells[i], other.cells[i]) != 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hn_csv *csv, *again;
    hn_csv_row row;
    hn_error err = {0};
    hn_buf written;
    hn_status st;
    if (hn_csv_open("fuzz.csv", (const char *)data, size, 0, &csv, &err) != HN_OK) return 0;
    char delimiter = hn_csv_delimiter(csv);
    hn_buf_init(&written, 0);
    while ((st = hn_csv_next(csv, &row, &err)) == HN_OK && row.n)
        hn_csv_append_row(&written, row.cells, row.n, delimiter);
    hn_csv_close(csv);
    if (st == HN_OK && hn_csv_open("fuzz.csv", (const char *)data, size, 0, &csv, &err) == HN_OK) {
        if (hn_csv_open("again.csv", written.data, written.len, delimiter, &again, &err) != HN_OK) abort();
        while (hn_csv_next(csv, &row, &err) == HN_OK && row.n) expect_row(again, &row);
        hn_csv_close(again);
        hn_csv_close(csv);
    }
    hn_buf_free(&written);
    return 0;
}
