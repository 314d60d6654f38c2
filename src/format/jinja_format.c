/* Two ways of the Jinja interpreter to write values: json.dumps for `tojson`, and Python's printf for `%` and `format`.
 * Surprise: bytes keep their origin here too, so a JSON-escaped quote of a user's text is still the user's. */
#include "format/jinja_parse.h"

#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- JSON ---- */

static void add_json_string(hn_jn_text *b, const hn_jn_str *s, bool ascii) {
    hn_jn_text_add_str(b, "\"");
    for (size_t i = 0; i < s->len && hn_jn_charge(b->ctx, 0);) {
        uint32_t cp;
        char escape[16];
        size_t plain = i, used = 0;
        for (; plain < s->len; plain += used) {
            used = hn_utf8_decode(s->data + plain, s->len - plain, &cp);
            if (cp < 32 || cp == '"' || cp == '\\' || (ascii && cp > 126)) break;
        }
        hn_jn_text_add_slice(b, s, i, plain);
        if (plain >= s->len) break;
        static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt";
        const char *letter = NULL;
        for (size_t k = 0; k + 1 < sizeof letters && !letter; k += 2)
            if ((uint32_t)letters[k] == cp) letter = &letters[k + 1];
        if (letter)
            snprintf(escape, sizeof escape, "\\%c", *letter);
        else if (cp < 0x10000)
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)cp);
        else
            snprintf(escape, sizeof escape, "\\u%04x\\u%04x", (unsigned)(0xD800 + ((cp - 0x10000) >> 10)),
                     (unsigned)(0xDC00 + ((cp - 0x10000) & 0x3FF)));
        hn_jn_text_add_from(b, escape, strlen(escape), hn_jn_source_at(s, plain));
        i = plain + used;
    }
    hn_jn_text_add_str(b, "\"");
}

static void add_json_break(hn_jn_text *b, const hn_jn_json_style *style, int depth) {
    if (style->indent < 0) return;
    hn_jn_text_add_str(b, "\n");
    for (int i = 0; i < depth; i++)
        for (int k = 0; k < style->indent; k++) hn_jn_text_add_str(b, " ");
}

static void add_json_list(hn_jn_text *b, const hn_jn_list *list, const hn_jn_json_style *style, int depth) {
    hn_jn_text_add_str(b, "[");
    for (size_t i = 0; i < list->n && !b->ctx->failed; i++) {
        if (i) hn_jn_text_add_str(b, style->comma);
        add_json_break(b, style, depth + 1);
        hn_jn_text_add_json(b, list->items[i], style, depth + 1);
    }
    if (list->n) add_json_break(b, style, depth);
    hn_jn_text_add_str(b, "]");
}

/* JSON's keys are strings: numbers, booleans and none are written as their text. */
static void add_json_key(hn_jn_text *b, hn_jn_value key, const hn_jn_json_style *style) {
    if (key.type == HN_JN_STRING) {
        add_json_string(b, key.as.str, style->ascii);
    } else if (hn_jn_is_number(key) || key.type == HN_JN_NONE) {
        hn_jn_text_add_str(b, "\"");
        hn_jn_text_add_json(b, key, style, 0);
        hn_jn_text_add_str(b, "\"");
    } else {
        hn_jn_raise(b->ctx, "use strings as keys", "`tojson` cannot write a %s as a key", hn_jn_type_name(key));
    }
}

static int compare_keys(const void *a, const void *b) {
    const hn_jn_str *x = ((const hn_jn_entry *)a)->key.as.str, *y = ((const hn_jn_entry *)b)->key.as.str;
    int order = memcmp(x->data, y->data, x->len < y->len ? x->len : y->len);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

static const hn_jn_entry *sorted_entries(hn_jn_ctx *ctx, const hn_jn_dict *dict) {
    hn_jn_entry *entries = hn_jn_alloc(ctx, dict->n, sizeof *entries);
    if (!entries) return NULL;
    for (size_t i = 0; i < dict->n; i++) {
        if (dict->entries[i].key.type != HN_JN_STRING) {
            hn_jn_raise(ctx, "use strings as keys", "`tojson` sorts string keys only");
            return NULL;
        }
        entries[i] = dict->entries[i];
    }
    if (dict->n) qsort(entries, dict->n, sizeof *entries, compare_keys);
    return entries;
}

static void add_json_dict(hn_jn_text *b, const hn_jn_dict *dict, const hn_jn_json_style *style, int depth) {
    const hn_jn_entry *entries = style->sort_keys ? sorted_entries(b->ctx, dict) : dict->entries;
    hn_jn_text_add_str(b, "{");
    for (size_t i = 0; i < dict->n && !b->ctx->failed; i++) {
        if (i) hn_jn_text_add_str(b, style->comma);
        add_json_break(b, style, depth + 1);
        add_json_key(b, entries[i].key, style);
        hn_jn_text_add_str(b, style->colon);
        hn_jn_text_add_json(b, entries[i].value, style, depth + 1);
    }
    if (dict->n) add_json_break(b, style, depth);
    hn_jn_text_add_str(b, "}");
}

void hn_jn_text_add_json(hn_jn_text *b, hn_jn_value v, const hn_jn_json_style *style, int depth) {
    if (!hn_jn_charge(b->ctx, 1)) return;
    if (depth > HN_JN_VALUE_DEPTH_MAX) {
        hn_jn_raise_limit(b->ctx, "levels of nesting", HN_JN_VALUE_DEPTH_MAX);
        return;
    }
    switch (v.type) {
    case HN_JN_NONE: hn_jn_text_add_str(b, "null"); break;
    case HN_JN_BOOL: hn_jn_text_add_str(b, v.as.boolean ? "true" : "false"); break;
    case HN_JN_STRING: add_json_string(b, v.as.str, style->ascii); break;
    case HN_JN_DICT: add_json_dict(b, v.as.dict, style, depth); break;
    case HN_JN_FLOAT:
        if (isnan(v.as.real) || isinf(v.as.real))
            hn_jn_text_add_str(b, isnan(v.as.real) ? "NaN" : v.as.real < 0 ? "-Infinity" : "Infinity");
        else
            hn_jn_text_add_repr(b, v, depth);
        break;
    case HN_JN_INT: hn_jn_text_add_repr(b, v, depth); break;
    case HN_JN_LIST:
        if (v.as.list->kind <= HN_JN_AS_TUPLE) {
            add_json_list(b, v.as.list, style, depth);
            break;
        }
        hn_jn_raise(b->ctx, "put `| list` before it", "`tojson` cannot write a %s", hn_jn_type_name(v));
        break;
    case HN_JN_UNDEFINED:
        if (v.as.node)
            hn_jn_raise_undefined(b->ctx, v);
        else
            hn_jn_raise(b->ctx, "test it with `is defined`", "`tojson` cannot write an undefined value");
        break;
    default: hn_jn_raise(b->ctx, NULL, "`tojson` cannot write a %s", hn_jn_type_name(v)); break;
    }
}

/* ---- printf ---- */

typedef struct conversion {
    char flags[6];
    int width, precision; /* precision -1: none */
    char letter;
    const hn_jn_value *value;
} conversion;

/* Fills up to the width with spaces; `text` is already whole. */
static void add_padded(hn_jn_text *b, const hn_jn_str *s, const conversion *c) {
    size_t n = hn_utf8_count(s->data, s->len), width = (size_t)c->width;
    bool left = strchr(c->flags, '-') != NULL;
    for (size_t i = n; !left && i < width; i++) hn_jn_text_add_str(b, " ");
    hn_jn_text_add_all(b, s);
    for (size_t i = n; left && i < width; i++) hn_jn_text_add_str(b, " ");
}

static void add_text_conversion(hn_jn_text *b, const conversion *c) {
    hn_jn_text text;
    hn_jn_text_init(&text, b->ctx);
    if (c->letter == 'r')
        hn_jn_text_add_repr(&text, *c->value, 0);
    else
        hn_jn_text_add_value(&text, *c->value);
    const hn_jn_str *s = hn_jn_text_of(b->ctx, hn_jn_text_value(&text));
    if (c->precision >= 0) {
        size_t end = 0;
        for (int i = 0; i < c->precision && end < s->len; i++) {
            uint32_t cp;
            end += hn_utf8_decode(s->data + end, s->len - end, &cp);
        }
        s = hn_jn_text_of(b->ctx, hn_jn_slice_bytes(b->ctx, s, 0, end));
    }
    add_padded(b, s, c);
}

static void add_number_conversion(hn_jn_text *b, const conversion *c) {
    char format[64], text[512];
    if (!hn_jn_is_number(*c->value)) {
        hn_jn_raise(b->ctx, NULL, "%%%c needs a number, not %s", c->letter, hn_jn_type_name(*c->value));
        return;
    }
    bool real = strchr("eEfFgG", c->letter) != NULL;
    int n;
    if (real) {
        snprintf(format, sizeof format, "%%%s*.*%c", c->flags, c->letter);
        n = snprintf(text, sizeof text, format, c->width, c->precision < 0 ? 6 : c->precision, hn_jn_number(*c->value));
    } else {
        int64_t value = c->value->type == HN_JN_FLOAT
                            ? (fabs(c->value->as.real) < 9e18 ? (int64_t)c->value->as.real : 0)
                            : hn_jn_integer(*c->value);
        snprintf(format, sizeof format, "%%%s*.*ll%c", c->flags,
                 c->letter == 'i' || c->letter == 'u' ? 'd' : c->letter);
        n = snprintf(text, sizeof text, format, c->width, c->precision, (long long)value);
    }
    if (n > 0 && (size_t)n < sizeof text)
        hn_jn_text_add(b, text, (size_t)n);
    else
        hn_jn_raise(b->ctx, "use a smaller width or precision", "a formatted number of %d characters", n);
}

/* Reads the digits of a width or precision at *i; at most 400. */
static int read_size(const hn_jn_str *f, size_t *i) {
    int n = 0;
    for (; *i < f->len && f->data[*i] >= '0' && f->data[*i] <= '9'; (*i)++)
        n = n * 10 + f->data[*i] - '0' > 400 ? 400 : n * 10 + f->data[*i] - '0';
    return n;
}

/* Reads %(name)-08.3f behind the percent sign. False: not a conversion that is known. */
static bool read_conversion(hn_jn_ctx *ctx, const hn_jn_str *f, size_t *i, conversion *c, hn_jn_value mapping) {
    *c = (conversion){.precision = -1};
    if (*i < f->len && f->data[*i] == '(') {
        const char *close = memchr(f->data + *i, ')', f->len - *i);
        if (!close) return false;
        hn_jn_value key = hn_jn_slice_bytes(ctx, f, *i + 1, (size_t)(close - f->data));
        c->value = hn_jn_dict_get(ctx, mapping, key);
        if (!c->value) {
            hn_jn_raise(ctx, NULL, "the format names `%.*s`, which is not given",
                        (int)(close - f->data - (ptrdiff_t)*i - 1), f->data + *i + 1);
            return true;
        }
        *i = (size_t)(close - f->data) + 1;
    }
    for (size_t n = 0; *i < f->len && f->data[*i] && strchr("-+ 0#", f->data[*i]); (*i)++)
        if (n < sizeof c->flags - 1 && !strchr(c->flags, f->data[*i])) c->flags[n++] = f->data[*i];
    c->width = read_size(f, i);
    if (*i < f->len && f->data[*i] == '.') (*i)++, c->precision = read_size(f, i);
    if (*i >= f->len) return false;
    c->letter = f->data[(*i)++];
    return c->letter && strchr("srdiuxXoeEfFgGc%", c->letter) != NULL;
}

static void add_conversion(hn_jn_text *b, const conversion *c) {
    if (c->letter == 's' || c->letter == 'r') {
        add_text_conversion(b, c);
    } else if (c->letter == 'c') {
        int64_t cp = hn_jn_integer(*c->value);
        if (c->value->type == HN_JN_STRING && hn_jn_length(b->ctx, *c->value) == 1)
            hn_jn_text_add_all(b, c->value->as.str);
        else if (hn_jn_is_integer(*c->value) && cp >= 0 && cp <= 0x10FFFF)
            hn_jn_text_add_codepoint(b, (uint32_t)cp, 0);
        else
            hn_jn_raise(b->ctx, NULL, "%%c needs a character, not %s", hn_jn_type_name(*c->value));
    } else {
        add_number_conversion(b, c);
    }
}

hn_jn_value hn_jn_format(hn_jn_ctx *ctx, const hn_jn_str *format, const hn_jn_value *values, size_t n,
                         hn_jn_value mapping) {
    hn_jn_text text;
    size_t next = 0;
    hn_jn_text_init(&text, ctx);
    for (size_t i = 0; i < format->len && !ctx->failed;) {
        const char *percent = memchr(format->data + i, '%', format->len - i);
        size_t stop = percent ? (size_t)(percent - format->data) : format->len;
        hn_jn_text_add_slice(&text, format, i, stop);
        if (!percent) break;
        conversion c;
        i = stop + 1;
        if (!read_conversion(ctx, format, &i, &c, mapping))
            return hn_jn_raise(ctx, "use %s, %d or %f; %% for a percent sign", "a malformed %% in the format");
        if (c.letter == '%') {
            hn_jn_text_add_str(&text, "%");
            continue;
        }
        if (!c.value && next >= n) return hn_jn_raise(ctx, NULL, "not enough values for the format: %zu", n);
        if (!c.value) c.value = &values[next++];
        if (!ctx->failed) add_conversion(&text, &c);
    }
    if (next < n && n > 0 && mapping.type != HN_JN_DICT)
        return hn_jn_raise(ctx, NULL, "%zu values for a format that uses %zu", n, next);
    return hn_jn_text_value(&text);
}
