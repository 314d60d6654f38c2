/* The data audit: datasets with planted defects, each found at its row and nowhere else; clean data give no finding; the remedy for
 * leakage; hostile cells; memory that runs out. Texts are drawn from a seed, so every run sees the same data. */
#include "support.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "base/str.h"
#include "lifecycle/scope/audit.h"
#include "project/excluded.h"

#include <stdio.h>
#include <string.h>

static char folder[HN_PATH_MAX];
static hn_project *project;
static const hn_dataset *dataset;
static hn_buf csv;
static int n_lines;

static void write_file(const char *name, const char *text, size_t n) {
    char path[HN_PATH_MAX];
    hn_error err = {0};
    hn_test_ok(hn_path_join(path, folder, name, &err), &err);
    hn_test_ok(hn_file_write_atomic(path, text, n, &err), &err);
}

static void begin(void) {
    hn_buf_init(&csv, 0);
    hn_buf_append_str(&csv, "text,label,who\n");
    n_lines = 1;
}

/* Appends a row and returns its line. Text must need no quotes. */
static int add(const char *text, const char *label, const char *who) {
    hn_buf_appendf(&csv, "\"%s\",%s,%s\n", text, label, who);
    return ++n_lines;
}

/* Words that belong to a label and words that belong to none. */
static const char *drawn(hn_rng *rng, int label, int n_words) {
    static char text[4000];
    size_t at = 0;
    text[0] = 0;
    for (int w = 0; w < n_words; w++) {
        unsigned own = (unsigned)hn_rng_below(rng, 40), any = (unsigned)hn_rng_below(rng, 4000);
        int n = w % 2 ? snprintf(text + at, sizeof text - at, " %c%cword%u", 'a' + label, 'k' + label, own)
                      : snprintf(text + at, sizeof text - at, "%sw%uz", at ? " " : "", any);
        at += (size_t)n;
    }
    return text;
}

static const char *const labels[] = {"red", "green", "blue"};

static void add_clean(hn_rng *rng, int n) {
    for (int i = 0; i < n; i++) add(drawn(rng, i % 3, 12), labels[i % 3], "");
}

static void open_data(const char *scope) {
    hn_error err = {0};
    write_file("cases.csv", csv.data, csv.len);
    write_file("hone.yaml", scope, strlen(scope));
    hn_test_ok(hn_project_open(folder, &project, &err), &err);
    hn_test_ok(hn_project_dataset(project, &dataset, &err), &err);
}

static const char one_file[] =
    "data: {file: cases.csv, input: text, target: label}\noutput: {choice: [red, green, blue]}\n";
static const char train_and_dev[] =
    "data: {train: train.csv, dev: cases.csv, input: text, target: label}\noutput: {choice: [red, green, blue]}\n";
static const char grouped_files[] = "data: {train: train.csv, dev: cases.csv, input: text, target: label, group: "
                                    "who}\noutput: {choice: [red, green, blue]}\n";

static void close_data(void) {
    char path[HN_PATH_MAX];
    hn_project_close(project);
    project = NULL;
    hn_buf_free(&csv);
    hn_error err;
    hn_test_ok(hn_path_join(path, folder, HN_EXCLUDED_FILE, &err), &err);
    remove(path);
}

static void audit_with(hn_audit *audit, bool quick) {
    hn_error err = {0};
    hn_audit_setup setup = {.scope = hn_project_scope(project), .dataset = dataset, .quick = quick};
    hn_test_ok(hn_audit_run(&setup, audit, &err), &err);
}

static void audit_now(hn_audit *audit) { audit_with(audit, false); }

/* The finding has exactly these lines (of cases.csv), in order. */
static void lines_are(const hn_audit *audit, hn_audit_kind kind, const int *lines, size_t n) {
    const hn_audit_finding *f = hn_audit_find(audit, kind);
    if (!f) fail_msg("no finding of kind %d", (int)kind);
    if (f->n != n) fail_msg("%s: %zu rows instead of %zu; the first: %s", f->name, f->n, n, f->rows[0].what);
    assert_int_equal(f->n_rows, n);
    for (size_t i = 0; i < n; i++) {
        assert_non_null(f->rows[i].c);
        if (f->rows[i].c->line != lines[i] || strcmp(hn_path_base(f->rows[i].c->file), "cases.csv") != 0)
            fail_msg("%s: row %zu is %s:%d instead of line %d", f->name, i, f->rows[i].c->file, f->rows[i].c->line,
                     lines[i]);
    }
}

static void only(const hn_audit *audit, const hn_audit_kind *kinds, size_t n) {
    for (size_t i = 0; i < audit->n; i++) {
        bool meant = false;
        for (size_t k = 0; k < n; k++) meant = meant || audit->findings[i].kind == kinds[k];
        if (!meant)
            fail_msg("also found: %s, %zu: %s", audit->findings[i].name, audit->findings[i].n,
                     audit->findings[i].rows[0].what);
    }
    assert_int_equal(audit->n, n);
}

#define LINES(audit, kind, ...) lines_are(audit, kind, (int[]){__VA_ARGS__}, sizeof((int[]){__VA_ARGS__}) / sizeof(int))
#define ONLY(audit, ...)                                                                                               \
    only(audit, (hn_audit_kind[]){__VA_ARGS__}, sizeof((hn_audit_kind[]){__VA_ARGS__}) / sizeof(hn_audit_kind))

static void clean_data(void **state) {
    (void)state;
    hn_rng rng;
    hn_audit audit;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        hn_rng_seed(&rng, seed, 0);
        begin();
        add_clean(&rng, 600);
        open_data(one_file);
        audit_now(&audit);
        only(&audit, NULL, 0);
        assert_false(audit.stops);
        assert_int_equal(audit.n_limits, 0);
        hn_audit_free(&audit);
        close_data();
    }
}

static void damage_and_personal_data(void **state) {
    (void)state;
    hn_rng rng;
    hn_audit audit;
    hn_rng_seed(&rng, 5, 0);
    begin();
    add_clean(&rng, 90);
    int lost = add("the name of M\uFFFDller is lost here for good", "red", "");
    int garbled = add("the name of M\u00c3\u00bcller is garbled by the export", "green", "");
    int control = add("there is a bell \x07 in this very line somewhere", "blue", "");
    int joined = add("a r\u00e9sum\u00e9 with joined letters stands in this one", "red", "");
    int apart = add("another re\u0301sume\u0301 with accents of their own came in", "green", "");
    int mail = add("please write to someone@firma.de when it has shipped", "blue", "");
    int phone = add("they want a call on +49 30 901820 before noon tomorrow", "red", "");
    int iban = add("send it to DE89 3704 0044 0532 0130 00 as was agreed", "green", "");
    int card = add("charged 4111 1111 1111 1111 without asking anybody here", "blue", "");
    int ip = add("the login came from 8.8.8.8 in the middle of the night", "red", "");
    add("harmless: nobody@example.com or 192.168.0.1 or 212-555-0142", "green", "");
    int empty = add("  ", "blue", "");
    (void)joined;
    open_data(one_file);
    audit_with(&audit, true); /* these texts have no words of their labels */
    LINES(&audit, HN_AUDIT_REPLACEMENT, lost);
    LINES(&audit, HN_AUDIT_MOJIBAKE, garbled);
    LINES(&audit, HN_AUDIT_CONTROL, control);
    LINES(&audit, HN_AUDIT_MIXED_FORMS, apart);
    LINES(&audit, HN_AUDIT_EMAIL, mail);
    LINES(&audit, HN_AUDIT_PHONE, phone);
    LINES(&audit, HN_AUDIT_IBAN, iban);
    LINES(&audit, HN_AUDIT_CARD, card);
    LINES(&audit, HN_AUDIT_IP, ip);
    LINES(&audit, HN_AUDIT_EMPTY, empty);
    ONLY(&audit, HN_AUDIT_REPLACEMENT, HN_AUDIT_MOJIBAKE, HN_AUDIT_CONTROL, HN_AUDIT_MIXED_FORMS, HN_AUDIT_EMAIL,
         HN_AUDIT_PHONE, HN_AUDIT_IBAN, HN_AUDIT_CARD, HN_AUDIT_IP, HN_AUDIT_EMPTY);
    /* the values stand nowhere in what is told */
    json_t *value;
    hn_error err;
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_test_ok(hn_audit_json(&audit, &value, &err), &err);
    hn_json_write(value, NULL, &text);
    static const char *const secrets[] = {"someone@", "901820", "DE89", "3704", "4111", "8.8.8"};
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) assert_null(strstr(text.data, secrets[i]));
    assert_non_null(strstr(text.data, "\"name\":\"iban\""));
    json_decref(value);
    hn_buf_free(&text);
    hn_audit_free(&audit);
    close_data();
}

static void copies_and_contradictions(void **state) {
    (void)state;
    hn_rng rng;
    hn_audit audit;
    char changed[4000], text[4000];
    hn_rng_seed(&rng, 6, 0);
    begin();
    add_clean(&rng, 120);
    snprintf(text, sizeof text, "%s", drawn(&rng, 0, 14));
    int a = add(text, "red", "");
    for (size_t i = 0; text[i]; i++)
        if (text[i] >= 'a' && text[i] <= 'z') text[i] = (char)(text[i] - 32);
    snprintf(changed, sizeof changed, "  %s!", text);
    int b = add(changed, "red", "");
    snprintf(text, sizeof text, "%s", drawn(&rng, 1, 14));
    int c = add(text, "green", "");
    int d = add(text, "blue", "");
    snprintf(text, sizeof text, "%s", drawn(&rng, 2, 30));
    int e = add(text, "blue", "");
    text[strlen(text) - 1] = 'q';
    int f = add(text, "blue", "");
    text[strlen(text) - 1] = 'x';
    int g = add(text, "red", "");
    static const char dev[] = "text,label,who\n\"something else altogether stands here\",red,\n";
    write_file("dev.csv", dev, sizeof dev - 1);
    open_data(
        "data: {train: cases.csv, dev: dev.csv, input: text, target: label}\noutput: {choice: [red, green, blue]}\n");
    audit_now(&audit);
    LINES(&audit, HN_AUDIT_DUPLICATE, b, d);
    LINES(&audit, HN_AUDIT_CONTRADICTION, c, d);
    LINES(&audit, HN_AUDIT_NEAR_DUPLICATE, f);
    LINES(&audit, HN_AUDIT_NEAR_CONTRADICTION, g);
    assert_false(audit.stops);
    assert_non_null(hn_audit_find(&audit, HN_AUDIT_NO_DEV)); /* one case in dev: two labels lack one */
    assert_int_equal(hn_audit_find(&audit, HN_AUDIT_NO_DEV)->n, 2);
    (void)a, (void)e;
    hn_audit_free(&audit);
    close_data();
}

/* ---- leakage ---- */

static void make_leaks(const char *scope, int *exact, int *near, int *group) {
    hn_rng rng;
    char text[4000], train[1 << 18];
    size_t at = 0;
    hn_rng_seed(&rng, 8, 0);
    at += (size_t)snprintf(train, sizeof train, "text,label,who\n");
    for (int i = 0; i < 60; i++)
        at += (size_t)snprintf(train + at, sizeof train - at, "\"%s\",%s,g%d\n", drawn(&rng, i % 3, 12), labels[i % 3],
                               i);
    begin();
    for (int i = 0; i < 60; i++) {
        char who[16];
        snprintf(who, sizeof who, "d%d", i);
        add(drawn(&rng, i % 3, 12), labels[i % 3], who);
    }
    snprintf(text, sizeof text, "%s", drawn(&rng, 0, 30));
    at += (size_t)snprintf(train + at, sizeof train - at, "\"%s\",red,x1\n\"%s.\",red,x2\n", text, text);
    text[0] = 'W';
    *exact = add(text, "red", "y1");
    snprintf(text, sizeof text, "%s", drawn(&rng, 1, 30));
    at += (size_t)snprintf(train + at, sizeof train - at, "\"%s\",green,x3\n", text);
    text[strlen(text) - 1] = 'q';
    *near = add(text, "green", "y2");
    text[strlen(text) - 1] = 'v';
    add(text, "blue", "y3"); /* another target: no leak */
    *group = add(drawn(&rng, 2, 12), "blue", "g5");
    write_file("train.csv", train, at);
    open_data(scope);
}

static void leaks_and_their_remedy(void **state) {
    (void)state;
    int exact, near, group;
    hn_audit audit;
    hn_leaks leaks;
    hn_error err = {0};
    size_t n_added, n_excluded;
    make_leaks(grouped_files, &exact, &near, &group);
    audit_now(&audit);
    assert_true(audit.stops);
    LINES(&audit, HN_AUDIT_LEAK_EXACT, exact);
    LINES(&audit, HN_AUDIT_LEAK_NEAR, near);
    LINES(&audit, HN_AUDIT_LEAK_GROUP, group);
    hn_audit_free(&audit);
    hn_test_ok(hn_leaks_find(dataset, NULL, &leaks, &err), &err);
    assert_int_equal(leaks.n, 3);
    assert_int_equal(hn_leaks_fail(&leaks, HN_ERR_GATE, &err), HN_ERR_GATE);
    char place[80];
    snprintf(place, sizeof place, "cases.csv:%d (dev) is train.csv:62 (train)", exact);
    if (!strstr(err.message, place)) fail_msg("\"%s\" lacks \"%s\"", err.message, place);
    assert_non_null(strstr(err.hint, "hone scope --fix"));
    hn_leaks_free(&leaks);
    /* both copies in train go, the near one, and the group's case there */
    unsigned char left_out[400] = {0};
    hn_test_ok(hn_leaks_fix(dataset, left_out, NULL, &n_added, &err), &err);
    assert_int_equal(n_added, 4);
    hn_buf list;
    hn_buf_init(&list, 0);
    hn_buf_append_str(&list, "id,reason\n");
    size_t dev = 0, before = dataset->n_cases;
    for (size_t i = 0; i < dataset->n_cases; i++) {
        dev += dataset->cases[i].split == HN_SPLIT_DEV;
        if (!left_out[i]) continue;
        assert_int_equal(dataset->cases[i].split, HN_SPLIT_TRAIN);
        hn_buf_appendf(&list, "%s,leak_exact\n", dataset->cases[i].id);
    }
    char whole[65];
    snprintf(whole, sizeof whole, "%s", dataset->hash);
    write_file(HN_EXCLUDED_FILE, list.data, list.len);
    hn_project_close(project);
    hn_test_ok(hn_project_open(folder, &project, &err), &err);
    hn_test_ok(hn_project_dataset(project, &dataset, &err), &err);
    n_excluded = hn_project_n_excluded(project);
    assert_int_equal(n_excluded, 4);
    assert_int_equal(dataset->n_cases, before - 4);
    assert_string_not_equal(dataset->hash, whole);
    for (size_t i = 0; i < dataset->n_cases; i++) dev -= dataset->cases[i].split == HN_SPLIT_DEV;
    assert_int_equal(dev, 0);
    hn_test_ok(hn_leaks_find(dataset, NULL, &leaks, &err), &err);
    assert_int_equal(leaks.n, 0);
    hn_leaks_free(&leaks);
    hn_buf_free(&list);
    close_data();
}

static void splits_stay_when_cases_are_left_out(void **state) {
    (void)state;
    hn_rng rng;
    hn_error err = {0};
    hn_split splits[200];
    char ids[200][16], list[64];
    hn_rng_seed(&rng, 9, 0);
    begin();
    add_clean(&rng, 200);
    open_data(one_file);
    for (size_t i = 0; i < 200; i++) {
        splits[i] = dataset->cases[i].split;
        snprintf(ids[i], sizeof ids[i], "%s", dataset->cases[i].id);
    }
    hn_project_close(project);
    int n = snprintf(list, sizeof list, "id\n%s\n%s\n", ids[3], ids[50]);
    write_file(HN_EXCLUDED_FILE, list, (size_t)n);
    hn_test_ok(hn_project_open(folder, &project, &err), &err);
    hn_test_ok(hn_project_dataset(project, &dataset, &err), &err);
    assert_int_equal(dataset->n_cases, 198);
    for (size_t i = 0, k = 0; i < 200; i++) {
        if (i == 3 || i == 50) continue;
        assert_string_equal(dataset->cases[k].id, ids[i]);
        assert_int_equal(dataset->cases[k++].split, splits[i]);
    }
    hn_project_close(project);
    /* a list with an id that nothing has */
    write_file(HN_EXCLUDED_FILE, "id\nnobody\n", 10);
    hn_test_ok(hn_project_open(folder, &project, &err), &err);
    assert_int_equal(hn_project_dataset(project, &dataset, &err), HN_ERR_NOT_FOUND);
    assert_string_equal(err.where, "excluded.csv:2");
    hn_project_close(project);
    write_file(HN_EXCLUDED_FILE, "name\nx\n", 7);
    hn_test_ok(hn_project_open(folder, &project, &err), &err);
    assert_int_equal(hn_project_dataset(project, &dataset, &err), HN_ERR_INPUT);
    hn_project_close(project);
    hn_test_ok(hn_project_open(folder, &project, &err), &err);
    hn_project_ignore_excluded(project);
    hn_test_ok(hn_project_dataset(project, &dataset, &err), &err);
    assert_int_equal(dataset->n_cases, 200);
    close_data();
}

static void a_large_cluster_is_mended(void **state) {
    (void)state;
    hn_rng rng;
    hn_error err = {0};
    char train[1 << 18], base[4000];
    size_t at = (size_t)snprintf(train, sizeof train, "text,label,who\n"), n_added;
    hn_rng_seed(&rng, 10, 0);
    snprintf(base, sizeof base, "%s", drawn(&rng, 0, 60));
    for (int i = 0; i < 150; i++) at += (size_t)snprintf(train + at, sizeof train - at, "\"%s %d\",red,\n", base, i);
    begin();
    add_clean(&rng, 30);
    for (int i = 0; i < 20; i++) {
        char text[4100];
        snprintf(text, sizeof text, "%s %d", base, 1000 + i);
        add(text, "red", "");
    }
    write_file("train.csv", train, at);
    open_data(train_and_dev);
    unsigned char left_out[400] = {0};
    hn_leaks leaks;
    hn_test_ok(hn_leaks_fix(dataset, left_out, NULL, &n_added, &err), &err);
    assert_int_equal(n_added, 150);
    hn_test_ok(hn_leaks_find(dataset, left_out, &leaks, &err), &err);
    assert_int_equal(leaks.n, 0);
    hn_leaks_free(&leaks);
    close_data();
}

/* ---- labels ---- */

static void wrong_labels(void **state) {
    (void)state;
    hn_rng rng;
    hn_audit audit;
    int wrong[12];
    hn_rng_seed(&rng, 11, 0);
    begin();
    for (int i = 0, n = 0; i < 600; i++) {
        bool flip = i % 50 == 17 && n < 12;
        int line = add(drawn(&rng, i % 3, 30), labels[(i + flip) % 3], "");
        if (flip) wrong[n++] = line;
    }
    open_data(one_file);
    audit_now(&audit);
    const hn_audit_finding *f = hn_audit_find(&audit, HN_AUDIT_LABEL_ERROR);
    assert_non_null(f);
    assert_int_equal(f->n, 12);
    for (size_t i = 0; i < 12; i++) {
        bool found = false;
        for (size_t k = 0; k < f->n_rows; k++) found = found || f->rows[k].c->line == wrong[i];
        assert_true(found);
    }
    ONLY(&audit, HN_AUDIT_LABEL_ERROR);
    hn_audit_free(&audit);
    close_data();
}

static void spellings_and_balance(void **state) {
    (void)state;
    hn_rng rng;
    hn_audit audit;
    hn_rng_seed(&rng, 12, 0);
    begin();
    for (int i = 0; i < 300; i++) add(drawn(&rng, 0, 12), "red", "");
    for (int i = 0; i < 8; i++) add(drawn(&rng, 1, 12), "green", "");
    int odd = add(drawn(&rng, 0, 12), "Red", "");
    add(drawn(&rng, 0, 12), "Red", "");
    open_data("data: {file: cases.csv, input: text, target: label}\noutput: {choice: [red, green, Red]}\n");
    audit_now(&audit);
    LINES(&audit, HN_AUDIT_LABEL_SPELLING, odd);
    assert_non_null(hn_audit_find(&audit, HN_AUDIT_IMBALANCE));
    hn_audit_free(&audit);
    close_data();
}

static void forms(void **state) {
    (void)state;
    hn_rng rng;
    hn_audit audit;
    int lines[8];
    hn_rng_seed(&rng, 13, 0);
    begin();
    add_clean(&rng, 100);
    for (int i = 0; i < 8; i++) {
        char text[4000];
        snprintf(text, sizeof text,
                 "Dear support team I am writing to you about the order that I placed with your shop: %s",
                 drawn(&rng, i % 3, 12));
        lines[i] = add(text, labels[i % 3], "");
    }
    open_data(one_file);
    audit_now(&audit);
    lines_are(&audit, HN_AUDIT_TEMPLATE, lines, 8);
    ONLY(&audit, HN_AUDIT_TEMPLATE);
    hn_audit_free(&audit);
    close_data();
}

static void what_does_not_fit(void **state) {
    (void)state;
    hn_rng rng;
    hn_audit audit;
    hn_error err = {0};
    int tokens[40];
    hn_rng_seed(&rng, 14, 0);
    begin();
    add_clean(&rng, 40);
    open_data(one_file);
    for (int i = 0; i < 40; i++) tokens[i] = 10;
    tokens[7] = 71; /* line 9 */
    tokens[8] = 70;
    hn_audit_prompt prompts[] = {{"short", 5, 30, 4}, {"long", 20, 60, 10}};
    hn_audit_setup setup = {.scope = hn_project_scope(project),
                            .dataset = dataset,
                            .tokens = tokens,
                            .context = 100,
                            .prompts = prompts,
                            .n_prompts = 2,
                            .quick = true};
    hn_test_ok(hn_audit_run(&setup, &audit, &err), &err);
    LINES(&audit, HN_AUDIT_TOO_LONG, 9);
    assert_non_null(strstr(hn_audit_find(&audit, HN_AUDIT_TOO_LONG)->rows[0].what, "in long: 1 more"));
    assert_int_equal(audit.n_limits, 1); /* --quick is said */
    hn_audit_free(&audit);
    close_data();
}

/* ---- hostile data ---- */

static void hostile_data(void **state) {
    (void)state;
    enum { HUGE_CELL = 9 << 20 };
    hn_audit audit;
    char *huge = hn_alloc(HUGE_CELL + 1);
    assert_non_null(huge);
    for (size_t i = 0; i < HUGE_CELL; i++) huge[i] = "ab @9."[i * 7919 % 6];
    huge[HUGE_CELL] = 0;
    begin();
    hn_buf_appendf(&csv, "\"%s\",red,\n\"%s!\",red,\n", huge, huge);
    hn_free(huge);
    for (int i = 0; i < 3000; i++) hn_buf_appendf(&csv, "x,%s,\n", labels[i % 3]);
    for (int i = 0; i < 30; i++) hn_buf_appendf(&csv, "\"%c\",green,\n", "?!.,;:-_/()[]{}<>|+*#=&%$@~^`"[i % 29]);
    open_data(one_file);
    audit_now(&audit);
    assert_non_null(hn_audit_find(&audit, HN_AUDIT_DUPLICATE));
    assert_non_null(hn_audit_find(&audit, HN_AUDIT_CONTRADICTION));
    assert_int_equal(hn_audit_find(&audit, HN_AUDIT_CONTRADICTION)->n, 3000);
    assert_int_equal(hn_audit_find(&audit, HN_AUDIT_CONTRADICTION)->n_rows, HN_AUDIT_ROWS_MAX);
    hn_audit_free(&audit);
    close_data();
}

static void out_of_memory_is_a_status(void **state) {
    (void)state;
    int exact, near, group;
    make_leaks(grouped_files, &exact, &near, &group);
    size_t step = 1;
    for (size_t n = 1;; n += step) {
        hn_audit audit;
        hn_error err = {0};
        hn_audit_setup setup = {.scope = hn_project_scope(project), .dataset = dataset};
        hn_alloc_fail_at(n, true);
        hn_status st = hn_audit_run(&setup, &audit, &err);
        hn_alloc_fail_at(0, false);
        if (st == HN_OK) hn_audit_free(&audit);
        if (st == HN_OK) break;
        if (st != HN_ERR_MEMORY) fail_msg("allocation %zu: %s: %s", n, hn_status_name(st), err.message);
        if (n > 300) step = 37; /* each text is folded alike */
    }
    close_data();
}

static int enter(void **state) {
    (void)state;
    hn_json_init();
    return hn_test_enter(folder);
}

static int leave(void **state) {
    (void)state;
    return hn_test_leave(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clean_data),
        cmocka_unit_test(damage_and_personal_data),
        cmocka_unit_test(copies_and_contradictions),
        cmocka_unit_test(leaks_and_their_remedy),
        cmocka_unit_test(splits_stay_when_cases_are_left_out),
        cmocka_unit_test(a_large_cluster_is_mended),
        cmocka_unit_test(wrong_labels),
        cmocka_unit_test(spellings_and_balance),
        cmocka_unit_test(forms),
        cmocka_unit_test(what_does_not_fit),
        cmocka_unit_test(hostile_data),
        cmocka_unit_test(out_of_memory_is_a_status),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
