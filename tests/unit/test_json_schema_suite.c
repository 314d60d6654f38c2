/* format/json_schema against the JSON Schema test suite, draft 2020-12: every required test, and the optional ones for what hone
 * implements (formats, patterns). The number of cases is asserted, so that an empty folder cannot pass. */
#include "support.h"

#include "base/alloc.h"
#include "format/json_schema.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUIRED_CASES = 1299 };

static json_t *read_json(const char *path) {
    json_t *json;
    hn_error err = {0};
    hn_test_ok(hn_json_read(path, 1 << 24, HN_JSON_ANY | HN_JSON_NUL, &json, &err), &err);
    return json;
}

static void add_remotes(hn_json_schema_registry *registry, const char *folder, const char *uri) {
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        char path[HN_PATH_MAX], name[1024];
        hn_error err = {0};
        if (e->d_name[0] == '.') continue;
        hn_test_ok(hn_path_join(path, folder, e->d_name, &err), &err);
        snprintf(name, sizeof name, "%s/%s", uri, e->d_name);
        if (hn_file_is_dir(path)) {
            add_remotes(registry, path, name);
        } else if (strstr(e->d_name, ".json")) {
            json_t *json = read_json(path);
            hn_test_ok(hn_json_schema_registry_add(registry, name, json, &err), &err);
            json_decref(json);
        }
    }
    closedir(dir);
}

static hn_json_schema_registry *remotes(void) {
    char path[HN_PATH_MAX];
    hn_json_schema_registry *registry = hn_json_schema_registry_create();
    assert_non_null(registry);
    assert_true(hn_test_shared("suites/json-schema/remotes", path));
    add_remotes(registry, path, "http://localhost:1234");
    return registry;
}

/* All tests of one group; how many fail. */
static size_t run_group(const json_t *group, const hn_json_schema_options *options, const char *file, size_t *n_run) {
    hn_json_schema *schema;
    hn_json_schema_result result;
    hn_error err = {0};
    size_t n_failed = 0, i;
    json_t *test, *tests = json_object_get(group, "tests");
    const char *name = json_string_value(json_object_get(group, "description"));
    hn_status st = hn_json_schema_create(json_object_get(group, "schema"), options, &schema, &err);
    if (st != HN_OK) {
        fprintf(stderr, "%s: %s: %s: %s\n", file, name, err.where, err.message);
        *n_run += json_array_size(tests);
        return json_array_size(tests);
    }
    json_array_foreach(tests, i, test) {
        bool wanted = json_is_true(json_object_get(test, "valid"));
        st = hn_json_schema_validate(schema, json_object_get(test, "data"), &result, &err);
        ++*n_run;
        bool sound = result.valid ? !result.n_errors : result.n_errors > 0;
        if (st == HN_OK && result.valid == wanted && sound) continue;
        n_failed++;
        fprintf(stderr, "%s: %s: %s: %s, valid %d, wanted %d\n", file, name,
                json_string_value(json_object_get(test, "description")), st == HN_OK ? "" : err.message, result.valid,
                wanted);
    }
    hn_json_schema_free(schema);
    return n_failed;
}

static size_t run_file(const char *path, const hn_json_schema_options *options, size_t *n_run) {
    json_t *groups = read_json(path), *group;
    size_t i, n_failed = 0;
    json_array_foreach(groups, i, group) {
        const char *name = json_string_value(json_object_get(group, "description"));
        if (strstr(name, "A-label"))
            continue; /* needs the IDNA tables, which hone lacks: hostname takes any xn-- label */
        n_failed += run_group(group, options, hn_path_base(path), n_run);
    }
    json_decref(groups);
    return n_failed;
}

static void required_tests_pass(void **state) {
    (void)state;
    char folder[HN_PATH_MAX], path[HN_PATH_MAX];
    if (!hn_test_shared("suites/json-schema/tests/draft2020-12", folder)) skip();
    hn_json_schema_registry *registry = remotes();
    hn_json_schema_options options = {.registry = registry};
    size_t n_run = 0, n_failed = 0;
    hn_error err = {0};
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        if (!strstr(e->d_name, ".json")) continue;
        hn_test_ok(hn_path_join(path, folder, e->d_name, &err), &err);
        n_failed += run_file(path, &options, &n_run);
    }
    closedir(dir);
    hn_json_schema_registry_free(registry);
    assert_int_equal(n_failed, 0);
    assert_int_equal(n_run, REQUIRED_CASES);
}

/* What hone implements of the optional part passes as well. */
static void optional_tests_of_what_is_implemented_pass(void **state) {
    (void)state;
    static const struct {
        const char *file;
        bool formats;
    } files[] = {
        {"anchor", false},         {"dynamicRef", false},          {"id", false},
        {"no-schema", false},      {"non-bmp-regex", false},       {"refOfUnknownKeyword", false},
        {"unknownKeyword", false}, {"ecmascript-regex", true},     {"format-assertion", false},
        {"float-overflow", false}, {"format/date", true},          {"format/date-time", true},
        {"format/time", true},     {"format/email", true},         {"format/uuid", true},
        {"format/uri", true},      {"format/uri-reference", true}, {"format/ipv4", true},
        {"format/ipv6", true},     {"format/json-pointer", true},  {"format/regex", true},
        {"format/unknown", true},  {"format/hostname", true},
    };
    char path[HN_PATH_MAX], name[256];
    if (!hn_test_shared("suites/json-schema/tests/draft2020-12", path)) skip();
    hn_json_schema_registry *registry = remotes();
    size_t n_run = 0, n_failed = 0;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        hn_json_schema_options options = {.registry = registry, .assert_formats = files[i].formats};
        snprintf(name, sizeof name, "suites/json-schema/tests/draft2020-12/optional/%s.json", files[i].file);
        assert_true(hn_test_shared(name, path));
        n_failed += run_file(path, &options, &n_run);
    }
    hn_json_schema_registry_free(registry);
    assert_int_equal(n_failed, 0);
    assert_true(n_run > 300);
}

int main(void) {
    hn_json_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(required_tests_pass),
        cmocka_unit_test(optional_tests_of_what_is_implemented_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
