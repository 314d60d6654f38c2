/* The store: a project's memory in .hone/ - a SQLite database of facts that are only ever added, and big objects as zstd files
 * named by their hash beside it.
 *
 *     hn_store *s;
 *     HN_TRY(hn_store_open(".hone", &s, &err));            // creates, migrates
 *     HN_TRY(hn_run_begin(s, &spec, false, &run, &start, &err));
 *     HN_TRY(hn_prediction_add(s, run->id, rows, n, &err)); // one short transaction: what returned is safe from kill -9
 *     HN_TRY(hn_run_finish(s, run->id, summary, &err));
 *     hn_store_close(s);
 *
 * Several processes may use one store at once (WAL, short transactions, busy time-out). Opening read-only commands on a full disk works.
 * Ownership: rows handed out are arenas or JSON that the caller frees as each function says. Threading: one connection, one thread. */
#ifndef HN_STORE_STORE_H
#define HN_STORE_STORE_H

#include "base/alloc.h"
#include "format/json.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct hn_store hn_store;

/* Creates the folder and the database where they are missing and brings an older schema up to date. HN_ERR_UNSUPPORTED: written by a newer
 * hone; HN_ERR_INPUT: damaged. Where nothing can be written, a store that is there opens for reading; each write then fails. */
hn_status hn_store_open(const char *dir, hn_store **store, hn_error *err) HN_MUST_CHECK;
void hn_store_close(hn_store *store);
bool hn_store_is_read_only(const hn_store *store);

/* Objects: content-addressed bytes (prompt files, hone.yaml, datasets, reports). Put returns the SHA-256 of the bytes; equal bytes are kept once. */
hn_status hn_object_put(hn_store *store, const void *bytes, size_t n, char hash[65], hn_error *err) HN_MUST_CHECK;
hn_status hn_object_get(hn_store *store, const char *hash, char **bytes, size_t *n,
                        hn_error *err) HN_MUST_CHECK; /* hn_free */

/* What makes a run: its identity. The content id (hash of all of these) finds an unfinished run again, so the same command resumes it. */
typedef struct hn_run_spec {
    const char *kind;                      /* "eval" */
    const char *prompt_name, *prompt_hash; /* prompt_hash: meaning; prompt_object: the file as it was */
    const char *prompt_object, *scope_object, *scope_hash;
    const char *dataset_hash, *split;
    int64_t n_cases;           /* planned */
    const char *case_set_hash; /* which cases, in order */
    const char *model_name, *model_hash, *template_hash, *numeric_path;
    const char *parameters_json; /* generation parameters, calibration, examples rule ... */
    const char *code_version;
    const char *metric;
} hn_run_spec;

typedef struct hn_run {
    int64_t id; /* r7 is id 7: the store-local alias */
    char content_id[65];
    char *kind, *state; /* "running", "done", "stopped" (goes on when asked for again), "failed" */
    char *reason;       /* failed: why; else NULL */
    hn_run_spec spec;   /* strings belong to the arena */
    int64_t started_ms, finished_ms, n_done;
    char *summary_json; /* metrics, tokens, seconds ...; NULL until finished */
    char *tags;         /* comma-separated, or "" */
    bool starred;
    size_t n_notes;
    hn_arena *arena; /* everything above; free with hn_run_free */
} hn_run;

typedef enum hn_run_start { HN_RUN_NEW, HN_RUN_RESUMED, HN_RUN_DONE } hn_run_start;

/* A content id is one run: an unfinished run with the same id is continued (RESUMED), a finished one is handed out as it is (DONE),
 * unless `fresh`, which starts another; else a run is started (NEW). */
hn_status hn_run_begin(hn_store *store, const hn_run_spec *spec, bool fresh, hn_run **run, hn_run_start *start,
                       hn_error *err) HN_MUST_CHECK;
hn_status hn_run_finish(hn_store *store, int64_t run_id, const char *summary_json, hn_error *err) HN_MUST_CHECK;
hn_status hn_run_stop(hn_store *store, int64_t run_id, hn_error *err) HN_MUST_CHECK; /* interrupted, resumable */
/* No answer came of it and none will: `reason` is what the log shows. The same command begins it again. */
hn_status hn_run_fail(hn_store *store, int64_t run_id, const char *reason, hn_error *err) HN_MUST_CHECK;
/* "r7", "7", a content-id prefix of 6 digits or more, a tag, "last". HN_ERR_NOT_FOUND lists near ones. */
hn_status hn_run_find(hn_store *store, const char *name, hn_run **run, hn_error *err) HN_MUST_CHECK;
/* Newest first; limit 0: all. Free each run and then the array with hn_run_list_free. */
hn_status hn_run_list(hn_store *store, size_t limit, hn_run ***runs, size_t *n, hn_error *err) HN_MUST_CHECK;
void hn_run_list_free(hn_run **runs, size_t n);
void hn_run_free(hn_run *run);
hn_status hn_run_tag(hn_store *store, int64_t run_id, const char *tag, hn_error *err) HN_MUST_CHECK;

/* What a list shows of a run, without loading it whole. */
typedef struct hn_run_line {
    int64_t id, n_cases, n_done, started_ms, finished_ms;
    const char *content_id, *kind, *state, *reason, *prompt_name, *model_name, *split, *tags;
    const char *metrics_json;   /* {"accuracy": {...}, ...}; NULL until finished */
    double accuracy, low, high; /* NaN until finished */
    bool starred;
    size_t n_notes;
} hn_run_line;
typedef struct hn_run_lines {
    hn_run_line *rows;
    size_t n;
    hn_arena *arena;
} hn_run_lines;
/* Which runs; NULL, false: does not matter. The first three must be contained, the others equal. */
typedef struct hn_run_filter {
    const char *prompt, *model, *tag;
    const char *split, *state, *kind;
    bool starred;
    int64_t before;   /* only runs with a smaller id; 0: all */
    bool by_accuracy; /* highest first, runs without one last; else newest first */
    size_t limit;     /* 0: all */
} hn_run_filter;
/* Free with hn_run_lines_free. */
hn_status hn_run_lines_load(hn_store *store, const hn_run_filter *filter, hn_run_lines *lines,
                            hn_error *err) HN_MUST_CHECK;
void hn_run_lines_free(hn_run_lines *lines);

/* Where a run came from: "replay" (computed again), "regrade" (the parent's answers, judged again). A link that is there is fine. */
typedef struct hn_run_link {
    int64_t run_id, parent_id;
    const char *role;
} hn_run_link;
typedef struct hn_run_links {
    hn_run_link *rows; /* in the order of run_id */
    size_t n;
    hn_arena *arena;
} hn_run_links;
hn_status hn_run_link_add(hn_store *store, int64_t run_id, int64_t parent_id, const char *role,
                          hn_error *err) HN_MUST_CHECK;
/* Those in which the run is child or parent. Free with hn_run_links_free. */
hn_status hn_run_links_load(hn_store *store, int64_t run_id, hn_run_links *links, hn_error *err) HN_MUST_CHECK;
void hn_run_links_free(hn_run_links *links);

/* The files that a run was made from, beside prompt and hone.yaml: data, schema ... */
typedef struct hn_run_file {
    const char *role, *path, *object; /* "data.file"; as hone.yaml has it; the object with its bytes */
} hn_run_file;
typedef struct hn_run_files {
    hn_run_file *rows;
    size_t n;
    hn_arena *arena;
} hn_run_files;
/* In one transaction; a role that is there stays as it is. */
hn_status hn_run_file_add(hn_store *store, int64_t run_id, const hn_run_file *rows, size_t n,
                          hn_error *err) HN_MUST_CHECK;
/* Free with hn_run_files_free. */
hn_status hn_run_files_load(hn_store *store, int64_t run_id, hn_run_files *files, hn_error *err) HN_MUST_CHECK;
void hn_run_files_free(hn_run_files *files);

/* Marks a run as worth finding again, or takes the mark away. */
hn_status hn_run_star(hn_store *store, int64_t run_id, bool starred, hn_error *err) HN_MUST_CHECK;

/* What people write down: of a run, or (run_id 0) of the project. Notes are never changed. HN_ERR_USAGE: empty or over 64 KiB. */
typedef struct hn_note {
    int64_t run_id, at_ms; /* run_id 0: the project's */
    const char *text;
} hn_note;
typedef struct hn_note_list {
    hn_note *rows; /* oldest first */
    size_t n;
    hn_arena *arena;
} hn_note_list;
hn_status hn_note_add(hn_store *store, int64_t run_id, const char *text, hn_error *err) HN_MUST_CHECK;
/* Those of one run, of the project (0), or all (HN_NOTES_ALL). Free with hn_note_list_free. */
enum { HN_NOTES_ALL = -1 };
hn_status hn_note_list_load(hn_store *store, int64_t run_id, hn_note_list *list, hn_error *err) HN_MUST_CHECK;
void hn_note_list_free(hn_note_list *list);

typedef struct hn_prediction {
    const char *case_id;
    int64_t position;   /* in the run's order */
    const char *target; /* NULL: none */
    const char *group;
    const char *value; /* the parsed answer; NULL: no valid answer */
    const char *text;  /* what the model wrote (generation), or NULL */
    bool correct;
    double score;                /* the metric's value for this case */
    const double *probabilities; /* (n_probabilities) per label after calibration, or NULL */
    size_t n_probabilities;
    const double *raw_logprobs; /* (n_probabilities) before calibration, or NULL */
    int64_t prompt_tokens, completion_tokens;
    double prefill_ms, decode_ms;
    double cost;           /* US dollars; 0: a local model; NaN: not known */
    const char *finish;    /* "stop", "length", "error" */
    const char *error;     /* a failed case: why; else NULL */
    const char *cache_key; /* NULL: not cached */
    bool from_cache;
    const char *details_json; /* examples used, reasoning text ...; or NULL */
} hn_prediction;

/* All rows in one transaction; adding a position again is ignored. */
hn_status hn_prediction_add(hn_store *store, int64_t run_id, const hn_prediction *rows, size_t n,
                            hn_error *err) HN_MUST_CHECK;
typedef struct hn_prediction_list {
    hn_prediction *rows; /* ordered by position */
    size_t n;
    hn_arena *arena;
} hn_prediction_list;
hn_status hn_prediction_load(hn_store *store, int64_t run_id, hn_prediction_list *list, hn_error *err) HN_MUST_CHECK;
/* Only what a verdict needs: position, group, correct, score, and (with_cases) case_id; all else in the rows is empty. */
hn_status hn_prediction_load_marks(hn_store *store, int64_t run_id, bool with_cases, hn_prediction_list *list,
                                   hn_error *err) HN_MUST_CHECK;
void hn_prediction_list_free(hn_prediction_list *list);

/* Answers by content key: the value is the JSON that the app made of an answer. */
hn_status hn_cache_get(hn_store *store, const char *key, json_t **value /* NULL: absent; new reference */,
                       hn_error *err) HN_MUST_CHECK;
hn_status hn_cache_put(hn_store *store, const char *const *keys, json_t *const *values, size_t n,
                       hn_error *err) HN_MUST_CHECK;

/* The ledger of looks at the test split: each finished test run counts, and each time that a finished one is asked for again
 * (hn_test_look_add; nothing happens for a run of another split). */
hn_status hn_test_look_add(hn_store *store, int64_t run_id, hn_error *err) HN_MUST_CHECK;
hn_status hn_test_looks(hn_store *store, const char *dataset_hash, int64_t *n_looks, hn_error *err) HN_MUST_CHECK;

/* Takes out what nothing refers to: objects, files that a kill left unfinished, cached answers that no run used. Runs, predictions, notes and all other
 * facts stay. Other processes may work on the store meanwhile. */
typedef struct hn_gc_options {
    bool dry_run;           /* only count */
    int64_t min_age_ms;     /* files younger than this stay: somebody may be about to refer to them */
    int64_t answers_age_ms; /* cached answers younger than this stay */
} hn_gc_options;
typedef struct hn_gc_result {
    uint64_t n_objects, n_unfinished, file_bytes;
    uint64_t n_answers, answer_bytes;
} hn_gc_result;
hn_status hn_store_gc(hn_store *store, const hn_gc_options *options, hn_gc_result *result, hn_error *err) HN_MUST_CHECK;
/* Its entries, oldest first; `dataset_hash` NULL: of all data. Free with hn_look_list_free. */
typedef struct hn_look {
    int64_t run_id, at_ms;
    const char *dataset_hash;
} hn_look;
typedef struct hn_look_list {
    hn_look *rows;
    size_t n;
    hn_arena *arena;
} hn_look_list;
hn_status hn_look_list_load(hn_store *store, const char *dataset_hash, hn_look_list *list, hn_error *err) HN_MUST_CHECK;
void hn_look_list_free(hn_look_list *list);

#endif
