/* The ladder on a small project with the tiny model; hidden states against the reference logits, of which they are the cause; what is kept; other
 * contracts; an interrupt and memory that runs out. */
#include "engine_support.h"
#include "fake_provider.h"
#include "test_project.h"

#include "app/embed.h"
#include "base/alloc.h"
#include "base/interrupt.h"
#include "kernel/kernel.h"
#include "lifecycle/scope/ladder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char folder[HN_PATH_MAX], model_dir[HN_PATH_MAX];

/* The tiny model with its tokenizer, as a user has it. False: the goldens are not here. */
static bool make_model(void) {
    static const char *const files[][2] = {{"goldens/tiny/llama/config.json", "config.json"},
                                           {"goldens/tiny/llama/model.safetensors", "model.safetensors"},
                                           {"goldens/tiny/tokenizer.json", "tokenizer.json"}};
    hn_error err = {0};
    hn_test_ok(hn_path_join(model_dir, folder, "tiny", &err), &err);
    hn_test_ok(hn_dir_create(model_dir, &err), &err);
    for (int i = 0; i < 3; i++) {
        char from[HN_PATH_MAX], to[HN_PATH_MAX];
        size_t n;
        if (!hn_test_shared(files[i][0], from)) return false;
        hn_test_ok(hn_path_join(to, model_dir, files[i][1], &err), &err);
        char *bytes = hn_test_read(from, &n);
        hn_test_ok(hn_file_write_atomic(to, bytes, n, &err), &err);
        hn_free(bytes);
    }
    return true;
}

static hn_provider *open_model(void) {
    hn_provider *p;
    hn_error err = {0};
    hn_test_ok(hn_provider_local_open(model_dir, &(hn_local_options){.n_threads = 2}, &p, &err), &err);
    return p;
}

/* ---- hidden states ---- */

typedef struct taken {
    float pooled[64];
    size_t n;
    int n_tokens, calls;
    hn_status status;
} taken;

static void take(void *user, uint64_t ticket, const hn_completion *c) {
    taken *t = user;
    (void)ticket;
    t->calls++;
    t->status = c->status;
    t->n = c->n_pooled;
    t->n_tokens = c->usage.prompt_tokens;
    if (c->pooled && c->n_pooled <= 64) memcpy(t->pooled, c->pooled, c->n_pooled * sizeof *c->pooled);
}

static void run_all(hn_provider *p) {
    hn_error err = {0};
    for (size_t pending = 1; pending;) hn_test_ok(hn_provider_step(p, 100, &pending, &err), &err);
}

/* Logits are the output matrix times the hidden state, so the mean of transformers' logits over a sequence's positions is the matrix times the
 * mean state. */
static void states_explain_the_reference_logits(void **state) {
    (void)state;
    if (!*model_dir) skip();
    json_t *forward = hn_test_json("goldens/tiny/llama/forward.json");
    char path[HN_PATH_MAX];
    size_t n_bytes;
    assert_true(hn_test_shared("goldens/tiny/llama/logits.bin", path));
    char *logits = hn_test_read(path, &n_bytes);
    setenv("HONE_ISA", "ref", 1);
    hn_provider *p = open_model();
    unsetenv("HONE_ISA");
    hn_provider_info info;
    hn_error err = {0};
    hn_test_ok(hn_provider_info_get(p, &info, &err), &err);
    size_t V = 512, C = (size_t)hn_model_shape(info.model)->n_embd;
    const hn_kernels *kernels;
    hn_test_ok(hn_kernels_choose("ref", &kernels, &err), &err);
    const json_t *sequences = json_object_get(forward, "sequences");
    for (size_t i = 0; i < json_array_size(sequences); i++) {
        const json_t *one = json_array_get(sequences, i);
        hn_test_ids ids = hn_test_id_list(json_object_get(one, "ids"));
        const float *expected =
            (const float *)(const void *)(logits + json_integer_value(json_object_get(one, "byte_offset")));
        taken t = {0};
        hn_request request = {.kind = HN_REQUEST_POOLED, .ids = ids.ids, .n_ids = (size_t)ids.n};
        hn_test_ok(hn_provider_submit(p, &request, 0, take, &t, NULL, &err), &err);
        run_all(p);
        assert_int_equal(t.status, HN_OK);
        assert_int_equal(t.n, C);
        assert_int_equal(t.n_tokens, ids.n);
        for (size_t v = 0; v < V; v++) {
            float row[64];
            double mean = 0, made = 0;
            hn_matrix_row(kernels, row, &hn_model_weights(info.model)->output, (int64_t)v);
            for (size_t c = 0; c < C; c++) made += (double)row[c] * (double)t.pooled[c];
            for (int at = 0; at < ids.n; at++) mean += (double)expected[(size_t)at * V + v] / ids.n;
            if (fabs(mean - made) > 1e-4) fail_msg("token %zu: %.6f instead of %.6f", v, made, mean);
        }
        hn_free(ids.ids);
    }
    hn_provider_close(p);
    hn_free(logits);
    json_decref(forward);
}

/* The same bits alone, in company, behind a cached prefix, and longer than a step's budget. */
static void states_depend_on_their_text_alone(void **state) {
    (void)state;
    if (!*model_dir) skip();
    hn_provider *p = open_model();
    hn_error err = {0};
    static int32_t ids[90];
    taken alone[3], together[3];
    static const size_t lengths[] = {90, 40, 90};
    for (int i = 0; i < 90; i++) ids[i] = 3 + i * 7 % 500;
    memset(alone, 0, sizeof alone);
    memset(together, 0, sizeof together);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 3; i++) {
            hn_request request = {
                .kind = HN_REQUEST_POOLED, .ids = ids + (i == 2 ? 0 : i), .n_ids = lengths[i] - (i == 1)};
            hn_test_ok(hn_provider_submit(p, &request, 0, take, round ? &together[i] : &alone[i], NULL, &err), &err);
            if (round == 0) run_all(p);
        }
    run_all(p);
    for (int i = 0; i < 3; i++) assert_memory_equal(alone[i].pooled, together[i].pooled, sizeof alone[i].pooled);
    assert_memory_equal(alone[0].pooled, alone[2].pooled, sizeof alone[0].pooled);
    assert_true(memcmp(alone[0].pooled, alone[1].pooled, sizeof alone[0].pooled) != 0);
    hn_provider_close(p);
}

static void embeddings_are_kept(void **state) {
    (void)state;
    if (!*model_dir) skip();
    hn_test_project project;
    char dir[HN_PATH_MAX];
    hn_error err = {0};
    hn_test_ok(hn_path_join(dir, folder, "embed", &err), &err);
    hn_test_project_make(&project, dir);
    hn_provider *p = open_model();
    hn_str texts[] = {hn_str_of("my card"), hn_str_of(""), hn_str_of("the invoice, twice"), hn_str_of("my card")};
    hn_embeddings first, second;
    hn_embed_options o = {.store = project.store};
    hn_test_ok(hn_embed_texts(p, texts, 4, &o, &first, &err), &err);
    hn_test_ok(hn_embed_texts(p, texts, 4, &o, &second, &err), &err);
    assert_int_equal(second.n_cached, 3);
    assert_memory_equal(first.vectors, second.vectors, 4 * first.n_dims * sizeof(float));
    assert_memory_equal(first.vectors, first.vectors + 3 * first.n_dims, first.n_dims * sizeof(float));
    for (size_t d = 0; d < first.n_dims; d++) assert_true(first.vectors[first.n_dims + d] == 0);
    assert_int_equal(first.n_tokens[1], 0);
    hn_embeddings_free(&first);
    hn_embeddings_free(&second);
    hn_interrupt_request();
    hn_str new_text[] = {hn_str_of("something else")};
    assert_int_equal(hn_embed_texts(p, new_text, 1, &o, &first, &err), HN_ERR_INTERRUPTED);
    hn_interrupt_clear();
    hn_provider_close(p);
    hn_fake_script script = {0};
    hn_provider *fake = hn_fake_provider(&script);
    assert_int_equal(hn_embed_texts(fake, new_text, 1, NULL, &first, &err), HN_ERR_UNSUPPORTED);
    hn_provider_close(fake);
    hn_test_project_close(&project);
}

/* ---- the ladder ---- */

static size_t count_right(const hn_rung *r) {
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) n += r->right[i];
    return n;
}

static const hn_rung *find(const hn_ladder *l, hn_rung_kind kind) {
    for (size_t i = 0; i < l->n_rungs; i++)
        if (l->rungs[i].kind == kind) return &l->rungs[i];
    return NULL;
}

static void same_results(const hn_ladder *a, const hn_ladder *b) {
    assert_int_equal(a->n_rungs, b->n_rungs);
    assert_int_equal(a->marked, b->marked);
    for (size_t i = 0; i < a->n_rungs; i++) {
        assert_string_equal(a->rungs[i].name, b->rungs[i].name);
        assert_memory_equal(a->rungs[i].right, b->rungs[i].right, a->rungs[i].n);
        assert_true(a->rungs[i].accuracy.low == b->rungs[i].accuracy.low);
        assert_true(b->rungs[i].kept && a->rungs[i].latency_ms == b->rungs[i].latency_ms);
    }
    assert_int_equal(a->n_curves, b->n_curves);
    for (size_t i = 0; i < a->n_curves; i++)
        assert_memory_equal(&a->curves[i].gain, &b->curves[i].gain, sizeof a->curves[i].gain);
    assert_int_equal(a->narrow.n_chosen, b->narrow.n_chosen);
    assert_string_equal(a->advice.items[a->advice.first].reason, b->advice.items[b->advice.first].reason);
}

static void check_marking(const hn_ladder *l) {
    for (size_t i = 0; i < l->n_rungs; i++) {
        const hn_rung *r = &l->rungs[i];
        assert_true(r->accuracy.value <= l->rungs[l->best].accuracy.value);
        assert_true(fabs(r->accuracy.value - (double)count_right(r) / (double)r->n) < 1e-12);
        if (i < l->marked)
            assert_true(!r->not_worse && r->against_best.difference.low <= -l->scope->smallest_difference);
    }
    assert_true(l->rungs[l->marked].not_worse);
}

static void all_rungs_with_a_model(void **state) {
    (void)state;
    if (!*model_dir) skip();
    hn_test_project project;
    hn_ladder ladder, again;
    char dir[HN_PATH_MAX];
    hn_error err = {0};
    json_t *value;
    hn_test_ok(hn_path_join(dir, folder, "ladder", &err), &err);
    hn_test_project_make(&project, dir);
    hn_provider *p = open_model();
    hn_ladder_setup setup = {.project = project.project,
                             .dataset = project.dataset,
                             .store = project.store,
                             .providers = &p,
                             .n_providers = 1};
    hn_test_ok(hn_ladder_climb(&setup, &ladder, &err), &err);
    /* six examples do not fit the tiny model's window: that rung is left out, and the ladder goes on */
    assert_int_equal(ladder.n_rungs, 5);
    assert_int_equal(ladder.n_left_out, 1);
    assert_string_equal(ladder.left_out[0].name, "nearest examples, tiny");
    assert_non_null(strstr(ladder.left_out[0].reason, "no case could be answered"));
    check_marking(&ladder);
    /* two cases of three say their label; what is learnt from words must find most of them */
    assert_true(find(&ladder, HN_RUNG_BAG_OF_WORDS)->accuracy.value > 0.6);
    assert_true(find(&ladder, HN_RUNG_PROBE)->strength > 0);
    assert_true(isfinite(find(&ladder, HN_RUNG_PROBE)->pair_auc_whitened));
    assert_true(find(&ladder, HN_RUNG_ZERO_SHOT)->latency_ms > 0);
    assert_int_equal(ladder.n_train + ladder.n_dev, 48);
    assert_true(ladder.narrow.known && ladder.advice.known);
    hn_test_ok(hn_ladder_climb(&setup, &again, &err), &err);
    same_results(&ladder, &again);
    hn_test_ok(hn_ladder_json(&ladder, &value, &err), &err);
    assert_int_equal(json_array_size(json_object_get(value, "rungs")), 5);
    json_decref(value);
    hn_ladder_free(&again);
    setup.limit = 10; /* other cases: measured anew, on ten */
    hn_test_ok(hn_ladder_climb(&setup, &again, &err), &err);
    assert_int_equal(again.n_dev, 10);
    assert_int_equal(find(&again, HN_RUNG_PROBE)->n, 10);
    hn_ladder_free(&again);
    hn_ladder_free(&ladder);
    hn_provider_close(p);
    hn_test_project_close(&project);
}

/* A model that is elsewhere writes its answers; no probe is tried. */
static void write_apple(const char *prompt, const hn_request *r, char out[256]) {
    (void)prompt;
    assert_int_equal(r->constraint.kind, HN_CONSTRAIN_CHOICES);
    snprintf(out, 256, "apple");
}

static void a_model_elsewhere(void **state) {
    (void)state;
    hn_test_project project;
    hn_ladder ladder;
    char dir[HN_PATH_MAX];
    hn_error err = {0};
    hn_test_ok(hn_path_join(dir, folder, "remote", &err), &err);
    hn_test_project_make(&project, dir);
    hn_fake_script script = {.write = write_apple};
    hn_provider *p = hn_fake_provider(&script);
    hn_ladder_setup setup = {
        .project = project.project, .dataset = project.dataset, .providers = &p, .n_providers = 1, .limit = 12};
    hn_test_ok(hn_ladder_climb(&setup, &ladder, &err), &err);
    assert_int_equal(ladder.n_rungs, 5);
    assert_null(find(&ladder, HN_RUNG_PROBE));
    const hn_rung *r = find(&ladder, HN_RUNG_ZERO_SHOT);
    assert_true(r->cost_per_1000 == 0 && isnan(r->memory_bytes) && r->latency_ms == 3);
    for (size_t i = 0; i < r->n; i++) assert_int_equal(r->answers[i], 0);
    check_marking(&ladder);
    hn_ladder_free(&ladder);
    hn_interrupt_request();
    assert_int_equal(hn_ladder_climb(&setup, &ladder, &err), HN_ERR_INTERRUPTED);
    hn_interrupt_clear();
    hn_provider_close(p);
    hn_test_project_close(&project);
}

static void other_contracts_have_fewer_rungs(void **state) {
    (void)state;
    char dir[HN_PATH_MAX], path[HN_PATH_MAX];
    hn_error err = {0};
    hn_project *project;
    const hn_dataset *dataset;
    hn_buf csv;
    hn_ladder ladder;
    json_t *value;
    static const char scope[] = "data: {file: n.csv, input: [text], target: n}\noutput: {number: {min: 0, max: 99}}\n";
    hn_test_ok(hn_path_join(dir, folder, "number", &err), &err);
    hn_test_ok(hn_dir_create(dir, &err), &err);
    hn_buf_init(&csv, 0);
    hn_buf_append_str(&csv, "text,n\n");
    for (int i = 0; i < 80; i++) hn_buf_appendf(&csv, "number %d of group %d,%d\n", i, i % 4, i % 4 < 2 ? 7 : i % 4);
    hn_test_ok(hn_path_join(path, dir, "n.csv", &err), &err);
    hn_test_ok(hn_file_write_atomic(path, hn_buf_str(&csv), csv.len, &err), &err);
    hn_test_ok(hn_path_join(path, dir, "hone.yaml", &err), &err);
    hn_test_ok(hn_file_write_atomic(path, scope, strlen(scope), &err), &err);
    hn_buf_free(&csv);
    hn_test_ok(hn_project_open(dir, &project, &err), &err);
    hn_test_ok(hn_project_dataset(project, &dataset, &err), &err);
    hn_ladder_setup setup = {.project = project, .dataset = dataset};
    hn_test_ok(hn_ladder_climb(&setup, &ladder, &err), &err);
    assert_int_equal(ladder.n_rungs, 2); /* the commonest answer, the nearest case */
    assert_int_equal(ladder.n_left_out, 2);
    assert_string_equal(ladder.rungs[0].detail, "7");
    assert_null(ladder.rungs[1].answers);
    assert_true(ladder.rungs[1].accuracy.value > ladder.rungs[0].accuracy.value);
    assert_true(ladder.advice.known && !ladder.narrow.known && ladder.n_curves == 0);
    hn_test_ok(hn_ladder_json(&ladder, &value, &err), &err);
    assert_true(json_is_null(json_object_get(value, "narrower_start")));
    json_decref(value);
    hn_ladder_free(&ladder);
    hn_project_close(project);
}

static void memory_may_run_out(void **state) {
    (void)state;
    hn_test_project project;
    char dir[HN_PATH_MAX];
    hn_error err = {0};
    hn_test_ok(hn_path_join(dir, folder, "memory", &err), &err);
    hn_test_project_make(&project, dir);
    hn_fake_script script = {.write = write_apple, .per_step = 100};
    hn_ladder_setup setup = {.project = project.project, .dataset = project.dataset, .n_providers = 1, .limit = 4};
    hn_status st = HN_ERR_MEMORY;
    for (size_t n = 1; st != HN_OK; n += 1 + n / 12) { /* every one at first, then samples: there are thousands */
        hn_ladder ladder;
        hn_provider *p = hn_fake_provider(&script);
        setup.providers = &p;
        hn_alloc_fail_at(n, false);
        st = hn_ladder_climb(&setup, &ladder, &err);
        hn_alloc_fail_at(0, false);
        if (st == HN_OK)
            hn_ladder_free(&ladder);
        else
            assert_int_equal(st, HN_ERR_MEMORY);
        hn_provider_close(p);
        assert_true(n < 10000000);
    }
    hn_test_project_close(&project);
}

static int set_up(void **state) {
    (void)state;
    hn_test_folder(folder);
    if (!make_model()) *model_dir = 0;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    hn_test_folder_remove(folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(states_explain_the_reference_logits),
                                       cmocka_unit_test(states_depend_on_their_text_alone),
                                       cmocka_unit_test(embeddings_are_kept),
                                       cmocka_unit_test(all_rungs_with_a_model),
                                       cmocka_unit_test(a_model_elsewhere),
                                       cmocka_unit_test(other_contracts_have_fewer_rungs),
                                       cmocka_unit_test(memory_may_run_out)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
