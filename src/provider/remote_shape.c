/* What an answer must be, for endpoints that take a JSON Schema; see remote_parts.h. Their schemas must be objects at the root, so a choice, a
 * number or a text becomes the one field of an object, and is taken out of it again when the answer comes.
 * Surprise: `$ref` in a schema that is wrapped would lead elsewhere, so definitions move up to the new root with it, and a reference to the old
 * root is refused. */
#include "provider/remote_parts.h"

#include <stdio.h>
#include <string.h>

enum { DEPTH_MAX = 200 };

static const char *name_of(const hn_constraint *c) { return c->name ? c->name : "constraint"; }

/* Whether something in `schema` refers to a place that moves when it is wrapped. */
static bool refers_to_moved(const json_t *schema, int depth) {
    if (depth > DEPTH_MAX) return true;
    if (json_is_array(schema)) {
        for (size_t i = 0; i < json_array_size(schema); i++)
            if (refers_to_moved(json_array_get(schema, i), depth + 1)) return true;
        return false;
    }
    const char *ref = json_string_value(json_object_get(schema, "$ref"));
    if (ref && ref[0] == '#' && strncmp(ref, "#/$defs/", 8) != 0 && strncmp(ref, "#/definitions/", 14) != 0)
        return true;
    const char *key;
    json_t *value;
    json_t *object = json_is_object(schema) ? (json_t *)(uintptr_t)schema : NULL;
    json_object_foreach(object, key, value) {
        if ((json_is_object(value) || json_is_array(value)) && refers_to_moved(value, depth + 1)) return true;
    }
    return false;
}

/* {"type": "object", "properties": {"answer": inner}, ...}; takes `inner` over. */
static hn_status wrap(json_t *inner, json_t **schema, hn_error *err) {
    static const char *const definitions[] = {"$defs", "definitions"};
    *schema = inner ? json_pack("{s:s, s:{s:O}, s:[s], s:b}", "type", "object", "properties", HN_REMOTE_FIELD, inner,
                                "required", HN_REMOTE_FIELD, "additionalProperties", 0)
                    : NULL;
    bool fine = *schema != NULL;
    for (size_t i = 0; fine && i < 2; i++) {
        json_t *moved = json_object_get(inner, definitions[i]);
        if (!moved) continue;
        fine = json_object_set(*schema, definitions[i], moved) == 0;
    }
    json_decref(inner);
    return fine ? HN_OK : hn_fail_memory(err, 0);
}

static json_t *choices_schema(const hn_constraint *c) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < c->n_choices; i++) json_array_append_new(list, json_string(c->choices[i]));
    bool whole = json_array_size(list) == c->n_choices;
    json_t *schema = whole ? json_pack("{s:s, s:O}", "type", "string", "enum", list) : NULL;
    json_decref(list);
    return schema;
}

/* JSON Schema's `pattern` finds a match anywhere; ours is the whole text. */
static json_t *pattern_schema(const char *regex) {
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_buf_appendf(&text, "^(?:%s)$", regex);
    json_t *schema = json_pack("{s:s, s:s}", "type", "string", "pattern", hn_buf_str(&text));
    if (hn_buf_status(&text) != HN_OK) {
        json_decref(schema);
        schema = NULL;
    }
    hn_buf_free(&text);
    return schema;
}

static bool is_object_schema(const json_t *schema) {
    const char *type = json_string_value(json_object_get(schema, "type"));
    return type && strcmp(type, "object") == 0;
}

hn_status hn_remote_shape(const hn_constraint *c, hn_remote_plan *plan, json_t **schema, hn_error *err) {
    *schema = NULL;
    plan->wrapped = plan->as_text = false;
    switch (c->kind) {
    case HN_CONSTRAIN_NONE:
    case HN_CONSTRAIN_JSON: return HN_OK;
    case HN_CONSTRAIN_GBNF:
        return hn_fail(err, HN_ERR_UNSUPPORTED, name_of(c),
                       "say what the answer is by a JSON Schema, a regular expression or choices, or set `structured: "
                       "grammar` where "
                       "the endpoint is llama.cpp's server",
                       "a grammar cannot be sent to this endpoint");
    case HN_CONSTRAIN_CHOICES:
    case HN_CONSTRAIN_REGEX:
        plan->wrapped = plan->as_text = true;
        return wrap(c->kind == HN_CONSTRAIN_REGEX ? pattern_schema(c->text) : choices_schema(c), schema, err);
    case HN_CONSTRAIN_SCHEMA: break;
    }
    if (json_is_true(c->schema) || (json_is_object(c->schema) && json_object_size(c->schema) == 0))
        return HN_OK; /* any JSON */
    if (is_object_schema(c->schema)) {
        *schema = json_incref(c->schema);
        return HN_OK;
    }
    if (refers_to_moved(c->schema, 0))
        return hn_fail(err, HN_ERR_UNSUPPORTED, name_of(c),
                       "give the schema `type: object`, put what is referred to under `$defs`, or `constrain: false`",
                       "a schema that is no object and refers to its own root cannot be sent to this endpoint");
    plan->wrapped = true;
    return wrap(json_incref(c->schema), schema, err);
}

static bool is_strict(const json_t *schema, int depth) {
    if (depth > DEPTH_MAX) return false;
    if (json_is_array(schema)) {
        for (size_t i = 0; i < json_array_size(schema); i++)
            if (!is_strict(json_array_get(schema, i), depth + 1)) return false;
        return true;
    }
    if (!json_is_object(schema)) return true;
    const json_t *properties = json_object_get(schema, "properties"), *required = json_object_get(schema, "required");
    if (is_object_schema(schema) || json_is_object(properties)) {
        if (!json_is_false(json_object_get(schema, "additionalProperties"))) return false;
        if (json_object_size(properties) != json_array_size(required)) return false;
    }
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)schema, key, value) {
        if (strcmp(key, "enum") == 0 || strcmp(key, "const") == 0 || strcmp(key, "required") == 0) continue;
        if ((json_is_object(value) || json_is_array(value)) && !is_strict(value, depth + 1)) return false;
    }
    return true;
}

bool hn_remote_shape_is_strict(const json_t *schema) { return is_strict(schema, 0); }
