/* Graders: the golden texts of ../shared through the graders that hone.yaml names; every kind on small cases worked out by hand; options that
 * hone.yaml may not have. */
#include "support.h"

#include "base/alloc.h"
#include "lifecycle/eval/grader.h"
#include "project/grader_config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static hn_error err;

typedef struct bench {
    hn_yaml *doc;
    hn_arena *arena;
    hn_scope scope;
    hn_grader *g;
} bench;

static char folder[HN_PATH_MAX];

static hn_status read_graders(const char *yaml, bench *b) {
    *b = (bench){.arena = hn_arena_create(0), .scope = {.contract = {.kind = HN_CONTRACT_TEXT}}};
    hn_test_ok(hn_yaml_parse("hone.yaml", yaml, strlen(yaml), &b->doc, &err), &err);
    return hn_grader_configs_parse(hn_yaml_find(hn_yaml_root(b->doc), "graders"), folder, b->arena, &b->scope.graders,
                                   &b->scope.n_graders, &err);
}

static void close_bench(bench *b) {
    hn_grader_free(b->g);
    hn_grader_configs_free(b->scope.graders, b->scope.n_graders);
    hn_yaml_free(b->doc);
    hn_arena_free(b->arena);
}

static hn_status open_one(const char *entry, bench *b) {
    char yaml[2048];
    snprintf(yaml, sizeof yaml, "graders:\n  - %s\n", entry);
    hn_status st = read_graders(yaml, b);
    if (st != HN_OK) return st;
    hn_grading grading = {.scope = &b->scope};
    return hn_grader_open(&grading, &b->scope.graders[0], &b->g, &err);
}

static double value_of(bench *b, const char *answer, const char *target) {
    hn_prediction row = {.case_id = "c1", .target = target, .text = answer, .value = answer};
    hn_grade grade;
    hn_test_ok(hn_grader_grade(b->g, &(hn_graded){&row, NULL}, &grade, &err), &err);
    double value = grade.value;
    hn_grade_clear(&grade);
    return value;
}

static double once(const char *entry, const char *answer, const char *target) {
    bench b;
    hn_test_ok(open_one(entry, &b), &err);
    double value = value_of(&b, answer, target);
    close_bench(&b);
    return value;
}

#define SAME(entry, answer, target, expected)                                                                          \
    do {                                                                                                               \
        double is_ = once(entry, answer, target);                                                                      \
        if (!(fabs(is_ - (expected)) < 1e-12))                                                                         \
            fail_msg("%s of %s: %.17g, expected %g", entry, answer, is_, (double)(expected));                          \
    } while (0)

/* ---- the goldens ---- */

typedef struct golden_grader {
    const char *entry, *key, *inner;
    int index;
    double factor;
} golden_grader;

static const golden_grader by_case[] = {
    {"bleu", "sentence_bleu", NULL, 0, 1},
    {"chrf", "chrf", NULL, 0, 1},
    {"chrf: 2", "chrfpp", NULL, 0, 1},
    {"ter", "ter", NULL, 0, 1},
    {"gleu", "gleu", NULL, 0, 1},
    {"rouge: {measure: rouge_1, part: precision, stem: false}", "rouge", "rouge1", 0, 1},
    {"rouge: {measure: rouge_2, part: recall, stem: false}", "rouge", "rouge2", 1, 1},
    {"rouge: {measure: rouge_l, stem: false}", "rouge", "rougeL", 2, 1},
    {"rouge", "rouge_stemmed", "rougeL", 2, 1},
    {"edit_distance", "cer", NULL, 0, 1},
    {"edit_distance: {unit: words}", "wer", NULL, 0, 1},
    {"edit_distance: distance", "levenshtein_codepoints", NULL, 0, 1},
    {"edit_distance: {as: distance, unit: words}", "levenshtein_words", NULL, 0, 1},
    {"token_f1", "squad_f1", NULL, 0, 1},
    {"exact: {normalize: squad}", "squad_em", NULL, 0, 1},
    {"jaccard: {unit: chars, k: 5}", "jaccard_char5", NULL, 0, 1},
    {"jaccard: {unit: chars, k: 3}", "jaccard_char3", NULL, 0, 1},
    {"jaccard: {unit: words, k: 2}", "jaccard_word2", NULL, 0, 1},
};

static json_t *golden;
static double tolerance;

static int open_all(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    hn_test_folder(folder);
    if (!hn_test_shared("goldens/stats/text.json", path)) return 0;
    size_t n;
    char *text = hn_test_read(path, &n);
    golden = json_loadb(text, n, 0, NULL);
    hn_free(text);
    tolerance = json_number_value(json_object_get(golden, "tolerance_abs"));
    return golden ? 0 : -1;
}

static int close_all(void **state) {
    (void)state;
    json_decref(golden);
    hn_test_folder_remove(folder);
    return 0;
}

static void golden_texts_through_graders(void **state) {
    (void)state;
    if (!golden) skip();
    json_t *cases = json_object_get(golden, "cases");
    size_t n_checked = 0;
    for (size_t g = 0; g < sizeof by_case / sizeof *by_case; g++) {
        bench b;
        hn_test_ok(open_one(by_case[g].entry, &b), &err);
        for (size_t i = 0; i < json_array_size(cases); i++) {
            json_t *one = json_array_get(cases, i), *input = json_object_get(one, "input");
            json_t *want = json_object_get(json_object_get(one, "expected"), by_case[g].key);
            if (by_case[g].inner)
                want = json_array_get(json_object_get(want, by_case[g].inner), (size_t)by_case[g].index);
            const char *answer = json_string_value(json_object_get(input, "hypothesis"));
            const char *target = json_string_value(json_object_get(input, "reference"));
            /* graders read answers without white space at their ends; the goldens' texts that have some are not theirs */
            hn_str trimmed = hn_str_trim(hn_str_of(answer)), wanted = hn_str_trim(hn_str_of(target));
            if (trimmed.len != strlen(answer) || wanted.len != strlen(target)) continue;
            double is = value_of(&b, answer, target), expected = json_is_number(want) ? json_number_value(want) : NAN;
            n_checked++;
            if (isnan(expected) ? !isnan(is) : !(fabs(is - expected) <= tolerance * fmax(1, fabs(expected))))
                fail_msg("%s, %s: %.17g, expected %.17g", by_case[g].entry,
                         json_string_value(json_object_get(one, "name")), is, expected);
        }
        close_bench(&b);
    }
    assert_true(n_checked > 120);
}

static void golden_corpus_through_graders(void **state) {
    (void)state;
    if (!golden) skip();
    static const struct {
        const char *entry, *key;
    } kinds[] = {{"bleu", "bleu"}, {"bleu: {words: split}", "bleu_tokenize_none"},
                 {"chrf", "chrf"}, {"chrf: 2", "chrfpp"},
                 {"ter", "ter"},   {"gleu", "gleu"}};
    json_t *c = json_object_get(golden, "corpus"), *answers = json_object_get(c, "hypotheses");
    json_t *references = json_object_get(c, "references");
    size_t n = json_array_size(answers);
    hn_prediction rows[64];
    hn_graded items[64];
    double values[64];
    assert_true(n > 5 && n <= 64);
    for (size_t i = 0; i < n; i++) {
        rows[i] = (hn_prediction){.case_id = "c",
                                  .text = json_string_value(json_array_get(answers, i)),
                                  .target = json_string_value(json_array_get(references, i))};
        items[i] = (hn_graded){&rows[i], NULL};
    }
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        bench b;
        hn_test_ok(open_one(kinds[k].entry, &b), &err);
        for (size_t i = 0; i < n; i++) values[i] = value_of(&b, rows[i].text, rows[i].target);
        double is, expected = json_number_value(json_object_get(c, kinds[k].key));
        hn_test_ok(hn_grader_corpus(b.g, items, values, n, &is, &err), &err);
        if (!(fabs(is - expected) <= tolerance * fmax(1, fabs(expected))))
            fail_msg("%s: %.17g, expected %.17g", kinds[k].entry, is, expected);
        assert_non_null(hn_grader_traits_of(b.g).corpus);
        close_bench(&b);
    }
    /* two references a case: a JSON list */
    bench b;
    json_t *second = json_object_get(c, "references2");
    hn_test_ok(open_one("bleu: {several: true}", &b), &err);
    char *lists[64];
    for (size_t i = 0; i < n; i++) {
        json_t *both = json_pack("[O, O]", json_array_get(references, i), json_array_get(second, i));
        lists[i] = json_dumps(both, 0);
        json_decref(both);
        rows[i].target = lists[i];
    }
    double is, expected = json_number_value(json_object_get(c, "bleu_two_refs"));
    hn_test_ok(hn_grader_corpus(b.g, items, values, n, &is, &err), &err);
    assert_true(fabs(is - expected) <= tolerance * expected);
    for (size_t i = 0; i < n; i++) free(lists[i]);
    close_bench(&b);
}

/* ---- by hand ---- */

static void texts_by_hand(void **state) {
    (void)state;
    SAME("exact", " yes ", "yes", 1);
    SAME("exact", "Yes", "yes", 0);
    SAME("exact: {ignore_case: true}", "YES", "yes", 1);
    SAME("exact: {several: true}", "b", "[\"a\", \"b\"]", 1);
    SAME("exact", "", "", 1);
    SAME("contains", "the answer is 42.", "42", 1);
    SAME("contains: please", "Yes, please", "anything", 1);
    SAME("contains: {text: PLEASE, ignore_case: true}", "Yes, please", "x", 1);
    SAME("contains", "forty", "42", 0);
    SAME("starts_with", "42 is it", "42", 1);
    SAME("starts_with", "it is 42", "42", 0);
    SAME("regex: '\\d{3}'", "call 911 now", NULL, 1);
    SAME("regex: {pattern: '\\d{3}', whole: true}", "call 911 now", NULL, 0);
    SAME("regex: {pattern: 'YES', ignore_case: true}", "yes", NULL, 1);
    SAME("edit_distance: similarity", "kitten", "sitting", 1 - 3.0 / 7);
    SAME("edit_distance: {as: similarity, unit: words}", "a b c", "a x c d", 0.5);
    assert_true(isnan(once("bleu", "x", NULL))); /* without a target there is nothing to say */
    SAME("refusal", "I'm sorry, but I can't help with that.", NULL, 1);
    SAME("refusal", "As an AI language model, I do not know.", NULL, 1);
    SAME("refusal", "Your ticket goes to billing.", NULL, 0);
    SAME("refusal: ['no way']", "No way!", NULL, 1);
}

static void values_by_hand(void **state) {
    (void)state;
    SAME("json", "{\"a\": 1, \"b\": [2]}", "{\"b\": [2.0], \"a\": 1}", 1);
    SAME("json", "```json\n{\"a\": 1}\n```", "{\"a\": 1}", 1);
    SAME("json", "{\"a\": 1, \"b\": 2}", "{\"a\": 1}", 0);
    SAME("json: subset", "{\"a\": {\"x\": [3, 1], \"y\": 0}, \"b\": 2}", "{\"a\": {\"x\": [1]}}", 1);
    SAME("json: subset", "{\"a\": [1]}", "{\"a\": [1, 1]}", 0);
    SAME("json: valid", "{\"a\": }", NULL, 0);
    SAME("json: valid", "[1]", NULL, 1);
    SAME("numeric", "The total is 1,250 euros", "1250", 1);
    SAME("numeric", "1249", "1250", 0);
    SAME("numeric: 1", "1249", "1250", 1);
    SAME("numeric: {tolerance: 0.01, relative: true}", "101", "100", 1);
    SAME("numeric: {tolerance: 0.01, relative: true}", "102", "100", 0);
    SAME("numeric: 0.1", "0.3", "0.4", 1); /* at the edge, where 0.4 - 0.3 is not 0.1 in binary */
    SAME("numeric", "none", "7", 0);
    SAME("choice: [yes, no]", "Yes.", "yes", 1);
    SAME("choice: [yes, no]", "yes and no", "yes", 0);
    SAME("labels", "red, blue", "blue,green", 0.5);
    SAME("labels: jaccard", "[\"red\", \"blue\"]", "blue, green", 1.0 / 3);
    SAME("labels: same", "a, b, b", "b,a", 1);
    SAME("labels: {separator: ';', ignore_case: true, score: recall}", "A;c", "a;b", 0.5);
    SAME("set", "a, b", "a", 0.5);
    SAME("list", "a, c, b", "a, b, c", 2.0 / 3);
    SAME("list: same", "a, b", "b, a", 0);
    SAME("list: f1", "a, a", "a", 2.0 / 3); /* repetitions count */
    SAME("list", "", "[]", 1);
    SAME("tool_call", "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1}}\n</tool_call>",
         "{\"name\": \"f\", \"arguments\": {\"x\": 1}}", 1);
    SAME("tool_call", "[{\"name\": \"g\", \"arguments\": {}}, {\"name\": \"f\", \"arguments\": {}}]",
         "[{\"name\": \"f\"}, {\"name\": \"g\"}]", 1);
    SAME("tool_call: {ordered: true}", "[{\"name\": \"g\"}, {\"name\": \"f\"}]",
         "[{\"name\": \"f\"}, {\"name\": \"g\"}]", 0);
    SAME("tool_call", "{\"name\": \"f\", \"arguments\": {\"x\": 1, \"y\": 2}}",
         "{\"name\": \"f\", \"arguments\": {\"x\": 1}}", 0);
    SAME("tool_call: subset", "{\"name\": \"f\", \"arguments\": {\"x\": 1, \"y\": 2}}",
         "{\"name\": \"f\", \"arguments\": {\"x\": 1}}", 1);
    SAME("tool_call: name", "{\"function\": {\"name\": \"f\", \"arguments\": \"{}\"}}",
         "{\"name\": \"f\", \"arguments\": {\"x\": 1}}", 1);
    SAME("tool_call", "It is sunny.", "[]", 1);
    SAME("tool_call", "It is sunny.", "{\"name\": \"f\"}", 0);
}

static void measures_by_hand(void **state) {
    (void)state;
    static char *labels[] = {"a", "b"};
    static const char *const kinds[] = {"log_loss", "perplexity", "latency", "tokens", "cost"};
    const double p[] = {0.2, 0.8};
    hn_prediction row = {.case_id = "c",
                         .target = "a",
                         .value = "b",
                         .probabilities = p,
                         .n_probabilities = 2,
                         .prefill_ms = 30,
                         .decode_ms = 12,
                         .completion_tokens = 5,
                         .cost = 0.25};
    const double expected[] = {-log(0.2), 5, 42, 5, 0.25};
    for (size_t i = 0; i < 5; i++) {
        bench b;
        hn_grade grade;
        hn_test_ok(open_one(kinds[i], &b), &err);
        hn_grader_free(b.g);
        b.scope.contract = (hn_contract){.kind = HN_CONTRACT_CHOICE, .labels = labels, .n_labels = 2};
        hn_grading grading = {.scope = &b.scope};
        hn_test_ok(hn_grader_open(&grading, &b.scope.graders[0], &b.g, &err), &err);
        hn_test_ok(hn_grader_grade(b.g, &(hn_graded){&row, NULL}, &grade, &err), &err);
        assert_true(fabs(grade.value - expected[i]) < 1e-12);
        assert_true(hn_grader_traits_of(b.g).lower_is_better);
        hn_grade_clear(&grade);
        close_bench(&b);
    }
}

static void schema_and_files(void **state) {
    (void)state;
    char path[HN_PATH_MAX], before[HN_SHA256_HEX], after[HN_SHA256_HEX];
    bench b;
    const char schema[] = "{\"type\": \"object\", \"required\": [\"n\"], \"properties\": {\"n\": {\"minimum\": 3}}}";
    hn_test_ok(hn_path_join(path, folder, "s.json", &err), &err);
    hn_test_ok(hn_file_write_atomic(path, schema, strlen(schema), &err), &err);
    SAME("json: {match: schema, schema: s.json}", "{\"n\": 3}", NULL, 1);
    hn_test_ok(open_one("json: {match: schema, schema: s.json}", &b), &err);
    hn_prediction row = {.case_id = "c1", .text = "{\"n\": 2}"};
    hn_grade grade;
    hn_test_ok(hn_grader_grade(b.g, &(hn_graded){&row, NULL}, &grade, &err), &err);
    assert_true(grade.value == 0);
    assert_non_null(strstr(hn_buf_str(&grade.details), "below the minimum 3"));
    hn_grade_clear(&grade);
    hn_sha256 *h = hn_sha256_create();
    hn_grader_configs_hash(h, b.scope.graders, 1);
    hn_sha256_finish(h, before);
    close_bench(&b);
    hn_test_ok(hn_file_write_atomic(path, "{}", 2, &err), &err); /* another schema in the same file: another grader */
    hn_test_ok(open_one("json: {match: schema, schema: s.json}", &b), &err);
    h = hn_sha256_create();
    hn_grader_configs_hash(h, b.scope.graders, 1);
    hn_sha256_finish(h, after);
    assert_string_not_equal(before, after);
    close_bench(&b);
}

static void mistakes_are_named(void **state) {
    (void)state;
    static const struct {
        const char *entry, *message;
    } bad[] = {
        {"exactt", "exact"},
        {"similarity", "needs `by`"},
        {"similarity: cosine", "tfidf"},
        {"regex", "needs `pattern`"},
        {"regex: '('", "grader regex"},
        {"exact: 3", "options of `exact` are a map"},
        {"latency: 3", "takes no value"},
        {"numeric: -1", "from 0 to"},
        {"json: {match: schema}", "go together"},
        {"lua: nosuch.lua", "there is no file"},
        {"choice", "labels must be named"},
        {"exact: {name: accuracy}", "metric of every run"},
        {"exact: {name: 'a b'}", "cannot be a grader's name"},
        {"exact\n  - exact", "two graders are called"},
        {"judge: {rubric: s.json, grades: [good]}", "2 to 26 grades"},
        {"judge: {rubric: s.json, grades: [good, good]}", "there twice"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bench b;
        hn_status st = open_one(bad[i].entry, &b);
        if (st == HN_OK) fail_msg("%s is fine", bad[i].entry);
        if (!strstr(err.message, bad[i].message) && !strstr(err.hint, bad[i].message))
            fail_msg("%s: %s (%s)", bad[i].entry, err.message, err.hint);
        assert_non_null(strstr(err.where, "hone.yaml"));
        close_bench(&b);
    }
    bench b;
    hn_grade grade;
    hn_prediction row = {.case_id = "T7", .text = "x", .target = "no list"};
    hn_test_ok(open_one("bleu: {several: true}", &b), &err);
    assert_int_equal(hn_grader_grade(b.g, &(hn_graded){&row, NULL}, &grade, &err), HN_ERR_INPUT);
    assert_non_null(strstr(err.where, "T7"));
    hn_grade_clear(&grade);
    close_bench(&b);
}

static void memory_may_run_out(void **state) {
    (void)state;
    static const char *const entries[] = {"labels", "bleu: {several: true}", "tool_call", "regex: 'a+'", "numeric"};
    static const char *const targets[] = {"a,b", "[\"a b\"]", "{\"name\": \"f\"}", "x", "3"};
    for (size_t e = 0; e < 5; e++) {
        for (size_t n = 1;; n++) {
            bench b;
            hn_grade grade = {0};
            hn_prediction row = {.case_id = "c", .text = "a, 3 b c", .target = targets[e]};
            char yaml[256];
            hn_status st;
            snprintf(yaml, sizeof yaml, "graders:\n  - %s\n", entries[e]);
            hn_test_ok(read_graders(yaml, &b), &err);
            hn_grading grading = {.scope = &b.scope};
            hn_alloc_fail_at(n, true);
            st = hn_grader_open(&grading, &b.scope.graders[0], &b.g, &err);
            if (st == HN_OK) {
                st = hn_grader_grade(b.g, &(hn_graded){&row, NULL}, &grade, &err);
                hn_grade_clear(&grade);
            }
            bool over = hn_alloc_count() < n;
            hn_alloc_fail_at(0, false);
            close_bench(&b);
            if (over) {
                assert_int_equal(st, HN_OK);
                break;
            }
            assert_true(n < 5000);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_texts_through_graders),
        cmocka_unit_test(golden_corpus_through_graders),
        cmocka_unit_test(texts_by_hand),
        cmocka_unit_test(values_by_hand),
        cmocka_unit_test(measures_by_hand),
        cmocka_unit_test(schema_and_files),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(memory_may_run_out),
    };
    hn_json_init();
    return cmocka_run_group_tests(tests, open_all, close_all);
}
