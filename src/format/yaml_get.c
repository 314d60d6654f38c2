/* Typed values out of a YAML tree, with errors that name place, finding, what is allowed and the nearest word; see yaml.h. */
#include "format/yaml.h"

#include "base/str.h"
#include "base/utf8.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const kind_names[] = {"nothing", "true or false", "a whole number", "a number",
                                         "text",    "a list",        "a map"};

void hn_yaml_where(const hn_yaml_node *node, char *out, size_t size) {
    snprintf(out, size, "%s:%d:%d", hn_yaml_name(node->document), node->line, node->column);
}

void hn_yaml_where_key(const hn_yaml_node *node, char *out, size_t size) {
    if (!node->key)
        hn_yaml_where(node, out, size);
    else
        snprintf(out, size, "%s:%d:%d", hn_yaml_name(node->document), node->key_line, node->key_column);
}

void hn_yaml_path(const hn_yaml_node *node, char *out, size_t size) {
    const hn_yaml_node *chain[HN_YAML_MAX_DEPTH + 1];
    size_t n = 0, used = 0;
    for (; node->parent && n < HN_YAML_MAX_DEPTH; node = node->parent) chain[n++] = node;
    if (size) *out = 0;
    while (n-- && used < size) {
        int put = chain[n]->key ? snprintf(out + used, size - used, "%s%.60s", used ? "." : "", chain[n]->key)
                                : snprintf(out + used, size - used, "[%zu]", chain[n]->index + 1);
        used += put > 0 ? (size_t)put : 0;
    }
}

void hn_yaml_inner_place(const hn_yaml_node *node, int line, int column, int *file_line, int *file_column) {
    *file_line = node->line;
    *file_column = node->column;
    if (line < 1 || column < 1 || node->text_column == 0) return;
    if (node->text_indent >= 0) {
        *file_line = node->text_line + line - 1;
        *file_column = node->text_indent + column;
    } else if (line == 1) {
        *file_column = node->text_column + column - 1;
    }
}

hn_status hn_yaml_fail(const hn_yaml_node *node, hn_status code, const char *hint, hn_error *err, const char *fmt,
                       ...) {
    if (!err) return code;
    char where[sizeof err->where], message[sizeof err->message];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    hn_yaml_where(node, where, sizeof where);
    return hn_fail(err, code, where, hint, "%s", message);
}

const hn_yaml_node *hn_yaml_find(const hn_yaml_node *map, const char *key) {
    if (!map || map->kind != HN_YAML_MAP) return NULL;
    for (const hn_yaml_node *child = map->first; child; child = child->next)
        if (strcmp(child->key, key) == 0) return child;
    return NULL;
}

/* "`split.train`", or "the file" for the root. */
static void name_of(const hn_yaml_node *node, char *out, size_t size) {
    char path[200];
    hn_yaml_path(node, path, sizeof path);
    if (*path)
        snprintf(out, size, "`%s`", path);
    else
        snprintf(out, size, "the file");
}

hn_status hn_yaml_require(const hn_yaml_node *map, const char *key, const char *remedy, const hn_yaml_node **value,
                          hn_error *err) {
    *value = hn_yaml_find(map, key);
    if (*value) return HN_OK;
    char name[220];
    name_of(map, name, sizeof name);
    return hn_yaml_fail(map, HN_ERR_INPUT, remedy, err, "%s has no `%s`", name, key);
}

/* What stands there, for people: text is shown, cut. */
static void found(const hn_yaml_node *node, char *out, size_t size) {
    if (!node->text || node->kind == HN_YAML_NULL)
        snprintf(out, size, "%s", kind_names[node->kind]);
    else if (node->kind == HN_YAML_STRING)
        snprintf(out, size, "the text \"%.60s\"%s", node->text, node->length > 60 ? "..." : "");
    else
        snprintf(out, size, "%.60s", node->text);
}

static hn_status fail_kind(const hn_yaml_node *node, const char *allowed, const char *hint, hn_error *err) {
    char name[220], is[120];
    name_of(node, name, sizeof name);
    found(node, is, sizeof is);
    return hn_yaml_fail(node, HN_ERR_INPUT, hint, err, "%s must be %s, but %s is here", name, allowed, is);
}

hn_status hn_yaml_expect(const hn_yaml_node *node, hn_yaml_kind kind, hn_error *err) {
    if (node->kind == kind) return HN_OK;
    const char *hint = kind == HN_YAML_LIST  ? "write it as [a, b] or as lines that start with \"- \""
                       : kind == HN_YAML_MAP ? "write it as {key: value} or as indented lines \"key: value\""
                                             : NULL;
    return fail_kind(node, kind_names[kind], hint, err);
}

/* "a, b or c" */
static void join_names(const char *const *names, size_t n, char *out, size_t size) {
    size_t used = 0;
    if (size) *out = 0;
    for (size_t i = 0; i < n && used < size; i++) {
        int put = snprintf(out + used, size - used, "%s%s", i == 0 ? "" : i + 1 == n ? " or " : ", ", names[i]);
        used += put > 0 ? (size_t)put : 0;
    }
}

static void suggest(const char *text, const char *const *names, size_t n, char *out, size_t size) {
    char all[260];
    const char *near = hn_closest(text, names, n);
    join_names(names, n, all, sizeof all);
    if (near)
        snprintf(out, size, "did you mean `%s`? allowed: %s", near, all);
    else
        snprintf(out, size, "allowed: %s", all);
}

hn_status hn_yaml_check_keys(const hn_yaml_node *map, const char *const *names, size_t n_names, hn_error *err) {
    HN_TRY(hn_yaml_expect(map, HN_YAML_MAP, err));
    for (const hn_yaml_node *child = map->first; child; child = child->next) {
        bool known = false;
        for (size_t i = 0; i < n_names && !known; i++) known = strcmp(child->key, names[i]) == 0;
        if (known) continue;
        char where[384], hint[384], parent[220];
        hn_yaml_where_key(child, where, sizeof where);
        suggest(child->key, names, n_names, hint, sizeof hint);
        name_of(map, parent, sizeof parent);
        return hn_fail(err, HN_ERR_INPUT, where, hint, "unknown key `%.80s` in %s", child->key, parent);
    }
    return HN_OK;
}

hn_status hn_yaml_get_string(const hn_yaml_node *node, const char **text, hn_error *err) {
    if (!node->text || node->kind == HN_YAML_NULL) return fail_kind(node, "text", "put the text in quotes", err);
    *text = node->text;
    return HN_OK;
}

hn_status hn_yaml_get_bool(const hn_yaml_node *node, bool *value, hn_error *err) {
    if (node->kind != HN_YAML_BOOL) return fail_kind(node, "true or false", NULL, err);
    *value = node->boolean;
    return HN_OK;
}

hn_status hn_yaml_get_int(const hn_yaml_node *node, int64_t low, int64_t high, int64_t *value, hn_error *err) {
    char allowed[100];
    if (high == INT64_MAX)
        snprintf(allowed, sizeof allowed, "a whole number from %lld on", (long long)low);
    else
        snprintf(allowed, sizeof allowed, "a whole number from %lld to %lld", (long long)low, (long long)high);
    if (node->kind != HN_YAML_INT || node->integer < low || node->integer > high)
        return fail_kind(node, allowed, NULL, err);
    *value = node->integer;
    return HN_OK;
}

hn_status hn_yaml_get_real(const hn_yaml_node *node, double low, double high, double *value, hn_error *err) {
    char allowed[100];
    if (isinf(low) && isinf(high))
        snprintf(allowed, sizeof allowed, "a number");
    else if (isinf(high))
        snprintf(allowed, sizeof allowed, "a number from %g on", low);
    else if (isinf(low))
        snprintf(allowed, sizeof allowed, "a number up to %g", high);
    else
        snprintf(allowed, sizeof allowed, "a number from %g to %g", low, high);
    bool number = node->kind == HN_YAML_INT || node->kind == HN_YAML_REAL;
    if (!number || !isfinite(node->real) || node->real < low || node->real > high)
        return fail_kind(node, allowed, NULL, err);
    *value = node->real;
    return HN_OK;
}

hn_status hn_yaml_get_choice(const hn_yaml_node *node, const char *const *names, size_t n_names, int *index,
                             hn_error *err) {
    char allowed[260], hint[384];
    for (size_t i = 0; node->text && i < n_names; i++) {
        if (strcmp(node->text, names[i]) != 0) continue;
        *index = (int)i;
        return HN_OK;
    }
    join_names(names, n_names, allowed, sizeof allowed);
    const char *near = node->text ? hn_closest(node->text, names, n_names) : NULL;
    if (near) snprintf(hint, sizeof hint, "did you mean `%s`?", near);
    return fail_kind(node, allowed, near ? hint : NULL, err);
}

static bool is_safe_plain(const char *text) {
    static const char *const reserved[] = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"};
    if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_/", *text) || !*text) return false;
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (strcasecmp(text, reserved[i]) == 0) return false;
    size_t n = strlen(text);
    if (text[n - 1] == ' ') return false;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c >= 0xA1;
        if (!letter && !strchr(" _-./+()", c)) return false;
        if (c == 0xC2 || c == 0xE2 || c == 0xEF)
            return false; /* may be one of Unicode's spaces, line ends or marks: quoted to be sure */
    }
    return true;
}

/* Characters that a file may not hold as they are, or that an editor shows as nothing. */
static bool needs_escape(uint32_t c) {
    return c < 32 || (c >= 127 && c <= 0xA0) || c == 0x2028 || c == 0x2029 || c == 0xFEFF;
}

void hn_yaml_append_string(hn_buf *out, const char *text) {
    if (is_safe_plain(text)) {
        hn_buf_append_str(out, text);
        return;
    }
    hn_buf_append_char(out, '"');
    for (size_t left = strlen(text); left;) {
        uint32_t c;
        size_t used = hn_utf8_decode(text, left, &c);
        if (c == '"' || c == '\\')
            hn_buf_appendf(out, "\\%c", (char)c);
        else if (c == '\n')
            hn_buf_append_str(out, "\\n");
        else if (c == '\t')
            hn_buf_append_str(out, "\\t");
        else if (needs_escape(c))
            hn_buf_appendf(out, "\\u%04X", (unsigned)c);
        else
            hn_buf_append_codepoint(out, c);
        text += used;
        left -= used;
    }
    hn_buf_append_char(out, '"');
}
