/* Messages, tools and response_format of the OpenAI API, read into what the provider takes; see generate_call.h. */
#include "format/json_schema.h"
#include "model/chat.h"
#include "model/tool_calls.h"
#include "serve/generate_call.h"

#include <stdio.h>
#include <string.h>

/* ---- messages ---- */

/* [{"type": "text", "text": "..."}, ...] into one text. */
static json_t *join_parts(const json_t *parts, const char *where, hn_api_error *e) {
    hn_buf text;
    hn_buf_init(&text, 0);
    for (size_t i = 0; !e->status && i < json_array_size(parts); i++) {
        const json_t *part = json_array_get(parts, i);
        const char *type = json_string_value(json_object_get(part, "type"));
        const json_t *value = json_object_get(part, "text");
        char at[160];
        snprintf(at, sizeof at, "%.90s.content[%zu]", where, i);
        if (!type)
            hn_api_fail(e, 400, at, "missing_required_parameter", "Missing required parameter: '%s.type'.", at);
        else if (strcmp(type, "text") != 0)
            hn_api_fail(e, 400, at, "invalid_value",
                        "Invalid value: '%.60s'. This model reads text alone: supported values are: 'text'.", type);
        else if (!json_is_string(value))
            hn_field_type(e, at, "a text part with a string", value);
        else
            hn_buf_append(&text, json_string_value(value), json_string_length(value));
    }
    json_t *joined = e->status ? NULL : json_stringn_nocheck(hn_buf_str(&text), text.len);
    if (!e->status && (!joined || hn_buf_status(&text) != HN_OK))
        hn_api_fail(e, 503, NULL, "out_of_memory", "memory is used up");
    hn_buf_free(&text);
    return joined;
}

static json_t *read_message(const json_t *message, size_t i, hn_api_error *e) {
    char where[48];
    snprintf(where, sizeof where, "messages[%zu]", i);
    if (!json_is_object(message)) {
        hn_field_type(e, where, "an object", message);
        return NULL;
    }
    json_t *own = json_copy((json_t *)(uintptr_t)message);
    const json_t *content = json_object_get(message, "content");
    const char *role = json_string_value(json_object_get(message, "role"));
    if (!role)
        hn_api_fail(e, 400, where, "missing_required_parameter", "Missing required parameter: '%s.role'.", where);
    bool fine = own != NULL;
    if (fine && role && strcmp(role, "developer") == 0)
        fine = json_object_set_new(own, "role", json_string("system")) == 0;
    if (fine && json_is_array(content)) {
        json_t *joined = join_parts(content, where, e);
        if (joined) fine = json_object_set_new(own, "content", joined) == 0;
    }
    if (!fine) hn_api_fail(e, 503, NULL, "out_of_memory", "memory is used up");
    return own;
}

json_t *hn_api_messages(const json_t *messages, hn_api_error *e) {
    hn_error err;
    if (e->status) return NULL;
    if (!json_is_array(messages)) {
        hn_field_type(e, "messages", "an array of objects", messages);
        return NULL;
    }
    if (json_array_size(messages) == 0) {
        hn_api_fail(e, 400, "messages", "empty_array",
                    "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array "
                    "instead.");
        return NULL;
    }
    json_t *own = json_array();
    for (size_t i = 0; own && !e->status && i < json_array_size(messages); i++) {
        json_t *message = read_message(json_array_get(messages, i), i, e);
        if (message && json_array_append_new(own, message) != 0)
            hn_api_fail(e, 503, NULL, "out_of_memory", "memory is used up");
    }
    if (!own) hn_api_fail(e, 503, NULL, "out_of_memory", "memory is used up");
    if (!e->status && hn_chat_check_messages(own, "body", &err) != HN_OK)
        hn_api_fail(e, 400, "messages", "invalid_value", "%s: %s; %s", err.where, err.message, err.hint);
    if (!e->status) return own;
    json_decref(own);
    return NULL;
}

/* ---- tools ---- */

json_t *hn_api_tools(const json_t *tools, hn_api_error *e) {
    hn_error err;
    if (e->status) return NULL;
    if (!json_is_array(tools)) {
        hn_field_type(e, "tools", "an array of objects", tools);
        return NULL;
    }
    if (hn_tools_check(tools, "tools", &err) != HN_OK) {
        hn_api_fail(e, 400, "tools", "invalid_value", "%s: %s; %s", err.where, err.message, err.hint);
        return NULL;
    }
    return json_incref((json_t *)(uintptr_t)tools);
}

const char *hn_api_tool_choice(const json_t *body, const json_t *tools, hn_api_error *e) {
    const json_t *choice = json_object_get(body, "tool_choice");
    const char *name = json_string_value(choice);
    if (!choice || json_is_null(choice) || e->status) return NULL;
    bool word = name && (strcmp(name, "auto") == 0 || strcmp(name, "none") == 0 || strcmp(name, "required") == 0);
    if (!name) name = json_string_value(json_object_get(json_object_get(choice, "function"), "name"));
    if (!name || (json_is_string(choice) && !word)) {
        hn_api_fail(e, 400, "tool_choice", "invalid_value",
                    "Invalid value for 'tool_choice'. Supported values are: 'none', 'auto', 'required', and {\"type\": "
                    "\"function\", \"function\": {\"name\": ...}}.");
        return NULL;
    }
    if (!tools && !(word && strcmp(name, "none") == 0))
        hn_api_fail(e, 400, "tool_choice", "invalid_value",
                    "'tool_choice' is only allowed when 'tools' are specified.");
    else if (!word && hn_tools_find(tools, name) < 0)
        hn_api_fail(e, 400, "tool_choice", "invalid_value", "Tool choice '%.80s' not found in 'tools' parameter.",
                    name);
    return tools ? name : NULL;
}

/* ---- response_format ---- */

static json_t *check_schema(json_t *schema, hn_api_error *e) {
    hn_json_schema *compiled = NULL;
    hn_error err;
    if (!json_is_object(schema)) {
        hn_api_fail(e, 400, "response_format.json_schema.schema", "missing_required_parameter",
                    "Missing required parameter: 'response_format.json_schema.schema'.");
        return NULL;
    }
    if (hn_json_schema_create(schema, NULL, &compiled, &err) != HN_OK)
        hn_api_fail(e, 400, "response_format", "invalid_json_schema", "Invalid schema for response_format: %s: %s",
                    err.where, err.message);
    hn_json_schema_free(compiled);
    return e->status ? NULL : json_incref(schema);
}

json_t *hn_api_response_format(const json_t *body, hn_api_error *e) {
    json_t *format = NULL;
    hn_field_object(e, body, "response_format", &format);
    if (!format) return NULL;
    const char *type = json_string_value(json_object_get(format, "type"));
    if (type && strcmp(type, "text") == 0) return NULL;
    if (type && strcmp(type, "json_object") == 0) return json_pack("{s:s}", "type", "object");
    if (type && strcmp(type, "json_schema") == 0)
        return check_schema(json_object_get(json_object_get(format, "json_schema"), "schema"), e);
    hn_api_fail(e, 400, "response_format.type", "invalid_value",
                "Invalid value: '%.60s'. Supported values are: 'json_object', 'json_schema', and 'text'.",
                type ? type : "");
    return NULL;
}
