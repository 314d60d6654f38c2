/* The command line's parser: kinds, forms, defaults, ranges, suggestions, and memory that runs out. */
#include "cli/command.h"
#include "support.h"

#include <string.h>

static hn_status run_nothing(hn_cli *cli, hn_error *err) {
    (void)cli, (void)err;
    return HN_OK;
}

static const hn_option options[] = {
    {.name = "model", .letter = 'm', .kind = HN_OPTION_STRING, .value = "MODEL"},
    {.name = "max-tokens", .kind = HN_OPTION_INT, .value = "N", .otherwise = "128", .low = 0, .high = 1000},
    {.name = "temperature", .kind = HN_OPTION_REAL, .value = "T", .low = 0, .high = 10},
    {.name = "cache", .kind = HN_OPTION_SIZE, .value = "SIZE"},
    {.name = "memory", .kind = HN_OPTION_CHOICE, .value = "full|low", .otherwise = "full"},
    {.name = "stop", .kind = HN_OPTION_LIST, .value = "TEXT"},
    {.name = "echo", .kind = HN_OPTION_FLAG},
    {0}};
static const hn_command command = {.name = "try", .summary = "", .options = options, .max_args = 2, .run = run_nothing};

typedef struct setup {
    hn_output out;
    hn_cli cli;
    hn_error err;
} setup;

static hn_status parse(setup *s, int n, const char *const *argv) {
    memset(s, 0, sizeof *s);
    s->cli = (hn_cli){.command = &command, .out = &s->out, .arena = hn_arena_create(0)};
    if (!s->cli.arena) return hn_fail_memory(&s->err, 0);
    return hn_cli_parse(&s->cli, n, argv, &s->err);
}

#define PARSE(s, ...)                                                                                                  \
    parse(s, (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)), (const char *[]){__VA_ARGS__})

static void all_kinds_and_forms(void **state) {
    (void)state;
    setup s;
    size_t n;
    hn_test_ok(PARSE(&s, "-m", "a", "--max-tokens=7", "one", "--temperature", "0.5", "--cache", "1.5k", "--stop", "x",
                     "--stop=", "--echo", "--json", "--", "--two"),
               &s.err);
    assert_string_equal(hn_cli_string(&s.cli, "model"), "a");
    assert_int_equal(hn_cli_int(&s.cli, "max-tokens"), 7);
    assert_true(hn_cli_real(&s.cli, "temperature") == 0.5);
    assert_int_equal(hn_cli_size(&s.cli, "cache"), 1536);
    assert_string_equal(hn_cli_string(&s.cli, "memory"), "full");
    assert_false(hn_cli_given(&s.cli, "memory"));
    const char *const *stops = hn_cli_list(&s.cli, "stop", &n);
    assert_int_equal(n, 2);
    assert_string_equal(stops[0], "x");
    assert_string_equal(stops[1], "");
    assert_true(hn_cli_flag(&s.cli, "echo"));
    assert_true(s.out.json);
    assert_int_equal(s.cli.n_positional, 2);
    assert_string_equal(s.cli.positional[1], "--two");
    hn_arena_free(s.cli.arena);
    hn_test_ok(PARSE(&s, "-mfile", "-"), &s.err);
    assert_string_equal(hn_cli_string(&s.cli, "model"), "file");
    assert_string_equal(s.cli.positional[0], "-");
    assert_int_equal(hn_cli_int(&s.cli, "max-tokens"), 128);
    assert_null(hn_cli_list(&s.cli, "stop", &n));
    assert_int_equal(n, 0);
    hn_arena_free(s.cli.arena);
}

static void refused(const char *message, const char *hint, int n, const char *const *argv) {
    setup s;
    assert_int_equal(parse(&s, n, argv), HN_ERR_USAGE);
    assert_non_null(strstr(s.err.message, message));
    assert_non_null(strstr(s.err.hint, hint));
    hn_arena_free(s.cli.arena);
}

#define REFUSED(message, hint, ...)                                                                                    \
    refused(message, hint, (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)), (const char *[]){__VA_ARGS__})

static void bad_usage_says_what_and_what_to_do(void **state) {
    (void)state;
    REFUSED("unknown option --max-token", "did you mean --max-tokens?", "--max-token", "7");
    REFUSED("unknown option --jsn", "did you mean --json?", "--jsn");
    REFUSED("unknown option --zzzzzz", "hone help try", "--zzzzzz=4");
    REFUSED("unknown option -x", "hone help try", "-x");
    REFUSED("--max-tokens needs a value", "hone help try", "--max-tokens");
    REFUSED("--max-tokens needs a whole number, not \"1.5\"", "hone help try", "--max-tokens", "1.5");
    REFUSED("must be between 0 and 1000", "hone help try", "--max-tokens", "1001");
    REFUSED("--temperature needs a number", "hone help try", "--temperature", "nan");
    REFUSED("must be one of full|low", "hone help try", "--memory", "fu");
    REFUSED("must be one of full|low", "hone help try", "--memory", "");
    REFUSED("--echo takes no value", "hone help try", "--echo=1");
    REFUSED("--model is given twice", "hone help try", "-m", "a", "--model", "b");
    REFUSED("unexpected argument \"c\"", "hone help try", "a", "b", "c");
}

static void one_of_counts(void **state) {
    (void)state;
    setup s;
    static const char *const names[] = {"model", "cache", NULL};
    hn_test_ok(PARSE(&s, "a"), &s.err);
    assert_int_equal(hn_cli_one_of(&s.cli, names, true, &s.err), HN_ERR_USAGE);
    assert_string_equal(s.err.message, "one of --model or --cache is needed");
    assert_int_equal(hn_cli_one_of(&s.cli, names, false, &s.err), HN_OK);
    hn_arena_free(s.cli.arena);
    hn_test_ok(PARSE(&s, "-m", "a", "--cache", "4"), &s.err);
    assert_int_equal(hn_cli_one_of(&s.cli, names, true, &s.err), HN_ERR_USAGE);
    hn_arena_free(s.cli.arena);
}

static void memory_that_runs_out_is_a_status(void **state) {
    (void)state;
    setup s;
    hn_status st = HN_ERR_MEMORY;
    size_t n = 1;
    for (; st != HN_OK && n < 100; n++) {
        hn_alloc_fail_at(n, true);
        st = PARSE(&s, "--stop", "a", "--stop", "b", "x");
        hn_alloc_fail_at(0, false);
        if (st != HN_OK) assert_int_equal(st, HN_ERR_MEMORY);
        hn_arena_free(s.cli.arena);
    }
    assert_int_equal(st, HN_OK);
    assert_true(n > 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_kinds_and_forms),
        cmocka_unit_test(bad_usage_says_what_and_what_to_do),
        cmocka_unit_test(one_of_counts),
        cmocka_unit_test(memory_that_runs_out_is_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
