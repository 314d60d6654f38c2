/* `guard:` in hone.yaml; see guard_rules.h. */
#include "project/guard_rules.h"

#include "base/regex.h"
#include "text/language.h"

#include <math.h>
#include <string.h>

typedef struct reader {
    hn_arena *arena;
    hn_error *err;
} reader;

static hn_status take_text(const reader *r, const hn_yaml_node *node, char **out) {
    const char *text;
    HN_TRY(hn_yaml_get_string(node, &text, r->err));
    if (!*text) return hn_yaml_fail(node, HN_ERR_INPUT, "take it out, or write something", r->err, "the text is empty");
    *out = hn_arena_strdup(r->arena, text);
    return *out ? HN_OK : hn_fail_memory(r->err, strlen(text));
}

/* One text or a list of texts. */
static hn_status take_texts(const reader *r, const hn_yaml_node *map, const char *key, char ***out, size_t *n) {
    const hn_yaml_node *node = hn_yaml_find(map, key);
    if (!node) return HN_OK;
    bool list = node->kind == HN_YAML_LIST;
    *n = list ? node->n : 1;
    *out = hn_arena_calloc(r->arena, *n + 1, sizeof **out);
    if (!*out) return hn_fail_memory(r->err, *n * sizeof **out);
    const hn_yaml_node *item = list ? node->first : node;
    for (size_t i = 0; i < *n; i++, item = item->next) HN_TRY(take_text(r, item, &(*out)[i]));
    return HN_OK;
}

static hn_status check_patterns(const reader *r, const hn_yaml_node *map, const char *key, char *const *patterns,
                                size_t n) {
    const hn_yaml_node *node = hn_yaml_find(map, key);
    for (size_t i = 0; i < n; i++) {
        hn_regex *re = NULL;
        hn_error inner = {0};
        hn_status st = hn_regex_compile(patterns[i], strlen(patterns[i]), &re, &inner);
        hn_regex_free(re);
        if (st == HN_ERR_MEMORY) return hn_fail_memory(r->err, 64);
        if (st != HN_OK)
            return hn_yaml_fail(node, st, "put the pattern in single quotes: backslashes then stay as they are", r->err,
                                "%s", inner.message);
    }
    return HN_OK;
}

static hn_status check_languages(const reader *r, const hn_yaml_node *map, const hn_guard_side *s) {
    char hint[200];
    snprintf(hint, sizeof hint, "known are %s", hn_language_codes());
    for (size_t i = 0; i < s->n_languages; i++)
        if (!hn_language_is_known(s->languages[i]))
            return hn_yaml_fail(hn_yaml_find(map, "language"), HN_ERR_INPUT, hint, r->err,
                                "the language `%.40s` is not known", s->languages[i]);
    return HN_OK;
}

static hn_status take_limit(const reader *r, const hn_yaml_node *map, const char *key, int64_t *value) {
    const hn_yaml_node *node = hn_yaml_find(map, key);
    return node ? hn_yaml_get_int(node, 0, (int64_t)1 << 40, value, r->err) : HN_OK;
}

static hn_status take_side(const reader *r, const hn_yaml_node *map, bool output, bool has_context, hn_guard_side *s) {
    static const char *const keys[] = {"min_characters", "max_characters", "language",
                                       "must_match",     "must_not_match", "grounded"};
    const hn_yaml_node *grounded;
    if (!map) return HN_OK;
    HN_TRY(hn_yaml_check_keys(map, keys, output ? 6 : 5, r->err));
    HN_TRY(take_limit(r, map, keys[0], &s->min_characters));
    HN_TRY(take_limit(r, map, keys[1], &s->max_characters));
    if (s->max_characters >= 0 && s->min_characters > s->max_characters)
        return hn_yaml_fail(map, HN_ERR_INPUT, "exchange them", r->err, "`max_characters` is below `min_characters`");
    HN_TRY(take_texts(r, map, keys[2], &s->languages, &s->n_languages));
    HN_TRY(check_languages(r, map, s));
    HN_TRY(take_texts(r, map, keys[3], &s->must_match, &s->n_must_match));
    HN_TRY(check_patterns(r, map, keys[3], s->must_match, s->n_must_match));
    HN_TRY(take_texts(r, map, keys[4], &s->must_not_match, &s->n_must_not_match));
    HN_TRY(check_patterns(r, map, keys[4], s->must_not_match, s->n_must_not_match));
    if (!(grounded = hn_yaml_find(map, "grounded"))) return HN_OK;
    if (!has_context)
        return hn_yaml_fail(grounded, HN_ERR_INPUT, "data: {..., context: COLUMN}", r->err,
                            "`grounded` needs the column that answers must rest on");
    return hn_yaml_get_real(grounded, 0, 1, &s->grounded, r->err);
}

hn_status hn_guard_rules_parse(const hn_yaml_node *node, bool has_context, hn_arena *arena, hn_guard_rules *rules,
                               hn_error *err) {
    static const char *const keys[] = {"input", "output", "fallback"};
    const hn_guard_side none = {.min_characters = -1, .max_characters = -1, .grounded = (double)NAN};
    const reader r = {arena, err};
    *rules = (hn_guard_rules){.input = none, .output = none};
    if (!node) return HN_OK;
    HN_TRY(hn_yaml_check_keys(node, keys, 3, err));
    rules->given = true;
    HN_TRY(take_side(&r, hn_yaml_find(node, "input"), false, has_context, &rules->input));
    HN_TRY(take_side(&r, hn_yaml_find(node, "output"), true, has_context, &rules->output));
    const hn_yaml_node *fallback = hn_yaml_find(node, "fallback");
    if (fallback) HN_TRY(take_text(&r, fallback, &rules->fallback));
    if (rules->fallback && strcmp(rules->fallback, "abstain") == 0) rules->fallback = NULL;
    return HN_OK;
}

/* ---- JSON ---- */

static bool set_texts(json_t *object, const char *key, char *const *texts, size_t n) {
    if (n == 0) return true;
    json_t *list = json_array();
    bool fine = list != NULL;
    for (size_t i = 0; fine && i < n; i++) fine = json_array_append_new(list, json_string(texts[i])) == 0;
    return fine ? json_object_set_new(object, key, list) == 0 : (json_decref(list), false);
}

static json_t *side_json(const hn_guard_side *s) {
    json_t *made = json_object();
    bool fine = made != NULL;
    if (fine && s->min_characters >= 0)
        fine = json_object_set_new(made, "min_characters", json_integer(s->min_characters)) == 0;
    if (fine && s->max_characters >= 0)
        fine = json_object_set_new(made, "max_characters", json_integer(s->max_characters)) == 0;
    fine = fine && set_texts(made, "language", s->languages, s->n_languages) &&
           set_texts(made, "must_match", s->must_match, s->n_must_match) &&
           set_texts(made, "must_not_match", s->must_not_match, s->n_must_not_match);
    if (fine && !isnan(s->grounded)) fine = json_object_set_new(made, "grounded", json_real(s->grounded)) == 0;
    if (fine) return made;
    json_decref(made);
    return NULL;
}

json_t *hn_guard_rules_json(const hn_guard_rules *rules) {
    return json_pack("{s:o, s:o, s:s}", "input", side_json(&rules->input), "output", side_json(&rules->output),
                     "fallback", rules->fallback ? rules->fallback : "abstain");
}
