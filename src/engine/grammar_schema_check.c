/* Which JSON Schemas can be enforced while text is written: a walk over all that is reachable; see grammar_schema_parts.h.
 * What is not known here by name is an annotation, as draft 2020-12 has it. */
#include "engine/grammar_schema_parts.h"

#include "base/alloc.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

typedef enum role { SCHEMA, LIST, MAP, ASSERTION, REFUSED, REFERENCE, UNIQUE, SKIPPED } role;

static const struct {
    const char *name;
    role role;
    const char *remedy; /* of refused ones */
} keywords[] = {
    {"$ref", REFERENCE, NULL},
    {"allOf", LIST, NULL},
    {"anyOf", LIST, NULL},
    {"oneOf", LIST, NULL},
    {"prefixItems", LIST, NULL},
    {"items", SCHEMA, NULL},
    {"additionalProperties", SCHEMA, NULL},
    {"propertyNames", SCHEMA, NULL},
    {"properties", MAP, NULL},
    {"patternProperties", MAP, NULL},
    {"type", ASSERTION, NULL},
    {"enum", ASSERTION, NULL},
    {"const", ASSERTION, NULL},
    {"required", ASSERTION, NULL},
    {"minimum", ASSERTION, NULL},
    {"maximum", ASSERTION, NULL},
    {"exclusiveMinimum", ASSERTION, NULL},
    {"exclusiveMaximum", ASSERTION, NULL},
    {"multipleOf", ASSERTION, NULL},
    {"minLength", ASSERTION, NULL},
    {"maxLength", ASSERTION, NULL},
    {"pattern", ASSERTION, NULL},
    {"format", ASSERTION, NULL},
    {"minItems", ASSERTION, NULL},
    {"maxItems", ASSERTION, NULL},
    {"minProperties", ASSERTION, NULL},
    {"maxProperties", ASSERTION, NULL},
    {"uniqueItems", UNIQUE, "remove it, or list the combinations in enum"},
    {"not", REFUSED, "say what is allowed instead: enum, type or a pattern"},
    {"if", REFUSED, "use anyOf with one form for each case"},
    {"contains", REFUSED, "put what must be there into prefixItems"},
    {"dependentSchemas", REFUSED, "use anyOf with one form for each case"},
    {"dependentRequired", REFUSED, "use anyOf with one form for each case"},
    {"unevaluatedProperties", REFUSED, "use additionalProperties: false where all properties are declared"},
    {"unevaluatedItems", REFUSED, "use items: false"},
    {"$dynamicRef", REFUSED, "use $ref"},
    {"$id", REFUSED, "keep one schema and refer to its parts as #/$defs/NAME"},
};

static size_t find(const char *name) {
    size_t k = 0, n = sizeof keywords / sizeof *keywords;
    while (k < n && strcmp(keywords[k].name, name) != 0) k++;
    return k;
}

bool hn_gschema_only(const json_t *schema, const char *keyword) {
    json_t *object = (json_t *)schema; /* iterating changes nothing */
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        const char *name = json_object_iter_key(it);
        if (strcmp(name, keyword) == 0) continue;
        if (name[0] == '\x01' || find(name) < sizeof keywords / sizeof *keywords) return false;
    }
    return true;
}

/* ---- references ---- */

static int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One token of a JSON pointer in a URI's fragment, up to '/' or the end; *next: behind it. False: too long. */
static bool token_of(const char *pointer, char out[1024], const char **next) {
    size_t n = 0;
    while (*pointer && *pointer != '/') {
        char c = *pointer++;
        if (c == '%' && hex(pointer[0]) >= 0 && hex(pointer[1]) >= 0) {
            c = (char)(hex(pointer[0]) * 16 + hex(pointer[1]));
            pointer += 2;
        }
        if (c == '~' && (*pointer == '0' || *pointer == '1')) c = *pointer++ == '0' ? '~' : '/';
        if (n >= 1023) return false;
        out[n++] = c;
    }
    out[n] = 0;
    *next = pointer;
    return true;
}

static const json_t *find_anchor(const json_t *schema, const char *name, int depth) {
    if (depth > HN_JSON_DEPTH_MAX) return NULL;
    const json_t *found = NULL;
    if (json_is_object(schema)) {
        json_t *object = (json_t *)schema;
        const char *anchor = json_string_value(json_object_get(schema, "$anchor"));
        if (anchor && strcmp(anchor, name) == 0) return schema;
        for (void *it = json_object_iter(object); it && !found; it = json_object_iter_next(object, it)) {
            const char *key = json_object_iter_key(it);
            if (strcmp(key, "enum") != 0 && strcmp(key, "const") != 0 && strcmp(key, "default") != 0)
                found = find_anchor(json_object_iter_value(it), name, depth + 1);
        }
    }
    for (size_t i = 0; json_is_array(schema) && i < json_array_size(schema) && !found; i++)
        found = find_anchor(json_array_get(schema, i), name, depth + 1);
    return found;
}

const json_t *hn_gschema_target(const hn_gschema *c, const char *reference) {
    const char *at = strchr(reference, '#');
    char token[1024];
    const json_t *json = c->root;
    if (!at || !*++at) return json;
    if (*at != '/') return find_anchor(json, at, 0);
    while (json && *at == '/') {
        int64_t i;
        if (!token_of(at + 1, token, &at)) return NULL;
        if (json_is_object(json))
            json = json_object_get(json, token);
        else if (json_is_array(json) && hn_parse_int64(token, &i) && i >= 0)
            json = json_array_get(json, (size_t)i);
        else
            json = NULL;
    }
    return json;
}

const char *hn_gschema_target_path(const char *reference) {
    const char *at = strchr(reference, '#');
    return at ? at + 1 : "";
}

/* ---- the walk ---- */

static bool check(hn_gschema *c, json_t *schema, const char *path, int depth);

static bool check_list(hn_gschema *c, json_t *list, const char *path, const char *keyword, int depth) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        char below[HN_GSCHEMA_PATH_MAX], index[24];
        snprintf(index, sizeof index, "%zu", i);
        hn_gschema_path(below, path, keyword, index);
        if (!check(c, json_array_get(list, i), below, depth + 1)) return false;
    }
    return true;
}

static bool check_map(hn_gschema *c, json_t *map, const char *path, const char *keyword, int depth) {
    for (void *it = json_object_iter(map); it; it = json_object_iter_next(map, it)) {
        char below[HN_GSCHEMA_PATH_MAX];
        hn_gschema_path(below, path, keyword, json_object_iter_key(it));
        if (!check(c, json_object_iter_value(it), below, depth + 1)) return false;
    }
    return true;
}

/* Rewrites "#/..." in `schema` and checks what it leads to, once. */
static bool check_reference(hn_gschema *c, json_t *schema, const char *path, int depth) {
    const char *given = json_string_value(json_object_get(schema, "$ref"));
    const char *fragment = strchr(given, '#');
    const char *id = json_string_value(json_object_get(c->root, "$id"));
    size_t n_base = fragment ? (size_t)(fragment - given) : strlen(given);
    bool rewritten = hn_starts_with(given, HN_GSCHEMA_URI);
    if (rewritten) return true; /* met before: the target was looked at then */
    if (n_base && !(id && strlen(id) == n_base && strncmp(id, given, n_base) == 0))
        return hn_gschema_bad(c, HN_ERR_UNSUPPORTED, path, "$ref",
                              "copy that schema into $defs and refer to #/$defs/NAME",
                              "\"%.120s\" is another document, and nothing is fetched", given) != HN_GRAMMAR_BAD;
    hn_buf text;
    hn_buf_init(&text, 1 << 20);
    hn_buf_appendf(&text, "%s%s", HN_GSCHEMA_URI, fragment ? fragment : "#");
    const json_t *target = hn_buf_status(&text) == HN_OK ? hn_gschema_target(c, text.data) : NULL;
    bool fine = hn_buf_status(&text) == HN_OK;
    bool known = fine && json_object_get(c->checked, text.data);
    if (!fine || json_object_set_new(schema, "$ref", json_string(text.data)) != 0 ||
        (!known && json_object_set_new(c->checked, text.data, json_true()) != 0)) {
        hn_buf_free(&text);
        return hn_gschema_no_memory(c) != HN_GRAMMAR_BAD;
    }
    if (!target)
        fine = hn_gschema_bad(c, HN_ERR_NOT_FOUND, path, "$ref", "check the spelling; $defs is where shared schemas go",
                              "\"%.200s\" leads to no place in the schema",
                              text.data + strlen(HN_GSCHEMA_URI)) != HN_GRAMMAR_BAD;
    else if (!known)
        fine = check(c, (json_t *)target, hn_gschema_target_path(text.data), depth + 1);
    hn_buf_free(&text);
    return fine;
}

static bool check_keyword(hn_gschema *c, json_t *schema, size_t k, json_t *value, const char *path, int depth) {
    const char *name = keywords[k].name;
    char below[HN_GSCHEMA_PATH_MAX];
    bool harmless = false;
    switch (keywords[k].role) {
    case SCHEMA: hn_gschema_path(below, path, name, NULL); return check(c, value, below, depth + 1);
    case LIST: return check_list(c, value, path, name, depth);
    case MAP: return check_map(c, value, path, name, depth);
    case REFERENCE: return check_reference(c, schema, path, depth);
    case UNIQUE: {
        const json_t *max = json_object_get(schema, "maxItems");
        harmless = json_is_false(value) || (max && json_number_value(max) <= 1);
        break;
    }
    case REFUSED:
        harmless = (strcmp(name, "$id") == 0 && schema == c->root) ||
                   (strcmp(name, "if") == 0 && !json_object_get(schema, "then") && !json_object_get(schema, "else")) ||
                   (strcmp(name, "dependentRequired") == 0 && !json_object_size(value)) ||
                   (hn_starts_with(name, "unevaluated") && json_is_true(value));
        break;
    default: return true;
    }
    if (harmless) return true;
    return hn_gschema_bad(c, HN_ERR_UNSUPPORTED, path, name, keywords[k].remedy,
                          "`%s` cannot be enforced while text is generated", name) != HN_GRAMMAR_BAD;
}

static bool check(hn_gschema *c, json_t *schema, const char *path, int depth) {
    if (json_is_boolean(schema)) return true;
    if (!hn_gschema_spend(c, path)) return false;
    if (depth > HN_JSON_DEPTH_MAX)
        return hn_gschema_bad(c, HN_ERR_LIMIT, path, NULL, "make the schema flatter", "schemas nested deeper than %d",
                              HN_JSON_DEPTH_MAX) != HN_GRAMMAR_BAD;
    /* Over the names of this table, not over the object: a reference is rewritten on the way. */
    for (size_t k = 0; k < sizeof keywords / sizeof *keywords; k++) {
        json_t *value = json_object_get(schema, keywords[k].name);
        if (value && !check_keyword(c, schema, k, value, path, depth)) return false;
    }
    return true;
}

bool hn_gschema_check(hn_gschema *c) { return check(c, c->root, "", 0); }
