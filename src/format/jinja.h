/* Jinja: the language of chat templates, interpreted the way Hugging Face's transformers runs it.
 *
 * Python semantics for values, trim_blocks and lstrip_blocks on, loop controls, an immutable sandbox, `tojson` without
 * HTML escapes, and the functions raise_exception and strftime_now. Not there: template inheritance, include, import,
 * autoescape.
 *
 *     hn_jinja *t;
 *     HN_TRY(hn_jinja_compile(text, n, "chat_template", &t, &err));   // chat_template:12:4: unknown tag `foo`
 *     st = hn_jinja_render(t, variables, NULL, &out, NULL, &err);    // variables: a JSON object
 *     hn_jinja_free(t);
 *
 * Every byte of the output is known to come either from the template or from a string in the variables
 * (hn_jinja_spans), so that a control token in a user's text can be told from one that the template wrote.
 * A template is hostile input: steps, memory, output and nesting are limited, and passing a limit is HN_ERR_LIMIT.
 * Ownership: the template copies its text. Threading: a compiled template is read-only; each render has its own
 * memory. */
#ifndef HN_FORMAT_JINJA_H
#define HN_FORMAT_JINJA_H

#include "format/json.h"

typedef struct hn_jinja hn_jinja;

enum { HN_JINJA_TEXT_MAX = 1 << 20 }; /* bytes of a template */

typedef struct hn_jinja_options {
    bool has_now;            /* whether `now` is given; else strftime_now tells the machine's local time */
    int64_t now;             /* the time for strftime_now: seconds since 1970, shown as UTC */
    size_t max_output_bytes; /* 0: 64 MiB */
    size_t max_memory_bytes; /* for values while rendering; 0: 256 MiB */
    uint64_t max_steps;      /* about one an expression, or 64 bytes of text; 0: 20 million (a second or two) */
} hn_jinja_options;

/* Bytes [start, end) of an output that have one origin: copied from (or the escaped form of) a string in the variables,
 * or written by the template. What the template writes while it loops over an array of objects, such as the messages,
 * belongs to the object it is at. */
typedef struct hn_jinja_span {
    size_t start, end;
    bool is_data;         /* from the variables */
    const char *variable; /* the top-level variable, such as "messages"; NULL: none (text outside of such loops) */
    size_t element;       /* index in it where it is an array; else 0 */
    const char *field;    /* field of that element (or of the variable, where that is an object), or NULL */
} hn_jinja_span;          /* names are borrowed from the variables object */

typedef struct hn_jinja_spans {
    hn_jinja_span *items; /* in order and without gaps; adjacent ones of one origin are joined */
    size_t n, capacity;
} hn_jinja_spans;

/* Compiles `n` bytes of UTF-8; `name` stands for it in errors (where = name:line:column). A syntax error or an
 * unsupported statement is HN_ERR_TEMPLATE. */
hn_status hn_jinja_compile(const char *text, size_t n, const char *name, hn_jinja **t, hn_error *err) HN_MUST_CHECK;
/* Appends the rendering to `out`, and where `spans` is not NULL where each byte came from (offsets count from the first
 * byte appended; free with hn_jinja_spans_free). HN_ERR_TEMPLATE: the template refused its input (the message is its
 * own) or cannot be run with it (the message names the construct); `out` and `spans` are then unchanged. */
hn_status hn_jinja_render(const hn_jinja *t, json_t *variables, const hn_jinja_options *options, hn_buf *out,
                          hn_jinja_spans *spans, hn_error *err) HN_MUST_CHECK;
/* Whether the template mentions a name, such as "tools". */
bool hn_jinja_uses(const hn_jinja *t, const char *name);
void hn_jinja_free(hn_jinja *t);
void hn_jinja_spans_free(hn_jinja_spans *spans);

#endif
