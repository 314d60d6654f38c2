/* Sampling; see sampler.h. Candidates leave a heap from the largest logit down, so a draw costs O(V + kept log V),
 * never a sort of the whole vocabulary. Surprise: the exponential is computed here with plain IEEE operations, not by
 * the C library, so that the same seed and logits give the same token on every machine. */
#include "engine/sampler.h"

#include "base/alloc.h"
#include "base/rng.h"

#include <math.h>
#include <string.h>

enum { DEFAULT_WINDOW = 64 };

typedef struct candidate {
    float logit;
    int32_t id;
} candidate;

struct hn_sampler {
    hn_sampling how; /* bias: owned copy */
    hn_logit_bias *bias;
    int32_t n_vocab;
    hn_rng rng;
    candidate *heap;        /* (n_vocab) largest first */
    candidate *kept;        /* (n_vocab) */
    double *weight;         /* (n_vocab) of kept */
    unsigned char *is_seen; /* (n_vocab) for the penalty; all 0 between picks */
};

static hn_status check_number(const char *what, double value, double low, double high, hn_error *err) {
    if (value >= low && value <= high) return HN_OK; /* false for NaN */
    return hn_fail(err, HN_ERR_USAGE, what, NULL, "it is %g, it must be from %g to %g", value, low, high);
}

static hn_status check(const hn_sampling *s, int32_t n_vocab, hn_error *err) {
    HN_TRY(check_number("vocabulary", n_vocab, 1, INT32_MAX, err));
    HN_TRY(check_number("temperature", (double)s->temperature, 0, 100, err));
    HN_TRY(check_number("top_k", s->top_k, 0, INT32_MAX, err));
    HN_TRY(check_number("top_p", (double)s->top_p, 0, 1, err));
    HN_TRY(check_number("min_p", (double)s->min_p, 0, 1, err));
    HN_TRY(check_number("repetition_penalty", (double)s->repetition_penalty, 0, 100, err));
    HN_TRY(check_number("repetition_window", s->repetition_window, 0, INT32_MAX, err));
    for (size_t i = 0; i < s->n_bias; i++) {
        if (s->bias[i].id < 0 || s->bias[i].id >= n_vocab)
            return hn_fail(err, HN_ERR_USAGE, "logit_bias", NULL, "token id %d is not in the vocabulary of %d",
                           s->bias[i].id, n_vocab);
        if (isnan(s->bias[i].bias))
            return hn_fail(err, HN_ERR_USAGE, "logit_bias", NULL, "the bias of token %d is not a number",
                           s->bias[i].id);
    }
    return HN_OK;
}

hn_status hn_sampler_create(const hn_sampling *sampling, int32_t n_vocab, hn_sampler **sampler, hn_error *err) {
    *sampler = NULL;
    HN_TRY(check(sampling, n_vocab, err));
    hn_sampler *s = hn_calloc(1, sizeof *s);
    if (!s) return hn_fail_memory(err, sizeof *s);
    size_t n = (size_t)n_vocab;
    *s = (hn_sampler){.how = *sampling, .n_vocab = n_vocab};
    s->heap = hn_calloc(n, sizeof *s->heap);
    s->kept = hn_calloc(n, sizeof *s->kept);
    s->weight = hn_calloc(n, sizeof *s->weight);
    s->is_seen = hn_calloc(n, 1);
    s->bias = hn_calloc(sampling->n_bias, sizeof *s->bias);
    if (!s->heap || !s->kept || !s->weight || !s->is_seen || !s->bias) {
        hn_sampler_free(s);
        return hn_fail_memory(err, n * (2 * sizeof *s->heap + sizeof *s->weight + 1));
    }
    if (sampling->n_bias) memcpy(s->bias, sampling->bias, sampling->n_bias * sizeof *s->bias);
    s->how.bias = s->bias;
    hn_rng_seed(&s->rng, sampling->seed, 0);
    *sampler = s;
    return HN_OK;
}

void hn_sampler_free(hn_sampler *s) {
    if (!s) return;
    hn_free(s->heap);
    hn_free(s->kept);
    hn_free(s->weight);
    hn_free(s->is_seen);
    hn_free(s->bias);
    hn_free(s);
}

/* e^x for x <= 0, the same bits everywhere: x = k ln 2 + r with |r| <= ln 2 / 2, e^r by its series (error below
 * 1e-15), times 2^k. */
static double exp_same(double x) {
    static const double c[] = {1.0 / 2,       1.0 / 6,        1.0 / 24,        1.0 / 120,
                               1.0 / 720,     1.0 / 5040,     1.0 / 40320,     1.0 / 362880,
                               1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800.0};
    if (!(x > -700)) return 0;
    double k = floor(x * 1.4426950408889634 + 0.5);
    double r = (x - k * 0.693147180369123816490) - k * 1.90821492927058770002e-10, sum = c[11];
    for (int i = 10; i >= 0; i--) sum = sum * r + c[i];
    uint64_t bits = (uint64_t)((int64_t)k + 1023) << 52;
    double power;
    memcpy(&power, &bits, sizeof power);
    return (1 + r + r * r * sum) * power;
}

static bool before(candidate a, candidate b) { return a.logit > b.logit || (a.logit == b.logit && a.id < b.id); }

static void sift_down(candidate *heap, size_t n, size_t i) {
    candidate moved = heap[i];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && before(heap[child + 1], heap[child])) child++;
        if (!before(heap[child], moved)) break;
        heap[i] = heap[child];
    }
    heap[i] = moved;
}

/* The logits with bias and penalty into the heap's array, in order of id; NaN counts as impossible. */
static void adjust(hn_sampler *s, const float *logits, const int32_t *history, size_t n_history) {
    for (int32_t i = 0; i < s->n_vocab; i++) s->heap[i] = (candidate){isnan(logits[i]) ? -INFINITY : logits[i], i};
    for (size_t i = 0; i < s->how.n_bias; i++) {
        float *logit = &s->heap[s->bias[i].id].logit;
        *logit += s->bias[i].bias;
        if (isnan(*logit)) *logit = -INFINITY; /* infinities of both signs */
    }
    float penalty = s->how.repetition_penalty;
    if (penalty == 0 || penalty == 1) return;
    size_t window = s->how.repetition_window ? (size_t)s->how.repetition_window : DEFAULT_WINDOW;
    const int32_t *recent = n_history > window ? history + (n_history - window) : history;
    size_t n = n_history > window ? window : n_history;
    for (size_t i = 0; i < n; i++) {
        if (recent[i] < 0 || recent[i] >= s->n_vocab || s->is_seen[recent[i]]) continue;
        float *logit = &s->heap[recent[i]].logit;
        s->is_seen[recent[i]] = 1;
        *logit = *logit > 0 ? *logit / penalty : *logit * penalty;
    }
    for (size_t i = 0; i < n; i++)
        if (recent[i] >= 0 && recent[i] < s->n_vocab) s->is_seen[recent[i]] = 0;
}

/* What the mask does not allow is impossible, whatever its bias. */
static void forbid(hn_sampler *s, const uint64_t *allowed) {
    for (int32_t i = 0; i < s->n_vocab; i++)
        if (!(allowed[i / 64] >> (i % 64) & 1)) s->heap[i].logit = -INFINITY;
}

static candidate largest(const hn_sampler *s) {
    candidate best = s->heap[0];
    for (int32_t i = 1; i < s->n_vocab; i++)
        if (before(s->heap[i], best)) best = s->heap[i];
    return best;
}

/* Moves candidates from the heap to `kept` until top_k, or (with `total` > 0) until their weights reach top_p of it,
 * or one falls below min_p. */
static size_t take(hn_sampler *s, size_t limit, float max, double total) {
    size_t left = (size_t)s->n_vocab, n = 0;
    double mass = 0, enough = s->how.top_p > 0 && s->how.top_p < 1 ? (double)s->how.top_p * total : INFINITY;
    for (size_t i = left / 2; i-- > 0;) sift_down(s->heap, left, i);
    while (n < limit && left > 0) {
        candidate c = s->heap[0];
        double w = exp_same(((double)c.logit - (double)max) / (double)s->how.temperature);
        if (n > 0 && (w == 0 || (total > 0 && w < (double)s->how.min_p))) break;
        s->kept[n] = c;
        s->weight[n++] = w;
        mass += w;
        if (total > 0 && mass >= enough) break;
        s->heap[0] = s->heap[--left];
        if (left) sift_down(s->heap, left, 0);
    }
    return n;
}

/* top-p and min-p on `n` kept candidates in falling order; returns how many stay. */
static size_t filter_kept(const hn_sampler *s, size_t n) {
    double total = 0, mass = 0;
    bool has_top_p = s->how.top_p > 0 && s->how.top_p < 1;
    for (size_t i = 0; i < n; i++) total += s->weight[i];
    size_t stay = 0;
    while (stay < n) {
        if (stay > 0 && s->weight[stay] < (double)s->how.min_p * s->weight[0]) break;
        mass += s->weight[stay++];
        if (has_top_p && mass >= (double)s->how.top_p * total) break;
    }
    return stay;
}

/* All candidates, in order of id. */
static size_t keep_all(hn_sampler *s, float max) {
    for (int32_t i = 0; i < s->n_vocab; i++) {
        s->kept[i] = s->heap[i];
        s->weight[i] = exp_same(((double)s->heap[i].logit - (double)max) / (double)s->how.temperature);
    }
    return (size_t)s->n_vocab;
}

static int32_t draw(hn_sampler *s, size_t n) {
    double total = 0;
    for (size_t i = 0; i < n; i++) total += s->weight[i];
    double at = hn_rng_uniform(&s->rng) * total;
    size_t last = 0;
    for (size_t i = 0; i < n; i++) {
        if (s->weight[i] <= 0) continue;
        last = i;
        at -= s->weight[i];
        if (at < 0) break;
    }
    return s->kept[last].id;
}

int32_t hn_sampler_pick(hn_sampler *s, const float *logits, const int32_t *history, size_t n_history) {
    return hn_sampler_pick_allowed(s, logits, NULL, history, n_history);
}

int32_t hn_sampler_pick_allowed(hn_sampler *s, const float *logits, const uint64_t *allowed, const int32_t *history,
                                size_t n_history) {
    adjust(s, logits, history, n_history);
    if (allowed) forbid(s, allowed);
    candidate best = largest(s);
    if (allowed && isinf(best.logit) && best.logit < 0) return -1;
    if (s->how.temperature == 0 || isinf(best.logit)) return best.id; /* +inf is certain; -inf: nothing is possible */
    size_t n;
    bool has_top_p = s->how.top_p > 0 && s->how.top_p < 1;
    if (s->how.top_k > 0 && s->how.top_k < s->n_vocab) {
        n = take(s, (size_t)s->how.top_k, best.logit, 0);
        n = filter_kept(s, n);
    } else if (has_top_p || s->how.min_p > 0) {
        double total = 0;
        for (int32_t i = 0; i < s->n_vocab; i++)
            total += exp_same(((double)s->heap[i].logit - (double)best.logit) / (double)s->how.temperature);
        n = take(s, (size_t)s->n_vocab, best.logit, total);
    } else {
        n = keep_all(s, best.logit);
    }
    return draw(s, n);
}
