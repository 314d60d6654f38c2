/* A gate's text into its nodes; see gate.h for the grammar. */
#include "base/str.h"
#include "lifecycle/eval/gate_parts.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct parser {
    hn_gate *gate;
    const char *at;
    int depth;
    hn_error *err;
} parser;

static const char hint_text[] =
    "such as --gate \"accuracy >= 0.9 and not worse than baseline\"; `hone help eval` has the rules";

static HN_PRINTF(2, 3) hn_status complain(parser *p, const char *fmt, ...) {
    char where[40], message[300];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    snprintf(where, sizeof where, "--gate:%zu", (size_t)(p->at - p->gate->text) + 1);
    return hn_fail(p->err, HN_ERR_USAGE, where, hint_text, "%s", message);
}

static void skip_space(parser *p) {
    while (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r') p->at++;
}

static bool is_name_char(char c) { return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.'; }

static size_t word_length(const char *at) {
    size_t n = 0;
    while (is_name_char(at[n])) n++;
    return n;
}

/* Takes the words, white space between them, where they stand next; else nothing. */
static bool take_words(parser *p, const char *words) {
    const char *at = p->at;
    for (const char *w = words; *w;) {
        while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r') at++;
        size_t n = strcspn(w, " ");
        if (word_length(at) != n || strncmp(at, w, n) != 0) return false;
        at += n;
        w += n + (w[n] == ' ');
    }
    p->at = at;
    return true;
}

static hn_status take_name(parser *p, const char *what, char name[HN_GATE_NAME_MAX]) {
    skip_space(p);
    size_t n = word_length(p->at);
    if (n == 0) return complain(p, "%s is missing here", what);
    if (n >= HN_GATE_NAME_MAX) return complain(p, "this name is longer than %d characters", HN_GATE_NAME_MAX - 1);
    memcpy(name, p->at, n);
    name[n] = 0;
    p->at += n;
    return HN_OK;
}

static hn_status new_node(parser *p, hn_gate_kind kind, int *index) {
    if (p->gate->n_nodes == HN_GATE_NODES_MAX) return complain(p, "the gate has more than %d parts", HN_GATE_NODES_MAX);
    *index = p->gate->n_nodes++;
    p->gate->nodes[*index] = (hn_gate_node){.kind = kind, .column = (size_t)(p->at - p->gate->text) + 1};
    return HN_OK;
}

static hn_status keep_text(parser *p, const char *from, hn_gate_node *node) {
    node->text = hn_strndup(from, (size_t)(p->at - from));
    return node->text ? HN_OK : hn_fail_memory(p->err, 0);
}

static hn_status parse_verdict(parser *p, hn_gate_relation relation, const char *from, int *index) {
    HN_TRY(new_node(p, HN_GATE_VERDICT, index));
    hn_gate_node *node = &p->gate->nodes[*index];
    node->relation = relation;
    HN_TRY(take_name(p, "what to compare with (baseline, majority, bag_of_words, a run or a tag)", node->name));
    return keep_text(p, from, node);
}

static hn_status parse_operator(parser *p, hn_gate_operator *comparison) {
    skip_space(p);
    bool less = *p->at == '<', equal = (less || *p->at == '>') && p->at[1] == '=';
    if (!less && *p->at != '>') return complain(p, "a comparison (>=, >, <= or <) is missing here");
    *comparison = less ? (equal ? HN_GATE_AT_MOST : HN_GATE_BELOW) : equal ? HN_GATE_AT_LEAST : HN_GATE_ABOVE;
    p->at += 1 + equal;
    return HN_OK;
}

static hn_status parse_number(parser *p, hn_gate_node *node) {
    char digits[40];
    skip_space(p);
    size_t n = strspn(p->at, "+-.0123456789eE");
    if (n == 0 || n >= sizeof digits) return complain(p, "a number is missing here");
    memcpy(digits, p->at, n);
    digits[n] = 0;
    if (!hn_parse_double(digits, &node->number)) return complain(p, "`%s` is no number", digits);
    p->at += n;
    const char *after = p->at;
    skip_space(p);
    node->percent = *p->at == '%';
    if (node->percent) {
        node->number /= 100;
        p->at++;
    } else {
        p->at = after;
    }
    return HN_OK;
}

static hn_status parse_compare(parser *p, const char *from, int *index) {
    HN_TRY(new_node(p, HN_GATE_COMPARE, index));
    hn_gate_node *node = &p->gate->nodes[*index];
    HN_TRY(take_name(p, "a metric", node->name));
    skip_space(p);
    bool lower = strcmp(node->name, "lower") == 0, upper = strcmp(node->name, "upper") == 0;
    if (*p->at == '(' && (lower || upper)) {
        p->at++;
        node->end = lower ? HN_GATE_LOWER : HN_GATE_UPPER;
        HN_TRY(take_name(p, "a metric", node->name));
        skip_space(p);
        if (*p->at != ')') return complain(p, "`)` is missing here");
        p->at++;
    }
    HN_TRY(parse_operator(p, &node->comparison));
    HN_TRY(parse_number(p, node));
    return keep_text(p, from, node);
}

static hn_status parse_gate(parser *p, int *index);

static hn_status parse_clause(parser *p, int *index) {
    static const struct {
        const char *words;
        hn_gate_relation relation;
    } verdicts[] = {
        {"better than", HN_GATE_BETTER}, {"not worse than", HN_GATE_NOT_WORSE}, {"equivalent to", HN_GATE_SAME}};
    skip_space(p);
    const char *from = p->at;
    if (*p->at == '(') {
        if (++p->depth > HN_GATE_DEPTH_MAX) return complain(p, "more than %d parentheses are open", HN_GATE_DEPTH_MAX);
        p->at++;
        HN_TRY(parse_gate(p, index));
        skip_space(p);
        if (*p->at != ')') return complain(p, "`)` is missing here");
        p->at++;
        p->depth--;
        return HN_OK;
    }
    for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++)
        if (take_words(p, verdicts[i].words)) return parse_verdict(p, verdicts[i].relation, from, index);
    if (!*p->at) return complain(p, "a condition is missing here");
    return parse_compare(p, from, index);
}

/* Clauses joined by `word`; the deeper rule is `parse`. */
static hn_status parse_joined(parser *p, const char *word, hn_gate_kind kind, hn_status (*parse)(parser *, int *),
                              int *index) {
    HN_TRY(parse(p, index));
    while (take_words(p, word)) {
        int left = *index, right;
        HN_TRY(parse(p, &right));
        HN_TRY(new_node(p, kind, index));
        p->gate->nodes[*index].left = left;
        p->gate->nodes[*index].right = right;
    }
    return HN_OK;
}

static hn_status parse_all(parser *p, int *index) { return parse_joined(p, "and", HN_GATE_AND, parse_clause, index); }
static hn_status parse_gate(parser *p, int *index) { return parse_joined(p, "or", HN_GATE_OR, parse_all, index); }

hn_status hn_gate_parse(const char *text, hn_gate **out, hn_error *err) {
    *out = NULL;
    hn_gate *gate = hn_calloc(1, sizeof *gate);
    if (!gate) return hn_fail_memory(err, sizeof *gate);
    gate->text = hn_strdup(text);
    parser p = {.gate = gate, .at = gate->text, .err = err};
    hn_status st = gate->text ? parse_gate(&p, &gate->root) : hn_fail_memory(err, strlen(text));
    if (st == HN_OK) skip_space(&p);
    if (st == HN_OK && *p.at) st = complain(&p, "`and`, `or` or the end should stand here, not `%.20s`", p.at);
    if (st == HN_OK)
        *out = gate;
    else
        hn_gate_free(gate);
    return st;
}

void hn_gate_free(hn_gate *gate) {
    if (!gate) return;
    for (int i = 0; i < gate->n_nodes; i++) hn_free(gate->nodes[i].text);
    hn_free(gate->text);
    hn_free(gate);
}

const char *hn_gate_text(const hn_gate *gate) { return gate->text; }

const char *hn_gate_reference(const hn_gate *gate, size_t i) {
    for (int k = 0; k < gate->n_nodes; k++)
        if (gate->nodes[k].kind == HN_GATE_VERDICT && i-- == 0) return gate->nodes[k].name;
    return NULL;
}
