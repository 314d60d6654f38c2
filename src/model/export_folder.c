/* Exporting a model as a Hugging Face folder; see export_folder.h. Matrices stream row by row: dequantised, put back into Hugging Face's order,
 * the adapter's part added in f32, and rounded once to the type of the file. */
#include "model/export_folder.h"

#include "base/alloc.h"
#include "base/file.h"
#include "format/json.h"
#include "format/safetensors_write.h"
#include "model/architecture.h"
#include "model/export_parts.h"
#include "model/weight_feed.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX_BYTES = 256 << 20 };

/* Where one tensor of the file comes from. */
typedef struct part {
    const hn_matrix *matrix;  /* or */
    const float *vector;      /* (n) */
    const float *values;      /* (n_out, n_in) or (n) instead of the model's; NULL: none */
    const hn_low_rank *added; /* NULL: none */
    bool turned;              /* rows of heads in GGUF's order */
} part;

typedef struct exporter {
    const hn_model *model;
    const hn_shape *shape;
    hn_dtype dtype;
    const hn_export_values *values; /* NULL: the model's own */
    const char *folder;
    char source[HN_PATH_MAX]; /* folder of the model, where it is one */
    hn_gguf *gguf;            /* else its file */
    hn_arena *arena;
    part *parts;
    hn_safetensors_out *out;
    size_t n;
    float *delta; /* one row */
    hn_error *err;
} exporter;

/* ---- the tensors ---- */

static void place_part(exporter *e, hn_tensor_role role, const hn_layer *layer, part *p) {
    const hn_weights *w = hn_model_weights(e->model);
    *p = (part){0};
    switch (role) {
    case HN_TENSOR_EMBEDDING: p->matrix = &w->embedding; break;
    case HN_TENSOR_OUTPUT: p->matrix = e->shape->tied ? NULL : &w->output; break;
    case HN_TENSOR_OUTPUT_NORM: p->vector = w->output_norm; break;
    case HN_TENSOR_ATTENTION_NORM: p->vector = layer->attention_norm; break;
    case HN_TENSOR_FFN_NORM: p->vector = layer->ffn_norm; break;
    case HN_TENSOR_Q: p->matrix = &layer->q; break;
    case HN_TENSOR_K: p->matrix = &layer->k; break;
    case HN_TENSOR_V: p->matrix = &layer->v; break;
    case HN_TENSOR_O: p->matrix = &layer->o; break;
    case HN_TENSOR_GATE: p->matrix = &layer->gate; break;
    case HN_TENSOR_UP: p->matrix = &layer->up; break;
    case HN_TENSOR_DOWN: p->matrix = &layer->down; break;
    case HN_TENSOR_ROPE_FACTORS:
    case HN_TENSOR_ROPE_LONG:
    case HN_TENSOR_ROPE_SHORT: break; /* config.json says it */
    }
    p->turned = e->shape->rope_interleaved && (role == HN_TENSOR_Q || role == HN_TENSOR_K);
    if (!layer || !layer->low_rank || !p->matrix) return;
    const hn_matrix *const linears[] = {&layer->q,    &layer->k,  &layer->v,   &layer->o,
                                        &layer->gate, &layer->up, &layer->down};
    for (int k = 0; k < HN_LINEARS_OF_LAYER; k++)
        if (linears[k] == p->matrix && layer->low_rank[k].rank > 0) p->added = &layer->low_rank[k];
}

static hn_status add_tensor(exporter *e, const hn_architecture *a, const hn_tensor_rule *rule, int layer) {
    part p;
    place_part(e, rule->role, hn_tensor_is_layered(rule->role) ? &hn_model_weights(e->model)->layers[layer] : NULL, &p);
    if ((!p.matrix && !p.vector) || !rule->hf) return HN_OK;
    char *name = hn_arena_alloc(e->arena, HN_TENSOR_NAME_MAX);
    if (!name) return hn_fail_memory(e->err, HN_TENSOR_NAME_MAX);
    hn_tensor_name(a, rule, false, layer, name);
    if (e->values) p.values = e->values->find(e->values->user, name);
    if (p.values) p.turned = false; /* they are in Hugging Face's order already */
    e->parts[e->n] = p;
    e->out[e->n++] = (hn_safetensors_out){
        .name = name,
        .dtype = e->dtype,
        .n_dims = p.matrix ? 2 : 1,
        .dims = {hn_dimension_size(e->shape, rule->n_out), p.matrix ? hn_dimension_size(e->shape, rule->n_in) : 0}};
    return HN_OK;
}

static hn_status list_tensors(exporter *e) {
    const hn_architecture *a = hn_architecture_find(e->shape->architecture);
    size_t most = (size_t)a->n_tensors * (size_t)(e->shape->n_layers + 1);
    e->parts = hn_arena_calloc(e->arena, most, sizeof *e->parts);
    e->out = hn_arena_calloc(e->arena, most, sizeof *e->out);
    if (!e->parts || !e->out) return hn_fail_memory(e->err, most * sizeof *e->out);
    for (int i = 0; i < a->n_tensors; i++) {
        int n_layers = hn_tensor_is_layered(a->tensors[i].role) ? e->shape->n_layers : 1;
        for (int l = 0; l < n_layers; l++) HN_TRY(add_tensor(e, a, &a->tensors[i], l));
    }
    int64_t widest = 1;
    for (size_t i = 0; i < e->n; i++)
        if (e->parts[i].matrix && e->parts[i].matrix->n_in > widest) widest = e->parts[i].matrix->n_in;
    e->delta = hn_arena_alloc(e->arena, (size_t)widest * sizeof *e->delta);
    return e->delta ? HN_OK : hn_fail_memory(e->err, (size_t)widest * sizeof *e->delta);
}

/* The model's row that is row `row` of Hugging Face's: GGUF has a head's halves as pairs. */
static int64_t row_of(const exporter *e, const part *p, int64_t row) {
    int64_t HS = e->shape->head_size, half = HS / 2, inside = row % HS;
    if (!p->turned) return row;
    return row - inside + (inside < half ? 2 * inside : 2 * (inside - half) + 1);
}

static hn_status make_rows(void *user, size_t index, int64_t first, int64_t n, float *values, hn_error *err) {
    exporter *e = user;
    const part *p = &e->parts[index];
    size_t row_bytes = 0;
    if (p->vector) {
        memcpy(values, p->values ? p->values : p->vector, (size_t)e->out[index].dims[0] * sizeof *values);
        return HN_OK;
    }
    int64_t K = p->matrix->n_in;
    if (!hn_dtype_bytes(p->matrix->dtype, (uint64_t)K, &row_bytes))
        return hn_fail(err, HN_ERR_INTERNAL, e->out[index].name, NULL, "a row of %lld values has no size",
                       (long long)K);
    for (int64_t i = 0; i < n; i++) {
        int64_t row = row_of(e, p, first + i);
        const unsigned char *bytes = (const unsigned char *)p->matrix->data + (size_t)row * row_bytes;
        if (p->values)
            memcpy(values + i * K, p->values + row * K, (size_t)K * sizeof *values);
        else
            hn_kernels_available(0)->dequantize(values + i * K, bytes, p->matrix->dtype, (size_t)K);
        if (p->added) hn_low_rank_add_row(p->added, p->matrix->n_out, K, row, values + i * K, e->delta);
    }
    return HN_OK;
}

static hn_status write_tensors(exporter *e, hn_export_result *r) {
    static const char *const metadata[] = {"format", "pt", NULL};
    char path[HN_PATH_MAX];
    HN_TRY(list_tensors(e));
    HN_TRY(hn_path_join(path, e->folder, "model.safetensors", e->err));
    HN_TRY(hn_safetensors_write(path, e->out, e->n, metadata, make_rows, e, e->err));
    int64_t size = hn_file_size(path);
    r->bytes = size > 0 ? (uint64_t)size : 0;
    r->n_tensors = e->n;
    for (size_t i = 0; i < e->n; i++) r->n_merged += e->parts[i].added != NULL;
    return HN_OK;
}

/* ---- the texts ---- */

static hn_status copy_texts(const exporter *e) {
    static const char *const names[] = {
        "tokenizer.json",          "tokenizer_config.json", "tokenizer.model", "chat_template.jinja",
        "special_tokens_map.json", "added_tokens.json",     "vocab.json",      "merges.txt",
        "generation_config.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char from[HN_PATH_MAX], to[HN_PATH_MAX], *bytes;
        size_t n;
        HN_TRY(hn_path_join(from, e->source, names[i], e->err));
        if (!hn_file_exists(from)) continue;
        HN_TRY(hn_path_join(to, e->folder, names[i], e->err));
        HN_TRY(hn_file_read(from, TEXT_MAX_BYTES, &bytes, &n, e->err));
        hn_status st = hn_file_write_atomic(to, bytes, n, e->err);
        hn_free(bytes);
        HN_TRY(st);
    }
    return HN_OK;
}

/* As it was, but for the type; older files call it torch_dtype. */
static hn_status copy_config(const exporter *e) {
    static const hn_json_style style = {.indent = 2};
    char from[HN_PATH_MAX], to[HN_PATH_MAX];
    json_t *config;
    HN_TRY(hn_path_join(from, e->source, "config.json", e->err));
    HN_TRY(hn_path_join(to, e->folder, "config.json", e->err));
    HN_TRY(hn_json_read(from, TEXT_MAX_BYTES, 0, &config, e->err));
    const char *key = json_object_get(config, "dtype") ? "dtype" : "torch_dtype";
    hn_status st = json_object_set_new(config, key, json_string(hn_export_type_name(e->dtype))) == 0
                       ? hn_json_save(to, config, &style, e->err)
                       : hn_fail_memory(e->err, 0);
    json_decref(config);
    return st;
}

static hn_status write_texts(const exporter *e) {
    const hn_tokenizer *t = hn_model_tokenizer(e->model);
    if (!e->gguf) {
        HN_TRY(copy_texts(e));
        return copy_config(e);
    }
    if (t) HN_TRY(hn_export_tokenizer_gguf(e->gguf, e->model, e->folder, e->err));
    return hn_export_config_gguf(e->gguf, t, e->dtype, e->folder, e->err);
}

/* ---- before and after ---- */

static hn_status open_source(exporter *e) {
    const char *path = hn_model_path(e->model);
    if (!hn_model_weights(e->model))
        return hn_fail(e->err, HN_ERR_INPUT, path, NULL, "the file holds a vocabulary only");
    if (hn_file_is_dir(path)) return hn_path_join(e->source, path, ".", e->err);
    if (hn_ends_with(path, ".safetensors") || hn_ends_with(path, ".json")) {
        hn_path_dir(path, e->source);
        return HN_OK;
    }
    HN_TRY(hn_gguf_open(path, &e->gguf, e->err));
    HN_TRY(hn_export_config_gguf(e->gguf, NULL, e->dtype, NULL, e->err)); /* what cannot be said is refused now */
    return hn_model_tokenizer(e->model) ? hn_export_tokenizer_gguf(e->gguf, e->model, NULL, e->err) : HN_OK;
}

static hn_status check_target(const exporter *e) {
    char path[HN_PATH_MAX];
    HN_TRY(hn_path_join(path, e->folder, "config.json", e->err));
    if (e->values && hn_file_exists(path) && remove(path) != 0) return hn_fail_errno(e->err, errno, path, "removing");
    if (hn_file_exists(path))
        return hn_fail(e->err, HN_ERR_EXISTS, e->folder, "name another folder, or remove this one",
                       "the folder holds a model already");
    return hn_dir_create(e->folder, e->err);
}

const char hn_export_sample_text[] = "It's 12345.67 \xe2\x82\xac on\t2024-01-31,\r\n\n  don't WE'LL  na\xc3\xafve "
                                     "\xe6\x97\xa5\xe6\x9c\xac x=f(a[0]);  \xf0\x9f\x99\x82 end  ";

hn_status hn_export_same_ids(const hn_tokenizer *a, const hn_tokenizer *b, const char *text, const char *where,
                             hn_error *err) {
    hn_tokens x = {0}, y = {0};
    hn_status st = hn_tokenizer_encode(a, text, strlen(text), HN_TOKENIZE_SPECIAL | HN_TOKENIZE_BOS, &x, err);
    if (st == HN_OK) st = hn_tokenizer_encode(b, text, strlen(text), HN_TOKENIZE_SPECIAL | HN_TOKENIZE_BOS, &y, err);
    if (st == HN_OK && (x.n != y.n || (x.n && memcmp(x.ids, y.ids, x.n * sizeof *x.ids) != 0)))
        st = hn_fail(err, HN_ERR_INTERNAL, where, "export from the model's own file or folder",
                     "the exported tokenizer gives other tokens than the model's");
    hn_tokens_free(&x);
    hn_tokens_free(&y);
    return st;
}

/* Opened again it must be the same model: its sizes, its template, and the ids of a text with something of everything. */
static hn_status check_written(const exporter *e, hn_export_result *r) {
    const hn_tokenizer *t = hn_model_tokenizer(e->model);
    const char *template = hn_model_chat_template(e->model), *other;
    hn_model *m;
    HN_TRY(hn_model_open(e->folder, t ? 0 : HN_MODEL_IDS_ONLY, &m, e->err));
    const hn_shape *s = hn_model_shape(m);
    other = hn_model_chat_template(m);
    r->has_tokenizer = t != NULL, r->has_template = template != NULL;
    bool same = s->n_parameters == e->shape->n_parameters && s->tied == e->shape->tied &&
                memcmp(s->rope_frequencies, e->shape->rope_frequencies, (size_t)s->rope_dims / 2 * sizeof(float)) == 0;
    hn_status st = same ? HN_OK
                        : hn_fail(e->err, HN_ERR_INTERNAL, e->folder, NULL,
                                  "the exported model has other sizes or rotary frequencies than its source");
    if (st == HN_OK && (!template != !other || (template && strcmp(template, other) != 0)))
        st = hn_fail(e->err, HN_ERR_INTERNAL, e->folder, NULL, "the exported chat template is not the model's");
    if (st == HN_OK && t)
        st = hn_export_same_ids(t, hn_model_tokenizer(m), hn_export_sample_text, "tokenizer.json", e->err);
    if (st == HN_OK && t && template)
        st = hn_export_same_ids(t, hn_model_tokenizer(m), template, "tokenizer.json", e->err);
    hn_model_close(m);
    return st;
}

static hn_status export(exporter *e, hn_export_result *result) {
    *result = (hn_export_result){0};
    e->arena = hn_arena_create(0);
    if (!e->arena) return hn_fail_memory(e->err, 0);
    hn_status st = open_source(e);
    if (st == HN_OK) st = check_target(e);
    if (st == HN_OK) st = write_tensors(e, result);
    if (st == HN_OK) st = write_texts(e);
    if (st == HN_OK) st = check_written(e, result);
    hn_gguf_close(e->gguf);
    hn_arena_free(e->arena);
    return st;
}

hn_status hn_export_folder(const hn_model *model, hn_dtype dtype, const char *folder, hn_export_result *result,
                           hn_error *err) {
    exporter e = {.model = model, .shape = hn_model_shape(model), .dtype = dtype, .folder = folder, .err = err};
    return export(&e, result);
}

hn_status hn_export_folder_values(const hn_model *model, hn_dtype dtype, const hn_export_values *values,
                                  const char *folder, hn_export_result *result, hn_error *err) {
    exporter e = {
        .model = model, .shape = hn_model_shape(model), .dtype = dtype, .values = values, .folder = folder, .err = err};
    return export(&e, result);
}
