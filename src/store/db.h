/* The database behind the store, as one small interface: today SQLite, later PostgreSQL with the same functions.
 *
 *     hn_db *db; hn_stmt *q;
 *     HN_TRY(hn_db_open("store.db", &db, &err));
 *     HN_TRY(hn_db_prepare(db, "SELECT name FROM tag WHERE run_id = ?", &q, &err));
 *     hn_bind_i64(q, 1, run_id);
 *     for (bool row; (st = hn_stmt_step(q, &row, &err)) == HN_OK && row;) puts(hn_column_text(q, 0));
 *     hn_stmt_free(q);
 *
 * Binding never fails on the spot: the first failure is kept and returned by the next step. Parameters count from 1, columns
 * from 0. Ownership: bound text is copied; column text is the statement's until its next step. Threading: one connection,
 * one thread. */
#ifndef HN_STORE_DB_H
#define HN_STORE_DB_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct hn_db hn_db;
typedef struct hn_stmt hn_stmt;

/* Opens or creates. Where the folder cannot be written (read-only medium, full disk) an existing database is opened for reading. */
hn_status hn_db_open(const char *path, hn_db **db, hn_error *err) HN_MUST_CHECK;
void hn_db_close(hn_db *db);
bool hn_db_is_read_only(const hn_db *db);
const char *hn_db_path(const hn_db *db);

/* One or several statements without parameters or rows. */
hn_status hn_db_exec(hn_db *db, const char *sql, hn_error *err) HN_MUST_CHECK;
hn_status hn_db_prepare(hn_db *db, const char *sql, hn_stmt **stmt, hn_error *err) HN_MUST_CHECK;
/* Runs `sql`, which gives one whole number; `absent` where it gives no row. */
hn_status hn_db_number(hn_db *db, const char *sql, int64_t absent, int64_t *value, hn_error *err) HN_MUST_CHECK;
int64_t hn_db_last_id(const hn_db *db); /* of the last row inserted */

/* Everything that `body` does is kept, or (where it fails, or the process dies) nothing is. Begins with the write lock, waiting
 * for other processes up to a minute, then HN_ERR_BUSY. When this has returned HN_OK the rows survive kill -9 and loss of
 * power. Transactions do not nest. */
typedef hn_status hn_db_body(hn_db *db, void *arg, hn_error *err);
hn_status hn_db_transaction(hn_db *db, hn_db_body *body, void *arg, hn_error *err) HN_MUST_CHECK;

void hn_bind_i64(hn_stmt *stmt, int index, int64_t value);
void hn_bind_f64(hn_stmt *stmt, int index, double value);                 /* NaN is kept as NULL */
void hn_bind_text(hn_stmt *stmt, int index, const char *text);            /* NULL: null */
void hn_bind_blob(hn_stmt *stmt, int index, const void *bytes, size_t n); /* NULL: null */

/* *row: whether a row is there to read. */
hn_status hn_stmt_step(hn_stmt *stmt, bool *row, hn_error *err) HN_MUST_CHECK;
/* One step of a statement that gives no rows, then ready for the next values. */
hn_status hn_stmt_run(hn_stmt *stmt, hn_error *err) HN_MUST_CHECK;
void hn_stmt_free(hn_stmt *stmt);

bool hn_column_is_null(hn_stmt *stmt, int column);
int64_t hn_column_i64(hn_stmt *stmt, int column);
double hn_column_f64(hn_stmt *stmt, int column);       /* NULL: NaN */
const char *hn_column_text(hn_stmt *stmt, int column); /* NULL: null */
const void *hn_column_blob(hn_stmt *stmt, int column, size_t *n);

#endif
