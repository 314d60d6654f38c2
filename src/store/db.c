/* SQLite behind db.h. WAL lets readers and one writer work at once; synchronous=FULL makes each commit reach the disk before it is
 * reported. Surprise: a database whose folder cannot be written is opened once more for reading only, by a ladder (open_reading), since
 * WAL wants a shared-memory file beside the database even for readers. */
#include "store/db.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"

#include <errno.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { BUSY_WAIT_MS = 60000 };

struct hn_db {
    sqlite3 *handle;
    char *path;
    bool read_only;
};

struct hn_stmt {
    hn_db *db;
    sqlite3_stmt *handle;
    int bind_error; /* the first failed binding, returned by the next step */
};

/* An SQLite failure as an error of hone. `code` is an extended result code. */
static hn_status fail_code(const hn_db *db, int code, const char *doing, hn_error *err) {
    const char *path = db->path, *text = sqlite3_errstr(code);
    if (db->handle && (sqlite3_errcode(db->handle) & 0xff) == (code & 0xff)) text = sqlite3_errmsg(db->handle);
    int os_error = db->handle ? sqlite3_system_errno(db->handle) : 0;
    switch (code & 0xff) {
    case SQLITE_NOMEM: return hn_fail_memory(err, 0);
    case SQLITE_FULL:
        return hn_fail(err, HN_ERR_DISK_FULL, path,
                       "free some space and run the same command again; nothing saved is lost", "%s: the disk is full",
                       doing);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return hn_fail(err, HN_ERR_BUSY, path, "wait for the other hone to finish, then run the same command again",
                       "%s: another process has held the store for too long", doing);
    case SQLITE_READONLY:
        return hn_fail(err, HN_ERR_IO, path, "make the folder and the file writable", "%s: the store can only be read",
                       doing);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return hn_fail(err, HN_ERR_INPUT, path,
                       "restore the file from a copy, or move it away: hone then starts an empty store",
                       "%s: the store is damaged (%s)", doing, text);
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
        if (os_error == ENOSPC || os_error == EDQUOT || os_error == EROFS || os_error == EACCES)
            return hn_fail_errno(err, os_error, path, doing);
        return hn_fail(err, HN_ERR_IO, path, "check the disk and the folder's permissions", "%s: %s%s%s", doing, text,
                       os_error ? ": " : "", os_error ? strerror(os_error) : "");
    default: return hn_fail(err, HN_ERR_INTERNAL, path, NULL, "%s: %s", doing, text);
    }
}

/* Several processes that create one store at once meet here: the first change to WAL wants the file alone and, where two ask, SQLite says
 * "busy" at once instead of waiting, as each holds what the other wants. So the waiting is done here. */
static int set_wal(sqlite3 *handle) {
    enum { PAUSE_MS = 5 };
    int rc = SQLITE_BUSY;
    for (int waited = 0; waited < BUSY_WAIT_MS && (rc & 0xff) == SQLITE_BUSY; waited += PAUSE_MS) {
        rc = sqlite3_exec(handle, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL", NULL, NULL, NULL);
        if ((rc & 0xff) == SQLITE_BUSY) sqlite3_sleep(PAUSE_MS);
    }
    return rc;
}

static int configure(sqlite3 *handle, bool writable) {
    sqlite3_extended_result_codes(handle, 1);
    sqlite3_busy_timeout(handle, BUSY_WAIT_MS);
    int rc = SQLITE_OK;
    if (writable) rc = set_wal(handle);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(handle, "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF", NULL, NULL, NULL);
    /* The first real read: finds damage, a missing shared-memory file, and what a killed process left to recover. */
    if (rc == SQLITE_OK) rc = sqlite3_exec(handle, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
    return rc;
}

static int open_with(hn_db *db, const char *name, int flags, bool writable) {
    int rc = sqlite3_open_v2(name, &db->handle, flags | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc == SQLITE_OK) rc = configure(db->handle, writable);
    return rc;
}

static void close_handle(hn_db *db) {
    sqlite3_close_v2(db->handle);
    db->handle = NULL;
}

/* "file:" URI of a path, with what has a meaning there escaped. */
static void append_uri(hn_buf *b, const char *path) {
    hn_buf_append_str(b, "file:");
    for (const unsigned char *p = (const unsigned char *)path; *p; p++) {
        if (*p == '%' || *p == '?' || *p == '#')
            hn_buf_appendf(b, "%%%02X", *p);
        else
            hn_buf_append_char(b, (char)*p);
    }
    hn_buf_append_str(b, "?immutable=1");
}

/* Reading where nothing can be written: plainly (works where the -shm file is there), else as a file that cannot change, which is
 * right only when no write-ahead log waits to be merged into it. */
static int open_reading(hn_db *db) {
    int rc = open_with(db, db->path, SQLITE_OPEN_READONLY, false);
    if (rc == SQLITE_OK) return rc;
    hn_buf name;
    hn_buf_init(&name, 0);
    hn_buf_appendf(&name, "%s-wal", db->path);
    struct stat wal;
    bool pending = stat(hn_buf_str(&name), &wal) == 0 && wal.st_size > 0;
    hn_buf_clear(&name);
    append_uri(&name, db->path);
    if (hn_buf_status(&name) != HN_OK)
        rc = SQLITE_NOMEM;
    else if (!pending) {
        close_handle(db);
        rc = open_with(db, hn_buf_str(&name), SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, false);
    }
    hn_buf_free(&name);
    return rc;
}

static bool is_write_problem(int code) {
    int kind = code & 0xff;
    return kind == SQLITE_READONLY || kind == SQLITE_FULL || kind == SQLITE_IOERR || kind == SQLITE_CANTOPEN ||
           kind == SQLITE_PERM;
}

hn_status hn_db_open(const char *path, hn_db **out, hn_error *err) {
    *out = NULL;
    hn_db *db = hn_calloc(1, sizeof *db);
    char *copy = hn_strdup(path);
    if (!db || !copy) {
        hn_free(db);
        hn_free(copy);
        return hn_fail_memory(err, sizeof *db);
    }
    db->path = copy;
    int rc = open_with(db, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, true);
    struct stat info;
    if (rc != SQLITE_OK && is_write_problem(rc) && stat(path, &info) == 0 && info.st_size > 0) {
        hn_error first;
        fail_code(db, rc, "opening the store", &first);
        close_handle(db);
        rc = open_reading(db);
        if (rc != SQLITE_OK && err) *err = first;
        if (rc != SQLITE_OK) {
            hn_db_close(db);
            return first.code;
        }
    }
    if (rc != SQLITE_OK) {
        hn_status st = fail_code(db, rc, "opening the store", err);
        hn_db_close(db);
        return st;
    }
    db->read_only = sqlite3_db_readonly(db->handle, "main") == 1;
    *out = db;
    return HN_OK;
}

void hn_db_close(hn_db *db) {
    if (!db) return;
    close_handle(db);
    hn_free(db->path);
    hn_free(db);
}

bool hn_db_is_read_only(const hn_db *db) { return db->read_only; }
const char *hn_db_path(const hn_db *db) { return db->path; }
int64_t hn_db_last_id(const hn_db *db) { return sqlite3_last_insert_rowid(db->handle); }

hn_status hn_db_exec(hn_db *db, const char *sql, hn_error *err) {
    int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? HN_OK : fail_code(db, rc, "writing to the store", err);
}

hn_status hn_db_prepare(hn_db *db, const char *sql, hn_stmt **stmt, hn_error *err) {
    *stmt = NULL;
    hn_stmt *s = hn_calloc(1, sizeof *s);
    if (!s) return hn_fail_memory(err, sizeof *s);
    s->db = db;
    int rc = sqlite3_prepare_v2(db->handle, sql, -1, &s->handle, NULL);
    if (rc != SQLITE_OK) {
        hn_free(s);
        return fail_code(db, rc, "reading the store", err);
    }
    *stmt = s;
    return HN_OK;
}

hn_status hn_db_number(hn_db *db, const char *sql, int64_t absent, int64_t *value, hn_error *err) {
    hn_stmt *s;
    HN_TRY(hn_db_prepare(db, sql, &s, err));
    bool row;
    hn_status st = hn_stmt_step(s, &row, err);
    if (st == HN_OK) *value = row && !hn_column_is_null(s, 0) ? hn_column_i64(s, 0) : absent;
    hn_stmt_free(s);
    return st;
}

hn_status hn_db_transaction(hn_db *db, hn_db_body *body, void *arg, hn_error *err) {
    if (db->read_only) return fail_code(db, SQLITE_READONLY, "writing to the store", err);
    HN_TRY(hn_db_exec(db, "BEGIN IMMEDIATE", err));
    hn_status st = body(db, arg, err);
    if (st == HN_OK) st = hn_db_exec(db, "COMMIT", err);
    /* Some failures (disk full, memory) have rolled back already; after all others it is done here, and cannot fail usefully. */
    if (st != HN_OK && !sqlite3_get_autocommit(db->handle)) sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    return st;
}

static void keep(hn_stmt *s, int rc) {
    if (rc != SQLITE_OK && s->bind_error == SQLITE_OK) s->bind_error = rc;
}

void hn_bind_i64(hn_stmt *s, int index, int64_t value) { keep(s, sqlite3_bind_int64(s->handle, index, value)); }

void hn_bind_f64(hn_stmt *s, int index, double value) {
    keep(s, isnan(value) ? sqlite3_bind_null(s->handle, index) : sqlite3_bind_double(s->handle, index, value));
}

void hn_bind_text(hn_stmt *s, int index, const char *text) {
    keep(s,
         text ? sqlite3_bind_text(s->handle, index, text, -1, SQLITE_TRANSIENT) : sqlite3_bind_null(s->handle, index));
}

void hn_bind_blob(hn_stmt *s, int index, const void *bytes, size_t n) {
    keep(s, bytes ? sqlite3_bind_blob64(s->handle, index, bytes, n, SQLITE_TRANSIENT)
                  : sqlite3_bind_null(s->handle, index));
}

hn_status hn_stmt_step(hn_stmt *s, bool *row, hn_error *err) {
    *row = false;
    if (s->bind_error != SQLITE_OK) return fail_code(s->db, s->bind_error, "writing to the store", err);
    int rc = sqlite3_step(s->handle);
    *row = rc == SQLITE_ROW;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? HN_OK : fail_code(s->db, rc, "using the store", err);
}

hn_status hn_stmt_run(hn_stmt *s, hn_error *err) {
    bool row;
    hn_status st = hn_stmt_step(s, &row, err);
    sqlite3_reset(s->handle);
    return st;
}

void hn_stmt_free(hn_stmt *s) {
    if (!s) return;
    sqlite3_finalize(s->handle);
    hn_free(s);
}

bool hn_column_is_null(hn_stmt *s, int column) { return sqlite3_column_type(s->handle, column) == SQLITE_NULL; }
int64_t hn_column_i64(hn_stmt *s, int column) { return sqlite3_column_int64(s->handle, column); }

double hn_column_f64(hn_stmt *s, int column) {
    return hn_column_is_null(s, column) ? (double)NAN : sqlite3_column_double(s->handle, column);
}

const char *hn_column_text(hn_stmt *s, int column) { return (const char *)sqlite3_column_text(s->handle, column); }

const void *hn_column_blob(hn_stmt *s, int column, size_t *n) {
    const void *bytes = sqlite3_column_blob(s->handle, column);
    *n = bytes ? (size_t)sqlite3_column_bytes(s->handle, column) : 0;
    return bytes;
}
