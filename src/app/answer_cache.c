/* Completions by content key; see answer_cache.h. The JSON: {"text"} or {"logprobs":[...]}, with "finish", "tokens":[prompt, completion]
 * and "ms":[prefill, decode]; where labels were searched also "bounds":[labels whose number is an upper
 * bound] and "open_share". An entry that does not look like this is as good as absent. */
#include "app/answer_cache.h"

#include "base/clock.h"

#include <math.h>
#include <string.h>

enum { WAITING_MAX = 256 };
static const double WAIT_SECONDS = 1.0;

struct hn_answer_cache {
    hn_store *store; /* NULL: off */
    char *keys[WAITING_MAX];
    json_t *values[WAITING_MAX];
    size_t n_waiting;
    double first_waiting; /* when the oldest was put */
    json_t *found;        /* the last entry handed out, and its numbers */
    double *logprobs;
    bool *is_bound;
};

hn_status hn_answer_cache_create(hn_store *store, hn_answer_cache **cache, hn_error *err) {
    *cache = hn_calloc(1, sizeof **cache);
    if (!*cache) return hn_fail_memory(err, sizeof **cache);
    (*cache)->store = store;
    return HN_OK;
}

static void drop_waiting(hn_answer_cache *cache) {
    for (size_t i = 0; i < cache->n_waiting; i++) {
        hn_free(cache->keys[i]);
        json_decref(cache->values[i]);
    }
    cache->n_waiting = 0;
}

void hn_answer_cache_free(hn_answer_cache *cache) {
    if (!cache) return;
    drop_waiting(cache);
    json_decref(cache->found);
    hn_free(cache->logprobs);
    hn_free(cache->is_bound);
    hn_free(cache);
}

/* Writing in the order that Python's json gives reals back keeps them exact; see hn_json_write_real. */
static json_t *pack(const hn_completion *c) {
    json_t *value =
        json_pack("{s:s, s:[i,i], s:[f,f]}", "finish", c->finish == HN_FINISH_LENGTH ? "length" : "stop", "tokens",
                  c->usage.prompt_tokens, c->usage.completion_tokens, "ms", c->timing.prefill_ms, c->timing.decode_ms);
    bool fine = value != NULL;
    if (fine && c->usage.cached_prompt_tokens > 0)
        fine = json_object_set_new(value, "cached_tokens", json_integer(c->usage.cached_prompt_tokens)) == 0;
    if (fine && !(c->usage.cost <= 0)) /* a remote answer; null: its cost is not known */
        fine =
            json_object_set_new(value, "cost", isfinite(c->usage.cost) ? json_real(c->usage.cost) : json_null()) == 0;
    if (fine && c->text) fine = json_object_set_new(value, "text", json_stringn(c->text, c->text_bytes)) == 0;
    if (fine && c->label_logprobs) {
        json_t *list = json_array();
        fine = json_object_set_new(value, "logprobs", list) == 0;
        for (size_t i = 0; fine && i < c->n_labels; i++)
            fine = isfinite(c->label_logprobs[i]) && json_array_append_new(list, json_real(c->label_logprobs[i])) == 0;
    }
    if (fine && c->label_is_bound) {
        json_t *list = json_array();
        fine = json_object_set_new(value, "bounds", list) == 0 &&
               json_object_set_new(value, "open_share", json_real(c->label_open_share)) == 0;
        for (size_t i = 0; fine && i < c->n_labels; i++)
            if (c->label_is_bound[i]) fine = json_array_append_new(list, json_integer((json_int_t)i)) == 0;
    }
    if (fine) return value;
    json_decref(value);
    return NULL;
}

void hn_answer_cache_put(hn_answer_cache *cache, const char *key, const hn_completion *c) {
    if (!cache->store || cache->n_waiting == WAITING_MAX || c->status != HN_OK) return;
    char *copy = hn_strdup(key);
    json_t *value = copy ? pack(c) : NULL;
    if (!value) {
        hn_free(copy);
        return;
    }
    if (cache->n_waiting == 0) cache->first_waiting = hn_clock_seconds();
    cache->keys[cache->n_waiting] = copy;
    cache->values[cache->n_waiting++] = value;
}

hn_status hn_answer_cache_flush(hn_answer_cache *cache, bool only_if_due, hn_error *err) {
    if (cache->n_waiting == 0) return HN_OK;
    if (only_if_due && cache->n_waiting < WAITING_MAX / 2 && hn_clock_seconds() - cache->first_waiting < WAIT_SECONDS)
        return HN_OK;
    HN_TRY(hn_cache_put(cache->store, (const char *const *)cache->keys, cache->values, cache->n_waiting, err));
    drop_waiting(cache);
    return HN_OK;
}

static bool read_logprobs(hn_answer_cache *cache, const json_t *list, hn_completion *c) {
    size_t n = json_array_size(list);
    double *grown = hn_realloc_array(cache->logprobs, n ? n : 1, sizeof *grown);
    if (!grown) return false;
    cache->logprobs = grown;
    for (size_t i = 0; i < n; i++) {
        if (!json_is_number(json_array_get(list, i))) return false;
        grown[i] = json_number_value(json_array_get(list, i));
    }
    c->label_logprobs = grown;
    c->n_labels = n;
    return n > 0;
}

static bool read_bounds(hn_answer_cache *cache, const json_t *list, hn_completion *c) {
    bool *grown = hn_realloc_array(cache->is_bound, c->n_labels, sizeof *grown);
    if (!grown) return false;
    cache->is_bound = grown;
    memset(grown, 0, c->n_labels * sizeof *grown);
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *label = json_array_get(list, i);
        json_int_t l = json_is_integer(label) ? json_integer_value(label) : -1;
        if (l < 0 || (size_t)l >= c->n_labels) return false;
        grown[l] = true;
    }
    c->label_is_bound = grown;
    return true;
}

static bool unpack(hn_answer_cache *cache, const json_t *value, hn_completion *c) {
    const char *finish, *text = NULL;
    json_t *logprobs = NULL, *bounds = NULL, *cost = NULL;
    size_t n_text = 0;
    if (json_unpack((json_t *)(uintptr_t)value, "{s:s, s:[i,i], s:[F,F], s?s%, s?o, s?o, s?F, s?i, s?o}", "finish",
                    &finish, "tokens", &c->usage.prompt_tokens, &c->usage.completion_tokens, "ms",
                    &c->timing.prefill_ms, &c->timing.decode_ms, "text", &text, &n_text, "logprobs", &logprobs,
                    "bounds", &bounds, "open_share", &c->label_open_share, "cached_tokens",
                    &c->usage.cached_prompt_tokens, "cost", &cost) != 0)
        return false;
    if (cost) c->usage.cost = json_is_number(cost) ? json_number_value(cost) : (double)NAN;
    c->finish = strcmp(finish, "length") == 0 ? HN_FINISH_LENGTH : HN_FINISH_STOP;
    c->text = text;
    c->text_bytes = n_text;
    if (!logprobs) return text != NULL;
    return read_logprobs(cache, logprobs, c) && (!bounds || read_bounds(cache, bounds, c));
}

hn_status hn_answer_cache_get(hn_answer_cache *cache, const char *key, bool *found, hn_completion *completion,
                              hn_error *err) {
    *found = false;
    *completion = (hn_completion){0};
    if (!cache->store) return HN_OK;
    json_t *value;
    HN_TRY(hn_cache_get(cache->store, key, &value, err));
    json_decref(cache->found);
    cache->found = value;
    *found = value && unpack(cache, value, completion);
    return HN_OK;
}
