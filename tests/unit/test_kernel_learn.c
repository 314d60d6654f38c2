/* Learning kernels of every instruction set against ref, at sizes that are no multiple of anything, with NaN around every buffer. */
#include "kernel_cases.h"
#include "support.h"

#include "base/alloc.h"
#include "kernel/learn.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const hn_learn_ops *ref(void) { return hn_learn_ops_of(hn_kernels_available(0)); }

static void near(const char *table, const char *what, const guarded *have, const guarded *want, double tolerance) {
    double largest = 0;
    guarded_check(have);
    for (size_t i = 0; i < want->n; i++) largest = fmax(largest, fabs((double)want->data[i]));
    for (size_t i = 0; i < want->n; i++) {
        double error = fabs((double)have->data[i] - (double)want->data[i]);
        if (!(error <= tolerance * largest))
            fail_msg("%s %s: number %zu is off by %g of %g", table, what, i, error, largest);
    }
}

static guarded filled(size_t n, uint32_t seed) {
    guarded g = guarded_create(n);
    random_fill(g.data, n, seed);
    return g;
}

static void each_table(void (*check)(const char *name, const hn_learn_ops *ops)) {
    const hn_kernels *k;
    for (int i = 1; (k = hn_kernels_available(i)); i++) check(k->name, hn_learn_ops_of(k));
}

static const int sizes[][3] = {{1, 1, 1}, {5, 3, 17}, {4, 16, 64}, {33, 16, 100}, {9, 40, 131}, {64, 7, 8}};
enum { N_SIZES = sizeof sizes / sizeof *sizes };

static void products_of(const char *name, const hn_learn_ops *ops) {
    for (int i = 0; i < N_SIZES; i++) {
        int64_t T = sizes[i][0], R = sizes[i][1], N = sizes[i][2];
        guarded a = filled((size_t)(T * R), 1), b = filled((size_t)(R * N), 2), c = filled((size_t)(T * N), 3);
        guarded have = filled((size_t)(T * N), 4), want = filled((size_t)(T * N), 4);
        ops->rows_add(have.data, N, a.data, R, b.data, N, T, R, N);
        ref()->rows_add(want.data, N, a.data, R, b.data, N, T, R, N);
        near(name, "rows_add", &have, &want, 1e-5);
        guarded out = filled((size_t)(R * N), 5), out_want = filled((size_t)(R * N), 5);
        ops->outer_add(out.data, N, a.data, R, c.data, N, T, R, N);
        ref()->outer_add(out_want.data, N, a.data, R, c.data, N, T, R, N);
        near(name, "outer_add", &out, &out_want, 1e-5);
        /* half of the columns at a time: the same bits */
        guarded half = filled((size_t)(R * N), 5);
        int64_t cut = N / 2;
        if (cut) ops->outer_add(half.data, N, a.data, R, c.data, N, T, R, cut);
        ops->outer_add(half.data + cut, N, a.data, R, c.data + cut, N, T, R, N - cut);
        assert_memory_equal(half.data, out.data, out.n * sizeof(float));
        guarded_free(&a), guarded_free(&b), guarded_free(&c), guarded_free(&have), guarded_free(&want);
        guarded_free(&out), guarded_free(&out_want), guarded_free(&half);
    }
}

static void rows_of(const char *name, const hn_learn_ops *ops) {
    for (int i = 0; i < N_SIZES; i++) {
        int T = sizes[i][0], C = sizes[i][2];
        size_t n = (size_t)T * (size_t)C;
        guarded x = filled(n, 1), dy = filled(n, 2), weight = filled((size_t)C, 3), have = filled(n, 4),
                want = filled(n, 4);
        double sums[2][131] = {{0}};
        ops->rmsnorm_backward(have.data, sums[0], dy.data, x.data, weight.data, T, C, 1e-5f);
        ref()->rmsnorm_backward(want.data, sums[1], dy.data, x.data, weight.data, T, C, 1e-5f);
        near(name, "rmsnorm_backward", &have, &want, 1e-5);
        for (int c = 0; c < C; c++) assert_true(fabs(sums[0][c] - sums[1][c]) <= 1e-5 * (1 + fabs(sums[1][c])));
        guarded dg = guarded_create(n), du = guarded_create(n), dg_want = guarded_create(n),
                du_want = guarded_create(n);
        for (size_t k = 0; k < n; k++) x.data[k] *= 30; /* where the sigmoid is flat too */
        ops->swiglu_backward(dg.data, du.data, dy.data, x.data, want.data, n);
        ref()->swiglu_backward(dg_want.data, du_want.data, dy.data, x.data, want.data, n);
        near(name, "dgate", &dg, &dg_want, 1e-5);
        near(name, "dup", &du, &du_want, 1e-5);
        guarded p = filled(n, 7), p_want = filled(n, 7);
        ops->softmax_scale(p.data, n, 3.25, 0.5f);
        ref()->softmax_scale(p_want.data, n, 3.25, 0.5f);
        near(name, "softmax_scale", &p, &p_want, 1e-6);
        guarded_free(&x), guarded_free(&dy), guarded_free(&weight), guarded_free(&have), guarded_free(&want);
        guarded_free(&dg), guarded_free(&du), guarded_free(&dg_want), guarded_free(&du_want);
        guarded_free(&p), guarded_free(&p_want);
    }
}

typedef struct heads_case {
    int n, P, NH, KV, HS;
} heads_case;

/* Both passes of each key head; dq, dk, dv and the prefix's gradients begin as they are. */
static void run_attention(const hn_learn_ops *o, const heads_case *c, const hn_learn_sequence *s, guarded *out,
                          guarded *lse, const guarded *dout, const hn_learn_gradients *d) {
    const hn_learn_heads heads = {c->NH, c->KV, c->HS, 0.25f};
    guarded scratch = guarded_create(o->attention_scratch(c->n, c->P, c->HS));
    for (int kv = 0; kv < c->KV; kv++) {
        if (c->P) o->attention_prefix(s, kv, &heads, scratch.data);
        o->attention_forward(out->data, lse->data, s, kv, &heads, scratch.data);
        o->attention_backward(d, dout->data, out->data, lse->data, s, kv, &heads, scratch.data);
    }
    guarded_check(&scratch);
    guarded_free(&scratch);
}

static void attention_of(const char *name, const hn_learn_ops *ops) {
    static const heads_case cases[] = {{1, 0, 1, 1, 4},   {13, 0, 4, 2, 16},  {37, 0, 3, 1, 64},
                                       {40, 0, 2, 2, 20}, {70, 0, 2, 1, 6},   {1, 1, 1, 1, 4},
                                       {9, 16, 4, 2, 16}, {21, 37, 3, 1, 64}, {5, 70, 2, 2, 6}};
    enum { OUT, LSE, DQ, DK, DV, PDK, PDV, N_RESULTS };
    static const char *const names[] = {"attention", "lse", "dq", "dk", "dv", "prefix dk", "prefix dv"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const heads_case c = cases[i];
        size_t q_n = (size_t)(c.n * c.NH * c.HS), k_n = (size_t)(c.n * c.KV * c.HS), l_n = (size_t)(c.n * c.NH),
               p_n = (size_t)((c.P ? c.P : 1) * c.KV * c.HS);
        guarded q = filled(q_n, 1), k = filled(k_n, 2), v = filled(k_n, 3), dout = filled(q_n, 4), pk = filled(p_n, 8),
                pv = filled(p_n, 9), have[2][N_RESULTS];
        const hn_learn_sequence s = {q.data, k.data, v.data, pk.data, pv.data, c.n, c.P};
        for (int w = 0; w < 2; w++) {
            guarded *h = have[w];
            h[OUT] = guarded_create(q_n), h[LSE] = guarded_create(l_n), h[DQ] = filled(q_n, 5), h[DK] = filled(k_n, 6);
            h[DV] = filled(k_n, 7), h[PDK] = filled(p_n, 10), h[PDV] = filled(p_n, 11);
            const hn_learn_gradients d = {h[DQ].data, h[DK].data, h[DV].data, h[PDK].data, h[PDV].data};
            run_attention(w ? ref() : ops, &c, &s, &h[OUT], &h[LSE], &dout, &d);
        }
        for (int r = 0; r < N_RESULTS; r++) {
            near(name, names[r], &have[0][r], &have[1][r], r < DQ ? 1e-5 : 2e-5);
            guarded_free(&have[0][r]), guarded_free(&have[1][r]);
        }
        guarded_free(&q), guarded_free(&k), guarded_free(&v), guarded_free(&dout), guarded_free(&pk), guarded_free(&pv);
    }
}

static void products_match(void **state) {
    (void)state;
    each_table(products_of);
}

static void rows_match(void **state) {
    (void)state;
    each_table(rows_of);
}

static void attention_matches(void **state) {
    (void)state;
    each_table(attention_of);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(products_match), cmocka_unit_test(rows_match),
                                       cmocka_unit_test(attention_matches)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
