/* Trainings from inside: checkpoints that are damaged, truncated or another's; the memory estimate against what a network takes; sweeps; settings of
 * hone.yaml; and memory that runs out at every stage of a training, after which the same training still ends with the same weights. */
#include "support.h"

#include "base/alloc.h"
#include "lifecycle/tune/tune_memory.h"
#include "lifecycle/tune/tune_method.h"
#include "lifecycle/tune/tune_sweep.h"
#include "project/tune_config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static char folder[HN_PATH_MAX], model_path[HN_PATH_MAX];

static char *in_folder(const char *name, char out[HN_PATH_MAX]) {
    hn_error err;
    hn_test_ok(hn_path_join(out, folder, name, &err), &err);
    return out;
}

/* ---- checkpoints ---- */

enum { WEIGHTS = 6, SCORES = 3 };

typedef struct kept {
    float a[4], b[2], da[4], db[2], frozen[3], m[WEIGHTS], v[WEIGHTS];
    hn_tensor tensors[3];
    hn_adamw adam;
    hn_tune_state *state;
    double scores[SCORES];
} kept;

static void fill(kept *k, float from) {
    memset(k, 0, sizeof *k);
    for (int i = 0; i < 4; i++) k->a[i] = from + (float)i;
    for (int i = 0; i < 2; i++) k->b[i] = from - (float)i;
    k->tensors[0] = (hn_tensor){.rows = 2, .columns = 2, .w = k->a, .dw = k->da};
    k->tensors[1] = (hn_tensor){.rows = 1, .columns = 3, .w = k->frozen};
    k->tensors[2] = (hn_tensor){.rows = 1, .columns = 2, .w = k->b, .dw = k->db};
    k->state = hn_calloc(1, sizeof *k->state);
    assert_non_null(k->state);
    for (int i = 0; i < SCORES; i++) k->scores[i] = (double)from * i;
}

static void moments(kept *k) {
    k->adam.m = hn_alloc(sizeof k->m);
    k->adam.v = hn_alloc(sizeof k->v);
    assert_true(k->adam.m && k->adam.v);
    for (int i = 0; i < WEIGHTS; i++) k->adam.m[i] = (float)i, k->adam.v[i] = (float)(2 * i);
    k->adam.n = WEIGHTS;
    k->adam.n_steps = 9;
}

static void drop(kept *k) {
    hn_adamw_free(&k->adam);
    hn_free(k->state);
}

static bool reads(const char *path, const char *key, kept *k, hn_status wanted) {
    bool found;
    hn_error err;
    hn_status st =
        hn_tune_checkpoint_read(path, key, k->state, k->scores, SCORES, k->tensors, 3, &k->adam, &found, &err);
    assert_int_equal(st, wanted);
    return st == HN_OK && found;
}

static void checkpoints_come_back(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    kept one, other;
    hn_error err;
    bool found;
    fill(&one, 1.5f);
    moments(&one);
    one.state->step = 77;
    one.state->epochs[2].n_correct = 5;
    hn_test_ok(hn_tune_checkpoint_write(in_folder("c.bin", path), "key", one.state, one.scores, SCORES, one.tensors, 3,
                                        &one.adam, &err),
               &err);
    fill(&other, 0);
    assert_true(reads(path, "key", &other, HN_OK));
    assert_memory_equal(one.a, other.a, sizeof one.a);
    assert_memory_equal(one.b, other.b, sizeof one.b);
    assert_memory_equal(one.adam.m, other.adam.m, sizeof one.m);
    assert_memory_equal(one.adam.v, other.adam.v, sizeof one.v);
    assert_memory_equal(one.scores, other.scores, sizeof one.scores);
    assert_int_equal(other.state->step, 77);
    assert_int_equal(other.state->epochs[2].n_correct, 5);
    assert_int_equal(other.adam.n_steps, 9);
    assert_false(reads(path, "another", &other, HN_OK));
    other.tensors[0].rows = 1; /* another network */
    assert_false(reads(path, "key", &other, HN_OK));
    hn_test_ok(hn_tune_checkpoint_read(in_folder("none.bin", path), "key", other.state, other.scores, SCORES,
                                       other.tensors, 3, &other.adam, &found, &err),
               &err);
    assert_false(found);
    drop(&one);
    drop(&other);
}

/* Cut anywhere, or with a bit turned anywhere: as if there were none, and nothing is touched. */
static void damage_counts_as_none(void **state) {
    (void)state;
    char path[HN_PATH_MAX], cut[HN_PATH_MAX];
    kept one, other;
    hn_error err;
    size_t n;
    fill(&one, 2);
    moments(&one);
    hn_test_ok(hn_tune_checkpoint_write(in_folder("d.bin", path), "key", one.state, one.scores, SCORES, one.tensors, 3,
                                        &one.adam, &err),
               &err);
    char *bytes = hn_test_read(path, &n);
    fill(&other, 7);
    for (size_t at = 0; at < n; at += n / 23 + 1) {
        hn_test_ok(hn_file_write_atomic(in_folder("cut.bin", cut), bytes, at, &err), &err);
        assert_false(reads(cut, "key", &other, HN_OK));
        bytes[at] ^= 4;
        hn_test_ok(hn_file_write_atomic(cut, bytes, n, &err), &err);
        assert_false(reads(cut, "key", &other, HN_OK));
        bytes[at] ^= 4;
    }
    assert_true(other.a[0] == 7 && !other.adam.m);
    hn_free(bytes);
    drop(&one);
    drop(&other);
}

static void checkpoints_without_memory_or_place(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    kept k;
    hn_error err;
    fill(&k, 3);
    moments(&k);
    in_folder("m.bin", path);
    for (size_t n = 1;; n++) {
        hn_alloc_fail_at(n, true);
        hn_status st = hn_tune_checkpoint_write(path, "key", k.state, k.scores, SCORES, k.tensors, 3, &k.adam, &err);
        hn_alloc_fail_at(0, false);
        if (st == HN_OK) break;
        assert_int_equal(st, HN_ERR_MEMORY);
        assert_false(hn_file_exists(path));
    }
    for (size_t n = 1;; n++) {
        bool found;
        hn_alloc_fail_at(n, true);
        hn_status st =
            hn_tune_checkpoint_read(path, "key", k.state, k.scores, SCORES, k.tensors, 3, &k.adam, &found, &err);
        hn_alloc_fail_at(0, false);
        if (st == HN_OK && found) break;
        assert_true(st == HN_ERR_MEMORY || (st == HN_OK && !found)); /* no memory for the hash: as if damaged */
    }
    in_folder("no/such/folder/m.bin", path);
    assert_int_equal(hn_tune_checkpoint_write(path, "key", k.state, k.scores, SCORES, k.tensors, 3, &k.adam, &err),
                     HN_ERR_NOT_FOUND);
    drop(&k);
}

/* ---- memory ---- */

static void estimates_are_what_networks_take(void **state) {
    (void)state;
    enum { ROWS = 200 };
    static const hn_network_options kinds[] = {{.lora_rank = 8, .lora_alpha = 16},
                                               {.lora_rank = 4, .lora_alpha = 8, .lora_targets = HN_LORA_Q | HN_LORA_V},
                                               {.lora_rank = 8, .lora_alpha = 16, .checkpoint = true},
                                               {.lora_rank = 0},
                                               {.lora_rank = 0, .checkpoint = true}};
    const hn_kernels *kernels;
    hn_model *model;
    hn_error err;
    int32_t ids[ROWS], targets[ROWS], starts[] = {0, ROWS / 2};
    if (!*model_path) skip();
    for (int i = 0; i < ROWS; i++) ids[i] = i % 50 + 3, targets[i] = i % 3 ? HN_NO_TARGET : ids[i];
    hn_train_batch b = {.ids = ids, .targets = targets, .starts = starts, .n_rows = ROWS, .n_sequences = 2};
    hn_test_ok(hn_kernels_choose(NULL, &kernels, &err), &err);
    hn_test_ok(hn_model_open(model_path, 0, &model, &err), &err);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        hn_network *n;
        hn_test_ok(hn_network_create(model, &kinds[i], kernels, NULL, &n, &err), &err);
        hn_test_ok(hn_network_forward(n, &b, NULL, &err), &err);
        bool packs = kinds[i].lora_rank > 0 && strstr(kernels->name, "bf16");
        hn_tune_memory m = hn_tune_memory_estimate(hn_model_shape(model), &kinds[i], packs, ROWS);
        double learns = (double)m.learning / 12, mine = (double)(m.weights + m.activations) + 4 * learns,
               taken = (double)hn_network_bytes(n); /* with gradients, without moments */
        if (mine < 0.8 * taken || mine > 1.25 * taken)
            fail_msg("network %zu: estimated %.0f bytes, it takes %.0f", i, mine, taken);
        hn_network_free(n);
    }
    hn_model_close(model);
}

/* ---- sweeps ---- */

static void axes_are_read_strictly(void **state) {
    (void)state;
    static const char *const wrong[] = {"",
                                        "rank",
                                        "=3",
                                        "rank=",
                                        "rank=1,,2",
                                        "rank=1,x",
                                        "rank=0",
                                        "rank=1.5",
                                        "rank=1e9",
                                        "learning_rate=nan",
                                        "learning_rate=-1",
                                        "colour=1",
                                        "batch=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17",
                                        "seed=-1"};
    hn_tune_axis axis;
    hn_error err;
    hn_test_ok(hn_tune_axis_parse("learning-rate=1e-4,3e-4,0.001", &axis, &err), &err);
    assert_string_equal(axis.name, "learning_rate");
    assert_int_equal(axis.n, 3);
    assert_true(axis.values[0] == 1e-4 && axis.values[2] == 0.001);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (hn_tune_axis_parse(wrong[i], &axis, &err) != HN_ERR_USAGE) fail_msg("%s was taken", wrong[i]);
}

static void halving_doubles_the_steps(void **state) {
    (void)state;
    hn_tune_axis axes[2];
    hn_tune_options o = hn_tune_defaults(80, NULL);
    hn_tune_sweep s;
    hn_error err;
    o.epochs = 4; /* 10 steps each */
    hn_test_ok(hn_tune_axis_parse("learning_rate=1,0.1,0.01,0.001", &axes[0], &err), &err);
    hn_test_ok(hn_tune_axis_parse("rank=2,4", &axes[1], &err), &err);
    hn_test_ok(hn_tune_sweep_make(axes, 2, &o, true, &s, &err), &err);
    assert_int_equal(s.n, 8);
    assert_int_equal(s.n_rungs, 3); /* 8, 4, 2 */
    static const int64_t steps[] = {10, 20, 0};
    static const size_t left[] = {8, 4, 2};
    for (int rung = 0; rung < 3; rung++) {
        assert_int_equal(s.n_left, left[rung]);
        for (size_t i = 0; i < s.n_left; i++) {
            hn_tune_options mine = hn_tune_sweep_options(&s, i, rung, 80);
            assert_int_equal(mine.steps, steps[rung]);
            assert_true(mine.alpha == 2.0 * mine.rank);
            s.trials[i].score = mine.rank == 4 ? 1 - fabs(mine.learning_rate - 0.01) : 0;
        }
        hn_tune_sweep_halve(&s);
    }
    assert_string_equal(s.trials[0].text, "learning_rate 0.01, rank 4");
    hn_tune_sweep_free(&s);
    axes[1] = axes[0];
    assert_int_equal(hn_tune_sweep_make(axes, 2, &o, true, &s, &err), HN_ERR_USAGE);
    hn_alloc_fail_at(1, false);
    assert_int_equal(hn_tune_sweep_make(axes, 1, &o, true, &s, &err), HN_ERR_MEMORY);
    hn_alloc_fail_at(0, false);
}

/* ---- settings ---- */

static hn_status parse_block(const char *text, hn_tune_config *config, hn_arena *arena, hn_error *err) {
    hn_yaml *doc;
    HN_TRY(hn_yaml_parse("hone.yaml", text, strlen(text), &doc, err));
    hn_status st = hn_tune_config_parse(hn_yaml_find(hn_yaml_root(doc), "tune"), arena, config, err);
    hn_yaml_free(doc);
    return st;
}

static void settings_have_their_kinds(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "tune: {rank: x}",        "tune: {rank: 0}",         "tune: {colour: 1}",         "tune: [1]",
        "tune: {schedule: down}", "tune: {memory_limit: x}", "tune: {rank_stabilised: 3}"};
    hn_arena *arena = hn_arena_create(0);
    hn_tune_config c;
    hn_error err;
    hn_test_ok(parse_block("tune: {rank: 8, learning_rate: 1e-4, schedule: linear, rank_stabilised: true, "
                           "memory_limit: 2G, method: full}",
                           &c, arena, &err),
               &err);
    assert_int_equal(hn_tune_config_find(&c, "rank")->integer, 8);
    assert_true(hn_tune_config_find(&c, "learning_rate")->real == 1e-4);
    assert_string_equal(hn_tune_config_find(&c, "schedule")->text, "linear");
    assert_string_equal(hn_tune_config_find(&c, "method")->text, "full");
    assert_true(hn_tune_config_find(&c, "rank_stabilised")->flag);
    assert_true(hn_tune_config_find(&c, "memory_limit")->size >= 2000000000u);
    assert_null(hn_tune_config_find(&c, "alpha"));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (parse_block(wrong[i], &c, arena, &err) != HN_ERR_INPUT) fail_msg("%s was taken", wrong[i]);
    hn_test_ok(parse_block("{}", &c, arena, &err), &err);
    assert_int_equal(c.n, 0);
    hn_arena_free(arena);
}

/* ---- whole trainings ---- */

static hn_status open_model(void *user, const char *model, const char *adapter, hn_provider **provider, hn_error *err) {
    (void)user;
    return hn_provider_local_open(model ? model : model_path,
                                  &(hn_local_options){.n_threads = 1, .adapter = adapter, .low_memory = true}, provider,
                                  err);
}

static hn_train_data *make_data(void) {
    hn_train_data *data;
    hn_buf text;
    hn_error err;
    hn_buf_init(&text, 0);
    for (int i = 0; i < 12; i++)
        hn_buf_appendf(&text,
                       "{\"messages\": [{\"role\": \"user\", \"content\": \"number %d\"}, {\"role\": \"assistant\", "
                       "\"content\": \"%s\"}]}\n",
                       i, i % 2 ? "odd" : "even");
    hn_test_ok(hn_train_data_parse(hn_buf_str(&text), text.len, "t.jsonl", &data, &err), &err);
    hn_buf_free(&text);
    return data;
}

/* One training in a store of its own; the status. */
static hn_status train(const char *store_name, const hn_train_data *data, hn_provider *base, const char *method,
                       char result[HN_PATH_MAX], hn_error *err) {
    char dir[HN_PATH_MAX];
    hn_store *store;
    hn_tune_hooks hooks = {.open = open_model};
    hn_tune_setup setup = {.data = data, .held_out = 0.25, .store_dir = dir, .base = base, .base_source = model_path};
    setup.options = hn_tune_defaults(9, method);
    setup.options.epochs = 1;
    setup.options.rank = 2;
    setup.options.batch = 4;
    setup.options.n_threads = 1;
    hn_tune_result *r = hn_calloc(1, sizeof *r);
    if (!r) return hn_fail_memory(err, sizeof *r);
    in_folder(store_name, dir);
    hn_status st = hn_store_open(dir, &store, err);
    if (st == HN_OK) {
        setup.store = store;
        st = hn_tune_run(&setup, &hooks, r, err);
        if (st == HN_OK) snprintf(result, HN_PATH_MAX, "%s", r->folder);
        hn_tune_result_free(r);
        hn_store_close(store);
    }
    hn_free(r);
    return st;
}

static void same_file(const char *a, const char *b, const char *name) {
    char x[HN_PATH_MAX], y[HN_PATH_MAX];
    hn_error err;
    hn_test_ok(hn_path_join(x, a, name, &err), &err);
    hn_test_ok(hn_path_join(y, b, name, &err), &err);
    size_t n, m;
    char *first = hn_test_read(x, &n), *second = hn_test_read(y, &m);
    assert_int_equal(n, m);
    assert_memory_equal(first, second, n);
    hn_free(first);
    hn_free(second);
}

/* Failing at the n-th allocation for n over all stages, densely at first; then the same training ends as if nothing had been. */
static void runs_out(const char *method, const char *file) {
    char plain[HN_PATH_MAX], after[HN_PATH_MAX], name[32];
    hn_train_data *data = make_data();
    hn_provider *base;
    hn_error err;
    hn_test_ok(open_model(NULL, NULL, NULL, &base, &err), &err);
    snprintf(name, sizeof name, "plain-%s", method);
    hn_test_ok(train(name, data, base, method, plain, &err), &err);
    snprintf(name, sizeof name, "short-%s", method);
    size_t n_failed = 0;
    for (size_t n = 1;; n += 1 + n / 40) {
        hn_alloc_fail_at(n, true);
        hn_status st = train(name, data, base, method, after, &err);
        hn_alloc_fail_at(0, false);
        if (st == HN_OK) break;
        if (st != HN_ERR_MEMORY) fail_msg("allocation %zu: %s: %s", n, hn_status_name(st), err.message);
        n_failed++;
    }
    assert_true(n_failed > 40);
    same_file(plain, after, file);
    hn_provider_close(base);
    hn_train_data_free(data);
}

static void lora_without_memory(void **state) {
    (void)state;
    if (!*model_path) skip();
    runs_out("lora", "adapter_model.safetensors");
}

static void full_without_memory(void **state) {
    (void)state;
    if (!*model_path) skip();
    runs_out("full", "model.safetensors");
}

static void methods_are_found(void **state) {
    (void)state;
    const hn_tune_method *m;
    hn_error err;
    for (size_t i = 0; hn_tune_methods[i]; i++) {
        hn_test_ok(hn_tune_method_find(hn_tune_methods[i]->name, &m, &err), &err);
        assert_ptr_equal(m, hn_tune_methods[i]);
        assert_true(m->network && m->write && m->result && m->summary);
    }
    assert_int_equal(hn_tune_method_find("half", &m, &err), HN_ERR_USAGE);
    assert_non_null(strstr(err.hint, "lora, full"));
}

static int enter(void **state) {
    (void)state;
    if (!hn_test_shared("goldens/tiny/llama/model.gguf", model_path)) *model_path = 0;
    hn_test_folder(folder);
    return 0;
}

static int leave(void **state) {
    (void)state;
    hn_test_folder_remove(folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checkpoints_come_back),
        cmocka_unit_test(damage_counts_as_none),
        cmocka_unit_test(checkpoints_without_memory_or_place),
        cmocka_unit_test(estimates_are_what_networks_take),
        cmocka_unit_test(axes_are_read_strictly),
        cmocka_unit_test(halving_doubles_the_steps),
        cmocka_unit_test(settings_have_their_kinds),
        cmocka_unit_test(methods_are_found),
        cmocka_unit_test(lora_without_memory),
        cmocka_unit_test(full_without_memory),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
