/* GGUF metadata of Hugging Face folders; see gguf_metadata.h.
 * What would surprise: token texts are taken from tokenizer.json as they stand there (GPT-2's byte alphabet), which is how GGUF has them; ids that no
 * token has become "[PAD<id>]", unused, up to the embedding's rows. */
#include "model/gguf_metadata.h"

#include "base/alloc.h"
#include "base/file.h"
#include "format/json.h"
#include "model/shape.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX_BYTES = 256 << 20, PAD_BYTES = 24 };

static hn_status folder_file(const hn_model *model, const char *name, char out[HN_PATH_MAX], hn_error *err) {
    char folder[HN_PATH_MAX];
    const char *path = hn_model_path(model);
    if (hn_file_is_dir(path)) return hn_path_join(out, path, name, err);
    hn_path_dir(path, folder);
    return hn_path_join(out, folder, name, err);
}

/* ---- sizes and rotary scaling ---- */

static hn_status read_rope(const hn_model *model, hn_shape *shape, hn_rope_source *rope, hn_error *err) {
    char path[HN_PATH_MAX], *text;
    size_t n;
    HN_TRY(folder_file(model, "config.json", path, err));
    HN_TRY(hn_file_read(path, TEXT_MAX_BYTES, &text, &n, err));
    hn_status st = hn_shape_from_config(text, n, shape, rope, err);
    hn_free(text);
    return st;
}

hn_status hn_gguf_metadata_rope_factors(const hn_model *model, float *factors, bool *needed, hn_error *err) {
    hn_shape shape;
    hn_rope_source rope;
    *needed = false;
    HN_TRY(read_rope(model, &shape, &rope, err));
    const hn_rope_scaling *s = &rope.scaling;
    *needed = s->kind == HN_ROPE_LLAMA3;
    for (int i = 0; *needed && i < shape.rope_dims / 2; i++) {
        double plain = pow(s->base, -2.0 * i / shape.rope_dims);
        double wave = 2 * 3.14159265358979323846 / plain, low = s->n_context_original / s->low_freq_factor,
               high = s->n_context_original / s->high_freq_factor;
        double smooth =
            (s->n_context_original / wave - s->low_freq_factor) / (s->high_freq_factor - s->low_freq_factor);
        factors[i] = wave < high ? 1 : (float)(wave > low ? s->factor : 1 / ((1 - smooth) / s->factor + smooth));
    }
    hn_rope_source_free(&rope);
    hn_shape_free(&shape);
    return HN_OK;
}

static hn_status check_rope(const hn_rope_scaling *s, hn_error *err) {
    bool fine = s->kind != HN_ROPE_LONGROPE && !(s->kind == HN_ROPE_YARN && s->keep_fractions);
    return fine ? HN_OK
                : hn_fail(err, HN_ERR_UNSUPPORTED, "rope_scaling", "export to safetensors instead",
                          "this rotary scaling is not written to GGUF files here");
}

typedef struct keys {
    hn_gguf_writer *w;
    const char *family;
    char key[96];
    hn_error *err;
} keys;

static const char *key_of(keys *k, const char *what) {
    snprintf(k->key, sizeof k->key, "%s.%s", k->family, what);
    return k->key;
}

static hn_status put_int(keys *k, const char *what, int value) {
    return hn_gguf_writer_set_u32(k->w, key_of(k, what), (uint32_t)value, k->err);
}

static hn_status put_number(keys *k, const char *what, double value) {
    return hn_gguf_writer_set_f32(k->w, key_of(k, what), (float)value, k->err);
}

static hn_status put_rope(keys *k, const hn_rope_scaling *s) {
    HN_TRY(put_number(k, "rope.freq_base", s->base));
    if (s->kind != HN_ROPE_LINEAR && s->kind != HN_ROPE_YARN) return HN_OK;
    bool yarn = s->kind == HN_ROPE_YARN;
    HN_TRY(hn_gguf_writer_set_str(k->w, key_of(k, "rope.scaling.type"), yarn ? "yarn" : "linear", k->err));
    HN_TRY(put_number(k, "rope.scaling.factor", s->factor));
    if (!yarn) return HN_OK;
    HN_TRY(put_int(k, "rope.scaling.original_context_length", s->n_context_original));
    HN_TRY(put_number(k, "rope.scaling.yarn_beta_fast", s->beta_fast));
    HN_TRY(put_number(k, "rope.scaling.yarn_beta_slow", s->beta_slow));
    if (s->attention_factor == 0 || s->factor <= 1) return HN_OK;
    return put_number(k, "rope.scaling.attn_factor", s->attention_factor / (0.1 * log(s->factor) + 1));
}

static hn_status put_sizes(keys *k, const hn_shape *s) {
    HN_TRY(put_int(k, "block_count", s->n_layers));
    HN_TRY(put_int(k, "context_length", s->n_context));
    HN_TRY(put_int(k, "embedding_length", s->n_embd));
    HN_TRY(put_int(k, "feed_forward_length", s->n_ff));
    HN_TRY(put_int(k, "attention.head_count", s->n_heads));
    HN_TRY(put_int(k, "attention.head_count_kv", s->n_kv_heads));
    HN_TRY(put_number(k, "attention.layer_norm_rms_epsilon", (double)s->norm_eps));
    HN_TRY(put_int(k, "attention.key_length", s->head_size));
    HN_TRY(put_int(k, "attention.value_length", s->head_size));
    HN_TRY(put_int(k, "vocab_size", s->n_vocab));
    return put_int(k, "rope.dimension_count", s->rope_dims);
}

static hn_status put_general(keys *k, const hn_model *model) {
    const hn_shape *s = hn_model_shape(model);
    char file[HN_PATH_MAX], folder[HN_PATH_MAX];
    HN_TRY(folder_file(model, "config.json", file, k->err));
    hn_path_dir(file, folder);
    const char *name = s->name[0] ? hn_path_base(s->name) : hn_path_base(folder);
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) name = "model";
    HN_TRY(hn_gguf_writer_set_str(k->w, "general.architecture", s->architecture, k->err));
    HN_TRY(hn_gguf_writer_set_str(k->w, "general.type", "model", k->err));
    return hn_gguf_writer_set_str(k->w, "general.name", name, k->err);
}

/* ---- the tokenizer ---- */

typedef struct vocabulary {
    const hn_tokenizer *t;
    json_t *root;
    hn_str *texts; /* (n) */
    int32_t *types;
    hn_str *merges;
    size_t n, n_merges;
    hn_arena *arena;
    hn_error *err;
} vocabulary;

static hn_status put_text(vocabulary *v, const json_t *id, hn_str text) {
    json_int_t i = json_integer_value(id);
    if (!json_is_integer(id) || i < 0 || (size_t)i >= v->n)
        return hn_fail(v->err, HN_ERR_UNSUPPORTED, "tokenizer.json", NULL,
                       "it has a token %lld, the embedding has %zu rows", (long long)i, v->n);
    v->texts[i] = text;
    return HN_OK;
}

static hn_str text_of(const json_t *string) { return (hn_str){json_string_value(string), json_string_length(string)}; }

static hn_status take_texts(vocabulary *v) {
    const json_t *added = json_object_get(v->root, "added_tokens");
    json_t *vocab = json_object_get(json_object_get(v->root, "model"), "vocab"), *id;
    const char *key;
    json_object_foreach(vocab, key, id) HN_TRY(put_text(v, id, hn_str_of(key)));
    for (size_t i = 0; i < json_array_size(added); i++) {
        const json_t *one = json_array_get(added, i);
        HN_TRY(put_text(v, json_object_get(one, "id"), text_of(json_object_get(one, "content"))));
    }
    for (size_t i = 0; i < v->n; i++) {
        bool known = (int64_t)i < hn_tokenizer_vocab_size(v->t) && v->texts[i].data;
        v->types[i] =
            known ? (int32_t)hn_tokenizer_kind(v->t, (int32_t)i) + 1 : HN_TOKEN_UNUSED + 1; /* ggml's numbers */
        if (known) continue;
        char *pad = hn_arena_alloc(v->arena, PAD_BYTES);
        if (!pad) return hn_fail_memory(v->err, PAD_BYTES);
        snprintf(pad, PAD_BYTES, "[PAD%zu]", i);
        v->texts[i] = hn_str_of(pad);
    }
    return HN_OK;
}

/* "left right"; newer files have ["left", "right"]. */
static hn_status take_merges(vocabulary *v) {
    const json_t *list = json_object_get(json_object_get(v->root, "model"), "merges");
    v->n_merges = json_array_size(list);
    v->merges = hn_arena_calloc(v->arena, v->n_merges + 1, sizeof *v->merges);
    if (!v->merges) return hn_fail_memory(v->err, v->n_merges * sizeof *v->merges);
    for (size_t i = 0; i < v->n_merges; i++) {
        const json_t *one = json_array_get(list, i);
        v->merges[i] = text_of(one);
        if (!json_is_array(one)) continue;
        hn_str a = text_of(json_array_get(one, 0)), b = text_of(json_array_get(one, 1));
        if (memchr(a.data, ' ', a.len) || memchr(b.data, ' ', b.len))
            return hn_fail(v->err, HN_ERR_UNSUPPORTED, "tokenizer.json", NULL, "merge %zu has a space in a token", i);
        char *both = hn_arena_alloc(v->arena, a.len + b.len + 1);
        if (!both) return hn_fail_memory(v->err, a.len + b.len);
        memcpy(both, a.data, a.len);
        both[a.len] = ' ';
        memcpy(both + a.len + 1, b.data, b.len);
        v->merges[i] = (hn_str){both, a.len + b.len + 1};
    }
    return HN_OK;
}

static hn_status put_specials(keys *k, const hn_tokenizer *t, int32_t padding) {
    const struct {
        const char *key;
        int32_t id;
    } ids[] = {{"tokenizer.ggml.bos_token_id", hn_tokenizer_bos(t)},
               {"tokenizer.ggml.eos_token_id", hn_tokenizer_eos(t)},
               {"tokenizer.ggml.padding_token_id", padding}};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        if (ids[i].id >= 0) HN_TRY(hn_gguf_writer_set_u32(k->w, ids[i].key, (uint32_t)ids[i].id, k->err));
    HN_TRY(hn_gguf_writer_set_bool(k->w, "tokenizer.ggml.add_space_prefix", false, k->err));
    return hn_gguf_writer_set_bool(k->w, "tokenizer.ggml.add_bos_token", hn_tokenizer_adds_bos(t), k->err);
}

/* tokenizer_config.json's pad_token; -1 where there is none. */
static int32_t padding_id(const hn_model *model) {
    char path[HN_PATH_MAX];
    json_t *config;
    hn_error unused;
    int32_t id = -1;
    if (folder_file(model, "tokenizer_config.json", path, &unused) != HN_OK || !hn_file_exists(path)) return -1;
    if (hn_json_read(path, TEXT_MAX_BYTES, HN_JSON_NUL, &config, &unused) != HN_OK) return -1;
    const json_t *pad = json_object_get(config, "pad_token");
    const char *text = json_string_value(json_is_object(pad) ? json_object_get(pad, "content") : pad);
    if (text) id = hn_tokenizer_find_special(hn_model_tokenizer(model), text);
    json_decref(config);
    return id;
}

static hn_status put_vocabulary(keys *k, vocabulary *v, const hn_model *model) {
    const char *pre;
    v->texts = hn_arena_calloc(v->arena, v->n, sizeof *v->texts);
    v->types = hn_arena_calloc(v->arena, v->n, sizeof *v->types);
    if (!v->texts || !v->types) return hn_fail_memory(v->err, v->n * sizeof *v->texts);
    HN_TRY(hn_tokenizer_gguf_name(v->t, &pre, v->err));
    HN_TRY(take_texts(v));
    HN_TRY(take_merges(v));
    HN_TRY(hn_gguf_writer_set_str(k->w, "tokenizer.ggml.model", "gpt2", v->err));
    HN_TRY(hn_gguf_writer_set_str(k->w, "tokenizer.ggml.pre", pre, v->err));
    HN_TRY(hn_gguf_writer_set_strs(k->w, "tokenizer.ggml.tokens", v->texts, v->n, v->err));
    HN_TRY(hn_gguf_writer_set_i32s(k->w, "tokenizer.ggml.token_type", v->types, v->n, v->err));
    HN_TRY(hn_gguf_writer_set_strs(k->w, "tokenizer.ggml.merges", v->merges, v->n_merges, v->err));
    return put_specials(k, v->t, padding_id(model));
}

static hn_status put_tokenizer(keys *k, const hn_model *model) {
    char path[HN_PATH_MAX];
    const char *template = hn_model_chat_template(model);
    vocabulary v = {.t = hn_model_tokenizer(model), .n = (size_t)hn_model_shape(model)->n_vocab, .err = k->err};
    if (!v.t) return HN_OK; /* token ids only */
    HN_TRY(folder_file(model, "tokenizer.json", path, k->err));
    HN_TRY(hn_json_read(path, TEXT_MAX_BYTES, HN_JSON_NUL, &v.root, k->err));
    v.arena = hn_arena_create(0);
    hn_status st = v.arena ? put_vocabulary(k, &v, model) : hn_fail_memory(k->err, 0);
    hn_arena_free(v.arena);
    json_decref(v.root);
    if (st == HN_OK && template) st = hn_gguf_writer_set_str(k->w, "tokenizer.chat_template", template, k->err);
    return st;
}

/* ---- the whole ---- */

hn_status hn_gguf_metadata_check(const hn_model *model, hn_error *err) {
    hn_shape shape;
    hn_rope_source rope;
    const char *pre;
    const hn_tokenizer *t = hn_model_tokenizer(model);
    HN_TRY(read_rope(model, &shape, &rope, err));
    hn_status st = check_rope(&rope.scaling, err);
    hn_rope_source_free(&rope);
    hn_shape_free(&shape);
    if (st == HN_OK && t && hn_tokenizer_vocab_size(t) > hn_model_shape(model)->n_vocab)
        st = hn_fail(err, HN_ERR_UNSUPPORTED, "tokenizer.json", NULL, "it has %d tokens, the embedding has %d rows",
                     hn_tokenizer_vocab_size(t), hn_model_shape(model)->n_vocab);
    return st == HN_OK && t ? hn_tokenizer_gguf_name(t, &pre, err) : st;
}

hn_status hn_gguf_metadata_write(const hn_model *model, hn_gguf_writer *writer, hn_error *err) {
    hn_shape shape;
    hn_rope_source rope;
    keys k = {.w = writer, .family = hn_model_shape(model)->architecture, .err = err};
    HN_TRY(put_general(&k, model));
    HN_TRY(put_sizes(&k, hn_model_shape(model)));
    HN_TRY(read_rope(model, &shape, &rope, err));
    hn_status st = put_rope(&k, &rope.scaling);
    hn_rope_source_free(&rope);
    hn_shape_free(&shape);
    return st == HN_OK ? put_tokenizer(&k, model) : st;
}
