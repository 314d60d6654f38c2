/* Tokenizers from Hugging Face's tokenizer.json: BPE models, byte-level or over characters with <0xNN> for other bytes.
 * Surprises: a token of one ASCII character stays ordinary text even where the file lists it as special (some models
 * pad with
 * "!"), or it could not be written at all; the ids of a vocabulary may have holes, which become unused tokens. */
#include "model/tokenizer_parts.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

enum { TOKENS_MAX = 4 << 20, HOLES_MAX = 1 << 16 };

typedef struct source {
    hn_tokenizer *t;
    const json_t *root, *model, *vocab, *merges, *added;
    hn_str *texts; /* (n): borrowed from the JSON; data NULL for a hole */
    uint32_t n;
    const char *name;
    hn_error *err;
} source;

static const char meta[] = "\xE2\x96\x81";

static const char *place(const source *s, const char *field, char out[256]) {
    snprintf(out, 256, "%.160s: %s", s->name, field);
    return out;
}

#define PLACE(s, field) place(s, field, (char[256]){0})

static hn_status bad(const source *s, const char *field, const char *problem) {
    return hn_fail(s->err, HN_ERR_INPUT, PLACE(s, field), NULL, "%s", problem);
}

static hn_str text_of(const json_t *string) { return (hn_str){json_string_value(string), json_string_length(string)}; }

static bool flag(const json_t *object, const char *key) { return json_is_true(json_object_get(object, key)); }

/* --- what is not supported --- */

static hn_status check_model(source *s) {
    const json_t *type = json_object_get(s->model, "type"), *dropout = json_object_get(s->model, "dropout");
    if (!json_is_object(s->model)) return bad(s, "model", "it is missing");
    if (json_is_string(type) && strcmp(json_string_value(type), "BPE") != 0)
        return hn_fail(s->err, HN_ERR_UNSUPPORTED, PLACE(s, "model.type"), "known: BPE",
                       "the tokenizer model \"%.80s\" is not supported", json_string_value(type));
    s->vocab = json_object_get(s->model, "vocab");
    s->merges = json_object_get(s->model, "merges");
    s->added = json_object_get(s->root, "added_tokens");
    if (!json_is_object(s->vocab)) return bad(s, "model.vocab", "it must be an object");
    if (!json_is_array(s->merges)) return bad(s, "model.merges", "it must be an array");
    if (s->added && !json_is_null(s->added) && !json_is_array(s->added))
        return bad(s, "added_tokens", "it must be an array");
    if (json_is_number(dropout) && json_number_value(dropout) > 0)
        return hn_fail(s->err, HN_ERR_UNSUPPORTED, PLACE(s, "model.dropout"), NULL, "dropout is not supported");
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (int i = 0; i < 2; i++)
        if (json_string_length(json_object_get(s->model, affixes[i])))
            return hn_fail(s->err, HN_ERR_UNSUPPORTED, PLACE(s, "model"), NULL, "%s is not supported", affixes[i]);
    return HN_OK;
}

/* --- vocabulary --- */

static hn_status valid_id(const source *s, const json_t *id, const char *field) {
    if (json_is_integer(id) && json_integer_value(id) >= 0 && json_integer_value(id) < TOKENS_MAX) return HN_OK;
    return hn_fail(s->err, HN_ERR_INPUT, PLACE(s, field), NULL, "an id is not an integer from 0 to %d", TOKENS_MAX - 1);
}

static hn_status count_tokens(source *s) {
    const char *key;
    json_t *value, *vocab = (json_t *)s->vocab;
    size_t i, n = 0, known = json_object_size(s->vocab) + json_array_size(s->added);
    json_object_foreach(vocab, key, value) {
        HN_TRY(valid_id(s, value, "model.vocab"));
        if ((size_t)json_integer_value(value) >= n) n = (size_t)json_integer_value(value) + 1;
    }
    json_array_foreach(s->added, i, value) {
        const json_t *id = json_object_get(value, "id");
        HN_TRY(valid_id(s, id, "added_tokens"));
        if (!json_is_string(json_object_get(value, "content")))
            return bad(s, "added_tokens", "an entry has no content");
        if ((size_t)json_integer_value(id) >= n) n = (size_t)json_integer_value(id) + 1;
    }
    if (n == 0) return bad(s, "model.vocab", "it is empty");
    if (n > known + HOLES_MAX) return bad(s, "model.vocab", "its ids have too many holes");
    s->n = (uint32_t)n;
    s->texts = hn_calloc(n, sizeof *s->texts);
    s->t->kinds = hn_alloc(n);
    if (!s->texts || !s->t->kinds) return hn_fail_memory(s->err, n * sizeof *s->texts);
    memset(s->t->kinds, HN_TOKEN_UNUSED, n);
    return HN_OK;
}

static hn_status collect_tokens(source *s) {
    const char *key;
    json_t *value, *vocab = (json_t *)s->vocab;
    size_t i;
    json_object_foreach(vocab, key, value) {
        size_t id = (size_t)json_integer_value(value);
        if (s->texts[id].data) return bad(s, "model.vocab", "two tokens have one id");
        s->texts[id] = hn_str_of(key);
        bool byte = s->t->byte_fallback && hn_byte_token(s->texts[id]) >= 0;
        s->t->kinds[id] = byte ? HN_TOKEN_BYTE : HN_TOKEN_NORMAL;
    }
    json_array_foreach(s->added, i, value) {
        size_t id = (size_t)json_integer_value(json_object_get(value, "id"));
        hn_str text = text_of(json_object_get(value, "content"));
        bool symbol = text.len == 1 && s->texts[id].data && hn_str_equal(s->texts[id], text);
        s->texts[id] = text;
        if (!symbol) s->t->kinds[id] = flag(value, "special") ? HN_TOKEN_CONTROL : HN_TOKEN_USER_DEFINED;
    }
    return HN_OK;
}

/* Whether the decoder turns U+2581 into a space. */
static bool decodes_spaces(const json_t *decoder, int depth) {
    const char *type = json_string_value(json_object_get(decoder, "type"));
    if (!type || depth > 4) return false;
    if (strcmp(type, "Metaspace") == 0) return true;
    if (strcmp(type, "Replace") == 0) {
        const char *from = json_string_value(json_object_get(json_object_get(decoder, "pattern"), "String"));
        return from && strcmp(from, meta) == 0;
    }
    const json_t *all = json_object_get(decoder, "decoders");
    for (size_t i = 0; i < json_array_size(all); i++)
        if (decodes_spaces(json_array_get(all, i), depth + 1)) return true;
    return false;
}

static hn_status build_vocab(source *s) {
    hn_tokenizer *t = s->t;
    size_t n_bytes = 0;
    bool characters = t->kind == HN_MODEL_CHAR_BPE, unmark = decodes_spaces(json_object_get(s->root, "decoder"), 0);
    for (uint32_t id = 0; id < s->n; id++) n_bytes += s->texts[id].len;
    HN_TRY(hn_vocab_create(&t->match, s->n, n_bytes, s->err));
    t->own_pieces = characters;
    if (characters) HN_TRY(hn_vocab_create(&t->pieces, s->n, n_bytes, s->err));
    for (uint32_t id = 0; id < s->n; id++) {
        if (characters)
            hn_build_char_token(t, id, s->texts[id], unmark);
        else
            hn_build_byte_token(t, id, s->texts[id]);
    }
    hn_str unknown = text_of(json_object_get(s->model, "unk_token"));
    for (uint32_t id = 0; unknown.data && id < s->n; id++)
        if (s->texts[id].data && hn_str_equal(s->texts[id], unknown)) t->unknown = (int32_t)id;
    return HN_OK;
}

/* --- added tokens --- */

static hn_status put_added(source *s, const json_t *entry) {
    hn_tokenizer *t = s->t;
    hn_str text = text_of(json_object_get(entry, "content"));
    hn_added added = {.id = (int32_t)json_integer_value(json_object_get(entry, "id")),
                      .control = flag(entry, "special"),
                      .lstrip = flag(entry, "lstrip"),
                      .rstrip = flag(entry, "rstrip"),
                      .single_word = flag(entry, "single_word")};
    const json_t *normalized = json_object_get(entry, "normalized");
    if (!(normalized ? json_is_true(normalized) : !added.control)) return hn_added_put(&t->raw, text, added, s->err);
    hn_buf out;
    hn_buf_init(&out, 1 << 20);
    hn_status st = hn_normalize(&t->normalizer, text.data, text.len, &out, s->err);
    if (st == HN_OK) st = hn_added_put(&t->normalized, (hn_str){hn_buf_str(&out), out.len}, added, s->err);
    hn_buf_free(&out);
    return st;
}

/* --- merges --- */

static bool read_merge(const json_t *entry, hn_str *left, hn_str *right) {
    if (json_is_array(entry) && json_array_size(entry) == 2) { /* ["a", "b"] */
        *left = text_of(json_array_get(entry, 0));
        *right = text_of(json_array_get(entry, 1));
        return left->data && right->data && left->len && right->len;
    }
    hn_str both = text_of(entry); /* "a b" */
    const char *space = both.data && both.len > 1 ? memchr(both.data + 1, ' ', both.len - 1) : NULL;
    if (!space) return false;
    *left = (hn_str){both.data, (size_t)(space - both.data)};
    *right = (hn_str){space + 1, both.len - left->len - 1};
    return right->len > 0;
}

static hn_status build_merges(source *s) {
    hn_str left, right;
    hn_buf text;
    int32_t last = -1;
    hn_status st = hn_merges_create(&s->t->merges, json_array_size(s->merges), s->err);
    if (st != HN_OK) return st;
    hn_buf_init(&text, 0);
    for (size_t i = 0; st == HN_OK && i < json_array_size(s->merges); i++) {
        if (!read_merge(json_array_get(s->merges, i), &left, &right)) {
            st = bad(s, "model.merges", "an entry is not two tokens");
            break;
        }
        hn_buf_clear(&text);
        hn_buf_append_repeat(&text, ' ', left.len + right.len);
        st = hn_buf_check(&text, "a merge", s->err);
        if (st == HN_OK) hn_build_merge(s->t, left, right, (uint32_t)i, text.data, &last);
    }
    hn_buf_free(&text);
    return st;
}

/* --- what stands at the start --- */

static hn_status add_start(source *s, const json_t *id) {
    if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= s->n)
        return bad(s, "post_processor", "a special token is not in the vocabulary");
    if (s->t->n_starts == sizeof s->t->starts / sizeof *s->t->starts)
        return bad(s, "post_processor", "it adds too many tokens at the start");
    s->t->starts[s->t->n_starts++] = (int32_t)json_integer_value(id);
    return HN_OK;
}

static hn_status read_template(source *s, const json_t *node) {
    const json_t *single = json_object_get(node, "single"), *specials = json_object_get(node, "special_tokens");
    for (size_t i = 0; i < json_array_size(single); i++) {
        const json_t *special = json_object_get(json_array_get(single, i), "SpecialToken");
        if (!special) return HN_OK; /* the text itself; what stands after it is for classifiers */
        const char *name = json_string_value(json_object_get(special, "id"));
        const json_t *ids = name ? json_object_get(json_object_get(specials, name), "ids") : NULL;
        if (!json_is_array(ids)) return bad(s, "post_processor", "a special token of the template has no ids");
        for (size_t k = 0; k < json_array_size(ids); k++) HN_TRY(add_start(s, json_array_get(ids, k)));
    }
    return HN_OK;
}

static hn_status read_post_processor(source *s, const json_t *node, int depth) {
    if (!node || json_is_null(node)) return HN_OK;
    const char *type;
    HN_TRY(hn_json_get_string(node, PLACE(s, "post_processor"), "type", &type, s->err));
    if (strcmp(type, "ByteLevel") == 0) return HN_OK; /* offsets only */
    if (strcmp(type, "TemplateProcessing") == 0) return read_template(s, node);
    if (strcmp(type, "RobertaProcessing") == 0 || strcmp(type, "BertProcessing") == 0)
        return add_start(s, json_array_get(json_object_get(node, "cls"), 1));
    if (strcmp(type, "Sequence") != 0 || depth == 4)
        return hn_fail(s->err, HN_ERR_UNSUPPORTED, PLACE(s, "post_processor"), NULL,
                       "the post-processor \"%.80s\" is not supported", type);
    const json_t *all = json_object_get(node, "processors");
    for (size_t i = 0; i < json_array_size(all); i++) HN_TRY(read_post_processor(s, json_array_get(all, i), depth + 1));
    return HN_OK;
}

/* tokenizer.json does not name BOS and EOS; tokenizer_config.json does (hn_tokenizer_apply_config). */
static void guess_specials(hn_tokenizer *t) {
    static const char *const starts[] = {"<s>", "<bos>", "<|begin_of_text|>", "<|startoftext|>",
                                         "<｜begin▁of▁sentence｜>"};
    t->adds_bos = t->n_starts > 0;
    t->bos = t->adds_bos ? t->starts[0] : -1;
    for (size_t i = 0; t->bos < 0 && i < sizeof starts / sizeof *starts; i++)
        t->bos = hn_tokenizer_find_special(t, starts[i]);
}

/* --- the whole --- */

static hn_status load(source *s) {
    hn_tokenizer *t = s->t;
    bool byte_level;
    json_t *entry;
    size_t i;
    HN_TRY(check_model(s));
    HN_TRY(hn_json_normalizer(json_object_get(s->root, "normalizer"), PLACE(s, "normalizer"), t, s->err));
    HN_TRY(hn_json_pretokenizer(json_object_get(s->root, "pre_tokenizer"), PLACE(s, "pre_tokenizer"), t, &byte_level,
                                s->err));
    t->kind = byte_level ? HN_MODEL_BYTE_BPE : HN_MODEL_CHAR_BPE;
    t->byte_fallback = flag(s->model, "byte_fallback");
    t->fuse_unknown = flag(s->model, "fuse_unk");
    t->whole_words = flag(s->model, "ignore_merges");
    HN_TRY(count_tokens(s));
    HN_TRY(collect_tokens(s));
    HN_TRY(build_vocab(s));
    json_array_foreach(s->added, i, entry) HN_TRY(put_added(s, entry));
    HN_TRY(build_merges(s));
    HN_TRY(read_post_processor(s, json_object_get(s->root, "post_processor"), 0));
    guess_specials(t);
    HN_TRY(hn_tokenizer_finish(t, "tokenizer.json", s->err));
    if (t->eos < 0 && t->n_ends) t->eos = t->ends[0];
    return HN_OK;
}

hn_status hn_tokenizer_from_json(const char *json, size_t n, const char *name, hn_tokenizer **tokenizer,
                                 hn_error *err) {
    json_t *root;
    *tokenizer = NULL;
    HN_TRY(hn_json_parse(json, n, name, HN_JSON_NUL, &root, err));
    source s = {
        .t = hn_tokenizer_alloc(), .root = root, .model = json_object_get(root, "model"), .name = name, .err = err};
    hn_status st = s.t ? load(&s) : hn_fail_memory(err, sizeof(hn_tokenizer));
    hn_free(s.texts);
    json_decref(root);
    if (st == HN_OK)
        *tokenizer = s.t;
    else
        hn_tokenizer_free(s.t);
    return st;
}

/* A token of tokenizer_config.json: its text, or {"content": text}. */
static int32_t config_token(const hn_tokenizer *t, const json_t *value) {
    const char *text = json_string_value(json_is_object(value) ? json_object_get(value, "content") : value);
    return text ? hn_tokenizer_find_special(t, text) : -1;
}

hn_status hn_tokenizer_apply_config(hn_tokenizer *t, const char *json, size_t n, const char *name, hn_error *err) {
    json_t *config;
    HN_TRY(hn_json_parse(json, n, name, HN_JSON_NUL, &config, err));
    int32_t bos = config_token(t, json_object_get(config, "bos_token")),
            eos = config_token(t, json_object_get(config, "eos_token"));
    const json_t *adds = json_object_get(config, "add_bos_token");
    if (bos >= 0) t->bos = bos;
    if (eos >= 0) t->eos = eos;
    hn_tokenizer_add_end(t, eos);
    if (json_is_false(adds)) t->n_starts = 0;
    if (json_is_true(adds) && t->n_starts == 0 && t->bos >= 0) t->starts[t->n_starts++] = t->bos;
    t->adds_bos = t->n_starts > 0;
    json_decref(config);
    return HN_OK;
}
