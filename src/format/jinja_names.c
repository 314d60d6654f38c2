/* Unknown names in templates; see jinja_names.h. Two walks over the tree: what is assigned, then what is used. */
#include "format/jinja_names.h"

#include "base/utf8.h"
#include "format/csv.h"
#include "format/jinja_parse.h"

#include <string.h>

typedef struct walk {
    const hn_jinja *t;
    const hn_jinja_known *known;
    bool assigned[HN_JN_SYMBOLS_MAX];
    bool element[HN_JN_SYMBOLS_MAX]; /* a loop variable over the list */
    const hn_jn_node *first;         /* the first stray name by place; NULL: none */
    bool first_is_field;
} walk;

typedef void visit_fn(walk *w, const hn_jn_node *node);

static void visit_all(walk *w, const hn_jn_node *node, visit_fn *visit) {
    if (!node) return;
    visit(w, node);
    visit_all(w, node->a, visit);
    visit_all(w, node->b, visit);
    visit_all(w, node->c, visit);
    for (size_t i = 0; i < node->n_items; i++) visit_all(w, node->items[i], visit);
}

static void assign(walk *w, const hn_jn_node *target) {
    if (!target) return;
    if (target->kind == HN_JN_NAME || target->kind == HN_JN_MACRO_NODE || target->kind == HN_JN_PARAMETER)
        w->assigned[target->symbol] = true;
    for (size_t i = 0; target->kind == HN_JN_TUPLE_NODE && i < target->n_items; i++) assign(w, target->items[i]);
}

/* The variable that an iterable is made of: examples, examples[1:], examples | reverse. */
static const hn_jn_node *base_of(const hn_jn_node *node) {
    while (node &&
           (node->kind == HN_JN_FILTER || (node->kind == HN_JN_GETITEM && node->b && node->b->kind == HN_JN_SLICE)))
        node = node->a;
    return node;
}

static void note_assignment(walk *w, const hn_jn_node *node) {
    switch (node->kind) {
    case HN_JN_SET:
    case HN_JN_SET_BLOCK: assign(w, node->a); break;
    case HN_JN_MACRO_NODE:
    case HN_JN_PARAMETER: assign(w, node); break;
    case HN_JN_WITH:
        for (size_t i = 0; i < node->n_items; i += 2) assign(w, node->items[i]);
        break;
    case HN_JN_FOR: {
        const hn_jn_node *base = base_of(node->b);
        bool over_list = w->known->list && base && base->kind == HN_JN_NAME &&
                         strcmp(w->t->symbols[base->symbol].name, w->known->list) == 0;
        if (over_list && node->a->kind == HN_JN_NAME && !w->assigned[node->a->symbol])
            w->element[node->a->symbol] = true;
        else if (node->a->kind == HN_JN_NAME)
            w->element[node->a->symbol] = false;
        assign(w, node->a);
        break;
    }
    default: break;
    }
}

static bool is_in(const char *name, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0) return true;
    return false;
}

static void note_stray(walk *w, const hn_jn_node *node, bool field) {
    if (w->first && w->first->at <= node->at) return;
    w->first = node;
    w->first_is_field = field;
}

static void check_use(walk *w, const hn_jn_node *node) {
    if (node->kind == HN_JN_NAME) {
        static const char *const always[] = {"loop", "caller", "varargs", "kwargs", "self"};
        const hn_jn_symbol *symbol = &w->t->symbols[node->symbol];
        if (w->assigned[node->symbol] || symbol->function || is_in(symbol->name, always, 5)) return;
        if (!is_in(symbol->name, w->known->names, w->known->n_names)) note_stray(w, node, false);
    } else if (node->kind == HN_JN_GETATTR && node->a && node->a->kind == HN_JN_NAME && w->element[node->a->symbol]) {
        static const char *const methods[] = {"items", "keys", "values", "get"};
        if (!is_in(node->name, w->known->fields, w->known->n_fields) && !is_in(node->name, methods, 4))
            note_stray(w, node, true);
    }
}

bool hn_jinja_find_stray(const hn_jinja *t, const hn_jinja_known *known, hn_jinja_stray *stray) {
    walk w = {.t = t, .known = known};
    visit_all(&w, t->body, note_assignment);
    visit_all(&w, t->body, check_use);
    if (!w.first) return false;
    stray->name = w.first->kind == HN_JN_NAME ? t->symbols[w.first->symbol].name : w.first->name;
    stray->of = w.first_is_field ? known->list : NULL;
    hn_text_place(t->text, w.first->at, &stray->line, &stray->column);
    return true;
}
