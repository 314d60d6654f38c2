/* Releases in the store: numbers and which is current, history that rolling back keeps, checks, gc, and a store of the fourth schema. */
#include "support.h"

#include "base/alloc.h"
#include "store/migrate.h"
#include "store/release.h"

#include <stdio.h>
#include <string.h>

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

static hn_store *open_store(const char *name) {
    char dir[HN_PATH_MAX];
    hn_store *store;
    hn_error err;
    hn_test_ok(hn_path_join(dir, folder, name, &err), &err);
    hn_test_ok(hn_store_open(dir, &store, &err), &err);
    return store;
}

static int64_t add_run(hn_store *s, const char *prompt) {
    hn_run_spec spec = {.kind = "eval", .prompt_name = prompt, .prompt_hash = prompt, .split = "dev", .n_cases = 1};
    hn_run *run;
    hn_run_start start;
    hn_error err;
    hn_test_ok(hn_run_begin(s, &spec, false, &run, &start, &err), &err);
    int64_t id = run->id;
    hn_run_free(run);
    return id;
}

static hn_release of_run(const char *name, int64_t run_id, const char *forced) {
    return (hn_release){.name = name,
                        .run_id = run_id,
                        .content_id = "aa",
                        .manifest_json = "{\"run\":1}",
                        .evidence_json = "{}",
                        .forced = forced};
}

static void expect_current(hn_store *s, const char *name, int64_t number) {
    hn_release_list list;
    hn_error err;
    hn_test_ok(hn_release_find(s, name, &list, &err), &err);
    assert_int_equal(list.n, 1);
    assert_int_equal(list.rows[0].number, number);
    hn_release_list_free(&list);
}

static void the_last_event_says_which_is_current(void **state) {
    (void)state;
    hn_store *s = open_store("current");
    hn_error err;
    hn_release_list list;
    int64_t run = add_run(s, "a");
    hn_release a = of_run("router", run, NULL), b = of_run("router", run, "it is urgent"),
               c = of_run("other", run, NULL);
    assert_int_equal(hn_release_find(s, "router", &list, &err), HN_ERR_NOT_FOUND);
    hn_test_ok(hn_release_add(s, &a, &err), &err);
    hn_test_ok(hn_release_add(s, &b, &err), &err);
    hn_test_ok(hn_release_add(s, &c, &err), &err);
    assert_true(a.number == 1 && b.number == 2 && c.number == 1);
    expect_current(s, "router", 2);
    expect_current(s, "router@1", 1);
    hn_test_ok(hn_release_make_current(s, a.id, &err), &err);
    expect_current(s, "router", 1);
    expect_current(s, "router@2", 2);
    expect_current(s, "other", 1);
    hn_test_ok(hn_release_load(s, NULL, &list, &err), &err); /* by name, newest first, all kept */
    assert_int_equal(list.n, 3);
    assert_string_equal(list.rows[0].name, "other");
    assert_true(list.rows[1].number == 2 && !list.rows[1].current && list.rows[2].current);
    assert_string_equal(list.rows[1].forced, "it is urgent");
    assert_null(list.rows[2].forced);
    assert_string_equal(list.rows[2].manifest_json, "{\"run\":1}");
    hn_release_list_free(&list);
    hn_release d = of_run("router", run, NULL); /* a new one after going back has the next number */
    hn_test_ok(hn_release_add(s, &d, &err), &err);
    assert_int_equal(d.number, 3);
    expect_current(s, "router", 3);
    hn_store_close(s);
}

static void names_that_are_none_say_what_is_there(void **state) {
    (void)state;
    hn_store *s = open_store("names");
    hn_error err;
    hn_release_list list;
    hn_release a = of_run("router", add_run(s, "a"), NULL), lost = of_run("router", 999, NULL);
    hn_test_ok(hn_release_add(s, &a, &err), &err);
    const char *const wrong[] = {"",          "@",        "@1",        "router@", "router@0",
                                 "router@-1", "router@2", "router@1x", "rooter",  "router@99999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(hn_release_find(s, wrong[i], &list, &err), HN_ERR_NOT_FOUND);
        assert_non_null(strstr(err.hint, "router@1"));
    }
    char huge[400];
    memset(huge, 'x', sizeof huge - 1);
    huge[sizeof huge - 1] = 0;
    assert_int_equal(hn_release_find(s, huge, &list, &err), HN_ERR_NOT_FOUND);
    assert_int_not_equal(hn_release_add(s, &lost, &err), HN_OK); /* of a run that is not there */
    hn_test_ok(hn_release_load(s, NULL, &list, &err), &err);
    assert_int_equal(list.n, 1);
    hn_release_list_free(&list);
    hn_store_close(s);
}

static void checks_are_kept_and_the_newest_is_shown(void **state) {
    (void)state;
    hn_store *s = open_store("checks");
    hn_error err;
    hn_release_list list;
    hn_release a = of_run("router", add_run(s, "a"), NULL);
    hn_test_ok(hn_release_add(s, &a, &err), &err);
    hn_test_ok(hn_release_find(s, "router", &list, &err), &err);
    assert_true(list.rows[0].checked_ms == 0 && !list.rows[0].check_json);
    hn_release_list_free(&list);
    hn_test_ok(hn_release_check_add(s, a.id, true, "{\"n\":4}", &err), &err);
    hn_test_ok(hn_release_check_add(s, a.id, false, "{\"n\":5}", &err), &err);
    hn_test_ok(hn_release_find(s, "router", &list, &err), &err);
    assert_true(list.rows[0].checked_ms > 0 && !list.rows[0].passed);
    assert_string_equal(list.rows[0].check_json, "{\"n\":5}");
    hn_release_list_free(&list);
    hn_store_close(s);
}

/* An object that only a release's manifest names is needed. */
static void gc_leaves_what_a_release_names(void **state) {
    (void)state;
    hn_store *s = open_store("gc");
    hn_error err;
    char kept[65], lost[65], manifest[128], *bytes;
    size_t n;
    hn_test_ok(hn_object_put(s, "kept", 4, kept, &err), &err);
    hn_test_ok(hn_object_put(s, "lost", 4, lost, &err), &err);
    snprintf(manifest, sizeof manifest, "{\"prompt_object\":\"%s\"}", kept);
    hn_release a = of_run("router", add_run(s, "a"), NULL);
    a.manifest_json = manifest;
    hn_test_ok(hn_release_add(s, &a, &err), &err);
    hn_gc_options options = {.min_age_ms = -10000, .answers_age_ms = -10000};
    hn_gc_result result;
    hn_test_ok(hn_store_gc(s, &options, &result, &err), &err);
    assert_int_equal(result.n_objects, 1);
    hn_test_ok(hn_object_get(s, kept, &bytes, &n, &err), &err);
    hn_free(bytes);
    assert_int_not_equal(hn_object_get(s, lost, &bytes, &n, &err), HN_OK);
    hn_store_close(s);
}

/* A store of the fourth schema, with a run, its answer, tag and note: all is there afterwards, and the run can be released. */
static void the_fourth_schema_is_brought_up_to_date(void **state) {
    (void)state;
    char dir[HN_PATH_MAX], path[HN_PATH_MAX];
    hn_error err;
    hn_db *db;
    hn_test_ok(hn_path_join(dir, folder, "fourth", &err), &err);
    hn_test_ok(hn_dir_create(dir, &err), &err);
    hn_test_ok(hn_path_join(path, dir, "store.db", &err), &err);
    hn_test_ok(hn_db_open(path, &db, &err), &err);
    hn_test_ok(hn_migrate_with(db, hn_migrations, 4, &err), &err);
    hn_test_ok(hn_db_exec(db,
                          "INSERT INTO run (id, content_id, n_cases, kind) VALUES (7, 'aa', 1, 'eval');"
                          "INSERT INTO prediction (run_id, position, case_id, correct, prompt_tokens, "
                          "completion_tokens, from_cache, value, cost) VALUES (7, 0, 'a', 1, 3, 4, 0, 'x', 0.5)",
                          &err),
               &err);
    hn_db_close(db);
    hn_store *s = open_store("fourth");
    hn_prediction_list rows;
    hn_test_ok(hn_prediction_load(s, 7, &rows, &err), &err);
    assert_true(rows.n == 1 && rows.rows[0].cost == 0.5);
    assert_string_equal(rows.rows[0].value, "x");
    hn_prediction_list_free(&rows);
    hn_release a = of_run("router", 7, NULL);
    hn_test_ok(hn_release_add(s, &a, &err), &err);
    expect_current(s, "router", 1);
    hn_store_close(s);
}

static hn_status one_life(hn_store *s, int64_t run, hn_error *err) {
    hn_release_list list;
    hn_release a = of_run("router", run, "why");
    HN_TRY(hn_release_add(s, &a, err));
    HN_TRY(hn_release_check_add(s, a.id, true, "{}", err));
    HN_TRY(hn_release_find(s, "router", &list, err));
    hn_release_list_free(&list);
    HN_TRY(hn_release_load(s, NULL, &list, err));
    hn_release_list_free(&list);
    return HN_OK;
}

static void memory_that_runs_out_is_a_status(void **state) {
    (void)state;
    hn_store *s = open_store("oom");
    hn_error err;
    int64_t run = add_run(s, "a");
    size_t failures = 0;
    for (size_t n = 1;; n++) {
        hn_alloc_fail_at(n, false);
        hn_status st = one_life(s, run, &err);
        size_t tried = hn_alloc_count();
        hn_alloc_fail_at(0, false);
        failures += st != HN_OK;
        if (st == HN_OK && tried < n) break;
        assert_true(n < 2000);
    }
    assert_true(failures > 0);
    hn_store_close(s);
}

int main(void) {
    hn_json_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_event_says_which_is_current),
        cmocka_unit_test(names_that_are_none_say_what_is_there),
        cmocka_unit_test(checks_are_kept_and_the_newest_is_shown),
        cmocka_unit_test(gc_leaves_what_a_release_names),
        cmocka_unit_test(the_fourth_schema_is_brought_up_to_date),
        cmocka_unit_test(memory_that_runs_out_is_a_status),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
