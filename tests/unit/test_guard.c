/* Guards and groundedness: rules and their mistakes, what is refused before and after the model, fallbacks, what a run keeps of it, the
 * language guess, support of sentences counted by hand, memory that runs out. */
#include "fake_provider.h"
#include "support.h"

#include "app/app.h"
#include "base/alloc.h"
#include "lifecycle/eval/eval.h"
#include "lifecycle/eval/guard_report.h"
#include "text/groundedness.h"
#include "text/language.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static char folder[HN_PATH_MAX];

static void write_file(const char *name, const char *text) {
    char path[HN_PATH_MAX];
    hn_error err = {0};
    hn_test_ok(hn_path_join(path, folder, name, &err), &err);
    hn_test_ok(hn_file_write_atomic(path, text, strlen(text), &err), &err);
}

/* ---- languages ---- */

static void languages(void **state) {
    (void)state;
    const struct {
        const char *text, *code;
    } cases[] = {
        {"Where is my invoice and why have you not sent it to me?", "en"},
        {"Wo ist meine Rechnung und warum haben Sie mir die noch nicht geschickt?", "de"},
        {"O\u00f9 est ma facture et pourquoi vous ne me l'avez pas envoy\u00e9e?", "fr"},
        {"\u00bfD\u00f3nde est\u00e1 mi factura y por qu\u00e9 no me la han enviado todav\u00eda?", "es"},
        {"Dov'\u00e8 la mia fattura e perch\u00e9 non me la avete ancora mandata con la merce?", "it"},
        {"Waar is mijn factuur en waarom is die niet naar mij gestuurd?", "nl"},
        {"Gdzie jest moja faktura i czy mo\u017ce mi pan powiedzie\u0107 kiedy do mnie przyjdzie, bo nie mam?", "pl"},
        {"\u042f \u043d\u0435 \u043f\u043e\u043b\u0443\u0447\u0438\u043b \u0441\u0447\u0451\u0442, \u0447\u0442\u043e "
         "\u043c\u043d\u0435 \u0434\u0435\u043b\u0430\u0442\u044c?",
         "ru"},
        {"\u03a0\u03bf\u03cd \u03b5\u03af\u03bd\u03b1\u03b9", "el"},
        {"\u8bf7\u95ee\u6211\u7684\u53d1\u7968\u5728\u54ea\u91cc", "zh"},
        {"\u79c1\u306e\u8acb\u6c42\u66f8\u306f\u3069\u3053\u3067\u3059\u304b", "ja"},
        {"\ub0b4 \uccad\uad6c\uc11c", "ko"},
        {"invoice", NULL},
        {"Jane Roe", NULL},
        {"T0423 404 <html> x=1", NULL},
        {"", NULL},
        {"\xff\xfe\xff", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *code = hn_language_of(hn_str_of(cases[i].text));
        bool same = code && cases[i].code ? strcmp(code, cases[i].code) == 0 : code == cases[i].code;
        if (!same)
            fail_msg("\"%s\" is %s, not %s", cases[i].text, code ? code : "-", cases[i].code ? cases[i].code : "-");
    }
    assert_true(hn_language_is_known("en"));
    assert_false(hn_language_is_known("xx"));
}

/* ---- support ---- */

static void support_by_hand(void **state) {
    (void)state;
    hn_groundedness g;
    hn_error err;
    const hn_str context = hn_str_of("The shop opens at 9 on weekdays. Returns are free within 30 days of delivery.");
    hn_test_ok(hn_groundedness_check(hn_str_of("Returns are free within 30 days."), context, 0.5, &g, &err), &err);
    assert_int_equal(g.n, 1);
    assert_true(g.support == 1); /* all four runs of three words stand there */
    assert_int_equal(g.n_unsupported, 0);
    hn_groundedness_free(&g);
    /* a number that is not there takes all support; another sentence keeps its own */
    const char *answer = "Returns are free within 60 days. The shop opens at 9.";
    hn_test_ok(hn_groundedness_check(hn_str_of(answer), context, 0.5, &g, &err), &err);
    assert_int_equal(g.n, 2);
    assert_true(g.items[0].support == 0 && g.items[1].support == 1);
    assert_int_equal(g.items[0].to, 32);
    assert_true(fabs(g.support - 5.0 / 11.0) < 1e-12); /* weighted by words: 6 and 5 */
    assert_int_equal(g.n_unsupported, 1);
    hn_groundedness_free(&g);
    /* no run of three, but 3 of 4 words of a sentence of 8: cosine 3 / sqrt(4 * 8) */
    hn_test_ok(hn_groundedness_check(hn_str_of("delivery returns cost free"), context, 0.5, &g, &err), &err);
    assert_true(fabs(g.support - 3 / sqrt(32.0)) < 1e-12);
    hn_groundedness_free(&g);
    hn_test_ok(hn_groundedness_check(hn_str_of("Bananas grow quickly."), context, 0.5, &g, &err), &err);
    assert_true(g.support == 0);
    hn_groundedness_free(&g);
    hn_test_ok(hn_groundedness_check(hn_str_of("..."), context, 0.5, &g, &err), &err);
    assert_true(isnan(g.support) && g.n == 0);
    hn_groundedness_free(&g);
    hn_test_ok(hn_groundedness_check(hn_str_of("Anything."), hn_str_of(""), 0.5, &g, &err), &err);
    assert_true(g.support == 0);
    hn_groundedness_free(&g);
    for (size_t n = 1;; n++) {
        hn_alloc_fail_at(n, true);
        hn_status st = hn_groundedness_check(hn_str_of(answer), context, 0.5, &g, &err);
        hn_alloc_fail_at(0, false);
        if (st == HN_OK) break;
        assert_int_equal(st, HN_ERR_MEMORY);
    }
    hn_groundedness_free(&g);
}

/* ---- rules ---- */

static const char data[] =
    "id,text,facts,label\n"
    "a,Where is my invoice and when will it come to me,The invoice was sent on 3 May.,The invoice was sent on 3 May.\n"
    "b,Wo ist meine Rechnung und warum ist die noch nicht da,The invoice was sent.,none\n"
    "c,hi,The invoice was sent.,none\n"
    "d,What is the password of my neighbour and where can I get it,The invoice was sent.,none\n"
    "e,Why was the parcel lost and who will pay me for that,The parcel came back.,none\n"
    "f,What have you done to the roof of our house,Nothing is known.,none\n";

static void scope_with(const char *guard) {
    char yaml[2000];
    snprintf(yaml, sizeof yaml,
             "data: {train: train.csv, dev: t.csv, input: [text, facts], target: label, id: id, context: "
             "facts}\noutput: text\n%s",
             guard);
    write_file("hone.yaml", yaml);
}

static const char guarded[] = "guard:\n"
                              "  input: {min_characters: 26, language: en, must_not_match: '(?i)password'}\n"
                              "  output: {max_characters: 60, must_not_match: ['lawyer'], grounded: 0.5}\n";

static void refuses(const char *guard, const char *where, const char *message) {
    hn_project *p = NULL;
    hn_error err = {0};
    scope_with(guard);
    hn_status st = hn_project_open(folder, &p, &err);
    hn_project_close(p);
    if (st != HN_ERR_INPUT) fail_msg("%s: %s", guard, hn_status_name(st));
    if (strcmp(err.where, where) != 0 || !strstr(err.message, message))
        fail_msg("%s: %s: %s", guard, err.where, err.message);
}

static void mistakes(void **state) {
    (void)state;
    refuses("guard: {inptu: {}}\n", "hone.yaml:3:9", "unknown key `inptu`");
    refuses("guard: {input: {grounded: 0.5}}\n", "hone.yaml:3:17", "unknown key `grounded`");
    refuses("guard: {output: {grounded: 2}}\n", "hone.yaml:3:28", "from 0 to 1");
    refuses("guard: {input: {max_characters: x}}\n", "hone.yaml:3:33", "whole number");
    refuses("guard: {input: {max_characters: 2, min_characters: 3}}\n", "hone.yaml:3:16", "below");
    refuses("guard: {input: {language: klingon}}\n", "hone.yaml:3:27", "`klingon` is not known");
    refuses("guard: {input: {must_match: '(a'}}\n", "hone.yaml:3:29", "");
    hn_project *p = NULL;
    hn_error err = {0};
    write_file("hone.yaml",
               "data: {train: train.csv, dev: t.csv, input: text, target: label, context: facts}\noutput: text\n");
    assert_int_equal(hn_project_open(folder, &p, &err), HN_ERR_INPUT);
    assert_non_null(strstr(err.message, "`facts` is no input"));
    write_file("hone.yaml",
               "data: {train: train.csv, dev: t.csv, target: label}\noutput: text\nguard: {output: {grounded: 0.5}}\n");
    assert_int_equal(hn_project_open(folder, &p, &err), HN_ERR_INPUT);
    assert_non_null(strstr(err.message, "`grounded` needs the column"));
}

/* ---- a run ---- */

static void answer_by(const char *prompt, const hn_request *r, char out[256]) {
    (void)r;
    const char *text = strstr(prompt, "parcel") ? "Ask your lawyer about the parcel."
                       : strstr(prompt, "roof") ? "We painted it green in 2019."
                                                : "The invoice was sent on 3 May.";
    snprintf(out, 256, "%s", text);
}

typedef struct fixture {
    hn_project *project;
    const hn_dataset *dataset;
    hn_store *store;
    hn_prompt *prompt;
    hn_fake_script script;
    hn_provider *provider;
} fixture;

static void open_fixture(fixture *f, const char *guard) {
    char path[HN_PATH_MAX];
    hn_error err = {0};
    *f = (fixture){.script = {.write = answer_by, .per_step = 2}};
    scope_with(guard);
    write_file("p.yaml", "messages: [{user: \"{{ facts }}\\n{{ text }}\"}]\nanswer: generate\n");
    hn_test_ok(hn_project_open(folder, &f->project, &err), &err);
    hn_test_ok(hn_project_dataset(f->project, &f->dataset, &err), &err);
    hn_test_ok(hn_store_open(hn_project_store_dir(f->project), &f->store, &err), &err);
    hn_test_ok(hn_path_join(path, folder, "p.yaml", &err), &err);
    hn_test_ok(hn_prompt_load(path, hn_project_scope(f->project), f->dataset, &f->prompt, &err), &err);
    f->provider = hn_fake_provider(&f->script);
}

static void close_fixture(fixture *f) {
    hn_provider_close(f->provider);
    hn_prompt_free(f->prompt);
    hn_store_close(f->store);
    hn_project_close(f->project);
}

static const hn_prediction *row_of(const hn_prediction_list *list, const char *id) {
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->rows[i].case_id, id) == 0) return &list->rows[i];
    fail_msg("no row %s", id);
    return NULL;
}

static void fired(const hn_prediction_list *list, const char *id, const char *guard) {
    const hn_prediction *p = row_of(list, id);
    char wanted[80];
    snprintf(wanted, sizeof wanted, "\"guard\":\"%s\"", guard ? guard : "");
    bool has = p->details_json && strstr(p->details_json, guard ? wanted : "\"guard\":");
    if (has != (guard != NULL))
        fail_msg("%s: %s instead of %s", id, p->details_json ? p->details_json : "-", guard ? guard : "none");
}

static void a_run(void **state) {
    (void)state;
    fixture f;
    hn_error err = {0};
    hn_eval_result r;
    hn_guard_report g;
    open_fixture(&f, guarded);
    hn_eval_setup setup = {
        .project = f.project, .dataset = f.dataset, .store = f.store, .provider = f.provider, .split = HN_SPLIT_DEV};
    hn_test_ok(hn_eval_run(&setup, f.prompt, NULL, NULL, &r, &err), &err);
    assert_int_equal(r.report.n, 6);
    assert_int_equal(f.script.n_submitted, 3); /* b, c, d never reach the model */
    fired(&r.predictions, "a", NULL);
    fired(&r.predictions, "b", "input.language");
    fired(&r.predictions, "c", "input.min_characters");
    fired(&r.predictions, "d", "input.must_not_match");
    fired(&r.predictions, "e", "output.must_not_match");
    fired(&r.predictions, "f", "output.grounded");
    assert_true(row_of(&r.predictions, "a")->correct);
    assert_null(row_of(&r.predictions, "e")->value);
    assert_string_equal(row_of(&r.predictions, "e")->text,
                        "Ask your lawyer about the parcel."); /* kept for who reads */
    assert_non_null(
        strstr(row_of(&r.predictions, "f")->details_json, "\"unsupported\":[\"We painted it green in 2019.\"]"));
    assert_int_equal(r.report.n_invalid, 0);
    assert_int_equal(r.report.n_abstained, 5);
    hn_test_ok(hn_guard_report_build(hn_project_scope(f.project), &r.predictions, &g, &err), &err);
    assert_int_equal(g.n_guarded, 5);
    assert_int_equal(g.n_left, 5);
    assert_int_equal(g.n_rules, 5);
    assert_int_equal(g.n_measured, 3);
    assert_int_equal(g.n_below, 2); /* e shares "the parcel" with its context: 2 of 6 words, cosine 2 / sqrt(6 * 4) */
    assert_true(fabs(g.support.value - (1 + 2 / sqrt(24.0) + 0) / 3) < 1e-12);
    json_t *value = json_object();
    hn_test_ok(hn_guard_report_add_json(&g, value, &err), &err);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(value, "guards"), "refused")), 5);
    json_decref(value);
    hn_guard_report_free(&g);
    char first[65];
    snprintf(first, sizeof first, "%s", r.run->content_id);
    hn_eval_result_free(&r);
    close_fixture(&f);
    /* another rule is another run; its answers come from the cache */
    open_fixture(&f, "guard: {output: {max_characters: 60}, fallback: none}\n");
    setup = (hn_eval_setup){
        .project = f.project, .dataset = f.dataset, .store = f.store, .provider = f.provider, .split = HN_SPLIT_DEV};
    hn_test_ok(hn_eval_run(&setup, f.prompt, NULL, NULL, &r, &err), &err);
    assert_string_not_equal(r.run->content_id, first);
    assert_int_equal(f.script.n_submitted, 3);
    fired(&r.predictions, "f", NULL);
    hn_eval_result_free(&r);
    close_fixture(&f);
    /* a fallback that is an answer */
    open_fixture(&f, "guard: {input: {must_match: 'invoice'}, fallback: none}\n");
    setup = (hn_eval_setup){
        .project = f.project, .dataset = f.dataset, .store = f.store, .provider = f.provider, .split = HN_SPLIT_DEV};
    hn_test_ok(hn_eval_run(&setup, f.prompt, NULL, NULL, &r, &err), &err);
    /* the context counts as input, so only e and f lack the word */
    fired(&r.predictions, "e", "input.must_match");
    assert_string_equal(row_of(&r.predictions, "e")->value, "none");
    assert_true(row_of(&r.predictions, "e")->correct);
    fired(&r.predictions, "b", NULL);
    assert_int_equal(r.report.n_abstained, 0);
    hn_eval_result_free(&r);
    close_fixture(&f);
}

static void out_of_memory_is_a_status(void **state) {
    (void)state;
    fixture f;
    hn_error err = {0};
    open_fixture(&f, guarded);
    for (size_t n = 1;; n++) {
        hn_app *app = NULL;
        hn_app_parts parts = {
            .scope = hn_project_scope(f.project), .dataset = f.dataset, .prompt = f.prompt, .provider = f.provider};
        hn_alloc_fail_at(n, true);
        hn_status st = hn_app_create(&parts, &app, &err);
        hn_alloc_fail_at(0, false);
        hn_app_free(app);
        if (st == HN_OK) break;
        assert_int_equal(st, HN_ERR_MEMORY);
    }
    close_fixture(&f);
}

static int enter(void **state) {
    (void)state;
    hn_json_init();
    if (hn_test_enter(folder) != 0) return -1;
    write_file("t.csv", data);
    write_file("train.csv", "id,text,facts,label\nx,something else,other facts,none\n");
    return 0;
}

static int leave(void **state) {
    (void)state;
    return hn_test_leave(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(languages), cmocka_unit_test(support_by_hand),           cmocka_unit_test(mistakes),
        cmocka_unit_test(a_run),     cmocka_unit_test(out_of_memory_is_a_status),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
