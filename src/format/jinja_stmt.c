/* Jinja's parser for statements, and hn_jinja_compile; see jinja_parse.h. Expressions are in jinja_parse.c.
 * Surprise: a statement's function is entered behind the tag's name and leaves before the closing %} of its last tag.
 * */
#include "format/jinja_parse.h"

#include "base/str.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

static hn_jn_node *statements(hn_jn_parser *p, const hn_jn_token *opener, const char *const *ends, size_t n_ends);

static void block_end(hn_jn_parser *p) {
    if (p->failed) return;
    if (hn_jn_peek(p)->type == HN_JN_TOKEN_BLOCK_END)
        p->at++;
    else
        hn_jn_unexpected(p, "`%}`");
}

/* The body of a tag up to the name of its end tag, which is consumed. */
static hn_jn_node *body(hn_jn_parser *p, const hn_jn_token *opener, const char *end) {
    block_end(p);
    hn_jn_node *node = statements(p, opener, &end, 1);
    hn_jn_take_name(p, end);
    return node;
}

static hn_jn_node *if_statement(hn_jn_parser *p, const hn_jn_token *opener) {
    static const char *const ends[] = {"elif", "else", "endif"};
    hn_jn_node *node = hn_jn_node_new(p, HN_JN_IF, opener->at);
    do {
        hn_jn_node_add(p, node, hn_jn_parse_tuple(p, true));
        block_end(p);
        hn_jn_node_add(p, node, statements(p, opener, ends, 3));
    } while (hn_jn_take_name(p, "elif"));
    hn_jn_node *otherwise = NULL;
    if (hn_jn_take_name(p, "else"))
        otherwise = body(p, opener, "endif");
    else
        hn_jn_take_name(p, "endif");
    return hn_jn_node_set(p, node, NULL, NULL, otherwise);
}

static hn_jn_node *for_statement(hn_jn_parser *p, const hn_jn_token *opener) {
    static const char *const ends[] = {"else", "endfor"};
    hn_jn_node *node = hn_jn_node_new(p, HN_JN_FOR, opener->at), *otherwise = NULL;
    hn_jn_node *target = hn_jn_parse_targets(p, false);
    if (!p->failed && !hn_jn_take_name(p, "in")) hn_jn_unexpected(p, "`in`");
    hn_jn_node *iterable = hn_jn_parse_tuple(p, false);
    hn_jn_node *filter = hn_jn_take_name(p, "if") ? hn_jn_parse_expression(p, true) : NULL;
    if (hn_jn_take_name(p, "recursive") && node) node->op = 1;
    block_end(p);
    p->loops++;
    hn_jn_node *inside = statements(p, opener, ends, 2);
    p->loops--;
    if (hn_jn_take_name(p, "else"))
        otherwise = body(p, opener, "endfor");
    else
        hn_jn_take_name(p, "endfor");
    hn_jn_node_add(p, node, filter);
    hn_jn_node_add(p, node, otherwise);
    return hn_jn_node_set(p, node, target, iterable, inside);
}

static hn_jn_node *set_statement(hn_jn_parser *p, const hn_jn_token *opener) {
    hn_jn_node *target = hn_jn_parse_targets(p, true);
    if (hn_jn_take_operator(p, "="))
        return hn_jn_node_set(p, hn_jn_node_new(p, HN_JN_SET, opener->at), target, hn_jn_parse_tuple(p, true), NULL);
    hn_jn_node *node = hn_jn_node_new(p, HN_JN_SET_BLOCK, opener->at);
    hn_jn_node *filters = hn_jn_parse_filters(p, NULL, false);
    hn_jn_node *inside = body(p, opener, "endset");
    return hn_jn_node_set(p, node, target, filters, inside);
}

/* (a, b=1): adds HN_JN_PARAMETER nodes to `node`. */
static void parameters(hn_jn_parser *p, hn_jn_node *node) {
    bool with_default = false;
    hn_jn_expect_operator(p, "(");
    while (!p->failed && !hn_jn_is_operator(p, ")")) {
        if (node->n_items) hn_jn_expect_operator(p, ",");
        if (hn_jn_is_operator(p, ")")) break;
        hn_jn_node *parameter = hn_jn_node_new(p, HN_JN_PARAMETER, hn_jn_peek(p)->at);
        if (!parameter) return;
        parameter->symbol = hn_jn_parse_symbol(p, &parameter->name);
        hn_jn_node *value = hn_jn_take_operator(p, "=") ? hn_jn_parse_expression(p, true) : NULL;
        if (with_default && !value)
            hn_jn_parse_fail(p, parameter->at, "give it a default too",
                             "parameter `%s` without a default after one with a default", parameter->name);
        with_default = value != NULL;
        hn_jn_node_add(p, node, hn_jn_node_set(p, parameter, value, NULL, NULL));
    }
    hn_jn_expect_operator(p, ")");
}

static hn_jn_node *macro_statement(hn_jn_parser *p, const hn_jn_token *opener) {
    hn_jn_node *node = hn_jn_node_new(p, HN_JN_MACRO_NODE, opener->at);
    if (!node) return NULL;
    node->symbol = hn_jn_parse_symbol(p, &node->name);
    parameters(p, node);
    int loops = p->loops;
    p->loops = 0; /* break cannot leave a macro */
    hn_jn_node *inside = body(p, opener, "endmacro");
    p->loops = loops;
    return hn_jn_node_set(p, node, NULL, NULL, inside);
}

static hn_jn_node *call_statement(hn_jn_parser *p, const hn_jn_token *opener) {
    hn_jn_node *node = hn_jn_node_new(p, HN_JN_CALL_BLOCK, opener->at);
    if (!node) return NULL;
    node->name = "caller";
    if (hn_jn_is_operator(p, "(")) parameters(p, node);
    hn_jn_node *call = hn_jn_parse_expression(p, true);
    if (call && call->kind != HN_JN_CALL)
        hn_jn_parse_fail(p, opener->at, "write {% call name(arguments) %}", "`call` needs a call of a macro");
    int loops = p->loops;
    p->loops = 0;
    hn_jn_node *inside = body(p, opener, "endcall");
    p->loops = loops;
    return hn_jn_node_set(p, node, call, NULL, inside);
}

static hn_jn_node *filter_statement(hn_jn_parser *p, const hn_jn_token *opener) {
    hn_jn_node *node = hn_jn_node_new(p, HN_JN_FILTER_BLOCK, opener->at);
    hn_jn_node *filters = hn_jn_parse_filters(p, NULL, true);
    hn_jn_node *inside = body(p, opener, "endfilter");
    return hn_jn_node_set(p, node, NULL, filters, inside);
}

static hn_jn_node *with_statement(hn_jn_parser *p, const hn_jn_token *opener) {
    hn_jn_node *node = hn_jn_node_new(p, HN_JN_WITH, opener->at);
    while (!p->failed && hn_jn_peek(p)->type != HN_JN_TOKEN_BLOCK_END) {
        if (node->n_items) hn_jn_expect_operator(p, ",");
        hn_jn_node *name = hn_jn_node_new(p, HN_JN_NAME, hn_jn_peek(p)->at);
        if (!name) return NULL;
        name->symbol = hn_jn_parse_symbol(p, &name->name);
        hn_jn_node_add(p, node, name);
        hn_jn_expect_operator(p, "=");
        hn_jn_node_add(p, node, hn_jn_parse_expression(p, true));
    }
    hn_jn_node *inside = body(p, opener, "endwith");
    return hn_jn_node_set(p, node, NULL, NULL, inside);
}

/* {% generation %} marks what an assistant wrote, for training; it only opens a scope. */
static hn_jn_node *generation_statement(hn_jn_parser *p, const hn_jn_token *opener) {
    hn_jn_node *node = hn_jn_node_new(p, HN_JN_WITH, opener->at);
    hn_jn_node *inside = body(p, opener, "endgeneration");
    return hn_jn_node_set(p, node, NULL, NULL, inside);
}

static hn_jn_node *loop_control(hn_jn_parser *p, const hn_jn_token *opener) {
    if (p->loops == 0)
        hn_jn_parse_fail(p, opener->at, "it belongs into a {% for %}", "`%.*s` outside of a loop", (int)opener->len,
                         opener->text);
    return hn_jn_node_new(p, opener->text[0] == 'b' ? HN_JN_BREAK : HN_JN_CONTINUE, opener->at);
}

static hn_jn_node *unknown_statement(hn_jn_parser *p, const hn_jn_token *opener) {
    static const char *const unsupported[] = {"extends",    "include", "import", "from", "block",
                                              "autoescape", "do",      "trans",  "debug"};
    static const char *const known[] = {"if",   "for",        "set",   "macro",    "call", "filter",
                                        "with", "generation", "break", "continue", "raw"};
    char word[48];
    snprintf(word, sizeof word, "%.*s", (int)(opener->len < 40 ? opener->len : 40), opener->text);
    for (size_t i = 0; i < sizeof unsupported / sizeof *unsupported; i++)
        if (strcmp(word, unsupported[i]) == 0) {
            hn_jn_parse_fail(p, opener->at, "chat templates stand alone: write what it does out in this template",
                             "the statement `%s` is not supported", word);
            return NULL;
        }
    char hint[96] = "";
    const char *near = hn_closest(word, known, sizeof known / sizeof *known);
    bool is_end = hn_starts_with(word, "end") || strcmp(word, "else") == 0 || strcmp(word, "elif") == 0;
    if (is_end)
        snprintf(hint, sizeof hint, "check that each tag before it is opened and closed in turn");
    else if (near)
        snprintf(hint, sizeof hint, "did you mean `%s`?", near);
    hn_jn_parse_fail(p, opener->at, hint[0] ? hint : NULL,
                     is_end ? "`%s` does not close the tag that is open" : "unknown tag `%s`", word);
    return NULL;
}

static hn_jn_node *statement(hn_jn_parser *p) {
    static const struct {
        const char *name;
        hn_jn_node *(*parse)(hn_jn_parser *, const hn_jn_token *);
    } table[] = {
        {"if", if_statement},     {"for", for_statement},
        {"set", set_statement},   {"macro", macro_statement},
        {"call", call_statement}, {"filter", filter_statement},
        {"with", with_statement}, {"generation", generation_statement},
        {"break", loop_control},  {"continue", loop_control},
    };
    const hn_jn_token *opener = hn_jn_peek(p);
    if (opener->type != HN_JN_TOKEN_NAME) {
        hn_jn_unexpected(p, "the name of a tag");
        return NULL;
    }
    if (++p->nesting > HN_JN_NESTING_MAX)
        hn_jn_parse_fail(p, opener->at, "make it flatter", "tags nested deeper than %d", HN_JN_NESTING_MAX);
    hn_jn_node *node = NULL;
    size_t i = 0, n = sizeof table / sizeof *table;
    while (i < n && !hn_jn_is_name(p, table[i].name)) i++;
    if (i < n) {
        p->at++;
        node = p->failed ? NULL : table[i].parse(p, opener);
    } else {
        unknown_statement(p, opener);
    }
    p->nesting--;
    return node;
}

/* Text, {{ }} and tags up to one of the tags `ends` (before its name), or to the end of the template where there are
 * none. */
static hn_jn_node *statements(hn_jn_parser *p, const hn_jn_token *opener, const char *const *ends, size_t n_ends) {
    hn_jn_node *node = hn_jn_node_new(p, HN_JN_BODY, hn_jn_peek(p)->at);
    while (!p->failed) {
        const hn_jn_token *token = hn_jn_peek(p);
        if (token->type == HN_JN_TOKEN_END) {
            if (opener)
                hn_jn_parse_fail(p, opener->at, NULL, "`%.*s` without its `%s`",
                                 (int)(opener->len < 40 ? opener->len : 40), opener->text, ends[n_ends - 1]);
            break;
        }
        p->at++;
        if (token->type == HN_JN_TOKEN_DATA) {
            hn_jn_node *data = hn_jn_node_new(p, HN_JN_DATA, token->at);
            hn_jn_str *s = hn_arena_alloc(p->t->arena, sizeof *s);
            if (!s && !p->failed) p->failed = hn_fail_memory(p->err, sizeof *s);
            if (p->failed) break;
            *s = (hn_jn_str){.data = token->text, .len = token->len};
            data->constant = (hn_jn_value){.type = HN_JN_STRING, .as.str = s};
            hn_jn_node_add(p, node, data);
        } else if (token->type == HN_JN_TOKEN_PRINT) {
            hn_jn_node_add(
                p, node,
                hn_jn_node_set(p, hn_jn_node_new(p, HN_JN_OUTPUT, token->at), hn_jn_parse_tuple(p, true), NULL, NULL));
            if (!p->failed && hn_jn_peek(p)->type != HN_JN_TOKEN_PRINT_END) hn_jn_unexpected(p, "`}}`");
            p->at += p->failed ? 0 : 1;
        } else {
            for (size_t i = 0; i < n_ends; i++)
                if (hn_jn_is_name(p, ends[i])) return node;
            hn_jn_node_add(p, node, statement(p));
            block_end(p);
        }
    }
    return p->failed ? NULL : node;
}

static uint32_t symbol_named(const hn_jinja *t, const char *name) {
    for (size_t i = 0; i < t->n_symbols; i++)
        if (strcmp(t->symbols[i].name, name) == 0) return (uint32_t)i;
    return UINT32_MAX;
}

hn_status hn_jn_parse(hn_jinja *t, const hn_jn_token *tokens, size_t n, hn_error *err) {
    hn_jn_parser p = {.t = t, .tokens = tokens, .n = n, .err = err};
    t->body = statements(&p, NULL, NULL, 0);
    t->loop = symbol_named(t, "loop");
    t->caller = symbol_named(t, "caller");
    t->varargs = symbol_named(t, "varargs");
    t->kwargs = symbol_named(t, "kwargs");
    return p.failed;
}

/* The text with \r\n and \r as \n, and without one newline at its end, as Jinja reads it. */
static hn_status normalise(hn_jinja *t, const char *text, size_t n, hn_error *err) {
    size_t bad;
    t->text = hn_arena_alloc(t->arena, n + 1);
    if (!t->text) return hn_fail_memory(err, n + 1);
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\r' && i + 1 < n && text[i + 1] == '\n') continue;
        t->text[t->len++] = text[i] == '\r' ? '\n' : text[i];
    }
    if (!hn_utf8_valid(t->text, t->len, &bad))
        return hn_jn_fail_at(t, bad, HN_ERR_TEMPLATE, err, "save the template as UTF-8", "a byte that is not UTF-8");
    if (t->len && t->text[t->len - 1] == '\n') t->len--;
    t->text[t->len] = 0;
    return HN_OK;
}

hn_status hn_jinja_compile(const char *text, size_t n, const char *name, hn_jinja **t, hn_error *err) {
    *t = NULL;
    if (n > HN_JINJA_TEXT_MAX)
        return hn_fail(err, HN_ERR_LIMIT, name, "is it a chat template?", "a template of %zu bytes, the limit is %d", n,
                       HN_JINJA_TEXT_MAX);
    hn_arena *arena = hn_arena_create(0);
    hn_jinja *template = arena ? hn_arena_alloc(arena, sizeof *template) : NULL;
    char *copy = template ? hn_arena_strdup(arena, name) : NULL;
    if (!copy) {
        hn_arena_free(arena);
        return hn_fail_memory(err, sizeof *template);
    }
    template->arena = arena;
    template->name = copy;
    hn_jn_token *tokens;
    size_t n_tokens;
    hn_status st = normalise(template, text, n, err);
    if (st == HN_OK) st = hn_jn_lex(template, &tokens, &n_tokens, err);
    if (st == HN_OK) st = hn_jn_parse(template, tokens, n_tokens, err);
    if (st != HN_OK) {
        hn_arena_free(arena);
        return st;
    }
    *t = template;
    return HN_OK;
}

bool hn_jinja_uses(const hn_jinja *t, const char *name) { return symbol_named(t, name) != UINT32_MAX; }

void hn_jinja_free(hn_jinja *t) {
    if (t) hn_arena_free(t->arena);
}
