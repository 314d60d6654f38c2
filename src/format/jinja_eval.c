/* Evaluation of Jinja's expressions; statements are in jinja_exec.c. See jinja_value.h for values and sticky errors.
 * Surprise: `x.name` looks for a method first and for an element after, `x['name']` the other way round, as Jinja does.
 * */
#include "format/jinja_parse.h"

#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static hn_jn_value nothing(void) { return hn_jn_undefined(HN_JN_NO_NAME, NULL, HN_JN_UNDEFINED); }

/* ---- attributes and elements ---- */

static hn_jn_value bind_method(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_builtin *method) {
    hn_jn_bound *bound = hn_jn_alloc(ctx, 1, sizeof *bound);
    if (!bound) return nothing();
    *bound = (hn_jn_bound){self, method};
    return (hn_jn_value){.type = HN_JN_METHOD, .as.bound = bound};
}

static hn_jn_value loop_attribute(const hn_jn_loop *loop, const char *name, const hn_jn_node *node) {
    size_t i = loop->index, n = loop->list->n;
    if (strcmp(name, "index") == 0) return hn_jn_int((int64_t)i + 1);
    if (strcmp(name, "index0") == 0) return hn_jn_int((int64_t)i);
    if (strcmp(name, "revindex") == 0) return hn_jn_int((int64_t)(n - i));
    if (strcmp(name, "revindex0") == 0) return hn_jn_int((int64_t)(n - i) - 1);
    if (strcmp(name, "first") == 0) return hn_jn_bool(i == 0);
    if (strcmp(name, "last") == 0) return hn_jn_bool(i + 1 == n);
    if (strcmp(name, "length") == 0) return hn_jn_int((int64_t)n);
    if (strcmp(name, "depth") == 0) return hn_jn_int((int64_t)loop->depth + 1);
    if (strcmp(name, "depth0") == 0) return hn_jn_int((int64_t)loop->depth);
    if (strcmp(name, "previtem") == 0)
        return i > 0 ? loop->list->items[i - 1] : hn_jn_undefined(HN_JN_NO_PREVIOUS, node, HN_JN_LOOP);
    if (strcmp(name, "nextitem") == 0)
        return i + 1 < n ? loop->list->items[i + 1] : hn_jn_undefined(HN_JN_NO_PREVIOUS, node, HN_JN_LOOP);
    return hn_jn_undefined(HN_JN_NO_ATTR, node, HN_JN_LOOP);
}

static hn_jn_value macro_attribute(hn_jn_ctx *ctx, const hn_jn_macro *macro, const char *name, const hn_jn_node *node) {
    if (strcmp(name, "name") == 0) return hn_jn_string(ctx, macro->node->name, strlen(macro->node->name));
    if (strcmp(name, "arguments") != 0) return hn_jn_undefined(HN_JN_NO_ATTR, node, HN_JN_MACRO);
    hn_jn_value names = hn_jn_list_new(ctx, HN_JN_AS_TUPLE);
    for (size_t i = 0; i < macro->node->n_items; i++) {
        const char *parameter = macro->node->items[i]->name;
        hn_jn_list_push(ctx, names, hn_jn_string(ctx, parameter, strlen(parameter)));
    }
    return names;
}

/* A pair that groupby made has names for its two parts. */
static const hn_jn_value *group_part(hn_jn_value object, const char *name) {
    if (object.type != HN_JN_LIST || object.as.list->kind != HN_JN_AS_TUPLE || object.as.list->n != 2) return NULL;
    if (strcmp(name, "grouper") == 0) return &object.as.list->items[0];
    return strcmp(name, "list") == 0 ? &object.as.list->items[1] : NULL;
}

hn_jn_value hn_jn_getattr(hn_jn_ctx *ctx, hn_jn_value object, const char *name, const hn_jn_node *node) {
    if (ctx->failed) return nothing();
    if (object.type == HN_JN_UNDEFINED) return hn_jn_raise_undefined(ctx, object);
    const hn_jn_builtin *method = hn_jn_method_find(object, name);
    if (method) return bind_method(ctx, object, method);
    if (object.type == HN_JN_LOOP) return loop_attribute(object.as.loop, name, node);
    if (object.type == HN_JN_MACRO) return macro_attribute(ctx, object.as.macro, name, node);
    const hn_jn_value *found = object.type == HN_JN_DICT || object.type == HN_JN_NAMESPACE
                                   ? hn_jn_dict_get_name(ctx, object, name)
                                   : group_part(object, name);
    return found ? *found : hn_jn_undefined(HN_JN_NO_ATTR, node, (hn_jn_type)object.type);
}

/* Clamps slice bounds as Python does; step != 0. Returns the number of elements. */
static int64_t slice_range(int64_t n, const hn_jn_value *part, int64_t *start, int64_t *step) {
    int64_t stop;
    *step = hn_jn_is_integer(part[2]) ? hn_jn_integer(part[2]) : 1;
    int64_t low = *step < 0 ? -1 : 0, high = *step < 0 ? n - 1 : n;
    *start = *step < 0 ? high : low;
    stop = *step < 0 ? low : high;
    for (int k = 0; k < 2; k++) {
        if (!hn_jn_is_integer(part[k])) continue;
        int64_t at = hn_jn_integer(part[k]);
        if (at < 0)
            at = at < -n ? low : at + n < low ? low : at + n;
        else if (at > high)
            at = high;
        *(k ? &stop : start) = at;
    }
    if (*step > 0) return stop > *start ? (stop - *start - 1) / *step + 1 : 0;
    return *start > stop ? (*start - stop - 1) / (*step == INT64_MIN ? INT64_MAX : -*step) + 1 : 0;
}

static hn_jn_value slice_string(hn_jn_ctx *ctx, const hn_jn_str *s, int64_t start, int64_t step, int64_t count) {
    if (!hn_jn_charge(ctx, s->len / 16)) return nothing();
    if (step == 1) {
        size_t from = 0, to;
        uint32_t cp;
        for (int64_t i = 0; i < start; i++) from += hn_utf8_decode(s->data + from, s->len - from, &cp);
        to = from;
        for (int64_t i = 0; i < count; i++) to += hn_utf8_decode(s->data + to, s->len - to, &cp);
        return hn_jn_slice_bytes(ctx, s, from, to);
    }
    size_t n = hn_utf8_count(s->data, s->len);
    size_t *offsets = hn_jn_alloc(ctx, n + 1, sizeof *offsets);
    if (!offsets) return nothing();
    for (size_t i = 0; i < n; i++) {
        uint32_t cp;
        offsets[i + 1] = offsets[i] + hn_utf8_decode(s->data + offsets[i], s->len - offsets[i], &cp);
    }
    hn_jn_text text;
    hn_jn_text_init(&text, ctx);
    for (int64_t i = 0; i < count && hn_jn_charge(ctx, 1); i++) {
        size_t at = (size_t)(start + i * step);
        hn_jn_text_add_slice(&text, s, offsets[at], offsets[at + 1]);
    }
    return hn_jn_text_value(&text);
}

static hn_jn_value getslice(hn_jn_ctx *ctx, hn_jn_value object, const hn_jn_node *slice) {
    hn_jn_value part[3] = {hn_jn_none(), hn_jn_none(), hn_jn_none()};
    const hn_jn_node *nodes[3] = {slice->a, slice->b, slice->c};
    for (int i = 0; i < 3; i++) {
        if (nodes[i]) part[i] = hn_jn_eval(ctx, nodes[i]);
        if (!hn_jn_is_integer(part[i]) && part[i].type != HN_JN_NONE)
            return hn_jn_raise(ctx, NULL, "a slice needs integers, not %s", hn_jn_type_name(part[i]));
    }
    if (hn_jn_is_integer(part[2]) && hn_jn_integer(part[2]) == 0) return hn_jn_raise(ctx, NULL, "a slice with step 0");
    bool list = object.type == HN_JN_LIST && object.as.list->kind <= HN_JN_AS_RANGE;
    if (object.type == HN_JN_UNDEFINED) return hn_jn_raise_undefined(ctx, object);
    if (!list && object.type != HN_JN_STRING)
        return hn_jn_raise(ctx, NULL, "a %s cannot be sliced", hn_jn_type_name(object));
    int64_t start, step, count = slice_range((int64_t)hn_jn_length(ctx, object), part, &start, &step);
    if (object.type == HN_JN_STRING) return slice_string(ctx, object.as.str, start, step, count);
    hn_jn_value result = hn_jn_list_new(ctx, object.as.list->kind);
    for (int64_t i = 0; i < count && !ctx->failed; i++)
        hn_jn_list_push(ctx, result, object.as.list->items[start + i * step]);
    return result;
}

hn_jn_value hn_jn_getitem(hn_jn_ctx *ctx, hn_jn_value object, hn_jn_value key, const hn_jn_node *node) {
    if (ctx->failed) return nothing();
    if (object.type == HN_JN_UNDEFINED) return hn_jn_raise_undefined(ctx, object);
    if (object.type == HN_JN_DICT) {
        if (key.type != HN_JN_LIST && key.type != HN_JN_DICT) {
            const hn_jn_value *found = hn_jn_dict_get(ctx, object, key);
            if (found) return *found;
        }
    } else if (hn_jn_is_integer(key) &&
               (object.type == HN_JN_STRING || (object.type == HN_JN_LIST && object.as.list->kind <= HN_JN_AS_RANGE))) {
        int64_t n = (int64_t)hn_jn_length(ctx, object), at = hn_jn_integer(key);
        if (at < 0 && at >= -n) at += n;
        if (at >= 0 && at < n)
            return object.type == HN_JN_LIST ? object.as.list->items[at] : slice_string(ctx, object.as.str, at, 1, 1);
    }
    if (key.type == HN_JN_STRING && !memchr(key.as.str->data, 0, key.as.str->len)) {
        char name[64];
        if (key.as.str->len < sizeof name) {
            memcpy(name, key.as.str->data, key.as.str->len);
            name[key.as.str->len] = 0;
            hn_jn_value found = hn_jn_getattr(ctx, object, name, node);
            if (found.type != HN_JN_UNDEFINED) return found;
        }
    }
    return hn_jn_undefined(HN_JN_NO_ATTR, node, (hn_jn_type)object.type);
}

/* ---- operators ---- */

static hn_jn_value overflow(hn_jn_ctx *ctx) {
    return hn_jn_raise(ctx, "integers have 64 bits", "an integer that is too large");
}

static hn_jn_value integer_power(hn_jn_ctx *ctx, int64_t base, int64_t exponent) {
    if (exponent < 0)
        return base ? hn_jn_float(pow((double)base, (double)exponent))
                    : hn_jn_raise(ctx, NULL, "0 to a negative power");
    int64_t result = 1;
    if (base == 0 || base == 1 || base == -1)
        return hn_jn_int(exponent == 0 || base == 1 || (base == -1 && exponent % 2 == 0) ? 1 : base);
    for (int64_t i = 0; i < exponent; i++)
        if (__builtin_mul_overflow(result, base, &result)) return overflow(ctx);
    return hn_jn_int(result);
}

static hn_jn_value integer_operation(hn_jn_ctx *ctx, int op, int64_t a, int64_t b) {
    int64_t r;
    if ((op == HN_JN_DIVIDE || op == HN_JN_FLOOR_DIVIDE || op == HN_JN_MODULO) && b == 0)
        return hn_jn_raise(ctx, NULL, "division by zero");
    switch (op) {
    case HN_JN_ADD: return __builtin_add_overflow(a, b, &r) ? overflow(ctx) : hn_jn_int(r);
    case HN_JN_SUBTRACT: return __builtin_sub_overflow(a, b, &r) ? overflow(ctx) : hn_jn_int(r);
    case HN_JN_MULTIPLY: return __builtin_mul_overflow(a, b, &r) ? overflow(ctx) : hn_jn_int(r);
    case HN_JN_DIVIDE: return hn_jn_float((double)a / (double)b);
    case HN_JN_FLOOR_DIVIDE:
        if (a == INT64_MIN && b == -1) return overflow(ctx);
        return hn_jn_int(a / b - (a % b != 0 && (a < 0) != (b < 0)));
    case HN_JN_MODULO:
        if (b == -1) return hn_jn_int(0);
        return hn_jn_int(a % b + (a % b != 0 && (a < 0) != (b < 0) ? b : 0));
    default: return integer_power(ctx, a, b);
    }
}

static hn_jn_value float_operation(hn_jn_ctx *ctx, int op, double a, double b) {
    if ((op == HN_JN_DIVIDE || op == HN_JN_FLOOR_DIVIDE || op == HN_JN_MODULO) && b == 0)
        return hn_jn_raise(ctx, NULL, "division by zero");
    switch (op) {
    case HN_JN_ADD: return hn_jn_float(a + b);
    case HN_JN_SUBTRACT: return hn_jn_float(a - b);
    case HN_JN_MULTIPLY: return hn_jn_float(a * b);
    case HN_JN_DIVIDE: return hn_jn_float(a / b);
    case HN_JN_FLOOR_DIVIDE: return hn_jn_float(floor(a / b));
    case HN_JN_MODULO: {
        double r = fmod(a, b);
        return hn_jn_float(r != 0 && (r < 0) != (b < 0) ? r + b : r);
    }
    default: return hn_jn_float(pow(a, b));
    }
}

static hn_jn_value repeat(hn_jn_ctx *ctx, hn_jn_value v, int64_t times) {
    if (times < 0) times = 0;
    if (v.type == HN_JN_STRING) {
        hn_jn_text text;
        hn_jn_text_init(&text, ctx);
        for (int64_t i = 0; i < times && v.as.str->len && hn_jn_charge(ctx, 1); i++)
            hn_jn_text_add_all(&text, v.as.str);
        return hn_jn_text_value(&text);
    }
    hn_jn_value list = hn_jn_list_new(ctx, v.as.list->kind);
    for (int64_t i = 0; i < times && v.as.list->n && !ctx->failed; i++)
        for (size_t k = 0; k < v.as.list->n; k++) hn_jn_list_push(ctx, list, v.as.list->items[k]);
    return list;
}

static hn_jn_value add_sequences(hn_jn_ctx *ctx, hn_jn_value a, hn_jn_value b) {
    if (a.type == HN_JN_STRING) {
        hn_jn_text text;
        hn_jn_text_init(&text, ctx);
        if (!hn_jn_grow(ctx, (void **)&text.data, &text.capacity, a.as.str->len + b.as.str->len + 1, 1))
            return nothing();
        hn_jn_text_add_all(&text, a.as.str);
        hn_jn_text_add_all(&text, b.as.str);
        return hn_jn_text_value(&text);
    }
    hn_jn_value list = hn_jn_list_new(ctx, a.as.list->kind);
    for (size_t i = 0; i < a.as.list->n; i++) hn_jn_list_push(ctx, list, a.as.list->items[i]);
    for (size_t i = 0; i < b.as.list->n; i++) hn_jn_list_push(ctx, list, b.as.list->items[i]);
    return list;
}

static bool is_sequence(hn_jn_value v) {
    return v.type == HN_JN_STRING || (v.type == HN_JN_LIST && v.as.list->kind <= HN_JN_AS_TUPLE);
}

hn_jn_value hn_jn_binary(hn_jn_ctx *ctx, int op, hn_jn_value a, hn_jn_value b) {
    static const char *const symbols[] = {"+", "-", "*", "/", "//", "%", "**"};
    if (ctx->failed) return nothing();
    if (hn_jn_is_integer(a) && hn_jn_is_integer(b))
        return integer_operation(ctx, op, hn_jn_integer(a), hn_jn_integer(b));
    if (hn_jn_is_number(a) && hn_jn_is_number(b)) return float_operation(ctx, op, hn_jn_number(a), hn_jn_number(b));
    if (a.type == HN_JN_UNDEFINED) return hn_jn_raise_undefined(ctx, a);
    if (b.type == HN_JN_UNDEFINED) return hn_jn_raise_undefined(ctx, b);
    bool same = a.type == b.type && is_sequence(a) && (a.type == HN_JN_STRING || a.as.list->kind == b.as.list->kind);
    if (op == HN_JN_ADD && same) return add_sequences(ctx, a, b);
    if (op == HN_JN_MULTIPLY && is_sequence(a) && hn_jn_is_integer(b)) return repeat(ctx, a, hn_jn_integer(b));
    if (op == HN_JN_MULTIPLY && is_sequence(b) && hn_jn_is_integer(a)) return repeat(ctx, b, hn_jn_integer(a));
    if (op == HN_JN_MODULO && a.type == HN_JN_STRING) {
        bool tuple = b.type == HN_JN_LIST && b.as.list->kind == HN_JN_AS_TUPLE;
        return hn_jn_format(ctx, a.as.str, tuple ? b.as.list->items : &b, tuple ? b.as.list->n : 1, b);
    }
    bool text = op == HN_JN_ADD && (a.type == HN_JN_STRING || b.type == HN_JN_STRING);
    return hn_jn_raise(ctx, text ? "join with `~`, or convert with `| string`" : NULL,
                       "`%s` does not work between %s and %s", symbols[op], hn_jn_type_name(a), hn_jn_type_name(b));
}

static bool compare_step(hn_jn_ctx *ctx, int op, hn_jn_value a, hn_jn_value b) {
    switch (op) {
    case HN_JN_EQUAL: return hn_jn_equal(ctx, a, b);
    case HN_JN_NOT_EQUAL: return !hn_jn_equal(ctx, a, b);
    case HN_JN_LESS: return hn_jn_compare(ctx, a, b, "<") == -1;
    case HN_JN_LESS_EQUAL: return hn_jn_compare(ctx, a, b, "<=") <= 0;
    case HN_JN_GREATER: return hn_jn_compare(ctx, a, b, ">") == 1;
    case HN_JN_GREATER_EQUAL: {
        int order = hn_jn_compare(ctx, a, b, ">=");
        return order == 0 || order == 1;
    }
    case HN_JN_IN: return hn_jn_contains(ctx, b, a);
    default: return !hn_jn_contains(ctx, b, a);
    }
}

static hn_jn_value eval_compare(hn_jn_ctx *ctx, const hn_jn_node *node) {
    hn_jn_value left = hn_jn_eval(ctx, node->a);
    for (size_t i = 0; i < node->n_items && !ctx->failed; i++) {
        hn_jn_value right = hn_jn_eval(ctx, node->items[i]->a);
        if (ctx->failed) break;
        ctx->at = node->items[i];
        if (!compare_step(ctx, node->items[i]->op, left, right)) return hn_jn_bool(false);
        left = right;
    }
    return hn_jn_bool(true);
}

static hn_jn_value eval_sign(hn_jn_ctx *ctx, const hn_jn_node *node) {
    hn_jn_value v = hn_jn_eval(ctx, node->a);
    if (ctx->failed) return nothing();
    if (v.type == HN_JN_UNDEFINED) return hn_jn_raise_undefined(ctx, v);
    if (!hn_jn_is_number(v)) return hn_jn_raise(ctx, NULL, "a sign before a %s", hn_jn_type_name(v));
    if (v.type == HN_JN_FLOAT) return hn_jn_float(node->kind == HN_JN_NEGATIVE ? -v.as.real : v.as.real);
    int64_t n = hn_jn_integer(v);
    if (node->kind == HN_JN_NEGATIVE && n == INT64_MIN) return overflow(ctx);
    return hn_jn_int(node->kind == HN_JN_NEGATIVE ? -n : n);
}

/* ---- calls ---- */

static void push_argument(hn_jn_ctx *ctx, hn_jn_args *args, size_t *capacity, hn_jn_value value) {
    if (hn_jn_grow(ctx, (void **)&args->values, capacity, args->n + 1, sizeof *args->values))
        args->values[args->n++] = value;
}

static void push_keyword(hn_jn_ctx *ctx, hn_jn_args *args, size_t *capacity, const char *name, hn_jn_value value) {
    for (size_t i = 0; i < args->n_keywords; i++)
        if (strcmp(args->keywords[i].name, name) == 0) {
            hn_jn_raise(ctx, "give it once", "the argument `%s` is given twice", name);
            return;
        }
    if (args->n_keywords >= 256)
        hn_jn_raise(ctx, NULL, "more than 256 named arguments");
    else if (hn_jn_grow(ctx, (void **)&args->keywords, capacity, args->n_keywords + 1, sizeof *args->keywords))
        args->keywords[args->n_keywords++] = (hn_jn_keyword){name, value};
}

static void push_mapping(hn_jn_ctx *ctx, hn_jn_args *args, size_t *capacity, hn_jn_value mapping) {
    if (mapping.type != HN_JN_DICT) {
        hn_jn_raise(ctx, NULL, "`**` needs a dict, not %s", hn_jn_type_name(mapping));
        return;
    }
    for (size_t i = 0; i < mapping.as.dict->n && !ctx->failed; i++) {
        const hn_jn_str *key = hn_jn_text_of(ctx, mapping.as.dict->entries[i].key);
        char *name = hn_jn_alloc(ctx, key->len + 1, 1);
        if (!name) return;
        memcpy(name, key->data, key->len);
        push_keyword(ctx, args, capacity, name, mapping.as.dict->entries[i].value);
    }
}

static hn_jn_args eval_arguments(hn_jn_ctx *ctx, const hn_jn_node *node) {
    hn_jn_args args = {0};
    size_t capacity = 0, keyword_capacity = 0;
    for (size_t i = 0; i < node->n_items && !ctx->failed; i++) {
        const hn_jn_node *item = node->items[i];
        if (item->kind == HN_JN_KEYWORD) {
            push_keyword(ctx, &args, &keyword_capacity, item->name, hn_jn_eval(ctx, item->a));
        } else if (item->kind != HN_JN_STAR) {
            push_argument(ctx, &args, &capacity, hn_jn_eval(ctx, item));
        } else if (item->op == 2) {
            push_mapping(ctx, &args, &keyword_capacity, hn_jn_eval(ctx, item->a));
        } else {
            const hn_jn_list *list = hn_jn_iterate(ctx, hn_jn_eval(ctx, item->a));
            for (size_t k = 0; k < list->n && !ctx->failed; k++) push_argument(ctx, &args, &capacity, list->items[k]);
        }
    }
    return args;
}

/* The number of the parameter called `name` in "a,b,c", or -1. */
static int parameter_number(const char *params, const char *name) {
    size_t n = strlen(name);
    int number = 0;
    for (const char *p = params; *p; number++) {
        size_t len = strcspn(p, ",");
        if (len == n && memcmp(p, name, n) == 0) return number;
        p += len + (p[len] == ',');
    }
    return -1;
}

static int parameter_count(const char *params) {
    int n = *params ? 1 : 0;
    for (; *params; params++) n += *params == ',';
    return n;
}

hn_jn_value hn_jn_call_builtin(hn_jn_ctx *ctx, const char *what, const hn_jn_builtin *builtin, hn_jn_value self,
                               const hn_jn_args *args) {
    hn_jn_value p[HN_JN_PARAMS_MAX];
    for (int i = 0; i < HN_JN_PARAMS_MAX; i++) p[i] = hn_jn_missing();
    if (!hn_jn_charge(ctx, 1)) return nothing();
    if (!builtin->params) return builtin->fn(ctx, self, p, args);
    int n = parameter_count(builtin->params);
    if (args->n > (size_t)n)
        return hn_jn_raise(ctx, NULL, "%s `%s` takes at most %d arguments, not %zu", what, builtin->name, n, args->n);
    for (size_t i = 0; i < args->n; i++) p[i] = args->values[i];
    for (size_t i = 0; i < args->n_keywords; i++) {
        int number = parameter_number(builtin->params, args->keywords[i].name);
        if (number < 0 || p[number].type != HN_JN_MISSING)
            return hn_jn_raise(ctx, number < 0 ? NULL : "give it once", "%s `%s` cannot take the argument `%.100s`",
                               what, builtin->name, args->keywords[i].name);
        p[number] = args->keywords[i].value;
    }
    for (size_t i = 0; i < builtin->n_required; i++)
        if (p[i].type == HN_JN_MISSING)
            return hn_jn_raise(ctx, NULL, "%s `%s` needs %zu argument%s", what, builtin->name, builtin->n_required,
                               builtin->n_required > 1 ? "s" : "");
    return builtin->fn(ctx, self, p, args);
}

hn_jn_value hn_jn_call(hn_jn_ctx *ctx, hn_jn_value callee, const hn_jn_args *args) {
    if (ctx->failed) return nothing();
    switch (callee.type) {
    case HN_JN_MACRO: return hn_jn_call_macro(ctx, callee.as.macro, args);
    case HN_JN_FUNCTION: return hn_jn_call_builtin(ctx, "function", callee.as.builtin, hn_jn_none(), args);
    case HN_JN_METHOD: return hn_jn_call_builtin(ctx, "method", callee.as.bound->method, callee.as.bound->self, args);
    case HN_JN_LOOP:
        if (args->n == 1) return hn_jn_call_loop(ctx, callee.as.loop, args->values[0]);
        return hn_jn_raise(ctx, NULL, "loop() takes one argument");
    case HN_JN_UNDEFINED: return hn_jn_raise_undefined(ctx, callee);
    default: return hn_jn_raise(ctx, NULL, "a %s cannot be called", hn_jn_type_name(callee));
    }
}

/* Calling what does not exist: names the method or function that is missing. */
static hn_jn_value raise_no_function(hn_jn_ctx *ctx, const hn_jn_node *callee, hn_jn_value v) {
    if (v.reason == HN_JN_NO_ATTR && callee->kind == HN_JN_GETATTR)
        return hn_jn_raise(ctx, "test it with `is defined`", "unknown method `%s` of a %s", callee->name,
                           v.of == HN_JN_STRING ? "string"
                           : v.of == HN_JN_DICT ? "dict"
                           : v.of == HN_JN_LIST ? "list"
                                                : "value");
    if (v.reason == HN_JN_NO_NAME && callee->kind == HN_JN_NAME)
        return hn_jn_raise(ctx, "known functions: range, namespace, dict, raise_exception, strftime_now",
                           "unknown function `%s`", callee->name);
    return hn_jn_raise_undefined(ctx, v);
}

static hn_jn_value eval_call(hn_jn_ctx *ctx, const hn_jn_node *node) {
    hn_jn_value callee = hn_jn_eval(ctx, node->a);
    if (ctx->failed) return nothing();
    ctx->at = node;
    if (callee.type == HN_JN_UNDEFINED) return raise_no_function(ctx, node->a, callee);
    hn_jn_args args = eval_arguments(ctx, node);
    ctx->at = node;
    return hn_jn_call(ctx, callee, &args);
}

static hn_jn_value apply_filter(hn_jn_ctx *ctx, const hn_jn_node *node, hn_jn_value input) {
    hn_jn_args args = eval_arguments(ctx, node);
    ctx->at = node;
    if (ctx->failed) return nothing();
    if (!node->builtin) {
        char hint[96];
        const char *near = hn_jn_filter_closest(node->name);
        snprintf(hint, sizeof hint,
                 near ? "did you mean `%s`?" : "it is not one of the filters that chat templates have",
                 near ? near : "");
        return hn_jn_raise(ctx, hint, "unknown filter `%s`", node->name);
    }
    return hn_jn_call_builtin(ctx, "filter", node->builtin, input, &args);
}

hn_jn_value hn_jn_eval_filters(hn_jn_ctx *ctx, const hn_jn_node *filters, hn_jn_value text) {
    if (!filters) return text;
    return apply_filter(ctx, filters, hn_jn_eval_filters(ctx, filters->a, text));
}

static hn_jn_value eval_test(hn_jn_ctx *ctx, const hn_jn_node *node) {
    hn_jn_value value = hn_jn_eval(ctx, node->a);
    hn_jn_args args = eval_arguments(ctx, node);
    if (ctx->failed) return nothing();
    ctx->at = node;
    if (!node->builtin) {
        char hint[96];
        const char *near = hn_jn_test_closest(node->name);
        snprintf(hint, sizeof hint, near ? "did you mean `%s`?" : "it is not one of the tests that Jinja has",
                 near ? near : "");
        return hn_jn_raise(ctx, hint, "unknown test `%s`", node->name);
    }
    return hn_jn_call_builtin(ctx, "test", node->builtin, value, &args);
}

/* ---- the rest ---- */

static hn_jn_value eval_items(hn_jn_ctx *ctx, const hn_jn_node *node) {
    hn_jn_value list = hn_jn_list_new(ctx, node->kind == HN_JN_LIST_NODE ? HN_JN_AS_LIST : HN_JN_AS_TUPLE);
    for (size_t i = 0; i < node->n_items && !ctx->failed; i++) {
        if (node->items[i]->kind == HN_JN_SLICE) return hn_jn_raise(ctx, NULL, "a slice among several indices");
        hn_jn_list_push(ctx, list, hn_jn_eval(ctx, node->items[i]));
    }
    return list;
}

static hn_jn_value eval_dict(hn_jn_ctx *ctx, const hn_jn_node *node) {
    hn_jn_value dict = hn_jn_dict_new(ctx);
    for (size_t i = 0; i + 1 < node->n_items && !ctx->failed; i += 2) {
        hn_jn_value key = hn_jn_eval(ctx, node->items[i]);
        hn_jn_dict_set(ctx, dict, key, hn_jn_eval(ctx, node->items[i + 1]));
    }
    return dict;
}

static hn_jn_value eval_concat(hn_jn_ctx *ctx, const hn_jn_node *node) {
    hn_jn_text text;
    hn_jn_text_init(&text, ctx);
    for (size_t i = 0; i < node->n_items && !ctx->failed; i++)
        hn_jn_text_add_value(&text, hn_jn_eval(ctx, node->items[i]));
    return hn_jn_text_value(&text);
}

static hn_jn_value eval_conditional(hn_jn_ctx *ctx, const hn_jn_node *node) {
    bool truth = hn_jn_truth(hn_jn_eval(ctx, node->b));
    if (ctx->failed) return nothing();
    if (truth) return hn_jn_eval(ctx, node->a);
    return node->c ? hn_jn_eval(ctx, node->c) : hn_jn_undefined(HN_JN_NO_ELSE, node, HN_JN_UNDEFINED);
}

static hn_jn_value eval_getitem(hn_jn_ctx *ctx, const hn_jn_node *node) {
    hn_jn_value object = hn_jn_eval(ctx, node->a);
    if (ctx->failed) return nothing();
    ctx->at = node;
    if (node->b->kind == HN_JN_SLICE) return getslice(ctx, object, node->b);
    hn_jn_value key = hn_jn_eval(ctx, node->b);
    ctx->at = node;
    return hn_jn_getitem(ctx, object, key, node);
}

static hn_jn_value eval_node(hn_jn_ctx *ctx, const hn_jn_node *node) {
    hn_jn_value a, b;
    switch (node->kind) {
    case HN_JN_CONST: return node->constant;
    case HN_JN_NAME: return hn_jn_lookup(ctx, node);
    case HN_JN_TUPLE_NODE:
    case HN_JN_LIST_NODE: return eval_items(ctx, node);
    case HN_JN_DICT_NODE: return eval_dict(ctx, node);
    case HN_JN_GETATTR:
        a = hn_jn_eval(ctx, node->a);
        ctx->at = node;
        return hn_jn_getattr(ctx, a, node->name, node);
    case HN_JN_GETITEM: return eval_getitem(ctx, node);
    case HN_JN_CALL: return eval_call(ctx, node);
    case HN_JN_FILTER: return apply_filter(ctx, node, node->a ? hn_jn_eval(ctx, node->a) : nothing());
    case HN_JN_TEST: return eval_test(ctx, node);
    case HN_JN_NOT: return hn_jn_bool(!hn_jn_truth(hn_jn_eval(ctx, node->a)));
    case HN_JN_NEGATIVE:
    case HN_JN_POSITIVE: return eval_sign(ctx, node);
    case HN_JN_BINARY:
        a = hn_jn_eval(ctx, node->a);
        b = hn_jn_eval(ctx, node->b);
        ctx->at = node;
        return hn_jn_binary(ctx, node->op, a, b);
    case HN_JN_CONCAT: return eval_concat(ctx, node);
    case HN_JN_AND: a = hn_jn_eval(ctx, node->a); return hn_jn_truth(a) ? hn_jn_eval(ctx, node->b) : a;
    case HN_JN_OR: a = hn_jn_eval(ctx, node->a); return hn_jn_truth(a) ? a : hn_jn_eval(ctx, node->b);
    case HN_JN_COMPARE: return eval_compare(ctx, node);
    case HN_JN_CONDITIONAL: return eval_conditional(ctx, node);
    default: return hn_jn_raise(ctx, NULL, "this cannot be an expression");
    }
}

hn_jn_value hn_jn_eval(hn_jn_ctx *ctx, const hn_jn_node *node) {
    if (!hn_jn_charge(ctx, 1)) return nothing();
    if (++ctx->depth > HN_JN_DEPTH_MAX) {
        ctx->at = node;
        hn_jn_raise_limit(ctx, "levels of nesting", HN_JN_DEPTH_MAX);
    }
    ctx->at = node;
    hn_jn_value v = ctx->failed ? nothing() : eval_node(ctx, node);
    ctx->depth--;
    return ctx->failed ? nothing() : v;
}
