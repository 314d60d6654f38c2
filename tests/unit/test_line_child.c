/* Children that answer lines: what they say comes back; what hangs, dies, floods or talks too much ends in an error, with its group. */
#include "support.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/line_child.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static hn_error err;

static hn_line_child *shell(const char *script) {
    const char *argv[] = {"sh", "-c", script, NULL};
    hn_line_child *c;
    hn_test_ok(hn_line_child_spawn(argv, "/", &c, &err), &err);
    return c;
}

static hn_status ask(hn_line_child *c, const char *line, int timeout_ms, hn_str *reply) {
    return hn_line_child_ask(c, line, strlen(line), timeout_ms, reply, &err);
}

static void lines_come_back(void **state) {
    (void)state;
    hn_line_child *c = shell("pwd >&2; while read x; do echo \"got $x\"; done");
    hn_str reply;
    for (int i = 0; i < 100; i++) {
        char line[32], expected[40];
        snprintf(line, sizeof line, "line %d", i);
        snprintf(expected, sizeof expected, "got line %d", i);
        hn_test_ok(ask(c, line, 10000, &reply), &err);
        assert_true(hn_str_equal(reply, hn_str_of(expected)));
    }
    char said[32];
    hn_line_child_errors(c, said, sizeof said);
    assert_string_equal(said, "/"); /* its folder */
    hn_line_child_close(c);
}

/* A child that writes while a long line is still being sent to it does not block. */
static void long_lines_both_ways(void **state) {
    (void)state;
    size_t n = (size_t)900 << 10;
    hn_line_child *c = shell("cat");
    char *line = hn_alloc(n + 1);
    hn_str reply;
    memset(line, 'x', n);
    line[n] = 0;
    for (int i = 0; i < 3; i++) {
        hn_test_ok(ask(c, line, 20000, &reply), &err);
        assert_int_equal(reply.len, n);
    }
    hn_free(line);
    hn_line_child_close(c);
}

static void fails(const char *script, int timeout_ms, hn_status status, const char *message) {
    hn_line_child *c = shell(script);
    hn_str reply;
    hn_status st = ask(c, "x", timeout_ms, &reply);
    if (st == HN_OK) st = ask(c, "y", timeout_ms, &reply);
    assert_int_equal(st, status);
    if (!strstr(err.message, message)) fail_msg("%s: %s", script, err.message);
    assert_int_equal(ask(c, "z", 1000, &reply), HN_ERR_INPUT); /* gone for good */
    hn_line_child_close(c);
}

static void hostile_children(void **state) {
    (void)state;
    double started = hn_clock_seconds();
    fails("echo no >&2; exit 3", 10000, HN_ERR_INPUT, "ended (status 3) before it answered; it said: no");
    fails("kill -9 $$", 10000, HN_ERR_INPUT, "ended by signal 9");
    fails("sleep 60", 300, HN_ERR_TIMEOUT, "no answer within 0.3 s");
    fails("trap '' TERM; exec <&-; sleep 60", 300, HN_ERR_TIMEOUT, "no answer within");
    fails("read x; yes | tr -d '\\n'", 20000, HN_ERR_LIMIT, "longer than 1 MiB");
    fails("read x; printf 'one\\ntwo\\n'; read y; echo three; sleep 60", 10000, HN_ERR_INPUT, "more than one line");
    fails("exec >&-; sleep 60", 10000, HN_ERR_INPUT, "before it answered");
    fails("yes ERR >&2", 500, HN_ERR_TIMEOUT, "it said: ");
    assert_true(hn_clock_seconds() - started < 60);
}

static void the_whole_group_ends(void **state) {
    (void)state;
    hn_line_child *c = shell("sleep 300 & read x; echo $!; wait");
    hn_str reply;
    hn_test_ok(ask(c, "x", 10000, &reply), &err);
    pid_t grandchild = (pid_t)strtol(reply.data, NULL, 10);
    assert_true(grandchild > 1 && kill(grandchild, 0) == 0);
    hn_line_child_close(c);
    for (int i = 0; i < 100 && kill(grandchild, 0) == 0; i++) {
        char path[64], text[128] = "";
        snprintf(path, sizeof path, "/proc/%d/stat", (int)grandchild); /* dead, and not yet collected by init */
        FILE *f = fopen(path, "r");
        bool dead = !f || (fgets(text, sizeof text, f) && strstr(text, ") Z "));
        if (f) fclose(f);
        if (dead) return;
        hn_clock_sleep_ms(20);
    }
    assert_true(kill(grandchild, 0) != 0);
}

static void no_such_program(void **state) {
    (void)state;
    const char *argv[] = {"no-such-program-here", NULL};
    hn_line_child *c;
    assert_int_equal(hn_line_child_spawn(argv, NULL, &c, &err), HN_ERR_NOT_FOUND);
    assert_null(c);
    hn_line_child_close(NULL);
    const char *true_argv[] = {"true", NULL};
    for (size_t n = 1; n < 4; n++) {
        hn_alloc_fail_at(n, true);
        hn_status st = hn_line_child_spawn(true_argv, NULL, &c, &err);
        hn_alloc_fail_at(0, false);
        if (st == HN_OK) hn_line_child_close(c);
        assert_true(st == HN_OK || st == HN_ERR_MEMORY);
    }
}

static int echo_body(void *user) {
    char bytes[64];
    ssize_t n;
    while ((n = read(0, bytes, sizeof bytes)) > 0)
        if (write(1, user, strlen(user)) < 0 || write(1, bytes, (size_t)n) < 0) return 1;
    return 0;
}

static void a_forked_body(void **state) {
    (void)state;
    hn_line_child *c;
    hn_str reply;
    char prefix[] = "fork:";
    hn_test_ok(hn_line_child_fork("echo", echo_body, prefix, &c, &err), &err);
    hn_test_ok(ask(c, "hi", 10000, &reply), &err);
    assert_true(hn_str_equal(reply, hn_str_of("fork:hi")));
    hn_line_child_close(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_back),  cmocka_unit_test(long_lines_both_ways),
        cmocka_unit_test(hostile_children), cmocka_unit_test(the_whole_group_ends),
        cmocka_unit_test(no_such_program),  cmocka_unit_test(a_forked_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
