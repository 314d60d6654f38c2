/* Schema migrations: the numbered files of src/store/schema, embedded at build time, each applied once in its own transaction.
 *
 *     HN_TRY(hn_migrate(db, &err));                        // a fresh database gets them all, an old one those it lacks
 *
 * A database newer than this program is HN_ERR_UNSUPPORTED. Threading: several processes may do it at once; one of them does. */
#ifndef HN_STORE_MIGRATE_H
#define HN_STORE_MIGRATE_H

#include "store/db.h"

typedef struct hn_migration {
    int number;       /* 1, 2, 3 ... without gaps */
    const char *name; /* "001_runs" */
    const char *sql;
} hn_migration;

extern const hn_migration hn_migrations[]; /* generated at build time from src/store/schema */
extern const int hn_n_migrations;

hn_status hn_migrate(hn_db *db, hn_error *err) HN_MUST_CHECK;
/* The same with another list, for tests. */
hn_status hn_migrate_with(hn_db *db, const hn_migration *migrations, int n, hn_error *err) HN_MUST_CHECK;

#endif
