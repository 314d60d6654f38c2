/* Cases that are left out; see excluded.h. */
#include "project/excluded.h"

#include "base/file.h"
#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_id(const void *a, const void *b) {
    const hn_case *const *x = a, *const *y = b;
    return strcmp((*x)->id, (*y)->id);
}

/* The content id of what is left: the whole's, and the ids that are gone in their order by name. */
static hn_status rehash(hn_dataset *d, const hn_case **gone, size_t n, hn_error *err) {
    hn_sha256 *h = hn_sha256_create();
    if (!h) return hn_fail_memory(err, 64);
    qsort(gone, n, sizeof *gone, by_id);
    hn_sha256_field_str(h, "left out");
    hn_sha256_field_str(h, d->hash);
    for (size_t i = 0; i < n; i++) hn_sha256_field_str(h, gone[i]->id);
    hn_sha256_finish(h, d->hash);
    return HN_OK;
}

hn_status hn_dataset_leave_out(hn_dataset *d, const unsigned char *left_out, hn_error *err) {
    size_t n_dev = 0, n_gone = 0, kept = 0;
    const hn_case **gone = hn_calloc(d->n_cases + 1, sizeof *gone);
    if (!gone) return hn_fail_memory(err, d->n_cases * sizeof *gone);
    for (size_t i = 0; i < d->n_cases; i++) {
        if (left_out[i]) gone[n_gone++] = &d->cases[i];
        n_dev += !left_out[i] && d->cases[i].split == HN_SPLIT_DEV;
    }
    hn_status st = HN_OK;
    if (n_gone && n_dev == 0)
        st = hn_fail(err, HN_ERR_INPUT, HN_EXCLUDED_FILE, "take rows out of it, or delete it to have all cases again",
                     "no case of dev is left when its %zu cases are left out", n_gone);
    if (st == HN_OK && n_gone) st = rehash(d, gone, n_gone, err);
    hn_free(gone);
    if (st != HN_OK) return st;
    for (size_t i = 0; i < d->n_cases; i++) {
        if (left_out[i])
            json_decref(d->cases[i].inputs);
        else
            d->cases[kept++] = d->cases[i];
    }
    d->n_cases = kept;
    return HN_OK;
}

static hn_status mark(const hn_data_table *t, const hn_dataset *d, unsigned char *left_out, hn_error *err) {
    const hn_case **sorted = hn_calloc(d->n_cases + 1, sizeof *sorted);
    if (!sorted) return hn_fail_memory(err, d->n_cases * sizeof *sorted);
    for (size_t i = 0; i < d->n_cases; i++) sorted[i] = &d->cases[i];
    qsort(sorted, d->n_cases, sizeof *sorted, by_id);
    int column = hn_data_table_column(t, "id");
    hn_status st = HN_OK;
    for (size_t r = 0; r < t->n_rows && st == HN_OK; r++) {
        const hn_case wanted = {.id = t->rows[r].cells[column] ? t->rows[r].cells[column] : ""}, *key = &wanted;
        const hn_case **found = bsearch(&key, sorted, d->n_cases, sizeof *sorted, by_id);
        char where[384];
        snprintf(where, sizeof where, "%.300s:%d", t->name, t->rows[r].line);
        if (found)
            left_out[*found - d->cases] = 1;
        else
            st = hn_fail(err, HN_ERR_NOT_FOUND, where,
                         "take the row out, or have the list made anew: `hone scope --fix`",
                         "no case has the id `%.100s`", wanted.id);
    }
    hn_free(sorted);
    return st;
}

hn_status hn_excluded_apply(const char *root, hn_dataset *dataset, size_t *n, hn_error *err) {
    char path[HN_PATH_MAX];
    hn_data_table *t;
    *n = 0;
    HN_TRY(hn_path_join(path, root, HN_EXCLUDED_FILE, err));
    if (!hn_file_exists(path)) return HN_OK;
    HN_TRY(hn_data_table_load(path, HN_EXCLUDED_FILE, &t, err));
    unsigned char *left_out = hn_calloc(dataset->n_cases + 1, 1);
    hn_status st = left_out ? HN_OK : hn_fail_memory(err, dataset->n_cases);
    if (st == HN_OK && hn_data_table_column(t, "id") < 0)
        st = hn_fail(err, HN_ERR_INPUT, HN_EXCLUDED_FILE, "its first line names the columns: id,reason",
                     "the file has no column `id`");
    size_t before = dataset->n_cases;
    if (st == HN_OK) st = mark(t, dataset, left_out, err);
    if (st == HN_OK) st = hn_dataset_leave_out(dataset, left_out, err);
    *n = before - dataset->n_cases;
    hn_free(left_out);
    hn_data_table_free(t);
    return st;
}
