/* Tool calls: how a model writes "call this function with these arguments", by its chat template.
 *
 * Each family of models has its own notation (<tool_call>{json}</tool_call>, [TOOL_CALLS] [...], bare JSON, ...). Which one it is can be
 * read from the template's text, since the template writes earlier calls of a conversation in it. Outside there is one form, that of
 * the OpenAI API: {"id", "type": "function", "function": {"name", "arguments": "JSON text"}}.
 *
 *     hn_tool_format format = hn_tool_format_of(template_text);
 *     json_t *calls; size_t content_bytes;
 *     HN_TRY(hn_tool_calls_parse(format, text, n, &calls, &content_bytes, &err));       // calls NULL: the text holds none
 *     json_decref(calls);
 *
 * What a model wrote is hostile input: a call that is not whole or not JSON is no call, and stays text. Ownership: new references are
 * the caller's. Threading: no shared state. */
#ifndef HN_MODEL_TOOL_CALLS_H
#define HN_MODEL_TOOL_CALLS_H

#include "format/json.h"

typedef enum hn_tool_format {
    HN_TOOL_FORMAT_NONE,         /* the template knows no tools */
    HN_TOOL_FORMAT_HERMES,       /* <tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>, repeated; Qwen too */
    HN_TOOL_FORMAT_LLAMA,        /* {"name": "f", "parameters": {}}; also <|python_tag|>f.call(a="b") */
    HN_TOOL_FORMAT_MISTRAL_LIST, /* [TOOL_CALLS][{"name": "f", "arguments": {}, "id": "123456789"}] */
    HN_TOOL_FORMAT_MISTRAL_ARGS, /* [TOOL_CALLS]f[CALL_ID]123456789[ARGS]{}, repeated */
    HN_TOOL_FORMAT_GRANITE,      /* <|tool_call|>[{"name": "f", "arguments": {}}] */
    HN_TOOL_FORMAT_KIMI, /* <|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{}... */
    HN_TOOL_FORMAT_DEEPSEEK, /* begin marks, function, separator, f\n```json\n{}\n```, end marks */
} hn_tool_format;

/* The notation of a chat template's text (NULL: none). */
hn_tool_format hn_tool_format_of(const char *template_text);
const char *hn_tool_format_name(hn_tool_format format); /* "hermes", ..., "none" */

/* The calls in an assistant's text (control tokens' texts included) as a new array, NULL where there are none; *content_bytes: what stands
 * before the first call, white space at its end aside (all of the text where there is no call). Calls without an id of
 * their own get "call00000", "call00001", ... HN_ERR_MEMORY only. */
hn_status hn_tool_calls_parse(hn_tool_format format, const char *text, size_t n, json_t **calls, size_t *content_bytes,
                              hn_error *err) HN_MUST_CHECK;
/* What the notation writes before and after the arguments of a single call of `name` (appended). HN_ERR_UNSUPPORTED: format NONE. */
hn_status hn_tool_call_frame(hn_tool_format format, const char *name, hn_buf *before, hn_buf *after,
                             hn_error *err) HN_MUST_CHECK;

/* Checks a list of tools, [{"type": "function", "function": {"name", "description", "parameters"}}] or of bare functions: names of letters,
 * digits, _ - and . without repeats, parameters an object where given. `where` names the list in errors. */
hn_status hn_tools_check(const json_t *tools, const char *where, hn_error *err) HN_MUST_CHECK;
/* The {"name", ...} of one checked tool, and a tool's index by name (-1: none). Borrowed. */
json_t *hn_tool_function(const json_t *tool);
int hn_tools_find(const json_t *tools, const char *name);

/* Messages with the arguments of earlier calls as the template wants them: objects (most templates), or text (DeepSeek's). The OpenAI API
 * has text, which templates would write as a quoted string. A new reference: to `messages` itself where nothing changes. */
hn_status hn_tool_calls_for_template(hn_tool_format format, json_t *messages, json_t **converted,
                                     hn_error *err) HN_MUST_CHECK;

#endif
