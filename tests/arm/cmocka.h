/* The part of cmocka that the kernel and thread tests use, small enough to be linked statically for another processor.
 * tools/test-neon compiles tests/unit/test_thread.c and test_kernel_*.c with it. A failed check prints its place and
 * ends the program with status 1.
 *
 *     const struct CMUnitTest tests[] = {cmocka_unit_test(rows_match)};
 *     return cmocka_run_group_tests(tests, NULL, NULL);
 *
 * Threading: one thread. */
#ifndef HN_TESTS_ARM_CMOCKA_H
#define HN_TESTS_ARM_CMOCKA_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
};

/* As in cmocka, the test ends here without having failed; only within the test function itself. */
#define skip()                                                                                                         \
    do {                                                                                                               \
        printf("skipped\n");                                                                                           \
        return;                                                                                                        \
    } while (0)
#define cmocka_unit_test(function)                                                                                     \
    { #function, function }

#define fail_msg(...) (printf("%s:%d: ", __FILE__, __LINE__), printf(__VA_ARGS__), printf("\n"), exit(1))
#define assert_true(condition) ((condition) ? (void)0 : (void)fail_msg("%s", #condition))
#define assert_non_null(pointer) assert_true((pointer) != NULL)
#define assert_null(pointer) assert_true((pointer) == NULL)
#define assert_ptr_equal(a, b) assert_true((const void *)(a) == (const void *)(b))
#define assert_int_equal(a, b) assert_true((long long)(a) == (long long)(b))
#define assert_int_not_equal(a, b) assert_true((long long)(a) != (long long)(b))
#define assert_string_equal(a, b) assert_true(strcmp((a), (b)) == 0)
#define assert_memory_equal(a, b, n) assert_true(memcmp((a), (b), (n)) == 0)

static inline int run_tests(const struct CMUnitTest *tests, size_t n, int (*start)(void **), int (*stop)(void **)) {
    void *state = NULL;
    if (start && start(&state) != 0) return 1;
    for (size_t i = 0; i < n; i++) {
        printf("%s\n", tests[i].name);
        tests[i].run(&state);
    }
    return stop ? stop(&state) != 0 : 0;
}

#define cmocka_run_group_tests(tests, start, stop) run_tests(tests, sizeof(tests) / sizeof *(tests), start, stop)

#endif
