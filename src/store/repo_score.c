/* Scores of answers; see score.h. */
#include "store/score.h"

#include "store/store_internal.h"

#include <string.h>

typedef struct score_rows {
    int64_t run_id;
    const hn_score *rows;
    size_t n;
} score_rows;

static hn_status add_rows(hn_db *db, void *arg, hn_error *err) {
    const score_rows *all = arg;
    hn_stmt *q;
    HN_TRY(hn_db_prepare(db,
                         "INSERT INTO score (run_id, position, grader, value, details) VALUES (?,?,?,?,?) "
                         "ON CONFLICT (run_id, grader, position) DO NOTHING",
                         &q, err));
    hn_status st = HN_OK;
    for (size_t i = 0; i < all->n && st == HN_OK; i++) {
        hn_bind_i64(q, 1, all->run_id);
        hn_bind_i64(q, 2, all->rows[i].position);
        hn_bind_text(q, 3, all->rows[i].grader);
        hn_bind_f64(q, 4, all->rows[i].value);
        hn_bind_text(q, 5, all->rows[i].details_json);
        st = hn_stmt_run(q, err);
    }
    hn_stmt_free(q);
    return st;
}

hn_status hn_score_add(hn_store *store, int64_t run_id, const hn_score *rows, size_t n, hn_error *err) {
    if (n == 0) return HN_OK;
    score_rows all = {run_id, rows, n};
    return hn_db_transaction(store->db, add_rows, &all, err);
}

static hn_status read_rows(hn_stmt *q, hn_score_list *list, hn_error *err) {
    hn_status st;
    bool row;
    size_t capacity = 0;
    const char *last = NULL;
    while ((st = hn_stmt_step(q, &row, err)) == HN_OK && row) {
        if (!hn_grow((void **)&list->rows, &capacity, list->n + 1, sizeof *list->rows))
            return hn_fail_memory(err, (list->n + 1) * sizeof *list->rows);
        hn_score *s = &list->rows[list->n];
        const char *name = hn_column_text(q, 0);
        *s = (hn_score){.position = hn_column_i64(q, 1), .value = hn_column_f64(q, 2)};
        if (last && name && strcmp(last, name) == 0)
            s->grader = last; /* one copy of a name for its many rows */
        else
            HN_TRY(hn_column_copy_const(q, 0, list->arena, &s->grader, err));
        last = s->grader;
        HN_TRY(hn_column_copy_const(q, 3, list->arena, &s->details_json, err));
        list->n++;
    }
    return st;
}

hn_status hn_score_load(hn_store *store, int64_t run_id, const char *grader, hn_score_list *list, hn_error *err) {
    hn_stmt *q = NULL;
    *list = (hn_score_list){.arena = hn_arena_create(0)};
    hn_status st = list->arena ? HN_OK : hn_fail_memory(err, 0);
    if (st == HN_OK)
        st =
            hn_db_prepare(store->db,
                          grader ? "SELECT grader, position, value, details FROM score WHERE run_id = ? AND grader = ? "
                                   "ORDER BY position"
                                 : "SELECT grader, position, value, details FROM score WHERE run_id = ? "
                                   "ORDER BY grader, position",
                          &q, err);
    if (st == HN_OK) {
        hn_bind_i64(q, 1, run_id);
        if (grader) hn_bind_text(q, 2, grader);
        st = read_rows(q, list, err);
    }
    hn_stmt_free(q);
    if (st != HN_OK) hn_score_list_free(list);
    return st;
}

void hn_score_list_free(hn_score_list *list) {
    hn_free(list->rows);
    hn_arena_free(list->arena);
    *list = (hn_score_list){0};
}
