/* GBNF, llama.cpp's notation for grammars, to nodes:
 *
 *     root ::= item ("," " "? item)*       # a comment
 *     item ::= [a-z]+ | "\"" [^"\n]{1,20} "\"" | .
 *
 * A rule goes on until the next `name ::=` or the end of the text, so alternatives may stand on lines of their own (llama.cpp
 * wants the bar at the end of the line before; what it accepts means the same here). \xNN, \uNNNN and \UNNNNNNNN are
 * characters, not bytes. Its references to single tokens, <[123]> and <name>, are errors. */
#include "engine/grammar_parts.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { GBNF_DEPTH_MAX = 400, GBNF_BYTES_MAX = 64 << 20, NAME_MAX_BYTES = 200 };

typedef struct reader {
    hn_grammar_builder *b;
    const char *text, *name;
    size_t at, n;
    int depth;
    size_t *first_use; /* of each rule of the builder: byte, or SIZE_MAX */
    size_t n_uses, use_capacity;
} reader;

typedef struct node_list {
    hn_grammar_node *nodes;
    size_t n, capacity;
} node_list;

/* Always false, so that a failure is one return. */
static bool bad(reader *r, size_t at, hn_status code, const char *hint, const char *fmt, ...) HN_PRINTF(5, 6);

static bool bad(reader *r, size_t at, hn_status code, const char *hint, const char *fmt, ...) {
    char message[400], where[300];
    size_t line = 1, start = 0;
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    for (size_t i = 0; i < at && i < r->n; i++)
        if (r->text[i] == '\n') {
            line++;
            start = i + 1;
        }
    snprintf(where, sizeof where, "%.200s:%zu:%zu", r->name, line,
             (at > start ? hn_utf8_count(r->text + start, at - start) : 0) + 1);
    (void)hn_grammar_bad(r->b, code, where, hint, "%s", message);
    return false;
}

static bool put(reader *r, node_list *list, hn_grammar_node node) {
    if (!hn_grow((void **)&list->nodes, &list->capacity, list->n + 1, sizeof *list->nodes))
        return bad(r, r->at, HN_ERR_MEMORY, NULL, "no memory for %zu parts", list->n + 1);
    list->nodes[list->n++] = node;
    return node != HN_GRAMMAR_BAD;
}

static void skip_blanks(reader *r) {
    while (r->at < r->n) {
        char c = r->text[r->at];
        if (c == '#')
            while (r->at < r->n && r->text[r->at] != '\n') r->at++;
        else if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
            r->at++;
        else
            return;
    }
}

static bool is_name_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static size_t name_end(const reader *r, size_t at) {
    while (at < r->n && is_name_byte(r->text[at])) at++;
    return at;
}

/* Whether a new rule begins here: a name and ::= */
static bool at_rule(const reader *r) {
    size_t at = name_end(r, r->at);
    if (at == r->at) return false;
    while (at < r->n && (r->text[at] == ' ' || r->text[at] == '\t')) at++;
    return r->n - at >= 3 && memcmp(r->text + at, "::=", 3) == 0;
}

static bool read_name(reader *r, char name[NAME_MAX_BYTES + 1]) {
    size_t end = name_end(r, r->at);
    if (end - r->at > NAME_MAX_BYTES)
        return bad(r, r->at, HN_ERR_LIMIT, "use a shorter name", "a rule's name of %zu bytes, the limit is %d",
                   end - r->at, NAME_MAX_BYTES);
    memcpy(name, r->text + r->at, end - r->at);
    name[end - r->at] = 0;
    r->at = end;
    return true;
}

/* --- characters --- */

static bool read_hex(reader *r, size_t start, int n_digits, uint32_t *value) {
    *value = 0;
    for (int i = 0; i < n_digits; i++, r->at++) {
        char c = r->at < r->n ? r->text[r->at] : 0;
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
        if (d < 0)
            return bad(r, start, HN_ERR_INPUT, "\\x takes 2 hexadecimal digits, \\u 4, \\U 8",
                       "an escape with fewer than %d hexadecimal digits", n_digits);
        *value = *value << 4 | (uint32_t)d;
    }
    if (*value > 0x10FFFF || (*value >= 0xD800 && *value <= 0xDFFF))
        return bad(r, start, HN_ERR_INPUT, "characters are U+0000 to U+D7FF and U+E000 to U+10FFFF",
                   "U+%04X is not a character", (unsigned)*value);
    return true;
}

static bool read_character(reader *r, uint32_t *cp) {
    static const char names[] = "trn\\\"[]-^'/", values[] = "\t\r\n\\\"[]-^'/";
    size_t start = r->at;
    if (r->text[r->at] != '\\') {
        r->at += hn_utf8_decode(r->text + r->at, r->n - r->at, cp);
        return true;
    }
    if (r->n - r->at < 2) return bad(r, start, HN_ERR_INPUT, "write \\\\ for a backslash", "a backslash at the end");
    char c = r->text[r->at + 1];
    r->at += 2;
    if (c == 'x') return read_hex(r, start, 2, cp);
    if (c == 'u') return read_hex(r, start, 4, cp);
    if (c == 'U') return read_hex(r, start, 8, cp);
    const char *found = c ? strchr(names, c) : NULL;
    if (!found)
        return bad(r, start, HN_ERR_INPUT, "known are \\n \\r \\t \\\\ \\\" \\[ \\] \\xNN \\uNNNN \\UNNNNNNNN",
                   "the escape \\%c is not known", c >= ' ' && c < 127 ? c : '?');
    *cp = (unsigned char)values[found - names];
    return true;
}

static bool read_literal(reader *r, hn_grammar_node *node) {
    size_t start = r->at++;
    hn_buf text;
    bool fine = true;
    hn_buf_init(&text, HN_GRAMMAR_BYTES_MAX);
    while (fine && r->at < r->n && r->text[r->at] != '"' && r->text[r->at] != '\n') {
        uint32_t cp;
        fine = read_character(r, &cp);
        if (fine) hn_buf_append_codepoint(&text, cp);
    }
    if (fine && (r->at >= r->n || r->text[r->at] != '"'))
        fine = bad(r, start, HN_ERR_INPUT, "close it with \" on the same line; a line end inside is \\n",
                   "a text that is not closed");
    if (fine && hn_buf_status(&text) != HN_OK)
        fine = bad(r, start, hn_buf_status(&text), NULL, "a text that is too long");
    r->at++;
    if (fine) *node = hn_grammar_bytes(r->b, hn_buf_str(&text), text.len);
    hn_buf_free(&text);
    return fine;
}

typedef struct range_list {
    hn_code_range *ranges;
    size_t n, capacity;
} range_list;

static bool read_ranges(reader *r, size_t start, range_list *list) {
    while (r->at < r->n && r->text[r->at] != ']') {
        uint32_t first, last;
        size_t member = r->at;
        if (!read_character(r, &first)) return false;
        last = first;
        if (r->n - r->at >= 2 && r->text[r->at] == '-' && r->text[r->at + 1] != ']') {
            r->at++;
            if (!read_character(r, &last)) return false;
        }
        if (last < first)
            return bad(r, member, HN_ERR_INPUT, "give the smaller character first",
                       "a range from U+%04X down to U+%04X", (unsigned)first, (unsigned)last);
        if (!hn_grow((void **)&list->ranges, &list->capacity, list->n + 1, sizeof *list->ranges))
            return bad(r, member, HN_ERR_MEMORY, NULL, "no memory for a class of %zu ranges", list->n + 1);
        list->ranges[list->n++] = (hn_code_range){first, last};
    }
    if (r->at >= r->n) return bad(r, start, HN_ERR_INPUT, "close it with ]", "a class that is not closed");
    r->at++;
    return true;
}

static bool read_class(reader *r, hn_grammar_node *node) {
    size_t start = r->at++;
    range_list list = {0};
    bool negated = r->at < r->n && r->text[r->at] == '^';
    if (negated) r->at++;
    bool fine = read_ranges(r, start, &list);
    if (fine) *node = hn_grammar_class(r->b, list.ranges, list.n, negated);
    hn_free(list.ranges);
    return fine;
}

/* --- items --- */

static bool read_choice(reader *r, hn_grammar_node *node);

static bool read_group(reader *r, hn_grammar_node *node) {
    size_t start = r->at++;
    if (++r->depth > GBNF_DEPTH_MAX)
        return bad(r, start, HN_ERR_LIMIT, "name inner parts as rules of their own", "groups nested deeper than %d",
                   GBNF_DEPTH_MAX);
    if (!read_choice(r, node)) return false;
    r->depth--;
    if (r->at >= r->n || r->text[r->at] != ')')
        return bad(r, start, HN_ERR_INPUT, "close it with )", "a group that is not closed");
    r->at++;
    return true;
}

static bool read_reference(reader *r, hn_grammar_node *node) {
    char name[NAME_MAX_BYTES + 1];
    size_t start = r->at;
    if (!read_name(r, name)) return false;
    *node = hn_grammar_rule(r->b, name);
    if (*node == HN_GRAMMAR_BAD) return false;
    uint32_t rule = r->b->nodes[*node].first;
    if (!hn_grow((void **)&r->first_use, &r->use_capacity, (size_t)rule + 1, sizeof *r->first_use))
        return bad(r, start, HN_ERR_MEMORY, NULL, "no memory for %u rules", (unsigned)rule + 1);
    while (r->n_uses <= rule) r->first_use[r->n_uses++] = SIZE_MAX;
    if (r->first_use[rule] == SIZE_MAX) r->first_use[rule] = start;
    return true;
}

static bool read_number(reader *r, int64_t *value) {
    size_t start = r->at;
    *value = 0;
    for (; r->at < r->n && r->text[r->at] >= '0' && r->text[r->at] <= '9'; r->at++)
        if (*value <= HN_GRAMMAR_REPEAT_MAX) *value = *value * 10 + (r->text[r->at] - '0');
    return r->at > start;
}

static void skip_spaces(reader *r) {
    while (r->at < r->n && (r->text[r->at] == ' ' || r->text[r->at] == '\t')) r->at++;
}

static bool read_braces(reader *r, int64_t *min, int64_t *max) {
    size_t start = r->at++;
    bool fine;
    skip_spaces(r);
    fine = read_number(r, min);
    *max = *min;
    skip_spaces(r);
    if (fine && r->at < r->n && r->text[r->at] == ',') {
        r->at++;
        skip_spaces(r);
        if (!read_number(r, max)) *max = HN_GRAMMAR_NO_LIMIT;
        skip_spaces(r);
    }
    if (!fine || r->at >= r->n || r->text[r->at] != '}')
        return bad(r, start, HN_ERR_INPUT, "write {2}, {2,} or {2,5}", "a repeat whose numbers cannot be read");
    r->at++;
    if (*max != HN_GRAMMAR_NO_LIMIT && *max < *min)
        return bad(r, start, HN_ERR_INPUT, "give the smaller number first", "a repeat from %lld to %lld times",
                   (long long)*min, (long long)*max);
    if (*min > HN_GRAMMAR_REPEAT_MAX || *max > HN_GRAMMAR_REPEAT_MAX)
        return bad(r, start, HN_ERR_LIMIT, "leave the upper limit open, as {1,}", "a repeat of more than %d times",
                   HN_GRAMMAR_REPEAT_MAX);
    return true;
}

static bool read_repeats(reader *r, hn_grammar_node *node) {
    for (int n = 0; r->at < r->n; n++) {
        int64_t min = 0, max = HN_GRAMMAR_NO_LIMIT;
        char c = r->text[r->at];
        if (c == '{') {
            if (!read_braces(r, &min, &max)) return false;
        } else if (c == '*' || c == '+' || c == '?') {
            r->at++;
            min = c == '+';
            if (c == '?') max = 1;
        } else {
            return true;
        }
        if (n > GBNF_DEPTH_MAX) return bad(r, r->at, HN_ERR_LIMIT, "one is enough", "more than %d repeats in a row", n);
        *node = hn_grammar_repeat(r->b, *node, min, max);
        if (*node == HN_GRAMMAR_BAD) return false;
        while (r->at < r->n && (r->text[r->at] == ' ' || r->text[r->at] == '\t')) r->at++;
    }
    return true;
}

static bool read_item(reader *r, hn_grammar_node *node) {
    char c = r->text[r->at];
    if (c == '"') return read_literal(r, node);
    if (c == '[') return read_class(r, node);
    if (c == '(') return read_group(r, node);
    if (c == '.') {
        r->at++;
        *node = hn_grammar_class(r->b, NULL, 0, true);
        return true;
    }
    if (is_name_byte(c)) return read_reference(r, node);
    if (c == '<' || c == '!')
        return bad(r, r->at, HN_ERR_UNSUPPORTED, "write the token's text in quotes", "a reference to a single token");
    if (c == '*' || c == '+' || c == '?' || c == '{')
        return bad(r, r->at, HN_ERR_INPUT, "put what is repeated before it, or quote it", "nothing to repeat before %c",
                   c);
    if (c == ':')
        return bad(r, r->at, HN_ERR_INPUT, "a rule is `name ::= ...`; names are letters, digits, - and _",
                   "a rule without a name");
    return bad(r, r->at, HN_ERR_INPUT, "put text in quotes", "%s is not understood here",
               c == ')'   ? "a ) without its ("
               : c == ']' ? "a ] without its ["
                          : "this character");
}

static bool read_sequence(reader *r, hn_grammar_node *node) {
    node_list items = {0};
    bool fine = true;
    for (skip_blanks(r); fine && r->at < r->n && r->text[r->at] != '|' && !(r->text[r->at] == ')' && r->depth > 0);
         skip_blanks(r)) {
        hn_grammar_node item = HN_GRAMMAR_BAD;
        if (r->depth == 0 && at_rule(r)) break;
        fine = read_item(r, &item);
        skip_spaces(r);
        fine = fine && read_repeats(r, &item) && put(r, &items, item);
    }
    if (fine) *node = hn_grammar_sequence(r->b, items.nodes, items.n);
    hn_free(items.nodes);
    return fine && *node != HN_GRAMMAR_BAD;
}

static bool read_choice(reader *r, hn_grammar_node *node) {
    node_list alternatives = {0};
    bool fine, more = true;
    do {
        hn_grammar_node one = HN_GRAMMAR_BAD;
        fine = read_sequence(r, &one) && put(r, &alternatives, one);
        more = fine && r->at < r->n && r->text[r->at] == '|';
        if (more) r->at++;
    } while (more);
    if (fine) *node = hn_grammar_choice(r->b, alternatives.nodes, alternatives.n);
    hn_free(alternatives.nodes);
    return fine && *node != HN_GRAMMAR_BAD;
}

static bool read_rule(reader *r) {
    char name[NAME_MAX_BYTES + 1];
    hn_grammar_node body = HN_GRAMMAR_BAD;
    size_t start = r->at;
    if (!at_rule(r))
        return bad(r, r->at, HN_ERR_INPUT, "a rule is `name ::= ...`; names are letters, digits, - and _",
                   "a rule was expected here");
    if (!read_name(r, name)) return false;
    skip_spaces(r);
    r->at += 3;
    if (!read_choice(r, &body)) return false;
    hn_grammar_node rule = hn_grammar_rule(r->b, name);
    if (rule == HN_GRAMMAR_BAD) return false;
    if (r->b->rules[r->b->nodes[rule].first].body != HN_GRAMMAR_BAD)
        return bad(r, start, HN_ERR_INPUT, "give the second rule another name, or join both with |",
                   "the rule \"%s\" is defined twice", name);
    hn_grammar_define(r->b, name, body);
    return true;
}

static bool check_rules(reader *r) {
    for (size_t i = 0; i < r->b->n_rules; i++)
        if (r->b->rules[i].body == HN_GRAMMAR_BAD)
            return bad(r, i < r->n_uses && r->first_use[i] != SIZE_MAX ? r->first_use[i] : 0, HN_ERR_INPUT,
                       "define it, or correct its name where it is used", "the rule \"%s\" is not defined",
                       r->b->rules[i].name);
    return true;
}

static hn_grammar_node read_all(reader *r) {
    size_t wrong;
    hn_grammar_node root = hn_grammar_rule(r->b, "root");
    if (root == HN_GRAMMAR_BAD) return root;
    if (r->n > GBNF_BYTES_MAX) {
        (void)bad(r, 0, HN_ERR_LIMIT, "make the grammar smaller", "%zu bytes, the limit is %d", r->n, GBNF_BYTES_MAX);
        return HN_GRAMMAR_BAD;
    }
    if (!hn_utf8_valid(r->text, r->n, &wrong)) {
        (void)bad(r, wrong, HN_ERR_INPUT, "save the grammar as UTF-8", "byte %zu is not valid UTF-8", wrong);
        return HN_GRAMMAR_BAD;
    }
    for (skip_blanks(r); r->at < r->n; skip_blanks(r))
        if (!read_rule(r)) return HN_GRAMMAR_BAD;
    return check_rules(r) ? root : HN_GRAMMAR_BAD;
}

hn_status hn_grammar_from_gbnf(const char *text, const char *name, hn_grammar **grammar, hn_error *err) {
    reader r = {.text = text, .name = name ? name : "grammar", .n = strlen(text)};
    *grammar = NULL;
    HN_TRY(hn_grammar_builder_create(&r.b, err));
    hn_grammar_node root = read_all(&r);
    hn_free(r.first_use);
    return hn_grammar_finish(r.b, root, grammar, err);
}
