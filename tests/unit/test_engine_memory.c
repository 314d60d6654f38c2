/* When memory, the cache or the context runs out: a status, nothing changed, and the engine goes on; counts of blocks
 * come back to zero. */
#include "engine_support.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

static bool tiny(char path[HN_PATH_MAX]) { return hn_test_shared("goldens/tiny/llama/model.gguf", path); }

/* Everything that a session does, once. HN_ERR_MEMORY from any part. */
static hn_status session(const hn_model *m, hn_error *err) {
    hn_engine *e = NULL;
    hn_sequence *s = NULL, *f = NULL;
    hn_label_trie *trie = NULL;
    int32_t ids[40], a[3] = {4, 5, 6}, b[2] = {4, 7};
    hn_label_ids labels[2] = {{a, 3}, {b, 2}};
    double totals[2];
    float pooled[64];
    for (int i = 0; i < 40; i++) ids[i] = i;
    hn_status st =
        hn_engine_create(m, &(hn_engine_options){.n_threads = 1, .isa = "ref", .kv_max_bytes = 8 << 20}, &e, err);
    if (st == HN_OK) st = hn_sequence_create(e, &s, err);
    if (st == HN_OK) st = hn_label_trie_create(labels, 2, &trie, err);
    hn_step_item first = {.sequence = s, .tokens = ids, .n_tokens = 40, .want = HN_WANT_POOLED, .pooled = pooled};
    if (st == HN_OK) {
        st = hn_engine_step(e, &first, 1, err);
        assert_int_equal(hn_sequence_length(s), st == HN_OK ? 40 : 0);
    }
    if (st == HN_OK) st = hn_sequence_fork(s, 35, &f, err);
    if (st == HN_OK) {
        hn_step_item both[2] = {{.sequence = s, .tokens = ids, .n_tokens = 30},
                                {.sequence = f,
                                 .tokens = ids,
                                 .n_tokens = 3,
                                 .want = HN_WANT_LABELS,
                                 .labels = trie,
                                 .label_logprobs = totals}};
        st = hn_engine_step(e, both, 2, err);
        assert_int_equal(hn_sequence_length(s), st == HN_OK ? 70 : 40);
        assert_int_equal(hn_sequence_length(f), st == HN_OK ? 38 : 35);
    }
    hn_sequence_free(f);
    hn_sequence_free(s);
    if (e) assert_int_equal(hn_engine_memory_now(e).kv_bytes, 0);
    hn_label_trie_free(trie);
    hn_engine_free(e);
    return st;
}

static void every_failing_allocation_is_a_status(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    if (!tiny(path)) skip();
    hn_model *m = hn_test_model_open(path, 0);
    for (int sticky = 0; sticky < 2; sticky++) {
        for (size_t n = 1;; n++) {
            hn_error err = {0};
            hn_alloc_fail_at(n, sticky != 0);
            hn_status st = session(m, &err);
            hn_alloc_fail_at(0, false);
            if (st == HN_OK) {
                assert_true(n > 15);
                break;
            }
            if (st != HN_ERR_MEMORY) fail_msg("allocation %zu: %s %s", n, hn_status_name(st), err.message);
        }
    }
    hn_model_close(m);
}

static void opening_a_model_too(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    if (!tiny(path)) skip();
    for (size_t n = 1;; n++) {
        hn_model *m;
        hn_error err = {0};
        hn_alloc_fail_at(n, true);
        hn_status st = hn_model_open(path, 0, &m, &err);
        hn_alloc_fail_at(0, false);
        if (st == HN_OK) {
            hn_model_close(m);
            return;
        }
        if (st != HN_ERR_MEMORY) fail_msg("allocation %zu: %s %s", n, hn_status_name(st), err.message);
    }
}

static hn_sequence *fresh(hn_engine *e) {
    hn_error err = {0};
    hn_sequence *s;
    hn_test_ok(hn_sequence_create(e, &s, &err), &err);
    return s;
}

static void a_full_cache_says_how_much_fits(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    if (!tiny(path)) skip();
    hn_model *m = hn_test_model_open(path, 0);
    hn_error err = {0};
    hn_engine *e;
    size_t block = 2 * 2 * 2 * 16 * 32 * 4; /* layers, K and V, heads, head size, positions, f32 */
    hn_test_ok(
        hn_engine_create(m, &(hn_engine_options){.n_threads = 2, .isa = "ref", .kv_max_bytes = 3 * block}, &e, &err),
        &err);
    hn_sequence *a = fresh(e), *b = fresh(e);
    int32_t ids[100] = {0};
    float before[512], after[512];
    hn_step_item first = {.sequence = a, .tokens = ids, .n_tokens = 40, .want = HN_WANT_LOGITS, .logits = before};
    hn_test_ok(hn_engine_step(e, &first, 1, &err), &err);
    assert_int_equal(hn_engine_memory_now(e).kv_bytes, 2 * block);
    hn_step_item both[2] = {{.sequence = a, .tokens = ids, .n_tokens = 10},
                            {.sequence = b, .tokens = ids, .n_tokens = 50}};
    assert_int_equal(hn_engine_step(e, both, 2, &err), HN_ERR_MEMORY);
    assert_true(strstr(err.message, "full") && strstr(err.hint, "limit"));
    assert_int_equal(hn_sequence_length(a), 40);
    assert_int_equal(hn_sequence_length(b), 0);
    assert_int_equal(hn_engine_memory_now(e).kv_bytes, 2 * block);
    hn_step_item again = {.sequence = a, .want = HN_WANT_LOGITS, .logits = after};
    hn_test_ok(hn_engine_step(e, &again, 1, &err), &err);
    assert_memory_equal(before, after, sizeof before);
    both[1].n_tokens = 30;
    hn_test_ok(hn_engine_step(e, both, 2, &err), &err);
    hn_sequence_free(a);
    hn_sequence_free(b);
    assert_int_equal(hn_engine_memory_now(e).kv_bytes, 0);
    hn_engine_free(e);
    hn_model_close(m);
}

static void the_context_is_a_limit(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    if (!tiny(path)) skip();
    hn_model *m = hn_test_model_open(path, 0);
    hn_error err = {0};
    hn_engine *e;
    assert_int_equal(hn_engine_create(m, &(hn_engine_options){.isa = "ref", .context = 129}, &e, &err), HN_ERR_CONTEXT);
    e = hn_test_engine(m, "ref", 2);
    assert_int_equal(hn_engine_context(e), 128);
    int32_t ids[200] = {0}, deep[3] = {1, 2, 3}, flat[1] = {9};
    double totals[2];
    hn_label_ids labels[2] = {{deep, 3}, {flat, 1}};
    hn_label_trie *trie;
    hn_test_ok(hn_label_trie_create(labels, 2, &trie, &err), &err);
    hn_sequence *s = fresh(e);
    hn_step_item item = {.sequence = s, .tokens = ids, .n_tokens = 129};
    assert_int_equal(hn_engine_step(e, &item, 1, &err), HN_ERR_CONTEXT);
    assert_non_null(strstr(err.message, "128 more fit"));
    item.n_tokens = 128;
    hn_test_ok(hn_engine_step(e, &item, 1, &err), &err);
    item.n_tokens = 1;
    assert_int_equal(hn_engine_step(e, &item, 1, &err), HN_ERR_CONTEXT);
    hn_step_item score = {.sequence = s, .want = HN_WANT_LABELS, .labels = trie, .label_logprobs = totals};
    assert_int_equal(hn_engine_step(e, &score, 1, &err), HN_ERR_CONTEXT);
    hn_sequence_truncate(s, 126);
    hn_test_ok(hn_engine_step(e, &score, 1, &err), &err);
    hn_sequence_free(s);
    hn_label_trie_free(trie);
    hn_engine_free(e);
    hn_model_close(m);
}

static void bad_items_are_refused(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    if (!tiny(path)) skip();
    hn_model *m = hn_test_model_open(path, 0);
    hn_engine *e = hn_test_engine(m, "ref", 1), *other = hn_test_engine(m, "ref", 1);
    hn_sequence *s = fresh(e), *foreign = fresh(other), *f;
    int32_t ids[2] = {0, 512}, negative = -1, target[2] = {512, 0};
    float out[512];
    hn_error err = {0};
    hn_step_item bad[] = {
        {.sequence = s, .tokens = ids, .n_tokens = 2},
        {.sequence = s, .tokens = &negative, .n_tokens = 1},
        {.sequence = s, .tokens = ids, .n_tokens = 0},
        {.sequence = s, .tokens = ids, .n_tokens = -1},
        {.sequence = s, .tokens = NULL, .n_tokens = 1},
        {.sequence = foreign, .tokens = ids, .n_tokens = 1},
        {.sequence = NULL, .tokens = ids, .n_tokens = 1},
        {.sequence = s, .tokens = ids, .n_tokens = 1, .want = HN_WANT_LOGITS},
        {.sequence = s, .tokens = ids, .n_tokens = 1, .want = HN_WANT_LABELS},
        {.sequence = s, .n_tokens = 0, .want = HN_WANT_LOGITS, .logits = out},
        {.sequence = s,
         .tokens = ids,
         .n_tokens = 1,
         .want = HN_WANT_LOGPROBS,
         .targets = target,
         .target_logprobs = out},
        {.sequence = s,
         .tokens = ids,
         .n_tokens = 1,
         .want = HN_WANT_LOGPROBS,
         .n_top = 513,
         .top = (hn_token_logprob *)(void *)out},
        {.sequence = s, .tokens = ids, .n_tokens = 1, .want = (hn_want)99},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hn_status st = hn_engine_step(e, &bad[i], 1, &err);
        if (st != HN_ERR_INPUT && st != HN_ERR_USAGE) fail_msg("item %zu: %s", i, hn_status_name(st));
        assert_int_equal(hn_sequence_length(s), 0);
    }
    hn_step_item twice[2] = {{.sequence = s, .tokens = ids, .n_tokens = 1},
                             {.sequence = s, .tokens = ids, .n_tokens = 1}};
    assert_int_equal(hn_engine_step(e, twice, 2, &err), HN_ERR_USAGE);
    assert_non_null(strstr(err.where, "item 1"));
    hn_test_ok(hn_engine_step(e, twice, 1, &err), &err);
    assert_int_equal(hn_sequence_fork(s, 2, &f, &err), HN_ERR_USAGE);
    assert_int_equal(hn_sequence_fork(s, -1, &f, &err), HN_ERR_USAGE);
    hn_sequence_free(s);
    hn_sequence_free(foreign);
    hn_engine_free(e);
    hn_engine_free(other);
    hn_model_close(m);
}

/* Resident memory of a whole session in the low mode stays under twice the file and the cache. */
static size_t resident_bytes(void) {
    size_t n, kib = 0;
    char *text = hn_test_read("/proc/self/status", &n);
    const char *line = strstr(text, "VmHWM:");
    if (line) kib = (size_t)strtoul(line + 6, NULL, 10);
    hn_free(text);
    return kib << 10;
}

static void low_memory_stays_low(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    if (!hn_test_big_model(path) || !hn_file_exists("/proc/self/status")) skip();
    hn_model *m = hn_test_model_open(path, 0);
    hn_error err = {0};
    hn_engine *e;
    int32_t ids[600];
    hn_test_ok(hn_engine_create(m, &(hn_engine_options){.n_threads = 2, .pack = HN_PACK_LOW}, &e, &err), &err);
    for (int i = 0; i < 600; i++) ids[i] = 1000 + i;
    hn_sequence *s = fresh(e);
    hn_step_item item = {.sequence = s, .tokens = ids, .n_tokens = 600};
    hn_test_ok(hn_engine_step(e, &item, 1, &err), &err);
    size_t limit = 2 * (size_t)hn_model_file_bytes(m) + hn_engine_memory_now(e).kv_bytes, used = resident_bytes();
    print_message("%zu MiB resident at most, the limit is %zu MiB\n", used >> 20, limit >> 20);
    assert_true(used < limit);
    hn_sequence_free(s);
    hn_engine_free(e);
    hn_model_close(m);
}

/* A context that the cache's memory does not hold is refused with the number of tokens that fit. */
static void a_context_beyond_memory_is_refused(void **state) {
    (void)state;
    char path[HN_PATH_MAX], fit[40], q8_fit[40];
    if (!hn_test_shared("goldens/tiny/llama/model.gguf", path)) skip();
    hn_model *m = hn_test_model_open(path, 0);
    const hn_shape *s = hn_model_shape(m);
    hn_engine *e;
    hn_error err = {0};
    hn_engine_options o = {.n_threads = 1, .isa = "ref", .kv_type = HN_KV_F32};
    size_t layer = 2 * HN_KV_BLOCK * hn_kv_row_bytes(HN_KV_F32, s->n_kv_heads, s->head_size),
           q8_layer = 2 * HN_KV_BLOCK * hn_kv_row_bytes(HN_KV_Q8_0, s->n_kv_heads, s->head_size);
    o.kv_max_bytes = 2 * layer * (size_t)s->n_layers + 100;
    o.context = 2 * HN_KV_BLOCK + 1;
    assert_int_equal(hn_engine_create(m, &o, &e, &err), HN_ERR_MEMORY);
    assert_null(e);
    snprintf(fit, sizeof fit, ": %d tokens fit", 2 * HN_KV_BLOCK);
    snprintf(q8_fit, sizeof q8_fit, "--kv q8_0): %zu fit",
             o.kv_max_bytes / (q8_layer * (size_t)s->n_layers) * HN_KV_BLOCK);
    assert_non_null(strstr(err.message, fit));
    assert_non_null(strstr(err.message, "a context of 65 tokens takes "));
    assert_non_null(strstr(err.hint, q8_fit));
    o.context = 2 * HN_KV_BLOCK;
    hn_test_ok(hn_engine_create(m, &o, &e, &err), &err);
    hn_engine_free(e);
    o.context = 2 * HN_KV_BLOCK + 1;
    o.kv_type = HN_KV_Q8_0;
    hn_test_ok(hn_engine_create(m, &o, &e, &err), &err);
    hn_engine_free(e);
    o.kv_max_bytes = q8_layer * (size_t)s->n_layers;
    assert_int_equal(hn_engine_create(m, &o, &e, &err), HN_ERR_MEMORY);
    assert_null(strstr(err.hint, "q8_0"));
    hn_model_close(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_context_beyond_memory_is_refused),
        cmocka_unit_test(low_memory_stays_low),
        cmocka_unit_test(every_failing_allocation_is_a_status),
        cmocka_unit_test(opening_a_model_too),
        cmocka_unit_test(a_full_cache_says_how_much_fits),
        cmocka_unit_test(the_context_is_a_limit),
        cmocka_unit_test(bad_items_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
