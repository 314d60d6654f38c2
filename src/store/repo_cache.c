/* Answers by content key; see store.h. */
#include "base/clock.h"
#include "store/store_internal.h"

#include <string.h>

hn_status hn_cache_get(hn_store *store, const char *key, json_t **value, hn_error *err) {
    *value = NULL;
    hn_stmt *q;
    HN_TRY(hn_db_prepare(store->db, "SELECT value FROM answer_cache WHERE key = ?", &q, err));
    hn_bind_text(q, 1, key);
    bool row;
    hn_status st = hn_stmt_step(q, &row, err);
    const char *text = st == HN_OK && row ? hn_column_text(q, 0) : NULL;
    if (st == HN_OK && row && !text) st = hn_fail_memory(err, 0);
    if (text) st = hn_json_parse(text, strlen(text), "answer_cache", 0, value, err);
    hn_stmt_free(q);
    return st;
}

typedef struct cache_rows {
    const char *const *keys;
    json_t *const *values;
    size_t n;
} cache_rows;

static hn_status put_rows(hn_db *db, void *arg, hn_error *err) {
    const cache_rows *rows = arg;
    hn_stmt *q;
    HN_TRY(hn_db_prepare(db, "INSERT OR IGNORE INTO answer_cache (key, value, added_ms) VALUES (?, ?, ?)", &q, err));
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_status st = HN_OK;
    for (size_t i = 0; i < rows->n && st == HN_OK; i++) {
        hn_buf_clear(&text);
        hn_json_write(rows->values[i], NULL, &text);
        st = hn_buf_check(&text, "an answer for the cache", err);
        if (st != HN_OK) break;
        hn_bind_text(q, 1, rows->keys[i]);
        hn_bind_text(q, 2, hn_buf_str(&text));
        hn_bind_i64(q, 3, hn_clock_unix_ms());
        st = hn_stmt_run(q, err);
    }
    hn_buf_free(&text);
    hn_stmt_free(q);
    return st;
}

hn_status hn_cache_put(hn_store *store, const char *const *keys, json_t *const *values, size_t n, hn_error *err) {
    if (n == 0) return HN_OK;
    cache_rows rows = {keys, values, n};
    return hn_db_transaction(store->db, put_rows, &rows, err);
}
