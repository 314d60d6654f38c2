/* Helpers for tests of models and engines; see engine_support.h. */
#include "engine_support.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

hn_model *hn_test_model_open(const char *path, unsigned flags) {
    hn_error err = {0};
    hn_model *m;
    hn_test_ok(hn_model_open(path, flags, &m, &err), &err);
    return m;
}

hn_engine *hn_test_engine(const hn_model *model, const char *isa, int n_threads) {
    hn_error err = {0};
    hn_engine *e;
    hn_test_ok(hn_engine_create(model, &(hn_engine_options){.n_threads = n_threads, .isa = isa}, &e, &err), &err);
    return e;
}

const char *hn_test_isa(const char *table_name) {
    if (strcmp(table_name, "avx512bf16") == 0) return "avx512";
    return strcmp(table_name, "avx512") == 0 ? "avx512f32" : table_name;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { IS_SANITIZED = 1 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
enum { IS_SANITIZED = 1 };
#else
enum { IS_SANITIZED = 0 };
#endif
#else
enum { IS_SANITIZED = 0 };
#endif

bool hn_test_big_model(char path[HN_PATH_MAX]) {
    if (!IS_SANITIZED) return hn_test_model(path);
    fprintf(stderr, "skipped: the real model is too slow under a sanitizer; the tiny one runs the same code\n");
    return false;
}

json_t *hn_test_json(const char *name) {
    char path[HN_PATH_MAX];
    json_error_t bad;
    if (!hn_test_shared(name, path)) return NULL;
    json_t *value = json_load_file(path, 0, &bad);
    if (!value) fail_msg("%s: %s", path, bad.text);
    return value;
}

json_t *hn_test_jsonl(const char *name) {
    char path[HN_PATH_MAX];
    size_t n;
    json_error_t bad;
    if (!hn_test_shared(name, path)) return NULL;
    char *text = hn_test_read(path, &n);
    json_t *rows = json_array();
    for (char *line = text, *end; (end = memchr(line, '\n', n - (size_t)(line - text))); line = end + 1) {
        json_t *row = json_loadb(line, (size_t)(end - line), 0, &bad);
        if (!row) fail_msg("%s: %s", path, bad.text);
        json_array_append_new(rows, row);
    }
    hn_free(text);
    return rows;
}

hn_test_ids hn_test_id_list(const json_t *list) {
    hn_test_ids out = {.ids = hn_calloc(json_array_size(list), sizeof(int32_t)), .n = (int)json_array_size(list)};
    assert_non_null(out.ids);
    for (int i = 0; i < out.n; i++) out.ids[i] = (int32_t)json_integer_value(json_array_get(list, (size_t)i));
    return out;
}

double hn_test_number(const json_t *object, const char *key) { return json_number_value(json_object_get(object, key)); }

float *hn_test_logits(hn_engine *e, const int32_t *ids, int n) {
    hn_error err = {0};
    hn_sequence *s;
    float *logits = hn_calloc((size_t)hn_model_shape(hn_engine_model(e))->n_vocab, sizeof *logits);
    assert_non_null(logits);
    hn_test_ok(hn_sequence_create(e, &s, &err), &err);
    hn_step_item item = {.sequence = s, .tokens = ids, .n_tokens = n, .want = HN_WANT_LOGITS, .logits = logits};
    hn_test_ok(hn_engine_step(e, &item, 1, &err), &err);
    hn_sequence_free(s);
    return logits;
}

float *hn_test_next_logprobs(hn_engine *e, const int32_t *ids, int n) {
    hn_error err = {0};
    hn_sequence *s;
    float *out = hn_calloc((size_t)n, sizeof *out);
    int32_t *targets = hn_calloc((size_t)n, sizeof *targets);
    assert_true(out && targets);
    for (int i = 0; i < n; i++) targets[i] = i + 1 < n ? ids[i + 1] : -1;
    hn_test_ok(hn_sequence_create(e, &s, &err), &err);
    hn_step_item item = {.sequence = s,
                         .tokens = ids,
                         .n_tokens = n,
                         .want = HN_WANT_LOGPROBS,
                         .targets = targets,
                         .target_logprobs = out};
    hn_test_ok(hn_engine_step(e, &item, 1, &err), &err);
    hn_sequence_free(s);
    hn_free(targets);
    return out;
}

hn_label_trie *hn_test_trie(const json_t *labels) {
    hn_error err = {0};
    hn_label_trie *trie;
    size_t n = json_array_size(labels);
    hn_test_ids lists[512];
    hn_label_ids ids[512];
    assert_true(n <= 512);
    for (size_t i = 0; i < n; i++) {
        lists[i] = hn_test_id_list(json_object_get(json_array_get(labels, i), "ids"));
        ids[i] = (hn_label_ids){lists[i].ids, lists[i].n};
    }
    hn_test_ok(hn_label_trie_create(ids, (int)n, &trie, &err), &err);
    for (size_t i = 0; i < n; i++) hn_free(lists[i].ids);
    return trie;
}

int hn_test_argmax(const float *logits, int n) {
    int best = 0;
    for (int i = 1; i < n; i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}
