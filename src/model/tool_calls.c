/* Tool calls in the notations of chat templates; see tool_calls.h. Surprise: closing marks are optional when reading, since an answer may end at
 * its end token instead of writing them; a call whose JSON is not whole ends the reading, and those before it count. */
#include "model/tool_calls.h"

#include "base/alloc.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

#define HERMES_BEGIN "<tool_call>"
#define HERMES_END "</tool_call>"
#define PYTHON_TAG "<|python_tag|>"
#define MISTRAL_CALLS "[TOOL_CALLS]"
#define MISTRAL_ID "[CALL_ID]"
#define MISTRAL_ARGS "[ARGS]"
#define GRANITE_CALL "<|tool_call|>"
#define KIMI_SECTION "<|tool_calls_section_begin|>"
#define KIMI_SECTION_END "<|tool_calls_section_end|>"
#define KIMI_CALL "<|tool_call_begin|>"
#define KIMI_ARGS "<|tool_call_argument_begin|>"
#define KIMI_CALL_END "<|tool_call_end|>"
/* DeepSeek's marks are written with U+FF5C and U+2581 */
#define BAR "\xef\xbd\x9c"
#define LOW "\xe2\x96\x81"
#define DEEP_CALLS "<" BAR "tool" LOW "calls" LOW "begin" BAR ">"
#define DEEP_CALLS_END "<" BAR "tool" LOW "calls" LOW "end" BAR ">"
#define DEEP_CALL "<" BAR "tool" LOW "call" LOW "begin" BAR ">"
#define DEEP_CALL_END "<" BAR "tool" LOW "call" LOW "end" BAR ">"
#define DEEP_SEP "<" BAR "tool" LOW "sep" BAR ">"
#define FENCE "```"

enum { NAME_MAX_BYTES = 128, CALLS_MAX = 256 };

static const char *const format_names[] = {"none",         "hermes",  "llama", "mistral-list",
                                           "mistral-args", "granite", "kimi",  "deepseek"};

const char *hn_tool_format_name(hn_tool_format format) { return format_names[format]; }

hn_tool_format hn_tool_format_of(const char *t) {
    if (!t) return HN_TOOL_FORMAT_NONE;
    if (strstr(t, DEEP_CALLS)) return HN_TOOL_FORMAT_DEEPSEEK;
    if (strstr(t, KIMI_SECTION)) return HN_TOOL_FORMAT_KIMI;
    if (strstr(t, MISTRAL_CALLS))
        return strstr(t, MISTRAL_ARGS) ? HN_TOOL_FORMAT_MISTRAL_ARGS : HN_TOOL_FORMAT_MISTRAL_LIST;
    if (strstr(t, GRANITE_CALL)) return HN_TOOL_FORMAT_GRANITE;
    if (strstr(t, HERMES_BEGIN)) return HN_TOOL_FORMAT_HERMES;
    if (strstr(t, "tool_calls") && strstr(t, "\"parameters\": ")) return HN_TOOL_FORMAT_LLAMA;
    return HN_TOOL_FORMAT_NONE;
}

/* ---- reading ---- */

typedef struct reader {
    const char *text;
    size_t n, at;
    json_t *calls;
    bool no_memory;
} reader;

static void skip_blank(reader *r) {
    while (r->at < r->n && strchr(" \t\r\n", r->text[r->at]) && r->text[r->at]) r->at++;
}

static bool literal(reader *r, const char *what) {
    size_t n = strlen(what);
    if (r->n - r->at < n || memcmp(r->text + r->at, what, n) != 0) return false;
    r->at += n;
    return true;
}

/* Moves behind the next `what`; false (and no move) where there is none. `skipped` (may be NULL): what was passed. */
static bool find(reader *r, const char *what, hn_str *skipped) {
    const char *from = r->text + r->at, *hit = memmem(from, r->n - r->at, what, strlen(what));
    if (!hit) return false;
    if (skipped) *skipped = (hn_str){from, (size_t)(hit - from)};
    r->at += (size_t)(hit - from) + strlen(what);
    return true;
}

/* The JSON value that stands here (new reference), or NULL. */
static json_t *value_here(reader *r) {
    json_error_t error;
    skip_blank(r);
    if (r->at == r->n || !strchr("{[", r->text[r->at])) return NULL;
    json_t *value = json_loadb(r->text + r->at, r->n - r->at, JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &error);
    if (value) r->at += (size_t)error.position;
    return value;
}

static bool name_fits(hn_str name) {
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                    c == '-' || c == '.';
        if (!fine) return false;
    }
    return name.len > 0 && name.len <= NAME_MAX_BYTES;
}

/* Appends a call; takes over `arguments` (an object, or the text of one). false: that is no call. */
static bool add_call(reader *r, hn_str name, hn_str id, json_t *arguments) {
    char own_id[16];
    hn_buf text;
    size_t n = json_array_size(r->calls);
    json_t *parsed = json_is_string(arguments)
                         ? json_loadb(json_string_value(arguments), json_string_length(arguments), 0, NULL)
                         : NULL;
    bool fits = name_fits(name) && n < CALLS_MAX && (json_is_object(arguments) || json_is_object(parsed));
    hn_buf_init(&text, 0);
    if (fits) hn_json_write(parsed ? parsed : arguments, NULL, &text);
    json_decref(parsed);
    json_decref(arguments);
    if (fits && id.len == 0) {
        snprintf(own_id, sizeof own_id, "call%05zu", n);
        id = hn_str_of(own_id);
    }
    json_t *call = fits && hn_buf_status(&text) == HN_OK
                       ? json_pack("{s:s%,s:s,s:{s:s%,s:s%}}", "id", id.data, id.len, "type", "function", "function",
                                   "name", name.data, name.len, "arguments", hn_buf_str(&text), text.len)
                       : NULL;
    hn_buf_free(&text);
    if (fits && (!call || json_array_append_new(r->calls, call) != 0)) r->no_memory = true;
    return fits && !r->no_memory;
}

static hn_str text_of(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return (hn_str){json_string_value(value), json_string_length(value)};
}

/* {"name", "arguments" or "parameters", "id"} */
static bool add_object(reader *r, const json_t *object) {
    json_t *arguments = json_object_get(object, "arguments");
    if (!arguments) arguments = json_object_get(object, "parameters");
    return json_is_object(object) && arguments &&
           add_call(r, text_of(object, "name"), text_of(object, "id"), json_incref(arguments));
}

/* An object, or a list of them. */
static bool read_json_calls(reader *r) {
    json_t *value = value_here(r);
    bool fine = value != NULL;
    if (json_is_array(value))
        for (size_t i = 0; fine && i < json_array_size(value); i++) fine = add_object(r, json_array_get(value, i));
    else if (fine)
        fine = add_object(r, value);
    json_decref(value);
    return fine;
}

static void read_hermes(reader *r) {
    while (find(r, HERMES_BEGIN, NULL) && read_json_calls(r)) {
        skip_blank(r);
        (void)literal(r, HERMES_END);
    }
}

/* f.call(a="b", c="d"): the values are texts without escapes, as the template writes them. */
static void read_python_call(reader *r) {
    hn_str name, key, value;
    json_t *arguments = json_object();
    bool fine = arguments && find(r, ".call(", &name);
    while (fine && !literal(r, ")")) {
        fine = find(r, "=\"", &key) && find(r, "\"", &value) && key.len <= NAME_MAX_BYTES &&
               json_object_setn_new(arguments, key.data, key.len, json_stringn(value.data, value.len)) == 0;
        (void)literal(r, ", ");
    }
    if (fine)
        (void)add_call(r, name, (hn_str){NULL, 0}, arguments);
    else
        json_decref(arguments);
}

/* The whole answer is calls: anything else in JSON is an ordinary answer. */
static void read_llama(reader *r) {
    skip_blank(r);
    bool tagged = literal(r, PYTHON_TAG);
    skip_blank(r);
    if (tagged && r->at < r->n && r->text[r->at] != '{') {
        read_python_call(r);
        return;
    }
    while (r->at < r->n && r->text[r->at] == '{' && read_json_calls(r)) {
        skip_blank(r);
        (void)literal(r, ";");
        skip_blank(r);
    }
    if (r->at < r->n) json_array_clear(r->calls);
}

static void read_mistral(reader *r) {
    hn_str head;
    while (find(r, MISTRAL_CALLS, NULL)) {
        skip_blank(r);
        if (r->at < r->n && r->text[r->at] == '[') { /* a list */
            if (!read_json_calls(r)) return;
            continue;
        }
        if (!find(r, MISTRAL_ARGS, &head)) return;
        hn_str name = head, id = {NULL, 0};
        const char *mark = memmem(head.data, head.len, MISTRAL_ID, strlen(MISTRAL_ID));
        if (mark) {
            name.len = (size_t)(mark - head.data);
            id = (hn_str){mark + strlen(MISTRAL_ID), head.len - name.len - strlen(MISTRAL_ID)};
        }
        json_t *arguments = value_here(r);
        if (!arguments || !add_call(r, name, id, arguments)) return;
    }
}

/* "functions.NAME:0" */
static hn_str kimi_name(hn_str id) {
    static const char prefix[] = "functions.";
    size_t n = strlen(prefix);
    if (id.len > n && memcmp(id.data, prefix, n) == 0) id = (hn_str){id.data + n, id.len - n};
    for (size_t i = id.len; i-- > 0;)
        if (id.data[i] == ':') return (hn_str){id.data, i};
    return id;
}

static void read_kimi(reader *r) {
    hn_str id;
    while (find(r, KIMI_CALL, NULL) && find(r, KIMI_ARGS, &id)) {
        json_t *arguments = value_here(r);
        id = hn_str_trim(id);
        if (!arguments || !add_call(r, kimi_name(id), id, arguments)) return;
    }
}

static void read_deepseek(reader *r) {
    hn_str name;
    while (find(r, DEEP_CALL, NULL) && find(r, DEEP_SEP, NULL) && find(r, FENCE "json", &name)) {
        json_t *arguments = value_here(r);
        if (!arguments || !add_call(r, hn_str_trim(name), (hn_str){NULL, 0}, arguments)) return;
    }
}

/* What the first call of a text begins with; NULL: the text itself. */
static const char *first_mark(hn_tool_format format) {
    static const char *const marks[] = {NULL,          HERMES_BEGIN, NULL,         MISTRAL_CALLS,
                                        MISTRAL_CALLS, GRANITE_CALL, KIMI_SECTION, DEEP_CALLS};
    return marks[format];
}

static void read_calls(reader *r, hn_tool_format format) {
    switch (format) {
    case HN_TOOL_FORMAT_NONE: break;
    case HN_TOOL_FORMAT_HERMES: read_hermes(r); break;
    case HN_TOOL_FORMAT_LLAMA: read_llama(r); break;
    case HN_TOOL_FORMAT_MISTRAL_LIST:
    case HN_TOOL_FORMAT_MISTRAL_ARGS: read_mistral(r); break;
    case HN_TOOL_FORMAT_GRANITE:
        if (find(r, GRANITE_CALL, NULL)) (void)read_json_calls(r);
        break;
    case HN_TOOL_FORMAT_KIMI: read_kimi(r); break;
    case HN_TOOL_FORMAT_DEEPSEEK: read_deepseek(r); break;
    }
}

hn_status hn_tool_calls_parse(hn_tool_format format, const char *text, size_t n, json_t **calls, size_t *content_bytes,
                              hn_error *err) {
    reader r = {.text = text, .n = n, .calls = json_array()};
    const char *mark = first_mark(format), *hit = mark ? memmem(text, n, mark, strlen(mark)) : NULL;
    size_t before = hit ? (size_t)(hit - text) : 0;
    *calls = NULL;
    *content_bytes = n;
    if (!r.calls) return hn_fail_memory(err, 0);
    read_calls(&r, format);
    if (r.no_memory || json_array_size(r.calls) == 0) {
        json_decref(r.calls);
        return r.no_memory ? hn_fail_memory(err, n) : HN_OK;
    }
    while (before > 0 && strchr(" \t\r\n", text[before - 1])) before--;
    *content_bytes = before;
    *calls = r.calls;
    return HN_OK;
}

/* ---- writing ---- */

hn_status hn_tool_call_frame(hn_tool_format format, const char *name, hn_buf *before, hn_buf *after, hn_error *err) {
    /* what stands before the name, between it and the arguments, and after them */
    static const char *const frames[][3] = {
        {NULL, NULL, NULL},
        {HERMES_BEGIN "\n{\"name\": \"", "\", \"arguments\": ", "}\n" HERMES_END},
        {"{\"name\": \"", "\", \"parameters\": ", "}"},
        {MISTRAL_CALLS "[{\"name\": \"", "\", \"arguments\": ", "}]"},
        {MISTRAL_CALLS, MISTRAL_ARGS, ""},
        {GRANITE_CALL "[{\"name\": \"", "\", \"arguments\": ", "}]"},
        {KIMI_SECTION KIMI_CALL "functions.", ":0" KIMI_ARGS, KIMI_CALL_END KIMI_SECTION_END},
        {DEEP_CALLS DEEP_CALL "function" DEEP_SEP, "\n" FENCE "json\n", "\n" FENCE DEEP_CALL_END DEEP_CALLS_END}};
    if (format == HN_TOOL_FORMAT_NONE)
        return hn_fail(err, HN_ERR_UNSUPPORTED, "tools", "use a model whose chat template knows tools",
                       "the model's chat template has no notation for tool calls");
    hn_buf_append_str(before, frames[format][0]);
    hn_buf_append_str(before, name);
    hn_buf_append_str(before, frames[format][1]);
    hn_buf_append_str(after, frames[format][2]);
    HN_TRY(hn_buf_check(before, "a tool call", err));
    return hn_buf_check(after, "a tool call", err);
}

/* ---- lists of tools ---- */

json_t *hn_tool_function(const json_t *tool) {
    json_t *function = json_object_get(tool, "function");
    return function ? function : (json_t *)(uintptr_t)tool;
}

int hn_tools_find(const json_t *tools, const char *name) {
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const char *own = json_string_value(json_object_get(hn_tool_function(json_array_get(tools, i)), "name"));
        if (own && strcmp(own, name) == 0) return (int)i;
    }
    return -1;
}

static hn_status check_tool(const json_t *tools, size_t i, const char *where, hn_error *err) {
    static const char form[] =
        "write {\"type\": \"function\", \"function\": {\"name\": \"...\", \"parameters\": {JSON Schema}}}";
    char place[256];
    const json_t *function = hn_tool_function(json_array_get(tools, i)), *parameters, *name;
    snprintf(place, sizeof place, "%.200s: tool %zu", where, i);
    if (!json_is_object(function))
        return hn_fail(err, HN_ERR_INPUT, place, form, "a tool must be an object, it is %s",
                       hn_json_type_text(function));
    name = json_object_get(function, "name");
    parameters = json_object_get(function, "parameters");
    if (!json_is_string(name))
        return hn_fail(err, HN_ERR_INPUT, place, form, "its `name` must be a string, it is %s",
                       hn_json_type_text(name));
    if (!name_fits((hn_str){json_string_value(name), json_string_length(name)}))
        return hn_fail(err, HN_ERR_INPUT, place, "use 1 to 128 letters, digits, _, - and .",
                       "\"%.100s\" cannot be a tool's name", json_string_value(name));
    if (hn_tools_find(tools, json_string_value(name)) != (int)i)
        return hn_fail(err, HN_ERR_INPUT, place, "keep one of them", "there are two tools with the name `%.100s`",
                       json_string_value(name));
    if (parameters && !json_is_object(parameters))
        return hn_fail(err, HN_ERR_INPUT, place, form, "its `parameters` must be an object (a JSON Schema), it is %s",
                       hn_json_type_text(parameters));
    return HN_OK;
}

hn_status hn_tools_check(const json_t *tools, const char *where, hn_error *err) {
    if (!json_is_array(tools) || json_array_size(tools) == 0)
        return hn_fail(err, HN_ERR_INPUT, where, "write [{\"type\": \"function\", \"function\": {...}}, ...]",
                       "it must hold an array of tools, it is %s",
                       json_is_array(tools) ? "empty" : hn_json_type_text(tools));
    for (size_t i = 0; i < json_array_size(tools); i++) HN_TRY(check_tool(tools, i, where, err));
    return HN_OK;
}

/* ---- earlier calls for the template ---- */

/* The arguments in the other form, as a new reference; NULL: they stay as they are. */
static json_t *converted_arguments(hn_tool_format format, const json_t *arguments) {
    if (format == HN_TOOL_FORMAT_DEEPSEEK && json_is_object(arguments)) {
        hn_buf text;
        hn_buf_init(&text, 0);
        hn_json_write(arguments, &(hn_json_style){.spaced = true}, &text);
        json_t *string = hn_buf_status(&text) == HN_OK ? json_stringn(hn_buf_str(&text), text.len) : NULL;
        hn_buf_free(&text);
        return string;
    }
    if (format == HN_TOOL_FORMAT_DEEPSEEK || !json_is_string(arguments)) return NULL;
    json_t *object = json_loadb(json_string_value(arguments), json_string_length(arguments), 0, NULL);
    if (json_is_object(object)) return object;
    json_decref(object);
    return NULL;
}

hn_status hn_tool_calls_for_template(hn_tool_format format, json_t *messages, json_t **converted, hn_error *err) {
    json_t *copy = NULL;
    *converted = NULL;
    for (size_t i = 0; format != HN_TOOL_FORMAT_NONE && i < json_array_size(messages); i++) {
        const json_t *calls = json_object_get(json_array_get(messages, i), "tool_calls");
        for (size_t k = 0; k < json_array_size(calls); k++) {
            const json_t *function = hn_tool_function(json_array_get(calls, k));
            json_t *arguments = converted_arguments(format, json_object_get(function, "arguments"));
            if (!arguments) continue;
            if (!copy) copy = json_deep_copy(messages);
            json_t *own = copy ? json_array_get(json_object_get(json_array_get(copy, i), "tool_calls"), k) : NULL;
            if (!own || json_object_set(hn_tool_function(own), "arguments", arguments) != 0) {
                json_decref(arguments);
                json_decref(copy);
                return hn_fail_memory(err, 0);
            }
            json_decref(arguments);
        }
    }
    *converted = copy ? copy : json_incref(messages);
    return HN_OK;
}
