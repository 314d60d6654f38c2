/* Releases and their checks; see release.h. */
#include "base/clock.h"
#include "base/str.h"
#include "store/release.h"
#include "store/store_internal.h"

#include <stdio.h>
#include <string.h>

static hn_status add_event(hn_db *db, int64_t release_id, const char *kind, hn_error *err) {
    hn_stmt *q;
    HN_TRY(hn_db_prepare(db, "INSERT INTO release_event (release_id, at_ms, kind) VALUES (?, ?, ?)", &q, err));
    hn_bind_i64(q, 1, release_id);
    hn_bind_i64(q, 2, hn_clock_unix_ms());
    hn_bind_text(q, 3, kind);
    hn_status st = hn_stmt_run(q, err);
    hn_stmt_free(q);
    return st;
}

static hn_status next_number(hn_db *db, const char *name, int64_t *number, hn_error *err) {
    hn_stmt *q;
    bool row;
    HN_TRY(hn_db_prepare(db, "SELECT coalesce(max(number), 0) + 1 FROM release WHERE name = ?", &q, err));
    hn_bind_text(q, 1, name);
    hn_status st = hn_stmt_step(q, &row, err);
    *number = st == HN_OK && row ? hn_column_i64(q, 0) : 1;
    hn_stmt_free(q);
    return st;
}

static hn_status add_body(hn_db *db, void *arg, hn_error *err) {
    hn_release *r = arg;
    hn_stmt *q;
    HN_TRY(next_number(db, r->name, &r->number, err));
    HN_TRY(hn_db_prepare(
        db,
        "INSERT INTO release (name, number, run_id, at_ms, content_id, manifest, evidence, forced) VALUES "
        "(?, ?, ?, ?, ?, ?, ?, ?)",
        &q, err));
    r->at_ms = hn_clock_unix_ms();
    hn_bind_text(q, 1, r->name);
    hn_bind_i64(q, 2, r->number);
    hn_bind_i64(q, 3, r->run_id);
    hn_bind_i64(q, 4, r->at_ms);
    hn_bind_text(q, 5, r->content_id);
    hn_bind_text(q, 6, r->manifest_json);
    hn_bind_text(q, 7, r->evidence_json);
    hn_bind_text(q, 8, r->forced);
    hn_status st = hn_stmt_run(q, err);
    hn_stmt_free(q);
    r->id = hn_db_last_id(db);
    return st == HN_OK ? add_event(db, r->id, "deploy", err) : st;
}

hn_status hn_release_add(hn_store *store, hn_release *release, hn_error *err) {
    return hn_db_transaction(store->db, add_body, release, err);
}

static hn_status current_body(hn_db *db, void *arg, hn_error *err) {
    return add_event(db, *(const int64_t *)arg, "rollback", err);
}

hn_status hn_release_make_current(hn_store *store, int64_t release_id, hn_error *err) {
    return hn_db_transaction(store->db, current_body, &release_id, err);
}

/* ---- reading ---- */

#define RELEASE_COLUMNS                                                                                                \
    "SELECT r.id, r.number, r.run_id, r.at_ms, r.name, r.content_id, r.manifest, r.evidence, r.forced, "               \
    "r.id = (SELECT e.release_id FROM release_event e JOIN release o ON o.id = e.release_id WHERE o.name = r.name "    \
    "ORDER BY e.id DESC LIMIT 1), c.at_ms, c.passed, c.result FROM release r LEFT JOIN release_check c ON c.id = "     \
    "(SELECT max(id) FROM release_check d WHERE d.release_id = r.id) "

static hn_status read_release(hn_stmt *q, hn_arena *arena, hn_release *r, hn_error *err) {
    *r = (hn_release){.id = hn_column_i64(q, 0),
                      .number = hn_column_i64(q, 1),
                      .run_id = hn_column_i64(q, 2),
                      .at_ms = hn_column_i64(q, 3),
                      .current = hn_column_i64(q, 9) != 0,
                      .checked_ms = hn_column_is_null(q, 10) ? 0 : hn_column_i64(q, 10),
                      .passed = hn_column_i64(q, 11) != 0};
    const char **texts[] = {&r->name, &r->content_id, &r->manifest_json, &r->evidence_json, &r->forced};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        HN_TRY(hn_column_copy_const(q, 4 + (int)i, arena, texts[i], err));
    return hn_column_copy_const(q, 12, arena, &r->check_json, err);
}

static hn_status load(hn_store *store, const char *name, int64_t number, hn_release_list *list, hn_error *err) {
    static const char sql[] = RELEASE_COLUMNS
        "WHERE (?1 IS NULL OR r.name = ?1) AND (?2 = 0 OR r.number = ?2) ORDER BY r.name, r.number DESC";
    hn_stmt *q = NULL;
    size_t capacity = 0;
    bool row;
    *list = (hn_release_list){.arena = hn_arena_create(0)};
    hn_status st = list->arena ? hn_db_prepare(store->db, sql, &q, err) : hn_fail_memory(err, 0);
    if (st == HN_OK) {
        hn_bind_text(q, 1, name);
        hn_bind_i64(q, 2, number);
    }
    while (st == HN_OK && (st = hn_stmt_step(q, &row, err)) == HN_OK && row) {
        if (!hn_grow((void **)&list->rows, &capacity, list->n + 1, sizeof *list->rows))
            st = hn_fail_memory(err, (list->n + 1) * sizeof *list->rows);
        if (st == HN_OK) st = read_release(q, list->arena, &list->rows[list->n], err);
        list->n += st == HN_OK;
    }
    hn_stmt_free(q);
    if (st != HN_OK) hn_release_list_free(list);
    return st;
}

hn_status hn_release_load(hn_store *store, const char *name, hn_release_list *list, hn_error *err) {
    return load(store, name, 0, list, err);
}

static hn_status unknown(hn_store *store, const char *name, hn_error *err) {
    char hint[300] = "`hone deploy RUN --name NAME` makes one";
    hn_release_list all;
    hn_error unused;
    if (hn_release_load(store, NULL, &all, &unused) == HN_OK) {
        size_t n = 0;
        for (size_t i = 0; i < all.n && n < sizeof hint - 64; i++)
            if (all.rows[i].current)
                n += (size_t)snprintf(hint + n, sizeof hint - n, "%s%.40s@%lld", n ? ", " : "there are ",
                                      all.rows[i].name, (long long)all.rows[i].number);
        hn_release_list_free(&all);
    }
    return hn_fail(err, HN_ERR_NOT_FOUND, name, hint, "there is no such release");
}

hn_status hn_release_find(hn_store *store, const char *name, hn_release_list *list, hn_error *err) {
    const char *at = strrchr(name, '@');
    int64_t number = 0;
    char base[128];
    size_t n = at ? (size_t)(at - name) : strlen(name);
    if (n >= sizeof base || (at && (!hn_parse_int64(at + 1, &number) || number < 1))) return unknown(store, name, err);
    snprintf(base, sizeof base, "%.*s", (int)n, name);
    HN_TRY(load(store, base, number, list, err));
    for (size_t i = 0; i < list->n; i++) {
        if (number == 0 && !list->rows[i].current) continue;
        list->rows[0] = list->rows[i];
        list->n = 1;
        return HN_OK;
    }
    hn_release_list_free(list);
    return unknown(store, name, err);
}

void hn_release_list_free(hn_release_list *list) {
    hn_free(list->rows);
    hn_arena_free(list->arena);
    *list = (hn_release_list){0};
}

/* ---- checks ---- */

typedef struct check_job {
    int64_t release_id;
    bool passed;
    const char *result;
} check_job;

static hn_status check_body(hn_db *db, void *arg, hn_error *err) {
    const check_job *job = arg;
    hn_stmt *q;
    HN_TRY(hn_db_prepare(db, "INSERT INTO release_check (release_id, at_ms, passed, result) VALUES (?, ?, ?, ?)", &q,
                         err));
    hn_bind_i64(q, 1, job->release_id);
    hn_bind_i64(q, 2, hn_clock_unix_ms());
    hn_bind_i64(q, 3, job->passed);
    hn_bind_text(q, 4, job->result);
    hn_status st = hn_stmt_run(q, err);
    hn_stmt_free(q);
    return st;
}

hn_status hn_release_check_add(hn_store *store, int64_t release_id, bool passed, const char *result_json,
                               hn_error *err) {
    check_job job = {release_id, passed, result_json};
    return hn_db_transaction(store->db, check_body, &job, err);
}
