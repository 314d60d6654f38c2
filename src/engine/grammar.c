/* Building grammars; see grammar.h. Equal nodes are made once (hash-consed), so a schema that says "a text of up to 50
 * characters" in forty places describes one repeat, and everything later is shared too. Simplifications here are only
 * those that keep the language: a sequence with a branch that can never be taken is that branch, and so on. */
#include "engine/grammar_parts.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

hn_status hn_grammar_builder_create(hn_grammar_builder **builder, hn_error *err) {
    hn_grammar_builder *b = hn_calloc(1, sizeof *b);
    *builder = NULL;
    if (!b) return hn_fail_memory(err, sizeof *b);
    b->node_mask = 255;
    b->rule_mask = 63;
    b->node_slots = hn_alloc((b->node_mask + 1) * sizeof *b->node_slots);
    b->rule_slots = hn_alloc((b->rule_mask + 1) * sizeof *b->rule_slots);
    if (!b->node_slots || !b->rule_slots) {
        hn_grammar_builder_free(b);
        return hn_fail_memory(err, 256 * sizeof *b->node_slots);
    }
    memset(b->node_slots, 0xFF, (b->node_mask + 1) * sizeof *b->node_slots);
    memset(b->rule_slots, 0xFF, (b->rule_mask + 1) * sizeof *b->rule_slots);
    *builder = b;
    return HN_OK;
}

void hn_grammar_builder_free(hn_grammar_builder *b) {
    if (!b) return;
    for (size_t i = 0; i < b->n_rules; i++) hn_free(b->rules[i].name);
    hn_free(b->nodes);
    hn_free(b->bytes);
    hn_free(b->ranges);
    hn_free(b->children);
    hn_free(b->rules);
    hn_free(b->node_slots);
    hn_free(b->rule_slots);
    hn_free(b->runs);
    hn_free(b);
}

const hn_error *hn_grammar_builder_error(const hn_grammar_builder *b) { return b->failed ? &b->error : NULL; }

hn_grammar_node hn_grammar_bad(hn_grammar_builder *b, hn_status code, const char *where, const char *hint,
                               const char *fmt, ...) {
    if (b->failed) return HN_GRAMMAR_BAD;
    char message[sizeof b->error.message];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    (void)hn_fail(&b->error, code, where, hint, "%s", message);
    b->failed = true;
    return HN_GRAMMAR_BAD;
}

static hn_grammar_node out_of_memory(hn_grammar_builder *b, size_t size_bytes) {
    if (!b->failed) (void)hn_fail_memory(&b->error, size_bytes);
    b->failed = true;
    return HN_GRAMMAR_BAD;
}

/* --- equal nodes once --- */

static uint64_t node_hash(const hn_gnode *node, const void *content, size_t n_bytes) {
    int32_t head[4] = {(int32_t)node->kind, node->min, node->max,
                       node->kind == HN_GNODE_REPEAT || node->kind == HN_GNODE_RULE ? (int32_t)node->first : 0};
    return hn_hash64(content, n_bytes, hn_hash64(head, sizeof head, 0));
}

static const void *content_of(const hn_grammar_builder *b, const hn_gnode *node, size_t *n_bytes) {
    switch (node->kind) {
    case HN_GNODE_BYTES: *n_bytes = node->n; return b->bytes + node->first;
    case HN_GNODE_CLASS: *n_bytes = node->n * sizeof *b->ranges; return b->ranges + node->first;
    case HN_GNODE_SEQUENCE:
    case HN_GNODE_CHOICE: *n_bytes = node->n * sizeof *b->children; return b->children + node->first;
    default: *n_bytes = 0; return "";
    }
}

static bool node_equal(const hn_grammar_builder *b, const hn_gnode *have, const hn_gnode *want, const void *content,
                       size_t n_bytes) {
    size_t have_bytes;
    if (have->kind != want->kind || have->min != want->min || have->max != want->max) return false;
    if ((want->kind == HN_GNODE_REPEAT || want->kind == HN_GNODE_RULE) && have->first != want->first) return false;
    const void *c = content_of(b, have, &have_bytes);
    return have_bytes == n_bytes && memcmp(c, content, n_bytes) == 0;
}

static bool grow_node_slots(hn_grammar_builder *b) {
    size_t mask = b->node_mask * 2 + 1;
    int32_t *slots = hn_alloc((mask + 1) * sizeof *slots);
    if (!slots) return false;
    memset(slots, 0xFF, (mask + 1) * sizeof *slots);
    for (size_t i = 0; i < b->n_nodes; i++) {
        size_t n_bytes;
        const void *content = content_of(b, &b->nodes[i], &n_bytes);
        size_t at = node_hash(&b->nodes[i], content, n_bytes) & mask;
        while (slots[at] >= 0) at = (at + 1) & mask;
        slots[at] = (int32_t)i;
    }
    hn_free(b->node_slots);
    b->node_slots = slots;
    b->node_mask = mask;
    return true;
}

/* Puts `n` elements of `size` behind an array of the builder; *first: where. */
static bool store(void **array, size_t *n_have, size_t *capacity, const void *content, size_t n, size_t size,
                  uint32_t *first) {
    if (!hn_grow(array, capacity, *n_have + n + 1, size)) return false;
    if (n > 0) memcpy((char *)*array + *n_have * size, content, n * size);
    *first = (uint32_t)*n_have;
    *n_have += n;
    return true;
}

static bool store_content(hn_grammar_builder *b, hn_gnode *node, const void *content) {
    switch (node->kind) {
    case HN_GNODE_BYTES:
        return store((void **)&b->bytes, &b->n_bytes, &b->byte_capacity, content, node->n, 1, &node->first);
    case HN_GNODE_CLASS:
        return store((void **)&b->ranges, &b->n_ranges, &b->range_capacity, content, node->n, sizeof *b->ranges,
                     &node->first);
    case HN_GNODE_SEQUENCE:
    case HN_GNODE_CHOICE:
        return store((void **)&b->children, &b->n_children, &b->child_capacity, content, node->n, sizeof *b->children,
                     &node->first);
    default: return true;
    }
}

/* The node with this content: one that is there, or a new one. */
static hn_grammar_node intern(hn_grammar_builder *b, hn_gnode node, const void *content, size_t n_bytes) {
    size_t at = node_hash(&node, content, n_bytes) & b->node_mask;
    for (; b->node_slots[at] >= 0; at = (at + 1) & b->node_mask)
        if (node_equal(b, &b->nodes[b->node_slots[at]], &node, content, n_bytes)) return b->node_slots[at];
    if (b->n_nodes >= HN_GRAMMAR_NODES_MAX || b->n_children > HN_GRAMMAR_NODES_MAX ||
        b->n_bytes + n_bytes > HN_GRAMMAR_BYTES_MAX)
        return hn_grammar_bad(b, HN_ERR_LIMIT, "grammar", "make the grammar smaller",
                              "it has more than %d parts or %d bytes of text", HN_GRAMMAR_NODES_MAX,
                              HN_GRAMMAR_BYTES_MAX);
    if (node.depth > HN_GRAMMAR_DEPTH_MAX)
        return hn_grammar_bad(b, HN_ERR_LIMIT, "grammar", "name inner parts as rules of their own",
                              "its parts are nested deeper than %d", HN_GRAMMAR_DEPTH_MAX);
    if (!hn_grow((void **)&b->nodes, &b->node_capacity, b->n_nodes + 1, sizeof *b->nodes) ||
        !store_content(b, &node, content))
        return out_of_memory(b, n_bytes + sizeof node);
    if (b->n_nodes * 2 > b->node_mask) {
        if (!grow_node_slots(b)) return out_of_memory(b, b->node_mask * 2 * sizeof *b->node_slots);
        at = node_hash(&node, content, n_bytes) & b->node_mask;
        while (b->node_slots[at] >= 0) at = (at + 1) & b->node_mask;
    }
    b->nodes[b->n_nodes] = node;
    b->node_slots[at] = (int32_t)b->n_nodes;
    return (hn_grammar_node)b->n_nodes++;
}

/* False, with the error that sticks, for a node that this builder did not give. */
static bool is_node(hn_grammar_builder *b, hn_grammar_node node) {
    if (b->failed) return false;
    if (node >= 0 && (size_t)node < b->n_nodes) return true;
    (void)hn_grammar_bad(b, HN_ERR_INTERNAL, "grammar", NULL, "node %d is not of this builder", (int)node);
    return false;
}

/* --- the parts --- */

hn_grammar_node hn_grammar_empty(hn_grammar_builder *b) {
    return b->failed ? HN_GRAMMAR_BAD : intern(b, (hn_gnode){.kind = HN_GNODE_EMPTY}, "", 0);
}

hn_grammar_node hn_grammar_nothing(hn_grammar_builder *b) {
    return b->failed ? HN_GRAMMAR_BAD : intern(b, (hn_gnode){.kind = HN_GNODE_NOTHING}, "", 0);
}

hn_grammar_node hn_grammar_bytes(hn_grammar_builder *b, const char *text, size_t n_bytes) {
    size_t bad;
    if (b->failed) return HN_GRAMMAR_BAD;
    if (n_bytes == 0) return hn_grammar_empty(b);
    if (n_bytes > HN_GRAMMAR_BYTES_MAX)
        return hn_grammar_bad(b, HN_ERR_LIMIT, "grammar", "make the texts shorter",
                              "a text of %zu bytes, the limit is %d", n_bytes, HN_GRAMMAR_BYTES_MAX);
    if (!hn_utf8_valid(text, n_bytes, &bad))
        return hn_grammar_bad(b, HN_ERR_INPUT, "grammar", "texts are UTF-8", "byte %zu of a text is not valid UTF-8",
                              bad);
    return intern(b, (hn_gnode){.kind = HN_GNODE_BYTES, .n = (uint32_t)n_bytes}, text, n_bytes);
}

static int by_first(const void *a, const void *b) {
    const hn_code_range *x = a, *y = b;
    return x->first != y->first ? (x->first < y->first ? -1 : 1) : 0;
}

enum { CODE_LAST = 0x10FFFF, SURROGATE_FIRST = 0xD800, SURROGATE_LAST = 0xDFFF };

size_t hn_code_ranges_normalize(hn_code_range *ranges, size_t n) {
    size_t n_out = 0;
    for (size_t i = 0; i < n; i++) { /* outside of Unicode, and the wrong way round */
        if (ranges[i].last > CODE_LAST) ranges[i].last = CODE_LAST;
        if (ranges[i].first <= ranges[i].last) ranges[n_out++] = ranges[i];
    }
    n = n_out;
    if (n > 1) qsort(ranges, n, sizeof *ranges, by_first);
    n_out = 0;
    for (size_t i = 0; i < n; i++) {
        if (n_out > 0 && ranges[i].first <= ranges[n_out - 1].last + 1) {
            if (ranges[i].last > ranges[n_out - 1].last) ranges[n_out - 1].last = ranges[i].last;
        } else {
            ranges[n_out++] = ranges[i];
        }
    }
    return n_out;
}

size_t hn_code_ranges_negate(const hn_code_range *ranges, size_t n, hn_code_range *out) {
    size_t n_out = 0;
    uint32_t from = 0;
    for (size_t i = 0; i < n; i++) {
        if (ranges[i].first > from) out[n_out++] = (hn_code_range){from, ranges[i].first - 1};
        from = ranges[i].last + 1;
    }
    if (from <= CODE_LAST) out[n_out++] = (hn_code_range){from, CODE_LAST};
    return n_out;
}

/* Normalized ranges without the surrogates; `out` has room for n + 1. */
static size_t without_surrogates(const hn_code_range *ranges, size_t n, hn_code_range *out) {
    size_t n_out = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t first = ranges[i].first, last = ranges[i].last;
        if (first < SURROGATE_FIRST)
            out[n_out++] = (hn_code_range){first, last < SURROGATE_FIRST ? last : SURROGATE_FIRST - 1};
        if (last > SURROGATE_LAST)
            out[n_out++] = (hn_code_range){first > SURROGATE_LAST ? first : SURROGATE_LAST + 1, last};
    }
    return n_out;
}

hn_grammar_node hn_grammar_class(hn_grammar_builder *b, const hn_code_range *ranges, size_t n, bool negated) {
    if (b->failed) return HN_GRAMMAR_BAD;
    if (n > HN_GRAMMAR_NODES_MAX)
        return hn_grammar_bad(b, HN_ERR_LIMIT, "grammar", NULL, "a class of %zu ranges, the limit is %d", n,
                              HN_GRAMMAR_NODES_MAX);
    hn_code_range *work = hn_alloc((n + 4) * 3 * sizeof *work);
    if (!work) return out_of_memory(b, (n + 4) * 3 * sizeof *work);
    hn_code_range *outside = work + n + 4;
    if (n > 0) memcpy(work, ranges, n * sizeof *work);
    n = hn_code_ranges_normalize(work, n);
    if (negated) {
        n = hn_code_ranges_negate(work, n, outside);
        memcpy(work, outside, n * sizeof *work);
    }
    n = without_surrogates(work, n, outside);
    hn_grammar_node node =
        n == 0 ? hn_grammar_nothing(b)
               : intern(b, (hn_gnode){.kind = HN_GNODE_CLASS, .n = (uint32_t)n}, outside, n * sizeof *outside);
    hn_free(work);
    return node;
}

static int32_t depth_over(const hn_grammar_builder *b, const hn_grammar_node *nodes, size_t n) {
    int32_t depth = 0;
    for (size_t i = 0; i < n; i++)
        if (b->nodes[nodes[i]].depth > depth) depth = b->nodes[nodes[i]].depth;
    return depth + 1;
}

/* A sequence without empty parts, or a choice without impossible and repeated ones. */
static hn_grammar_node combine(hn_grammar_builder *b, hn_gnode_kind kind, const hn_grammar_node *nodes, size_t n) {
    bool is_choice = kind == HN_GNODE_CHOICE;
    for (size_t i = 0; i < n; i++)
        if (!is_node(b, nodes[i])) return HN_GRAMMAR_BAD;
    if (n > HN_GRAMMAR_NODES_MAX)
        return hn_grammar_bad(b, HN_ERR_LIMIT, "grammar", NULL, "%zu parts in one place, the limit is %d", n,
                              HN_GRAMMAR_NODES_MAX);
    hn_grammar_node *kept = hn_alloc((n + 1) * sizeof *kept);
    if (!kept) return out_of_memory(b, (n + 1) * sizeof *kept);
    size_t n_kept = 0;
    bool impossible = false;
    for (size_t i = 0; i < n; i++) {
        hn_gnode_kind k = b->nodes[nodes[i]].kind;
        if (k == (is_choice ? HN_GNODE_NOTHING : HN_GNODE_EMPTY)) continue;
        if (is_choice && n_kept > 0 && kept[n_kept - 1] == nodes[i]) continue;
        if (!is_choice && k == HN_GNODE_NOTHING) impossible = true;
        kept[n_kept++] = nodes[i];
    }
    hn_grammar_node node;
    if (impossible)
        node = hn_grammar_nothing(b);
    else if (n_kept == 0)
        node = is_choice ? hn_grammar_nothing(b) : hn_grammar_empty(b);
    else if (n_kept == 1)
        node = kept[0];
    else
        node = intern(b, (hn_gnode){.kind = kind, .n = (uint32_t)n_kept, .depth = depth_over(b, kept, n_kept)}, kept,
                      n_kept * sizeof *kept);
    hn_free(kept);
    return node;
}

hn_grammar_node hn_grammar_sequence(hn_grammar_builder *b, const hn_grammar_node *nodes, size_t n) {
    return b->failed ? HN_GRAMMAR_BAD : combine(b, HN_GNODE_SEQUENCE, nodes, n);
}

hn_grammar_node hn_grammar_choice(hn_grammar_builder *b, const hn_grammar_node *nodes, size_t n) {
    return b->failed ? HN_GRAMMAR_BAD : combine(b, HN_GNODE_CHOICE, nodes, n);
}

hn_grammar_node hn_grammar_repeat(hn_grammar_builder *b, hn_grammar_node node, int64_t min, int64_t max) {
    if (!is_node(b, node)) return HN_GRAMMAR_BAD;
    if (min < 0 || (max < min && max != HN_GRAMMAR_NO_LIMIT))
        return hn_grammar_bad(b, HN_ERR_INPUT, "grammar", "give the smaller number first",
                              "a repeat from %lld to %lld times", (long long)min, (long long)max);
    if (min > HN_GRAMMAR_REPEAT_MAX || max > HN_GRAMMAR_REPEAT_MAX)
        return hn_grammar_bad(b, HN_ERR_LIMIT, "grammar", "leave the upper limit open",
                              "a repeat of %lld times, the limit is %d", (long long)(max > min ? max : min),
                              HN_GRAMMAR_REPEAT_MAX);
    hn_gnode_kind kind = b->nodes[node].kind;
    if (max == 0 || kind == HN_GNODE_EMPTY || (kind == HN_GNODE_NOTHING && min == 0)) return hn_grammar_empty(b);
    if ((min == 1 && max == 1) || kind == HN_GNODE_NOTHING) return node;
    return intern(b,
                  (hn_gnode){.kind = HN_GNODE_REPEAT,
                             .first = (uint32_t)node,
                             .min = (int32_t)min,
                             .max = (int32_t)max,
                             .depth = b->nodes[node].depth + 1},
                  "", 0);
}

/* --- rules --- */

static bool grow_rule_slots(hn_grammar_builder *b) {
    size_t mask = b->rule_mask * 2 + 1;
    int32_t *slots = hn_alloc((mask + 1) * sizeof *slots);
    if (!slots) return false;
    memset(slots, 0xFF, (mask + 1) * sizeof *slots);
    for (size_t i = 0; i < b->n_rules; i++) {
        size_t at = hn_hash64(b->rules[i].name, strlen(b->rules[i].name), 0) & mask;
        while (slots[at] >= 0) at = (at + 1) & mask;
        slots[at] = (int32_t)i;
    }
    hn_free(b->rule_slots);
    b->rule_slots = slots;
    b->rule_mask = mask;
    return true;
}

hn_grammar_node hn_grammar_rule(hn_grammar_builder *b, const char *name) {
    if (b->failed) return HN_GRAMMAR_BAD;
    uint64_t hash = hn_hash64(name, strlen(name), 0);
    for (size_t at = hash & b->rule_mask; b->rule_slots[at] >= 0; at = (at + 1) & b->rule_mask)
        if (strcmp(b->rules[b->rule_slots[at]].name, name) == 0) return b->rules[b->rule_slots[at]].node;
    if (b->n_rules * 2 > b->rule_mask && !grow_rule_slots(b))
        return out_of_memory(b, b->rule_mask * 2 * sizeof *b->rule_slots);
    if (!hn_grow((void **)&b->rules, &b->rule_capacity, b->n_rules + 1, sizeof *b->rules))
        return out_of_memory(b, sizeof *b->rules);
    hn_grammar_node node = intern(b, (hn_gnode){.kind = HN_GNODE_RULE, .first = (uint32_t)b->n_rules}, "", 0);
    if (node == HN_GRAMMAR_BAD) return node;
    char *copy = hn_strdup(name);
    if (!copy) return out_of_memory(b, strlen(name) + 1);
    size_t at = hash & b->rule_mask;
    while (b->rule_slots[at] >= 0) at = (at + 1) & b->rule_mask;
    b->rule_slots[at] = (int32_t)b->n_rules;
    b->rules[b->n_rules++] = (hn_grule){.name = copy, .body = HN_GRAMMAR_BAD, .node = node};
    return node;
}

void hn_grammar_define(hn_grammar_builder *b, const char *name, hn_grammar_node body) {
    if (!is_node(b, body)) return;
    hn_grammar_node node = hn_grammar_rule(b, name);
    if (node == HN_GRAMMAR_BAD) return;
    hn_grule *rule = &b->rules[b->nodes[node].first];
    if (rule->body != HN_GRAMMAR_BAD)
        (void)hn_grammar_bad(b, HN_ERR_INPUT, name, "give the second rule another name, or join both with |",
                             "the rule \"%s\" is defined twice", name);
    else
        rule->body = body;
}

/* --- finishing --- */

static hn_status describe(const hn_grammar_builder *b, hn_grammar_node root, char hex[HN_SHA256_HEX]) {
    hn_sha256 *h = hn_sha256_create();
    if (!h) return HN_ERR_MEMORY;
    hn_sha256_field_i64(h, root);
    for (size_t i = 0; i < b->n_nodes; i++) {
        size_t n_bytes;
        const hn_gnode *node = &b->nodes[i];
        const void *content = content_of(b, node, &n_bytes);
        int32_t head[4] = {(int32_t)node->kind, node->min, node->max, 0};
        if (node->kind == HN_GNODE_REPEAT) head[3] = (int32_t)node->first;
        if (node->kind == HN_GNODE_RULE) head[3] = b->rules[node->first].body;
        hn_sha256_field(h, head, sizeof head);
        hn_sha256_field(h, content, n_bytes);
    }
    hn_sha256_finish(h, hex);
    return HN_OK;
}

static hn_status finish(hn_grammar_builder *b, hn_grammar_node root, hn_grammar **grammar, hn_error *err) {
    (void)is_node(b, root);
    for (size_t i = 0; i < b->n_rules && !b->failed; i++)
        if (b->rules[i].body == HN_GRAMMAR_BAD)
            (void)hn_grammar_bad(b, HN_ERR_INPUT, b->rules[i].name, "define it, or correct its name where it is used",
                                 "the rule \"%s\" is used but not defined", b->rules[i].name);
    if (b->failed) {
        if (err) *err = b->error;
        return b->error.code;
    }
    hn_grammar *g = hn_calloc(1, sizeof *g);
    if (!g) return hn_fail_memory(err, sizeof *g);
    hn_status st = describe(b, root, g->hash);
    if (st != HN_OK)
        (void)hn_fail_memory(err, 256);
    else
        st = hn_grammar_compile(b, root, g, err);
    if (st != HN_OK)
        hn_grammar_free(g);
    else
        *grammar = g;
    return st;
}

hn_status hn_grammar_finish(hn_grammar_builder *b, hn_grammar_node root, hn_grammar **grammar, hn_error *err) {
    *grammar = NULL;
    hn_status st = finish(b, root, grammar, err);
    hn_grammar_builder_free(b);
    return st;
}

void hn_grammar_free(hn_grammar *g) {
    if (!g) return;
    hn_free(g->states);
    hn_free(g->ranges);
    hn_free(g->calls);
    hn_free(g->starts);
    hn_free(g->tables);
    hn_free(g);
}

const char *hn_grammar_hash(const hn_grammar *g) { return g->hash; }

hn_status hn_grammar_from_choices(const char *const *choices, size_t n, hn_grammar **grammar, hn_error *err) {
    hn_grammar_builder *b;
    *grammar = NULL;
    if (n == 0) return hn_fail(err, HN_ERR_INPUT, "choices", "give at least one", "there are no choices");
    HN_TRY(hn_grammar_builder_create(&b, err));
    hn_grammar_node *nodes = hn_realloc_array(NULL, n, sizeof *nodes);
    if (!nodes) {
        hn_grammar_builder_free(b);
        return hn_fail_memory(err, n * sizeof *nodes);
    }
    for (size_t i = 0; i < n; i++) nodes[i] = hn_grammar_bytes(b, choices[i], strlen(choices[i]));
    hn_grammar_node root = hn_grammar_choice(b, nodes, n);
    hn_free(nodes);
    return hn_grammar_finish(b, root, grammar, err);
}
