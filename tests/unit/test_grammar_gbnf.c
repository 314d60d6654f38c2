/* GBNF: what is read means what it should, and what cannot be read is refused with its place; the builder's own rules. */
#include "support.h"

#include "base/buf.h"
#include "base/utf8.h"
#include "engine/grammar_match_parts.h"

#include <string.h>

static hn_error err;
static hn_grammar_vocab *vocab;

static size_t accepted_bytes(const hn_grammar *g, const char *text, size_t n, bool *can_end) {
    hn_grammar_match *m;
    size_t accepted;
    hn_test_ok(hn_grammar_match_create(g, vocab, &m, &err), &err);
    hn_test_ok(hn_grammar_match_bytes(m, text, n, &accepted, &err), &err);
    *can_end = hn_grammar_match_can_end(m);
    hn_grammar_match_free(m);
    return accepted;
}

/* Each text is followed by whether it is in the language; NULL ends the list. */
typedef struct sample {
    const char *text;
    bool in;
} sample;

static void check(const char *grammar, const sample *samples) {
    hn_grammar *g;
    hn_test_ok(hn_grammar_from_gbnf(grammar, "test.gbnf", &g, &err), &err);
    for (; samples->text; samples++) {
        bool can_end;
        bool in = accepted_bytes(g, samples->text, strlen(samples->text), &can_end) == strlen(samples->text) && can_end;
        if (in != samples->in) fail_msg("%s\n\"%s\" should be %d", grammar, samples->text, samples->in);
    }
    hn_grammar_free(g);
}

static void notation(void **state) {
    (void)state;
    check("root ::= \"a\" | \"b\" \"c\" # either\n",
          (sample[]){{"a", 1}, {"bc", 1}, {"b", 0}, {"ac", 0}, {"", 0}, {0}});
    check("root ::= item (\",\" \" \"? item)*\nitem ::= [a-z]+ | [^a-z,\\n] .",
          (sample[]){{"ab,1x", 1}, {"ab, c", 1}, {"1", 0}, {"1,", 1}, {"\nx", 0}, {0}});
    check("# a list\r\nroot ::=\r\n  \"x\"{2}\r\n  | \"y\"{2,}   # open\r\n  | \"z\"{1,3} other\r\n\r\nother ::= | "
          "\"!\"\r\n",
          (sample[]){{"xx", 1}, {"x", 0}, {"xxx", 0}, {"y", 0}, {"yyyyy", 1}, {"z", 1}, {"zzz!", 1}, {"zzzz", 0}, {0}});
    check("root ::= (\n  \"a\"\n  |\n  \"b\" # in a group\n)+\n\nunused ::= \"c\"",
          (sample[]){{"abba", 1}, {"c", 0}, {"", 0}, {0}});
    check("root ::= \"\\x41\\u00e9\\U0001F600\\t\\\"\\\\\\[\\]\" [\\]\\\\\\-^] [a\\-c]",
          (sample[]){{"A\xC3\xA9\xF0\x9F\x98\x80\t\"\\[]^b", 0},
                     {"A\xC3\xA9\xF0\x9F\x98\x80\t\"\\[]]-", 1},
                     {"A\xC3\xA9\xF0\x9F\x98\x80\t\"\\[]-c", 1},
                     {0}});
    check("root ::= [a-] [-a] [\xE3\x81\x81-\xE3\x82\x9F]",
          (sample[]){{"--\xE3\x81\x82", 1}, {"aa\xE3\x81\x82", 1}, {"ba\xE3\x81\x82", 0}, {"--a", 0}, {0}});
    check("root ::= \"\"", (sample[]){{"", 1}, {"a", 0}, {0}});
    check("root ::= a-1 _b\na-1 ::= \"x\"*\n_b::=\"y\"", (sample[]){{"xxy", 1}, {"y", 1}, {"x", 0}, {0}});
    check("root ::= \"[\" (root (\",\" root)*)? \"]\"",
          (sample[]){{"[]", 1}, {"[[],[[]]]", 1}, {"[[]", 0}, {"[,]", 0}, {0}});
    check("root ::= (\"a\"?){0} \"b\"", (sample[]){{"b", 1}, {"ab", 0}, {0}});
    check("root ::= \"a\" never | \"b\"\nnever ::= \"c\" never",
          (sample[]){{"b", 1}, {"a", 0}, {0}}); /* a is not even a beginning */
    check("root ::= ((\"a\" | \"\")* \"b\")* | ((\"\")*)*",
          (sample[]){{"", 1}, {"aab", 1}, {"abb", 1}, {"aa", 0}, {0}});
    check("root ::= a\na ::= b \"x\"?\nb ::= root2{1,2}\nroot2 ::= \"(\" a \")\" | \"y\"{1,70}",
          (sample[]){{"yyx", 1}, {"(yx)y", 1}, {"(y)(y)x", 1}, {"(y)(y)(y)", 0}, {0}});
}

/* The classic calculator, with right recursion a hundred thousand deep: stacks that need not come back are not kept. */
static void right_recursion_is_flat(void **state) {
    (void)state;
    hn_grammar *g;
    hn_grammar_match *m;
    size_t accepted;
    hn_test_ok(hn_grammar_from_gbnf(
                   "root ::= digit root | digit\ndigit ::= [0-9] [0-9] [0-9] [a-z]{0,2} \"..........\"", "g", &g, &err),
               &err);
    hn_test_ok(hn_grammar_match_create(g, vocab, &m, &err), &err);
    for (int i = 0; i < 100000; i++) {
        hn_test_ok(hn_grammar_match_bytes(m, "123..........", 13, &accepted, &err), &err);
        assert_int_equal(accepted, 13);
    }
    assert_true(hn_grammar_match_can_end(m));
    assert_true(m->a->frames.n < 100);
    hn_grammar_match_free(m);
    hn_grammar_free(g);
}

static void no_prefix_leads_nowhere(void **state) {
    (void)state;
    bool can_end;
    hn_grammar *g;
    hn_test_ok(hn_grammar_from_gbnf("root ::= \"a\" never | \"ab\" \"c\"\nnever ::= [x] never", "g", &g, &err), &err);
    assert_int_equal(accepted_bytes(g, "ax", 2, &can_end), 1);
    assert_int_equal(accepted_bytes(g, "abd", 3, &can_end), 2);
    hn_grammar_free(g);
}

static void refused(const char *text, hn_status status, const char *where, const char *message) {
    hn_grammar *g;
    hn_status st = hn_grammar_from_gbnf(text, "f.gbnf", &g, &err);
    if (st != status || strcmp(err.where, where) != 0 || !strstr(err.message, message) || !err.hint[0])
        fail_msg("%s\n%s at %s (%s): %s", text, hn_status_name(st), err.where, err.hint, err.message);
    assert_null(g);
}

static void refusals(void **state) {
    (void)state;
    refused("", HN_ERR_INPUT, "f.gbnf:1:1", "\"root\" is not defined");
    refused("  # nothing\n", HN_ERR_INPUT, "f.gbnf:1:1", "\"root\" is not defined");
    refused("root ::= a\n  b ::= \"x\"", HN_ERR_INPUT, "f.gbnf:1:10", "\"a\" is not defined");
    refused("root ::= \"x\"\nroot ::= \"y\"", HN_ERR_INPUT, "f.gbnf:2:1", "defined twice");
    refused("root ::= \"x\n\"", HN_ERR_INPUT, "f.gbnf:1:10", "not closed");
    refused("root ::= [x", HN_ERR_INPUT, "f.gbnf:1:10", "not closed");
    refused("root ::= (\"x\"", HN_ERR_INPUT, "f.gbnf:1:10", "not closed");
    refused("root ::= \"\xC3\xA9\" )", HN_ERR_INPUT, "f.gbnf:1:14", "without its (");
    refused("root ::= \"a\"\n  | *", HN_ERR_INPUT, "f.gbnf:2:5", "nothing to repeat");
    refused("root ::= \"a\"{x}", HN_ERR_INPUT, "f.gbnf:1:13", "cannot be read");
    refused("root ::= \"a\"{3,2}", HN_ERR_INPUT, "f.gbnf:1:13", "3 to 2");
    refused("root ::= \"a\"{1000000001}", HN_ERR_LIMIT, "f.gbnf:1:13", "more than");
    refused("root ::= \"a\"{99999999999999999999}", HN_ERR_LIMIT, "f.gbnf:1:13", "more than");
    refused("root ::= [z-a]", HN_ERR_INPUT, "f.gbnf:1:11", "down to");
    refused("root ::= \"\\q\"", HN_ERR_INPUT, "f.gbnf:1:11", "escape");
    refused("root ::= \"\\u12\"", HN_ERR_INPUT, "f.gbnf:1:11", "hexadecimal");
    refused("root ::= \"\\ud800\"", HN_ERR_INPUT, "f.gbnf:1:11", "not a character");
    refused("root ::= \"\\U00110000\"", HN_ERR_INPUT, "f.gbnf:1:11", "not a character");
    refused("root ::= \"a\" <[5]>", HN_ERR_UNSUPPORTED, "f.gbnf:1:14", "single token");
    refused("root = \"a\"", HN_ERR_INPUT, "f.gbnf:1:1", "expected");
    refused("root ::= \"a\" $", HN_ERR_INPUT, "f.gbnf:1:14", "not understood");
    refused("root ::= \"a\" ::= \"b\"", HN_ERR_INPUT, "f.gbnf:1:14", "name");
    refused("root ::= \"a\xFF\"", HN_ERR_INPUT, "f.gbnf:1:12", "UTF-8");
    refused("root ::= \"a\" root", HN_ERR_INPUT, "grammar", "goes on for ever");
    refused("root ::= root \"a\" | \"b\"", HN_ERR_INPUT, "root", "root > root");
    refused("root ::= x\nx ::= \" \"{0,100} y \"1234567890\"\ny ::= [0-9]* \"\"? x | \"z1234567890\"", HN_ERR_INPUT,
            "x", "calls itself");
    refused("root ::= [] \"x\"", HN_ERR_INPUT, "grammar", "never be taken");
}

static void hostile_texts(void **state) {
    (void)state;
    hn_buf text;
    hn_grammar *g;
    hn_buf_init(&text, 0);
    hn_buf_append_str(&text, "root ::= ");
    hn_buf_append_repeat(&text, '(', 100000);
    assert_int_equal(hn_grammar_from_gbnf(hn_buf_str(&text), "g", &g, &err), HN_ERR_LIMIT);
    hn_buf_clear(&text);
    hn_buf_append_str(&text, "root ::= \"a\"");
    hn_buf_append_repeat(&text, '*', 100000);
    assert_int_equal(hn_grammar_from_gbnf(hn_buf_str(&text), "g", &g, &err), HN_ERR_LIMIT);
    hn_buf_clear(&text);
    hn_buf_append_str(&text, "root ::= \"");
    hn_buf_append_repeat(&text, 'a', 2000000);
    hn_buf_append_str(&text, "\"");
    assert_int_equal(hn_grammar_from_gbnf(hn_buf_str(&text), "g", &g, &err), HN_ERR_LIMIT); /* too many states */
    hn_buf_clear(&text);
    for (int i = 0; i < 20000; i++) hn_buf_appendf(&text, "r%d ::= \"(\" r%d \"a long text\" | \"%d\"\n", i, i + 1, i);
    hn_buf_append_str(&text, "r20000 ::= \"x\"\nroot ::= r0\n");
    hn_test_ok(hn_grammar_from_gbnf(hn_buf_str(&text), "g", &g, &err), &err); /* a long chain */
    hn_grammar_free(g);
    hn_buf_clear(&text); /* doubling: 2^40 characters, but only 40 rules */
    hn_buf_append_str(&text, "root ::= r0\nr40 ::= \"abcdefghij\"\n");
    for (int i = 0; i < 40; i++) hn_buf_appendf(&text, "r%d ::= r%d r%d\n", i, i + 1, i + 1);
    hn_test_ok(hn_grammar_from_gbnf(hn_buf_str(&text), "g", &g, &err), &err);
    assert_true(g->n_states < 200);
    hn_grammar_free(g);
    hn_buf_free(&text);
}

/* Every character is in exactly one of a class and its negation, as bytes. */
static void classes_cut_characters_right(void **state) {
    (void)state;
    static const hn_code_range ranges[] = {{'b', 'k'},       {0x7F, 0x80},      {0x7FE, 0x801},         {0xFFF, 0x1234},
                                           {0xD000, 0xE005}, {0xFFFE, 0x10001}, {0x10FFFE, 0x7FFFFFFF}, {5, 3}};
    hn_grammar *g[2];
    for (int negated = 0; negated < 2; negated++) {
        hn_grammar_builder *b;
        hn_test_ok(hn_grammar_builder_create(&b, &err), &err);
        hn_test_ok(hn_grammar_finish(b, hn_grammar_class(b, ranges, 8, negated), &g[negated], &err), &err);
    }
    for (uint32_t cp = 0; cp <= 0x10FFFF; cp += cp > 0x1300 && cp < 0xCFF0      ? 97
                                                : cp > 0x10010 && cp < 0x10FFF0 ? 997
                                                                                : 1) {
        char bytes[4];
        bool can_end, in = false;
        if (cp >= 0xD800 && cp <= 0xDFFF) continue;
        size_t n = hn_utf8_encode(cp, bytes);
        for (size_t i = 0; i < 7; i++) in |= cp >= ranges[i].first && cp <= ranges[i].last;
        for (int negated = 0; negated < 2; negated++) {
            bool have = accepted_bytes(g[negated], bytes, n, &can_end) == n && can_end;
            if (have != (in != (bool)negated)) fail_msg("U+%04X %d", (unsigned)cp, negated);
        }
    }
    bool can_end;
    assert_int_equal(accepted_bytes(g[0], "\xED\xA0\x80", 3, &can_end), 1); /* a surrogate; U+D000 begins alike */
    assert_int_equal(accepted_bytes(g[1], "\xC0\x80", 2, &can_end), 0);
    assert_int_equal(accepted_bytes(g[1], "\xF5\x80\x80\x80", 4, &can_end), 0);
    hn_grammar_free(g[0]);
    hn_grammar_free(g[1]);
}

static void builder_errors_stick(void **state) {
    (void)state;
    hn_grammar_builder *b;
    hn_grammar *g;
    hn_test_ok(hn_grammar_builder_create(&b, &err), &err);
    assert_null(hn_grammar_builder_error(b));
    assert_int_equal(hn_grammar_bytes(b, "\xFF", 1), HN_GRAMMAR_BAD);
    assert_int_equal(hn_grammar_empty(b), HN_GRAMMAR_BAD);
    assert_int_equal(hn_grammar_builder_error(b)->code, HN_ERR_INPUT);
    hn_grammar_define(b, "x", hn_grammar_rule(b, "x"));
    assert_int_equal(hn_grammar_finish(b, HN_GRAMMAR_BAD, &g, &err), HN_ERR_INPUT);
    assert_non_null(strstr(err.message, "UTF-8"));
    hn_test_ok(hn_grammar_builder_create(&b, &err), &err);
    assert_int_equal(hn_grammar_repeat(b, hn_grammar_empty(b), 3, 2), HN_GRAMMAR_BAD);
    hn_grammar_builder_free(b);
    hn_test_ok(hn_grammar_builder_create(&b, &err), &err);
    assert_int_equal(hn_grammar_finish(b, 7, &g, &err), HN_ERR_INTERNAL);
    hn_test_ok(hn_grammar_builder_create(&b, &err), &err);
    assert_int_equal(hn_grammar_finish(b, hn_grammar_rule(b, "lost"), &g, &err), HN_ERR_INPUT);
    assert_string_equal(err.where, "lost");
    hn_test_ok(hn_grammar_builder_create(&b, &err), &err); /* equal parts are one */
    assert_int_equal(hn_grammar_bytes(b, "ab", 2), hn_grammar_bytes(b, "ab", 2));
    hn_grammar_node ab = hn_grammar_bytes(b, "ab", 2), nothing = hn_grammar_nothing(b);
    assert_int_equal(hn_grammar_choice(b, (hn_grammar_node[]){nothing, ab}, 2), ab);
    assert_int_equal(hn_grammar_sequence(b, (hn_grammar_node[]){nothing, ab}, 2), nothing);
    assert_int_equal(hn_grammar_finish(b, nothing, &g, &err), HN_ERR_INPUT);
}

static void choices(void **state) {
    (void)state;
    static const char *const texts[] = {"billing", "bill", "login and access", "\xC3\xA9t\xC3\xA9"};
    hn_grammar *g;
    bool can_end;
    hn_test_ok(hn_grammar_from_choices(texts, 4, &g, &err), &err);
    assert_int_equal(accepted_bytes(g, "bill", 4, &can_end), 4);
    assert_true(can_end);
    assert_int_equal(accepted_bytes(g, "billi", 5, &can_end), 5);
    assert_false(can_end);
    assert_int_equal(accepted_bytes(g, "billings", 8, &can_end), 7);
    assert_int_equal(accepted_bytes(g, "\xC3\xA9t\xC3\xA9", 5, &can_end), 5);
    assert_true(can_end);
    hn_grammar_free(g);
    assert_int_equal(hn_grammar_from_choices(texts, 0, &g, &err), HN_ERR_INPUT);
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
        cmocka_unit_test(notation),      cmocka_unit_test(right_recursion_is_flat),
        cmocka_unit_test(refusals),      cmocka_unit_test(no_prefix_leads_nowhere),
        cmocka_unit_test(hostile_texts), cmocka_unit_test(classes_cut_characters_right),
        cmocka_unit_test(choices),       cmocka_unit_test(builder_errors_stick),
    };
    return cmocka_run_group_tests(tests, open_vocab, close_vocab);
}
