/* The store: what is reported as saved is there after kill -9, two processes share it, damage and newer versions are errors with
 * remedies, and running out of memory at any allocation is a status. */
#include "support.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/rng.h"
#include "store/migrate.h"
#include "store/store.h"

#include <math.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[HN_PATH_MAX];

static int make_folder(void **state) {
    (void)state;
    hn_test_folder(folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    hn_test_folder_remove(folder);
    return 0;
}

static void path_in(char out[HN_PATH_MAX], const char *name) {
    hn_error err;
    hn_test_ok(hn_path_join(out, folder, name, &err), &err);
}

static hn_store *open_store(const char *name) {
    char dir[HN_PATH_MAX];
    hn_store *store;
    hn_error err;
    path_in(dir, name);
    hn_test_ok(hn_store_open(dir, &store, &err), &err);
    return store;
}

static hn_run_spec spec_named(const char *prompt, const char *split) {
    return (hn_run_spec){.kind = "eval",
                         .prompt_name = prompt,
                         .prompt_hash = "aa",
                         .scope_hash = "bb",
                         .dataset_hash = "cc",
                         .split = split,
                         .n_cases = 3,
                         .case_set_hash = "dd",
                         .model_name = "m",
                         .model_hash = "ee",
                         .template_hash = "ff",
                         .numeric_path = "k1",
                         .parameters_json = "{}",
                         .code_version = "1",
                         .metric = "accuracy"};
}

static int64_t begin(hn_store *s, const char *prompt, const char *split, hn_run_start expected) {
    hn_run_spec spec = spec_named(prompt, split);
    hn_run *run;
    hn_run_start start;
    hn_error err;
    hn_test_ok(hn_run_begin(s, &spec, false, &run, &start, &err), &err);
    assert_int_equal(start, expected);
    int64_t id = run->id;
    hn_run_free(run);
    return id;
}

static void predictions_come_back_bit_for_bit(void **state) {
    (void)state;
    hn_store *s = open_store("a");
    hn_error err;
    int64_t id = begin(s, "v1", "dev", HN_RUN_NEW);
    double probabilities[] = {0.1, 0.2, 0.7}, raw[] = {-1e-300, -2.5, -0.1};
    hn_prediction rows[] = {
        {.case_id = "c1",
         .position = 1,
         .target = "x",
         .group = "g",
         .value = "x",
         .text = "it's \"x\"",
         .correct = true,
         .score = 1,
         .probabilities = probabilities,
         .raw_logprobs = raw,
         .n_probabilities = 3,
         .prompt_tokens = 10,
         .completion_tokens = 2,
         .prefill_ms = 0.25,
         .decode_ms = 1,
         .finish = "stop",
         .cache_key = "k",
         .from_cache = true,
         .details_json = "{\"a\":1}"},
        {.case_id = "c0", .position = 0, .error = "too long", .finish = "error"},
    };
    hn_test_ok(hn_prediction_add(s, id, rows, 2, &err), &err);
    rows[0].value = "changed"; /* a position that is there stays as it was */
    hn_test_ok(hn_prediction_add(s, id, rows, 2, &err), &err);
    hn_store_close(s);

    s = open_store("a");
    hn_prediction_list list;
    hn_test_ok(hn_prediction_load(s, id, &list, &err), &err);
    assert_int_equal(list.n, 2);
    assert_string_equal(list.rows[0].case_id, "c0");
    assert_null(list.rows[0].value);
    assert_null(list.rows[0].probabilities);
    assert_string_equal(list.rows[0].error, "too long");
    const hn_prediction *p = &list.rows[1];
    assert_string_equal(p->value, "x");
    assert_string_equal(p->text, "it's \"x\"");
    assert_string_equal(p->details_json, "{\"a\":1}");
    assert_int_equal(p->n_probabilities, 3);
    assert_memory_equal(p->probabilities, probabilities, sizeof probabilities);
    assert_memory_equal(p->raw_logprobs, raw, sizeof raw);
    assert_true(p->correct && p->from_cache && p->prefill_ms == 0.25 && p->prompt_tokens == 10);
    hn_prediction_list_free(&list);

    rows[0].case_id = NULL; /* what must be there and is not: an error, and nothing of the batch is kept */
    rows[0].position = 7;
    assert_int_not_equal(hn_prediction_add(s, id, rows, 1, &err), HN_OK);
    assert_int_not_equal(hn_prediction_add(s, 999, rows + 1, 1, &err), HN_OK); /* no such run: foreign key */
    hn_store_close(s);
}

static void a_content_id_is_one_run(void **state) {
    (void)state;
    hn_store *s = open_store("b");
    hn_error err;
    int64_t id = begin(s, "v1", "test", HN_RUN_NEW), looks;
    assert_int_equal(begin(s, "v1", "test", HN_RUN_RESUMED), id);
    hn_test_ok(hn_run_stop(s, id, &err), &err);
    assert_int_equal(begin(s, "v1", "test", HN_RUN_RESUMED), id);
    hn_test_ok(hn_test_looks(s, "cc", &looks, &err), &err);
    assert_int_equal(looks, 0);
    hn_test_ok(hn_run_finish(s, id, "{\"accuracy\":0.5}", &err), &err);
    assert_int_equal(begin(s, "v1", "test", HN_RUN_DONE), id);
    hn_test_ok(hn_test_look_add(s, id, &err), &err);
    hn_test_ok(hn_test_looks(s, "cc", &looks, &err), &err);
    assert_int_equal(looks, 2);
    int64_t other = begin(s, "v2", "dev", HN_RUN_NEW);
    assert_int_equal(other, id + 1);
    hn_test_ok(hn_run_finish(s, other, "{}", &err), &err); /* dev: no look */
    hn_test_ok(hn_test_looks(s, "cc", &looks, &err), &err);
    assert_int_equal(looks, 2);

    hn_run_spec spec = spec_named("v1", "test");
    hn_run *run;
    hn_run_start start;
    hn_test_ok(hn_run_begin(s, &spec, true, &run, &start, &err), &err);
    assert_int_equal(start, HN_RUN_NEW);
    assert_int_equal(run->id, other + 1);
    assert_string_equal(run->state, "running");
    hn_run_free(run);
    hn_store_close(s);
}

static int64_t found(hn_store *s, const char *name) {
    hn_run *run;
    hn_error err;
    if (hn_run_find(s, name, &run, &err) != HN_OK) {
        assert_int_equal(err.code, HN_ERR_NOT_FOUND);
        assert_true(strlen(err.hint) > 0);
        return 0;
    }
    int64_t id = run->id;
    hn_run_free(run);
    return id;
}

static void runs_are_found_by_all_their_names(void **state) {
    (void)state;
    hn_store *s = open_store("c");
    hn_error err;
    assert_int_equal(found(s, "last"), 0);
    int64_t a = begin(s, "v1", "dev", HN_RUN_NEW), b = begin(s, "v2", "dev", HN_RUN_NEW);
    hn_test_ok(hn_run_tag(s, a, "best", &err), &err);
    assert_int_equal(found(s, "last"), b);
    assert_int_equal(found(s, "r1"), a);
    assert_int_equal(found(s, "2"), b);
    assert_int_equal(found(s, "best"), a);
    hn_test_ok(hn_run_tag(s, b, "best", &err), &err); /* a tag moves */
    assert_int_equal(found(s, "best"), b);
    assert_int_equal(found(s, "r3"), 0);
    assert_int_equal(found(s, ""), 0);
    assert_int_equal(found(s, "' OR 1=1 --"), 0);
    assert_int_equal(found(s, "99999999999999999999"), 0);
    hn_run *run;
    assert_int_equal(hn_run_find(s, "bets", &run, &err), HN_ERR_NOT_FOUND);
    assert_non_null(strstr(err.hint, "best"));
    hn_test_ok(hn_run_find(s, "r2", &run, &err), &err);
    assert_string_equal(run->tags, "best");
    assert_string_equal(run->spec.prompt_name, "v2");
    char prefix[13];
    snprintf(prefix, sizeof prefix, "%.12s", run->content_id);
    hn_run_free(run);
    assert_int_equal(found(s, prefix), b);
    const char *bad[] = {"", "last", "r7", "12", "abcdef", "two words", "é"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(hn_run_tag(s, a, bad[i], &err), HN_ERR_USAGE);

    hn_run **runs;
    size_t n;
    hn_test_ok(hn_run_list(s, 0, &runs, &n, &err), &err);
    assert_int_equal(n, 2);
    assert_int_equal(runs[0]->id, b);
    assert_string_equal(runs[1]->tags, "");
    hn_run_list_free(runs, n);
    hn_test_ok(hn_run_list(s, 1, &runs, &n, &err), &err);
    assert_int_equal(n, 1);
    hn_run_list_free(runs, n);
    hn_store_close(s);
}

static void the_cache_keeps_the_first_answer(void **state) {
    (void)state;
    hn_store *s = open_store("d");
    hn_error err;
    json_t *value, *one = json_pack("{s:f,s:s}", "x", 0.1, "t", "h\xC3\xA9"), *two = json_pack("{s:i}", "x", 2);
    const char *keys[] = {"k1", "k2", "k1"};
    json_t *values[] = {one, two, two};
    hn_test_ok(hn_cache_get(s, "k1", &value, &err), &err);
    assert_null(value);
    hn_test_ok(hn_cache_put(s, keys, values, 3, &err), &err);
    hn_test_ok(hn_cache_get(s, "k1", &value, &err), &err);
    assert_true(json_equal(value, one));
    json_decref(value);
    json_decref(one);
    json_decref(two);
    hn_store_close(s);
}

static void object_file(char path[HN_PATH_MAX], const char *store, const char *hash) {
    char name[HN_PATH_MAX];
    snprintf(name, sizeof name, "%s/objects/%.2s/%s", store, hash, hash + 2);
    path_in(path, name);
}

static void objects_are_checked_against_their_name(void **state) {
    (void)state;
    hn_store *s = open_store("e");
    hn_error err;
    char hash[65], other[65], path[HN_PATH_MAX], *bytes;
    size_t n;
    hn_test_ok(hn_object_put(s, "abc", 3, hash, &err), &err);
    /* FIPS 180-2, appendix B.1 */
    assert_string_equal(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    hn_test_ok(hn_object_put(s, "abc", 3, other, &err), &err);
    hn_test_ok(hn_object_get(s, hash, &bytes, &n, &err), &err);
    assert_int_equal(n, 3);
    assert_string_equal(bytes, "abc");
    hn_free(bytes);
    hn_test_ok(hn_object_put(s, "", 0, other, &err), &err);
    hn_test_ok(hn_object_get(s, other, &bytes, &n, &err), &err);
    assert_int_equal(n, 0);
    hn_free(bytes);

    assert_int_equal(hn_object_get(s, "../../../etc/passwd", &bytes, &n, &err), HN_ERR_INPUT);
    assert_int_equal(
        hn_object_get(s, "00000000000000000000000000000000000000000000000000000000000000aa", &bytes, &n, &err),
        HN_ERR_NOT_FOUND);
    object_file(path, "e", hash);
    char *packed = hn_test_read(path, &n), *wrong;
    for (size_t cut = 0; cut < n; cut++) { /* every truncation */
        hn_test_ok(hn_file_write_atomic(path, packed, cut, &err), &err);
        assert_int_equal(hn_object_get(s, hash, &wrong, &n, &err), HN_ERR_HASH);
        assert_null(wrong);
    }
    hn_free(packed);
    char swapped[HN_PATH_MAX]; /* another object's whole bytes under this name */
    object_file(swapped, "e", other);
    packed = hn_test_read(swapped, &n);
    hn_test_ok(hn_file_write_atomic(path, packed, n, &err), &err);
    hn_free(packed);
    assert_int_equal(hn_object_get(s, hash, &wrong, &n, &err), HN_ERR_HASH);
    /* a frame that claims 2^62 bytes */
    const unsigned char huge[] = {0x28, 0xB5, 0x2F, 0xFD, 0xE0, 0, 0, 0, 0, 0, 0, 0, 0x40, 1, 0, 0};
    hn_test_ok(hn_file_write_atomic(path, huge, sizeof huge, &err), &err);
    assert_int_equal(hn_object_get(s, hash, &wrong, &n, &err), HN_ERR_HASH);
    hn_store_close(s);
}

static int64_t number_of(const char *dir, const char *sql) {
    char path[HN_PATH_MAX], name[HN_PATH_MAX];
    snprintf(name, sizeof name, "%s/store.db", dir);
    path_in(path, name);
    hn_db *db;
    hn_error err;
    int64_t value;
    hn_test_ok(hn_db_open(path, &db, &err), &err);
    hn_test_ok(hn_db_number(db, sql, -1, &value, &err), &err);
    hn_db_close(db);
    return value;
}

/* A child that adds rows one transaction at a time and says so on a pipe after each. */
static void write_rows(const char *name, int64_t first, int64_t n, int report) {
    char dir[HN_PATH_MAX];
    hn_store *s;
    hn_error err;
    path_in(dir, name);
    if (hn_store_open(dir, &s, &err) != HN_OK) _exit(1);
    for (int64_t i = first; i < first + n; i++) {
        char id[32];
        snprintf(id, sizeof id, "case-%lld", (long long)i);
        hn_prediction p = {.case_id = id, .position = i, .value = "x"};
        if (hn_prediction_add(s, 1, &p, 1, &err) != HN_OK) {
            fprintf(stderr, "%s %s\n", err.where, err.message);
            _exit(2);
        }
        if (report >= 0 && write(report, &i, sizeof i) != sizeof i) _exit(3);
    }
    hn_store_close(s);
    _exit(0);
}

static void two_processes_share_a_store(void **state) {
    (void)state;
    enum { EACH = 150 };
    hn_store *s = open_store("f");
    assert_int_equal(begin(s, "v1", "dev", HN_RUN_NEW), 1);
    hn_store_close(s);
    pid_t children[2];
    for (int c = 0; c < 2; c++) {
        children[c] = fork();
        assert_true(children[c] >= 0);
        if (children[c] == 0) write_rows("f", c * EACH, EACH, -1);
    }
    for (int c = 0; c < 2; c++) {
        int status;
        assert_int_equal(waitpid(children[c], &status, 0), children[c]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    assert_int_equal(number_of("f", "SELECT count(*) FROM prediction"), 2 * EACH);
}

static void two_processes_create_a_store_at_once(void **state) {
    (void)state;
    char dir[HN_PATH_MAX];
    path_in(dir, "at-once");
    pid_t children[4];
    for (int c = 0; c < 4; c++) {
        children[c] = fork();
        assert_true(children[c] >= 0);
        if (children[c] > 0) continue;
        hn_store *s;
        hn_error err;
        hn_status st = hn_store_open(dir, &s, &err);
        if (st != HN_OK) fprintf(stderr, "%s: %s\n", err.where, err.message);
        _exit(st == HN_OK ? 0 : 1);
    }
    for (int c = 0; c < 4; c++) {
        int status;
        assert_int_equal(waitpid(children[c], &status, 0), children[c]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    assert_int_equal(number_of("at-once", "PRAGMA user_version"), hn_n_migrations);
}

static void kill_loses_nothing_that_was_reported(void **state) {
    (void)state;
    hn_store *s = open_store("g");
    assert_int_equal(begin(s, "v1", "dev", HN_RUN_NEW), 1);
    hn_store_close(s);
    hn_rng rng;
    hn_rng_seed(&rng, 7, 0);
    int64_t next = 0;
    for (int round = 0; round < 12; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(ends[0]);
            write_rows("g", next, 1000000, ends[1]);
        }
        close(ends[1]);
        /* killed at a random moment after the first few reports */
        int64_t reported = -1, wanted = next + (int64_t)hn_rng_below(&rng, 20);
        while (reported < wanted && read(ends[0], &reported, sizeof reported) == sizeof reported) {
        }
        usleep((useconds_t)hn_rng_below(&rng, 4000));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        while (read(ends[0], &reported, sizeof reported) == sizeof reported) {
        }
        close(ends[0]);
        assert_true(reported >= wanted);
        char sql[128];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM prediction WHERE position <= %lld", (long long)reported);
        assert_int_equal(number_of("g", sql), reported + 1);
        assert_int_equal(number_of("g", "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
        next = number_of("g", "SELECT max(position) FROM prediction") + 1;
    }
}

/* Answers of the third schema have no known cost, and new ones have theirs; NaN, 0 and a price are told apart. */
static void the_third_schema_is_brought_up_to_date(void **state) {
    (void)state;
    char dir[HN_PATH_MAX], path[HN_PATH_MAX];
    path_in(dir, "third");
    hn_error err;
    hn_db *db;
    hn_test_ok(hn_dir_create(dir, &err), &err);
    hn_test_ok(hn_path_join(path, dir, "store.db", &err), &err);
    hn_test_ok(hn_db_open(path, &db, &err), &err);
    hn_test_ok(hn_migrate_with(db, hn_migrations, 3, &err), &err);
    hn_test_ok(
        hn_db_exec(db,
                   "INSERT INTO run (id, content_id, n_cases, kind) VALUES (1, 'aa', 4, 'eval');"
                   "INSERT INTO prediction (run_id, position, case_id, correct, prompt_tokens, completion_tokens, "
                   "from_cache, value) VALUES (1, 0, 'a', 1, 3, 4, 0, 'x')",
                   &err),
        &err);
    hn_db_close(db);
    hn_store *s = open_store("third");
    const hn_prediction rows[] = {{.case_id = "b", .position = 1, .cost = 0},
                                  {.case_id = "c", .position = 2, .cost = 0.125},
                                  {.case_id = "d", .position = 3, .cost = (double)NAN}};
    hn_test_ok(hn_prediction_add(s, 1, rows, 3, &err), &err);
    hn_prediction_list list;
    hn_test_ok(hn_prediction_load(s, 1, &list, &err), &err);
    assert_int_equal(list.n, 4);
    assert_string_equal(list.rows[0].value, "x");
    assert_true(isnan(list.rows[0].cost) && list.rows[1].cost == 0 && list.rows[2].cost == 0.125);
    assert_true(isnan(list.rows[3].cost));
    hn_prediction_list_free(&list);
    hn_store_close(s);
}

/* Runs of the first schema keep their state and tags in the newest. */
static void the_first_schema_is_brought_up_to_date(void **state) {
    (void)state;
    char dir[HN_PATH_MAX], path[HN_PATH_MAX];
    path_in(dir, "old");
    hn_error err;
    hn_test_ok(hn_dir_create(dir, &err), &err);
    hn_test_ok(hn_path_join(path, dir, "store.db", &err), &err);
    hn_db *db;
    hn_test_ok(hn_db_open(path, &db, &err), &err);
    hn_test_ok(hn_migrate_with(db, hn_migrations, 1, &err), &err);
    hn_test_ok(
        hn_db_exec(db,
                   "INSERT INTO run (id, content_id, n_cases, kind) VALUES (1, 'aa', 3, 'eval'), (2, 'bb', 3, 'eval');"
                   "INSERT INTO run_event (run_id, at_ms, state) VALUES (1, 5, 'running'), (1, 9, 'done'), (2, 10, "
                   "'running'), "
                   "(2, 11, 'stopped'); INSERT INTO tag (name, run_id, at_ms) VALUES ('best', 1, 12)",
                   &err),
        &err);
    hn_db_close(db);
    hn_store *s = open_store("old");
    hn_run **runs;
    size_t n;
    hn_test_ok(hn_run_list(s, 0, &runs, &n, &err), &err);
    assert_int_equal(n, 2);
    assert_string_equal(runs[0]->state, "stopped");
    assert_string_equal(runs[1]->state, "done");
    assert_int_equal(runs[1]->finished_ms, 9);
    assert_string_equal(runs[1]->tags, "best");
    assert_false(runs[1]->starred);
    hn_run_list_free(runs, n);
    hn_test_ok(hn_run_fail(s, 2, "too long", &err), &err);
    hn_run *run;
    hn_test_ok(hn_run_find(s, "r2", &run, &err), &err);
    assert_string_equal(run->state, "failed");
    assert_string_equal(run->reason, "too long");
    hn_run_free(run);
    hn_store_close(s);
}

/* A store of the second schema, with answers, summaries, stars, notes and a tag that moved: lists show all of it, and the links stay. */
static void the_second_schema_is_brought_up_to_date(void **state) {
    (void)state;
    char dir[HN_PATH_MAX], path[HN_PATH_MAX];
    path_in(dir, "second");
    hn_error err;
    hn_db *db;
    hn_test_ok(hn_dir_create(dir, &err), &err);
    hn_test_ok(hn_path_join(path, dir, "store.db", &err), &err);
    hn_test_ok(hn_db_open(path, &db, &err), &err);
    hn_test_ok(hn_migrate_with(db, hn_migrations, 2, &err), &err);
    hn_test_ok(
        hn_db_exec(
            db,
            "INSERT INTO run (id, content_id, n_cases, kind, prompt_name, split) VALUES (1, 'aa', 2, 'eval', 'v1', "
            "'dev'), "
            "(2, 'bb', 9, 'eval', 'v2', 'dev'), (3, 'cc', 2, 'replay', 'v1', 'dev');"
            "INSERT INTO run_event (run_id, at_ms, state) VALUES (1, 5, 'running'), (1, 9, 'done'), (2, 10, "
            "'running'), "
            "(3, 11, 'running'), (3, 12, 'failed');"
            "INSERT INTO prediction (run_id, position, case_id, correct, prompt_tokens, completion_tokens, from_cache) "
            "VALUES (1, 0, 'a', 1, 0, 0, 0), (1, 1, 'b', 0, 0, 0, 0), (2, 0, 'a', 1, 0, 0, 0);"
            "INSERT INTO run_summary VALUES (1, "
            "'{\"metrics\":{\"accuracy\":{\"value\":0.5,\"low\":0.1,\"high\":0.9}}}'),"
            " (3, 'not json');"
            "INSERT INTO star (run_id, at_ms, starred) VALUES (1, 1, 1), (2, 1, 1), (2, 2, 0);"
            "INSERT INTO note (run_id, at_ms, text) VALUES (1, 1, 'x'), (1, 2, 'y'), (NULL, 3, 'z');"
            "INSERT INTO tag (name, run_id, at_ms) VALUES ('best', 2, 1), ('best', 1, 2);"
            "INSERT INTO run_parent VALUES (3, 1, 'replay')",
            &err),
        &err);
    hn_db_close(db);
    hn_store *s = open_store("second");
    hn_run_lines lines;
    hn_test_ok(hn_run_lines_load(s, &(hn_run_filter){0}, &lines, &err), &err);
    assert_int_equal(lines.n, 3);
    const hn_run_line *third = &lines.rows[0], *second = &lines.rows[1], *first = &lines.rows[2];
    assert_true(first->id == 1 && first->n_done == 2 && first->starred && first->n_notes == 2 && first->low == 0.1);
    assert_true(first->accuracy == 0.5 && first->high == 0.9 && first->started_ms == 5 && first->finished_ms == 9);
    assert_string_equal(first->tags, "best");
    assert_non_null(strstr(first->metrics_json, "accuracy"));
    assert_true(second->n_done == 1 && !second->starred && second->n_notes == 0 && isnan(second->accuracy));
    assert_string_equal(second->tags, "");
    assert_string_equal(second->state, "running");
    assert_string_equal(third->state, "failed");
    assert_null(third->metrics_json);
    hn_run_lines_free(&lines);
    hn_run_links links;
    hn_test_ok(hn_run_links_load(s, 1, &links, &err), &err);
    assert_int_equal(links.n, 1);
    assert_true(links.rows[0].run_id == 3 && links.rows[0].parent_id == 1);
    hn_run_links_free(&links);
    hn_store_close(s);
}

static hn_run_lines lines_of(hn_store *s, hn_run_filter filter, size_t n) {
    hn_run_lines lines;
    hn_error err;
    hn_test_ok(hn_run_lines_load(s, &filter, &lines, &err), &err);
    assert_int_equal(lines.n, n);
    return lines;
}

static int64_t only(hn_store *s, hn_run_filter filter) {
    hn_run_lines lines = lines_of(s, filter, 1);
    int64_t id = lines.rows[0].id;
    hn_run_lines_free(&lines);
    return id;
}

/* What lists show follows each change, and filters choose among it. */
static void lists_follow_what_happens(void **state) {
    (void)state;
    hn_store *s = open_store("lines");
    hn_error err;
    hn_prediction row = {.case_id = "a"};
    int64_t a = begin(s, "first", "dev", HN_RUN_NEW), b = begin(s, "second", "test", HN_RUN_NEW);
    hn_test_ok(hn_prediction_add(s, a, &row, 1, &err), &err);
    hn_run_lines lines = lines_of(s, (hn_run_filter){.prompt = "irs"}, 1);
    assert_true(lines.rows[0].n_done == 1 && isnan(lines.rows[0].accuracy) && lines.rows[0].started_ms > 0);
    assert_string_equal(lines.rows[0].state, "running");
    hn_run_lines_free(&lines);
    hn_test_ok(hn_run_finish(s, a, "{\"metrics\":{\"accuracy\":{\"value\":0.25,\"low\":0,\"high\":1}}}", &err), &err);
    hn_test_ok(hn_run_finish(s, b, "{\"metrics\":{\"accuracy\":{\"value\":0.75,\"low\":0,\"high\":1}}}", &err), &err);
    int64_t c = begin(s, "third", "dev", HN_RUN_NEW);
    hn_test_ok(hn_run_fail(s, c, "why", &err), &err);
    lines = lines_of(s, (hn_run_filter){.by_accuracy = true}, 3);
    assert_true(lines.rows[0].id == b && lines.rows[1].id == a && lines.rows[2].id == c);
    assert_string_equal(lines.rows[2].reason, "why");
    hn_run_lines_free(&lines);
    lines = lines_of(s, (hn_run_filter){.before = c}, 2);
    assert_true(lines.rows[0].id == b && lines.rows[1].id == a);
    hn_run_lines_free(&lines);
    lines = lines_of(s, (hn_run_filter){.limit = 2}, 2);
    assert_true(lines.rows[0].id == c && lines.rows[1].id == b);
    hn_run_lines_free(&lines);
    hn_test_ok(hn_run_tag(s, a, "best", &err), &err);
    hn_test_ok(hn_run_star(s, c, true, &err), &err);
    assert_int_equal(only(s, (hn_run_filter){.tag = "bes"}), a);
    hn_test_ok(hn_run_tag(s, b, "best", &err), &err);
    assert_int_equal(only(s, (hn_run_filter){.tag = "bes"}), b);
    assert_int_equal(only(s, (hn_run_filter){.starred = true}), c);
    assert_int_equal(only(s, (hn_run_filter){.state = "failed"}), c);
    assert_int_equal(only(s, (hn_run_filter){.split = "test"}), b);
    lines = lines_of(s, (hn_run_filter){.prompt = "%"}, 0); /* text, not a pattern */
    hn_run_lines_free(&lines);
    hn_test_ok(hn_run_link_add(s, c, a, "replay", &err), &err);
    hn_test_ok(hn_run_link_add(s, c, a, "replay", &err), &err);
    hn_run_links links;
    hn_test_ok(hn_run_links_load(s, a, &links, &err), &err);
    assert_int_equal(links.n, 1);
    hn_run_links_free(&links);
    assert_int_not_equal(hn_run_link_add(s, c, 999, "replay", &err), HN_OK);
    hn_store_close(s);
}

/* What a run, a file of a run or a summary names stays; so does what is young. */
static void garbage_is_what_nothing_names(void **state) {
    (void)state;
    hn_store *s = open_store("gc");
    hn_error err;
    char kept[65], summed[65], lost[65], *bytes;
    size_t n;
    hn_test_ok(hn_object_put(s, "kept", 4, kept, &err), &err);
    hn_test_ok(hn_object_put(s, "summed", 6, summed, &err), &err);
    hn_test_ok(hn_object_put(s, "lost", 4, lost, &err), &err);
    int64_t id = begin(s, "v1", "dev", HN_RUN_NEW);
    hn_run_file file = {"data.file", "x.csv", kept};
    hn_test_ok(hn_run_file_add(s, id, &file, 1, &err), &err);
    hn_prediction row = {.case_id = "a", .cache_key = "used"};
    hn_test_ok(hn_prediction_add(s, id, &row, 1, &err), &err);
    char summary[128];
    snprintf(summary, sizeof summary, "{\"report\":\"%s\"}", summed);
    hn_test_ok(hn_run_finish(s, id, summary, &err), &err);
    const char *keys[] = {"used", "unused"};
    json_t *value = json_pack("{s:i}", "a", 1), *values[] = {value, value}, *found;
    hn_test_ok(hn_cache_put(s, keys, values, 2, &err), &err);
    json_decref(value);
    hn_gc_result r;
    hn_gc_options young = {.min_age_ms = 3600000, .answers_age_ms = 3600000};
    hn_test_ok(hn_store_gc(s, &young, &r, &err), &err);
    assert_true(r.n_objects == 0 && r.n_answers == 0);
    hn_gc_options all = {.dry_run = true, .min_age_ms = -5000, .answers_age_ms = -5000};
    hn_test_ok(hn_store_gc(s, &all, &r, &err), &err);
    assert_true(r.n_objects == 1 && r.n_answers == 1 && r.file_bytes > 0 && r.answer_bytes > 0);
    hn_test_ok(hn_object_get(s, lost, &bytes, &n, &err), &err); /* only counted */
    hn_free(bytes);
    all.dry_run = false;
    hn_test_ok(hn_store_gc(s, &all, &r, &err), &err);
    assert_true(r.n_objects == 1 && r.n_answers == 1);
    assert_int_equal(hn_object_get(s, lost, &bytes, &n, &err), HN_ERR_NOT_FOUND);
    hn_test_ok(hn_object_get(s, kept, &bytes, &n, &err), &err);
    hn_free(bytes);
    hn_test_ok(hn_object_get(s, summed, &bytes, &n, &err), &err);
    hn_free(bytes);
    hn_test_ok(hn_cache_get(s, "used", &found, &err), &err);
    assert_non_null(found);
    json_decref(found);
    hn_test_ok(hn_cache_get(s, "unused", &found, &err), &err);
    assert_null(found);
    hn_store_close(s);
}

static void notes_and_stars_are_added_only(void **state) {
    (void)state;
    hn_store *s = open_store("notes");
    hn_error err;
    int64_t a = begin(s, "v1", "dev", HN_RUN_NEW);
    hn_test_ok(hn_note_add(s, a, "first", &err), &err);
    hn_test_ok(hn_note_add(s, 0, "of all", &err), &err);
    hn_test_ok(hn_note_add(s, a, "second", &err), &err);
    assert_int_equal(hn_note_add(s, a, " \n", &err), HN_ERR_USAGE);
    assert_int_not_equal(hn_note_add(s, 77, "of nobody", &err), HN_OK);
    const struct {
        int64_t run_id;
        size_t n;
    } wanted[] = {{a, 2}, {0, 1}, {HN_NOTES_ALL, 3}, {77, 0}};
    for (size_t i = 0; i < 4; i++) {
        hn_note_list list;
        hn_test_ok(hn_note_list_load(s, wanted[i].run_id, &list, &err), &err);
        assert_int_equal(list.n, wanted[i].n);
        hn_note_list_free(&list);
    }
    hn_run *run;
    for (int starred = 1; starred >= 0; starred--) {
        hn_test_ok(hn_run_star(s, a, starred, &err), &err);
        hn_test_ok(hn_run_find(s, "r1", &run, &err), &err);
        assert_int_equal(run->starred, starred);
        assert_int_equal(run->n_notes, 2);
        hn_run_free(run);
    }
    for (int n = 1;; n++) {
        hn_note_list list;
        hn_alloc_fail_at((size_t)n, false);
        hn_status st = hn_note_list_load(s, HN_NOTES_ALL, &list, &err);
        hn_alloc_fail_at(0, false);
        if (st == HN_OK) {
            hn_note_list_free(&list);
            break;
        }
        assert_int_equal(st, HN_ERR_MEMORY);
    }
    hn_store_close(s);
}

static void migrations_are_all_or_nothing(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    path_in(path, "m.db");
    hn_db *db;
    hn_error err;
    int64_t n;
    hn_test_ok(hn_db_open(path, &db, &err), &err);
    const hn_migration good[] = {{1, "001_a", "CREATE TABLE a (x); INSERT INTO a VALUES (1)"},
                                 {2, "002_b", "CREATE TABLE b (x); INSERT INTO b SELECT x + 1 FROM a"},
                                 {3, "003_c", "CREATE TABLE c (x); INSERT INTO no_such_table VALUES (1)"}};
    hn_test_ok(hn_migrate_with(db, good, 1, &err), &err);
    assert_int_not_equal(hn_migrate_with(db, good, 3, &err), HN_OK);
    assert_non_null(strstr(err.where, "003_c"));
    hn_test_ok(hn_db_number(db, "PRAGMA user_version", 0, &n, &err), &err);
    assert_int_equal(n, 2);
    hn_test_ok(hn_db_number(db, "SELECT x FROM b", 0, &n, &err), &err);
    assert_int_equal(n, 2);
    hn_test_ok(hn_db_number(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'c'", 0, &n, &err), &err);
    assert_int_equal(n, 0);
    /* a store from the future */
    assert_int_equal(hn_migrate_with(db, good, 1, &err), HN_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "version 2"));
    assert_true(strlen(err.hint) > 0);
    hn_db_close(db);
}

static void damage_is_an_error_with_a_remedy(void **state) {
    (void)state;
    char dir[HN_PATH_MAX], path[HN_PATH_MAX];
    hn_error err;
    hn_store *s = open_store("h");
    int64_t id = begin(s, "v1", "dev", HN_RUN_NEW);
    for (int64_t i = 0; i < 300; i++) {
        hn_prediction p = {.case_id = "c", .position = i, .text = "some text that fills the pages of the file"};
        hn_test_ok(hn_prediction_add(s, id, &p, 1, &err), &err);
    }
    hn_store_close(s);
    path_in(dir, "h");
    path_in(path, "h/store.db");
    size_t n;
    char *bytes = hn_test_read(path, &n);
    assert_true(n > 16384);
    hn_test_ok(hn_file_write_atomic(path, "this is not a database at all, but text", 39, &err), &err);
    assert_int_equal(hn_store_open(dir, &s, &err), HN_ERR_INPUT);
    assert_non_null(strstr(err.message, "damaged"));
    assert_true(strlen(err.hint) > 0);
    hn_rng rng;
    hn_rng_seed(&rng, 3, 0);
    for (int round = 0; round < 60; round++) { /* any damage: an error or rows, never a crash */
        char *copy = hn_alloc(n);
        assert_non_null(copy);
        memcpy(copy, bytes, n);
        size_t size = round % 3 == 0 ? (size_t)hn_rng_below(&rng, n) : n;
        for (int i = 0; i < 64; i++) copy[hn_rng_below(&rng, n)] = (char)hn_rng_next(&rng);
        hn_test_ok(hn_file_write_atomic(path, copy, size, &err), &err);
        hn_free(copy);
        hn_prediction_list list;
        if (hn_store_open(dir, &s, &err) != HN_OK) continue;
        if (hn_prediction_load(s, id, &list, &err) == HN_OK) hn_prediction_list_free(&list);
        hn_store_close(s);
    }
    hn_free(bytes);
}

static void a_full_disk_is_said(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    hn_db *db;
    hn_error err;
    int64_t n;
    path_in(path, "full.db");
    hn_test_ok(hn_db_open(path, &db, &err), &err);
    hn_test_ok(hn_db_exec(db, "CREATE TABLE t (x); PRAGMA max_page_count = 20", &err), &err);
    hn_status st = HN_OK;
    int saved = 0;
    while (st == HN_OK && saved < 1000) {
        st = hn_db_exec(db, "INSERT INTO t VALUES (zeroblob(3000))", &err);
        if (st == HN_OK) saved++;
    }
    assert_int_equal(st, HN_ERR_DISK_FULL);
    assert_true(strlen(err.hint) > 0);
    hn_test_ok(hn_db_number(db, "SELECT count(*) FROM t", 0, &n, &err), &err);
    assert_int_equal(n, saved);
    hn_db_close(db);
}

/* Runs as another user where the tests run as root, since root may write everywhere. */
static void a_folder_that_cannot_be_written_still_reads(void **state) {
    (void)state;
    hn_store *s = open_store("ro");
    begin(s, "v1", "dev", HN_RUN_NEW);
    hn_store_close(s);
    char dir[HN_PATH_MAX];
    path_in(dir, "ro");
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(chmod(dir, 0555), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        hn_error err;
        hn_run *run;
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) _exit(77);
        if (hn_store_open(dir, &s, &err) != HN_OK) {
            fprintf(stderr, "%s: %s\n", err.where, err.message);
            _exit(1);
        }
        if (!hn_store_is_read_only(s)) _exit(2);
        if (hn_run_find(s, "r1", &run, &err) != HN_OK) _exit(3);
        if (hn_run_tag(s, 1, "best", &err) != HN_ERR_IO || !*err.hint) _exit(4);
        char fresh[HN_PATH_MAX];
        snprintf(fresh, sizeof fresh, "%s/new", dir);
        hn_store *none;
        if (hn_store_open(fresh, &none, &err) == HN_OK) _exit(5);
        hn_run_free(run);
        hn_store_close(s);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    chmod(dir, 0755);
    if (WEXITSTATUS(status) == 77) skip();
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static hn_status one_life(const char *dir, hn_error *err) {
    hn_store *s;
    hn_run *run = NULL, *again = NULL;
    hn_run_start start;
    hn_prediction_list list = {0};
    json_t *value = NULL;
    char hash[65], *bytes = NULL;
    size_t n;
    HN_TRY(hn_store_open(dir, &s, err));
    hn_run_spec spec = spec_named("v1", "test");
    double p3[] = {0.5, 0.25, 0.25};
    hn_prediction row = {
        .case_id = "c", .target = "t", .value = "v", .probabilities = p3, .raw_logprobs = p3, .n_probabilities = 3};
    const char *key = "k";
    json_t *cached = json_pack("{s:i}", "x", 2);
    hn_status st = cached ? HN_OK : hn_fail_memory(err, 0);
    if (st != HN_OK) goto done;
    HN_GOTO(hn_run_begin(s, &spec, true, &run, &start, err), done);
    HN_GOTO(hn_prediction_add(s, run->id, &row, 1, err), done);
    HN_GOTO(hn_cache_put(s, &key, &cached, 1, err), done);
    HN_GOTO(hn_cache_get(s, key, &value, err), done);
    HN_GOTO(hn_run_finish(s, run->id, "{}", err), done);
    HN_GOTO(hn_prediction_load(s, run->id, &list, err), done);
    if (list.n != 1 || strcmp(list.rows[0].value, "v") != 0 || !value) st = HN_ERR_INTERNAL;
    if (st != HN_OK) goto done;
    HN_GOTO(hn_run_find(s, "last", &again, err), done);
    if (!again->spec.prompt_name || !again->spec.metric || !again->summary_json)
        st = HN_ERR_INTERNAL; /* memory that ran out is not a null */
    if (st != HN_OK) goto done;
    HN_GOTO(hn_object_put(s, "abcd", 4, hash, err), done);
    HN_GOTO(hn_object_get(s, hash, &bytes, &n, err), done);
done:
    hn_free(bytes);
    json_decref(cached);
    json_decref(value);
    hn_prediction_list_free(&list);
    hn_run_free(run);
    hn_run_free(again);
    hn_store_close(s);
    return st;
}

/* SQLite's memory through base/alloc, so that its allocations fail too: a size in front of each block. */
static void *route_malloc(int n) {
    int64_t *block = hn_alloc((size_t)n + 16);
    if (!block) return NULL;
    block[0] = n;
    return block + 2;
}
static void route_free(void *p) {
    if (p) hn_free((int64_t *)p - 2);
}
static int route_size(void *p) { return p ? (int)((int64_t *)p)[-2] : 0; }
static void *route_realloc(void *p, int n) {
    int64_t *block = hn_realloc(p ? (int64_t *)p - 2 : NULL, (size_t)n + 16);
    if (!block) return NULL;
    block[0] = n;
    return block + 2;
}
static int route_round(int n) { return (n + 7) & ~7; }
static int route_init(void *p) {
    (void)p;
    return SQLITE_OK;
}
static void route_shutdown(void *p) { (void)p; }

static void memory_that_runs_out_is_a_status(void **state) {
    (void)state;
    char dir[HN_PATH_MAX];
    hn_error err;
    path_in(dir, "oom");
    hn_test_ok(one_life(dir, &err), &err); /* the first time, so that the schema is there and each round is short */
    size_t n = 1, failures = 0;
    for (;; n += n < 400 ? 1 : 7) {
        hn_alloc_fail_at(n, n % 2 == 0);
        hn_status st = one_life(dir, &err);
        size_t tried = hn_alloc_count();
        hn_alloc_fail_at(0, false);
        if (st == HN_ERR_INTERNAL) fail_msg("allocation %zu: %s", n, err.message);
        if (st != HN_OK) failures++;
        if (st == HN_OK && tried < n) break;
        assert_true(n < 100000);
    }
    assert_true(failures > 50);
    hn_test_ok(one_life(dir, &err), &err);
    assert_int_equal(number_of("oom", "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
}

int main(void) {
    hn_json_init();
    static const sqlite3_mem_methods routed = {route_malloc, route_free, route_realloc,  route_size,
                                               route_round,  route_init, route_shutdown, NULL};
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &routed) != SQLITE_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(predictions_come_back_bit_for_bit),
        cmocka_unit_test(a_content_id_is_one_run),
        cmocka_unit_test(runs_are_found_by_all_their_names),
        cmocka_unit_test(the_cache_keeps_the_first_answer),
        cmocka_unit_test(objects_are_checked_against_their_name),
        cmocka_unit_test(two_processes_share_a_store),
        cmocka_unit_test(two_processes_create_a_store_at_once),
        cmocka_unit_test(kill_loses_nothing_that_was_reported),
        cmocka_unit_test(the_first_schema_is_brought_up_to_date),
        cmocka_unit_test(the_second_schema_is_brought_up_to_date),
        cmocka_unit_test(the_third_schema_is_brought_up_to_date),
        cmocka_unit_test(lists_follow_what_happens),
        cmocka_unit_test(garbage_is_what_nothing_names),
        cmocka_unit_test(notes_and_stars_are_added_only),
        cmocka_unit_test(migrations_are_all_or_nothing),
        cmocka_unit_test(damage_is_an_error_with_a_remedy),
        cmocka_unit_test(a_full_disk_is_said),
        cmocka_unit_test(a_folder_that_cannot_be_written_still_reads),
        cmocka_unit_test(memory_that_runs_out_is_a_status),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
