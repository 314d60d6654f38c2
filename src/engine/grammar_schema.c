/* JSON Schemas as grammars: the entry, rules for what recurs, values in general; see grammar_schema_parts.h.
 * What a schema says by $ref, allOf, anyOf or oneOf becomes a rule, named by the reference or by the merged schema's hash, and
 * is lowered later from a list: so recursive schemas end, and nesting costs no stack. */
#include "engine/grammar_schema_parts.h"

#include "base/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- errors, places, shorthands ---- */

bool hn_gschema_failed(const hn_gschema *c) { return hn_grammar_builder_error(c->b) != NULL; }

hn_grammar_node hn_gschema_bad(hn_gschema *c, hn_status code, const char *path, const char *keyword, const char *hint,
                               const char *fmt, ...) {
    char message[512], where[HN_GSCHEMA_PATH_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    hn_gschema_path(where, path, keyword, NULL);
    return hn_grammar_bad(c->b, code, where[0] ? where : "the schema", hint, "%s", message);
}

hn_grammar_node hn_gschema_no_memory(hn_gschema *c) {
    return hn_grammar_bad(c->b, HN_ERR_MEMORY, NULL, NULL, "memory is used up while a schema is made into a grammar");
}

bool hn_gschema_spend(hn_gschema *c, const char *path) {
    if (++c->work <= HN_GSCHEMA_WORK_MAX) return !hn_gschema_failed(c);
    (void)hn_gschema_bad(c, HN_ERR_LIMIT, path, NULL, "simplify it: fewer combinations of anyOf, oneOf and allOf",
                         "the schema unfolds into more than %d", HN_GSCHEMA_WORK_MAX);
    return false;
}

void hn_gschema_path(char out[HN_GSCHEMA_PATH_MAX], const char *path, const char *keyword, const char *key) {
    hn_buf text;
    hn_buf_init(&text, 1 << 16);
    hn_buf_append_str(&text, path);
    if (keyword) hn_buf_appendf(&text, "/%s", keyword);
    if (key) hn_buf_append_char(&text, '/');
    for (; key && *key; key++) {
        if (*key == '~' || *key == '/')
            hn_buf_append_str(&text, *key == '~' ? "~0" : "~1");
        else
            hn_buf_append_char(&text, *key);
    }
    size_t cut = text.len < HN_GSCHEMA_PATH_MAX ? 0 : text.len - HN_GSCHEMA_PATH_MAX + 4;
    char whole[HN_GSCHEMA_PATH_MAX]; /* `out` may be `path` */
    snprintf(whole, sizeof whole, "%s%s", cut ? "..." : "", hn_buf_str(&text) + cut);
    memcpy(out, whole, sizeof whole);
    hn_buf_free(&text);
}

static void gather(va_list args, size_t n, hn_grammar_node out[8]) {
    for (size_t i = 0; i < n && i < 8; i++) out[i] = va_arg(args, hn_grammar_node);
}

hn_grammar_node hn_gschema_seq(hn_gschema *c, size_t n, ...) {
    hn_grammar_node nodes[8];
    va_list args;
    va_start(args, n);
    gather(args, n, nodes);
    va_end(args);
    return hn_grammar_sequence(c->b, nodes, n);
}

hn_grammar_node hn_gschema_either(hn_gschema *c, size_t n, ...) {
    hn_grammar_node nodes[8];
    va_list args;
    va_start(args, n);
    gather(args, n, nodes);
    va_end(args);
    return hn_grammar_choice(c->b, nodes, n);
}

hn_grammar_node hn_gschema_lit(hn_gschema *c, const char *text) { return hn_grammar_bytes(c->b, text, strlen(text)); }

hn_grammar_node hn_gschema_blank(hn_gschema *c) {
    enum { SPACES_MAX = 32, TABS_MAX = 8 };
    if (c->blank != HN_GRAMMAR_BAD) return c->blank;
    hn_grammar_node spaces = hn_grammar_repeat(c->b, hn_gschema_lit(c, " "), 0, SPACES_MAX);
    hn_grammar_node tabs = hn_grammar_repeat(c->b, hn_gschema_lit(c, "\t"), 1, TABS_MAX);
    hn_grammar_node line = hn_gschema_seq(c, 2, hn_gschema_lit(c, "\n"), hn_gschema_either(c, 2, spaces, tabs));
    c->blank = hn_grammar_repeat(c->b, hn_gschema_either(c, 2, hn_gschema_lit(c, " "), line), 0, 1);
    return c->blank;
}

int64_t hn_gschema_count(const json_t *base, const char *keyword, int64_t otherwise) {
    const json_t *value = json_object_get(base, keyword);
    if (!value) return otherwise;
    double count = json_number_value(value);
    return count < HN_GRAMMAR_REPEAT_MAX ? (int64_t)count : HN_GRAMMAR_REPEAT_MAX; /* nobody writes more */
}

/* ---- rules ---- */

/* The rule of that name; its body will be `schema`. */
static hn_grammar_node rule_for(hn_gschema *c, const char *name, const json_t *schema, const char *path) {
    if (json_object_get(c->known, name)) return hn_grammar_rule(c->b, name);
    if (!hn_gschema_spend(c, path)) return HN_GRAMMAR_BAD;
    if (json_object_set_new(c->known, name, json_true()) != 0 ||
        !hn_grow((void **)&c->jobs, &c->job_capacity, c->n_jobs + 1, sizeof *c->jobs))
        return hn_gschema_no_memory(c);
    hn_gschema_job job = {hn_strdup(name), hn_strdup(path), json_incref((json_t *)schema)};
    c->jobs[c->n_jobs++] = job;
    if (!job.rule || !job.path) return hn_gschema_no_memory(c);
    return hn_grammar_rule(c->b, name);
}

/* A rule named by what the schema says. */
static hn_grammar_node rule_by_content(hn_gschema *c, const json_t *schema, const char *path) {
    static const hn_json_style sorted = {.sort_keys = false};
    char hex[HN_SHA256_HEX], name[HN_SHA256_HEX + 8];
    hn_buf text;
    hn_buf_init(&text, 64 << 20);
    hn_json_write(schema, &sorted, &text);
    hn_status st = hn_buf_status(&text);
    if (st == HN_OK) st = hn_sha256_bytes(hn_buf_str(&text), text.len, hex);
    hn_buf_free(&text);
    if (st == HN_ERR_LIMIT)
        return hn_gschema_bad(c, st, path, NULL, "make the schema smaller", "the merged schema is too large");
    if (st != HN_OK) return hn_gschema_no_memory(c);
    snprintf(name, sizeof name, "merged-%s", hex);
    return rule_for(c, name, schema, path);
}

/* ---- values the schema says nothing about ---- */

static hn_grammar_node any_member(hn_gschema *c, hn_grammar_node value) {
    hn_grammar_node colon =
        hn_gschema_seq(c, 2, hn_gschema_lit(c, ":"), hn_grammar_repeat(c->b, hn_gschema_lit(c, " "), 0, 1));
    return hn_gschema_seq(c, 3, hn_gschema_text(c, 0, HN_GRAMMAR_NO_LIMIT), colon, value);
}

static hn_grammar_node any_list(hn_gschema *c, const char *open, hn_grammar_node element, const char *close) {
    hn_grammar_node w = hn_gschema_blank(c);
    hn_grammar_node more = hn_gschema_seq(c, 3, hn_gschema_lit(c, ","), w, element);
    hn_grammar_node inside = hn_gschema_seq(c, 4, w, element, hn_grammar_repeat(c->b, more, 0, HN_GRAMMAR_NO_LIMIT), w);
    return hn_gschema_seq(c, 3, hn_gschema_lit(c, open), hn_grammar_repeat(c->b, inside, 0, 1),
                          hn_gschema_lit(c, close));
}

hn_grammar_node hn_gschema_any(hn_gschema *c, int depth) {
    char name[24];
    snprintf(name, sizeof name, "any-%d", depth);
    hn_grammar_node rule = hn_grammar_rule(c->b, name);
    if (json_object_get(c->known, name) || hn_gschema_failed(c)) return rule;
    if (json_object_set_new(c->known, name, json_true()) != 0) return hn_gschema_no_memory(c);
    json_t *nothing_said = json_object();
    if (!nothing_said) return hn_gschema_no_memory(c);
    hn_grammar_node parts[6] = {hn_gschema_lit(c, "true"),
                                hn_gschema_lit(c, "false"),
                                hn_gschema_lit(c, "null"),
                                hn_gschema_number(c, nothing_said, false, ""),
                                hn_gschema_text(c, 0, HN_GRAMMAR_NO_LIMIT),
                                HN_GRAMMAR_BAD};
    json_decref(nothing_said);
    size_t n = 5;
    if (depth > 0) {
        hn_grammar_node below = hn_gschema_any(c, depth - 1);
        parts[n++] = hn_gschema_either(c, 2, any_list(c, "[", below, "]"), any_list(c, "{", any_member(c, below), "}"));
    }
    hn_grammar_define(c->b, name, hn_grammar_choice(c->b, parts, n));
    return rule;
}

/* ---- given values ---- */

static hn_grammar_node literal(hn_gschema *c, const json_t *value, int depth);

static hn_grammar_node literal_text(hn_gschema *c, const char *text, size_t n) {
    hn_buf out;
    hn_buf_init(&out, 0);
    hn_json_write_string(text, n, false, &out);
    hn_grammar_node node =
        hn_buf_status(&out) == HN_OK ? hn_grammar_bytes(c->b, hn_buf_str(&out), out.len) : hn_gschema_no_memory(c);
    hn_buf_free(&out);
    return node;
}

static hn_grammar_node literal_list(hn_gschema *c, const json_t *value, int depth) {
    bool array = json_is_array(value);
    size_t n = array ? json_array_size(value) : json_object_size(value), i = 0;
    if (!n) return hn_gschema_lit(c, array ? "[]" : "{}");
    hn_grammar_node all = hn_gschema_lit(c, array ? "[" : "{"), w = hn_gschema_blank(c);
    hn_grammar_node space = hn_grammar_repeat(c->b, hn_gschema_lit(c, " "), 0, 1);
    json_t *object = array ? NULL : (json_t *)value;
    void *it = json_object_iter(object);
    for (; i < n && !hn_gschema_failed(c); i++) {
        hn_grammar_node element = literal(c, array ? json_array_get(value, i) : json_object_iter_value(it), depth + 1);
        if (!array) {
            hn_grammar_node key = literal_text(c, json_object_iter_key(it), json_object_iter_key_len(it));
            element = hn_gschema_seq(c, 4, key, hn_gschema_lit(c, ":"), space, element);
            it = json_object_iter_next(object, it);
        }
        all = i ? hn_gschema_seq(c, 4, all, hn_gschema_lit(c, ","), w, element) : hn_gschema_seq(c, 3, all, w, element);
    }
    return hn_gschema_seq(c, 3, all, w, hn_gschema_lit(c, array ? "]" : "}"));
}

static hn_grammar_node literal(hn_gschema *c, const json_t *value, int depth) {
    if (depth > HN_JSON_DEPTH_MAX)
        return hn_gschema_bad(c, HN_ERR_LIMIT, "", NULL, "make it flatter", "a value is nested too deeply");
    if (json_is_array(value) || json_is_object(value)) return literal_list(c, value, depth);
    if (json_is_string(value)) return literal_text(c, json_string_value(value), json_string_length(value));
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_json_write(value, NULL, &text);
    hn_grammar_node node =
        hn_buf_status(&text) == HN_OK ? hn_grammar_bytes(c->b, hn_buf_str(&text), text.len) : hn_gschema_no_memory(c);
    hn_buf_free(&text);
    return node;
}

hn_grammar_node hn_gschema_literal(hn_gschema *c, const json_t *value) { return literal(c, value, 0); }

/* Those of the listed values that fit the rest as well. */
static hn_grammar_node lower_enum(hn_gschema *c, const json_t *base) {
    const json_t *values = json_object_get(base, "enum");
    size_t n = json_array_size(values), n_kept = 0;
    hn_grammar_node *nodes = hn_calloc(n ? n : 1, sizeof *nodes);
    if (!nodes) return hn_gschema_no_memory(c);
    bool alone = json_object_size(base) == 1;
    hn_json_schema_options options = {.registry = c->registry, .assert_formats = true};
    hn_json_schema *compiled = NULL;
    hn_json_schema_result *result = hn_alloc(sizeof *result);
    hn_error err = {0};
    hn_status st = result ? HN_OK : hn_fail_memory(&err, sizeof *result);
    if (st == HN_OK && !alone) st = hn_json_schema_create(base, &options, &compiled, &err);
    for (size_t i = 0; i < n && st == HN_OK; i++) {
        if (!alone) st = hn_json_schema_validate(compiled, json_array_get(values, i), result, &err);
        if (st == HN_OK && (alone || result->valid)) nodes[n_kept++] = hn_gschema_literal(c, json_array_get(values, i));
    }
    if (st != HN_OK) (void)hn_grammar_bad(c->b, st, err.where, err.hint, "%s", err.message);
    hn_grammar_node node = n_kept ? hn_grammar_choice(c->b, nodes, n_kept) : hn_grammar_nothing(c->b);
    hn_json_schema_free(compiled);
    hn_free(result);
    hn_free(nodes);
    return st == HN_OK ? node : HN_GRAMMAR_BAD;
}

/* ---- schemas ---- */

static hn_grammar_node lower_base(hn_gschema *c, const json_t *base, const char *path) {
    if (json_object_get(base, HN_GSCHEMA_NEVER)) return hn_grammar_nothing(c->b);
    if (json_object_get(base, "enum")) return lower_enum(c, base);
    if (!json_object_size(base)) return hn_gschema_any(c, HN_GSCHEMA_ANY_DEPTH);
    unsigned types = hn_gschema_types(base);
    hn_grammar_node nodes[8];
    size_t n = 0;
    if (types & HN_GTYPE_OBJECT) nodes[n++] = hn_gschema_object(c, base, path);
    if (types & HN_GTYPE_ARRAY) nodes[n++] = hn_gschema_array(c, base, path);
    if (types & HN_GTYPE_STRING) nodes[n++] = hn_gschema_string(c, base, path);
    if (types & HN_GTYPE_NUMBER) nodes[n++] = hn_gschema_number(c, base, false, path);
    if (types & HN_GTYPE_INTEGER) nodes[n++] = hn_gschema_number(c, base, true, path);
    if (types & HN_GTYPE_BOOLEAN)
        nodes[n++] = hn_gschema_either(c, 2, hn_gschema_lit(c, "true"), hn_gschema_lit(c, "false"));
    if (types & HN_GTYPE_NULL) nodes[n++] = hn_gschema_lit(c, "null");
    return n ? hn_grammar_choice(c->b, nodes, n) : hn_grammar_nothing(c->b);
}

/* oneOf is anyOf where the branches exclude each other; else a value could fit two. */
static bool check_apart(hn_gschema *c, const json_t *base, const hn_gschema_group *group) {
    enum { BRANCHES_MAX = 128 };
    size_t n = json_array_size(group->branches);
    if (n > BRANCHES_MAX)
        return hn_gschema_bad(c, HN_ERR_LIMIT, group->path, NULL, "use anyOf", "more than %d forms in oneOf",
                              BRANCHES_MAX) != HN_GRAMMAR_BAD;
    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n; k++) {
            json_t *x = hn_gschema_both(c, json_object_size(base) ? base : NULL, json_array_get(group->branches, i));
            json_t *y = hn_gschema_both(c, json_object_size(base) ? base : NULL, json_array_get(group->branches, k));
            bool apart = x && y && hn_gschema_disjoint(c, x, y, group->path, 0);
            json_decref(x);
            json_decref(y);
            if (hn_gschema_failed(c)) return false;
            if (!apart)
                return hn_gschema_bad(c, HN_ERR_UNSUPPORTED, group->path, NULL,
                                      "use anyOf, or give each form a required property with a const of its own",
                                      "the forms %zu and %zu of `oneOf` may both fit one value", i,
                                      k) != HN_GRAMMAR_BAD;
        }
    return true;
}

/* {"allOf": [base, branch, the groups behind the first]}: what remains of one branch. */
static json_t *with_branch(hn_gschema *c, const hn_gschema_flat *flat, const json_t *branch) {
    if (flat->n_groups == 1) return hn_gschema_both(c, json_object_size(flat->base) ? flat->base : NULL, branch);
    json_t *schema = json_object(), *list = json_array();
    bool fine =
        schema && list && json_array_append(list, flat->base) == 0 && json_array_append(list, (json_t *)branch) == 0;
    for (size_t g = 1; g < flat->n_groups && fine; g++) {
        json_t *rest = json_object();
        fine =
            rest &&
            json_object_set(rest, flat->groups[g].one ? "oneOf" : "anyOf", (json_t *)flat->groups[g].branches) == 0 &&
            json_array_append(list, rest) == 0;
        json_decref(rest);
    }
    fine = fine && json_object_set(schema, "allOf", list) == 0;
    json_decref(list);
    if (fine) return schema;
    json_decref(schema);
    (void)hn_gschema_no_memory(c);
    return NULL;
}

static hn_grammar_node lower_groups(hn_gschema *c, const hn_gschema_flat *flat) {
    const hn_gschema_group *group = &flat->groups[0];
    size_t n = json_array_size(group->branches);
    if (group->one && !check_apart(c, flat->base, group)) return HN_GRAMMAR_BAD;
    hn_grammar_node *nodes = hn_calloc(n, sizeof *nodes);
    if (!nodes) return hn_gschema_no_memory(c);
    for (size_t i = 0; i < n && !hn_gschema_failed(c); i++) {
        char path[HN_GSCHEMA_PATH_MAX], index[24];
        snprintf(index, sizeof index, "%zu", i);
        hn_gschema_path(path, group->path, index, NULL);
        json_t *schema = with_branch(c, flat, json_array_get(group->branches, i));
        nodes[i] = schema ? hn_gschema_lower(c, schema, path) : HN_GRAMMAR_BAD;
        json_decref(schema);
    }
    hn_grammar_node node = hn_gschema_failed(c) ? HN_GRAMMAR_BAD : hn_grammar_choice(c->b, nodes, n);
    hn_free(nodes);
    return node;
}

/* A schema's own node, not a rule for it. */
static hn_grammar_node lower_now(hn_gschema *c, const json_t *schema, const char *path) {
    hn_gschema_flat flat;
    hn_grammar_node node = HN_GRAMMAR_BAD;
    if (hn_gschema_collect(c, schema, path, &flat)) {
        if (json_object_get(flat.base, HN_GSCHEMA_NEVER))
            node = hn_grammar_nothing(c->b);
        else
            node = flat.n_groups ? lower_groups(c, &flat) : lower_base(c, flat.base, path);
    }
    hn_gschema_flat_free(&flat);
    return node;
}

hn_grammar_node hn_gschema_lower(hn_gschema *c, const json_t *schema, const char *path) {
    if (hn_gschema_failed(c)) return HN_GRAMMAR_BAD;
    if (json_is_boolean(schema))
        return json_is_true(schema) ? hn_gschema_any(c, HN_GSCHEMA_ANY_DEPTH) : hn_grammar_nothing(c->b);
    const char *reference = json_string_value(json_object_get(schema, "$ref"));
    if (reference && hn_gschema_only(schema, "$ref"))
        return rule_for(c, reference, hn_gschema_target(c, reference), hn_gschema_target_path(reference));
    if (reference || json_object_get(schema, "allOf") || json_object_get(schema, "anyOf") ||
        json_object_get(schema, "oneOf"))
        return rule_by_content(c, schema, path);
    return lower_now(c, schema, path);
}

/* Defines what was asked for; more may be asked for on the way. */
static void define_rules(hn_gschema *c) {
    for (size_t i = 0; i < c->n_jobs && !hn_gschema_failed(c); i++) {
        hn_gschema_job job = c->jobs[i]; /* the list may move */
        hn_grammar_node body;
        const char *reference = json_string_value(json_object_get(job.schema, "$ref"));
        if (reference && hn_gschema_only(job.schema, "$ref"))
            body = hn_gschema_lower(c, job.schema, job.path);
        else
            body = lower_now(c, job.schema, job.path);
        if (!hn_gschema_failed(c)) hn_grammar_define(c->b, job.rule, body);
    }
}

/* ---- the door ---- */

/* The validator's compiler says first what is wrong with the schema as such; the registry then knows all of it for questions. */
static hn_status prepare(hn_gschema *c, const json_t *schema, hn_error *err) {
    hn_json_schema *compiled;
    HN_TRY(hn_json_schema_create(schema, NULL, &compiled, err));
    hn_json_schema_free(compiled);
    c->root = json_deep_copy(schema);
    c->known = json_object();
    c->checked = json_object();
    c->registry = hn_json_schema_registry_create();
    if (!c->root || !c->known || !c->checked || !c->registry) return hn_fail_memory(err, sizeof *c);
    HN_TRY(hn_grammar_builder_create(&c->b, err));
    if (hn_gschema_check(c)) return hn_json_schema_registry_add(c->registry, HN_GSCHEMA_URI, c->root, err);
    const hn_error *why = hn_grammar_builder_error(c->b);
    return hn_fail(err, why->code, why->where, why->hint, "%s", why->message);
}

hn_status hn_grammar_from_schema(const json_t *schema, hn_grammar **grammar, hn_error *err) {
    hn_gschema c = {.blank = HN_GRAMMAR_BAD, .digit = HN_GRAMMAR_BAD, .character = HN_GRAMMAR_BAD};
    *grammar = NULL;
    hn_status st = prepare(&c, schema, err);
    if (st == HN_OK) {
        hn_grammar_node root = hn_gschema_lower(&c, c.root, "");
        define_rules(&c);
        if (!hn_gschema_failed(&c) && root == hn_grammar_nothing(c.b))
            (void)hn_gschema_bad(&c, HN_ERR_INPUT, "", NULL, "look for conditions that exclude each other",
                                 "no value can fit the schema");
        st = hn_grammar_finish(c.b, root, grammar, err);
        c.b = NULL;
    }
    hn_grammar_builder_free(c.b);
    for (size_t i = 0; i < c.n_jobs; i++) {
        hn_free(c.jobs[i].rule);
        hn_free(c.jobs[i].path);
        json_decref(c.jobs[i].schema);
    }
    hn_free(c.jobs);
    json_decref(c.root);
    json_decref(c.known);
    json_decref(c.checked);
    hn_json_schema_registry_free(c.registry);
    return st;
}
