/* Taking out what nothing refers to; see store.h. An object is referred to where its name stands anywhere in the database (any text column of any
 * table but the answers themselves), so tables that come later are covered, too. What is younger than the given age stays: another process may
 * have put an object whose run is not written yet. Cached answers go in short transactions, so others need not wait. */
#include "base/clock.h"
#include "base/file.h"
#include "base/str.h"
#include "store/store_internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HASH_CHARS = 64, ROWS_AT_ONCE = 2000 };

/* ---- names that are referred to ---- */

typedef struct names {
    char (*rows)[HASH_CHARS + 1]; /* (n) sorted once complete */
    size_t n, capacity;
} names;

static bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

/* Every stretch of exactly 64 hex digits in a text. */
static hn_status add_names(names *all, const char *text, hn_error *err) {
    for (size_t i = 0; text[i];) {
        size_t n = 0;
        while (is_hex(text[i + n])) n++;
        if (n == HASH_CHARS) {
            if (!hn_grow((void **)&all->rows, &all->capacity, all->n + 1, sizeof *all->rows))
                return hn_fail_memory(err, (all->n + 1) * sizeof *all->rows);
            memcpy(all->rows[all->n], text + i, HASH_CHARS);
            all->rows[all->n++][HASH_CHARS] = 0;
        }
        i += n ? n : 1;
    }
    return HN_OK;
}

/* Identifiers come from the schema itself; a quote in one would be doubled by printf's %w, which is not at hand: such are refused. */
static hn_status read_column(hn_db *db, const char *table, const char *column, names *all, hn_error *err) {
    char sql[512];
    hn_stmt *q;
    bool row;
    if (strchr(table, '"') || strchr(column, '"'))
        return hn_fail(err, HN_ERR_INPUT, table, NULL, "a name with a quote");
    snprintf(sql, sizeof sql, "SELECT DISTINCT \"%.200s\" FROM \"%.200s\" WHERE length(\"%.200s\") >= 64", column,
             table, column);
    HN_TRY(hn_db_prepare(db, sql, &q, err));
    hn_status st;
    while ((st = hn_stmt_step(q, &row, err)) == HN_OK && row) {
        const char *text = hn_column_text(q, 0);
        st = text ? add_names(all, text, err) : hn_fail_memory(err, 0);
        if (st != HN_OK) break;
    }
    hn_stmt_free(q);
    return st;
}

static int by_name(const void *a, const void *b) { return strcmp(a, b); }

static hn_status collect_names(hn_db *db, names *all, hn_error *err) {
    hn_stmt *q;
    bool row;
    HN_TRY(hn_db_prepare(
        db,
        "SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table' AND "
        "m.name NOT IN ('prediction', 'answer_cache') AND m.name NOT LIKE 'sqlite_%' AND c.type = 'TEXT'",
        &q, err));
    hn_status st;
    while ((st = hn_stmt_step(q, &row, err)) == HN_OK && row) {
        const char *table = hn_column_text(q, 0), *column = hn_column_text(q, 1);
        st = table && column ? read_column(db, table, column, all, err) : hn_fail_memory(err, 0);
        if (st != HN_OK) break;
    }
    hn_stmt_free(q);
    if (st == HN_OK && all->n) qsort(all->rows, all->n, sizeof *all->rows, by_name);
    return st;
}

/* ---- files ---- */

typedef struct sweep {
    const hn_gc_options *options;
    const names *kept;
    hn_gc_result *result;
    int64_t before_s; /* files changed later than that stay */
} sweep;

static hn_status sweep_file(sweep *s, const char *folder, const char *path, const char *name, hn_error *err) {
    char hash[HASH_CHARS + 1];
    struct stat info;
    if (lstat(path, &info) != 0 || !S_ISREG(info.st_mode) || (int64_t)info.st_mtime >= s->before_s) return HN_OK;
    snprintf(hash, sizeof hash, "%.2s%.62s", folder, name);
    bool object = strlen(name) == 62 && strspn(hash, "0123456789abcdef") == HASH_CHARS;
    bool unfinished = strstr(name, ".part") != NULL;
    if (!object && !unfinished) return HN_OK; /* not ours */
    if (object && s->kept->n && bsearch(hash, s->kept->rows, s->kept->n, sizeof *s->kept->rows, by_name)) return HN_OK;
    if (!s->options->dry_run && unlink(path) != 0 && errno != ENOENT)
        return hn_fail_errno(err, errno, path, "removing");
    *(object ? &s->result->n_objects : &s->result->n_unfinished) += 1;
    s->result->file_bytes += (uint64_t)info.st_size;
    return HN_OK;
}

static hn_status sweep_folder(sweep *s, const char *root, const char *folder, hn_error *err) {
    char dir[HN_PATH_MAX], path[HN_PATH_MAX];
    HN_TRY(hn_path_join(dir, root, folder, err));
    DIR *open_dir = opendir(dir);
    if (!open_dir) return HN_OK;
    hn_status st = HN_OK;
    for (struct dirent *e; st == HN_OK && (e = readdir(open_dir));) {
        if (e->d_name[0] == '.' && !strstr(e->d_name, ".part")) continue;
        st = hn_path_join(path, dir, e->d_name, err);
        if (st == HN_OK) st = sweep_file(s, folder, path, e->d_name, err);
    }
    closedir(open_dir);
    return st;
}

static hn_status sweep_objects(hn_store *store, sweep *s, hn_error *err) {
    for (int i = 0; i < 256; i++) {
        char folder[3];
        snprintf(folder, sizeof folder, "%02x", i);
        HN_TRY(sweep_folder(s, store->objects, folder, err));
    }
    return HN_OK;
}

/* ---- answers ---- */

#define UNUSED_ANSWERS                                                                                                 \
    "FROM answer_cache WHERE added_ms < ?1 AND key NOT IN (SELECT cache_key FROM prediction WHERE cache_key IS NOT "   \
    "NULL)"

static hn_status count_answers(hn_store *store, int64_t before_ms, hn_gc_result *result, hn_error *err) {
    hn_stmt *q;
    bool row;
    HN_TRY(hn_db_prepare(store->db, "SELECT count(*), coalesce(sum(length(key) + length(value)), 0) " UNUSED_ANSWERS,
                         &q, err));
    hn_bind_i64(q, 1, before_ms);
    hn_status st = hn_stmt_step(q, &row, err);
    if (st == HN_OK && row) {
        result->n_answers = (uint64_t)hn_column_i64(q, 0);
        result->answer_bytes = (uint64_t)hn_column_i64(q, 1);
    }
    hn_stmt_free(q);
    return st;
}

typedef struct removal {
    int64_t before_ms, n;
} removal;

static hn_status remove_some(hn_db *db, void *arg, hn_error *err) {
    removal *r = arg;
    hn_stmt *q;
    HN_TRY(
        hn_db_prepare(db, "DELETE FROM answer_cache WHERE key IN (SELECT key " UNUSED_ANSWERS " LIMIT ?2)", &q, err));
    hn_bind_i64(q, 1, r->before_ms);
    hn_bind_i64(q, 2, ROWS_AT_ONCE);
    hn_status st = hn_stmt_run(q, err);
    hn_stmt_free(q);
    if (st == HN_OK) st = hn_db_number(db, "SELECT changes()", 0, &r->n, err);
    return st;
}

hn_status hn_store_gc(hn_store *store, const hn_gc_options *options, hn_gc_result *result, hn_error *err) {
    names kept = {0};
    *result = (hn_gc_result){0};
    int64_t now_ms = hn_clock_unix_ms();
    sweep s = {options, &kept, result, (now_ms - options->min_age_ms) / 1000};
    hn_status st = collect_names(store->db, &kept, err);
    if (st == HN_OK) st = sweep_objects(store, &s, err);
    hn_free(kept.rows);
    HN_TRY(st);
    removal r = {now_ms - options->answers_age_ms, 1};
    HN_TRY(count_answers(store, r.before_ms, result, err));
    while (!options->dry_run && result->n_answers && r.n > 0)
        HN_TRY(hn_db_transaction(store->db, remove_some, &r, err));
    return HN_OK;
}
