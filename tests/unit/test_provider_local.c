/* The local provider on a tiny model: the same bits in any company, with and without a shared prefix; streaming, stop texts, deadlines,
 * cancelling, callbacks that submit, prompts that do not fit, labels that merge, memory that runs out. Real weights are used at the CLI. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/rng.h"
#include "provider/provider.h"
#include "support.h"

#include <math.h>
#include <string.h>

enum { PROMPT = 90, N_REQUESTS = 24, TOKENS = 12 };

typedef struct answer {
    int calls, n_tokens, cached;
    hn_status status;
    hn_finish finish;
    int32_t ids[256];
    float logprobs[256];
    double labels[8];
    char text[4096];
    hn_buf streamed;
} answer;

static char model_path[HN_PATH_MAX];

static void on_done(void *user, uint64_t ticket, const hn_completion *c) {
    answer *a = user;
    (void)ticket;
    a->calls++;
    a->status = c->status;
    a->finish = c->finish;
    a->cached = c->usage.cached_prompt_tokens;
    a->n_tokens = (int)c->n_tokens;
    for (size_t i = 0; i < c->n_tokens && i < 256; i++) {
        a->ids[i] = c->tokens[i].id;
        a->logprobs[i] = c->tokens[i].logprob;
    }
    for (size_t i = 0; i < c->n_labels && i < 8; i++) a->labels[i] = c->label_logprobs[i];
    snprintf(a->text, sizeof a->text, "%.*s", (int)c->text_bytes, c->text);
}

static bool on_token(void *user, const hn_output_token *token) {
    answer *a = user;
    hn_buf_append(&a->streamed, token->text, token->n_bytes);
    return true;
}

static hn_provider *open_provider(int max_batch, size_t kv_bytes) {
    hn_error err = {0};
    hn_provider *p;
    hn_test_ok(
        hn_provider_local_open(
            model_path,
            &(hn_local_options){.n_threads = max_batch == 3 ? 2 : 1, .max_batch = max_batch, .kv_max_bytes = kv_bytes},
            &p, &err),
        &err);
    return p;
}

static void run_all(hn_provider *p) {
    hn_error err = {0};
    size_t pending = 1;
    while (pending) hn_test_ok(hn_provider_step(p, 1000, &pending, &err), &err);
}

/* Prompts in three families with a long common beginning each, of many lengths. */
static int make_prompt(int i, int32_t ids[PROMPT]) {
    hn_rng rng;
    int n = 50 + i % 40;
    hn_rng_seed(&rng, (uint64_t)(i % 3), 1);
    for (int t = 0; t < 45; t++) ids[t] = 3 + (int32_t)hn_rng_below(&rng, 500);
    hn_rng_seed(&rng, (uint64_t)i, 2);
    for (int t = 45; t < n; t++) ids[t] = 3 + (int32_t)hn_rng_below(&rng, 500);
    return n;
}

static const int32_t label_a[] = {10, 20, 2}, label_b[] = {10, 30, 2}, label_c[] = {40, 2};
static const hn_request_label labels[] = {
    {.ids = label_a, .n_ids = 3}, {.ids = label_b, .n_ids = 3}, {.ids = label_c, .n_ids = 2}};

static hn_request make_request(int i, const int32_t *ids, int n) {
    hn_request r = {.ids = ids, .n_ids = (size_t)n, .max_tokens = TOKENS, .want_logprobs = true};
    if (i % 4 == 3) r.kind = HN_REQUEST_LABELS, r.labels = labels, r.n_labels = 3;
    if (i % 4 == 1) r.sampling = (hn_sampling){.temperature = 1, .top_p = 0.95f, .seed = (uint64_t)i};
    if (i % 4 == 2) r.echo = true, r.n_top = 3;
    return r;
}

static void submit(hn_provider *p, const hn_request *r, answer *a) {
    hn_error err = {0};
    hn_test_ok(hn_provider_submit(p, r, 0, on_done, a, NULL, &err), &err);
}

static void same_answer(const answer *a, const answer *b) {
    assert_int_equal(a->calls, 1);
    assert_int_equal(b->calls, 1);
    assert_int_equal(a->status, HN_OK);
    assert_int_equal(a->n_tokens, b->n_tokens);
    assert_memory_equal(a->ids, b->ids, (size_t)a->n_tokens * sizeof *a->ids);
    assert_memory_equal(a->logprobs, b->logprobs, (size_t)a->n_tokens * sizeof *a->logprobs);
    assert_memory_equal(a->labels, b->labels, sizeof a->labels);
    assert_string_equal(a->text, b->text);
}

static answer alone[N_REQUESTS], together[N_REQUESTS];

static void any_company_gives_the_same_bits(void **state) {
    (void)state;
    static const int batches[] = {1, 3, 64};
    int32_t ids[N_REQUESTS][PROMPT];
    memset(alone, 0, sizeof alone);
    for (int i = 0; i < N_REQUESTS; i++) {
        hn_provider *p = open_provider(1, 0);
        hn_request r = make_request(i, ids[i], make_prompt(i, ids[i]));
        submit(p, &r, &alone[i]);
        run_all(p);
        assert_int_equal(alone[i].cached, 0);
        hn_provider_close(p);
    }
    for (size_t b = 0; b < 3; b++) {
        hn_provider *p = open_provider(batches[b], 0);
        int shared = 0;
        for (int round = 0; round < 2; round++) { /* the second time every prompt is known */
            memset(together, 0, sizeof together);
            for (int i = 0; i < N_REQUESTS; i++) {
                hn_request r = make_request(i, ids[i], make_prompt(i, ids[i]));
                submit(p, &r, &together[i]);
            }
            run_all(p);
            for (int i = 0; i < N_REQUESTS; i++) {
                same_answer(&together[i], &alone[i]);
                shared += together[i].cached > 0;
            }
        }
        assert_true(shared >
                    N_REQUESTS); /* most of two rounds; echoed prompts with log-probabilities are computed in full */
        hn_provider_close(p);
    }
}

static void a_small_cache_only_takes_longer(void **state) {
    (void)state;
    int32_t ids[PROMPT];
    hn_provider *big = open_provider(0, 0), *p;
    hn_provider_info info;
    hn_error err = {0};
    hn_test_ok(hn_provider_info_get(big, &info, &err), &err);
    hn_provider_close(big);
    p = open_provider(0, 1 << 20);
    memset(together, 0, sizeof together);
    for (int i = 0; i < N_REQUESTS; i++) {
        hn_request r = make_request(i, ids, make_prompt(i, ids)); /* copied by submit: one buffer for all */
        submit(p, &r, &together[i]);
    }
    run_all(p);
    for (int i = 0; i < N_REQUESTS; i++) same_answer(&together[i], &alone[i]);
    hn_provider_close(p);
}

static void streamed_text_is_the_answer(void **state) {
    (void)state;
    hn_provider *p = open_provider(0, 0);
    int32_t ids[PROMPT];
    for (int i = 0; i < 8; i++) {
        answer a = {0};
        hn_buf_init(&a.streamed, 0);
        hn_request r = {.ids = ids,
                        .n_ids = (size_t)make_prompt(i, ids),
                        .max_tokens = 200,
                        .on_token = on_token,
                        .token_user = &a,
                        .sampling = {.temperature = 1.5f, .seed = (uint64_t)i}};
        const char *stops[] = {"e", "\n\n"};
        r.stop = stops;
        r.n_stop = i % 2 ? 2 : 0;
        submit(p, &r, &a);
        run_all(p);
        assert_string_equal(hn_buf_str(&a.streamed), a.text);
        if (r.n_stop) assert_null(strchr(a.text, 'e'));
        hn_buf_free(&a.streamed);
    }
    hn_provider_close(p);
}

typedef struct chain {
    hn_provider *p;
    int left, done;
    uint64_t cancel;
    const hn_request *request;
} chain;

static void submit_next(void *user, uint64_t ticket, const hn_completion *c) {
    chain *link = user;
    hn_error err = {0};
    (void)ticket, (void)c;
    link->done++;
    if (link->cancel) hn_provider_cancel(link->p, link->cancel);
    if (link->left-- > 0)
        hn_test_ok(hn_provider_submit(link->p, link->request, 0, submit_next, link, NULL, &err), &err);
}

static void callbacks_may_submit_and_cancel(void **state) {
    (void)state;
    hn_error err = {0};
    hn_provider *p = open_provider(0, 0);
    int32_t ids[PROMPT];
    hn_request r = {.ids = ids, .n_ids = (size_t)make_prompt(0, ids), .max_tokens = 3};
    hn_request endless = {.ids = ids, .n_ids = 40, .max_tokens = 1 << 20, .sampling = {.temperature = 1, .seed = 3}};
    chain link = {.p = p, .left = 5, .request = &r};
    answer victim = {0};
    hn_test_ok(hn_provider_submit(p, &endless, 0, on_done, &victim, &link.cancel, &err), &err);
    hn_test_ok(hn_provider_submit(p, &r, 0, submit_next, &link, NULL, &err), &err);
    run_all(p);
    assert_int_equal(link.done, 6);
    assert_int_equal(victim.calls, 1);
    assert_int_equal(victim.status, HN_ERR_INTERRUPTED);
    hn_provider_cancel(p, 12345); /* nobody */
    hn_provider_close(p);
}

static void deadlines_and_closing(void **state) {
    (void)state;
    hn_error err = {0};
    hn_provider *p = open_provider(0, 0);
    int32_t ids[PROMPT];
    answer late = {0}, closed = {0};
    hn_request endless = {.ids = ids,
                          .n_ids = (size_t)make_prompt(1, ids),
                          .max_tokens = 1 << 20,
                          .sampling = {.temperature = 1, .seed = 3}};
    hn_test_ok(hn_provider_submit(p, &endless, hn_clock_seconds() - 1, on_done, &late, NULL, &err), &err);
    run_all(p);
    assert_int_equal(late.status, HN_ERR_TIMEOUT);
    submit(p, &endless, &closed);
    hn_provider_close(p);
    assert_int_equal(closed.calls, 1);
    assert_int_equal(closed.status, HN_ERR_INTERRUPTED);
}

static void what_cannot_be_answered_is_refused(void **state) {
    (void)state;
    hn_error err = {0};
    hn_provider *p = open_provider(0, 0);
    hn_provider_info info;
    hn_test_ok(hn_provider_info_get(p, &info, &err), &err);
    int32_t *many = hn_calloc((size_t)info.context + 1, sizeof *many), wrong[] = {1 << 20};
    assert_non_null(many);
    hn_request full = {.ids = many, .n_ids = (size_t)info.context + 1, .max_tokens = 1},
               bad = {.ids = wrong, .n_ids = 1, .max_tokens = 1}, empty = {.ids = many, .max_tokens = 1};
    hn_request both = {.ids = many, .n_ids = 1, .raw = "x"}, none = {0};
    assert_int_equal(hn_provider_submit(p, &full, 0, on_done, NULL, NULL, &err), HN_ERR_CONTEXT);
    assert_int_equal(hn_provider_submit(p, &bad, 0, on_done, NULL, NULL, &err), HN_ERR_INPUT);
    assert_int_equal(hn_provider_submit(p, &empty, 0, on_done, NULL, NULL, &err), HN_ERR_INPUT);
    assert_int_equal(hn_provider_submit(p, &both, 0, on_done, NULL, NULL, &err), HN_ERR_USAGE);
    assert_int_equal(hn_provider_submit(p, &none, 0, on_done, NULL, NULL, &err), HN_ERR_USAGE);
    answer a = {0}; /* exactly full: the answer is what fits */
    full.n_ids = (size_t)info.context - 2;
    full.max_tokens = 100;
    submit(p, &full, &a);
    run_all(p);
    assert_int_equal(a.status, HN_OK);
    assert_true(a.n_tokens >= 1 && a.n_tokens <= 2);
    hn_free(many);
    hn_provider_close(p);
}

static void keys_tell_requests_apart(void **state) {
    (void)state;
    hn_error err = {0};
    hn_provider *p = open_provider(0, 0);
    int32_t ids[PROMPT];
    hn_request r = {.ids = ids, .n_ids = (size_t)make_prompt(0, ids), .max_tokens = 8}, other;
    char first[65], again[65], changed[65];
    hn_test_ok(hn_provider_cache_key(p, &r, first, &err), &err);
    hn_test_ok(hn_provider_cache_key(p, &r, again, &err), &err);
    assert_string_equal(first, again);
    const char *stop = "x";
    for (int i = 0; i < 6; i++) {
        other = r;
        if (i == 0) other.max_tokens = 9;
        if (i == 1) other.n_ids--;
        if (i == 2) other.sampling.temperature = 0.5f;
        if (i == 3) other.stop = &stop, other.n_stop = 1;
        if (i == 4) other.kind = HN_REQUEST_LABELS, other.labels = labels, other.n_labels = 2;
        if (i == 5) other.sampling.repetition_penalty = 1.2f;
        hn_test_ok(hn_provider_cache_key(p, &other, changed, &err), &err);
        assert_string_not_equal(first, changed);
    }
    other = r;
    other.sampling.seed = 9; /* greedy: the seed does not matter */
    hn_test_ok(hn_provider_cache_key(p, &other, changed, &err), &err);
    assert_string_equal(first, changed);
    hn_provider_close(p);
}

/* Every allocation of a request's life fails once: the request gets a status, exactly one callback or none, and the next one works. */
static void memory_that_runs_out_is_a_status(void **state) {
    (void)state;
    hn_error err = {0};
    hn_provider *p = open_provider(0, 0);
    int32_t ids[PROMPT];
    bool finished = false;
    for (size_t n = 1; !finished && n < 400; n++) {
        answer a = {0};
        size_t pending = 1;
        hn_request r = make_request(2 + (int)(n % 2), ids, make_prompt((int)n, ids));
        hn_alloc_fail_at(n, false);
        hn_status st = hn_provider_submit(p, &r, 0, on_done, &a, NULL, &err);
        bool submitted = st == HN_OK;
        for (int step = 0; submitted && pending && step < 1000; step++)
            (void)!hn_provider_step(p, 1000, &pending, &err);
        finished = hn_alloc_count() < n;
        hn_alloc_fail_at(0, false);
        if (submitted)
            assert_int_equal(a.calls, 1);
        else
            assert_int_equal(a.calls, 0);
        if (finished) assert_int_equal(a.status, HN_OK);
    }
    assert_true(finished);
    answer a = {0};
    hn_request r = make_request(0, ids, make_prompt(0, ids));
    submit(p, &r, &a);
    run_all(p);
    same_answer(&a, &alone[0]);
    hn_provider_close(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_company_gives_the_same_bits), cmocka_unit_test(a_small_cache_only_takes_longer),
        cmocka_unit_test(streamed_text_is_the_answer),     cmocka_unit_test(callbacks_may_submit_and_cancel),
        cmocka_unit_test(deadlines_and_closing),           cmocka_unit_test(what_cannot_be_answered_is_refused),
        cmocka_unit_test(keys_tell_requests_apart),        cmocka_unit_test(memory_that_runs_out_is_a_status),
    };
    if (!hn_test_shared("goldens/tiny/llama/model.gguf", model_path)) return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
