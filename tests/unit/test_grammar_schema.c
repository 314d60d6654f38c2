/* engine/grammar_schema: what the grammar of a schema writes, the validator accepts. Schemas of the kinds that structured output uses
 * (tests/fixtures/structured_schemas.jsonl: with values that must be accepted and refused, or the keyword that must be named), and all
 * of the JSON Schema suite as further ones. Random walks choose among the allowed tokens with a seed. */
#include "support.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "engine/grammar_match_parts.h"
#include "format/json_names.h"
#include "format/json_schema.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

enum { WALKS = 40, STEPS_MAX = 6000, TOKENS = 256 + 24 };

static hn_grammar_vocab *vocab;
static hn_str pieces[TOKENS];
static size_t n_walks, n_cut, n_repeats;

static int set_up(void **state) {
    (void)state;
    static char bytes[256];
    static const char *const more[] = {"\":",     "\": ",  "\",",  "\", \"", "{\"", "\"}",  "[\"", "\"]",
                                       "true",    "false", "null", ", ",     ",\n", "\n  ", "  ",  "\\u",
                                       "\\ud83d", "\\n",   "the",  "12",     "0.",  "]}",   "}}",  "a"};
    for (int i = 0; i < 256; i++) {
        bytes[i] = (char)i;
        pieces[i] = (hn_str){&bytes[i], 1};
    }
    for (int i = 0; i < 24; i++) pieces[256 + i] = hn_str_of(more[i]);
    hn_error err = {0};
    return hn_grammar_vocab_from_pieces(pieces, TOKENS, &vocab, &err) == HN_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    hn_grammar_vocab_free(vocab);
    return 0;
}

static const char *shown(const json_t *value, char out[400]) {
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_json_write(value, NULL, &text);
    snprintf(out, 400, "%s", hn_buf_str(&text));
    hn_buf_free(&text);
    return out;
}

static bool allowed(const uint64_t *mask, int token) { return mask[token / 64] >> (token % 64) & 1; }

/* A random token of the mask; late ones prefer what ends strings, arrays and objects. -1: none. */
static int choose(const uint64_t *mask, hn_rng *rng, size_t step) {
    static const char closing[] = "\"}]";
    int all[TOKENS], n = 0;
    if (step > 120 || hn_rng_below(rng, 6) == 0)
        for (const char *c = closing; *c; c++)
            if (allowed(mask, *c)) return *c;
    bool ascii = hn_rng_below(rng, 3) > 0; /* else half the text would be rare characters */
    for (int i = 0; i < TOKENS; i++)
        if (allowed(mask, i) && (!ascii || i < 128 || i >= 256)) all[n++] = i;
    for (int i = 0; i < TOKENS && !n; i++)
        if (allowed(mask, i)) all[n++] = i;
    return n ? all[hn_rng_below(rng, (uint64_t)n)] : -1;
}

/* One text of the grammar in `text`; false: it was getting too long. */
static bool walk(const hn_grammar *grammar, hn_rng *rng, hn_buf *text, const char *what) {
    hn_grammar_match *match;
    hn_error err = {0};
    bool ended = false, repeated;
    hn_json_names *names = hn_json_names_create();
    hn_buf_clear(text);
    hn_test_ok(hn_grammar_match_create(grammar, vocab, &match, &err), &err);
    for (size_t step = 0; step < STEPS_MAX; step++) {
        const uint64_t *mask;
        bool can_end = hn_grammar_match_can_end(match);
        ended = can_end && (hn_grammar_match_must_end(match) || step > 120 || hn_rng_below(rng, 3) == 0);
        if (ended) break;
        hn_test_ok(hn_grammar_match_mask(match, &mask, &err), &err);
        int token = choose(mask, rng, step);
        if (token < 0 && can_end) ended = true;
        if (ended) break;
        if (token < 0) fail_msg("%s: nothing may follow %s", what, hn_buf_str(text));
        hn_test_ok(hn_json_names_accept(names, pieces[token].data, pieces[token].len, &repeated, &err), &err);
        n_repeats += repeated;
        if (repeated) continue; /* names that no schema declares: another token */
        hn_test_ok(hn_grammar_match_accept(match, token, &err), &err);
        hn_buf_append(text, pieces[token].data, pieces[token].len);
    }
    hn_grammar_match_free(match);
    hn_json_names_free(names);
    return ended;
}

static void walks_validate(const json_t *schema, const hn_grammar *grammar, const hn_json_schema *validator,
                           uint64_t seed, size_t n) {
    hn_rng rng;
    hn_buf text;
    char what[400];
    hn_rng_seed(&rng, seed, 0);
    hn_buf_init(&text, 0);
    shown(schema, what);
    for (size_t i = 0; i < n; i++) {
        json_t *value;
        hn_json_schema_result result;
        hn_error err = {0};
        n_walks++;
        if (!walk(grammar, &rng, &text, what)) {
            n_cut++;
            continue;
        }
        hn_status st = hn_json_parse(hn_buf_str(&text), text.len, "walk", HN_JSON_ANY | HN_JSON_NUL, &value, &err);
        if (st != HN_OK) fail_msg("%s: %s: %s", what, hn_buf_str(&text), err.message);
        hn_test_ok(hn_json_schema_validate(validator, value, &result, &err), &err);
        if (!result.valid)
            fail_msg("%s wrote %s: %s %s", what, hn_buf_str(&text), result.errors[0].instance_path,
                     result.errors[0].message);
        json_decref(value);
    }
    hn_buf_free(&text);
}

static bool accepts(const hn_grammar *grammar, const json_t *value, const hn_json_style *style) {
    hn_grammar_match *match;
    hn_buf text;
    size_t accepted;
    hn_error err = {0};
    hn_buf_init(&text, 0);
    hn_json_write(value, style, &text);
    hn_test_ok(hn_grammar_match_create(grammar, vocab, &match, &err), &err);
    hn_test_ok(hn_grammar_match_bytes(match, hn_buf_str(&text), text.len, &accepted, &err), &err);
    bool fine = accepted == text.len && hn_grammar_match_can_end(match);
    hn_grammar_match_free(match);
    hn_buf_free(&text);
    return fine;
}

static void check_values(const json_t *row, const hn_grammar *grammar, const hn_json_schema *validator) {
    static const hn_json_style styles[] = {{0}, {.spaced = true}, {.indent = 2}, {.indent = 4}};
    json_t *value, *schema = json_object_get(row, "schema");
    char a[400], b[400];
    hn_json_schema_result result;
    hn_error err = {0};
    size_t i;
    json_array_foreach(json_object_get(row, "valid"), i, value) {
        hn_test_ok(hn_json_schema_validate(validator, value, &result, &err), &err);
        if (!result.valid)
            fail_msg("%s: the validator refuses %s: %s", shown(schema, a), shown(value, b), result.errors[0].message);
        for (size_t k = 0; k < sizeof styles / sizeof *styles; k++)
            if (!accepts(grammar, value, &styles[k]))
                fail_msg("%s does not write %s (style %zu)", shown(schema, a), shown(value, b), k);
    }
    json_array_foreach(json_object_get(row, "invalid"), i, value) {
        if (accepts(grammar, value, NULL)) fail_msg("%s writes %s", shown(schema, a), shown(value, b));
    }
}

/* Escapes may stand for any character, in pairs where they must. */
static void text_may_be_escaped(void **state) {
    (void)state;
    static const hn_json_style ascii = {.ascii = true};
    json_t *schema = json_pack("{s:s, s:i, s:i}", "type", "string", "minLength", 3, "maxLength", 3);
    json_t *value = json_string("\xC3\xA9\xF0\x9F\x98\x80\x01");
    hn_grammar *grammar;
    hn_error err = {0};
    hn_test_ok(hn_grammar_from_schema(schema, &grammar, &err), &err);
    assert_true(accepts(grammar, value, NULL));
    assert_true(accepts(grammar, value, &ascii));
    static const char *const bad[] = {"\"ab\\ud83d\"", "\"ab\\ude00\"", "\"ab\\ud83d\\u0041\"",
                                      "\"ab\\x41\"",   "\"ab\\u0000\"", "\"ab\n\""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hn_grammar_match *match;
        size_t accepted;
        hn_test_ok(hn_grammar_match_create(grammar, vocab, &match, &err), &err);
        hn_test_ok(hn_grammar_match_bytes(match, bad[i], strlen(bad[i]), &accepted, &err), &err);
        assert_true(accepted < strlen(bad[i]));
        hn_grammar_match_free(match);
    }
    hn_grammar_free(grammar);
    json_decref(schema);
    json_decref(value);
}

/* Blanks between elements come to an end. */
static void blanks_are_limited(void **state) {
    (void)state;
    hn_grammar *grammar;
    hn_grammar_match *match;
    hn_error err = {0};
    size_t accepted;
    char text[200] = "[\n";
    json_t *schema = json_pack("{s:s}", "type", "array");
    memset(text + 2, ' ', 100);
    hn_test_ok(hn_grammar_from_schema(schema, &grammar, &err), &err);
    hn_test_ok(hn_grammar_match_create(grammar, vocab, &match, &err), &err);
    hn_test_ok(hn_grammar_match_bytes(match, text, 102, &accepted, &err), &err);
    assert_in_range(accepted, 10, 60);
    hn_grammar_match_free(match);
    hn_grammar_free(grammar);
    json_decref(schema);
}

static void contradictions_are_errors(void **state) {
    (void)state;
    static const char *const schemas[] = {
        "false",
        "{\"type\":\"integer\",\"minimum\":3,\"maximum\":2}",
        "{\"enum\":[]}",
        "{\"allOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}",
        "{\"$ref\":\"#\"}",
        "{\"required\":[\"a\"],\"properties\":{\"a\":{\"$ref\":\"#\"}},\"type\":\"object\"}"};
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++) {
        json_t *schema;
        hn_grammar *grammar = (hn_grammar *)1;
        hn_error err = {0};
        hn_test_ok(hn_json_parse(schemas[i], strlen(schemas[i]), "t", HN_JSON_ANY, &schema, &err), &err);
        assert_int_not_equal(hn_grammar_from_schema(schema, &grammar, &err), HN_OK);
        assert_null(grammar);
        assert_true(err.message[0] != 0);
        json_decref(schema);
    }
}

static void running_out_of_memory_is_a_status(void **state) {
    (void)state;
    static const char text[] =
        "{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/$defs/"
        "n\"},\"b\":{\"oneOf\":[{\"const\":1},{\"type\":\"string\",\"pattern\":\"^a+$\","
        "\"maxLength\":3}]},\"c\":{\"type\":\"integer\",\"multipleOf\":3}},\"allOf\":[{\"required\":[\"a\"],"
        "\"properties\":{\"a\":{\"maximum\":5}}}],"
        "\"additionalProperties\":{\"enum\":[1,\"x\"]},\"$defs\":{\"n\":{\"type\":\"number\",\"minimum\":-1.5}}}";
    json_t *schema;
    hn_error err = {0};
    hn_test_ok(hn_json_parse(text, sizeof text - 1, "t", 0, &schema, &err), &err);
    for (size_t n = 1, step = 1;; n += step) {
        hn_grammar *grammar = NULL;
        hn_alloc_fail_at(n, true);
        hn_status st = hn_grammar_from_schema(schema, &grammar, &err);
        hn_alloc_fail_at(0, false);
        hn_grammar_free(grammar);
        if (st == HN_OK) break;
        assert_int_equal(st, HN_ERR_MEMORY);
        assert_true(n < 200000);
        if (n > 3000) step = 7; /* each round costs as many allocations: later ones by sample */
    }
    json_decref(schema);
}

static void schemas_of_structured_output(void **state) {
    (void)state;
    size_t n, n_schemas = 0, n_refused = 0;
    char *text = hn_test_read("tests/fixtures/structured_schemas.jsonl", &n), what[400];
    hn_jsonl lines = {.text = text, .n = n, .name = "structured_schemas.jsonl", .flags = 0};
    hn_json_schema_options options = {.assert_formats = true};
    hn_error err = {0};
    for (json_t *row;;) {
        hn_test_ok(hn_jsonl_next(&lines, &row, &err), &err);
        if (!row) break;
        const json_t *schema = json_object_get(row, "schema"), *refused = json_object_get(row, "refused");
        hn_grammar *grammar;
        hn_json_schema *validator;
        hn_status st = hn_grammar_from_schema(schema, &grammar, &err);
        if (refused) {
            if (st != HN_ERR_UNSUPPORTED || !strstr(err.where, json_string_value(refused)) || !err.hint[0])
                fail_msg("%s: %d at %s: %s", shown(schema, what), st, err.where, err.message);
            n_refused++;
        } else {
            if (st != HN_OK) fail_msg("%s: %s: %s", shown(schema, what), err.where, err.message);
            hn_test_ok(hn_json_schema_create(schema, &options, &validator, &err), &err);
            check_values(row, grammar, validator);
            walks_validate(schema, grammar, validator, lines.line, WALKS);
            hn_json_schema_free(validator);
            hn_grammar_free(grammar);
            n_schemas++;
        }
        json_decref(row);
    }
    hn_free(text);
    assert_true(n_schemas >= 80);
    assert_true(n_refused >= 15);
    assert_true(n_walks > 3000 && n_cut * 20 < n_walks && n_repeats > 0);
}

/* A schema of the suite: refused with a keyword, or its walks validate. */
static void try_schema(const json_t *schema, size_t *n_made, size_t *n_refused) {
    hn_grammar *grammar;
    hn_json_schema *validator;
    hn_error err = {0};
    hn_status st = hn_grammar_from_schema(schema, &grammar, &err);
    char what[400];
    if (st != HN_OK) {
        bool said = st == HN_ERR_UNSUPPORTED || st == HN_ERR_NOT_FOUND || st == HN_ERR_INPUT || st == HN_ERR_LIMIT;
        if (!said || !err.message[0] || !err.where[0])
            fail_msg("%s: %d at %s: %s", shown(schema, what), st, err.where, err.message);
        ++*n_refused;
        return;
    }
    hn_test_ok(hn_json_schema_create(schema, NULL, &validator, &err), &err);
    walks_validate(schema, grammar, validator, 7, 8);
    hn_json_schema_free(validator);
    hn_grammar_free(grammar);
    ++*n_made;
}

static void schemas_of_the_suite(void **state) {
    (void)state;
    char folder[HN_PATH_MAX], path[HN_PATH_MAX];
    size_t n_made = 0, n_refused = 0, i;
    hn_error err = {0};
    if (!hn_test_shared("suites/json-schema/tests/draft2020-12", folder)) skip();
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        json_t *groups, *group;
        if (!strstr(e->d_name, ".json")) continue;
        hn_test_ok(hn_path_join(path, folder, e->d_name, &err), &err);
        hn_test_ok(hn_json_read(path, 1 << 24, HN_JSON_ANY | HN_JSON_NUL, &groups, &err), &err);
        json_array_foreach(groups, i, group) try_schema(json_object_get(group, "schema"), &n_made, &n_refused);
        json_decref(groups);
    }
    closedir(dir);
    print_message("suite: %zu schemas made into grammars, %zu refused\n", n_made, n_refused);
    assert_true(n_made > 120 && n_refused > 50);
}

int main(void) {
    hn_json_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schemas_of_structured_output),
        cmocka_unit_test(text_may_be_escaped),
        cmocka_unit_test(blanks_are_limited),
        cmocka_unit_test(contradictions_are_errors),
        cmocka_unit_test(running_out_of_memory_is_a_status),
        cmocka_unit_test(schemas_of_the_suite),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
