/* Methods of lists, dicts and loops, and the global functions of the Jinja interpreter; see jinja_value.h.
 * Surprise: methods that change a list or a dict are known but refused, as in the sandbox that chat templates are
 * written for. */
#include "format/jinja_parse.h"

#include "base/clock.h"

#include <locale.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

const hn_jn_builtin *hn_jn_builtin_find(const hn_jn_builtin *table, const char *name) {
    for (; table->name; table++)
        if (strcmp(table->name, name) == 0) return table;
    return NULL;
}

static hn_jn_value m_refused(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    (void)p, (void)args;
    bool list = self.type == HN_JN_LIST;
    return hn_jn_raise(ctx, list ? "use {% set x = x + [item] %}" : "use {% set x = dict(x, key=value) %}",
                       "a template may not change a %s", hn_jn_type_name(self));
}

/* ---- dicts ---- */

static hn_jn_value dict_parts(hn_jn_ctx *ctx, hn_jn_value self, hn_jn_list_kind kind) {
    hn_jn_value list = hn_jn_list_new(ctx, kind);
    for (size_t i = 0; i < self.as.dict->n && !ctx->failed; i++) {
        const hn_jn_entry *e = &self.as.dict->entries[i];
        hn_jn_list_push(ctx, list,
                        kind == HN_JN_AS_KEYS     ? e->key
                        : kind == HN_JN_AS_VALUES ? e->value
                                                  : hn_jn_pair(ctx, e->key, e->value));
    }
    return list;
}

static hn_jn_value m_keys(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)p, (void)args, dict_parts(ctx, self, HN_JN_AS_KEYS);
}
static hn_jn_value m_values(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)p, (void)args, dict_parts(ctx, self, HN_JN_AS_VALUES);
}
static hn_jn_value m_items(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)p, (void)args, dict_parts(ctx, self, HN_JN_AS_ITEMS);
}

static hn_jn_value m_get(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    (void)args;
    const hn_jn_value *found = hn_jn_dict_get(ctx, self, p[0]);
    return found ? *found : p[1].type == HN_JN_MISSING ? hn_jn_none() : p[1];
}

static void copy_entries(hn_jn_ctx *ctx, hn_jn_value to, hn_jn_value from) {
    for (size_t i = 0; i < from.as.dict->n && hn_jn_charge(ctx, 1); i++)
        hn_jn_dict_set(ctx, to, from.as.dict->entries[i].key, from.as.dict->entries[i].value);
}

static hn_jn_value m_copy(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    (void)p, (void)args;
    hn_jn_value dict = hn_jn_dict_new(ctx);
    copy_entries(ctx, dict, self);
    return dict;
}

static const hn_jn_builtin dict_methods[] = {
    {"items", m_items, "", 0},        {"keys", m_keys, "", 0},        {"values", m_values, "", 0},
    {"get", m_get, "key,default", 1}, {"copy", m_copy, "", 0},        {"pop", m_refused, NULL, 0},
    {"popitem", m_refused, NULL, 0},  {"update", m_refused, NULL, 0}, {"setdefault", m_refused, NULL, 0},
    {"clear", m_refused, NULL, 0},    {NULL, NULL, NULL, 0},
};

/* ---- lists ---- */

static hn_jn_value m_index(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    (void)args;
    for (size_t i = 0; i < self.as.list->n && !ctx->failed; i++)
        if (hn_jn_equal(ctx, self.as.list->items[i], p[0])) return hn_jn_int((int64_t)i);
    return hn_jn_raise(ctx, "test it with `in` first", "method `index`: the value is not in the list");
}

static hn_jn_value m_count(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    (void)args;
    int64_t n = 0;
    for (size_t i = 0; i < self.as.list->n && !ctx->failed; i++) n += hn_jn_equal(ctx, self.as.list->items[i], p[0]);
    return hn_jn_int(n);
}

static hn_jn_value m_copy_list(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    (void)p, (void)args;
    hn_jn_value list = hn_jn_list_new(ctx, HN_JN_AS_LIST);
    for (size_t i = 0; i < self.as.list->n; i++) hn_jn_list_push(ctx, list, self.as.list->items[i]);
    return list;
}

static const hn_jn_builtin list_methods[] = {
    {"index", m_index, "value", 1}, {"count", m_count, "value", 1},  {"copy", m_copy_list, "", 0},
    {"append", m_refused, NULL, 0}, {"extend", m_refused, NULL, 0},  {"insert", m_refused, NULL, 0},
    {"remove", m_refused, NULL, 0}, {"pop", m_refused, NULL, 0},     {"clear", m_refused, NULL, 0},
    {"sort", m_refused, NULL, 0},   {"reverse", m_refused, NULL, 0}, {NULL, NULL, NULL, 0},
};

/* ---- loops ---- */

static hn_jn_value m_cycle(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    (void)p;
    if (args->n == 0) return hn_jn_raise(ctx, NULL, "loop.cycle needs values");
    return args->values[self.as.loop->index % args->n];
}

static hn_jn_value m_changed(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    (void)p;
    hn_jn_value now = hn_jn_list_new(ctx, HN_JN_AS_TUPLE);
    for (size_t i = 0; i < args->n; i++) hn_jn_list_push(ctx, now, args->values[i]);
    hn_jn_loop *loop = self.as.loop;
    bool changed = loop->last_changed.type == HN_JN_MISSING || !hn_jn_equal(ctx, loop->last_changed, now);
    loop->last_changed = now;
    return hn_jn_bool(changed);
}

static const hn_jn_builtin loop_methods[] = {
    {"cycle", m_cycle, NULL, 0}, {"changed", m_changed, NULL, 0}, {NULL, NULL, NULL, 0}};

const hn_jn_builtin *hn_jn_method_find(hn_jn_value self, const char *name) {
    switch (self.type) {
    case HN_JN_STRING: return hn_jn_builtin_find(hn_jn_string_methods, name);
    case HN_JN_DICT: return hn_jn_builtin_find(dict_methods, name);
    case HN_JN_LIST: return self.as.list->kind <= HN_JN_AS_TUPLE ? hn_jn_builtin_find(list_methods, name) : NULL;
    case HN_JN_LOOP: return hn_jn_builtin_find(loop_methods, name);
    default: return NULL;
    }
}

/* ---- functions ---- */

static hn_jn_value f_range(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    (void)self;
    for (size_t i = 0; i < args->n; i++)
        if (!hn_jn_is_integer(args->values[i]))
            return hn_jn_raise(ctx, NULL, "range needs integers, not %s", hn_jn_type_name(args->values[i]));
    int64_t start = args->n > 1 ? hn_jn_integer(p[0]) : 0, stop = hn_jn_integer(p[args->n > 1 ? 1 : 0]),
            step = args->n > 2 ? hn_jn_integer(p[2]) : 1;
    if (args->n_keywords) return hn_jn_raise(ctx, NULL, "range takes no named arguments");
    if (step == 0) return hn_jn_raise(ctx, NULL, "range with step 0");
    /* In double, so that nothing overflows; a length near the limit is exact. */
    double length = ((double)stop - (double)start) / (double)step;
    if (length > HN_JN_RANGE_MAX) return hn_jn_raise_limit(ctx, "numbers in a range", HN_JN_RANGE_MAX);
    hn_jn_value list = hn_jn_list_new(ctx, HN_JN_AS_RANGE);
    for (int64_t i = start; (step > 0 ? i < stop : i > stop) && !ctx->failed;) {
        hn_jn_list_push(ctx, list, hn_jn_int(i));
        if (__builtin_add_overflow(i, step, &i)) break;
    }
    return list;
}

/* A mapping, or an iterable of pairs, as the first argument; then the named arguments. */
static void fill_dict(hn_jn_ctx *ctx, hn_jn_value dict, const hn_jn_args *args) {
    if (args->n > 1) hn_jn_raise(ctx, NULL, "dict takes one argument and named ones");
    if (args->n == 1 && (args->values[0].type == HN_JN_DICT || args->values[0].type == HN_JN_NAMESPACE)) {
        copy_entries(ctx, dict, args->values[0]);
    } else if (args->n == 1) {
        const hn_jn_list *pairs = hn_jn_iterate(ctx, args->values[0]);
        for (size_t i = 0; i < pairs->n && !ctx->failed; i++) {
            const hn_jn_list *pair = hn_jn_iterate(ctx, pairs->items[i]);
            if (pair->n != 2)
                hn_jn_raise(ctx, NULL, "dict needs pairs");
            else
                hn_jn_dict_set(ctx, dict, pair->items[0], pair->items[1]);
        }
    }
    for (size_t i = 0; i < args->n_keywords && !ctx->failed; i++)
        hn_jn_dict_set(ctx, dict, hn_jn_string(ctx, args->keywords[i].name, strlen(args->keywords[i].name)),
                       args->keywords[i].value);
}

static hn_jn_value f_dict(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    (void)self, (void)p;
    hn_jn_value dict = hn_jn_dict_new(ctx);
    fill_dict(ctx, dict, args);
    return dict;
}

static hn_jn_value f_namespace(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    hn_jn_value space = f_dict(ctx, self, p, args);
    if (space.type == HN_JN_DICT) space.type = HN_JN_NAMESPACE;
    return space;
}

static hn_jn_value f_raise_exception(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    (void)self, (void)args;
    const hn_jn_str *message = hn_jn_text_of(ctx, p[0]);
    static const char hint[] = "the template itself refuses these messages: change them to what it asks for";
    if (message->len == 0 || !message->data[0]) return hn_jn_raise(ctx, hint, "raise_exception without a message");
    return hn_jn_raise(ctx, hint, "%.*s", message->len < 600 ? (int)message->len : 600, message->data);
}

static locale_t english; /* names of days and months as the models saw them, whatever the user's language */
static pthread_once_t english_once = PTHREAD_ONCE_INIT;
static void make_english(void) { english = newlocale(LC_ALL_MASK, "C", (locale_t)0); }

/* One directive, such as %Y or %-d, into the text; unknown ones stay as they are. */
static void add_time(hn_jn_text *b, const hn_jn_str *format, size_t at, size_t n, const struct tm *tm) {
    char directive[4] = {0}, text[128];
    memcpy(directive, format->data + at, n);
    size_t len = english ? strftime_l(text, sizeof text, directive, tm, english) : 0;
    if (len)
        hn_jn_text_add(b, text, len);
    else if (directive[n - 1] != 'p' && directive[n - 1] != 'P' && directive[n - 1] != 'Z')
        hn_jn_text_add_slice(b, format, at, at + n);
}

static hn_jn_value f_strftime_now(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    (void)self, (void)args;
    pthread_once(&english_once, make_english);
    time_t now = ctx->options->has_now ? (time_t)ctx->options->now : (time_t)(hn_clock_unix_ms() / 1000);
    struct tm tm;
    if (!(ctx->options->has_now ? gmtime_r(&now, &tm) : localtime_r(&now, &tm)))
        return hn_jn_raise(ctx, NULL, "strftime_now: the time is out of range");
    if (p[0].type != HN_JN_STRING)
        return hn_jn_raise(ctx, NULL, "strftime_now needs a format, not %s", hn_jn_type_name(p[0]));
    const hn_jn_str *format = p[0].as.str;
    hn_jn_text text;
    hn_jn_text_init(&text, ctx);
    for (size_t i = 0; i < format->len && !ctx->failed;) {
        size_t start = i++;
        if (format->data[start] != '%') {
            while (i < format->len && format->data[i] != '%') i++;
            hn_jn_text_add_slice(&text, format, start, i);
            continue;
        }
        if (i < format->len && format->data[i] && strchr("-_0^#", format->data[i])) i++;
        bool known =
            i < format->len && format->data[i] && strchr("aAbBcdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ%", format->data[i]);
        if (known)
            add_time(&text, format, start, ++i - start, &tm);
        else
            hn_jn_text_add_slice(&text, format, start, i);
    }
    return hn_jn_text_value(&text);
}

const hn_jn_builtin *hn_jn_function_find(const char *name) {
    static const hn_jn_builtin functions[] = {
        {"range", f_range, "start,stop,step", 1},      {"dict", f_dict, NULL, 0},
        {"namespace", f_namespace, NULL, 0},           {"raise_exception", f_raise_exception, "message", 1},
        {"strftime_now", f_strftime_now, "format", 1}, {NULL, NULL, NULL, 0},
    };
    return hn_jn_builtin_find(functions, name);
}
