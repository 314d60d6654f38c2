/* Validating a value with a compiled JSON Schema; see json_schema_internal.h.
 * One recursive function, eval, is a schema at a place of the value. It says whether the schema accepts and, where
 * somebody above needs it, which properties or items were looked at (`seen`), for unevaluatedItems and
 * unevaluatedProperties: a failed branch contributes nothing. Errors are kept in one list; anyOf and oneOf replace those of
 * their branches by one that names the branch that came furthest. `fatal` stops everything: limits and memory. */
#include "format/json_schema_internal.h"

#include "format/json_schema_value.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EVAL_DEPTH_MAX = 1600, STEPS_MAX = 20 * 1000 * 1000, KEPT_MAX = HN_JSON_SCHEMA_ERRORS_MAX + 2 };

/* Where in the value: a list from the inside out. */
typedef struct place {
    const struct place *parent;
    const char *key; /* NULL: index */
    size_t index, depth;
} place;

/* The resources on the way here, from the inside out, for $dynamicRef. */
typedef struct scope {
    const hn_schema_resource *resource;
    const struct scope *parent;
} scope;

/* Which properties (in the object's order) or items were evaluated. */
typedef struct seen {
    unsigned char *flags;
    size_t n;
} seen;

typedef struct run {
    hn_json_schema_error *kept; /* KEPT_MAX */
    size_t *depths;             /* of their places */
    size_t n_kept;
    int quiet; /* above 0: nobody wants errors */
    hn_schema_scratch *scratch;
    size_t steps;
    int depth;
    hn_status fatal;
    hn_error *err;
} run;

static bool eval(run *r, const hn_schema_node *node, const json_t *value, const place *at, const scope *from,
                 seen *result);

/* ---- errors ---- */

static void append_place(hn_buf *out, const place *at, int depth) {
    if (!at || !at->parent || depth > 4 * HN_JSON_DEPTH_MAX) return;
    append_place(out, at->parent, depth + 1);
    hn_buf_append_char(out, '/');
    if (!at->key) hn_buf_appendf(out, "%zu", at->index);
    for (const char *c = at->key; c && *c; c++) {
        if (*c == '~' || *c == '/')
            hn_buf_append_str(out, *c == '~' ? "~0" : "~1");
        else
            hn_buf_append_char(out, *c);
    }
}

static bool refuse(run *r, const hn_schema_node *node, const char *keyword, const place *at, const char *fmt, ...)
    HN_PRINTF(5, 6);

/* Notes an error; always false, so that a check can end with it. */
static bool refuse(run *r, const hn_schema_node *node, const char *keyword, const place *at, const char *fmt, ...) {
    if (r->quiet || r->fatal != HN_OK || r->n_kept == KEPT_MAX) return false;
    hn_json_schema_error *e = &r->kept[r->n_kept];
    hn_buf text;
    hn_buf_init(&text, 1 << 20);
    append_place(&text, at, 0);
    size_t cut = text.len < sizeof e->instance_path ? 0 : text.len - sizeof e->instance_path + 4;
    snprintf(e->instance_path, sizeof e->instance_path, "%s%s", cut ? "..." : "", hn_buf_str(&text) + cut);
    hn_buf_free(&text);
    hn_schema_node_path(node, keyword, e->schema_path, sizeof e->schema_path);
    va_list args;
    va_start(args, fmt);
    char message[sizeof e->message + 4];
    int n = vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof message ? (size_t)n : sizeof message - 1;
    if (len >= sizeof e->message) len = hn_utf8_prefix(message, len, sizeof e->message - 1);
    memcpy(e->message, message, len);
    e->message[len] = 0;
    r->depths[r->n_kept++] = at->depth;
    return false;
}

static bool stop(run *r, hn_status st, const hn_schema_node *node, const char *hint, const char *message) {
    char where[256];
    if (r->fatal != HN_OK) return false;
    r->fatal = st;
    hn_schema_node_path(node, NULL, where, sizeof where);
    if (st == HN_ERR_MEMORY)
        (void)hn_fail_memory(r->err, 0);
    else
        (void)hn_fail(r->err, st, where[0] ? where : "the schema", hint, "%s", message);
    return false;
}

/* Counts work; false when the limit is reached. */
static bool spend(run *r, const hn_schema_node *node, size_t steps) {
    r->steps += steps < STEPS_MAX ? steps : STEPS_MAX;
    if (r->steps <= STEPS_MAX) return r->fatal == HN_OK;
    return stop(r, HN_ERR_LIMIT, node, "simplify the schema or split the value",
                "validating takes too much work: the schema's branches multiply, or the value is huge");
}

/* True: nothing more is gained by going on after a failure. */
static bool enough(const run *r) { return r->quiet || r->fatal != HN_OK || r->n_kept >= HN_JSON_SCHEMA_ERRORS_MAX; }

/* ---- seen ---- */

static void mark(seen *s, size_t i) {
    if (s && i < s->n) s->flags[i] = 1;
}

static void mark_all(seen *s) {
    if (s && s->n) memset(s->flags, 1, s->n);
}

/* ---- values ---- */

static unsigned type_of(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT: return HN_TYPE_OBJECT;
    case JSON_ARRAY: return HN_TYPE_ARRAY;
    case JSON_STRING: return HN_TYPE_STRING;
    case JSON_INTEGER: return HN_TYPE_NUMBER | HN_TYPE_INTEGER;
    case JSON_REAL: return HN_TYPE_NUMBER | (hn_json_number_is_integer(value) ? HN_TYPE_INTEGER : 0);
    case JSON_TRUE:
    case JSON_FALSE: return HN_TYPE_BOOLEAN;
    default: return HN_TYPE_NULL;
    }
}

static const char *types_text(unsigned types, char out[120]) {
    static const char *const names[] = {"null",     "a boolean", "an object", "an array",
                                        "a number", "a string",  "an integer"};
    size_t n = 0;
    out[0] = 0;
    for (size_t k = 0; k < 7; k++)
        if (types >> k & 1) {
            unsigned rest = types >> (k + 1);
            n += (size_t)snprintf(out + n, 120 - n, "%s%s", !n ? "" : rest ? ", " : " or ", names[k]);
        }
    return out;
}

static bool check_type(run *r, const hn_schema_node *node, const json_t *value, const place *at) {
    if (!node->types || (node->types & type_of(value))) return true;
    char wanted[120], shown[80];
    hn_json_value_preview(value, shown);
    return refuse(r, node, "type", at, "%s is not %s", shown, types_text(node->types, wanted));
}

static bool check_enum(run *r, const hn_schema_node *node, const json_t *value, const place *at) {
    char shown[80], wanted[80];
    if (node->const_ && !hn_json_values_equal(node->const_, value)) {
        hn_json_value_preview(value, shown);
        hn_json_value_preview(node->const_, wanted);
        return refuse(r, node, "const", at, "%s is not %s", shown, wanted);
    }
    if (!node->enum_) return true;
    size_t n = json_array_size(node->enum_);
    if (!spend(r, node, n)) return false;
    for (size_t i = 0; i < n; i++)
        if (hn_json_values_equal(json_array_get(node->enum_, i), value)) return true;
    if (r->quiet) return false;
    char list[200] = "";
    for (size_t i = 0, len = 0; i < n && len < 110; i++) {
        hn_json_value_preview(json_array_get(node->enum_, i), wanted);
        len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", i ? ", " : "", wanted);
        if (len >= 110 && i + 1 < n) snprintf(list + len, sizeof list - len, ", ...");
    }
    hn_json_value_preview(value, shown);
    return refuse(r, node, "enum", at, "%s is none of %s", shown, list);
}

static bool check_bound(run *r, const hn_schema_node *node, const char *keyword, const json_t *bound,
                        const json_t *value, const place *at) {
    if (!bound) return true;
    int order = hn_json_number_compare(value, bound);
    bool low = strcmp(keyword, "minimum") == 0 || strcmp(keyword, "exclusiveMinimum") == 0;
    bool exclusive = keyword[0] == 'e';
    if (low ? (exclusive ? order > 0 : order >= 0) : (exclusive ? order < 0 : order <= 0)) return true;
    char shown[80], limit[80];
    hn_json_value_preview(value, shown);
    hn_json_value_preview(bound, limit);
    if (exclusive) return refuse(r, node, keyword, at, "%s must be %s %s", shown, low ? "above" : "below", limit);
    return refuse(r, node, keyword, at, "%s is %s %s", shown, low ? "below the minimum" : "above the maximum", limit);
}

static bool check_number(run *r, const hn_schema_node *node, const json_t *value, const place *at) {
    bool fine = check_bound(r, node, "minimum", node->minimum, value, at);
    fine &= check_bound(r, node, "maximum", node->maximum, value, at);
    fine &= check_bound(r, node, "exclusiveMinimum", node->exclusive_minimum, value, at);
    fine &= check_bound(r, node, "exclusiveMaximum", node->exclusive_maximum, value, at);
    if (node->multiple_of && !hn_json_number_is_multiple(value, node->multiple_of)) {
        char shown[80], divisor[80];
        hn_json_value_preview(value, shown);
        hn_json_value_preview(node->multiple_of, divisor);
        return refuse(r, node, "multipleOf", at, "%s is not a multiple of %s", shown, divisor);
    }
    return fine;
}

static bool search(run *r, const hn_schema_node *node, const hn_schema_pattern *pattern, const char *text, size_t n) {
    bool found = false;
    if (!spend(r, node, 1 + n / 16)) return false;
    if (!r->scratch && !(r->scratch = hn_schema_scratch_create())) return stop(r, HN_ERR_MEMORY, node, NULL, "");
    hn_status st = hn_schema_pattern_search(pattern->code, r->scratch, text, n, &found);
    if (st != HN_OK) return stop(r, st, node, "simplify the pattern", "a pattern needs too much work on this text");
    return found;
}

/* A count against its lower and upper keyword. */
static bool check_count(run *r, const hn_schema_node *node, const char *min_name, int64_t min, const char *max_name,
                        int64_t max, size_t n, const char *what, const place *at) {
    if (min >= 0 && n < (uint64_t)min)
        return refuse(r, node, min_name, at, "%zu %s: at least %" PRId64 " %s needed", n, what, min,
                      min == 1 ? "is" : "are");
    if (max >= 0 && n > (uint64_t)max)
        return refuse(r, node, max_name, at, "%zu %s: at most %" PRId64 " %s allowed", n, what, max,
                      max == 1 ? "is" : "are");
    return true;
}

static bool check_string(run *r, const hn_schema_node *node, const json_t *value, const place *at) {
    const char *text = json_string_value(value);
    size_t n = json_string_length(value);
    bool fine = true;
    char shown[80];
    if (node->min_length >= 0 || node->max_length >= 0)
        fine = check_count(r, node, "minLength", node->min_length, "maxLength", node->max_length,
                           hn_utf8_count(text, n), "characters", at);
    if (node->pattern && !search(r, node, node->pattern, text, n)) {
        hn_json_value_preview(value, shown);
        return refuse(r, node, "pattern", at, "%s does not match the pattern %.120s", shown, node->pattern->source);
    }
    if (node->format && hn_json_schema_format(node->format, text, n) == 0) {
        hn_json_value_preview(value, shown);
        return refuse(r, node, "format", at, "%s is no %.60s", shown, node->format);
    }
    return fine;
}

/* ---- in place: the same value again ---- */

/* Replaces what the branches of anyOf or oneOf left by one error at `at`. */
static bool refuse_branches(run *r, const hn_schema_node *node, const char *keyword, const place *at, size_t first,
                            size_t n) {
    if (r->quiet || r->fatal != HN_OK) return false;
    bool have = r->n_kept > first;
    hn_json_schema_error best = {0};
    if (have) best = r->kept[first];
    r->n_kept = first;
    if (!have || first >= HN_JSON_SCHEMA_ERRORS_MAX)
        return refuse(r, node, keyword, at, "it fits none of the %zu forms of %s", n, keyword);
    if (n == 1) {
        r->n_kept++;
        return false;
    }
    return refuse(r, node, keyword, at, "it fits none of the %zu forms of %s; the nearest fails%s%.100s: %.180s", n,
                  keyword, best.instance_path[0] ? " at " : "", best.instance_path, best.message);
}

/* Goes through the branches; how many accept. Of the errors only those of the branch that came furthest stay, behind `first`. */
static size_t try_branches(run *r, const hn_schema_list *list, const json_t *value, const place *at, const scope *from,
                           seen *marks, bool all, size_t first) {
    size_t n_fit = 0, best_depth = 0;
    for (size_t i = 0; i < list->n && r->fatal == HN_OK; i++) {
        size_t before = r->n_kept;
        if (eval(r, list->nodes[i], value, at, from, marks)) {
            n_fit++;
            if (!all && !marks) break;
        }
        if (r->n_kept <= before) continue;
        if (before == first || r->depths[before] > best_depth) {
            best_depth = r->depths[before];
            r->kept[first] = r->kept[before];
            r->depths[first] = best_depth;
        }
        r->n_kept = first + 1;
    }
    return n_fit;
}

static bool eval_any_of(run *r, const hn_schema_node *node, const json_t *value, const place *at, const scope *from,
                        seen *marks) {
    size_t first = r->n_kept;
    size_t n_fit = try_branches(r, &node->any_of, value, at, from, marks, false, first);
    if (n_fit && r->fatal == HN_OK) {
        r->n_kept = first;
        return true;
    }
    return refuse_branches(r, node, "anyOf", at, first, node->any_of.n);
}

static bool eval_one_of(run *r, const hn_schema_node *node, const json_t *value, const place *at, const scope *from,
                        seen *marks) {
    size_t first = r->n_kept;
    size_t n_fit = try_branches(r, &node->one_of, value, at, from, marks, true, first);
    if (!n_fit) return refuse_branches(r, node, "oneOf", at, first, node->one_of.n);
    r->n_kept = r->fatal == HN_OK ? first : r->n_kept;
    if (n_fit == 1) return true;
    return refuse(r, node, "oneOf", at, "it fits %zu of the %zu forms of oneOf; it must fit exactly one", n_fit,
                  node->one_of.n);
}

static const hn_schema_node *dynamic_target(const hn_schema_node *node, const scope *from) {
    const hn_schema_node *target = node->dynamic_ref;
    for (const scope *s = from; s && node->dynamic_name; s = s->parent) {
        const hn_schema_anchor *a = hn_schema_find_anchor(s->resource, node->dynamic_name);
        if (a && a->dynamic) target = a->node; /* the outermost wins */
    }
    return target;
}

static bool quietly(run *r, const hn_schema_node *node, const json_t *value, const place *at, const scope *from,
                    seen *marks) {
    r->quiet++;
    bool fine = eval(r, node, value, at, from, marks);
    r->quiet--;
    return fine && r->fatal == HN_OK;
}

static bool eval_logic(run *r, const hn_schema_node *node, const json_t *value, const place *at, const scope *from,
                       seen *marks) {
    bool fine = true;
    if (node->not_ && quietly(r, node->not_, value, at, from, NULL)) {
        char shown[80];
        hn_json_value_preview(value, shown);
        fine = refuse(r, node, "not", at, "%s is what `not` excludes", shown);
    }
    if (node->if_ && (node->then_ || node->else_ || marks)) {
        bool holds = quietly(r, node->if_, value, at, from, marks);
        const hn_schema_node *next = holds ? node->then_ : node->else_;
        if (next && r->fatal == HN_OK) fine &= eval(r, next, value, at, from, marks);
    }
    return fine;
}

static bool eval_in_place(run *r, const hn_schema_node *node, const json_t *value, const place *at, const scope *from,
                          seen *marks) {
    bool fine = true;
    if (node->ref) fine = eval(r, node->ref, value, at, from, marks);
    if (!fine && enough(r)) return false;
    if (node->dynamic_ref) fine &= eval(r, dynamic_target(node, from), value, at, from, marks);
    for (size_t i = 0; i < node->all_of.n && (fine || !enough(r)); i++)
        fine &= eval(r, node->all_of.nodes[i], value, at, from, marks);
    if (node->any_of.n && (fine || !enough(r))) fine &= eval_any_of(r, node, value, at, from, marks);
    if (node->one_of.n && (fine || !enough(r))) fine &= eval_one_of(r, node, value, at, from, marks);
    if ((node->not_ || node->if_) && (fine || !enough(r))) fine &= eval_logic(r, node, value, at, from, marks);
    return fine;
}

/* ---- objects ---- */

static const hn_schema_member *find_member(const hn_schema_members *members, const char *key, size_t len) {
    size_t low = 0, high = members->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const hn_schema_member *m = &members->at[middle];
        int order = memcmp(key, m->key, len < m->len ? len : m->len);
        if (!order) order = (len > m->len) - (len < m->len);
        if (!order) return m;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static bool check_names(run *r, const hn_schema_node *node, const json_t *names, const char *keyword,
                        const json_t *value, const char *because, const place *at) {
    bool fine = true;
    for (size_t i = 0; i < json_array_size(names) && (fine || !enough(r)); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (json_object_get(value, name)) continue;
        if (because)
            fine =
                refuse(r, node, keyword, at, "the property \"%.80s\" is missing, which \"%.80s\" needs", name, because);
        else
            fine = refuse(r, node, keyword, at, "the property \"%.120s\" is missing", name);
    }
    return fine;
}

static bool eval_dependent(run *r, const hn_schema_node *node, json_t *value, const place *at, const scope *from,
                           seen *marks) {
    bool fine = true;
    json_t *needed = (json_t *)node->dependent_required;
    for (void *it = json_object_iter(needed); it; it = json_object_iter_next(needed, it)) {
        const char *key = json_object_iter_key(it);
        if (!json_object_get(value, key)) continue;
        fine &= check_names(r, node, json_object_iter_value(it), "dependentRequired", value, key, at);
    }
    for (size_t i = 0; i < node->dependent_schemas.n && (fine || !enough(r)); i++) {
        const hn_schema_member *m = &node->dependent_schemas.at[i];
        if (json_object_getn(value, m->key, m->len)) fine &= eval(r, m->node, value, at, from, marks);
    }
    return fine;
}

static bool eval_name(run *r, const hn_schema_node *node, const char *key, size_t len, const place *at,
                      const scope *from) {
    json_t *name = json_stringn_nocheck(key, len);
    if (!name) return stop(r, HN_ERR_MEMORY, node, NULL, "");
    bool fine = quietly(r, node->property_names, name, at, from, NULL);
    json_decref(name);
    return fine || refuse(r, node, "propertyNames", at, "the property's name \"%.80s\" is not allowed", key);
}

/* One property against properties, patternProperties, additionalProperties and propertyNames. */
static bool eval_property(run *r, const hn_schema_node *node, const char *key, size_t len, const json_t *value,
                          const place *at, const scope *from, bool *evaluated) {
    bool fine = true;
    const hn_schema_member *m = find_member(&node->properties, key, len);
    if (m) {
        *evaluated = true;
        fine = eval(r, m->node, value, at, from, NULL);
    }
    for (size_t i = 0; i < node->patterns.n && (fine || !enough(r)); i++) {
        if (!search(r, node, node->patterns.at[i].pattern, key, len)) continue;
        *evaluated = true;
        fine &= eval(r, node->patterns.at[i].node, value, at, from, NULL);
    }
    if (node->additional && !*evaluated && r->fatal == HN_OK) {
        *evaluated = true;
        if (node->additional->never)
            fine = refuse(r, node, "additionalProperties", at, "the property is not allowed");
        else
            fine &= eval(r, node->additional, value, at, from, NULL);
    }
    if (node->property_names && (fine || !enough(r))) fine &= eval_name(r, node, key, len, at, from);
    return fine;
}

static bool eval_object(run *r, const hn_schema_node *node, const json_t *value, const place *at, const scope *from,
                        seen *marks) {
    json_t *object = (json_t *)value;
    size_t n = json_object_size(value), i = 0;
    bool fine = check_count(r, node, "minProperties", node->min_properties, "maxProperties", node->max_properties, n,
                            n == 1 ? "property" : "properties", at);
    if (node->required && (fine || !enough(r)))
        fine &= check_names(r, node, node->required, "required", value, NULL, at);
    if (node->dependent_required || node->dependent_schemas.n) fine &= eval_dependent(r, node, object, at, from, marks);
    if (!node->properties.n && !node->patterns.n && !node->additional && !node->property_names) return fine;
    if (!spend(r, node, n)) return false;
    for (void *it = json_object_iter(object); it && (fine || !enough(r)); it = json_object_iter_next(object, it), i++) {
        bool evaluated = false;
        const char *key = json_object_iter_key(it);
        place below = {at, key, 0, at->depth + 1};
        fine &= eval_property(r, node, key, json_object_iter_key_len(it), json_object_iter_value(it), &below, from,
                              &evaluated);
        if (evaluated) mark(marks, i);
    }
    return fine;
}

static bool eval_unevaluated_properties(run *r, const hn_schema_node *node, const json_t *value, const place *at,
                                        const scope *from, seen *marks) {
    json_t *object = (json_t *)value;
    bool fine = true;
    size_t i = 0;
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it), i++) {
        if (i >= marks->n || marks->flags[i]) continue;
        place below = {at, json_object_iter_key(it), 0, at->depth + 1};
        if (node->unevaluated_properties->never)
            fine = refuse(r, node, "unevaluatedProperties", &below, "the property is not allowed");
        else
            fine &= eval(r, node->unevaluated_properties, json_object_iter_value(it), &below, from, NULL);
        if (!fine && enough(r)) return false;
    }
    mark_all(marks);
    return fine;
}

/* ---- arrays ---- */

typedef struct hashed {
    uint64_t hash;
    size_t index;
} hashed;

static int compare_hashed(const void *a, const void *b) {
    const hashed *x = a, *y = b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static bool check_unique(run *r, const hn_schema_node *node, const json_t *value, const place *at) {
    size_t n = json_array_size(value);
    if (n < 2 || !spend(r, node, n)) return r->fatal == HN_OK;
    hashed *items = hn_calloc(n, sizeof *items);
    if (!items) return stop(r, HN_ERR_MEMORY, node, NULL, "");
    for (size_t i = 0; i < n; i++) items[i] = (hashed){hn_json_value_hash(json_array_get(value, i)), i};
    qsort(items, n, sizeof *items, compare_hashed);
    bool unique = true;
    size_t a = 0, b = 0;
    for (size_t i = 0; i + 1 < n && unique; i++) /* equal hashes of unequal items: rare, unless somebody wants it */
        for (size_t k = i + 1; k < n && items[k].hash == items[i].hash && unique && spend(r, node, 1); k++) {
            a = items[i].index, b = items[k].index;
            unique = !hn_json_values_equal(json_array_get(value, a), json_array_get(value, b));
        }
    hn_free(items);
    return unique || refuse(r, node, "uniqueItems", at, "the items %zu and %zu are equal", a, b);
}

static bool eval_contains(run *r, const hn_schema_node *node, const json_t *value, const place *at, const scope *from,
                          seen *marks) {
    size_t n = json_array_size(value), n_fit = 0;
    for (size_t i = 0; i < n && r->fatal == HN_OK; i++) {
        place below = {at, NULL, i, at->depth + 1};
        if (!quietly(r, node->contains, json_array_get(value, i), &below, from, NULL)) continue;
        n_fit++;
        mark(marks, i);
    }
    int64_t min = node->min_contains >= 0 ? node->min_contains : 1;
    if (n_fit < (uint64_t)min)
        return refuse(r, node, node->min_contains >= 0 ? "minContains" : "contains", at,
                      "%zu items are as `contains` asks, at least %" PRId64 " must be", n_fit, min);
    if (node->max_contains >= 0 && n_fit > (uint64_t)node->max_contains)
        return refuse(r, node, "maxContains", at, "%zu items are as `contains` asks, at most %" PRId64 " may be", n_fit,
                      node->max_contains);
    return true;
}

static bool eval_array(run *r, const hn_schema_node *node, const json_t *value, const place *at, const scope *from,
                       seen *marks) {
    size_t n = json_array_size(value);
    bool fine = check_count(r, node, "minItems", node->min_items, "maxItems", node->max_items, n,
                            n == 1 ? "item" : "items", at);
    if (node->unique && (fine || !enough(r))) fine &= check_unique(r, node, value, at);
    for (size_t i = 0; i < n && (i < node->prefix.n || node->items) && (fine || !enough(r)); i++) {
        place below = {at, NULL, i, at->depth + 1};
        const hn_schema_node *item = i < node->prefix.n ? node->prefix.nodes[i] : node->items;
        if (i >= node->prefix.n && item->never)
            fine = refuse(r, node, "items", &below, "at most %zu items are allowed here", node->prefix.n);
        else
            fine &= eval(r, item, json_array_get(value, i), &below, from, NULL);
        mark(marks, i);
    }
    if (node->contains && (fine || !enough(r))) fine &= eval_contains(r, node, value, at, from, marks);
    return fine;
}

static bool eval_unevaluated_items(run *r, const hn_schema_node *node, const json_t *value, const place *at,
                                   const scope *from, seen *marks) {
    bool fine = true;
    for (size_t i = 0; i < marks->n && (fine || !enough(r)); i++) {
        if (marks->flags[i]) continue;
        place below = {at, NULL, i, at->depth + 1};
        if (node->unevaluated_items->never)
            fine = refuse(r, node, "unevaluatedItems", &below, "the item is not allowed");
        else
            fine &= eval(r, node->unevaluated_items, json_array_get(value, i), &below, from, NULL);
    }
    mark_all(marks);
    return fine;
}

/* ---- a schema at a place ---- */

static bool eval_all(run *r, const hn_schema_node *node, const json_t *value, const place *at, const scope *from,
                     seen *marks) {
    if (node->never) return refuse(r, node, NULL, at, "nothing is allowed here");
    bool fine = check_type(r, node, value, at);
    if (!fine) return false; /* what follows would only repeat it */
    if (node->const_ || node->enum_) fine = check_enum(r, node, value, at);
    if (json_is_number(value)) fine &= check_number(r, node, value, at);
    if (json_is_string(value)) fine &= check_string(r, node, value, at);
    if (!fine && enough(r)) return false;
    fine &= eval_in_place(r, node, value, at, from, marks);
    if (!fine && enough(r)) return false;
    if (json_is_object(value)) fine &= eval_object(r, node, value, at, from, marks);
    if (json_is_array(value)) fine &= eval_array(r, node, value, at, from, marks);
    if (!fine || r->fatal != HN_OK) return false;
    if (node->unevaluated_properties && json_is_object(value))
        fine = eval_unevaluated_properties(r, node, value, at, from, marks);
    if (node->unevaluated_items && json_is_array(value)) fine = eval_unevaluated_items(r, node, value, at, from, marks);
    return fine;
}

static bool eval(run *r, const hn_schema_node *node, const json_t *value, const place *at, const scope *from,
                 seen *result) {
    if (!spend(r, node, 1)) return false;
    if (r->depth >= EVAL_DEPTH_MAX)
        return stop(r, HN_ERR_LIMIT, node, "make the value flatter, or look for a $ref that leads back to itself",
                    "schema and value are nested too deeply, or the schema refers to itself without end");
    scope inner = {node->resource, from};
    seen own = {NULL, 0};
    bool container = json_is_object(value) || json_is_array(value);
    if (container && (result || node->tracks)) {
        own.n = json_is_object(value) ? json_object_size(value) : json_array_size(value);
        own.flags = hn_calloc(own.n ? own.n : 1, 1);
        if (!own.flags) return stop(r, HN_ERR_MEMORY, node, NULL, "");
        (void)spend(r, node, own.n / 8);
    }
    r->depth++;
    bool fine =
        eval_all(r, node, value, at, from && from->resource == node->resource ? from : &inner, own.flags ? &own : NULL);
    r->depth--;
    for (size_t i = 0; fine && result && i < own.n && i < result->n; i++) result->flags[i] |= own.flags[i];
    hn_free(own.flags);
    return fine && r->fatal == HN_OK;
}

/* ---- the door ---- */

hn_status hn_json_schema_validate(const hn_json_schema *schema, const json_t *value, hn_json_schema_result *result,
                                  hn_error *err) {
    memset(result, 0, sizeof *result);
    if (!value) return hn_fail(err, HN_ERR_USAGE, NULL, NULL, "there is no value to validate");
    hn_json_schema_error *kept = hn_calloc(KEPT_MAX, sizeof *kept);
    if (!kept) return hn_fail_memory(err, KEPT_MAX * sizeof *kept);
    size_t depths[KEPT_MAX] = {0};
    run r = {.kept = kept, .depths = depths, .err = err};
    place root = {0};
    result->valid = eval(&r, schema->root, value, &root, NULL, NULL) && r.fatal == HN_OK;
    result->n_errors = r.n_kept < HN_JSON_SCHEMA_ERRORS_MAX ? r.n_kept : HN_JSON_SCHEMA_ERRORS_MAX;
    if (result->valid || r.fatal != HN_OK) result->n_errors = 0;
    memcpy(result->errors, kept, result->n_errors * sizeof *kept);
    hn_schema_scratch_free(r.scratch);
    hn_free(kept);
    return r.fatal;
}

void hn_json_schema_error_text(const hn_json_schema_error *error, hn_buf *out) {
    hn_buf_appendf(out, "%s: %s", error->instance_path[0] ? error->instance_path : "the value", error->message);
}

hn_status hn_json_schema_check(const hn_json_schema *schema, const json_t *value, const char *where, hn_error *err) {
    enum { SHOWN = 3 };
    hn_json_schema_result *result = hn_alloc(sizeof *result);
    if (!result) return hn_fail_memory(err, sizeof *result);
    hn_status st = hn_json_schema_validate(schema, value, result, err);
    if (st == HN_OK && !result->valid) {
        hn_buf text;
        hn_buf_init(&text, 4096);
        for (size_t i = 0; i < result->n_errors && i < SHOWN; i++) {
            if (i) hn_buf_append_str(&text, "; ");
            hn_json_schema_error_text(&result->errors[i], &text);
        }
        if (result->n_errors > SHOWN) hn_buf_append_str(&text, "; and more");
        char hint[384];
        snprintf(hint, sizeof hint, "the schema says so at %s", result->n_errors ? result->errors[0].schema_path : "/");
        st = hn_fail(err, HN_ERR_INPUT, where, hint, "%s", text.len ? text.data : "the schema refuses the value");
        hn_buf_free(&text);
    }
    hn_free(result);
    return st;
}
