/* Constrained answers on the real model: every answer that ends by itself is in its language (the oracle is PCRE2, the list of choices, or the JSON
 * Schema validator, none of which the grammar uses), the same bits alone and batched, with streaming, biases, penalties, limits and stop texts. */
#include "engine_support.h"

#include "base/alloc.h"
#include "base/regex.h"
#include "provider/provider.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct answer {
    int calls, n_tokens;
    hn_status status;
    hn_finish finish;
    hn_error error;
    int32_t ids[256];
    float logprobs[256];
    char text[2048], streamed[2048];
    size_t n_text, n_streamed;
} answer;

static char model_path[HN_PATH_MAX];

static void on_done(void *user, uint64_t ticket, const hn_completion *c) {
    answer *a = user;
    (void)ticket;
    a->calls++;
    a->status = c->status;
    a->error = c->error;
    a->finish = c->finish;
    a->n_tokens = (int)c->n_tokens;
    for (size_t i = 0; i < c->n_tokens && i < 256; i++) {
        a->ids[i] = c->tokens[i].id;
        a->logprobs[i] = c->tokens[i].logprob;
    }
    a->n_text = c->text_bytes < sizeof a->text ? c->text_bytes : sizeof a->text - 1;
    memcpy(a->text, c->text, a->n_text);
    a->text[a->n_text] = 0;
}

static bool on_token(void *user, const hn_output_token *token) {
    answer *a = user;
    if (a->n_streamed + token->n_bytes < sizeof a->streamed)
        memcpy(a->streamed + a->n_streamed, token->text, token->n_bytes);
    a->n_streamed += token->n_bytes;
    return true;
}

static hn_provider *open_provider(int max_batch) {
    hn_error err = {0};
    hn_provider *p;
    hn_test_ok(hn_provider_local_open(
                   model_path, &(hn_local_options){.n_threads = 2, .max_batch = max_batch, .context = 1024}, &p, &err),
               &err);
    return p;
}

static void run_all(hn_provider *p) {
    hn_error err = {0};
    size_t pending = 1;
    while (pending) hn_test_ok(hn_provider_step(p, 1000, &pending, &err), &err);
}

static void ask(hn_provider *p, const hn_request *r, answer *a) {
    hn_error err = {0};
    *a = (answer){0};
    hn_test_ok(hn_provider_submit(p, r, 0, on_done, a, NULL, &err), &err);
    run_all(p);
    assert_int_equal(a->calls, 1);
}

static hn_request request_of(const char *raw, hn_constraint constraint) {
    return (hn_request){.raw = raw, .max_tokens = 48, .want_logprobs = true, .constraint = constraint};
}

static hn_constraint regex(const char *pattern) { return (hn_constraint){.kind = HN_CONSTRAIN_REGEX, .text = pattern}; }

static bool matches(const char *pattern, const char *text) {
    hn_error err = {0};
    hn_regex *re;
    bool found = false;
    hn_test_ok(hn_regex_compile(pattern, strlen(pattern), &re, &err), &err);
    hn_regex_scratch *scratch = hn_regex_scratch_create();
    hn_test_ok(hn_regex_matches(re, scratch, text, strlen(text), &found, &err), &err);
    hn_regex_scratch_free(scratch);
    hn_regex_free(re);
    return found;
}

static const char *const patterns[] = {"\\d{4}-\\d{2}-\\d{2}", "(yes|no), (because|but) [a-z ]{3,20}\\.",
                                       "[A-Z][a-z]{2,8}( [A-Z][a-z]+)?", "-?[0-9]+(\\.[0-9]{1,2})?",
                                       "[\\u4e00-\\u9fff]{2,5}"};
static const char *const choices[] = {"login", "login page", "billing", "Rechnung f\xc3\xbcr alle"};
static const char gbnf[] = "root ::= item+ \"end\"\nitem ::= \"- \" [a-z]+ \"\\n\"\n";
enum { N_PATTERNS = sizeof patterns / sizeof *patterns, N_CHOICES = sizeof choices / sizeof *choices, N_REQUESTS = 40 };

static hn_request sampled(int i) {
    hn_constraint c = regex(patterns[i % N_PATTERNS]);
    if (i % 7 == 5) c = (hn_constraint){.kind = HN_CONSTRAIN_CHOICES, .choices = choices, .n_choices = N_CHOICES};
    if (i % 7 == 6) c = (hn_constraint){.kind = HN_CONSTRAIN_GBNF, .text = gbnf};
    hn_request r = request_of(i % 2 ? "The answer is: " : "Once upon a time there was a list:\n", c);
    r.sampling = (hn_sampling){.temperature = 1.5f,
                               .seed = (uint64_t)i,
                               .top_p = i % 3 ? 0 : 0.9f,
                               .top_k = i % 4 ? 0 : 20,
                               .repetition_penalty = i % 5 ? 0 : 1.3f};
    return r;
}

static void check_language(int i, const answer *a) {
    assert_int_equal(a->status, HN_OK);
    if (a->finish == HN_FINISH_LENGTH) {
        assert_int_equal(a->n_tokens, 48);
        return;
    }
    assert_int_equal(a->finish, HN_FINISH_STOP);
    bool fine = false;
    if (i % 7 == 5)
        for (size_t k = 0; k < N_CHOICES; k++) fine = fine || strcmp(a->text, choices[k]) == 0;
    else
        fine = matches(i % 7 == 6                                           ? "(- [a-z]+\\n)+end"
                       : strcmp(patterns[i % N_PATTERNS], patterns[4]) == 0 ? "\\p{Han}{2,5}"
                                                                            : patterns[i % N_PATTERNS],
                       a->text);
    if (!fine) fprintf(stderr, "request %d: \"%s\" is not in its language\n", i, a->text);
    assert_true(fine);
}

static answer alone[N_REQUESTS], together[N_REQUESTS];

static void sampled_answers_are_in_the_language_in_any_company(void **state) {
    (void)state;
    hn_error err = {0};
    hn_provider *p = open_provider(1);
    int ended = 0;
    for (int i = 0; i < N_REQUESTS; i++) {
        hn_request r = sampled(i);
        ask(p, &r, &alone[i]);
        check_language(i, &alone[i]);
        ended += alone[i].finish == HN_FINISH_STOP;
    }
    hn_provider_close(p);
    assert_true(ended > N_REQUESTS / 2);
    p = open_provider(16);
    memset(together, 0, sizeof together);
    for (int i = 0; i < N_REQUESTS; i++) {
        hn_request r = sampled(i);
        hn_test_ok(hn_provider_submit(p, &r, 0, on_done, &together[i], NULL, &err), &err);
    }
    run_all(p);
    for (int i = 0; i < N_REQUESTS; i++) {
        assert_int_equal(alone[i].finish, together[i].finish);
        assert_int_equal(alone[i].n_tokens, together[i].n_tokens);
        assert_memory_equal(alone[i].ids, together[i].ids, (size_t)alone[i].n_tokens * sizeof(int32_t));
        assert_memory_equal(alone[i].logprobs, together[i].logprobs, (size_t)alone[i].n_tokens * sizeof(float));
        assert_string_equal(alone[i].text, together[i].text);
    }
    hn_provider_close(p);
}

static void log_probabilities_stay_the_models_own(void **state) {
    (void)state;
    hn_provider *p = open_provider(1);
    answer free_answer, bound;
    hn_request r = request_of("The capital of France is", (hn_constraint){0});
    r.max_tokens = 1;
    ask(p, &r, &free_answer);
    assert_string_equal(free_answer.text, " Paris");
    const char *const towns[] = {" Paris", " London"};
    r.constraint = (hn_constraint){.kind = HN_CONSTRAIN_CHOICES, .choices = towns, .n_choices = 2};
    ask(p, &r, &bound);
    assert_string_equal(bound.text, " Paris");
    assert_memory_equal(bound.logprobs, free_answer.logprobs, sizeof(float));
    assert_int_equal(bound.finish, HN_FINISH_STOP); /* nothing may follow: no end token was needed */
    assert_int_equal(bound.n_tokens, 1);
    hn_provider_close(p);
}

static void limits_stops_biases_and_streams(void **state) {
    (void)state;
    hn_provider *p = open_provider(1);
    answer a;
    hn_request r = request_of("Count: ", regex("[0-9]{40}"));
    r.max_tokens = 5;
    r.on_token = on_token;
    r.token_user = &a;
    ask(p, &r, &a);
    assert_int_equal(a.finish, HN_FINISH_LENGTH);
    assert_int_equal(a.n_text, a.n_streamed);
    assert_memory_equal(a.text, a.streamed, a.n_text);
    r.max_tokens = 60;
    ask(p, &r, &a);
    assert_int_equal(a.finish, HN_FINISH_STOP);
    assert_int_equal(a.n_text, 40);
    assert_memory_equal(a.text, a.streamed, 40);
    /* raw form: the line's end stands for the end token where the text may end, and nowhere else */
    const char *const newline = "\n";
    r = request_of("Q: What is 2 + 3?\nA: 5\nQ: What is 2 + 2?\nA: ", regex("[0-9\\n]+[0-9]"));
    r.stop = &newline;
    r.n_stop = 1;
    ask(p, &r, &a);
    assert_int_equal(a.finish, HN_FINISH_STOP);
    assert_true(matches("[0-9]+", a.text));
    /* a bias that forbids all that the language allows: an error that says so */
    hn_logit_bias bias[2];
    r = request_of("Yes or no? ", (hn_constraint){.kind = HN_CONSTRAIN_REGEX, .text = "z", .name = "output: regex"});
    ask(p, &r, &a);
    assert_string_equal(a.text, "z");
    bias[0] = (hn_logit_bias){a.ids[0], -(float)INFINITY};
    r.sampling.bias = bias;
    r.sampling.n_bias = 1;
    ask(p, &r, &a);
    assert_int_equal(a.status, HN_ERR_UNSUPPORTED);
    assert_string_equal(a.error.where, "constraint");
    assert_int_equal(a.finish, HN_FINISH_ERROR);
    hn_provider_close(p);
}

/* Stop texts that are complete only in another token than they began in, anywhere in the answer: what they leave is in the language, or
 * the answer did not end by itself. */
static void a_stop_text_inside_is_no_end(void **state) {
    (void)state;
    hn_provider *p = open_provider(1);
    answer whole, a;
    int cut = 0, ended = 0;
    hn_request r = request_of("Once upon a time there was ", regex("([a-z]{3} ?){1,9}[0-9]{3}"));
    r.max_tokens = 60;
    ask(p, &r, &whole);
    assert_int_equal(whole.finish, HN_FINISH_STOP);
    for (size_t i = 0; i + 3 <= whole.n_text; i++) {
        char stop[4] = {whole.text[i], whole.text[i + 1], whole.text[i + 2], 0};
        const char *const stops[] = {stop};
        r.stop = stops;
        r.n_stop = 1;
        ask(p, &r, &a);
        if (a.status != HN_OK) continue; /* no token can go on without the stop text */
        bool holds = matches("([a-z]{3} ?){1,9}[0-9]{3}", a.text);
        assert_null(strstr(a.text, stop));
        if (a.finish == HN_FINISH_STOP) assert_true(holds);
        ended += a.finish == HN_FINISH_STOP;
        cut += a.finish == HN_FINISH_LENGTH && a.n_tokens < 60;
    }
    assert_true(cut > 0);
    /* where the text before it is whole, a stop text ends the answer */
    const char *const comma[] = {", "};
    r = request_of("Count: ", regex("[0-9]{3}(, [0-9]{3}){0,5}"));
    r.stop = comma;
    r.n_stop = 1;
    ask(p, &r, &a);
    assert_int_equal(a.finish, HN_FINISH_STOP);
    assert_int_equal(a.n_text, 3);
    hn_provider_close(p);
}

static void echo_and_no_tokens(void **state) {
    (void)state;
    hn_provider *p = open_provider(1);
    answer a;
    hn_request r = request_of("One two three", regex("[a-z]{2}"));
    r.echo = true;
    ask(p, &r, &a);
    assert_int_equal(a.finish, HN_FINISH_STOP);
    assert_true(matches("[a-z]{2}", a.text));
    assert_true(a.n_tokens > 3);
    r.max_tokens = 0;
    ask(p, &r, &a);
    assert_int_equal(a.finish, HN_FINISH_LENGTH);
    hn_provider_close(p);
}

/* The prompt asks for the same name three times; the grammar cannot know that names must differ, the names' keeper does. */
static void names_of_an_object_never_repeat(void **state) {
    (void)state;
    static const char text[] = "{\"type\":\"object\",\"propertyNames\":{\"pattern\":\"^[a-z]+$\"},"
                               "\"additionalProperties\":{\"const\":1},\"minProperties\":3,\"maxProperties\":3}";
    json_t *schema;
    hn_error err = {0};
    hn_test_ok(hn_json_parse(text, sizeof text - 1, "t", 0, &schema, &err), &err);
    hn_provider *p = open_provider(1);
    hn_request r = request_of("Copy: {\"x\":1,\"x\":1,\"x\":1}\nCopy: {\"x\":1,\"x\":1,\"x\":1}\nCopy: ",
                              (hn_constraint){.kind = HN_CONSTRAIN_SCHEMA, .schema = schema});
    answer *a = hn_alloc(sizeof *a);
    ask(p, &r, a);
    assert_int_equal(a->status, HN_OK);
    assert_int_equal(a->finish, HN_FINISH_STOP);
    json_t *value;
    hn_test_ok(hn_json_parse(a->text, a->n_text, "answer", 0, &value, &err), &err);
    assert_int_equal(json_object_size(value), 3);
    json_decref(value);
    json_decref(schema);
    hn_free(a);
    hn_provider_close(p);
}

static void keys_tell_constraints_apart(void **state) {
    (void)state;
    hn_provider *p = open_provider(1);
    hn_error err = {0};
    char keys[5][65];
    hn_request r = request_of("x", (hn_constraint){0});
    hn_test_ok(hn_provider_cache_key(p, &r, keys[0], &err), &err);
    r.constraint = regex("a+");
    hn_test_ok(hn_provider_cache_key(p, &r, keys[1], &err), &err);
    r.constraint = regex("a*");
    hn_test_ok(hn_provider_cache_key(p, &r, keys[2], &err), &err);
    r.constraint = (hn_constraint){.kind = HN_CONSTRAIN_GBNF, .text = gbnf};
    hn_test_ok(hn_provider_cache_key(p, &r, keys[3], &err), &err);
    r.constraint = regex("a+");
    r.constraint.name = "another name";
    hn_test_ok(hn_provider_cache_key(p, &r, keys[4], &err), &err);
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < i; k++) assert_string_not_equal(keys[i], keys[k]);
    assert_string_equal(keys[1], keys[4]);
    /* more constraints than are kept */
    for (int i = 0; i < 80; i++) {
        char pattern[16];
        answer a;
        snprintf(pattern, sizeof pattern, "a{%d}", i % 40 + 1);
        r.constraint = regex(pattern);
        ask(p, &r, &a);
        assert_int_equal(a.n_text, i % 40 + 1);
    }
    hn_provider_close(p);
}

static void wrong_sources_are_named(void **state) {
    (void)state;
    hn_provider *p = open_provider(1);
    hn_error err = {0};
    hn_request r = request_of("x", (hn_constraint){.kind = HN_CONSTRAIN_REGEX, .text = "(a", .name = "output: regex"});
    assert_int_equal(hn_provider_submit(p, &r, 0, on_done, NULL, NULL, &err), HN_ERR_INPUT);
    assert_true(strncmp(err.where, "output: regex", 13) == 0);
    r.constraint = (hn_constraint){.kind = HN_CONSTRAIN_GBNF, .text = "root ::= (", .name = "my.gbnf"};
    assert_int_equal(hn_provider_submit(p, &r, 0, on_done, NULL, NULL, &err), HN_ERR_INPUT);
    assert_true(strncmp(err.where, "my.gbnf:1:", 10) == 0);
    hn_provider_close(p);
}

static void memory_that_runs_out_is_a_status(void **state) {
    (void)state;
    hn_provider *p = open_provider(1);
    bool finished = false;
    hn_request r = request_of("x", regex("[0-9]{3}"));
    answer first;
    ask(p, &r, &first);
    for (size_t n = 1; !finished && n < 4000; n++) {
        answer a = {0};
        hn_error err = {0};
        size_t pending = 1;
        hn_constraint other = regex(n % 2 ? "[0-9]{3}" : "[0-9]{3}|q");
        r.constraint = other;
        hn_alloc_fail_at(n, false);
        hn_status st = hn_provider_submit(p, &r, 0, on_done, &a, NULL, &err);
        for (int step = 0; st == HN_OK && pending && step < 100; step++)
            (void)!hn_provider_step(p, 1000, &pending, &err);
        finished = hn_alloc_count() < n;
        hn_alloc_fail_at(0, false);
        assert_int_equal(a.calls, st == HN_OK);
    }
    assert_true(finished);
    r.constraint = regex("[0-9]{3}");
    answer last;
    ask(p, &r, &last);
    assert_string_equal(first.text, last.text);
    hn_provider_close(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sampled_answers_are_in_the_language_in_any_company),
        cmocka_unit_test(log_probabilities_stay_the_models_own),
        cmocka_unit_test(limits_stops_biases_and_streams),
        cmocka_unit_test(a_stop_text_inside_is_no_end),
        cmocka_unit_test(echo_and_no_tokens),
        cmocka_unit_test(names_of_an_object_never_repeat),
        cmocka_unit_test(keys_tell_constraints_apart),
        cmocka_unit_test(wrong_sources_are_named),
        cmocka_unit_test(memory_that_runs_out_is_a_status),
    };
    hn_json_init();
    if (!hn_test_big_model(model_path)) return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
