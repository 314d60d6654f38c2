/* Jinja's filters on text, numbers and single values; those on sequences are in jinja_filter_seq.c. See jinja_value.h.
 * Surprise: `tojson` is transformers' (no HTML escapes, ensure_ascii first), not Jinja's own; `safe` does nothing,
 * since nothing is escaped. */
#include "format/jinja_parse.h"

#include "base/str.h"
#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int64_t integer_argument(hn_jn_ctx *ctx, hn_jn_value v, int64_t fallback, const char *filter) {
    if (v.type == HN_JN_MISSING) return fallback;
    if (!hn_jn_is_integer(v))
        hn_jn_raise(ctx, NULL, "filter `%s` needs an integer, not %s", filter, hn_jn_type_name(v));
    return hn_jn_integer(v);
}

/* ---- text ---- */

static hn_jn_value change_case(hn_jn_ctx *ctx, hn_jn_value self, hn_jn_case how) {
    return hn_jn_change_case(ctx, hn_jn_text_of(ctx, self), how);
}
static hn_jn_value x_upper(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)p, (void)args, change_case(ctx, self, HN_JN_UPPER);
}
static hn_jn_value x_lower(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)p, (void)args, change_case(ctx, self, HN_JN_LOWER);
}
static hn_jn_value x_title(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)p, (void)args, change_case(ctx, self, HN_JN_TITLE_FILTER);
}
static hn_jn_value x_capitalize(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)p, (void)args, change_case(ctx, self, HN_JN_CAPITALIZE);
}
static hn_jn_value x_string(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)p, (void)args, hn_jn_to_string(ctx, self);
}

static hn_jn_value x_trim(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    bool all = p[0].type == HN_JN_MISSING || p[0].type == HN_JN_NONE;
    return (void)args, hn_jn_strip(ctx, hn_jn_text_of(ctx, self), all ? NULL : hn_jn_text_of(ctx, p[0]), true, true);
}

static hn_jn_value x_replace(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    int64_t count = p[2].type == HN_JN_NONE ? -1 : integer_argument(ctx, p[2], -1, "replace");
    return (void)args,
           hn_jn_replace(ctx, hn_jn_text_of(ctx, self), hn_jn_text_of(ctx, p[0]), hn_jn_text_of(ctx, p[1]), count);
}

static hn_jn_value x_center(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)args, hn_jn_pad(ctx, hn_jn_text_of(ctx, self), integer_argument(ctx, p[0], 80, "center"), true, true);
}

static hn_jn_value x_escape(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    static const char from[] = "&<>'\"";
    static const char *const to[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    const hn_jn_str *s = hn_jn_text_of(ctx, self);
    hn_jn_text text;
    (void)p, (void)args;
    hn_jn_text_init(&text, ctx);
    for (size_t i = 0; i < s->len && hn_jn_charge(ctx, 1); i++) {
        const char *at = s->data[i] ? strchr(from, s->data[i]) : NULL;
        if (at)
            hn_jn_text_add_from(&text, to[at - from], strlen(to[at - from]), hn_jn_source_at(s, i));
        else
            hn_jn_text_add_slice(&text, s, i, i + 1);
    }
    return hn_jn_text_value(&text);
}

static hn_jn_value x_indent(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    const hn_jn_str *s = hn_jn_text_of(ctx, self);
    hn_jn_text margin, text;
    (void)args;
    hn_jn_text_init(&margin, ctx);
    if (p[0].type == HN_JN_STRING)
        hn_jn_text_add_all(&margin, p[0].as.str);
    else
        for (int64_t i = integer_argument(ctx, p[0], 4, "indent"); i > 0 && hn_jn_charge(ctx, 1); i--)
            hn_jn_text_add_str(&margin, " ");
    hn_jn_value fill = hn_jn_text_value(&margin);
    bool first = hn_jn_truth(p[1]), blank = hn_jn_truth(p[2]);
    hn_jn_text_init(&text, ctx);
    hn_jn_text_add_all(&text, s);
    hn_jn_text_add_str(&text, "\n"); /* so that an empty last line counts, as in Jinja */
    hn_jn_value lines = hn_jn_split_lines(ctx, hn_jn_text_of(ctx, hn_jn_text_value(&text)));
    hn_jn_text_init(&text, ctx);
    for (size_t i = 0; !ctx->failed && i < lines.as.list->n; i++) {
        hn_jn_value line = lines.as.list->items[i];
        if (i) hn_jn_text_add_str(&text, "\n");
        if (i ? blank || hn_jn_truth(line) : first) hn_jn_text_add_value(&text, fill);
        hn_jn_text_add_value(&text, line);
    }
    return hn_jn_text_value(&text);
}

static hn_jn_value x_wordcount(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    const hn_jn_str *s = hn_jn_text_of(ctx, self);
    int64_t n = 0;
    bool inside = false;
    (void)p, (void)args;
    for (size_t i = 0; i < s->len && hn_jn_charge(ctx, 1);) {
        uint32_t cp;
        i += hn_utf8_decode(s->data + i, s->len - i, &cp);
        bool word = cp == '_' || hn_unicode_is_letter(cp) || hn_unicode_is_number(cp);
        n += word && !inside;
        inside = word;
    }
    return hn_jn_int(n);
}

static hn_jn_value x_format(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    hn_jn_value mapping = hn_jn_none();
    (void)p;
    if (args->n_keywords) {
        mapping = hn_jn_dict_new(ctx);
        for (size_t i = 0; i < args->n_keywords; i++)
            hn_jn_dict_set(ctx, mapping, hn_jn_string(ctx, args->keywords[i].name, strlen(args->keywords[i].name)),
                           args->keywords[i].value);
    }
    return hn_jn_format(ctx, hn_jn_text_of(ctx, self), args->values, args->n, mapping);
}

static hn_jn_value x_tojson(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    hn_jn_json_style style = {
        .ascii = hn_jn_truth(p[0]), .sort_keys = hn_jn_truth(p[3]), .indent = -1, .comma = ", ", .colon = ": "};
    (void)args;
    if (p[1].type != HN_JN_MISSING && p[1].type != HN_JN_NONE) {
        int64_t indent = integer_argument(ctx, p[1], 0, "tojson");
        if (indent > 64)
            return hn_jn_raise(ctx, "use a smaller indent", "filter `tojson` with an indent of %lld",
                               (long long)indent);
        style.indent = indent < 0 ? 0 : (int)indent;
        style.comma = ",";
    }
    char comma[32], colon[32];
    if (p[2].type != HN_JN_MISSING && p[2].type != HN_JN_NONE) {
        const hn_jn_list *pair = hn_jn_iterate(ctx, p[2]);
        if (pair->n != 2)
            return hn_jn_raise(ctx, "write separators=(',', ':')", "filter `tojson` needs two separators");
        snprintf(comma, sizeof comma, "%s", "");
        const hn_jn_str *a = hn_jn_text_of(ctx, pair->items[0]), *b = hn_jn_text_of(ctx, pair->items[1]);
        if (a->len >= sizeof comma || b->len >= sizeof colon)
            return hn_jn_raise(ctx, NULL, "filter `tojson`: a separator is too long");
        snprintf(comma, sizeof comma, "%.*s", (int)a->len, a->data);
        snprintf(colon, sizeof colon, "%.*s", (int)b->len, b->data);
        style.comma = comma;
        style.colon = colon;
    }
    hn_jn_text text;
    hn_jn_text_init(&text, ctx);
    hn_jn_text_add_json(&text, self, &style, 0);
    return hn_jn_text_value(&text);
}

/* ---- numbers ---- */

/* Python's int(text, base): white space around, a sign, underscores between digits. */
static bool parse_integer(const hn_jn_str *s, int64_t base, int64_t *value) {
    hn_str t = hn_str_trim((hn_str){s->data, s->len});
    bool negative = t.len && t.data[0] == '-', any = false;
    size_t i = t.len && (t.data[0] == '-' || t.data[0] == '+') ? 1 : 0;
    char prefix = i + 2 < t.len && t.data[i] == '0' ? (char)(t.data[i + 1] | 32) : 0;
    if ((base == 16 && prefix == 'x') || (base == 8 && prefix == 'o') || (base == 2 && prefix == 'b')) i += 2;
    *value = 0;
    for (; i < t.len; i++) {
        char c = t.data[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'z' ? (c | 32) - 'a' + 10 : 99;
        if (c == '_' && any && i + 1 < t.len && t.data[i + 1] != '_') continue;
        if (digit >= base || __builtin_mul_overflow(*value, base, value) ||
            __builtin_add_overflow(*value, negative ? -digit : digit, value))
            return false;
        any = true;
    }
    return any;
}

static bool parse_float(const hn_jn_str *s, double *value) {
    hn_str t = hn_str_trim((hn_str){s->data, s->len});
    char text[128];
    if (t.len == 0 || t.len >= sizeof text || memchr(t.data, 0, t.len)) return false;
    memcpy(text, t.data, t.len);
    text[t.len] = 0;
    for (char *c = text; *c; c++)
        if ((*c | 32) == 'x' || (*c | 32) == 'p' || *c == '(') return false; /* what C reads and Python does not */
    const char *name = text + (text[0] == '-' || text[0] == '+');
    char word[12] = {0};
    for (size_t i = 0; name[i] && i < sizeof word - 1; i++) word[i] = (char)(name[i] | 32);
    if (strcmp(word, "inf") == 0 || strcmp(word, "infinity") == 0)
        return *value = text[0] == '-' ? -INFINITY : INFINITY, true;
    if (strcmp(word, "nan") == 0) return *value = NAN, true;
    return hn_parse_double(text, value);
}

static hn_jn_value x_int(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    int64_t n, base = integer_argument(ctx, p[1], 10, "int");
    double d = NAN;
    (void)args;
    if (base < 2 || base > 36) return hn_jn_raise(ctx, NULL, "filter `int` needs a base from 2 to 36");
    if (hn_jn_is_integer(self)) return hn_jn_int(hn_jn_integer(self));
    if (self.type == HN_JN_UNDEFINED) return hn_jn_raise_undefined(ctx, self);
    if (self.type == HN_JN_STRING && parse_integer(self.as.str, base, &n)) return hn_jn_int(n);
    if (self.type == HN_JN_FLOAT)
        d = self.as.real;
    else if (self.type != HN_JN_STRING || !parse_float(self.as.str, &d))
        d = NAN;
    if (fabs(d) < 9.2e18) return hn_jn_int((int64_t)d);
    return p[0].type == HN_JN_MISSING ? hn_jn_int(0) : p[0];
}

static hn_jn_value x_float(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    double d;
    (void)args;
    if (self.type == HN_JN_UNDEFINED) return hn_jn_raise_undefined(ctx, self);
    if (hn_jn_is_number(self)) return hn_jn_float(hn_jn_number(self));
    if (self.type == HN_JN_STRING && parse_float(self.as.str, &d)) return hn_jn_float(d);
    return p[0].type == HN_JN_MISSING ? hn_jn_float(0) : p[0];
}

static hn_jn_value x_abs(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    (void)p, (void)args;
    if (self.type == HN_JN_UNDEFINED) return hn_jn_raise_undefined(ctx, self);
    if (!hn_jn_is_number(self))
        return hn_jn_raise(ctx, NULL, "filter `abs` needs a number, not %s", hn_jn_type_name(self));
    if (self.type == HN_JN_FLOAT) return hn_jn_float(fabs(self.as.real));
    int64_t n = hn_jn_integer(self);
    return n == INT64_MIN ? hn_jn_raise(ctx, NULL, "an integer that is too large") : hn_jn_int(n < 0 ? -n : n);
}

/* Python's round: the decimal nearest to the exact value, halves to even; the C library prints exactly that. */
static double round_decimal(double value, int64_t precision) {
    char text[400];
    if (!isfinite(value) || precision > 300) return value;
    if (precision < 0) {
        double unit = pow(10, (double)-precision);
        return isfinite(unit) ? nearbyint(value / unit) * unit : 0;
    }
    if (fabs(value) >= 1e16) return value;
    snprintf(text, sizeof text, "%.*f", (int)precision, value);
    for (char *c = text; *c; c++)
        if (*c == ',') *c = '.';
    double rounded;
    return hn_parse_double(text, &rounded) ? rounded : value;
}

static hn_jn_value x_round(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    int64_t precision = integer_argument(ctx, p[0], 0, "round");
    (void)args;
    if (self.type == HN_JN_UNDEFINED) return hn_jn_raise_undefined(ctx, self);
    if (!hn_jn_is_number(self))
        return hn_jn_raise(ctx, NULL, "filter `round` needs a number, not %s", hn_jn_type_name(self));
    if (p[1].type == HN_JN_MISSING || hn_jn_is_text(p[1], "common")) {
        if (hn_jn_is_integer(self) && precision >= 0) return hn_jn_int(hn_jn_integer(self));
        double rounded = round_decimal(hn_jn_number(self), precision);
        return hn_jn_is_integer(self) && fabs(rounded) < 9e18 ? hn_jn_int((int64_t)rounded) : hn_jn_float(rounded);
    }
    bool up = hn_jn_is_text(p[1], "ceil");
    if (!up && !hn_jn_is_text(p[1], "floor"))
        return hn_jn_raise(ctx, "use common, ceil or floor", "filter `round` has no such method");
    double unit = pow(10, (double)precision), scaled = hn_jn_number(self) * unit;
    return hn_jn_float((up ? ceil(scaled) : floor(scaled)) / unit);
}

/* ---- any value ---- */

static hn_jn_value x_default(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    (void)args;
    if (self.type != HN_JN_UNDEFINED && !(hn_jn_truth(p[1]) && !hn_jn_truth(self))) return self;
    return p[0].type == HN_JN_MISSING ? hn_jn_string(ctx, "", 0) : p[0];
}

static hn_jn_value x_length(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)p, (void)args, hn_jn_int((int64_t)hn_jn_length(ctx, self));
}
static hn_jn_value x_safe(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)p, (void)args, hn_jn_to_string(ctx, self);
}

static hn_jn_value x_attr(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    char name[128];
    const hn_jn_str *s = hn_jn_text_of(ctx, p[0]);
    (void)args;
    if (s->len >= sizeof name || memchr(s->data, 0, s->len))
        return hn_jn_undefined(HN_JN_NO_ATTR, NULL, (hn_jn_type)self.type);
    memcpy(name, s->data, s->len);
    name[s->len] = 0;
    return self.type == HN_JN_DICT && !hn_jn_method_find(self, name) ? hn_jn_undefined(HN_JN_NO_ATTR, NULL, HN_JN_DICT)
                                                                     : hn_jn_getattr(ctx, self, name, NULL);
}

static const hn_jn_builtin filters[] = {
    {"abs", x_abs, "", 0},
    {"attr", x_attr, "name", 1},
    {"capitalize", x_capitalize, "", 0},
    {"center", x_center, "width", 0},
    {"count", x_length, "", 0},
    {"d", x_default, "default_value,boolean", 0},
    {"default", x_default, "default_value,boolean", 0},
    {"e", x_escape, "", 0},
    {"escape", x_escape, "", 0},
    {"float", x_float, "default", 0},
    {"forceescape", x_escape, "", 0},
    {"format", x_format, NULL, 0},
    {"indent", x_indent, "width,first,blank", 0},
    {"int", x_int, "default,base", 0},
    {"length", x_length, "", 0},
    {"lower", x_lower, "", 0},
    {"replace", x_replace, "old,new,count", 2},
    {"round", x_round, "precision,method", 0},
    {"safe", x_safe, "", 0},
    {"string", x_string, "", 0},
    {"title", x_title, "", 0},
    {"tojson", x_tojson, "ensure_ascii,indent,separators,sort_keys", 0},
    {"trim", x_trim, "chars", 0},
    {"upper", x_upper, "", 0},
    {"wordcount", x_wordcount, "", 0},
    {NULL, NULL, NULL, 0},
};

const hn_jn_builtin *hn_jn_filter_find(const char *name) {
    const hn_jn_builtin *found = hn_jn_builtin_find(filters, name);
    return found ? found : hn_jn_builtin_find(hn_jn_sequence_filters, name);
}

const char *hn_jn_filter_closest(const char *name) {
    for (const hn_jn_builtin *b = filters; b->name; b++)
        if (hn_closest(name, &b->name, 1)) return b->name;
    for (const hn_jn_builtin *b = hn_jn_sequence_filters; b->name; b++)
        if (hn_closest(name, &b->name, 1)) return b->name;
    return NULL;
}
