/* Lists of runs, where a run came from, and the files that it was made from; see store.h. What a list shows stands ready in run_line (kept
 * by the schema's triggers), so no list reads predictions or summaries; only runs that are not done have their answers counted. */
#include "store/store_internal.h"

/* ---- lists ---- */

#define LINE_COLUMNS                                                                                                   \
    "SELECT r.id, r.n_cases, "                                                                                         \
    "CASE l.state WHEN 'done' THEN l.n_done ELSE (SELECT count(*) FROM prediction p WHERE p.run_id = r.id) END, "      \
    "l.started_ms, l.finished_ms, r.content_id, r.kind, l.state, l.reason, r.prompt_name, r.model_name, r.split, "     \
    "l.tags, l.metrics, l.accuracy, l.low, l.high, l.starred, l.n_notes FROM run r JOIN run_line l ON l.run_id = "     \
    "r.id "

#define LINE_FILTER                                                                                                    \
    "WHERE (?1 IS NULL OR instr(r.prompt_name, ?1)) AND (?2 IS NULL OR instr(r.model_name, ?2)) AND "                  \
    "(?3 IS NULL OR instr(l.tags, ?3)) AND (?4 IS NULL OR r.split = ?4) AND (?5 IS NULL OR l.state = ?5) AND "         \
    "(?6 IS NULL OR r.kind = ?6) AND (?7 = 0 OR l.starred) AND (?9 = 0 OR r.id < ?9) "

static hn_status read_line(hn_stmt *q, hn_arena *arena, hn_run_line *line, hn_error *err) {
    *line = (hn_run_line){.id = hn_column_i64(q, 0),
                          .n_cases = hn_column_i64(q, 1),
                          .n_done = hn_column_i64(q, 2),
                          .started_ms = hn_column_i64(q, 3),
                          .finished_ms = hn_column_i64(q, 4),
                          .accuracy = hn_column_f64(q, 14),
                          .low = hn_column_f64(q, 15),
                          .high = hn_column_f64(q, 16),
                          .starred = hn_column_i64(q, 17) != 0,
                          .n_notes = (size_t)hn_column_i64(q, 18)};
    const char **texts[] = {&line->content_id, &line->kind,  &line->state, &line->reason,      &line->prompt_name,
                            &line->model_name, &line->split, &line->tags,  &line->metrics_json};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        HN_TRY(hn_column_copy_const(q, 5 + (int)i, arena, texts[i], err));
    return HN_OK;
}

static hn_status read_lines(hn_stmt *q, hn_run_lines *lines, hn_error *err) {
    size_t capacity = 0;
    hn_status st;
    bool row;
    while ((st = hn_stmt_step(q, &row, err)) == HN_OK && row) {
        if (!hn_grow((void **)&lines->rows, &capacity, lines->n + 1, sizeof *lines->rows))
            return hn_fail_memory(err, (lines->n + 1) * sizeof *lines->rows);
        HN_TRY(read_line(q, lines->arena, &lines->rows[lines->n], err));
        lines->n++;
    }
    return st;
}

hn_status hn_run_lines_load(hn_store *store, const hn_run_filter *filter, hn_run_lines *lines, hn_error *err) {
    static const char newest[] = LINE_COLUMNS LINE_FILTER "ORDER BY r.id DESC LIMIT ?8";
    static const char best[] =
        LINE_COLUMNS LINE_FILTER "ORDER BY l.accuracy IS NULL, l.accuracy DESC, r.id DESC LIMIT ?8";
    hn_stmt *q = NULL;
    *lines = (hn_run_lines){.arena = hn_arena_create(0)};
    hn_status st = lines->arena ? HN_OK : hn_fail_memory(err, 0);
    if (st == HN_OK) st = hn_db_prepare(store->db, filter->by_accuracy ? best : newest, &q, err);
    if (st == HN_OK) {
        const char *texts[] = {filter->prompt, filter->model, filter->tag, filter->split, filter->state, filter->kind};
        for (int i = 0; i < 6; i++) hn_bind_text(q, i + 1, texts[i]);
        hn_bind_i64(q, 7, filter->starred);
        hn_bind_i64(q, 8, filter->limit ? (int64_t)filter->limit : -1);
        hn_bind_i64(q, 9, filter->before);
        st = read_lines(q, lines, err);
    }
    hn_stmt_free(q);
    if (st != HN_OK) hn_run_lines_free(lines);
    return st;
}

void hn_run_lines_free(hn_run_lines *lines) {
    hn_free(lines->rows);
    hn_arena_free(lines->arena);
    *lines = (hn_run_lines){0};
}

/* ---- links ---- */

static hn_status link_body(hn_db *db, void *arg, hn_error *err) {
    const hn_run_link *link = arg;
    hn_stmt *q;
    HN_TRY(hn_db_prepare(db, "INSERT INTO run_parent (run_id, parent_id, role) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                         &q, err));
    hn_bind_i64(q, 1, link->run_id);
    hn_bind_i64(q, 2, link->parent_id);
    hn_bind_text(q, 3, link->role);
    hn_status st = hn_stmt_run(q, err);
    hn_stmt_free(q);
    return st;
}

hn_status hn_run_link_add(hn_store *store, int64_t run_id, int64_t parent_id, const char *role, hn_error *err) {
    hn_run_link link = {run_id, parent_id, role};
    return hn_db_transaction(store->db, link_body, &link, err);
}

static hn_status read_links(hn_stmt *q, hn_run_links *links, hn_error *err) {
    size_t capacity = 0;
    hn_status st;
    bool row;
    while ((st = hn_stmt_step(q, &row, err)) == HN_OK && row) {
        if (!hn_grow((void **)&links->rows, &capacity, links->n + 1, sizeof *links->rows))
            return hn_fail_memory(err, (links->n + 1) * sizeof *links->rows);
        hn_run_link *link = &links->rows[links->n];
        *link = (hn_run_link){hn_column_i64(q, 0), hn_column_i64(q, 1), NULL};
        HN_TRY(hn_column_copy_const(q, 2, links->arena, &link->role, err));
        links->n++;
    }
    return st;
}

hn_status hn_run_links_load(hn_store *store, int64_t run_id, hn_run_links *links, hn_error *err) {
    hn_stmt *q = NULL;
    *links = (hn_run_links){.arena = hn_arena_create(0)};
    hn_status st = links->arena ? HN_OK : hn_fail_memory(err, 0);
    if (st == HN_OK)
        st = hn_db_prepare(store->db,
                           "SELECT run_id, parent_id, role FROM run_parent WHERE run_id = ?1 OR parent_id = ?1 "
                           "ORDER BY run_id, parent_id, role",
                           &q, err);
    if (st == HN_OK) {
        hn_bind_i64(q, 1, run_id);
        st = read_links(q, links, err);
    }
    hn_stmt_free(q);
    if (st != HN_OK) hn_run_links_free(links);
    return st;
}

void hn_run_links_free(hn_run_links *links) {
    hn_free(links->rows);
    hn_arena_free(links->arena);
    *links = (hn_run_links){0};
}

/* ---- files ---- */

typedef struct file_rows {
    int64_t run_id;
    const hn_run_file *rows;
    size_t n;
} file_rows;

static hn_status file_body(hn_db *db, void *arg, hn_error *err) {
    const file_rows *files = arg;
    hn_stmt *q;
    hn_status st = HN_OK;
    HN_TRY(hn_db_prepare(
        db, "INSERT INTO run_file (run_id, role, path, object) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", &q, err));
    for (size_t i = 0; st == HN_OK && i < files->n; i++) {
        hn_bind_i64(q, 1, files->run_id);
        hn_bind_text(q, 2, files->rows[i].role);
        hn_bind_text(q, 3, files->rows[i].path);
        hn_bind_text(q, 4, files->rows[i].object);
        st = hn_stmt_run(q, err);
    }
    hn_stmt_free(q);
    return st;
}

hn_status hn_run_file_add(hn_store *store, int64_t run_id, const hn_run_file *rows, size_t n, hn_error *err) {
    if (n == 0) return HN_OK;
    file_rows files = {run_id, rows, n};
    return hn_db_transaction(store->db, file_body, &files, err);
}

static hn_status read_files(hn_stmt *q, hn_run_files *files, hn_error *err) {
    size_t capacity = 0;
    hn_status st;
    bool row;
    while ((st = hn_stmt_step(q, &row, err)) == HN_OK && row) {
        if (!hn_grow((void **)&files->rows, &capacity, files->n + 1, sizeof *files->rows))
            return hn_fail_memory(err, (files->n + 1) * sizeof *files->rows);
        hn_run_file *file = &files->rows[files->n];
        *file = (hn_run_file){0};
        HN_TRY(hn_column_copy_const(q, 0, files->arena, &file->role, err));
        HN_TRY(hn_column_copy_const(q, 1, files->arena, &file->path, err));
        HN_TRY(hn_column_copy_const(q, 2, files->arena, &file->object, err));
        files->n++;
    }
    return st;
}

hn_status hn_run_files_load(hn_store *store, int64_t run_id, hn_run_files *files, hn_error *err) {
    hn_stmt *q = NULL;
    *files = (hn_run_files){.arena = hn_arena_create(0)};
    hn_status st = files->arena ? HN_OK : hn_fail_memory(err, 0);
    if (st == HN_OK)
        st =
            hn_db_prepare(store->db, "SELECT role, path, object FROM run_file WHERE run_id = ? ORDER BY role", &q, err);
    if (st == HN_OK) {
        hn_bind_i64(q, 1, run_id);
        st = read_files(q, files, err);
    }
    hn_stmt_free(q);
    if (st != HN_OK) hn_run_files_free(files);
    return st;
}

void hn_run_files_free(hn_run_files *files) {
    hn_free(files->rows);
    hn_arena_free(files->arena);
    *files = (hn_run_files){0};
}
