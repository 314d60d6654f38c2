/* project/examples: each way to pick, what is never shown, determinism; and the example project's own files, loaded and rendered. */
#include "support.h"

#include "base/alloc.h"
#include "project/prompt.h"

#include <stdio.h>
#include <string.h>

static char *names[] = {"red", "green", "blue"};
static const hn_contract contract = {.kind = HN_CONTRACT_CHOICE, .labels = names, .n_labels = 3};
static hn_dataset *dataset; /* 30 cases: c0 to c29; class i % 3, group i / 2; the last 6 are dev */

static hn_example_pool *make_pool(void) {
    hn_example_pool *pool;
    hn_error err = {0};
    hn_test_ok(hn_example_pool_create(dataset, &contract, &pool, &err), &err);
    return pool;
}

/* Ids of what is picked for case `at`, joined by spaces. */
static const char *picks(const hn_example_pool *pool, const hn_prompt *p, const hn_case *c) {
    static char out[2000];
    const hn_case *picked[100];
    size_t n, used = 0;
    hn_error err = {0};
    hn_test_ok(hn_example_pick(pool, p, c, picked, &n, &err), &err);
    assert_true(n <= (size_t)p->n_examples);
    *out = 0;
    for (size_t i = 0; i < n; i++) {
        used += (size_t)snprintf(out + used, sizeof out - used, "%s%s", i ? " " : "", picked[i]->id);
        assert_int_equal(picked[i]->split, HN_SPLIT_TRAIN);
        assert_ptr_not_equal(picked[i], c);
        assert_true(!c->group || strcmp(picked[i]->group, c->group) != 0);
        assert_true(picked[i]->input_hash != c->input_hash);
        for (size_t k = 0; k < i; k++) assert_ptr_not_equal(picked[i], picked[k]);
    }
    return out;
}

static void fixed_keep_their_order(void **state) {
    (void)state;
    char *ids[] = {"c7", "c2", "c11"};
    hn_prompt p = {.pick = HN_PICK_FIXED, .n_examples = 3, .fixed_ids = ids};
    hn_example_pool *pool = make_pool();
    assert_string_equal(picks(pool, &p, &dataset->cases[28]), "c7 c2 c11");
    assert_string_equal(picks(pool, &p, &dataset->cases[2]), "c7 c11"); /* not itself */
    assert_string_equal(picks(pool, &p, &dataset->cases[10]), "c7 c2"); /* not one of its group */
    hn_example_pool_free(pool);
}

static void random_is_seeded_and_shared(void **state) {
    (void)state;
    hn_prompt p = {.pick = HN_PICK_RANDOM, .n_examples = 5, .example_seed = 1};
    hn_example_pool *pool = make_pool(), *again = make_pool();
    char first[200];
    snprintf(first, sizeof first, "%s", picks(pool, &p, &dataset->cases[28]));
    assert_string_equal(picks(again, &p, &dataset->cases[28]), first);
    assert_string_equal(picks(pool, &p, &dataset->cases[26]), first); /* the same for other cases */
    p.example_seed = 2;
    assert_string_not_equal(picks(pool, &p, &dataset->cases[28]), first);
    p.n_examples = 100;
    const hn_case *picked[100];
    size_t n;
    hn_error err = {0};
    hn_test_ok(hn_example_pick(pool, &p, &dataset->cases[0], picked, &n, &err), &err);
    assert_int_equal(n, 22); /* 24 in train, less itself and the other one of its group */
    hn_example_pool_free(pool);
    hn_example_pool_free(again);
}

static void balanced_has_each_label(void **state) {
    (void)state;
    hn_prompt p = {.pick = HN_PICK_BALANCED, .n_examples = 7, .example_seed = 4};
    hn_example_pool *pool = make_pool();
    const hn_case *picked[7];
    size_t n, counts[3] = {0};
    hn_error err = {0};
    picks(pool, &p, &dataset->cases[28]);
    hn_test_ok(hn_example_pick(pool, &p, &dataset->cases[28], picked, &n, &err), &err);
    assert_int_equal(n, 7);
    for (size_t i = 0; i < 7; i++) counts[picked[i]->label]++;
    for (size_t i = 0; i < 3; i++) assert_true(counts[i] == 2 || counts[i] == 3);
    for (size_t i = 0; i + 3 <= 6; i += 3)
        assert_true(picked[i]->label != picked[i + 1]->label && picked[i + 1]->label != picked[i + 2]->label);
    hn_example_pool_free(pool);
}

static void nearest_are_similar_and_last_is_best(void **state) {
    (void)state;
    hn_prompt p = {.pick = HN_PICK_NEAREST, .n_examples = 2};
    hn_example_pool *pool = make_pool();
    json_t *inputs = json_pack("{s:s}", "x", "word4 word5 word4 thing");
    hn_case asked = {.id = "outside", .inputs = inputs, .label = -1, .input_hash = 1};
    const hn_case *picked[2];
    size_t n;
    hn_error err = {0};
    hn_test_ok(hn_example_pick(pool, &p, &asked, picked, &n, &err), &err);
    assert_int_equal(n, 2);
    assert_string_equal(picked[1]->id, "c4"); /* it has word4 and word5 */
    picks(pool, &p, &dataset->cases[5]);
    json_decref(inputs);
    hn_example_pool_free(pool);
}

static void an_empty_pool_has_no_examples(void **state) {
    (void)state;
    hn_data_table *t;
    hn_dataset *d;
    hn_example_pool *pool;
    hn_error err = {0};
    hn_test_ok(hn_data_table_parse("t.csv", "x,y\na,red\n", 10, &t, &err), &err);
    hn_test_ok(hn_dataset_build(&(hn_dataset_source){t, HN_SPLIT_DEV}, 1, &(hn_columns){.target = "y"}, &d, &err),
               &err);
    hn_data_table_free(t);
    hn_test_ok(hn_example_pool_create(d, &contract, &pool, &err), &err);
    static const hn_pick kinds[] = {HN_PICK_NONE, HN_PICK_RANDOM, HN_PICK_BALANCED, HN_PICK_NEAREST};
    for (size_t i = 0; i < 4; i++) {
        hn_prompt p = {.pick = kinds[i], .n_examples = 3};
        assert_string_equal(picks(pool, &p, d->cases), "");
    }
    hn_example_pool_free(pool);
    hn_dataset_free(d);
}

static void out_of_memory_is_a_status(void **state) {
    (void)state;
    static const hn_pick kinds[] = {HN_PICK_RANDOM, HN_PICK_BALANCED, HN_PICK_NEAREST};
    for (size_t k = 0; k < 3; k++) {
        hn_prompt p = {.pick = kinds[k], .n_examples = 3};
        for (size_t n = 1;; n++) {
            hn_example_pool *pool = NULL;
            const hn_case *picked[3];
            size_t n_picked;
            hn_error err = {0};
            hn_alloc_fail_at(n, true);
            hn_status st = hn_example_pool_create(dataset, &contract, &pool, &err);
            if (st == HN_OK) st = hn_example_pick(pool, &p, dataset->cases, picked, &n_picked, &err);
            hn_alloc_fail_at(0, false);
            hn_example_pool_free(pool);
            if (st == HN_OK) break;
            assert_int_equal(st, HN_ERR_MEMORY);
        }
    }
}

/* examples/tickets as a user gets it: its scope, its splits, and each of its prompts with examples. */
static void the_example_project_is_sound(void **state) {
    (void)state;
    static const char *const prompts[] = {"1-vague",     "2-instructions", "3-descriptions",
                                          "4-reasoning", "5-plain",        "6-nearest"};
    hn_project *project;
    const hn_dataset *d;
    hn_error err = {0};
    if (!hn_file_exists("examples/tickets/hone.yaml")) skip();
    hn_test_ok(hn_project_open("examples/tickets", &project, &err), &err);
    hn_test_ok(hn_project_dataset(project, &d, &err), &err);
    const hn_scope *s = hn_project_scope(project);
    size_t counts[HN_SPLIT_COUNT] = {0};
    for (size_t i = 0; i < d->n_cases; i++) counts[d->cases[i].split]++;
    assert_true(d->n_cases >= 800 && counts[HN_SPLIT_DEV] >= 200 && counts[HN_SPLIT_TEST] >= 200);
    hn_example_pool *pool;
    hn_test_ok(hn_example_pool_create(d, &s->contract, &pool, &err), &err);
    for (size_t i = 0; i < 6; i++) {
        char path[200];
        hn_prompt *p;
        json_t *messages;
        char *raw;
        const hn_case *picked[100];
        size_t n;
        snprintf(path, sizeof path, "examples/tickets/prompts/%s.yaml", prompts[i]);
        hn_test_ok(hn_prompt_load(path, s, d, &p, &err), &err);
        hn_test_ok(hn_example_pick(pool, p, &d->cases[0], picked, &n, &err), &err);
        assert_int_equal(n, p->n_examples);
        hn_test_ok(hn_prompt_render(p, &d->cases[0], picked, n, &messages, &raw, &err), &err);
        json_decref(messages);
        hn_free(raw);
        hn_prompt_free(p);
    }
    hn_example_pool_free(pool);
    hn_project_close(project);
}

static int enter(void **state) {
    (void)state;
    hn_buf b;
    hn_data_table *t;
    hn_error err = {0};
    hn_json_init();
    hn_buf_init(&b, 0);
    hn_buf_append_str(&b, "id,x,y,g\n");
    for (int i = 0; i < 30; i++)
        hn_buf_appendf(&b, "c%d,word%d word%d stuff,%s,g%d\n", i, i, i + 1, names[i % 3], i / 2);
    hn_test_ok(hn_data_table_parse("t.csv", b.data, b.len, &t, &err), &err);
    hn_test_ok(hn_dataset_build(&(hn_dataset_source){t, HN_SPLIT_COUNT}, 1,
                                &(hn_columns){.target = "y", .group = "g", .id = "id"}, &dataset, &err),
               &err);
    hn_data_table_free(t);
    hn_buf_free(&b);
    for (int i = 0; i < 30; i++) {
        dataset->cases[i].label = i % 3;
        dataset->cases[i].split = i < 24 ? HN_SPLIT_TRAIN : HN_SPLIT_DEV;
    }
    return 0;
}

static int leave(void **state) {
    (void)state;
    hn_dataset_free(dataset);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixed_keep_their_order),        cmocka_unit_test(random_is_seeded_and_shared),
        cmocka_unit_test(balanced_has_each_label),       cmocka_unit_test(nearest_are_similar_and_last_is_best),
        cmocka_unit_test(an_empty_pool_has_no_examples), cmocka_unit_test(out_of_memory_is_a_status),
        cmocka_unit_test(the_example_project_is_sound),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
