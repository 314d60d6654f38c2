/* Objects and arrays as grammars; see grammar_schema_parts.h.
 * Properties come in the schema's order, optional ones may be left out; names that are required but not declared follow.
 * An object that declares properties and does not mention additionalProperties gets no others: a smaller language, and what
 * people mean. Other names, where they are allowed, are never those that are declared, and are written without escapes. */
#include "engine/grammar_schema_parts.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct property {
    const char *name;
    hn_grammar_node pair; /* "name": value */
    bool required;
} property;

typedef struct object {
    hn_gschema *c;
    property *at;
    size_t n, id;
    hn_grammar_node extra; /* a pair of another name; HN_GRAMMAR_BAD: there are none */
    int64_t min, max;      /* of properties */
    bool counting;         /* min or max matter */
} object;

/* ---- names that are not declared ---- */

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static hn_grammar_node name_characters(hn_gschema *c, const hn_code_range *without, size_t n) {
    hn_code_range ranges[3 + 1];
    hn_code_range *all = n ? hn_calloc(n + 3, sizeof *all) : ranges;
    if (!all) return hn_gschema_no_memory(c);
    all[0] = (hn_code_range){0, 0x1F}, all[1] = (hn_code_range){'"', '"'}, all[2] = (hn_code_range){'\\', '\\'};
    if (n) memcpy(all + 3, without, n * sizeof *without);
    size_t n_all = hn_code_ranges_normalize(all, n + 3);
    hn_grammar_node node = hn_grammar_class(c->b, all, n_all, true);
    if (n) hn_free(all);
    return node;
}

/* What may follow `depth` bytes that the sorted names [first, last) share, so that none of them results; with a character at least
 * where nothing stands yet. */
static hn_grammar_node other_rest(hn_gschema *c, const char **names, size_t first, size_t last, size_t depth) {
    if (hn_gschema_failed(c)) return HN_GRAMMAR_BAD;
    bool taken = depth == 0 || (first < last && !names[first][depth]);
    if (first < last && !names[first][depth]) first++;
    size_t n_children = 0;
    hn_code_range *firsts = hn_calloc(last - first + 1, sizeof *firsts);
    hn_grammar_node *nodes = hn_calloc(last - first + 2, sizeof *nodes);
    hn_grammar_node all = HN_GRAMMAR_BAD;
    for (size_t i = first; firsts && nodes && i < last && !hn_gschema_failed(c);) {
        uint32_t cp;
        size_t used = hn_utf8_decode(names[i] + depth, strlen(names[i] + depth), &cp), end = i + 1;
        while (end < last && strncmp(names[end] + depth, names[i] + depth, used) == 0) end++;
        firsts[n_children] = (hn_code_range){cp, cp};
        hn_grammar_node rest = other_rest(c, names, i, end, depth + used);
        nodes[n_children++] = cp < 0x20 || cp == '"' || cp == '\\'
                                  ? hn_grammar_nothing(c->b) /* such names need escapes: never written here */
                                  : hn_gschema_seq(c, 2, hn_grammar_bytes(c->b, names[i] + depth, used), rest);
        i = end;
    }
    if (firsts && nodes) {
        hn_grammar_node free_rest = hn_grammar_repeat(c->b, name_characters(c, NULL, 0), 0, HN_GRAMMAR_NO_LIMIT);
        nodes[n_children] = hn_gschema_seq(c, 2, name_characters(c, firsts, n_children), free_rest);
        all = hn_grammar_choice(c->b, nodes, n_children + 1);
        if (!taken) all = hn_gschema_either(c, 2, hn_grammar_empty(c->b), all);
    } else {
        (void)hn_gschema_no_memory(c);
    }
    hn_free(firsts);
    hn_free(nodes);
    return all;
}

static hn_grammar_node other_name(object *o) {
    const char **names = hn_calloc(o->n + 1, sizeof *names);
    if (!names) return hn_gschema_no_memory(o->c);
    size_t longest = 0;
    for (size_t i = 0; i < o->n; i++) {
        names[i] = o->at[i].name;
        if (strlen(names[i]) > longest) longest = strlen(names[i]);
    }
    hn_grammar_node node;
    if (longest > 512) {
        node = hn_gschema_bad(o->c, HN_ERR_LIMIT, "", NULL, "use shorter names", "a property's name of %zu bytes",
                              longest);
    } else {
        qsort(names, o->n, sizeof *names, compare_names);
        hn_grammar_node quote = hn_gschema_lit(o->c, "\"");
        node = hn_gschema_seq(o->c, 3, quote, other_rest(o->c, names, 0, o->n, 0), quote);
    }
    hn_free(names);
    return node;
}

static hn_grammar_node pair_of(hn_gschema *c, hn_grammar_node name, hn_grammar_node value) {
    hn_grammar_node space = hn_grammar_repeat(c->b, hn_gschema_lit(c, " "), 0, 1);
    return hn_gschema_seq(c, 4, name, hn_gschema_lit(c, ":"), space, value);
}

/* Names by the one pattern there is. */
static hn_grammar_node pattern_extra(object *o, const json_t *base, const char *path) {
    hn_gschema *c = o->c;
    json_t *patterns = json_object_get(base, "patternProperties");
    void *it = json_object_iter(patterns);
    char below[HN_GSCHEMA_PATH_MAX];
    if (o->n) return HN_GRAMMAR_BAD; /* declared names only: the patterns are in them */
    const char *pattern = json_object_iter_key(it);
    hn_gschema_path(below, path, "patternProperties", pattern);
    if (json_object_size(patterns) > 1)
        return hn_gschema_bad(c, HN_ERR_UNSUPPORTED, path, "patternProperties",
                              "join them into one pattern, or declare the properties",
                              "several patterns for names cannot be enforced while text is generated");
    if (json_object_get(base, "propertyNames"))
        return hn_gschema_bad(c, HN_ERR_UNSUPPORTED, path, "propertyNames", "say it in the pattern",
                              "`propertyNames` and `patternProperties` together cannot be enforced");
    hn_grammar_node name = hn_grammar_regex(c->b, pattern, true);
    if (hn_gschema_failed(c)) {
        hn_error_prefix(&c->b->error, below);
        return HN_GRAMMAR_BAD;
    }
    hn_grammar_node quote = hn_gschema_lit(c, "\"");
    name = hn_gschema_seq(c, 3, quote, hn_gschema_escaped(c, name), quote);
    return pair_of(c, name, hn_gschema_lower(c, json_object_iter_value(it), below));
}

/* Pairs of names that are not declared; HN_GRAMMAR_BAD without an error: none. */
static hn_grammar_node extra_pair(object *o, const json_t *base, const char *path) {
    hn_gschema *c = o->c;
    const json_t *additional = json_object_get(base, "additionalProperties"),
                 *names = json_object_get(base, "propertyNames");
    char below[HN_GSCHEMA_PATH_MAX];
    if (json_object_get(base, HN_GSCHEMA_CLOSED)) return HN_GRAMMAR_BAD;
    if (json_object_size(json_object_get(base, "patternProperties"))) return pattern_extra(o, base, path);
    if (json_is_false(additional) || (!additional && o->n) || (names && o->n)) return HN_GRAMMAR_BAD;
    hn_grammar_node name;
    if (names) {
        json_t *text = json_pack("{s:s}", "type", "string"), *both = text ? hn_gschema_both(c, text, names) : NULL;
        hn_gschema_path(below, path, "propertyNames", NULL);
        name = both ? hn_gschema_lower(c, both, below) : hn_gschema_no_memory(c);
        json_decref(text);
        json_decref(both);
    } else {
        name = other_name(o);
    }
    hn_gschema_path(below, path, "additionalProperties", NULL);
    return pair_of(c, name,
                   additional ? hn_gschema_lower(c, additional, below) : hn_gschema_any(c, HN_GSCHEMA_ANY_DEPTH));
}

/* ---- the properties one after another ---- */

static hn_grammar_node comma(hn_gschema *c) {
    return hn_gschema_seq(c, 2, hn_gschema_lit(c, ","), hn_gschema_blank(c));
}

/* Behind all declared ones, when `count` properties stand. */
static hn_grammar_node extras(object *o, int64_t count) {
    hn_gschema *c = o->c;
    int64_t min = o->counting && o->min > count ? o->min - count : 0;
    int64_t max = o->counting && o->max >= 0 ? o->max - count : HN_GRAMMAR_NO_LIMIT;
    if (o->counting && o->max >= 0 && max < 0) return hn_grammar_nothing(c->b);
    if (o->extra == HN_GRAMMAR_BAD) return min ? hn_grammar_nothing(c->b) : hn_grammar_empty(c->b);
    return hn_grammar_repeat(c->b, hn_gschema_seq(c, 2, comma(c), o->extra), min, max);
}

/* The same where nothing stands yet. */
static hn_grammar_node first_extras(object *o) {
    hn_gschema *c = o->c;
    hn_grammar_node none = !o->counting || o->min <= 0 ? hn_grammar_empty(c->b) : hn_grammar_nothing(c->b);
    if (o->extra == HN_GRAMMAR_BAD || (o->counting && o->max == 0)) return none;
    return hn_gschema_either(c, 2, none, hn_gschema_seq(c, 2, o->extra, extras(o, 1)));
}

static hn_grammar_node rest_rule(object *o, size_t i, int64_t count);

/* The properties from i on, behind `count` others (without counting: 1 stands for any number). */
static hn_grammar_node rest_body(object *o, size_t i, int64_t count) {
    hn_gschema *c = o->c;
    if (hn_gschema_failed(c)) return HN_GRAMMAR_BAD;
    if (i == o->n) return extras(o, count);
    hn_grammar_node pair = hn_gschema_seq(c, 2, comma(c), o->at[i].pair);
    if (!o->counting) {
        hn_grammar_node step = o->at[i].required ? pair : hn_grammar_repeat(c->b, pair, 0, 1);
        return hn_gschema_seq(c, 2, step, rest_rule(o, i + 1, count));
    }
    hn_grammar_node with = hn_gschema_seq(c, 2, pair, rest_rule(o, i + 1, count + 1));
    return o->at[i].required ? with : hn_gschema_either(c, 2, with, rest_rule(o, i + 1, count));
}

/* A rule, so that what several ways lead to exists once. */
static hn_grammar_node rest_rule(object *o, size_t i, int64_t count) {
    hn_gschema *c = o->c;
    char name[64];
    if (i == o->n) return extras(o, count);
    snprintf(name, sizeof name, "object-%zu-%zu-%lld", o->id, i, (long long)count);
    hn_grammar_node rule = hn_grammar_rule(c->b, name);
    if (json_object_get(c->known, name) || hn_gschema_failed(c)) return rule;
    if (!hn_gschema_spend(c, "")) return HN_GRAMMAR_BAD;
    if (json_object_set_new(c->known, name, json_true()) != 0) return hn_gschema_no_memory(c);
    hn_grammar_node body = rest_body(o, i, count);
    if (!hn_gschema_failed(c)) hn_grammar_define(c->b, name, body);
    return rule;
}

/* Whatever may stand first: each optional one up to the first that is required. */
static hn_grammar_node members(object *o) {
    hn_gschema *c = o->c;
    hn_grammar_node *ways = hn_calloc(o->n + 1, sizeof *ways);
    if (!ways) return hn_gschema_no_memory(c);
    size_t n = 0, i = 0;
    for (; i < o->n && !hn_gschema_failed(c); i++) {
        ways[n++] = hn_gschema_seq(c, 2, o->at[i].pair, rest_rule(o, i + 1, 1));
        if (o->at[i].required) break;
    }
    if (i == o->n) ways[n++] = first_extras(o);
    hn_grammar_node all = hn_grammar_choice(c->b, ways, n);
    hn_free(ways);
    return all;
}

/* ---- from the schema ---- */

static bool is_required(const json_t *base, const char *name) {
    const json_t *names = json_object_get(base, "required");
    for (size_t i = 0; i < json_array_size(names); i++)
        if (strcmp(json_string_value(json_array_get(names, i)), name) == 0) return true;
    return false;
}

/* What propertyNames says of a declared name. */
static bool name_allowed(hn_gschema *c, const json_t *base, const char *name) {
    const json_t *names = json_object_get(base, "propertyNames");
    json_t *value = names ? json_string(name) : NULL;
    bool fine = !names || (value && hn_gschema_valid(c, names, value, true));
    if (names && !value) (void)hn_gschema_no_memory(c);
    json_decref(value);
    return fine;
}

/* The value's schema joined with those of the patterns that the name matches. */
static json_t *with_patterns(hn_gschema *c, const json_t *base, const char *name, const json_t *schema) {
    json_t *patterns = json_object_get(base, "patternProperties");
    json_t *all = schema ? json_incref((json_t *)schema) : NULL, *value = json_string(name);
    if (!value) (void)hn_gschema_no_memory(c);
    for (void *it = json_object_iter(patterns); it && value && !hn_gschema_failed(c);
         it = json_object_iter_next(patterns, it)) {
        json_t *matching = json_pack("{s:s}", "pattern", json_object_iter_key(it));
        if (!matching) (void)hn_gschema_no_memory(c);
        if (matching && hn_gschema_valid(c, matching, value, false)) {
            json_t *both = hn_gschema_both(c, all, json_object_iter_value(it));
            json_decref(all);
            all = both;
        }
        json_decref(matching);
    }
    json_decref(value);
    return all;
}

static bool add_property(object *o, const json_t *base, const char *name, const json_t *schema, const char *path) {
    hn_gschema *c = o->c;
    bool required = is_required(base, name), allowed = name_allowed(c, base, name);
    json_t *whole = allowed ? with_patterns(c, base, name, schema) : NULL;
    if (hn_gschema_failed(c)) {
        json_decref(whole);
        return false;
    }
    if (allowed && !whole) { /* required, not declared, no pattern: additionalProperties speaks of it */
        const json_t *additional = json_object_get(base, "additionalProperties");
        whole = additional ? json_incref((json_t *)additional) : json_true();
    }
    hn_grammar_node value = allowed ? hn_gschema_lower(c, whole, path) : hn_grammar_nothing(c->b);
    json_decref(whole);
    json_t *text = json_string(name);
    if (!text) return hn_gschema_no_memory(c) != HN_GRAMMAR_BAD;
    o->at[o->n++] = (property){name, pair_of(c, hn_gschema_literal(c, text), value), required};
    json_decref(text);
    return !hn_gschema_failed(c);
}

/* The names that propertyNames lists, where it lists them: new, empty where it does not; NULL on error. */
static json_t *listed_names(hn_gschema *c, const json_t *base, const char *path) {
    const json_t *names = json_object_get(base, "propertyNames");
    hn_gschema_flat flat = {0};
    json_t *list = NULL;
    if (!names || json_object_get(base, HN_GSCHEMA_CLOSED) ||
        json_is_false(json_object_get(base, "additionalProperties")))
        list = json_array();
    else if (hn_gschema_collect(c, names, path, &flat))
        list = json_object_get(flat.base, "enum") ? json_incref(json_object_get(flat.base, "enum")) : json_array();
    hn_gschema_flat_free(&flat);
    if (!list) (void)hn_gschema_no_memory(c);
    return list;
}

/* Listed names are as good as declared ones: optional properties, so that none comes twice. */
static bool add_listed(object *o, const json_t *base, const json_t *listed, const char *path) {
    char below[HN_GSCHEMA_PATH_MAX];
    hn_gschema_path(below, path, "additionalProperties", NULL);
    for (size_t i = 0; i < json_array_size(listed); i++) {
        const char *name = json_string_value(json_array_get(listed, i));
        bool there = !name || strlen(name) != json_string_length(json_array_get(listed, i));
        for (size_t k = 0; k < o->n && !there; k++) there = strcmp(o->at[k].name, name) == 0;
        if (!there && !add_property(o, base, name, NULL, below)) return false;
    }
    return true;
}

static bool add_properties(object *o, const json_t *base, const char *path) {
    json_t *declared = json_object_get(base, "properties");
    const json_t *names = json_object_get(base, "required");
    char below[HN_GSCHEMA_PATH_MAX];
    for (void *it = json_object_iter(declared); it; it = json_object_iter_next(declared, it)) {
        hn_gschema_path(below, path, "properties", json_object_iter_key(it));
        if (!add_property(o, base, json_object_iter_key(it), json_object_iter_value(it), below)) return false;
    }
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        bool there = json_object_get(declared, name) != NULL;
        for (size_t k = 0; k < o->n && !there; k++) there = strcmp(o->at[k].name, name) == 0;
        if (there) continue;
        if (json_object_get(base, HN_GSCHEMA_CLOSED))
            return hn_gschema_bad(o->c, HN_ERR_UNSUPPORTED, path, "required", "declare it in `properties`",
                                  "the required property \"%.80s\" meets patternProperties of several schemas",
                                  name) != HN_GRAMMAR_BAD;
        hn_gschema_path(below, path, "additionalProperties", NULL);
        if (!add_property(o, base, name, NULL, below)) return false;
    }
    return true;
}

/* Whether minProperties and maxProperties forbid anything that the rest allows. */
static bool counting_needed(const object *o) {
    size_t n_required = 0;
    for (size_t i = 0; i < o->n; i++) n_required += o->at[i].required;
    if (o->min > (int64_t)n_required) return true;
    return o->max >= 0 && (o->extra != HN_GRAMMAR_BAD || o->max < (int64_t)o->n);
}

hn_grammar_node hn_gschema_object(hn_gschema *c, const json_t *base, const char *path) {
    enum { COUNTED_MAX = 64, PROPERTIES_MAX = 1500 };
    object o = {.c = c, .id = c->n_objects++, .extra = HN_GRAMMAR_BAD};
    size_t most =
        json_object_size(json_object_get(base, "properties")) + json_array_size(json_object_get(base, "required"));
    if (most > PROPERTIES_MAX)
        return hn_gschema_bad(c, HN_ERR_LIMIT, path, "properties", "split the object", "more than %d properties",
                              PROPERTIES_MAX);
    json_t *listed = listed_names(c, base, path);
    if (!listed) return HN_GRAMMAR_BAD;
    o.at = hn_calloc(most + json_array_size(listed) + 1, sizeof *o.at);
    if (!o.at) {
        json_decref(listed);
        return hn_gschema_no_memory(c);
    }
    hn_grammar_node all = HN_GRAMMAR_BAD;
    o.min = hn_gschema_count(base, "minProperties", 0);
    o.max = hn_gschema_count(base, "maxProperties", -1);
    if (add_properties(&o, base, path) && add_listed(&o, base, listed, path)) {
        o.extra = extra_pair(&o, base, path);
        o.counting = counting_needed(&o);
        if (o.counting && o.n > COUNTED_MAX)
            (void)hn_gschema_bad(c, HN_ERR_UNSUPPORTED, path, o.min > 0 ? "minProperties" : "maxProperties",
                                 "use `required` instead",
                                 "a number of properties cannot be enforced among more than %d", COUNTED_MAX);
        hn_grammar_node inside = hn_gschema_failed(c) ? HN_GRAMMAR_BAD : members(&o);
        hn_grammar_node w = hn_gschema_blank(c);
        hn_grammar_node filled = hn_gschema_seq(c, 5, hn_gschema_lit(c, "{"), w, inside, w, hn_gschema_lit(c, "}"));
        all = filled;
    }
    hn_free(o.at);
    json_decref(listed);
    return all;
}

/* ---- arrays ---- */

/* The items from i on, where `first` says that none stands before. */
static hn_grammar_node items_from(hn_gschema *c, const hn_grammar_node *prefix, size_t n_prefix, hn_grammar_node item,
                                  int64_t min, int64_t max) {
    int64_t after = (int64_t)n_prefix;
    hn_grammar_node more = hn_gschema_seq(c, 2, comma(c), item), tail;
    int64_t least = min > after ? min - after : 0, most = max < 0 ? HN_GRAMMAR_NO_LIMIT : max - after;
    if (!n_prefix) { /* the first item has no comma */
        if (max == 0) return hn_grammar_empty(c->b);
        tail = hn_gschema_seq(
            c, 2, item, hn_grammar_repeat(c->b, more, min > 1 ? min - 1 : 0, max < 0 ? HN_GRAMMAR_NO_LIMIT : max - 1));
        return min > 0 ? tail : hn_grammar_repeat(c->b, tail, 0, 1);
    }
    tail = max >= 0 && most <= 0 ? hn_grammar_empty(c->b) : hn_grammar_repeat(c->b, more, least, most);
    for (size_t i = n_prefix; i-- > 0;) {
        if (max >= 0 && (int64_t)i >= max) {
            tail = hn_grammar_empty(c->b);
            continue;
        }
        hn_grammar_node here =
            i ? hn_gschema_seq(c, 3, comma(c), prefix[i], tail) : hn_gschema_seq(c, 2, prefix[i], tail);
        tail = (int64_t)i < min ? here : hn_gschema_either(c, 2, hn_grammar_empty(c->b), here);
    }
    return tail;
}

hn_grammar_node hn_gschema_array(hn_gschema *c, const json_t *base, const char *path) {
    const json_t *prefix = json_object_get(base, "prefixItems"), *items = json_object_get(base, "items");
    int64_t min = hn_gschema_count(base, "minItems", 0), max = hn_gschema_count(base, "maxItems", -1);
    size_t n = json_array_size(prefix);
    char below[HN_GSCHEMA_PATH_MAX], index[24];
    if (n > 1000) return hn_gschema_bad(c, HN_ERR_LIMIT, path, "prefixItems", "use items", "more than 1000 schemas");
    if (max >= 0 && min > max) return hn_grammar_nothing(c->b);
    hn_grammar_node *nodes = hn_calloc(n + 1, sizeof *nodes);
    if (!nodes) return hn_gschema_no_memory(c);
    for (size_t i = 0; i < n; i++) {
        snprintf(index, sizeof index, "%zu", i);
        hn_gschema_path(below, path, "prefixItems", index);
        nodes[i] = hn_gschema_lower(c, json_array_get(prefix, i), below);
    }
    hn_gschema_path(below, path, "items", NULL);
    /* As with objects: a tuple that says nothing of further items gets none, unless minItems asks for them. */
    bool closed = !items && n && min <= (int64_t)n;
    hn_grammar_node item = closed  ? hn_grammar_nothing(c->b)
                           : items ? hn_gschema_lower(c, items, below)
                                   : hn_gschema_any(c, HN_GSCHEMA_ANY_DEPTH);
    hn_grammar_node w = hn_gschema_blank(c), inside = HN_GRAMMAR_BAD;
    if (!hn_gschema_failed(c)) inside = items_from(c, nodes, n, item, min, max);
    hn_free(nodes);
    return hn_gschema_seq(c, 5, hn_gschema_lit(c, "["), w, inside, w, hn_gschema_lit(c, "]"));
}
