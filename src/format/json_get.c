/* Typed access to the fields of JSON objects, with errors that say what was expected and what was found; see json.h. */
#include "format/json.h"

#include "base/alloc.h"
#include "base/str.h"

#include <inttypes.h>
#include <stdio.h>

const char *hn_json_type_text(const json_t *value) {
    switch (value ? (int)json_typeof(value) : -1) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return "a number with a fraction";
    case JSON_TRUE: return "true";
    case JSON_FALSE: return "false";
    case JSON_NULL: return "null";
    default: return "missing";
    }
}

/* The object's key nearest to `key`, or NULL. */
static const char *similar_key(const json_t *object, const char *key) {
    json_t *fields = (json_t *)object; /* jansson's iteration takes no const, but changes nothing */
    for (void *it = json_object_iter(fields); it; it = json_object_iter_next(fields, it)) {
        const char *name = json_object_iter_key(it);
        if (hn_closest(key, &name, 1)) return name;
    }
    return NULL;
}

/* *value gets the field; NULL where it is absent or null and need not be there. */
static hn_status find(const json_t *object, const char *where, const char *key, bool needed, json_t **value,
                      hn_error *err) {
    *value = NULL;
    if (!json_is_object(object))
        return hn_fail(err, HN_ERR_INPUT, where, NULL, "must be an object with the field `%s`, it is %s", key,
                       hn_json_type_text(object));
    json_t *found = json_object_get(object, key);
    if (!needed && (!found || json_is_null(found))) return HN_OK;
    if (!found) {
        char hint[160] = "";
        const char *near = similar_key(object, key);
        if (near) snprintf(hint, sizeof hint, "did you mean it by `%.100s`?", near);
        return hn_fail(err, HN_ERR_INPUT, where, hint[0] ? hint : NULL, "field `%s` is missing", key);
    }
    *value = found;
    return HN_OK;
}

static hn_status wrong_type(const char *where, const char *key, const char *expected, const json_t *value,
                            hn_error *err) {
    return hn_fail(err, HN_ERR_INPUT, where, NULL, "field `%s` must be %s, it is %s", key, expected,
                   hn_json_type_text(value));
}

static hn_status string_field(const json_t *object, const char *where, const char *key, bool needed, const char **value,
                              hn_error *err) {
    json_t *found;
    HN_TRY(find(object, where, key, needed, &found, err));
    if (!found) return HN_OK;
    if (!json_is_string(found)) return wrong_type(where, key, "a string", found, err);
    *value = json_string_value(found);
    return HN_OK;
}

static hn_status integer_field(const json_t *object, const char *where, const char *key, bool needed, int64_t min,
                               int64_t max, int64_t *value, hn_error *err) {
    json_t *found;
    HN_TRY(find(object, where, key, needed, &found, err));
    if (!found) return HN_OK;
    if (!json_is_integer(found)) return wrong_type(where, key, "an integer", found, err);
    int64_t n = json_integer_value(found);
    if (n < min || n > max)
        return hn_fail(err, HN_ERR_INPUT, where, NULL,
                       "field `%s` must be from %" PRId64 " to %" PRId64 ", it is %" PRId64, key, min, max, n);
    *value = n;
    return HN_OK;
}

static hn_status bool_field(const json_t *object, const char *where, const char *key, bool needed, bool *value,
                            hn_error *err) {
    json_t *found;
    HN_TRY(find(object, where, key, needed, &found, err));
    if (!found) return HN_OK;
    if (!json_is_boolean(found)) return wrong_type(where, key, "true or false", found, err);
    *value = json_is_true(found);
    return HN_OK;
}

static hn_status tree_field(const json_t *object, const char *where, const char *key, json_type type, json_t **value,
                            hn_error *err) {
    json_t *found;
    HN_TRY(find(object, where, key, true, &found, err));
    if (json_typeof(found) != type)
        return wrong_type(where, key, type == JSON_ARRAY ? "an array" : "an object", found, err);
    *value = found;
    return HN_OK;
}

hn_status hn_json_get_string(const json_t *object, const char *where, const char *key, const char **value,
                             hn_error *err) {
    return string_field(object, where, key, true, value, err);
}
hn_status hn_json_opt_string(const json_t *object, const char *where, const char *key, const char **value,
                             hn_error *err) {
    return string_field(object, where, key, false, value, err);
}
hn_status hn_json_get_integer(const json_t *object, const char *where, const char *key, int64_t min, int64_t max,
                              int64_t *value, hn_error *err) {
    return integer_field(object, where, key, true, min, max, value, err);
}
hn_status hn_json_opt_integer(const json_t *object, const char *where, const char *key, int64_t min, int64_t max,
                              int64_t *value, hn_error *err) {
    return integer_field(object, where, key, false, min, max, value, err);
}
hn_status hn_json_get_number(const json_t *object, const char *where, const char *key, double *value, hn_error *err) {
    json_t *found;
    HN_TRY(find(object, where, key, true, &found, err));
    if (!json_is_number(found)) return wrong_type(where, key, "a number", found, err);
    *value = json_number_value(found);
    return HN_OK;
}
hn_status hn_json_get_bool(const json_t *object, const char *where, const char *key, bool *value, hn_error *err) {
    return bool_field(object, where, key, true, value, err);
}
hn_status hn_json_opt_bool(const json_t *object, const char *where, const char *key, bool *value, hn_error *err) {
    return bool_field(object, where, key, false, value, err);
}
hn_status hn_json_get_array(const json_t *object, const char *where, const char *key, json_t **value, hn_error *err) {
    return tree_field(object, where, key, JSON_ARRAY, value, err);
}
hn_status hn_json_get_object(const json_t *object, const char *where, const char *key, json_t **value, hn_error *err) {
    return tree_field(object, where, key, JSON_OBJECT, value, err);
}

hn_status hn_json_check_fields(const json_t *object, const char *where, const char *const *names, size_t n,
                               hn_error *err) {
    if (!json_is_object(object))
        return hn_fail(err, HN_ERR_INPUT, where, NULL, "must be an object, it is %s", hn_json_type_text(object));
    json_t *fields = (json_t *)object; /* as above */
    for (void *it = json_object_iter(fields); it; it = json_object_iter_next(fields, it)) {
        const char *key = json_object_iter_key(it);
        bool known = false;
        for (size_t i = 0; i < n && !known; i++) known = hn_str_equal(hn_str_of(key), hn_str_of(names[i]));
        if (known) continue;
        char hint[384];
        hn_buf all;
        hn_buf_init(&all, sizeof hint - 32);
        for (size_t i = 0; i < n; i++) hn_buf_appendf(&all, "%s%s", i ? ", " : "", names[i]);
        const char *near = hn_closest(key, names, n);
        if (near)
            snprintf(hint, sizeof hint, "did you mean `%s`?", near);
        else
            snprintf(hint, sizeof hint, "known fields: %s", hn_buf_str(&all));
        hn_buf_free(&all);
        return hn_fail(err, HN_ERR_INPUT, where, hint, "unknown field `%.100s`", key);
    }
    return HN_OK;
}
