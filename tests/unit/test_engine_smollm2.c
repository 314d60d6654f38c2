/* The engine with the ref kernels on SmolLM2's Q4_1 file against the f32 goldens, within the tight tolerances of the
 * goldens' README. The longest and the costliest cases run only with HONE_TEST_FULL=1: ref is an oracle, not a fast
 * path. */
#include "engine_support.h"

#include "base/alloc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double logprob_tolerance = 5e-4, label_tolerance = 1e-3, clear_gap = 1e-3;

typedef struct fixture {
    hn_model *model;
    hn_engine *engine;
    bool full;
} fixture;

static int setup(void **state) {
    static fixture f;
    char path[HN_PATH_MAX];
    f.full = getenv("HONE_TEST_FULL") != NULL;
    if (hn_test_big_model(path) && hn_test_shared("goldens/smollm2/logits.jsonl", path) && hn_test_big_model(path)) {
        f.model = hn_test_model_open(path, 0);
        f.engine = hn_test_engine(f.model, "ref", 2);
    }
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    hn_engine_free(f->engine);
    hn_model_close(f->model);
    return 0;
}

static void near_or_fail(const char *what, const char *name, int t, double got, double expected, double tolerance) {
    if (!(fabs(got - expected) <= tolerance))
        fail_msg("%s of %s at %d: %.7f, expected %.7f", what, name, t, got, expected);
}

/* The golden's top-20 lists at some positions: same log-probabilities, and their log-sum-exp agrees through them. */
static void check_top(hn_engine *e, const json_t *row, const char *name, const hn_test_ids *ids) {
    enum { TOP = 20 };
    hn_error err = {0};
    hn_sequence *s;
    hn_token_logprob *top = hn_calloc((size_t)ids->n * TOP, sizeof *top);
    assert_non_null(top);
    hn_test_ok(hn_sequence_create(e, &s, &err), &err);
    hn_step_item item = {
        .sequence = s, .tokens = ids->ids, .n_tokens = ids->n, .want = HN_WANT_LOGPROBS, .n_top = TOP, .top = top};
    hn_test_ok(hn_engine_step(e, &item, 1, &err), &err);
    const json_t *lists = json_object_get(row, "top");
    for (size_t i = 0; i < json_array_size(lists); i++) {
        const json_t *one = json_array_get(lists, i), *expected = json_object_get(one, "top20");
        int t = (int)hn_test_number(one, "pos");
        for (size_t k = 0; k < TOP; k++) {
            double logprob = json_number_value(json_array_get(json_array_get(expected, k), 1));
            near_or_fail("top-20 entry", name, t, (double)top[(size_t)t * TOP + k].logprob, logprob, logprob_tolerance);
        }
    }
    hn_sequence_free(s);
    hn_free(top);
}

static void logprobs_are_the_references(void **state) {
    fixture *f = *state;
    if (!f->engine) skip();
    json_t *rows = hn_test_jsonl("goldens/smollm2/logits.jsonl");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i), *expected = json_object_get(row, "next_logprob");
        const char *name = json_string_value(json_object_get(row, "name"));
        hn_test_ids ids = hn_test_id_list(json_object_get(row, "ids"));
        if (f->full || ids.n <= 100) {
            float *got = hn_test_next_logprobs(f->engine, ids.ids, ids.n);
            for (int t = 0; t + 1 < ids.n; t++)
                near_or_fail("log-probability", name, t, (double)got[t],
                             json_number_value(json_array_get(expected, (size_t)t)), logprob_tolerance);
            hn_free(got);
            check_top(f->engine, row, name, &ids);
        }
        hn_free(ids.ids);
    }
    json_decref(rows);
}

/* Free generation: equal while every earlier gap is clear. */
static void greedy_tokens_are_the_references(void **state) {
    fixture *f = *state;
    if (!f->engine) skip();
    int V = hn_model_shape(f->model)->n_vocab;
    float *logits = hn_calloc((size_t)V, sizeof *logits);
    json_t *rows = hn_test_jsonl("goldens/smollm2/greedy.jsonl");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i), *gaps = json_object_get(row, "gap");
        hn_test_ids prompt = hn_test_id_list(json_object_get(row, "prompt_ids")),
                    tokens = hn_test_id_list(json_object_get(row, "tokens"));
        hn_error err = {0};
        hn_sequence *s;
        hn_test_ok(hn_sequence_create(f->engine, &s, &err), &err);
        hn_step_item item = {
            .sequence = s, .tokens = prompt.ids, .n_tokens = prompt.n, .want = HN_WANT_LOGITS, .logits = logits};
        int n = f->full ? tokens.n : tokens.n < 8 ? tokens.n : 8;
        for (int t = 0; t < n; t++) {
            hn_test_ok(hn_engine_step(f->engine, &item, 1, &err), &err);
            int32_t best = hn_test_argmax(logits, V);
            if (best != tokens.ids[t] && json_number_value(json_array_get(gaps, (size_t)t)) > clear_gap)
                fail_msg("greedy case %zu at %d: token %d, expected %d", i, t, best, tokens.ids[t]);
            if (best != tokens.ids[t]) break;
            item.tokens = &tokens.ids[t];
            item.n_tokens = 1;
        }
        hn_sequence_free(s);
        hn_free(prompt.ids);
        hn_free(tokens.ids);
    }
    hn_free(logits);
    json_decref(rows);
}

/* All cases in one step, each with its own trie. */
static void label_totals_are_the_references(void **state) {
    fixture *f = *state;
    if (!f->engine) skip();
    json_t *rows = hn_test_jsonl("goldens/smollm2/label_scores.jsonl");
    enum { MAX = 16 };
    hn_step_item items[MAX] = {0};
    hn_test_ids prompts[MAX];
    double totals[MAX][64];
    hn_label_trie *tries[MAX];
    float *node_logprobs[MAX];
    hn_error err = {0};
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        if (!f->full && i >= 1 && i < 5) continue; /* bank1 .. bank4 are like bank0 */
        const json_t *row = json_array_get(rows, i);
        assert_true(n < MAX);
        prompts[n] = hn_test_id_list(json_object_get(row, "prompt_ids"));
        tries[n] = hn_test_trie(json_object_get(row, "labels"));
        node_logprobs[n] = hn_calloc((size_t)tries[n]->n_nodes, sizeof(float));
        hn_sequence *s;
        hn_test_ok(hn_sequence_create(f->engine, &s, &err), &err);
        items[n] = (hn_step_item){.sequence = s,
                                  .tokens = prompts[n].ids,
                                  .n_tokens = prompts[n].n,
                                  .want = HN_WANT_LABELS,
                                  .labels = tries[n],
                                  .label_logprobs = totals[n],
                                  .label_token_logprobs = node_logprobs[n]};
        n++;
    }
    hn_test_ok(hn_engine_step(f->engine, items, n, &err), &err);
    for (size_t i = 0, at = 0; i < json_array_size(rows); i++) {
        if (!f->full && i >= 1 && i < 5) continue;
        const json_t *row = json_array_get(rows, i), *labels = json_object_get(row, "labels");
        const char *name = json_string_value(json_object_get(row, "name"));
        for (size_t l = 0; l < json_array_size(labels); l++) {
            const json_t *label = json_array_get(labels, l), *each = json_object_get(label, "token_logprobs");
            near_or_fail("label total", name, (int)l, totals[at][l], hn_test_number(label, "logprob"), label_tolerance);
            int node = tries[at]->end_node[l];
            for (size_t t = json_array_size(each); t-- > 0; node = tries[at]->parent[node])
                near_or_fail("label token", name, (int)t, (double)node_logprobs[at][node],
                             json_number_value(json_array_get(each, t)), logprob_tolerance);
            assert_int_equal(node, -1);
        }
        hn_sequence_free(items[at].sequence);
        hn_free(prompts[at].ids);
        hn_free(node_logprobs[at]);
        hn_label_trie_free(tries[at++]);
    }
    json_decref(rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logprobs_are_the_references),
        cmocka_unit_test(greedy_tokens_are_the_references),
        cmocka_unit_test(label_totals_are_the_references),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
