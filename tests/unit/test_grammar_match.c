/* Matching against two oracles: a recogniser that tries everything (random grammars, all short texts), and, for masks,
 * feeding each token's bytes to a fresh match. */
#include "support.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/rng.h"
#include "engine/grammar_match_parts.h"

#include <stdio.h>
#include <string.h>

static hn_error err;
static int n_too_ambiguous; /* random grammars can be; nothing is wrong then */

/* False where the limit of open readings was met. */
static bool within_limit(hn_status st) {
    if (st == HN_ERR_LIMIT) {
        n_too_ambiguous++;
        return false;
    }
    hn_test_ok(st, &err);
    return true;
}

/* --- random grammars over a, b and e-acute, and the recogniser --- */

enum { RULES = 3, NODES = 200, TEXT = 7, LOOPS = 300 };

typedef enum kind { LITERAL, CLASS, SEQUENCE, CHOICE, REPEAT, RULE, EMPTY } kind;

typedef struct node {
    kind kind;
    const char *text;
    int part[3], n_parts, min, max; /* max -1: any number */
} node;

typedef struct random_grammar {
    node nodes[NODES];
    int n_nodes, rules[RULES];
    hn_rng rng;
    bool loops; /* the recogniser went round in a circle */
} random_grammar;

static int below(random_grammar *g, int n) { return (int)hn_rng_below(&g->rng, (uint64_t)n); }

static int make_node(random_grammar *g, int depth) {
    static const char *const texts[] = {"a", "b", "ab", "ba", "\xC3\xA9", "aa", "b\xC3\xA9"};
    static const char *const classes[] = {"[a]", "[ab]", "[^a]", "[\xC3\xA9]", "[a\xC3\xA0-\xC3\xB0]", "[^b\xC3\xA9]"};
    int at = g->n_nodes++;
    node n = {.kind = (kind)below(g, depth > 3 || g->n_nodes > NODES - 30 ? 2 : 7)};
    if (n.kind == LITERAL) n.text = texts[below(g, 7)];
    if (n.kind == CLASS) n.text = classes[below(g, 6)];
    if (n.kind == SEQUENCE || n.kind == CHOICE) n.n_parts = 2 + below(g, 2);
    if (n.kind == REPEAT) n.n_parts = 1;
    for (int i = 0; i < n.n_parts; i++) n.part[i] = make_node(g, depth + 1);
    if (n.kind == RULE) n.part[0] = below(g, RULES);
    if (n.kind == REPEAT) {
        n.min = below(g, 4);
        n.max = below(g, 3) == 0 ? -1 : n.min + below(g, 4);
        if (n.max == 0) n.max = 12;
    }
    g->nodes[at] = n;
    return at;
}

static void write_node(const random_grammar *g, int at, hn_buf *out) {
    const node *n = &g->nodes[at];
    switch (n->kind) {
    case LITERAL: hn_buf_appendf(out, "\"%s\"", n->text); break;
    case CLASS: hn_buf_append_str(out, n->text); break;
    case RULE: hn_buf_appendf(out, "%s", n->part[0] == 0 ? "root" : n->part[0] == 1 ? "one" : "two"); break;
    case EMPTY: hn_buf_append_str(out, "\"\""); break;
    case REPEAT:
        hn_buf_append_str(out, "(");
        write_node(g, n->part[0], out);
        if (n->max < 0)
            hn_buf_appendf(out, "){%d,}", n->min);
        else
            hn_buf_appendf(out, "){%d,%d}", n->min, n->max);
        break;
    default:
        hn_buf_append_str(out, "(");
        for (int i = 0; i < n->n_parts; i++) {
            if (i > 0) hn_buf_append_str(out, n->kind == CHOICE ? " | " : " ");
            write_node(g, n->part[i], out);
        }
        hn_buf_append_str(out, ")");
    }
}

/* Characters: 0 a, 1 b, 2 e-acute. */
static bool class_has(const char *class, int c) {
    static const struct {
        const char *text;
        bool has[3];
    } table[] = {{"[a]", {1, 0, 0}},
                 {"[ab]", {1, 1, 0}},
                 {"[^a]", {0, 1, 1}},
                 {"[\xC3\xA9]", {0, 0, 1}},
                 {"[a\xC3\xA0-\xC3\xB0]", {1, 0, 1}},
                 {"[^b\xC3\xA9]", {1, 0, 0}}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].text, class) == 0) return table[i].has[c];
    fail();
    return false;
}

/* The places (bits) where the node can end that begins at one of `starts`. */
static unsigned ends(random_grammar *g, int at, unsigned starts, const int *text, int n, int depth) {
    const node *nd = &g->nodes[at];
    unsigned out = 0;
    if (depth > LOOPS) g->loops = true;
    if (g->loops || starts == 0) return 0;
    switch (nd->kind) {
    case EMPTY: return starts;
    case LITERAL:
        out = starts;
        for (const char *p = nd->text; *p; p += *p == '\xC3' ? 2 : 1) {
            unsigned next = 0;
            for (int i = 0; i < n; i++)
                if (out >> i & 1 && text[i] == (*p == '\xC3' ? 2 : *p - 'a')) next |= 1u << (i + 1);
            out = next;
        }
        return out;
    case CLASS:
        for (int i = 0; i < n; i++)
            if (starts >> i & 1 && class_has(nd->text, text[i])) out |= 1u << (i + 1);
        return out;
    case SEQUENCE:
        out = starts;
        for (int i = 0; i < nd->n_parts; i++) out = ends(g, nd->part[i], out, text, n, depth + 1);
        return out;
    case CHOICE:
        for (int i = 0; i < nd->n_parts; i++) out |= ends(g, nd->part[i], starts, text, n, depth + 1);
        return out;
    case RULE: return ends(g, g->rules[nd->part[0]], starts, text, n, depth + 1);
    case REPEAT: {
        unsigned now = starts, all = nd->min == 0 ? starts : 0;
        int most = nd->max < 0 ? nd->min + TEXT + 1 : nd->max;
        for (int i = 1; i <= most && now; i++) {
            now = ends(g, nd->part[0], now, text, n, depth + 1);
            if (i >= nd->min) all |= now;
        }
        return all;
    }
    }
    return 0;
}

static size_t text_bytes(const int *text, int n, char *bytes) {
    size_t len = 0;
    for (int i = 0; i < n; i++) {
        if (text[i] == 2) bytes[len++] = '\xC3';
        bytes[len++] = text[i] == 2 ? '\xA9' : (char)('a' + text[i]);
    }
    return len;
}

static bool accepts(const hn_grammar *g, hn_grammar_vocab *v, const char *text, size_t n, bool *result) {
    hn_grammar_match *m;
    size_t accepted;
    if (!within_limit(hn_grammar_match_create(g, v, &m, &err))) return false;
    bool known = within_limit(hn_grammar_match_bytes(m, text, n, &accepted, &err));
    *result = accepted == n && hn_grammar_match_can_end(m);
    hn_grammar_match_free(m);
    return known;
}

static hn_grammar_vocab *small_vocab(void) {
    static const char *const texts[] = {"a",
                                        "b",
                                        "\xC3",
                                        "\xA9",
                                        "\xC3\xA9",
                                        "ab",
                                        "ba",
                                        "aa",
                                        "aaa",
                                        "aaaa",
                                        "bb",
                                        "a\xC3",
                                        "\xA9"
                                        "b",
                                        "\xA9\xC3\xA9",
                                        "abab",
                                        "bab",
                                        "c",
                                        "",
                                        "\xA9"
                                        "a",
                                        "b\xC3\xA9",
                                        "\xC3\xA9\xC3\xA9",
                                        "aab",
                                        "abb",
                                        "aaaaaa",
                                        "aaaaab",
                                        "\xE2\x82",
                                        "\xC3\xA0",
                                        "[",
                                        "]",
                                        "x",
                                        "\xA0"};
    hn_str pieces[sizeof texts / sizeof *texts];
    hn_grammar_vocab *v;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) pieces[i] = hn_str_of(texts[i]);
    hn_test_ok(hn_grammar_vocab_from_pieces(pieces, sizeof texts / sizeof *texts, &v, &err), &err);
    return v;
}

/* Each token by itself, from a fresh match that was given the text before. */
static void check_mask(const hn_grammar *g, hn_grammar_vocab *v, hn_grammar_match *m, const char *text, size_t n) {
    const uint64_t *mask;
    hn_test_ok(hn_grammar_match_mask(m, &mask, &err), &err);
    for (int32_t id = 0; id < v->n_tokens; id++) {
        hn_grammar_match *fresh;
        size_t accepted, length = v->offsets[id + 1] - v->offsets[id];
        if (id % 7 == 0 || v->n_tokens < 100 || mask[id / 64] >> (id % 64) & 1) {
            hn_test_ok(hn_grammar_match_create(g, v, &fresh, &err), &err);
            hn_test_ok(hn_grammar_match_bytes(fresh, text, n, &accepted, &err), &err);
            assert_int_equal(accepted, n);
            bool known =
                within_limit(hn_grammar_match_bytes(fresh, v->bytes + v->offsets[id], length, &accepted, &err));
            bool want = length > 0 && accepted == length;
            if (known && (bool)(mask[id / 64] >> (id % 64) & 1) != want)
                fail_msg("after \"%.*s\" token %d \"%.*s\": the mask says %d", (int)n, text, (int)id, (int)length,
                         v->bytes + v->offsets[id], !want);
            hn_grammar_match_free(fresh);
        }
    }
}

/* A walk over allowed tokens; the mask is right at each step and never leads where the text can neither go on nor end. */
static void walk(const hn_grammar *g, hn_grammar_vocab *v, hn_rng *rng, int n_steps) {
    hn_grammar_match *m;
    char text[4096];
    size_t n = 0;
    if (!within_limit(hn_grammar_match_create(g, v, &m, &err))) return;
    for (int step = 0; step < n_steps; step++) {
        const uint64_t *mask;
        int32_t allowed[256];
        int n_allowed = 0;
        if (!within_limit(hn_grammar_match_mask(m, &mask, &err))) break;
        check_mask(g, v, m, text, n);
        hn_test_ok(hn_grammar_match_mask(m, &mask, &err), &err);
        for (int32_t id = 0; id < v->n_tokens && n_allowed < 256; id++)
            if (mask[id / 64] >> (id % 64) & 1) allowed[n_allowed++] = id;
        if (n_allowed == 0 && !hn_grammar_match_can_end(m)) fail_msg("\"%.*s\" leads nowhere", (int)n, text);
        if (n_allowed == 0) break;
        int32_t id = allowed[hn_rng_below(rng, (uint64_t)n_allowed)];
        size_t length = v->offsets[id + 1] - v->offsets[id];
        if (n + length > sizeof text) break;
        memcpy(text + n, v->bytes + v->offsets[id], length);
        n += length;
        if (!within_limit(hn_grammar_match_accept(m, id, &err))) break;
        if (hn_grammar_match_must_end(m)) assert_true(hn_grammar_match_can_end(m));
    }
    hn_grammar_match_free(m);
}

static void compare_all_texts(random_grammar *r, const hn_grammar *g, hn_grammar_vocab *v) {
    for (int n = 0; n <= TEXT; n++) {
        int count = 1;
        for (int i = 0; i < n; i++) count *= 3;
        for (int k = 0; k < count; k++) {
            int text[TEXT + 1];
            char bytes[2 * TEXT + 1];
            bool is_in;
            for (int i = 0, rest = k; i < n; i++, rest /= 3) text[i] = rest % 3;
            size_t n_bytes = text_bytes(text, n, bytes);
            bool want = ends(r, r->rules[0], 1, text, n, 0) >> n & 1;
            if (!accepts(g, v, bytes, n_bytes, &is_in)) return;
            if (is_in != want)
                fail_msg("\"%.*s\": should %sbe in the language", (int)n_bytes, bytes, want ? "" : "not ");
        }
    }
}

static void random_grammars(void **state) {
    (void)state;
    random_grammar *r = hn_calloc(1, sizeof *r);
    hn_grammar_vocab *v = small_vocab();
    int n_compared = 0, n_recursive = 0;
    for (unsigned seed = 1; seed <= 400; seed++) {
        hn_buf text;
        hn_grammar *g;
        hn_buf_init(&text, 0);
        r->n_nodes = 0;
        r->loops = false;
        hn_rng_seed(&r->rng, seed, 0);
        for (int i = 0; i < RULES; i++) {
            r->rules[i] = make_node(r, 0);
            hn_buf_appendf(&text, "%s ::= ", i == 0 ? "root" : i == 1 ? "one" : "two");
            write_node(r, r->rules[i], &text);
            hn_buf_append_str(&text, "\n");
        }
        hn_status st = hn_grammar_from_gbnf(hn_buf_str(&text), "random", &g, &err);
        if (st == HN_OK && text.len < 700) {
            if (seed % 8 == 0) compare_all_texts(r, g, v);
            walk(g, v, &r->rng, 6);
            assert_false(r->loops);
            n_compared++;
        } else if (st != HN_OK) {
            assert_int_equal(st, HN_ERR_INPUT);
            n_recursive += strstr(err.message, "calls itself") != NULL;
        }
        if (st == HN_OK) hn_grammar_free(g);
        hn_buf_free(&text);
    }
    assert_true(n_compared > 100);
    assert_true(n_recursive > 5);
    print_message("%d compared, %d left-recursive, %d times too ambiguous\n", n_compared, n_recursive, n_too_ambiguous);
    assert_true(n_too_ambiguous < 20);
    hn_grammar_vocab_free(v);
    hn_free(r);
}

/* --- particular languages --- */

static hn_grammar *gbnf(const char *text) {
    hn_grammar *g;
    hn_test_ok(hn_grammar_from_gbnf(text, "test.gbnf", &g, &err), &err);
    return g;
}

static void counting_is_cheap(void **state) {
    (void)state;
    hn_grammar_vocab *v = small_vocab();
    hn_grammar *g = gbnf("root ::= [^x]{2,1500000} \"x\"");
    hn_grammar_match *m, *early;
    char *as = hn_alloc(1500000);
    size_t accepted;
    const uint64_t *mask;
    assert_true(g->n_states < 40);
    memset(as, 'a', 1500000);
    hn_test_ok(hn_grammar_match_create(g, v, &m, &err), &err);
    hn_test_ok(hn_grammar_match_create(g, v, &early, &err), &err);
    hn_test_ok(hn_grammar_match_bytes(early, "a", 1, &accepted, &err), &err);
    check_mask(g, v, early, "a", 1); /* no x yet */
    hn_test_ok(hn_grammar_match_bytes(m, as, 1499997, &accepted, &err), &err);
    assert_int_equal(accepted, 1499997);
    assert_true(m->a->frames.n < 1200000); /* stacks that nobody needs were dropped on the way */
    hn_test_ok(hn_grammar_match_mask(m, &mask, &err), &err);
    assert_true(mask[0] >> 8 & 1);  /* aaa */
    assert_false(mask[0] >> 9 & 1); /* aaaa */
    assert_true(mask[0] >> 29 & 1); /* x */
    hn_test_ok(hn_grammar_match_bytes(m, as, 10, &accepted, &err), &err);
    assert_int_equal(accepted, 3);
    hn_test_ok(hn_grammar_match_mask(m, &mask, &err), &err);
    assert_int_equal(mask[0], UINT64_C(1) << 29);
    check_mask(g, v, early, "a", 1);
    hn_grammar_match_free(m);
    hn_grammar_match_free(early);
    hn_grammar_free(g);
    hn_grammar_vocab_free(v);
    hn_free(as);
}

static void counted_masks_are_exact(void **state) {
    (void)state;
    static const char *const texts[] = {"root ::= ([ab] | \"\xC3\xA9\"){3,6} \"b\"",
                                        "root ::= [a]{20,70} [b]{0,3}",
                                        "one ::= [^x]{0,90}\nroot ::= \"a\" one \"x\" | one",
                                        "root ::= (\"ab\" | \"aba\" | [^x]){2,80} \"a\"",
                                        "root ::= ([^x]{1,70} \"x\"?){2,3}",
                                        "root ::= ([^b]{1,70} \"b\"){0,100}"};
    hn_grammar_vocab *v = small_vocab();
    hn_rng rng;
    hn_rng_seed(&rng, 5, 0);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        hn_grammar *g = gbnf(texts[i]);
        for (int k = 0; k < 6; k++) walk(g, v, &rng, 30);
        hn_grammar_free(g);
    }
    hn_grammar_vocab_free(v);
}

static void deep_recursion(void **state) {
    (void)state;
    hn_grammar_vocab *v = small_vocab();
    hn_grammar *g = gbnf("root ::= \"[\" (root (\"x\" root){0,5})? \"]\"");
    hn_grammar_match *m;
    const uint64_t *mask;
    hn_test_ok(hn_grammar_match_create(g, v, &m, &err), &err);
    for (int i = 0; i < 1000; i++) {
        hn_test_ok(hn_grammar_match_mask(m, &mask, &err), &err);
        assert_int_equal(mask[0], i == 0 ? UINT64_C(1) << 27 : UINT64_C(3) << 27);
        hn_test_ok(hn_grammar_match_accept(m, 27, &err), &err);
    }
    for (int i = 0; i < 1000; i++) {
        assert_false(hn_grammar_match_can_end(m));
        hn_test_ok(hn_grammar_match_mask(m, &mask, &err), &err);
        assert_true(mask[0] >> 28 & 1);
        hn_test_ok(hn_grammar_match_accept(m, 28, &err), &err);
    }
    assert_true(hn_grammar_match_must_end(m));
    assert_int_equal(hn_grammar_match_accept(m, 28, &err), HN_ERR_INPUT);
    assert_true(hn_grammar_match_must_end(m));
    assert_int_equal(hn_grammar_match_accept(m, 17, &err), HN_ERR_INPUT); /* the empty token */
    assert_int_equal(hn_grammar_match_accept(m, -1, &err), HN_ERR_INPUT);
    assert_int_equal(hn_grammar_match_accept(m, 31, &err), HN_ERR_INPUT);
    hn_grammar_match_free(m);
    hn_grammar_free(g);
    hn_grammar_vocab_free(v);
}

static void ambiguity_is_limited(void **state) {
    (void)state;
    hn_grammar_vocab *v = small_vocab();
    hn_buf text;
    hn_grammar_match *m;
    size_t accepted;
    hn_status st;
    hn_buf_init(&text, 0); /* each rule calls the next in two ways: 2^20 stacks at the start */
    for (int i = 0; i < 20; i++)
        hn_buf_appendf(&text, "%s%.0d ::= (r%d \"aaaaaaaaaa\"){1,2} | (r%d \"aaaaaaaaab\"){1,3}\n",
                       i == 0 ? "root" : "r", i, i + 1, i + 1);
    hn_buf_append_str(&text, "r20 ::= \"aaaaaaaaaa\" | \"b\" r20\n");
    hn_grammar *g = gbnf(hn_buf_str(&text));
    assert_int_equal(hn_grammar_match_create(g, v, &m, &err), HN_ERR_LIMIT);
    assert_non_null(strstr(err.message, "ambiguous"));
    hn_grammar_free(g);
    hn_buf_free(&text);
    g = gbnf(
        "root ::= (\"a\" | \"aa\" | \"aaa\"){1,5000} \"b\""); /* rounds 1/3 to 1 of the length: grows past the limit */
    hn_test_ok(hn_grammar_match_create(g, v, &m, &err), &err);
    st = HN_OK;
    for (int i = 0; i < 5000 && st == HN_OK; i++) st = hn_grammar_match_bytes(m, "aaa", 3, &accepted, &err);
    assert_int_equal(st, HN_ERR_LIMIT);
    hn_grammar_match_free(m);
    hn_grammar_free(g);
    hn_grammar_vocab_free(v);
}

/* --- a real vocabulary --- */

static hn_tokenizer *smollm2(void) {
    char path[HN_PATH_MAX];
    hn_gguf *gguf;
    hn_tokenizer *t;
    if (!hn_test_model(path)) skip();
    hn_test_ok(hn_gguf_open(path, &gguf, &err), &err);
    hn_test_ok(hn_tokenizer_from_gguf(gguf, &t, &err), &err);
    hn_gguf_close(gguf);
    return t;
}

static const char json_grammar[] =
    "root ::= object\n"
    "value ::= object | array | string | number | \"true\" | \"false\" | \"null\"\n"
    "object ::= \"{\" ws (string \":\" ws value (\",\" ws string \":\" ws value)*)? ws \"}\"\n"
    "array ::= \"[\" ws (value (\",\" ws value)*)? ws \"]\"\n"
    "string ::= \"\\\"\" ([^\"\\\\\\x7F\\x00-\\x1F] | \"\\\\\" ([\"\\\\bfnrt/] | \"u\" [0-9a-fA-F]{4}))* \"\\\"\"\n"
    "number ::= \"-\"? (\"0\" | [1-9] [0-9]{0,15}) (\".\" [0-9]+)? ([eE] [-+]? [0-9]+)?\n"
    "ws ::= [ \\n]{0,30}\n";

static void check_after(const hn_grammar *g, hn_grammar_vocab *v, const char *text) {
    hn_grammar_match *m;
    size_t accepted;
    hn_test_ok(hn_grammar_match_create(g, v, &m, &err), &err);
    hn_test_ok(hn_grammar_match_bytes(m, text, strlen(text), &accepted, &err), &err);
    assert_int_equal(accepted, strlen(text));
    check_mask(g, v, m, text, strlen(text));
    hn_grammar_match_free(m);
}

static void real_masks(void **state) {
    (void)state;
    hn_tokenizer *t = smollm2();
    hn_grammar_vocab *v;
    const uint64_t *mask;
    hn_grammar_match *m;
    hn_test_ok(hn_grammar_vocab_create(t, &v, &err), &err);
    hn_grammar *g = gbnf(json_grammar);
    static const char *const texts[] = {"", "{", "{\"a", "{\"a\": [1", "{\"a\": [\"x\xC3", "{\n  \"b\":[{\"c\":\"d\""};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) check_after(g, v, texts[i]);
    hn_grammar_free(g);
    g = gbnf("root ::= \"\\\"\" ([^\"\\\\\\x00-\\x1F] | \"\\\\\" [nt]){3,12} \"\\\"\\n\"");
    static const char *const counted[] = {"\"", "\"ab", "\"abcdefg", "\"abcdefghijk", "\"abcdefghijkl"};
    for (size_t i = 0; i < sizeof counted / sizeof *counted; i++) check_after(g, v, counted[i]);
    hn_grammar_free(g);
    g = gbnf("root ::= ([a-zA-Z0-9]+ \" \"{1,3}){3,50} [a-z]{1,90} (\"\\n\" .{0,9}){0,3} \".\"");
    static const char *const sentence[] = {"",        "The ",        "The quick",          "The quick  brown ",
                                           "a b c d", "a b c d\nef", "a b c d\nefghijkl\n"};
    for (size_t i = 0; i < sizeof sentence / sizeof *sentence; i++) check_after(g, v, sentence[i]);
    hn_grammar_free(g);
    g = gbnf("root ::= .*"); /* all that is text, and nothing else */
    hn_test_ok(hn_grammar_match_create(g, v, &m, &err), &err);
    hn_test_ok(hn_grammar_match_mask(m, &mask, &err), &err);
    for (int32_t id = 0; id < v->n_tokens; id++)
        if (hn_tokenizer_kind(t, id) == HN_TOKEN_CONTROL || hn_tokenizer_is_end(t, id))
            assert_false(mask[id / 64] >> (id % 64) & 1);
    assert_true(mask[hn_tokenizer_vocab_size(t) / 128] != 0);
    hn_grammar_match_free(m);
    hn_grammar_free(g);
    hn_grammar_vocab_free(v);
    hn_tokenizer_free(t);
}

/* SentencePiece: byte tokens stand for their bytes, and a piece's mark is a blank of the text. */
static void sentencepiece_vocabulary(void **state) {
    (void)state;
    size_t n;
    hn_tokenizer *t;
    hn_grammar_vocab *v;
    hn_grammar_match *m;
    char *json = hn_test_read("tests/fixtures/tokenizers/llama2.json", &n);
    hn_test_ok(hn_tokenizer_from_json(json, n, "llama2.json", &t, &err), &err);
    hn_test_ok(hn_grammar_vocab_create(t, &v, &err), &err);
    hn_grammar *g = gbnf("root ::= (\"\\U0001F600\" | [ a-z\\u4e2d]+)+");
    hn_test_ok(hn_grammar_match_create(g, v, &m, &err), &err);
    check_mask(g, v, m, "", 0);
    static const unsigned char smile[] = {0xF0, 0x9F, 0x98, 0x80};
    for (int i = 0; i < 4; i++) { /* no token has the character whole: byte by byte */
        const uint64_t *mask;
        int n_bytes = 0;
        int32_t found = -1;
        hn_test_ok(hn_grammar_match_mask(m, &mask, &err), &err);
        for (int32_t id = 0; id < v->n_tokens; id++) {
            if (!(mask[id / 64] >> (id % 64) & 1)) continue;
            assert_true(hn_tokenizer_kind(t, id) != HN_TOKEN_CONTROL && hn_tokenizer_kind(t, id) != HN_TOKEN_UNKNOWN);
            if (hn_tokenizer_kind(t, id) == HN_TOKEN_BYTE && (unsigned char)v->bytes[v->offsets[id]] == smile[i]) {
                found = id;
                n_bytes++;
            }
        }
        assert_int_equal(n_bytes, 1);
        hn_test_ok(hn_grammar_match_accept(m, found, &err), &err);
        assert_int_equal(hn_grammar_match_can_end(m), i == 3);
    }
    check_mask(g, v, m, "\xF0\x9F\x98\x80", 4);
    hn_grammar_match_free(m);
    hn_grammar_free(g);
    hn_grammar_vocab_free(v);
    hn_tokenizer_free(t);
    hn_free(json);
}

/* --- sharing, and memory that runs out --- */

static void equal_grammars_share(void **state) {
    (void)state;
    hn_grammar_vocab *v = small_vocab();
    hn_grammar *one = gbnf("root ::= [ab]{1,9}"), *two = gbnf("root ::= [ab]{1,9} # again"),
               *other = gbnf("root ::= [ab]{1,8}");
    hn_grammar_match *a, *b, *c;
    const uint64_t *mask;
    assert_string_equal(hn_grammar_hash(one), hn_grammar_hash(two));
    assert_string_not_equal(hn_grammar_hash(one), hn_grammar_hash(other));
    hn_test_ok(hn_grammar_match_create(one, v, &a, &err), &err);
    hn_test_ok(hn_grammar_match_mask(a, &mask, &err), &err);
    hn_grammar_match_free(a);
    hn_grammar_free(one);
    hn_test_ok(hn_grammar_match_create(two, v, &b, &err), &err);
    hn_test_ok(hn_grammar_match_create(other, v, &c, &err), &err);
    assert_int_equal(v->n_automata, 2);
    check_mask(two, v, b, "", 0);
    hn_grammar_match_free(b);
    hn_grammar_match_free(c);
    for (int i = 10; i < 60; i++) { /* unused ones go */
        char text[40];
        snprintf(text, sizeof text, "root ::= [ab]{1,%d}", i);
        hn_grammar *g = gbnf(text);
        hn_test_ok(hn_grammar_match_create(g, v, &a, &err), &err);
        hn_grammar_match_free(a);
        hn_grammar_free(g);
    }
    assert_true(v->n_automata <= 16);
    hn_grammar_free(two);
    hn_grammar_free(other);
    hn_grammar_vocab_free(v);
}

static hn_status everything(void) {
    static const hn_str pieces[] = {{"a", 1}, {"ab", 2}, {"\"", 1}, {"b\"", 2}, {"ba", 2}};
    hn_grammar_vocab *v = NULL;
    hn_grammar *g = NULL;
    hn_grammar_match *m = NULL;
    const uint64_t *mask;
    hn_status st = hn_grammar_vocab_from_pieces(pieces, 5, &v, NULL);
    if (st == HN_OK)
        st = hn_grammar_from_gbnf(
            "root ::= q (\"a\" | [b\\u00e0-\\U0010ffff]){1,40} q* | q root q\nq ::= \"\\\"\" [ab]?", "g", &g, NULL);
    if (st == HN_OK) st = hn_grammar_match_create(g, v, &m, NULL);
    static const int32_t ids[] = {2, 1, 0, 3};
    for (int i = 0; i < 4 && st == HN_OK; i++) {
        st = hn_grammar_match_mask(m, &mask, NULL);
        if (st == HN_OK) st = hn_grammar_match_accept(m, ids[i], NULL);
    }
    hn_grammar_match_free(m);
    hn_grammar_free(g);
    hn_grammar_vocab_free(v);
    return st;
}

static void memory_runs_out(void **state) {
    (void)state;
    hn_status st = HN_ERR_MEMORY;
    size_t n = 0;
    while (st == HN_ERR_MEMORY && n < 5000) {
        hn_alloc_fail_at(++n, true);
        st = everything();
    }
    hn_alloc_fail_at(0, false);
    assert_int_equal(st, HN_OK);
    assert_true(n > 50);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_grammars),          cmocka_unit_test(counting_is_cheap),
        cmocka_unit_test(counted_masks_are_exact),  cmocka_unit_test(deep_recursion),
        cmocka_unit_test(ambiguity_is_limited),     cmocka_unit_test(real_masks),
        cmocka_unit_test(sentencepiece_vocabulary), cmocka_unit_test(equal_grammars_share),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
