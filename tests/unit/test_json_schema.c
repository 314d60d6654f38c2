/* format/json_schema: messages for people, mistakes in schemas, exact numbers, patterns, limits, out of memory. The suite itself is
 * test_json_schema_suite.c. */
#include "support.h"

#include "base/alloc.h"
#include "format/json_schema.h"
#include "format/json_schema_value.h"

#include <stdio.h>
#include <string.h>

static json_t *parse(const char *text) {
    json_t *json;
    hn_error err = {0};
    hn_test_ok(hn_json_parse(text, strlen(text), "t", HN_JSON_ANY, &json, &err), &err);
    return json;
}

static hn_json_schema *compile(const char *text, const hn_json_schema_options *options) {
    json_t *json = parse(text);
    hn_json_schema *schema;
    hn_error err = {0};
    hn_test_ok(hn_json_schema_create(json, options, &schema, &err), &err);
    json_decref(json);
    return schema;
}

static bool accepts_with(const char *schema_text, const hn_json_schema_options *options, const char *text,
                         hn_json_schema_result *result) {
    hn_json_schema *schema = compile(schema_text, options);
    json_t *value = parse(text);
    hn_error err = {0};
    hn_test_ok(hn_json_schema_validate(schema, value, result, &err), &err);
    json_decref(value);
    hn_json_schema_free(schema);
    return result->valid;
}

static bool accepts(const char *schema_text, const char *text) {
    hn_json_schema_result result;
    return accepts_with(schema_text, NULL, text, &result);
}

/* The first error as it is shown. */
static void expect(const char *schema_text, const char *text, const char *sentence, const char *schema_path) {
    hn_json_schema_result result;
    hn_buf shown;
    assert_false(accepts_with(schema_text, NULL, text, &result));
    assert_true(result.n_errors >= 1);
    hn_buf_init(&shown, 0);
    hn_json_schema_error_text(&result.errors[0], &shown);
    assert_string_equal(hn_buf_str(&shown), sentence);
    assert_string_equal(result.errors[0].schema_path, schema_path);
    hn_buf_free(&shown);
}

static void errors_are_sentences_with_places(void **state) {
    (void)state;
    expect("{\"properties\":{\"items\":{\"items\":{\"properties\":{\"price\":{\"minimum\":0}}}}}}",
           "{\"items\":[{},{},{},{\"price\":-2}]}", "/items/3/price: -2 is below the minimum 0",
           "/properties/items/items/properties/price/minimum");
    expect("{\"type\":[\"string\",\"null\"]}", "7", "the value: 7 is not null or a string", "/type");
    expect("{\"enum\":[\"a\",1]}", "\"b\"", "the value: \"b\" is none of \"a\", 1", "/enum");
    expect("{\"required\":[\"x\",\"y\"]}", "{\"x\":1}", "the value: the property \"y\" is missing", "/required");
    expect("{\"additionalProperties\":false}", "{\"a/b\":1}", "/a~1b: the property is not allowed",
           "/additionalProperties");
    expect("{\"items\":{\"$ref\":\"#/$defs/p\"},\"$defs\":{\"p\":{\"exclusiveMaximum\":1}}}", "[0,1]",
           "/1: 1 must be below 1", "/$defs/p/exclusiveMaximum");
    expect("{\"maxLength\":2}", "\"abc\"", "the value: 3 characters: at most 2 are allowed", "/maxLength");
    expect("{\"pattern\":\"^a\"}", "\"b\"", "the value: \"b\" does not match the pattern ^a", "/pattern");
    expect("{\"uniqueItems\":true}", "[1,[2],1.0]", "the value: the items 0 and 2 are equal", "/uniqueItems");
    expect("{\"anyOf\":[{\"type\":\"string\"},{\"properties\":{\"a\":{\"const\":1}}}]}", "{\"a\":2}",
           "the value: it fits none of the 2 forms of anyOf; the nearest fails at /a: 2 is not 1", "/anyOf");
    expect("{\"oneOf\":[true,{}]}", "1", "the value: it fits 2 of the 2 forms of oneOf; it must fit exactly one",
           "/oneOf");
    expect("{\"not\":{}}", "[1]", "the value: an array with 1 item is what `not` excludes", "/not");
    expect("false", "null", "the value: nothing is allowed here", "");
}

static void several_errors_are_kept_and_check_joins_them(void **state) {
    (void)state;
    hn_json_schema *schema = compile("{\"items\":{\"minimum\":0},\"maxItems\":3}", NULL);
    json_t *value = parse("[-1,-2,-3,-4,-5,-6,-7,-8,-9,-10,-11,-12]");
    hn_json_schema_result result;
    hn_error err = {0};
    hn_test_ok(hn_json_schema_validate(schema, value, &result, &err), &err);
    assert_int_equal(result.n_errors, HN_JSON_SCHEMA_ERRORS_MAX);
    assert_string_equal(result.errors[7].instance_path, "/6");
    assert_int_equal(hn_json_schema_check(schema, value, "answer", &err), HN_ERR_INPUT);
    assert_string_equal(err.where, "answer");
    assert_string_equal(err.message,
                        "the value: 12 items: at most 3 are allowed; /0: -1 is below the minimum 0; /1: -2 is "
                        "below the minimum 0; and more");
    json_decref(value);
    hn_json_schema_free(schema);
}

static void refuses(const char *text, hn_status code, const char *where, const char *message) {
    json_t *json = parse(text);
    hn_json_schema *schema = (hn_json_schema *)1;
    hn_error err = {0};
    hn_status st = hn_json_schema_create(json, NULL, &schema, &err);
    if (st != code || strcmp(err.where, where) != 0 || !strstr(err.message, message))
        fail_msg("%s: %d at \"%s\": %s", text, st, err.where, err.message);
    assert_null(schema);
    json_decref(json);
}

static void mistakes_in_schemas_are_errors(void **state) {
    (void)state;
    refuses("3", HN_ERR_INPUT, "", "a schema is expected");
    refuses("{\"properties\":{\"a\":{\"minimum\":\"0\"}}}", HN_ERR_INPUT, "/properties/a/minimum",
            "must be a number, it is a string");
    refuses("{\"type\":\"strng\"}", HN_ERR_INPUT, "/type", "\"strng\" is no type");
    refuses("{\"required\":true}", HN_ERR_INPUT, "/required", "must be an array of names");
    refuses("{\"minLength\":-1}", HN_ERR_INPUT, "/minLength", "an integer from 0");
    refuses("{\"multipleOf\":0}", HN_ERR_INPUT, "/multipleOf", "above 0");
    refuses("{\"anyOf\":[]}", HN_ERR_INPUT, "/anyOf", "is empty");
    refuses("{\"items\":[{}]}", HN_ERR_UNSUPPORTED, "/items", "older draft");
    refuses("{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"dependencies\":{}}", HN_ERR_UNSUPPORTED,
            "/dependencies", "older draft");
    refuses("{\"$ref\":\"#/$defs/nowhere\"}", HN_ERR_NOT_FOUND, "/$ref", "leads to no place");
    refuses("{\"$ref\":\"#name\"}", HN_ERR_NOT_FOUND, "/$ref", "leads to no place");
    refuses("{\"$ref\":\"https://example.com/x.json\"}", HN_ERR_NOT_FOUND, "/$ref", "nothing is fetched");
    refuses("{\"$schema\":\"https://example.com/meta\"}", HN_ERR_NOT_FOUND, "/$schema", "nothing is fetched");
    refuses("{\"$id\":\"http://x/\",\"$defs\":{\"a\":{\"$id\":\"b\"},\"c\":{\"$id\":\"b\"}}}", HN_ERR_INPUT,
            "/$defs/c/$id", "there twice");
    refuses("{\"pattern\":\"(\"}", HN_ERR_INPUT, "/pattern", "cannot be used");
    refuses("{\"pattern\":\"\\\\Aa\"}", HN_ERR_INPUT, "/pattern", "no meaning");
    refuses("{\"pattern\":\"a++\"}", HN_ERR_INPUT, "/pattern", "possessive");
    refuses("{\"pattern\":\"(?>a)\"}", HN_ERR_INPUT, "/pattern", "kind of group");
    refuses("{\"pattern\":\"(*ACCEPT)\"}", HN_ERR_INPUT, "/pattern", "kind of group");
    assert_true(accepts("{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"type\":\"integer\"}", "3"));
}

static void numbers_are_exact(void **state) {
    (void)state;
    assert_true(accepts("{\"type\":\"integer\"}", "1.0"));
    assert_true(accepts("{\"type\":\"integer\"}", "1e300"));
    assert_false(accepts("{\"type\":\"integer\"}", "1.5"));
    assert_true(accepts("{\"const\":1}", "1.0"));
    assert_false(accepts("{\"maximum\":9007199254740992}", "9007199254740993"));
    assert_false(accepts("{\"maximum\":9007199254740992.0}", "9007199254740993"));
    assert_true(accepts("{\"exclusiveMaximum\":9223372036854775808.0}", "9223372036854775807"));
    assert_true(accepts("{\"minimum\":-9223372036854775808.0}", "-9223372036854775808"));
    assert_true(accepts("{\"multipleOf\":0.0001}", "0.0075"));
    assert_false(accepts("{\"multipleOf\":0.0001}", "0.00751"));
    assert_true(accepts("{\"multipleOf\":0.01}", "4.35"));
    assert_true(accepts("{\"multipleOf\":0.1}", "1e300"));
    assert_true(accepts("{\"multipleOf\":7}", "-9223372036854775807")); /* 2^63 - 1 is a multiple of 7 */
    assert_false(accepts("{\"multipleOf\":7}", "-9223372036854775808"));
    assert_false(accepts("{\"multipleOf\":1e300}", "1"));
    assert_true(accepts("{\"multipleOf\":1e300}", "0"));
    assert_true(accepts("{\"enum\":[{\"a\":[1,2]}]}", "{\"a\":[1.0,2.0]}"));
    json_t *a = parse("{\"x\":1,\"y\":[2,{\"z\":-0.0}]}"), *b = parse("{\"y\":[2.0,{\"z\":0}],\"x\":1.0}");
    assert_true(hn_json_values_equal(a, b));
    assert_true(hn_json_value_hash(a) == hn_json_value_hash(b));
    json_decref(a);
    json_decref(b);
}

static void patterns_are_those_of_ecma(void **state) {
    (void)state;
    assert_true(accepts("{\"pattern\":\"b\"}", "\"abc\""));
    assert_false(accepts("{\"pattern\":\"^abc$\"}", "\"abc\\n\""));
    assert_false(accepts("{\"pattern\":\"^\\\\d$\"}", "\"\\u0663\""));
    assert_true(accepts("{\"pattern\":\"^\\\\s$\"}", "\"\\u00a0\""));
    assert_false(accepts("{\"pattern\":\"^[\\\\S]$\"}", "\"\\ufeff\""));
    assert_false(accepts("{\"pattern\":\"^.$\"}", "\"\\u2028\""));
    assert_true(accepts("{\"pattern\":\"^\\\\u{1f600}$\"}", "\"\\ud83d\\ude00\""));
    assert_true(accepts("{\"pattern\":\"^\\\\p{Letter}+\\\\p{Script=Greek}$\"}", "\"ab\\u03b1\""));
    assert_true(accepts("{\"pattern\":\"^[[:alpha:]+]$\"}", "\"a]\""));
    assert_true(accepts("{\"pattern\":\"^(?<year>\\\\d{4})-\\\\k<year>$\"}", "\"1999-1999\""));
    assert_true(accepts("{\"minLength\":2,\"maxLength\":2}", "\"\\ud83d\\ude00e\""));
}

static void formats_are_asserted_only_when_asked(void **state) {
    (void)state;
    static const hn_json_schema_options asserted = {.assert_formats = true};
    hn_json_schema_result result;
    assert_true(accepts("{\"format\":\"date\"}", "\"2023-02-29\""));
    assert_false(accepts_with("{\"format\":\"date\"}", &asserted, "\"2023-02-29\"", &result));
    assert_string_equal(result.errors[0].message, "\"2023-02-29\" is no date");
    assert_true(accepts_with("{\"format\":\"date\"}", &asserted, "\"2024-02-29\"", &result));
    assert_true(accepts_with("{\"format\":\"date\"}", &asserted, "7", &result));
    assert_true(accepts_with("{\"format\":\"no-such-format\"}", &asserted, "\"\"", &result));
    assert_int_equal(hn_json_schema_format("ipv6", "::ffff:1.2.3.4", 14), 1);
    assert_int_equal(hn_json_schema_format("email", "a@b\0c", 5), 0);
    assert_int_equal(hn_json_schema_format("email", "", 0), 0);
}

static void registered_documents_are_found(void **state) {
    (void)state;
    hn_json_schema_registry *registry = hn_json_schema_registry_create();
    hn_json_schema_options options = {.registry = registry, .base_uri = "https://example.com/dir/main.json"};
    hn_json_schema_result result;
    hn_error err = {0};
    json_t *other = parse("{\"$defs\":{\"n\":{\"$anchor\":\"num\",\"type\":\"number\"}}}");
    hn_test_ok(hn_json_schema_registry_add(registry, "https://example.com/dir/other.json#", other, &err), &err);
    assert_int_equal(hn_json_schema_registry_add(registry, "https://example.com/dir/other.json", other, &err),
                     HN_ERR_EXISTS);
    json_decref(other);
    assert_true(accepts_with("{\"$ref\":\"other.json#num\"}", &options, "1", &result));
    assert_false(accepts_with("{\"$ref\":\"./x/../other.json#/$defs/n\"}", &options, "\"1\"", &result));
    assert_string_equal(result.errors[0].schema_path, "https://example.com/dir/other.json#/$defs/n/type");
    assert_true(accepts("{\"$ref\":\"https://json-schema.org/draft/2020-12/schema\"}", "{\"type\":\"string\"}"));
    assert_false(accepts("{\"$ref\":\"https://json-schema.org/draft/2020-12/schema\"}",
                         "{\"properties\":{\"a\":{\"type\":3}}}"));
    hn_json_schema_registry_free(registry);
}

static hn_status status_of(const char *schema_text, const json_t *value, hn_error *err) {
    hn_json_schema *schema = compile(schema_text, NULL);
    hn_json_schema_result result;
    hn_status st = hn_json_schema_validate(schema, value, &result, err);
    hn_json_schema_free(schema);
    return st;
}

static void hostile_input_ends(void **state) {
    (void)state;
    hn_error err = {0};
    json_t *one = parse("1");
    assert_int_equal(status_of("{\"$ref\":\"#\"}", one, &err), HN_ERR_LIMIT);
    assert_true(err.hint[0] != 0);
    assert_int_equal(status_of("{\"allOf\":[{\"$ref\":\"#\"},{\"$ref\":\"#\"}]}", one, &err), HN_ERR_LIMIT);
    /* 2^26 paths through 26 definitions */
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_buf_append_str(&text, "{\"$ref\":\"#/$defs/a0\",\"$defs\":{");
    for (int i = 0; i < 26; i++)
        hn_buf_appendf(&text, "\"a%d\":{\"allOf\":[{\"$ref\":\"#/$defs/a%d\"},{\"$ref\":\"#/$defs/a%d\"}]},", i, i + 1,
                       i + 1);
    hn_buf_append_str(&text, "\"a26\":{}}}");
    assert_int_equal(status_of(text.data, one, &err), HN_ERR_LIMIT);
    json_decref(one);
    /* a pattern that backtracks without end */
    json_t *as = parse("\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"");
    assert_int_equal(status_of("{\"pattern\":\"^(a+)+$\"}", as, &err), HN_ERR_LIMIT);
    json_decref(as);
    /* as deep as JSON is read, with a recursive schema */
    hn_buf_clear(&text);
    hn_buf_append_repeat(&text, '[', HN_JSON_DEPTH_MAX);
    hn_buf_append_repeat(&text, ']', HN_JSON_DEPTH_MAX);
    json_t *deep = parse(text.data);
    assert_int_equal(
        status_of("{\"$ref\":\"#/$defs/l\",\"$defs\":{\"l\":{\"items\":{\"$ref\":\"#/$defs/l\"}}}}", deep, &err),
        HN_OK);
    json_decref(deep);
    /* many items that must differ: by hash, not by pairs */
    hn_buf_clear(&text);
    hn_buf_append_char(&text, '[');
    for (int i = 0; i < 100000; i++) hn_buf_appendf(&text, "%s%d", i ? "," : "", i);
    hn_buf_append_char(&text, ']');
    json_t *many = parse(text.data);
    assert_int_equal(status_of("{\"uniqueItems\":true}", many, &err), HN_OK);
    json_decref(many);
    hn_buf_free(&text);
}

static void deep_schemas_are_refused(void **state) {
    (void)state;
    hn_buf text;
    hn_buf_init(&text, 0);
    for (int i = 0; i < 400; i++) hn_buf_append_str(&text, "{\"not\":");
    hn_buf_append_str(&text, "{}");
    hn_buf_append_repeat(&text, '}', 400);
    json_t *json = parse(text.data);
    hn_json_schema *schema;
    hn_error err = {0};
    assert_int_equal(hn_json_schema_create(json, NULL, &schema, &err), HN_ERR_LIMIT);
    json_decref(json);
    json_t *cycle = json_object();
    json_object_set_new(cycle, "not", json_object());
    json_object_set(json_object_get(cycle, "not"), "not", cycle); /* a value that contains itself */
    assert_int_equal(hn_json_schema_create(cycle, NULL, &schema, &err), HN_ERR_LIMIT);
    json_object_clear(json_object_get(cycle, "not"));
    json_decref(cycle);
    hn_buf_free(&text);
}

static void running_out_of_memory_is_a_status(void **state) {
    (void)state;
    json_t *json =
        parse("{\"$id\":\"http://x/\",\"properties\":{\"a\":{\"pattern\":\"^a|b$\"},\"b\":{\"$ref\":\"y#/$defs/q\"}},"
              "\"$defs\":{\"y\":{\"$id\":\"y\",\"$defs\":{\"q\":{\"uniqueItems\":true,\"unevaluatedItems\":{\"type\":"
              "\"number\"}}}}},"
              "\"propertyNames\":{\"maxLength\":1},\"unevaluatedProperties\":false}");
    json_t *value = parse("{\"a\":\"axb\",\"b\":[1,2,3]}");
    hn_json_schema_result result;
    for (size_t n = 1;; n++) {
        hn_json_schema *schema = NULL;
        hn_error err = {0};
        hn_alloc_fail_at(n, true);
        hn_status st = hn_json_schema_create(json, NULL, &schema, &err);
        if (st == HN_OK) st = hn_json_schema_validate(schema, value, &result, &err);
        hn_alloc_fail_at(0, false);
        hn_json_schema_free(schema);
        if (st == HN_OK) break;
        assert_int_equal(st, HN_ERR_MEMORY);
        assert_true(n < 10000);
    }
    assert_true(result.valid);
    json_decref(json);
    json_decref(value);
}

int main(void) {
    hn_json_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_sentences_with_places),
        cmocka_unit_test(several_errors_are_kept_and_check_joins_them),
        cmocka_unit_test(mistakes_in_schemas_are_errors),
        cmocka_unit_test(numbers_are_exact),
        cmocka_unit_test(patterns_are_those_of_ecma),
        cmocka_unit_test(formats_are_asserted_only_when_asked),
        cmocka_unit_test(registered_documents_are_found),
        cmocka_unit_test(hostile_input_ends),
        cmocka_unit_test(deep_schemas_are_refused),
        cmocka_unit_test(running_out_of_memory_is_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
