/* format/yaml: the core schema, places of everything, and what is refused. Expected values follow YAML 1.2.2, chapter 10.3. */
#include "support.h"

#include "base/alloc.h"
#include "format/yaml.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static hn_yaml *parse(const char *text) {
    hn_yaml *doc;
    hn_error err = {0};
    hn_test_ok(hn_yaml_parse("t.yaml", text, strlen(text), &doc, &err), &err);
    return doc;
}

static void refuses(const char *text, size_t n, hn_status code, const char *where, const char *message,
                    const char *hint) {
    hn_yaml *doc = NULL;
    hn_error err = {0};
    if (hn_yaml_parse("t.yaml", text, n, &doc, &err) != code)
        fail_msg("%s: %s instead of %s", text, hn_status_name(err.code), hn_status_name(code));
    assert_null(doc);
    if (where) assert_string_equal(err.where, where);
    if (!strstr(err.message, message)) fail_msg("%s: \"%s\" lacks \"%s\"", text, err.message, message);
    if (hint && !strstr(err.hint, hint)) fail_msg("%s: hint \"%s\" lacks \"%s\"", text, err.hint, hint);
}

static void core_schema(void **state) {
    (void)state;
    static const struct {
        const char *text;
        hn_yaml_kind kind;
        double value;
    } cases[] = {
        {"", HN_YAML_NULL, 0},
        {"~", HN_YAML_NULL, 0},
        {"null", HN_YAML_NULL, 0},
        {"true", HN_YAML_BOOL, 1},
        {"False", HN_YAML_BOOL, 0},
        {"no", HN_YAML_STRING, 0},
        {"on", HN_YAML_STRING, 0},
        {"0", HN_YAML_INT, 0},
        {"-19", HN_YAML_INT, -19},
        {"+12", HN_YAML_INT, 12},
        {"0o14", HN_YAML_INT, 12},
        {"0xC", HN_YAML_INT, 12},
        {"1.", HN_YAML_REAL, 1},
        {".5", HN_YAML_REAL, 0.5},
        {"1e3", HN_YAML_REAL, 1000},
        {"-1.5E-1", HN_YAML_REAL, -0.15},
        {".inf", HN_YAML_REAL, INFINITY},
        {"-.Inf", HN_YAML_REAL, -INFINITY},
        {"0x", HN_YAML_STRING, 0},
        {"1e", HN_YAML_STRING, 0},
        {"\"1\"", HN_YAML_STRING, 0},
        {"'true'", HN_YAML_STRING, 0},
        {"1 2", HN_YAML_STRING, 0},
        {".", HN_YAML_STRING, 0},
        {"9223372036854775807", HN_YAML_INT, 9223372036854775807.0},
        {"9223372036854775808", HN_YAML_REAL, 9223372036854775808.0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[64];
        snprintf(text, sizeof text, "a: %s\n", cases[i].text);
        hn_yaml *doc = parse(text);
        const hn_yaml_node *node = hn_yaml_find(hn_yaml_root(doc), "a");
        if (node->kind != cases[i].kind) fail_msg("%s is of kind %d", cases[i].text, node->kind);
        if (node->kind == HN_YAML_BOOL) assert_int_equal(node->boolean, cases[i].value);
        if (node->kind == HN_YAML_INT || node->kind == HN_YAML_REAL) assert_true(node->real == cases[i].value);
        hn_yaml_free(doc);
    }
}

static void places(void **state) {
    (void)state;
    hn_yaml *doc =
        parse("\xEF\xBB\xBF"
              "a: 1\nm: |\n  hello\n   {{ x }}\n\xC3\xA9: {b: , \"c\": 'd'}\nl:\n  - x\n  - {y: z}\nf: >\n  p\n  q\n");
    const hn_yaml_node *root = hn_yaml_root(doc), *m = hn_yaml_find(root, "m"), *e = hn_yaml_find(root, "\xC3\xA9");
    int line, column;
    assert_string_equal(m->text, "hello\n {{ x }}\n");
    hn_yaml_inner_place(m, 2, 2, &line, &column);
    assert_int_equal(line, 4);
    assert_int_equal(column, 4);
    const hn_yaml_node *b = hn_yaml_find(e, "b"), *c = hn_yaml_find(e, "c");
    assert_int_equal(b->kind, HN_YAML_NULL);
    assert_int_equal(b->column, 5);
    assert_int_equal(c->line, 5);
    assert_int_equal(c->key_column, 10);
    assert_int_equal(c->column, 15);
    hn_yaml_inner_place(c, 1, 1, &line, &column);
    assert_int_equal(column, 16);
    const hn_yaml_node *y = hn_yaml_find(hn_yaml_find(root, "l")->first->next, "y");
    char path[64];
    hn_yaml_path(y, path, sizeof path);
    assert_string_equal(path, "l[2].y");
    hn_yaml_where(y, path, sizeof path);
    assert_string_equal(path, "t.yaml:8:9");
    hn_yaml_inner_place(hn_yaml_find(root, "f"), 1, 3, &line, &column);
    assert_int_equal(line, 10); /* folded: the block's place */
    hn_yaml_free(doc);
}

#define REFUSE(text, code, where, message, hint) refuses(text, sizeof(text) - 1, code, where, message, hint)

static void refused_files(void **state) {
    (void)state;
    REFUSE("a: 1\nb: 2\na: 3\n", HN_ERR_INPUT, "t.yaml:3:1", "`a` is here a second time; the first is in line 1",
           "keep one");
    REFUSE("a: &x 1\n", HN_ERR_UNSUPPORTED, "t.yaml:1:7", "anchors", "write the value out");
    REFUSE("a: 1\nb: *x\n", HN_ERR_UNSUPPORTED, "t.yaml:2:4", "aliases", "quotes");
    REFUSE("a: !x 1\n", HN_ERR_UNSUPPORTED, "t.yaml:1:7", "tags", "quote");
    REFUSE("a: {{ x }}\n", HN_ERR_INPUT, "t.yaml:1:5", "a key must be plain text", "put the text in quotes");
    REFUSE("a: 1\n---\nb: 1\n", HN_ERR_INPUT, "t.yaml:2:1", "a second document", "one document");
    REFUSE("a: b\n\tc: 3\n", HN_ERR_INPUT, NULL, "not valid YAML", "spaces");
    REFUSE("a: [1, 2\n", HN_ERR_INPUT, NULL, "not valid YAML", "close the [");
    REFUSE("a: \"x\nb: 3\n", HN_ERR_INPUT, "t.yaml:1:4", "not valid YAML", "close the \"");
    REFUSE("a: \"\\0\"\n", HN_ERR_INPUT, "t.yaml:1:5", "NUL", "remove");
    REFUSE("a: 1\rb: 2\n", HN_ERR_INPUT, "t.yaml:1:5", "carriage return", "LF");
    REFUSE("a: b\0c\n", HN_ERR_INPUT, "t.yaml:1:5", "control character", NULL);
    REFUSE("a: 1\nb: x\xFF\n", HN_ERR_INPUT, "t.yaml:2:5", "not valid UTF-8", "UTF-8");
    REFUSE("\xFF\xFE"
           "a\0",
           HN_ERR_INPUT, "t.yaml:1:1", "UTF-8", NULL);
}

static void limits(void **state) {
    (void)state;
    char *text = hn_alloc(HN_YAML_MAX_BYTES + 2);
    memset(text, '[', 100);
    refuses(text, 100, HN_ERR_LIMIT, "t.yaml:1:33", "nested deeper than 32", NULL);
    memset(text, ' ', 300);
    text[0] = '-';
    refuses(text, 300, HN_ERR_LIMIT, "t.yaml:1:258", "more than 256 blanks", "remove");
    memset(text, '\n', 300);
    refuses(text, 300, HN_ERR_LIMIT, "t.yaml:257:1", "empty lines", "remove");
    memset(text, ' ', HN_YAML_MAX_BYTES + 1);
    text[HN_YAML_MAX_BYTES + 1] = 0;
    refuses(text, HN_YAML_MAX_BYTES + 1, HN_ERR_LIMIT, "t.yaml", "the limit is", "right file");
    text[0] = '[';
    for (size_t i = 0; i < HN_YAML_MAX_NODES + 5; i++) text[1 + 2 * i] = '1', text[2 + 2 * i] = ',';
    size_t n = 1 + 2 * (HN_YAML_MAX_NODES + 5);
    text[n++] = ']';
    refuses(text, n, HN_ERR_LIMIT, NULL, "more than 100,000 values", NULL);
    hn_free(text);
}

static void empty_files_are_nothing(void **state) {
    (void)state;
    const char *texts[] = {"", "# only a comment\n", "\n\n", "---\n"};
    for (size_t i = 0; i < 4; i++) {
        hn_yaml *doc = parse(texts[i]);
        assert_int_equal(hn_yaml_root(doc)->kind, HN_YAML_NULL);
        assert_null(hn_yaml_find(hn_yaml_root(doc), "a"));
        hn_yaml_free(doc);
    }
}

static void getters_explain(void **state) {
    (void)state;
    hn_yaml *doc = parse("spilt: {train: 2, dev: x, seed: 1.5}\nmetric: acuracy\nflag: yes\nlist: 3\nempty:\n");
    const hn_yaml_node *root = hn_yaml_root(doc), *split = hn_yaml_find(root, "spilt"), *missing;
    const char *names[] = {"split", "metric", "flag", "list", "empty"}, *metrics[] = {"accuracy", "macro_f1"}, *text;
    hn_error err = {0};
    double real;
    int64_t integer;
    bool flag;
    int index;
    assert_int_equal(hn_yaml_check_keys(root, names, 5, &err), HN_ERR_INPUT);
    assert_string_equal(err.where, "t.yaml:1:1");
    assert_string_equal(err.message, "unknown key `spilt` in the file");
    assert_string_equal(err.hint, "did you mean `split`? allowed: split, metric, flag, list or empty");
    assert_int_equal(hn_yaml_get_real(hn_yaml_find(split, "train"), 0, 1, &real, &err), HN_ERR_INPUT);
    assert_string_equal(err.where, "t.yaml:1:16");
    assert_string_equal(err.message, "`spilt.train` must be a number from 0 to 1, but 2 is here");
    assert_int_equal(hn_yaml_get_real(hn_yaml_find(split, "dev"), 0, INFINITY, &real, &err), HN_ERR_INPUT);
    assert_string_equal(err.message, "`spilt.dev` must be a number from 0 on, but the text \"x\" is here");
    assert_int_equal(hn_yaml_get_int(hn_yaml_find(split, "seed"), 0, INT64_MAX, &integer, &err), HN_ERR_INPUT);
    assert_string_equal(err.message, "`spilt.seed` must be a whole number from 0 on, but 1.5 is here");
    assert_int_equal(hn_yaml_get_choice(hn_yaml_find(root, "metric"), metrics, 2, &index, &err), HN_ERR_INPUT);
    assert_string_equal(err.hint, "did you mean `accuracy`?");
    assert_int_equal(hn_yaml_get_bool(hn_yaml_find(root, "flag"), &flag, &err), HN_ERR_INPUT);
    assert_int_equal(hn_yaml_get_string(hn_yaml_find(root, "empty"), &text, &err), HN_ERR_INPUT);
    assert_string_equal(err.message, "`empty` must be text, but nothing is here");
    assert_int_equal(hn_yaml_expect(hn_yaml_find(root, "list"), HN_YAML_LIST, &err), HN_ERR_INPUT);
    assert_int_equal(hn_yaml_require(root, "data", "say where the data is", &missing, &err), HN_ERR_INPUT);
    assert_string_equal(err.message, "the file has no `data`");
    assert_string_equal(err.hint, "say where the data is");
    hn_test_ok(hn_yaml_get_string(hn_yaml_find(root, "list"), &text, &err), &err);
    assert_string_equal(text, "3"); /* numbers as written: labels are often numbers */
    hn_yaml_free(doc);
}

static void written_text_reads_back(void **state) {
    (void)state;
    const char *texts[] = {"billing",
                           "",
                           "no",
                           "true",
                           "1.5",
                           " a",
                           "a ",
                           "a: b",
                           "# x",
                           "{{ x }}",
                           "say \"hi\"\\\n\ttab",
                           "- x",
                           "\xC3\xA9t\xC3\xA9",
                           "\xE2\x80\xA8line",
                           "\x7F\x01",
                           "\xC2\x85",
                           "\xEF\xBB\xBF",
                           "null",
                           "[a",
                           "a,b",
                           "@x",
                           "it's",
                           "\xF0\x9F\x98\x80"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        hn_buf b;
        hn_buf_init(&b, 0);
        hn_buf_append_str(&b, "{a: [");
        hn_yaml_append_string(&b, texts[i]);
        hn_buf_append_str(&b, ", ");
        hn_yaml_append_string(&b, texts[i]);
        hn_buf_append_str(&b, "]}");
        hn_yaml *doc = parse(hn_buf_str(&b));
        const hn_yaml_node *list = hn_yaml_find(hn_yaml_root(doc), "a");
        assert_int_equal(list->n, 2);
        assert_int_equal(list->first->kind, HN_YAML_STRING);
        assert_string_equal(list->first->text, texts[i]);
        hn_yaml_free(doc);
        hn_buf_free(&b);
    }
}

static void out_of_memory_is_a_status(void **state) {
    (void)state;
    const char *text = "a: {b: [1, 2], c: x}\nd: \"y\"\n";
    for (size_t n = 1;; n++) {
        hn_yaml *doc;
        hn_error err = {0};
        hn_alloc_fail_at(n, true);
        hn_status st = hn_yaml_parse("t.yaml", text, strlen(text), &doc, &err);
        hn_alloc_fail_at(0, false);
        if (st == HN_OK) {
            hn_yaml_free(doc);
            assert_true(n > 1);
            return;
        }
        assert_int_equal(st, HN_ERR_MEMORY);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(core_schema),
        cmocka_unit_test(places),
        cmocka_unit_test(refused_files),
        cmocka_unit_test(limits),
        cmocka_unit_test(empty_files_are_nothing),
        cmocka_unit_test(getters_explain),
        cmocka_unit_test(written_text_reads_back),
        cmocka_unit_test(out_of_memory_is_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
