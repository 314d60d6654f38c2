/* The text files of an exported folder, made of a GGUF file's metadata; see export_parts.h.
 * Surprise: GGUF names a pre-tokenizer ("smollm") whose rules tokenizer.json must spell out; those that are known here are spelt as the models'
 * own files have them, the others are refused. */
#include "model/export_parts.h"

#include "base/file.h"
#include "base/str.h"
#include "base/utf8.h"
#include "format/json.h"
#include "model/shape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const hn_json_style style = {.indent = 2};

const char *hn_export_type_name(hn_dtype dtype) {
    return dtype == HN_DTYPE_F32 ? "float32" : dtype == HN_DTYPE_F16 ? "float16" : "bfloat16";
}

/* Writes folder/name and takes over the value; NULL: memory ran out while it was made. */
static hn_status save(const char *folder, const char *name, json_t *value, hn_error *err) {
    char path[HN_PATH_MAX];
    hn_status st = value ? hn_path_join(path, folder, name, err) : hn_fail_memory(err, 0);
    if (st == HN_OK) st = hn_json_save(path, value, &style, err);
    json_decref(value);
    return st;
}

/* ---- config.json ---- */

static json_t *scaling_json(const hn_rope_scaling *r) {
    return r->kind == HN_ROPE_LINEAR
               ? json_pack("{s:s,s:s,s:f}", "rope_type", "linear", "type", "linear", "factor", r->factor)
               : json_null();
}

/* The shortest number that is the same f32: a file's 1e-05 has gone through one. */
static double as_written(float value) {
    char text[32];
    double number = (double)value;
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (hn_parse_double(text, &number) && (float)number == value) return number;
    }
    return (double)value;
}

static json_t *id_json(int32_t id) { return id >= 0 ? json_integer(id) : json_null(); }

static json_t *config_json(const hn_shape *s, const hn_rope_scaling *rope, const hn_tokenizer *t, hn_dtype dtype) {
    return json_pack("{s:[s],s:b,s:f,s:o,s:o,s:i,s:s,s:i,s:i,s:i,s:b,s:s,s:i,s:i,s:i,s:f,s:o,s:f,s:b,s:s,s:b,s:i}",
                     "architectures", "LlamaForCausalLM", "attention_bias", 0, "attention_dropout", 0.0, "bos_token_id",
                     id_json(t ? hn_tokenizer_bos(t) : -1), "eos_token_id", id_json(t ? hn_tokenizer_eos(t) : -1),
                     "head_dim", s->head_size, "hidden_act", "silu", "hidden_size", s->n_embd, "intermediate_size",
                     s->n_ff, "max_position_embeddings", s->n_context, "mlp_bias", 0, "model_type", "llama",
                     "num_attention_heads", s->n_heads, "num_hidden_layers", s->n_layers, "num_key_value_heads",
                     s->n_kv_heads, "rms_norm_eps", as_written(s->norm_eps), "rope_scaling", scaling_json(rope),
                     "rope_theta", as_written((float)rope->base), "tie_word_embeddings", (int)s->tied, "torch_dtype",
                     hn_export_type_name(dtype), "use_cache", 1, "vocab_size", s->n_vocab);
}

static hn_status check_rope(const hn_gguf *g, const hn_shape *s, const hn_rope_source *rope, hn_error *err) {
    static const char *const factors[] = {"rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"};
    for (size_t i = 0; i < sizeof factors / sizeof *factors; i++)
        if (hn_gguf_tensor_find(g, factors[i]))
            return hn_fail(err, HN_ERR_UNSUPPORTED, factors[i], "export from the model's Hugging Face folder",
                           "the GGUF file has the result of its rotary scaling, which config.json cannot say");
    if (rope->scaling.kind != HN_ROPE_NONE && rope->scaling.kind != HN_ROPE_LINEAR)
        return hn_fail(err, HN_ERR_UNSUPPORTED, "rope.scaling.type", "export from the model's Hugging Face folder",
                       "this rotary scaling of a GGUF file cannot be exported");
    if (s->rope_dims != s->head_size || strcmp(s->architecture, "llama") != 0)
        return hn_fail(err, HN_ERR_UNSUPPORTED, "rope.dimension_count", "export from the model's Hugging Face folder",
                       "%d of a head's %d dimensions are rotated", s->rope_dims, s->head_size);
    return HN_OK;
}

hn_status hn_export_config_gguf(const hn_gguf *g, const hn_tokenizer *t, hn_dtype dtype, const char *folder,
                                hn_error *err) {
    hn_shape shape;
    hn_rope_source rope;
    HN_TRY(hn_shape_from_gguf(g, &shape, &rope, err));
    hn_status st = check_rope(g, &shape, &rope, err);
    if (st == HN_OK && folder && t)
        st = save(folder, "generation_config.json",
                  json_pack("{s:b,s:o,s:o}", "_from_model_config", 1, "bos_token_id", id_json(hn_tokenizer_bos(t)),
                            "eos_token_id", id_json(hn_tokenizer_eos(t))),
                  err);
    if (st == HN_OK && folder) st = save(folder, "config.json", config_json(&shape, &rope.scaling, t, dtype), err);
    hn_rope_source_free(&rope);
    hn_shape_free(&shape);
    return st;
}

/* ---- tokenizer.json ---- */

/* How a family splits text into words before merging. */
typedef struct splitting {
    const char *names[12]; /* tokenizer.ggml.pre */
    bool digits;           /* each digit by itself first */
    const char *pattern;   /* NULL: GPT-2's, which ByteLevel has built in */
    bool whole_words;      /* a word that is a token needs no merges */
} splitting;

static const splitting splittings[] = {
    {.names = {"gpt-2", "gpt2"}},
    {.names = {"smollm", "starcoder", "refact", "command-r"}, .digits = true},
    {.names = {"llama-bpe", "llama3", "llama-v3"},
     .pattern = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
                "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     .whole_words = true}};

static hn_status find_splitting(const hn_gguf *g, const splitting **found, hn_error *err) {
    hn_str kind = hn_gguf_str(g, "tokenizer.ggml.model"), pre = hn_gguf_str(g, "tokenizer.ggml.pre");
    if (!kind.data || !hn_str_equal(kind, hn_str_of("gpt2")))
        return hn_fail(err, HN_ERR_UNSUPPORTED, "tokenizer.ggml.model", "export from the model's Hugging Face folder",
                       "the tokenizer of this GGUF file cannot be written as tokenizer.json");
    for (size_t i = 0; pre.data && i < sizeof splittings / sizeof *splittings; i++)
        for (size_t k = 0; k < 12 && splittings[i].names[k]; k++)
            if (hn_str_equal(pre, hn_str_of(splittings[i].names[k]))) {
                *found = &splittings[i];
                return HN_OK;
            }
    return hn_fail(err, HN_ERR_UNSUPPORTED, "tokenizer.ggml.pre", "export from the model's Hugging Face folder",
                   "the pre-tokenizer \"%.*s\" cannot be written as tokenizer.json", (int)(pre.len < 80 ? pre.len : 80),
                   pre.data ? pre.data : "");
}

static json_t *byte_level(bool own_pattern) {
    return json_pack("{s:s,s:b,s:b,s:b}", "type", "ByteLevel", "add_prefix_space", 0, "trim_offsets", 1, "use_regex",
                     (int)own_pattern);
}

static json_t *pretokenizer_json(const splitting *s) {
    json_t *first = NULL;
    if (s->digits) first = json_pack("{s:s,s:b}", "type", "Digits", "individual_digits", 1);
    if (s->pattern)
        first = json_pack("{s:s,s:{s:s},s:s,s:b}", "type", "Split", "pattern", "Regex", s->pattern, "behavior",
                          "Isolated", "invert", 0);
    if (!s->digits && !s->pattern) return byte_level(true);
    return json_pack("{s:s,s:[o,o]}", "type", "Sequence", "pretokenizers", first, byte_level(!s->pattern));
}

static hn_status take_vocab(const hn_gguf *g, const hn_tokenizer *t, json_t *vocab, json_t *added, hn_error *err) {
    const hn_gguf_value *tokens = hn_gguf_find(g, "tokenizer.ggml.tokens");
    for (uint64_t i = 0; tokens && tokens->strings && i < tokens->n_items; i++) {
        hn_str text = tokens->strings[i];
        hn_token_kind kind = hn_tokenizer_kind(t, (int32_t)i);
        if (!hn_utf8_valid(text.data, text.len, NULL))
            return hn_fail(err, HN_ERR_UNSUPPORTED, "tokenizer.ggml.tokens", "export from the Hugging Face folder",
                           "token %llu is not UTF-8", (unsigned long long)i);
        if (json_object_setn_new(vocab, text.data, text.len, json_integer((json_int_t)i)) != 0)
            return hn_fail_memory(err, 0);
        if (kind != HN_TOKEN_CONTROL && kind != HN_TOKEN_USER_DEFINED && kind != HN_TOKEN_UNKNOWN) continue;
        json_t *entry = json_pack("{s:I,s:s%,s:b,s:b,s:b,s:b,s:b}", "id", (json_int_t)i, "content", text.data, text.len,
                                  "single_word", 0, "lstrip", 0, "rstrip", 0, "normalized", 0, "special",
                                  kind != HN_TOKEN_USER_DEFINED);
        if (json_array_append_new(added, entry) != 0) return hn_fail_memory(err, 0);
    }
    if (tokens && json_object_size(vocab) == tokens->n_items) return HN_OK;
    return hn_fail(err, HN_ERR_UNSUPPORTED, "tokenizer.ggml.tokens", "export from the Hugging Face folder",
                   "two tokens have the same text");
}

static hn_status take_merges(const hn_gguf *g, json_t *list, hn_error *err) {
    const hn_gguf_value *merges = hn_gguf_find(g, "tokenizer.ggml.merges");
    for (uint64_t i = 0; merges && merges->strings && i < merges->n_items; i++) {
        hn_str text = merges->strings[i];
        if (!hn_utf8_valid(text.data, text.len, NULL))
            return hn_fail(err, HN_ERR_INPUT, "tokenizer.ggml.merges", NULL, "entry %llu is not UTF-8",
                           (unsigned long long)i);
        if (json_array_append_new(list, json_stringn(text.data, text.len)) != 0) return hn_fail_memory(err, 0);
    }
    return HN_OK;
}

static json_t *start_json(const hn_tokenizer *t) {
    if (!hn_tokenizer_adds_bos(t)) return json_null();
    hn_str bos = hn_tokenizer_piece(t, hn_tokenizer_bos(t));
    return json_pack("{s:s,s:[{s:{s:s%,s:i}},{s:{s:s,s:i}}],s:[{s:{s:s%,s:i}},{s:{s:s,s:i}},{s:{s:s,s:i}}],s:o}",
                     "type", "TemplateProcessing", "single", "SpecialToken", "id", bos.data, bos.len, "type_id", 0,
                     "Sequence", "id", "A", "type_id", 0, "pair", "SpecialToken", "id", bos.data, bos.len, "type_id", 0,
                     "Sequence", "id", "A", "type_id", 0, "Sequence", "id", "B", "type_id", 1, "special_tokens",
                     json_object());
}

/* TemplateProcessing names its tokens again, by a key that is the token's text. */
static hn_status name_start(json_t *post, const hn_tokenizer *t, hn_error *err) {
    json_t *specials = json_object_get(post, "special_tokens");
    if (json_is_null(post)) return HN_OK;
    hn_str bos = hn_tokenizer_piece(t, hn_tokenizer_bos(t));
    json_t *entry = json_pack("{s:s%,s:[i],s:[s%]}", "id", bos.data, bos.len, "ids", hn_tokenizer_bos(t), "tokens",
                              bos.data, bos.len);
    return json_object_setn_new(specials, bos.data, bos.len, entry) == 0 ? HN_OK : hn_fail_memory(err, 0);
}

static hn_status save_tokenizer(const hn_gguf *g, const hn_tokenizer *t, const splitting *s, const char *folder,
                                hn_error *err) {
    json_t *vocab = json_object(), *merges = json_array(), *added = json_array(), *post = start_json(t);
    hn_status st = vocab && merges && added && post ? HN_OK : hn_fail_memory(err, 0);
    if (st == HN_OK) st = take_vocab(g, t, vocab, added, err);
    if (st == HN_OK) st = take_merges(g, merges, err);
    if (st == HN_OK) st = name_start(post, t, err);
    if (st == HN_OK)
        st = save(folder, "tokenizer.json",
                  json_pack("{s:s,s:n,s:n,s:O,s:n,s:o,s:O,s:o,s:{s:s,s:n,s:n,s:n,s:n,s:b,s:b,s:b,s:O,s:O}}", "version",
                            "1.0", "truncation", "padding", "added_tokens", added, "normalizer", "pre_tokenizer",
                            pretokenizer_json(s), "post_processor", post, "decoder", byte_level(true), "model", "type",
                            "BPE", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
                            "fuse_unk", 0, "byte_fallback", 0, "ignore_merges", (int)s->whole_words, "vocab", vocab,
                            "merges", merges),
                  err);
    json_decref(vocab), json_decref(merges), json_decref(added), json_decref(post);
    return st;
}

static json_t *token_json(const hn_tokenizer *t, int32_t id) {
    hn_str text = id >= 0 ? hn_tokenizer_piece(t, id) : (hn_str){0};
    return text.data ? json_stringn(text.data, text.len) : json_null();
}

hn_status hn_export_tokenizer_gguf(const hn_gguf *g, const hn_model *model, const char *folder, hn_error *err) {
    const hn_tokenizer *t = hn_model_tokenizer(model);
    const splitting *s = NULL;
    const char *template = hn_model_chat_template(model);
    HN_TRY(find_splitting(g, &s, err));
    if (!folder) return HN_OK;
    HN_TRY(save_tokenizer(g, t, s, folder, err));
    json_t *config = json_pack("{s:b,s:o,s:b,s:o,s:i,s:s}", "add_bos_token", (int)hn_tokenizer_adds_bos(t), "bos_token",
                               token_json(t, hn_tokenizer_bos(t)), "clean_up_tokenization_spaces", 0, "eos_token",
                               token_json(t, hn_tokenizer_eos(t)), "model_max_length", hn_model_shape(model)->n_context,
                               "tokenizer_class", "PreTrainedTokenizerFast");
    if (config && template && json_object_set_new(config, "chat_template", json_string(template)) != 0) {
        json_decref(config);
        return hn_utf8_valid(template, strlen(template), NULL)
                   ? hn_fail_memory(err, 0)
                   : hn_fail(err, HN_ERR_INPUT, "tokenizer.chat_template", NULL, "it is not UTF-8");
    }
    return save(folder, "tokenizer_config.json", config, err);
}
