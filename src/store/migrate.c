/* Migrations; see migrate.h. The version reached is SQLite's user_version, set in the same transaction as the change itself, so a
 * kill in between leaves either both or neither. */
#include "store/migrate.h"

#include <stdio.h>

typedef struct step {
    const hn_migration *migration;
    bool applied;
} step;

/* Another process may have been first: the version is read again under the write lock. */
static hn_status apply(hn_db *db, void *arg, hn_error *err) {
    step *s = arg;
    int64_t version;
    HN_TRY(hn_db_number(db, "PRAGMA user_version", 0, &version, err));
    if (version != s->migration->number - 1) return HN_OK;
    HN_TRY(hn_db_exec(db, s->migration->sql, err));
    char set[64];
    snprintf(set, sizeof set, "PRAGMA user_version = %d", s->migration->number);
    HN_TRY(hn_db_exec(db, set, err));
    s->applied = true;
    return HN_OK;
}

hn_status hn_migrate_with(hn_db *db, const hn_migration *migrations, int n, hn_error *err) {
    int64_t version;
    HN_TRY(hn_db_number(db, "PRAGMA user_version", 0, &version, err));
    if (version > n || version < 0)
        return hn_fail(err, HN_ERR_UNSUPPORTED, hn_db_path(db), "use the hone that wrote it, or a newer one",
                       "the store has schema version %lld, this program (hone %s) knows versions up to %d",
                       (long long)version, HONE_VERSION, n);
    if (version < n && hn_db_is_read_only(db) && version == 0)
        return hn_fail(err, HN_ERR_IO, hn_db_path(db), "make the folder writable, or free some space",
                       "the store is empty and cannot be written");
    if (version < n && hn_db_is_read_only(db))
        return hn_fail(
            err, HN_ERR_IO, hn_db_path(db), "make the folder writable, or free some space, and run any command once",
            "the store has the older schema version %lld of %d and cannot be written", (long long)version, n);
    for (int i = (int)version; i < n; i++) {
        step s = {&migrations[i], false};
        hn_status st = hn_db_transaction(db, apply, &s, err);
        if (st != HN_OK) {
            hn_error_prefix(err, migrations[i].name);
            return st;
        }
    }
    return HN_OK;
}

hn_status hn_migrate(hn_db *db, hn_error *err) { return hn_migrate_with(db, hn_migrations, hn_n_migrations, err); }
