/* Documents, references and the life of a compiled JSON Schema; see json_schema_internal.h.
 * A document is indexed when a reference first needs it; the registry and the embedded metaschemas are all there is:
 * nothing is fetched. */
#include "format/json_schema_internal.h"

#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- registry ---- */

hn_json_schema_registry *hn_json_schema_registry_create(void) { return hn_calloc(1, sizeof(hn_json_schema_registry)); }

void hn_json_schema_registry_free(hn_json_schema_registry *registry) {
    if (!registry) return;
    for (size_t i = 0; i < registry->n; i++) {
        hn_free(registry->at[i].uri);
        json_decref(registry->at[i].json);
    }
    hn_free(registry->at);
    hn_free(registry);
}

/* json_deep_copy recurses, so what is too deep (or contains itself) is refused before. */
static bool shallow_enough(const json_t *json, int depth) {
    if (depth > HN_JSON_DEPTH_MAX) return false;
    if (json_is_array(json)) {
        for (size_t i = 0; i < json_array_size(json); i++)
            if (!shallow_enough(json_array_get(json, i), depth + 1)) return false;
    } else if (json_is_object(json)) {
        json_t *object = (json_t *)json;
        for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it))
            if (!shallow_enough(json_object_iter_value(it), depth + 1)) return false;
    }
    return true;
}

static hn_status copy_json(const json_t *json, json_t **copy, hn_error *err) {
    if (!json) return hn_fail(err, HN_ERR_USAGE, NULL, NULL, "no schema was given");
    if (!shallow_enough(json, 0))
        return hn_fail(err, HN_ERR_LIMIT, NULL, "make the schema flatter", "the schema is nested deeper than %d levels",
                       HN_JSON_DEPTH_MAX);
    *copy = json_deep_copy(json);
    return *copy ? HN_OK : hn_fail_memory(err, sizeof(json_t));
}

static char *without_fragment(const char *uri) { return hn_strndup(uri, strcspn(uri, "#")); }

hn_status hn_json_schema_registry_add(hn_json_schema_registry *registry, const char *uri, const json_t *schema,
                                      hn_error *err) {
    char *name = without_fragment(uri);
    if (!name) return hn_fail_memory(err, strlen(uri));
    hn_status st = HN_OK;
    json_t *copy = NULL;
    for (size_t i = 0; i < registry->n && st == HN_OK; i++)
        if (strcmp(registry->at[i].uri, name) == 0)
            st = hn_fail(err, HN_ERR_EXISTS, NULL, "give each schema its own URI",
                         "the schema %.200s is registered already", name);
    if (st == HN_OK) st = copy_json(schema, &copy, err);
    if (st == HN_OK && !hn_grow((void **)&registry->at, &registry->capacity, registry->n + 1, sizeof *registry->at))
        st = hn_fail_memory(err, sizeof *registry->at);
    if (st == HN_OK) {
        registry->at[registry->n].uri = name;
        registry->at[registry->n++].json = copy;
        return HN_OK;
    }
    json_decref(copy);
    hn_free(name);
    return st;
}

/* ---- documents ---- */

static const json_t *registered(const hn_schema_compiler *c, const char *uri) {
    for (size_t i = 0; c->registry && i < c->registry->n; i++)
        if (strcmp(c->registry->at[i].uri, uri) == 0) return c->registry->at[i].json;
    return NULL;
}

static hn_schema_resource *find_resource(const hn_schema_compiler *c, const char *uri) {
    for (hn_schema_resource *r = c->schema->resources; r; r = r->next)
        if (strcmp(r->uri, uri) == 0) return r;
    for (hn_schema_document *d = c->schema->documents; d; d = d->next)
        if (strcmp(d->uri, uri) == 0) return d->resource; /* by the name it was fetched under */
    return NULL;
}

hn_status hn_schema_add_document(hn_schema_compiler *c, const json_t *json, const char *uri, hn_schema_node **root) {
    hn_json_schema *schema = c->schema;
    hn_schema_document *d = hn_arena_calloc(schema->arena, 1, sizeof *d);
    hn_schema_resource *r = hn_arena_calloc(schema->arena, 1, sizeof *r);
    if (!d || !r || !(d->uri = hn_arena_strdup(schema->arena, uri))) return hn_fail_memory(c->err, sizeof *d);
    HN_TRY(copy_json(json, &d->json, c->err));
    *r = (hn_schema_resource){.uri = d->uri, .vocabularies = HN_VOCAB_STANDARD, .foreign = c->foreign};
    d->resource = r;
    d->next = schema->documents;
    schema->documents = d;
    r->next = schema->resources;
    schema->resources = r;
    *root = hn_schema_index(c, d->json, NULL, "", NULL, 0, false, r, 0);
    return *root ? HN_OK : c->err->code;
}

static hn_status parse_metaschema(hn_schema_compiler *c, const char *uri, json_t **json) {
    const char *text = hn_schema_metaschema(uri);
    *json = NULL;
    return text ? hn_json_parse(text, strlen(text), uri, 0, json, c->err) : HN_OK;
}

/* The resource of that URI, indexing its document where needed; NULL with HN_OK: there is none. */
static hn_status load_resource(hn_schema_compiler *c, const char *uri, hn_schema_resource **resource) {
    *resource = find_resource(c, uri);
    if (*resource) return HN_OK;
    json_t *parsed = NULL;
    hn_schema_node *root;
    const json_t *json = registered(c, uri);
    if (!json) HN_TRY(parse_metaschema(c, uri, &parsed));
    if (!json && !parsed) return HN_OK;
    bool foreign = c->foreign;
    c->foreign = true;
    hn_status st = hn_schema_add_document(c, json ? json : parsed, uri, &root);
    c->foreign = foreign;
    json_decref(parsed);
    if (st == HN_OK) *resource = root->resource;
    return st;
}

/* ---- vocabularies ---- */

static const struct {
    const char *uri;
    unsigned bit;
} vocabularies[] = {
    {"https://json-schema.org/draft/2020-12/vocab/core", HN_VOCAB_CORE},
    {"https://json-schema.org/draft/2020-12/vocab/applicator", HN_VOCAB_APPLICATOR},
    {"https://json-schema.org/draft/2020-12/vocab/unevaluated", HN_VOCAB_UNEVALUATED},
    {"https://json-schema.org/draft/2020-12/vocab/validation", HN_VOCAB_VALIDATION},
    {"https://json-schema.org/draft/2020-12/vocab/meta-data", HN_VOCAB_CORE},
    {"https://json-schema.org/draft/2020-12/vocab/content", HN_VOCAB_CORE},
    {"https://json-schema.org/draft/2020-12/vocab/format-annotation", HN_VOCAB_FORMAT},
    {"https://json-schema.org/draft/2020-12/vocab/format-assertion", HN_VOCAB_FORMAT_ASSERTION},
};

static hn_status read_vocabularies(hn_schema_compiler *c, const hn_schema_node *node, json_t *list, unsigned *bits) {
    const size_t n_known = sizeof vocabularies / sizeof *vocabularies;
    *bits = HN_VOCAB_CORE;
    for (void *it = json_object_iter(list); it; it = json_object_iter_next(list, it)) {
        size_t k = 0;
        while (k < n_known && strcmp(vocabularies[k].uri, json_object_iter_key(it)) != 0) k++;
        if (k < n_known)
            *bits |= vocabularies[k].bit;
        else if (json_is_true(json_object_iter_value(it)))
            return hn_schema_fail(c, HN_ERR_UNSUPPORTED, node, "$schema", "use the draft 2020-12 metaschema",
                                  "its metaschema requires the vocabulary %.200s, which is not known here",
                                  json_object_iter_key(it));
    }
    return HN_OK;
}

hn_status hn_schema_vocabularies(hn_schema_compiler *c, const hn_schema_node *node, const char *uri, unsigned *bits,
                                 bool *older) {
    char *fragment = NULL, *name = hn_schema_uri_resolve(c->schema->arena, node->resource->uri, uri, &fragment);
    if (!name) return hn_fail_memory(c->err, strlen(uri));
    *bits = HN_VOCAB_STANDARD;
    *older = strstr(name, "//json-schema.org/draft-0") != NULL;
    if (*older || hn_schema_metaschema(name) || strstr(name, "//json-schema.org/")) return HN_OK;
    const json_t *metaschema = registered(c, name);
    if (!metaschema)
        return hn_schema_fail(c, HN_ERR_NOT_FOUND, node, "$schema", "use https://json-schema.org/draft/2020-12/schema",
                              "the metaschema %.200s is not known here, and nothing is fetched", name);
    json_t *list = json_object_get(metaschema, "$vocabulary");
    return json_is_object(list) ? read_vocabularies(c, node, list, bits) : HN_OK;
}

/* ---- references ---- */

hn_schema_anchor *hn_schema_find_anchor(const hn_schema_resource *resource, const char *name) {
    for (hn_schema_anchor *a = resource->anchors; a; a = a->next)
        if (strcmp(a->name, name) == 0) return a;
    return NULL;
}

static void unescape(char *token) {
    char *out = token;
    for (char *in = token; *in; in++) {
        if (*in == '~' && (in[1] == '0' || in[1] == '1'))
            *out++ = *++in == '0' ? '~' : '/';
        else
            *out++ = *in;
    }
    *out = 0;
}

static const json_t *step_into(const json_t *json, const char *token) {
    int64_t i;
    if (json_is_object(json)) return json_object_get(json, token);
    if (json_is_array(json) && hn_parse_int64(token, &i) && i >= 0 && (token[0] != '0' || !token[1]))
        return json_array_get(json, (size_t)i);
    return NULL;
}

/* Follows a JSON pointer from `from`; a place that no keyword led to becomes a schema now. */
static hn_status follow_pointer(hn_schema_compiler *c, hn_schema_node *from, char *pointer, hn_schema_node **target) {
    const json_t *json = from->json;
    hn_schema_node *node = from;
    char *shown = hn_arena_strdup(c->schema->arena, pointer + 1);
    if (!shown) return hn_fail_memory(c->err, strlen(pointer));
    *target = NULL;
    int depth = 0;
    bool exact = true; /* `node` is the node of `json` */
    for (char *token = pointer + 1, *next; token; token = next) {
        next = strchr(token, '/');
        if (next) *next++ = 0;
        unescape(token);
        json = step_into(json, token);
        if (!json) return HN_OK;
        hn_schema_node *here = json_is_boolean(json) ? NULL : hn_schema_find_node(c, json);
        exact = here != NULL;
        if (here) node = here;
        if (++depth > HN_JSON_DEPTH_MAX) return HN_OK;
    }
    *target = exact ? node : hn_schema_index(c, json, from, shown, NULL, 0, false, node->resource, 1);
    return *target ? HN_OK : c->err->code;
}

static hn_status resolve(hn_schema_compiler *c, const hn_schema_node *node, const char *keyword, const char *reference,
                         hn_schema_node **target, const char **dynamic_name) {
    char *fragment, *uri = hn_schema_uri_resolve(c->schema->arena, node->resource->uri, reference, &fragment);
    if (!uri) return hn_fail_memory(c->err, strlen(reference));
    hn_schema_resource *r = strcmp(uri, node->resource->uri) == 0 ? node->resource : NULL;
    if (!r) HN_TRY(load_resource(c, uri, &r));
    if (!r)
        return hn_schema_fail(
            c, HN_ERR_NOT_FOUND, node, keyword, "put that schema into $defs, or register it under this URI",
            "\"%.120s\" names the schema %.160s, which is not here, and nothing is fetched", reference, uri);
    *target = NULL;
    if (!fragment || !*fragment) {
        *target = r->root;
    } else if (*fragment == '/') {
        HN_TRY(follow_pointer(c, r->root, fragment, target));
    } else {
        hn_schema_anchor *a = hn_schema_find_anchor(r, fragment);
        if (a) *target = a->node;
        if (a && a->dynamic && dynamic_name) *dynamic_name = a->name;
    }
    if (!*target)
        return hn_schema_fail(c, HN_ERR_NOT_FOUND, node, keyword,
                              "check the spelling; $defs is where shared schemas go",
                              "\"%.200s\" leads to no place in the schema", reference);
    return HN_OK;
}

hn_status hn_schema_resolve_pending(hn_schema_compiler *c) {
    while (c->pending) {
        hn_schema_node *node = c->pending;
        c->pending = node->next_pending;
        if (node->ref_text) HN_TRY(resolve(c, node, "$ref", node->ref_text, &node->ref, NULL));
        if (node->dynamic_text)
            HN_TRY(resolve(c, node, "$dynamicRef", node->dynamic_text, &node->dynamic_ref, &node->dynamic_name));
    }
    return HN_OK;
}

/* ---- life ---- */

hn_status hn_json_schema_create(const json_t *json, const hn_json_schema_options *options, hn_json_schema **compiled,
                                hn_error *err) {
    static const hn_json_schema_options defaults = {0};
    hn_error ignored = {0};
    if (!options) options = &defaults;
    *compiled = NULL;
    hn_json_schema *schema = hn_calloc(1, sizeof *schema);
    if (!schema || !(schema->arena = hn_arena_create(0))) {
        hn_free(schema);
        return hn_fail_memory(err, sizeof *schema);
    }
    hn_schema_compiler c = {.schema = schema,
                            .registry = options->registry,
                            .assert_formats = options->assert_formats,
                            .err = err ? err : &ignored};
    hn_status st = hn_schema_add_document(&c, json, options->base_uri ? options->base_uri : "", &schema->root);
    if (st == HN_OK) st = hn_schema_resolve_pending(&c);
    hn_free(c.map);
    if (st == HN_OK)
        *compiled = schema;
    else
        hn_json_schema_free(schema);
    return st;
}

void hn_json_schema_free(hn_json_schema *schema) {
    if (!schema) return;
    for (hn_schema_pattern *p = schema->patterns; p; p = p->next) hn_schema_pattern_free(p->code);
    for (hn_schema_document *d = schema->documents; d; d = d->next) json_decref(d->json);
    hn_arena_free(schema->arena);
    hn_free(schema);
}
