/* Text of the Jinja interpreter: every byte keeps its origin (the template, or a string in the variables) through
 * concatenation, slicing, stripping, replacing and joining; and Python's str() and repr(). See jinja_value.h. */
#include "format/jinja_parse.h"

#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

/* ---- building ---- */

void hn_jn_text_init(hn_jn_text *b, hn_jn_ctx *ctx) { *b = (hn_jn_text){.ctx = ctx}; }

static void add_span(hn_jn_text *b, size_t from, size_t to, uint32_t source) {
    if (from >= to || source == 0) return;
    if (b->n_spans && b->spans[b->n_spans - 1].to == from && b->spans[b->n_spans - 1].source == source) {
        b->spans[b->n_spans - 1].to = to;
        return;
    }
    if (!hn_jn_grow(b->ctx, (void **)&b->spans, &b->span_capacity, b->n_spans + 1, sizeof *b->spans)) return;
    b->spans[b->n_spans++] = (hn_jn_span){from, to, source};
}

void hn_jn_text_add_from(hn_jn_text *b, const char *bytes, size_t n, uint32_t source) {
    if (n == 0 || !hn_jn_charge(b->ctx, n / 64)) return;
    if (b == b->ctx->out && n > b->ctx->max_output - b->len) {
        hn_jn_raise_limit(b->ctx, "bytes of output", b->ctx->max_output);
        return;
    }
    if (!hn_jn_grow(b->ctx, (void **)&b->data, &b->capacity, b->len + n, 1)) return;
    memcpy(b->data + b->len, bytes, n);
    add_span(b, b->len, b->len + n, source);
    b->len += n;
}

void hn_jn_text_add(hn_jn_text *b, const char *bytes, size_t n) { hn_jn_text_add_from(b, bytes, n, 0); }
void hn_jn_text_add_str(hn_jn_text *b, const char *text) { hn_jn_text_add_from(b, text, strlen(text), 0); }

void hn_jn_text_add_codepoint(hn_jn_text *b, uint32_t cp, uint32_t source) {
    char bytes[4];
    hn_jn_text_add_from(b, bytes, hn_utf8_encode(cp, bytes), source);
}

/* The first span of `s` that ends behind byte `at`. */
static size_t first_span(const hn_jn_str *s, size_t at) {
    size_t low = 0, high = s->n_spans;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->spans[middle].to > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

uint32_t hn_jn_source_at(const hn_jn_str *s, size_t at) {
    size_t i = first_span(s, at);
    return i < s->n_spans && s->spans[i].from <= at ? s->spans[i].source : 0;
}

void hn_jn_text_add_slice(hn_jn_text *b, const hn_jn_str *s, size_t from, size_t to) {
    size_t start = b->len;
    if (from >= to) return;
    hn_jn_text_add_from(b, s->data + from, to - from, 0);
    if (b->ctx->failed) return;
    for (size_t i = first_span(s, from); i < s->n_spans && s->spans[i].from < to; i++) {
        size_t span_from = s->spans[i].from > from ? s->spans[i].from : from;
        size_t span_to = s->spans[i].to < to ? s->spans[i].to : to;
        add_span(b, start + span_from - from, start + span_to - from, s->spans[i].source);
    }
}

void hn_jn_text_add_all(hn_jn_text *b, const hn_jn_str *s) { hn_jn_text_add_slice(b, s, 0, s->len); }

hn_jn_value hn_jn_text_value(const hn_jn_text *b) {
    hn_jn_str *s = hn_jn_alloc(b->ctx, 1, sizeof *s);
    if (!s) return hn_jn_undefined(HN_JN_NO_NAME, NULL, HN_JN_UNDEFINED);
    *s = (hn_jn_str){.data = b->data ? b->data : "", .len = b->len, .spans = b->spans, .n_spans = b->n_spans};
    return (hn_jn_value){.type = HN_JN_STRING, .as.str = s};
}

hn_jn_value hn_jn_slice_bytes(hn_jn_ctx *ctx, const hn_jn_str *s, size_t from, size_t to) {
    hn_jn_text text;
    hn_jn_text_init(&text, ctx);
    hn_jn_text_add_slice(&text, s, from, to);
    return hn_jn_text_value(&text);
}

/* ---- str() and repr() ---- */

static bool is_printable(uint32_t cp) {
    if (cp < 128) return cp >= 32 && cp < 127;
    switch (utf8proc_category((utf8proc_int32_t)cp)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS: return false;
    default: return true;
    }
}

/* A short text that stands for bytes of `s` at `at`. */
static void add_escape(hn_jn_text *b, const char *text, const hn_jn_str *s, size_t at) {
    hn_jn_text_add_from(b, text, strlen(text), hn_jn_source_at(s, at));
}

static void add_quoted(hn_jn_text *b, const hn_jn_str *s) {
    char quote = memchr(s->data, '\'', s->len) && !memchr(s->data, '"', s->len) ? '"' : '\'';
    hn_jn_text_add(b, &quote, 1);
    for (size_t i = 0; i < s->len && !b->ctx->failed;) {
        uint32_t cp;
        char escape[16];
        size_t used = hn_utf8_decode(s->data + i, s->len - i, &cp);
        if (cp == '\n' || cp == '\r' || cp == '\t')
            snprintf(escape, sizeof escape, "\\%c", cp == '\n' ? 'n' : cp == '\r' ? 'r' : 't');
        else if (cp == (uint32_t)quote || cp == '\\')
            snprintf(escape, sizeof escape, "\\%c", (char)cp);
        else if (is_printable(cp))
            escape[0] = 0;
        else
            snprintf(escape, sizeof escape, cp < 256 ? "\\x%02x" : cp < 65536 ? "\\u%04x" : "\\U%08x", (unsigned)cp);
        if (escape[0])
            add_escape(b, escape, s, i);
        else
            hn_jn_text_add_slice(b, s, i, i + used);
        i += used;
    }
    hn_jn_text_add(b, &quote, 1);
}

static void add_number(hn_jn_text *b, hn_jn_value v) {
    hn_buf text;
    hn_buf_init(&text, 512);
    if (v.type == HN_JN_INT)
        hn_buf_appendf(&text, "%lld", (long long)v.as.integer);
    else if (isnan(v.as.real) || isinf(v.as.real))
        hn_buf_append_str(&text, isnan(v.as.real) ? "nan" : v.as.real < 0 ? "-inf" : "inf");
    else
        hn_json_write_real(v.as.real, &text);
    if (hn_buf_status(&text) != HN_OK && !b->ctx->failed) b->ctx->failed = hn_fail_memory(b->ctx->err, 32);
    hn_jn_text_add(b, hn_buf_str(&text), text.len);
    hn_buf_free(&text);
}

/* Python shows a range by its bounds; the stop is the first number that the step would reach. */
static void add_range(hn_jn_text *b, const hn_jn_list *range) {
    char text[96];
    int64_t start = range->n ? range->items[0].as.integer : 0,
            last = range->n ? range->items[range->n - 1].as.integer : 0;
    int64_t step = 1, stop = 0;
    if (range->n > 1 && __builtin_sub_overflow(range->items[1].as.integer, start, &step)) step = 1;
    if (range->n && __builtin_add_overflow(last, step, &stop)) stop = last;
    int n = snprintf(text, sizeof text, "range(%lld, %lld", (long long)start, (long long)stop);
    if (step != 1) n += snprintf(text + n, sizeof text - (size_t)n, ", %lld", (long long)step);
    hn_jn_text_add(b, text, (size_t)n);
    hn_jn_text_add_str(b, ")");
}

static void add_list(hn_jn_text *b, const hn_jn_list *list, int depth) {
    static const char *const open[] = {"[", "(", "[", "[", "dict_keys([", "dict_values([", "dict_items(["};
    static const char *const close[] = {"]", ")", "]", "]", "])", "])", "])"};
    if (list->kind == HN_JN_AS_GENERATOR) {
        hn_jn_text_add_str(b, "<generator object>");
        return;
    }
    if (list->kind == HN_JN_AS_RANGE) {
        add_range(b, list);
        return;
    }
    hn_jn_text_add_str(b, open[list->kind]);
    for (size_t i = 0; i < list->n && !b->ctx->failed; i++) {
        if (i) hn_jn_text_add_str(b, ", ");
        hn_jn_text_add_repr(b, list->items[i], depth + 1);
    }
    if (list->kind == HN_JN_AS_TUPLE && list->n == 1) hn_jn_text_add_str(b, ",");
    hn_jn_text_add_str(b, close[list->kind]);
}

static void add_dict(hn_jn_text *b, const hn_jn_dict *dict, int depth) {
    hn_jn_text_add_str(b, "{");
    for (size_t i = 0; i < dict->n && !b->ctx->failed; i++) {
        if (i) hn_jn_text_add_str(b, ", ");
        hn_jn_text_add_repr(b, dict->entries[i].key, depth + 1);
        hn_jn_text_add_str(b, ": ");
        hn_jn_text_add_repr(b, dict->entries[i].value, depth + 1);
    }
    hn_jn_text_add_str(b, "}");
}

static void add_other(hn_jn_text *b, hn_jn_value v) {
    char text[160];
    if (v.type == HN_JN_MACRO)
        snprintf(text, sizeof text, "<Macro '%.100s'>", v.as.macro->node->name);
    else if (v.type == HN_JN_LOOP)
        snprintf(text, sizeof text, "<LoopContext %zu/%zu>", v.as.loop->index + 1, v.as.loop->list->n);
    else
        snprintf(text, sizeof text, "<function %.100s>",
                 v.type == HN_JN_METHOD ? v.as.bound->method->name : v.as.builtin->name);
    hn_jn_text_add_str(b, text);
}

void hn_jn_text_add_repr(hn_jn_text *b, hn_jn_value v, int depth) {
    if (!hn_jn_charge(b->ctx, 1)) return;
    if (depth > HN_JN_VALUE_DEPTH_MAX) {
        hn_jn_raise_limit(b->ctx, "levels of nesting", HN_JN_VALUE_DEPTH_MAX);
        return;
    }
    switch (v.type) {
    case HN_JN_MISSING:
    case HN_JN_UNDEFINED: hn_jn_text_add_str(b, "Undefined"); break;
    case HN_JN_NONE: hn_jn_text_add_str(b, "None"); break;
    case HN_JN_BOOL: hn_jn_text_add_str(b, v.as.boolean ? "True" : "False"); break;
    case HN_JN_INT:
    case HN_JN_FLOAT: add_number(b, v); break;
    case HN_JN_STRING: add_quoted(b, v.as.str); break;
    case HN_JN_LIST: add_list(b, v.as.list, depth); break;
    case HN_JN_DICT: add_dict(b, v.as.dict, depth); break;
    case HN_JN_NAMESPACE:
        hn_jn_text_add_str(b, "<Namespace ");
        add_dict(b, v.as.dict, depth);
        hn_jn_text_add_str(b, ">");
        break;
    default: add_other(b, v); break;
    }
}

void hn_jn_text_add_value(hn_jn_text *b, hn_jn_value v) {
    if (v.type == HN_JN_STRING)
        hn_jn_text_add_all(b, v.as.str);
    else if (v.type != HN_JN_UNDEFINED && v.type != HN_JN_MISSING)
        hn_jn_text_add_repr(b, v, 0);
}

hn_jn_value hn_jn_to_string(hn_jn_ctx *ctx, hn_jn_value v) {
    if (v.type == HN_JN_STRING) return v;
    hn_jn_text text;
    hn_jn_text_init(&text, ctx);
    hn_jn_text_add_value(&text, v);
    return hn_jn_text_value(&text);
}

const hn_jn_str *hn_jn_text_of(hn_jn_ctx *ctx, hn_jn_value v) {
    static const hn_jn_str empty = {.data = ""};
    hn_jn_value text = hn_jn_to_string(ctx, v);
    return text.type == HN_JN_STRING ? text.as.str : &empty;
}

/* ---- searching and taking apart ---- */

bool hn_jn_is_space(uint32_t cp) { return hn_unicode_is_space(cp) || (cp >= 0x1c && cp <= 0x1f); }

static bool stripped(const hn_jn_str *s, size_t at, size_t used, const hn_jn_str *chars) {
    if (chars) return memmem(chars->data, chars->len, s->data + at, used) != NULL;
    uint32_t cp;
    hn_utf8_decode(s->data + at, used, &cp);
    return hn_jn_is_space(cp);
}

hn_jn_value hn_jn_strip(hn_jn_ctx *ctx, const hn_jn_str *s, const hn_jn_str *chars, bool left, bool right) {
    size_t from = 0, to = s->len;
    while (left && from < to) {
        uint32_t cp;
        size_t used = hn_utf8_decode(s->data + from, to - from, &cp);
        if (!hn_jn_charge(ctx, 1) || !stripped(s, from, used, chars)) break;
        from += used;
    }
    while (right && to > from) {
        size_t at = to - 1;
        while (at > from && ((unsigned char)s->data[at] & 0xC0) == 0x80) at--;
        if (!hn_jn_charge(ctx, 1) || !stripped(s, at, to - at, chars)) break;
        to = at;
    }
    return from == 0 && to == s->len ? (hn_jn_value){.type = HN_JN_STRING, .as.str = s}
                                     : hn_jn_slice_bytes(ctx, s, from, to);
}

size_t hn_jn_find(hn_jn_ctx *ctx, const hn_jn_str *s, const hn_jn_str *needle, size_t from) {
    if (from > s->len || !hn_jn_charge(ctx, 1)) return SIZE_MAX;
    if (needle->len == 0) return from;
    const char *at = memmem(s->data + from, s->len - from, needle->data, needle->len);
    hn_jn_charge(ctx, (at ? (size_t)(at - s->data) - from : s->len - from) / 64);
    return at ? (size_t)(at - s->data) : SIZE_MAX;
}

/* Python puts the new text around every character where the old one is empty. */
static hn_jn_value interleave(hn_jn_ctx *ctx, const hn_jn_str *s, const hn_jn_str *new_text, int64_t count) {
    hn_jn_text text;
    hn_jn_text_init(&text, ctx);
    for (size_t i = 0; !ctx->failed;) {
        if (count-- > 0) hn_jn_text_add_all(&text, new_text);
        if (i >= s->len) break;
        uint32_t cp;
        size_t used = hn_utf8_decode(s->data + i, s->len - i, &cp);
        hn_jn_text_add_slice(&text, s, i, i + used);
        i += used;
    }
    return hn_jn_text_value(&text);
}

hn_jn_value hn_jn_replace(hn_jn_ctx *ctx, const hn_jn_str *s, const hn_jn_str *old, const hn_jn_str *new_text,
                          int64_t count) {
    if (count < 0) count = INT64_MAX;
    if (old->len == 0) return interleave(ctx, s, new_text, count);
    hn_jn_text text;
    hn_jn_text_init(&text, ctx);
    size_t at = 0;
    for (; count > 0 && !ctx->failed; count--) {
        size_t hit = hn_jn_find(ctx, s, old, at);
        if (hit == SIZE_MAX) break;
        hn_jn_text_add_slice(&text, s, at, hit);
        hn_jn_text_add_all(&text, new_text);
        at = hit + old->len;
    }
    hn_jn_text_add_slice(&text, s, at, s->len);
    return hn_jn_text_value(&text);
}

hn_jn_value hn_jn_join(hn_jn_ctx *ctx, const hn_jn_str *separator, const hn_jn_list *list, bool only_strings) {
    hn_jn_text text;
    hn_jn_text_init(&text, ctx);
    for (size_t i = 0; i < list->n && !ctx->failed; i++) {
        if (only_strings && list->items[i].type != HN_JN_STRING)
            return hn_jn_raise(ctx, "use the filter `join`, which makes strings",
                               "`join` needs strings, element %zu is a %s", i, hn_jn_type_name(list->items[i]));
        if (i) hn_jn_text_add_all(&text, separator);
        hn_jn_text_add_value(&text, list->items[i]);
    }
    return hn_jn_text_value(&text);
}
