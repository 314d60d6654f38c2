/* Predictions: a run's answers, one row a case; see store.h. Doubles are kept as little-endian bytes, so that what is read back is
 * bit for bit what was added. */
#include "store/store_internal.h"

#include <math.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "doubles are stored in little-endian order as they lie in memory");

typedef struct prediction_rows {
    int64_t run_id;
    const hn_prediction *rows;
    size_t n;
} prediction_rows;

static void bind_prediction(hn_stmt *q, int64_t run_id, const hn_prediction *p) {
    int i = 0;
    hn_bind_i64(q, ++i, run_id);
    hn_bind_i64(q, ++i, p->position);
    hn_bind_text(q, ++i, p->case_id);
    hn_bind_text(q, ++i, p->target);
    hn_bind_text(q, ++i, p->group);
    hn_bind_text(q, ++i, p->value);
    hn_bind_text(q, ++i, p->text);
    hn_bind_i64(q, ++i, p->correct);
    hn_bind_f64(q, ++i, p->score);
    hn_bind_blob(q, ++i, p->probabilities, p->n_probabilities * sizeof(double));
    hn_bind_blob(q, ++i, p->raw_logprobs, p->n_probabilities * sizeof(double));
    hn_bind_i64(q, ++i, p->prompt_tokens);
    hn_bind_i64(q, ++i, p->completion_tokens);
    hn_bind_f64(q, ++i, p->prefill_ms);
    hn_bind_f64(q, ++i, p->decode_ms);
    hn_bind_text(q, ++i, p->finish);
    hn_bind_text(q, ++i, p->error);
    hn_bind_text(q, ++i, p->cache_key);
    hn_bind_i64(q, ++i, p->from_cache);
    hn_bind_text(q, ++i, p->details_json);
    hn_bind_f64(q, ++i, p->cost); /* NaN becomes NULL */
}

static hn_status add_rows(hn_db *db, void *arg, hn_error *err) {
    const prediction_rows *rows = arg;
    hn_stmt *q;
    /* Not INSERT OR IGNORE: that would also hide a missing case id. */
    HN_TRY(hn_db_prepare(
        db,
        "INSERT INTO prediction (run_id, position, case_id, target, grouping, value, text, correct, score, "
        "probabilities, raw_logprobs, prompt_tokens, completion_tokens, prefill_ms, decode_ms, finish, error, "
        "cache_key, from_cache, details, cost) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) "
        "ON CONFLICT (run_id, position) DO NOTHING",
        &q, err));
    hn_status st = HN_OK;
    for (size_t i = 0; i < rows->n && st == HN_OK; i++) {
        bind_prediction(q, rows->run_id, &rows->rows[i]);
        st = hn_stmt_run(q, err);
    }
    hn_stmt_free(q);
    return st;
}

hn_status hn_prediction_add(hn_store *store, int64_t run_id, const hn_prediction *rows, size_t n, hn_error *err) {
    if (n == 0) return HN_OK;
    prediction_rows all = {run_id, rows, n};
    return hn_db_transaction(store->db, add_rows, &all, err);
}

static hn_status copy_doubles(hn_stmt *q, int column, hn_arena *arena, const double **values, size_t *n,
                              hn_error *err) {
    size_t n_bytes;
    *values = NULL;
    if (hn_column_is_null(q, column)) return HN_OK;
    const void *bytes = hn_column_blob(q, column, &n_bytes);
    if (!bytes || n_bytes % sizeof(double) || n_bytes == 0)
        return hn_fail(err, HN_ERR_INPUT, "prediction", NULL,
                       "a list of probabilities has %zu bytes, not a multiple of 8", n_bytes);
    double *copy = hn_arena_alloc(arena, n_bytes);
    if (!copy) return hn_fail_memory(err, n_bytes);
    memcpy(copy, bytes, n_bytes);
    *values = copy;
    *n = n_bytes / sizeof(double);
    return HN_OK;
}

static hn_status read_prediction(hn_stmt *q, hn_arena *arena, hn_prediction *p, hn_error *err) {
    size_t n_raw = 0;
    p->position = hn_column_i64(q, 0);
    HN_TRY(hn_column_copy_const(q, 1, arena, &p->case_id, err));
    HN_TRY(hn_column_copy_const(q, 2, arena, &p->target, err));
    HN_TRY(hn_column_copy_const(q, 3, arena, &p->group, err));
    HN_TRY(hn_column_copy_const(q, 4, arena, &p->value, err));
    HN_TRY(hn_column_copy_const(q, 5, arena, &p->text, err));
    p->correct = hn_column_i64(q, 6) != 0;
    p->score = hn_column_f64(q, 7);
    HN_TRY(copy_doubles(q, 8, arena, &p->probabilities, &p->n_probabilities, err));
    HN_TRY(copy_doubles(q, 9, arena, &p->raw_logprobs, &n_raw, err));
    if (p->raw_logprobs && p->probabilities && n_raw != p->n_probabilities)
        return hn_fail(err, HN_ERR_INPUT, "prediction", NULL,
                       "position %lld has %zu probabilities and %zu log-probabilities", (long long)p->position,
                       p->n_probabilities, n_raw);
    if (!p->probabilities) p->n_probabilities = n_raw;
    p->prompt_tokens = hn_column_i64(q, 10);
    p->completion_tokens = hn_column_i64(q, 11);
    p->prefill_ms = hn_column_f64(q, 12);
    p->decode_ms = hn_column_f64(q, 13);
    HN_TRY(hn_column_copy_const(q, 14, arena, &p->finish, err));
    HN_TRY(hn_column_copy_const(q, 15, arena, &p->error, err));
    HN_TRY(hn_column_copy_const(q, 16, arena, &p->cache_key, err));
    p->from_cache = hn_column_i64(q, 17) != 0;
    p->cost = hn_column_is_null(q, 19) ? (double)NAN : hn_column_f64(q, 19);
    return hn_column_copy_const(q, 18, arena, &p->details_json, err);
}

static hn_status read_marks(hn_stmt *q, hn_arena *arena, hn_prediction *p, hn_error *err) {
    p->position = hn_column_i64(q, 0);
    HN_TRY(hn_column_copy_const(q, 1, arena, &p->case_id, err));
    HN_TRY(hn_column_copy_const(q, 2, arena, &p->group, err));
    p->correct = hn_column_i64(q, 3) != 0;
    p->score = hn_column_f64(q, 4);
    return HN_OK;
}

typedef hn_status row_reader(hn_stmt *q, hn_arena *arena, hn_prediction *p, hn_error *err);

static hn_status load_rows(hn_store *store, const char *sql, row_reader *read, int64_t run_id, hn_prediction_list *list,
                           hn_error *err) {
    *list = (hn_prediction_list){0};
    hn_stmt *q;
    HN_TRY(hn_db_prepare(store->db, sql, &q, err));
    hn_bind_i64(q, 1, run_id);
    hn_status st = HN_OK;
    size_t capacity = 0;
    bool row = true;
    list->arena = hn_arena_create(0);
    if (!list->arena) st = hn_fail_memory(err, 0);
    while (st == HN_OK && (st = hn_stmt_step(q, &row, err)) == HN_OK && row) {
        if (!hn_grow((void **)&list->rows, &capacity, list->n + 1, sizeof *list->rows)) {
            st = hn_fail_memory(err, capacity * sizeof *list->rows);
            break;
        }
        list->rows[list->n] = (hn_prediction){0};
        st = read(q, list->arena, &list->rows[list->n], err);
        if (st == HN_OK) list->n++;
    }
    hn_stmt_free(q);
    if (st != HN_OK) hn_prediction_list_free(list);
    return st;
}

hn_status hn_prediction_load(hn_store *store, int64_t run_id, hn_prediction_list *list, hn_error *err) {
    return load_rows(store,
                     "SELECT position, case_id, target, grouping, value, text, correct, score, probabilities, "
                     "raw_logprobs, prompt_tokens, completion_tokens, prefill_ms, decode_ms, finish, error, cache_key, "
                     "from_cache, details, cost FROM prediction WHERE run_id = ? ORDER BY position",
                     read_prediction, run_id, list, err);
}

hn_status hn_prediction_load_marks(hn_store *store, int64_t run_id, bool with_cases, hn_prediction_list *list,
                                   hn_error *err) {
    return load_rows(
        store,
        with_cases
            ? "SELECT position, case_id, grouping, correct, score FROM prediction WHERE run_id = ? ORDER BY position"
            : "SELECT position, NULL, grouping, correct, score FROM prediction WHERE run_id = ? ORDER BY position",
        read_marks, run_id, list, err);
}

void hn_prediction_list_free(hn_prediction_list *list) {
    hn_free(list->rows);
    if (list->arena) hn_arena_free(list->arena);
    *list = (hn_prediction_list){0};
}
