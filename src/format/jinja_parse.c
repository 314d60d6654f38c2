/* Jinja's parser for expressions: tokens to a tree, with Jinja's precedences; see jinja_parse.h. Statements are in
 * jinja_stmt.c.
 * Surprise: filters and tests bind tighter than arithmetic but looser than a unary minus's operand, as in Jinja: -1|abs
 * is (-1)|abs. */
#include "format/jinja_parse.h"

#include "base/hash.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- the token stream ---- */

const hn_jn_token *hn_jn_peek(const hn_jn_parser *p) { return &p->tokens[p->at]; }

static const hn_jn_token *look(const hn_jn_parser *p) { return &p->tokens[p->at + 1 < p->n ? p->at + 1 : p->n - 1]; }

static bool is(const hn_jn_token *token, hn_jn_token_type type, const char *text) {
    return token->type == type && strlen(text) == token->len && memcmp(token->text, text, token->len) == 0;
}

bool hn_jn_is_operator(const hn_jn_parser *p, const char *text) {
    return is(hn_jn_peek(p), HN_JN_TOKEN_OPERATOR, text);
}
bool hn_jn_is_name(const hn_jn_parser *p, const char *text) { return is(hn_jn_peek(p), HN_JN_TOKEN_NAME, text); }

/* The current token, consumed (the last one stays). */
static const hn_jn_token *take(hn_jn_parser *p) {
    const hn_jn_token *token = hn_jn_peek(p);
    if (p->at + 1 < p->n) p->at++;
    return token;
}

bool hn_jn_take_operator(hn_jn_parser *p, const char *text) {
    if (p->failed || !hn_jn_is_operator(p, text)) return false;
    take(p);
    return true;
}

bool hn_jn_take_name(hn_jn_parser *p, const char *text) {
    if (p->failed || !hn_jn_is_name(p, text)) return false;
    take(p);
    return true;
}

void hn_jn_parse_fail(hn_jn_parser *p, size_t at, const char *hint, const char *fmt, ...) {
    if (p->failed) return;
    char message[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    p->failed = hn_jn_fail_at(p->t, at, HN_ERR_TEMPLATE, p->err, hint, "%s", message);
}

void hn_jn_unexpected(hn_jn_parser *p, const char *expected) {
    const hn_jn_token *token = hn_jn_peek(p);
    if (token->type == HN_JN_TOKEN_END)
        hn_jn_parse_fail(p, token->at, NULL, "%s expected, but the template ends", expected);
    else
        hn_jn_parse_fail(p, token->at, NULL, "%s expected, not `%.*s`", expected,
                         token->len > 60 ? 60 : (int)token->len, token->text);
}

void hn_jn_expect_operator(hn_jn_parser *p, const char *text) {
    if (p->failed || hn_jn_take_operator(p, text)) return;
    char expected[16];
    snprintf(expected, sizeof expected, "`%s`", text);
    hn_jn_unexpected(p, expected);
}

/* ---- nodes ---- */

hn_jn_node *hn_jn_node_new(hn_jn_parser *p, hn_jn_kind kind, size_t at) {
    if (p->failed) return NULL;
    hn_jn_node *node = hn_arena_alloc(p->t->arena, sizeof *node);
    if (!node) {
        p->failed = hn_fail_memory(p->err, sizeof *node);
        return NULL;
    }
    node->kind = kind;
    node->at = (uint32_t)at;
    return node;
}

static void raise_height(hn_jn_parser *p, hn_jn_node *node, const hn_jn_node *child) {
    if (!child || child->height < node->height) return;
    node->height = child->height + 1;
    if (node->height > HN_JN_HEIGHT_MAX)
        hn_jn_parse_fail(p, node->at, "split it with {% set %}", "an expression or nesting of more than %d parts",
                         HN_JN_HEIGHT_MAX);
}

hn_jn_node *hn_jn_node_set(hn_jn_parser *p, hn_jn_node *node, hn_jn_node *a, hn_jn_node *b, hn_jn_node *c) {
    if (!node) return NULL;
    node->a = a, node->b = b, node->c = c;
    raise_height(p, node, a);
    raise_height(p, node, b);
    raise_height(p, node, c);
    return p->failed ? NULL : node;
}

void hn_jn_node_add(hn_jn_parser *p, hn_jn_node *node, hn_jn_node *child) {
    if (!node || p->failed) return;
    size_t n = node->n_items;
    if ((n & (n - 1)) == 0) { /* 0, 1, 2, 4, 8, ...: full */
        hn_jn_node **grown = hn_arena_calloc(p->t->arena, n ? 2 * n : 1, sizeof *grown);
        if (!grown) {
            p->failed = hn_fail_memory(p->err, 2 * n * sizeof *grown);
            return;
        }
        if (n) memcpy(grown, node->items, n * sizeof *grown);
        node->items = grown;
    }
    node->items[node->n_items++] = child;
    raise_height(p, node, child);
}

uint32_t hn_jn_symbol_of(hn_jn_parser *p, const char *name, size_t len) {
    hn_jinja *t = p->t;
    if (p->failed) return 0;
    uint32_t *bucket = &t->buckets[hn_hash64(name, len, 0) & 255];
    for (uint32_t i = *bucket; i; i = t->symbols[i - 1].next)
        if (strlen(t->symbols[i - 1].name) == len && memcmp(t->symbols[i - 1].name, name, len) == 0) return i - 1;
    if (t->n_symbols >= HN_JN_SYMBOLS_MAX) {
        hn_jn_parse_fail(p, hn_jn_peek(p)->at, "use fewer variables", "more than %d different names",
                         HN_JN_SYMBOLS_MAX);
        return 0;
    }
    if (t->n_symbols == t->symbol_capacity) {
        size_t capacity = t->symbol_capacity ? 2 * t->symbol_capacity : 32;
        hn_jn_symbol *grown = hn_arena_calloc(t->arena, capacity, sizeof *grown);
        if (grown && t->n_symbols) memcpy(grown, t->symbols, t->n_symbols * sizeof *grown);
        if (grown) t->symbols = grown, t->symbol_capacity = capacity;
    }
    char *copy = hn_arena_strndup(t->arena, name, len);
    if (!copy || t->n_symbols == t->symbol_capacity) {
        p->failed = hn_fail_memory(p->err, len);
        return 0;
    }
    t->symbols[t->n_symbols] = (hn_jn_symbol){.name = copy, .function = hn_jn_function_find(copy), .next = *bucket};
    *bucket = (uint32_t)++t->n_symbols;
    return *bucket - 1;
}

uint32_t hn_jn_parse_symbol(hn_jn_parser *p, const char **name) {
    if (p->failed) return 0;
    const hn_jn_token *token = hn_jn_peek(p);
    if (token->type != HN_JN_TOKEN_NAME) {
        hn_jn_unexpected(p, "a name");
        return 0;
    }
    take(p);
    uint32_t symbol = hn_jn_symbol_of(p, token->text, token->len);
    if (name) *name = p->failed ? "" : p->t->symbols[symbol].name;
    return symbol;
}

static bool enter(hn_jn_parser *p) {
    if (p->failed) return false;
    if (++p->nesting <= HN_JN_NESTING_MAX) return true;
    hn_jn_parse_fail(p, hn_jn_peek(p)->at, "make it flatter", "nested deeper than %d", HN_JN_NESTING_MAX);
    return false;
}

/* ---- primaries ---- */

static hn_jn_node *constant(hn_jn_parser *p, size_t at, hn_jn_value value) {
    hn_jn_node *node = hn_jn_node_new(p, HN_JN_CONST, at);
    if (node) node->constant = value;
    return node;
}

/* Adjacent string literals are one string. */
static hn_jn_node *string_literal(hn_jn_parser *p) {
    const hn_jn_token *first = take(p);
    size_t len = first->len, start = p->at;
    while (hn_jn_peek(p)->type == HN_JN_TOKEN_STRING) len += take(p)->len;
    hn_jn_str *s = hn_arena_alloc(p->t->arena, sizeof *s);
    char *text = hn_arena_alloc(p->t->arena, len + 1);
    if (!s || !text) {
        p->failed = hn_fail_memory(p->err, len);
        return NULL;
    }
    memcpy(text, first->text, first->len);
    size_t used = first->len;
    for (size_t i = start; i < p->at; used += p->tokens[i].len, i++)
        memcpy(text + used, p->tokens[i].text, p->tokens[i].len);
    *s = (hn_jn_str){.data = text, .len = len};
    return constant(p, first->at, (hn_jn_value){.type = HN_JN_STRING, .as.str = s});
}

static hn_jn_node *name_or_literal(hn_jn_parser *p, bool with_namespace) {
    const hn_jn_token *token = hn_jn_peek(p);
    if (is(token, HN_JN_TOKEN_NAME, "true") || is(token, HN_JN_TOKEN_NAME, "True"))
        return take(p), constant(p, token->at, hn_jn_bool(true));
    if (is(token, HN_JN_TOKEN_NAME, "false") || is(token, HN_JN_TOKEN_NAME, "False"))
        return take(p), constant(p, token->at, hn_jn_bool(false));
    if (is(token, HN_JN_TOKEN_NAME, "none") || is(token, HN_JN_TOKEN_NAME, "None"))
        return take(p), constant(p, token->at, hn_jn_none());
    const char *name;
    uint32_t symbol = hn_jn_parse_symbol(p, &name);
    bool dotted = with_namespace && hn_jn_take_operator(p, ".");
    hn_jn_node *node = hn_jn_node_new(p, dotted ? HN_JN_NAMESPACE_REF : HN_JN_NAME, token->at);
    if (!node) return NULL;
    node->symbol = symbol;
    node->name = name;
    if (dotted) hn_jn_parse_symbol(p, &node->name);
    return node;
}

static hn_jn_node *list_literal(hn_jn_parser *p) {
    hn_jn_node *node = hn_jn_node_new(p, HN_JN_LIST_NODE, take(p)->at);
    while (!p->failed && !hn_jn_is_operator(p, "]")) {
        if (node->n_items) hn_jn_expect_operator(p, ",");
        if (hn_jn_is_operator(p, "]")) break;
        hn_jn_node_add(p, node, hn_jn_parse_expression(p, true));
    }
    hn_jn_expect_operator(p, "]");
    return node;
}

static hn_jn_node *dict_literal(hn_jn_parser *p) {
    hn_jn_node *node = hn_jn_node_new(p, HN_JN_DICT_NODE, take(p)->at);
    while (!p->failed && !hn_jn_is_operator(p, "}")) {
        if (node->n_items) hn_jn_expect_operator(p, ",");
        if (hn_jn_is_operator(p, "}")) break;
        hn_jn_node_add(p, node, hn_jn_parse_expression(p, true));
        hn_jn_expect_operator(p, ":");
        hn_jn_node_add(p, node, hn_jn_parse_expression(p, true));
    }
    hn_jn_expect_operator(p, "}");
    return node;
}

static bool tuple_ends(const hn_jn_parser *p) {
    hn_jn_token_type type = hn_jn_peek(p)->type;
    return type == HN_JN_TOKEN_PRINT_END || type == HN_JN_TOKEN_BLOCK_END || hn_jn_is_operator(p, ")");
}

static hn_jn_node *target(hn_jn_parser *p, bool with_namespace);

/* Elements separated by commas; without a comma it is the one element itself. */
static hn_jn_node *tuple_items(hn_jn_parser *p, bool targets, bool with_namespace, bool with_condition,
                               bool may_be_empty) {
    hn_jn_node *node = hn_jn_node_new(p, HN_JN_TUPLE_NODE, hn_jn_peek(p)->at);
    bool comma = false;
    while (!p->failed && !tuple_ends(p) && !(targets && hn_jn_is_name(p, "in"))) {
        hn_jn_node_add(p, node, targets ? target(p, with_namespace) : hn_jn_parse_expression(p, with_condition));
        if (!hn_jn_take_operator(p, ",")) break;
        comma = true;
    }
    if (p->failed) return NULL;
    if (comma) return node;
    if (node->n_items == 1) return node->items[0];
    if (!may_be_empty) hn_jn_unexpected(p, "an expression");
    return node;
}

hn_jn_node *hn_jn_parse_tuple(hn_jn_parser *p, bool with_condition) {
    return tuple_items(p, false, false, with_condition, false);
}

hn_jn_node *hn_jn_parse_targets(hn_jn_parser *p, bool with_namespace) {
    return tuple_items(p, true, with_namespace, false, false);
}

static hn_jn_node *target(hn_jn_parser *p, bool with_namespace) {
    if (!enter(p)) return NULL;
    hn_jn_node *node = NULL;
    size_t at = hn_jn_peek(p)->at;
    if (hn_jn_take_operator(p, "(")) {
        node = tuple_items(p, true, with_namespace, false, false);
        hn_jn_expect_operator(p, ")");
    } else {
        node = name_or_literal(p, with_namespace);
        if (node && node->kind == HN_JN_CONST)
            hn_jn_parse_fail(p, at, "choose another name", "cannot assign to a constant");
    }
    p->nesting--;
    return p->failed ? NULL : node;
}

static hn_jn_node *primary(hn_jn_parser *p) {
    if (p->failed) return NULL;
    const hn_jn_token *token = hn_jn_peek(p);
    switch (token->type) {
    case HN_JN_TOKEN_NAME: return name_or_literal(p, false);
    case HN_JN_TOKEN_STRING: return string_literal(p);
    case HN_JN_TOKEN_INTEGER: return take(p), constant(p, token->at, hn_jn_int(token->integer));
    case HN_JN_TOKEN_FLOAT: return take(p), constant(p, token->at, hn_jn_float(token->real));
    default: break;
    }
    if (hn_jn_is_operator(p, "[")) return list_literal(p);
    if (hn_jn_is_operator(p, "{")) return dict_literal(p);
    if (hn_jn_take_operator(p, "(")) {
        hn_jn_node *node = tuple_items(p, false, false, true, true);
        hn_jn_expect_operator(p, ")");
        return node;
    }
    hn_jn_unexpected(p, "an expression");
    return NULL;
}

/* ---- what may follow a primary ---- */

/* One argument: *a, **a, name=a or a. */
static hn_jn_node *argument(hn_jn_parser *p, bool *named) {
    const hn_jn_token *token = hn_jn_peek(p);
    if (hn_jn_is_operator(p, "*") || hn_jn_is_operator(p, "**")) {
        hn_jn_node *star = hn_jn_node_new(p, HN_JN_STAR, token->at);
        if (star) star->op = (int)token->len;
        take(p);
        *named = true;
        return hn_jn_node_set(p, star, hn_jn_parse_expression(p, true), NULL, NULL);
    }
    if (token->type == HN_JN_TOKEN_NAME && is(look(p), HN_JN_TOKEN_OPERATOR, "=")) {
        hn_jn_node *keyword = hn_jn_node_new(p, HN_JN_KEYWORD, token->at);
        const char *name = "";
        hn_jn_parse_symbol(p, &name);
        hn_jn_expect_operator(p, "=");
        if (keyword) keyword->name = name;
        *named = true;
        return hn_jn_node_set(p, keyword, hn_jn_parse_expression(p, true), NULL, NULL);
    }
    if (*named)
        hn_jn_parse_fail(p, token->at, "put it before them", "an argument without a name after ones with a name");
    return hn_jn_parse_expression(p, true);
}

static void arguments(hn_jn_parser *p, hn_jn_node *node) {
    hn_jn_expect_operator(p, "(");
    bool named = false;
    while (!p->failed && !hn_jn_is_operator(p, ")")) {
        if (node->n_items) hn_jn_expect_operator(p, ",");
        if (hn_jn_is_operator(p, ")")) break;
        hn_jn_node_add(p, node, argument(p, &named));
    }
    hn_jn_expect_operator(p, ")");
}

static hn_jn_node *call(hn_jn_parser *p, hn_jn_node *callee) {
    hn_jn_node *node = hn_jn_node_set(p, hn_jn_node_new(p, HN_JN_CALL, callee ? callee->at : 0), callee, NULL, NULL);
    if (node) arguments(p, node);
    return node;
}

static hn_jn_node *slice_or_index(hn_jn_parser *p) {
    size_t at = hn_jn_peek(p)->at;
    hn_jn_node *part[3] = {NULL, NULL, NULL};
    if (!hn_jn_is_operator(p, ":")) {
        part[0] = hn_jn_parse_expression(p, true);
        if (!hn_jn_is_operator(p, ":")) return part[0];
    }
    hn_jn_expect_operator(p, ":");
    if (!hn_jn_is_operator(p, ":") && !hn_jn_is_operator(p, "]") && !hn_jn_is_operator(p, ","))
        part[1] = hn_jn_parse_expression(p, true);
    if (hn_jn_take_operator(p, ":") && !hn_jn_is_operator(p, "]") && !hn_jn_is_operator(p, ","))
        part[2] = hn_jn_parse_expression(p, true);
    return hn_jn_node_set(p, hn_jn_node_new(p, HN_JN_SLICE, at), part[0], part[1], part[2]);
}

static hn_jn_node *subscript(hn_jn_parser *p, hn_jn_node *object) {
    size_t at = take(p)->at; /* the [ */
    hn_jn_node *index = slice_or_index(p);
    if (hn_jn_is_operator(p, ",")) {
        hn_jn_node *tuple = hn_jn_node_new(p, HN_JN_TUPLE_NODE, at);
        hn_jn_node_add(p, tuple, index);
        while (hn_jn_take_operator(p, ",") && !hn_jn_is_operator(p, "]")) hn_jn_node_add(p, tuple, slice_or_index(p));
        index = tuple;
    }
    hn_jn_expect_operator(p, "]");
    return hn_jn_node_set(p, hn_jn_node_new(p, HN_JN_GETITEM, object ? object->at : at), object, index, NULL);
}

static hn_jn_node *attribute(hn_jn_parser *p, hn_jn_node *object) {
    take(p); /* the dot */
    const hn_jn_token *token = hn_jn_peek(p);
    size_t at = object ? object->at : token->at;
    if (token->type == HN_JN_TOKEN_INTEGER) {
        take(p);
        return hn_jn_node_set(p, hn_jn_node_new(p, HN_JN_GETITEM, at), object,
                              constant(p, token->at, hn_jn_int(token->integer)), NULL);
    }
    hn_jn_node *node = hn_jn_node_new(p, HN_JN_GETATTR, at);
    if (node) hn_jn_parse_symbol(p, &node->name);
    return hn_jn_node_set(p, node, object, NULL, NULL);
}

static hn_jn_node *postfix(hn_jn_parser *p, hn_jn_node *node) {
    while (!p->failed) {
        if (hn_jn_is_operator(p, "."))
            node = attribute(p, node);
        else if (hn_jn_is_operator(p, "["))
            node = subscript(p, node);
        else if (hn_jn_is_operator(p, "("))
            node = call(p, node);
        else
            break;
    }
    return p->failed ? NULL : node;
}

hn_jn_node *hn_jn_parse_filters(hn_jn_parser *p, hn_jn_node *input, bool first_without_pipe) {
    while (!p->failed && (first_without_pipe || hn_jn_take_operator(p, "|"))) {
        first_without_pipe = false;
        hn_jn_node *node = hn_jn_node_new(p, HN_JN_FILTER, hn_jn_peek(p)->at);
        if (!node) return NULL;
        hn_jn_parse_symbol(p, &node->name);
        if (p->failed) return NULL;
        node->builtin = hn_jn_filter_find(node->name);
        if (hn_jn_is_operator(p, "(")) arguments(p, node);
        input = hn_jn_node_set(p, node, input, NULL, NULL);
    }
    return p->failed ? NULL : input;
}

/* Whether the current token can be a test's single argument written without parentheses, as in `is divisibleby 3`. */
static bool bare_argument(const hn_jn_parser *p) {
    switch (hn_jn_peek(p)->type) {
    case HN_JN_TOKEN_NAME: return !hn_jn_is_name(p, "else") && !hn_jn_is_name(p, "or") && !hn_jn_is_name(p, "and");
    case HN_JN_TOKEN_STRING:
    case HN_JN_TOKEN_INTEGER:
    case HN_JN_TOKEN_FLOAT: return true;
    default: return hn_jn_is_operator(p, "[") || hn_jn_is_operator(p, "{");
    }
}

static hn_jn_node *test(hn_jn_parser *p, hn_jn_node *value) {
    take(p); /* is */
    bool negated = hn_jn_take_name(p, "not");
    hn_jn_node *node = hn_jn_node_new(p, HN_JN_TEST, hn_jn_peek(p)->at);
    if (!node) return NULL;
    hn_jn_parse_symbol(p, &node->name);
    if (p->failed) return NULL;
    node->builtin = hn_jn_test_find(node->name);
    if (hn_jn_is_operator(p, "(")) {
        arguments(p, node);
    } else if (bare_argument(p)) {
        if (hn_jn_is_name(p, "is"))
            hn_jn_parse_fail(p, hn_jn_peek(p)->at, "join them with `and`", "two tests in a row");
        hn_jn_node_add(p, node, postfix(p, primary(p)));
    }
    node = hn_jn_node_set(p, node, value, NULL, NULL);
    return negated && node ? hn_jn_node_set(p, hn_jn_node_new(p, HN_JN_NOT, node->at), node, NULL, NULL) : node;
}

static hn_jn_node *filters_and_tests(hn_jn_parser *p, hn_jn_node *node) {
    while (!p->failed) {
        if (hn_jn_is_operator(p, "|"))
            node = hn_jn_parse_filters(p, node, false);
        else if (hn_jn_is_name(p, "is"))
            node = test(p, node);
        else if (hn_jn_is_operator(p, "("))
            node = call(p, node);
        else
            break;
    }
    return p->failed ? NULL : node;
}

/* ---- operators, from the tightest to the loosest ---- */

static hn_jn_node *unary(hn_jn_parser *p, bool with_filters) {
    if (!enter(p)) return NULL;
    size_t at = hn_jn_peek(p)->at;
    hn_jn_node *node;
    if (hn_jn_take_operator(p, "-"))
        node = hn_jn_node_set(p, hn_jn_node_new(p, HN_JN_NEGATIVE, at), unary(p, false), NULL, NULL);
    else if (hn_jn_take_operator(p, "+"))
        node = hn_jn_node_set(p, hn_jn_node_new(p, HN_JN_POSITIVE, at), unary(p, false), NULL, NULL);
    else
        node = primary(p);
    node = postfix(p, node);
    if (with_filters) node = filters_and_tests(p, node);
    p->nesting--;
    return node;
}

hn_jn_node *hn_jn_parse_unary(hn_jn_parser *p) { return unary(p, true); }

typedef struct binary_operator {
    const char *text;
    hn_jn_operator op;
} binary_operator;

static hn_jn_node *binary(hn_jn_parser *p, hn_jn_node *(*operand)(hn_jn_parser *), const binary_operator *operators,
                          size_t n) {
    hn_jn_node *left = operand(p);
    while (!p->failed) {
        size_t i = 0;
        while (i < n && !hn_jn_is_operator(p, operators[i].text)) i++;
        if (i == n) break;
        hn_jn_node *node = hn_jn_node_new(p, HN_JN_BINARY, take(p)->at);
        if (node) node->op = operators[i].op;
        left = hn_jn_node_set(p, node, left, operand(p), NULL);
    }
    return p->failed ? NULL : left;
}

static hn_jn_node *power(hn_jn_parser *p) {
    static const binary_operator operators[] = {{"**", HN_JN_POWER}};
    return binary(p, hn_jn_parse_unary, operators, 1);
}

static hn_jn_node *product(hn_jn_parser *p) {
    static const binary_operator operators[] = {
        {"*", HN_JN_MULTIPLY}, {"/", HN_JN_DIVIDE}, {"//", HN_JN_FLOOR_DIVIDE}, {"%", HN_JN_MODULO}};
    return binary(p, power, operators, 4);
}

static hn_jn_node *concat(hn_jn_parser *p) {
    hn_jn_node *first = product(p);
    if (p->failed || !hn_jn_is_operator(p, "~")) return first;
    hn_jn_node *node = hn_jn_node_new(p, HN_JN_CONCAT, hn_jn_peek(p)->at);
    hn_jn_node_add(p, node, first);
    while (hn_jn_take_operator(p, "~")) hn_jn_node_add(p, node, product(p));
    return p->failed ? NULL : node;
}

static hn_jn_node *sum(hn_jn_parser *p) {
    static const binary_operator operators[] = {{"+", HN_JN_ADD}, {"-", HN_JN_SUBTRACT}};
    return binary(p, concat, operators, 2);
}

/* The comparison operator at the current place, consumed; -1: there is none. */
static int comparison(hn_jn_parser *p) {
    static const binary_operator operators[] = {{"==", HN_JN_EQUAL},  {"!=", HN_JN_NOT_EQUAL},
                                                {"<", HN_JN_LESS},    {"<=", HN_JN_LESS_EQUAL},
                                                {">", HN_JN_GREATER}, {">=", HN_JN_GREATER_EQUAL}};
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (hn_jn_take_operator(p, operators[i].text)) return (int)operators[i].op;
    if (hn_jn_take_name(p, "in")) return HN_JN_IN;
    if (!p->failed && hn_jn_is_name(p, "not") && is(look(p), HN_JN_TOKEN_NAME, "in")) {
        take(p), take(p);
        return HN_JN_NOT_IN;
    }
    return -1;
}

static hn_jn_node *compare(hn_jn_parser *p) {
    hn_jn_node *first = sum(p), *node = NULL;
    while (!p->failed) {
        size_t at = hn_jn_peek(p)->at;
        int op = comparison(p);
        if (op < 0) break;
        if (!node) node = hn_jn_node_set(p, hn_jn_node_new(p, HN_JN_COMPARE, at), first, NULL, NULL);
        hn_jn_node *step = hn_jn_node_new(p, HN_JN_COMPARE_STEP, at);
        if (step) step->op = op;
        hn_jn_node_add(p, node, hn_jn_node_set(p, step, sum(p), NULL, NULL));
    }
    return p->failed ? NULL : node ? node : first;
}

static hn_jn_node *not_expression(hn_jn_parser *p) {
    if (!enter(p)) return NULL;
    size_t at = hn_jn_peek(p)->at;
    hn_jn_node *node = hn_jn_take_name(p, "not")
                           ? hn_jn_node_set(p, hn_jn_node_new(p, HN_JN_NOT, at), not_expression(p), NULL, NULL)
                           : compare(p);
    p->nesting--;
    return node;
}

static hn_jn_node *logical(hn_jn_parser *p, hn_jn_node *(*operand)(hn_jn_parser *), const char *word, hn_jn_kind kind) {
    hn_jn_node *left = operand(p);
    for (size_t at = hn_jn_peek(p)->at; hn_jn_take_name(p, word); at = hn_jn_peek(p)->at)
        left = hn_jn_node_set(p, hn_jn_node_new(p, kind, at), left, operand(p), NULL);
    return p->failed ? NULL : left;
}

static hn_jn_node *and_expression(hn_jn_parser *p) { return logical(p, not_expression, "and", HN_JN_AND); }
static hn_jn_node *or_expression(hn_jn_parser *p) { return logical(p, and_expression, "or", HN_JN_OR); }

hn_jn_node *hn_jn_parse_expression(hn_jn_parser *p, bool with_condition) {
    if (!enter(p)) return NULL;
    hn_jn_node *node = or_expression(p);
    for (size_t at = hn_jn_peek(p)->at; with_condition && hn_jn_take_name(p, "if"); at = hn_jn_peek(p)->at) {
        hn_jn_node *condition = or_expression(p);
        hn_jn_node *otherwise = hn_jn_take_name(p, "else") ? hn_jn_parse_expression(p, true) : NULL;
        node = hn_jn_node_set(p, hn_jn_node_new(p, HN_JN_CONDITIONAL, at), node, condition, otherwise);
    }
    p->nesting--;
    return p->failed ? NULL : node;
}
