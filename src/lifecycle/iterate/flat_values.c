/* Settings as flat lists; see flat_values.h. */
#include "lifecycle/iterate/flat_values.h"

#include "format/yaml.h"

#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 512, DEPTH_MAX = 64 };

typedef struct builder {
    hn_flat *flat;
    size_t capacity;
    hn_error *err;
} builder;

static hn_status add(builder *b, const char *path, const char *text) {
    hn_flat *f = b->flat;
    if (!hn_grow((void **)&f->rows, &b->capacity, f->n + 1, sizeof *f->rows))
        return hn_fail_memory(b->err, (f->n + 1) * sizeof *f->rows);
    f->rows[f->n] = (hn_flat_value){hn_arena_strdup(f->arena, path), hn_arena_strdup(f->arena, text)};
    if (!f->rows[f->n].path || !f->rows[f->n].text) return hn_fail_memory(b->err, strlen(text));
    f->n++;
    return HN_OK;
}

static hn_status begin(hn_flat *out, hn_error *err) {
    *out = (hn_flat){.arena = hn_arena_create(0)};
    return out->arena ? HN_OK : hn_fail_memory(err, 0);
}

/* hn_yaml allows little nesting, so this ends. */
static hn_status walk_yaml(builder *b, const hn_yaml_node *node) {
    char path[PATH_BYTES];
    if (node->kind != HN_YAML_LIST && node->kind != HN_YAML_MAP) {
        hn_yaml_path(node, path, sizeof path);
        return add(b, path, node->kind == HN_YAML_NULL || !node->text ? "" : node->text);
    }
    for (const hn_yaml_node *child = node->first; child; child = child->next) HN_TRY(walk_yaml(b, child));
    return HN_OK;
}

hn_status hn_flat_yaml(const char *name, const char *text, size_t n, hn_flat *out, hn_error *err) {
    hn_yaml *doc;
    *out = (hn_flat){0};
    HN_TRY(hn_yaml_parse(name, text, n, &doc, err));
    hn_status st = begin(out, err);
    builder b = {.flat = out, .err = err};
    if (st == HN_OK) st = walk_yaml(&b, hn_yaml_root(doc));
    hn_yaml_free(doc);
    if (st != HN_OK) hn_flat_free(out);
    return st;
}

static hn_status add_scalar(builder *b, const char *path, const json_t *value) {
    if (json_is_string(value)) return add(b, path, json_string_value(value));
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_json_write(value, NULL, &text);
    hn_status st = hn_buf_check(&text, "a parameter", b->err);
    if (st == HN_OK) st = add(b, path, hn_buf_str(&text));
    hn_buf_free(&text);
    return st;
}

static hn_status walk_json(builder *b, const char *path, const json_t *value, int depth) {
    char inner[PATH_BYTES];
    if (depth > DEPTH_MAX || (!json_is_object(value) && !json_is_array(value))) return add_scalar(b, path, value);
    for (size_t i = 0; i < json_array_size(value); i++) {
        snprintf(inner, sizeof inner, "%.400s[%zu]", path, i);
        HN_TRY(walk_json(b, inner, json_array_get(value, i), depth + 1));
    }
    const char *key;
    json_t *child;
    json_object_foreach((json_t *)(uintptr_t)value, key, child) {
        snprintf(inner, sizeof inner, "%.300s%s%.100s", path, *path ? "." : "", key);
        HN_TRY(walk_json(b, inner, child, depth + 1));
    }
    return HN_OK;
}

hn_status hn_flat_json(const char *name, const char *text, hn_flat *out, hn_error *err) {
    json_t *value = NULL;
    *out = (hn_flat){0};
    if (text && *text) HN_TRY(hn_json_parse(text, strlen(text), name, HN_JSON_ANY, &value, err));
    hn_status st = begin(out, err);
    builder b = {.flat = out, .err = err};
    if (st == HN_OK && value) st = walk_json(&b, "", value, 0);
    json_decref(value);
    if (st != HN_OK) hn_flat_free(out);
    return st;
}

void hn_flat_free(hn_flat *flat) {
    hn_free(flat->rows);
    hn_arena_free(flat->arena);
    *flat = (hn_flat){0};
}

const char *hn_flat_find(const hn_flat *flat, const char *path) {
    for (size_t i = 0; i < flat->n; i++)
        if (strcmp(flat->rows[i].path, path) == 0) return flat->rows[i].text;
    return NULL;
}

hn_status hn_flat_compare(const hn_flat *a, const hn_flat *b, hn_flat_visit *visit, void *user, hn_error *err) {
    for (size_t i = 0; i < a->n; i++) {
        const char *other = hn_flat_find(b, a->rows[i].path);
        if (!other || strcmp(other, a->rows[i].text) != 0)
            HN_TRY(visit(user, a->rows[i].path, a->rows[i].text, other, err));
    }
    for (size_t i = 0; i < b->n; i++)
        if (!hn_flat_find(a, b->rows[i].path)) HN_TRY(visit(user, b->rows[i].path, NULL, b->rows[i].text, err));
    return HN_OK;
}
