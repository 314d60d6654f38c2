/* Jinja's filters on lists, dicts and other sequences; see jinja_value.h.
 * Surprise: what Jinja gives as a generator is computed at once here, but still counts as true when it is empty and has
 * no length. */
#include "format/jinja_parse.h"

#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

static hn_jn_value new_list(hn_jn_ctx *ctx, const hn_jn_list *from, hn_jn_list_kind kind) {
    hn_jn_value list = hn_jn_list_new(ctx, kind);
    for (size_t i = 0; i < from->n && !ctx->failed; i++) hn_jn_list_push(ctx, list, from->items[i]);
    return list;
}

/* The element that "a.b.0" names. */
static hn_jn_value get_path(hn_jn_ctx *ctx, hn_jn_value item, hn_jn_value path, hn_jn_value fallback) {
    if (hn_jn_is_integer(path)) return hn_jn_getitem(ctx, item, path, NULL);
    if (path.type != HN_JN_STRING)
        return hn_jn_raise(ctx, NULL, "an attribute's name must be a string, not %s", hn_jn_type_name(path));
    const hn_jn_str *s = path.as.str;
    for (size_t i = 0; i <= s->len && !ctx->failed;) {
        size_t end = i;
        int64_t number = 0;
        bool digits = true;
        for (; end < s->len && s->data[end] != '.'; end++) {
            digits = digits && s->data[end] >= '0' && s->data[end] <= '9' && end - i < 9;
            if (digits) number = number * 10 + (s->data[end] - '0');
        }
        hn_jn_str part = {.data = s->data + i, .len = end - i};
        item = hn_jn_getitem(
            ctx, item, digits && end > i ? hn_jn_int(number) : (hn_jn_value){.type = HN_JN_STRING, .as.str = &part},
            NULL);
        if (item.type == HN_JN_UNDEFINED && fallback.type != HN_JN_MISSING) return fallback;
        i = end + 1;
    }
    return item;
}

static hn_jn_value sort_key(hn_jn_ctx *ctx, hn_jn_value v, bool case_sensitive) {
    return v.type == HN_JN_STRING && !case_sensitive ? hn_jn_change_case(ctx, v.as.str, HN_JN_LOWER) : v;
}

/* What an element is compared by: the attribute where one is given, in lower case unless `case_sensitive`. */
static hn_jn_value key_of(hn_jn_ctx *ctx, hn_jn_value item, hn_jn_value attribute, bool case_sensitive) {
    bool whole = attribute.type == HN_JN_MISSING || attribute.type == HN_JN_NONE;
    return sort_key(ctx, whole ? item : get_path(ctx, item, attribute, hn_jn_missing()), case_sensitive);
}

/* ---- choosing ---- */

static hn_jn_value x_map(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    hn_jn_value attribute = hn_jn_missing(), fallback = hn_jn_missing(), list = hn_jn_list_new(ctx, HN_JN_AS_GENERATOR);
    const hn_jn_builtin *filter = NULL;
    hn_jn_args rest = *args;
    (void)p;
    for (size_t i = 0; i < args->n_keywords && args->n == 0; i++) {
        if (strcmp(args->keywords[i].name, "attribute") == 0)
            attribute = args->keywords[i].value;
        else if (strcmp(args->keywords[i].name, "default") == 0)
            fallback = args->keywords[i].value.type == HN_JN_NONE ? hn_jn_missing() : args->keywords[i].value;
        else
            return hn_jn_raise(ctx, NULL, "filter `map` cannot take the argument `%.100s`", args->keywords[i].name);
    }
    if (attribute.type == HN_JN_MISSING) {
        if (args->n == 0 || args->values[0].type != HN_JN_STRING)
            return hn_jn_raise(ctx, "write map('upper') or map(attribute='name')",
                               "filter `map` needs a filter or an attribute");
        char name[64];
        snprintf(name, sizeof name, "%.*s", args->values[0].as.str->len < 60 ? (int)args->values[0].as.str->len : 60,
                 args->values[0].as.str->data);
        filter = hn_jn_filter_find(name);
        if (!filter) return hn_jn_raise(ctx, NULL, "unknown filter `%s` in `map`", name);
        rest.values++, rest.n--;
    }
    const hn_jn_list *items = hn_jn_iterate(ctx, self);
    if (++ctx->depth > HN_JN_DEPTH_MAX)
        hn_jn_raise_limit(ctx, "levels of nesting", HN_JN_DEPTH_MAX); /* map('map', ...) */
    for (size_t i = 0; i < items->n && !ctx->failed; i++)
        hn_jn_list_push(ctx, list,
                        filter ? hn_jn_call_builtin(ctx, "filter", filter, items->items[i], &rest)
                               : get_path(ctx, items->items[i], attribute, fallback));
    ctx->depth--;
    return list;
}

/* select, reject, selectattr, rejectattr: keeps the elements for which the test (or truth) of it or its attribute
 * equals `wanted`. */
static hn_jn_value choose(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_args *args, bool wanted, bool by_attribute) {
    hn_jn_value list = hn_jn_list_new(ctx, HN_JN_AS_GENERATOR);
    hn_jn_args rest = *args;
    const hn_jn_builtin *test = NULL;
    if (by_attribute && rest.n == 0)
        return hn_jn_raise(ctx, "write selectattr('role', 'equalto', 'user')", "an attribute's name is missing");
    if (by_attribute) rest.values++, rest.n--;
    if (rest.n > 0) {
        char name[64];
        const hn_jn_str *s = hn_jn_text_of(ctx, rest.values[0]);
        snprintf(name, sizeof name, "%.*s", s->len < 60 ? (int)s->len : 60, s->data);
        test = hn_jn_test_find(name);
        if (!test) return hn_jn_raise(ctx, NULL, "unknown test `%s`", name);
        rest.values++, rest.n--;
    }
    const hn_jn_list *items = hn_jn_iterate(ctx, self);
    for (size_t i = 0; i < items->n && !ctx->failed; i++) {
        hn_jn_value v =
            by_attribute ? get_path(ctx, items->items[i], args->values[0], hn_jn_missing()) : items->items[i];
        bool holds = hn_jn_truth(test ? hn_jn_call_builtin(ctx, "test", test, v, &rest) : v);
        if (holds == wanted) hn_jn_list_push(ctx, list, items->items[i]);
    }
    return list;
}

static hn_jn_value x_select(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)p, choose(ctx, self, args, true, false);
}
static hn_jn_value x_reject(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)p, choose(ctx, self, args, false, false);
}
static hn_jn_value x_selectattr(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)p, choose(ctx, self, args, true, true);
}
static hn_jn_value x_rejectattr(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)p, choose(ctx, self, args, false, true);
}

static hn_jn_value x_first(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    const hn_jn_list *items = hn_jn_iterate(ctx, self);
    return (void)p, (void)args, items->n ? items->items[0] : hn_jn_undefined(HN_JN_NO_ELEMENT, NULL, HN_JN_LIST);
}

static hn_jn_value x_last(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    const hn_jn_list *items = hn_jn_iterate(ctx, self);
    return (void)p, (void)args,
           items->n ? items->items[items->n - 1] : hn_jn_undefined(HN_JN_NO_ELEMENT, NULL, HN_JN_LIST);
}

static hn_jn_value x_unique(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    hn_jn_value list = hn_jn_list_new(ctx, HN_JN_AS_GENERATOR), seen = hn_jn_dict_new(ctx);
    const hn_jn_list *items = hn_jn_iterate(ctx, self);
    (void)args;
    for (size_t i = 0; i < items->n && !ctx->failed; i++) {
        hn_jn_value key = key_of(ctx, items->items[i], p[1], hn_jn_truth(p[0]));
        if (hn_jn_dict_get(ctx, seen, key)) continue;
        hn_jn_dict_set(ctx, seen, key, hn_jn_none());
        hn_jn_list_push(ctx, list, items->items[i]);
    }
    return list;
}

static hn_jn_value extreme(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, int wanted, const char *symbol) {
    const hn_jn_list *items = hn_jn_iterate(ctx, self);
    if (items->n == 0) return hn_jn_undefined(HN_JN_NO_ELEMENT, NULL, HN_JN_LIST);
    hn_jn_value best = items->items[0], best_key = key_of(ctx, best, p[1], hn_jn_truth(p[0]));
    for (size_t i = 1; i < items->n && !ctx->failed; i++) {
        hn_jn_value key = key_of(ctx, items->items[i], p[1], hn_jn_truth(p[0]));
        if (hn_jn_compare(ctx, key, best_key, symbol) == wanted) best = items->items[i], best_key = key;
    }
    return best;
}

static hn_jn_value x_min(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)args, extreme(ctx, self, p, -1, "<");
}
static hn_jn_value x_max(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)args, extreme(ctx, self, p, 1, ">");
}

/* ---- ordering ---- */

typedef struct keyed {
    hn_jn_value key, item;
} keyed;

/* A stable merge sort, since qsort is neither stable nor can it stop at an error. */
static void merge_sort(hn_jn_ctx *ctx, keyed *a, keyed *spare, size_t n, bool reverse) {
    if (n < 2 || ctx->failed) return;
    size_t half = n / 2, i = 0, k = half, out = 0;
    merge_sort(ctx, a, spare, half, reverse);
    merge_sort(ctx, a + half, spare, n - half, reverse);
    while (i < half && k < n && !ctx->failed) {
        int order = hn_jn_compare(ctx, a[k].key, a[i].key, "<");
        spare[out++] = (reverse ? order == 1 : order == -1) ? a[k++] : a[i++];
    }
    while (i < half) spare[out++] = a[i++];
    while (k < n) spare[out++] = a[k++];
    memcpy(a, spare, n * sizeof *a);
}

/* One attribute, or a tuple of several that are separated by commas. */
static hn_jn_value sort_key_of(hn_jn_ctx *ctx, hn_jn_value item, hn_jn_value attribute, bool case_sensitive) {
    if (attribute.type != HN_JN_STRING || !memchr(attribute.as.str->data, ',', attribute.as.str->len))
        return key_of(ctx, item, attribute, case_sensitive);
    hn_jn_value tuple = hn_jn_list_new(ctx, HN_JN_AS_TUPLE);
    const hn_jn_str *s = attribute.as.str;
    for (size_t i = 0; i <= s->len && !ctx->failed;) {
        size_t end = i;
        while (end < s->len && s->data[end] != ',') end++;
        hn_jn_list_push(ctx, tuple, key_of(ctx, item, hn_jn_slice_bytes(ctx, s, i, end), case_sensitive));
        i = end + 1;
    }
    return tuple;
}

static keyed *sorted_items(hn_jn_ctx *ctx, const hn_jn_list *items, hn_jn_value attribute, bool case_sensitive,
                           bool reverse) {
    keyed *a = hn_jn_alloc(ctx, items->n + 1, sizeof *a), *spare = hn_jn_alloc(ctx, items->n + 1, sizeof *spare);
    for (size_t i = 0; i < items->n && !ctx->failed; i++)
        a[i] = (keyed){sort_key_of(ctx, items->items[i], attribute, case_sensitive), items->items[i]};
    if (!ctx->failed) merge_sort(ctx, a, spare, items->n, reverse);
    return ctx->failed ? NULL : a;
}

static hn_jn_value x_sort(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    const hn_jn_list *items = hn_jn_iterate(ctx, self);
    hn_jn_value list = hn_jn_list_new(ctx, HN_JN_AS_LIST);
    const keyed *sorted = sorted_items(ctx, items, p[2], hn_jn_truth(p[1]), hn_jn_truth(p[0]));
    (void)args;
    for (size_t i = 0; sorted && i < items->n; i++) hn_jn_list_push(ctx, list, sorted[i].item);
    return list;
}

static hn_jn_value pairs_of(hn_jn_ctx *ctx, hn_jn_value dict, hn_jn_list_kind kind) {
    hn_jn_value list = hn_jn_list_new(ctx, kind);
    for (size_t i = 0; i < dict.as.dict->n && !ctx->failed; i++)
        hn_jn_list_push(ctx, list, hn_jn_pair(ctx, dict.as.dict->entries[i].key, dict.as.dict->entries[i].value));
    return list;
}

static hn_jn_value x_dictsort(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    bool by_value = hn_jn_is_text(p[1], "value");
    (void)args;
    if (self.type != HN_JN_DICT)
        return hn_jn_raise(ctx, NULL, "filter `dictsort` needs a dict, not %s", hn_jn_type_name(self));
    if (!by_value && p[1].type != HN_JN_MISSING && !hn_jn_is_text(p[1], "key"))
        return hn_jn_raise(ctx, NULL, "filter `dictsort` sorts by `key` or `value`");
    hn_jn_value pairs = pairs_of(ctx, self, HN_JN_AS_LIST), list = hn_jn_list_new(ctx, HN_JN_AS_LIST);
    if (ctx->failed) return list;
    const keyed *sorted = sorted_items(ctx, pairs.as.list, hn_jn_int(by_value), hn_jn_truth(p[0]), hn_jn_truth(p[2]));
    for (size_t i = 0; sorted && i < pairs.as.list->n; i++) hn_jn_list_push(ctx, list, sorted[i].item);
    return list;
}

static hn_jn_value x_groupby(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    const hn_jn_list *items = hn_jn_iterate(ctx, self);
    bool case_sensitive = hn_jn_truth(p[2]);
    hn_jn_value fallback = p[1].type == HN_JN_NONE ? hn_jn_missing() : p[1], list = hn_jn_list_new(ctx, HN_JN_AS_LIST),
                group = hn_jn_none();
    keyed *a = hn_jn_alloc(ctx, items->n + 1, sizeof *a), *spare = hn_jn_alloc(ctx, items->n + 1, sizeof *spare);
    (void)args;
    for (size_t i = 0; i < items->n && !ctx->failed; i++)
        a[i] = (keyed){sort_key(ctx, get_path(ctx, items->items[i], p[0], fallback), case_sensitive), items->items[i]};
    if (!ctx->failed) merge_sort(ctx, a, spare, items->n, false);
    for (size_t i = 0; i < items->n && !ctx->failed; i++) {
        if (i == 0 || !hn_jn_equal(ctx, a[i].key, a[i - 1].key)) {
            group = hn_jn_list_new(ctx, HN_JN_AS_LIST);
            hn_jn_list_push(ctx, list, hn_jn_pair(ctx, get_path(ctx, a[i].item, p[0], fallback), group));
        }
        hn_jn_list_push(ctx, group, a[i].item);
    }
    return list;
}

static hn_jn_value x_reverse(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    const hn_jn_list *items = hn_jn_iterate(ctx, self);
    (void)p, (void)args;
    if (self.type == HN_JN_STRING) {
        hn_jn_text text;
        hn_jn_text_init(&text, ctx);
        for (size_t i = items->n; i-- > 0 && !ctx->failed;) hn_jn_text_add_value(&text, items->items[i]);
        return hn_jn_text_value(&text);
    }
    hn_jn_value list = hn_jn_list_new(ctx, HN_JN_AS_GENERATOR);
    for (size_t i = items->n; i-- > 0 && !ctx->failed;) hn_jn_list_push(ctx, list, items->items[i]);
    return list;
}

/* ---- the rest ---- */

static hn_jn_value x_join(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    static const hn_jn_str empty = {.data = ""};
    const hn_jn_list *items = hn_jn_iterate(ctx, self);
    (void)args;
    if (p[1].type != HN_JN_MISSING && p[1].type != HN_JN_NONE) {
        hn_jn_value parts = hn_jn_list_new(ctx, HN_JN_AS_LIST);
        for (size_t i = 0; i < items->n && !ctx->failed; i++)
            hn_jn_list_push(ctx, parts, get_path(ctx, items->items[i], p[1], hn_jn_missing()));
        if (ctx->failed) return parts;
        items = parts.as.list;
    }
    return hn_jn_join(ctx, p[0].type == HN_JN_MISSING ? &empty : hn_jn_text_of(ctx, p[0]), items, false);
}

static hn_jn_value x_list(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)p, (void)args, new_list(ctx, hn_jn_iterate(ctx, self), HN_JN_AS_LIST);
}

static hn_jn_value x_items(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    (void)p, (void)args;
    if (self.type == HN_JN_UNDEFINED) return hn_jn_list_new(ctx, HN_JN_AS_GENERATOR);
    if (self.type != HN_JN_DICT)
        return hn_jn_raise(ctx, NULL, "filter `items` needs a dict, not %s", hn_jn_type_name(self));
    return pairs_of(ctx, self, HN_JN_AS_GENERATOR);
}

static hn_jn_value x_sum(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    const hn_jn_list *items = hn_jn_iterate(ctx, self);
    hn_jn_value total = p[1].type == HN_JN_MISSING ? hn_jn_int(0) : p[1];
    bool whole = p[0].type == HN_JN_MISSING || p[0].type == HN_JN_NONE;
    (void)args;
    if (total.type == HN_JN_STRING)
        return hn_jn_raise(ctx, "use the filter `join`", "filter `sum` does not join strings");
    for (size_t i = 0; i < items->n && !ctx->failed; i++)
        total = hn_jn_binary(ctx, 0, total,
                             whole ? items->items[i] : get_path(ctx, items->items[i], p[0], hn_jn_missing()));
    return total;
}

static hn_jn_value x_batch(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    const hn_jn_list *items = hn_jn_iterate(ctx, self);
    hn_jn_value list = hn_jn_list_new(ctx, HN_JN_AS_GENERATOR), row = hn_jn_none();
    int64_t size = hn_jn_integer(p[0]), filled = 0;
    (void)args;
    if (!hn_jn_is_integer(p[0]) || size < 1) return hn_jn_raise(ctx, NULL, "filter `batch` needs a size of at least 1");
    for (size_t i = 0; i < items->n && !ctx->failed; i++) {
        if (filled == 0) hn_jn_list_push(ctx, list, row = hn_jn_list_new(ctx, HN_JN_AS_LIST));
        hn_jn_list_push(ctx, row, items->items[i]);
        filled = (filled + 1) % size;
    }
    bool fill = p[1].type != HN_JN_MISSING && p[1].type != HN_JN_NONE;
    for (; fill && filled > 0 && filled < size && !ctx->failed; filled++) hn_jn_list_push(ctx, row, p[1]);
    return list;
}

const hn_jn_builtin hn_jn_sequence_filters[] = {
    {"batch", x_batch, "linecount,fill_with", 1},
    {"dictsort", x_dictsort, "case_sensitive,by,reverse", 0},
    {"first", x_first, "", 0},
    {"groupby", x_groupby, "attribute,default,case_sensitive", 1},
    {"items", x_items, "", 0},
    {"join", x_join, "d,attribute", 0},
    {"last", x_last, "", 0},
    {"list", x_list, "", 0},
    {"map", x_map, NULL, 0},
    {"max", x_max, "case_sensitive,attribute", 0},
    {"min", x_min, "case_sensitive,attribute", 0},
    {"reject", x_reject, NULL, 0},
    {"rejectattr", x_rejectattr, NULL, 0},
    {"reverse", x_reverse, "", 0},
    {"select", x_select, NULL, 0},
    {"selectattr", x_selectattr, NULL, 0},
    {"sort", x_sort, "reverse,case_sensitive,attribute", 0},
    {"sum", x_sum, "attribute,start", 0},
    {"unique", x_unique, "case_sensitive,attribute", 0},
    {NULL, NULL, NULL, 0},
};
