/* Compiling a JSON Schema: subschemas become nodes, keywords their fields; see json_schema_internal.h.
 * Every keyword's value is checked here, so that a typing mistake in a schema is an error and never a rule that silently
 * does nothing. Unknown keywords are annotations, as the draft says. A keyword whose vocabulary the metaschema does not
 * use is one, too. References are resolved afterwards (json_schema_refs.c), when all anchors are known. */
#include "format/json_schema_internal.h"

#include "base/str.h"
#include "format/json_schema_value.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- places and errors ---- */

static void append_token(hn_buf *out, const char *token) {
    for (; *token; token++) {
        if (*token == '~' || *token == '/')
            hn_buf_append_str(out, *token == '~' ? "~0" : "~1");
        else
            hn_buf_append_char(out, *token);
    }
}

static void append_path(hn_buf *out, const hn_schema_node *node) {
    const hn_schema_node *chain[HN_SCHEMA_DEPTH_MAX + 2];
    size_t n = 0;
    for (; node->parent && n < HN_SCHEMA_DEPTH_MAX + 2; node = node->parent) chain[n++] = node;
    while (n--) {
        hn_buf_append_char(out, '/');
        hn_buf_append_str(out, chain[n]->keyword);
        if (!chain[n]->keyed) continue;
        hn_buf_append_char(out, '/');
        if (chain[n]->key)
            append_token(out, chain[n]->key);
        else
            hn_buf_appendf(out, "%zu", chain[n]->index);
    }
}

void hn_schema_node_path(const hn_schema_node *node, const char *keyword, char *out, size_t size) {
    hn_buf text;
    hn_buf_init(&text, 1 << 20);
    if (node->resource && node->resource->foreign) hn_buf_appendf(&text, "%s#", node->resource->uri);
    append_path(&text, node);
    if (keyword) hn_buf_appendf(&text, "/%s", keyword);
    if (text.len < size)
        snprintf(out, size, "%s", hn_buf_str(&text));
    else
        snprintf(out, size, "...%s", hn_buf_str(&text) + (text.len - size + 4));
    hn_buf_free(&text);
}

hn_status hn_schema_fail(hn_schema_compiler *c, hn_status code, const hn_schema_node *node, const char *keyword,
                         const char *hint, const char *fmt, ...) {
    char where[256], message[640];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    hn_schema_node_path(node, keyword, where, sizeof where);
    return hn_fail(c->err, code, where, hint, "%s", message);
}

/* ---- from a JSON value to its node ---- */

static size_t slot_of(const hn_schema_compiler *c, const json_t *json) {
    size_t mask = c->map_capacity - 1;
    size_t i = (size_t)(((uintptr_t)json >> 4) * 0x9E3779B97F4A7C15u >> 20) & mask;
    while (c->map[i].json && c->map[i].json != json) i = (i + 1) & mask;
    return i;
}

hn_schema_node *hn_schema_find_node(const hn_schema_compiler *c, const json_t *json) {
    return c->map_capacity ? c->map[slot_of(c, json)].node : NULL;
}

static hn_status remember(hn_schema_compiler *c, const json_t *json, hn_schema_node *node) {
    if (2 * (c->n_map + 1) > c->map_capacity) {
        struct hn_schema_slot *old = c->map;
        size_t n_old = c->map_capacity, capacity = n_old ? 2 * n_old : 64;
        struct hn_schema_slot *map = hn_calloc(capacity, sizeof *map);
        if (!map) return hn_fail_memory(c->err, capacity * sizeof *map);
        c->map = map;
        c->map_capacity = capacity;
        for (size_t i = 0; i < n_old; i++)
            if (old[i].json) c->map[slot_of(c, old[i].json)] = old[i];
        hn_free(old);
    }
    c->map[slot_of(c, json)] = (struct hn_schema_slot){json, node};
    c->n_map++;
    return HN_OK;
}

/* ---- keywords ---- */

typedef struct place {
    hn_schema_compiler *c;
    hn_schema_node *node;
    const char *keyword;
    int depth;
} place;

static hn_status wrong_type(const place *p, const json_t *value, const char *wanted) {
    return hn_schema_fail(p->c, HN_ERR_INPUT, p->node, p->keyword, "see json-schema.org, draft 2020-12",
                          "`%s` must be %s, it is %s", p->keyword, wanted, hn_json_type_text(value));
}

static hn_status out_of_memory(const place *p) { return hn_fail_memory(p->c->err, sizeof(hn_schema_node)); }

static hn_status read_schema(const place *p, const json_t *value, hn_schema_node **out) {
    *out = hn_schema_index(p->c, value, p->node, p->keyword, NULL, 0, false, p->node->resource, p->depth + 1);
    return *out ? HN_OK : p->c->err->code;
}

static hn_status read_list(const place *p, const json_t *value, hn_schema_list *out) {
    if (!json_is_array(value)) return wrong_type(p, value, "an array of schemas");
    size_t n = json_array_size(value);
    if (!n)
        return hn_schema_fail(p->c, HN_ERR_INPUT, p->node, p->keyword, "remove it or fill it", "`%s` is empty",
                              p->keyword);
    out->nodes = hn_arena_calloc(p->c->schema->arena, n, sizeof *out->nodes);
    if (!out->nodes) return out_of_memory(p);
    for (size_t i = 0; i < n; i++) {
        out->nodes[i] = hn_schema_index(p->c, json_array_get(value, i), p->node, p->keyword, NULL, i, true,
                                        p->node->resource, p->depth + 1);
        if (!out->nodes[i]) return p->c->err->code;
        out->n = i + 1;
    }
    return HN_OK;
}

static hn_status read_pattern(const place *p, const char *source, size_t n, hn_schema_pattern **out) {
    char message[200] = "";
    const char *problem;
    hn_schema_pattern *pattern = hn_arena_calloc(p->c->schema->arena, 1, sizeof *pattern);
    if (!pattern) return out_of_memory(p);
    hn_status st = hn_schema_pattern_compile(source, n, &pattern->code, &problem, message);
    if (st == HN_ERR_MEMORY) return out_of_memory(p);
    if (st != HN_OK)
        return hn_schema_fail(p->c, HN_ERR_INPUT, p->node, p->keyword, "patterns are those of ECMA-262 with the u flag",
                              "the pattern \"%.60s\" cannot be used: %s", source, problem ? problem : "too large");
    pattern->source = source;
    pattern->next = p->c->schema->patterns;
    p->c->schema->patterns = pattern;
    *out = pattern;
    return HN_OK;
}

static int compare_keys(const char *a, size_t n_a, const char *b, size_t n_b) {
    int order = memcmp(a, b, n_a < n_b ? n_a : n_b);
    return order ? order : (n_a > n_b) - (n_a < n_b);
}

static int compare_members(const void *a, const void *b) {
    const hn_schema_member *x = a, *y = b;
    return compare_keys(x->key, x->len, y->key, y->len);
}

static hn_status read_members(const place *p, const json_t *value, bool patterns, hn_schema_members *out) {
    if (!json_is_object(value)) return wrong_type(p, value, "an object of schemas");
    json_t *object = (json_t *)value;
    size_t n = json_object_size(value);
    out->at = hn_arena_calloc(p->c->schema->arena, n ? n : 1, sizeof *out->at);
    if (!out->at) return out_of_memory(p);
    for (void *it = json_object_iter(object); it && out->n < n; it = json_object_iter_next(object, it)) {
        hn_schema_member *m = &out->at[out->n];
        m->key = json_object_iter_key(it);
        m->len = json_object_iter_key_len(it);
        if (patterns) HN_TRY(read_pattern(p, m->key, m->len, &m->pattern));
        m->node = hn_schema_index(p->c, json_object_iter_value(it), p->node, p->keyword, m->key, 0, true,
                                  p->node->resource, p->depth + 1);
        if (!m->node) return p->c->err->code;
        out->n++;
    }
    if (!patterns) qsort(out->at, out->n, sizeof *out->at, compare_members);
    return HN_OK;
}

static hn_status read_count(const place *p, const json_t *value, int64_t *out) {
    if (!hn_json_number_is_integer(value) || (json_is_integer(value) && json_integer_value(value) < 0) ||
        (json_is_real(value) && json_real_value(value) < 0))
        return wrong_type(p, value, "an integer from 0");
    if (json_is_integer(value))
        *out = json_integer_value(value);
    else
        *out = json_real_value(value) < 9e18 ? (int64_t)json_real_value(value) : INT64_MAX;
    return HN_OK;
}

static hn_status read_number(const place *p, const json_t *value, const json_t **out) {
    if (!json_is_number(value)) return wrong_type(p, value, "a number");
    *out = value;
    return HN_OK;
}

static hn_status read_divisor(const place *p, const json_t *value) {
    hn_decimal d;
    if (!hn_decimal_from_json(value, &d) || d.negative || !d.digits) return wrong_type(p, value, "a number above 0");
    p->node->multiple_of = value;
    return HN_OK;
}

static hn_status read_type(const place *p, const json_t *value) {
    static const char *const names[] = {"null", "boolean", "object", "array", "number", "string", "integer"};
    size_t n = json_is_array(value) ? json_array_size(value) : 1;
    if (!n || !(json_is_array(value) || json_is_string(value)))
        return wrong_type(p, value, "a type's name or an array of some");
    for (size_t i = 0; i < n; i++) {
        const json_t *name = json_is_array(value) ? json_array_get(value, i) : value;
        size_t k = 0;
        if (!json_is_string(name)) return wrong_type(p, value, "a type's name or an array of some");
        while (k < 7 && strcmp(names[k], json_string_value(name)) != 0) k++;
        if (k == 7)
            return hn_schema_fail(p->c, HN_ERR_INPUT, p->node, "type", hn_closest(json_string_value(name), names, 7),
                                  "\"%.60s\" is no type: null, boolean, object, array, number, string, integer are",
                                  json_string_value(name));
        p->node->types |= 1u << k;
    }
    return HN_OK;
}

static hn_status read_names(const place *p, const json_t *value) {
    if (!json_is_array(value)) return wrong_type(p, value, "an array of names");
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!json_is_string(json_array_get(value, i))) return wrong_type(p, value, "an array of names only");
    return HN_OK;
}

static hn_status read_dependent_required(const place *p, const json_t *value) {
    if (!json_is_object(value)) return wrong_type(p, value, "an object of arrays of names");
    json_t *object = (json_t *)value;
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it))
        HN_TRY(read_names(p, json_object_iter_value(it)));
    p->node->dependent_required = value;
    return HN_OK;
}

static hn_status read_definitions(const place *p, const json_t *value) {
    hn_schema_members ignored = {0};
    return read_members(p, value, false, &ignored);
}

static hn_status read_text(const place *p, const json_t *value, const char **out) {
    if (!json_is_string(value)) return wrong_type(p, value, "a string");
    *out = json_string_value(value);
    return HN_OK;
}

static hn_status read_older(const place *p) {
    if (!p->node->resource->older) return HN_OK;
    bool dependencies = strcmp(p->keyword, "dependencies") == 0;
    return hn_schema_fail(p->c, HN_ERR_UNSUPPORTED, p->node, p->keyword,
                          dependencies ? "use dependentRequired or dependentSchemas" : "use prefixItems and items",
                          "`%s` is of an older draft and means nothing in draft 2020-12", p->keyword);
}

typedef enum keyword_id {
    K_ALL_OF,
    K_ANY_OF,
    K_ONE_OF,
    K_NOT,
    K_IF,
    K_THEN,
    K_ELSE,
    K_PROPERTIES,
    K_PATTERN_PROPERTIES,
    K_ADDITIONAL,
    K_PROPERTY_NAMES,
    K_DEPENDENT_SCHEMAS,
    K_PREFIX_ITEMS,
    K_ITEMS,
    K_CONTAINS,
    K_UNEVALUATED_ITEMS,
    K_UNEVALUATED_PROPERTIES,
    K_TYPE,
    K_ENUM,
    K_CONST,
    K_REQUIRED,
    K_DEPENDENT_REQUIRED,
    K_UNIQUE,
    K_PATTERN,
    K_MULTIPLE_OF,
    K_NUMBER,
    K_COUNT,
    K_FORMAT,
    K_DEFS,
    K_REF,
    K_DYNAMIC_REF,
    K_OLDER
} keyword_id;

typedef struct keyword_row {
    const char *name;
    keyword_id id;
    unsigned vocabulary;
    size_t field; /* where a schema, number or count goes */
} keyword_row;

#define FIELD(name) offsetof(hn_schema_node, name)
static const keyword_row keywords[] = {
    {"$defs", K_DEFS, HN_VOCAB_CORE, 0},
    {"definitions", K_DEFS, HN_VOCAB_CORE, 0}, /* the older name, still met everywhere */
    {"$ref", K_REF, HN_VOCAB_CORE, 0},
    {"$dynamicRef", K_DYNAMIC_REF, HN_VOCAB_CORE, 0},
    {"allOf", K_ALL_OF, HN_VOCAB_APPLICATOR, FIELD(all_of)},
    {"anyOf", K_ANY_OF, HN_VOCAB_APPLICATOR, FIELD(any_of)},
    {"oneOf", K_ONE_OF, HN_VOCAB_APPLICATOR, FIELD(one_of)},
    {"not", K_NOT, HN_VOCAB_APPLICATOR, FIELD(not_)},
    {"if", K_IF, HN_VOCAB_APPLICATOR, FIELD(if_)},
    {"then", K_THEN, HN_VOCAB_APPLICATOR, FIELD(then_)},
    {"else", K_ELSE, HN_VOCAB_APPLICATOR, FIELD(else_)},
    {"properties", K_PROPERTIES, HN_VOCAB_APPLICATOR, FIELD(properties)},
    {"patternProperties", K_PATTERN_PROPERTIES, HN_VOCAB_APPLICATOR, FIELD(patterns)},
    {"additionalProperties", K_ADDITIONAL, HN_VOCAB_APPLICATOR, FIELD(additional)},
    {"propertyNames", K_PROPERTY_NAMES, HN_VOCAB_APPLICATOR, FIELD(property_names)},
    {"dependentSchemas", K_DEPENDENT_SCHEMAS, HN_VOCAB_APPLICATOR, FIELD(dependent_schemas)},
    {"prefixItems", K_PREFIX_ITEMS, HN_VOCAB_APPLICATOR, FIELD(prefix)},
    {"items", K_ITEMS, HN_VOCAB_APPLICATOR, FIELD(items)},
    {"contains", K_CONTAINS, HN_VOCAB_APPLICATOR, FIELD(contains)},
    {"unevaluatedItems", K_UNEVALUATED_ITEMS, HN_VOCAB_UNEVALUATED, FIELD(unevaluated_items)},
    {"unevaluatedProperties", K_UNEVALUATED_PROPERTIES, HN_VOCAB_UNEVALUATED, FIELD(unevaluated_properties)},
    {"type", K_TYPE, HN_VOCAB_VALIDATION, 0},
    {"enum", K_ENUM, HN_VOCAB_VALIDATION, 0},
    {"const", K_CONST, HN_VOCAB_VALIDATION, 0},
    {"required", K_REQUIRED, HN_VOCAB_VALIDATION, 0},
    {"dependentRequired", K_DEPENDENT_REQUIRED, HN_VOCAB_VALIDATION, 0},
    {"uniqueItems", K_UNIQUE, HN_VOCAB_VALIDATION, 0},
    {"pattern", K_PATTERN, HN_VOCAB_VALIDATION, 0},
    {"multipleOf", K_MULTIPLE_OF, HN_VOCAB_VALIDATION, 0},
    {"minimum", K_NUMBER, HN_VOCAB_VALIDATION, FIELD(minimum)},
    {"maximum", K_NUMBER, HN_VOCAB_VALIDATION, FIELD(maximum)},
    {"exclusiveMinimum", K_NUMBER, HN_VOCAB_VALIDATION, FIELD(exclusive_minimum)},
    {"exclusiveMaximum", K_NUMBER, HN_VOCAB_VALIDATION, FIELD(exclusive_maximum)},
    {"minLength", K_COUNT, HN_VOCAB_VALIDATION, FIELD(min_length)},
    {"maxLength", K_COUNT, HN_VOCAB_VALIDATION, FIELD(max_length)},
    {"minItems", K_COUNT, HN_VOCAB_VALIDATION, FIELD(min_items)},
    {"maxItems", K_COUNT, HN_VOCAB_VALIDATION, FIELD(max_items)},
    {"minContains", K_COUNT, HN_VOCAB_VALIDATION, FIELD(min_contains)},
    {"maxContains", K_COUNT, HN_VOCAB_VALIDATION, FIELD(max_contains)},
    {"minProperties", K_COUNT, HN_VOCAB_VALIDATION, FIELD(min_properties)},
    {"maxProperties", K_COUNT, HN_VOCAB_VALIDATION, FIELD(max_properties)},
    {"format", K_FORMAT, HN_VOCAB_FORMAT | HN_VOCAB_FORMAT_ASSERTION, 0},
    {"dependencies", K_OLDER, HN_VOCAB_CORE, 0},
    {"additionalItems", K_OLDER, HN_VOCAB_CORE, 0},
};

static hn_status read_format(const place *p, const json_t *value) {
    const char *format = "";
    HN_TRY(read_text(p, value, &format));
    if (p->c->assert_formats || (p->node->resource->vocabularies & HN_VOCAB_FORMAT_ASSERTION)) p->node->format = format;
    return HN_OK;
}

static hn_status read_keyword(const place *p, const keyword_row *row, const json_t *value) {
    hn_schema_node *node = p->node;
    void *field = (char *)node + row->field;
    switch (row->id) {
    case K_ALL_OF:
    case K_ANY_OF:
    case K_ONE_OF:
    case K_PREFIX_ITEMS: return read_list(p, value, field);
    case K_UNEVALUATED_ITEMS:
    case K_UNEVALUATED_PROPERTIES: node->tracks = true; /* fallthrough */
    case K_NOT:
    case K_IF:
    case K_THEN:
    case K_ELSE:
    case K_ADDITIONAL:
    case K_PROPERTY_NAMES:
    case K_CONTAINS: return read_schema(p, value, field);
    case K_ITEMS:
        if (json_is_array(value))
            return hn_schema_fail(p->c, HN_ERR_UNSUPPORTED, node, "items",
                                  "name the array prefixItems, and additionalItems items",
                                  "`items` with an array of schemas is of an older draft");
        return read_schema(p, value, field);
    case K_PROPERTIES:
    case K_DEPENDENT_SCHEMAS: return read_members(p, value, false, field);
    case K_PATTERN_PROPERTIES: return read_members(p, value, true, field);
    case K_TYPE: return read_type(p, value);
    case K_ENUM:
        if (!json_is_array(value)) return wrong_type(p, value, "an array");
        node->enum_ = value;
        return HN_OK;
    case K_CONST: node->const_ = value; return HN_OK;
    case K_REQUIRED: node->required = value; return read_names(p, value);
    case K_DEPENDENT_REQUIRED: return read_dependent_required(p, value);
    case K_UNIQUE:
        node->unique = json_is_true(value);
        return json_is_boolean(value) ? HN_OK : wrong_type(p, value, "true or false");
    case K_PATTERN:
        if (!json_is_string(value)) return wrong_type(p, value, "a string");
        return read_pattern(p, json_string_value(value), json_string_length(value), &node->pattern);
    case K_MULTIPLE_OF: return read_divisor(p, value);
    case K_NUMBER: return read_number(p, value, field);
    case K_COUNT: return read_count(p, value, field);
    case K_FORMAT: return read_format(p, value);
    case K_DEFS: return read_definitions(p, value);
    case K_REF: return read_text(p, value, &node->ref_text);
    case K_DYNAMIC_REF: return read_text(p, value, &node->dynamic_text);
    case K_OLDER: return read_older(p);
    }
    return HN_OK;
}

static const keyword_row *find_keyword(const char *name) {
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (strcmp(keywords[i].name, name) == 0) return &keywords[i];
    return NULL;
}

/* ---- nodes ---- */

static hn_status add_anchor(const place *p, const json_t *value, bool dynamic) {
    const char *name = "";
    HN_TRY(read_text(p, value, &name));
    hn_schema_resource *resource = p->node->resource;
    hn_schema_anchor *a = hn_schema_find_anchor(resource, name);
    if (!*name || strpbrk(name, "#/%"))
        return hn_schema_fail(p->c, HN_ERR_INPUT, p->node, p->keyword, "letters, digits, - and _",
                              "\"%.60s\" is no name for an anchor", name);
    if (a && a->node != p->node)
        return hn_schema_fail(p->c, HN_ERR_INPUT, p->node, p->keyword, "give it another name",
                              "there is another anchor \"%.60s\"", name);
    if (!a) {
        a = hn_arena_calloc(p->c->schema->arena, 1, sizeof *a);
        if (!a) return out_of_memory(p);
        *a = (hn_schema_anchor){name, p->node, false, resource->anchors};
        resource->anchors = a;
    }
    a->dynamic |= dynamic;
    return HN_OK;
}

/* $id and $schema: a resource of its own begins here. */
static hn_status open_resource(const place *p, const char *id) {
    hn_schema_compiler *c = p->c;
    hn_schema_node *node = p->node;
    char *fragment = NULL, *uri = hn_schema_uri_resolve(c->schema->arena, node->resource->uri, id, &fragment);
    if (!uri) return out_of_memory(p);
    if (fragment && *fragment)
        return hn_schema_fail(c, HN_ERR_INPUT, node, "$id", "use $anchor", "$id \"%.80s\" has a fragment", id);
    if (node->resource->root == node) { /* the document's own resource gets its name */
        node->resource->uri = uri;
        return HN_OK;
    }
    for (hn_schema_resource *r = c->schema->resources; r; r = r->next)
        if (strcmp(r->uri, uri) == 0)
            return hn_schema_fail(c, HN_ERR_INPUT, node, "$id", "give each $id its own URI",
                                  "the $id \"%.80s\" is there twice", uri);
    hn_schema_resource *r = hn_arena_calloc(c->schema->arena, 1, sizeof *r);
    if (!r) return out_of_memory(p);
    *r = (hn_schema_resource){.uri = uri,
                              .root = node,
                              .vocabularies = node->resource->vocabularies,
                              .foreign = node->resource->foreign,
                              .older = node->resource->older,
                              .next = c->schema->resources};
    c->schema->resources = r;
    node->resource = r;
    return HN_OK;
}

/* What must be known before the other keywords: the resource, its vocabularies, anchors. */
static hn_status read_identity(place *p, const json_t *json) {
    const json_t *value = json_object_get(json, "$id");
    const char *text = "";
    p->keyword = "$id";
    if (value) {
        HN_TRY(read_text(p, value, &text));
        HN_TRY(open_resource(p, text));
    }
    value = json_object_get(json, p->keyword = "$schema");
    if (value) {
        HN_TRY(read_text(p, value, &text));
        if (p->node->resource->root == p->node)
            HN_TRY(hn_schema_vocabularies(p->c, p->node, text, &p->node->resource->vocabularies,
                                          &p->node->resource->older));
    }
    value = json_object_get(json, p->keyword = "$anchor");
    if (value) HN_TRY(add_anchor(p, value, false));
    value = json_object_get(json, p->keyword = "$dynamicAnchor");
    return value ? add_anchor(p, value, true) : HN_OK;
}

static hn_status read_keywords(place *p, const json_t *json) {
    json_t *object = (json_t *)json;
    HN_TRY(read_identity(p, json));
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        const keyword_row *row = find_keyword(json_object_iter_key(it));
        if (!row || !(row->vocabulary & (p->node->resource->vocabularies | HN_VOCAB_CORE))) continue;
        p->keyword = row->name;
        HN_TRY(read_keyword(p, row, json_object_iter_value(it)));
    }
    if (p->node->ref_text || p->node->dynamic_text) {
        p->node->next_pending = p->c->pending;
        p->c->pending = p->node;
    }
    return HN_OK;
}

static void set_no_limits(hn_schema_node *node) {
    node->min_properties = node->max_properties = node->min_items = node->max_items = -1;
    node->min_contains = node->max_contains = node->min_length = node->max_length = -1;
}

hn_schema_node *hn_schema_index(hn_schema_compiler *c, const json_t *json, hn_schema_node *parent, const char *keyword,
                                const char *key, size_t index, bool keyed, hn_schema_resource *resource, int depth) {
    bool boolean = json_is_boolean(json); /* true and false are shared values: no place in the map */
    hn_schema_node *node = boolean ? NULL : hn_schema_find_node(c, json);
    if (node) return node;
    node = hn_arena_calloc(c->schema->arena, 1, sizeof *node);
    if (!node) {
        (void)hn_fail_memory(c->err, sizeof *node);
        return NULL;
    }
    *node = (hn_schema_node){.json = json,
                             .parent = parent,
                             .keyword = keyword,
                             .key = key,
                             .index = index,
                             .keyed = keyed,
                             .resource = resource};
    set_no_limits(node);
    if (resource && !resource->root) resource->root = node;
    place p = {c, node, keyword, depth};
    hn_status st = HN_OK;
    if (++c->n_nodes > HN_SCHEMA_NODES_MAX || depth > HN_SCHEMA_DEPTH_MAX)
        st = hn_schema_fail(c, HN_ERR_LIMIT, node, NULL, "make the schema smaller",
                            depth > HN_SCHEMA_DEPTH_MAX ? "schemas nested deeper than %d" : "more than %d schemas",
                            depth > HN_SCHEMA_DEPTH_MAX ? HN_SCHEMA_DEPTH_MAX : HN_SCHEMA_NODES_MAX);
    else if (boolean)
        node->never = json_is_false(json);
    else if (!json_is_object(json))
        st = hn_schema_fail(c, HN_ERR_INPUT, node, NULL, "a schema is an object, true or false",
                            "a schema is expected here, not %s", hn_json_type_text(json));
    else
        st = remember(c, json, node);
    if (st == HN_OK && !boolean) st = read_keywords(&p, json);
    return st == HN_OK ? node : NULL;
}
