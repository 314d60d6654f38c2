/* The normalizer and the pre-tokenizer of a tokenizer.json as steps; see tokenizer_parts.h.
 * Surprise: ByteLevel inside a sequence rewrites the text into its alphabet, and the steps after it see that
 * (Falcon's digits). */
#include "model/tokenizer_parts.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

enum { DEPTH_MAX = 8 };

/* \w as Unicode has it: letters, marks, decimal digits, connectors, joiners, and letters in circles. */
#define WORD "\\p{L}\\p{Nl}\\p{M}\\p{Nd}\\p{Pc}\\x{200c}\\x{200d}\\x{24b6}-\\x{24e9}"

static hn_status unsupported(const char *where, const char *what, const char *name, hn_error *err) {
    return hn_fail(err, HN_ERR_UNSUPPORTED, where, NULL, "the %s \"%.80s\" is not supported", what, name);
}

/* "pattern": {"String": text} or {"Regex": text}. */
static hn_status read_pattern(const json_t *node, const char *where, bool *is_regex, hn_str *text, hn_error *err) {
    const json_t *pattern = json_object_get(node, "pattern");
    const json_t *string = json_object_get(pattern, "String"), *regex = json_object_get(pattern, "Regex");
    const json_t *found = string ? string : regex;
    *is_regex = !string;
    *text = (hn_str){0};
    if (!json_is_string(found))
        return hn_fail(err, HN_ERR_INPUT, where, NULL, "field `pattern` must hold a String or a Regex");
    *text = (hn_str){json_string_value(found), json_string_length(found)};
    return HN_OK;
}

/* --- normalizer --- */

static hn_status copy_text(const json_t *node, const char *where, const char *key, char **text, size_t *n,
                           hn_error *err) {
    const json_t *value = json_object_get(node, key);
    if (!json_is_string(value)) return hn_fail(err, HN_ERR_INPUT, where, NULL, "field `%s` must be a string", key);
    *n = json_string_length(value);
    *text = hn_strndup(json_string_value(value), *n);
    return *text ? HN_OK : hn_fail_memory(err, *n);
}

static hn_status add_replace(const json_t *node, const char *where, hn_tokenizer *t, hn_error *err) {
    bool is_regex;
    hn_str pattern;
    hn_normal step = {.kind = HN_NORMAL_REPLACE};
    HN_TRY(read_pattern(node, where, &is_regex, &pattern, err));
    HN_TRY(copy_text(node, where, "content", &step.to, &step.to_len, err));
    step.from = hn_strndup(pattern.data, pattern.len);
    step.from_len = pattern.len;
    hn_status st = step.from ? HN_OK : hn_fail_memory(err, pattern.len);
    if (st == HN_OK && is_regex) st = hn_regex_compile(pattern.data, pattern.len, &step.regex, err);
    if (st == HN_OK) return hn_normalizer_add(&t->normalizer, step, err);
    hn_free(step.from);
    hn_free(step.to);
    return st;
}

static hn_status add_prepend(const json_t *node, const char *where, hn_tokenizer *t, hn_error *err) {
    hn_normal step = {.kind = HN_NORMAL_PREPEND};
    HN_TRY(copy_text(node, where, "prepend", &step.to, &step.to_len, err));
    if (step.to_len == 3 && memcmp(step.to, "\xE2\x96\x81", 3) == 0) t->prefix = HN_PREFIX_ALWAYS;
    return hn_normalizer_add(&t->normalizer, step, err);
}

static hn_status normalizer_step(const json_t *node, const char *where, hn_tokenizer *t, int depth, hn_error *err) {
    static const struct {
        const char *name;
        hn_normal_kind kind;
    } plain[] = {{"NFC", HN_NORMAL_NFC},   {"NFD", HN_NORMAL_NFD},         {"NFKC", HN_NORMAL_NFKC},
                 {"NFKD", HN_NORMAL_NFKD}, {"Lowercase", HN_NORMAL_LOWER}, {"StripAccents", HN_NORMAL_STRIP_ACCENTS}};
    const char *type;
    HN_TRY(hn_json_get_string(node, where, "type", &type, err));
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (strcmp(type, plain[i].name) == 0)
            return hn_normalizer_add(&t->normalizer, (hn_normal){.kind = plain[i].kind}, err);
    if (strcmp(type, "Strip") == 0) {
        hn_normal step = {.kind = HN_NORMAL_STRIP, .left = true, .right = true};
        HN_TRY(hn_json_opt_bool(node, where, "strip_left", &step.left, err));
        HN_TRY(hn_json_opt_bool(node, where, "strip_right", &step.right, err));
        return hn_normalizer_add(&t->normalizer, step, err);
    }
    if (strcmp(type, "Prepend") == 0) return add_prepend(node, where, t, err);
    if (strcmp(type, "Replace") == 0) return add_replace(node, where, t, err);
    if (strcmp(type, "Sequence") != 0) return unsupported(where, "normalizer", type, err);
    if (depth == DEPTH_MAX)
        return hn_fail(err, HN_ERR_LIMIT, where, NULL, "normalizers are nested deeper than %d", DEPTH_MAX);
    json_t *all;
    HN_TRY(hn_json_get_array(node, where, "normalizers", &all, err));
    for (size_t i = 0; i < json_array_size(all); i++)
        HN_TRY(normalizer_step(json_array_get(all, i), where, t, depth + 1, err));
    return HN_OK;
}

hn_status hn_json_normalizer(const json_t *node, const char *where, hn_tokenizer *t, hn_error *err) {
    return !node || json_is_null(node) ? HN_OK : normalizer_step(node, where, t, 0, err);
}

/* --- pre-tokenizer --- */

typedef struct builder {
    hn_tokenizer *t;
    hn_pretokenizer *p;
    const char *where;
    hn_error *err;
    bool byte_level, alphabet_pending; /* ByteLevel was seen; its alphabet matters if another step follows */
} builder;

static hn_status read_behavior(const builder *b, const json_t *node, hn_split *how) {
    static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
    const char *name = "Isolated";
    HN_TRY(hn_json_opt_string(node, b->where, "behavior", &name, b->err));
    for (int i = 0; i < 5; i++)
        if (strcmp(name, names[i]) == 0) {
            *how = (hn_split)i;
            return HN_OK;
        }
    return unsupported(b->where, "split behaviour", name, b->err);
}

static hn_status add_split(builder *b, const json_t *node) {
    bool is_regex, invert = false;
    hn_str text;
    hn_split how;
    HN_TRY(read_pattern(node, b->where, &is_regex, &text, b->err));
    HN_TRY(read_behavior(b, node, &how));
    HN_TRY(hn_json_opt_bool(node, b->where, "invert", &invert, b->err));
    return is_regex ? hn_pretokenizer_add_regex(b->p, text, how, invert, b->err)
                    : hn_pretokenizer_add_literal(b->p, text, how, invert, b->err);
}

static hn_status add_byte_level(builder *b, const json_t *node) {
    bool prefix = true, use_regex = true;
    if (b->byte_level) return unsupported(b->where, "pre-tokenizer", "ByteLevel, twice", b->err);
    HN_TRY(hn_json_opt_bool(node, b->where, "add_prefix_space", &prefix, b->err));
    HN_TRY(hn_json_opt_bool(node, b->where, "use_regex", &use_regex, b->err));
    b->byte_level = b->alphabet_pending = true;
    if (prefix) {
        HN_TRY(hn_pretokenizer_add(b->p, (hn_step){.kind = HN_STEP_PREFIX_SPACE}, b->err));
        b->t->prefix = HN_PREFIX_FIRST;
    }
    if (use_regex) return hn_pretokenizer_add(b->p, (hn_step){.kind = HN_STEP_SCAN, .scan = hn_scan_gpt2}, b->err);
    return HN_OK;
}

static hn_status add_metaspace(builder *b, const json_t *node) {
    const char *mark = "\xE2\x96\x81", *scheme = "always";
    bool prefix = true, split = true;
    HN_TRY(hn_json_opt_string(node, b->where, "replacement", &mark, b->err));
    HN_TRY(hn_json_opt_bool(node, b->where, "add_prefix_space", &prefix, b->err)); /* how older files say it */
    if (!prefix) scheme = "never";
    HN_TRY(hn_json_opt_string(node, b->where, "prepend_scheme", &scheme, b->err));
    HN_TRY(hn_json_opt_bool(node, b->where, "split", &split, b->err));
    if (strcmp(mark, "\xE2\x96\x81") != 0) return unsupported(b->where, "Metaspace replacement", mark, b->err);
    bool always = strcmp(scheme, "always") == 0, first = strcmp(scheme, "first") == 0;
    if (!always && !first && strcmp(scheme, "never") != 0)
        return unsupported(b->where, "prepend scheme", scheme, b->err);
    b->t->prefix = always ? HN_PREFIX_ALWAYS : first ? HN_PREFIX_FIRST : HN_PREFIX_NEVER;
    return hn_pretokenizer_add(b->p, (hn_step){.kind = HN_STEP_METASPACE, .prefix = b->t->prefix, .cut = split},
                               b->err);
}

static hn_status add_digits(builder *b, const json_t *node) {
    bool individual = false;
    HN_TRY(hn_json_opt_bool(node, b->where, "individual_digits", &individual, b->err));
    return hn_pretokenizer_add(
        b->p, (hn_step){.kind = HN_STEP_DIGITS, .how = individual ? HN_SPLIT_ISOLATED : HN_SPLIT_CONTIGUOUS}, b->err);
}

static hn_status add_delimiter(builder *b, const json_t *node) {
    const char *delimiter;
    HN_TRY(hn_json_get_string(node, b->where, "delimiter", &delimiter, b->err));
    return hn_pretokenizer_add_literal(b->p, hn_str_of(delimiter), HN_SPLIT_REMOVED, false, b->err);
}

static hn_status pretokenizer_step(builder *b, const json_t *node, int depth) {
    const char *type;
    HN_TRY(hn_json_get_string(node, b->where, "type", &type, b->err));
    if (strcmp(type, "Sequence") == 0) {
        json_t *all;
        if (depth == DEPTH_MAX)
            return hn_fail(b->err, HN_ERR_LIMIT, b->where, NULL, "pre-tokenizers are nested deeper than %d", DEPTH_MAX);
        HN_TRY(hn_json_get_array(node, b->where, "pretokenizers", &all, b->err));
        for (size_t i = 0; i < json_array_size(all); i++)
            HN_TRY(pretokenizer_step(b, json_array_get(all, i), depth + 1));
        return HN_OK;
    }
    if (b->alphabet_pending) {
        HN_TRY(hn_pretokenizer_add(b->p, (hn_step){.kind = HN_STEP_ALPHABET}, b->err));
        b->alphabet_pending = false;
        b->t->alphabet = true;
    }
    if (strcmp(type, "ByteLevel") == 0) return add_byte_level(b, node);
    if (strcmp(type, "Split") == 0) return add_split(b, node);
    if (strcmp(type, "Digits") == 0) return add_digits(b, node);
    if (strcmp(type, "Metaspace") == 0) return add_metaspace(b, node);
    if (strcmp(type, "CharDelimiterSplit") == 0) return add_delimiter(b, node);
    if (strcmp(type, "WhitespaceSplit") == 0)
        return hn_pretokenizer_add_regex(b->p, hn_str_of("\\s+"), HN_SPLIT_REMOVED, false, b->err);
    if (strcmp(type, "Whitespace") == 0)
        return hn_pretokenizer_add_regex(b->p, hn_str_of("[" WORD "]+|[^\\s" WORD "]+"), HN_SPLIT_REMOVED, true,
                                         b->err);
    if (strcmp(type, "Punctuation") != 0) return unsupported(b->where, "pre-tokenizer", type, b->err);
    hn_step step = {.kind = HN_STEP_PUNCTUATION};
    HN_TRY(read_behavior(b, node, &step.how));
    return hn_pretokenizer_add(b->p, step, b->err);
}

/* Each number alone and then GPT-2's words: one scanner does both. */
static void join_smollm(hn_pretokenizer *p) {
    if (p->n_steps != 2 || p->steps[1].scan != hn_scan_gpt2 || p->steps[0].how != HN_SPLIT_ISOLATED ||
        p->steps[0].invert)
        return;
    bool pattern = p->steps[0].kind == HN_STEP_REGEX && strcmp(p->steps[0].text, "\\p{N}") == 0;
    if (!pattern && p->steps[0].kind != HN_STEP_DIGITS) return;
    hn_pretokenizer_free(p);
    p->steps[0] = (hn_step){.kind = HN_STEP_SCAN, .scan = hn_scan_smollm};
    p->n_steps = 1;
}

hn_status hn_json_pretokenizer(const json_t *node, const char *where, hn_tokenizer *t, bool *byte_level,
                               hn_error *err) {
    builder b = {.t = t, .p = &t->pretokenizer, .where = where, .err = err};
    *byte_level = false;
    if (!node || json_is_null(node)) return HN_OK;
    HN_TRY(pretokenizer_step(&b, node, 0));
    join_smollm(b.p);
    *byte_level = b.byte_level;
    return HN_OK;
}
