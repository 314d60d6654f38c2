/* Helpers for tests of models and engines: goldens as arrays, models and engines opened or the test failed.
 *
 *     hn_model *m = hn_test_model_open(path, HN_MODEL_IDS_ONLY);
 *     hn_engine *e = hn_test_engine(m, "ref", 2);
 *     json_t *rows = hn_test_jsonl("goldens/smollm2/greedy.jsonl");
 *
 * Threading: one thread. */
#ifndef HN_TESTS_ENGINE_SUPPORT_H
#define HN_TESTS_ENGINE_SUPPORT_H

#include "support.h"

#include "engine/engine.h"

#include <jansson.h>

/* A list of numbers; free with hn_free. */
typedef struct hn_test_ids {
    int32_t *ids;
    int n;
} hn_test_ids;

hn_model *hn_test_model_open(const char *path, unsigned flags);
hn_engine *hn_test_engine(const hn_model *model, const char *isa, int n_threads);
/* What hn_engine_options.isa must be to get the table of this name: "avx512" alone would take bf16 products where the
 * CPU has them. */
const char *hn_test_isa(const char *table_name);
/* The real model's file, for tests that compute much: false, with a message, also where a sanitizer makes that slow. */
bool hn_test_big_model(char path[HN_PATH_MAX]);
/* One JSON file, or one value a line (split at "\n" only), from ../shared; NULL where it is absent. */
json_t *hn_test_json(const char *name);
json_t *hn_test_jsonl(const char *name);
hn_test_ids hn_test_id_list(const json_t *list);
double hn_test_number(const json_t *object, const char *key);

/* Feeds tokens and gives the logits (V) after the last; free with hn_free. */
float *hn_test_logits(hn_engine *e, const int32_t *ids, int n);
/* (T) log-probabilities of ids[t + 1] after ids[0..t]; the last is NaN. Free with hn_free. */
float *hn_test_next_logprobs(hn_engine *e, const int32_t *ids, int n);
/* A trie of a golden's "labels" list (objects with "ids"). */
hn_label_trie *hn_test_trie(const json_t *labels);
int hn_test_argmax(const float *logits, int n);

#endif
