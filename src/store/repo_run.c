/* Runs, their tags and the ledger of looks; see store.h. A run row never changes: its state is its last event, its summary a row of its
 * own. Lists of runs and where a run came from: repo_lineage.c. */
#include "base/clock.h"
#include "base/hash.h"
#include "base/str.h"
#include "store/store_internal.h"

#include <stdio.h>
#include <string.h>

/* Columns 0 to 5: of the run; 6 on: its spec, in this order, as read_spec takes them. Answers of a run that is not done are counted; what
 * else changes stands in run_line, which the schema's triggers keep. */
#define RUN_COLUMNS                                                                                                    \
    "SELECT r.id, r.content_id, l.state, l.started_ms, l.finished_ms, "                                                \
    "CASE l.state WHEN 'done' THEN l.n_done ELSE (SELECT count(*) FROM prediction p WHERE p.run_id = r.id) END, "      \
    "r.n_cases, r.kind, r.prompt_name, r.prompt_hash, r.prompt_object, r.scope_object, r.scope_hash, r.dataset_hash, " \
    "r.split, r.case_set_hash, r.model_name, r.model_hash, r.template_hash, r.numeric_path, r.parameters, "            \
    "r.code_version, r.metric, (SELECT summary FROM run_summary s WHERE s.run_id = r.id), l.tags, l.reason, "          \
    "l.starred, l.n_notes FROM run r JOIN run_line l ON l.run_id = r.id "

static hn_status read_spec(hn_stmt *q, hn_run *run, hn_error *err) {
    hn_run_spec *s = &run->spec;
    const char **fields[] = {&s->kind,          &s->prompt_name,     &s->prompt_hash,  &s->prompt_object,
                             &s->scope_object,  &s->scope_hash,      &s->dataset_hash, &s->split,
                             &s->case_set_hash, &s->model_name,      &s->model_hash,   &s->template_hash,
                             &s->numeric_path,  &s->parameters_json, &s->code_version, &s->metric};
    s->n_cases = hn_column_i64(q, 6);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        HN_TRY(hn_column_copy_const(q, 7 + (int)i, run->arena, fields[i], err));
    HN_TRY(hn_column_copy(q, 7, run->arena, &run->kind, err));
    HN_TRY(hn_column_copy(q, 23, run->arena, &run->summary_json, err));
    HN_TRY(hn_column_copy(q, 24, run->arena, &run->tags, err));
    return hn_column_copy(q, 25, run->arena, &run->reason, err);
}

static hn_status read_run(hn_stmt *q, hn_run *run, hn_error *err) {
    const char *id = hn_column_text(q, 1);
    if (!id) return hn_fail_memory(err, 0);
    snprintf(run->content_id, sizeof run->content_id, "%s", id);
    run->id = hn_column_i64(q, 0);
    HN_TRY(hn_column_copy(q, 2, run->arena, &run->state, err));
    run->started_ms = hn_column_i64(q, 3);
    run->finished_ms = hn_column_i64(q, 4);
    run->n_done = hn_column_i64(q, 5);
    run->starred = hn_column_i64(q, 26) == 1;
    run->n_notes = (size_t)hn_column_i64(q, 27);
    HN_TRY(read_spec(q, run, err));
    if (!run->state) run->state = hn_arena_strdup(run->arena, "running");
    if (!run->tags) run->tags = hn_arena_strdup(run->arena, "");
    return run->state && run->tags ? HN_OK : hn_fail_memory(err, 0);
}

static hn_status new_run(hn_stmt *q, hn_run **out, hn_error *err) {
    hn_run *run = hn_calloc(1, sizeof *run);
    if (run) run->arena = hn_arena_create(4096);
    if (!run || !run->arena) {
        hn_free(run);
        return hn_fail_memory(err, sizeof *run);
    }
    hn_status st = read_run(q, run, err);
    if (st == HN_OK)
        *out = run;
    else
        hn_run_free(run);
    return st;
}

void hn_run_free(hn_run *run) {
    if (!run) return;
    hn_arena_free(run->arena);
    hn_free(run);
}

void hn_run_list_free(hn_run **runs, size_t n) {
    for (size_t i = 0; i < n; i++) hn_run_free(runs[i]);
    hn_free(runs);
}

static hn_status load_run(hn_store *store, int64_t id, hn_run **run, hn_error *err) {
    *run = NULL;
    hn_stmt *q;
    bool row;
    HN_TRY(hn_db_prepare(store->db, RUN_COLUMNS "WHERE r.id = ?", &q, err));
    hn_bind_i64(q, 1, id);
    hn_status st = hn_stmt_step(q, &row, err);
    if (st == HN_OK && row) st = new_run(q, run, err);
    hn_stmt_free(q);
    return st;
}

/* ---- starting and ending ---- */

static hn_status content_id(const hn_run_spec *s, char hex[HN_SHA256_HEX], hn_error *err) {
    hn_sha256 *h = hn_sha256_create();
    if (!h) return hn_fail_memory(err, 0);
    const char *fields[] = {s->kind,          s->prompt_name,  s->prompt_hash,     s->scope_hash,
                            s->dataset_hash,  s->split,        s->case_set_hash,   s->model_hash,
                            s->template_hash, s->numeric_path, s->parameters_json, s->code_version,
                            s->metric};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) hn_sha256_field_str(h, fields[i]);
    hn_sha256_field_i64(h, s->n_cases);
    hn_sha256_finish(h, hex);
    return HN_OK;
}

static hn_status add_event(hn_db *db, int64_t run_id, const char *state, const char *reason, hn_error *err) {
    hn_stmt *q;
    HN_TRY(hn_db_prepare(db, "INSERT INTO run_event (run_id, at_ms, state, reason) VALUES (?, ?, ?, ?)", &q, err));
    hn_bind_i64(q, 1, run_id);
    hn_bind_i64(q, 2, hn_clock_unix_ms());
    hn_bind_text(q, 3, state);
    hn_bind_text(q, 4, reason);
    hn_status st = hn_stmt_run(q, err);
    hn_stmt_free(q);
    return st;
}

static hn_status insert_run(hn_db *db, const hn_run_spec *s, const char *id, hn_error *err) {
    hn_stmt *q;
    HN_TRY(hn_db_prepare(
        db,
        "INSERT INTO run (content_id, n_cases, kind, prompt_name, prompt_hash, prompt_object, scope_object, "
        "scope_hash, "
        "dataset_hash, split, case_set_hash, model_name, model_hash, template_hash, numeric_path, parameters, "
        "code_version, metric) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        &q, err));
    const char *fields[] = {s->kind,          s->prompt_name,     s->prompt_hash,  s->prompt_object,
                            s->scope_object,  s->scope_hash,      s->dataset_hash, s->split,
                            s->case_set_hash, s->model_name,      s->model_hash,   s->template_hash,
                            s->numeric_path,  s->parameters_json, s->code_version, s->metric};
    hn_bind_text(q, 1, id);
    hn_bind_i64(q, 2, s->n_cases);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) hn_bind_text(q, 3 + (int)i, fields[i]);
    hn_status st = hn_stmt_run(q, err);
    hn_stmt_free(q);
    return st;
}

typedef struct begin_job {
    const hn_run_spec *spec;
    bool fresh;
    char content_id[HN_SHA256_HEX];
    int64_t id;
    hn_run_start start;
} begin_job;

static hn_status begin_body(hn_db *db, void *arg, hn_error *err) {
    begin_job *job = arg;
    hn_stmt *q;
    bool row;
    HN_TRY(
        hn_db_prepare(db,
                      "SELECT r.id, (SELECT state FROM run_event e WHERE e.run_id = r.id ORDER BY e.id DESC LIMIT 1) "
                      "FROM run r WHERE r.content_id = ? ORDER BY r.id DESC LIMIT 1",
                      &q, err));
    hn_bind_text(q, 1, job->content_id);
    hn_status st = hn_stmt_step(q, &row, err);
    if (st == HN_OK && row) {
        const char *state = hn_column_text(q, 1);
        bool done = state && strcmp(state, "done") == 0;
        job->id = hn_column_i64(q, 0);
        job->start = done ? HN_RUN_DONE : HN_RUN_RESUMED;
        if (done && job->fresh) job->start = HN_RUN_NEW;
    }
    hn_stmt_free(q);
    HN_TRY(st);
    if (job->start == HN_RUN_DONE) return HN_OK;
    if (job->start == HN_RUN_NEW) {
        HN_TRY(insert_run(db, job->spec, job->content_id, err));
        job->id = hn_db_last_id(db);
    }
    return add_event(db, job->id, "running", NULL, err);
}

hn_status hn_run_begin(hn_store *store, const hn_run_spec *spec, bool fresh, hn_run **run, hn_run_start *start,
                       hn_error *err) {
    begin_job job = {.spec = spec, .fresh = fresh, .start = HN_RUN_NEW};
    *run = NULL;
    HN_TRY(content_id(spec, job.content_id, err));
    HN_TRY(hn_db_transaction(store->db, begin_body, &job, err));
    *start = job.start;
    return load_run(store, job.id, run, err);
}

typedef struct end_job {
    int64_t id;
    const char *state, *summary, *reason;
} end_job;

static hn_status add_look(hn_db *db, int64_t run_id, hn_error *err) {
    hn_stmt *q;
    HN_TRY(hn_db_prepare(
        db,
        "INSERT INTO test_look (run_id, dataset_hash, at_ms) SELECT id, coalesce(dataset_hash, ''), ?2 FROM run "
        "WHERE id = ?1 AND split = 'test' AND kind <> 'replay'",
        &q, err));
    hn_bind_i64(q, 1, run_id);
    hn_bind_i64(q, 2, hn_clock_unix_ms());
    hn_status st = hn_stmt_run(q, err);
    hn_stmt_free(q);
    return st;
}

/* What lists show of a summary. */
static hn_status add_metrics(hn_db *db, int64_t run_id, hn_error *err) {
    hn_stmt *q;
    HN_TRY(
        hn_db_prepare(db,
                      "UPDATE run_line SET metrics = json_extract(s.summary, '$.metrics'), "
                      "accuracy = json_extract(s.summary, '$.metrics.accuracy.value'), "
                      "low = json_extract(s.summary, '$.metrics.accuracy.low'), "
                      "high = json_extract(s.summary, '$.metrics.accuracy.high') "
                      "FROM run_summary s WHERE s.run_id = run_line.run_id AND s.run_id = ? AND json_valid(s.summary)",
                      &q, err));
    hn_bind_i64(q, 1, run_id);
    hn_status st = hn_stmt_run(q, err);
    hn_stmt_free(q);
    return st;
}

static hn_status end_body(hn_db *db, void *arg, hn_error *err) {
    const end_job *job = arg;
    HN_TRY(add_event(db, job->id, job->state, job->reason, err));
    if (!job->summary) return HN_OK;
    hn_stmt *q;
    /* Two processes may finish one run at the same moment; both have made the same summary. */
    HN_TRY(
        hn_db_prepare(db, "INSERT INTO run_summary (run_id, summary) VALUES (?, ?) ON CONFLICT DO NOTHING", &q, err));
    hn_bind_i64(q, 1, job->id);
    hn_bind_text(q, 2, job->summary);
    hn_status st = hn_stmt_run(q, err);
    hn_stmt_free(q);
    HN_TRY(st);
    HN_TRY(add_metrics(db, job->id, err));
    return add_look(db, job->id, err);
}

hn_status hn_run_finish(hn_store *store, int64_t run_id, const char *summary_json, hn_error *err) {
    end_job job = {run_id, "done", summary_json ? summary_json : "{}", NULL};
    return hn_db_transaction(store->db, end_body, &job, err);
}

hn_status hn_run_stop(hn_store *store, int64_t run_id, hn_error *err) {
    end_job job = {run_id, "stopped", NULL, NULL};
    return hn_db_transaction(store->db, end_body, &job, err);
}

hn_status hn_run_fail(hn_store *store, int64_t run_id, const char *reason, hn_error *err) {
    end_job job = {run_id, "failed", NULL, reason};
    return hn_db_transaction(store->db, end_body, &job, err);
}

static hn_status look_body(hn_db *db, void *arg, hn_error *err) { return add_look(db, *(const int64_t *)arg, err); }

hn_status hn_test_look_add(hn_store *store, int64_t run_id, hn_error *err) {
    return hn_db_transaction(store->db, look_body, &run_id, err);
}

hn_status hn_test_looks(hn_store *store, const char *dataset_hash, int64_t *n_looks, hn_error *err) {
    hn_stmt *q;
    bool row;
    *n_looks = 0;
    HN_TRY(hn_db_prepare(store->db, "SELECT count(*) FROM test_look WHERE dataset_hash = ?", &q, err));
    hn_bind_text(q, 1, dataset_hash);
    hn_status st = hn_stmt_step(q, &row, err);
    if (st == HN_OK && row) *n_looks = hn_column_i64(q, 0);
    hn_stmt_free(q);
    return st;
}

/* ---- finding ---- */

/* The id that `sql` (one text parameter) gives, or 0. */
static hn_status find_id(hn_store *store, const char *sql, const char *text, int64_t *id, hn_error *err) {
    hn_stmt *q;
    bool row;
    *id = 0;
    HN_TRY(hn_db_prepare(store->db, sql, &q, err));
    hn_bind_text(q, 1, text);
    hn_status st = hn_stmt_step(q, &row, err);
    if (st == HN_OK && row) *id = hn_column_i64(q, 0);
    hn_stmt_free(q);
    return st;
}

static bool is_content_prefix(const char *name) {
    size_t n = strlen(name);
    return n >= 6 && n <= 64 && strspn(name, "0123456789abcdef") == n;
}

static hn_status find_by_content(hn_store *store, const char *name, int64_t *id, hn_error *err) {
    char pattern[72];
    int64_t n_ids;
    snprintf(pattern, sizeof pattern, "%s*", name);
    HN_TRY(find_id(store, "SELECT count(DISTINCT content_id) FROM run WHERE content_id GLOB ?", pattern, &n_ids, err));
    if (n_ids > 1)
        return hn_fail(err, HN_ERR_USAGE, "run", "give more digits", "%lld runs have ids that begin with %s",
                       (long long)n_ids, name);
    return find_id(store, "SELECT id FROM run WHERE content_id GLOB ? ORDER BY id DESC LIMIT 1", pattern, id, err);
}

static hn_status find_any(hn_store *store, const char *name, int64_t *id, hn_error *err) {
    int64_t number;
    *id = 0;
    if (strcmp(name, "last") == 0) return hn_db_number(store->db, "SELECT max(id) FROM run", 0, id, err);
    if (hn_parse_int64(name[0] == 'r' ? name + 1 : name, &number) && number > 0 && strlen(name) < 12)
        HN_TRY(find_id(store, "SELECT id FROM run WHERE id = CAST(? AS INTEGER)", name[0] == 'r' ? name + 1 : name, id,
                       err));
    if (!*id) HN_TRY(find_id(store, "SELECT run_id FROM tag WHERE name = ? ORDER BY id DESC LIMIT 1", name, id, err));
    if (!*id && is_content_prefix(name)) HN_TRY(find_by_content(store, name, id, err));
    return HN_OK;
}

/* "did you mean `best`?" or the newest runs there are. */
static hn_status fail_no_run(hn_store *store, const char *name, hn_error *err) {
    char hint[256] = "", list[256] = "";
    hn_stmt *q;
    HN_TRY(hn_db_prepare(store->db,
                         "SELECT name FROM (SELECT DISTINCT name, 1 AS rank, 0 AS id FROM tag UNION ALL "
                         "SELECT 'r' || id, 0, id FROM run ORDER BY 2 DESC, 3 DESC LIMIT 40)",
                         &q, err));
    hn_status st;
    bool row;
    size_t n = 0;
    while ((st = hn_stmt_step(q, &row, err)) == HN_OK && row) {
        const char *found = hn_column_text(q, 0);
        if (!found) continue;
        if (!*hint && hn_closest(name, &found, 1)) snprintf(hint, sizeof hint, "did you mean `%s`? ", found);
        size_t used = strlen(list);
        if (n++ < 8) snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", found);
    }
    hn_stmt_free(q);
    HN_TRY(st);
    size_t used = strlen(hint);
    if (n)
        snprintf(hint + used, sizeof hint - used, "there are %s%s; `hone log` shows all", list, n > 8 ? " ..." : "");
    else
        snprintf(hint, sizeof hint, "nothing was run here yet: start with `hone eval`");
    return hn_fail(err, HN_ERR_NOT_FOUND, "run", hint, "there is no run `%.100s`", name);
}

hn_status hn_run_find(hn_store *store, const char *name, hn_run **run, hn_error *err) {
    int64_t id;
    *run = NULL;
    HN_TRY(find_any(store, name, &id, err));
    if (id) HN_TRY(load_run(store, id, run, err));
    return *run ? HN_OK : fail_no_run(store, name, err);
}

hn_status hn_run_list(hn_store *store, size_t limit, hn_run ***runs, size_t *n, hn_error *err) {
    hn_stmt *q;
    size_t capacity = 0;
    *runs = NULL;
    *n = 0;
    HN_TRY(hn_db_prepare(store->db, RUN_COLUMNS "ORDER BY r.id DESC LIMIT ?", &q, err));
    hn_bind_i64(q, 1, limit ? (int64_t)limit : -1);
    hn_status st;
    bool row;
    while ((st = hn_stmt_step(q, &row, err)) == HN_OK && row) {
        if (!hn_grow((void **)runs, &capacity, *n + 1, sizeof **runs))
            st = hn_fail_memory(err, 0);
        else
            st = new_run(q, &(*runs)[*n], err);
        if (st != HN_OK) break;
        ++*n;
    }
    hn_stmt_free(q);
    if (st == HN_OK) return HN_OK;
    hn_run_list_free(*runs, *n);
    *runs = NULL;
    *n = 0;
    return st;
}

/* ---- tags ---- */

static bool is_tag_name(const char *name) {
    size_t n = strlen(name);
    int64_t number;
    if (n == 0 || n > 64 || strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != n)
        return false;
    return strcmp(name, "last") != 0 && !is_content_prefix(name) &&
           !hn_parse_int64(name[0] == 'r' ? name + 1 : name, &number);
}

typedef struct tag_job {
    int64_t run_id;
    const char *name;
} tag_job;

static hn_status tag_body(hn_db *db, void *arg, hn_error *err) {
    const tag_job *job = arg;
    hn_stmt *q;
    HN_TRY(hn_db_prepare(db, "INSERT INTO tag (name, run_id, at_ms) VALUES (?, ?, ?)", &q, err));
    hn_bind_text(q, 1, job->name);
    hn_bind_i64(q, 2, job->run_id);
    hn_bind_i64(q, 3, hn_clock_unix_ms());
    hn_status st = hn_stmt_run(q, err);
    hn_stmt_free(q);
    return st;
}

hn_status hn_run_tag(hn_store *store, int64_t run_id, const char *tag, hn_error *err) {
    if (!is_tag_name(tag))
        return hn_fail(err, HN_ERR_USAGE, "tag", "use letters, digits, - _ and ., such as `best`",
                       "`%.80s` cannot be a tag: it looks like a run's number or id, or has other characters", tag);
    tag_job job = {run_id, tag};
    return hn_db_transaction(store->db, tag_body, &job, err);
}
