/* Tokenizers from GGUF metadata (tokenizer.ggml.*).
 * Surprises: a user-defined token whose text is a well-known end token counts as control, and user-defined padding
 * ("[PAD7]" with
 * id 7) as unused, since text must not turn into either; where a file is silent about BOS, the family's custom holds.
 * */
#include "model/tokenizer_parts.h"

#include "base/alloc.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOKENS_MAX = 4 << 20 };

typedef struct source {
    const hn_gguf *g;
    hn_tokenizer *t;
    const hn_gguf_value *tokens, *types, *scores, *merges;
    hn_error *err;
} source;

static hn_status fail(const source *s, const char *key, const char *problem) {
    char where[256];
    snprintf(where, sizeof where, "%s: %s", hn_gguf_path(s->g), key);
    return hn_fail(s->err, HN_ERR_INPUT, where, "convert the model again", "%s", problem);
}

static hn_status find_array(const source *s, const char *key, hn_gguf_type type, bool needed,
                            const hn_gguf_value **value) {
    const hn_gguf_value *v = hn_gguf_find(s->g, key);
    *value = NULL;
    if (!v) return needed ? fail(s, key, "it is missing") : HN_OK;
    if (v->type != HN_GGUF_ARRAY || v->item_type != type) return fail(s, key, "it is not an array of the right type");
    *value = v;
    return HN_OK;
}

/* --- kinds --- */

static const char *const stray_ends[] = {"</s>",    "<|im_end|>",    "<|eot_id|>",      "<|eom_id|>",
                                         "<|end|>", "<end_of_turn>", "<|endoftext|>",   "<|end_of_text|>",
                                         "<eos>",   "<|im_start|>",  "<start_of_turn>", "<|start_header_id|>"};

static bool is_stray_control(hn_str text) {
    for (size_t i = 0; i < sizeof stray_ends / sizeof *stray_ends; i++)
        if (hn_str_equal(text, hn_str_of(stray_ends[i]))) return true;
    return false;
}

static bool is_padding(hn_str text, uint32_t id) {
    char name[24];
    int n = snprintf(name, sizeof name, "[PAD%u]", id);
    return text.len == (size_t)n && memcmp(text.data, name, text.len) == 0;
}

static unsigned char kind_of(const source *s, uint32_t id) {
    int64_t type = 1;
    hn_str text = s->tokens->strings[id];
    if (s->types) (void)hn_gguf_item_i64(s->types, id, &type);
    switch (type) {
    case 2: return HN_TOKEN_UNKNOWN;
    case 3: return HN_TOKEN_CONTROL;
    case 4:
        return is_padding(text, id)     ? HN_TOKEN_UNUSED
               : is_stray_control(text) ? HN_TOKEN_CONTROL
                                        : HN_TOKEN_USER_DEFINED;
    case 5: return HN_TOKEN_UNUSED;
    case 6: return HN_TOKEN_BYTE;
    default: return HN_TOKEN_NORMAL;
    }
}

/* --- vocabulary --- */

static hn_status take_scores(source *s, uint32_t n) {
    s->t->scores = hn_calloc(n, sizeof *s->t->scores);
    if (!s->t->scores) return hn_fail_memory(s->err, n * sizeof(float));
    for (uint32_t i = 0; i < n; i++) {
        double score;
        if (!hn_gguf_item_f64(s->scores, i, &score) || !isfinite((float)score))
            return fail(s, "tokenizer.ggml.scores", "a score is not a number");
        s->t->scores[i] = (float)score;
    }
    return HN_OK;
}

/* Which added tokens eat the white space after them is not in GGUF files; Phi-3's do, all but three. */
static bool is_phi3(const hn_gguf *g) {
    char name[64] = "";
    hn_str given = hn_gguf_str(g, "general.name");
    for (size_t i = 0; i < given.len && i < sizeof name - 1; i++)
        name[i] = given.data[i] >= 'A' && given.data[i] <= 'Z' ? (char)(given.data[i] + 32) : given.data[i];
    return strstr(name, "phi-3") || strstr(name, "phi3");
}

static hn_status put_added(source *s, uint32_t id, bool phi3) {
    unsigned char kind = s->t->kinds[id];
    if (kind != HN_TOKEN_CONTROL && kind != HN_TOKEN_USER_DEFINED && kind != HN_TOKEN_UNKNOWN) return HN_OK;
    hn_str text = s->tokens->strings[id];
    hn_added added = {.id = (int32_t)id, .control = kind != HN_TOKEN_USER_DEFINED};
    added.rstrip = phi3 && !hn_str_equal(text, hn_str_of("<unk>")) && !hn_str_equal(text, hn_str_of("<s>")) &&
                   !hn_str_equal(text, hn_str_of("<|endoftext|>"));
    return hn_added_put(&s->t->raw, text, added, s->err);
}

static hn_status take_tokens(source *s) {
    hn_tokenizer *t = s->t;
    bool spm = t->kind == HN_MODEL_SPM, phi3 = is_phi3(s->g);
    size_t n_bytes = 0;
    if (s->tokens->n_items == 0 || s->tokens->n_items > TOKENS_MAX)
        return fail(s, "tokenizer.ggml.tokens", "it is empty or too long");
    uint32_t n = (uint32_t)s->tokens->n_items;
    for (uint32_t i = 0; i < n; i++) n_bytes += s->tokens->strings[i].len;
    t->kinds = hn_alloc(n);
    if (!t->kinds) return hn_fail_memory(s->err, n);
    HN_TRY(hn_vocab_create(&t->match, n, n_bytes, s->err));
    t->own_pieces = spm;
    if (spm) HN_TRY(hn_vocab_create(&t->pieces, n, n_bytes, s->err));
    for (uint32_t id = 0; id < n; id++) {
        t->kinds[id] = kind_of(s, id);
        if (spm)
            hn_build_char_token(t, id, s->tokens->strings[id], true);
        else
            hn_build_byte_token(t, id, s->tokens->strings[id]);
        HN_TRY(put_added(s, id, phi3));
    }
    return spm ? take_scores(s, n) : HN_OK;
}

/* --- merges --- */

/* "left right"; a space is never the first character of either. `text` has room for the entry. */
static hn_status take_merge(source *s, uint32_t rank, char *text, int32_t *last) {
    hn_str merge = s->merges->strings[rank];
    const char *space = merge.len > 1 ? memchr(merge.data + 1, ' ', merge.len - 1) : NULL;
    if (!space) return fail(s, "tokenizer.ggml.merges", "an entry is not two tokens with a space between");
    hn_str left = {merge.data, (size_t)(space - merge.data)}, right = {space + 1, merge.len - left.len - 1};
    hn_build_merge(s->t, left, right, rank, text, last);
    return HN_OK;
}

static hn_status take_merges(source *s) {
    uint64_t n = s->merges->n_items;
    size_t longest = 0;
    int32_t last = -1;
    if (n > 4 * TOKENS_MAX) return fail(s, "tokenizer.ggml.merges", "it is too long");
    for (uint64_t i = 0; i < n; i++)
        if (s->merges->strings[i].len > longest) longest = s->merges->strings[i].len;
    HN_TRY(hn_merges_create(&s->t->merges, (size_t)n, s->err));
    char *text = hn_alloc(longest + 1);
    if (!text) return hn_fail_memory(s->err, longest);
    hn_status st = HN_OK;
    for (uint32_t rank = 0; st == HN_OK && rank < n; rank++) st = take_merge(s, rank, text, &last);
    hn_free(text);
    return st;
}

/* --- the whole --- */

static int32_t special_id(const source *s, const char *key, int32_t otherwise) {
    uint32_t id = hn_gguf_u32(s->g, key, UINT32_MAX);
    if (id == UINT32_MAX) id = (uint32_t)otherwise;
    return id < s->t->match.n ? (int32_t)id : -1;
}

static void take_specials(const source *s, bool adds_bos) {
    hn_tokenizer *t = s->t;
    bool spm = t->kind == HN_MODEL_SPM;
    t->bos = special_id(s, "tokenizer.ggml.bos_token_id", spm ? 1 : -1);
    t->eos = special_id(s, "tokenizer.ggml.eos_token_id", spm ? 2 : -1);
    t->unknown = special_id(s, "tokenizer.ggml.unknown_token_id", spm ? 0 : -1);
    t->adds_bos = hn_gguf_bool(s->g, "tokenizer.ggml.add_bos_token", adds_bos) && t->bos >= 0;
    if (t->adds_bos) t->starts[t->n_starts++] = t->bos;
    hn_tokenizer_add_end(t, t->eos);
    hn_tokenizer_add_end(t, special_id(s, "tokenizer.ggml.eot_token_id", -1));
    hn_tokenizer_add_end(t, special_id(s, "tokenizer.ggml.eom_token_id", -1));
}

static hn_status load_bpe(source *s, char family[64]) {
    hn_tokenizer *t = s->t;
    hn_pretokenizer_traits traits = {0};
    hn_str pre = hn_gguf_str(s->g, "tokenizer.ggml.pre");
    if (!pre.data || !pre.len) pre = hn_str_of("default");
    snprintf(family, 64, "%.*s", (int)(pre.len < 63 ? pre.len : 63), pre.data);
    HN_TRY(hn_pretokenizer_named(pre, &t->pretokenizer, &traits, s->err));
    t->kind = HN_MODEL_BYTE_BPE;
    t->whole_words = traits.whole_words;
    HN_TRY(find_array(s, "tokenizer.ggml.merges", HN_GGUF_STRING, true, &s->merges));
    HN_TRY(take_tokens(s));
    HN_TRY(take_merges(s));
    take_specials(s, traits.adds_bos);
    return HN_OK;
}

static hn_status load_spm(source *s, char family[64]) {
    hn_tokenizer *t = s->t;
    snprintf(family, 64, "llama");
    t->kind = HN_MODEL_SPM;
    t->byte_fallback = true;
    t->prefix = hn_gguf_bool(s->g, "tokenizer.ggml.add_space_prefix", true) ? HN_PREFIX_ALWAYS : HN_PREFIX_NEVER;
    t->collapse_spaces = hn_gguf_bool(s->g, "tokenizer.ggml.remove_extra_whitespaces", false);
    s->scores = hn_gguf_find(s->g, "tokenizer.ggml.scores");
    if (!s->scores || s->scores->type != HN_GGUF_ARRAY || s->scores->n_items != s->tokens->n_items)
        return fail(s, "tokenizer.ggml.scores", "it is missing, or not one number for each token");
    HN_TRY(take_tokens(s));
    take_specials(s, true);
    return HN_OK;
}

static hn_status load(source *s, char family[64]) {
    hn_str model = hn_gguf_str(s->g, "tokenizer.ggml.model");
    HN_TRY(find_array(s, "tokenizer.ggml.tokens", HN_GGUF_STRING, true, &s->tokens));
    HN_TRY(find_array(s, "tokenizer.ggml.token_type", HN_GGUF_I32, false, &s->types));
    if (s->types && s->types->n_items != s->tokens->n_items)
        return fail(s, "tokenizer.ggml.token_type", "it does not have one entry for each token");
    if (hn_str_equal(model, hn_str_of("gpt2"))) return load_bpe(s, family);
    if (hn_str_equal(model, hn_str_of("llama"))) return load_spm(s, family);
    return hn_fail(s->err, HN_ERR_UNSUPPORTED, "tokenizer.ggml.model",
                   "known: gpt2 (byte-level BPE), llama (SentencePiece BPE)",
                   "the tokenizer model \"%.*s\" is not supported", (int)(model.len < 80 ? model.len : 80),
                   model.len ? model.data : "");
}

hn_status hn_tokenizer_from_gguf(const hn_gguf *gguf, hn_tokenizer **tokenizer, hn_error *err) {
    char family[64] = "";
    *tokenizer = NULL;
    source s = {.g = gguf, .t = hn_tokenizer_alloc(), .err = err};
    if (!s.t) return hn_fail_memory(err, sizeof(hn_tokenizer));
    hn_status st = load(&s, family);
    if (st == HN_OK) st = hn_tokenizer_finish(s.t, family, err);
    if (st == HN_OK)
        *tokenizer = s.t;
    else
        hn_tokenizer_free(s.t);
    return st;
}
