/* Inside the Jinja interpreter: tokens and the syntax tree. Not for other parts of hone; see jinja.h for them.
 *
 *     lexer -> tokens -> parser -> hn_jn_node tree -> evaluation (jinja_eval.c, jinja_exec.c)
 *
 * The prefix of everything private to the interpreter is hn_jn_. All nodes and tokens live in the template's arena.
 * Threading: as jinja.h. */
#ifndef HN_FORMAT_JINJA_PARSE_H
#define HN_FORMAT_JINJA_PARSE_H

#include "base/alloc.h"
#include "format/jinja.h"
#include "format/jinja_value.h"

typedef enum hn_jn_token_type {
    HN_JN_TOKEN_DATA,      /* text between tags */
    HN_JN_TOKEN_PRINT,     /* {{ */
    HN_JN_TOKEN_PRINT_END, /* }} */
    HN_JN_TOKEN_BLOCK,     /* {% */
    HN_JN_TOKEN_BLOCK_END, /* %} */
    HN_JN_TOKEN_NAME,
    HN_JN_TOKEN_STRING, /* text: unescaped */
    HN_JN_TOKEN_INTEGER,
    HN_JN_TOKEN_FLOAT,
    HN_JN_TOKEN_OPERATOR, /* text: one of + - * ** / // % ~ == != < <= > >= = . , : | ( ) [ ] { } ; */
    HN_JN_TOKEN_END,
} hn_jn_token_type;

typedef struct hn_jn_token {
    hn_jn_token_type type;
    size_t at; /* offset in the template */
    const char *text;
    size_t len;
    int64_t integer;
    double real;
} hn_jn_token;

typedef enum hn_jn_kind {
    /* expressions; a, b, c and items are the children */
    HN_JN_CONST,      /* constant */
    HN_JN_NAME,       /* symbol */
    HN_JN_TUPLE_NODE, /* items */
    HN_JN_LIST_NODE,  /* items */
    HN_JN_DICT_NODE,  /* items: key, value, key, value */
    HN_JN_GETATTR,    /* a.name */
    HN_JN_GETITEM,    /* a[b]; b may be HN_JN_SLICE */
    HN_JN_SLICE,      /* a:b:c, each may be NULL */
    HN_JN_CALL,       /* a(items), items may be HN_JN_KEYWORD and HN_JN_STAR */
    HN_JN_KEYWORD,    /* name=a */
    HN_JN_STAR,       /* *a, or **a where op is 2 */
    HN_JN_FILTER,     /* a|name(items); a NULL: of the block's text */
    HN_JN_TEST,       /* a is name(items) */
    HN_JN_NOT,
    HN_JN_NEGATIVE,
    HN_JN_POSITIVE,
    HN_JN_BINARY, /* a op b */
    HN_JN_CONCAT, /* items joined by ~ */
    HN_JN_AND,
    HN_JN_OR,
    HN_JN_COMPARE,      /* a, then items: HN_JN_COMPARE_STEP */
    HN_JN_COMPARE_STEP, /* op a */
    HN_JN_CONDITIONAL,  /* a if b else c; c may be NULL */
    /* statements */
    HN_JN_DATA,   /* constant */
    HN_JN_OUTPUT, /* a */
    HN_JN_BODY,   /* items */
    HN_JN_IF,     /* items: condition, body, condition, body; c: else */
    HN_JN_FOR, /* a: target, b: iterable, c: body, items[0]: filter or NULL, items[1]: else or NULL; op 1: recursive */
    HN_JN_SET, /* a: target, b: value */
    HN_JN_SET_BLOCK,     /* a: target, b: filters or NULL, c: body */
    HN_JN_NAMESPACE_REF, /* target: symbol . name */
    HN_JN_MACRO_NODE,    /* symbol, items: HN_JN_PARAMETER, c: body */
    HN_JN_PARAMETER,     /* symbol, a: default or NULL */
    HN_JN_CALL_BLOCK,    /* a: HN_JN_CALL, items: HN_JN_PARAMETER, c: body */
    HN_JN_FILTER_BLOCK,  /* b: filters, c: body */
    HN_JN_WITH,          /* items: target, value, ...; c: body */
    HN_JN_BREAK,
    HN_JN_CONTINUE,
} hn_jn_kind;

/* op of HN_JN_BINARY and HN_JN_COMPARE_STEP */
typedef enum hn_jn_operator {
    HN_JN_ADD,
    HN_JN_SUBTRACT,
    HN_JN_MULTIPLY,
    HN_JN_DIVIDE,
    HN_JN_FLOOR_DIVIDE,
    HN_JN_MODULO,
    HN_JN_POWER,
    HN_JN_EQUAL,
    HN_JN_NOT_EQUAL,
    HN_JN_LESS,
    HN_JN_LESS_EQUAL,
    HN_JN_GREATER,
    HN_JN_GREATER_EQUAL,
    HN_JN_IN,
    HN_JN_NOT_IN,
} hn_jn_operator;

struct hn_jn_node {
    hn_jn_kind kind;
    uint32_t at;     /* offset in the template, for errors */
    uint32_t height; /* longest path below: limited, because evaluation recurses */
    uint32_t symbol; /* index into the template's names */
    int op;
    const char *name;
    hn_jn_value constant;
    hn_jn_node *a, *b, *c;
    hn_jn_node **items;
    size_t n_items;
    const hn_jn_builtin *builtin; /* of HN_JN_FILTER and HN_JN_TEST; NULL: there is none of that name */
};

typedef struct hn_jn_symbol {
    const char *name;
    const hn_jn_builtin *function; /* a global function of that name, or NULL */
    uint32_t next;                 /* number + 1 of the next symbol in the same bucket */
} hn_jn_symbol;

struct hn_jinja {
    hn_arena *arena;
    char *name;
    char *text; /* newlines normalised */
    size_t len;
    hn_jn_symbol *symbols;
    size_t n_symbols, symbol_capacity;
    uint32_t buckets[256]; /* number + 1 of a symbol, by hash of the name */
    uint32_t loop, caller, varargs,
        kwargs; /* numbers of these names, UINT32_MAX where the template does not use them */
    hn_jn_node *body;
};

enum { HN_JN_HEIGHT_MAX = 400, HN_JN_NESTING_MAX = 100, HN_JN_TOKENS_MAX = 1 << 19, HN_JN_SYMBOLS_MAX = 4096 };

/* Splits t->text into tokens (in t->arena), the last of type HN_JN_TOKEN_END. */
hn_status hn_jn_lex(hn_jinja *t, hn_jn_token **tokens, size_t *n, hn_error *err) HN_MUST_CHECK;
/* The tree of the whole template into t->body. */
hn_status hn_jn_parse(hn_jinja *t, const hn_jn_token *tokens, size_t n, hn_error *err) HN_MUST_CHECK;

/* Fills the error with the place of offset `at`: "name:line:column". */
hn_status hn_jn_fail_at(const hn_jinja *t, size_t at, hn_status code, hn_error *err, const char *hint, const char *fmt,
                        ...) HN_PRINTF(6, 7);

/* The parser's state and the parts that jinja_parse.c (expressions) and jinja_stmt.c (statements) share. After a
 * failure `failed` is set, and every function returns NULL at once. */
typedef struct hn_jn_parser {
    hn_jinja *t;
    const hn_jn_token *tokens;
    size_t n, at;
    int nesting;
    int loops; /* open for loops of this macro, for break and continue */
    hn_status failed;
    hn_error *err;
} hn_jn_parser;

const hn_jn_token *hn_jn_peek(const hn_jn_parser *p);
bool hn_jn_is_operator(const hn_jn_parser *p, const char *text);
bool hn_jn_is_name(const hn_jn_parser *p, const char *text);
bool hn_jn_take_operator(hn_jn_parser *p, const char *text);
bool hn_jn_take_name(hn_jn_parser *p, const char *text);
void hn_jn_expect_operator(hn_jn_parser *p, const char *text);
void hn_jn_unexpected(hn_jn_parser *p, const char *expected);
void hn_jn_parse_fail(hn_jn_parser *p, size_t at, const char *hint, const char *fmt, ...) HN_PRINTF(4, 5);
hn_jn_node *hn_jn_node_new(hn_jn_parser *p, hn_jn_kind kind, size_t at);
/* Appends to items (may be NULL children) and keeps the height. */
void hn_jn_node_add(hn_jn_parser *p, hn_jn_node *node, hn_jn_node *child);
/* Sets node->a, b, c and the height. */
hn_jn_node *hn_jn_node_set(hn_jn_parser *p, hn_jn_node *node, hn_jn_node *a, hn_jn_node *b, hn_jn_node *c);
/* A name token's text as a symbol; the token is consumed. *name gets the text. */
uint32_t hn_jn_parse_symbol(hn_jn_parser *p, const char **name);
uint32_t hn_jn_symbol_of(hn_jn_parser *p, const char *name, size_t len);
hn_jn_node *hn_jn_parse_expression(hn_jn_parser *p, bool with_condition);
/* A tuple without parentheses, or one expression. */
hn_jn_node *hn_jn_parse_tuple(hn_jn_parser *p, bool with_condition);
/* What is assigned to: a name, a tuple of them (also without parentheses), or, where `with_namespace`, ns.attribute. */
hn_jn_node *hn_jn_parse_targets(hn_jn_parser *p, bool with_namespace);
/* Filters after a value; `first_without_pipe`: the first one's name stands here, as in {% filter upper %}. */
hn_jn_node *hn_jn_parse_filters(hn_jn_parser *p, hn_jn_node *input, bool first_without_pipe);
hn_jn_node *hn_jn_parse_unary(hn_jn_parser *p);

#endif
