/* Child processes and the flag of Ctrl-C: output, limits, time, environment, programs that are not there. */
#include "base/clock.h"
#include "base/interrupt.h"
#include "base/process.h"
#include "net/http.h"
#include "support.h"

#include <string.h>

static void output_and_status_come_back(void **state) {
    (void)state;
    hn_error err = {0};
    hn_process_result r;
    const char *argv[] = {"sh", "-c", "echo out; echo \"$HONE_X\" >&2; cat; exit 3", NULL};
    const char *environment[] = {"HONE_X=two words", NULL};
    hn_test_ok(hn_process_run(&(hn_process){.argv = argv, .environment = environment}, &r, &err), &err);
    assert_int_equal(r.exit_status, 3);
    assert_string_equal(hn_buf_str(&r.output), "out\n");
    assert_string_equal(hn_buf_str(&r.errors), "two words\n");
    assert_false(r.output_cut);
    hn_process_result_free(&r);
}

static void arguments_are_not_for_a_shell(void **state) {
    (void)state;
    hn_error err = {0};
    hn_process_result r;
    const char *argv[] = {"printf", "%s", "$(echo no); `x` '\"", NULL};
    hn_test_ok(hn_process_run(&(hn_process){.argv = argv}, &r, &err), &err);
    assert_string_equal(hn_buf_str(&r.output), argv[2]);
    hn_process_result_free(&r);
}

static void long_output_is_cut_not_stuck(void **state) {
    (void)state;
    hn_error err = {0};
    hn_process_result r;
    const char *argv[] = {"sh", "-c", "yes | head -c 3000000; yes | head -c 3000000 >&2", NULL};
    hn_test_ok(hn_process_run(&(hn_process){.argv = argv, .max_output_bytes = 1000}, &r, &err), &err);
    assert_int_equal(r.exit_status, 0);
    assert_int_equal(r.output.len, 1000);
    assert_int_equal(r.errors.len, 1000);
    assert_true(r.output_cut);
    hn_process_result_free(&r);
}

static void time_limit_and_ctrl_c_end_the_group(void **state) {
    (void)state;
    hn_error err = {0};
    hn_process_result r;
    const char *argv[] = {"sh", "-c", "sleep 60 & sleep 60", NULL};
    double started = hn_clock_seconds();
    assert_int_equal(hn_process_run(&(hn_process){.argv = argv, .timeout_ms = 100}, &r, &err), HN_ERR_TIMEOUT);
    hn_interrupt_request();
    assert_int_equal(hn_process_run(&(hn_process){.argv = argv}, &r, &err), HN_ERR_INTERRUPTED);
    hn_interrupt_clear();
    assert_true(hn_clock_seconds() - started < 50);
}

static void missing_program_and_folder(void **state) {
    (void)state;
    hn_error err = {0};
    hn_process_result r;
    const char *argv[] = {"hone-no-such-program", NULL}, *fine[] = {"true", NULL},
               *killed[] = {"sh", "-c", "kill -9 $$", NULL};
    assert_int_equal(hn_process_run(&(hn_process){.argv = argv}, &r, &err), HN_ERR_NOT_FOUND);
    assert_int_not_equal(hn_process_run(&(hn_process){.argv = fine, .directory = "/no/such/folder"}, &r, &err), HN_OK);
    hn_test_ok(hn_process_run(&(hn_process){.argv = killed}, &r, &err), &err);
    assert_int_equal(r.exit_status, 128 + 9);
    hn_process_result_free(&r);
}

static void addresses_are_checked_and_shown_without_secrets(void **state) {
    (void)state;
    char shown[256];
    static const char *const fine[] = {"https://example.org/x", "HTTPS://example.org", "http://127.0.0.1:80/x",
                                       "http://127.9.9.9",      "http://[::1]:8/x",    "http://localhost/x",
                                       "http://LOCALHOST:1"};
    static const char *const bad[] = {"http://example.org/x",
                                      "ftp://127.0.0.1/x",
                                      "https://",
                                      "file:///etc/passwd",
                                      "http://127.0.0.1.org/",
                                      "http://128.0.0.1/",
                                      "http://localhost.org/",
                                      "http://localhost@example.org/",
                                      "http://127.0.0.256/",
                                      "http://127.1/",
                                      "",
                                      "x"};
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) assert_int_equal(hn_http_check_url(fine[i], NULL), HN_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(hn_http_check_url(bad[i], NULL), HN_ERR_USAGE);
    assert_string_equal(hn_http_shown_url("https://user:pa@ss@example.org/a/b?key=1#f", shown),
                        "https://example.org/a/b");
    assert_string_equal(hn_http_shown_url("https://example.org/a@b", shown), "https://example.org/a@b");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_and_status_come_back),
        cmocka_unit_test(arguments_are_not_for_a_shell),
        cmocka_unit_test(long_output_is_cut_not_stuck),
        cmocka_unit_test(time_limit_and_ctrl_c_end_the_group),
        cmocka_unit_test(missing_program_and_folder),
        cmocka_unit_test(addresses_are_checked_and_shown_without_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
