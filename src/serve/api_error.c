/* Errors and fields of API requests; see api_error.h. */
#include "serve/api_error.h"

#include "base/str.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *type_of(int status) {
    switch (status) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 429: return "rate_limit_error";
    default: return status >= 500 ? "server_error" : "invalid_request_error";
    }
}

void hn_api_fail(hn_api_error *e, int status, const char *param, const char *code, const char *fmt, ...) {
    va_list args;
    if (e->status) return;
    e->status = status;
    e->type = type_of(status);
    e->code = code;
    snprintf(e->param, sizeof e->param, "%s", param ? param : "");
    va_start(args, fmt);
    vsnprintf(e->message, sizeof e->message, fmt, args);
    va_end(args);
}

void hn_api_fail_error(hn_api_error *e, const hn_error *err) {
    int status = hn_status_http(err->code);
    const char *code = hn_status_name(err->code);
    if (err->code == HN_ERR_CONTEXT) code = "context_length_exceeded";
    if (err->code == HN_ERR_UNSUPPORTED || err->code == HN_ERR_LIMIT) status = 400;
    if (err->code == HN_ERR_INTERRUPTED) status = 503;
    bool place = *err->where && strcmp(err->where, "prompt") != 0;
    hn_api_fail(e, status, NULL, code, "%s%s%s%s%s", place ? err->where : "", place ? ": " : "", err->message,
                *err->hint ? "; " : "", err->hint);
}

json_t *hn_api_error_json(const hn_api_error *e) {
    json_t *param = *e->param ? json_stringn_nocheck(e->param, strlen(e->param)) : json_null();
    return json_pack("{s:{s:o, s:s, s:o, s:s?}}", "error", "message",
                     json_stringn_nocheck(e->message, strlen(e->message)), "type", e->type, "param", param, "code",
                     e->code);
}

void hn_api_send_json(hn_reply *reply, int status, json_t *value) {
    static const char memory[] = "{\"error\":{\"message\":\"memory is used "
                                 "up\",\"type\":\"server_error\",\"param\":null,\"code\":\"out_of_memory\"}}";
    hn_buf body;
    hn_buf_init(&body, 0);
    if (value) hn_json_write(value, NULL, &body);
    json_decref(value);
    if (!value || hn_buf_status(&body) != HN_OK) {
        hn_buf_free(&body);
        hn_buf_init(&body, 0);
        hn_buf_append_str(&body, memory);
        status = 503;
    }
    hn_reply_send(reply, status, "application/json", &body);
}

void hn_api_error_send(hn_reply *reply, const hn_api_error *e) {
    if (e->status == 429 || e->status == 503) hn_reply_field(reply, "Retry-After", "1");
    if (e->status == 401) hn_reply_field(reply, "WWW-Authenticate", "Bearer");
    hn_api_send_json(reply, e->status, hn_api_error_json(e));
}

/* ---- fields ---- */

static json_t *field(const hn_api_error *e, const json_t *object, const char *name) {
    json_t *value = e->status ? NULL : json_object_get(object, name);
    return json_is_null(value) ? NULL : value;
}

void hn_field_type(hn_api_error *e, const char *name, const char *expected, const json_t *got) {
    hn_api_fail(e, 400, name, "invalid_type", "Invalid type for '%.80s': expected %s, but got %s instead.", name,
                expected, hn_json_type_text(got));
}

static void check_range(hn_api_error *e, const char *name, const char *what, const char *code_low,
                        const char *code_high, double low, double high, double value) {
    if (value < low)
        hn_api_fail(e, 400, name, code_low,
                    "Invalid '%s': %s below minimum value. Expected a value >= %.15g, but got %.15g instead.", name,
                    what, low, value);
    if (value > high)
        hn_api_fail(e, 400, name, code_high,
                    "Invalid '%s': %s above maximum value. Expected a value <= %.15g, but got %.15g instead.", name,
                    what, high, value);
}

void hn_field_number(hn_api_error *e, const json_t *object, const char *name, double low, double high, double *value) {
    const json_t *v = field(e, object, name);
    if (!v) return;
    if (!json_is_number(v)) {
        hn_field_type(e, name, "a decimal", v);
        return;
    }
    check_range(e, name, "decimal", "decimal_below_min_value", "decimal_above_max_value", low, high,
                json_number_value(v));
    if (!e->status) *value = json_number_value(v);
}

void hn_field_integer(hn_api_error *e, const json_t *object, const char *name, int64_t low, int64_t high,
                      int64_t *value) {
    const json_t *v = field(e, object, name);
    if (!v) return;
    if (!json_is_integer(v)) {
        hn_field_type(e, name, "an integer", v);
        return;
    }
    check_range(e, name, "integer", "integer_below_min_value", "integer_above_max_value", (double)low, (double)high,
                (double)json_integer_value(v));
    if (!e->status) *value = json_integer_value(v);
}

void hn_field_bool(hn_api_error *e, const json_t *object, const char *name, bool *value) {
    const json_t *v = field(e, object, name);
    if (!v) return;
    if (json_is_boolean(v))
        *value = json_is_true(v);
    else
        hn_field_type(e, name, "a boolean", v);
}

void hn_field_string(hn_api_error *e, const json_t *object, const char *name, const char **value) {
    const json_t *v = field(e, object, name);
    if (!v) return;
    if (json_is_string(v))
        *value = json_string_value(v);
    else
        hn_field_type(e, name, "a string", v);
}

void hn_field_object(hn_api_error *e, const json_t *object, const char *name, json_t **value) {
    json_t *v = field(e, object, name);
    if (!v) return;
    if (json_is_object(v))
        *value = v;
    else
        hn_field_type(e, name, "an object", v);
}

void hn_field_needed(hn_api_error *e, const json_t *object, const char *name) {
    if (!e->status && !field(e, object, name))
        hn_api_fail(e, 400, name, "missing_required_parameter", "Missing required parameter: '%s'.", name);
}

void hn_field_known(hn_api_error *e, const json_t *object, const char *const *names, size_t n) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value) {
        bool known = false;
        for (size_t i = 0; i < n; i++) known = known || strcmp(key, names[i]) == 0;
        if (known) continue;
        const char *near = hn_closest(key, names, n);
        hn_api_fail(e, 400, key, "unknown_parameter", "Unknown parameter: '%.80s'.%s%s%s", key,
                    near ? " Did you mean '" : "", near ? near : "", near ? "'?" : "");
        return;
    }
}
