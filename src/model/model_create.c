/* A new model with random weights; see model_create.h. */
#include "model/model_create.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/rng.h"
#include "format/json.h"
#include "format/safetensors_write.h"
#include "format/yaml.h"
#include "model/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LAYERS_MAX = 64, WIDTH_MAX = 4096, HEADS_MAX = 128, FF_MAX = 16384, CONTEXT_MAX = 32768, TENSORS_OF_LAYER = 9 };
static const double deviation = 0.02;

/* ---- plans ---- */

static int heads_of(int width) {
    int size = width >= 512 ? 64 : 32;
    return width >= size ? width / size : 1;
}

/* 8/3 of the width, in whole 32s: what a gated feed-forward has for as many weights as one of 4 widths without a gate. */
static int ff_of(int width) { return (width * 8 / 3 + 31) / 32 * 32; }

static void follow_width(hn_model_plan *p) {
    p->n_heads = heads_of(p->n_embd);
    p->n_kv_heads = p->n_heads % 2 ? p->n_heads : p->n_heads / 2;
    p->n_ff = ff_of(p->n_embd);
}

hn_model_plan hn_model_plan_default(uint64_t n_tokens, int n_vocab) {
    static const struct {
        uint64_t n_tokens; /* below which: */
        int layers, width;
    } sizes[] = {{30000, 2, 64},     {1000000, 4, 128},   {5000000, 6, 192},
                 {30000000, 6, 256}, {150000000, 8, 384}, {UINT64_MAX, 12, 512}};
    size_t i = 0;
    while (n_tokens >= sizes[i].n_tokens && sizes[i].n_tokens != UINT64_MAX) i++;
    hn_model_plan p = {
        .n_layers = sizes[i].layers, .n_embd = sizes[i].width, .n_context = 512, .n_vocab = n_vocab, .tied = true};
    follow_width(&p);
    return p;
}

static hn_status parse_keys(const hn_yaml_node *root, hn_model_plan *p, hn_error *err) {
    static const char *const names[] = {"layers", "width", "heads", "key_heads", "feed_forward", "context", "tied"};
    static const int64_t most[] = {LAYERS_MAX, WIDTH_MAX, HEADS_MAX, HEADS_MAX, FF_MAX, CONTEXT_MAX};
    int *const values[] = {&p->n_layers, &p->n_embd, &p->n_heads, &p->n_kv_heads, &p->n_ff, &p->n_context};
    HN_TRY(hn_yaml_check_keys(root, names, sizeof names / sizeof *names, err));
    for (int i = 0; i < 6; i++) {
        const hn_yaml_node *node = hn_yaml_find(root, names[i]);
        int64_t value;
        if (!node) continue;
        HN_TRY(hn_yaml_get_int(node, 1, most[i], &value, err));
        *values[i] = (int)value;
        if (i == 1) follow_width(p);
        if (i == 2 && !hn_yaml_find(root, "key_heads")) p->n_kv_heads = value % 2 ? (int)value : (int)value / 2;
    }
    const hn_yaml_node *tied = hn_yaml_find(root, "tied");
    return tied ? hn_yaml_get_bool(tied, &p->tied, err) : HN_OK;
}

hn_status hn_model_plan_parse(const char *text, hn_model_plan *plan, hn_error *err) {
    hn_model_plan p = *plan;
    hn_yaml *doc;
    hn_buf braced;
    hn_buf_init(&braced, 1 << 16);
    while (*text == ' ') text++;
    hn_buf_appendf(&braced, *text == '{' ? "%s" : "{%s}", text);
    hn_status st = hn_buf_check(&braced, "the shape", err);
    if (st == HN_OK) st = hn_yaml_parse("shape", hn_buf_str(&braced), braced.len, &doc, err);
    hn_buf_free(&braced);
    if (st == HN_OK) {
        st = hn_yaml_root(doc)->kind == HN_YAML_MAP
                 ? parse_keys(hn_yaml_root(doc), &p, err)
                 : hn_fail(err, HN_ERR_INPUT, "shape", "such as layers: 4, width: 256", "it must be keys with numbers");
        hn_yaml_free(doc);
    }
    if (st == HN_OK) st = hn_model_plan_check(&p, err);
    if (st == HN_OK) *plan = p;
    if (st == HN_ERR_INPUT && err) err->code = HN_ERR_USAGE;
    return st == HN_ERR_INPUT ? HN_ERR_USAGE : st;
}

static hn_status within(const char *name, int value, int low, int high, hn_error *err) {
    if (value >= low && value <= high) return HN_OK;
    return hn_fail(err, HN_ERR_USAGE, name, NULL, "it is %d, it must be %d to %d", value, low, high);
}

hn_status hn_model_plan_check(const hn_model_plan *p, hn_error *err) {
    HN_TRY(within("layers", p->n_layers, 1, LAYERS_MAX, err));
    HN_TRY(within("width", p->n_embd, 8, WIDTH_MAX, err));
    HN_TRY(within("heads", p->n_heads, 1, HEADS_MAX, err));
    HN_TRY(within("key_heads", p->n_kv_heads, 1, p->n_heads, err));
    HN_TRY(within("feed_forward", p->n_ff, 8, FF_MAX, err));
    HN_TRY(within("context", p->n_context, 8, CONTEXT_MAX, err));
    HN_TRY(within("vocabulary", p->n_vocab, 1, 1 << 20, err));
    if (p->n_embd % p->n_heads || p->n_embd / p->n_heads % 8)
        return hn_fail(err, HN_ERR_USAGE, "heads", "choose heads so that width / heads is a multiple of 8",
                       "a width of %d does not make %d heads", p->n_embd, p->n_heads);
    if (p->n_heads % p->n_kv_heads)
        return hn_fail(err, HN_ERR_USAGE, "key_heads", "choose a divisor of the heads",
                       "%d heads cannot share %d key heads evenly", p->n_heads, p->n_kv_heads);
    if (p->n_ff % 8) return hn_fail(err, HN_ERR_USAGE, "feed_forward", NULL, "%d is no multiple of 8", p->n_ff);
    return HN_OK;
}

static int64_t kv_width(const hn_model_plan *p) { return (int64_t)p->n_embd / p->n_heads * p->n_kv_heads; }

int64_t hn_model_plan_parameters(const hn_model_plan *p) {
    int64_t C = p->n_embd, F = p->n_ff, V = p->n_vocab;
    int64_t layer = 2 * C * C + 2 * kv_width(p) * C + 3 * C * F + 2 * C;
    return p->n_layers * layer + V * C * (p->tied ? 1 : 2) + C;
}

uint64_t hn_model_plan_training_bytes(const hn_model_plan *p, int n_rows) {
    uint64_t C = (uint64_t)p->n_embd, F = (uint64_t)p->n_ff, rows = (uint64_t)n_rows;
    uint64_t of_row =
        (uint64_t)p->n_layers * (6 * C + 2 * (uint64_t)kv_width(p) + 3 * F) + 4 * C + (uint64_t)p->n_vocab;
    return 4 * (4 * (uint64_t)hn_model_plan_parameters(p) + rows * of_row);
}

char *hn_model_plan_text(const hn_model_plan *p, char out[160]) {
    snprintf(out, 160, "%d layers of width %d, %d heads (%d of keys), feed-forward %d, context %d", p->n_layers,
             p->n_embd, p->n_heads, p->n_kv_heads, p->n_ff, p->n_context);
    return out;
}

/* ---- tensors ---- */

typedef struct creation {
    const hn_model_plan *plan;
    const char *folder;
    hn_safetensors_out *out; /* (n) */
    char (*names)[96];       /* (n) */
    double *deviations;      /* (n) 0: all ones */
    size_t n;
    uint64_t seed;
    hn_rng rng; /* of the tensor at hand: each has a stream of its own */
    hn_error *err;
} creation;

static void add(creation *c, int64_t rows, int64_t columns, double dev, const char *format, int layer) {
    snprintf(c->names[c->n], sizeof c->names[0], format, layer);
    c->out[c->n] = (hn_safetensors_out){.name = c->names[c->n], .dtype = HN_DTYPE_F32, .n_dims = rows ? 2 : 1};
    c->out[c->n].dims[0] = rows ? rows : columns;
    c->out[c->n].dims[1] = rows ? columns : 0;
    c->deviations[c->n++] = dev;
}

static void add_layer(creation *c, int l) {
    const hn_model_plan *p = c->plan;
    int64_t C = p->n_embd, F = p->n_ff, K = kv_width(p);
    double back = deviation / sqrt(2.0 * p->n_layers);
    add(c, 0, C, 0, "model.layers.%d.input_layernorm.weight", l);
    add(c, C, C, deviation, "model.layers.%d.self_attn.q_proj.weight", l);
    add(c, K, C, deviation, "model.layers.%d.self_attn.k_proj.weight", l);
    add(c, K, C, deviation, "model.layers.%d.self_attn.v_proj.weight", l);
    add(c, C, C, back, "model.layers.%d.self_attn.o_proj.weight", l);
    add(c, 0, C, 0, "model.layers.%d.post_attention_layernorm.weight", l);
    add(c, F, C, deviation, "model.layers.%d.mlp.gate_proj.weight", l);
    add(c, F, C, deviation, "model.layers.%d.mlp.up_proj.weight", l);
    add(c, C, F, back, "model.layers.%d.mlp.down_proj.weight", l);
}

static hn_status list_tensors(creation *c) {
    const hn_model_plan *p = c->plan;
    size_t most = (size_t)p->n_layers * TENSORS_OF_LAYER + 3;
    c->out = hn_calloc(most, sizeof *c->out);
    c->names = hn_calloc(most, sizeof *c->names);
    c->deviations = hn_calloc(most, sizeof *c->deviations);
    if (!c->out || !c->names || !c->deviations) return hn_fail_memory(c->err, most * sizeof *c->out);
    add(c, p->n_vocab, p->n_embd, deviation, "model.embed_tokens.weight", 0);
    for (int l = 0; l < p->n_layers; l++) add_layer(c, l);
    add(c, 0, p->n_embd, 0, "model.norm.weight", 0);
    if (!p->tied) add(c, p->n_vocab, p->n_embd, deviation, "lm_head.weight", 0);
    return HN_OK;
}

static hn_status fill(void *user, size_t index, int64_t first_row, int64_t n_rows, float *values, hn_error *err) {
    creation *c = user;
    const hn_safetensors_out *t = &c->out[index];
    size_t n = (size_t)n_rows * (size_t)t->dims[t->n_dims - 1];
    (void)err;
    if (first_row == 0) hn_rng_seed(&c->rng, c->seed, index + 1);
    for (size_t i = 0; i < n; i++) {
        double sum = -6;
        for (int k = 0; k < 12 && c->deviations[index] > 0; k++) sum += hn_rng_uniform(&c->rng);
        values[i] = c->deviations[index] > 0 ? (float)(sum * c->deviations[index]) : 1.0f;
    }
    return HN_OK;
}

/* ---- files ---- */

static hn_status save(const creation *c, const char *name, const char *bytes, size_t n) {
    char path[HN_PATH_MAX];
    HN_TRY(hn_path_join(path, c->folder, name, c->err));
    return hn_file_write_atomic(path, bytes, n, c->err);
}

static json_t *id_json(int32_t id) { return id >= 0 ? json_integer(id) : json_null(); }

static hn_status save_config(const creation *c, const hn_tokenizer *t) {
    const hn_model_plan *p = c->plan;
    char path[HN_PATH_MAX];
    HN_TRY(hn_path_join(path, c->folder, "config.json", c->err));
    json_t *config = json_pack(
        "{s:[s], s:b, s:o, s:o, s:i, s:s, s:i, s:i, s:i, s:b, s:s, s:i, s:i, s:i, s:f, s:f, s:b, s:s, s:i}",
        "architectures", "LlamaForCausalLM", "attention_bias", 0, "bos_token_id", id_json(hn_tokenizer_bos(t)),
        "eos_token_id", id_json(hn_tokenizer_eos(t)), "head_dim", p->n_embd / p->n_heads, "hidden_act", "silu",
        "hidden_size", p->n_embd, "intermediate_size", p->n_ff, "max_position_embeddings", p->n_context, "mlp_bias", 0,
        "model_type", "llama", "num_attention_heads", p->n_heads, "num_hidden_layers", p->n_layers,
        "num_key_value_heads", p->n_kv_heads, "rms_norm_eps", 1e-5, "rope_theta", 10000.0, "tie_word_embeddings",
        (int)p->tied, "torch_dtype", "float32", "vocab_size", p->n_vocab);
    if (!config) return hn_fail_memory(c->err, 0);
    hn_status st = hn_json_save(path, config, &(hn_json_style){.indent = 2}, c->err);
    json_decref(config);
    return st;
}

static hn_status open_tokenizer(const creation *c, const hn_model_texts *texts, hn_tokenizer **t) {
    HN_TRY(hn_tokenizer_from_json(texts->tokenizer, texts->n_tokenizer, "tokenizer.json", t, c->err));
    hn_status st = HN_OK;
    if (texts->config)
        st = hn_tokenizer_apply_config(*t, texts->config, texts->n_config, "tokenizer_config.json", c->err);
    if (st == HN_OK && hn_tokenizer_vocab_size(*t) != c->plan->n_vocab)
        st = hn_fail(c->err, HN_ERR_USAGE, "vocabulary", NULL, "the shape has %d tokens, the tokenizer %d",
                     c->plan->n_vocab, hn_tokenizer_vocab_size(*t));
    if (st != HN_OK) hn_tokenizer_free(*t);
    return st;
}

static hn_status check_written(const creation *c) {
    hn_model *m;
    HN_TRY(hn_model_open(c->folder, 0, &m, c->err));
    bool same = hn_model_shape(m)->n_parameters == hn_model_plan_parameters(c->plan);
    hn_model_close(m);
    return same ? HN_OK
                : hn_fail(c->err, HN_ERR_INTERNAL, c->folder, NULL, "the new model has another size than planned");
}

static hn_status write_all(creation *c, const hn_model_texts *texts, const hn_tokenizer *t) {
    static const char *const metadata[] = {"format", "pt", NULL};
    char path[HN_PATH_MAX];
    HN_TRY(hn_dir_create(c->folder, c->err));
    HN_TRY(hn_path_join(path, c->folder, "model.safetensors", c->err));
    HN_TRY(list_tensors(c));
    HN_TRY(hn_safetensors_write(path, c->out, c->n, metadata, fill, c, c->err));
    HN_TRY(save(c, "tokenizer.json", texts->tokenizer, texts->n_tokenizer));
    if (texts->config) HN_TRY(save(c, "tokenizer_config.json", texts->config, texts->n_config));
    HN_TRY(save_config(c, t));
    return check_written(c);
}

hn_status hn_model_create(const char *folder, const hn_model_plan *plan, const hn_model_texts *texts, uint64_t seed,
                          hn_error *err) {
    creation c = {.plan = plan, .folder = folder, .seed = seed, .err = err};
    hn_tokenizer *t;
    char path[HN_PATH_MAX];
    HN_TRY(hn_model_plan_check(plan, err));
    HN_TRY(hn_path_join(path, folder, "config.json", err));
    if (hn_file_exists(path))
        return hn_fail(err, HN_ERR_EXISTS, folder, "name another folder", "the folder holds a model already");
    HN_TRY(open_tokenizer(&c, texts, &t));
    hn_status st = write_all(&c, texts, t);
    hn_tokenizer_free(t);
    hn_free(c.out);
    hn_free(c.names);
    hn_free(c.deviations);
    return st;
}
