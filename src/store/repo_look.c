/* The ledger's entries; see store.h. */
#include "store/store_internal.h"

static hn_status read_look(hn_stmt *q, hn_look_list *list, size_t *capacity, hn_error *err) {
    if (!hn_grow((void **)&list->rows, capacity, list->n + 1, sizeof *list->rows)) return hn_fail_memory(err, 0);
    hn_look *look = &list->rows[list->n];
    *look = (hn_look){.run_id = hn_column_i64(q, 0), .at_ms = hn_column_i64(q, 1)};
    HN_TRY(hn_column_copy_const(q, 2, list->arena, &look->dataset_hash, err));
    list->n++;
    return HN_OK;
}

hn_status hn_look_list_load(hn_store *store, const char *dataset_hash, hn_look_list *list, hn_error *err) {
    hn_stmt *q;
    size_t capacity = 0;
    *list = (hn_look_list){.arena = hn_arena_create(0)};
    if (!list->arena) return hn_fail_memory(err, 0);
    hn_status st =
        hn_db_prepare(store->db,
                      "SELECT run_id, at_ms, dataset_hash FROM test_look WHERE ?1 IS NULL OR dataset_hash = ?1 "
                      "ORDER BY id",
                      &q, err);
    if (st == HN_OK) {
        bool row;
        hn_bind_text(q, 1, dataset_hash);
        while ((st = hn_stmt_step(q, &row, err)) == HN_OK && row)
            if ((st = read_look(q, list, &capacity, err)) != HN_OK) break;
        hn_stmt_free(q);
    }
    if (st != HN_OK) hn_look_list_free(list);
    return st;
}

void hn_look_list_free(hn_look_list *list) {
    hn_free(list->rows);
    hn_arena_free(list->arena);
    *list = (hn_look_list){0};
}
