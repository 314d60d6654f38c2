/* Hostile templates: whatever they are, compiling and rendering ends soon with a status; and memory may run out at any
 * allocation. */
#include "support.h"

#include "base/alloc.h"
#include "format/jinja.h"

#include <stdio.h>
#include <string.h>

static const hn_jinja_options tight = {.max_output_bytes = 1 << 16, .max_memory_bytes = 8 << 20, .max_steps = 300000};

static hn_status run(const char *text, size_t n, json_t *variables, const hn_jinja_options *options, hn_buf *out,
                     hn_error *err) {
    hn_jinja *t;
    hn_status st = hn_jinja_compile(text, n, "t", &t, err);
    if (st != HN_OK) return st;
    st = hn_jinja_render(t, variables, options, out, NULL, err);
    hn_jinja_free(t);
    return st;
}

static hn_status run_text(const char *text, hn_error *err) {
    hn_buf out;
    hn_buf_init(&out, 0);
    hn_status st = run(text, strlen(text), NULL, &tight, &out, err);
    if (st != HN_OK) assert_int_equal(out.len, 0);
    hn_buf_free(&out);
    return st;
}

static void expect(const char *text, hn_status wanted) {
    hn_error err = {0};
    hn_status st = run_text(text, &err);
    if (st != wanted) fail_msg("%s: %s (%s), not %s", text, hn_status_name(st), err.message, hn_status_name(wanted));
    if (st != HN_OK) assert_true(err.where[0] == 't');
}

static void endless_work_is_stopped(void **state) {
    (void)state;
    static const char *const texts[] = {
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro m(n) %}{{ m(n) ~ m(n) }}{% endmacro %}{{ m(1) }}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{{ range(100001) }}",
        "{{ range(-9223372036854775807, 9223372036854775807) }}",
        "{{ range(99999)|map('string')|map('list')|map('join')|map('list')|list|length }}",
        "{{ 'x' * 1000000000000 }}",
        "{{ [0] * 1000000000000 }}",
        "{{ ('x' * 60000) ~ ('y' * 60000) }}",
        "{% for i in range(99999) %}0123456789{% endfor %}",
        "{% set ns = namespace(s='x') %}{% for i in range(64) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(64) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(64) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ "
        "ns.l|tojson }}",
        "{% set a = namespace(l=[1]) %}{% set b = namespace(l=[1]) %}{% for i in range(64) %}{% set a.l = [a.l, a.l] %}"
        "{% set b.l = [b.l, b.l] %}{% endfor %}{{ a.l == b.l }}",
        "{% set a = namespace(l=(1,)) %}{% for i in range(64) %}{% set a.l = (a.l, a.l) %}{% endfor %}{{ {a.l: 1} }}",
        "{% set ns = namespace(l=1) %}{% for i in range(2000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}",
        "{% set ns = namespace(l=1) %}{% for i in range(2000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l|tojson }}",
        "{% set a = namespace(l=1) %}{% set b = namespace(l=1) %}{% for i in range(2000) %}{% set a.l = [a.l] %}"
        "{% set b.l = [b.l] %}{% endfor %}{{ a.l == b.l }}{{ a.l < b.l }}",
        "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}",
        "{{ 'x'|center(100000000000) }}",
        "{{ 'x'.ljust(100000000000) }}",
        "{{ 'x'.zfill(100000000000) }}",
        "{{ 'x'|indent(100000000000) }}",
        "{{ 'abc'|replace('', 'x' * 60000) }}",
        "{{ ('a' * 60000).replace('a', 'b' * 60000) }}",
        "{{ [1]|batch(100000000000, 0)|list }}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) expect(texts[i], HN_ERR_LIMIT);
}

static void numbers_at_their_edges(void **state) {
    (void)state;
    static const char *const bad[] = {
        "{{ 9223372036854775807 + 1 }}",
        "{{ -9223372036854775807 - 2 }}",
        "{{ 9223372036854775807 * 2 }}",
        "{{ 10 ** 19 }}",
        "{{ 3 ** 99999999999 }}",
        "{{ -(-9223372036854775807 - 1) }}",
        "{{ (-9223372036854775807 - 1) // -1 }}",
        "{{ (-9223372036854775807 - 1)|abs }}",
        "{{ l[::0] }}",
        "{{ 0 ** -1 }}",
        "{{ 'x'|tojson(indent=100) }}",
        "{{ 'x'[::0] }}",
        "{{ '%*d' % 5 }}",
        "{{ '%' % 5 }}",
        "{{ '%5' % 5 }}",
        "{{ '%(x' % {} }}",
        "{{ '{' .format() }}",
        "{{ '{99999999}'.format(1) }}",
        "{{ 5|batch(0) }}",
        "{{ '1'|int(0, 99) }}",
        "{{ loop.index }}",
        "{{ strftime_now(5) }}",
        "{{ range(1, 2, 0) }}",
        "{{ {[]: 1} }}",
        "{{ {{}: 1} }}",
    };
    static const char *const good[] = {
        "{{ 1 ** 99999999999 }}",
        "{{ (-1) ** 99999999999 }}",
        "{{ 0 ** 99999999999 }}",
        "{{ (-9223372036854775807 - 1) % -1 }}",
        "{{ 'abc'[-9223372036854775807:9223372036854775807] }}",
        "{{ 'abc'[9223372036854775807::-9223372036854775807] }}",
        "{{ 'abc'[::-9223372036854775807 - 1] }}",
        "{{ [1, 2, 3][9223372036854775807] }}",
        "{{ 1e308 * 10 }}",
        "{{ (1e308 * 10)|int }}",
        "{{ 1.5|round(400) }}",
        "{{ 1.5|round(-400) }}",
        "{{ 1e300|round(2) }}",
        "{{ '%400.400f' % 1.5 }}",
        "{{ strftime_now('%') }}",
        "{{ strftime_now('%Q%-%_') }}",
        "{{ range(9223372036854775806, 9223372036854775807) }}",
        "{{ ''.join([]) }}",
        "{{ ''[0:1] }}",
        "{{ [] == () }}",
        "{{ ((1e308 * 10) - (1e308 * 10))|string }}",
        "",
        "{{ '' }}",
        "\n",
        "{##}",
        "{{''}}{%raw%}{%endraw%}",
        "{",
        "}}",
        "{ {",
        "%}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) expect(bad[i], HN_ERR_TEMPLATE);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) expect(good[i], HN_OK);
}

/* head, then n times `open`, then middle, then n times `close`. */
static void expect_nested(const char *open, const char *middle, const char *close, size_t n) {
    hn_buf text, out;
    hn_error err = {0};
    hn_buf_init(&text, 0);
    hn_buf_init(&out, 0);
    for (size_t i = 0; i < n; i++) hn_buf_append_str(&text, open);
    hn_buf_append_str(&text, middle);
    for (size_t i = 0; i < n; i++) hn_buf_append_str(&text, close);
    hn_status st = run(hn_buf_str(&text), text.len, NULL, &tight, &out, &err);
    if (st != HN_ERR_TEMPLATE && st != HN_ERR_LIMIT) fail_msg("%s...: %s", open, hn_status_name(st));
    hn_buf_free(&text);
    hn_buf_free(&out);
}

static void nesting_is_limited(void **state) {
    (void)state;
    enum { N = 20000 };
    expect_nested("{% if 1 %}", "x", "{% endif %}", N);
    expect_nested("{% for x in [1] %}", "x", "{% endfor %}", N);
    expect_nested("{% macro a() %}", "x", "{% endmacro %}", N);
    expect_nested("{% set x %}", "x", "{% endset %}", N);
    static const char *const pairs[][2] = {
        {"(", ")"},  {"[", "]"},    {"{1:", "}"},         {"not ", ""},         {"-", ""},         {"+", ""},
        {"a[", "]"}, {"a(", ")"},   {"1 if ", " else 2"}, {"1 if 1 else ", ""}, {"x.", "x"},       {"1+", ""},
        {"1~", ""},  {"a|d(", ")"}, {"a is ", "a"},       {"a and ", ""},       {"a == not ", ""}, {"", "|d"},
        {"", ".a"},  {"", "[0]"},   {"", "()"},           {"2**", ""}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        hn_buf text, out;
        hn_error err = {0};
        hn_buf_init(&text, 0);
        hn_buf_init(&out, 0);
        hn_buf_append_str(&text, "{{ ");
        for (size_t k = 0; k < N; k++) hn_buf_append_str(&text, pairs[i][0]);
        hn_buf_append_str(&text, "1");
        for (size_t k = 0; k < N; k++) hn_buf_append_str(&text, pairs[i][1]);
        hn_buf_append_str(&text, " }}");
        hn_status st = run(hn_buf_str(&text), text.len, NULL, &tight, &out, &err);
        bool flat = strcmp(pairs[i][0], "1~") == 0; /* one node however long */
        if (flat ? st != HN_OK : st != HN_ERR_TEMPLATE && st != HN_ERR_LIMIT)
            fail_msg("%s..%s: %s", pairs[i][0], pairs[i][1], hn_status_name(st));
        hn_buf_free(&text);
        hn_buf_free(&out);
    }
}

static void large_input_is_quick_or_refused(void **state) {
    (void)state;
    hn_buf text, out;
    hn_error err = {0};
    hn_buf_init(&text, 0);
    hn_buf_init(&out, 0);
    hn_buf_append_repeat(&text, 'x', HN_JINJA_TEXT_MAX + 1);
    assert_int_equal(run(text.data, text.len, NULL, &tight, &out, &err), HN_ERR_LIMIT);
    hn_buf_clear(&text);
    for (size_t i = 0; text.len + 32 < HN_JINJA_TEXT_MAX; i++) hn_buf_appendf(&text, "{{ v%zu }}", i);
    assert_int_equal(run(text.data, text.len, NULL, NULL, &out, &err), HN_ERR_TEMPLATE); /* too many names */
    hn_buf_clear(&text);
    while (text.len + 32 < HN_JINJA_TEXT_MAX) hn_buf_append_str(&text, "{% set a = 1 %}\n");
    hn_test_ok(run(text.data, text.len, NULL, NULL, &out, &err), &err);
    hn_buf_clear(&text);
    while (text.len + 32 < HN_JINJA_TEXT_MAX) hn_buf_append_str(&text, "{% raw %}{%");
    assert_int_equal(run(text.data, text.len, NULL, NULL, &out, &err), HN_ERR_TEMPLATE);
    hn_buf_clear(&text);
    hn_buf_append_str(&text, "{{ '\xff' }}");
    assert_int_equal(run(text.data, text.len, NULL, NULL, &out, &err), HN_ERR_TEMPLATE);
    hn_buf_free(&text);
    hn_buf_free(&out);
}

static const char whole[] =
    "{# c #}{% macro show(a, b='x') %}[{{ a }}{{ b }}{{ caller() if caller else '' }}{{ varargs }}{{ kwargs }}]{% "
    "endmacro -%}\n"
    "{% set ns = namespace(n=0, t='') %}{% for m in messages if m.role != 'none' %}{% set ns.n = ns.n + 1 %}"
    "{% set ns.t = ns.t ~ m['content']|trim|upper %}{{ loop.index }}{{ loop.last }}{{ m|tojson(indent=2) }}{{ "
    "show(m.role, b=1, c=2) }}"
    "{% if loop.first %}{% continue %}{% elif m.x is defined %}y{% else %}{{ m.content[1:-1] }}{% endif %}{% else "
    "%}no{% endfor %}"
    "{% call show('q') %}body{% endcall %}{% filter replace('o', '0') | title %}foo {{ ns.t }}{% endfilter %}{% set b "
    "%}z{{ ns.n }}{% endset %}"
    "{{ [3, 1, 2]|sort|map('string')|join(',') }}{{ {'a': (1, 2.5), 'k': none} }}{{ 'a b'.split() }}{{ "
    "'%s=%d'|format('x', 3) }}"
    "{{ messages|selectattr('role', 'equalto', 'user')|list|length }}{{ messages|map(attribute='role')|unique|list "
    "}}{{ b }}"
    "{% with q = 5 %}{{ q ** 2 }}{% endwith %}{% raw %}{{ raw }}{% endraw %}{{ strftime_now('%Y') }}{{ "
    "messages|groupby('role')|length }}"
    "{{ 'x'.join(['1', '2'])|indent }}{{ d.items()|list }}{{ d|dictsort }}{{ 1 < 2 < 3 and 'a' in 'abc' and not 2 in "
    "[1] }}{{ 1.5|round }}"
    "{{ {'a1':1,'a2':1,'a3':1,'a4':1,'a5':1,'a6':1,'a7':1,'a8':1,'a9':1,'a10':1}|length }}";

static void memory_may_run_out_anywhere(void **state) {
    (void)state;
    hn_error err = {0};
    json_t *variables;
    static const char json[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":\" h\\u00e9llo "
        "\"},{\"role\":\"assistant\",\"content\":\"ok\",\"x\":[1,{}]}],\"d\":{\"b\":1,\"a\":null}}";
    hn_test_ok(hn_json_parse(json, sizeof json - 1, "v", 0, &variables, &err), &err);
    hn_buf expected;
    hn_buf_init(&expected, 0);
    hn_test_ok(run(whole, sizeof whole - 1, variables, NULL, &expected, &err), &err);
    for (int sticky = 0; sticky < 2; sticky++) {
        for (size_t n = 1;; n++) {
            hn_buf out;
            hn_jinja *t = NULL;
            hn_jinja_spans spans = {0};
            hn_buf_init(&out, 0);
            hn_alloc_fail_at(n, sticky);
            hn_status st = hn_jinja_compile(whole, sizeof whole - 1, "t", &t, &err);
            if (st == HN_OK) st = hn_jinja_render(t, variables, NULL, &out, &spans, &err);
            bool reached = hn_alloc_count() >= n;
            hn_alloc_fail_at(0, false);
            if (st == HN_OK)
                assert_string_equal(hn_buf_str(&out), hn_buf_str(&expected));
            else
                assert_int_equal(st, HN_ERR_MEMORY);
            hn_jinja_spans_free(&spans);
            hn_jinja_free(t);
            hn_buf_free(&out);
            if (!reached) {
                assert_int_equal(st, HN_OK);
                assert_true(n > 10);
                break;
            }
        }
    }
    hn_buf_free(&expected);
    json_decref(variables);
}

int main(void) {
    hn_json_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endless_work_is_stopped),     cmocka_unit_test(numbers_at_their_edges),
        cmocka_unit_test(nesting_is_limited),          cmocka_unit_test(large_input_is_quick_or_refused),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
