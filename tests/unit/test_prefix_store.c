/* Prefixes kept on disk: answers have the same bits with and without them, by whichever process they were written; what is damaged, cut
 * off or of another model is computed again; the folder stays within its limit; memory that runs out. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/rng.h"
#include "provider/provider.h"
#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SHARED = 100, OWN = 16, PROMPT = SHARED + OWN, N = 6, TOKENS = 6 };

typedef struct answer {
    int n_tokens, cached;
    hn_status status;
    int32_t ids[TOKENS];
    float logprobs[TOKENS];
    double labels[2];
} answer;

static char model_path[HN_PATH_MAX], folder[64];

static void on_done(void *user, uint64_t ticket, const hn_completion *c) {
    answer *a = user;
    (void)ticket;
    a->status = c->status;
    a->cached = c->usage.cached_prompt_tokens;
    a->n_tokens = (int)c->n_tokens;
    for (int i = 0; i < a->n_tokens && i < TOKENS; i++) {
        a->ids[i] = c->tokens[i].id;
        a->logprobs[i] = c->tokens[i].logprob;
    }
    for (size_t i = 0; i < c->n_labels && i < 2; i++) a->labels[i] = c->label_logprobs[i];
}

static hn_provider *open_provider(size_t cache_bytes, hn_kv_type kv) {
    hn_error err = {0};
    hn_provider *p;
    hn_local_options options = {
        .n_threads = 1, .kv_type = kv, .prefix_cache_bytes = cache_bytes, .prefix_cache_folder = folder};
    hn_test_ok(hn_provider_local_open(model_path, &options, &p, &err), &err);
    return p;
}

/* Prompts of a family begin alike. */
static void make_prompt(int family, int i, int32_t ids[PROMPT]) {
    hn_rng rng;
    hn_rng_seed(&rng, (uint64_t)family, 1);
    for (int t = 0; t < SHARED; t++) ids[t] = 3 + (int32_t)hn_rng_below(&rng, 500);
    hn_rng_seed(&rng, (uint64_t)i, 2);
    for (int t = SHARED; t < PROMPT; t++) ids[t] = 3 + (int32_t)hn_rng_below(&rng, 500);
}

static const int32_t label_a[] = {10, 20, 2}, label_b[] = {10, 30, 2};
static const hn_request_label labels[] = {{.ids = label_a, .n_ids = 3}, {.ids = label_b, .n_ids = 3}};

static void submit(hn_provider *p, int family, int i, int32_t ids[PROMPT], answer *a) {
    hn_error err = {0};
    make_prompt(family, i, ids);
    hn_request r = {.ids = ids, .n_ids = PROMPT, .max_tokens = TOKENS, .want_logprobs = true};
    if (i % 2) r.kind = HN_REQUEST_LABELS, r.labels = labels, r.n_labels = 2;
    *a = (answer){0};
    hn_test_ok(hn_provider_submit(p, &r, 0, on_done, a, NULL, &err), &err);
}

/* Cases from..to-1 of a family in one process; how many tokens came from disk and went there. */
static hn_provider_info answer_all(size_t cache_bytes, hn_kv_type kv, int family, int from, int to, answer *answers) {
    hn_error err = {0};
    hn_provider_info info;
    int32_t ids[N][PROMPT];
    size_t pending = 1;
    hn_provider *p = open_provider(cache_bytes, kv);
    for (int i = from; i < to; i++) submit(p, family, i, ids[i], &answers[i]);
    while (pending) hn_test_ok(hn_provider_step(p, 1000, &pending, &err), &err);
    hn_test_ok(hn_provider_info_get(p, &info, &err), &err);
    hn_provider_close(p);
    return info;
}

static void same(const answer *a, const answer *b, int from, int to) {
    for (int i = from; i < to; i++) {
        assert_int_equal(a[i].status, HN_OK);
        assert_int_equal(b[i].status, HN_OK);
        assert_int_equal(a[i].n_tokens, b[i].n_tokens);
        assert_memory_equal(a[i].ids, b[i].ids, sizeof a[i].ids);
        assert_memory_equal(a[i].logprobs, b[i].logprobs, sizeof a[i].logprobs);
        assert_memory_equal(a[i].labels, b[i].labels, sizeof a[i].labels);
    }
}

typedef void each_file(const char *path, void *user);

static int for_each_file(each_file *fn, void *user) {
    char path[HN_PATH_MAX];
    int n = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (e->d_name[0] == '.') continue;
        n++;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (fn) fn(path, user);
    }
    closedir(dir);
    return n;
}

static void remove_one(const char *path, void *user) {
    (void)user;
    assert_int_equal(unlink(path), 0);
}

static int empty_folder(void **state) {
    (void)state;
    if (access(folder, F_OK) == 0) for_each_file(remove_one, NULL);
    return 0;
}

enum { BIG = 1 << 28 };

static answer without[N], with[N];

static void the_same_bits_with_and_without(void **state) {
    (void)state;
    hn_provider_info info = answer_all(0, HN_KV_F16, 0, 0, N, without);
    assert_int_equal(info.prefix_tokens_read + info.prefix_tokens_written, 0);
    assert_int_not_equal(access(folder, F_OK), 0); /* off: nothing is made */

    info = answer_all(BIG, HN_KV_F16, 0, 0, N, with);
    same(with, without, 0, N);
    assert_int_equal(info.prefix_tokens_read, 0);
    assert_int_equal(info.prefix_tokens_written, SHARED);
    assert_int_equal(for_each_file(NULL, NULL), 1);

    info = answer_all(BIG, HN_KV_F16, 0, 0, N, with);
    same(with, without, 0, N);
    assert_int_equal(info.prefix_tokens_read, SHARED);
    assert_int_equal(info.prefix_tokens_written, 0);
    for (int i = 0; i < N; i++) assert_true(with[i].cached >= SHARED);

    info = answer_all(BIG, HN_KV_F16, 1, 0, N, with); /* another beginning: another file */
    assert_int_equal(info.prefix_tokens_read, 0);
    assert_int_equal(for_each_file(NULL, NULL), 2);
    info = answer_all(BIG, HN_KV_Q8_0, 0, 0, N, with); /* another numeric path: never mixed */
    assert_int_equal(info.prefix_tokens_read, 0);
    assert_int_equal(for_each_file(NULL, NULL), 3);
}

/* A process with a single prompt keeps all of it; what others share with its beginning is used. */
static void one_prompt_alone(void **state) {
    (void)state;
    hn_provider_info info = answer_all(BIG, HN_KV_F16, 0, 0, 1, with);
    assert_int_equal(for_each_file(NULL, NULL), 1);
    for (int i = 1; i < N; i++) {
        info = answer_all(BIG, HN_KV_F16, 0, i, i + 1, with);
        assert_int_equal(info.prefix_tokens_read, SHARED);
    }
    same(with, without, 0, N);
    assert_int_equal(for_each_file(NULL, NULL), 1);
}

static void only_the_owner_reads(const char *path, void *user) {
    struct stat info;
    (void)user;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

typedef struct damage {
    int64_t keep; /* bytes that stay; -1: all */
    int64_t flip; /* a byte that changes; -1: none */
} damage;

static void spoil(const char *path, void *user) {
    const damage *d = user;
    char *bytes;
    size_t n;
    hn_error err = {0};
    hn_test_ok(hn_file_read(path, BIG, &bytes, &n, &err), &err);
    if (d->keep >= 0) n = (size_t)d->keep < n ? (size_t)d->keep : n - 1;
    if (d->flip >= 0) bytes[(size_t)d->flip % n] ^= 0x10;
    hn_test_ok(hn_file_write_atomic(path, bytes, n, &err), &err);
    hn_free(bytes);
}

static void damaged_files_are_computed_again(void **state) {
    (void)state;
    static const damage kinds[] = {
        {0, -1},  {7, -1},   {40, -1}, {87, -1},  {88, -1},   {500, -1}, {2000, -1}, {30000, -1},
        {-1, 0},  {-1, 8},   {-1, 12}, {-1, 13},  {-1, 14},   {-1, 15},  {-1, 16},   {-1, 23},
        {-1, 30}, {-1, 100}, {-1, 60}, {-1, 900}, {-1, 1200}, {-1, 3},   {-1, 5000}, {-1, 20000},
    };
    answer_all(BIG, HN_KV_F16, 0, 0, N, with);
    for_each_file(only_the_owner_reads, NULL);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        assert_int_equal(for_each_file(spoil, (void *)(uintptr_t)&kinds[k]), 1);
        hn_provider_info info = answer_all(BIG, HN_KV_F16, 0, 0, N, with);
        same(with, without, 0, N);
        assert_int_equal(info.prefix_tokens_read, 0);
        assert_int_equal(info.prefix_tokens_written, SHARED); /* in its place */
        info = answer_all(BIG, HN_KV_F16, 0, 0, N, with);
        same(with, without, 0, N);
        assert_int_equal(info.prefix_tokens_read, SHARED);
    }
}

static void make_folder(const char *path, void *user) {
    (void)user;
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void remove_folder(const char *path, void *user) {
    (void)user;
    assert_int_equal(rmdir(path), 0);
}

static void strange_things_in_the_folder(void **state) {
    (void)state;
    answer_all(BIG, HN_KV_F16, 0, 0, N, with);
    for_each_file(make_folder, NULL); /* a folder where a file should be */
    answer_all(BIG, HN_KV_F16, 0, 0, N, with);
    same(with, without, 0, N);
    for_each_file(remove_folder, NULL);
}

static void add_size(const char *path, void *user) { *(int64_t *)user += hn_file_size(path); }

static void the_folder_stays_within_its_limit(void **state) {
    (void)state;
    int64_t one = 0, all = 0;
    answer_all(BIG, HN_KV_F16, 0, 0, N, with);
    for_each_file(add_size, &one);
    size_t limit = (size_t)one * 2 + 100;
    for (int family = 1; family < 4; family++) answer_all(limit, HN_KV_F16, family, 0, N, with);
    assert_int_equal(for_each_file(add_size, &all), 2);
    assert_true(all <= (int64_t)limit);
    assert_int_equal(answer_all(limit, HN_KV_F16, 3, 0, N, with).prefix_tokens_read, SHARED);
    assert_int_equal(answer_all(limit, HN_KV_F16, 0, 0, N, with).prefix_tokens_read, 0); /* the oldest went */
    same(with, without, 0, N);
    hn_provider_info info = answer_all(1000, HN_KV_F16, 5, 0, N, with); /* too small for any: as if it were off */
    assert_int_equal(info.prefix_tokens_written, 0);
}

static void memory_that_runs_out(void **state) {
    (void)state;
    bool finished = false;
    answer_all(BIG, HN_KV_F16, 0, 0, N, with);
    for (size_t n = 1; !finished && n < 2000; n += n < 300 ? 1 : 7) {
        hn_error err = {0};
        hn_provider *p = NULL;
        answer a = {0};
        int32_t ids[PROMPT];
        size_t pending = 1;
        hn_local_options options = {.n_threads = 1, .prefix_cache_bytes = BIG, .prefix_cache_folder = folder};
        make_prompt(0, 0, ids);
        hn_request r = {.ids = ids, .n_ids = PROMPT, .max_tokens = TOKENS, .want_logprobs = true};
        hn_alloc_fail_at(n, false);
        hn_status st = hn_provider_local_open(model_path, &options, &p, &err);
        if (st == HN_OK) st = hn_provider_submit(p, &r, 0, on_done, &a, NULL, &err);
        while (st == HN_OK && pending) st = hn_provider_step(p, 1000, &pending, &err);
        finished = hn_alloc_count() < n;
        if (p) hn_provider_close(p);
        hn_alloc_fail_at(0, false);
        if (st == HN_OK && a.status == HN_OK) same(&a, without, 0, 1);
    }
    assert_true(finished);
}

int main(void) {
    char root[] = "/tmp/hone-prefixes-XXXXXX";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_same_bits_with_and_without, empty_folder),
        cmocka_unit_test_teardown(one_prompt_alone, empty_folder),
        cmocka_unit_test_teardown(damaged_files_are_computed_again, empty_folder),
        cmocka_unit_test_teardown(strange_things_in_the_folder, empty_folder),
        cmocka_unit_test_teardown(the_folder_stays_within_its_limit, empty_folder),
        cmocka_unit_test_teardown(memory_that_runs_out, empty_folder),
    };
    if (!hn_test_shared("goldens/tiny/llama/model.gguf", model_path)) return 77;
    if (!mkdtemp(root)) return 1;
    snprintf(folder, sizeof folder, "%s/prefixes", root);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)rmdir(folder);
    (void)rmdir(root);
    return failed;
}
