/* Notes and stars: what people say of runs; see store.h. Like all facts here they are only ever added: the newest star row of a run counts. */
#include "base/clock.h"
#include "store/store_internal.h"

#include <string.h>

enum { NOTE_BYTES_MAX = 64 << 10 };

typedef struct star_job {
    int64_t run_id;
    bool starred;
} star_job;

static hn_status star_body(hn_db *db, void *arg, hn_error *err) {
    const star_job *job = arg;
    hn_stmt *q;
    HN_TRY(hn_db_prepare(db, "INSERT INTO star (run_id, at_ms, starred) VALUES (?, ?, ?)", &q, err));
    hn_bind_i64(q, 1, job->run_id);
    hn_bind_i64(q, 2, hn_clock_unix_ms());
    hn_bind_i64(q, 3, job->starred);
    hn_status st = hn_stmt_run(q, err);
    hn_stmt_free(q);
    return st;
}

hn_status hn_run_star(hn_store *store, int64_t run_id, bool starred, hn_error *err) {
    star_job job = {run_id, starred};
    return hn_db_transaction(store->db, star_body, &job, err);
}

static hn_status note_body(hn_db *db, void *arg, hn_error *err) {
    const hn_note *note = arg;
    hn_stmt *q;
    HN_TRY(hn_db_prepare(db, "INSERT INTO note (run_id, at_ms, text) VALUES (nullif(?, 0), ?, ?)", &q, err));
    hn_bind_i64(q, 1, note->run_id);
    hn_bind_i64(q, 2, note->at_ms);
    hn_bind_text(q, 3, note->text);
    hn_status st = hn_stmt_run(q, err);
    hn_stmt_free(q);
    return st;
}

hn_status hn_note_add(hn_store *store, int64_t run_id, const char *text, hn_error *err) {
    size_t n = strlen(text);
    if (text[strspn(text, " \t\r\n")] == 0)
        return hn_fail(err, HN_ERR_USAGE, "note", "write what is worth remembering", "the note is empty");
    if (n > NOTE_BYTES_MAX)
        return hn_fail(err, HN_ERR_LIMIT, "note", "keep the text in a file and name it in the note",
                       "the note has %zu bytes, the limit is %d", n, NOTE_BYTES_MAX);
    hn_note note = {run_id, hn_clock_unix_ms(), text};
    return hn_db_transaction(store->db, note_body, &note, err);
}

static hn_status read_notes(hn_stmt *q, hn_note_list *list, hn_error *err) {
    hn_status st;
    bool row;
    size_t capacity = 0;
    while ((st = hn_stmt_step(q, &row, err)) == HN_OK && row) {
        if (!hn_grow((void **)&list->rows, &capacity, list->n + 1, sizeof *list->rows))
            return hn_fail_memory(err, (list->n + 1) * sizeof *list->rows);
        hn_note *note = &list->rows[list->n];
        *note = (hn_note){.run_id = hn_column_i64(q, 0), .at_ms = hn_column_i64(q, 1)};
        HN_TRY(hn_column_copy_const(q, 2, list->arena, &note->text, err));
        list->n++;
    }
    return st;
}

hn_status hn_note_list_load(hn_store *store, int64_t run_id, hn_note_list *list, hn_error *err) {
    hn_stmt *q = NULL;
    *list = (hn_note_list){.arena = hn_arena_create(0)};
    hn_status st = list->arena ? HN_OK : hn_fail_memory(err, 0);
    if (st == HN_OK)
        st = hn_db_prepare(store->db,
                           "SELECT coalesce(run_id, 0), at_ms, text FROM note "
                           "WHERE ?1 = -1 OR coalesce(run_id, 0) = ?1 ORDER BY id",
                           &q, err);
    if (st == HN_OK) {
        hn_bind_i64(q, 1, run_id);
        st = read_notes(q, list, err);
    }
    hn_stmt_free(q);
    if (st != HN_OK) hn_note_list_free(list);
    return st;
}

void hn_note_list_free(hn_note_list *list) {
    hn_free(list->rows);
    hn_arena_free(list->arena);
    *list = (hn_note_list){0};
}
