/* Files in the making: two of one name at once stay apart and the later to finish wins; what a kill has left goes, what grows stays; a drop and a failure
 * leave nothing; a stop while tensors are written leaves what was there. */
#include "support.h"

#include "base/alloc.h"
#include "base/interrupt.h"
#include "base/part_file.h"
#include "format/safetensors_write.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[HN_PATH_MAX], name[HN_PATH_MAX];

static int enter(void **state) {
    (void)state;
    hn_test_folder(folder);
    return hn_path_join(name, folder, "model.bin", NULL) == HN_OK ? 0 : -1;
}

static int leave(void **state) {
    (void)state;
    hn_test_folder_remove(folder);
    return 0;
}

static size_t count_files(void) {
    size_t n = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *d = readdir(dir); d; d = readdir(dir)) n += d->d_name[0] != '.';
    closedir(dir);
    return n;
}

static void expect_content(const char *text) {
    size_t n;
    char *bytes = hn_test_read(name, &n);
    assert_string_equal(bytes, text);
    hn_free(bytes);
}

static void two_at_once_stay_apart(void **state) {
    (void)state;
    hn_part_file a, b;
    hn_error err;
    hn_test_ok(hn_part_create(name, &a, &err), &err);
    hn_test_ok(hn_part_create(name, &b, &err), &err);
    assert_string_not_equal(a.path, b.path);
    assert_int_equal(write(a.fd, "first", 5), 5);
    assert_int_equal(write(b.fd, "second", 6), 6);
    assert_false(hn_file_exists(name));
    hn_test_ok(hn_part_finish(&b, &err), &err);
    expect_content("second");
    hn_test_ok(hn_part_finish(&a, &err), &err);
    expect_content("first");
    hn_part_drop(&a), hn_part_drop(&b);
    expect_content("first");
    assert_int_equal(count_files(), 1);
}

static void what_a_kill_left_goes_and_what_grows_stays(void **state) {
    (void)state;
    int ready[2], go[2];
    char byte = 0, other[HN_PATH_MAX];
    hn_error err;
    hn_part_file p;
    assert_int_equal(pipe(ready) | pipe(go), 0);
    pid_t dead = fork(), alive = dead ? fork() : -1;
    if (dead == 0 || alive == 0) {
        hn_part_file own;
        bool fine = hn_part_create(name, &own, &err) == HN_OK && write(own.fd, "half", 4) == 4 &&
                    write(ready[1], &byte, 1) == 1;
        if (alive == 0) fine = read(go[0], &byte, 1) == 1 && hn_part_finish(&own, &err) == HN_OK && fine;
        _exit(fine ? 0 : 1); /* without a drop: as after a kill */
    }
    int status;
    assert_int_equal(waitpid(dead, &status, 0), dead);
    assert_int_equal(status, 0);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    hn_test_ok(hn_path_join(other, folder, "model.bin.notes.part", &err), &err); /* is not of this kind */
    hn_test_ok(hn_file_write_atomic(other, "x", 1, &err), &err);
    hn_test_ok(hn_part_create(name, &p, &err), &err);
    assert_int_equal(count_files(), 3); /* that of the living, ours, and the notes */
    hn_part_drop(&p);
    assert_int_equal(write(go[1], &byte, 1), 1);
    assert_int_equal(waitpid(alive, &status, 0), alive);
    assert_int_equal(status, 0);
    expect_content("half");
    assert_int_equal(count_files(), 2);
    close(ready[0]), close(ready[1]), close(go[0]), close(go[1]);
}

static void failures_leave_nothing(void **state) {
    (void)state;
    hn_part_file p;
    hn_error err;
    char nowhere[HN_PATH_MAX], long_name[HN_PATH_MAX];
    hn_test_ok(hn_path_join(nowhere, folder, "none/model.bin", &err), &err);
    assert_int_equal(hn_part_create(nowhere, &p, &err), HN_ERR_NOT_FOUND);
    assert_int_equal(p.fd, -1);
    hn_part_drop(&p);
    memset(long_name, 'x', sizeof long_name);
    long_name[sizeof long_name - 1] = 0;
    assert_int_not_equal(hn_part_create(long_name, &p, &err), HN_OK);
    hn_test_ok(hn_part_create(name, &p, &err), &err);
    assert_int_equal(mkdir(name, 0755), 0); /* a folder has taken the name */
    assert_int_not_equal(hn_part_finish(&p, &err), HN_OK);
    assert_int_equal(count_files(), 1);
}

static void a_stop_keeps_the_old_tensors(void **state) {
    (void)state;
    static const float values[4] = {1, 2, 3, 4};
    const hn_safetensors_out out = {"w", HN_DTYPE_F32, 2, {2, 2}, values};
    hn_error err;
    hn_test_ok(hn_file_write_atomic(name, "old", 3, &err), &err);
    hn_interrupt_request();
    hn_status st = hn_safetensors_write(name, &out, 1, NULL, NULL, NULL, &err);
    hn_interrupt_clear();
    assert_int_equal(st, HN_ERR_INTERRUPTED);
    expect_content("old");
    assert_int_equal(count_files(), 1);
    hn_test_ok(hn_safetensors_write(name, &out, 1, NULL, NULL, NULL, &err), &err);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(two_at_once_stay_apart, enter, leave),
        cmocka_unit_test_setup_teardown(what_a_kill_left_goes_and_what_grows_stays, enter, leave),
        cmocka_unit_test_setup_teardown(failures_leave_nothing, enter, leave),
        cmocka_unit_test_setup_teardown(a_stop_keeps_the_old_tensors, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
