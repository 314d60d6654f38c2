/* Jinja's tests (`x is defined`); see jinja_value.h.
 * Surprise: a test of an undefined value is no error for the tests of its kind (`is string`), but is one for those that
 * compute (`is odd`). */
#include "format/jinja_parse.h"

#include "base/str.h"

#include <string.h>

#define TEST(name, expression)                                                                                         \
    static hn_jn_value t_##name(hn_jn_ctx *ctx, hn_jn_value v, const hn_jn_value *p, const hn_jn_args *args) {         \
        (void)ctx, (void)v, (void)p, (void)args;                                                                       \
        return hn_jn_bool(expression);                                                                                 \
    }

static bool is_iterable(hn_jn_value v) {
    return v.type == HN_JN_UNDEFINED || v.type == HN_JN_STRING || v.type == HN_JN_LIST || v.type == HN_JN_DICT ||
           v.type == HN_JN_LOOP;
}

static bool is_sequence(hn_jn_value v) {
    if (v.type == HN_JN_LIST) return v.as.list->kind <= HN_JN_AS_RANGE;
    return v.type == HN_JN_STRING || v.type == HN_JN_DICT || v.type == HN_JN_UNDEFINED;
}

/* The same object; equal numbers, booleans and short texts are one object often enough to count as such. */
static bool is_same(hn_jn_ctx *ctx, hn_jn_value a, hn_jn_value b) {
    if (a.type != b.type) return false;
    if (a.type == HN_JN_LIST || a.type == HN_JN_DICT || a.type == HN_JN_NAMESPACE) return a.as.dict == b.as.dict;
    return hn_jn_equal(ctx, a, b);
}

static bool divisible(hn_jn_ctx *ctx, hn_jn_value v, hn_jn_value by) {
    if (v.type == HN_JN_STRING) hn_jn_raise(ctx, NULL, "this test needs a number, not str");
    hn_jn_value rest = hn_jn_binary(ctx, HN_JN_MODULO, v, by);
    return !ctx->failed && hn_jn_number(rest) == 0;
}

static bool is_case(hn_jn_ctx *ctx, hn_jn_value v, const char *method) {
    hn_jn_value text = hn_jn_to_string(ctx, v);
    if (text.type != HN_JN_STRING) return false;
    return hn_jn_truth(
        hn_jn_call_builtin(ctx, "test", hn_jn_builtin_find(hn_jn_string_methods, method), text, &(hn_jn_args){0}));
}

static bool names_builtin(hn_jn_ctx *ctx, hn_jn_value v, const hn_jn_builtin *(*find)(const char *)) {
    char name[64] = {0};
    const hn_jn_str *s = hn_jn_text_of(ctx, v);
    if (s->len >= sizeof name) return false;
    memcpy(name, s->data, s->len);
    return find(name) != NULL;
}

TEST(defined, v.type != HN_JN_UNDEFINED)
TEST(undefined, v.type == HN_JN_UNDEFINED)
TEST(none, v.type == HN_JN_NONE)
TEST(boolean, v.type == HN_JN_BOOL)
TEST(true, v.type == HN_JN_BOOL && v.as.boolean)
TEST(false, v.type == HN_JN_BOOL && !v.as.boolean)
TEST(integer, v.type == HN_JN_INT)
TEST(float, v.type == HN_JN_FLOAT)
TEST(number, hn_jn_is_number(v))
TEST(string, v.type == HN_JN_STRING)
TEST(mapping, v.type == HN_JN_DICT)
TEST(sequence, is_sequence(v))
TEST(iterable, is_iterable(v))
TEST(callable, v.type == HN_JN_MACRO || v.type == HN_JN_FUNCTION || v.type == HN_JN_METHOD || v.type == HN_JN_LOOP)
TEST(escaped, false)
TEST(sameas, is_same(ctx, v, p[0]))
TEST(odd, divisible(ctx, hn_jn_binary(ctx, HN_JN_SUBTRACT, v, hn_jn_int(1)), hn_jn_int(2)))
TEST(even, divisible(ctx, v, hn_jn_int(2)))
TEST(divisibleby, divisible(ctx, v, p[0]))
TEST(lower, is_case(ctx, v, "islower"))
TEST(upper, is_case(ctx, v, "isupper"))
TEST(in, hn_jn_contains(ctx, p[0], v))
TEST(eq, hn_jn_equal(ctx, v, p[0]))
TEST(ne, !hn_jn_equal(ctx, v, p[0]))
TEST(lt, hn_jn_compare(ctx, v, p[0], "<") == -1)
TEST(le, hn_jn_compare(ctx, v, p[0], "<=") <= 0)
TEST(gt, hn_jn_compare(ctx, v, p[0], ">") == 1)
TEST(ge, hn_jn_compare(ctx, v, p[0], ">=") == 0 || hn_jn_compare(ctx, v, p[0], ">=") == 1)
TEST(filter, names_builtin(ctx, v, hn_jn_filter_find))
TEST(test, names_builtin(ctx, v, hn_jn_test_find))

static const hn_jn_builtin tests[] = {
    {"!=", t_ne, "other", 1},
    {"<", t_lt, "other", 1},
    {"<=", t_le, "other", 1},
    {"==", t_eq, "other", 1},
    {">", t_gt, "other", 1},
    {">=", t_ge, "other", 1},
    {"boolean", t_boolean, "", 0},
    {"callable", t_callable, "", 0},
    {"defined", t_defined, "", 0},
    {"divisibleby", t_divisibleby, "num", 1},
    {"eq", t_eq, "other", 1},
    {"equalto", t_eq, "other", 1},
    {"escaped", t_escaped, "", 0},
    {"even", t_even, "", 0},
    {"false", t_false, "", 0},
    {"filter", t_filter, "", 0},
    {"float", t_float, "", 0},
    {"ge", t_ge, "other", 1},
    {"greaterthan", t_gt, "other", 1},
    {"gt", t_gt, "other", 1},
    {"in", t_in, "seq", 1},
    {"integer", t_integer, "", 0},
    {"iterable", t_iterable, "", 0},
    {"le", t_le, "other", 1},
    {"lessthan", t_lt, "other", 1},
    {"lower", t_lower, "", 0},
    {"lt", t_lt, "other", 1},
    {"mapping", t_mapping, "", 0},
    {"ne", t_ne, "other", 1},
    {"none", t_none, "", 0},
    {"number", t_number, "", 0},
    {"odd", t_odd, "", 0},
    {"sameas", t_sameas, "other", 1},
    {"sequence", t_sequence, "", 0},
    {"string", t_string, "", 0},
    {"test", t_test, "", 0},
    {"true", t_true, "", 0},
    {"undefined", t_undefined, "", 0},
    {"upper", t_upper, "", 0},
    {NULL, NULL, NULL, 0},
};

const hn_jn_builtin *hn_jn_test_find(const char *name) { return hn_jn_builtin_find(tests, name); }

const char *hn_jn_test_closest(const char *name) {
    for (const hn_jn_builtin *b = tests; b->name; b++)
        if (hn_closest(name, &b->name, 1)) return b->name;
    return NULL;
}
