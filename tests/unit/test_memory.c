/* The project's memory over a scripted provider: what a run was made from is kept and read back when the files have changed since, and two runs
 * are set side by side. */
#include "fake_provider.h"
#include "support.h"
#include "test_project.h"

#include "base/alloc.h"
#include "lifecycle/eval/eval.h"
#include "lifecycle/iterate/compare.h"
#include "lifecycle/iterate/history.h"
#include "lifecycle/iterate/kept_project.h"
#include "lifecycle/iterate/run_diff.h"
#include "lifecycle/iterate/run_replay.h"

#include <stdio.h>
#include <string.h>

static char folder[HN_PATH_MAX];
static hn_test_project project;
static const char good_yaml[] =
    "messages: [{system: \"Sort the fruit.\"}, {user: \"good {{ text }}\"}]\nanswer: likelihood\n";
static const char bad_yaml[] = "messages: [{user: \"bad {{ text }} please\"}]\nanswer: likelihood\ncalibrate: none\n";

static int make_project(void **state) {
    (void)state;
    return hn_test_project_begin(&project, folder);
}

static int remove_project(void **state) {
    (void)state;
    return hn_test_project_end(&project, folder);
}

static double score(const char *prompt, const char *label) {
    if (strstr(prompt, "bad")) return strcmp(label, "pear") == 0 ? -0.5 : -2;
    return strstr(prompt, label) ? -0.25 : strcmp(label, "apple") == 0 ? -1 : -4;
}

static int64_t evaluate(const char *name, const char *yaml) {
    hn_prompt *prompt;
    hn_eval_result r;
    hn_error err;
    hn_fake_script script = {.score = score, .per_step = 5};
    hn_provider *provider = hn_fake_provider(&script);
    hn_eval_setup setup = {.project = project.project,
                           .dataset = project.dataset,
                           .store = project.store,
                           .provider = provider,
                           .split = HN_SPLIT_DEV};
    hn_test_project_prompt(&project, name, yaml, &prompt);
    hn_test_ok(hn_eval_run(&setup, prompt, NULL, NULL, &r, &err), &err);
    int64_t id = r.run->id;
    hn_eval_result_free(&r);
    hn_prompt_free(prompt);
    hn_provider_close(provider);
    return id;
}

static hn_run *find(int64_t id) {
    char name[32];
    hn_run *run;
    hn_error err;
    snprintf(name, sizeof name, "r%lld", (long long)id);
    hn_test_ok(hn_run_find(project.store, name, &run, &err), &err);
    return run;
}

/* Rewrites a file of the project and opens it again. */
static void rewrite(const char *name, const char *find_text, const char *replace) {
    char path[HN_PATH_MAX], inside[HN_PATH_MAX];
    size_t n;
    hn_error err;
    hn_buf out;
    hn_test_ok(hn_path_join(path, project.folder, name, &err), &err);
    char *text = hn_test_read(path, &n), *at = strstr(text, find_text);
    assert_non_null(at);
    hn_buf_init(&out, 0);
    hn_buf_append(&out, text, (size_t)(at - text));
    hn_buf_append_str(&out, replace);
    hn_buf_append_str(&out, at + strlen(find_text));
    hn_test_ok(hn_file_write_atomic(path, out.data, out.len, &err), &err);
    hn_buf_free(&out);
    hn_free(text);
    snprintf(inside, sizeof inside, "%s", project.folder);
    hn_test_project_close(&project);
    hn_test_project_open(&project, inside);
}

static void files_of_a_run_are_kept(void **state) {
    (void)state;
    int64_t id = evaluate("v1", good_yaml);
    char before[65], target[32];
    snprintf(before, sizeof before, "%s", project.dataset->hash);
    snprintf(target, sizeof target, "%s", hn_dataset_find(project.dataset, "c0")->target);
    rewrite("cases.csv", "c0,\"case 0", "c0,\"changed 0");
    assert_string_not_equal(project.dataset->hash, before);
    hn_run *run = find(id);
    hn_kept_project kept;
    const hn_dataset *data;
    hn_error err;
    hn_test_ok(hn_kept_open(project.store, run, &kept, &err), &err);
    hn_test_ok(hn_project_dataset(kept.project, &data, &err), &err);
    assert_string_equal(data->hash, before);
    assert_string_equal(data->hash, run->spec.dataset_hash);
    assert_string_equal(hn_project_scope_hash(kept.project), run->spec.scope_hash);
    hn_prompt *prompt;
    hn_test_ok(hn_prompt_load(kept.prompt_path, hn_project_scope(kept.project), data, &prompt, &err), &err);
    assert_string_equal(prompt->hash, run->spec.prompt_hash);
    hn_prompt_free(prompt);
    char gone[HN_PATH_MAX];
    snprintf(gone, sizeof gone, "%s", kept.folder);
    hn_kept_close(&kept);
    assert_false(hn_file_is_dir(gone));
    hn_run_free(run);
}

static const json_t *change_of(const json_t *list, const char *what) {
    size_t i;
    json_t *row;
    json_array_foreach(list, i, row) if (strcmp(json_string_value(json_object_get(row, "what")), what) == 0) return row;
    return NULL;
}

static json_int_t count(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

static void runs_stand_side_by_side(void **state) {
    (void)state;
    int64_t a = evaluate("good", good_yaml);
    rewrite("cases.csv", "c1,", "d1,"); /* one case goes, another comes */
    int64_t b = evaluate("bad", bad_yaml);
    char name_a[32], name_b[32];
    json_t *diff;
    hn_error err;
    snprintf(name_a, sizeof name_a, "r%lld", (long long)a);
    snprintf(name_b, sizeof name_b, "r%lld", (long long)b);
    hn_diff_setup setup = {project.store, name_a, name_b, project.dataset, hn_project_scope_hash(project.project),
                           NULL};
    hn_test_ok(hn_run_diff(&setup, &diff, &err), &err);
    const json_t *prompt = json_object_get(diff, "prompt"), *data = json_object_get(diff, "data");
    assert_non_null(change_of(prompt, "system message"));
    const json_t *user = change_of(prompt, "user message"), *pieces = json_object_get(user, "pieces");
    assert_string_equal(json_string_value(json_object_get(json_array_get(pieces, 0), "text")), "good");
    assert_string_equal(json_string_value(json_object_get(json_array_get(pieces, 1), "text")), "bad");
    assert_non_null(change_of(prompt, "calibrate"));
    assert_null(change_of(prompt, "answer"));
    assert_true(json_is_true(json_object_get(data, "known")) && json_is_false(json_object_get(data, "same")));
    assert_int_equal(count(data, "added"), 1);
    assert_int_equal(count(data, "removed"), 1);
    assert_int_equal(count(data, "changed"), 0);
    const json_t *answers = json_object_get(diff, "answers"), *cases = json_object_get(answers, "cases");
    json_int_t n = count(answers, "won") + count(answers, "lost") + count(answers, "other");
    assert_int_equal(json_array_size(cases), n);
    assert_true(count(answers, "lost") > 0 && count(answers, "shared") >= n);
    /* those that changed sides first, each with its text */
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *row = json_array_get(cases, i), *x = json_object_get(row, "a"), *y = json_object_get(row, "b");
        bool flipped = json_is_true(json_object_get(x, "right")) != json_is_true(json_object_get(y, "right"));
        assert_true(flipped == ((json_int_t)i < count(answers, "won") + count(answers, "lost")));
        assert_non_null(strstr(json_string_value(json_object_get(row, "text")), "it is round"));
    }
    json_decref(diff);
}

static void a_diff_survives_lack_of_memory(void **state) {
    (void)state;
    evaluate("good", good_yaml);
    evaluate("bad", bad_yaml);
    hn_diff_setup setup = {project.store, "r1", "r2", project.dataset, hn_project_scope_hash(project.project), NULL};
    json_t *diff = NULL;
    hn_error err;
    hn_status st = HN_ERR_MEMORY;
    for (size_t n = 1; st != HN_OK; n += 1 + n / 40) {
        hn_alloc_fail_at(n, false);
        st = hn_run_diff(&setup, &diff, &err);
        hn_alloc_fail_at(0, false);
        if (st != HN_OK) assert_int_equal(st, HN_ERR_MEMORY);
    }
    json_decref(diff);
}

static const json_t *entry_of(const json_t *history, const char *kind, const char *run) {
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(history, "entries"), i, row) {
        const char *name = json_string_value(json_object_get(row, "run"));
        bool named = !run || (name && strcmp(name, run) == 0);
        if (named && strcmp(json_string_value(json_object_get(row, "kind")), kind) == 0) return row;
    }
    return NULL;
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    assert_non_null(text);
    return text;
}

/* Each prompt is held against the one it is most like; repeats are no lesson; the verdicts are those of hone compare. */
static void a_history_is_one_line_a_lesson(void **state) {
    (void)state;
    static const char better_yaml[] = "messages: [{user: \"good {{ text }} please\"}]\nanswer: likelihood\n";
    static const char prior_yaml[] =
        "messages: [{user: \"good {{ text }} please\"}]\nanswer: likelihood\ncalibrate: prior\n";
    hn_error err;
    evaluate("bad", bad_yaml);
    hn_test_ok(hn_note_add(project.store, 1, "pears only", &err), &err);
    evaluate("better", better_yaml);
    evaluate("prior", prior_yaml);
    evaluate("bad", bad_yaml); /* unchanged: the same run */
    json_t *history;
    hn_history_setup setup = {project.store, project.scope, project.dataset, 0};
    hn_test_ok(hn_history_make(&setup, &history, &err), &err);
    const json_t *first = entry_of(history, "run", "r1"), *second = entry_of(history, "run", "r2"),
                 *third = entry_of(history, "run", "r3");
    assert_non_null(entry_of(history, "baselines", NULL));
    assert_string_equal(text_of(entry_of(history, "note", NULL), "text"), "pears only");
    assert_null(json_object_get(first, "against"));
    assert_string_equal(text_of(second, "against"), "r1");
    hn_run *a = find(1), *b = find(2);
    hn_short_verdict said;
    hn_test_ok(hn_compare_verdict(project.store, a, b, project.scope, &said, &err), &err);
    const hn_verdict v = said.verdict;
    hn_comparison c;
    hn_test_ok(hn_compare_runs(project.store, "r1", "r2", project.scope, &c, &err), &err);
    assert_true(c.verdict.kind == v.kind && c.verdict.p == v.p && c.verdict.difference.low == v.difference.low);
    assert_string_equal(text_of(second, "verdict"), hn_verdict_name(v.kind));
    assert_string_equal(text_of(second, "verdict"), "better");
    assert_non_null(strstr(text_of(second, "lesson"), "points, certain"));
    assert_non_null(strstr(text_of(second, "lesson"), "user message reworded (1 words out, 1 in)"));
    assert_string_equal(text_of(third, "against"), "r2");
    assert_non_null(strstr(text_of(third, "lesson"), "prior correction added: "));
    assert_int_equal(json_array_size(json_object_get(json_object_get(history, "lessons"), "helped")), 1);
    hn_buf md;
    hn_buf_init(&md, 0);
    hn_history_markdown(history, &md);
    assert_non_null(strstr(hn_buf_str(&md), "note (r1): pears only"));
    hn_buf_free(&md);
    hn_comparison_free(&c);
    hn_run_free(a);
    hn_run_free(b);
    json_decref(history);
    hn_status st = HN_ERR_MEMORY;
    for (size_t n = 1; st != HN_OK; n += 1 + n / 30) {
        hn_alloc_fail_at(n, false);
        st = hn_history_make(&setup, &history, &err);
        hn_alloc_fail_at(0, false);
        if (st != HN_OK) assert_int_equal(st, HN_ERR_MEMORY);
    }
    json_decref(history);
}

/* A little more of everything, as another order of additions gives. */
static double score_nudged(const char *prompt, const char *label) { return score(prompt, label) * (1 + 1e-13); }

static hn_status replay_with(int64_t id, hn_fake_script script, size_t limit, hn_replay *r, hn_error *err) {
    hn_run *run = find(id);
    hn_provider *provider = hn_fake_provider(&script);
    hn_status st = hn_replay_run(&(hn_replay_setup){project.store, run, provider, limit}, NULL, NULL, r, err);
    hn_provider_close(provider);
    hn_run_free(run);
    return st;
}

static void a_replay_uses_what_was_kept(void **state) {
    (void)state;
    hn_replay r;
    hn_error err;
    int64_t id = evaluate("good", good_yaml), other = evaluate("bad", bad_yaml);
    rewrite("cases.csv", "it is round", "it is square"); /* today's data and prompts are others */
    rewrite("prompts/good.yaml", "good", "bad");
    hn_test_ok(replay_with(id, (hn_fake_script){.score = score, .per_step = 3}, 0, &r, &err), &err);
    assert_true(r.same_path && r.n > 10 && r.n_same == r.n && r.n_agree == r.n && r.n_changes == 0 && r.largest == 0);
    assert_string_equal(r.after.run->kind, "replay");
    int64_t again = r.after.run->id;
    assert_true(again != id && again != other);
    hn_replay_free(&r);
    hn_run_links links;
    hn_test_ok(hn_run_links_load(project.store, id, &links, &err), &err);
    assert_true(links.n == 1 && links.rows[0].run_id == again && links.rows[0].parent_id == id);
    assert_string_equal(links.rows[0].role, "replay");
    hn_run_links_free(&links);

    hn_test_ok(replay_with(id, (hn_fake_script){.score = score_nudged}, 5, &r, &err), &err);
    assert_true(r.same_path && r.n == 5 && r.n_same == 0 && r.n_agree == 5 && r.n_changes == 5);
    assert_true(r.largest > 0 && r.largest < 1e-11);
    assert_string_equal(r.changes[0].what, "likelihoods");
    json_t *value;
    hn_run *run = find(id);
    hn_test_ok(hn_replay_json(&r, run, &value, &err), &err);
    assert_true(json_is_false(json_object_get(value, "same_bits")));
    assert_int_equal(json_array_size(json_object_get(value, "changes")), 5);
    json_decref(value);
    hn_run_free(run);
    hn_replay_free(&r);

    hn_test_ok(replay_with(id, (hn_fake_script){.score = score, .numeric_path = "other"}, 4, &r, &err), &err);
    assert_true(!r.same_path && r.n_agree == 4);
    hn_replay_free(&r);
    assert_int_equal(replay_with(id, (hn_fake_script){.score = score, .model_hash = "beef"}, 0, &r, &err),
                     HN_ERR_INPUT);
    assert_non_null(strstr(err.message, "it ran on"));
}

int main(void) {
    hn_json_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_of_a_run_are_kept, make_project, remove_project),
        cmocka_unit_test_setup_teardown(runs_stand_side_by_side, make_project, remove_project),
        cmocka_unit_test_setup_teardown(a_history_is_one_line_a_lesson, make_project, remove_project),
        cmocka_unit_test_setup_teardown(a_replay_uses_what_was_kept, make_project, remove_project),
        cmocka_unit_test_setup_teardown(a_diff_survives_lack_of_memory, make_project, remove_project),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
