/* The fast default path on SmolLM2's Q4_1 file against the f32 goldens, over all of them: the rms of next-token
 * log-probabilities, the arg max when fed the recorded tokens, the best label. With HONE_TEST_FULL=1 every other
 * instruction set of this machine too. */
#include "engine_support.h"

#include "base/alloc.h"
#include "kernel/kernel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double rms_pooled_max = 0.04, rms_prompt_max = 0.12, clear_gap = 0.2;

static void check_rms(hn_engine *e) {
    json_t *rows = hn_test_jsonl("goldens/smollm2/logits.jsonl");
    double pooled = 0, worst = 0;
    size_t n_pooled = 0;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i), *expected = json_object_get(row, "next_logprob");
        hn_test_ids ids = hn_test_id_list(json_object_get(row, "ids"));
        float *got = hn_test_next_logprobs(e, ids.ids, ids.n);
        double sum = 0;
        for (int t = 0; t + 1 < ids.n; t++) {
            double d = (double)got[t] - json_number_value(json_array_get(expected, (size_t)t));
            sum += d * d;
        }
        double rms = ids.n > 1 ? sqrt(sum / (ids.n - 1)) : 0;
        if (!(rms <= rms_prompt_max)) fail_msg("rms %.4f on %s", rms, json_string_value(json_object_get(row, "name")));
        if (rms > worst) worst = rms;
        pooled += sum;
        n_pooled += (size_t)ids.n - 1;
        hn_free(got);
        hn_free(ids.ids);
    }
    pooled = sqrt(pooled / (double)n_pooled);
    print_message("%s: rms %.4f over %zu tokens, worst prompt %.4f\n", hn_engine_numeric_path(e), pooled, n_pooled,
                  worst);
    if (!(pooled <= rms_pooled_max)) fail_msg("rms %.4f over all tokens", pooled);
    json_decref(rows);
}

/* The recorded tokens are fed; every step with a clear gap must have the recorded arg max. */
static void check_argmax(hn_engine *e) {
    json_t *rows = hn_test_jsonl("goldens/smollm2/greedy.jsonl");
    int n_clear = 0, n_other = 0;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i), *gaps = json_object_get(row, "gap");
        hn_test_ids prompt = hn_test_id_list(json_object_get(row, "prompt_ids")),
                    tokens = hn_test_id_list(json_object_get(row, "tokens"));
        int n = prompt.n + tokens.n;
        int32_t *ids = hn_calloc((size_t)n, sizeof *ids);
        hn_token_logprob *top = hn_calloc((size_t)n, sizeof *top);
        hn_error err = {0};
        hn_sequence *s;
        memcpy(ids, prompt.ids, (size_t)prompt.n * sizeof *ids);
        memcpy(ids + prompt.n, tokens.ids, (size_t)tokens.n * sizeof *ids);
        hn_test_ok(hn_sequence_create(e, &s, &err), &err);
        hn_step_item item = {
            .sequence = s, .tokens = ids, .n_tokens = n, .want = HN_WANT_LOGPROBS, .n_top = 1, .top = top};
        hn_test_ok(hn_engine_step(e, &item, 1, &err), &err);
        for (int t = 0; t < tokens.n; t++) {
            bool same = top[prompt.n + t - 1].id == tokens.ids[t],
                 clear = json_number_value(json_array_get(gaps, (size_t)t)) > clear_gap;
            if (clear && !same)
                fail_msg("case %zu, step %d: token %d, expected %d", i, t, top[prompt.n + t - 1].id, tokens.ids[t]);
            n_clear += clear;
            n_other += !same;
        }
        hn_sequence_free(s);
        hn_free(ids);
        hn_free(top);
        hn_free(prompt.ids);
        hn_free(tokens.ids);
    }
    print_message("arg max equal at all %d clear steps; %d unclear ones differ\n", n_clear, n_other);
    json_decref(rows);
}

static void check_labels(hn_engine *e) {
    json_t *rows = hn_test_jsonl("goldens/smollm2/label_scores.jsonl");
    double worst = 0;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i), *labels = json_object_get(row, "labels");
        double totals[64];
        hn_error err = {0};
        hn_sequence *s;
        hn_test_ids prompt = hn_test_id_list(json_object_get(row, "prompt_ids"));
        hn_label_trie *trie = hn_test_trie(labels);
        hn_test_ok(hn_sequence_create(e, &s, &err), &err);
        hn_step_item item = {.sequence = s,
                             .tokens = prompt.ids,
                             .n_tokens = prompt.n,
                             .want = HN_WANT_LABELS,
                             .labels = trie,
                             .label_logprobs = totals};
        hn_test_ok(hn_engine_step(e, &item, 1, &err), &err);
        size_t best = 0;
        for (size_t l = 0; l < json_array_size(labels); l++) {
            double d = fabs(totals[l] - hn_test_number(json_array_get(labels, l), "logprob"));
            if (d > worst) worst = d;
            if (totals[l] > totals[best]) best = l;
        }
        assert_string_equal(json_string_value(json_object_get(json_array_get(labels, best), "label")),
                            json_string_value(json_object_get(row, "best")));
        hn_sequence_free(s);
        hn_label_trie_free(trie);
        hn_free(prompt.ids);
    }
    print_message("best label equal on all %zu cases, largest difference of a total %.3f\n", json_array_size(rows),
                  worst);
    json_decref(rows);
}

static void the_fast_path_stays_near_f32(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    if (!hn_test_shared("goldens/smollm2/logits.jsonl", path) || !hn_test_big_model(path)) skip();
    hn_model *m = hn_test_model_open(path, 0);
    for (int i = -1; i < 0 || hn_kernels_available(i); i++) {
        const char *name = i < 0 ? NULL : hn_kernels_available(i)->name;
        if (name && strcmp(name, "ref") == 0) continue;
        if (name && !getenv("HONE_TEST_FULL")) break;
        hn_engine *e = hn_test_engine(m, name ? hn_test_isa(name) : NULL, 2);
        check_rms(e);
        check_argmax(e);
        check_labels(e);
        hn_engine_free(e);
    }
    hn_model_close(m);
}

/* The cache of 8-bit integers is an option; on this file it stays within the same limits. */
static void a_cache_of_bytes_too(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    hn_error err = {0};
    hn_engine *e;
    if (!hn_test_shared("goldens/smollm2/logits.jsonl", path) || !hn_test_big_model(path)) skip();
    hn_model *m = hn_test_model_open(path, 0);
    hn_test_ok(hn_engine_create(m, &(hn_engine_options){.n_threads = 2, .kv_type = HN_KV_Q8_0}, &e, &err), &err);
    check_rms(e);
    hn_engine_free(e);
    hn_model_close(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_fast_path_stays_near_f32),
                                       cmocka_unit_test(a_cache_of_bytes_too)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
