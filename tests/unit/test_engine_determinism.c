/* The determinism rule: the same request gives the same bits (memcmp of floats) alone or in a batch, with 1 or 2
 * threads, computed or forked from a shared prefix, cut into steps or not, and labels as a tree or one chain after
 * another. Every instruction set that this machine has, on SmolLM2; ref on the tiny model. */
#include "engine_support.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "kernel/kernel.h"

#include <stdlib.h>
#include <string.h>

enum { N_LABELS = 12, MAX_VOCAB = 65536 };

/* What every way of computing must reproduce. */
typedef struct request {
    int n; /* prompt tokens */
    int32_t *ids;
    int V;
    float *logits;   /* (V) after the prompt */
    float *logprobs; /* (n) of each next prompt token */
    hn_label_trie *trie;
    hn_label_ids labels[N_LABELS];
    int32_t label_ids[N_LABELS][8];
    double totals[N_LABELS];
    float *nodes; /* (n_nodes) */
} request;

static void run(hn_engine *e, hn_step_item *items, size_t n) {
    hn_error err = {0};
    hn_test_ok(hn_engine_step(e, items, n, &err), &err);
}

static hn_sequence *fresh(hn_engine *e) {
    hn_error err = {0};
    hn_sequence *s;
    hn_test_ok(hn_sequence_create(e, &s, &err), &err);
    return s;
}

static hn_sequence *fork_at(const hn_sequence *from, int n) {
    hn_error err = {0};
    hn_sequence *s;
    hn_test_ok(hn_sequence_fork(from, n, &s, &err), &err);
    return s;
}

static void same(const char *what, const void *a, const void *b, size_t bytes) {
    if (memcmp(a, b, bytes) != 0) fail_msg("other bits: %s", what);
}

/* Labels that share prefixes of several depths, some of them prefixes of others. */
static void make_labels(request *r, hn_rng *rng) {
    hn_error err = {0};
    for (int i = 0; i < N_LABELS; i++) {
        int n = 1 + i % 7;
        for (int k = 0; k < n; k++) r->label_ids[i][k] = (int32_t)hn_rng_below(rng, (uint64_t)r->V);
        if (i >= 3) memcpy(r->label_ids[i], r->label_ids[i - 2], (size_t)(n < 3 ? n - 1 : n / 2 + 1) * sizeof(int32_t));
        r->labels[i] = (hn_label_ids){r->label_ids[i], n};
    }
    hn_test_ok(hn_label_trie_create(r->labels, N_LABELS, &r->trie, &err), &err);
    r->nodes = hn_calloc((size_t)r->trie->n_nodes, sizeof *r->nodes);
}

static request make_request(hn_engine *e, int n, uint64_t seed) {
    hn_rng rng;
    request r = {.n = n, .V = hn_model_shape(hn_engine_model(e))->n_vocab};
    hn_rng_seed(&rng, seed, 0);
    r.ids = hn_calloc((size_t)n, sizeof *r.ids);
    for (int i = 0; i < n; i++) r.ids[i] = (int32_t)hn_rng_below(&rng, (uint64_t)r.V);
    r.logits = hn_test_logits(e, r.ids, n);
    r.logprobs = hn_test_next_logprobs(e, r.ids, n);
    make_labels(&r, &rng);
    hn_sequence *s = fresh(e);
    hn_step_item item = {.sequence = s,
                         .tokens = r.ids,
                         .n_tokens = n,
                         .want = HN_WANT_LABELS,
                         .labels = r.trie,
                         .label_logprobs = r.totals,
                         .label_token_logprobs = r.nodes};
    run(e, &item, 1);
    hn_sequence_free(s);
    return r;
}

static void free_request(request *r) {
    hn_free(r->ids);
    hn_free(r->logits);
    hn_free(r->logprobs);
    hn_free(r->nodes);
    hn_label_trie_free(r->trie);
}

/* Each label alone as appended tokens with their log-probabilities, added up in order. */
static void check_chains(hn_engine *e, const request *r) {
    hn_sequence *prompt = fresh(e);
    hn_step_item first = {.sequence = prompt, .tokens = r->ids, .n_tokens = r->n - 1, .want = HN_WANT_NOTHING};
    if (r->n > 1) run(e, &first, 1);
    for (int i = 0; i < N_LABELS; i++) {
        hn_sequence *s = fork_at(prompt, r->n - 1);
        int32_t tokens[8], n = r->labels[i].n; /* the prompt's last token, then all of the label but its last */
        float logprobs[8];
        tokens[0] = r->ids[r->n - 1];
        memcpy(tokens + 1, r->label_ids[i], (size_t)(n - 1) * sizeof *tokens);
        hn_step_item item = {.sequence = s,
                             .tokens = tokens,
                             .n_tokens = n,
                             .want = HN_WANT_LOGPROBS,
                             .targets = r->label_ids[i],
                             .target_logprobs = logprobs};
        run(e, &item, 1);
        double total = 0;
        for (int k = 0; k < n; k++) total += (double)logprobs[k];
        same("a label as a chain", &total, &r->totals[i], sizeof total);
        hn_sequence_free(s);
    }
    hn_sequence_free(prompt);
}

/* All items in one step beside strangers, in an order that cuts chunks at odd places. */
static void check_batch(hn_engine *e, const request *r) {
    enum { STRANGERS = 5 };
    hn_step_item items[STRANGERS + 3] = {0};
    int32_t strange[STRANGERS][97];
    float *logits = hn_calloc((size_t)r->V, sizeof *logits), *logprobs = hn_calloc((size_t)r->n, sizeof *logprobs);
    int32_t *targets = hn_calloc((size_t)r->n, sizeof *targets);
    float *nodes = hn_calloc((size_t)r->trie->n_nodes, sizeof *nodes);
    double totals[N_LABELS], other_totals[STRANGERS][N_LABELS];
    hn_rng rng;
    hn_rng_seed(&rng, 99, 1);
    size_t n = 0;
    for (int i = 0; i < STRANGERS; i++) {
        for (int k = 0; k < 97; k++) strange[i][k] = (int32_t)hn_rng_below(&rng, (uint64_t)r->V);
        if (i == 2)
            items[n++] = (hn_step_item){.tokens = r->ids, .n_tokens = r->n, .want = HN_WANT_LOGITS, .logits = logits};
        items[n++] = (hn_step_item){.tokens = strange[i],
                                    .n_tokens = 17 + 20 * i,
                                    .want = i % 2 ? HN_WANT_LABELS : HN_WANT_NOTHING,
                                    .labels = r->trie,
                                    .label_logprobs = other_totals[i]};
        if (i == 3)
            items[n++] = (hn_step_item){.tokens = r->ids,
                                        .n_tokens = r->n,
                                        .want = HN_WANT_LABELS,
                                        .labels = r->trie,
                                        .label_logprobs = totals,
                                        .label_token_logprobs = nodes};
    }
    for (int i = 0; i < r->n; i++) targets[i] = i + 1 < r->n ? r->ids[i + 1] : -1;
    items[n++] = (hn_step_item){
        .tokens = r->ids, .n_tokens = r->n, .want = HN_WANT_LOGPROBS, .targets = targets, .target_logprobs = logprobs};
    for (size_t i = 0; i < n; i++) items[i].sequence = fresh(e);
    run(e, items, n);
    same("logits in a batch", logits, r->logits, (size_t)r->V * sizeof *logits);
    same("log-probabilities in a batch", logprobs, r->logprobs, (size_t)(r->n - 1) * sizeof *logprobs);
    same("label totals in a batch", totals, r->totals, sizeof totals);
    same("label tokens in a batch", nodes, r->nodes, (size_t)r->trie->n_nodes * sizeof *nodes);
    for (size_t i = 0; i < n; i++) hn_sequence_free(items[i].sequence);
    hn_free(logits);
    hn_free(logprobs);
    hn_free(targets);
    hn_free(nodes);
}

/* Searches, alone and beside others: what they compute has the bits of the whole tree, and company changes no outcome. */
static void check_searches(hn_engine *e, const request *r) {
    enum { COPIES = 3 };
    double priors[N_LABELS], totals[2 * COPIES + 1][N_LABELS], alone[2][N_LABELS], all[N_LABELS];
    bool bound[2 * COPIES][N_LABELS], bound_alone[2][N_LABELS];
    hn_step_item items[2 * COPIES + 1] = {0}, one[2];
    float *nodes = hn_calloc((size_t)r->trie->n_nodes, sizeof *nodes);
    for (int l = 0; l < N_LABELS; l++) priors[l] = l % 3 * -2.5;
    for (int m = 0; m < 2; m++) {
        one[m] = (hn_step_item){.tokens = r->ids,
                                .n_tokens = r->n,
                                .want = HN_WANT_LABELS,
                                .labels = r->trie,
                                .label_mode = m ? HN_LABELS_BEST : HN_LABELS_BOUNDED,
                                .label_log_priors = m ? priors : NULL,
                                .label_logprobs = alone[m],
                                .label_is_bound = bound_alone[m],
                                .label_token_logprobs = nodes};
        one[m].sequence = fresh(e);
        run(e, &one[m], 1);
        hn_sequence_free(one[m].sequence);
        int best = 0;
        for (int l = 0; l < N_LABELS; l++) {
            double exact = r->totals[l] - (m ? priors[l] : 0), top = r->totals[best] - (m ? priors[best] : 0);
            if (exact > top) best = l;
            if (!bound_alone[m][l]) same("an exact label of a search", &alone[m][l], &r->totals[l], sizeof(double));
            assert_true(alone[m][l] >= r->totals[l]);
        }
        assert_false(bound_alone[m][best]);
        for (int i = 0; i < r->trie->n_nodes; i++)
            if (nodes[i] == nodes[i]) same("a node of a search", &nodes[i], &r->nodes[i], sizeof *nodes);
    }
    for (int i = 0; i < 2 * COPIES + 1; i++) {
        items[i] = one[i % 2];
        items[i].label_token_logprobs = NULL;
        items[i].label_logprobs = totals[i];
        items[i].label_is_bound = i < 2 * COPIES ? bound[i] : NULL;
        items[i].sequence = fresh(e);
    }
    items[2 * COPIES].label_mode = HN_LABELS_ALL;
    items[2 * COPIES].label_logprobs = all;
    run(e, items, 2 * COPIES + 1);
    for (int i = 0; i < 2 * COPIES; i++) {
        same("a search in company", totals[i], alone[i % 2], sizeof alone[0]);
        same("a search's bounds in company", bound[i], bound_alone[i % 2], sizeof bound[0]);
        assert_int_equal(items[i].label_n_computed, one[i % 2].label_n_computed);
    }
    same("all labels beside searches", all, r->totals, sizeof all);
    for (int i = 0; i < 2 * COPIES + 1; i++) hn_sequence_free(items[i].sequence);
    hn_free(nodes);
}

/* The prompt's first `cut` tokens computed by another sequence that has gone on since, the rest appended to a fork. */
static void check_prefix(hn_engine *e, const request *r, int cut) {
    float *logits = hn_calloc((size_t)r->V, sizeof *logits);
    double totals[N_LABELS];
    hn_sequence *base = fresh(e);
    hn_step_item item = {.sequence = base, .tokens = r->ids, .n_tokens = cut, .want = HN_WANT_NOTHING};
    run(e, &item, 1);
    hn_sequence *a = fork_at(base, cut);
    int32_t other[3] = {1, 2, 3};
    hn_step_item on[2] = {
        {.sequence = base, .tokens = other, .n_tokens = 3},
        {.sequence = a, .tokens = r->ids + cut, .n_tokens = r->n - cut, .want = HN_WANT_LOGITS, .logits = logits}};
    run(e, on, 2); /* both write into the block that they share */
    same("logits after a shared prefix", logits, r->logits, (size_t)r->V * sizeof *logits);
    hn_sequence *b = fork_at(base, cut - 1);
    hn_sequence_truncate(a, cut - 1);
    hn_step_item again[2] = {{.sequence = b,
                              .tokens = r->ids + cut - 1,
                              .n_tokens = r->n - cut + 1,
                              .want = HN_WANT_LABELS,
                              .labels = r->trie,
                              .label_logprobs = totals},
                             {.sequence = a,
                              .tokens = r->ids + cut - 1,
                              .n_tokens = r->n - cut + 1,
                              .want = HN_WANT_LOGITS,
                              .logits = logits}};
    run(e, again, 2);
    same("labels after a shared prefix", totals, r->totals, sizeof totals);
    same("logits after a truncation", logits, r->logits, (size_t)r->V * sizeof *logits);
    /* Asked again with no new token: from the kept state, and (in a shorter fork of itself) by computing the last
     * token again. */
    hn_step_item kept = {.sequence = a, .want = HN_WANT_LABELS, .labels = r->trie, .label_logprobs = totals};
    memset(totals, 0, sizeof totals);
    run(e, &kept, 1);
    same("labels from the kept state", totals, r->totals, sizeof totals);
    int32_t more = 5;
    hn_step_item longer = {.sequence = b, .tokens = &more, .n_tokens = 1};
    run(e, &longer, 1);
    hn_sequence *c = fork_at(b, r->n);
    hn_step_item rerun = {.sequence = c, .want = HN_WANT_LOGITS, .logits = logits};
    memset(logits, 0, (size_t)r->V * sizeof *logits);
    run(e, &rerun, 1);
    same("logits of the last token computed again", logits, r->logits, (size_t)r->V * sizeof *logits);
    hn_sequence_free(a);
    hn_sequence_free(b);
    hn_sequence_free(c);
    hn_sequence_free(base);
    hn_free(logits);
}

/* Token by token, as generation does. */
static void check_one_by_one(hn_engine *e, const request *r) {
    float *logits = hn_calloc((size_t)r->V, sizeof *logits);
    hn_sequence *s = fresh(e);
    for (int i = 0; i < r->n; i++) {
        hn_step_item item = {
            .sequence = s, .tokens = r->ids + i, .n_tokens = 1, .want = HN_WANT_LOGITS, .logits = logits};
        run(e, &item, 1);
    }
    same("logits token by token", logits, r->logits, (size_t)r->V * sizeof *logits);
    hn_sequence_free(s);
    hn_free(logits);
}

/* Leaves used blocks behind, full of other numbers. */
static void dirty_cache(hn_engine *e) {
    int32_t ids[70];
    for (int i = 0; i < 70; i++) ids[i] = 100 + i;
    hn_free(hn_test_logits(e, ids, 70));
}

static void check_engine(hn_engine *e, const request *r) {
    dirty_cache(e);
    float *logits = hn_test_logits(e, r->ids, r->n), *logprobs = hn_test_next_logprobs(e, r->ids, r->n);
    same("logits alone", logits, r->logits, (size_t)r->V * sizeof *logits);
    same("log-probabilities alone", logprobs, r->logprobs, (size_t)(r->n - 1) * sizeof *logprobs);
    hn_free(logits);
    hn_free(logprobs);
    check_batch(e, r);
    check_searches(e, r);
    check_prefix(e, r, r->n / 2);
    check_prefix(e, r, r->n - 1);
    if (r->n > 33) check_prefix(e, r, 32);
    check_chains(e, r);
    check_one_by_one(e, r);
}

/* A cache of 8-bit integers keeps the same promises. */
static void check_q8_cache(const hn_model *m, const char *isa, int n) {
    hn_error err = {0};
    hn_engine *e;
    hn_engine_options options = {.n_threads = 2, .isa = isa, .kv_type = HN_KV_Q8_0};
    hn_test_ok(hn_engine_create(m, &options, &e, &err), &err);
    assert_non_null(strstr(hn_engine_numeric_path(e), "kv-q8_0"));
    request r = make_request(e, n, 5);
    check_engine(e, &r);
    print_message("%s: the same bits in every way\n", hn_engine_numeric_path(e));
    free_request(&r);
    hn_engine_free(e);
}

static void check_model(const char *path, bool only_ref, const int *lengths, int n_lengths) {
    hn_model *m = hn_test_model_open(path, 0);
    for (int i = 0; hn_kernels_available(i); i++) {
        const char *isa = hn_kernels_available(i)->name;
        bool is_ref = strcmp(isa, "ref") == 0;
        if (is_ref != only_ref) continue;
        isa = hn_test_isa(isa);
        hn_engine *one = hn_test_engine(m, isa, 1), *two = hn_test_engine(m, isa, 2);
        hn_error err = {0};
        hn_engine *low;
        hn_engine_options options = {.n_threads = 2, .isa = isa, .pack = HN_PACK_LOW};
        hn_test_ok(hn_engine_create(m, &options, &low, &err), &err);
        bool is_last =
            hn_kernels_available(i + 1) == NULL; /* the default; the others' bits come from the same engine code */
        for (int k = 0; k < (is_last || getenv("HONE_TEST_FULL") || only_ref ? n_lengths : 1); k++) {
            request r = make_request(one, lengths[k], (uint64_t)k + 7);
            if (r.V < 1000) check_engine(one, &r); /* on the big model one thread gave the reference already */
            check_engine(two, &r);
            if (k == 1 && is_last) check_engine(low, &r);
            free_request(&r);
        }
        if (is_last || getenv("HONE_TEST_FULL") || n_lengths > 3) check_q8_cache(m, isa, lengths[n_lengths - 1]);
        print_message("%s: the same bits in every way\n", hn_engine_numeric_path(two));
        hn_engine_free(one);
        hn_engine_free(two);
        hn_engine_free(low);
    }
    hn_model_close(m);
}

static void ref_is_deterministic_on_the_tiny_model(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    static const int lengths[] = {2, 31, 32, 33, 65, 110};
    if (!hn_test_shared("goldens/tiny/llama/model.gguf", path)) skip();
    check_model(path, true, lengths, 6);
}

static void fast_kernels_are_deterministic_on_the_tiny_model(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    static const int lengths[] = {2, 31, 32, 33, 65, 110};
    if (!hn_test_shared("goldens/tiny/llama/model.gguf", path)) skip();
    check_model(path, false, lengths, 6);
}

static void fast_kernels_are_deterministic_on_smollm2(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    static const int lengths[] = {45, 7, 130};
    if (!hn_test_big_model(path)) skip();
    check_model(path, false, lengths, 3);
}

/* More tree rows than one chunk holds: the cut must not show. */
static void big_tries_are_cut_without_a_trace(void **state) {
    (void)state;
    char path[HN_PATH_MAX];
    enum { N = 400, DEPTH = 5 };
    static int32_t ids[N][DEPTH];
    static hn_label_ids labels[N];
    static double totals[N];
    if (!hn_test_shared("goldens/tiny/llama/model.gguf", path)) skip();
    hn_model *m = hn_test_model_open(path, 0);
    hn_engine *e = hn_test_engine(m, NULL, 2);
    hn_error err = {0};
    hn_label_trie *trie;
    hn_rng rng;
    hn_rng_seed(&rng, 3, 0);
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < DEPTH; k++) ids[i][k] = (int32_t)hn_rng_below(&rng, k < 2 ? 4 : 512);
        labels[i] = (hn_label_ids){ids[i], DEPTH};
    }
    hn_test_ok(hn_label_trie_create(labels, N, &trie, &err), &err);
    int32_t prompt[40];
    for (int i = 0; i < 40; i++) prompt[i] = 3 * i;
    hn_sequence *s = fresh(e), *s2 = fresh(e);
    static double second[N];
    hn_step_item items[2] = {{.sequence = s,
                              .tokens = prompt,
                              .n_tokens = 40,
                              .want = HN_WANT_LABELS,
                              .labels = trie,
                              .label_logprobs = totals},
                             {.sequence = s2,
                              .tokens = prompt,
                              .n_tokens = 40,
                              .want = HN_WANT_LABELS,
                              .labels = trie,
                              .label_logprobs = second}};
    run(e, items, 2);
    same("the second case of a batch of big tries", second, totals, sizeof totals);
    assert_int_equal(hn_sequence_length(s), 40);
    for (int i = 0; i < N; i += 7) {
        hn_sequence *chain = fork_at(s, 39);
        int32_t tokens[DEPTH] = {prompt[39]};
        float logprobs[DEPTH];
        memcpy(tokens + 1, ids[i], (DEPTH - 1) * sizeof *tokens);
        hn_step_item item = {.sequence = chain,
                             .tokens = tokens,
                             .n_tokens = DEPTH,
                             .want = HN_WANT_LOGPROBS,
                             .targets = ids[i],
                             .target_logprobs = logprobs};
        run(e, &item, 1);
        double total = 0;
        for (int k = 0; k < DEPTH; k++) total += (double)logprobs[k];
        same("a label of a big trie as a chain", &total, &totals[i], sizeof total);
        hn_sequence_free(chain);
    }
    hn_sequence_free(s);
    hn_sequence_free(s2);
    hn_label_trie_free(trie);
    hn_engine_free(e);
    hn_model_close(m);
}

/* A prompt of several chunks at once, in uneven pieces whose states nobody wants, and as the last of a batch. */
static void long_prompts_are_cut_without_a_trace(void **state) {
    (void)state;
    enum { N = 1100 };
    static const int pieces[] = {1, 511, 2, 585, 1};
    static int32_t ids[N];
    char path[HN_PATH_MAX];
    if (!hn_test_big_model(path)) skip();
    hn_model *m = hn_test_model_open(path, 0);
    hn_engine *e = hn_test_engine(m, NULL, 2);
    size_t V = (size_t)hn_model_shape(m)->n_vocab;
    for (int i = 0; i < N; i++) ids[i] = (i * 7919 + 13) % (int)V;
    float *expected = hn_test_logits(e, ids, N), *logits = hn_calloc(V, sizeof *logits);
    hn_sequence *s = fresh(e), *t = fresh(e), *u = fresh(e);
    for (int i = 0, at = 0; i < 5; at += pieces[i++]) {
        hn_step_item item = {.sequence = s, .tokens = ids + at, .n_tokens = pieces[i]};
        if (i == 4) item.want = HN_WANT_LOGITS, item.logits = logits;
        run(e, &item, 1);
    }
    same("logits of a long prompt in pieces", logits, expected, V * sizeof *logits);
    hn_step_item both[2] = {{.sequence = t, .tokens = ids, .n_tokens = 700},
                            {.sequence = u, .tokens = ids, .n_tokens = N, .want = HN_WANT_LOGITS, .logits = logits}};
    run(e, both, 2);
    same("logits of a long prompt in a batch", logits, expected, V * sizeof *logits);
    hn_step_item rest = {
        .sequence = t, .tokens = ids + 700, .n_tokens = N - 700, .want = HN_WANT_LOGITS, .logits = logits};
    run(e, &rest, 1);
    same("logits of a long prompt begun in a batch", logits, expected, V * sizeof *logits);
    hn_sequence_free(s);
    hn_sequence_free(t);
    hn_sequence_free(u);
    hn_free(expected);
    hn_free(logits);
    hn_engine_free(e);
    hn_model_close(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ref_is_deterministic_on_the_tiny_model),
        cmocka_unit_test(fast_kernels_are_deterministic_on_the_tiny_model),
        cmocka_unit_test(fast_kernels_are_deterministic_on_smollm2),
        cmocka_unit_test(big_tries_are_cut_without_a_trace),
        cmocka_unit_test(long_prompts_are_cut_without_a_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
