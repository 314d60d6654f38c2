/* Several schemas about one value as one: $ref and allOf merged keyword by keyword, oneOf's branches proven apart; see
 * grammar_schema_parts.h. Merging is exact, except that an object may become closed (HN_GSCHEMA_CLOSED): a smaller language
 * is right as well. */
#include "engine/grammar_schema_parts.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

/* ---- small helpers on JSON that may run out of memory ---- */

static bool put_new(hn_gschema *c, json_t *object, const char *key, json_t *value) {
    if (value && json_object_set_new(object, key, value) == 0) return true;
    return hn_gschema_no_memory(c) != HN_GRAMMAR_BAD;
}

static bool put(hn_gschema *c, json_t *object, const char *key, const json_t *value) {
    return put_new(c, object, key, json_incref((json_t *)value));
}

json_t *hn_gschema_both(hn_gschema *c, const json_t *a, const json_t *b) {
    if (!a || !b || a == b || json_is_true(a) || json_is_true(b)) {
        const json_t *one = !a || json_is_true(a) ? b : a;
        return one ? json_incref((json_t *)one) : json_true();
    }
    json_t *object = json_object(), *list = json_array();
    bool fine = object && list && json_array_append(list, (json_t *)a) == 0 &&
                json_array_append(list, (json_t *)b) == 0 && json_object_set(object, "allOf", list) == 0;
    json_decref(list);
    if (fine) return object;
    json_decref(object);
    (void)hn_gschema_no_memory(c);
    return NULL;
}

bool hn_gschema_valid(hn_gschema *c, const json_t *schema, const json_t *value, bool formats) {
    hn_json_schema_options options = {.registry = c->registry, .assert_formats = formats};
    hn_json_schema *compiled = NULL;
    hn_json_schema_result *result = hn_alloc(sizeof *result);
    hn_error err = {0};
    hn_status st =
        result ? hn_json_schema_create(schema, &options, &compiled, &err) : hn_fail_memory(&err, sizeof *result);
    if (st == HN_OK) st = hn_json_schema_validate(compiled, value, result, &err);
    bool valid = st == HN_OK && result->valid;
    if (st != HN_OK) (void)hn_grammar_bad(c->b, st, err.where, err.hint, "%s", err.message);
    hn_json_schema_free(compiled);
    hn_free(result);
    return valid;
}

/* ---- types ---- */

static const char *const type_names[] = {"null", "boolean", "object", "array", "number", "string", "integer"};

static unsigned named_types(const json_t *type) {
    unsigned types = 0;
    size_t n = json_is_array(type) ? json_array_size(type) : 1;
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_is_array(type) ? json_array_get(type, i) : type);
        for (size_t k = 0; k < 7; k++)
            if (name && strcmp(type_names[k], name) == 0) types |= 1u << k;
    }
    return types & HN_GTYPE_NUMBER ? types & ~(unsigned)HN_GTYPE_INTEGER : types;
}

static unsigned value_type(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_NULL: return HN_GTYPE_NULL;
    case JSON_OBJECT: return HN_GTYPE_OBJECT;
    case JSON_ARRAY: return HN_GTYPE_ARRAY;
    case JSON_STRING: return HN_GTYPE_STRING;
    case JSON_INTEGER:
    case JSON_REAL: return hn_json_number_is_integer(value) ? HN_GTYPE_INTEGER : HN_GTYPE_NUMBER;
    default: return HN_GTYPE_BOOLEAN;
    }
}

static unsigned both_types(unsigned a, unsigned b) {
    unsigned types = a & b;
    if ((a & HN_GTYPE_NUMBER && b & HN_GTYPE_INTEGER) || (b & HN_GTYPE_NUMBER && a & HN_GTYPE_INTEGER))
        types |= HN_GTYPE_INTEGER;
    return types;
}

unsigned hn_gschema_types(const json_t *base) {
    const json_t *values = json_object_get(base, "enum"), *type = json_object_get(base, "type");
    unsigned types = type ? named_types(type) : HN_GTYPE_ALL;
    if (json_object_get(base, HN_GSCHEMA_NEVER)) return 0;
    if (!values) return types;
    unsigned of_values = 0;
    for (size_t i = 0; i < json_array_size(values); i++) of_values |= value_type(json_array_get(values, i));
    return both_types(types, of_values);
}

static bool merge_type(hn_gschema *c, json_t *base, const json_t *type) {
    const json_t *have = json_object_get(base, "type");
    unsigned types = both_types(have ? named_types(have) : HN_GTYPE_ALL, named_types(type));
    json_t *list = json_array();
    bool fine = list != NULL;
    for (size_t k = 0; k < 7 && fine; k++)
        if (types >> k & 1) fine = json_array_append_new(list, json_string(type_names[k])) == 0;
    if (!fine) {
        json_decref(list);
        return hn_gschema_no_memory(c) != HN_GRAMMAR_BAD;
    }
    return put_new(c, base, "type", list) && (types || put_new(c, base, HN_GSCHEMA_NEVER, json_true()));
}

/* ---- values ---- */

static bool merge_enum(hn_gschema *c, json_t *base, const json_t *values, bool is_const) {
    const json_t *have = json_object_get(base, "enum");
    json_t *list = json_array();
    bool fine = list != NULL;
    size_t n = is_const ? 1 : json_array_size(values);
    for (size_t i = 0; i < n && fine; i++) {
        const json_t *value = is_const ? values : json_array_get(values, i);
        bool keep = !have;
        for (size_t k = 0; have && k < json_array_size(have) && !keep; k++)
            keep = hn_json_values_equal(json_array_get(have, k), value);
        if (keep) fine = json_array_append(list, (json_t *)value) == 0;
    }
    if (!fine) {
        json_decref(list);
        return hn_gschema_no_memory(c) != HN_GRAMMAR_BAD;
    }
    return put_new(c, base, "enum", list);
}

/* Keeps the larger (sign 1) or the smaller (-1) of two numbers. */
static bool merge_bound(hn_gschema *c, json_t *base, const char *keyword, const json_t *value, int sign) {
    const json_t *have = json_object_get(base, keyword);
    if (have && sign * hn_json_number_compare(have, value) >= 0) return true;
    return put(c, base, keyword, value);
}

static bool merge_multiple(hn_gschema *c, json_t *base, const json_t *value, const char *path) {
    const json_t *have = json_object_get(base, "multipleOf");
    if (have && hn_json_number_is_multiple(have, value)) return true;
    if (have && !hn_json_number_is_multiple(value, have))
        return hn_gschema_bad(c, HN_ERR_UNSUPPORTED, path, "multipleOf", "write their least common multiple",
                              "two `multipleOf` that apply to one number cannot be joined") != HN_GRAMMAR_BAD;
    return put(c, base, "multipleOf", value);
}

static bool merge_text(hn_gschema *c, json_t *base, const char *keyword, const json_t *value, const char *path) {
    const json_t *have = json_object_get(base, keyword);
    if (have && !json_equal(have, value))
        return hn_gschema_bad(c, HN_ERR_UNSUPPORTED, path, keyword, "write one that says both",
                              "two `%s` that apply to one text cannot be joined", keyword) != HN_GRAMMAR_BAD;
    return put(c, base, keyword, value);
}

static bool merge_required(hn_gschema *c, json_t *base, const json_t *names) {
    const json_t *have = json_object_get(base, "required");
    json_t *list = have ? json_copy((json_t *)have) : json_array();
    bool fine = list != NULL;
    for (size_t i = 0; i < json_array_size(names) && fine; i++) {
        bool there = false;
        for (size_t k = 0; k < json_array_size(list) && !there; k++)
            there = json_equal(json_array_get(list, k), json_array_get(names, i));
        if (!there) fine = json_array_append(list, json_array_get(names, i)) == 0;
    }
    if (!fine) {
        json_decref(list);
        return hn_gschema_no_memory(c) != HN_GRAMMAR_BAD;
    }
    return put_new(c, base, "required", list);
}

/* ---- arrays ---- */

static bool merge_items(hn_gschema *c, json_t *base, const json_t *schema) {
    const json_t *p = json_object_get(base, "prefixItems"), *q = json_object_get(schema, "prefixItems");
    const json_t *rest_p = json_object_get(base, "items"), *rest_q = json_object_get(schema, "items");
    size_t n_p = json_array_size(p), n_q = json_array_size(q), n = n_p > n_q ? n_p : n_q;
    json_t *list = json_array();
    bool fine = list != NULL;
    for (size_t i = 0; i < n && fine; i++) {
        json_t *both =
            hn_gschema_both(c, i < n_p ? json_array_get(p, i) : rest_p, i < n_q ? json_array_get(q, i) : rest_q);
        fine = both && json_array_append_new(list, both) == 0;
    }
    if (!fine) {
        json_decref(list);
        return hn_gschema_no_memory(c) != HN_GRAMMAR_BAD;
    }
    if (n ? !put_new(c, base, "prefixItems", list) : (json_decref(list), false)) return false;
    return (!rest_p && !rest_q) || put_new(c, base, "items", hn_gschema_both(c, rest_p, rest_q));
}

/* ---- objects ---- */

static bool name_matches(hn_gschema *c, const char *pattern, const char *name) {
    json_t *schema = json_pack("{s:s}", "pattern", pattern), *value = json_string(name);
    bool matches = false;
    if (schema && value)
        matches = hn_gschema_valid(c, schema, value, false);
    else
        (void)hn_gschema_no_memory(c);
    json_decref(schema);
    json_decref(value);
    return matches;
}

/* What `schema` says of a property of that name: new, NULL on error. */
static json_t *property_of(hn_gschema *c, const json_t *schema, const char *name) {
    json_t *said = json_object_get(json_object_get(schema, "properties"), name);
    json_t *patterns = json_object_get(schema, "patternProperties");
    json_t *all = said ? json_incref(said) : NULL;
    for (void *it = json_object_iter(patterns); it; it = json_object_iter_next(patterns, it)) {
        if (!name_matches(c, json_object_iter_key(it), name)) continue;
        json_t *next = hn_gschema_both(c, all, json_object_iter_value(it));
        json_decref(all);
        all = next;
        if (!all) return NULL;
    }
    if (all || hn_gschema_failed(c)) return all;
    const json_t *additional = json_object_get(schema, "additionalProperties");
    return additional ? json_incref((json_t *)additional) : json_true();
}

static bool has_objects(const json_t *schema) {
    return json_object_get(schema, "properties") || json_object_get(schema, "patternProperties") ||
           json_object_get(schema, "additionalProperties");
}

/* Adds to `out` each property that `from` declares and `out` has not, as both schemas want it. */
static bool merge_properties(hn_gschema *c, json_t *out, const json_t *from, const json_t *a, const json_t *b) {
    json_t *declared = json_object_get(from, "properties");
    for (void *it = json_object_iter(declared); it; it = json_object_iter_next(declared, it)) {
        const char *name = json_object_iter_key(it);
        if (json_object_get(out, name)) continue;
        json_t *x = property_of(c, a, name), *y = x ? property_of(c, b, name) : NULL;
        json_t *both = y ? hn_gschema_both(c, x, y) : NULL;
        json_decref(x);
        json_decref(y);
        if (!both || !put_new(c, out, name, both)) return false;
    }
    return true;
}

static bool merge_object(hn_gschema *c, json_t *base, const json_t *schema) {
    bool first = !has_objects(base);
    static const char *const names[] = {"properties", "patternProperties", "additionalProperties"};
    if (first) {
        for (size_t k = 0; k < 3; k++) {
            const json_t *value = json_object_get(schema, names[k]);
            if (value && !put(c, base, names[k], value)) return false;
        }
        return true;
    }
    json_t *properties = json_object();
    if (!properties) return hn_gschema_no_memory(c) != HN_GRAMMAR_BAD;
    if (!merge_properties(c, properties, base, base, schema) ||
        !merge_properties(c, properties, schema, base, schema)) {
        json_decref(properties);
        return false;
    }
    const json_t *x = json_object_get(base, "additionalProperties"),
                 *y = json_object_get(schema, "additionalProperties");
    if (json_object_get(base, "patternProperties") || json_object_get(schema, "patternProperties")) {
        /* Patterns are in the properties now; of other names nothing is written. */
        if (!put_new(c, base, HN_GSCHEMA_CLOSED, json_true())) {
            json_decref(properties);
            return false;
        }
    }
    if (!put_new(c, base, "properties", properties)) return false;
    return (!x && !y) || put_new(c, base, "additionalProperties", hn_gschema_both(c, x, y));
}

/* ---- one schema into the base ---- */

static bool merge_keyword(hn_gschema *c, json_t *base, const char *name, const json_t *value, const char *path) {
    static const char *const larger[] = {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"};
    static const char *const smaller[] = {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"};
    for (size_t k = 0; k < 5; k++) {
        if (strcmp(name, larger[k]) == 0) return merge_bound(c, base, name, value, 1);
        if (strcmp(name, smaller[k]) == 0) return merge_bound(c, base, name, value, -1);
    }
    if (strcmp(name, "type") == 0) return merge_type(c, base, value);
    if (strcmp(name, "enum") == 0 || strcmp(name, "const") == 0) return merge_enum(c, base, value, name[0] == 'c');
    if (strcmp(name, "multipleOf") == 0) return merge_multiple(c, base, value, path);
    if (strcmp(name, "pattern") == 0 || strcmp(name, "format") == 0) return merge_text(c, base, name, value, path);
    if (strcmp(name, "required") == 0) return merge_required(c, base, value);
    if (strcmp(name, "propertyNames") == 0)
        return put_new(c, base, name, hn_gschema_both(c, json_object_get(base, name), value));
    if (name[0] == '\x01') return put(c, base, name, value);
    return true;
}

static bool collect(hn_gschema *c, const json_t *schema, const char *path, hn_gschema_flat *flat, int depth);

static bool add_group(hn_gschema *c, const json_t *branches, bool one, const char *path, hn_gschema_flat *flat) {
    if (!hn_grow((void **)&flat->groups, &flat->group_capacity, flat->n_groups + 1, sizeof *flat->groups))
        return hn_gschema_no_memory(c) != HN_GRAMMAR_BAD;
    hn_gschema_group *g = &flat->groups[flat->n_groups++];
    *g = (hn_gschema_group){.branches = branches, .one = one};
    hn_gschema_path(g->path, path, one ? "oneOf" : "anyOf", NULL);
    return true;
}

static bool collect_applied(hn_gschema *c, const json_t *schema, const char *path, hn_gschema_flat *flat, int depth) {
    const char *reference = json_string_value(json_object_get(schema, "$ref"));
    const json_t *all = json_object_get(schema, "allOf"), *any = json_object_get(schema, "anyOf"),
                 *one = json_object_get(schema, "oneOf");
    if (reference && !collect(c, hn_gschema_target(c, reference), hn_gschema_target_path(reference), flat, depth + 1))
        return false;
    for (size_t i = 0; i < json_array_size(all); i++) {
        char below[HN_GSCHEMA_PATH_MAX], index[24];
        snprintf(index, sizeof index, "%zu", i);
        hn_gschema_path(below, path, "allOf", index);
        if (!collect(c, json_array_get(all, i), below, flat, depth + 1)) return false;
    }
    return (!any || add_group(c, any, false, path, flat)) && (!one || add_group(c, one, true, path, flat));
}

static bool collect(hn_gschema *c, const json_t *schema, const char *path, hn_gschema_flat *flat, int depth) {
    if (!schema || hn_gschema_failed(c) || !hn_gschema_spend(c, path)) return false;
    if (json_is_boolean(schema)) return json_is_true(schema) || put_new(c, flat->base, HN_GSCHEMA_NEVER, json_true());
    if (depth > HN_GSCHEMA_REF_DEPTH_MAX)
        return hn_gschema_bad(c, HN_ERR_LIMIT, path, NULL, "look for a $ref that leads back to itself",
                              "$ref and allOf are nested deeper than %d", HN_GSCHEMA_REF_DEPTH_MAX) != HN_GRAMMAR_BAD;
    if (!collect_applied(c, schema, path, flat, depth)) return false;
    json_t *object = (json_t *)schema;
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it))
        if (!merge_keyword(c, flat->base, json_object_iter_key(it), json_object_iter_value(it), path)) return false;
    if ((json_object_get(schema, "items") || json_object_get(schema, "prefixItems")) &&
        !merge_items(c, flat->base, schema))
        return false;
    return !has_objects(schema) || merge_object(c, flat->base, schema);
}

bool hn_gschema_collect(hn_gschema *c, const json_t *schema, const char *path, hn_gschema_flat *flat) {
    *flat = (hn_gschema_flat){.base = json_object()};
    if (!flat->base) return hn_gschema_no_memory(c) != HN_GRAMMAR_BAD;
    return collect(c, schema, path, flat, 0);
}

void hn_gschema_flat_free(hn_gschema_flat *flat) {
    json_decref(flat->base);
    hn_free(flat->groups);
    *flat = (hn_gschema_flat){0};
}

/* ---- apart ---- */

static bool requires(const json_t *base, const char *name) {
    const json_t *names = json_object_get(base, "required");
    for (size_t i = 0; i < json_array_size(names); i++)
        if (strcmp(json_string_value(json_array_get(names, i)), name) == 0) return true;
    return false;
}

/* One has to have a property of which the two say things that exclude each other. */
static bool objects_apart(hn_gschema *c, const json_t *a, const json_t *b, const char *path, int depth) {
    const json_t *sides[] = {a, b};
    for (int k = 0; k < 2; k++) {
        const json_t *names = json_object_get(sides[k], "required");
        for (size_t i = 0; i < json_array_size(names) && !hn_gschema_failed(c); i++) {
            const char *name = json_string_value(json_array_get(names, i));
            if (k && requires(a, name)) continue;
            json_t *x = property_of(c, a, name), *y = x ? property_of(c, b, name) : NULL;
            bool apart = y && hn_gschema_disjoint(c, x, y, path, depth + 1);
            json_decref(x);
            json_decref(y);
            if (apart) return true;
        }
    }
    return false;
}

static bool above(const json_t *low, const json_t *high, bool or_equal) {
    if (!json_is_number(low) || !json_is_number(high)) return false;
    int order = hn_json_number_compare(low, high);
    return order > 0 || (or_equal && order == 0);
}

static bool ranges_apart(const json_t *a, const json_t *b, const char *min, const char *max, const char *over,
                         const char *under) {
    const json_t *low = json_object_get(b, min), *high = json_object_get(a, max);
    const json_t *strict_low = over ? json_object_get(b, over) : NULL,
                 *strict_high = under ? json_object_get(a, under) : NULL;
    return above(low, high, false) || above(strict_low, high, true) || above(low, strict_high, true) ||
           above(strict_low, strict_high, true);
}

static bool values_apart(hn_gschema *c, const json_t *a, const json_t *b) {
    const json_t *values = json_object_get(a, "enum");
    if (!values || json_array_size(values) > 1000) return false;
    for (size_t i = 0; i < json_array_size(values); i++) {
        const json_t *value = json_array_get(values, i);
        const json_t *others = json_object_get(b, "enum");
        bool fits = !others && hn_gschema_valid(c, b, value, false);
        for (size_t k = 0; k < json_array_size(others) && !fits; k++)
            fits = hn_json_values_equal(value, json_array_get(others, k));
        if (fits || hn_gschema_failed(c)) return false;
    }
    return true;
}

static bool bases_apart(hn_gschema *c, const json_t *a, const json_t *b, const char *path, int depth) {
    unsigned types = both_types(hn_gschema_types(a), hn_gschema_types(b));
    if (!types || values_apart(c, a, b) || values_apart(c, b, a)) return true;
    if (types & (HN_GTYPE_NULL | HN_GTYPE_BOOLEAN)) return false;
    if (types & (HN_GTYPE_NUMBER | HN_GTYPE_INTEGER) &&
        !ranges_apart(a, b, "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum") &&
        !ranges_apart(b, a, "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"))
        return false;
    if (types & HN_GTYPE_STRING && !ranges_apart(a, b, "minLength", "maxLength", NULL, NULL) &&
        !ranges_apart(b, a, "minLength", "maxLength", NULL, NULL))
        return false;
    if (types & HN_GTYPE_ARRAY && !ranges_apart(a, b, "minItems", "maxItems", NULL, NULL) &&
        !ranges_apart(b, a, "minItems", "maxItems", NULL, NULL))
        return false;
    return !(types & HN_GTYPE_OBJECT) || objects_apart(c, a, b, path, depth);
}

/* Every branch of a group of `a` is apart from `b`. */
static bool branches_apart(hn_gschema *c, const hn_gschema_flat *a, const json_t *b, const char *path, int depth) {
    for (size_t g = 0; g < a->n_groups; g++) {
        bool all = true;
        for (size_t i = 0; i < json_array_size(a->groups[g].branches) && all && !hn_gschema_failed(c); i++) {
            json_t *branch = hn_gschema_both(c, a->base, json_array_get(a->groups[g].branches, i));
            all = branch && hn_gschema_disjoint(c, branch, b, path, depth + 1);
            json_decref(branch);
        }
        if (all) return !hn_gschema_failed(c);
    }
    return false;
}

bool hn_gschema_disjoint(hn_gschema *c, const json_t *a, const json_t *b, const char *path, int depth) {
    enum { DEPTH_MAX = 12 };
    if (depth > DEPTH_MAX || hn_gschema_failed(c)) return false;
    hn_gschema_flat x = {0}, y = {0};
    bool apart = false;
    if (hn_gschema_collect(c, a, path, &x) && hn_gschema_collect(c, b, path, &y)) {
        apart = bases_apart(c, x.base, y.base, path, depth) || branches_apart(c, &x, b, path, depth) ||
                branches_apart(c, &y, a, path, depth);
    }
    hn_gschema_flat_free(&x);
    hn_gschema_flat_free(&y);
    return apart && !hn_gschema_failed(c);
}
