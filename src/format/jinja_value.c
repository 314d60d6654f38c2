/* Values of the Jinja interpreter: making, comparing, hashing, lists and dicts; see jinja_value.h.
 * Surprise: as in Python 1, 1.0 and true are one dict key, and a dict keeps its insertion order. */
#include "format/jinja_parse.h"

#include "base/hash.h"
#include "base/utf8.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- errors and limits ---- */

hn_jn_value hn_jn_raise(hn_jn_ctx *ctx, const char *hint, const char *fmt, ...) {
    if (!ctx->failed) {
        char message[640];
        va_list args;
        va_start(args, fmt);
        vsnprintf(message, sizeof message, fmt, args);
        va_end(args);
        ctx->failed = hn_jn_fail_at(ctx->t, ctx->at ? ctx->at->at : 0, HN_ERR_TEMPLATE, ctx->err, hint, "%s", message);
    }
    return hn_jn_undefined(HN_JN_NO_NAME, NULL, HN_JN_UNDEFINED);
}

hn_jn_value hn_jn_raise_limit(hn_jn_ctx *ctx, const char *what, uint64_t limit) {
    if (!ctx->failed)
        ctx->failed = hn_jn_fail_at(ctx->t, ctx->at ? ctx->at->at : 0, HN_ERR_LIMIT, ctx->err,
                                    "the template does not end or its input is too large",
                                    "rendering passes the limit of %llu %s", (unsigned long long)limit, what);
    return hn_jn_undefined(HN_JN_NO_NAME, NULL, HN_JN_UNDEFINED);
}

bool hn_jn_charge(hn_jn_ctx *ctx, size_t n) {
    if (ctx->failed) return false;
    ctx->steps += n;
    if (ctx->steps <= ctx->max_steps) return true;
    hn_jn_raise_limit(ctx, "steps", ctx->max_steps);
    return false;
}

void *hn_jn_alloc(hn_jn_ctx *ctx, size_t n, size_t size_bytes) {
    size_t total;
    if (ctx->failed) return NULL;
    if (!hn_mul_size(n, size_bytes, &total) || total > ctx->max_memory ||
        hn_arena_used(ctx->arena) > ctx->max_memory - total) {
        hn_jn_raise_limit(ctx, "bytes of memory", ctx->max_memory);
        return NULL;
    }
    void *memory = hn_arena_alloc(ctx->arena, total);
    if (!memory) ctx->failed = hn_fail_memory(ctx->err, total);
    return memory;
}

bool hn_jn_grow(hn_jn_ctx *ctx, void **memory, size_t *capacity, size_t need, size_t size_bytes) {
    if (ctx->failed) return false;
    if (need <= *capacity) return true;
    size_t wanted = *capacity * 2 > need ? *capacity * 2 : need;
    if (wanted < 4) wanted = 4;
    void *grown = hn_jn_alloc(ctx, wanted, size_bytes);
    if (!grown) return false;
    if (*capacity) memcpy(grown, *memory, *capacity * size_bytes);
    *memory = grown;
    *capacity = wanted;
    return true;
}

/* ---- making ---- */

hn_jn_value hn_jn_missing(void) { return (hn_jn_value){.type = HN_JN_MISSING}; }
hn_jn_value hn_jn_none(void) { return (hn_jn_value){.type = HN_JN_NONE}; }
hn_jn_value hn_jn_bool(bool value) { return (hn_jn_value){.type = HN_JN_BOOL, .as.boolean = value}; }
hn_jn_value hn_jn_int(int64_t value) { return (hn_jn_value){.type = HN_JN_INT, .as.integer = value}; }
hn_jn_value hn_jn_float(double value) { return (hn_jn_value){.type = HN_JN_FLOAT, .as.real = value}; }

hn_jn_value hn_jn_undefined(hn_jn_reason reason, const hn_jn_node *node, hn_jn_type of) {
    return (hn_jn_value){.type = HN_JN_UNDEFINED, .reason = (uint8_t)reason, .of = (uint8_t)of, .as.node = node};
}

hn_jn_value hn_jn_string(hn_jn_ctx *ctx, const char *data, size_t len) {
    hn_jn_text text;
    hn_jn_text_init(&text, ctx);
    hn_jn_text_add(&text, data, len);
    return hn_jn_text_value(&text);
}

hn_jn_value hn_jn_list_new(hn_jn_ctx *ctx, hn_jn_list_kind kind) {
    hn_jn_list *list = hn_jn_alloc(ctx, 1, sizeof *list);
    if (!list) return hn_jn_undefined(HN_JN_NO_NAME, NULL, HN_JN_UNDEFINED);
    list->kind = kind;
    return (hn_jn_value){.type = HN_JN_LIST, .as.list = list};
}

void hn_jn_list_push(hn_jn_ctx *ctx, hn_jn_value list, hn_jn_value item) {
    if (list.type != HN_JN_LIST || !hn_jn_charge(ctx, 1)) return;
    hn_jn_list *l = list.as.list;
    if (!hn_jn_grow(ctx, (void **)&l->items, &l->capacity, l->n + 1, sizeof *l->items)) return;
    l->items[l->n++] = item;
}

hn_jn_value hn_jn_pair(hn_jn_ctx *ctx, hn_jn_value a, hn_jn_value b) {
    hn_jn_value pair = hn_jn_list_new(ctx, HN_JN_AS_TUPLE);
    hn_jn_list_push(ctx, pair, a);
    hn_jn_list_push(ctx, pair, b);
    return pair;
}

hn_jn_value hn_jn_dict_new(hn_jn_ctx *ctx) {
    hn_jn_dict *dict = hn_jn_alloc(ctx, 1, sizeof *dict);
    if (!dict) return hn_jn_undefined(HN_JN_NO_NAME, NULL, HN_JN_UNDEFINED);
    return (hn_jn_value){.type = HN_JN_DICT, .as.dict = dict};
}

/* ---- dicts ---- */

enum { DICT_SMALL = 8 };

/* Equal keys have equal hashes; raises for lists and dicts. */
static uint64_t hash(hn_jn_ctx *ctx, hn_jn_value key, int depth) {
    uint64_t h = key.type;
    if (!hn_jn_charge(ctx, 1)) return 0;
    if (hn_jn_is_number(key)) {
        double d = hn_jn_number(key);
        if (d == 0) d = 0; /* -0.0 */
        return hn_hash64(&d, sizeof d, 1);
    }
    if (key.type == HN_JN_STRING) {
        hn_jn_charge(ctx, key.as.str->len / 64);
        return hn_hash64(key.as.str->data, key.as.str->len, 2);
    }
    if (key.type == HN_JN_LIST && key.as.list->kind == HN_JN_AS_TUPLE && depth < HN_JN_VALUE_DEPTH_MAX) {
        for (size_t i = 0; i < key.as.list->n; i++) {
            uint64_t parts[2] = {h, hash(ctx, key.as.list->items[i], depth + 1)};
            h = hn_hash64(parts, sizeof parts, 3);
        }
        return h;
    }
    if (key.type == HN_JN_LIST || key.type == HN_JN_DICT)
        hn_jn_raise(ctx, "use a string", "a %s cannot be a key", hn_jn_type_name(key));
    return h;
}

/* The entry's number, or SIZE_MAX. */
static size_t find_entry(hn_jn_ctx *ctx, const hn_jn_dict *d, hn_jn_value key, uint64_t h) {
    if (!d->index) {
        for (size_t i = 0; i < d->n; i++)
            if (d->entries[i].hash == h && hn_jn_equal(ctx, d->entries[i].key, key)) return i;
        return SIZE_MAX;
    }
    for (size_t slot = h & (d->index_size - 1);; slot = (slot + 1) & (d->index_size - 1)) {
        uint32_t entry = d->index[slot];
        if (!entry || !hn_jn_charge(ctx, 1)) return SIZE_MAX;
        if (d->entries[entry - 1].hash == h && hn_jn_equal(ctx, d->entries[entry - 1].key, key)) return entry - 1;
    }
}

static void index_entry(hn_jn_dict *d, size_t entry) {
    size_t slot = d->entries[entry].hash & (d->index_size - 1);
    while (d->index[slot]) slot = (slot + 1) & (d->index_size - 1);
    d->index[slot] = (uint32_t)entry + 1;
}

/* Makes the index at least twice as large as the entries. */
static bool reindex(hn_jn_ctx *ctx, hn_jn_dict *d) {
    size_t size = d->index_size ? d->index_size * 2 : 4 * DICT_SMALL;
    uint32_t *index = hn_jn_alloc(ctx, size, sizeof *index);
    if (!index) return false;
    d->index = index;
    d->index_size = size;
    for (size_t i = 0; i < d->n; i++) index_entry(d, i);
    return true;
}

void hn_jn_dict_set(hn_jn_ctx *ctx, hn_jn_value dict, hn_jn_value key, hn_jn_value value) {
    if (ctx->failed || (dict.type != HN_JN_DICT && dict.type != HN_JN_NAMESPACE)) return;
    hn_jn_dict *d = dict.as.dict;
    uint64_t h = hash(ctx, key, 0);
    size_t at = find_entry(ctx, d, key, h);
    if (ctx->failed) return;
    if (at != SIZE_MAX) {
        d->entries[at].value = value;
        return;
    }
    if (d->n >= UINT32_MAX / 2 || !hn_jn_grow(ctx, (void **)&d->entries, &d->capacity, d->n + 1, sizeof *d->entries))
        return;
    d->entries[d->n++] = (hn_jn_entry){key, value, h};
    if (d->n > DICT_SMALL && 2 * d->n > d->index_size)
        reindex(ctx, d);
    else if (d->index)
        index_entry(d, d->n - 1);
}

const hn_jn_value *hn_jn_dict_get(hn_jn_ctx *ctx, hn_jn_value dict, hn_jn_value key) {
    if (ctx->failed || (dict.type != HN_JN_DICT && dict.type != HN_JN_NAMESPACE)) return NULL;
    uint64_t h = hash(ctx, key, 0);
    size_t at = ctx->failed ? SIZE_MAX : find_entry(ctx, dict.as.dict, key, h);
    return at == SIZE_MAX ? NULL : &dict.as.dict->entries[at].value;
}

const hn_jn_value *hn_jn_dict_get_name(hn_jn_ctx *ctx, hn_jn_value dict, const char *name) {
    hn_jn_str key = {.data = name, .len = strlen(name)};
    return hn_jn_dict_get(ctx, dict, (hn_jn_value){.type = HN_JN_STRING, .as.str = &key});
}

/* ---- asking ---- */

bool hn_jn_is_text(hn_jn_value v, const char *text) {
    return v.type == HN_JN_STRING && v.as.str->len == strlen(text) && memcmp(v.as.str->data, text, v.as.str->len) == 0;
}

bool hn_jn_is_number(hn_jn_value v) { return v.type == HN_JN_INT || v.type == HN_JN_FLOAT || v.type == HN_JN_BOOL; }
bool hn_jn_is_integer(hn_jn_value v) { return v.type == HN_JN_INT || v.type == HN_JN_BOOL; }
int64_t hn_jn_integer(hn_jn_value v) {
    return v.type == HN_JN_BOOL ? v.as.boolean : v.type == HN_JN_INT ? v.as.integer : 0;
}
double hn_jn_number(hn_jn_value v) { return v.type == HN_JN_FLOAT ? v.as.real : (double)hn_jn_integer(v); }

bool hn_jn_truth(hn_jn_value v) {
    switch (v.type) {
    case HN_JN_MISSING:
    case HN_JN_UNDEFINED:
    case HN_JN_NONE: return false;
    case HN_JN_BOOL: return v.as.boolean;
    case HN_JN_INT: return v.as.integer != 0;
    case HN_JN_FLOAT: return v.as.real != 0;
    case HN_JN_STRING: return v.as.str->len > 0;
    case HN_JN_LIST: return v.as.list->n > 0 || v.as.list->kind == HN_JN_AS_GENERATOR;
    case HN_JN_DICT: return v.as.dict->n > 0;
    default: return true;
    }
}

const char *hn_jn_type_name(hn_jn_value v) {
    static const char *const lists[] = {"list",      "tuple",       "range",     "generator",
                                        "dict_keys", "dict_values", "dict_items"};
    switch (v.type) {
    case HN_JN_UNDEFINED: return "Undefined";
    case HN_JN_NONE: return "NoneType";
    case HN_JN_BOOL: return "bool";
    case HN_JN_INT: return "int";
    case HN_JN_FLOAT: return "float";
    case HN_JN_STRING: return "str";
    case HN_JN_LIST: return lists[v.as.list->kind];
    case HN_JN_DICT: return "dict";
    case HN_JN_NAMESPACE: return "Namespace";
    case HN_JN_MACRO: return "Macro";
    case HN_JN_LOOP: return "LoopContext";
    default: return "function";
    }
}

hn_jn_value hn_jn_raise_undefined(hn_jn_ctx *ctx, hn_jn_value v) {
    const char *name = v.as.node ? v.as.node->name : NULL;
    switch ((hn_jn_reason)v.reason) {
    case HN_JN_NO_NAME:
        if (!name) return hn_jn_raise(ctx, NULL, "an undefined value is used");
        return hn_jn_raise(ctx, "pass it as a variable, or test it with `is defined`", "`%s` is undefined", name);
    case HN_JN_NO_ATTR: {
        static const char *const types[] = {"",     "undefined", "none",      "bool",  "int",      "float",  "string",
                                            "list", "dict",      "namespace", "macro", "function", "method", "loop"};
        const char *of = v.of < sizeof types / sizeof *types ? types[v.of] : "value";
        if (name)
            return hn_jn_raise(ctx, "test it with `is defined`", "a %s without `%s` is used as if it had it", of, name);
        return hn_jn_raise(ctx, "test it with `is defined`", "a %s has no such element", of);
    }
    case HN_JN_NO_ELEMENT: return hn_jn_raise(ctx, "test for it first", "the sequence is empty");
    case HN_JN_NO_PREVIOUS:
        return hn_jn_raise(ctx, "test loop.first or loop.last", "there is no item before the first and after the last");
    case HN_JN_NO_ELSE: return hn_jn_raise(ctx, "give it an else", "the inline `if` is false and has no `else`");
    case HN_JN_NO_ARGUMENT:
        return hn_jn_raise(ctx, "give it in the call, or give the parameter a default", "parameter `%s` was not given",
                           name ? name : "");
    }
    return hn_jn_raise(ctx, NULL, "an undefined value is used");
}

/* ---- comparing ---- */

static bool equal_lists(hn_jn_ctx *ctx, const hn_jn_list *a, const hn_jn_list *b) {
    bool a_tuple = a->kind == HN_JN_AS_TUPLE, b_tuple = b->kind == HN_JN_AS_TUPLE;
    if (a == b) return true;
    if (a_tuple != b_tuple || a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++)
        if (!hn_jn_equal(ctx, a->items[i], b->items[i])) return false;
    return true;
}

static bool equal_dicts(hn_jn_ctx *ctx, hn_jn_value a, hn_jn_value b) {
    if (a.as.dict == b.as.dict) return true;
    if (a.as.dict->n != b.as.dict->n) return false;
    for (size_t i = 0; i < a.as.dict->n; i++) {
        const hn_jn_value *other = hn_jn_dict_get(ctx, b, a.as.dict->entries[i].key);
        if (!other || !hn_jn_equal(ctx, a.as.dict->entries[i].value, *other)) return false;
    }
    return true;
}

static bool equal_values(hn_jn_ctx *ctx, hn_jn_value a, hn_jn_value b) {
    if (hn_jn_is_integer(a) && hn_jn_is_integer(b)) return hn_jn_integer(a) == hn_jn_integer(b);
    if (hn_jn_is_number(a) && hn_jn_is_number(b)) return hn_jn_number(a) == hn_jn_number(b);
    if (a.type != b.type) return false;
    switch (a.type) {
    case HN_JN_UNDEFINED:
    case HN_JN_NONE: return true;
    case HN_JN_STRING:
        hn_jn_charge(ctx, a.as.str->len / 64);
        return a.as.str->len == b.as.str->len && memcmp(a.as.str->data, b.as.str->data, a.as.str->len) == 0;
    case HN_JN_LIST: return equal_lists(ctx, a.as.list, b.as.list);
    case HN_JN_DICT: return equal_dicts(ctx, a, b);
    case HN_JN_METHOD: return a.as.bound == b.as.bound;
    default: return a.as.dict == b.as.dict;
    }
}

/* Values nest as deep as a template builds them, so the recursion is counted. */
bool hn_jn_equal(hn_jn_ctx *ctx, hn_jn_value a, hn_jn_value b) {
    if (!hn_jn_charge(ctx, 1)) return false;
    if (++ctx->depth > HN_JN_DEPTH_MAX) hn_jn_raise_limit(ctx, "levels of nesting", HN_JN_DEPTH_MAX);
    bool equal = !ctx->failed && equal_values(ctx, a, b);
    ctx->depth--;
    return equal;
}

static int compare_lists(hn_jn_ctx *ctx, const hn_jn_list *a, const hn_jn_list *b, const char *symbol) {
    for (size_t i = 0; i < a->n && i < b->n; i++)
        if (!hn_jn_equal(ctx, a->items[i], b->items[i]))
            return ctx->failed ? 0 : hn_jn_compare(ctx, a->items[i], b->items[i], symbol);
    return (a->n > b->n) - (a->n < b->n);
}

int hn_jn_compare(hn_jn_ctx *ctx, hn_jn_value a, hn_jn_value b, const char *symbol) {
    if (!hn_jn_charge(ctx, 1)) return 0;
    if (hn_jn_is_integer(a) && hn_jn_is_integer(b))
        return (hn_jn_integer(a) > hn_jn_integer(b)) - (hn_jn_integer(a) < hn_jn_integer(b));
    if (hn_jn_is_number(a) && hn_jn_is_number(b)) {
        double x = hn_jn_number(a), y = hn_jn_number(b);
        return isnan(x) || isnan(y) ? 2 : (x > y) - (x < y); /* 2: neither less, equal nor greater */
    }
    if (a.type == HN_JN_STRING && b.type == HN_JN_STRING) {
        size_t n = a.as.str->len < b.as.str->len ? a.as.str->len : b.as.str->len;
        hn_jn_charge(ctx, n / 64);
        int order = n ? memcmp(a.as.str->data, b.as.str->data, n) : 0;
        return order ? (order > 0) - (order < 0) : (a.as.str->len > b.as.str->len) - (a.as.str->len < b.as.str->len);
    }
    if (a.type == HN_JN_LIST && b.type == HN_JN_LIST && a.as.list->kind == b.as.list->kind &&
        a.as.list->kind <= HN_JN_AS_TUPLE) {
        if (++ctx->depth > HN_JN_DEPTH_MAX) hn_jn_raise_limit(ctx, "levels of nesting", HN_JN_DEPTH_MAX);
        int order = ctx->failed ? 0 : compare_lists(ctx, a.as.list, b.as.list, symbol);
        ctx->depth--;
        return order;
    }
    if (a.type == HN_JN_UNDEFINED)
        hn_jn_raise_undefined(ctx, a);
    else if (b.type == HN_JN_UNDEFINED)
        hn_jn_raise_undefined(ctx, b);
    else
        hn_jn_raise(ctx, NULL, "`%s` does not work between %s and %s", symbol, hn_jn_type_name(a), hn_jn_type_name(b));
    return 0;
}

bool hn_jn_contains(hn_jn_ctx *ctx, hn_jn_value container, hn_jn_value item) {
    switch (container.type) {
    case HN_JN_UNDEFINED: return false;
    case HN_JN_STRING:
        if (item.type == HN_JN_STRING) return hn_jn_find(ctx, container.as.str, item.as.str, 0) != SIZE_MAX;
        hn_jn_raise(ctx, NULL, "`in <string>` needs a string on its left, not %s", hn_jn_type_name(item));
        return false;
    case HN_JN_DICT: return hn_jn_dict_get(ctx, container, item) != NULL;
    case HN_JN_LIST:
        for (size_t i = 0; i < container.as.list->n && !ctx->failed; i++)
            if (hn_jn_equal(ctx, container.as.list->items[i], item)) return true;
        return false;
    default: hn_jn_raise(ctx, NULL, "`in` does not work on %s", hn_jn_type_name(container)); return false;
    }
}

/* ---- iterating ---- */

static const hn_jn_list *characters(hn_jn_ctx *ctx, const hn_jn_str *s) {
    hn_jn_value list = hn_jn_list_new(ctx, HN_JN_AS_LIST);
    for (size_t i = 0; i < s->len && !ctx->failed;) {
        uint32_t cp;
        size_t used = hn_utf8_decode(s->data + i, s->len - i, &cp);
        hn_jn_list_push(ctx, list, hn_jn_slice_bytes(ctx, s, i, i + used));
        i += used;
    }
    return ctx->failed ? NULL : list.as.list;
}

const hn_jn_list *hn_jn_iterate(hn_jn_ctx *ctx, hn_jn_value v) {
    static const hn_jn_list empty = {.kind = HN_JN_AS_LIST};
    const hn_jn_list *list = &empty;
    if (ctx->failed) return &empty;
    switch (v.type) {
    case HN_JN_UNDEFINED: break;
    case HN_JN_LIST: list = v.as.list; break;
    case HN_JN_STRING: list = characters(ctx, v.as.str); break;
    case HN_JN_DICT: {
        hn_jn_value keys = hn_jn_list_new(ctx, HN_JN_AS_KEYS);
        for (size_t i = 0; i < v.as.dict->n; i++) hn_jn_list_push(ctx, keys, v.as.dict->entries[i].key);
        list = ctx->failed ? NULL : keys.as.list;
        break;
    }
    default:
        hn_jn_raise(ctx, "test it with `is iterable` first", "a %s cannot be iterated over", hn_jn_type_name(v));
        break;
    }
    return list && !ctx->failed ? list : &empty;
}

size_t hn_jn_length(hn_jn_ctx *ctx, hn_jn_value v) {
    switch (v.type) {
    case HN_JN_UNDEFINED: return 0;
    case HN_JN_STRING: hn_jn_charge(ctx, v.as.str->len / 64); return hn_utf8_count(v.as.str->data, v.as.str->len);
    case HN_JN_DICT: return v.as.dict->n;
    case HN_JN_LIST:
        if (v.as.list->kind != HN_JN_AS_GENERATOR) return v.as.list->n;
        hn_jn_raise(ctx, "put `| list` before it", "what a filter makes one by one has no length");
        return 0;
    case HN_JN_LOOP: return v.as.loop->list->n;
    default: hn_jn_raise(ctx, NULL, "a %s has no length", hn_jn_type_name(v)); return 0;
    }
}

/* ---- from JSON ---- */

static hn_jn_value from_object(hn_jn_ctx *ctx, const json_t *json, uint32_t source, int depth) {
    hn_jn_value dict = hn_jn_dict_new(ctx);
    json_t *object = (json_t *)json; /* jansson's iteration takes no const, but changes nothing */
    for (void *it = json_object_iter(object); it && !ctx->failed; it = json_object_iter_next(object, it)) {
        hn_jn_text key;
        hn_jn_text_init(&key, ctx);
        hn_jn_text_add_from(&key, json_object_iter_key(it), json_object_iter_key_len(it), source);
        hn_jn_dict_set(ctx, dict, hn_jn_text_value(&key),
                       hn_jn_from_json(ctx, json_object_iter_value(it), source, depth + 1));
    }
    return dict;
}

hn_jn_value hn_jn_from_json(hn_jn_ctx *ctx, const json_t *json, uint32_t source, int depth) {
    if (!json || ctx->failed) return hn_jn_none();
    if (depth > HN_JSON_DEPTH_MAX)
        return hn_jn_raise_limit(ctx, "levels of nesting in the variables", HN_JSON_DEPTH_MAX);
    switch (json_typeof(json)) {
    case JSON_OBJECT: return from_object(ctx, json, source, depth);
    case JSON_ARRAY: {
        hn_jn_value list = hn_jn_list_new(ctx, HN_JN_AS_LIST);
        for (size_t i = 0; i < json_array_size(json) && !ctx->failed; i++)
            hn_jn_list_push(ctx, list, hn_jn_from_json(ctx, json_array_get(json, i), source, depth + 1));
        return list;
    }
    case JSON_STRING: {
        hn_jn_text text;
        hn_jn_text_init(&text, ctx);
        hn_jn_text_add_from(&text, json_string_value(json), json_string_length(json), source);
        return hn_jn_text_value(&text);
    }
    case JSON_INTEGER: return hn_jn_int(json_integer_value(json));
    case JSON_REAL: return hn_jn_float(json_real_value(json));
    case JSON_TRUE: return hn_jn_bool(true);
    case JSON_FALSE: return hn_jn_bool(false);
    case JSON_NULL: break;
    }
    return hn_jn_none();
}
