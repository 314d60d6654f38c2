/* What the ladder keeps in the store's cache; see ladder_parts.h. */
#include "base/hash.h"
#include "lifecycle/scope/ladder_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Raised when the way rungs are computed changes, so that kept ones are not mixed with new ones. */
static const char LADDER_VERSION[] = "ladder-2";

hn_status hn_ladder_key(const hn_ladder_work *w, const char *what, const hn_rung *rung, const char *extra, size_t n_dev,
                        char key[65], hn_error *err) {
    hn_provider_info info;
    const hn_provider_info *model = rung->provider >= 0 ? &info : NULL;
    if (model) HN_TRY(hn_provider_info_get(w->setup->providers[rung->provider], &info, err));
    hn_sha256 *h = hn_sha256_create();
    if (!h) return hn_fail_memory(err, 0);
    hn_sha256_field_str(h, LADDER_VERSION);
    hn_sha256_field_str(h, what);
    hn_sha256_field_i64(h, rung->kind);
    hn_sha256_field_str(h, w->setup->dataset->hash);
    hn_sha256_field_str(h, hn_project_scope_hash(w->setup->project));
    hn_sha256_field_str(h, model ? model->model_hash : NULL);
    hn_sha256_field_str(h, model ? model->template_hash : NULL);
    hn_sha256_field_str(h, model ? model->name : NULL);
    hn_sha256_field_str(h, model ? model->numeric_path : NULL);
    hn_sha256_field_str(h, extra);
    hn_sha256_field_i64(h, (int64_t)w->n_train);
    hn_sha256_field_i64(h, (int64_t)n_dev);
    for (size_t i = 0; i < w->n_train + n_dev; i++) hn_sha256_field_str(h, w->cases[i]->id);
    hn_sha256_finish(h, key);
    return HN_OK;
}

hn_status hn_ladder_get(const hn_ladder_work *w, const char *key, json_t **value, hn_error *err) {
    *value = NULL;
    return w->store && !w->setup->fresh ? hn_cache_get(w->store, key, value, err) : HN_OK;
}

hn_status hn_ladder_keep(const hn_ladder_work *w, const char *key, json_t *value, hn_error *err) {
    if (!value) return hn_fail_memory(err, 0);
    hn_status st = HN_OK;
    if (w->store && !hn_store_is_read_only(w->store)) st = hn_cache_put(w->store, &key, &value, 1, err);
    json_decref(value);
    return st;
}

json_t *hn_ladder_digits(const unsigned char *right, size_t n) {
    char *digits = hn_alloc(n + 1);
    if (!digits) return NULL;
    for (size_t i = 0; i < n; i++) digits[i] = right[i] ? '1' : '0';
    json_t *text = json_stringn(digits, n);
    hn_free(digits);
    return text;
}

bool hn_ladder_read_digits(const json_t *text, unsigned char *right, size_t n) {
    const char *digits = json_string_value(text);
    if (!digits || json_string_length(text) != n) return false;
    for (size_t i = 0; i < n; i++) right[i] = digits[i] == '1';
    return true;
}

json_t *hn_ladder_numbers(const int32_t *values, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++) {
        if (json_array_append_new(list, json_integer(values[i])) == 0) continue;
        json_decref(list);
        list = NULL;
    }
    return list;
}

bool hn_ladder_read_numbers(const json_t *list, int32_t *values, size_t n) {
    if (!json_is_array(list) || json_array_size(list) != n) return false;
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_array_get(list, i);
        if (!json_is_integer(value) || json_integer_value(value) < -1 || json_integer_value(value) > INT32_MAX)
            return false;
        values[i] = (int32_t)json_integer_value(value);
    }
    return true;
}

static double real_of(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static json_t *real_or_null(double value) { return isfinite(value) ? json_real(value) : json_null(); }

bool hn_ladder_read_rung(const json_t *kept, bool answers, hn_rung *rung) {
    const char *detail = json_string_value(json_object_get(kept, "detail"));
    if (!hn_ladder_read_digits(json_object_get(kept, "right"), rung->right, rung->n)) return false;
    if (answers && !hn_ladder_read_numbers(json_object_get(kept, "answers"), rung->answers, rung->n)) return false;
    rung->latency_ms = real_of(kept, "latency_ms");
    rung->memory_bytes = real_of(kept, "memory_bytes");
    rung->seconds = real_of(kept, "seconds");
    rung->cost_per_1000 = real_of(kept, "cost_per_1000");
    rung->pair_auc = real_of(kept, "pair_auc");
    rung->pair_auc_whitened = real_of(kept, "pair_auc_whitened");
    rung->strength = real_of(kept, "strength");
    snprintf(rung->detail, sizeof rung->detail, "%s", detail ? detail : "");
    rung->kept = true;
    return true;
}

json_t *hn_ladder_write_rung(const hn_rung *rung) {
    json_t *right = hn_ladder_digits(rung->right, rung->n);
    json_t *answers = rung->answers ? hn_ladder_numbers(rung->answers, rung->n) : json_null();
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s}", "right", right, "answers", answers,
                     "latency_ms", real_or_null(rung->latency_ms), "memory_bytes", real_or_null(rung->memory_bytes),
                     "seconds", real_or_null(rung->seconds), "cost_per_1000", real_or_null(rung->cost_per_1000),
                     "pair_auc", real_or_null(rung->pair_auc), "pair_auc_whitened",
                     real_or_null(rung->pair_auc_whitened), "strength", real_or_null(rung->strength), "detail",
                     rung->detail);
}
