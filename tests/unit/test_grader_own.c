/* Graders of the user's own, friendly and hostile: Lua scripts that loop, eat memory, reach for files; programs that hang, die, print junk or too much. */
#include "support.h"

#include "base/alloc.h"
#include "lifecycle/eval/grader.h"
#include "project/grader_config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static hn_error err;
static char folder[HN_PATH_MAX];

static int enter(void **state) {
    (void)state;
    hn_json_init();
    hn_test_folder(folder);
    return 0;
}

static int leave(void **state) {
    (void)state;
    hn_test_folder_remove(folder);
    return 0;
}

static void write_file(const char *name, const char *text) {
    char path[HN_PATH_MAX];
    hn_test_ok(hn_path_join(path, folder, name, &err), &err);
    hn_test_ok(hn_file_write_atomic(path, text, strlen(text), &err), &err);
}

typedef struct bench {
    hn_yaml *doc;
    hn_arena *arena;
    hn_scope scope;
    hn_grader *g;
} bench;

static void open_bench(const char *entry, bench *b) {
    char yaml[1024];
    *b = (bench){.arena = hn_arena_create(0), .scope = {.contract = {.kind = HN_CONTRACT_TEXT}}};
    snprintf(yaml, sizeof yaml, "graders:\n  - %s\n", entry);
    hn_test_ok(hn_yaml_parse("hone.yaml", yaml, strlen(yaml), &b->doc, &err), &err);
    hn_test_ok(hn_grader_configs_parse(hn_yaml_find(hn_yaml_root(b->doc), "graders"), folder, b->arena,
                                       &b->scope.graders, &b->scope.n_graders, &err),
               &err);
    hn_grading grading = {.scope = &b->scope};
    hn_test_ok(hn_grader_open(&grading, &b->scope.graders[0], &b->g, &err), &err);
}

static void close_bench(bench *b) {
    hn_grader_free(b->g);
    hn_grader_configs_free(b->scope.graders, b->scope.n_graders);
    hn_yaml_free(b->doc);
    hn_arena_free(b->arena);
}

static hn_status grade(bench *b, const char *answer, hn_grade *out) {
    json_t *inputs = json_pack("{s:s, s:[i, i]}", "text", "hello there", "list", 1, 2);
    hn_case c = {.id = "c9", .inputs = inputs};
    hn_prediction row = {.case_id = "c9", .text = answer, .value = answer, .target = "yes", .completion_tokens = 4};
    hn_status st = hn_grader_grade(b->g, &(hn_graded){&row, &c}, out, &err);
    json_decref(inputs);
    return st;
}

static double lua_value(const char *body, const char *answer) {
    char script[4096];
    bench b;
    hn_grade out;
    snprintf(script, sizeof script, "function grade(case)\n%s\nend\n", body);
    write_file("g.lua", script);
    open_bench("lua: g.lua", &b);
    hn_test_ok(grade(&b, answer, &out), &err);
    double value = out.value;
    hn_grade_clear(&out);
    close_bench(&b);
    return value;
}

static void lua_grades(void **state) {
    (void)state;
    assert_true(lua_value("return case.answer:find('please') and 1 or 0", "yes please") == 1);
    assert_true(lua_value("return case.answer == case.target", "yes") == 1);
    assert_true(lua_value("return #case.answer / 8", "four") == 0.5);
    assert_true(lua_value("return case.inputs.list[2] + case.tokens", "") == 6);
    assert_true(lua_value("return utf8.len(case.inputs.text)", "") == 11);
    assert_true(isnan(lua_value("return nil", "")));
    assert_true(isnan(lua_value("return 0/0", ""))); /* not a number: nothing to say */
    bench b;
    hn_grade out;
    write_file("state.lua", "local n = 0\nfunction grade(case) n = n + 1; print('case', n); return {value = n, "
                            "words = {'a', 'b'}, more = {x = true}} end");
    open_bench("lua: state.lua", &b);
    assert_string_equal(b.scope.graders[0].name, "state");
    for (int i = 1; i <= 3; i++) {
        hn_test_ok(grade(&b, "x", &out), &err);
        assert_true(out.value == i);
        assert_non_null(strstr(hn_buf_str(&out.details), "[\"a\",\"b\"]"));
        assert_non_null(strstr(hn_buf_str(&out.details), "{\"x\":true}"));
        hn_grade_clear(&out);
    }
    close_bench(&b);
}

static void lua_fails(const char *script, const char *options, const char *message) {
    char entry[200];
    bench b;
    hn_grade out;
    write_file("bad.lua", script);
    snprintf(entry, sizeof entry, "lua: {file: bad.lua, timeout_s: 0.3, memory_mb: 8%s}", options);
    open_bench(entry, &b);
    hn_status st = grade(&b, "answer", &out);
    if (st != HN_ERR_INPUT) fail_msg("%s: status %d, value %g", script, st, out.value);
    if (!strstr(err.message, message)) fail_msg("%s: %s", script, err.message);
    assert_non_null(strstr(err.where, "hone.yaml:2:5, case c9"));
    hn_grade_clear(&out);
    close_bench(&b);
}

static void lua_cannot_do_harm(void **state) {
    (void)state;
    lua_fails("function grade(c) while true do end end", "", "took longer than 300 ms");
    lua_fails("while true do end", "", "took longer than 300 ms");
    lua_fails("function grade(c) return pcall(function() while true do end end) and 1 or grade(c) end", "", "");
    lua_fails("function grade(c) local t = {} while true do t[#t + 1] = {} end end", "", "not enough memory");
    lua_fails("function grade(c) return #string.rep('x', 1 << 30) end", "", "not enough memory");
    lua_fails("function grade(c) local s = string.rep('a', 200000) return s:find(string.rep('a*', 200) .. 'b') end", "",
              "");                                                  /* a pattern that never ends: ended from outside */
    lua_fails("function grade(c) return grade(c) + 1 end", "", ""); /* the stack, or memory */
    lua_fails("function grade(c) error('no ' .. c.answer) end", "", "no answer");
    lua_fails("function grade(c) return 'good' end", "", "has no number");
    lua_fails("function grade(c) return {value = 1, text = string.rep('x', 500000)} end", "", "longer than 256 KiB");
    lua_fails("x = 1", "", "defines no function grade(case)");
    lua_fails("function grade(c", "", "bad.lua:1");
    lua_fails("\x1bLua bytecode", "", "attempt to load a binary chunk");
    static const char *const reached[] = {"io",         "os",        "debug",       "package",
                                          "require",    "load",      "loadfile",    "dofile",
                                          "loadstring", "coroutine", "string.dump", "collectgarbage"};
    for (size_t i = 0; i < sizeof reached / sizeof *reached; i++) {
        char body[128];
        snprintf(body, sizeof body, "return %s == nil and 1 or 0", reached[i]);
        if (lua_value(body, "") != 1) fail_msg("%s can be reached", reached[i]);
    }
}

static void failures_can_be_left_out(void **state) {
    (void)state;
    bench b;
    hn_grade out;
    write_file("some.lua", "function grade(c) if c.answer == 'loop' then while true do end end return 1 end");
    open_bench("lua: {file: some.lua, timeout_s: 0.2, on_error: skip}", &b);
    hn_test_ok(grade(&b, "loop", &out), &err);
    assert_true(isnan(out.value) && out.failed);
    assert_non_null(strstr(hn_buf_str(&out.details), "\"error\""));
    hn_grade_clear(&out);
    hn_test_ok(grade(&b, "fine", &out), &err);
    assert_true(out.value == 1 && !out.failed);
    hn_grade_clear(&out);
    close_bench(&b);
    open_bench("program: {run: [sh, -c, 'exit 1'], on_error: skip}", &b);
    hn_status st = HN_OK;
    int n = 0;
    for (; n < 50 && st == HN_OK; n++) {
        st = grade(&b, "x", &out);
        hn_grade_clear(&out);
    }
    assert_int_equal(st, HN_ERR_INPUT); /* a program that never works is no grader */
    assert_int_equal(n, 20);
    close_bench(&b);
}

static void programs_grade(void **state) {
    (void)state;
    bench b;
    hn_grade out;
    write_file("g.sh",
               "while read -r line; do case $line in *'\"answer\":\"good\"'*) echo 1;; *) echo '{\"value\": 0.25, "
               "\"why\": \"not good\"}';; esac; done");
    open_bench("program: [sh, g.sh]", &b); /* the project's folder is its working folder */
    assert_string_equal(b.scope.graders[0].name, "g");
    hn_test_ok(grade(&b, "good", &out), &err);
    assert_true(out.value == 1 && out.details.len == 0);
    hn_grade_clear(&out);
    hn_test_ok(grade(&b, "bad\xff\xfe", &out), &err); /* not UTF-8 */
    assert_true(out.value == 0.25);
    assert_non_null(strstr(hn_buf_str(&out.details), "not good"));
    hn_grade_clear(&out);
    close_bench(&b);
}

static void program_fails(const char *script, const char *message) {
    bench b;
    hn_grade out;
    write_file("bad.sh", script);
    open_bench("program: {run: [sh, bad.sh], timeout_s: 0.5}", &b);
    hn_status st = grade(&b, "x", &out);
    hn_grade_clear(&out);
    if (st == HN_OK) {
        st = grade(&b, "y", &out);
        hn_grade_clear(&out);
    }
    if (st != HN_ERR_INPUT) fail_msg("%s: status %d", script, st);
    if (!strstr(err.message, message)) fail_msg("%s: %s", script, err.message);
    close_bench(&b);
}

static void hostile_programs(void **state) {
    (void)state;
    program_fails("sleep 100", "no answer within 0.5 s");
    program_fails("echo cannot import numpy >&2; exit 1", "cannot import numpy");
    program_fails("read x; echo hello", "is no JSON: hello");
    program_fails("read x; echo '\"good\"'", "has no number");
    program_fails("read x; echo 1e999", "");
    program_fails("read x; echo '[1]'", "has no number");
    program_fails("read x; echo '{\"error\": \"out of quota\"}'", "out of quota");
    program_fails("read x; printf '1\\n1\\n'; read y; sleep 100", "more than one line");
    program_fails("yes 1", "more than one line");
    program_fails("read x; yes | tr -d '\\n'", "longer than 1 MiB");
    bench b;
    hn_grade out;
    open_bench("program: no-such-program-here", &b);
    assert_int_equal(grade(&b, "x", &out), HN_ERR_NOT_FOUND);
    hn_grade_clear(&out);
    close_bench(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lua_grades),
        cmocka_unit_test(lua_cannot_do_harm),
        cmocka_unit_test(failures_can_be_left_out),
        cmocka_unit_test(programs_grade),
        cmocka_unit_test(hostile_programs),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
