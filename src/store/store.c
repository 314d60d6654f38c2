/* Opening and closing the store; see store.h. The folder holds store.db (with -wal and -shm beside it while open) and objects/. */
#include "base/file.h"
#include "store/migrate.h"
#include "store/store_internal.h"

static hn_status open_in(hn_store *store, const char *dir, hn_error *err) {
    char path[HN_PATH_MAX], objects[HN_PATH_MAX];
    HN_TRY(hn_path_join(path, dir, "store.db", err));
    HN_TRY(hn_path_join(objects, dir, "objects", err));
    if (!hn_file_is_dir(dir)) HN_TRY(hn_dir_create(dir, err));
    store->objects = hn_strdup(objects);
    if (!store->objects) return hn_fail_memory(err, sizeof objects);
    HN_TRY(hn_db_open(path, &store->db, err));
    return hn_migrate(store->db, err);
}

hn_status hn_store_open(const char *dir, hn_store **out, hn_error *err) {
    *out = NULL;
    hn_store *store = hn_calloc(1, sizeof *store);
    if (!store) return hn_fail_memory(err, sizeof *store);
    hn_status st = open_in(store, dir, err);
    if (st == HN_OK)
        *out = store;
    else
        hn_store_close(store);
    return st;
}

void hn_store_close(hn_store *store) {
    if (!store) return;
    hn_db_close(store->db);
    hn_free(store->objects);
    hn_free(store);
}

bool hn_store_is_read_only(const hn_store *store) { return hn_db_is_read_only(store->db); }

hn_status hn_column_copy(hn_stmt *stmt, int column, hn_arena *arena, char **text, hn_error *err) {
    *text = NULL;
    if (hn_column_is_null(stmt, column)) return HN_OK;
    const char *found = hn_column_text(stmt, column);
    if (found) *text = hn_arena_strdup(arena, found);
    return *text ? HN_OK : hn_fail_memory(err, 0);
}

hn_status hn_column_copy_const(hn_stmt *stmt, int column, hn_arena *arena, const char **text, hn_error *err) {
    char *copy;
    HN_TRY(hn_column_copy(stmt, column, arena, &copy, err));
    *text = copy;
    return HN_OK;
}
