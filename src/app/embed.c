/* Texts as vectors; see embed.h. A vector is kept as {"pooled": hex of its little-endian floats, "tokens", "ms"}. */
#include "app/embed.h"

#include "base/interrupt.h"

#include <math.h>
#include <string.h>

enum { WINDOW = 64, KEEP_MAX = 128, STEP_MS = 100 };

typedef struct embedder embedder;

typedef struct slot {
    embedder *e;
    size_t index;
    char key[65];
    uint64_t ticket;
    bool busy;
} slot;

struct embedder {
    hn_provider *provider;
    const hn_embed_options *options;
    hn_embeddings *out;
    slot slots[WINDOW];
    size_t n_busy, n_done;
    char *keys[KEEP_MAX]; /* waiting to be kept */
    json_t *values[KEEP_MAX];
    size_t n_waiting;
    hn_status failed;
    hn_error failure;
    bool closing;
};

/* ---- kept vectors ---- */

static char *to_hex(const float *vector, size_t n) {
    static const char digits[] = "0123456789abcdef";
    char *text = hn_alloc(8 * n + 1);
    for (size_t i = 0; text && i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &vector[i], sizeof bits);
        for (int b = 0; b < 8; b++) text[8 * i + (size_t)b] = digits[(bits >> (4 * b)) & 15];
    }
    if (text) text[8 * n] = 0;
    return text;
}

static int digit_of(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool from_hex(const json_t *text, float *vector, size_t n) {
    const char *hex = json_string_value(text);
    if (!hex || json_string_length(text) != 8 * n) return false;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = 0;
        for (int b = 0; b < 8; b++) {
            int digit = digit_of(hex[8 * i + (size_t)b]);
            if (digit < 0) return false;
            bits |= (uint32_t)digit << (4 * b);
        }
        memcpy(&vector[i], &bits, sizeof bits);
        if (!isfinite(vector[i])) return false;
    }
    return true;
}

static hn_status keep_waiting(embedder *e, hn_error *err) {
    hn_status st = HN_OK;
    if (e->n_waiting == 0) return HN_OK;
    if (!hn_store_is_read_only(e->options->store))
        st = hn_cache_put(e->options->store, (const char *const *)e->keys, e->values, e->n_waiting, err);
    for (size_t i = 0; i < e->n_waiting; i++) {
        hn_free(e->keys[i]);
        json_decref(e->values[i]);
    }
    e->n_waiting = 0;
    return st;
}

static hn_status keep(embedder *e, const slot *s, hn_error *err) {
    const hn_embeddings *o = e->out;
    if (!e->options->store) return HN_OK;
    char *hex = to_hex(o->vectors + s->index * o->n_dims, o->n_dims), *key = hn_strdup(s->key);
    json_t *value =
        hex && key ? json_pack("{s:s, s:i, s:f}", "pooled", hex, "tokens", o->n_tokens[s->index], "ms", o->ms[s->index])
                   : NULL;
    hn_free(hex);
    if (!value) {
        hn_free(key);
        return hn_fail_memory(err, 8 * o->n_dims);
    }
    e->keys[e->n_waiting] = key;
    e->values[e->n_waiting++] = value;
    return e->n_waiting == KEEP_MAX ? keep_waiting(e, err) : HN_OK;
}

static hn_status find_kept(embedder *e, const slot *s, bool *found, hn_error *err) {
    hn_embeddings *o = e->out;
    json_t *value;
    *found = false;
    if (!e->options->store) return HN_OK;
    HN_TRY(hn_cache_get(e->options->store, s->key, &value, err));
    const json_t *ms = json_object_get(value, "ms"), *tokens = json_object_get(value, "tokens");
    *found = from_hex(json_object_get(value, "pooled"), o->vectors + s->index * o->n_dims, o->n_dims);
    if (*found) {
        o->ms[s->index] = json_is_number(ms) ? json_number_value(ms) : (double)NAN;
        o->n_tokens[s->index] = (int)json_integer_value(tokens);
        o->n_cached++;
    }
    json_decref(value);
    return HN_OK;
}

/* ---- computing ---- */

static void on_completion(void *user, uint64_t ticket, const hn_completion *c) {
    slot *s = user;
    embedder *e = s->e;
    hn_embeddings *o = e->out;
    (void)ticket;
    s->busy = false;
    e->n_busy--;
    e->n_done++;
    if (e->failed != HN_OK || e->closing) return;
    if (c->status != HN_OK) {
        e->failed = c->status;
        e->failure = c->error;
        return;
    }
    if (!c->pooled || c->n_pooled != o->n_dims) {
        e->failed = hn_fail(&e->failure, HN_ERR_UNSUPPORTED, "model", "use a local model", "it gives no hidden states");
        return;
    }
    memcpy(o->vectors + s->index * o->n_dims, c->pooled, o->n_dims * sizeof *o->vectors);
    o->ms[s->index] = c->timing.prefill_ms;
    o->n_tokens[s->index] = c->usage.prompt_tokens;
    e->failed = keep(e, s, &e->failure);
}

static slot *free_slot(embedder *e) {
    for (size_t i = 0; i < WINDOW; i++)
        if (!e->slots[i].busy) return &e->slots[i];
    return NULL;
}

static hn_status submit(embedder *e, slot *s, const char *text, size_t index, hn_error *err) {
    hn_request request = {.kind = HN_REQUEST_POOLED, .raw = text};
    bool found;
    s->e = e;
    s->index = index;
    HN_TRY(hn_provider_cache_key(e->provider, &request, s->key, err));
    HN_TRY(find_kept(e, s, &found, err));
    if (found) {
        e->n_done++;
        return HN_OK;
    }
    s->busy = true;
    e->n_busy++;
    hn_status st = hn_provider_submit(e->provider, &request, 0, on_completion, s, &s->ticket, err);
    if (st != HN_OK) s->busy = false, e->n_busy--;
    return st;
}

static hn_status step(embedder *e, hn_error *err) {
    HN_TRY(hn_interrupt_check(err));
    HN_TRY(hn_provider_step(e->provider, STEP_MS, NULL, err));
    if (e->failed != HN_OK && err) *err = e->failure;
    if (e->options->on_progress) e->options->on_progress(e->options->user, e->n_done, e->out->n);
    return e->failed;
}

static hn_status embed_all(embedder *e, const hn_str *texts, hn_error *err) {
    for (size_t i = 0; i < e->out->n; i++) {
        if (texts[i].len == 0) {
            e->n_done++;
            continue;
        }
        while (e->n_busy == WINDOW) HN_TRY(step(e, err));
        HN_TRY(hn_interrupt_check(err));
        char *text = hn_strndup(texts[i].data, texts[i].len);
        if (!text) return hn_fail_memory(err, texts[i].len);
        hn_status st = submit(e, free_slot(e), text, i, err);
        hn_free(text);
        HN_TRY(st);
    }
    while (e->n_busy > 0) HN_TRY(step(e, err));
    return HN_OK;
}

static hn_status make_room(hn_provider *provider, size_t n, hn_embeddings *out, hn_error *err) {
    hn_provider_info info;
    size_t n_floats;
    HN_TRY(hn_provider_info_get(provider, &info, err));
    if (!info.model)
        return hn_fail(err, HN_ERR_UNSUPPORTED, info.name, "use a local model",
                       "only a local model shows its hidden states");
    *out = (hn_embeddings){.n = n, .n_dims = (size_t)hn_model_shape(info.model)->n_embd};
    if (!hn_mul_size(n, out->n_dims, &n_floats)) return hn_fail_memory(err, SIZE_MAX);
    out->vectors = hn_calloc(n_floats, sizeof *out->vectors);
    out->ms = hn_calloc(n, sizeof *out->ms);
    out->n_tokens = hn_calloc(n, sizeof *out->n_tokens);
    return out->vectors && out->ms && out->n_tokens ? HN_OK : hn_fail_memory(err, n_floats * sizeof *out->vectors);
}

/* Nothing may be left in the provider that would call into freed memory. */
static void cancel_all(embedder *e) {
    e->closing = true;
    for (size_t i = 0; i < WINDOW; i++)
        if (e->slots[i].busy) hn_provider_cancel(e->provider, e->slots[i].ticket);
}

hn_status hn_embed_texts(hn_provider *provider, const hn_str *texts, size_t n, const hn_embed_options *options,
                         hn_embeddings *out, hn_error *err) {
    static const hn_embed_options none = {0};
    hn_error unused;
    *out = (hn_embeddings){0};
    embedder *e = hn_calloc(1, sizeof *e);
    if (!e) return hn_fail_memory(err, sizeof *e);
    *e = (embedder){.provider = provider, .options = options ? options : &none, .out = out};
    hn_status st = make_room(provider, n, out, err);
    if (st == HN_OK) st = embed_all(e, texts, err);
    cancel_all(e);
    hn_status kept = keep_waiting(e, st == HN_OK ? err : &unused);
    if (st == HN_OK) st = kept;
    hn_free(e);
    if (st != HN_OK) hn_embeddings_free(out);
    return st;
}

void hn_embeddings_free(hn_embeddings *e) {
    hn_free(e->vectors);
    hn_free(e->ms);
    hn_free(e->n_tokens);
    *e = (hn_embeddings){0};
}
