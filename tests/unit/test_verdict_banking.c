/* What verdicts promise, on resampled runs of real classifiers over banking77: bags of words learned from different halves of the training rows, one
 * of a tenth of them, and the nearest neighbour. Runs of one system (the two runs' answers to a case change places with an even chance, so that the true
 * difference is nil while cases differ as they really do) are called different in at most 5 % of 1,000 trials, also when looked at after every 50
 * cases; a true difference of 8 points at 400 cases is called as often as the power announced. Beside it "the higher number wins".
 * Quick by default: few rows to learn from. HONE_PROOF_WHOLE=1 (bench/proofs/run) takes all rows, and 4,000 trials for the power. */
#include "support.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "format/csv.h"
#include "lifecycle/eval/repeated_looks.h"
#include "stats/interval.h"
#include "stats/paired.h"
#include "stats/power.h"
#include "stats/verdict.h"
#include "text/bow.h"
#include "text/nearest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 400, TRIALS = 1000, LABELS_MAX = 100, N_SYSTEMS = 4 };
static const double DIFFERENCE = 0.08;

typedef struct rows {
    hn_str *texts;
    int32_t *labels;
    size_t n, capacity, labels_capacity;
    hn_arena *arena;
} rows;

static char *label_names[LABELS_MAX];
static size_t n_labels, n_train, n_pool;
static rows train, pool;
static unsigned char *right[N_SYSTEMS]; /* (n_pool) real outcomes */
static const char *const names[N_SYSTEMS] = {"words, one half", "words, the other half", "words, a tenth",
                                             "nearest neighbour"};
static bool whole;

static int32_t label_of(const char *name, hn_arena *arena) {
    for (size_t i = 0; i < n_labels; i++)
        if (strcmp(label_names[i], name) == 0) return (int32_t)i;
    assert_true(n_labels < LABELS_MAX);
    assert_non_null(label_names[n_labels] = hn_arena_strdup(arena, name));
    return (int32_t)n_labels++;
}

static bool read_rows(const char *name, rows *out) {
    char path[HN_PATH_MAX];
    if (!hn_test_shared(name, path)) return false;
    size_t n_bytes;
    char *bytes = hn_test_read(path, &n_bytes);
    hn_csv *csv;
    hn_csv_row row;
    hn_error err;
    assert_non_null(out->arena = hn_arena_create(0));
    hn_test_ok(hn_csv_open(name, bytes, n_bytes, 0, &csv, &err), &err);
    hn_test_ok(hn_csv_next(csv, &row, &err), &err);
    for (;;) {
        hn_test_ok(hn_csv_next(csv, &row, &err), &err);
        if (row.n == 0) break;
        assert_true(hn_grow((void **)&out->texts, &out->capacity, out->n + 1, sizeof *out->texts));
        assert_true(hn_grow((void **)&out->labels, &out->labels_capacity, out->n + 1, sizeof *out->labels));
        out->texts[out->n] = hn_str_of(hn_arena_strdup(out->arena, row.cells[0]));
        out->labels[out->n++] = label_of(row.cells[1], train.arena);
    }
    hn_csv_close(csv);
    hn_free(bytes);
    return true;
}

/* The files come by label: mixed, so that any part has them all. */
static void shuffle(rows *r, uint64_t seed) {
    hn_rng rng;
    hn_rng_seed(&rng, seed, 1);
    for (size_t i = r->n; i > 1; i--) {
        size_t k = hn_rng_below(&rng, i);
        hn_str text = r->texts[k];
        int32_t label = r->labels[k];
        r->texts[k] = r->texts[i - 1];
        r->labels[k] = r->labels[i - 1];
        r->texts[i - 1] = text;
        r->labels[i - 1] = label;
    }
}

static void mark(const int32_t *answers, unsigned char *out) {
    for (size_t i = 0; i < n_pool; i++) out[i] = answers[i] == pool.labels[i];
}

static void answer_by_words(size_t from, size_t n, int32_t *answers) {
    hn_bow *bow;
    hn_error err;
    hn_test_ok(hn_bow_train(train.texts + from, train.labels + from, n, n_labels, NULL, &bow, &err), &err);
    hn_test_ok(hn_bow_predict(bow, pool.texts, n_pool, answers, &err), &err);
    hn_bow_free(bow);
}

static void answer_by_nearest(size_t n, int32_t *answers) {
    hn_nearest *index;
    hn_error err;
    hn_test_ok(hn_nearest_create(train.texts, n, NULL, &index, &err), &err);
    for (size_t i = 0; i < n_pool; i++) {
        uint32_t id;
        size_t found;
        hn_test_ok(hn_nearest_find(index, pool.texts[i], 1, NULL, NULL, &id, NULL, &found, &err), &err);
        answers[i] = found ? train.labels[id] : -1;
    }
    hn_nearest_free(index);
}

static int make_runs(void **state) {
    (void)state;
    const char *asked = getenv("HONE_PROOF_WHOLE");
    whole = asked && *asked == '1';
    if (!read_rows("data/banking77/train.csv", &train) || !read_rows("data/banking77/test.csv", &pool)) return 0;
    shuffle(&train, 7);
    shuffle(&pool, 7);
    n_train = whole ? train.n : 2400;
    n_pool = whole ? pool.n : 1500;
    int32_t *answers = hn_alloc(n_pool * sizeof *answers);
    assert_non_null(answers);
    for (int s = 0; s < N_SYSTEMS; s++) {
        assert_non_null(right[s] = hn_alloc(n_pool));
        size_t half = n_train / 2;
        if (s == 3)
            answer_by_nearest(half, answers);
        else
            answer_by_words(s == 1 ? half : 0, s == 2 ? n_train / 10 : half, answers);
        mark(answers, right[s]);
        size_t n = 0;
        for (size_t i = 0; i < n_pool; i++) n += right[s][i];
        printf("%s: %zu of %zu right\n", names[s], n, n_pool);
    }
    hn_free(answers);
    return 0;
}

static int free_runs(void **state) {
    (void)state;
    for (int s = 0; s < N_SYSTEMS; s++) hn_free(right[s]);
    rows *all[] = {&train, &pool};
    for (int i = 0; i < 2; i++) {
        hn_free(all[i]->texts);
        hn_free(all[i]->labels);
        if (all[i]->arena) hn_arena_free(all[i]->arena);
    }
    return 0;
}

static void count_sides(const double *a, const double *b, int n, int64_t *only_a, int64_t *only_b) {
    *only_a = *only_b = 0;
    for (int i = 0; i < n; i++) {
        *only_a += a[i] > b[i];
        *only_b += b[i] > a[i];
    }
}

/* Cases drawn from the pool with both systems' outcomes, which change places by a coin. */
static void draw_alike(hn_rng *rng, const unsigned char *x, const unsigned char *y, double *a, double *b) {
    for (int i = 0; i < N; i++) {
        size_t k = hn_rng_below(rng, n_pool);
        bool turned = hn_rng_below(rng, 2);
        a[i] = turned ? y[k] : x[k];
        b[i] = turned ? x[k] : y[k];
    }
}

static void assert_rare(const char *what, int n) {
    double bound = hn_interval_clopper_pearson(n, TRIALS, 0.02).high; /* one-sided 99 % */
    printf("  %s: %d of %d (upper 99 %% bound %.3f)\n", what, n, TRIALS, bound);
    assert_true(n <= TRIALS / 20);
    assert_true(bound <= 0.067);
}

static void check_alike(int x, int y) {
    int called = 0, sequential = 0, peeking = 0, naive = 0;
    hn_error err;
    printf("%s and %s as one system:\n", names[x], names[y]);
    for (int t = 0; t < TRIALS; t++) {
        double a[N], b[N];
        hn_rng rng;
        hn_verdict v;
        hn_repeated_looks s;
        int64_t only_a, only_b;
        hn_rng_seed(&rng, 100 + (uint64_t)(x * N_SYSTEMS + y), (uint64_t)t);
        draw_alike(&rng, right[x], right[y], a, b);
        hn_verdict_options options = {.smallest_difference = 0.02, .seed = 7};
        hn_test_ok(hn_verdict_judge(a, b, NULL, N, &options, &v, &err), &err);
        called += v.kind == HN_VERDICT_BETTER || v.kind == HN_VERDICT_WORSE;
        hn_test_ok(hn_repeated_looks_judge(a, b, NULL, N, HN_REPEATED_LOOKS_EVERY, 0.05, &s, &err), &err);
        sequential += s.kind != HN_VERDICT_CANNOT_TELL;
        bool fooled = false;
        for (int n = HN_REPEATED_LOOKS_EVERY; n <= N; n += HN_REPEATED_LOOKS_EVERY) {
            count_sides(a, b, n, &only_a, &only_b);
            fooled = fooled || hn_mcnemar(only_a, only_b).exact_p <= 0.05;
        }
        peeking += fooled;
        naive += only_a != only_b;
    }
    assert_rare("called different", called);
    assert_rare("called different, looked at after every 50 cases", sequential);
    printf("  a test for one look, looked at after every 50: %d; the higher number wins: %d\n", peeking, naive);
    assert_true(naive > TRIALS * 8 / 10);
}

static void one_system_is_seldom_called_two(void **state) {
    (void)state;
    if (!n_pool) skip();
    for (int x = 0; x < N_SYSTEMS; x++)
        for (int y = x + 1; y < N_SYSTEMS; y++) check_alike(x, y);
}

/* B answers a share of the cases, else A does: so the true difference is just 8 points. Returns whether the two are that far apart. */
static bool check_power(int x, int y) {
    int trials = whole ? 4000 : 1500, better = 0, worse = 0, higher = 0;
    size_t wins = 0, losses = 0;
    hn_error err;
    for (size_t i = 0; i < n_pool; i++) {
        wins += right[y][i] > right[x][i];
        losses += right[x][i] > right[y][i];
    }
    double apart = ((double)wins - (double)losses) / (double)n_pool;
    if (apart < DIFFERENCE) return false;
    double share = DIFFERENCE / apart, psi = share * (double)(wins + losses) / (double)n_pool;
    double announced = hn_power_mcnemar_at(psi, DIFFERENCE, N, 0.05);
    for (int t = 0; t < trials; t++) {
        double a[N], b[N];
        hn_rng rng;
        hn_verdict v;
        hn_rng_seed(&rng, 200 + (uint64_t)(x * N_SYSTEMS + y), (uint64_t)t);
        for (int i = 0; i < N; i++) {
            size_t k = hn_rng_below(&rng, n_pool);
            a[i] = right[x][k];
            b[i] = hn_rng_uniform(&rng) < share ? right[y][k] : right[x][k];
        }
        hn_test_ok(hn_verdict_judge(a, b, NULL, N, NULL, &v, &err), &err);
        better += v.kind == HN_VERDICT_BETTER;
        worse += v.kind == HN_VERDICT_WORSE;
        higher += v.only_b_right > v.only_a_right;
    }
    double called = (double)better / trials;
    printf(
        "%s against %s (mixed to 8 points, discordance %.3f): announced %.3f, better in %.3f, worse in %d; the higher "
        "number wins: %.3f\n",
        names[y], names[x], psi, announced, called, worse, (double)higher / trials);
    assert_true(fabs(called - announced) <= 0.03);
    assert_true(worse <= 1);
    return true;
}

static void a_difference_is_called_as_often_as_announced(void **state) {
    (void)state;
    int n = 0;
    if (!n_pool) skip();
    for (int x = 0; x < N_SYSTEMS; x++)
        for (int y = 0; y < N_SYSTEMS; y++) n += x != y && check_power(x, y);
    assert_true(n >= 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_system_is_seldom_called_two),
        cmocka_unit_test(a_difference_is_called_as_often_as_announced),
    };
    return cmocka_run_group_tests(tests, make_runs, free_runs);
}
