/* JSON reading, writing and typed access; see json.h.
 * Surprise: jansson's lexer ignores a failed growth of its own buffer and goes on with a byte missing. So once an
 * allocation fails inside a parse, all further ones of that parse fail too (`parse_failed`), which makes it stop before
 * it reads what is not there. */
#include "format/json.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "base/utf8.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local bool parsing, parse_failed;

static void *json_alloc(size_t size_bytes) {
    if (parsing && parse_failed) return NULL;
    void *memory = hn_alloc(size_bytes);
    if (!memory) parse_failed = true;
    return memory;
}

void hn_json_init(void) { json_set_alloc_funcs(json_alloc, hn_free); }

/* ---- reading ---- */

/* Whether brackets outside strings nest deeper than allowed; *at gets the offset of the first one that does. */
static bool too_deep(const char *text, size_t n, size_t *at) {
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            *at = i;
            if (++depth > HN_JSON_DEPTH_MAX) return true;
        } else if ((c == '}' || c == ']') && depth) {
            depth--;
        }
    }
    return false;
}

static void line_column(const char *text, size_t at, size_t *line, size_t *column) {
    size_t start = 0;
    for (size_t i = 0; i < at; i++)
        if (text[i] == '\n') (*line)++, start = i + 1;
    *column = hn_utf8_count(text + start, at - start) + 1;
}

static const char *remedy(const json_error_t *e) {
    switch (json_error_code(e)) {
    case json_error_duplicate_key: return "keep one of the two";
    case json_error_numeric_overflow:
        return strstr(e->text, "integer")
                   ? "integers have at most 64 bits: write it as a string or with a decimal point"
                   : "numbers go up to 1.8e308: write it as a string";
    case json_error_invalid_utf8: return "save the text as UTF-8";
    case json_error_null_character:
    case json_error_null_byte_in_key: return "remove the \\u0000";
    case json_error_premature_end_of_input: return "the text stops early: is it whole?";
    case json_error_end_of_input_expected: return "one JSON value is expected; for a value a line name the file .jsonl";
    default: return "JSON needs double quotes, no comments and no comma after the last element";
    }
}

static hn_status parse(const char *text, size_t n, const char *name, size_t line0, unsigned flags, json_t **value,
                       hn_error *err) {
    char where[384];
    size_t at = 0, line = line0, column = 1;
    *value = NULL;
    if (too_deep(text, n, &at)) {
        line_column(text, at, &line, &column);
        snprintf(where, sizeof where, "%.300s:%zu:%zu", name, line, column);
        return hn_fail(err, HN_ERR_INPUT, where, "make it flatter", "JSON nested deeper than %d levels",
                       HN_JSON_DEPTH_MAX);
    }
    json_error_t e = {.line = -1};
    size_t jansson_flags = JSON_REJECT_DUPLICATES | (flags & HN_JSON_ANY ? JSON_DECODE_ANY : 0) |
                           (flags & HN_JSON_NUL ? JSON_ALLOW_NUL : 0);
    parsing = true;
    parse_failed = false;
    json_t *parsed = json_loadb(text, n, jansson_flags, &e);
    parsing = false;
    if (parse_failed || (!parsed && (!e.text[0] || json_error_code(&e) == json_error_out_of_memory))) {
        parse_failed = false;
        json_decref(parsed);
        return hn_fail_memory(err, n);
    }
    if (!parsed) {
        snprintf(where, sizeof where, "%.300s:%zu:%d", name, line0 + (e.line > 0 ? (size_t)e.line - 1 : 0),
                 e.column > 0 ? e.column : 1);
        if (json_error_code(&e) == json_error_invalid_syntax && strstr(e.text, "'[' or '{' expected"))
            return hn_fail(err, HN_ERR_INPUT, where, "put { } or [ ] around it",
                           "the JSON text must be an object or an array");
        bool nul = json_error_code(&e) == json_error_null_character;
        return hn_fail(err, HN_ERR_INPUT, where, remedy(&e), "not valid JSON: %s",
                       nul ? "a string with a NUL character" : e.text);
    }
    *value = parsed;
    return HN_OK;
}

hn_status hn_json_parse(const char *text, size_t n, const char *name, unsigned flags, json_t **value, hn_error *err) {
    return parse(text, n, name, 1, flags, value, err);
}

hn_status hn_json_read(const char *path, size_t max_bytes, unsigned flags, json_t **value, hn_error *err) {
    char *bytes;
    size_t n;
    *value = NULL;
    HN_TRY(hn_file_read(path, max_bytes, &bytes, &n, err));
    hn_status st = parse(bytes, n, path, 1, flags, value, err);
    hn_free(bytes);
    return st;
}

hn_status hn_jsonl_next(hn_jsonl *lines, json_t **value, hn_error *err) {
    *value = NULL;
    while (lines->at < lines->n) {
        const char *start = lines->text + lines->at;
        size_t left = lines->n - lines->at;
        const char *newline = memchr(start, '\n', left);
        size_t len = newline ? (size_t)(newline - start) : left;
        lines->at += len + (newline ? 1 : 0);
        lines->line++;
        if (hn_str_trim((hn_str){start, len}).len == 0) continue;
        return parse(start, len, lines->name, lines->line, lines->flags, value, err);
    }
    return HN_OK;
}

/* ---- writing ---- */

void hn_json_write_string(const char *text, size_t n, bool ascii, hn_buf *out) {
    hn_buf_append_char(out, '"');
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        size_t used = hn_utf8_decode(text + i, n - i, &cp);
        const char *shorthand = cp < 128 && cp ? strchr("\"\"\\\\\bb\ff\nn\rr\tt", (int)cp) : NULL;
        if (shorthand && (cp < 32 || cp == '"' || cp == '\\')) {
            hn_buf_append_char(out, '\\');
            hn_buf_append_char(out, shorthand[1]);
        } else if (cp < 32 || (ascii && cp > 126 && cp < 0x10000)) {
            hn_buf_appendf(out, "\\u%04x", (unsigned)cp);
        } else if (ascii && cp > 126) {
            hn_buf_appendf(out, "\\u%04x\\u%04x", (unsigned)(0xD800 + ((cp - 0x10000) >> 10)),
                           (unsigned)(0xDC00 + ((cp - 0x10000) & 0x3FF)));
        } else {
            hn_buf_append_codepoint(out, cp);
        }
        i += used;
    }
    hn_buf_append_char(out, '"');
}

/* The fewest significant digits that read back as `value`, as "d.ddde+XX"; returns the number of digits. Numbers of up
 * to 15 digits always survive, so only subnormals, which have fewer bits, need the search from 1. */
static int shortest(double value, char out[40]) {
    int digits = fabs(value) < 2.3e-308 ? 1 : 15;
    for (;; digits++) {
        snprintf(out, 40, "%.*e", digits - 1, value);
        for (char *c = out; *c; c++) /* a locale's decimal point */
            if (*c == ',') *c = '.';
        double back;
        if (digits >= 17 || (hn_parse_double(out, &back) && back == value)) return digits;
    }
}

void hn_json_write_real(double value, hn_buf *out) {
    if (isnan(value) || isinf(value)) {
        hn_buf_append_str(out, isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity");
        return;
    }
    char text[40], digits[24];
    size_t n = 0;
    shortest(value, text);
    const char *exponent_text = strchr(text, 'e');
    int exponent = exponent_text ? (int)strtol(exponent_text + 1, NULL, 10) : 0;
    for (const char *c = text; *c && *c != 'e'; c++)
        if (*c >= '0' && *c <= '9' && n < sizeof digits) digits[n++] = *c;
    while (n > 1 && digits[n - 1] == '0') n--;
    if (text[0] == '-') hn_buf_append_char(out, '-');
    if (exponent < -4 || exponent >= 16) {
        hn_buf_append_char(out, digits[0]);
        if (n > 1) hn_buf_append_char(out, '.');
        hn_buf_append(out, digits + 1, n - 1);
        hn_buf_appendf(out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
    } else if (exponent < 0) {
        hn_buf_append_str(out, "0.");
        hn_buf_append_repeat(out, '0', (size_t)(-exponent - 1));
        hn_buf_append(out, digits, n);
    } else {
        size_t whole = (size_t)exponent + 1;
        hn_buf_append(out, digits, n < whole ? n : whole);
        if (n < whole) hn_buf_append_repeat(out, '0', whole - n);
        hn_buf_append_char(out, '.');
        if (n > whole)
            hn_buf_append(out, digits + whole, n - whole);
        else
            hn_buf_append_char(out, '0');
    }
}

static void write_value(const json_t *value, const hn_json_style *style, int depth, hn_buf *out);

static void write_break(const hn_json_style *style, int depth, hn_buf *out) {
    if (style->indent <= 0) return;
    hn_buf_append_char(out, '\n');
    hn_buf_append_repeat(out, ' ', (size_t)style->indent * (size_t)depth);
}

/* Between two elements, before the line break. */
static void write_comma(const hn_json_style *style, hn_buf *out) {
    hn_buf_append_str(out, style->spaced && style->indent <= 0 ? ", " : ",");
}

typedef struct field {
    const char *key;
    size_t len;
    json_t *value;
} field;

static int compare_fields(const void *a, const void *b) {
    const field *x = a, *y = b;
    int order = memcmp(x->key, y->key, x->len < y->len ? x->len : y->len);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

static void write_field(const field *f, const hn_json_style *style, int depth, bool first, hn_buf *out) {
    if (!first) write_comma(style, out);
    write_break(style, depth + 1, out);
    hn_json_write_string(f->key, f->len, style->ascii, out);
    hn_buf_append_str(out, style->spaced || style->indent > 0 ? ": " : ":");
    write_value(f->value, style, depth + 1, out);
}

static void write_sorted(json_t *object, const hn_json_style *style, int depth, hn_buf *out) {
    size_t n = json_object_size(object), i = 0;
    field *fields = hn_calloc(n, sizeof *fields);
    if (!fields) {
        out->error = HN_ERR_MEMORY;
        return;
    }
    for (void *it = json_object_iter(object); it && i < n; it = json_object_iter_next(object, it), i++)
        fields[i] = (field){json_object_iter_key(it), json_object_iter_key_len(it), json_object_iter_value(it)};
    qsort(fields, n, sizeof *fields, compare_fields);
    for (i = 0; i < n; i++) write_field(&fields[i], style, depth, i == 0, out);
    hn_free(fields);
}

static void write_object(const json_t *value, const hn_json_style *style, int depth, hn_buf *out) {
    json_t *object = (json_t *)value; /* jansson's iteration takes no const, but changes nothing */
    hn_buf_append_char(out, '{');
    if (style->sort_keys) {
        write_sorted(object, style, depth, out);
    } else {
        bool first = true;
        for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it), first = false) {
            field f = {json_object_iter_key(it), json_object_iter_key_len(it), json_object_iter_value(it)};
            write_field(&f, style, depth, first, out);
        }
    }
    if (json_object_size(value)) write_break(style, depth, out);
    hn_buf_append_char(out, '}');
}

static void write_array(const json_t *value, const hn_json_style *style, int depth, hn_buf *out) {
    size_t n = json_array_size(value);
    hn_buf_append_char(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i) write_comma(style, out);
        write_break(style, depth + 1, out);
        write_value(json_array_get(value, i), style, depth + 1, out);
    }
    if (n) write_break(style, depth, out);
    hn_buf_append_char(out, ']');
}

static void write_value(const json_t *value, const hn_json_style *style, int depth, hn_buf *out) {
    if (depth > HN_JSON_DEPTH_MAX && out->error == HN_OK) out->error = HN_ERR_LIMIT;
    if (out->error != HN_OK) return;
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_OBJECT: write_object(value, style, depth, out); break;
    case JSON_ARRAY: write_array(value, style, depth, out); break;
    case JSON_STRING:
        hn_json_write_string(json_string_value(value), json_string_length(value), style->ascii, out);
        break;
    case JSON_INTEGER: hn_buf_appendf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value)); break;
    case JSON_REAL: hn_json_write_real(json_real_value(value), out); break;
    case JSON_TRUE: hn_buf_append_str(out, "true"); break;
    case JSON_FALSE: hn_buf_append_str(out, "false"); break;
    case JSON_NULL: hn_buf_append_str(out, "null"); break;
    }
}

void hn_json_write(const json_t *value, const hn_json_style *style, hn_buf *out) {
    static const hn_json_style compact = {0};
    write_value(value, style ? style : &compact, 0, out);
}

hn_status hn_json_save(const char *path, const json_t *value, const hn_json_style *style, hn_error *err) {
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_json_write(value, style, &text);
    hn_buf_append_char(&text, '\n');
    hn_status st = hn_buf_check(&text, path, err);
    if (st == HN_OK) st = hn_file_write_atomic(path, text.data, text.len, err);
    hn_buf_free(&text);
    return st;
}
