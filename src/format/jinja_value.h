/* Inside the Jinja interpreter: values, text with its origin, and the state of one rendering. Not for other parts of
 * hone.
 *
 * Values follow Python: none, bool, int (64 bits), float, str, list, tuple, dict; and Jinja's undefined, namespace,
 * macros, loop.
 * They are immutable (but for namespaces), live in the rendering's arena and are never freed one by one.
 *
 * Errors are sticky: the first failure is kept in ctx->failed, every function then returns undefined (or false, NULL)
 * at once, and values made after it may be empty but are always safe to look at. So callers check ctx->failed
 * only where they loop.
 * Ownership: the arena's. Threading: one context, one thread. */
#ifndef HN_FORMAT_JINJA_VALUE_H
#define HN_FORMAT_JINJA_VALUE_H

#include "base/alloc.h"
#include "format/jinja.h"

typedef struct hn_jn_node hn_jn_node;
typedef struct hn_jn_ctx hn_jn_ctx;
typedef struct hn_jn_list hn_jn_list;
typedef struct hn_jn_dict hn_jn_dict;
typedef struct hn_jn_macro hn_jn_macro;
typedef struct hn_jn_loop hn_jn_loop;
typedef struct hn_jn_bound hn_jn_bound;
typedef struct hn_jn_builtin hn_jn_builtin;

typedef enum hn_jn_type {
    HN_JN_MISSING, /* an argument that was not given; never a value of the language */
    HN_JN_UNDEFINED,
    HN_JN_NONE,
    HN_JN_BOOL,
    HN_JN_INT,
    HN_JN_FLOAT,
    HN_JN_STRING,
    HN_JN_LIST,
    HN_JN_DICT,
    HN_JN_NAMESPACE, /* stored as a dict */
    HN_JN_MACRO,
    HN_JN_FUNCTION, /* a global function */
    HN_JN_METHOD,   /* a method with its object */
    HN_JN_LOOP,
} hn_jn_type;

/* Why a value is undefined: decides the message when it is used. */
typedef enum hn_jn_reason {
    HN_JN_NO_NAME,     /* node: the name */
    HN_JN_NO_ATTR,     /* node: HN_JN_GETATTR or HN_JN_GETITEM, `of`: the type it was looked up in */
    HN_JN_NO_ELEMENT,  /* a filter found nothing: "No first item, sequence was empty." */
    HN_JN_NO_PREVIOUS, /* loop.previtem of the first, loop.nextitem of the last */
    HN_JN_NO_ELSE,     /* `a if false` without else */
    HN_JN_NO_ARGUMENT, /* a macro's parameter that was not given; node: HN_JN_PARAMETER */
} hn_jn_reason;

/* Bytes [from, to) of a text came from the variables' string number `source` (an index into ctx->sources, from 1). */
typedef struct hn_jn_span {
    size_t from, to;
    uint32_t source;
} hn_jn_span;

/* Text and where it came from; bytes outside all spans are the template's. UTF-8. */
typedef struct hn_jn_str {
    const char *data;
    size_t len;
    const hn_jn_span *spans; /* in order, not overlapping */
    size_t n_spans;
} hn_jn_str;

typedef struct hn_jn_value {
    uint8_t type, reason, of; /* hn_jn_type; of undefined: hn_jn_reason, hn_jn_type */
    union {
        bool boolean;
        int64_t integer;
        double real;
        const hn_jn_str *str;
        hn_jn_list *list;
        hn_jn_dict *dict;
        hn_jn_macro *macro;
        hn_jn_loop *loop;
        hn_jn_bound *bound;
        const hn_jn_builtin *builtin;
        const hn_jn_node *node;
    } as;
} hn_jn_value;

/* What Python would have: decides text, truth and what may be done with it. */
typedef enum hn_jn_list_kind {
    HN_JN_AS_LIST,
    HN_JN_AS_TUPLE,
    HN_JN_AS_RANGE,
    HN_JN_AS_GENERATOR,
    HN_JN_AS_KEYS,
    HN_JN_AS_VALUES,
    HN_JN_AS_ITEMS
} hn_jn_list_kind;

struct hn_jn_list {
    hn_jn_list_kind kind;
    hn_jn_value *items;
    size_t n, capacity;
};

typedef struct hn_jn_entry {
    hn_jn_value key, value;
    uint64_t hash;
} hn_jn_entry;

struct hn_jn_dict {
    hn_jn_entry *entries; /* in insertion order */
    size_t n, capacity;
    uint32_t *index; /* open addressing, entry number + 1; NULL while the dict is small */
    size_t index_size;
    uint32_t owner; /* source of an element of an array among the variables, such as a message; else 0 */
};

struct hn_jn_bound {
    hn_jn_value self;
    const hn_jn_builtin *method;
};

typedef struct hn_jn_keyword {
    const char *name;
    hn_jn_value value;
} hn_jn_keyword;

typedef struct hn_jn_args {
    hn_jn_value *values;
    size_t n;
    hn_jn_keyword *keywords;
    size_t n_keywords;
} hn_jn_args;

enum { HN_JN_PARAMS_MAX = 6 };

/* A filter, test, method or function. `p` holds its parameters in order, HN_JN_MISSING where not given; `args` all
 * arguments as written. */
typedef hn_jn_value hn_jn_builtin_fn(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args);

struct hn_jn_builtin {
    const char *name;
    hn_jn_builtin_fn *fn;
    const char *params; /* "width,first,blank"; NULL: takes any arguments, `p` is not filled */
    size_t n_required;
};

typedef struct hn_jn_variable {
    uint32_t symbol;
    hn_jn_value value;
} hn_jn_variable;

/* A scope; names are looked up outwards. */
typedef struct hn_jn_frame {
    struct hn_jn_frame *parent;
    hn_jn_variable *variables;
    size_t n, capacity;
} hn_jn_frame;

struct hn_jn_macro {
    const hn_jn_node *node; /* HN_JN_MACRO_NODE or HN_JN_CALL_BLOCK */
    hn_jn_frame *frame;     /* where it was defined */
};

struct hn_jn_loop {
    const hn_jn_list *list;
    size_t index; /* from 0 */
    size_t depth; /* from 0 */
    const hn_jn_node *node;
    hn_jn_value last_changed;
};

/* Where a string in the variables stands. */
typedef struct hn_jn_source {
    const char *variable, *field;
    size_t element;
} hn_jn_source;

/* A text being built. */
typedef struct hn_jn_text {
    hn_jn_ctx *ctx;
    char *data;
    size_t len, capacity;
    hn_jn_span *spans;
    size_t n_spans, span_capacity;
} hn_jn_text;

struct hn_jn_ctx {
    const hn_jinja *t;
    const hn_jinja_options *options;
    hn_arena *arena;
    size_t max_memory, max_output;
    uint64_t steps, max_steps;
    int depth;
    const hn_jn_node *at; /* what is being evaluated, for errors */
    hn_jn_frame *frame;
    hn_jn_text *out, *root; /* where output goes now; and in the end */
    uint32_t owner;         /* source of the element that a loop is at, or 0 */
    hn_jn_span *marks;      /* bytes of `root` written while there was an owner */
    size_t n_marks, mark_capacity;
    hn_jn_source *sources;
    size_t n_sources, source_capacity;
    hn_status failed;
    hn_error *err;
};

enum { HN_JN_DEPTH_MAX = 800, HN_JN_VALUE_DEPTH_MAX = 520, HN_JN_RANGE_MAX = 100000 };

/* ---- jinja_value.c: making and comparing ---- */

/* Sets the sticky error at the node being evaluated; returns undefined, so that it can be returned. */
hn_jn_value hn_jn_raise(hn_jn_ctx *ctx, const char *hint, const char *fmt, ...) HN_PRINTF(3, 4);
hn_jn_value hn_jn_raise_limit(hn_jn_ctx *ctx, const char *what, uint64_t limit);
/* Counts work; false once the limit is passed or something failed. */
bool hn_jn_charge(hn_jn_ctx *ctx, size_t n);
/* Zeroed memory in the arena; NULL sets the sticky error. */
void *hn_jn_alloc(hn_jn_ctx *ctx, size_t n, size_t size_bytes);
/* Grows an array in the arena (the old one stays until the end). */
bool hn_jn_grow(hn_jn_ctx *ctx, void **memory, size_t *capacity, size_t need, size_t size_bytes);

hn_jn_value hn_jn_missing(void);
hn_jn_value hn_jn_undefined(hn_jn_reason reason, const hn_jn_node *node, hn_jn_type of);
hn_jn_value hn_jn_none(void);
hn_jn_value hn_jn_bool(bool value);
hn_jn_value hn_jn_int(int64_t value);
hn_jn_value hn_jn_float(double value);
/* Text of the template's (copied). */
hn_jn_value hn_jn_string(hn_jn_ctx *ctx, const char *data, size_t len);
hn_jn_value hn_jn_list_new(hn_jn_ctx *ctx, hn_jn_list_kind kind);
void hn_jn_list_push(hn_jn_ctx *ctx, hn_jn_value list, hn_jn_value item);
hn_jn_value hn_jn_pair(hn_jn_ctx *ctx, hn_jn_value a, hn_jn_value b); /* a tuple */
hn_jn_value hn_jn_dict_new(hn_jn_ctx *ctx);
/* Raises for a key that Python cannot hash. */
void hn_jn_dict_set(hn_jn_ctx *ctx, hn_jn_value dict, hn_jn_value key, hn_jn_value value);
const hn_jn_value *hn_jn_dict_get(hn_jn_ctx *ctx, hn_jn_value dict, hn_jn_value key);
const hn_jn_value *hn_jn_dict_get_name(hn_jn_ctx *ctx, hn_jn_value dict, const char *name);

bool hn_jn_is_text(hn_jn_value v, const char *text);
bool hn_jn_is_number(hn_jn_value v); /* int, float, bool */
double hn_jn_number(hn_jn_value v);
bool hn_jn_is_integer(hn_jn_value v); /* int or bool */
int64_t hn_jn_integer(hn_jn_value v);
bool hn_jn_truth(hn_jn_value v);
bool hn_jn_equal(hn_jn_ctx *ctx, hn_jn_value a, hn_jn_value b);
/* -1, 0, 1; raises where Python has no order; `symbol` ("<") names the operation. */
int hn_jn_compare(hn_jn_ctx *ctx, hn_jn_value a, hn_jn_value b, const char *symbol);
bool hn_jn_contains(hn_jn_ctx *ctx, hn_jn_value container, hn_jn_value item);
/* Python's name: "str", "NoneType", "dict". */
const char *hn_jn_type_name(hn_jn_value v);
/* Raises "`x` is undefined" with what is known about it. */
hn_jn_value hn_jn_raise_undefined(hn_jn_ctx *ctx, hn_jn_value v);
/* The elements as a list (of the same kind where it is one): strings give characters, dicts keys, undefined nothing.
 * Raises for others. */
const hn_jn_list *hn_jn_iterate(hn_jn_ctx *ctx, hn_jn_value v);
/* Characters of a string, elements of the others; raises where Python's len does. */
size_t hn_jn_length(hn_jn_ctx *ctx, hn_jn_value v);
/* A JSON value; strings remember `source` (0: as the template's). */
hn_jn_value hn_jn_from_json(hn_jn_ctx *ctx, const json_t *json, uint32_t source, int depth);

/* ---- jinja_text.c: text with its origin ---- */

void hn_jn_text_init(hn_jn_text *b, hn_jn_ctx *ctx);
void hn_jn_text_add(hn_jn_text *b, const char *bytes, size_t n); /* the template's */
void hn_jn_text_add_str(hn_jn_text *b, const char *text);
void hn_jn_text_add_from(hn_jn_text *b, const char *bytes, size_t n, uint32_t source);
void hn_jn_text_add_slice(hn_jn_text *b, const hn_jn_str *s, size_t from, size_t to);
void hn_jn_text_add_all(hn_jn_text *b, const hn_jn_str *s);
void hn_jn_text_add_codepoint(hn_jn_text *b, uint32_t cp, uint32_t source);
hn_jn_value hn_jn_text_value(const hn_jn_text *b);
hn_jn_value hn_jn_slice_bytes(hn_jn_ctx *ctx, const hn_jn_str *s, size_t from, size_t to);
uint32_t hn_jn_source_at(const hn_jn_str *s, size_t at); /* 0: the template's */
/* What str() and repr() give. */
void hn_jn_text_add_value(hn_jn_text *b, hn_jn_value v);
void hn_jn_text_add_repr(hn_jn_text *b, hn_jn_value v, int depth);
hn_jn_value hn_jn_to_string(hn_jn_ctx *ctx, hn_jn_value v);
/* The same as text; never NULL (empty after a failure). */
const hn_jn_str *hn_jn_text_of(hn_jn_ctx *ctx, hn_jn_value v);
/* json.dumps; indent < 0: one line. */
typedef struct hn_jn_json_style {
    bool ascii, sort_keys;
    int indent;
    const char *comma, *colon;
} hn_jn_json_style;
void hn_jn_text_add_json(hn_jn_text *b, hn_jn_value v, const hn_jn_json_style *style, int depth);
/* White space as Python's str.isspace. */
bool hn_jn_is_space(uint32_t cp);
/* Without the characters of `chars` (NULL: white space) at the left and right. */
hn_jn_value hn_jn_strip(hn_jn_ctx *ctx, const hn_jn_str *s, const hn_jn_str *chars, bool left, bool right);
/* Python's printf: '%s is %d' % values. */
hn_jn_value hn_jn_format(hn_jn_ctx *ctx, const hn_jn_str *format, const hn_jn_value *values, size_t n,
                         hn_jn_value mapping);
/* The byte offset of `needle` in s from byte `from` on; SIZE_MAX: not there. */
size_t hn_jn_find(hn_jn_ctx *ctx, const hn_jn_str *s, const hn_jn_str *needle, size_t from);
hn_jn_value hn_jn_replace(hn_jn_ctx *ctx, const hn_jn_str *s, const hn_jn_str *old, const hn_jn_str *new_text,
                          int64_t count);
hn_jn_value hn_jn_join(hn_jn_ctx *ctx, const hn_jn_str *separator, const hn_jn_list *list, bool only_strings);

/* Upper, lower case, title case (every word, as str.title or as the filter) and capitalised. */
typedef enum hn_jn_case {
    HN_JN_UPPER,
    HN_JN_LOWER,
    HN_JN_TITLE,
    HN_JN_TITLE_FILTER,
    HN_JN_CAPITALIZE,
    HN_JN_SWAP
} hn_jn_case;
hn_jn_value hn_jn_change_case(hn_jn_ctx *ctx, const hn_jn_str *s, hn_jn_case how);
/* Python's str.splitlines without the ends. */
hn_jn_value hn_jn_split_lines(hn_jn_ctx *ctx, const hn_jn_str *s);
/* Filled with spaces to `width` characters at the left and right. */
hn_jn_value hn_jn_pad(hn_jn_ctx *ctx, const hn_jn_str *s, int64_t width, bool left, bool right);

/* ---- jinja_eval.c, jinja_exec.c ---- */

hn_jn_value hn_jn_eval(hn_jn_ctx *ctx, const hn_jn_node *node);
hn_jn_value hn_jn_getattr(hn_jn_ctx *ctx, hn_jn_value object, const char *name, const hn_jn_node *node);
hn_jn_value hn_jn_getitem(hn_jn_ctx *ctx, hn_jn_value object, hn_jn_value key, const hn_jn_node *node);
hn_jn_value hn_jn_binary(hn_jn_ctx *ctx, int op, hn_jn_value a, hn_jn_value b);
hn_jn_value hn_jn_call(hn_jn_ctx *ctx, hn_jn_value callee, const hn_jn_args *args);
/* Binds arguments to the parameters and runs it; `what` is "filter", "test", "method" or "function". */
hn_jn_value hn_jn_call_builtin(hn_jn_ctx *ctx, const char *what, const hn_jn_builtin *builtin, hn_jn_value self,
                               const hn_jn_args *args);
hn_jn_value hn_jn_lookup(hn_jn_ctx *ctx, const hn_jn_node *name);
void hn_jn_assign(hn_jn_ctx *ctx, hn_jn_frame *frame, uint32_t symbol, hn_jn_value value);
hn_jn_value hn_jn_call_macro(hn_jn_ctx *ctx, const hn_jn_macro *macro, const hn_jn_args *args);
hn_jn_value hn_jn_call_loop(hn_jn_ctx *ctx, hn_jn_loop *loop, hn_jn_value iterable);
/* A filter block's or a block set's text through its filters. */
hn_jn_value hn_jn_eval_filters(hn_jn_ctx *ctx, const hn_jn_node *filters, hn_jn_value text);

/* ---- tables of builtins; the finders give NULL where there is none of that name ---- */

const hn_jn_builtin *hn_jn_filter_find(const char *name);
const hn_jn_builtin *hn_jn_test_find(const char *name);
const hn_jn_builtin *hn_jn_function_find(const char *name);
const hn_jn_builtin *hn_jn_method_find(hn_jn_value self, const char *name);
/* The nearest known name, for the hint; NULL: none is near. */
const char *hn_jn_filter_closest(const char *name);
const char *hn_jn_test_closest(const char *name);
extern const hn_jn_builtin hn_jn_string_methods[], hn_jn_sequence_filters[]; /* end with a NULL name */
const hn_jn_builtin *hn_jn_builtin_find(const hn_jn_builtin *table, const char *name);

#endif
