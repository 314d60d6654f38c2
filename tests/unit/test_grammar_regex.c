/* Regular expressions as grammars against PCRE2: the same texts match, for random expressions and all short texts, as a
 * whole and (as JSON Schema's `pattern` means it) anywhere. And what is not regular is refused by name and column. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "support.h"

#include "base/buf.h"
#include "base/rng.h"
#include "engine/grammar_match_parts.h"

#include <pcre2.h>
#include <string.h>

static hn_error err;
static hn_grammar_vocab *vocab;

static hn_status compile(const char *pattern, bool searched, hn_grammar **g) {
    hn_grammar_builder *b;
    hn_test_ok(hn_grammar_builder_create(&b, &err), &err);
    return hn_grammar_finish(b, hn_grammar_regex(b, pattern, searched), g, &err);
}

static bool accepts(const hn_grammar *g, const char *text, size_t n) {
    hn_grammar_match *m;
    size_t accepted;
    hn_test_ok(hn_grammar_match_create(g, vocab, &m, &err), &err);
    hn_test_ok(hn_grammar_match_bytes(m, text, n, &accepted, &err), &err);
    bool all = accepted == n && hn_grammar_match_can_end(m);
    hn_grammar_match_free(m);
    return all;
}

typedef struct oracle {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *context;
    bool searched;
} oracle;

static void oracle_open(oracle *o, const char *pattern, bool searched) {
    int code;
    PCRE2_SIZE at;
    o->searched = searched;
    o->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                            PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALLOW_EMPTY_CLASS | PCRE2_MATCH_UNSET_BACKREF,
                            &code, &at, NULL);
    if (!o->code) fail_msg("PCRE2 does not take %s", pattern);
    o->data = pcre2_match_data_create_from_pattern(o->code, NULL);
    o->context = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(o->context, 20000);
}

/* 1, 0, or -1: PCRE2 gives up. */
static int oracle_matches(const oracle *o, const char *text, size_t n) {
    int st = pcre2_match(o->code, (PCRE2_SPTR)text, n, 0, o->searched ? 0 : PCRE2_ANCHORED | PCRE2_ENDANCHORED, o->data,
                         o->context);
    if (st == PCRE2_ERROR_MATCHLIMIT || st == PCRE2_ERROR_HEAPLIMIT || st == PCRE2_ERROR_DEPTHLIMIT) return -1;
    assert_true(st >= 0 || st == PCRE2_ERROR_NOMATCH);
    return st >= 0;
}

static void oracle_close(oracle *o) {
    pcre2_match_context_free(o->context);
    pcre2_match_data_free(o->data);
    pcre2_code_free(o->code);
}

static void compare(const char *pattern, const oracle *o, const hn_grammar *g, const char *text, size_t n) {
    int want = oracle_matches(o, text, n);
    if (want >= 0 && want != (g && accepts(g, text, n)))
        fail_msg("%s %s \"%.*s\": PCRE2 says %d", pattern, o->searched ? "in" : "against", (int)n, text, want);
}

static void compare_texts(const char *pattern, bool searched, hn_rng *rng) {
    static const char *const letters[] = {"a", "b", "\xC3\xA9", "1", "_", " ", "\n", "-"};
    oracle o;
    hn_grammar *g = NULL;
    hn_status st = compile(pattern, searched, &g);
    oracle_open(&o, pattern, searched);
    if (st != HN_OK && !(st == HN_ERR_INPUT && strstr(err.message, "no text of finite length")))
        fail_msg("%s: %s (%s)", pattern, err.message, err.where);
    for (int length = 0, count = 1; length <= 5; length++, count *= 3)
        for (int k = 0; k < count; k++) {
            char text[16];
            size_t n = 0;
            for (int i = 0, rest = k; i < length; i++, rest /= 3)
                for (const char *p = letters[rest % 3]; *p; p++) text[n++] = *p;
            compare(pattern, &o, g, text, n);
        }
    for (int k = 0; k < 60; k++) {
        char text[64];
        size_t n = 0;
        for (int i = (int)hn_rng_below(rng, 12); i > 0; i--)
            for (const char *p = letters[hn_rng_below(rng, 8)]; *p; p++) text[n++] = *p;
        compare(pattern, &o, g, text, n);
    }
    oracle_close(&o);
    hn_grammar_free(g);
}

static void write_choice(hn_rng *rng, hn_buf *out, int depth);

static void write_atom(hn_rng *rng, hn_buf *out, int depth) {
    static const char *const atoms[] = {"a",    "b",      "a",      "ab",      "\xC3\xA9", ".",
                                        "[ab]", "[^a]",   "\\w",    "\\d",     "\\s",      "\\W",
                                        "\\D",  "[\\d-]", "[^\\s]", "\\u00e9", "\\x61",    "[a-b\xC3\xA0-\xC3\xBF]"};
    static const char *const groups[] = {"(", "(?:", "(?<n>"};
    if (depth < 3 && hn_rng_below(rng, 3) == 0) {
        hn_buf_append_str(out, groups[hn_rng_below(rng, 2)]);
        write_choice(rng, out, depth + 1);
        hn_buf_append_str(out, ")");
    } else {
        const char *atom = atoms[hn_rng_below(rng, sizeof atoms / sizeof *atoms)];
        hn_buf_append_str(out, strcmp(atom, "\\u00e9") == 0 ? "\\x{e9}" : atom); /* PCRE2's way; the other one below */
    }
}

static void write_choice(hn_rng *rng, hn_buf *out, int depth) {
    static const char *const repeats[] = {"",      "",     "",   "*",  "+",  "?",       "{2}",
                                          "{1,3}", "{2,}", "*?", "+?", "??", "{0,12}?", "{3,20}"};
    for (int i = (int)hn_rng_below(rng, 3); i >= 0; i--) {
        for (int k = (int)hn_rng_below(rng, 4); k > 0; k--) {
            if (hn_rng_below(rng, 8) == 0) {
                hn_buf_append_str(out, hn_rng_below(rng, 2) ? "^" : "$");
                continue;
            }
            write_atom(rng, out, depth);
            hn_buf_append_str(out, repeats[hn_rng_below(rng, sizeof repeats / sizeof *repeats)]);
        }
        if (i > 0) hn_buf_append_str(out, "|");
    }
}

/* Ours reads \u{e9} where PCRE2 reads \x{e9}. */
static void random_patterns(void **state) {
    (void)state;
    hn_rng rng;
    for (unsigned seed = 1; seed <= 250; seed++) {
        hn_buf pattern;
        hn_buf_init(&pattern, 0);
        hn_rng_seed(&rng, seed, 1);
        write_choice(&rng, &pattern, 0);
        if (!strstr(hn_buf_str(&pattern), "\\x{")) {
            compare_texts(hn_buf_str(&pattern), false, &rng);
            compare_texts(hn_buf_str(&pattern), true, &rng);
        }
        hn_buf_free(&pattern);
    }
}

static void chosen_patterns(void **state) {
    (void)state;
    static const char *const patterns[] = {"",
                                           "^",
                                           "$",
                                           "^$",
                                           "a",
                                           "^a",
                                           "a$",
                                           "^a$",
                                           "^a|b$",
                                           "(^a|b)$",
                                           "(^|a)b",
                                           "a(b|$)",
                                           "a^b",
                                           "(^a)*",
                                           "(^|a){2}b",
                                           "(a|b$)+",
                                           "(a?){5}",
                                           "((a?){5}){9}b",
                                           "(a|b)*a(a|b)(a|b)",
                                           "(a|b)*a(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)",
                                           "[^\\W]",
                                           "[]",
                                           "[^]",
                                           "[a-]",
                                           "[-a]",
                                           "a{2,3}?b",
                                           "\\.",
                                           "a{,2}",
                                           "x{",
                                           "}",
                                           "(?:a|b){0}",
                                           "(a$|^b)",
                                           "(^a$){0,3}",
                                           "(^a|a$){2,3}",
                                           "((^a|b){1,2}|$)b?",
                                           "a\\/b",
                                           "\\-",
                                           "[\\]a]",
                                           "[\\b]"};
    hn_rng rng;
    hn_rng_seed(&rng, 3, 3);
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        compare_texts(patterns[i], false, &rng);
        compare_texts(patterns[i], true, &rng);
    }
}

static void one(const char *pattern, const char *text, bool want) {
    hn_grammar *g;
    hn_test_ok(compile(pattern, false, &g), &err);
    if (accepts(g, text, strlen(text)) != want) fail_msg("%s against %s is not %d", pattern, text, want);
    hn_grammar_free(g);
}

static void characters(void **state) {
    (void)state;
    one("\\u{e9}\\u00E9\\u{1F600}\\uD83D\\uDE00", "\xC3\xA9\xC3\xA9\xF0\x9F\x98\x80\xF0\x9F\x98\x80", true);
    one("[\\u{1F600}-\\u{1F64F}]", "\xF0\x9F\x98\x80", true);
    one("[\\uD83D\\uDE00]", "\xF0\x9F\x98\x80", true);
    one("[^a]", "\xF0\x9F\x98\x80", true); /* one character, not two halves */
    one("..", "\xF0\x9F\x98\x80", false);
    one(".", "\xE2\x80\xA8", false); /* U+2028 ends a line */
    one("[^]", "\xE2\x80\xA8", true);
    one("\\s", "\xC2\xA0", true);
    one("\\s", "\xEF\xBB\xBF", true);
    one("\\w", "\xC3\xA9", false);
    one("\\cJ\\0\\v", "\n", false);
    one("\\cJ\\v", "\n\v", true);
    one("\\p{L}+", "a\xC3\xA9\xE4\xB8\xAD\xF0\x9D\x92\x9C", true);
    one("\\p{L}", "1", false);
    one("\\P{L}", "1", true);
    one("\\P{Letter}", "z", false);
    one("[\\p{Lu}\\p{Nd}]{2}", "Z9", true);
    one("\\p{gc=Sc}", "\xE2\x82\xAC", true);
    one("\\p{General_Category=Currency_Symbol}", "$", true);
    one("[^\\p{L}\\d]", "_", true);
    one("[^\\p{L}\\d]", "7", false);
    one("\\p{ASCII}", "\x7F", true);
    one("\\P{ASCII}", "\xC2\x80", true);
    one("\\p{Any}", "\xF0\x9F\x98\x80", true);
}

static void refused(const char *pattern, hn_status status, const char *where, const char *message) {
    hn_grammar *g;
    hn_status st = compile(pattern, true, &g);
    if (st != status || strcmp(err.where, where) != 0 || !strstr(err.message, message) || !err.hint[0])
        fail_msg("%s: %s at %s (%s): %s", pattern, hn_status_name(st), err.where, err.hint, err.message);
    assert_null(g);
}

static void refusals(void **state) {
    (void)state;
    refused("a(?=b)", HN_ERR_UNSUPPORTED, "pattern:2", "look-ahead");
    refused("a(?!b)", HN_ERR_UNSUPPORTED, "pattern:2", "negative look-ahead");
    refused("(?<=b)", HN_ERR_UNSUPPORTED, "pattern:1", "look-behind");
    refused("(?<!b)", HN_ERR_UNSUPPORTED, "pattern:1", "negative look-behind");
    refused("(?>b)", HN_ERR_UNSUPPORTED, "pattern:1", "atomic");
    refused("(?i)b", HN_ERR_UNSUPPORTED, "pattern:1", "group");
    refused("\xC3\xA9\\bx", HN_ERR_UNSUPPORTED, "pattern:2", "word boundary");
    refused("(a)\\1", HN_ERR_UNSUPPORTED, "pattern:4", "back reference");
    refused("(?<n>a)\\k<n>", HN_ERR_UNSUPPORTED, "pattern:8", "back reference");
    refused("\\p{Script=Greek}", HN_ERR_UNSUPPORTED, "pattern:1", "property");
    refused("\\p{L", HN_ERR_INPUT, "pattern:1", "property");
    refused("\\p", HN_ERR_INPUT, "pattern:1", "property");
    refused("(a", HN_ERR_INPUT, "pattern:1", "not closed");
    refused("a)", HN_ERR_INPUT, "pattern:2", "without its");
    refused("[a", HN_ERR_INPUT, "pattern:1", "not closed");
    refused("[b-a]", HN_ERR_INPUT, "pattern:2", "down to");
    refused("[\\d-z]", HN_ERR_INPUT, "pattern:2", "range with a class");
    refused("a{3,2}", HN_ERR_INPUT, "pattern:2", "3 to 2");
    refused("a{2000000000}", HN_ERR_LIMIT, "pattern:2", "more than");
    refused("a**", HN_ERR_INPUT, "pattern:3", "nothing to repeat");
    refused("*", HN_ERR_INPUT, "pattern:1", "nothing to repeat");
    refused("a|{2}", HN_ERR_INPUT, "pattern:3", "nothing to repeat");
    refused("^*", HN_ERR_INPUT, "pattern:1", "cannot be repeated");
    refused("a\\", HN_ERR_INPUT, "pattern:2", "backslash at the end");
    refused("\\q", HN_ERR_INPUT, "pattern:1", "not known");
    refused("\\x4", HN_ERR_INPUT, "pattern:1", "\\x");
    refused("\\u12", HN_ERR_INPUT, "pattern:1", "\\u");
    refused("\\u{110000}", HN_ERR_INPUT, "pattern:1", "number");
    refused("(?<a", HN_ERR_INPUT, "pattern:1", "name");
    refused("a\xC3", HN_ERR_INPUT, "pattern:2", "UTF-8");
}

static void hostile_patterns(void **state) {
    (void)state;
    hn_buf deep;
    hn_grammar *g;
    hn_buf_init(&deep, 0);
    hn_buf_append_repeat(&deep, '(', 100000);
    assert_int_equal(compile(hn_buf_str(&deep), false, &g), HN_ERR_LIMIT);
    assert_non_null(strstr(err.message, "nested deeper"));
    hn_buf_clear(&deep);
    hn_buf_append_repeat(&deep, '(', 399); /* rounds of rounds of rounds */
    hn_buf_append_str(&deep, "a");
    for (int i = 0; i < 399; i++) hn_buf_append_str(&deep, "){1,1000000000}");
    hn_test_ok(compile(hn_buf_str(&deep), false, &g), &err);
    hn_grammar_free(g);
    hn_buf_clear(&deep);
    hn_buf_append_repeat(&deep, 'a', 200000);
    hn_test_ok(compile(hn_buf_str(&deep), true, &g), &err);
    hn_grammar_free(g);
    hn_buf_free(&deep);
    hn_test_ok(compile("(a{1000000000}){1000000000}", false, &g), &err);
    assert_true(g->n_states < 20);
    hn_grammar_free(g);
}

static int open_vocab(void **state) {
    static const hn_str pieces[] = {{"a", 1}, {"b", 1}};
    (void)state;
    return hn_grammar_vocab_from_pieces(pieces, 2, &vocab, &err) == HN_OK ? 0 : -1;
}

static int close_vocab(void **state) {
    (void)state;
    hn_grammar_vocab_free(vocab);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_patterns), cmocka_unit_test(chosen_patterns),  cmocka_unit_test(characters),
        cmocka_unit_test(refusals),        cmocka_unit_test(hostile_patterns),
    };
    return cmocka_run_group_tests(tests, open_vocab, close_vocab);
}
