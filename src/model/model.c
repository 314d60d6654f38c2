/* Opening a model from a GGUF file or a folder; see model.h. Nothing here reads the weights themselves: they are
 * mapped, and their pages come when they are used, so that a start is quick. */
#include "model/model.h"

#include "base/alloc.h"
#include "base/file.h"
#include "model/adapter.h"
#include "model/model_hash.h"
#include "model/model_parts.h"
#include "model/shape.h"
#include "model/weights.h"

#include <jansson.h>
#include <string.h>

enum { CONFIG_MAX_BYTES = 16 << 20, TOKENIZER_MAX_BYTES = 256 << 20, TEMPLATE_MAX_BYTES = 1 << 20 };

struct hn_model {
    char *path, *chat_template;
    hn_gguf *gguf; /* one of these two */
    hn_tensor_folder *folder;
    hn_shape shape;
    hn_weight_store store;
    hn_tokenizer *tokenizer;
    bool has_weights;
    uint64_t file_bytes;
    char hash[65];         /* "" until it is asked for */
    char adapter_hash[65]; /* "": none */
};

static hn_status finish(hn_model *m, const hn_tensor_source *source, hn_rope_source *rope, hn_error *err) {
    const hn_architecture *a = hn_architecture_find(m->shape.architecture);
    if (source->gguf) {
        HN_TRY(hn_weights_read_vector(source, a, HN_TENSOR_ROPE_FACTORS, &m->shape, &rope->factors, err));
        HN_TRY(hn_weights_read_vector(source, a, HN_TENSOR_ROPE_LONG, &m->shape, &rope->long_factors, err));
        HN_TRY(hn_weights_read_vector(source, a, HN_TENSOR_ROPE_SHORT, &m->shape, &rope->short_factors, err));
    }
    HN_TRY(hn_shape_set_rope(&m->shape, rope, err));
    HN_TRY(hn_weight_store_load(source, a, &m->shape, &m->store, err));
    m->has_weights = true;
    return HN_OK;
}

static hn_status keep_template(hn_model *m, const char *text, size_t n, hn_error *err) {
    if (n > TEMPLATE_MAX_BYTES || memchr(text, 0, n))
        return hn_fail(err, HN_ERR_INPUT, "chat template", NULL, "it holds a NUL byte or is longer than %d bytes",
                       TEMPLATE_MAX_BYTES);
    hn_free(m->chat_template);
    m->chat_template = hn_strndup(text, n);
    return m->chat_template ? HN_OK : hn_fail_memory(err, n + 1);
}

static hn_status open_gguf(hn_model *m, const char *path, unsigned flags, hn_error *err) {
    HN_TRY(hn_gguf_open(path, &m->gguf, err));
    m->file_bytes = hn_gguf_file_bytes(m->gguf);
    hn_rope_source rope = {0};
    hn_status st = HN_OK;
    if (!(flags & HN_MODEL_VOCAB_ONLY)) {
        hn_tensor_source source = hn_tensor_source_gguf(m->gguf);
        st = hn_shape_from_gguf(m->gguf, &m->shape, &rope, err);
        if (st == HN_OK) st = finish(m, &source, &rope, err);
        hn_rope_source_free(&rope);
    }
    bool none = (flags & HN_MODEL_IDS_ONLY) && !hn_gguf_find(m->gguf, "tokenizer.ggml.model");
    if (st == HN_OK && !none) st = hn_tokenizer_from_gguf(m->gguf, &m->tokenizer, err);
    hn_str text = hn_gguf_str(m->gguf, "tokenizer.chat_template");
    if (st == HN_OK && text.data) st = keep_template(m, text.data, text.len, err);
    if (st != HN_OK) hn_error_prefix(err, path);
    return st;
}

/* Reads folder/name; *text NULL where it does not exist and may be missing. */
static hn_status read_part(const char *folder, const char *name, size_t max_bytes, bool optional, char **text,
                           size_t *n, hn_error *err) {
    char path[HN_PATH_MAX];
    *text = NULL;
    HN_TRY(hn_path_join(path, folder, name, err));
    if (optional && !hn_file_exists(path)) return HN_OK;
    return hn_file_read(path, max_bytes, text, n, err);
}

static hn_status open_weights(hn_model *m, const char *folder, hn_error *err) {
    char *text;
    size_t n;
    hn_rope_source rope = {0};
    char config[HN_PATH_MAX];
    HN_TRY(hn_path_join(config, folder, "config.json", err));
    if (!hn_file_exists(config))
        return hn_fail(err, HN_ERR_NOT_FOUND, config,
                       "name a GGUF file, or a folder with config.json, tokenizer.json and *.safetensors",
                       "the folder holds no model: there is no config.json in it");
    HN_TRY(read_part(folder, "config.json", CONFIG_MAX_BYTES, false, &text, &n, err));
    hn_status st = hn_shape_from_config(text, n, &m->shape, &rope, err);
    hn_free(text);
    if (st != HN_OK) {
        hn_error_prefix(err, "config.json");
        hn_error_prefix(err, folder);
        return st;
    }
    st = hn_tensor_folder_open(folder, &m->folder, err);
    hn_tensor_source source = hn_tensor_source_folder(m->folder);
    if (st == HN_OK && (st = finish(m, &source, &rope, err)) != HN_OK) hn_error_prefix(err, folder);
    for (size_t i = 0; m->folder && i < hn_tensor_folder_count(m->folder); i++) {
        int64_t size = hn_file_size(hn_tensor_folder_path(m->folder, i));
        m->file_bytes += size > 0 ? (uint64_t)size : 0;
    }
    hn_rope_source_free(&rope);
    return st;
}

/* tokenizer_config.json's chat_template: a text, or a list of {"name", "template"} of which "default" counts. */
static hn_status template_from_config(hn_model *m, const char *text, size_t n, hn_error *err) {
    json_error_t bad;
    json_t *config = json_loadb(text, n, 0, &bad);
    if (!config && !bad.text[0]) return hn_fail_memory(err, n);
    if (!config)
        return hn_fail(err, HN_ERR_INPUT, "tokenizer_config.json", NULL, "line %d, column %d: %s", bad.line, bad.column,
                       bad.text);
    const json_t *found = json_object_get(config, "chat_template");
    for (size_t i = 0; json_is_array(found) && i < json_array_size(found); i++) {
        const json_t *one = json_array_get(found, i);
        const char *name = json_string_value(json_object_get(one, "name"));
        if (name && strcmp(name, "default") == 0) found = json_object_get(one, "template");
    }
    hn_status st =
        json_is_string(found) ? keep_template(m, json_string_value(found), json_string_length(found), err) : HN_OK;
    json_decref(config);
    return st;
}

static hn_status open_texts(hn_model *m, const char *folder, unsigned flags, hn_error *err) {
    char *text;
    size_t n = 0;
    HN_TRY(read_part(folder, "tokenizer.json", TOKENIZER_MAX_BYTES, (flags & HN_MODEL_IDS_ONLY) != 0, &text, &n, err));
    if (text) {
        hn_status st = hn_tokenizer_from_json(text, n, "tokenizer.json", &m->tokenizer, err);
        hn_free(text);
        HN_TRY(st);
    }
    HN_TRY(read_part(folder, "tokenizer_config.json", TOKENIZER_MAX_BYTES, true, &text, &n, err));
    if (text) {
        hn_status st = template_from_config(m, text, n, err);
        if (st == HN_OK && m->tokenizer)
            st = hn_tokenizer_apply_config(m->tokenizer, text, n, "tokenizer_config.json", err);
        hn_free(text);
        HN_TRY(st);
    }
    HN_TRY(read_part(folder, "chat_template.jinja", TEMPLATE_MAX_BYTES, true, &text, &n, err));
    if (!text) return HN_OK;
    hn_status st = keep_template(m, text, n, err); /* the newer place wins */
    hn_free(text);
    return st;
}

static hn_status open_folder(hn_model *m, const char *folder, unsigned flags, hn_error *err) {
    if (!(flags & HN_MODEL_VOCAB_ONLY)) HN_TRY(open_weights(m, folder, err));
    hn_status st = open_texts(m, folder, flags, err);
    if (st != HN_OK && err && !strchr(err->where, '/')) hn_error_prefix(err, folder);
    return st;
}

hn_status hn_model_open(const char *path, unsigned flags, hn_model **model, hn_error *err) {
    *model = NULL;
    char folder[HN_PATH_MAX];
    hn_model *m = hn_calloc(1, sizeof *m);
    if (!m) return hn_fail_memory(err, sizeof *m);
    m->path = hn_strdup(path);
    hn_status st = m->path ? HN_OK : hn_fail_memory(err, strlen(path) + 1);
    if (st == HN_OK) {
        bool is_dir = hn_file_is_dir(path), inside = hn_ends_with(path, ".safetensors") || hn_ends_with(path, ".json");
        if (is_dir)
            st = open_folder(m, path, flags, err);
        else if (inside)
            hn_path_dir(path, folder), st = open_folder(m, folder, flags, err);
        else
            st = open_gguf(m, path, flags, err);
    }
    if (st != HN_OK)
        hn_model_close(m);
    else
        *model = m;
    return st;
}

void hn_model_close(hn_model *m) {
    if (!m) return;
    hn_tokenizer_free(m->tokenizer);
    hn_weight_store_free(&m->store);
    hn_shape_free(&m->shape);
    hn_tensor_folder_close(m->folder);
    hn_gguf_close(m->gguf);
    hn_free(m->chat_template);
    hn_free(m->path);
    hn_free(m);
}

const hn_shape *hn_model_shape(const hn_model *m) { return &m->shape; }
const hn_weights *hn_model_weights(const hn_model *m) { return m->has_weights ? &m->store.weights : NULL; }
const hn_tokenizer *hn_model_tokenizer(const hn_model *m) { return m->tokenizer; }
const char *hn_model_chat_template(const hn_model *m) { return m->chat_template; }
const char *hn_model_path(const hn_model *m) { return m->path; }
uint64_t hn_model_file_bytes(const hn_model *m) { return m->file_bytes; }

/* A folder's configuration and its tensors both decide what it does. */
static hn_status hash_adapter(hn_model *m, const char *folder, hn_error *err) {
    static const char *const files[] = {"adapter_config.json", "adapter_model.safetensors"};
    char path[HN_PATH_MAX], part[65];
    if (hn_adapter_is_file(folder)) return hn_sha256_file(folder, m->adapter_hash, err);
    hn_sha256 *h = hn_sha256_create();
    if (!h) return hn_fail_memory(err, 256);
    hn_status st = HN_OK;
    for (int i = 0; i < 2 && st == HN_OK; i++) {
        st = hn_path_join(path, folder, files[i], err);
        if (st == HN_OK) st = hn_sha256_file(path, part, err);
        if (st == HN_OK) hn_sha256_field_str(h, part);
    }
    hn_sha256_finish(h, m->adapter_hash);
    return st;
}

hn_status hn_model_add_adapter(hn_model *m, const char *path, hn_error *err) {
    hn_low_rank *low;
    if (!m->has_weights) return hn_fail(err, HN_ERR_INPUT, m->path, NULL, "the file holds a vocabulary only");
    if (m->adapter_hash[0]) return hn_fail(err, HN_ERR_USAGE, path, NULL, "the model has an adapter already");
    HN_TRY(hn_adapter_load(path, &m->shape, &m->store.weights, m->store.arena, &low, err));
    HN_TRY(hash_adapter(m, path, err));
    for (int l = 0; l < m->shape.n_layers; l++)
        m->store.weights.layers[l].low_rank = low + (size_t)l * HN_LINEARS_OF_LAYER;
    return HN_OK;
}

/* The base's id with the adapter's. */
static hn_status join_hashes(hn_model *m, hn_error *err) {
    hn_sha256 *h = hn_sha256_create();
    if (!h) return hn_fail_memory(err, 256);
    hn_sha256_field_str(h, m->hash);
    hn_sha256_field_str(h, m->adapter_hash);
    hn_sha256_finish(h, m->hash);
    return HN_OK;
}

static hn_status hash_parts(hn_model *m, hn_error *err) {
    char part[65];
    size_t n = hn_gguf_part_count(m->gguf);
    if (n == 1) return hn_model_hash_file(m->path, m->hash, err);
    hn_sha256 *h = hn_sha256_create();
    if (!h) return hn_fail_memory(err, 256);
    hn_status st = HN_OK;
    for (size_t i = 0; i < n && st == HN_OK; i++) {
        st = hn_model_hash_file(hn_gguf_part_path(m->gguf, i), part, err);
        if (st == HN_OK) hn_sha256_field_str(h, part);
    }
    hn_sha256_finish(h, part);
    if (st == HN_OK) memcpy(m->hash, part, sizeof m->hash);
    return st;
}

/* A GGUF file's id is its SHA-256, that of several files is over each one's; a folder's is over config.json's and each weight file's. */
hn_status hn_model_hash(hn_model *m, char hex[65], hn_error *err) {
    bool known = m->hash[0] != 0;
    if (!known && !m->folder) HN_TRY(hash_parts(m, err));
    if (!known && m->folder) {
        char part[65], folder[HN_PATH_MAX], config[HN_PATH_MAX];
        hn_path_dir(hn_tensor_folder_path(m->folder, 0), folder);
        HN_TRY(hn_path_join(config, folder, "config.json", err));
        hn_sha256 *h = hn_sha256_create();
        if (!h) return hn_fail_memory(err, 256);
        hn_status st = hn_sha256_file(config, part, err);
        if (st == HN_OK) hn_sha256_field_str(h, part);
        for (size_t i = 0; st == HN_OK && i < hn_tensor_folder_count(m->folder); i++) {
            st = hn_model_hash_file(hn_tensor_folder_path(m->folder, i), part, err);
            if (st == HN_OK) hn_sha256_field_str(h, part);
        }
        hn_sha256_finish(h, part);
        HN_TRY(st);
        memcpy(m->hash, part, sizeof m->hash);
    }
    if (!known && m->adapter_hash[0]) HN_TRY(join_hashes(m, err));
    memcpy(hex, m->hash, sizeof m->hash);
    return HN_OK;
}
